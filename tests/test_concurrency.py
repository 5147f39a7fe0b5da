"""Many threads and processes read; one writes at a time; all see whole writes, in their order."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time

import numpy as np
import pytest

from qkv import Database
from qkv.encoders import HashingEncoder
from qkv.errors import EncoderMismatch, Locked
from qkv.lexicon import Lexicon

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def said(process, word: str) -> None:
    """Wait until a process says the word."""
    line = process.stdout.readline().strip()
    assert line == word, line + process.communicate()[1]


def tell(process, line: str) -> None:
    process.stdin.write(line + "\n")
    process.stdin.flush()


def finished(process, timeout: float = 60) -> str:
    """Wait for the end of a process that is to end well; return what it said."""
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    return out


# ── readers beside a writer ──────────────────────────────────────────────────────────────────

BATCHES, MEMBERS = 120, 8

#: Writes batches "batch b, member m" and, in the same transaction, b to all of the "shared" keys.
WRITER = f"""
import sys
from qkv import Database
db = Database(path=sys.argv[1], encoder="hashing", lexicon=None, timeout=60)
print("ready", flush=True)
sys.stdin.readline()
for b in range({BATCHES}):
    members = {{f"batch {{b}}, member {{m}}": b for m in range({MEMBERS})}}
    db.update(members | {{f"shared {{m}}": b for m in range({MEMBERS})}})
db["done"] = True
"""

#: Asks over and over, and checks each answer in itself and against the one before it.
READER = f"""
import collections, json, sys
from qkv import Database
db = Database(path=sys.argv[1], lexicon=None, imagination=0)
print("ready", flush=True)
newest = size = rounds = 0
while True:
    last = "done" in db
    found = db.search("batch 3, member shared", k=100_000)
    sizes = collections.Counter(match.value for match in found if match.key.startswith("batch"))
    assert set(sizes.values()) <= {{{MEMBERS}}}, f"part of a batch: {{sizes}}"
    batches = sorted(sizes)
    assert batches == list(range(len(batches))), f"a batch is missing: {{batches}}"
    shared = {{match.value for match in found if match.key.startswith("shared")}}
    assert len(shared) <= 1, f"part of an overwriting: {{shared}}"
    # Ids are of one moment, values of it or a later one.
    assert not shared or shared.pop() >= len(batches) - 1
    assert len(batches) >= newest, "an earlier moment"
    newest = len(batches)

    answer = db.attend("shared and batch")
    total = sum(w.weight for w in answer.weights) + answer.rest + answer.null
    assert abs(total - 1) < 1e-4, total
    assert len(db) >= size, "an earlier moment"
    size = len(db)
    assert not newest or db["shared 0"] >= newest - 1
    rounds += 1
    if last:
        break
print(json.dumps({{"rounds": rounds, "batches": newest, "size": size}}))
"""


def test_four_reading_processes_beside_a_writer(path, spawn):
    writer = spawn(WRITER, path)
    said(writer, "ready")
    readers = [spawn(READER, path) for _ in range(4)]
    for reader in readers:
        said(reader, "ready")
    tell(writer, "go")
    finished(writer)
    for reader in readers:
        seen = json.loads(finished(reader))
        assert seen["batches"] == BATCHES
        assert seen["size"] == BATCHES * MEMBERS + MEMBERS + 1
        assert seen["rounds"] >= 3


#: Runs each line that it reads, and answers with a word.
OTHER = """
import sys
import numpy as np
from qkv import Database
db = Database(path=sys.argv[1], lexicon=None)
print("ready", flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


def test_what_another_process_writes_the_next_query_sees(path, spawn):
    db = Database({"cat": "animal"}, path=path, encoder="hashing", lexicon=None)
    other = spawn(OTHER, path)
    said(other, "ready")

    def do(line):
        tell(other, line)
        said(other, "done")

    assert db.attend("kitten").candidates[0].value == "animal"
    do("db['kitten'] = 'young'")
    assert db.attend("kitten").origin == "exact"
    assert db.attend("kittens", top_k=1).value == "young"
    assert db.search("kittens", k=1)[0].key == "kitten"
    do("db['kitten'] = 'small'")
    assert db.attend("kittens", top_k=1).value == "small"
    do("db.put('kitten', 'small', vector=-db.vector('kitten'))")
    assert db.search("kitten", k=1)[0].key == "cat"
    do("del db['kitten']")
    assert [match.key for match in db.search("kitten")] == ["cat"]
    do("db.update({f'kitten {i}': i for i in range(3000)})")
    assert len(db.search("kitten", k=5000)) == len(db) == 3001
    do("db.clear()")
    assert db.search("kitten") == []
    assert db.attend("kitten").origin == "nothing"
    do("db['again'] = 1")
    assert [match.key for match in db.search("kitten")] == ["again"]
    db["mine"] = 2
    do("assert dict(db) == {'again': 1, 'mine': 2} and len(db.search('x')) == 2")


def test_a_store_that_another_process_gave_its_dimension(path, spawn):
    db = Database(path=path, encoder=None, lexicon=None)
    other = spawn(OTHER, path)
    said(other, "ready")
    tell(other, "db.put('a', 1, vector=[1.0, 0.0, 0.0])")
    said(other, "done")
    with pytest.raises(ValueError, match="3"):
        db.put("b", 2, vector=[1.0, 0.0])
    assert db.search(np.array([1.0, 0.0, 0.0]))[0].key == "a"
    assert db.dimension == 3


# ── threads ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def hasty():
    """Let threads take turns a thousand times as often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(interval)


def together(*functions) -> None:
    """Run functions in threads, and raise what any of them raises."""
    fallen = []

    def run(function):
        try:
            function()
        except BaseException as error:  # noqa: BLE001
            fallen.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a thread hangs"
    if fallen:
        raise fallen[0]


class Beside:
    """What threads do to one store at once: one writes, the others read until it is over."""

    def __init__(self, db: Database) -> None:
        self.db, self.expected, self.over = db, dict(db), threading.Event()

    def write(self):
        try:
            for n in range(160):
                batch = {f"batch {n}, member {m}": n for m in range(4)}
                self.db.update(batch)
                self.expected.update(batch)
                if n % 5 == 4:
                    assert self.db.pop(f"batch {n - 2}, member 1") == n - 2
                    del self.expected[f"batch {n - 2}, member 1"]
                if n % 7 == 6:
                    self.db[f"batch {n}, member 2"] = -n
                    self.expected[f"batch {n}, member 2"] = -n
        finally:
            self.over.set()

    def search(self):
        size = 0
        while not self.over.is_set():
            found = self.db.search("member of a batch", k=5000)
            # Four more with a batch, one less with a deletion.
            assert len(found) >= size - 1
            size = len(found)
            for match in found[:50]:
                number = int(match.key.split()[1][:-1]) if match.key != "start" else 1
                assert match.value in (number, -number)

    def attend(self):
        while not self.over.is_set():
            for answer in self.db.attend(["batch one", "member two"]):
                total = sum(w.weight for w in answer.weights) + answer.rest + answer.null
                assert total == pytest.approx(1, abs=1e-4)

    def look_up(self):
        while not self.over.is_set():
            assert self.db["start"] == -1
            assert self.db.get("nobody") is None
            assert len(self.db) >= 1
            assert next(iter(self.db)) == "start"


@pytest.mark.parametrize("in_file", [False, True])
def test_threads_read_while_one_writes(in_file, path, hasty):
    db = Database({"start": -1}, path=path if in_file else None, encoder="hashing", lexicon=None)
    beside = Beside(db)
    together(beside.write, beside.search, beside.search, beside.attend, beside.look_up)
    expected = beside.expected
    assert dict(db) == expected
    assert {match.key: match.value for match in db.search("x y", k=5000)} == expected
    fresh = Database(expected, encoder="hashing", lexicon=None)
    scores = {match.key: match.score for match in fresh.search("member", k=5000)}
    assert {m.key: m.score for m in db.search("member", k=5000)} == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("in_file", [False, True])
def test_threads_write_to_one_store(in_file, path, hasty):
    db = Database(path=path if in_file else None, encoder="hashing", lexicon=None)
    db["count"] = 0

    def write(name):
        for n in range(60):
            db[f"{name} {n}"] = n
            db.update({f"{name} {n} a": n, f"{name} {n} b": n, "shared": name})
            assert db.setdefault(f"{name} {n}", "other") == n
            assert db.pop(f"{name} {n} a") == n

    together(*[lambda name=name: write(name) for name in "ABCD"])
    assert len(db) == len(list(db)) == len(db.search("x", k=5000)) == 4 * 60 * 2 + 2


def test_setdefault_beside_deletions(hasty):
    db = Database(encoder="hashing", lexicon=None)

    def put():
        for _ in range(400):
            assert db.setdefault("key", "value") == "value"

    def delete():
        for _ in range(400):
            assert db.pop("key", None) in ("value", None)

    together(put, delete, put, delete)


def test_writing_beside_deletions(hasty):
    """Keys that were there when their vectors were made may be gone when they are written."""
    db = Database(encoder="hashing", lexicon=None)
    batch = {f"key {i}": i for i in range(20)}

    def put():
        for _ in range(100):
            db.update(batch)

    def delete():
        for _ in range(60):
            db.clear()
            db.pop("key 5", None)

    together(put, delete, put, delete)
    db.update(batch)
    assert dict(db) == batch
    assert len(db.search("key", k=100)) == len(db) == 20


class Silent:
    """Understands nothing: the words of the lexicon have vectors, other texts have none."""

    def encode(self, texts):
        return np.zeros((len(texts), 8), dtype=np.float32)


WORDS = Lexicon(
    [f"word{n}" for n in range(10_100)],
    np.random.default_rng(1).normal(size=(10_100, 8)).astype(np.float32),
    Silent(),
)
MADE = {
    "vectors": lambda n: WORDS.vectors[n],
    "numbers": lambda n: float(WORDS.vectors[n, 0]),
    "words": lambda n: WORDS.words[n],
}


@pytest.mark.parametrize("kind", MADE)
def test_many_threads_may_ask_first(kind, hasty):
    """Whoever asks first after a change catches up; those who ask meanwhile get the same."""
    rng = np.random.default_rng(0)
    question, gate = np.ones(8), threading.Barrier(6)
    values = WORDS.vectors[:, :1] if kind == "numbers" else WORDS.vectors
    for _ in range(2):
        db = Database(encoder=None, lexicon=WORDS, decoding="euclidean")
        keys = np.zeros((0, 8))
        for count in (10_000, 1, 1):
            fresh = range(len(keys), len(keys) + count)
            keys = np.vstack((keys, rng.normal(size=(count, 8))))
            db.update({f"key {n}": MADE[kind](n) for n in fresh}, vectors=keys[-count:])
            answers = ask_together(db, question, gate)
            powers = np.exp(keys @ question / np.linalg.norm(keys, axis=1) / 8**0.5)
            expected = powers @ values[: len(keys)] / powers.sum()
            for answer in answers:
                np.testing.assert_allclose(answer.output, expected, atol=1e-5)


def ask_together(db, question, gate) -> list:
    answers = []

    def ask():
        gate.wait()
        answers.append(db.attend(question, temperature=1.0))

    together(*[ask] * gate.parties)
    return answers


def test_many_stores_on_one_file_in_one_process(path):
    first = Database({"a": 1}, path=path, encoder="hashing", lexicon=None)
    second = Database(path=path, lexicon=None)
    second["b"] = 2
    assert dict(first) == {"a": 1, "b": 2}
    first.close()
    second["c"] = 3
    third = Database(path=path, lexicon=None)
    assert len(third.search("x")) == 3
    second.close()
    third.close()
    with Database(path=path, lexicon=None) as db:
        assert dict(db) == {"a": 1, "b": 2, "c": 3}


def look(path):
    with Database(path=path, lexicon=None) as db:
        assert len(db.search("x")) == 1


def look_in_vain(path):
    with pytest.raises(EncoderMismatch):
        Database(path=path, encoder=None)


LOOKS = {"look": look, "look in vain": look_in_vain}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_second_look_at_a_file_lets_no_lock_of_the_first_go(look, path, spawn):
    """POSIX drops all locks that a process has on a file when it closes any descriptor of it."""
    db = Database({"a": 1}, path=path, encoder="hashing", lexicon=None)
    look(path)
    other = spawn(OTHER, path)
    said(other, "ready")
    tell(other, "db['other'] = 2; db.close()")
    said(other, "done")
    tell(other, f"db = Database(path={str(path)!r}, lexicon=None)")
    said(other, "done")
    db["late"] = 3
    tell(other, "assert list(db) == ['a', 'other', 'late'], list(db); db['later'] = 4")
    said(other, "done")
    assert dict(db) == {"a": 1, "other": 2, "late": 3, "later": 4}
    db.close()
    tell(other, "db.close()")
    said(other, "done")
    with Database(path=path, lexicon=None) as db:
        assert dict(db) == {"a": 1, "other": 2, "late": 3, "later": 4}
        assert db._tables.all("PRAGMA integrity_check") == [("ok",)]


# ── two writers ──────────────────────────────────────────────────────────────────────────────

#: Takes the write lock, says so, and lets go after so many seconds, or when it is told.
HOLDER = """
import select, sys, time
from qkv import Database
db = Database(path=sys.argv[1], lexicon=None)
with db._tables.writing() as (connection, version):
    print("holding", flush=True)
    select.select([sys.stdin], [], [], float(sys.argv[2]))
    connection.execute("UPDATE clock SET count = count")
db["holder"] = 1
"""


def test_a_second_writer_waits_for_the_first(path, spawn):
    db = Database({"a": 1}, path=path, encoder="hashing", lexicon=None, timeout=20)
    holder = spawn(HOLDER, path, 0.6)
    said(holder, "holding")
    begun = time.monotonic()
    db["b"] = 2
    assert time.monotonic() - begun > 0.2
    finished(holder)
    assert dict(db) == {"a": 1, "b": 2, "holder": 1}


def test_reading_and_opening_wait_for_nobody(path, spawn):
    db = Database({"a": 1}, path=path, encoder="hashing", lexicon=None)
    holder = spawn(HOLDER, path, 60)
    said(holder, "holding")
    begun = time.monotonic()
    assert db["a"] == 1
    assert dict(db) == {"a": 1}
    assert [match.key for match in db.search("b")] == ["a"]
    with Database(path=path, lexicon=None, timeout=0) as another:
        assert another.attend("b").weights[0].value == 1
    assert time.monotonic() - begun < 2
    tell(holder, "")
    finished(holder)


WRITES = {
    "put": lambda db: db.put("b", 2),
    "update": lambda db: db.update({"b": 2, "c": 3}),
    "del": lambda db: db.pop("a"),
    "clear": lambda db: db.clear(),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_writer_that_waits_too_long_is_told_for_whom(write, path, spawn):
    db = Database({"a": 1}, path=path, encoder="hashing", lexicon=None, timeout=0.1)
    holder = spawn(HOLDER, path, 60)
    said(holder, "holding")
    with pytest.raises(Locked) as caught:
        write(db)
    assert f"process {holder.pid}" in str(caught.value)
    assert str(path) in str(caught.value)
    assert "timeout=" in str(caught.value)
    assert dict(db) == {"a": 1}
    tell(holder, "")
    finished(holder)
    write(db)
    assert dict(db) != {"a": 1}


# ── forks ────────────────────────────────────────────────────────────────────────────────────

FORK = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks beside threads
from qkv import Database
path = sys.argv[1]

def gone(pid, seconds=20):
    for _ in range(int(seconds * 100)):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return "the child hangs"

def child(function):
    pid = os.fork()
    if pid:
        return pid
    try:
        function()
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    os._exit(0)

db = Database({"parent": 1}, path=path, encoder="hashing", lexicon=None)
assert len(db.search("x")) == 1
"""


def forked(spawn, path, code: str) -> dict:
    """Run code after FORK in a process of its own; return what the file holds afterwards."""
    finished(spawn(FORK + code, path))
    with Database(path=path, lexicon=None) as db:
        assert db._tables.all("PRAGMA integrity_check") == [("ok",)]
        assert len(db) == len(db.search("x", k=1000))
        return dict(db)


@needs_fork
def test_a_forked_child_reads_and_writes(path, spawn):
    code = """
def work():
    assert dict(db) == {"parent": 1}
    db["child"] = 2
    assert {match.key for match in db.search("x")} == {"parent", "child"}
    assert db.attend("y").weights

assert gone(child(work)) == 0
assert dict(db) == {"parent": 1, "child": 2}
assert len(db.search("x")) == 2
db["after"] = 3
"""
    assert forked(spawn, path, code) == {"parent": 1, "child": 2, "after": 3}


@needs_fork
@pytest.mark.parametrize("ending", ["db.close()", "pass", "sys.exit(0)"])
def test_a_child_that_ends_leaves_its_parent_unharmed(ending, path, spawn):
    code = f"""
for n in range(5):
    pid = os.fork()
    if pid == 0:
        db[f"child {{n}}"] = n
        {ending}
        os._exit(0)
    db[f"meanwhile {{n}}"] = n
    assert gone(pid) == 0
    db[f"after {{n}}"] = n
    assert len(db) == 1 + 3 * (n + 1) == len(db.search("x", k=100))
db.close()
"""
    assert len(forked(spawn, path, code)) == 16


@needs_fork
def test_what_a_child_writes_after_its_parent_closed_is_kept(path, spawn):
    code = """
begun, go = os.pipe(), os.pipe()

def work():
    db["early"] = 2
    os.write(begun[1], b"x")
    os.read(go[0], 1)
    db["late"] = 3
    assert dict(db) == {"parent": 1, "early": 2, "late": 3}

pid = child(work)
os.read(begun[0], 1)
db.close()
os.write(go[1], b"x")
assert gone(pid) == 0
"""
    assert forked(spawn, path, code) == {"parent": 1, "early": 2, "late": 3}


@needs_fork
def test_what_a_child_writes_while_others_come_and_go_is_kept(path, spawn):
    code = """
begun, go = os.pipe(), os.pipe()

def work():
    db["early"] = 2
    os.write(begun[1], b"x")
    os.read(go[0], 1)
    db["late"] = 3
    db.close()

pid = child(work)
os.read(begun[0], 1)
db.close()
with Database(path=path, lexicon=None) as other:
    other["other"] = 4
    os.write(go[1], b"x")
    assert gone(pid) == 0
    assert dict(other) == {"parent": 1, "early": 2, "other": 4, "late": 3}
"""
    expected = {"parent": 1, "early": 2, "other": 4, "late": 3}
    assert forked(spawn, path, code) == expected


@needs_fork
def test_children_and_parent_write_at_once(path, spawn):
    code = """
def work(name):
    for n in range(40):
        db[f"{name} {n}"] = n

pids = [child(lambda name=name: work(name)) for name in "ABC"]
work("P")
assert [gone(pid) for pid in pids] == [0, 0, 0]
assert len(db) == 161
"""
    assert len(forked(spawn, path, code)) == 161


@needs_fork
@pytest.mark.parametrize("busy", ["db.search('x')", "db.put('busy', 1)", "db.attend('y')"])
def test_a_fork_beside_a_busy_thread(busy, path, spawn):
    code = f"""
over = False

def work():
    while not over:
        {busy}
        time.sleep(0.0005)

threading.Thread(target=work, daemon=True).start()
for n in range(12):
    def one():
        db[f"child {{n}}"] = n
        assert db.search(f"child {{n}}", k=1)[0].key == f"child {{n}}"
        db.close()
    assert gone(child(one), 10) == 0
over = True
"""
    found = forked(spawn, path, code)
    assert {f"child {n}" for n in range(12)} <= set(found)


@needs_fork
def test_a_fork_beside_threads_that_open_stores(path, spawn):
    code = """
over = False

def work():
    while not over:
        stores = [Database(encoder="hashing", lexicon=None) for _ in range(3)]

stores = [Database({"a": 1}, encoder="hashing", lexicon=None) for _ in range(50)]
sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
try:
    for n in range(40):
        def one():
            db[f"child {n}"] = n
            Database({"b": 2}, encoder="hashing", lexicon=None).search("x")
        assert gone(child(one), 10) == 0
finally:
    over = True
for thread in threads:
    thread.join()
"""
    process = spawn(FORK + code, path)
    assert process.communicate(timeout=60) == ("", "")
    with Database(path=path, lexicon=None) as db:
        assert len(db) == 41


@needs_fork
def test_a_child_finds_its_file_from_anywhere(tmp_path, spawn):
    """As a daemon does: open, fork, and go to another directory."""
    code = """
os.chdir(os.path.dirname(path))
relative = Database({"a": 1}, path="relative.qkv", encoder="hashing", lexicon=None)

def work():
    os.mkdir("elsewhere")
    os.chdir("elsewhere")
    assert dict(relative) == {"a": 1}
    relative["b"] = 2
    assert os.listdir() == []

assert gone(child(work)) == 0
assert dict(relative) == {"a": 1, "b": 2}
"""
    forked(spawn, tmp_path / "store.qkv", code)


@needs_fork
def test_a_store_in_memory_is_copied_by_a_fork(path, spawn):
    code = """
memory = Database({"a": 1}, encoder="hashing", lexicon=None)

def work():
    memory["child"] = 2
    assert len(memory.search("x")) == 2

assert gone(child(work)) == 0
assert dict(memory) == {"a": 1}
memory["b"] = 2
assert len(memory.search("x")) == 2
"""
    assert forked(spawn, path, code) == {"parent": 1}


# ── beginnings ───────────────────────────────────────────────────────────────────────────────

#: Lets six processes open the same new file at once, so many times; prints what each met.
BEGINNINGS = """
import os, sys
from qkv import Database
from qkv.encoders import HashingEncoder
folder, rounds, dimensions = sys.argv[1], int(sys.argv[2]), sys.argv[3].split(",")
for n in range(rounds):
    path = f"{folder}/{n}.qkv"
    gate, pids = os.pipe(), []
    for i in range(6):
        pid = os.fork()
        if pid == 0:
            os.close(gate[1])
            os.read(gate[0], 1)
            encoder = HashingEncoder(int(dimensions[i % len(dimensions)]))
            try:
                with Database(path=path, encoder=encoder, lexicon=None) as db:
                    db[f"key {i}"] = i
                said = "fine"
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            os.write(1, (said.replace(path, "PATH") + "\\n").encode())
            os._exit(0)
        pids.append(pid)
    os.close(gate[0])
    os.close(gate[1])
    for pid in pids:
        os.waitpid(pid, 0)
"""


@needs_fork
def test_processes_may_begin_the_same_file_at_once(tmp_path, spawn):
    said = finished(spawn(BEGINNINGS, tmp_path, 12, "64")).splitlines()
    assert said == ["fine"] * 72
    for file in tmp_path.glob("*.qkv"):
        with Database(path=file, encoder=HashingEncoder(64), lexicon=None) as db:
            assert set(db) == {f"key {i}" for i in range(6)}


@needs_fork
def test_only_one_encoder_begins_a_file(tmp_path, spawn):
    finished(spawn(BEGINNINGS, tmp_path, 12, "64,128"))
    for file in tmp_path.glob("*.qkv"):
        opened = []
        for dimension in (64, 128):
            with (
                contextlib.suppress(EncoderMismatch),
                Database(path=file, encoder=HashingEncoder(dimension), lexicon=None) as db,
            ):
                assert {len(db.vector(key)) for key in db} <= {dimension}
                assert len(db) == len(db.search("key", k=10))
                opened.append(dimension)
        assert len(opened) == 1
