"""How a store imagines, and how far to believe it: learned by leaving its own records out.

A store whose values are words may answer with a word that nobody stored. It attends with weights
αᵢ, and every record proposes an answer, a vector in the space of the lexicon,

    uᵢ = a φ(q) + c vᵢ − b φ(kᵢ)        output = Σ αᵢ uᵢ,

of which every word w of the lexicon gets a share: P(w) ∝ exp(output · w + ρ [w is stored]). (One
more gain, fitted with the others, is for how rare the word is.)
*Blend* is a = b = 0, the values alone. *Relation* has all three *gains*: what kᵢ became, done to
q. Their lengths are the sharpness of the softmax; the less the records agree, the shorter the
output, and the flatter the softmax.

Everything free is fitted to the store's own records, from priors that hold with eight of them:

- *gains and temperature*: hide a record and every record of its value, and ask for it. The hidden
  value is the choice to make among the words (:func:`~qkv.calibration.logistic.fit_choice`);
- *head*: relation, if it ranks the hidden values clearly higher than blend does;
- *ρ*: hide only the record. Where values repeat, the answer is often a stored one; where every
  value is there once, it never is. This is the question of Good (1953) and Turing: how likely is
  a species that nobody has seen?
- *confidence*: a logistic map from what speaks for a word to P(the word is right), on the same
  left-out records and on *strangers*, queries that have no answer here: random words.

A store of one record, of equal values only, or of values that are no words has nothing to leave
out. It blends, and believes a word that nobody stored as little as the prior for blending does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from qkv.attention import product, size_temperature
from qkv.calibration.believing import CERTAIN, FEATURES, Imagining, Scale
from qkv.calibration.hidden import (
    SHARPNESS,
    TEMPERATURE,
    Gains,
    Guess,
    Hits,
    Proposing,
    Questions,
    Records,
    Strangers,
    Study,
    directions,
    guesses,
    rarity,
    shares,
)
from qkv.calibration.logistic import Logistic, fit_choice, fit_logistic
from qkv.lexicon import Lexicon
from qkv.ranking import top_k
from qkv.types import Floats, Integers

__all__ = [
    "FEATURES",
    "PRIOR",
    "Attempts",
    "Choices",
    "Gains",
    "Guess",
    "Hits",
    "Imagining",
    "Prior",
    "Proposing",
    "Records",
    "Scale",
    "Strangers",
    "choices",
    "directions",
    "examples",
    "fit_imagining",
    "guesses",
    "shares",
]

#: Share of strangers among the queries that the confidence expects.
STRANGERS = 0.1
#: Words that a hidden value competes with while the gains are fitted.
RIVALS = 100
#: Temperatures of the relation head that are tried beside the prior's.
OTHERS = (0.125, 1 / 3)
#: What another temperature must add to the log-likelihood.
_RELUCTANCE = 1.0
#: By how much relation must be ahead of blend in reciprocal ranks: in all, and for each record.
_AHEAD, _AHEAD_EACH = 0.5, 0.05
#: How firmly the priors hold: of the gains, of ρ, and of the confidence's coefficients.
_FIRM_GAINS, _FIRM_REPEATS, _FIRM_CONFIDENCE = 0.05, 0.3, 3.0
_FIXED = 1e9


class Choices(NamedTuple):
    """Hidden values among their rivals, for :func:`~qkv.calibration.logistic.fit_choice`.

    Attributes
    ----------
    features : array (m, j, 4)
        φ(q) · w, Σ αᵢ φ(kᵢ) · w and Σ αᵢ vᵢ · w of each word w, and its rarity.
    chosen : array (m,), int64
        Column of the hidden value.
    """

    features: Floats
    chosen: Integers


class Attempts(NamedTuple):
    """Words that were imagined, what spoke for them, and whether they were right.

    Attributes
    ----------
    features : array (m, 5)
        See :data:`FEATURES`.
    right : array (m,)
        1 for right, 0 for wrong.
    weights : array (m,)
    """

    features: Floats
    right: Floats
    weights: Floats


@dataclass(frozen=True)
class Prior:
    """What is known before any record was left out.

    Attributes
    ----------
    gains : Gains
        Of the relation head.
    blend, relation : Logistic
        Confidence of each head, over :data:`FEATURES`.
    """

    gains: Gains
    blend: Logistic
    relation: Logistic


def fit_imagining(
    records: Records,
    lexicon: Lexicon,
    strangers: Strangers | None = None,
    prior: Prior | None = None,
) -> Imagining:
    """Learn from a store's own records how it imagines best, and how often that is right.

    Deterministic. At most 256 records are left out, evenly spread; 64 in a store of 65,536 or more.

    Parameters
    ----------
    records : Records
    lexicon : Lexicon
    strangers : Strangers, optional
        Queries that have no answer here. They count as a tenth of all queries, however many they
        are; without them, every query is expected to have an answer.
    prior : Prior, optional
        :data:`PRIOR` if not given.

    Returns
    -------
    Imagining

    Examples
    --------
    >>> lexicon = Lexicon.glove()
    >>> pairs = {"france": "paris", "italy": "rome", "japan": "tokyo", "egypt": "cairo"}
    >>> countries, capitals = list(pairs), list(pairs.values())
    >>> keys, values = lexicon.embed(countries), lexicon.embed(capitals)
    >>> places = lexicon.places(countries), lexicon.places(capitals)
    >>> records = Records(keys, keys, keys, values, *places, np.arange(4))
    >>> found = fit_imagining(records, lexicon)
    >>> found.head, found.relation.records
    ('relation', 4)
    """
    prior = prior or PRIOR
    study = Study(records, lexicon)
    blending, relating = _blending(records), _relating(study, prior.gains)
    blend, relation = _hits(study, blending), _hits(study, relating)
    ahead = relation.records * relation.reciprocal - blend.records * blend.reciprocal
    if ahead > _AHEAD + _AHEAD_EACH * relation.records:
        proposing = replace(relating, repeats=_repeats(study, relating))
        one = _before(study, proposing, blend, relation, prior.relation)
    else:
        one = _before(study, blending, blend, relation, prior.blend)
    left_out = _examples(study, one, strangers)
    return replace(one, confidence=fit_logistic(*left_out, one.confidence, _FIRM_CONFIDENCE))


def choices(records: Records, lexicon: Lexicon, gains: Gains) -> Choices:
    """Hidden values among the rivals that some gains bring up: what a prior's gains are fitted to.

    Parameters
    ----------
    records : Records
    lexicon : Lexicon
    gains : Gains

    Returns
    -------
    Choices
    """
    study = Study(records, lexicon)
    proposing = Proposing("relation", TEMPERATURE, gains)
    return _choices(study, proposing, _rivals(study, proposing))


def examples(
    records: Records, lexicon: Lexicon, strangers: Strangers, gains: Gains | None
) -> Attempts:
    """Imagined words, right and wrong: what a prior's confidence is fitted to.

    Parameters
    ----------
    records : Records
    lexicon : Lexicon
    strangers : Strangers
    gains : Gains or None
        The prior's, for the relation head; None for blend.

    Returns
    -------
    Attempts
    --------
    """
    study, proposing = Study(records, lexicon), _blending(records)
    if gains is not None:
        proposing = _relating(study, gains)
        proposing = replace(proposing, repeats=_repeats(study, proposing))
    unknown, flat = Hits(0, 0.0, 0.0, 0.0), Logistic((0.0,) * len(FEATURES), 0.0)
    return _examples(study, _before(study, proposing, unknown, unknown, flat), strangers)


# ── how to propose ───────────────────────────────────────────────────────────────────────────


def _blending(records: Records) -> Proposing:
    return Proposing("blend", size_temperature(len(records)), Gains(0.0, 0.0, 1.0), SHARPNESS)


def _relating(study: Study, prior: Gains) -> Proposing:
    """Gains and temperature under which the hidden values are likeliest."""
    prior = prior if study.ranked else replace(prior, rarity=0.0)
    best = Proposing("relation", TEMPERATURE, prior)
    places = _rivals(study, best)
    if not len(places):
        return best
    gains, most = _gains(_choices(study, best, places), prior)
    best = replace(best, gains=gains)
    for temperature in OTHERS:
        other = replace(best, temperature=temperature)
        gains, likelihood = _gains(_choices(study, other, places), prior)
        if likelihood - _RELUCTANCE > most:
            best, most = replace(other, gains=gains), likelihood - _RELUCTANCE
    return best


def _rivals(study: Study, proposing: Proposing) -> Integers:
    """For each hidden value its row, and the rows of the words that are thought of instead."""
    questions = study.without_value
    reading = study.read(questions, proposing)
    if not len(reading.seen):
        return np.zeros((0, 1 + RIVALS), dtype=np.int64)
    logits = study.logits(questions, reading, proposing)
    truth = questions.truth[reading.seen]
    logits[np.arange(len(truth)), truth] = -np.inf
    return np.column_stack((truth, top_k(logits, RIVALS)[0]))


def _choices(study: Study, proposing: Proposing, places: Integers) -> Choices:
    reading = study.read(study.without_value, proposing)
    words = directions(study.lexicon, places)
    parts = (reading.starts, reading.keys, reading.values)
    columns = [np.einsum("md,mjd->mj", part, words) for part in parts]
    rare = rarity(study.limit)[places] * study.ranked
    features = np.stack((*columns, rare), axis=-1)
    return Choices(features.astype(np.float64), np.zeros(len(places), dtype=np.int64))


def _gains(choices: Choices, prior: Gains) -> tuple[Gains, float]:
    """The likeliest gains, and their log-likelihood, the prior's included."""
    start = np.array((prior.query, -prior.key, prior.value, prior.rarity))
    there = np.ones(choices.features.shape[:2], dtype=bool)
    fitted = fit_choice(choices.features, there, choices.chosen, start, _FIRM_GAINS)
    logits = choices.features @ fitted
    logits -= logits.max(axis=1, keepdims=True)
    likelihood = float((logits[:, 0] - np.log(np.exp(logits).sum(axis=1))).sum())
    likelihood -= 0.5 * _FIRM_GAINS * float(((fitted - start) ** 2).sum())
    query, key, value, rare = fitted.tolist()
    return Gains(query, -key, value, rare), likelihood


def _hits(study: Study, proposing: Proposing) -> Hits:
    questions = study.without_value
    reading = study.read(questions, proposing)
    return Hits.of(study.logits(questions, reading, proposing), questions.truth[reading.seen])


def _repeats(study: Study, proposing: Proposing) -> float:
    """ρ: log-odds that the answer is a stored word, beyond what the output says."""
    questions = study.without_record
    reading = study.read(questions, proposing)
    there = study.stored(questions, reading)
    parts = shares(study.logits(questions, reading, proposing))[:, study.words]
    stored = np.clip((parts * there).sum(axis=1, dtype=np.float64), CERTAIN, 1 - CERTAIN)
    odds = np.log(stored / (1 - stored))[:, None]
    column = np.searchsorted(study.words, questions.truth[reading.seen])
    answered = there[np.arange(len(column)), column].astype(np.float64)
    strength = np.array((_FIXED, _FIRM_REPEATS))  # the share counts as it is
    fitted = fit_logistic(odds, answered, np.ones(len(odds)), Logistic((1.0,), 0.0), strength)
    return fitted.intercept


# ── how far to believe it ────────────────────────────────────────────────────────────────────


def _before(
    study: Study, proposing: Proposing, blend: Hits, relation: Hits, confidence: Logistic
) -> Imagining:
    """Everything but the confidence, which is a prior's."""
    values = study.records.values
    centre: Floats = values[study.valued].sum(axis=0)
    length = float(np.linalg.norm(centre))
    centre = centre / (length if length > 0 else 1)
    nearest = study.read(study.without_record, proposing).nearest
    return Imagining(
        proposing,
        blend,
        relation,
        centre,
        Scale.of(nearest.astype(np.float64)),
        Scale.of(product(values[study.left], centre).astype(np.float64)),
        confidence,
    )


def _examples(study: Study, one: Imagining, strangers: Strangers | None) -> Attempts:
    own = _asked(study, one, study.without_record)
    if strangers is None or not len(own.right):
        return own
    outside = _asked(study, one, study.strangers(strangers.first(study.sample)))
    share = STRANGERS / (1 - STRANGERS) * own.weights.sum() / max(1.0, outside.weights.sum())
    outside = outside._replace(weights=outside.weights * share)
    return Attempts(*map(np.concatenate, zip(own, outside, strict=True)))


def _asked(study: Study, one: Imagining, questions: Questions) -> Attempts:
    """Each question's first word and its first that is not stored, half an example each."""
    reading = study.read(questions, one.proposing)
    if not len(reading.seen):
        return Attempts(np.zeros((0, len(FEATURES))), np.zeros(0), np.zeros(0))
    logits = study.logits(questions, reading, one.proposing)
    there = study.stored(questions, reading)
    logits[:, study.words] += one.proposing.repeats * there
    features, right = [], []
    for guess in guesses(shares(logits), study.words, there):
        words = directions(study.lexicon, guess.places)
        features.append(one.features(guess, words, reading.nearest))
        right.append(guess.places == questions.truth[reading.seen])
    correct = np.concatenate(right).astype(np.float64)
    return Attempts(np.concatenate(features), correct, np.full(len(correct), 0.5))


#: Fitted by benchmarks/relations.py: blend to stores of nouns and their classes, the rest to stored
#: halves of 14 relations, with other seeds than those that it reports.
PRIOR = Prior(
    Gains(27.77, 34.04, 34.89, -0.28),
    Logistic((0.646, -0.269, 0.179, 0.416, 1.804), -2.532),
    Logistic((0.889, 0.635, 0.188, 0.700, -1.441), 0.373),
)
