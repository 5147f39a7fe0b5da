"""What the suites share: fixtures, and how hypothesis runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Shared machines are slow at times: no single example has a deadline.
settings.register_profile("qkv", deadline=None, derandomize=True)
settings.load_profile("qkv")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may begin; the directory is there, the file is not."""
    return tmp_path / "store.qkv"


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start Python processes that run a piece of code; those left at the end are killed."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
