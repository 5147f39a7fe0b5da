"""Reader: catching up, and what an interruption leaves behind."""

from __future__ import annotations

import pytest

from qkv import Database
from qkv.snapshot import Snapshot


def test_reading_without_a_change_reads_nothing_again(monkeypatch):
    db = Database({"a": 1}, encoder="hashing")
    db.attend("b")
    monkeypatch.setattr(Snapshot, "advance", None)
    assert db.attend("c").weights[0].key == "a"


def test_an_interrupted_catching_up_leaves_no_ghosts(monkeypatch):
    db = Database({"a": 1, "b": 2, "c": 3}, encoder="hashing")
    db.attend("x")
    del db["a"]
    db["d"] = 4

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("qkv.prototypes.Prototypes.moved", interrupted)
    with pytest.raises(KeyboardInterrupt):
        db.attend("x")
    monkeypatch.undo()
    assert {match.key for match in db.search("x", k=9)} == {"b", "c", "d"}
    assert {weight.key for weight in db.attend("x").weights} == {"b", "c", "d"}
