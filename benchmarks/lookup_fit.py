"""The record that is meant: ``python benchmarks/lookup_fit.py [--all] [--quick]``.

Fits, on hundreds of synthetic stores (:mod:`families`, the part that may be tuned on), the
constants of a model that says which record of a store a question means, if any:

    P(i | q) = P(the store speaks of this | q) · P(it is i | q, it does),
    P(the store speaks of this) = σ(log(e^sense + e^words)),
    P(it is i | it does) = (e^name_i + e^paraphrase_i) / (Σ_j (e^name_j + e^paraphrase_j) + e^near).

*sense* and *words*, *name* and *paraphrase* are linear in features: a record may be meant because
it has the question's words, or because it means the same; *near* speaks for what is of the store's
kind but not stored. No feature looks at values. Each is local: a crowd of unrelated records
elsewhere in the store does not change it. A record's own score has coefficients ≥ 0 everywhere.

Each family is reported by a fit that leaves it, and all others of its source, out. ``--all`` fits
on all families, too, and writes results/lookup_fit.{md,json} and lookup_constants.json. Needs
scipy (scikit-learn brings it).
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from itertools import product
from random import Random

import numpy as np
import Stemmer
from defaults import Table
from encoded import remembering
from families import FORMS, STRANGERS, Family, Question, Store, families, framed, missing, store
from lookup import Asked, by_family, by_form, by_store, plan, same
from scipy.optimize import minimize
from study import RESULTS, write

from qkv.encoders import DEFAULT, Encoder, encode_all, encode_queries
from qkv.encoders.background import TEXTS
from qkv.encoders.glove import glove_table
from qkv.forms import plain_form
from qkv.spelling import Vocabulary, mend
from qkv.types import Floats
from qkv.words import small_tokens, tokens

#: Candidates: the best by score, and the best by words among the others.
BY_SCORE, BY_WORDS = 6, 4
M = 8
#: A local standard deviation of scores: one for all, as a small neighbourhood has none of its own.
SD = 0.3
#: Training stores of each family, of these sizes; a fifth of them in a crowd of other families.
TRAINED = 12
TRAINED_SIZES = (6, 12, 20, 50, 150, 500, 1500)
EACH = 20
#: Kinds of values that are told of: the model does not look at them.
TOLD = ("2", "30", "n", "real")
#: What a form counts; far strangers are asked only whether the store speaks of them.
COUNTS = {"near": 0.3, "miss": 0.2}
FAMILY_COUNTS = {"packages": 0.5}
RIDGE = 1.0
#: Every likelihood is mixed with this much of chance: labels have errors.
CHANCE = 0.003

RECORD = (
    *("s", "s>.5", "s>.65", "s>.8", "s>.9", "s>.97", "s-nn", "z_nn", "behind", "ahead"),
    *("key found", "key found, plain", "query found", "query found, rare", "dice", "contained"),
    *("rarity", "words ahead", "all found", "length", "z_bank", "s-bank", "s·found", "z_bank>.5"),
    *("query left", "key left", "both left"),
)
SHIFT = ("r1", "query length", "unknown", "nn5-bank5", "nn1-bank1", "one")
NEAR = (
    *("density", "unknown", "query length", "nn5-bank5", "one", "density, bank", "t5-bank"),
    *("nn1-bank1", "sentences", "unknown, names"),
)
SENSE = (
    *("s1-bank", "z_bank", "r1", "t5-bank", "density, bank", "s1", "query length", "nn1-bank1"),
    *("sentences", "one"),
)
WORDS = (
    *("key found", "query found", "query found, rare", "dice", "contained", "rarity", "unknown"),
    *("query length", "sentences", "one"),
)
#: Features that may only lower what they speak for, and those of any sign; the others only raise.
LOWERS = {"unknown", "query left", "key left", "both left"}
FREE = {"length", "query length", "nn5-bank5", "nn1-bank1", "sentences", "one"}


# ── texts of general kind ────────────────────────────────────────────────────────────────────


@cache
def bank_texts() -> tuple[str, ...]:
    """What is asked and said in general: our own texts, and WordNet's words, glosses, in frames."""
    random = Random("bank")
    lemmas = [item.key for item in families("tune")["lemmas"].items]
    glosses = [item.key for item in families("tune")["glosses"].items]
    words = random.sample(lemmas, 300)
    return (
        *TEXTS,
        *random.sample(glosses, 200),
        *words[:150],
        *(framed(word, "thing", "tune", random) for word in words[150:]),
        *(framed(text, "sentence", "tune", random) for text in random.sample(glosses, 50)),
    )


class Heard:
    """Vectors of texts, as keys and as queries, kept while the program runs."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._kept: dict[str, dict[str, Floats]] = {"keys": {}, "queries": {}}
        self.bank = self.keys(list(bank_texts()))

    def keys(self, texts: Sequence[str]) -> Floats:
        """Encode as keys: (n, d)."""
        return self._of("keys", texts)

    def queries(self, texts: Sequence[str]) -> Floats:
        """Encode as queries: (n, d)."""
        return self._of("queries", texts)

    def _of(self, side: str, texts: Sequence[str]) -> Floats:
        kept = self._kept[side]
        new = [text for text in dict.fromkeys(texts) if text not in kept]
        encode = encode_all if side == "keys" else encode_queries
        for at in range(0, len(new), 256):
            some = new[at : at + 256]
            kept |= zip(some, encode(self._encoder, some).astype(np.float16), strict=True)
        return np.stack([kept[text] for text in texts]).astype(np.float32)

    def commonness(self, queries: Floats) -> Floats:
        """Mean score of the three bank texts nearest to each query: (n,)."""
        scores = queries @ self.bank.T
        return -np.partition(-scores, 2, axis=1)[:, :3].mean(axis=1)


# ── words ────────────────────────────────────────────────────────────────────────────────────

_STEMMER = Stemmer.Stemmer("english")
_RANKS = glove_table().rows
_RARE = math.log(400_001)


@lru_cache(1 << 18)
def _tokens(text: str) -> tuple[str, ...]:
    return tuple(tokens(text))


@lru_cache(1 << 18)
def weight(word: str) -> float:
    """How rare a word is in general, 0 … 1, by its rank in GloVe: ln(rank + 2) / ln 400,001."""
    rank = _RANKS.get(word)
    return 1.0 if rank is None else math.log(rank + 2) / _RARE


@lru_cache(1 << 18)
def _stem(word: str) -> str:
    return str(_STEMMER.stemWord(word))


def _small(text: str) -> float:
    """Share of small words, of any language."""
    found = _tokens(text)
    return sum(token in small_tokens() for token in found) / max(1, len(found))


@lru_cache(1 << 18)
def grams(text: str) -> frozenset[str]:
    """Trigrams of its tokens, each between spaces."""
    padded = f" {' '.join(_tokens(text))} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))


@lru_cache(1 << 20)
def alike(one: str, other: str) -> float:
    """How far two words are the same, 0 … 1: equal, of one stem, or of like letters."""
    if one == other:
        return 1.0
    if min(len(one), len(other)) < 4 or one[0] != other[0]:
        return 0.0
    if _stem(one) == _stem(other):
        return 0.9
    a, b = grams(one), grams(other)
    dice = 2 * len(a & b) / (len(a) + len(b))
    return 0.9 * dice if dice >= 0.6 else 0.0


# ── features ─────────────────────────────────────────────────────────────────────────────────


class Shelf:
    """The keys of a store, and what is known of them: (n, d) vectors, words, neighbours."""

    def __init__(self, keys: Sequence[str], heard: Heard) -> None:
        self.keys, self.heard = list(keys), heard
        self.vectors = heard.keys(self.keys)
        own = heard.queries(self.keys)
        self.bank = heard.commonness(own)
        self.nearest = _nearest(own, self.vectors)
        self.words = [frozenset(_tokens(key)) for key in self.keys]
        self.df = Counter(word for words in self.words for word in words)
        self.holders: dict[str, list[int]] = defaultdict(list)
        for row, words in enumerate(self.words):
            for word in words:
                self.holders[word].append(row)
        self.stems: dict[str, set[str]] = defaultdict(set)
        for word in self.df:
            self.stems[_stem(word)].add(word)
        self.small = np.array([_small(key) for key in self.keys])
        self.vocabulary = Vocabulary(self.keys)

    def idf(self, word: str) -> float:
        """How rare a word is in the store, 0 … 1: ln(1 + n / (df + ½)) / ln(1 + 2n)."""
        n = len(self.keys)
        return math.log(1 + n / (self.df.get(word, 0) + 0.5)) / math.log(1 + 2 * n)

    def read(self, text: str) -> str:
        """A question as the store reads it: without its slips."""
        return mend(plain_form(text), self.vocabulary).text

    def by_words(self, words: Iterable[str]) -> list[int]:
        """Rows with the most of these words, by how rare they are, best first."""
        found: dict[int, float] = defaultdict(float)
        for word in words:
            for one in {word, *self.stems.get(_stem(word), ())}:
                held = self.holders.get(one, ())
                if len(held) <= max(50, len(self.keys) // 5):
                    by = weight(one) * self.idf(one)
                    for row in held:
                        found[row] += by / math.sqrt(len(self.words[row]) + 2)
        return sorted(found, key=lambda row: (-found[row], row))[: BY_SCORE + BY_WORDS]


def _nearest(own: Floats, keys: Floats) -> Floats:
    """Score of each key's nearest other key: (n,); 0 in a store of one."""
    found = np.zeros(len(keys), dtype=np.float32)
    for at in range(0, len(keys), 1024):
        scores = own[at : at + 1024] @ keys.T
        rows = np.arange(len(scores))
        scores[rows, at + rows] = -1
        found[at : at + 1024] = scores.max(axis=1) if len(keys) > 1 else 0
    return found


@dataclass(frozen=True)
class Features:
    """Of N questions: see `RECORD`, `SHIFT`, `NEAR`, `SENSE`, `WORDS` for the last axis."""

    rows: np.ndarray  # (N, M), −1 where there are fewer candidates
    record: Floats  # (N, M, …)
    shift: Floats
    near: Floats
    sense: Floats
    words: Floats
    scores: Floats  # (N,) the largest
    sentences: Floats  # (N,) how far the nearest keys are sentences, 0 … 1, not names


def features(shelf: Shelf, texts: Sequence[str]) -> Features:
    """Look at questions beside their candidates."""
    read = [shelf.read(text) for text in texts]
    queries = shelf.heard.queries(read)
    scores = queries @ shelf.vectors.T
    common = shelf.heard.commonness(queries)
    each = [_one(shelf, text, scores[i], float(common[i])) for i, text in enumerate(read)]
    rows, record, shift, near, sense, words = (np.stack(part) for part in zip(*each, strict=True))
    sentences = near[:, NEAR.index("sentences")]
    return Features(rows, record, shift, near, sense, words, scores.max(axis=1), sentences)


def _one(shelf: Shelf, text: str, scores: Floats, common: float) -> tuple[np.ndarray, ...]:
    n = len(shelf.keys)
    count = min(n, BY_SCORE)
    top = np.argpartition(-scores, count - 1)[:count]
    top = top[np.argsort(-scores[top], kind="stable")]
    asked = set(_tokens(text))
    others = [row for row in shelf.by_words(asked) if row not in set(top.tolist())]
    rows = [*top.tolist(), *others[:BY_WORDS]][:M]
    s = scores[rows].astype(np.float64)
    found = _found(shelf, text, asked, rows)
    nn, bank = shelf.nearest[top].astype(np.float64), shelf.bank[top].astype(np.float64)
    best = scores[top].astype(np.float64)
    next_best = best[1:] if count > 1 else best
    nn5, bank5, t5 = nn[:5].mean(), bank[:5].mean(), next_best.mean()
    length = math.log(len(_tokens(text)) + 1)
    unknown = _unknown(shelf, asked)
    r1 = min((best[0] - nn5) / SD, 2.0)
    density = (t5 - nn5) / SD
    above = min((t5 - (bank[1:] if count > 1 else bank).mean()) / SD, 3.0)
    gaps = (nn5 - bank5, nn[0] - bank[0])
    sentences = min(1.0, 3 * float(shelf.small[top[:5]].mean()))
    record = np.zeros((M, len(RECORD)), dtype=np.float32)
    for place, row in enumerate(rows):
        rest = np.delete(s, place)
        d = s[place] - (rest.max() if len(rest) else 0.0)
        ahead = found[place][0] - max((f[0] for i, f in enumerate(found) if i != place), default=0)
        z = min((s[place] - shelf.bank[row]) / SD, 3.0)
        key, key_plain, query, query_rare, dice, contained, rarity, lengths, *left = found[place]
        record[place] = (
            s[place],
            *(max(0.0, s[place] - at) for at in (0.5, 0.65, 0.8, 0.9, 0.97)),
            s[place] - shelf.nearest[row],
            np.clip((s[place] - nn5) / SD, -3, 3),
            min(d, 0.0),
            min(max(d, 0.0), 0.3),
            *(key, key_plain, query, query_rare, dice, contained, rarity),
            ahead,
            float(key > 0.85),
            lengths,
            z,
            s[place] - common,
            s[place] * key,
            max(0.0, z - 0.5),
            *(*left, min(left)),
        )
    most = np.max([f[:7] for f in found], axis=0)
    padded = np.full(M, -1)
    padded[: len(rows)] = rows
    z1 = min((best[0] - bank[0]) / SD, 3.0)
    return (
        padded,
        record,
        np.array([r1, length, unknown, *gaps, 1.0]),
        np.array(
            [
                density,
                unknown,
                length,
                gaps[0],
                1.0,
                above,
                t5 - common,
                gaps[1],
                sentences,
                unknown * (1 - sentences),
            ]
        ),
        np.array(
            [best[0] - common, z1, r1, t5 - common, above, best[0], length, gaps[1], sentences, 1.0]
        ),
        np.array([most[0], *most[2:7], unknown, length, sentences, 1.0]),
    )


def _unknown(shelf: Shelf, asked: set[str]) -> float:
    """Share of the question's words, by their weight, that the store does not have."""
    total = sum(map(weight, asked))
    if not total:
        return 0.0
    away = (w for w in asked if w not in shelf.df and _stem(w) not in shelf.stems)
    return sum(map(weight, away)) / total


def _found(
    shelf: Shelf, text: str, asked: set[str], rows: Sequence[int]
) -> list[tuple[float, ...]]:
    """For each candidate, how far words and letters of question and key are found in the other."""
    n = len(shelf.keys)
    plain = {w: weight(w) for w in asked}
    rare = {w: plain[w] * shelf.idf(w) for w in asked}
    total, total_rare = sum(plain.values()) or 1.0, sum(rare.values()) or 1.0
    letters, length = grams(text), len(_tokens(text))
    out = []
    for row in rows:
        held = shelf.words[row]
        of_key = {x: max((alike(w, x) for w in asked), default=0.0) for x in held}
        of_query = {w: max((alike(w, x) for x in held), default=0.0) for w in asked}
        key_rare = {x: weight(x) * shelf.idf(x) for x in held}
        other = grams(shelf.keys[row])
        both = len(letters & other)
        rarity = sum(v * math.log((n + 1) / (shelf.df[x] + 0.5)) for x, v in of_key.items())
        out.append(
            (
                sum(key_rare[x] * v for x, v in of_key.items()) / (sum(key_rare.values()) or 1.0),
                sum(weight(x) * v for x, v in of_key.items()) / (sum(map(weight, held)) or 1.0),
                sum(plain[w] * v for w, v in of_query.items()) / total,
                sum(rare[w] * v for w, v in of_query.items()) / total_rare,
                2 * both / max(1, len(letters) + len(other)),
                both / max(1, len(other)),
                min(rarity / math.log(n + 1), 2.0),
                -abs(math.log((length + 1) / (len(_tokens(shelf.keys[row])) + 1))),
                max((plain[w] * (1 - v) for w, v in of_query.items()), default=0.0),
                max((weight(x) * (1 - v) for x, v in of_key.items()), default=0.0),
            )
        )
    return out


# ── fitting ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Constants:
    """Coefficients of the linear functions: see the head of this file."""

    name: Floats  # over RECORD
    name_shift: Floats  # over SHIFT
    paraphrase: Floats
    paraphrase_shift: Floats
    near: Floats
    sense: Floats
    words: Floats

    def record(self) -> dict[str, dict[str, float]]:
        """As a table of numbers by name."""
        named = {
            "name": (RECORD, self.name),
            "name_shift": (SHIFT, self.name_shift),
            "paraphrase": (RECORD, self.paraphrase),
            "paraphrase_shift": (SHIFT, self.paraphrase_shift),
            "near": (NEAR, self.near),
            "sense": (SENSE, self.sense),
            "words": (WORDS, self.words),
        }
        return {
            what: {name: round(float(value), 4) for name, value in zip(names, values, strict=True)}
            for what, (names, values) in named.items()
        }


@dataclass(frozen=True)
class Sample:
    """Questions of many stores, with their features and what they mean."""

    features: Features
    meant: np.ndarray  # (N,) place of the record among the candidates, −1 where it is not there
    forms: np.ndarray
    stored: np.ndarray  # (N,) whether a record is meant
    weights: np.ndarray


def _bounds(names: Sequence[str]) -> list[tuple[float | None, float | None]]:
    return [
        (None, None) if name in FREE else (None, 0.0) if name in LOWERS else (0.0, None)
        for name in names
    ]


def fit(sample: Sample) -> Constants:
    """Maximum likelihood of both stages, with a ridge."""
    sense, words = _fit_inside(sample)
    return Constants(*_fit_which(sample), sense, words)


def _counts(forms: np.ndarray) -> Floats:
    return np.array([COUNTS.get(form, 1.0) for form in forms.tolist()])


def _fit_inside(sample: Sample) -> tuple[Floats, Floats]:
    A, B = sample.features.sense, sample.features.words
    y = (sample.forms != "far").astype(float)
    # Near strangers are of this store's kind; how many there are of either is not known: as many.
    w = sample.weights * _counts(sample.forms)
    w[y == 1] /= w[y == 1].sum()
    w[y == 0] /= w[y == 0].sum()
    w *= len(w) / 2

    def loss(t: Floats) -> tuple[float, Floats]:
        a, b = A @ t[: A.shape[1]], B @ t[A.shape[1] :]
        z = np.logaddexp(a, b)
        p = 1 / (1 + np.exp(-np.clip(z, -30, 30)))
        q = (1 - CHANCE) * p + CHANCE / 2
        d = w * (y / q - (1 - y) / (1 - q)) * (1 - CHANCE) * p * (1 - p)
        share = np.exp(a - z)
        value = -(w * (y * np.log(q) + (1 - y) * np.log(1 - q))).sum() + RIDGE / 2 * (t @ t)
        return value, -np.concatenate((A.T @ (d * share), B.T @ (d * (1 - share)))) + RIDGE * t

    start = np.concatenate((np.full(A.shape[1], 0.5), np.full(B.shape[1], 0.5)))
    start[A.shape[1] - 1], start[-1] = -3.0, -4.0
    bounds = _bounds(SENSE) + _bounds(WORDS)
    start = np.clip(start, [b[0] if b[0] is not None else -np.inf for b in bounds],
                    [b[1] if b[1] is not None else np.inf for b in bounds])  # fmt: skip
    t = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds,
                 options={"maxiter": 400}).x  # fmt: skip
    return t[: A.shape[1]], t[A.shape[1] :]


def _fit_which(sample: Sample) -> tuple[Floats, ...]:
    keep = (sample.forms != "far") & ((sample.meant >= 0) | ~sample.stored)
    f = sample.features
    F, S, W = f.record[keep], f.shift[keep], f.near[keep]
    live = f.rows[keep] >= 0
    meant, stored = sample.meant[keep], sample.stored[keep]
    w = sample.weights[keep] * _counts(sample.forms[keep])
    w *= len(w) / w.sum()
    truth = np.zeros((len(F), 2 * M + 1))
    rows = np.flatnonzero(stored)
    truth[rows, meant[rows]] = truth[rows, M + meant[rows]] = 1
    truth[~stored, 2 * M] = 1
    p_, k_ = F.shape[2], S.shape[1]
    cuts = np.cumsum([p_, k_, p_, k_])
    flat = F.reshape(-1, p_)

    def loss(t: Floats) -> tuple[float, Floats]:
        p = _which(F, S, W, live, *np.split(t, cuts))
        right = np.maximum((p * truth).sum(axis=1), 1e-12)
        mixed = (1 - CHANCE) * right + CHANCE / (M + 1)
        d = (p * truth / right[:, None] - p) * ((1 - CHANCE) * right / mixed * w)[:, None]
        one, two = d[:, :M].astype(np.float32), d[:, M : 2 * M].astype(np.float32)
        slope = np.concatenate(
            (
                one.reshape(-1) @ flat,
                d[:, :M].sum(axis=1) @ S,
                two.reshape(-1) @ flat,
                d[:, M : 2 * M].sum(axis=1) @ S,
                d[:, 2 * M] @ W,
            )
        ).astype(float)
        return -(w * np.log(mixed)).sum() + RIDGE / 2 * (t @ t), -slope + RIDGE * t

    start = np.zeros(cuts[-1] + W.shape[1])
    for at, name, value in (
        (0, "contained", 3.0), (0, "key found", 3.0), (0, "s", 2.0),
        (cuts[1], "s", 4.0), (cuts[1], "z_bank", 2.0), (cuts[1], "behind", 5.0),
    ):  # fmt: skip
        start[at + RECORD.index(name)] = value
    start[cuts[0] + SHIFT.index("one")], start[cuts[2] + SHIFT.index("one")] = -6.0, -5.0
    start[cuts[3] + NEAR.index("density, bank")] = 1.0
    bounds = [b for names in (RECORD, SHIFT, RECORD, SHIFT, NEAR) for b in _bounds(names)]
    t = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds,
                 options={"maxiter": 400}).x  # fmt: skip
    return tuple(np.split(t, cuts))


def _which(
    F: Floats, S: Floats, W: Floats, live: np.ndarray,
    name: Floats, name_shift: Floats, para: Floats, para_shift: Floats, near: Floats,
) -> Floats:  # fmt: skip
    """Probabilities of each record by its name, by what it means, and of none: (N, 2M + 1)."""
    one = np.where(live, F @ name.astype(np.float32) + (S @ name_shift)[:, None], -1e9)
    two = np.where(live, F @ para.astype(np.float32) + (S @ para_shift)[:, None], -1e9)
    z = np.concatenate((one, two, (W @ near)[:, None]), axis=1)
    e = np.exp(z - z.max(axis=1, keepdims=True))
    p: Floats = e / e.sum(axis=1, keepdims=True)
    return p


def meant(f: Features, c: Constants) -> tuple[Floats, Floats]:
    """P(i | q) of each candidate, (N, M), and P(the store speaks of this), (N,)."""
    z = np.logaddexp(f.sense @ c.sense, f.words @ c.words)
    inside = 1 / (1 + np.exp(-np.clip(z, -40, 40)))
    p = _which(f.record, f.shift, f.near, f.rows >= 0, c.name, c.name_shift, c.paraphrase,
               c.paraphrase_shift, c.near)  # fmt: skip
    return inside[:, None] * (p[:, :M] + p[:, M : 2 * M]), inside


# ── training stores ──────────────────────────────────────────────────────────────────────────


def training(family: Family, heard: Heard, count: int) -> Sample | None:
    """Questions of so many stores of a family, a fifth of them in a crowd of others."""
    samples = []
    random = Random(f"training {family.name}")
    for seed in range(1, count + 1):
        size = random.choice([s for s in TRAINED_SIZES if s * 4 // 3 <= len(family.items)])
        made = store(family, "n", size, "tune", seed=seed, each=EACH)
        if made is None:
            continue
        crowd = _crowd(family, random) if seed % 5 == 0 else []
        samples.append(_sample(made, crowd, heard))
    return _joined(samples) if samples else None


def _crowd(family: Family, random: Random) -> list[str]:
    """Keys of two other sources."""
    others = [f for f in families("tune").values() if f.source != family.source and f.shipped]
    some = random.sample(others, 2)
    return [item.key for one in some for item in random.sample(one.items, min(400, len(one.items)))]


def _sample(made: Store, crowd: Sequence[str], heard: Heard) -> Sample:
    keys = list(dict.fromkeys([*made.keys, *crowd]))
    # In a crowd a stranger from afar may be stored.
    asked = [q for q in made.questions if not (crowd and q.form == "far")]
    return sampled(Shelf(keys, heard), asked)


def sampled(shelf: Shelf, asked: Sequence[Question]) -> Sample:
    """Features of questions, and where the record that is meant is among the candidates."""
    f = features(shelf, [q.text for q in asked])
    row = np.array([q.row for q in asked])
    hit = (f.rows == row[:, None]) & (row >= 0)[:, None]
    place = np.where(hit.any(axis=1), hit.argmax(axis=1), -1)
    forms = np.array([q.form for q in asked])
    # Forms count alike within a store.
    counts = Counter(forms.tolist())
    w = np.array([1 / counts[form] for form in forms.tolist()])
    return Sample(f, place, forms, row >= 0, w / w.sum())


def _joined(samples: Sequence[Sample]) -> Sample:
    f = [s.features for s in samples]
    names = [one.name for one in fields(Features)]
    joined = Features(*(np.concatenate([getattr(one, name) for one in f]) for name in names))
    parts = ("meant", "forms", "stored", "weights")
    return Sample(joined, *(np.concatenate([getattr(s, part) for s in samples]) for part in parts))


def _weighed(sample: Sample, by: float) -> Sample:
    return Sample(sample.features, sample.meant, sample.forms, sample.stored,
                  sample.weights / sample.weights.sum() * by)  # fmt: skip


# ── reporting ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Policy:
    """When "nothing" is the answer: the likeliest value, or the store, is not likely enough.

    Where keys are sentences, a question in other words and one of the kind that is not stored are
    hardly told apart: there the line lies lower, and what is near is answered with its probability.
    """

    names: float = 0.7
    sentences: float = 0.0
    inside: float = 0.4

    def refuses(self, told: Told) -> bool:
        """Whether the question is not answered."""
        line = self.names + (self.sentences - self.names) * told.sentences
        return told.asked.probability < line or told.inside < self.inside


@dataclass(frozen=True)
class Told:
    """What becomes of a question, P(the store speaks of this), and how far keys are sentences."""

    asked: Asked
    inside: float
    sentences: float


def judged(
    made: Store, asked: Sequence[Question], f: Features, c: Constants, policy: Policy
) -> Iterator[Told]:
    """What becomes of questions to a store, by their features."""
    p, inside = meant(f, c)
    for i, q in enumerate(asked):
        of: dict[str | float, float] = defaultdict(float)
        for row, share in zip(f.rows[i].tolist(), p[i].tolist(), strict=True):
            if row >= 0:
                of[made.values[row]] += share
        value, probability = max(of.items(), key=lambda one: one[1])
        nearest = same(made.values[int(f.rows[i, 0])], q.value)
        one = Asked(
            made.family,
            made.kind,
            len(made.keys),
            q.form,
            same(value, q.value),
            probability,
            1 - sum(of.values()),
            False,
            nearest,
            nearest,
            float(f.scores[i]),
            q.value is not None,
        )
        told = Told(one, float(inside[i]), float(f.sentences[i]))
        yield replace(told, asked=replace(one, refused=policy.refuses(told)))


def main() -> None:
    """Fit, leaving each source out in turn, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="write the constants of all families")
    parser.add_argument("--quick", action="store_true", help="few stores")
    parser.add_argument("--encoder", default=DEFAULT)
    options = parser.parse_args()
    if absent := missing():
        print(f"Nothing to do without {', '.join(absent)} (set QKV_DATA).")
        return
    start = time.perf_counter()
    heard = Heard(remembering(options.encoder))
    samples = {}
    for family in families("tune").values():
        one = training(family, heard, 4 if options.quick else TRAINED)
        if one is not None and family.shipped:
            samples[family.name] = _weighed(one, FAMILY_COUNTS.get(family.name, 1.0))
        print(f"{family.name}, {time.perf_counter() - start:.0f} s", flush=True)
    told: list[Told] = []
    for source in dict.fromkeys(family.source for family in families("tune").values()):
        kept = [s for name, s in samples.items() if families("tune")[name].source != source]
        constants = fit(_joined(kept))
        print(f"fitted without {source}, {time.perf_counter() - start:.0f} s", flush=True)
        for family in families("tune").values():
            if family.source == source:
                for made in plan(family, "tune", quick=options.quick):
                    if made.kind not in TOLD:
                        continue
                    some = [q for q in made.questions if q.form != "same kind"]
                    found = features(Shelf(made.keys, heard), [q.text for q in some])
                    told += judged(made, some, found, constants, Policy())
    tables = tabled(told)
    for table in tables:
        print(table.markdown())
    if options.all and not options.quick:
        write("lookup_fit", "The record that is meant: families left out", tables)
        constants = fit(_joined(list(samples.values())))
        _write(constants, options.encoder, sum(len(s.forms) for s in samples.values()))


def tabled(told: Sequence[Told]) -> list[Table]:
    """What was measured, and what several policies would refuse.

    The nearest key is that of the question as the store reads it, without its slips; hybrid search
    is not asked here.
    """
    asked = [one.asked for one in told]
    tables = [by_form(asked), by_family(asked), by_store(asked), policies(told)]
    for table in tables:
        if "hybrid" in table.columns:
            at = table.columns.index("hybrid")
            for row in (table.columns, *table.rows):
                del row[at]
    return tables


def policies(told: Sequence[Told], tried: Iterable[Policy] = ()) -> Table:
    """What several policies refuse: means over families."""
    groups = {
        "case, frame, typo": ("case", "frame", "typo", "frame+typo"),
        "paraphrase": ("paraphrase",),
        "language": ("language",),
        **{form: (form,) for form in STRANGERS},
    }
    table = Table(
        "Refused, by policy",
        "Means over families left out. Refused where the likeliest value is less likely than the "
        "line for names or for sentences, or that the store speaks of this is.",
        ["names", "sentences", "inside", *groups, "names, near"],
        [],
    )
    lines = [
        Policy(*one)
        for one in product((0.25, 0.5, 0.7), (0.0, 0.05, 0.1, 0.25), (0.3, 0.4, 0.5, 0.7))
    ]
    for policy in [*tried] or lines:
        cells = []
        for forms in groups.values():
            by: dict[str, list[bool]] = defaultdict(list)
            for one in told:
                if one.asked.form in forms:
                    by[one.asked.family].append(policy.refuses(one))
            cells.append(float(np.mean([np.mean(marks) for marks in by.values()])))
        names = [policy.refuses(one) for one in told
                 if (one.asked.family, one.asked.form) == ("names", "near")]  # fmt: skip
        row = [policy.names, policy.sentences, policy.inside, *cells, float(np.mean(names))]
        table.rows.append(row)
    return table


def _write(constants: Constants, encoder: str, questions: int) -> None:
    record = {
        "encoder": encoder,
        "questions": questions,
        "forms": list(FORMS),
        "candidates": {"by score": BY_SCORE, "by words": BY_WORDS, "at most": M},
        "sd": SD,
        "constants": constants.record(),
        "bank": list(bank_texts()),
    }
    path = RESULTS / "lookup_constants.json"
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    print(f"written: {path}")


if __name__ == "__main__":
    main()
