"""Distinct values: numbered once, packed or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkv.distinct import Distinct, Packed
from qkv.values import Kind, same, to_stored


def test_equal_values_are_one_and_keep_their_number():
    distinct = Distinct()
    ids = [distinct.add(*to_stored(v)) for v in ("a", 1, "a", 1.0, "1", None)]
    assert ids == [0, 1, 0, 1, 2, 3]
    assert [distinct[i] for i in range(len(distinct))] == ["a", 1, "1", None]
    assert distinct.of_kind(Kind.TEXT, 4).tolist() == [0, 2]
    assert distinct.of_kind(Kind.TEXT, 2).tolist() == [0]


def test_vectors_grow_without_disturbing_earlier_views():
    distinct = Distinct()
    first = distinct.add(*to_stored(np.ones(3)))
    early = distinct.vectors(np.array([first]))
    for i in range(200):
        distinct.add(*to_stored(np.full(3, i + 2)))
    late = distinct.vectors(distinct.of_kind(Kind.VECTOR, len(distinct)))
    assert early.tolist() == [[1, 1, 1]]
    assert late[:, 0].tolist() == list(range(1, 202))


def test_vectors_of_different_dimensions_are_no_matrix():
    distinct = Distinct()
    for size in (2, 3):
        distinct.add(*to_stored(np.ones(size)))
    assert distinct.vectors(distinct.of_kind(Kind.VECTOR, 2)) is None


VALUES = st.lists(
    st.text(max_size=5)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.none()
    | st.booleans()
    | st.lists(st.integers(0, 3), max_size=2)
    | st.builds(np.full, st.integers(1, 3), st.integers(0, 3).map(float)),
    max_size=12,
)


def _storable(value: object) -> bool:
    return not isinstance(value, str) or value.isprintable()


@given(VALUES, VALUES)
def test_packed_values_are_found_again_by_the_same_numbers(first, second):
    stored = [to_stored(v) for v in first if _storable(v)]
    more = [to_stored(v) for v in second if _storable(v)]
    plain = Distinct()
    numbers = [plain.add(*value) for value in stored]
    packed = Distinct(plain.packed(np.arange(len(plain))))
    assert len(packed) == len(plain)
    assert [packed.id_of(*value) for value in stored] == numbers
    assert [packed.add(*value) for value in more] == [plain.add(*value) for value in more]
    for id in range(len(plain)):
        assert same(packed[id], plain[id])
        assert type(packed[id]) is type(plain[id])
    for kind in Kind:
        ids = plain.of_kind(kind, len(plain))
        assert packed.of_kind(kind, len(plain)).tolist() == ids.tolist()
        assert packed.stored(ids) == plain.stored(ids)


def test_packed_vectors_are_a_view():
    plain = Distinct()
    for i in range(5):
        plain.add(*to_stored(np.full(3, float(i))))
    base = plain.packed(np.array([4, 2, 0]))
    packed = Distinct(base)
    assert np.shares_memory(packed.vectors(np.arange(3)), base.content)
    assert packed.vectors(np.arange(3))[:, 0].tolist() == [4, 2, 0]
    packed.add(*to_stored(np.full(3, 7.0)))
    assert packed.vectors(np.arange(4))[:, 0].tolist() == [4, 2, 0, 7]


@pytest.mark.parametrize("values", [[], ["a"], [np.ones(2), np.ones(3)], [np.ones(2), "b"]])
def test_only_vectors_of_one_dimension_are_a_matrix(values):
    assert Packed.of(map(to_stored, values)).vectors() is None
