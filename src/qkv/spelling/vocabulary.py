"""The words of a store: how often each occurs, and beside which others."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np

from qkv.types import Integers

__all__ = ["BEGIN", "END", "Vocabulary", "folded", "lowered", "word_spans", "words_of"]

#: What stands before the first word of a text and after the last.
BEGIN, END = "<", ">"

#: Letters of scripts that put spaces between words and are written letter by letter: Latin, Greek,
#: Cyrillic, Armenian.
_LETTERS = (
    "a-zA-Z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0370-\u058f\u1e00-\u1fff"
)
_WORD = re.compile(f"(?:(?=[{_LETTERS}])[^\\W\\d_])+")
_PLAIN_WORD = re.compile("[a-z]+")
#: Places of the table of pairs: at first, and at most (uint16 each: 8 MB).
_FEWEST, _MOST = 1 << 14, 1 << 22
_FULL = 0xFFFF
#: Odd numbers that mix two hashes (the golden ratio's, xxHash's, SplitMix64's), modulo 2⁶⁴.
_FIRST, _SECOND, _THIRD = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xBF58476D1CE4E5B9
_ALL = (1 << 64) - 1


def words_of(text: str) -> list[str]:
    """The words of a text in lower case: runs of letters.

    Examples
    --------
    >>> words_of("Don't reset the E1042, café!")
    ['don', 't', 'reset', 'the', 'e', 'café']
    """
    return (_PLAIN_WORD if text.isascii() else _WORD).findall(lowered(text))


def lowered(text: str) -> str:
    """A text in lower case; Turkish's İ is one letter there, too."""
    return text.lower() if text.isascii() else text.lower().replace("i\u0307", "i")


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words of a text stand, in the text as it is: ``text[start:end]``."""
    return [found.span() for found in _WORD.finditer(text)]


def folded(word: str) -> str:
    """A word without its accents; й is no и with an accent but a letter.

    Examples
    --------
    >>> folded("número"), folded("ёлкой")
    ('numero', 'елкой')
    """
    if word.isascii():
        return word
    plain = unicodedata.normalize("NFD", word).replace("и\u0306", "й")
    return unicodedata.normalize("NFC", "".join(c for c in plain if not 0x300 <= ord(c) < 0x370))


class Vocabulary:
    """The words of a store's texts and the pairs of neighbours among them, counted.

    Words are counted exactly. Pairs are hashed to two places each of a table that grows with them,
    to 8 MB; the smaller of both counts stands for the pair (a count-min sketch: Cormode &
    Muthukrishnan 2005), so a pair is never counted too rarely, and too often where both places are
    shared.

    Parameters
    ----------
    texts : iterable of str
        To begin with.

    Examples
    --------
    >>> words = Vocabulary(["reset my password", "my card"])
    >>> words.count("my"), words.count("your"), words.total
    (2, 0, 5)
    >>> words.pair("my", "card"), words.pair("card", "my")
    (1, 0)
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.counts: Counter[str] = Counter()
        #: Letters with accents, or of other scripts, that occur.
        self.letters: Counter[str] = Counter()
        self._accented: defaultdict[str, set[str]] = defaultdict(set)
        self._pairs = np.zeros(_FEWEST, dtype=np.uint16)
        self._total = self._texts = 0
        self.add(texts)

    def __contains__(self, word: object) -> bool:
        return word in self.counts

    def __len__(self) -> int:
        """How many different words there are."""
        return len(self.counts)

    @property
    def total(self) -> int:
        """How many words all texts have."""
        return self._total

    def count(self, word: str) -> int:
        """How often a word (in lower case) occurs; of ``BEGIN`` and ``END``, how many texts."""
        return self._texts if word in (BEGIN, END) else self.counts.get(word, 0)

    def pair(self, first: str, second: str) -> int:
        """How often two words stand beside each other; seldom too high, never too low.

        ``BEGIN`` and ``END`` are words here.
        """
        one, other = _place(zlib.crc32(first.encode()), zlib.crc32(second.encode()))
        mask = len(self._pairs) - 1
        return min(self._pairs.item(one & mask), self._pairs.item(other & mask))

    def accented(self, word: str) -> str | None:
        """The commonest word of the store that is this one with accents, if there is one.

        Examples
        --------
        >>> Vocabulary(["mi número"]).accented("numero")
        'número'
        """
        found = self._accented.get(word)
        return max(found, key=lambda one: (self.counts[one], one)) if found else None

    def add(self, texts: Iterable[str]) -> None:
        """Count the words of texts."""
        self._tell(texts, 1)

    def remove(self, texts: Iterable[str]) -> None:
        """Count the words of texts no more, which were added before."""
        self._tell(texts, -1)

    def _tell(self, texts: Iterable[str], sign: int) -> None:
        flat: list[str] = [END]
        seen = 0
        for text in texts:
            words = words_of(text)
            if not words:
                continue
            seen += 1
            flat.append(BEGIN)
            flat += words
            flat.append(END)
        if not seen:
            return
        told = Counter(flat)
        del told[BEGIN], told[END]
        self._total += sign * told.total()
        self._texts += sign * seen
        self._words(told, sign)
        self._count_pairs(_hashes(flat), sign)

    def _words(self, told: Counter[str], sign: int) -> None:
        if sign > 0:
            new = [word for word in told if word not in self.counts]
            self.counts.update(told)
        else:
            self.counts.subtract(told)
            new = [word for word in told if self.counts[word] <= 0]
            for word in new:
                del self.counts[word]
        for word in new:
            if not word.isascii():
                self._other_letters(word, sign)

    def _other_letters(self, word: str, sign: int) -> None:
        letters = {c: sign for c in set(word) if not c.isascii()}
        self.letters.update(letters)
        for letter in letters:
            if self.letters[letter] <= 0:
                del self.letters[letter]
        if (plain := folded(word)) != word:
            forms = self._accented[plain]
            (forms.add if sign > 0 else forms.discard)(word)
            if not forms:
                del self._accented[plain]

    def _count_pairs(self, hashes: Integers, sign: int) -> None:
        while len(self._pairs) < _MOST and len(self._pairs) < 4 * self._total:
            # A place's count is handed to both places that it becomes: an upper bound still.
            self._pairs = np.tile(self._pairs, 2)
        for row in _places(hashes[:-1], hashes[1:], len(self._pairs)):
            places, counts = np.unique(row, return_counts=True)
            before = self._pairs[places].astype(np.int64)
            after = np.clip(before + sign * counts, 0, _FULL)
            # What ran full is no longer known, and stays.
            self._pairs[places] = np.where(before == _FULL, before, after)


def _hashes(words: list[str]) -> Integers:
    return np.array([zlib.crc32(word.encode()) for word in words], dtype=np.uint64)


def _places(first: Integers, second: Integers, size: int) -> Integers:
    """Two places of each pair, shape (2, n); those of a half table are the low bits of them."""
    mixed = first * np.uint64(_FIRST) + second * np.uint64(_SECOND)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(_THIRD)
    mask = np.uint64(size - 1)
    return np.stack([mixed >> np.uint64(40) & mask, mixed >> np.uint64(16) & mask]).astype(np.int64)


def _place(first: int, second: int) -> tuple[int, int]:
    """The same of one pair, before the mask: arrays of one entry take ten times as long."""
    mixed = (first * _FIRST + second * _SECOND) & _ALL
    mixed ^= mixed >> 29
    mixed = (mixed * _THIRD) & _ALL
    return mixed >> 40, mixed >> 16
