"""Commands that move records between a store and files: import, export."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.text import Text

from qkv.cli.columns import METADATA, Columns, Format, Row, Source, format_of
from qkv.cli.conversion import Record, Type, number, object_of, typed
from qkv.cli.display import busy, note, out, progress, shown
from qkv.cli.formats import rows_of, write_records
from qkv.cli.options import Encoder, Store
from qkv.cli.stores import check_store, records_of, save, tables_of
from qkv.errors import InputError

if TYPE_CHECKING:
    from qkv.types import Value

__all__ = ["checked_records", "export", "import_", "opened"]

_FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="How the file is laid out.", show_default="by its name"),
]


def import_(
    store: Store,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A file of records; - reads the standard input.",
            show_default=False,
        ),
    ],
    format: _FormatOption = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="COLUMN", help="Column of the keys.", show_default="key, or the first"
        ),
    ] = None,
    value: Annotated[
        str | None,
        typer.Option(
            "--value",
            metavar="COLUMN",
            help="Column of the values.",
            show_default="value, or the second",
        ),
    ] = None,
    type: Annotated[
        Type | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="What the values are: text, number, json, vector; auto: numbers, if every one "
            "of them looks like a number.",
            show_default="text in csv and tsv; as they are in jsonl and parquet",
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            metavar="COLUMN",
            help="Column to keep beside the value, for --where. May be given several times. "
            "A column called metadata holds all of it, as a JSON object.",
            show_default="metadata, in exported files",
        ),
    ] = None,
    all_metadata: Annotated[
        bool, typer.Option("--all-metadata", help="Keep all columns but key and value.")
    ] = False,
    no_header: Annotated[
        bool,
        typer.Option(
            "--no-header",
            help="The first line of a csv or tsv file is a record; columns are called 1, 2, ….",
        ),
    ] = False,
    delimiter: Annotated[
        str | None,
        typer.Option("--delimiter", metavar="CHAR", help="Between the fields of a csv file."),
    ] = None,
    encoding: Annotated[
        str, typer.Option("--encoding", metavar="NAME", help="Of a text file.")
    ] = "utf-8",
    encoder: Encoder = None,
) -> None:
    """Read records from a file into a store.

    All of them are written, or, if something is wrong with the file, none: the
    message says in which line. Keys that are in the store get the new value, and
    keep their metadata if the file has none for them.

    For example:

        qkv import animals.qkv animals.csv
        qkv import faq.qkv faq.csv --key question --value answer
        qkv import prices.qkv laptops.parquet --key name --value price
        qkv import films.qkv films.csv --metadata year --metadata country
        qkv search films.qkv "a heist" --where "year < 1970"
        cat log.jsonl | qkv import log.qkv - --format jsonl
    """
    check_store(store)  # before much is read
    source = Source(
        name="the standard input" if file == "-" else file,
        format=format or format_of(file),
        key=key,
        value=value,
        header=not no_header,
        delimiter=delimiter,
        # Excel begins its files with a mark that is not part of the first name.
        encoding="utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding,
        kinds=type is None,
        metadata=None if all_metadata else tuple(metadata or ()),
    )
    with (
        busy(f"reading {source.name}"),
        opened(file) as stream,
        rows_of(stream, source) as (columns, found),
    ):
        untyped = Type.TEXT if source.format in (Format.CSV, Format.TSV) else None
        checked = checked_records(found, type, untyped)
    _check_metadata_found(source, checked)
    added, total = save(store, checked.records, encoder)
    _report(source, columns, checked)
    distinct = len({record.key for record in checked.records})
    out().print(Text(f"{store}: {added:,} added, {distinct - added:,} replaced; {total:,} in all"))
    if type is None and checked.numeric:
        note("every value looks like a number; --type auto stores numbers, for averages")


class Checked(NamedTuple):
    """Records that can be stored.

    `numeric` says whether their values are texts that all look like numbers, `metadata` which
    columns their metadata came from.
    """

    records: list[Record]
    numeric: bool
    metadata: list[str]


def checked_records(found: Iterator[Row], type: Type | None, untyped: Type | None) -> Checked:
    """Records of the rows, all of them checked.

    Parameters
    ----------
    type : Type or None
        What the user says that values are.
    untyped : Type or None
        What they are in this file if the user says nothing: TEXT where a file has only text.
    """
    from qkv.space import check_key  # noqa: PLC0415
    from qkv.values import to_stored  # noqa: PLC0415

    read = list(found)
    numeric = _numeric([row.value for row in read if row.kind is None])
    if type is Type.AUTO:
        type = Type.NUMBER if numeric else untyped
    columns = (
        _metadata_columns(read) if untyped is Type.TEXT else dict.fromkeys(_named(read), False)
    )
    records = []
    for row in read:
        try:
            content = _content(row, type or untyped)
            to_stored(content)
            records.append(Record(check_key(_key(row.key)), content, _metadata(row, columns)))
        except InputError as error:
            raise InputError(f"{row.place}: {error}") from None
    return Checked(records, numeric, list(columns))


def _named(rows: list[Row]) -> Iterator[str]:
    return (name for row in rows for name in row.metadata)


def _metadata_columns(rows: list[Row]) -> dict[str, bool]:
    """Columns that some metadata came from, and whether all that stands there is a number."""
    columns: dict[str, bool] = {}
    for row in rows:
        for name, cell in row.metadata.items():
            if columns.get(name, True):
                columns[name] = number(cell) is not None
    return columns


def _metadata(row: Row, columns: dict[str, bool]) -> dict[str, Any] | None:
    from qkv.filters import check_metadata  # noqa: PLC0415

    if not row.metadata:
        return None
    about: dict[str, Any] = {}
    for name, cell in row.metadata.items():
        if name == METADATA:
            about |= _whole(cell)
        else:
            about[name] = number(cell) if columns[name] else cell
    check_metadata(about)
    return about


def _whole(cell: Any) -> dict[str, Any]:
    try:
        return object_of(cell)
    except InputError as error:
        raise InputError(
            f"{error}; to leave that column out, name the others: --key key --value value"
        ) from None


def _check_metadata_found(source: Source, checked: Checked) -> None:
    """JSON lines have no header: whether a field is anywhere shows when all have been read."""
    if source.format is not Format.JSONL or not checked.records:
        return
    for name in source.metadata or ():
        if name not in checked.metadata:
            raise InputError(f"{source.name} has {name!r} in no line, or it is null in all")


def _numeric(values: list[Any]) -> bool:
    """Whether some values are text, and each that is not missing is, or looks like, a number."""
    there = [value for value in values if value is not None]
    return any(isinstance(value, str) for value in there) and all(
        number(value) is not None
        if isinstance(value, str)
        else isinstance(value, int | float) and not isinstance(value, bool)
        for value in there
    )


def _content(row: Row, type: Type | None) -> Value:
    if row.kind is None:
        return row.value if type is None else typed(row.value, type)
    if row.kind not in ("text", "number", "json", "vector"):
        raise InputError(
            f"kind is text, number, json or vector, not {row.kind!r}; to leave that column out, "
            "name the others: --key key --value value"
        )
    return typed(row.value, Type(row.kind))


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, int | float) and not isinstance(key, bool):
        return str(key)
    what = "missing" if key is None else f"{key!r:.60}"
    raise InputError(f"the key is {what}; a key is text")


def _report(source: Source, columns: Columns | None, checked: Checked) -> None:
    from qkv.values import to_stored  # noqa: PLC0415

    records = checked.records
    line = f"read {len(records):,} records from {source.name}"
    if columns is not None and records:
        kinds = Counter(to_stored(record.value)[0] for record in records)
        listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        key, value = columns.names[columns.key], columns.names[columns.value]
        line += f": key from column {key!r}, value from column {value!r} ({listed})"
        if checked.metadata:
            more = len(checked.metadata) - 10
            names = [*map(repr, checked.metadata[:10]), *([f"{more} more"] if more > 0 else [])]
            line += f", metadata from {', '.join(names)}"
    out().print(Text(shown(line)))


def export(
    store: Store,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Where to; - is the standard output.")
    ] = "-",
    format: _FormatOption = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it is there.")] = False,
) -> None:
    """Write the records to a file, or to the standard output.

    The name decides on the format: .jsonl, .csv, .tsv or .parquet; the standard
    output gets JSON lines. What is exported can be imported again, unchanged,
    with its metadata.

    For example:

        qkv export animals.qkv animals.csv
        qkv export animals.qkv | jq -r .key
        qkv export old.qkv | qkv import new.qkv - --format jsonl --encoder use
    """
    chosen = format or (Format.JSONL if file == "-" else format_of(file))
    with (
        tables_of(store) as tables,
        _output(file, store, force=force, binary=chosen is Format.PARQUET) as stream,
        progress("writing records") as report,
    ):
        records = _counted(records_of(tables), len(tables), report)
        write_records(records, stream, chosen, metadata=tables.count_metadata() > 0)


def _counted(
    records: Iterator[Record], total: int, report: Callable[[int, int], None]
) -> Iterator[Record]:
    for done, record in enumerate(records, start=1):
        yield record
        if done % 1000 == 0:
            report(done, total)


@contextmanager
def opened(file: str) -> Iterator[IO[bytes]]:
    """Open a file to read bytes from; - is the standard input."""
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as stream:
        yield stream


@contextmanager
def _output(file: str, store: Path, *, force: bool, binary: bool) -> Iterator[IO[bytes]]:
    if file == "-":
        if binary and sys.stdout.isatty():
            raise InputError("Parquet is not for a terminal; name a file, or send it to a pipe")
        yield sys.stdout.buffer
        return
    path = Path(file)
    if path.exists() and not path.is_file():  # /dev/null, a named pipe
        with path.open("wb") as stream:
            yield stream
        return
    _check_free(path, store, force=force)
    # Written beside it and moved: whatever happens, the file is whole, the old one or the new.
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            yield stream
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _check_free(path: Path, store: Path, *, force: bool) -> None:
    if path.exists() and path.samefile(store):
        raise InputError(f"{path} is the store itself; name another file")
    if path.exists() and not force:
        raise InputError(f"{path} is there already; --force overwrites it")
