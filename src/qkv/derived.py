"""Derived files: a snapshot as arrays in a folder beside its store's file, mapped when it opens.

``<file>-index/image-<stamp>/`` holds the keys in cluster order, which records they are, their
values, the index's own arrays, and a manifest with the size and checksum of each. All of it comes
from the tables and may vanish at any moment; whatever does not match is not used. The stamp stands
in the tables' settings, too: an image of another file of that name, or of a copy that went its own
way, is never taken for this one's.
"""

from __future__ import annotations

import json
import shutil
import threading
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qkv import background
from qkv.attention import Groups
from qkv.distinct import Distinct, Packed
from qkv.errors import CorruptFile, MissingExtra
from qkv.indexes import Index
from qkv.indexes.clusters import cluster
from qkv.indexes.engine import Engine
from qkv.indexes.engines import ENGINES
from qkv.indexes.engines import engine as engine_of
from qkv.indexes.near_far import NearFarIndex
from qkv.snapshot import Snapshot, Sorted
from qkv.types import Floats, Integers

__all__ = ["Image", "arranged", "discard", "kind_of", "load", "save"]

_FORM = 1
_MANIFEST = "manifest.json"
#: Files up to this size are checked whole; of larger ones, so many pages spread over them.
_WHOLE, _PAGES, _PAGE = 16 << 20, 64, 4096
#: Rows copied at a time.
_BLOCK = 1 << 14

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Image:
    """Which snapshot an image is of.

    Attributes
    ----------
    folder : Path
        ``<file>-index``.
    stamp : str
        What the tables' settings say.
    encoder, metric : str
        The store's.
    projected, valued : int, bool
        See :class:`Snapshot`.
    """

    folder: Path
    stamp: str
    encoder: str
    metric: str
    projected: int = 0
    valued: bool = False

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.folder / f"image-{self.stamp}"


# ── arranging ────────────────────────────────────────────────────────────────────────────────────


def arranged(
    snapshot: Snapshot,
    engine: str | None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Snapshot:
    """The same records in the order of clusters, with an index that does not read them all.

    Parameters
    ----------
    snapshot : Snapshot
    engine : str or None
        What finds neighbours: see :mod:`qkv.indexes.engines`. None: the clusters alone.
    folder : Path, optional
        Where the keys shall lie, in a file that is mapped; by default in memory.
    progress : callable, optional
        Called with (steps done, steps in all).

    Raises
    ------
    MissingExtra
        If the engine's package is not installed.
    """
    rows = snapshot.index.live(np.arange(len(snapshot.index)))
    n = len(rows)
    # Clustering costs about as much as the engine does; copying costs less.
    report = _parts(progress, (0.45, 0.1, 0.45))
    whole = _all_keys(snapshot.index, rows)
    clusters = cluster(whole, progress=report(0))
    order = clusters.order()
    if folder is None:
        keys = np.ascontiguousarray(whole[order], dtype=np.float32)
    else:
        keys = _written(folder / "keys.npy", whole, order, report(1))
    del whole
    proposing = None if engine is None else engine_of(engine).build(keys, report(2))
    index = NearFarIndex.ordered(keys, clusters.starts(), clusters.centroids, engine=proposing)
    rows = rows[order]
    records = snapshot.records[rows]
    groups, distinct = _renumbered(snapshot, rows)
    width = len(distinct)
    counts = np.ones(n, dtype=np.int64)
    if groups is not None:
        counts = np.bincount(groups, minlength=width)
    return Snapshot(
        snapshot.version,
        index,
        records,
        Groups(groups, width),
        distinct,
        counts,
        begun=Sorted.of(records),
        touched=snapshot.touched,
        projected=snapshot.projected,
        valued=snapshot.valued,
    )


def _all_keys(index: Index, rows: Integers) -> Floats:
    matrix = getattr(index, "matrix", None)
    if matrix is not None and len(matrix) == len(rows):
        keys: Floats = matrix
        return keys
    return index.vectors(rows)


def _written(path: Path, keys: Floats, order: Integers, report: Progress) -> Floats:
    """Write keys in an order, and map the file: its pages can be dropped and read again.

    Written, not mapped for writing: where the disk is full, that is an error and no crash.
    """
    shape = (len(order), keys.shape[1])
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(order), _BLOCK):
            block = keys[order[start : start + _BLOCK]]
            file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())
            report(start, len(order))
    return _plain(np.load(path, mmap_mode="r"))


def _renumbered(snapshot: Snapshot, rows: Integers) -> tuple[Integers | None, Distinct]:
    """Groups of these rows, and the values that they have, packed; None: row i has value i."""
    numbers = rows if snapshot.groups.ids is None else snapshot.groups.ids[rows]
    if snapshot.all_distinct:
        return None, Distinct(snapshot.distinct.packed(numbers))
    used, groups = np.unique(numbers, return_inverse=True)
    return groups.astype(np.int64), Distinct(snapshot.distinct.packed(used))


def _parts(progress: Progress | None, shares: tuple[float, ...]) -> Callable[[int], Progress]:
    """Progress of parts that take such shares of the time, as that of one whole."""

    def part(number: int) -> Progress:
        before, share = sum(shares[:number]), shares[number]

        def report(done: int, total: int) -> None:
            if progress is not None:
                progress(int(1000 * (before + share * done / max(1, total))), 1000)

        return report

    return part


# ── keeping ──────────────────────────────────────────────────────────────────────────────────────


def save(snapshot: Snapshot, image: Image, folder: Path) -> None:
    """Complete a folder, in which the keys lie already, to an image, and put it in its place.

    Parameters
    ----------
    snapshot : Snapshot
        As :func:`arranged` made it, with its keys in this folder.
    image : Image
    folder : Path
        Beside where the image shall be.
    """
    index = snapshot.index
    assert isinstance(index, NearFarIndex)  # noqa: S101
    packed = snapshot.distinct.packed(np.arange(snapshot.groups.width))
    arrays: dict[str, NDArray[Any]] = {
        "records": snapshot.records,
        "begun_ids": snapshot.begun.ids,
        "begun_rows": snapshot.begun.rows,
        "counts": snapshot.counts,
        **{f"value_{name}": array for name, array in packed._asdict().items()},
        **{f"index_{name}": array for name, array in index.arrays().items()},
    }
    if snapshot.groups.ids is not None:
        arrays["groups"] = snapshot.groups.ids
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    if index.engine is not None:
        index.engine.save(folder)
    manifest = {
        "form": _FORM,
        "version": snapshot.version,
        "stamp": image.stamp,
        "encoder": image.encoder,
        "metric": image.metric,
        "projected": snapshot.projected,
        "valued": snapshot.valued,
        "engine": kind_of(index),
        "rows": len(snapshot.records),
        "width": snapshot.groups.width,
        "arrays": sorted(arrays),
        "files": {path.name: _checked(path) for path in sorted(folder.iterdir())},
    }
    text = json.dumps(manifest)
    lines = f"{text}\n{zlib.crc32(text.encode())}\n"
    (folder / _MANIFEST).write_text(lines, encoding="utf-8")
    folder.replace(image.path)


def load(image: Image, newest: int) -> Snapshot | None:
    """Map an image; None if there is none, or it does not match in any way.

    Parameters
    ----------
    image : Image
    newest : int
        The tables' clock: an image from later than that is of another history.
    """
    try:
        manifest = _manifest(image, newest)
        warming = _warming(manifest["engine"], image.path)
        _check_files(image, manifest)
        names = [name for name in manifest["arrays"] if isinstance(name, str)]
        arrays = {name: np.load(image.path / f"{name}.npy", mmap_mode="r") for name in names}
        keys = _plain(np.load(image.path / "keys.npy", mmap_mode="r"))
        warming.join()
        engine = _engine(manifest["engine"], image.path, keys)
        parts = {n[6:]: array for n, array in arrays.items() if n.startswith("index_")}
        packed = Packed(*(_plain(arrays[f"value_{name}"]) for name in Packed._fields))
        groups = arrays.get("groups")
        return Snapshot(
            int(manifest["version"]),
            NearFarIndex.from_arrays(keys, parts, engine=engine),
            _plain(arrays["records"]),
            Groups(None if groups is None else _plain(groups), int(manifest["width"])),
            Distinct(packed),
            _plain(arrays["counts"]),
            begun=Sorted(_plain(arrays["begun_ids"]), _plain(arrays["begun_rows"])),
            projected=image.projected,
            valued=image.valued,
        )
    except (OSError, ValueError, KeyError, TypeError, CorruptFile, MissingExtra):
        return None


def discard(folder: Path, keep: Path | None = None) -> None:
    """Delete images, all but one; what is still mapped somewhere may stay until later."""
    for path in folder.glob("image-*"):
        if path != keep:
            shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        folder.rmdir()  # unless something else is kept there


def kind_of(index: Index) -> str | None:
    """Name of an index's engine, as stores call it; None without one."""
    engine = index.engine if isinstance(index, NearFarIndex) else None
    return next((kind for kind, one in ENGINES.items() if isinstance(engine, one)), None)


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """The same memory as an ndarray: a memmap's slices cost more to make."""
    return np.asarray(array).view(np.ndarray)


def _engine(name: object, folder: Path, keys: Floats) -> Engine | None:
    if name is None:
        return None
    return engine_of(str(name)).load(folder, keys)


def _manifest(image: Image, newest: int) -> dict[str, Any]:
    text, checksum, _ = (image.path / _MANIFEST).read_text(encoding="utf-8").split("\n")
    if zlib.crc32(text.encode()) != int(checksum):
        raise ValueError(checksum)
    manifest: dict[str, Any] = json.loads(text)
    known = [manifest[name] for name in ("form", "stamp", "encoder", "metric")]
    known += [manifest.get("projected", 0), manifest.get("valued", False)]
    expected = [_FORM, image.stamp, image.encoder, image.metric, image.projected, image.valued]
    if known != expected:
        raise ValueError(known)
    if not 0 <= int(manifest["version"]) <= newest:
        raise ValueError(manifest["version"])
    return manifest


def _check_files(image: Image, manifest: Mapping[str, Any]) -> None:
    for name, checked in manifest["files"].items():
        if _checked(image.path / Path(name).name) != checked:
            raise ValueError(name)


def _warming(name: object, folder: Path) -> threading.Thread:
    """A thread that readies an engine, while files are checked."""

    def work() -> None:
        if name in ENGINES:
            engine_of(str(name)).warm(folder)

    return background.start("qkv engine", work)


def _checked(path: Path) -> list[int]:
    """Size and CRC-32 of a file: of all its bytes, or of pages spread over a large one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _WHOLE:
            return [size, zlib.crc32(file.read())]
        checksum = 0
        for page in range(_PAGES):
            file.seek(page * (size - _PAGE) // (_PAGES - 1))
            checksum = zlib.crc32(file.read(_PAGE), checksum)
        return [size, checksum]
