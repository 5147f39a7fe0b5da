"""Everyday stores and questions, through ``qkv.Database``: shared by ``hearing.py``.

The sets in ``everyday/`` were written before any encoder was asked, and are never edited.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qkv import Database
from qkv.encoders import Encoder
from qkv.ranking import expected_calibration_error

FOLDER = Path(__file__).parent / "everyday"
#: Kinds whose questions name the key that is right; the others name the value.
KEYED = ("faq", "catalogue", "glossary")
BINS = 10


@dataclass(frozen=True)
class Everyday:
    """A store, and questions with the value that is right: None where nothing is."""

    name: str
    kind: str
    records: dict[str, Any]
    asked: list[str]
    right: list[Any]
    forms: list[str]


@dataclass(frozen=True)
class Heard:
    """What became of one question."""

    kind: str
    name: str
    form: str
    answerable: bool
    right: bool  # the answer that was given
    candidate: bool  # the likeliest value, whether it was given or not
    hybrid: bool  # the first record of hybrid search
    refused: bool
    confidence: float  # of the likeliest value


def everyday_sets(folder: Path = FOLDER) -> list[Everyday]:
    """Every set of the folder."""
    return [_read(path) for path in sorted(folder.glob("*.json"))]


def _read(path: Path) -> Everyday:
    given = json.loads(path.read_text())
    records, questions = given["records"], given["questions"]
    answers = [one["answer"] for one in questions]
    if given["kind"] in KEYED:
        answers = [None if answer is None else records[answer] for answer in answers]
    asked, forms = ([one[what] for one in questions] for what in ("ask", "form"))
    return Everyday(path.stem, given["kind"], records, asked, answers, forms)


def ask(one: Everyday, encoder: str | Encoder) -> list[Heard]:
    """Ask all questions of a set, of a new store in memory."""
    heard = []
    with Database(one.records, encoder=encoder) as db:
        for text, right, form in zip(one.asked, one.right, one.forms, strict=True):
            given = db.query(text, 1)
            candidates = db.attend(text).candidates
            first = db.search(text, 1, mode="hybrid")
            answerable = right is not None
            heard.append(
                Heard(
                    one.kind,
                    one.name,
                    form,
                    answerable,
                    answerable and given == [right],
                    answerable and bool(candidates) and candidates[0].value == right,
                    answerable and bool(first) and first[0].value == right,
                    not given,
                    candidates[0].probability if candidates else 0.0,
                )
            )
    return heard


def summary(heard: Sequence[Heard]) -> list[Any]:
    """Figures of some questions: see `SUMMARY`."""
    inside = [one for one in heard if one.answerable]
    outside = [one for one in heard if not one.answerable]
    confidence = np.array([one.confidence for one in heard])
    right = np.array([one.candidate for one in heard], dtype=np.float64)
    return [
        len(inside),
        mean([one.right for one in inside]),
        mean([one.candidate for one in inside]),
        mean([one.hybrid for one in inside]),
        mean([one.refused for one in inside]),
        len(outside),
        mean([one.refused for one in outside]),
        float(confidence.mean()),
        float(right.mean()),
        expected_calibration_error(confidence, right, bins=BINS),
    ]


SUMMARY = ["questions", "right", "candidate", "hybrid", "wrongly refused", "with no answer",
           "rightly refused", "confidence", "candidate, of all", "ECE"]  # fmt: skip


def by_form(heard: Sequence[Heard]) -> dict[tuple[str, str], list[Heard]]:
    """Questions by kind of store and form of question, as they come."""
    groups: dict[tuple[str, str], list[Heard]] = {}
    for one in heard:
        groups.setdefault((one.kind, one.form), []).append(one)
    return groups


def cell(heard: Sequence[Heard]) -> str:
    """One form in short: right, candidate, hybrid and refused; or the share refused alone."""
    if not heard[0].answerable:
        return f"{mean([one.refused for one in heard]):.2f} refused"
    marks = [[one.right, one.candidate, one.hybrid, one.refused] for one in heard]
    return " · ".join(f"{value:.2f}" for value in np.mean(marks, axis=0))


def mean(marks: Sequence[bool]) -> float:
    """Share of marks that are set; not a number if there is none."""
    return float(np.mean(marks)) if marks else float("nan")
