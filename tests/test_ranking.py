"""Top-k against a full sort, on every path that it takes; measures against other programs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from qkv.ranking import (
    improve,
    mean_reciprocal_rank,
    merge_best,
    ndcg_at_k,
    recall_at_k,
    top_k,
)


def sorted_out(scores, k):
    """The k best columns of one row by a plain sort; ties to the lower index."""
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    return [i for i in order if scores[i] > -np.inf][:k]


@pytest.mark.parametrize("n", [1, 5, 63, 64, 65, 640, 5000, 5037])
@pytest.mark.parametrize("k", [1, 3, 10, 60])
@pytest.mark.parametrize("levels", [2, 50, 10**6])
def test_top_k_is_the_head_of_a_full_sort(n, k, levels):
    """Few levels make many ties, which the fast path must give to the lower index."""
    rng = np.random.default_rng(n * 100 + k)
    scores = rng.integers(0, levels, size=(4, n)).astype(np.float32)
    scores[1, ::2] = -np.inf
    scores[3] = -np.inf
    indices, best = top_k(scores, k)
    for row in range(4):
        expected = sorted_out(scores[row], k)
        assert indices[row][indices[row] >= 0].tolist() == expected
        assert best[row][: len(expected)].tolist() == scores[row][expected].tolist()
        assert np.isneginf(best[row][len(expected) :]).all()


@given(
    st.integers(1, 20),
    st.integers(1, 8),
    st.lists(st.integers(1, 900), min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
)
def test_a_running_top_k_over_blocks_is_the_top_k_of_all(rows, k, sizes, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 200, size=(rows, sum(sizes))).astype(np.float32)
    indices = np.full((rows, k), -1, dtype=np.int64)
    best = np.full((rows, k), -np.inf, dtype=np.float32)
    start = 0
    for size in sizes:
        indices, best = improve(indices, best, scores[:, start : start + size], start)
        start += size
    expected, expected_best = top_k(scores, k)
    found = expected.shape[1]
    np.testing.assert_array_equal(indices[:, :found], expected)
    np.testing.assert_array_equal(best[:, :found], expected_best)


def test_a_running_top_k_survives_blocks_that_only_get_better():
    scores = np.arange(4000, dtype=np.float32)[None, :].repeat(3, axis=0)
    indices = np.full((3, 5), -1, dtype=np.int64)
    best = np.full((3, 5), -np.inf, dtype=np.float32)
    for start in range(0, 4000, 500):
        indices, best = improve(indices, best, scores[:, start : start + 500], start)
    assert indices.tolist() == [[3999, 3998, 3997, 3996, 3995]] * 3


def test_merging_keeps_the_longer_list():
    one = np.array([[4, 1]]), np.array([[0.9, 0.5]])
    other = np.array([[7]]), np.array([[0.5]])
    indices, best = merge_best(*one, *other)
    assert indices.tolist() == [[4, 1]]
    assert best.tolist() == [[0.9, 0.5]]


def test_recall_counts_shared_neighbours():
    truth = np.array([[1, 2, -1], [3, 4, 5]])
    assert recall_at_k(truth, truth) == 1
    assert recall_at_k(np.array([[2, 9, 8], [0, 0, 5]]), truth) == pytest.approx(2 / 5)
    assert recall_at_k(np.zeros((0, 3), dtype=int), np.zeros((0, 3), dtype=int)) == 1


@given(st.integers(2, 30), st.integers(1, 40), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_ndcg_is_that_of_scikit_learn(n, k, queries, seed):
    rng = np.random.default_rng(seed)
    relevance = rng.integers(0, 4, size=(queries, n)).astype(float)
    relevance[:, 0] = 1.0  # scikit-learn counts a query without any as 0, and we leave it out
    scores = np.argsort(rng.random((queries, n)), axis=1).astype(float)  # no ties
    gains = [dict(enumerate(row)) for row in relevance.tolist()]
    ours = ndcg_at_k(np.argsort(-scores, axis=1), gains, k)
    assert ours == pytest.approx(ndcg_score(relevance, scores, k=k))


def test_ndcg_counts_no_record_twice_and_no_query_without_an_answer():
    assert ndcg_at_k(np.array([[7, 7, -1]]), [{7: 1.0, 8: 1.0}], 2) == pytest.approx(
        1 / (1 + 1 / np.log2(3))
    )
    assert ndcg_at_k(np.array([[7], [8]]), [{7: 2.0}, {7: 0.0}]) == 1.0
    assert ndcg_at_k(np.zeros((1, 0), dtype=int), [{7: 1.0}]) == 0.0
    assert ndcg_at_k(np.zeros((0, 3), dtype=int), []) == 1.0


def test_mrr_looks_at_the_first_right_record():
    found = np.array([[5, 6, 7], [6, 7, 5], [1, 2, -1], [9, 9, 9]])
    truth = np.array([[7, 6], [6, -1], [3, 4], [-1, -1]])
    assert mean_reciprocal_rank(found, truth) == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert mean_reciprocal_rank(found[3:], truth[3:]) == 1.0
    assert mean_reciprocal_rank(found[:, :1], truth) == pytest.approx(1 / 3)
