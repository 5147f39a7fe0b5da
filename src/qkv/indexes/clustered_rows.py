"""Keys in clusters that come and go: what attention by near and far reads from.

The first rows may lie in cluster order, as slices of one array which is only ever read. Rows added
later wait until there are about a thousand; then each joins the cluster of its nearest centroid,
and the moments of the clusters follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from qkv.attention import product
from qkv.indexes.clusters import assign
from qkv.indexes.engine import Engine
from qkv.indexes.far_field import FarField
from qkv.indexes.far_kept import Change, Kept
from qkv.indexes.left import blank_rows
from qkv.indexes.near import Lists, within
from qkv.rows import Rows
from qkv.types import Floats, Integers

__all__ = ["NEAR", "WAITING", "ClusteredRows"]

#: Share of the keys that lie in near clusters.
NEAR = 0.025
#: Changes that wait before they enter the moments.
WAITING = 1024


class ClusteredRows:
    """Rows of keys, their clusters and moments, and an engine that knows them.

    It never changes: adding and removing give another.
    """

    _base: Floats
    _grown: Rows
    _state: State
    _late: Integers
    _engine: Engine | None
    _near: float
    _kept: Kept

    @classmethod
    def ordered(
        cls,
        keys: Floats,
        starts: Integers,
        centroids: Floats | None = None,
        *,
        engine: Engine | None = None,
        near: float = NEAR,
    ) -> Self:
        """Keys that lie in cluster order already: cluster c is rows starts[c] … starts[c + 1].

        Parameters
        ----------
        keys : array (n, d), float32
        starts : array (C + 1,), int64
        centroids : array (C, d), float32, optional
            Rows added later join the nearest; by default the clusters' means.
        engine, near
            As in :class:`qkv.indexes.near_far.NearFarIndex`.
        """
        index = cls.__new__(cls)
        starts = np.asarray(starts, dtype=np.int64)
        labels = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
        index._begin(keys, centroids, starts, labels, engine, near)
        return index

    def _begin(
        self,
        keys: Floats,
        centroids: Floats | None,
        starts: Integers,
        labels: NDArray[np.int32],
        engine: Engine | None,
        near: float,
    ) -> None:
        self._base = keys
        self._grown = Rows(np.zeros((0, keys.shape[1]), dtype=np.float32))
        blank = blank_rows(keys, 0)
        inside: NDArray[Any] = labels.astype(np.int32)
        inside[blank] = len(starts) - 1
        field = FarField.of(keys, inside, len(starts) - 1)
        centroids = field.means if centroids is None else centroids
        self._state = State(centroids, starts, inside, field, blank, 0, len(keys))
        self._late = np.zeros(0, dtype=np.int64)
        self._engine, self._near = engine, near
        self._kept = Kept()

    def _with(self, **changes: Any) -> Self:
        index = type(self).__new__(type(self))
        index.__dict__.update(self.__dict__)
        index.__dict__.update({f"_{name}": value for name, value in changes.items()})
        return index

    # ── rows ─────────────────────────────────────────────────────────────────────────────────

    def __len__(self) -> int:
        return len(self._base) + len(self._grown)

    @property
    def removed(self) -> int:
        """Rows that are never found: removed, or keys of zeros."""
        return len(self._state.gone) + len(self._late)

    @property
    def dimension(self) -> int:
        """Length of the keys; 0 while there are none."""
        return int(self._base.shape[1] or self._grown.matrix.shape[1])

    @property
    def drift(self) -> float:
        """Rows added and removed since the clusters were found, as a share of the rows then."""
        state = self._state
        changed = state.changes + len(self) - len(state.labels) + len(self._late)
        return changed / max(1, state.built)

    @property
    def engine(self) -> Engine | None:
        """What proposes neighbours."""
        return self._engine

    def with_engine(self, engine: Engine | None) -> Self:
        """The same keys with another engine, or none."""
        return self._with(engine=engine)

    def live(self, rows: Integers) -> Integers:
        """Those of some rows that can be found."""
        away: NDArray[np.bool_] = within(rows, self._state.gone) | within(rows, self._late)
        return rows[~away]

    def vectors(self, rows: Integers) -> Floats:
        """Keys of some rows: array (len(rows), d)."""
        base = len(self._base)
        if not len(self._grown) or (len(rows) and rows.max() < base):
            keys: Floats = np.asarray(self._base[rows])
            return keys
        grown = rows >= base
        keys = np.empty((len(rows), self.dimension), dtype=np.float32)
        keys[~grown] = self._base[rows[~grown]]
        keys[grown] = self._grown.matrix[rows[grown] - base]
        return keys

    def scores(self, query: Floats, rows: Integers) -> Floats:
        """Scores of some rows for one query (d,)."""
        return product(self.vectors(rows), query)

    def add(self, keys: Floats) -> Self:
        """Append keys (n, d)."""
        keys = np.asarray(keys, dtype=np.float32)
        if not len(keys):
            return self
        if not len(self):  # the first keys say how long keys are
            return self._with(
                base=np.zeros((0, keys.shape[1]), dtype=np.float32),
                grown=Rows(np.zeros((0, keys.shape[1]), dtype=np.float32)),
                state=replace(self._state, centroids=np.zeros((0, keys.shape[1]), np.float32)),
            )._appended(keys)
        return self._appended(keys)

    def _appended(self, keys: Floats) -> Self:
        late = np.concatenate((self._late, blank_rows(keys, len(self))))
        return self._with(grown=self._grown.append(keys), late=late)._settled(WAITING)

    def remove(self, rows: Integers) -> Self:
        """Leave these rows out from now on."""
        late = np.union1d(self._late, self.live(np.asarray(rows, dtype=np.int64)))
        return self._with(late=late)._settled(WAITING)

    def _settled(self, most: int) -> Self:
        """Let changes into the moments if more than so many wait."""
        state, n = self._state, len(self)
        waiting = n - len(state.labels)
        # Joining costs a sort of the rows that came since the clusters were found.
        most = max(most, (n - state.built) // 16) if most else 0
        if not len(state.centroids) or (waiting <= most and len(self._late) <= most):
            return self
        came = self.live(np.arange(len(state.labels), n))
        went = self._late[self._late < len(state.labels)]
        joined = np.full(waiting, len(state.centroids), dtype=np.int32)
        keys = self.vectors(came)
        own: NDArray[Any] = assign(keys, state.centroids)
        joined[came - len(state.labels)] = own
        left = state.labels[went]
        labels = np.concatenate((state.labels, joined))
        labels[went] = len(state.centroids)
        field = state.field.changed(keys, own).changed(self.vectors(went), left, -1)
        after = replace(
            state,
            labels=labels,
            field=field,
            gone=np.union1d(state.gone, self._late),
            changes=state.changes + waiting + len(went),
        )
        if self._engine is not None:  # shared by all that came of the same keys, and ahead of some
            known = len(self._engine)
            if known < n:
                self._engine.add(self.vectors(np.arange(known, n)))
            self._engine.remove(self._late)
        self._kept.follow(Change(state.field, field, came, own, went, left))
        return self._with(state=after, late=np.zeros(0, dtype=np.int64))

    # ── files ────────────────────────────────────────────────────────────────────────────────

    def arrays(self) -> dict[str, Floats | Integers]:
        """Everything but the keys, as arrays; what waits is let in first."""
        state = self._settled(0)._state
        return {
            "centroids": state.centroids,
            "starts": state.starts,
            "labels": state.labels,
            "gone": state.gone,
            "drifted": np.array([state.changes, state.built], dtype=np.int64),
            **state.field.arrays(),
        }

    @classmethod
    def from_arrays(
        cls,
        keys: Floats,
        arrays: Mapping[str, Any],
        *,
        engine: Engine | None = None,
        near: float = NEAR,
    ) -> Self:
        """The index that :meth:`arrays` was called on.

        Parameters
        ----------
        keys : array (n, d), float32
            All its rows, in one array, which may be mapped from a file.
        arrays : mapping of str to array
            They too may be mapped.
        engine, near
            As in :class:`qkv.indexes.near_far.NearFarIndex`.
        """
        index = cls.__new__(cls)
        changes, built = (int(number) for number in arrays["drifted"])
        labels = np.asarray(arrays["labels"])
        index._base = keys[: len(labels)]
        index._grown = Rows(np.zeros((0, keys.shape[1]), dtype=np.float32))
        index._state = State(
            np.asarray(arrays["centroids"]),
            np.asarray(arrays["starts"]),
            labels,
            FarField.from_arrays(arrays),
            np.asarray(arrays["gone"]),
            changes,
            built,
        )
        index._late = np.zeros(0, dtype=np.int64)
        index._engine, index._near = engine, near
        index._kept = Kept()
        return index if len(keys) == len(labels) else index.add(keys[len(labels) :])


@dataclass(frozen=True)
class State:
    """What rows 0 … len(labels) − 1 are known by.

    `starts` are slices of the base in cluster order; rows after ``starts[-1]`` are found by their
    labels. A label of C means: in no cluster.
    """

    centroids: Floats
    starts: Integers
    labels: NDArray[Any]
    field: FarField
    gone: Integers
    changes: int
    built: int

    @cached_property
    def grouped(self) -> Lists:
        """Rows that do not lie in cluster order, by cluster."""
        first = int(self.starts[-1])
        labels = self.labels[first:]
        order = np.argsort(labels, kind="stable")
        counts = np.bincount(labels, minlength=len(self.starts))
        return Lists(order + first, np.concatenate(([0], np.cumsum(counts))))
