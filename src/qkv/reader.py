"""Reader: queries in, answers out. What a store knows, caught up with its tables.

Holds what is derived – the snapshot and what the lexicon makes of the values – and the settings of
a read. Any number of threads may read at once: each works on the snapshot that it found.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np

from qkv.answers import SHOWN, Decoding, Head, Meanings
from qkv.attending import Asking, attend, settled
from qkv.attention import check_count, check_temperature, size_temperature
from qkv.calibrating import Calibrating
from qkv.calibration import Calibration
from qkv.calibration.hidden import TEMPERATURE
from qkv.derived import Progress, kind_of
from qkv.errors import DiskFull, InputError, Locked, ReadOnlyFile
from qkv.fields import own_queries, value_weight
from qkv.filters import Filter
from qkv.indexes.near_far import NearFarIndex
from qkv.indexing import Indexing
from qkv.lexical import Lexical
from qkv.lexicon import Lexicon, resolve_lexicon
from qkv.snapshot import Snapshot
from qkv.space import Query, Space
from qkv.tables import GET, ID, Correction, Tables
from qkv.types import (
    Attention,
    Candidate,
    Floats,
    Integers,
    Metric,
    Origin,
    Value,
    Weight,
)
from qkv.values import Kind, from_stored, same

__all__ = ["SHOWN", "Reader", "check_head"]

#: How much values count is seen anew when this share of the records has changed; in a store of at
#: most so many, where one record tells and looking takes 2 ms, when any has.
_CHANGED, _SMALL = 0.2, 100
#: Filters whose records are remembered.
_FILTERS = 32
#: Records from which on a filter's fields are worth an index.
_INDEXED = 1000


class Reader:
    """Attention and search over one store.

    Parameters
    ----------
    tables : Tables
    space : Space
    lexicon : str, Lexicon or None
        Opened when first needed.
    decoding : Decoding
    temperature : float or "auto"
    null : float or None
        Score of the null record; None: calibration decides.
    index : str
        See :mod:`qkv.indexing`.
    """

    def __init__(
        self,
        tables: Tables,
        space: Space,
        lexicon: str | Lexicon | None,
        decoding: Decoding,
        temperature: float | Literal["auto"],
        null: float | None,
        index: str = "auto",
    ) -> None:
        #: The store's words.
        self.lexical = Lexical(tables, space)
        self.calibrating = Calibrating(tables, space, self.meanings, self.lexical)
        self.decoding = decoding
        self.temperature = temperature
        self.null = null
        self._tables = tables
        self._space = space
        self._lexicon_spec = lexicon
        self._meanings: Meanings | None = None
        self._indexing = Indexing(tables, space, index)
        self._snapshot = Snapshot.blank()
        #: Records, changes, and the projection, when it was last seen how much values count.
        self._weighed = 0, 0, 0
        self._passing: OrderedDict[Filter, tuple[int, Integers]] = OrderedDict()
        self._lock = threading.RLock()
        _READERS.add(self)

    def meanings(self) -> Meanings | None:
        """Open the lexicon, once; None for a store without one."""
        if self._meanings is None and self._lexicon_spec is not None:
            with self._lock:
                lexicon = resolve_lexicon(self._lexicon_spec)
                if self._meanings is None and lexicon is not None:
                    self._meanings = Meanings(lexicon)
        return self._meanings

    def attend(
        self,
        queries: Sequence[Query],
        count: int,
        *,
        strict: bool = False,
        top_k: int | None = None,
        temperature: float | None = None,
        head: Head | str | None = None,
        where: Filter | None = None,
        tolerance: float | None = None,
        hidden: str | None = None,
    ) -> list[Attention]:
        """Answer checked queries, with at most `count` candidates each.

        The record whose key is `hidden` is left out, as if it had never been stored.
        """
        decoding = self.decoding
        if head is not None:
            decoding = replace(decoding, head=check_head(head))
        if strict:
            decoding = replace(decoding, imagination=0.0)
        count = check_count(count, "n")
        top_k = None if top_k is None else check_count(top_k, "top_k")
        temperature = None if temperature is None else check_temperature(temperature)
        told = decoding.head is Head.RELATION
        if told and not all(isinstance(q, str) for q in queries):
            raise InputError("the relation head moves the query's own words; ask it with text")
        among = None if where is None else self.among(where)
        corrected = self._corrected(queries)
        exact = [
            self._exact(q, temperature, among, corrected.get(q)) if isinstance(q, str) else None
            for q in queries
        ]
        rest = [q for q, hit in zip(queries, exact, strict=True) if hit is None]
        again = partial(
            self._again,
            count=count,
            strict=strict,
            top_k=top_k,
            temperature=temperature,
            head=head,
            where=where,
            tolerance=tolerance,
        )
        found: list[Attention] = []
        if rest:
            snapshot = self.snapshot()
            calibration = None
            if top_k is None and temperature is None and self._calibrates(decoding, strict):
                calibration = self.calibrating.current(snapshot)
            if hidden is not None:
                snapshot = self._without(snapshot, hidden)
            rows = None if among is None else snapshot.rows(among)
            size = len(snapshot) if rows is None else len(rows)
            decoding, calibration = settled(decoding, calibration)
            asking = Asking(
                count=count,
                temperature=self._tau(size, decoding.head, temperature, calibration),
                decoding=decoding,
                null=self.null,
                top_k=top_k,
                among=rows,
                tolerance=tolerance,
                calibration=calibration,
                background=self.calibrating.background,
                lexical=self.lexical,
                meanings=self.meanings,
                again=again,
            )
            found = self._heard(snapshot, rest, asking)
            for place, q in enumerate(rest):
                said = corrected.get(q) if isinstance(q, str) else None
                wrong = self._wrong(snapshot, said)
                if len(wrong):
                    (other,) = self._heard(snapshot.without(wrong), [q], asking)
                    found[place] = _unless(other, said)
        answers = iter(found)
        return [hit if hit is not None else next(answers) for hit in exact]

    def _heard(
        self, snapshot: Snapshot, queries: Sequence[Query], asking: Asking
    ) -> list[Attention]:
        """Attend to queries as they are read, and answer them as they were asked."""
        read, changes = self.lexical.hearing.queries(queries)
        answers = attend(snapshot, self._tables, self._space, read, asking)
        # Asked again, it is the question as it was asked: what was read may be a key.
        again = asking.again
        return [
            replace(
                answer,
                query=q,
                mended=mended,
                again=None if again is None else partial(again, q),
            )
            if mended
            else answer
            for q, mended, answer in zip(queries, changes, answers, strict=True)
        ]

    def _again(self, query: Query, hidden: str, *, count: int, **options: Any) -> Attention:
        """The same question, were one of the records not there."""
        (answer,) = self.attend([query], count, hidden=hidden, **options)
        return answer

    def _without(self, snapshot: Snapshot, hidden: str) -> Snapshot:
        """The snapshot as if one record, or correction, had never been stored."""
        record = self._tables.one(ID, hidden)
        if record is None:
            correction = self._tables.correction(hidden)
            record = None if correction is None else (correction.number,)
        return snapshot if record is None else snapshot.without(snapshot.rows(np.array(record)))

    def _corrected(self, queries: Sequence[Query]) -> dict[str, Correction]:
        """What was said about queries before, by query."""
        if not self._tables.corrected():
            return {}
        known = {q: self._tables.correction(q) for q in queries if isinstance(q, str)}
        return {q: one for q, one in known.items() if one is not None}

    def wrong(self, snapshot: Snapshot, correction: Correction) -> Integers:
        """Rows that were named as wrong for a question: by their keys, or by what they hold."""
        rows = []
        for kind, what in correction.bad:
            if kind == "key":
                record = self._tables.one(ID, what)
                rows.append(snapshot.rows(np.array(record or (), dtype=np.int64)))
            else:
                id = snapshot.distinct.id_of(Kind(kind), what)
                rows.append(np.flatnonzero(snapshot.group_ids() == (-1 if id is None else id)))
        found = np.unique(np.concatenate(rows)) if rows else np.zeros(0, dtype=np.int64)
        return snapshot.index.live(found)

    def _wrong(self, snapshot: Snapshot, correction: Correction | None) -> Integers:
        if correction is None or not correction.bad:
            return np.zeros(0, dtype=np.int64)
        return self.wrong(snapshot, correction)

    def _exact(
        self,
        q: str,
        temperature: float | None,
        among: Integers | None,
        correction: Correction | None,
    ) -> Attention | None:
        row, key = self._tables.one(GET, q), q
        if row is None and correction is not None and correction.kind is not None:
            key = correction.record or q
            row = self._tables.one(GET, key) if correction.record else None
            row = row or (correction.kind, correction.value)
        if row is None:
            return None
        if among is not None:
            record = self._tables.one(ID, key)
            if record is None or record[0] not in among:
                return None
        value = from_stored(*row)
        return Attention(
            query=q,
            candidates=(Candidate(value, 1.0, Origin.EXACT, (key,)),),
            weights=(Weight(key, value, 1.0, 1.0),),
            rest=0.0,
            null=0.0,
            temperature=0.0 if temperature is None else temperature,
            calibrated=True,
        )

    def calibrate(
        self,
        unanswerable: float | None = None,
        questions: Sequence[tuple[Query, Value]] | None = None,
    ) -> Calibration:
        """Calibrate now, and keep it: see :meth:`Calibrating.calibrate`."""
        self._check_metric()
        return self.calibrating.calibrate(self.snapshot(), unanswerable, questions)

    def calibration(self) -> Calibration:
        """What holds now; brought up to date first where that is quick."""
        self._check_metric()
        return self.calibrating.current(self.snapshot())

    def _check_metric(self) -> None:
        if self._space.metric is not Metric.COSINE:
            raise InputError(
                f"only the cosine metric is calibrated, and this store's is {self._space.metric}; "
                "copy it: Database(path='copy.qkv', metric='cosine').update(old)"
            )

    def _calibrates(self, decoding: Decoding, strict: bool) -> bool:
        """Whether probabilities are calibrated: everything is left to the store."""
        return (
            self._space.metric is Metric.COSINE
            and self.temperature == "auto"
            and self.null is None
            and (strict or decoding.imagination is None)
            and decoding.metric == "cosine"
        )

    def _tau(
        self, n: int, head: Head | None, given: float | None, calibration: Calibration | None
    ) -> float:
        if given is not None:
            return given
        if self.temperature != "auto":
            return float(self.temperature)
        if self._space.metric is not Metric.COSINE:
            return 1.0
        if head is Head.RELATION:
            known = None if calibration is None else calibration.imagining
            return TEMPERATURE if known is None else known.proposing.temperature
        return size_temperature(n) if calibration is None else calibration.temperature_at(n)

    def among(self, where: Filter) -> Integers:
        """Ids of the records that pass a filter; remembered while the store stays as it is."""
        with self._lock:
            version = self._tables.version()
            known = self._passing.pop(where, None)
            if known is None or known[0] != version:
                self._index_fields(where)
                known = version, self._tables.matching(where)
            self._passing[where] = known
            while len(self._passing) > _FILTERS:
                self._passing.popitem(last=False)
            return known[1]

    def _index_fields(self, where: Filter) -> None:
        """Make indexes of the fields that a filter asks for, where that is worth it."""
        if self._tables.read_only or len(self._tables) < _INDEXED:
            return
        for expression in where.fields:
            # A filter works without: whoever is writing is not waited for, and a full disk is no
            # reason not to read.
            with suppress(Locked, DiskFull, ReadOnlyFile):
                self._tables.index_field(f"field_{expression.encode().hex()}", expression)

    def snapshot(self) -> Snapshot:
        """What attention reads, caught up with the tables."""
        with self._lock:
            if self._tables.version() != self._snapshot.version:
                before, self._snapshot = self._snapshot, Snapshot.blank()
                self._space.refresh()
                if self._otherwise(before):
                    before = Snapshot.blank()
                if before.version < 0:
                    before = self._indexing.begin()
                # Should catching up be interrupted, the next read begins from nothing.
                self._snapshot = self._advanced(before)
                self._space.dimension = self._space.dimension or self._space.saved_dimension()
                self._weigh_values()
                self._indexing.look_after(self._snapshot, self._take)
            return self._snapshot

    def _take(self, arranged: Snapshot) -> None:
        """Read from another arrangement of the records from now on."""
        with self._lock:
            if not self._otherwise(arranged):  # or keys lie elsewhere by now
                self._snapshot = self._advanced(arranged)

    def _otherwise(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot holds keys otherwise than they are asked now."""
        space = self._space
        return (snapshot.projected, snapshot.valued) != (space.projected, space.valued)

    def _weigh_values(self) -> None:
        """See how much values count, when they are first read, and when many have changed."""
        snapshot, space = self._snapshot, self._space
        if not space.valued or not space.same_kind:
            return
        size, touched, learned = self._weighed
        changed = max(abs(len(snapshot) - size), snapshot.touched - touched)
        same = size and learned == space.learned and touched <= snapshot.touched
        if same and changed <= (size * _CHANGED if size > _SMALL else 0):
            return

        def asked(rows: Integers) -> Floats:
            own = own_queries(snapshot, self._tables, space, rows)
            return space.projection.queries(own)

        space.value_weight, space.value_odds = value_weight(snapshot, asked)
        self._weighed = len(snapshot), snapshot.touched, space.learned

    def _advanced(self, snapshot: Snapshot) -> Snapshot:
        """Caught up with the tables."""
        space = self._space
        centre = space.centre()
        after = snapshot.advance(self._tables, space.metric, space.projection, centre)
        if not self._otherwise(after):
            return after
        return replace(after, projected=space.projected, valued=space.valued)

    def arrange(self, progress: Progress | None = None) -> None:
        """Arrange the records for a fast index now, if the store is large enough for one."""
        self.snapshot()
        self._indexing.wait()
        snapshot = self.snapshot()
        if self._indexing.disarranged(snapshot):
            self._take(self._indexing.arrange(snapshot, progress))

    def index(self) -> str:
        """Name of the index that reads go through."""
        index = self.snapshot().index
        if not isinstance(index, NearFarIndex):
            return "flat"
        return kind_of(index) or "clustered"


def _unless(answer: Attention, said: Correction | None) -> Attention:
    """An answer without the values that were said to be wrong: nor are they imagined."""
    wrong = [from_stored(*one) for one in said.bad if one[0] != "key"] if said else []
    kept = tuple(
        one for one in answer.candidates if not any(same(one.value, value) for value in wrong)
    )
    return replace(answer, candidates=kept)


#: A lock that another thread held at a fork would stay locked in the child for ever.
_READERS: weakref.WeakSet[Reader] = weakref.WeakSet()


def _after_fork() -> None:
    for reader in list(_READERS):
        reader._lock = threading.RLock()
        reader._indexing.after_fork()
        reader.lexical.hearing.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def check_head(head: Head | str) -> Head | None:
    """Return the head of that name, None for ``"auto"``, or raise an InputError."""
    if head == "auto":
        return None
    try:
        return Head(head)
    except ValueError:
        raise InputError(f"head is 'auto', 'blend' or 'relation', not {head!r}") from None
