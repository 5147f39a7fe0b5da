"""Intervals around imagined numbers and vectors that hold what they claim.

A blend of numbers says where the answer lies; how far off it may be is learned by *leaving one
out*. Each record (a sample of them in a large store) is hidden, its value yᵢ is estimated from the
records near its key, and the residual |yᵢ − ŷᵢ| is compared with a *scale* σᵢ that is known without
yᵢ, how far the neighbours' values lie from the estimate:

    log σ = a₀ + a₁ log δ_α + a₂ log δ₁₀ + a₃ log δ₅₀,

δ_α the mean |vⱼ − ŷ| by attention weights, δ₁₀ and δ₅₀ the plain means over the 10 and 50 nearest
records. The a are the likeliest if residuals are Laplace distributed with scale σ. With r_(1) ≤ … ≤
r_(n) the sorted residuals over their scales, the interval of a new query

    ŷ ± σ r_(j),  j = ⌈(n + 1) · level⌉,

is normalised split conformal prediction (Papadopoulos et al. 2002; Lei et al. 2018), with leaving
one out in the place of a split (the jackknife; Barber et al. 2021): where queries are exchangeable
with records, a share `level` of them falls inside. So that this holds for hard queries as it does
for easy ones, residuals are sorted within up to five bins of equal number by σ, the difficulty that
attention itself expects (Mondrian conformal prediction: Vovk et al. 2005).

Vectors are treated alike, |·| being the Euclidean length: a ball instead of an interval.

**Few records.** Among n residuals no rank above n exists: an interval of 90 % is finite from 9
records on, one of 50 % from 2, and (−∞, ∞) before. Below 150 records nothing is chosen by its error
and the coefficients are those of the prior.

**No negative numbers.** If 150 numbers or more were seen and none was negative, intervals end at 0.
A query whose value is the first negative one has probability ≤ 1 / (n + 1); a rank one higher pays
for it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from qkv.attention import product
from qkv.calibration.neighbourhood import (
    ENOUGH,
    INNER,
    NEAR,
    Blend,
    attention,
    blended,
    distances,
    length,
)
from qkv.errors import InputError
from qkv.types import Floats, Mask

__all__ = [
    "LEVELS",
    "NEAR",
    "Blend",
    "Estimates",
    "Intervals",
    "fit_intervals",
]

#: Levels at which quantiles are kept; one between two of them is answered by the higher.
LEVELS = (
    *(percent / 100 for percent in range(5, 91, 5)),
    0.925, 0.95, 0.96, 0.97, 0.98, 0.99, 0.995,
)  # fmt: skip
#: Residuals in each bin of difficulty, at least, and bins, at most.
_BIN = 200
_BINS = 5
#: Temperatures that are tried, in units of the mean gap between the best score and the tenth.
_TEMPERATURES = (1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 1.0, 2.0, float("inf"))
_TEMPERATURE = 1 / 4
#: a₀ … a₃ without evidence, and how firmly they hold: what was fitted to three other columns of the
#: food of benchmarks/kcal.py with two encoders, rounded.
_PRIOR = (0.0, 0.4, 0.5, 0.15)
_FIRM = np.array([1e-6, 1.0, 1.0, 1.0])
#: Smallest deviation told from none, in units of the values' own.
_FINEST = 0.02
#: Smallest unit of values whose largest is 1, so that nothing overflows when it divides.
_LEAST = 1e-100
#: Divided by 2 to a power above this one, numbers near 0 vanish: four times what is lost at most.
_ENORMOUS = 500
_VANISHED = 4 * float(np.finfo(np.float64).smallest_subnormal)
_STEPS = 100
_CLOSE = 1e-9


class Estimates(NamedTuple):
    """What the records near m queries say.

    Attributes
    ----------
    values : array (m,) or (m, d), float64
        NaN where there were no records.
    scales : array (m,), float64
        σ, how far off the values may be; infinite where there were no records.
    """

    values: Floats
    scales: Floats


@dataclass(frozen=True)
class Intervals:
    """What was learned from leaving out: how to blend, and how far off blends are.

    Attributes
    ----------
    count : int
        Residuals that it was learned from.
    temperature : float
        τ of the attention over the nearest records.
    blend : Blend
    exponent : int
        Values are divided by 2 to this power, so that no square overflows.
    unit : float
        How far the store's values lie apart, after that division.
    coefficients : tuple of 4 floats
        a₀ … a₃ of the module's text, for deviations in units of `unit`.
    edges : tuple of float
        Scales at which the second bin of difficulty begins, the third, …
    quantiles : tuple of tuples of float
        For each bin, residual over scale at each of `LEVELS`; ∞ where there were too few.
    floor : bool
        Whether intervals end at 0.

    Examples
    --------
    Twenty records, whose values grow along a line:

    >>> import numpy as np
    >>> from qkv.calibration.neighbourhood import leave_one_out, sample
    >>> from qkv.indexes import FlatIndex
    >>> keys = np.column_stack((np.linspace(0.5, 1, 20), np.ones(20)))
    >>> keys = (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)
    >>> values = np.linspace(100, 200, 20)
    >>> rows = sample(20, 2)
    >>> indices, scores = leave_one_out(FlatIndex(keys), rows)
    >>> known = fit_intervals(scores, values[indices], values[rows])

    Estimate another, between the eighth and the ninth:

    >>> query = keys[7:9].mean(axis=0, keepdims=True)
    >>> indices, scores = FlatIndex(keys).neighbours(query, NEAR)
    >>> estimates = known.estimate(scores, values[indices])
    >>> low, high = known.interval(estimates, level=0.9)
    >>> bool(low[0] < 139 < high[0])
    True
    """

    count: int
    temperature: float
    blend: Blend
    exponent: int
    unit: float
    coefficients: tuple[float, ...]
    edges: tuple[float, ...]
    quantiles: tuple[tuple[float, ...], ...]
    floor: bool

    def estimate(self, scores: Floats, values: Floats) -> Estimates:
        """Blend the values of the nearest records.

        Parameters
        ----------
        scores : array (m, k)
            Scores of the records nearest to each query, best first; ``-inf`` is none.
        values : array (m, k) or (m, k, d)
            Their numbers or vectors; anything where there is no record.

        Returns
        -------
        Estimates
        """
        scores = np.asarray(scores, dtype=np.float64)[:, :NEAR]
        values = _halved(np.asarray(values)[:, :NEAR], self.exponent)
        there = None
        if scores.shape[1] == 0 or scores[:, -1].min(initial=0) == -np.inf:
            there = scores > -np.inf
            values = np.where(there if values.ndim == 2 else there[:, :, None], values, 0)
        weights = attention(scores, there, self.temperature)
        blends = blended(weights, values, self.blend)
        logs = _logs(distances(weights, values, blends, there), self.unit)
        scales = _scales(logs, self.coefficients, self.unit)
        if there is not None:
            none = ~there.any(axis=1)
            blends[none], scales[none] = np.nan, np.inf
        with np.errstate(over="ignore"):
            return Estimates(np.ldexp(blends, self.exponent), np.ldexp(scales, self.exponent))

    def radius(self, estimates: Estimates, level: float = 0.9) -> Floats:
        """How far from the estimates the true values lie, at most, in a share `level` of cases.

        Parameters
        ----------
        estimates : Estimates
        level : float
            Above 0, below 1. One that is not of `LEVELS` is answered by the next higher.

        Returns
        -------
        array (m,)
            Infinite where too few records were seen for this level.
        """
        place = _place(level)
        bins = np.searchsorted(self._edges, np.ldexp(estimates.scales, -self.exponent), "right")
        with np.errstate(over="ignore", invalid="ignore"):
            radius: Floats = estimates.scales * self._table[bins, place]
        radius[np.isnan(radius)] = np.inf  # 0 · ∞: nothing is known
        if self.exponent > _ENORMOUS:
            radius += np.ldexp(_VANISHED, self.exponent)
        return radius

    @cached_property
    def _edges(self) -> Floats:
        return np.array(self.edges)

    @cached_property
    def _table(self) -> Floats:
        """Quantiles (bins, levels + 1); none is known beyond the highest level."""
        beyond = np.full((len(self.quantiles), 1), np.inf)
        return np.hstack((np.array(self.quantiles), beyond))

    def interval(self, estimates: Estimates, level: float = 0.9) -> tuple[Floats, Floats]:
        """Where the true numbers lie in a share `level` of cases.

        Parameters
        ----------
        estimates : Estimates
            Of numbers.
        level : float
            See :meth:`radius`.

        Returns
        -------
        low, high : array (m,)
            ``-inf`` and ``inf`` where too few records were seen for this level.
        """
        radius = self.radius(estimates, level)
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = estimates.values - radius, estimates.values + radius
        if not (radius < np.inf).all():
            open_ = np.isinf(radius)
            low[open_], high[open_] = -np.inf, np.inf
        if self.floor:  # a negative number may have been stored since
            low = np.maximum(low, np.minimum(estimates.values, 0))
        return low, high

    @property
    def highest(self) -> float:
        """Highest of `LEVELS` at which intervals are finite; 0 if there is none."""
        finite = int(np.isfinite(self.quantiles).all(axis=0).sum())  # quantiles only grow
        return LEVELS[finite - 1] if finite else 0.0

    def as_json(self) -> dict[str, Any]:
        """Plain lists and numbers, None for infinity: what JSON can hold."""
        record = asdict(self)
        record["temperature"] = _finite(self.temperature)
        record["quantiles"] = [[_finite(q) for q in quantiles] for quantiles in self.quantiles]
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Intervals:
        """Undo :meth:`as_json`, with tuples or with the lists that JSON makes of them."""
        quantiles = tuple(tuple(_infinite(q) for q in row) for row in record["quantiles"])
        return cls(
            **{
                **record,
                "temperature": _infinite(record["temperature"]),
                "blend": Blend(record["blend"]),
                "coefficients": tuple(record["coefficients"]),
                "edges": tuple(record["edges"]),
                "quantiles": quantiles,
            }
        )


def _halved(values: Floats, exponent: int) -> Floats:
    """Values, divided by 2 so many times: in float64."""
    if abs(exponent) < _ENORMOUS:  # a product takes a third of the time, and is as exact
        return np.multiply(values, 2.0**-exponent, dtype=np.float64)
    return np.ldexp(values.astype(np.float64), -exponent)


def fit_intervals(scores: Floats, values: Floats, targets: Floats) -> Intervals:
    """Learn from records that were left out.

    Parameters
    ----------
    scores : array (m, k)
        Scores of the records nearest to each, itself left out, best first; ``-inf`` for none. See
        :func:`leave_one_out`.
    values : array (m, k) or (m, k, d)
        Their values; anything where there is no record.
    targets : array (m,) or (m, d)
        The values of the records that were left out.

    Returns
    -------
    Intervals
    """
    targets = np.asarray(targets, dtype=np.float64)
    exponent = int(np.frexp(np.abs(targets).max(initial=0))[1])
    targets = np.ldexp(targets, -exponent)
    scores = np.asarray(scores, dtype=np.float64)[:, :NEAR]
    there = scores > -np.inf
    alone = ~there.any(axis=1)  # nothing is left to estimate these from
    scores, there, targets = scores[~alone], there[~alone], targets[~alone]
    values = _halved(np.asarray(values)[~alone, :NEAR], exponent)
    values = np.where(there if values.ndim == 2 else there[:, :, None], values, 0)
    temperature, blend = _choose(scores, there, values, targets)
    weights = attention(scores, there, temperature)
    blends = blended(weights, values, blend)
    residuals = length(targets - blends)
    unit = _unit(targets)
    logs = _logs(distances(weights, values, blends, there), unit)
    enough = len(targets) >= ENOUGH
    coefficients = _likeliest(logs, residuals / unit) if enough else _PRIOR
    scales = _scales(logs, coefficients, unit)
    floor = enough and targets.ndim == 1 and bool((targets >= 0).all())
    edges, quantiles = _table(residuals / scales, scales, higher=int(floor))
    return Intervals(
        count=len(targets),
        temperature=temperature,
        blend=blend,
        exponent=exponent,
        unit=unit,
        coefficients=coefficients,
        edges=edges,
        quantiles=quantiles,
        floor=floor,
    )


def _unit(targets: Floats) -> float:
    """How far values lie apart: the mean distance from their middle, the farthest 1 % left out."""
    if not len(targets):
        return 1.0
    middle = np.median(targets, axis=0) if targets.ndim == 1 else targets.mean(axis=0)
    apart = np.sort(length(targets - middle))
    most = float(apart[: int(np.ceil(0.99 * len(apart)))].mean())
    return max(most or float(apart.mean()) or 1.0, _LEAST)


def _choose(scores: Floats, there: Mask, values: Floats, targets: Floats) -> tuple[float, Blend]:
    """Temperature and blend with the smallest product of mean absolute and root mean square error.

    The first asks for the usual case to be near, the second for the bad one not to be far.
    """
    last = scores[:, min(INNER, scores.shape[1]) - 1] if scores.size else np.zeros(0)
    step = _mean_gap(scores, last) or _mean_gap(scores, scores[:, -1] if scores.size else last)
    if len(targets) < ENOUGH:
        return (step * _TEMPERATURE or float("inf")), Blend.MEAN
    best, chosen = np.inf, (float("inf"), Blend.MEAN)
    blends = tuple(Blend) if targets.ndim == 1 else (Blend.MEAN,)
    for factor in _TEMPERATURES if step else (float("inf"),):
        temperature = factor * (step or 1.0)
        weights = attention(scores, there, temperature)
        for blend in blends:
            residuals = length(targets - blended(weights, values, blend))
            error = float(residuals.mean() * np.sqrt(np.mean(residuals**2)))
            if error < best:
                best, chosen = error, (temperature, blend)
    return chosen


def _mean_gap(scores: Floats, last: Floats) -> float:
    seen = last > -np.inf
    return float((scores[seen, 0] - last[seen]).mean()) if seen.any() else 0.0


def _logs(apart: Floats, unit: float) -> Floats:
    """Logarithms of distances (m, 3) in units of the values' own; changes them in place."""
    apart *= 1 / unit
    apart += _FINEST
    return np.log(apart, out=apart)


def _scales(logs: Floats, coefficients: tuple[float, ...], unit: float) -> Floats:
    scales: Floats = np.exp(product(logs, np.array(coefficients[1:])) + coefficients[0])
    scales *= unit
    return scales


def _likeliest(logs: Floats, residuals: Floats) -> tuple[float, ...]:
    """a₀ … a₃ that minimise Σ r/σ + log σ, with a prior: convex, by Newton's method."""
    design = np.column_stack((np.ones(len(logs)), logs))
    lengths = residuals + _FINEST / 2  # no residual is exactly 0 for sure
    prior = np.array(_PRIOR)
    prior[0] = np.log(np.mean(lengths / _scales(logs, _PRIOR, 1.0)))
    a = prior.copy()
    for _ in range(_STEPS):
        ratio = lengths * np.exp(-product(design, a))
        slope = product(design.T, 1 - ratio) + _FIRM * (a - prior)
        curvature = product((design * ratio[:, None]).T, design) + np.diag(_FIRM)
        move = np.linalg.solve(curvature, slope)
        a = a - move * min(1.0, 1 / max(np.abs(move).max(), _CLOSE))
        if np.abs(move).max() < _CLOSE:
            break
    return tuple(a.tolist())


def _table(
    ratios: Floats, scales: Floats, higher: int
) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """Edges of the bins of difficulty, and the quantiles in each, `higher` ranks up."""
    bins = min(_BINS, max(1, len(ratios) // _BIN))
    edges = np.unique(np.quantile(scales, np.arange(1, bins) / bins)) if bins > 1 else np.zeros(0)
    place = np.searchsorted(edges, scales, side="right")
    # Of equal scales, all are in one bin; one that stays too thin joins its neighbour.
    counts = np.bincount(place, minlength=len(edges) + 1)
    kept = [edge for edge, count in zip(edges, counts[1:], strict=True) if count >= _BIN // 2]
    if len(edges) and counts[0] < _BIN // 2:
        kept = kept[1:]
    edges = np.array(kept)
    place = np.searchsorted(edges, scales, side="right")
    rows = [_quantiles(ratios[place == b], higher) for b in range(len(edges) + 1)]
    return tuple(edges.tolist()), tuple(rows)


def _quantiles(ratios: Floats, higher: int) -> tuple[float, ...]:
    ranked = np.append(np.sort(ratios), np.inf)
    ranks = np.ceil((len(ratios) + 1) * np.array(LEVELS) - 1e-9).astype(np.int64) + higher
    return tuple(ranked[np.minimum(ranks, len(ratios) + 1) - 1].tolist())


def _place(level: float) -> int:
    try:
        given = float(level)
    except (TypeError, ValueError):
        given = float("nan")
    if not 0 < given < 1:
        raise InputError(f"level is a share between 0 and 1, such as 0.9, not {level!r}")
    return bisect_left(LEVELS, given - _CLOSE)


def _finite(number: float) -> float | None:
    return None if np.isinf(number) else number


def _infinite(number: float | None) -> float:
    return float("inf") if number is None else number
