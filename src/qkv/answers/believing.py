"""Imagining as leaving out has shown: which head, and how likely the word is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qkv.answers.asking import Asked, Head, Imagined
from qkv.answers.meanings import Meanings
from qkv.answers.words import forget_asked, related, shared
from qkv.attention import Read, product
from qkv.calibration.believing import Imagining
from qkv.calibration.heads import Scales, weigh
from qkv.calibration.hidden import FREQUENT, Records, Strangers, directions, guesses, shares
from qkv.calibration.imagining import fit_imagining
from qkv.ranking import top_k
from qkv.snapshot import Snapshot
from qkv.types import Floats, Integers, Value
from qkv.values import Kind

__all__ = ["Believed", "believed", "imagining"]

#: Words that calibration names, at most.
_FURTHER = 5
#: Confidence in the first word at which those that follow are half as likely as elsewhere, given
#: that it is wrong: by likelihood, on relations (docs/calibration.md).
_DOUBT = 0.1
#: Standard deviations by which a query may be nearer to a record than records are to each other.
_NEARER = 2.5
#: Records that are read to learn how a store imagines, at most, and words that have no answer.
_READ, _STRANGERS, _COMMON = 5_000, 100, 40_000


def imagining(
    snapshot: Snapshot,
    meanings: Meanings,
    keys: Callable[[list[int]], dict[int, str]],
    queries: Callable[[list[str]], Floats] | None,
    scales: Scales = (),
    asking: Callable[[Integers], Floats] | None = None,
) -> Imagining | None:
    """Learn how a store imagines: :mod:`qkv.calibration.imagining`.

    Parameters
    ----------
    snapshot : Snapshot
    meanings : Meanings
    keys : callable
        Keys of records by id.
    queries : callable or None
        Prepares texts as queries; None for a store whose queries are vectors.
    scales : Scales
        How much each of the encoder's heads counts.
    asking : callable, optional
        Prepares the keys of some rows as queries; by default they are as they stand.

    Returns
    -------
    Imagining, or None for a store that does not imagine words
    """
    ids = snapshot.distinct.of_kind(Kind.TEXT, snapshot.groups.width)
    if not meanings.imagines(snapshot, ids):
        return None
    rng = np.random.default_rng(0)
    rows = snapshot.index.live(np.arange(len(snapshot.index)))
    groups = snapshot.group_ids()
    rows = rows[np.isin(groups[rows], ids)]
    if len(rows) > _READ:
        rows = np.sort(rng.choice(rows, _READ, replace=False))
    known = keys(snapshot.records[rows].tolist())
    texts = [known.get(id) or " " for id in snapshot.records[rows].tolist()]
    number = np.full(snapshot.groups.width + 1, -1, dtype=np.int64)
    number[ids] = np.arange(len(ids))
    held = number[groups[rows]]
    vectors = snapshot.index.vectors(rows)
    lexicon = meanings.lexicon
    records = Records(
        vectors,
        weigh(vectors if asking is None else asking(rows), scales),
        lexicon.embed(texts),
        meanings.vectors(snapshot, ids, "cosine")[held],
        lexicon.places(texts),
        meanings.places(snapshot, ids)[held],
        groups[rows],
    )
    strangers = None
    if queries is not None and len(rows):
        common = min(_COMMON, len(lexicon))
        chosen = rng.choice(common, min(_STRANGERS, common), replace=False)
        words = [lexicon.words[place] for place in chosen.tolist()]
        strangers = Strangers(weigh(queries(words), scales), lexicon.embed(words), chosen)
    return fit_imagining(records, lexicon, strangers)


@dataclass(frozen=True)
class Believed:
    """Words that calibration believes in, and how likely nothing at all is right (m,)."""

    words: Imagined
    null: Floats


def believed(
    snapshot: Snapshot,
    read: Read,
    masses: Floats,
    ids: Integers,
    asked: Asked,
    meanings: Meanings,
    known: Imagining,
) -> Believed:
    """Imagine words as likely as leaving out has shown; changes the values' masses in place.

    One claim after the other, so that all of them together are never more than sure. A relation
    claims first: its word is right with probability p, and what was known before holds with what
    is left, 1 − p. A blend lies among the stored values, and claims after the likeliest of them.
    """
    total, output = _output(snapshot, read, ids, asked, meanings, known)
    met = (total > 0) & output.any(axis=1) & (read.indices[:, 0] >= 0)
    values: list[list[Value]] = [[] for _ in masses]
    probabilities: list[Floats] = [np.zeros(0) for _ in masses]
    null = read.null.astype(np.float64)
    rows = np.flatnonzero(met)
    if len(rows):
        places = meanings.places(snapshot, ids)
        held = (places >= 0) & (snapshot.counts[ids] > 0)
        numbers = dict(zip(places[held].tolist(), ids[held].tolist(), strict=True))
        guessed = _guess(output[rows], rows, read, asked, meanings, known, np.unique(places[held]))
        if known.head == Head.BLEND:
            guessed = guessed._replace(fresh=guessed.fresh * (1 - masses[rows].max(axis=1)))
        else:
            masses[rows] *= 1 - (guessed.apart * (1 - _repeated(snapshot, ids)))[:, None]
        rest = 1 - guessed.recalled - guessed.fresh
        masses[rows] *= rest[:, None]
        for row, place, p in zip(
            rows.tolist(), guessed.first.tolist(), guessed.recalled.tolist(), strict=True
        ):
            if p:
                masses[row, numbers[place]] += p
        remaining = np.maximum(1 - masses[rows].sum(axis=1) - guessed.fresh, 0)
        tail = guessed.others * remaining[:, None]
        null[rows] = remaining - tail.sum(axis=1)
        for i, row in enumerate(rows.tolist()):
            values[row] = [meanings.lexicon.words[word] for word in guessed.words[i].tolist()]
            probabilities[row] = np.append(guessed.fresh[i], tail[i])
    return Believed(Imagined(values, probabilities, output, total), null)


def _repeated(snapshot: Snapshot, ids: Integers) -> float:
    """How likely a further record has a value that is there already (Good 1953)."""
    counts = snapshot.counts[ids]
    return float((counts[counts > 1].sum() + 0.5) / (counts.sum() + 1))


class _Guessed(NamedTuple):
    """What is imagined for each query, array (m,) or (m, words)."""

    first: Integers  # the likeliest word, where it is stored
    recalled: Floats  # and how likely it is right; 0 where it is not stored
    fresh: Floats  # that the likeliest word nobody stored is right
    words: Integers  # that word and those that follow it
    others: Floats  # shares of what is left that those that follow have
    apart: Floats  # how far the query is as far from the records as these are from each other


def _output(
    snapshot: Snapshot,
    read: Read,
    ids: Integers,
    asked: Asked,
    meanings: Meanings,
    known: Imagining,
) -> tuple[Floats, Floats]:
    """Mass (m,) of the records that propose, and what they propose together (m, d)."""
    if known.head == Head.RELATION:
        width, gains = snapshot.groups.width, known.proposing.gains
        total, output, _ = related(read, width, asked, meanings.lexicon, gains)
        return total[:, 0], output
    vectors = meanings.vectors(snapshot, ids, "cosine")
    total, shares_, _ = shared(read.output[:, ids] * vectors.any(axis=1))
    return total[:, 0], known.proposing.gains.value * product(shares_, vectors)


def _guess(
    output: Floats,
    rows: Integers,
    read: Read,
    asked: Asked,
    meanings: Meanings,
    known: Imagining,
    stored: Integers,
) -> _Guessed:
    lexicon = meanings.lexicon
    limit = min(FREQUENT, len(lexicon))
    stored = stored[stored < limit]
    output = output.astype(np.float32)
    logits = known.proposing.sharpen(lexicon.score(output, limit=limit), output, stored)
    forget_asked(logits, Asked([asked.texts[row] for row in rows.tolist()], 0), lexicon)
    parts = shares(logits)
    first, fresh = guesses(parts, stored, np.ones((len(rows), len(stored)), dtype=bool))
    nearest = read.scores[rows, 0]
    # What leaving out has shown holds for queries as far from the records as these are from each
    # other. One that is much nearer is one of them in other words.
    apart = 1 - np.clip(known.nearness(nearest) - _NEARER, 0, 1)
    recalled = np.zeros(len(rows))
    if known.head == Head.RELATION:  # blending, what is stored is judged by its keys
        sure = known.probability(first, directions(lexicon, first.places), nearest)
        recalled = np.where(first.stored, sure * apart, 0)
    new = known.probability(fresh, directions(lexicon, fresh.places), nearest) * apart
    new = new * (1 - recalled)
    parts[:, stored] = 0
    best, share = top_k(parts, min(_FURTHER, limit - len(stored)))
    # Of what was hidden and not found at first place, so much was found among the next; and where
    # the first is hardly thinkable, so are they.
    hits = known.relation if known.head == Head.RELATION else known.blend
    missed, found = hits.records * (1 - hits.first), hits.records * (hits.five - hits.first)
    further = (found + 1) / (missed + 3) * new / (new + _DOUBT)
    following = share[:, 1:] / np.maximum(share[:, 1:].sum(axis=1, keepdims=True), 1e-30)
    others = following * further[:, None]
    return _Guessed(first.places, recalled, new, best, others, apart)
