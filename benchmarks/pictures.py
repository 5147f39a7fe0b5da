"""Pictures of results: ``python benchmarks/pictures.py`` draws docs/pictures from results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from study import RESULTS

from qkv.plots import save
from qkv.plots.canvas import COLOURS, GREY, MARKERS

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"

Series = dict[str, list[float | None]]


def main() -> None:
    """Draw all of them."""
    for name, figure in (
        ("hybrid.png", hybrid()),
        ("classification.png", classification()),
        ("passages.png", passages()),
        ("learning.png", learning()),
    ):
        print(save(figure, PICTURES / name, dpi=90))


def table(name: str, title: str) -> dict[str, Any]:
    """A table of a study, by the beginning of its title."""
    tables = json.loads((RESULTS / f"{name}.json").read_text())["tables"]
    found: dict[str, Any] = next(one for one in tables if one["title"].startswith(title))
    return found


def dots(
    rows: Sequence[str],
    series: Series,
    title: str,
    subtitle: str,
    limit: float,
    start: float = 0,
) -> Figure:
    """A line for each row, a mark for each series: what is compared stands on one line."""
    figure = Figure(figsize=(8, 0.9 + 0.36 * len(rows)), layout="constrained")
    ax = figure.subplots()
    for number, (name, values) in enumerate(series.items()):
        there = [(v, row) for row, v in enumerate(values) if v is not None]
        ax.plot(
            *zip(*there, strict=True),
            linestyle="none",
            marker=MARKERS[number],
            markersize=10 if number == 0 else 7,
            color=COLOURS[number],
            label=name,
            zorder=5 - number,
        )
    ax.set_yticks(range(len(rows)), rows)
    ax.invert_yaxis()
    ax.set_xlim(start, limit)
    ax.grid(axis="both", color=GREY, alpha=0.25)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.tick_params(length=0, labelsize=9)
    ax.set_title(title, loc="left", fontsize=12, fontweight="bold", pad=22)
    ax.annotate(
        subtitle,
        (0, 1),
        (0, 7),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=9,
        color=GREY,
    )
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    return figure


def hybrid() -> Figure:
    """Words, meaning, and two ways of both."""
    names = ("both, added", "both, by rank", "words", "meaning")
    rows: list[str] = []
    series: Series = {name: [] for name in names}

    def add(row: str, *values: float) -> None:
        rows.append(row)
        for name, value in zip(names, values, strict=True):
            series[name].append(value)

    for data in ("SciFact", "Vaswani"):
        found = {tuple(r[:2]): r[2] for r in table("retrieval", f"{data}: meaning")["rows"]}
        for encoder in ("transformer", "glove+use"):
            add(
                f"{data}, {encoder}",
                found[f"hybrid, {encoder}", "attention; bm25, language"],
                found[f"hybrid, {encoder}", "rrf; bm25, language"],
                found["keyword", "bm25, language"],
                found[f"semantic, {encoder}", ""],
            )
    one = table("languages", "XQuAD within a language: Recall@1")
    for row in one["rows"][:8]:
        words = row[2] if isinstance(row[2], float) else row[1]
        add(f"XQuAD {row[0]}, use", row[4], row[7], words, row[3])
    across = table("languages", "XQuAD across")
    for row in across["rows"][:14]:
        add(f"XQuAD {row[0]}, use", row[3], row[6], row[1], row[2])
    return dots(
        rows,
        series,
        "Added: at the better part or above it, nearly everywhere",
        "nDCG@10 (SciFact, Vaswani) and recall@1 (XQuAD: question → paragraph)",
        1,
    )


def classification() -> Figure:
    """Votes and attention."""
    found = table("classification", "Accuracy")
    rows = [f"{row[0]}, {row[1]}" for row in found["rows"]]
    picked = {
        "attention to all": "attention",
        "vote of k, k on validation": "vote of k",
        "vote of 3": "vote of 3",
        "nearest": "nearest",
        "logistic regression": "logistic regression",
    }
    series: Series = {
        name: [row[found["columns"].index(column)] for row in found["rows"]]
        for name, column in picked.items()
    }
    return dots(rows, series, "Classification by attention", "accuracy on the test split", 1)


def passages() -> Figure:
    """Which sentence answers."""
    found = table("passages", "Within")
    rows = found["columns"][1:]
    values = {row[0]: row[1:] for row in found["rows"]}
    series: Series = {
        "words and meaning, glove+use": values["glove+use"],
        "meaning alone, glove+use": values["glove+use, cosine alone"],
        "words alone": values["words alone"],
        "the first": values["the first"],
        "a random one": values["expected of a random one"],
    }
    return dots(
        rows, series, "The sentence that holds the answer", "share of 599 questions of XQuAD", 1
    )


def learning() -> Figure:
    """Stores before and after they learned."""
    names = {"nothing": "before", "W_Q": "learned W_Q", "W_Q and W_K": "learned W_Q and W_K"}
    article = table("learning", "The second article")
    rows = [f"paraphrases of the article, {row[0]}" for row in article["rows"]]
    series: Series = {names[name]: [] for name in ("W_Q and W_K", "W_Q", "nothing")}
    for row in article["rows"]:
        right = [int(cell.split()[0]) / 16 for cell in (row[3], row[4])]
        for name, value in zip(series, (None, right[1], right[0]), strict=True):
            series[name].append(value)
    for row in table("learning", "Learned from the store's own records")["rows"]:
        encoder, stored, learned, _, nearest, *_ = row
        if learned == "nothing":
            rows.append(f"{stored}, {encoder}")
        series[names[learned]].append(nearest)
    return dots(
        rows,
        series,
        "What stores learn from sixteen lessons, and from nothing but themselves",
        "share whose nearest key is right; none of the questions was learned from",
        1.01,
        0.65,
    )


if __name__ == "__main__":
    main()
