"""Lexicon: from vectors back to words, against a brute-force search written out."""

from __future__ import annotations

import numpy as np
import pytest

from qkv.encoders.glove import glove_table
from qkv.errors import InputError
from qkv.lexicon import Lexicon, resolve_lexicon


@pytest.fixture(scope="module")
def glove():
    return Lexicon.glove()


@pytest.mark.parametrize("limit", [None, 100, 100_000])
def test_cosine_decoding_is_the_nearest_direction(glove, limit):
    rng = np.random.default_rng(0)
    vectors = glove.embed(["king", "seven"]) + rng.normal(size=(2, 50)).astype(np.float32) * 0.1
    words = np.asarray(glove.vectors[:limit]) - glove.mean
    words = words / np.linalg.norm(words, axis=1, keepdims=True)
    cosines = words @ (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).T
    for row, decoded in enumerate(glove.decode(vectors, 7, limit=limit)):
        best = np.argsort(-cosines[:, row])[:7]
        assert decoded.words == [glove.words[i] for i in best]
        np.testing.assert_allclose(decoded.scores, cosines[best, row], atol=1e-5)


def test_euclidean_decoding_is_the_nearest_point(glove):
    vectors = glove.raw(["king", "cat"]) * 0.9
    table = np.asarray(glove.vectors, dtype=np.float64)
    for vector, decoded in zip(vectors, glove.decode(vectors, 5, metric="euclidean"), strict=True):
        distances = ((table - vector) ** 2).sum(axis=1)
        best = np.argsort(distances)[:5]
        assert decoded.words == [glove.words[i] for i in best]
        np.testing.assert_allclose(decoded.scores, -distances[best], atol=1e-3)


def test_a_word_decodes_to_itself(glove):
    words = ["king", "banana", "paris", "seven", "sphere"]
    assert [d.words[0] for d in glove.decode(glove.embed(words), 1)] == words


def test_vectors_are_mapped_not_copied(glove):
    assert isinstance(glove.vectors, np.memmap)
    assert len(glove) == 400_000
    assert "king" in glove
    assert "King" in glove
    assert "kingqqq" not in glove
    assert 42 not in glove


def test_unknown_text_embeds_to_zero_and_has_no_vector(glove):
    assert not glove.embed(["flurbish"]).any()
    with pytest.raises(InputError, match="not in the lexicon: 'flurbish'"):
        glove.raw(["king", "flurbish"])


def test_a_lexicon_of_ones_own_phrases():
    lexicon = Lexicon.of(["red apple", "green pear", "red apple"], "hashing")
    assert len(lexicon) == 2
    assert lexicon.decode(lexicon.embed(["a green pear"]), 1)[0].words == ["green pear"]


def test_decoding_in_many_batches_is_decoding_at_once(glove, monkeypatch):
    vectors = glove.embed(["king", "cat", "seven"])
    whole = glove.decode(vectors, 3, limit=1000)
    monkeypatch.setattr("qkv.lexicon._BLOCK", 1000)
    assert [d.words for d in glove.decode(vectors, 3, limit=1000)] == [d.words for d in whole]


def test_words_and_vectors_must_match():
    table = glove_table()
    with pytest.raises(InputError, match="a vector a word"):
        Lexicon(["a"], table.vectors[:2], None)


def test_names_of_lexicons(glove):
    assert resolve_lexicon(None) is None
    assert resolve_lexicon(glove) is glove
    with pytest.raises(InputError, match="'glove'"):
        resolve_lexicon("wordnet")
    with pytest.raises(InputError, match="cosine"):
        glove.decode(glove.embed(["a"]), 1, metric="manhattan")
