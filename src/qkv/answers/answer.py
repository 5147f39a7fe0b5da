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

from dataclasses import replace

import numpy as np

from qkv.answers.asking import Answered, Asked, Decoding, Found, Imagined
from qkv.answers.believing import believed
from qkv.answers.meanings import Meanings
from qkv.answers.words import shared, words
from qkv.attention import Beside, Dense, Read, Values, product
from qkv.judging import LEVEL, Blended, Judged
from qkv.ranking import top_k
from qkv.snapshot import Snapshot
from qkv.types import Floats, Integers, Origin
from qkv.values import Kind

__all__ = ["answer", "only_recalls", "values_of"]


def only_recalls(snapshot: Snapshot, meanings: Meanings | None) -> bool:
    """Whether no value of a store can be blended or imagined, so that masses are not needed."""
    width = snapshot.groups.width
    if any(len(snapshot.distinct.of_kind(kind, width)) for kind in (Kind.NUMBER, Kind.VECTOR)):
        return False
    texts = snapshot.distinct.of_kind(Kind.TEXT, width)
    return meanings is None or not meanings.imagines(snapshot, texts)


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


def answer(
    snapshot: Snapshot,
    read: Read,
    asked: Asked,
    decoding: Decoding,
    meanings: Meanings | None,
    judged: Judged | None = None,
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
    judged : Judged, optional
        Probabilities of stored values, in place of their masses; their sum is 1 − read.null.

    Returns
    -------
    list of Answered
        One for each query.
    """
    if not read.output.shape[1]:
        if judged is None:
            return _weighed(read, asked.count)
        return [_recalled(judged, row, asked.count) for row in range(len(read.null))]
    if _all_vectors(snapshot) is not None:
        return _dense(read, asked.count, decoding, judged)
    width = snapshot.groups.width
    masses: Floats = read.output[:, :width].astype(np.float64)
    if judged is not None:
        masses = _judged(masses, judged, snapshot)
    imagined: list[Imagined] = []
    texts = snapshot.distinct.of_kind(Kind.TEXT, width)
    nulls = None
    if meanings is not None and meanings.imagines(snapshot, texts):
        if judged is None or judged.imagining is None:
            imagined.append(words(snapshot, read, masses, texts, asked, decoding, meanings))
        else:
            found = believed(snapshot, read, masses, texts, asked, meanings, judged.imagining)
            nulls = found.null
            if decoding.imagination is None:
                imagined.append(found.words)
            else:  # strict: a word that nobody stored may be right, so what is stored is not
                nulls = nulls + np.array([p.sum() for p in found.words.probabilities])
    blended = {} if judged is None else judged.blended
    numbers = snapshot.distinct.of_kind(Kind.NUMBER, width)
    if len(numbers):
        mean = _mean(snapshot, masses, numbers, decoding)
        imagined.append(_refined(mean, blended.get(Kind.NUMBER)))
    vectors = snapshot.distinct.of_kind(Kind.VECTOR, width)
    if len(vectors):
        means = _vector(snapshot, masses, vectors, decoding)
        imagined += [_refined(mean, blended.get(Kind.VECTOR)) for mean in means]
    return [_ranked(masses[row], row, imagined, asked.count, nulls) for row in range(len(masses))]


def _recalled(judged: Judged, row: int, count: int) -> Answered:
    """The likeliest stored values, where nothing else can be the answer."""
    values = judged.evidence.values[row].tolist()
    probabilities = judged.verdict.probabilities[row].tolist()
    found = [
        Found(None, p, Origin.RECALLED, id)
        for id, p in zip(values, probabilities, strict=True)
        if id >= 0 and p > 0
    ]
    return Answered(_best(found, count), None)


def _weighed(read: Read, count: int) -> list[Answered]:
    """The heaviest records, where each has a value of its own; of equals, the first stored."""
    answers = []
    for ids, weights in zip(read.indices.tolist(), read.weights.tolist(), strict=True):
        heaviest = sorted((-weight, id) for id, weight in zip(ids, weights, strict=True) if weight)
        found = [Found(None, -less, Origin.RECALLED, id) for less, id in heaviest[:count]]
        answers.append(Answered(found, None))
    return answers


def _judged(masses: Floats, judged: Judged, snapshot: Snapshot) -> Floats:
    """Probabilities of distinct values (m, u) where they are recalled, masses where they blend."""
    probabilities = np.zeros_like(masses)
    rows, columns = np.nonzero(judged.evidence.values >= 0)
    values = judged.evidence.values[rows, columns]
    probabilities[rows, values] = judged.verdict.probabilities[rows, columns]
    for kind in (Kind.NUMBER, Kind.VECTOR):
        ids = snapshot.distinct.of_kind(kind, masses.shape[1])
        if len(ids):
            total, shares, _ = shared(masses[:, ids])
            known = probabilities[:, ids].sum(axis=1, keepdims=True)
            probabilities[:, ids] = np.where(total > 0, shares * known, 0)
    return probabilities


def _refined(imagined: Imagined, blended: Blended | None) -> Imagined:
    """A blend as calibration makes it: with an interval, and how likely the truth lies in it."""
    if blended is None:
        return imagined
    values = [
        [row.astype(np.float32) if row.ndim else float(row)] if np.isfinite(row).all() else old
        for row, old in zip(blended.values, imagined.values, strict=True)
    ]
    level = np.where(np.isfinite(blended.high), LEVEL, 1)
    return replace(
        imagined,
        values=values,
        probabilities=[held * p for held, p in zip(level, imagined.probabilities, strict=True)],
        interval=(blended.low, blended.high),
    )


def _dense(
    read: Read, count: int, decoding: Decoding, judged: Judged | None = None
) -> list[Answered]:
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
    known = None if judged is None else judged.blended.get(Kind.VECTOR)
    intervals: list[tuple[float, float] | None] = [None] * len(blends)
    if known is not None:
        blends = np.where(np.isfinite(known.values), known.values, blends)
        intervals = list(zip(known.low.tolist(), known.high.tolist(), strict=True))
        imagined = LEVEL * imagined
    answers = []
    for ids, masses, mass, blend, interval in zip(
        read.indices.tolist(), recalled.tolist(), imagined.tolist(), blends, intervals, strict=True
    ):
        found = [
            Found(None, p, Origin.RECALLED, id) for id, p in zip(ids, masses, strict=False) if p > 0
        ]
        if mass > 0:
            value = blend.astype(np.float32)
            found.append(Found(value, mass, Origin.IMAGINED, interval=interval))
        answers.append(Answered(_best(found, count), blend))
    return answers


def _ranked(
    masses: Floats, row: int, imagined: list[Imagined], count: int, nulls: Floats | None
) -> Answered:
    ids, best = top_k(masses[None, :], count)
    found = [
        Found(None, p, Origin.RECALLED, id)
        for id, p in zip(ids[0].tolist(), best[0].tolist(), strict=True)
        if p > 0
    ]
    for blend in imagined:
        spread = None if blend.spread is None else float(blend.spread[row])
        interval = None
        if blend.interval is not None:
            interval = float(blend.interval[0][row]), float(blend.interval[1][row])
        found += [
            Found(value, float(p), Origin.IMAGINED, spread=spread, interval=interval)
            for value, p in zip(blend.values[row], blend.probabilities[row], strict=True)
            if p > 0
        ]
    carrying = [blend for blend in imagined if blend.mass[row] > 0]
    heaviest = max(carrying, key=lambda blend: blend.mass[row], default=None)
    return Answered(
        _best(found, count),
        None if heaviest is None else heaviest.output[row],
        None if nulls is None else float(nulls[row]),
    )


def _best(found: list[Found], count: int) -> list[Found]:
    # The sort is stable: recall comes first among equals.
    return sorted(found, key=lambda one: -one.probability)[:count]


def _mean(snapshot: Snapshot, masses: Floats, ids: Integers, decoding: Decoding) -> Imagined:
    """Imagine the mean of numbers; changes their masses in place."""
    numbers = np.array(snapshot.distinct.stored(ids), dtype=np.float64)
    total, shares, repetition = shared(masses[:, ids])
    # Relative to the largest, so that no square overflows.
    scale = float(np.abs(numbers).max()) or 1.0
    numbers /= scale
    mean = product(shares, numbers)
    variance = np.einsum("ij,ij->i", shares, (numbers - mean[:, None]) ** 2)
    mean, spread = np.clip(mean, -1, 1) * scale, np.sqrt(variance) * scale
    share = decoding.share(np.ones_like(repetition), repetition)[:, None]
    masses[:, ids] *= 1 - share
    probabilities = (share * total)[:, 0]
    return Imagined(
        [[float(m)] for m in mean],
        [np.array([p]) for p in probabilities],
        mean[:, None],
        total[:, 0],
        spread,
    )


def _vector(
    snapshot: Snapshot, masses: Floats, ids: Integers, decoding: Decoding
) -> list[Imagined]:
    """Imagine the mean of vectors, if they have one dimension; changes their masses in place."""
    vectors = snapshot.distinct.vectors(ids)
    if vectors is None:
        return []
    total, shares, repetition = shared(masses[:, ids])
    output = product(shares, vectors)
    share = decoding.share(np.ones_like(repetition), repetition)[:, None]
    masses[:, ids] *= 1 - share
    return [
        Imagined(
            [[row.astype(np.float32)] for row in output],
            [np.array([p]) for p in (share * total)[:, 0]],
            output,
            total[:, 0],
        )
    ]
