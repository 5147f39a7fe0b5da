"""A dict whose lookup is attention.

>>> import qkv
>>> db = qkv.Database({"one": "number", "cat": "animal", "sphere": "shape"})
>>> db.query("seven")[0]
'number'
"""

from qkv import errors
from qkv.database import Database
from qkv.encoders import Encoder
from qkv.errors import QkvError
from qkv.lexicon import Lexicon
from qkv.types import Attention, Candidate, Match, Metric, Origin, Weight

__version__ = "0.1.0"

__all__ = [
    "Attention",
    "Candidate",
    "Database",
    "Encoder",
    "Lexicon",
    "Match",
    "Metric",
    "Origin",
    "QkvError",
    "Weight",
    "__version__",
    "errors",
]
