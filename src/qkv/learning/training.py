"""Training W_Q and W_K on examples: Adam on the ranking loss, held near where it began.

    minimise   mean loss + (strength / m) ‖W − W₀‖²

over m questions: the fewer there are, the nearer W stays to W₀, the identity or what was learned
before. Negatives are the other keys of a batch, further keys that answer other questions, and those
that were named as wrong. Deterministic by seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from qkv.attention import product
from qkv.learning.examples import Examples
from qkv.learning.loss import Loss, ranking_loss
from qkv.projection import Projection
from qkv.types import Floats, Integers

__all__ = ["Settings", "train"]

Progress = Callable[[int, int], None]

#: Of the regression that W_Q begins with where queries and keys are of different length.
_RIDGE = 1.5


@dataclass(frozen=True)
class Settings:
    """How to train; chosen on the validation split of CLINC150 (docs/learning.md).

    Attributes
    ----------
    temperature : float
        τ of the loss.
    steps, batch : int
        Steps of Adam, and questions in each; fewer where there are fewer.
    rate : float
        Of the first step, for 512 dimensions; for d it is √(512 / d) times as high, as fewer
        numbers have to move further. It falls to 0 in a line.
    strength : float
        How firmly W is held near where it began.
    others : int
        Further keys in each batch, as negatives: answers to other questions.
    symmetric : bool
        Also ask each key for its query.
    seed : int
    """

    temperature: float = 0.05
    steps: int = 120
    batch: int = 512
    rate: float = 1e-3
    strength: float = 60.0
    others: int = 256
    symmetric: bool = False
    seed: int = 0


def train(
    examples: Examples,
    start: Projection,
    *,
    keys: bool = False,
    heads: Sequence[int] = (),
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> Projection:
    """Learn W_Q, or W_K with it, from questions whose answers are known.

    Parameters
    ----------
    examples : Examples
    start : Projection
        What holds now.
    keys : bool
        Also learn W_K: one W for both sides where both start as one, else two.
    heads : sequence of int
        Columns of each of the encoder's heads: each head has a W of its own, as in multi-head
        attention, and is never mixed with the others. Empty: one W for all columns.
    settings : Settings, optional
    progress : callable, optional
        Called with (steps done, steps in all).

    Returns
    -------
    Projection
    """
    settings = settings or Settings()
    examples = examples.answerable()
    W_Q, W_K = _begin(examples, start)
    tied = keys and W_Q.shape == W_K.shape and np.array_equal(W_Q, W_K)
    begun = [W_Q, W_K] if keys and not tied else [W_Q]
    weights = [W.copy() for W in begun]
    if not keys and start.key is not None:  # keys stay where they are, so they are moved once
        examples = replace(examples, keys=start.keys(examples.keys))
    adam, batches = _Adam(weights, settings), _Batches(examples, settings)
    masks = [_mask(W.shape, heads) for W in weights]
    pull = 2 * settings.strength / max(1, len(examples))
    for step in range(settings.steps if len(examples) else 0):
        rows, columns, same = batches.draw()
        loss = ranking_loss(
            examples.queries[rows],
            examples.keys[columns],
            weights[0],
            weights[-1] if keys else None,
            temperature=settings.temperature,
            symmetric=settings.symmetric,
            same=same,
        )
        adam.step(
            [
                mask * slope + pull * (W - W0)
                for mask, slope, W, W0 in zip(
                    masks, _slopes(loss, tied=tied), weights, begun, strict=True
                )
            ]
        )
        if progress is not None:
            progress(step + 1, settings.steps)
    return Projection(weights[0], weights[-1] if keys else start.key)


def _mask(shape: tuple[int, ...], heads: Sequence[int]) -> Floats:
    """1 where a column's head may speak, 0 elsewhere."""
    if not heads or shape != (sum(heads),) * 2:
        return np.ones(shape, dtype=np.float32)
    head = np.repeat(np.arange(len(heads)), heads)
    mask: Floats = np.equal(head[:, None], head).astype(np.float32)
    return mask


def _slopes(loss: Loss, *, tied: bool) -> list[Floats]:
    """Slopes of the weights that are learned."""
    if loss.key is None:
        return [loss.query]
    return [loss.query + loss.key] if tied else [loss.query, loss.key]


def _begin(examples: Examples, start: Projection) -> tuple[Floats, Floats]:
    """W_Q and W_K as matrices to begin with."""
    d_q, d_k = examples.queries.shape[1], examples.keys.shape[1]
    W_K = np.eye(d_k, dtype=np.float32) if start.key is None else start.key
    if start.query is not None:
        return start.query, W_K
    if d_q == len(W_K):
        return np.eye(d_q, dtype=np.float32), W_K
    return _regression(examples, W_K), W_K


def _regression(examples: Examples, W_K: Floats) -> Floats:
    """W_Q between kinds of different length: ridge regression of the right keys on queries."""
    width = int(max(examples.held.max(initial=0), examples.asked.max(initial=0))) + 1
    sums = np.zeros((width, examples.keys.shape[1]))
    np.add.at(sums, examples.held, examples.keys)
    counts = np.bincount(examples.held, minlength=width)[:, None]
    targets = product((sums / np.maximum(counts, 1))[examples.asked], W_K.T.astype(np.float64))
    queries = examples.queries.astype(np.float64)
    gram = queries.T @ queries + _RIDGE * np.eye(queries.shape[1])
    return np.asarray(np.linalg.solve(gram, queries.T @ targets).T, dtype=np.float32)


class _Adam:
    """Adam (Kingma & Ba 2015), with a rate that falls in a line."""

    def __init__(self, weights: list[Floats], settings: Settings) -> None:
        self._weights = weights
        self._settings = settings
        self._means = [np.zeros_like(W) for W in weights]
        self._squares = [np.zeros_like(W) for W in weights]
        self._step = 0
        self._rate = settings.rate * (512 / max(W.shape[1] for W in weights)) ** 0.5

    def step(self, slopes: list[Floats]) -> None:
        """Change the weights in place."""
        self._step += 1
        left = 1 - (self._step - 1) / self._settings.steps
        for i, slope in enumerate(slopes):
            self._means[i] += 0.1 * (slope - self._means[i])
            self._squares[i] += 0.001 * (slope**2 - self._squares[i])
            ahead = self._means[i] / (1 - 0.9**self._step)
            size = np.sqrt(self._squares[i] / (1 - 0.999**self._step)) + 1e-8
            self._weights[i] -= (self._rate * left) * ahead / size


class _Batches:
    """Draws questions, a right key for each, and further keys."""

    def __init__(self, examples: Examples, settings: Settings) -> None:
        self._examples = examples
        self._rng = np.random.default_rng(settings.seed)
        self._size = min(settings.batch, len(examples))
        # A key that is no question's answer here may be that of one that is still to come: to push
        # it away from all that are asked now would be to its harm.
        self._answers = np.flatnonzero(np.isin(examples.held, examples.asked))
        self._others = min(settings.others, len(self._answers))
        self._order = np.argsort(examples.held, kind="stable")
        self._held = examples.held[self._order]
        self._left = np.zeros(0, dtype=np.int64)

    def draw(self) -> tuple[Integers, Integers, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
        """Questions (b,), keys (b + h,), and which keys are no negatives (b, b + h)."""
        examples = self._examples
        rows = self._next()
        named = examples.wrong[np.isin(examples.wrong[:, 0], rows)]
        others = self._answers[self._rng.integers(len(self._answers), size=self._others)]
        columns = np.concatenate((self._right(rows), others, named[:, 1]))
        same = examples.asked[rows][:, None] == examples.held[columns]
        same |= examples.own[rows][:, None] == columns
        # Named as wrong is wrong, whatever it holds.
        place = np.full(len(examples), -1, dtype=np.int64)
        place[rows] = np.arange(len(rows))
        same[place[named[:, 0]], len(columns) - len(named) + np.arange(len(named))] = False
        return rows, columns, same

    def _next(self) -> Integers:
        """The next questions of a shuffled round."""
        if len(self._left) < self._size:
            self._left = np.append(self._left, self._rng.permutation(len(self._examples)))
        rows, self._left = self._left[: self._size], self._left[self._size :]
        return np.unique(rows)

    def _right(self, rows: Integers) -> Integers:
        """A right key for each question: the one that was named, or any of its group."""
        examples = self._examples
        asked, own = examples.asked[rows], examples.own[rows]
        first = np.searchsorted(self._held, asked)
        last = np.searchsorted(self._held, asked, side="right")
        drawn = first + self._rng.integers(last - first)
        # The query itself is no answer: the next of its group is.
        following = np.where(drawn + 1 < last, drawn + 1, first)
        drawn = np.where(self._order[drawn] == own, following, drawn)
        named = examples.right[rows]
        return np.where(named >= 0, named, self._order[drawn])
