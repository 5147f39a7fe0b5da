"""``import qkv``, the lexicon, and a first and a later query with the default encoder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from itertools import cycle

import numpy as np
from measure import Row, Setup, Times, interleave, medians

import qkv

GOAL = 0.3
RECORDS = 1000

#: Each prints the seconds of the last statement, in an interpreter of its own.
_CLOCKED = """
import time
{before}
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""


def run(setup: Setup) -> list[Row]:
    """Fresh interpreters for what happens once; one process for the queries."""
    return [*_fresh(setup), *_queries(setup)]


def _seconds(statement: str, before: str = "") -> float:
    code = _CLOCKED.format(before=before, statement=statement)
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300
    )
    return float(done.stdout)


def _fresh(setup: Setup) -> list[Row]:
    # Timed inside the child: starting Python is not ours to answer for.
    statements = {
        "import qkv": ("import qkv", ""),
        "database": ("from qkv import Database", ""),
        "import numpy": ("import numpy", ""),
        "lexicon": ("Lexicon.glove()", "from qkv import Lexicon"),
        "first query": ("Database({'one': 'number'}).query('seven')", "from qkv import Database"),
    }
    rounds = setup.rounds(10)
    times: dict[str, Times] = {name: np.zeros(rounds) for name in statements}
    for turn in range(-1, rounds):  # the first turn only warms the disk cache
        for name, (statement, before) in statements.items():
            seconds = _seconds(statement, before)
            if turn >= 0:
                times[name][turn] = seconds
    return [
        _goal_row("import qkv (names are imported when first used)", times["import qkv"]),
        _goal_row("from qkv import Database", times["database"], times["import numpy"]),
        _goal_row("Lexicon.glove(), after import", times["lexicon"]),
        Row.of(
            "first query ever, default encoder (loads GloVe and USE)",
            times["first query"],
            figure=f"{np.median(times['first query']):.2f} s",
        ),
    ]


def _goal_row(what: str, times: Times, numpy_times: Times | None = None) -> Row:
    seconds = float(np.median(times))
    return Row.of(
        what,
        times,
        figure=f"{seconds:.3f} s",
        goal=f"≤ {GOAL} s",
        met=seconds <= GOAL,
        floor=None if numpy_times is None else float(np.median(numpy_times)),
        floor_is="" if numpy_times is None else "import numpy alone",
    )


def _queries(setup: Setup) -> list[Row]:
    words = [word for word in qkv.Lexicon.glove().words[1000:9000] if word.isalpha()]
    stored, asked = words[:RECORDS], words[RECORDS : 2 * RECORDS]
    labels = [f"label {i % 50}" for i in range(RECORDS)]
    db = qkv.Database(dict(zip(stored, labels, strict=True)))
    word_db = qkv.Database(dict(zip(stored, words[-50:] * (RECORDS // 50), strict=True)))
    encoder = db.encoder
    assert encoder is not None
    streams = {name: cycle(asked) for name in ("labels", "words", "encode")}
    vectors = cycle(list(encoder.encode(asked[:50])))
    tasks: dict[str, Callable[[], object]] = {
        "labels": lambda: db.query(next(streams["labels"])),
        "words": lambda: word_db.query(next(streams["words"])),
        "encode": lambda: encoder.encode([next(streams["encode"])]),
        "attend": lambda: db.attend(next(vectors)),
    }
    times = interleave(tasks, setup.rounds(200))
    floor = float(np.median(times["encode"]))
    return [
        Row.of(
            f"query, default encoder, {RECORDS:,} records, {kind}",
            times[name],
            figure=f"{np.median(times[name]) * 1e3:.2f} ms",
            floor=floor,
            floor_is="encoding the query",
            peers=medians(times, "attend") if name == "labels" else {},
        )
        for name, kind in (("labels", "labels"), ("words", "words (imagines from 100,000)"))
    ]
