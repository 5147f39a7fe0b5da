"""Commands on records: put, get, rm, ls, info."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from itertools import islice
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from qkv.cli.conversion import (
    Record,
    Type,
    number,
    object_of,
    record,
    to_json,
    to_text,
    typed,
)
from qkv.cli.display import busy, note, out, progress, shown, write
from qkv.cli.endings import Absent
from qkv.cli.options import AsJson, Encoder, Key, Store
from qkv.cli.stores import reading, records_of, save, tables_of
from qkv.errors import InputError

__all__ = ["compact", "get", "info", "ls", "put", "rm"]


def put(
    store: Store,
    key: Key,
    value: Annotated[
        str,
        typer.Argument(
            metavar="VALUE",
            help="The value; - reads it from the standard input.",
            show_default=False,
        ),
    ],
    type: Annotated[
        Type,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="What VALUE is: text, number, json, vector; auto: a number if it looks like "
            "one, else text. A vector is written as [0.1, 0.2].",
        ),
    ] = Type.TEXT,
    metadata: Annotated[
        str | None,
        typer.Option(
            "--metadata",
            metavar="JSON",
            help="What --where asks about: a JSON object. It replaces what the key had; without "
            "this option that stays.",
            show_default=False,
        ),
    ] = None,
    encoder: Encoder = None,
) -> None:
    """Write one record.

    Makes the store if there is none, and replaces the value if the key is there.
    A value is text unless --type says otherwise: numbers can be averaged, text
    cannot. To write many records at once, use import: it is much faster.

    For example:

        qkv put animals.qkv cat animal
        qkv put prices.qkv "13 inch laptop" 999 --type number
        qkv put weather.qkv -- oslo -5
        qkv put films.qkv "a heist" Rififi --metadata '{"year": 1955}'
        cat letter.txt | qkv put letters.qkv "to Anna" -
    """
    from qkv.filters import check_metadata  # noqa: PLC0415
    from qkv.space import check_key  # noqa: PLC0415
    from qkv.values import to_stored  # noqa: PLC0415

    written = _read_value() if value == "-" else value
    content = typed(written, type)
    about = None if metadata is None else object_of(metadata)
    # Before the store is made: a record that cannot be stored should leave nothing behind.
    to_stored(content)
    check_metadata(about or {})
    with busy("encoding the key"):
        added, _ = save(store, [Record(check_key(key), content, about)], encoder)
    out().print(Text(f"{'added' if added else 'replaced'} {shown(key)}"))
    if type is Type.TEXT and number(written) is not None:
        note(f"{written} is stored as text; --type number makes it a number, for averages")


def _read_value() -> str:
    """Read the value from the standard input, less the line break that ends it."""
    try:
        written = sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise InputError(f"a value is UTF-8 text, and the standard input is not: {error}") from None
    return written.removesuffix("\n").removesuffix("\r")


def get(
    store: Store,
    key: Key,
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Print the key's metadata instead, as JSON.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the value of a key.

    The key must be there exactly, as in any dict; to ask in other words, use
    query. Text is printed as it is, everything else as JSON.

    For example:

        qkv get animals.qkv cat
        qkv get films.qkv "a heist" --metadata
    """
    with reading(store) as db:
        try:
            value, about = db[key], db.metadata(key)
        except KeyError:
            asked = f"qkv query {shlex.quote(str(store))} {shlex.quote(key)}"
            raise Absent(f"no key {key!r} in {store}; to ask for the likeliest: {asked}") from None
    if as_json:
        write(to_json(record(key, value, about)))
    else:
        write(to_json(about) if metadata else to_text(value))


def rm(
    store: Store,
    keys: Annotated[
        list[str], typer.Argument(metavar="KEY", help="Keys to delete.", show_default=False)
    ],
) -> None:
    """Delete records.

    Keys that are not there are named, and the exit code is then 1; the others are
    deleted nevertheless.

    For example:

        qkv rm animals.qkv cat dog
    """
    missing = []
    with reading(store) as db:
        for key in dict.fromkeys(keys):
            try:
                del db[key]
            except KeyError:
                missing.append(key)
            else:
                out().print(Text(f"deleted {shown(key)}"))
    if missing:
        raise Absent(f"not in {store}: {', '.join(map(repr, missing))}")


def ls(
    store: Store,
    count: Annotated[
        int | None,
        typer.Option("-n", min=0, metavar="COUNT", help="At most.", show_default="all"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the records, oldest first.

    One line a record: the key, a tab, the value. Line breaks and tabs inside are
    written as escapes; for the exact data use --json, which prints one JSON object
    a line, or export.

    For example:

        qkv ls animals.qkv
        qkv ls animals.qkv --json | head
    """
    with tables_of(store) as tables:
        for one in islice(records_of(tables), count):
            if as_json:
                write(to_json(record(*one)))
            else:
                write(f"{shown(one.key)}\t{shown(to_text(one.value))}")


def compact(store: Store) -> None:
    """Give the space of deleted records back, and build a large store's index.

    Both happen by themselves, bit by bit; this does all of it now. The file is
    written anew, which takes as much space again meanwhile. Stop it at any time:
    nothing is lost.

    For example:

        qkv compact animals.qkv
    """
    with reading(store) as db:
        before = store.stat().st_size
        with progress("indexing") as report:
            db.compact(progress=report)
        index = db.index
    after = store.stat().st_size
    note(f"{store}: {before:,} bytes before, {after:,} now; {_said(index)}")


def _said(index: str) -> str:
    """Say how keys are found."""
    return "every key is read for a query" if index == "flat" else f"the index is {index}"


def info(store: Store, as_json: AsJson = False) -> None:
    """Say what a store holds.

    Records by kind of value, how many have metadata, whether words are indexed
    (the first keyword search begins that), how many questions were corrected, and how
    many given to be calibrated by, which version of what was learned holds, the encoder
    that made the vectors, the size of the file and of what is derived from it (the
    folder beside a large store).

    For example:

        qkv info animals.qkv
    """
    from qkv.encoders import fingerprint  # noqa: PLC0415
    from qkv.indexing import derived_bytes  # noqa: PLC0415
    from qkv.values import to_stored  # noqa: PLC0415

    with tables_of(store) as tables, reading(store) as db, busy("counting"):
        kinds = Counter(str(to_stored(value)[0]) for value in db.values())
        with tables.moment() as connection:
            _, _, words = tables.clock(connection)
        content = {
            "path": str(store),
            "bytes": store.stat().st_size,
            "derived_bytes": derived_bytes(store),
            "records": kinds.total(),
            "kinds": dict(kinds.most_common()),
            "metadata": tables.count_metadata(),
            "words": words,
            "corrections": tables.count_corrections(),
            "questions": tables.count_questions(),
            "learned": tables.active_projection(),
            "encoder": tables.settings().get("encoder") or None,
            "fingerprint": None if db.encoder is None else fingerprint(db.encoder),
            "dimension": db.dimension,
            "metric": str(db.metric),
        }
    if as_json:
        write(to_json(content))
        return
    table = Table.grid(padding=(0, 2))
    content["words"] = "indexed" if words else "not indexed"
    content["learned"] = f"version {content['learned']}" if content["learned"] else "nothing"
    content["kinds"] = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    for name, entry in content.items():
        cell = f"{entry:,}" if isinstance(entry, int) else shown(str(entry or "none"))
        table.add_row(Text(name, style="dim"), Text(cell))
    out().print(table)
