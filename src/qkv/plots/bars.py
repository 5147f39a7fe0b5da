"""The attention weights of one answer, as bars."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from qkv.plots.canvas import COLOURS, GREY, axes, figure_of, headline
from qkv.plots.lettering import Lettering, lettering, written
from qkv.types import Attention, Origin, Weight
from qkv.values import same

__all__ = ["weights"]


def weights(attention: Attention, *, n: int = 8, ax: Axes | None = None) -> Figure:
    """Draw what an answer was looked up from: a bar for each record, and one for all the rest.

    The bars sum to 100 %. Records that hold the answer are coloured.

    Parameters
    ----------
    attention : Attention
        See :meth:`qkv.Database.attend`.
    n : int
        How many records at most have a bar of their own.
    ax : matplotlib.axes.Axes, optional
        Draw here instead of on a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from qkv import Database
    >>> db = Database({"one": "number", "cat": "animal"}, encoder="hashing")
    >>> figure = weights(db.attend("cats"))
    >>> figure.axes[0].get_title("left")
    'cats → animal'
    """
    asked = attention.query if isinstance(attention.query, str) else "a vector"
    answer = _answer(attention)
    shown = attention.weights[:n]
    letters = lettering([asked, answer, *(f"{w.key} {written(w.value)}" for w in shown)])
    own = [same(weight.value, attention.value) for weight in shown]
    others = attention.rest + sum(weight.weight for weight in attention.weights[n:])
    bars = [*(weight.weight for weight in shown), others, attention.null]
    ax = axes(ax, 7.5, 1.5 + 0.34 * len(bars))
    colours = [*(COLOURS[0] if one else COLOURS[5] for one in own), GREY, GREY]
    drawn = ax.barh(range(len(bars)), bars, color=colours, height=0.72)
    ax.bar_label(drawn, [f"{share:.1%}" for share in bars], padding=4, fontsize=9)
    labels = [_record(letters, weight) for weight in shown] + ["the other records", "nothing here"]
    ax.set_yticks(range(len(bars)), labels, fontsize=9, **letters.style)
    for tick in ax.get_yticklabels()[-2:]:
        tick.set_color(GREY)
    ax.invert_yaxis()
    ax.set_xlim(0, max(bars) * 1.12)
    ax.set_xticks([])
    ax.tick_params(length=0)
    ax.spines[["top", "right", "bottom"]].set_visible(False)
    ax.spines.left.set_color(GREY)
    title = f"{letters.label(asked, 40)} → {letters.label(answer, 30)}"
    headline(ax, title, _how(attention, mixed=len(set(own)) > 1), letters)
    return figure_of(ax)


def _answer(attention: Attention) -> str:
    if attention.origin is Origin.NOTHING:
        return "nothing"
    spread = attention.best.spread
    if spread is None:
        return written(attention.value)
    return f"{attention.value:.4g} ± {spread:.2g}"


def _record(letters: Lettering, weight: Weight) -> str:
    return f"{letters.label(weight.key, 32)} → {letters.label(written(weight.value), 20)}"


def _how(attention: Attention, *, mixed: bool) -> str:
    measure = "sure" if attention.calibrated else "of the attention"
    said = [f"{attention.origin}, {attention.confidence:.0%} {measure}", "all bars sum to 100%"]
    return "; ".join([*said, "dark: the records of that value"] if mixed else said)
