"""Vectors in the file: little-endian numbers of single or, where it is agreed, half precision.

Half precision rounds a component by one part in 2,000 at most, a cosine by some 1e-5, and takes
half the space. What is computed with is float32 in any case.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qkv.errors import CorruptFile
from qkv.types import Floats

__all__ = ["HALF", "PRECISION", "SINGLE", "packed", "unpacked"]

#: Setting that says it, and what it may say; a file without it keeps single precision.
PRECISION, SINGLE, HALF = "precision", "<f4", "<f2"


def packed(vectors: Floats, precision: str) -> list[bytes]:
    """Vectors (n, d) as they are kept."""
    return [row.tobytes() for row in np.ascontiguousarray(vectors, dtype=precision)]


def unpacked(vectors: Sequence[bytes | None], precision: str) -> Floats:
    """Vectors as they are computed with: array (n, d), float32.

    Raises
    ------
    CorruptFile
        If they are not of one length.
    """
    sizes = {len(vector) if isinstance(vector, bytes) else 0 for vector in vectors}
    if len(sizes) != 1 or max(sizes) == 0 or max(sizes) % np.dtype(precision).itemsize:
        raise CorruptFile("vectors of different lengths are in the file; restore it from a copy")
    matrix = np.frombuffer(b"".join(vectors), dtype=precision)  # type: ignore[arg-type]
    single: Floats = matrix.reshape(len(vectors), -1).astype("<f4", copy=False)
    return single
