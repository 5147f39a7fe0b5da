"""Comparing: whether a key that is like a query is what the query means.

Vectors put "weather in rome" beside "weather in paris". The comparator pairs the tokens of both,
measures what is left, and says how likely the key is a near miss.
"""

from comparing.comparison import WARNED, Comparator, Comparison, compare

__all__ = ["WARNED", "Comparator", "Comparison", "compare"]
