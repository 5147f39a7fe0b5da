"""Hearing: how a question is read, by the words that its store has.

The store's vocabulary is counted when the first question is read, and keeps up with what is written
since. That of a large store is counted in the background; until then its questions are read as
they are written.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress

from qkv import background
from qkv.errors import Closed
from qkv.forms import plain_form
from qkv.space import Query, Space
from qkv.spelling import Mended, Vocabulary, mend
from qkv.tables import Tables
from qkv.values import Kind, Stored

__all__ = ["Hearing"]

#: Records up to which a question waits for the store's words to be counted: .3 s.
AT_ONCE = 50_000
#: Values are read up to here.
_READ = 2_000
#: Words of texts that are gone are forgotten at once in a store of so many records; in a larger one
#: when they are more than an eighth.
_FEW = 5_000
#: Texts that are counted between two looks at whether the program ends.
_STEP = 10_000


class Hearing:
    """Reads the questions of one store. Any thread may use it.

    Parameters
    ----------
    tables : Tables
    space : Space
    """

    def __init__(self, tables: Tables, space: Space) -> None:
        self._tables = tables
        self._space = space
        self._lock = threading.Lock()
        self._vocabulary: Vocabulary | None = None
        self._version = -1  # of the clock, up to which words are counted
        self._count = self._gone = 0  # records that are counted; and of them, that are no more
        self._running: threading.Thread | None = None

    def read(self, texts: Sequence[str]) -> list[Mended]:
        """Read questions without their slips: see :func:`qkv.spelling.mend`.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        list of Mended
            As they are where the store's encoder reads no human language.
        """
        if not texts or not self._space.hears_words:
            return [Mended(text) for text in texts]
        with self._lock:
            vocabulary = self._caught_up()
            if vocabulary is None:
                return [Mended(text) for text in texts]
            return [mend(plain_form(text), vocabulary) for text in texts]

    def queries(
        self, queries: Sequence[Query]
    ) -> tuple[list[Query], list[tuple[tuple[str, str], ...]]]:
        """Queries as they are read, and of each the words that were read as others."""
        texts = [q for q in queries if isinstance(q, str)]
        mended = iter(self.read(texts))
        read: list[Query] = []
        changes: list[tuple[tuple[str, str], ...]] = []
        for q in queries:
            one = next(mended) if isinstance(q, str) else None
            told = () if one is None else tuple((c.written, c.read) for c in one.changes)
            read.append(one.text if one is not None and told else q)
            changes.append(told)
        return read, changes

    def after_fork(self) -> None:
        """Forget, in a child, what the parent's threads are doing."""
        self._lock, self._running = threading.Lock(), None

    def _caught_up(self) -> Vocabulary | None:
        version, floor, count = self._tables.counted()
        known = self._vocabulary
        if known is not None and version == self._version:
            return known
        if known is not None and self._version >= floor:
            rows = self._tables.texts_since(self._version)
            gone = self._gone + self._count + len(rows) - count
            if not gone or (count > _FEW and gone <= count // 8):
                known.add(_texts(rows))
                self._version, self._count, self._gone = version, count, gone
                return known
        if count <= AT_ONCE:
            self._count_anew()
            return self._vocabulary
        if self._running is None or not self._running.is_alive():
            self._running = background.start("qkv words", self._count_in_background)
        return known

    def _count_in_background(self) -> None:
        with suppress(Closed):  # whoever closed the store does not wait for this
            self._count_anew()

    def _count_anew(self) -> None:
        version, _, count = self._tables.counted()
        vocabulary, batch = Vocabulary(), []
        for page in self._tables.pages():
            batch += [(key, kind, stored) for _, key, kind, stored, _ in page]
            if len(batch) >= _STEP:
                background.go_on()
                vocabulary.add(_texts(batch))
                batch = []
        vocabulary.add(_texts(batch))
        self._vocabulary, self._version, self._count, self._gone = vocabulary, version, count, 0


def _texts(records: Sequence[tuple[str, str, Stored]]) -> list[str]:
    """What there is to read in keys, and in values that are texts."""
    found = []
    for key, kind, stored in records:
        found.append(plain_form(key[:_READ]))
        if kind == Kind.TEXT:
            found.append(plain_form(str(stored)[:_READ]))
    return found
