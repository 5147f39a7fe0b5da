"""Confidence that is a probability, and "nothing here": ``python benchmarks/intents.py``.

CLINC150: 15,000 questions of 150 intents are stored, all of them or 10 of each; 4,500 others are
asked, and 1,000 that belong to none. Banking77: 1, 5, 10 of each of 77 intents, or all. The store
calibrates itself on its own records and sees no question before the test. Everything about qkv
that was chosen by looking was chosen on CLINC150's training and validation splits.

Peers on the same vectors: the nearest key's cosine, the softmax's largest share (attention mass at
the default temperature), the mean distance of 10 nearest neighbours, and logistic regression with
its largest probability, its C (1 or 10) chosen on the validation split; for Banking77 it is 10.
Writes results/intents.{md,json}.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")

import argparse
import csv
import gzip
import json
import time
import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
from datasets import DATA
from defaults import Table
from encoded import remembering
from study import SEED, write

from qkv import Attention, Database
from qkv.attention import size_temperature, softmax
from qkv.ranking import auroc, expected_calibration_error

ENCODERS = ("glove+use", "use", "transformer")
BUDGETS = (0.01, 0.05, 0.10)
CS = (1.0, 10.0)
#: Share of the test questions that are out of scope.
OUT = 1000 / 5500
#: Other draws of ten records each.
DRAWS = 8


@dataclass(frozen=True)
class Split:
    """Texts and their labels."""

    texts: list[str]
    labels: list[str]


@dataclass(frozen=True)
class Told:
    """What one way of answering says of questions in scope and out of scope."""

    right: np.ndarray
    inside: np.ndarray  # confidence of the answer to each question in scope
    outside: np.ndarray
    none_inside: np.ndarray  # score of "nothing here"
    none_outside: np.ndarray

    @property
    def auroc(self) -> float:
        """How well "nothing here" is told from the rest."""
        return auroc(self.none_outside, self.none_inside) if len(self.outside) else float("nan")

    @property
    def ece(self) -> float:
        """Expected calibration error of the confidence over all questions."""
        right = np.concatenate((self.right, np.zeros(len(self.outside))))
        return expected_calibration_error(np.concatenate((self.inside, self.outside)), right)


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--validation", action="store_true", help="ask the validation split")
    options = parser.parse_args()
    asked = "val" if options.validation else "test"
    scope = Table(
        f"CLINC150, {asked} split: answers, and questions out of scope",
        "Accuracy over questions in scope; AUROC of telling questions out of scope from the "
        "others; ECE (15 bins) of the confidence over all. LR: logistic regression.",
        ["encoder", "stored", "way", "accuracy", "AUROC", "ECE", "seconds to calibrate or fit"],
        [],
    )
    budgets = Table(
        "The same: a budget of wrong answers",
        "Share of wrong answers among those given (questions out of scope are a part of them, "
        "1,000 of 5,500; any answer to one is wrong), and of the questions in scope that get one.",
        ["encoder", "stored", *(f"≤ {b:.0%} wrong: realised, answered" for b in BUDGETS)],
        [],
    )
    for name in ENCODERS:
        for per in (None, 10):
            told, seconds, cells = _clinc(name, per, asked)
            stored = "all (100 each)" if per is None else f"{per} each"
            for way, one in told.items():
                took = seconds.get(way, "")
                scope.rows.append(
                    [name, stored, way, float(one.right.mean()), one.auroc, one.ece, took]
                )
                print(scope.rows[-1], flush=True)
            budgets.rows.append([name, stored, *cells])
            print(budgets.rows[-1], flush=True)
    lots, given = _lots(), _given_validation(asked)
    bank = Table(
        "Banking77",
        "Accuracy and ECE on the 3,080 test questions, all of them in scope, with the assumed "
        "share of unanswerable questions at its default, 0.18, and told that hardly any is (0.01).",
        ["encoder", "stored", "accuracy", "ECE", "ECE, told", "accuracy of LR", "ECE of LR"],
        [],
    )
    for name in ENCODERS:
        for count in (1, 5, 10, None):
            bank.rows.append(_banking(name, count, options.validation))
            print(bank.rows[-1], flush=True)
    if not options.no_write and not options.validation:
        write(
            "intents", "Intents: confidence and nothing here", [scope, budgets, lots, given, bank]
        )


def _lots() -> Table:
    """How budgets come out for other draws of the stored questions."""
    table = Table(
        "The same: other stores",
        f"{DRAWS} other draws of 10 records of each intent. Mean and largest share of wrong "
        "answers among those given, and mean share of the questions in scope that get one. "
        "Validation: 3,000 questions in scope and 200 out of it, which count as many as in the "
        "test split.",
        ["encoder", "asked", *(f"≤ {b:.0%} wrong: mean, largest, answered" for b in BUDGETS)],
        [],
    )
    spare = clinc("oos_val").texts + clinc("oos_train").texts
    splits = {"validation": (clinc("val"), spare), "test": (clinc("test"), clinc("oos_test").texts)}
    for name in ENCODERS:
        kept: dict[str, list[np.ndarray]] = {split: [] for split in splits}
        for draw in range(1, DRAWS + 1):
            db = _store(name, _some(clinc("train"), 10, draw))
            db.calibrate()
            for split, (inside, outside) in splits.items():
                told = _told(db.attend(inside.texts), inside.labels, db.attend(outside))
                kept[split].append(_realised(db, told))
        for split, found in kept.items():
            mean, most = np.mean(found, axis=0), np.max(found, axis=0)
            cells = [
                f"{a:.3f}, {b:.3f}, {c:.1%}"
                for (a, c), (b, _) in zip(mean.tolist(), most.tolist(), strict=True)
            ]
            table.rows.append([name, split, *cells])
            print(table.rows[-1], flush=True)
    return table


def _realised(db: Database, told: Told) -> np.ndarray:
    """For each budget the share of wrong answers, and of questions in scope that get one."""
    weight = OUT / (1 - OUT) * len(told.inside) / len(told.outside)
    found = []
    for budget in BUDGETS:
        least = db.calibration.threshold(budget)
        given = (told.inside >= least) & (told.inside >= told.none_inside)
        vain = ((told.outside >= least) & (told.outside >= told.none_outside)).sum() * weight
        wrong = given[told.right == 0].sum() + vain
        found.append((wrong / max(given.sum() + vain, 1e-9), given.mean()))
    return np.array(found)


def _given_validation(asked: str) -> Table:
    """What it is worth to give a store questions as they are asked."""
    table = Table(
        "The same: given questions",
        f"`calibrate(questions=…)`: of the validation split{'' if asked == 'test' else ', half'}, "
        "2,000 in scope and 200 out of it, taken to be as many as are asked. Measures and budgets "
        "as above.",
        ["encoder", "stored", "accuracy", "AUROC", "ECE",
         *(f"≤ {b:.0%} wrong: realised, answered" for b in BUDGETS)],
        [],
    )  # fmt: skip
    val, rng = clinc("val"), np.random.default_rng(SEED)
    order = rng.permutation(len(val.texts))
    inside, outside = _rows(val, order[:2000]), clinc("oos_val").texts + clinc("oos_train").texts
    test, beyond = clinc("test"), clinc("oos_test").texts
    if asked != "test":
        inside, test = _rows(val, order[:1500]), _rows(val, order[1500:])
        outside, beyond = outside[::2], outside[1::2]
    questions = [*zip(inside.texts, inside.labels, strict=True), *((q, None) for q in outside)]
    for name in ENCODERS:
        for per in (None, 10):
            db = _store(name, _some(clinc("train"), per))
            db.calibrate(questions=questions, unanswerable=OUT)
            told = _told(db.attend(test.texts), test.labels, db.attend(beyond))
            cells = [f"{wrong:.3f}, {answered:.1%}" for wrong, answered in _realised(db, told)]
            stored = "all (100 each)" if per is None else f"{per} each"
            right = float(told.right.mean())
            table.rows.append([name, stored, right, told.auroc, told.ece, *cells])
            print(table.rows[-1], flush=True)
    return table


def _clinc(
    name: str, per: int | None, asked: str
) -> tuple[dict[str, Told], dict[str, float], list[str]]:
    train = _some(clinc("train"), per)
    test, outside = clinc(asked), clinc(f"oos_{asked}")
    db = _store(name, train)
    start = time.perf_counter()
    db.calibrate()
    seconds = {"qkv": round(time.perf_counter() - start, 2)}
    inside, beyond = db.attend(test.texts), db.attend(outside.texts)
    told = {"qkv": _told(inside, test.labels, beyond)}
    cells = []
    for budget in BUDGETS:
        given = [bool(db.query(q, strict=True, max_wrong=budget)) for q in test.texts]
        out = [bool(db.query(q, strict=True, max_wrong=budget)) for q in outside.texts]
        right = told["qkv"].right.astype(bool)
        wrong = sum(out) + int((np.array(given) & ~right).sum())
        cells.append(f"{wrong / max(1, sum(given) + sum(out)):.3f}, {np.mean(given):.1%}")
    told |= _peers(name, train, test, outside, clinc("val"), seconds)
    return told, seconds, cells


def _told(inside: list[Attention], labels: list[str], outside: list[Attention]) -> Told:
    def first(answer: Attention) -> str | None:
        return answer.candidates[0].value if answer.candidates else None

    def sure(answer: Attention) -> float:
        return answer.candidates[0].probability if answer.candidates else 0.0

    return Told(
        np.array([first(a) == label for a, label in zip(inside, labels, strict=True)], float),
        np.array([sure(a) for a in inside]),
        np.array([sure(a) for a in outside]),
        np.array([a.null for a in inside]),
        np.array([a.null for a in outside]),
    )


def _peers(
    name: str, train: Split, test: Split, outside: Split, held: Split, seconds: dict[str, float]
) -> dict[str, Told]:
    keys, labels = _unit(name, train.texts), np.array(train.labels)
    names, groups = np.unique(labels, return_inverse=True)
    one_hot = np.eye(len(names))[groups]
    told = {}

    def ways(texts: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        scores = _unit(name, texts) @ keys.T
        order = np.argsort(-scores, axis=1)[:, :10]
        nearest = np.take_along_axis(scores, order, axis=1)
        masses = softmax(scores, size_temperature(len(keys)))[0] @ one_hot
        vote = groups[order]
        return {
            "largest cosine": (vote[:, 0], nearest[:, 0]),
            "raw softmax": (masses.argmax(axis=1), masses.max(axis=1)),
            "10 nearest, mean distance": (vote[:, 0], nearest.mean(axis=1)),
        }

    ours, theirs = ways(test.texts), ways(outside.texts)
    for way, (found, score) in ours.items():
        right = (names[found] == np.array(test.labels)).astype(float)
        far = theirs[way][1]
        told[way] = Told(right, score, far, -score, -far)
    start = time.perf_counter()
    model = _regression(keys, labels, (_unit(name, held.texts), np.array(held.labels)))
    seconds["LR, largest probability"] = round(time.perf_counter() - start, 2)
    inside = model.predict_proba(_unit(name, test.texts))
    beyond = model.predict_proba(_unit(name, outside.texts)).max(axis=1)
    right = (model.classes_[inside.argmax(axis=1)] == np.array(test.labels)).astype(float)
    top = inside.max(axis=1)
    told["LR, largest probability"] = Told(right, top, beyond, -top, -beyond)
    return told


def _regression(keys, labels, held=None):  # type: ignore[no-untyped-def]
    from sklearn.linear_model import LogisticRegression

    def fitted(c: float):  # type: ignore[no-untyped-def]
        return LogisticRegression(C=c, max_iter=200, tol=1e-4)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if held is not None:
            best = max(CS, key=lambda c: fitted(c).fit(keys, labels).score(*held))
        else:
            best = CS[-1]
        return fitted(best).fit(keys, labels)


def _banking(name: str, per: int | None, validation: bool) -> list[object]:
    train, test = banking("train"), banking("test")
    if validation:
        rng = np.random.default_rng(SEED)
        order = rng.permutation(len(train.texts))
        test, train = _rows(train, order[:2000]), _rows(train, order[2000:])
    train = _some(train, per)
    db = _store(name, train)
    db.calibrate()
    told = _told(db.attend(test.texts), test.labels, [])
    db.calibrate(unanswerable=0.01)
    sure = _told(db.attend(test.texts), test.labels, [])
    model = _regression(_unit(name, train.texts), np.array(train.labels))
    probabilities = model.predict_proba(_unit(name, test.texts))
    right = model.classes_[probabilities.argmax(axis=1)] == np.array(test.labels)
    ece = expected_calibration_error(probabilities.max(axis=1), right.astype(float))
    stored = "all" if per is None else f"{per} each"
    return [name, stored, float(told.right.mean()), told.ece, sure.ece, float(right.mean()), ece]


def _store(name: str, split: Split) -> Database:
    db = Database(encoder=remembering(name), lexicon=None)
    db.update(zip(split.texts, split.labels, strict=True))
    return db


def _unit(name: str, texts: list[str]) -> np.ndarray:
    vectors = np.vstack(
        [remembering(name).encode(texts[i : i + 1000]) for i in range(0, len(texts), 1000)]
    )
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def _some(split: Split, per: int | None, seed: int = SEED) -> Split:
    """So many of each label, by a fixed seed."""
    if per is None:
        return split
    rng = np.random.default_rng(seed)
    labels = np.array(split.labels)
    chosen = [rng.permutation(np.flatnonzero(labels == one))[:per] for one in np.unique(labels)]
    return _rows(split, np.sort(np.concatenate(chosen)))


def _rows(split: Split, rows: np.ndarray) -> Split:
    return Split([split.texts[i] for i in rows], [split.labels[i] for i in rows])


@cache
def clinc(split: str) -> Split:
    """A split of CLINC150: train, val, test, oos_val, oos_test."""
    with gzip.open(DATA / "clinc150" / "data_full.json.gz", "rt") as file:
        texts, labels = zip(*json.load(file)[split], strict=True)
    return Split(list(texts), list(labels))


@cache
def banking(split: str) -> Split:
    """A split of Banking77: train or test."""
    with gzip.open(DATA / "banking77" / f"{split}.csv.gz", "rt", newline="") as file:
        texts, labels = zip(*list(csv.reader(file))[1:], strict=True)
    return Split(list(texts), list(labels))


if __name__ == "__main__":
    main()
