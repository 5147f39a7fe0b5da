"""The similarity matrix: every query beside every key, in the store's metric."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qkv.attention import product
from qkv.errors import InputError, VectorError
from qkv.projection import projected
from qkv.space import Query, Space
from qkv.tables import VECTOR, Tables, unpacked
from qkv.types import Floats, Metric

__all__ = ["SimilarityMatrix", "similarity"]

#: Most cells of a matrix: 1.6 GB.
_CELLS = 20_000**2
#: Rows and columns that are printed.
_PRINTED = 10
_WIDEST = 24


@dataclass(frozen=True, eq=False, repr=False)
class SimilarityMatrix:
    """How alike each query and each key are.

    Attributes
    ----------
    queries : tuple of str
        What the rows are: texts; the i-th query, if it is a vector, is called "vector i".
    keys : tuple of str
        What the columns are.
    scores : array (m, n), float32, read-only
        Larger is more alike. Under cosine −1 … 1, and 1 for a text and itself; euclidean is
        −½‖q − k‖², 0 for a text and itself.
    metric : Metric

    Examples
    --------
    >>> import numpy as np
    >>> matrix = SimilarityMatrix(("up",), ("up", "down"), np.array([[1.0, -1.0]]), Metric.COSINE)
    >>> matrix
    <SimilarityMatrix 1 query × 2 keys, cosine>
          up   down
    up  1.00  -1.00
    >>> np.asarray(matrix).sum()
    np.float64(0.0)
    """

    queries: tuple[str, ...]
    keys: tuple[str, ...]
    scores: Floats
    metric: Metric

    @property
    def shape(self) -> tuple[int, int]:
        """How many queries and how many keys."""
        return len(self.queries), len(self.keys)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Floats:
        if copy:
            return np.array(self.scores, dtype=dtype)
        return np.asarray(self.scores, dtype=dtype)

    def __repr__(self) -> str:
        rows = self._cells()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if place else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([f"<SimilarityMatrix {self._size()}, {self.metric}>", *lines]).rstrip()

    def _repr_html_(self) -> str:
        rows = [[html.escape(cell) for cell in row] for row in self._cells()]
        head, *body = (
            f"<th>{first}</th>" + "".join(f"<{tag}>{cell}</{tag}>" for cell in rest)
            for tag, (first, *rest) in zip(["th"] + ["td"] * len(rows), rows, strict=False)
        )
        lines = "".join(f"<tr>{line}</tr>" for line in body)
        return (
            f"<table><caption>{self._size()}, {self.metric}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
        )

    def _size(self) -> str:
        m, n = self.shape
        return f"{m:,} quer{'y' if m == 1 else 'ies'} × {n:,} key{'' if n == 1 else 's'}"

    def _cells(self) -> list[list[str]]:
        """The table that is printed, heading first; its middle left out where it is large."""
        down, across = (_places(count) for count in self.shape)
        rows = [["", *("…" if j is None else _short(self.keys[j]) for j in across)]]
        for i in down:
            if i is None:
                rows.append(["…"] * (len(across) + 1))
                continue
            scores = ("…" if j is None else f"{self.scores[i, j]:.2f}" for j in across)
            rows.append([_short(self.queries[i]), *scores])
        return rows


def similarity(
    tables: Tables,
    space: Space,
    queries: Sequence[Query] | None = None,
    keys: Sequence[Query] | None = None,
) -> SimilarityMatrix:
    """Score every query against every key.

    Under cosine the length of a stored vector says how much of the text was understood (see
    :mod:`qkv.encoders`), so ⟨k, k⟩ may be less than 1. The matrix reads a vector k of length < 1
    as the part that is understood of a unit vector (k, √(1 − ‖k‖²) e_k), where the axis e_k is
    the text's own: what was not understood is like itself and like nothing else. The cosine of
    two texts is then ⟨q, k⟩, the score of search and attention, and that of a text and itself
    is 1. Where the store has learned, scores are ⟨W_Q q, W_K k⟩.

    Parameters
    ----------
    tables : Tables
    space : Space
    queries, keys : sequence of checked queries, or None
        None: all keys of the store. A text that is a stored key has its stored vector.

    Returns
    -------
    SimilarityMatrix

    Raises
    ------
    InputError
        If the matrix would have more than 20,000 × 20,000 cells.
    VectorError
        If a text needs an encoder and the store has none.
    """
    stored = len(tables)
    _check_size(stored if queries is None else len(queries), stored if keys is None else len(keys))
    own = _keys(tables) if queries is None or keys is None else []
    rows = own if queries is None else queries
    columns = own if keys is None else keys
    known = _known(tables, space, rows, columns)
    asked = space.projection.key if queries is None else space.projection.query
    scores = _scores(
        _turned(_vectors(space, rows, known), asked),
        _turned(_vectors(space, columns, known), space.projection.key),
        space.metric,
    )
    _mark_selves(scores, rows, columns, space.metric)
    scores.setflags(write=False)
    return SimilarityMatrix(_labels(rows), _labels(columns), scores, space.metric)


def _check_size(m: int, n: int) -> None:
    if m * n > _CELLS:
        raise InputError(
            f"a matrix of {m:,} queries × {n:,} keys would take {m * n * 4 / 1e9:,.1f} GB, and at "
            f"most 20,000 × 20,000 cells ({_CELLS * 4 / 1e9} GB) are made; give fewer: "
            "db.similarity(queries=[...], keys=[...]), or ask for the nearest alone: "
            "db.search(queries, k=10)"
        )


def _keys(tables: Tables) -> Sequence[str]:
    return [key for page in tables.pages() for _, key, *_ in page]


def _known(
    tables: Tables, space: Space, queries: Sequence[Query], keys: Sequence[Query]
) -> dict[str, Floats]:
    """Vector of each text: the stored one; else a key's; else, for a query alone, a query's."""
    found: dict[str, Floats] = {}
    for text in _texts([*keys, *queries], found):
        row = tables.one(VECTOR, text)
        if row is not None:
            found[text] = unpacked(row, tables.precision())[0]
    if new := _texts(keys, found):
        found |= zip(new, space.vectors(new), strict=True)
    if new := _texts(queries, found):
        found |= zip(new, space.queries(new), strict=True)
    return found


def _texts(items: Sequence[Query], found: Mapping[str, Floats]) -> list[str]:
    """Those of the items that are texts and have no vector yet, each once."""
    return [
        text for text in dict.fromkeys(i for i in items if isinstance(i, str)) if text not in found
    ]


def _vectors(space: Space, items: Sequence[Query], known: Mapping[str, Floats]) -> list[Floats]:
    return [known[item] if isinstance(item, str) else space.queries([item])[0] for item in items]


def _turned(vectors: list[Floats], weights: Floats | None) -> list[Floats]:
    """Vectors as the store has learned to compare them; see :mod:`qkv.projection`."""
    if weights is None or not vectors or {len(one) for one in vectors} != {weights.shape[1]}:
        return vectors
    return list(projected(np.array(vectors), weights))


def _scores(queries: list[Floats], keys: list[Floats], metric: Metric) -> Floats:
    if not queries or not keys:
        return np.zeros((len(queries), len(keys)), dtype=np.float32)
    widths = {len(vector) for vector in (*queries, *keys)}
    if len(widths) > 1:
        raise VectorError(
            f"these vectors have {min(widths)} and {max(widths)} dimensions, so they do not "
            "compare; give texts, or vectors of the encoder that made the others"
        )
    Q, K = np.array(queries, dtype=np.float32), np.array(keys, dtype=np.float32)
    if metric is Metric.EUCLIDEAN:
        # Distances do not change, and shorter vectors lose fewer digits in the difference below.
        middle = K.mean(axis=0)
        Q, K = Q - middle, K - middle
    if np.array_equal(Q, K):
        Q = K  # BLAS makes the product of an array with itself symmetric to the last bit
    scores = product(Q, K.T)
    if metric is Metric.EUCLIDEAN:
        halves = [0.5 * np.einsum("ij,ij->i", side, side) for side in (Q, K)]
        scores -= np.add.outer(*halves)
        np.minimum(scores, 0, out=scores)
    if metric is Metric.COSINE:
        np.clip(scores, -1, 1, out=scores)
    return scores


def _mark_selves(
    scores: Floats, queries: Sequence[Query], keys: Sequence[Query], metric: Metric
) -> None:
    """Write what a text and itself score: nothing may be lost to rounding, or for lack of words."""
    if metric is Metric.DOT:
        return
    columns: dict[str, list[int]] = {}
    for j, key in enumerate(keys):
        if isinstance(key, str):
            columns.setdefault(key, []).append(j)
    for i, query in enumerate(queries):
        if isinstance(query, str) and query in columns:
            scores[i, columns[query]] = 1 if metric is Metric.COSINE else 0


def _labels(items: Sequence[Query]) -> tuple[str, ...]:
    return tuple(
        item if isinstance(item, str) else f"vector {place}"
        for place, item in enumerate(items, start=1)
    )


def _places(count: int) -> list[int | None]:
    """Which rows or columns are printed; None stands for those that are left out."""
    if count <= _PRINTED:
        return list(range(count))
    half = _PRINTED // 2
    return [*range(half), None, *range(count - half, count)]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else line[: _WIDEST - 1] + "…"
