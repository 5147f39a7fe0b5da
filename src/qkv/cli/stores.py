"""Opening stores: never made by reading, never left behind by a command that fails."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qkv.cli.conversion import Record
from qkv.cli.display import progress
from qkv.errors import EncoderError, EncoderMismatch, FileError, InputError

if TYPE_CHECKING:
    from qkv.database import Database
    from qkv.tables import Tables
    from qkv.types import Floats

__all__ = ["asking", "check_store", "reading", "records_of", "save", "tables_of", "writing"]


class _OwnEncoder:
    """Stands in for an encoder that only its owner's program has: records can still be read."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint

    def encode(self, texts: list[str], /) -> Floats:  # noqa: ARG002  (the protocol's shape)
        """Refuse, and say where the encoder can be given."""
        raise EncoderError(
            f"{self.path} was written with an encoder of its owner's ({self.fingerprint}), which "
            "the command line does not have; get, ls, info, export, rm and search --mode keyword "
            "work without it. To ask, give it in Python: "
            f"Database(path={str(self.path)!r}, encoder=...)"
        )


def reading(path: Path) -> Database:
    """Open a store that is there.

    Raises
    ------
    FileError
        If it is not there; nothing is made.
    """
    _check_begun(path)
    return _open(path)


def asking(path: Path) -> Database:
    """Open a store that is there, and whose encoder is here, too.

    Raises
    ------
    EncoderError
        If only its owner's program has the encoder.
    """
    db = reading(path)
    if isinstance(db.encoder, _OwnEncoder):
        with db:
            db.encoder.encode([])
    return db


@contextmanager
def tables_of(path: Path) -> Iterator[Tables]:
    """Open the tables of a store that is there, for what needs no encoder."""
    from qkv.tables import Tables  # noqa: PLC0415

    _check_begun(path)
    with closing(Tables(path)) as tables:
        yield tables


def records_of(tables: Tables) -> Iterator[Record]:
    """All records, oldest first, read a page at a time."""
    from qkv.values import from_stored  # noqa: PLC0415

    for page in tables.pages():
        for _, key, kind, stored, metadata in page:
            about = json.loads(metadata) if metadata else None
            yield Record(key, from_stored(kind, stored), about or None)


def _check_begun(path: Path) -> None:
    if not _begun(path):
        raise FileError(f"there is no store at {path}; {_hint(path)}")


def check_store(path: Path) -> None:
    """Raise what stands in the way of writing to a file, if there is one."""
    if _begun(path):
        _open(path).close()


def writing(path: Path, encoder: str | None) -> Database:
    """Open a store, or begin one with the encoder (None: the default)."""
    from qkv.database import Database  # noqa: PLC0415
    from qkv.encoders import default_name, resolve  # noqa: PLC0415

    if not _begun(path):
        encoder = encoder or default_name()
        # First, since a database that is opened with an unknown encoder leaves an empty file.
        resolve(encoder)
        return Database(path=path, encoder=encoder)
    if encoder is None:
        return _open(path)
    try:
        return Database(path=path, encoder=encoder)
    except EncoderMismatch:
        own = _settings(path).get("encoder") or "no encoder"
        store = shlex.quote(str(path))
        raise EncoderMismatch(
            f"{path} was written with the encoder {own}, and --encoder {encoder} makes other "
            "vectors, which do not compare. Leave --encoder out, or copy the store: "
            f"qkv export {store} | qkv import NEW - --format jsonl --encoder {encoder}"
        ) from None


def save(path: Path, records: list[Record], encoder: str | None = None) -> tuple[int, int]:
    """Write records in one transaction; return how many are new, and how many there are now.

    A record without metadata keeps what the store has of it.
    """
    metadata = [record.metadata for record in records]
    with writing(path, encoder) as db:
        before = len(db)
        with progress("encoding keys") as report:
            db.update([record[:2] for record in records], metadata=metadata, progress=report)
        after = len(db)
    return max(0, after - before), after


def _settings(path: Path) -> dict[str, str]:
    with tables_of(path) as tables:
        return tables.settings()


def _open(path: Path) -> Database:
    from qkv.database import Database  # noqa: PLC0415

    settings = _settings(path)
    if settings.get("encoder") == "custom":
        return Database(path=path, encoder=_OwnEncoder(path, settings["fingerprint"]))
    return Database(path=path)


def _begun(path: Path) -> bool:
    """Whether there is something at the path; an empty file is as good as none."""
    if path == Path("-"):
        raise InputError("a store is a file, it cannot be read from a pipe: qkv info animals.qkv")
    return path.exists() and (path.is_dir() or path.stat().st_size > 0)


def _hint(path: Path) -> str:
    longer = path.with_name(path.name + ".qkv") if path.name else path
    if longer.is_file():
        return f"did you mean {longer}?"
    store = shlex.quote(str(path))
    return f"begin one with: qkv put {store} KEY VALUE, or: qkv import {store} FILE"
