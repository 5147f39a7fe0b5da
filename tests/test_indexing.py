"""Which index a store has: chosen by size, kept beside the file, never in the way."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading

import numpy as np
import pytest

from qkv import Database
from qkv.errors import InputError

N, D = 1500, 16


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    found = rng.standard_normal((N, D)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def fill(db, vectors, start=0):
    names = range(start, start + len(vectors))
    db.update(((f"k{i}", f"v{i % 50}") for i in names), vectors=vectors)
    return db


def settle(db):
    """Wait for the thread that arranges."""
    db.search(np.ones(D, dtype=np.float32))
    db._reader._indexing.wait()
    return db


@pytest.fixture
def small(monkeypatch):
    """Let a small store count as a large one."""
    monkeypatch.setattr("qkv.indexing._RECORDS", 1000)
    monkeypatch.setattr("qkv.indexing._BYTES", 0)


def answers(db, queries):
    return [[(m.key, round(m.score, 5)) for m in db.search(q)] for q in queries]


def test_a_small_store_is_flat(vectors) -> None:  # type: ignore[no-untyped-def]
    db = settle(fill(Database(encoder=None, lexicon=None), vectors))
    assert db.index == "flat"


def test_a_large_store_moves_up_by_itself(vectors, small) -> None:  # type: ignore[no-untyped-def]
    flat = fill(Database(encoder=None, lexicon=None, index="flat"), vectors)
    db = fill(Database(encoder=None, lexicon=None), vectors)
    before = answers(db, vectors[:20])
    settle(db)
    assert db.index in ("quantized", "clustered")
    assert answers(db, vectors[:20]) == before == answers(flat, vectors[:20])
    assert flat.index == "flat"


@pytest.mark.parametrize("kind", ["quantized", "clustered", "hnsw", "ivf"])
def test_it_is_kept_beside_the_file(vectors, kind, tmp_path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip({"quantized": "turbovec", "clustered": "numpy"}.get(kind, "faiss"))
    path = tmp_path / "s.qkv"
    with Database(path=path, encoder=None, lexicon=None, index=kind) as db:
        settle(fill(db, vectors))
        assert db.index == kind
        first = answers(db, vectors[:10])
    (image,) = (tmp_path / "s.qkv-index").iterdir()
    assert image.name.startswith("image-")
    with Database(path=path, encoder=None, lexicon=None, index=kind) as db:
        assert db.index == kind  # at once: nothing was built
        assert db._reader._indexing._running is None
        assert answers(db, vectors[:10]) == first
        db.put("new", "thing", vector=vectors[3])
        del db["k3"]
        assert db.search(vectors[3], 1)[0].key == "new"
        db.put("k4", "other", vector=-vectors[4])
        assert db.search(-vectors[4], 1)[0].key == "k4"
    shutil.rmtree(tmp_path / "s.qkv-index")
    with Database(path=path, encoder=None, lexicon=None, index=kind) as db:
        assert db.search(vectors[3], 1)[0].key == "new"
        assert len(db) == N
        settle(db)
        assert db.index == kind


def test_what_changed_meanwhile_is_caught_up_with(vectors, small, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "s.qkv"
    with Database(path=path, encoder=None, lexicon=None) as db:
        settle(fill(db, vectors))
    with Database(path=path, encoder=None, lexicon=None, index="flat") as db:  # knows no image
        db.update((f"k{i}", "changed") for i in range(0, 100, 2))
        for i in range(1, 100, 2):
            del db[f"k{i}"]
        expected = answers(db, vectors[:30])
        told = [db.attend(q, temperature=0.1).value for q in vectors[:30]]
    with Database(path=path, encoder=None, lexicon=None) as db:
        assert db.index != "flat"
        assert answers(db, vectors[:30]) == expected
        assert [db.attend(q, temperature=0.1).value for q in vectors[:30]] == told


def test_an_older_copy_of_the_file_does_not_take_the_newer_index(vectors, small, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "s.qkv"
    with Database(path=path, encoder=None, lexicon=None) as db:
        settle(fill(db, vectors[:1200]))
    shutil.copy(path, tmp_path / "copy")
    with Database(path=path, encoder=None, lexicon=None) as db:
        settle(fill(db, vectors[1200:], 1200))
        db.compact()
    shutil.copy(tmp_path / "copy", path)
    with Database(path=path, encoder=None, lexicon=None) as db:
        assert len(db) == 1200
        assert db.search(vectors[1300], 1)[0].key != "k1300"
        assert db.index == "flat"
        settle(db)
        assert db.index != "flat"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_without_a_place_to_keep_it_the_index_lives_in_memory(
    vectors, small, tmp_path, monkeypatch, number
) -> None:  # type: ignore[no-untyped-def]
    def refused(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("qkv.derived._written", refused)
    path = tmp_path / "s.qkv"
    with Database(path=path, encoder=None, lexicon=None) as db:
        settle(fill(db, vectors))
        assert db.index != "flat"
        assert [db.search(q, 1)[0].key for q in vectors[:5]] == [f"k{i}" for i in range(5)]
        assert not list((tmp_path / "s.qkv-index").iterdir())
        db.compact()


def test_readers_do_not_wait_while_it_is_arranged(vectors, small, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    import qkv.indexing

    real, gate = qkv.indexing.arranged, threading.Event()

    def slow(*args, **options):
        gate.wait(30)
        return real(*args, **options)

    monkeypatch.setattr(qkv.indexing, "arranged", slow)
    db = fill(Database(encoder=None, lexicon=None), vectors)
    assert db.search(vectors[0], 1)[0].key == "k0"
    db.put("late", "one", vector=vectors[7])
    del db["k7"]
    assert db.index == "flat"
    gate.set()
    settle(db)
    assert db.index != "flat"
    assert db.search(vectors[7], 1)[0].key == "late"


def test_closing_meanwhile_is_no_error(vectors, small, tmp_path) -> None:  # type: ignore[no-untyped-def]
    for _ in range(3):
        db = fill(Database(path=tmp_path / "s.qkv", encoder=None, lexicon=None), vectors)
        db.search(vectors[0])
        thread = db._reader._indexing._running
        db.close()
        if thread is not None:
            thread.join()


def test_many_changes_are_a_reason_to_arrange_again(vectors, small) -> None:  # type: ignore[no-untyped-def]
    db = settle(fill(Database(encoder=None, lexicon=None), vectors[:1000]))
    before = db._reader.snapshot().index
    fill(db, vectors[1000:], 1000)
    settle(db)
    after = db._reader.snapshot().index
    assert len(after) == N
    assert after.drift == 0
    assert after is not before


def test_tolerance_zero_reads_every_key(vectors, small) -> None:  # type: ignore[no-untyped-def]
    db = settle(fill(Database(encoder=None, lexicon=None), vectors))
    flat = fill(Database(encoder=None, lexicon=None, index="flat"), vectors)
    for query in vectors[:5]:
        exact, other = (
            flat.attend(query, temperature=0.1),
            db.attend(query, temperature=0.1, tolerance=0),
        )
        assert other.error == 0
        assert [c.probability for c in other.candidates] == pytest.approx(
            [c.probability for c in exact.candidates], rel=1e-4
        )


def test_an_answer_that_did_not_read_every_key_says_so(vectors, small, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("qkv.indexes.near_far._NEAR_LEAST", 64)
    db = settle(fill(Database(encoder=None, lexicon=None), vectors))
    answer = db.attend(vectors[3] + vectors[4], temperature=0.3)
    assert 0 < answer.error < 1
    assert "not every key was read" in answer.explain()
    closer = db.attend(vectors[3] + vectors[4], temperature=0.3, tolerance=answer.error / 3)
    assert closer.error <= answer.error / 3
    exact = db.attend(vectors[3] + vectors[4], temperature=0.3, tolerance=0)
    assert exact.error == 0
    assert "not every key" not in exact.explain()
    assert sum(w.weight for w in closer.weights) + closer.rest + closer.null == pytest.approx(1)


@pytest.mark.parametrize("tolerance", [-0.1, float("nan"), "1%"])
def test_a_tolerance_is_a_relative_error(vectors, tolerance) -> None:  # type: ignore[no-untyped-def]
    db = fill(Database(encoder=None, lexicon=None), vectors[:10])
    with pytest.raises(InputError, match="tolerance"):
        db.attend(vectors[0], tolerance=tolerance)


def test_an_unknown_index_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InputError, match="'quantized'"):
        Database(index="tree")  # type: ignore[arg-type]


def test_other_metrics_have_the_flat_index() -> None:
    with pytest.raises(InputError, match="cosine"):
        Database(metric="euclidean", index="clustered")
    assert Database(metric="euclidean", encoder=None).index == "flat"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("kind", ["quantized", "clustered", "hnsw"])
def test_a_child_searches_on(vectors, kind, tmp_path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip({"quantized": "turbovec", "clustered": "numpy"}.get(kind, "faiss"))
    db = fill(Database(path=tmp_path / "s.qkv", encoder=None, lexicon=None, index=kind), vectors)
    settle(db)  # a fork amid another thread's matrix product is more than NumPy survives
    child = os.fork()
    if not child:
        signal.alarm(60)
        try:
            found = [m[0].key for m in db.search(list(vectors[:50]), 1)]
            db.put("late", "one", vector=vectors[7])
            del db["k7"]
            db.compact()
            late = db.search(vectors[7], 1)[0].key
            os._exit(0 if found == [f"k{i}" for i in range(50)] and late == "late" else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert db.search(vectors[7], 1)[0].key == "late"
    db.close()


# ── space ────────────────────────────────────────────────────────────────────────────────────────


def size(path):
    return sum(p.stat().st_size for p in (path, path.with_name(path.name + "-wal")) if p.exists())


def test_compacting_gives_the_space_of_deleted_records_back(vectors, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "s.qkv"
    with Database(path=path, encoder=None, lexicon=None) as db:
        wide = np.tile(vectors, 32)
        fill(db, wide)
        for i in range(0, N, 2):
            del db[f"k{i}"]
        before, expected = size(path), answers(db, wide[:5])
        db.compact()
        assert size(path) < 0.7 * before
        assert answers(db, wide[:5]) == expected
    with Database(path=path, encoder=None, lexicon=None) as db:
        assert answers(db, wide[:5]) == expected


def test_deleting_gives_space_back_by_itself(vectors, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "s.qkv"
    with Database(path=path, encoder=None, lexicon=None) as db:
        fill(db, np.tile(vectors, 64))
        full = size(path)
        for i in range(N):
            del db[f"k{i}"]
    assert path.stat().st_size < 0.5 * full


def test_another_process_reads_on_after_compacting(vectors, tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "s.qkv"
    with (
        Database(path=path, encoder=None, lexicon=None) as one,
        Database(path=path, encoder=None, lexicon=None) as other,
    ):
        fill(one, vectors)
        other.search(vectors[0])
        del one["k0"]
        one.compact()
        assert other.search(vectors[0], 1)[0].key != "k0"
        assert len(other) == N - 1
