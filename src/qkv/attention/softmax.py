"""Scores and their softmax: the definition, and the plain reference for every fast path."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from qkv.errors import InputError
from qkv.ranking import top_k as best_k
from qkv.types import Floats, Metric

__all__ = [
    "attend",
    "check_count",
    "check_metric",
    "check_temperature",
    "decay",
    "dots",
    "gap",
    "null_power",
    "prepare",
    "product",
    "scores",
    "size_temperature",
    "softmax",
    "unit",
]


#: Rows shorter than this, or longer than its inverse, are scaled with care.
_SHORTEST = 1e-12


def unit(vectors: Floats) -> Floats:
    """Scale each row to length one; a row of zeros stays zero.

    Parameters
    ----------
    vectors : array (n, d), float

    Returns
    -------
    array (n, d), same dtype

    Examples
    --------
    >>> import numpy as np
    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    with np.errstate(over="ignore", under="ignore"):
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    if (norms > _SHORTEST).all() and (norms < 1 / _SHORTEST).all():
        scaled: Floats = vectors / norms
        return scaled
    # Dividing by the largest entry first keeps the squares of very long or short rows finite.
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
    scaled = vectors / np.where(largest > 0, largest, 1)
    norms = np.sqrt(np.einsum("ij,ij->i", scaled, scaled))[:, None]
    result: Floats = scaled / np.where(norms > 0, norms, 1)
    return result


def product(left: Floats, right: Floats, out: Floats | None = None) -> Floats:
    """``left @ right``, without warnings.

    OpenBLAS's AVX-512 kernels compute on lanes past the end of the data and so raise "invalid
    value" flags for finite input; what enters qkv is checked at its doors instead.
    """
    with np.errstate(all="ignore"):
        result: Floats = np.matmul(left, right, out=out)
    return result


def dots(queries: Floats, keys: Floats, out: Floats | None = None) -> Floats:
    """Dot products (m, n) of queries (m, d) and keys (n, d), into `out` where it is given."""
    if len(queries) == 1:  # a matrix-vector product reads the keys once, at memory speed
        return product(keys, queries[0], None if out is None else out[0])[None, :]
    return product(queries, keys.T, out)


def prepare(vectors: Floats, metric: Metric | str, *, side: str) -> Floats:
    """Turn queries or keys into vectors whose plain dot product is the metric's score.

    Cosine scales rows to length one. Euclidean scores are −½‖q − k‖² = ⟨(q, 1, −½‖q‖²),
    (k, −½‖k‖², 1)⟩: two more columns. (On unit vectors that is cosine − 1, so both metrics give
    the same attention; off the unit sphere exp(−½‖q − k‖² / τ) is a Gaussian kernel of
    bandwidth √τ.)

    Parameters
    ----------
    vectors : array (n, d), float
    metric : {"cosine", "dot", "euclidean"}
    side : {"query", "key"}

    Returns
    -------
    array (n, d), or (n, d + 2) for euclidean; same dtype
    """
    metric = check_metric(metric)
    if metric is Metric.COSINE:
        return unit(vectors)
    if metric is Metric.DOT:
        return vectors
    half = -0.5 * np.einsum("ij,ij->i", vectors, vectors)[:, None]
    one = np.ones_like(half)
    return np.hstack((vectors, one, half) if side == "query" else (vectors, half, one))


def check_metric(metric: Metric | str) -> Metric:
    """Return the metric of that name, or raise an InputError that lists them."""
    try:
        return Metric(metric)
    except ValueError:
        names = ", ".join(repr(str(m)) for m in Metric)
        raise InputError(f"metric is one of {names}, not {metric!r}") from None


def check_count(count: Any, name: str) -> int:
    """Return the count as an int, or raise an InputError: it is a whole number from 1 up."""
    try:
        value = operator.index(count)
    except TypeError:
        value = 0
    if value < 1:
        raise InputError(f"{name} is a whole number from 1 up, not {count!r}")
    return value


def check_temperature(temperature: float) -> float:
    """Return the temperature as a float, or raise an InputError: it lies in [0, ∞]."""
    try:
        value = float(temperature)
    except (TypeError, ValueError):
        value = float("nan")
    if not value >= 0:
        raise InputError(
            f"temperature is a number from 0 (the nearest record alone) to float('inf') "
            f"(all records alike), not {temperature!r}"
        )
    return value


def scores(queries: ArrayLike, keys: ArrayLike, metric: Metric | str = Metric.COSINE) -> Floats:
    """Score every key for every query.

    Parameters
    ----------
    queries : array (m, d), float
    keys : array (n, d), float
    metric : {"cosine", "dot", "euclidean"}
        Euclidean is −½‖q − k‖², so that larger is nearer; see :func:`prepare`.

    Returns
    -------
    array (m, n)

    Examples
    --------
    >>> scores([[1.0, 0.0]], [[2.0, 0.0], [0.0, 1.0]]).tolist()
    [[1.0, 0.0]]
    """
    q = prepare(np.asarray(queries), metric, side="query")
    k = prepare(np.asarray(keys), metric, side="key")
    return product(q, k.T)


def decay(gaps: Floats, temperature: float) -> Floats:
    """exp(gap / τ) for gaps ≤ 0, with its limits: τ = 0 keeps gap 0 alone, τ = ∞ all finite gaps.

    Works in place where it can; use the returned array.
    """
    if temperature == 0:
        return (gaps >= 0).astype(gaps.dtype)
    if np.isinf(temperature):
        return (gaps > -np.inf).astype(gaps.dtype)
    # Overflow to -inf is the right answer, exp(-inf) = 0.
    with np.errstate(over="ignore", under="ignore"):
        if temperature != 1:
            np.multiply(gaps, gaps.dtype.type(1 / max(temperature, _tiniest(gaps))), out=gaps)
        return np.exp(gaps, out=gaps)


def _tiniest(array: Floats) -> float:
    """Smallest positive normal number of the array's type: a τ below it would divide by zero."""
    return float(np.finfo(array.dtype).tiny)


def gap(larger: Floats, smaller: Floats) -> Floats:
    """Smaller − larger, where −∞ − −∞ (two empty parts) is 0."""
    with np.errstate(invalid="ignore"):
        gap = smaller - larger
    gap[np.isnan(gap)] = 0
    return gap


def softmax(
    scores: Floats,
    temperature: float,
    *,
    null: float | None = None,
    top_k: int | None = None,
) -> tuple[Floats, Floats]:
    """Turn scores into weights that are ≥ 0 and, with the null weight, sum to 1.

    The plain reference beside :func:`stream`: the whole matrix at once.

    Parameters
    ----------
    scores : array (m, n), float
        ``-inf`` marks a record to leave out.
    temperature : float
        τ, from 0 to ``inf``.
    null : float, optional
        Score s₀ of the null record; None leaves it out.
    top_k : int, optional
        Attend to the k best records only; None for all.

    Returns
    -------
    weights : array (m, n)
    null_weight : array (m,)
        1 where there is nothing at all to attend to.

    Examples
    --------
    >>> import numpy as np
    >>> weights, nothing = softmax(np.array([[1.0, 1.0, 0.0]]), 0.0)
    >>> weights.tolist(), nothing.tolist()
    ([[0.5, 0.5, 0.0]], [0.0])
    """
    temperature = check_temperature(temperature)
    if top_k is not None:
        kept, _ = best_k(scores, top_k)
        masked = np.full_like(scores, -np.inf)
        rows, places = np.nonzero(kept >= 0)
        masked[rows, kept[rows, places]] = scores[rows, kept[rows, places]]
        scores = masked
    maximum = scores.max(axis=1, initial=-np.inf)
    floor = np.maximum(maximum, -np.inf if null is None else null)
    powers = decay(gap(floor[:, None], scores), temperature)
    powers[scores == -np.inf] = 0
    nothing = null_power(floor, null, temperature)
    total = powers.sum(axis=1) + nothing
    empty = total == 0
    total[empty] = 1
    return powers / total[:, None], np.where(empty, 1.0, nothing / total)


def null_power(floor: Floats, null: float | None, temperature: float) -> Floats:
    """exp((s₀ − floor) / τ) for each query: 0 without a null record."""
    if null is None:
        return np.zeros_like(floor)
    return decay(gap(floor, np.full_like(floor, null)), temperature)


def size_temperature(n: int) -> float:
    """Temperature for unit vectors that keeps its meaning as a store grows: τ = 1 / (5 ln(1 + n)).

    With a fixed τ the mass of n unrelated records grows with n until it drowns any match; a match
    stays audible when the inverse temperature grows with ln n (scalable softmax: Nakanishi 2025).
    The factor 5 was chosen on validation splits, see docs/defaults.md.

    Examples
    --------
    >>> round(size_temperature(6), 3), round(size_temperature(100_000), 3)
    (0.103, 0.017)
    """
    return 1 / (5 * float(np.log1p(max(n, 1))))


def attend(
    queries: ArrayLike,
    keys: ArrayLike,
    values: ArrayLike,
    *,
    metric: Metric | str = Metric.COSINE,
    temperature: float = 0.1,
    null: float | None = None,
    top_k: int | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Attention on plain arrays: the definition in one screen, and the reference for tests.

    Parameters
    ----------
    queries : array (m, d), float
    keys : array (n, d), float
    values : array (n, v), float
    metric : {"cosine", "dot", "euclidean"}
    temperature : float
        τ, from 0 to ``inf``.
    null : float, optional
        Score of the null record.
    top_k : int, optional
        Attend to the k best records only.

    Returns
    -------
    output : array (m, v)
    weights : array (m, n)
    null_weight : array (m,)

    Examples
    --------
    >>> output, weights, nothing = attend([[1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [[10.0], [20.0]],
    ...                                   temperature=0.5)
    >>> weights.round(2).tolist(), output.round(1).tolist()
    ([[0.88, 0.12]], [[11.2]])
    """
    weights, nothing = softmax(scores(queries, keys, metric), temperature, null=null, top_k=top_k)
    return product(weights, np.asarray(values)), weights, nothing
