"""How wrong is attention that does not read every key? ``python benchmarks/attention_error.py``.

Output error ‖o − o*‖ / ‖o*‖ and error of the log-sum-exp, at β = 5, 10, 20 and 40, against the
share of the keys that are scored and against milliseconds. The values are the keys themselves.
Queries are vectors that are not stored. Each query is asked alone, all methods in turns; one thread
(``QKV_BENCH_THREADS``). The ways:

- *near + far*: near clusters and the best that the engine finds exactly, the rest by moments, at
  several widths of the near part;
- *top k*: softmax over the exact best k alone, which is what a vector store gives;
- *head + sample*: the best of the keys, as many as near + far is given by the engine, and a uniform
  sample of the rest, as many as its near part, weighed up (Mussmann & Ermon 2016);
- *exact*: every key.

The engine reads a four-bit code of every key, an eighth of the bytes; codes are not keys and are
not counted as such, but their milliseconds are. Settings were chosen on the first half of the
held-out queries; the tables are of queries from the second half, which nothing was chosen on.
Writes results/attention_error.{md,json,png}.
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
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np
from datasets import summaries
from defaults import Table
from encoded import remembering
from study import RESULTS, SEED, write

from qkv.attention import Dense, Partial, unit
from qkv.indexes import FlatIndex
from qkv.indexes.clusters import cluster
from qkv.indexes.engines import ENGINES
from qkv.indexes.near_far import NearFarIndex
from qkv.lexicon import Lexicon
from qkv.types import Floats

BETAS = (5, 10, 20, 40)
WIDTHS = (0.005, 0.01, 0.025, 0.05)
USUAL = 0.025
TOPS = (10, 100)
#: Vectors held out, and how many of each half are asked.
QUERIES, ASKED = 400, 100
TOLERANCES = (0.05, 0.02, 0.01)

#: query (1, d), β → output (width,), log-sum-exp, keys scored, estimated error.
Way = Callable[[Floats, float], tuple[Floats, float, int, float]]


@dataclass
class Asked:
    """What came of one way at one β: one entry a query."""

    wrong: list[float] = field(default_factory=list)
    lse: list[float] = field(default_factory=list)
    touched: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)

    def row(self) -> list[float]:
        """Median and 95th percentile of the error, and so on."""
        return [
            float(np.median(self.wrong)),
            float(np.quantile(self.wrong, 0.95)),
            float(np.median(np.abs(self.lse))),
            100 * float(np.median(self.touched)),
            1e3 * float(np.median(self.seconds)),
        ]


# ── data ─────────────────────────────────────────────────────────────────────────────────────


def glove() -> tuple[Floats, Floats]:
    """400,000 words; the queries are words that are taken out."""
    lexicon = Lexicon.glove()
    return _parted(np.asarray(lexicon.vectors) - lexicon.mean)


def texts(count: int = 250_000) -> tuple[Floats, Floats]:
    """Summaries of packages, by USE."""
    return _parted(np.asarray(remembering("use").encode(summaries(count)), dtype=np.float32))


def million() -> tuple[Floats, Floats]:
    """The same in 256 principal dimensions, four times over, with noise of a third of a length."""
    keys, queries = texts()
    _, axes = np.linalg.eigh(keys.T @ keys)
    keys, queries = keys @ axes[:, -256:], queries @ axes[:, -256:]
    rng = np.random.default_rng(SEED)
    many = np.empty((1_000_000, 256), dtype=np.float32)
    for start in range(0, len(many), len(keys)):
        some = keys[: len(many) - start]
        noise = rng.standard_normal(some.shape, dtype=np.float32) / 48
        many[start : start + len(some)] = unit(some) + noise
    return unit(many), unit(queries)


def _parted(vectors: Floats) -> tuple[Floats, Floats]:
    vectors = unit(np.ascontiguousarray(vectors, dtype=np.float32))
    order = np.random.default_rng(SEED).permutation(len(vectors))
    return np.delete(vectors, order[:QUERIES], axis=0), vectors[order[:QUERIES]]


# ── the ways ─────────────────────────────────────────────────────────────────────────────────


def near_far(index: NearFarIndex, values: Dense, tolerance: float | None = None) -> Way:
    """Near + far, counting what it scores."""
    scored = [0]
    plain = index._score

    def counted(*args: object) -> object:
        found = plain(*args)  # type: ignore[arg-type]
        scored[0] += len(found.scores)
        return found

    index.__dict__["_score"] = counted

    def ask(query: Floats, beta: float) -> tuple[Floats, float, int, float]:
        scored[0] = len(index._state.centroids)
        part = index.partial(query, values, temperature=1 / beta, tolerance=tolerance)
        told = 0.0 if part.error is None else float(part.error[0])
        count = len(index) if part.error is None else scored[0]
        return (*_read(part, beta), count, told)

    return ask


def exactly(index: FlatIndex, values: Dense) -> Way:
    """Every key."""

    def ask(query: Floats, beta: float) -> tuple[Floats, float, int, float]:
        return (*_read(index.partial(query, values, temperature=1 / beta), beta), len(index), 0.0)

    return ask


def best(index: NearFarIndex, keys: Floats, k: int) -> Way:
    """Softmax over the best k, as the engine and the vectors give them."""

    def ask(query: Floats, beta: float) -> tuple[Floats, float, int, float]:
        rows, scores = index.neighbours(query, k)
        weights = np.exp(beta * (scores[0] - scores[0, 0]))
        mass = float(weights.sum())
        return weights @ keys[rows[0]] / mass, np.log(mass) + beta * scores[0, 0], k, 0.0

    return ask


def sampled(index: NearFarIndex, keys: Floats, count: int) -> Way:
    """The best, and a uniform sample of the others."""
    rng = np.random.default_rng(SEED)
    head = max(100, min(300, len(keys) // 1000))  # as many as near + far

    def ask(query: Floats, beta: float) -> tuple[Floats, float, int, float]:
        rows, scores = index.neighbours(query, head)
        some = rng.integers(len(keys), size=count)
        some = some[~np.isin(some, rows[0])]
        more = keys[some]
        weights = np.exp(beta * (scores[0] - scores[0, 0]))
        rest = np.exp(beta * (more @ query[0] - scores[0, 0])) * ((len(keys) - head) / len(some))
        mass = float(weights.sum() + rest.sum())
        output = (weights @ keys[rows[0]] + rest @ more) / mass
        return output, np.log(mass) + beta * scores[0, 0], head + len(some), 0.0

    return ask


def _read(part: Partial, beta: float) -> tuple[Floats, float]:
    mass = float(part.mass[0])
    return part.output[0] / mass, float(np.log(mass) + beta * part.maximum[0])


# ── asking ───────────────────────────────────────────────────────────────────────────────────


def truth(keys: Floats, queries: Floats) -> dict[float, tuple[Floats, Floats]]:
    """Output and log-sum-exp of each β, in float64."""
    found = {}
    scores = (queries @ keys.T).astype(np.float64)
    top = scores.max(axis=1, keepdims=True)
    for beta in BETAS:
        weights = np.exp(beta * (scores - top))
        mass = weights.sum(axis=1)
        output = (weights / mass[:, None]).astype(np.float32) @ keys
        found[beta] = output, np.log(mass) + beta * top[:, 0]
    return found


def ask_all(
    ways: dict[str, Way], queries: Floats, known: dict[float, tuple[Floats, Floats]], n: int
) -> dict[tuple[str, float], Asked]:
    """Ask each query in each way, in turns."""
    results = {(name, beta): Asked() for name in ways for beta in BETAS}
    names = list(ways)
    for beta in BETAS:
        outputs, sums = known[beta]
        for i in range(len(queries)):
            for name in names[i % len(names) :] + names[: i % len(names)]:
                start = time.perf_counter()
                output, lse, count, told = ways[name](queries[i : i + 1], beta)
                seconds = time.perf_counter() - start
                asked = results[name, beta]
                wrong = np.linalg.norm(output - outputs[i]) / np.linalg.norm(outputs[i])
                asked.wrong.append(float(wrong))
                asked.lse.append(lse - float(sums[i]))
                asked.touched.append(count / n)
                asked.seconds.append(seconds)
                asked.told.append(told)
    return results


def measure(name: str, keys: Floats, queries: Floats, *, tuning: bool) -> Iterator[Table]:
    """All ways on one data set."""
    start = time.perf_counter()
    clusters = cluster(keys)
    clustered = time.perf_counter() - start
    keys = np.ascontiguousarray(keys[clusters.order()])
    engine = ENGINES["quantized"].build(keys)
    index = NearFarIndex.ordered(keys, clusters.starts(), clusters.centroids, engine=engine)
    print(f"{name}: {len(clusters)} clusters found in {clustered:.1f} s", flush=True)
    half = QUERIES // 2
    queries = (queries[:half] if tuning else queries[half:])[:ASKED]
    known, values, n = truth(keys, queries), Dense(keys), len(keys)
    wide = {width: index._with(near=width) for width in WIDTHS}
    index.partial(queries[:1], values, temperature=0.1)  # the moments of the values
    ways: dict[str, Way] = {"exact": exactly(FlatIndex(keys), values)}
    ways |= {f"top {k}": best(index, keys, k) for k in TOPS}
    ways["head + sample"] = sampled(index, keys, int(USUAL * n))
    ways |= {f"near {100 * w:g} % + far": near_far(wide[w], values) for w in WIDTHS}
    ways["near + far, no engine"] = near_far(index.with_engine(None), values)
    results = ask_all(ways, queries, known, n)
    for beta in BETAS:
        rows: list[list[object]] = [[way, *results[way, beta].row()] for way in ways]
        exact = float(rows[0][-1])  # type: ignore[arg-type]
        for row in rows:
            row.append(exact / float(row[-1]))  # type: ignore[arg-type]
        yield Table(
            f"{name}, β = {beta}",
            f"{n:,} × {keys.shape[1]}, {len(clusters):,} clusters, {len(queries)} queries.",
            ["", "median error", "95th percentile", "log-sum-exp, median error",
             "keys scored, %", "ms", "times faster than exact"],
            rows,
        )  # fmt: skip
    usual = f"near {100 * USUAL:g} % + far"
    rows = []
    for beta in BETAS:
        asked = results[usual, beta]
        rows.append([beta, *_coverage(asked)])
    pooled = Asked()
    for beta in BETAS:
        pooled.wrong += results[usual, beta].wrong
        pooled.told += results[usual, beta].told
    rows.append(["all", *_coverage(pooled)])
    yield Table(
        f"{name}: the estimate and the error",
        "Of near + far at its usual width. Covered: the error is no larger than the estimate.",
        ["β", "median error", "median estimate", "correlation", "covered", "covered by twice it"],
        rows,
    )
    asking = {f"{t:g}": near_far(index._with(), values, t) for t in TOLERANCES}
    results = ask_all(asking, queries[: ASKED // 2], known, n)
    rows = [
        [
            t,
            beta,
            *results[t, beta].row(),
            float(np.mean(np.array(results[t, beta].wrong) <= float(t))),
        ]
        for t in asking
        for beta in BETAS
    ]
    yield Table(
        f"{name}: with a tolerance",
        "``partial(…, tolerance=…)`` widens until the estimate is within it.",
        ["tolerance", "β", "median error", "95th percentile", "log-sum-exp, median error",
         "keys scored, %", "ms", "share within"],
        rows,
    )  # fmt: skip


def _coverage(asked: Asked) -> list[float]:
    wrong, told = np.array(asked.wrong), np.array(asked.told)
    return [
        float(np.median(wrong)),
        float(np.median(told)),
        float(np.corrcoef(wrong, told)[0, 1]),
        float((wrong <= told).mean()),
        float((wrong <= 2 * told).mean()),
    ]


def picture(tables: list[Table]) -> None:
    """Error against work, a panel for each data set and β."""
    from matplotlib.figure import Figure

    shown = [table for table in tables if "β = " in table.title]
    columns = len(BETAS)
    figure = Figure(figsize=(3 * columns, 2.8 * len(shown) / columns), layout="constrained")
    panels = figure.subplots(len(shown) // columns, columns, squeeze=False).ravel()
    for panel, table in zip(panels, shown, strict=True):
        for label, colour in (("near", "C0"), ("top", "C3"), ("head", "C2")):
            rows = [row for row in table.rows if row[0].startswith(label) and "no" not in row[0]]
            panel.plot([row[4] for row in rows], [row[1] for row in rows], "o-", c=colour, ms=3)
        panel.axhline(0.02, c="0.7", lw=0.8)
        panel.set(xscale="log", yscale="log", title=table.title)
        panel.title.set_fontsize(8)
        panel.tick_params(axis="y", which="minor", labelleft=False)
    figure.supxlabel("keys scored, % (blue near + far, red top k, green head + sample)", fontsize=9)
    figure.supylabel("median output error", fontsize=9)
    figure.savefig(RESULTS / "attention_error.png", dpi=110)


SETS = {"GloVe": glove, "texts, USE": texts, "texts, a million": million}


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=list(SETS), help="data sets")
    parser.add_argument("--tuning", action="store_true", help="ask the first half; print only")
    options = parser.parse_args()
    tables = []
    for name in options.only or SETS:
        for table in measure(name, *SETS[name](), tuning=options.tuning):
            print(table.markdown(), flush=True)
            tables.append(table)
    if not options.tuning and not options.only:
        write("attention_error", "Attention that does not read every key", tables,
              turbovec=version("turbovec"))  # fmt: skip
        picture(tables)


if __name__ == "__main__":
    main()
