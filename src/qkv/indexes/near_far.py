"""Attention to millions of keys: near ones exactly, far ones by the moments of their clusters.

A query reads the centroids, then the keys of the clusters nearest to it, the candidates of an
engine where there is one, and whatever was added lately. All these are scored exactly. The rest is
the far field (:mod:`qkv.indexes.far_field`), which tells its own error.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

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
from qkv.indexes.clustered_rows import NEAR, WAITING, ClusteredRows
from qkv.indexes.clusters import Clusters, cluster
from qkv.indexes.engine import Engine
from qkv.indexes.far_field import Far, expect, ratio
from qkv.indexes.far_values import Reading
from qkv.indexes.left import ROUNDING, Left, estimate, nearest, take_out, wider
from qkv.indexes.near import Found, ranked, runs, within
from qkv.types import Floats, Integers

__all__ = ["NearFarIndex"]

#: Keys that lie in near clusters, at least.
_NEAR_LEAST = 4096
#: Share of the near clusters that is read where an engine finds the best and nothing is blended.
_LIGHT = 0.25
#: Keys that an engine is asked for, however few are wanted: they cap the far field. More where
#: values are blended, but no more than one key in so many. A thousand would bring the median error
#: at a million keys and β = 20 from 2.5 % to 2.1 %, in half as much time again.
_HEAD, _WIDE_HEAD, _HEAD_SHARE = 100, 300, 1000
#: A filter that keeps fewer rows, or fewer than one in so many, is answered from these rows alone.
_FEW, _SPARSE = 8192, 64
#: How often the near part is widened for a tolerance before everything is read.
_WIDENINGS = 4


class NearFarIndex(ClusteredRows):
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
        near: float = NEAR,
    ) -> None:
        keys = np.ascontiguousarray(keys, dtype=np.float32)
        if clusters is None:
            clusters = cluster(keys) if len(keys) else Clusters(keys, np.zeros(0, dtype=np.int32))
        starts = np.zeros(len(clusters) + 1, dtype=np.int64)
        self._begin(keys, clusters.centroids, starts, clusters.assignment, engine, near)

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
        if few or self._whole or k > self._near * len(self):
            part = self._exact(queries, Nothing(), 1.0, k, among)
            return part.indices, part.scores
        if self._engine is not None:
            return self._rescored(queries, k, among)
        near, _ = self._chosen(queries)
        return ranked(self._found(queries, near, k, among), k)

    def _rescored(self, queries: Floats, k: int, among: Integers | None) -> tuple[Integers, Floats]:
        """Best k of what the engine proposes and of what waits."""
        state, settled = self._state, len(self._state.labels)
        waiting = np.arange(settled, len(self))
        if among is not None:
            waiting = waiting[within(waiting, among)]
        indices = np.full((len(queries), k), -1, dtype=np.int64)
        best = np.full((len(queries), k), -np.inf, dtype=np.float32)
        for i, proposed in enumerate(self._proposed(queries, k, among)):
            known = proposed[(proposed >= 0) & (proposed < settled)]
            known = known[state.labels[known] < len(state.field.counts)]
            rows = self.live(np.concatenate((known, waiting)))
            scores = product(self.vectors(rows), queries[i])
            order = np.lexsort((rows, -scores))[:k]
            indices[i, : len(order)], best[i, : len(order)] = rows[order], scores[order]
        return indices, best

    def _proposed(self, queries: Floats, k: int, among: Integers | None) -> Integers:
        """Rows that the engine takes for the best."""
        assert self._engine is not None  # noqa: S101
        # What it proposes may have gone since, or have come since this index was made.
        missed = len(self._late) + max(0, len(self._engine) - len(self))
        return self._engine.nearest(queries, k + min(missed, WAITING), among)

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
        proposed = None if self._engine is None else self._proposed(queries, head, among)
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
