"""Search: the records themselves, ranked. Semantic so far."""

from __future__ import annotations

from qkv.indexes import Index
from qkv.types import Floats, Integers

__all__ = ["semantic"]


def semantic(index: Index, queries: Floats, k: int) -> tuple[Integers, Floats]:
    """Rank records by how alike their keys and the query are.

    Parameters
    ----------
    index : Index
    queries : array (m, d)
        Prepared for the index's metric.
    k : int
        How many records for each query.

    Returns
    -------
    rows : array (m, k), int64
        Best first; −1 where there are fewer.
    scores : array (m, k)
    """
    return index.neighbours(queries, k)
