"""The same answers at any size? ``python benchmarks/size.py``.

1,500 intents of CLINC150 (10 of each) are stored alone, and with 250,000 one-line summaries of
Python packages beside them, each of which has a value of its own. The same questions are asked of
both, every third of those in scope (1,500) and out of scope (334), calibrated and by attention at
fixed temperatures.
Nothing was chosen on these questions. Writes results/size.{md,json}.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")

import argparse
import time

import numpy as np
from datasets import summaries
from defaults import Table
from encoded import remembering
from intents import Split, _some, clinc
from study import write

from qkv import Attention, Database

ENCODERS = ("glove+use", "use")
UNRELATED = 250_000
FIXED = (0.1, 0.05, 0.02)


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--validation", action="store_true", help="ask the validation split")
    options = parser.parse_args()
    asked = "val" if options.validation else "test"
    table = Table(
        f"1,500 intents alone, and beside {UNRELATED:,} unrelated records",
        "Share of questions whose first answer stays the same, and mean change of its confidence.",
        ["encoder", "attention", "first answer stays, in scope", "and out of scope",
         "confidence changes, in scope", "and out of scope", "accuracy alone", "in the crowd"],
        [],
    )  # fmt: skip
    for name in ENCODERS:
        for row in _compare(name, clinc(asked), clinc(f"oos_{asked}")):
            table.rows.append([name, *row])
            print(table.rows[-1], flush=True)
    if not options.no_write and not options.validation:
        write("size", "Size: unrelated records", [table])


def _compare(name: str, test: Split, outside: Split) -> list[list[object]]:
    train = _some(clinc("train"), 10)
    alone = Database(encoder=remembering(name), lexicon=None)
    alone.update(zip(train.texts, train.labels, strict=True))
    crowded = Database(encoder=remembering(name), lexicon=None)
    crowded.update(zip(train.texts, train.labels, strict=True))
    crowded.update((text, f"package {i}") for i, text in enumerate(summaries(UNRELATED)))
    start = time.perf_counter()
    crowded.calibrate()
    print(f"{name}: {len(crowded)} records calibrated in {time.perf_counter() - start:.1f} s")
    labels = test.labels[::3]
    texts = [*test.texts[::3], *outside.texts[::3]]
    inside = np.arange(len(texts)) < len(labels)
    rows = []
    for what, options in [
        ("calibrated", {}),
        *((f"temperature {tau} at both sizes", {"temperature": tau}) for tau in FIXED),
    ]:
        before, after = alone.attend(texts, **options), crowded.attend(texts, **options)
        same = np.array([_first(a) == _first(b) for a, b in zip(before, after, strict=True)])
        change = np.array([abs(_sure(a) - _sure(b)) for a, b in zip(before, after, strict=True)])
        right = [
            np.mean([_first(a) == label for a, label in zip(some, labels, strict=False)])
            for some in (before, after)
        ]
        parts = [one[side].mean() for one in (same, change) for side in (inside, ~inside)]
        rows.append([what, *map(float, parts), *map(float, right)])
    return rows


def _first(answer: Attention) -> object:
    return answer.candidates[0].value if answer.candidates else None


def _sure(answer: Attention) -> float:
    return answer.candidates[0].probability if answer.candidates else 0.0


if __name__ == "__main__":
    main()
