"""Values that few records hold beside values that many do: ``python benchmarks/uneven.py``.

Of each of CLINC150's 150 intents, and of Banking77's 77, 1 to 60 training questions are stored, as
many as a number drawn log-uniformly, five times over. The test split is asked. *Intents alike*:
share of right answers where each intent is asked as often; *as stored*: where each is asked as
often as it is stored. Written down by how many records hold the right intent, too.

Peers on the same vectors: the nearest key, the most votes of 10 neighbours, attention (largest mass
at the default temperature), and logistic regression (C = 10), as it is and with classes weighed
alike. That prototypes of few keys and of many are made comparable was decided on the validation
splits. Writes results/uneven.{md,json}.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")

import argparse
import warnings
from collections.abc import Iterator

import numpy as np
from datasets import DATA
from defaults import Table
from intents import Split, _rows, _store, _unit, banking, clinc
from sklearn.linear_model import LogisticRegression
from study import write

from qkv.attention import size_temperature, softmax
from qkv.ranking import auroc

ENCODERS = ("glove+use", "use", "transformer")
MOST = 60
SEEDS = range(5)
PARTS = ((1, 1), (2, 3), (4, 10), (11, MOST))


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--validation", action="store_true", help="ask the validation splits")
    options = parser.parse_args()
    print(DATA)
    table = Table(
        "1 to 60 records of each intent: right answers",
        "Means of five draws. AUROC of telling CLINC150's questions out of scope from the others.",
        ["encoder", "data", "way", "intents alike", "as stored",
         *(f"{low} stored" if low == high else f"{low} – {high}" for low, high in PARTS), "AUROC"],
        [],
    )  # fmt: skip
    for name in ENCODERS:
        for data in ("CLINC150", "Banking77"):
            found: dict[str, list[list[float]]] = {}
            for seed in SEEDS:
                for way, cells in _measured(name, data, seed, validation=options.validation):
                    found.setdefault(way, []).append(cells)
            for way, cells in found.items():
                means = np.mean(cells, axis=0).tolist()
                table.rows.append([name, data, way, *("" if np.isnan(m) else m for m in means)])
                print(table.rows[-1], flush=True)
    if not options.no_write and not options.validation:
        write("uneven", "Uneven: values of few records beside values of many", [table])


def _measured(
    name: str, data: str, seed: int, *, validation: bool
) -> Iterator[tuple[str, list[float]]]:
    train, test, outside = _splits(data, validation=validation)
    rng = np.random.default_rng(seed)
    labels = np.array(train.labels)
    names = np.unique(labels)
    stored = np.exp(rng.uniform(0, np.log(MOST), size=len(names))).astype(int)
    rows = [
        rng.permutation(np.flatnonzero(labels == one))[:count]
        for one, count in zip(names, stored, strict=True)
    ]
    some = _rows(train, np.concatenate(rows))
    held = np.bincount(np.searchsorted(names, some.labels), minlength=len(names))
    truth = np.searchsorted(names, test.labels)
    for way, guess, nothing in _ways(name, some, test, outside, names):
        right = guess == truth
        counts = held[truth]
        parts = [right[(counts >= low) & (counts <= high)].mean() for low, high in PARTS]
        told = auroc(*nothing) if outside.texts else float("nan")
        yield way, [right.mean(), np.average(right, weights=counts), *parts, told]


def _splits(data: str, *, validation: bool) -> tuple[Split, Split, Split]:
    if data == "CLINC150":
        asked = "val" if validation else "test"
        return clinc("train"), clinc(asked), clinc(f"oos_{asked}")
    train, test = banking("train"), banking("test")
    if validation:
        order = np.random.default_rng(5).permutation(len(train.texts))
        train, test = _rows(train, order[2000:]), _rows(train, order[:2000])
    return train, test, Split([], [])


def _ways(
    name: str, some: Split, test: Split, outside: Split, names: np.ndarray
) -> Iterator[tuple[str, np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    """Ways of answering: guesses, and "nothing here" out of scope and in scope."""
    keys = _unit(name, some.texts).astype(np.float32)
    groups = np.searchsorted(names, some.labels)
    asked = _unit(name, [*test.texts, *outside.texts]).astype(np.float32)
    inside = np.arange(len(asked)) < len(test.texts)
    one_hot = np.eye(len(names), dtype=np.float32)[groups]

    db = _store(name, some)
    db.calibrate()
    answers = db.attend([*test.texts, *outside.texts])
    place = {one: number for number, one in enumerate(names.tolist())}
    guess = np.array([place[a.candidates[0].value] if a.candidates else -1 for a in answers])
    null = np.array([a.null for a in answers])
    yield "qkv", guess[inside], (null[~inside], null[inside])

    scores = asked @ keys.T
    best = scores.max(axis=1)
    yield "nearest key", groups[scores.argmax(axis=1)][inside], (-best[~inside], -best[inside])
    near = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    votes = (
        one_hot[near].sum(axis=1) + 1e-3 * np.take_along_axis(scores, near, 1).max(axis=1)[:, None]
    )
    votes[np.arange(len(votes)), groups[near[:, 0]]] += 0.5  # of equals, the nearest
    far = -np.take_along_axis(scores, near, 1).mean(axis=1)
    yield "10 nearest", votes.argmax(axis=1)[inside], (far[~inside], far[inside])
    mass = softmax(scores, size_temperature(len(keys)))[0] @ one_hot
    sure = -mass.max(axis=1)
    yield "attention", mass.argmax(axis=1)[inside], (sure[~inside], sure[inside])
    for way, weights in (("LR", None), ("LR, classes alike", "balanced")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = LogisticRegression(C=10.0, max_iter=200, class_weight=weights)
            fitted.fit(keys, groups)
        shares = fitted.predict_proba(asked)
        sure = -shares.max(axis=1)
        guessed = fitted.classes_[shares.argmax(axis=1)]
        yield way, guessed[inside], (sure[~inside], sure[inside])


if __name__ == "__main__":
    main()
