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
    UNGATED,
    CachedEncoder,
    Encoder,
    Progress,
    background,
    check_text,
    costly,
    default_name,
    encode_all,
    encode_queries,
    fingerprint,
    reads_language,
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
from qkv.projection import IDENTITY, Projection
from qkv.tables import PRECISION, SETTING, SINGLE, VALUED, Tables, packed
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
    read_values : bool or "auto"
        Whether values that are sentences are encoded, too. ``"auto"``: the file's own, or where
        the encoder reads language.

    Raises
    ------
    EncoderMismatch, InputError
        If the file was written with another encoder or metric, or otherwise.
    """

    def __init__(
        self,
        tables: Tables,
        encoder: str | Encoder | None,
        metric: Metric | str,
        read_values: bool | str = "auto",
    ) -> None:
        self._tables = tables
        settings = tables.settings()
        spec = _spec(encoder, settings)
        self.encoder = None if spec is None else _resolve_saved(spec, tables.path)
        self._cached = _remembering(self.encoder, tables)
        mark = "" if self.encoder is None else fingerprint(self.encoder)
        if metric == "auto":
            metric = settings.get("metric", "cosine")
        self.metric = check_metric(metric)
        self.dimension = int(settings.get("dimension", 0))
        #: Whether values that are sentences are encoded, too.
        self.reads_values = self._reads_values(settings, read_values)
        #: Whether any was, and how much they count beside keys: see :mod:`qkv.fields`.
        self.valued, self.value_weight, self.value_odds = False, 0.0, 0.0
        #: Whether words count beside meaning, and typos are mended; not in files of before.
        language = self.encoder is not None and reads_language(self.encoder)
        new = "fingerprint" not in settings or "values" in settings
        self.hears_words = language and new and self.metric is Metric.COSINE
        #: W_Q and W_K, and their number in the file; 0 is the identity.
        self.projection, self.learned = IDENTITY, 0
        #: The same as it was learned without the records that are held out.
        self.trial = IDENTITY
        #: Newest record when they were learned: later ones were not trained on.
        self.newest = 0
        self.refresh()
        if "fingerprint" in settings:
            self._agree_with(settings, mark)
        elif not tables.read_only:
            self._begin(spec, mark)

    def _begin(self, spec: str | Encoder | None, mark: str) -> None:
        """Write what a new store agrees on, and begin its index of words."""
        agreed = {
            "encoder": spec if isinstance(spec, str) else "" if spec is None else "custom",
            "fingerprint": mark,
            "metric": str(self.metric),
            "values": "read" if self.reads_values else "",
            PRECISION: str(getattr(self.encoder, "precision", SINGLE)),
        }
        # Another process may have begun the same file meanwhile: the first one decides.
        settings = self._tables.begin(**agreed)
        self._agree_with(settings, mark)
        self.reads_values = settings["values"] == "read"
        if self.hears_words:
            self._tables.index_words()

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

    def _reads_values(self, settings: dict[str, str], wanted: bool | str) -> bool:
        agreed = settings.get("values", "") == "read"
        if "fingerprint" in settings:
            if wanted not in ("auto", agreed):
                raise InputError(
                    f"{self._tables.path} was begun with read_values={agreed}; open it without "
                    f"read_values=, or copy it: Database(path='copy.qkv', read_values={wanted})"
                    ".update(old)"
                )
            return agreed
        able = self.encoder is not None and self.metric is Metric.COSINE
        if wanted is True and not able:
            raise InputError(
                "read_values=True needs an encoder that reads them, and the cosine metric; leave "
                "it out"
            )
        language = self.encoder is not None and reads_language(self.encoder)
        return able and (language if wanted == "auto" else bool(wanted))

    def refresh(self) -> None:
        """Read what was learned since, by whichever process."""
        self.valued = self._tables.one(SETTING, VALUED) is not None
        active = self._tables.active_projection()
        if active == self.learned:
            return
        saved = self._tables.projection(active)
        self.learned = active
        self.projection = self.trial = IDENTITY
        if saved is not None:
            self.projection = _matrices(saved.width, saved.query, saved.key)
            if saved.trial_query is not None:
                self.trial = _matrices(saved.width, saved.trial_query, saved.trial_key)
            else:
                self.trial = self.projection
        self.newest = 0 if saved is None else saved.newest

    @property
    def projected(self) -> int:
        """Number of the projection whose W_K keys go through; 0 for none."""
        return 0 if self.projection.key is None else self.learned

    @property
    def scored_dimension(self) -> int:
        """Length of keys as they are scored, after W_K."""
        weights = self.projection.key
        return self.dimension if weights is None else len(weights)

    @property
    def index_dimension(self) -> int:
        """Length of what an index holds: keys, and what values say beside them."""
        return self.scored_dimension * (1 + self.valued)

    @property
    def same_kind(self) -> bool:
        """Whether a key could be a query: both have the same length before they are projected."""
        return self.asked_dimension == self.dimension

    def heads(self) -> tuple[tuple[int, float], ...]:
        """Columns and weight of each of the encoder's heads; empty if it is a single one."""
        parts = getattr(self.encoder, "parts", None)
        return () if parts is None else tuple(parts())

    def columns(self) -> tuple[int, ...]:
        """Columns of each of the encoder's heads; empty if it is a single one."""
        return tuple(size for size, _ in self.heads())

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

    def encodes_values(self) -> bool:
        """Whether values that are sentences are encoded now.

        Not beside keys that were given as vectors of another length: the two do not compare.
        """
        if not self.reads_values or self.encoder is None:
            return False
        dimension = self.dimension or self.saved_dimension()
        return not dimension or len(background(self.encoder, dimension)) == dimension

    def stored(self, keys: Sequence[str]) -> None:
        """Forget what was remembered of keys whose vectors are in the file now."""
        if self._cached is not None and self._cached.path.exists():
            self._cached.discard(keys)
            with suppress(OSError):
                self._cached.path.parent.rmdir()  # unless others keep something there

    def stored_form(self, vector: Floats) -> bytes:
        """A key's vector (d,) as it is stored."""
        return self._blobs(vector[None])[0]

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
        return packed(block, self._tables.precision())

    def agree(self, dimension: int) -> None:
        """Let vectors of so many numbers be this store's, if it has none yet.

        Raises
        ------
        VectorError
            If its vectors have another length.
        """
        if self.dimension != dimension:
            self._agree_dimension(dimension)

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

    def queries(self, queries: Sequence[Query], *, of_any_length: bool = False) -> Floats:
        """Turn checked queries into vectors (m, d_q), before W_Q.

        A row of zeros is a query of which the encoder understood nothing. Queries `of_any_length`
        need not be as long as keys: a projection of theirs may be learned.
        """
        texts = [q for q in queries if isinstance(q, str)]
        encoded: Iterator[Floats] = iter(())
        if texts:
            if self.encoder is None:
                raise VectorError(
                    f"this store has no encoder for the query {texts[0]!r:.60}; ask with a vector "
                    f"of {self.dimension} numbers"
                )
            vectors = encode_queries(self.encoder, texts)
            if not self.weighs_queries:
                vectors = self._capped(vectors)
            wanted = 0 if of_any_length else self.asked_dimension
            if wanted and vectors.shape[1] != wanted:
                raise EncoderError(
                    f"the encoder made a query of {vectors.shape[1]} dimensions, and this store's "
                    f"keys have {wanted}; open it with the encoder that made the keys, or let it "
                    "learn how the two belong together: db.learn(pairs)"
                )
            encoded = iter(vectors)
        else:
            return self._given_queries(queries, 0 if of_any_length else self.asked_dimension)
        length = vectors.shape[1]
        rows = [
            next(encoded) if isinstance(q, str) else self._given_queries([q], length)[0]
            for q in queries
        ]
        return np.array(rows, dtype=np.float32)

    @property
    def weighs_queries(self) -> bool:
        """Whether a key is no query as it stands: the encoder weighs its heads by the query."""
        return bool(getattr(self.encoder, "weighs_queries", False))

    def as_queries(self, texts: Sequence[str], keys: Floats) -> Floats:
        """Turn keys (n, d), encoded from these texts, into queries (n, d), before W_Q."""
        if not self.weighs_queries or not len(texts):
            return keys
        queries: Floats = self.encoder.as_queries(texts, keys)  # type: ignore[union-attr]
        return queries

    def prepared(
        self,
        vectors: Floats,
        projection: Projection | None = None,
        fields: tuple[float, float] | None = None,
        *,
        dimension: int = 0,
    ) -> Floats:
        """Prepare query vectors for the index: see :func:`qkv.attention.prepare`.

        By what holds, unless another projection is given, or other weights of key and value. For
        an index of fewer dimensions, what it does not hold is left out: it may have been read
        before the first value was, by another thread.
        """
        # Under cosine, stored and encoded vectors are as long as they shall count already.
        metric = Metric.DOT if self.metric is Metric.COSINE else self.metric
        prepared = prepare((projection or self.projection).queries(vectors), metric, side="query")
        return self.beside(prepared, fields)[:, : dimension or None]

    def beside(self, queries: Floats, fields: tuple[float, float] | None = None) -> Floats:
        """Let projected queries (m, d) ask the values, too, where these are read: (m, 2 d)."""
        if not self.valued:
            return queries
        key, value = fields or (1.0, self.value_weight)
        return np.hstack((np.float32(key) * queries, np.float32(value) * queries))

    def centre(self, projection: Projection | None = None) -> Floats | None:
        """What is taken out of the vectors of values: general text; None where none are read."""
        if not self.valued or self.encoder is None:
            return None
        general = background(self.encoder, self.dimension or self.saved_dimension())
        key: Floats = (projection or self.projection).keys(general[None])[0]
        return key

    @property
    def asked_dimension(self) -> int:
        """Length of query vectors, before W_Q; 0 while nothing says it."""
        weights = self.projection.query
        return self.dimension if weights is None else int(weights.shape[1])

    def _given_queries(self, queries: Sequence[Query], dimension: int) -> Floats:
        vectors = _stacked(queries, dimension)
        if vectors is None:
            checked: list[Floats] = []
            for q in queries:
                checked.append(check_vector(q, "a query", dimension or None))
                dimension = len(checked[0])
            vectors = np.array(checked)
        return unit(vectors) if self.metric is Metric.COSINE else vectors


def _matrices(width: int, *blobs: bytes | None) -> Projection:
    query, key = (
        None if blob is None else np.frombuffer(blob, dtype="<f4").reshape(width, -1)
        for blob in blobs
    )
    return Projection(query, key)


def _stacked(queries: Sequence[Query], dimension: int) -> Floats | None:
    """Queries of one length and type, all of them sound, at once; None where one may not be."""
    first = queries[0]
    if not isinstance(first, np.ndarray) or first.dtype != np.float32 or first.ndim != 1:
        return None
    wanted = first.dtype, (dimension or len(first),)
    if any((q.dtype, q.shape) != wanted for q in queries if isinstance(q, np.ndarray)):
        return None
    vectors = np.array(queries)
    return vectors if vectors.size and bool((np.abs(vectors) < LARGEST).all()) else None


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


def _spec(encoder: str | Encoder | None, settings: dict[str, str]) -> str | Encoder | None:
    """Which encoder is meant: for ``"auto"`` the file's own, or the default of a new store."""
    spec = encoder
    if encoder == "auto":
        spec = settings["encoder"] or None if "encoder" in settings else default_name()
    if spec == DEFAULT and settings.get("fingerprint", "").startswith("heads("):
        return UNGATED
    return spec


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
