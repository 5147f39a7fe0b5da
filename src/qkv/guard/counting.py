"""The numbers of a text, with the words that belong to them: two hundred, 5 km, 3pm, 5万."""

from __future__ import annotations

from qkv.guard.numbers import Number, readings
from qkv.guard.vocabulary import SCALES, UNITS
from qkv.guard.word import ENGLISH, Word

__all__ = ["Counting"]

_ORDINAL = frozenset(
    ("st", "nd", "rd", "th", "er", "re", "ère", "e", "ème", "eme", "ste", "te", "de", "º", "ª")
)
_HALVES = frozenset(("am", "pm", "a.m", "p.m", "a.m.", "p.m."))
_NOON = 720


class Counting:
    """Reads token after token; ``numbers`` are found, ``words`` are what is no part of them.

    Parameters
    ----------
    text : str
    spoken : frozenset of str
        The languages of the text.
    """

    def __init__(self, text: str, spoken: frozenset[str]) -> None:
        self.words: list[Word] = []
        self.numbers: list[Number] = []
        self._text, self._spoken = text, spoken
        self._end = -2  # of the last number
        self._sign = ""  # before the next one

    def word(self, word: Word, start: int, end: int) -> None:
        """A word."""
        self._sign = ""
        if start - self._end <= 1:
            longer = _longer(self.numbers[-1], word, self._spoken, glued=start == self._end)
            if longer is not None:
                self.numbers[-1], self._end = longer, end
                return
        if (value := _value(word, self._spoken)) is not None:
            self.numbers.append(Number(word.text, (value,)))
            self._end = end
            return
        if self.numbers and not self.numbers[-1].noun:
            self.numbers[-1] = self.numbers[-1]._replace(noun=word.key)
        self.words.append(word)

    def number(self, digits: str, end: int) -> None:
        """Digits, perhaps with separators."""
        parts = readings(digits)
        if self._sign:
            parts = tuple(_measured(part, self._sign) for part in parts)
        self.numbers += parts
        self._end, self._sign = end, ""
        if self._text[end : end + 1] > "\u3000":
            self.numbers[-1] = _with_pieces(self.numbers[-1], self._text[end : end + 2])

    def sign(self, sign: str, start: int) -> None:
        """A sign for a unit, before its number or after."""
        if start - self._end <= 1 and self.numbers[-1].unit is None:
            self.numbers[-1] = _measured(self.numbers[-1], sign)
        else:
            self._sign = sign


def _value(word: Word, spoken: frozenset[str]) -> float | None:
    """The value of a number word in the languages of its text."""
    if not word.counts:
        return None
    if not spoken and not word.plain.isascii():
        return next(iter(word.counts.values()))
    known = sorted(word.counts.keys() & (spoken or ENGLISH))
    return word.counts[known[0]] if known else None


def _measured(number: Number, unit: str) -> Number:
    return number._replace(unit=UNITS[unit.lower()])


def _times(number: Number, scale: float, text: str) -> Number:
    values = tuple(value * scale for value in number.values if isinstance(value, float))
    return number._replace(text=text, values=values or number.values)


def _with_pieces(number: Number, after: str) -> Number:
    """With the Chinese, Japanese or Korean unit that follows."""
    if after[0] in SCALES:
        number = _times(number, SCALES[after[0]], number.text + after[0])
        after = after[1:]
    unit = next((unit for unit in (after, after[:1]) if unit in UNITS), None)
    return number if unit is None else _measured(number, unit)


def _longer(number: Number, word: Word, spoken: frozenset[str], *, glued: bool) -> Number | None:
    """The number with the word behind it, if that belongs to it."""
    plain = word.plain
    text = f"{number.text}{'' if glued else ' '}{word.text}"
    if plain in _HALVES:
        return _on_clock(number, text, plain[0])
    if number.unit is not None or (glued and plain in _ORDINAL):
        return None if number.unit else number._replace(text=text)
    if scale := 1e3 if glued and plain == "k" else SCALES.get(plain):
        return _times(number, scale, text)
    if word.unit is not None:
        return number._replace(text=text, unit=word.unit)
    value = _value(word, spoken)
    if value is None or number.text[-1].isdecimal():
        return None
    return _sum(number, value, text)


def _sum(number: Number, value: float, text: str) -> Number | None:
    """Twenty and one, two hundred and five, soixante and dix."""
    whole = number.values[0]
    if not isinstance(whole, float):
        return None
    tens = 20 <= whole < 100 and whole % 10 == 0 and 0 < value < 10
    scores = whole in {60, 80} and 10 <= value < 20
    hundreds = whole >= 100 and whole % 100 == 0 and value < 100
    return (
        number._replace(text=text, values=(whole + value,)) if tens or scores or hundreds else None
    )


def _on_clock(number: Number, text: str, half: str) -> Number | None:
    """A time of the first or the second half of a day."""
    minutes = number.clock
    if minutes is None:
        hour = number.values[0]
        if not isinstance(hour, float):
            return None
        minutes = 60 * int(max(min(hour, 24.0), 0.0))
    if minutes >= 13 * 60:
        return number._replace(text=text)
    return number._replace(text=text, clock=minutes % _NOON + (_NOON if half == "p" else 0))
