"""Tables: records, vectors, settings, and the changes since a version.

One SQLite file in WAL mode is the truth. One call is one transaction. Each transaction that
writes adds one to the *clock*; a record carries the clock of its last change, and a deletion
leaves its number behind, so that what is derived from the file can be caught up by asking for
everything newer than its own clock. docs/file-format.md describes the file.
"""

from qkv.tables.connection import Durability
from qkv.tables.lessons import Correction, Question, SavedProjection
from qkv.tables.statements import GET, HAS, ID, METADATA, SETTING, VECTOR
from qkv.tables.store import VALUED, Batch, Changes, Tables
from qkv.tables.vectors import HALF, PRECISION, SINGLE, packed, unpacked

__all__ = [
    "GET",
    "HALF",
    "HAS",
    "ID",
    "METADATA",
    "PRECISION",
    "SETTING",
    "SINGLE",
    "VALUED",
    "VECTOR",
    "Batch",
    "Changes",
    "Correction",
    "Durability",
    "Question",
    "SavedProjection",
    "Tables",
    "packed",
    "unpacked",
]
