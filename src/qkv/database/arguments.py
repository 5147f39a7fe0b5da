"""What callers give: batches, records, options, checked and brought into one form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from qkv.errors import FilterError, InputError, RecordError
from qkv.filters import Filter, Where, check_metadata, parse
from qkv.space import Query, check_query
from qkv.types import Value

__all__ = [
    "Records",
    "answers",
    "batch",
    "check_all_metadata",
    "check_decoding",
    "check_imagination",
    "check_null",
    "check_pairs",
    "check_questions",
    "check_share",
    "check_timeout",
    "check_where",
    "pairs",
    "storable",
]

Records: TypeAlias = "Mapping[str, Value] | Iterable[tuple[str, Value]]"


def storable(key: object) -> bool:
    """Whether a key could be in a store at all: others are absent, they are no error."""
    if not isinstance(key, str):
        hash(key)  # an unhashable key is a TypeError, as in any dict
        return False
    return key.isascii() or _encodable(key)


def _encodable(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def batch(q: Query | Sequence[Query]) -> tuple[list[Query], bool]:
    """Queries, checked, and whether there was just one."""
    if isinstance(q, str) or (isinstance(q, np.ndarray) and q.ndim != 2):
        return [check_query(q)], True
    many: Any = q
    if isinstance(many, bytes | Mapping) or not isinstance(many, Iterable):
        many = [many]  # no list of queries: let the check say so
    return [check_query(one) for one in many], False


def pairs(records: Records) -> list[tuple[str, Value]]:
    """Records as pairs, from whatever `dict.update` takes."""
    if isinstance(records, Mapping):
        return list(records.items())
    given: object = records
    if isinstance(given, str):
        raise RecordError(
            f"records are a mapping, or pairs of key and value, and this is the text "
            f"{given!r:.60}; a file is named: Database(path={given!r:.60})"
        )
    keys = getattr(records, "keys", None)
    if keys is not None:
        return [(key, records[key]) for key in keys()]  # type: ignore[index]
    pairs = []
    for position, pair in enumerate(records):
        try:
            key, value = pair
        except (TypeError, ValueError):
            raise RecordError(
                f"record {position} is no pair of key and value: {pair!r:.60}; give a mapping, or "
                "pairs like ('cat', 'animal')"
            ) from None
        pairs.append((key, value))
    return pairs


def check_imagination(share: float | Literal["auto"]) -> float | None:
    """Return the share, None for ``"auto"``, or raise an InputError."""
    if share == "auto":
        return None
    value = _number(share)
    if not 0 <= value <= 1:
        raise InputError(f"imagination is a share from 0 to 1, or 'auto', not {share!r}")
    return value


def check_share(share: float, name: str) -> float:
    """Return a share between 0 and 1, both apart, or raise an InputError."""
    value = _number(share)
    if not 0 < value < 1:
        raise InputError(f"{name} is a share above 0 and below 1, such as 0.05, not {share!r}")
    return value


def check_tolerance(tolerance: float) -> float:
    """Return a relative error, 0 or more, or raise an InputError."""
    value = _number(tolerance)
    if not value >= 0:
        raise InputError(
            f"tolerance is a relative error from 0 up, such as 0.01, not {tolerance!r}"
        )
    return value


def check_null(null: float | None) -> float | None:
    """Return the score of the null record, or raise an InputError."""
    if null is None:
        return None
    value = _number(null)
    if np.isnan(value):
        raise InputError(f"null is a score, or None for no null record, not {null!r}")
    return value


def check_where(where: Where | None) -> Filter | None:
    """Return the filter, or raise a FilterError."""
    return None if where is None else parse(where)


def check_all_metadata(given: Any, count: int) -> list[str | None]:
    """Return the metadata of some records as JSON, or raise a FilterError."""
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise FilterError(
            f"metadata of several records is a list with a mapping for each, not a "
            f"{type(given).__name__}"
        )
    about = [None if one is None else check_metadata(one) for one in given]
    if len(about) != count:
        raise FilterError(f"{count} records came with {len(about)} metadata; give one for each")
    return about


def answers(given: Any) -> list[Value]:
    """Several answers, whether one was given, or a list; none for None."""
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple | set | frozenset) else [given]


def check_pairs(pairs: Any) -> list[tuple[Query, Query]]:
    """Return pairs of query and key, or raise an InputError that says which is none."""
    what = "pair", "the key that answers it"
    twos = _twos(pairs, *what, "('seventy', 'one')")
    return [(check_query(query), check_query(key)) for query, key in twos]


def check_questions(questions: Any) -> list[tuple[Query, Value]]:
    """Return questions with their answers, or raise an InputError that says which is none."""
    what = "question", "its answer, None where there is none"
    twos = _twos(questions, *what, "('a kitten', 'cat')")
    return [(check_query(query), answer) for query, answer in twos]


def _twos(given: Any, name: str, other: str, example: str) -> Iterator[tuple[Any, Any]]:
    """A query and something that belongs to it, each: of a list of both, or of a dict."""
    if isinstance(given, Mapping):
        given = given.items()
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InputError(
            f"{name}s are a list like [{example}], of a query and {other}, not a "
            f"{type(given).__name__}"
        )
    for position, two in enumerate(given):
        if isinstance(two, str) or not isinstance(two, Sequence) or len(two) != 2:
            raise InputError(
                f"{name} {position} is no pair of a query and {other}: {two!r:.60}; give pairs "
                f"like {example}"
            )
        yield two[0], two[1]


def check_switch(switch: bool | Literal["auto"]) -> bool | Literal["auto"]:
    """Return True, False or "auto", or raise an InputError."""
    if switch == "auto" or isinstance(switch, bool):
        return switch
    raise InputError(f"read_values is True, False or 'auto', not {switch!r}")


def check_timeout(timeout: float) -> float:
    """Return the seconds, or raise an InputError."""
    value = _number(timeout)
    if not 0 <= value < 1e6:
        raise InputError(f"timeout is a number of seconds from 0 up, not {timeout!r}")
    return value


def _number(value: Any) -> float:
    """The value as a float; NaN for what is no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def check_decoding(metric: str) -> Literal["cosine", "euclidean"]:
    """Return the metric of decoding, or raise an InputError."""
    if metric == "cosine":
        return "cosine"
    if metric == "euclidean":
        return "euclidean"
    raise InputError(f"decoding is 'cosine' or 'euclidean', not {metric!r}")
