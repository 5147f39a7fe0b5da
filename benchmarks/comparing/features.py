"""What differs between two texts, as numbers for the trees, and as what a sentence names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from comparing.alignment import ALONE, EQUAL, Alignment, align
from comparing.tokens import PREPOSITIONS, QUANTIFIERS, Token, cosine, tokenize
from qkv.guard import Conflict, conflicts
from qkv.guard.opposites import _turned as turned
from qkv.guard.reading import read
from qkv.guard.vocabulary import UNITS
from qkv.types import Floats

__all__ = ["FEATURES", "Difference", "Slot", "difference"]

#: What :func:`difference` measures, in order.
FEATURES = (
    # how much is said, and how much of it only one side says, in words and in weight
    "content_min", "content_max", "alone_min", "alone_max", "alone_count_min", "alone_count_max",
    "shared", "small_alone", "prepositions_alone", "quantifiers_alone",
    # what is alone on one side beside what is alone on the other
    "far", "nearest_min", "nearest_mean", "far_max",
    # the weightiest word that took another's place
    "slots", "replaced", "cosine", "weight", "rank", "synonym", "digits", "names", "signs",
    "letters", "both_small", "both_quantifiers", "turned",
    # the weightiest piece that only one side has
    "added", "added_weight", "added_small", "added_count", "added_name", "added_preposition",
    "added_inside", "added_at_end", "added_one", "added_after_number", "added_rank",
    # what the guard names, and numbers that only one side has
    "number", "number_alone", "negation", "ordered",
    # the whole
    "questions", "inversions", "prepositions", "exchanged", "initials", "names_alone", "same_words",
    "signs_alone", "letters_alone", "by_alone", "framed",
)  # fmt: skip
_PLACE = {name: i for i, name in enumerate(FEATURES)}
_QUESTIONS = frozenset(("who", "whom", "whose", "what", "which", "when", "where", "why", "how"))
_ARTICLES = frozenset(("a", "an", "the"))
_DENYING = ("number", "unit", "date")
#: More words than these are not held beside each other, word by word.
_FEW = 12
#: Words of one sense in WordNet are as near as this, by whatever GloVe.
_SYNONYMS = 0.95
#: Texts of which no side has more words of its own than this weigh differ by a small edit.
_SMALL = 0.95
#: In texts of more words of content than the second, more of their own than the first are another
#: way to say it: how often such texts differ in words says nothing of what they mean.
_OWN, _LONG = 2, 6
#: Share of weight in common below which a rewording is not judged, and above which it fully is;
#: half as much where numbers differ.
_REWORDED, _KEPT = 0.2, 0.4
#: Words that weigh more than this say something.
_SAYS = 0.15


class Slot(NamedTuple):
    """A place where two texts differ: what each has there."""

    left: tuple[Token, ...]
    right: tuple[Token, ...]


class Difference(NamedTuple):
    """What differs between two texts.

    Attributes
    ----------
    features : list of float
        One for each of ``FEATURES``.
    slots : list of Slot
        In order, without what the other side writes in another way.
    conflicts : tuple of Conflict
        What the guard names: numbers, units, dates, negations, order.
    small : bool
        Whether the texts are the same but for a word or so on either side.
    judged : float
        How far words are judged at all, 0 … 1: not where the texts have nothing in common that
        says something (but a number, sign or letter that differs), nor where all is said otherwise;
        then nothing is measured.
    moved : tuple of str, or None
        What stands in another order: on the left, and on the right.
    """

    features: list[float]
    slots: list[Slot]
    conflicts: tuple[Conflict, ...]
    small: bool
    judged: float
    moved: tuple[str, str] | None

    def turned(self) -> Difference:
        """Seen from the other side."""
        return self._replace(
            slots=[Slot(slot.right, slot.left) for slot in self.slots],
            conflicts=tuple([conflict.turned() for conflict in self.conflicts]),
            moved=self.moved and self.moved[::-1],
        )


def difference(
    left: str, right: str, synonyms: Callable[[str, str], bool] = lambda _a, _b: False
) -> Difference:
    """Measure what differs.

    Parameters
    ----------
    left, right : str
    synonyms : callable
        Whether two stems are of words that may mean the same.
    """
    one, other = tokenize(left), tokenize(right)
    aligned = align(one, other)
    named = conflicts(left, right)
    kinds = {conflict.kind for conflict in named}
    clash = not kinds.isdisjoint(_DENYING)
    alone = _settle(one, other, aligned, clash=clash, left=left, right=right)
    mine, theirs = _only(one, aligned.left), _only(other, aligned.right)
    says_mine, says_theirs = _content(mine), _content(theirs)
    shared = _shared((one, other), (mine, theirs))
    small = max(_weight(says_mine), _weight(says_theirs)) <= _SMALL
    decides = clash or all(any(t.letter or t.sign for t in side) for side in (mine, theirs))
    few, many = sorted((len(says_mine), len(says_theirs)))
    judged = 0.0
    # One word of content alone has no context: "cattle" may be meant by "cattle farm", or not.
    context = few or named or min(len(_content(one)), len(_content(other))) > 1
    if decides or (context and _shares(one, aligned.left)):
        says = max(len(_content(one)), len(_content(other)))
        judged = _judged(shared, few, many, says, numbers=not clash and not alone)
    found = [0.0] * len(FEATURES)
    if not judged:
        return Difference(found, [], named, small, judged, None)

    def put(name: str, value: float) -> None:
        found[_PLACE[name]] = float(value)

    put("shared", shared)
    _amounts(put, (one, other), (mine, theirs), (says_mine, says_theirs))
    _beside(put, says_mine, says_theirs, synonyms)
    slots = list(_slots(one, other, aligned))
    _replaced(put, slots, synonyms)
    _added(put, (one, other), aligned)
    put("number", clash)
    put("number_alone", alone)
    put("negation", "negation" in kinds)
    put("ordered", "order" in kinds)
    _whole(put, (one, other), aligned, (mine, theirs))
    moved = _moved(one, other, aligned) if found[_PLACE["inversions"]] else None
    return Difference(found, slots, named, small, judged, moved)


def _judged(shared: float, few: int, many: int, says: int, *, numbers: bool) -> float:
    """How far words are judged at all: not where all is said otherwise."""
    if many > _OWN and says > _LONG:
        return 0.0
    if many < 2 or few < 1:
        return 1.0
    least, most = (_REWORDED, _KEPT) if numbers else (_REWORDED / 2, _KEPT / 2)
    return min(max((shared - least) / (most - least), 0.0), 1.0)


def _shares(tokens: Sequence[Token], partners: Sequence[int]) -> bool:
    """Whether any token that says something has a partner."""
    return any(t.weight > _SAYS and j != ALONE for t, j in zip(tokens, partners, strict=True))


def _only(tokens: Sequence[Token], partners: Sequence[int]) -> list[Token]:
    return [t for t, j in zip(tokens, partners, strict=True) if j == ALONE and t.weight]


def _content(tokens: Sequence[Token]) -> list[Token]:
    return [token for token in tokens if not token.small]


def _weight(tokens: Sequence[Token]) -> float:
    return sum([token.weight for token in tokens])


def _settle(
    one: Sequence[Token],
    other: Sequence[Token],
    aligned: Alignment,
    *,
    clash: bool,
    left: str,
    right: str,
) -> bool:
    """Mark quantities that are equal though written otherwise; whether only one side has some."""
    alone = [
        [i for i, j in enumerate(partners) if j == ALONE and _counts(tokens, i)]
        for tokens, partners in ((one, aligned.left), (other, aligned.right))
    ]
    has = [
        any(tokens[i].number is not None for i in places)
        for tokens, places in zip((one, other), alone, strict=True)
    ]
    if not (alone[0] or alone[1]):
        return False
    mine, theirs = read(left).numbers, read(right).numbers
    if clash or not mine or not theirs:
        return any(has) and not all(has)
    if len(mine) == len(theirs) or all(has):
        for partners, places in zip((aligned.left, aligned.right), alone, strict=True):
            for i in places:
                partners[i] = EQUAL
        return False
    return any(has)


def _counts(tokens: Sequence[Token], i: int) -> bool:
    """Whether a token is a number, or belongs to one."""
    token = tokens[i]
    if token.number is not None:
        return True
    beside = [tokens[j] for j in (i - 1, i + 1, i + 2) if 0 <= j < len(tokens)]
    near = any(t.number is not None for t in beside)
    return near and (token.plain in UNITS or token.plain in {"am", "pm", "/", ":"})


Put = Callable[[str, float], None]
Sides = tuple[Sequence[Token], Sequence[Token]]


def _shared(whole: Sides, alone: Sides) -> float:
    """Share of the weight of two texts that both have."""
    left = _weight(alone[0]) + _weight(alone[1])
    shared = (_weight(whole[0]) + _weight(whole[1]) - left) / 2
    return shared / (shared + left) if shared + left > 0 else 1.0


def _amounts(put: Put, whole: Sides, alone: Sides, says: Sides) -> None:
    counts = sorted([sum([not token.small for token in side]) for side in whole])
    put("content_min", counts[0])
    put("content_max", counts[1])
    weights = sorted(map(_weight, says))
    put("alone_min", weights[0])
    put("alone_max", weights[1])
    counts = sorted(map(len, says))
    put("alone_count_min", counts[0])
    put("alone_count_max", counts[1])
    small = [token for side in alone for token in side if token.small]
    put("small_alone", len(small))
    put("prepositions_alone", sum([token.plain in PREPOSITIONS for token in small]))
    put("quantifiers_alone", sum([token.plain in QUANTIFIERS for token in small]))


def _beside(
    put: Put, mine: Sequence[Token], theirs: Sequence[Token], synonyms: Callable[[str, str], bool]
) -> None:
    """How far what is alone on one side is from what is alone on the other."""
    weights = np.array([t.weight for t in (*mine, *theirs)])
    if not mine or not theirs or max(len(mine), len(theirs)) > _FEW:
        put("far", weights.sum())
        put("far_max", weights.max(initial=0))
        nothing = 0.0 if len(weights) else 1.0
        put("nearest_min", nothing)
        put("nearest_mean", nothing)
        return
    if len(mine) == len(theirs) == 1:
        one = cosine(mine[0], theirs[0])
        if synonyms(mine[0].known.stem, theirs[0].known.stem):
            one = max(one, _SYNONYMS)
        far = weights * (1 - max(one, 0))
        put("far", far[0] + far[1])
        put("far_max", max(far[0], far[1]))
        put("nearest_min", one)
        put("nearest_mean", one)
        return
    cosines = _vectors(mine) @ _vectors(theirs).T
    if len(mine) * len(theirs) <= _FEW:
        for i, a in enumerate(mine):
            for j, b in enumerate(theirs):
                if synonyms(a.known.stem, b.known.stem):
                    cosines[i, j] = max(cosines[i, j], _SYNONYMS)
    nearest = np.concatenate((cosines.max(1), cosines.max(0)))
    far = weights * (1 - np.maximum(nearest, 0))
    put("far", far.sum())
    put("far_max", far.max())
    put("nearest_min", nearest.min())
    put("nearest_mean", float(weights @ nearest) / max(weights.sum(), 1e-9))


_ZERO = np.zeros(50, dtype=np.float32)


def _vectors(tokens: Sequence[Token]) -> Floats:
    return np.array([_ZERO if t.known.vector is None else t.known.vector for t in tokens])


def _slots(one: Sequence[Token], other: Sequence[Token], aligned: Alignment) -> Iterator[Slot]:
    """Where texts differ, between words that they share in the same order."""
    i0 = j0 = 0
    last = -1
    ends = [(i, j) for i, j in enumerate(aligned.left) if j >= 0]
    for i, j in (*ends, (len(one), len(other))):
        if j <= last:
            continue
        left = tuple(_only(one[i0:i], aligned.left[i0:i]))
        right = tuple(_only(other[j0:j], aligned.right[j0:j]))
        if left or right:
            yield Slot(left, right)
        i0, j0, last = i + 1, j + 1, j


def _heaviest(tokens: Sequence[Token]) -> Token:
    return max(tokens, key=lambda token: (not token.small, token.weight))


def _replaced(put: Put, slots: Sequence[Slot], synonyms: Callable[[str, str], bool]) -> None:
    both = [slot for slot in slots if slot.left and slot.right and max(map(len, slot)) <= 3]
    put("slots", len(both))
    if not both:
        return
    pairs = [(_heaviest(slot.left), _heaviest(slot.right), slot) for slot in both]
    a, b, slot = max(pairs, key=lambda pair: max(pair[0].weight, pair[1].weight))
    put("replaced", 1 / (len(slot.left) + len(slot.right) - 1))
    put("cosine", cosine(a, b))
    put("weight", max(a.weight, b.weight))
    put("rank", max(a.known.rank, b.known.rank) / 4e5)
    put("synonym", synonyms(a.known.stem, b.known.stem))
    put("digits", a.number is not None and b.number is not None)
    put("names", (a.name + b.name) / 2)
    put("signs", a.sign or b.sign)
    put("letters", a.letter and b.letter)
    put("both_small", (a.small + b.small) / 2)
    put("both_quantifiers", a.plain in QUANTIFIERS and b.plain in QUANTIFIERS)
    put("turned", turned(a.plain, b.plain))


def _added(put: Put, whole: Sides, aligned: Alignment) -> None:
    """Runs of words that only one side has, where the other goes on without any."""
    most = dict.fromkeys(("weight", "small", "count", "name", "preposition", "inside", "at_end",
                          "one", "after_number", "rank"), 0.0)  # fmt: skip
    count = 0
    for side, partners, others, back in (
        (whole[0], aligned.left, whole[1], aligned.right),
        (whole[1], aligned.right, whole[0], aligned.left),
    ):
        for start, stop in _runs(side, partners):
            if _answered(partners, start, stop, others, back):
                continue
            run = [t for t in side[start:stop] if t.weight]
            says = _content(run)
            count += 1
            seen = {"weight": _weight(says), "small": not says, "count": len(run)}
            if says:
                after = side[stop] if stop < len(side) else None
                before = side[start - 1] if start else None
                closing = after is None or after.weight == 0
                seen |= {
                    "name": any(t.name or t.letter or t.number is not None for t in says),
                    "preposition": any(t.plain in PREPOSITIONS for t in run),
                    "inside": after is not None and not after.small,
                    "at_end": closing - (start == 0),
                    "one": 1 / len(says),
                    "after_number": before is not None and before.number is not None,
                    "rank": max(t.known.rank for t in says) / 4e5,
                }
            for name, value in seen.items():
                most[name] = max(most[name], float(value))
    put("added", count)
    for name, value in most.items():
        put(f"added_{name}", value)


def _runs(side: Sequence[Token], partners: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(side):
        stop = start
        while stop < len(side) and partners[stop] == ALONE:
            stop += 1
        if any(t.weight for t in side[start:stop]):
            yield start, stop
        start = stop + 1


def _answered(
    partners: Sequence[int], start: int, stop: int, others: Sequence[Token], back: Sequence[int]
) -> bool:
    """Whether the other side has something of its own in the same place."""
    before = next((partners[i] for i in range(start - 1, -1, -1) if partners[i] >= 0), -1)
    after = next((partners[i] for i in range(stop, len(partners)) if partners[i] >= 0), None)
    end = len(others) if after is None else after
    between = range(before + 1, end) if end > before else (before + 1,)
    return any(j < len(others) and back[j] == ALONE and others[j].weight for j in between)


def _whole(put: Put, whole: Sides, aligned: Alignment, alone: Sides) -> None:
    one, other = whole
    asks = [{t.plain for t in side} & _QUESTIONS for side in whole]
    put("questions", bool(asks[0] and asks[1] and not asks[0] & asks[1]))
    pairs = [(i, j) for i, j in enumerate(aligned.left) if j >= 0 and not one[i].small]
    places = [j for _, j in pairs]
    n = len(places)
    if 2 <= n <= 30 and any(a > b for a, b in pairwise(places)):
        inverted = sum(places[x] > places[y] for x in range(n) for y in range(x + 1, n))
        put("inversions", inverted / (n * (n - 1) / 2))
    changed = [(a, b) for i, j in pairs if (a := _before(one, i)) != (b := _before(other, j))]
    put("prepositions", sum(bool(a and b) for a, b in changed))
    put("exchanged", len(changed) > 1 and any((b, a) in changed for a, b in changed))
    put("initials", _initials(alone[0], other) or _initials(alone[1], one))
    put("names_alone", sum(any(t.name for t in _content(side)) for side in alone))
    put("same_words", not alone[0] and not alone[1])
    for name, which in (("signs_alone", _signs), ("letters_alone", _letters)):
        mine, theirs = which(one), which(other)
        put(name, 0.0 if mine == theirs else 1.0 if mine and theirs else 0.5)
    put("framed", _framed(one, aligned.left, other) or _framed(other, aligned.right, one))
    put("by_alone", sum(t.plain == "by" for t in one) != sum(t.plain == "by" for t in other))


def _moved(
    one: Sequence[Token], other: Sequence[Token], aligned: Alignment
) -> tuple[str, str] | None:
    """From the first to the last word of content that changed places, as each side has it."""
    places = [(i, j) for i, j in enumerate(aligned.left) if j >= 0 and not one[i].small]
    wrong = [
        pair
        for n, pair in enumerate(places)
        if any((a - pair[0]) * (b - pair[1]) < 0 for a, b in (*places[:n], *places[n + 1 :]))
    ]
    if not wrong:
        return None
    mine, theirs = zip(*wrong, strict=True)
    return _span(one, mine), _span(other, theirs)


def _span(tokens: Sequence[Token], places: Sequence[int]) -> str:
    return " ".join([token.text for token in tokens[min(places) : max(places) + 1]])


def _framed(phrase: Sequence[Token], partners: Sequence[int], other: Sequence[Token]) -> bool:
    """Whether one text is a name or phrase, and the other asks something of it as a whole."""
    if any(token.small or j < 0 for token, j in zip(phrase, partners, strict=True)):
        return False
    first, last = min(partners), max(partners)
    around = (*other[:first], *other[last + 1 :])
    whole = last - first + 1 == len(phrase)
    return whole and any(
        t.small and t.weight and t.plain not in _ARTICLES and t.plain not in PREPOSITIONS
        for t in around
    )


def _signs(tokens: Sequence[Token]) -> list[str]:
    return sorted([t.plain for t in tokens if t.sign])


def _letters(tokens: Sequence[Token]) -> list[str]:
    return sorted([t.plain for t in tokens if t.letter])


def _before(tokens: Sequence[Token], i: int) -> str:
    """The preposition before a word, across small words."""
    for token in reversed(tokens[max(0, i - 3) : i]):
        if token.plain in PREPOSITIONS:
            return token.plain
        if not token.small:
            return ""
    return ""


def _initials(alone: Sequence[Token], other: Sequence[Token]) -> bool:
    """Whether a word in capitals is made of the first letters of words on the other side."""
    short = [t.plain for t in alone if len(t.text) > 1 and t.text.isupper()]
    if not short:
        return False
    initials = "".join(t.plain[0] for t in other)
    return any(word in initials for word in short)
