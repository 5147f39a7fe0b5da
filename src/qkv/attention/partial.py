"""Attention in parts: over some of the keys, merged exactly, streamed in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qkv.attention.blends import Values
from qkv.attention.softmax import check_temperature, decay, dots, gap, null_power, product
from qkv.errors import InputError
from qkv.ranking import improve, merge_best
from qkv.types import Floats, Integers

__all__ = ["Partial", "Read", "stream"]

#: Scores held at once while streaming: 8 MB of float32, so that the passes after the product find
#: most of them in the processor's cache.
BLOCK = 2 << 20
#: Multiples of τ within which exp and sums of a billion of its results are far from overflow, and
#: single ones from vanishing.
_FAR = 60.0


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
    """

    output: Floats
    indices: Integers
    scores: Floats
    weights: Floats
    rest: Floats
    null: Floats
    error: Floats | None = None

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
    """

    temperature: float
    maximum: Floats
    mass: Floats
    output: Floats
    indices: Integers
    scores: Floats
    error: Floats | None = None

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
        best = replace(self, indices=self.indices[:, :k], scores=self.scores[:, :k])
        powers = best._powers(self.maximum)
        output = values.take(powers, best.indices)
        return replace(best, mass=powers.sum(axis=1), output=output, error=None)

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
        )

    def _powers(self, floor: Floats) -> Floats:
        powers = decay(gap(floor[:, None], self.scores), self.temperature)
        powers[self.indices < 0] = 0
        return powers


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
    room = block or max(1024, BLOCK // max(len(queries), 1))
    once = partial(_stream, queries, keys, values, temperature, min(k, len(keys)), skip, offset)
    part = once(min(max(1, len(keys)), room), _FAR)
    if np.isfinite(part.output).all():
        return part
    return once(min(max(1, len(keys)), room), 0.0)  # values so large that only weights will do


def _stream(
    queries: Floats,
    keys: Floats,
    values: Values,
    temperature: float,
    k: int,
    skip: Integers | None,
    offset: int,
    size: int,
    far: float,
) -> Partial:
    rows, dtype = len(queries), np.result_type(queries, keys)
    sums = _Sums(rows, values.width, temperature, dtype, far)
    indices = np.full((rows, k), -1, dtype=np.int64)
    best = np.full((rows, k), -np.inf, dtype=dtype)
    room = np.empty((rows, size), dtype=dtype)
    for start, stop in _blocks(len(keys), size):
        s = dots(queries, keys[start:stop], out=room[:, : stop - start])
        if skip is not None and len(skip):
            lo, hi = np.searchsorted(skip, (start, stop))
            s[:, skip[lo:hi] - start] = -np.inf
        indices, best = improve(indices, best, s, start + offset)
        powers = sums.powers(s, best[:, 0] if k else s.max(axis=1))
        values.add(powers, start, stop, sums.output)
    return sums.partial(indices, best)


class _Sums:
    """Mass and output of what was read so far, relative to exp(reference / τ).

    A reference for each query keeps exp from overflowing. It stays at 0 while no score is farther
    from 0 than `far` times τ, which saves a pass over the scores; after that, it is the largest.
    """

    def __init__(self, rows: int, width: int, temperature: float, dtype: Any, far: float) -> None:
        self.temperature = temperature
        self.reference = np.zeros(rows, dtype=dtype)
        self.maximum = np.full(rows, -np.inf, dtype=dtype)
        self.mass = np.zeros(rows, dtype=dtype)
        self.output = np.zeros((rows, width), dtype=dtype)
        #: τ = 0 and τ = ∞ look for gaps from the largest.
        self.far = far * temperature if 0 < temperature < np.inf else 0.0

    def powers(self, scores: Floats, best: Floats) -> Floats:
        """exp((s − reference) / τ) of a block, in its place; adds them to the mass."""
        self.maximum = np.maximum(self.maximum, best)
        with np.errstate(invalid="ignore"):
            lost = ~(np.abs(self.maximum - self.reference) <= self.far)
        # Where no live key was met yet, subtracting 0 keeps -inf at -inf.
        lost &= ~np.isneginf(self.maximum)
        if lost.any():
            shrink = decay(gap(self.maximum, self.reference), self.temperature)
            shrink[~lost], shrink[self.mass == 0] = 1, 1
            self.mass *= shrink
            self.output *= shrink[:, None]
            self.reference = np.where(lost, self.maximum, self.reference)
        if self.reference.any():
            scores -= self.reference[:, None]
        powers = decay(scores, self.temperature)
        self.mass += product(powers, np.ones(powers.shape[1], dtype=powers.dtype))
        return powers

    def partial(self, indices: Integers, best: Floats) -> Partial:
        """All of it, relative to the largest score."""
        shrink = np.where(np.isneginf(self.maximum), self.reference, self.maximum)
        with np.errstate(over="ignore"):
            shrink = decay(self.reference - shrink, self.temperature)
        return Partial(
            self.temperature,
            self.maximum,
            self.mass * shrink,
            self.output * shrink[:, None],
            indices,
            best,
        )


def _blocks(n: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, n, size):
        yield start, min(n, start + size)
