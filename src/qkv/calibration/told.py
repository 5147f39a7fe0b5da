"""Going by questions that a store was given, with their answers.

The questions that a store makes of its own records stand for those that people will ask, and do so
well where records of one value are what people say in other words. They cannot know what is asked
one word beside a record and has no answer there. Whoever has real questions gives them: then
confidence and budgets are those of questions like them (split conformal prediction asks the same
of its calibration set: Vovk, Gammerman & Shafer 2005; the bound on the share of wrong answers is
that of :meth:`qkv.calibration.Calibration.threshold`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from qkv.calibration.evidence import Evidence
from qkv.calibration.model import Calibration
from qkv.calibration.outcomes import Labelled, Outcomes, reliability
from qkv.types import Integers

__all__ = ["ENOUGH", "Told", "fit_told", "unanswerable"]

#: Questions of a kind, with an answer or without, from which on they tell anything of it.
ENOUGH = 10
#: How firmly what was known before holds: less than a prior does for a store's own questions, which
#: may err in what they are like. Scores, logit, background, intercept, guard.
_FIRM = np.array([0.03, 0.03, 0.3, 0.03, 0.01, 0.1])
#: Parts, each of which is asked by what was learned from the others.
_FOLDS = 5


class Told(NamedTuple):
    """What questions with known answers find.

    Attributes
    ----------
    truth : array (m,), int64
        Number of the right value of each; −1 where the store has no answer.
    evidence : Evidence
        With what the questions' words have against the records that they find.
    """

    truth: Integers
    evidence: Evidence


def unanswerable(truth: Integers) -> float | None:
    """Share of questions that have no answer; None where either kind is too few to say."""
    none = int((truth < 0).sum())
    return none / len(truth) if ENOUGH <= none <= len(truth) - ENOUGH else None


def fit_told(
    told: Told, known: Calibration, own: Labelled | None, rng: np.random.Generator
) -> Calibration:
    """Fit probabilities to questions that were given.

    Parameters
    ----------
    told : Told
    known : Calibration
        By the store's own records, or the prior: what holds without them, and the less so the more
        there are.
    own : Labelled or None
        The store's own questions. Of a kind, with an answer or without, that is given fewer than
        ten times, these are gone by.
    rng : numpy.random.Generator

    Returns
    -------
    Calibration
        As it was known, with `told` 0, where that is not enough.
    """
    asked = _of(told, own)
    if asked is None:
        return known
    outcomes = []
    inside, outside = (rng.permutation(len(one)) % _FOLDS for one in asked[1:])
    for fold in range(_FOLDS):
        rest = asked.some(np.flatnonzero(inside != fold), np.flatnonzero(outside != fold))
        held = asked.some(np.flatnonzero(inside == fold), np.flatnonzero(outside == fold))
        outcomes.append(held.outcomes(_fitted(rest, known, len(told.truth))))
    fitted = _fitted(asked, known, len(told.truth))
    return replace(
        fitted,
        told=len(told.truth),
        reliability=reliability(known.unanswerable, Outcomes.together(*outcomes)),
    )


def _fitted(asked: Labelled, known: Calibration, count: int) -> Calibration:
    """Fit to questions, of both kinds in their share, that count as so many.

    What is learned from four parts stands for what is learned from all five, and weighs as much.
    """
    examples = asked.examples(known)
    weights = examples.weights * (count / examples.weights.sum())
    return examples._replace(weights=weights).fit(known, _FIRM)


def _of(told: Told, own: Labelled | None) -> Labelled | None:
    """Questions of both kinds; None where there are too few."""
    inside, outside = np.flatnonzero(told.truth >= 0), np.flatnonzero(told.truth < 0)
    few = len(inside) < ENOUGH, len(outside) < ENOUGH
    if all(few) or (any(few) and own is None):
        return None
    given = Labelled(told.truth[inside], told.evidence.some(inside), told.evidence.some(outside))
    if own is None or not any(few):
        return given
    if few[0]:
        return given._replace(truth=own.truth, answerable=own.answerable)
    return given._replace(unanswerable=own.unanswerable)
