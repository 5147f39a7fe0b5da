"""The gate: what is learned is kept only if questions that were held out are answered better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qkv.attention import product
from qkv.learning.examples import FOLDS, Examples
from qkv.projection import Projection
from qkv.types import Floats, Integers

__all__ = ["MANY", "Difference", "Measured", "Ranks", "Trial", "compare", "rank", "try_out"]

#: Scores held at once: 64 MB of float32.
_SCORES = 16 << 20
#: Temperatures under which the right answer is likeliest is looked for.
_TEMPERATURES = (0.015, 0.03, 0.05, 0.08, 0.13, 0.25)
#: Standard errors within which chance alone may lie: one-sided 95 %, two-sided 95 %.
_ONE_SIDED, _TWO_SIDED = 1.645, 1.96
#: Held-out questions that are asked, at most.
_ASKED = 2_000
#: Questions from which on one part is held out once, rather than each part in turn.
MANY = 250


class Ranks(NamedTuple):
    """How questions (m,) were answered.

    Attributes
    ----------
    rank : array (m,)
        Of the best right key, from 1.
    surprise : array (m, t)
        −log of the weight of all right keys, at each temperature.
    """

    rank: Floats
    surprise: Floats

    def some(self, rows: NDArray[np.bool_]) -> Ranks:
        """Those of some questions."""
        return Ranks(self.rank[rows], self.surprise[rows])

    def surprises(self) -> Floats:
        """Those at the temperature that suits best, all together: array (m,)."""
        if not len(self.rank):
            return np.zeros(0)
        best: Floats = self.surprise[:, int(self.surprise.mean(axis=0).argmin())]
        return best

    def measured(self) -> Measured:
        """Means of them."""
        return Measured(
            recall=float((self.rank == 1).mean()) if len(self.rank) else 0.0,
            mrr=float((1 / self.rank).mean()) if len(self.rank) else 0.0,
            surprise=float(self.surprises().mean()) if len(self.rank) else 0.0,
            questions=len(self.rank),
        )


class Trial(NamedTuple):
    """Questions that were held out, and how they were answered.

    Attributes
    ----------
    told : array (m,), bool
        Which of them someone gave the answer to; the others are a store's own records.
    before, after : Ranks
    learned : Projection
        From the rest of the examples; of the last part, where each was held out in turn.
    """

    told: NDArray[np.bool_]
    before: Ranks
    after: Ranks
    learned: Projection


@dataclass(frozen=True)
class Measured:
    """Answers to questions that were held out.

    Attributes
    ----------
    recall : float
        Share whose best key is right: recall@1.
    mrr : float
        Mean of 1 / rank of the first right key.
    surprise : float
        Mean of −log of the weight that attention gives to the right keys, at the temperature that
        suits best: calibration and ranking in one (the logarithmic score).
    questions : int
    """

    recall: float
    mrr: float
    surprise: float
    questions: int

    def as_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """After, less before, over the same questions.

    Attributes
    ----------
    recall, recall_error : float
        Difference of recall@1, and half the width of its 95 % interval.
    mrr, mrr_error : float
    surprise : float
        Below 0: better.
    better : bool
        The mean reciprocal rank has grown beyond chance (one-sided 95 %), or the surprise has
        fallen so, and none of recall@1, reciprocal rank and surprise has become worse.
    worse : bool
        The mean reciprocal rank has fallen beyond chance, or by more than a hundredth.
    """

    recall: float
    recall_error: float
    mrr: float
    mrr_error: float
    surprise: float
    better: bool
    worse: bool


def rank(examples: Examples, projection: Projection) -> Ranks:
    """Answer questions by all keys but the query's own."""
    queries, keys = projection.queries(examples.queries), projection.keys(examples.keys)
    if queries.shape[1] != keys.shape[1]:  # nothing can be asked before something is learned
        blind = np.full((len(examples), len(_TEMPERATURES)), np.log(max(1, len(keys))))
        return Ranks(np.full(len(examples), float(len(keys))), blind)
    step = max(1, _SCORES // max(1, len(keys)))
    parts = [
        _ranked(examples, queries, keys, np.arange(start, min(start + step, len(examples))))
        for start in range(0, len(examples), step)
    ]
    none = np.zeros(0), np.zeros((0, len(_TEMPERATURES)))
    return Ranks(*map(np.concatenate, zip(*parts, strict=True))) if parts else Ranks(*none)


def _ranked(
    examples: Examples, queries: Floats, keys: Floats, rows: Integers
) -> tuple[Floats, Floats]:
    scores = product(queries[rows], keys.T)
    own = examples.own[rows]
    with_own = np.flatnonzero(own >= 0)
    scores[with_own, own[with_own]] = -np.inf
    right = examples.asked[rows][:, None] == examples.held
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    # Of keys that score the same, a wrong one comes first: nothing is won by making all alike.
    ranks = 1.0 + ((scores >= best) & ~right).sum(axis=1)
    top = scores.max(axis=1, keepdims=True)
    surprise = np.empty((len(rows), len(_TEMPERATURES)))
    for place, temperature in enumerate(_TEMPERATURES):
        powers = np.exp((scores - top) / np.float32(temperature))
        mass = np.where(right, powers, 0).sum(axis=1) / powers.sum(axis=1)
        surprise[:, place] = -np.log(np.maximum(mass, 1e-30))
    return ranks, surprise


def compare(before: Ranks, after: Ranks) -> Difference:
    """Compare answers to the same questions, question by question."""
    hits = (after.rank == 1).astype(float) - (before.rank == 1)
    gains = 1 / after.rank - 1 / before.rank
    recall, recall_error = _mean(hits)
    mrr, mrr_error = _mean(gains)
    surprise, surprise_error = _mean(after.surprises() - before.surprises())
    ahead = mrr > _ONE_SIDED * mrr_error or surprise < -_ONE_SIDED * surprise_error
    return Difference(
        recall,
        _TWO_SIDED * recall_error,
        mrr,
        _TWO_SIDED * mrr_error,
        surprise,
        better=ahead and mrr >= 0 and recall >= 0 and surprise <= 0,
        worse=mrr < -_ONE_SIDED * mrr_error or mrr < -0.01,
    )


def _mean(values: Floats) -> tuple[float, float]:
    """Mean, and its standard error."""
    if not len(values):
        return 0.0, 0.0
    # Of a single question nothing is known but that it lies between −1 and 1.
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 1.0
    return float(values.mean()), error


def try_out(
    examples: Examples, start: Projection, learn: Callable[[Examples], Projection]
) -> Trial:
    """Learn from a part of the examples and ask the rest; few are held out in turns.

    Parameters
    ----------
    examples : Examples
    start : Projection
        What holds now.
    learn : callable
        Learns from examples.

    Returns
    -------
    Trial
    """
    folds = range(1) if len(examples) >= MANY else range(FOLDS)
    asked, before, after = [], [], []
    learned = start
    for fold in folds:
        is_held = examples.fold == fold
        held = np.flatnonzero(is_held)
        if len(held) in {0, len(examples)}:
            continue
        held = held[:_ASKED]
        questions = examples.some(held)
        learned = learn(examples.training(is_held))
        asked.append(held)
        before.append(rank(questions, start))
        after.append(rank(questions, learned))
    rows = np.concatenate(asked) if asked else np.zeros(0, dtype=np.int64)
    none = Ranks(np.zeros(0), np.zeros((0, len(_TEMPERATURES))))
    told = examples.told[rows]
    return Trial(told, _joined(before) or none, _joined(after) or none, learned)


def _joined(parts: list[Ranks]) -> Ranks | None:
    return Ranks(*map(np.concatenate, zip(*parts, strict=True))) if parts else None
