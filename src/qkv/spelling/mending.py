"""Mending: slips of the fingers in a question, by the words that the store has.

A noisy channel (Kernighan, Church & Gale 1990): a word is read as another that is one slip away if
this word, times the likelihood of the slip, is likelier than the word as it is written. How likely
a word is the store's own words say, the words beside it, and GloVe's words by their rank; knowing a
word decides nothing, for GloVe knows "oder", "teh" and "recieve".
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from math import exp, log

from qkv.encoders.glove import glove_table
from qkv.languages import LANGUAGES, stop_words
from qkv.spelling.edits import FITTED, Channel, one_edit, slip
from qkv.spelling.vocabulary import BEGIN, END, Vocabulary, folded, lowered, word_spans

__all__ = ["Change", "Mended", "mend"]

#: Longer texts say what they mean in other words, too.
LONGEST = 1000
#: Where more of a text would be guessed, it is another language, or code.
MOST_CHANGED = 2 / 3
#: In a language that is not English: shorter words, and such as are commoner in GloVe, stay.
_FOREIGN_LETTERS, _FOREIGN_RANK = 5, 50_000
#: Where no stop word says it, a text is English if so many of its words are so common.
_ENGLISH_RANK, _ENGLISH_SHARE = 10_000, 0.5
#: Share of words that are stop words of one language alone: from the first on, a store's texts have
#: a language; from the second on, some have this one.
_SMALL_SHARE, _SPOKEN_SHARE = 0.05, 0.01
#: Such words without which no language is told.
_FEWEST = 3
_OTHER_SCRIPT = "other script"

#: Not words but names that machines read: digits, addresses, paths, operators, camelCase.
_CODE = re.compile(r"\S*[\d_@/\\<>{}=#$+]\S*|\S*[a-z][A-Z]\S*|\w+(?:\.\w+)+")
#: "couldn't": what stands before is no word.
_NOT = ("'t", "’t")
_RUN = re.compile(r"(\w)\1\1+")


@dataclass(frozen=True)
class Change:
    """A word as it was written, and as it was read."""

    written: str
    read: str


@dataclass(frozen=True)
class Mended:
    """A text as it was read, and which of its words were changed for that, in order."""

    text: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class _Reading:
    """What one text's words are read by."""

    vocabulary: Vocabulary
    channel: Channel
    #: GloVe's words: word → rank; none without a lexicon.
    ranks: dict[str, int]
    common: Container[str]
    #: Whether the text is one word.
    alone: bool


def mend(
    text: str,
    vocabulary: Vocabulary,
    *,
    use_lexicon: bool = True,
    channel: Channel = FITTED,
) -> Mended:
    """Read a question without its slips.

    A word of three letters or more that the store does not have becomes the v that is largest in
    ln p(v) − cost(slip) + context(v), if that is more than the same of the word as it is written.
    p mixes the store's frequencies with Zipf's law over GloVe's ranks; the context is how much
    oftener v stands beside its neighbours than alone, in the store.

    Left alone are names that machines read (digits, ``@``, paths, camelCase), words in capitals
    among others, capitalised words within a text unless the store has the other word, texts of
    which most words would become words that the store lacks, and texts above 1,000 characters. In
    texts that are not English, and without the lexicon, only words of the store are read into a
    text, and only for long words whose first letter, vowels and ending stay: else it is another
    form, or another word.

    Parameters
    ----------
    text : str
        Best in its plain form (``qkv.forms.plain_form``).
    vocabulary : Vocabulary
        Of the store.
    use_lexicon : bool
        Whether GloVe's words are known; it is read at the first such call (0.2 s).
    channel : Channel
        The costs.

    Returns
    -------
    Mended
        The text as given where nothing was changed.

    Examples
    --------
    >>> store = Vocabulary(["where is my order", "do gift cards expire", "talk to alice nguyen"])
    >>> mend("wher is my oder", store)
    Mended(text='where is my order', changes=(Change(written='wher', read='where'),
    Change(written='oder', read='order')))
    >>> mend("what is Alice Nguyan's number", store).text
    "what is Alice Nguyen's number"
    >>> mend("kubectl returns e1042", store).changes
    ()
    """
    if len(text) > LONGEST:
        return Mended(text)
    spans = list(word_spans(text))
    written = [text[start:end] for start, end in spans]
    words = [lowered(word) for word in written]
    if all(len(word) < 3 or word in vocabulary for word in words):
        return Mended(text)
    ranks: dict[str, int] = glove_table().rows if use_lexicon else {}
    common = _common(channel.common) if use_lexicon else ()
    reading = _Reading(vocabulary, channel, ranks, common, len(words) == 1)
    language = _language(words, reading)
    english = use_lexicon and language == "en"
    if not english and not _speaks(vocabulary, language):
        return Mended(text)
    read = _words_read(text, spans, reading, english=english)
    changes = [Change(a, b) for a, b in zip(written, read, strict=True) if a != b]
    if not changes or _guessed(changes, vocabulary) > max(1, MOST_CHANGED * len(words)):
        return Mended(text)
    return Mended(_replaced(text, spans, read), tuple(changes))


def _guessed(changes: Sequence[Change], vocabulary: Vocabulary) -> int:
    """How many words are guessed: not accents, letters held down, and words that the store has."""
    return sum(
        _bare(lowered(one.written)) != _bare(lowered(one.read))
        and lowered(one.read) not in vocabulary
        for one in changes
    )


def _words_read(
    text: str, spans: Sequence[tuple[int, int]], by: _Reading, *, english: bool
) -> list[str]:
    """The words of a text as they are read, in their own case."""
    read = [text[start:end] for start, end in spans]
    words = [lowered(word) for word in read]
    codes = [code.span() for code in _CODE.finditer(text)]
    mixed = any(c.islower() for c in text)
    before = BEGIN
    for i, (word, (at, stop)) in enumerate(zip(words, spans, strict=True)):
        after = words[i + 1] if i + 1 < len(words) else END
        found = word
        if not (text[stop : stop + 2] in _NOT or any(a <= at < b for a, b in codes)):
            found = _read(word, before, after, by) if english else _foreign(word, by)
        if found != word and not (mixed and _name(read[i], i, found, by.vocabulary)):
            read[i] = _cased(found, read[i])
        else:
            found = word
        before = found
    return read


def _replaced(text: str, spans: Sequence[tuple[int, int]], read: Sequence[str]) -> str:
    parts, last = [], 0
    for (start, end), word in zip(spans, read, strict=True):
        parts += [text[last:start], word]
        last = end
    return "".join(parts) + text[last:]


def _name(written: str, place: int, found: str, vocabulary: Vocabulary) -> bool:
    """Whether a word looks like a name or an abbreviation that is not to be touched."""
    if len(written) > 1 and written.isupper():
        return True
    return place > 0 and written[0].isupper() and found not in vocabulary


def _cased(word: str, written: str) -> str:
    if len(written) > 1 and written.isupper():
        return word.upper()
    return word.capitalize() if written[0].isupper() else word


# ── the channel ──────────────────────────────────────────────────────────────────────────────


def _read(word: str, before: str, after: str, by: _Reading) -> str:
    """The word that was meant, in an English text."""
    store = by.vocabulary
    if word in store or len(word) < 3:
        return word
    if (other := _accents(word, by, english=True)) != word or not word.isascii():
        return other
    if held := _held(word):
        return _released(word, held, by)
    c = by.channel
    first = before if store.count(before) else None
    then = after if store.count(after) else None
    heard = (first is not None) + (then is not None)
    rank = by.ranks.get(word)
    own = c.unknown if rank is None else max(c.unknown, _zipf(rank))
    own += heard * log(1 - c.context) + {3: c.three, 4: c.four}.get(len(word), 0.0)
    best = word
    for found, cost in _meant(word, by):
        score = _likely(found, by) - cost - c.any + _context(first, found, then, by)
        if by.alone and found not in store:
            score -= c.alone
        if score > own:
            best, own = found, score
    return best


def _meant(word: str, by: _Reading) -> Iterable[tuple[str, float]]:
    """Candidates and the cost of each."""
    for found in one_edit(word, "", by.vocabulary.counts, by.common):
        if len(found) >= 3:
            yield found, slip(word, found, by.channel)[1]


def _zipf(rank: int) -> float:
    """Log-probability of a word by its rank in GloVe (Zipf–Mandelbrot), as SIF weights have it."""
    return -log((rank + 2.7) * log(400_000))


def _likely(word: str, by: _Reading) -> float:
    """Logarithm of p(v): the language's and the store's frequencies, mixed."""
    c, rank = by.channel, by.ranks.get(word)
    general = 0.0 if rank is None else exp(_zipf(rank))
    own = by.vocabulary.count(word) / (by.vocabulary.total + c.firm)
    return log((1 - c.share) * general + c.share * own)


def _context(before: str | None, word: str, after: str | None, by: _Reading) -> float:
    c, store = by.channel, by.vocabulary
    alone = store.count(word) / max(1, store.total)
    total = 0.0
    for first, then, heard in ((before, word, before), (word, after, after)):
        if first is None or then is None or heard is None:
            continue
        ratio = 0.0
        if alone and (pair := store.pair(first, then)):
            ratio = pair / (store.count(heard) + c.rare) / alone
        total += log(1 - c.context + c.context * min(c.most, ratio))
    return total


def _held(word: str) -> list[str]:
    """What is left of a word in which letters were held down: each once or twice."""
    runs = list(_RUN.finditer(word))
    if not runs or len(runs) > 4 or len(set(word)) == 1:
        return []
    found = []
    for lengths in product((1, 2), repeat=len(runs)):
        held, last = "", 0
        for run, length in zip(runs, lengths, strict=True):
            held += word[last : run.start()] + length * run[1]
            last = run.end()
        found.append(held + word[last:])
    return found


def _released(word: str, held: Sequence[str], by: _Reading) -> str:
    """A word in which letters were held down, with each once or twice: as it is known, or once."""
    known = [one for one in held if one in by.vocabulary or one in by.ranks]
    if word not in by.ranks:
        return max(known, key=lambda one: _likely(one, by)) if known else held[0]
    best = max(known, key=lambda one: _likely(one, by), default=word)
    return best if _likely(best, by) - by.channel.run > _likely(word, by) else word


def _accents(word: str, by: _Reading, *, english: bool) -> str:
    """A word with the accents that it has in the store, or without any if only so it is known."""
    if word in _small_words():
        return word
    plain, store = folded(word), by.vocabulary
    found = store.accented(plain)
    if not english:
        # An accent too many is another word, and one on the last letter another form.
        fit = found and word == plain and found[:-1] != word[:-1]
        return found if found and fit else word
    if found:
        return found
    unknown = word not in by.ranks and plain in by.common
    return plain if plain in store or unknown else word


# ── other languages ──────────────────────────────────────────────────────────────────────────


def _foreign(word: str, by: _Reading) -> str:
    """The word of the store that was meant, where only the store knows the language."""
    store = by.vocabulary
    if len(word) < 3 or word in store or word in _small_words():
        return word
    if (other := _accents(word, by, english=False)) != word:
        return other
    for held in _held(word):
        if held in store or held in _small_words():
            return held
    if len(word) < _FOREIGN_LETTERS or by.ranks.get(word, _FOREIGN_RANK) < _FOREIGN_RANK:
        return word
    best, least = word, float("inf")
    for found in one_edit(word, _letters(word, store), store.counts):
        if len(found) < _FOREIGN_LETTERS or _another_form(word, found):
            continue
        cost = slip(word, found, by.channel)[1] - log(store.count(found))
        if cost < least:
            best, least = found, cost
    return best


def _another_form(word: str, found: str) -> bool:
    """Whether two words differ as other words do: in the ending, the first letter, a vowel."""
    kind = slip(word, found)[0]
    if kind == "swapped":
        return False
    same = next(
        (i for i, (a, b) in enumerate(zip(word, found, strict=False)) if a != b),
        min(len(word), len(found)),
    )
    ending = same >= min(len(word), len(found)) - 2
    return ending or not same or kind in ("vowel", "other")


def _letters(word: str, store: Vocabulary) -> str:
    """Letters of the word's script that the store has beside a to z."""
    latin = word[0] < "\u0370" or "\u1e00" <= word[0] < "\u1f00"
    return "".join(c for c in sorted(store.letters) if (c < "\u0370" or c >= "\u1e00") == latin)


@cache
def _small_words() -> dict[str, tuple[str, ...]]:
    """Stop words, and the languages that have them."""
    found: dict[str, tuple[str, ...]] = {}
    for language in LANGUAGES:
        for word in stop_words(language):
            found[word] = (*found.get(word, ()), language)
    return found


@cache
def _only() -> dict[str, tuple[str, ...]]:
    """Stop words of one language alone."""
    own: dict[str, tuple[str, ...]] = dict.fromkeys(LANGUAGES, ())
    for word, languages in _small_words().items():
        if len(languages) == 1 and len(word) > 1:
            own[languages[0]] += (word,)
    return own


def _language(words: Sequence[str], by: _Reading) -> str:
    """The language of a text, by its stop words; by its other words, where these do not say.

    Empty where it is none of those that have a list.
    """
    if sum(word[0] >= "\u0370" for word in words) > len(words) / 2:
        return _OTHER_SCRIPT
    votes: dict[str, int] = dict.fromkeys(LANGUAGES, 0)
    others = []
    for word in words:
        if len(word) > 1:
            languages = _small_words().get(word) or _small_words().get(_bare(word), ())
            for language in languages:
                votes[language] += 1
            if not languages:
                others.append(word)
    english = votes.pop("en")
    most = max(votes, key=lambda language: votes[language])
    ahead = english - votes[most]
    if ahead > 0:
        return "en"
    # Small words are often two languages' ("to", "go", "my" are Polish).
    if ahead < -1 or (ahead < 0 and not english):
        return most
    known = sum(_familiar(word, by) for word in others)
    likely = by.alone or known >= (_ENGLISH_SHARE if ahead == 0 else 1) * len(others)
    if likely and _speaks(by.vocabulary, "en"):
        return "en"
    return "" if ahead == 0 else most


def _bare(word: str) -> str:
    """A word without accents and without letters that were held down."""
    once = _RUN.sub(r"\1", word)
    # Shorter words without their accents are small words of another language: "för", "då".
    return folded(once) if len(once) > 3 else once


def _familiar(word: str, by: _Reading) -> bool:
    """Whether a word may be English, with a slip, where the store is."""
    if _bare(word) in by.vocabulary or by.ranks.get(word, _FOREIGN_RANK) < _ENGLISH_RANK:
        return True
    return len(word) >= _FOREIGN_LETTERS and bool(one_edit(word, "", by.vocabulary.counts))


def _speaks(vocabulary: Vocabulary, language: str) -> bool:
    """Whether a store may have texts of a language: one in English has others if its words say so.

    A text in no known language may be in any that the store has.
    """
    if language in ("", _OTHER_SCRIPT):
        return True
    counts = {one: sum(map(vocabulary.count, only)) for one, only in _only().items()}
    first = max(counts, key=lambda one: counts[one])
    # One word in a store of a few says nothing: "one" is Polish.
    least = max(_FEWEST, _SMALL_SHARE * vocabulary.total)
    if counts[first] < least or "en" not in (first, language):
        return True
    return counts[language] >= _SPOKEN_SHARE * vocabulary.total


@cache
def _common(count: int) -> frozenset[str]:
    """The commonest words of GloVe that are words."""
    words = glove_table().words[:count]
    return frozenset(word for word in words if word.isascii() and word.isalpha() and len(word) > 1)
