"""Static embeddings of the model2vec library: a table of token vectors, averaged."""

from __future__ import annotations

import os
from functools import cache, cached_property
from typing import Any

import numpy as np

from qkv.attention import unit
from qkv.encoders.extras import need
from qkv.encoders.models import model_mark
from qkv.errors import EncoderError
from qkv.types import Floats

__all__ = ["Model2VecEncoder"]


@cache
def _model(name: str) -> Any:
    import model2vec  # noqa: PLC0415  (must not be paid by `import qkv`)

    try:
        return model2vec.StaticModel.from_pretrained(name, force_download=False)
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"model2vec found no model {name!r} ({str(error).splitlines()[0]:.200}); give a name "
            "as on the hub, 'model2vec:minishlab/potion-base-8M', which is downloaded once, or a "
            "folder: 'model2vec:/path/to/model'"
        ) from error


class Model2VecEncoder:
    """A static model (Tulkens & van Dongen 2024): the mean of token vectors, however long the text.

    A text of which the model knows no token is a row of zeros, which attends to nothing. The
    model is loaded at the first text; a name on a hub is downloaded then, once.

    Parameters
    ----------
    model : str
        Name on the hub, or a folder.

    Raises
    ------
    MissingExtra
        If model2vec is not installed: ``pip install 'qkv[model2vec]'``.
    """

    weak = True

    def __init__(self, model: str | os.PathLike[str]) -> None:
        self.model = os.fspath(model)
        need(f"the encoder 'model2vec:{self.model}'", "model2vec", "model2vec")

    @cached_property
    def fingerprint(self) -> str:
        """The model's name, or the folder's content."""
        return f"model2vec:{model_mark(self.model)}"

    def encode(self, texts: list[str]) -> Floats:
        """Turn n texts into an array (n, d), float32, rows of length one, or of zeros."""
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        # One thread: with more, the library starts processes' worth of workers for long lists.
        found = _model(self.model).encode(texts, max_length=None, use_multiprocessing=False)
        return unit(np.asarray(found, dtype=np.float32))
