"""The background: what queries are like that no store in particular answers.

A score means little by itself: some encoders find all texts alike. What counts is how much nearer
a query is to a key than to texts that have nothing to do with either. Speaker verification calls
such texts a cohort and the comparison test normalisation (Auckenthaler, Carey & Lloyd-Thomas
2000); in attention their mean is the key of the null record, a sink for what matches nothing else.
"""

from __future__ import annotations

import numpy as np

from qkv.encoders.protocol import Encoder, encode_all, fingerprint
from qkv.errors import EndpointError
from qkv.types import Floats

__all__ = ["TEXTS", "background", "strangers"]

#: Sentences, questions, phrases and words about everything, in the languages of the encoders.
TEXTS = (
    "The train leaves at seven in the morning.",
    "how do I reset my password",
    "music",
    "The president signed the new law on Friday.",
    "recipe for apple pie",
    "error: file not found",
    "My neighbour's dog barks all night.",
    "distance between two cities",
    "happy",
    "A function that sorts a list of numbers.",
    "She bought a red dress for the party.",
    "interest rate",
    "Water boils at one hundred degrees.",
    "cheap flights to Rome",
    "the football match was cancelled because of rain",
    "gene expression in mice",
    "turn off the lights",
    "seven",
    "old furniture for sale",
    "He plays the violin very well.",
    "what is the capital of Mongolia",
    "blood pressure",
    "a small wooden boat",
    "The company reported a loss of two million.",
    "translate this sentence into French",
    "winter",
    "how many calories are in an egg",
    "The road is closed for repairs.",
    "battery",
    "an introduction to linear algebra",
    "I lost my keys yesterday.",
    "soldier",
    "¿Dónde está la estación de tren?",
    "Ich habe gestern ein neues Fahrrad gekauft.",
    "今天天气很好",
    "Il fait trop froid pour nager.",
    "この本はとても面白い",
    "Где можно купить билеты?",
    "Voglio imparare a cucinare.",
    "كم عدد سكان المدينة؟",
    "O cachorro dorme no sofá.",
    "나는 커피를 좋아해요",
    "De trein heeft vertraging.",
    "Ten film był nudny.",
    "Okul saat kaçta başlıyor?",
    "ราคาเท่าไหร่",
    "quarterly report of the committee",
    "small",
)

_KNOWN: dict[str, Floats] = {}


def background(encoder: Encoder, dimension: int) -> Floats:
    """Mean vector (d,) of the background texts.

    The dot product of a query's unit vector with it is the query's mean cosine with those texts.
    """
    texts = strangers(encoder, dimension)
    mean: Floats = texts.mean(axis=0) if len(texts) else np.zeros(dimension, dtype=np.float32)
    return mean


def strangers(encoder: Encoder, dimension: int) -> Floats:
    """The background texts as vectors (48, d), encoded once a process.

    For an encoder that reads something else than sentences there are none: (0, d).

    Raises
    ------
    EndpointError
        If the encoder asks an endpoint that does not answer.
    """
    name = fingerprint(encoder)
    known = _KNOWN.get(name)
    if known is None:  # two threads that ask at once both encode, and find the same
        known = _KNOWN[name] = _encoded(encoder, dimension)
    return known


def _encoded(encoder: Encoder, dimension: int) -> Floats:
    try:
        vectors = encode_all(encoder, list(TEXTS))
    except EndpointError:
        raise
    except Exception:  # noqa: BLE001  (whatever a stranger's encoder says to what it cannot read)
        return np.zeros((0, dimension), dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1), dtype=np.float32)
