"""The words of all records, in SQLite's FTS5: begun when first asked for, true from then on.

A store that is never searched by keyword pays nothing for it. Once begun, words are written in the
transaction of their records, by every process.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from qkv.tables import statements as sql
from qkv.tables.connection import Connection
from qkv.types import Integers
from qkv.values import Stored, text_of
from qkv.words import VERSION, tokens

__all__ = ["Document", "WordTables", "numbers"]

#: Records between two reports of progress.
_STEP = 1000

_Text = tuple[int, str, str, Stored]


class Document(NamedTuple):
    """A record as keyword search sees it: its id, and how often key and value hold which token."""

    id: int
    key: Counter[str]
    value: Counter[str]


class WordTables(Connection):
    """What keyword search asks of a store's file."""

    #: Version of the words of a file that cannot be written: they lie beside it, in memory.
    _temporary = -1

    def index_words(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Begin the index of words, unless there is one."""
        version, _, total, words = self.one(sql.CLOCK)
        if words == VERSION:
            return
        if self.read_only:
            with self._errors(), self._lock:
                self._index_beside(self._sql(), version, total, progress)
            return
        with self.writing() as (connection, _):
            if not self._has_words:  # another process may have been faster
                self._begin_words(connection, total, progress)

    def _begin_words(
        self,
        connection: sqlite3.Connection,
        total: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._fill(connection, "main", total, progress)
        connection.execute(sql.WORDS_BEGUN, (VERSION,))

    def _index_beside(
        self,
        connection: sqlite3.Connection,
        version: int,
        total: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        there = connection.execute(sql.TEMPORARY_WORDS).fetchone() is not None
        if there and self._temporary == version:
            return
        for statement in sql.DROP_TEMPORARY_WORDS:
            connection.execute(statement)
        self._fill(connection, "temp", total, progress)
        self._temporary = version

    def _fill(
        self,
        connection: sqlite3.Connection,
        schema: str,
        total: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        for statement in sql.BEGIN_WORDS:
            connection.execute(statement.format(schema=schema))
        texts = _counted(connection.execute(sql.TEXTS), total, progress)
        connection.executemany(sql.PUT_WORDS, map(_row, texts))

    def _wrote(self, connection: sqlite3.Connection, version: int) -> None:
        """Index the words of what this transaction wrote."""
        if self._has_words:
            texts = connection.execute(sql.TEXTS_OF, (version,)).fetchall()
            connection.executemany(sql.PUT_WORDS, map(_row, texts))

    # The following belong inside `moment`.

    def clock(self, connection: sqlite3.Connection) -> tuple[int, int, bool]:
        """Version, floor, and whether the index of words is there and true."""
        version, floor, _, words = connection.execute(sql.CLOCK).fetchone()
        return version, floor, words == VERSION or self._temporary == version

    def lengths(self, connection: sqlite3.Connection) -> tuple[Integers, Integers]:
        """Ids of all records, ascending: array (n,), int64; tokens of keys and values: (2, n)."""
        rows = connection.execute(sql.LENGTHS).fetchall()
        ids = np.array([id for id, _ in rows], dtype=np.int64)
        lengths = np.array([_lengths(sizes) for _, sizes in rows], dtype=np.int64)
        return ids, lengths.reshape(-1, 2).T

    def postings(
        self, connection: sqlite3.Connection, token: str, column: str | None = None
    ) -> Integers:
        """Ids of the records that hold a token, in ``"key"``, ``"value"`` or both: one each time.

        Parameters
        ----------
        connection : sqlite3.Connection
        token : str
        column : str, optional
            None: both.

        Returns
        -------
        array (h,), int64
        """
        if column is None:
            row = connection.execute(sql.POSTINGS, (token,)).fetchone()
        else:
            row = connection.execute(sql.POSTINGS_IN, (token, column)).fetchone()
        return numbers(row[0])

    def vocabulary(self, connection: sqlite3.Connection) -> list[str]:
        """All tokens of the index."""
        return [token for (token,) in connection.execute(sql.VOCABULARY)]

    def count_rewritten(self, connection: sqlite3.Connection, since: int) -> int:
        """How many records were written after a version."""
        return int(connection.execute(sql.COUNT_SINCE, (since,)).fetchone()[0])

    def rewritten(
        self, connection: sqlite3.Connection, since: int
    ) -> tuple[list[int], list[Document]]:
        """Records that were deleted, and that were written, after a version."""
        gone = [id for (id,) in connection.execute(sql.DELETED, (since,))]
        rows = connection.execute(sql.TEXTS_SINCE, (since,))
        documents = []
        for id, key, kind, value in rows:
            documents.append(
                Document(id, Counter(tokens(key)), Counter(tokens(text_of(kind, value))))
            )
        return gone, documents


def numbers(listed: str | None) -> Integers:
    """Ids from SQLite's ``group_concat``."""
    return np.fromstring(listed, dtype=np.int64, sep=",") if listed else np.zeros(0, np.int64)


def _row(text: _Text) -> tuple[int, str, str]:
    id, key, kind, value = text
    return id, " ".join(tokens(key)), " ".join(tokens(text_of(kind, value)))


def _counted(
    texts: Iterable[_Text], total: int, progress: Callable[[int, int], None] | None
) -> Iterator[_Text]:
    done = 0
    for done, text in enumerate(texts, 1):
        yield text
        if progress is not None and done % _STEP == 0:
            progress(done, max(done, total))
    if progress is not None:
        progress(done, done)


def _lengths(sizes: bytes) -> tuple[int, int]:
    """The columns' lengths, which FTS5 keeps as big-endian numbers of 7 bits a byte."""
    if len(sizes) == 2:  # nearly always: both below 128
        return sizes[0], sizes[1]
    found, number = [], 0
    for byte in sizes:
        number = number << 7 | byte & 127
        if byte < 128:
            found.append(number)
            number = 0
    return found[0], found[1]
