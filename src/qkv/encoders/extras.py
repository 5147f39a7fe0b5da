"""Optional packages: said to be missing before anything else happens, with the line that helps."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from qkv.errors import MissingExtra

__all__ = ["need", "package_file"]


def need(what: str, extra: str, *modules: str) -> None:
    """Raise MissingExtra unless the modules are installed; none of them is imported."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise MissingExtra(
            f"{what} needs {' and '.join(missing)}, which is not installed here: "
            f"pip install 'qkv[{extra}]'"
        )


def package_file(what: str, extra: str, package: str, file: str) -> Path:
    """Find a file of an installed package without importing the package.

    Raises
    ------
    MissingExtra
        If the package, or the file in it, is not there.
    """
    from importlib import metadata  # noqa: PLC0415  (10 ms that `import qkv` need not take)

    try:
        path: Path | None = Path(str(metadata.distribution(package).locate_file(file)))
    except metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        raise MissingExtra(
            f"{what} needs {package}, which is not installed here"
            f"{f' with its file {file}' if path else ''}: pip install 'qkv[{extra}]'"
        )
    return path
