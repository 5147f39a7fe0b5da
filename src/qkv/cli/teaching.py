"""Commands that make a store better: feedback, learn."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from qkv.cli.columns import Format
from qkv.cli.conversion import Type as ValueType
from qkv.cli.conversion import to_json, typed
from qkv.cli.display import busy, note, out, progress, shown, table_of, write
from qkv.cli.options import AsJson, Question, Store
from qkv.cli.pairs import check_text, read_pairs
from qkv.cli.stores import asking

if TYPE_CHECKING:
    from qkv.learning import Learning

__all__ = ["feedback", "learn"]

_PARTS = {"told": "questions with answers", "own": "its own records"}


def feedback(
    store: Store,
    question: Question,
    good: Annotated[
        str | None,
        typer.Option(
            "--good",
            metavar="ANSWER",
            help="The right answer: the key of the record that has it, or the value.",
            show_default=False,
        ),
    ] = None,
    bad: Annotated[
        list[str] | None,
        typer.Option(
            "--bad",
            metavar="ANSWER",
            help="A wrong answer: a key, or a value. May be given several times.",
            show_default=False,
        ),
    ] = None,
    type: Annotated[
        ValueType,
        typer.Option("--type", metavar="TYPE", help="What the answers are: text, number, json."),
    ] = ValueType.TEXT,
) -> None:
    """Say what the right answer to a question is, or what a wrong one was.

    It is kept in the file and holds at once: the same question gets the right
    answer from now on, and questions like it are drawn towards it. No record
    is changed. What was said is learned from by: qkv learn STORE.

    For example:

        qkv feedback animals.qkv "a kitten" --good cat
        qkv feedback animals.qkv "a mouse pad" --bad rodent --good computer
    """
    with asking(store) as db, busy("encoding the question"):
        db.feedback(
            question,
            good=None if good is None else typed(good, type),
            bad=[typed(one, type) for one in bad or ()],
        )
    what = "kept" if good is None else f"kept: {shown(question)} → {shown(good)}"
    out().print(Text(what))


def learn(
    store: Store,
    pairs: Annotated[
        str | None,
        typer.Argument(
            metavar="[PAIRS]",
            help="A csv, tsv, jsonl or parquet file of questions and the keys that answer them; - "
            "reads the standard input. Without it, the store learns from what feedback said and "
            "from records that share a value.",
            show_default=False,
        ),
    ] = None,
    query: Annotated[
        str | None,
        typer.Option("--query", metavar="COLUMN", help="Of PAIRS.", show_default="the first"),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="COLUMN", help="Of PAIRS.", show_default="the second"),
    ] = None,
    negative: Annotated[
        list[str] | None,
        typer.Option(
            "--negative",
            metavar="COLUMN",
            help="Of PAIRS: a key or text that is a wrong answer. May be given several times.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option("--format", help="How PAIRS is laid out.", show_default="by its name"),
    ] = None,
    keys: Annotated[
        bool,
        typer.Option("--keys", help="Learn where keys lie, too: often better, and slower once."),
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Go back to what held before the last time.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let the store learn which records answer which questions.

    Most of the questions are learned from, the others are asked, before and
    after. What was learned is kept only if they are answered better for it,
    beyond chance; otherwise nothing changes. Records are never changed.

    For example:

        qkv learn intents.qkv
        qkv learn faq.qkv questions.csv --query asked --key title
        qkv learn faq.qkv --undo
    """
    if undo:
        _undo(store, as_json=as_json)
        return
    named = None if pairs is None else _pairs(pairs, query, key, negative or [], format)
    with asking(store) as db, progress("learning") as report:
        told, negatives = named or (None, None)
        done = db.learn(told, negatives=negatives, keys=keys, progress=report)
    if as_json:
        write(to_json({"path": str(store)} | done.as_json()))
    else:
        _print(store, done)


def _undo(store: Path, *, as_json: bool) -> None:
    with asking(store) as db, busy("going back"):
        undone = db.unlearn()
    if as_json:
        write(to_json({"path": str(store), "undone": undone}))
    elif undone:
        out().print(Text("gone back to what held before"))
    else:
        note(f"{store} has learned nothing that could be undone")


def _pairs(
    file: str, query: str | None, key: str | None, negative: list[str], format: Format | None
) -> tuple[list[tuple[str, str]], list[list[str]]]:
    """Questions with their keys, and the wrong ones of each."""
    read = read_pairs(file, query, key, format, negative)
    wrong: list[list[Any]] = [
        [row.metadata[name] for name in negative if row.metadata.get(name)] for row in read
    ]
    return [(row.key, check_text(row, "key", row.value)) for row in read], [
        [str(one) for one in some] for some in wrong
    ]


def _print(store: Path, done: Learning) -> None:
    table = table_of("", "held out", "questions", "measure", "before", "after", "difference")
    for name, part in done.parts.items():
        before, after, change = part.before, part.after, part.difference
        rows = (
            (
                "right at first place",
                f"{before.recall:.1%}",
                f"{after.recall:.1%}",
                f"{change.recall:+.1%} ± {change.recall_error:.1%}",
            ),
            (
                "mean reciprocal rank",
                f"{before.mrr:.3f}",
                f"{after.mrr:.3f}",
                f"{change.mrr:+.3f} ± {change.mrr_error:.3f}",
            ),
            (
                "surprise (less is better)",
                f"{before.surprise:.3f}",
                f"{after.surprise:.3f}",
                f"{change.surprise:+.3f}",
            ),
        )
        for number, cells in enumerate(rows):
            first = (_PARTS[name], f"{before.questions:,}") if number == 0 else ("", "")
            table.add_row(*first, *cells)
    if done.parts:
        out().print(table)
    if done.kept:
        out().print(Text(f"kept: {done.why} ({done.seconds:.1f} s)"))
        note(f"to go back: qkv learn {shlex.quote(str(store))} --undo")
    else:
        out().print(Text(f"not kept: {done.why}; {store} answers as before"))
