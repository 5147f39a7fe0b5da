"""The demo shows what it says it shows."""

from __future__ import annotations

import io

from rich.console import Console

from qkv.demo import CAPITALS, halves, run


def test_the_demo_runs_and_reports():
    out = io.StringIO()
    run(Console(file=out, width=160))
    text = out.getvalue()
    first, *_ = text.split("2  A relation")
    assert first.count("✓ stored") == 12
    assert "✗" not in first
    assert "Right at first place: 6 of 6 with the defaults." in text
    assert "5 of 5 are right at first place" in text
    assert "stored" in text
    assert "imagined" in text


def test_halves_are_halves():
    stored, asked = halves(CAPITALS, 3)
    assert len(stored) == len(asked) == 58
    assert stored | asked == CAPITALS
    assert halves(CAPITALS, 3) == (stored, asked)
    assert halves(CAPITALS, 4) != (stored, asked)
