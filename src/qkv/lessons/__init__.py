"""Lessons: what a store is told, and what it learns from that and from its own records.

A correction is kept in the file and acts at once: the question is a key from then on, which the
dict does not show, and its answer that key's value; what was named as wrong is not answered to it
again. Learning makes examples of corrections, of pairs and of repeated values, trains on most of
them, asks the rest, and keeps what it learned only if that was for the better.
"""

from qkv.lessons.examples import Pair
from qkv.lessons.lessons import Lessons

__all__ = ["Lessons", "Pair"]
