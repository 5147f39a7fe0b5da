"""Work in the background ends with the program."""

import threading

import numpy as np
import pytest

from qkv import Database, background
from qkv.errors import Closed
from qkv.indexing import Indexing

ENDS = """
import sys, numpy as np, qkv
rng = np.random.default_rng(0)
db = qkv.Database(encoder=None, lexicon=None, index="clustered")
n = 30_000
db.update(((str(i), i % 50) for i in range(n)), vectors=rng.standard_normal((n, 64)))
db.attend(rng.standard_normal(64))
print("asked", flush=True)
"""


def test_a_program_that_ends_while_a_store_is_prepared_does_end(spawn):
    for _ in range(3):
        out, err = spawn(ENDS).communicate(timeout=120)
        assert (out, err) == ("asked\n", "")


def test_work_is_told_to_leave_off_and_others_go_on(monkeypatch):
    monkeypatch.setattr(background, "_ending", threading.Event())
    begun, seen = threading.Event(), []

    def work():
        begun.set()
        while True:
            try:
                background.go_on()
            except background.LeftOff:
                seen.append("left off")
                raise

    thread = background.start("a test", work)
    begun.wait()
    background._end()
    background.go_on()  # this thread is none of those
    assert not thread.is_alive()
    assert seen == ["left off"]


def test_an_index_is_not_finished_for_a_store_that_was_closed(path, monkeypatch):
    db = Database(path=path, encoder=None, lexicon=None, index="clustered")
    rng = np.random.default_rng(0)
    db.update(((str(i), i) for i in range(3000)), vectors=rng.standard_normal((3000, 8)))
    indexing = db._reader._indexing
    snapshot = db._reader.snapshot()
    indexing.wait()
    db.close()
    with pytest.raises(Closed):
        indexing.arrange(snapshot, indexing._while_open)
    assert isinstance(indexing, Indexing)
    assert not list(path.with_name(f"{path.name}-index").glob("image-making-*"))
