"""How much an engine finds: its recall on questions whose exact neighbours are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from qkv.attention import Nothing, product, stream
from qkv.types import Floats, Integers

__all__ = ["ENOUGH", "Trial"]

#: k → the recall at k that an engine aims at when it chooses how hard to look.
ENOUGH = {10: 0.995, 50: 0.99}
_QUERIES = 128
#: Length of the random step from a key to the query beside it, of the key's own length.
_STEP = 0.3
#: By which a score may differ when it is computed in another order, of the vectors' lengths.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Trial:
    """Queries and their exact neighbours.

    Attributes
    ----------
    keys : array (n, d), float32
    queries : array (m, d), float32
    own : array (m,), int64
        Row that each query was made of, which does not count as found; −1 for none.
    worst : dict of int to array (m,)
        k → score of the k-th best row.
    """

    keys: Floats
    queries: Floats
    own: Integers
    worst: dict[int, Floats]

    @classmethod
    def of(cls, keys: Floats, live: Integers, queries: Floats | None = None) -> Trial:
        """Ask near some of the keys, or what was given.

        A key itself would be too easy a question for a graph, of which it is a node: the query is
        a random step away.

        Parameters
        ----------
        keys : array (n, d), float32
        live : array (l,), int64
            Rows that can be found, ascending.
        queries : array (m, d), float32, optional
            By default 128, made of the keys.
        """
        rng = np.random.default_rng(0)
        if queries is None:
            own = np.sort(rng.choice(live, min(_QUERIES, len(live)), replace=False))
            near = np.asarray(keys[own], dtype=np.float32)
            step = rng.standard_normal(near.shape, dtype=np.float32) / np.sqrt(near.shape[1])
            queries = near + _STEP * step * np.linalg.norm(near, axis=1, keepdims=True)
        else:
            own = np.full(len(queries), -1)
        blank = np.setdiff1d(np.arange(len(keys)), live, assume_unique=True)
        most = max(ENOUGH)
        best = stream(queries, keys, Nothing(), temperature=1.0, k=most + 1, skip=blank)
        others = -np.sort(-np.where(best.indices == own[:, None], -np.inf, best.scores), axis=1)
        worst = {k: others[:, min(k, others.shape[1]) - 1] for k in ENOUGH}
        return cls(keys, queries, own, worst)

    def recall(self, nearest: Callable[[Floats, int], Integers], k: int = 10) -> float:
        """Share of the k best that are among the candidates for k.

        Parameters
        ----------
        nearest : callable
            (queries, k) → candidate rows, array (m, c), as engines answer.
        k : int
            10 or 50.
        """
        hits = 0
        proposed = nearest(self.queries, k)
        for query, own, worst, rows in zip(
            self.queries, self.own, self.worst[k], proposed, strict=True
        ):
            others = rows[(rows >= 0) & (rows != own)]
            near = self.keys[others]
            # A row that ties with the k-th is as good as it; rounding must not count as a miss.
            slack = _ROUNDING * np.linalg.norm(query) * np.linalg.norm(near, axis=1)
            hits += min(k, int(np.sum(product(near, query) >= worst - slack)))
        return hits / (k * max(1, len(self.queries)))

    def enough(self, nearest: Callable[[Floats, int], Integers]) -> bool:
        """Whether as much is found as engines aim at."""
        return all(self.recall(nearest, k) >= share for k, share in ENOUGH.items())
