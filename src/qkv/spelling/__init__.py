"""Spelling: what was meant by a question's words, by the words of the store.

``Vocabulary`` counts the store's words and their neighbours; ``mend`` reads a question's slips of
the fingers as what is likeliest meant, and says what it changed.
"""

from __future__ import annotations

from qkv.spelling.edits import FITTED, Channel
from qkv.spelling.mending import Change, Mended, mend
from qkv.spelling.vocabulary import Vocabulary

__all__ = ["FITTED", "Change", "Channel", "Mended", "Vocabulary", "mend"]
