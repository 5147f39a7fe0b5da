"""Filters: what passes is what plain Python over the same metadata lets pass."""

from __future__ import annotations

import operator
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkv import Database
from qkv.errors import FilterError, RecordError
from qkv.filters import parse

RECORDS: dict[str, dict[str, Any] | None] = {
    "bears": {"year": 2020, "lang": "en", "tags": ["bear", "woods"], "draft": False},
    "bären": {"year": 2021, "lang": "de", "tags": ["bear"], "draft": True},
    "ours": {"year": 2019.5, "lang": "fr", "author": {"name": "Ann O'Hara"}},
    "osos": {"year": "2020", "lang": None, "page count": 9},
    "nothing": {},
    "bare": None,
}


@pytest.fixture(scope="module")
def db() -> Database:
    db = Database(encoder="hashing")
    db.update({key: key for key in RECORDS}, metadata=RECORDS.values())
    return db


def passing(db: Database, where: Any) -> set[str]:
    return {match.key for match in db.search("osos bears", 10, where=where)}


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("year == 2020", {"bears"}),
        ({"year": 2020}, {"bears"}),
        ("year != 2020", set(RECORDS) - {"bears"}),
        ("year > 2019", {"bears", "bären", "ours"}),
        ("2019 <= year < 2021", {"bears", "ours"}),
        ("2020 < year", {"bären"}),
        ({"year": {">=": 2020, "<": 2021}}, {"bears"}),
        ("year >= '2000'", {"osos"}),
        ("lang in ['en', 'de']", {"bears", "bären"}),
        ({"lang": ["en", "de"]}, {"bears", "bären"}),
        ("lang not in ['en', 'de']", {"ours", "osos", "nothing", "bare"}),
        ("lang in ['en', None]", {"bears", "osos", "nothing", "bare"}),
        ("lang == None", {"osos", "nothing", "bare"}),
        ("lang is not None", {"bears", "bären", "ours"}),
        ("lang in []", set()),
        ("'bear' in tags", {"bears", "bären"}),
        ("'woods' not in tags", set(RECORDS) - {"bears"}),
        ({"tags": {"contains": "woods"}}, {"bears"}),
        ("draft", {"bären"}),
        ("not draft", set(RECORDS) - {"bären"}),
        ("draft == False", {"bears"}),
        ('author.name == "Ann O\'Hara"', {"ours"}),
        ({"author.name": "Ann O'Hara"}, {"ours"}),
        ('field("page count") > 8', {"osos"}),
        ({"page count": {">": 8}}, {"osos"}),
        ("lang == 'en' and year == 2020 or lang == 'fr'", {"bears", "ours"}),
        ("not (lang == 'en' or lang == 'fr')", {"bären", "osos", "nothing", "bare"}),
        ({"or": [{"lang": "en"}, "lang == 'fr'"]}, {"bears", "ours"}),
        ({"and": [{"lang": "en"}, {"year": {"<": 2000}}]}, set()),
        ({"not": {"lang": "en"}}, set(RECORDS) - {"bears"}),
        ({"lang": {"in": ["en"] * 600 + ["fr"]}}, {"bears", "ours"}),
        ({}, set(RECORDS)),
        ('lang == "en\'; DROP TABLE records; --"', set()),
    ],
)
def test_what_passes(db: Database, where: Any, expected: set[str]) -> None:
    assert passing(db, where) == expected
    assert len(db) == len(RECORDS)


@pytest.mark.parametrize(
    "where",
    [
        "year >",
        "",
        "year + 1 == 2",
        "__import__('os').system('x') == 1",
        "year == year2",
        "1 == 1",
        "lambda: 1",
        "year == [1",
        "field(year) == 1",
        "field('a', 'b') == 1",
        "year in 'abc'",
        "year < None",
        "f'{year}' == '1'",
        "(" * 500 + "a" + ")" * 500,
        {"year": {"~": 1}},
        {"or": []},
        {"or": {"a": 1}},
        {'ye"ar': 1},
        {"year'": 1},
        {"ye\nar": 1},
        {"": 1},
        {1: 1},
        {"year": object()},
        {"year": float("nan")},
        42,
        ["year"],
    ],
)
def test_what_cannot_be_read_is_told(db: Database, where: Any) -> None:
    with pytest.raises(FilterError):
        db.search("bears", where=where)


@pytest.mark.parametrize(
    "metadata",
    [
        "text",
        [1],
        {"a.b": 1},
        {1: 2},
        {'"': 1},
        {"a": float("nan")},
        {"a": {1, 2}},
        {"a": "\ud800"},
    ],
)
def test_metadata_that_no_filter_could_ask_for(metadata: Any) -> None:
    db = Database(encoder="hashing")
    with pytest.raises(FilterError):
        db.put("key", 1, metadata=metadata)
    assert len(db) == 0


def test_as_many_metadata_as_records() -> None:
    db = Database(encoder="hashing")
    with pytest.raises(FilterError, match="2 records came with 1 metadata"):
        db.update({"a": 1, "b": 2}, metadata=[{}])
    with pytest.raises(FilterError, match="a list with a mapping for each"):
        db.update({"a": 1}, metadata={"x": 1})


_OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_number = st.one_of(st.integers(-3, 3), st.sampled_from([-0.5, 0.5, 1.5]))
_text = st.sampled_from(["", "a", "b", "B", "ä", "a'b", "世"])
_condition = st.tuples(
    st.sampled_from(["x", "y"]), st.sampled_from(sorted(_OPERATORS)), st.one_of(_number, _text)
)
_tree = st.recursive(
    _condition,
    lambda inner: st.one_of(
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    ),
    max_leaves=5,
)


def written(tree: Any) -> str:
    if tree[0] == "not":
        return f"(not {written(tree[1])})"
    if tree[0] in {"and", "or"}:
        return f"({written(tree[1])} {tree[0]} {written(tree[2])})"
    return f"{tree[0]} {tree[1]} {tree[2]!r}"


def mapped(tree: Any) -> dict[str, Any]:
    if tree[0] == "not":
        return {"not": mapped(tree[1])}
    if tree[0] in {"and", "or"}:
        return {tree[0]: [mapped(tree[1]), mapped(tree[2])]}
    return {tree[0]: {tree[1]: tree[2]}}


def said(tree: Any, metadata: dict[str, Any]) -> bool:
    if tree[0] == "not":
        return not said(tree[1], metadata)
    if tree[0] == "and":
        return said(tree[1], metadata) and said(tree[2], metadata)
    if tree[0] == "or":
        return said(tree[1], metadata) or said(tree[2], metadata)
    name, sign, value = tree
    have = metadata.get(name)
    if sign in {"==", "!="}:
        return bool(_OPERATORS[sign](have, value))
    if have is None or isinstance(have, str) != isinstance(value, str):
        return False
    return bool(_OPERATORS[sign](have, value))


@given(
    _tree,
    st.lists(
        st.dictionaries(st.sampled_from(["x", "y"]), st.one_of(_number, _text, st.none())),
        min_size=1,
        max_size=6,
    ),
)
def test_sql_says_what_python_says(tree: Any, all_metadata: list[dict[str, Any]]) -> None:
    db = Database(encoder=None)
    keys = [str(i) for i in range(len(all_metadata))]
    db.update(((key, 1) for key in keys), vectors=np.ones((len(keys), 1)), metadata=all_metadata)
    expected = {k for k, metadata in zip(keys, all_metadata, strict=True) if said(tree, metadata)}
    for where in (written(tree), mapped(tree)):
        found = db.search(np.ones(1), 10, where=where)
        assert {match.key for match in found} == expected
    db.close()


def test_values_never_become_sql() -> None:
    found = parse({"lang": "x' OR 1=1 --", "tags": {"contains": "');--"}})
    assert "OR" not in found.condition
    assert "x' OR 1=1 --" in found.values
    assert "');--" in found.values


def test_metadata_stays_unless_it_is_given_again() -> None:
    db = Database(encoder="hashing")
    db.put("bear", "animal", metadata={"year": 2020})
    db["bear"] = "predator"
    assert db.metadata("bear") == {"year": 2020}
    assert db.search("bear")[0].metadata == {"year": 2020}
    db.put("bear", "predator", metadata={})
    assert db.metadata("bear") == {}
    with pytest.raises(KeyError):
        db.metadata("absent")
    with pytest.raises(RecordError):
        db.put("bear", object(), metadata={"year": 1})


def test_no_filter_waits_for_a_writer(path: Path) -> None:
    db = Database(path=path, encoder=None, timeout=10_000)
    n = 1200
    about = ({"year": i % 100} for i in range(n))
    db.update(((str(i), i) for i in range(n)), vectors=np.ones((n, 2)), metadata=about)
    db.close()
    db = Database(path=path, encoder=None, timeout=10_000)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert len(db.search(np.ones(2), 50, where="year == 7")) == 12
    writer.execute("ROLLBACK")
    writer.close()
    assert db._tables.one("PRAGMA busy_timeout") == (10_000_000,)
    db.close()


def test_fields_of_large_stores_get_an_index() -> None:
    db = Database(encoder=None)
    n = 2000
    db.update(
        ((str(i), i) for i in range(n)),
        vectors=np.ones((n, 2)),
        metadata=({"year": i % 100, "page count": i} for i in range(n)),
    )
    assert len(db.search(np.ones(2), 50, where="year == 7")) == 20
    assert len(db.search(np.ones(2), 50, where={"page count": {"<": 5}})) == 5
    plan = db._tables.all(
        "EXPLAIN QUERY PLAN SELECT id FROM records WHERE " + parse("year == 7").condition, 7
    )
    assert "USING INDEX field_" in str(plan)
