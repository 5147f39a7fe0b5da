"""Encoders that remember what they encoded: encoding is the slow part of the search benchmarks.

Vectors are kept by the content of their texts in the folder that the environment variable
``QKV_BENCH_CACHE`` names (by default ``qkv-bench-cache`` where temporary files go). It may be
deleted at any time.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Literal

from qkv.encoders import (
    DEFAULT,
    CachedEncoder,
    Encoder,
    GatedEncoder,
    HeadsEncoder,
    TransformerEncoder,
    costly,
    resolve,
)

CACHE = Path(
    os.environ.get("QKV_BENCH_CACHE", Path(tempfile.gettempdir()) / "qkv-bench-cache")
).resolve()

_WEIGHTS: dict[str, Literal["fp32", "int8"]] = {"transformer": "fp32", "transformer-int8": "int8"}


def remembering(spec: str | Encoder) -> Encoder:
    """The encoder of this name, or this one, with a memory; heads share theirs.

    Raises
    ------
    MissingExtra
        If the encoder needs a package that is not installed.
    """
    if spec in _WEIGHTS:
        return _cached(str(spec), TransformerEncoder(weights=_WEIGHTS[str(spec)], threads=1))
    if spec == DEFAULT:
        return GatedEncoder(use=remembering("use"), transformer=remembering("transformer-int8"))
    encoder = resolve(spec)
    if isinstance(spec, str) and type(encoder) is HeadsEncoder:
        names = [part.partition(":")[0] for part in spec.split("+")]
        heads = [_cached(part, head) for part, head in zip(names, encoder.encoders, strict=True)]
        return HeadsEncoder(list(zip(heads, encoder.weights, strict=True)))
    return _cached(spec if isinstance(spec, str) else type(encoder).__name__, encoder)


def _cached(name: str, encoder: Encoder) -> Encoder:
    return CachedEncoder(encoder, CACHE / f"{name}.sqlite") if costly(encoder) else encoder
