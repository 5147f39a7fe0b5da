"""What an engine is: vectors in, the rows that are probably nearest out."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from qkv.types import Floats, Integers

__all__ = ["Engine"]


class Engine(Protocol):
    """Finds the neighbours of a query without reading every key.

    An engine proposes rows; whoever asked scores them from the vectors themselves, so that an
    engine's own estimates never become weights. It is shared by all snapshots of a store and
    changes in place, behind a lock of its own: a reader of an older snapshot leaves out rows that
    it does not know.
    """

    @property
    def name(self) -> str:
        """Name of the engine in the derived files."""

    def __len__(self) -> int:
        """Rows ever added, removed ones included."""

    def nearest(self, queries: Floats, k: int, among: Integers | None = None) -> Integers:
        """Rows that are probably among the best k for each query.

        Parameters
        ----------
        queries : array (m, d), float32
        k : int
        among : array (r,), int64, optional
            Rows, ascending, of which alone they shall be.

        Returns
        -------
        array (m, c), int64
            c ≥ k candidates where there are so many, in no order; −1 where there are fewer.
        """

    def add(self, keys: Floats) -> None:
        """Append keys (n, d): rows ``len(self)`` and on."""

    def remove(self, rows: Integers) -> None:
        """Never propose these rows again."""

    @staticmethod
    def warm(folder: Path) -> None:
        """Do of loading from a folder what takes long and trusts no file; fails silently."""

    def save(self, folder: Path) -> None:
        """Write files into a folder that exists."""
