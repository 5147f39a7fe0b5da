"""Kinds of value: how each is stored, and which of them can be blended.

========  ================================================  ============================
kind      Python                                            blended into
========  ================================================  ============================
text      ``str``                                           words of a lexicon
number    ``int`` (64 bit), ``float`` (finite)              a mean, with a spread
vector    one-dimensional NumPy array of numbers            a vector
json      ``None``, ``bool``, ``list``, ``dict``, big ints  never: weighed and recalled
========  ================================================  ============================
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np

from qkv.encoders.protocol import LARGEST
from qkv.errors import RecordError, TextError, VectorError
from qkv.types import Floats, Value
from qkv.words import query_tokens

__all__ = [
    "Kind",
    "Stored",
    "check_vector",
    "from_stored",
    "same",
    "sentence_of",
    "text_of",
    "to_stored",
]

#: A value as SQLite keeps it.
Stored: TypeAlias = str | int | float | bytes

_LARGEST_INT = 2**63
#: Words from which on a text is a sentence, and characters by which it is read.
_SENTENCE, _READ = 4, 2_000

#: Little-endian float32, made once: NumPy takes longer to read "<f4" than to copy a vector.
_SINGLE = np.dtype("<f4")


class Kind(StrEnum):
    """What a value is."""

    TEXT = "text"
    NUMBER = "number"
    VECTOR = "vector"
    JSON = "json"


def to_stored(value: Value) -> tuple[Kind, Stored]:
    """Turn a value into its kind and the form that SQLite keeps.

    Parameters
    ----------
    value : str, int, float, NumPy vector, None, bool, list or dict

    Raises
    ------
    RecordError
        For any other kind, and for what JSON or SQLite would change in silence: tuples, keys that
        are not text, NaN, infinity.
    TextError
        For text with lone surrogates.
    VectorError
        For arrays that are not one-dimensional, not numbers, or not finite.

    Examples
    --------
    >>> to_stored("animal"), to_stored([1, {"a": None}])
    ((<Kind.TEXT: 'text'>, 'animal'), (<Kind.JSON: 'json'>, '[1,{"a":null}]'))
    """
    if isinstance(value, str):
        # Nearly every value of a bulk load takes the short way.
        plain = type(value) is str and value.isascii()
        return Kind.TEXT, value if plain else _encodable(str(value))
    if isinstance(value, np.ndarray):
        return Kind.VECTOR, check_vector(value, "a value").tobytes()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        return Kind.JSON, _to_json(value)
    if isinstance(value, int):
        if -_LARGEST_INT <= value < _LARGEST_INT:
            return Kind.NUMBER, int(value)
        return Kind.JSON, _to_json(int(value))
    if isinstance(value, float):
        if not np.isfinite(value):
            raise RecordError(f"{value} cannot be blended with other numbers; store None instead")
        return Kind.NUMBER, float(value)
    hints: dict[type, str] = {
        tuple: "give a list: list(value)",
        set: "give a list: sorted(value)",
        bytes: "give text (value.decode()) or a NumPy vector",
    }
    hint = hints.get(type(value), "give one of these, or the text of it")
    raise RecordError(
        f"a value is text, a number, a NumPy vector, or JSON (None, bool, list, dict), "
        f"not a {type(value).__name__}; {hint}"
    )


def from_stored(kind: str, stored: Stored) -> Value:
    """Turn what SQLite kept back into the value.

    Examples
    --------
    >>> from_stored(*to_stored({"a": [1, 2.5, None]}))
    {'a': [1, 2.5, None]}
    """
    if kind == Kind.JSON:
        return json.loads(str(stored))
    if kind == Kind.VECTOR:
        return np.frombuffer(stored, _SINGLE).copy()  # type: ignore[arg-type]
    return stored


def text_of(kind: str, stored: Stored) -> str:
    r"""What there is to read in a stored value: a text, or all texts of a JSON value.

    Examples
    --------
    >>> text_of(*to_stored({"title": "Bears", "year": 2020, "tags": ["woods"]}))
    'Bears\nwoods'
    """
    if kind == Kind.TEXT:
        return str(stored)
    return "\n".join(_leaves(json.loads(str(stored)))) if kind == Kind.JSON else ""


def sentence_of(kind: str, stored: Stored) -> str | None:
    """A text that says something, by its first 2,000 characters; None for a label or no text.

    A text of at least four words, with spaces between them, says something; of a script without
    spaces, one of eight letters.

    Examples
    --------
    >>> sentence_of(*to_stored("Open 'my orders' and follow the parcel."))
    "Open 'my orders' and follow the parcel."
    >>> labels = "gas station", "balance_not_updated_after_bank_transfer", 12, "+1 555 0101 22"
    >>> [sentence_of(*to_stored(label)) for label in labels]
    [None, None, None, None]
    """
    if kind != Kind.TEXT:
        return None
    text = str(stored)[:_READ]
    words = sum(any(map(str.isalpha, word)) for word in text.split())
    if words < _SENTENCE and not text.isascii():  # perhaps without spaces: pieces of two letters
        words = sum(not word.isdigit() for word in query_tokens(text)) // 2
    return text if words >= _SENTENCE else None


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)


def check_vector(vector: Any, what: str, dimension: int | None = None) -> Floats:
    """Return a vector as little-endian float32, or raise the VectorError that says what is wrong.

    Parameters
    ----------
    vector : array_like (d,)
    what : str
        What it is, for the message.
    dimension : int, optional
        The d that is expected.
    """
    try:
        array = np.asarray(vector)
    except (ValueError, TypeError) as error:
        raise VectorError(f"{what} is not a vector: {error}") from None
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "fiu":
        raise VectorError(
            f"{what} of shape {array.shape} and type {array.dtype} is not a vector; give a "
            f"one-dimensional array of {dimension or 'd'} numbers"
        )
    if dimension is not None and len(array) != dimension:
        raise VectorError(
            f"{what} has {len(array)} dimensions and this store's vectors have {dimension}; "
            "encode it with the encoder that made the others"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        single = np.ascontiguousarray(array, dtype="<f4")
        bad = np.flatnonzero(~(np.abs(single) < LARGEST))  # NaN fails the comparison too
    if len(bad):
        raise VectorError(
            f"{what} holds {array[bad[0]]} at position {bad[0]}; entries must be finite and below "
            f"{LARGEST:g}: np.nan_to_num(vector) removes NaN and infinity"
        )
    return single


def same(one: Value, other: Value) -> bool:
    """Whether two values are equal, where vectors are equal if all their entries are."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return (
            isinstance(one, np.ndarray)
            and isinstance(other, np.ndarray)
            and np.array_equal(one, other)
        )
    return bool(one == other)


def _to_json(value: Value) -> str:
    _check_json(value, "value")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise RecordError("the value holds itself or is nested too deep for JSON") from None
    except ValueError as error:
        raise RecordError(f"the value cannot be kept as JSON: {error}") from None
    return _encodable(text)


def _check_json(value: Value, path: str, depth: int = 0) -> None:
    """Refuse what JSON would turn into something else: tuples, keys that are not text."""
    if depth > 200:
        raise RecordError(f"{path[:60]}… is nested more than 200 deep, or holds itself")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise RecordError(
                    f"JSON keys are text, and {path} has the key {key!r}; use {str(key)!r}"
                )
            _check_json(item, f"{path}[{key!r}]", depth + 1)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            _check_json(item, f"{path}[{place}]", depth + 1)
    elif not (value is None or isinstance(value, str | int | float)):
        raise RecordError(
            f"JSON holds None, bool, numbers, text, list and dict, and {path} is a "
            f"{type(value).__name__}"
        )


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TextError(
            f"a value holds a lone surrogate at position {error.start}, which is not valid "
            "Unicode; mend it with text.encode('utf-8', 'replace').decode()"
        ) from None
    return text
