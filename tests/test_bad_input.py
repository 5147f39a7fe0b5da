"""What cannot be done is refused by a typed error that says why, and nothing is half-done."""

from __future__ import annotations

import ast
import contextlib
import datetime
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from qkv import Database
from qkv.encoders import HashingEncoder
from qkv.errors import (
    Closed,
    CorruptFile,
    DiskFull,
    EncoderError,
    EncoderMismatch,
    FileError,
    InputError,
    NewerFormat,
    NotADatabase,
    QkvError,
    RecordError,
    TextError,
    VectorError,
)

RECORDS = {"cat": "animal", "one": 1, "list": [1, {"a": None}]}


@contextlib.contextmanager
def refused(error, *parts, db=None):
    """Expect this error, with these parts in its message; the store stays as it was."""
    before = [] if db is None else list(db.items())
    with pytest.raises(error) as caught:
        yield
    assert isinstance(caught.value, QkvError)
    for part in parts:
        assert part in str(caught.value)
    if db is not None:
        assert list(db.items()) == before
        assert len(db) == len(before)
        assert len(db.search(np.ones(db.dimension or 1), k=100)) == len(before)


@pytest.fixture(params=["memory", "file"])
def db(request, path):
    where = path if request.param == "file" else None
    with Database(RECORDS, path=where, encoder="hashing", lexicon=None) as db:
        yield db


@pytest.fixture
def plain():
    """A store without an encoder, of two dimensions."""
    db = Database(encoder=None, lexicon=None)
    db.update({"a": 1, "b": 2}, vectors=[[1.0, 0.0], [0.0, 1.0]])
    return db


# ── texts ────────────────────────────────────────────────────────────────────────────────────

TEXTS = {
    "empty": ("", TextError, "the empty string"),
    "space": (" ", TextError, "only whitespace"),
    "whitespace": ("\t\n\u2003\u00a0", TextError, "only whitespace"),
    "surrogate": ("ab\ud800c", TextError, "lone surrogate at position 2"),
    "10 MB": ("x" * 10_000_000, TextError, "10,000,000 characters"),
    "one too long": ("é" * 100_001, TextError, "at most 100,000"),
    "int": (5, RecordError, "int"),
    "None": (None, RecordError, "NoneType"),
    "float": (2.5, RecordError, "float"),
    "bytes": (b"cat", RecordError, "bytes"),
    "tuple": (("a", "b"), RecordError, "tuple"),
    "bool": (True, RecordError, "bool"),
}
texts = pytest.mark.parametrize(("text", "error", "part"), TEXTS.values(), ids=TEXTS)

WRITES = {
    "set": lambda db, key: db.__setitem__(key, "value"),
    "put": lambda db, key: db.put(key, "value"),
    "put with a vector": lambda db, key: db.put(key, "value", vector=np.ones(256)),
    "update": lambda db, key: db.update([("fresh", 1), (key, 2), ("cat", 3)]),
    "update with vectors": lambda db, key: db.update(
        [("fresh", 1), (key, 2)], vectors=np.ones((2, 256))
    ),
    "setdefault": lambda db, key: db.setdefault(key, "value"),
    "ior": lambda db, key: db.__ior__({"fresh": 1, key: 2}),
}


@texts
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_keys_that_cannot_be_stored(write, text, error, part, db):
    with refused(error, part, "a key", db=db):
        write(db, text)


QUERIES = {name: case for name, case in TEXTS.items() if name not in ("bytes", "tuple")}


@pytest.mark.parametrize(("text", "error", "part"), QUERIES.values(), ids=QUERIES)
@pytest.mark.parametrize("ask", ["query", "attend", "search"])
def test_queries_that_cannot_be_asked(ask, text, error, part, db):
    with refused(error, part, "a query", db=db):
        getattr(db, ask)(text)
    if ask != "query":
        with refused(error, part, "a query", db=db):
            getattr(db, ask)(["fine", text])


@pytest.mark.parametrize("ask", ["query", "attend", "search"])
@pytest.mark.parametrize("query", [b"cat", 1j, int], ids=repr)
def test_queries_of_another_type(query, ask, db):
    with refused(RecordError, "text or a NumPy vector", type(query).__name__, db=db):
        getattr(db, ask)(query)


def test_the_longest_key_that_is_a_key():
    db = Database({"x" * 100_000: 1}, encoder=HashingEncoder(8), lexicon=None)
    assert len(db.search("x" * 100_000)) == 1


# ── values ───────────────────────────────────────────────────────────────────────────────────

CIRCLE: list = [1]
CIRCLE.append({"again": CIRCLE})
DEEP: list = []
for _ in range(5000):
    DEEP = [DEEP]

VALUES = {
    "tuple": ((1, 2), RecordError, "list(value)"),
    "set": ({1, 2}, RecordError, "sorted(value)"),
    "bytes": (b"ab", RecordError, "value.decode()"),
    "object": (object(), RecordError, "not a object"),
    "complex": (1j, RecordError, "not a complex"),
    "date": (datetime.date(2023, 4, 30), RecordError, "not a date"),
    "type": (int, RecordError, "not a type"),
    "nan": (float("nan"), RecordError, "store None instead"),
    "inf": (float("inf"), RecordError, "store None instead"),
    "-inf": (float("-inf"), RecordError, "store None instead"),
    "numpy nan": (np.float32("nan"), RecordError, "store None instead"),
    "numpy complex": (np.complex64(1), RecordError, "not a complex"),
    "int keys": ({1: "a"}, RecordError, "use '1'"),
    "int keys within": ([{"a": {2: "a"}}], RecordError, "value[0]['a'] has the key 2"),
    "tuple within": ({"a": [(1,)]}, RecordError, "value['a'][0] is a tuple"),
    "vector within": ([np.ones(2)], RecordError, "value[0] is a ndarray"),
    "nan within": ([1.0, float("nan")], RecordError, "JSON"),
    "circle": (CIRCLE, RecordError, "holds itself"),
    "too deep": (DEEP, RecordError, "nested more than 200 deep"),
    "surrogate": ("a\udfff", TextError, "lone surrogate at position 1"),
    "surrogate within": (["a\udfff"], TextError, "lone surrogate"),
    "surrogate as a key within": ({"a\udfff": 1}, TextError, "lone surrogate"),
    "endless int": (10**5000, RecordError, "digits"),
    "endless int within": ([10**5000], RecordError, "digits"),
    "matrix": (np.ones((2, 2)), VectorError, "shape (2, 2)"),
    "scalar array": (np.array(1.0), VectorError, "shape ()"),
    "empty array": (np.array([]), VectorError, "shape (0,)"),
    "array of text": (np.array(["a", "b"]), VectorError, "<U1"),
    "array of objects": (np.array([1, None]), VectorError, "object"),
    "array of bools": (np.array([True]), VectorError, "bool"),
    "array of complex": (np.array([1j]), VectorError, "complex"),
    "array with nan": (np.array([1, np.nan]), VectorError, "nan at position 1"),
    "array with inf": (np.array([-np.inf, 1]), VectorError, "-inf at position 0"),
    "array too large": (np.array([0, 1e16]), VectorError, "below 1e+15"),
    "array too large for float32": (np.array([0, 1e300]), VectorError, "below 1e+15"),
    "array of int64 too large": (np.array([-(2**63)]), VectorError, "below 1e+15"),
}
values = pytest.mark.parametrize(("value", "error", "part"), VALUES.values(), ids=VALUES)


@values
def test_values_that_cannot_be_stored(value, error, part, db):
    with refused(error, part, db=db):
        db["new"] = value
    with refused(error, part, db=db):
        db["cat"] = value
    with refused(error, part, db=db):
        db.update([("new", 1), ("another", value)])
    with refused(error, part, db=db):
        db.setdefault("new", value)


@values
def test_values_that_cannot_be_stored_at_the_beginning(value, error, part, path):
    with refused(error, part):
        Database({"fine": 1, "new": value}, path=path, encoder="hashing", lexicon=None)
    with Database(path=path, encoder="hashing", lexicon=None) as db:
        assert len(db) == 0


def test_a_path_without_its_name_is_taken_for_no_records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecordError, match=r"Database\(path='animals.qkv'\)"):
        Database("animals.qkv")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("records", "part"),
    [([1], "record 0"), ([("a", 1), ("b",)], "record 1"), ([("a", 1, 2)], "record 0")],
)
def test_records_that_are_no_pairs(records, part, db):
    with refused(RecordError, part, "('cat', 'animal')", db=db):
        db.update(records)


def test_an_error_of_the_caller_while_records_are_read_writes_nothing(db):
    def records():
        yield "new", 1
        raise LookupError("of the caller")

    with pytest.raises(LookupError):
        db.update(records())
    assert dict(db) == RECORDS


def test_an_error_of_the_caller_while_keys_are_encoded_writes_nothing(db):
    def progress(done, total):
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        db.update({f"new {i}": i for i in range(600)}, progress=progress)
    assert dict(db) == RECORDS


# ── vectors ──────────────────────────────────────────────────────────────────────────────────

BAD_VECTORS = {
    "nan": ([np.nan, 1.0], "nan at position 0"),
    "inf": ([1.0, np.inf], "inf at position 1"),
    "both infinities": ([-np.inf, np.inf], "-inf at position 0"),
    "too large": ([1.0, 3e38], "below 1e+15"),
    "too large for float32": ([1.0, 1e300], "below 1e+15"),
    "too short": ([1.0], "1 dimensions and this store's vectors have 2"),
    "too long": ([1.0, 2.0, 3.0], "3 dimensions and this store's vectors have 2"),
    "empty": ([], "shape (0,)"),
    "nested": ([[1.0, 2.0]], "shape (1, 2)"),
    "ragged": ([[1.0], [1.0, 2.0]], "not a vector"),
    "text": (["1", "2"], "<U1"),
    "bools": ([True, False], "bool"),
    "complex": ([1j, 2], "complex"),
    "None": ([None, 1.0], "object"),
    "a number": (1.0, "shape ()"),
    "a word": ("ab", "shape ()"),
    "least int": ([-(2**63), 1], "below 1e+15"),
}
bad_vectors = pytest.mark.parametrize(("vector", "part"), BAD_VECTORS.values(), ids=BAD_VECTORS)


@bad_vectors
def test_vectors_that_cannot_be_stored(vector, part, plain):
    with refused(VectorError, part, db=plain):
        plain.put("new", 1, vector=vector)
    with refused(VectorError, part, db=plain):
        plain.put("a", 1, vector=vector)
    with refused(VectorError, part, db=plain):
        plain.update({"new": 1, "other": 2}, vectors=[[1.0, 1.0], vector])


NO_ROWS = ("empty", "nested", "ragged", "a number", "a word")


@pytest.mark.parametrize("name", [name for name in BAD_VECTORS if name not in NO_ROWS])
def test_matrices_that_cannot_be_stored(name, plain):
    vector, part = BAD_VECTORS[name]
    with refused(VectorError, part, db=plain):
        plain.update({"new": 1, "other": 2}, vectors=np.array([vector, vector]))


@pytest.mark.parametrize("value", [3e38, -3e38, 1e15])
def test_a_large_matrix_with_one_entry_too_large(value, plain):
    matrix = np.ones((1000, 2), dtype=np.float32)
    matrix[700, 1] = value
    with refused(VectorError, "position 1", "below 1e+15", db=plain):
        plain.update({f"key {i}": i for i in range(1000)}, vectors=matrix)
    with refused(VectorError, "position 0", "below 1e+15", db=plain):
        plain.update({f"key {i}": i for i in range(1000)}, vectors=np.full_like(matrix, value))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "i4", "u1"])
def test_vectors_of_any_number_type_are_welcome(dtype, plain):
    plain.put("new", 1, vector=np.array([3, 4], dtype=dtype))
    plain.update({"newer": 2}, vectors=np.array([[6, 8]], dtype=dtype))
    for key in ("new", "newer"):
        np.testing.assert_allclose(plain.vector(key), [0.6, 0.8], rtol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("kind", [list, np.array])
def test_as_many_vectors_as_records(count, kind, plain):
    vectors = kind([[1.0, 1.0]] * count) if count else kind(np.ones((0, 2)))
    with refused(VectorError, "2 records", f"{count} vectors", db=plain):
        plain.update({"c": 3, "d": 4}, vectors=vectors)


def test_vectors_for_no_records(plain):
    with refused(VectorError, "0 records", "1 vectors", db=plain):
        plain.update({}, vectors=[[1.0, 1.0]])
    plain.update({}, vectors=[])


@pytest.mark.parametrize("vectors", [5, 2.5, object()])
def test_vectors_that_are_none(vectors, plain):
    with refused(VectorError, type(vectors).__name__, db=plain):
        plain.update({"c": 3}, vectors=vectors)


WITHOUT = {
    "set": lambda db: db.__setitem__("c", 3),
    "put": lambda db: db.put("c", 3),
    "update": lambda db: db.update({"a": 5, "c": 3}),
    "setdefault": lambda db: db.setdefault("c", 3),
}


@pytest.mark.parametrize("write", WITHOUT.values(), ids=WITHOUT)
def test_a_store_without_an_encoder_needs_vectors(write, plain):
    with refused(VectorError, "no encoder", "'c'", "vector=...", db=plain):
        write(plain)


@pytest.mark.parametrize("ask", ["query", "attend", "search"])
def test_a_store_without_an_encoder_is_asked_with_vectors(ask, plain):
    with refused(VectorError, "no encoder", "'what'", "a vector of 2 numbers", db=plain):
        getattr(plain, ask)("what")


QUERY_VECTORS = {
    name: (np.array(vector), part)
    for name, (vector, part) in BAD_VECTORS.items()
    if name not in ("nested", "ragged")
}


@pytest.mark.parametrize(("vector", "part"), QUERY_VECTORS.values(), ids=QUERY_VECTORS)
@pytest.mark.parametrize("ask", ["query", "attend", "search"])
def test_query_vectors_that_cannot_be_asked(ask, vector, part, plain):
    with refused(VectorError, part, "a query", db=plain):
        getattr(plain, ask)(vector)
    if ask != "query" and vector.ndim == 1:
        with refused(VectorError, "a query", db=plain):
            getattr(plain, ask)([np.ones(2), vector])


# ── options ──────────────────────────────────────────────────────────────────────────────────

OPTIONS = {
    "temperature": [-1, -0.001, float("nan"), "hot", None, [1.0], 1j],
    "imagination": [-0.1, 1.1, float("nan"), "lots", None],
    "null": [float("nan"), "low"],
    "head": ["copy", "", None, 1, ["blend"]],
    "metric": ["manhattan", "", None, 1, ["dot"]],
    "decoding": ["dot", "", None],
    "durability": ["none", "", None, 2],
    "timeout": ["long", None, -1, float("nan")],
}
options = pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in OPTIONS.items() for value in values]
)


@options
def test_options_that_no_store_can_have(name, value, path):
    with refused(InputError, name, repr(value)):
        Database(RECORDS, path=path, encoder="hashing", lexicon=None, **{name: value})
    # Nothing was begun that another attempt would trip over.
    with Database(RECORDS, path=path, encoder="hashing", lexicon=None) as db:
        assert dict(db) == RECORDS


CALLS = {
    "attend, temperature": ("attend", "temperature", OPTIONS["temperature"][:4], "dog"),
    "attend, temperature, of a stored key": ("attend", "temperature", [-1, "hot"], "cat"),
    "attend, top_k": ("attend", "top_k", [0, -1, 2.5, "3", float("nan")], "dog"),
    "attend, head": ("attend", "head", ["copy", "", 1], "dog"),
    "attend, head, of a stored key": ("attend", "head", ["copy"], "cat"),
    "search, k": ("search", "k", [0, -1, 2.5, "3", None, float("nan")], "dog"),
    "attend, n": ("attend", "n", [-1, 2.5, "3", float("nan")], "dog"),
    "query, n": ("query", "n", [-1, 2.5, "3", None, float("nan")], "dog"),
}


@pytest.mark.parametrize(
    ("method", "option", "value", "query"),
    [(m, option, value, q) for m, option, values, q in CALLS.values() for value in values],
)
def test_options_that_no_question_can_have(method, option, value, query, db):
    with refused(InputError, option, repr(value), db=db):
        getattr(db, method)(query, **{option: value})


@pytest.mark.parametrize(
    "ask",
    [
        lambda db, k: db.search("dog", k=k),
        lambda db, k: db.attend("dog", top_k=k).weights,
        lambda db, k: db.query("one cat list", n=k),
    ],
)
def test_more_than_there_is_gives_all_there_is(ask, db):
    assert len(ask(db, 10**12)) == len(RECORDS)


def test_the_relation_head_needs_words_and_a_lexicon(db):
    with refused(InputError, "lexicon", db=db):
        db.attend("dog", head="relation")
    with refused(InputError, "text", db=db):
        db.attend(np.ones(256), head="relation")


@pytest.mark.parametrize("lexicon", ["klingon", 5, ["a", "b"]])
def test_an_unknown_lexicon(lexicon):
    with refused(InputError, "lexicon", repr(lexicon)):
        Database(RECORDS, encoder="hashing", lexicon=lexicon).attend("dog")


# ── encoders ─────────────────────────────────────────────────────────────────────────────────

NAMES = {
    "unknown": ("word2vec", "'word2vec'", "'glove'"),
    "empty": ("", "''", "'glove'"),
    "one head of two": ("glove+word2vec", "'word2vec'", "'glove+use+transformer'"),
    "half a head": ("hashing+", "''", "'hashing'"),
    "a weight": ("hashing:much+glove:1", "'much'", "number"),
    "a weight below 0": ("hashing:-1+glove:1", "-1", "above 0"),
    "a weight of nan": ("hashing:nan+glove:1", "nan", "above 0"),
    "a number": (5, "int", "encode(list of texts)"),
    "an object": (object(), "object", "encode(list of texts)"),
    "no method": (type("Odd", (), {"encode": 5})(), "Odd", "encode(list of texts)"),
}


@pytest.mark.parametrize(("encoder", "given", "wanted"), NAMES.values(), ids=NAMES)
def test_encoders_that_there_are_not(encoder, given, wanted, path):
    with refused(EncoderError, given, wanted):
        Database(RECORDS, path=path, encoder=encoder, lexicon=None)
    with Database(RECORDS, path=path, encoder="hashing", lexicon=None) as db:
        assert dict(db) == RECORDS


class Misbehaving:
    """Encodes well until it is told how to misbehave."""

    fingerprint = "misbehaving"

    def __init__(self) -> None:
        self.encode = self.well

    @staticmethod
    def well(texts):
        return HashingEncoder(8).encode(list(texts))


ENCODE = {
    "a vector": (np.ones, "shape"),
    "three dimensions": (lambda n: np.ones((n, 8, 1)), "shape"),
    "too many": (lambda n: np.ones((n + 1, 8)), "shape"),
    "too few": (lambda n: np.ones((n - 1, 8)), "shape"),
    "no columns": (lambda n: np.ones((n, 0)), "shape"),
    "None": (lambda n: None, "shape"),
    "a list of None": (lambda n: [None] * n, "shape"),
    "ragged": (lambda n: [[1.0] * (i + 1) for i in range(n + 1)], "array"),
    "text": (lambda n: np.full((n, 8), "a"), "<U1"),
    "complex": (lambda n: np.full((n, 8), 1j), "complex"),
    "objects": (lambda n: np.full((n, 8), None), "object"),
    "nan": (lambda n: np.full((n, 8), np.nan), "NaN or infinity"),
    "inf": (lambda n: np.full((n, 8), np.inf), "NaN or infinity"),
    "too large for float32": (lambda n: np.full((n, 8), 1e300), "NaN or infinity"),
}
encode = pytest.mark.parametrize(("rows", "part"), ENCODE.values(), ids=ENCODE)


@encode
def test_an_encoder_that_misbehaves_with_keys(rows, part):
    encoder = Misbehaving()
    db = Database(RECORDS, encoder=encoder, lexicon=None)
    encoder.encode = lambda texts: rows(len(texts))
    with refused(EncoderError, part, "Misbehaving", db=db):
        db["new"] = 1
    with refused(EncoderError, part, "Misbehaving", db=db):
        db.update({"cat": 5, "new": 1, "newer": 2})
    with refused(EncoderError, part, "Misbehaving"):
        Database(RECORDS, encoder=encoder, lexicon=None)
    encoder.encode = encoder.well
    db["new"] = 1
    assert len(db.search("x", k=10)) == 4


@encode
@pytest.mark.parametrize("ask", ["query", "attend", "search"])
def test_an_encoder_that_misbehaves_with_queries(ask, rows, part):
    encoder = Misbehaving()
    db = Database(RECORDS, encoder=encoder, lexicon=None)
    encoder.encode_queries = lambda texts: rows(len(texts))
    with refused(EncoderError, part, "Misbehaving", db=db):
        getattr(db, ask)("dog")
    if ask != "query":
        with refused(EncoderError, part, "Misbehaving", db=db):
            getattr(db, ask)(["dog", "cow"])


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("large", [2e15, 3e38])
def test_an_encoder_whose_vectors_are_too_large(metric, large):
    encoder = Misbehaving()
    db = Database(RECORDS, encoder=encoder, lexicon=None, metric=metric)
    encoder.encode = lambda texts: np.full((len(texts), 8), large, dtype=np.float32)
    with contextlib.suppress(EncoderError):  # to refuse it is fine; to scale it is fine too
        db["new"] = 1
    encoder.encode = encoder.well
    answer = db.attend("dog")
    total = sum(weight.weight for weight in answer.weights) + answer.rest + answer.null
    assert total == pytest.approx(1, abs=1e-5)


def test_an_encoder_that_changes_its_mind():
    encoder = Misbehaving()
    db = Database(RECORDS, encoder=encoder, lexicon=None)
    encoder.encode = lambda texts: np.ones((len(texts), 5))
    with refused((VectorError, EncoderError), "5", "8", db=db):
        db["new"] = 1
    for ask in (db.search, db.attend, db.query):
        with refused((VectorError, EncoderError), "5", "8", db=db):
            ask("dog")


def test_an_encoder_that_changes_its_mind_between_batches(path):
    encoder, sizes = Misbehaving(), iter(range(2, 100))
    encoder.encode = lambda texts: np.ones((len(texts), next(sizes)))
    with refused(EncoderError, "Misbehaving"):
        Database({f"key {i}": i for i in range(1000)}, path=path, encoder=encoder, lexicon=None)
    encoder.encode = encoder.well
    with Database(path=path, encoder=encoder, lexicon=None) as db:
        assert len(db) == 0


def test_an_error_of_the_encoder_is_the_callers_to_see(db):
    encoder = Misbehaving()
    db = Database(RECORDS, encoder=encoder, lexicon=None)

    def fall(texts):
        raise ConnectionError("the model is away")

    encoder.encode = fall
    for call in (lambda: db.put("new", 1), lambda: db.attend("dog"), lambda: db.search("dog")):
        with pytest.raises(ConnectionError, match="the model is away"):
            call()
    assert dict(db) == RECORDS


# ── the encoder of a file ────────────────────────────────────────────────────────────────────


def mending(message: str) -> dict:
    """Arguments of the ``Database(path=..., encoder=...)`` that the message gives."""
    line = re.search(r"Database\(path='[^']*', encoder=(?:None|'[^']*')\)", message)
    assert line, message
    call = ast.parse(line[0], mode="eval").body
    return {word.arg: ast.literal_eval(word.value) for word in call.keywords}


@pytest.mark.parametrize("given", [None, "glove", HashingEncoder(64)], ids=str)
def test_a_file_of_another_encoder_is_refused_with_the_line_that_mends_it(given, path):
    with Database(RECORDS, path=path, encoder="hashing", lexicon=None):
        pass
    before = path.read_bytes()
    with pytest.raises(EncoderMismatch, match="do not compare") as caught:
        Database(path=path, encoder=given, lexicon=None)
    assert path.read_bytes() == before
    assert "'hashing'" in str(caught.value)
    with Database(**mending(str(caught.value)), lexicon=None) as db:
        assert dict(db) == RECORDS


def test_a_file_without_an_encoder_is_refused_one(path):
    with Database(path=path, encoder=None, lexicon=None) as db:
        db.put("a", 1, vector=[1.0, 0.0])
    with pytest.raises(EncoderMismatch, match="vectors of its user's") as caught:
        Database(path=path, encoder="hashing", lexicon=None)
    with Database(**mending(str(caught.value)), lexicon=None) as db:
        assert dict(db) == {"a": 1}
    with Database(path=path, lexicon=None) as db:
        assert db.encoder is None


def test_a_file_of_an_encoder_of_ones_own_asks_for_it(path):
    with Database(RECORDS, path=path, encoder=Misbehaving(), lexicon=None):
        pass
    for given in ({}, {"encoder": "hashing"}):
        with refused(EncoderMismatch, str(path)):
            Database(path=path, lexicon=None, **given)
    with Database(path=path, encoder=Misbehaving(), lexicon=None) as db:
        assert dict(db) == RECORDS


def test_a_file_of_another_metric(path):
    with Database(RECORDS, path=path, encoder="hashing", lexicon=None, metric="dot"):
        pass
    with refused(InputError, "'dot'", "metric=", str(path)):
        Database(path=path, lexicon=None, metric="cosine")
    with Database(path=path, lexicon=None) as db:
        assert db.metric == "dot"


# ── files ────────────────────────────────────────────────────────────────────────────────────


def open_store(path):
    return Database(path=path, encoder="hashing", lexicon=None)


@pytest.fixture
def file(path):
    """A closed store of 60 records."""
    records = {f"key {i}": f"value {i % 7}" for i in range(60)}
    with Database(records, path=path, encoder="hashing", lexicon=None):
        pass
    return path


def test_a_directory(tmp_path):
    with refused(NotADatabase, str(tmp_path), "directory", "store.qkv"):
        open_store(tmp_path)
    with refused(NotADatabase, "directory"):
        open_store("")


def test_a_missing_directory(tmp_path):
    path = tmp_path / "nowhere" / "store.qkv"
    with refused(FileError, str(path.parent), "does not exist"):
        open_store(path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_directory(tmp_path):
    (tmp_path / "plain").write_text("x")
    with refused(FileError, str(tmp_path / "plain")):
        open_store(tmp_path / "plain" / "store.qkv")


@pytest.mark.parametrize(
    "content",
    [b"key,value\ncat,animal\n", b"x", b"\0" * 5000, b"PK\x03\x04" * 100, "é" * 9],
    ids=["csv", "a letter", "zeros", "zip", "text"],
)
def test_a_file_that_is_no_database(content, path):
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(content)
    with refused(NotADatabase, str(path), "qkv import STORE"):
        open_store(path)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("log", ["delete", "wal"])
def test_the_file_of_another_program(log, path):
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {log}")
    connection.execute("CREATE TABLE songs (name TEXT)")
    connection.execute("INSERT INTO songs VALUES ('a song')")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with refused(NotADatabase, str(path), "another program"):
        open_store(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_file_is_a_store_to_begin(path):
    path.touch()
    with open_store(path) as db:
        db["a"] = 1
    with open_store(path) as db:
        assert dict(db) == {"a": 1}


def test_a_newer_format(file):
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = file.read_bytes()
    with refused(NewerFormat, str(file), "999", "pip install -U qkv"):
        open_store(file)
    assert file.read_bytes() == before


CUTS = {
    "1 byte": lambda size: 1,
    "10 bytes": lambda size: 10,
    "16 bytes": lambda size: 16,
    "20 bytes": lambda size: 20,
    "30 bytes": lambda size: 30,
    "50 bytes": lambda size: 50,
    "100 bytes": lambda size: 100,
    "1000 bytes": lambda size: 1000,
    "one page": lambda size: 4096,
    "half": lambda size: size // 2,
    "all but one page": lambda size: size - 4096,
    "all but one byte": lambda size: size - 1,
}


@pytest.mark.parametrize("length", CUTS.values(), ids=CUTS)
def test_a_file_that_was_cut_short(length, file):
    os.truncate(file, length(file.stat().st_size))
    before = file.read_bytes()
    for _ in range(2):
        with refused(CorruptFile, str(file), "cut short", "restore it from a copy"):
            open_store(file)
    assert file.read_bytes() == before


def pages(path) -> tuple[int, int]:
    """Page size of an SQLite file, and its number of pages."""
    size = int.from_bytes(path.read_bytes()[16:18], "big")
    return size, path.stat().st_size // size


READS = {
    "items": lambda db: list(db.items()),
    "reversed": lambda db: list(reversed(db)),
    "get": lambda db: [db.get(f"key {i}") for i in range(60)],
    "vectors": lambda db: [db.vector(f"key {i}").tolist() for i in range(60)],
    "search": lambda db: db.search("a key", k=100),
    "attend": lambda db: db.attend("a key").weights,
}


def test_a_page_of_zeros_is_said_or_makes_no_difference(file):
    size, count = pages(file)
    good = file.read_bytes()
    with open_store(file) as db:
        expected = {name: read(db) for name, read in READS.items()}
    noticed = 0
    for page in range(1, count):
        file.write_bytes(good[: page * size] + bytes(size) + good[(page + 1) * size :])
        try:
            with open_store(file) as db:
                for name, read in READS.items():
                    try:
                        assert read(db) == expected[name], f"{name}, page {page + 1}"
                    except CorruptFile as error:
                        assert "overwritten" in str(error)  # noqa: PT017
                        assert "restore it from a copy" in str(error)  # noqa: PT017
                        noticed += 1
        except CorruptFile as error:
            assert "restore it from a copy" in str(error)  # noqa: PT017
            noticed += 1
    assert noticed >= count - 1


@pytest.mark.parametrize("write", [lambda db: db.put("key 5", "new"), lambda db: db.clear()])
def test_writing_where_every_page_but_the_first_is_zeros(write, file):
    size, count = pages(file)
    file.write_bytes(file.read_bytes()[:size] + bytes(size * (count - 1)))
    with refused(CorruptFile, str(file)):
        write(open_store(file))


DAMAGE = {
    "a vector is missing": "DELETE FROM vectors WHERE id = 3",
    "a record is missing": "DELETE FROM records WHERE id = 3",
    "a vector is too short": "UPDATE vectors SET vector = zeroblob(4) WHERE id = 3",
    "a vector is not of numbers": "UPDATE vectors SET vector = x'00' WHERE id = 3",
    "too many are counted": "UPDATE clock SET count = 100",
    "too few are counted": "UPDATE clock SET count = 10",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("ask", ["query", "attend", "search"])
def test_tables_that_do_not_match(ask, damage, file):
    connection = sqlite3.connect(file)
    connection.execute(damage)
    connection.commit()
    connection.close()
    with open_store(file) as db, refused(CorruptFile, "restore it from a copy"):
        getattr(db, ask)("a key")


# ── files that cannot be written ─────────────────────────────────────────────────────────────

UNPRIVILEGED = """
import os, sys, tempfile
path = sys.argv[1]
from qkv import Database
from qkv.errors import ReadOnlyFile
# Whatever is imported late is imported now: the other user may not be let near the interpreter.
with (
    tempfile.TemporaryDirectory() as folder,
    Database({"a": 1}, path=folder + "/store.qkv", encoder="hashing", lexicon=None) as db,
):
    db.attend("b"), db.search("b")
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)

def refused(write):
    before = dict(db)
    try:
        write()
    except ReadOnlyFile as error:
        assert "cannot be written" in str(error), error
        assert path in str(error), error
    else:
        raise AssertionError("this was written")
    assert dict(db) == before and len(db) == len(before)

"""


def unprivileged(spawn, path, code: str) -> None:
    """Run code to its end, as a user who may read the file and no more."""
    _, err = spawn(UNPRIVILEGED + code, path).communicate(timeout=60)
    assert err == ""


@pytest.fixture
def public():
    """A store in a directory that others may read and not write."""
    folder = Path(tempfile.mkdtemp())
    path = folder / "store.qkv"
    records = {f"key {i}": i for i in range(50)}
    with Database(records, path=path, encoder="hashing", lexicon=None):
        pass
    mine = os.getuid() != 0  # without another user to be, this one gives up the right to write
    folder.chmod(0o555 if mine else 0o755)
    path.chmod(0o444 if mine else 0o644)
    yield path
    folder.chmod(0o755)
    shutil.rmtree(folder)


READ_ONLY = """
db = Database(path=path, lexicon=None)
assert len(db) == 50 and db["key 7"] == 7 and db.get("nobody") is None
assert list(db)[-1] == "key 49" == next(reversed(db))
assert len(db.search("a key", k=100)) == 50
assert db.attend("a key").origin != "nothing" and db.query("a key")
assert db.setdefault("key 7", 8) == 7
db.update({})
refused(lambda: db.put("new", 1))
refused(lambda: db.update({"key 1": 2, "new": 3}))
refused(lambda: db.setdefault("new", 1))
refused(lambda: db.pop("key 1"))
refused(lambda: db.__delitem__("key 1"))
refused(db.popitem)
refused(db.clear)
questions = [(f"a key {i}", f"key {i}" if i % 2 else None) for i in range(40)]
refused(lambda: db.calibrate(questions=questions))
db.close()
"""


@pytest.mark.parametrize("which", ["file and directory", "file"])
def test_a_file_that_may_be_read_only(which, public, spawn):
    if which == "file":
        public.parent.chmod(0o777)
        public.chmod(0o444)
    before = public.read_bytes()
    unprivileged(spawn, public, READ_ONLY)
    assert public.read_bytes() == before
    assert list(public.parent.iterdir()) == [public]


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs two users")
@pytest.mark.parametrize("writing", [True, False])
def test_one_who_may_only_read_sees_what_others_write(writing, public, spawn):
    """Whether the writer has the file open before the reader comes, or not."""
    writer = Database(path=public, lexicon=None) if writing else None
    if writer:
        writer["before"] = -1
    code = """
db = Database(path=path, lexicon=None)
print(len(db), len(db.search("a key", k=5000)), flush=True)
sys.stdin.readline()
print(len(db), len(dict(db)), len(db.search("a key", k=5000)), "more 5" in db, flush=True)
refused(lambda: db.put("new", 1))
"""
    reader = spawn(UNPRIVILEGED + code, public)
    count = 50 + bool(writing)
    assert reader.stdout.readline().split() == [str(count)] * 2
    with contextlib.closing(writer or Database(path=public, lexicon=None)) as writer:
        writer.update({f"more {i}": i for i in range(1000)})
        for i in range(20):
            del writer[f"key {i}"]
    out, err = reader.communicate("go\n", timeout=60)
    assert err == ""
    assert out.split() == [str(count + 980)] * 3 + ["True"]


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs two users")
def test_a_directory_in_which_nothing_may_begin(public, spawn):
    code = """
try:
    Database(path=path + "-new", encoder="hashing", lexicon=None)
except ReadOnlyFile as error:
    assert "cannot be written" in str(error), error
else:
    raise AssertionError("begun")
"""
    unprivileged(spawn, public, code)


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs two users")
def test_a_file_that_may_not_even_be_read(public, spawn):
    public.chmod(0o600)
    code = """
from qkv.errors import FileError
try:
    Database(path=path, encoder="hashing", lexicon=None)
except FileError as error:
    assert "cannot be read" in str(error), error
else:
    raise AssertionError("read")
"""
    unprivileged(spawn, public, code)


# ── a full disk ──────────────────────────────────────────────────────────────────────────────

TOO_MUCH = {
    "put": lambda db: db.put("big", "y" * 200_000),
    "overwrite": lambda db: db.put("cat", "y" * 200_000),
    "update": lambda db: db.update({f"more {i}": "z" * 500 for i in range(300)}),
    "setdefault": lambda db: db.setdefault("big", "y" * 200_000),
}


@pytest.mark.parametrize("write", TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_full_disk(write, db):
    connection = db._tables._sql()
    (count,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {count}")
    for _ in range(2):
        with refused(DiskFull, "no room left", "nothing of this call was written", db=db):
            write(db)
    connection.execute("PRAGMA max_page_count = 1073741823")
    write(db)
    assert len(db) == len(list(db)) == len(db.search("x", k=1000))
    assert db._tables.all("PRAGMA integrity_check") == [("ok",)]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not mount or subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path):
    """Take all the room that is left."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    with contextlib.suppress(OSError):
        while True:
            os.write(file, bytes(512))
    os.close(file)


def test_a_disk_that_is_really_full(small_disk):
    path, other = small_disk / "store.qkv", small_disk / "other"
    other.write_bytes(bytes(200_000))
    db = open_store(path)
    kept = {}
    with contextlib.suppress(DiskFull):
        for i in range(10_000):
            db[f"key {i}"] = "x" * 1000
            kept[f"key {i}"] = "x" * 1000
    assert 5 < len(kept) < 10_000
    for _ in range(2):
        with refused(DiskFull, "no room left", db=db):
            db["more"] = "y" * 5000
        assert dict(db) == kept
    db.close()
    fill(other)
    with open_store(path) as db:
        with refused(DiskFull, "no room left", db=db):
            db["more"] = "y" * 5000
        assert dict(db) == kept
    other.unlink()
    with open_store(path) as db:
        assert dict(db) == kept
        db["more"] = "y" * 5000
        assert len(db.search("key", k=10_000)) == len(kept) + 1
        assert db._tables.all("PRAGMA integrity_check") == [("ok",)]


def test_a_store_cannot_begin_on_a_full_disk(small_disk):
    fill(small_disk / "other")
    path = small_disk / "store.qkv"
    with refused(DiskFull, "no room left", str(path)):
        open_store(path)["a"] = 1
    (small_disk / "other").unlink()
    with open_store(path) as db:
        db["a"] = 1
        assert dict(db) == {"a": 1}


# ── after close ──────────────────────────────────────────────────────────────────────────────

USES = {
    "len": len,
    "iter": list,
    "reversed": lambda db: list(reversed(db)),
    "items": lambda db: list(db.items()),
    "values": lambda db: list(db.values()),
    "in": lambda db: "cat" in db,
    "[]": lambda db: db["cat"],
    "get": lambda db: db.get("cat"),
    "vector": lambda db: db.vector("cat"),
    "set": lambda db: db.put("cat", 1),
    "del": lambda db: db.__delitem__("cat"),
    "pop": lambda db: db.pop("cat", None),
    "popitem": lambda db: db.popitem(),
    "setdefault": lambda db: db.setdefault("cat", 1),
    "update": lambda db: db.update({"cat": 1}),
    "clear": lambda db: db.clear(),
    "==": lambda db: db == {"cat": 1},
    "|": lambda db: db | {},
    "bool": bool,
    "query": lambda db: db.query("dog"),
    "attend": lambda db: db.attend("dog"),
    "attend with a vector": lambda db: db.attend(np.ones(256)),
    "search": lambda db: db.search("dog"),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_use_after_close(use, db):
    db.attend("dog")
    db.close()
    with refused(Closed, "closed", "qkv.Database(path="):
        use(db)
    db.close()
    assert "closed" in repr(db)


def test_a_with_block_closes_after_an_error(path):
    with contextlib.suppress(LookupError), open_store(path) as db:
        db["a"] = 1
        raise LookupError
    with pytest.raises(Closed):
        db["a"]
    with open_store(path) as db:
        assert dict(db) == {"a": 1}


def test_every_error_can_be_caught_as_pythons_own():
    db = Database(encoder="hashing", lexicon=None)
    with pytest.raises(ValueError, match="empty"):
        db[""] = 1
    with pytest.raises(TypeError, match="text"):
        db[5] = 1
    db.close()
    with pytest.raises(OSError, match="closed"):
        db["a"] = 1


def test_no_error_of_a_closed_interpreter():
    """A store that nobody closed ends quietly."""
    code = "import qkv; db = qkv.Database({'a': 1}, encoder='hashing'); db.search('b')"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
