"""One program that stores vectors, alone in a process: loaded, asked, written to, and killed.

:mod:`store_peers` runs this file once for each phase of each program::

    python -P benchmarks/store_programs.py <program> <phase> <turn> <data> <home> <results>

Every program keeps the same records: a key, a text, the number of a part (which the filter asks
about), and a vector of length one. It is set up as its own page shows, with an index of the
filtered field and of the keys where it has one; how many threads it takes is left to it. ``-P``,
because some programs would take ``datasets.py`` for a package of that name.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sqlite3
import sys
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

K = 10
#: Parts that records are divided into: a filter keeps one record in so many.
PARTS = 100
#: Seconds for each kind of question in each round.
PATIENCE = 1.2
#: Questions of a kind, if they are quick.
ASKED = 600
#: Queries that are not timed.
WARM = 5
WRITTEN = 200
DELETED = 100
#: Inserts after each of which a query is timed.
FOLLOWED = 20

Found = list[tuple[str, str]]


@dataclass(frozen=True)
class Records:
    """What is stored: keys, texts, parts and vectors; and what is written later."""

    keys: list[str]
    texts: list[str]
    vectors: np.ndarray

    @classmethod
    def read(cls, folder: Path, name: str) -> Records:
        """Read what `store_peers` wrote."""
        keys, texts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        return cls(keys, texts, np.load(folder / f"{name}.npy"))

    def __len__(self) -> int:
        return len(self.keys)

    def steps(self, size: int) -> Iterator[tuple[Records, range]]:
        """So many at a time, with their numbers."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            some = Records(self.keys[part], self.texts[part], self.vectors[part])
            yield some, range(start, start + len(some))


class Program(ABC):
    """A program that keeps records.

    Parameters
    ----------
    home : Path
        Folder of its own.
    dimension : int
    """

    #: Imported before anything is timed.
    needs: ClassVar[tuple[str, ...]]
    about: ClassVar[str]

    def __init__(self, home: Path, dimension: int) -> None:
        self.home, self.dimension = home, dimension
        self.open(new=not any(home.iterdir()))

    @abstractmethod
    def open(self, *, new: bool) -> None:
        """Open, or begin."""

    @abstractmethod
    def load(self, records: Records) -> Iterator[int]:
        """Write everything; yield how many are written."""

    def arrange(self) -> None:  # noqa: B027  (most have nothing to do)
        """Build what makes queries fast."""

    @abstractmethod
    def search(self, vector: np.ndarray, part: int | None = None) -> Found:
        """Keys and texts of the best K, of one part if it is given."""

    @abstractmethod
    def get(self, key: str) -> str | None:
        """Text of a key."""

    @abstractmethod
    def put(self, key: str, text: str, vector: np.ndarray, part: int) -> None:
        """Write one record and return when it is kept."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete one record and return when that is kept."""

    def close(self) -> None:  # noqa: B027
        """Close."""

    def more(self) -> dict[str, Callable[[np.ndarray], object]]:
        """Other questions that only this program is asked."""
        return {}


class Qkv(Program):
    """This project."""

    needs = ("qkv.database",)
    about = "as it comes; `compact()` is the index"

    def open(self, *, new: bool) -> None:  # noqa: ARG002
        import qkv

        self._db = qkv.Database(path=self.home / "store.qkv", encoder=None, lexicon=None)

    def load(self, records: Records) -> Iterator[int]:
        about = ({"part": row % PARTS} for row in range(len(records)))
        pairs = zip(records.keys, records.texts, strict=True)
        self._db.update(pairs, vectors=records.vectors, metadata=about)
        yield len(records)

    def arrange(self) -> None:
        self._db.compact()

    def search(self, vector: np.ndarray, part: int | None = None) -> Found:
        where = None if part is None else {"part": part}
        found = self._db.search(vector, K, where=where)
        return [(match.key, str(match.value)) for match in found]

    def get(self, key: str) -> str | None:
        value = self._db.get(key)
        return None if value is None else str(value)

    def put(self, key: str, text: str, vector: np.ndarray, part: int) -> None:
        self._db.put(key, text, vector=vector, metadata={"part": part})

    def delete(self, key: str) -> None:
        del self._db[key]

    def close(self) -> None:
        self._db.close()

    def more(self) -> dict[str, Callable[[np.ndarray], object]]:
        db, same = self._db, {"part": 7}
        return {
            "search, the same filter again": lambda q: db.search(q, K, where=same),
            "attend, at a fixed temperature": lambda q: db.attend(q, temperature=0.1),
            "attend, calibrated": db.attend,
        }


class Chroma(Program):
    """Chroma in this process."""

    needs = ("chromadb",)
    about = "HNSW, its defaults"

    def open(self, *, new: bool) -> None:  # noqa: ARG002
        import chromadb

        self._client = chromadb.PersistentClient(
            self.home, chromadb.Settings(anonymized_telemetry=False)
        )
        self._records = self._client.get_or_create_collection(
            "records", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def load(self, records: Records) -> Iterator[int]:
        for some, rows in records.steps(5000):  # it takes 5,461 at most
            self._records.add(
                ids=some.keys,
                documents=some.texts,
                embeddings=some.vectors,
                metadatas=[{"part": row % PARTS} for row in rows],
            )
            yield rows.stop

    def search(self, vector: np.ndarray, part: int | None = None) -> Found:
        found = self._records.query(
            query_embeddings=vector[None],
            n_results=K,
            include=["documents"],
            where=None if part is None else {"part": part},
        )
        return list(zip(found["ids"][0], found["documents"][0], strict=True))

    def get(self, key: str) -> str | None:
        found = self._records.get(ids=[key], include=["documents"])["documents"]
        return found[0] if found else None

    def put(self, key: str, text: str, vector: np.ndarray, part: int) -> None:
        self._records.add(
            ids=[key], documents=[text], embeddings=vector[None], metadatas=[{"part": part}]
        )

    def delete(self, key: str) -> None:
        self._records.delete(ids=[key])


class LanceFlat(Program):
    """LanceDB without an index of the vectors."""

    needs = ("lancedb", "pyarrow")
    about = "scan; indexes of key and part"

    def open(self, *, new: bool) -> None:
        import lancedb

        self._connection = lancedb.connect(self.home)
        self._table = None if new else self._connection.open_table("records")

    def _rows(self, records: Records, parts: Sequence[int]) -> Any:
        import pyarrow as pa

        flat = pa.array(records.vectors.ravel(), pa.float32())
        columns = {
            "key": pa.array(records.keys),
            "text": pa.array(records.texts),
            "part": pa.array(parts, pa.int32()),
            "vector": pa.FixedSizeListArray.from_arrays(flat, self.dimension),
        }
        return pa.table(columns)

    def load(self, records: Records) -> Iterator[int]:
        rows = self._rows(records, [row % PARTS for row in range(len(records))])
        self._table = self._connection.create_table("records", rows)
        yield len(records)

    def arrange(self) -> None:
        self._table.create_scalar_index("key")
        self._table.create_scalar_index("part", index_type="BITMAP")
        self._table.wait_for_index(["key_idx", "part_idx"], timedelta(minutes=10))

    def search(self, vector: np.ndarray, part: int | None = None) -> Found:
        asked = self._table.search(vector).distance_type("cosine")
        if part is not None:
            asked = asked.where(f"part = {part}", prefilter=True)
        found = asked.select(["key", "text"]).limit(K).to_arrow()
        return list(zip(found["key"].to_pylist(), found["text"].to_pylist(), strict=True))

    def get(self, key: str) -> str | None:
        found = self._table.search().where(f"key = {_quoted(key)}").select(["text"]).limit(1)
        texts = found.to_arrow()["text"].to_pylist()
        return texts[0] if texts else None

    def put(self, key: str, text: str, vector: np.ndarray, part: int) -> None:
        self._table.add(self._rows(Records([key], [text], vector[None]), [part]))

    def delete(self, key: str) -> None:
        self._table.delete(f"key = {_quoted(key)}")


class LanceHnsw(LanceFlat):
    """LanceDB with an index of the vectors."""

    about = "HNSW over 8 bits, its defaults; indexes of key and part"

    def arrange(self) -> None:
        from lancedb.index import HnswSq

        super().arrange()
        self._table.create_index("vector", config=HnswSq(distance_type="cosine"))
        self._table.wait_for_index(["vector_idx"], timedelta(minutes=10))


class Qdrant(Program):
    """Qdrant's client in local mode."""

    needs = ("qdrant_client",)
    about = "local mode: NumPy scan"

    def open(self, *, new: bool) -> None:
        import warnings

        from qdrant_client import QdrantClient, models

        warnings.simplefilter("ignore")  # local mode is not for so many, it says
        self._models = models
        self._client = QdrantClient(path=str(self.home))
        if new:
            self._client.create_collection(
                "records",
                vectors_config=models.VectorParams(
                    size=self.dimension, distance=models.Distance.COSINE
                ),
            )

    @staticmethod
    def _id(key: str) -> str:
        """Its ids are numbers and UUIDs."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, key))

    def _point(self, key: str, text: str, vector: np.ndarray, part: int) -> Any:
        about = {"key": key, "text": text, "part": part}
        return self._models.PointStruct(id=self._id(key), vector=vector.tolist(), payload=about)

    def load(self, records: Records) -> Iterator[int]:
        for some, rows in records.steps(1000):
            parts = (row % PARTS for row in rows)
            points = map(self._point, some.keys, some.texts, some.vectors, parts)
            self._client.upsert("records", list(points))
            yield rows.stop

    def search(self, vector: np.ndarray, part: int | None = None) -> Found:
        only = None
        if part is not None:
            match = self._models.MatchValue(value=part)
            only = self._models.Filter(must=[self._models.FieldCondition(key="part", match=match)])
        found = self._client.query_points(
            "records", query=vector, query_filter=only, limit=K, with_payload=["key", "text"]
        )
        return [(point.payload["key"], point.payload["text"]) for point in found.points]

    def get(self, key: str) -> str | None:
        found = self._client.retrieve("records", ids=[self._id(key)], with_payload=["text"])
        return found[0].payload["text"] if found else None

    def put(self, key: str, text: str, vector: np.ndarray, part: int) -> None:
        self._client.upsert("records", [self._point(key, text, vector, part)])

    def delete(self, key: str) -> None:
        self._client.delete("records", points_selector=[self._id(key)])

    def close(self) -> None:
        self._client.close()


class SqliteVec(Program):
    """sqlite-vec, in an SQLite that loads extensions."""

    needs = ("pysqlite3", "sqlite_vec")
    about = "scan; WAL, synchronous NORMAL, as qkv"

    def open(self, *, new: bool) -> None:
        import pysqlite3
        import sqlite_vec

        self._connection = pysqlite3.connect(str(self.home / "store.db"), isolation_level=None)
        self._connection.enable_load_extension(True)
        sqlite_vec.load(self._connection)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if new:
            self._connection.execute(
                "CREATE VIRTUAL TABLE records USING vec0 (key TEXT PRIMARY KEY, part INTEGER, "
                f"vector float[{self.dimension}] distance_metric=cosine, +text TEXT)"
            )

    _INSERT = "INSERT INTO records (key, text, part, vector) VALUES (?, ?, ?, ?)"

    def load(self, records: Records) -> Iterator[int]:
        parts = (row % PARTS for row in range(len(records)))
        rows = zip(records.keys, records.texts, parts, _blobs(records.vectors), strict=True)
        self._connection.execute("BEGIN")
        self._connection.executemany(self._INSERT, rows)
        self._connection.execute("COMMIT")
        yield len(records)

    def search(self, vector: np.ndarray, part: int | None = None) -> Found:
        only, values = ("", ()) if part is None else (" AND part = ?", (part,))
        found: Found = self._connection.execute(
            f"SELECT key, text FROM records WHERE vector MATCH ? AND k = {K}{only} "
            "ORDER BY distance",
            (vector.tobytes(), *values),
        ).fetchall()
        return found

    def get(self, key: str) -> str | None:
        row = self._connection.execute("SELECT text FROM records WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def put(self, key: str, text: str, vector: np.ndarray, part: int) -> None:
        self._connection.execute(self._INSERT, (key, text, part, vector.tobytes()))

    def delete(self, key: str) -> None:
        self._connection.execute("DELETE FROM records WHERE key = ?", (key,))

    def close(self) -> None:
        self._connection.close()


class DuckDB(Program):
    """DuckDB with arrays."""

    needs = ("duckdb", "pyarrow")
    about = "scan by array_cosine_similarity; indexes of key and part"

    def open(self, *, new: bool) -> None:
        import duckdb

        self._connection = duckdb.connect(str(self.home / "store.duckdb"))
        if new:
            self._connection.execute(
                "CREATE TABLE records (key VARCHAR PRIMARY KEY, text VARCHAR, part INTEGER, "
                f"vector FLOAT[{self.dimension}])"
            )

    def load(self, records: Records) -> Iterator[int]:
        import pyarrow as pa

        flat = pa.array(records.vectors.ravel(), pa.float32())
        table = pa.table(
            {
                "key": pa.array(records.keys),
                "text": pa.array(records.texts),
                "part": pa.array(np.arange(len(records)) % PARTS, pa.int32()),
                "vector": pa.FixedSizeListArray.from_arrays(flat, self.dimension),
            }
        )
        self._connection.register("loaded", table)
        self._connection.execute("INSERT INTO records SELECT * FROM loaded")
        self._connection.unregister("loaded")
        yield len(records)

    def arrange(self) -> None:
        self._connection.execute("CREATE INDEX parts ON records (part)")

    def search(self, vector: np.ndarray, part: int | None = None) -> Found:
        where, values = ("", []) if part is None else ("WHERE part = ?", [part])
        found: Found = self._connection.execute(
            f"SELECT key, text FROM records {where} ORDER BY "
            f"array_cosine_similarity(vector, ?::FLOAT[{self.dimension}]) DESC LIMIT {K}",
            [*values, vector],
        ).fetchall()
        return found

    def get(self, key: str) -> str | None:
        row = self._connection.execute("SELECT text FROM records WHERE key = ?", [key]).fetchone()
        return None if row is None else row[0]

    def put(self, key: str, text: str, vector: np.ndarray, part: int) -> None:
        self._connection.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?)", [key, text, part, vector]
        )

    def delete(self, key: str) -> None:
        self._connection.execute("DELETE FROM records WHERE key = ?", [key])

    def close(self) -> None:
        self._connection.close()


class DuckVss(DuckDB):
    """DuckDB with its extension for HNSW."""

    about = "HNSW of the extension vss"

    def open(self, *, new: bool) -> None:
        super().open(new=new)
        self._connection.execute("INSTALL vss")
        self._connection.execute("LOAD vss")
        self._connection.execute("SET hnsw_enable_experimental_persistence = true")

    def arrange(self) -> None:
        super().arrange()
        self._connection.execute(
            "CREATE INDEX near ON records USING HNSW (vector) WITH (metric = 'cosine')"
        )


class MilvusLite(Program):
    """Milvus Lite: Milvus in this process."""

    needs = ("pymilvus", "milvus_lite")
    about = "AUTOINDEX, its default"

    def open(self, *, new: bool) -> None:
        from pymilvus import DataType, MilvusClient

        self._client = MilvusClient(str(self.home / "store.db"))
        if not new:
            self._client.load_collection("records")
            return
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=1024)
        schema.add_field("text", DataType.VARCHAR, max_length=8192)
        schema.add_field("part", DataType.INT64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self.dimension)
        indexes = self._client.prepare_index_params()
        indexes.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        self._client.create_collection("records", schema=schema, index_params=indexes)

    @staticmethod
    def _row(key: str, text: str, vector: np.ndarray, part: int) -> dict[str, Any]:
        return {"key": key, "text": text, "vector": vector, "part": part}

    def load(self, records: Records) -> Iterator[int]:
        for some, rows in records.steps(5000):
            parts = (row % PARTS for row in rows)
            made = map(self._row, some.keys, some.texts, some.vectors, parts)
            self._client.insert("records", list(made))
            yield rows.stop

    def arrange(self) -> None:
        self._client.flush("records")

    def search(self, vector: np.ndarray, part: int | None = None) -> Found:
        (found,) = self._client.search(
            "records",
            [vector],
            limit=K,
            output_fields=["key", "text"],
            filter="" if part is None else f"part == {part}",
        )
        return [(hit["entity"]["key"], hit["entity"]["text"]) for hit in found]

    def get(self, key: str) -> str | None:
        found = self._client.get("records", ids=[key], output_fields=["text"])
        return found[0]["text"] if found else None

    def put(self, key: str, text: str, vector: np.ndarray, part: int) -> None:
        self._client.insert("records", [self._row(key, text, vector, part)])

    def delete(self, key: str) -> None:
        self._client.delete("records", ids=[key])

    def close(self) -> None:
        self._client.close()


class ByHand(Program):
    """What one would write oneself: a table of SQLite, and its vectors in one array of NumPy."""

    needs = ("sqlite3",)
    about = "one table, and `matrix @ vector`; WAL, synchronous NORMAL"

    def open(self, *, new: bool) -> None:
        self._connection = sqlite3.connect(self.home / "store.db", isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        if new:
            self._connection.execute(
                "CREATE TABLE records (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, "
                "text TEXT NOT NULL, part INTEGER NOT NULL, vector BLOB NOT NULL)"
            )

    @cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids and vectors, read when they are first needed after a write."""
        (total,) = self._connection.execute("SELECT count(*) FROM records").fetchone()
        ids, vectors = np.empty(total, np.int64), np.empty((total, self.dimension), np.float32)
        rows = self._connection.execute("SELECT id, vector FROM records")
        for row, (number, vector) in enumerate(rows):
            ids[row], vectors[row] = number, np.frombuffer(vector, np.float32)
        return ids, vectors

    _INSERT = "INSERT INTO records (key, text, part, vector) VALUES (?, ?, ?, ?)"

    def load(self, records: Records) -> Iterator[int]:
        parts = (row % PARTS for row in range(len(records)))
        rows = zip(records.keys, records.texts, parts, _blobs(records.vectors), strict=True)
        self._connection.execute("BEGIN")
        self._connection.executemany(self._INSERT, rows)
        self._connection.execute("COMMIT")
        yield len(records)

    def arrange(self) -> None:
        self._connection.execute("CREATE INDEX parts ON records (part)")

    def search(self, vector: np.ndarray, part: int | None = None) -> Found:
        ids, vectors = self._known
        if part is not None:
            passing = self._connection.execute("SELECT id FROM records WHERE part = ?", (part,))
            ids = np.array([number for (number,) in passing])
            vectors = vectors[np.searchsorted(self._known[0], ids)]
        scores = vectors @ vector
        best = np.argpartition(-scores, K)[:K]
        best = best[np.argsort(-scores[best])]
        marks = ", ".join("?" * K)
        wanted = ids[best].tolist()
        rows = self._connection.execute(
            f"SELECT id, key, text FROM records WHERE id IN ({marks})", wanted
        )
        found = {number: (key, text) for number, key, text in rows}
        return [found[number] for number in wanted]

    def get(self, key: str) -> str | None:
        row = self._connection.execute("SELECT text FROM records WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def put(self, key: str, text: str, vector: np.ndarray, part: int) -> None:
        self._connection.execute(self._INSERT, (key, text, part, vector.tobytes()))
        self.__dict__.pop("_known", None)

    def delete(self, key: str) -> None:
        self._connection.execute("DELETE FROM records WHERE key = ?", (key,))
        self.__dict__.pop("_known", None)

    def close(self) -> None:
        self._connection.close()


PROGRAMS: dict[str, type[Program]] = {
    "qkv": Qkv,
    "Chroma": Chroma,
    "LanceDB": LanceFlat,
    "LanceDB, HNSW": LanceHnsw,
    "Qdrant, local": Qdrant,
    "sqlite-vec": SqliteVec,
    "DuckDB": DuckDB,
    "DuckDB, vss": DuckVss,
    "Milvus Lite": MilvusLite,
    "SQLite and NumPy, by hand": ByHand,
}


def _quoted(text: str) -> str:
    """A literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _blobs(vectors: np.ndarray) -> Iterator[bytes]:
    return (vector.tobytes() for vector in vectors)


# ── the phases: each says what it found as soon as it knows ──────────────────────────────────

Say = Callable[..., None]


def load(begin: Callable[[], Program], data: Path, turn: int, say: Say) -> None:  # noqa: ARG001
    """Write everything, build what there is to build, ask once, close."""
    records = Records.read(data, "records")
    program = begin()
    start = time.perf_counter()
    for done in program.load(records):
        say(loaded=done, load=time.perf_counter() - start)
    program.arrange()
    program.search(records.vectors[0])
    say(searchable=time.perf_counter() - start)
    program.close()
    say(memory_loading=_peak())


def ask(begin: Callable[[], Program], data: Path, turn: int, say: Say) -> None:
    """In a fresh process: open, and answer questions of each kind."""
    queries = np.load(data / "queries.npy")
    keys = json.loads((data / "asked.json").read_text(encoding="utf-8"))
    # Whoever is slow answers only some: others in each turn.
    order = np.roll(np.arange(len(queries)), -turn * len(queries) // 2).tolist()
    start = time.perf_counter()
    program = begin()
    program.search(queries[order[-1]])
    say(open=time.perf_counter() - start)
    for row in order[-WARM:]:
        program.search(queries[row])
        program.search(queries[row], row % PARTS)
    times, found = _timed(program.search, [(queries[row],) for row in order])
    say(query=times, found=_answers(order, found))
    times, found = _timed(program.search, [(queries[row], row % PARTS) for row in order])
    say(query_in_part=times, found_in_part=_answers(order, found))
    say(get=_timed(program.get, [(key,) for key in keys])[0])
    say(memory=_peak())
    more = {}
    for name, question in program.more().items():
        question(queries[order[-1]])
        more[name] = _timed(question, [(queries[row],) for row in order])[0]
        say(more=more)
    program.close()


def write(begin: Callable[[], Program], data: Path, turn: int, say: Say) -> None:  # noqa: ARG001
    """In a fresh process: insert and delete single records, and die of a signal."""
    fresh = Records.read(data, "fresh")
    queries = np.load(data / "queries.npy")
    gone = json.loads((data / "asked.json").read_text(encoding="utf-8"))[:DELETED]
    program = begin()
    program.search(queries[0])
    new = list(zip(fresh.keys, fresh.texts, fresh.vectors, repeat(0), strict=False))
    times, _ = _timed(program.put, new[:WRITTEN], once=True)
    say(insert=times, written=fresh.keys[: len(times)])
    times, _ = _timed(program.delete, [(key,) for key in gone], once=True)
    say(delete=times, deleted=gone[: len(times)])
    after: list[float] = []
    for record, query in zip(new[WRITTEN:], queries, strict=False):
        program.put(*record)
        after += _timed(program.search, [(query,)], once=True)[0]
        if sum(after) > PATIENCE:
            break
    say(query_after_insert=after)
    os.kill(os.getpid(), signal.SIGKILL)


def check(begin: Callable[[], Program], data: Path, turn: int, say: Say) -> None:  # noqa: ARG001
    """Is what was written there, and what was deleted not?"""
    written, deleted = json.loads((data / "expected.json").read_text(encoding="utf-8"))
    program = begin()
    say(
        kept=sum(program.get(key) is not None for key in written),
        gone=sum(program.get(key) is None for key in deleted),
    )
    program.close()


PHASES = {"load": load, "ask": ask, "write": write, "check": check}


def _timed(
    question: Callable[..., Any], asked: Sequence[tuple[Any, ...]], *, once: bool = False
) -> tuple[list[float], list[Any]]:
    """Seconds of each call, over and over, until there are enough or patience ends; and answers."""
    times: list[float] = []
    answers = []
    gc.collect()
    end = time.perf_counter() + PATIENCE
    while len(times) < (len(asked) if once else ASKED) and time.perf_counter() < end:
        arguments = asked[len(times) % len(asked)]
        start = time.perf_counter()
        answer = question(*arguments)
        times.append(time.perf_counter() - start)
        if len(answers) < len(asked):
            answers.append(answer)
    return times, answers


def _answers(rows: Sequence[int], found: Sequence[Found]) -> dict[int, list[str]]:
    """Query → the keys that were found."""
    return {row: [key for key, _ in one] for row, one in zip(rows, found, strict=False)}


def _peak() -> float | None:
    """Most memory that this process held at once, in MB; nothing where the system does not say."""
    # Not getrusage: that begins with what the parent held when it started this process.
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6


def main() -> None:
    """Do one phase of one program."""
    name, phase, turn, data, home, results = sys.argv[1:]
    dimension = np.load(Path(data) / "queries.npy").shape[1]
    with Path(results).open("a", encoding="utf-8") as file:

        def say(**facts: Any) -> None:
            file.write(json.dumps(facts) + "\n")
            file.flush()

        try:
            start = time.perf_counter()
            for package in PROGRAMS[name].needs:
                importlib.import_module(package)
            say(imported=time.perf_counter() - start)
            PHASES[phase](lambda: PROGRAMS[name](Path(home), dimension), Path(data), int(turn), say)
        except Exception as error:
            # Whatever a program raises is its result.
            say(failed=f"{type(error).__name__}: {error}".split("\n", 1)[0])
            raise


if __name__ == "__main__":
    main()
