"""One ranking from several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["reciprocal_rank_fusion", "weighted_fusion"]


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
