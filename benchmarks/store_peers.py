"""qkv beside other stores of vectors: load, write, open, ask. ``python benchmarks/store_peers.py``.

100,000 one-line summaries of Python packages (the Universal Sentence Encoder's 512 dimensions,
projected at random to 256) and the 400,000 words of GloVe in 50 dimensions, their mean taken off;
all of length one. Queries and later inserts are others of the same kind. All get the same records,
and are asked for keys and texts of the ten best; the truth is exact.

Each program runs alone, each phase in a process of its own (:mod:`store_programs`), with as many
threads as it takes by itself. All are loaded; then all are asked, in turns (summaries: in two
rounds, the second backwards); then all are written to and killed (SIGKILL) while they are open, and
asked what is left. A phase has ``--limit`` seconds; what does not finish is said.
``--programs qkv --keep`` measures some again, and keeps the figures of the others.
Writes results/store_peers.{md,json}.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from datasets import SUMMARIES, missing, summaries
from defaults import Table
from encoded import remembering
from measure import Quiet
from store_programs import DELETED, FOLLOWED, PARTS, PROGRAMS, WRITTEN, K
from study import RESULTS, SEED, write

from qkv.attention import unit
from qkv.encoders import encode_all
from qkv.lexicon import Lexicon
from qkv.types import Floats

QUERIES = 200
FRESH = WRITTEN + FOLLOWED
#: By which a score may differ when it is computed in another order.
ROUNDING = 1e-6
_PACKAGES = (
    "chromadb",
    "duckdb",
    "lancedb",
    "milvus-lite",
    "pymilvus",
    "pysqlite3-binary",
    "qdrant-client",
    "sqlite-vec",
    "turbovec",
)


@dataclass(frozen=True)
class Data:
    """What is stored, what is asked, what is written later."""

    keys: list[str]
    texts: list[str]
    vectors: Floats
    queries: Floats
    fresh: Floats

    def __str__(self) -> str:
        n, d = self.vectors.shape
        return f"{n:,} × {d}"


def packages(n: int) -> Data:
    """Summaries of packages by USE, projected to 256 dimensions."""
    texts = summaries(n + QUERIES + FRESH)
    encoded = encode_all(remembering("use"), texts)
    turn = np.random.default_rng(SEED).standard_normal((encoded.shape[1], 256), dtype=np.float32)
    keys = [f"package {row}" for row in range(len(texts))]
    return _divided(keys, [text or "–" for text in texts], unit(encoded @ (turn / 16)))


def words(n: int) -> Data:
    """Words by GloVe 6B 50d, commonest first."""
    lexicon = Lexicon.glove()
    vectors = np.array(lexicon.vectors[: n + QUERIES + FRESH], dtype=np.float32)
    vectors = unit(vectors - vectors[:50_000].mean(axis=0))
    texts = [f"word {rank} of GloVe" for rank in range(len(vectors))]
    return _divided(list(lexicon.words[: len(vectors)]), texts, vectors)


#: Name → how it is made, of how many records, asked in how many rounds.
DATA: dict[str, tuple[Callable[[int], Data], int, int]] = {
    "packages": (packages, 100_000, 2),
    "words": (words, 400_000, 1),
}


def _divided(keys: list[str], texts: list[str], vectors: Floats) -> Data:
    order = np.random.default_rng(SEED).permutation(len(keys))
    asked, fresh = order[:QUERIES], order[QUERIES : QUERIES + FRESH]
    stored = np.sort(order[QUERIES + FRESH :])
    return Data(
        [keys[row] for row in stored],
        [texts[row] for row in stored],
        np.ascontiguousarray(vectors[stored]),
        np.ascontiguousarray(vectors[asked]),
        np.ascontiguousarray(vectors[fresh]),
    )


def _put_down(data: Data, folder: Path) -> None:
    """Write the data where the processes of programs read it."""
    folder.mkdir()
    np.save(folder / "records.npy", data.vectors)
    (folder / "records.json").write_text(json.dumps([data.keys, data.texts]), encoding="utf-8")
    np.save(folder / "queries.npy", data.queries)
    np.save(folder / "fresh.npy", data.fresh)
    new = [f"written later {row}" for row in range(FRESH)]
    (folder / "fresh.json").write_text(json.dumps([new, new]), encoding="utf-8")
    some = np.random.default_rng(SEED).permutation(len(data.keys))[: max(QUERIES, DELETED)]
    asked = [data.keys[row] for row in some]
    (folder / "asked.json").write_text(json.dumps(asked), encoding="utf-8")


# ── one program ──────────────────────────────────────────────────────────────────────────────


@dataclass
class Run:
    """A program with one data set: what was found, and why something was not."""

    name: str
    folder: Path
    limit: float
    facts: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    disk: float | None = None
    ended: str = ""
    noted: str = ""
    spent: float = 0.0

    @property
    def home(self) -> Path:
        """Where it keeps its files."""
        return self.folder / "home"

    def phase(self, name: str, data: Path, turn: int = 0) -> None:
        """Run one phase in a process of its own, unless an earlier one failed."""
        if self.ended:
            return
        self.home.mkdir(parents=True, exist_ok=True)
        results = self.folder / "results.jsonl"
        results.unlink(missing_ok=True)
        script = Path(__file__).with_name("store_programs.py")
        command = [sys.executable, "-P", script, self.name, name, turn, data]
        command += [self.home, results]
        start = time.monotonic()
        with (self.folder / f"{name}.txt").open("w") as out:
            process = subprocess.Popen(
                list(map(str, command)), stdout=out, stderr=out, start_new_session=True
            )
            try:
                code = process.wait(self.limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                code = None
        self.spent += time.monotonic() - start
        said: dict[str, Any] = {}
        for line in results.read_text(encoding="utf-8").splitlines() if results.exists() else ():
            said |= json.loads(line)
        for fact, value in said.items():
            self.facts[fact].append(value)
        self._end(name, code, said)

    def _end(self, phase: str, code: int | None, said: dict[str, Any]) -> None:
        if code is None and "searchable" in said:
            self.noted = f"load: could be searched, but close() took more than {self.limit:.0f} s"
        elif code is None:
            far = f", {said['loaded']:,} rows written" if "loaded" in said else ""
            self.ended = f"{phase}: not done in {self.limit:.0f} s{far}"
        elif "failed" in said:
            self.ended = f"{phase}: {said['failed']}"
        elif code not in {0, -signal.SIGKILL} or (code and phase != "write"):
            self.ended = f"{phase}: died ({code})"

    def last(self, fact: str) -> Any:
        """What was said last; None if nothing was."""
        return self.facts[fact][-1] if self.facts[fact] else None

    def times(self, fact: str) -> Floats:
        """Seconds of all rounds."""
        return np.concatenate([*self.facts[fact], []])

    def at(self, fact: str, percentile: float) -> float | None:
        """Percentile of the seconds of all rounds."""
        times = self.times(fact)
        return float(np.percentile(times, percentile)) if len(times) else None


def _measure(
    data: Data, names: Sequence[str], folder: Path, limit: float, rounds: int
) -> list[Run]:
    given = folder / "data"
    _put_down(data, given)
    runs = [Run(name, folder / str(number), limit) for number, name in enumerate(names)]
    for run in runs:
        run.phase("load", given)
        run.disk = sum(one.stat().st_size for one in run.home.rglob("*") if one.is_file()) / 1e6
        print(f"  {run.name}: loaded in {run.spent:.1f} s {run.ended}", flush=True)
    for turn in range(rounds):
        for run in runs if turn % 2 == 0 else reversed(runs):
            run.phase("ask", given, turn)
            print(f"  {run.name}: asked {run.ended}", flush=True)
    for run in runs:
        run.phase("write", given)
        expected = [run.last("written") or [], run.last("deleted") or []]
        (given / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
        run.phase("check", given)
        print(f"  {run.name}: done in {run.spent:.1f} s {run.ended}", flush=True)
        shutil.rmtree(run.home, ignore_errors=True)
    return runs


def _recall(data: Data, run: Run, fact: str, place: dict[str, int]) -> float | None:
    """Share of the best K that were found, of those queries for which there was time."""
    # The names of a JSON object are text.
    found = [(int(row), keys) for one in run.facts[fact] for row, keys in one.items()]
    if not found:
        return None
    worst = _in_part(data) if fact == "found_in_part" else _best(data)
    hits = 0
    for query, keys in found:
        rows = [place[key] for key in set(keys) if key in place]
        scores = data.vectors[rows] @ data.queries[query]
        if fact == "found_in_part":
            scores = scores[np.array(rows, dtype=int) % PARTS == query % PARTS]
        hits += min(K, int((scores >= worst[query] - ROUNDING).sum()))
    return hits / (K * len(found))


def _best(data: Data) -> Floats:
    """Score of the K-th best for each query."""
    return np.array([np.partition(data.vectors @ q, -K)[-K] for q in data.queries])


def _in_part(data: Data) -> Floats:
    """The same of one part."""
    return np.array(
        [
            np.partition(data.vectors[row % PARTS :: PARTS] @ q, -K)[-K]
            for row, q in enumerate(data.queries)
        ]
    )


# ── tables ───────────────────────────────────────────────────────────────────────────────────

MS = 1e3
NOTHING = "–"


def _figures(data: Data, run: Run, place: dict[str, int]) -> dict[str, Any]:
    """All figures of one program, None for what is not known."""
    n, opened = len(data.keys), run.facts["open"]
    imported = run.facts["imported"][1:]  # the first was the loading process
    load, searchable = run.last("load"), run.last("searchable")
    kept = run.last("kept")
    figures: dict[str, Any] = {
        "recall": _recall(data, run, "found", place),
        "recall in part": _recall(data, run, "found_in_part", place),
        "questions": len(run.times("query")),
        "open": float(np.median(opened)) if opened else None,
        "import": float(np.median(imported)) if imported else None,
        "load": None if load is None else round(run.last("loaded") / load),
        "searchable": None if searchable is None else round(n / searchable),
        "disk": None if searchable is None else round(run.disk or 0),
        "memory": _rounded(max((m for m in run.facts["memory"] if m), default=None)),
        "memory loading": _rounded(run.last("memory_loading")),
        "kept": None if kept is None else f"{kept} of {len(run.last('written'))}",
        "when": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "gone": None if kept is None else f"{run.last('gone')} of {len(run.last('deleted'))}",
    }
    for fact in ("query", "query_in_part", "get", "insert", "delete", "query_after_insert"):
        for percentile in (50, 99):
            seconds = run.at(fact, percentile)
            figures[f"{fact} p{percentile}"] = None if seconds is None else seconds * MS
    return figures


def _rounded(number: float | None) -> int | None:
    return None if number is None else round(number)


#: Column → figure.
_ASKED = {
    "query p50, ms": "query p50",
    "p99": "query p99",
    "recall@10": "recall",
    "1 % filter p50, ms": "query_in_part p50",
    "its p99": "query_in_part p99",
    "its recall@10": "recall in part",
    "exact get p50, ms": "get p50",
    "its p99 ": "get p99",
    "open to first answer, s": "open",
    "import before, s": "import",
    "memory, MB": "memory",
    "queries timed": "questions",
}
_WRITTEN = {
    "load, rows/s": "load",
    "until searchable, rows/s": "searchable",
    "insert p50, ms": "insert p50",
    "p99": "insert p99",
    "delete p50, ms": "delete p50",
    "its p99": "delete p99",
    "query after an insert p50, ms": "query_after_insert p50",
    "inserts kept": "kept",
    "deletes kept": "gone",
    "disk, MB": "disk",
    "memory loading, MB": "memory loading",
    "measured": "when",
    "cores busy with other programs": "busy",
}

#: What → figure, goal, its unit, and whether more is better; for 100,000 records.
_GOALS: tuple[tuple[str, str, float | None, str, bool], ...] = (
    ("query p50", "query p50", 0.4, "ms", False),
    ("query p99", "query p99", None, "ms", False),
    ("recall@10", "recall", 0.99, "", True),
    ("1 % filter p50", "query_in_part p50", 1.0, "ms", False),
    ("exact get p50", "get p50", None, "ms", False),
    ("open to first answer", "open", 0.2, "s", False),
    ("load", "load", None, "rows/s", True),
    ("until searchable", "searchable", 100_000, "rows/s", True),
    ("durable insert p50", "insert p50", 0.2, "ms", False),
    ("delete p50", "delete p50", None, "ms", False),
    ("query after an insert p50", "query_after_insert p50", None, "ms", False),
    ("disk", "disk", None, "MB", False),
    ("memory while asked", "memory", None, "MB", False),
)


@dataclass
class Found:
    """What was found with one data set, by program."""

    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Further questions with their percentiles.
    more: list[list[Any]] = field(default_factory=list)
    ended: list[list[Any]] = field(default_factory=list)

    @classmethod
    def of(cls, data: Data, runs: list[Run], busy: float) -> Found:
        """What runs say, while others kept so many cores busy."""
        place = {key: row for row, key in enumerate(data.keys)}
        return cls(
            {run.name: _figures(data, run, place) | {"busy": busy} for run in runs},
            _more(runs),
            [[run.name, run.ended or run.noted] for run in runs if run.ended or run.noted],
        )

    @classmethod
    def kept(cls, data: Data) -> Found:
        """What was written down before."""
        found = cls()
        file = RESULTS / "store_peers.json"
        tables = json.loads(file.read_text(encoding="utf-8"))["tables"] if file.exists() else []
        rows = {table["title"]: table["rows"] for table in tables}
        for title, columns in (("asked", _ASKED), ("written", _WRITTEN)):
            for name, _, *cells in rows.get(f"{data}: {title}", []):
                known = (None if cell == NOTHING else cell for cell in cells)
                everything = [*_ASKED.values(), *_WRITTEN.values()]
                figures = found.figures.setdefault(name, dict.fromkeys(everything))
                figures |= dict(zip(columns.values(), known, strict=False))
        found.more = rows.get(f"{data}: other questions", [])
        found.ended = rows.get(f"{data}: not finished", [])
        return found

    def replaced(self, newer: Found) -> Found:
        """With newer figures of some programs."""
        again = set(newer.figures)
        figures = self.figures | newer.figures
        return Found(
            {name: figures[name] for name in PROGRAMS if name in figures},
            [row for row in self.more if row[0].split(": ")[0] not in again] + newer.more,
            [row for row in self.ended if row[0] not in again] + newer.ended,
        )


def _tables(data: Data, found: Found, goals: bool) -> list[Table]:
    tables = [
        Table(
            f"{data}: asked",
            f"Keys and texts of the ten best, one query at a time, in a fresh process. The filter "
            f"keeps one record in {PARTS}, another {PARTS}th for each query. Memory: the most that "
            f"the process held, what it mapped included.",
            ["", "how", *map(str.strip, _ASKED)],
            _rows(found.figures, _ASKED),
        ),
        Table(
            f"{data}: written",
            "Until searchable: with the index built and a first answer given. Inserts and deletes: "
            "single ones, each kept before it returns; what was kept was counted after a SIGKILL. "
            "Rows that were not measured at the same time say so: a busy machine is a slow one.",
            ["", "how", *_WRITTEN],
            _rows(found.figures, _WRITTEN),
        ),
    ]
    if "qkv" in found.figures:
        tables.append(_beside(data, found.figures, goals))
    if found.more:
        columns = ["", "p50, ms", "p99, ms"]
        text = "What only qkv was asked."
        tables.append(Table(f"{data}: other questions", text, columns, found.more))
    if found.ended:
        text = "What has no figures, and why."
        tables.append(Table(f"{data}: not finished", text, ["", "why"], found.ended))
    return tables


def _rows(figures: dict[str, dict[str, Any]], columns: dict[str, str]) -> list[list[Any]]:
    return [
        [name, PROGRAMS[name].about, *(_shown(of_one[key]) for key in columns.values())]
        for name, of_one in figures.items()
    ]


def _shown(figure: Any) -> Any:
    return NOTHING if figure is None else figure


def _beside(data: Data, figures: dict[str, dict[str, Any]], goals: bool) -> Table:
    """Where qkv stands in each column, and beside which goal."""
    rows = []
    for what, key, goal, unit_, more in _GOALS:
        ours = figures["qkv"][key]
        others = [(of[key], name) for name, of in figures.items() if name != "qkv" and of[key]]
        best = (max if more else min)(others, default=None)
        if ours is None or best is None:
            continue
        rank = 1 + sum((other > ours) if more else (other < ours) for other, _ in others)
        known = goal is not None and goals
        sign = "≥" if more else "≤"
        met = goal is not None and (ours >= goal if more else ours <= goal)
        rows.append(
            [
                what,
                f"{_plain(ours)} {unit_}".strip(),
                f"{sign} {goal:,} {unit_}".strip() if known else NOTHING,
                ("met" if met else "missed") if known else NOTHING,
                rank,
                f"{best[1]}: {_plain(best[0])} {unit_}".strip(),
                _plain(figures[best[1]]["recall"]),
            ]
        )
    return Table(
        f"{data}: where qkv stands",
        "The rank counts all programs, those that find less included.",
        ["", "qkv", "goal", "", "rank", "best of the others", "its recall@10"],
        rows,
    )


def _plain(figure: Any) -> str:
    if figure is None:
        return NOTHING
    return f"{figure:,}" if isinstance(figure, int) else f"{figure:.3f}"


def _more(runs: list[Run]) -> list[list[Any]]:
    rows = []
    for run in runs:
        for name in run.facts["more"][0] if run.facts["more"] else ():
            pieces = [one[name] for one in run.facts["more"] if name in one]
            low, high = np.percentile(np.concatenate(pieces), (50, 99)) * MS
            rows.append([f"{run.name}: {name}", float(low), float(high)])
    return rows


# ── all of it ────────────────────────────────────────────────────────────────────────────────


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--quick", action="store_true", help="does it run at all: 3,000 records")
    parser.add_argument("--data", nargs="*", choices=DATA, default=list(DATA))
    parser.add_argument("--programs", nargs="*", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument(
        "--keep", action="store_true", help="the figures of other programs stay as they are"
    )
    parser.add_argument("--limit", type=float, default=150, help="seconds for each phase")
    options = parser.parse_args()
    tables: list[Table] = []
    for name in options.data:
        if name == "packages" and missing([SUMMARIES]):
            print(f"{SUMMARIES} is not there (set QKV_DATA): left out")
            continue
        make, most, rounds = DATA[name]
        data = make((3_000 if options.quick else most) - (QUERIES + FRESH) * (name == "words"))
        print(f"{name}, {data}", flush=True)
        quiet = Quiet()
        with tempfile.TemporaryDirectory() as folder:
            runs = _measure(data, options.programs, Path(folder), options.limit, rounds)
        found = Found.of(data, runs, quiet.others())
        if options.keep:
            found = Found.kept(data).replaced(found)
        tables += _tables(data, found, goals=name == "packages")
        print("\n".join(table.markdown() for table in tables), flush=True)
        if not (options.no_write or options.quick):
            kept = _others(tables) if options.keep else []
            write("store_peers", "Stores of vectors", tables + kept, **_versions())


def _others(tables: list[Table]) -> list[Table]:
    """Tables of other data sets, as they were written down before."""
    file = RESULTS / "store_peers.json"
    record = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"tables": []}
    done = {table.title.split(":")[0] for table in tables}
    return [Table(**one) for one in record["tables"] if one["title"].split(":")[0] not in done]


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


if __name__ == "__main__":
    main()
