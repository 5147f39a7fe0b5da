"""Choosing the best: exact top-k, of all scores at once or block by block."""

from __future__ import annotations

import numpy as np

from qkv.types import Floats, Integers, Mask

__all__ = ["improve", "merge_best", "top_k"]

_STRIDE = 64
#: New hits for each of the k places beyond which a block is ranked from scratch.
_CROWD = 4
#: Groups for each of the k places, that a first block is cut into.
_SPREAD = 8


def top_k(scores: Floats, k: int) -> tuple[Integers, Floats]:
    """Find the k largest scores of each row, best first; ties go to the lower index.

    Partitioning a whole row costs several times what reading it costs. Here each row is cut into
    strided groups of 64 and reduced to the groups' maxima at memory speed. The k groups with the
    largest maxima hold the k best scores (any other member is beaten by k maxima), so only they
    are looked into.

    Parameters
    ----------
    scores : array (m, n), float
        Scores, one row a query. ``-inf`` marks a record that must not be found, and is never
        returned.
    k : int
        How many, ≥ 0. More than n gives n.

    Returns
    -------
    indices : array (m, k), int64
        Columns of the best scores. ``-1`` where a row has fewer than k finite scores.
    best : array (m, k)
        Their scores, ``-inf`` in the same places.

    Examples
    --------
    >>> import numpy as np
    >>> indices, best = top_k(np.array([[0.1, 0.9, 0.5]]), 2)
    >>> indices.tolist(), best.tolist()
    ([[1, 2]], [[0.9, 0.5]])
    """
    rows, columns = scores.shape
    k = min(k, columns)
    indices = np.full((rows, k), -1, dtype=np.int64)
    best = np.full((rows, k), -np.inf, dtype=scores.dtype)
    if k == 0:
        return indices, best
    groups = columns // _STRIDE
    if groups < 4 * k:
        for row in range(rows):
            _fill(scores[row], k, indices[row], best[row])
        return indices, best
    body = groups * _STRIDE
    maxima = scores[:, :body].reshape(rows, _STRIDE, groups).max(axis=1)
    live = np.argpartition(maxima, groups - k, axis=1)[:, groups - k :]
    floor = np.take_along_axis(maxima, live, axis=1).min(axis=1)
    offsets = np.arange(_STRIDE)[:, None] * groups
    tail = np.broadcast_to(np.arange(body, columns), (rows, columns - body))
    members = np.hstack(((offsets + live[:, None, :]).reshape(rows, -1), tail))
    pool = np.take_along_axis(scores, members, axis=1)
    picked = np.argpartition(pool, pool.shape[1] - k, axis=1)[:, pool.shape[1] - k :]
    found = np.take_along_axis(pool, picked, axis=1)
    found_columns = np.take_along_axis(members, picked, axis=1)
    order = np.lexsort((found_columns, -found), axis=1)
    indices[:] = np.take_along_axis(found_columns, order, axis=1)
    best[:] = np.take_along_axis(found, order, axis=1)
    # A tie at the edge could hide a lower index: those rows take the slow and certain way.
    kth = best[:, -1]
    tied = ((pool >= kth[:, None]).sum(axis=1) > k) | ((maxima >= floor[:, None]).sum(axis=1) > k)
    for row in np.flatnonzero(tied).tolist():
        indices[row], best[row] = -1, -np.inf
        _fill(scores[row], k, indices[row], best[row])
    indices[best == -np.inf] = -1
    return indices, best


def _fill(scores: Floats, k: int, indices: Integers, best: Floats) -> None:
    """Write the top k of one row into the outputs."""
    if k < len(scores):
        # All scores from the k-th up, ties with it included; the sort picks the lowest indices.
        kth = np.partition(scores, len(scores) - k)[len(scores) - k]
        picked = np.flatnonzero(scores >= kth)
    else:
        picked = np.arange(len(scores))
    order = np.lexsort((picked, -scores[picked]))[:k]
    found = scores[picked][order]
    keep = int(np.count_nonzero(found > -np.inf))
    indices[:keep] = picked[order][:keep]
    best[:keep] = found[:keep]


def merge_best(
    indices: Integers, best: Floats, other_indices: Integers, other_best: Floats
) -> tuple[Integers, Floats]:
    """Keep the best k of two lists of best, k the longer list's; ties go to the lower index.

    Parameters
    ----------
    indices, best : array (m, k)
        As :func:`top_k` returns them.
    other_indices, other_best : array (m, j)
        The same for other records.

    Returns
    -------
    indices, best : array (m, max(k, j))
    """
    width = max(indices.shape[1], other_indices.shape[1])
    indices = np.hstack((indices, other_indices))
    best = np.hstack((best, other_best))
    order = np.lexsort((indices, -best), axis=1)[:, :width]
    return np.take_along_axis(indices, order, axis=1), np.take_along_axis(best, order, axis=1)


def improve(
    indices: Integers, best: Floats, scores: Floats, offset: int
) -> tuple[Integers, Floats]:
    """Carry a running top-k over one more block of scores.

    Once a few blocks are seen, hardly any new score beats the k-th best; only those are ranked.

    Parameters
    ----------
    indices, best : array (m, k)
        The best so far; ``-1`` and ``-inf`` where there are fewer than k.
    scores : array (m, n)
        The block, whose indices are all larger than those before it.
    offset : int
        Index of the block's first column.

    Returns
    -------
    indices, best : array (m, k)
    """
    rows, k = indices.shape
    columns = scores.shape[1]
    if k == 0 or columns == 0:
        return indices, best
    floor = best[:, -1:]
    if np.isneginf(floor).any():
        floor = np.maximum(floor, np.nextafter(_low(scores, k), -np.inf, dtype=scores.dtype))
    hits = _places(scores > floor) if not np.isneginf(floor).any() else None
    if hits is None or len(hits) > _CROWD * k * rows:
        found, found_best = top_k(scores, k)
        shifted = np.where(found >= 0, found + offset, -1)
        return merge_best(indices, best, shifted, found_best)
    row, column = np.divmod(hits, columns)
    counts = np.bincount(row, minlength=rows)
    place = k + np.arange(len(hits)) - np.repeat(np.cumsum(counts) - counts, counts)
    width = k + int(counts.max())
    members = np.zeros((rows, width), dtype=np.int64)
    pool = np.full((rows, width), -np.inf, dtype=best.dtype)
    members[:, :k], pool[:, :k] = indices, best
    members[row, place], pool[row, place] = column + offset, scores[row, column]
    # Stable, and the columns ascend: ties go to the lower index.
    order = np.argsort(-pool, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(members, order, axis=1), np.take_along_axis(pool, order, axis=1)


def _places(mask: Mask) -> Integers:
    """``np.flatnonzero(mask)`` for a mask that is hardly ever true: eight entries at a look."""
    flat = mask.ravel()
    whole = len(flat) - len(flat) % 8
    words = np.flatnonzero(flat[:whole].view(np.uint64) != 0)
    places = np.flatnonzero(flat[:whole].reshape(-1, 8)[words])
    found = words[places // 8] * 8 + places % 8
    return np.concatenate((found, whole + np.flatnonzero(flat[whole:])))


def _low(scores: Floats, k: int) -> Floats:
    """A score (m, 1) that k of each row reach, and not many more: k groups' maxima do."""
    rows, columns = scores.shape
    groups = _SPREAD * k
    size = columns // groups
    if size < 2:
        return np.full((rows, 1), -np.inf, dtype=scores.dtype)
    maxima = scores[:, : groups * size].reshape(rows, size, groups).max(axis=1)
    low: Floats = np.partition(maxima, groups - k, axis=1)[:, groups - k, None]
    return low
