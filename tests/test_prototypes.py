"""Prototypes: sums of keys by value, against plain sums, through every change of a store."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkv import Database
from qkv.indexes import FlatIndex
from qkv.prototypes import Prototypes, all_sums

RNG = np.random.default_rng(0)


def plain(keys: np.ndarray, values: np.ndarray, wanted: list[int]) -> np.ndarray:
    return np.array([keys[values == value].sum(axis=0) for value in wanted])


def test_sums_are_sums() -> None:
    keys = RNG.normal(size=(50, 4)).astype(np.float32)
    values = RNG.integers(0, 7, size=50)
    index = FlatIndex(keys)
    ours = Prototypes().sums(np.array([3, 0, 3]), index, values)
    np.testing.assert_allclose(ours, plain(keys, values, [3, 0, 3]), atol=1e-5)
    every = all_sums(index, np.arange(50), values, 7)
    np.testing.assert_allclose(every, plain(keys, values, list(range(7))), atol=1e-5)


def test_all_sums_over_more_rows_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qkv.prototypes._BLOCK", 3)
    keys = RNG.normal(size=(20, 4)).astype(np.float32)
    values = RNG.integers(0, 4, size=20)
    every = all_sums(FlatIndex(keys), np.arange(20), values, 4)
    np.testing.assert_allclose(every, plain(keys, values, list(range(4))), atol=1e-5)


def test_removed_rows_do_not_count() -> None:
    keys = np.eye(3, dtype=np.float32)
    index = FlatIndex(keys).remove(np.array([1]))
    assert Prototypes().sums(np.array([0]), index, np.zeros(3, int)).tolist() == [[1.0, 0.0, 1.0]]


changes = st.lists(
    st.tuples(
        st.sampled_from(["put", "overwrite", "delete", "bulk"]),
        st.integers(0, 9),
        st.integers(0, 3),
    ),
    max_size=12,
)


@given(changes)
def test_sums_follow_every_change(steps: list[tuple[str, int, int]]) -> None:
    db = Database(encoder=None, lexicon=None)
    rng = np.random.default_rng(1)

    def check() -> None:
        snapshot = db._reader.snapshot()
        wanted = np.flatnonzero(snapshot.counts > 0)
        names = [snapshot.distinct[i] for i in wanted.tolist()]
        ours = snapshot.sums(wanted) if len(wanted) else np.zeros((0, 3))
        truth = [sum(db.vector(k) for k, v in db.items() if v == name) for name in names]
        if truth:
            np.testing.assert_allclose(ours, truth, atol=1e-5)
            assert snapshot.counts[wanted].tolist() == [
                sum(v == name for v in db.values()) for name in names
            ]

    for what, key, value in steps:
        name = f"k{key}"
        if what == "delete":
            db.pop(name, None)
        elif what == "bulk":
            db.update([(f"k{i}", f"v{value}") for i in range(5)], vectors=rng.normal(size=(5, 3)))
        elif what == "overwrite" and name in db:
            db[name] = f"v{value}"
        else:
            db.put(name, f"v{value}", vector=rng.normal(size=3))
        check()


def test_without_a_record_is_a_store_that_never_had_it() -> None:
    db = Database(encoder=None, lexicon=None)
    vectors = RNG.normal(size=(30, 5))
    db.update([(f"k{i}", f"v{i % 4}") for i in range(30)], vectors=vectors)
    snapshot = db._reader.snapshot()
    values = np.arange(4)
    snapshot.sums(values)
    less = snapshot.without(np.array([7]))
    del db["k7"]
    after = db._reader.snapshot()
    np.testing.assert_allclose(less.sums(values), after.sums(values), atol=1e-5)
    assert less.counts.tolist() == after.counts.tolist()
    assert len(less) == len(after) == len(snapshot) - 1
