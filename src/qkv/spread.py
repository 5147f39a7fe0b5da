"""How far apart the records of a store lie, by meaning and by words: what both are measured with.

A cosine of .6 is much with one encoder and little with another; a common word of two texts says
much, unless the store speaks two languages. Both are taken from a sample of the stored records
themselves: no question is needed for it, and no label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum

import numpy as np

from qkv.fields import own_queries
from qkv.snapshot import Snapshot
from qkv.space import Space
from qkv.tables import Tables
from qkv.types import Floats, Integers, Metric
from qkv.words import query_tokens

__all__ = ["Spread", "spread"]

#: Records that are looked at.
_SAMPLE = 200
_SEED = 0
#: Standard deviation of cosines that is expected before any is seen, and records that it is worth.
_USUAL, _WORTH = 0.1, 10
#: Records that another one is compared with by its words.
_OTHERS = 20
#: Agreement that is expected before any is seen, and records that it is worth.
_EXPECTED, _FIRM = 0.85, 20
#: Agreement from which on nothing is in conflict, and how far below all is.
_AGREED, _RANGE = 0.79, 0.08
#: A word is common from this share of the texts on.
_COMMON = 0.03
#: Keys are read up to here: to tokenize a long text of pieces takes longer than to find it.
_READ = 2000
#: Changed records that make it worth looking again, if they are an eighth.
_CHANGED = 8


@dataclass(frozen=True)
class Spread:
    """What a sample of the records says of all.

    Attributes
    ----------
    deviation : float
        σ > 0: mean standard deviation of a record's scores to the others, by meaning.
    mean : array (d,)
        The mean key: its dot product with a prepared query is the query's mean score.
    conflict : float
        From 0 … 1: how far words contradict meaning. 0 in a store of one language: what means the
        same as a record has more words in common with it than another has. 1 where every text is
        there in two languages, and the encoder sees it.
    records, touched, projected : int
        Of the snapshot that was looked at.
    """

    deviation: float
    mean: Floats
    conflict: float
    records: int = 0
    touched: int = 0
    projected: int = 0

    def holds(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot has not changed much since."""
        changed = max(abs(len(snapshot) - self.records), snapshot.touched - self.touched)
        return (
            snapshot.projected == self.projected
            and len(self.mean) == snapshot.index.dimension
            and 0 <= changed * _CHANGED <= self.records
            and self.touched <= snapshot.touched
        )

    def deviations(self, scores: Floats, query: Floats) -> Floats:
        """Scores of one prepared query (d,) as standard deviations above its mean."""
        found: Floats = (scores - query @ self.mean) / self.deviation
        return found


def spread(snapshot: Snapshot, tables: Tables, space: Space) -> Spread:
    """Look at a sample of the records: the same each time.

    Parameters
    ----------
    snapshot : Snapshot
    tables : Tables
        Of the same store.
    space : Space

    Returns
    -------
    Spread
    """
    rows = np.flatnonzero(snapshot.records >= 0)  # no corrections: their keys are questions
    rows = snapshot.index.live(rows)
    if len(rows) > _SAMPLE:
        chosen = np.random.default_rng(_SEED).choice(len(rows), _SAMPLE, replace=False)
        rows = rows[np.sort(chosen)]
    ids = snapshot.records[rows]
    keys = snapshot.index.vectors(rows)
    about = len(snapshot), snapshot.touched, snapshot.projected
    if len(rows) < 2:
        mean = keys.mean(axis=0) if len(rows) else np.zeros(snapshot.index.dimension)
        return Spread(_USUAL if space.metric is Metric.COSINE else 1.0, mean, 0.0, *about)
    asked = space.prepared(own_queries(snapshot, tables, space, rows))
    deviation = _deviation(asked @ keys.T, space.metric)
    nearest = _nearest(snapshot, rows, asked)
    return Spread(deviation, keys.mean(axis=0), _conflict(tables, ids, nearest), *about)


def _deviation(scores: Floats, metric: Metric) -> float:
    """Mean standard deviation of each row without its own."""
    n = len(scores)
    others = scores[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    found = float(others.std(axis=1).mean())
    if metric is Metric.COSINE:
        found = float(np.sqrt((n * found**2 + _WORTH * _USUAL**2) / (n + _WORTH)))
    return found or 1.0


def _nearest(snapshot: Snapshot, rows: Integers, asked: Floats) -> Integers:
    """Of each record the one that means most nearly the same: ids, its own where there is none."""
    found, _ = snapshot.index.neighbours(asked, 2)
    other = np.where(found[:, 0] == rows, found[:, -1], found[:, 0])
    return snapshot.records[np.where(other < 0, rows, other)]


def _conflict(tables: Tables, ids: Integers, nearest: Integers) -> float:
    """How seldom what means the same has more words in common than another record has.

    Counted twice, by what all words are worth, and by common ones alone: a translation shares the
    names in a text, but none of its small words.
    """
    texts = tables.keys(np.union1d(ids, nearest).tolist())
    words = {id: frozenset(query_tokens(text[:_READ])) for id, text in texts.items()}
    held = Counter(word for text in words.values() for word in text)
    idf = {w: float(np.log1p((len(words) - df + 0.5) / (df + 0.5))) for w, df in held.items()}
    common = {word: 1.0 for word, df in held.items() if df >= _COMMON * len(words)}
    # Sums are exact: they do not depend on the order of a set.
    weighed = [(worth, _sums(words, worth)) for worth in (idf, common)]
    rng = np.random.default_rng(_SEED)
    agreed, asked = _EXPECTED * _FIRM, _FIRM
    for id, near in zip(ids.tolist(), nearest.tolist(), strict=True):
        others = [o for o in rng.choice(ids, _OTHERS).tolist() if o not in {id, near}]
        if not others or near == id or near not in words or id not in words:
            continue
        compared = [one for one in (near, *others) if one in words]
        both = [words[id] & words[one] for one in compared]
        shared = [
            np.array([fsum(worth.get(w, 0.0) for w in held_by_both) for held_by_both in both])
            / np.array([sums[one] for one in compared])
            for worth, sums in weighed
        ]
        if shared[0].any():  # or words say nothing
            agreed += sum(map(_beaten, shared)) / 2
            asked += 1
    return float(np.clip((_AGREED - agreed / asked) / _RANGE, 0, 1))


def _beaten(shared: Floats) -> float:
    """Share of the others that the first is before, ties by half."""
    return float((shared[1:] < shared[0]).mean() + 0.5 * (shared[1:] == shared[0]).mean())


def _sums(words: Mapping[int, frozenset[str]], worth: Mapping[str, float]) -> dict[int, float]:
    """√(Σ worth) of each text."""
    return {
        id: max(fsum(worth.get(word, 0.0) for word in text), 1e-9) ** 0.5
        for id, text in words.items()
    }
