"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AsJson",
    "Encoder",
    "Force",
    "Head",
    "Key",
    "MaxWrong",
    "Question",
    "Store",
    "Temperature",
    "TopK",
    "Where",
    "among",
]

Store = Annotated[
    Path,
    typer.Argument(
        metavar="STORE", help="The store's file, such as animals.qkv.", show_default=False
    ),
]
Key = Annotated[
    str,
    typer.Argument(metavar="KEY", help="The key, exactly as it is stored.", show_default=False),
]
Question = Annotated[
    str,
    typer.Argument(
        metavar="TEXT", help="What to ask; it need not be a key of the store.", show_default=False
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Encoder = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="NAME",
        help="For a new store: glove+use+transformer (the default), glove+use (lighter), use, "
        "glove, or hashing (quick, knows spelling only). A store keeps its encoder.",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite FILE if it is there.")]
Head = Annotated[
    str | None,
    typer.Option(
        "--head",
        metavar="auto|blend|relation",
        help="How values become an answer: blend them, complete a relation (france is to paris "
        "as japan is to …), or what fits the store's own records better.",
        show_default="auto",
    ),
]
MaxWrong = Annotated[
    float | None,
    typer.Option(
        "--max-wrong",
        metavar="SHARE",
        help="A budget: answer only when so sure that at most this share of the answers given is "
        "wrong, such as 0.05. What it costs: qkv check.",
        show_default="answer always",
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        "--temperature",
        metavar="NUMBER",
        help="Small: the nearest key decides. Large (up to inf): all keys do.",
        show_default="learned from the store's records",
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        "-k",
        "--top-k",
        min=1,
        metavar="COUNT",
        help="Look at the nearest records only.",
        show_default="all records",
    ),
]
Where = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="FILTER",
        help='Only records whose metadata passes: \'year >= 2020 and lang in ["en", "de"]\', '
        "'\"bear\" in tags', 'not draft'.",
        show_default="all records",
    ),
]


def among(where: str | None) -> str:
    """Say which records were asked, for the message that none of them is an answer."""
    return "" if where is None else f" where {where}"
