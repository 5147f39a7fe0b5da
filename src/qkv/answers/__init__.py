"""From attention weights to an answer: see :mod:`qkv.answers.answer`."""

from qkv.answers.answer import answer, only_recalls, values_of
from qkv.answers.asking import Answered, Asked, Decoding, Found, Head
from qkv.answers.believing import imagining
from qkv.answers.meanings import PLAIN, Meanings
from qkv.answers.naming import SHOWN, named

__all__ = [
    "PLAIN",
    "SHOWN",
    "Answered",
    "Asked",
    "Decoding",
    "Found",
    "Head",
    "Meanings",
    "answer",
    "imagining",
    "named",
    "only_recalls",
    "values_of",
]
