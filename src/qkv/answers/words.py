"""Words that nobody stored: what the lexicon says of a blend."""

from __future__ import annotations

import numpy as np

from qkv.answers.asking import Asked, Decoding, Head, Imagined
from qkv.answers.meanings import PLAIN, Meanings
from qkv.attention import Read, product
from qkv.calibration.hidden import FREQUENT, SHARPNESS, Gains
from qkv.lexicon import Lexicon
from qkv.ranking import top_k
from qkv.snapshot import Snapshot
from qkv.types import Floats, Integers, Value

__all__ = ["forget_asked", "related", "shared", "words"]


def shared(masses: Floats) -> tuple[Floats, Floats, Floats]:
    """Total mass (m, 1), the masses divided by it, and s, the chance that two draws agree."""
    total = masses.sum(axis=1, keepdims=True)
    shares = masses / np.where(total > 0, total, 1)
    return total, shares, np.einsum("ij,ij->i", shares, shares)


def words(
    snapshot: Snapshot,
    read: Read,
    masses: Floats,
    ids: Integers,
    asked: Asked,
    decoding: Decoding,
    meanings: Meanings,
) -> Imagined:
    """Imagine words near the blend of text values; changes their masses in place."""
    lexicon = meanings.lexicon
    vectors = meanings.vectors(snapshot, ids, decoding.metric)
    known = vectors.any(axis=1)
    total, shares, repetition = shared(masses[:, ids] * known)
    if decoding.head is Head.RELATION:
        total, output, lengths = related(read, snapshot.groups.width, asked, lexicon, PLAIN)
    else:
        output = product(shares, vectors)
        lengths = product(shares, np.einsum("ij,ij->i", vectors, vectors))
    squares = np.einsum("ij,ij->i", output, output)
    agreement = squares / np.where(lengths > 0, lengths, 1)
    share = decoding.share(agreement, repetition)[:, None] * total * (squares > 0)[:, None]
    if not share.any():
        nothing: list[list[Value]] = [[] for _ in output]
        return Imagined(nothing, [np.zeros(0)] * len(output), output, total[:, 0])
    limit = len(lexicon) if decoding.metric == "euclidean" else min(FREQUENT, len(lexicon))
    scores = lexicon.score(output.astype(np.float32), metric=decoding.metric, limit=limit)
    forget_asked(scores, asked, lexicon)
    if decoding.metric == "cosine":
        scores *= SHARPNESS
    scores -= scores.max(axis=1, keepdims=True)
    powers = np.exp(scores, out=scores)
    powers *= share / powers.sum(axis=1, keepdims=True)
    before = masses[:, ids].sum(axis=1, keepdims=True)
    masses[:, ids] *= 1 - share / np.where(before > 0, before, 1)
    # What is imagined and also stored is one candidate, and it counts as stored. (Two spellings
    # of one word share its mass; a value that no record holds any more gets none.)
    places = meanings.places(snapshot, ids)
    stored = np.flatnonzero((places >= 0) & (places < limit) & (snapshot.counts[ids] > 0))
    spellings = np.bincount(places[stored], minlength=1)[places[stored]]
    masses[:, ids[stored]] += powers[:, places[stored]] / spellings
    powers[:, places[stored]] = -np.inf
    best, probabilities = top_k(powers, asked.count)
    return Imagined(
        [[lexicon.words[word] for word in row if word >= 0] for row in best.tolist()],
        [p[p > -np.inf] for p in probabilities],
        output,
        total[:, 0],
    )


def related(
    read: Read, width: int, asked: Asked, lexicon: Lexicon, gains: Gains
) -> tuple[Floats, Floats, Floats]:
    """Mass, output and mean squared length of the proposals a φ(q) + c vᵢ − b φ(kᵢ)."""
    start = gains.query * lexicon.embed([text or " " for text in asked.texts])
    blended = read.output[:, width:].astype(np.float64)
    total = blended[:, -1:] * start.any(axis=1, keepdims=True)
    blended = blended / np.where(blended[:, -1:] > 0, blended[:, -1:], 1)
    offset = blended[:, :-2]
    output = np.where(total > 0, start + offset, 0)
    lengths = (
        np.einsum("ij,ij->i", start, start)
        + 2 * np.einsum("ij,ij->i", start, offset)
        + blended[:, -2]
    )
    return total, output, lengths


def forget_asked(scores: Floats, asked: Asked, lexicon: Lexicon) -> None:
    """The question itself is no answer to it."""
    words = [text if text is not None else "" for text in asked.texts]
    places = lexicon.places([word.strip() for word in words])
    rows = np.flatnonzero((places >= 0) & (places < scores.shape[1]))
    scores[rows, places[rows]] = -np.inf
