"""Records that are never learned from, so that there is always someone to ask how it went."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qkv.types import Integers

__all__ = ["held_out"]

#: One record in so many.
_SHARE = 5


def held_out(ids: Integers) -> NDArray[np.bool_]:
    """Whether records (m,), told by their ids, are held out: the same ones in every run.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(held_out(np.arange(15_000)).mean()), 2)
    0.2
    """
    # Knuth's multiplicative hash: neighbouring ids, which often share a value, are spread.
    spread = (ids.astype(np.uint64) * np.uint64(2654435761)) % np.uint64(1 << 32)
    chosen: NDArray[np.bool_] = (spread >> np.uint64(16)) % np.uint64(_SHARE) == 0
    return chosen
