"""What the weights blend: matrices, one-hot groups of equal values, several of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from qkv.attention.softmax import product
from qkv.types import Floats, Integers

__all__ = ["Beside", "Dense", "Groups", "Nothing", "Values"]


class Values(Protocol):
    """What the weights blend: anything that can add Σ wᵢ vᵢ of a block of records to a sum."""

    @property
    def width(self) -> int:
        """Columns of the output."""

    def add(self, weights: Floats, start: int, stop: int, output: Floats) -> None:
        """Add the blend of records start … stop, by weights (m, stop − start), to the output."""

    def take(self, weights: Floats, indices: Integers) -> Floats:
        """Blend the records at indices (m, k; −1 is none) by weights (m, k) to (m, width)."""

    def at(self, rows: Integers) -> Values:
        """The values of these records alone."""


@dataclass(frozen=True)
class Nothing:
    """Values of width 0, for when only the weights are wanted."""

    width: int = 0

    def add(self, weights: Floats, start: int, stop: int, output: Floats) -> None:
        """Add nothing."""

    def take(self, weights: Floats, indices: Integers) -> Floats:
        """Return an array (m, 0)."""
        del indices
        return np.zeros((len(weights), 0), dtype=weights.dtype)

    def at(self, rows: Integers) -> Nothing:
        """Return itself."""
        del rows
        return self


@dataclass(frozen=True)
class Dense:
    """Values that are the rows of a matrix (n, width)."""

    matrix: Floats

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return int(self.matrix.shape[1])

    def add(self, weights: Floats, start: int, stop: int, output: Floats) -> None:
        """Add ``weights @ matrix[start:stop]``."""
        if len(weights) == 1:  # a matrix-vector product reads the matrix once, at memory speed
            output[0] += product(weights[0], self.matrix[start:stop])
        else:
            output += product(weights, self.matrix[start:stop])

    def take(self, weights: Floats, indices: Integers) -> Floats:
        """Blend the rows at indices."""
        rows = self.matrix[np.maximum(indices, 0)]
        blended: Floats = np.einsum("mk,mkd->md", np.where(indices >= 0, weights, 0), rows)
        return blended

    def at(self, rows: Integers) -> Dense:
        """Copy these rows."""
        return Dense(self.matrix[rows])


@dataclass(frozen=True)
class Groups:
    """One-hot values: column g of the output is the total weight of the records of group g.

    The distribution over *distinct* stored values is attention whose values are one-hot; summing
    the weights of equal values is then the same operation as blending vectors.

    Attributes
    ----------
    ids : array (n,), int64, or None
        Group of each record; None: record i is group i.
    width : int
        Number of groups.
    """

    ids: Integers | None
    width: int

    def add(self, weights: Floats, start: int, stop: int, output: Floats) -> None:
        """Add each weight to the column of its record's group."""
        if self.ids is None:
            output[:, start:stop] += weights
        else:
            ids = self.ids[start:stop]
            for row, sums in zip(weights, output, strict=True):  # no index for each weight
                np.add(
                    sums,
                    np.bincount(ids, weights=row, minlength=self.width),
                    out=sums,
                    casting="same_kind",
                )

    def take(self, weights: Floats, indices: Integers) -> Floats:
        """Sum the weights at indices by group."""
        safe = np.maximum(indices, 0)
        ids = safe if self.ids is None else self.ids[safe]
        return self._sum(np.where(indices >= 0, weights, 0), ids)

    def at(self, rows: Integers) -> Groups:
        """The groups of these records; the output keeps a column for each group."""
        return Groups(rows if self.ids is None else self.ids[rows], self.width)

    def _sum(self, weights: Floats, ids: Integers) -> Floats:
        rows = len(weights)
        columns = (ids + np.arange(rows)[:, None] * self.width).ravel()
        sums = np.bincount(columns, weights=weights.ravel(), minlength=rows * self.width)
        blended: Floats = sums.reshape(rows, self.width).astype(weights.dtype)
        return blended


@dataclass(frozen=True)
class Beside:
    """Several values per record, their outputs side by side."""

    parts: tuple[Values, ...]

    @property
    def width(self) -> int:
        """Columns of all parts together."""
        return sum(part.width for part in self.parts)

    def add(self, weights: Floats, start: int, stop: int, output: Floats) -> None:
        """Add each part to its own columns."""
        for part, columns in self._columns():
            part.add(weights, start, stop, output[:, columns])

    def take(self, weights: Floats, indices: Integers) -> Floats:
        """Blend each part at indices."""
        return np.hstack([part.take(weights, indices) for part in self.parts])

    def at(self, rows: Integers) -> Beside:
        """Each part's values of these records."""
        return Beside(tuple(part.at(rows) for part in self.parts))

    def _columns(self) -> Iterator[tuple[Values, slice]]:
        end = 0
        for part in self.parts:
            yield part, slice(end, end + part.width)
            end += part.width
