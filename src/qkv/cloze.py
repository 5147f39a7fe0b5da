"""The share that meaning deserves in a hybrid search: a store asks itself.

A part of a stored text is asked – a sentence, or a few of its words – and its text has to be found,
once by meaning and once by words: the inverse cloze task (Lee, Chang & Toutanova 2019). Where an
encoder does not know the field, words find it far more often, and meaning gets a smaller share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from qkv.keyword import Field, Keywords
from qkv.passages import sentences
from qkv.snapshot import Snapshot
from qkv.space import Space
from qkv.tables import Tables
from qkv.types import Floats
from qkv.words import query_tokens, small_tokens, tokens

__all__ = ["EVEN", "share_of_meaning"]

#: Share of meaning where nothing speaks against it.
EVEN = 0.5
_LEAST = 0.1
#: The share falls by so much for a unit of the log ratio of both nDCG@10, from here on.
_SLOPE, _BEGIN, _SMOOTH = 1.6, -0.1, 0.02
#: Questions of each kind, at most and at least; a store with fewer records is not asked.
_ASKED, _ENOUGH, _SMALL = 40, 20, 200
#: Words of a text that is asked for; of a sentence that is asked; content words asked: from, to.
_LONG, _SENTENCE, _FEW = 12, 4, (3, 6)
_SEED = 0
#: Texts are read up to here.
_READ = 2000


class _Question(NamedTuple):
    """A part of a text, which record that is, and the tokens that are left in it."""

    text: str
    id: int
    left: list[str]


def share_of_meaning(snapshot: Snapshot, tables: Tables, space: Space, keywords: Keywords) -> float:
    """Ask a store about its own texts: the same questions each time.

        share = clip(½ + 1.6 (L + .1), .1, .5),

    L the mean over both kinds of questions of ln((nDCG@10 by meaning + .02) / (by words + .02)).
    The part that is asked is left out of the text that words look into. It takes eighty short
    encodings.

    Returns
    -------
    float
        ½ for a store of few records, or of short texts.
    """
    ids = snapshot.records[snapshot.index.live(np.flatnonzero(snapshot.records >= 0))]
    if len(ids) < _SMALL:
        return EVEN
    rng = np.random.default_rng(_SEED)
    chosen = rng.permutation(ids)[: 4 * _ASKED].tolist()
    texts = [(id, text[:_READ]) for id, text in sorted(tables.keys(chosen).items())]
    ratios = []
    for kind in (_sentence, _few):
        asked = [one for id, text in texts if (one := kind(id, text, rng)) is not None][:_ASKED]
        if len(asked) >= _ENOUGH:
            meaning, words = _by_meaning(asked, snapshot, space), _by_words(asked, keywords)
            ratios.append(float(np.log((meaning + _SMOOTH) / (words + _SMOOTH))))
    if not ratios:
        return EVEN
    return float(np.clip(EVEN + _SLOPE * (np.mean(ratios) - _BEGIN), _LEAST, EVEN))


def _sentence(id: int, text: str, rng: np.random.Generator) -> _Question | None:
    """A sentence of a text of at least three."""
    spans = [span for span in sentences(text) if len(text[slice(*span)].split()) >= _SENTENCE]
    if len(spans) < 3:
        return None
    start, end = spans[rng.integers(len(spans))]
    rest = set(tokens(f"{text[:start]} {text[end:]}"))
    asked = text[start:end]
    return _Question(asked, id, [token for token in query_tokens(asked) if token in rest])


def _few(id: int, text: str, rng: np.random.Generator) -> _Question | None:
    """Some content words of a text, of which about half are left in it."""
    words = text.split()
    content = [word for word in dict.fromkeys(words) if _content(word)]
    if len(words) < _LONG or len(content) < _FEW[1]:
        return None
    asked = rng.choice(content, rng.integers(_FEW[0], _FEW[1] + 1), replace=False).tolist()
    left = [token for word in asked if rng.random() < 0.5 for token in query_tokens(word)]
    return _Question(" ".join(asked), id, left)


def _content(word: str) -> bool:
    found = tokens(word)
    return len(word) > 3 and bool(found) and small_tokens().isdisjoint(found)


def _by_meaning(asked: Sequence[_Question], snapshot: Snapshot, space: Space) -> float:
    """Mean nDCG@10."""
    texts = [one.text for one in asked]
    vectors = space.prepared(space.queries(texts), dimension=snapshot.index.dimension)
    rows, _ = snapshot.index.neighbours(vectors, 10)
    right = (rows >= 0) & (snapshot.records[rows] == np.array([[one.id] for one in asked]))
    return _gain(np.where(right.any(axis=1), right.argmax(axis=1), np.inf))


def _by_words(asked: Sequence[_Question], keywords: Keywords) -> float:
    """Mean nDCG@10."""
    queries = [query_tokens(one.text) for one in asked] + [one.left for one in asked]
    scored = list(keywords.scored(queries, in_=Field.KEYS))
    ranks = []
    for one, whole, left in zip(asked, scored, scored[len(asked) :], strict=False):
        own = left.of(np.array([one.id]))[0]
        better, equal = (whole.scores > own).sum(), (whole.scores == own).sum()
        # Its own place has the score with the part.
        better -= whole.of(np.array([one.id]))[0] > own
        ranks.append(better + max(0, equal - 1) / 2 if own > 0 else np.inf)
    return _gain(np.array(ranks))


def _gain(ranks: Floats) -> float:
    """Mean nDCG@10 of questions with one right record, whose rank counts from 0."""
    return float(np.where(ranks < 10, 1 / np.log2(ranks + 2), 0.0).mean())
