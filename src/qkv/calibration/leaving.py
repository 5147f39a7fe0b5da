"""Questions made from a store's own records, by leaving something out.

*Leave one out*: a record's key is the question, and the record itself is hidden; its value is the
right answer. *Leave the value out*: every record of its value is hidden, too, so that the right
answer is "nothing here". Real questions that a store cannot answer are not all as near to it as
that: some are far from every record. So with the value go the values nearest to it, as many as a
number drawn log-uniformly from one to all of them. A store of two or three values has no such
distances: its unanswerable questions are texts that have nothing to do with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qkv.attention import product
from qkv.background import go_on
from qkv.calibration.evidence import NEAR, Evidence, gather
from qkv.calibration.heads import Heads, Scales, weigh
from qkv.indexes import Index
from qkv.prototypes import all_sums
from qkv.ranking import improve
from qkv.types import Floats, Integers

__all__ = ["FEW_VALUES", "Questions", "Store", "ask"]

#: Values below which leaving one out says nothing of questions that have no answer.
FEW_VALUES = 4
#: Scores held at once: 64 MB of float32.
_SCORES = 16 << 20
#: Values among which the nearest are looked for, at most.
_VALUES = 4096
_AT_ONCE = 256


@dataclass(frozen=True)
class Store:
    """What a calibration reads.

    Attributes
    ----------
    index : Index
    groups : array (n,), int64
        Number of the distinct value of each row.
    counts : array (u,), int64
        Records that hold each distinct value.
    background : array (d,)
    strangers : array (s, d)
        Prepared queries that no store in particular answers.
    heads : Heads
        Of the encoder; empty if it is a single one.
    scales : Scales
        How much each counts in questions.
    asking : callable, optional
    untrained : array, optional
        Where a store has learned from its own records, the others tell nothing.
    """

    index: Index
    groups: Integers
    counts: Integers
    background: Floats
    strangers: Floats
    heads: Heads = ()
    scales: Scales = ()
    #: Prepares the keys of some rows as queries; None where they are queries as they stand.
    asking: Callable[[Integers], Floats] | None = None
    #: Rows that may be asked for, ascending; None for all.
    untrained: Integers | None = None

    def queries(self, rows: Integers) -> Floats:
        """Prepared queries (m, d): keys of some rows, as if they were asked."""
        return self.index.vectors(rows) if self.asking is None else self.asking(rows)


@dataclass(frozen=True)
class Questions:
    """Evidence for questions whose answer is known.

    Attributes
    ----------
    truth : array (m,), int64
        Number of the right value of each.
    answerable : Evidence
        With the record left out.
    unanswerable : Evidence
        With its value, and what is near it, left out; or of strangers.
    """

    truth: Integers
    answerable: Evidence
    unanswerable: Evidence

    def halves(self, rng: np.random.Generator) -> tuple[Questions, Questions]:
        """Cut in two at random."""
        first = rng.random(len(self.truth)) < 0.5
        vain = rng.random(len(self.unanswerable)) < 0.5
        one, other = (
            Questions(self.truth[side], self.answerable.some(side), self.unanswerable.some(without))
            for side, without in (
                (np.flatnonzero(first), np.flatnonzero(vain)),
                (np.flatnonzero(~first), np.flatnonzero(~vain)),
            )
        )
        return one, other


def ask(store: Store, rows: Integers, rng: np.random.Generator) -> Questions:
    """Ask a store about some of its own records, each of which shares its value with others.

    Parameters
    ----------
    store : Store
    rows : array (m,), int64
    rng : numpy.random.Generator
        Decides what else is left out.

    Returns
    -------
    Questions
    """
    queries, keys = store.queries(rows), store.index.vectors(rows)
    truth = store.groups[rows]
    repeated = np.flatnonzero(store.counts > 1)
    place = np.full(len(store.counts), -1, dtype=np.int64)
    place[repeated] = np.arange(len(repeated))
    live = store.index.live(np.arange(len(store.index)))
    held = live[place[store.groups[live]] >= 0]
    totals = all_sums(store.index, held, place[store.groups[held]], len(repeated))
    hidden = _hidden(totals, place[truth], rng)
    without_record, without_value = _near(
        store, rows, weigh(queries, store.scales), hidden, repeated
    )

    def evidence(
        asked: Floats, found: tuple[Integers, Floats], without: Integers | None
    ) -> Evidence:
        indices, scores = found
        return gather(
            asked,
            indices,
            scores,
            store.groups[np.maximum(indices, 0)],
            store.counts,
            lambda values: totals[place[values]],
            store.background,
            without,
            store.scales,
            None if without is None else keys,
        )

    if len(repeated) < FEW_VALUES:
        asked = weigh(store.strangers, store.scales)
        outside = store.strangers, store.index.neighbours(asked, NEAR)
    else:
        outside = queries, without_value
    return Questions(truth, evidence(queries, without_record, truth), evidence(*outside, None))


def _hidden(
    totals: Floats, own: Integers, rng: np.random.Generator
) -> tuple[Integers, NDArray[np.bool_]]:
    """Places of values that may be left out beside a question's own, and for which question.

    Returns places (v,) and, for each question and each of these, whether it is left out (m, v).
    """
    means = totals / np.maximum(np.linalg.norm(totals, axis=1, keepdims=True), 1e-9)
    compared = np.arange(len(means))
    if len(means) > _VALUES:
        compared = np.sort(rng.choice(len(means), _VALUES, replace=False))
    most = np.log(max(1, len(compared) - 1))
    also = np.exp(rng.uniform(0, most, size=len(own))).astype(np.int64)
    out = np.zeros((len(own), len(compared)), dtype=bool)
    for start in range(0, len(own), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        likeness = product(means[own[part]], means[compared].T)
        order = np.argsort(-likeness, axis=1, kind="stable")
        nearest = np.arange(len(compared)) < also[part, None]
        np.put_along_axis(out[part], order, nearest, axis=1)
    return compared, out


def _near(
    store: Store,
    rows: Integers,
    queries: Floats,
    hidden: tuple[Integers, NDArray[np.bool_]],
    repeated: Integers,
) -> list[tuple[Integers, Floats]]:
    """Nearest rows and their scores: with the record left out, and with the hidden values."""
    m, n = len(rows), len(store.index)
    k = min(NEAR, n)
    places, out = hidden
    out = np.column_stack((out, np.zeros(m, dtype=bool)))  # the last: values that stay
    column = np.full(len(store.counts), len(places), dtype=np.int64)
    column[repeated[places]] = np.arange(len(places))
    truth = store.groups[rows]
    alive = np.zeros(n, dtype=bool)
    alive[store.index.live(np.arange(n))] = True
    none = np.full((m, k), -1, dtype=np.int64), np.full((m, k), -np.inf, dtype=np.float32)
    one, value = none, none
    for start in range(0, n, max(256, _SCORES // m)):
        go_on()
        stop = min(n, start + max(256, _SCORES // m))
        scores = product(queries, store.index.vectors(np.arange(start, stop)).T)
        scores[:, ~alive[start:stop]] = -np.inf
        inside = np.flatnonzero((rows >= start) & (rows < stop))
        scores[inside, rows[inside] - start] = -np.inf
        one = improve(*one, scores, start)
        groups = store.groups[start:stop]
        scores[np.take(out, column[groups], axis=1)] = -np.inf
        scores[truth[:, None] == groups] = -np.inf
        value = improve(*value, scores, start)
    return [(i, np.where(i >= 0, s, 0)) for i, s in (one, value)]
