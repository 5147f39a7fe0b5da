"""Many readers or one writer: the lock that every engine keeps to itself."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

__all__ = ["ReadWriteLock"]

_LOCKS: weakref.WeakSet[ReadWriteLock] = weakref.WeakSet()


class ReadWriteLock:
    """Readers share it, a writer has it alone; a waiting writer goes before new readers.

    Not reentrant: who reads must not read again inside.

    Examples
    --------
    >>> lock = ReadWriteLock()
    >>> with lock.reading():
    ...     "searched"
    'searched'
    >>> with lock.writing():
    ...     "added"
    'added'
    """

    def __init__(self) -> None:
        self._open()
        _LOCKS.add(self)

    def _open(self) -> None:
        self._turn = Condition()
        self._readers = 0
        self._writers = 0  # waiting ones included
        self._busy = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold the lock together with other readers."""
        with self._turn:
            while self._writers:
                self._turn.wait()
            self._readers += 1
        try:
            yield
        finally:
            with self._turn:
                self._readers -= 1
                if not self._readers:
                    self._turn.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the lock alone."""
        with self._turn:
            self._writers += 1
            while self._readers or self._busy:
                self._turn.wait()
            self._busy = True
        try:
            yield
        finally:
            with self._turn:
                self._writers -= 1
                self._busy = False
                self._turn.notify_all()


def _after_fork() -> None:
    """Whoever held a lock is not here."""
    for lock in list(_LOCKS):
        lock._open()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
