"""How likely a key is like a query, and yet not what is meant."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from comparing.features import Difference, Slot, difference
from comparing.synonyms import Synonyms
from comparing.tokens import LENGTH, Token
from comparing.trees import Forest
from qkv.guard import against
from qkv.guard.reading import read
from qkv.types import Floats

__all__ = ["WARNED", "Comparator", "Comparison", "compare", "sharpened"]

#: From this probability on it is said what differs.
WARNED = 0.5
#: Nothing is surer than this: what is likely enough otherwise stays possible.
_SUREST = 0.95
#: How sharply probabilities leave the threshold.
_SHARPNESS = 4.0
_DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Comparison:
    """What a query and a key that is like it differ in.

    Attributes
    ----------
    probability : float
        That the key is not what is meant, 0 … 1; 0 where the words say nothing.
    said : tuple of str
        What differs, in words; empty below ``WARNED``.
    """

    probability: float
    said: tuple[str, ...] = ()


_SAME = Comparison(0.0)


@dataclass(frozen=True)
class Comparator:
    """Trees on what differs between two texts.

    Attributes
    ----------
    forest : Forest
        Features to the logit of a near miss.
    synonyms : Synonyms
    shifts : pair of float
        Logits from which on a pair counts as one: of small edits, and of others.
    """

    forest: Forest
    synonyms: Synonyms
    shifts: tuple[float, float]

    def compare(self, query: str, keys: Sequence[str]) -> list[Comparison]:
        """Compare a query with several keys: see :func:`compare`."""
        query = query[:LENGTH]
        found = [_apart(query, key[:LENGTH], self) for key in keys]
        judged = [i for i, one in enumerate(found) if isinstance(one, Difference)]
        differences = [one for one in found if isinstance(one, Difference)]
        answers = [one if isinstance(one, Comparison) else _SAME for one in found]
        if differences:
            sure = np.minimum(self.probabilities(differences), _SUREST).tolist()
            for i, one, c in zip(judged, differences, sure, strict=True):
                answers[i] = Comparison(c, _said(one) if c >= WARNED else ())
        return answers

    def probabilities(self, differences: Sequence[Difference]) -> Floats:
        """How likely each of n differences makes a near miss, array (n,)."""
        logits = self.forest.logits(np.array([one.features for one in differences]))
        shifts = np.array([self.shifts[0 if one.small else 1] for one in differences])
        judged = np.array([one.judged for one in differences])
        probabilities: Floats = sharpened(logits, shifts) * judged
        return probabilities

    def save(self, folder: Path) -> None:
        """Write ``trees.npz`` and ``synonyms.npz``: tables, no code, and no pickle."""
        trees = self.forest.tables() | {"shifts": np.array(self.shifts)}
        for name, tables in (("trees", trees), ("synonyms", self.synonyms.tables())):
            np.savez_compressed(folder / f"{name}.npz", allow_pickle=False, **tables)

    @classmethod
    @cache
    def shipped(cls) -> Comparator:
        """The comparator that comes with the package, read once."""
        with np.load(_DATA / "trees.npz", allow_pickle=False) as saved:
            forest = Forest.of(saved)
            small, wide = saved["shifts"].tolist()
        with np.load(_DATA / "synonyms.npz", allow_pickle=False) as saved:
            return cls(forest, Synonyms.read(saved), (small, wide))


def compare(query: str, key: str) -> Comparison:
    """Say how likely a key that is like a query is not what the query means.

    Texts that have no word in common are compared by their meaning alone, and so are rewordings.
    Where the texts are not in English, the guard's lists decide alone.

    Parameters
    ----------
    query, key : str
        Of longer texts the first 500 characters are compared.

    Examples
    --------
    >>> compare("weather in rome", "weather in paris").said
    ("'rome' instead of 'paris'",)
    >>> compare("weather in rome", "what is the weather like in Rome?").probability < 0.5
    True
    """
    return _compared(query[:LENGTH], key[:LENGTH])


@lru_cache(maxsize=1 << 10)
def _compared(query: str, key: str) -> Comparison:
    return Comparator.shipped().compare(query, [key])[0]


def sharpened(logits: Floats, shifts: Floats) -> Floats:
    """Logits beyond a threshold as probabilities."""
    beyond = np.clip(_SHARPNESS * (logits - shifts), -60, 60)
    probabilities: Floats = 1 / (1 + np.exp(-beyond))
    return probabilities


def _apart(query: str, key: str, known: Comparator) -> Difference | Comparison:
    """What differs; decided where the trees have nothing to decide."""
    if query == key:
        return _SAME
    if not (_english(query) and _english(key)):
        penalty, named = against(query, key)
        c = min(1 - math.exp(penalty), _SUREST)
        return Comparison(c, tuple(map(str, named)) if c >= WARNED else ())
    # Always in the same order: what differs does not depend on which of them was asked.
    turned = key < query
    first, second = (key, query) if turned else (query, key)
    found = difference(first, second, known.synonyms)
    if not found.judged:
        return _SAME
    return found.turned() if turned else found


@lru_cache(maxsize=1 << 11)
def _english(text: str) -> bool:
    """Whether a text may be English: one small word of another language makes it no other."""
    reading = read(text)
    letters = [c for c in text if c.isalpha()]
    if reading.pieces or 2 * sum(c < "\u0250" for c in letters) < len(letters):
        return False
    votes = Counter(language for word in reading.words for language in word.languages)
    english = votes["en"]
    return max(votes.values(), default=0) <= max(english, 1)


# ── in words ─────────────────────────────────────────────────────────────────────────────────────


def _said(found: Difference) -> tuple[str, ...]:
    """What differs, in words: what the guard names, else the weightiest of what is left."""
    if found.conflicts:
        return tuple(map(str, found.conflicts))
    slots = sorted(found.slots, key=_heavy, reverse=True)
    if slots and (_heavy(slots[0])[1] or not found.moved):
        return (_named(slots[0]),)
    if found.moved:
        asked, stored = found.moved
        return (f"another order: '{asked}', not '{stored}'",)
    return ("the same words in another order",)


def _heavy(slot: Slot) -> tuple[bool, float]:
    words = slot.left + slot.right
    both = bool(slot.left) and bool(slot.right)
    return both, sum([0 if word.small else word.weight for word in words])


def _named(slot: Slot) -> str:
    asked, stored = _words(slot.left), _words(slot.right)
    if asked and stored:
        return f"'{asked}' instead of '{stored}'"
    if asked:
        return f"the query says '{asked}', the record does not"
    return f"the record says '{stored}', the query does not"


def _words(tokens: Sequence[Token]) -> str:
    return " ".join([token.text for token in tokens])
