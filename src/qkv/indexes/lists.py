"""Inverted lists: keys in clusters, of which the nearest are read."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from qkv.indexes.keys import some_of
from qkv.indexes.searched import FaissEngine, load_faiss
from qkv.types import Floats

__all__ = ["Lists"]

#: Lists for n keys: so many × √n.
_LISTS = 2.0
_SAMPLE = 50  # keys of each list that its centre is learned from


class Lists(FaissEngine):
    """IVF: k-means and the lists of its centres, by `faiss`.

    Quick to build; many lists must be read where keys have no clear clusters.

    Examples
    --------
    >>> import numpy as np
    >>> lists = Lists.build(np.eye(8, dtype=np.float32))
    >>> lists.remove(np.array([1]))
    >>> sorted(lists.nearest(np.ones((1, 8), dtype=np.float32), 9)[0].tolist())
    [-1, -1, 0, 2, 3, 4, 5, 6, 7]
    """

    name: ClassVar[str] = "lists"
    efforts: ClassVar[tuple[int, ...]] = (4, 8, 16, 32, 64, 128, 256, 512, 1024)  # nprobe
    block: ClassVar[int] = 16_384

    def _trained(self, keys: Floats) -> Any:
        faiss = load_faiss()
        half, product = faiss.ScalarQuantizer.QT_bf16, faiss.METRIC_INNER_PRODUCT
        count = max(1, min(round(_LISTS * math.sqrt(len(keys))), len(keys) // _SAMPLE))
        centres = faiss.IndexFlatIP(keys.shape[1])
        index = faiss.IndexIVFScalarQuantizer(centres, keys.shape[1], count, half, product, False)
        index.cp.min_points_per_centroid = 1
        index.train(some_of(keys, count * _SAMPLE))
        centres.this.disown()  # the index frees it
        index.own_fields = True
        return index

    def _parameters(self, k: int, share: float) -> Any:
        count = self._index.nlist
        # The tenth of a tenth of the rows is the hundredth of all: it lies further away.
        wider = max(1.0, k / 10) / max(share, 1e-9)
        probes = min(count, math.ceil(min(self.effort * wider, float(count))))
        return load_faiss().SearchParametersIVF(nprobe=probes)

    def _looked_at(self, k: int, share: float) -> int:
        return 4 * k if share < 1 else 0
