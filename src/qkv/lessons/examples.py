"""Examples of pairs: queries and the keys that answer them, as a caller names them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from qkv.errors import InputError
from qkv.learning import FOLDS, Examples
from qkv.snapshot import Snapshot
from qkv.space import Query, Space, check_query
from qkv.tables import ID, Tables
from qkv.types import Floats, Integers

__all__ = ["Pair", "Texts", "Told", "from_pairs", "together"]

Pair = tuple[Query, Query]


class Told(NamedTuple):
    """Questions with their answers, as rows of keys."""

    queries: Floats
    right: Integers
    wrong: list[tuple[int, int]]


class Texts:
    """Queries and keys that a caller names: keys of records, or texts and vectors of their own."""

    def __init__(self, space: Space, tables: Tables, snapshot: Snapshot) -> None:
        self._space = space
        self._tables = tables
        self._snapshot = snapshot
        self._own: list[Query] = []
        self._rows: set[int] = set()
        self.vectors = np.zeros((0, space.dimension), dtype=np.float32)

    @property
    def rows(self) -> Integers:
        """Rows of records that were named."""
        return np.array(sorted(self._rows), dtype=np.int64)

    def told(self, pairs: Sequence[Pair], negatives: Sequence[Sequence[Query]] | None) -> Told:
        """Look pairs up; keys that are no records are counted from −1 down."""
        if not pairs:
            raise InputError("there are no pairs to learn from; give some: [(query, key), …]")
        if negatives is not None and len(negatives) != len(pairs):
            raise InputError(
                f"{len(pairs)} pairs came with {len(negatives)} lists of negatives; give one list "
                "for each pair, [] for none"
            )
        queries = [check_query(query) for query, _ in pairs]
        right = [self._place(key) for _, key in pairs]
        wrong = [
            (i, self._place(key)) for i, some in enumerate(negatives or ()) for key in _listed(some)
        ]
        if self._own:
            self.vectors = self._encoded()
        known = self._space.queries(queries, of_any_length=not self._space.learned)
        return Told(known, np.array(right, dtype=np.int64), wrong)

    def _place(self, key: Query) -> int:
        checked = check_query(key)
        record = self._tables.one(ID, checked) if isinstance(checked, str) else None
        if record is not None:
            rows = self._snapshot.rows(np.array(record))
            if len(rows):
                self._rows.add(int(rows[0]))
                return int(rows[0])
        self._own.append(checked)
        return -len(self._own)

    def _encoded(self) -> Floats:
        texts = [one for one in self._own if isinstance(one, str)]
        encoded = iter(self._space.vectors(texts) if texts else ())
        size = self._space.dimension
        rows = [next(encoded) if isinstance(one, str) else np.asarray(one) for one in self._own]
        for row in rows:
            if len(row) != size:
                raise InputError(
                    f"a key of {len(row)} dimensions is no key of this store, whose keys have "
                    f"{size}; name a record by its key"
                )
        return np.array(rows, dtype=np.float32)


def _listed(some: Query | Sequence[Query]) -> list[Query]:
    return [some] if isinstance(some, str) else list(some)


def from_pairs(
    told: Told, rows: Integers, keys: Floats, held: Integers, rng: np.random.Generator
) -> Examples:
    """Examples of pairs; `rows` are the rows of the first keys."""

    def column(place: int) -> int:
        return int(np.searchsorted(rows, place)) if place >= 0 else len(rows) - 1 - place

    right = np.array([column(place) for place in told.right.tolist()], dtype=np.int64)
    wrong = [(i, column(place)) for i, place in told.wrong]
    count = len(right)
    return Examples(
        told.queries,
        keys,
        held[right],
        held,
        np.full(count, -1),
        right,
        np.array(wrong, dtype=np.int64).reshape(-1, 2),
        np.ones(count, dtype=bool),
        rng.permutation(count) % FOLDS,
    )


def together(parts: Iterable[Examples], keys: Floats, held: Integers) -> Examples:
    """Examples of several kinds over the same keys."""
    parts = [part for part in parts if len(part)]
    if not parts:
        none, blank = np.zeros(0, dtype=np.int64), np.zeros((0, keys.shape[1]), dtype=np.float32)
        pairs = np.zeros((0, 2), dtype=np.int64)
        return Examples(blank, keys, none, held, none, none, pairs, none.astype(bool), none)
    starts = np.cumsum([0, *(len(part) for part in parts)])
    shifted = [
        np.column_stack((part.wrong[:, 0] + start, part.wrong[:, 1]))
        for part, start in zip(parts, starts.tolist(), strict=False)
    ]
    return Examples(
        np.vstack([part.queries for part in parts]),
        keys,
        np.concatenate([part.asked for part in parts]),
        held,
        np.concatenate([part.own for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.vstack(shifted),
        np.concatenate([part.told for part in parts]),
        np.concatenate([part.fold for part in parts]),
    )
