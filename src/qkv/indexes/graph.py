"""Hierarchical navigable small worlds: each key knows its neighbours, a search walks along them."""

from __future__ import annotations

from typing import Any, ClassVar

from qkv.indexes.keys import some_of
from qkv.indexes.searched import FaissEngine, load_faiss
from qkv.types import Floats

__all__ = ["Graph"]

_LINKS = 16
_CARE = 100  # efConstruction


class Graph(FaissEngine):
    """HNSW (Malkov & Yashunin 2016), by `faiss`.

    Slow to build (minutes for 100,000 keys) and quick to ask; the time of a question hardly grows
    with the number of keys.

    Examples
    --------
    >>> import numpy as np
    >>> graph = Graph.build(np.eye(8, dtype=np.float32))
    >>> graph.remove(np.array([1]))
    >>> sorted(graph.nearest(np.ones((1, 8), dtype=np.float32), 9)[0].tolist())
    [-1, -1, 0, 2, 3, 4, 5, 6, 7]
    """

    name: ClassVar[str] = "graph"
    efforts: ClassVar[tuple[int, ...]] = (32, 64, 128, 256, 512, 1024)  # efSearch
    block: ClassVar[int] = 256

    def _trained(self, keys: Floats) -> Any:
        faiss = load_faiss()
        half, product = faiss.ScalarQuantizer.QT_bf16, faiss.METRIC_INNER_PRODUCT
        index = faiss.IndexHNSWSQ(keys.shape[1], half, _LINKS, product)
        index.hnsw.efConstruction = _CARE
        index.train(some_of(keys, 1))  # there is nothing to learn, but it wants to be asked
        return index

    def _parameters(self, k: int, share: float) -> Any:
        return load_faiss().SearchParametersHNSW(efSearch=self._looked_at(k, share))

    def _looked_at(self, k: int, share: float) -> int:
        # Rows that are left out are walked through, so as many more must be seen.
        return int(max(self.effort, 4 * k) / max(share, 1e-9))
