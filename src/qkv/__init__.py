"""A dict whose lookup is attention.

>>> import qkv
>>> db = qkv.Database({"one": "number", "cat": "animal", "sphere": "shape"})
>>> db.query("seven")[0]
'number'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qkv import errors
    from qkv.database import Database
    from qkv.encoders import Encoder
    from qkv.errors import QkvError
    from qkv.lexicon import Lexicon
    from qkv.similarity import SimilarityMatrix
    from qkv.types import Attention, Candidate, Match, Metric, Origin, Place, Span, Weight

__version__ = "0.1.0"

__all__ = [
    "Attention",
    "Candidate",
    "Database",
    "Encoder",
    "Lexicon",
    "Match",
    "Metric",
    "Origin",
    "Place",
    "QkvError",
    "SimilarityMatrix",
    "Span",
    "Weight",
    "__version__",
    "errors",
]

_HOMES = {
    "Attention": "qkv.types",
    "Candidate": "qkv.types",
    "Database": "qkv.database",
    "Encoder": "qkv.encoders",
    "Lexicon": "qkv.lexicon",
    "Match": "qkv.types",
    "Metric": "qkv.types",
    "Origin": "qkv.types",
    "Place": "qkv.types",
    "QkvError": "qkv.errors",
    "SimilarityMatrix": "qkv.similarity",
    "Span": "qkv.types",
    "Weight": "qkv.types",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: ``qkv --help`` must not wait for NumPy."""
    if name == "errors":
        return import_module("qkv.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'qkv' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
