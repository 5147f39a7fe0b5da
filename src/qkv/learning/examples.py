"""Questions whose right answer is known: what a store learns from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qkv.types import Floats, Integers

__all__ = ["Examples"]

#: Parts that examples are cut into; each is held out once where there are few.
FOLDS = 5


@dataclass(frozen=True)
class Examples:
    """m questions over n keys; keys of one group are as right as each other.

    Attributes
    ----------
    queries : array (m, d_q), float32
        As an encoder made them, before W_Q.
    keys : array (n, d_k), float32
        As they are stored, before W_K.
    asked : array (m,), int64
        Group of the right answer.
    held : array (n,), int64
        Group of each key.
    own : array (m,), int64
        Key that is the query itself and may not answer it; −1 for none.
    right : array (m,), int64
        The key that is right, where one was named; −1: any of its group.
    wrong : array (w, 2), int64
        Question, and a key that was named as a wrong answer to it.
    told : array (m,), bool
        Whether someone said so; False for a store's own records.
    fold : array (m,), int64
        Which of 5 parts a question belongs to.
    """

    queries: Floats
    keys: Floats
    asked: Integers
    held: Integers
    own: Integers
    right: Integers
    wrong: Integers
    told: NDArray[np.bool_]
    fold: Integers

    def __len__(self) -> int:
        return len(self.asked)

    def some(self, rows: Integers) -> Examples:
        """Some of the questions, over the same keys."""
        place = np.full(len(self), -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        wrong = self.wrong[place[self.wrong[:, 0]] >= 0]
        return replace(
            self,
            queries=self.queries[rows],
            asked=self.asked[rows],
            own=self.own[rows],
            right=self.right[rows],
            told=self.told[rows],
            fold=self.fold[rows],
            wrong=np.column_stack((place[wrong[:, 0]], wrong[:, 1])),
        )

    def training(self, asked: NDArray[np.bool_]) -> Examples:
        """Those that are not asked, over the keys that are not questions that are asked.

        A record that is held out is nobody's key, or W_K would have seen it.
        """
        rest = self.some(np.flatnonzero(~asked))
        own = self.own[asked]
        hidden = np.setdiff1d(own[own >= 0], rest.right)
        left = np.ones(len(self.keys), dtype=bool)
        left[hidden] = False
        place = np.append(np.where(left, np.cumsum(left) - 1, -1), -1)  # the last: none
        wrong = rest.wrong[left[rest.wrong[:, 1]]]
        return replace(
            rest,
            keys=self.keys[left],
            held=self.held[left],
            own=place[rest.own],
            right=place[rest.right],
            wrong=np.column_stack((wrong[:, 0], place[wrong[:, 1]])),
        )

    def answerable(self) -> Examples:
        """Those whose answer is there: a key of the group other than the query itself."""
        counts = np.bincount(self.held, minlength=int(self.asked.max(initial=0)) + 1)
        own = np.where(self.own >= 0, self.held[np.maximum(self.own, 0)] == self.asked, False)
        return self.some(np.flatnonzero(counts[self.asked] - own > 0))
