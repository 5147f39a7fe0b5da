"""The command that asks a store about itself: check."""

from __future__ import annotations

from collections import Counter
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from qkv.cli.columns import Format
from qkv.cli.conversion import Type as ValueType
from qkv.cli.conversion import to_json, typed
from qkv.cli.display import busy, note, out, share_bar, shown, table_of, write
from qkv.cli.options import AsJson, Force, Store
from qkv.cli.pairs import read_pairs
from qkv.cli.pictures import check_output
from qkv.cli.stores import asking
from qkv.errors import DiskFull, InputError, Locked, ReadOnlyFile

if TYPE_CHECKING:
    from qkv.calibration import Calibration
    from qkv.database import Database

__all__ = ["check"]

#: Shares of wrong answers that the report is about.
BUDGETS = (0.01, 0.05, 0.10)
#: Rows of the table of confidences, of equal width.
_BANDS = 5


def check(
    store: Store,
    unanswerable: Annotated[
        float | None,
        typer.Option(
            "--unanswerable",
            metavar="SHARE",
            help="Share of your questions that the store cannot answer. Kept, for all answers "
            "from now on.",
            show_default="what was said last; at first 0.18",
        ),
    ] = None,
    questions: Annotated[
        str | None,
        typer.Option(
            "--questions",
            metavar="FILE",
            help="Questions as your users ask them, with their answers: a csv, tsv, jsonl or "
            "parquet file; - reads the standard input. An answer is a key, or a value; it is "
            "empty where nothing in the store is right. They are kept, in the place of those "
            "before, and confidence and budgets hold for questions like them from now on.",
            show_default=False,
        ),
    ] = None,
    query: Annotated[
        str | None,
        typer.Option("--query", metavar="COLUMN", help="Of --questions.", show_default="the first"),
    ] = None,
    answer: Annotated[
        str | None,
        typer.Option(
            "--answer", metavar="COLUMN", help="Of --questions.", show_default="the second"
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option("--format", help="How --questions is laid out.", show_default="by its name"),
    ] = None,
    type: Annotated[
        ValueType,
        typer.Option("--type", metavar="TYPE", help="What the answers are: text, number, json."),
    ] = ValueType.TEXT,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget questions that were given before.")
    ] = False,
    picture: Annotated[
        Path | None,
        typer.Option(
            "--picture",
            metavar="FILE",
            help="Draw it, too: a .png or an .svg. Needs qkv's extra 'plots'.",
            show_default=False,
        ),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Say how far the store's answers, and its confidence, can be trusted.

    The store asks itself. Each record (of a large store, some) is left out and
    asked for: is the answer still right? Then again with every record of its
    value left out, so that "nothing here" is right. What is learned from that
    is kept in the file, for the answers to come; records are not changed.

    Give it real questions, a hundred or more, and it is asked these instead:
    what nothing but they can tell, such as how often people ask for what is
    not there, it then knows.

    A confidence can be believed if, of the answers that were 80 % sure, 80 %
    were right. The last table is the price of a budget: how many questions
    still get an answer if so few of the answers may be wrong (--max-wrong of
    query).

    For example:

        qkv check intents.qkv
        qkv check intents.qkv --unanswerable 0.3 --picture trust.png
        qkv check faq.qkv --questions asked.csv --query text --answer title
    """
    from qkv.database.arguments import check_share  # noqa: PLC0415

    if unanswerable is not None:
        check_share(unanswerable, "--unanswerable")
    if picture is not None:
        check_output(picture, force=force)
    if forget and questions is not None:
        raise InputError("--questions takes the place of those before; leave --forget out")
    given: list[tuple[str, Any]] | None = [] if forget else None
    if questions is not None:
        given = [
            (row.key, None if row.value in {None, ""} else typed(row.value, type))
            for row in read_pairs(questions, query, answer, format)
        ]
    with asking(store) as db, busy("asking the store about its own records"):
        calibration, kept = _calibrated(db, store, unanswerable, given)
        if picture is not None:
            _draw(calibration, picture)
        asked = calibration.questions > 0 or calibration.told > 0
        shared = Counter[Any]() if asked else _shared(db)
    if as_json:
        write(to_json({"path": str(store)} | _content(calibration) | {"kept": kept}))
        return
    if asked:
        _print_report(store, calibration)
    else:
        _print_prior(store, calibration, shared)
    if picture is not None:
        out().print(Text(f"\ndrew {shown(str(picture))}"))


def _calibrated(
    db: Database,
    store: Path,
    unanswerable: float | None,
    questions: list[tuple[str, Any]] | None,
) -> tuple[Calibration, bool]:
    """What the store says of itself now, and whether that could be kept in the file."""
    if db.metric != "cosine":
        raise InputError(
            f"{store} compares keys by {db.metric}: there, percentages are shares of the "
            "attention. Only stores that compare by cosine, as they do unless told otherwise, "
            "know how likely an answer is right"
        )
    try:
        return db.calibrate(unanswerable=unanswerable, questions=questions), True
    except (ReadOnlyFile, Locked, DiskFull) as error:
        note(f"the report is not kept in the file: {error}")
        return db.calibration, False


def _draw(calibration: Calibration, picture: Path) -> None:
    from qkv import plots  # noqa: PLC0415

    plots.save(plots.reliability(calibration), picture)


def _shared(db: Database) -> Counter[Any]:
    """Values that several records hold, and how many do."""
    from qkv.values import to_stored  # noqa: PLC0415

    counts = Counter(to_stored(value) for value in db.values())
    return Counter({value: count for value, count in counts.items() if count > 1})


# ── for people ───────────────────────────────────────────────────────────────────────────────


def _print_report(store: Path, calibration: Calibration) -> None:
    known = calibration.reliability
    records, asked = f"{calibration.records:,}", f"{calibration.questions:,}"
    which = "each" if records == asked else f"{asked} of them"
    facts = [
        (f"{known.accuracy:.1%}", "of the questions that have an answer were answered right"),
        (f"{known.ece:.1%}", "lie between confidence and truth, on average (ECE)"),
        (
            f"{known.auroc:.1%}",
            "is how well “nothing here” is told (AUROC; 50% is chance)",
        ),
        *_settings(calibration),
    ]
    how = (
        f"{store}: {records} records, {which} asked for twice: with the record left out, and "
        "with every\nrecord of its value left out, when “nothing here” is right\n"
    )
    if calibration.told:
        how = (
            f"{store}: {records} records, asked {_plural(calibration.told, 'question')} that it "
            "was given, each judged by what\nthe others taught\n"
        )
    console = out()
    console.print(Text(how))
    console.print(_facts_table(facts))
    console.print()
    console.print(_bands_table(calibration))
    console.print()
    console.print(_budgets_table(calibration))


def _facts_table(facts: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    for figure, meaning in facts:
        table.add_row(Text(figure), Text(meaning, style="dim"))
    return table


def _settings(calibration: Calibration) -> list[tuple[str, str]]:
    return [
        (
            f"{calibration.unanswerable:.0%}",
            "of your questions are taken to have no answer here (--unanswerable)",
        ),
        (
            f"{calibration.temperature:.3g}",
            "is the temperature: the smaller, the more the nearest record decides",
        ),
    ]


def _bands_table(calibration: Calibration) -> Table:
    table = table_of("was it as right as it was sure?", "said", "right", "of the questions", "")
    for said, right, share in _bands(calibration.reliability.bins):
        table.add_row(f"{said:.0%} sure", f"{right:.0%}", *share_bar(share))
    return table


def _bands(bins: tuple[tuple[float, float, float], ...]) -> list[tuple[float, float, float]]:
    """The bins of a reliability diagram, brought together into fewer, surest first."""
    bands: dict[int, list[tuple[float, float, float]]] = {}
    for one in bins:
        bands.setdefault(min(int(one[0] * _BANDS), _BANDS - 1), []).append(one)
    merged = []
    for _, inside in sorted(bands.items(), reverse=True):
        total = sum(share for *_, share in inside)
        said, right = (sum(one[i] * one[2] for one in inside) / total for i in (0, 1))
        merged.append((said, right, total))
    return merged


def _budgets_table(calibration: Calibration) -> Table:
    table = table_of(
        "if few of the answers may be wrong",
        "at most",
        "answer when",
        "answered, of those that can be",
        "",
    )
    for budget in _budgets(calibration):
        wrong = f"{budget['max_wrong']:.0%} wrong"
        if budget["threshold"] is None:
            seen = min(calibration.reliability.errors, default=1.0)
            few = "too few questions to promise that"
            table.add_row(wrong, "never", few if seen <= budget["max_wrong"] else "none is so sure")
        else:
            table.add_row(wrong, f"{budget['threshold']:.1%} sure", *share_bar(budget["answered"]))
    return table


def _print_prior(store: Path, calibration: Calibration, shared: Counter[Any]) -> None:
    from qkv.calibration.fit import FEWEST  # noqa: PLC0415

    there = f"{shared.total():,} such records, of {_plural(len(shared), 'value')}"
    out().print(
        Text(
            f"{store}: {_plural(calibration.records, 'record')}, and no questions to make of them"
            f"\n\nThe store is asked for records that share their value with another: {FEWEST} of "
            f"them, of two\nvalues or more. Here are {there if shared else 'none'}. Until there "
            "are enough, the store goes by\nwhat was learned from many small stores: probabilities "
            "that hold, though not made for it. Or give it questions of\nyour users: --questions "
            "FILE.\n"
        )
    )
    out().print(_facts_table(_settings(calibration)))


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


# ── as JSON ──────────────────────────────────────────────────────────────────────────────────


def _content(calibration: Calibration) -> dict[str, Any]:
    known = calibration.reliability
    asked = calibration.questions > 0 or calibration.told > 0
    return {
        "records": calibration.records,
        "questions": calibration.questions,
        "told": calibration.told,
        "unanswerable": calibration.unanswerable,
        "temperature": calibration.temperature,
        # JSON has no NaN, which is what a store that was not asked has here.
        "accuracy": known.accuracy if asked else None,
        "ece": known.ece if asked else None,
        "auroc": known.auroc if asked else None,
        "bins": [
            {"confidence": said, "right": right, "share": share}
            for said, right, share in known.bins
        ],
        "budgets": _budgets(calibration),
    }


def _budgets(calibration: Calibration) -> list[dict[str, Any]]:
    """For each budget the least confidence that keeps it, and how many questions it answers.

    The confidence is None if no answer is sure enough, the share if nothing is known of it.
    """
    known = calibration.reliability
    budgets = []
    for max_wrong in BUDGETS:
        least = calibration.threshold(max_wrong)
        answered = 0.0 if known.thresholds else None
        if known.thresholds and isfinite(least):
            answered = known.answered[known.thresholds.index(least)]
        budgets.append(
            {
                "max_wrong": max_wrong,
                "threshold": least if isfinite(least) else None,
                "answered": answered,
            }
        )
    return budgets
