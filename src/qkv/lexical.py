"""Words as a head of attention: what a query's words say of a record, beside its meaning.

Rare words of the store ("uber", "alice", "E1042") tell more than their meaning does. Their
evidence, E = K · BM25 / √R (:func:`qkv.ranking.word_evidence`), is on the scale of a standard
deviation of meaning, and is added to the score of a record in the same softmax:

    s' = s + σ (λ_k E_key + o λ_v E_value),    λ_k = ½, λ_v = 2,

with σ the standard deviation of cosines in this store (:mod:`qkv.spread`), and o the odds of the
values (:mod:`qkv.fields`): 0 where values do not count. Both λ were chosen on tuning parts
(docs/lexical.md) and are the same in every store. Records that words find join those that meaning
finds. In a store of two languages words count less where meaning has found its record
(:func:`qkv.ranking.word_weight`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

import numpy as np

from qkv.errors import DiskFull, Locked, ReadOnlyFile
from qkv.hearing import Hearing
from qkv.keyword import Field, Keywords, Scored
from qkv.ranking import word_evidence, word_weight
from qkv.snapshot import Snapshot
from qkv.space import Space
from qkv.spread import Spread, spread
from qkv.tables import Tables
from qkv.types import Floats, Integers
from qkv.words import content_tokens

__all__ = ["Lexical", "Raise"]

#: λ: a standard deviation of word evidence counts as so many of meaning.
KEYS, VALUES = 0.5, 2.0
#: Records that words propose for each query.
PROPOSED = 20


class Raise(NamedTuple):
    """What is added to the scores of some records, for m queries: arrays (m, r).

    Attributes
    ----------
    indices : array (m, r), int64
        Rows; −1 where there are fewer.
    scores : array (m, r)
        Their scores by meaning.
    by : array (m, r)
        What words add, ≥ 0.
    """

    indices: Integers
    scores: Floats
    by: Floats


class Lexical:
    """The words of one store, for attention and for search. Any thread may use it.

    Parameters
    ----------
    tables : Tables
    space : Space
    """

    def __init__(self, tables: Tables, space: Space) -> None:
        self.keywords = Keywords(tables)
        self.hearing = Hearing(tables, space)
        self._tables = tables
        self._space = space
        self._spread: Spread | None = None

    def spread(self, snapshot: Snapshot) -> Spread:
        """What meaning and words are measured with; looked at again once much has changed."""
        known = self._spread
        if known is None or not known.holds(snapshot):
            known = self._spread = spread(snapshot, self._tables, self._space)
        return known

    def raised(
        self,
        snapshot: Snapshot,
        texts: Sequence[str | None],
        prepared: Floats,
        near: tuple[Integers, Floats],
        among: Integers | None = None,
    ) -> Raise | None:
        """Say how much words add, and to which records.

        Parameters
        ----------
        snapshot : Snapshot
        texts : sequence of str or None
            The queries; None for a vector, which has no words.
        prepared : array (m, d)
            The same, prepared for the index.
        near : pair of arrays (m, k)
            Rows that meaning found, best first, and their scores.
        among : array (a,), int64, optional
            The only rows that may be found.

        Returns
        -------
        Raise or None
            None where words add nothing, or where the store listens to none.
        """
        if not self._space.hears_words or not any(texts):
            return None
        allowed = None if among is None else np.sort(snapshot.records[among])
        scored = self._scored([text or "" for text in texts], allowed)
        try:
            found = [
                self._one(snapshot, *of_one) for of_one in zip(prepared, *near, scored, strict=True)
            ]
        except (Locked, DiskFull, ReadOnlyFile):  # words that nobody could count yet
            return None
        width = max(len(rows) for rows, _, _ in found)
        if not width:
            return None
        indices = np.full((len(found), width), -1, dtype=np.int64)
        scores, by = np.zeros((2, len(found), width), dtype=prepared.dtype)
        for i, (rows, own, more) in enumerate(found):
            indices[i, : len(rows)], scores[i, : len(rows)], by[i, : len(rows)] = rows, own, more
        return Raise(indices, scores, by)

    def _scored(
        self, texts: Sequence[str], among: Integers | None
    ) -> Iterator[tuple[tuple[float, Scored], ...]]:
        """Each text's words, scored in keys, and in values where these count; with their weight."""
        asked = [content_tokens(text) for text in texts]
        fields = [(KEYS, Field.KEYS)]
        if self._space.value_odds:
            fields.append((VALUES * self._space.value_odds, Field.VALUES))
        # One query after the other: each has a number for every record.
        parts = (
            zip(repeat(weight), self.keywords.scored(asked, among=among, in_=field))
            for weight, field in fields
        )
        return zip(*parts, strict=True)

    def _one(
        self,
        snapshot: Snapshot,
        query: Floats,
        near: Integers,
        near_scores: Floats,
        scored: Sequence[tuple[float, Scored]],
    ) -> tuple[Integers, Floats, Floats]:
        """Rows that words speak for, their scores by meaning, and what words add."""
        none = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
        proposed = np.concatenate([one.best(PROPOSED)[0] for _, one in scored])
        if not len(proposed):
            return none
        known = near >= 0
        rows, scores = near[known], near_scores[known]
        more = snapshot.index.live(np.setdiff1d(snapshot.rows(np.unique(proposed)), rows))
        rows = np.concatenate((rows, more))
        scores = np.concatenate((scores, snapshot.index.scores(query, more)))
        ids = snapshot.records[rows]
        evidence = np.zeros(len(rows))
        for weight, one in scored:
            held = one.of(ids)
            evidence += weight * word_evidence(held, one.rarity, one.known_share, power=1)
        spoken = evidence > 0
        if not spoken.any():
            return none
        spread = self.spread(snapshot)
        counted = word_weight(spread.deviations(scores, query), spread.conflict)
        by = spread.deviation * counted * evidence
        return rows[spoken], scores[spoken], by[spoken]
