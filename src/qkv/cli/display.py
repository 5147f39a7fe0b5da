"""What people see: lines, tables with bars, progress. Programs read JSON instead."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qkv.cli.conversion import plain, to_text

if TYPE_CHECKING:
    from qkv.types import Attention, Candidate, Match, Span, Value

__all__ = [
    "Screen",
    "answer_lines",
    "answers_table",
    "busy",
    "complain",
    "excerpt",
    "matches_table",
    "note",
    "out",
    "probable",
    "progress",
    "share_bar",
    "shown",
    "shown_value",
    "table_of",
    "weights_table",
    "write",
]

#: What an origin is called, and its style.
ORIGINS = {
    "exact": ("exact", "bold green"),
    "recalled": ("stored", "green"),
    "imagined": ("imagined", "italic magenta"),
    "nothing": ("nothing", "dim"),
}

#: How a part of a record that answers is marked.
SPANS = {"keyword": "bold yellow", "semantic": "underline"}
#: Characters of a long text that are shown around it.
EXCERPT = 160

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Screen(Console):
    """A console that leaves a closed pipe to :func:`qkv.cli.endings.ending_well`."""

    def on_broken_pipe(self) -> None:
        """Raise, where rich would exit with the code for "not found"."""
        raise BrokenPipeError


def out() -> Console:
    """Return the console of stdout. In a pipe lines are as long as they need to be."""
    if sys.stdout.isatty() or "COLUMNS" in os.environ:
        return Screen(highlight=False)
    return Screen(highlight=False, width=100_000)


def _err() -> Console:
    return Console(stderr=True, highlight=False)


def write(line: str) -> None:
    """Write one line of data to stdout, as it is."""
    sys.stdout.write(line + "\n")


def complain(message: str) -> None:
    """Say on stderr, in one red line, what went wrong."""
    _err().print(Text(f"error: {shown(message)}", style="red"), soft_wrap=True)


def note(message: str) -> None:
    """Say on stderr, in one dim line, what is good to know."""
    _err().print(Text(f"note: {shown(message)}", style="dim"), soft_wrap=True)


def shown(text: str) -> str:
    r"""Make a text safe for one line of a terminal: control characters become escapes.

    Examples
    --------
    >>> shown("two\nlines, \x1b[31mred")
    'two\\nlines, \\x1b[31mred'
    """
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def shown_value(value: Value) -> str:
    """Return a value for a cell of a table: numbers rounded, long vectors cut short.

    Examples
    --------
    >>> shown_value(12.000000000000001), shown_value("cat"), shown_value([1, None])
    ('12', 'cat', '[1, null]')
    """
    if isinstance(value, float):
        return f"{value:.10g}"
    content = plain(value)
    if content is value:
        return shown(to_text(value))
    head = ", ".join(f"{entry:.4g}" for entry in content[:4])
    return f"[{head}]" if len(content) <= 4 else f"[{head}, …] ({len(content)} numbers)"


# ── tables ───────────────────────────────────────────────────────────────────────────────────


def table_of(title: str, *columns: str) -> Table:
    """Return an empty table; columns of numbers are set to the right."""
    table = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in columns:
        numeric = column in ("#", "score", "", "semantic", "keyword")
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    return table


def share_bar(share: float) -> tuple[Bar, str]:
    """Return a share as a bar and as a percentage, for two columns."""
    return Bar(1, 0, share, width=16, color="cyan"), f"{share:.1%}"


def _origin(origin: str) -> Text:
    name, style = ORIGINS[origin]
    return Text(name, style=style)


def _answer(candidate: Candidate) -> Text:
    value = shown_value(candidate.value)
    if candidate.spread is not None:
        value = f"{candidate.value:.6g} ± {candidate.spread:.3g}"
    return Text(value, style=ORIGINS[candidate.origin][1])


def answer_lines(attention: Attention) -> Text:
    """Return what was asked, what was answered, from where, how likely; and why it may be wrong."""
    best = attention.best
    origin = _origin(best.origin)
    if best.origin == "nothing":
        line = Text.assemble(f"{shown(attention.query)} → ", origin)
    else:
        sure = f", {best.probability:.1%} {_measure(attention)})"
        line = Text.assemble(f"{shown(attention.query)} → ", _answer(best), " (", origin, sure)
    if attention.reading:
        line.append(f"\n{shown(attention.reading)}", style="dim")
    for warning in best.warnings:
        line.append(f"\n  ! {shown(warning)}", style="yellow")
    return line


def _measure(attention: Attention) -> str:
    """What a percentage of an answer is."""
    return "sure" if probable(attention) else "of the attention"


def probable(attention: Attention) -> bool:
    """Whether the percentages of an answer are probabilities, not shares of the attention."""
    return attention.calibrated or attention.origin == "exact"


def answers_table(attention: Attention, candidates: Iterable[Candidate], title: str = "") -> Table:
    """Return possible answers as a table: rank, value, probability with a bar, origin."""
    name = "probability" if probable(attention) else "attention"
    table = table_of(title, "#", "value", name, "", "origin")
    for rank, candidate in enumerate(candidates, start=1):
        table.add_row(
            str(rank),
            _answer(candidate),
            *share_bar(candidate.probability),
            _origin(candidate.origin),
        )
    return table


def weights_table(attention: Attention, count: int) -> Table:
    """Return the records that attention looked at; the weights of the whole table sum to 100 %."""
    title = f"records looked at, at temperature {attention.temperature:.3g}"
    table = table_of(title, "#", "key", "value", "weight", "", "score")
    kept = attention.weights[:count]
    for rank, weight in enumerate(kept, start=1):
        table.add_row(
            str(rank),
            Text(shown(weight.key)),
            Text(shown_value(weight.value)),
            *share_bar(weight.weight),
            f"{weight.score:.3f}",
        )
    others = attention.rest + sum(weight.weight for weight in attention.weights[count:])
    table.add_row("", Text("the other records", style="dim"), "", *share_bar(others), "")
    table.add_row("", Text("nothing here", style="dim"), "", *share_bar(attention.null), "")
    return table


def matches_table(
    matches: Iterable[Match], *, ranks: bool = False, excerpts: bool = False
) -> Table:
    """Return records that a search found, as a table.

    Parameters
    ----------
    ranks
        With the rank that each retriever gave.
    excerpts
        With spans marked, and long texts cut to what is around them.
    """
    retrievers = ("semantic", "keyword") if ranks else ()
    table = table_of("", "#", "key", "value", "score", *retrievers)
    for rank, match in enumerate(matches, start=1):
        key, value = Text(shown(match.key)), Text(shown_value(match.value))
        if excerpts:
            key = excerpt(match.key, [span for span in match.spans if span.field == "key"])
        if excerpts and isinstance(match.value, str):
            value = excerpt(match.value, [span for span in match.spans if span.field == "value"])
        # Reciprocal ranks differ by little.
        score = f"{match.score:.4f}" if ranks else f"{match.score:.3f}"
        places = [match.why.get(name) for name in retrievers]
        ranked = ("–" if place is None else str(place.rank) for place in places)
        table.add_row(str(rank), key, value, score, *ranked)
    return table


def excerpt(text: str, spans: Sequence[Span]) -> Text:
    """Return a text with its spans marked; if it is long, what is around the best of them.

    Examples
    --------
    >>> from qkv.types import Span
    >>> hay = "hay " * 99
    >>> str(excerpt(f"{hay}needle {hay}", [Span("needle", "key", 396, 402, "keyword")]))
    '… hay hay ... hay needle hay ... hay hay …'
    """
    start, end = _window(text, spans)
    marked = Text("… " if start else "")
    marked.append(shown(text[start:end]))
    for span in spans:
        first, last = max(span.start, start), min(span.end, end)
        if first < last:
            offset = 2 if start else 0
            # Control characters have become longer.
            places = (offset + len(shown(text[start:place])) for place in (first, last))
            marked.stylize(SPANS[span.why], *places)
    return marked.append(" …" if end < len(text) else "")


def _window(text: str, spans: Sequence[Span]) -> tuple[int, int]:
    """Where an excerpt begins and ends: between words, where there are spaces."""
    if len(text) <= EXCERPT:
        return 0, len(text)
    first, last = _best(spans)
    start = first - max(0, EXCERPT - (last - first)) // 2
    start = max(0, min(start, len(text) - EXCERPT))
    end = start + EXCERPT
    if start > 0:
        start = text.find(" ", start, first) + 1 or start
    if end < len(text):
        space = text.rfind(" ", last if last <= end else first, end)
        end = space if space > start else end
    return start, end


def _best(spans: Sequence[Span]) -> tuple[int, int]:
    """Where the nearest sentence is; else, the most different words that fit into an excerpt."""
    for span in spans:
        if span.why == "semantic":
            return span.start, span.end
    groups = [
        [near for near in spans[place : place + EXCERPT] if near.end <= span.start + EXCERPT]
        for place, span in enumerate(spans)
    ]
    best = max(groups, key=lambda group: len({span.text.casefold() for span in group}), default=[])
    return (best[0].start, best[-1].end) if best else (0, 0)


# ── waiting ──────────────────────────────────────────────────────────────────────────────────


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Turn a wheel on the terminal while something of unknown length goes on."""
    console = _err()
    if not console.is_terminal:
        yield
        return
    with console.status(f"[dim]{what} …[/]"):
        yield


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on the terminal, if it takes more than a second.

    Yields
    ------
    callable
        To be called with (done, total).
    """
    console = _err()
    if not console.is_terminal:
        yield lambda _done, _total: None
        return
    from rich.progress import (  # noqa: PLC0415  (30 ms that only long commands need)
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task(what, total=None)
    began = time.monotonic()

    def report(done: int, total: int) -> None:
        bar.update(task, completed=done, total=total)
        if done < total and time.monotonic() - began > 1:
            bar.start()

    try:
        yield report
    finally:
        bar.stop()
