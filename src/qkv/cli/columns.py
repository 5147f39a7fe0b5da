"""Records in files: which format a file has, and which of its columns make a record."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from qkv.errors import InputError

__all__ = [
    "COLUMNS",
    "METADATA",
    "Columns",
    "Format",
    "Row",
    "Source",
    "choose",
    "exported",
    "format_of",
]


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

#: The column that holds all metadata of a record, as a JSON object.
METADATA = "metadata"
#: What an exported table is called, column by column; `kind` and `metadata` only where needed.
COLUMNS = ["key", "value", "kind", METADATA]


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
    metadata
        Names of the columns that become metadata; None for all that are not key or value.
    """

    name: str
    format: Format
    key: str | None = None
    value: str | None = None
    header: bool = True
    delimiter: str | None = None
    encoding: str = "utf-8-sig"
    kinds: bool = True
    metadata: tuple[str, ...] | None = ()


class Columns(NamedTuple):
    """Positions of the columns of a file that make a record."""

    names: list[str]
    key: int
    value: int
    kind: int | None = None
    metadata: tuple[int, ...] = ()


class Row(NamedTuple):
    """One record as a file has it: where it stands, and what stands there.

    `metadata` has what stands in each of those columns, by name; what is missing is left out.
    """

    place: str
    key: Any
    value: Any
    kind: str | None
    metadata: dict[str, Any]


def exported(names: list[str]) -> bool:
    """Whether these are the columns, or the fields, that an exported file has.

    Examples
    --------
    >>> exported(["key", "value", "metadata"]), exported(["key", "value", "price"])
    (True, False)
    """
    return names[:2] == COLUMNS[:2] and names == [name for name in COLUMNS if name in names]


def choose(names: list[str], source: Source) -> Columns:
    """Find the columns of a record.

    Key and value are those asked for, those of that name, or the first two; metadata are those
    asked for, and the column of that name in files that were exported.
    """
    if len(names) < 2:
        hint = "; if its fields are separated by something else: --delimiter ';'"
        raise InputError(
            f"{source.name} has one column ({''.join(names)!r:.60}), and a record is a key and a "
            f"value{hint if source.format in (Format.CSV, Format.TSV) else ''}"
        )
    key, value = _pair(names, source)
    ours = source.key is source.value is None and exported(names)
    kind = names.index("kind") if ours and "kind" in names else None
    if source.metadata is None:
        # The column of row numbers that other programs write has no name.
        named = [place for place, name in enumerate(names) if name.strip()]
        metadata = [place for place in named if place not in (key, value, kind)]
        _check_distinct([names[place] for place in metadata], source)
    else:
        own = [METADATA] if ours and METADATA in names else []
        metadata = [_position(name, names, source) for name in (*own, *source.metadata)]
    return Columns(
        names, key, value, kind if source.kinds else None, tuple(dict.fromkeys(metadata))
    )


def _check_distinct(names: list[str], source: Source) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{source.name} has two columns {name!r}; rename one of them")


def _pair(names: list[str], source: Source) -> tuple[int, int]:
    """Positions of key and value."""
    asked = [
        None if name is None else _position(name, names, source)
        for name in (source.key, source.value)
    ]
    plain = [name.strip().casefold() for name in names]
    if "key" in plain and "value" in plain:
        usual = [plain.index("key"), plain.index("value")]
    else:
        usual = [place for place in range(len(names)) if place not in asked][:2]
    key = asked[0] if asked[0] is not None else next(p for p in usual if p != asked[1])
    value = asked[1] if asked[1] is not None else next(p for p in [*usual, 0, 1] if p != key)
    if key == value:
        raise InputError(f"key and value are both the column {names[key]!r}; name two columns")
    return key, value


def _position(name: str, names: list[str], source: Source) -> int:
    if name not in names:
        listed = ", ".join(map(repr, names[:20]))
        raise InputError(f"{source.name} has no column {name!r}; it has {listed}")
    return names.index(name)
