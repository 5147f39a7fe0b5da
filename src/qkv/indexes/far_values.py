"""The values of a far field: their moments in each cluster, kept up to date.

Vectors have a mean in each cluster and one covariance with the keys, tied for the whole store.
One-hot groups are vectors too while they are few; where nearly every record has a value of its
own, each member's expected weight goes to its own value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from qkv.attention import Beside, Dense, Groups, Values, product
from qkv.indexes.far_field import BLOCK, Far, FarField, add_rows, ratio
from qkv.types import Floats, Integers

__all__ = [
    "BesideMoments",
    "DenseMoments",
    "Moments",
    "NoMoments",
    "Reading",
    "SpreadMoments",
]

#: Less than any mass.
_FAINT = np.finfo(np.float32).tiny


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
