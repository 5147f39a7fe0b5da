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
from functools import cache
from typing import Literal

import numpy as np

from qkv.answers import Answered, Asked, Decoding, Head, Meanings, answer, values_of
from qkv.attention import Read, check_count, check_temperature, size_temperature
from qkv.errors import DiskFull, InputError, Locked, ReadOnlyFile
from qkv.filters import Filter
from qkv.lexicon import Lexicon, resolve_lexicon
from qkv.snapshot import Snapshot
from qkv.space import Query, Space
from qkv.tables import GET, ID, Tables
from qkv.types import (
    Attention,
    Candidate,
    Floats,
    Integers,
    Metric,
    Origin,
    Weight,
)
from qkv.values import Kind, from_stored

__all__ = ["SHOWN", "Reader", "check_head"]

#: Records that an answer names.
SHOWN = 10
#: Temperature of the relation head: offsets want many witnesses (docs/defaults.md).
RELATION_TEMPERATURE = 0.2
#: What is left of 1 by float32's rounding is no weight.
_ROUNDING = 1e-6
#: Filters whose records are remembered.
_FILTERS = 32
#: Records from which on a filter's fields are worth an index.
_INDEXED = 1000
#: Queries are read so many at a time that their masses make at most 128 MB.
_MASSES = 1 << 25


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
        Score of the null record.
    """

    def __init__(
        self,
        tables: Tables,
        space: Space,
        lexicon: str | Lexicon | None,
        decoding: Decoding,
        temperature: float | Literal["auto"],
        null: float | None,
    ) -> None:
        self.decoding = decoding
        self.temperature = temperature
        self.null = null
        self._tables = tables
        self._space = space
        self._lexicon_spec = lexicon
        self._meanings: Meanings | None = None
        self._snapshot = Snapshot.blank()
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
    ) -> list[Attention]:
        """Answer checked queries, with at most `count` candidates each."""
        decoding = self.decoding
        if head is not None:
            decoding = replace(decoding, head=check_head(head))
        if strict:
            decoding = replace(decoding, imagination=0.0)
        count = check_count(count, "n")
        top_k = None if top_k is None else check_count(top_k, "top_k")
        temperature = None if temperature is None else check_temperature(temperature)
        if decoding.head is Head.RELATION and not all(isinstance(q, str) for q in queries):
            raise InputError("the relation head moves the query's own words; ask it with text")
        among = None if where is None else self.among(where)
        exact = [
            self._exact(q, temperature, among) if isinstance(q, str) else None for q in queries
        ]
        rest = [q for q, hit in zip(queries, exact, strict=True) if hit is None]
        found: list[Attention] = []
        if rest:
            snapshot = self.snapshot()
            rows = None if among is None else snapshot.rows(among)
            size = len(snapshot) if rows is None else len(rows)
            tau = self._tau(size, decoding.head, temperature)
            step = max(1, _MASSES // max(1, snapshot.groups.width))
            for start in range(0, len(rest), step):
                part = rest[start : start + step]
                found += self._read(snapshot, part, count, top_k, tau, decoding, rows)
        answers = iter(found)
        return [hit if hit is not None else next(answers) for hit in exact]

    def _exact(self, q: str, temperature: float | None, among: Integers | None) -> Attention | None:
        row = self._tables.one(GET, q)
        if row is None or (among is not None and self._tables.one(ID, q)[0] not in among):
            return None
        value = from_stored(*row)
        return Attention(
            query=q,
            candidates=(Candidate(value, 1.0, Origin.EXACT, (q,)),),
            weights=(Weight(q, value, 1.0, 1.0),),
            rest=0.0,
            null=0.0,
            temperature=0.0 if temperature is None else temperature,
        )

    def temperature_of(self, n: int) -> float:
        """Temperature of attention over n records."""
        return self._tau(n, Head.BLEND, None)

    def _tau(self, n: int, head: Head, given: float | None) -> float:
        if given is not None:
            return given
        if self.temperature != "auto":
            return float(self.temperature)
        if self._space.metric is not Metric.COSINE:
            return 1.0
        return RELATION_TEMPERATURE if head is Head.RELATION else size_temperature(n)

    def _read(
        self,
        snapshot: Snapshot,
        queries: list[Query],
        count: int,
        top_k: int | None,
        temperature: float,
        decoding: Decoding,
        among: Integers | None,
    ) -> list[Attention]:
        if len(snapshot.records if among is None else among) == 0:
            return [Attention(q, (), (), 0.0, 1.0, temperature) for q in queries]
        texts = len(snapshot.distinct.of_kind(Kind.TEXT, snapshot.groups.width)) > 0
        meanings = self.meanings() if texts else None
        offsets = None
        if decoding.head is Head.RELATION and texts:
            if meanings is None:
                raise InputError("the relation head needs a lexicon: Database(lexicon='glove')")
            offsets = self._offsets(snapshot, meanings)
        values = values_of(snapshot, offsets)
        vectors = self._space.queries(queries)
        part = snapshot.index.partial(
            self._space.prepared(vectors),
            values,
            temperature=temperature,
            k=max(SHOWN, top_k or 0),
            among=among,
        )
        if top_k is not None:
            part = part.truncate(top_k, values)
        read = part.read(self.null).silence(np.asarray(~vectors.any(axis=1)))
        asked = Asked([q if isinstance(q, str) else None for q in queries], count)
        answered = answer(snapshot, read, asked, decoding, meanings)
        return self._answers(snapshot, queries, read, answered, temperature)

    def _answers(
        self,
        snapshot: Snapshot,
        queries: list[Query],
        read: Read,
        answered: list[Answered],
        temperature: float,
    ) -> list[Attention]:
        """Look up the keys of what was found."""
        shown = read.indices[:, :SHOWN]
        rows = np.maximum(shown, 0)
        numbers = rows if snapshot.groups.ids is None else snapshot.groups.ids[rows]
        keys = self._tables.keys(np.unique(snapshot.records[rows]).tolist())
        value = cache(snapshot.distinct.__getitem__)
        answers = []
        for q, (found, output), indices, records, ids, weights, scores, null in zip(
            queries,
            answered,
            shown.tolist(),
            snapshot.records[rows].tolist(),
            numbers.tolist(),
            read.weights.tolist(),
            read.scores.tolist(),
            read.null.tolist(),
            strict=True,
        ):
            # A record that was deleted since the snapshot has no key any more.
            seen = [
                (keys[record], id, weight, score)
                for index, record, id, weight, score in zip(
                    indices, records, ids, weights, scores, strict=False
                )
                if index >= 0 and record in keys
            ]
            named = tuple(Weight(key, value(id), weight, score) for key, id, weight, score in seen)
            rest = 1.0 - null - sum(weight for _, _, weight, _ in seen)
            speaking: dict[int, list[str]] = {-1: [key for key, _, _, _ in seen]}
            for key, id, _, _ in seen:
                speaking.setdefault(id, []).append(key)
            answers.append(
                Attention(
                    query=q,
                    candidates=tuple(
                        Candidate(
                            one.value if one.id < 0 else value(one.id),
                            one.probability,
                            one.origin,
                            tuple(speaking.get(one.id, ())),  # all, for an imagined one
                            one.spread,
                        )
                        for one in found
                    ),
                    weights=named,
                    rest=rest if rest > _ROUNDING else 0.0,
                    null=null,
                    temperature=temperature,
                    output=output,
                )
            )
        return answers

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
                # Should catching up be interrupted, the next read begins from nothing.
                self._snapshot = before.advance(self._tables, self._space.metric)
                self._space.dimension = self._space.dimension or self._space.saved_dimension()
            return self._snapshot

    def _offsets(self, snapshot: Snapshot, meanings: Meanings) -> Floats:
        with self._lock:
            keys = self._tables.keys(snapshot.records.tolist())
            return meanings.offsets(snapshot, [keys.get(id) for id in snapshot.records.tolist()])


#: A lock that another thread held at a fork would stay locked in the child for ever.
_READERS: weakref.WeakSet[Reader] = weakref.WeakSet()


def _after_fork() -> None:
    for reader in list(_READERS):
        reader._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def check_head(head: Head | str) -> Head:
    """Return the head of that name, or raise an InputError that lists them."""
    try:
        return Head(head)
    except ValueError:
        raise InputError(f"head is 'blend' or 'relation', not {head!r}") from None
