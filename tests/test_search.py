"""Search: one signature, three modes, and a match that says why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkv import Database, Match, Place
from qkv.errors import InputError
from qkv.ranking import attention_fusion, reciprocal_rank_fusion, word_evidence, word_weight
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
        for found, q in zip(db.search(queries, 9, mode=mode), queries, strict=True):
            alone = db.search(q, 9, mode=mode)
            assert {m.key: m.score for m in found} == pytest.approx(
                {m.key: m.score for m in alone}, abs=1e-6
            )
            # A product of another shape rounds another way, and may swap what is that close.
            assert [m.score for m in found] == pytest.approx([m.score for m in alone], abs=1e-6)
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


def test_hybrid_adds_meaning_and_words(db: Database) -> None:
    q = "a red apple from the sea"
    texts = {key: set(tokens(f"{key} {value}")) for key, value in TEXTS.items()}
    rarity = heard = 0.0
    for word in tokens(q):
        df = sum(word in text for text in texts.values())
        idf = float(np.log1p((len(texts) - df + 0.5) / (df + 0.5)))
        rarity, heard = rarity + idf, heard + idf * (df > 0)
    words = {m.key: m.score for m in db.search(q, 10, mode="keyword")}
    scores = db.similarity().scores
    others = scores[~np.eye(5, dtype=bool)].reshape(5, 4)
    # Ten records' worth of what is usual, 0.1.
    sigma = np.sqrt((5 * others.std(axis=1).mean() ** 2 + 10 * 0.1**2) / 15)
    middle = db.similarity([q]).scores.mean()
    for share, fusion in ((0.5, "attention"), (0.5, 0.5), (0.2, 0.2), (0.9, 0.9)):
        for where in (None, "n >= 2"):
            meaning = {m.key: m.score for m in db.search(q, 10, where=where)}
            for match in db.search(q, 10, mode="hybrid", where=where, fusion=fusion):
                evidence = (heard / rarity) ** 2 * words.get(match.key, 0.0) / np.sqrt(rarity)
                expected = (
                    share * (meaning[match.key] - middle) / sigma + 2 * (1 - share) * evidence
                )
                assert match.score == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_what_only_one_retriever_names_is_scored_by_both() -> None:
    db = Database(encoder="hashing")
    db.update({f"whales swim {i}": 0 for i in range(400)})
    db["a swhalex"] = "the whale shark"
    q = "whale shark"
    found = {m.key: m for m in db.search(q, 200, mode="hybrid", fusion=0.2)}
    match = found["a swhalex"]
    assert set(match.why) == {"keyword"}
    scores = db.similarity([q], list(found)).scores[0].tolist()
    meaning = dict(zip(found, scores, strict=True))
    assert meaning["a swhalex"] > 0.05
    other = next(m for m in found.values() if set(m.why) == {"semantic"})
    evidence = match.why["keyword"].score / np.sqrt(2 * float(np.log1p(400.5 / 1.5)))
    spread = db._reader.lexical.spread(db._reader.snapshot())
    apart = (meaning["a swhalex"] - meaning[other.key]) / spread.deviation
    assert match.score - other.score == pytest.approx(0.2 * apart + 1.6 * evidence, rel=1e-4)


def test_words_that_cover_little_of_a_query_weigh_little() -> None:
    db = Database(
        {"¿Dónde está mi pedido 7?": 0, "Invoice number 7": 1, "Ein Hund": 2, "Le ciel": 3}
    )
    q = "Where is my order number 7, the one that I placed last week for my sister?"
    assert keys(db.search(q, mode="keyword"))[0] == "Invoice number 7"
    assert keys(db.search(q, mode="hybrid"))[0] == keys(db.search(q))[0]


@pytest.mark.parametrize("q", ["red apple sea", "a car of the sea", "green", "nothing 12345"])
def test_a_share_of_one_is_meaning_and_of_nought_words(db: Database, q: str) -> None:
    for share, name in ((1.0, "semantic"), (0.0, "keyword")):
        mixed = db.search(q, 10, mode="hybrid", fusion=share)
        pure = [m.score for m in db.search(q, 10, mode=name)]
        first = [m.why[name].score for m in mixed if name in m.why]
        assert first == pytest.approx(pure, abs=1e-6)
        assert all(name in m.why for m in mixed[: len(pure)])


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
        {"fusion": 0.5, "mode": "hybrid", "scheme": "tfidf"},
        {"in_": "key", "mode": "keyword"},
        {"in_": 1, "mode": "keyword"},
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


_scores = st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=20)
_shares = st.floats(0, 1, width=32)


@given(_scores, st.data(), _shares, st.floats(-8, 8, width=32))
def test_fusion_knows_no_zero_of_meaning(
    meaning: list[float], data: st.DataObject, share: float, shift: float
) -> None:
    words = data.draw(
        st.lists(st.floats(0, 8, width=32), min_size=len(meaning), max_size=len(meaning))
    )
    deviations, evidence = np.array(meaning), np.array(words)
    before = attention_fusion(deviations, evidence, share)
    after = attention_fusion(deviations + shift, evidence, share)
    assert after - before == pytest.approx(np.full(len(meaning), share * shift), abs=1e-9)


@given(_scores, st.data(), _shares, st.floats(0, 4, width=32), st.floats(0, 1, width=32))
def test_fusion_rises_with_meaning_and_with_words(
    meaning: list[float], data: st.DataObject, share: float, more: float, conflict: float
) -> None:
    words = data.draw(
        st.lists(st.floats(0, 8, width=32), min_size=len(meaning), max_size=len(meaning))
    )
    place = data.draw(st.integers(0, len(meaning) - 1))
    deviations, evidence = np.array(meaning), np.array(words)
    before = attention_fusion(deviations, evidence, share, conflict)
    evidence[place] += more
    worded = attention_fusion(deviations, evidence, share, conflict)
    assert worded[place] >= before[place]
    assert np.delete(worded, place) == pytest.approx(np.delete(before, place))
    evidence[place] -= more
    deviations[place] += more
    meant = attention_fusion(deviations, evidence, share)
    assert meant[place] >= attention_fusion(np.array(meaning), evidence, share)[place]


@given(_scores, st.data(), st.floats(0, 1, width=32))
def test_fusion_of_one_side_is_that_side(
    meaning: list[float], data: st.DataObject, conflict: float
) -> None:
    words = data.draw(
        st.lists(st.floats(0, 8, width=32), min_size=len(meaning), max_size=len(meaning))
    )
    deviations, evidence = np.array(meaning), np.array(words)
    assert attention_fusion(deviations, evidence, 1.0, conflict).tolist() == deviations.tolist()
    assert attention_fusion(deviations, evidence, 0.0, conflict) == pytest.approx(2 * evidence)


@given(_scores, st.floats(0, 1, width=32))
def test_words_count_less_the_surer_meaning_is(meaning: list[float], conflict: float) -> None:
    deviations = np.array(meaning)
    weight = word_weight(deviations, conflict)
    assert 0 <= weight <= 1
    assert word_weight(deviations, 0.0) == 1
    assert word_weight(np.minimum(deviations, 3), conflict) == 1  # nothing is understood
    deviations[deviations.argmax()] += 1
    assert word_weight(deviations, conflict) <= weight


def test_word_evidence_of_no_words_is_none() -> None:
    assert word_evidence(np.array([0.0, 0.0]), 0.0, 0.0).tolist() == [0, 0]


# ── where words are looked for ───────────────────────────────────────────────────────────────────


def test_words_are_looked_for_in_keys_or_in_values(db: Database) -> None:
    def found(in_: str, mode: str = "keyword") -> set[str]:
        return {
            m.key for m in db.search("red animal", 10, mode=mode, in_=in_) if "keyword" in m.why
        }

    for mode in ("keyword", "hybrid"):
        assert found("keys", mode) == {"red apple pie", "red car"}
        assert found("values", mode) == {"blue whale"}
        assert found("both", mode) == found("keys", mode) | found("values", mode)


def test_spans_are_where_words_are_looked_for() -> None:
    db = Database({"a red car": "the red one"}, encoder="hashing")
    for in_, fields in (("keys", ["key"]), ("values", ["value"]), ("both", ["key", "value"])):
        (match,) = db.search("red", mode="keyword", in_=in_, spans=True)
        assert [span.field for span in match.spans] == fields


def test_meaning_is_that_of_keys_where_no_values_are_read(db: Database) -> None:
    for in_ in ("keys", "both"):
        assert keys(db.search("red car", in_=in_)) == keys(db.search("red car"))
    with pytest.raises(InputError, match="mode='keyword'"):
        db.search("red car", in_="values")


# ── stores of two languages, and encoders that do not know a field ───────────────────────────────


def two_languages(n: int = 150, parallel: bool = True) -> Database:
    """Sentences of made-up words in two languages; what means the same has nearly one vector."""
    rng = np.random.default_rng(0)
    topics = rng.integers(0, 30, (n, 4))
    meant = rng.standard_normal((30, 32))[topics].sum(axis=1)
    texts = [
        " ".join(f"{language}{topic}" for topic in row) + f" {language}the {language}x{i}"
        for language in ("a", "b" if parallel else "a")
        for i, row in enumerate(topics)
    ]
    vectors = np.vstack((meant, meant + 0.05 * rng.standard_normal(meant.shape)))
    db = Database(encoder=None, lexicon=None)
    shown = list(dict.fromkeys(texts))
    db.update(dict.fromkeys(shown), vectors=vectors[: len(shown)])
    return db


def test_words_contradict_meaning_where_texts_are_there_in_two_languages() -> None:
    mixed, one = two_languages(), two_languages(parallel=False)
    assert mixed._search.scales()[1] == 1
    assert one._search.scales()[1] == 0


def test_a_small_store_and_one_of_single_words_contradict_nothing() -> None:
    rng = np.random.default_rng(0)
    for n in (0, 1, 2, 3, 300):
        db = Database(encoder=None, lexicon=None)
        db.update({f"w{i}": i for i in range(n)}, vectors=rng.standard_normal((n, 8)))
        assert db._search.scales() == (0.5, 0)


def test_what_a_store_is_measured_with_holds_until_much_has_changed() -> None:
    db = two_languages()
    reader = db._reader
    known = reader.lexical.spread(reader.snapshot())
    db.put("one more", 1, vector=np.ones(32))
    assert reader.lexical.spread(reader.snapshot()) is known
    db.update({f"x{i}": 0 for i in range(60)}, vectors=np.eye(60, 32))
    assert reader.lexical.spread(reader.snapshot()) is not known


class Deaf:
    """Hears nothing of what a text is about: its vector is the text's, and no other's."""

    weak = True

    def __init__(self) -> None:
        self.asked = 0

    def encode(self, texts: list[str]) -> Any:
        self.asked += len(texts)
        seeds = [sum(text.encode()) for text in texts]
        vectors = [np.random.default_rng(seed).standard_normal(16) for seed in seeds]
        return np.array([v / np.linalg.norm(v) for v in vectors], dtype=np.float32)


def test_meaning_that_hears_nothing_gets_a_small_share() -> None:
    rng = np.random.default_rng(0)
    names = [f"word{i}" for i in range(2000)]
    texts = {" ".join(rng.choice(names, 30)): i for i in range(300)}
    deaf = Deaf()
    db = Database(texts, encoder=deaf, lexicon=None)
    assert db._search.scales()[0] == pytest.approx(0.1)
    asked = deaf.asked
    q = list(texts)[7].split()
    assert db.search(" ".join(q[3:9]), 1, mode="hybrid")[0].value == 7
    assert deaf.asked == asked + 1  # it is remembered
    again = Database(texts, encoder=Deaf(), lexicon=None)
    assert again._search.scales() == db._search.scales()


def test_only_a_large_store_with_a_weak_encoder_asks_itself() -> None:
    deaf = Deaf()
    small = Database(
        {f"a text of many words, number {i}, " * 3: i for i in range(50)}, encoder=deaf
    )
    asked = deaf.asked
    assert small._search.scales()[0] == 0.5
    strong = Deaf()
    strong.weak = False
    rng = np.random.default_rng(0)
    texts = {" ".join(f"word{i}" for i in rng.integers(0, 2000, 30)): 0 for _ in range(300)}
    large = Database(texts, encoder=strong, lexicon=None)
    assert large._search.scales()[0] == 0.5
    assert (deaf.asked, strong.asked) == (asked, 300)


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
