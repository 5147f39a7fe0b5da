"""Answers: the algebra of recall and imagination."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkv import Database, Origin
from qkv.answers import Decoding, Head
from qkv.lexicon import Lexicon

INF = math.inf


@pytest.mark.parametrize(
    ("agreement", "repetition", "share"),
    [(1.0, 1.0, 0.0), (0.5, 0.5, 0.0), (0.2, 0.5, 0.0), (1.0, 0.25, 0.75), (0.5, 0.25, 0.5)],
)
def test_imagination_is_agreement_beyond_repetition(agreement, repetition, share):
    got = Decoding().share(np.array([agreement]), np.array([repetition]))
    assert got == pytest.approx(share)


@given(st.floats(0, 1), st.floats(0.001, 1))
def test_the_share_is_a_share_and_grows_with_agreement(agreement, repetition):
    decoding = Decoding()
    low = decoding.share(np.array([agreement * 0.9]), np.array([repetition]))[0]
    high = decoding.share(np.array([agreement]), np.array([repetition]))[0]
    assert 0 <= low <= high <= 1


def test_a_given_share_is_taken_as_it_is():
    assert Decoding(imagination=0.3).share(np.array([1.0]), np.array([0.1])) == [0.3]


def relation(records, query):
    """φ(q) + Σ αᵢ (vᵢ − φ(kᵢ)) written out, with equal weights."""
    lexicon = Lexicon.glove()
    q, keys, values = (lexicon.embed(x) for x in ([query], list(records), list(records.values())))
    return lexicon, q[0] + (values - keys).mean(axis=0)


def test_the_relation_head_is_the_query_moved_by_the_mean_offset():
    records = {"france": "paris", "germany": "berlin", "japan": "tokyo"}
    lexicon, expected = relation(records, "italy")
    answer = Database(records, head=Head.RELATION).attend("italy", temperature=INF)
    np.testing.assert_allclose(answer.output, expected, atol=1e-5)
    nearest = lexicon.decode(expected[None], 3, limit=100_000)[0].words
    imagined = [c.value for c in answer.candidates if c.origin is Origin.IMAGINED]
    assert imagined[0] == next(w for w in nearest if w != "italy")


def test_records_of_unknown_words_take_no_part_in_a_relation():
    records = {"france": "paris", "germany": "berlin", "flurbish": "gnarx"}
    known = {"france": "paris", "germany": "berlin"}
    _, expected = relation(known, "italy")
    db = Database(records, encoder="hashing", head="relation")
    np.testing.assert_allclose(db.attend("italy", temperature=INF).output, expected, atol=1e-5)


def test_a_relation_asked_for_an_unknown_word_recalls():
    db = Database({"france": "paris", "germany": "berlin"}, encoder="hashing", head="relation")
    answer = db.attend("flurbish")
    assert {c.origin for c in answer.candidates} == {Origin.RECALLED}


def test_a_word_both_imagined_and_stored_is_one_stored_candidate():
    db = Database({"a": "cat", "b": "dog", "c": "rabbit"}, encoder="hashing", imagination=1.0)
    answer = db.attend("x", temperature=INF)
    values = [c.value for c in answer.candidates]
    assert len(values) == len(set(values))
    assert {c.value: c.origin for c in answer.candidates}["dog"] is Origin.RECALLED


def test_two_spellings_of_a_word_share_its_mass():
    db = Database({"a": "Cat", "b": "cat", "c": "dog"}, encoder="hashing", imagination=1.0)
    answer = db.attend("x", temperature=INF)
    found = {c.value: c.probability for c in answer.candidates}
    assert found["Cat"] == pytest.approx(found["cat"])
    assert sum(found.values()) <= 1 + 1e-6


@pytest.mark.parametrize("n", [2, 5, 50])
def test_the_mean_of_vectors_is_over_every_record(n):
    """Ten records are named, but the blend holds them all."""
    rng = np.random.default_rng(n)
    values = rng.normal(size=(n, 3)).astype(np.float32)
    db = Database(encoder=None)
    db.update({str(i): v for i, v in enumerate(values)}, vectors=rng.normal(size=(n, 4)))
    answer = db.attend(np.ones(4), temperature=INF)
    np.testing.assert_allclose(answer.value, values.mean(axis=0), atol=1e-5)
    assert answer.origin is Origin.IMAGINED
    assert answer.confidence == pytest.approx(1 - 1 / min(n, 10) if n <= 10 else 1, abs=0.15)


@pytest.mark.parametrize("settings", [{}, {"decoding": "euclidean", "imagination": 1.0}])
def test_a_cleared_store_forgets_what_its_values_meant(settings):
    first = {"a": "cat", "b": "dog", "c": "rabbit"}
    then = {"x": "monday", "y": "friday", "z": "cat"}
    db = Database(first, encoder="hashing", **settings)
    db.attend("w", temperature=INF)
    db.clear()
    db.update(then)
    fresh = Database(then, encoder="hashing", **settings).attend("w", temperature=INF)
    again = db.attend("w", temperature=INF)
    assert [c.value for c in again.candidates] == [c.value for c in fresh.candidates]
    np.testing.assert_allclose(again.output, fresh.output, atol=1e-6)


def test_equal_vectors_are_one_value():
    one = np.array([1.0, 2.0])
    db = Database(encoder=None)
    db.update({"a": one, "b": one, "c": -one}, vectors=np.eye(3))
    answer = db.attend(np.array([1.0, 1, 0]), temperature=0.01)
    assert answer.candidates[0].probability == pytest.approx(1, abs=1e-3)
    assert answer.candidates[0].keys[:2] == ("a", "b")


def test_huge_numbers_do_not_overflow():
    db = Database(encoder=None)
    db.update({"a": 1.7e308, "b": -1.7e308, "c": 1.7e308}, vectors=np.eye(3))
    answer = db.attend(np.ones(3), temperature=INF)
    mean = next(c for c in answer.candidates if c.spread is not None)
    assert mean.value == pytest.approx(1.7e308 / 3, rel=1e-6)
    assert math.isfinite(mean.spread)
