"""The records nearest to a query: which, their blend, and how far their values lie from it."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from qkv.indexes import Index
from qkv.types import Floats, Integers, Mask

__all__ = [
    "ENOUGH",
    "INNER",
    "NEAR",
    "Blend",
    "attention",
    "blended",
    "distances",
    "leave_one_out",
    "length",
    "sample",
]

#: Records near a query that its estimate is made from.
NEAR = 50
#: Those of them in the inner circle.
INNER = 10
#: Records left out, at most.
_SAMPLE = 4000
#: Those from which on choices are made by their residuals: with 100, intervals of 90 % hold 88 %.
ENOUGH = 150
#: Multiplications that leaving out may take: about a second of one core.
_WORK = 4e10
#: Numbers that the neighbours' values may be: 80 MB of them.
_ROOM = 1e7


class Blend(StrEnum):
    """How the neighbours' numbers become one."""

    MEAN = "mean"
    MIDWAY = "midway"  # between the two others
    MEDIAN = "median"


def attention(scores: Floats, there: Mask | None, temperature: float) -> Floats:
    """Weights (m, k) over the nearest records; rows of zeros where there are none."""
    # As qkv.attention.softmax has it, for scores that are sorted: a fifth of its time.
    if there is None:
        powers = np.exp((scores - scores[:, :1]) * (1 / temperature))
        powers /= powers.sum(axis=1, keepdims=True)
        return powers
    gaps = np.where(there, scores, 0) - np.where(there[:, :1], scores[:, :1], 0)
    powers = np.exp(gaps * (1 / temperature), where=there, out=np.zeros_like(gaps))
    weights: Floats = powers / np.maximum(powers.sum(axis=1, keepdims=True), 1)  # the best has 1
    return weights


def blended(weights: Floats, values: Floats, blend: Blend) -> Floats:
    """Blend numbers (m, k) to (m,), or vectors (m, k, d) to (m, d): those always to a mean."""
    if values.ndim == 3:
        vectors: Floats = np.einsum("mk,mkd->md", weights, values)
        return vectors
    first = values[:, :1].sum(axis=1)  # or 0, where there is none
    # Relative to the first, so that equal numbers blend to exactly that number.
    mean: Floats = first + np.einsum("mk,mk->m", weights, values - first[:, None])
    if blend is Blend.MEAN:
        return mean
    median = _median(weights, values)
    return median if blend is Blend.MEDIAN else (mean + median) / 2


def _median(weights: Floats, values: Floats) -> Floats:
    """Smallest value that, with all below it, has half of the weight."""
    if not values.shape[1]:
        return np.zeros(len(values))
    rows = np.arange(len(values))
    order = values.argsort(axis=1)
    below = weights[rows[:, None], order].cumsum(axis=1)
    middle = (below >= below[:, -1:] / 2).argmax(axis=1)
    median: Floats = values[rows, order[rows, middle]]
    return median


def length(differences: Floats) -> Floats:
    """|·| of numbers, Euclidean length of vectors: the last axis of those."""
    if differences.ndim == 1:
        return np.abs(differences)
    lengths: Floats = np.sqrt(np.einsum("md,md->m", differences, differences))
    return lengths


def distances(
    weights: Floats,
    values: Floats,
    blends: Floats,
    there: Mask | None,
) -> Floats:
    """δ_α, δ₁₀ and δ₅₀ (m, 3): mean distance of values from the blend, in three circles.

    By attention weights, over the 10 nearest records, and over all of them.
    """
    if values.ndim == 2:
        apart = np.abs(values - blends[:, None])
    else:
        offsets = values - blends[:, None, :]
        apart = np.sqrt(np.einsum("mkd,mkd->mk", offsets, offsets))
    if there is not None:
        apart = np.where(there, apart, 0)
    count = np.array([[INNER, NEAR]])
    if there is None:
        count = np.minimum(count, apart.shape[1])
    else:
        count = np.minimum(count, np.maximum(there.sum(axis=1, keepdims=True), 1))
    deviations = np.empty((len(values), 3))
    deviations[:, 0] = np.einsum("mk,mk->m", weights, apart)
    deviations[:, 1:] = _sums(apart) / count
    return deviations


def _sums(apart: Floats) -> Floats:
    """Sums (m, 2) over the inner circle, and over all."""
    if apart.shape[1] <= INNER:
        return np.repeat(apart.sum(axis=1, keepdims=True), 2, axis=1)
    sums: Floats = np.add.reduceat(apart, (0, INNER), axis=1)
    sums[:, 1] += sums[:, 0]
    return sums


def sample(n: int, d: int, *, width: int = 1, seed: int = 0) -> Integers:
    """Rows to leave out, one by one: all of a small store, as many as a second allows of a large.

    Parameters
    ----------
    n, d : int
        Records, and dimensions of their keys.
    width : int
        Dimensions of their values, if those are vectors.
    seed : int

    Returns
    -------
    array (m,), int64
        Ascending. 4,000 at most; 711 of 100,000 keys of 562 dimensions, but never fewer than 150.
    """
    affordable = min(_SAMPLE, int(_WORK / max(1, n * d)), int(_ROOM / (NEAR * width)))
    count = min(n, max(ENOUGH, affordable))
    if count == n:
        return np.arange(n)
    rows: Integers = np.sort(np.random.default_rng(seed).choice(n, count, replace=False))
    return rows


def leave_one_out(
    index: Index, rows: Integers, queries: Floats | None = None
) -> tuple[Integers, Floats]:
    """Find the records nearest to some of them, each hidden from its own search.

    Parameters
    ----------
    index : Index
    rows : array (m,), int64
        Which records to leave out.
    queries : array (m, d), optional
        The same records prepared as queries; by default the keys themselves.

    Returns
    -------
    indices, scores : array (m, ≤ 50)
        As of :meth:`qkv.indexes.Index.neighbours`: best first, −1 and ``-inf`` for none. A key of
        zeros, of which the encoder understood nothing, has no neighbours.
    """
    asked = index.vectors(rows) if queries is None else queries
    indices, scores = _without(rows, *index.neighbours(asked, NEAR + 1))
    blank = ~asked.any(axis=1)
    indices[blank], scores[blank] = -1, -np.inf
    return indices, scores


def _without(rows: Integers, indices: Integers, scores: Floats) -> tuple[Integers, Floats]:
    """Leave out each row's own record; where it was not among the nearest, the last of them."""
    own = indices == rows[:, None]
    if not indices.shape[1]:
        return indices, scores
    own[~own.any(axis=1), -1] = True
    shape = len(indices), indices.shape[1] - 1
    return indices[~own].reshape(shape), scores[~own].reshape(shape)
