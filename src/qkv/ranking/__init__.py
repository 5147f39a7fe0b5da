"""Choosing the best: exact top-k and fusion; and judging a ranking: recall@k, nDCG@k, MRR."""

from qkv.ranking.best import improve, merge_best, top_k
from qkv.ranking.fusion import (
    attention_fusion,
    reciprocal_rank_fusion,
    word_evidence,
    word_weight,
)
from qkv.ranking.measures import (
    auroc,
    expected_calibration_error,
    mean_reciprocal_rank,
    ndcg_at_k,
    recall_at_k,
    reliability_bins,
)

__all__ = [
    "attention_fusion",
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
    "word_evidence",
    "word_weight",
]
