"""Tables: the clock, what changed since, migrations, and who is writing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from qkv import Database
from qkv.errors import NewerFormat, NotADatabase
from qkv.tables import Tables
from qkv.tables.statements import APPLICATION_ID, MIGRATIONS


def put(tables, *keys, value="v", vector=b"1234"):
    tables.put(keys, [("text", value)] * len(keys), [vector] * len(keys), lambda _: [])


def since(tables, version):
    with tables.changes(version) as changes:
        batches = list(changes.changed)
    ids = [id for batch in batches for id in batch.ids]
    vectors = [vector for batch in batches for vector in batch.vectors]
    return changes.anew, ids, vectors, changes.deleted


def test_the_clock_ticks_once_a_transaction():
    tables = Tables(None)
    start = tables.version()
    put(tables, "a", "b", "c")
    assert tables.version() == start + 1
    tables.pop("a")
    assert tables.version() == start + 2
    tables.pop("not there")
    assert len(tables) == 2


def test_what_is_newer_than_a_version_is_exactly_what_changed():
    tables = Tables(None)
    put(tables, "a", "b", "c")
    then = tables.version()
    put(tables, "b", value="new", vector=None)
    put(tables, "d")
    tables.pop("a")
    anew, ids, vectors, deleted = since(tables, then)
    newest = tables.one("SELECT max(id) FROM records")[0]
    assert (anew, ids, deleted) == (False, [2, newest], [1])
    assert vectors == [None, b"1234"]
    assert since(tables, tables.version()) == (False, [], [], [])
    assert since(tables, None)[:2] == (True, [2, 3, newest])


def test_clearing_makes_every_older_reader_start_anew():
    tables = Tables(None)
    put(tables, "a")
    then = tables.version()
    tables.clear()
    put(tables, "b")
    anew, ids, _, _ = since(tables, then)
    assert (anew, ids) == (True, [2])
    assert len(tables) == 1


def test_ids_are_never_used_again():
    tables = Tables(None)
    put(tables, "a", "b")
    tables.pop("b")
    put(tables, "b")
    assert [row[0] for page in tables.pages() for row in page] == [1, 3]


def test_the_count_is_the_count_whatever_happens():
    tables = Tables(None)
    put(tables, "a", "b", "a")
    put(tables, "b", "c")
    tables.put(["c", "d"], [("text", "x")] * 2, [None, b"1"], lambda _: [], replace=False)
    tables.pop_last()
    assert len(tables) == tables.one("SELECT count(*) FROM records")[0] == 3


def test_a_failed_transaction_leaves_nothing():
    tables = Tables(None)
    put(tables, "a")
    version = tables.version()

    def fail(keys):
        raise RuntimeError(f"no vectors for {keys}")

    with pytest.raises(RuntimeError, match="no vectors"):
        tables.put(["b"], [("text", "x")], [None], fail)
    assert [row[1] for page in tables.pages() for row in page] == ["a"]
    assert tables.version() == version


def test_vectors_that_went_missing_are_made_in_the_transaction():
    tables = Tables(None)
    tables.put(["b"], [("text", "x")], [None], lambda keys: [key.encode() for key in keys])
    assert since(tables, None)[2] == [b"b"]


def test_pages_walk_stores_larger_than_a_page():
    tables = Tables(None)
    put(tables, *[f"{i:04}" for i in range(2500)])
    forward = [row[1] for page in tables.pages() for row in page]
    backward = [row[1] for page in tables.pages_back() for row in page]
    assert forward == backward[::-1] == [f"{i:04}" for i in range(2500)]


def test_a_file_says_what_it_is(tmp_path):
    path = tmp_path / "s.qkv"
    Tables(path).close()
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert file.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    file.close()


def test_the_page_of_the_format_is_of_this_version():
    page = Path(__file__).parents[1] / "docs" / "file-format.md"
    assert page.read_text(encoding="utf-8").startswith(f"# File format, version {len(MIGRATIONS)}")


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_files_of_every_older_version_are_brought_up(tmp_path, version):
    path = tmp_path / "s.qkv"
    with sqlite3.connect(path) as file:
        for step in MIGRATIONS[:version]:
            file.executescript(step)
        file.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        file.execute(f"PRAGMA user_version = {version}")
        file.execute("INSERT INTO records (key, kind, value, version) VALUES ('a', 'text', 'b', 1)")
        file.execute("INSERT INTO vectors VALUES (1, x'0000803F', 1)")
        file.execute("UPDATE clock SET version = 1, count = 1")
    file.close()
    with Database(path=path, encoder=None) as db:
        assert dict(db) == {"a": "b"}
        assert [m.key for m in db.search("b", mode="keyword")] == ["a"]
        assert db.metadata("a") == {}


def test_an_empty_file_becomes_a_store(tmp_path):
    path = tmp_path / "s.qkv"
    path.touch()
    tables = Tables(path)
    put(tables, "a")
    assert len(tables) == 1


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (f"PRAGMA user_version = {len(MIGRATIONS) + 1}", NewerFormat),
        ("PRAGMA application_id = 7", NotADatabase),
    ],
)
def test_files_of_the_future_and_of_others_are_left_alone(tmp_path, statement, error):
    path = tmp_path / "s.qkv"
    tables = Tables(path)
    put(tables, "a")
    tables.close()
    file = sqlite3.connect(path)
    file.execute(statement)
    file.close()
    before = path.read_bytes()
    with pytest.raises(error):
        Tables(path)
    assert path.read_bytes() == before
