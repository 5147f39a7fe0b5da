"""Fitting a calibration to questions made from a store's own records."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qkv.attention import softmax
from qkv.calibration.heads import Scales, fit_scales
from qkv.calibration.leaving import FEW_VALUES, Choices, Leaving, Questions, Store
from qkv.calibration.logistic import fit_choice, fit_logistic
from qkv.calibration.model import (
    ALIKE,
    SCORES,
    UNANSWERABLE,
    Calibration,
    Level,
    Reliability,
    features,
    prior,
)
from qkv.ranking import auroc, expected_calibration_error, reliability_bins
from qkv.types import Floats, Integers

__all__ = ["FEWEST", "calibrate", "fit", "reliability"]

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
#: How firmly the priors hold, as so many questions would (see qkv.calibration.logistic). Scores
#: differ from store to store by tenths, so their coefficients by units; logits are logits.
_FIRM_HEADS = np.array([0.01, 0.01, 1e12])
_FIRM = np.array([0.1, 0.1, 1.0, 0.1, 0.1])
#: One-sided 95 %, in standard deviations: the threshold is the best of many, and one that only luck
#: has let pass is sometimes among them.
_ONE_SIDED = 1.6449
#: Points of the curve of errors that are kept.
_POINTS = 200
#: Steps of looking for a number between 0 and 1: to a thousandth of a thousandth.
_HALVINGS = 20
#: Fewest answers, in effect, of which a share of wrong ones is worth telling.
_TOLD = 10


def calibrate(
    store: Store, *, records: int, unanswerable: float = UNANSWERABLE, seed: int = 0
) -> Calibration:
    """Calibrate a store on its own records.

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
    seed : int

    Returns
    -------
    Calibration
    """
    rng = np.random.default_rng(seed)
    leaving = Leaving(store)
    rows = leaving.shared
    if store.untrained is not None:
        rows = np.intersect1d(rows, store.untrained, assume_unique=True)
    values = len(np.unique(store.groups[rows]))
    if len(rows) < FEWEST or values < (2 if len(store.strangers) else FEW_VALUES):
        return prior(records, unanswerable)
    rows = rows[_sample(len(rows), len(leaving.shared), store, rng)]
    scales = _fit_scales(leaving, rows)
    some = _sample(len(rows), len(store.index), store, rng)
    # Where all values repeat, these are the same questions.
    choices = None if leaving.all_shared else leaving.choose(rows, scales)
    questions = leaving.ask(rows[some], scales, rng, choices, some)
    level = _level(leaving, questions.choices)
    fitted = fit(questions, level, records=records, unanswerable=unanswerable)
    return replace(fitted, scales=scales, reliability=_held_out(questions, fitted, rng))


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
    verdicts = []
    for held, rest in ((one, other), (other, one)):
        half = fit(rest, fitted.level, records=fitted.records, unanswerable=fitted.unanswerable)
        verdicts.append(_verdicts(half, held))
    parts = zip(*verdicts, strict=True)
    return reliability(fitted.unanswerable, *(np.concatenate(part) for part in parts))


def _verdicts(calibration: Calibration, questions: Questions) -> tuple[Floats, ...]:
    """What :func:`reliability` wants to know of them."""
    inside = calibration.judge(questions.answerable)
    outside = calibration.judge(questions.unanswerable)
    found = questions.answerable.values[np.arange(len(inside.best)), inside.best]
    right = (found == questions.truth).astype(np.float64)
    return inside.confidence, inside.null, right, outside.confidence, outside.null


def fit(questions: Questions, level: Level, *, records: int, unanswerable: float) -> Calibration:
    """Fit temperature, heads and probabilities to questions whose answers are known."""
    start = prior(records, unanswerable)
    heads = _fit_heads(questions.choices, level)
    shaped = replace(start, heads=heads, questions=len(questions.truth), level=level)
    right, design, weights = _examples(shaped, questions)
    answerable = np.arange(len(design)) < len(questions.truth)
    return replace(
        shaped,
        right=fit_logistic(
            design[answerable], right[answerable], weights[answerable], start.right, _FIRM
        ),
        answerable=fit_logistic(
            design[:, SCORES],
            answerable.astype(np.float64),
            weights,
            start.answerable,
            _FIRM[[*SCORES, -1]],
        ),
    )


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


def _examples(calibration: Calibration, questions: Questions) -> tuple[Floats, Floats, Floats]:
    """Whether the likeliest value is right, what that depends on, and how much each counts."""
    inside, outside = questions.answerable, questions.unanswerable
    best, design = features(inside, calibration.logits(inside))
    found = inside.values[np.arange(len(best)), best]
    right = np.append(found == questions.truth, np.zeros(len(outside))).astype(np.float64)
    _, vain = features(outside, calibration.logits(outside))
    weights = _weights(calibration.unanswerable, len(inside), len(outside))
    return right, np.vstack((design, vain)), weights


def _weights(unanswerable: float, inside: int, outside: int) -> Floats:
    """So that questions without an answer make up their share, and all together count as many."""
    share = unanswerable * inside / max(1, outside)
    return np.repeat((1 - unanswerable, share), (inside, outside))


def reliability(
    unanswerable: float, sure: Floats, null: Floats, right: Floats, vain: Floats, nothing: Floats
) -> Reliability:
    """Measure how confidence holds.

    Parameters
    ----------
    unanswerable : float
        Assumed share of questions that have no answer.
    sure, null, right : array (m,)
        Of questions that have one: confidence, null weight, and 1 where the answer is right.
    vain, nothing : array (m,)
        Of questions that have none: confidence and null weight.
    """
    confidence = np.concatenate((sure, vain))
    hit = np.concatenate((right, np.zeros(len(vain))))
    weights = _weights(unanswerable, len(sure), len(vain))
    return replace(
        _curve(confidence, hit, weights, len(sure)),
        bins=tuple(reliability_bins(confidence, hit, weights)),
        ece=expected_calibration_error(confidence, hit, weights),
        auroc=auroc(nothing, null),
        accuracy=float(right.mean()),
    )


def _curve(confidence: Floats, right: Floats, weights: Floats, answerable: int) -> Reliability:
    order = np.argsort(-confidence, kind="stable")
    w, wrong = weights[order], 1 - right[order]
    total, squares = np.cumsum(w), np.cumsum(w**2)
    errors = np.cumsum(w * wrong) / total
    bounds = _upper(errors, total**2 / squares)
    answered = np.cumsum(order < answerable) / answerable
    enough = np.flatnonzero(total**2 / squares >= _TOLD)
    # The same confidence is answered together: only the last of equals is a threshold.
    last = np.append(np.diff(confidence[order]) < 0, True)
    enough = enough[last[enough]]
    if len(enough) > _POINTS:
        enough = enough[np.linspace(0, len(enough) - 1, _POINTS).astype(np.int64)]
    thresholds, seen, upper, share = (
        tuple(np.round(column[enough], 6).tolist())
        for column in (confidence[order], errors, bounds, answered)
    )
    return Reliability(thresholds, seen, upper, share)


def _upper(share: Floats, count: Floats) -> Floats:
    """Upper end of a share seen in so many cases (Wilson 1927)."""
    z2 = _ONE_SIDED**2
    middle = share + z2 / (2 * count)
    half = _ONE_SIDED * np.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    upper: Floats = (middle + half) / (1 + z2 / count)
    return upper
