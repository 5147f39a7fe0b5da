"""The similarity matrix as a heat map."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from qkv.errors import InputError
from qkv.plots.canvas import axes, figure_of, headline
from qkv.plots.lettering import Lettering, lettering
from qkv.similarity import SimilarityMatrix
from qkv.types import Floats, Metric

__all__ = ["heatmap"]

#: More rows or columns than this are no picture.
_LARGEST = 2000
#: Rows and columns that are named, and those whose cells have their number in them.
_NAMED = 60
_NUMBERED = 16

_SCALES = {
    Metric.COSINE: "cosine similarity",
    Metric.DOT: "dot product",
    Metric.EUCLIDEAN: "−½ · squared euclidean distance",
}


def heatmap(similarity: SimilarityMatrix, *, ax: Axes | None = None) -> Figure:
    """Draw a similarity matrix: a row for each query, a column for each key.

    Parameters
    ----------
    similarity : SimilarityMatrix
        See :meth:`qkv.Database.similarity`; at most 2,000 × 2,000. Up to 60 texts of a side are
        named, and up to 16 × 16 cells have their number in them.
    ax : matplotlib.axes.Axes, optional
        Draw here instead of on a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the matrix is empty, or too large for a picture.

    Examples
    --------
    >>> from qkv import Database
    >>> db = Database({"one": 1, "two": 2, "cat": 3}, encoder="hashing")
    >>> figure = heatmap(db.similarity())
    >>> figure.axes[0].get_title("left")
    'How alike 3 texts are'
    """
    m, n = similarity.shape
    _check_size(m, n)
    letters = lettering((*similarity.queries[:_NAMED], *similarity.keys[:_NAMED]))
    ax = axes(ax, _inches(n, m) + 1, _inches(m, n))
    image = _cells(ax, similarity)
    if _numbered(m, n):
        _write_numbers(ax, image, similarity.scores)
    same = similarity.queries == similarity.keys
    _name(ax, similarity, letters, same=same)
    bar = figure_of(ax).colorbar(image, ax=ax, shrink=0.9, aspect=30, pad=0.02)
    bar.set_label(_SCALES[similarity.metric])
    bar.outline.set_visible(False)
    title = f"How alike {n} texts are" if same else f"How alike {m} queries and {n} keys are"
    headline(ax, title, "each row a query, each column a key", letters)
    return figure_of(ax)


def _check_size(m: int, n: int) -> None:
    if not m or not n:
        raise InputError(
            f"{m} queries × {n} keys have no picture; put records into the store, or give texts: "
            "db.similarity(queries=[...], keys=[...])"
        )
    if max(m, n) > _LARGEST:
        raise InputError(
            f"a picture of {m:,} × {n:,} cells cannot be read; choose at most {_LARGEST:,} of "
            "each side: db.similarity(queries=[...], keys=[...]), or draw the keys as points: "
            "plots.key_map(db)"
        )


def _inches(count: int, beside: int) -> float:
    """Length of a side, with room for the names."""
    if max(count, beside) > _NAMED:
        return 7
    return 2.2 + max(2.2, count * (0.55 if _numbered(count, beside) else 0.22))


def _numbered(m: int, n: int) -> bool:
    return max(m, n) <= _NUMBERED


def _cells(ax: Axes, similarity: SimilarityMatrix) -> AxesImage:
    scores = similarity.scores
    low, high = float(scores.min()), float(scores.max())
    if similarity.metric is Metric.COSINE:
        low, high = min(0.0, low), 1.0  # the same colours mean the same in every picture
    if low == high:
        low, high = low - 0.5, high + 0.5
    few = max(scores.shape) <= _NAMED
    image = ax.imshow(
        scores, cmap="viridis", vmin=low, vmax=high, aspect="auto" if few else "equal"
    )
    if few:  # thin lines between the cells, in the colour of what is behind them
        ax.set_xticks(np.arange(1, scores.shape[1]) - 0.5, minor=True)
        ax.set_yticks(np.arange(1, scores.shape[0]) - 0.5, minor=True)
        ax.grid(which="minor", color=ax.get_facecolor(), linewidth=1)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    return image


def _write_numbers(ax: Axes, image: AxesImage, scores: Floats) -> None:
    colours = np.asarray(image.cmap(image.norm(scores)))
    # Relative luminance, as the Web Content Accessibility Guidelines define it, at gamma 2.2.
    light = (colours[..., :3] ** 2.2) @ [0.2126, 0.7152, 0.0722]
    digits = 2 if np.abs(scores).max() < 10 else 0 if np.abs(scores).max() >= 1000 else 1
    for (i, j), score in np.ndenumerate(scores):
        text = f"{score:.{digits}f}".replace("-", "−")
        ink = "black" if light[i, j] > 0.25 else "white"
        ax.text(j, i, text, ha="center", va="center", fontsize=9, color=ink)


def _name(ax: Axes, similarity: SimilarityMatrix, letters: Lettering, *, same: bool) -> None:
    m, n = similarity.shape
    if n <= _NAMED:
        names = [letters.label(key) for key in similarity.keys]
        slanted: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(range(n), names, fontsize=9, **slanted, **letters.style)
    else:
        ax.set_xticks([])
        ax.set_xlabel(f"{n:,} keys")
    if m <= _NAMED:
        names = [letters.label(query) for query in similarity.queries]
        ax.set_yticks(range(m), names, fontsize=9, **letters.style)
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"the same {m:,} keys" if same else f"{m:,} queries")
