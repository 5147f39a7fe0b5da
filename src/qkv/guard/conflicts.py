"""Where a query and the key that is about to answer it contradict."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np

from qkv.guard.numbers import clashes
from qkv.guard.opposites import opposites
from qkv.guard.order import exchanged
from qkv.guard.reading import LENGTH, Reading, read
from qkv.guard.word import Word, languages
from qkv.types import Floats

__all__ = ["FEATURES", "PENALTY", "Conflict", "against", "conflicts", "features", "penalty"]

T = TypeVar("T")

#: What :func:`features` measures, in order.
FEATURES = ("number", "negation", "opposite", "name", "order", "replaced", "added")
#: What each feature adds to the logit of "this record answers the query": fitted on the tuning
#: halves of benchmarks/near_misses.py.
PENALTY = (-3.2, -2.2, -3.2, -2.5, -0.8, -1.0, -1.7)

#: Texts share at least so much, or a change of small words and names says nothing about them.
_ALIKE = 0.5
#: Longer texts that share less speak of other things: other names, or a "not", contradict nothing.
_RELATED, _SHORT = 0.25, 6
#: With more than so many other words, it is open which of several sentences a "not" is about.
_SLIGHT = 2.0
_SEVERAL = re.compile(r"[.!?]\s+\S")
#: With so many other words, a contradiction counts half.
_HALF = 3.0
#: Kinds of conflict that are measured together.
_FEATURE = {"date": "number", "unit": "number"}
#: More words than these are not compared letter by letter.
_FEW = 12


@dataclass(frozen=True, slots=True)
class Conflict:
    """What a query and a key contradict each other in; ``str()`` is a sentence for people.

    Attributes
    ----------
    kind : str
        ``"number"``, ``"unit"``, ``"date"`` (a month, a day of the week), ``"negation"``,
        ``"opposite"``, ``"name"`` or ``"order"`` (from where to where, who did it to whom).
    asked, stored : str
        What the query says, and the key; of a negation one is empty.

    Examples
    --------
    >>> print(Conflict("number", "2020", "2019"))
    asked about 2020, the record is about 2019
    """

    kind: str
    asked: str
    stored: str

    def __str__(self) -> str:
        if self.kind == "negation":
            if self.asked:
                return f"the query says “{self.asked}”, the record does not"
            return f"the record says “{self.stored}”, the query does not"
        if self.kind in {"opposite", "order"}:
            return f"the query says “{self.asked}”, the record “{self.stored}”"
        return f"asked about {self.asked}, the record is about {self.stored}"

    def turned(self) -> Conflict:
        """Seen from the other side."""
        return Conflict(self.kind, self.stored, self.asked)


class _Comparison(NamedTuple):
    conflicts: tuple[Conflict, ...]
    features: tuple[float, ...]


def conflicts(query: str, key: str) -> tuple[Conflict, ...]:
    """Name what contradicts between a query and a key.

    Parameters
    ----------
    query, key : str
        Of longer texts the first 2,000 characters are compared.

    Returns
    -------
    tuple of Conflict
        Empty for texts that do not contradict each other, as far as the guard can see.

    Examples
    --------
    >>> [str(c) for c in conflicts("Who won in 2020?", "Who won in 2019?")]
    ['asked about 2020, the record is about 2019']
    >>> conflicts("How long do I walk 1,000 m?", "how long do I walk 1 km")
    ()
    """
    return _compared(query[:LENGTH], key[:LENGTH]).conflicts


def features(query: str, key: str) -> Floats:
    """How much a query and a key contradict each other: numbers for a logistic model.

    Parameters
    ----------
    query, key : str

    Returns
    -------
    array (f,), float64
        One for each of ``FEATURES``, from 0 (no contradiction) to 1. The last two are no
        conflicts yet: words replaced by others, and words that only one side has, where the rest
        is the same.

    Examples
    --------
    >>> features("Who won in 2020?", "Who won in 2019?").tolist()
    [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    return np.array(_compared(query[:LENGTH], key[:LENGTH]).features)


def penalty(query: str, key: str) -> float:
    """What the contradictions add to the logit of a confidence: 0, or less.

    Examples
    --------
    >>> penalty("Is it open?", "is it open")
    0.0
    >>> penalty("Is it open?", "Is it closed?") < -1
    True
    """
    measured = _compared(query[:LENGTH], key[:LENGTH]).features
    return sum((a * b for a, b in zip(PENALTY, measured, strict=True) if b), 0.0)


def against(query: str, key: str) -> tuple[float, tuple[Conflict, ...]]:
    """What the named conflicts add to the logit of a confidence, and which they are.

    Texts that have no word in common are compared by their meaning alone: "female" and "male" are
    opposites, and each a gender.

    Returns
    -------
    penalty : float
        0, or less.
    conflicts : tuple of Conflict

    Examples
    --------
    >>> against("capital of France", "capital of Spain")[1]
    (Conflict(kind='name', asked='France', stored='Spain'),)
    >>> against("female", "male")
    (0.0, ())
    """
    query, key = query[:LENGTH], key[:LENGTH]
    found, measured = _compared(query, key)
    if not found or read(query).keys.isdisjoint(read(key).keys):
        return 0.0, ()
    named = zip(PENALTY[:-2], measured[:-2], strict=True)
    return sum((a * b for a, b in named if b), 0.0), found


@lru_cache(maxsize=1 << 9)
def _compared(query: str, key: str) -> _Comparison:
    if query == key:
        return _Comparison((), (0.0,) * len(FEATURES))
    if query < key:
        return _compare(read(query), read(key))
    # Always in the same order: what contradicts does not depend on which of them was asked.
    found, measured = _compare(read(key), read(query))
    return _Comparison(tuple(conflict.turned() for conflict in found), measured)


def _compare(asked: Reading, stored: Reading) -> _Comparison:
    left = [word for word in asked.words if word.key not in stored.keys]
    right = [word for word in stored.words if word.key not in asked.keys]
    changed = max(len(left), len(right))
    against = opposites(asked, stored, left, right)
    left, right = _without_inflections(left, right)
    other = max(_weight(left), _weight(right))
    share = max(1 - other / max(asked.size, stored.size, 1.0), 0.0)
    related = share >= _RELATED or max(len(left), len(right)) <= _SHORT
    if share < _ALIKE:
        against = [(a, b) for a, b in against if a.weight or b.weight]
    denied = []
    if related and (other <= _SLIGHT or not (_several(asked) or _several(stored))):
        denied = _denied(asked, stored, against)
    if denied and len(against) == 1:
        denied, against = [], []  # "not safe" and "unsafe"
    found = [*_counted(asked, stored, share), *denied]
    found += [Conflict("opposite", a.text, b.text) for a, b in against]
    if related:
        found += _named(asked, stored, left, right)
    if not left and not right and not against and (order := exchanged(asked, stored)):
        found.append(Conflict("order", *order))
    kinds = {_FEATURE.get(conflict.kind, conflict.kind) for conflict in found}
    how_much = (0.3 + 0.7 * share) / (1 + (other / _HALF) ** 2)
    measured = [how_much if kind in kinds else 0.0 for kind in FEATURES[:-2]]
    same = 1 - changed / max(len(asked.words), len(stored.words), 1)
    soft = 0.0 if asked.pieces or stored.pieces else share * same
    measured += [soft if left and right else 0.0, soft if bool(left) is not bool(right) else 0.0]
    return _Comparison(tuple(found), tuple(measured))


def _weight(words: Iterable[Word]) -> float:
    return sum([word.weight for word in words])


def _without_inflections(left: list[Word], right: list[Word]) -> tuple[list[Word], list[Word]]:
    """What says something, and has no other form, or slip of the pen, on the other side."""
    left = [word for word in left if word.weight]
    right = [word for word in right if word.weight]
    if not left or not right or max(len(left), len(right)) > _FEW:
        return left, right
    for word in list(left):
        other = next((other for other in right if _alike(word.plain, other.plain)), None)
        if other is not None:
            left.remove(word)
            right.remove(other)
    return left, right


def _alike(one: str, other: str) -> bool:
    """Whether two words are forms of one, or one of them is a slip of the pen."""
    if one[0] != other[0]:
        return False
    short, long = sorted((one, other), key=len)
    n, m = len(short), len(long)
    start = 0
    while start < n and short[start] == long[start]:
        start += 1
    if start >= 4 and start >= 0.75 * n and start > 0.6 * m and m - start <= 4:
        return True
    if n < 5 or m - n > 2:
        return False
    end = 0
    while end < n - start and short[n - 1 - end] == long[m - 1 - end]:
        end += 1
    a, b = short[start : n - end], long[start : m - end]
    return len(a) + len(b) <= 1 or len(a) == len(b) == 1 or (len(a) < 4 and sorted(a) == sorted(b))


def _counted(asked: Reading, stored: Reading, share: float) -> Iterator[Conflict]:
    """Numbers, units, codes, months and days."""
    if asked.numbers and stored.numbers:
        numbers, units = clashes(asked.numbers, stored.numbers, alike=share >= _ALIKE)
        yield from (Conflict("number", a.text, b.text) for a, b in numbers)
        yield from (Conflict("unit", a.text, b.text) for a, b in units)
    if asked.codes and stored.codes:
        yield from (Conflict("number", a, b) for a, b in _unshared(asked.codes, stored.codes))
    if asked.dates and stored.dates:
        for kind in ("month", "day"):
            mine, theirs = (
                {w.calendar: w.text for w in reading.dates if w.calendar and w.calendar[0] == kind}
                for reading in (asked, stored)
            )
            yield from (Conflict("date", mine[a], theirs[b]) for a, b in _unshared(mine, theirs))


def _unshared(mine: Collection[T], theirs: Collection[T]) -> Iterator[tuple[T, T]]:
    """Pairs of what only one side has with what only the other has."""
    only = [one for one in mine if one not in theirs]
    return zip(only, [other for other in theirs if other not in mine], strict=False)


def _several(reading: Reading) -> bool:
    """Whether a text has more than one sentence."""
    return bool(reading.denials) and _SEVERAL.search(reading.text) is not None


def _denied(asked: Reading, stored: Reading, against: list[tuple[Word, Word]]) -> list[Conflict]:
    """The negation that only one side has, if it is not half of a pair of opposites."""
    if not asked.denials and not stored.denials:
        return []
    paired = {word.text for pair in against for word in pair}
    mine, theirs = (
        [text for text in reading.denials if text not in paired] for reading in (asked, stored)
    )
    if bool(mine) is bool(theirs) or (len(mine) + len(theirs)) % 2 == 0:
        return []
    return [Conflict("negation", " ".join(mine), " ".join(theirs))]


def _named(asked: Reading, stored: Reading, left: list[Word], right: list[Word]) -> list[Conflict]:
    """Names that took each other's place."""
    mine = [word for word in left if word.key in asked.names]
    theirs = [word for word in right if word.key in stored.names]
    if mine and not theirs and stored.text.islower() and len(right) == 1:
        theirs = right  # written without capitals
    elif theirs and not mine and asked.text.islower() and len(left) == 1:
        mine = left
    if not mine or not theirs:
        return []
    if (len(mine), len(theirs)) != (len(left), len(right)) and (
        "en" not in (languages(asked.words) or "en")
    ):
        return []  # elsewhere names are translated, and take other words along
    if _abbreviated(mine, stored) or _abbreviated(theirs, asked):
        return []
    return [Conflict("name", *(" ".join(word.text for word in names) for names in (mine, theirs)))]


def _abbreviated(names: list[Word], other: Reading) -> bool:
    """Whether one of the names is the initials of words on the other side."""
    short = [name.plain for name in names if name.inside and name.text.isupper()]
    if not short:
        return False
    initials = "".join(word.plain[0] for word in other.words)
    return any(name in initials for name in short)
