"""Text in, values out: ``python benchmarks/end_to_end.py``.

CLINC150's 15,000 training records and its validation questions, through `Database.query`, one
question at a time by one thread, by four threads at once, and in batches of 64 by `attend`; with
the default encoder and with hashing, which needs no model. Writes results/end_to_end.{md,json}.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from defaults import Table
from encoded import remembering
from intents import clinc
from study import write

from qkv import Database
from qkv.encoders import resolve

ENCODERS = ("glove+use", "hashing")
ASKED, BATCH, THREADS = 600, 64, 4


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    table = Table(
        "Text in, values out",
        f"15,000 records. Milliseconds a question; questions a second. {THREADS} threads share one "
        "Database.",
        ["encoder", "encoding alone, ms", "one thread, p50", "p99", "questions/s",
         f"{THREADS} threads, p50", "p99", "questions/s", f"batches of {BATCH}, questions/s"],
        [],
    )  # fmt: skip
    for name in ENCODERS:
        table.rows.append(_measure(name))
        print(table.rows[-1], flush=True)
    if not options.no_write:
        write("end_to_end", "End to end", [table])


def _measure(name: str) -> list[object]:
    train, asked = clinc("train"), clinc("val").texts[:ASKED]
    encoder = resolve(name)
    db = Database(encoder=remembering(name), lexicon=None)
    db.update(zip(train.texts, train.labels, strict=True))
    db.calibrate()
    db._space.encoder = encoder  # nothing is remembered from here on
    for text in asked[:50]:
        db.query(text)
    alone = [_timed(lambda text: encoder.encode([text]), text) for text in asked[:200]]
    start = time.perf_counter()
    one = [_timed(db.query, text) for text in asked]
    serial = ASKED / (time.perf_counter() - start)
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        many = list(pool.map(lambda text: _timed(db.query, text), asked))
    threaded = ASKED / (time.perf_counter() - start)
    start = time.perf_counter()
    for first in range(0, ASKED, BATCH):
        db.attend(list(asked[first : first + BATCH]))
    batched = ASKED / (time.perf_counter() - start)
    quantiles = (1e3 * float(np.quantile(times, q)) for times in (one, many) for q in (0.5, 0.99))
    p50, p99, others, slowest = quantiles
    first = 1e3 * float(np.median(alone))
    return [name, first, p50, p99, serial, others, slowest, threaded, batched]


def _timed(ask, text: str) -> float:  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    ask(text)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
