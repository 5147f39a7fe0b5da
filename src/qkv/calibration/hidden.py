"""A store of words asked for its own records, each hidden: what is read, and what is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qkv.attention import product, softmax
from qkv.lexicon import Lexicon
from qkv.ranking import top_k
from qkv.types import Floats, Integers

__all__ = [
    "FREQUENT",
    "SHARPNESS",
    "TEMPERATURE",
    "Gains",
    "Guess",
    "Head",
    "Hits",
    "Proposing",
    "Questions",
    "Reading",
    "Records",
    "Strangers",
    "Study",
    "directions",
    "guesses",
    "rarity",
    "shares",
]

#: A word nobody stored is imagined only if it is among the lexicon's most frequent.
FREQUENT = 100_000
#: Inverse temperature of the softmax over the lexicon's cosines: the likeliest for completing
#: 13 relations of the Google analogy list (docs/defaults.md).
SHARPNESS = 30.0
#: Temperature of the relation head: offsets want many witnesses (docs/defaults.md).
TEMPERATURE = 0.2
#: Records that are left out, and strangers that are asked: at most, and in a large store.
SAMPLE, FEWEST = 256, 64
#: Scores that are worth more than FEWEST of them.
_WORK = 1 << 22

Flags: TypeAlias = NDArray[np.bool_]
Head: TypeAlias = Literal["blend", "relation"]


@dataclass(frozen=True)
class Records:
    """The records of a store whose values are texts.

    Attributes
    ----------
    vectors : array (n, e)
        Prepared keys: scores are plain dot products.
    asked : array (n, e)
        The same keys as prepared queries; under the cosine metric often the same array.
    keys, values : array (n, d)
        φ of key and value, in the lexicon's space: rows of length one, or of zeros: unknown.
    key_places, value_places : array (n,), int64
        Their rows in the lexicon; −1 for what is no word of it.
    groups : array (n,), int64
        Number of each record's distinct value.
    """

    vectors: Floats
    asked: Floats
    keys: Floats
    values: Floats
    key_places: Integers
    value_places: Integers
    groups: Integers

    def __len__(self) -> int:
        return len(self.groups)


@dataclass(frozen=True)
class Strangers:
    """Queries that have no answer in the store: words drawn at random.

    Attributes
    ----------
    asked : array (s, e)
        Prepared queries.
    keys : array (s, d)
        φ of them.
    places : array (s,), int64
        Their rows in the lexicon; −1 for what is no word of it.
    """

    asked: Floats
    keys: Floats
    places: Integers

    def first(self, count: int) -> Strangers:
        """The first so many."""
        return Strangers(self.asked[:count], self.keys[:count], self.places[:count])


@dataclass(frozen=True)
class Gains:
    """How much query, key and value count in a proposal uᵢ = a φ(q) + c vᵢ − b φ(kᵢ).

    Attributes
    ----------
    query, key, value : float
        a, b and c.
    rarity : float
        Added to a word's logit for each unit of :func:`rarity`: values of a relation are often
        about as common as each other.
    """

    query: float
    key: float
    value: float
    rarity: float = 0.0

    def rows(self, keys: Floats, values: Floats) -> Floats:
        """What each record adds to the query's own share: c v − b φ(k), (n, d)."""
        rows: Floats = self.value * values - self.key * keys
        return rows


@dataclass(frozen=True)
class Proposing:
    """How records propose, and what becomes of it.

    Attributes
    ----------
    head : {"blend", "relation"}
    temperature : float
        Of the attention.
    gains : Gains
    sharpness : float or None
        Factor on the cosine of output and word in the softmax; None: the output's own length.
    repeats : float
        ρ, added to the logits of words that are stored.
    """

    head: Head
    temperature: float
    gains: Gains
    sharpness: float | None = None
    repeats: float = 0.0

    def output(self, starts: Floats, blended: Floats) -> Floats:
        """Σ αᵢ uᵢ (m, d), from φ(q) (m, d) and the blend of :meth:`Gains.rows` (m, d)."""
        output: Floats = self.gains.query * starts + blended
        return output

    def sharpen(self, cosines: Floats, output: Floats, stored: Integers | None = None) -> Floats:
        """Turn cosines of words with the output into logits, in place.

        Parameters
        ----------
        cosines : array (m, words)
            :meth:`qkv.lexicon.Lexicon.score` of the output.
        output : array (m, d)
        stored : array (k,), int64, optional
            Rows of the words that are stored, each once.

        Returns
        -------
        array (m, words)
        """
        if self.sharpness is None:
            cosines *= np.linalg.norm(output, axis=1, keepdims=True)
        else:
            cosines *= self.sharpness
        if self.gains.rarity:
            cosines += self.gains.rarity * rarity(cosines.shape[1])
        if stored is not None and self.repeats:
            cosines[:, stored] += self.repeats
        return cosines


class Guess(NamedTuple):
    """One word for each query.

    Attributes
    ----------
    places : array (m,), int64
        Row of the word in the lexicon.
    share : array (m,)
        Its share of the softmax.
    rival : array (m,)
        The largest share of another word.
    stored : array (m,), bool
        Whether a record holds it.
    """

    places: Integers
    share: Floats
    rival: Floats
    stored: Flags


class Hits(NamedTuple):
    """How often hidden values were found: share at first place, in the first five, mean 1/rank."""

    records: int
    first: float
    five: float
    reciprocal: float

    @classmethod
    def of(cls, logits: Floats, truth: Integers) -> Hits:
        """Ranks of the true words."""
        if not len(truth):
            return cls(0, 0.0, 0.0, 0.0)
        own = logits[np.arange(len(truth)), truth][:, None]
        rank = (logits > own).sum(axis=1)
        first, five = float((rank < 1).mean()), float((rank < 5).mean())
        return cls(len(truth), first, five, float((1 / (1 + rank)).mean()))


@dataclass(frozen=True)
class Questions:
    """Queries, and which records each must not see.

    Attributes
    ----------
    scores : array (m, n)
        Of each record; ``-inf`` for those that are hidden.
    hidden : array (m, n), bool
    keys : array (m, d)
        φ of the queries.
    places : array (m,), int64
        Their rows in the lexicon.
    truth : array (m,), int64
        Rows of the right words; −1: there is none.
    """

    scores: Floats
    hidden: Flags
    keys: Floats
    places: Integers
    truth: Integers


@dataclass(frozen=True)
class Reading:
    """What attention brings to those questions that met a record, `seen`.

    Attributes
    ----------
    seen : array (s,), int64
        Rows among the questions; all else has s rows.
    starts, keys, values : array (s, d)
        φ(q), Σ αᵢ φ(kᵢ), Σ αᵢ vᵢ.
    weights : array (s, n)
    nearest : array (s,)
        Score of the nearest record.
    """

    seen: Integers
    starts: Floats
    keys: Floats
    values: Floats
    weights: Floats
    nearest: Floats

    def output(self, proposing: Proposing) -> Floats:
        """Σ αᵢ uᵢ, (s, d)."""
        return proposing.output(self.starts, proposing.gains.rows(self.keys, self.values))


class Study:
    """One store, asked for its own records.

    Parameters
    ----------
    records : Records
    lexicon : Lexicon
    """

    def __init__(self, records: Records, lexicon: Lexicon) -> None:
        self.records = records
        self.lexicon = lexicon
        self.limit = min(FREQUENT, len(lexicon))
        places = records.value_places
        words = (places >= 0) & (places < self.limit)
        self.words = np.unique(places[words])
        self.valued = records.values.any(axis=1)
        self.related = self.valued & records.keys.any(axis=1)
        askable = np.flatnonzero(words & self.related)
        #: A vocabulary that somebody made is in no order of frequency.
        self.ranked = not lexicon.made_for_store
        self.sample = min(SAMPLE, max(FEWEST, _WORK // max(1, len(records))))
        count = min(len(askable), self.sample)
        self.left = askable[np.arange(count) * len(askable) // max(1, count)]

    @cached_property
    def without_value(self) -> Questions:
        """Ask for each record, with every record of its value hidden."""
        groups = self.records.groups
        return self._leaving(groups[self.left][:, None] == groups)

    @cached_property
    def without_record(self) -> Questions:
        """Ask for each record, itself hidden."""
        return self._leaving(self.left[:, None] == np.arange(len(self.records)))

    @cached_property
    def _own_scores(self) -> Floats:
        return product(self.records.asked[self.left], self.records.vectors.T)

    def _leaving(self, hidden: Flags) -> Questions:
        records, left = self.records, self.left
        scores = np.where(hidden, -np.inf, self._own_scores)
        return Questions(
            scores, hidden, records.keys[left], records.key_places[left], records.value_places[left]
        )

    def strangers(self, strangers: Strangers) -> Questions:
        """Ask what has no answer here; nothing is hidden."""
        scores = product(strangers.asked, self.records.vectors.T)
        truth = np.full(len(scores), -1, dtype=np.int64)
        hidden = np.zeros(scores.shape, dtype=bool)
        return Questions(scores, hidden, strangers.keys, strangers.places, truth)

    def read(self, questions: Questions, proposing: Proposing) -> Reading:
        """Attend from each question to the records that it may see."""
        records, relation = self.records, proposing.head == "relation"
        known = self.related if relation else self.valued
        scores = questions.scores if known.all() else np.where(known, questions.scores, -np.inf)
        nearest = scores.max(axis=1, initial=-np.inf)
        met = np.isfinite(nearest)
        if relation:
            met &= questions.keys.any(axis=1)
        seen = np.flatnonzero(met)
        weights, _ = softmax(scores[seen], proposing.temperature)
        return Reading(
            seen,
            questions.keys[seen],
            product(weights, records.keys),
            product(weights, records.values),
            weights,
            nearest[seen],
        )

    def logits(self, questions: Questions, reading: Reading, proposing: Proposing) -> Floats:
        """Logits of all words but the one that is asked: (s, words). Leaves ρ out."""
        output = reading.output(proposing).astype(np.float32)
        logits = proposing.sharpen(self.lexicon.score(output, limit=self.limit), output)
        places = questions.places[reading.seen]
        rows = np.flatnonzero((places >= 0) & (places < self.limit))
        logits[rows, places[rows]] = -np.inf
        return logits

    def stored(self, questions: Questions, reading: Reading) -> Flags:
        """Which of `words` a record holds that the question may see: (s, words)."""
        places = self.records.value_places
        column = np.minimum(np.searchsorted(self.words, places), len(self.words) - 1)
        held = np.isin(places, self.words)
        counts = np.bincount(column[held], minlength=len(self.words))
        left = np.tile(counts, (len(reading.seen), 1))
        rows, records = np.nonzero(questions.hidden[reading.seen] & held)
        np.subtract.at(left, (rows, column[records]), 1)
        there: Flags = left > 0
        return there


def directions(lexicon: Lexicon, places: Integers) -> Floats:
    """Directions of words (…, d): what cosine decoding compares an output with."""
    vectors: Floats = np.asarray(lexicon.vectors[places], dtype=np.float32)
    if lexicon.mean is not None:
        vectors = vectors - lexicon.mean
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Floats = vectors / np.where(lengths > 0, lengths, 1)
    return unit


@cache
def rarity(count: int) -> Floats:
    """ln(1 + rank) of the `count` most frequent words, as a part of that of the rank 100,000."""
    rarity: Floats = (np.log1p(np.arange(count)) / np.log1p(FREQUENT)).astype(np.float32)
    rarity.setflags(write=False)
    return rarity


def shares(logits: Floats) -> Floats:
    """Softmax of each row, in place."""
    logits -= logits.max(axis=1, keepdims=True)
    powers: Floats = np.exp(logits, out=logits)
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def guesses(shares: Floats, words: Integers, there: Flags) -> tuple[Guess, Guess]:
    """Name the best word of each query, and the best that is not stored; they may be the same.

    Parameters
    ----------
    shares : array (m, words)
        The softmax over the lexicon's words.
    words : array (k,), int64
        Rows of words that are stored, sorted, each once.
    there : array (m, k), bool
        Whether they count as stored for the query (which may have had records hidden).

    Returns
    -------
    first, fresh : Guess
    """
    best, most = top_k(shares, 2)
    stored = np.zeros(len(best), dtype=bool)
    column = np.searchsorted(words, best[:, 0])
    rows = np.flatnonzero(np.isin(best[:, 0], words))
    stored[rows] = there[rows, column[rows]]
    rest = shares[:, words]
    shares[:, words] = np.where(there, -1, rest)
    unseen, share = top_k(shares, 1)
    shares[:, words] = rest
    rival = np.where(unseen[:, 0] == best[:, 0], most[:, 1], most[:, 0])
    fresh = Guess(unseen[:, 0], share[:, 0], rival, np.zeros(len(best), dtype=bool))
    return Guess(best[:, 0], most[:, 0], most[:, 1], stored), fresh
