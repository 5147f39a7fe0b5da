"""One ranking from several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qkv.types import Floats

__all__ = ["attention_fusion", "reciprocal_rank_fusion", "word_evidence", "word_weight"]

#: What word evidence counts for beside a standard deviation of meaning, where both have one share.
_WORDS = 2.0
#: How many of the best say whether the first stands out.
_CROWD = 10
#: Standard deviations above a query's mean from which meaning understands it, and all of it.
_HEARD, _SURE = 3.0, 5.0
#: Standard deviations by which the best stands out that let words count 1/e.
_STANDING = 0.1


def reciprocal_rank_fusion(
    rankings: Sequence[Sequence[int]], *, constant: float = 60.0
) -> dict[int, float]:
    """Fuse rankings by rank alone: each adds 1 / (constant + rank) to what it names.

    Scores of different retrievers have no common measure; ranks do (Cormack, Clarke & Büttcher
    2009, who also chose 60).

    Parameters
    ----------
    rankings : sequence of sequences of int
        Ids, best first.
    constant : float
        The larger, the less the first few ranks stand out.

    Returns
    -------
    dict of int to float
        Fused score of each id, best first; the first ranking's order decides among equals.

    Examples
    --------
    >>> list(reciprocal_rank_fusion([[7, 8, 9], [9, 7]]))
    [7, 9, 8]
    """
    fused: dict[int, float] = {}
    for ranking in rankings:
        for rank, id in enumerate(ranking, 1):
            fused[id] = fused.get(id, 0.0) + 1 / (constant + rank)
    return dict(sorted(fused.items(), key=lambda pair: -pair[1]))


def word_evidence(scores: Floats, rarity: float, known_share: float, power: float = 2.0) -> Floats:
    """Bring BM25 to a scale that does not depend on the query: Kᵖ · BM25 / √R.

    A record with all words of a query has BM25 near R, the sum of their idf: the more words there
    are, the more that is, but their agreement says less and less of anything new. And of a query
    whose words the store does not know – it is in another language – the few that it does know,
    names and numbers, say little about it.

    Parameters
    ----------
    scores : array (c,)
        BM25 of some records.
    rarity : float
        R ≥ 0, of the query: see :class:`qkv.keyword.Scored`.
    known_share : float
        K, 0 … 1, of the query.
    power : float
        p: 2 where small words are counted, too; 1 where they are not.

    Returns
    -------
    array (c,)
        Zeros for a query without words.

    Examples
    --------
    >>> import numpy as np
    >>> word_evidence(np.array([8.0, 2.0, 0.0]), 16.0, 0.5)
    array([0.5  , 0.125, 0.   ])
    """
    if rarity <= 0:
        return np.zeros(len(scores))
    evidence: Floats = known_share**power / np.sqrt(rarity) * scores
    return evidence


def word_weight(deviations: Floats, conflict: float = 1.0) -> float:
    """Say how much words count where meaning has found its record: 1, all, to 0, nothing.

    In a store that has its texts in two languages, a record in the query's own language shares its
    small words, and the translation, which means the same, shares none: there words and meaning are
    no two witnesses of one thing, but the one or the other is right. Words count

        exp(−conflict · understood · standing out / 0.1),

    where *standing out* is how far the best record lies above the mean of the nine next, and
    *understood*, 0 … 1, how far it lies above 3 standard deviations, at most 5: a part number, of
    which the encoder understands nothing, does not reach them.

    Parameters
    ----------
    deviations : array (c,)
        Scores of meaning of the best records for one query, all of them or more: in standard
        deviations above the mean of all records.
    conflict : float
        From 0 … 1, how far words and meaning contradict each other in the store.

    Examples
    --------
    >>> import numpy as np
    >>> word_weight(np.array([7.0, 4.0, 4.0])), word_weight(np.array([2.5, 1.0, 1.0]))
    (9.3...e-14, 1.0)
    """
    if conflict <= 0 or len(deviations) < 2:
        return 1.0
    best = -np.sort(-deviations)[:_CROWD]
    understood = np.clip((best[0] - _HEARD) / (_SURE - _HEARD), 0, 1)
    return float(np.exp(-conflict * understood * (best[0] - best[1:].mean()) / _STANDING))


def attention_fusion(
    deviations: Floats, evidence: Floats, share: float = 0.5, conflict: float = 0.0
) -> Floats:
    """Add what meaning and words say of some records, both on scales of their own.

        share · meaning + 2 (1 − share) · words,

    the words less where the store has them contradict meaning: see :func:`word_weight`.

    Parameters
    ----------
    deviations : array (c,)
        Scores of meaning, the best among them, in standard deviations from the query's mean. What
        is added to all changes no order where `conflict` is 0.
    evidence : array (c,)
        See :func:`word_evidence`.
    share : float
        Of meaning, 0 … 1.
    conflict : float
        See :func:`word_weight`.

    Returns
    -------
    array (c,)

    Examples
    --------
    >>> import numpy as np
    >>> attention_fusion(np.array([3.0, 2.0]), np.array([0.0, 1.0]))
    array([1.5, 2. ])
    """
    words = 1.0 if share == 0 else word_weight(deviations, conflict)
    return share * deviations + _WORDS * (1 - share) * words * evidence
