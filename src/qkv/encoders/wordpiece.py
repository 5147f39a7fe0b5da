"""WordPiece: words, and parts of words where a word is rare, as uncased BERT and MiniLM read."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path

__all__ = ["WordPiece"]

#: A longer word is unknown. BERT's own limit: it bounds the time that nonsense takes.
_LONGEST = 100
#: Words whose tokens are remembered: most words of a text have been read before.
_REMEMBERED = 2**15
#: Marks that stand in a text as they are stay marks, as in the published tokenizer.
_MARKS = re.compile(r"(\[(?:PAD|UNK|CLS|SEP|MASK)\])")


class WordPiece:
    """Texts to tokens by BERT's rules (Devlin et al. 2019; Wu et al. 2016, §4.1).

    Words are parted at white space; punctuation and Chinese characters are words of their own.
    Control characters and accents go, and capitals are lowered. A word is the longest token that
    begins it, then again and again the longest token that goes on, and one unknown token if that
    fails anywhere.

    The tokens are those of Hugging Face's ``tokenizers``, whatever the text, and the same with
    every version of Python.

    Parameters
    ----------
    vocabulary : sequence of str
        Tokens in their order, ``[UNK]``, ``[CLS]`` and ``[SEP]`` among them; those that go on
        within a word begin with ``##``.

    Attributes
    ----------
    unknown, begin, end : int
        The tokens ``[UNK]``, ``[CLS]`` and ``[SEP]``.

    Examples
    --------
    >>> tokenizer = WordPiece.load()
    >>> tokenizer.words("Naïve, unfathomably so")
    ['naive', ',', 'unfathomably', 'so']
    >>> tokenizer.pieces("unfathomably")
    (4895, 27753, 23393, 8231)
    >>> tokenizer.encode("Naïve, unfathomably so")
    [15743, 1010, 4895, 27753, 23393, 8231, 2061]
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        places = {token: place for place, token in enumerate(vocabulary)}
        self.unknown, self.begin, self.end = (places[m] for m in ("[UNK]", "[CLS]", "[SEP]"))
        self._first = places
        self._further = {t[2:]: place for t, place in places.items() if t.startswith("##")}
        self._longest = max(map(len, places))
        self._characters = _Characters()
        self._pieces = lru_cache(_REMEMBERED)(self._longest_match)

    @classmethod
    @cache
    def load(cls) -> WordPiece:
        """Return the tokenizer of MiniLM, whose vocabulary is part of this package; loaded once."""
        return cls(_data("vocab.txt").rstrip("\n").split("\n"))

    def encode(self, text: str) -> list[int]:
        """Tokens of the text, without the marks of its beginning and end."""
        return list(chain.from_iterable(map(self.pieces, self.words(text))))

    def words(self, text: str) -> list[str]:
        """Words of the text, in the form in which they are looked up."""
        found: list[str] = []
        for place, part in enumerate(_MARKS.split(text)):
            plain = unicodedata.normalize("NFD", part).translate(self._characters).split()
            found += [part] if place % 2 else plain
        return found

    def pieces(self, word: str) -> tuple[int, ...]:
        """Tokens of one of ``words``: one or several."""
        # Looked at before the memory, which should not hold a file in base64.
        return (self.unknown,) if len(word) > _LONGEST else self._pieces(word)

    def _longest_match(self, word: str) -> tuple[int, ...]:
        tokens: list[int] = []
        start, known = 0, self._first
        while start < len(word):
            for end in range(min(len(word), start + self._longest), start, -1):
                if (token := known.get(word[start:end])) is not None:
                    break
            else:
                return (self.unknown,)
            tokens.append(token)
            start, known = end, self._further
        return tuple(tokens)


class _Characters(dict[int, str]):
    """What becomes of a character, for ``str.translate``: found at its first use."""

    def __init__(self) -> None:
        rows = [line.split() for line in _data("characters.txt").splitlines()]
        self._firsts = [int(first, 16) for first, _, _ in rows]
        self._lasts = [int(last, 16) for _, last, _ in rows]
        self._fates = [fate for _, _, fate in rows]

    def __missing__(self, code: int) -> str:
        row = bisect_right(self._firsts, code) - 1
        fate = self._fates[row] if row >= 0 and code <= self._lasts[row] else "stay"
        found = {"drop": "", "space": " ", "apart": f" {chr(code)} ", "stay": chr(code).lower()}
        return self.setdefault(code, found[fate])


def _data(name: str) -> str:
    return (Path(__file__).parent / "data" / name).read_text(encoding="utf-8")
