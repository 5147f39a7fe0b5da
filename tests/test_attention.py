"""Attention: the algebra of softmax, partials and their merge, against float64 written out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qkv.attention import (
    Beside,
    Dense,
    Groups,
    Nothing,
    Partial,
    attend,
    prepare,
    scores,
    size_temperature,
    softmax,
    stream,
    unit,
)
from qkv.errors import InputError

TEMPERATURES = [0.0, 1e-300, 1e-6, 0.05, 1.0, 100.0, math.inf]
METRICS = ["cosine", "dot", "euclidean"]

finite = st.floats(-4, 4, width=32)
temperatures = st.sampled_from(TEMPERATURES) | st.floats(0.01, 10)


def reference(q, k, v, temperature, null=None):
    """Softmax attention in float64 for one query, written as the definition reads."""
    s = (k.astype(np.float64) @ q.astype(np.float64)).tolist()
    everything = [*s] if null is None else [*s, null]
    if temperature == 0:
        powers = [float(x == max(everything)) for x in everything]
    elif math.isinf(temperature):
        powers = [1.0] * len(everything)
    else:
        powers = [math.exp((x - max(everything)) / temperature) for x in everything]
    weights = np.array(powers) / sum(powers)
    return weights[: len(s)] @ v.astype(np.float64), weights


@st.composite
def problems(draw, fewest=1, most=40):
    m, d, width = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    n = draw(st.integers(fewest, most))
    shapes = {"queries": (m, d), "keys": (n, d), "values": (n, width)}
    # Eighths add and multiply without rounding, so that ties are ties in any summation order.
    eighths = st.integers(-16, 16).map(lambda i: i / 8)
    return {
        name: draw(arrays(np.float32, shape, elements=eighths)) for name, shape in shapes.items()
    }


@given(problems(), temperatures, st.none() | finite)
def test_weights_are_not_negative_and_sum_to_one(problem, temperature, null):
    weights, nothing = softmax(
        scores(problem["queries"], problem["keys"], "dot"), temperature, null=null
    )
    assert (weights >= 0).all()
    assert (nothing >= 0).all()
    np.testing.assert_allclose(weights.sum(axis=1) + nothing, 1, atol=1e-5)


@given(problems(), temperatures, st.none() | finite)
def test_agrees_with_float64(problem, temperature, null):
    queries, keys, values = problem.values()
    output, weights, nothing = attend(
        queries, keys, values, metric="dot", temperature=temperature, null=null
    )
    part = stream(queries, keys, Dense(values), temperature=temperature, k=len(keys))
    read = part.read(null)
    for row, q in enumerate(queries):
        true, true_weights = reference(q, keys, values, temperature, null)
        np.testing.assert_allclose(output[row], true, atol=2e-5)
        np.testing.assert_allclose(weights[row], true_weights[: len(keys)], atol=2e-5)
        np.testing.assert_allclose(read.output[row], true, atol=2e-5)
        np.testing.assert_allclose(read.weights[row], true_weights[read.indices[row]], atol=2e-5)
        if null is not None:
            assert nothing[row] == pytest.approx(true_weights[-1], abs=2e-5)
            assert read.null[row] == pytest.approx(true_weights[-1], abs=2e-5)


@given(
    problems(fewest=2, most=60),
    temperatures,
    st.lists(st.integers(0, 60), max_size=5),
    st.randoms(use_true_random=False),
)
def test_any_split_merged_in_any_order_is_the_whole(problem, temperature, cuts, random):
    queries, keys, values = problem.values()
    bounds = sorted({0, len(keys), *(c for c in cuts if c < len(keys))})
    parts = [
        stream(queries, keys[a:b], Dense(values[a:b]), temperature=temperature, k=3, offset=a)
        for a, b in itertools.pairwise(bounds)
    ]
    while len(parts) > 1:
        random.shuffle(parts)
        parts.append(parts.pop().merge(parts.pop()))
    whole = stream(queries, keys, Dense(values), temperature=temperature, k=3)
    merged = parts[0]
    np.testing.assert_array_equal(merged.maximum, whole.maximum)
    np.testing.assert_allclose(merged.mass, whole.mass, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(merged.output, whole.output, rtol=1e-5, atol=1e-5)
    found = merged.indices.shape[1]
    np.testing.assert_array_equal(merged.indices, whole.indices[:, :found])
    np.testing.assert_allclose(
        merged.read(0.5).output, whole.read(0.5).output, rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("block", [1, 7, 64, 1000])
def test_streaming_in_blocks_equals_one_block(temperature, block):
    rng = np.random.default_rng(0)
    queries, keys = (unit(rng.normal(size=(n, 16)).astype(np.float32)) for n in (5, 700))
    values = rng.normal(size=(700, 3)).astype(np.float32)
    whole = stream(queries, keys, Dense(values), temperature=temperature, block=10_000)
    blocks = stream(queries, keys, Dense(values), temperature=temperature, block=block)
    np.testing.assert_allclose(blocks.read().output, whole.read().output, atol=1e-5)
    # The product of another shape may round another way, and swap what is that close.
    np.testing.assert_allclose(blocks.scores, whole.scores, atol=1e-6)


@given(problems(), temperatures, st.data())
def test_raising_some_records_equals_attending_to_them_raised(problem, temperature, data):
    q, k, values = problem["queries"][:1], problem["keys"], Dense(problem["values"])
    count = data.draw(st.integers(0, len(k)))
    rows = np.array([data.draw(st.permutations(range(len(k))))[:count]], dtype=np.int64)
    by = np.array([data.draw(st.lists(st.integers(0, 16), min_size=count, max_size=count))]) / 8
    bonus = np.zeros((len(k), 1), dtype=np.float32)
    bonus[rows[0], 0] = by[0]
    one = np.ones((1, 1), dtype=np.float32)
    whole = stream(
        np.hstack((q, one)), np.hstack((k, bonus)), values, temperature=temperature, k=len(k)
    )
    part = stream(q, k, values, temperature=temperature, k=len(k))
    raised = part.raised(rows, (q @ k.T)[:, rows[0]], by, values)
    if temperature in (0.0, math.inf) or temperature >= 0.05:
        np.testing.assert_allclose(raised.read().output, whole.read().output, atol=1e-4)
    np.testing.assert_array_equal(raised.scores, whole.scores)
    assert set(raised.indices[0].tolist()) == set(whole.indices[0].tolist())


def test_merging_with_nothing_changes_nothing():
    keys = np.eye(3, dtype=np.float32)
    some = stream(keys[:1], keys, Dense(keys), temperature=0.1)
    none = stream(keys[:1], keys[:0], Dense(keys[:0]), temperature=0.1)
    for merged in (some.merge(none), none.merge(some)):
        np.testing.assert_array_equal(merged.read().output, some.read().output)
    assert none.read().null.tolist() == [1.0]


def test_parts_of_different_temperatures_do_not_merge():
    keys = np.eye(2, dtype=np.float32)
    parts = [stream(keys, keys, Nothing(), temperature=t) for t in (0.1, 0.2)]
    with pytest.raises(InputError, match="same temperature"):
        parts[0].merge(parts[1])


@given(problems(fewest=2, most=20))
def test_temperature_zero_retrieves_the_exact_key(problem):
    keys = unit(problem["keys"] + 0.001)
    distinct = np.unique(keys.round(4), axis=0)
    values = np.arange(len(distinct), dtype=np.float32)[:, None]
    output, _, _ = attend(distinct, distinct, values, temperature=0)
    near = scores(distinct, distinct)
    expected = [values[row == row.max()].mean() for row in near]
    np.testing.assert_allclose(output[:, 0], expected, atol=1e-5)


@given(problems())
def test_temperature_infinity_is_the_average(problem):
    queries, keys, values = problem.values()
    read = stream(queries, keys, Dense(values), temperature=math.inf).read()
    np.testing.assert_allclose(
        read.output, np.tile(values.mean(axis=0), (len(queries), 1)), atol=1e-5
    )


@pytest.mark.parametrize("temperature", [1e-30, 1e-6, 1.0])
@pytest.mark.parametrize("scale", [1.0, 1e6, 1e15])
def test_huge_logits_do_not_overflow(temperature, scale):
    keys = np.array([[1.0], [-1.0], [0.5]], dtype=np.float32) * np.float32(scale)
    query = np.ones((1, 1), dtype=np.float32)
    read = stream(query, keys, Dense(keys / scale), temperature=temperature).read(null=-scale)
    total = read.weights.sum() + read.rest.sum() + read.null.sum()
    assert np.isfinite(read.output).all()
    assert total == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e6, 1e20])
@pytest.mark.parametrize("size", [1.0, 1e30], ids=["values", "huge values"])
@pytest.mark.parametrize("rising", [True, False])
def test_a_batch_reads_what_its_queries_read_alone(temperature, scale, size, rising):
    """Many queries are scaled before the product; one is not. Scores rise or fall with the rows."""
    rng = np.random.default_rng(1)
    queries = rng.normal(size=(4, 6)).astype(np.float32)
    keys = rng.normal(size=(90, 6)).astype(np.float32) * np.float32(scale)
    keys *= np.linspace(0.1, 1, 90, dtype=np.float32)[:: 1 if rising else -1, None]
    values = Dense(rng.normal(size=(90, 3)).astype(np.float32) * np.float32(size))
    options = {"temperature": temperature, "k": 5, "block": 8}
    batch = stream(queries, keys, values, **options).read(null=0.0)
    for row, query in enumerate(queries):
        alone = stream(query[None], keys, values, **options).read(null=0.0)
        assert batch.indices[row].tolist() == alone.indices[0].tolist()
        np.testing.assert_allclose(batch.scores[row], alone.scores[0], rtol=1e-5)
        for name in ("weights", "rest", "null", "output"):
            mine, other = getattr(batch, name)[row], getattr(alone, name)[0]
            atol = 1e-4 * (size if name == "output" else 1)
            # What τ magnifies: the scores' rounding.
            if scale / max(temperature, 1e-9) < 1e5 or temperature in (0, math.inf):
                np.testing.assert_allclose(mine, other, rtol=2e-3, atol=atol)


@pytest.mark.parametrize("n", [1, 3, 5, 300])
@pytest.mark.parametrize("temperature", [0.2, math.inf])
def test_top_k_is_attention_over_the_nearest_alone(n, temperature):
    rng = np.random.default_rng(n)
    keys, values = rng.normal(size=(n, 4)), rng.normal(size=(n, 2))
    query = rng.normal(size=(1, 4))
    near = np.argsort(-scores(query, keys, "dot")[0])[:3]
    alone, _, _ = attend(query, keys[near], values[near], metric="dot", temperature=temperature)
    output, _, _ = attend(query, keys, values, metric="dot", temperature=temperature, top_k=3)
    part = stream(query, keys, Dense(values), temperature=temperature, k=5)
    read = part.truncate(3, Dense(values)).read()
    np.testing.assert_allclose(output, alone)
    np.testing.assert_allclose(read.output, alone)
    np.testing.assert_allclose(read.rest, 0, atol=1e-12)


def test_top_k_at_infinite_temperature_is_the_vote_of_nearest_neighbours():
    """The second article's classifier: three neighbours, the majority wins."""
    keys = np.array([[1.0, 0.0], [0.9, 0.1], [0.8, 0.2], [0.0, 1.0]], dtype=np.float32)
    labels = Groups(np.array([0, 1, 1, 0]), 2)
    part = stream(keys[:1], keys, labels, temperature=math.inf, k=3).truncate(3, labels)
    np.testing.assert_allclose(part.read().output, [[1 / 3, 2 / 3]], atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_metrics_are_what_their_names_say(metric):
    rng = np.random.default_rng(1)
    queries, keys = rng.normal(size=(4, 6)), rng.normal(size=(9, 6))
    dots = queries @ keys.T
    expected = {
        "dot": dots,
        "cosine": dots
        / np.linalg.norm(queries, axis=1)[:, None]
        / np.linalg.norm(keys, axis=1)[None, :],
        "euclidean": -0.5 * ((queries[:, None] - keys[None]) ** 2).sum(axis=2),
    }
    np.testing.assert_allclose(scores(queries, keys, metric), expected[metric], atol=1e-12)
    prepared = prepare(queries, metric, side="query") @ prepare(keys, metric, side="key").T
    np.testing.assert_allclose(prepared, expected[metric], atol=1e-12)


def test_euclidean_attends_like_cosine_on_the_unit_sphere():
    rng = np.random.default_rng(2)
    queries, keys, values = (unit(rng.normal(size=(n, 5))) for n in (3, 8, 8))
    one, _, _ = attend(queries, keys, values, metric="cosine", temperature=0.3)
    other, _, _ = attend(queries, keys, values, metric="euclidean", temperature=0.3)
    np.testing.assert_allclose(one, other, atol=1e-12)


@given(problems(), temperatures)
def test_groups_sum_what_their_records_weigh(problem, temperature):
    queries, keys, values = problem.values()
    ids = np.arange(len(keys)) % 3
    both = Beside((Groups(ids, 3), Dense(values)))
    read = stream(queries, keys, both, temperature=temperature, block=5, k=1).read()
    _, weights, _ = attend(queries, keys, values, metric="dot", temperature=temperature)
    for group in range(3):
        np.testing.assert_allclose(
            read.output[:, group], weights[:, ids == group].sum(axis=1), atol=1e-5
        )
    np.testing.assert_allclose(read.output[:, 3:], weights @ values, atol=2e-5)
    own = stream(queries, keys, Groups(None, len(keys)), temperature=temperature, k=1, block=5)
    np.testing.assert_allclose(own.read().output, weights, atol=1e-5)


def test_skipped_rows_are_not_there():
    rng = np.random.default_rng(3)
    keys, values = rng.normal(size=(50, 4)), rng.normal(size=(50, 2))
    gone = np.array([0, 7, 8, 49])
    left = np.delete(np.arange(50), gone)
    part = stream(keys[:2], keys, Dense(values), temperature=0.5, k=50, skip=gone, block=8)
    alone = stream(keys[:2], keys[left], Dense(values[left]), temperature=0.5, k=50)
    np.testing.assert_allclose(part.read().output, alone.read().output)
    assert set(part.indices.ravel().tolist()) - {-1} == set(left.tolist())
    assert part.read().rest.tolist() == [0.0, 0.0]


def test_everything_skipped_is_nothing():
    keys = np.eye(2, dtype=np.float32)
    part = stream(keys, keys, Dense(keys), temperature=0.5, skip=np.array([0, 1]))
    assert part.read().null.tolist() == [1.0, 1.0]
    assert part.read(null=0.3).null.tolist() == [1.0, 1.0]
    assert not part.read().output.any()


@given(st.floats(0.01, 2), st.floats(-1, 1))
def test_the_null_record_is_a_record_like_any_other(temperature, null):
    """s₀ behaves as a key with that score whose value is zero."""
    keys = np.array([[1.0], [0.25]])
    query = np.array([[1.0]])
    _, weights, nothing = attend(
        query, keys, keys, metric="dot", temperature=temperature, null=null
    )
    _, more, _ = attend(
        query, np.vstack((keys, [[null]])), np.zeros((3, 1)), metric="dot", temperature=temperature
    )
    np.testing.assert_allclose(np.append(weights, nothing), more[0], atol=1e-9)


def test_unit_rows_have_length_one_whatever_their_scale():
    rows = np.array([[3e-30, 4e-30], [3e15, 4e15], [0, 0]], dtype=np.float32)
    np.testing.assert_allclose(unit(rows), [[0.6, 0.8], [0.6, 0.8], [0, 0]], rtol=1e-6)


def test_temperature_follows_the_logarithm_of_the_size():
    assert size_temperature(0) == size_temperature(1)
    ratio = size_temperature(10**3) / size_temperature(10**6)
    assert ratio == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("bad", [-1, math.nan, "warm"])
def test_temperature_must_be_a_number_from_zero_up(bad):
    with pytest.raises((InputError, ValueError)):
        softmax(np.zeros((1, 1)), bad)


def test_memory_stays_bounded_by_the_block():
    """100,000 keys and 64 queries would be 25 MB of scores at once; blocks of 1,000 are 256 KB."""
    import tracemalloc

    rng = np.random.default_rng(4)
    keys = rng.normal(size=(100_000, 8)).astype(np.float32)
    values = Dense(keys[:, :2].copy())
    tracemalloc.start()
    part = stream(keys[:64], keys, values, temperature=0.1, block=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(part, Partial)
    assert peak < 4_000_000
