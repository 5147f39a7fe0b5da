"""An array that grows at its end without disturbing those who read its beginning."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["Rows"]


class Rows:
    """A matrix with space to grow; rows once written never change.

    Parameters
    ----------
    matrix : array (n, d), or (n,) for a column
        The first rows.
    dtype : optional
        Of the entries: float32, unless told.

    Examples
    --------
    >>> import numpy as np
    >>> short = Rows(np.zeros((1, 2), dtype=np.float32))
    >>> long = short.append(np.ones((2, 2), dtype=np.float32))
    >>> len(short), long.matrix.tolist()
    (1, [[0.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    """

    def __init__(self, matrix: NDArray[Any], dtype: DTypeLike = np.float32) -> None:
        self._room = [np.ascontiguousarray(matrix, dtype=dtype)]
        self._used = [len(matrix)]  # shared by all that share the room
        self.matrix = self._room[0]

    def __len__(self) -> int:
        return len(self.matrix)

    def append(self, rows: NDArray[Any]) -> Rows:
        """Rows with more at the end: in the same memory if there is space and no one else grew."""
        start, stop = len(self), len(self) + len(rows)
        longer = Rows.__new__(Rows)
        longer._room, longer._used = self._room, self._used
        if start != self._used[0] or stop > len(self._room[0]):
            # Half as much again: adding one by one costs a constant number of copies each.
            room = np.empty(
                (max(stop, 64, 3 * start // 2), *rows.shape[1:]), dtype=self._room[0].dtype
            )
            if start:
                room[:start] = self.matrix
            longer._room, longer._used = [room], [start]
        longer._room[0][start:stop] = rows
        longer._used[0] = stop
        longer.matrix = longer._room[0][:stop]
        return longer
