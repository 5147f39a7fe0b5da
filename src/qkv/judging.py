"""Judging: what a store's calibration says of the records that attention found.

For values that are recalled, how likely each is right; for numbers and vectors, which are blended,
how far off the blend may be; and what the query's own words have against a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from qkv.attention import Read
from qkv.calibration import NEAR, Calibration, Evidence, Verdict, gather
from qkv.calibration.believing import Imagining
from qkv.calibration.heads import Scales, weigh
from qkv.calibration.intervals import Estimates, Intervals
from qkv.calibration.intervals import fit_intervals as fit
from qkv.calibration.neighbourhood import leave_one_out, sample
from qkv.guard import against
from qkv.snapshot import Snapshot
from qkv.tables import Tables
from qkv.types import Floats, Integers, Mask
from qkv.values import Kind

__all__ = ["LEVEL", "Blended", "Judged", "fit_intervals", "found", "judge"]

#: Share of cases in which the truth lies within an interval.
LEVEL = 0.9
#: Values that are likelier than this are held against the query's own words.
_LIKELY = 0.02
#: Queries whose neighbours' values are looked at together.
_FEW = 32


@dataclass(frozen=True)
class Blended:
    """Estimates for m queries from the values of one kind near each.

    Attributes
    ----------
    values : array (m,), or (m, d) for vectors
    low, high : array (m,)
        Between which the true number lies in a share ``LEVEL`` of cases; for vectors 0 and how
        far from the estimate the true one lies.
    """

    values: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Judged:
    """What calibration says of what m queries found.

    Attributes
    ----------
    evidence : Evidence
    verdict : Verdict
    warnings : mapping
        By query and number of a distinct value: what speaks against it, in words.
    blended : mapping of Kind to Blended
    imagining : Imagining or None
        How the store imagines words.
    """

    evidence: Evidence
    verdict: Verdict
    warnings: Mapping[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)
    blended: Mapping[Kind, Blended] = field(default_factory=dict)
    imagining: Imagining | None = None


def judge(
    snapshot: Snapshot,
    tables: Tables,
    texts: Sequence[str | None],
    queries: Floats,
    read: Read,
    calibration: Calibration,
    background: Floats,
    among: Integers | None = None,
) -> Judged:
    """Judge what attention found.

    Parameters
    ----------
    snapshot : Snapshot
    tables : Tables
        Of the same store.
    texts : sequence of str or None
        What was asked; None for a vector.
    queries : array (m, d)
        Prepared.
    read : Read
        Attention, with the ``NEAR`` heaviest records.
    calibration : Calibration
    background : array (d,)
    among : array (r,), int64, optional
        Rows that alone were attended to: the others are no evidence.
    """
    near = read.indices, read.scores
    evidence, verdict, warnings = found(
        snapshot, tables, texts, queries, near, calibration, background, among, read.by
    )
    groups = _groups(snapshot, read.indices)
    blended = {
        kind: _blended(snapshot, kind, known, groups, read)
        for kind, known in calibration.intervals.items()
    }
    return Judged(evidence, verdict, warnings, blended, calibration.imagining)


def found(
    snapshot: Snapshot,
    tables: Tables,
    texts: Sequence[str | None],
    queries: Floats,
    near: tuple[Integers, Floats],
    calibration: Calibration,
    background: Floats,
    among: Integers | None = None,
    by: Floats | None = None,
) -> tuple[Evidence, Verdict, dict[tuple[int, int], tuple[str, ...]]]:
    """What m queries found, what follows, and what their own words have against it.

    As of :func:`judge`; `near` are the nearest rows and their scores, best first, and `by` what
    words added to these.
    """
    counts, sums = snapshot.held(among)
    groups = _groups(snapshot, near[0])
    evidence = gather(
        queries, *near, groups, counts, sums, background, scales=calibration.scales, by=by
    )
    verdict = calibration.judge(evidence)
    warnings: dict[tuple[int, int], tuple[str, ...]] = {}
    contradiction = np.zeros(evidence.values.shape)
    looked = ~_held_against(snapshot, texts, evidence)
    # Where something speaks against one value another is likelier, and is looked at then.
    while (likely := (verdict.probabilities > _LIKELY) & ~looked).any():
        looked |= likely
        more = _contradictions(snapshot, tables, texts, evidence, likely)
        if not more:
            break
        for (row, column), (penalty, said) in more.items():
            contradiction[row, column] = penalty
            warnings[row, int(evidence.values[row, column])] = said
        evidence = replace(evidence, contradiction=contradiction.copy())
        verdict = calibration.judge(evidence)
    return evidence, verdict, warnings


def _groups(snapshot: Snapshot, indices: Integers) -> Integers:
    rows = np.maximum(indices, 0)
    return rows if snapshot.groups.ids is None else snapshot.groups.ids[rows]


def _held_against(snapshot: Snapshot, texts: Sequence[str | None], evidence: Evidence) -> Mask:
    """Which values a query's words are held against: those that a single record holds.

    A value that several records hold does not hang on the words of one of them, and a number is
    estimated from others.
    """
    asked = np.array([text is not None for text in texts])
    numbers = np.isin(evidence.values, _of_kind(snapshot, Kind.NUMBER))
    held: Mask = (evidence.counts == 1) & asked[:, None] & ~numbers
    return held


def _contradictions(
    snapshot: Snapshot,
    tables: Tables,
    texts: Sequence[str | None],
    evidence: Evidence,
    likely: Mask,
) -> dict[tuple[int, int], tuple[float, tuple[str, ...]]]:
    """What speaks against some values (m, c): by row and column, a logit and sentences."""
    rows, columns = np.nonzero(likely)
    records = snapshot.records[evidence.rows[rows, columns]]
    keys = tables.keys(np.unique(records).tolist())
    spoken: dict[tuple[int, int], tuple[float, tuple[str, ...]]] = {}
    for row, column, record in zip(rows.tolist(), columns.tolist(), records.tolist(), strict=True):
        text, key = texts[row], keys.get(record)
        penalty, said = (0.0, ()) if text is None or key is None else against(text, key)
        if said:
            spoken[row, column] = penalty, tuple(map(str, said))
    return spoken


# ── numbers and vectors ──────────────────────────────────────────────────────────────────────────


def fit_intervals(
    snapshot: Snapshot,
    scales: Scales = (),
    asking: Callable[[Integers], Floats] | None = None,
    seed: int = 0,
) -> dict[Kind, Intervals]:
    """Learn how far off blends are, by leaving out records with numbers, and with vectors.

    Keys of rows are asked for as `asking` prepares them; by default as they stand.
    """
    asking = asking or snapshot.index.vectors
    known = {}
    for kind in (Kind.NUMBER, Kind.VECTOR):
        ids = _of_kind(snapshot, kind)
        if not len(ids):
            continue
        live = snapshot.index.live(np.arange(len(snapshot.index)))
        rows = live[np.isin(_groups(snapshot, live), ids)]
        width = 1 if kind is Kind.NUMBER else _values(snapshot, kind, ids[:1]).shape[1]
        chosen = rows[sample(len(rows), snapshot.index.dimension, width=width, seed=seed)]
        asked = weigh(asking(chosen), scales)
        indices, scores = leave_one_out(snapshot.index, chosen, asked)
        scores, values = _valued(snapshot, kind, _groups(snapshot, indices), indices, scores)
        known[kind] = fit(scores, values, _values(snapshot, kind, _groups(snapshot, chosen)))
    return known


def _blended(
    snapshot: Snapshot, kind: Kind, known: Intervals, groups: Integers, read: Read
) -> Blended:
    parts = [_estimated(snapshot, kind, known, groups[rows], read, rows) for rows in _few(groups)]
    estimates = Estimates(*map(np.concatenate, zip(*parts, strict=True)))
    if kind is Kind.NUMBER:
        return Blended(estimates.values, *known.interval(estimates, LEVEL))
    radius = known.radius(estimates, LEVEL)
    return Blended(estimates.values, np.zeros_like(radius), radius)


def _few(groups: Integers) -> Iterator[slice]:
    """So many queries at once that the vectors near them stay in the processor's cache."""
    for start in range(0, max(1, len(groups)), _FEW):
        yield slice(start, start + _FEW)


def _estimated(
    snapshot: Snapshot, kind: Kind, known: Intervals, groups: Integers, read: Read, rows: slice
) -> Estimates:
    indices, scores = read.indices[rows], read.scores[rows]
    return known.estimate(*_valued(snapshot, kind, groups, indices, scores))


def _of_kind(snapshot: Snapshot, kind: Kind) -> Integers:
    """Numbers of the distinct values of a kind, for vectors only if they have one dimension."""
    ids = snapshot.distinct.of_kind(kind, snapshot.groups.width)
    if kind is Kind.VECTOR and len(ids) and snapshot.distinct.vectors(ids) is None:
        return ids[:0]
    return ids


def _values(snapshot: Snapshot, kind: Kind, ids: Integers) -> Floats:
    """Numbers (…), or vectors (…, d), of some distinct values (…)."""
    if kind is Kind.NUMBER:
        wanted, places = np.unique(ids, return_inverse=True)
        numbers = np.array(snapshot.distinct.stored(wanted), dtype=np.float64)
        return numbers[places].reshape(ids.shape)
    known = _of_kind(snapshot, kind)
    matrix = snapshot.distinct.vectors(known)
    if matrix is None:
        return np.zeros((0, 0))
    alone = len(known) == snapshot.groups.width  # all values are vectors: the n-th is number n
    vectors: Floats = matrix[ids if alone else np.searchsorted(known, ids)]
    return vectors


def _valued(
    snapshot: Snapshot, kind: Kind, groups: Integers, indices: Integers, scores: Floats
) -> tuple[Floats, Floats]:
    """Scores and values of the records near each query that have a value of this kind.

    Best first, and ``-inf`` with anything for the others.
    """
    ids = _of_kind(snapshot, kind)
    there = indices >= 0
    if len(ids) < snapshot.groups.width:
        there &= np.isin(groups, ids)
    if there.all():
        return scores[:, :NEAR], _values(snapshot, kind, groups[:, :NEAR])
    order = np.argsort(~there, axis=1, kind="stable")[:, :NEAR]
    there = np.take_along_axis(there, order, axis=1)
    groups = np.take_along_axis(groups, order, axis=1)
    scores = np.where(there, np.take_along_axis(scores, order, axis=1), -np.inf)
    known = _values(snapshot, kind, groups[there])
    values = np.zeros((*groups.shape, *known.shape[1:]))
    values[there] = known
    return scores, values
