"""What was encoded once is not encoded again: after an interruption, a crash, a lost file."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from contextlib import closing

import numpy as np
import pytest

from qkv import Database
from qkv.encoders import CachedEncoder, HashingEncoder, HeadsEncoder, costly, resolve
from qkv.encoders import cached as module
from qkv.errors import EncoderError, NotADatabase

TEXTS = [f"text number {i}" for i in range(1000)]


class Counting:
    """Hashing, at a price: counts what it encodes, and can be made to fail."""

    costly = True
    fingerprint = "counting-1"

    def __init__(self, fail_after=None):
        self.texts = []
        self.fail_after = fail_after

    def encode(self, texts):
        if self.fail_after is not None and len(self.texts) + len(texts) > self.fail_after:
            raise ConnectionError("the line is dead")
        self.texts += texts
        return HashingEncoder(32).encode(texts)


class TwoTowers(Counting):
    def encode_queries(self, texts):
        return -self.encode(texts)


@pytest.fixture
def kept(path):
    """Where a store keeps the work of an interrupted update."""
    return path.with_name(f"{path.name}-index") / "encodings.sqlite"


def rows(file):
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT count(*) FROM vectors").fetchone()[0]


class TestCachedEncoder:
    def test_encodes_a_text_once(self, path):
        inner = Counting()
        cached = CachedEncoder(inner, path)
        first = cached.encode(["a", "b", "a"])
        np.testing.assert_array_equal(first, HashingEncoder(32).encode(["a", "b", "a"]))
        np.testing.assert_array_equal(
            cached.encode(["b", "c"]), HashingEncoder(32).encode(["b", "c"])
        )
        np.testing.assert_array_equal(CachedEncoder(inner, path).encode(["a"]), first[:1])
        assert inner.texts == ["a", "b", "c"]

    def test_sides_are_apart_where_the_encoder_tells_them_apart(self, path, tmp_path):
        towers = CachedEncoder(TwoTowers(), path)
        np.testing.assert_array_equal(towers.encode_queries(["a"]), -towers.encode(["a"]))
        single = Counting()
        cached = CachedEncoder(single, tmp_path / "other")
        np.testing.assert_array_equal(cached.encode_queries(["a"]), cached.encode(["a"]))
        assert single.texts == ["a"]

    def test_fingerprints_share_a_file_and_no_vectors(self, path):
        other = Counting()
        other.fingerprint = "counting-2"
        for encoder in (Counting(), other):
            CachedEncoder(encoder, path).encode(["a"])
            assert encoder.texts == ["a"]

    def test_another_dimension_under_the_same_fingerprint_is_not_mixed(self, path):
        CachedEncoder(Counting(), path).encode(["a"])

        class Wider(Counting):
            def encode(self, texts):
                return np.hstack([super().encode(texts)] * 2)

        assert CachedEncoder(Wider(), path).encode(["a", "b"]).shape == (2, 64)

    def test_texts_that_differ_in_a_nul_are_different(self, path):
        inner = Counting()
        CachedEncoder(inner, path).encode(["a\0b", "a", "b", "a\0"])
        assert len(inner.texts) == 4

    def test_the_file_may_vanish(self, path):
        cached = CachedEncoder(Counting(), path)
        cached.encode(["a"])
        path.unlink()
        assert cached.encode(["a"]).shape == (1, 32)
        assert rows(path) == 1

    def test_a_vector_that_was_damaged_does_not_count(self, path):
        cached = CachedEncoder(Counting(), path)
        right = cached.encode(["a", "b"])
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE vectors SET vector = zeroblob(128) WHERE rowid = 1")
            connection.execute("UPDATE vectors SET vector = 'text' WHERE rowid = 2")
        np.testing.assert_array_equal(cached.encode(["a", "b"]), right)

    @pytest.mark.parametrize("content", [b"hello\n" * 300, b"SQLite format 3\0" + b"x" * 5000])
    def test_a_file_that_is_none_of_its_own_is_left_alone(self, path, content):
        path.write_bytes(content)
        with pytest.raises(NotADatabase, match="delete it"):
            CachedEncoder(Counting(), path).encode(["a"])
        assert path.read_bytes() == content
        assert CachedEncoder(Counting(), path, disposable=True).encode(["a"]).any()

    def test_another_programs_database_is_left_alone(self, path):
        with Database({"cat": 1}, path=path, encoder="hashing"):
            pass
        with pytest.raises(NotADatabase, match="another program"):
            CachedEncoder(Counting(), path).encode(["a"])
        with Database(path=path) as db:
            assert db["cat"] == 1

    def test_where_nothing_can_be_written_nothing_is_kept(self, tmp_path):
        (tmp_path / "file").touch()
        cached = CachedEncoder(Counting(), tmp_path / "file" / "encodings.sqlite")
        assert cached.encode(["a"]).shape == cached.encode_queries(["a"]).shape == (1, 32)

    def test_old_vectors_are_forgotten(self, path, monkeypatch):
        inner = Counting()
        cached = CachedEncoder(inner, path)
        cached.encode(["old"])
        later = module.time.time() + 31 * 86_400
        monkeypatch.setattr(module.time, "time", lambda: later)
        cached.encode(["new"])
        assert rows(path) == 1
        cached.encode(["old"])
        assert inner.texts == ["old", "new", "old"]

    def test_discarding_the_last_removes_the_file(self, path):
        cached = CachedEncoder(Counting(), path)
        cached.encode(["a", "b"])
        cached.discard(["a"])
        assert rows(path) == 1
        cached.discard(["b", "c"])
        assert not path.exists()
        cached.discard(["b"])
        assert not path.exists()

    def test_an_encoder_that_misbehaves_is_named_and_not_kept(self, path):
        class Broken(Counting):
            def encode(self, texts):
                return np.full((len(texts), 3), np.nan)

        with pytest.raises(EncoderError, match="Broken"):
            CachedEncoder(Broken(), path).encode(["a"])
        assert not path.exists()

    def test_threads_share_it(self, path):
        cached = CachedEncoder(Counting(), path)
        wrong = []

        def work(start):
            for i in range(start, start + 40):
                texts = TEXTS[i : i + 5]
                if not np.array_equal(cached.encode(texts), HashingEncoder(32).encode(texts)):
                    wrong.append(i)

        threads = [threading.Thread(target=work, args=(i * 20,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


class TestStores:
    def test_an_interrupted_update_goes_on_where_it_stopped(self, path, kept):
        records = dict.fromkeys(TEXTS, 0)
        with Database(path=path, encoder=Counting(fail_after=600)) as db:
            with pytest.raises(ConnectionError):
                db.update(records)
            assert len(db) == 0  # all or none
        assert rows(kept) == 512  # two whole batches
        again = Counting()
        seen = []
        with Database(path=path, encoder=again) as db:
            db.update(records, progress=lambda *now: seen.append(now))
            assert again.texts == TEXTS[512:]
            assert len(db) == 1000
            expected = HashingEncoder(32).encode([TEXTS[0], TEXTS[999]])
            got = [db.vector(TEXTS[0]), db.vector(TEXTS[999])]
            np.testing.assert_allclose(got, expected, atol=1e-6)
        assert seen[-1] == (1000, 1000)
        assert sorted(p.name for p in path.parent.iterdir()) == [path.name]

    @pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
    def test_a_killed_process_loses_at_most_a_batch(self, path, kept, spawn):
        process = spawn(
            """
import sys, time
import qkv
from qkv.encoders import HashingEncoder

class Slow:
    costly = True
    fingerprint = "counting-1"
    n = 0
    def encode(self, texts):
        self.n += len(texts)
        if self.n > 600:
            print("now", flush=True)
            time.sleep(60)
        return HashingEncoder(32).encode(texts)

db = qkv.Database(path=sys.argv[1], encoder=Slow())
db.update({f"text number {i}": 0 for i in range(1000)})
""",
            path,
        )
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        again = Counting()
        with Database(path=path, encoder=again) as db:
            db.update(dict.fromkeys(TEXTS, 0))
        assert again.texts == TEXTS[512:]
        assert not kept.parent.exists()

    @pytest.mark.parametrize("damage", ["gone", "folder gone", "garbage", "cut", "a folder"])
    def test_what_is_kept_may_be_lost_at_any_time(self, path, kept, damage):
        with (
            Database(path=path, encoder=Counting(fail_after=600)) as db,
            pytest.raises(ConnectionError),
        ):
            db.update(dict.fromkeys(TEXTS, 0))
        content = kept.read_bytes()
        kept.unlink()
        if damage == "folder gone":
            kept.parent.rmdir()
        elif damage == "garbage":
            kept.write_bytes(np.random.default_rng(0).bytes(len(content)))
        elif damage == "cut":
            kept.write_bytes(content[: len(content) // 2])
        elif damage == "a folder":
            kept.mkdir()
        with Database(path=path, encoder=Counting()) as db:
            db.update(dict.fromkeys(TEXTS, 0))
            expected = HashingEncoder(32).encode(TEXTS)
            got = np.array([db.vector(text) for text in TEXTS])
            np.testing.assert_allclose(got, expected, atol=1e-6)

    def test_only_what_was_stored_is_forgotten(self, path, kept):
        with Database(path=path, encoder=Counting(fail_after=600)) as db:
            with pytest.raises(ConnectionError):
                db.update(dict.fromkeys(TEXTS, 0))
            db.encoder.fail_after = None
            db["another text"] = 1
            db[TEXTS[0]] = 1
            assert rows(kept) == 511
            assert db.encoder.texts[512:] == ["another text"]

    @pytest.mark.parametrize("count", [1, 200])
    def test_single_batches_are_not_kept(self, path, kept, count):
        with Database(path=path, encoder=Counting()) as db:
            db.update(dict.fromkeys(TEXTS[:count], 0))
            assert not kept.parent.exists()

    def test_cheap_encoders_and_stores_in_memory_keep_nothing(self, path, kept):
        class Cheap(Counting):
            costly = False

        with (
            Database(path=path, encoder=Cheap(fail_after=600)) as db,
            pytest.raises(ConnectionError),
        ):
            db.update(dict.fromkeys(TEXTS, 0))
        assert not kept.parent.exists()
        with Database(encoder=Counting()) as db:
            db.update(dict.fromkeys(TEXTS, 0))

    def test_a_folder_that_cannot_be_written_is_no_obstacle(self, path, kept):
        kept.parent.touch()
        with Database(path=path, encoder=Counting()) as db:
            db.update(dict.fromkeys(TEXTS, 0))
            assert len(db) == 1000

    def test_another_encoder_finds_nothing_of_the_first(self, path):
        with (
            Database(path=path, encoder=Counting(fail_after=600)) as db,
            pytest.raises(ConnectionError),
        ):
            db.update(dict.fromkeys(TEXTS, 0))
        other = path.with_name("other.qkv")
        path.with_name(f"{path.name}-index").rename(other.with_name(f"{other.name}-index"))
        second = Counting()
        second.fingerprint = "counting-2"
        with Database(path=other, encoder=second) as db:
            db.update(dict.fromkeys(TEXTS, 0))
        assert second.texts == TEXTS


def test_heads_are_as_costly_as_the_costliest():
    assert costly(resolve("use"))
    assert not costly(resolve("glove+hashing"))
    assert costly(HeadsEncoder([(HashingEncoder(), 1), (Counting(), 1)]))
