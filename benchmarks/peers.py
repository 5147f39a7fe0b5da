"""Other programs that search the same texts by the same vectors; those that are installed.

Each answers with the texts of its best ten, and reads words as they are written: neither stop words
nor stems, as qkv does by default.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from qkv.types import Floats

__all__ = ["BM25S", "Chroma", "K", "LanceDB", "installed", "version"]

#: Records that are asked for.
K = 10
#: Records that Chroma takes at once.
_AT_ONCE = 5000

Texts = list[str]


def installed(name: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(name) is not None


def version(name: str) -> str:
    """Version of an installed package."""
    return importlib.metadata.version(name)


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Hide a module: LanceDB takes ours of that name for a package that it knows."""
    module = sys.modules.pop(name, None)
    try:
        yield
    finally:
        if module is not None:
            sys.modules[name] = module


class BM25S:
    """bm25s: sparse matrices in memory, every score computed when indexing.

    Parameters
    ----------
    texts : sequence of str
    backend : {"numpy", "numba"}
        The second compiles when it is first asked.
    """

    def __init__(self, texts: Sequence[str], backend: str = "numpy") -> None:
        import bm25s

        self._tokenize: Callable[..., Any] = bm25s.tokenize
        self._texts = texts
        self._index = bm25s.BM25(method="lucene", k1=1.2, b=0.75, backend=backend)
        self._index.index(self._tokens(texts), show_progress=False)

    def _tokens(self, texts: Sequence[str] | str) -> Any:
        return self._tokenize(texts, stopwords=None, show_progress=False)

    def keyword(self, query: str) -> Texts:
        """By words."""
        return self.batch([query])[0]

    def batch(self, queries: list[str]) -> list[Texts]:
        """By words, many queries."""
        found, _ = self._index.retrieve(
            self._tokens(queries), k=K, show_progress=False, n_threads=1
        )
        return [[self._texts[place] for place in row] for row in found.tolist()]


class LanceDB:
    """LanceDB: a table in files; vectors are scanned, which is exact, until they have an index.

    Parameters
    ----------
    texts : sequence of str
    vectors : array (n, d)
    path : path
    """

    def __init__(self, texts: Sequence[str], vectors: Floats, path: Path) -> None:
        import pyarrow as pa

        os.environ.setdefault("LANCEDB_LOG", "error")  # each query warns of its next version
        with _without("datasets"):
            import lancedb
            from lancedb.index import FTS, HnswSq

        flat = pa.array(vectors.ravel(), pa.float32())
        columns = {
            "text": pa.array(texts),
            "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
        }
        with _without("datasets"):
            self._table = lancedb.connect(path).create_table("records", pa.table(columns))
        self._as_written = FTS(
            with_position=False,
            stem=False,
            remove_stop_words=False,
            ascii_folding=True,
            max_token_length=64,
        )
        self._near = HnswSq(distance_type="cosine")

    def index_words(self) -> None:
        """Make the index of words."""
        self._table.create_index("text", config=self._as_written, replace=True)
        self._table.wait_for_index(["text_idx"], timedelta(minutes=5))

    def index_vectors(self) -> None:
        """Make an index of vectors: HNSW in an inverted file, quantized to 8 bits."""
        self._table.create_index("vector", config=self._near, replace=True)
        self._table.wait_for_index(["vector_idx"], timedelta(minutes=10))

    def keyword(self, query: str) -> Texts:
        """By words."""
        return self._texts(self._table.search(query, query_type="fts"))

    def semantic(self, vector: Floats) -> Texts:
        """By meaning."""
        return self._texts(self._table.search(vector).distance_type("cosine"))

    def hybrid(self, query: str, vector: Floats) -> Texts:
        """By both: reciprocal rank fusion, its default."""
        asked = self._table.search(query_type="hybrid").vector(vector).text(query)
        return self._texts(asked.distance_type("cosine"))

    @staticmethod
    def _texts(asked: Any) -> Texts:
        found: Texts = asked.select(["text"]).limit(K).to_arrow()["text"].to_pylist()
        return found


class Chroma:
    """Chroma in this process: HNSW, approximate. It ranks by words in its cloud only.

    Parameters
    ----------
    texts : sequence of str
    vectors : array (n, d)
    path : path
    """

    def __init__(self, texts: Sequence[str], vectors: Floats, path: Path) -> None:
        import chromadb

        settings = chromadb.Settings(anonymized_telemetry=False)
        client = chromadb.PersistentClient(path, settings)
        self._collection = client.create_collection(
            "records", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )
        for start in range(0, len(texts), _AT_ONCE):
            stop = min(start + _AT_ONCE, len(texts))
            self._collection.add(
                ids=[str(row) for row in range(start, stop)],
                documents=list(texts[start:stop]),
                embeddings=vectors[start:stop],
            )

    def semantic(self, vector: Floats) -> Texts:
        """By meaning."""
        found = self._collection.query(
            query_embeddings=vector[None], n_results=K, include=["documents"]
        )
        texts: Texts = found["documents"][0]
        return texts
