"""From many dimensions to two: PCA here, t-SNE and UMAP by those who do them well."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from qkv.errors import InputError, MissingExtra
from qkv.types import Floats

__all__ = ["Coordinates", "Method", "check_method", "coordinates", "pca"]


class Method(StrEnum):
    """How vectors become points on a plane."""

    PCA = "pca"
    TSNE = "tsne"
    UMAP = "umap"


@dataclass(frozen=True)
class Coordinates:
    """Points on a plane.

    Attributes
    ----------
    points : array (n, 2)
    explained : (float, float) or None
        Share of the variance along each axis; None where axes mean nothing.
    """

    points: Floats
    explained: tuple[float, float] | None = None


def check_method(method: Method | str) -> Method:
    """Return the method of that name, or raise an InputError that lists them."""
    try:
        return Method(method)
    except ValueError:
        raise InputError(f"method is 'pca', 'tsne' or 'umap', not {method!r}") from None


def coordinates(vectors: Floats, query: Floats | None, method: Method) -> Coordinates:
    """Lay out vectors (n, d), and a query behind them where there is one.

    PCA is fitted on the vectors alone and the query projected; the others lay out both together.

    Raises
    ------
    InputError
        If t-SNE or UMAP get fewer than 5 points.
    MissingExtra
        If they are not installed.
    """
    if method is Method.PCA:
        return pca(vectors, query)
    together = vectors if query is None else np.vstack((vectors, query))
    if len(together) < 5:
        raise InputError(f"{method} lays out 5 points or more, not {len(together)}; use 'pca'")
    with warnings.catch_warnings():  # about threads, and packages that they could use
        warnings.simplefilter("ignore")
        return Coordinates(_tsne(together) if method is Method.TSNE else _umap(together))


def pca(vectors: Floats, query: Floats | None = None) -> Coordinates:
    """Project vectors on the two axes along which they vary most.

    With X the centred vectors and X = U S Vᵀ, the points are X V₂ and the axes explain
    s₁² / Σ s² and s₂² / Σ s² of the variance. Signs are such that the entry of largest size in
    each axis is positive, so that the same vectors make the same picture everywhere.

    Parameters
    ----------
    vectors : array (n, d)
    query : array (d,), optional
        Projected on the same axes, as the last point.

    Returns
    -------
    Coordinates

    Examples
    --------
    >>> import numpy as np
    >>> found = pca(np.array([[0.0, 0.0, 1.0], [4.0, 0.0, 1.0]]), np.array([3.0, 5.0, 1.0]))
    >>> found.points.tolist(), found.explained
    ([[-2.0, 0.0], [2.0, 0.0], [1.0, 0.0]], (1.0, 0.0))
    """
    middle = vectors.mean(axis=0)
    _, sizes, directions = np.linalg.svd(vectors - middle, full_matrices=False)
    directions, sizes = directions[:2], sizes.astype(float)
    # What one point, or points on a line, leave open is no direction but rounding.
    directions[sizes[:2] <= 1e-6 * sizes[0]] = 0
    largest = np.abs(directions).argmax(axis=1)
    directions *= np.where(directions[range(len(directions)), largest] < 0, -1, 1)[:, None]
    axes = np.zeros((2, vectors.shape[1]))
    axes[: len(directions)] = directions
    everything = vectors if query is None else np.vstack((vectors, query))
    total = float((sizes**2).sum()) or 1.0
    first, second = (float(size**2) / total for size in (*sizes, 0.0)[:2])
    return Coordinates((everything - middle) @ axes.T, (first, second))


def _tsne(vectors: Floats) -> Floats:
    try:
        from sklearn.manifold import TSNE  # noqa: PLC0415
    except ModuleNotFoundError:
        raise _missing("t-SNE", "scikit-learn") from None
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    points: Floats = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(vectors)
    return points


def _umap(vectors: Floats) -> Floats:
    try:
        from umap import UMAP  # noqa: PLC0415
    except ModuleNotFoundError:
        raise _missing("UMAP", "umap-learn") from None
    reducer = UMAP(n_neighbors=min(15, len(vectors) - 1), init="pca", random_state=0, n_jobs=1)
    points: Floats = reducer.fit_transform(vectors)
    return points


def _missing(what: str, package: str) -> MissingExtra:
    return MissingExtra(f"{what} needs {package}: pip install 'qkv[maps]'; PCA needs neither")
