"""The space in which queries and keys meet: an encoder, a metric, and one dimension.

Agreed once, with the settings in the file, and kept: vectors of different encoders do not compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from qkv.attention import check_metric, prepare, unit
from qkv.encoders import (
    BATCH,
    DEFAULT,
    CachedEncoder,
    Encoder,
    HeadsEncoder,
    Progress,
    check_text,
    costly,
    encode_all,
    encode_queries,
    fingerprint,
    resolve,
)
from qkv.encoders.protocol import LARGEST
from qkv.errors import (
    EncoderError,
    EncoderMismatch,
    InputError,
    RecordError,
    TextError,
    VectorError,
)
from qkv.tables import Tables
from qkv.types import Floats, Metric
from qkv.values import check_vector

__all__ = ["Query", "Space", "check_key", "check_query"]

#: Longest text that is encoded: beyond it, it is a document and not a key.
LONGEST = 100_000

Query: TypeAlias = "str | Floats"


class Space:
    """Turns keys and queries into vectors that compare.

    Parameters
    ----------
    tables : Tables
        Whose settings are agreed with, or written if the store is new.
    encoder : str, Encoder or None
        ``"auto"``: the file's own, or the default.
    metric : str
        ``"auto"``: the file's own, or cosine.

    Raises
    ------
    EncoderMismatch, InputError
        If the file was written with another encoder or metric.
    """

    def __init__(self, tables: Tables, encoder: str | Encoder | None, metric: Metric | str) -> None:
        self._tables = tables
        settings = tables.settings()
        spec = encoder
        if encoder == "auto":
            spec = settings.get("encoder", DEFAULT) or None
        self.encoder = None if spec is None else _resolve_saved(spec, tables.path)
        self._cached = _remembering(self.encoder, tables)
        mark = "" if self.encoder is None else fingerprint(self.encoder)
        if metric == "auto":
            metric = settings.get("metric", "cosine")
        self.metric = check_metric(metric)
        self.dimension = int(settings.get("dimension", 0))
        if "fingerprint" in settings:
            self._agree_with(settings, mark)
        elif not tables.read_only:
            name = spec if isinstance(spec, str) else "" if spec is None else "custom"
            # Another process may have begun the same file meanwhile: the first one decides.
            settings = tables.begin(encoder=name, fingerprint=mark, metric=str(self.metric))
            self._agree_with(settings, mark)

    def _agree_with(self, settings: dict[str, str], mark: str) -> None:
        path = self._tables.path
        if settings["fingerprint"] != mark:
            raise _mismatch(path, settings, mark)
        if settings["metric"] != self.metric:
            raise InputError(
                f"{path} was written for the metric {settings['metric']!r}; open it without "
                f"metric=, or copy it: Database(path='copy.qkv', "
                f"metric={str(self.metric)!r}).update(old)"
            )

    def heads(self) -> tuple[tuple[int, float], ...]:
        """Columns and weight of each of the encoder's heads; empty if it is a single one."""
        encoder = self.encoder
        return encoder.parts() if isinstance(encoder, HeadsEncoder) else ()

    # ── keys ─────────────────────────────────────────────────────────────────────────────────

    def encode(self, keys: list[str], progress: Progress | None = None) -> list[bytes]:
        """Encode keys to vectors as they are stored.

        Raises
        ------
        VectorError
            If the store has no encoder.
        """
        if not keys:
            return []
        # One batch is not worth remembering, unless the rest of it was remembered before.
        if self._cached is not None and (len(keys) > BATCH or self._cached.path.exists()):
            return self._blobs(self._capped(encode_all(self._cached, keys, progress=progress)))
        return self._blobs(self.vectors(keys, progress))

    def stored(self, keys: Sequence[str]) -> None:
        """Forget what was remembered of keys whose vectors are in the file now."""
        if self._cached is not None and self._cached.path.exists():
            self._cached.discard(keys)
            with suppress(OSError):
                self._cached.path.parent.rmdir()  # unless others keep something there

    def vectors(self, keys: list[str], progress: Progress | None = None) -> Floats:
        """Encode keys, one or more, to vectors (n, d), as long as they shall count.

        Raises
        ------
        VectorError
            If the store has no encoder.
        """
        if self.encoder is None:
            raise VectorError(
                f"this store has no encoder, and {keys[0]!r} came without a vector; give one: "
                "db.put(key, value, vector=...), or open the store with an encoder"
            )
        return self._capped(encode_all(self.encoder, keys, progress=progress))

    def given(self, vectors: Any, count: int) -> list[bytes]:
        """Check vectors that the caller brought, and turn them into what is stored."""
        if not isinstance(vectors, Iterable) or isinstance(vectors, str | bytes | Mapping):
            raise VectorError(
                f"vectors are an array (n, d), or a list of n vectors, not a "
                f"{type(vectors).__name__}"
            )
        if isinstance(vectors, np.ndarray) and vectors.ndim == 2 and vectors.dtype.kind == "f":
            block = self._given_block(vectors)
        else:
            dimension = self.dimension or None
            checked: list[Floats] = []
            for vector in vectors:
                checked.append(check_vector(vector, "a vector", dimension))
                dimension = len(checked[0])
            block = np.array(checked, dtype="<f4").reshape(len(checked), dimension or 0)
        if len(block) != count:
            raise VectorError(f"{count} records came with {len(block)} vectors; give one for each")
        return self._blobs(unit(block) if self.metric is Metric.COSINE else block)

    def _given_block(self, vectors: Floats) -> Floats:
        """Check a whole matrix at once; row by row only to say which row is wrong."""
        # The largest entry is NaN or infinite if any is: one pass, and rows only to say where.
        with np.errstate(invalid="ignore"):
            largest = max(float(vectors.max(initial=0)), -float(vectors.min(initial=0)))
            suspicious = not largest < float(np.float32(LARGEST))
        for row in vectors if suspicious else vectors[:1]:
            check_vector(row, "a vector", self.dimension or None)
        return np.ascontiguousarray(vectors, dtype="<f4")

    def _capped(self, vectors: Floats) -> Floats:
        """Under cosine an encoder's rows count by their length, which is at most one."""
        if self.metric is not Metric.COSINE:
            return vectors
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        capped: Floats = np.where(lengths > 1, unit(vectors), vectors)
        return capped

    def _blobs(self, block: Floats) -> list[bytes]:
        if len(block) and self.dimension != block.shape[1]:
            self._agree_dimension(block.shape[1])
        return [row.tobytes() for row in np.ascontiguousarray(block, dtype="<f4")]

    def _agree_dimension(self, dimension: int) -> None:
        """Let the first vector decide, for every process that opens the file."""
        saved = self.saved_dimension() or int(
            self._tables.begin(dimension=str(dimension))["dimension"]
        )
        if saved != dimension:
            raise VectorError(
                f"this store's vectors have {saved} dimensions, not {dimension}; encode with the "
                "encoder that made the others"
            )
        self.dimension = dimension

    def saved_dimension(self) -> int:
        """Read the dimension that the file agreed on; 0 while it has no vectors."""
        return int(self._tables.settings().get("dimension", 0))

    # ── queries ──────────────────────────────────────────────────────────────────────────────

    def queries(self, queries: Sequence[Query]) -> Floats:
        """Turn checked queries into prepared vectors (m, d): a dot product with a key is the score.

        A row of zeros is a query of which the encoder understood nothing.
        """
        texts = [q for q in queries if isinstance(q, str)]
        encoded: Iterator[Floats] = iter(())
        if texts:
            if self.encoder is None:
                raise VectorError(
                    f"this store has no encoder for the query {texts[0]!r:.60}; ask with a vector "
                    f"of {self.dimension} numbers"
                )
            vectors = self._capped(encode_queries(self.encoder, texts))
            if self.dimension and vectors.shape[1] != self.dimension:
                raise EncoderError(
                    f"the encoder made a query of {vectors.shape[1]} dimensions, and this store's "
                    f"keys have {self.dimension}; open it with the encoder that made the keys"
                )
            encoded = iter(vectors)
        else:
            return self._given_queries(queries)
        rows = [
            next(encoded) if isinstance(q, str) else self._given_queries([q])[0] for q in queries
        ]
        return np.array(rows, dtype=np.float32)

    def prepared(self, vectors: Floats) -> Floats:
        """Prepare query vectors for the index: see :func:`qkv.attention.prepare`."""
        # Under cosine, stored and encoded vectors are as long as they shall count already.
        metric = Metric.DOT if self.metric is Metric.COSINE else self.metric
        return prepare(vectors, metric, side="query")

    def _given_queries(self, queries: Sequence[Query]) -> Floats:
        dimension = self.dimension or None
        vectors = np.array([check_vector(q, "a query", dimension) for q in queries])
        return unit(vectors) if self.metric is Metric.COSINE else vectors


def check_query(q: Any) -> Query:
    """Return the query, or raise the error that says why it cannot be asked."""
    if isinstance(q, str):
        return _check_length(check_text(q, "a query"), "a query")
    if isinstance(q, np.ndarray):
        return q
    raise RecordError(f"a query is text or a NumPy vector, not a {type(q).__name__}: {q!r:.60}")


def check_key(key: object) -> str:
    """Return the key, or raise the error that says why it cannot be stored."""
    if type(key) is str and len(key) <= LONGEST and key.isascii() and key and not key.isspace():
        return key  # nearly every key, in a bulk load
    if not isinstance(key, str):
        raise RecordError(
            f"a key is text, and {key!r:.60} is a {type(key).__name__}; use {str(key)!r:.60}, or "
            "text with a vector of your own: db.put(name, value, vector=...)"
        )
    return _check_length(check_text(key, "a key"), "a key")


def _check_length(text: str, what: str) -> str:
    if len(text) > LONGEST:
        raise TextError(
            f"{what} of {len(text):,} characters is a document; {what} has at most {LONGEST:,}. "
            "Use a title or a summary as the key and keep the text in the value"
        )
    return text


def _resolve_saved(spec: str | Encoder, path: Path | None) -> Encoder:
    if spec == "custom":
        raise EncoderMismatch(
            f"{path} was written with an encoder of your own; give it again: "
            f"Database(path={str(path)!r}, encoder=...)"
        )
    return resolve(spec)


def _remembering(encoder: Encoder | None, tables: Tables) -> CachedEncoder | None:
    """What keeps the work of an interrupted update, beside the store's file."""
    if encoder is None or not costly(encoder) or tables.path is None or tables.read_only:
        return None
    folder = tables.path.with_name(f"{tables.path.name}-index")
    return CachedEncoder(encoder, folder / "encodings.sqlite", disposable=True)


def _mismatch(path: Path | None, settings: dict[str, str], mark: str) -> EncoderMismatch:
    name = settings["encoder"]
    given = "without an encoder" if not mark else f"with {mark}"
    written = f"encoder {name!r} ({settings['fingerprint']})" if name else "vectors of its user's"
    return EncoderMismatch(
        f"{path} was written with {written} and is opened {given}; vectors of different encoders "
        f"do not compare. Open it with Database(path={str(path)!r}, encoder={name or None!r}), or "
        f"copy it: Database(path='copy.qkv', encoder=...).update(old)"
    )
