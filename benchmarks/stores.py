"""Stores and arrays that the benchmarks share: random unit vectors, so that any size can be had."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from measure import Setup

import qkv
from qkv.types import Floats

#: Distinct labels, as many as an intent data set has.
LABELS = 150


@dataclass(frozen=True)
class Data:
    """Keys with vectors K, vector values V, labels, and queries Q."""

    keys: list[str]
    K: Floats
    V: Floats
    label_ids: np.ndarray
    labels: list[str]
    Q: Floats

    @property
    def label_values(self) -> list[str]:
        """Label of each record."""
        return [self.labels[i] for i in self.label_ids]


def unit_rows(rng: np.random.Generator, n: int, d: int) -> Floats:
    """Random directions (n, d), float32."""
    rows = rng.standard_normal((n, d), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def make(setup: Setup) -> Data:
    """Make the data of a benchmark."""
    rng = np.random.default_rng(setup.seed)
    return Data(
        keys=[f"record {i}" for i in range(setup.n)],
        K=unit_rows(rng, setup.n, setup.d),
        V=rng.standard_normal((setup.n, setup.d), dtype=np.float32),
        label_ids=rng.integers(LABELS, size=setup.n),
        labels=[f"label {i}" for i in range(LABELS)],
        Q=unit_rows(rng, setup.batch, setup.d),
    )


def load(data: Data, values: Sequence[Any], **options: Any) -> qkv.Database:
    """Make a database of the data's keys and vectors, and the values."""
    options = {"encoder": None, "lexicon": None, "index": "flat"} | options
    db = qkv.Database(**options)
    db.update(zip(data.keys, values, strict=True), vectors=data.K)
    return db


# ── the floor of a durable dict: one plain table ─────────────────────────────────────────────

SELECT = "SELECT value FROM plain WHERE key = ?"
INSERT = "INSERT INTO plain (key, value, vector) VALUES (?, ?, ?)"
REPLACE = """
    INSERT INTO plain (key, value, vector) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, vector = excluded.vector
"""
DELETE = "DELETE FROM plain WHERE key = ?"


def bare(path: Path | None = None, *, synchronous: str = "NORMAL") -> sqlite3.Connection:
    """Open SQLite alone, with the pragmas of a qkv file, and one table of key, value, vector."""
    connection = sqlite3.connect(":memory:" if path is None else path, isolation_level=None)
    if path is not None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS plain "
        "(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value NOT NULL, vector BLOB)"
    )
    return connection


def fill(
    connection: sqlite3.Connection, keys: Sequence[str], values: Sequence[str], blobs: Sequence[Any]
) -> None:
    """Insert many rows in one transaction."""
    connection.execute("BEGIN")
    connection.executemany(INSERT, zip(keys, values, blobs, strict=True))
    connection.execute("COMMIT")


def blobs_of(matrix: Floats) -> list[bytes]:
    """Rows of a matrix as bytes."""
    return [row.tobytes() for row in matrix]
