"""Forms: one plain form of a text, for keys and queries alike, however it was typed or copied.

What is no part of a text's meaning goes before anything reads it: width and ligatures, letters
that are drawn in another style, characters that cannot be seen, letters of another script that only
look the same, and capitals that are shouted. Nothing here depends on a store or a language, and
letters that a script needs stay: Persian's and Hindi's joiners, Thai's vowels, emoji sequences.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["plain_form"]

#: Shorter texts in capitals are abbreviations.
SHOUTED_LETTERS = 5
#: Share of capitals among letters from which on a text is read in lower case.
SHOUTED_SHARE = 0.8

_CAPITALS = bytes(range(ord("A"), ord("Z") + 1))
_LETTERS = _CAPITALS + _CAPITALS.lower()

#: Joiners: they stay where the script or an emoji sequence needs them.
_JOINERS = re.compile("[\u200c\u200d]+")
#: A numeral that would run into the number before it: 10² is not 102, nor 1½ eleven halves.
_RAISED = re.compile("(?<=[0-9])(?=[²³¹⁰⁴-⁹])")
_BESIDE = re.compile("(?<=[0-9])(?=[¼-¾⅐-⅟↉①-⒛⓪㉑-㉟㊱-㊿])")
#: Format characters that are seen (marks around Arabic and Syriac numbers, Kaithi's number signs),
#: Mongolian's vowel separator, and the letters of flags.
_KEPT = re.compile(
    "[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\u180e\U000110bd\U000110cd\U000e0020-\U000e007f]"
)
#: Invisible without being format characters: Hangul's fillers, the grapheme joiner, variation
#: selectors. The Arabic letter stretcher is drawn, and says nothing.
_BLANK = re.compile("[\u034f\u0640\u115f\u1160\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_WORD = re.compile("(?:[^\\W\\d_][\u0300-\u036f]*)+")

#: Letters drawn like Latin ones (as Unicode's table of confusables has them, without what only
#: resembles), in both cases. A word of them alone is a word of its own script.
_ALIKE = dict(
    zip(
        # Cyrillic, twice; Armenian; Greek; Latin letters of phonetic writing
        "авекмнорстухіјѕԁһӏԛԝүԍ" + "АВЕКМНОРСТУХІЈЅԀҺӀԚԜҮԌ" + "օսհոցլ" + "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο" + "ɑɡ",
        "abekmhopctyxijsdhlqwyg" + "ABEKMHOPCTYXIJSDHIQWYG" + "ouhngl" + "ABEZHIKMNOPTYXo" + "ag",
        strict=True,
    )
)
#: These look alike and are symbols, too (TNF-α, χ²): inside of a word they are letters, at its ends
#: where the text has other look-alikes.
_SYMBOLS = dict(zip("αικνρυχ", "aiknpux", strict=True))
_DRAWN = re.compile(
    "LATIN LETTER SMALL CAPITAL ([A-Z])|NEGATIVE (?:CIRCLED|SQUARED) LATIN CAPITAL LETTER ([A-Z])"
)


class _Plain(dict[int, str]):
    """What a code point becomes: nothing where it cannot be seen, else its compatibility form."""

    def __missing__(self, code: int) -> str:
        self[code] = found = _plain(chr(code))
        return found


def _plain(c: str) -> str:
    if c in "\u200c\u200d" or _KEPT.match(c):
        return c
    if _BLANK.match(c) or unicodedata.category(c) == "Cf" or c in "™℠":
        return ""
    if drawn := _DRAWN.fullmatch(unicodedata.name(c, "")):
        return drawn[1].lower() if drawn[1] else drawn[2]
    if c == "´":
        return "'"
    plain = unicodedata.normalize("NFKC", c).replace("\u2044", "/")
    # An accent that stands alone would become a space and an accent; Thai's and Lao's AM, and
    # Hangul's letters, would be taken apart.
    apart = (plain[0] == " " and len(plain) > 1) or c in "ำຳ" or "\u3131" <= c <= "\u318e"
    return c if apart else plain


_PLAIN = _Plain()


def plain_form(text: str) -> str:
    """Bring a text to its plain form: what it says, without what it was typed with.

    In order: Unicode compatibility forms (NFKC, but for letters that it would take apart: Thai's
    AM, single Hangul letters); characters that cannot be seen are dropped (joiners stay where
    Arabic or Indic letters or emoji need them); letters of other scripts that look like Latin ones
    are read as these in words that have Latin letters, too; a text of at least 5 letters, 80 % of
    them capitals, is read in lower case.

    Parameters
    ----------
    text : str
        Any text, in any script.

    Returns
    -------
    str
        The same object where nothing is to be done. Its plain form is itself, and it is empty only
        for an empty text.

    Examples
    --------
    >>> plain_form("ＨＯＷ do I ﬁnd my p\u0430ss\u00adword\u200b?")  # Cyrillic а, soft hyphen
    'HOW do I find my password?'
    >>> plain_form("WHERE IS MY CARD"), plain_form("the NASA budget")
    ('where is my card', 'the NASA budget')
    >>> plain_form("10² m², 1½ cups")
    '10^2 m2, 1 1/2 cups'
    """
    if text.isascii():
        return _ascii(text)
    plain = _RAISED.sub("^", _BESIDE.sub(" ", text)).translate(_PLAIN)
    if "\u200c" in plain or "\u200d" in plain:
        plain = _JOINERS.sub(_joiner, plain)
    plain = _same_script(unicodedata.normalize("NFC", plain))
    if _shouted(plain):
        # Turkish's İ is lowered to an i with another dot.
        plain = unicodedata.normalize("NFC", plain.lower().replace("i\u0307", "i"))
        plain = _same_script(plain)
    if plain == text:
        return text
    return plain or text


def _ascii(text: str) -> str:
    if text.islower():
        return text
    letters = text.encode()
    total = len(letters) - len(letters.translate(None, _LETTERS))
    capitals = len(letters) - len(letters.translate(None, _CAPITALS))
    shouted = total >= SHOUTED_LETTERS and capitals >= SHOUTED_SHARE * total
    return text.lower() if shouted else text


def _shouted(text: str) -> bool:
    if text.islower():
        return False
    total = sum(map(str.isalpha, text))
    return total >= SHOUTED_LETTERS and sum(map(str.isupper, text)) >= SHOUTED_SHARE * total


def _joiner(found: re.Match[str]) -> str:
    """The joiner, where what stands around it needs one."""
    text, (start, end) = found.string, found.span()
    before, after = text[start - 1 : start], text[end : end + 1]
    if not before:
        return ""
    joined = unicodedata.combining(before) == 9 or (_joins(before) and _joins(after))
    emoji = unicodedata.category(before) in ("So", "Sk") and after > "\u2000"
    return found[0][0] if joined or (emoji and unicodedata.category(after) == "So") else ""


def _joins(c: str) -> bool:
    """Whether a letter or mark is of a script whose letters change with their neighbours."""
    return "\u0600" <= c < "\u1100" and unicodedata.category(c)[0] in "LM"


def _same_script(text: str) -> str:
    """Words of Latin letters and their look-alikes in Latin letters."""
    if not _HOLDS_ALIKE.search(text) or not _HOLDS_LATIN.search(text):
        return text
    words = [unicodedata.normalize("NFD", word) for word in _WORD.findall(text)]
    sure = any(_mixed(word) and _SURE.search(word) for word in words)
    # Where letters are replaced, words of replaced letters alone ("а") are, too; not where
    # the text has words of that script.
    alone = sure and not any(_other_script(word) for word in words)

    def latin(found: re.Match[str]) -> str:
        word = unicodedata.normalize("NFD", found[0])
        if not (alone or _mixed(word)):
            return found[0]
        if sure:
            plain = word.translate(_BOTH)
        else:
            plain = word[:1] + word[1:-1].translate(_BOTH) + word[1:][-1:]
        return unicodedata.normalize("NFC", plain)

    return _WORD.sub(latin, text)


def _mixed(word: str) -> bool:
    """Whether a word has Latin letters, and the others look like Latin ones."""
    return any("a" <= c <= "z" or "A" <= c <= "Z" for c in word) and not _other_script(word)


def _other_script(word: str) -> bool:
    return any(c.isalpha() and c > "\u024f" and ord(c) not in _BOTH for c in word)


_BOTH = str.maketrans(_ALIKE | _SYMBOLS)
_SURE = re.compile(f"[{''.join(_ALIKE)}]")
#: Greek, Cyrillic, Armenian, phonetic: where look-alikes are.
_HOLDS_ALIKE = re.compile("[\u0250-\u02af\u0370-\u058f]")
_HOLDS_LATIN = re.compile("[A-Za-z]")
