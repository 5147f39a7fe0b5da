"""How a command ends: the exit code, and what is said about an error.

====  ==========================================================
code  meaning, as for ``grep``
====  ==========================================================
0     done
1     not found: no such key, no answer
2     bad usage or input, a file that cannot be used
130   stopped by Ctrl-C
141   whoever read the output went away (``qkv ls s | head``)
====  ==========================================================
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from qkv.cli.display import complain
from qkv.errors import QkvError

__all__ = ["Absent", "ending_well"]


class Absent(QkvError):
    """What was asked for is not in the store: exit code 1, where other errors have 2."""


@contextmanager
def ending_well() -> Iterator[None]:
    """Run a command; turn errors into one line on stderr and an exit code."""
    _prepare_streams()
    try:
        yield
        # Here rather than at exit, where Python would print a traceback for a closed pipe.
        sys.stdout.flush()
    except Absent as error:
        complain(str(error))
        raise typer.Exit(1) from None
    except QkvError as error:
        complain(str(error))
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except BrokenPipeError:
        _drop_output()
        raise typer.Exit(141) from None
    except OSError as error:
        complain(f"{error.filename or 'the file'}: {error.strerror or error}")
        raise typer.Exit(2) from None


def _prepare_streams() -> None:
    """Pipes and files get UTF-8 on every system; a terminal gets what it can show."""
    # A stream that the shell closed (`qkv ls s >&-`) is None in Python.
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BytesIO())
    sys.stdout = sys.stdout or io.TextIOWrapper(io.BytesIO())
    if isinstance(sys.stdout, io.TextIOWrapper):
        if sys.stdout.isatty():
            sys.stdout.reconfigure(errors="replace")
        else:
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


def _drop_output() -> None:
    """What is still buffered has no reader: let it go nowhere, in silence."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
