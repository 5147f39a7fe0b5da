"""Encoders: text (or anything) to vectors whose nearness is likeness.

``resolve`` turns the name of an encoder into the encoder. A name is one of ``NAMES``, or several
of them as heads: ``"glove+use"``, or with weights of your own ``"glove:0.5+use:0.5"``.
"""

from __future__ import annotations

from collections.abc import Callable

from qkv.encoders.glove import GloveEncoder
from qkv.encoders.hashing import HashingEncoder
from qkv.encoders.heads import HeadsEncoder
from qkv.encoders.protocol import (
    Encoder,
    Progress,
    check_text,
    encode_all,
    encode_queries,
    fingerprint,
)
from qkv.encoders.use import UseEncoder
from qkv.errors import EncoderError

__all__ = [
    "DEFAULT",
    "NAMES",
    "Encoder",
    "GloveEncoder",
    "HashingEncoder",
    "HeadsEncoder",
    "Progress",
    "UseEncoder",
    "check_text",
    "encode_all",
    "encode_queries",
    "fingerprint",
    "resolve",
]

#: The encoder of a store that names none.
DEFAULT = "glove+use"

#: Every encoder that has a name.
NAMES: dict[str, Callable[[], Encoder]] = {
    "glove": GloveEncoder,
    "glove-raw": lambda: GloveEncoder(raw=True),
    "hashing": HashingEncoder,
    "use": UseEncoder,
}

#: Head weights where none are given. Over six lists of words, sentences and intents the mean is
#: flat for shares of GloVe from 0.1 to 0.3 (.740 … .735) and falls after; docs/defaults.md.
_WEIGHTS = {"glove": 0.3, "use": 0.7}


def resolve(spec: str | Encoder) -> Encoder:
    """Return the encoder that the name stands for; an encoder is returned as it is.

    Raises
    ------
    EncoderError
        For a name that is not known, a weight that is not a number, or an object without
        ``encode``.

    Examples
    --------
    >>> resolve("glove+use").weights
    (0.3, 0.7)
    """
    if not isinstance(spec, str):
        if not callable(getattr(spec, "encode", None)):
            raise EncoderError(
                f"an encoder is one of {', '.join(map(repr, NAMES))}, heads like {DEFAULT!r}, or "
                f"an object with encode(list of texts) -> array (n, d); this is a "
                f"{type(spec).__name__}"
            )
        return spec
    heads = [_head(part, spec) for part in spec.split("+")]
    return heads[0][0] if len(heads) == 1 else HeadsEncoder(heads)


def _head(part: str, spec: str) -> tuple[Encoder, float]:
    name, colon, weight = part.strip().partition(":")
    if name not in NAMES:
        raise EncoderError(
            f"no encoder is called {name!r} (in {spec!r}); there are "
            f"{', '.join(map(repr, NAMES))}, or several as heads: {DEFAULT!r}"
        )
    try:
        return NAMES[name](), float(weight) if colon else _WEIGHTS.get(name, 1.0)
    except ValueError:
        raise EncoderError(
            f"the weight of a head is a number, as in 'glove:0.3+use:0.7', not {weight!r}"
        ) from None
