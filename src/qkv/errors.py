"""What can go wrong, as a tree.

Every message says what was given, what was expected, and the line that mends it.

::

    QkvError                    everything below; catch this to catch them all
    ├── InputError              (ValueError) an argument that cannot be used
    │   ├── TextError           empty, whitespace only, or not encodable as UTF-8
    │   ├── VectorError         wrong dimension, wrong type, NaN or infinity
    │   ├── RecordError         a key or a value of a kind that a store cannot hold
    │   └── FilterError         a filter that cannot be read, or metadata that cannot be filtered
    ├── EncoderError            an encoder that is unknown, missing or misbehaves
    │   ├── EncoderMismatch     the file was written with another encoder
    │   └── EndpointError       an embeddings endpoint refused, failed or answered nonsense
    ├── MissingExtra            (ImportError) needs a package that is not installed; says which
    └── FileError               (OSError) the file itself
        ├── NotADatabase        a directory, a text file, another program's file
        ├── CorruptFile         a file that was cut short or overwritten
        ├── ReadOnlyFile        the file or its directory cannot be written
        ├── DiskFull            no room left; the transaction was rolled back
        ├── Locked              another writer holds the file; says which
        ├── NewerFormat         written by a newer qkv
        └── Closed              used after close()

A key that is not in the store raises plain :class:`KeyError`, as in any dict.
"""

from __future__ import annotations

__all__ = [
    "Closed",
    "CorruptFile",
    "DiskFull",
    "EncoderError",
    "EncoderMismatch",
    "EndpointError",
    "FileError",
    "FilterError",
    "InputError",
    "Locked",
    "MissingExtra",
    "NewerFormat",
    "NotADatabase",
    "QkvError",
    "ReadOnlyFile",
    "RecordError",
    "TextError",
    "VectorError",
]


class QkvError(Exception):
    """Base of every error that qkv raises on purpose."""


class InputError(QkvError, ValueError):
    """An argument that cannot be used as it is."""


class TextError(InputError):
    """A text that is empty, only whitespace, or not valid Unicode."""


class VectorError(InputError):
    """A vector of the wrong dimension or type, or one that holds NaN or infinity."""


class RecordError(InputError, TypeError):
    """A key or a value of a kind that a store cannot hold."""


class FilterError(InputError):
    """A filter that cannot be read, or metadata that no filter could ask for."""


class EncoderError(QkvError):
    """An encoder that is unknown, not installed, or returned something unusable."""


class EncoderMismatch(EncoderError):
    """The file was written with another encoder than the one asked for."""


class EndpointError(EncoderError):
    """An embeddings endpoint refused, did not answer, or answered something else than vectors.

    Attributes
    ----------
    status : int or None
        HTTP status of the last answer; None if there was none.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class MissingExtra(QkvError, ImportError):
    """A part of qkv needs a package that is not installed; the message has the pip line."""


class FileError(QkvError, OSError):
    """The database file cannot be used."""


class NotADatabase(FileError):
    """The path is a directory, or a file that is not a qkv database."""


class CorruptFile(FileError):
    """The file was cut short or overwritten."""


class ReadOnlyFile(FileError):
    """The file, or the directory that it is in, cannot be written."""


class DiskFull(FileError):
    """There is no room left; nothing of the transaction was written."""


class Locked(FileError):
    """Another writer holds the file."""


class NewerFormat(FileError):
    """The file was written by a newer version of qkv."""


class Closed(FileError):
    """The database was used after ``close()``."""
