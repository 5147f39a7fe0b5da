"""The similarity matrix, beside NumPy's and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest

import qkv
from qkv import errors, similarity
from qkv.types import Metric

SENTENCES = [
    "Where is the world cup?",
    "What color is the sky?",
    "The world cup is in Qatar.",
    "The sky is blue.",
]


def store(metric: str = "cosine", n: int = 12, d: int = 5) -> tuple[qkv.Database, np.ndarray]:
    """A store of given vectors, and the vectors."""
    vectors = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32)
    db = qkv.Database(encoder=None, metric=metric)
    db.update([(f"key {i}", i) for i in range(n)], vectors=vectors)
    return db, vectors


def test_cosine_is_that_of_scikit_learn():
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    db, vectors = store()
    found = db.similarity()
    assert found.keys == found.queries == tuple(db)
    assert found.metric is Metric.COSINE
    np.testing.assert_allclose(found.scores, pairwise.cosine_similarity(vectors), atol=1e-6)


def test_the_other_metrics_are_numpys():
    db, vectors = store("dot")
    np.testing.assert_allclose(db.similarity(), vectors @ vectors.T, atol=1e-5)
    db, vectors = store("euclidean")
    distances = np.linalg.norm(vectors[:, None] - vectors, axis=2)
    np.testing.assert_allclose(db.similarity(), -0.5 * distances**2, atol=1e-5)


def test_euclidean_keeps_its_digits_far_from_the_origin():
    db = qkv.Database(encoder=None, metric="euclidean")
    db.update({"a": 1, "b": 2}, vectors=np.array([[1000.0, 1.0], [1000.0, 2.0]]))
    assert db.similarity().scores.tolist() == [[0.0, -0.5], [-0.5, 0.0]]


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_equal_sets_make_a_symmetric_matrix(metric):
    db, _ = store(metric, n=200, d=37)
    scores = db.similarity().scores
    assert (scores == scores.T).all()
    keys = list(db)[:50]
    scores = db.similarity(keys, keys).scores
    assert (scores == scores.T).all()


def test_the_diagonal_is_one_for_texts_of_every_language():
    texts = [*SENTENCES, "El cielo es azul", "世界杯在哪里举行？", "qzxv"]
    db = qkv.Database(dict.fromkeys(texts, 0), encoder="glove+use")
    lengths = [np.linalg.norm(db.vector(text)) for text in texts]
    assert min(lengths) < 0.9  # one head of two abstains
    scores = db.similarity().scores
    assert (np.diag(scores) == 1).all()
    assert scores.max() <= 1
    assert scores.min() >= -1
    # It still is a matrix of inner products: of unit vectors, each with an axis of its own.
    assert np.linalg.eigvalsh(scores.astype(float)).min() > -1e-6


def test_scores_are_those_of_search():
    db = qkv.Database(dict.fromkeys([*SENTENCES, "El cielo es azul"], 0), encoder="hashing")
    queries = ["Is the sky blue?", "cielo"]
    found = db.similarity(queries)
    assert found.shape == (2, 5)
    for row, matches in zip(found.scores, db.search(queries), strict=True):
        expected = {match.key: match.score for match in matches}
        got = dict(zip(found.keys, row.tolist(), strict=True))
        assert got == pytest.approx(expected, abs=1e-6)


def test_the_pairs_of_the_article_are_found():
    db = qkv.Database(dict.fromkeys(SENTENCES[2:], 0))
    assert np.argmax(db.similarity(SENTENCES[:2]), axis=1).tolist() == [0, 1]


def test_a_stored_key_has_its_stored_vector_on_both_sides():
    db = qkv.Database(encoder="hashing")
    unlike = np.zeros(256)
    unlike[0] = -2.0
    db.put("cat", 1, vector=unlike)
    db.put("dog", 2)
    found = db.similarity(["cat", "cats"], ["cat", unlike])
    assert found.keys == ("cat", "vector 2")
    assert found.scores[0].tolist() == [1, 1]
    assert abs(found.scores[1, 0]) < 0.5


class TwoTowers:
    """Encodes queries otherwise than keys."""

    fingerprint = "two towers"

    def encode(self, texts):
        return np.array([[1.0, len(text)] for text in texts]) / 100

    def encode_queries(self, texts):
        return -self.encode(texts)


def test_texts_that_are_only_queries_are_encoded_as_queries():
    db = qkv.Database({"a": 1}, encoder=TwoTowers())
    assert db.similarity(["bb"]).scores[0, 0] == pytest.approx(-0.0003)
    both = db.similarity(["bb"], ["bb", "cc"]).scores
    assert both.tolist() == [[1.0, pytest.approx(0.0005)]]


def test_one_text_and_a_matrix_of_vectors_are_queries():
    db, vectors = store()
    assert db.similarity("key 3").shape == (1, 12)
    found = db.similarity(vectors[:2])
    assert found.queries == ("vector 1", "vector 2")
    np.testing.assert_allclose(found.scores, db.similarity().scores[:2], atol=1e-6)


def test_an_empty_store_and_empty_lists():
    db = qkv.Database(encoder="hashing")
    assert db.similarity().shape == (0, 0)
    assert db.similarity(["a b"]).shape == (1, 0)
    assert db.similarity([], ["a b"]).scores.shape == (0, 1)
    assert db.similarity(["cat"], ["cat", "dog"]).scores[0, 0] == 1
    assert db.dimension == 0  # comparing texts decides nothing


@pytest.mark.parametrize(
    ("queries", "keys", "kind", "said"),
    [
        (["key 1"], ["north"], errors.VectorError, "no encoder"),
        (["north"], None, errors.VectorError, "no encoder"),
        ([np.zeros(3)], None, errors.VectorError, "3"),
        ([5], None, errors.RecordError, "text or a NumPy vector"),
        ([""], None, errors.TextError, "empty"),
    ],
)
def test_bad_input_is_explained(queries, keys, kind, said):
    db, _ = store()
    with pytest.raises(kind, match=said):
        db.similarity(queries, keys)


def test_vectors_of_two_encoders_do_not_compare():
    with pytest.raises(errors.VectorError, match="3 and 256 dimensions"):
        qkv.Database(encoder="hashing").similarity([np.ones(3)], ["cat"])


def test_what_would_not_fit_into_memory_is_refused(monkeypatch):
    db, _ = store()
    monkeypatch.setattr(similarity, "_CELLS", 12 * 11)
    with pytest.raises(errors.InputError, match=r"db\.search\(queries, k=10\)"):
        db.similarity()
    assert db.similarity(["key 1"] * 11).shape == (11, 12)


def test_it_is_an_array_that_nobody_changes():
    db, _ = store()
    found = db.similarity()
    assert np.asarray(found) is found.scores
    assert np.array(found, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        found.scores[0, 0] = 2


def test_what_is_printed_fits_a_screen():
    db = qkv.Database({f"<b>{'long ' * 10}{i}": i for i in range(30)}, encoder="hashing")
    found = db.similarity()
    assert repr(found).startswith("<SimilarityMatrix 30 queries × 30 keys, cosine>")
    assert len(repr(found).splitlines()) == 13
    page = found._repr_html_()
    assert "&lt;b&gt;long" in page
    assert "<b>" not in page
