"""The exact index: every key is read for every query. The reference for all others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qkv.attention import Nothing, Partial, Values, product, stream
from qkv.rows import Rows
from qkv.types import Floats, Integers

__all__ = ["FlatIndex"]

#: Keys are copied for a filter that keeps at most one row of so many.
_SPARSE = 4


class FlatIndex:
    """Keys in one matrix, scored by one matrix product.

    Parameters
    ----------
    keys : array (n, d), float32
        Prepared keys; see :func:`qkv.attention.prepare`.

    Examples
    --------
    >>> import numpy as np
    >>> index = FlatIndex(np.eye(2, dtype=np.float32))
    >>> rows, scores = index.neighbours(np.array([[0.6, 0.8]], dtype=np.float32), 1)
    >>> rows.tolist()
    [[1]]
    """

    def __init__(self, keys: Floats) -> None:
        self._keys = Rows(keys)
        self._skip = _blank(keys, 0)

    @classmethod
    def _of(cls, keys: Rows, skip: Integers) -> FlatIndex:
        index = cls.__new__(cls)
        index._keys, index._skip = keys, skip
        return index

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def removed(self) -> int:
        """Rows that are never found: removed, or keys of zeros."""
        return len(self._skip)

    @property
    def dimension(self) -> int:
        """Length of the keys; 0 while there are none."""
        return int(self._keys.matrix.shape[1])

    @property
    def matrix(self) -> Floats:
        """All keys (n, d), those of removed rows included."""
        return self._keys.matrix

    def live(self, rows: Integers) -> Integers:
        """Those of some rows that can be found."""
        return rows[~np.isin(rows, self._skip)] if len(self._skip) else rows

    def vectors(self, rows: Integers) -> Floats:
        """Keys of some rows: array (len(rows), d)."""
        keys: Floats = self._keys.matrix[rows]
        return keys

    def add(self, keys: Floats) -> FlatIndex:
        """Append keys (n, d)."""
        skip = np.concatenate((self._skip, _blank(keys, len(self))))
        return FlatIndex._of(self._keys.append(keys), skip)

    def remove(self, rows: Integers) -> FlatIndex:
        """Leave these rows out from now on."""
        return FlatIndex._of(self._keys, np.union1d(self._skip, rows))

    def partial(
        self,
        queries: Floats,
        values: Values,
        *,
        temperature: float,
        k: int = 10,
        among: Integers | None = None,
        tolerance: float | None = None,
    ) -> Partial:
        """Attend to every row that is left, or to those among some rows (ascending).

        Exactly, whatever the tolerance.
        """
        del tolerance
        keys = self._keys.matrix
        if among is None:
            return stream(queries, keys, values, temperature=temperature, k=k, skip=self._skip)
        if len(among) > len(self) // _SPARSE:  # reading all keys costs less than copying some
            left_out = np.ones(len(self), dtype=bool)
            left_out[among] = False
            left_out[self._skip] = True
            skip = np.flatnonzero(left_out)
            return stream(queries, keys, values, temperature=temperature, k=k, skip=skip)
        among = among[~np.isin(among, self._skip)] if len(self._skip) else among
        part = stream(queries, keys[among], values.at(among), temperature=temperature, k=k)
        found = part.indices >= 0
        return replace(part, indices=np.where(found, among[part.indices], -1))

    def neighbours(
        self, queries: Floats, k: int, among: Integers | None = None
    ) -> tuple[Integers, Floats]:
        """Best k rows for each query, best first, and their scores."""
        part = self.partial(queries, Nothing(), temperature=1.0, k=k, among=among)
        return part.indices, part.scores

    def scores(self, query: Floats, rows: Integers) -> Floats:
        """Scores of some rows for one query (d,)."""
        return product(self._keys.matrix[rows], query)


def _blank(keys: Floats, start: int) -> Integers:
    """Rows of zeros: the encoder understood nothing, so nothing may find them."""
    return start + np.flatnonzero(~keys.any(axis=1))
