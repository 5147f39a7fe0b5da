"""Tables: records, vectors, settings, and the changes since a version.

One SQLite file in WAL mode is the truth. One call is one transaction. Each transaction that
writes adds one to the *clock*; a record carries the clock of its last change, and a deletion
leaves its number behind, so that what is derived from the file can be caught up by asking for
everything newer than its own clock. docs/file-format.md describes the file.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, count, repeat
from typing import NamedTuple

import numpy as np

from qkv.errors import CorruptFile, FileError
from qkv.filters import Filter
from qkv.tables import statements as sql
from qkv.tables.file import MEND
from qkv.tables.lessons import LessonTables
from qkv.tables.vectors import HALF, PRECISION, SINGLE
from qkv.tables.words import numbers
from qkv.types import Integers
from qkv.values import Stored

__all__ = ["VALUED", "Batch", "Changes", "Tables"]

#: Setting that says whether any value has a vector.
VALUED = "valued"

#: Records fetched at a time.
_BATCH = 10_000
#: Deletions between two looks at how much of the file is free, and pages worth giving back, if they
#: are a quarter of all.
_LOOK, _FREE = 500, 500


class Batch(NamedTuple):
    """Some records that are new or changed; a vector is None where only the value changed.

    The vector of a value is None where it has none.
    """

    ids: list[int]
    values: list[tuple[str, Stored]]
    vectors: list[bytes | None]
    of_values: list[bytes | None]


class Changes(NamedTuple):
    """What happened after a version; `anew` says to forget what was known before.

    Vectors are as they are kept, in this precision: see :mod:`qkv.tables.vectors`.
    """

    version: int
    anew: bool
    total: int
    deleted: list[int]
    changed: Iterator[Batch]
    precision: str


class Tables(LessonTables):
    """The tables of one store.

    Parameters
    ----------
    path : path or None
        The file; None keeps the store in memory.
    durability : {"normal", "full"}
        ``"normal"`` survives the death of the process, ``"full"`` also the loss of power.
    timeout : float
        Seconds to wait for another writer.
    """

    _freed = 0

    # ── settings ─────────────────────────────────────────────────────────────────────────────

    def settings(self) -> dict[str, str]:
        """All settings."""
        return dict(self.all(sql.SETTINGS))

    def begin(self, **settings: str) -> dict[str, str]:
        """Write settings that are not there yet, and return those that hold: the first decides."""
        with self.writing() as (connection, _):
            connection.executemany(sql.BEGIN, settings.items())
            return dict(connection.execute(sql.SETTINGS).fetchall())

    def keep(self, name: str, value: str, *, at_once: bool = False) -> None:
        """Write a setting over what is there; the clock stays as it is.

        Parameters
        ----------
        name, value : str
        at_once : bool
            Do not wait for another writer.

        Raises
        ------
        Locked
            If another writer holds the file.
        """
        wait = 0.0 if at_once else self._timeout
        with self._waiting(wait), self.writing(unnoticed=True) as (connection, _):
            connection.execute(sql.KEEP, (name, value))

    def precision(self) -> str:
        """How vectors are kept: see :mod:`qkv.tables.vectors`."""
        row = self.one(sql.SETTING, PRECISION)
        return SINGLE if row is None else HALF if row[0] == HALF else SINGLE

    def changed_since(self, version: int) -> int:
        """How many records came, went or changed after a version of the clock."""
        return int(self.one(sql.COUNT_SINCE, version)[0]) + int(
            self.one(sql.COUNT_DELETED, version)[0]
        )

    @contextmanager
    def _waiting(self, seconds: float) -> Iterator[None]:
        """Wait so long for another writer meanwhile."""
        with self._lock:
            self.one(sql.WAIT.format(milliseconds=int(seconds * 1000)))
            try:
                yield
            finally:
                self.one(sql.WAIT.format(milliseconds=int(self._timeout * 1000)))

    # ── records ──────────────────────────────────────────────────────────────────────────────

    def __len__(self) -> int:
        return int(self.one(sql.COUNT)[0])

    def count_metadata(self) -> int:
        """How many records have metadata."""
        return int(self.one(sql.COUNT_METADATA)[0])

    def pages(self) -> Iterator[list[tuple[int, str, str, Stored, str | None]]]:
        """All records (id, key, kind, stored, metadata) in order, a thousand at a time."""
        last = 0
        while page := self.all(sql.PAGE, last):
            yield page
            last = page[-1][0]

    def pages_back(self) -> Iterator[list[tuple[int, str, str, Stored, str | None]]]:
        """The same in reverse order."""
        last = sys.maxsize
        while page := self.all(sql.PAGE_BACK, last):
            yield page
            last = page[-1][0]

    def known(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that are in the store."""
        found: set[str] = set()
        if len(keys) == 1:
            return set(keys) if self.one(sql.HAS, keys[0]) else found
        for start in range(0, len(keys), sql.AT_ONCE):
            part = list(keys[start : start + sql.AT_ONCE])
            part += part[:1] * (sql.AT_ONCE - len(part))
            found.update(key for (key,) in self.all(sql.KNOWN, *part))
        return found

    def records(self, ids: Sequence[int]) -> dict[int, tuple[str, str, Stored, str | None]]:
        """Key, kind, stored value and metadata by id; ids that are gone are missing."""
        return {id: (key, *rest) for id, key, *rest in self.all(sql.RECORDS, json.dumps(ids))}

    def keys(self, ids: Sequence[int]) -> dict[int, str]:
        """Keys of records by id, queries of corrections; ids that are gone are missing."""
        keys = dict(self.all(sql.KEYS, json.dumps(ids)))
        if ids and min(ids) < 0:
            keys |= dict(self.all(sql.CORRECTED_QUERIES, json.dumps(ids)))
        return keys

    def texts_of(self, ids: Sequence[int]) -> list[str]:
        """The same, one for each id; the empty text for one that is gone."""
        keys = self.keys(ids)
        return [keys.get(id, "") for id in ids]

    def put(
        self,
        keys: Sequence[str],
        values: Sequence[tuple[str, Stored]],
        vectors: Sequence[bytes | None],
        missing: Callable[[list[str]], Iterable[bytes]],
        *,
        of_values: Sequence[bytes | None] | None = None,
        metadata: Sequence[str | None] | None = None,
        replace: bool = True,
    ) -> None:
        """Write records in one transaction, the last of equal keys winning.

        Parameters
        ----------
        keys, values, vectors : sequence
            The records, side by side; a vector is None where the stored one stays.
        missing : callable
            Makes vectors for keys that turn out to have none (another writer deleted them since
            the caller looked).
        of_values : sequence, optional
            Vectors of the values, None for those that have none; by default none has.
        metadata : sequence, optional
            JSON objects, or None where what is stored stays.
        replace : bool
            False leaves records alone that are there already.
        """
        about: Iterable[str | None] = metadata or repeat(None, len(keys))
        beside: Sequence[bytes | None] = of_values or [None] * len(keys)
        with self.writing() as (connection, version):
            (last,) = connection.execute(sql.NEWEST).fetchone()
            connection.executemany(
                sql.PUT if replace else sql.PUT_NEW,
                (
                    (key, *value, more, version)
                    for key, value, more in zip(keys, values, about, strict=True)
                ),
            )
            grown = self._put_vectors(connection, version, last, keys, vectors, beside)
            if None in vectors:
                bare = [key for (key,) in connection.execute(sql.WITHOUT_VECTOR, (version,))]
                made = missing(bare) if bare else ()
                connection.executemany(
                    sql.PUT_VECTOR, ((v, version, key) for v, key in zip(made, bare, strict=True))
                )
            if of_values is not None and (grown != len(keys) or None in vectors):
                last_wins = dict(zip(keys, of_values, strict=True))
                connection.executemany(
                    sql.PUT_OF_VALUE, ((v, version, key) for key, v in last_wins.items())
                )
            if any(beside):
                connection.execute(sql.BEGIN, (VALUED, "1"))
            self._wrote(connection, version)

    def _put_vectors(
        self,
        connection: sqlite3.Connection,
        version: int,
        last: int,
        keys: Sequence[str],
        vectors: Sequence[bytes | None],
        of_values: Sequence[bytes | None],
    ) -> int:
        """Write the vectors of records that were just written, and count those that are new."""
        first, grown = connection.execute(sql.NEWER, (last,)).fetchone()
        if grown:
            connection.execute(sql.GREW, (grown,))
        if grown and grown == len(keys):  # all new: their ids follow each other, in order
            rows = zip(count(first), vectors, of_values)
            connection.executemany(
                sql.NEW_VECTOR, ((id, v, said, version) for id, v, said in rows if v is not None)
            )
        else:
            connection.executemany(
                sql.PUT_VECTOR,
                ((v, version, key) for key, v in zip(keys, vectors, strict=True) if v is not None),
            )
        return int(grown)

    def pop(self, key: str) -> tuple[str, Stored] | None:
        """Delete a record and return its kind and stored value; None if there is none."""
        if self.one(sql.HAS, key) is None:
            return None  # no reason to wait for another writer
        with self.writing() as (connection, version):
            row = connection.execute(sql.POP, (key,)).fetchone()
            if row is None:
                return None
            self._deleted(connection, version, row[0], row[1])
        self._give_back()
        return row[2], row[3]

    def pop_last(self) -> tuple[str, str, Stored] | None:
        """Delete the newest record and return key, kind and stored value; None if empty."""
        with self.writing() as (connection, version):
            row = connection.execute(sql.POP_LAST).fetchone()
            if row is None:
                return None
            self._deleted(connection, version, row[0], row[1])
        self._give_back()
        return row[1], row[2], row[3]

    def _deleted(self, connection: sqlite3.Connection, version: int, id: int, key: str) -> None:
        for (one,) in connection.execute(sql.DROP_CORRECTIONS, (key,)).fetchall():
            connection.execute(sql.NOTE_DELETION, (-1 - one, version))
        connection.execute(sql.DROP_VECTOR, (id,))
        connection.execute(sql.NOTE_DELETION, (id, version))
        connection.execute(sql.GREW, (-1,))
        if self._has_words:
            connection.execute(sql.DROP_WORDS, (id,))

    def clear(self) -> None:
        """Delete every record."""
        with self.writing() as (connection, _):
            begun = self._has_words
            for statement in (*sql.CLEAR, *sql.END_WORDS):
                connection.execute(statement)
            if begun:  # quicker than to delete them one by one
                self._begin_words(connection)
        self._give_back(at_once=True)

    def compact(self) -> None:
        """Write the file anew without the space of what was deleted.

        Raises
        ------
        Locked, ReadOnlyFile, DiskFull
            If it cannot be written; it needs as much space again meanwhile.
        """
        with self.writing(unnoticed=True) as (connection, _):
            gone = [connection.execute(statement).rowcount for statement in sql.FORGET]
        with self._errors(), self._lock:
            free, _ = self._sql().execute(sql.FREE).fetchone()
            if free or any(gone):  # else nothing was deleted since the last time
                self._sql().execute(sql.VACUUM)
            if self.path is not None:
                self._sql().execute(sql.SHORTEN_LOG).fetchall()

    def _give_back(self, *, at_once: bool = False) -> None:
        """Shorten the file now and then, where much of it is free.

        Files of before this was thought of keep their size until :meth:`compact`.
        """
        self._freed += 1
        if self.path is None or (self._freed % _LOOK and not at_once):
            return
        with suppress(FileError), self._errors(), self._lock:  # another time will do
            connection = self._sql()
            free, pages = connection.execute(sql.FREE).fetchone()
            if free >= _FREE and free * 4 >= pages:
                connection.execute(sql.GIVE_BACK.format(pages=free)).fetchall()

    # ── what changed ─────────────────────────────────────────────────────────────────────────

    def version(self) -> int:
        """The clock: grows by one with each transaction that writes, of any process."""
        return int(self.one(sql.CLOCK)[0])

    @contextmanager
    def changes(self, since: int | None) -> Iterator[Changes]:
        """Everything that is newer than a version, as of one moment.

        Parameters
        ----------
        since : int or None
            The version that the caller has; None for everything.
        """
        with self.moment() as connection:
            version, floor, count, _ = connection.execute(sql.CLOCK).fetchone()
            anew = since is None or since < floor
            if anew:
                (told,) = connection.execute(sql.COUNT_CORRECTIONS).fetchone()
                count += told
                deleted, batches = [], _everything(connection)
            else:
                deleted = [id for (id,) in connection.execute(sql.DELETED, (since,))]
                corrected = _changed(connection.execute(sql.CHANGED_CORRECTIONS, (since,)))
                batches = chain(corrected, _changed(connection.execute(sql.CHANGED, (since,))))
            yield Changes(version, anew, count, deleted, batches, self.precision())

    def counted(self) -> tuple[int, int, int]:
        """The clock, the version since which nothing was forgotten, and how many records."""
        version, floor, count, _ = self.one(sql.CLOCK)
        return int(version), int(floor), int(count)

    def texts_since(self, version: int) -> list[tuple[str, str, Stored]]:
        """Key, kind and stored value of the records that were written after a version."""
        return [(key, kind, value) for _, key, kind, value in self.all(sql.TEXTS_SINCE, version)]

    # ── filters ──────────────────────────────────────────────────────────────────────────────

    def matching(self, where: Filter) -> Integers:
        """Ids of the records that pass a filter, ascending: array (m,), int64."""
        statement = sql.MATCHING.format(condition=where.condition)
        return np.sort(numbers(self.one(statement, *where.values)[0]))

    def index_field(self, name: str, expression: str) -> None:
        """Make an index of an expression that filters use, if there is none.

        Raises
        ------
        Locked
            At once, if another writer holds the file: no reader should wait for an index.
        """
        if self.one(sql.HAS_INDEX, name) is not None:
            return
        with self._waiting(0), self.writing() as (connection, _):
            connection.execute(sql.INDEX_FIELD.format(name=name, expression=expression))


def _changed(cursor: sqlite3.Cursor) -> Iterator[Batch]:
    while rows := cursor.fetchmany(_BATCH):
        ids, kinds, stored, vectors, of_values = zip(*rows, strict=True)
        values = list(zip(kinds, stored, strict=True))
        yield Batch(list(ids), values, list(vectors), list(of_values))


def _everything(connection: sqlite3.Connection) -> Iterator[Batch]:
    yield from _changed(connection.execute(sql.EVERY_CORRECTION))
    values = connection.execute(sql.EVERY_VALUE)
    vectors = connection.execute(sql.EVERY_VECTOR)
    while rows := values.fetchmany(_BATCH):
        blobs = vectors.fetchmany(_BATCH)
        ids, kinds, stored = zip(*rows, strict=True)
        if ids != tuple(id for id, *_ in blobs):
            raise CorruptFile("records and vectors do not match; " + MEND)
        pairs = list(zip(kinds, stored, strict=True))
        yield Batch(list(ids), pairs, [v for _, v, _ in blobs], [v for *_, v in blobs])
