"""Indexes: one suite for the family, each member held against attention written out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkv.attention import Dense, attend, unit
from qkv.indexes import FlatIndex
from qkv.indexes.near_far import NearFarIndex

INDEXES = {"flat": FlatIndex, "near-far": NearFarIndex}


def sphere(n, seed=0, dimension=8):
    return unit(np.random.default_rng(seed).normal(size=(n, dimension)).astype(np.float32))


@pytest.mark.parametrize("make", INDEXES.values(), ids=INDEXES)
class TestEveryIndex:
    @pytest.mark.parametrize("temperature", [0.0, 0.05, 1.0, float("inf")])
    @pytest.mark.parametrize("n", [1, 50, 3000])
    def test_attends_as_the_definition_says(self, make, n, temperature):
        keys, queries = sphere(n), sphere(4, seed=1)
        values = np.random.default_rng(2).normal(size=(n, 3)).astype(np.float32)
        expected, weights, _ = attend(queries, keys, values, temperature=temperature)
        read = make(keys).partial(queries, Dense(values), temperature=temperature).read()
        np.testing.assert_allclose(read.output, expected, atol=1e-5)
        shown = np.take_along_axis(weights, read.indices, axis=1)
        np.testing.assert_allclose(read.weights, shown, atol=1e-5)

    @pytest.mark.parametrize("k", [1, 10, 5000])
    def test_neighbours_are_the_nearest_in_order(self, make, k):
        keys, queries = sphere(2000), sphere(5, seed=1)
        rows, scores = make(keys).neighbours(queries, k)
        true = queries @ keys.T
        np.testing.assert_allclose(scores, -np.sort(-true, axis=1)[:, :k], atol=1e-6)
        np.testing.assert_allclose(np.take_along_axis(true, rows, axis=1), scores, atol=1e-6)

    def test_scores_of_some_rows(self, make):
        keys, queries = sphere(100), sphere(1, seed=1)
        rows = np.array([3, 99, 0])
        expected = keys[rows] @ queries[0]
        np.testing.assert_allclose(make(keys).scores(queries[0], rows), expected, atol=1e-6)

    @pytest.mark.parametrize("size", [0, 1, 30, 700, 1000])
    def test_among_some_is_an_index_of_those(self, make, size):
        keys, queries = sphere(1000), sphere(3, seed=1)
        values = np.random.default_rng(2).normal(size=(1000, 3)).astype(np.float32)
        rng = np.random.default_rng(size)
        among = np.sort(rng.permutation(1000)[:size])
        gone = rng.permutation(1000)[:100]
        left = among[~np.isin(among, gone)]
        index = make(keys).remove(gone)
        read = index.partial(queries, Dense(values), temperature=0.1, among=among).read()
        alone = make(keys[left]).partial(queries, Dense(values[left]), temperature=0.1).read()
        np.testing.assert_allclose(read.output, alone.output, atol=1e-5)
        found = alone.indices.shape[1]
        expected = left[alone.indices] if found else alone.indices
        assert (read.indices[:, :found] == expected).all()
        assert (read.indices[:, found:] == -1).all()
        rows, _ = index.neighbours(queries, 5, among)
        assert set(rows.ravel().tolist()) <= {-1, *left.tolist()}

    @given(st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 40)), max_size=12))
    @settings(max_examples=60)
    def test_adding_and_removing_leave_what_is_left(self, make, steps):
        keys, gone = sphere(5), set()
        index = make(keys)
        for seed, (step, size) in enumerate(steps):
            if step == "add":
                more = sphere(size, seed=seed + 10)
                keys = np.vstack((keys, more))
                index = index.add(more)
            elif size < len(keys):
                gone.add(size)
                index = index.remove(np.array([size]))
        left = [row for row in range(len(keys)) if row not in gone]
        rows, _ = index.neighbours(sphere(1, seed=1), len(keys))
        assert set(rows.ravel().tolist()) - {-1} == set(left)
        assert len(index) - index.removed == len(left)

    def test_a_change_does_not_disturb_those_who_read_before_it(self, make):
        keys, query = sphere(20), sphere(1, seed=1)
        before = make(keys)
        expected = before.neighbours(query, 30)[0].tolist()
        one, other = before.add(sphere(3, seed=2)), before.add(sphere(3, seed=3))
        fewer = one.remove(np.arange(20))
        assert before.neighbours(query, 30)[0].tolist() == expected
        assert set(fewer.neighbours(query, 30)[0].ravel().tolist()) - {-1} == {20, 21, 22}
        for index, seed in ((one, 2), (other, 3)):
            _, scores = index.neighbours(sphere(3, seed=seed), 1)
            np.testing.assert_allclose(scores, 1, atol=1e-5)

    def test_keys_of_zeros_are_never_found(self, make):
        keys = sphere(4)
        keys[2] = 0
        rows, _ = make(keys).add(np.zeros((1, 8), dtype=np.float32)).neighbours(-keys[:1], 9)
        assert set(rows.ravel().tolist()) - {-1} == {0, 1, 3}
