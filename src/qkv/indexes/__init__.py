"""Indexes: how the keys are kept so that a query meets them fast."""

from qkv.indexes.flat import FlatIndex
from qkv.indexes.protocol import Index

__all__ = ["FlatIndex", "Index"]
