"""Writing one record durably: put, overwrite and delete, beside the same bytes in bare SQLite."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count, cycle
from pathlib import Path
from typing import Any

import numpy as np
from measure import Row, Setup, Times, interleave
from stores import DELETE, INSERT, REPLACE, Data, bare, blobs_of, fill, load, make

import qkv

GOAL = 0.3e-3


def run(setup: Setup) -> list[Row]:
    """Both durabilities; the store already holds many records."""
    data = make(setup)
    return [row for durability in ("normal", "full") for row in _rows(data, setup, durability)]


def _rows(data: Data, setup: Setup, durability: str) -> list[Row]:
    values = data.label_values
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        # "full" waits for the disk each time: fewer rounds tell as much.
        rounds = setup.rounds(2000 if durability == "normal" else 300)
        options: dict[str, Any] = {"path": path / "store.qkv", "durability": durability}
        with (
            load(data, values, **options) as db,
            closing(bare(path / "bare.db", synchronous=durability.upper())) as plain,
        ):
            fill(plain, data.keys, values, blobs_of(data.K))
            tasks = _ours(db, data) | _floors(plain, data)
            times = interleave(tasks, rounds, warm=20)
    return [_row(what, durability, times) for what in ("put", "overwrite", "delete")]


def _ours(db: qkv.Database, data: Data) -> dict[str, Callable[[], object]]:
    new, vectors, old, gone = _streams(data, data.Q)

    def delete() -> None:
        del db[next(gone)]

    return {
        "put": lambda: db.put(next(new), "label", vector=next(vectors)),
        "overwrite": lambda: db.put(next(old), "other", vector=next(vectors)),
        "delete": delete,
    }


def _floors(plain: Any, data: Data) -> dict[str, Callable[[], object]]:
    new, blobs, old, gone = _streams(data, blobs_of(data.Q))
    execute = plain.execute
    return {
        "bare put": lambda: execute(INSERT, (next(new), "label", next(blobs))),
        "bare overwrite": lambda: execute(REPLACE, (next(old), "other", next(blobs))),
        "bare delete": lambda: execute(DELETE, (next(gone),)),
    }


def _streams(data: Data, vectors: Any) -> tuple[Iterator[str], Iterator[Any], Any, Any]:
    """New keys, vectors for them, and stored keys to overwrite and to delete, in random order."""
    order = np.random.default_rng(1).permutation(len(data.keys)).tolist()
    half = len(order) // 2
    new = (f"new {i}" for i in count())
    old = cycle([data.keys[i] for i in order[:half]])
    gone = iter([data.keys[i] for i in order[half:]])
    return new, cycle(list(vectors)), old, gone


def _row(what: str, durability: str, times: dict[str, Times]) -> Row:
    seconds = float(np.median(times[what]))
    goal = what == "put" and durability == "normal"
    return Row.of(
        f"{what}, durability={durability!r}",
        times[what],
        figure=f"{seconds * 1e3:.3f} ms",
        goal=f"≤ {GOAL * 1e3:.1f} ms" if goal else "",
        met=seconds <= GOAL if goal else None,
        floor=float(np.median(times[f"bare {what}"])),
        floor_is=f"the bare SQLite statement, synchronous = {durability.upper()}",
    )
