"""Commands that draw: map and heatmap."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from qkv.cli.display import busy, out, shown
from qkv.cli.options import Force, Store
from qkv.cli.stores import reading
from qkv.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from qkv.database import Database

__all__ = ["check_output", "heatmap", "map"]

_Output = Annotated[
    Path,
    typer.Option(
        "-o", "--output", metavar="FILE", help="Where to: a .png or an .svg.", show_default=False
    ),
]


def map(
    store: Store,
    output: _Output,
    query: Annotated[
        str | None,
        typer.Option(
            "--query",
            metavar="TEXT",
            help="Draw this too, with lines to the nearest keys.",
            show_default=False,
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Lines to so many keys.")] = 5,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="pca|tsne|umap",
            help="How many dimensions become two; tsne and umap need qkv's extra 'maps'.",
        ),
    ] = "pca",
    force: Force = False,
) -> None:
    """Draw the keys as points, the nearer the more alike.

    They have the colours of their values, where these are few or numbers. Of a
    large store 2,000 keys are drawn, chosen at random. Needs qkv's extra 'plots'.

    For example:

        qkv map animals.qkv -o map.png
        qkv map animals.qkv -o map.svg --query "a kitten" -k 3
    """
    from qkv import plots  # noqa: PLC0415

    check_output(output, force=force)
    with reading(store) as db, busy("drawing"):
        _save(plots.key_map(db, query, k=k, method=method), output)


def heatmap(
    store: Store,
    output: _Output,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="One row each.", show_default="the keys of the store"),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option(
            "-k",
            min=1,
            metavar="COUNT",
            help="With texts: only the keys that are nearest to one of them.",
            show_default="all keys",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Draw how alike texts and keys are: a row for each text, a column for each key.

    Without texts, every key beside every key. Needs qkv's extra 'plots'.

    For example:

        qkv heatmap animals.qkv -o heat.png
        qkv heatmap animals.qkv "a kitten" puppy -k 5 -o heat.svg
    """
    from qkv import plots  # noqa: PLC0415

    check_output(output, force=force)
    if k is not None and not texts:
        raise InputError("-k chooses the keys nearest to texts; give some, or leave -k out")
    with reading(store) as db, busy("drawing"):
        keys = None if k is None else _nearest(db, texts or [], k)
        _save(plots.heatmap(db.similarity(texts or None, keys)), output)


def _nearest(db: Database, texts: list[str], k: int) -> list[str]:
    """The k nearest keys of each text, in order, each once."""
    return list(dict.fromkeys(match.key for found in db.search(texts, k) for match in found))


def check_output(path: Path, *, force: bool) -> None:
    """Say what is wrong with the name before any work is done."""
    from qkv.plots.canvas import picture_format  # noqa: PLC0415

    picture_format(path)
    if path.exists() and not force:
        raise InputError(f"{path} is there already; --force overwrites it")


def _save(figure: Figure, path: Path) -> None:
    from qkv.plots import save  # noqa: PLC0415

    save(figure, path)
    out().print(Text(f"drew {shown(str(path))}"))
