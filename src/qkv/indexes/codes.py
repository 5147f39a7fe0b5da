"""Every key as four bits a dimension: read in full for each query, in a fraction of the time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from qkv.encoders.extras import need
from qkv.errors import CorruptFile, MissingExtra
from qkv.indexes.keys import found_rows, live_rows
from qkv.indexes.locks import ReadWriteLock
from qkv.indexes.trial import Trial
from qkv.types import Floats, Integers

__all__ = ["Codes"]

_BITS = 4
#: Width up to which tables are made before files are checked: a broken one may say anything.
_WIDEST = 8192
#: Dimensions come in eights.
_EIGHT = 8
#: The library looks at the signs alone first, if there are so many keys and dimensions come in
#: thirty-twos (and the processor has the instructions).
_SIGNS_FROM, _SIGNS = 32_768, 32
#: Candidates: so many × (k + 15). The first that finds enough is taken.
_SPREADS = (1.5, 3.0, 6.0, 12.0, 24.0)
#: Beyond this, looking at the signs first does not pay.
_SIGNS_SPREAD = 6.0
#: Keys encoded while readers wait, and keys between two reports of progress.
_BLOCK = 16_384
#: Fewer keys than these are not worth measuring.
_FEW = 1000
#: Larger coordinates are refused by the library.
_LARGEST = 1e15

_Numbers: TypeAlias = NDArray[np.int32]


class Codes:
    """An exhaustive scan over 4-bit codes, by `turbovec`.

    A code is an eighth of its key, so a scan reads an eighth of the bytes. Scores are estimates:
    a few times k rows are proposed, for the exact scores to choose from. How many times is
    measured, on the keys themselves, when codes are built.

    From 32,768 keys on the library first ranks all of them by their signs alone and looks only
    at the best 12.8 k. On embeddings of text that finds as much in a third of the time; on keys
    without structure it loses neighbours. Where the measurement says so, the codes are built with
    eight more dimensions of zeros, whose number the library does not do this for.

    Parameters
    ----------
    dimension : int
        Length of the keys.
    spread : float
        How many candidates to propose, in multiples of k + 15.
    signs : bool
        Whether the library may look at the signs first.

    Attributes
    ----------
    recall : float
        Measured recall at 10 when the codes were built; 1 where they were too few to measure.
    built : int
        Rows when the codes were built. With many times as many the measurement is out of date.

    Notes
    -----
    The library's own calibration to the keys is left out: it finds no more here, and with it every
    search after a write first reads all codes anew.

    Threads may search while others add and remove. Not to be used after `os.fork` by the child.

    Examples
    --------
    >>> import numpy as np
    >>> codes = Codes.build(np.eye(8, dtype=np.float32))
    >>> codes.remove(np.array([1]))
    >>> sorted(codes.nearest(np.ones((1, 8), dtype=np.float32), 9)[0].tolist())
    [-1, -1, 0, 2, 3, 4, 5, 6, 7]
    """

    name = "codes"

    def __init__(self, dimension: int, *, spread: float = _SPREADS[1], signs: bool = False) -> None:
        width = max(_EIGHT, -(-dimension // _EIGHT) * _EIGHT)
        if not signs and width % _SIGNS == 0:
            width += _EIGHT
        elif signs:
            width = -(-width // _SIGNS) * _SIGNS
        self._index: Any = _turbovec().TurboQuantIndex(dim=width, bit_width=_BITS)
        self._dimension, self._width, self._spread = dimension, width, spread
        self._rows: _Numbers = np.zeros(0, dtype=np.int32)  # of each slot; the end is spare room
        self._slots: _Numbers = np.zeros(0, dtype=np.int32)  # of each row, −1 for none; likewise
        self._length = 0
        self._lock = ReadWriteLock()
        self.recall = 1.0
        self.built = 0

    @classmethod
    def build(
        cls,
        keys: Floats,
        progress: Callable[[int, int], None] | None = None,
        *,
        queries: Floats | None = None,
    ) -> Codes:
        """Encode keys, and measure how many candidates they need.

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
            If turbovec is not installed.
        """
        live = live_rows(keys)
        if len(live) < _FEW:
            return cls._encoded(keys, progress, signs=False)
        trial = Trial.of(keys, live, queries)
        if len(live) >= _SIGNS_FROM:
            codes = cls._encoded(keys, progress, signs=True)
            if codes._tune(trial, _SIGNS_SPREAD):
                return codes
        codes = cls._encoded(keys, progress, signs=False)
        codes._tune(trial, max(_SPREADS))
        return codes

    @classmethod
    def _encoded(
        cls,
        keys: Floats,
        progress: Callable[[int, int], None] | None,
        *,
        signs: bool,
    ) -> Codes:
        codes = cls(keys.shape[1], signs=signs)
        for start in range(0, len(keys), _BLOCK):
            codes.add(keys[start : start + _BLOCK])
            if progress is not None:
                progress(len(codes), len(keys))
        codes._index.prepare()
        codes.built = len(keys)
        return codes

    def _tune(self, trial: Trial, most: float) -> bool:
        """Take the first spread that finds enough, if one up to the most does."""
        enough = False
        for spread in (some for some in _SPREADS if some <= most):
            self._spread = spread
            enough = trial.enough(self.nearest)
            if enough:
                break
        self.recall = trial.recall(self.nearest)
        return enough

    def __len__(self) -> int:
        return self._length

    def nearest(self, queries: Floats, k: int, among: Integers | None = None) -> Integers:
        """Rows that are probably among the best k for each query; see :class:`Engine`."""
        wide = self._wide(queries)
        reach = math.ceil(self._spread * (k + 15))
        with self._lock.reading():
            mask = None
            if among is not None:
                slots = self._slots[among[among < self._length]]
                slots = slots[slots >= 0]
                if len(slots) <= reach:  # there is nothing to choose
                    return found_rows(np.tile(self._rows[slots], (len(queries), 1)), k)
                mask = np.zeros(len(self._index), dtype=bool)
                mask[slots] = True
            if not len(self._index) or not len(queries):
                return np.full((len(queries), k), -1, dtype=np.int64)
            _, found = self._index.search(wide, k=reach, mask=mask)
            return found_rows(self._rows[found], k)

    def add(self, keys: Floats) -> None:
        """Append keys (n, d): rows ``len(self)`` and on."""
        for start in range(0, len(keys), _BLOCK):
            block = keys[start : start + _BLOCK]
            live = np.flatnonzero(block.any(axis=1))
            wide = self._wide(block[live])
            with self._lock.writing():
                filled, rows = len(self._index), self._length
                self._rows = _room(self._rows, filled + len(live))
                self._slots = _room(self._slots, rows + len(block))
                if len(live):
                    self._index.add(wide, chunk_size=0)
                self._rows[filled : filled + len(live)] = rows + live
                self._slots[rows : rows + len(block)] = -1
                self._slots[rows + live] = np.arange(filled, filled + len(live))
                self._length = rows + len(block)

    def remove(self, rows: Integers) -> None:
        """Never propose these rows again; their codes are gone at once."""
        with self._lock.writing():
            for row in rows.tolist():
                slot = int(self._slots[row])
                if slot < 0:
                    continue
                last = len(self._index) - 1
                self._index.swap_remove(slot)  # the last one takes its place
                self._rows[slot] = self._rows[last]
                self._slots[self._rows[slot]] = slot
                self._slots[row] = -1

    @staticmethod
    def warm(folder: Path) -> None:
        """Let the library make its tables for a width: 0.2 s, once in a process."""
        with suppress(OSError, ValueError, KeyError, TypeError, MissingExtra):
            width = int(json.loads((folder / "codes.json").read_text(encoding="utf-8"))["width"])
            if 0 < width <= _WIDEST and width % _EIGHT == 0:
                one = np.eye(1, width, dtype=np.float32)
                _turbovec().TurboQuantIndex(width, bit_width=_BITS).add(one)

    def save(self, folder: Path) -> None:
        """Write ``codes.tv``, ``codes.npy`` and ``codes.json`` into a folder that exists."""
        with self._lock.reading():
            self._index.write(str(folder / "codes.tv"), durable=False)
            np.save(folder / "codes.npy", self._rows[: len(self._index)])
            facts = {
                "rows": self._length,
                "dimension": self._dimension,
                "width": self._width,
                "spread": self._spread,
                "recall": self.recall,
                "built": self.built,
            }
            (folder / "codes.json").write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, keys: Floats) -> Codes:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        folder : Path
        keys : array (n, d), float32
            The keys, of which the codes are the first ``len(codes)``.

        Raises
        ------
        CorruptFile
            If the files are not there, were cut short, or are not of these keys.
        """
        turbovec = _turbovec()
        try:
            facts = json.loads((folder / "codes.json").read_text(encoding="utf-8"))
            codes = cls(int(facts["dimension"]), spread=float(facts["spread"]))
            codes.recall, codes.built = float(facts["recall"]), int(facts["built"])
            codes._index = turbovec.TurboQuantIndex.load(str(folder / "codes.tv"))
            codes._rows = np.load(folder / "codes.npy")
            codes._width, codes._length = int(facts["width"]), int(facts["rows"])
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise _unreadable(folder, str(error)) from error
        rows, dimension = codes._rows, keys.shape[1]
        if codes._dimension != dimension or codes._length > len(keys):
            raise _unreadable(folder, f"they are of {codes._length} × {codes._dimension} keys")
        whole = rows.dtype == np.int32 and rows.shape == (len(codes._index),)
        if not whole or codes._index.dim not in {codes._width, None}:
            raise _unreadable(folder, "the files do not belong together")
        if len(rows) and not 0 <= rows.min() <= rows.max() < codes._length:
            raise _unreadable(folder, "they name rows that there are not")
        codes._slots = np.full(codes._length, -1, dtype=np.int32)
        codes._slots[rows] = np.arange(len(rows))
        return codes

    def _wide(self, vectors: Floats) -> Floats:
        """Vectors with zeros at the end, as many as make up the width."""
        wide = np.zeros((len(vectors), self._width), dtype=np.float32)
        wide[:, : vectors.shape[1]] = vectors
        if max(wide.max(initial=0), -wide.min(initial=0)) > _LARGEST:
            np.clip(wide, -_LARGEST, _LARGEST, out=wide)
        return wide


def _turbovec() -> Any:
    need("the index 'quantized'", "quantized", "turbovec")
    import turbovec  # noqa: PLC0415  (only stores that are large need it)

    return turbovec


def _room(array: _Numbers, length: int) -> _Numbers:
    """The array with space for so many; half as much again where it must move."""
    if length <= len(array):
        return array
    room = np.full(max(length, 64, 3 * len(array) // 2), -1, dtype=array.dtype)
    room[: len(array)] = array
    return room


def _unreadable(folder: Path, why: str) -> CorruptFile:
    return CorruptFile(
        f"the codes in {folder} cannot be read: {why}. They are derived from the store's own file: "
        f"delete the folder, and they are built again"
    )
