"""A vocabulary with vectors: from a vector back to words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from qkv.attention import dots, product, unit
from qkv.encoders import Encoder, GloveEncoder, Progress, encode_all, resolve
from qkv.encoders.glove import glove_table
from qkv.errors import InputError
from qkv.ranking import top_k
from qkv.types import Floats, Integers

__all__ = ["Decoded", "Lexicon", "resolve_lexicon"]

#: Scores held at once while decoding: 64 MB of float32.
_BLOCK = 1 << 24


class Decoded(NamedTuple):
    """Words near one vector, nearest first, and how near: the larger the nearer."""

    words: list[str]
    scores: Floats


class Lexicon:
    """Words (or phrases) by frequency, with a vector each, that a vector can be decoded to.

    A store whose values are words of its lexicon can *imagine*: answer with a word that no record
    holds, because the blend of values lands near it.

    Parameters
    ----------
    words : sequence of str
        The vocabulary, most frequent first.
    vectors : array (n, d), float32
        Their vectors.
    encoder : Encoder
        Embeds any other text into the same space: φ.
    mean : array (d,), optional
        Common part to take out of the vectors (as the encoder does), for cosine decoding.
    made_for_store : bool
        Words chosen for one store: it imagines them whatever its values look like. A general
        vocabulary serves only stores whose values are words of it.

    Examples
    --------
    >>> lexicon = Lexicon.glove()
    >>> lexicon.decode(lexicon.embed(["king", "cat"]), 2)[0].words
    ['king', 'prince']
    """

    def __init__(
        self,
        words: Sequence[str],
        vectors: Floats,
        encoder: Encoder,
        *,
        mean: Floats | None = None,
        made_for_store: bool = False,
    ) -> None:
        if len(words) != len(vectors):
            raise InputError(
                f"a lexicon needs a vector a word: {len(words)} words came with an array of shape "
                f"{vectors.shape}"
            )
        self.words = words
        self.vectors = vectors
        self.encoder = encoder
        self.mean = mean
        self.made_for_store = made_for_store

    @classmethod
    def glove(cls) -> Lexicon:
        """400,000 English words with GloVe vectors, memory-mapped; opens in about 0.2 s."""
        table = glove_table()
        lexicon = cls(table.words, table.vectors, GloveEncoder(), mean=table.common_mean)
        lexicon.__dict__["rows"] = table.rows
        return lexicon

    @classmethod
    def of(
        cls,
        words: Iterable[str],
        encoder: str | Encoder = "use",
        *,
        progress: Progress | None = None,
    ) -> Lexicon:
        """Make a lexicon of your own words or phrases, embedded by an encoder.

        Give it to a store of sentences to let that store imagine, from these words only.
        """
        encoder = resolve(encoder)
        unique = list(dict.fromkeys(words))
        vectors = encode_all(encoder, unique, progress=progress)
        return cls(unique, vectors, encoder, made_for_store=True)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self._row(word) is not None

    @cached_property
    def rows(self) -> dict[str, int]:
        """Word → row."""
        return {word: row for row, word in enumerate(self.words)}

    def _row(self, word: str) -> int | None:
        row = self.rows.get(word)
        return self.rows.get(word.lower()) if row is None else row

    def raw(self, words: Sequence[str]) -> Floats:
        """Vectors of words as they stand in the vocabulary, nothing taken out.

        Raises
        ------
        InputError
            For words that are not in the vocabulary.
        """
        rows = [self._row(word) for word in words]
        missing = [word for word, row in zip(words, rows, strict=True) if row is None]
        if missing:
            raise InputError(f"not in the lexicon: {', '.join(map(repr, missing[:5]))}")
        return np.asarray(self.vectors[np.array(rows, dtype=np.int64)])

    def embed(self, texts: Sequence[str], *, progress: Progress | None = None) -> Floats:
        """φ: any texts as vectors of the lexicon's space, rows of length one (or zero: unknown).

        Returns
        -------
        array (n, d), float32
        """
        if not texts:
            return np.zeros((0, self.vectors.shape[1]), dtype=np.float32)
        return unit(encode_all(self.encoder, texts, progress=progress))

    def decode(
        self,
        vectors: Floats,
        n: int = 5,
        *,
        metric: Literal["cosine", "euclidean"] = "cosine",
        limit: int | None = None,
    ) -> list[Decoded]:
        """Find the words nearest to each vector.

        Parameters
        ----------
        vectors : array (m, d), float
        n : int
            How many words for each.
        metric : {"cosine", "euclidean"}
            Cosine compares directions, with the common mean taken out of the words; euclidean
            compares with the words' vectors as they are, and scores −‖v − w‖².
        limit : int, optional
            Look at the `limit` most frequent words only; None for all.

        Returns
        -------
        list of Decoded
            One for each vector, words nearest first.
        """
        found: list[Decoded] = []
        chosen = range(len(self.words))[:limit]
        step = max(1, _BLOCK // max(1, len(chosen)))
        for start in range(0, len(vectors), step):
            scores = self.score(vectors[start : start + step], metric=metric, limit=limit)
            for rows, best in zip(*top_k(scores, n), strict=True):
                kept = rows[rows >= 0].tolist()
                found.append(Decoded([self.words[row] for row in kept], best[: len(kept)]))
        return found

    def score(
        self,
        vectors: Floats,
        *,
        metric: Literal["cosine", "euclidean"] = "cosine",
        limit: int | None = None,
    ) -> Floats:
        """Score the `limit` most frequent words for each vector: array (m, limit)."""
        words = self.vectors[:limit]
        scores = dots(np.asarray(vectors, dtype=np.float32), words)
        if metric == "euclidean":
            lengths = np.einsum("ij,ij->i", vectors, vectors)[:, None]
            distances: Floats = 2 * scores - self._squares[:limit] - lengths
            return distances
        if metric != "cosine":
            raise InputError(f"words are decoded by 'cosine' or 'euclidean', not {metric!r}")
        if self.mean is not None:
            scores -= product(vectors, self.mean)[:, None]
        scores *= self._inverse_norms[:limit]
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        scores /= np.where(norms > 0, norms, 1)
        return scores

    def places(self, words: Sequence[str]) -> Integers:
        """Rows of words in the vocabulary, −1 where they are not in it."""
        rows = [self._row(word) for word in words]
        return np.array([-1 if row is None else row for row in rows], dtype=np.int64)

    @cached_property
    def _squares(self) -> Floats:
        squares: Floats = np.einsum("ij,ij->i", self.vectors, self.vectors)
        return squares

    @cached_property
    def _inverse_norms(self) -> Floats:
        squares = self._squares
        if self.mean is not None:
            squares = squares - 2 * product(self.vectors, self.mean) + self.mean @ self.mean
        norms = np.sqrt(np.maximum(squares, 0))
        return np.where(norms > 1e-6, 1 / np.maximum(norms, 1e-6), 0).astype(np.float32)


def resolve_lexicon(spec: str | Lexicon | None) -> Lexicon | None:
    """Return the lexicon that the name stands for: ``"glove"``, or None for none."""
    if spec is None or isinstance(spec, Lexicon):
        return spec
    if spec == "glove":
        return Lexicon.glove()
    raise InputError(
        f"a lexicon is 'glove', None, or a Lexicon (Lexicon.of([...]) makes one), not {spec!r}"
    )
