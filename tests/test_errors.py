"""Errors: the tree in the docstring is the tree in the code."""

from __future__ import annotations

import re

import pytest

from qkv import errors


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_a_qkv_error_and_is_drawn(name):
    assert issubclass(getattr(errors, name), errors.QkvError)
    assert name in errors.__doc__


def test_the_drawing_shows_each_parent():
    parents = [(-1, "Exception")]
    for line in errors.__doc__.splitlines():
        drawn = re.match(r"^([ │├└─]*)(\w+) {2,}", line)
        if drawn and hasattr(errors, drawn[2]):
            depth = len(drawn[1])
            while parents[-1][0] >= depth:
                parents.pop()
            bases = [base.__name__ for base in getattr(errors, drawn[2]).__mro__]
            assert parents[-1][1] in bases
            parents.append((depth, drawn[2]))
    assert len(parents) > 1


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("InputError", ValueError),
        ("RecordError", TypeError),
        ("FileError", OSError),
        ("Locked", OSError),
        ("MissingExtra", ImportError),
    ],
)
def test_errors_are_also_what_python_programs_expect(name, builtin):
    assert issubclass(getattr(errors, name), builtin)
