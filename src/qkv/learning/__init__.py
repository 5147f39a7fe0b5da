"""Learning: from corrections, from pairs, and from a store's own repeated values.

Attention's scores are ⟨W_Q q, W_K k⟩. Here W_Q, and W_K where asked, are trained by multiple
negatives ranking loss (:mod:`qkv.learning.loss`), and kept only if questions that were held out
are answered better for it (:mod:`qkv.learning.gate`). Everything here works on plain arrays;
:mod:`qkv.lessons` brings them from a store.
"""

from qkv.learning.examples import FOLDS, Examples
from qkv.learning.finetuning import finetune
from qkv.learning.gate import MANY, Difference, Measured, Ranks, compare, rank, try_out
from qkv.learning.held_out import held_out
from qkv.learning.loss import Loss, ranking_loss
from qkv.learning.report import Learning, Part, report
from qkv.learning.training import Settings, train

__all__ = [
    "FOLDS",
    "MANY",
    "Difference",
    "Examples",
    "Learning",
    "Loss",
    "Measured",
    "Part",
    "Ranks",
    "Settings",
    "compare",
    "finetune",
    "held_out",
    "rank",
    "ranking_loss",
    "report",
    "train",
    "try_out",
]
