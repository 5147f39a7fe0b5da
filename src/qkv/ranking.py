"""Choosing the best: exact top-k and fusion; and judging a ranking: recall@k, nDCG@k, MRR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from qkv.types import Floats, Integers, Mask

__all__ = [
    "auroc",
    "expected_calibration_error",
    "improve",
    "mean_reciprocal_rank",
    "merge_best",
    "ndcg_at_k",
    "recall_at_k",
    "reciprocal_rank_fusion",
    "reliability_bins",
    "top_k",
    "weighted_fusion",
]

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


def recall_at_k(found: Integers, truth: Integers) -> float:
    """Share of the true neighbours of all rows together that were found.

    Parameters
    ----------
    found, truth : array (m, k), int
        Indices per query, in any order; ``-1`` is no neighbour.

    Returns
    -------
    float
        0 … 1; 1.0 when there is nothing to find.

    Examples
    --------
    >>> import numpy as np
    >>> recall_at_k(np.array([[1, 2]]), np.array([[2, 3]]))
    0.5
    """
    hits = wanted = 0
    for row, true in zip(found, truth, strict=True):
        true_set = set(true.tolist()) - {-1}
        hits += len(true_set & set(row.tolist()))
        wanted += len(true_set)
    return hits / wanted if wanted else 1.0


def ndcg_at_k(found: Integers, relevance: Sequence[Mapping[int, float]], k: int = 10) -> float:
    """Normalised discounted cumulative gain: how much of the relevance stands how high.

    A record of relevance g at rank r gains g / log₂(r + 1); the sum over the first k ranks is
    divided by that of the best possible ranking (Järvelin & Kekäläinen 2002; the linear gain of
    trec_eval and BEIR), and averaged over queries.

    Parameters
    ----------
    found : array (m, n), int
        Records per query, best first; ``-1`` is no record. A record counts once, where it first
        stands.
    relevance : sequence of m dicts of int to float
        Relevance by record, of each query; what is missing has none. A query without any is left
        out of the mean.
    k : int

    Returns
    -------
    float
        0 … 1; 1.0 when there is nothing to find.

    Examples
    --------
    >>> import numpy as np
    >>> round(ndcg_at_k(np.array([[7, 8]]), [{8: 1.0}]), 4)  # 1 / log₂ 3
    0.6309
    """
    shares = []
    for row, gains in zip(found, relevance, strict=True):
        ideal = sorted((gain for gain in gains.values() if gain > 0), reverse=True)
        if ideal:
            reached = [gains.get(record, 0.0) for record in dict.fromkeys(row.tolist())]
            shares.append(_discounted(reached[:k]) / _discounted(ideal[:k]))
    return float(np.mean(shares)) if shares else 1.0


def _discounted(gains: Sequence[float]) -> float:
    return float(np.array(gains) @ (1 / np.log2(np.arange(2, len(gains) + 2))))


def mean_reciprocal_rank(found: Integers, truth: Integers) -> float:
    """Mean over queries of 1 / rank of the first right record; 0 where none was found.

    Parameters
    ----------
    found : array (m, n), int
        Records per query, best first; ``-1`` is no record. n columns make it the MRR@n.
    truth : array (m, j), int
        The right records, in any order; ``-1`` is none. A query without any is left out.

    Returns
    -------
    float
        0 … 1; 1.0 when there is nothing to find.

    Examples
    --------
    >>> import numpy as np
    >>> mean_reciprocal_rank(np.array([[7, 8], [9, 5]]), np.array([[8], [9]]))
    0.75
    """
    reciprocal = []
    for row, true in zip(found, truth, strict=True):
        wanted = true[true >= 0]
        if len(wanted):
            hits = np.flatnonzero(np.isin(row, wanted))
            reciprocal.append(1 / (1 + hits[0]) if len(hits) else 0.0)
    return float(np.mean(reciprocal)) if reciprocal else 1.0


def auroc(high: Floats, low: Floats) -> float:
    """Chance that one of `high` is above one of `low`; ties count half.

    The area under the receiver operating characteristic (Hanley & McNeil 1982): 1 tells the two
    apart without error, 0.5 not at all.

    Parameters
    ----------
    high : array (m,)
        Scores of what should score high.
    low : array (n,)
        Scores of what should score low.

    Returns
    -------
    float
        NaN if either is empty.

    Examples
    --------
    >>> import numpy as np
    >>> auroc(np.array([0.9, 0.4]), np.array([0.1, 0.4]))
    0.875
    """
    if not len(high) or not len(low):
        return float("nan")
    order = np.sort(low)
    below = np.searchsorted(order, high, side="left")
    ties = np.searchsorted(order, high, side="right") - below
    return float((below + ties / 2).mean() / len(low))


def reliability_bins(
    probability: Floats, happened: Floats, weights: Floats | None = None, *, bins: int = 15
) -> list[tuple[float, float, float]]:
    """What came of predictions, by how sure they were: the reliability diagram.

    Parameters
    ----------
    probability : array (n,)
        Predicted, 0 … 1.
    happened : array (n,)
        1 where it came so, 0 where not.
    weights : array (n,), optional
        How much each counts.
    bins : int
        Bins of equal width.

    Returns
    -------
    list of (float, float, float)
        Mean probability, share of what happened, and share of all predictions, for each bin that
        is not empty.

    Examples
    --------
    >>> import numpy as np
    >>> reliability_bins(np.array([0.1, 0.9, 0.9]), np.array([0.0, 1.0, 0.0]), bins=2)
    [(0.1, 0.0, 0.333...), (0.9, 0.5, 0.666...)]
    """
    counted = np.ones(len(probability)) if weights is None else weights
    places = np.minimum((np.asarray(probability) * bins).astype(np.int64), bins - 1)
    filled = []
    for place in np.unique(places):
        inside = places == place
        share = counted[inside].sum() / counted.sum()
        mean, hit = (
            float(np.average(column[inside], weights=counted[inside]))
            for column in (probability, happened)
        )
        filled.append((mean, hit, float(share)))
    return filled


def expected_calibration_error(
    probability: Floats, happened: Floats, weights: Floats | None = None, *, bins: int = 15
) -> float:
    """How far probabilities are from what happened, on average (Naeini, Cooper & Hauskrecht 2015).

    Parameters and bins are those of :func:`reliability_bins`; 0 is perfect.

    Examples
    --------
    >>> import numpy as np
    >>> round(expected_calibration_error(np.array([0.8, 0.8]), np.array([1.0, 0.0])), 3)
    0.3
    """
    filled = reliability_bins(probability, happened, weights, bins=bins)
    return sum(share * abs(mean - hit) for mean, hit, share in filled)


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[int]], *, constant: float = 60.0
) -> dict[int, float]:
    """Fuse rankings by rank alone: each adds 1 / (constant + rank) to what it names.

    Scores of different retrievers have no common measure; ranks do (Cormack, Clarke & Büttcher
    2009, who also chose 60).

    Parameters
    ----------
    rankings : sequence of sequences of int
        Ids, best first.
    constant : float
        The larger, the less the first few ranks stand out.

    Returns
    -------
    dict of int to float
        Fused score of each id, best first; the first ranking's order decides among equals.

    Examples
    --------
    >>> list(reciprocal_rank_fusion([[7, 8, 9], [9, 7]]))
    [7, 9, 8]
    """
    fused: dict[int, float] = {}
    for ranking in rankings:
        for rank, id in enumerate(ranking, 1):
            fused[id] = fused.get(id, 0.0) + 1 / (constant + rank)
    return _best_first(fused)


def weighted_fusion(
    rankings: Sequence[Mapping[int, float]], weights: Sequence[float]
) -> dict[int, float]:
    """Fuse rankings by their scores, each brought to 0 … 1 between its worst and its best.

    Parameters
    ----------
    rankings : sequence of dict of int to float
        Score by id; what a ranking does not name has 0 there.
    weights : sequence of float
        One for each ranking.

    Returns
    -------
    dict of int to float
        Fused score of each id, best first.

    Examples
    --------
    >>> weighted_fusion([{7: 0.9, 8: 0.5}, {8: 12.0, 9: 2.0}], [0.6, 0.4])
    {7: 0.6, 8: 0.4, 9: 0.0}
    """
    fused: dict[int, float] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        worst, best = min(ranking.values(), default=0.0), max(ranking.values(), default=0.0)
        for id, score in ranking.items():
            scaled = (score - worst) / (best - worst) if best > worst else 1.0
            fused[id] = fused.get(id, 0.0) + weight * scaled
    return _best_first(fused)


def _best_first(fused: dict[int, float]) -> dict[int, float]:
    return dict(sorted(fused.items(), key=lambda pair: -pair[1]))
