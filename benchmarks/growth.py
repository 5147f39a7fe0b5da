"""How a store grows, from 1,000 records to 4 million. ``python benchmarks/growth.py``.

Keys of 256 dimensions: points around 500 directions, so that there is something to find. Each size
is filled, indexed, closed, and opened again by a process of its own, which asks 100 queries. The
slope is that of time over records, both in logarithms: 1 is linear, 0 is no growth. Writes
results/growth.{md,json} and docs/pictures/growth.png.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from defaults import Table
from study import write

from qkv import Database

SIZES = (1_000, 10_000, 100_000, 1_000_000, 4_000_000)
DIMENSION, DIRECTIONS, QUERIES, BATCH = 256, 500, 100, 100_000
ASKED = ("search", "attend", "calibrated")


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="records, at most")
    parser.add_argument("--ask", metavar="FOLDER", help="(what the process of its own does)")
    options = parser.parse_args()
    if options.ask:
        print(json.dumps(_ask(Path(options.ask))))
        return
    found = {}
    for size in (n for n in SIZES if n <= options.largest):
        with tempfile.TemporaryDirectory() as folder:
            found[size] = _fill(Path(folder), size) | _asked(folder)
        print(size, found[size], flush=True)
    if not options.no_write:
        write("growth", "Growth", _tables(found))
        _draw(found)


def _keys(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    directions = np.random.default_rng(0).standard_normal((DIRECTIONS, DIMENSION))
    keys = directions[rng.integers(0, DIRECTIONS, count)]
    keys = keys + 0.8 * rng.standard_normal((count, DIMENSION))
    return (keys / np.linalg.norm(keys, axis=1, keepdims=True)).astype(np.float32)


def _batches(size: int) -> Iterator[tuple[range, np.ndarray]]:
    for start in range(0, size, BATCH):
        names = range(start, min(size, start + BATCH))
        yield names, _keys(len(names), start + 1)


def _fill(folder: Path, size: int) -> dict[str, float]:
    path = folder / "store.qkv"
    loading = 0.0
    with Database(path=path, encoder=None, lexicon=None) as db:
        for names, keys in _batches(size):
            start = time.perf_counter()
            db.update(((f"key {i}", f"value {i}") for i in names), vectors=keys)
            loading += time.perf_counter() - start
        start = time.perf_counter()
        db.search(_keys(1, 0)[0])
        first = time.perf_counter() - start
        start = time.perf_counter()
        db.compact()
        building = time.perf_counter() - start
    derived = sum(p.stat().st_size for p in folder.rglob("*-index/**/*") if p.is_file())
    return {
        "load, rows/s": size / loading,
        "first answer from the tables, s": first,
        "compact and index, s": building,
        "file, MB": path.stat().st_size / 1e6,
        "derived, MB": derived / 1e6,
    }


def _asked(folder: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--ask", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _ask(folder: Path) -> dict[str, float]:
    queries = _keys(QUERIES + 20, 0)
    before = _memory()
    start = time.perf_counter()
    db = Database(path=folder / "store.qkv", encoder=None, lexicon=None)
    opened = time.perf_counter() - start
    db.search(queries[-1])
    first = time.perf_counter() - start
    found: dict[str, float] = {"open, ms": 1e3 * opened, "open to first answer, ms": 1e3 * first}
    ways = {
        "search": db.search,
        "attend": lambda q: db.attend(q, temperature=0.05),
        "calibrated": db.attend,
    }
    for name, ask in ways.items():
        for query in queries[QUERIES:]:
            ask(query)
        times = [_timed(ask, query) for query in queries[:QUERIES]]
        found[f"{name}, p50 ms"] = 1e3 * float(np.median(times))
        found[f"{name}, p99 ms"] = 1e3 * float(np.quantile(times, 0.99))
    found["error of attend"] = max(
        db.attend(query, temperature=0.05).error for query in queries[:20]
    )
    found["memory, MB"] = _memory() - before
    flat = Database(path=folder / "store.qkv", encoder=None, lexicon=None, index="flat")
    found["keys, MB"] = len(db) * DIMENSION * 4 / 1e6
    if len(db) <= 1_000_000:
        exact = [{m.key for m in flat.search(q)} for q in queries[:20]]
        near = [{m.key for m in db.search(q)} for q in queries[:20]]
        same = [len(a & b) / 10 for a, b in zip(exact, near, strict=True)]
        found["recall@10"] = float(np.mean(same))
    name = db.index
    for what, change in {
        "put, ms": lambda: db.put("one more", "thing", vector=queries[0]),
        "search after it, ms": lambda: db.search(queries[0]),
        "delete, ms": lambda: db.pop("one more"),
    }.items():
        start = time.perf_counter()
        change()
        found[what] = 1e3 * (time.perf_counter() - start)
    return found | {"index": name}  # type: ignore[return-value]


def _timed(ask, query: np.ndarray) -> float:  # type: ignore[no-untyped-def]
    start = time.perf_counter()
    ask(query)
    return time.perf_counter() - start


def _memory() -> float:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096 / 1e6


def _tables(found: dict[int, dict[str, float]]) -> list[Table]:
    names = list(dict.fromkeys(name for row in found.values() for name in row))
    rows = [[name, *(row.get(name, "–") for row in found.values())] for name in names]
    sizes = [f"{n:,}" for n in found]
    slopes = []
    for way in ASKED:
        times = np.log([row[f"{way}, p50 ms"] for row in found.values()])
        steps = np.diff(times) / np.diff(np.log(list(found)))
        slopes.append([way, *map(float, steps)])
    between = [f"{a} → {b}" for a, b in itertools.pairwise(sizes)]
    return [
        Table("A store as it grows", "256 dimensions, every value its own.", ["", *sizes], rows),
        Table("Slope of the median time", "1 is linear.", ["", *between], slopes),
    ]


def _draw(found: dict[int, dict[str, float]]) -> None:
    from matplotlib.figure import Figure
    from pictures import PICTURES

    from qkv.plots import save
    from qkv.plots.canvas import COLOURS, GREY, MARKERS

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    ax = figure.subplots()
    for number, way in enumerate(ASKED):
        times = [row[f"{way}, p50 ms"] for row in found.values()]
        ax.loglog(list(found), times, marker=MARKERS[number], color=COLOURS[number], label=way)
    floor = [row["keys, MB"] / 10 for row in found.values()]  # 10 GB/s
    ax.loglog(list(found), floor, linestyle="--", color=GREY, label="reading every key at 10 GB/s")
    ax.set_xlabel("records of 256 dimensions")
    ax.set_ylabel("milliseconds a query (median)")
    ax.grid(color=GREY, alpha=0.25)
    ax.legend(frameon=False)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    print(save(figure, PICTURES / "growth.png", dpi=90))


if __name__ == "__main__":
    main()
