"""What engines do with keys and rows alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qkv.types import Floats, Integers

__all__ = ["found_rows", "live_rows", "some_of"]

#: Keys read at a time: they may be memory-mapped.
_BLOCK = 16_384


def live_rows(keys: Floats) -> Integers:
    """Rows that are not all zeros, ascending."""
    blocks = (
        start + np.flatnonzero(keys[start : start + _BLOCK].any(axis=1))
        for start in range(0, len(keys), _BLOCK)
    )
    return np.concatenate([np.zeros(0, dtype=np.int64), *blocks])


def some_of(keys: Floats, count: int, rows: Integers | None = None) -> Floats:
    """Keys of so many rows at random, of those given or of all; of all of them if there are fewer.

    Examples
    --------
    >>> import numpy as np
    >>> some_of(np.arange(6.0).reshape(3, 2), 9).tolist()
    [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    """
    rows = np.arange(len(keys)) if rows is None else rows
    if count < len(rows):
        rows = np.sort(np.random.default_rng(0).choice(rows, count, replace=False))
    return np.ascontiguousarray(keys[rows], dtype=np.float32)


def found_rows(rows: NDArray[np.integer[Any]], k: int) -> Integers:
    """Rows as int64, with −1 up to k columns.

    Examples
    --------
    >>> import numpy as np
    >>> found_rows(np.array([[4, 2]]), 3).tolist()
    [[4, 2, -1]]
    """
    wanted = rows.astype(np.int64, copy=False)
    short = k - rows.shape[1]
    if short <= 0:
        return wanted
    return np.pad(wanted, ((0, 0), (0, short)), constant_values=-1)
