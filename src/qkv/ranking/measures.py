"""Judging a ranking, and a confidence: recall@k, nDCG@k, MRR, AUROC, calibration error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from qkv.types import Floats, Integers

__all__ = [
    "auroc",
    "expected_calibration_error",
    "mean_reciprocal_rank",
    "ndcg_at_k",
    "recall_at_k",
    "reliability_bins",
]


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
