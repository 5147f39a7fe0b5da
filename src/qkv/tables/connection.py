"""One connection to one SQLite file, or to memory: opened, locked, forked, closed.

WAL mode; any thread may use it, and one lock orders them. What is asked of it is in
:mod:`qkv.tables.store`.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

from qkv.errors import Closed, FileError, NewerFormat, NotADatabase, ReadOnlyFile
from qkv.tables import statements as sql
from qkv.tables.file import check_beginning, check_end, translated
from qkv.words import VERSION

__all__ = ["Connection", "Durability"]

Durability = Literal["normal", "full"]


class Connection:
    """A store's file, or memory.

    All methods may be called from any thread; one lock orders them. After a fork the child opens
    the file again by itself.

    Parameters
    ----------
    path : path or None
        The file; None keeps the store in memory.
    durability : {"normal", "full"}
        ``"normal"`` survives the death of the process, ``"full"`` also the loss of power.
    timeout : float
        Seconds to wait for another writer.
    """

    def __init__(
        self, path: Path | None, *, durability: Durability = "normal", timeout: float = 5.0
    ) -> None:
        self.path = path
        self._file = None if path is None else path.absolute()
        self.read_only = False
        self._durability = durability
        self._timeout = timeout
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._open = True
        self._still: tuple[int, ...] | None = None
        self._has_words = False
        with _GATE:  # no fork between the two
            self._connect()
            _OPEN.add(self)

    # ── opening and closing ──────────────────────────────────────────────────────────────────

    def _connect(self) -> None:
        self._writer = f"{os.getpid()} {Path(sys.argv[0]).name or 'python'}"
        self._still = None
        uri = ":memory:" if self._file is None else self._checked_uri(self._file)
        with self._errors(), _GATE:
            self._connection = self._opened(uri)

    def _opened(self, uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri,
            timeout=self._timeout,
            isolation_level=None,
            check_same_thread=False,
            uri=True,
            cached_statements=64,
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _checked_uri(self, path: Path) -> str:
        if path.is_dir():
            raise NotADatabase(f"{path} is a directory; give a file in it: {path / 'store.qkv'}")
        if not path.parent.is_dir():
            raise FileError(f"the directory {path.parent} does not exist; make it first")
        uri = path.resolve().as_uri()
        if not path.exists():
            if not os.access(path.parent, os.W_OK):
                raise ReadOnlyFile(f"{path.parent} cannot be written, so {path.name} cannot begin")
            return uri
        if not os.access(path, os.R_OK):
            raise ReadOnlyFile(f"{path} cannot be read by this user; ask its owner for it")
        check_beginning(path)
        if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
            return uri
        self.read_only = True
        wal = Path(f"{path}-wal")
        if wal.exists() and wal.stat().st_size:
            return f"{uri}?mode=ro"
        # Without a log to follow, the file can be read where no lock file can be made – as long
        # as no one writes, which a look at the file tells before each statement.
        self._still = self._signature()
        return f"{uri}?mode=ro&immutable=1"

    def _signature(self) -> tuple[int, ...]:
        signature = []
        for path in (Path(f"{self._file}"), Path(f"{self._file}-wal")):
            found = path.stat() if path.exists() else None
            signature += [found.st_mtime_ns, found.st_size, found.st_ino] if found else [0]
        return tuple(signature)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN")  # one moment: another process may be making the tables
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        blank = connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute("COMMIT")
        if self._file is not None and not blank:
            check_end(self._file, page)
        if application != sql.APPLICATION_ID and not blank:
            raise NotADatabase(
                f"{self.path} is an SQLite file of another program; qkv will not touch it"
            )
        if version > len(sql.MIGRATIONS):
            raise NewerFormat(
                f"{self.path} has format {version} and this qkv reads up to {len(sql.MIGRATIONS)}; "
                "pip install -U qkv"
            )
        if self.read_only and 0 < version < len(sql.MIGRATIONS):
            raise ReadOnlyFile(
                f"{self.path} has format {version}, this qkv reads {len(sql.MIGRATIONS)}, and the "
                "file cannot be written; open it once where it can be, or copy it"
            )
        if not self.read_only:
            if self.path is not None:
                # Before the first table: vectors of 2 KB would leave half of each 4 KB page empty.
                connection.execute("PRAGMA page_size = 8192")
                if blank:  # so that space can be given back; in a file that is there it writes
                    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
                self._log_ahead(connection)
                level = "FULL" if self._durability == "full" else "NORMAL"
                connection.execute(f"PRAGMA synchronous = {level}")
            if version < len(sql.MIGRATIONS):
                self._migrate(connection)
        connection.execute("PRAGMA cache_size = -16384")

    def _log_ahead(self, connection: sqlite3.Connection) -> None:
        """Switch to WAL mode; SQLite does not wait by itself for others who are switching."""
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                busy = getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                return

    def _migrate(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have migrated while this one waited.
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            for step in sql.MIGRATIONS[version:]:
                for statement in filter(str.strip, step.split(";")):
                    connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {sql.APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(sql.MIGRATIONS)}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None
            self._open = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return not self._open

    # A connection must not cross a fork: SQLite counts the file locks of a process in memory, and
    # a child inherits the count without the locks. So files are closed before a fork, and opened
    # again by whoever uses them next.

    def _before_fork(self) -> None:
        self._lock.acquire()
        if self.path is not None and self._connection and not self._connection.in_transaction:
            self._connection.close()
            self._connection = None

    def _after_fork(self, *, child: bool) -> None:
        if not child:
            self._lock.release()
            return
        self._lock = threading.RLock()
        if self.path is not None and self._connection is not None:
            _KEPT.append(self._connection)  # forked inside a transaction, which is the parent's
            self._connection = None

    # ── statements ───────────────────────────────────────────────────────────────────────────

    def _sql(self) -> sqlite3.Connection:
        if self._connection is not None and self._still is None:
            return self._connection  # nearly always
        if not self._open:
            raise Closed("the database is closed; open it again: qkv.Database(path=...)")
        if self._still is not None and self._still != self._signature() and self._connection:
            self._connection.close()
            self._connection = None
        if self._connection is None:
            self._connect()
        if self._connection is None:
            raise Closed(f"{self.path} could not be opened again")
        return self._connection

    def one(self, statement: str, *values: Any) -> Any:
        """First row of a query, or None."""
        try:  # what `_errors` does, without the price of a context manager: this is `db[key]`
            with self._lock:
                return self._sql().execute(statement, values).fetchone()
        except sqlite3.Error as error:
            raise translated(error, self.path, self._timeout, self._who) from error

    def all(self, statement: str, *values: Any) -> list[Any]:
        """All rows of a query."""
        with self._errors(), self._lock:
            return self._sql().execute(statement, values).fetchall()

    @contextmanager
    def writing(self, *, unnoticed: bool = False) -> Iterator[tuple[sqlite3.Connection, int]]:
        """One transaction: yields the connection and the clock; all of it happens, or nothing.

        What is written `unnoticed` leaves the clock as it is: who reads records has nothing to
        catch up with.

        Raises
        ------
        Locked
            When another writer holds the file for longer than the timeout.
        """
        with self._errors(), self._lock:
            connection = self._sql()
            if self.read_only:
                raise ReadOnlyFile(
                    f"{self.path} or its directory cannot be written; copy it to a place of yours"
                )
            self._begin(connection)
            try:
                tick = sql.NO_TICK if unnoticed else sql.TICK
                version, words = connection.execute(tick).fetchone()
                if words not in {0, VERSION}:  # of another qkv: its tokens are not ours
                    for statement in sql.END_WORDS:
                        connection.execute(statement)
                self._has_words = words == VERSION
                yield connection, version
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def moment(self) -> Iterator[sqlite3.Connection]:
        """Read at one moment: later commits of others are not seen."""
        with self._errors(), self._lock:
            connection = self._sql()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Take the write lock, and leave a name for others to read while it is held."""
        connection.execute("BEGIN IMMEDIATE")
        if self.path is None or connection.execute(sql.WRITER).fetchone() == (self._writer,):
            return
        connection.execute(sql.CLAIM, (self._writer, self._writer))
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")

    # ── errors ───────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translated(error, self.path, self._timeout, self._who) from error

    def _who(self) -> str:
        try:
            uri = f"{self._file.resolve().as_uri()}?mode=ro"  # type: ignore[union-attr]
            with _GATE, closing(sqlite3.connect(uri, uri=True)) as reader:
                (writer,) = reader.execute(sql.WRITER).fetchone()
        except sqlite3.Error:
            return "unknown"
        pid, _, program = writer.partition(" ")
        return f"process {pid}, {program}" if writer else "unknown"


_OPEN: weakref.WeakSet[Connection] = weakref.WeakSet()
#: Held while a file is opened, and during a fork: SQLite locks things of its own meanwhile.
_GATE = threading.RLock()
#: Stores that are held during a fork, and connections that must never be closed after one.
_HELD: list[Connection] = []
_KEPT: list[sqlite3.Connection] = []


def _before_fork() -> None:
    # Stores first, the gate last, as one that opens its file again takes them; once more if
    # another store was opened meanwhile.
    while True:
        with _GATE:
            fresh = [tables for tables in _OPEN if tables not in _HELD]
        for tables in fresh:
            tables._before_fork()
            _HELD.append(tables)
        _GATE.acquire()
        if all(tables in _HELD for tables in _OPEN):
            return
        _GATE.release()


def _after_fork(*, child: bool) -> None:
    for tables in _HELD:
        tables._after_fork(child=child)
    _HELD.clear()
    _GATE.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=partial(_after_fork, child=False),
        after_in_child=partial(_after_fork, child=True),
    )
