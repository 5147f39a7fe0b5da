"""Fields: how much of an answer the value tells, beside the key.

Where values are texts of sentences, what they say is a second key: an answer holds words that the
question lacks. The score of a record is

    s = q · k + b q · (v − c),

v the vector of its value, c that of general text (the background), so that a value which says
nothing of the query, or none at all, counts 0. How much values count is read off how well keys find
their *own* values, never off whether values agree:

    β = 0.3 clip((w − .05) / .2, 0, 1),    b = β / (1 − β) · σ_k / σ_v,

where w, the witness, is the mean reciprocal rank of their own value, for up to 300 keys among
their values, less what chance finds; σ_k and σ_v are the mean standard deviations of a query's
scores with keys and with values. Shuffled values have w = 0. A value that many records hold is a
label, and what its keys have in common tells more than its name: where values have more than two
records on average, β falls in a line, to 0 at four.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from qkv.attention import product
from qkv.projection import Projection
from qkv.snapshot import Snapshot
from qkv.space import Space
from qkv.tables import Tables, unpacked
from qkv.types import Floats, Integers, Metric

__all__ = ["ValueWeight", "own_queries", "value_weight"]

#: Keys that are asked, and records that are looked at for them.
_ASKED, _SEEN = 300, 1200
#: β at most, and the witness from which on it grows, and over which it is full.
_MOST, _FROM, _OVER = 0.3, 0.05, 0.2
#: Records of a value, on average, from which on values are labels, and all of them are.
_LABELS = (2, 4)
#: Keys that found another's value, added to those that were asked: a few keys prove little.
_DOUBT = 4


class ValueWeight(NamedTuple):
    """How much values count beside keys: b, in scores, and the odds β / (1 − β) behind it."""

    scores: float = 0.0
    odds: float = 0.0


def own_queries(
    snapshot: Snapshot,
    tables: Tables,
    space: Space,
    rows: Integers,
    projection: Projection | None = None,
) -> Floats:
    """Keys of some rows as if they were asked: array (m, d), before W_Q.

    Parameters
    ----------
    snapshot : Snapshot
    tables : Tables
        Of the same store.
    space : Space
    rows : array (m,), int64
    projection : Projection, optional
        What the snapshot was read with; by default the one that holds.
    """
    records = snapshot.records[rows].tolist()
    if (projection or space.projection).key is None and space.metric is Metric.COSINE:
        keys = snapshot.index.vectors(rows)[:, : space.dimension]
    else:  # as they are stored; zeros for one that is gone
        blobs, precision = tables.vectors_of(records), tables.precision()
        blank = bytes(np.dtype(precision).itemsize * space.dimension)
        keys = unpacked([blobs.get(record, blank) for record in records], precision)
    return space.as_queries(tables.texts_of(records), keys)


def value_weight(snapshot: Snapshot, queries: Callable[[Integers], Floats]) -> ValueWeight:
    """How much the values of a store count beside its keys.

    Parameters
    ----------
    snapshot : Snapshot
        With what its values say beside its keys.
    queries : callable
        Turns rows into queries (m, d): their keys, as if they were asked.

    Returns
    -------
    ValueWeight
        Zeros where keys do not find their own values.
    """
    rows = snapshot.index.live(np.arange(len(snapshot.index)))
    if len(rows) > _SEEN:  # some may have no value
        rows = np.sort(np.random.default_rng(0).choice(rows, _SEEN, replace=False))
    vectors = snapshot.index.vectors(rows)
    d = vectors.shape[1] // 2
    valued = np.flatnonzero(vectors[:, d:].any(axis=1))[:_ASKED]
    rows, keys, values = rows[valued], vectors[valued, :d], vectors[valued, d:]
    n = len(rows)
    if n < 2:
        return ValueWeight()
    asked = queries(rows)
    with_keys, with_values = product(asked, keys.T), product(asked, values.T)
    groups = snapshot.group_ids()[rows]
    same = groups[:, None] == groups
    own = np.where(same, with_values, -np.inf).max(axis=1, keepdims=True)
    ranks = 1 + ((with_values > own) & ~same).sum(axis=1)
    # Of r values, k of them right, chance finds the first at rank (r + 1) / (k + 1) on average.
    chance = (same.sum(axis=1) + 1) / (n + 1)
    witness = max(0.0, float((1 / ranks - chance).sum())) / (n + _DOUBT)
    beta = _MOST * float(np.clip((witness - _FROM) / _OVER, 0, 1))
    beta *= float(np.interp(snapshot.counts[np.unique(groups)].mean(), _LABELS, (1, 0)))
    spread = float(with_values.std(axis=1).mean())
    if not beta or not spread:
        return ValueWeight()
    others = with_keys[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    odds = beta / (1 - beta)
    return ValueWeight(odds * float(others.std(axis=1).mean()) / spread, odds)
