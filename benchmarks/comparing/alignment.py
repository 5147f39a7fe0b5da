"""Which tokens of two texts are the same: equal, of one stem, forms of a word, slips of a pen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from comparing.tokens import Token, cosine

__all__ = ["ALONE", "EQUAL", "Alignment", "align", "edits"]

#: A token without a partner, and one whose quantity the other side writes otherwise.
ALONE, EQUAL = -1, -2
#: With more left over than this, words are not compared letter by letter.
_FEW = 25
#: Rarer words may be misspelt.
_COMMON = 60_000


class Alignment(NamedTuple):
    """For each token of either side the place of its partner on the other, ALONE or EQUAL."""

    left: list[int]
    right: list[int]


def align(one: Sequence[Token], other: Sequence[Token]) -> Alignment:
    """Pair the tokens of two texts, equal ones first, each with the nearest by place.

    Examples
    --------
    >>> from comparing.tokens import tokenize
    >>> align(tokenize("cancel my bookings"), tokenize("my boking, cancel it"))
    Alignment(left=[3, 0, 1], right=[1, 2, -1, 0, -1])
    """
    left, right = [ALONE] * len(one), [ALONE] * len(other)
    places: dict[str, list[int]] = {}
    for j, token in enumerate(other):
        places.setdefault(token.plain, []).append(j)
    stretch = len(other) / max(len(one), 1)
    for i, token in enumerate(one):
        free = places.get(token.plain)
        if free:
            j = free[0] if len(free) == 1 else min(free, key=lambda j: abs(j - i * stretch))
            free.remove(j)
            left[i], right[j] = j, i
    mine = [i for i, j in enumerate(left) if j < 0 and one[i].weight]
    theirs = [j for j, i in enumerate(right) if i < 0 and other[j].weight]
    if mine and theirs and len(mine) <= _FEW and len(theirs) <= _FEW:
        for i in mine:
            for j in theirs:
                if right[j] < 0 and _alike(one[i], other[j]):
                    left[i], right[j] = j, i
                    break
    return Alignment(left, right)


def _alike(one: Token, other: Token) -> bool:
    if one.number is not None or other.number is not None:
        return one.number == other.number
    if one.known.stem == other.known.stem:
        return True
    a, b = one.plain, other.plain
    short, long = sorted((a, b), key=len)
    n, m = len(short), len(long)
    if n < 4 or m - n > 4 or not (short.isalpha() and long.isalpha()):
        return False
    if max(one.known.rank, other.known.rank) < _COMMON:
        start = 0
        while start < n and short[start] == long[start]:
            start += 1
        return start >= 4 and start >= n - 2 and cosine(one, other) > 0.35
    if m - n > 2:
        return False
    most = 1 if m < 8 else 2
    slips = edits(a, b, most)
    return slips <= most and (a[0] == b[0] or slips == 1)


def edits(one: str, other: str, most: int) -> int:
    """Letters to insert, delete, replace or exchange with the next, or `most` + 1 if more are.

    Damerau 1964, in the restricted form: no part is edited twice.

    Examples
    --------
    >>> edits("adress", "address", 2), edits("form", "from", 2), edits("cat", "dog", 2)
    (1, 1, 3)
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)
