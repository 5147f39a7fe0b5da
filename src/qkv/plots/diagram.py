"""The reliability diagram: how sure a store said it was, and how often it was right."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from qkv.calibration import Calibration, Reliability, prior
from qkv.calibration.fit import FEWEST
from qkv.errors import InputError
from qkv.plots.canvas import COLOURS, GREY, figure_of, headline, panels
from qkv.plots.lettering import lettering

__all__ = ["reliability"]

#: Shares of wrong answers that are marked.
_BUDGETS = (0.01, 0.05, 0.10)
#: Area of a dot, in square points: of a few questions, and what all of them add.
_LEAST, _ALL = 20, 600
#: From 0 to 1, with room for the dots.
_SHARES = (-0.04, 1.05)
#: The scale of wrong answers ends no lower than this.
_WRONG = 0.15


def reliability(
    calibration: Calibration | Reliability,
    *,
    ax: tuple[Axes, Axes] | None = None,
) -> Figure:
    """Draw whether a confidence can be believed, and what a budget of wrong answers costs.

    On the left the reliability diagram (DeGroot & Fienberg 1983): for answers that were given with
    about the same confidence, the share of right ones. On the diagonal the confidence is a
    probability; below it the store promised too much. The larger a dot, the more questions; the
    expected calibration error (ECE) is the mean distance from the diagonal.

    On the right the risk–coverage curve (El-Yaniv & Wiener 2010): the share of wrong answers among
    those given, when only the surest are given, against the share of the answerable questions that
    get an answer. The shade reaches up to what the share of wrong ones may be; budgets of 1, 5 and
    10 % (``max_wrong`` of :meth:`qkv.Database.query`) are marked where it stays within them.

    Parameters
    ----------
    calibration : Calibration or Reliability
        See :meth:`qkv.Database.calibrate`.
    ax : (matplotlib.axes.Axes, matplotlib.axes.Axes), optional
        Draw here – the diagram, the curve – instead of on a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the store was too small to be asked: there is nothing to draw.

    Examples
    --------
    >>> from qkv import Database
    >>> db = Database({f"{a} {b}": a for a in ("red", "blue") for b in range(20)},
    ...               encoder="hashing")
    >>> figure = reliability(db.calibrate())
    >>> [ax.get_xlabel() for ax in figure.axes]
    ['how sure it said it was', 'answered, of the questions that have an answer']
    """
    known = calibration if isinstance(calibration, Reliability) else calibration.reliability
    if not known.bins or not known.thresholds:
        raise InputError(
            "there is no reliability to draw: this calibration was not made of questions. A store "
            f"asks itself once it has {FEWEST} records that share their value with another, and "
            "two such values, or questions that it is given: db.calibrate(questions=…); then: "
            "plots.reliability(db.calibrate())"
        )
    diagram, curve = panels(ax, 11, 4.6)
    _draw_diagram(diagram, known, _asked(calibration))
    _draw_curve(curve, known, _kept(calibration))
    return figure_of(diagram)


def _asked(calibration: Calibration | Reliability) -> str:
    if isinstance(calibration, Reliability):
        return ""
    if calibration.told:
        return f"\n{calibration.told:,} questions that it was given"
    return f"\n{calibration.questions:,} of its own records asked for"


def _draw_diagram(ax: Axes, known: Reliability, asked: str) -> None:
    said, right, share = np.array(known.bins).T
    ax.plot((0, 1), (0, 1), color=GREY, linewidth=1, linestyle="--", zorder=1)
    ax.vlines(said, said, right, color=COLOURS[5], linewidth=1.2, zorder=2)
    sizes = _LEAST + _ALL * share
    ax.scatter(said, right, s=sizes, color=COLOURS[0], alpha=0.85, linewidths=0, zorder=3)
    text = ax.text(
        0.03,
        0.97,
        f"ECE {known.ece:.3f}: {100 * known.ece:.1f} points off, on average{asked}",
        transform=ax.transAxes,
        va="top",
        fontsize=9,
        zorder=4,
    )
    # A halo, so that what is behind it does not cut the letters.
    ground = ax.get_facecolor()
    text.set_path_effects([patheffects.withStroke(linewidth=2.5, foreground=ground, alpha=0.85)])
    ax.set_xlabel("how sure it said it was")
    ax.set_ylabel("how often it was right")
    ax.set_xlim(*_SHARES)
    ax.set_ylim(*_SHARES)
    ax.set_aspect("equal", adjustable="box")
    _dress(ax)
    subtitle = "dashed: as right as it is sure; a larger dot is more questions"
    headline(ax, "When it is so sure, how often is it right?", subtitle, lettering([]))


def _draw_curve(ax: Axes, known: Reliability, kept: list[int | None]) -> None:
    answered, wrong, bound = map(np.array, (known.answered, known.errors, known.bounds))
    top = min(1.0, max(_WRONG, 1.2 * float(wrong.max())))
    ax.fill_between(answered, wrong, bound, color=COLOURS[5], alpha=0.3, linewidth=0, zorder=1)
    ax.plot(answered, wrong, color=COLOURS[0], linewidth=2, zorder=3, clip_on=False)
    for budget, place in zip(_BUDGETS, kept, strict=True):
        ax.axhline(budget, color=GREY, linewidth=0.8, linestyle=":", zorder=2)
        said = _refused(known, budget) if place is None else f"{answered[place]:.0%} answered"
        ax.annotate(
            f"at most {budget:.0%} wrong:\n{said}" if top < 0.3 else f"≤ {budget:.0%}: {said}",
            (1, budget),
            (8, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            fontsize=8.5,
            annotation_clip=False,
        )
        if place is not None:
            ax.plot(answered[place], bound[place], "D", color=COLOURS[4], zorder=4, clip_on=False)
    ax.set_xlabel("answered, of the questions that have an answer")
    ax.set_ylabel("wrong, of the answers given")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, top)
    _dress(ax)
    subtitle = "line: as seen; shade: up to what it may be (95% sure); diamonds: budgets kept"
    headline(ax, "If it answers only when sure, how many are wrong?", subtitle, lettering([]))


def _refused(known: Reliability, budget: float) -> str:
    """Why no answer is given within a budget."""
    return "too few questions to tell" if min(known.errors) <= budget else "none is so sure"


def _kept(calibration: Calibration | Reliability) -> list[int | None]:
    """Place on the curve up to which each budget is kept; None where no answer is sure enough."""
    if isinstance(calibration, Reliability):
        calibration = replace(prior(1), reliability=calibration)
    thresholds = [calibration.threshold(budget) for budget in _BUDGETS]
    places = calibration.reliability.thresholds
    return [places.index(t) if isfinite(t) else None for t in thresholds]


def _dress(ax: Axes) -> None:
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.label.set(color=GREY, fontsize=9)
    ax.tick_params(color=GREY, labelsize=8.5)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
