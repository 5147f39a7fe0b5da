"""The gate: how much each head is heard for a text, by what the text is.

GloVe hears words and is deaf to sentences; MiniLM hears English; USE hears sixteen languages. Five
rules say which of them shall speak:

1. More than 30 % of the letters belong to another script than Latin: ``other``.
2. One word, or at most three without a stop word: ``words``.
3. Anything else is a sentence, English with probability p = σ(8 − 24 o − 9 b), where o is the share
   of its words that are small words of German, Spanish, French, Italian, Dutch or Portuguese, and
   not of English; and b says how unusual its other words are: the mean over all words of
   max(0, log₁₀(rank + 2) − 4), by rank in GloVe; a word that GloVe does not know ranks 400,000th.
   Weights are p ``sentence`` + (1 − p) ``other``.

The constants are fields of :class:`Rules`. They were chosen on tuning data; benchmarks/gate.py
shows what each of them gives, and docs/encoders.md has figures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from math import exp, log10
from typing import NamedTuple, TypeAlias

import numpy as np

from qkv.encoders.glove import glove_table
from qkv.languages import stop_words
from qkv.types import Floats

__all__ = ["RULES", "Gating", "Rules", "gate"]

Weights: TypeAlias = tuple[float, float, float]


class Rules(NamedTuple):
    """The constants of the gate.

    Attributes
    ----------
    words, sentence, other : tuple of three floats
        Weights of GloVe, USE and MiniLM for words, English sentences, and all else; each sums to 1.
    keys : tuple of three floats
        Weights that every key has, > 0, so that the query alone decides who is heard.
    few : int
        Most words of a short phrase.
    other_script : float
        Share of letters of another script, above which the text is not English.
    english : float
        Logit of an ordinary English sentence.
    foreign, unusual : float
        What small words of other languages and unusual words take from it.
    """

    words: Weights = (0.1, 0.5, 0.4)
    sentence: Weights = (0.05, 0.35, 0.6)
    other: Weights = (0.0, 0.8, 0.2)
    keys: Weights = (0.1, 0.45, 0.45)
    few: int = 3
    other_script: float = 0.3
    english: float = 8.0
    foreign: float = 24.0
    unusual: float = 9.0


RULES = Rules()

#: Ranks up to 10⁴ are usual.
_USUAL = 4.0
_UNKNOWN = 400_000
#: The last letter of Latin Extended-B.
_LATIN = "\u024f"

_WORD = re.compile(r"[^\W\d_]+")


class Gating(NamedTuple):
    """How n texts are heard.

    Attributes
    ----------
    weights : array (n, 3), float32
        Of GloVe, USE and MiniLM; ≥ 0, rows sum to 1.
    english : array (n,), float32
        p, how likely the text is English.
    """

    weights: Floats
    english: Floats


def gate(texts: Sequence[str], rules: Rules = RULES) -> Gating:
    """Say how much each head is heard, and how likely the text is English.

    Parameters
    ----------
    texts : sequence of str
        In their plain form (:mod:`qkv.forms`).
    rules : Rules, optional

    Examples
    --------
    >>> weights, english = gate(["rhombus", "where is my order", "wo ist meine Bestellung"])
    >>> english.round(2).tolist(), weights.argmax(axis=1).tolist()
    ([1.0, 1.0, 0.0], [1, 2, 1])
    """
    ranks = glove_table().rows
    found = [_gate(text, ranks, rules) for text in texts]
    weights = np.array([weights for weights, _ in found], dtype=np.float32).reshape(-1, 3)
    return Gating(weights, np.array([english for _, english in found], dtype=np.float32))


def _gate(text: str, ranks: Mapping[str, int], rules: Rules) -> tuple[tuple[float, ...], float]:
    if not text.isascii() and _other_script(text) > rules.other_script:
        return rules.other, 0.0
    words = [word.lower() for word in _WORD.findall(text)]
    english, foreign = _small_words()
    small = sum(word in english for word in words)
    theirs = sum(word in foreign for word in words)
    if not words or (len(words) <= rules.few and (len(words) == 1 or not small + theirs)):
        return rules.words, 1.0
    unusual = sum(
        max(0.0, log10(ranks.get(word, _UNKNOWN) + 2) - _USUAL)
        for word in words
        if word not in english and word not in foreign
    )
    logit = rules.english - (rules.foreign * theirs + rules.unusual * unusual) / len(words)
    p = 1 / (1 + exp(-logit))
    return tuple(p * a + (1 - p) * b for a, b in zip(rules.sentence, rules.other, strict=True)), p


def _other_script(text: str) -> float:
    """Share of letters of another script than Latin."""
    letters = [c for c in text if c.isalpha()]
    return sum(c > _LATIN for c in letters) / max(1, len(letters))


@cache
def _small_words() -> tuple[frozenset[str], frozenset[str]]:
    """Stop words of English, and those of other languages that are none in English."""
    english = frozenset(stop_words("en"))
    others = (stop_words(language) for language in ("de", "es", "fr", "it", "nl", "pt"))
    return english, frozenset().union(*others) - english
