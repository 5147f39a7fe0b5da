"""Imagining: a store that leaves its own records out learns how to imagine, and when not to."""

from __future__ import annotations

import numpy as np
import pytest

from qkv.attention import softmax, unit
from qkv.calibration.hidden import Hits, Study
from qkv.calibration.imagining import (
    PRIOR,
    Proposing,
    Records,
    Scale,
    Strangers,
    directions,
    examples,
    fit_imagining,
    guesses,
    shares,
)
from qkv.database import Database
from qkv.demo import CAPITALS
from qkv.encoders import HashingEncoder
from qkv.lexicon import Lexicon

D = 32
#: Words 0 … 99 are keys; word 100 + i is what key i becomes; the rest are bystanders.
KEYS, WORDS = 100, 3000


def vocabulary(seed=0):
    """A lexicon in which one relation holds: value = key + the same step, nearly."""
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(WORDS, D)))
    step = unit(rng.normal(size=(1, D)))
    noise = 0.1 * unit(rng.normal(size=(KEYS, D)))
    vectors[KEYS : 2 * KEYS] = unit(vectors[:KEYS] + step + noise)
    words = [f"word{i}" for i in range(WORDS)]
    return Lexicon(words, vectors.astype(np.float32), HashingEncoder())


LEXICON = vocabulary()


def store(keys, values, lexicon=LEXICON):
    keys, values = np.asarray(keys, dtype=np.int64), np.asarray(values, dtype=np.int64)
    known = directions(lexicon, keys)
    _, groups = np.unique(values, return_inverse=True)
    means = directions(lexicon, np.maximum(values, 0)) * (values >= 0)[:, None]
    return Records(known, known, known, means, keys, values, groups)


def queries(places, lexicon=LEXICON):
    places = np.asarray(places, dtype=np.int64)
    known = directions(lexicon, places)
    return Strangers(known, known, places)


STRANGERS = queries(range(2000, 2100))


def ask(records, one, asked, lexicon=LEXICON):
    """The first word, the first that is not stored, and how far each is believed."""
    study = Study(records, lexicon)
    questions = study.strangers(asked)
    reading = study.read(questions, one.proposing)
    logits = study.logits(questions, reading, one.proposing)
    logits[:, study.words] += one.proposing.repeats
    held = np.ones((len(logits), len(study.words)), dtype=bool)
    return [
        (guess, one.probability(guess, directions(lexicon, guess.places), reading.nearest))
        for guess in guesses(shares(logits), study.words, held)
    ]


RELATED = store(range(40), range(KEYS, KEYS + 40))


def test_a_store_with_a_relation_chooses_it_and_completes_it():
    one = fit_imagining(RELATED, LEXICON, STRANGERS)
    assert one.head == "relation"
    assert one.relation.records == 40
    assert one.relation.first > 0.9
    assert one.blend.first < 0.1
    (guess, believed), _ = ask(RELATED, one, queries(range(40, 80)))
    right = guess.places == np.arange(KEYS + 40, KEYS + 80)
    assert right.mean() > 0.9
    assert believed.mean() == pytest.approx(right.mean(), abs=0.15)


def test_a_store_says_when_it_should_not_imagine():
    one = fit_imagining(RELATED, LEXICON, STRANGERS)
    (_, own), _ = ask(RELATED, one, queries(range(40, 80)))
    (_, other), _ = ask(RELATED, one, queries(range(500, 600)))
    assert other.mean() < 0.5 * own.mean()
    assert np.median(other) < own.min()


def test_without_a_relation_it_blends_and_believes_no_new_word():
    rng = np.random.default_rng(1)
    records = store(range(40), rng.permutation(np.arange(1000, 1040)))
    one = fit_imagining(records, LEXICON, STRANGERS)
    assert one.head == "blend"
    _, (fresh, believed) = ask(records, one, queries(range(40, 80)))
    assert not np.isin(fresh.places, records.value_places).any()
    assert believed.max() < 0.2


def test_eight_records_are_enough():
    records = store(range(8), range(KEYS, KEYS + 8))
    one = fit_imagining(records, LEXICON, STRANGERS)
    assert one.head == "relation"
    (guess, _), _ = ask(records, one, queries(range(40, 80)))
    assert (guess.places == np.arange(KEYS + 40, KEYS + 80)).mean() > 0.8


@pytest.mark.parametrize(
    "records",
    [
        store([0], [KEYS]),
        store([0, 1, 2, 3], [KEYS] * 4),
        store(range(5), [-1] * 5),
        store([], []),
    ],
    ids=["one record", "equal values", "values that are no words", "no record"],
)
def test_a_store_with_nothing_to_leave_out_blends_and_doubts(records):
    one = fit_imagining(records, LEXICON, STRANGERS)
    assert one.head == "blend"
    assert one.blend.records == one.relation.records == 0
    if records.values.any():
        _, (fresh, believed) = ask(records, one, queries(range(40, 60)))
        assert not fresh.stored.any()
        assert believed.max() < 0.2


def test_unknown_keys_take_no_part():
    known = store(range(20), range(KEYS, KEYS + 20))
    keys, places = known.keys.copy(), known.key_places.copy()
    keys[10:], places[10:] = 0, -1
    records = Records(known.vectors, known.asked, keys, known.values, places,
                      known.value_places, known.groups)  # fmt: skip
    one = fit_imagining(records, LEXICON, STRANGERS)
    assert one.head == "relation"
    assert one.relation.records == 10


def test_the_hidden_value_is_hidden_with_all_its_records():
    records = store(range(6), [KEYS, KEYS, KEYS + 1, KEYS + 1, KEYS + 2, KEYS + 3])
    study = Study(records, LEXICON)
    proposing = Proposing("blend", 0.1, PRIOR.gains)
    weights = study.read(study.without_value, proposing).weights
    same = records.groups[:, None] == records.groups
    assert (weights[same] == 0).all()
    assert (weights[~same] > 0).all()
    weights = study.read(study.without_record, proposing).weights
    assert ((weights == 0) == np.eye(6, dtype=bool)).all()
    there = study.stored(study.without_record, study.read(study.without_record, proposing))
    assert there.tolist() == [[True] * 4] * 4 + [
        [True, True, False, True],
        [True, True, True, False],
    ]


def test_the_output_is_the_sum_of_the_proposals():
    """output = Σ αᵢ (a φ(q) + c vᵢ − b φ(kᵢ)), decoded by its direction and its length."""
    one = fit_imagining(RELATED, LEXICON, STRANGERS)
    proposing, gains, asked = one.proposing, one.proposing.gains, queries([50, 60])
    weights, _ = softmax(asked.asked @ RELATED.vectors.T, proposing.temperature)
    proposals = (
        gains.query * asked.keys[:, None] + gains.value * RELATED.values - gains.key * RELATED.keys
    )
    output = np.einsum("mn,mnd->md", weights, proposals)
    expected = output @ directions(LEXICON, np.arange(WORDS)).T
    expected += gains.rarity * np.log1p(np.arange(WORDS)) / np.log1p(100_000)
    expected[[0, 1], [50, 60]] = -np.inf
    study = Study(RELATED, LEXICON)
    questions = study.strangers(asked)
    logits = study.logits(questions, study.read(questions, proposing), proposing)
    np.testing.assert_allclose(logits, expected, atol=1e-3)
    rows = gains.rows(RELATED.keys, RELATED.values)
    np.testing.assert_allclose(proposing.output(asked.keys, weights @ rows), output, atol=1e-4)


def test_stored_words_gain_where_values_repeat_and_lose_where_they_do_not():
    once = fit_imagining(RELATED, LEXICON, STRANGERS).proposing
    rng = np.random.default_rng(2)
    vectors = np.array(LEXICON.vectors)
    for i in range(40):  # five records a value: what keys 0 … 7 become
        vectors[i] = unit((vectors[i % 8] + 0.3 * rng.normal(size=D) / np.sqrt(D))[None])[0]
    lexicon = Lexicon(LEXICON.words, vectors, HashingEncoder())
    records = store(range(40), KEYS + np.arange(40) % 8, lexicon)
    often = fit_imagining(records, lexicon, STRANGERS).proposing
    assert once.repeats < 0
    assert often.head == "relation"
    assert often.repeats > 0


def test_sharpening_adds_the_repeats_to_stored_words_alone():
    proposing = Proposing("relation", 0.2, PRIOR.gains, sharpness=2.0, repeats=-1.0)
    flat = Proposing("relation", 0.2, PRIOR.gains, sharpness=2.0)
    cosines, output = np.zeros((1, 5), dtype=np.float32), np.ones((1, 3), dtype=np.float32)
    stored = np.array([1, 4])
    difference = proposing.sharpen(cosines.copy(), output, stored) - flat.sharpen(cosines, output)
    np.testing.assert_allclose(difference, [[0, -1, 0, 0, -1]], atol=1e-6)


def test_a_made_vocabulary_has_no_rare_words():
    words, vectors = LEXICON.words, LEXICON.vectors
    made = Lexicon(words, vectors, HashingEncoder(), made_for_store=True)
    assert fit_imagining(RELATED, made, STRANGERS).proposing.gains.rarity == 0
    assert fit_imagining(RELATED, LEXICON, STRANGERS).proposing.gains.rarity != 0


def test_the_same_records_give_the_same_calibration():
    one, two = (fit_imagining(RELATED, LEXICON, STRANGERS) for _ in range(2))
    assert one.proposing == two.proposing
    assert one.confidence == two.confidence
    assert one.nearness == two.nearness


def test_a_large_store_leaves_out_a_sample_evenly():
    rng = np.random.default_rng(3)
    records = store(np.arange(1000), rng.integers(1000, 2000, size=1000))
    left = Study(records, LEXICON).left
    assert len(left) == 256
    assert set(np.diff(left)) == {3, 4}


def test_guesses_name_the_best_and_the_best_that_is_not_stored():
    parts = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    first, fresh = guesses(parts, np.array([0]), np.array([[True], [True]]))
    assert first.places.tolist() == [0, 2]
    assert first.stored.tolist() == [True, False]
    assert first.rival.tolist() == [0.3, 0.2]
    assert fresh.places.tolist() == [1, 2]
    assert fresh.share.tolist() == [0.3, 0.7]
    assert fresh.rival.tolist() == [0.5, 0.2]
    assert parts.tolist() == [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]


def test_hits_are_ranks():
    logits = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    assert Hits.of(logits, np.array([0, 1])) == (2, 0.5, 1.0, 0.75)
    assert Hits.of(logits[:0], np.zeros(0, dtype=int)) == (0, 0, 0, 0)


def test_a_scale_of_few_scores_stays_wide():
    assert Scale.of(np.array([0.5])).deviation == pytest.approx(np.sqrt(0.02 / 3))
    assert Scale.of(np.zeros(0)) == Scale(0.0, 1.0)
    wide = np.random.default_rng(0).normal(2, 3, size=5000)
    assert Scale.of(wide).deviation == pytest.approx(3, rel=0.05)
    assert Scale(0.0, 1.0)(np.array([-9.0, 1.0])).tolist() == [-5, 1]


def test_examples_hold_strangers_as_a_tenth():
    own = examples(RELATED, LEXICON, queries([]), PRIOR.gains)
    with_strangers = examples(RELATED, LEXICON, STRANGERS, PRIOR.gains)
    outside = with_strangers.weights[len(own.weights) :].sum()
    assert outside / with_strangers.weights.sum() == pytest.approx(0.1)
    assert with_strangers.right[len(own.right) :].sum() == 0


def test_capitals_of_real_words():
    """GloVe, half of the demo's capitals: on the whole a country is believed, a noun is not."""
    lexicon = Lexicon.glove()
    pairs = list(CAPITALS.items())
    stored, asked = pairs[::2], pairs[1::2]
    keys, values = (lexicon.places([pair[side] for pair in stored]) for side in (0, 1))
    records = store(keys, values, lexicon)
    strangers = queries(np.arange(300, 30_300, 300), lexicon)
    one = fit_imagining(records, lexicon, strangers)
    assert one.head == "relation"
    (guess, own), _ = ask(records, one, queries(lexicon.places([k for k, _ in asked]), lexicon),
                          lexicon)  # fmt: skip
    right = guess.places == lexicon.places([value for _, value in asked])
    assert right.mean() > 0.7
    assert own.mean() == pytest.approx(right.mean(), abs=0.12)
    nouns = ["banana", "anger", "violin", "tuesday", "bridge", "doctor", "cheese", "history"]
    (_, other), _ = ask(records, one, queries(lexicon.places(nouns), lexicon), lexicon)
    assert other.mean() < 0.3 * own.mean()
    assert (own[:, None] > other).mean() > 0.9


def test_a_strict_answer_leaves_what_was_imagined_to_nothing() -> None:
    pairs = list(CAPITALS.items())
    with Database(dict(pairs[::2])) as db:
        assert db.calibration.imagining is not None
        assert db.calibration.imagining.head == "relation"
        for country, _ in pairs[1:12:2]:
            free, strict = db.attend(country, n=1000), db.attend(country, n=1000, strict=True)
            stored = {c.value: c.probability for c in free.candidates if c.origin == "recalled"}
            assert {c.value: c.probability for c in strict.candidates} == pytest.approx(stored)
            imagined = sum(c.probability for c in free.candidates if c.origin == "imagined")
            assert imagined > 0
            assert strict.null == pytest.approx(free.null + imagined)
