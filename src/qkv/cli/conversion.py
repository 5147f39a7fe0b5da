"""Between values and their text: what a value typed on a command line or read from a file means."""

from __future__ import annotations

import json
import math
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from qkv.errors import InputError

if TYPE_CHECKING:
    from qkv.types import Value

__all__ = [
    "Record",
    "Type",
    "number",
    "object_of",
    "parse_json",
    "plain",
    "record",
    "to_json",
    "to_text",
    "typed",
]


class Record(NamedTuple):
    """A record as a store has it; metadata is None where there is none."""

    key: str
    value: Value
    metadata: dict[str, Any] | None = None


class Type(StrEnum):
    """What the text of a value stands for."""

    AUTO = "auto"
    TEXT = "text"
    NUMBER = "number"
    JSON = "json"
    VECTOR = "vector"


#: As JSON writes numbers, with an optional plus. "007" is none: its zeros mean something.
_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def number(text: str) -> int | float | None:
    """Return the number that a text is, or None.

    Examples
    --------
    >>> number("42"), number(" -1.5e3 "), number("007"), number("1,000"), number("nan")
    (42, -1500.0, None, None, None)
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    if match[1] is None and match[2] is None:
        # Python refuses to read integers of thousands of digits; so few people mean them.
        return int(match[0]) if len(match[0]) <= 1000 else None
    value = float(match[0])
    return value if math.isfinite(value) else None


def parse_json(text: str) -> Any:
    """Read JSON as the standard has it: no NaN, no Infinity.

    Raises
    ------
    InputError
        Saying where it breaks.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise InputError(
            f"broken JSON at character {error.pos + 1}: {error.msg}: {_excerpt(text)}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"JSON that cannot be read: {error}: {_excerpt(text)}") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON, use null")


def _excerpt(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 60 else text[:59] + "…")


def object_of(raw: Any) -> dict[str, Any]:
    """Return metadata from a JSON object, or from the text of one.

    Raises
    ------
    InputError
        If it is something else.

    Examples
    --------
    >>> object_of('{"year": 2020}')
    {'year': 2020}
    """
    content = parse_json(raw) if isinstance(raw, str) else raw
    if not isinstance(content, dict):
        raise InputError(
            f'metadata is a JSON object like {{"year": 2020}}, not {_excerpt(str(raw))}'
        )
    return content


def typed(raw: Any, type: Type) -> Value:
    """Turn what was written into the value that it stands for.

    Parameters
    ----------
    raw : str, or a value that a file format has read already
        None stays None: a missing value.
    type : Type
        AUTO takes numbers for numbers and all the rest for text.

    Raises
    ------
    InputError
        If it is nothing of that type.

    Examples
    --------
    >>> typed("5", Type.TEXT), typed("5", Type.AUTO), typed("[1, null]", Type.JSON)
    ('5', 5, [1, None])
    """
    if raw is None:
        return None
    match type:
        case Type.TEXT:
            return _text(raw)
        case Type.NUMBER:
            return _number(raw)
        case Type.JSON:
            return parse_json(raw) if isinstance(raw, str) else raw
        case Type.VECTOR:
            return _vector(raw)
        case Type.AUTO:
            found = number(raw) if isinstance(raw, str) else None
            return raw if found is None else found


def _text(raw: Any) -> str:
    try:
        return to_text(raw)
    except (TypeError, ValueError) as error:  # bytes and dates deep in a Parquet file; NaN
        raise InputError(f"not to be written as text: {_excerpt(str(raw))}: {error}") from None


def _number(raw: Any) -> int | float:
    found = number(raw) if isinstance(raw, str) else raw
    if not isinstance(found, int | float) or isinstance(found, bool):
        hint = "; its leading zeros say that it is text" if _zeros(raw) else ""
        raise InputError(f"not a number: {_excerpt(str(raw))}{hint}")
    return found


def _zeros(raw: Any) -> bool:
    return isinstance(raw, str) and raw.strip()[:1] == "0"


def _vector(raw: Any) -> Value:
    import numpy as np  # noqa: PLC0415  (0.1 s that only vectors need)

    from qkv.values import check_vector  # noqa: PLC0415

    numbers = parse_json(raw) if isinstance(raw, str) else raw
    if not isinstance(numbers, list | np.ndarray):
        raise InputError(f"not a vector: {_excerpt(str(raw))}; write it as [0.1, 0.2, 0.3]")
    return check_vector(numbers, "the value")


def plain(value: Value) -> Any:
    """Turn a value into what JSON can hold: a vector becomes a list of numbers."""
    return value.tolist() if hasattr(value, "tolist") else value


def to_json(content: Any) -> str:
    """Write JSON on one line, in UTF-8 rather than escapes.

    Examples
    --------
    >>> to_json({"key": "猫", "value": [1, None]})
    '{"key": "猫", "value": [1, null]}'
    """
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


def to_text(value: Value) -> str:
    """Write a value as `typed` reads it: text as it is, all the rest as JSON."""
    return value if isinstance(value, str) else to_json(plain(value))


def record(key: str, value: Value, metadata: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a record as JSON has it; a vector says so, since its list could be a list.

    Examples
    --------
    >>> record("cat", "animal")
    {'key': 'cat', 'value': 'animal'}
    >>> record("cat", "animal", {"legs": 4})
    {'key': 'cat', 'value': 'animal', 'metadata': {'legs': 4}}
    """
    content = {"key": key, "value": plain(value)}
    if content["value"] is not value:
        content["kind"] = "vector"
    return content | {"metadata": metadata} if metadata else content
