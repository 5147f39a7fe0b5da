"""Views of a database: its items and values, read a page at a time."""

from __future__ import annotations

from collections.abc import ItemsView as _ItemsView
from collections.abc import Iterator
from collections.abc import ValuesView as _ValuesView
from typing import TYPE_CHECKING

from qkv.types import Value
from qkv.values import from_stored, same

if TYPE_CHECKING:
    from qkv.database.mapping import Database

__all__ = ["ItemsView", "ValuesView"]


class ItemsView(_ItemsView[str, Value]):
    """Pairs of key and value, read a page at a time."""

    _mapping: Database

    def __contains__(self, item: object) -> bool:
        if not isinstance(item, tuple) or len(item) != 2 or item[0] not in self._mapping:
            return False
        return same(self._mapping[item[0]], item[1])

    def __iter__(self) -> Iterator[tuple[str, Value]]:
        for page in self._mapping._tables.pages():
            for _, key, kind, stored, _ in page:
                yield key, from_stored(kind, stored)

    def __reversed__(self) -> Iterator[tuple[str, Value]]:
        for page in self._mapping._tables.pages_back():
            for _, key, kind, stored, _ in page:
                yield key, from_stored(kind, stored)


class ValuesView(_ValuesView[Value]):
    """Values, read a page at a time."""

    _mapping: Database

    def __contains__(self, value: object) -> bool:
        return any(same(one, value) for one in self)

    def __iter__(self) -> Iterator[Value]:
        for _, value in ItemsView(self._mapping):
            yield value

    def __reversed__(self) -> Iterator[Value]:
        for _, value in reversed(ItemsView(self._mapping)):
            yield value
