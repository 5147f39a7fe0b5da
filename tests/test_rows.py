"""Rows: they grow, and those who read the beginning never notice."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qkv.rows import Rows


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=15))
def test_every_version_keeps_its_rows(steps):
    """Append to any earlier version, in any order: a tree of matrices that share memory."""
    versions = [(Rows(np.zeros((1, 2), dtype=np.float32)), np.zeros((1, 2)))]
    for number, (size, back) in enumerate(steps, start=1):
        rows, truth = versions[max(0, len(versions) - 1 - back)]
        more = np.full((size, 2), number, dtype=np.float32)
        versions.append((rows.append(more), np.vstack((truth, more))))
    for rows, truth in versions:
        np.testing.assert_array_equal(rows.matrix, truth)
        assert len(rows) == len(truth)


def test_single_appends_rarely_copy():
    rows = Rows(np.zeros((0, 1), dtype=np.float32))
    memory = set()
    for i in range(5000):
        rows = rows.append(np.array([[i]], dtype=np.float32))
        memory.add(rows.matrix.__array_interface__["data"][0])
    assert len(memory) < 20
    assert rows.matrix[:, 0].tolist() == list(range(5000))
