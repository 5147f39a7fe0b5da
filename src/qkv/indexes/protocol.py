"""What an index is: vectors in, partials and neighbours out."""

from __future__ import annotations

from typing import Protocol

from qkv.attention import Partial, Values
from qkv.types import Floats, Integers

__all__ = ["Index"]


class Index(Protocol):
    """Keys that can be attended to.

    Rows are numbered 0 … n − 1 in the order in which they were added and keep their number;
    removed rows are never found again. An index never changes: adding and removing give a new one
    that shares what it can with the old, so reads under way are not disturbed.
    """

    def __len__(self) -> int:
        """Rows ever added, removed ones included."""

    @property
    def removed(self) -> int:
        """Rows that are never found: removed, or keys of zeros."""

    @property
    def dimension(self) -> int:
        """Length of the keys; 0 while there are none."""

    def live(self, rows: Integers) -> Integers:
        """Those of some rows that can be found."""

    def vectors(self, rows: Integers) -> Floats:
        """Keys of some rows: array (len(rows), d)."""

    def add(self, keys: Floats) -> Index:
        """Append keys (n, d), prepared for the metric."""

    def remove(self, rows: Integers) -> Index:
        """Leave these rows out from now on."""

    def partial(
        self,
        queries: Floats,
        values: Values,
        *,
        temperature: float,
        k: int = 10,
        among: Integers | None = None,
        tolerance: float | None = None,
    ) -> Partial:
        """Attend to every row that is left, or to those among some rows (ascending).

        See :func:`qkv.attention.stream`. An index that does not read every key says how far off it
        may be, and reads until that is within a tolerance, if there is one.
        """

    def neighbours(
        self, queries: Floats, k: int, among: Integers | None = None
    ) -> tuple[Integers, Floats]:
        """Best k rows for each query, best first, and their scores: arrays (m, k)."""

    def scores(self, query: Floats, rows: Integers) -> Floats:
        """Scores of some rows for one query (d,): array (len(rows),)."""
