"""What every picture stands on: a figure, its colours, and the file that keeps it."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from qkv.errors import InputError
from qkv.plots.lettering import Lettering

__all__ = [
    "COLOURS",
    "GREY",
    "MARKERS",
    "axes",
    "figure_of",
    "headline",
    "panels",
    "picture_format",
    "save",
    "settle",
]

#: Readable on white and on black.
GREY = "#808080"
#: Colours that people of any colour vision tell apart (Okabe and Ito 2008), less black and yellow.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C6BB1", "#8B5A2B")
#: Shapes beside the colours, for print and for eyes that see neither.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")

_DPI = 150


class _Picture(Figure):
    """A figure that a notebook shows by itself, although pyplot does not know of it."""

    def _repr_png_(self) -> bytes:
        return _drawn(self, "png", _DPI)


def axes(ax: Axes | None, width: float, height: float) -> Axes:
    """Return the axes to draw on: those given, or the only ones of a new figure (in inches)."""
    return _blank(width, height).subplots() if ax is None else ax


def panels(ax: Sequence[Axes] | None, width: float, height: float) -> tuple[Axes, Axes]:
    """Return two axes to draw on: those given, or those of a new figure, side by side."""
    if ax is None:
        ax = _blank(width, height).subplots(1, 2)
    left, right = ax
    return left, right


def _blank(width: float, height: float) -> Figure:
    figure = _Picture(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def figure_of(ax: Axes) -> Figure:
    """Return the figure that the axes are part of."""
    figure = ax.get_figure(root=True)
    if figure is None:
        raise InputError("these axes are in no figure any more; leave ax out for a new one")
    return figure


def settle(ax: Axes) -> None:
    """Give the axes their final place and limits, so that pixels can be asked for."""
    figure = figure_of(ax)
    figure.draw_without_rendering()
    if isinstance(figure, _Picture):
        figure.set_layout_engine("none")  # what is written from now on moves nothing


def headline(ax: Axes, title: str, subtitle: str, letters: Lettering) -> None:
    """Write a title, and a smaller grey line below it, over the left edge of the axes."""
    ax.set_title(title, loc="left", fontsize=12, fontweight=letters.bold, pad=24, **letters.style)
    if letters.missing:
        subtitle = f"{subtitle}; {letters.note}"
    ax.annotate(
        subtitle,
        (0, 1),
        (0, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=9,
        color=GREY,
        annotation_clip=False,
        **letters.style,
    )


def save(figure: Figure, path: str | os.PathLike[str], *, dpi: int = _DPI) -> Path:
    """Write a figure to a PNG or SVG file, by the ending of its name.

    The same figure makes the same bytes: neither file holds the time or a random number.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : path
        Ends in .png or .svg.
    dpi : int
        Pixels per inch of a PNG.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        For any other ending.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    ending = picture_format(path)
    # Drawn first and written whole: a file that is there stays as it is until then.
    path.write_bytes(_drawn(figure, ending, dpi))
    return path


def _drawn(figure: Figure, ending: str, dpi: int) -> bytes:
    stream = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "qkv"}):
        figure.savefig(
            stream,
            format=ending,
            dpi=dpi,
            bbox_inches="tight",
            metadata={"Date": None} if ending == "svg" else {"Software": None},
        )
    return stream.getvalue()


def picture_format(path: Path) -> str:
    """Return "png" or "svg", or raise an InputError: no other ending is known."""
    ending = path.suffix.lower().removeprefix(".")
    if ending not in ("png", "svg"):
        raise InputError(f"a picture is a .png or .svg file, not {path.name!r}")
    return ending
