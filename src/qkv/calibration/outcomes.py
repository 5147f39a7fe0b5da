"""How questions turned out whose answers are known: to fit to, and to measure by."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qkv.calibration.evidence import Evidence
from qkv.calibration.logistic import Logistic, fit_logistic
from qkv.calibration.model import SCORES, Calibration, Reliability, features
from qkv.ranking import auroc, expected_calibration_error, reliability_bins
from qkv.types import Floats, Integers, Mask

__all__ = ["FIRM", "Examples", "Labelled", "Outcomes", "reliability"]

#: How firmly the priors hold, as so many questions would (see qkv.calibration.logistic). Scores
#: differ from store to store by tenths, so their coefficients by units; logits are logits. The last
#: two are the intercept and the guard, of which a store's own questions know nothing.
FIRM = np.array([0.1, 0.1, 1.0, 0.1, 0.1, 0.1])
#: One-sided 95 %, in standard deviations: the threshold is the best of many, and one that only luck
#: has let pass is sometimes among them.
_ONE_SIDED = 1.6449
#: Points of the curve of errors that are kept.
_POINTS = 200
#: Fewest answers, in effect, of which a share of wrong ones is worth telling.
_TOLD = 10


class Labelled(NamedTuple):
    """Labelled questions, whose answers are known, and what they found.

    Attributes
    ----------
    truth : array (m,), int64
        Number of the right value of each question that has one.
    answerable : Evidence
        Of these.
    unanswerable : Evidence
        Of questions that have none.
    """

    truth: Integers
    answerable: Evidence
    unanswerable: Evidence

    def some(self, inside: Integers, outside: Integers) -> Labelled:
        """Some that have an answer, and some that have none."""
        return Labelled(
            self.truth[inside], self.answerable.some(inside), self.unanswerable.some(outside)
        )

    def examples(self, calibration: Calibration) -> Examples:
        """What probabilities are fitted to: first questions that have an answer, then the rest."""
        inside, outside = self.answerable, self.unanswerable
        best, design = features(inside, calibration.logits(inside))
        chosen, vain = features(outside, calibration.logits(outside))
        found = inside.values[np.arange(len(best)), best]
        return Examples(
            np.append(found == self.truth, np.zeros(len(outside))).astype(np.float64),
            np.vstack((design, vain)),
            np.append(inside.against(best), outside.against(chosen)),
            _weights(calibration.unanswerable, len(inside), len(outside)),
            np.arange(len(best) + len(chosen)) < len(best),
        )

    def outcomes(self, calibration: Calibration) -> Outcomes:
        """How a calibration answers them."""
        inside = calibration.judge(self.answerable)
        outside = calibration.judge(self.unanswerable)
        found = self.answerable.values[np.arange(len(inside.best)), inside.best]
        right = (found == self.truth).astype(np.float64)
        return Outcomes(inside.confidence, inside.null, right, outside.confidence, outside.null)


class Examples(NamedTuple):
    """Questions as probabilities are fitted to them.

    Attributes
    ----------
    right : array (m,)
        1 where the likeliest value is right.
    design : array (m, 4)
        What that depends on: see :func:`qkv.calibration.model.features`.
    against : array (m,)
        What the question's own words have against the likeliest value: logits, ≤ 0.
    weights : array (m,)
        How much each counts.
    answerable : array (m,), bool
    """

    right: Floats
    design: Floats
    against: Floats
    weights: Floats
    answerable: Mask

    def fit(self, start: Calibration, firm: Floats = FIRM) -> Calibration:
        """Fit the probabilities of a calibration to them, and how much the guard counts.

        How firmly `start` holds: array (6,), for the columns of the design, intercepts, and the
        guard.
        """
        some = self.answerable
        right = fit_logistic(
            self.design[some], self.right[some], self.weights[some], start.right, firm[:-1]
        )
        answerable, guard = self._answerable(start, self.against, firm)
        if guard < 0:  # words that are held against a record never speak for it
            nothing = np.zeros(len(some))
            (answerable, _), guard = self._answerable(start, nothing, firm), 0.0
        return replace(start, right=right, answerable=answerable, guard=guard)

    def _answerable(
        self, start: Calibration, against: Floats, firm: Floats
    ) -> tuple[Logistic, float]:
        """From scores and what speaks against; its coefficient stays where nothing does."""
        before = start.answerable
        prior = Logistic((*before.coefficients, start.guard), before.intercept)
        design = np.column_stack((self.design[:, SCORES], against))
        found = fit_logistic(
            design,
            self.answerable.astype(np.float64),
            self.weights,
            prior,
            firm[[*SCORES, -1, -2]],
        )
        return Logistic(found.coefficients[:-1], found.intercept), found.coefficients[-1]


class Outcomes(NamedTuple):
    """How questions were answered.

    Attributes
    ----------
    sure, null, right : array (m,)
        Of questions that have an answer: confidence, null weight, and 1 where it is right.
    vain, nothing : array (m,)
        Of questions that have none: confidence and null weight.
    """

    sure: Floats
    null: Floats
    right: Floats
    vain: Floats
    nothing: Floats

    @classmethod
    def together(cls, *parts: Outcomes) -> Outcomes:
        """Those of several lots of questions."""
        return cls(*map(np.concatenate, zip(*parts, strict=True)))


def reliability(unanswerable: float, outcomes: Outcomes) -> Reliability:
    """Measure how confidence holds, if such a share of the questions has no answer."""
    sure, null, right, vain, nothing = outcomes
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


def _weights(unanswerable: float, inside: int, outside: int) -> Floats:
    """So that questions without an answer make up their share, and all together count as many."""
    share = unanswerable * inside / max(1, outside)
    return np.repeat((1 - unanswerable, share), (inside, outside))
