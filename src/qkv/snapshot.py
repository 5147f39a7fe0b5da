"""What attention reads: keys, values and records of a store at one moment, in memory.

Derived from the tables and never written back. A snapshot does not change; `advance` makes the
next one from what the tables say has happened since, sharing what stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from qkv.attention import Groups, prepare
from qkv.errors import CorruptFile
from qkv.indexes import FlatIndex, Index
from qkv.prototypes import Prototypes, all_sums
from qkv.tables import Changes, Tables
from qkv.types import Floats, Integers, Metric
from qkv.values import Distinct

__all__ = ["Snapshot"]

#: Removed rows that make a snapshot worth building anew, if they are a quarter of it.
_CROWDED = 1000


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
    #: Record id → row; made when first needed, kept by the newest snapshot.
    places: dict[int, int] | None = field(default=None, repr=False)
    prototypes: Prototypes = field(default_factory=Prototypes, repr=False)
    #: Records that came, went or changed since the store was first read.
    touched: int = 0

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
        order, known = self._by_id
        if not len(known):
            return known
        # A record whose vector changed has two rows; the newer one is live.
        at = np.searchsorted(known, ids, side="right") - 1
        found: Integers = at[(at >= 0) & (known[at] == ids)]
        return found if order is None else np.sort(order[found])

    @cached_property
    def _by_id(self) -> tuple[Integers | None, Integers]:
        """Rows in the order of their records, None if they are; and those records."""
        if (np.diff(self.records) > 0).all():
            return None, self.records
        order = np.argsort(self.records, kind="stable")  # nearly sorted already
        return order, self.records[order]

    def advance(self, tables: Tables, metric: Metric) -> Snapshot:
        """Catch up with the tables.

        Parameters
        ----------
        tables : Tables
        metric : Metric
            Cosine expects that the stored vectors are as long as they shall count.
        """
        crowded = self.index.removed > max(_CROWDED, len(self.index) // 4)
        since = None if self.version < 0 or crowded else self.version
        with tables.changes(since) as changes:
            if changes.anew:
                return _read(changes, metric)
            return self._changed(changes, metric)

    def _changed(self, changes: Changes, metric: Metric) -> Snapshot:
        changed = [row for batch in changes.changed for row in zip(*batch, strict=True)]
        index, records, places = self.index, self.records, self.places
        newest = int(records.max(initial=0))
        if places is None and (changes.deleted or any(id <= newest for id, _, _ in changed)):
            places = {id: row for row, id in enumerate(records.tolist())}
        gone = [places.pop(id) for id in changes.deleted if places and id in places]
        old: list[tuple[int, int]] = []  # row and number of a value that changed alone
        new: list[tuple[int, int, bytes]] = []  # record, number of the value, vector
        for record, value, vector in changed:
            row = places.get(record) if places is not None else None
            number = self.distinct.add(*value)
            if vector is not None:
                gone += [] if row is None else [row]
                new.append((record, number, vector))
            elif row is not None:
                old.append((row, number))
        groups = self.group_ids()
        counts = np.zeros(len(self.distinct), dtype=np.int64)
        counts[: len(self.counts)] = self.counts
        moved = gone + [row for row, _ in old]
        np.subtract.at(counts, groups[moved], 1)
        left = list(zip(moved, groups[moved].tolist(), strict=True))
        came = list(old)
        if old:
            groups = groups.copy()
            rows, values = zip(*old, strict=True)
            groups[list(rows)] = values
            np.add.at(counts, list(values), 1)
        if gone:
            index = index.remove(np.array(gone, dtype=np.int64))
        if new:
            added, numbers, vectors = zip(*new, strict=True)
            if places is not None:
                places.update((record, len(records) + i) for i, record in enumerate(added))
            came += zip(range(len(index), len(index) + len(new)), numbers, strict=True)
            index = index.add(_keys(vectors, metric))
            records = np.concatenate((records, added))
            groups = np.concatenate((groups, numbers))
            np.add.at(counts, list(numbers), 1)
        grouped = _grouped(groups, self.distinct)
        prototypes = self.prototypes.moved(index, left, came)
        return Snapshot(
            changes.version,
            index,
            records,
            grouped,
            self.distinct,
            counts,
            places,
            prototypes,
            self.touched + len(changed) + len(changes.deleted),
        )

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


def _keys(vectors: Sequence[bytes | None], metric: Metric) -> Floats:
    sizes = {len(vector) if isinstance(vector, bytes) else 0 for vector in vectors}
    if len(sizes) != 1 or max(sizes) == 0 or max(sizes) % 4:
        raise CorruptFile("vectors of different lengths are in the file; restore it from a copy")
    matrix = np.frombuffer(b"".join(vectors), dtype="<f4")  # type: ignore[arg-type]
    # Under cosine the length of a stored vector says how much of the text was understood.
    scored_as = Metric.DOT if metric is Metric.COSINE else metric
    return prepare(matrix.reshape(len(vectors), -1), scored_as, side="key")


def _read(changes: Changes, metric: Metric) -> Snapshot:
    """Read everything, in batches, so that only one copy of the vectors is ever in memory."""
    distinct = Distinct()
    records = np.zeros(changes.total, dtype=np.int64)
    groups = np.zeros(changes.total, dtype=np.int64)
    keys = np.zeros((0, 0), dtype=np.float32)
    row = 0
    for batch in changes.changed:
        block = _keys(batch.vectors, metric)
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
