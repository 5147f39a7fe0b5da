"""The distinct values of a store, numbered; the first of them may lie packed in a file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qkv.rows import Rows
from qkv.types import Floats, Integers, Value
from qkv.values import Kind, Stored, from_stored

__all__ = ["Distinct", "Packed"]

_KINDS = tuple(Kind)
_NUMBER = {kind: number for number, kind in enumerate(_KINDS)}


class Packed(NamedTuple):
    """Values one after the other, as arrays that can be mapped from files.

    Attributes
    ----------
    kinds : array (u,), uint8
        Which of the kinds of value, in their order.
    ends : array (u,), int64
        Where each value ends in `content`.
    content : array (bytes,), uint8
        UTF-8 of text and JSON, the digits of numbers, the bytes of vectors.
    hashes : array (u,), uint32
        CRC-32 of kind and value, ascending.
    order : array (u,), int64
        Number of the value that each hash is of.
    """

    kinds: NDArray[np.uint8]
    ends: Integers
    content: NDArray[np.uint8]
    hashes: NDArray[np.uint32]
    order: Integers

    @classmethod
    def of(cls, values: Iterable[tuple[str, Stored]]) -> Packed:
        """Pack values as they are stored."""
        kinds, sizes, hashes, parts = [], [], [], []
        for kind, stored in values:
            part = _bytes(stored)
            kinds.append(_NUMBER[Kind(kind)])
            sizes.append(len(part))
            hashes.append(_hash(kinds[-1], stored))
            parts.append(part)
        order = np.argsort(np.array(hashes, dtype=np.uint32), kind="stable")
        return cls(
            np.array(kinds, dtype=np.uint8),
            np.cumsum(np.array(sizes, dtype=np.int64)),
            np.frombuffer(b"".join(parts), dtype=np.uint8),
            np.array(hashes, dtype=np.uint32)[order],
            order.astype(np.int64),
        )

    def __len__(self) -> int:  # of values; a tuple would count its fields
        return len(self.kinds)

    def raw(self, id: int) -> bytes:
        """Content of one value."""
        start = int(self.ends[id - 1]) if id else 0
        return self.content[start : int(self.ends[id])].tobytes()

    def stored(self, id: int) -> tuple[Kind, Stored]:
        """Kind and value, as it is stored in the tables."""
        kind = _KINDS[self.kinds[id]]
        raw = self.raw(id)
        if kind is Kind.VECTOR:
            return kind, raw
        text = raw.decode()
        if kind is not Kind.NUMBER:
            return kind, text
        return kind, int(text) if text.lstrip("-").isdigit() else float(text)

    def find(self, kind: str, stored: Stored) -> int | None:
        """Number of a value, None if it is not there."""
        hash = np.uint32(_hash(_NUMBER[Kind(kind)], stored))
        first = int(np.searchsorted(self.hashes, hash))
        while first < len(self.hashes) and self.hashes[first] == hash:
            id = int(self.order[first])
            if self.stored(id) == (kind, stored):
                return id
            first += 1
        return None

    def vectors(self) -> Floats | None:
        """All values as the rows of a matrix, if all are vectors of one dimension."""
        size = int(self.ends[0]) if len(self) else 0
        if not size or (self.kinds != _NUMBER[Kind.VECTOR]).any() or len(self.content) % size:
            return None
        if len(self.content) // size != len(self) or (np.diff(self.ends) != size).any():
            return None
        return self.content.view("<f4").reshape(len(self), -1)


def _bytes(stored: Stored) -> bytes:
    if isinstance(stored, bytes):
        return stored
    return stored.encode() if isinstance(stored, str) else repr(stored).encode()


def _hash(kind: int, stored: Stored) -> int:
    """CRC-32 that is the same for equal values: 1 and 1.0 are one."""
    if isinstance(stored, float) and stored.is_integer():
        stored = int(stored)
    return zlib.crc32(_bytes(stored), kind)


class Distinct:
    """The distinct values of a store, numbered in the order in which they came.

    Grows only; reads that began earlier see fewer. One thread at a time may call `add`.

    Parameters
    ----------
    packed : Packed, optional
        The first of them.
    """

    def __init__(self, packed: Packed | None = None) -> None:
        self._packed = Packed.of(()) if packed is None else packed
        self._begun = len(self._packed)
        self._values: list[tuple[str, Stored]] = []
        self._ids: dict[tuple[str, Stored], int] = {}
        self._by_kind: dict[str, list[int]] = {kind: [] for kind in Kind}
        # A quarter of a millisecond for each million.
        self._arrays = {
            kind: np.flatnonzero(self._packed.kinds == number) for kind, number in _NUMBER.items()
        }
        self._lengths = {kind: len(array) for kind, array in self._arrays.items()}
        self._vectors: Rows | None = None

    def __len__(self) -> int:
        return self._begun + len(self._values)

    def __getitem__(self, id: int) -> Value:
        return from_stored(*self._at(id))

    def _at(self, id: int) -> tuple[str, Stored]:
        if id < self._begun:
            return self._packed.stored(int(id))
        return self._values[id - self._begun]

    def add(self, kind: str, stored: Stored) -> int:
        """Return the number of a value, a new one if it was never seen."""
        value = (kind, stored)
        id = self._ids.get(value)
        if id is None and self._begun:
            id = self._packed.find(kind, stored)
        if id is None:
            id = self._ids[value] = len(self)
            self._values.append(value)
            self._by_kind[kind].append(id)
        return id

    def id_of(self, kind: Kind, stored: Stored) -> int | None:
        """Return the number of a value, None if it was never seen."""
        id = self._ids.get((kind, stored))
        return self._packed.find(kind, stored) if id is None and self._begun else id

    def of_kind(self, kind: Kind, count: int) -> Integers:
        """Numbers, below `count`, of the values of one kind."""
        ids, known = self._by_kind[kind], self._arrays[kind]
        seen = len(known) - self._lengths[kind]
        if seen < len(ids):
            known = np.concatenate((known, np.array(ids[seen:], dtype=np.int64)))
            self._arrays[kind] = known
        return known[: np.searchsorted(known, count)]

    def stored(self, ids: Sequence[int] | Integers) -> list[Any]:
        """Return values as they are stored."""
        return [self._at(id)[1] for id in ids]

    def values(self, ids: Sequence[int]) -> list[Value]:
        """Return values as they were given; a caller may change them."""
        rows = self._vectors
        if rows and len(rows) == len(self):  # all are vectors
            return [row.copy() for row in rows.matrix[list(ids)]]
        return [self[id] for id in ids]

    def packed(self, ids: Integers) -> Packed:
        """Pack these values, in this order."""
        return Packed.of(self._at(int(id)) for id in ids)

    def vectors(self, ids: Integers) -> Floats | None:
        """Vector values (m, d) of these ids, all of them of kind VECTOR; None if they differ in d.

        Asking for all of them in order, as attention does, gives a view that later calls extend.
        """
        rows = self._vectors  # another thread may replace it meanwhile, by rows as good
        if rows is None and self._begun and len(ids) >= self._begun:
            matrix = self._packed.vectors()
            rows = None if matrix is None else Rows(matrix)
        fresh = self.stored(ids[len(rows) if rows else 0 :])
        size = rows.matrix.shape[1] * 4 if rows else len(fresh[0]) if fresh else 0
        if any(len(blob) != size for blob in fresh):
            return None
        if fresh:
            block = np.frombuffer(b"".join(fresh), dtype="<f4").reshape(len(fresh), -1)
            rows = rows.append(block) if rows else Rows(block)
        self._vectors = rows
        return rows.matrix[: len(ids)] if rows else None
