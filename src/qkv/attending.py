"""Attending: a batch of queries through attention, judgement and naming; no state of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from qkv.answers import (
    PLAIN,
    SHOWN,
    Asked,
    Decoding,
    Head,
    Meanings,
    answer,
    named,
    only_recalls,
    values_of,
)
from qkv.attention import Nothing, Partial, Values
from qkv.calibration import NEAR, Calibration
from qkv.errors import InputError
from qkv.judging import judge
from qkv.lexical import Lexical
from qkv.snapshot import Snapshot
from qkv.space import Query, Space
from qkv.tables import Tables
from qkv.types import Attention, Floats, Integers
from qkv.values import Kind

__all__ = ["Asking", "attend", "settled"]

#: Queries are read so many at a time that their masses make at most 128 MB.
_MASSES = 1 << 25


@dataclass(frozen=True)
class Asking:
    """How a batch of queries is asked.

    Attributes
    ----------
    count : int
        Candidates wanted for each.
    temperature : float
    decoding : Decoding
        With a head.
    null : float or None
        Score of the null record, where it is given.
    top_k : int or None
        Attend to the k best records only.
    among : array (r,), int64, or None
        Rows that alone are attended to.
    tolerance : float or None
        Error of the output up to which keys may be left unread.
    calibration : Calibration or None
    background : callable
        Gives the null record's key, for calibration.
    lexical : Lexical
        The store's words.
    meanings : callable
        Opens the lexicon; it gives None where there is none.
    again : callable or None
        Asks a query again as if the record of a key were not there.
    """

    count: int
    temperature: float
    decoding: Decoding
    null: float | None
    top_k: int | None
    among: Integers | None
    tolerance: float | None
    calibration: Calibration | None
    background: Callable[[], Floats]
    lexical: Lexical
    meanings: Callable[[], Meanings | None]
    again: Callable[[Query, str], Attention] | None = None


def attend(
    snapshot: Snapshot, tables: Tables, space: Space, queries: Sequence[Query], asking: Asking
) -> list[Attention]:
    """Answer checked queries from a snapshot.

    Parameters
    ----------
    snapshot : Snapshot
    tables : Tables
        Of the same store.
    space : Space
        Where its queries and keys meet.
    queries : sequence of str or array
    asking : Asking

    Returns
    -------
    list of Attention
        One for each query.

    Raises
    ------
    InputError
        If the relation head is asked of a store without a lexicon.
    """
    if len(snapshot.records if asking.among is None else asking.among) == 0:
        return [Attention(q, (), (), 0.0, 1.0, asking.temperature) for q in queries]
    step = max(1, _MASSES // max(1, snapshot.groups.width))
    found: list[Attention] = []
    for start in range(0, len(queries), step):
        found += _attend(snapshot, tables, space, queries[start : start + step], asking)
    return found


def _attend(
    snapshot: Snapshot, tables: Tables, space: Space, queries: Sequence[Query], asking: Asking
) -> list[Attention]:
    temperature, top_k, calibration = asking.temperature, asking.top_k, asking.calibration
    texts = len(snapshot.distinct.of_kind(Kind.TEXT, snapshot.groups.width)) > 0
    meanings = asking.meanings() if texts else None
    offsets = None
    if asking.decoding.head is Head.RELATION and texts:
        if meanings is None:
            raise InputError("the relation head needs a lexicon: Database(lexicon='glove')")
        known = None if calibration is None else calibration.imagining
        gains = PLAIN if known is None else known.proposing.gains
        offsets = meanings.offsets(snapshot, partial(_keys, snapshot, tables), gains)
    # Where each record has a value of its own, the weights of the best are all that is wanted.
    told_apart = snapshot.all_distinct and np.isfinite(temperature)  # all alike have no best
    weighed = calibration is not None or told_apart
    asked = Asked([q if isinstance(q, str) else None for q in queries], asking.count)
    light = weighed and only_recalls(snapshot, meanings)
    values = Nothing() if light else values_of(snapshot, offsets)
    vectors = space.queries(queries)
    prepared = space.prepared(vectors, dimension=snapshot.index.dimension)
    weighed = prepared if calibration is None else calibration.weigh(prepared)
    part = snapshot.index.partial(
        weighed,
        values,
        temperature=temperature,
        k=max(SHOWN, top_k or 0, asked.count if light else 0) if calibration is None else NEAR,
        among=asking.among,
        tolerance=asking.tolerance,
    )
    part = _raised(part, snapshot, asked.texts, weighed, values, asking)
    if top_k is not None:
        part = part.truncate(top_k, values)
    read = part.read(asking.null).silence(np.asarray(~vectors.any(axis=1)))
    judged = None
    if calibration is not None:
        judged = judge(
            snapshot,
            tables,
            asked.texts,
            prepared,
            read,
            calibration,
            asking.background()[: prepared.shape[1]],
            asking.among,
        )
        read = read.dim(judged.verdict.null)
    answered = answer(snapshot, read, asked, asking.decoding, meanings, judged)
    nulls = [one.null for one in answered]
    if judged is not None and None not in nulls:
        read = read.dim(np.array(nulls))
    return named(snapshot, tables, queries, read, answered, temperature, judged, asking.again)


def _raised(
    part: Partial,
    snapshot: Snapshot,
    texts: Sequence[str | None],
    queries: Floats,
    values: Values,
    asking: Asking,
) -> Partial:
    """Attention with what the words of the queries add to it."""
    near = part.indices, part.scores
    raised = asking.lexical.raised(snapshot, texts, queries, near, asking.among)
    return part if raised is None else part.raised(*raised, values)


def _keys(snapshot: Snapshot, tables: Tables) -> list[str | None]:
    """Keys of all records, in their order; None for one that is gone."""
    ids = snapshot.records.tolist()
    keys = tables.keys(ids)
    return [keys.get(id) for id in ids]


def settled(
    decoding: Decoding, calibration: Calibration | None
) -> tuple[Decoding, Calibration | None]:
    """Let the store choose its head, or keep of what it knows what holds for the one given."""
    known = None if calibration is None else calibration.imagining
    if decoding.head is None:
        return replace(
            decoding, head=Head.BLEND if known is None else Head(known.head)
        ), calibration
    if calibration is None or (known is not None and known.head == decoding.head):
        return decoding, calibration
    if decoding.head is Head.RELATION:  # what is known of blending says nothing of it
        return decoding, None
    return decoding, replace(calibration, imagining=None)
