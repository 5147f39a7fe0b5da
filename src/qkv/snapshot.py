"""What attention reads: keys, values and records of a store at one moment, in memory.

Derived from the tables and never written back. A snapshot does not change; `advance` makes the
next one from what the tables say has happened since, sharing what stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from qkv.attention import Groups, prepare
from qkv.distinct import Distinct
from qkv.errors import CorruptFile
from qkv.indexes import FlatIndex, Index
from qkv.projection import IDENTITY, Projection
from qkv.prototypes import Prototypes, all_sums
from qkv.rows import Rows
from qkv.tables import Changes, Tables, unpacked
from qkv.types import Floats, Integers, Metric

__all__ = ["Places", "Snapshot", "Sorted"]

_NONE = np.zeros(0, dtype=np.int64)

#: Removed rows that make a snapshot worth building anew, if they are a quarter of it.
_CROWDED = 1000


class Sorted(NamedTuple):
    """Records in the order of their ids, each with its row.

    Attributes
    ----------
    ids : array (n,), int64
        Ascending.
    rows : array (n,), int64
    """

    ids: Integers
    rows: Integers

    @classmethod
    def of(cls, records: Integers, start: int = 0) -> Sorted:
        """Sort the records of the rows from `start` on; of equal ones, the last comes last."""
        rows = np.arange(start, start + len(records))
        if (np.diff(records) > 0).all():
            return cls(records, rows)
        order = np.argsort(records, kind="stable")  # nearly sorted already
        return cls(records[order], rows[order])

    def __len__(self) -> int:  # of records; a tuple would count its fields
        return len(self.ids)

    def find(self, ids: Integers) -> Integers:
        """Rows of records, −1 for those that are not there."""
        if not len(self):
            return np.full(len(ids), -1, dtype=np.int64)
        at = np.maximum(np.searchsorted(self.ids, ids, side="right") - 1, 0)
        return np.where(self.ids[at] == ids, self.rows[at], -1)


class Places:
    """Record → row, as changes move them; −1 for none."""

    def __init__(self, *known: Sorted) -> None:
        self._known = known
        self._moved: dict[int, int] = {}

    def look_up(self, records: list[int]) -> None:
        """Find many at once: one by one, each costs a search of its own."""
        ids = np.array([id for id in records if id not in self._moved], dtype=np.int64)
        if len(ids):
            rows = np.max([part.find(ids) for part in self._known], axis=0)
            self._moved.update(zip(ids.tolist(), rows.tolist(), strict=True))

    def at(self, record: int) -> int:
        """Row of a record that was looked up."""
        return self._moved[record]

    def put(self, record: int, row: int) -> None:
        """Say where a record is now."""
        self._moved[record] = row

    def drop(self, record: int) -> int:
        """Forget a record, and return the row that it had."""
        row = self.at(record)
        self._moved[record] = -1
        return row


@dataclass(frozen=True)
class Snapshot:
    """A store as it was at a version of its clock.

    Attributes
    ----------
    version : int
        The clock; −1 before anything was read.
    index : Index
        The keys; row i is the record ``records[i]``.
    records : array (n,), int64
        Record ids.
    groups : Groups
        Which distinct value each row has.
    distinct : Distinct
        The distinct values.
    counts : array (u,), int64
        Records that hold each distinct value; 0 for one that was deleted or overwritten.
    """

    version: int
    index: Index
    records: Integers
    groups: Groups
    distinct: Distinct
    counts: Integers
    #: Where the records of the first rows are; the others are found by sorting.
    begun: Sorted = field(default_factory=lambda: Sorted(_NONE, _NONE), repr=False)
    #: Made when first needed, kept by the newest snapshot.
    places: Places | None = field(default=None, repr=False)
    prototypes: Prototypes = field(default_factory=Prototypes, repr=False)
    #: Records that came, went or changed since the store was first read.
    touched: int = 0
    #: `records` and the ids of `groups`, with space to grow.
    room: tuple[Rows, Rows | None] | None = field(default=None, repr=False)
    #: Number of the projection whose W_K the keys went through; 0 for none.
    projected: int = 0
    #: Whether what the values say stands beside the keys.
    valued: bool = False

    @property
    def all_distinct(self) -> bool:
        """Whether row i has the i-th distinct value: no two records share one."""
        return self.groups.ids is None

    @classmethod
    def blank(cls) -> Snapshot:
        """Begin: a snapshot of nothing, from which any store can be caught up with."""
        none = np.zeros(0, dtype=np.int64)
        index = FlatIndex(np.zeros((0, 0), dtype=np.float32))
        return cls(-1, index, none, Groups(none, 0), Distinct(), none)

    def __len__(self) -> int:
        """Records that attention can reach."""
        return len(self.index) - self.index.removed

    def rows(self, ids: Integers) -> Integers:
        """Rows of the records of these ids, ascending; those that are not there are left out."""
        # A record whose vector changed has two rows; the newer one is live.
        later = self._later.find(ids)
        rows = np.where(later >= 0, later, self.begun.find(ids))
        rows = rows[rows >= 0]
        return rows if (np.diff(rows) > 0).all() else np.sort(rows)

    @cached_property
    def _later(self) -> Sorted:
        return Sorted.of(self.records[len(self.begun) :], len(self.begun))

    def advance(
        self,
        tables: Tables,
        metric: Metric,
        projection: Projection = IDENTITY,
        centre: Floats | None = None,
    ) -> Snapshot:
        """Catch up with the tables.

        Parameters
        ----------
        tables : Tables
        metric : Metric
            Cosine expects that the stored vectors are as long as they shall count.
        projection : Projection
            The one that the snapshot was read with so far.
        centre : array (d,), optional
            Taken out of the vectors of values, which then stand beside the keys: see
            :mod:`qkv.fields`. None leaves them out.
        """
        crowded = self.index.removed > max(_CROWDED, len(self.index) // 4)
        since = None if self.version < 0 or crowded else self.version
        with tables.changes(since) as changes:
            reading = Reading(metric, projection, centre, changes.precision)
            if changes.anew:
                return _read(changes, reading)
            return self._changed(changes, reading)

    def _changed(self, changes: Changes, reading: Reading) -> Snapshot:
        changed = [row for batch in changes.changed for row in zip(*batch, strict=True)]
        places = self.places or Places(self.begun, self._later)
        places.look_up([*changes.deleted, *(record for record, *_ in changed)])
        gone = [row for id in changes.deleted if (row := places.drop(id)) >= 0]
        old: list[tuple[int, int]] = []  # row and number of a value that changed alone
        new: list[tuple[int, int, bytes, bytes | None]] = []  # record, number, its vectors
        for record, value, vector, of_value in changed:
            row = places.at(record)
            number = self.distinct.add(*value)
            if vector is not None:
                gone += [] if row < 0 else [row]
                places.put(record, len(self.records) + len(new))
                new.append((record, number, vector, of_value))
            elif row >= 0:
                old.append((row, number))
        left = self._values_of(gone + [row for row, _ in old])
        came = list(old)
        index, numbers = self.index, [number for _, number, *_ in new]
        if gone:
            index = index.remove(np.array(gone, dtype=np.int64))
        if new:
            came += zip(range(len(index), len(index) + len(new)), numbers, strict=True)
            index = index.add(reading.keys([v for *_, v, _ in new], [v for *_, v in new]))
        room, groups = self._grown([record for record, *_ in new], numbers, old)
        return Snapshot(
            changes.version,
            index,
            room[0].matrix,
            groups,
            self.distinct,
            self._counted(left, came),
            self.begun,
            places,
            self.prototypes.moved(index, left, came),
            self.touched + len(changed) + len(changes.deleted),
            room,
            self.projected,
            self.valued,
        )

    def _values_of(self, rows: list[int]) -> list[tuple[int, int]]:
        """Pairs of row and number of its distinct value."""
        ids = self.groups.ids
        return list(zip(rows, rows if ids is None else ids[rows].tolist(), strict=True))

    def _counted(self, left: list[tuple[int, int]], came: list[tuple[int, int]]) -> Integers:
        counts = np.zeros(len(self.distinct), dtype=np.int64)
        counts[: len(self.counts)] = self.counts
        for pairs, sign in ((left, -1), (came, 1)):
            np.add.at(counts, [number for _, number in pairs], sign)
        return counts

    def _grown(
        self, records: list[int], numbers: list[int], moved: list[tuple[int, int]]
    ) -> tuple[tuple[Rows, Rows | None], Groups]:
        """Records, and their groups, with new rows at the end and other values for some."""
        known, groups = self.room or (Rows(self.records, np.int64), None)
        start, width = len(known), len(self.distinct)
        grown = known.append(np.array(records, dtype=np.int64)) if records else known
        own = self.all_distinct and not moved
        if own and numbers == list(range(start, start + len(records))) and width == len(grown):
            return (grown, None), Groups(None, width)
        if groups is None:
            groups = Rows(self.group_ids(), np.int64)
        if moved:
            changed = groups.matrix.copy()
            rows, values = zip(*moved, strict=True)
            changed[list(rows)] = values
            groups = Rows(changed, np.int64)
        if numbers:
            groups = groups.append(np.array(numbers, dtype=np.int64))
        return (grown, groups), _grouped(groups.matrix, self.distinct)

    def without(self, rows: Integers) -> Snapshot:
        """The same without some rows, as if they had been deleted."""
        values = self.group_ids()[rows]
        counts = self.counts.copy()
        np.subtract.at(counts, values, 1)
        index = self.index.remove(rows)
        left = list(zip(rows.tolist(), values.tolist(), strict=True))
        prototypes = self.prototypes.moved(index, left, ())
        return replace(self, index=index, counts=counts, prototypes=prototypes)

    def sums(self, values: Integers) -> Floats:
        """Sum of the keys of all records that hold each distinct value: array (v, d)."""
        return self.prototypes.sums(values, self.index, self.group_ids())

    def held(self, among: Integers | None) -> tuple[Integers, Callable[[Integers], Floats]]:
        """How many records hold each distinct value, and :meth:`sums`: of some rows alone."""
        if among is None:
            return self.counts, self.sums
        rows = self.index.live(among)
        groups = self.group_ids()[rows]

        def sums(values: Integers) -> Floats:
            place = np.full(len(self.counts), -1, dtype=np.int64)
            place[values] = np.arange(len(values))
            held = place[groups] >= 0
            return all_sums(self.index, rows[held], place[groups[held]], len(values))

        return np.bincount(groups, minlength=len(self.counts)), sums

    def group_ids(self) -> Integers:
        """Number of the distinct value of each row: array (n,), int64."""
        ids = self.groups.ids
        return np.arange(len(self.records)) if ids is None else ids


def _grouped(ids: Integers, distinct: Distinct) -> Groups:
    """Groups of equal values; told apart is the store in which every record has its own."""
    own = len(ids) == len(distinct) and bool((ids == np.arange(len(ids))).all())
    return Groups(None if own else ids, len(distinct))


class Reading(NamedTuple):
    """How stored vectors become keys; see :meth:`Snapshot.advance`."""

    metric: Metric
    projection: Projection
    centre: Floats | None
    precision: str

    def keys(self, vectors: Sequence[bytes | None], of_values: Sequence[bytes | None]) -> Floats:
        """Keys (n, d), or with what the values say beside them (n, 2 d)."""
        keys = self._prepared(vectors)
        if self.centre is None:
            return keys
        beside = np.zeros_like(keys)
        valued = [row for row, vector in enumerate(of_values) if vector is not None]
        if valued:
            said = self._prepared([of_values[row] for row in valued])
            beside[valued] = said - self.centre
        return np.hstack((keys, beside))

    def _prepared(self, vectors: Sequence[bytes | None]) -> Floats:
        keys = self.projection.keys(unpacked(vectors, self.precision))
        # Under cosine the length of a stored vector says how much of the text was understood.
        scored_as = Metric.DOT if self.metric is Metric.COSINE else self.metric
        return prepare(keys, scored_as, side="key")


def _read(changes: Changes, reading: Reading) -> Snapshot:
    """Read everything, in batches, so that only one copy of the vectors is ever in memory."""
    distinct = Distinct()
    records = np.zeros(changes.total, dtype=np.int64)
    groups = np.zeros(changes.total, dtype=np.int64)
    keys = np.zeros((0, 0), dtype=np.float32)
    row = 0
    for batch in changes.changed:
        block = reading.keys(batch.vectors, batch.of_values)
        if row == 0:
            keys = np.empty((changes.total, block.shape[1]), dtype=np.float32)
        stop = row + len(block)
        if stop > changes.total or block.shape[1] != keys.shape[1]:
            break
        keys[row:stop] = block
        records[row:stop] = batch.ids
        groups[row:stop] = [distinct.add(kind, stored) for kind, stored in batch.values]
        row = stop
    if row != changes.total:
        raise CorruptFile("the file's count of records is not theirs; restore it from a copy")
    return Snapshot(
        changes.version,
        FlatIndex(keys),
        records,
        _grouped(groups, distinct),
        distinct,
        np.bincount(groups, minlength=len(distinct)),
    )
