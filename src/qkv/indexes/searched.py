"""What the engines of faiss share: rows in order, tombstones, a lock, and how hard to look."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from qkv.encoders.extras import need
from qkv.errors import CorruptFile, MissingExtra
from qkv.indexes.keys import found_rows
from qkv.indexes.locks import ReadWriteLock
from qkv.indexes.trial import Trial
from qkv.types import Floats, Integers

__all__ = ["FaissEngine", "load_faiss"]

#: Fewer rows than these cost nothing: look as hard as can be.
_FEW = 1000


class FaissEngine(ABC):
    """An index of faiss over keys in 16 bits, with what faiss leaves to its caller.

    The 16 bits are bfloat16: it holds coordinates of any size, and learns nothing from the first
    keys that later ones may not share. faiss crashes when an index is read and written at once, so
    each has a lock. Removed rows and keys of zeros stay in it, masked: whoever removed many builds
    anew.

    Attributes
    ----------
    recall : float
        Measured recall at 10 when it was built; 1 where there was nothing to measure.
    built : int
        Rows when it was built.
    effort : int
        How hard to look: the first of the `efforts` that finds enough.
    """

    name: ClassVar[str]
    #: From little to much; chosen by measuring.
    efforts: ClassVar[tuple[int, ...]]
    #: Keys added while readers wait.
    block: ClassVar[int]

    def __init__(self, dimension: int) -> None:
        load_faiss()
        self._index: Any = None  # until there is something to train it with
        self._dimension = dimension
        self._live = np.zeros(0, dtype=bool)
        self._found = 0  # how many are live
        self._bits: Any = None  # the same as a bitmap, made when a search first needs it
        self._lock = ReadWriteLock()
        self.effort = self.efforts[-1]
        self.recall = 1.0
        self.built = 0

    @classmethod
    def build(
        cls,
        keys: Floats,
        progress: Callable[[int, int], None] | None = None,
        *,
        queries: Floats | None = None,
    ) -> Self:
        """Build from keys, and measure how hard to look.

        Parameters
        ----------
        keys : array (n, d), float32
            Prepared keys; may be memory-mapped.
        progress : callable, optional
            Called with (keys done, n).
        queries : array (m, d), float32, optional
            Prepared queries to measure with; by default near some of the keys. Keys prepared for
            the euclidean metric are no queries: give some.

        Raises
        ------
        MissingExtra
            If faiss is not installed.
        """
        engine = cls(keys.shape[1])
        if len(keys):
            engine._index = engine._trained(keys)
        for start in range(0, len(keys), engine.block):
            engine.add(keys[start : start + engine.block])
            if progress is not None:
                progress(len(engine), len(keys))
        engine.built = len(keys)
        live = np.flatnonzero(engine._live)
        if len(live) >= _FEW:
            trial = Trial.of(keys, live, queries)
            for effort in cls.efforts:
                engine.effort = effort
                if trial.enough(engine.nearest):
                    break
            engine.recall = trial.recall(engine.nearest)
        return engine

    def __len__(self) -> int:
        return len(self._live)

    def nearest(self, queries: Floats, k: int, among: Integers | None = None) -> Integers:
        """Rows that are probably among the best k for each query; see :class:`Engine`."""
        with self._lock.reading():
            if not self._found or not len(queries):
                return np.full((len(queries), k), -1, dtype=np.int64)
            share, bits = 1.0, None
            if among is not None:
                among = among[among < len(self._live)]
                among = among[self._live[among]]
                share = len(among) / self._found
                if len(among) <= self._looked_at(k, share):  # there is nothing to choose
                    return found_rows(np.tile(among, (len(queries), 1)), k)
                mask = np.zeros(len(self._live), dtype=bool)
                mask[among] = True
                bits = _bitmap(mask)
            elif self._found < len(self._live):
                bits = self._bits = _bitmap(self._live) if self._bits is None else self._bits
            parameters = self._parameters(k, share)
            # faiss keeps no reference to the selector, nor the selector to its bits.
            selector = None if bits is None else load_faiss().IDSelectorBitmap(bits)
            parameters.sel = selector
            wanted = np.ascontiguousarray(queries, dtype=np.float32)
            reach = min(2 * k + 20, self._found)
            _, rows = self._index.search(wanted, reach, params=parameters)
            return found_rows(rows, k)

    def add(self, keys: Floats) -> None:
        """Append keys (n, d): rows ``len(self)`` and on."""
        if len(keys) and self._index is None:
            with self._lock.writing():
                self._dimension = keys.shape[1]
                self._index = self._trained(keys)
        for start in range(0, len(keys), self.block):
            block = np.ascontiguousarray(keys[start : start + self.block], dtype=np.float32)
            with self._lock.writing():
                self._index.add(block)
                self._mark(np.concatenate((self._live, block.any(axis=1))))

    def remove(self, rows: Integers) -> None:
        """Never propose these rows again."""
        with self._lock.writing():
            self._live[rows] = False
            self._mark(self._live)

    @staticmethod
    def warm(folder: Path) -> None:  # noqa: ARG004
        """Import faiss."""
        with suppress(MissingExtra):
            load_faiss()

    def save(self, folder: Path) -> None:
        """Write ``<name>.faiss``, ``.npy`` and ``.json`` into a folder that exists."""
        with self._lock.reading():
            path = folder / f"{self.name}.faiss"
            if self._index is not None:
                load_faiss().write_index(self._index, str(path))
            np.save(folder / f"{self.name}.npy", np.packbits(self._live))
            facts = {
                "rows": len(self._live),
                "dimension": self._dimension,
                "bytes": path.stat().st_size if self._index is not None else 0,
                "effort": self.effort,
                "recall": self.recall,
                "built": self.built,
            }
            (folder / f"{self.name}.json").write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, keys: Floats) -> Self:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
        keys : array (n, d), float32
            The keys, of which the engine has the first ``len(engine)``.

        Raises
        ------
        CorruptFile
            If the files are not there, were cut short, or are not of these keys.
        """
        faiss = load_faiss()
        try:
            facts = json.loads((folder / f"{cls.name}.json").read_text(encoding="utf-8"))
            engine = cls(int(facts["dimension"]))
            rows, size = int(facts["rows"]), int(facts["bytes"])
            engine.effort, engine.built = int(facts["effort"]), int(facts["built"])
            engine.recall = float(facts["recall"])
            bits = np.load(folder / f"{cls.name}.npy")
            engine._mark(np.unpackbits(bits, count=rows).astype(bool))
            path = folder / f"{cls.name}.faiss"
            if size and path.stat().st_size != size:
                raise ValueError(f"{path.name} was cut short or overwritten")
            engine._index = faiss.read_index(str(path)) if size else None
        except (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError) as error:
            raise _unreadable(folder, cls.name, str(error)) from error
        if engine._dimension != keys.shape[1] or rows > len(keys):
            why = f"it is of {rows} × {engine._dimension} keys"
            raise _unreadable(folder, cls.name, why)
        inside = (0, engine._dimension) if engine._index is None else engine._shape()
        if len(engine._live) != rows or inside != (rows, engine._dimension):
            raise _unreadable(folder, cls.name, "the files do not belong together")
        return engine

    def _mark(self, live: NDArray[np.bool_]) -> None:
        self._live, self._found, self._bits = live, int(np.count_nonzero(live)), None

    def _shape(self) -> tuple[int, int]:
        return self._index.ntotal, self._index.d

    @abstractmethod
    def _trained(self, keys: Floats) -> Any:
        """An index of faiss that keys like these can be added to."""

    @abstractmethod
    def _parameters(self, k: int, share: float) -> Any:
        """How to search for k among such a share of the rows."""

    @abstractmethod
    def _looked_at(self, k: int, share: float) -> int:
        """Rows that are looked at to find k among such a share of them."""


def _bitmap(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(mask, bitorder="little")


def load_faiss() -> Any:
    """Import faiss, or raise MissingExtra."""
    need("an index of faiss ('hnsw', 'ivf')", "faiss", "faiss")
    return _loaded()


@cache
def _loaded() -> Any:
    import faiss  # noqa: PLC0415  (66 MB that few stores need)

    if hasattr(os, "register_at_fork"):
        # OpenMP's threads stay behind in the parent, and waiting for them would never end.
        os.register_at_fork(after_in_child=lambda: faiss.omp_set_num_threads(1))
    return faiss


def _unreadable(folder: Path, name: str, why: str) -> CorruptFile:
    return CorruptFile(
        f"the {name} in {folder} cannot be read: {why}. It is derived from the store's own file: "
        f"delete the folder, and it is built again"
    )
