"""Which model a name or a folder holds: what goes into a fingerprint."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["model_mark"]

#: Bytes that are read at the beginning and at the end of each file.
_SAMPLE = 1 << 20


def model_mark(model: str) -> str:
    """Name a model so that the mark changes when the model does.

    A name on a model hub stands for itself. A folder is known by its content, wherever it lies:
    its files' names and sizes, and their first and last megabyte; training changes all weights,
    so that is enough to tell two models apart without reading gigabytes.
    """
    folder = Path(model)
    if not folder.is_dir():
        return model
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.name.startswith(".") or path.suffix == ".md":
            continue
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLE))
            file.seek(max(0, size - _SAMPLE))
            digest.update(file.read(_SAMPLE))
    return f"{folder.name}@{digest.hexdigest()[:16]}"
