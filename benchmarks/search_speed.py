"""Search by words, by meaning and by both, beside bm25s, LanceDB and Chroma.

One-line summaries of Python packages as keys, with the Universal Sentence Encoder's vectors.
Queries are summaries of other packages, and short questions of common words. Without the data set,
nothing is measured.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import peers
from datasets import DATA, SUMMARIES, missing, summaries
from encoded import remembering
from measure import Row, Setup, Times, interleave, ratio
from peers import K

import qkv
from qkv.encoders import UseEncoder, encode_all
from qkv.types import Floats

ASKED = 200  # queries, and so rounds
BATCH = 100
ENCODED = 60  # queries that are encoded when they are asked
SCANS = 20  # rounds with what takes a third of a second
WARM = 10  # queries that other programs are asked first
OURS = ("qkv", "filter", "alone")
PUTS = 300
#: Records that the filter keeps: one in so many.
SPARSE = 100
MILLISECOND = 1e-3

_THINGS = ("API", "web", "data", "files", "command line", "test", "server", "async", "database")
#: Short, and of words that most summaries have.
COMMON = [
    text
    for thing in _THINGS
    for text in (
        f"a python library for the {thing}",
        f"a simple tool for {thing} in python",
        f"python package for {thing}",
        f"client for the {thing} of a service",
    )
]


class Given:
    """The encoder with vectors that are known beforehand, and others when they are asked for."""

    fingerprint = UseEncoder.fingerprint

    def __init__(self) -> None:
        self._encoder = UseEncoder()
        self.known: dict[str, Floats] = {}

    def learn(self, texts: Sequence[str], vectors: Floats) -> None:
        """Know these texts."""
        self.known.update(zip(texts, vectors, strict=True))

    def encode(self, texts: list[str]) -> Floats:
        """Vectors of n texts, (n, 512)."""
        if all(text in self.known for text in texts):
            return np.array([self.known[text] for text in texts])
        return self._encoder.encode(texts)


@dataclass(frozen=True)
class Data:
    """What is stored and what is asked."""

    texts: list[str]
    vectors: Floats
    others: list[str]
    fresh: list[str]  # other packages again, whose vectors are not known
    encoder: Given

    def vector(self, query: str) -> Floats:
        """Known vector of a query."""
        return self.encoder.known[query]


def run(setup: Setup) -> list[Row]:
    """Measure."""
    if missing([SUMMARIES]):
        print(f"  {SUMMARIES} is not in {DATA} (set QKV_DATA): nothing to do")
        return []
    data = _data(setup)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.qkv"
        with qkv.Database(path=path, encoder=data.encoder, lexicon=None) as db:
            db.update(
                zip(data.texts, range(len(data.texts)), strict=True),
                vectors=data.vectors,
                metadata=({"part": row % SPARSE} for row in range(len(data.texts))),
            )
        bare = Path(folder) / "bare.qkv"
        shutil.copy(path, bare)
        programs = _programs(data, Path(folder))
        rows = [*_indexing(path, data, programs)]
        with (
            closing(qkv.Database(path=path, encoder=data.encoder, lexicon=None)) as db,
            closing(qkv.Database(path=bare, encoder=data.encoder, lexicon=None)) as plain,
        ):
            rows += _keyword(db, data, programs, setup)
            rows += _semantic(db, data, programs, setup)
            rows += _hybrid(db, data, programs, setup)
            rows += _batches(db, data, programs, setup)
            rows += _filters(db, data, setup)
            rows += _puts(db, plain, data, setup)
    return rows


def _data(setup: Setup) -> Data:
    texts = summaries(setup.n + ASKED + 2 * ENCODED)
    stored, others, fresh = (
        texts[: setup.n],
        texts[setup.n : setup.n + ASKED],
        texts[setup.n + ASKED :],
    )
    remembered = remembering("use")
    encoder = Given()
    encoder.encode(["load the model"])
    vectors = encode_all(remembered, stored)
    encoder.learn(others, encode_all(remembered, others))
    encoder.learn(COMMON, encode_all(remembered, COMMON))
    return Data(stored, vectors, others, fresh, encoder)


# ── the others ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Programs:
    """What others do, by name; and how long they took to index words."""

    keyword: dict[str, Callable[[str], Any]]
    semantic: dict[str, Callable[[str], Any]]
    scan: dict[str, Callable[[str], Any]]  # exact, and slow
    hybrid: dict[str, Callable[[str], Any]]
    batch: dict[str, Callable[[list[str]], Any]]
    indexed: dict[str, float]


def _programs(data: Data, folder: Path) -> Programs:
    found = Programs({}, {}, {}, {}, {}, {})
    if peers.installed("bm25s"):
        for backend in ("numpy", "numba") if peers.installed("numba") else ("numpy",):
            name = f"bm25s {peers.version('bm25s')}, {backend}"
            start = time.perf_counter()
            words = peers.BM25S(data.texts, backend)
            found.indexed[name] = time.perf_counter() - start
            found.keyword[name], found.batch[name] = words.keyword, words.batch
    if peers.installed("lancedb"):
        name = f"LanceDB {peers.version('lancedb')}"
        table = peers.LanceDB(data.texts, data.vectors, folder / "lance")
        start = time.perf_counter()
        table.index_words()
        found.indexed[name] = time.perf_counter() - start
        found.keyword[name] = table.keyword
        found.scan[f"{name}, scan"] = lambda q: table.semantic(data.vector(q))
        indexed = peers.LanceDB(data.texts, data.vectors, folder / "lance-hnsw")
        indexed.index_words()
        indexed.index_vectors()
        found.semantic[f"{name}, HNSW"] = lambda q: indexed.semantic(data.vector(q))
        found.hybrid[f"{name}, HNSW"] = lambda q: indexed.hybrid(q, data.vector(q))
    if peers.installed("chromadb"):
        name = f"Chroma {peers.version('chromadb')}, HNSW"
        collection = peers.Chroma(data.texts, data.vectors, folder / "chroma")
        found.semantic[name] = lambda q: collection.semantic(data.vector(q))
    return found


# ── words ────────────────────────────────────────────────────────────────────────────────────


def _indexing(path: Path, data: Data, programs: Programs) -> Iterator[Row]:
    with qkv.Database(path=path, encoder=data.encoder, lexicon=None) as db:
        start = time.perf_counter()
        db.index_words()
        seconds = time.perf_counter() - start
    rate = len(data.texts) / seconds
    yield Row.of(
        f"index words of {len(data.texts):,} texts",
        np.array([seconds]),
        figure=f"{rate:,.0f} texts/s",
        goal="≥ 20,000 texts/s",
        met=rate >= 20_000,
        peers=programs.indexed,
    )
    times = []
    for query in (COMMON[0], data.others[0], COMMON[1]):
        with qkv.Database(path=path, encoder=data.encoder, lexicon=None) as db:
            start = time.perf_counter()
            db.search(query, K, mode="keyword")
            times.append(time.perf_counter() - start)
    yield Row.of("open, to the first keyword answer", np.array(times))


def _keyword(db: qkv.Database, data: Data, programs: Programs, setup: Setup) -> Iterator[Row]:
    def ours(query: str) -> Any:
        return db.search(query, K, mode="keyword")

    ours("warm")
    for what, queries in (("summaries", data.others), ("common words", COMMON)):
        first = _each(ours, queries)
        yield Row.of(
            f"keyword, {what}, first time that the words are asked",
            first,
            figure=_tail(first),
        )
        times = _asked({"qkv": ours} | programs.keyword, queries, setup)
        yield Row.of(
            f"keyword, {what}",
            times["qkv"],
            figure=_tail(times["qkv"]),
            goal="median ≤ 5 ms",
            met=bool(np.median(times["qkv"]) <= 5 * MILLISECOND),
            peers=_peers(times),
        )


def _semantic(db: qkv.Database, data: Data, programs: Programs, setup: Setup) -> Iterator[Row]:
    start = time.perf_counter()
    db.search(data.vectors[0], K)
    first = np.array([time.perf_counter() - start])
    yield Row.of("semantic, the first (reads all vectors)", first)
    tasks: dict[str, Callable[[str], Any]] = {"qkv": lambda q: db.search(data.vector(q), K)}
    for name, program in programs.semantic.items():
        recall = _recall(tasks["qkv"], program, data.others[:50])
        tasks[f"{name}, recall@{K} {recall:.3f}"] = program
    times = _asked(tasks, data.others, setup)
    scans = _asked({"qkv": tasks["qkv"]} | programs.scan, data.others[:SCANS], setup, SCANS)
    yield Row.of(
        "semantic, given vectors",
        times["qkv"],
        figure=_tail(times["qkv"]),
        peers=_peers(times) | _peers(scans),
    )
    times = {"qkv": _each(lambda q: db.search(q, K), data.fresh[:ENCODED])}
    yield Row.of("semantic, encoding the query", times["qkv"], figure=_tail(times["qkv"]))


def _recall(exact: Callable[[str], Any], other: Callable[[str], Any], queries: list[str]) -> float:
    """Share of the exact best that another program finds."""
    shared = [len({match.key for match in exact(q)} & set(other(q))) for q in queries]
    return float(np.mean(shared)) / K


def _hybrid(db: qkv.Database, data: Data, programs: Programs, setup: Setup) -> Iterator[Row]:
    def ours(query: str) -> Any:
        return db.search(query, K, mode="hybrid")

    for what, queries in (("summaries", data.others), ("common words", COMMON)):
        times = _asked({"qkv": ours} | programs.hybrid, queries, setup)
        yield Row.of(
            f"hybrid, {what}, given vectors",
            times["qkv"],
            figure=_tail(times["qkv"]),
            peers=_peers(times),
        )
    fresh = _each(ours, data.fresh[ENCODED:])
    yield Row.of("hybrid, encoding the query", fresh, figure=_tail(fresh))


def _batches(db: qkv.Database, data: Data, programs: Programs, setup: Setup) -> Iterator[Row]:
    queries = data.others[:BATCH]
    for mode in ("keyword", "semantic", "hybrid"):
        tasks: dict[str, Callable[[], object]] = {
            "qkv": lambda mode=mode: db.search(queries, K, mode=mode)  # type: ignore[misc]
        }
        if mode == "keyword":
            for name, program in programs.batch.items():
                tasks[name] = lambda program=program: program(queries)  # type: ignore[misc]
        times = interleave(tasks, setup.rounds(15))
        median = float(np.median(times["qkv"]))
        yield Row.of(
            f"{mode}, {BATCH} queries at once",
            times["qkv"],
            figure=f"{BATCH / median:,.0f} queries/s",
            peers=_peers(times),
        )


# ── filters ──────────────────────────────────────────────────────────────────────────────────


def _filters(db: qkv.Database, data: Data, setup: Setup) -> Iterator[Row]:
    """One record in a hundred passes; beside a store of just these."""
    part = slice(0, None, SPARSE)
    where: dict[str, Any] = {"part": 0}
    with closing(qkv.Database(encoder=data.encoder, lexicon=None)) as among:
        among.update(
            zip(data.texts[part], range(len(data.texts[part])), strict=True),
            vectors=data.vectors[part],
        )
        for mode in ("semantic", "keyword", "hybrid"):
            tasks: dict[str, Callable[[str], object]] = {
                "filter": lambda q, mode=mode: db.search(q, K, mode=mode, where=where),
                "alone": lambda q, mode=mode: among.search(q, K, mode=mode),
            }
            yield _above(f"{mode} with a filter that keeps 1 %", tasks, data.others, setup)
    # A filter is remembered until the store changes: each of these is new.
    db.search(data.vectors[0], K, where=where)
    start = np.zeros(SPARSE - 1)
    for number in range(1, SPARSE):
        began = time.perf_counter()
        db.search(data.vector(data.others[0]), K, where={"part": number})
        start[number - 1] = time.perf_counter() - began
    yield Row.of("semantic with a filter that was not asked before", start, figure=_tail(start))


def _above(
    what: str, tasks: dict[str, Callable[[str], object]], queries: list[str], setup: Setup
) -> Row:
    times = _asked(tasks, queries, setup)
    above = float(np.median(times["filter"] - times["alone"]))
    return Row.of(
        what,
        times["filter"],
        figure=f"{above / MILLISECOND:.2f} ms above the search among those",
        goal="≤ 1 ms above",
        met=above <= MILLISECOND,
        floor=float(np.median(times["alone"])),
        floor_is="the search in a store of just those",
    )


# ── writing ──────────────────────────────────────────────────────────────────────────────────


def _puts(db: qkv.Database, plain: qkv.Database, data: Data, setup: Setup) -> Iterator[Row]:
    """A put where words are indexed, beside one where they are not."""
    rounds = setup.rounds(PUTS)

    def putting(store: qkv.Database, name: str) -> Callable[[], object]:
        turn = cycle(zip(data.others, range(10**6), strict=False))

        def put() -> None:
            text, number = next(turn)
            store.put(f"{text} {name}", number, vector=data.vectors[0])

        return put

    times = interleave({"words": putting(db, "a"), "plain": putting(plain, "a")}, rounds)
    yield Row.of(
        "put where words are indexed",
        times["words"],
        figure=f"{ratio(times['words'], times['plain']):.2f} × without",
        peers={"without words": float(np.median(times["plain"]))},
    )
    put, turn = putting(db, "b"), cycle(data.others)
    after = np.zeros(setup.rounds(100))
    for row in range(len(after)):
        put()
        began = time.perf_counter()
        db.search(next(turn), K, mode="keyword")
        after[row] = time.perf_counter() - began
    yield Row.of("keyword, summaries, after a put", after, figure=_tail(after))


# ── timing ───────────────────────────────────────────────────────────────────────────────────


def _asked(
    tasks: Mapping[str, Callable[[str], object]],
    queries: Sequence[str],
    setup: Setup,
    rounds: int = ASKED,
) -> dict[str, Times]:
    """Time the same queries in all programs, in turns; ours were all asked once before."""
    for name, task in tasks.items():
        for query in queries if name in OURS else queries[:WARM]:
            task(query)

    def over(task: Callable[[str], object]) -> Callable[[], object]:
        turn = cycle(queries)
        return lambda: task(next(turn))

    # The pause lets the threads of the one before go to sleep.
    pause = 0.01 if set(tasks) - set(OURS) else 0.0
    return interleave(
        {name: over(task) for name, task in tasks.items()}, setup.rounds(rounds), pause=pause
    )


def _each(task: Callable[[str], object], queries: Sequence[str]) -> Times:
    """Seconds of each query, once."""
    times = np.zeros(len(queries))
    for row, query in enumerate(queries):
        start = time.perf_counter()
        task(query)
        times[row] = time.perf_counter() - start
    return times


def _tail(times: Times) -> str:
    return f"p99 {np.percentile(times, 99) / MILLISECOND:.2f} ms"


def _peers(times: dict[str, Times]) -> dict[str, float]:
    found = {}
    for name, seconds in times.items():
        if name != "qkv":
            found[name] = float(np.median(seconds))
            found[f"{name}, p99"] = float(np.percentile(seconds, 99))
    return found
