"""Encoders: text (or anything) to vectors whose nearness is likeness.

``resolve`` turns the name of an encoder into the encoder. A name is one of ``NAMES``, one of
``FAMILIES`` with the model that is meant (``"model2vec:minishlab/potion-base-8M"``), or several of
these as heads: ``"glove+use"``, or with weights of your own ``"glove:0.3+transformer:0.7"``.
"""

from __future__ import annotations

from collections.abc import Callable

from qkv.encoders.background import TEXTS, background, strangers
from qkv.encoders.cached import CachedEncoder
from qkv.encoders.gated import GatedEncoder
from qkv.encoders.glove import GloveEncoder
from qkv.encoders.hashing import HashingEncoder
from qkv.encoders.heads import HeadsEncoder
from qkv.encoders.model2vec import Model2VecEncoder
from qkv.encoders.openai import OpenAIEncoder, Patience
from qkv.encoders.protocol import (
    BATCH,
    Encoder,
    Progress,
    check_text,
    costly,
    encode_all,
    encode_queries,
    fingerprint,
    reads_language,
    weak,
)
from qkv.encoders.sentence_transformers import SentenceTransformersEncoder
from qkv.encoders.transformer import TransformerEncoder
from qkv.encoders.use import UseEncoder
from qkv.errors import EncoderError, MissingExtra

__all__ = [
    "BATCH",
    "DEFAULT",
    "FAMILIES",
    "LIGHT",
    "NAMES",
    "TEXTS",
    "UNGATED",
    "CachedEncoder",
    "Encoder",
    "GatedEncoder",
    "GloveEncoder",
    "HashingEncoder",
    "HeadsEncoder",
    "Model2VecEncoder",
    "OpenAIEncoder",
    "Patience",
    "Progress",
    "SentenceTransformersEncoder",
    "TransformerEncoder",
    "UseEncoder",
    "background",
    "check_text",
    "costly",
    "default_name",
    "encode_all",
    "encode_queries",
    "fingerprint",
    "reads_language",
    "resolve",
    "strangers",
    "weak",
]

#: The encoder of a new store that names none, and what takes its place where a transformer cannot
#: run.
DEFAULT, LIGHT = "glove+use+transformer", "glove+use"

#: What a file was written with that is of ``DEFAULT`` and of before its heads were gated.
UNGATED = "glove:0.3+use:0.7+transformer:1"

#: Every encoder whose name says all.
NAMES: dict[str, Callable[[], Encoder]] = {
    "glove": GloveEncoder,
    "glove-raw": lambda: GloveEncoder(raw=True),
    "hashing": HashingEncoder,
    "transformer": TransformerEncoder,
    "transformer-int8": lambda: TransformerEncoder(weights="int8"),
    "use": UseEncoder,
}

#: Encoders that are told which model: ``name:model``.
FAMILIES: dict[str, Callable[[str], Encoder]] = {
    "model2vec": Model2VecEncoder,
    "openai": OpenAIEncoder,
    "sentence_transformers": SentenceTransformersEncoder,
}

#: Head weights where none are given. Over six lists of words, sentences and intents the mean is
#: flat for shares of GloVe from 0.1 to 0.3 (.740 … .735) and falls after; docs/defaults.md.
_WEIGHTS = {"glove": 0.3, "use": 0.7}


def default_name() -> str:
    """Name the encoder of a new store: ``DEFAULT``, or ``LIGHT`` where its packages are missing.

    There are no packages of onnxruntime for some machines: musl, Macs with Intel's processors.
    """
    try:
        GatedEncoder()
    except MissingExtra:
        return LIGHT
    return DEFAULT


def resolve(spec: str | Encoder) -> Encoder:
    """Return the encoder that the name stands for; an encoder is returned as it is.

    Heads are joined by ``+``, and a head ends in ``:weight`` or in nothing. ``DEFAULT`` names heads
    that are weighed for each text: :class:`GatedEncoder`. What stands between
    the name of a family and the weight is the model, whatever characters it is made of: a model
    that itself ends in ``:`` and a number needs a weight after it.

    Raises
    ------
    EncoderError
        For a name that is not known, a weight that is not a number, or an object without
        ``encode``.
    MissingExtra
        If the encoder needs a package that is not installed.

    Examples
    --------
    >>> resolve("glove+use").weights
    (0.3, 0.7)
    """
    if not isinstance(spec, str):
        if not callable(getattr(spec, "encode", None)):
            raise EncoderError(
                f"an encoder is one of {_choices()}, heads like {DEFAULT!r}, or "
                f"an object with encode(list of texts) -> array (n, d); this is a "
                f"{type(spec).__name__}"
            )
        return spec
    if spec == DEFAULT:
        return GatedEncoder()
    heads = [_head(part, spec) for part in _parts(spec)]
    return heads[0][0] if len(heads) == 1 else HeadsEncoder(heads)


def _parts(spec: str) -> list[str]:
    """Heads of a spec: a ``+`` inside the model of a family does not part it."""
    parts: list[str] = []
    for part in spec.split("+"):
        known = part.strip().partition(":")[0] in {*NAMES, *FAMILIES}
        if parts and not known and parts[-1].strip().partition(":")[0] in FAMILIES:
            parts[-1] += f"+{part}"
        else:
            parts.append(part)
    return [part.strip() for part in parts]


def _head(part: str, spec: str) -> tuple[Encoder, float]:
    name, colon, rest = part.partition(":")
    if name in FAMILIES:
        model, colon, weight = rest.rpartition(":")
        if not (colon and _is_number(weight)):
            model, weight = rest, "1"
        if not model:
            raise EncoderError(f"{name!r} (in {spec!r}) needs a model: {_EXAMPLES[name]!r}")
        return FAMILIES[name](model), float(weight)
    if name not in NAMES:
        raise EncoderError(
            f"no encoder is called {name!r} (in {spec!r}); there are {_choices()}, or several as "
            f"heads: {DEFAULT!r}"
        )
    if colon and not _is_number(rest):
        raise EncoderError(
            f"the weight of a head is a number, as in 'glove:0.3+use:0.7', not {rest!r}"
        )
    return NAMES[name](), float(rest) if colon else _WEIGHTS.get(name, 1.0)


_EXAMPLES = {
    "model2vec": "model2vec:minishlab/potion-base-8M",
    "openai": "openai:text-embedding-3-small",
    "sentence_transformers": "sentence_transformers:intfloat/multilingual-e5-small",
}


def _choices() -> str:
    return ", ".join([*map(repr, NAMES), *(f"'{name}:MODEL'" for name in FAMILIES)])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
