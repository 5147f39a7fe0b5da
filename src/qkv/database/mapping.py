"""Database: a dict whose lookup is attention, and the only place where all modules meet."""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any, Literal

from qkv.answers import Decoding, Head
from qkv.attention import check_metric, check_temperature
from qkv.database.arguments import (
    Records,
    check_all_metadata,
    check_decoding,
    check_imagination,
    check_null,
    check_switch,
    check_timeout,
    pairs,
    storable,
)
from qkv.database.questions import Questions
from qkv.database.teaching import Teaching
from qkv.database.views import ItemsView, ValuesView
from qkv.encoders import Encoder, Progress, resolve
from qkv.errors import InputError
from qkv.indexing import check_index
from qkv.lessons import Lessons
from qkv.lexicon import Lexicon
from qkv.reader import Reader, check_head
from qkv.search import Search
from qkv.space import Space, check_key
from qkv.tables import GET, HAS, METADATA, VECTOR, Durability, Tables, unpacked
from qkv.types import Floats, Metric, Value
from qkv.values import from_stored, same, sentence_of, to_stored

__all__ = ["Database"]


class Database(Questions, Teaching, MutableMapping[str, Value]):
    """A dict whose lookup is attention.

    As a dict it is exact: ``db[key]``, ``in``, ``get``, ``pop``, ``update`` … do what they do in
    any dict. Asked in other words, it looks at *every* key: :meth:`query` gives the likeliest
    values, :meth:`attend` the whole answer with its weights, :meth:`search` the records.

    Parameters
    ----------
    records : mapping, optional
        Written at once, in one transaction.
    path : path, optional
        The file that keeps the store; None keeps it in memory.
    encoder : str, Encoder or None
        Makes vectors of keys and queries. ``"auto"``: the one that the file was written with, or
        ``"glove+use+transformer"`` for a new store, ``"glove+use"`` where MiniLM is not installed.
        None: every record and query brings its own vector.
    lexicon : str, Lexicon or None
        Vocabulary that the store may imagine from; None never imagines words.
    metric : {"auto", "cosine", "dot", "euclidean"}
        How alike a query and a key are. ``"auto"``: the file's own, or ``"cosine"``.
    temperature : float or "auto"
        τ of the softmax, 0 … inf. ``"auto"`` under cosine: fitted to the store's own records, and
        1 / (5 ln(1 + n)) for n records before that; 1 under the other metrics.
    null : float, optional
        Score of the null record, "nothing here"; None leaves it to calibration.
    head : {"auto", "blend", "relation"}
        What a record proposes as the answer: its value, or what its key became, done to the query
        (see :mod:`qkv.answers`). ``"auto"``: what answers better when records are left out.
    imagination : float or "auto"
        Share 0 … 1 of the answer that is imagined rather than recalled. ``"auto"`` reads it off
        the attention: see :mod:`qkv.answers`.
    decoding : {"cosine", "euclidean"}
        How words near the blend are found.
    index : {"auto", "flat", "quantized", "clustered", "hnsw", "ivf"}
        How keys are found. ``"auto"`` reads every key while that is quick, and moves to an index
        that does not once the store is large, by itself, while reads go on: see
        :mod:`qkv.indexing`.
    read_values : bool or "auto"
        Whether values that are sentences are encoded, too, as a second key: see
        :mod:`qkv.fields`. Doubles what such records take to encode and to keep. ``"auto"``: the
        file's own, or where the encoder reads human language.
    durability : {"normal", "full"}
        ``"normal"``: an acknowledged write survives the death of the process; ``"full"``: also
        the loss of power, for some milliseconds a write.
    timeout : float
        Seconds to wait for another process that is writing.

    Raises
    ------
    EncoderMismatch
        If the file was written with another encoder.
    FileError
        If the file cannot be used; see :mod:`qkv.errors`.

    Examples
    --------
    >>> db = Database({"one": "number", "cat": "animal", "dog": "animal",
    ...                "ball": "toy", "sphere": "shape", "male": "gender"})
    >>> db["cat"], "seventy" in db
    ('animal', False)
    >>> db.query("seventy")[0], db.attend("seventy").origin
    ('number', <Origin.RECALLED: 'recalled'>)
    """

    def __init__(
        self,
        records: Records | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        encoder: str | Encoder | None = "auto",
        lexicon: str | Lexicon | None = "glove",
        metric: Metric | str = "auto",
        temperature: float | Literal["auto"] = "auto",
        null: float | None = None,
        head: Head | str = "auto",
        imagination: float | Literal["auto"] = "auto",
        decoding: Literal["cosine", "euclidean"] = "cosine",
        index: Literal["auto", "flat", "quantized", "clustered", "hnsw", "ivf"] = "auto",
        read_values: bool | Literal["auto"] = "auto",
        durability: Durability = "normal",
        timeout: float = 5.0,
    ) -> None:
        if not isinstance(temperature, str) or temperature != "auto":
            temperature = check_temperature(temperature)
        null, timeout = check_null(null), check_timeout(timeout)
        if durability not in ("normal", "full"):
            raise InputError(f"durability is 'normal' or 'full', not {durability!r}")
        decoded = Decoding(
            check_head(head), check_imagination(imagination), check_decoding(decoding)
        )
        if encoder is not None and encoder != "auto":
            resolve(encoder)  # a wrong name must not leave an empty file behind
        if metric != "auto":
            check_metric(metric)
        file = Path(path) if path is not None else None
        self._tables = Tables(file, durability=durability, timeout=timeout)
        weakref.finalize(self, self._tables.close)
        try:
            self._space = Space(self._tables, encoder, metric, check_switch(read_values))
            kind = check_index(index, self._space.metric)
            self._reader = Reader(
                self._tables, self._space, lexicon, decoded, temperature, null, kind
            )
            self._search = Search(self._tables, self._space, self._reader)
            self._lessons = Lessons(self._tables, self._space, self._reader)
            if records is not None:
                self.update(records)
        except BaseException:
            self._tables.close()
            raise

    # ── what it is ───────────────────────────────────────────────────────────────────────────

    @property
    def path(self) -> Path | None:
        """The file that keeps the store; None for a store in memory."""
        return self._tables.path

    @property
    def encoder(self) -> Encoder | None:
        """What makes vectors of keys and queries."""
        return self._space.encoder

    @property
    def metric(self) -> Metric:
        """How alike a query and a key are."""
        return self._space.metric

    @property
    def dimension(self) -> int:
        """Length of the key vectors; 0 while the store has none."""
        return self._space.dimension

    @property
    def index(self) -> str:
        """How keys are found now: ``"flat"`` reads every one; see :mod:`qkv.indexing`."""
        return self._reader.index()

    @property
    def lexicon(self) -> Lexicon | None:
        """The vocabulary that the store may imagine from; opened when first needed."""
        meanings = self._reader.meanings()
        return None if meanings is None else meanings.lexicon

    def __repr__(self) -> str:
        where = "in memory" if self.path is None else f"path={str(self.path)!r}"
        if self._tables.closed:
            return f"<qkv.Database {where}, closed>"
        return f"<qkv.Database {where}, {len(self)} records>"

    def close(self) -> None:
        """Close the file. Safe to call twice; anything else afterwards raises ``Closed``."""
        self._tables.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # ── a dict, exactly ──────────────────────────────────────────────────────────────────────

    def __getitem__(self, key: str) -> Value:
        row = self._tables.one(GET, key) if storable(key) else None
        if row is None:
            raise KeyError(key)
        return from_stored(*row)

    def __contains__(self, key: object) -> bool:
        return storable(key) and self._tables.one(HAS, key) is not None

    def __len__(self) -> int:
        return len(self._tables)

    def __iter__(self) -> Iterator[str]:
        for page in self._tables.pages():
            for _, key, *_ in page:
                yield key

    def __reversed__(self) -> Iterator[str]:
        for page in self._tables.pages_back():
            for _, key, *_ in page:
                yield key

    def items(self) -> ItemsView:
        """Pairs of key and value, in the order in which the keys first came."""
        return ItemsView(self)

    def values(self) -> ValuesView:
        """Values, in the order in which the keys first came."""
        return ValuesView(self)

    def __setitem__(self, key: str, value: Value) -> None:
        self.put(key, value)

    def __delitem__(self, key: str) -> None:
        if not storable(key) or self._tables.pop(key) is None:
            raise KeyError(key)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        if len(self) != len(other):
            return False
        missing = object()
        return all(same(value, other.get(key, missing)) for key, value in self.items())

    __hash__ = None  # type: ignore[assignment]  # mutable, as every dict

    def __or__(self, other: Mapping[str, Value]) -> dict[str, Value]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self) | dict(other)

    def __ror__(self, other: Mapping[str, Value]) -> dict[str, Value]:
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(other) | dict(self)

    def __ior__(self, other: Records) -> Database:
        self.update(other)
        return self

    _MISSING = object()

    def pop(self, key: str, default: Any = _MISSING) -> Value:
        """Delete a record and return its value; the default, or KeyError, if there is none."""
        row = self._tables.pop(key) if storable(key) else None
        if row is not None:
            return from_stored(*row)
        if default is self._MISSING:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[str, Value]:
        """Delete the newest record and return its key and value."""
        row = self._tables.pop_last()
        if row is None:
            raise KeyError("popitem(): the database is empty")
        key, kind, stored = row
        return key, from_stored(kind, stored)

    def setdefault(self, key: str, default: Value = None) -> Value:
        """Return the value of a key, putting the default there first if there is none."""
        # Again, should another writer delete it between the two.
        while (row := self._tables.one(GET, key) if storable(key) else None) is None:
            self._write([(key, default)], None, None, replace=False)
        return from_stored(*row)

    def clear(self) -> None:
        """Delete every record, in one transaction."""
        self._tables.clear()

    def compact(self, *, progress: Progress | None = None) -> None:
        """Give the space of deleted records back, and arrange a large store for a fast index.

        Both happen by themselves, bit by bit; this does all of it now. The file is written anew,
        which takes as much space again meanwhile.

        Parameters
        ----------
        progress : callable, optional
            Called with (steps done, steps in all) while the index is built.

        Raises
        ------
        Locked, ReadOnlyFile, DiskFull
            If the file cannot be written; nothing is lost.
        """
        self._tables.compact()
        self._reader.arrange(progress)

    # ── writing ──────────────────────────────────────────────────────────────────────────────

    def put(
        self,
        key: str,
        value: Value,
        *,
        vector: Any = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Write one record.

        Parameters
        ----------
        key : str
        value : text, number, NumPy vector, None, bool, list or dict
        vector : array_like (d,), optional
            The key's vector, instead of the encoder's.
        metadata : mapping, optional
            What filters ask about, as JSON: ``{"year": 2020, "tags": ["bear"]}``. None leaves what
            is there; ``{}`` clears it.

        Raises
        ------
        InputError
            If key, value or vector cannot be stored; nothing is written.

        Examples
        --------
        >>> db = Database(encoder=None)
        >>> db.put("north", "up", vector=[0.0, 1.0])
        >>> db["north"]
        'up'
        """
        vectors = None if vector is None else [vector]
        self._write([(key, value)], vectors, None, None if metadata is None else [metadata])

    def update(  # type: ignore[override]
        self,
        records: Records = (),
        /,
        *,
        vectors: Any = None,
        metadata: Iterable[Mapping[str, Any] | None] | None = None,
        progress: Progress | None = None,
        **more: Value,
    ) -> None:
        """Write many records in one transaction: all of them, or, after an error, none.

        Parameters
        ----------
        records : mapping or iterable of (key, value)
        vectors : array_like (n, d), optional
            The keys' vectors in the order of the records, instead of the encoder's.
        metadata : iterable of mappings, optional
            One for each record, see :meth:`put`.
        progress : callable, optional
            Called with (done, total) while keys are encoded.
        **more
            Further records by keyword.

        Raises
        ------
        InputError
            If any of them cannot be stored.
        """
        self._write([*pairs(records), *more.items()], vectors, progress, metadata)

    def _write(
        self,
        pairs: list[tuple[str, Value]],
        vectors: Any,
        progress: Progress | None,
        metadata: Iterable[Mapping[str, Any] | None] | None = None,
        *,
        replace: bool = True,
    ) -> None:
        about = None if metadata is None else check_all_metadata(metadata, len(pairs))
        if not pairs and vectors is None:
            return
        keys = [check_key(key) for key, _ in pairs]
        stored = [to_stored(value) for _, value in pairs]
        if vectors is not None:
            blobs: list[bytes | None] = list(self._space.given(vectors, len(pairs)))
        else:
            known = self._tables.known(keys)
            blobs = [None if key in known else b"" for key in keys]
        said = [sentence_of(*one) for one in stored] if self._space.encodes_values() else None
        fresh = [key for key, blob in zip(keys, blobs, strict=True) if blob == b""]
        texts = list(dict.fromkeys([*fresh, *(text for text in said or () if text)]))
        encoded = dict(zip(texts, self._space.encode(texts, progress), strict=True))
        self._tables.put(
            keys,
            stored,
            [encoded[key] if blob == b"" else blob for key, blob in zip(keys, blobs, strict=True)],
            self._space.encode,
            of_values=None if said is None else [encoded[text] if text else None for text in said],
            metadata=about,
            replace=replace,
        )
        self._space.stored(texts)

    def metadata(self, key: str) -> dict[str, Any]:
        """What was stored with a record for filters; an empty dict if nothing was."""
        row = self._tables.one(METADATA, key) if storable(key) else None
        if row is None:
            raise KeyError(key)
        about: dict[str, Any] = json.loads(row[0] or "{}")
        return about

    def vector(self, key: str) -> Floats:
        """The vector of a stored key, as it is scored: array (d,), float32."""
        row = self._tables.one(VECTOR, key) if storable(key) else None
        if row is None:
            raise KeyError(key)
        vector: Floats = unpacked(row, self._tables.precision())[0].copy()
        return vector
