"""What a store too small to ask itself believes: ``python benchmarks/priors.py``.

1,080 small stores are made of training splits (CLINC150's intents, Banking77's, frequent nouns of
WordNet), 1 to 60 values, 1 to 10 records each, under three encoders. Each is asked about its own
values, about values of the same kind that it does not hold, and about something else altogether.
The pooled logistic regressions, rounded, are the priors of qkv.calibration.model; how far they are
off on each kind of store is the table. Writes results/priors.{md,json}.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from datasets import nouns
from defaults import Table
from encoded import remembering
from intents import banking, clinc
from study import SEED, write

from qkv.calibration import NEAR, gather, prior
from qkv.calibration.logistic import Logistic, fit_logistic
from qkv.calibration.model import SCORES, UNANSWERABLE, features
from qkv.encoders import background
from qkv.encoders.glove import glove_table
from qkv.indexes import FlatIndex
from qkv.prototypes import all_sums
from qkv.ranking import auroc

ENCODERS = ("glove+use", "use", "transformer")
STORES = 120
FEWEST = 25  # texts of a value that may be stored
KINDS = ("inside", "near", "far")
SHARES = (1 - UNANSWERABLE, UNANSWERABLE / 2, UNANSWERABLE / 2)


@dataclass(frozen=True)
class Texts:
    """Texts with labels, encoded."""

    vectors: np.ndarray
    labels: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """Labels of which there are enough."""
        names, counts = np.unique(self.labels, return_counts=True)
        return names[counts >= FEWEST]


def main() -> None:
    """Make the stores, ask them, fit, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    groups, designs, rights, kinds = [], [], [], []
    for encoder in ENCODERS:
        data = _data(encoder)
        for name in data:
            rng = np.random.default_rng(SEED)
            for _ in range(STORES):
                for design, right, kind in _asked(encoder, data, name, rng):
                    groups += [(encoder, name)] * len(design)
                    designs.append(design)
                    rights.append(right)
                    kinds.append(np.full(len(design), kind))
            print(encoder, name, flush=True)
    x, y, kind = np.vstack(designs), np.concatenate(rights), np.concatenate(kinds)
    weights = np.zeros(len(x))
    named = np.array([" ".join(group) for group in groups])
    for group in np.unique(named):
        for number, share in enumerate(SHARES):
            inside = (named == group) & (kind == number)
            weights[inside] = share / inside.sum()
    weights *= 1000
    fitted = Table(
        "Coefficients", "From what is known of a question to two probabilities.",
        ["probability that", "nearest", "prototype", "logit of the share", "background", "1"], [],
    )  # fmt: skip
    found: list[np.ndarray] = []
    answerable = kind == 0
    for what, target, columns, rows in (
        ("any value is right", answerable * 1.0, SCORES, answerable | True),
        ("the likeliest is, if any is", y, (0, 1, 2, 3), answerable),
    ):
        flat = Logistic((0.0,) * len(columns), 0.0)
        one = fit_logistic(x[rows][:, columns], target[rows], weights[rows], flat, 1e-3)
        found.append(one.probability(x[:, columns]))
        coefficients = dict(zip(columns, one.coefficients, strict=True))
        fitted.rows.append([what, *(coefficients.get(i, 0.0) for i in range(4)), one.intercept])
        print(fitted.rows[-1])
    some, right = found[0], found[0] * found[1]
    held = Table(
        "How far off on each kind of store",
        "Mean confidence minus the share of right answers; AUROC of telling questions about "
        "values that the store holds from near and from far ones.",
        ["encoder", "data", "confidence off by", "AUROC near", "AUROC far"],
        [],
    )
    for group in dict.fromkeys(groups):
        mine = named == " ".join(group)
        off = np.average(right[mine] - y[mine], weights=weights[mine])
        curves = [auroc(some[mine & (kind == 0)], some[mine & (kind == k)]) for k in (1, 2)]
        held.rows.append([*group, float(off), *curves])
        print(held.rows[-1])
    if not options.no_write:
        write("priors", "Priors: stores too small to ask themselves", [fitted, held])


def _data(encoder: str) -> dict[str, Texts]:
    ranks = {word: rank for rank, word in enumerate(glove_table().words)}
    words, classes = zip(*nouns(ranks, 1000, 20000), strict=True)
    train, bank = clinc("train"), banking("train")
    return {
        "intents": Texts(_unit(encoder, train.texts), np.array(train.labels)),
        "bank": Texts(_unit(encoder, bank.texts), np.array(bank.labels)),
        "nouns": Texts(_unit(encoder, list(words)), np.array(classes)),
    }


def _asked(
    encoder: str, data: dict[str, Texts], name: str, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """What is known of questions to one made store, which are answered right, and their kind."""
    texts = data[name]
    values = texts.values
    most = min(60, int(0.7 * len(values)))
    count = int(np.exp(rng.uniform(0, np.log(most))))
    each = int(rng.choice([1, 1, 2, 3, 5, 10]))
    chosen = rng.permutation(values)[:count]
    stored, groups, asked, truth = [], [], [], []
    for number, value in enumerate(chosen):
        rows = rng.permutation(np.flatnonzero(texts.labels == value))
        more = rows[each : each + max(1, 20 // count)]
        stored += rows[:each].tolist()
        groups += [number] * each
        asked += more.tolist()
        truth += [number] * len(more)
    outside = np.flatnonzero(np.isin(texts.labels, np.setdiff1d(values, chosen)))
    other = data[str(rng.choice([one for one in data if one != name]))].vectors
    queries = (
        texts.vectors[asked],
        texts.vectors[rng.choice(outside, 20)],
        other[rng.choice(len(other), 8)],
    )
    keys, held = texts.vectors[stored], np.array(groups)
    index = FlatIndex(keys)
    sums = all_sums(index, np.arange(len(held)), held, count)
    believed = prior(len(held))
    sink = background(remembering(encoder), keys.shape[1])
    for kind, part in enumerate(queries):
        rows, scores = index.neighbours(part, NEAR)
        evidence = gather(
            part, rows, scores, held[np.maximum(rows, 0)], np.bincount(held),
            lambda wanted: sums[wanted], sink,
        )  # fmt: skip
        best, design = features(evidence, believed.logits(evidence))
        found = evidence.values[np.arange(len(part)), best]
        right = found == np.array(truth) if kind == 0 else np.zeros(len(part))
        yield design, right.astype(float), kind


def _unit(encoder: str, texts: list[str]) -> np.ndarray:
    made = [remembering(encoder).encode(texts[i : i + 1000]) for i in range(0, len(texts), 1000)]
    vectors = np.vstack(made)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


if __name__ == "__main__":
    main()
