"""The guard: what a query and the key that is about to answer it contradict each other in.

Vectors put "2019" beside "2020" and "with" beside "without". The guard reads both texts, and names
what vectors do not see.
"""

from qkv.guard.conflicts import FEATURES, PENALTY, Conflict, against, conflicts, features, penalty

__all__ = ["FEATURES", "PENALTY", "Conflict", "against", "conflicts", "features", "penalty"]
