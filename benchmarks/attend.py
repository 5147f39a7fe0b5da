"""One exact attend: every key is read for one query. Beside it, NumPy on the same arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle

import numpy as np
from measure import Row, Setup, Times, fastest_read, interleave, medians, ratio, readers
from stores import LABELS, Data, load, make

import qkv
from qkv.types import Floats

GOAL = 1.3


def run(setup: Setup) -> list[Row]:
    """Vector values, labels, and labels that are words (which the store may imagine from)."""
    data = make(setup)
    return [_vectors(data, setup), _labels(data, setup), _words(data, setup)]


def _softmax(scores: Floats, temperature: float) -> Floats:
    scores -= scores.max()
    scores /= np.float32(temperature)
    np.exp(scores, out=scores)
    scores /= scores.sum()
    return scores


def _compare(
    db: qkv.Database, data: Data, bare: Callable[[Floats], object], megabytes: float, setup: Setup
) -> dict[str, Times]:
    ours, theirs = _queries(data), _queries(data)
    tasks: dict[str, Callable[[], object]] = {
        "qkv": lambda: db.attend(next(ours)),
        "NumPy": lambda: bare(next(theirs)),
    }
    return interleave(tasks | readers(megabytes), setup.rounds(100), warm=3)


def _queries(data: Data) -> Iterator[Floats]:
    return cycle(list(data.Q))


def _vectors(data: Data, setup: Setup) -> Row:
    db = load(data, list(data.V))
    db.calibrate()  # or it would do so meanwhile
    temperature = db.attend(data.Q[0]).temperature

    def bare(q: Floats) -> Floats:
        return _softmax(data.K @ q, temperature) @ data.V

    found = db.attend(data.Q[0], temperature=temperature).output
    assert np.allclose(found, bare(data.Q[0]), atol=1e-4), "qkv and NumPy must say the same"
    size = (data.K.nbytes + data.V.nbytes) / 1e6
    times = _compare(db, data, bare, size, setup)
    floor, _ = fastest_read(times)
    times_bare = ratio(times["qkv"], times["NumPy"])
    return Row.of(
        f"one query, {setup.n:,} × {setup.d}, vector values",
        times["qkv"],
        figure=f"{times_bare:.2f} × NumPy",
        goal=f"≤ {GOAL} × NumPy",
        met=times_bare <= GOAL,
        floor=floor,
        floor_is=f"reading K and V, {size:.0f} MB at {size / floor / 1e3:.1f} GB/s",
        peers=medians(times, "NumPy"),
    )


def _label_row(what: str, db: qkv.Database, data: Data, setup: Setup) -> Row:
    db.calibrate()
    temperature = db.attend(data.Q[0]).temperature

    def bare(q: Floats) -> Floats:
        weights = _softmax(data.K @ q, temperature)
        return np.bincount(data.label_ids, weights=weights, minlength=LABELS)

    size = data.K.nbytes / 1e6
    times = _compare(db, data, bare, size, setup)
    floor, _ = fastest_read(times)
    return Row.of(
        what,
        times["qkv"],
        figure=f"{ratio(times['qkv'], times['NumPy']):.2f} × NumPy",
        floor=floor,
        floor_is=f"reading K, {size:.0f} MB at {size / floor / 1e3:.1f} GB/s",
        peers=medians(times, "NumPy"),
    )


def _labels(data: Data, setup: Setup) -> Row:
    db = load(data, data.label_values)
    return _label_row(f"one query, {LABELS} distinct labels", db, data, setup)


def _words(data: Data, setup: Setup) -> Row:
    lexicon = qkv.Lexicon.glove()
    words = [word for word in lexicon.words[1000:5000] if word.isalpha()][:LABELS]
    db = load(data, [words[i] for i in data.label_ids], lexicon=lexicon)
    what = f"one query, {LABELS} words for labels, imagining from 100,000"
    return _label_row(what, db, data, setup)
