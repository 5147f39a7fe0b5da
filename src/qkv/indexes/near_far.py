"""Attention to millions of keys: near ones exactly, far ones by the moments of their clusters.

A query reads the centroids, then the keys of the clusters nearest to it, the candidates of an
engine where there is one, and whatever was added lately. All these are scored exactly. The rest is
the far field (:mod:`qkv.indexes.far_field`), which tells its own error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qkv.attention import (
    Nothing,
    Partial,
    Values,
    check_temperature,
    decay,
    dots,
    product,
    stream,
)
from qkv.indexes.clusters import Clusters, assign, cluster
from qkv.indexes.engine import Engine
from qkv.indexes.far_field import Far, FarField, expect, ratio
from qkv.indexes.far_kept import Change, Kept
from qkv.indexes.far_values import Reading
from qkv.indexes.left import ROUNDING, Left, blank_rows, estimate, nearest, take_out, wider
from qkv.indexes.near import Found, Lists, ranked, runs, within
from qkv.rows import Rows
from qkv.types import Floats, Integers

__all__ = ["NearFarIndex"]

#: Share of the keys that lie in near clusters, and how many at least.
_NEAR, _NEAR_LEAST = 0.025, 4096
#: Share of the near clusters that is read where an engine finds the best and nothing is blended.
_LIGHT = 0.25
#: Keys that an engine is asked for, however few are wanted: they cap the far field. More where
#: values are blended, but no more than one key in so many.
_HEAD, _WIDE_HEAD, _HEAD_SHARE = 100, 1000, 1000
#: Changes that wait before they enter the moments.
_WAITING = 1024
#: A filter that keeps fewer rows, or fewer than one in so many, is answered from these rows alone.
_FEW, _SPARSE = 8192, 64
#: How often the near part is widened for a tolerance before everything is read.
_WIDENINGS = 4

_NONE = np.zeros(0, dtype=np.int64)


class NearFarIndex:
    """Keys in clusters; near ones are scored, far ones enter by their moments.

    The first rows may lie in cluster order, as slices of one array which is only ever read (it may
    be a ``numpy.memmap``). Rows added later wait, exactly scored, until there are about a
    thousand; then each joins the cluster of its nearest centroid.

    Parameters
    ----------
    keys : array (n, d), float32
        Prepared keys; see :func:`qkv.attention.prepare`.
    clusters : Clusters, optional
        Of these keys; found by k-means if not given.
    engine : Engine, optional
        Proposes neighbours.
    near : float
        Share of the keys that lie in near clusters.

    Examples
    --------
    >>> import numpy as np
    >>> index = NearFarIndex(np.eye(2, dtype=np.float32))
    >>> rows, scores = index.neighbours(np.array([[0.6, 0.8]], dtype=np.float32), 1)
    >>> rows.tolist()
    [[1]]
    """

    def __init__(
        self,
        keys: Floats,
        clusters: Clusters | None = None,
        *,
        engine: Engine | None = None,
        near: float = _NEAR,
    ) -> None:
        keys = np.ascontiguousarray(keys, dtype=np.float32)
        if clusters is None:
            clusters = cluster(keys) if len(keys) else Clusters(keys, np.zeros(0, dtype=np.int32))
        starts = np.zeros(len(clusters) + 1, dtype=np.int64)
        self._begin(keys, clusters.centroids, starts, clusters.assignment, engine, near)

    @classmethod
    def ordered(
        cls,
        keys: Floats,
        starts: Integers,
        centroids: Floats | None = None,
        *,
        engine: Engine | None = None,
        near: float = _NEAR,
    ) -> NearFarIndex:
        """Keys that lie in cluster order already: cluster c is rows starts[c] … starts[c + 1].

        Parameters
        ----------
        keys : array (n, d), float32
        starts : array (C + 1,), int64
        centroids : array (C, d), float32, optional
            Rows added later join the nearest; by default the clusters' means.
        engine, near
            As in :class:`NearFarIndex`.
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
        self._state = _State(centroids, starts, inside, field, blank, 0, len(keys))
        self._late = np.zeros(0, dtype=np.int64)
        self._engine, self._near = engine, near
        self._kept = Kept()

    def _with(self, **changes: Any) -> NearFarIndex:
        index = NearFarIndex.__new__(NearFarIndex)
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

    def with_engine(self, engine: Engine | None) -> NearFarIndex:
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

    def add(self, keys: Floats) -> NearFarIndex:
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

    def _appended(self, keys: Floats) -> NearFarIndex:
        late = np.concatenate((self._late, blank_rows(keys, len(self))))
        return self._with(grown=self._grown.append(keys), late=late)._settled(_WAITING)

    def remove(self, rows: Integers) -> NearFarIndex:
        """Leave these rows out from now on."""
        late = np.union1d(self._late, self.live(np.asarray(rows, dtype=np.int64)))
        return self._with(late=late)._settled(_WAITING)

    def _settled(self, most: int) -> NearFarIndex:
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
        near: float = _NEAR,
    ) -> NearFarIndex:
        """The index that :meth:`arrays` was called on.

        Parameters
        ----------
        keys : array (n, d), float32
            All its rows, in one array, which may be mapped from a file.
        arrays : mapping of str to array
            They too may be mapped.
        engine, near
            As in :class:`NearFarIndex`.
        """
        index = cls.__new__(cls)
        changes, built = (int(number) for number in arrays["drifted"])
        labels = np.asarray(arrays["labels"])
        index._base = keys[: len(labels)]
        index._grown = Rows(np.zeros((0, keys.shape[1]), dtype=np.float32))
        index._state = _State(
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

    # ── reading ──────────────────────────────────────────────────────────────────────────────

    def partial(
        self,
        queries: Floats,
        values: Values,
        *,
        temperature: float,
        k: int = 10,
        among: Integers | None = None,
        tolerance: float | None = None,
    ) -> Partial:
        """Attend to every row that is left, or to those among some rows (ascending).

        Parameters
        ----------
        queries, values, temperature, k, among
            See :func:`qkv.attention.stream`.
        tolerance : float, optional
            Relative error of the output that is small enough: more is read until the estimate is
            no larger. None reads what is usual.

        Returns
        -------
        Partial
            ``error`` holds the estimate; None where everything was read.
        """
        temperature = check_temperature(temperature)
        if among is not None and len(among) <= max(_FEW, len(self) // _SPARSE):
            return self._exact(queries, values, temperature, k, among)
        # Without values there is nothing that near clusters make better than the engine's best.
        light = not values.width and tolerance is None and self._engine is not None
        near, whole = self._chosen(queries, _LIGHT if light else 1)
        if whole or tolerance == 0:
            return self._exact(queries, values, temperature, k, among)
        head = max(k, _HEAD)
        if values.width and self._engine is not None:
            head = max(head, min(_WIDE_HEAD, len(self) // _HEAD_SHARE))
        found = self._found(queries, near, head, among)
        part, far = self._read(queries, values, temperature, k, among, near, found, head, tolerance)
        if tolerance is None:
            return part
        for _ in range(_WIDENINGS):
            if part.error is None or (part.error <= tolerance).all():
                return part
            near = wider(near, far, part.error, tolerance)
            found = self._found(queries, near, head, among)
            part, far = self._read(
                queries, values, temperature, k, among, near, found, head, tolerance
            )
        if part.error is None or (part.error <= tolerance).all():
            return part
        return self._exact(queries, values, temperature, k, among)

    def neighbours(
        self, queries: Floats, k: int, among: Integers | None = None
    ) -> tuple[Integers, Floats]:
        """Best k rows for each query, best first, and their scores."""
        few = among is not None and len(among) <= max(_FEW, len(self) // _SPARSE)
        near, whole = [_NONE] * len(queries), self._whole
        if self._engine is None:
            near, whole = self._chosen(queries)
        if few or whole or k > self._near * len(self):
            part = self._exact(queries, Nothing(), 1.0, k, among)
            return part.indices, part.scores
        found = self._found(queries, near, k, among)
        return ranked(found, k)

    @property
    def _budget(self) -> float:
        """Keys that near clusters shall hold."""
        return max(_NEAR_LEAST, self._near * self._state.field.total)

    @property
    def _whole(self) -> bool:
        """Whether near clusters hold all keys."""
        return self._budget >= self._state.field.total

    def _chosen(self, queries: Floats, share: float = 1) -> tuple[list[Integers], bool]:
        """Near clusters of each query, ascending; and whether they are all there are."""
        field, budget = self._state.field, share * self._budget
        if self._whole:
            return [], True
        scores = dots(queries, field.means)
        scores[:, field.counts < 1] = -np.inf
        return [nearest(row, field.counts, budget) for row in scores], False

    def _exact(
        self,
        queries: Floats,
        values: Values,
        temperature: float,
        k: int,
        among: Integers | None,
    ) -> Partial:
        """Read every row, as the flat index does."""
        if among is not None and len(among) <= len(self) // 4:
            rows = self.live(among)
            part = stream(
                queries, self.vectors(rows), values.at(rows), temperature=temperature, k=k
            )
            seen = part.indices >= 0
            return replace(part, indices=np.where(seen, rows[part.indices], -1))
        left_out = np.union1d(self._state.gone, self._late)
        if among is not None:
            kept = np.zeros(len(self), dtype=bool)
            kept[among] = True
            kept[left_out] = False
            left_out = np.flatnonzero(~kept)
        base = len(self._base)
        options: dict[str, Any] = {"temperature": temperature, "k": k}
        if not len(self._grown):
            return stream(queries, self._base, values, skip=left_out, **options)
        later = np.arange(base, len(self))
        late = left_out[left_out >= base] - base
        grown = stream(
            queries, self._grown.matrix, values.at(later), skip=late, offset=base, **options
        )
        if not base:
            return grown
        left_out = left_out[left_out < base]
        short = min(k, len(self)) - grown.scores.shape[1]
        grown = replace(
            grown,
            indices=np.pad(grown.indices, ((0, 0), (0, short)), constant_values=-1),
            scores=np.pad(grown.scores, ((0, 0), (0, short)), constant_values=-np.inf),
        )
        return stream(queries, self._base, values, skip=left_out, **options).merge(grown)

    def _found(
        self, queries: Floats, near: list[Integers], head: int, among: Integers | None
    ) -> list[Found]:
        """Score what is near, what waits and what the engine proposes."""
        proposed = None
        if self._engine is not None:
            # What it proposes may have gone since, or have come since this index was made.
            missed = len(self._late) + max(0, len(self._engine) - len(self))
            proposed = self._engine.nearest(queries, head + min(missed, _WAITING), among)
        skipped = None
        if among is not None:
            skipped = np.ones(len(self), dtype=bool)
            skipped[among] = False
        with np.errstate(all="ignore"):
            return [
                self._score(q, own, None if proposed is None else proposed[i], skipped)
                for i, (q, own) in enumerate(zip(queries, near, strict=True))
            ]

    def _score(
        self, query: Floats, near: Integers, proposed: Integers | None, skipped: Any
    ) -> Found:
        state, settled = self._state, len(self._state.labels)
        lows, highs = state.starts[near], state.starts[near + 1]
        filled = highs > lows
        slices = runs(lows[filled], highs[filled])
        inside = sum(high - low for low, high in slices)
        rest = [state.grouped.of(near), np.arange(settled, len(self))]
        if proposed is not None:
            proposed = np.unique(proposed[(proposed >= 0) & (proposed < settled)])
            labels = state.labels[proposed]
            far = (labels < len(state.field.counts)) & ~within(labels, near)
            rest.append(proposed[far])
        others = np.concatenate(rest)
        scores = np.empty(inside + len(others), dtype=np.float32)
        at = 0
        for low, high in slices:
            np.dot(self._base[low:high], query, out=scores[at : at + high - low])
            at += high - low
        if len(others):
            np.dot(self.vectors(others), query, out=scores[at:])
        found = Found(slices, others, len(rest[0]), scores, settled)
        for away in (state.gone, self._late):
            found.leave_out(away)
        if skipped is not None:
            scores[skipped[found.rows]] = -np.inf
        return found

    def _read(
        self,
        queries: Floats,
        values: Values,
        temperature: float,
        k: int,
        among: Integers | None,
        near: list[Integers],
        found: list[Found],
        head: int,
        tolerance: float | None,
    ) -> tuple[Partial, Far]:
        """Put near and far together."""
        field = self._state.field
        indices, best = ranked(found, head)
        cap = best[:, -1]
        cap = np.where(np.isneginf(cap), np.inf, cap).astype(np.float64)
        left = self._left(queries, among, near, found)
        if temperature == 0:  # the best score alone counts, and that is near
            left.members[:] = 0
        middle = np.where(left.members > ROUNDING, left.means, -np.inf).max(axis=1, initial=-np.inf)
        top = best[:, 0].astype(np.float64)
        maximum = np.where(np.isneginf(top), middle, top)
        empty = np.isneginf(maximum)
        maximum = np.where(empty, 0, maximum)
        beta = min(1 / max(temperature, 1e-30), 1e12)
        noisy = values.width > 0 or tolerance is not None
        far = expect(left.members, left.means, left.variances, cap, maximum, beta, noise=noisy)
        moments = self._kept.of(values, field, self._state.labels, self.vectors)
        reading = Reading(queries, far, field, left.labels, left.local, left.share)
        output = moments.blend(reading, values)
        mass = far.mass.sum(axis=1)
        bend = (left.local * far.mass * far.shift) @ field.spreads
        for i, one in enumerate(found):
            weights = decay(one.scores - np.float32(maximum[i]), temperature)
            weights[np.isneginf(one.scores)] = 0
            mass[i] += weights.sum(dtype=np.float64)
            if not values.width:
                continue
            bent = weights + np.float32(bend[i]) * left.centred[i]
            one.blend(weights, bent, values, moments, output[i : i + 1])
            taken = left.taken[i]
            if len(taken):
                own = left.labels[taken]
                each = -far.each[i, own] * (1 if left.share is None else left.share[own])
                output[i] += values.take(each[None].astype(np.float32), taken[None])[0]
        moments.clip(output)
        error = estimate(far, left.variances, beta, moments.scatter(field), mass, output)
        part = Partial(
            temperature,
            np.where(empty, -np.inf, maximum).astype(np.float32),
            mass.astype(np.float32),
            output,
            indices[:, : min(k, len(self))],
            best[:, : min(k, len(self))],
            error,
        )
        return part, far

    def _left(
        self, queries: Floats, among: Integers | None, near: list[Integers], found: list[Found]
    ) -> Left:
        """Moments of the scores of what was not scored."""
        state, field, m = self._state, self._state.field, len(queries)
        labels, counts, share = state.labels, field.counts, None
        if among is not None:
            inside = among[among < len(labels)]
            counts = np.bincount(labels[inside], minlength=len(counts) + 1)[:-1].astype(np.float64)
            share = ratio(counts, field.counts)
            labels = np.full_like(labels, len(counts))
            labels[inside] = state.labels[inside]
        means = dots(queries, field.means).astype(np.float64)
        tied = field.variances(queries)
        members = np.tile(counts, (m, 1))
        local, variances = np.zeros_like(means), np.zeros_like(means)
        late = self._late[self._late < len(labels)]
        late = late[labels[late] < len(counts)]
        late_scores = product(queries, self.vectors(late).T)
        taken, centred = [], []
        for i, (own, one) in enumerate(zip(near, found, strict=True)):
            around, variance, spread = one.around(means[i], own, labels, field.spreads)
            weight = counts[own].sum()
            middle = means[i] @ counts / max(counts.sum(), 1)
            reach = means[i, own] @ counts[own] / max(weight, 1) - middle
            if spread > 0 and reach > 0:
                local[i] = np.clip((means[i] - middle) / reach, 0, 1)
            variances[i] = field.spreads * ((1 - local[i]) * tied[i] + local[i] * variance)
            centred.append(around)
            out, out_scores = one.proposed(labels, own)
            out = np.concatenate((late, out))
            away = np.flatnonzero(~within(labels[out], own))
            out_scores = np.concatenate((late_scores[i], out_scores))[away]
            members[i, own] = 0
            taken.append(out[away])
            if len(away):
                take_out(members[i], means[i], variances[i], labels[out[away]], out_scores)
        return Left(members, means, variances, local, labels, share, taken, centred)


@dataclass(frozen=True)
class _State:
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
