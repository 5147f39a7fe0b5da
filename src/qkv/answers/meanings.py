"""What the lexicon makes of a store's texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from qkv.calibration.hidden import Gains
from qkv.distinct import Distinct
from qkv.lexicon import Lexicon
from qkv.rows import Rows
from qkv.snapshot import Snapshot
from qkv.types import Floats, Integers
from qkv.values import Kind

__all__ = ["PLAIN", "Meanings"]

#: Proposals v − φ(k) as they are.
PLAIN = Gains(1.0, 1.0, 1.0)
#: Share of a store's texts that must be words of the lexicon for the store to imagine words.
WORDS = 0.5
#: Values that are looked up to tell.
_LOOKED_UP = 20_000


class _Known:
    """What was looked up for the text values of one numbering of distinct values."""

    def __init__(self, distinct: Distinct) -> None:
        self.distinct = distinct
        self.places = np.zeros(0, dtype=np.int64)
        self.vectors: dict[str, Rows] = {}
        self.sample: float | None = None  # share of words among some of very many values


class Meanings:
    """φ of a store's text values and, for the relation head, what each record adds to its key.

    Grows with the store's distinct values, and begins anew when they do. Threads may read at once:
    one may replace what another has just made, by something as good.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self._known = _Known(Distinct())
        self._offsets: tuple[tuple[int, Gains], Floats] | None = None

    def _of(self, snapshot: Snapshot) -> _Known:
        known = self._known
        if known.distinct is not snapshot.distinct:
            known = self._known = _Known(snapshot.distinct)
        return known

    def places(self, snapshot: Snapshot, ids: Integers) -> Integers:
        """Row in the lexicon of each text value; −1 for what is not a word of it."""
        known = self._of(snapshot)
        places = known.places
        if len(places) < len(ids):
            fresh = self.lexicon.places(known.distinct.stored(ids[len(places) :]))
            places = known.places = np.concatenate((places, fresh))
        return places[: len(ids)]

    def vectors(self, snapshot: Snapshot, ids: Integers, metric: str) -> Floats:
        """φ of each text value (t, d): unit vectors, or as they are for euclidean decoding."""
        known = self._of(snapshot)
        rows = known.vectors.get(metric)
        start = 0 if rows is None else len(rows)
        if rows is None or start < len(ids):
            fresh = self.lexicon.embed(known.distinct.stored(ids[start:]))
            if metric == "euclidean":
                places = self.places(snapshot, ids)[start:]
                fresh = np.where(
                    (places >= 0)[:, None], self.lexicon.vectors[np.maximum(places, 0)], fresh
                )
            rows = Rows(fresh) if rows is None else rows.append(fresh)
            known.vectors[metric] = rows
        return rows.matrix[: len(ids)]

    def offsets(
        self, snapshot: Snapshot, keys: Callable[[], Sequence[str | None]], gains: Gains = PLAIN
    ) -> Floats:
        """For each record (d + 2): v − φ(k), its squared length, and 1; zeros where unknown.

        With other gains than these, c v − b φ(k). The records' keys are asked for when needed.
        """
        what = snapshot.version, gains
        if self._offsets is not None and self._offsets[0] == what:
            return self._offsets[1]
        ids = snapshot.distinct.of_kind(Kind.TEXT, snapshot.groups.width)
        of_value = np.full(snapshot.groups.width + 1, -1, dtype=np.int64)
        of_value[ids] = np.arange(len(ids))
        groups = snapshot.group_ids()
        values = self.vectors(snapshot, ids, "cosine")[of_value[groups]]
        sources = self.lexicon.embed([key or " " for key in keys()])
        known = (of_value[groups] >= 0) & values.any(axis=1) & sources.any(axis=1)
        offsets = np.where(known[:, None], gains.rows(sources, values), 0)
        squares = np.einsum("ij,ij->i", offsets, offsets)
        table = np.column_stack((offsets, squares, known)).astype(np.float32)
        self._offsets = what, table
        return table

    def imagines(self, snapshot: Snapshot, ids: Integers) -> bool:
        """Whether this store's text values are words, so that other words could answer."""
        if not len(ids):
            return False
        if self.lexicon.made_for_store:
            return True
        if len(ids) <= _LOOKED_UP:
            return float((self.places(snapshot, ids) >= 0).mean()) >= WORDS
        # Looking up a million takes seconds; so many, evenly spread, say as much.
        known = self._of(snapshot)
        if known.sample is None:
            some = ids[np.arange(_LOOKED_UP) * len(ids) // _LOOKED_UP]
            places = self.lexicon.places(known.distinct.stored(some))
            known.sample = float((places >= 0).mean())
        return known.sample >= WORDS
