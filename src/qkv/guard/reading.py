"""A text as the guard reads it: its words, its numbers, what it denies."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple

from qkv.guard.counting import Counting
from qkv.guard.numbers import Number, han_numbers
from qkv.guard.word import Word, character, languages, word

__all__ = ["LENGTH", "Reading", "read"]

#: So many characters of a text are read, and so many of its numbers.
LENGTH, _MANY = 2000, 24
#: Kana and Han have no spaces between words: every character is a token.
_HAN = "\u3005-\u3007\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_LETTER = rf"[^\W\d_{_HAN}]"
_TOKEN = re.compile(
    r"([A-Za-z]++(?:['’][A-Za-z]++)*+(?![^\W_]))"  # a plain word, quickly
    r"|((?:(?<!\S)(?<!\d\s)[-−])?\d+(?:-\d\d-\d\d(?!\d)|(?:[.,:/'’]\d+)+)?)"  # a number
    r"|([A-Za-z]+\d+(?:[A-Za-z]|\.?\d)*)"  # a code: P60, v3.10
    rf"|([{_HAN}])"
    rf"|([ap]\.m\b\.?|{_LETTER}+(?:[\u0300-\u036f'’]+{_LETTER}+)*)"  # a word
    r"|(°[cfCF]|[%$€£¥₹₩₽])"
)
_PLAIN, _NUMBER, _CODE, _CHARACTER, _WORD, _SIGN = range(1, 7)
#: What denies nothing: questions, and "not only".
_IDLE = re.compile(
    r"\b(?:not only|or not|why not|why don'?t|not sure|not just|no problem|sin embargo)\b"
    r"|^\W*(?:is|are|ca|should|would|could|does|did|has|have|was|were)n['’]t\b",
    re.IGNORECASE,
)
_IDLE_PARTS = re.compile(
    "不同|不过|不過|不仅|不僅|不但|不管|不断|不斷|不久|不少|不锈|不鏽|不论|不論|不得不|不如|"
    "不客气|不只|不止|"
    "不好意思|对不起|對不起|差不多|有没有|有沒有|(.)[不没沒]\\1|没收|无论|無論|无线|無線|无限|無限|"
    "无锡|未来|未來|"
    "かもしれ(?:ない|ません)|なければ(?:なら|いけ)(?:ない|ません)|に(?:違|ちが)いない|すみません|"
    "少な[いく]|危な[いく]|ませんか|ないか|なくなる|なくては|"
    "[間ま]もなく|でな[くい]|はなく|しか\\S{1,12}(?:ない|ません)|"
    "끊임없|틀림없|상관없|수밖에 없|못지않|뿐만? 아니|淹没|沉没|沒收|淹沒|沉沒"
)
_DENYING = (
    (re.compile("[\u3041-\u30ff]"), re.compile("ない|なかっ|なく|ません|なし|ずに|無し|不可")),
    (re.compile("[\u4e00-\u9fff]"), re.compile("[不没沒无無未]")),
    (re.compile("[가-힣]"), re.compile("않|없|아니[다라며었에]|아닌|아닙|(?<!\\S)[안못](?=\\s)")),
)
#: Where a capital letter means only that a sentence begins.
_BEGINNING = frozenset(".?!:;…¿¡\"“”»«('’")
_HANGUL = re.compile("[\uac00-\ud7a3]")
#: Nouns have capitals here.
_CAPITAL_NOUNS = frozenset(("de",))
#: English words that deny in other languages.
_OTHERWISE = frozenset(("sin", "sans", "pas", "mai", "bez"))


Token = tuple[int, str, int, int, Word | None]


class Reading(NamedTuple):
    """A text as the guard reads it.

    Attributes
    ----------
    words : list of Word
        In order, without numbers, their units, and dates.
    keys : frozenset of str
    size : float
        Their weights' sum.
    names : collection of str
        Keys of words that a capital letter makes names.
    numbers, codes, dates, denials : sequence
        In order.
    pieces : bool
        Whether there are characters of a script without spaces.
    text : str
    """

    words: list[Word]
    keys: frozenset[str]
    size: float
    names: Collection[str]
    numbers: Sequence[Number]
    codes: Sequence[str]
    dates: Sequence[Word]
    denials: Sequence[str]
    pieces: bool
    text: str


@lru_cache(maxsize=1 << 9)
def read(text: str) -> Reading:
    """Read a text, or the beginning of a long one."""
    text = text[:LENGTH]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)[:LENGTH]
    tokens = _tokens(text)
    words = [token[4] for token in tokens if token[4] is not None]
    names = _names(text, tokens, words)
    telling = any(word.special for word in words)
    denials = _denials(words, text) if telling else []
    numbers: list[Number] = []
    codes: list[str] = []
    dates: list[Word] = []
    if len(words) < len(tokens) or (telling and any(word.counts for word in words)):
        codes = [token[1].casefold() for token in tokens if token[0] == _CODE]
        words, numbers = _counted(text, tokens, languages(words))
    pieces = False
    if not text.isascii():
        pieces = any(token[0] == _CHARACTER for token in tokens)
        numbers += han_numbers(text)
        denials += _denials_in_parts(text)
    if telling and (dates := [word for word in words if word.calendar]):
        words = [word for word in words if not word.calendar]
    keys = frozenset([word.key for word in words])
    size = sum([word.weight for word in words])
    return Reading(
        words, keys, size, names, numbers[:_MANY], codes[:_MANY], dates, denials, pieces, text
    )


def _tokens(text: str) -> list[Token]:
    """Kind, text, start and end; and the word, if it is one or a character."""
    found: list[Token] = []
    for m in _TOKEN.finditer(text):
        kind, piece = m.lastindex or 0, m[0]
        start, end = m.span()
        if kind in {_PLAIN, _WORD}:
            found.append((_WORD, piece, start, end, word(piece)))
        elif kind == _CHARACTER:
            found.append((kind, piece, start, end, character(piece)))
        else:
            found.append((kind, piece, start, end, None))
    return found


def _counted(
    text: str, tokens: list[Token], spoken: frozenset[str]
) -> tuple[list[Word], list[Number]]:
    """The words, without those that belong to numbers, and the numbers."""
    counting = Counting(text, spoken)
    for kind, found, start, end, known in tokens:
        if kind == _WORD and known is not None:
            counting.word(known, start, end)
        elif known is not None:
            counting.words.append(known)
        elif kind == _NUMBER:
            counting.number(found, end)
        elif kind == _SIGN:
            counting.sign(found, start)
    return counting.words, counting.numbers


def _names(text: str, tokens: list[Token], words: list[Word]) -> Collection[str]:
    """Keys of the words that a capital letter makes names."""
    weighty = [
        (known, known.inside or not _begins(text, start))
        for _, _, start, _, known in tokens
        if known is not None and known.weight
    ]
    names = {known.key for known, telling in weighty if known.capital and telling}
    if not names or (not text.isascii() and _HANGUL.search(text)):
        return ()
    written = [known.capital for known, telling in weighty if telling]
    title = len(written) > 2 and all(written)
    spoken = languages(words)
    # "In" is German, too: where a text may be English, capitals are believed.
    return () if title or (spoken & _CAPITAL_NOUNS and "en" not in spoken) else names


def _begins(text: str, start: int) -> bool:
    before = text[max(0, start - 4) : start].rstrip()
    return not before or before[-1] in _BEGINNING


def _denials(words: list[Word], text: str) -> list[str]:
    """The words that deny, in the text's language."""
    found = []
    spoken = languages(words)
    for known in words:
        if known.denies is None:
            continue
        if spoken:
            fits = bool(known.denies & spoken)
        else:
            fits = "en" in known.denies or known.plain not in _OTHERWISE
        if fits:
            found.append(known.text)
    if found and (idle := len(_IDLE.findall(text))):
        del found[:idle]
    return found


def _denials_in_parts(text: str) -> list[str]:
    """What denies where nothing marks the words."""
    for script, denying in _DENYING:
        if script.search(text):
            return [m[0] for m in denying.finditer(_IDLE_PARTS.sub("", text))]
    return []
