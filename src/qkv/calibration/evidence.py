"""What speaks for each possible answer: the records near the query, value by value.

Only the neighbourhood of a query is looked at, so that a million records that have nothing to do
with it change nothing. For each value that the nearest records hold:

- *nearest*: the score of the nearest record that holds it;
- *prototype*: the score of the mean of all keys that hold it (prototypical networks: Snell,
  Swersky & Zemel 2017), a second head of the attention that knows what the value's keys have in
  common. A value that one record holds has that record as its prototype;
- *count*: how many records hold it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qkv.attention import product
from qkv.calibration.heads import Scales, weigh
from qkv.types import Floats, Integers

__all__ = ["CANDIDATES", "NEAR", "Evidence", "gather"]

#: Records near a query that are looked at.
NEAR = 50
#: Different values among them, at most.
CANDIDATES = 16


@dataclass(frozen=True)
class Evidence:
    """What m queries found, up to c values each.

    Attributes
    ----------
    values : array (m, c), int64
        Numbers of distinct values, by their nearest record; −1 where there are fewer.
    nearest, prototype : array (m, c)
        Scores; 0 where there is no value.
    counts : array (m, c)
        Records that hold the value.
    background : array (m,)
        Score of the background for the query.
    rows : array (m, c), int64
        Row of the nearest record that holds the value; −1 where there is none.
    contradiction : array (m, c), optional
        Logits, ≤ 0, by which a value is less likely because what its nearest record says
        contradicts the query: see :mod:`qkv.guard`.
    """

    values: Integers
    nearest: Floats
    prototype: Floats
    counts: Floats
    background: Floats
    rows: Integers
    contradiction: Floats | None = None

    def __len__(self) -> int:
        return len(self.values)

    def against(self, columns: Integers) -> Floats:
        """What speaks against one value of each query: logits (m,), ≤ 0."""
        if self.contradiction is None:
            return np.zeros(len(self))
        spoken: Floats = self.contradiction[np.arange(len(self)), columns]
        return spoken

    def some(self, rows: Integers) -> Evidence:
        """That of some queries."""
        return Evidence(
            self.values[rows],
            self.nearest[rows],
            self.prototype[rows],
            self.counts[rows],
            self.background[rows],
            self.rows[rows],
            None if self.contradiction is None else self.contradiction[rows],
        )


def gather(
    queries: Floats,
    indices: Integers,
    scores: Floats,
    groups: Integers,
    counts: Integers,
    sums: Callable[[Integers], Floats],
    background: Floats,
    without: Integers | None = None,
    scales: Scales = (),
    own_keys: Floats | None = None,
    by: Floats | None = None,
) -> Evidence:
    """Look at the records near each query.

    Parameters
    ----------
    queries : array (m, d)
        Prepared queries, whose heads count as the encoder has it.
    indices, scores : array (m, k)
        Rows of the nearest records, best first, −1 for none, and their scores.
    groups : array (m, k), int64
        Number of the distinct value of each of them.
    counts : array (u,), int64
        Records that hold each distinct value.
    sums : callable
        Sum of the keys (v, d) that hold each of some distinct values.
    background : array (d,)
        See :func:`qkv.encoders.background.background`.
    without : array (m,), int64, optional
        Number of a value from which the query itself, as one of its keys, is left out.
    scales : Scales
        How much each head counts in the scores.
    own_keys : array (m, d), optional
        The key that is left out for each query; by default the query itself.
    by : array (m, k), optional
        What words added to the scores: see :mod:`qkv.lexical`. It speaks for the value as it does
        for the record, and is added to the prototype's score, too.

    Returns
    -------
    Evidence
    """
    there = indices >= 0
    columns = _first_of_each(groups, there)
    values = np.where(columns >= 0, np.take_along_axis(groups, np.maximum(columns, 0), 1), -1)
    nearest = np.where(values >= 0, np.take_along_axis(scores, np.maximum(columns, 0), 1), 0)
    held = np.where(values >= 0, counts[np.maximum(values, 0)], 0).astype(np.float64)
    own = np.zeros(values.shape, dtype=bool) if without is None else values == without[:, None]
    held -= own
    prototype = nearest.astype(np.float64)
    rows, places = np.nonzero(held > 1)
    if len(rows):
        wanted, which = np.unique(values[rows, places], return_inverse=True)
        # Half of each factor to the query and half to the keys: so are lengths weighed, too.
        halves = tuple((size, float(np.sqrt(factor))) for size, factor in scales)
        totals = weigh(sums(wanted), halves)[which]
        asked = weigh(queries, halves)[rows]
        left_out = asked if own_keys is None else weigh(own_keys, halves)[rows]
        totals = totals - np.where(own[rows, places][:, None], left_out, 0)
        lengths = np.sqrt(np.einsum("ij,ij->i", totals, totals))
        prototype[rows, places] = np.einsum("ij,ij->i", asked, totals) / np.maximum(lengths, 1e-9)
        if by is not None:
            prototype[rows, places] += by[rows, columns[rows, places]]
    return Evidence(
        values,
        nearest.astype(np.float64),
        prototype,
        held,
        product(weigh(queries, scales), background),
        np.where(values >= 0, np.take_along_axis(indices, np.maximum(columns, 0), 1), -1),
    )


def _first_of_each(groups: Integers, there: NDArray[np.bool_]) -> Integers:
    """Columns where a value appears for the first time, in order; −1 where there are fewer."""
    k = groups.shape[1]
    same = (groups[:, :, None] == groups[:, None, :]) & there[:, None, :]
    first = there & (same.argmax(axis=2) == np.arange(k))
    order = np.argsort(~first, axis=1, kind="stable")[:, :CANDIDATES]
    return np.where(np.take_along_axis(first, order, 1), order, -1)
