"""Measuring: interleaved timing, what the machine can do, and rows that say how far we are from it.

The machines that benchmarks run on are shared, so single numbers mean little. Everything that is
compared runs in the same loop, one round after the other and in rotating order, so that noise hits
all of it; figures are medians, and ratios are medians of the ratios within a round.
"""

from __future__ import annotations

import datetime
import os
import platform
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import qkv

Times = NDArray[np.float64]


@dataclass(frozen=True)
class Setup:
    """How large, how often, and from which seed."""

    n: int = 100_000
    d: int = 256
    batch: int = 256
    seed: int = 0
    patience: float = 1.0  # scales the number of rounds

    def rounds(self, count: int) -> int:
        """Scale a number of rounds, at least 3."""
        return max(3, round(count * self.patience))


@dataclass(frozen=True)
class Row:
    """One figure: seconds, its goal and its floor.

    Attributes
    ----------
    what : str
    seconds : float
        Median.
    low, high : float
        10th and 90th percentile.
    figure : str
        The number that the goal speaks of.
    goal : str
        Empty: reported only.
    met : bool or None
    floor : float or None
        Seconds that cannot be beaten, or only by another way of storing the same bytes.
    floor_is : str
        Where the floor comes from.
    peers : dict of str to float
        Median seconds of others that did the same in the same loop.
    """

    what: str
    seconds: float
    low: float
    high: float
    figure: str = ""
    goal: str = ""
    met: bool | None = None
    floor: float | None = None
    floor_is: str = ""
    peers: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, what: str, times: Times, **more: Any) -> Row:
        """Make a row of measured times."""
        low, median, high = np.percentile(times, (10, 50, 90)).tolist()
        return cls(what, median, low, high, **more)


# ── timing ───────────────────────────────────────────────────────────────────────────────────


def interleave(
    tasks: Mapping[str, Callable[[], object]], rounds: int, *, warm: int = 2, pause: float = 0.0
) -> dict[str, Times]:
    """Time tasks in turns, beginning each round with another one.

    Parameters
    ----------
    tasks : dict of str to callable
    rounds : int
    warm : int
        Calls of each that are not timed.
    pause : float
        Seconds to sleep before each. Threads of one library go on spinning for a while after
        their work; where tasks come from several libraries, they must not take each other's cores.

    Returns
    -------
    dict of str to array (rounds,)
        Seconds by task; entry i of all of them comes from round i.
    """
    names = list(tasks)
    for _ in range(warm):
        for name in names:
            tasks[name]()
    times = {name: np.zeros(rounds) for name in names}
    for turn in range(rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            task = tasks[name]
            time.sleep(pause)
            start = time.perf_counter()
            task()
            times[name][turn] = time.perf_counter() - start
    return times


def ratio(ours: Times, theirs: Times) -> float:
    """Median over the rounds of ours / theirs."""
    return float(np.median(ours / theirs))


def medians(times: Mapping[str, Times], *names: str) -> dict[str, float]:
    """Median seconds of some of the tasks."""
    return {name: float(np.median(times[name])) for name in names}


# ── what the machine can do ──────────────────────────────────────────────────────────────────


def readers(megabytes: float) -> dict[str, Callable[[], object]]:
    """Ways to read so many MB from memory once; the fastest of them is its bandwidth.

    A vector product with a matrix reads with all cores, a dot product or a maximum with one;
    which of them wins depends on the machine.
    """
    columns = 256
    rows = max(1, round(megabytes * 1e6 / 4 / columns))
    matrix = np.ones((rows, columns), dtype=np.float32)
    vector, flat = matrix[0].copy(), matrix.ravel()
    return {
        "read by matrix @ vector": lambda: matrix @ vector,
        "read by dot": lambda: flat @ flat,
        "read by max": flat.max,
    }


def fastest_read(times: Mapping[str, Times]) -> tuple[float, Times]:
    """Median seconds, and the times, of the fastest of the `readers`."""
    best = min(
        (name for name in times if name.startswith("read by ")),
        key=lambda name: float(np.median(times[name])),
    )
    return float(np.median(times[best])), times[best]


def square_sgemm(size: int = 2048) -> tuple[Callable[[], object], float]:
    """Make a float32 matrix product that shows the machine's rate; and its flops."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    return lambda: a @ b, 2.0 * size**3


class Quiet:
    """How much of the machine other programs used meanwhile: a noisy result can be told by it."""

    def __init__(self) -> None:
        self._wall, self._busy, self._own = self._now()

    @staticmethod
    def _now() -> tuple[float, float, float]:
        own = os.times()
        # Seconds that all cores together were busy, since boot (see proc(5)).
        stat = Path("/proc/stat")
        ticks = [0.0] * 8
        if stat.exists():
            ticks = [float(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
        user, nice, system, _, _, irq, softirq, steal = ticks
        busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
        return time.monotonic(), busy, sum(own[:4])

    def others(self) -> float:
        """Cores that others kept busy since this object was made, on average."""
        wall, busy, own = self._now()
        return round(max(0.0, (busy - self._busy - own + self._own) / (wall - self._wall)), 2)


def wait_for_quiet(patience: float) -> None:
    """Wait until other programs leave the machine alone, for so many seconds at most."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        quiet = Quiet()
        time.sleep(min(2.0, patience))
        if quiet.others() < 0.1:
            return


# ── where and with what ──────────────────────────────────────────────────────────────────────


def machine() -> dict[str, Any]:
    """Say what this ran on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": _cpu(),
        "cores": cores,
        "memory_gib": round(memory / 2**30, 1),
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    facts = dict(
        (part.strip() for part in line.split(":", 1))
        for line in info.read_text().split("\n\n")[0].splitlines()
        if ":" in line
    )
    name = facts.get("model name", platform.machine())
    if "model" in facts:
        # Virtual machines hide the name; family and model still tell the generation.
        name += f", family {facts.get('cpu family')} model {facts['model']}"
    return name


def versions() -> dict[str, str]:
    """Say what this ran with."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{blas['name']} {blas['version']}",
        "sqlite": sqlite3.sqlite_version,
        "qkv": qkv.__version__,
    }


def report(name: str, rows: list[Row], setup: Setup, quiet: Quiet) -> dict[str, Any]:
    """Everything about one benchmark, for its JSON file."""
    return {
        "name": name,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "setup": asdict(setup),
        "machine": machine(),
        "others": quiet.others(),
        "versions": versions(),
        "command": " ".join(["python", "benchmarks/run.py", *sys.argv[1:]]),
        "rows": [asdict(row) for row in rows],
    }


# ── numbers for people ───────────────────────────────────────────────────────────────────────


def clock(seconds: float | None) -> str:
    """Seconds with a unit that suits them.

    >>> clock(0.0123)
    '12.3 ms'
    """
    if seconds is None:
        return ""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
