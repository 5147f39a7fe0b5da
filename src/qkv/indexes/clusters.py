"""k-means: keys that lie close to one another, found together.

Lloyd's algorithm on a sample, and one pass over all keys at the end. The work is matrix products,
in blocks, so keys may be mapped from a file that does not fit into memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qkv.attention import product
from qkv.errors import InputError
from qkv.types import Floats, Integers

__all__ = ["Clusters", "assign", "cluster", "cluster_count"]

Progress = Callable[[int, int], None]

#: Keys per centroid that Lloyd's algorithm looks at; more hardly lower the inertia.
_SAMPLE = 32
#: Keys of so many dimensions are short.
_SHORT = 128
#: Scores held at once: 16 MB of float32.
_BLOCK = 4 << 20


@dataclass(frozen=True)
class Clusters:
    """Which cluster each key belongs to.

    Attributes
    ----------
    centroids : array (C, d), float32
    assignment : array (n,), int32
        Cluster of each key.
    """

    centroids: Floats
    assignment: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.centroids)

    def counts(self) -> Integers:
        """Keys in each cluster: array (C,), int64."""
        return np.bincount(self.assignment, minlength=len(self))

    def starts(self) -> Integers:
        """Where each cluster begins, and the last ends, once keys lie in cluster order (C + 1,)."""
        return np.concatenate(([0], np.cumsum(self.counts())))

    def order(self) -> Integers:
        """Rows in cluster order, ascending within a cluster: ``keys[order]`` makes them contiguous.

        Examples
        --------
        >>> clusters = Clusters(np.eye(2, dtype=np.float32), np.array([1, 0, 1], dtype=np.int32))
        >>> clusters.order().tolist(), clusters.starts().tolist()
        ([1, 0, 2], [0, 1, 3])
        """
        return np.argsort(self.assignment, kind="stable")


def cluster_count(n: int, dimension: int) -> int:
    """How many clusters n keys are given: 2√n, or 4√n where keys are short and reading is cheap.

    Examples
    --------
    >>> cluster_count(0, 256), cluster_count(1_000_000, 256), cluster_count(1_000_000, 50)
    (1, 2000, 4000)
    """
    return max(1, round((4 if dimension <= _SHORT else 2) * float(np.sqrt(n))))


def cluster(
    keys: Floats,
    count: int | None = None,
    *,
    seed: int = 0,
    iterations: int = 10,
    progress: Progress | None = None,
) -> Clusters:
    """Cut keys into clusters by k-means (Lloyd 1957).

    Parameters
    ----------
    keys : array (n, d), float32
        May be a ``numpy.memmap``; read in blocks.
    count : int, optional
        How many clusters; by default :func:`cluster_count`. No more than there are keys are made.
    seed : int
        The same seed gives the same clusters.
    iterations : int
        Rounds of Lloyd's algorithm on a sample of 32 keys a cluster.
    progress : callable, optional
        Called with what is done and the total, in keys compared.

    Returns
    -------
    Clusters

    Raises
    ------
    InputError
        If fewer than one cluster is asked for.

    Examples
    --------
    >>> import numpy as np
    >>> keys = np.array([[0, 1], [0, 1.1], [5, 0], [5.1, 0]], dtype=np.float32)
    >>> a = cluster(keys, 2).assignment
    >>> bool(a[0] == a[1] != a[2] == a[3])
    True
    """
    n = len(keys)
    count = cluster_count(n, keys.shape[1]) if count is None else count
    if count < 1:
        raise InputError(f"a store is cut into 1 cluster or more, not {count}")
    count = max(1, min(count, n))
    rng = np.random.default_rng(seed)
    picked = np.sort(rng.permutation(n)[: _SAMPLE * count])
    sample = np.asarray(keys[picked], dtype=np.float32)
    total = iterations * len(sample) + n
    done = 0

    def report(step: int) -> None:
        nonlocal done
        done += step
        if progress is not None:
            progress(done, total)

    centroids = _scattered(sample, count, rng)
    for _ in range(iterations if len(sample) else 0):
        nearest, scores = _nearest(sample, centroids, report)
        centroids = _means(sample, nearest, scores, centroids)
    return Clusters(centroids, _nearest(keys, centroids, report)[0])


def assign(keys: Floats, centroids: Floats) -> NDArray[np.int32]:
    """Nearest centroid, by Euclidean distance, of each key: array (n,), int32."""
    return _nearest(keys, centroids, lambda _: None)[0]


def _nearest(
    keys: Floats, centroids: Floats, report: Callable[[int], None]
) -> tuple[NDArray[np.int32], Floats]:
    """Nearest centroid of each key, and ⟨k, c⟩ − ½‖c‖²: larger is nearer."""
    size = max(1, _BLOCK // max(1, len(centroids)))
    half = 0.5 * np.einsum("ij,ij->i", centroids, centroids)
    nearest = np.zeros(len(keys), dtype=np.int32)
    best = np.zeros(len(keys), dtype=np.float32)
    columns = np.ascontiguousarray(centroids.T)
    room = np.empty((min(size, max(1, len(keys))), len(centroids)), dtype=np.float32)
    for start in range(0, len(keys), size):
        block = np.asarray(keys[start : start + size], dtype=np.float32)
        scores = product(block, columns, out=room[: len(block)])
        scores -= half
        found = scores.argmax(axis=1)
        nearest[start : start + size] = found
        best[start : start + size] = scores[np.arange(len(found)), found]
        report(len(block))
    return nearest, best


def _scattered(keys: Floats, count: int, rng: np.random.Generator) -> Floats:
    """So many keys to begin with: a few by chance, then always those that are far from them.

    As k-means++ (Arthur & Vassilvitskii 2007), but a tenth of them at a time.
    """
    if not len(keys):
        return np.zeros((1, keys.shape[1]), dtype=np.float32)
    lengths = np.einsum("ij,ij->i", keys, keys)
    step = max(1, -(-count // 10))
    picked = rng.choice(len(keys), min(step, count), replace=False)
    best = np.full(len(keys), -np.inf, dtype=np.float32)
    newest = picked
    while len(picked) < count:
        best = np.maximum(best, _nearest(keys, keys[newest], lambda _: None)[1])
        apart = np.maximum(lengths - 2 * best, 0).astype(np.float64) + 1e-12
        apart[picked] = 0
        chance = apart / apart.sum()
        newest = rng.choice(len(keys), min(step, count - len(picked)), replace=False, p=chance)
        picked = np.concatenate((picked, newest))
    return keys[picked]


def _means(keys: Floats, nearest: NDArray[np.int32], scores: Floats, centroids: Floats) -> Floats:
    """Mean of each centroid's keys; one that has none moves to a key that is far from its own."""
    counts = np.bincount(nearest, minlength=len(centroids))
    held = counts > 0
    order = np.argsort(nearest, kind="stable")
    starts = (np.cumsum(counts) - counts)[held]
    means = centroids.copy()
    means[held] = np.add.reduceat(keys[order], starts, axis=0) / counts[held, None]
    empty = np.flatnonzero(~held)
    if len(empty):
        far = np.argsort(scores - 0.5 * np.einsum("ij,ij->i", keys, keys), kind="stable")
        means[empty] = keys[far[: len(empty)]]
    return means
