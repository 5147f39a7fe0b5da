"""The loss: multiple negatives ranking, with its gradients in closed form.

Henderson et al. 2017 (section 4.4): each query of a batch has one right key, and the right keys of
the other queries are wrong ones for it, as are any that were given as wrong. With u and v the unit
vectors of W_Q q and W_K k, S = u vᵀ / τ and P the softmax of its rows, the loss is the mean of
−log Pᵢᵢ, and

    ∂L/∂S = (P − I) / m,    ∂L/∂u = ∂L/∂S v / τ,    ∂L/∂v = ∂L/∂Sᵀ u / τ,
    ∂L/∂a = (∂L/∂u − u ⟨u, ∂L/∂u⟩) / ‖a‖  for u = a / ‖a‖,    ∂L/∂W_Q = (∂L/∂a)ᵀ q,

and so for W_K. Attention over the batch, trained to look at the right record.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qkv.attention import product
from qkv.errors import InputError
from qkv.types import Floats

__all__ = ["Loss", "ranking_loss"]


class Loss(NamedTuple):
    """A loss, and where it falls.

    Attributes
    ----------
    value : float
    query : array (p, d_q)
        ∂L/∂W_Q.
    key : array (p, d_k) or None
        ∂L/∂W_K; None where keys stay as they are.
    """

    value: float
    query: Floats
    key: Floats | None


def ranking_loss(
    queries: Floats,
    keys: Floats,
    W_Q: Floats,
    W_K: Floats | None,
    *,
    temperature: float = 0.05,
    symmetric: bool = False,
    same: NDArray[np.bool_] | None = None,
) -> Loss:
    """Multiple negatives ranking loss of a batch, and its gradients.

    Parameters
    ----------
    queries : array (m, d_q), float
    keys : array (m + h, d_k), float
        Key i is the right one for query i; the h further ones are wrong for all.
    W_Q : array (p, d_q)
    W_K : array (p, d_k) or None
        None: keys stay as they are, p is d_k, and no slope of W_K is wanted.
    temperature : float
        τ > 0; the inverse of what sentence-transformers calls ``scale``.
    symmetric : bool
        Also ask each of the m right keys for its query, and take the mean of both.
    same : array (m, m + h), bool, optional
        True where a key is as right for a query as its own, so that it is no negative.

    Returns
    -------
    Loss

    Raises
    ------
    InputError
        If shapes do not fit, or τ is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> eye = np.eye(2)
    >>> round(ranking_loss(eye, eye, eye, eye, temperature=1.0).value, 4)  # −log(e / (e + 1))
    0.3133
    """
    _check(queries, keys, W_Q, W_K, temperature)
    m = len(queries)
    u, lengths_u = _unit(product(queries, W_Q.T))
    v, lengths_v = _unit(keys if W_K is None else product(keys, W_K.T))
    scores = product(u, v.T) / temperature
    own = np.arange(m)
    if same is not None:
        left_out = same.copy()
        left_out[own, own] = False
        scores = np.where(left_out, -np.inf, scores)
    value, slope = _cross_entropy(scores, own)
    if symmetric:
        back, back_slope = _cross_entropy(scores[:, :m].T, own)
        value = (value + back) / 2
        slope /= 2
        slope[:, :m] += back_slope.T / 2
    slope /= temperature
    query = product(_through_unit(product(slope, v), u, lengths_u).T, queries)
    if W_K is None:
        return Loss(value, query, None)
    return Loss(value, query, product(_through_unit(product(slope.T, u), v, lengths_v).T, keys))


def _check(
    queries: Floats, keys: Floats, W_Q: Floats, W_K: Floats | None, temperature: float
) -> None:
    if not temperature > 0:
        raise InputError(f"temperature is a positive number, not {temperature!r}")
    if len(keys) < len(queries):
        raise InputError(
            f"{len(queries)} queries came with {len(keys)} keys; give the right key of each first"
        )
    shape = (len(W_Q), keys.shape[1]) if W_K is None else W_K.shape
    wanted = (keys.shape[1],) * 2 if W_K is None else (len(W_Q), keys.shape[1])
    if queries.shape[1] != W_Q.shape[1] or shape != wanted:
        raise InputError(
            f"queries {queries.shape} and keys {keys.shape} do not fit W_Q {W_Q.shape} and "
            f"W_K {shape}: those are (p, d_q) and (p, d_k)"
        )


def _unit(vectors: Floats) -> tuple[Floats, Floats]:
    """Unit vectors (n, d) and the lengths (n, 1) that they had."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    lengths = np.maximum(lengths, np.finfo(vectors.dtype).tiny ** 0.5)
    return vectors / lengths, lengths


def _through_unit(slope: Floats, units: Floats, lengths: Floats) -> Floats:
    """Slope at a vector, from the slope at its direction."""
    along = np.einsum("ij,ij->i", slope, units)[:, None]
    result: Floats = (slope - units * along) / lengths
    return result


def _cross_entropy(scores: Floats, right: NDArray[np.int64]) -> tuple[float, Floats]:
    """Mean of −log softmax at the right columns, and its slope; ``-inf`` is no choice."""
    rows = np.arange(len(scores))
    shifted = scores - scores.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    total = powers.sum(axis=1, keepdims=True)
    value = float((np.log(total[:, 0]) - shifted[rows, right]).mean())
    powers /= total
    powers[rows, right] -= 1
    powers /= len(scores)
    return value, powers
