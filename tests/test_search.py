"""Search: one signature, three modes, and a match that says why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkv import Database, Match, Place
from qkv.attention import size_temperature
from qkv.errors import InputError
from qkv.ranking import reciprocal_rank_fusion, weighted_fusion
from qkv.words import tokens

TEXTS = {
    "red apple pie": "dessert",
    "red car": "vehicle",
    "blue car": "vehicle",
    "blue whale": "an animal of the sea",
    "green apple": "fruit",
}
MODES = ["semantic", "keyword", "hybrid"]


@pytest.fixture
def db() -> Database:
    db = Database(encoder="hashing", lexicon=None)
    db.update(TEXTS, metadata=[{"n": i} for i in range(len(TEXTS))])
    return db


def keys(found: list[Match]) -> list[str]:
    return [match.key for match in found]


@pytest.mark.parametrize("mode", MODES)
class TestEveryMode:
    def test_a_match_says_all(self, db: Database, mode: str) -> None:
        match = db.search("green apples", 3, mode=mode, language="en")[0]
        assert (match.key, match.value, match.metadata) == ("green apple", "fruit", {"n": 4})
        retrievers = {"semantic", "keyword"} if mode == "hybrid" else {mode}
        assert set(match.why) == retrievers
        assert all(place.rank == 1 and place.score > 0 for place in match.why.values())

    def test_best_first_and_at_most_k(self, db: Database, mode: str) -> None:
        found = db.search("red apple car", 3, mode=mode)
        assert len(found) == 3
        scores = [match.score for match in found]
        assert scores == sorted(scores, reverse=True)

    def test_a_list_is_one_batch_of_the_same(self, db: Database, mode: str) -> None:
        queries = ["red", "whale", "nothing like it 12345"]
        for found, q in zip(db.search(queries, 4, mode=mode), queries, strict=True):
            alone = db.search(q, 4, mode=mode)
            assert keys(found) == keys(alone)
            assert [m.score for m in found] == pytest.approx([m.score for m in alone])
        assert db.search([], mode=mode) == []

    def test_the_query_itself_can_be_left_out(self, db: Database, mode: str) -> None:
        assert keys(db.search("red car", 2, mode=mode))[0] == "red car"
        rest = db.search("red car", 2, mode=mode, exclude_query=True)
        assert len(rest) == 2
        assert "red car" not in keys(rest)
        assert rest[0].why[mode if mode != "hybrid" else "semantic"].rank >= 1

    def test_a_filter_comes_before_the_best(self, db: Database, mode: str) -> None:
        found = db.search("red apple car", 1, mode=mode, where="n >= 2")
        whole = db.search("red apple car", 10, mode=mode)
        assert keys(found) == [key for key in keys(whole) if list(TEXTS).index(key) >= 2][:1]
        assert db.search("red", mode=mode, where="n > 99") == []

    def test_stores_without_an_answer(self, mode: str) -> None:
        assert Database(encoder="hashing").search("x", mode=mode) == []

    def test_what_changes_is_seen(self, db: Database, mode: str) -> None:
        db.search("red", mode=mode)
        db["red tomato"] = "vegetable"
        del db["red car"]
        found = keys(db.search("red tomato", mode=mode))
        assert found[0] == "red tomato"
        assert "red car" not in found


def test_hybrid_by_rank_is_the_fusion_of_its_parts(db: Database) -> None:
    q = "a red apple from the sea"
    semantic, keyword = (keys(db.search(q, 10, mode=mode)) for mode in ("semantic", "keyword"))
    number = {key: i for i, key in enumerate(TEXTS)}
    expected = reciprocal_rank_fusion([[number[k] for k in semantic], [number[k] for k in keyword]])
    found = db.search(q, 10, mode="hybrid", fusion="rrf")
    assert [(number[m.key], m.score) for m in found] == list(expected.items())
    for match in found:
        assert match.why["semantic"].rank == semantic.index(match.key) + 1
        if match.key in keyword:
            assert match.why["keyword"].rank == keyword.index(match.key) + 1
        else:
            assert "keyword" not in match.why


def test_hybrid_adds_the_logits_of_both(db: Database) -> None:
    q = "a red apple from the sea"
    texts = {key: set(tokens(f"{key} {value}")) for key, value in TEXTS.items()}
    rarity = 0.0
    for word in tokens(q):
        df = sum(word in text for text in texts.values())
        rarity += float(np.log1p((len(texts) - df + 0.5) / (df + 0.5)))
    words = {m.key: m.score for m in db.search(q, 10, mode="keyword")}
    for options in ({}, {"where": "n >= 2"}):
        meaning = {m.key: m.score for m in db.search(q, 10, **options)}
        tau = 1.25 * size_temperature(len(meaning))
        for match in db.search(q, 10, mode="hybrid", **options):
            held = words.get(match.key, 0.0)
            expected = meaning[match.key] / tau + held * min(1, held / rarity)
            assert match.score == pytest.approx(expected, rel=1e-5)


def test_what_only_one_retriever_names_is_scored_by_both() -> None:
    db = Database(encoder="hashing")
    db.update({f"whales swim {i}": 0 for i in range(400)})
    db["a swhalex"] = "the whale shark"
    q = "whale shark"
    match = db.search(q, 1, mode="hybrid")[0]
    assert (match.key, set(match.why)) == ("a swhalex", {"keyword"})
    meaning = float(db.similarity([q], ["a swhalex"]).scores[0, 0])
    held, rarity = match.why["keyword"].score, 2 * float(np.log1p(400.5 / 1.5))
    expected = meaning / (1.25 * size_temperature(401)) + held * min(1, held / rarity)
    assert meaning > 0.05
    assert match.score == pytest.approx(expected, rel=1e-4)


def test_words_that_cover_little_of_a_query_weigh_little() -> None:
    db = Database(
        {"¿Dónde está mi pedido 7?": 0, "Invoice number 7": 1, "Ein Hund": 2, "Le ciel": 3}
    )
    q = "Where is my order number 7, the one that I placed last week for my sister?"
    assert keys(db.search(q, mode="keyword"))[0] == "Invoice number 7"
    assert keys(db.search(q, mode="hybrid"))[0] == keys(db.search(q))[0]


def test_a_share_of_one_is_meaning_and_of_nought_words(db: Database) -> None:
    for share, name in ((1.0, "semantic"), (0.0, "keyword")):
        mixed = db.search("red apple sea", 10, mode="hybrid", fusion=share)
        pure = [match.why[name].score for match in mixed if name in match.why]
        assert pure == sorted(pure, reverse=True)
        assert mixed[0].score == 1


def test_vectors_search_by_meaning_only(db: Database) -> None:
    vector = db.vector("red car")
    assert keys(db.search(vector, 1)) == ["red car"]
    for mode in ("keyword", "hybrid"):
        with pytest.raises(InputError, match="a vector has no words"):
            db.search(vector, mode=mode)


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "fuzzy"},
        {"fusion": "sum"},
        {"fusion": 1.5},
        {"fusion": True},
        {"fusion": "attention", "mode": "hybrid", "scheme": "overlap"},
        {"k": 0},
        {"k": 2.5},
        {"scheme": "lucene"},
        {"language": "xx"},
        {"language": ["en"]},
        {"stop_words": 3},
        {"stop_words": [3]},
    ],
)
def test_options_that_cannot_be_used_are_told(db: Database, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        db.search("red", **options)


# ── filters and attention ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("keep", [3, 150, 290])
def test_attention_among_some_is_attention_over_a_store_of_those(keep: int) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((300, 16)).astype(np.float32)
    values = [str(i % 7) for i in range(300)]
    names = [f"k{i}" for i in range(300)]
    chosen = sorted(rng.permutation(300)[:keep].tolist())
    whole = Database(encoder=None, lexicon=None)
    about = [{"chosen": i in chosen} for i in range(300)]
    whole.update(zip(names, values, strict=True), vectors=vectors, metadata=about)
    del whole["k0"], whole["k1"]
    part = Database(encoder=None, lexicon=None)
    left = [i for i in chosen if i > 1]
    part.update(((names[i], values[i]) for i in left), vectors=vectors[left])
    queries = rng.standard_normal((4, 16)).astype(np.float32)
    for ours, theirs in zip(
        whole.attend(queries, where="chosen", temperature=0.1),
        part.attend(queries, temperature=0.1),
        strict=True,
    ):
        assert ours.temperature == pytest.approx(theirs.temperature)
        assert [w.key for w in ours.weights] == [w.key for w in theirs.weights]
        assert [w.weight for w in ours.weights] == pytest.approx(
            [w.weight for w in theirs.weights], abs=1e-6
        )
        assert ours.value == theirs.value


def test_records_that_do_not_pass_are_no_evidence() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((24, 8)).astype(np.float32)
    names, values = [f"k{i}" for i in range(24)], ["ab"[i % 2] for i in range(24)]
    whole = Database(encoder=None, lexicon=None)
    about = [{"chosen": i < 6} for i in range(24)]
    whole.update(zip(names, values, strict=True), vectors=vectors, metadata=about)
    part = Database(encoder=None, lexicon=None)
    part.update(zip(names[:6], values, strict=False), vectors=vectors[:6])
    prior = whole.calibration
    for query in rng.standard_normal((20, 8)).astype(np.float32):
        ours, theirs = whole.attend(query, where="chosen"), part.attend(query)
        # The two stores' calibrations differ, but not what they are told.
        told = _judged_by(whole, part, query, prior)
        assert [c.value for c in ours.candidates] == [c.value for c in theirs.candidates]
        assert [c.probability for c in ours.candidates] == pytest.approx(told)


def _judged_by(whole: Database, part: Database, query, calibration) -> list[float]:  # type: ignore[no-untyped-def]
    """Probabilities of the smaller store's candidates by the larger store's calibration."""
    part._reader.calibrating.current = lambda snapshot: calibration
    try:
        return [c.probability for c in part.attend(query).candidates]
    finally:
        del part._reader.calibrating.current


def test_a_key_that_does_not_pass_is_no_exact_answer(db: Database) -> None:
    assert db.attend("red car", where="n == 1").origin == "exact"
    assert db.attend("red car", where="n == 2").weights[0].key == "blue car"
    assert db.query("red car", where="n == 99") == []


# ── spans ────────────────────────────────────────────────────────────────────────────────────────

STORY = "The pitch was dry. It began to rain at noon. Nobody had an umbrella."


def test_spans_are_parts_of_the_record() -> None:
    db = Database({"the match": STORY, "a cup of tea": "Boil water."}, encoder="hashing")
    (match,) = db.search("when did the rain begin", 1, mode="hybrid", spans=True, language="en")
    assert match.key == "the match"
    for span in match.spans:
        text = match.key if span.field == "key" else match.value
        assert text[span.start : span.end] == span.text
    assert [s.text for s in match.spans if s.why == "keyword"] == ["began", "rain"][1:]
    assert [s.text for s in match.spans if s.why == "semantic"] == ["It began to rain at noon."]
    assert db.search("rain", 1, mode="keyword")[0].spans == ()


def test_spans_of_keywords_know_forms() -> None:
    db = Database({"Two cups and a cup": 1}, encoder="hashing")
    (match,) = db.search("cups", mode="keyword", spans=True, language="en")
    assert [(s.text, s.start, s.field) for s in match.spans] == [
        ("cups", 4, "key"),
        ("cup", 15, "key"),
    ]
    (match,) = db.search("cups", mode="keyword", spans=True)
    assert [s.text for s in match.spans] == ["cups"]


def test_a_store_without_an_encoder_has_spans_of_words() -> None:
    db = Database(encoder=None)
    db.put("red bear", 1, vector=[1.0])
    (match,) = db.search("bear", mode="keyword", spans=True)
    assert [s.text for s in match.spans] == ["bear"]
    assert db.search(np.ones(1), spans=True)[0].spans == ()


# ── fusion ───────────────────────────────────────────────────────────────────────────────────────

_rankings = st.lists(st.lists(st.integers(0, 9), unique=True, max_size=8), min_size=1, max_size=4)


@given(_rankings)
def test_rank_fusion_is_its_formula(rankings: list[list[int]]) -> None:
    fused = reciprocal_rank_fusion(rankings)
    for id, score in fused.items():
        assert score == pytest.approx(
            sum(1 / (61 + ranking.index(id)) for ranking in rankings if id in ranking)
        )
    assert set(fused) == {id for ranking in rankings for id in ranking}
    assert list(fused.values()) == sorted(fused.values(), reverse=True)


@given(_rankings)
def test_rank_fusion_of_one_is_itself(rankings: list[list[int]]) -> None:
    assert list(reciprocal_rank_fusion(rankings[:1])) == rankings[0]


def test_weighted_fusion_of_equal_scores() -> None:
    assert weighted_fusion([{1: 2.0, 2: 2.0}, {}], [0.5, 0.5]) == {1: 0.5, 2: 0.5}


def test_places() -> None:
    assert Place(1, 0.5) == Place(rank=1, score=0.5)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_metrics_rank_as_numpy_does(metric: str) -> None:
    rng = np.random.default_rng(3)
    vectors, q = rng.standard_normal((200, 8)), rng.standard_normal(8)
    db = Database(encoder=None, metric=metric)
    db.update(((f"k{i}", i) for i in range(200)), vectors=vectors)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(q)
    expected = {
        "cosine": vectors @ q / lengths,
        "dot": vectors @ q,
        "euclidean": -0.5 * ((vectors - q) ** 2).sum(axis=1),
    }[metric]
    found = db.search(q, 20)
    assert [m.value for m in found] == np.argsort(-expected)[:20].tolist()
    assert [m.score for m in found] == pytest.approx(np.sort(expected)[::-1][:20], abs=1e-4)
