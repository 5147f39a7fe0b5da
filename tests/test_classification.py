"""Classification by neighbours is attention: beside scikit-learn, and beside plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

import qkv

FOREVER = float("inf")
#: Scores nearer to each other than that may be ordered either way.
CLOSE = 1e-5


def problem(seed, classes, n, coarse):
    """Unit vectors to store, their labels, and vectors to ask; coarse ones have many ties."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n + 20, 4)).astype(np.float32)
    if coarse:
        vectors = np.round(vectors)
        vectors[~vectors.any(axis=1)] = 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = rng.choice([f"class {i}" for i in range(classes)], n)
    return vectors[:n], labels, vectors[n:]


problems = st.builds(
    problem,
    st.integers(0, 2**32 - 1),
    st.integers(2, 5),
    st.integers(2, 60),
    st.booleans(),
)


def attend(keys, labels, queries, **how):
    with qkv.Database(encoder=None, lexicon=None) as db:
        db.update(((str(i), label) for i, label in enumerate(labels.tolist())), vectors=keys)
        return db.attend(queries, **how)


def neighbours(keys, labels, k, weights):
    model = KNeighborsClassifier(k, weights=weights, metric="cosine", algorithm="brute")
    return model.fit(keys, labels)


def nearest(keys, queries, k):
    """The k nearest by a full sort, and whether others were as near as the last of them."""
    scores = queries.astype(np.float64) @ keys.T.astype(np.float64)
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    unclear = np.zeros(len(queries), dtype=bool)
    if k < len(keys):
        unclear = ranked[:, k - 1] - ranked[:, k] < CLOSE
    return order[:, :k], ranked[:, :k], unclear


@given(problems, st.integers(1, 12))
def test_top_k_at_infinite_temperature_is_the_vote_of_the_k_nearest(given_problem, k):
    keys, labels, queries = given_problem
    k = min(k, len(keys))
    order, _, unclear = nearest(keys, queries, k)
    theirs = neighbours(keys, labels, k, "uniform").predict(queries)
    answers = attend(keys, labels, queries, top_k=k, temperature=FOREVER)
    stored_first = list(dict.fromkeys(labels.tolist()))
    for answer, their, voters in zip(
        *(np.array(a, dtype=object)[~unclear] for a in (answers, theirs)),
        order[~unclear],
        strict=True,
    ):
        votes = labels[voters].tolist()
        most = max(map(votes.count, votes))
        winners = {label for label in votes if votes.count(label) == most}
        assert answer.value == min(winners, key=stored_first.index)
        assert their == min(winners)
        assert answer.confidence == pytest.approx(most / k)


@given(problems, st.integers(1, 12))
def test_votes_are_those_of_scikit_learn_in_ties_too_where_labels_come_sorted(given_problem, k):
    keys, labels, queries = given_problem
    k = min(k, len(keys))
    _, _, unclear = nearest(keys, queries, k)
    labels = np.sort(labels)
    answers = attend(keys, labels, queries, top_k=k, temperature=FOREVER)
    theirs = neighbours(keys, labels, k, "uniform").predict(queries)
    assert np.array([a.value for a in answers])[~unclear].tolist() == theirs[~unclear].tolist()


@given(problems, st.integers(1, 60), st.sampled_from([0.02, 0.1, 1.0, 50.0]))
def test_a_finite_temperature_weighs_the_votes(given_problem, k, temperature):
    """exp(cos / τ) is exp(−d / τ) for the cosine distance d = 1 − cos, but for a constant."""
    keys, labels, queries = given_problem
    k = min(k, len(keys))
    order, scores, unclear = nearest(keys, queries, k)
    powers = np.exp((scores - scores[:, :1]) / temperature)
    weights = powers / powers.sum(axis=1, keepdims=True)
    names = np.unique(labels)
    masses = np.einsum("qk,qkc->qc", weights, labels[order][:, :, None] == names)

    answers = attend(keys, labels, queries, top_k=k, temperature=temperature)
    model = neighbours(keys, labels, k, lambda d: np.exp(-d / temperature))
    theirs = model.predict_proba(queries)
    for row in np.flatnonzero(~unclear):
        found = {c.value: c.probability for c in answers[row].candidates}
        ours = [found.get(name, 0.0) for name in names]
        np.testing.assert_allclose(ours, masses[row], atol=1e-3)
        np.testing.assert_allclose(theirs[row], masses[row], atol=1e-3)


@given(problems)
def test_every_key_votes_where_no_k_is_given(given_problem):
    keys, labels, queries = given_problem
    every = attend(keys, labels, queries, temperature=0.1)
    same = attend(keys, labels, queries, temperature=0.1, top_k=len(keys))
    assert [a.value for a in every] == [a.value for a in same]


def test_a_high_temperature_lets_the_nearer_neighbours_decide_a_tie():
    with qkv.Database(encoder=None, lexicon=None) as db:
        db.update([("a", "far"), ("b", "near")], vectors=[[0.0, 1.0], [1.0, 1.0]])
        asked = np.array([1.0, 0.0])
        assert db.attend(asked, top_k=2, temperature=FOREVER).value == "far"  # stored first
        assert db.attend(asked, top_k=2, temperature=100).value == "near"
