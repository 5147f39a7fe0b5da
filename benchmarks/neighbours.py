"""Who finds the ten nearest keys, how surely and how fast? ``python benchmarks/neighbours.py``.

Every method gets the same vectors and the same held-out queries; the truth is the exact index's.
Where a method can look harder or less hard, several settings are tried and the quickest that finds
99 % is shown, or the one that finds most if none does. One query at a time, all methods in turns in
rotating order, and then the queries as one batch. One thread each (``QKV_BENCH_THREADS``).

Graphs take minutes to build, so they are built only for up to ``--graphs`` × 10⁶ numbers.
To add a method, write a function and name it in `METHODS`. Writes results/neighbours.{md,json}.
"""

from __future__ import annotations

import os

os.environ |= dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"),
    os.environ.get("QKV_BENCH_THREADS", "1"),
)

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

import numpy as np
from datasets import summaries
from defaults import Table
from encoded import remembering
from measure import Quiet, interleave
from study import SEED, write

from qkv import Database
from qkv.attention import unit
from qkv.indexes import FlatIndex
from qkv.indexes.engines import ENGINES, AnyEngine
from qkv.lexicon import Lexicon
from qkv.types import Floats, Integers

THREADS = int(os.environ["OMP_NUM_THREADS"])
K = 10
QUERIES = 200
WANTED = 0.99
#: (queries) → rows, array (m, c): candidates or the best K.
Search = Callable[[Floats], Integers]


@dataclass(frozen=True)
class Setting:
    """One way to ask a method."""

    name: str
    search: Search
    #: Whether it answers with candidates that someone must still score.
    bare: bool = False


# ── the methods: keys → how they may be asked ────────────────────────────────────────────────


def database(keys: Floats) -> Iterator[Setting]:
    db = Database(encoder=None, lexicon=None)
    db.update(((str(i), i) for i in range(len(keys))), vectors=keys)
    db.compact()

    def search(queries: Floats) -> Integers:
        found = db.search(list(queries), K)
        return np.array([[match.value for match in one] for one in found], dtype=np.int64)

    yield Setting(db.index, search)


def flat(keys: Floats) -> Iterator[Setting]:
    index = FlatIndex(keys)
    yield Setting("", lambda queries: index.neighbours(queries, K)[0])


def quantized(keys: Floats) -> Iterator[Setting]:
    engine = ENGINES["quantized"].build(keys)
    candidates = engine.nearest(keys[:1], K).shape[1]
    yield Setting(f"{candidates} rescored", _rescored(engine, keys))


def hnsw(keys: Floats) -> Iterator[Setting]:
    engine = ENGINES["hnsw"].build(keys)
    yield Setting(f"efSearch {engine.effort}", _rescored(engine, keys))


def ivf(keys: Floats) -> Iterator[Setting]:
    engine = ENGINES["ivf"].build(keys)
    yield Setting(f"nprobe {engine.effort}", _rescored(engine, keys))


def turbovec_bare(keys: Floats) -> Iterator[Setting]:
    """The engine of `quantized`, asked for as many candidates, which nobody scores."""
    from turbovec import IdMapIndex

    engine = ENGINES["quantized"].build(keys)
    candidates = engine.nearest(keys[:1], K).shape[1]
    width = engine._width
    del engine
    index = IdMapIndex(dim=width, bit_width=4)
    index.add_with_ids(_wide(keys, width), np.arange(len(keys), dtype=np.uint64))
    index.prepare()

    def search(queries: Floats) -> Integers:
        found: Integers = index.search(_wide(queries, width), k=candidates)[1].astype(np.int64)
        return found

    yield Setting(f"{candidates} not rescored", search, bare=True)


def turbovec_alone(keys: Floats) -> Iterator[Setting]:
    """As its page shows it: its own ten best, padded to eights."""
    from turbovec import IdMapIndex

    width = -(-keys.shape[1] // 8) * 8
    index = IdMapIndex(dim=width, bit_width=4)
    index.add_with_ids(_wide(keys, width), np.arange(len(keys), dtype=np.uint64))
    index.prepare()
    yield Setting(
        "its own scores",
        lambda queries: index.search(_wide(queries, width), k=K)[1].astype(np.int64),
    )


def faiss_flat(keys: Floats) -> Iterator[Setting]:
    import faiss

    index = faiss.IndexFlatIP(keys.shape[1])
    index.add(keys)
    yield Setting("", lambda queries: index.search(queries, K)[1])


def faiss_ivf(keys: Floats) -> Iterator[Setting]:
    import faiss

    lists = round(2 * np.sqrt(len(keys)))
    centres = faiss.IndexFlatIP(keys.shape[1])
    index = faiss.IndexIVFFlat(centres, keys.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
    index.train(keys[np.random.default_rng(SEED).permutation(len(keys))[: 50 * lists]])
    index.add(keys)
    for probes in (8, 16, 32, 64, 128, 256, 512):
        asked = faiss.SearchParametersIVF(nprobe=probes)
        yield Setting(
            f"nprobe {probes} of {lists}",
            lambda queries, asked=asked: index.search(queries, K, params=asked)[1],
        )


def faiss_hnsw(keys: Floats) -> Iterator[Setting]:
    import faiss

    index = faiss.IndexHNSWFlat(keys.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 100
    index.add(keys)
    for effort in (32, 64, 128, 256, 512, 1024):
        asked = faiss.SearchParametersHNSW(efSearch=effort)
        yield Setting(
            f"efSearch {effort}",
            lambda queries, asked=asked: index.search(queries, K, params=asked)[1],
        )


def usearch(keys: Floats) -> Iterator[Setting]:
    from usearch.index import Index

    index = Index(ndim=keys.shape[1], metric="ip", dtype="f32", connectivity=16, expansion_add=100)
    index.add(np.arange(len(keys)), keys, threads=THREADS)

    def search(queries: Floats, effort: int) -> Integers:
        index.expansion_search = effort
        found = index.search(queries, K, threads=THREADS).keys
        return np.asarray(found, dtype=np.int64).reshape(len(queries), -1)

    for effort in (32, 64, 128, 256, 512, 1024):
        yield Setting(f"expansion {effort}", lambda queries, effort=effort: search(queries, effort))


def hnswlib(keys: Floats) -> Iterator[Setting]:
    import hnswlib as library

    index = library.Index("ip", keys.shape[1])
    index.init_index(len(keys), M=16, ef_construction=100, random_seed=SEED)
    index.set_num_threads(THREADS)
    index.add_items(keys)

    def search(queries: Floats, effort: int) -> Integers:
        index.set_ef(effort)
        return np.asarray(index.knn_query(queries, K)[0], dtype=np.int64)

    for effort in (32, 64, 128, 256, 512, 1024):
        yield Setting(f"ef {effort}", lambda queries, effort=effort: search(queries, effort))


#: Name → function, and the package that it needs.
METHODS: dict[str, tuple[Callable[[Floats], Iterator[Setting]], str]] = {
    "qkv, Database.search": (database, "qkv"),
    "qkv flat": (flat, "qkv"),
    "qkv quantized": (quantized, "turbovec"),
    "qkv hnsw": (hnsw, "faiss"),
    "qkv ivf": (ivf, "faiss"),
    "turbovec, bare": (turbovec_bare, "turbovec"),
    "turbovec, alone": (turbovec_alone, "turbovec"),
    "faiss Flat": (faiss_flat, "faiss"),
    "faiss IVF": (faiss_ivf, "faiss"),
    "faiss HNSW": (faiss_hnsw, "faiss"),
    "usearch": (usearch, "usearch"),
    "hnswlib": (hnswlib, "hnswlib"),
}
GRAPHS = {"qkv hnsw", "faiss HNSW", "usearch", "hnswlib"}


def _rescored(engine: AnyEngine, keys: Floats) -> Search:
    """The best K of an engine's candidates, by their exact scores."""

    def search(queries: Floats) -> Integers:
        rows = engine.nearest(queries, K)
        scores = np.empty(rows.shape, dtype=np.float32)
        for query, some, out in zip(queries, rows, scores, strict=True):
            np.matmul(keys[some], query, out=out)
        scores[rows < 0] = -np.inf
        best = np.argpartition(-scores, K - 1, axis=1)[:, :K]
        best = np.take_along_axis(
            best, np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1), axis=1
        )
        return np.take_along_axis(rows, best, axis=1)

    return search


def _wide(vectors: Floats, width: int) -> Floats:
    if vectors.shape[1] == width:
        return vectors
    return np.pad(vectors, ((0, 0), (0, width - vectors.shape[1])))


# ── the data: keys and held-out queries ──────────────────────────────────────────────────────


def glove() -> tuple[Floats, Floats]:
    """Words by GloVe 6B 50d, the mean of the commonest taken off."""
    vectors = np.array(Lexicon.glove().vectors, dtype=np.float32)
    return _held_out(unit(vectors - vectors[:50_000].mean(axis=0)))


def common() -> tuple[Floats, Floats]:
    """The commonest 100,000 of them: few enough for graphs."""
    vectors = np.array(Lexicon.glove().vectors[:100_000], dtype=np.float32)
    return _held_out(unit(vectors - vectors[:50_000].mean(axis=0)))


def texts() -> tuple[Floats, Floats]:
    """One-line summaries of Python packages, by USE."""
    encoded = remembering("use").encode(list(summaries(250_000)))
    return _held_out(unit(np.asarray(encoded, dtype=np.float32)))


def million() -> tuple[Floats, Floats]:
    """The same, projected to 256 dimensions and repeated four times with noise of length 0.3."""
    rng = np.random.default_rng(SEED)
    keys, queries = texts()
    turn = rng.standard_normal((keys.shape[1], 256), dtype=np.float32) / 16
    keys, queries = unit(keys @ turn), unit(queries @ turn)
    noise = [rng.standard_normal(keys.shape, dtype=np.float32) * np.float32(0.3 / 16)] * 3
    noise = [one[rng.permutation(len(one))] for one in noise]
    return unit(np.vstack((keys, *(keys + one for one in noise)))), queries


DATA = {"GloVe": glove, "common words": common, "texts": texts, "a million": million}


def _held_out(vectors: Floats) -> tuple[Floats, Floats]:
    order = np.random.default_rng(SEED).permutation(len(vectors))
    asked, kept = order[:QUERIES], np.sort(order[QUERIES:])
    return np.ascontiguousarray(vectors[kept]), np.ascontiguousarray(vectors[asked])


# ── measuring ────────────────────────────────────────────────────────────────────────────────


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-write", action="store_true", help="print only")
    parser.add_argument("--data", nargs="*", choices=DATA, default=list(DATA))
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--graphs", type=float, default=6, help="10⁶ numbers, for graphs")
    options = parser.parse_args()
    tables = []
    for name in options.data:
        keys, queries = DATA[name]()
        tables.append(_table(name, keys, queries, options.methods, options.graphs))
        print(tables[-1].markdown(), flush=True)
    if not options.no_write:
        write("neighbours", "Neighbours: recall against time", tables, **_versions())


def _table(name: str, keys: Floats, queries: Floats, methods: list[str], graphs: float) -> Table:
    quiet = Quiet()
    worst = FlatIndex(keys).neighbours(queries, K)[1][:, -1]
    chosen: dict[str, tuple[Setting, float, float]] = {}
    left_out = []
    for method in methods:
        make, package = METHODS[method]
        if not find_spec(package) or (method in GRAPHS and keys.size > graphs * 1e6):
            left_out.append(method)
            continue
        start = time.perf_counter()
        settings = make(keys)
        first = next(settings)
        built = time.perf_counter() - start
        best, recall = first, _recall(first, keys, queries, worst)
        for setting in settings:
            if recall >= WANTED:
                break
            found = _recall(setting, keys, queries, worst)
            best, recall = (setting, found) if found > recall else (best, recall)
        chosen[method] = best, recall, built
        print(f"{name}: {method} {best.name}: {recall:.4f}, built in {built:.1f} s", flush=True)
    times = interleave(
        {method: _one_by_one(setting, queries) for method, (setting, _, _) in chosen.items()},
        len(queries),
    )
    batch = interleave(
        {
            method: lambda setting=setting: setting.search(queries)
            for method, (setting, _, _) in chosen.items()
        },
        3,
        warm=0,
    )
    rows: list[list[object]] = []
    for method, (setting, recall, built) in chosen.items():
        low, p50, p99 = np.percentile(times[method], (10, 50, 99)) * 1e3
        rate = len(queries) / float(np.median(batch[method]))
        rows.append(
            [method, setting.name, f"{recall:.4f}", *map(float, (low, p50, p99)), round(rate),
             f"{built:.1f}"]
        )  # fmt: skip
    missing = (
        f" Left out (not installed, or slow to build): {', '.join(left_out)}." if left_out else ""
    )
    ratio = ""
    for ours in ("qkv quantized", "qkv, Database.search"):
        if {ours, "turbovec, bare"} <= set(times):
            rounds = np.median(times[ours] / times["turbovec, bare"])
            ratio += f" {ours} takes {rounds:.2f} × turbovec bare (median of rounds)."
    return Table(
        f"{name}: {len(keys):,} × {keys.shape[1]}",
        f"{DATA[name].__doc__} {len(queries)} held-out queries, k = {K}, threads: {THREADS}; times "
        f"in milliseconds. Others kept {quiet.others()} cores busy meanwhile.{ratio}{missing}",
        ["method", "setting", "recall@10", "p10", "p50", "p99", "queries/s in a batch", "build, s"],
        rows,
    )


def _one_by_one(setting: Setting, queries: Floats) -> Callable[[], object]:
    turn = iter(range(10**9))
    return lambda: setting.search(queries[(i := next(turn) % len(queries)) : i + 1])


def _recall(setting: Setting, keys: Floats, queries: Floats, worst: Floats) -> float:
    """Share of the ten best that were found, rows that tie with the tenth counting alike."""
    hits = 0
    for query, rows, floor in zip(queries, setting.search(queries), worst, strict=True):
        real = rows[rows >= 0]
        hits += min(K, int((keys[real] @ query >= floor - 1e-6).sum()))
    return hits / (K * len(queries))


def _versions() -> dict[str, str]:
    found = {}
    for package in ("turbovec", "faiss-cpu", "usearch", "hnswlib"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
