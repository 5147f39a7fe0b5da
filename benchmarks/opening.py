"""Opening a file, and the time until the first answer from it."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from measure import Row, Setup, Times, interleave
from stores import Data, load, make

import qkv

GOAL = 0.3
VECTORS = "SELECT vector FROM vectors"
SETTINGS = "SELECT value FROM settings"


def run(setup: Setup) -> list[Row]:
    """Of vector values and of labels; the file is in the operating system's cache."""
    data = make(setup)
    return [
        *_rows("vector values", list(data.V), data, setup),
        *_rows("labels", data.label_values, data, setup),
    ]


def _rows(kind: str, values: list[Any], data: Data, setup: Setup) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.qkv"
        with load(data, values, path=path, index="auto") as db:
            db.compact()  # once; or each first answer would begin to build the index
            db.calibrate()
        tasks: dict[str, Callable[[], object]] = {
            "open": lambda: _open(path),
            "first answer": lambda: _first(path, data),
            "read": _reader(path),
            "SQLite": lambda: _select(path, VECTORS),
            "SQLite open": lambda: _select(path, SETTINGS),
        }
        times = interleave(tasks, setup.rounds(11), warm=1)
        size = path.stat().st_size / 1e6
    return [_row(what, kind, times, size, setup) for what in ("open", "first answer")]


def _open(path: Path) -> None:
    qkv.Database(path=path).close()


def _first(path: Path, data: Data) -> None:
    with qkv.Database(path=path, lexicon=None) as db:
        db.attend(data.Q[0])


def _reader(path: Path) -> Callable[[], object]:
    """Read a file into memory that is there already."""
    room = bytearray(path.stat().st_size)

    def read() -> None:
        with path.open("rb", buffering=0) as file:
            file.readinto(room)

    return read


def _select(path: Path, statement: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return sum(len(value) for (value,) in connection.execute(statement))


def _row(what: str, kind: str, times: dict[str, Times], size: float, setup: Setup) -> Row:
    seconds = float(np.median(times[what]))
    opening = what == "open"
    return Row.of(
        f"{'open' if opening else 'open to first answer'}, {setup.n:,} × {setup.d}, {kind}",
        times[what],
        figure=f"{seconds:.3g} s",
        goal=f"≤ {GOAL} s" if opening else "",
        met=seconds <= GOAL if opening else None,
        # Opening reads a few pages only: its floor is not the whole file.
        floor=float(np.median(times["SQLite open" if opening else "read"])),
        floor_is="SQLite alone reading the settings"
        if opening
        else f"reading the file, {size:.0f} MB",
        peers={} if opening else {"SQLite, every vector": float(np.median(times["SQLite"]))},
    )
