"""How much each of the encoder's heads counts in a store.

Keys of several encoders stand side by side, scaled by √w_h, so that a score is Σ w_h cos_h
(:mod:`qkv.encoders.heads`). Which encoder knows most about a store's texts is the store's own
matter: words want GloVe, sentences an encoder of sentences. Other weights w′ need no other keys:
scaling the head's part of the *query* by w′_h / w_h makes the same dot product Σ w′_h cos_h.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from qkv.types import Floats

__all__ = ["Heads", "Scales", "fit_scales", "weigh"]

#: Columns and weight of each head, in the order in which they stand in a vector.
Heads: TypeAlias = tuple[tuple[int, float], ...]
#: Columns and factor for each head's part of a query.
Scales: TypeAlias = tuple[tuple[int, float], ...]

#: By which a head's weight, beside the others', is multiplied in a step, and how many there are.
_STEP, _STEPS = 2.0, 3
#: What each step must add to the log-likelihood: the encoder's own weights come from many stores.
_RELUCTANCE = 2.0


def fit_scales(likelihood: Callable[[Scales], float], heads: Heads) -> Scales:
    """Climb to the weights under which a store's own records are likeliest, head by head.

    Parameters
    ----------
    likelihood : callable
        Log-likelihood of the right values of left-out records.
    heads : Heads

    Returns
    -------
    Scales
        For :func:`weigh`; empty where the encoder's own weights are as good.

    Examples
    --------
    >>> def likelihood(scales):  # best where both heads weigh the same
    ...     (_, first), (_, second) = scales
    ...     return -100 * abs(0.2 * first - 0.8 * second)
    >>> heads = (50, 0.2), (512, 0.8)
    >>> [(size, round(factor, 2)) for size, factor in fit_scales(likelihood, heads)]
    [(50, 2.5), (512, 0.62)]
    """
    own = np.array([weight for _, weight in heads])

    def scales(weights: Floats) -> Scales:
        factors = (weights / own).tolist()
        return tuple((size, factor) for (size, _), factor in zip(heads, factors, strict=True))

    best = own
    most = likelihood(scales(own))
    # The weights sum to one, so that of two heads it is enough to move the first.
    for head in range(len(heads) - 1 if len(heads) == 2 else len(heads)):
        for factor in (_STEP, 1 / _STEP):
            before = most
            for _ in range(_STEPS):
                other = best.copy()
                other[head] *= factor
                other /= other.sum()
                found = likelihood(scales(other))
                if found < most + _RELUCTANCE:
                    break
                best, most = other, found
            if most > before:
                break
    return () if best is own else scales(best)


def weigh(queries: Floats, scales: Sequence[tuple[int, float]]) -> Floats:
    """Scale each head's part of queries (m, d); see :func:`fit_scales`.

    Of queries (m, 2 d), which also ask the values, in both halves.
    """
    if not scales:
        return queries
    sizes, factors = zip(*scales, strict=True)
    columns = np.repeat(np.array(factors, dtype=queries.dtype), sizes)
    scaled: Floats = queries * np.tile(columns, queries.shape[1] // len(columns))
    return scaled
