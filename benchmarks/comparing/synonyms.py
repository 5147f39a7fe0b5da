"""Words that may mean the same: pairs of stems that share a sense in WordNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Synonyms"]

_SHIFT = 1 << 16


@dataclass(frozen=True)
class Synonyms:
    """Pairs of stems.

    Attributes
    ----------
    stems : dict
        Stem → number.
    pairs : frozenset of int
        Of two numbers, the lower one times 65,536 plus the other.
    """

    stems: dict[str, int]
    pairs: frozenset[int]

    def __call__(self, one: str, other: str) -> bool:
        """Whether two stems are a pair.

        Examples
        --------
        >>> known = Synonyms.of([("begin", "start")])
        >>> known("start", "begin"), known("start", "stop")
        (True, False)
        """
        a, b = self.stems.get(one, -1), self.stems.get(other, -1)
        if a < 0 or b < 0:
            return False
        return min(a, b) * _SHIFT + max(a, b) in self.pairs

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> Synonyms:
        """Gather pairs."""
        stems = {stem: i for i, stem in enumerate(sorted({s for pair in pairs for s in pair}))}
        numbered = ((stems[a], stems[b]) for a, b in pairs)
        return cls(stems, frozenset(min(p) * _SHIFT + max(p) for p in numbered))

    def tables(self) -> dict[str, np.ndarray]:
        """What is kept of them."""
        pairs = np.array(sorted(self.pairs), dtype=np.uint32)
        return {
            "stems": np.frombuffer("\n".join(self.stems).encode(), dtype=np.uint8),
            "one": (pairs // _SHIFT).astype(np.uint16),
            "other": (pairs % _SHIFT).astype(np.uint16),
        }

    @classmethod
    def read(cls, tables: Mapping[str, np.ndarray]) -> Synonyms:
        """Read what :meth:`tables` gave."""
        stems = tables["stems"].tobytes().decode().split("\n")
        pairs = tables["one"].astype(np.int64) * _SHIFT + tables["other"]
        return cls({stem: i for i, stem in enumerate(stems)}, frozenset(pairs.tolist()))
