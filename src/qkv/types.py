"""Small frozen records that modules exchange.

Nothing here computes; a record made by one module is read by the next and never changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Attention",
    "Candidate",
    "Floats",
    "Integers",
    "Json",
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
        How alike query and key are, in the store's metric.
    """

    key: str
    value: Value
    weight: float
    score: float


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
        Attention mass behind it, 0 … 1. Not yet a calibrated probability.
    origin
        Stored or imagined, see :class:`Origin`.
    keys
        Keys of the records that speak for it, heaviest first (at most the head of the attention).
    spread
        Standard deviation of the stored numbers under the attention weights; numbers only.
    """

    value: Value
    probability: float
    origin: Origin
    keys: tuple[str, ...] = ()
    spread: float | None = None


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
        Weight of the null record: "nothing here".
        ``sum(w.weight for w in weights) + rest + null == 1``, always.
    temperature
        τ of the softmax that made the weights.
    output
        Σ αᵢ vᵢ, the blended value as a vector, where the values are (or embed to) vectors.
    """

    query: Any
    candidates: tuple[Candidate, ...]
    weights: tuple[Weight, ...]
    rest: float
    null: float
    temperature: float
    output: Floats | None = field(default=None, repr=False, compare=False)

    @property
    def best(self) -> Candidate:
        """The first candidate, or "nothing" when the null record outweighs it."""
        if self.candidates and self.candidates[0].probability > self.null:
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
        """Attention mass behind the best answer, 0 … 1. Not yet a calibrated probability."""
        return self.best.probability

    def explain(self) -> str:
        """Say in plain text what was asked, what was answered, and which records carried it."""
        asked = repr(self.query) if isinstance(self.query, str) else "a vector"
        lines = [f"{asked} → {self.value!r}  ({self.origin}, {self.confidence:.0%})"]
        lines += [
            f"  {c.probability:6.1%}  {c.value!r}  {c.origin}"
            + (f" ± {c.spread:.4g}" if c.spread is not None else "")
            for c in self.candidates[:5]
        ]
        lines.append(f"looked at, at temperature {self.temperature:.3g}:")
        lines += [f"  {w.weight:6.1%}  {w.key!r}: {w.value!r}" for w in self.weights[:5]]
        shown = sum(w.weight for w in self.weights[:5])
        others = max(0.0, 1.0 - shown - self.null)
        lines.append(f"  {others:6.1%}  the other records")
        lines.append(f"  {self.null:6.1%}  nothing here")
        return "\n".join(lines)
