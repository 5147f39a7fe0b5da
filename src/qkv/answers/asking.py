"""What is asked, how it shall be decoded, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple

import numpy as np

from qkv.types import Floats, Origin, Value

__all__ = ["Answered", "Asked", "Decoding", "Found", "Head", "Imagined"]

#: Agreement beyond repetition that is only float32's rounding.
_ROUNDING = 1e-5


class Head(StrEnum):
    """What a record proposes as the answer; see the module's text."""

    BLEND = "blend"
    RELATION = "relation"


@dataclass(frozen=True)
class Decoding:
    """How a blend becomes an answer.

    Attributes
    ----------
    head : Head or None
        None: calibration chooses, blend without it.
    imagination : float or None
        g of the module's text, 0 … 1; None reads it off the attention.
    metric : {"cosine", "euclidean"}
        How words near the blend are found. Euclidean uses the lexicon's vectors as they are, and
        all of its words.
    """

    head: Head | None = None
    imagination: float | None = None
    metric: Literal["cosine", "euclidean"] = "cosine"

    def share(self, agreement: Floats, repetition: Floats) -> Floats:
        """g, the share of imagination, for arrays of c and s."""
        if self.imagination is not None:
            return np.full_like(repetition, self.imagination)
        fresh = agreement - repetition
        fresh[fresh < _ROUNDING] = 0
        total = fresh + repetition
        share: Floats = fresh / np.where(total > 0, total, 1)
        return share


@dataclass(frozen=True)
class Asked:
    """A batch of queries: their texts (None for a vector) and how many candidates each wants."""

    texts: Sequence[str | None]
    count: int


class Found(NamedTuple):
    """A candidate that is not looked up yet.

    One that is stored has the number of its distinct value; one that nobody stored has the value
    itself, and the number −1.
    """

    value: Value
    probability: float
    origin: Origin
    id: int = -1
    spread: float | None = None
    interval: tuple[float, float] | None = None


class Answered(NamedTuple):
    """The answer to one query.

    Attributes
    ----------
    found : list of Found
        Candidates, best first.
    output : array or None
        The blended output, None where nothing blends.
    null : float or None
        Weight of the null record, where imagining has changed it.
    """

    found: list[Found]
    output: Floats | None
    null: float | None = None


@dataclass(frozen=True)
class Imagined:
    """Values that blends of one kind gave, a row a query."""

    values: list[list[Value]]
    probabilities: list[Floats]
    output: Floats
    mass: Floats  # of the records of this kind
    spread: Floats | None = None
    interval: tuple[Floats, Floats] | None = None
