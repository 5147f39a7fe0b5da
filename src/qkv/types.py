"""Small frozen records that modules exchange.

Nothing here computes; a record made by one module is read by the next and never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qkv.errors import Closed

__all__ = [
    "Attention",
    "Candidate",
    "Floats",
    "Integers",
    "Json",
    "Mask",
    "Match",
    "Metric",
    "Origin",
    "Place",
    "Span",
    "Value",
    "Weight",
]

Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"
Value: TypeAlias = Any  # str | int | float | numpy vector | JSON: see qkv.values


class Metric(StrEnum):
    """How alike a query and a key are; see :func:`qkv.attention.scores`."""

    COSINE = "cosine"
    DOT = "dot"
    EUCLIDEAN = "euclidean"


class Origin(StrEnum):
    """Where an answer comes from.

    ``EXACT``: the query is a stored key. ``RECALLED``: a stored value, found by attention.
    ``IMAGINED``: a value that nobody stored. ``NOTHING``: the store has no answer.
    """

    EXACT = "exact"
    RECALLED = "recalled"
    IMAGINED = "imagined"
    NOTHING = "nothing"


#: What words add to a score is told from here on.
_SAID = 0.005


@dataclass(frozen=True, slots=True)
class Weight:
    """One record as attention saw it.

    Attributes
    ----------
    key, value
        The record.
    weight
        Its share of the attention, 0 … 1.
    score
        How alike query and key are, in the store's metric, and what words add to it.
    words
        What words add to the score: see :mod:`qkv.lexical`.
    """

    key: str
    value: Value
    weight: float
    score: float
    words: float = 0.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where one retriever put a record: its rank, from 1, and its own score."""

    rank: int
    score: float


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a record that answers.

    Attributes
    ----------
    text
        The part itself.
    field
        ``"key"`` or ``"value"``: which of the two holds it.
    start, end
        Where, in characters.
    why
        ``"keyword"``, a word of the query, or ``"semantic"``, the sentence nearest to it.
    """

    text: str
    field: str
    start: int
    end: int
    why: str


@dataclass(frozen=True, slots=True)
class Match:
    """One record that a search found.

    Attributes
    ----------
    key, value
        The record.
    score
        What it was ranked by: see :meth:`qkv.Database.search`.
    metadata
        What was stored with it; None if nothing was.
    why
        For each retriever that found it, ``"semantic"`` and ``"keyword"``, its rank and score.
    spans
        Where it answers, when asked for.
    """

    key: str
    value: Value
    score: float
    metadata: Mapping[str, Json] | None = None
    why: Mapping[str, Place] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible answer.

    Attributes
    ----------
    value
        The answer.
    probability
        How likely it is the right answer, 0 … 1: see :attr:`Attention.calibrated`.
    origin
        Stored or imagined, see :class:`Origin`.
    keys
        Keys of the records that speak for it, heaviest first (at most the head of the attention).
    spread
        Standard deviation of the stored numbers under the attention weights; numbers only.
    interval
        For a blended number, between what the true one lies in 9 of 10 cases; for a blended
        vector, 0 and how far away the true one is in 9 of 10 cases at most. Infinite where too
        few records are known. Its probability is that of the truth lying there.
    warnings
        Why it may be wrong although the keys are near: see :mod:`qkv.guard`.
    """

    value: Value
    probability: float
    origin: Origin
    keys: tuple[str, ...] = ()
    spread: float | None = None
    interval: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attention:
    """The whole answer to one query.

    Attributes
    ----------
    query
        The text or the vector that was asked.
    candidates
        Possible answers, best first; equal values are one candidate.
    weights
        The heaviest records, heaviest first.
    rest
        Weight of all the other records together.
    null
        Weight of the null record: the probability that no stored value is the answer.
        ``sum(w.weight for w in weights) + rest + null == 1``, always.
    temperature
        τ of the softmax that made the weights.
    output
        Σ αᵢ vᵢ, the blended value as a vector, where the values are (or embed to) vectors.
    calibrated
        Whether probabilities are probabilities, learned by leaving records out. False where
        temperature, null score, top_k or imagination were given, or the metric is not cosine:
        then they are attention mass.
    error
        Estimated relative error of the output (or of the mass, where nothing is blended) in a store
        so large that not every key was read; 0 where it was.
    mended
        Words of the query that were read as others, each with what it was read as: see
        :mod:`qkv.spelling`.
    """

    query: Any
    candidates: tuple[Candidate, ...]
    weights: tuple[Weight, ...]
    rest: float
    null: float
    temperature: float
    output: Floats | None = field(default=None, repr=False, compare=False)
    calibrated: bool = False
    error: float = field(default=0.0, compare=False)
    mended: tuple[tuple[str, str], ...] = ()
    again: Callable[[str], Attention] | None = field(default=None, repr=False, compare=False)

    @property
    def best(self) -> Candidate:
        """The first candidate, or "nothing".

        Calibrated, it is nothing when that there is no answer is likelier than not: from a null of
        one half on. Else it is nothing when the null record outweighs the first candidate.
        """
        line = 0.5 if self.calibrated else self.candidates[0].probability if self.candidates else 0
        if self.candidates and self.null < line:
            return self.candidates[0]
        return Candidate(None, self.null, Origin.NOTHING)

    @property
    def value(self) -> Value:
        """The best answer; None when :attr:`origin` is NOTHING."""
        return self.best.value

    @property
    def origin(self) -> Origin:
        """Where the best answer comes from."""
        return self.best.origin

    @property
    def confidence(self) -> float:
        """How likely the answer is right, 0 … 1; see :attr:`calibrated`."""
        return self.best.probability

    @property
    def reading(self) -> str:
        """What was mended, in a line; empty where the query was read as it was written."""
        read = ", ".join(f"{written!r} as {read!r}" for written, read in self.mended)
        return f"read as: {read}" if read else ""

    def explain(self) -> str:
        """Say in plain text what was asked, what was answered, and what carried it.

        For an answer that records carried, the last line says what the answer would be without
        the heaviest of them.

        Examples
        --------
        >>> from qkv import Database
        >>> db = Database({"one": "number", "cat": "animal", "dog": "animal"})
        >>> print(db.attend("kitten").explain())  # doctest: +ELLIPSIS
        'kitten' → 'animal'  (recalled, ... sure)
        ...
        """
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        asked = repr(self.query) if isinstance(self.query, str) else "a vector"
        sure = "sure" if self.calibrated else "of the attention"
        yield f"{asked} → {self.value!r}  ({self.origin}, {self.confidence:.0%} {sure})"
        if self.mended:
            yield self.reading
        below = self.origin is Origin.NOTHING
        if self.candidates:
            yield "closest, but below the line:" if below else "possible answers:"
        for one in self.candidates[:5]:
            yield f"  {one.probability:6.1%}  {_shown(one)}  {one.origin}"
            yield from (f"          ! {warning}" for warning in one.warnings)
        yield f"  {self.null:6.1%}  nothing here: no stored value is the answer"
        yield f"looked at, at temperature {self.temperature:.3g}:"
        for w in self.weights[:5]:
            words = f", {w.words:.2f} of it by words" if w.words >= _SAID else ""
            yield f"  {w.weight:6.1%}  {w.key!r}: {w.value!r}  (score {w.score:.2f}{words})"
        others = 1.0 - self.null - sum(w.weight for w in self.weights[:5])
        yield f"  {max(0.0, others):6.1%}  the other records"
        yield f"  {self.null:6.1%}  the null record"
        if self.error:
            yield f"  not every key was read: this may be off by {self.error:.2%}"
        yield from self._counterfactual()

    def _counterfactual(self) -> Iterator[str]:
        if self.again is None or not self.weights or self.origin is Origin.EXACT:
            return
        key = self.weights[0].key
        try:
            other = self.again(key)
        except Closed:  # what was answered can be read, but nothing new be asked
            return
        same = "still " if other.origin is self.origin and _equal(other.value, self.value) else ""
        yield (f"without {key!r}: {same}{other.value!r}  ({other.origin}, {other.confidence:.0%})")

    def __getstate__(self) -> dict[str, Any]:
        """What is copied or pickled: all but the way back to the store."""
        return {name: getattr(self, name) for name in self.__slots__} | {"again": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)


def _shown(one: Candidate) -> str:
    if isinstance(one.value, float) and one.interval is not None and np.isfinite(one.interval[1]):
        return f"{one.value:.4g} (9 of 10 times {one.interval[0]:.4g} … {one.interval[1]:.4g})"
    return f"{one.value!r}" + ("" if one.spread is None else f" ± {one.spread:.4g}")


def _equal(one: Value, other: Value) -> bool:
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else one == other
