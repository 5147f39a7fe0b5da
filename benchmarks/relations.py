"""Completing relations, and knowing how well: ``python benchmarks/relations.py``.

Random halves of the 14 relations of the Google analogy list: one half is a store, the other is
asked. The store itself chooses its value head, its gains and its confidence by leaving its own
records out (:mod:`qkv.calibration.imagining`). The priors that it starts from are fitted, for each
relation, to stored halves of the *other* relations alone (the two lists of capitals count as one),
drawn with other seeds than those that are reported. What no store fits – how firmly priors hold,
which features the confidence has – was chosen on seeds 100–104 and 200–205, other halves of the
same lists; seeds 0–4 were asked once: from arrays, which is what the fit sees, and through
:class:`qkv.Database`, which is what people see. Writes results/relations.{md,json}, and prints
the priors that qkv ships: the same fit to all relations.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from unittest import mock

import datasets
import numpy as np
import study
from datasets import DATA
from defaults import Table

from qkv import Database
from qkv.calibration import imagining
from qkv.calibration.hidden import Study
from qkv.calibration.imagining import (
    FEATURES,
    PRIOR,
    Attempts,
    Choices,
    Gains,
    Imagining,
    Prior,
    Proposing,
    Records,
    Strangers,
    choices,
    directions,
    examples,
    fit_imagining,
    guesses,
    shares,
)
from qkv.calibration.logistic import Logistic, fit_choice, fit_logistic
from qkv.encoders import resolve
from qkv.lexicon import Lexicon
from qkv.ranking import top_k
from qkv.types import Attention, Floats, Integers, Origin

SEEDS = range(5)
PRIOR_SEEDS = range(100, 103)
PRIOR_NOUN_SEEDS, PRIOR_NOUN_SIZES = range(100, 106), (8, 20, 50)
#: Gains before any are fitted: they only choose the rivals.
START = Gains(30.0, 30.0, 30.0)
SIZES = (2, 4, 8, 16)
#: Random words that a store is told have no answer in it; nouns and words of other relations that
#: it is asked.
OUTSIDE, NOUNS, FOREIGN = 100, 300, 150
RANK = 40_000  # words up to this rank are frequent
BINS = 10
NOUN_STORES = (20, 50, 200)
#: The relation head as the formula has it, before anything is fitted.
PLAIN = Proposing("relation", 0.2, Gains(1.0, 1.0, 1.0), sharpness=30.0)

Pairs = Sequence[tuple[str, str]]


class Words:
    """Vectors of words, each encoded once."""

    def __init__(self) -> None:
        self.lexicon = Lexicon.glove()
        self._encoder = resolve("glove+use")
        self._known: dict[str, Floats] = {}

    def encode(self, words: Sequence[str]) -> Floats:
        """Vectors in the space of the default encoder."""
        fresh = [word for word in dict.fromkeys(words) if word not in self._known]
        if fresh:
            self._known |= zip(fresh, self._encoder.encode(fresh), strict=True)
        return np.stack([self._known[word] for word in words])

    def records(self, pairs: Pairs) -> Records:
        """A store."""
        keys, values = ([pair[side] for pair in pairs] for side in (0, 1))
        vectors, lexicon = self.encode(keys), self.lexicon
        _, groups = np.unique(values, return_inverse=True)
        return Records(
            vectors,
            vectors,
            lexicon.embed(keys),
            lexicon.embed(values),
            lexicon.places(keys),
            lexicon.places(values),
            groups,
        )

    def asked(self, words: Sequence[str]) -> Strangers:
        """Queries."""
        return Strangers(self.encode(words), self.lexicon.embed(words), self.lexicon.places(words))


@dataclass(frozen=True)
class Answers:
    """What a store answered: ranked words (m, 5), and P(the first is right)."""

    ranked: Integers
    confidence: Floats


def ask(records: Records, lexicon: Lexicon, one: Imagining, queries: Strangers) -> Answers:
    """Imagine words for queries; −1 and 0 for a query that the lexicon does not know."""
    store = Study(records, lexicon)
    questions = store.strangers(queries)
    reading = store.read(questions, one.proposing)
    logits = store.logits(questions, reading, one.proposing)
    logits[:, store.words] += one.proposing.repeats
    parts = shares(logits)
    ranked = np.full((len(queries.places), 5), -1, dtype=np.int64)
    ranked[reading.seen] = top_k(parts, 5)[0]
    held = np.ones((len(parts), len(store.words)), dtype=bool)
    guess, _ = guesses(parts, store.words, held)
    confidence = np.zeros(len(ranked))
    confidence[reading.seen] = one.probability(
        guess, directions(lexicon, guess.places), reading.nearest
    )
    return Answers(ranked, confidence)


# ── priors ───────────────────────────────────────────────────────────────────────────────────


def family(name: str) -> str:
    """The relation's name; the two lists of capitals share theirs, and most of their pairs."""
    return "capital" if name.startswith("capital") else name


@dataclass(frozen=True)
class Left:
    """A stored half, and what its hidden values compete with."""

    family: str
    records: Records
    choices: Choices


def fit_relation(words: Words, stores: Sequence[Left], outside: Strangers) -> Prior:
    """Fit what is universal of the relation head to some stores, each counting alike."""
    parts = [store.choices for store in stores]
    features, chosen = (np.concatenate(column) for column in zip(*parts, strict=True))
    weights = np.concatenate([np.full(len(part.chosen), 20 / len(part.chosen)) for part in parts])
    there = np.ones(features.shape[:2], dtype=bool)
    flat = np.array((START.query, -START.key, START.value, START.rarity))
    query, key, value, rare = fit_choice(features, there, chosen, flat, 1e-3, weights).tolist()
    gains = Gains(query, -key, value, rare)
    left_out = [examples(store.records, words.lexicon, outside, gains) for store in stores]
    return replace(PRIOR, gains=gains, relation=_confidence(left_out))


def fit_blend(words: Words, outside: Strangers) -> Logistic:
    """Fit the confidence in blends to stores of nouns and their classes."""
    nouns, _ = _two_halves(words)
    stores = [
        words.records(datasets.shuffled(nouns, seed)[:size])
        for seed in PRIOR_NOUN_SEEDS
        for size in PRIOR_NOUN_SIZES
    ]
    return _confidence([examples(store, words.lexicon, outside, None) for store in stores])


def _two_halves(words: Words) -> tuple[Pairs, Pairs]:
    """Frequent nouns with their class: some for the prior, some to report on."""
    nouns = datasets.shuffled(datasets.nouns(words.lexicon.rows, 0, RANK), study.SEED)
    return nouns[: len(nouns) // 2], nouns[len(nouns) // 2 :]


def _confidence(parts: Sequence[Attempts]) -> Logistic:
    alike = [part._replace(weights=20 * part.weights / part.weights.sum()) for part in parts]
    together = (np.concatenate(column) for column in zip(*alike, strict=True))
    return fit_logistic(*together, Logistic((0.0,) * len(FEATURES), 0.0), 0.5)


# ── the study ────────────────────────────────────────────────────────────────────────────────


def halves(pairs: Pairs, name: str, seed: int) -> tuple[Pairs, Pairs]:
    """Pairs to store and to ask."""
    rng = np.random.default_rng((seed, *name.encode()))
    mixed = [pairs[i] for i in rng.permutation(len(pairs))]
    return mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]


@dataclass(frozen=True)
class Outcome:
    """One store, asked the other half of its relation, and what does not belong to it."""

    relation: str
    records: int
    one: Imagining
    heads: dict[str, tuple[float, float]]  # P@1 and P@5
    confidence: Floats
    right: Floats
    five: float
    outside: Floats  # confidence in what nouns give
    foreign: Floats  # and the words of other relations


def outcome(
    words: Words, name: str, stored: Pairs, asked: Pairs, prior: Prior, others: Others
) -> Outcome:
    """Store one half, ask the other."""
    records, lexicon = words.records(stored), words.lexicon
    one = fit_imagining(records, lexicon, others.told, prior)
    queries = words.asked([query for query, _ in asked])
    truth = lexicon.places([answer for _, answer in asked])[:, None]
    found = ask(records, lexicon, one, queries)
    heads = {}
    for head, proposing in {
        "blend": Proposing("blend", one.proposing.temperature, Gains(0.0, 0.0, 1.0), 30.0),
        "relation": PLAIN,
    }.items():
        right = ask(records, lexicon, replace(one, proposing=proposing), queries).ranked == truth
        heads[head] = float(right[:, 0].mean()), float(right.any(axis=1).mean())
    right = found.ranked == truth
    return Outcome(
        name,
        len(stored),
        one,
        heads,
        found.confidence,
        right[:, 0].astype(np.float64),
        float(right.any(axis=1).mean()),
        ask(records, lexicon, one, others.nouns).confidence,
        ask(records, lexicon, one, others.foreign[family(name)]).confidence,
    )


@dataclass(frozen=True)
class Others:
    """Queries that do not belong: told to the store, and asked."""

    told: Strangers
    nouns: Strangers
    foreign: dict[str, Strangers]
    names: list[str]  # the nouns, as text


def _others(words: Words, relations: dict[str, Pairs]) -> Others:
    rng = np.random.default_rng(12345)
    taken = {word for pairs in relations.values() for pair in pairs for word in pair}
    frequent = [word for word in words.lexicon.words[:RANK] if word not in taken]
    told = [frequent[i] for i in rng.choice(len(frequent), OUTSIDE, replace=False)]
    nouns = [noun for noun, _ in datasets.nouns(words.lexicon.rows, 0, RANK)]
    fresh = sorted(set(nouns) - taken - set(told))
    asked = [fresh[i] for i in rng.choice(len(fresh), NOUNS, replace=False)]
    foreign = {}
    for own in {family(name) for name in relations}:
        keys = {key for name, pairs in relations.items() if family(name) != own for key, _ in pairs}
        mine = {
            word
            for name, pairs in relations.items()
            if family(name) == own
            for pair in pairs
            for word in pair
        }
        chosen = datasets.shuffled(sorted(keys - mine), study.SEED)[:FOREIGN]
        foreign[own] = words.asked(chosen)
    return Others(words.asked(told), words.asked(asked), foreign, asked)


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--priors", action="store_true", help="print the shipped priors only")
    parser.add_argument(
        "--seeds", type=int, default=SEEDS.start, help="first of the five seeds that are asked"
    )
    options = parser.parse_args()
    missing = datasets.missing(["wordsim/questions-words.txt.gz", "wordnet_glosses/glosses.tsv.gz"])
    if missing:
        sys.exit(f"{DATA} lacks {', '.join(missing)}: set QKV_DATA; see README.md")
    words, relations = Words(), datasets.relations()
    others = _others(words, relations)
    stores = [
        Left(family(name), records, choices(records, words.lexicon, START))
        for seed in PRIOR_SEEDS
        for name, pairs in relations.items()
        for records in [words.records(halves(pairs, name, seed)[0])]
    ]
    shipped = fit_relation(words, stores, others.told)
    shipped = replace(shipped, blend=fit_blend(words, others.told))
    print(shipped, flush=True)
    if options.priors:
        return
    priors = {
        own: replace(
            fit_relation(words, [store for store in stores if store.family != own], others.told),
            blend=shipped.blend,
        )
        for own in sorted({family(name) for name in relations})
    }
    seeds = range(options.seeds, options.seeds + len(SEEDS))
    asked = {
        (name, seed): halves(pairs, name, seed)
        for name, pairs in relations.items()
        for seed in seeds
    }
    found = [
        outcome(words, name, *parts, priors[family(name)], others)
        for (name, _), parts in asked.items()
    ]
    small = {
        size: [
            outcome(words, name, stored[:size], to_ask, priors[family(name)], others)
            for (name, _), (stored, to_ask) in asked.items()
        ]
        for size in SIZES
    }
    nouns = others.names
    products = [_through(name, *parts, nouns) for (name, _), parts in asked.items()]
    unseen = []
    for (name, _), parts in asked.items():
        with mock.patch.object(imagining, "PRIOR", priors[family(name)]):
            unseen.append(_through(name, *parts, nouns))
    tables = [
        _by_relation(found),
        _database(found, products, unseen),
        _calibration(found),
        _reliability(found),
        _by_size(small, found),
        _nouns(words, others, shipped),
        _priors(priors, shipped),
    ]
    for table in tables:
        print(table.markdown(), flush=True)
    if not options.no_write:
        study.write("relations", "Completing relations, and knowing how well", tables)


def _by_relation(found: list[Outcome]) -> Table:
    columns = [
        "relation",
        "stored",
        "blend P@1",
        "P@5",
        "relation P@1",
        "P@5",
        "chosen P@1",
        "P@5",
        "chose relation",
        "choice was the better",
    ]
    rows = []
    for name, ones in _grouped(found):
        rows.append([name, ones[0].records, *_heads(ones)])
    numbers = [list(row[2:]) for row in rows]
    rows.append(["mean", "", *np.mean(numbers, axis=0).tolist()])
    return Table(
        "Completing relations",
        "Half of each relation stored, the other half asked; five seeds; all of the 100,000 most "
        "frequent words can be the answer, but for the word that is asked. *Blend* and *relation* "
        "are the heads as they are without calibration, *chosen* is what the store fitted to its "
        "own records. *The better*: share of stores where no other head had a higher P@1. Priors "
        "come from the other relations alone; how firmly they hold was chosen on other halves of "
        "the same lists (seeds 100–104 and 200–205).",
        columns,
        rows,
    )


def _heads(ones: list[Outcome]) -> list[float]:
    blend, relation = (
        np.mean([one.heads[h] for one in ones], axis=0) for h in ("blend", "relation")
    )
    first = np.mean([one.right.mean() for one in ones])
    five = np.mean([one.five for one in ones])
    chose = np.mean([one.one.head == "relation" for one in ones])
    better = [
        one.heads[one.one.head][0] >= max(score for score, _ in one.heads.values()) for one in ones
    ]
    numbers = [*blend, *relation, first, five, chose, np.mean(better)]
    return [float(number) for number in numbers]


# ── through Database ─────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Through:
    """One half stored in a Database that has its defaults, the other half asked."""

    relation: str
    confidence: Floats  # of the first candidate; 0 where there is none
    right: Floats
    five: float
    recalled: Floats  # whether the first candidate is stored
    nothing: Floats  # whether the answer is NOTHING
    outside: Floats  # confidence in what nouns give
    refused: Floats  # whether theirs is


Store = TypeVar("Store", Outcome, Through)


def _through(name: str, stored: Pairs, asked: Pairs, nouns: Sequence[str]) -> Through:
    with Database(stored) as db:
        answers = db.attend([query for query, _ in asked])
        strange = db.attend(nouns)
    firsts = [[one.value for one in answer.candidates[:5]] for answer in answers]
    right = [first[:1] == [truth] for first, (_, truth) in zip(firsts, asked, strict=True)]
    five = [truth in first for first, (_, truth) in zip(firsts, asked, strict=True)]
    return Through(
        name,
        _sure(answers),
        np.array(right, dtype=np.float64),
        float(np.mean(five)),
        np.array([[c.origin for c in a.candidates[:1]] == [Origin.RECALLED] for a in answers]),
        np.array([answer.origin is Origin.NOTHING for answer in answers]),
        _sure(strange),
        np.array([answer.origin is Origin.NOTHING for answer in strange]),
    )


def _sure(answers: Sequence[Attention]) -> Floats:
    return np.array([a.candidates[0].probability if a.candidates else 0.0 for a in answers])


def _database(found: list[Outcome], products: list[Through], unseen: list[Through]) -> Table:
    rows = []
    for name, ones in _grouped(products):
        arrays = [one for one in found if one.relation == name]
        rows.append([name, *_firsts(arrays), *_product(ones)])
    means = np.mean([row[1:] for row in rows], axis=0).tolist()
    rows.append(["mean of the relations", *means])
    rows.append(["all answers", "", "", "", "", *_product(products)[2:]])
    held = np.mean([_product(ones) for _, ones in _grouped(unseen)], axis=0).tolist()
    rows.append(["mean, priors of the others alone", *means[:2], *held])
    rows.append(["all, priors of the others alone", "", "", "", "", *_product(unseen)[2:]])
    arrays, right, recalled = (
        np.concatenate([getattr(one, what) for one in ones]).astype(bool)
        for ones, what in ((found, "right"), (unseen, "right"), (unseen, "recalled"))
    )
    lost = arrays & ~right
    return Table(
        "Completing relations, through Database",
        "The same halves and questions: `qkv.Database(half)` with all its defaults, and `attend`. "
        "*Right* is `candidates[0]`, *in five* `candidates[:5]`, whether or not the answer is "
        "NOTHING; *given*: of the answers that are not NOTHING, how many are right. *Recalled*: "
        f"`candidates[0]` is a value that is stored. ECE and AUROC ({NOUNS} nouns) are those of "
        "`candidates[0].probability`. A store has the priors that qkv ships, fitted to other "
        "halves of all 14 relations; the last rows have those that were fitted to the other "
        f"relations, as the arrays have. With these {lost.sum()} of {len(lost):,} answers are "
        f"right from arrays and wrong through Database, {(lost & recalled).sum()} of them because "
        f"a stored value comes first; {(~arrays & right).sum()} are the other way round.",
        [
            "relation",
            "arrays: right",
            "in five",
            "Database: right",
            "in five",
            "recalled",
            "NOTHING",
            "given: right",
            "confidence",
            "ECE",
            "AUROC, nouns",
            "nouns: NOTHING",
        ],
        rows,
    )


def _firsts(ones: Sequence[Outcome] | Sequence[Through]) -> list[float]:
    """P@1 and P@5, means over stores."""
    return [
        float(np.mean([one.right.mean() for one in ones])),
        float(np.mean([one.five for one in ones])),
    ]


def _product(ones: Sequence[Through]) -> list[float]:
    confidence, right, recalled, nothing, outside, refused = (
        np.concatenate([getattr(one, what) for one in ones])
        for what in ("confidence", "right", "recalled", "nothing", "outside", "refused")
    )
    return [
        *_firsts(ones),
        float(recalled.mean()),
        float(nothing.mean()),
        float(right[~nothing].mean()),
        float(confidence.mean()),
        ece(confidence, right, np.ones(len(right))),
        auroc(confidence, outside),
        float(refused.mean()),
    ]


def _calibration(found: list[Outcome]) -> Table:
    rows = []
    for name, ones in _grouped(found):
        rows.append([name, *_trust(ones)])
    rows.append(["all", *_trust(found)])
    mean = np.mean([row[4:] for row in rows[:-1]], axis=0).tolist()
    rows.append(["mean of the relations", "", "", "", *mean])
    return Table(
        "Confidence in what was imagined",
        "P(the first word is right), in the mean and as it came out; ECE with "
        f"{BINS} bins of equal width (a single relation has 60 to 290 answers); AUROC of the "
        f"confidence, own queries against {NOUNS} frequent nouns that are in no relation, and "
        f"against {FOREIGN} keys of the other relations, some of which do have an answer (*table* "
        "has a plural; *bright* has a comparative and a superlative).",
        [
            "relation",
            "confidence",
            "right",
            "ECE",
            "AUROC, nouns",
            "AUROC, other relations",
            "confidence in nouns",
            "in other relations",
        ],
        rows,
    )


def _trust(ones: list[Outcome]) -> list[float]:
    confidence, right, outside, foreign = (
        np.concatenate([getattr(one, what) for one in ones])
        for what in ("confidence", "right", "outside", "foreign")
    )
    return [
        float(confidence.mean()),
        float(right.mean()),
        ece(confidence, right, np.ones(len(right))),
        auroc(confidence, outside),
        auroc(confidence, foreign),
        float(outside.mean()),
        float(foreign.mean()),
    ]


def _reliability(found: list[Outcome]) -> Table:
    confidence, right, outside = (
        np.concatenate([getattr(one, what) for one in found])
        for what in ("confidence", "right", "outside")
    )
    both = np.concatenate((confidence, outside))
    truth = np.concatenate((right, np.zeros(len(outside))))
    weight = np.full(len(outside), len(right) / 9 / len(outside))
    weights = np.concatenate((np.ones(len(right)), weight))
    rows: list[list[Any]] = []
    own, all_bins = _bins(confidence), _bins(both)
    for bin_ in range(BINS):
        inside, everywhere = own == bin_, all_bins == bin_
        rows.append(
            [
                f"{bin_ / BINS:.1f} … {(bin_ + 1) / BINS:.1f}",
                int(inside.sum()),
                float(confidence[inside].mean()) if inside.any() else "",
                float(right[inside].mean()) if inside.any() else "",
                float(np.average(both[everywhere], weights=weights[everywhere])),
                float(np.average(truth[everywhere], weights=weights[everywhere])),
            ]
        )
    rows.append(
        [
            "ECE",
            len(right),
            "",
            ece(confidence, right, np.ones(len(right))),
            "",
            ece(both, truth, weights),
        ]
    )
    return Table(
        "Reliability",
        "All relations and seeds together. *Mixed*: with one in ten queries a noun that has no "
        "answer, as the confidence expects.",
        ["confidence", "answers", "mean", "right", "mixed: mean", "mixed: right"],
        rows,
    )


def _by_size(small: dict[int, list[Outcome]], found: list[Outcome]) -> Table:
    rows = []
    for size, ones in [*small.items(), ("half", found)]:
        _, _, relation, _, first, five, chose, _ = _heads(ones)
        confidence, right = (
            np.concatenate([getattr(one, what) for one in ones]) for what in ("confidence", "right")
        )
        outside = np.concatenate([one.outside for one in ones])
        error = ece(confidence, right, np.ones(len(right)))
        trusted = float(confidence.mean())
        rows.append(
            [
                size,
                relation,
                first,
                five,
                chose,
                trusted,
                float(right.mean()),
                error,
                auroc(confidence, outside),
            ]
        )
    return Table(
        "Small stores",
        "The first so many of the stored half (or all it has), the same questions. "
        "P@1 and P@5 are means over stores, the rest is over all answers.",
        [
            "stored",
            "relation P@1",
            "chosen P@1",
            "P@5",
            "chose relation",
            "confidence",
            "right",
            "ECE",
            "AUROC, nouns",
        ],
        rows,
    )


def _nouns(words: Words, others: Others, prior: Prior) -> Table:
    """Stores of nouns and their classes: nothing there is a relation to complete."""
    _, known = _two_halves(words)
    rows = []
    for size in NOUN_STORES:
        heads, trusted, right = [], [], []
        for seed in SEEDS:
            mixed = datasets.shuffled(known, seed)
            records, asked = words.records(mixed[:size]), mixed[size : size + 100]
            one = fit_imagining(records, words.lexicon, others.told, prior)
            found = ask(records, words.lexicon, one, words.asked([noun for noun, _ in asked]))
            truth = words.lexicon.places([name for _, name in asked])
            heads.append(one.head == "blend")
            trusted.append(found.confidence)
            right.append((found.ranked[:, 0] == truth).astype(np.float64))
        confidence, correct = np.concatenate(trusted), np.concatenate(right)
        error = ece(confidence, correct, np.ones(len(correct)))
        rows.append(
            [size, float(np.mean(heads)), float(confidence.mean()), float(correct.mean()), error]
        )
    return Table(
        "Stores without a relation",
        "Nouns and their class (*animal*, *food*, …), five seeds, 100 other nouns asked of each: "
        "blend is the right head. Confidence and share right of the word nearest to the blend. The "
        "prior is the one that qkv ships: fitted to such stores, of other nouns. Development "
        "figures: the form of the confidence was chosen on these stores.",
        ["stored", "chose blend", "confidence", "right", "ECE"],
        rows,
    )


def _priors(priors: dict[str, Prior], shipped: Prior) -> Table:
    rows = []
    for own, prior in [*priors.items(), ("none: what qkv ships", shipped)]:
        gains = (prior.gains.query, prior.gains.key, prior.gains.value, prior.gains.rarity)
        rows.append([own, *gains, *prior.relation.coefficients, prior.relation.intercept])
    return Table(
        "Priors of the relation head",
        f"Fitted to the stored halves, seeds {PRIOR_SEEDS[0]}–{PRIOR_SEEDS[-1]}, of all relations "
        "but one.",
        ["left out", "a", "b", "c", "rarity", *FEATURES, "intercept"],
        rows,
    )


def _grouped(found: Sequence[Store]) -> Iterator[tuple[str, list[Store]]]:
    for name in dict.fromkeys(one.relation for one in found):
        yield name, [one for one in found if one.relation == name]


# ── judging ──────────────────────────────────────────────────────────────────────────────────


def _bins(confidence: Floats) -> Integers:
    return np.minimum((confidence * BINS).astype(np.int64), BINS - 1)


def ece(confidence: Floats, right: Floats, weights: Floats) -> float:
    """Expected calibration error: mean gap between confidence and share right, bin by bin."""
    gaps = np.bincount(_bins(confidence), weights=weights * (confidence - right))
    return float(np.abs(gaps).sum() / weights.sum())


def auroc(higher: Floats, lower: Floats) -> float:
    """P(one of the first is larger than one of the second); ties count half."""
    order = np.sort(lower)
    below = np.searchsorted(order, higher, "left") + np.searchsorted(order, higher, "right")
    return float(below.mean() / 2 / len(lower))


if __name__ == "__main__":
    main()
