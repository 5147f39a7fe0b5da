"""What an encoder is: text in, vectors out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from qkv.errors import EncoderError, TextError
from qkv.types import Floats

__all__ = ["Encoder", "Progress", "check_text", "encode_all", "encode_queries", "fingerprint"]

#: Called with (done, total) while a long call works.
Progress = Callable[[int, int], None]


@runtime_checkable
class Encoder(Protocol):
    """Anything with ``encode(list of texts) -> array (n, d)``.

    The length of a row says how much of the text was understood: 1 for all of it, 0 for nothing
    at all (the text then meets no key by attention). An encoder may also have

    - ``encode_queries``, where queries are encoded otherwise than keys (two-tower models),
    - ``fingerprint``, a string that changes whenever the vectors would; it is kept in the file,
      so that vectors of different encoders never meet. Without one, the class's name is used.
    """

    def encode(self, texts: list[str], /) -> Floats:
        """Turn n texts into an array (n, d) of float32."""


def check_text(text: str, what: str) -> str:
    """Return the text, or raise the TextError that says why it cannot be encoded.

    Parameters
    ----------
    text : str
    what : str
        What the text is, for the message: ``"a key"``, ``"a query"``.
    """
    if not text or text.isspace():
        shown = "the empty string" if not text else f"only whitespace ({text[:20]!r})"
        raise TextError(f"{what} needs something to read, and this is {shown}; leave it out")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TextError(
            f"{what} holds a lone surrogate at position {error.start} ({text[:20]!a}…), which is "
            "not valid Unicode; mend it with text.encode('utf-8', 'replace').decode()"
        ) from None
    return text


def fingerprint(encoder: Encoder) -> str:
    """Name the encoder in a way that changes when its vectors do."""
    own = getattr(encoder, "fingerprint", None)
    return own if isinstance(own, str) else f"{type(encoder).__module__}.{type(encoder).__name__}"


def encode_all(
    encoder: Encoder,
    texts: Sequence[str],
    *,
    batch: int = 256,
    progress: Progress | None = None,
) -> Floats:
    """Encode many texts in batches, check what comes back, and report progress.

    Returns
    -------
    array (n, d), float32, C-contiguous

    Raises
    ------
    EncoderError
        If the encoder returns another number of rows, another shape, or NaN or infinity.
    """
    parts = []
    for start in range(0, len(texts), batch):
        parts.append(_checked(encoder, encoder.encode, list(texts[start : start + batch])))
        if progress is not None:
            progress(min(start + batch, len(texts)), len(texts))
    return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)


def encode_queries(encoder: Encoder, texts: Sequence[str]) -> Floats:
    """Encode texts as queries: by ``encode_queries`` where the encoder has one."""
    encode = getattr(encoder, "encode_queries", encoder.encode)
    return _checked(encoder, encode, list(texts))


def _checked(encoder: Encoder, encode: Callable[[list[str]], Floats], texts: list[str]) -> Floats:
    vectors = np.asarray(encode(texts))
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise EncoderError(
            f"{type(encoder).__name__}.encode was given {len(texts)} texts and returned an array "
            f"of shape {vectors.shape}; it must return ({len(texts)}, dimension)"
        )
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if not np.isfinite(vectors).all():
        bad = texts[int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])]
        raise EncoderError(f"{type(encoder).__name__}.encode returned NaN or infinity for {bad!r}")
    return vectors
