"""Intervals hold what they claim: on made data, on few records, and by their own algebra."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qkv.attention import softmax
from qkv.calibration.intervals import (
    LEVELS,
    NEAR,
    Blend,
    Estimates,
    Intervals,
    fit_intervals,
)
from qkv.calibration.neighbourhood import attention, blended, leave_one_out, sample
from qkv.errors import InputError
from qkv.indexes import FlatIndex
from qkv.types import Floats

Noise = Callable[[np.random.Generator, Floats], Floats]


def unit(rows: Floats) -> Floats:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def fitted(keys: Floats, values: Floats) -> Intervals:
    rows = sample(len(keys), keys.shape[1])
    indices, scores = leave_one_out(FlatIndex(keys), rows)
    return fit_intervals(scores, values[indices], values[rows])


def asked(known: Intervals, keys: Floats, values: Floats, queries: Floats) -> Estimates:
    indices, scores = FlatIndex(keys).neighbours(queries, NEAR)
    return known.estimate(scores, values[indices])


def made(n: int, noise: Noise, seed: int, more: int = 500) -> tuple[Floats, Floats]:
    """Keys on a sphere and values that change smoothly over it, plus noise."""
    rng = np.random.default_rng(seed)
    keys = unit(rng.normal(size=(n + more, 4)))
    return keys, 3 * np.sin(3 * keys[:, 0]) + keys[:, 1] + noise(rng, keys)


def even(rng: np.random.Generator, keys: Floats) -> Floats:
    return 0.5 * rng.normal(size=len(keys))


def uneven(rng: np.random.Generator, keys: Floats) -> Floats:
    return rng.normal(size=len(keys)) * (0.1 + np.abs(keys[:, 2]))


def stepped(rng: np.random.Generator, keys: Floats) -> Floats:
    return rng.normal(size=len(keys)) * np.where(keys[:, 2] > 0.5, 5.0, 0.5)


def heavy(rng: np.random.Generator, keys: Floats) -> Floats:
    return rng.standard_t(2, size=len(keys))


def nothing_but(rng: np.random.Generator, keys: Floats) -> Floats:
    return 50 * rng.normal(size=len(keys))


def inside(n: int, noise: Noise, level: float, seeds: int) -> float:
    shares = []
    for seed in range(seeds):
        keys, values = made(n, noise, seed)
        known = fitted(keys[:n], values[:n])
        low, high = known.interval(asked(known, keys[:n], values[:n], keys[n:]), level)
        shares.append(np.mean((low <= values[n:]) & (values[n:] <= high)))
    return float(np.mean(shares))


@pytest.mark.parametrize("noise", [even, uneven, heavy, nothing_but])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_intervals_hold_what_they_claim(noise: Noise, level: float) -> None:
    assert inside(1000, noise, level, seeds=4) == pytest.approx(level, abs=0.035)


@pytest.mark.parametrize(("n", "seeds"), [(20, 60), (99, 25), (150, 25)])
def test_intervals_of_few_records_hold_too(n: int, seeds: int) -> None:
    assert 0.87 < inside(n, uneven, 0.9, seeds) < 0.95


def test_hard_queries_are_covered_nearly_as_easy_ones_are() -> None:
    easy, hard, widths, constant = [], [], [], []
    for seed in range(4):
        keys, values = made(2000, stepped, seed, more=900)
        known = fitted(keys[:2000], values[:2000])
        estimates = asked(known, keys[:2000], values[:2000], keys[2000:])
        low, high = known.interval(estimates, 0.9)
        held = (low <= values[2000:]) & (values[2000:] <= high)
        noisy = keys[2000:, 2] > 0.5
        easy.append(held[~noisy].mean())
        hard.append(held[noisy].mean())
        widths.append((high - low)[noisy].mean() / (high - low)[~noisy].mean())
        away = np.abs(values[2000:] - estimates.values)
        constant.append(np.mean(away[noisy] <= np.quantile(away, 0.9)))
    assert np.mean(easy) == pytest.approx(0.9, abs=0.04)
    assert np.mean(hard) > 0.8  # queries near the step look easier than they are
    assert np.mean(constant) < 0.6
    assert np.mean(widths) > 3


def test_balls_hold_vectors() -> None:
    rng = np.random.default_rng(0)
    keys = unit(rng.normal(size=(1400, 4)))
    vectors = np.hstack((keys, keys**2)) + 0.3 * rng.normal(size=(1400, 8)) * keys[:, :1]
    known = fitted(keys[:1000], vectors[:1000])
    estimates = asked(known, keys[:1000], vectors[:1000], keys[1000:])
    assert estimates.values.shape == (400, 8)
    away = np.linalg.norm(vectors[1000:] - estimates.values, axis=1)
    for level in (0.5, 0.9):
        assert np.mean(away <= known.radius(estimates, level)) == pytest.approx(level, abs=0.05)


def test_a_vector_of_one_entry_is_a_number() -> None:
    keys, values = made(120, even, 0)
    known = fitted(keys[:120], values[:120])
    ball = fitted(keys[:120], values[:120, None])
    one = asked(known, keys[:120], values[:120], keys[120:])
    other = asked(ball, keys[:120], values[:120, None], keys[120:])
    np.testing.assert_allclose(one.values, other.values[:, 0])
    # One measures spread from a median, the other from a mean: a constant, lost in the quantile.
    np.testing.assert_allclose(known.radius(one), ball.radius(other), rtol=0.1)


def test_attention_is_the_softmax_of_the_nearest() -> None:
    rng = np.random.default_rng(0)
    scores = -np.sort(-rng.normal(size=(5, 7)), axis=1)
    np.testing.assert_allclose(attention(scores, None, 0.3), softmax(scores, 0.3)[0])
    scores[1, 3:] = -np.inf
    scores[2] = -np.inf
    there = scores > -np.inf
    np.testing.assert_allclose(attention(scores, there, 0.3), softmax(scores, 0.3)[0])
    np.testing.assert_allclose(attention(scores, there, np.inf), softmax(scores, np.inf)[0])


def test_the_three_blends() -> None:
    weights, values = np.array([[0.5, 0.2, 0.3]]), np.array([[7.0, 1.0, 9.0]])
    assert blended(weights, values, Blend.MEAN) == pytest.approx(6.4)
    assert blended(weights, values, Blend.MEDIAN) == 7
    assert blended(weights, values, Blend.MIDWAY) == pytest.approx(6.7)


def test_the_rank_is_that_of_conformal_prediction() -> None:
    """Ten records that are all alike: each residual is what its value is off the others' mean."""
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 20])
    keys = np.ones((10, 2), dtype=np.float32)
    known = fitted(keys, values)
    others = (values.sum() - values) / 9
    estimates = asked(known, keys, values, keys[:1])
    assert estimates.values == pytest.approx(values.mean())
    apart = [np.abs(np.delete(values, i) - others[i]).mean() for i in range(10)]
    unit = np.sort(np.abs(values - 5.5))[:10].mean()
    # All deviations are the same over any ten records, so that the scale is a power of theirs.
    scales = (np.array(apart) / unit + 0.02) ** 1.05
    ratios = np.sort(np.abs(values - others) / scales)
    scale = (np.abs(values - values.mean()).mean() / unit + 0.02) ** 1.05
    for level, rank in ((0.5, 6), (0.8, 9), (0.9, 10)):
        assert known.radius(estimates, level) == pytest.approx(ratios[rank - 1] * scale)
    assert known.radius(estimates, 0.925) == np.inf
    assert known.highest == 0.9


@pytest.mark.parametrize(("n", "highest"), [(0, 0), (1, 0), (2, 0.65), (3, 0.75), (6, 0.85)])
def test_too_few_records_for_a_level_leave_the_interval_open(n: int, highest: float) -> None:
    keys = unit(np.random.default_rng(0).normal(size=(n + 1, 3)))
    values = np.arange(1.0, n + 1)
    known = fitted(keys[:n], values)
    assert known.highest == highest
    estimates = asked(known, keys[:n], values, keys[n:])
    assert known.interval(estimates, 0.9) == (-np.inf, np.inf)
    if highest:
        low, high = known.interval(estimates, highest)
        assert low <= estimates.values <= high
    elif n:
        assert estimates.values == values  # the only one there is


def test_a_query_that_meets_no_record_has_no_estimate() -> None:
    keys, values = made(50, even, 0)
    known = fitted(keys[:50], values[:50])
    for width in (0, 3):
        estimates = known.estimate(np.full((1, width), -np.inf), np.zeros((1, width)))
        assert np.isnan(estimates.values).all()
        assert known.interval(estimates, 0.5) == (-np.inf, np.inf)


def test_records_that_are_missing_say_nothing() -> None:
    keys, values = made(50, even, 0)
    known = fitted(keys[:50], values[:50])
    scores = np.array([[0.9, 0.8, -np.inf]])
    one = known.estimate(scores, np.array([[1.0, 2.0, np.nan]]))
    other = known.estimate(scores[:, :2], np.array([[1.0, 2.0]]))
    np.testing.assert_allclose(np.array(one), np.array(other))


@pytest.mark.parametrize("n", [20, 400])
@pytest.mark.parametrize("value", [0.0, 7.0, -1e300, 1e-300])
def test_equal_numbers_leave_nothing_to_doubt(n: int, value: float) -> None:
    keys = unit(np.random.default_rng(0).normal(size=(n, 3)))
    values = np.full(n, value)
    known = fitted(keys, values)
    low, high = known.interval(asked(known, keys, values, keys[:5]), 0.9)
    np.testing.assert_allclose(low, value)
    np.testing.assert_allclose(high, value)


@pytest.mark.parametrize("n", [20, 400])
@pytest.mark.parametrize("factor", [1e300, 1e-300, 1.0])
def test_the_size_of_the_numbers_does_not_matter(n: int, factor: float) -> None:
    keys, values = made(n, even, 0)
    plain, scaled = fitted(keys[:n], values[:n]), fitted(keys[:n], values[:n] * factor)
    one = plain.interval(asked(plain, keys[:n], values[:n], keys[n:]))
    other = scaled.interval(asked(scaled, keys[:n], values[:n] * factor, keys[n:]))
    np.testing.assert_allclose(np.array(other) / factor, np.array(one), rtol=1e-9)


def test_one_enormous_number_does_not_widen_all_others() -> None:
    keys, values = made(1000, even, 0)
    known = fitted(keys[:1000], values[:1000])
    usual = np.median(known.radius(asked(known, keys[:1000], values[:1000], keys[1000:])))
    values[3] = 1e300
    known = fitted(keys[:1000], values[:1000])
    spoilt = np.median(known.radius(asked(known, keys[:1000], values[:1000], keys[1000:])))
    assert spoilt < 10 * usual


@pytest.mark.parametrize("n", [50, 400])
def test_tiny_numbers_beside_enormous_ones_are_covered(n: int) -> None:
    keys, _ = made(n, even, 0)
    values = 1e-300 * np.random.default_rng(0).random(n + 500)
    values[:n:40] = 1e300
    known = fitted(keys[:n], values[:n])
    low, high = known.interval(asked(known, keys[:n], values[:n], keys[n:]), 0.9)
    assert np.mean((low <= values[n:]) & (values[n:] <= high)) > 0.87


def test_intervals_of_numbers_that_are_never_negative_end_at_zero() -> None:
    keys, values = made(600, uneven, 0)
    values = np.exp(values)
    known = fitted(keys[:600], values[:600])
    low, high = known.interval(asked(known, keys[:600], values[:600], keys[600:]), 0.95)
    assert known.floor
    assert low.min() == 0
    assert np.mean((low <= values[600:]) & (values[600:] <= high)) > 0.92
    # A negative number that came later is still inside its own interval.
    later = known.estimate(np.array([[1.0]]), np.array([[-5.0]]))
    low, high = known.interval(later, 0.9)
    assert low <= -5 <= high


def test_a_record_does_not_find_itself() -> None:
    keys = np.repeat(unit(np.random.default_rng(0).normal(size=(70, 3))), 2, axis=0)
    rows = np.arange(140)
    indices, scores = leave_one_out(FlatIndex(keys), rows)
    assert indices.shape == scores.shape == (140, NEAR)
    assert not (indices == rows[:, None]).any()
    assert (indices[:, 0] == rows ^ 1).all()  # but its twin


def test_a_record_among_many_twins_does_not_find_itself() -> None:
    keys = np.ones((200, 2), dtype=np.float32)
    indices, _ = leave_one_out(FlatIndex(keys), np.array([0, 199]))
    assert indices.shape == (2, NEAR)
    assert 0 not in indices[0]


def test_a_key_that_means_nothing_teaches_nothing() -> None:
    keys, values = made(60, even, 0)
    keys[:5] = 0
    indices, scores = leave_one_out(FlatIndex(keys[:60]), np.arange(60))
    assert np.isneginf(scores[:5]).all()
    assert fit_intervals(scores, values[indices], values[:60]).count == 55


def test_large_stores_are_sampled_and_small_ones_are_not() -> None:
    np.testing.assert_array_equal(sample(10, 3), np.arange(10))
    rows = sample(100_000, 562)
    assert len(rows) == 711
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, sample(100_000, 562))
    assert (rows != sample(100_000, 562, seed=1)).any()
    assert len(sample(10**8, 562)) == 150
    assert len(sample(5000, 10, width=512)) == 390


def test_the_same_records_give_the_same_intervals() -> None:
    keys, values = made(500, uneven, 0)
    assert fitted(keys, values) == fitted(keys, values)


@pytest.mark.parametrize("n", [0, 2, 30, 700])
def test_json_keeps_everything(n: int) -> None:
    keys, values = made(n, even, 0, more=0)
    known = fitted(keys, values)
    text = json.dumps(known.as_json(), allow_nan=False)
    assert Intervals.from_json(json.loads(text)) == known
    numbers = sum(len(row) for row in known.quantiles) + len(known.edges)
    assert numbers <= 200


@pytest.mark.parametrize("level", [0, 1, 1.5, -1, float("nan"), "high", None])
def test_a_level_is_a_share(level: object) -> None:
    known = fitted(*made(30, even, 0, more=0))
    with pytest.raises(InputError, match=r"such as 0\.9"):
        known.radius(Estimates(np.zeros(1), np.ones(1)), level)  # type: ignore[arg-type]


def test_a_level_between_two_is_answered_by_the_higher() -> None:
    keys, values = made(500, even, 0)
    known = fitted(keys[:500], values[:500])
    estimates = asked(known, keys[:500], values[:500], keys[500:])
    np.testing.assert_array_equal(known.radius(estimates, 0.91), known.radius(estimates, 0.925))


# ── properties ───────────────────────────────────────────────────────────────────────────────

finite = st.floats(-1.7e308, 1.7e308)
anything = st.lists(finite, min_size=1, max_size=40)


@settings(deadline=None, max_examples=60)
@given(numbers=anything, seed=st.integers(0, 9), repeat=st.sampled_from([1, 10]))
def test_the_interval_contains_its_estimate_and_grows(
    numbers: list[float], seed: int, repeat: int
) -> None:
    values = np.array(numbers * repeat)
    keys = unit(np.random.default_rng(seed).normal(size=(len(values), 3)))
    known = fitted(keys, values)
    estimates = asked(known, keys, values, keys[:4])
    rounding = 1e-12 * np.abs(values).max()
    assert (estimates.values >= values.min() - rounding).all()
    assert (estimates.values <= values.max() + rounding).all()
    before = np.zeros(len(estimates.scales))
    for level in LEVELS:
        low, high = known.interval(estimates, level)
        assert (low <= estimates.values).all()
        assert (estimates.values <= high).all()
        radius = known.radius(estimates, level)
        assert (radius >= before).all()
        before = radius


@settings(deadline=None, max_examples=40)
@given(
    numbers=st.lists(st.integers(-1000, 1000), min_size=2, max_size=60),
    shift=st.integers(-1000, 1000),
    power=st.integers(-20, 20),
    seed=st.integers(0, 9),
)
def test_intervals_move_and_stretch_with_the_values(
    numbers: list[int], shift: int, power: int, seed: int
) -> None:
    values = np.array(numbers, dtype=np.float64)
    keys = unit(np.random.default_rng(seed).normal(size=(len(values), 3)))
    moved = (values + shift) * 2.0**power
    plain, other = fitted(keys, values), fitted(keys, moved)
    for level in (0.5, 0.9):
        ends = plain.interval(asked(plain, keys, values, keys[:3]), level)
        expected = (np.array(ends) + shift) * 2.0**power
        found = other.interval(asked(other, keys, moved, keys[:3]), level)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6 * 2.0**power)


@settings(deadline=None, max_examples=15)
@given(power=st.integers(-30, 30), seed=st.integers(0, 5))
def test_what_is_chosen_does_not_depend_on_the_unit(power: int, seed: int) -> None:
    keys, values = made(300, uneven, seed, more=20)
    plain, other = (fitted(keys[:300], v[:300]) for v in (values, values * 2.0**power))
    assert (other.temperature, other.blend, other.quantiles) == (
        plain.temperature,
        plain.blend,
        plain.quantiles,
    )
