"""The values of a far field: their moments in each cluster, kept up to date.

Vectors have a mean in each cluster and one covariance with the keys, tied for the whole store.
One-hot groups are vectors too while they are few; where nearly every record has a value of its
own, each member's expected weight goes to its own value.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from qkv.attention import Beside, Dense, Groups, Nothing, Values, product
from qkv.indexes.far_field import BLOCK, Far, FarField, add_rows, ratio
from qkv.types import Floats, Integers

__all__ = [
    "BesideMoments",
    "Change",
    "DenseMoments",
    "Kept",
    "Moments",
    "NoMoments",
    "Reading",
    "SpreadMoments",
]

#: Most numbers in a table of groups by clusters; more groups are summed row by row instead.
_TABLE = 1 << 21
#: Less than any mass.
_FAINT = np.finfo(np.float32).tiny
#: Kept at once: moments, and changes that lead from old ones to new ones.
_MOST = 8


@dataclass(frozen=True)
class Reading:
    """What the moments of values are asked for: queries (m, d) and their far field.

    `labels` (n,) holds the cluster of each row, C for a row that is in none; `share` (C,) is the
    share of each cluster's members that is asked about, None for all. `local` (m, C) is the part
    of each cluster's covariance with the keys that is seen on the near clusters instead.
    """

    queries: Floats
    far: Far
    field: FarField
    labels: Integers
    local: Floats
    share: Floats | None = None


class Moments(Protocol):
    """What is kept of the values of a far field."""

    @property
    def width(self) -> int:
        """Columns of the values."""

    def blend(self, read: Reading, values: Values) -> Floats:
        """Expected Σ exp((s − maximum) / τ) v of the far field: array (m, width)."""

    def scatter(self, field: FarField) -> float:
        """Mean squared distance of a value from its cluster's mean."""

    def clip(self, output: Floats) -> None:
        """Take out, in place, what no weights ≥ 0 can give."""


@dataclass(frozen=True)
class NoMoments:
    """Moments of values of width 0."""

    width: int = 0

    def blend(self, read: Reading, values: Values) -> Floats:
        """An array (m, 0)."""
        del values
        return np.zeros((len(read.queries), 0), dtype=np.float32)

    def scatter(self, field: FarField) -> float:
        """0: there is nothing to be wrong about."""
        del field
        return 0.0

    def clip(self, output: Floats) -> None:
        """Nothing to do."""


@dataclass(frozen=True)
class DenseMoments:
    """Moments of vectors, and of one-hot groups where they are few.

    Attributes
    ----------
    sums : array (C, width), float64
        Σ v in each cluster.
    cross : array (d, width), float64
        Σ k vᵀ over all clusters.
    squares : float
        Σ ‖v‖².
    groups : bool
        Whether the values are one-hot: then no column is ever negative.
    """

    sums: Floats
    cross: Floats
    squares: float
    groups: bool = False

    @classmethod
    def none(cls, count: int, dimension: int, values: Dense | Groups) -> DenseMoments:
        """Moments of no records, in so many clusters of keys of this dimension."""
        shape = (dimension, values.width)
        groups = isinstance(values, Groups)
        return cls(np.zeros((count, values.width)), np.zeros(shape), 0.0, groups)

    def changed(
        self, keys: Floats, values: Dense | Groups, labels: Integers, sign: int = 1
    ) -> DenseMoments:
        """The moments once records came to their clusters, or went (sign −1)."""
        count = len(self.sums)
        sums, cross, squares = self.sums.copy(), self.cross.copy(), self.squares
        for start in range(0, len(labels), BLOCK):
            own = labels[start : start + BLOCK]
            rows = np.flatnonzero(own < count)
            block, own = np.asarray(keys[start : start + BLOCK])[rows], own[rows]
            if isinstance(values, Groups):
                ids = rows + start if values.ids is None else values.ids[rows + start]
                table = np.bincount(own * self.width + ids, minlength=sums.size)
                sums += sign * table.reshape(sums.shape)
                by_group = np.zeros((self.width, len(cross)))
                add_rows(by_group, block, ids, sign)
                cross += by_group.T
                squares += sign * len(rows)
            else:
                vectors = np.asarray(values.matrix[start : start + BLOCK])[rows]
                add_rows(sums, vectors, own, sign)
                cross += sign * product(block.T, vectors)
                squares += sign * float(np.einsum("ij,ij->", vectors, vectors, dtype=np.float64))
        return DenseMoments(sums, cross, max(0.0, squares), self.groups)

    @property
    def width(self) -> int:
        """Columns of the values."""
        return int(self.sums.shape[1])

    def widened(self, width: int) -> DenseMoments:
        """The same with room for more groups."""
        more = width - self.width
        if not more:
            return self
        sums = np.pad(self.sums, ((0, 0), (0, more)))
        return replace(self, sums=sums, cross=np.pad(self.cross, ((0, 0), (0, more))))

    @cached_property
    def _sums(self) -> Floats:
        return self.sums.astype(np.float32)

    def blend(self, read: Reading, values: Values) -> Floats:
        """Expected Σ exp((s − maximum) / τ) v of the far field: array (m, width)."""
        del values
        far, field = read.far, read.field
        each = far.each if read.share is None else far.each * read.share
        output = product(each.astype(np.float32), self._sums)
        tilt = ((1 - read.local) * far.mass * far.shift) @ field.spreads
        output += tilt[:, None].astype(np.float32) * product(read.queries, self._tied(field))
        return output

    def _tied(self, field: FarField) -> Floats:
        """C, the covariance of keys and values within clusters: array (d, width), float32."""
        if "tied" not in self.__dict__:
            between = product(ratio(field.sums, field.counts).T, self.sums)
            tied = ((self.cross - between) / max(field.total, 1.0)).astype(np.float32)
            self.__dict__["tied"] = tied
        found: Floats = self.__dict__["tied"]
        return found

    def scatter(self, field: FarField) -> float:
        """Mean squared distance of a value from its cluster's mean."""
        if "within" not in self.__dict__:
            means = ratio(self.sums, field.counts)
            between = float(np.einsum("ij,ij->", means, self.sums))
            self.__dict__["within"] = max(0.0, self.squares - between) / max(field.total, 1.0)
        return float(self.__dict__["within"])

    def clip(self, output: Floats) -> None:
        """No group has a negative weight."""
        if self.groups:
            total = output.sum(axis=1, keepdims=True)
            np.maximum(output, 0, out=output)
            output *= total / np.maximum(output.sum(axis=1, keepdims=True), _FAINT)


@dataclass(frozen=True)
class SpreadMoments:
    """No moments: each member's expected weight is given to its own value.

    For values that are no vectors and of too many kinds for a table: the output is then as long as
    the store is, or nearly so, and there is no cheaper way to fill it.
    """

    width: int

    def blend(self, read: Reading, values: Values) -> Floats:
        """Expected Σ exp((s − maximum) / τ) v of the far field: array (m, width)."""
        output = np.zeros((len(read.queries), values.width), dtype=np.float32)
        each = np.zeros((len(output), len(read.field.counts) + 1), dtype=np.float32)
        each[:, :-1] = read.far.each
        for row, sums in zip(each, output, strict=True):
            values.add(row[read.labels][None], 0, len(read.labels), sums[None])
        return output

    def scatter(self, field: FarField) -> float:
        """1: a value of its own is as far from its cluster's mean as it is long."""
        del field
        return 1.0

    def clip(self, output: Floats) -> None:
        """No group has a negative weight."""
        np.maximum(output, 0, out=output)


@dataclass(frozen=True)
class BesideMoments:
    """Moments of several values per record."""

    parts: tuple[Moments, ...]

    @property
    def width(self) -> int:
        """Columns of all parts together."""
        return sum(part.width for part in self.parts)

    def blend(self, read: Reading, values: Values) -> Floats:
        """Each part's, side by side."""
        parts = values.parts if isinstance(values, Beside) else ()
        blended = [own.blend(read, part) for own, part in zip(self.parts, parts, strict=True)]
        return np.hstack(blended)

    def scatter(self, field: FarField) -> float:
        """Of all parts together."""
        return sum(part.scatter(field) for part in self.parts)

    def clip(self, output: Floats) -> None:
        """Each part's columns."""
        end = 0
        for part in self.parts:
            part.clip(output[:, end : end + part.width])
            end += part.width


# ── kept ─────────────────────────────────────────────────────────────────────────────────────


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
