"""Labels beside their points, none upon another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from numpy.typing import NDArray

from qkv.plots.canvas import GREY, figure_of
from qkv.types import Floats

__all__ = ["Label", "place"]

#: Where a label may stand beside its point, the best first: (right, up) in −1, 0, 1.
_SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1))
#: How far beyond that a wanted label may go, in points of 1/72 inch; a thin line leads to it.
_FARTHER = (0, 14, 28, 42)
#: What is covered costs: a label, a point, a bit of a line; and so does every step away.
_LABEL, _POINT, _LINE, _STEP, _OUTSIDE = 100.0, 2.0, 0.3, 0.8, 10_000.0
#: A label that is not wanted is left out where it would cost this.
_DEAR = 2.0


@dataclass(frozen=True)
class Label:
    """A text for a point.

    Attributes
    ----------
    point
        Number of the point.
    text
    wanted
        Whether it must be written, whatever it covers.
    gap
        From the point's middle to the text, in points of 1/72 inch.
    style
        Arguments of the text.
    """

    point: int
    text: str
    wanted: bool
    gap: float
    style: dict[str, Any]


class _Spots(NamedTuple):
    """Where one label may stand: boxes (left, bottom, right, top) in pixels, and how they lie."""

    boxes: Floats
    sides: list[tuple[int, int]]
    gaps: list[float]
    costs: Floats


def place(
    ax: Axes, points: Floats, labels: Sequence[Label], most: int, lines: Floats | None = None
) -> int:
    """Write labels beside their points, in order, each where it covers least.

    One that would cover another label, a point, or the edge is left out, unless it is wanted.

    Parameters
    ----------
    ax : Axes
        Final in size and limits.
    points : array (n, 2)
        In data coordinates.
    labels : sequence of Label
    most : int
        Stop after so many.
    lines : array (l, 2), optional
        Points along lines that are better not covered.

    Returns
    -------
    int
        How many were written.
    """
    pixels = ax.transData.transform(points)
    bits = np.zeros((0, 2)) if lines is None else ax.transData.transform(lines)
    taken = np.zeros((0, 4))
    written = 0
    for label in labels:
        if written == most:
            break
        spots = _spots(ax, pixels[label.point], label)
        scale = figure_of(ax).dpi / 72
        others = np.delete(pixels, label.point, axis=0)
        spots.costs[:] += _POINT * _covered(spots.boxes, others, 4 * scale)
        spots.costs[:] += _LINE * _covered(spots.boxes, bits, 0)
        spots.costs[:] += _LABEL * _overlapped(spots.boxes, taken)
        spots.costs[:] += _LABEL * _crossed(pixels[label.point], spots.boxes, taken)
        spots.costs[_outside(spots.boxes, ax)] += _OUTSIDE
        best = int(spots.costs.argmin())
        if spots.costs[best] >= _DEAR and not label.wanted:
            continue
        taken = np.vstack((taken, spots.boxes[best]))
        _write(ax, points[label.point], label, spots.sides[best], spots.gaps[best])
        written += 1
    return written


def _spots(ax: Axes, point: Floats, label: Label) -> _Spots:
    scale = figure_of(ax).dpi / 72
    size = _size(ax, label) + 4 * scale
    boxes, sides, gaps, costs = [], [], [], []
    for step, farther in enumerate(_FARTHER if label.wanted else _FARTHER[:1]):
        for side in _SIDES:
            gap = (label.gap + farther) * (1 if 0 in side else 0.7)
            low = point + np.array(side) * gap * scale - size * (1 - np.array(side)) / 2
            # The box is wider than the text by a margin, of which none is towards the point.
            low -= np.array(side) * 2 * scale
            boxes.append(np.concatenate((low, low + size)))
            sides.append(side)
            gaps.append(gap)
            costs.append(_STEP * step)
    return _Spots(np.array(boxes), sides, gaps, np.array(costs, dtype=float))


def _size(ax: Axes, label: Label) -> Floats:
    """Width and height of a text, in pixels."""
    text = ax.text(0, 0, label.text, **label.style)
    box = text.get_window_extent()
    text.remove()
    return np.array([box.width, box.height])


def _covered(boxes: Floats, points: Floats, reach: float) -> Floats:
    """How many points, as wide as twice their reach, each box covers."""
    left, bottom, right, top = boxes.T[:, :, None]
    x, y = points.T
    inside = (left < x + reach) & (x - reach < right) & (bottom < y + reach) & (y - reach < top)
    return np.asarray(inside.sum(axis=1), dtype=float)


def _overlapped(boxes: Floats, others: Floats) -> Floats:
    """How many of the other boxes each box overlaps."""
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray((low < high).all(axis=2).sum(axis=1), dtype=float)


def _crossed(point: Floats, boxes: Floats, others: Floats) -> Floats:
    """How many of the other boxes lie between a point and each box, so that a line would cut them.

    A label right beside its point has no line; nothing is between the two either.
    """
    ends = np.clip(point, boxes[:, :2], boxes[:, 2:])
    steps = np.linspace(0.2, 0.95, 8)[:, None, None]
    on_line = (point + steps * (ends - point))[:, :, None]
    inside = (on_line > others[:, :2]) & (on_line < others[:, 2:])
    return np.asarray(inside.all(axis=3).any(axis=0).sum(axis=1), dtype=float)


def _outside(boxes: Floats, ax: Axes) -> NDArray[np.bool_]:
    area = ax.get_window_extent()
    low, high = boxes[:, :2], boxes[:, 2:]
    return np.asarray((low < area.min).any(axis=1) | (high > area.max).any(axis=1))


def _write(ax: Axes, point: Floats, label: Label, side: tuple[int, int], gap: float) -> None:
    right, up = side
    leader = {
        "arrowstyle": "-",
        "color": GREY,
        "linewidth": 0.6,
        "shrinkA": 1,
        "shrinkB": 4,
        "relpos": ((1 - right) / 2, (1 - up) / 2),
    }
    text = ax.annotate(
        label.text,
        (float(point[0]), float(point[1])),
        (right * gap, up * gap),
        textcoords="offset points",
        ha={-1: "right", 0: "center", 1: "left"}[right],
        va={-1: "top", 0: "center", 1: "bottom"}[up],
        arrowprops=leader if gap > label.gap else None,
        zorder=5,
        **label.style,
    )
    # A halo, so that lines and points behind it do not cut the letters.
    text.set_path_effects(
        [patheffects.withStroke(linewidth=2.5, foreground=ax.get_facecolor(), alpha=0.85)]
    )
