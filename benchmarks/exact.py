"""``db[key]``: exact, as in any dict. Beside it a dict, SQLite alone, and ``dbm.sqlite3``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from measure import Row, Setup, Times, interleave, medians
from stores import SELECT, bare, blobs_of, fill, load, make

import qkv

GOALS = {"in memory": 10e-6, "from a file": 30e-6}
KEYS = 1000  # looked up in one round


def run(setup: Setup) -> list[Row]:
    """Random keys of a large store."""
    data = make(setup)
    values = data.label_values
    blobs = blobs_of(data.K)
    rng = np.random.default_rng(setup.seed)
    asked = [data.keys[i] for i in rng.integers(setup.n, size=KEYS)]
    plain = dict(zip(data.keys, values, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        load(data, values, path=path / "store.qkv").close()
        with (
            closing(bare()) as memory,
            closing(bare(path / "bare.db")) as file,
            load(data, values) as db,
            qkv.Database(path=path / "store.qkv", encoder=None) as stored,
        ):
            fill(memory, data.keys, values, blobs)
            fill(file, data.keys, values, blobs)
            tasks: dict[str, Callable[[], object]] = {
                "dict": _each(plain.__getitem__, asked),
                "SQLite in memory": _each(_select(memory), asked),
                "SQLite from a file": _each(_select(file), asked),
                "in memory": _each(db.__getitem__, asked),
                "from a file": _each(stored.__getitem__, asked),
            }
            peer = _dbm(path / "dbm.db", plain)
            if peer is not None:
                tasks["dbm.sqlite3"] = _each(peer.__getitem__, asked)
            times = interleave(tasks, setup.rounds(100))
            if peer is not None:
                peer.close()
    return [_row(where, times) for where in GOALS]


def _each(get: Callable[[str], object], keys: list[str]) -> Callable[[], object]:
    def look_up() -> None:
        for key in keys:
            get(key)

    return look_up


def _select(connection: Any) -> Callable[[str], object]:
    execute = connection.execute
    return lambda key: execute(SELECT, (key,)).fetchone()[0]


def _dbm(path: Path, records: dict[str, str]) -> Any:
    """The standard library's durable dict; None before Python 3.13."""
    try:
        import dbm.sqlite3 as dbm_sqlite3
    except ImportError:
        return None
    store = dbm_sqlite3.open(str(path), "c")  # noqa: SIM115  (closed by `run`)
    connection = store._cx  # one transaction for the filling, which is not what is measured
    connection.execute("BEGIN")
    for key, value in records.items():
        store[key] = value
    connection.execute("COMMIT")
    return store


def _row(where: str, times: dict[str, Times]) -> Row:
    one = {name: array / KEYS for name, array in times.items()}
    seconds = float(np.median(one[where]))
    bare_name = f"SQLite {where}"
    others = ["dict", bare_name] + (["dbm.sqlite3"] if "dbm.sqlite3" in one else [])
    return Row.of(
        f"db[key] {where}",
        one[where],
        figure=f"{seconds * 1e6:.1f} µs",
        goal=f"≤ {GOALS[where] * 1e6:.0f} µs",
        met=seconds <= GOALS[where],
        floor=float(np.median(one[bare_name])),
        floor_is="a bare SQLite SELECT",
        peers=medians(one, *others),
    )
