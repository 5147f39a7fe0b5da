"""Naming: from numbers of rows and values to the keys and values that a reader knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from qkv.answers.asking import Answered, Found
from qkv.attention import Read
from qkv.judging import Judged
from qkv.snapshot import Snapshot
from qkv.tables import Tables
from qkv.types import Attention, Candidate, Floats, Integers, Value, Weight

__all__ = ["SHOWN", "named"]

#: Records that an answer names.
SHOWN = 10
#: What is left of 1 by float32's rounding is no weight.
_ROUNDING = 1e-6


def named(
    snapshot: Snapshot,
    tables: Tables,
    queries: Sequence[str | Floats],
    read: Read,
    answered: list[Answered],
    temperature: float,
    judged: Judged | None,
    again: Callable[[str | Floats, str], Attention] | None = None,
) -> list[Attention]:
    """Look up the keys of what was found, and the values.

    Parameters
    ----------
    snapshot : Snapshot
    tables : Tables
        Of the same store.
    queries : sequence of str or array
    read : Read
    answered : list of Answered
    temperature : float
    judged : Judged or None
    again : callable, optional
        Asks a query again without the record of a key.

    Returns
    -------
    list of Attention
        One for each query.
    """
    warnings = {} if judged is None else judged.warnings
    shown = read.indices[:, :SHOWN]
    rows = np.maximum(shown, 0)
    records = snapshot.records[rows]
    numbers = rows if snapshot.groups.ids is None else snapshot.groups.ids[rows]
    keys = tables.keys(np.unique(records).tolist())
    value = _values(snapshot, numbers, answered)
    answers = []
    for i, (query, (found, output, _)) in enumerate(zip(queries, answered, strict=True)):
        weights: list[Weight] = []
        speaking: dict[int, tuple[str, ...]] = {}
        added = np.zeros(shown.shape[1]) if read.by is None else read.by[i]
        for row, record, id, weight, score, words in zip(
            shown[i].tolist(),
            records[i].tolist(),
            numbers[i].tolist(),
            read.weights[i].tolist(),
            read.scores[i].tolist(),
            added.tolist(),
            strict=False,
        ):
            # A record that was deleted since the snapshot has no key any more.
            if row < 0 or record not in keys:
                continue
            key = keys[record]
            weights.append(Weight(key, value[id], weight, score, words))
            speaking[id] = (*speaking[id], key) if id in speaking else (key,)
        speaking[-1] = tuple(w.key for w in weights)  # all of them, for what is imagined
        null = float(read.null[i])
        rest = 1.0 - null - sum(w.weight for w in weights)
        answers.append(
            Attention(
                query=query,
                candidates=tuple([_candidate(one, value, speaking, warnings, i) for one in found]),
                weights=tuple(weights),
                rest=rest if rest > _ROUNDING else 0.0,
                null=null,
                temperature=temperature,
                output=output,
                calibrated=judged is not None,
                error=0.0 if read.error is None else float(read.error[i]),
                again=None if again is None else partial(again, query),
            )
        )
    return answers


def _values(snapshot: Snapshot, numbers: Integers, answered: list[Answered]) -> dict[int, Value]:
    """Values, by number, that answers name: each is read once."""
    wanted = {one.id for found, _, _ in answered for one in found if one.id >= 0}
    wanted.update(np.unique(numbers).tolist())
    ids = sorted(wanted)
    return dict(zip(ids, snapshot.distinct.values(ids), strict=True))


def _candidate(
    found: Found,
    value: Mapping[int, Value],
    speaking: Mapping[int, tuple[str, ...]],
    said: Mapping[tuple[int, int], tuple[str, ...]],
    number: int,
) -> Candidate:
    id = found.id
    return Candidate(
        found.value if id < 0 else value[id],
        found.probability,
        found.origin,
        speaking.get(id, ()),
        found.spread,
        found.interval,
        said.get((number, id), ()) if said else (),
    )
