"""What attention reads: keys, values and records of a store at one moment, in memory.

Derived from the tables and never written back. A snapshot does not change; `advance` makes the
next one from what the tables say has happened since, sharing what stays the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qkv.attention import Groups, prepare
from qkv.indexes import FlatIndex, Index
from qkv.tables import Change, Changes, Tables
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
        changed = [change for batch in changes.changed for change in batch]
        index, records, places = self.index, self.records, self.places
        newest = int(records.max(initial=0))
        if places is None and (changes.deleted or any(c.id <= newest for c in changed)):
            places = {id: row for row, id in enumerate(records.tolist())}
        gone = [places.pop(id) for id in changes.deleted if places and id in places]
        ids = [self.distinct.add(change.kind, change.stored) for change in changed]
        old, new = [], []  # positions in `changed`: value only, or a vector to append
        for position, change in enumerate(changed):
            row = places.get(change.id) if places is not None else None
            if row is not None and change.vector is None:
                old.append((row, ids[position]))
            elif change.vector is not None:
                if row is not None:
                    gone.append(row)
                new.append(position)
        groups = self.group_ids()
        counts = np.zeros(len(self.distinct), dtype=np.int64)
        counts[: len(self.counts)] = self.counts
        np.subtract.at(counts, groups[gone + [row for row, _ in old]], 1)
        if old:
            groups = groups.copy()
            rows, values = zip(*old, strict=True)
            groups[list(rows)] = values
            np.add.at(counts, list(values), 1)
        if gone:
            index = index.remove(np.array(gone, dtype=np.int64))
        if new:
            if places is not None:
                places.update((changed[p].id, len(records) + i) for i, p in enumerate(new))
            index = index.add(_keys([changed[p] for p in new], metric))
            records = np.concatenate((records, [changed[p].id for p in new]))
            groups = np.concatenate((groups, [ids[p] for p in new]))
            np.add.at(counts, [ids[p] for p in new], 1)
        grouped = _grouped(groups, self.distinct)
        return Snapshot(changes.version, index, records, grouped, self.distinct, counts, places)

    def group_ids(self) -> Integers:
        """Number of the distinct value of each row: array (n,), int64."""
        ids = self.groups.ids
        return np.arange(len(self.records)) if ids is None else ids


def _grouped(ids: Integers, distinct: Distinct) -> Groups:
    """Groups of equal values; told apart is the store in which every record has its own."""
    own = len(ids) == len(distinct) and bool((ids == np.arange(len(ids))).all())
    return Groups(None if own else ids, len(distinct))


def _keys(changes: list[Change], metric: Metric) -> Floats:
    blob = b"".join([change.vector or b"" for change in changes])
    vectors = np.frombuffer(blob, dtype="<f4").reshape(len(changes), -1)
    # Under cosine the length of a stored vector says how much of the text was understood.
    return prepare(vectors, Metric.DOT if metric is Metric.COSINE else metric, side="key")


def _read(changes: Changes, metric: Metric) -> Snapshot:
    """Read everything, in batches, so that only one copy of the vectors is ever in memory."""
    distinct = Distinct()
    records = np.zeros(changes.total, dtype=np.int64)
    groups = np.zeros(changes.total, dtype=np.int64)
    keys: Floats | None = None
    row = 0
    for batch in changes.changed:
        vectors = _keys(batch, metric)
        if keys is None:
            keys = np.empty((changes.total, vectors.shape[1]), dtype=np.float32)
        stop = row + len(batch)
        keys[row:stop] = vectors
        records[row:stop] = [change.id for change in batch]
        groups[row:stop] = [distinct.add(change.kind, change.stored) for change in batch]
        row = stop
    if keys is None:
        keys = np.zeros((0, 0), dtype=np.float32)
    return Snapshot(
        changes.version,
        FlatIndex(keys[:row]),
        records[:row],
        _grouped(groups[:row], distinct),
        distinct,
        np.bincount(groups[:row], minlength=len(distinct)),
    )
