"""A batch of queries at once: how much of the machine's matrix-product rate is left."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from measure import Row, Setup, Times, interleave, medians, ratio, square_sgemm
from stores import LABELS, Data, load, make

import qkv
from qkv.types import Floats

GOAL = 0.5


def run(setup: Setup) -> list[Row]:
    """Vector values, which are two matrix products; and labels, which are one."""
    data = make(setup)
    return [*_vectors(data, setup), _labels(data, setup)]


def _softmax(scores: Floats, temperature: float) -> Floats:
    scores -= scores.max(axis=1, keepdims=True)
    scores /= np.float32(temperature)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return scores


def _gflops(flops: float, times: Times) -> float:
    return flops / float(np.median(times)) / 1e9


def _vectors(data: Data, setup: Setup) -> list[Row]:
    db = load(data, list(data.V))
    db.calibrate()  # or it would do so meanwhile
    temperature = db.attend(data.Q[0]).temperature
    weights = np.random.default_rng(setup.seed).random((setup.batch, setup.n), dtype=np.float32)
    square, square_flops = square_sgemm()

    def bare() -> Floats:
        return _softmax(data.Q @ data.K.T, temperature) @ data.V

    found = db.attend(data.Q, temperature=temperature)
    assert np.allclose([a.output for a in found], bare(), atol=1e-4), "both must say the same"
    ways = {
        "calibrated": lambda: db.attend(data.Q),
        "at a given temperature": lambda: db.attend(data.Q, temperature=temperature),
    }
    peers = {
        "NumPy": bare,
        "Q @ K.T": lambda: data.Q @ data.K.T,
        "W @ V": lambda: weights @ data.V,
    }
    times = interleave({**ways, **peers, "sgemm 2048³": square}, setup.rounds(25))
    flops = 2.0 * setup.batch * setup.n * (data.K.shape[1] + data.V.shape[1])
    rate = _gflops(square_flops, times["sgemm 2048³"])
    return [
        _row(f"{_size(setup)}, vector values, {way}", times, way, flops, rate, square_flops, peers)
        for way in ways
    ]


def _size(setup: Setup) -> str:
    return f"{setup.batch} queries, {setup.n:,} × {setup.d}"


def _row(
    what: str,
    times: dict[str, Times],
    way: str,
    flops: float,
    rate: float,
    square_flops: float,
    peers: Iterable[str],
) -> Row:
    share = flops / square_flops / ratio(times[way], times["sgemm 2048³"])
    return Row.of(
        what,
        times[way],
        figure=f"{_gflops(flops, times[way]):.0f} GFLOP/s, {share:.0%} of sgemm",
        goal=f"> {GOAL:.0%} of the sgemm rate",
        met=share > GOAL,
        floor=flops / rate / 1e9,
        floor_is=f"{flops / 1e9:.3g} GFLOP at {rate:.0f} GFLOP/s (sgemm 2048³)",
        peers=medians(times, *peers),
    )


def _labels(data: Data, setup: Setup) -> Row:
    db: qkv.Database = load(data, data.label_values)
    db.calibrate()
    square, square_flops = square_sgemm()
    one_hot = np.eye(LABELS, dtype=np.float32)[data.label_ids]
    temperature = db.attend(data.Q[0]).temperature
    times = interleave(
        {
            "qkv": lambda: db.attend(data.Q),
            "NumPy": lambda: _softmax(data.Q @ data.K.T, temperature) @ one_hot,
            "sgemm 2048³": square,
        },
        setup.rounds(15),
    )
    flops = 2.0 * setup.batch * setup.n * setup.d
    rate = _gflops(square_flops, times["sgemm 2048³"])
    return Row.of(
        f"{setup.batch} queries, {LABELS} distinct labels",
        times["qkv"],
        figure=f"{ratio(times['qkv'], times['NumPy']):.2f} × NumPy",
        floor=flops / rate / 1e9,
        floor_is=f"{flops / 1e9:.3g} GFLOP at {rate:.0f} GFLOP/s (sgemm 2048³)",
        peers=medians(times, "NumPy"),
    )
