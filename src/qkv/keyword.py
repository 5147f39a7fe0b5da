"""Keyword search: which records hold the query's words, and how much that says.

Postings come from the file token by token, when a query first needs them, and stay in memory; what
is written meanwhile is added to them. So a search reads nothing that it does not need, and a word
that half of all records hold costs milliseconds once. Keys, values, or both: each is a set of texts
of its own, with its own lengths and its own rare words.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
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
_TINY = 1e-9
#: A word that more than one text of so many holds is weighed for all of them.
_OFTEN = 16
#: Groups for each of the k best, that scores are cut into.
_GROUPS = 8


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


class Field(StrEnum):
    """Which texts of a record are searched: its ``KEYS``, its ``VALUES``, or ``BOTH`` as one."""

    KEYS = "keys"
    VALUES = "values"
    BOTH = "both"


class Postings(NamedTuple):
    """The texts that hold a token: their places in the corpus, each once, and how often."""

    places: Integers
    counts: Floats


@dataclass(frozen=True)
class Corpus:
    """All records at one moment; one that was rewritten has a new place.

    Attributes
    ----------
    version : int
        The clock of the tables; −1 before anything was read.
    ids : array (n,), int64
        Record at each place.
    lengths : array (2, n), float64
        Tokens of its key and of its value.
    live : array (n,), bool
        Whether it is still there.
    read : int
        Places that were read from the file; those after came since.
    """

    version: int = -1
    ids: Integers = attribute(default_factory=lambda: np.zeros(0, dtype=np.int64))
    lengths: NDArray[np.float64] = attribute(default_factory=lambda: np.zeros((2, 0)))
    live: NDArray[np.bool_] = attribute(default_factory=lambda: np.zeros(0, dtype=bool))
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
    def _relative(self) -> dict[Field, NDArray[np.float64]]:
        return {}

    def length(self, field: Field) -> NDArray[np.float64]:
        """Tokens of the text at each place: array (n,)."""
        keys: NDArray[np.float64] = self.lengths[0]
        values: NDArray[np.float64] = self.lengths[1]
        return keys + values if field is Field.BOTH else keys if field is Field.KEYS else values

    def held_back(self, field: Field) -> NDArray[np.float64]:
        """How much BM25 holds a text back by its length, k₁ (1 − b + b |d| / avg): array (n,)."""
        if field not in self._relative:
            length = self.length(field)
            dead = length[~self.live].sum()
            mean = float(length.sum() - dead) / max(1, self.size)
            self._relative[field] = _K1 * (1 - _B + _B * length / max(mean, _TINY))
        return self._relative[field]

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
        sizes = [(document.key.total(), document.value.total()) for document in documents]
        lengths = np.array(sizes, dtype=np.float64).reshape(-1, 2).T
        live = np.concatenate((self.live, np.ones(len(ids), dtype=bool)))
        live[self.places(np.concatenate((np.array(gone, dtype=np.int64), ids)))] = False
        return Corpus(
            version,
            np.concatenate((self.ids, ids)),
            np.concatenate((self.lengths, lengths), axis=1),
            live,
            self.read,
        )


class Word(NamedTuple):
    """A token of a query: the live texts that hold it, what it is worth to each, and its idf.

    `places` is None for one that many texts hold: then `weights` has a number for every place.
    """

    places: Integers | None
    weights: Floats
    idf: float
    df: int


def weigh(
    corpus: Corpus,
    postings: Postings,
    scheme: Scheme | str = Scheme.BM25,
    field: Field = Field.BOTH,
) -> Word:
    """Say what a token is worth to each text that holds it.

    Parameters
    ----------
    corpus : Corpus
    postings : Postings
        Of the texts of this field.
    scheme : Scheme
    field : Field

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
        weights = counts
    elif scheme is Scheme.TFIDF:
        rare = 1 + np.log((corpus.size + 1) / (df + 1))
        weights = rare**2 * np.sqrt(counts / corpus.length(field)[places])
    else:
        weights = (idf * (_K1 + 1)) * counts / (counts + corpus.held_back(field)[places])
    if df * _OFTEN <= len(corpus.ids):
        return Word(places, weights, idf, df)
    # A word that many hold is added to all quicker than to each of them.
    spread = np.zeros(len(corpus.ids))
    spread[places] = weights
    return Word(None, spread, idf, df)


def score(corpus: Corpus, words: Sequence[tuple[Word, int]]) -> NDArray[np.float64]:
    """Score every text for one query.

    Parameters
    ----------
    corpus : Corpus
    words : sequence of (Word, int)
        Each distinct token of the query, and how often it counts.

    Returns
    -------
    array (n,), float64
        Score at each place; 0 where no word is held.
    """
    total = np.zeros(len(corpus.ids))
    for word, times in words:
        weights = word.weights if times == 1 else times * word.weights
        if word.places is None:
            total += weights
        else:
            total[word.places] += weights
    return total


def check_scheme(scheme: Scheme | str) -> Scheme:
    """Return the scheme of that name, or raise an InputError that lists them."""
    try:
        return Scheme(scheme)
    except ValueError:
        names = ", ".join(repr(str(s)) for s in Scheme)
        raise InputError(f"scheme is one of {names}, not {scheme!r}") from None


def check_field(in_: Field | str) -> Field:
    """Return the field of that name, or raise an InputError that lists them."""
    try:
        return Field(in_)
    except ValueError:
        names = ", ".join(repr(str(f)) for f in Field)
        raise InputError(f"in_ is one of {names}, not {in_!r}") from None


_NONE = Postings(np.zeros(0, dtype=np.int64), np.zeros(0))
#: What the index calls them.
_COLUMNS = {Field.KEYS: "key", Field.VALUES: "value"}


@dataclass(frozen=True)
class Scored:
    """All texts, scored for one query.

    Attributes
    ----------
    corpus : Corpus
    scores : array (n,), float64
        At each place; 0 where no word is held.
    rarity : float
        R: sum of the idf of the query's words, of those too that no text holds: what BM25 gives to
        a text of mean length that holds each word once. A number that no text holds is not
        counted: there are more numbers than any store knows.
    known_share : float
        K: the share of R, 0 … 1, of the words that some text holds. A query in a language that the
        store does not speak has little of it.
    left : array (l,), int64, or None
        The only places that may be found, ascending; None: all.
    """

    corpus: Corpus
    scores: NDArray[np.float64]
    rarity: float
    known_share: float = 1.0
    left: Integers | None = None

    def best(self, k: int) -> tuple[Integers, Floats]:
        """Ids of the k best, best first, earlier records first among equals; and their scores."""
        scores = self.scores if self.left is None else self.scores[self.left]
        floor = _reached(scores, k)
        places = np.flatnonzero(scores >= floor if floor > 0 else scores > 0)
        if len(places) > k:
            held = scores[places]
            places = places[held >= np.partition(held, len(held) - k)[len(held) - k]]
        places = places[np.argsort(-scores[places], kind="stable")[:k]]
        found = places if self.left is None else self.left[places]
        return self.corpus.ids[found], scores[places]

    def of(self, ids: Integers) -> Floats:
        """Scores of records, 0 for those that are not there: array (len(ids),)."""
        found = np.zeros(len(ids))
        at, there = self.corpus.find(ids)
        found[there] = self.scores[self.corpus.order[at[there]]]
        return found


def _numbered(term: str) -> bool:
    return any(map(str.isdigit, term))


def _reached(scores: NDArray[np.float64], k: int) -> float:
    """A score that at least k reach, and not many more: the k-th best of the groups' maxima."""
    groups = _GROUPS * k
    size = len(scores) // groups
    if size < 2:
        return 0.0
    maxima = scores[: groups * size].reshape(size, groups).max(axis=0)
    return float(np.partition(maxima, groups - k)[groups - k])


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
        self._postings: dict[tuple[str, Field], Postings] = {}
        self._words: dict[tuple[str, Field, Scheme], Word] = {}
        self._held = self._weighed = 0  # numbers in all postings, and in all words
        self._forms: dict[str, Forms] = {}
        self._latest: tuple[Corpus, Integers, Integers] | None = None

    def scored(
        self,
        queries: Sequence[Sequence[str]],
        scheme: Scheme = Scheme.BM25,
        language: str | None = None,
        among: Integers | None = None,
        in_: Field = Field.BOTH,
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
        in_ : Field
            Which texts: of keys, of values, or of both as one.

        Yields
        ------
        Scored
        """
        if language is not None:
            forms = self._forms.setdefault(language, Forms(language))
            queries = [[forms.term(token) for token in query] for query in queries]
        counted = [Counter(query) for query in queries]
        terms = {term for query in counted for term in query}
        corpus, known = self._at_one_moment(terms, in_, scheme)
        left = None if among is None else self._left(corpus, among)
        for query in counted:
            times = dict.fromkeys(query, 1) if scheme is Scheme.OVERLAP else query
            words = [(known[term], times[term]) for term in query]
            worth = [
                (known[term].df, query[term] * known[term].idf)
                for term in query
                if known[term].df or not _numbered(term)
            ]
            rarity = sum(idf for _, idf in worth)
            heard = sum(idf for df, idf in worth if df)
            share = heard / rarity if rarity else 0.0
            yield Scored(corpus, score(corpus, words), rarity, share, left)

    def _left(self, corpus: Corpus, among: Integers) -> Integers:
        """Places of records; those of the latest filter are remembered."""
        latest = self._latest
        if latest is None or latest[0] is not corpus or latest[1] is not among:
            self._latest = latest = corpus, among, np.sort(corpus.places(among))
        return latest[2]

    def _at_one_moment(
        self, terms: set[str], field: Field, scheme: Scheme
    ) -> tuple[Corpus, dict[str, Word]]:
        """Catch up with the tables, and read what is still missing of some terms."""
        self._tables.index_words()
        with self._tables.moment() as connection:
            version, floor, there = self._tables.clock(connection)
            if not there:  # dropped between the two, by another process
                self._corpus, self._postings, self._words = Corpus(), {}, {}
                self._held = self._weighed = 0
                return self._corpus, dict.fromkeys(terms, Word(*_NONE, 0.0, 0))
            if version != self._corpus.version:
                before, self._corpus = self._corpus, Corpus()
                self._words, self._weighed = {}, 0
                # Should catching up be interrupted, the next search begins from nothing.
                if before.version < floor or not self._advance(before, version, connection):
                    self._read_anew(version, connection)
            if self._held + self._weighed > _KEPT:
                self._postings, self._words = {}, {}
                self._held = self._weighed = 0
            return self._corpus, {
                term: self._word(term, field, scheme, connection) for term in terms
            }

    def _word(
        self, term: str, field: Field, scheme: Scheme, connection: sqlite3.Connection
    ) -> Word:
        known = self._words.get((term, field, scheme))
        if known is None:
            postings = self._postings.get((term, field))
            if postings is None:
                postings = self._postings[term, field] = self._read(term, field, connection)
                self._held += len(postings.places)
            known = weigh(self._corpus, postings, scheme, field)
            self._words[term, field, scheme] = known
            self._weighed += len(known.weights)
        return known

    def _read_anew(self, version: int, connection: sqlite3.Connection) -> None:
        self._postings, self._held = {}, 0
        self._forms = {language: Forms(language) for language in self._forms}
        ids, lengths = self._tables.lengths(connection)
        live = np.ones(len(ids), dtype=bool)
        self._corpus = Corpus(version, ids, lengths.astype(np.float64), live, len(ids))

    def _read(self, term: str, field: Field, connection: sqlite3.Connection) -> Postings:
        language, colon, _ = term.partition(":")
        tokens = [term]
        if colon:
            forms = self._forms[language]
            if not forms.known:
                forms.add(self._tables.vocabulary(connection))
            tokens = forms.of(term)
        column = _COLUMNS.get(field)
        found = [self._tables.postings(connection, token, column) for token in tokens]
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
            key, value = self._terms(document.key), self._terms(document.value)
            for field, counts in (
                (Field.KEYS, key),
                (Field.VALUES, value),
                (Field.BOTH, key + value),
            ):
                self._add(field, place, counts)
        self._corpus = before.rewritten(gone, documents, version)
        return True

    def _add(self, field: Field, place: int, counts: Counter[str]) -> None:
        """Add a text to the postings that are in memory."""
        for term, count in counts.items():
            if (term, field) in self._postings:
                places, known = self._postings[term, field]
                self._postings[term, field] = Postings(
                    np.append(places, place), np.append(known, count)
                )

    def _terms(self, counts: Counter[str]) -> Counter[str]:
        """The tokens of a text, and their stems in the languages that were asked for."""
        terms = Counter(counts)
        for forms in self._forms.values():
            if forms.known:
                forms.add(counts)
                for token, count in counts.items():
                    terms[forms.term(token)] += count
        return terms
