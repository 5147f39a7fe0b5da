"""From attention weights to an answer: recall what is stored, imagine what is not.

Attention gives every distinct stored value v a mass p(v) = Σ αᵢ over the records that hold it.
That is the answer by *recall*. The answer by *imagination* decodes a blend instead: words near a
point, the mean of numbers, the mean of vectors. Both are mixed as a copy mechanism does
(pointer-generator networks: See et al. 2017),

    P(y) = (1 − g) · p(y) + g · P_imagined(y),

where g is not learned here but read off the attention itself. Draw two records by their weights:
they hold the same value with probability s = Σ_v p(v)²; otherwise they may still *agree in
meaning*. With each record's proposal uᵢ (what it says the answer is, as a vector),

    c = ‖Σ αᵢ uᵢ‖² / Σ αᵢ ‖uᵢ‖²      is the probability-weighted agreement of two draws,
    g = (c − s)⁺ / ((c − s)⁺ + s)    the part of it that is not plain repetition.

One value that dominates gives g ≈ 0: recall it. Many different values that point the same way
give g ≈ 1: the answer lies between them, where no record is. Values that disagree give a small c,
and recall, unsure, wins again. What a record proposes is the value head:

- *blend*: uᵢ = vᵢ;
- *relation*: uᵢ = φ(q) + vᵢ − φ(kᵢ), what kᵢ became, done to q. φ embeds text in the space of the
  values. The skip connection of a transformer; it completes relations such as country → capital.

Numbers always agree (c = 1) and are blended to a mean with a spread; so are vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from qkv.attention import Beside, Dense, Read, Values, product
from qkv.lexicon import Lexicon
from qkv.ranking import top_k
from qkv.rows import Rows
from qkv.snapshot import Snapshot
from qkv.types import Floats, Integers, Origin, Value
from qkv.values import Distinct, Kind

__all__ = ["Answered", "Asked", "Decoding", "Found", "Head", "Meanings", "answer", "values_of"]

#: Inverse temperature of the softmax over the lexicon's cosines: the likeliest for completing
#: 13 relations of the Google analogy list (docs/defaults.md).
SHARPNESS = 30.0
#: A word nobody stored is imagined only if it is among the lexicon's most frequent.
FREQUENT = 100_000
#: Agreement beyond repetition that is only float32's rounding.
_ROUNDING = 1e-5
#: Share of a store's texts that must be words of the lexicon for the store to imagine words.
WORDS = 0.5


class Head(StrEnum):
    """What a record proposes as the answer; see the module's text."""

    BLEND = "blend"
    RELATION = "relation"


@dataclass(frozen=True)
class Decoding:
    """How a blend becomes an answer.

    Attributes
    ----------
    head : Head
    imagination : float or None
        g of the module's text, 0 … 1; None reads it off the attention.
    metric : {"cosine", "euclidean"}
        How words near the blend are found. Euclidean uses the lexicon's vectors as they are, and
        all of its words.
    """

    head: Head = Head.BLEND
    imagination: float | None = None
    metric: Literal["cosine", "euclidean"] = "cosine"

    def share(self, agreement: Floats, repetition: Floats) -> Floats:
        """g, the share of imagination, for arrays of c and s."""
        if self.imagination is not None:
            return np.full_like(repetition, self.imagination)
        fresh = agreement - repetition
        fresh[fresh < _ROUNDING] = 0
        total = fresh + repetition
        share: Floats = fresh / np.where(total > 0, total, 1)
        return share


@dataclass(frozen=True)
class Asked:
    """A batch of queries: their texts (None for a vector) and how many candidates each wants."""

    texts: Sequence[str | None]
    count: int


class _Known:
    """What was looked up for the text values of one numbering of distinct values."""

    def __init__(self, distinct: Distinct) -> None:
        self.distinct = distinct
        self.places = np.zeros(0, dtype=np.int64)
        self.vectors: dict[str, Rows] = {}


class Meanings:
    """φ of a store's text values and, for the relation head, what each record adds to its key.

    Grows with the store's distinct values, and begins anew when they do. Threads may read at once:
    one may replace what another has just made, by something as good.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self._known = _Known(Distinct())
        self._offsets: tuple[int, Floats] | None = None

    def _of(self, snapshot: Snapshot) -> _Known:
        known = self._known
        if known.distinct is not snapshot.distinct:
            known = self._known = _Known(snapshot.distinct)
        return known

    def places(self, snapshot: Snapshot, ids: Integers) -> Integers:
        """Row in the lexicon of each text value; −1 for what is not a word of it."""
        known = self._of(snapshot)
        places = known.places
        if len(places) < len(ids):
            fresh = self.lexicon.places(known.distinct.stored(ids[len(places) :]))
            places = known.places = np.concatenate((places, fresh))
        return places[: len(ids)]

    def vectors(self, snapshot: Snapshot, ids: Integers, metric: str) -> Floats:
        """φ of each text value (t, d): unit vectors, or as they are for euclidean decoding."""
        known = self._of(snapshot)
        rows = known.vectors.get(metric)
        start = 0 if rows is None else len(rows)
        if rows is None or start < len(ids):
            fresh = self.lexicon.embed(known.distinct.stored(ids[start:]))
            if metric == "euclidean":
                places = self.places(snapshot, ids)[start:]
                fresh = np.where(
                    (places >= 0)[:, None], self.lexicon.vectors[np.maximum(places, 0)], fresh
                )
            rows = Rows(fresh) if rows is None else rows.append(fresh)
            known.vectors[metric] = rows
        return rows.matrix[: len(ids)]

    def offsets(self, snapshot: Snapshot, keys: Sequence[str | None]) -> Floats:
        """For each record (d + 2): v − φ(k), its squared length, and 1; zeros where unknown."""
        if self._offsets is not None and self._offsets[0] == snapshot.version:
            return self._offsets[1]
        ids = snapshot.distinct.of_kind(Kind.TEXT, snapshot.groups.width)
        of_value = np.full(snapshot.groups.width + 1, -1, dtype=np.int64)
        of_value[ids] = np.arange(len(ids))
        groups = snapshot.group_ids()
        values = self.vectors(snapshot, ids, "cosine")[of_value[groups]]
        sources = self.lexicon.embed([key or " " for key in keys])
        known = (of_value[groups] >= 0) & values.any(axis=1) & sources.any(axis=1)
        offsets = np.where(known[:, None], values - sources, 0)
        squares = np.einsum("ij,ij->i", offsets, offsets)
        table = np.column_stack((offsets, squares, known)).astype(np.float32)
        self._offsets = snapshot.version, table
        return table

    def imagines(self, snapshot: Snapshot, ids: Integers) -> bool:
        """Whether this store's text values are words, so that other words could answer."""
        if not len(ids):
            return False
        own = self.lexicon.made_for_store
        return own or float((self.places(snapshot, ids) >= 0).mean()) >= WORDS


def values_of(snapshot: Snapshot, offsets: Floats | None) -> Values:
    """What attention shall blend: mass of each distinct value; vectors, where all are vectors."""
    vectors = _all_vectors(snapshot)
    if vectors is not None:
        return Dense(vectors)
    return snapshot.groups if offsets is None else Beside((snapshot.groups, Dense(offsets)))


def _all_vectors(snapshot: Snapshot) -> Floats | None:
    """Values as a matrix, row by row, if every record has a vector of its own."""
    ids = snapshot.distinct.of_kind(Kind.VECTOR, snapshot.groups.width)
    if not snapshot.all_distinct or len(ids) != len(snapshot.records):
        return None
    return snapshot.distinct.vectors(ids)


class Found(NamedTuple):
    """A candidate that is not looked up yet.

    One that is stored has the number of its distinct value; one that nobody stored has the value
    itself, and the number −1.
    """

    value: Value
    probability: float
    origin: Origin
    id: int = -1
    spread: float | None = None


#: Candidates of one query, best first, and the blended output, None where nothing blends.
Answered: TypeAlias = tuple[list[Found], Floats | None]


@dataclass(frozen=True)
class _Imagined:
    """Values that blends of one kind gave, a row a query."""

    values: list[list[Value]]
    probabilities: list[Floats]
    output: Floats
    mass: Floats  # of the records of this kind
    spread: Floats | None = None


def answer(
    snapshot: Snapshot, read: Read, asked: Asked, decoding: Decoding, meanings: Meanings | None
) -> list[Answered]:
    """Candidates and blended output for each query.

    Parameters
    ----------
    snapshot : Snapshot
    read : Read
        Attention over :func:`values_of` the snapshot.
    asked : Asked
    decoding : Decoding
    meanings : Meanings or None
        None where the store has no lexicon.

    Returns
    -------
    list of Answered
        One for each query.
    """
    if _all_vectors(snapshot) is not None:
        return _dense(read, asked.count, decoding)
    width = snapshot.groups.width
    masses = read.output[:, :width].astype(np.float64)
    imagined: list[_Imagined] = []
    texts = snapshot.distinct.of_kind(Kind.TEXT, width)
    if meanings is not None and meanings.imagines(snapshot, texts):
        imagined.append(_words(snapshot, read, masses, texts, asked, decoding, meanings))
    numbers = snapshot.distinct.of_kind(Kind.NUMBER, width)
    if len(numbers):
        imagined.append(_mean(snapshot, masses, numbers, decoding))
    vectors = snapshot.distinct.of_kind(Kind.VECTOR, width)
    if len(vectors):
        imagined += _vector(snapshot, masses, vectors, decoding)
    return [_ranked(masses[row], row, imagined, asked.count) for row in range(len(masses))]


def _dense(read: Read, count: int, decoding: Decoding) -> list[Answered]:
    """Answer where every record has a vector of its own: the blend, and the heaviest records.

    No value repeats, so the masses of values are the weights of records, and the few heaviest are
    all that can be candidates: nothing as long as the store is touched.
    """
    total = 1 - read.null
    shares = read.weights / np.where(total > 0, total, 1)[:, None]
    repetition = np.einsum("ij,ij->i", shares, shares)
    imagination = decoding.share(np.ones_like(repetition), repetition)
    blends = read.output / np.where(total > 0, total, 1)[:, None]
    recalled = (read.weights * (1 - imagination)[:, None])[:, :count]
    imagined = imagination * total
    answers = []
    for ids, masses, mass, blend in zip(
        read.indices.tolist(), recalled.tolist(), imagined.tolist(), blends, strict=True
    ):
        found = [
            Found(None, p, Origin.RECALLED, id) for id, p in zip(ids, masses, strict=False) if p > 0
        ]
        if mass > 0:
            found.append(Found(blend.astype(np.float32), mass, Origin.IMAGINED))
        answers.append((_best(found, count), blend))
    return answers


def _ranked(masses: Floats, row: int, imagined: list[_Imagined], count: int) -> Answered:
    ids, best = top_k(masses[None, :], count)
    found = [
        Found(None, p, Origin.RECALLED, id)
        for id, p in zip(ids[0].tolist(), best[0].tolist(), strict=True)
        if p > 0
    ]
    for blend in imagined:
        spread = None if blend.spread is None else float(blend.spread[row])
        found += [
            Found(value, float(p), Origin.IMAGINED, spread=spread)
            for value, p in zip(blend.values[row], blend.probabilities[row], strict=True)
            if p > 0
        ]
    carrying = [blend for blend in imagined if blend.mass[row] > 0]
    heaviest = max(carrying, key=lambda blend: blend.mass[row], default=None)
    return _best(found, count), None if heaviest is None else heaviest.output[row]


def _best(found: list[Found], count: int) -> list[Found]:
    # The sort is stable: recall comes first among equals.
    return sorted(found, key=lambda one: -one.probability)[:count]


def _shares(masses: Floats) -> tuple[Floats, Floats, Floats]:
    """Total mass (m, 1), the masses divided by it, and s, the chance that two draws agree."""
    total = masses.sum(axis=1, keepdims=True)
    shares = masses / np.where(total > 0, total, 1)
    return total, shares, np.einsum("ij,ij->i", shares, shares)


def _words(
    snapshot: Snapshot,
    read: Read,
    masses: Floats,
    ids: Integers,
    asked: Asked,
    decoding: Decoding,
    meanings: Meanings,
) -> _Imagined:
    """Imagine words near the blend of text values; changes their masses in place."""
    lexicon = meanings.lexicon
    vectors = meanings.vectors(snapshot, ids, decoding.metric)
    known = vectors.any(axis=1)
    total, shares, repetition = _shares(masses[:, ids] * known)
    if decoding.head is Head.RELATION:
        total, output, lengths = _relation(read, snapshot.groups.width, asked, lexicon)
    else:
        output = product(shares, vectors)
        lengths = product(shares, np.einsum("ij,ij->i", vectors, vectors))
    squares = np.einsum("ij,ij->i", output, output)
    agreement = squares / np.where(lengths > 0, lengths, 1)
    share = decoding.share(agreement, repetition)[:, None] * total * (squares > 0)[:, None]
    if not share.any():
        nothing: list[list[Value]] = [[] for _ in output]
        return _Imagined(nothing, [np.zeros(0)] * len(output), output, total[:, 0])
    limit = len(lexicon) if decoding.metric == "euclidean" else min(FREQUENT, len(lexicon))
    scores = lexicon.score(output.astype(np.float32), metric=decoding.metric, limit=limit)
    _forget_asked(scores, asked, lexicon)
    if decoding.metric == "cosine":
        scores *= SHARPNESS
    scores -= scores.max(axis=1, keepdims=True)
    powers = np.exp(scores, out=scores)
    powers *= share / powers.sum(axis=1, keepdims=True)
    before = masses[:, ids].sum(axis=1, keepdims=True)
    masses[:, ids] *= 1 - share / np.where(before > 0, before, 1)
    # What is imagined and also stored is one candidate, and it counts as stored. (Two spellings
    # of one word share its mass; a value that no record holds any more gets none.)
    places = meanings.places(snapshot, ids)
    stored = np.flatnonzero((places >= 0) & (places < limit) & (snapshot.counts[ids] > 0))
    spellings = np.bincount(places[stored], minlength=1)[places[stored]]
    masses[:, ids[stored]] += powers[:, places[stored]] / spellings
    powers[:, places[stored]] = -np.inf
    best, probabilities = top_k(powers, asked.count)
    return _Imagined(
        [[lexicon.words[word] for word in row if word >= 0] for row in best.tolist()],
        [p[p > -np.inf] for p in probabilities],
        output,
        total[:, 0],
    )


def _relation(
    read: Read, width: int, asked: Asked, lexicon: Lexicon
) -> tuple[Floats, Floats, Floats]:
    """Mass, output and mean squared length of the proposals φ(q) + vᵢ − φ(kᵢ)."""
    start = lexicon.embed([text or " " for text in asked.texts])
    blended = read.output[:, width:].astype(np.float64)
    total = blended[:, -1:] * start.any(axis=1, keepdims=True)
    blended = blended / np.where(blended[:, -1:] > 0, blended[:, -1:], 1)
    offset = blended[:, :-2]
    output = np.where(total > 0, start + offset, 0)
    lengths = (
        np.einsum("ij,ij->i", start, start)
        + 2 * np.einsum("ij,ij->i", start, offset)
        + blended[:, -2]
    )
    return total, output, lengths


def _forget_asked(scores: Floats, asked: Asked, lexicon: Lexicon) -> None:
    """The question itself is no answer to it."""
    words = [text if text is not None else "" for text in asked.texts]
    places = lexicon.places([word.strip() for word in words])
    rows = np.flatnonzero((places >= 0) & (places < scores.shape[1]))
    scores[rows, places[rows]] = -np.inf


def _mean(snapshot: Snapshot, masses: Floats, ids: Integers, decoding: Decoding) -> _Imagined:
    """Imagine the mean of numbers; changes their masses in place."""
    numbers = np.array(snapshot.distinct.stored(ids), dtype=np.float64)
    total, shares, repetition = _shares(masses[:, ids])
    # Relative to the largest, so that no square overflows.
    scale = float(np.abs(numbers).max()) or 1.0
    numbers /= scale
    mean = product(shares, numbers)
    variance = np.einsum("ij,ij->i", shares, (numbers - mean[:, None]) ** 2)
    mean, spread = np.clip(mean, -1, 1) * scale, np.sqrt(variance) * scale
    share = decoding.share(np.ones_like(repetition), repetition)[:, None]
    masses[:, ids] *= 1 - share
    probabilities = (share * total)[:, 0]
    return _Imagined(
        [[float(m)] for m in mean],
        [np.array([p]) for p in probabilities],
        mean[:, None],
        total[:, 0],
        spread,
    )


def _vector(
    snapshot: Snapshot, masses: Floats, ids: Integers, decoding: Decoding
) -> list[_Imagined]:
    """Imagine the mean of vectors, if they have one dimension; changes their masses in place."""
    vectors = snapshot.distinct.vectors(ids)
    if vectors is None:
        return []
    total, shares, repetition = _shares(masses[:, ids])
    output = product(shares, vectors)
    share = decoding.share(np.ones_like(repetition), repetition)[:, None]
    masses[:, ids] *= 1 - share
    return [
        _Imagined(
            [[row.astype(np.float32)] for row in output],
            [np.array([p]) for p in (share * total)[:, 0]],
            output,
            total[:, 0],
        )
    ]
