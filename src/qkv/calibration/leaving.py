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
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qkv.attention import product
from qkv.background import go_on
from qkv.calibration.evidence import NEAR, Evidence, gather
from qkv.calibration.heads import Heads, Scales, weigh
from qkv.calibration.outcomes import Labelled
from qkv.indexes import Index
from qkv.prototypes import all_sums
from qkv.ranking import improve
from qkv.types import Floats, Integers, Mask

__all__ = ["FEW_VALUES", "Choices", "Leaving", "Questions", "Store"]

#: Values below which leaving one out says nothing of questions that have no answer.
FEW_VALUES = 4
#: Questions and keys that are scored at once, 64 MB of float32: among fewer keys, the best are
#: found the slow way.
_ASKED, _KEYS = 1024, 1 << 14
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
    #: Prepares the keys of some rows as queries; None where they are queries as they stand.
    asking: Callable[[Integers], Floats] | None = None
    #: Rows that may be asked for, ascending; None for all.
    untrained: Integers | None = None

    def queries(self, rows: Integers) -> Floats:
        """Prepared queries (m, d): keys of some rows, as if they were asked."""
        return self.index.vectors(rows) if self.asking is None else self.asking(rows)


class Choices(NamedTuple):
    """Which value is right, among those that several records hold, with the record left out.

    A value that one record holds is never right when that record is left out. Such values would
    only teach that they are wrong, and the more of them a store has, the more so.

    Attributes
    ----------
    truth : array (m,), int64
        Number of the right value of each question.
    evidence : Evidence
    keys : int
        Records that share their value with others.
    """

    truth: Integers
    evidence: Evidence
    keys: int

    def some(self, rows: Integers) -> Choices:
        """Those of some questions."""
        return Choices(self.truth[rows], self.evidence.some(rows), self.keys)


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
    choices : Choices
        Of these questions, and of others.
    among : array (m,), int64
        Where these questions stand among the choices.
    """

    truth: Integers
    answerable: Evidence
    unanswerable: Evidence
    choices: Choices
    among: Integers

    @property
    def labelled(self) -> Labelled:
        """What they found, without the choices."""
        return Labelled(self.truth, self.answerable, self.unanswerable)

    def halves(self, rng: np.random.Generator) -> tuple[Questions, Questions]:
        """Cut in two at random."""
        chosen = rng.random(len(self.choices.truth)) < 0.5
        vain = rng.random(len(self.unanswerable)) < 0.5
        return self._half(chosen, vain), self._half(~chosen, ~vain)

    def _half(self, chosen: Mask, vain: Mask) -> Questions:
        rows = np.flatnonzero(chosen[self.among])
        return Questions(
            self.truth[rows],
            self.answerable.some(rows),
            self.unanswerable.some(np.flatnonzero(vain)),
            self.choices.some(np.flatnonzero(chosen)),
            (np.cumsum(chosen) - 1)[self.among[rows]],
        )


class Leaving:
    """Asks a store about its own records, each of which shares its value with others.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.repeated = np.flatnonzero(store.counts > 1)
        self._place = np.full(len(store.counts), -1, dtype=np.int64)
        self._place[self.repeated] = np.arange(len(self.repeated))
        self._live = store.index.live(np.arange(len(store.index)))
        #: Rows of records that share their value, ascending: array (h,), int64.
        self.shared = self._live[self._place[store.groups[self._live]] >= 0]

    @property
    def all_shared(self) -> bool:
        """Whether every record shares its value."""
        return len(self.shared) == len(self._live)

    @cached_property
    def _totals(self) -> Floats:
        """Sum of the keys of each value that repeats."""
        place = self._place[self.store.groups[self.shared]]
        return all_sums(self.store.index, self.shared, place, len(self.repeated))

    def choose(self, rows: Integers, scales: Scales) -> Choices:
        """Leave some records (m,) out, and look at values that several records hold alone."""
        (found,) = self._near(rows, scales, self.shared)
        evidence = self._left_out(rows, found, scales)
        return Choices(self.store.groups[rows], evidence, len(self.shared))

    def ask(
        self,
        rows: Integers,
        scales: Scales,
        rng: np.random.Generator,
        choices: Choices | None = None,
        among: Integers | None = None,
    ) -> Questions:
        """Leave some records (m,) out, and the values of as many.

        Parameters
        ----------
        rows : array (m,), int64
        scales : Scales
            How much each of the encoder's heads counts.
        rng : numpy.random.Generator
            Decides what else is left out.
        choices : Choices, optional
            Of these and of other records; by default of these, among all values that there are.
        among : array (m,), int64, optional
            Where these stand among the choices.
        """
        store, truth = self.store, self.store.groups[rows]
        hidden = _Hidden.drawn(self._totals, self._place, truth, rng)
        without_record, without_value = self._near(rows, scales, self._live, hidden)
        answerable = self._left_out(rows, without_record, scales)
        queries, found = store.queries(rows), without_value
        if len(self.repeated) < FEW_VALUES:
            queries = store.strangers
            found = store.index.neighbours(weigh(queries, scales), NEAR)
        return Questions(
            truth,
            answerable,
            self._evidence(queries, found, scales),
            choices or Choices(truth, answerable, len(self.shared)),
            np.arange(len(rows)) if among is None else among,
        )

    def _left_out(self, rows: Integers, found: tuple[Integers, Floats], scales: Scales) -> Evidence:
        keys = self.store.index.vectors(rows)
        return self._evidence(
            self.store.queries(rows), found, scales, self.store.groups[rows], keys
        )

    def _evidence(
        self,
        queries: Floats,
        found: tuple[Integers, Floats],
        scales: Scales,
        without: Integers | None = None,
        own_keys: Floats | None = None,
    ) -> Evidence:
        store, (indices, scores) = self.store, found
        return gather(
            queries,
            indices,
            scores,
            store.groups[np.maximum(indices, 0)],
            store.counts,
            lambda values: self._totals[self._place[values]],
            store.background,
            without,
            scales,
            own_keys,
        )

    def _near(
        self, rows: Integers, scales: Scales, keyed: Integers, hidden: _Hidden | None = None
    ) -> list[tuple[Integers, Floats]]:
        """Nearest of the `keyed` rows, and their scores: without the record, and the hidden."""
        index, m = self.store.index, len(rows)
        queries = weigh(self.store.queries(rows), scales)
        k = min(NEAR, len(keyed))
        bests = [
            (np.full((m, k), -1, dtype=np.int64), np.full((m, k), -np.inf, dtype=np.float32))
            for _ in range(1 if hidden is None else 2)
        ]
        place = np.searchsorted(keyed, rows)
        for start in range(0, len(keyed), _KEYS):
            block = keyed[start : start + _KEYS]
            keys = index.vectors(block).T
            for first in range(0, m, _ASKED):
                go_on()
                part = slice(first, min(m, first + _ASKED))
                scores = product(queries[part], keys)
                own = place[part] - start
                inside = np.flatnonzero((own >= 0) & (own < len(block)))
                scores[inside, own[inside]] = -np.inf
                _improve(bests[0], part, scores, start)
                if hidden is not None:
                    hidden.hide(scores, part, self.store.groups[block])
                    _improve(bests[1], part, scores, start)
        return [(np.where(i >= 0, keyed[i], -1), np.where(i >= 0, s, 0)) for i, s in bests]


def _improve(best: tuple[Integers, Floats], part: slice, scores: Floats, start: int) -> None:
    """Carry some rows of a running top-k over one more block."""
    best[0][part], best[1][part] = improve(best[0][part], best[1][part], scores, start)


class _Hidden(NamedTuple):
    """Values that are left out with a question's own: those most like it, few or many.

    Attributes
    ----------
    out : array (m, v + 1), bool
        Which of v values for which question; the last column: values that never are.
    column : array (u,), int64
        Of each distinct value, in `out`.
    truth : array (m,), int64, or None
        Each question's own value; None where `out` says it.
    """

    out: Mask
    column: Integers
    truth: Integers | None

    @classmethod
    def drawn(
        cls, totals: Floats, place: Integers, truth: Integers, rng: np.random.Generator
    ) -> _Hidden:
        """Draw them; `place` is where each distinct value stands among the `totals`, or −1."""
        means = totals / np.maximum(np.linalg.norm(totals, axis=1, keepdims=True), 1e-9)
        compared = np.arange(len(means))
        if len(means) > _VALUES:
            compared = np.sort(rng.choice(len(means), _VALUES, replace=False))
        most = np.log(max(1, len(compared) - 1))
        also = np.exp(rng.uniform(0, most, size=len(truth))).astype(np.int64)
        out = np.zeros((len(truth), len(compared) + 1), dtype=bool)
        for start in range(0, len(truth), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            likeness = product(means[place[truth[part]]], means[compared].T)
            order = np.argsort(-likeness, axis=1, kind="stable")
            nearest = np.arange(len(compared)) < also[part, None]
            np.put_along_axis(out[part], order, nearest, axis=1)
        column = np.full(len(place), len(compared), dtype=np.int64)
        column[np.flatnonzero(place >= 0)[compared]] = np.arange(len(compared))
        known = column[truth] < len(compared)
        out[known, column[truth[known]]] = True
        return cls(out, column, None if known.all() else truth)

    def hide(self, scores: Floats, part: slice, groups: Integers) -> None:
        """Let no record of these values be found: scores of some questions, groups of keys."""
        columns = self.column[groups]
        some = np.flatnonzero(columns < self.out.shape[1] - 1)
        hidden = np.take(self.out[part], columns[some], axis=1)
        if len(some) == len(groups):
            scores[hidden] = -np.inf
        elif len(some):
            scores[:, some] = np.where(hidden, -np.inf, scores[:, some])
        if self.truth is not None:
            scores[self.truth[part, None] == groups] = -np.inf
