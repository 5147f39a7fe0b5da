"""What a calibration is: from evidence to probabilities."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from qkv.attention import size_temperature
from qkv.calibration.believing import Imagining
from qkv.calibration.evidence import Evidence
from qkv.calibration.heads import Scales, weigh
from qkv.calibration.intervals import Intervals
from qkv.calibration.logistic import Logistic
from qkv.errors import InputError
from qkv.types import Attention, Floats, Integers, Origin
from qkv.values import Kind

__all__ = ["ALIKE", "SCORES", "UNANSWERABLE", "Calibration", "Reliability", "Verdict", "prior"]

#: Share of questions that the store cannot answer, as long as nobody says otherwise.
UNANSWERABLE = 0.18

#: How the two heads share the inverse temperature: see docs/calibration.md.
_HEADS = (0.3, 0.7)
#: Fitted to 1,080 small stores of intents, bank questions and nouns under three encoders, from
#: training splits (benchmarks/priors.py): the answer of a store that is too small to ask itself.
_RIGHT = Logistic((-0.5, -1.6, 1.63, 7.7), 0.8)
_ANSWERABLE = Logistic((-3.6, 11.8, -7.5), -1.4)
#: Columns of the features that say whether anything is near, not what.
SCORES = (0, 1, 3)
#: Shares closer to 0 or 1 than this are as good as.
_SURE = 1e-3
#: Version of the saved form.
_FORM = 4


#: Mean scores of two keys of one value between which a store's is looked for.
ALIKE = (0.01, 0.99)


@dataclass(frozen=True)
class Level:
    """What makes prototypes of few keys and of many comparable.

    A query of a value scores higher with the mean of n of its keys the more there are, because
    what they do not share cancels out: if two keys of one value have the score ρ on average, by
    ρ √n / √(1 + (n − 1) ρ) on average. To each prototype is added what it lacks to that of as many
    keys as a value of the store has.

    A value that one record holds is given less where there are many such values: of a crowd, one
    is near to whatever is asked. Where they outnumber the other records by so much that all of
    them together would outweigh these, they are given nothing.

    Attributes
    ----------
    alike : float
        ρ; 0 where it is not known: prototypes are taken as they are.
    typical : float
        Records that hold a value, on average over those that several do.
    crowd : float
        ln of how many values that one record holds there are for each other record; at least 0.
    """

    alike: float = 0.0
    typical: float = 1.0
    crowd: float = 0.0

    def expected(self, count: Floats | float) -> Floats:
        """Mean score of a value's query with the prototype of so many of its keys."""
        n = np.maximum(count, 1)
        grown: Floats = self.alike * np.sqrt(n / (1 + (n - 1) * self.alike))
        return grown

    def apply(self, evidence: Evidence, sharpness: float, *, crowded: bool = True) -> Evidence:
        """Level prototypes, whose scores count `sharpness` times."""
        if not self.alike:
            return evidence
        lack = self.expected(self.typical) - self.expected(evidence.counts)
        if crowded and self.crowd:
            single = np.maximum(lack - self.crowd / max(sharpness, 1e-9), 0)
            lack = np.where(evidence.counts == 1, single, lack)
        return replace(
            evidence, prototype=np.where(evidence.values >= 0, evidence.prototype + lack, 0)
        )


@dataclass(frozen=True)
class Verdict:
    """What the evidence says, for m queries and up to c values each.

    Attributes
    ----------
    best : array (m,), int64
        Column of the likeliest value.
    probabilities : array (m, c)
        That each value is the right answer.
    confidence : array (m,)
        That the likeliest one is.
    null : array (m,)
        That nothing stored is. What is left, 1 − null − Σ probabilities, belongs to stored values
        that are not among these.
    """

    best: Integers
    probabilities: Floats
    confidence: Floats
    null: Floats


@dataclass(frozen=True)
class Reliability:
    """How the confidence held on questions made from the store's own records.

    Attributes
    ----------
    thresholds, errors, bounds, answered : tuple of float
        For answers whose confidence is at least the threshold: the share of wrong ones among
        them, the upper end of what that share may be (one-sided, 95 %), and how many of the
        answerable questions are answered.
    bins : tuple of (float, float, float)
        Mean confidence, share of right answers, and share of all questions, by confidence.
    ece : float
        Expected calibration error over these bins.
    auroc : float
        How well the null weight tells unanswerable questions from answerable ones.
    accuracy : float
        Share of right answers to answerable questions.
    """

    thresholds: tuple[float, ...] = ()
    errors: tuple[float, ...] = ()
    bounds: tuple[float, ...] = ()
    answered: tuple[float, ...] = ()
    bins: tuple[tuple[float, float, float], ...] = ()
    ece: float = float("nan")
    auroc: float = float("nan")
    accuracy: float = float("nan")


@dataclass(frozen=True)
class Calibration:
    """How attention over a store becomes probabilities.

    Attributes
    ----------
    records : int
        How many the store had.
    questions : int
        How many were made from its own records to learn from; 0: this is the prior.
    unanswerable : float
        Assumed share of questions that the store cannot answer.
    heads : tuple of float
        Inverse temperatures of the nearest key and of the value's prototype.
    right, answerable : Logistic
        From (nearest, prototype, background) to the probability that any stored value is right;
        from these and the logit of the share, before the last, to the probability that the
        likeliest is, if any is. Confidence is the product of both.
    reliability : Reliability
    intervals : mapping of Kind to Intervals
        How far off blends of numbers, and of vectors, are.
    imagining : Imagining or None
        How words are imagined; None for a store that does not.
    scales : Scales
        How much each of the encoder's heads counts here; empty: as the encoder has it.
    level : Level
        Between values that few records hold and those that many do.
    told : int
        Questions with known answers that the store was given, and goes by: see
        :mod:`qkv.calibration.told`. 0: it goes by its own, or by the prior.
    guard : float
        How much it counts what a question's words have against a record.
    """

    records: int
    questions: int
    unanswerable: float
    heads: tuple[float, float]
    right: Logistic
    answerable: Logistic
    reliability: Reliability = field(default_factory=Reliability)
    intervals: Mapping[Kind, Intervals] = field(default_factory=dict)
    imagining: Imagining | None = None
    scales: Scales = ()
    level: Level = field(default_factory=Level)
    told: int = 0
    guard: float = 1.0

    def weigh(self, queries: Floats) -> Floats:
        """Let each of the encoder's heads count in prepared queries (m, d) as it shall."""
        return weigh(queries, self.scales)

    @property
    def asked(self) -> bool:
        """Whether anything was learned of the store; else this is the prior."""
        return (
            self.questions > 0
            or self.told > 0
            or bool(self.intervals)
            or self.imagining is not None
        )

    @property
    def temperature(self) -> float:
        """τ of the attention over the records that there were."""
        return 1 / sum(self.heads)

    def temperature_at(self, n: int) -> float:
        """τ of the attention over n records: sharper for more, as ln n grows."""
        return self.temperature * float(np.log1p(max(self.records, 1)) / np.log1p(max(n, 1)))

    def logits(self, evidence: Evidence) -> Floats:
        """Logits of the values (m, c), and in one more column of the background: (m, c + 1)."""
        evidence = self.level.apply(evidence, self.heads[1])
        logits = (
            self.heads[0] * evidence.nearest
            + self.heads[1] * evidence.prototype
            + np.log(np.maximum(evidence.counts, 1))
        )
        if evidence.contradiction is not None:
            logits = logits + evidence.contradiction
        values = np.where(evidence.values >= 0, logits, -np.inf)
        # As often held as the likeliest value is, so that it stands for no more and no less.
        held = np.take_along_axis(evidence.counts, values.argmax(axis=1)[:, None], axis=1)[:, 0]
        sink = sum(self.heads) * evidence.background + np.log(np.maximum(held, 1))
        return np.column_stack((values, sink))

    def judge(self, evidence: Evidence) -> Verdict:
        """Turn evidence into probabilities."""
        logits = self.logits(evidence)
        best, design = features(evidence, logits)
        shares = _softmax(logits[:, :-1])
        some = evidence.values[:, 0] >= 0
        rows = np.arange(len(evidence))
        against = self.guard * evidence.against(best)
        answerable = self.answerable.probability(design[:, SCORES], against)
        answerable = np.where(some, answerable, 0)
        confidence = answerable * self.right.probability(design)
        others = shares.copy()
        others[rows, best] = 0
        total = others.sum(axis=1)
        # What is left is shared by the others, none of which is as likely as the best.
        left = np.where(total > 0, np.minimum(answerable - confidence, 1), 0)
        probabilities = others * (left / np.where(total > 0, total, 1))[:, None]
        probabilities = np.minimum(probabilities, np.nextafter(confidence, 0)[:, None])
        probabilities[rows, best] = confidence
        return Verdict(best, probabilities, confidence, 1 - answerable)

    def threshold(self, max_wrong: float) -> float:
        """Least confidence at which so few of the answers are wrong; above 1: none is.

        Read off questions whose answers are known, the store's own or those that it was given: the
        least threshold above which the upper end of what the share of wrong answers may be is
        within the budget (risk control by an upper confidence bound: Bates et al. 2021; the bound
        is that of one threshold, not of all that were tried). A store too small for that answers
        where the confidence itself promises it.
        """
        known = self.reliability
        if not known.thresholds:
            return 1 - max_wrong
        kept = [
            t for t, bound in zip(known.thresholds, known.bounds, strict=True) if bound <= max_wrong
        ]
        return kept[-1] if kept else float("inf")

    def sure(self, answer: Attention, max_wrong: float) -> bool:
        """Whether an answer is sure enough for a budget of wrong ones, a share 0 … 1.

        Raises
        ------
        InputError
            If the answer's probabilities are not calibrated.
        """
        if answer.origin is Origin.EXACT:
            return True
        if not answer.calibrated:
            raise InputError(
                "max_wrong needs calibrated answers: leave temperature, null and imagination to "
                "the store, and use the cosine metric"
            )
        return answer.confidence >= self.threshold(max_wrong)

    def to_json(self) -> str:
        """Text to keep in the file."""
        intervals = {str(kind): known.as_json() for kind, known in self.intervals.items()}
        imagining = None if self.imagining is None else self.imagining.as_json()
        plain = asdict(replace(self, intervals={}, imagining=None))
        return json.dumps({"form": _FORM, **plain, "intervals": intervals, "imagining": imagining})

    @classmethod
    def from_json(cls, text: str) -> Calibration | None:
        """Read what :meth:`to_json` wrote; None for anything else."""
        try:
            saved: dict[str, Any] = json.loads(text)
            if saved["form"] != _FORM:
                return None
            nearest, prototype = map(float, saved["heads"])
            if not 0 < nearest + prototype < np.inf:
                return None
            return cls(
                int(saved["records"]),
                int(saved["questions"]),
                float(saved["unanswerable"]),
                (nearest, prototype),
                _logistic(saved["right"], _RIGHT),
                _logistic(saved["answerable"], _ANSWERABLE),
                _reliability(saved["reliability"]),
                {Kind(k): Intervals.from_json(v) for k, v in saved["intervals"].items()},
                None if saved["imagining"] is None else Imagining.from_json(saved["imagining"]),
                tuple((int(size), float(factor)) for size, factor in saved["scales"]),
                Level(**{name: float(saved["level"][name]) for name in Level.__match_args__}),
                int(saved["told"]),
                float(saved["guard"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


def _reliability(saved: dict[str, Any]) -> Reliability:
    thresholds, errors, bounds, answered = (
        tuple(map(float, saved[name])) for name in ("thresholds", "errors", "bounds", "answered")
    )
    ece, auroc, accuracy = (float(saved[name]) for name in ("ece", "auroc", "accuracy"))
    bins = tuple((float(p), float(hit), float(share)) for p, hit, share in saved["bins"])
    return Reliability(thresholds, errors, bounds, answered, bins, ece, auroc, accuracy)


def _logistic(saved: dict[str, Any], like: Logistic) -> Logistic:
    coefficients = tuple(map(float, saved["coefficients"]))
    if len(coefficients) != len(like.coefficients):
        raise ValueError(coefficients)
    return Logistic(coefficients, float(saved["intercept"]))


def features(evidence: Evidence, logits: Floats) -> tuple[Integers, Floats]:
    """Column of the likeliest value, and what its confidence depends on: array (m, 4).

    Its share is that beside the other values and the background, which stands for all that the
    store does not hold: the only value of a store is not right because there is no other.
    """
    rows = np.arange(len(evidence))
    best = logits[:, :-1].argmax(axis=1)
    share = np.clip(_softmax(logits)[rows, best], _SURE, 1 - _SURE)
    return best, np.column_stack(
        (
            evidence.nearest[rows, best],
            evidence.prototype[rows, best],
            np.log(share / (1 - share)),
            evidence.background,
        )
    )


def _softmax(logits: Floats) -> Floats:
    floor = logits.max(axis=1, keepdims=True, initial=-1e30)
    powers = np.exp(logits - floor)
    total = powers.sum(axis=1, keepdims=True)
    shares: Floats = powers / np.where(total > 0, total, 1)
    return shares


def prior(records: int, unanswerable: float = UNANSWERABLE) -> Calibration:
    """Calibration of a store of so many records that were not asked."""
    sharpness = 1 / size_temperature(records)
    shift = _logit(UNANSWERABLE) - _logit(unanswerable)
    heads = (_HEADS[0] * sharpness, _HEADS[1] * sharpness)
    return Calibration(
        records,
        0,
        unanswerable,
        heads,
        _RIGHT,
        replace(_ANSWERABLE, intercept=_ANSWERABLE.intercept + shift),
    )


def _logit(p: float) -> float:
    p = min(max(p, 1e-6), 1 - 1e-6)
    return float(np.log(p / (1 - p)))
