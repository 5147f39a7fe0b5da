"""Search: the records themselves, ranked by meaning, by words, or by both.

One signature, one result: whatever ranks the records, a match says for each retriever that found
it at which rank and with which score.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Any, Literal, TypeAlias

import numpy as np

from qkv.attention import check_count
from qkv.cloze import EVEN, share_of_meaning
from qkv.encoders import weak
from qkv.errors import InputError
from qkv.filters import Filter
from qkv.keyword import Field, Scheme, Scored, check_field, check_scheme
from qkv.languages import stems
from qkv.languages import stop_words as listed
from qkv.ranking import attention_fusion, reciprocal_rank_fusion, word_evidence
from qkv.reader import Reader
from qkv.snapshot import Snapshot
from qkv.space import Query, Space
from qkv.spread import Spread
from qkv.tables import ID, Tables
from qkv.types import Floats, Integers, Match, Place, Span
from qkv.values import Stored, from_stored
from qkv.words import hits, query_tokens, tokens

__all__ = ["DEPTH", "Fusion", "Mode", "Options", "Search", "check_options"]

#: Records that each retriever names for a fusion.
DEPTH = 100
#: Weights of key and value in meaning; where both are searched, the store's own.
_FIELDS = {Field.KEYS: (1.0, 0.0), Field.VALUES: (0.0, 1.0)}
#: Stands for no record.
_NONE = -1

#: How a hybrid search brings two rankings into one: see :meth:`qkv.Database.search`.
Fusion: TypeAlias = Literal["attention", "rrf"] | float


class Mode(StrEnum):
    """What ranks the records: ``SEMANTIC`` meaning, ``KEYWORD`` words, ``HYBRID`` both."""

    SEMANTIC = "semantic"
    KEYWORD = "keyword"
    HYBRID = "hybrid"


@dataclass(frozen=True)
class Options:
    """How to search, checked.

    Attributes
    ----------
    k : int
        Records for each query.
    mode : Mode
    scheme : Scheme
        How words are counted.
    fusion : Fusion
        How a hybrid search brings two rankings into one.
    language : str or None
        Whose stems words are counted by.
    stop_words : frozenset of str
        Tokens that do not count.
    exclude_query : bool
        Leave out the record whose key is the query.
    spans : bool
        Say where in the record the answer is.
    in_ : Field
        Which texts of a record are searched: by meaning, values where the store reads them.
    """

    k: int
    mode: Mode
    scheme: Scheme
    fusion: Fusion
    language: str | None
    stop_words: frozenset[str]
    exclude_query: bool
    spans: bool
    in_: Field

    def heard(self, query: str) -> list[str]:
        """Tokens of a query that count."""
        return [word for word in query_tokens(query) if word not in self.stop_words]

    @property
    def depth(self) -> int:
        """Records that each retriever has to name."""
        wanted = self.k if self.mode is not Mode.HYBRID else max(self.k, DEPTH)
        return wanted + self.exclude_query


def check_options(
    k: int,
    mode: Mode | str,
    scheme: Scheme | str,
    fusion: Fusion,
    language: str | None,
    stop_words: Any,
    exclude_query: bool,
    spans: bool,
    in_: Field | str = Field.BOTH,
) -> Options:
    """Return options, or raise the InputError that says which cannot be used."""
    try:
        mode = Mode(mode)
    except ValueError:
        names = ", ".join(repr(str(m)) for m in Mode)
        raise InputError(f"mode is one of {names}, not {mode!r}") from None
    if fusion not in {"attention", "rrf"}:
        if isinstance(fusion, str | bool) or not 0 <= fusion <= 1:
            raise InputError(
                f"fusion is 'attention', 'rrf', or the share of meaning from 0 to 1, not {fusion!r}"
            )
        fusion = float(fusion)
    scheme = check_scheme(scheme)
    if fusion != "rrf" and scheme is not Scheme.BM25 and mode is Mode.HYBRID:
        raise InputError(
            f"fusion={fusion!r} adds scores, and those of scheme={str(scheme)!r} have no common "
            "measure with meaning; use scheme='bm25', or fusion='rrf'"
        )
    return Options(
        check_count(k, "k"),
        mode,
        scheme,
        fusion,
        language,
        _unheard(stop_words) | (frozenset() if language is None else _small(language)),
        bool(exclude_query),
        bool(spans),
        check_field(in_),
    )


def _unheard(stop_words: Any) -> frozenset[str]:
    if stop_words is None:
        return frozenset()
    if isinstance(stop_words, str):
        return _small(stop_words)
    try:
        return frozenset(token for word in stop_words for token in tokens(word))
    except (TypeError, AttributeError):
        raise InputError(
            f"stop_words is a language like 'en', or a list of words, not {stop_words!r:.60}"
        ) from None


def _small(language: str) -> frozenset[str]:
    return frozenset(token for word in listed(language) for token in tokens(word))


#: A ranking: records and their scores, best first.
Ranking: TypeAlias = "dict[int, float]"


class Meaning:
    """Scores of meaning for some queries, as of one snapshot.

    Parameters
    ----------
    snapshot : Snapshot
    tables : Tables
        Of the same store.
    vectors : array (m, d)
        The queries.
    prepared : array (m, d')
        The same, prepared for the index.
    among : array (a,), int64, or None
        The only rows that may be found.
    offset : array (m,), optional
        What is added to the scores of the best of each query.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        tables: Tables,
        vectors: Floats,
        prepared: Floats,
        among: Integers | None,
        offset: Floats | None = None,
    ) -> None:
        self.snapshot = snapshot
        self._offset = np.zeros(len(prepared)) if offset is None else offset
        self._tables = tables
        self._prepared = prepared
        self._among = among
        self._understood = vectors.any(axis=1)

    def best(self, k: int) -> list[Ranking]:
        """The best k records for each query; none for one of which nothing was understood."""
        if not len(self.snapshot.records):
            return [{} for _ in self._prepared]
        # A correction and the record that it names are one.
        more = k if self._tables.corrected() else 0
        rows, scores = self.snapshot.index.neighbours(self._prepared, k + more, self._among)
        ids = np.where(rows >= 0, self.snapshot.records[rows], _NONE)
        if ids.min(initial=0) < _NONE:
            ids = self._meant(ids)
        ids[~self._understood] = _NONE
        scores = scores + self._offset[:, None].astype(scores.dtype)
        rankings = [_ranking(*of_one) for of_one in zip(ids, scores, strict=True)]
        return [dict(islice(one.items(), k)) for one in rankings] if more else rankings

    def _meant(self, ids: Integers) -> Integers:
        """Records that corrections name, in the place of these; none for one that names none."""
        corrections = np.unique(ids[ids < _NONE]).tolist()
        meant = self._tables.corrected_records(corrections)
        for one in corrections:
            ids[ids == one] = meant.get(one, _NONE)
        return ids

    def of(self, query: int, ids: Integers) -> Floats:
        """Scores of records for one query, 0 for those that are not there."""
        rows = self.snapshot.rows(ids)
        scores = self.snapshot.index.scores(self._prepared[query], rows)
        known = _ranking(self.snapshot.records[rows], scores)
        return np.array([known.get(id, 0.0) for id in ids.tolist()])

    def deviations(self, query: int, ids: Integers, spread: Spread) -> Floats:
        """The same as standard deviations above the query's mean."""
        return spread.deviations(self.of(query, ids), self._prepared[query])


class Search:
    """Search over one store.

    Parameters
    ----------
    tables : Tables
    space : Space
    reader : Reader
        Knows the snapshot and which records pass a filter.
    """

    def __init__(self, tables: Tables, space: Space, reader: Reader) -> None:
        self._tables = tables
        self._space = space
        self._reader = reader
        self._keywords = reader.lexical.keywords
        self._latest: tuple[Snapshot, Integers, Integers] | None = None
        self._shared: tuple[Spread, float] | None = None

    def find(
        self, queries: Sequence[Query], options: Options, where: Filter | None = None
    ) -> list[list[Match]]:
        """Rank records for each of some checked queries."""
        if not queries:
            return []
        among = None if where is None else self._reader.among(where)
        own = self._own(queries, options)
        if options.mode is not Mode.KEYWORD:  # there, words are looked for as they are written
            queries, _ = self._reader.lexical.hearing.queries(queries)
        ranked = list(self._ranked(queries, own, options, among))
        records = self._tables.records(sorted({id for row in ranked for id, _, _ in row}))
        matches = [
            # A record that was deleted meanwhile is not there any more.
            [_match(records[id], score, why) for id, score, why in row if id in records]
            for row in ranked
        ]
        if not options.spans:
            return matches
        return [self._located(q, row, options) for q, row in zip(queries, matches, strict=True)]

    def _ranked(
        self,
        queries: Sequence[Query],
        leave_out: Sequence[int],
        options: Options,
        among: Integers | None,
    ) -> Iterator[list[tuple[int, float, dict[str, Place]]]]:
        """Records, scores, and each retriever's rank and score; best first, at most k a query."""
        meaning = None if options.mode is Mode.KEYWORD else self._meaning(queries, options, among)
        words = None if options.mode is Mode.SEMANTIC else self._words(queries, options, among)
        near = meaning.best(options.depth) if meaning else [{} for _ in queries]
        for row, own in enumerate(leave_out):
            rankings = {"semantic": near[row]} if meaning else {}
            scored = next(words) if words else None
            if scored:
                rankings["keyword"] = _ranking(*scored.best(options.depth))
            for ranking in rankings.values():
                ranking.pop(own, None)
            if meaning and scored:
                best = self._fused(rankings, options, row, meaning, scored)
            else:
                (best,) = rankings.values()
            ranks = {
                name: {id: rank for rank, id in enumerate(ranking, 1)}
                for name, ranking in rankings.items()
            }
            yield [
                (
                    id,
                    score,
                    {
                        name: Place(ranks[name][id], ranking[id])
                        for name, ranking in rankings.items()
                        if id in ranking
                    },
                )
                for id, score in islice(best.items(), options.k)
            ]

    def _fused(
        self,
        rankings: Mapping[str, Ranking],
        options: Options,
        row: int,
        meaning: Meaning,
        scored: Scored,
    ) -> Ranking:
        """Bring what meaning and words found into one ranking."""
        if options.fusion == "rrf":
            return reciprocal_rank_fusion([list(ranking) for ranking in rankings.values()])
        ids = np.array(list(rankings["semantic"] | rankings["keyword"]), dtype=np.int64)
        if not len(ids):
            return {}
        spread = self._reader.lexical.spread(meaning.snapshot)
        given = options.fusion
        share = self._share(spread, meaning.snapshot) if isinstance(given, str) else given
        scores = attention_fusion(
            meaning.deviations(row, ids, spread),
            word_evidence(scored.of(ids), scored.rarity, scored.known_share),
            share,
            spread.conflict,
        )
        order = np.argsort(-scores, kind="stable")
        return _ranking(ids[order], scores[order])

    def scales(self) -> tuple[float, float]:
        """Share of meaning in a hybrid search, and how far words contradict meaning; each 0 … 1."""
        snapshot = self._reader.snapshot()
        spread = self._reader.lexical.spread(snapshot)
        return self._share(spread, snapshot), spread.conflict

    def _share(self, spread: Spread, snapshot: Snapshot) -> float:
        """Share of meaning where none is given: looked for again when the spread is."""
        if self._space.encoder is None or not weak(self._space.encoder):
            return EVEN
        known = self._shared
        if known is None or known[0] is not spread:
            share = share_of_meaning(snapshot, self._tables, self._space, self._keywords)
            self._shared = known = spread, share
        return known[1]

    def _meaning(
        self, queries: Sequence[Query], options: Options, among: Integers | None
    ) -> Meaning:
        vectors = self._space.queries(queries)
        snapshot, space = self._reader.snapshot(), self._space
        rows = None if among is None else self._rows(snapshot, among)
        offset = None
        if options.in_ is Field.VALUES and options.mode is Mode.SEMANTIC:
            centre = space.centre()
            if not space.reads_values:
                raise InputError(
                    "in_='values' asks what values mean, and this store does not read them: it "
                    "was begun without read_values=True. Use mode='keyword' for their words"
                )
            if centre is None:  # none of them is a sentence yet
                rows = np.zeros(0, dtype=np.int64)
            else:  # it was taken out of the values, and now they alone are compared
                offset = space.prepared(vectors)[:, : len(centre)] @ centre
        fields = _FIELDS.get(options.in_)
        prepared = space.prepared(vectors, fields=fields, dimension=snapshot.index.dimension)
        return Meaning(snapshot, self._tables, vectors, prepared, rows, offset)

    def _rows(self, snapshot: Snapshot, among: Integers) -> Integers:
        """Rows of records; those of the latest filter are remembered."""
        latest = self._latest
        if latest is None or latest[0] is not snapshot or latest[1] is not among:
            self._latest = latest = snapshot, among, snapshot.rows(among)
        return latest[2]

    def _words(
        self, queries: Sequence[Query], options: Options, among: Integers | None
    ) -> Iterator[Scored]:
        if not all(isinstance(q, str) for q in queries):
            raise InputError(
                f"a vector has no words; ask a {options.mode} search with text, or use "
                "mode='semantic'"
            )
        words = [options.heard(str(q)) for q in queries]
        return self._keywords.scored(words, options.scheme, options.language, among, options.in_)

    def _own(self, queries: Sequence[Query], options: Options) -> list[int]:
        """For each query the record to leave out."""
        if not options.exclude_query:
            return [_NONE] * len(queries)
        rows = [self._tables.one(ID, q) if isinstance(q, str) else None for q in queries]
        return [row[0] if row else _NONE for row in rows]

    def _located(self, q: Query, matches: list[Match], options: Options) -> list[Match]:
        """Say where in each record the answer is."""
        spans: list[list[Span]] = [[] for _ in matches]
        if isinstance(q, str) and options.mode is not Mode.SEMANTIC:
            wanted = set(options.heard(q))
            for match, found in zip(matches, spans, strict=True):
                for field, text in _texts(match):
                    if options.in_ not in {Field.BOTH, f"{field}s"}:
                        continue
                    forms = wanted if options.language is None else _forms(text, wanted, options)
                    found += [
                        Span(text[start:end], field, start, end, "keyword")
                        for start, end in hits(text, forms)
                    ]
        if isinstance(q, str) and options.mode is not Mode.KEYWORD and self._space.encoder:
            from qkv.passages import best_sentences  # noqa: PLC0415  (20 ms, seldom needed)

            # The longer text of a record is the one to look into.
            longest = [max(_texts(match), key=lambda one: len(one[1])) for match in matches]
            best = best_sentences(self._space.encoder, q, [text for _, text in longest])
            for (field, text), one, found in zip(longest, best, spans, strict=True):
                if one is not None:
                    part = text[one.start : one.end]
                    found.append(Span(part, field, one.start, one.end, "semantic"))
        return [
            replace(match, spans=tuple(found)) for match, found in zip(matches, spans, strict=True)
        ]


def _ranking(ids: Integers, scores: Floats) -> Ranking:
    """Scores by record, best first; of one that a correction names, too, the better score."""
    ranking: Ranking = {}
    for id, score in zip(ids.tolist(), scores.tolist(), strict=True):
        ranking.setdefault(id, score)
    ranking.pop(_NONE, None)
    return ranking


def _match(
    record: tuple[str, str, Stored, str | None], score: float, why: Mapping[str, Place]
) -> Match:
    key, kind, stored, metadata = record
    about = None if metadata is None else json.loads(metadata)
    return Match(key, from_stored(kind, stored), score, about, why)


def _forms(text: str, wanted: set[str], options: Options) -> set[str]:
    """Tokens of a text that are forms of wanted words."""
    stemmed = stems(options.language or "")
    mine = set(stemmed(list(wanted)))
    there = sorted(set(tokens(text)))
    return {token for token, stem in zip(there, stemmed(there), strict=True) if stem in mine}


def _texts(match: Match) -> list[tuple[str, str]]:
    """The texts of a record: its key, and its value where that is text."""
    value = [("value", match.value)] if isinstance(match.value, str) else []
    return [("key", match.key), *value]
