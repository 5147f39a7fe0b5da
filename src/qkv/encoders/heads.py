"""Several encoders at once, as the heads of attention."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from qkv.encoders.protocol import (
    Encoder,
    costly,
    encode_all,
    encode_queries,
    fingerprint,
    reads_language,
    weak,
)
from qkv.errors import EncoderError
from qkv.types import Floats

__all__ = ["HeadsEncoder"]


class HeadsEncoder:
    """Encoders as attention heads: one dot product is the weighted mean of their cosines.

    Each head's vectors, scaled by √w_h, stand side by side, so that

        ⟨q, k⟩ = Σ_h w_h cos_h(q, k),    Σ_h w_h = 1,

    and a store of several heads needs no machinery of its own. A head that understands nothing of
    a text (a row of zeros) abstains: its share is lost, for every key alike, which leaves the
    ranking to the others.

    Parameters
    ----------
    heads : sequence of (Encoder, float)
        Encoders and their weights, > 0; scaled to sum to 1.

    Examples
    --------
    >>> from qkv.encoders.hashing import HashingEncoder
    >>> heads = HeadsEncoder([(HashingEncoder(64), 1), (HashingEncoder(32), 3)])
    >>> heads.weights, heads.encode(["one"]).shape
    ((0.25, 0.75), (1, 96))
    """

    def __init__(self, heads: Sequence[tuple[Encoder, float]]) -> None:
        if not heads or not all(0 < weight < math.inf for _, weight in heads):
            raise EncoderError(
                "heads are (encoder, weight) pairs, at least one, with finite weights above 0; "
                f"these weights are {[weight for _, weight in heads]}"
            )
        total = sum(weight for _, weight in heads)
        self.encoders = tuple(encoder for encoder, _ in heads)
        self.weights = tuple(weight / total for _, weight in heads)
        self.costly = any(costly(encoder) for encoder in self.encoders)
        self.reads_language = all(reads_language(encoder) for encoder in self.encoders)
        self.weak = all(weak(encoder) for encoder in self.encoders)
        self.fingerprint = (
            "heads("
            + ", ".join(
                f"{fingerprint(encoder)}: {weight:.6g}"
                for encoder, weight in zip(self.encoders, self.weights, strict=True)
            )
            + ")"
        )

    def encode(self, texts: list[str]) -> Floats:
        """Turn n texts into an array (n, Σ d_h), float32, rows of length ≤ 1."""
        return self._beside(
            [encode_all(encoder, texts, batch=len(texts) or 1) for encoder in self.encoders]
        )

    def encode_queries(self, texts: list[str]) -> Floats:
        """The same for queries, where a head encodes them otherwise than keys."""
        return self._beside([encode_queries(encoder, texts) for encoder in self.encoders])

    def parts(self) -> tuple[tuple[int, float], ...]:
        """Columns and weight of each head, in the order in which they stand in a vector."""
        sizes = [encode_all(encoder, ["a"]).shape[1] for encoder in self.encoders]
        return tuple(zip(sizes, self.weights, strict=True))

    def _beside(self, parts: list[Floats]) -> Floats:
        scaled = [math.sqrt(w) * part for w, part in zip(self.weights, parts, strict=True)]
        return np.hstack(scaled).astype(np.float32, copy=False)
