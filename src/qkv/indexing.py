"""Keeping a store's index fit for its size: exact while it is small, sublinear as it grows.

A flat index reads every key for every query, which for some tens of megabytes is as fast as
anything. A larger store is arranged in clusters by a thread in the background, from a snapshot;
reads go on as they were until it is done, and then the new index catches up with what has changed
meanwhile. A store in a file keeps the arrangement beside it (:mod:`qkv.derived`), so that the next
one to open it maps what is there.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from qkv import background
from qkv.derived import Image, Progress, arranged, discard, kind_of, load, save
from qkv.errors import Closed, DiskFull, InputError, Locked, ReadOnlyFile
from qkv.indexes.engines import ENGINES, engine, installed
from qkv.indexes.near_far import NearFarIndex
from qkv.snapshot import Snapshot
from qkv.space import Space
from qkv.tables import SETTING, Tables
from qkv.types import Metric

__all__ = ["INDEXES", "Indexing", "check_index", "derived_bytes"]

#: Names of indexes, as stores take them.
INDEXES = ("auto", "flat", "quantized", "clustered", "hnsw", "ivf")
#: Records and bytes of keys from which on "auto" leaves the flat index.
_RECORDS, _BYTES = 20_000, 64 << 20
#: Records below which every index is flat.
_FEWEST = 1_000
#: Share of the rows that came or went since they were arranged, from which on they are again.
_DRIFT = 0.2
_SETTING = "image"


class Indexing:
    """Which index a store has, and its derived files.

    Parameters
    ----------
    tables : Tables
    space : Space
    choice : str
        One of `INDEXES`.
    """

    def __init__(self, tables: Tables, space: Space, choice: str) -> None:
        self._tables = tables
        self._space = space
        self._choice = choice
        self._running: threading.Thread | None = None
        self._arranging = threading.Lock()
        self._failed = -1  # clock of a snapshot that could not be arranged

    def after_fork(self) -> None:
        """Forget, in a child, what the parent's threads are doing."""
        self._running, self._arranging = None, threading.Lock()

    def begin(self) -> Snapshot:
        """What lies beside the file, or nothing: from both the tables can be caught up with."""
        stamp = self._stamp()
        if stamp is None or self._choice == "flat":
            return Snapshot.blank()
        found = load(self._image(stamp), self._tables.version())
        if found is None or not self._wanted(found):
            return Snapshot.blank()
        return found

    def look_after(self, snapshot: Snapshot, take: Callable[[Snapshot], None]) -> None:
        """Arrange a snapshot in the background if that is worth it.

        Parameters
        ----------
        snapshot : Snapshot
        take : callable
            Gets the arranged one.
        """
        if self._running is not None and self._running.is_alive():
            return
        if snapshot.version == self._failed or not self._worth_it(snapshot):
            return

        def work() -> None:
            with suppress(Closed):  # whoever closed the store does not wait for this
                self._failed = snapshot.version
                take(self.arrange(snapshot, self._while_open))
                self._failed = -1

        self._running = background.start("qkv indexing", work)

    def _while_open(self, _done: int, _total: int) -> None:
        """Leave work off that nobody waits for any more."""
        background.go_on()
        if self._tables.closed:
            raise Closed("the database was closed while its index was being built")

    def wait(self) -> None:
        """Wait for what is being arranged in the background."""
        if self._running is not None:
            self._running.join()

    def arrange(self, snapshot: Snapshot, progress: Progress | None = None) -> Snapshot:
        """Arrange a snapshot now, and keep it beside the file."""
        with self._arranging:
            return self._arranged(snapshot, progress)

    def _arranged(self, snapshot: Snapshot, progress: Progress | None) -> Snapshot:
        path = self._tables.path
        if path is not None and not self._tables.read_only:
            # Without a place to keep it, it lives in memory, and the next process does it again.
            try:
                return self._kept(path, snapshot, progress)
            except Closed:
                raise
            except (Locked, DiskFull, ReadOnlyFile, OSError):
                pass
        return arranged(snapshot, self._kind(), None, progress)

    def _kept(self, path: Path, snapshot: Snapshot, progress: Progress | None) -> Snapshot:
        home = home_of(path)
        home.mkdir(parents=True, exist_ok=True)
        # Whatever a process left that died half way goes with the next image.
        folder = Path(tempfile.mkdtemp(prefix="image-making-", dir=home))
        try:
            done = arranged(snapshot, self._kind(), folder, progress)
            image = replace(
                self._image(uuid.uuid4().hex), projected=done.projected, valued=done.valued
            )
            save(done, image, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        self._tables.keep(_SETTING, image.stamp)
        discard(home, keep=image.path)
        kept = load(image, snapshot.version)
        return done if kept is None else kept

    def disarranged(self, snapshot: Snapshot) -> bool:
        """Whether arranging a snapshot would change anything."""
        index = snapshot.index
        return self._large(snapshot) and not (isinstance(index, NearFarIndex) and index.drift == 0)

    def _large(self, snapshot: Snapshot) -> bool:
        """Whether a store of this size has anything else than a flat index."""
        n, d = len(snapshot), snapshot.index.dimension
        if self._choice == "flat" or self._space.metric is not Metric.COSINE or n < _FEWEST:
            return False
        return self._choice != "auto" or (n >= _RECORDS and n * d * 4 >= _BYTES)

    def _worth_it(self, snapshot: Snapshot) -> bool:
        if not self._large(snapshot):
            return False
        index = snapshot.index
        return not isinstance(index, NearFarIndex) or index.drift > _DRIFT

    def _kind(self) -> str | None:
        """Engine of the choice."""
        if self._choice == "auto":
            return "quantized" if installed("quantized") else None
        return None if self._choice == "clustered" else self._choice

    def _wanted(self, snapshot: Snapshot) -> bool:
        return kind_of(snapshot.index) == self._kind()

    def _stamp(self) -> str | None:
        row = self._tables.one(SETTING, _SETTING) if self._tables.path is not None else None
        return None if row is None else str(row[0])

    def _image(self, stamp: str) -> Image:
        path = self._tables.path
        assert path is not None  # noqa: S101
        settings = self._tables.settings()
        return Image(
            home_of(path),
            stamp,
            settings.get("fingerprint", ""),
            settings.get("metric", ""),
            self._space.projected,
            self._space.valued,
        )


def derived_bytes(path: Path) -> int:
    """Bytes in the folder of derived files beside a store's file; 0 if there is none."""
    return sum(one.stat().st_size for one in home_of(path).rglob("*") if one.is_file())


def home_of(path: Path) -> Path:
    """The folder of derived files of a store in a file."""
    return path.with_name(f"{path.name}-index")


def check_index(choice: str, metric: Metric) -> str:
    """Return the name of an index, or raise the error that says what may be chosen.

    Raises
    ------
    InputError
        If there is no such index, or not for this metric.
    MissingExtra
        If its package is not installed.
    """
    if choice not in INDEXES:
        names = ", ".join(repr(name) for name in INDEXES)
        raise InputError(f"index is one of {names}, not {choice!r}")
    if choice not in ("auto", "flat") and metric is not Metric.COSINE:
        raise InputError(
            f"the index {choice!r} is for the cosine metric, and this store's is {metric}; leave "
            "index= out"
        )
    if choice in ENGINES and not installed(choice):
        engine(choice).build(np.zeros((0, 1), dtype=np.float32))  # says what to install
    return choice
