"""The keys of a store on a plane, with a query and its neighbours among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qkv.errors import InputError
from qkv.plots.canvas import COLOURS, GREY, MARKERS, axes, figure_of, headline, settle
from qkv.plots.coordinates import Coordinates, Method, check_method, coordinates
from qkv.plots.lettering import Lettering, lettering, written
from qkv.plots.placement import Label, place
from qkv.space import Query, check_query
from qkv.types import Floats, Match, Value

if TYPE_CHECKING:
    from qkv.database import Database

__all__ = ["key_map"]

#: Labels at most, beside those of the query and its neighbours.
_LABELS = 60
#: Keys that have a label even where it covers another point: a map of few is read by them.
_FEW = 16

_AXES = {Method.PCA: "principal component", Method.TSNE: "t-SNE", Method.UMAP: "UMAP"}


@dataclass(frozen=True)
class _Asked:
    """A query, where it lies, and what it is near."""

    text: str | None
    vector: Floats
    matches: tuple[Match, ...]

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return "a vector" if self.text is None else f"“{self.text}”"


def key_map(
    db: Database,
    query: Query | None = None,
    *,
    k: int = 5,
    method: Method | str = "pca",
    sample: int = 2000,
    ax: Axes | None = None,
) -> Figure:
    """Draw the keys as points, the nearer the more alike, coloured by their values.

    Parameters
    ----------
    db : Database
    query : str or array (d,), optional
        Drawn as a star, with lines to its `k` nearest keys. They are nearest in all dimensions,
        as :meth:`qkv.Database.search` finds them; on the plane they need not be.
    k : int
    method : {"pca", "tsne", "umap"}
        ``"pca"`` keeps the large distances and says how much of the variance is seen; the others
        keep neighbours together, say nothing by large distances, and need the extra ``maps``.
    sample : int
        A larger store is drawn by so many of its keys, chosen at random, and the neighbours.
    ax : matplotlib.axes.Axes, optional
        Draw here instead of on a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the store has no keys; if t-SNE or UMAP get fewer than 5.
    MissingExtra
        If the method is not installed.

    Examples
    --------
    >>> from qkv import Database
    >>> db = Database({"one": "number", "two": "number", "cat": "animal"}, encoder="hashing")
    >>> figure = key_map(db, "cats", k=1)
    >>> figure.axes[0].get_title("left")
    '3 keys, and the nearest to “cats”'
    """
    method = check_method(method)
    asked = None if query is None else _ask(db, query, k)
    near = () if asked is None else tuple(match.key for match in asked.matches)
    keys, total = _chosen(db, near, sample)
    vectors = np.array([db.vector(key) for key in keys])
    found = coordinates(vectors, asked.vector if asked and asked.matches else None, method)
    values = [db[key] for key in keys]
    letters = lettering(
        [*keys[: 4 * _LABELS], *({written(value) for value in values}), asked.name if asked else ""]
    )
    ax = axes(ax, 9, 6.5)
    _draw_points(ax, found.points[: len(keys)], values, letters)
    if near:
        _draw_query(ax, found.points, len(near))
    _dress(ax, found, method)
    headline(ax, *_title(asked, len(keys), total, letters), letters)
    settle(ax)
    labels = _labels(asked, keys, letters)
    place(ax, found.points, labels, _LABELS + len(near), _along(found.points, len(near)))
    return figure_of(ax)


# ── what is drawn ────────────────────────────────────────────────────────────────────────────


def _ask(db: Database, query: Query, k: int) -> _Asked:
    query = check_query(query)
    text = query if isinstance(query, str) else None
    # Its own key is the nearest of all, and no neighbour.
    matches = [match for match in db.search(query, k=k + 1) if match.key != text]
    if text is not None and text in db:
        return _Asked(text, db.vector(text), tuple(matches[:k]))
    return _Asked(text, db._space.queries([query])[0], tuple(matches[:k]))


def _chosen(db: Database, near: Sequence[str], sample: int) -> tuple[list[str], int]:
    """The keys that are drawn, the neighbours first; and how many there are."""
    keys = list(db)
    if not keys:
        raise InputError("a store without keys has no map; put records into it first")
    nearest = set(near)
    others = [key for key in keys if key not in nearest]
    if len(others) > sample:
        rows = np.random.default_rng(0).choice(len(others), sample, replace=False)
        others = [others[row] for row in sorted(rows.tolist())]
    return [*near, *others], len(keys)


def _title(asked: _Asked | None, shown: int, total: int, letters: Lettering) -> tuple[str, str]:
    title = f"{total:,} key{'' if total == 1 else 's'}"
    if asked is not None:
        title += f", and the nearest to {letters.label(asked.name)}"
    said = ["the nearer, the more alike"]
    if shown < total:
        nearest = 0 if asked is None else len(asked.matches)
        chosen = f"{shown - nearest:,} of them are drawn, chosen at random"
        said = [f"{chosen}, and the nearest" if nearest else chosen]
    if asked is not None and not asked.matches:
        said.append("nothing of the query is understood")
    if asked is not None and asked.matches:
        said.append("beside the nearest: their scores")
    return title, "; ".join(said)


def _draw_points(ax: Axes, points: Floats, values: list[Value], letters: Lettering) -> None:
    """Points in the colours of their values, where there are few of these, or all are numbers."""
    size = 45 if len(points) <= 100 else 18 if len(points) <= 1000 else 9
    style: dict[str, Any] = {"s": size, "linewidths": 0, "alpha": 0.9, "zorder": 3}
    names = [written(value) for value in values]
    groups = Counter(names).most_common()
    if len(groups) > len(COLOURS) and all(_is_number(value) for value in values):
        drawn = ax.scatter(
            points[:, 0], points[:, 1], c=np.array(values, dtype=float), cmap="viridis", **style
        )
        figure_of(ax).colorbar(drawn, ax=ax, label="value", aspect=30, pad=0.02)
        return
    named = [name for name, _ in groups[: len(COLOURS)]]
    if len(groups) > len(COLOURS):
        # Too many to tell apart: the commonest, if they are half of all; else no one's colour.
        named = named[:-1] if 2 * sum(n for _, n in groups[: len(named) - 1]) >= len(names) else []
    member = np.array([named.index(name) if name in named else -1 for name in names])
    for place_, name in enumerate(named):
        ax.scatter(
            *points[member == place_].T,
            color=COLOURS[place_],
            marker=MARKERS[place_],
            label=letters.label(name, 24),
            **style,
        )
    if (member < 0).any():
        ax.scatter(*points[member < 0].T, color=GREY, label="other values", **style)
    if len(groups) > 1 and named:
        ax.legend(
            title="value",
            loc="upper left",
            bbox_to_anchor=(1.01, 1),
            frameon=False,
            alignment="left",
            prop={"family": letters.style["family"], "size": 9},
        )


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _draw_query(ax: Axes, points: Floats, near: int) -> None:
    """A star at the last point, and lines from it to the first points, its neighbours."""
    ink = mpl.rcParams["text.color"]
    star = points[-1]
    for point in points[:near]:
        ax.plot(*np.stack((star, point)).T, color=GREY, linewidth=1, zorder=2)
    ax.scatter(
        points[:near, 0],
        points[:near, 1],
        s=90,
        facecolors="none",
        edgecolors=ink,
        linewidths=1,
        zorder=4,
    )
    ax.scatter(star[0], star[1], s=190, marker="*", color=ink, linewidths=0, zorder=4)


def _along(points: Floats, near: int) -> Floats | None:
    """Points along the lines from the query to its neighbours."""
    if not near:
        return None
    steps = np.linspace(0.1, 0.9, 40)[:, None]
    return np.vstack([point + steps * (points[-1] - point) for point in points[:near]])


def _dress(ax: Axes, found: Coordinates, method: Method) -> None:
    names = [f"{_AXES[method]} {axis}" for axis in (1, 2)]
    if found.explained is not None:
        shares = zip(names, found.explained, strict=True)
        names = [f"{name} ({_percent(share)} of the variance)" for name, share in shares]
    ax.set_xlabel(names[0], color=GREY, fontsize=9)
    ax.set_ylabel(names[1], color=GREY, fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color(GREY)
    ax.margins(0.2, 0.1)  # for the labels
    # A step is as long in both directions.
    ax.set_aspect("equal", adjustable="datalim")


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _labels(asked: _Asked | None, keys: list[str], letters: Lettering) -> list[Label]:
    """Labels by importance: the query, its neighbours with their scores, the other keys."""
    labels = []
    near: tuple[Match, ...] = () if asked is None else asked.matches
    if asked is not None and near:
        bold = {"fontsize": 10, "fontweight": letters.bold, **letters.style}
        labels.append(Label(len(keys), letters.label(asked.text or asked.name), True, 10, bold))
    for place_, match in enumerate(near):
        text = f"{letters.label(match.key, 32)}  {match.score:.2f}"
        labels.append(Label(place_, text, True, 8, {"fontsize": 9, **letters.style}))
    for place_ in range(len(near), min(len(keys), 4 * _LABELS)):
        if asked is not None and keys[place_] == asked.text:
            continue  # the star has its label
        style = {"fontsize": 8.5, "alpha": 0.8, **letters.style}
        labels.append(Label(place_, letters.label(keys[place_], 32), len(keys) <= _FEW, 6, style))
    return labels
