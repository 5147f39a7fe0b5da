"""Fitting a calibration to questions made from a store's own records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from qkv.attention import softmax
from qkv.calibration.heads import Scales, fit_scales
from qkv.calibration.leaving import FEW_VALUES, Choices, Leaving, Questions, Store
from qkv.calibration.logistic import fit_choice
from qkv.calibration.model import (
    ALIKE,
    UNANSWERABLE,
    Calibration,
    Level,
    Reliability,
    prior,
)
from qkv.calibration.outcomes import Outcomes, reliability
from qkv.calibration.told import Told, fit_told
from qkv.types import Integers

__all__ = ["FEWEST", "calibrate", "fit"]

#: Questions asked of a store, at most, and what is spent on them: multiplications, where ranking a
#: score costs as much as so many.
_QUESTIONS = 4000
#: Those that the weights of the encoder's heads are fitted to.
_FEW_QUESTIONS = 200
#: A likelihood below this tells of a mistake in the store, not of its heads.
_LEAST = 1e-4
_WORK, _RANKING = 2e11, 400
#: Fewest records that share their value with another for a store to be asked at all.
FEWEST = 20
#: How firmly the prior holds: see qkv.calibration.logistic.
_FIRM_HEADS = np.array([0.01, 0.01, 1e12])
#: Steps of looking for a number between 0 and 1: to a thousandth of a thousandth.
_HALVINGS = 20


def calibrate(
    store: Store,
    *,
    records: int,
    unanswerable: float = UNANSWERABLE,
    told: Callable[[Calibration], Told] | None = None,
    seed: int = 0,
) -> Calibration:
    """Calibrate a store on its own records, and on questions that it was given.

    Records that share their value with others are asked for: only of these the store knows both
    what the right answer is and, without them, that there is none. A store with fewer than 20 of
    them gets the prior.

    Parameters
    ----------
    store : Store
    records : int
        How many the store has.
    unanswerable : float
        Assumed share of questions that the store cannot answer.
    told : callable, optional
        What questions with known answers find in the store, as its own records calibrate it.
    seed : int

    Returns
    -------
    Calibration
    """
    rng = np.random.default_rng(seed)
    fitted, questions = _by_itself(store, records, unanswerable, rng)
    if told is None:
        return fitted
    return fit_told(told(fitted), fitted, None if questions is None else questions.labelled, rng)


def _by_itself(
    store: Store, records: int, unanswerable: float, rng: np.random.Generator
) -> tuple[Calibration, Questions | None]:
    """By its own records, and the questions that were made of them; None: there are too few."""
    leaving = Leaving(store)
    rows = leaving.shared
    if store.untrained is not None:
        rows = np.intersect1d(rows, store.untrained, assume_unique=True)
    values = len(np.unique(store.groups[rows]))
    if len(rows) < FEWEST or values < (2 if len(store.strangers) else FEW_VALUES):
        return prior(records, unanswerable), None
    rows = rows[_sample(len(rows), len(leaving.shared), store, rng)]
    scales = _fit_scales(leaving, rows)
    some = _sample(len(rows), len(store.index), store, rng)
    # Where all values repeat, these are the same questions.
    choices = None if leaving.all_shared else leaving.choose(rows, scales)
    questions = leaving.ask(rows[some], scales, rng, choices, some)
    level = _level(leaving, questions.choices)
    fitted = fit(questions, level, records=records, unanswerable=unanswerable)
    held_out = _held_out(questions, fitted, rng)
    return replace(fitted, scales=scales, reliability=held_out), questions


def _level(leaving: Leaving, choices: Choices) -> Level:
    """How alike the keys of a value are, so that its left-out keys score as they do."""
    truth, evidence, _ = choices
    hit = evidence.values == truth[:, None]
    counts, scores = evidence.counts[hit], evidence.prototype[hit]
    held = leaving.store.counts[leaving.repeated]
    single = len(leaving.store.index) - len(leaving.shared)
    crowd = float(np.log(max(1.0, single / len(leaving.shared))))
    level = Level(0.0, float(held.mean()), crowd)
    if not len(scores):
        return level
    low, high = ALIKE
    for _ in range(_HALVINGS):  # the mean grows with it
        middle = (low + high) / 2
        above = replace(level, alike=middle).expected(counts).mean() > scores.mean()
        low, high = (low, middle) if above else (middle, high)
    return replace(level, alike=(low + high) / 2)


def _sample(count: int, keys: int, store: Store, rng: np.random.Generator) -> Integers:
    """Places of so many questions, of `count`, as can be asked of so many keys; ascending."""
    work = keys * (store.index.dimension + _RANKING)
    most = int(min(_QUESTIONS, max(200, _WORK / work)))
    if count <= most:
        return np.arange(count)
    return np.sort(rng.choice(count, most, replace=False))


def _fit_scales(leaving: Leaving, rows: Integers) -> Scales:
    """How much each of the encoder's heads shall count."""
    store = leaving.store
    if len(store.heads) < 2:
        return ()
    few = min(_FEW_QUESTIONS, len(rows))
    rows = rows[np.arange(few) * len(rows) // few]

    def likelihood(scales: Scales) -> float:
        choices = leaving.choose(rows, scales)
        level = _level(leaving, choices)
        heads = _fit_heads(choices, level)
        evidence, truth = level.apply(choices.evidence, heads[1], crowded=False), choices.truth
        shares = heads[0] * evidence.nearest + heads[1] * evidence.prototype
        shares = np.where(
            evidence.values >= 0, shares + np.log(np.maximum(evidence.counts, 1)), -np.inf
        )
        shares = softmax(shares, 1.0)[0]
        right = (shares * (evidence.values == truth[:, None])).sum(axis=1)
        return float(np.log(np.maximum(right, _LEAST)).sum())

    return fit_scales(likelihood, store.heads)


def _held_out(questions: Questions, fitted: Calibration, rng: np.random.Generator) -> Reliability:
    """How confidence holds on questions it was not fitted to: two halves, each by the other."""
    one, other = questions.halves(rng)
    outcomes = []
    for held, rest in ((one, other), (other, one)):
        half = fit(rest, fitted.level, records=fitted.records, unanswerable=fitted.unanswerable)
        outcomes.append(held.labelled.outcomes(half))
    return reliability(fitted.unanswerable, Outcomes.together(*outcomes))


def fit(questions: Questions, level: Level, *, records: int, unanswerable: float) -> Calibration:
    """Fit temperature, heads and probabilities to questions whose answers are known."""
    start = prior(records, unanswerable)
    heads = _fit_heads(questions.choices, level)
    shaped = replace(start, heads=heads, questions=len(questions.truth), level=level)
    return questions.labelled.examples(shaped).fit(shaped)


def _fit_heads(choices: Choices, level: Level) -> tuple[float, float]:
    """Inverse temperatures under which the right value is likeliest, of those that are there."""
    truth = choices.truth
    start = prior(choices.keys).heads
    evidence = level.apply(choices.evidence, start[1], crowded=False)
    hit = evidence.values == truth[:, None]
    seen = hit.any(axis=1)
    offset = np.log(np.maximum(evidence.counts, 1))
    design = np.stack((evidence.nearest, evidence.prototype, offset), axis=2)[seen]
    chosen = hit[seen].argmax(axis=1)
    there = evidence.values[seen] >= 0
    heads = fit_choice(design, there, chosen, np.array([*start, 1.0]), _FIRM_HEADS)
    nearest, prototype = max(float(heads[0]), 0.0), max(float(heads[1]), 0.0)
    return (nearest, prototype) if nearest + prototype > 1 else start
