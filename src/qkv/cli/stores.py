"""Opening stores: never made by reading, never left behind by a command that fails."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from qkv.cli.display import progress
from qkv.errors import EncoderError, EncoderMismatch, FileError, InputError

if TYPE_CHECKING:
    from qkv.database import Database
    from qkv.types import Floats, Value

__all__ = ["check_store", "encoder_name", "reading", "save", "writing"]


class _OwnEncoder:
    """Stands in for an encoder that only its owner's program has: records can still be read."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path = path
        self.fingerprint = fingerprint

    def encode(self, texts: list[str], /) -> Floats:  # noqa: ARG002  (the protocol's shape)
        """Refuse, and say where the encoder can be given."""
        raise EncoderError(
            f"{self.path} was written with an encoder of its owner's ({self.fingerprint}), which "
            "the command line does not have; get, ls, info, export and rm work without it. To "
            f"ask, give it in Python: Database(path={str(self.path)!r}, encoder=...)"
        )


def reading(path: Path) -> Database:
    """Open a store that is there.

    Raises
    ------
    FileError
        If it is not there; nothing is made.
    """
    if not _begun(path):
        raise FileError(f"there is no store at {path}; {_hint(path)}")
    return _open(path)


def check_store(path: Path) -> None:
    """Raise what stands in the way of writing to a file, if there is one."""
    if _begun(path):
        _open(path).close()


def writing(path: Path, encoder: str | None) -> Database:
    """Open a store, or begin one with the encoder (None: the default)."""
    from qkv.database import Database  # noqa: PLC0415
    from qkv.encoders import DEFAULT, resolve  # noqa: PLC0415

    if not _begun(path):
        # First, since a database that is opened with an unknown encoder leaves an empty file.
        resolve(encoder or DEFAULT)
        return Database(path=path, encoder=encoder or DEFAULT)
    if encoder is None:
        return _open(path)
    try:
        return Database(path=path, encoder=encoder)
    except EncoderMismatch:
        own = encoder_name(path) or "no encoder"
        store = shlex.quote(str(path))
        raise EncoderMismatch(
            f"{path} was written with the encoder {own}, and --encoder {encoder} makes other "
            "vectors, which do not compare. Leave --encoder out, or copy the store: "
            f"qkv export {store} | qkv import NEW - --format jsonl --encoder {encoder}"
        ) from None


def save(
    path: Path, records: list[tuple[str, Value]], encoder: str | None = None
) -> tuple[int, int]:
    """Write records in one transaction; return how many are new, and how many there are now."""
    with writing(path, encoder) as db:
        before = len(db)
        with progress("encoding keys") as report:
            db.update(records, progress=report)
        after = len(db)
    return max(0, after - before), after


def encoder_name(path: Path) -> str:
    """Return the name of a store's encoder; ``""`` for a store of given vectors."""
    return _settings(path).get("encoder", "")


def _settings(path: Path) -> dict[str, str]:
    from qkv.tables import Tables  # noqa: PLC0415

    with closing(Tables(path)) as tables:
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
