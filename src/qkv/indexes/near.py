"""What is near a query: rows scored exactly, in slices and in lists."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from qkv.attention import Beside, Dense, Values
from qkv.indexes.far_values import BesideMoments, DenseMoments, Moments
from qkv.ranking import top_k
from qkv.types import Floats, Integers

__all__ = ["Found", "Lists", "ranked", "runs", "spans", "within"]


@dataclass(frozen=True)
class Lists:
    """Lists of rows, one a cluster, end to end."""

    rows: Integers
    starts: Integers

    def of(self, clusters: Integers) -> Integers:
        """Rows of these clusters."""
        return self.rows[spans(self.starts[clusters], self.starts[clusters + 1])]


@dataclass
class Found:
    """Rows that one query scored: slices of the base, then others.

    The first `listed` of the others are of near clusters too.
    """

    slices: list[tuple[int, int]]
    others: Integers
    listed: int
    scores: Floats
    settled: int

    @cached_property
    def rows(self) -> Integers:
        """Every row that was scored."""
        lows, highs = self._edges
        return np.concatenate((spans(lows, highs), self.others))

    @cached_property
    def _edges(self) -> tuple[Integers, Integers]:
        edges = np.array(self.slices, dtype=np.int64).reshape(-1, 2)
        return edges[:, 0], edges[:, 1]

    @cached_property
    def _inside(self) -> int:
        return len(self.scores) - len(self.others)

    def at(self, columns: Integers) -> Integers:
        """Rows of some of the scores."""
        lows, highs = self._edges
        ends = np.cumsum(highs - lows)
        if not len(ends):
            return self.others[columns]
        run = np.minimum(np.searchsorted(ends, columns, side="right"), len(ends) - 1)
        inside = columns < self._inside
        rows = highs[run] - ends[run] + columns
        if len(self.others):
            rows = np.where(inside, rows, self.others[np.where(inside, 0, columns - self._inside)])
        return rows

    def leave_out(self, gone: Integers) -> None:
        """Give these rows (ascending) no score."""
        if not len(gone):
            return
        lows, highs = self._edges
        first, last = np.searchsorted(gone, lows), np.searchsorted(gone, highs)
        if (last > first).any():
            shifts = np.cumsum(highs - lows) - highs
            hit = spans(first, last)
            self.scores[gone[hit] + np.repeat(shifts, last - first)] = -np.inf
        self.scores[self._inside :][within(self.others, gone)] = -np.inf

    def proposed(self, labels: Integers, near: Integers) -> tuple[Integers, Floats]:
        """Settled rows from far clusters that were scored, and their scores."""
        own = np.flatnonzero(self.others < self.settled)
        rows, scores = self.others[own], self.scores[self._inside + own]
        far = (scores > -np.inf) & ~within(labels[rows], near)
        return rows[far], scores[far]

    def around(
        self, means: Floats, near: Integers, labels: Integers, spreads: Floats
    ) -> tuple[Floats, float, float]:
        """What the covariance is around the query, seen on the near clusters.

        Returns
        -------
        centred : array (rows,)
            Weights with which the values sum to Cᵀq.
        variance : float
            qᵀΣq.
        spread : float
            Mean ς of the near clusters; 0 if nothing can be seen.
        """
        centred = np.zeros_like(self.scores)
        whole = self._inside + self.listed
        if not whole:
            return centred, 0.0, 0.0
        counts = np.zeros(len(near), dtype=np.int64)
        lows, highs = self._edges
        own = np.empty(whole, dtype=np.int64)
        at = 0
        for low, high in zip(lows.tolist(), highs.tolist(), strict=True):
            own[at : at + high - low] = labels[low:high]
            at += high - low
        own[at:] = labels[self.others[: self.listed]]
        scored = (self.scores[:whole] > -np.inf) & (own < len(means))
        own = np.where(scored, own, near[0] if len(counts) else 0)
        held = max(1, int(np.count_nonzero(scored)))
        spread = float(spreads[own][scored].sum()) / held
        if spread <= 0:
            return centred, 0.0, 0.0
        away = np.where(scored, self.scores[:whole] - means[own], 0).astype(np.float32)
        centred[:whole] = away / (held * spread)
        return centred, float(away @ away) / (held * spread), spread

    def blend(
        self, weights: Floats, bent: Floats, values: Values, moments: Moments, output: Floats
    ) -> None:
        """Add the values by their weights to the output (1, width).

        ``bent`` are the weights with what :meth:`around` gives, for values that have moments.
        """
        if isinstance(values, Beside) and isinstance(moments, BesideMoments):
            end = 0
            for part, own in zip(values.parts, moments.parts, strict=True):
                self.blend(weights, bent, part, own, output[:, end : end + part.width])
                end += part.width
            return
        weights = bent if isinstance(moments, DenseMoments) else weights
        if not isinstance(values, Dense):
            output += values.take(weights[None], self.rows[None])
            return
        at = 0
        for low, high in self.slices:
            values.add(weights[None, at : at + high - low], low, high, output)
            at += high - low
        if len(self.others):
            output += values.take(weights[None, at:], self.others[None])


def ranked(found: list[Found], k: int) -> tuple[Integers, Floats]:
    """Best k rows of each query, best first."""
    indices = np.full((len(found), k), -1, dtype=np.int64)
    best = np.full((len(found), k), -np.inf, dtype=np.float32)
    for i, one in enumerate(found):
        columns, scores = top_k(one.scores[None], k)
        kept = columns[0] >= 0
        rows, scores = one.at(columns[0][kept]), scores[0][kept]
        order = np.lexsort((rows, -scores))
        indices[i, : len(rows)], best[i, : len(rows)] = rows[order], scores[order]
    return indices, best


def runs(lows: Integers, highs: Integers) -> list[tuple[int, int]]:
    """Slices, where one that begins at another's end continues it."""
    if not len(lows):
        return []
    first = np.flatnonzero(np.r_[True, lows[1:] != highs[:-1]])
    last = np.r_[first[1:] - 1, len(lows) - 1]
    return list(zip(lows[first].tolist(), highs[last].tolist(), strict=True))


def spans(lows: Integers, highs: Integers) -> Integers:
    """lows[0] … highs[0] − 1, lows[1] … highs[1] − 1, and so on."""
    lengths = highs - lows
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    rows: Integers = np.arange(total) + np.repeat(lows - ends + lengths, lengths)
    return rows


def within(rows: Integers, some: Integers) -> Any:
    """Which rows are among some others (ascending): array (n,), bool."""
    if not len(some):
        return np.zeros(len(rows), dtype=bool)
    at = np.minimum(np.searchsorted(some, rows), len(some) - 1)
    return some[at] == rows
