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

__all__ = ["check_header", "translated"]


def check_header(path: Path) -> None:
    """Refuse what is not SQLite, and what is shorter than it says, before SQLite touches it."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except PermissionError:
        raise ReadOnlyFile(f"{path} cannot be read by this user") from None
    size = path.stat().st_size
    if size == 0:
        return
    if not header.startswith(b"SQLite format 3\0"):
        if b"SQLite format 3\0".startswith(header):
            raise CorruptFile(f"{path} was cut short after {size} bytes; restore it from a copy")
        raise NotADatabase(
            f"{path} is not a qkv database; to load records from it: qkv import STORE {path}"
        )
    page = int.from_bytes(header[16:18], "big")
    pages = int.from_bytes(header[28:32], "big")
    wal = Path(f"{path}-wal")
    if wal.exists() and wal.stat().st_size:
        return  # a log is being followed: the file may be shorter until it is written back
    if pages * (65536 if page == 1 else page) > size:
        raise CorruptFile(
            f"{path} was cut short: {size} bytes of {pages * page}; restore it from a copy, or "
            "save what is left with: sqlite3 FILE .recover"
        )


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
        return ReadOnlyFile(f"{where} cannot be opened for writing: {error}")
    if name.startswith("SQLITE_NOTADB"):
        return NotADatabase(f"{where} is not a qkv database: {error}")
    if name.startswith("SQLITE_CORRUPT"):
        return CorruptFile(
            f"{where} was cut short or overwritten ({error}); restore it from a copy, or save what "
            "is left with: sqlite3 FILE .recover"
        )
    return FileError(f"{where}: {error} ({name or type(error).__name__})")
