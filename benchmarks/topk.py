"""The best k: of a row of scores beside NumPy, and of a store beside faiss and scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from measure import Row, Setup, fastest_read, interleave, medians, ratio, readers, square_sgemm
from stores import Data, load, make

from qkv.ranking import top_k
from qkv.types import Floats

K = 10


def run(setup: Setup) -> list[Row]:
    """One query, and a batch."""
    data = make(setup)
    rows = [_scores(data.Q[:m] @ data.K.T, setup) for m in (1, setup.batch)]
    return rows + [_search(data, m, setup) for m in (1, setup.batch)]


def _partition(scores: Floats) -> tuple[np.ndarray, Floats]:
    """What one writes with NumPy alone: partition, then sort the few."""
    places = np.argpartition(scores, -K, axis=1)[:, -K:]
    best = np.take_along_axis(scores, places, axis=1)
    order = np.argsort(-best, axis=1)
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(best, order, axis=1)


def _scores(scores: Floats, setup: Setup) -> Row:
    assert (top_k(scores, K)[0] == _partition(scores)[0]).all(), "both must find the same"
    tasks: dict[str, Callable[[], object]] = {
        "qkv": lambda: top_k(scores, K),
        "NumPy argpartition": lambda: _partition(scores),
    }
    size = scores.nbytes / 1e6
    times = interleave(tasks | readers(size), setup.rounds(200 if len(scores) == 1 else 15))
    floor, _ = fastest_read(times)
    against = ratio(times["qkv"], times["NumPy argpartition"])
    return Row.of(
        f"top {K} of scores ({len(scores)}, {scores.shape[1]:,})",
        times["qkv"],
        figure=f"{against:.2f} × argpartition",
        goal="≤ 1 × argpartition",
        met=against <= 1,
        floor=floor,
        floor_is=f"reading the scores, {size:.3g} MB at {size / floor / 1e3:.1f} GB/s",
        peers=medians(times, "NumPy argpartition"),
    )


def _search(data: Data, m: int, setup: Setup) -> Row:
    db = load(data, data.label_values)
    queries = data.Q[:m]
    square, square_flops = square_sgemm()
    peers = _peers(data, queries)
    tasks: dict[str, Callable[[], object]] = {
        "qkv": lambda: db.search(queries, k=K),
        "sgemm 2048³": square,
    }
    size = data.K.nbytes / 1e6
    times = interleave(tasks | peers | readers(size), setup.rounds(20 if m == 1 else 10), pause=0.4)
    read, _ = fastest_read(times)
    rate = square_flops / float(np.median(times["sgemm 2048³"]))
    multiply = 2.0 * m * data.K.size / rate
    fast = ", ".join(f"{ratio(times['qkv'], times[name]):.2f} × {name}" for name in peers)
    return Row.of(
        f"search, {m} quer{'y' if m == 1 else 'ies'}, k = {K}, {setup.n:,} × {setup.d}",
        times["qkv"],
        figure=fast,
        floor=max(read, multiply),
        floor_is="the larger of reading K and multiplying by it",
        peers=medians(times, *peers),
    )


def _peers(data: Data, queries: Floats) -> dict[str, Callable[[], object]]:
    """Exact neighbours by others, where they are installed: `pip install --group bench`."""
    peers: dict[str, Callable[[], object]] = {}
    try:
        import faiss
    except ImportError:
        print("  faiss-cpu is not installed: left out")
    else:
        index = faiss.IndexFlatIP(data.K.shape[1])
        index.add(data.K)
        peers["faiss"] = lambda: index.search(queries, K)
    try:
        from sklearn.neighbors import NearestNeighbors
    except ImportError:
        print("  scikit-learn is not installed: left out")
    else:
        # On unit vectors the euclidean order is the order by dot product.
        model = NearestNeighbors(n_neighbors=K, algorithm="brute").fit(data.K)
        peers["scikit-learn"] = lambda: model.kneighbors(queries)
    return peers
