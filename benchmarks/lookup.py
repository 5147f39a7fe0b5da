"""Lookups: is the record that was meant the answer? ``python benchmarks/lookup.py [--quick]``.

Stores of many families (:mod:`families`), whose values say nothing about their neighbours or do,
are asked for their records in other case, in frames, with slips, in other words, in other
languages; and for what they do not hold. Beside `attend` stand, on the same questions, the nearest
key (the largest score of a vector) and the first record of hybrid search.

*Right*: the likeliest value is the one that was stored, whether or not "nothing" was likelier.
*Refused*: "nothing" was the answer. ECE is of the likeliest value's probability, over questions
that the store answers, which count four fifths, and strangers, which count one fifth. AUROC tells
strangers from questions that it answers, by the probability of nothing and by the largest cosine.

The part that is reported shares no key, frame or language with the part that is tuned on. Writes
results/lookup.{md,json}; ``--part tune`` and ``--quick`` print only.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from defaults import Table
from encoded import remembering
from families import (
    FORMS,
    KINDS,
    LARGE,
    STORED_FORMS,
    STRANGERS,
    Family,
    Store,
    Value,
    families,
    glosses,
    missing,
    store,
)
from hearing_columns import Part
from study import write

from qkv import Attention, Database, Origin
from qkv.encoders import DEFAULT, encode_queries
from qkv.ranking import auroc

#: Records, kinds of values, and questions of each form.
PLAN = ((20, KINDS, 12), (150, KINDS, 30), (1500, ("30", "n"), 45))
#: Where a family has too few keys for the largest stores.
SMALL = ((20, KINDS, 20), (50, KINDS, 40))
QUICK = ((20, ("2", "n", "real"), 4),)
#: Questions are given to the store in batches, as `attend` takes them.
BATCH = 256
BINS = 10
#: What strangers count when calibration is measured.
STRANGE = 0.2


@dataclass(frozen=True)
class Asked:
    """One question, and what became of it."""

    family: str
    kind: str
    size: int
    form: str
    right: bool
    probability: float
    null: float
    refused: bool
    nearest: bool
    hybrid: bool
    cosine: float
    answerable: bool


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("tune", "report"), default="report")
    parser.add_argument("--encoder", default=DEFAULT)
    parser.add_argument("--quick", action="store_true", help="does it run at all: print only")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    if absent := missing():
        print(f"Nothing to do without {', '.join(absent)} (set QKV_DATA).")
        return
    start = time.perf_counter()
    encoder = options.encoder
    tables = [*phone_book(encoder, options.part, quick=options.quick)]
    print(tables[0].markdown(), flush=True)
    asked = list(_measured(encoder, options.part, quick=options.quick))
    tables += [by_form(asked), by_family(asked), by_store(asked)]
    for table in tables[1:]:
        print(table.markdown())
    print(f"{len(asked):,} questions, {time.perf_counter() - start:.0f} s")
    if not (options.no_write or options.quick or options.part == "tune"):
        write("lookup", "Lookups: the record that was meant", tables)


# ── asking ───────────────────────────────────────────────────────────────────────────────────


def _measured(encoder: str, part: Part, *, quick: bool) -> Iterator[Asked]:
    for family in families(part).values():
        start, count = time.perf_counter(), 0
        for made in plan(family, part, quick=quick):
            for one in ask(made, encoder):
                count += 1
                yield one
        print(f"{family.name}: {count} questions, {time.perf_counter() - start:.0f} s", flush=True)
    if not quick:
        large = store(glosses(part, LARGE * 3 // 2), "n", LARGE, part, each=100)
        if large is not None:
            yield from ask(large, encoder)


def plan(family: Family, part: Part, *, quick: bool) -> Iterator[Store]:
    """Stores of a family that are asked."""
    sizes = QUICK if quick else SMALL if len(family.items) < 200 else PLAN
    for size, kinds, each in sizes:
        for kind in kinds:
            if kind in family.kinds:
                made = store(family, kind, size, part, each=each)
                if made is not None:
                    yield made


def ask(made: Store, encoder: str) -> Iterator[Asked]:
    """Ask a store all of its questions."""
    heard = remembering(encoder)
    with Database(encoder=heard) as db:
        db.update(dict(zip(made.keys, made.values, strict=True)))
        db.calibrate()
        keys = np.vstack([db.vector(key) for key in made.keys])
        values = dict(zip(made.keys, made.values, strict=True))
        for at in range(0, len(made.questions), BATCH):
            some = made.questions[at : at + BATCH]
            texts = [q.text for q in some]
            scores = encode_queries(heard, texts) @ keys.T
            found = zip(some, db.attend(texts), db.search(texts, 1, mode="hybrid"), scores,
                        strict=True)  # fmt: skip
            for q, answer, matches, row in found:
                best = int(row.argmax())
                yield Asked(
                    made.family,
                    made.kind,
                    len(made.keys),
                    q.form,
                    bool(answer.candidates) and same(answer.candidates[0].value, q.value),
                    answer.candidates[0].probability if answer.candidates else 0.0,
                    answer.null,
                    answer.origin is Origin.NOTHING,
                    same(made.values[best], q.value),
                    bool(matches) and same(values[matches[0].key], q.value),
                    float(row[best]),
                    q.value is not None,
                )


def same(said: Value, truth: Value | None) -> bool:
    """Whether a value is the true one; numbers up to what a float loses on its way."""
    if isinstance(truth, float) and isinstance(said, float | int):
        return abs(said - truth) <= 1e-4 * max(1.0, abs(truth))
    return truth is not None and said == truth


# ── the plainest store: a phone book ─────────────────────────────────────────────────────────

#: These frames are not in the grammar that constants are learned from.
_ASKED = {
    '"Alice Smith"': str.title,
    "mr …": lambda name: f"mr {name}",
    "where does … sit?": lambda name: f"where does {name} sit?",
}
_BOOKS = {
    "30 offices at random": "30",
    "each desk twice": "n/2",
    "5 floors": "5",
    "numbers at random": "number",
    "all distinct": "n",
}


def phone_book(encoder: str, part: Part, *, quick: bool) -> Iterator[Table]:
    """150 names and what stands beside them."""
    table = Table(
        "150 names as keys, asked for in other words",
        "Right: the answer is the value that was stored (nothing is not). Confidence: what the "
        "likeliest value is said to have. Nearest: the value of the nearest key.",
        ["values", "question", "right", "refused", "confidence", "nearest"],
        [],
    )
    names = families(part)["names"]
    for what, kind in list(_BOOKS.items())[: 1 if quick else None]:
        made = store(names, kind, 150, part, seed=1, each=0)
        assert made is not None
        with Database(encoder=remembering(encoder)) as db:
            db.update(dict(zip(made.keys, made.values, strict=True)))
            db.calibrate()
            for form, written in _ASKED.items():
                texts = [written(key) for key in made.keys]
                nearest = [found[0].value for found in db.search(texts, 1)]
                table.rows.append([what, form, *_book(db.attend(texts), nearest, made.values)])
    yield table


def _book(
    answers: Sequence[Attention], nearest: Sequence[Value], values: Sequence[Value]
) -> tuple[float, ...]:
    rows = list(zip(answers, values, strict=True))
    return (
        float(np.mean([same(a.value, v) for a, v in rows])),
        float(np.mean([a.origin is Origin.NOTHING for a, _ in rows])),
        float(np.mean([a.candidates[0].probability if a.candidates else 0.0 for a, _ in rows])),
        float(np.mean([same(n, v) for n, v in zip(nearest, values, strict=True)])),
    )


# ── tables ───────────────────────────────────────────────────────────────────────────────────


def _mean(marks: Iterable[float]) -> float | str:
    """Empty where there is nothing to take the mean of."""
    found = list(marks)
    return float(np.mean(found)) if found else ""


def by_form(asked: Sequence[Asked]) -> Table:
    """Each family and form: what is right, beside what the peers find."""
    table = Table(
        "By family and form",
        "Lead: right, less the better of both peers on the same questions, and its standard "
        "error. Of strangers only the share refused is told.",
        ["family", "form", "questions", "right", "nearest", "hybrid", "lead", "±", "refused",
         "confidence"],
        [],
    )  # fmt: skip
    order = sorted(asked, key=lambda one: (one.family, FORMS.index(one.form)))
    for (family, form), group in groupby(order, key=lambda one: (one.family, one.form)):
        some = list(group)
        row: list[str | int | float] = [family, form, len(some)]
        if form in STRANGERS:
            row += ["", "", "", "", ""]
        else:
            row += [_mean(one.right for one in some), *_peers(some)]
        refused = _mean(one.refused for one in some)
        table.rows.append([*row, refused, _mean(one.probability for one in some)])
    return table


def _peers(some: Sequence[Asked]) -> tuple[float, ...]:
    right = np.array([one.right for one in some], dtype=float)
    peers = [[one.nearest for one in some], [one.hybrid for one in some]]
    nearest, hybrid = (np.array(peer, dtype=float) for peer in peers)
    lead = right - (nearest if nearest.mean() >= hybrid.mean() else hybrid)
    return (
        float(nearest.mean()),
        float(hybrid.mean()),
        float(lead.mean()),
        float(lead.std() / np.sqrt(len(lead))),
    )


def by_family(asked: Sequence[Asked]) -> Table:
    """Each family, and all of them: calibration, and telling strangers."""
    table = Table(
        "By family: probabilities, and strangers",
        "Near: of the family, but not stored. Miss: looks like a record, and is not. Far: of "
        "another source. AUROC of the probability of nothing / of the largest cosine.",
        ["family", "right", "ECE", "refused, stored", *(f"refused, {one}" for one in STRANGERS),
         *(f"AUROC, {one}" for one in STRANGERS)],
        [],
    )  # fmt: skip
    names = dict.fromkeys(one.family for one in asked)
    for name in [*names, "all"]:
        some = [one for one in asked if name in (one.family, "all")]
        stored = [one for one in some if one.form in STORED_FORMS]
        strange = {form: [one for one in some if one.form == form] for form in STRANGERS}
        table.rows.append(
            [
                name,
                _mean(one.right for one in stored),
                calibration_error(some),
                _mean(one.refused for one in stored),
                *(_mean(one.refused for one in strange[form]) for form in STRANGERS),
                *(_apart(stored, strange[form]) for form in STRANGERS),
            ]
        )
    return table


def _apart(stored: Sequence[Asked], strange: Sequence[Asked]) -> str:
    if not stored or not strange:
        return ""
    null = auroc(np.array([s.null for s in strange]), np.array([s.null for s in stored]))
    cosine = auroc(np.array([-s.cosine for s in strange]), np.array([-s.cosine for s in stored]))
    return f"{null:.3f} / {cosine:.3f}"


def by_store(asked: Sequence[Asked]) -> Table:
    """Each kind of values and size, over all families."""
    table = Table(
        "By kind of values and size",
        "All families and forms; as above.",
        ["values", "records", "questions", "right", "nearest", "hybrid", "lead", "±", "refused",
         "ECE"],
        [],
    )  # fmt: skip
    for kind in KINDS:
        sizes = sorted({one.size for one in asked if one.kind == kind})
        for size in sizes:
            some = [one for one in asked if (one.kind, one.size) == (kind, size)]
            stored = [one for one in some if one.form in STORED_FORMS]
            right = _mean(one.right for one in stored)
            refused = _mean(one.refused for one in stored)
            row = [kind, size, len(some), right, *_peers(stored), refused]
            table.rows.append([*row, calibration_error(some)])
    return table


def calibration_error(some: Sequence[Asked]) -> float:
    """ECE in bins of equal width, strangers counting a fifth."""
    p = np.array([one.probability for one in some])
    right = np.array([one.right for one in some], dtype=float)
    stored = np.array([one.answerable for one in some])
    each = (STRANGE / max(1, (~stored).sum()), (1 - STRANGE) / max(1, stored.sum()))
    weight = np.array(each)[stored.astype(int)]
    weight /= weight.sum()
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    off = np.bincount(bins, weights=weight * (right - p), minlength=BINS)
    return float(np.abs(off).sum())


if __name__ == "__main__":
    main()
