"""One slip of the fingers: what may have been meant by a word, and how likely the slip is."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["FITTED", "Channel", "one_edit", "slip"]

_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_VOWELS = frozenset("aeiouy")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def _keyboard() -> dict[str, frozenset[str]]:
    """Keys beside each key, on a keyboard whose rows are shifted by half a key and less."""
    at = {
        c: (x + 0.25 * y * (1 + (y == 2)), y)
        for y, row in enumerate(_ROWS)
        for x, c in enumerate(row)
    }
    return {
        a: frozenset(
            b for b, (u, v) in at.items() if a != b and abs(u - x) < 1.1 and abs(v - y) <= 1
        )
        for a, (x, y) in at.items()
    }


_BESIDE = _keyboard()


@dataclass(frozen=True)
class Channel:
    """The noisy channel's constants: costs in nats, −ln of how likely a slip is.

    Parameters
    ----------
    near, vowel, other : float
        A letter for another: the key beside, a vowel for a vowel, any.
    missing, missing_double : float
        A letter left out; of a double letter.
    beside, extra, doubled : float
        A letter too many: a key beside its neighbour's, any, its neighbour again.
    swapped : float
        Two letters in the wrong order.
    run : float
        A letter held down.
    form : float
        In addition, where only an s at the end is different: both are words.
    first : float
        In addition, where it is the first letter.
    any : float
        In addition, for any slip.
    three, four : float
        In addition, in words of three and four letters: so short, many are one letter apart.
    alone : float
        In addition, where a text is one word, and the store does not have what was meant: names
        of things are seldom words.
    unknown : float
        Log-probability of a word that nobody knows, and the least of any as it is written.
    share : float
        What the store's own frequencies count beside the language's, 0 to 1.
    firm : float
        Words that are added to the store's total: a small store says little.
    context : float
        What the neighbours count, 0 to 1.
    most : float
        The likeliest neighbours make a word so many times likelier, at most.
    rare : float
        Added to the count of a neighbour: pairs that were seen once say little.
    common : int
        A word that is not stored is read into a text only if it is one of so many commonest.
    """

    near: float = 3.0
    vowel: float = 5.5
    other: float = 8.0
    missing: float = 2.0
    missing_double: float = 2.0
    beside: float = 3.5
    extra: float = 7.0
    doubled: float = 2.0
    swapped: float = 1.5
    run: float = 1.0
    form: float = 3.0
    first: float = 0.5
    any: float = 3.0
    three: float = 1.0
    four: float = 1.0
    alone: float = 1.0
    unknown: float = -19.0
    share: float = 0.2
    firm: float = 3000.0
    context: float = 0.5
    most: float = 100.0
    rare: float = 3.0
    common: int = 50_000


#: The defaults, found by ``benchmarks/spelling.py --fit`` on tuning parts; the optimum is flat.
FITTED = Channel()


def one_edit(word: str, letters: str, *known: Container[str]) -> list[str]:
    """Words among the known that are one slip away: a letter more, less or other, or two swapped.

    Parameters
    ----------
    word : str
    letters : str
        Letters that may have been meant beside a to z.
    *known : container of str
        Where words are looked up.

    Returns
    -------
    list of str
        Each word once.

    Examples
    --------
    >>> sorted(one_edit("gfit", "", {"gift", "fit", "grit", "card"}))
    ['fit', 'gift', 'grit']
    """
    found: set[str] = set()
    edits = _edits(word, _ALPHABET + letters)
    for words in known:
        found.update([edit for edit in edits if edit in words])
    found.discard(word)
    return sorted(found)


@lru_cache(maxsize=64)
def _edits(word: str, letters: str) -> list[str]:
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    edits = [a + b[1:] for a, b in cuts if b]
    edits += [a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1]
    for a, b in cuts:
        edits += [a + c + b for c in letters]
    for a, b in cuts[:-1]:
        rest = b[1:]
        edits += [a + c + rest for c in letters]
    return edits


def slip(written: str, meant: str, channel: Channel = FITTED) -> tuple[str, float]:
    """Which slip makes one word of the other, and what it costs.

    Parameters
    ----------
    written, meant : str
        Words that are one edit apart.
    channel : Channel

    Returns
    -------
    tuple of str and float
        The name of the field of ``Channel``, and the cost with ``first`` and ``form``.

    Examples
    --------
    >>> slip("gfit", "gift"), slip("cadr", "card"), slip("oder", "order")
    (('swapped', 1.5), ('swapped', 1.5), ('missing', 2.0))
    """
    at = next((i for i, (a, b) in enumerate(zip(written, meant, strict=False)) if a != b), None)
    if at is None:
        at = min(len(written), len(meant))
    kind = _kind(written, meant, at)
    cost: float = getattr(channel, kind)
    if at == 0:
        cost += channel.first
    if written + "s" == meant or meant + "s" == written:
        cost += channel.form
    return kind, cost


def _kind(written: str, meant: str, at: int) -> str:
    before = written[at - 1 : at] if at else ""
    if len(written) < len(meant):
        return "missing_double" if meant[at] in (before, written[at : at + 1]) else "missing"
    typed, after = written[at], written[at + 1 : at + 2]
    if len(written) > len(meant):
        if typed in (before, after):
            return "doubled"
        near = typed in _BESIDE.get(before, "") or typed in _BESIDE.get(after, "")
        return "beside" if near else "extra"
    if after and meant[at : at + 2] == after + typed:
        return "swapped"
    if meant[at] in _BESIDE.get(typed, ""):
        return "near"
    return "vowel" if typed in _VOWELS and meant[at] in _VOWELS else "other"
