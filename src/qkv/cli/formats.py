"""Files of records: CSV, TSV, JSON lines and Parquet, read and written."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import IO, Any

from qkv.cli.columns import COLUMNS, METADATA, Columns, Format, Row, Source, choose, exported
from qkv.cli.conversion import Record, parse_json, record, to_json, to_text
from qkv.errors import InputError

__all__ = ["rows_of", "write_records"]


@contextmanager
def rows_of(file: IO[bytes], source: Source) -> Iterator[tuple[Columns | None, Iterator[Row]]]:
    """Read a file of records.

    Yields
    ------
    columns
        None if the file is empty.
    rows
        Read as they are asked for.

    Raises
    ------
    InputError
        That names the place, here or while the rows are read.
    """
    if source.format is Format.PARQUET:
        from qkv.cli.parquet import parquet_rows  # noqa: PLC0415

        yield parquet_rows(file, source)
        return
    text = _text(file, source)
    try:
        lines = _lines(text, source)
        read = _json_rows if source.format is Format.JSONL else _csv_rows
        yield read(lines, source)
    finally:
        text.detach()  # the file is the caller's to close


# ── text ─────────────────────────────────────────────────────────────────────────────────────


def _text(file: IO[bytes], source: Source) -> io.TextIOWrapper:
    try:
        return io.TextIOWrapper(file, encoding=source.encoding, newline="")
    except LookupError:
        raise InputError(
            f"no encoding is called {source.encoding!r}; there are utf-8, latin-1, cp1252, utf-16 …"
        ) from None


def _lines(text: io.TextIOWrapper, source: Source) -> Iterator[str]:
    """Lines of a text file, with the line named where the encoding breaks."""
    count = 0
    try:
        for line in text:
            count += 1
            yield line
    except UnicodeError as error:
        raise InputError(
            f"{source.name} is not {source.encoding.removesuffix('-sig')} (after line {count}: "
            f"{error}); say what it is: --encoding latin-1, cp1252 or utf-16"
        ) from None


def _json_rows(lines: Iterator[str], source: Source) -> tuple[Columns | None, Iterator[Row]]:
    objects = _objects(lines, source)
    first = next(objects, None)
    if first is None:
        return None, iter(())
    # Kind and metadata are looked for where they stand: they are not in every object.
    columns = choose(list(first[1]), replace(source, metadata=()))
    return columns, _picked(chain([first], objects), columns, source)


def _objects(lines: Iterator[str], source: Source) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{source.name}, line {number}"
        try:
            content = parse_json(line)
        except InputError as error:
            raise InputError(f"{place}: {error}{_array_hint(number, line)}") from None
        if not isinstance(content, dict):
            raise InputError(
                f'{place}: a record is an object like {{"key": "cat", "value": "animal"}}, and '
                f"this is {line.strip()[:40]!r}{_array_hint(number, line)}"
            )
        yield place, content


def _array_hint(number: int, line: str) -> str:
    if number > 1 or not line.startswith("["):
        return ""
    return "; a JSON array becomes JSON lines with: jq -c '.[]' FILE"


def _picked(
    objects: Iterable[tuple[str, dict[str, Any]]], columns: Columns, source: Source
) -> Iterator[Row]:
    key, value = columns.names[columns.key], columns.names[columns.value]
    for place, content in objects:
        for name in (key, value):
            if name not in content:
                listed = ", ".join(map(repr, list(content)[:20])) or "nothing"
                raise InputError(f"{place}: no {name!r} here; there is {listed}")
        ours = source.key is source.value is None and exported(list(content))
        kind = content.get("kind") if ours and source.kinds else None
        others = content.keys() - ({key, value, "kind"} if ours else {key, value})
        wanted = others if source.metadata is None else set(source.metadata)
        if ours:
            wanted.add(METADATA)
        about = {name: entry for name, entry in content.items() if name in wanted}
        yield Row(place, content[key], content[value], kind, _there(about.items()))


def _there(entries: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Entries that are not missing: not null, and not an empty field."""
    return {name: entry for name, entry in entries if entry is not None and entry != ""}


def _csv_rows(lines: Iterator[str], source: Source) -> tuple[Columns | None, Iterator[Row]]:
    records = _csv_records(lines, source)
    first = next(records, None)
    if first is None:
        return None, iter(())
    fields = first[1]
    if source.header:
        columns = choose(fields, source)
    else:
        columns = choose([str(number) for number in range(1, len(fields) + 1)], source)
        records = chain([first], records)
    return columns, _cut(records, columns)


def _csv_records(lines: Iterator[str], source: Source) -> Iterator[tuple[str, list[str]]]:
    usual = "\t" if source.format is Format.TSV else ","
    delimiter = source.delimiter or usual
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise InputError(f"a delimiter is one character, such as ';' or '|', not {delimiter!r}")
    # Python's limit of 128 KB a field is there for files that nobody meant to read.
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        for fields in reader:
            if fields:
                yield f"{source.name}, line {reader.line_num}", fields
    except csv.Error as error:
        raise InputError(
            f"{source.name}, line {reader.line_num}: {error}; a field that holds {delimiter!r}, a "
            'quote or a line break stands in double quotes, and its own quotes are doubled: ""'
        ) from None


def _cut(records: Iterable[tuple[str, list[str]]], columns: Columns) -> Iterator[Row]:
    width = len(columns.names)
    about = [(columns.names[place], place) for place in columns.metadata]
    for place, fields in records:
        if len(fields) != width:
            raise InputError(
                f"{place}: {len(fields)} fields, where the first line has {width}; a field that "
                "holds the delimiter stands in double quotes"
            )
        kind = None if columns.kind is None else fields[columns.kind]
        more = _there((name, fields[place]) for name, place in about)
        yield Row(place, fields[columns.key], fields[columns.value], kind, more)


# ── writing ──────────────────────────────────────────────────────────────────────────────────


def write_records(
    records: Iterable[Record], file: IO[bytes], format: Format, *, metadata: bool = False
) -> None:
    """Write records so that `rows_of` reads the same again.

    Parameters
    ----------
    metadata
        Whether some of the records have metadata: a table then has a column for it.
    """
    if format is Format.PARQUET:
        from qkv.cli.parquet import write_parquet_records  # noqa: PLC0415

        write_parquet_records(list(records), file, metadata=metadata)
        return
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        if format is Format.JSONL:
            text.writelines(to_json(record(*one)) + "\n" for one in records)
        else:
            delimiter = "\t" if format is Format.TSV else ","
            _write_csv(records, text, delimiter, metadata=metadata)
        text.flush()
    finally:
        text.detach()


class _Lines:
    """Ends rows by a line feed alone, for `cut` and `awk`.

    The writer must end them by both characters: it quotes only what holds one that ends a row.
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text

    def write(self, row: str) -> None:
        self._text.write(row.removesuffix("\r\n") + "\n")


def _write_csv(
    records: Iterable[Record], text: io.TextIOWrapper, delimiter: str, *, metadata: bool
) -> None:
    from qkv.values import to_stored  # noqa: PLC0415

    writer = csv.writer(_Lines(text), delimiter=delimiter, lineterminator="\r\n")
    columns = COLUMNS if metadata else COLUMNS[:-1]
    writer.writerow(columns)
    rows = (
        (key, to_text(value), str(to_stored(value)[0]), to_json(about) if about else "")
        for key, value, about in records
    )
    writer.writerows(row[: len(columns)] for row in rows)
