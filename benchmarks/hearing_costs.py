"""What hearing costs, on one core: shared by ``hearing.py``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import datasets
import numpy as np
from measure import Setup, interleave
from stores import load, make

from qkv.encoders import Encoder, encode_all, encode_queries, resolve

SINGLE = 40  # sentences that are encoded one by one
BULK = 64
ROUNDS = 5
FRESH = 3  # processes of which the median is told
#: Records of the stores.
SIZES = (15_000, 100_000)

_FIRST = """
import time
start = time.perf_counter()
import qkv
qkv.Database({{"one": "number", "cat": "animal"}}, encoder={name!r}).query("seventy", 1)
print(time.perf_counter() - start)
"""

COSTS = ["one English sentence, ms", "one German sentence, ms", f"texts/s in batches of {BULK}",
         "first answer of a process, s", "floats a text"]  # fmt: skip
STORE = ["file, MB", "its vectors, MB", "search, ms", "attend, ms"]


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process and its children on one core, where the system can."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if allowed is None:
        yield
        return
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def encoding(names: Sequence[str]) -> dict[str, list[float]]:
    """Time encoders in turns: see `COSTS`."""
    with one_core():
        encoders = {name: resolve(name) for name in names}
        english = datasets.sts("en-dev").left
        german = datasets.sts("de-dev").left
        tasks: dict[str, Callable[[], object]] = {}
        for name, encoder in encoders.items():
            tasks[f"{name} en"] = _one_by_one(encoder, english[:SINGLE])
            tasks[f"{name} de"] = _one_by_one(encoder, german[:SINGLE])
            tasks[f"{name} bulk"] = _at_once(encoder, english[-4 * BULK :])
        times = {task: float(np.median(t)) for task, t in interleave(tasks, ROUNDS, warm=1).items()}
        return {
            name: [
                times[f"{name} en"] / SINGLE * 1e3,
                times[f"{name} de"] / SINGLE * 1e3,
                4 * BULK / times[f"{name} bulk"],
                first_answer(name),
                width(encoder),
            ]
            for name, encoder in encoders.items()
        }


def width(encoder: Encoder) -> int:
    """Floats that a text takes."""
    return encode_all(encoder, ["a"]).shape[1]


def _one_by_one(encoder: Encoder, texts: list[str]) -> Callable[[], object]:
    return lambda: [encode_queries(encoder, [text]) for text in texts]


def _at_once(encoder: Encoder, texts: list[str]) -> Callable[[], object]:
    return lambda: encode_all(encoder, texts, batch=BULK)


def first_answer(name: str) -> float:
    """Seconds from ``import qkv`` to an answer, in a process of its own."""
    program = [sys.executable, "-c", _FIRST.format(name=name)]
    printed = [
        subprocess.run(program, check=True, capture_output=True, text=True, timeout=300).stdout
        for _ in range(FRESH + 1)  # the first warms the disk's cache
    ]
    return float(np.median([float(one) for one in printed[1:]]))


class Kept:
    """Stands for an encoder whose keys are given, and kept in its precision."""

    fingerprint = "given"

    def __init__(self, precision: str) -> None:
        self.precision = precision

    def encode(self, texts: list[str]) -> np.ndarray:
        """Refuse: no text is read."""
        raise NotImplementedError(texts)


def store(size: int, width: int, precision: str) -> list[float]:
    """MB of a file, MB of its vectors, ms of a search and of an answer that read every key.

    Directions are random: what is read does not depend on them.
    """
    data = make(Setup(n=size, d=width, batch=8))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.qkv"
        with load(data, data.label_values, path=path, encoder=Kept(precision)) as db:
            db.attend(data.Q[0])  # calibrates
            tasks: dict[str, Callable[[], object]] = {
                "search": lambda: db.search(data.Q[1], 10),
                "attend": lambda: db.attend(data.Q[2]),
            }
            times = {t: float(np.median(s)) * 1e3 for t, s in interleave(tasks, 9).items()}
        return [
            path.stat().st_size / 1e6,
            data.K.nbytes * np.dtype(precision).itemsize / 4e6,
            times["search"],
            times["attend"],
        ]


def folder_size(folder: Path) -> float:
    """MB of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
