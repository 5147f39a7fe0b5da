"""Snapshot: catching up step by step is the same as reading everything."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from qkv.attention import prepare
from qkv.snapshot import Snapshot
from qkv.tables import Tables
from qkv.types import Metric

KEYS = st.sampled_from("abcdefgh")
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "move", "pop", "clear", "read"]), KEYS, st.integers(0, 3)),
    max_size=25,
)


def content(snapshot, metric):
    """Live records as {id: (value, score)}, and how many hold each value."""
    as_scored = Metric.DOT if metric is Metric.COSINE else metric
    query = prepare(np.ones((1, 2), dtype=np.float32), as_scored, side="query")
    rows, scores = snapshot.index.neighbours(query, 100)
    found = {
        int(snapshot.records[row]): (
            snapshot.distinct[int(snapshot.group_ids()[row])],
            round(float(score), 4),
        )
        for row, score in zip(rows[0], scores[0], strict=True)
        if row >= 0
    }
    counts = {snapshot.distinct[i]: int(n) for i, n in enumerate(snapshot.counts.tolist()) if n > 0}
    return found, counts


@given(STEPS, st.sampled_from(list(Metric)))
@settings(max_examples=150)
def test_catching_up_equals_reading_anew(steps, metric):
    tables = Tables(None)
    snapshot = Snapshot.blank()
    for number, (step, key, value) in enumerate(steps):
        if step == "read":
            snapshot = snapshot.advance(tables, metric)
        elif step == "pop":
            tables.pop(key)
        elif step == "clear":
            tables.clear()
        else:
            vector = np.array([number + 1, value], dtype="<f4").tobytes()
            known = bool(tables.known([key]))
            kept = None if step == "put" and known else vector
            tables.put([key], [("text", f"v{value}")], [kept], lambda _: [])
    caught_up = snapshot.advance(tables, metric)
    anew = Snapshot.blank().advance(tables, metric)
    assert content(caught_up, metric) == content(anew, metric)
    assert len(caught_up) == len(anew) == len(tables)
    assert caught_up.version == tables.version()
    tables.close()


def test_an_old_snapshot_stays_as_it_was():
    tables = Tables(None)
    vector = np.ones(2, dtype="<f4").tobytes()
    tables.put(["a", "b"], [("text", "x"), ("text", "y")], [vector, vector], lambda _: [])
    old = Snapshot.blank().advance(tables, Metric.DOT)
    before = content(old, Metric.DOT)
    tables.pop("a")
    tables.put(["b", "c"], [("text", "z")] * 2, [None, vector], lambda _: [])
    old.advance(tables, Metric.DOT)
    assert content(old, Metric.DOT) == before


def test_values_are_told_apart_only_where_they_repeat():
    tables = Tables(None)
    vector = np.ones(2, dtype="<f4").tobytes()
    tables.put(["a", "b"], [("text", "x"), ("text", "y")], [vector, vector], lambda _: [])
    snapshot = Snapshot.blank().advance(tables, Metric.DOT)
    assert snapshot.all_distinct
    tables.put(["c"], [("text", "x")], [vector], lambda _: [])
    assert not snapshot.advance(tables, Metric.DOT).all_distinct
