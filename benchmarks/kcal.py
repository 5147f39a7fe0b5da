"""Estimating a number from similar records: ``python benchmarks/kcal.py``.

The energy of foods from their short descriptions (USDA SR, 8,194 foods). Four fifths are stored,
the others are asked, five times. How near the blends come, beside scikit-learn on the same vectors,
and whether the intervals hold what they claim, overall and where it is hard. Every
number that is fitted is fitted on the stored part. One of the splits is also asked through
:class:`qkv.Database`. The *form* of the intervals (which distances the
scale looks at, five bins) was chosen on protein, fat and carbohydrates of the same foods, of which
energy is nearly a sum: what it says of that choice is not independent. Writes
results/kcal.{md,json}.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import math
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sklearn
import study
from datasets import DATA, FOOD, foods, missing
from defaults import Table
from encoded import remembering
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from qkv import Attention, Database
from qkv.attention import attend, size_temperature
from qkv.calibration.intervals import Estimates, Intervals, fit_intervals
from qkv.calibration.neighbourhood import INNER, NEAR, leave_one_out, sample
from qkv.encoders import encode_all
from qkv.indexes import FlatIndex
from qkv.judging import LEVEL
from qkv.types import Candidate, Floats, Integers, Origin

ENCODERS = ("glove+use", "use", "transformer")
SEEDS = range(5)
SHARE = 0.8
LEVELS = (0.5, 0.8, 0.9, 0.95)
NEIGHBOURS = (1, 2, 3, 5, 8, 12, 20, 30)
ALPHAS = np.logspace(-3, 2, 11)
FOLDS = 5
TEXT = (
    f"Mean of {len(SEEDS)} random splits, {SHARE:.0%} stored and the rest asked; ± is the standard "
    "deviation between splits."
)


@dataclass(frozen=True)
class Split:
    """Foods that are stored and foods that are asked."""

    keys: Floats
    values: Floats
    queries: Floats
    truth: Floats


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--encoders", nargs="+", default=ENCODERS, choices=ENCODERS)
    options = parser.parse_args()
    if missing([FOOD]):
        sys.exit(f"{DATA / FOOD} is not there: set QKV_DATA; see README.md")
    texts, energies = zip(*foods(), strict=True)
    tables, vectors_of = [], {}
    for encoder in options.encoders:
        vectors = vectors_of[encoder] = encode_all(remembering(encoder), list(texts))
        for table in _study(encoder, vectors, np.array(energies)):
            print(table.markdown(), flush=True)
            tables.append(table)
    tables.append(_database(options.encoders, texts, vectors_of, np.array(energies)))
    print(tables[-1].markdown(), flush=True)
    if not options.no_write:
        title = "How much energy is in a food, from what it is called"
        study.write("kcal", title, tables, **{"scikit-learn": sklearn.__version__})


def _study(encoder: str, vectors: Floats, energies: Floats) -> tuple[Table, Table]:
    errors: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    held: dict[tuple[float, str], list[tuple[float, ...]]] = defaultdict(list)
    chosen = set()
    for seed in SEEDS:
        stored, asked = _rows(len(energies), seed)
        split = Split(vectors[stored], energies[stored], vectors[asked], energies[asked])
        intervals, estimates, residuals = _attended(split)
        chosen.add(f"τ = {intervals.temperature:.3f}, {intervals.blend}")
        nearest, away = _neighbours(split)
        for name, found in {
            "qkv": estimates.values,
            "qkv, not calibrated: the mean, τ by size": _uncalibrated(split),
            **{f"k nearest, {weights} weights": found for weights, found in nearest.items()},
            "ridge regression": RidgeCV(ALPHAS)
            .fit(split.keys, split.values)
            .predict(split.queries),
            "the mean": np.full(len(asked), split.values.mean()),
        }.items():
            errors[name].append(_errors(found, split.truth))
        third = _thirds(split)
        for level in LEVELS:
            for name, claim in {
                "qkv": intervals.interval(estimates, level),
                "one width around qkv's estimate": _constant(estimates.values, residuals, level),
                "one width around k nearest": _constant(nearest["distance"], away, level),
            }.items():
                held[level, name].append(_coverage(*claim, split.truth, third))
    return _estimates(encoder, errors, chosen), _intervals(encoder, held)


def _rows(count: int, seed: int) -> list[Integers]:
    """Foods to store and to ask."""
    order = np.random.default_rng(seed).permutation(count)
    return np.split(order, [round(SHARE * count)])


def _attended(split: Split) -> tuple[Intervals, Estimates, Floats]:
    """What qkv learns from the stored part, what it answers, and the residuals of leaving out."""
    rows = sample(len(split.keys), split.keys.shape[1])
    indices, scores = leave_one_out(FlatIndex(split.keys), rows)
    intervals = fit_intervals(scores, split.values[indices], split.values[rows])
    hidden = intervals.estimate(scores, split.values[indices])
    indices, scores = FlatIndex(split.keys).neighbours(split.queries, NEAR)
    estimates = intervals.estimate(scores, split.values[indices])
    return intervals, estimates, np.abs(split.values[rows] - hidden.values)


def _uncalibrated(split: Split) -> Floats:
    output, _, _ = attend(
        split.queries,
        split.keys,
        split.values[:, None],
        temperature=size_temperature(len(split.keys)),
    )
    return output[:, 0]


def _neighbours(split: Split) -> tuple[dict[str, Floats], Floats]:
    """Answers of k nearest neighbours, and residuals of those with distance weights."""
    found = {}
    for weights in ("uniform", "distance"):
        search = GridSearchCV(
            KNeighborsRegressor(weights=weights, algorithm="brute"),
            {"n_neighbors": NEIGHBOURS, "metric": ("cosine", "euclidean")},
            scoring="neg_mean_absolute_error",
            cv=FOLDS,
        ).fit(split.keys, split.values)
        found[weights] = search.predict(split.queries)
    hidden = cross_val_predict(search.best_estimator_, split.keys, split.values, cv=FOLDS)
    return found, np.abs(split.values - hidden)


def _constant(values: Floats, residuals: Floats, level: float) -> tuple[Floats, Floats]:
    """Conformal intervals of one width."""
    rank = math.ceil((len(residuals) + 1) * level)
    width = np.sort(residuals)[rank - 1]
    return np.maximum(values - width, 0), values + width


def _thirds(split: Split) -> Integers:
    """0 for the easy third of the queries, 1, 2 for the hard one."""
    indices, _ = FlatIndex(split.keys).neighbours(split.queries, INNER)
    spread = split.values[indices].std(axis=1)
    return np.searchsorted(np.quantile(spread, (1 / 3, 2 / 3)), spread)


def _errors(found: Floats, truth: Floats) -> tuple[float, ...]:
    away = found - truth
    return float(np.abs(away).mean()), 1 - float(np.mean(away**2) / truth.var())


def _coverage(low: Floats, high: Floats, truth: Floats, third: Integers) -> tuple[float, ...]:
    inside, width = (low <= truth) & (truth <= high), high - low
    return (
        inside.mean(),
        *(inside[third == t].mean() for t in range(3)),
        width.mean(),
        np.median(width),
        width[third == 2].mean(),
    )


def _estimates(encoder: str, errors: dict[str, list[tuple[float, ...]]], chosen: set[str]) -> Table:
    rows = []
    for name, figures in errors.items():
        (error, explained), (spread, other) = np.mean(figures, axis=0), np.std(figures, axis=0)
        rows.append([name, f"{error:.1f} ± {spread:.1f}", f"{explained:.3f} ± {other:.3f}"])
    return Table(
        f"{encoder}: the estimate",
        f"{TEXT} R² is the share of the variance that is explained. What qkv chose by leaving one "
        f"out: {'; '.join(sorted(chosen))}. k (of {', '.join(map(str, NEIGHBOURS))}), cosine or "
        f"Euclidean distance, and ridge's α by cross-validation on the stored part.",
        ["", "mean absolute error, kcal", "R²"],
        rows,
    )


def _intervals(encoder: str, held: dict[tuple[float, str], list[tuple[float, ...]]]) -> Table:
    rows = []
    for (level, name), figures in held.items():
        mean = np.mean(figures, axis=0)
        inside, widths = mean[:4], mean[4:]
        rows.append(
            [f"{level:.0%}", name, *(f"{x:.1%}" for x in inside), *(f"{x:.0f}" for x in widths)]
        )
    return Table(
        f"{encoder}: the intervals",
        f"{TEXT} Share of the asked foods that lie inside their interval, by thirds of difficulty, "
        f"the standard deviation of the energies of the {INNER} nearest stored foods. All end "
        f"at 0. One width is conformal too, from residuals of leaving one out (qkv) or of "
        f"{FOLDS} folds (k nearest, distance weights).",
        ["level", "intervals", "inside", "easy third", "middle third", "hard third",
         "mean width, kcal", "median width", "mean width, hard third"],
        rows,
    )  # fmt: skip


# ── through Database ─────────────────────────────────────────────────────────────────────────


def _database(
    encoders: Sequence[str], texts: Sequence[str], vectors_of: dict[str, Floats], energies: Floats
) -> Table:
    """The first split, stored and asked as people would."""
    stored, asked = _rows(len(texts), SEEDS[0])
    rows: list[list[object]] = []
    for name in encoders:
        split = Split(
            *(x for some in (stored, asked) for x in (vectors_of[name][some], energies[some]))
        )
        intervals, estimates, _ = _attended(split)
        arrays = intervals.interval(estimates, LEVEL)
        answers, new = _asked(name, [texts[i] for i in stored], split, [texts[i] for i in asked])
        truth, third = split.truth[new], _thirds(split)[new]
        rows.append(
            [
                name,
                "arrays",
                len(new),
                "",
                "",
                *_told(estimates.values[new], (arrays[0][new], arrays[1][new]), truth, third),
            ]
        )
        blends = [_blend(answer) for answer in answers]
        values = np.array([one.value for one in blends])
        ends = np.array([one.interval for one in blends]).T
        first = np.mean([a.candidates[0] == one for a, one in zip(answers, blends, strict=True)])
        nothing = np.mean([answer.origin is Origin.NOTHING for answer in answers])
        rows.append(
            [
                name,
                "through Database",
                len(new),
                float(first),
                float(nothing),
                *_told(values, (ends[0], ends[1]), truth, third),
            ]
        )
    return Table(
        "The same through Database",
        f"The first split alone: {len(stored):,} foods given to `qkv.Database`, which is "
        "calibrated, and those of the others that are not stored under the same name asked with "
        "`attend`. The value is that of the candidate that has an interval; *first*: how often it "
        "is `candidates[0]`; *NOTHING*: how often the answer is that nothing is here. Intervals "
        f"of {LEVEL:.0%}; arrays: what the tables above are made of, for the same foods.",
        ["encoder", "", "asked", "first", "NOTHING", "mean absolute error, kcal", "inside",
         "easy third", "middle third", "hard third", "mean width, kcal"],
        rows,
    )  # fmt: skip


def _asked(
    encoder: str, keys: list[str], split: Split, queries: list[str]
) -> tuple[list[Attention], Integers]:
    """Answers to the queries that are no stored key, and which these are."""
    with Database(encoder=remembering(encoder)) as db:
        db.update(zip(keys, split.values.tolist(), strict=True))
        db.calibrate()
        new = np.array([i for i, query in enumerate(queries) if query not in db])
        return db.attend([queries[i] for i in new]), new


def _blend(answer: Attention) -> Candidate:
    return next(one for one in answer.candidates if one.interval is not None)


def _told(
    values: Floats, ends: tuple[Floats, Floats], truth: Floats, third: Integers
) -> list[object]:
    inside = _coverage(*ends, truth, third)
    return [
        f"{_errors(values, truth)[0]:.1f}",
        *(f"{x:.1%}" for x in inside[:4]),
        f"{inside[4]:.0f}",
    ]


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"{time.perf_counter() - start:.0f} s")
