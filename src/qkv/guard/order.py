"""Two things that changed places: from A to B is not from B to A."""

from __future__ import annotations

import re

from qkv.guard.reading import Reading
from qkv.guard.vocabulary import CASELESS, DIRECTION_PARTS, DIRECTIONS, JOINING
from qkv.guard.word import Word, languages

__all__ = ["exchanged"]

#: Longer differences are not searched.
_LONGEST = 60
_CASELESS = frozenset(CASELESS)
#: What stands between the members of a list.
_LISTING = re.compile("[,;()、，；·（）]")


def exchanged(asked: Reading, stored: Reading) -> tuple[str, str] | None:
    """What changed places in otherwise the same words: A … B in one text, B … A in the other.

    Only where that changes the sense: around a word of direction, or, in languages without case,
    around anything but "and", "is" or a comma.
    """
    if len(asked.words) != len(stored.words) or asked.keys != stored.keys:
        return None
    one, other = asked.words, stored.words
    start, stop = 0, len(one)
    while start < stop and one[start].key == other[start].key:
        start += 1
    while stop > start and one[stop - 1].key == other[stop - 1].key:
        stop -= 1
    if not 3 <= stop - start <= _LONGEST:
        return None
    one, other = one[start:stop], other[start:stop]
    middle = _middle([word.key for word in one], [word.key for word in other])
    if middle is None or not _directed(one[middle], asked):
        return None
    gap = "" if asked.pieces else " "
    return gap.join(word.text for word in one), gap.join(word.text for word in other)


def _middle(one: list[str], other: list[str]) -> slice | None:
    """Where m stands in one = A m B, if other = B m A."""
    n = len(one)
    for a in range(1, n - 1):
        if one[:a] != other[n - a :]:
            continue
        for b in range(1, n - a):
            if one[n - b :] == other[:b] and one[a : n - b] == other[b : n - a]:
                return slice(a, n - b)
    return None


def _directed(middle: list[Word], asked: Reading) -> bool:
    if asked.pieces:
        return "".join(word.text for word in middle).startswith(DIRECTION_PARTS)
    words = {word.plain for word in middle}
    if words & DIRECTIONS or words <= {"a", "à"}:  # de Roma a París
        return True
    if words <= JOINING or _LISTING.search(asked.text):
        return False
    return not _CASELESS.isdisjoint(languages(asked.words))
