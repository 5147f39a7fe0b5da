"""Files of questions, each with a second column: the key that answers it, or the answer."""

from __future__ import annotations

from collections.abc import Sequence

from qkv.cli.columns import Format, Row, Source, format_of
from qkv.cli.conversion import to_json
from qkv.cli.formats import rows_of
from qkv.cli.transfer import opened
from qkv.errors import InputError

__all__ = ["check_text", "read_pairs"]


def read_pairs(
    file: str,
    query: str | None,
    second: str | None,
    format: Format | None,
    others: Sequence[str] = (),
) -> list[Row]:
    """Read a file whose rows are a question and what belongs to it.

    Parameters
    ----------
    file : str
        ``-``: the standard input.
    query, second : str or None
        Names of the columns; None: the first, and the second.
    format : Format or None
        None: by the file's name.
    others : sequence of str
        Columns that become metadata.

    Raises
    ------
    InputError
        If a question is no text, or the file cannot be read; it names the place.
    """
    source = Source(
        name="the standard input" if file == "-" else file,
        format=format or format_of(file),
        key=query,
        value=second,
        kinds=False,
        metadata=tuple(others),
    )
    with opened(file) as stream, rows_of(stream, source) as (_, rows):
        read = list(rows)
    for row in read:
        check_text(row, "question", row.key)
    return read


def check_text(row: Row, what: str, cell: object) -> str:
    """Return a cell that is text, or raise an InputError that names its place."""
    if not isinstance(cell, str):
        raise InputError(f"{row.place}: a {what} is text, not {to_json(cell)}")
    return cell
