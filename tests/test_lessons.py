"""Corrections, learning and going back: of a whole store."""

import threading

import numpy as np
import pytest

from qkv import Database, errors
from qkv.learning import held_out
from qkv.types import Origin

KINDS = ["shape", "colour", "food", "tool"]


def records(n=1500, d=24, seed=0):
    """Records of four kinds that differ in three of 24 dimensions; the others are noise."""
    rng = np.random.default_rng(seed)
    held = rng.integers(len(KINDS), size=n)
    centres = np.zeros((len(KINDS), d))
    centres[:, :3] = np.random.default_rng(99).standard_normal((len(KINDS), 3))
    vectors = centres[held] + rng.standard_normal((n, d)) * (np.arange(d) >= 3)
    return [(f"record {i}", KINDS[kind]) for i, kind in enumerate(held)], vectors


@pytest.fixture(scope="module")
def asked():
    pairs, vectors = records(200, seed=1)
    return [value for _, value in pairs], list(vectors.astype(np.float32))


def store(path=None, **options):
    pairs, vectors = records()
    db = Database(path=path, encoder=None, lexicon=None, **options)
    db.update(pairs, vectors=vectors)
    return db


def right(db, asked):
    values, vectors = asked
    found = db.search(vectors, 1)
    return np.mean([one[0].value == value for one, value in zip(found, values, strict=True)])


@pytest.fixture
def words():
    return Database(
        {"one": "number", "two": "number", "cat": "animal", "dog": "animal", "ball": "toy"},
        encoder="hashing",
        lexicon=None,
    )


# ── corrections ──────────────────────────────────────────────────────────────────────────────────


def test_a_corrected_question_is_answered_right_the_next_time(words):
    words.feedback("seven", good="number")
    answer = words.attend("seven")
    assert (answer.value, answer.origin, answer.confidence) == ("number", Origin.EXACT, 1)
    assert words.query("seven") == ["number"]


def test_an_answer_may_be_a_key_or_a_value_that_nobody_stored(words):
    words.feedback("kitty", good="cat")
    assert words.attend("kitty").candidates[0].keys == ("cat",)
    words["cat"] = "pet"
    assert words.query("kitty") == ["pet"]
    words.feedback("hammer", good="tool")
    assert words.query("hammer") == ["tool"]


def test_questions_like_it_are_drawn_towards_it(words):
    before = words.attend("cattle grid").value
    words.feedback("cattle", good="farm")
    assert words.attend("cattle grid").value == "farm" != before


def test_the_dict_does_not_show_corrections(words):
    before = list(words.items())
    words.feedback("seven", good="number", bad="toy")
    assert list(words.items()) == before
    assert len(words) == 5
    assert "seven" not in words
    with pytest.raises(KeyError):
        words["seven"]


def test_what_was_wrong_is_not_answered_again(words):
    value = words.attend("cats").value
    words.feedback("cats", bad=value)
    assert words.attend("cats").value != value
    assert value not in words.query("cats")
    words.feedback("cats", bad=["cat", "dog", "number", "toy"])
    assert words.query("cats") == []
    words.feedback("cats", good="animal")
    assert words.query("cats") == ["animal"]


def test_a_good_answer_that_turns_out_wrong_is_taken_back(words):
    words.feedback("cats", good="toy")
    words.feedback("cats", bad="toy")
    assert words.attend("cats").value == "animal"
    words.feedback("cats", good="toy")
    words.feedback("cats", bad="toy")
    assert words.attend("cats").value == "animal"


def test_a_search_finds_the_record_that_was_meant_once(words):
    words.feedback("tiger", good="cat")
    found = [match.key for match in words.search("tiger", 3)]
    assert found[0] == "cat"
    assert len(found) == len(set(found)) == 3


def test_vectors_can_be_corrected_too():
    db = Database(encoder=None, lexicon=None)
    db.update({"north": "up", "east": "right"}, vectors=np.eye(2))
    db.feedback(np.array([-1.0, 0.0]), good="down")
    assert db.attend(np.array([-1.0, 0.1])).value == "down"


def test_filters_see_no_corrections_but_those_of_records_that_pass(words):
    words.put("cat", "animal", metadata={"legs": 4})
    words.feedback("tiger", good="cat")
    words.feedback("seven", good="number")
    assert words.query("tiger", where="legs == 4") == ["animal"]
    assert "number" not in words.query("seven", where="legs == 4")


def test_corrections_are_kept_in_the_file(path):
    with Database({"cat": "animal"}, path=path, encoder="hashing", lexicon=None) as db:
        db.feedback("tiger", good="cat", bad="toy")
        db.feedback("tiger", bad="tool")
    with Database(path=path, lexicon=None) as db, Database(path=path, lexicon=None) as other:
        assert db.query("tiger") == ["animal"]
        db.feedback("hammer", good="tool")
        assert other.query("hammer") == ["tool"]


def test_corrections_go_with_their_record_and_with_all(words):
    words.feedback("tiger", good="cat")
    words.feedback("seven", good="number")
    assert words.query("tiger") == ["animal"]
    del words["cat"]
    assert words.attend("tiger").origin != Origin.EXACT
    assert words.attend("seven").origin == Origin.EXACT
    words.clear()
    assert words.attend("seven").origin == Origin.NOTHING
    assert words.query("seven") == []


def test_an_empty_store_can_be_told_answers():
    db = Database(encoder="hashing", lexicon=None)
    db.feedback("seven", good="number")
    assert db.query("seven") == ["number"]
    assert len(db) == 0


def test_an_explanation_names_the_correction(words):
    words.feedback("cattle", good="farm")
    told = words.attend("cattle grid").explain()
    assert "'cattle': 'farm'" in told
    assert "without 'cattle'" in told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "what is right or what is wrong"),
        ({"good": {1, 2}}, "a value is"),
        ({"bad": [{1}]}, "a value is"),
    ],
)
def test_what_is_no_feedback_is_said_and_nothing_is_lost(words, given, said):
    words.feedback("seven", good="number")
    with pytest.raises(errors.InputError, match=said):
        words.feedback("seven", **given)
    assert words.query("seven") == ["number"]


def test_a_stored_key_is_written_and_not_corrected(words):
    with pytest.raises(errors.InputError, match=r"db\['cat'\] ="):
        words.feedback("cat", good="pet")
    words.feedback("tiger", good="cat")
    words["tiger"] = "feline"  # what is stored comes first
    assert words.query("tiger") == ["feline"]


def test_other_metrics_have_no_corrections():
    db = Database({"cat": "animal"}, encoder="hashing", metric="dot", lexicon=None)
    with pytest.raises(errors.InputError, match="cosine"):
        db.feedback("cats", good="animal")
    with pytest.raises(errors.InputError, match="cosine"):
        db.learn()


# ── learning ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("keys", [False, True])
def test_a_store_learns_from_its_own_repeated_values(keys, asked):
    db = store()
    before = right(db, asked)
    stored = db.vector("record 0")
    learned = db.learn(keys=keys)
    assert learned.kept, learned
    assert learned.after.recall > learned.before.recall
    assert right(db, asked) > before
    assert np.array_equal(db.vector("record 0"), stored)
    assert learned.version == 1
    assert "own records" in str(learned)
    assert db.calibration.questions > 0


@pytest.mark.parametrize("keys", [False, True])
def test_answers_go_by_all_records_and_confidence_by_those_held_out(path, keys, asked):
    with store(path) as db:
        learned = db.learn(keys=keys)
        assert learned.trained == len(db)
        space = db._space
        assert not np.array_equal(space.trial.query, space.projection.query)
        told = db.calibration
        assert told.questions == held_out(db._reader.snapshot().records).sum()
    with Database(path=path, encoder=None, lexicon=None) as db:
        assert db.calibrate().reliability == told.reliability  # the trial is in the file


def test_the_trial_never_sees_the_records_that_are_held_out(asked):
    """Other vectors of theirs change what answers go by, and not what they are judged by."""
    projections = []
    for noise in (0.0, 0.5):
        pairs, vectors = records()
        spared = held_out(np.arange(1, len(vectors) + 1))
        rng = np.random.default_rng(1)
        moved = vectors + noise * rng.standard_normal(vectors.shape) * spared[:, None]
        db = Database(encoder=None, lexicon=None)
        db.update(pairs, vectors=moved.astype(np.float32))
        assert db.learn(keys=True).kept
        projections.append((db._space.trial.query, db._space.projection.query))
    (trial, final), (other_trial, other_final) = projections
    np.testing.assert_array_equal(trial, other_trial)
    assert not np.array_equal(final, other_final)


def test_a_store_that_has_grown_since_is_calibrated_by_what_came(asked):
    db = store()
    assert db.learn(keys=True).kept
    pairs, vectors = records(8 * len(db), seed=7)
    db.update(((f"later {key}", value) for key, value in pairs), vectors=vectors)
    later = len(db) - len(pairs)
    calibrated = db.calibrate()
    snapshot = db._reader.snapshot()
    view = db._reader.calibrating._view(snapshot)
    assert view.projection is db._space.projection
    assert len(view.untrained) == len(pairs)
    assert (snapshot.records[view.untrained] > later).all()
    assert calibrated.questions > 0


@pytest.mark.parametrize("keys", [False, True])
def test_unlearning_brings_back_what_was(keys, asked):
    db = store()
    before = db.attend(asked[1][:20])
    assert db.learn(keys=keys).kept
    once = db.attend(asked[1][:20])
    assert [a.confidence for a in once] != [a.confidence for a in before]
    again = db.learn(keys=keys)
    if again.kept:
        assert db.unlearn()
        twice = db.attend(asked[1][:20])
        assert [a.confidence for a in twice] == pytest.approx([a.confidence for a in once])
    assert db.unlearn()
    after = db.attend(asked[1][:20])
    assert [a.confidence for a in after] == pytest.approx([a.confidence for a in before])
    assert not db.unlearn()


@pytest.mark.parametrize("keys", [False, True])
def test_what_was_learned_is_in_the_file_and_others_see_it(path, keys, asked):
    with store(path) as db, Database(path=path, encoder=None, lexicon=None) as other:
        was = other.attend(asked[1][0]).weights
        assert db.learn(keys=keys).kept
        new = db.attend(asked[1][0]).weights
        assert other.attend(asked[1][0]).weights == new != was
    with Database(path=path, encoder=None, lexicon=None) as db:
        assert db.attend(asked[1][0]).weights == new
        db.put("later", "tool", vector=asked[1][0])  # a key that comes later is projected, too
        assert db.search(asked[1][0], 1)[0].key == "later"
        assert db.search(asked[1][0], 1)[0].score == pytest.approx(1, abs=1e-5) or not keys


def test_learning_is_deterministic(asked):
    one, other = store(), store()
    one.learn()
    other.learn()
    assert one.attend(asked[1][0]).weights == other.attend(asked[1][0]).weights


def test_shuffled_values_are_refused_and_nothing_changes(asked):
    pairs, vectors = records()
    values = np.random.default_rng(0).permutation([value for _, value in pairs]).tolist()
    db = Database(encoder=None, lexicon=None)
    db.update(
        ((key, value) for (key, _), value in zip(pairs, values, strict=True)), vectors=vectors
    )
    before = db.attend(asked[1][0]).weights
    learned = db.learn()
    assert not learned.kept
    assert learned.version == 0
    assert db.attend(asked[1][0]).weights == before
    assert not db.unlearn()


@pytest.mark.parametrize("keys", [False, True])
def test_a_large_store_is_arranged_again_for_keys_that_moved(path, keys, asked):
    pairs, vectors = records(3000)
    db = Database(path=path, encoder=None, lexicon=None, index="clustered")
    db.update(pairs, vectors=vectors)
    db.compact()
    assert db.index == "clustered"
    assert db.learn(keys=keys).kept
    db.compact()
    assert db.index == "clustered"
    found = db.search(asked[1], 1)
    flat = Database(path=path, encoder=None, lexicon=None, index="flat")
    assert [one[0].key for one in found] == [one[0].key for one in flat.search(asked[1], 1)]
    db.close()
    with Database(path=path, encoder=None, lexicon=None, index="clustered") as db:
        assert db.index == "clustered"
        assert db.search(asked[1], 1) == found


def test_pairs_teach_what_their_words_do_not_say():
    db = Database(encoder=None, lexicon=None)
    rng = np.random.default_rng(0)
    keys = rng.standard_normal((60, 20))
    db.update({f"key {i}": i for i in range(60)}, vectors=keys)
    turn = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    queries = keys @ (0.5 * np.eye(20) + turn)
    pairs = [(queries[i], f"key {i}") for i in range(60)]
    learned = db.learn(pairs)
    assert learned.kept, learned
    assert learned.parts["told"].before.questions == 60  # each was held out once
    assert learned.after.mrr > learned.before.mrr + 0.05


def test_corrections_are_learned_from(asked):
    db = store()
    values, vectors = asked
    for value, vector in zip(values[:60], vectors[:60], strict=True):
        db.feedback(vector, good=value)
    learned = db.learn()
    assert learned.parts["told"].before.questions > 0
    assert learned.kept, learned


def test_queries_and_keys_of_different_length_meet():
    rng = np.random.default_rng(0)
    keys = rng.standard_normal((50, 12))
    queries = keys @ rng.standard_normal((12, 20))
    db = Database(encoder=None, lexicon=None)
    db.update({f"key {i}": i for i in range(50)}, vectors=keys)
    with pytest.raises(errors.VectorError):
        db.search(queries[0])
    learned = db.learn([(queries[i], f"key {i}") for i in range(40)])
    assert learned.kept
    assert np.mean([db.search(queries[i], 1)[0].value == i for i in range(40, 50)]) > 0.7
    assert db.attend(queries[41]).origin in {Origin.RECALLED, Origin.IMAGINED}
    with pytest.raises(errors.InputError, match="different kinds"):
        db.feedback(queries[0], good=1)
    assert db.unlearn()
    with pytest.raises(errors.VectorError):
        db.search(queries[0])


def test_hard_negatives_are_taken_and_counted():
    db = Database({"cat": 1, "dog": 2}, encoder="hashing", lexicon=None)
    pairs = [
        (f"a {word} here", "cat") for word in ("tiger", "lion", "kitty", "puma", "lynx", "tom")
    ]
    learned = db.learn(pairs, negatives=[["dog", "an old dog"]] * 6)
    assert learned.trained == 6
    with pytest.raises(errors.InputError, match="one list"):
        db.learn(pairs, negatives=[["dog"]])


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([], "no pairs"),
        ("ab", "a list like"),
        (["ab"], "pair 0 is no pair"),
        ([("a", "b", "c")], "pair 0 is no pair"),
        ([("a", "b"), ("", "b")], "empty"),
    ],
)
def test_what_is_no_pair_is_said(words, pairs, said):
    with pytest.raises(errors.InputError, match=said):
        words.learn(pairs)


def test_too_few_questions_are_said(words):
    learned = words.learn()
    assert not learned.kept
    assert "too few" in learned.why
    assert str(learned)
    assert learned.before.questions == 0


def test_progress_is_told(asked):
    seen = []
    store().learn(progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] <= seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_reads_go_on_while_a_store_learns(path, asked):
    with store(path) as db:
        stop, wrong = threading.Event(), []

        def read():
            while not stop.is_set():
                answers = db.attend(asked[1][:3])
                wrong.extend(a for a in answers if not 0 <= a.confidence <= 1)

        thread = threading.Thread(target=read)
        thread.start()
        for keys in (True, False):
            db.learn(keys=keys)
        db.unlearn()
        stop.set()
        thread.join()
        assert not wrong
