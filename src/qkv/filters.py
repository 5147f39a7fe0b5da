"""Filters: which records take part at all, said of their metadata.

A filter is a readable expression or a mapping, and both become one SQL condition whose values are
parameters: no text of the user's is ever read as SQL.

=================================  ==========================================
expression                         mapping
=================================  ==========================================
``year == 2020``                   ``{"year": 2020}``
``year != 2020``                   ``{"year": {"!=": 2020}}``
``2000 <= year < 2010``            ``{"year": {">=": 2000, "<": 2010}}``
``lang in ["en", "de"]``           ``{"lang": ["en", "de"]}``
``lang not in ["en", "de"]``       ``{"lang": {"not in": ["en", "de"]}}``
``"bear" in tags``                 ``{"tags": {"contains": "bear"}}``
``a == 1 and b == 2``              ``{"a": 1, "b": 2}``
``a == 1 or b == 2``               ``{"or": [{"a": 1}, {"b": 2}]}``
``not a == 1``                     ``{"not": {"a": 1}}``
``author.name == "Ann"``           ``{"author.name": "Ann"}``
``field("page count") > 9``        ``{"page count": {">": 9}}``
=================================  ==========================================

A field that a record does not have equals nothing but None, is neither larger nor smaller than
anything, and passes ``!=`` and ``not in``, as ``metadata.get(field)`` would. Numbers compare with
numbers and texts with texts, by code point.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from qkv.errors import FilterError

__all__ = ["Filter", "Where", "check_metadata", "parse"]

#: A filter as users write it.
Where: TypeAlias = "str | Mapping[str, Any]"

_LARGEST = 2**63
#: More values than this in one ``in`` are handed over as one JSON list.
_MANY = 500
_JSON = json.JSONEncoder(allow_nan=False, ensure_ascii=False)
_OPPOSITE = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True)
class Filter:
    """A condition for SQLite.

    Attributes
    ----------
    condition : str
        SQL over the columns of ``records``, with a ``?`` for each value.
    values : tuple
        What stands for the ``?``.
    fields : tuple of str
        Expressions whose index would help.
    """

    condition: str
    values: tuple[Any, ...] = ()
    fields: tuple[str, ...] = ()

    def all(self, other: Filter) -> Filter:
        """Both conditions."""
        return self._joined("AND", other)

    def any(self, other: Filter) -> Filter:
        """Either condition."""
        return self._joined("OR", other)

    def negated(self) -> Filter:
        """The opposite; what cannot be said of a record is false, and its opposite true."""
        return Filter(f"NOT ifnull({self.condition}, 0)", self.values)

    def _joined(self, word: str, other: Filter) -> Filter:
        return Filter(
            f"({self.condition} {word} {other.condition})",
            self.values + other.values,
            tuple(dict.fromkeys(self.fields + other.fields)),
        )


def parse(where: Where) -> Filter:
    r"""Turn a filter into a condition.

    Parameters
    ----------
    where : str or mapping
        See the module's table.

    Raises
    ------
    FilterError
        If it cannot be read; the message points at the place.

    Examples
    --------
    >>> parse("year == 2020").condition, parse("year == 2020").values
    ('(json_extract(metadata, \'$."year"\') = ?)', (2020,))
    >>> parse({"lang": ["en", "de"]}).values
    ('en', 'de')
    """
    if isinstance(where, str):
        return _Expression(where).filter()
    if isinstance(where, Mapping):
        return _mapping(where)
    raise FilterError(
        f"where is a text like 'year >= 2020 and lang == \"en\"' or a mapping like "
        f"{{'lang': 'en'}}, not a {type(where).__name__}"
    )


def check_metadata(metadata: Any) -> str:
    """Return metadata as JSON, or raise a FilterError: a mapping of names to JSON values."""
    if not isinstance(metadata, Mapping):
        raise FilterError(
            f"metadata is a mapping like {{'year': 2020}}, not a {type(metadata).__name__}"
        )
    for name in metadata:
        _name_once(name)
        if "." in name:
            raise FilterError(
                f"metadata's name {name!r} has a dot, which filters read as a field inside "
                "another; use an underscore, or a dict inside"
            )
    try:
        text = _JSON.encode(metadata if type(metadata) is dict else dict(metadata))
        if not text.isascii():
            text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise FilterError(
            f"metadata holds something that JSON cannot: {error}; use text, finite numbers, True, "
            "False, None, lists and dicts of these"
        ) from None
    return text


# ── conditions on one field ──────────────────────────────────────────────────────────────────────


def _check_name(name: Any) -> None:
    """Refuse what is no name of a field: it is text inside an SQL statement."""
    if not isinstance(name, str) or not all(name.split(".")):
        raise FilterError(f"a field has a name, like 'year' or 'author.name', not {name!r}")
    if any(c in name for c in "\"\\'") or not name.isprintable():
        raise FilterError(f"a field's name is without quotes, backslashes and breaks, not {name!r}")


#: For the same few names of millions of records.
_name_once = lru_cache(maxsize=1000)(_check_name)


def _expression(name: Any) -> str:
    """SQL of a field."""
    _check_name(name)
    path = ".".join(f'"{part}"' for part in name.split("."))
    return f"json_extract(metadata, '$.{path}')"


def _scalar(name: str, value: Any) -> Any:
    """A value that SQLite can compare, or a FilterError."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int) and -_LARGEST <= value < _LARGEST:
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    raise FilterError(
        f"{name} is compared with {value!r:.60}; use text, a finite number, True, False or None"
    )


def _equal(name: str, value: Any) -> Filter:
    field, value = _expression(name), _scalar(name, value)
    if value is None:
        return Filter(f"({field} IS NULL)")
    return Filter(f"({field} = ?)", (value,), (field,))


def _ordered(sign: str) -> Callable[[str, Any], Filter]:
    def ordered(name: str, value: Any) -> Filter:
        field, value = _expression(name), _scalar(name, value)
        if value is None or isinstance(value, bool):
            raise FilterError(f"{name} {sign} {value!r}: only numbers and texts have an order")
        # SQLite puts every text after every number; here they do not compare.
        kinds = "'text'" if isinstance(value, str) else "'integer', 'real'"
        condition = f"(typeof({field}) IN ({kinds}) AND {field} {sign} ?)"
        return Filter(condition, (value,), (field,))

    return ordered


def _one_of(name: str, values: Any) -> Filter:
    if isinstance(values, str | Mapping) or not hasattr(values, "__iter__"):
        raise FilterError(f"{name} in {values!r:.60}: give a list of values")
    field, listed = _expression(name), [_scalar(name, value) for value in values]
    given = [value for value in listed if value is not None]
    found = Filter("(0)")
    if len(given) > _MANY:
        text = json.dumps(given)
        condition = f"({field} IN (SELECT value FROM json_each(?)))"  # noqa: S608
        found = Filter(condition, (text,), (field,))
    elif given:
        found = Filter(f"({field} IN ({', '.join('?' * len(given))}))", tuple(given), (field,))
    return found.any(_equal(name, None)) if None in listed else found


def _contains(name: str, value: Any) -> Filter:
    _expression(name)
    path = "$." + ".".join(f'"{part}"' for part in name.split("."))
    each = "EXISTS (SELECT 1 FROM json_each(metadata, ?) WHERE value = ?)"
    return Filter(f"(metadata IS NOT NULL AND {each})", (path, _scalar(name, value)))


_CONDITIONS: dict[str, Callable[[str, Any], Filter]] = {
    "==": _equal,
    "!=": lambda name, value: _equal(name, value).negated(),
    "<": _ordered("<"),
    "<=": _ordered("<="),
    ">": _ordered(">"),
    ">=": _ordered(">="),
    "in": _one_of,
    "not in": lambda name, values: _one_of(name, values).negated(),
    "contains": _contains,
}


# ── mappings ─────────────────────────────────────────────────────────────────────────────────────


def _mapping(where: Mapping[str, Any]) -> Filter:
    found = Filter("(1)")
    for name, wanted in where.items():
        if name in {"and", "or"}:
            part = _list(name, wanted)
        elif name == "not":
            part = parse(wanted).negated()
        elif isinstance(wanted, Mapping):
            part = _signs(name, wanted)
        elif isinstance(wanted, list | tuple | set | frozenset):
            part = _one_of(name, wanted)
        else:
            part = _equal(name, wanted)
        found = part if found.condition == "(1)" else found.all(part)
    return found


def _list(word: str, parts: Any) -> Filter:
    if not isinstance(parts, list | tuple) or not parts:
        raise FilterError(f"{word!r} holds a list of filters, not {parts!r:.60}")
    found = parse(parts[0])
    for part in parts[1:]:
        found = found.all(parse(part)) if word == "and" else found.any(parse(part))
    return found


def _signs(name: str, wanted: Mapping[str, Any]) -> Filter:
    found = Filter("(1)")
    for sign, value in wanted.items():
        if sign not in _CONDITIONS:
            raise FilterError(
                f"{name} is compared by {sign!r}; use one of {', '.join(map(repr, _CONDITIONS))}"
            )
        part = _CONDITIONS[sign](name, value)
        found = part if found.condition == "(1)" else found.all(part)
    return found


# ── expressions ──────────────────────────────────────────────────────────────────────────────────


_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "==",
    ast.IsNot: "!=",
}


class _Expression:
    """An expression in Python's own grammar, of which only conditions are allowed."""

    def __init__(self, text: str) -> None:
        self._text = text

    def filter(self) -> Filter:
        try:
            tree = ast.parse(self._text.strip(), mode="eval")
            return self._condition(tree.body)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if isinstance(error, FilterError):
                raise
            why = error.msg if isinstance(error, SyntaxError) else "it is nested too deep"
            raise FilterError(
                f"the filter {self._text!r:.80} cannot be read ({why}); write it like "
                '\'year >= 2020 and lang in ["en", "de"]\''
            ) from None

    def _condition(self, node: ast.expr) -> Filter:
        if isinstance(node, ast.BoolOp):
            found = self._condition(node.values[0])
            for part in node.values[1:]:
                other = self._condition(part)
                found = found.all(other) if isinstance(node.op, ast.And) else found.any(other)
            return found
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self._condition(node.operand).negated()
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if self._is_field(node):  # a flag: `not draft`
            return _equal(self._field(node), True)
        raise self._strange(node)

    def _comparison(self, node: ast.Compare) -> Filter:
        sides = [node.left, *node.comparators]
        found = Filter("(1)")
        for left, op, right in zip(sides, node.ops, sides[1:], strict=False):
            part = self._one(left, _SIGNS[type(op)], right)
            found = part if found.condition == "(1)" else found.all(part)
        return found

    def _one(self, left: ast.expr, sign: str, right: ast.expr) -> Filter:
        if self._is_field(left) and not self._is_field(right):
            return _CONDITIONS[sign](self._field(left), self._value(right))
        if not self._is_field(right) or self._is_field(left):
            raise self._strange(left if not self._is_field(left) else right)
        if sign in {"in", "not in"}:
            found = _contains(self._field(right), self._value(left))
            return found if sign == "in" else found.negated()
        return _CONDITIONS[_OPPOSITE[sign]](self._field(right), self._value(left))

    def _is_field(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Attribute):
            return self._is_field(node.value)
        called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        return isinstance(node, ast.Name) or (called and node.func.id == "field")  # type: ignore[attr-defined]

    def _field(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Attribute):
            return f"{self._field(node.value)}.{node.attr}"
        if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                return name.value
        raise self._strange(node)

    def _value(self, node: ast.expr) -> Any:
        try:
            return ast.literal_eval(node)
        except ValueError:
            raise self._strange(node) from None

    def _strange(self, node: ast.expr) -> FilterError:
        part = ast.get_source_segment(self._text.strip(), node) or self._text
        return FilterError(
            f"{part!r:.60} is not a condition on a field; a filter is made of comparisons like "
            'year >= 2020, lang in ["en", "de"] or "bear" in tags, and of and, or, not'
        )
