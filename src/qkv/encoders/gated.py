"""GloVe, USE and MiniLM as heads that know when to speak."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import as_file, files
from zlib import crc32

import numpy as np

from qkv.attention import product, unit
from qkv.encoders.gate import RULES, Gating, Rules, gate
from qkv.encoders.glove import GloveEncoder
from qkv.encoders.protocol import Encoder, fingerprint
from qkv.encoders.transformer import TransformerEncoder
from qkv.encoders.use import UseEncoder
from qkv.forms import plain_form
from qkv.types import Floats

__all__ = ["GatedEncoder"]

#: Texts that are less likely English than that are not shown to MiniLM at all.
_SILENT = 0.02
#: Version of how it all is done, and of the form in which texts are read.
_VERSION = 1


class GatedEncoder:
    """Three heads, each heard as far as it understands the text: 946 dimensions.

    A score is Σ_h w_h cos_h over GloVe, USE and MiniLM, with weights w of the *query* alone
    (:mod:`qkv.encoders.gate`): one word, a phrase, an English sentence or one of another language.
    Keys have the same weights k_h all of them, so that no key is favoured by the language in which
    it is written:

        key = [√k_h u_h],    query = [w_h / √k_h u_h],    ⟨query, key⟩ = Σ_h w_h cos_h.

    A query may therefore be longer than 1, up to 1.4; its scores are not above 1.

    MiniLM and GloVe understand English. Where a text is likely not English, or GloVe knows no word
    of it, what they would say is predicted from USE, which understands sixteen languages: û = u M,
    with M fitted to English texts by ridge regression. With p the probability that the text is
    English, a head's part is p u + (1 − p) û, scaled to length one. Texts that are surely not
    English are not shown to MiniLM, which takes most of the time.

    Texts are read in their plain form: see :mod:`qkv.forms`.

    Parameters
    ----------
    glove, use, transformer : Encoder, optional
        The heads; by default those of the packages that are installed with qkv.
    rules : Rules, optional
        Constants of the gate; part of the fingerprint, as the predictions are.

    Raises
    ------
    MissingExtra
        If the packages of MiniLM are not installed.

    Examples
    --------
    >>> encoder = GatedEncoder()
    >>> key, other = encoder.encode(["Where is my order?", "Can I pay by card?"])
    >>> (query,) = encoder.encode_queries(["¿Dónde está mi pedido?"])
    >>> bool(query @ key > query @ other)
    True
    """

    dimension = 946
    costly = True
    #: Keys lose nothing in half precision, and take half the space.
    precision = "<f2"
    #: Queries carry the weights of the heads in their length.
    weighs_queries = True
    #: Texts are sentences of human languages: what is misspelt in a question may be mended.
    reads_language = True

    def __init__(
        self,
        glove: Encoder | None = None,
        use: Encoder | None = None,
        transformer: Encoder | None = None,
        *,
        rules: Rules = RULES,
    ) -> None:
        self._heads = (
            glove or GloveEncoder(),
            use or UseEncoder(),
            transformer or TransformerEncoder(weights="int8"),
        )
        self._rules = rules
        marks = ", ".join(map(fingerprint, self._heads))
        self.fingerprint = f"gated({marks}; v{_VERSION}, {_digest(rules)})"

    def encode(self, texts: list[str]) -> Floats:
        """Turn n keys into an array (n, 946), float32, rows of length one."""
        texts = [plain_form(text) for text in texts]
        return _beside(self._heard(texts, gate(texts, self._rules)), np.sqrt([self._rules.keys]))

    def encode_queries(self, texts: list[str]) -> Floats:
        """Turn n queries into an array (n, 946), float32, rows as long as their weights make them.

        The dot product with a key is the mean of the heads' cosines, by the query's weights.
        """
        texts = [plain_form(text) for text in texts]
        gating = gate(texts, self._rules)
        factors = gating.weights / np.sqrt([self._rules.keys])
        return _beside(self._heard(texts, gating), factors)

    def as_queries(self, texts: Sequence[str], keys: Floats) -> Floats:
        """Turn keys (n, 946) that were encoded from these texts into queries (n, 946)."""
        gating = gate([plain_form(text) for text in texts], self._rules)
        return _scaled(keys, gating.weights / np.array([self._rules.keys]))

    def parts(self) -> tuple[tuple[int, float], ...]:
        """Columns and weight, in keys, of each head, in the order in which they stand."""
        return tuple(zip((50, 512, 384), self._rules.keys, strict=True))

    def _heard(self, texts: list[str], gating: Gating) -> tuple[Floats, Floats, Floats]:
        """What the heads say: arrays (n, 50), (n, 512), (n, 384) of unit rows."""
        glove, use, transformer = self._heads
        sentences = np.asarray(use.encode(texts), dtype=np.float32).reshape(len(texts), 512)
        spoken = np.zeros((len(texts), 384), dtype=np.float32)
        shown = np.flatnonzero(gating.english >= _SILENT)
        if len(shown):
            spoken[shown] = transformer.encode([texts[i] for i in shown])
        words = np.asarray(glove.encode(texts), dtype=np.float32).reshape(len(texts), 50)
        to_glove, to_transformer = _predictions()
        english = gating.english[:, None]
        return (
            _blended(words, sentences, to_glove, english),
            sentences,
            _blended(spoken, sentences, to_transformer, english),
        )


def _blended(own: Floats, sentences: Floats, prediction: Floats, english: Floats) -> Floats:
    """What a head says, as far as the text is English, and what it would say, as far as not."""
    understood = own.any(axis=1, keepdims=True)
    share = np.where(understood, english, 0)
    if (share == 1).all():
        return own
    predicted = unit(product(sentences, prediction))
    return unit((share * own + (1 - share) * predicted).astype(np.float32))


def _beside(parts: Sequence[Floats], factors: Floats) -> Floats:
    return _scaled(np.hstack(parts), factors)


def _scaled(beside: Floats, factors: Floats) -> Floats:
    """Multiply the columns of each head, in n rows or in all, by its factor."""
    scaled: Floats = beside * np.repeat(factors, (50, 512, 384), axis=1).astype(np.float32)
    return scaled


@cache
def _digest(rules: Rules) -> str:
    """What the gate's constants and the predictions are known by."""
    tables = b"".join(table.astype("<f2").tobytes() for table in _predictions())
    return f"{crc32(repr(rules).encode() + tables):08x}"


@cache
def _predictions() -> tuple[Floats, Floats]:
    """From USE to GloVe (512, 50), and to MiniLM (512, 384): made by benchmarks/gate.py."""
    with (
        as_file(files("qkv.encoders") / "data" / "predictions.npz") as path,
        np.load(path, allow_pickle=False) as saved,
    ):
        glove, transformer = (saved[name].astype(np.float32) for name in ("glove", "transformer"))
    return glove, transformer
