"""Loading many records with vectors at once, beside SQLite's ``executemany`` of the same bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
from measure import Row, Setup, interleave
from stores import Data, bare, blobs_of, fill, make

import qkv

GOAL = 50_000  # records a second


def run(setup: Setup) -> list[Row]:
    """Into a file, and into memory; a fresh store each time."""
    data = make(setup)
    records = dict(zip(data.keys, data.label_values, strict=True))
    blobs = blobs_of(data.K)
    with tempfile.TemporaryDirectory() as folder:
        names = count()

        def fresh(end: str) -> Path:
            return Path(folder) / f"{next(names)}.{end}"

        tasks: dict[str, Callable[[], object]] = {
            "into a file": lambda: _load(fresh("qkv"), records, data),
            "SQLite into a file": lambda: _bare(fresh("db"), records, blobs),
            "into memory": lambda: _load(None, records, data),
            "SQLite into memory": lambda: _bare(None, records, blobs),
        }
        times = interleave(tasks, setup.rounds(7), warm=1)
    rows = []
    for where in ("into a file", "into memory"):
        rate = setup.n / float(np.median(times[where]))
        goal = where == "into a file"
        rows.append(
            Row.of(
                f"update of {setup.n:,} × {setup.d} {where}",
                times[where],
                figure=f"{rate:,.0f} records/s",
                goal=f"≥ {GOAL:,} records/s" if goal else "",
                met=rate >= GOAL if goal else None,
                floor=float(np.median(times[f"SQLite {where}"])),
                floor_is="a bare SQLite executemany of key, value, blob",
            )
        )
    return rows


def _load(path: Path | None, records: dict[str, str], data: Data) -> None:
    with qkv.Database(path=path, encoder=None) as db:
        db.update(records, vectors=data.K)
    _remove(path)


def _bare(path: Path | None, records: dict[str, str], blobs: list[bytes]) -> None:
    connection = bare(path)
    fill(connection, list(records), list(records.values()), blobs)
    connection.close()
    _remove(path)


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink()
