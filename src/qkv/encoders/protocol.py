"""What an encoder is: text in, vectors out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from qkv.errors import EncoderError, TextError
from qkv.types import Floats

#: Larger entries would overflow float32 when squared and summed.
LARGEST = 1e15

#: Texts that are encoded between two reports of progress.
BATCH = 256

__all__ = [
    "BATCH",
    "Encoder",
    "Progress",
    "check_text",
    "costly",
    "encode_all",
    "encode_queries",
    "fingerprint",
    "reads_language",
    "weak",
]

#: Called with (done, total) while a long call works.
Progress = Callable[[int, int], None]


@runtime_checkable
class Encoder(Protocol):
    """Anything with ``encode(list of texts) -> array (n, d)``.

    The length of a row says how much of the text was understood: 1 for all of it, 0 for nothing
    at all (the text then meets no key by attention). An encoder may also have

    - ``encode_queries``, where queries are encoded otherwise than keys (two-tower models),
    - ``fingerprint``, a string that changes whenever the vectors would; it is kept in the file,
      so that vectors of different encoders never meet. Without one, the class's name is used,
    - ``parts``, which returns columns and weight of each of its heads, as they stand in a vector,
    - ``weighs_queries``, true where the length of a query says how its heads are weighed, and may
      exceed 1; with it ``as_queries(texts, keys)``, which turns keys that were encoded from texts
      into queries,
    - ``precision``, ``"<f2"`` where keys may be kept in half precision,
    - ``reads_language``, true where texts are of human languages, so that typos in queries may be
      mended,
    - ``costly``, true where encoding takes so long, or so much money, that what an interrupted
      ``update`` has encoded shall be kept for the next: see
      :class:`qkv.encoders.cached.CachedEncoder`,
    - ``weak``, true where it is quick and knows no special field: before its first hybrid search
      a large store then asks itself how far meaning is to be trusted, see :mod:`qkv.cloze`.
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


def costly(encoder: Encoder) -> bool:
    """Whether vectors of this encoder are worth keeping until they are stored."""
    return bool(getattr(encoder, "costly", False))


def weak(encoder: Encoder) -> bool:
    """Whether words alone may know more of a special field than this encoder."""
    return bool(getattr(encoder, "weak", False))


def reads_language(encoder: Encoder) -> bool:
    """Whether texts are of human languages."""
    return bool(getattr(encoder, "reads_language", False))


def encode_all(
    encoder: Encoder,
    texts: Sequence[str],
    *,
    batch: int = BATCH,
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
    widths = sorted({part.shape[1] for part in parts})
    if len(widths) > 1:
        raise EncoderError(
            f"{type(encoder).__name__}.encode returned vectors of {widths[0]} and of {widths[1]} "
            "dimensions; all of a store's vectors must have the same"
        )
    return np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)


def encode_queries(encoder: Encoder, texts: Sequence[str]) -> Floats:
    """Encode texts as queries: by ``encode_queries`` where the encoder has one."""
    encode = getattr(encoder, "encode_queries", encoder.encode)
    return _checked(encoder, encode, list(texts))


def _checked(encoder: Encoder, encode: Callable[[list[str]], Floats], texts: list[str]) -> Floats:
    name = f"{type(encoder).__name__}.encode"
    try:
        given = np.asarray(encode(texts))
    except ValueError as error:  # rows of different lengths
        raise EncoderError(f"{name} returned no array: {error}") from error
    if given.ndim != 2 or len(given) != len(texts) or given.shape[1] == 0:
        raise EncoderError(
            f"{name} was given {len(texts)} texts and returned an array of shape {given.shape}; "
            f"it must return ({len(texts)}, dimension)"
        )
    if given.dtype.kind not in "fiu":
        raise EncoderError(f"{name} returned an array of {given.dtype}; it must return numbers")
    with np.errstate(over="ignore"):
        vectors = np.ascontiguousarray(given, dtype=np.float32)
    # NaN fails the comparison too.
    bad = ~(np.abs(vectors) < LARGEST).all(axis=1)
    if bad.any():
        text = texts[int(np.flatnonzero(bad)[0])]
        raise EncoderError(
            f"{name} returned NaN or infinity for {text!r:.60}, or an entry of {LARGEST:g} or more"
        )
    return vectors
