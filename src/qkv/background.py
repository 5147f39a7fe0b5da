"""Work in the background, that is left off when the program ends.

A thread that is killed while it multiplies matrices can leave the library that does so waiting
for ever when it is unloaded: the program would not end. So whatever works in the background is
told, at exit, and waited for.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable

__all__ = ["LeftOff", "go_on", "start"]


class LeftOff(Exception):
    """The program is ending; raised in background threads alone."""


_ending = threading.Event()
_running: set[threading.Thread] = set()


def start(name: str, work: Callable[[], None]) -> threading.Thread:
    """Do some work in a thread of its own.

    Parameters
    ----------
    name : str
    work : callable
        Calls :func:`go_on` now and then.

    Returns
    -------
    threading.Thread
        Running.
    """

    def run() -> None:
        try:
            work()
        except LeftOff:
            pass
        finally:
            _running.discard(threading.current_thread())

    thread = threading.Thread(target=run, name=name, daemon=True)
    _running.add(thread)
    thread.start()
    return thread


def go_on() -> None:
    """Raise LeftOff in a background thread once the program is ending; else do nothing."""
    if _ending.is_set() and threading.current_thread() in _running:
        raise LeftOff


def _end() -> None:
    _ending.set()
    for thread in list(_running):
        thread.join()


atexit.register(_end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_running.clear)  # threads stay with the parent
