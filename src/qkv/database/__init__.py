"""Database: a dict whose lookup is attention, and the only place where all modules meet."""

from qkv.database.mapping import Database

__all__ = ["Database"]
