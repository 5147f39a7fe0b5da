"""Values: every kind comes back as it went in, and equal values are one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkv.errors import InputError, RecordError, TextError, VectorError
from qkv.values import Kind, check_vector, from_stored, to_stored

text = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


@given(json)
def test_what_goes_in_comes_out_with_its_type(value):
    again = from_stored(*to_stored(value))
    assert again == value
    assert type(again) is type(value)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1))
def test_vectors_come_back_as_float32(entries):
    again = from_stored(*to_stored(np.array(entries, dtype=np.float32)))
    assert again.dtype == np.float32
    assert again.tolist() == entries


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("", Kind.TEXT),
        (7, Kind.NUMBER),
        (2**63, Kind.JSON),
        (np.int16(7), Kind.NUMBER),
        (np.float32(0.5), Kind.NUMBER),
        (True, Kind.JSON),
        (None, Kind.JSON),
        ([1], Kind.JSON),
        (np.array([1, 2]), Kind.VECTOR),
    ],
)
def test_kinds(value, kind):
    assert to_stored(value)[0] is kind


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ((1, 2), RecordError, "list"),
        ({1, 2}, RecordError, "sorted"),
        (b"a", RecordError, "decode"),
        (object(), RecordError, "text, a number"),
        (float("nan"), RecordError, "None"),
        (float("inf"), RecordError, "None"),
        ({1: 2}, RecordError, "keys are text"),
        ([(1,)], RecordError, r"value\[0\] is a tuple"),
        ([float("nan")], RecordError, "JSON"),
        ("\ud800", TextError, "surrogate"),
        (["\ud800"], TextError, "surrogate"),
        (np.zeros((2, 2)), VectorError, "one-dimensional"),
        (np.zeros(0), VectorError, "one-dimensional"),
        (np.array(["a"]), VectorError, "numbers"),
        (np.array([1, np.nan]), VectorError, "position 1"),
        (np.array([1e20]), VectorError, "below"),
    ],
)
def test_what_would_be_changed_in_silence_is_refused(value, error, message):
    with pytest.raises(error, match=message) as caught:
        to_stored(value)
    assert isinstance(caught.value, InputError)


def test_a_list_that_holds_itself_is_refused():
    endless: list = []
    endless.append(endless)
    with pytest.raises(RecordError, match="deep"):
        to_stored(endless)


def test_a_vector_of_another_dimension_is_refused():
    with pytest.raises(VectorError, match="has 2 dimensions and this store's vectors have 3"):
        check_vector([1.0, 2.0], "a query", 3)
