"""W_Q and W_K applied: linear maps of queries and keys into the space in which they meet.

Attention's scores are ⟨W_Q q, W_K k⟩ on unit vectors (Vaswani et al. 2017, section 3.2.2, with one
head). Both are the identity until a store has learned; the stored vectors never change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qkv.attention import product, unit
from qkv.types import Floats

__all__ = ["IDENTITY", "Projection", "projected"]


@dataclass(frozen=True)
class Projection:
    """What a store has learned.

    Attributes
    ----------
    query : array (p, d_q), float32, or None
        W_Q; None is the identity.
    key : array (p, d_k), float32, or None
        W_K; None is the identity.

    Examples
    --------
    >>> import numpy as np
    >>> turned = Projection(query=np.array([[0.0, 1.0], [1.0, 0.0]], dtype=np.float32))
    >>> turned.queries(np.array([[1.0, 0.0]], dtype=np.float32)).tolist()
    [[0.0, 1.0]]
    """

    query: Floats | None = None
    key: Floats | None = None

    @property
    def tied(self) -> bool:
        """Whether a query and a key of the same vector meet in the same point."""
        if self.query is None or self.key is None:
            return self.query is self.key
        return np.array_equal(self.query, self.key)

    def queries(self, vectors: Floats) -> Floats:
        """Project queries (m, d_q) to (m, p)."""
        return projected(vectors, self.query)

    def keys(self, vectors: Floats) -> Floats:
        """Project keys (n, d_k) to (n, p)."""
        return projected(vectors, self.key)


def projected(vectors: Floats, weights: Floats | None) -> Floats:
    """Turn vectors (n, d) by W (p, d), and keep their lengths; None is the identity.

    A vector's length says how much of a text was understood, and how the heads of a query are
    weighed, so it is no matter of direction.
    """
    if weights is None:
        return vectors
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    turned: Floats = unit(product(vectors, weights.T)) * lengths
    return turned.astype(np.float32, copy=False)


#: What holds before anything is learned.
IDENTITY = Projection()
