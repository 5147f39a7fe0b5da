"""Passages: where in a text the answer stands.

:func:`sentences` cuts a text of any language into sentences without being told which language it
is; :func:`best_sentences` picks, of each text, the one that answers a query best.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qkv.attention import product, unit
from qkv.encoders import Encoder, check_text, encode_all, encode_queries
from qkv.types import Floats
from qkv.words import small_tokens, tokens

__all__ = ["LONGEST", "Passage", "best_sentences", "sentences"]

#: A longer sentence is cut, at a space where there is one: no encoder reads so much at once.
LONGEST = 600
#: Thai has no full stop. It is cut at spaces, which stand between clauses, into pieces so long.
_CLAUSE = 60
#: A line of at least and at most so many characters may be wrapped: its sentence may go on.
_WRAPPED = 40, 120
#: Letters of a word that count when words are compared.
_STEM = 5

#: The last four open quotations too, but not right after a full stop: „so“, »so«.
_CLOSERS = "\"'”’»›)\\]}」』）】》〉〕｣＂“‘«‹"
_NEWLINES = "\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029"
#: End a sentence whatever follows: no abbreviation or number is written with them.
_CERTAIN = "。｡．！？؟।॥۔។៕။፧።։⁇⁈⁉"
_CANDIDATE = re.compile(
    rf"[.!?…;\u037e{_CERTAIN}]+[{_CLOSERS}]*(?:\[\w{{1,4}}\])*(?:[ \u00a0\u202f]»(?=\s|$))?"
    rf"|[{_NEWLINES}]\s*"
)
_NEXT = re.compile(r"[\s\"'“”‘’„«»‹›(\[{「『（【¿¡*_–—-]{0,8}(.?)", re.DOTALL)
_FIRST_WORD = re.compile(r"\w{1,12}")
_LAST_WORD = re.compile(r"[^\s(\[{\"“„«'‘’]+$")
_LETTER = "[^\\W\\d_\u1100-\u11ff\u2e80-\ud7ff]"  # of alphabets: Hangul ends sentences with one
_INITIALS = re.compile(rf"(?:{_LETTER}{{1,2}}\.)*{_LETTER}")
_LIST_MARK = re.compile(r"[-*•‣·–—]\s|\(?\w{1,3}[.)]\s")
_BLANK_LINE = re.compile(rf"(?:\r\n|[{_NEWLINES}])[^\S{_NEWLINES}]*(?:\r\n|[{_NEWLINES}])")
_NEWLINE = re.compile(rf"[{_NEWLINES}]")
_SPACELESS = re.compile("[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_QUOTED = re.compile("[」』”）][とはがをにのでな、，,]")  # the sentence around a quotation goes on
_THAI = re.compile("[\u0e00-\u0eff]")
_THAI_SPACE = re.compile("(?<=[\u0e00-\u0eff])\\s++(?=[\u0e00-\u0eff])")
_WORD = re.compile(r"\w")
_SPACE = re.compile(r"\s+")


def _words(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


#: Their full stop ends a sentence only before one of the `_STARTERS`; so does an initial's.
_ABBREVIATIONS = _words(
    """
    mr mrs ms messrs dr prof st ste gen col lt capt sgt maj cmdr adm rev hon gov sen rep pres
    vs cf approx ca al viz resp esp incl dept univ assn bros mt
    hr fr bzw evtl ggf vgl inkl sog zzgl dipl ing geb gest zb bspw
    mio mrd tsd chr ee uu
    sr sra srta dra ud uds av avda aprox mme mlle mm env éd chap
    sig dott avv dhr mevr drs ir bijv np tzn tzw mgr inż hab św ul płk im wg exmo exma
    им ул тыс млн млрд др проф акад стр см рис напр doç yrd bkz örn sn δρ π.χ вул
    """
)
#: Never before a number; before a word they are a word themselves, and may end a sentence.
_BEFORE_NUMBERS = _words(
    """
    no nos nr art arts fig figs sec ch vol pp pg eq bd abb tab kap núm pág págs cap nº n° num nro
    jan feb mar apr jun jul aug sep sept oct nov dec гл св par ps ver op
    """
)
#: What an ordinal number counts where it is written with a full stop ("19. Jahrhundert").
_COUNTED = _words(
    """
    januar februar märz april mai juni juli august september oktober november dezember
    jahrhundert jahrhunderts jahrhunderte jahrtausend platz tag mal weltkrieg weltkriegs auflage
    klasse etage stock lebensjahr minute spieltag runde saison bundesstaat yüzyıl yüzyılda yüzyılın
    """
)
#: Words that follow an abbreviation only where they begin a sentence.
_STARTERS = _words(
    """
    the an in on at it its he she they we this these those there but and or however when while
    after before although as by for from if to with his her their our some many most such
    der die das ein eine im es er sie wir dies diese dieser dieses nach bei als wenn und aber auch
    el los las un una en al según este esta estos estas pero cuando se su le les une il elle ils
    elles dans au aux ce cette ces mais lorsque gli nel nella il lo della questo questa ma quando
    de het een in op zij hij dit deze w na po jest to ten ta te jednak gdy o os um uma no na nos
    em é ele ela eles isso bu bir ve ancak в на он она они это эта эти но когда после по как с и
    το η ο οι τα στο στη στην και αυτό
    """
)


#: Sentences of one text that are encoded, at most: about a second's work.
ENCODED = 200


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a text: ``text[start:end]``, and how well it answers.

    Attributes
    ----------
    start, end : int
        Offsets in characters.
    score : float
        Larger is better, −½ … 1; see :func:`best_sentences`.
    """

    start: int
    end: int
    score: float


# ── sentences ────────────────────────────────────────────────────────────────────────────────


def sentences(text: str) -> list[tuple[int, int]]:
    """Cut a text into sentences.

    Works on the full stops of all scripts at once. A full stop ends no sentence after an initial,
    an abbreviation or an ordinal number, within a number or an address, or before a small letter.
    Blank lines end one, and so do line breaks, unless the line looks wrapped. Thai, which has no
    full stop, is cut at spaces into pieces of 60 characters or more; sentences of more than 600
    characters are cut at the last space before.

    Parameters
    ----------
    text : str
        Any text; nothing in it is an error.

    Returns
    -------
    list of (start, end)
        In order, disjoint, without white space at their ends; together they hold every character
        that is not white space. Takes linear time.

    Examples
    --------
    >>> text = "Dr. Lee paid 3.50 for it. “Why?” he asked… 我不知道。真的！"
    >>> [text[start:end] for start, end in sentences(text)]
    ['Dr. Lee paid 3.50 for it.', '“Why?” he asked…', '我不知道。', '真的！']
    """
    # A text without capitals cannot show by them where a sentence begins.
    cased = text != text.lower()
    thai = _THAI.search(text) is not None
    spans: list[tuple[int, int]] = []
    start = 0
    for end in _ends(text, cased):
        span = _stripped(text, start, end)
        start = end
        if span is None:
            continue
        for clause in _clauses(text, *span) if thai else (span,):
            for piece in _pieces(text, *clause):
                _append(spans, text, *piece)
    return spans


def _append(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    """Add a sentence; a lone quote, dash or ellipsis goes to the one before."""
    if spans and end - spans[-1][0] <= LONGEST and not _WORD.search(text, start, end):
        start = spans.pop()[0]
    spans.append((start, end))


def _stripped(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The part without white space around it; None where there is nothing else."""
    part = text[start:end].lstrip()
    if not part:
        return None
    start = end - len(part)
    return start, start + len(part.rstrip())


def _ends(text: str, cased: bool) -> Iterator[int]:
    """Where sentences end, in order; the end of the text last."""
    line = 0  # where the present line begins
    for found in _CANDIDATE.finditer(text):
        if _NEWLINE.match(found[0]):
            if not _goes_on(text, line, found):
                yield found.start()
            line = found.end()
        elif _is_end(text, found, cased):
            yield found.end()
    yield len(text)


def _goes_on(text: str, line: int, found: re.Match[str]) -> bool:
    """Whether a line was only wrapped, so that its sentence goes on in the next."""
    length = found.start() - line
    return (
        _WRAPPED[0] <= length <= _WRAPPED[1]
        and not _BLANK_LINE.match(found[0])
        and not _LIST_MARK.match(text, found.end())
    )


def _is_end(text: str, found: re.Match[str], cased: bool) -> bool:
    """Whether terminators, with the quotes and brackets that they close, end a sentence."""
    mark, end = found[0], found.end()
    if mark[0] in ";\u037e" and not _greek(text, found.start()):
        return False
    after = _NEXT.match(text, end)
    following = after[1] if after else ""
    if not following:
        return True
    if any(sign in _CERTAIN for sign in mark):
        inside_number = mark == "．" and following.isdigit()
        return not inside_number and not _QUOTED.match(text, end - 1)
    if not text[end].isspace() and not _SPACELESS.match(text, end):
        return False
    single = mark[0] == "." and not mark.startswith("..")
    lower = cased and following.islower()
    return not lower and not (single and _dotted(text, found, after.start(1) if after else end))


def _greek(text: str, place: int) -> bool:
    """Whether the letter before is Greek: a semicolon is its question mark."""
    return place > 0 and "\u0370" <= text[place - 1] <= "\u1fff"


def _dotted(text: str, found: re.Match[str], following: int) -> bool:
    """Whether the word before a full stop is written with one: a title, an initial, an ordinal."""
    last = _LAST_WORD.search(text[max(0, found.start() - 24) : found.start()])
    if last is None:
        return False
    word = last[0]
    folded = word.casefold()
    next_word = _FIRST_WORD.match(text, following)
    ahead = next_word[0].casefold() if next_word else ""
    if folded in _BEFORE_NUMBERS:
        return ahead[:1].isdigit()
    if word.isdecimal():
        return len(word) <= 2 and (ahead in _COUNTED or _begins_line(text, found.start(), word))
    if len(word) > 1 and set(word) <= set("IVX"):
        return ahead in _COUNTED
    shortened = folded in _ABBREVIATIONS or _INITIALS.fullmatch(word) is not None
    return shortened and ahead not in _STARTERS


def _begins_line(text: str, end: int, word: str) -> bool:
    """Whether the number before numbers a line."""
    before = text[max(0, end - len(word) - 1) : end - len(word)]
    return not before or _NEWLINE.match(before) is not None


def _clauses(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut Thai at spaces, into pieces that are not too short."""
    for gap in _THAI_SPACE.finditer(text, start, end):
        if gap.start() - start >= _CLAUSE and end - gap.end() >= _CLAUSE // 2:
            yield start, gap.start()
            start = gap.end()
    yield start, end


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut what is too long to be read at once."""
    while end - start > LONGEST:
        gaps = list(_SPACE.finditer(text, start + LONGEST // 2, start + LONGEST))
        cut = gaps[-1].start() if gaps else start + LONGEST
        yield start, start + len(text[start:cut].rstrip())
        gap = _SPACE.match(text, cut)
        start = gap.end() if gap else cut
    yield start, end


# ── the best one ─────────────────────────────────────────────────────────────────────────────


def best_sentences(encoder: Encoder, query: str, texts: Sequence[str]) -> list[Passage | None]:
    """Find the sentence of each text that answers a query best.

    The score of a sentence is the mean of meaning and of words,

        ½ ⟨q, s⟩ + ½ Σ_{t ∈ q ∩ s} idf_t / Σ_{t ∈ q} idf_t,

    of the unit vectors of query and sentence, and of the share of the query's words that stand in
    the sentence. Words count by their rarity among the sentences of the text, by the idf of BM25
    (Robertson & Zaragoza 2009), and by their first five letters, so that an ending makes no
    difference; stop words of any language do not count.

    Parameters
    ----------
    encoder : Encoder
        All sentences of all texts are encoded in one batch: some milliseconds each with the default
        one.
    query : str
    texts : sequence of str

    Returns
    -------
    list of Passage or None
        One for each text; None where a text is empty or white space. Of equally good sentences
        the first. Scores lie between −½ and 1.

    Raises
    ------
    TextError
        If the query is empty, white space, or not valid Unicode.

    Examples
    --------
    >>> from qkv.encoders import resolve
    >>> text = "The pitch was dry. It began to rain at noon. Nobody had an umbrella."
    >>> [found] = best_sentences(resolve("hashing"), "When did the rain begin?", [text])
    >>> text[found.start : found.end]
    'It began to rain at noon.'
    """
    check_text(query, "a query")
    spans = [sentences(text) for text in texts]
    pieces = [
        [text[start:end] for start, end in of_text]
        for text, of_text in zip(texts, spans, strict=True)
    ]
    overlaps = [_overlaps(query, own) for own in pieces]
    heard = [np.sort(np.argsort(-overlap, kind="stable")[:ENCODED]) for overlap in overlaps]
    chosen = [[own[i] for i in of_text] for own, of_text in zip(pieces, heard, strict=True)]
    distinct = list(dict.fromkeys(piece for own in chosen for piece in own))
    if not distinct:
        return [None for _ in texts]
    asked = encode_queries(encoder, [query])
    if not getattr(encoder, "weighs_queries", False):
        asked = _capped(asked)
    cosines = product(_capped(encode_all(encoder, distinct)), asked[0])
    meaning = dict(zip(distinct, cosines.tolist(), strict=True))
    found: list[Passage | None] = []
    for of_text, own, places, overlap in zip(spans, chosen, heard, overlaps, strict=True):
        scores = 0.5 * (np.array([meaning[piece] for piece in own]) + overlap[places])
        if not own:
            found.append(None)
            continue
        best = int(scores.argmax())
        start, end = of_text[int(places[best])]
        found.append(Passage(start, end, float(scores[best])))
    return found


def _capped(vectors: Floats) -> Floats:
    """Unit vectors; shorter ones stay so, as they say how much of the text was understood."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    capped: Floats = np.where(lengths > 1, unit(vectors), vectors)
    return capped


def _overlaps(query: str, pieces: Sequence[str]) -> Floats:
    """Share of the query's words that stand in each piece, by their rarity."""
    asked = _stems(query)
    shared = [asked & _stems(piece) for piece in pieces]
    counts = Counter(stem for stems in shared for stem in stems)
    n = len(pieces)
    idf = {stem: math.log1p((n - counts[stem] + 0.5) / (counts[stem] + 0.5)) for stem in asked}
    total = sum(idf.values()) or 1.0
    return np.array([math.fsum(idf[stem] for stem in stems) / total for stems in shared])


def _stems(text: str) -> set[str]:
    """Its words, stop words apart, by their first letters."""
    return {token[:_STEM] for token in tokens(text) if token not in small_tokens()}
