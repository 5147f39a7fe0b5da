"""Gradient-boosted trees as tables of numbers, walked without branches.

Each split of a tree is asked at once; a split whose answer is no rules out the leaves on its left,
and the leaf that is left over furthest to the left is where a walk from the root ends (QuickScorer:
Lucchese et al. 2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from qkv.types import Floats, Integers

__all__ = ["LEAVES", "Forest"]

#: A tree has at most so many leaves: their set is a number of 16 bits.
LEAVES = 16


@dataclass(frozen=True)
class Forest:
    """T trees of up to S splits each.

    Attributes
    ----------
    feature : array (T, S), int64
        Which feature a split asks for.
    threshold : array (T, S)
        Whether it is at most this; infinite where there is no split.
    kept : array (T, S), uint16
        Leaves (bits) that may still be reached if it is not.
    values : array (T, LEAVES)
        What a leaf adds to the logit.
    start : float
        The logit before any tree.
    """

    feature: Integers
    threshold: Floats
    kept: np.ndarray
    values: Floats
    start: float

    def logits(self, design: Floats) -> Floats:
        """Sum of the trees' leaves for n rows of features, array (n,).

        Examples
        --------
        >>> stump = Forest(
        ...     np.zeros((1, 1), int), np.array([[0.5]]), np.array([[0xFFFE]], np.uint16),
        ...     np.array([[-1.0, 2.0] + [0.0] * 14]), 0.25,
        ... )
        >>> stump.logits(np.array([[0.0], [1.0]])).tolist()
        [-0.75, 2.25]
        """
        no = design[:, self.feature] > self.threshold
        reached = np.bitwise_and.reduce(np.where(no, self.kept, np.uint16(0xFFFF)), axis=2)
        leaves = _lowest()[reached]
        added: Floats = self.values[np.arange(len(self.values)), leaves].sum(axis=1)
        return self.start + added

    def tables(self) -> dict[str, np.ndarray]:
        """What is kept of it."""
        return {
            "feature": self.feature.astype(np.uint8),
            "threshold": self.threshold.astype(np.float32),
            "kept": self.kept,
            "values": self.values.astype(np.float16),
            "start": np.array(self.start),
        }

    @classmethod
    def of(cls, tables: Mapping[str, np.ndarray]) -> Forest:
        """Read what :meth:`tables` gave."""
        return cls(
            tables["feature"].astype(np.int64),
            tables["threshold"].astype(np.float64),
            tables["kept"],
            tables["values"].astype(np.float64),
            float(tables["start"]),
        )


@cache
def _lowest() -> Integers:
    """The lowest bit of each number of 16 bits."""
    numbers = np.arange(1 << LEAVES)
    found = np.zeros(1 << LEAVES, dtype=np.int64)
    for bit in reversed(range(LEAVES)):
        found[(numbers >> bit) & 1 == 1] = bit
    return found
