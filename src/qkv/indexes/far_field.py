"""The far field: keys that are not read one by one, by the moments of their clusters.

For a cluster of n keys with mean μ and scores normally distributed with mean s = ⟨q, μ⟩ and
variance v = ς qᵀΣq, the expected mass and value at inverse temperature β are

    mass = n · exp(βs + ½β²v),        value = ν + β ς Cᵀq

(the moment-generating function of the normal distribution, and its derivative): ν is the mean of
the values, Σ one covariance within clusters *tied* for the whole store, C its counterpart between
keys and values, ς how much wider than the average the cluster is. No key that was left out scores
more than the k-th best, s_k, so the distribution is cut off there:

    mass × Φ(a) / Φ(b),        shift of the score  βv − √v (φ(a) / Φ(a) − φ(b) / Φ(b)),

    a = (s_k − s − βv) / √v,        b = (s_k − s) / √v.

Σ and C are not the same everywhere. What they are around the query is seen on the near clusters,
whose keys are all scored: there Σᵢ (sᵢ − s) vᵢ / n is ς Cᵀq itself. A far cluster takes the part of
it that its mean score says, from none at the mean of the whole store to all at that of the near
clusters.

Moments are sums: keys that come add to them, keys that go are
subtracted, and a member that was scored exactly is taken out of its cluster for that query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qkv.attention import product
from qkv.types import Floats, Integers

__all__ = ["Far", "FarField", "add_rows", "expect", "ratio"]

#: Rows read at once when moments are computed afresh.
BLOCK = 1 << 16


# ── keys ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class FarField:
    """Moments of the keys of each cluster, as sums in float64.

    Attributes
    ----------
    counts : array (C,)
        Keys.
    sums : array (C, d)
        Σ k.
    squares : array (C,)
        Σ ‖k‖².
    scatter : array (d, d)
        Σ k kᵀ over all clusters.

    Examples
    --------
    >>> keys = np.eye(3, dtype=np.float32)
    >>> field = FarField.of(keys, np.array([0, 0, 1]), 2)
    >>> field.counts.tolist(), field.means[0].tolist()
    ([2.0, 1.0], [0.5, 0.5, 0.0])
    """

    counts: Floats
    sums: Floats
    squares: Floats
    scatter: Floats

    @classmethod
    def of(cls, keys: Floats, labels: Integers, count: int) -> FarField:
        """Compute the moments afresh.

        Parameters
        ----------
        keys : array (n, d)
        labels : array (n,), int
            Cluster of each key; `count` for a key that is in none.
        count : int
            How many clusters.
        """
        dimension = keys.shape[1]
        none = np.zeros(count)
        empty = cls(none, np.zeros((count, dimension)), none, np.zeros((dimension, dimension)))
        return empty.changed(keys, labels)

    def changed(self, keys: Floats, labels: Integers, sign: int = 1) -> FarField:
        """The moments once keys (n, d) came to their clusters (n,), or went (sign −1)."""
        count = len(self.counts)
        sums, scatter = self.sums.copy(), self.scatter.copy()
        weight, squares = self.counts.copy(), self.squares.copy()
        for start in range(0, len(labels), BLOCK):
            own = labels[start : start + BLOCK]
            block = np.asarray(keys[start : start + BLOCK])[own < count]
            own = own[own < count]
            weight += sign * np.bincount(own, minlength=count)
            lengths = np.einsum("ij,ij->i", block, block, dtype=np.float64)
            squares += sign * np.bincount(own, weights=lengths, minlength=count)
            add_rows(sums, block, own, sign)
            scatter += sign * product(block.T, block)
        return FarField(weight, sums, np.where(weight > 0, squares, 0), scatter)

    @cached_property
    def total(self) -> float:
        """Keys in all clusters."""
        return float(self.counts.sum())

    @cached_property
    def means(self) -> Floats:
        """μ: array (C, d), float32; zeros for an empty cluster."""
        return ratio(self.sums, self.counts).astype(np.float32)

    @cached_property
    def covariance(self) -> Floats:
        """Σ, within clusters, tied: array (d, d), float32."""
        between = product(self.sums.T, ratio(self.sums, self.counts))
        return ((self.scatter - between) / max(self.total, 1.0)).astype(np.float32)

    @cached_property
    def spreads(self) -> Floats:
        """ς: trace of each cluster's own covariance over the trace of the tied one (C,)."""
        means = ratio(self.sums, self.counts)
        own = ratio(self.squares, self.counts) - np.einsum("ij,ij->i", means, means)
        own = np.maximum(own, 0)
        whole = float(own @ self.counts) / max(self.total, 1.0)
        return own / whole if whole > 0 else np.zeros_like(own)

    def variances(self, queries: Floats) -> Floats:
        """qᵀΣq for each query: array (m,), float64."""
        tied = np.einsum("md,md->m", product(queries, self.covariance), queries)
        variances: Floats = np.maximum(tied.astype(np.float64), 0)
        return variances

    def arrays(self) -> dict[str, Floats]:
        """The sums by name."""
        return {
            "counts": self.counts,
            "sums": self.sums,
            "squares": self.squares,
            "scatter": self.scatter,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats]) -> FarField:
        """The moments that :meth:`arrays` gave."""
        return cls(*(arrays[name] for name in ("counts", "sums", "squares", "scatter")))


# ── one read ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Far:
    """What is left to the far field for m queries.

    Attributes
    ----------
    mass : array (m, C)
        Expected Σ exp((s − maximum) / τ) of the members that were not scored exactly.
    each : array (m, C)
        The same for one member.
    shift : array (m, C)
        By how much the mass-weighted mean score of a cluster exceeds its mean, over its variance.
    noise : array (m, C)
        E[w²] / E[w]², w the weight of a member: how unevenly a cluster's mass lies on its members.
    """

    mass: Floats
    each: Floats
    shift: Floats
    noise: Floats


def expect(
    counts: Floats,
    scores: Floats,
    variances: Floats,
    cap: Floats,
    maximum: Floats,
    beta: float,
    *,
    noise: bool = True,
) -> Far:
    """Expected mass of clusters with normally distributed scores, cut off at a cap.

    Parameters
    ----------
    counts, scores, variances : array (m, C), float64
        Members, mean score and variance of the scores of each cluster.
    cap, maximum : array (m,)
        No member scores more than the cap (``inf`` for no cap); masses are relative to
        exp(β · maximum).
    beta : float
        1 / τ.
    noise : bool
        Whether to work out how unevenly the mass lies; 1 everywhere if not.

    Returns
    -------
    Far
    """
    deviation = np.sqrt(np.maximum(variances, _TINY))
    b = beta * deviation
    with np.errstate(all="ignore"):
        edge = np.clip((cap[:, None] - scores) / deviation, -1 / _TINY, _UNCUT)
        slack = -0.5 * edge * edge - _log_phi(edge)
        once, scale = _log_moment(b, edge, slack)
        # A member weighs no more than one that scores the cap.
        below = np.where(np.isinf(cap), 0, cap - maximum)
        most = np.minimum(beta * below, 0)[:, None]
        log_each = np.minimum(beta * (scores - maximum[:, None]) + once, most)
        each = np.where(counts > _NONE, np.exp(log_each), 0)
        uneven = np.ones_like(each)
        if noise:
            twice, _ = _log_moment(2 * b, edge, slack)
            uneven = np.nan_to_num(np.exp(np.clip(twice - 2 * once, 0, 50)), nan=1.0)
        # The mean score is that of what is left below the cap: at β = 0 nothing shifts.
        shift = (b - scale + np.exp(slack) / _SQRT_2PI) / deviation
    return Far(counts * each, each, np.nan_to_num(shift), uneven)


#: A variance that is none.
_TINY = 1e-12
#: Fewer members than this are rounding.
_NONE = 0.5
#: So many standard deviations above its mean, a cap cuts nothing off.
_UNCUT = 38.0
_SQRT_2PI = float(np.sqrt(2 * np.pi))
#: Chebyshev coefficients of erfc(x) e^(x²) in 2 / (2 + x): Numerical Recipes, "erfcc".
_ERFC = (-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807,
         -1.13520398, 1.48851587, -0.82215223, 0.17087277)  # fmt: skip


def _log_mills(x: Floats) -> Floats:
    """Log Φ(−|x|) + ½x², Φ the normal distribution function, to 10⁻⁷."""
    z = np.abs(x) / np.sqrt(2)
    t = 2 / (2 + z)
    scaled = np.full_like(t, _ERFC[-1])
    for coefficient in _ERFC[-2::-1]:
        scaled *= t
        scaled += coefficient
    mills: Floats = np.log(0.5 * t) + scaled
    return mills


def _log_phi(x: Floats) -> Floats:
    """Logarithm of Φ(x)."""
    lower = _log_mills(x) - 0.5 * x * x
    return np.where(x < 0, lower, np.log1p(-np.exp(np.minimum(lower, -0.6))))


def _log_moment(b: Floats, edge: Floats, slack: Floats) -> tuple[Floats, Floats]:
    """Log E[e^(bz)] of a standard normal z < edge, and φ / Φ at edge − b.

    ``slack`` is −½ edge² − log Φ(edge). Far below zero both Φ vanish, and so does their quotient's
    precision; there the squares cancel on paper.
    """
    x = edge - b
    mills = _log_mills(x)
    phi = np.log1p(-np.exp(np.minimum(mills - 0.5 * x * x, -0.6)))
    above = 0.5 * b * b + phi + slack + 0.5 * edge * edge
    below = b * edge + slack + mills
    scale = np.where(x < 0, np.exp(-mills), np.exp(-0.5 * x * x - phi)) / _SQRT_2PI
    return np.where(x < 0, below, above), scale


def add_rows(sums: Floats, rows: Floats, labels: Integers, sign: int) -> None:
    """Add each row to the sum of its label."""
    if not len(labels):
        return
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    added = np.add.reduceat(rows[order], starts, axis=0, dtype=np.float64)
    sums[ordered[starts]] += sign * added


def ratio(sums: Floats, counts: Floats) -> Floats:
    """Sums over counts; 0 where nothing was counted."""
    counts = np.maximum(np.where(counts > _NONE, counts, np.inf), 1)
    return sums / (counts[:, None] if sums.ndim > 1 else counts)
