"""Numbers as people write them: 1,000 and 1.000, 3pm and 15:00, 1 km and 1000 m."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from qkv.guard.vocabulary import Unit

__all__ = ["Number", "clashes", "han_numbers", "readings", "same"]

#: Of numbers that were rounded or converted: how far they may be apart, relatively.
_ROUNDED, _CONVERTED = 0.005, 0.02
#: More digits are a code, not a quantity.
_DIGITS = 15
_VAGUE = frozenset(("one", "one's", "ones", "once", "first", "second"))
_HAN = re.compile(
    "([〇零一二两兩三四五六七八九十百千]+)"
    "(?=[年月日号號点點時时个個人天次位岁歳歲倍本件楼樓階回枚杯冊名元円块塊度章番つ层層种種])"
)
_HAN_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_HAN_TENS = {"十": 10, "百": 100, "千": 1000}


class Number(NamedTuple):
    """A number in a text.

    Attributes
    ----------
    text : str
        As written.
    values : tuple of float or str
        What it may mean: 1.000 is one, or a thousand. A version or a long code is its own text.
    unit : Unit or None
    clock : int or None
        Minutes after midnight.
    noun : str
        Key of the word that follows.
    """

    text: str
    values: tuple[float | str, ...]
    unit: Unit | None = None
    clock: int | None = None
    noun: str = ""

    @property
    def vague(self) -> bool:
        """Whether it may be no number at all: "the one that …"."""
        return self.text.casefold() in _VAGUE


@lru_cache(maxsize=1 << 14)
def readings(text: str) -> tuple[Number, ...]:
    """Read digits with separators: mostly one number, several for a date or a ratio.

    Examples
    --------
    >>> [n.values for n in readings("1,000")], [n.values for n in readings("2020-05-01")]
    ([(1000.0, 1.0)], [(2020.0,), (5.0,), (1.0,)])
    >>> readings("15:30")[0].clock
    930
    """
    body = text.replace("’", "'").replace("−", "-")
    if ":" in body:
        hour, _, minute = body.partition(":")
        if len(minute) == 2 and minute.isdecimal() and int(minute) < 60 and float(hour) < 24:
            return (Number(text, (float(hour),), clock=60 * int(hour) + int(minute)),)
    if not body.lstrip("-").isdecimal() and re.search(r"[:/]|\d-", body):
        return tuple(Number(part, _values(part)) for part in re.split("[:/-]", body) if part)
    return (Number(text, _values(body)),)


def _values(body: str) -> tuple[float | str, ...]:
    """What one number may mean."""
    if len(body) > _DIGITS:
        return (body,)
    signs = [c for c in body if c in ".,'"]
    if not signs:
        return (float(body),)
    first, *rest = re.split("[.,']", body)
    whole = float(first + "".join(rest))
    last = float(f"{first}{''.join(rest[:-1])}.{rest[-1]}")
    first = first.lstrip("-")
    in_threes = len(first) <= 3 and first != "0" and all(len(group) == 3 for group in rest)
    if len(set(signs)) > 1:
        return (last,)
    if len(signs) > 1:
        return (whole,) if in_threes or signs[0] != "." else (body,)
    if not in_threes:
        return (last,)
    return (last, whole) if signs[0] == "." else (whole, last)


def han_numbers(text: str) -> list[Number]:
    """Numbers in Chinese numerals before a word that counts; a lone 一 is an article.

    Examples
    --------
    >>> [n.values for n in han_numbers("二〇一九年三十五天一个")]
    [(2019.0,), (35.0,)]
    """
    found = [(m[1], _han_value(m[1])) for m in _HAN.finditer(text) if m[1] != "一"]
    return [Number(written, (value,)) for written, value in found]


def _han_value(numeral: str) -> float:
    if not any(c in _HAN_TENS for c in numeral):
        return float("".join(str(_HAN_DIGITS[c]) for c in numeral[:_DIGITS]))
    total, digit = 0, 0
    for c in numeral:
        if c in _HAN_TENS:
            total, digit = total + max(digit, 1) * _HAN_TENS[c], 0
        else:
            digit = _HAN_DIGITS[c]
    return float(total + digit)


def same(one: Number, other: Number) -> bool:
    """Whether two numbers may be equal, units included where both have one."""
    if one.unit is None or other.unit is None or one.unit == other.unit:
        return _equal(one, other)
    if one.unit.dimension != other.unit.dimension:
        return False
    return any(
        _near(a * one.unit.factor + one.unit.shift, b * other.unit.factor + other.unit.shift)
        for a in one.values
        for b in other.values
        if isinstance(a, float) and isinstance(b, float)
    )


def _equal(one: Number, other: Number) -> bool:
    """Whether two numbers may be equal, whatever their units."""
    if one.clock is not None and other.clock is not None:
        return one.clock == other.clock
    if one.clock is not None or other.clock is not None:
        timed, plain = (one, other) if one.clock is not None else (other, one)
        hour = (timed.clock or 0) // 60
        return any(value in {hour, hour % 12, 12 if hour == 0 else hour} for value in plain.values)
    return any(a == b or _short(a, b) for a in one.values for b in other.values)


def _short(a: float | str, b: float | str) -> bool:
    """Whether one is the other without its decimals, or a year without its century."""
    if isinstance(a, str) or isinstance(b, str):
        return False
    if a.is_integer() == b.is_integer():
        small, large = sorted((a, b))
        return 0 <= small < 100 and 1900 <= large < 2100 and large % 100 == small
    return abs(a - b) <= _ROUNDED * max(abs(a), abs(b))


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= _CONVERTED * max(abs(a), abs(b))


def clashes(
    asked: Sequence[Number], stored: Sequence[Number], *, alike: bool
) -> tuple[list[tuple[Number, Number]], list[tuple[Number, Number]]]:
    """Pairs that contradict: other numbers, and equal ones of other units.

    A number that only one side has contradicts nothing, nor do a length and a weight.

    Parameters
    ----------
    asked, stored : sequence of Number
    alike : bool
        Whether the texts are alike, so that 5 may be set against 10 km.
    """
    left = [a for a in asked if not any(same(a, b) for b in stored)]
    right = [b for b in stored if not any(same(a, b) for a in asked)]
    units = _pairs(left, right, _equal)
    return _pairs(left, right, lambda a, b: _comparable(a, b, alike=alike)), units


def _pairs(
    left: list[Number], right: list[Number], fit: Callable[[Number, Number], bool]
) -> list[tuple[Number, Number]]:
    """Each of the left with the first of the right that fits; both are taken out."""
    found = []
    for a in list(left):
        b = next((b for b in right if fit(a, b)), None)
        if b is not None:
            found.append((a, b))
            left.remove(a)
            right.remove(b)
    return found


def _comparable(a: Number, b: Number, *, alike: bool) -> bool:
    """Whether two different numbers may be meant to be the same quantity."""
    if a.vague or b.vague:
        return a.noun == b.noun != ""
    if a.unit is None or b.unit is None:
        return alike or a.unit is b.unit
    return a.unit.dimension == b.unit.dimension
