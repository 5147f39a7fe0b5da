"""Does a store find out which of its heads to trust? ``python benchmarks/head_weights.py``.

CLINC150's training records are stored under GloVe and USE in several shares, from the default's to
nearly all GloVe, which knows little of sentences. The validation split is asked, with the weights
that the store fits to its own records and with the encoder's own. Writes
results/head_weights.{md,json}.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "2")

import argparse
import time

import numpy as np
from defaults import Table
from encoded import remembering
from intents import _some, clinc
from study import write

from qkv import Database
from qkv.encoders import HeadsEncoder

SHARES = (0.1, 0.3, 0.6, 0.8, 0.95)
SIZES = (10, 33, None)


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    table = Table(
        "The weights of the encoder's heads, given and fitted",
        "Share of CLINC150's validation questions answered right. Seconds: calibrating.",
        ["GloVe's share", "records", "as given", "fitted", "GloVe's share then", "seconds", "then"],
        [],
    )
    for share in SHARES:
        for each in SIZES:
            table.rows.append(_compare(share, each))
            print(table.rows[-1], flush=True)
    if not options.no_write:
        write("head_weights", "The weights of heads", [table])


def _compare(share: float, each: int | None) -> list[object]:
    train, asked = clinc("train"), clinc("val")
    train = train if each is None else _some(train, each)
    heads = [(remembering("glove"), share), (remembering("use"), 1 - share)]
    encoder = HeadsEncoder(heads)
    db = Database(encoder=encoder, lexicon=None)
    db.update(zip(train.texts, train.labels, strict=True))
    found = {}
    for fitting in (False, True):
        encoder.parts = (  # type: ignore[method-assign]
            (lambda: HeadsEncoder.parts(encoder)) if fitting else (lambda: ())
        )
        start = time.perf_counter()
        known = db.calibrate()
        seconds = time.perf_counter() - start
        answers = db.attend(list(asked.texts))
        right = [a.candidates[0].value == b for a, b in zip(answers, asked.labels, strict=True)]
        found[fitting] = float(np.mean(right)), seconds
    then = share * known.scales[0][1] if known.scales else share
    (before, plain), (after, more) = found[False], found[True]
    return [share, len(db), before, after, round(then, 3), round(plain, 2), round(more, 2)]


if __name__ == "__main__":
    main()
