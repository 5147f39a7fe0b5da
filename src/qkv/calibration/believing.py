"""How far to believe a word that was imagined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from qkv.attention import product
from qkv.calibration.hidden import Gains, Guess, Hits, Proposing
from qkv.calibration.logistic import Logistic
from qkv.types import Floats

__all__ = ["CERTAIN", "FEATURES", "Imagining", "Scale"]

#: What the confidence looks at: the logit of the word's share; the logarithm of its share over
#: its best rival's; how near the nearest key is, and how like the stored values the word is, both
#: in standard deviations from what the store's own records show; whether the word is stored. (The
#: agreement of the records adds nothing to these: it is in the share already.)
FEATURES = ("share", "lead", "nearness", "likeness", "stored")
#: Spread of scores that is assumed before any was seen, and how many records that is worth.
_SPREAD, _SPREAD_RECORDS = 0.1, 2.0
#: Shares closer to 0 or 1 than this are as good as.
CERTAIN = 1e-9


@dataclass(frozen=True)
class Scale:
    """Where a score lies among those of the store's own records.

    Attributes
    ----------
    mean, deviation : float
    """

    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of(cls, scores: Floats) -> Scale:
        """Mean and spread of some scores (n,); the spread has a prior."""
        if not len(scores):
            return cls()
        mean = float(scores.mean())
        squares = float(((scores - mean) ** 2).sum()) + _SPREAD_RECORDS * _SPREAD**2
        return cls(mean, float(np.sqrt(squares / (len(scores) + _SPREAD_RECORDS))))

    def __call__(self, scores: Floats) -> Floats:
        """Standard deviations from the mean, 5 at most."""
        distance: Floats = np.clip((scores - self.mean) / self.deviation, -5, 5)
        return distance


@dataclass(frozen=True)
class Imagining:
    """How one store imagines, and how far to believe it.

    Attributes
    ----------
    proposing : Proposing
        The head, its temperature, gains and sharpness, and ρ.
    blend, relation : Hits
        How each head found the values that were hidden.
    centre : array (d,)
        Mean direction of the stored values.
    nearness, likeness : Scale
        Of the score of the nearest key, and of the cosine between a value and the centre.
    confidence : Logistic
        P(a word is right), over :data:`FEATURES`.
    """

    proposing: Proposing
    blend: Hits
    relation: Hits
    centre: Floats = field(compare=False)
    nearness: Scale
    likeness: Scale
    confidence: Logistic

    @property
    def head(self) -> str:
        """``"blend"`` or ``"relation"``."""
        return self.proposing.head

    def as_json(self) -> dict[str, Any]:
        """Plain lists and numbers: what JSON can hold."""
        return {**asdict(self), "centre": self.centre.tolist()}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Imagining:
        """Undo :meth:`as_json`, with tuples or with the lists that JSON makes of them."""
        proposing = dict(saved["proposing"])
        if proposing["head"] not in ("blend", "relation"):
            raise ValueError(proposing["head"])
        confidence = saved["confidence"]
        return cls(
            Proposing(**{**proposing, "gains": Gains(**proposing["gains"])}),
            Hits(*saved["blend"]),
            Hits(*saved["relation"]),
            np.array(saved["centre"], dtype=np.float32),
            Scale(**saved["nearness"]),
            Scale(**saved["likeness"]),
            Logistic(tuple(confidence["coefficients"]), confidence["intercept"]),
        )

    def features(self, guess: Guess, words: Floats, nearest: Floats) -> Floats:
        """What speaks for one word of each query, in the order of :data:`FEATURES`.

        Parameters
        ----------
        guess : Guess
            The words: see :func:`guesses`.
        words : array (m, d)
            Their :func:`directions`.
        nearest : array (m,)
            Score of the nearest key.

        Returns
        -------
        array (m, 5), float64
        """
        share = np.clip(guess.share.astype(np.float64), CERTAIN, 1 - CERTAIN)
        rival = np.clip(guess.rival.astype(np.float64), CERTAIN, 1)
        return np.column_stack(
            (
                np.log(share / (1 - share)),
                np.clip(np.log(share / rival), -10, 10),
                self.nearness(nearest),
                self.likeness(product(words, self.centre)),
                guess.stored,
            )
        ).astype(np.float64)

    def probability(self, guess: Guess, words: Floats, nearest: Floats) -> Floats:
        """P(the word is right) for one word of each query, array (m,): see :meth:`features`."""
        return self.confidence.probability(self.features(guess, words, nearest))
