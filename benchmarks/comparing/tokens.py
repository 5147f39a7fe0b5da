"""The tokens of a text as they are compared: words with how rare they are, numbers, signs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from qkv.encoders.glove import glove_table
from qkv.forms import plain_form
from qkv.guard.vocabulary import LIGHT, NEGATIONS, NUMBERS
from qkv.guard.word import stem
from qkv.languages import stop_words
from qkv.types import Floats

__all__ = ["LENGTH", "PREPOSITIONS", "QUANTIFIERS", "Known", "Token", "cosine", "tokenize"]


def _words(text: str) -> list[str]:
    return text.split()


#: So many characters of a text are compared, and so many of its tokens.
LENGTH, MOST = 500, 60
#: Words that say where, when or from whom: a change of them may change what is asked.
PREPOSITIONS = frozenset(
    _words(
        """
    from to of in on at by for with into onto than before after between versus vs over under
    against through about off out up down without during until
    """
    )
)
#: Words that say how many, in what order, on which side: they are small, and yet decide.
QUANTIFIERS = frozenset(
    _words(
        """
    some any all none every each both no yes more less most least first last on off in out up
    down over under before after with without never always
    """
    )
)
_TOKEN = re.compile(
    r"\d+(?:[.,:]\d+)*|[ap]\.m\b\.?|[a-z]\+\+|[a-z]#|[<>=!]=|[^\W\d_]+(?:['’][^\W\d_]+)*|[^\w\s]|_",
    re.IGNORECASE,
)
_SIGNS = frozenset("<>=+*^€$£¥%#@") | {"<=", ">=", "==", "!="}
#: These are signs between numbers, and else only part a text.
_BETWEEN = frozenset("-−/:")
_ROMAN = {
    numeral: float(value)
    for value, numeral in enumerate(
        _words(
            """
    i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx
    """
        ),
        1,
    )
}
#: How much a small word says beside one of content.
_SMALL = 0.3
_WORDS = 400_000
_UNIT = {"a.m.": "am", "a.m": "am", "p.m.": "pm", "p.m": "pm"}


class Known(NamedTuple):
    """What is known of a word wherever it stands.

    Attributes
    ----------
    stem : str
    rank : int
        By frequency, from 0; 400,000 where it is not known.
    weight : float
        ln(rank + 3) / ln 400,003: from near 0 for the commonest word to 1 for one nobody knows.
    vector : array (50,) or None
        Of length 1.
    """

    stem: str
    rank: int
    weight: float
    vector: Floats | None


class Token(NamedTuple):
    """A word, number or sign, where it stands.

    Attributes
    ----------
    text, plain : str
        As written, and without case and possessive.
    known : Known
    weight : float
        How much it says.
    small : bool
        A word that any text may hold.
    number : float or None
    name, sign, letter : bool
        A capital letter makes it a name; a sign of arithmetic or money; a letter that stands alone.
    """

    text: str
    plain: str
    known: Known
    weight: float
    small: bool
    number: float | None
    name: bool
    sign: bool
    letter: bool


@cache
def _small_words() -> frozenset[str]:
    denying = {word for word, spoken in NEGATIONS.items() if "en" in spoken}
    titles = {"mr", "mrs", "ms", "miss", "dr"}
    deciding = {"right", "best", "good", "today", "currently", "dear"}
    return (frozenset(stop_words("en")) | LIGHT | PREPOSITIONS | denying | titles) - deciding


@lru_cache(maxsize=1 << 15)
def known(word: str) -> Known:
    """All about a word in lower case."""
    table = glove_table()
    rank = table.rows.get(word, _WORDS)
    vector = None
    if rank < _WORDS and word[0].isalpha():
        vector = np.array(table.vectors[rank], dtype=np.float32) - table.common_mean
        vector /= max(float(np.linalg.norm(vector)), 1e-9)
    return Known(stem(word), rank, math.log(min(rank, _WORDS) + 3) / math.log(_WORDS + 3), vector)


def cosine(one: Token, other: Token) -> float:
    """Cosine of two words; 0 where one is not known."""
    if one.known.vector is None or other.known.vector is None:
        return 0.0
    return float(one.known.vector @ other.known.vector)


@lru_cache(maxsize=1 << 11)
def tokenize(text: str) -> tuple[Token, ...]:
    """Read a text, or the beginning of a long one.

    Examples
    --------
    >>> [(t.plain, t.number, t.small) for t in tokenize("Where is Henry VIII's 2nd wife?")][:4]
    [('where', None, True), ('is', None, True), ('henry', None, False), ('viii', 8.0, False)]
    """
    text = text[:LENGTH]
    if not text.isascii():
        text = plain_form(text).replace("’", "'")
    found = [m.group() for m in _TOKEN.finditer(text)][:MOST]
    letters = [piece for piece in found if piece[0].isalpha()]
    title = len(letters) > 2 and sum(p[0].isupper() for p in letters) > 0.7 * len(letters)
    return tuple([_token(found, i, title=title) for i in range(len(found))])


def _token(found: Sequence[str], i: int, *, title: bool) -> Token:
    text = found[i]
    plain = _UNIT.get(lowered := text.lower(), lowered).removesuffix("'s")
    number = _number(found, i, plain)
    sign = plain in _SIGNS or plain[1:] in {"++", "#"} or _parts_numbers(found, i)
    alone = len(plain) == 1 and plain.isalpha() and number is None
    letter = alone and text != "I" and (plain not in "ais" or i + 1 == len(found) or text == "A")
    small = number is None and not letter and not sign and _is_small(found, i, plain)
    about = known(plain)
    weight = about.weight
    if not sign and not plain[0].isalnum():
        small, weight = True, 0.0
    elif small:
        weight *= _SMALL
    capital = text[0].isupper() and text != "I"
    name = capital and not title and (i > 0 or (text.isupper() and len(text) > 1))
    return Token(text, plain, about, weight, small, number, name, sign, letter)


def _is_small(found: Sequence[str], i: int, plain: str) -> bool:
    if plain == "us":  # a pronoun follows no article
        return not found[i].isupper() and (i == 0 or found[i - 1].lower() != "the")
    return plain in _small_words() or plain.endswith("n't")


def _parts_numbers(found: Sequence[str], i: int) -> bool:
    inside = 0 < i < len(found) - 1
    return inside and found[i] in _BETWEEN and found[i - 1][0].isdigit() and found[i + 1].isdigit()


def _number(found: Sequence[str], i: int, plain: str) -> float | None:
    """The value of digits, a number word, or a Roman numeral behind something that it counts."""
    text = found[i]
    if text[0].isdigit():
        grouped = re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", text)
        try:
            return float(text.replace(",", "") if grouped else text.replace(",", "."))
        except ValueError:
            return float(int.from_bytes(text.encode()[:6])) + 0.5  # 15:30, 3.11.2: itself alone
    counts = NUMBERS.get(plain)
    if counts is not None and "en" in counts:
        return counts["en"]
    if plain in _ROMAN and i > 0:
        last = text.isupper() and (len(text) > 1 or i == len(found) - 1)
        if last or (len(plain) > 1 and plain not in {"xi", "vi"}):
            return _ROMAN[plain]
    return None
