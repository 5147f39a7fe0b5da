"""Attention in parts: over some of the keys, merged exactly, streamed in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from qkv.attention.blends import Values
from qkv.attention.softmax import (
    check_temperature,
    decay,
    dots,
    gap,
    null_power,
    product,
)
from qkv.errors import InputError
from qkv.ranking import improve, merge_best
from qkv.types import Floats, Integers

__all__ = ["Partial", "Read", "raise_best", "stream"]

#: Scores held at once while streaming: 8 MB of float32, so that the passes after the product find
#: most of them in the processor's cache.
BLOCK = 2 << 20

#: Exponents this far from zero leave room in float32 for their sums, and for the smallest weights.
_REACH = 60.0

#: Temperatures by which float32 can be divided and multiplied again.
_USUAL = 1e-9, 1e9


@dataclass(frozen=True)
class Read:
    """Attention, finished: everything divided by the sum.

    Attributes
    ----------
    output : array (m, width)
        Σ αᵢ vᵢ over the records (the null record's value is zero).
    indices : array (m, k), int64
        The heaviest records, heaviest first; −1 where there are fewer.
    scores, weights : array (m, k)
        Their scores and weights.
    rest, null : array (m,)
        Weight of all the other records, and of the null record.
    error : array (m,), optional
        Estimated relative error of the output; None where nothing was estimated.
    by : array (m, k), optional
        What was added to these scores: see :meth:`Partial.raised`. None: nothing.
    """

    output: Floats
    indices: Integers
    scores: Floats
    weights: Floats
    rest: Floats
    null: Floats
    error: Floats | None = None
    by: Floats | None = None

    def dim(self, null: Floats) -> Read:
        """Give the null record these weights (m,), and what is left to the records."""
        kept = np.where(self.null < 1, (1 - null) / np.where(self.null < 1, 1 - self.null, 1), 0)
        return Read(
            output=self.output * kept[:, None],
            indices=self.indices,
            scores=self.scores,
            weights=self.weights * kept[:, None],
            rest=self.rest * kept,
            null=np.where(self.null < 1, null, 1),
            error=self.error,
            by=self.by,
        )

    def silence(self, rows: NDArray[np.bool_]) -> Read:
        """Let these queries find nothing: those of which the encoder understood nothing."""
        if not rows.any():
            return self
        heard = ~rows[:, None]
        return Read(
            output=self.output * heard,
            indices=np.where(heard, self.indices, -1),
            scores=np.where(heard, self.scores, -np.inf),
            weights=self.weights * heard,
            rest=np.where(rows, 0, self.rest),
            null=np.where(rows, 1, self.null),
            error=None if self.error is None else np.where(rows, 0, self.error),
            by=self.by,
        )


@dataclass(frozen=True)
class Partial:
    """Attention over some of the keys, for m queries; see the module's first paragraphs.

    Attributes
    ----------
    temperature : float
    maximum : array (m,)
        Largest score; ``-inf`` when no key was seen.
    mass : array (m,)
        Σ exp((s − maximum) / τ).
    output : array (m, width)
        Σ exp((s − maximum) / τ) v.
    indices : array (m, k), int64
        Records with the best scores, best first; −1 where there are fewer.
    scores : array (m, k)
        Their scores.
    error : array (m,), optional
        Estimated ‖output − exact output‖ / ‖exact output‖, for a part that did not read all its
        keys; None for an exact one.
    by : array (m, k), optional
        What was added to these scores: see :meth:`raised`. None: nothing.
    """

    temperature: float
    maximum: Floats
    mass: Floats
    output: Floats
    indices: Integers
    scores: Floats
    error: Floats | None = None
    by: Floats | None = None

    def merge(self, other: Partial) -> Partial:
        """Attention over the keys of both parts (which share none): exact, in any order.

        Raises
        ------
        InputError
            If the two parts were made at different temperatures.
        """
        if self.temperature != other.temperature:
            raise InputError(
                f"parts at temperatures {self.temperature} and {other.temperature} do not merge; "
                "make both with the same temperature"
            )
        maximum = np.maximum(self.maximum, other.maximum)
        mine = decay(gap(maximum, self.maximum), self.temperature)
        others = decay(gap(maximum, other.maximum), self.temperature)
        indices, best = merge_best(self.indices, self.scores, other.indices, other.scores)
        masses = self.mass * mine, other.mass * others
        return Partial(
            temperature=self.temperature,
            maximum=maximum,
            mass=masses[0] + masses[1],
            output=self.output * mine[:, None] + other.output * others[:, None],
            indices=indices,
            scores=best,
            error=_combined(masses, (self.error, other.error)),
        )

    def truncate(self, k: int, values: Values) -> Partial:
        """Forget all keys but the best k: attention as a top-k store would do it."""
        by = None if self.by is None else self.by[:, :k]
        best = replace(self, indices=self.indices[:, :k], scores=self.scores[:, :k], by=by)
        powers = best._powers(self.maximum)
        output = values.take(powers, best.indices)
        return replace(best, mass=powers.sum(axis=1), output=output, error=None)

    def raised(self, indices: Integers, scores: Floats, by: Floats, values: Values) -> Partial:
        """Attention in which some records score higher than they did: what speaks for them is new.

        Their shares of mass and output are exchanged, those of the others stay; exact up to
        rounding where the part is.

        Parameters
        ----------
        indices : array (m, r), int64
            Records, each at most once a query; −1 where there are fewer.
        scores : array (m, r)
            Their scores in this part.
        by : array (m, r)
            What is added to them, ≥ 0.
        values : Values
        """
        there = indices >= 0
        before = np.where(there, scores, -np.inf).astype(self.scores.dtype)
        after = np.where(there, scores + by, -np.inf).astype(self.scores.dtype)
        maximum = np.maximum(self.maximum, after.max(axis=1, initial=-np.inf))
        shrink = decay(gap(maximum, self.maximum), self.temperature)
        more = decay(gap(maximum[:, None], after), self.temperature) - decay(
            gap(maximum[:, None], before), self.temperature
        )
        more = np.where(there & (by > 0), more, 0).astype(self.mass.dtype)
        named, best, added = raise_best(self.indices, self.scores, indices, scores, by)
        return replace(
            self,
            maximum=maximum,
            mass=self.mass * shrink + more.sum(axis=1),
            output=self.output * shrink[:, None] + values.take(more, indices),
            indices=named,
            scores=best,
            by=added,
        )

    def read(self, null: float | None = None) -> Read:
        """Divide by the sum, the null record's share included.

        Parameters
        ----------
        null : float, optional
            Score of the null record. None leaves it out, and its weight is 0 – or 1 for a query
            that met no key at all.
        """
        floor = np.maximum(self.maximum, -np.inf if null is None else null).astype(
            self.maximum.dtype
        )
        shrink = decay(gap(floor, self.maximum), self.temperature)
        nothing = null_power(floor, null, self.temperature)
        mass = self.mass * shrink
        total = mass + nothing
        empty = total == 0
        total[empty] = 1
        weights = self._powers(floor) / total[:, None]
        null_weight = np.where(empty, 1.0, nothing / total)
        rest = np.clip(1.0 - null_weight - weights.sum(axis=1), 0.0, None)
        # All records shown: whatever is left over is rounding, not weight.
        shown = np.isneginf(self.scores).any(axis=1) if self.scores.size else empty
        rest[shown] = 0.0
        return Read(
            output=self.output * (shrink / total)[:, None],
            indices=self.indices,
            scores=self.scores,
            weights=weights,
            rest=rest,
            null=null_weight,
            error=self.error,
            by=self.by,
        )

    def _powers(self, floor: Floats) -> Floats:
        powers = decay(gap(floor[:, None], self.scores), self.temperature)
        powers[self.indices < 0] = 0
        return powers


def raise_best(
    best: Integers, best_scores: Floats, indices: Integers, scores: Floats, by: Floats
) -> tuple[Integers, Floats, Floats]:
    """The best records after some of them, or others, were raised; as many as there were.

    Parameters
    ----------
    best, best_scores : array (m, k)
        Best first; −1 where there are fewer.
    indices, scores, by : array (m, r)
        See :meth:`Partial.raised`.

    Returns
    -------
    indices, scores, by : array (m, k)
    """
    there = indices >= 0
    # Those that are raised are named with their new scores alone.
    again = (best[:, :, None] == np.where(there, indices, -2)[:, None]).any(axis=2)
    kept = np.where(again, -np.inf, best_scores)
    after = np.where(there, scores + by, -np.inf).astype(best_scores.dtype)
    named = np.hstack((np.where(again, -1, best), np.where(there, indices, -1)))
    total, added = np.hstack((kept, after)), np.hstack((np.zeros_like(kept), by))
    order = np.argsort(-total, axis=1, kind="stable")[:, : best.shape[1]]
    return (
        np.take_along_axis(named, order, axis=1),
        np.take_along_axis(total, order, axis=1),
        np.take_along_axis(added, order, axis=1),
    )


def _combined(masses: Sequence[Floats], errors: Sequence[Floats | None]) -> Floats | None:
    """Independent errors of parts, each weighed by its share of the mass; None if all are exact."""
    estimated = [
        (mass * error) ** 2 for mass, error in zip(masses, errors, strict=True) if error is not None
    ]
    if not estimated:
        return None
    total = np.asarray(sum(masses))
    error: Floats = np.sqrt(np.asarray(sum(estimated))) / np.where(total > 0, total, 1)
    return error


def stream(
    queries: Floats,
    keys: Floats,
    values: Values,
    *,
    temperature: float,
    k: int = 10,
    skip: Integers | None = None,
    offset: int = 0,
    block: int | None = None,
) -> Partial:
    """Attend to all keys in blocks, so that memory stays bounded whatever their number.

    Parameters
    ----------
    queries : array (m, d), float
        Prepared queries, see :func:`prepare`.
    keys : array (n, d), float
        Prepared keys: scores are plain dot products.
    values : Values
        What to blend.
    temperature : float
        τ, from 0 to ``inf``.
    k : int
        How many of the best records to name.
    skip : array (s,), int64, optional
        Sorted rows of `keys` to leave out.
    offset : int
        Added to the indices of the best records: where these keys begin in a larger whole.
    block : int, optional
        Keys per block; by default as many as make 8 MB of scores.

    Returns
    -------
    Partial
    """
    temperature = check_temperature(temperature)
    if len(queries) > 1 and _USUAL[0] <= temperature <= _USUAL[1]:
        part = _stream(queries, keys, values, temperature, k, skip, offset, block, scaled=True)
        if _finite(part):
            return part
    return _stream(queries, keys, values, temperature, k, skip, offset, block, scaled=False)


def _stream(
    queries: Floats,
    keys: Floats,
    values: Values,
    temperature: float,
    k: int,
    skip: Integers | None,
    offset: int,
    block: int | None,
    *,
    scaled: bool,
) -> Partial:
    """Stream with scores over τ straight from the product (`scaled`), or with all due care.

    Scaled, powers are taken as they come while they lie within e^±60, and so two of three passes
    over the scores are saved. What that cannot hold (scores or values that are huge already) comes
    out as infinite or NaN, and is done again with care: every score less the largest so far.
    """
    k = min(k, len(keys))
    rows, dtype = len(queries), np.result_type(queries, keys)
    unit, reach = (1.0, _REACH) if scaled else (temperature, 0.0)
    maximum = np.full(rows, -np.inf, dtype=dtype)
    reference = np.zeros(rows, dtype=dtype)
    mass = np.zeros(rows, dtype=dtype)
    output = np.zeros((rows, values.width), dtype=dtype)
    indices = np.full((rows, k), -1, dtype=np.int64)
    best = np.full((rows, k), -np.inf, dtype=dtype)
    size = min(max(1, len(keys)), block or max(1024, BLOCK // max(rows, 1)))
    room, ones = np.empty((rows, size), dtype=dtype), np.ones(size, dtype=dtype)
    with np.errstate(over="ignore" if scaled else "warn", invalid="ignore" if scaled else "warn"):
        if scaled:
            queries = queries * dtype.type(1 / temperature)
        for start, stop in _blocks(len(keys), size):
            s = dots(queries, keys[start:stop], out=room[:, : stop - start])
            if skip is not None and len(skip):
                lo, hi = np.searchsorted(skip, (start, stop))
                s[:, skip[lo:hi] - start] = -np.inf
            indices, best = improve(indices, best, s, start + offset)
            maximum = np.maximum(maximum, best[:, 0] if k else s.max(axis=1))
            moved = _moved(reference, maximum, reach)
            if start and (moved != reference).any():
                shrink = decay(np.minimum(gap(moved, reference), 0), unit)
                mass *= shrink
                output *= shrink[:, None]
            reference = moved
            if reference.any():
                s -= reference[:, None]
            powers = decay(s, unit)
            mass += product(powers, ones[: stop - start])
            values.add(powers, start, stop, output)
        if scaled:
            lag = np.exp(gap(maximum, reference))
            mass, output = mass * lag, output * lag[:, None]
            maximum, best = maximum * dtype.type(temperature), best * dtype.type(temperature)
    return Partial(temperature, maximum, mass, output, indices, best)


def _moved(reference: Floats, maximum: Floats, reach: float) -> Floats:
    """What scores are counted from: as before, or from the largest where that is out of reach."""
    near = np.isneginf(maximum) | (np.abs(maximum - reference) <= reach)
    return np.where(near, reference, maximum)


def _finite(part: Partial) -> bool:
    """Whether nothing overflowed on the way."""
    sound = np.isfinite(part.mass).all() and np.isfinite(part.output).all()
    return bool(sound and not np.isposinf(part.maximum).any())


def _blocks(n: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n, size):
        yield start, min(n, start + size)
