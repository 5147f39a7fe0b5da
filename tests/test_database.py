"""Database: what attention answers, and that every answer adds up."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

import qkv
from qkv import Database, Origin
from qkv.attention import attend, size_temperature, unit
from qkv.demo import (
    ANSWERS,
    ARTICLE,
    CAPITALS,
    QUERIES,
    QUESTIONS,
    RECORDS,
    RESPONSES,
    article_database,
    halves,
)
from qkv.errors import EncoderMismatch, InputError
from qkv.lexicon import Lexicon
from qkv.types import Attention

INF = math.inf


def total(answer: Attention) -> float:
    return sum(w.weight for w in answer.weights) + answer.rest + answer.null


# ── the articles ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("query", QUERIES)
def test_the_articles_words_in_the_articles_order(query):
    assert article_database().query(query) == ARTICLE[query]


@pytest.mark.parametrize("query", QUERIES)
def test_the_defaults_answer_what_a_person_would(query):
    db = Database(RECORDS)
    assert db.query(query)[0] == ANSWERS[query]
    assert db.attend(query).origin is Origin.RECALLED


@pytest.mark.parametrize("glove", [0.2, 0.3, 0.4, 0.5, 0.6])
def test_the_answers_do_not_hang_on_the_weights_of_the_heads(glove):
    db = Database(RECORDS, encoder=f"glove:{glove}+use:{1 - glove}")
    assert {query: db.query(query, 1)[0] for query in QUERIES} == ANSWERS


def test_imagined_words_are_labelled():
    answer = article_database().attend("rhombus")
    origins = [c.origin for c in answer.candidates[:5]]
    assert origins == [Origin.RECALLED] + [Origin.IMAGINED] * 4


@pytest.mark.parametrize("turned", [False, True])
def test_half_of_the_capitals_are_imagined_from_the_other_half(turned):
    pairs = {v: k for k, v in CAPITALS.items()} if turned else CAPITALS
    rights, blends = [], []
    for seed in range(5):
        stored, asked = halves(pairs, seed)
        db = Database(stored, head="relation")
        answers = db.attend(list(asked))
        rights.append(np.mean([a.candidates[0].value == asked[a.query] for a in answers]))
        blend = db.attend(list(asked), head="blend")
        blends.append(np.mean([a.value == asked[a.query] for a in blend]))
        firsts = [a.candidates[0] for a in answers]
        assert all(c.origin is Origin.IMAGINED for c in firsts if c.value in asked.values())
    assert np.mean(rights) >= 0.80
    assert np.mean(blends) < 0.2


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_second_articles_questions_find_their_response(question):
    db = Database(RESPONSES)
    assert db.search(question, k=1)[0].value == QUESTIONS[question]
    assert db.query(question, 1) == [QUESTIONS[question]]


# ── every answer adds up ─────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def words():
    return Database(RECORDS)


@pytest.mark.parametrize("temperature", [0.0, 0.05, 1.0, INF])
@pytest.mark.parametrize("top_k", [None, 1, 3, 100])
def test_weights_rest_and_null_sum_to_one(words, temperature, top_k):
    for answer in words.attend(["seventy", "feline", "世界"], temperature=temperature, top_k=top_k):
        assert total(answer) == pytest.approx(1, abs=1e-5)
        probabilities = [c.probability for c in answer.candidates]
        assert probabilities == sorted(probabilities, reverse=True)
        assert sum(probabilities) <= 1 + 1e-5
        assert len({str(c.value) for c in answer.candidates}) == len(answer.candidates)


def test_more_records_than_are_shown_leave_a_rest():
    db = Database({f"word {i}": i % 3 for i in range(100)}, encoder="hashing")
    answer = db.attend("word", temperature=1.0)
    assert len(answer.weights) == 10
    assert answer.rest == pytest.approx(1 - sum(w.weight for w in answer.weights), abs=1e-5)


def test_a_stored_key_is_exact_whatever_the_temperature(words):
    answer = words.attend("cat", temperature=INF)
    assert (answer.value, answer.origin, answer.confidence) == ("animal", Origin.EXACT, 1.0)
    assert [(w.key, w.weight) for w in answer.weights] == [("cat", 1.0)]
    assert words.query("cat") == ["animal"]


def test_equal_values_are_one_candidate(words):
    answer = words.attend("feline", temperature=0.1)
    animal = next(c for c in answer.candidates if c.value == "animal")
    pets = sum(w.weight for w in answer.weights if w.value == "animal")
    assert animal.probability <= pets + 0.2
    assert set(animal.keys) == {"cat", "dog"}


def test_an_empty_store_says_nothing():
    answer = Database().attend("anything")
    assert (answer.origin, answer.value, answer.null) == (Origin.NOTHING, None, 1.0)
    assert Database().query("anything") == []
    assert Database().search("anything") == []


def test_a_query_of_unknown_words_alone_says_nothing():
    db = Database(RECORDS, encoder="glove")
    answer = db.attend("flurbish")
    assert answer.origin is Origin.NOTHING
    assert total(answer) == 1
    assert db.search("flurbish") == []


def test_a_key_of_unknown_words_is_exact_but_never_found_by_attention():
    db = Database(RECORDS | {"flurbish": "word"}, encoder="glove")
    assert db["flurbish"] == "word"
    assert db.query("flurbish") == ["word"]
    assert "flurbish" not in [w.key for w in db.attend("feline", temperature=INF).weights]


@pytest.mark.parametrize(("null", "origin"), [(-1.0, Origin.RECALLED), (1.0, Origin.NOTHING)])
def test_the_null_record_outweighs_or_not(null, origin):
    db = Database(RECORDS, null=null)
    answer = db.attend("seventy")
    assert answer.origin is origin
    assert total(answer) == pytest.approx(1, abs=1e-5)
    assert bool(db.query("seventy")) is (origin is Origin.RECALLED)


def test_temperature_follows_the_size(words):
    assert words.attend("seven").temperature == size_temperature(6)
    assert words.attend("seven", head="relation").temperature == 0.2
    assert Database(RECORDS, temperature=0.5).attend("seven").temperature == 0.5


def test_strict_gives_stored_values_only(words):
    for q in QUERIES:
        assert set(words.query(q, n=20, strict=True)) <= set(RECORDS.values())
    assert len(words.query("seven", n=20)) > len(words.query("seven", n=20, strict=True))


def test_the_question_is_never_its_own_imagined_answer():
    db = Database({"cat": "dog", "puma": "wolf"}, head="relation")
    assert "lion" not in [c.value for c in db.attend("lion").candidates]


def test_a_list_of_queries_is_the_same_as_one_by_one(words):
    queries = ["seven", "cat", "cylinder", "世界"]
    for one, many in zip(queries, words.attend(queries), strict=True):
        alone = words.attend(one)
        assert [c.value for c in alone.candidates] == [c.value for c in many.candidates]
        assert alone.null == pytest.approx(many.null, abs=1e-5)
        np.testing.assert_allclose(
            [w.weight for w in alone.weights], [w.weight for w in many.weights], atol=1e-5
        )
    assert words.attend([]) == []
    assert [m[0].key for m in words.search(["one", "dog"], k=1)] == ["one", "dog"]


def test_explain_names_the_answer_and_its_records(words):
    text = words.attend("seventy").explain()
    for part in ("'seventy' → 'number'", "recalled", "'one': 'number'", "nothing here"):
        assert part in text


# ── kinds of value ───────────────────────────────────────────────────────────────────────────


def test_attention_over_given_vectors_is_the_definition():
    rng = np.random.default_rng(0)
    keys, values = rng.normal(size=(300, 8)), rng.normal(size=(300, 4)).astype(np.float32)
    db = Database(encoder=None, temperature=0.2)
    db.update(zip(map(str, range(300)), values, strict=True), vectors=keys)
    queries = rng.normal(size=(5, 8))
    expected, weights, _ = attend(queries, keys, values, temperature=0.2)
    for row, answer in enumerate(db.attend(queries)):
        np.testing.assert_allclose(answer.output, expected[row], atol=1e-4)
        np.testing.assert_allclose(answer.candidates[0].value, expected[row], atol=1e-4)
        assert answer.weights[0].key == str(weights[row].argmax())
        assert answer.weights[0].weight == pytest.approx(weights[row].max(), abs=1e-4)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_every_metric_weighs_as_the_reference_does(metric):
    rng = np.random.default_rng(1)
    keys, query = rng.normal(size=(40, 6)), rng.normal(size=6)
    db = Database(encoder=None, metric=metric, temperature=0.7)
    db.update({str(i): i for i in range(40)}, vectors=keys)
    mean, weights, _ = attend(
        query[None], keys, np.arange(40.0)[:, None], metric=metric, temperature=0.7
    )
    answer = db.attend(query)
    assert answer.output[0] == pytest.approx(mean[0, 0], abs=1e-3)
    shown = [int(w.key) for w in answer.weights]
    np.testing.assert_allclose([w.weight for w in answer.weights], weights[0, shown], atol=1e-5)


def test_three_neighbours_at_infinite_temperature_vote():
    keys = unit(np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1.0], [0.1, 1]]))
    db = Database(encoder=None, lexicon=None)
    db.update(zip("abcde", ["x", "y", "y", "x", "x"], strict=True), vectors=keys)
    answer = db.attend(np.array([1.0, 0.0]), top_k=3, temperature=INF)
    assert answer.value == "y"
    assert answer.confidence == pytest.approx(2 / 3, abs=1e-6)


def test_numbers_blend_to_a_mean_with_a_spread():
    db = Database(encoder=None)
    db.update({"a": 10, "b": 20, "c": 10}, vectors=np.eye(3))
    answer = db.attend(np.ones(3), temperature=INF)
    mean = next(c for c in answer.candidates if c.origin is Origin.IMAGINED)
    assert mean.value == pytest.approx(40 / 3)
    assert mean.spread == pytest.approx(np.std([10, 20, 10]))
    near = db.attend(np.array([0.0, 1, 0]), temperature=0.01)
    assert (near.value, near.origin) == (20, Origin.RECALLED)


def test_json_is_weighed_and_recalled_never_blended():
    db = Database({"red apple": {"tax": 7}, "green apple": {"tax": 19}}, encoder="hashing")
    answer = db.attend("apple", temperature=INF)
    assert [c.origin for c in answer.candidates] == [Origin.RECALLED] * 2
    assert answer.output is None


def test_values_of_all_kinds_live_together():
    records = {"a": "text", "b": 7, "c": np.ones(2), "d": {"x": 1}, "e": np.zeros(2), "f": 9.5}
    db = Database(encoder=None)
    db.update(records, vectors=np.eye(6))
    answer = db.attend(np.ones(6), temperature=INF)
    assert total(answer) == pytest.approx(1)
    assert sum(c.probability for c in answer.candidates) == pytest.approx(1, abs=1e-3)
    imagined = [c.value for c in answer.candidates if c.origin is Origin.IMAGINED]
    assert 8.25 in [v for v in imagined if isinstance(v, float)]
    assert any(np.array_equal(v, [0.5, 0.5]) for v in imagined if isinstance(v, np.ndarray))


def test_sentences_are_recalled_and_imagined_only_from_a_vocabulary_they_were_given():
    records = {
        "reset password": "Click on 'forgot password' below the login form.",
        "change email": "Open the settings and edit your address.",
    }
    plain = Database(records, encoder="hashing")
    answer = plain.attend("how do I reset my password")
    assert {c.origin for c in answer.candidates} == {Origin.RECALLED}
    lexicon = Lexicon.of(["Ask the support team.", "Open the settings."], "hashing")
    given = Database(records, encoder="hashing", lexicon=lexicon, imagination=0.5)
    values = [
        c.value for c in given.attend("change my email").candidates if c.origin is Origin.IMAGINED
    ]
    assert values[0] == "Open the settings."


@pytest.mark.parametrize(
    ("share", "origins"), [(0.0, {"recalled"}), (1.0, {"recalled", "imagined"})]
)
def test_imagination_can_be_set(share, origins):
    db = Database(RECORDS, imagination=share)
    assert {c.origin for c in db.attend("seven").candidates} == origins


def test_agreement_decides_between_recall_and_imagination():
    """Values that repeat are recalled; many that differ and agree are imagined from."""
    repeated = Database({f"a{i}": "red" for i in range(8)}, encoder="hashing")
    assert repeated.attend("a", temperature=INF).origin is Origin.RECALLED
    assert repeated.attend("a", temperature=INF).confidence == pytest.approx(1)
    months = ["january", "february", "march", "april", "june", "july", "august", "september"]
    varied = Database({f"a{i}": month for i, month in enumerate(months)}, encoder="hashing")
    answer = varied.attend("a", temperature=INF)
    imagined = sum(c.probability for c in answer.candidates if c.origin is Origin.IMAGINED)
    assert imagined > 0.1


def test_numbers_and_vectors_ask_for_no_lexicon():
    db = Database({"a": 1, "b": 2}, encoder="hashing", lexicon="no such lexicon")
    assert db.attend("a a").value is not None
    db["c"] = "text"
    with pytest.raises(InputError, match="lexicon"):
        db.attend("d")


# ── the store behind ─────────────────────────────────────────────────────────────────────────


def test_attention_follows_every_change(tmp_path):
    db = Database(path=tmp_path / "s.qkv", encoder="hashing", lexicon=None)
    other = Database(path=tmp_path / "s.qkv", lexicon=None)
    db["red apple"] = "fruit"
    assert other.query("red apples") == ["fruit"]
    db.update({"red apple": "pome", "blue car": "vehicle"})
    assert other.query("red apples", 1) == ["pome"]
    other.put("red apple", "pome", vector=-db.vector("red apple"))
    assert db.search("red apples")[-1].key == "red apple"
    del other["red apple"]
    assert [m.key for m in db.search("red apples")] == ["blue car"]
    db.clear()
    assert other.query("red apples") == []
    db["red apple"] = "again"
    assert other.query("red apples") == ["again"]


def test_a_value_that_was_overwritten_is_no_longer_stored():
    db = Database({"a": "shape", "b": "animal"}, encoder="hashing")
    db.attend("c")
    db["a"] = "toy"
    answer = db.attend("c", temperature=INF)
    stored = {c.value for c in answer.candidates if c.origin is Origin.RECALLED}
    assert stored == {"toy", "animal"}


def test_many_deletions_leave_a_store_that_answers():
    rng = np.random.default_rng(0)
    db = Database(encoder=None, lexicon=None)
    db.update({str(i): i for i in range(5000)}, vectors=rng.normal(size=(5000, 4)))
    db.attend(np.ones(4))
    for i in range(0, 5000, 2):
        del db[str(i)]
        if i % 1000 == 0:
            db.attend(np.ones(4))
    found = db.search(np.ones(4), k=5000)
    assert {m.key for m in found} == {str(i) for i in range(1, 5000, 2)}


def test_given_vectors_need_no_encoder_and_keep_their_direction():
    db = Database(encoder=None)
    db.put("north", "up", vector=[0, 2])
    db.put("east", "right", vector=[2, 0])
    assert db.query(np.array([0.1, 5]), 1) == ["up"]
    assert db.vector("north").tolist() == [0, 1]
    with pytest.raises(KeyError):
        db.vector("south")
    with pytest.raises(InputError, match="no encoder"):
        db.query("north-east")


def test_keys_already_stored_are_not_encoded_again():
    class Counting:
        fingerprint = "counting"
        seen = 0

        def encode(self, texts):
            self.seen += len(texts)
            return np.ones((len(texts), 2), dtype=np.float32)

    encoder = Counting()
    db = Database({"a": 1, "b": 2}, encoder=encoder)
    assert encoder.seen == 2
    db.update({"a": 3, "b": 4, "c": 5})
    assert encoder.seen == 3


def test_a_file_remembers_its_encoder_and_refuses_another(tmp_path):
    path = tmp_path / "s.qkv"
    with Database({"a": 1}, path=path, encoder="hashing"):
        pass
    with Database(path=path) as db:
        assert db.encoder.fingerprint == "hashing-256-v1"
    for encoder in ("use", None):
        with pytest.raises(EncoderMismatch, match=r"encoder='hashing'") as caught:
            Database(path=path, encoder=encoder)
        assert ".update(old)" in str(caught.value)


def test_a_file_with_an_encoder_of_ones_own_asks_for_it(tmp_path):
    class Own:
        fingerprint = "own-1"

        def encode(self, texts):
            return np.ones((len(texts), 2), dtype=np.float32)

    path = tmp_path / "s.qkv"
    Database({"a": 1}, path=path, encoder=Own()).close()
    with pytest.raises(EncoderMismatch, match="give it again"):
        Database(path=path)
    assert Database(path=path, encoder=Own())["a"] == 1


def test_a_file_remembers_its_metric(tmp_path):
    path = tmp_path / "s.qkv"
    Database({"a": 1}, path=path, encoder="hashing", metric="euclidean").close()
    assert Database(path=path).metric == "euclidean"
    with pytest.raises(InputError, match="written for the metric 'euclidean'"):
        Database(path=path, metric="dot")


def test_threads_read_while_one_writes():
    db = Database({f"k{i}": i for i in range(50)}, encoder="hashing", lexicon=None)
    errors, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            answer = db.attend("k1x")
            if abs(total(answer) - 1) > 1e-4:
                errors.append(answer)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(200):
        db[f"k{i % 70}"] = i
        if i % 10 == 0:
            db.pop(f"k{i % 70}")
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []


def test_the_public_names_are_there():
    assert {name for name in qkv.__all__ if not hasattr(qkv, name)} == set()
    assert repr(Database()).startswith("<qkv.Database in memory, 0 records>")
