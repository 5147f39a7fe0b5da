"""How far apart the records of a store lie, by meaning and by words: what both are measured with.

A cosine of .6 is much with one encoder and little with another; words of two texts that are the
same say much, unless the store speaks two languages. Both are taken from a sample of the stored
records themselves: no question is needed for it, and no label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qkv.fields import own_queries
from qkv.snapshot import Snapshot
from qkv.space import Space
from qkv.tables import Tables
from qkv.types import Floats, Metric
from qkv.words import query_tokens

__all__ = ["Spread", "spread"]

#: Records that are looked at.
_SAMPLE = 200
_SEED = 0
#: Standard deviation of cosines that is expected before any is seen, and records that it is worth.
_USUAL, _WORTH = 0.1, 10
#: Texts whose common words are looked at; of fewer, nothing can be said.
_TEXTS, _FEW = 800, 100
#: A word is common if at least this share of the texts, and so many, hold it; the commonest count.
_SHARE, _OFTEN, _COMMON = 0.01, 4, 200
#: Every text holds every word by so much: camps that nothing connects are found, too.
_LINK = 0.01
#: Links between two camps, as a share of what chance gives, below which they are languages: less
#: for fewer texts, in which camps come by chance; and how far below it nothing is in doubt.
_APART, _CHANCE, _DOUBT = 0.3, 12, 0.05
#: Keys are read up to here: to tokenize a long text of pieces takes longer than to find it.
_READ = 2000
#: Changed records that make it worth looking again, if they are an eighth; or any, in a store of at
#: most so many.
_CHANGED, _SMALL = 8, 100


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
        From 0 … 1: how far words contradict meaning. 0 in a store of one language, 1 in one of two
        languages, where a translation means the same and has no word in common.
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
            and changed * _CHANGED <= (self.records if self.records > _SMALL else 0)
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
    rows = np.random.default_rng(_SEED).permutation(snapshot.index.live(rows))
    conflict = _conflict(list(tables.keys(snapshot.records[rows[:_TEXTS]].tolist()).values()))
    rows = rows[:_SAMPLE]
    keys = snapshot.index.vectors(rows)
    mean = keys.mean(axis=0) if len(rows) else np.zeros(snapshot.index.dimension)
    deviation = _USUAL if space.metric is Metric.COSINE else 1.0
    if len(rows) > 1:
        own = own_queries(snapshot, tables, space, rows)
        asked = space.prepared(own, dimension=keys.shape[1])
        deviation = _deviation(asked @ keys.T, space.metric)
    return Spread(deviation, mean, conflict, len(snapshot), snapshot.touched, snapshot.projected)


def _deviation(scores: Floats, metric: Metric) -> float:
    """Mean standard deviation of each row without its own."""
    n = len(scores)
    others = scores[~np.eye(n, dtype=bool)].reshape(n, n - 1)
    found = float(others.std(axis=1).mean())
    if metric is Metric.COSINE:
        found = float(np.sqrt((n * found**2 + _WORTH * _USUAL**2) / (n + _WORTH)))
    return found or 1.0


def _conflict(texts: list[str]) -> float:
    """How surely the common words of some texts are those of two languages.

    Texts and their common words are the two sides of a graph. Its second eigenvector cuts it into
    two camps with the fewest links between them (a normalised cut, Dhillon 2001). In one language
    every second link that chance would give is there; between two languages hardly any is: they
    share names and numbers.
    """
    words = [frozenset(query_tokens(text[:_READ])) for text in texts]
    links = _links(words)
    if len(links) < _FEW or links.shape[1] < 4:
        return 0.0
    smooth = links + _LINK
    of_texts, of_words = smooth.sum(axis=1), smooth.sum(axis=0)
    scaled = smooth / np.sqrt(of_texts)[:, None] / np.sqrt(of_words)
    _, vectors = np.linalg.eigh(scaled.T @ scaled)
    second = vectors[:, -2] / np.sqrt(of_words)
    word, text = second > 0, smooth @ second > 0
    between = links[text][:, ~word].sum() + links[~text][:, word].sum()
    total = links.sum()
    left, right = links[text].sum() / total, links[:, word].sum() / total
    chance = total * (left * (1 - right) + (1 - left) * right)
    apart = _APART - _CHANCE / len(links) - between / max(chance, 1.0)
    return float(np.clip(apart / _DOUBT, 0, 1))


def _links(texts: Sequence[frozenset[str]]) -> Floats:
    """Which text has which of the common words, where it has two at least: array (t, w) of 0, 1."""
    counts = Counter(word for text in texts for word in text)
    least = max(_OFTEN, _SHARE * len(texts))
    # Among equals by the word itself: no set's order counts.
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_COMMON]
    place = {word: i for i, (word, count) in enumerate(ranked) if count >= least}
    links = np.zeros((len(texts), len(place)))
    for row, text in zip(links, texts, strict=True):
        row[[place[word] for word in text if word in place]] = 1
    links = links[links.sum(axis=1) > 1]
    kept: Floats = links[:, links.any(axis=0)]
    return kept
