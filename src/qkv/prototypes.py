"""Prototypes: for each value, the sum of the keys that hold it.

Kept value by value, made when first asked for, and moved along with the records: a snapshot that
follows another shares what stayed the same.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from qkv.indexes import Index
from qkv.types import Floats, Integers

__all__ = ["Prototypes", "all_sums"]

#: Rows that are copied at a time.
_BLOCK = 20_000
#: Records that a change follows one by one.
_FOLLOWED = 1000


class Prototypes:
    """Sums of keys by distinct value.

    Threads may read at once: one may replace what another has just made, by the same.
    """

    def __init__(self, sums: dict[int, Floats] | None = None) -> None:
        self._sums: dict[int, Floats] = {} if sums is None else sums

    def sums(self, values: Integers, index: Index, groups: Integers) -> Floats:
        """Sum of the live keys of each value: array (v, d), float64.

        Parameters
        ----------
        values : array (v,), int64
            Numbers of distinct values.
        index : Index
        groups : array (n,), int64
            Number of the distinct value of each row.
        """
        made = []
        for value in values.tolist():
            total = self._sums.get(value)
            if total is None:
                rows = index.live(np.flatnonzero(groups == value))
                total = _sum(index, rows)
                self._sums[value] = total
            made.append(total)
        return np.array(made)

    def moved(
        self, index: Index, left: Iterable[tuple[int, int]], came: Iterable[tuple[int, int]]
    ) -> Prototypes:
        """Follow records: (row, value) pairs that left a value, and that came to one."""
        sums = dict(self._sums)
        moves = [
            (row, value, sign)
            for sign, pairs in ((-1, left), (1, came))
            for row, value in pairs
            if value in sums
        ]
        for row, value, sign in moves[:_FOLLOWED]:
            sums[value] = sums[value] + sign * index.vectors(np.array([row]))[0]
        for _, value, _ in moves[_FOLLOWED:]:  # to be made anew
            sums.pop(value, None)
        return Prototypes(sums)


def _sum(index: Index, rows: Integers) -> Floats:
    total = np.zeros(index.dimension)
    for start in range(0, len(rows), _BLOCK):
        total += index.vectors(rows[start : start + _BLOCK]).sum(axis=0, dtype=np.float64)
    return total


def all_sums(index: Index, rows: Integers, groups: Integers, width: int) -> Floats:
    """Sum of the keys of each group at once: array (width, d), float64.

    Parameters
    ----------
    index : Index
    rows : array (r,), int64
    groups : array (r,), int64
        Group, 0 … width − 1, of each of these rows.
    width : int
    """
    sums = np.zeros((width, index.dimension))
    order = np.argsort(groups, kind="stable")
    for start in range(0, len(rows), _BLOCK):
        part = order[start : start + _BLOCK]
        found, firsts = np.unique(groups[part], return_index=True)
        # A group that goes on in the next block is added to there.
        sums[found] += np.add.reduceat(index.vectors(rows[part]), firsts, axis=0, dtype=np.float64)
    return sums
