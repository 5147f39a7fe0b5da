"""Any model of the sentence-transformers library, by its name on a hub or its folder."""

from __future__ import annotations

import os
from functools import cache, cached_property
from typing import Any

import numpy as np

from qkv.encoders.extras import need
from qkv.encoders.models import model_mark
from qkv.encoders.windows import in_windows
from qkv.errors import EncoderError
from qkv.types import Floats

__all__ = ["SentenceTransformersEncoder"]

#: Names under which models keep what is put before a query and before a key.
_PROMPTS = {"query": ("query",), "document": ("document", "passage", "corpus")}


@cache
def _model(name: str, mark: str) -> Any:
    """Load a model once; a folder whose content has changed is another."""
    del mark
    import sentence_transformers  # noqa: PLC0415  (seconds that `import qkv` must not take)

    try:
        return sentence_transformers.SentenceTransformer(name)
    except (OSError, ValueError) as error:
        raise EncoderError(
            f"sentence-transformers found no model {name!r} ({str(error).splitlines()[0]:.200}); "
            "give a name as on the hub, 'sentence_transformers:intfloat/e5-small-v2', which is "
            "downloaded once, or a folder: 'sentence_transformers:/path/to/model'"
        ) from error


class SentenceTransformersEncoder:
    """A model of sentence-transformers; queries and keys each in the model's own way.

    Keys are encoded by the model's ``encode_document`` and queries by its ``encode_query``; with
    versions of the library that lack these, by ``encode`` with the prompt that the model has for
    them. Rows are scaled to length one. Texts longer than the model reads are cut into windows and
    pooled: see :func:`qkv.encoders.windows.in_windows`.

    The model is loaded at the first text; a name on a hub is downloaded then, once.

    Parameters
    ----------
    model : str
        Name on the hub, or a folder.

    Raises
    ------
    MissingExtra
        If sentence-transformers is not installed: ``pip install 'qkv[sentence-transformers]'``.
    """

    costly = True

    def __init__(self, model: str | os.PathLike[str]) -> None:
        self.model = os.fspath(model)
        need(
            f"the encoder 'sentence_transformers:{self.model}'",
            "sentence-transformers",
            "sentence_transformers",
        )

    @cached_property
    def fingerprint(self) -> str:
        """The model's name, or the folder's content."""
        return f"sentence-transformers:{model_mark(self.model)}"

    def encode(self, texts: list[str]) -> Floats:
        """Turn n keys into an array (n, d), float32, rows of length one."""
        return self._encode(texts, "document")

    def encode_queries(self, texts: list[str]) -> Floats:
        """Turn n queries into an array (n, d), float32, rows of length one."""
        return self._encode(texts, "query")

    def _encode(self, texts: list[str], side: str) -> Floats:
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        model = _model(self.model, self.fingerprint)
        options: dict[str, Any] = {"show_progress_bar": False, "convert_to_numpy": True}
        encode = getattr(model, f"encode_{side}", None)
        if encode is None:
            encode = model.encode
            named = [name for name in _PROMPTS[side] if name in (model.prompts or {})]
            if named:
                options["prompt_name"] = named[0]
        longest = _longest(model)
        return in_windows(
            lambda pieces: encode(pieces, **options),
            texts,
            # No tokenizer makes more tokens than bytes: most texts need not be counted.
            lambda text: len(text.encode()) <= longest or _tokens(model, text) <= longest,
        )


def _longest(model: Any) -> float:
    """Tokens of a text that the model reads: prompt and marks taken off."""
    most = getattr(model, "max_seq_length", None)
    if not isinstance(most, int):
        return float("inf")
    prompts = (model.prompts or {}).values()
    return max(
        16, most - 2 - max((_tokens(model, prompt) for prompt in prompts if prompt), default=0)
    )


def _tokens(model: Any, text: str) -> int:
    return len(model.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
