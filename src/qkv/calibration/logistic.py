"""Logistic models with a prior: few features, few examples, and an answer even without any.

Both fits are Newton's method on a penalised likelihood,

    maximise  Σᵢ wᵢ log P(yᵢ | xᵢ, c) − ½ (c − c₀)ᵀ Λ (c − c₀),

so that without examples the coefficients c are the prior's c₀, and with many they are their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qkv.types import Floats, Integers

__all__ = ["Logistic", "fit_choice", "fit_logistic"]

_STEPS = 100
_CLOSE = 1e-8
#: Logits beyond this are certainty; exp of more would overflow.
_CERTAIN = 30.0


@dataclass(frozen=True)
class Logistic:
    """P(yes | x) = 1 / (1 + exp(−(x · coefficients + intercept))).

    Attributes
    ----------
    coefficients : tuple of float
    intercept : float

    Examples
    --------
    >>> import numpy as np
    >>> Logistic((2.0,), -1.0).probability(np.array([[0.5], [3.0]])).round(3).tolist()
    [0.5, 0.993]
    """

    coefficients: tuple[float, ...]
    intercept: float

    def logit(self, features: Floats) -> Floats:
        """Logits x · coefficients + intercept for features (m, f): array (m,), float64."""
        coefficients = np.array(self.coefficients)
        logit: Floats = np.clip(features @ coefficients + self.intercept, -_CERTAIN, _CERTAIN)
        return logit

    def probability(self, features: Floats, shift: Floats | float = 0.0) -> Floats:
        """P(yes) for features (m, f), with logits shifted by so much: array (m,), float64."""
        probability: Floats = 1 / (1 + np.exp(-self.logit(features) - shift))
        return probability


def fit_logistic(
    features: Floats,
    targets: Floats,
    weights: Floats,
    prior: Logistic,
    strength: float | Floats = 1.0,
) -> Logistic:
    """Fit P(yes | x) to examples, from a prior.

    Parameters
    ----------
    features : array (m, f), float64
    targets : array (m,)
        1 for yes, 0 for no, or shares between.
    weights : array (m,)
        How much each example counts.
    prior : Logistic
        The answer without examples.
    strength : float or array (f + 1,)
        Λ, one for each coefficient and the last for the intercept: how firmly the prior holds.

    Returns
    -------
    Logistic
    """
    design = np.column_stack((features, np.ones(len(features))))
    start = np.array([*prior.coefficients, prior.intercept])
    firm = np.broadcast_to(np.asarray(strength, dtype=np.float64), start.shape)

    def objective(c: Floats) -> float:
        z = design @ c
        likelihood = targets * z - np.logaddexp(0, z)
        return float(weights @ likelihood - 0.5 * firm @ (c - start) ** 2)

    def step(c: Floats) -> Floats:
        p = 1 / (1 + np.exp(-np.clip(design @ c, -_CERTAIN, _CERTAIN)))
        gradient = design.T @ (weights * (targets - p)) - firm * (c - start)
        curvature = (design * (weights * p * (1 - p))[:, None]).T @ design + np.diag(firm)
        return _solved(curvature, gradient)

    fitted = _climb(objective, step, start)
    return Logistic(tuple(fitted[:-1].tolist()), float(fitted[-1]))


def fit_choice(
    features: Floats,
    there: NDArray[np.bool_],
    chosen: Integers,
    prior: Floats,
    strength: float | Floats = 1.0,
    weights: Floats | None = None,
) -> Floats:
    """Fit P(candidate j) ∝ exp(x_j · c) to the candidates that were right (McFadden 1974).

    Parameters
    ----------
    features : array (m, j, f), float64
    there : array (m, j), bool
        Which candidates there are.
    chosen : array (m,), int64
        Column of the right one.
    prior : array (f,)
    strength : float or array (f,)
        Λ, how firmly the prior holds.
    weights : array (m,), optional
        How much each example counts.

    Returns
    -------
    array (f,), float64
    """
    start = np.asarray(prior, dtype=np.float64)
    firm = np.broadcast_to(np.asarray(strength, dtype=np.float64), start.shape)
    rows = np.arange(len(features))
    counts = np.ones(len(features)) if weights is None else weights

    def logits(c: Floats) -> Floats:
        z: Floats = np.where(there, features @ c, -np.inf)
        shifted: Floats = z - z.max(axis=1, keepdims=True, initial=-np.inf)
        return shifted

    def objective(c: Floats) -> float:
        z = logits(c)
        likelihood = z[rows, chosen] - np.log(np.exp(z).sum(axis=1))
        return float(counts @ likelihood - 0.5 * firm @ (c - start) ** 2)

    def step(c: Floats) -> Floats:
        p = np.exp(logits(c))
        p /= p.sum(axis=1, keepdims=True)
        mean = np.einsum("mj,mjf->mf", p, features)
        gradient = counts @ (features[rows, chosen] - mean) - firm * (c - start)
        spread = features - mean[:, None]
        weighted = spread * (p * counts[:, None])[:, :, None]
        curvature = np.einsum("mjf,mjg->fg", weighted, spread) + np.diag(firm)
        return _solved(curvature, gradient)

    return _climb(objective, step, start) if len(features) else start


def _solved(curvature: Floats, gradient: Floats) -> Floats:
    """Newton's step; the shortest one where the examples leave a direction open."""
    move: Floats = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
    return move


def _climb(
    objective: Callable[[Floats], float], step: Callable[[Floats], Floats], start: Floats
) -> Floats:
    """Newton's method, halving a step that overshoots."""
    at, height = start, objective(start)
    for _ in range(_STEPS):
        move = step(at)
        while (better := objective(at + move)) < height and np.abs(move).max() > _CLOSE:
            move = move / 2
        if np.abs(move).max() <= _CLOSE or better < height:
            break
        at, height = at + move, better
    return at
