"""An encoder without a model: words and their letter groups, hashed."""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections import Counter

import numpy as np

from qkv.types import Floats

__all__ = ["HashingEncoder"]

_WORD = re.compile(r"\w+|[^\w\s]+")


class HashingEncoder:
    """Feature hashing of words and character n-grams: spelling, not meaning.

    Deterministic on every machine, no model, no download. Texts that share words or parts of
    words are near each other, in any script. Good for tests, identifiers and misspellings;
    "feline" and "cat" are strangers to it. (Feature hashing with signs: Weinberger et al. 2009;
    n-grams with word boundaries as in fastText.)

    Parameters
    ----------
    dimension : int
        Length of the vectors.

    Examples
    --------
    >>> vectors = HashingEncoder().encode(["colour", "color", "zebra"])
    >>> bool(vectors[0] @ vectors[1] > 0.3 > vectors[0] @ vectors[2])
    True
    """

    weak = True

    def __init__(self, dimension: int = 256) -> None:
        self.dimension = dimension
        self.fingerprint = f"hashing-{dimension}-v1"

    def encode(self, texts: list[str]) -> Floats:
        """Turn n texts into an array (n, dimension), float32, rows of length one."""
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(vectors, texts, strict=True):
            counts = Counter(_features(text))
            codes = [zlib.crc32(feature.encode("utf-8", "replace")) for feature in counts]
            for code, count in zip(codes, counts.values(), strict=True):
                # The top bit is the sign, so that collisions cancel instead of adding up.
                row[(code & 0x7FFFFFFF) % self.dimension] += (1 - 2 * (code >> 31)) * count**0.5
            if codes and not row.any():  # everything cancelled: of a text of two features, say
                row[[(code & 0x7FFFFFFF) % self.dimension for code in codes]] = 1
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors / np.where(norms > 0, norms, 1)


def _features(text: str) -> list[str]:
    features = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        features.append(word)
        framed = f"<{word}>"
        for n in (3, 4):
            features += [framed[i : i + n] for i in range(len(framed) - n + 1)]
    return features
