"""Near and far: what is read is exact, what is not is its moments, and the error is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qkv.indexes.near_far as module
from qkv.attention import Beside, Dense, Groups, Nothing, attend, unit
from qkv.indexes.clusters import cluster
from qkv.indexes.far_field import FarField, expect
from qkv.indexes.far_values import DenseMoments
from qkv.indexes.near_far import NearFarIndex

N, D = 6000, 16


def blobs(n=N, dimension=D, seed=0):
    rng = np.random.default_rng(seed)
    middle = np.random.default_rng(99).normal(size=(50, dimension))
    keys = middle[rng.integers(50, size=n)] + 0.8 * rng.normal(size=(n, dimension))
    return unit(keys.astype(np.float32))


class Best:
    """An engine that reads everything."""

    name = "best"

    def __init__(self, keys):
        self.keys, self.gone = keys, np.zeros(len(keys), dtype=bool)

    def __len__(self):
        return len(self.keys)

    def nearest(self, queries, k, among=None):
        scores = queries @ self.keys.T
        scores[:, self.gone] = -np.inf
        if among is not None:
            scores[:, np.setdiff1d(np.arange(len(self.keys)), among)] = -np.inf
        return np.argsort(-scores, axis=1)[:, :k]

    def add(self, keys):
        self.keys = np.vstack((self.keys, keys))
        self.gone = np.concatenate((self.gone, np.zeros(len(keys), dtype=bool)))

    def remove(self, rows):
        self.gone[rows] = True

    def save(self, folder):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Let a few thousand keys have a far field."""
    monkeypatch.setattr(module, "_NEAR_LEAST", 300)
    monkeypatch.setattr(module, "_FEW", 50)
    monkeypatch.setattr("qkv.indexes.clustered_rows.WAITING", 16)


@pytest.fixture(scope="module")
def keys():
    found = blobs()
    found.setflags(write=False)
    return found


@pytest.fixture(scope="module")
def clusters(keys):
    return cluster(keys, 80)


def made(kind, keys, clusters):
    if kind == "lists":
        return NearFarIndex(keys, clusters), np.arange(len(keys))
    order = clusters.order()
    return NearFarIndex.ordered(keys[order], clusters.starts()), order


def gap(part, queries, keys, values, temperature):
    exact, _, _ = attend(queries, keys, values, metric="dot", temperature=temperature)
    read = part.read().output
    return np.linalg.norm(read - exact, axis=1) / np.linalg.norm(exact, axis=1)


@pytest.mark.parametrize("kind", ["ordered", "lists"])
class TestBothOrders:
    @pytest.mark.parametrize("temperature", [0.3, 0.1, 0.05])
    def test_close_to_exact_where_top_k_is_not(self, kind, keys, clusters, temperature):
        index, order = made(kind, keys, clusters)
        index = index.with_engine(Best(keys[order]))
        queries = blobs(20, seed=5)
        part = index.partial(queries, Dense(keys[order]), temperature=temperature)
        top = part.truncate(10, Dense(keys[order]))
        far = gap(part, queries, keys, keys, temperature)
        assert np.median(far) < 0.03
        assert far.max() < 0.15
        assert np.median(far) < np.median(gap(top, queries, keys, keys, temperature)) / 3

    def test_any_temperature_is_finite(self, kind, keys, clusters):
        index, order = made(kind, keys, clusters)
        queries = blobs(3, seed=5)
        for temperature in (0.0, 1e-300, 1e-30, 1e-6, 1e-3, 1.0, 1e9, float("inf")):
            part = index.partial(queries, Dense(keys[order]), temperature=temperature)
            read = part.read(0.0)
            for array in (part.mass, part.output, part.error, read.output, read.weights, read.null):
                assert np.isfinite(array).all(), temperature
            assert (part.mass > 0).all()

    def test_the_mean_of_all_is_exact(self, kind, keys, clusters):
        index, order = made(kind, keys, clusters)
        index = index.remove(np.arange(0, N, 7)).remove(np.array([1]))
        queries = blobs(3, seed=5)
        left = np.setdiff1d(np.arange(N), [*range(0, N, 7), 1])
        part = index.partial(queries, Dense(keys[order]), temperature=float("inf"))
        read = part.read().output
        np.testing.assert_allclose(read, [keys[order][left].mean(axis=0)] * 3, atol=1e-5)
        np.testing.assert_allclose(part.mass, len(left), rtol=1e-6)

    def test_rows_that_left_do_not_answer(self, kind, keys, clusters):
        index, _ = made(kind, keys, clusters)
        queries = blobs(2, seed=5)
        before = set(index.neighbours(queries, 40)[0].ravel().tolist())
        gone = np.array(sorted(before))[::2]
        after = index.remove(gone).neighbours(queries, 40)[0]
        assert not set(gone.tolist()) & set(after.ravel().tolist())
        assert (after >= 0).all()

    def test_neighbours_are_scored_exactly(self, kind, keys, clusters):
        index, order = made(kind, keys, clusters)
        queries = blobs(10, seed=5)
        rows, scores = index.neighbours(queries, 10)
        true = queries @ keys[order].T
        np.testing.assert_allclose(np.take_along_axis(true, rows, axis=1), scores, atol=1e-6)
        assert (np.diff(scores, axis=1) <= 0).all()
        exact = index.with_engine(Best(keys[order])).neighbours(queries, 10)[1]
        np.testing.assert_allclose(exact, -np.sort(-true, axis=1)[:, :10], atol=1e-6)

    @pytest.mark.parametrize("size", [0, 40, 3000, 5000])
    def test_among_some(self, kind, keys, clusters, size):
        index, order = made(kind, keys, clusters)
        keys = keys[order]
        index = index.with_engine(Best(keys)).remove(np.array([5, 6]))
        among = np.sort(np.random.default_rng(0).permutation(N)[:size])
        left = np.setdiff1d(among, [5, 6])
        queries = blobs(10, seed=5)
        part = index.partial(queries, Dense(keys), temperature=0.1, among=among)
        assert set(part.indices.ravel().tolist()) <= {-1, *left.tolist()}
        if size:
            assert np.median(gap(part, queries, keys[left], keys[left], 0.1)) < 0.04
            mass = np.exp((queries @ keys[left].T - part.maximum[:, None]) / 0.1).sum(axis=1)
            np.testing.assert_allclose(part.mass, mass, rtol=0.1)

    def test_groups_share_the_mass(self, kind, keys, clusters):
        index, order = made(kind, keys, clusters)
        ids = (keys[order] @ blobs(12, seed=8).T).argmax(axis=1)
        queries = blobs(10, seed=5)
        for values in (
            Groups(ids, 12),  # a table of them
            Groups(ids, 100_000),  # too wide for a table
            Groups(None, N),  # each its own
        ):
            part = index.partial(queries, values, temperature=0.1)
            np.testing.assert_allclose(part.output.sum(axis=1), part.mass, rtol=1e-3)
            assert (part.output >= 0).all()
            exact, _, _ = attend(queries, keys[order], np.eye(12)[ids], temperature=0.1)
            read = part.read().output
            if values.ids is not None:
                assert np.abs(read[:, :12] - exact).max() < 0.05

    def test_values_side_by_side(self, kind, keys, clusters):
        index, order = made(kind, keys, clusters)
        ids = np.arange(N) % 5
        queries = blobs(4, seed=5)
        parts = (Groups(ids, 5), Dense(keys[order]), Nothing(), Groups(None, N))
        both = index.partial(queries, Beside(parts), temperature=0.1)
        alone = [index.partial(queries, one, temperature=0.1).output for one in parts]
        np.testing.assert_allclose(both.output, np.hstack(alone), rtol=1e-4, atol=1e-4)

    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=6))
    @settings(max_examples=25, deadline=None)
    def test_kept_moments_are_those_computed_afresh(self, kind, keys, clusters, steps):
        index, order = made(kind, keys, clusters)
        rng = np.random.default_rng(len(steps))
        matrix = np.vstack((keys[order], blobs(400, seed=7)))
        ids = rng.integers(4, size=len(matrix))
        query = blobs(1, seed=5)
        for add, size in steps:
            if add:
                index = index.add(matrix[len(index) : len(index) + size])
            else:
                index = index.remove(rng.integers(len(index), size=size))
            n = len(index)
            moved = rng.integers(n, size=3)  # a record gets another value
            ids = ids.copy()
            ids[moved] = rng.integers(4, size=3)
            for values in (Dense(matrix[:n]), Groups(ids[:n], 4)):
                index.partial(query, values, temperature=0.1)
        state = index._state
        fresh = FarField.of(index.vectors(np.arange(len(state.labels))), state.labels, 80)
        for name, array in fresh.arrays().items():
            np.testing.assert_allclose(state.field.arrays()[name], array, atol=1e-3)
        rows = np.arange(len(state.labels))
        for values in (Dense(matrix[: len(index)]), Groups(ids[: len(index)], 4)):
            kept = index._kept.of(values, state.field, state.labels, index.vectors)
            none = DenseMoments.none(80, D, values)
            afresh = none.changed(index.vectors(rows), values.at(rows), state.labels)
            np.testing.assert_allclose(kept.sums, afresh.sums, atol=1e-3)
            np.testing.assert_allclose(kept.cross, afresh.cross, atol=1e-3)
            np.testing.assert_allclose(kept.squares, afresh.squares, rtol=1e-4)

    def test_arrays_bring_it_back(self, kind, keys, clusters):
        index, order = made(kind, keys, clusters)
        index = index.add(blobs(30, seed=6)).remove(np.array([3, N + 1]))
        matrix = np.vstack((keys[order], blobs(30, seed=6)))
        again = NearFarIndex.from_arrays(matrix, index.arrays())
        more = NearFarIndex.from_arrays(np.vstack((matrix, matrix[:2])), index.arrays())
        assert (len(again), again.removed, len(more)) == (N + 30, 2, N + 32)
        assert again.drift == index.drift
        queries = blobs(5, seed=5)
        one = again.partial(queries, Dense(matrix), temperature=0.1)
        other = index.partial(queries, Dense(matrix), temperature=0.1)
        np.testing.assert_allclose(
            one.output, other.output, rtol=0.05, atol=0.05 * other.mass.max()
        )

    def test_everything_removed(self, kind, keys, clusters):
        index, order = made(kind, keys, clusters)
        index = index.remove(np.arange(N))
        part = index.partial(blobs(2, seed=5), Dense(keys[order]), temperature=0.1)
        assert (part.mass == 0).all()
        assert (part.read().null == 1).all()
        assert (index.neighbours(blobs(2, seed=5), 3)[0] == -1).all()
        rows, _ = index.add(blobs(40, seed=6)).neighbours(blobs(40, seed=6), 1)
        assert rows[:, 0].tolist() == list(range(N, N + 40))


def test_the_estimate_follows_the_error(keys, clusters):
    index, order = made("ordered", keys, clusters)
    index = index.with_engine(Best(keys[order]))
    queries = blobs(40, seed=5)
    errors, estimates = [], []
    for temperature in (0.5, 0.2, 0.1, 0.05):
        part = index.partial(queries, Dense(keys[order]), temperature=temperature)
        errors.append(np.median(gap(part, queries, keys, keys, temperature)))
        estimates.append(np.median(part.error))
    assert (np.array(estimates) > np.array(errors) / 3).all()
    assert (np.array(estimates) < 6 * np.array(errors)).all()


def test_a_tolerance_is_kept_to(keys, clusters):
    index, order = made("ordered", keys, clusters)
    queries = blobs(20, seed=5)
    for tolerance in (0.02, 0.005, 0.0):
        part = index.partial(queries, Dense(keys[order]), temperature=0.1, tolerance=tolerance)
        if part.error is not None:
            assert (part.error <= tolerance).all()
        far = gap(part, queries, keys, keys, 0.1)
        assert np.median(far) <= max(1.5 * tolerance, 1e-4)


def test_everything_near_is_exact(keys, clusters):
    index = NearFarIndex(keys, clusters, near=1.0)
    queries = blobs(5, seed=5)
    part = index.partial(queries, Dense(keys), temperature=0.1)
    assert part.error is None
    assert gap(part, queries, keys, keys, 0.1).max() < 1e-4


def test_errors_merge_by_mass(keys, clusters):
    index, order = made("ordered", keys, clusters)
    queries = blobs(5, seed=5)
    part = index.partial(queries, Dense(keys[order]), temperature=0.1)
    exact = NearFarIndex(keys, clusters, near=1.0).partial(queries, Dense(keys), temperature=0.1)
    both = part.merge(exact)
    assert exact.merge(exact).error is None
    assert (both.error > 0).all()
    assert (both.error < part.error).all()
    assert both.truncate(3, Dense(keys)).error is None


def test_drift_counts_what_came_and_went(keys, clusters):
    index, _ = made("ordered", keys, clusters)
    assert index.drift == 0
    index = index.add(blobs(50, seed=6)).remove(np.arange(10))
    assert index.drift == pytest.approx(60 / N)


@pytest.mark.parametrize("dimension", [1, 2])
def test_short_keys_and_few_clusters(dimension):
    rng = np.random.default_rng(0)
    keys = rng.normal(size=(3000, dimension)).astype(np.float32)
    for count in (1, 2, 30):
        index = NearFarIndex(keys, cluster(keys, count))
        part = index.partial(keys[:3], Dense(keys), temperature=1.0)
        assert np.isfinite(part.output).all()
        if part.error is not None:
            assert np.median(gap(part, keys[:3], keys, keys, 1.0)) < 0.2


def test_equal_keys_have_no_spread():
    keys = np.repeat(blobs(20), 200, axis=0)
    index = NearFarIndex(keys, cluster(keys, 20))
    part = index.partial(keys[:1], Dense(keys), temperature=0.1)
    np.testing.assert_allclose(gap(part, keys[:1], keys, keys, 0.1), 0, atol=1e-3)


def test_an_engine_may_be_ahead_and_behind(keys, clusters):
    order = clusters.order()
    engine = Best(np.vstack((keys[order], blobs(10, seed=4))))
    index = NearFarIndex.ordered(keys[order], clusters.starts(), engine=engine)
    rows, _ = index.neighbours(blobs(10, seed=4), 5)
    assert ((rows >= 0) & (rows < N)).all()
    behind = NearFarIndex.ordered(keys[order], clusters.starts(), engine=Best(keys[order]))
    rows, _ = behind.add(blobs(10, seed=4)).neighbours(blobs(10, seed=4), 1)
    assert rows[:, 0].tolist() == list(range(N, N + 10))


class TestExpect:
    """The cut-off normal distribution, against samples and at its limits."""

    @pytest.mark.parametrize("cap", [0.35, 0.45, float("inf")])
    @pytest.mark.parametrize("beta", [0.0, 5.0, 20.0])
    def test_as_sampled(self, cap, beta):
        scores = 0.3 + 0.07 * np.random.default_rng(0).normal(size=1_000_000)
        scores = scores[scores <= cap]
        weights = np.exp(beta * (scores - 1.0))
        far = expect(
            np.full((1, 1), 10.0),
            np.full((1, 1), 0.3),
            np.full((1, 1), 0.07**2),
            np.array([cap]),
            np.array([1.0]),
            beta,
        )
        assert far.mass[0, 0] == pytest.approx(10 * weights.mean(), rel=0.01)
        moved = (weights @ scores) / weights.sum() - scores.mean()
        assert far.shift[0, 0] * 0.07**2 == pytest.approx(moved, abs=0.001)
        noise = (weights**2).mean() / weights.mean() ** 2
        assert far.noise[0, 0] == pytest.approx(noise, rel=0.05)

    def test_no_member_outweighs_the_cap(self):
        far = expect(
            np.ones((1, 3)),
            np.array([[0.9, 0.2, -5.0]]),
            np.array([[0.01, 0.0, 3.0]]),
            np.array([0.5]),
            np.array([0.6]),
            1e6,
        )
        for array in (far.mass, far.each, far.shift, far.noise):
            assert np.isfinite(array).all()
        assert (far.each <= 1).all()
