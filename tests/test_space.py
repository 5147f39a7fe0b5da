"""Space: what is stored for a key, and what is asked for a query."""

from __future__ import annotations

import numpy as np
import pytest

from qkv import encoders
from qkv.encoders import DEFAULT, LIGHT, UNGATED, fingerprint, resolve
from qkv.errors import InputError, MissingExtra, VectorError
from qkv.space import Space, check_key
from qkv.tables import Tables


def space(encoder=None, metric="cosine"):
    return Space(Tables(None), encoder, metric)


def vectors(blobs):
    return np.array([np.frombuffer(blob, "<f4") for blob in blobs])


@pytest.mark.parametrize("form", [list, np.array, lambda v: np.array(v, dtype=np.float64)])
def test_given_vectors_are_unit_under_cosine_only(form):
    given = form([[3.0, 4.0], [0.0, 2.0]])
    unit = vectors(space().given(given, 2))
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0, 1]], rtol=1e-6)
    kept = vectors(space(metric="dot").given(given, 2))
    np.testing.assert_allclose(kept, [[3, 4], [0, 2]])


def test_an_encoder_may_give_less_than_one_but_not_more():
    class Half:
        def encode(self, texts):
            return np.array([[0.5, 0.0] if t == "half" else [9.0, 0.0] for t in texts])

    got = vectors(space(Half()).encode(["half", "long"]))
    np.testing.assert_allclose(got, [[0.5, 0], [1, 0]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([[1.0, 2.0], [1.0]], "has 1 dimensions and this store's vectors have 2"),
        (np.array([[1.0, np.nan], [1, 2]]), "position 1"),
        (np.array([[1.0, 2.0], [np.inf, 2]]), "position 0"),
        (np.array([[1.0, 1e20], [1, 2]]), "below"),
        ([[1.0, 2.0]], "2 records came with 1 vectors"),
        ([["a", "b"], ["c", "d"]], "not a vector"),
    ],
)
def test_vectors_that_cannot_be_scored_are_refused(given, message):
    with pytest.raises(VectorError, match=message):
        space().given(given, 2)


def test_the_first_vector_decides_the_dimension_for_all(tmp_path):
    path = tmp_path / "s.qkv"
    one, other = Space(Tables(path), None, "auto"), Space(Tables(path), None, "auto")
    one.given([[1.0, 2.0]], 1)
    with pytest.raises(VectorError, match="2 dimensions, not 3"):
        other.given([[1.0, 2.0, 3.0]], 1)


def test_metrics_are_agreed_once():
    with pytest.raises(InputError, match="'cosine', 'dot', 'euclidean', not 'manhattan'"):
        space(metric="manhattan")


def test_text_of_other_classes_is_text():
    class Name(str):
        __slots__ = ()

    assert check_key(Name("cat")) == "cat"
    assert check_key("naïve 🐻") == "naïve 🐻"


class TestTheDefaultEncoder:
    def test_a_machine_without_a_transformer_begins_with_the_light_choice(self, monkeypatch):
        def missing() -> None:
            raise MissingExtra("onnxruntime is not there")

        monkeypatch.setattr(encoders, "GatedEncoder", missing)
        tables = Tables(None)
        assert fingerprint(Space(tables, "auto", "cosine").encoder).startswith("heads(glove")
        assert tables.settings()["encoder"] == LIGHT

    def test_a_file_says_which_it_has(self):
        tables = Tables(None)
        Space(tables, "auto", "cosine")
        assert tables.settings()["encoder"] == DEFAULT
        assert Space(tables, "auto", "cosine").weighs_queries

    @pytest.mark.parametrize("spec", ["auto", DEFAULT])
    def test_three_heads_of_before_the_gate_are_what_they_were(self, spec):
        tables = Tables(None)
        before = resolve(UNGATED)
        tables.begin(encoder=DEFAULT, fingerprint=fingerprint(before), metric="cosine")
        after = Space(tables, spec, "cosine")
        assert fingerprint(after.encoder) == fingerprint(before)
        assert not after.hears_words
