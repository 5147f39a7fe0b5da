"""Words: text to the tokens that keyword search counts, in any script.

A token is a run of letters, digits and marks, without case, accents and width: "Café" is found by
"CAFE". Scripts that put no or few spaces between words (Chinese, Japanese, Korean, Thai, Lao,
Khmer, Burmese) are cut into overlapping pieces instead: "世界杯" holds 世界 and 界杯, and each
character for queries of one. An emoji is a token. Nothing in a text is an operator.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from qkv.languages import LANGUAGES, stop_words

__all__ = [
    "VERSION",
    "Token",
    "content_tokens",
    "hits",
    "query_tokens",
    "small_tokens",
    "tokenize",
    "tokens",
]

#: Grows when the same text would give other tokens: an index made by another version is rebuilt.
VERSION = 1

#: Scripts cut into pieces: first code point, the one past the last, and the longest piece.
_PIECES = (
    (0x0E00, 0x0F00, 3),  # Thai, Lao
    (0x1000, 0x10A0, 3),  # Burmese
    (0x1100, 0x1200, 2),  # Hangul letters
    (0x1780, 0x1800, 3),  # Khmer
    (0x2E80, 0x3200, 2),  # Han radicals, kana, Hangul compatibility letters
    (0x3400, 0xA000, 2),  # Han
    (0xAC00, 0xD7B0, 2),  # Hangul
    (0xF900, 0xFB00, 2),  # Han, compatibility
    (0xFF66, 0xFFDD, 2),  # halfwidth kana and Hangul
    (0x1AFF0, 0x1B170, 2),  # kana supplements
    (0x20000, 0x32000, 2),  # Han, extensions
)
_ASCII = re.compile("[a-z0-9]+")
_RUNS = re.compile("a+|b+|c+|d")
_LONGEST = {"a": 1, "b": 2, "c": 3, "d": 1}
#: What the index's own tokenizer would split at or drop.
_UNFIT = re.compile("[\x00-/:-`{-\x7f]")
#: Longer tokens are cut: no one asks for them, and a file has to hold them.
_LENGTH = 64


class Token(NamedTuple):
    """A token and where it stands: ``text[start:end]``."""

    text: str
    start: int
    end: int


class _Classes(dict[int, str]):
    """Class of a code point: a in words, b and c in pieces of up to 2 and 3, d alone."""

    def __missing__(self, code: int) -> str:
        category = unicodedata.category(chr(code))
        found = " "
        if category == "So":
            found = "d"
        elif category[0] == "N":
            found = "a"
        elif category[0] in "LM":
            length = next((n for first, end, n in _PIECES if first <= code < end), 1)
            found = "abc"[length - 1]
        self[code] = found
        return found


_CLASSES = _Classes()


def tokens(text: str) -> list[str]:
    """Return all tokens of a text, as the index holds them: of pieces, all lengths.

    Examples
    --------
    >>> tokens("The world-cup, in CAFÉS!")
    ['the', 'world', 'cup', 'in', 'cafes']
    >>> tokens("世界杯 2022")
    ['世', '世界', '界', '界杯', '杯', '2022']
    """
    if text.isascii():
        found = _ASCII.findall(text.lower())
        return [word[:_LENGTH] for word in found] if len(text) > _LENGTH else found
    return [token.text for token in tokenize(text)]


def query_tokens(text: str) -> list[str]:
    """Return what to look for: of pieces, only the longest.

    Examples
    --------
    >>> query_tokens("世界杯 2022")
    ['世界', '界杯', '2022']
    """
    if text.isascii():
        return tokens(text)
    return [token.text for token in tokenize(text, longest=True)]


@cache
def small_tokens(language: str | None = None) -> frozenset[str]:
    """Tokens of the stop words of a language; None: of all, where nobody says which it is."""
    languages = LANGUAGES if language is None else (language,)
    listed = (word for one in languages for word in stop_words(one))
    return frozenset(token for word in listed for token in tokens(word))


def content_tokens(text: str) -> list[str]:
    """Return what to look for, without the small words of the text's language.

    That is English, unless two words and more are small in another one, and more of them than in
    English. A text of small words alone keeps them.

    Examples
    --------
    >>> content_tokens("What is the number of E1042?"), content_tokens("The Who")
    (['number', 'e1042'], ['the', 'who'])
    >>> content_tokens("Wo ist mein Auto?"), content_tokens("red car")  # "car" is small in French
    (['auto'], ['red', 'car'])
    """
    found = query_tokens(text)
    language, most = "en", max(1, sum(token in small_tokens("en") for token in found))
    for other in LANGUAGES:
        hits = sum(token in small_tokens(other) for token in found)
        if hits > most:
            language, most = other, hits
    return [token for token in found if token not in small_tokens(language)] or found


def tokenize(text: str, *, longest: bool = False) -> Iterator[Token]:
    """Find tokens and where they stand.

    Parameters
    ----------
    text : str
    longest : bool
        Of pieces, only the longest.

    Yields
    ------
    Token
    """
    for run in _RUNS.finditer(text.translate(_CLASSES)):
        start, stop = run.span()
        if (n := _LONGEST[run[0][0]]) == 1:
            yield from _token(text, start, stop)
            continue
        for i in range(start, stop if not longest else max(start, stop - n) + 1):
            ends = range(i + 1, min(i + n, stop) + 1)
            for end in ends[-1:] if longest else ends:
                yield from _token(text, i, end)


def _token(text: str, start: int, stop: int) -> Iterator[Token]:
    if folded := _folded(text[start:stop]):
        yield Token(folded, start, stop)


@lru_cache(maxsize=1 << 16)
def _folded(word: str) -> str:
    """The form under which a word is found: no case, no accents, no width."""
    plain = unicodedata.normalize("NFKD", word[: 4 * _LENGTH]).casefold()
    if not plain.isascii():
        # Accents are dropped; the vowel signs of Hindi or Thai are other code points, and stay.
        plain = "".join(c for c in plain if not 0x300 <= ord(c) < 0x370)
        plain = unicodedata.normalize("NFC", plain)
    return _UNFIT.sub("", plain)[:_LENGTH]


def hits(text: str, wanted: Collection[str]) -> list[tuple[int, int]]:
    """Find where a text holds wanted tokens: (start, end), overlapping pieces as one.

    Examples
    --------
    >>> hits("The world cup is in Qatar.", {"cup", "qatar"})
    [(10, 13), (20, 25)]
    >>> hits("我们在世界杯", {"世界", "界杯"})
    [(3, 6)]
    """
    found: list[tuple[int, int]] = []
    for token in tokenize(text):
        if token.text not in wanted:
            continue
        if found and token.start < found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], token.end)
        else:
            found.append((token.start, token.end))
    return found
