"""What words are worth in an answer: ``python benchmarks/lexical.py``, the study of λ.

Through ``qkv.Database`` with the default encoder, on tuning parts alone: intents (CLINC150,
Banking77; ten records each, four draws, questions of the validation part), keys and values that
belong together (:mod:`hearing_related`), classes that share a word of their names (foods), and
questions in another language. Writes results/lexical.md and results/lexical.json.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
from dataclasses import dataclass

import numpy as np
from datasets import foods, shuffled, translations, xquad_half
from defaults import Table
from encoded import remembering
from hearing_columns import of_part
from hearing_related import Related, related
from intents import _rows, _some, banking, clinc
from study import SEED, write

import qkv.lexical
from qkv import Attention, Database
from qkv.encoders import DEFAULT, Encoder
from qkv.ranking import auroc, expected_calibration_error

#: λ of keys and of values.
PAIRS = ((0.0, 0.0), (0.25, 2.0), (0.5, 1.0), (0.5, 2.0), (0.5, 3.0), (0.75, 2.0), (1.0, 2.0))
DRAWS = 4
ASKED = 800


@dataclass(frozen=True)
class Study(Related):
    """A store and its questions, and others that have no answer."""

    outside: list[str]


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    encoder = remembering(DEFAULT)
    table = Table(
        "Right by λ of keys and of values, tuning parts",
        "Share of questions whose likeliest candidate is right. Intents: the mean over "
        f"{DRAWS} draws; in brackets the calibration error over all questions, and the AUROC of "
        "telling those out of scope.",
        ["", *(f"{keys:g}, {values:g}" for keys, values in PAIRS)],
        [],
    )
    for name, draws in _studies().items():
        row = [_cell([_ask(one, encoder, *pair) for one in draws]) for pair in PAIRS]
        table.rows.append([name, *row])
        print(table.rows[-1], flush=True)
    if not options.no_write:
        write("lexical", "Words as a head of attention", [table])


def _studies() -> dict[str, list[Study]]:
    beyond = clinc("oos_val").texts + clinc("oos_train").texts
    inside = clinc("val")
    some = np.random.default_rng(SEED).permutation(len(inside.texts))[:ASKED]
    found = {"CLINC150, 10 each": _intents("CLINC150", clinc("train"), _rows(inside, some), beyond)}
    order = np.random.default_rng(SEED).permutation(len(banking("train").texts))
    held, train = _rows(banking("train"), order[:ASKED]), _rows(banking("train"), order[2000:])
    found["Banking77, 10 each"] = _intents("Banking77", train, held, [])
    for one in related("tune"):
        found[one.name] = [Study(one.name, one.records, one.asked, [])]
    others = (_foods(), _other_language("nld"), _other_language("rus"), _paragraphs())
    return found | {one.name: [one] for one in others}


def _intents(name: str, train: object, asked: object, outside: list[str]) -> list[Study]:
    draws = [_some(train, 10, SEED + i) for i in range(DRAWS)]
    pairs = list(zip(asked.texts, asked.labels, strict=True))
    return [
        Study(name, dict(zip(one.texts, one.labels, strict=True)), pairs, outside) for one in draws
    ]


def _foods() -> Study:
    """Foods that begin alike are of one class of twelve; two are stored, four others asked."""
    alike: dict[str, list[str]] = {}
    for food, _ in shuffled(foods(), SEED):
        if "," in food and of_part(food, "tune"):
            alike.setdefault(food.split(",")[0].split()[0], []).append(food)
    groups = [group for group in alike.values() if len(group) >= 4][:60]
    stored = {food: f"class {i % 12}" for i, group in enumerate(groups) for food in group[:2]}
    asked = [
        (f"{food.split(',')[0]} {food.split(',')[-1]}", f"class {i % 12}")
        for i, group in enumerate(groups)
        for food in group[2:6]
    ]
    return Study("foods, first word and last", stored, asked, [])


def _other_language(language: str) -> Study:
    """English sentences are stored, and 200 of the language beside them; others are asked."""
    pairs = [pair for pair in translations(language) if pair[0] != pair[1]][:400]
    stored = {english: f"number {i}" for i, (_, english) in enumerate(pairs)}
    beside = {own: f"other {i}" for i, (own, _) in enumerate(pairs[200:])}
    asked = [(own, stored[english]) for own, english in pairs[:200]]
    return Study(f"two languages, {language} → eng", stored | beside, asked, [])


def _paragraphs() -> Study:
    """German questions to English paragraphs."""
    german, english = (xquad_half(language, tuning=True) for language in ("de", "en"))
    values = {text: f"paragraph {i}" for i, text in enumerate(english.paragraphs)}
    asked = [
        (question, values[english.paragraphs[row]])
        for question, row in zip(german.questions, german.paragraph, strict=True)
    ]
    return Study("XQuAD, de → en, paragraphs as keys", values, asked, [])


def _ask(study: Study, encoder: Encoder, keys: float, values: float) -> tuple[float, float, float]:
    """Share right, calibration error, and AUROC of nothing; NaN where nothing is outside."""
    qkv.lexical.KEYS, qkv.lexical.VALUES = keys, values
    db = Database(study.records, encoder=encoder, lexicon=None)
    inside = db.attend([question for question, _ in study.asked])
    outside = db.attend(study.outside) if study.outside else []
    right = [
        bool(one.candidates) and one.candidates[0].value == value
        for one, (_, value) in zip(inside, study.asked, strict=True)
    ]
    told = np.array([_first(one) for one in (*inside, *outside)])
    truth = np.array([*right, *([False] * len(outside))], dtype=float)
    apart = float("nan")
    if outside:
        apart = auroc(np.array([a.null for a in outside]), np.array([a.null for a in inside]))
    return float(np.mean(right)), expected_calibration_error(told, truth), apart


def _first(answer: Attention) -> float:
    return answer.candidates[0].probability if answer.candidates else 0.0


def _cell(found: list[tuple[float, float, float]]) -> str:
    right, error, apart = np.mean(found, axis=0)
    if len(found) == 1:
        return f"{right:.3f}"
    return f"{right:.3f} ({error:.3f}" + ("" if np.isnan(apart) else f", {apart:.3f}") + ")"


if __name__ == "__main__":
    main()
