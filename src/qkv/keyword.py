"""Keyword search: which records hold the query's words, and how much that says.

Postings come from the file token by token, when a query first needs them, and stay in memory; what
is written meanwhile is added to them. So a search reads nothing that it does not need, and a word
that half of all records hold costs milliseconds once.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qkv.errors import InputError
from qkv.languages import stems
from qkv.tables import Tables
from qkv.tables.words import Document
from qkv.types import Floats, Integers

#: Records written since the lengths were read that make it worth reading them again, if they are
#: more than an eighth.
_CROWDED = 1000
#: Postings kept in memory: 256 MB at most, and what they are worth.
_KEPT = 1 << 24
#: How soon a repeated word stops counting, and how much a long text is held back (Robertson).
_K1, _B = 1.2, 0.75


class Scheme(StrEnum):
    """How words are counted.

    With tf the times a text holds a word, df the number of texts of n that hold it, |d| a text's
    length in words and avg the mean length:

    ``OVERLAP``
        Σ tf: how many words of the text are words of the query.
    ``TFIDF``
        Σ √tf · idf² / √|d|, idf = 1 + ln((n + 1) / (df + 1)): rare words count more. (The formula
        of Lucene's ClassicSimilarity.)
    ``BM25``
        Σ idf · tf (k₁ + 1) / (tf + k₁ (1 − b + b |d| / avg)),
        idf = ln(1 + (n − df + ½) / (df + ½)), k₁ = 1.2, b = 0.75: repeating
        a word helps ever less, long texts gain nothing by length (Robertson & Zaragoza 2009).
    """

    OVERLAP = "overlap"
    TFIDF = "tfidf"
    BM25 = "bm25"


class Postings(NamedTuple):
    """The texts that hold a token: their places in the corpus, each once, and how often."""

    places: Integers
    counts: Floats


@dataclass(frozen=True)
class Corpus:
    """All texts at one moment; a text that was rewritten has a new place.

    Attributes
    ----------
    version : int
        The clock of the tables; −1 before anything was read.
    ids : array (n,), int64
        Record at each place.
    lengths : array (n,), float64
        Its tokens.
    live : array (n,), bool
        Whether it is still there.
    read : int
        Places that were read from the file; those after came since.
    """

    version: int = -1
    ids: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    lengths: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    live: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, dtype=bool))
    read: int = 0

    @cached_property
    def order(self) -> Integers:
        """Live places by record id: array (size,), int64."""
        alive = np.flatnonzero(self.live)
        by_id: Integers = alive[np.argsort(self.ids[alive], kind="stable")]  # nearly sorted
        return by_id

    @cached_property
    def known(self) -> Integers:
        """Ids of the live records, ascending: array (size,), int64."""
        known: Integers = self.ids[self.order]
        return known

    @cached_property
    def size(self) -> int:
        """Number of live texts."""
        return int(np.count_nonzero(self.live))

    @cached_property
    def mean(self) -> float:
        """Mean length of the live texts."""
        dead = self.lengths[~self.live].sum()
        return float(self.lengths.sum() - dead) / max(1, self.size)

    def places(self, ids: Integers) -> Integers:
        """Places of the records of these ids; those that are not there are left out."""
        at, there = self.find(ids)
        found: Integers = self.order[at[there]]
        return found

    def postings(self, ids: Integers) -> Postings:
        """Postings from the ids of the records that hold a token, one for each time."""
        unique, counts = np.unique(ids, return_counts=True)
        at, there = self.find(unique)
        return Postings(self.order[at[there]], counts[there].astype(np.float64))

    def find(self, ids: Integers) -> tuple[Integers, NDArray[np.bool_]]:
        """Where in `order` the records of these ids are, and whether they are there."""
        if not len(self.known):
            return ids, np.zeros(len(ids), dtype=bool)
        at = np.searchsorted(self.known, ids)
        at[at == len(self.known)] = 0
        return at, self.known[at] == ids

    def rewritten(self, gone: Sequence[int], documents: Sequence[Document], version: int) -> Corpus:
        """The corpus after records were deleted and texts were written."""
        ids = np.array([document.id for document in documents], dtype=np.int64)
        lengths = np.array([document.counts.total() for document in documents], dtype=np.float64)
        live = np.concatenate((self.live, np.ones(len(ids), dtype=bool)))
        live[self.places(np.concatenate((np.array(gone, dtype=np.int64), ids)))] = False
        return Corpus(
            version,
            np.concatenate((self.ids, ids)),
            np.concatenate((self.lengths, lengths)),
            live,
            self.read,
        )


class Word(NamedTuple):
    """A token of a query: the live texts that hold it, what it is worth to each, and its idf."""

    places: Integers
    weights: Floats
    idf: float


def weigh(corpus: Corpus, postings: Postings, scheme: Scheme | str = Scheme.BM25) -> Word:
    """Say what a token is worth to each text that holds it.

    Parameters
    ----------
    corpus : Corpus
    postings : Postings
    scheme : Scheme

    Returns
    -------
    Word
        With the idf of BM25, whatever the scheme.
    """
    places, counts = postings
    if corpus.size < len(corpus.live):
        alive = corpus.live[places]
        places, counts = places[alive], counts[alive]
    df = len(places)
    idf = float(np.log1p((corpus.size - df + 0.5) / (df + 0.5)))
    scheme = check_scheme(scheme)
    if not df or scheme is Scheme.OVERLAP:
        return Word(places, counts, idf)
    if scheme is Scheme.TFIDF:
        rare = 1 + np.log((corpus.size + 1) / (df + 1))
        return Word(places, rare**2 * np.sqrt(counts / corpus.lengths[places]), idf)
    held_back = _K1 * (1 - _B + _B / corpus.mean * corpus.lengths[places])
    return Word(places, (idf * (_K1 + 1)) * counts / (counts + held_back), idf)


def score(
    corpus: Corpus,
    words: Sequence[tuple[Word, int]],
    allowed: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Score every text for one query.

    Parameters
    ----------
    corpus : Corpus
    words : sequence of (Word, int)
        Each distinct token of the query, and how often it counts.
    allowed : array (n,), bool, optional
        Places that may be found.

    Returns
    -------
    array (n,), float64
        Score at each place; 0 where no word is held.
    """
    total = np.zeros(len(corpus.ids))
    for (places, weights, _), times in words:
        if allowed is not None:
            kept = allowed[places]
            places, weights = places[kept], weights[kept]  # noqa: PLW2901
        total[places] += weights if times == 1 else times * weights
    return total


def check_scheme(scheme: Scheme | str) -> Scheme:
    """Return the scheme of that name, or raise an InputError that lists them."""
    try:
        return Scheme(scheme)
    except ValueError:
        names = ", ".join(repr(str(s)) for s in Scheme)
        raise InputError(f"scheme is one of {names}, not {scheme!r}") from None


_NONE = Postings(np.zeros(0, dtype=np.int64), np.zeros(0))


@dataclass(frozen=True)
class Scored:
    """All texts, scored for one query.

    Attributes
    ----------
    corpus : Corpus
    scores : array (n,), float64
        At each place; 0 where no word is held.
    rarity : float
        Sum of the idf of the query's words, of those too that no text holds: what BM25 gives to a
        text of mean length that holds each word once.
    left : array (l,), int64, or None
        Places that may have a score, ascending; None: all.
    """

    corpus: Corpus
    scores: NDArray[np.float64]
    rarity: float
    left: Integers | None = None

    def best(self, k: int) -> tuple[Integers, Floats]:
        """Ids of the k best, best first, earlier records first among equals; and their scores."""
        if self.left is None:
            places = np.flatnonzero(self.scores > 0)  # five times as fast as of the scores
        else:  # quicker than looking at all
            places = self.left[self.scores[self.left] > 0]
        if len(places) > k:
            held = self.scores[places]
            places = places[held >= np.partition(held, len(held) - k)[len(held) - k]]
        places = places[np.argsort(-self.scores[places], kind="stable")[:k]]
        return self.corpus.ids[places], self.scores[places]

    def of(self, ids: Integers) -> Floats:
        """Scores of records, 0 for those that are not there: array (len(ids),)."""
        found = np.zeros(len(ids))
        at, there = self.corpus.find(ids)
        found[there] = self.scores[self.corpus.order[at[there]]]
        return found


class Forms:
    """The forms in which each stem of a language occurs; only those that are not the stem itself.

    Parameters
    ----------
    language : str
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._stems = stems(language)
        self._forms: dict[str, list[str]] = {}
        self._seen: set[str] = set()
        self.known = False

    def add(self, tokens: Iterable[str]) -> None:
        """Learn tokens."""
        self.known = True
        fresh = [token for token in tokens if token not in self._seen]
        for token, stem in zip(fresh, self._stems(fresh), strict=True):
            if token != stem:
                self._seen.add(token)
                self._forms.setdefault(stem, []).append(token)

    def term(self, token: str) -> str:
        """Name what a token of a query asks for: its stem, told apart from a token by its colon."""
        return f"{self._language}:{self._stems([token])[0]}"

    def of(self, term: str) -> list[str]:
        """All tokens of a stem."""
        stem = term.partition(":")[2]
        return [stem, *self._forms.get(stem, ())]


class Keywords:
    """Keyword search over one store. Any thread may use it.

    Parameters
    ----------
    tables : Tables
    """

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._corpus = Corpus()
        self._postings: dict[str, Postings] = {}
        self._words: dict[tuple[str, Scheme], Word] = {}
        self._held = 0  # places in all postings
        self._forms: dict[str, Forms] = {}
        self._latest: tuple[Corpus, Integers, Integers, NDArray[np.bool_]] | None = None

    def scored(
        self,
        queries: Sequence[Sequence[str]],
        scheme: Scheme = Scheme.BM25,
        language: str | None = None,
        among: Integers | None = None,
    ) -> Iterator[Scored]:
        """Score all texts for one query after the other, as of one moment.

        Parameters
        ----------
        queries : sequence of sequences of str
            Tokens, see :func:`qkv.words.query_tokens`.
        scheme : Scheme
        language : str, optional
            Count all forms of a word as one: of this language.
        among : array (a,), int64, optional
            Ids of the only records that may be found.

        Yields
        ------
        Scored
        """
        if language is not None:
            forms = self._forms.setdefault(language, Forms(language))
            queries = [[forms.term(token) for token in query] for query in queries]
        counted = [Counter(query) for query in queries]
        corpus, known = self._at_one_moment({term for query in counted for term in query}, scheme)
        left, allowed = (None, None) if among is None else self._left(corpus, among)
        for query in counted:
            times = dict.fromkeys(query, 1) if scheme is Scheme.OVERLAP else query
            words = [(known[term], times[term]) for term in query]
            rarity = sum(query[term] * known[term].idf for term in query)
            yield Scored(corpus, score(corpus, words, allowed), rarity, left)

    def _left(self, corpus: Corpus, among: Integers) -> tuple[Integers, NDArray[np.bool_]]:
        """Places of records, and a mask of them; those of the latest filter are remembered."""
        latest = self._latest
        if latest is None or latest[0] is not corpus or latest[1] is not among:
            left = np.sort(corpus.places(among))
            allowed = np.zeros(len(corpus.ids), dtype=bool)
            allowed[left] = True
            self._latest = latest = corpus, among, left, allowed
        return latest[2], latest[3]

    def _at_one_moment(self, terms: set[str], scheme: Scheme) -> tuple[Corpus, dict[str, Word]]:
        """Catch up with the tables, and read what is still missing of some terms."""
        self._tables.index_words()
        with self._tables.moment() as connection:
            version, floor, there = self._tables.clock(connection)
            if not there:  # dropped between the two, by another process
                self._corpus, self._postings, self._words = Corpus(), {}, {}
                return self._corpus, dict.fromkeys(terms, Word(*_NONE, 0.0))
            if version != self._corpus.version:
                before, self._corpus, self._words = self._corpus, Corpus(), {}
                # Should catching up be interrupted, the next search begins from nothing.
                if before.version < floor or not self._advance(before, version, connection):
                    self._read_anew(version, connection)
            if self._held > _KEPT:
                self._postings, self._words, self._held = {}, {}, 0
            for term in terms - self._postings.keys():
                self._postings[term] = self._read(term, connection)
                self._held += len(self._postings[term].places)
            for term in terms:
                if (term, scheme) not in self._words:
                    self._words[term, scheme] = weigh(self._corpus, self._postings[term], scheme)
            return self._corpus, {term: self._words[term, scheme] for term in terms}

    def _read_anew(self, version: int, connection: sqlite3.Connection) -> None:
        self._postings, self._held = {}, 0
        self._forms = {language: Forms(language) for language in self._forms}
        ids, lengths = self._tables.lengths(connection)
        live = np.ones(len(ids), dtype=bool)
        self._corpus = Corpus(version, ids, lengths.astype(np.float64), live, len(ids))

    def _read(self, term: str, connection: sqlite3.Connection) -> Postings:
        language, colon, _ = term.partition(":")
        tokens = [term]
        if colon:
            forms = self._forms[language]
            if not forms.known:
                forms.add(self._tables.vocabulary(connection))
            tokens = forms.of(term)
        found = [self._tables.postings(connection, token) for token in tokens]
        return self._corpus.postings(np.concatenate(found))

    def _advance(self, before: Corpus, version: int, connection: sqlite3.Connection) -> bool:
        """Add what was written since; False where reading anew is quicker."""
        if before.version < 0:
            return False
        written = self._tables.count_rewritten(connection, before.version)
        if len(before.ids) - before.read + written > max(_CROWDED, before.read // 8):
            return False
        gone, documents = self._tables.rewritten(connection, before.version)
        for place, document in enumerate(documents, len(before.ids)):
            for term, count in self._terms(document.counts).items():
                if term in self._postings:
                    places, counts = self._postings[term]
                    self._postings[term] = Postings(
                        np.append(places, place), np.append(counts, count)
                    )
        self._corpus = before.rewritten(gone, documents, version)
        return True

    def _terms(self, counts: Counter[str]) -> Counter[str]:
        """The tokens of a text, and their stems in the languages that were asked for."""
        terms = Counter(counts)
        for forms in self._forms.values():
            if forms.known:
                forms.add(counts)
                for token, count in counts.items():
                    terms[forms.term(token)] += count
        return terms
