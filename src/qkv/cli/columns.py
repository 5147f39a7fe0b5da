"""Records in files: which format a file has, and which of its columns make a record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from qkv.errors import InputError

__all__ = ["COLUMNS", "Columns", "Format", "Row", "Source", "choose", "format_of"]


class Format(StrEnum):
    """How records are laid out in a file."""

    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    PARQUET = "parquet"


_SUFFIXES = {
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
}

#: What an exported table is called, column by column.
COLUMNS = ["key", "value", "kind"]


def format_of(file: str) -> Format:
    """Return the format that a file's name stands for.

    Raises
    ------
    InputError
        If the name says nothing.
    """
    found = _SUFFIXES.get(Path(file).suffix.lower())
    if found is None:
        what = "the standard input" if file == "-" else file
        raise InputError(f"what is {what}? Say --format csv, tsv, jsonl or parquet")
    return found


@dataclass(frozen=True)
class Source:
    """A file of records, and how it shall be read.

    Attributes
    ----------
    name
        What messages call it.
    format
        How it is laid out.
    key, value
        Names of the columns; None finds them.
    header
        Whether the first line of a CSV or TSV file names the columns.
    delimiter
        What separates the fields of a CSV or TSV file; None: comma or tab.
    encoding
        Of text files.
    kinds
        Whether a third column named `kind`, which exported files have, says what a value is.
    """

    name: str
    format: Format
    key: str | None = None
    value: str | None = None
    header: bool = True
    delimiter: str | None = None
    encoding: str = "utf-8-sig"
    kinds: bool = True


class Columns(NamedTuple):
    """Positions of the columns of a file that make a record."""

    names: list[str]
    key: int
    value: int
    kind: int | None


class Row(NamedTuple):
    """One record as a file has it: where it stands, and what stands there."""

    place: str
    key: Any
    value: Any
    kind: str | None


def choose(names: list[str], source: Source) -> Columns:
    """Find the columns of key and value: those asked for, those of that name, the first two."""
    if len(names) < 2:
        hint = "; if its fields are separated by something else: --delimiter ';'"
        raise InputError(
            f"{source.name} has one column ({''.join(names)!r:.60}), and a record is a key and a "
            f"value{hint if source.format in (Format.CSV, Format.TSV) else ''}"
        )
    asked = [_position(name, names, source) for name in (source.key, source.value)]
    if asked == [None, None] and source.kinds and names == COLUMNS:
        return Columns(names, 0, 1, 2)
    plain = [name.strip().casefold() for name in names]
    if "key" in plain and "value" in plain:
        usual = [plain.index("key"), plain.index("value")]
    else:
        usual = [place for place in range(len(names)) if place not in asked][:2]
    key = asked[0] if asked[0] is not None else next(p for p in usual if p != asked[1])
    value = asked[1] if asked[1] is not None else next(p for p in [*usual, 0, 1] if p != key)
    if key == value:
        raise InputError(f"key and value are both the column {names[key]!r}; name two columns")
    return Columns(names, key, value, None)


def _position(name: str | None, names: list[str], source: Source) -> int | None:
    if name is None:
        return None
    if name not in names:
        listed = ", ".join(map(repr, names[:20]))
        raise InputError(f"{source.name} has no column {name!r}; it has {listed}")
    return names.index(name)
