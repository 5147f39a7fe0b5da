"""Moments of values that are kept from query to query, and follow the rows that come and go."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from qkv.attention import Beside, Dense, Groups, Nothing, Values
from qkv.indexes.far_field import BLOCK, FarField
from qkv.indexes.far_values import BesideMoments, DenseMoments, Moments, NoMoments, SpreadMoments
from qkv.types import Floats, Integers

__all__ = ["Change", "Kept"]

#: Most numbers in a table of groups by clusters; more groups are summed row by row instead.
_TABLE = 1 << 21
#: Kept at once: moments, and changes that lead from old ones to new ones.
_MOST = 8


@dataclass(frozen=True)
class Change:
    """Rows that came to clusters and rows that left them, from one far field to the next."""

    before: FarField
    after: FarField
    came: Integers
    came_to: Integers
    went: Integers
    went_from: Integers


@dataclass(frozen=True)
class _Entry:
    field: FarField
    values: Groups | weakref.ref[Any]
    place: int
    moments: DenseMoments


class Kept:
    """Moments of the values that were asked for lately, shared by all states of a store.

    Moments belong to a far field and to values. Those of the next far field are the old ones and
    what changed. Values are the same if they lie in the same memory (rows once written never
    change); groups are compared.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: list[_Entry] = []
        self._changes: list[Change] = []

    def follow(self, change: Change) -> None:
        """Remember how one far field became the next."""
        with self._lock:
            self._changes = [*self._changes, change][-_MOST:]

    def of(
        self,
        values: Values,
        field: FarField,
        labels: Integers,
        vectors: Callable[[Integers], Floats],
    ) -> Moments:
        """Moments of values in a far field: kept, brought up to date, or computed afresh.

        Parameters
        ----------
        values : Values
        field : FarField
        labels : array (n,)
            Cluster of each row; C for a row that is in none.
        vectors : callable
            Keys of some rows.
        """
        if isinstance(values, Nothing):
            return NoMoments()
        if isinstance(values, Beside):
            parts = (self.of(part, field, labels, vectors) for part in values.parts)
            return BesideMoments(tuple(parts))
        few = isinstance(values, Groups) and values.width * len(field.counts) <= _TABLE
        if isinstance(values, Dense) or (isinstance(values, Groups) and few):
            return self._vectors(values, field, labels, vectors)
        return SpreadMoments(values.width)

    def _vectors(
        self,
        values: Dense | Groups,
        field: FarField,
        labels: Integers,
        vectors: Callable[[Integers], Floats],
    ) -> DenseMoments:
        with self._lock:
            entries, changes = list(self._entries), list(self._changes)
        moments = None
        for entry in entries:
            moments = _followed(entry, values, field, labels, vectors, changes)
            if moments is not None:
                if entry.field is field and moments is entry.moments:
                    return moments
                entries = [other for other in entries if other is not entry]
                break
        if moments is None:
            moments = DenseMoments.none(len(field.counts), field.sums.shape[1], values)
            moments = _grown(moments, values, np.arange(len(labels)), labels, vectors, 1)
        entry = _Entry(field, _held(values), _place(values), moments)
        with self._lock:
            self._entries = [entry, *entries][:_MOST]
        return moments


def _followed(
    entry: _Entry,
    values: Dense | Groups,
    field: FarField,
    labels: Integers,
    vectors: Callable[[Integers], Floats],
    changes: list[Change],
) -> DenseMoments | None:
    """Moments that an entry leads to; None if it belongs to other values or another store."""
    old = entry.values() if isinstance(entry.values, weakref.ref) else entry.values
    path = _path(entry.field, field, changes)
    if path is None or entry.moments.sums.shape[0] != len(field.counts):
        return None
    moments = entry.moments
    if isinstance(values, Dense):
        if old is not _owner(values.matrix) or entry.place != _place(values):
            return None
    elif not isinstance(old, Groups) or old.width > values.width:
        return None
    else:
        moments = moments.widened(values.width)
        if old.ids is not values.ids:
            moments = _regrouped(moments, old, values, path, labels, vectors)
    for change in path:
        moments = _grown(moments, values, change.came, change.came_to, vectors, 1)
        moments = _grown(moments, values, change.went, change.went_from, vectors, -1)
    return moments


def _regrouped(
    moments: DenseMoments,
    old: Groups,
    new: Groups,
    path: list[Change],
    labels: Integers,
    vectors: Callable[[Integers], Floats],
) -> DenseMoments:
    """Let records whose group changed leave the old one and come to the new one."""
    came = sum(change.came.size for change in path)
    known = min(len(labels), *(_length(groups, len(labels)) for groups in (old, new)))
    moved = np.flatnonzero(_ids(old, known) != _ids(new, known))
    if came:  # those that came since were never in the old one
        later = np.concatenate([change.came for change in path])
        moved = moved[~np.isin(moved, later)]
    own = labels[moved].astype(np.int64)
    for change in path:  # those that went since were in a cluster then
        _, here, there = np.intersect1d(moved, change.went, return_indices=True)
        own[here] = change.went_from[there]
    moments = _grown(moments, old, moved, own, vectors, -1)
    return _grown(moments, new, moved, own, vectors, 1)


def _grown(
    moments: DenseMoments,
    values: Dense | Groups,
    rows: Integers,
    labels: Integers,
    vectors: Callable[[Integers], Floats],
    sign: int,
) -> DenseMoments:
    """Let rows come to their clusters or leave them, in blocks."""
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        own = labels[start : start + BLOCK]
        moments = moments.changed(vectors(some), values.at(some), own, sign)
    return moments


def _path(start: FarField, goal: FarField, changes: list[Change]) -> list[Change] | None:
    """Changes that lead from one far field to another; None if none do."""
    path: list[Change] = []
    while goal is not start:
        step = next((change for change in changes if change.after is goal), None)
        if step is None:
            return None
        path.append(step)
        goal = step.before
    return path[::-1]


def _held(values: Dense | Groups) -> Groups | weakref.ref[Any]:
    """What a later question is compared with, without keeping matrices alive."""
    return weakref.ref(_owner(values.matrix)) if isinstance(values, Dense) else values


def _owner(matrix: Floats) -> Any:
    """The array that owns the memory of a slice."""
    return matrix.base if isinstance(matrix.base, np.ndarray) else matrix


def _place(values: Dense | Groups) -> int:
    """Where in memory a matrix begins."""
    if isinstance(values, Groups):
        return 0
    return int(values.matrix.__array_interface__["data"][0])


def _length(groups: Groups, n: int) -> int:
    return n if groups.ids is None else len(groups.ids)


def _ids(groups: Groups, n: int) -> Integers:
    return np.arange(n) if groups.ids is None else groups.ids[:n]
