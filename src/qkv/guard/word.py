"""Words, and what is known of each wherever it stands."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from qkv.guard.vocabulary import (
    ALIASES,
    CALENDAR,
    LIGHT,
    NEGATIONS,
    NUMBERS,
    UNITS,
    Unit,
)
from qkv.languages import LANGUAGES, stems, stop_words

__all__ = ["ENGLISH", "Word", "character", "languages", "stem", "word"]

ENGLISH = frozenset(("en",))
#: Longer words are cut.
_LENGTH = 64
#: Each of many characters may be half a word.
_PIECE = 0.5


class Word(NamedTuple):
    """What a word is, wherever it stands.

    Attributes
    ----------
    text, plain : str
        As written, and without case.
    key : str
        Words of one key are the same word.
    weight : float
        How much it says: nothing if any text may hold it.
    capital, inside : bool
        Whether it has a capital letter, and one that no beginning explains.
    special : bool
        Whether one of those below is there, the unit aside.
    languages : tuple of str
        Whose small word it is.
    denies : frozenset of str or None
        In which languages it denies.
    counts : dict or None
        Language → number.
    calendar : tuple or None
        A month or a day of the week.
    unit : Unit or None
    """

    text: str
    plain: str
    key: str
    weight: float
    capital: bool = False
    inside: bool = False
    special: bool = False
    languages: tuple[str, ...] = ()
    denies: frozenset[str] | None = None
    counts: dict[str, float] | None = None
    calendar: tuple[str, int] | None = None
    unit: Unit | None = None


def stem(word: str) -> str:
    """The stem of a word of the Latin alphabet; any other word as it is."""
    return stems("en")([word])[0] if word.isascii() else word


@cache
def _small_words() -> dict[str, tuple[str, ...]]:
    """Small words and the languages that they belong to."""
    found: dict[str, list[str]] = {}
    for language in LANGUAGES:
        for word in stop_words(language):
            if word not in NEGATIONS and word not in NUMBERS:
                found.setdefault(word, []).append(language)
    return {word: tuple(languages) for word, languages in found.items()}


@lru_cache(maxsize=1 << 16)
def word(text: str) -> Word:
    """All about a word that does not depend on its text."""
    text = text[:_LENGTH]
    plain = text.casefold().replace("’", "'").removesuffix("'s")
    bare = plain.replace("'", "")
    calendar = CALENDAR.get(bare)
    if calendar and not text[0].isupper() and (len(bare) < 5 or bare == "march"):
        calendar = None
    denies = ENGLISH if plain.endswith("n't") else NEGATIONS.get(bare)
    small = bare in LIGHT or bare in _small_words() or len(bare) < 2
    inside = text[1:] != text[1:].lower()
    return Word(
        text,
        plain,
        stem(ALIASES.get(bare, bare)),
        0.0 if small or denies else 1.0,
        text[0].isupper() or inside,
        inside,
        bool(denies or calendar or bare in NUMBERS),
        _small_words().get(plain, ()),
        denies,
        NUMBERS.get(bare),
        calendar,
        UNITS.get(bare),
    )


@lru_cache(maxsize=1 << 14)
def character(text: str) -> Word:
    """A character of a script without spaces."""
    return Word(text, text, text, _PIECE)


def languages(words: Sequence[Word]) -> frozenset[str]:
    """The languages that most of the small words belong to; none where there are none."""
    votes: dict[str, int] = {}
    for word in words:
        for language in word.languages:
            votes[language] = votes.get(language, 0) + 1
    if not votes:
        return frozenset()
    most = max(votes.values())
    return frozenset([language for language, n in votes.items() if n == most])
