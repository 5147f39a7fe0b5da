"""The loss and its slopes, training, the gate: on plain arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkv.errors import InputError
from qkv.learning import (
    Examples,
    Settings,
    compare,
    held_out,
    rank,
    ranking_loss,
    report,
    train,
    try_out,
)
from qkv.learning.gate import Ranks, Trial
from qkv.projection import IDENTITY, Projection


def arrays(seed, m=4, hard=2, d_q=5, d_k=3, p=4):
    rng = np.random.default_rng(seed)
    return (
        rng.standard_normal((m, d_q)),
        rng.standard_normal((m + hard, d_k)),
        rng.standard_normal((p, d_q)),
        rng.standard_normal((p, d_k)),
    )


def plain(queries, keys, W_Q, W_K, temperature, same=None):
    """The definition, one query at a time."""
    total = 0.0
    for i, query in enumerate(queries):
        a = W_Q @ query
        logits = []
        for j, key in enumerate(keys):
            b = W_K @ key
            if same is None or not same[i, j] or i == j:
                logits.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b) / temperature)
            if i == j:
                right = logits[-1]
        total += np.log(np.exp(logits).sum()) - right
    return total / len(queries)


@given(st.integers(0, 1000), st.floats(0.1, 2.0))
def test_the_loss_is_its_definition(seed, temperature):
    queries, keys, W_Q, W_K = arrays(seed)
    same = np.random.default_rng(seed).random((4, 6)) < 0.3
    found = ranking_loss(queries, keys, W_Q, W_K, temperature=temperature, same=same)
    assert found.value == pytest.approx(plain(queries, keys, W_Q, W_K, temperature, same))


@pytest.mark.parametrize("symmetric", [False, True])
@given(st.integers(0, 1000))
def test_slopes_agree_with_finite_differences(symmetric, seed):
    queries, keys, *weights = arrays(seed)
    same = np.random.default_rng(seed).random((4, 6)) < 0.2

    def value():
        return ranking_loss(
            queries, keys, *weights, temperature=0.5, symmetric=symmetric, same=same
        ).value

    found = ranking_loss(queries, keys, *weights, temperature=0.5, symmetric=symmetric, same=same)
    for W, slope in zip(weights, (found.query, found.key), strict=True):
        for place in ((0, 0), (2, 1), (3, 2)):
            old, step = W[place], 1e-6
            W[place] = old + step
            above = value()
            W[place] = old - step
            below = value()
            W[place] = old
            assert slope[place] == pytest.approx((above - below) / (2 * step), abs=1e-5)


def test_symmetric_is_the_mean_of_both_directions():
    queries, keys, W_Q, W_K = arrays(0, hard=0)
    there = ranking_loss(queries, keys, W_Q, W_K).value
    back = ranking_loss(keys, queries, W_K, W_Q).value
    both = ranking_loss(queries, keys, W_Q, W_K, symmetric=True).value
    assert both == pytest.approx((there + back) / 2)


def test_keys_that_stay_have_no_slope():
    queries, keys, W_Q, _ = arrays(0, p=3)
    found = ranking_loss(queries, keys, W_Q, None)
    whole = ranking_loss(queries, keys, W_Q, np.eye(3))
    assert found.key is None
    assert found.value == pytest.approx(whole.value)
    assert np.allclose(found.query, whole.query)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"temperature": 0.0}, "positive number"),
        ({"keys": np.ones((1, 3))}, "right key of each"),
        ({"W_Q": np.ones((4, 9))}, "do not fit"),
        ({"W_K": np.ones((7, 3))}, "do not fit"),
    ],
)
def test_what_does_not_fit_is_said(change, said):
    queries, keys, W_Q, W_K = arrays(0)
    given = {"queries": queries, "keys": keys, "W_Q": W_Q, "W_K": W_K} | change
    with pytest.raises(InputError, match=said):
        ranking_loss(**given)


# ── examples whose answer lies in two of twelve dimensions ───────────────────────────────────────


def groups(seed=0, n=400, kinds=8, noise=1.0, d=12):
    """Keys of several kinds that differ in the first dimensions; the others are noise."""
    rng = np.random.default_rng(seed)
    held = np.arange(n) % kinds
    centres = np.zeros((kinds, d))
    centres[:, :3] = rng.standard_normal((kinds, 3))
    keys = centres[held] + noise * rng.standard_normal((n, d)) * (np.arange(d) >= 3)
    keys = (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)
    return keys, held


def own(keys, held):
    n = len(keys)
    ids = np.arange(n)
    fold = np.where(held_out(ids), 0, 1 + ids % 4)
    none = np.full(n, -1)
    return Examples(
        keys, keys, held, held, ids, none, np.zeros((0, 2), int), np.zeros(n, bool), fold
    )


@pytest.mark.parametrize("keys", [False, True])
def test_training_finds_the_dimensions_that_matter(keys):
    examples = own(*groups(noise=0.3))
    trial = try_out(examples, IDENTITY, lambda some: train(some, IDENTITY, keys=keys))
    kept, _, parts = report(trial)
    assert kept
    assert parts["own"].after.recall == 1 > parts["own"].before.recall
    assert trial.learned.tied == keys


def test_what_is_noise_in_keys_takes_both_maps():
    examples = own(*groups())
    trial = try_out(examples, IDENTITY, lambda some: train(some, IDENTITY, keys=True))
    assert report(trial)[2]["own"].difference.recall > 0.2


def test_training_is_deterministic():
    examples = own(*groups())
    one, other = (train(examples, IDENTITY, keys=True) for _ in range(2))
    assert np.array_equal(one.query, other.query)
    assert np.array_equal(one.key, one.query)
    third = train(examples, IDENTITY, settings=Settings(seed=1))
    assert not np.array_equal(one.query, third.query)


def test_shuffled_answers_are_refused():
    keys, held = groups()
    shuffled = np.random.default_rng(1).permutation(held)
    examples = own(keys, shuffled)
    trial = try_out(examples, IDENTITY, lambda some: train(some, IDENTITY))
    assert not report(trial)[0]


def test_few_examples_move_little():
    keys, held = groups()
    few = own(keys, held).some(np.arange(6))
    moved = np.linalg.norm(train(few, IDENTITY).query - np.eye(12))
    much = np.linalg.norm(train(own(keys, held), IDENTITY).query - np.eye(12))
    assert moved < much / 2


def test_held_out_records_are_nobodys_keys():
    examples = own(*groups(n=50))
    asked = examples.fold == 0
    rest = examples.training(asked)
    assert len(rest.keys) == len(rest) == (~asked).sum()
    assert np.array_equal(rest.keys[rest.own], rest.queries)
    assert np.array_equal(rest.held[rest.own], rest.asked)


def test_wrong_keys_are_learned_from():
    rng = np.random.default_rng(0)
    keys = rng.standard_normal((12, 6)).astype(np.float32)
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    n = np.arange(12)
    queries = keys + 0.1
    near = int(np.argsort(-keys @ queries[0])[1])
    wrong = np.array([[0, near]])
    examples = Examples(queries, keys, n, n, np.full(12, -1), n, wrong, np.ones(12, bool), n % 5)
    settings = Settings(others=0, batch=1, strength=0.1)

    def likeness(one):
        learned = train(one.some(np.array([0])), IDENTITY, settings=settings)
        return float((learned.queries(queries[:1]) @ keys[near])[0])

    blind = Examples(**(vars(examples) | {"wrong": np.zeros((0, 2), int)}))
    assert likeness(examples) < likeness(blind) - 0.05


def test_between_kinds_of_different_length():
    rng = np.random.default_rng(0)
    keys, held = groups(n=100)
    turn = rng.standard_normal((7, 12))
    queries = (keys @ turn.T).astype(np.float32)
    n = np.arange(100)
    examples = Examples(
        queries, keys, held, held, np.full(100, -1), n, np.zeros((0, 2), int), n >= 0, n % 5
    )
    for both in (False, True):
        trial = try_out(
            examples, IDENTITY, lambda some, both=both: train(some, IDENTITY, keys=both)
        )
        assert trial.learned.query.shape == (12, 7)
        assert (trial.learned.key is not None) == both
        assert report(trial)[2]["told"].after.recall > 0.5


# ── the gate ─────────────────────────────────────────────────────────────────────────────────────


def ranks(found):
    found = np.array(found, dtype=float)
    return Ranks(found, np.log(found)[:, None])


def test_ranks_are_those_of_sorting_and_ties_count_against():
    keys = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    one = Examples(
        keys[:1], keys, np.array([0]), np.array([0, 1, 2]), np.array([-1]), np.array([-1]),
        np.zeros((0, 2), int), np.array([True]), np.array([0]),
    )  # fmt: skip
    assert rank(one, IDENTITY).rank.tolist() == [2.0]  # key 1 is as near, and wrong


def test_better_must_be_beyond_chance():
    assert compare(ranks([2] * 30), ranks([1] * 30)).better
    assert not compare(ranks([2] * 30), ranks([2] * 30)).better
    lucky = compare(ranks([2, 1, 1, 1, 1]), ranks([1, 1, 1, 1, 1]))
    assert not lucky.better
    assert compare(ranks([1] * 30), ranks([2] * 30)).worse


def test_worse_for_the_stores_own_records_is_not_kept():
    told = np.repeat([True, False], 30)
    before, after = ranks([2] * 30 + [1] * 30), ranks([1] * 30 + [2] * 30)
    kept, why, parts = report(Trial(told, before, after, IDENTITY))
    assert not kept
    assert "own records would be answered worse" in why
    assert parts["told"].difference.better


def test_one_in_five_is_held_out_and_always_the_same():
    ids = np.arange(-100, 10_000)
    assert np.array_equal(held_out(ids), held_out(ids[::-1])[::-1])
    assert 0.18 < held_out(ids).mean() < 0.22


def test_a_projection_keeps_lengths():
    rng = np.random.default_rng(0)
    W = rng.standard_normal((4, 3)).astype(np.float32)
    vectors = rng.standard_normal((5, 3)).astype(np.float32)
    vectors *= np.linspace(0, 1, 5, dtype=np.float32)[:, None] / np.linalg.norm(
        vectors, axis=1, keepdims=True
    )
    turned = Projection(query=W).queries(vectors)
    assert np.allclose(np.linalg.norm(turned, axis=1), np.linspace(0, 1, 5), atol=1e-6)
    assert IDENTITY.queries(vectors) is vectors
