"""Engines by name."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TypeAlias

from qkv.errors import InputError
from qkv.indexes.codes import Codes
from qkv.indexes.graph import Graph
from qkv.indexes.lists import Lists

__all__ = ["ENGINES", "AnyEngine", "engine", "installed"]

AnyEngine: TypeAlias = Codes | Graph | Lists

#: What stores call them → the class.
ENGINES: dict[str, type[Codes] | type[Graph] | type[Lists]] = {
    "quantized": Codes,
    "hnsw": Graph,
    "ivf": Lists,
}
_NEEDS = {"quantized": "turbovec", "hnsw": "faiss", "ivf": "faiss"}


def engine(name: str) -> type[Codes] | type[Graph] | type[Lists]:
    """The engine of that name.

    Raises
    ------
    InputError
        If there is none; lists those that there are.

    Examples
    --------
    >>> engine("hnsw").__name__
    'Graph'
    """
    try:
        return ENGINES[name]
    except KeyError:
        names = ", ".join(repr(one) for one in ENGINES)
        raise InputError(f"an engine is one of {names}, not {name!r}") from None


def installed(name: str) -> bool:
    """Whether the package that an engine needs is here; nothing is imported."""
    return find_spec(_NEEDS[name]) is not None
