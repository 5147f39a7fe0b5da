"""Attention: softmax(q Kᵀ / τ) V, with a null record, in parts that merge exactly.

For a query q, keys kᵢ and values vᵢ, each record gets a score sᵢ (how alike q and kᵢ are) and the
weight

    αᵢ = exp(sᵢ / τ) / (exp(s₀ / τ) + Σⱼ exp(sⱼ / τ)),        output = Σ αᵢ vᵢ.

s₀ belongs to the *null record*, whose weight α₀ says "nothing here"; without one, its term is
missing. τ → 0 retrieves the record with the largest score, τ → ∞ averages all of them, and top_k
with τ = ∞ is the vote of the k nearest neighbours: one function, four behaviours. (Softmax
attention: Bahdanau et al. 2014, Vaswani et al. 2017; as a read of an associative memory: Ramsauer
et al. 2020, with β = 1/τ.)

A sum of exponentials can be taken in pieces. :class:`Partial` holds, for some of the keys,

    m = max sᵢ,    l = Σ exp((sᵢ − m) / τ),    acc = Σ exp((sᵢ − m) / τ) vᵢ,    the best k,

and two of them merge by rescaling both to the larger m (the online softmax of Milakov & Gimelshein
2018). Merging is associative, commutative and exact, so blocks, index segments, processes and
machines may each attend to a part. m is kept as a score, not as a logit, so that τ = 0 and τ = ∞
need no second formula: only :func:`decay` knows them.
"""

from qkv.attention.blends import Beside, Dense, Groups, Nothing, Values
from qkv.attention.partial import Partial, Read, raise_best, stream
from qkv.attention.softmax import (
    attend,
    check_count,
    check_metric,
    check_temperature,
    decay,
    dots,
    prepare,
    product,
    scores,
    size_temperature,
    softmax,
    unit,
)

__all__ = [
    "Beside",
    "Dense",
    "Groups",
    "Nothing",
    "Partial",
    "Read",
    "Values",
    "attend",
    "check_count",
    "check_metric",
    "check_temperature",
    "decay",
    "dots",
    "prepare",
    "product",
    "raise_best",
    "scores",
    "size_temperature",
    "softmax",
    "stream",
    "unit",
]
