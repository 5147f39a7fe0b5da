"""Texts longer than a model reads: cut into windows, and their vectors pooled."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from qkv.attention import unit
from qkv.types import Floats

__all__ = ["in_windows", "windows"]

_SPACE = re.compile(r"\s+")


def windows(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Cut a text in halves, and these again, until each piece fits.

    Halves are as equal as the white space allows; a text without any is cut in the middle.

    Examples
    --------
    >>> windows("one two three four five six", lambda piece: len(piece) <= 10)
    ['one two', 'three', 'four', 'five six']
    """
    if fits(text) or len(text) < 2:
        return [text]
    middle = len(text) / 2
    gaps = [m for m in _SPACE.finditer(text) if m.start() > 0 and m.end() < len(text)]
    if gaps:
        gap = min(gaps, key=lambda m: abs((m.start() + m.end()) / 2 - middle))
        left, right = text[: gap.start()], text[gap.end() :]
    else:
        left, right = text[: int(middle)], text[int(middle) :]
    return [*windows(left, fits), *windows(right, fits)]


def in_windows(
    encode: Callable[[list[str]], Floats], texts: Sequence[str], fits: Callable[[str], bool]
) -> Floats:
    """Encode texts of any length with a model that reads a limited one.

    A text that does not fit is cut into `windows`; its vector is the mean of theirs, weighted by
    their lengths.

    Parameters
    ----------
    encode : callable
        Turns m texts, each of which fits, into an array (m, d).
    texts : sequence of str
    fits : callable
        Whether the model reads all of a text.

    Returns
    -------
    array (n, d), float32, rows of length one, or of zeros where the model gave zeros
    """
    pieces: list[str] = []
    owners: list[int] = []
    for row, text in enumerate(texts):
        for piece in windows(text, fits):
            pieces.append(piece)
            owners.append(row)
    vectors = unit(np.asarray(encode(pieces), dtype=np.float32))
    if len(pieces) == len(texts):
        return vectors
    lengths = np.array([[len(piece)] for piece in pieces], dtype=np.float32)
    pooled = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
    np.add.at(pooled, owners, lengths * vectors)
    return unit(pooled)
