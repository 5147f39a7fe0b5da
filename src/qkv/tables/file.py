"""The file itself: looked at before SQLite touches it, and what its errors mean to people."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from qkv.errors import (
    CorruptFile,
    DiskFull,
    FileError,
    Locked,
    NotADatabase,
    ReadOnlyFile,
)

__all__ = ["MEND", "check_beginning", "check_end", "translated"]

_MAGIC = b"SQLite format 3\0"
#: Bytes of the smallest page, and so of the smallest database.
_SMALLEST = 512
MEND = "restore it from a copy, or save what is left with: sqlite3 FILE .recover"
_CUT = "{path} was cut short or overwritten ({error}); " + MEND
_OTHER = "{path} is not a qkv database; to load records from it: qkv import STORE {path}"


def check_beginning(path: Path) -> None:
    """Refuse a file that is too short to be a database, which SQLite would take for an empty one.

    Longer files are left to SQLite, which knows others' files and truncated ones. Reading them here
    would let go of locks: on POSIX, closing a file drops every lock that the process has on it.
    """
    size = path.stat().st_size
    if not 0 < size < _SMALLEST:
        return
    if path.read_bytes().startswith(_MAGIC[:size]):
        raise CorruptFile(f"{path} was cut short after {size} bytes; restore it from a copy")
    raise NotADatabase(_OTHER.format(path=path))


def check_end(path: Path, page: int) -> None:
    """Refuse a file whose last page was cut, which SQLite only sees when it reads that page."""
    log = Path(f"{path}-wal")
    followed = log.exists() and log.stat().st_size > 0  # pages may still be on their way
    if path.stat().st_size % page and not followed:
        raise CorruptFile(_CUT.format(path=path, error="its last page is not whole"))


def translated(
    error: sqlite3.Error, path: Path | None, timeout: float, writer: Callable[[], str]
) -> FileError:
    """Say what an SQLite error means for the person who sees it.

    Parameters
    ----------
    error : sqlite3.Error
    path : path or None
        The file.
    timeout : float
        Seconds that were waited for another writer.
    writer : callable
        Names the process that wrote last, or is writing.
    """
    name = getattr(error, "sqlite_errorname", "") or ""
    where = path or "the store"
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Locked(
            f"{where} is being written by another process ({writer()}), and {timeout:g} s of "
            "waiting were not enough; wait for it, or give timeout= more seconds"
        )
    if name.startswith("SQLITE_FULL"):
        return DiskFull(
            f"no room left for {where}; nothing of this call was written. Free some space and "
            "repeat it"
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return ReadOnlyFile(f"{where} cannot be opened or written here: {error}")
    if name.startswith("SQLITE_NOTADB"):
        return NotADatabase(_OTHER.format(path=where))
    if name.startswith("SQLITE_CORRUPT"):
        return CorruptFile(_CUT.format(path=where, error=error))
    return FileError(f"{where}: {error} ({name or type(error).__name__})")
