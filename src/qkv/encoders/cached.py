"""Vectors kept by the content of their texts: what was encoded once is not encoded again."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from os import PathLike
from pathlib import Path
from typing import TypeVar

import numpy as np

from qkv.encoders.protocol import Encoder, encode_all, encode_queries, fingerprint, weak
from qkv.errors import NotADatabase
from qkv.types import Floats

T = TypeVar("T")

__all__ = ["CachedEncoder"]

#: Days after which a vector is forgotten.
KEPT = 30
_DAY = 86_400
#: Marks the file as ours: "qkve" as a number, in SQLite's application_id.
_APPLICATION_ID = 0x716B7665

_CREATE = (
    """
    CREATE TABLE IF NOT EXISTS vectors (
        hash     BLOB PRIMARY KEY,
        day      INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        vector   BLOB NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS vectors_by_day ON vectors (day)",
)
_FIND = "SELECT checksum, vector FROM vectors WHERE hash = ?"
_KEEP = "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)"
_FORGET = "DELETE FROM vectors WHERE day < ?"
_DISCARD = "DELETE FROM vectors WHERE hash = ?"
_ANY = "SELECT 1 FROM vectors LIMIT 1"


class CachedEncoder:
    """An encoder that remembers, in a file, what it has encoded.

    The file is a small SQLite database: hash of (fingerprint, side, text) → vector. It is derived
    data: it may be deleted at any time, vectors in it that fail their checksum do not count, and
    where it cannot be written nothing is kept; the answers are the same in any case. Each call is
    written when it is done, so long work that is interrupted goes on where it stopped. Vectors are
    forgotten after 30 days.

    A store with a file does this by itself, for encoders whose attribute ``costly`` is true: what
    an interrupted ``update`` has encoded waits in ``<file>-index/encodings.sqlite``, until an
    ``update`` has stored it.

    Parameters
    ----------
    encoder : Encoder
        Its ``fingerprint`` should change whenever its vectors would.
    path : path
        The file; its directory is made if it is missing.
    disposable : bool
        Replace a damaged file, whatever it is; without this, it is left alone.

    Raises
    ------
    NotADatabase
        When encoding, if the file is damaged or another program's, and not disposable.

    Examples
    --------
    >>> from qkv.encoders import HashingEncoder
    >>> encoder = CachedEncoder(HashingEncoder(), "encodings.sqlite")
    >>> encoder.fingerprint
    'hashing-256-v1'
    """

    costly = False  # remembered already

    def __init__(
        self, encoder: Encoder, path: str | PathLike[str], *, disposable: bool = False
    ) -> None:
        self.encoder = encoder
        self.path = Path(path)
        self.disposable = disposable
        self.fingerprint = fingerprint(encoder)
        self.weak = weak(encoder)
        self._lock = threading.Lock()

    def encode(self, texts: list[str]) -> Floats:
        """Turn n keys into an array (n, d), float32: from the file, or by the encoder."""
        return self._remembered("key", texts)

    def encode_queries(self, texts: list[str]) -> Floats:
        """The same for queries."""
        # One memory for both sides where the encoder makes no difference between them.
        side = "query" if hasattr(self.encoder, "encode_queries") else "key"
        return self._remembered(side, texts)

    def discard(self, texts: Sequence[str]) -> None:
        """Forget keys: they are stored elsewhere now. The file goes with the last of them."""
        hashes = [(self._hash("key", text),) for text in texts]

        def forget(file: sqlite3.Connection) -> bool:
            file.executemany(_DISCARD, hashes)
            return file.execute(_ANY).fetchone() is None

        if self.path.exists() and self._with_file(forget):
            self._remove()

    def _remembered(self, side: str, texts: list[str]) -> Floats:
        hashes = [self._hash(side, text) for text in texts]
        found = self._find(hashes)
        missing = {h: text for h, text in zip(hashes, texts, strict=True) if h not in found}
        if missing:
            fresh = self._encode(side, list(missing.values()))
            if any(len(vector) != fresh.shape[1] for vector in found.values()):
                # The encoder changed, and its fingerprint did not: the file knows nothing.
                return self._encode(side, texts)
            new = dict(zip(missing, fresh, strict=True))
            self._with_file(lambda file: _keep(file, new))
            found |= new
        return np.array([found[h] for h in hashes], dtype=np.float32)

    def _encode(self, side: str, texts: list[str]) -> Floats:
        if side == "query":
            return encode_queries(self.encoder, texts)
        return encode_all(self.encoder, texts, batch=len(texts))

    def _hash(self, side: str, text: str) -> bytes:
        content = f"{self.fingerprint}\0{side}\0{text}".encode(errors="surrogatepass")
        return hashlib.blake2b(content, digest_size=20).digest()

    # ── the file ─────────────────────────────────────────────────────────────────────────────

    def _find(self, hashes: Sequence[bytes]) -> dict[bytes, Floats]:
        """Vectors that are in the file, and whole."""
        found: dict[bytes, Floats] = {}
        if self.path.exists():
            self._with_file(lambda file: found.update(_whole(file, hashes)))
        return found if len({len(vector) for vector in found.values()}) == 1 else {}

    def _with_file(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Work on the file in one transaction; None where there can be no file."""
        try:
            with self._lock, closing(self._open()) as file, file:
                return work(file)
        except sqlite3.DatabaseError as error:
            name = getattr(error, "sqlite_errorname", None) or "SQLITE_NOTADB"
            if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR")):
                self._damaged(str(error))
        except OSError:
            pass  # a directory that cannot be made or written: nothing is kept
        return None

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A connection for each transaction: none is carried through a fork or to another thread.
        file = sqlite3.connect(self.path, timeout=1.0)
        try:
            (mark,) = file.execute("PRAGMA application_id").fetchone()
            blank = file.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
            if mark != _APPLICATION_ID:
                if not blank:
                    raise sqlite3.NotSupportedError("another program's file")
                file.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            # Derived data need not survive the loss of power.
            file.execute("PRAGMA synchronous = OFF")
            for statement in _CREATE:
                file.execute(statement)
        except BaseException:
            file.close()
            raise
        return file

    def _damaged(self, why: str) -> None:
        if not self.disposable:
            raise NotADatabase(
                f"{self.path} is no file of encodings, or damaged ({why}); delete it, or give "
                "CachedEncoder another path"
            )
        self._remove()  # and begun anew at the next call

    def _remove(self) -> None:
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            Path(f"{self.path}-journal").unlink(missing_ok=True)


def _whole(file: sqlite3.Connection, hashes: Sequence[bytes]) -> dict[bytes, Floats]:
    """The vectors that are there, without those that fail their checksum."""
    found: dict[bytes, Floats] = {}
    for h in hashes:
        checksum, blob = file.execute(_FIND, (h,)).fetchone() or (None, b"")
        if isinstance(blob, bytes) and blob and _checksum(h, blob) == checksum:
            found[h] = np.frombuffer(blob[: len(blob) // 4 * 4], dtype="<f4")
    return found


def _keep(file: sqlite3.Connection, vectors: dict[bytes, Floats]) -> None:
    today = int(time.time() // _DAY)
    file.execute(_FORGET, (today - KEPT,))
    blobs = ((h, vector.astype("<f4").tobytes()) for h, vector in vectors.items())
    file.executemany(_KEEP, ((h, today, _checksum(h, blob), blob) for h, blob in blobs))


def _checksum(h: bytes, blob: bytes) -> int:
    """Over hash and vector: what it holds for is what was written, for this text."""
    return zlib.crc32(blob, zlib.crc32(h))
