"""Words that turn a question around: open and closed, safe and unsafe, 上 and 下."""

from __future__ import annotations

from functools import cache

from qkv.guard.reading import Reading
from qkv.guard.vocabulary import (
    OPPOSITE_CHARACTERS,
    OPPOSITE_PARTS,
    OPPOSITE_STARTS,
    OPPOSITES,
    REVERSING,
)
from qkv.guard.word import Word, stem

__all__ = ["opposites"]

#: Among more words than these, opposites meet by chance.
_MANY = 40

Pairs = list[tuple[Word, Word]]


def opposites(asked: Reading, stored: Reading, left: list[Word], right: list[Word]) -> Pairs:
    """Opposites among the words that only one side has, which are taken out of both."""
    if not left or not right or max(len(left), len(right)) > _MANY:
        return []
    if asked.pieces and stored.pieces:
        return _characters(asked, stored, left, right)
    table = _stems()
    found = []
    for word in list(left):
        against = table.get(word.key, ())
        end = word.plain[-4:]
        for other in right:
            # Most words end differently; that is seen at once.
            alike = other.plain[-4:] in {end, "less"} or end == "less"
            if other.key in against or (alike and _turned(word.plain, other.plain)):
                found.append((word, other))
                left.remove(word)
                right.remove(other)
                break
    return found


@cache
def _stems() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for word, others in OPPOSITES.items():
        found.setdefault(stem(word), set()).update(map(stem, others))
    return {word: frozenset(others - {word}) for word, others in found.items()}


def _turned(one: str, other: str) -> bool:
    """Whether one is the other with a beginning, or an end, that turns it around."""
    if one[-4:] != other[-4:]:
        ends = one.endswith("less") + 2 * other.endswith("less")
        return ends in {1, 2} and (
            one.removesuffix("less" if ends == 1 else "ful")
            == other.removesuffix("ful" if ends == 1 else "less")
        )
    short, long = sorted((one, other), key=len)
    if long.endswith(short):
        least = REVERSING.get(long.removesuffix(short))
        return least is not None and len(short) >= least
    return any(
        long.startswith(a) and short.startswith(b) and long[len(a) :] == short[len(b) :]
        for a, b in OPPOSITE_STARTS
    )


def _characters(asked: Reading, stored: Reading, left: list[Word], right: list[Word]) -> Pairs:
    """Opposites where nothing marks the words: known ones, or a single character that differs."""
    if len(left) == len(right) == 1 and {left[0].text, right[0].text} in OPPOSITE_CHARACTERS:
        return [(left.pop(), right.pop())]
    one, other = ("".join(w.text for w in reading.words) for reading in (asked, stored))
    for a, b in OPPOSITE_PARTS:
        if (a in one) is not (a in other) and (a in one, b in one) == (b in other, a in other):
            return [(_part(a), _part(b)) if a in one else (_part(b), _part(a))]
    return []


def _part(text: str) -> Word:
    return Word(text, text, text, 1.0)
