"""Questions: what a store is asked in other words, and by likeness, words and filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, overload

from qkv.answers import Head
from qkv.calibration import Calibration
from qkv.database.arguments import (
    batch,
    check_questions,
    check_share,
    check_tolerance,
    check_where,
)
from qkv.encoders import Progress
from qkv.filters import Where
from qkv.keyword import Field, Scheme
from qkv.reader import SHOWN, Reader
from qkv.search import Fusion, Mode, Search, check_options
from qkv.space import Query, Space, check_query
from qkv.tables import Tables
from qkv.types import Attention, Match, Origin, Value

if TYPE_CHECKING:
    from qkv.similarity import SimilarityMatrix

__all__ = ["Questions"]


class Questions:
    """The half of :class:`qkv.Database` that a dict does not have."""

    _tables: Tables
    _space: Space
    _reader: Reader
    _search: Search

    def query(
        self,
        q: Query,
        n: int = 5,
        *,
        strict: bool = False,
        max_wrong: float | None = None,
        where: Where | None = None,
    ) -> list[Value]:
        """The likeliest values, best first: attention over every key.

        Parameters
        ----------
        q : str or array (d,)
        n : int
            How many values at most.
        strict : bool
            Only values that are stored: nothing is imagined.
        max_wrong : float, optional
            A budget: the answer is given only where, over many such questions, at most this share
            of the answers given is wrong; then the list has one value, or none. See
            :meth:`calibrate`.
        where : str or mapping, optional
            Only records whose metadata passes: see :mod:`qkv.filters`.

        Returns
        -------
        list
            Empty when the store has no answer.

        Examples
        --------
        >>> from qkv import Database
        >>> db = Database({"one": "number", "cat": "animal"}, encoder="hashing")
        >>> db.query("cats", strict=True)
        ['animal', 'number']
        """
        (attention,) = self._reader.attend(
            [check_query(q)], n, strict=strict, where=check_where(where)
        )
        if attention.origin is Origin.NOTHING:
            return []
        if max_wrong is not None:
            sure = self.calibration.sure(attention, check_share(max_wrong, "max_wrong"))
            return [attention.value] if sure else []
        return [candidate.value for candidate in attention.candidates]

    def calibrate(
        self,
        *,
        unanswerable: float | None = None,
        questions: Sequence[tuple[Query, Value]] | Mapping[str, Value] | None = None,
    ) -> Calibration:
        """Learn from the store's own records how likely its answers are right.

        Records are left out, one at a time, and asked for: is the answer still right? Then with
        all records of their value, so that "nothing here" is right. From both follow the
        temperature, the null record's score and the confidence. It happens by itself when the
        store has grown or changed enough; this does it now, and keeps it in the file.

        Parameters
        ----------
        unanswerable : float, optional
            Share of questions, 0 … 1, that the store cannot answer; 0.18 unless told, and kept
            from then on.
        questions : list of (query, answer), optional
            Questions as your users ask them, none of which the store has learned from. The answer
            is the key of a record, or a value, or None where nothing in the store is right. They
            are kept in the file, in the place of those before, and probabilities and budgets hold
            for questions like them from now on; from a hundred on it shows. Ten that have an answer
            and ten that have none are needed; of one of the two, the store's own will do where it
            has any. Their share without an answer is taken for `unanswerable`, unless that is
            given. ``[]`` forgets them.

        Raises
        ------
        InputError
            If the store's metric is not cosine, or the questions are too few.

        Returns
        -------
        Calibration
            With its :attr:`~qkv.calibration.Calibration.reliability`: how the confidence held.

        Examples
        --------
        >>> from qkv import Database
        >>> db = Database({"one": "number", "cat": "animal"}, encoder="hashing")
        >>> db.calibrate().questions  # too small to be asked: sound priors hold
        0
        """
        share = None if unanswerable is None else check_share(unanswerable, "unanswerable")
        told = None if questions is None else check_questions(questions)
        return self._reader.calibrate(share, told)

    @property
    def calibration(self) -> Calibration:
        """What holds now: see :meth:`calibrate`."""
        return self._reader.calibration()

    @overload
    def attend(  # type: ignore[overload-overlap]  # a str is a Sequence[str], but one query
        self,
        q: Query,
        *,
        n: int = SHOWN,
        strict: bool = False,
        top_k: int | None = None,
        temperature: float | None = None,
        head: Head | str | None = None,
        where: Where | None = None,
        tolerance: float | None = None,
    ) -> Attention: ...
    @overload
    def attend(
        self,
        q: Sequence[Query],
        *,
        n: int = SHOWN,
        strict: bool = False,
        top_k: int | None = None,
        temperature: float | None = None,
        head: Head | str | None = None,
        where: Where | None = None,
        tolerance: float | None = None,
    ) -> list[Attention]: ...
    def attend(
        self,
        q: Query | Sequence[Query],
        *,
        n: int = SHOWN,
        strict: bool = False,
        top_k: int | None = None,
        temperature: float | None = None,
        head: Head | str | None = None,
        where: Where | None = None,
        tolerance: float | None = None,
    ) -> Attention | list[Attention]:
        """The whole answer: candidates, weights, and how much of the store stands behind them.

        Parameters
        ----------
        q : str, array (d,), or a list of these
            A list (or an array (m, d)) gives a list of answers, made in one batch.
        n : int
            How many candidates at most.
        strict : bool
            Only values that are stored: nothing is imagined.
        top_k : int, optional
            Look at the k nearest records only. With ``temperature=float("inf")`` that is the
            majority vote of k nearest neighbours.
        temperature : float, optional
            τ for this call.
        head : {"blend", "relation"}, optional
            Value head for this call.
        where : str or mapping, optional
            Attend only to records whose metadata passes: see :mod:`qkv.filters`.
        tolerance : float, optional
            In a large store, relative error of the output that is small enough: keys are read
            until the estimate, :attr:`Attention.error`, is no larger. 0 reads every key; None
            reads what is usual, about one in fifty.

        Returns
        -------
        Attention, or a list of them

        Examples
        --------
        >>> from qkv import Database
        >>> db = Database({"one": "number", "cat": "animal"}, encoder="hashing", lexicon=None)
        >>> a = db.attend("cats", temperature=0.1)
        >>> a.value, a.weights[0].key
        ('animal', 'cat')
        >>> round(sum(w.weight for w in a.weights) + a.rest + a.null, 6)
        1.0
        """
        queries, single = batch(q)
        answers = self._reader.attend(
            queries,
            n,
            strict=strict,
            top_k=top_k,
            temperature=temperature,
            head=head,
            where=check_where(where),
            tolerance=None if tolerance is None else check_tolerance(tolerance),
        )
        return answers[0] if single else answers

    @overload
    def search(  # type: ignore[overload-overlap]  # a str is a Sequence[str], but one query
        self,
        q: Query,
        k: int = 10,
        *,
        mode: Mode | str = "semantic",
        where: Where | None = None,
        exclude_query: bool = False,
        scheme: Scheme | str = "bm25",
        language: str | None = None,
        stop_words: str | Iterable[str] | None = None,
        fusion: Fusion = "attention",
        in_: Field | str = "both",
        spans: bool = False,
    ) -> list[Match]: ...
    @overload
    def search(
        self,
        q: Sequence[Query],
        k: int = 10,
        *,
        mode: Mode | str = "semantic",
        where: Where | None = None,
        exclude_query: bool = False,
        scheme: Scheme | str = "bm25",
        language: str | None = None,
        stop_words: str | Iterable[str] | None = None,
        fusion: Fusion = "attention",
        in_: Field | str = "both",
        spans: bool = False,
    ) -> list[list[Match]]: ...
    def search(
        self,
        q: Query | Sequence[Query],
        k: int = 10,
        *,
        mode: Mode | str = "semantic",
        where: Where | None = None,
        exclude_query: bool = False,
        scheme: Scheme | str = "bm25",
        language: str | None = None,
        stop_words: str | Iterable[str] | None = None,
        fusion: Fusion = "attention",
        in_: Field | str = "both",
        spans: bool = False,
    ) -> list[Match] | list[list[Match]]:
        """The records themselves, ranked by meaning, by words, or by both.

        Parameters
        ----------
        q : str, array (d,), or a list of these
        k : int
            How many records at most.
        mode : {"semantic", "keyword", "hybrid"}
            ``"semantic"`` ranks by how alike the vectors of key and query are, ``"keyword"`` by
            the words of the query in key and value, ``"hybrid"`` by both.
        where : str or mapping, optional
            Only records whose metadata passes: see :mod:`qkv.filters`.
        exclude_query : bool
            Leave out the record whose key is the query itself.
        scheme : {"bm25", "tfidf", "overlap"}
            How words are counted: see :class:`qkv.keyword.Scheme`.
        language : str, optional
            Language of the words (``"en"``): its small words do not count, and all forms of a word
            are one, "cup" and "cups". Without it a word is found as it is written.
        stop_words : str or iterable of str, optional
            Words of the query that do not count: those of a language, or your own.
        fusion : "attention", "rrf" or float
            How a hybrid search brings both rankings into one: by adding what meaning and words say,
            each on a scale of its own; by rank; or by adding with this share (0 … 1) for meaning.
        in_ : {"keys", "values", "both"}
            Which texts of a record are searched. By meaning, values are those that the store has
            read: see :mod:`qkv.fields`; beside keys they count as much as in ``attend``.
        spans : bool
            Say where in each record the answer is: words of the query, and the sentence nearest
            to it. Sentences are encoded for it, some milliseconds each.

        Returns
        -------
        list of Match, best first; a list of such lists for a list of queries

        Examples
        --------
        >>> from qkv import Database
        >>> db = Database({"one": "number", "cat": "animal"}, encoder="hashing")
        >>> [match.key for match in db.search("cats", k=1)]
        ['cat']
        >>> db.search("an ANIMAL", mode="keyword")[0].why
        {'keyword': Place(rank=1, score=0.693...)}
        """
        queries, single = batch(q)
        options = check_options(
            k, mode, scheme, fusion, language, stop_words, exclude_query, spans, in_
        )
        found = self._search.find(queries, options, check_where(where))
        return found[0] if single else found

    def index_words(self, progress: Progress | None = None) -> None:
        """Begin the index of words now, rather than with the first keyword search.

        Parameters
        ----------
        progress : callable, optional
            Called with (done, total) meanwhile.
        """
        self._tables.index_words(progress)

    def similarity(
        self, queries: Query | Sequence[Query] | None = None, keys: Sequence[Query] | None = None
    ) -> SimilarityMatrix:
        """How alike each query and each key are: the query-key matrix, in the store's metric.

        Parameters
        ----------
        queries, keys : list of str and array (d,), optional
            None: all keys of the store. A text that is a stored key has its stored vector.

        Returns
        -------
        SimilarityMatrix
            Under cosine a text and itself score 1; equal sets make a symmetric matrix.

        Raises
        ------
        InputError
            If it would have more than 20,000 × 20,000 cells.

        Examples
        --------
        >>> from qkv import Database
        >>> Database({"one": 1, "cat": 2}, encoder="hashing").similarity(["cats"])
        <SimilarityMatrix 1 query × 2 keys, cosine>
               one   cat
        cats  0.14  0.55
        """
        from qkv.similarity import similarity  # noqa: PLC0415  (not for those who never ask)

        rows, columns = (None if side is None else batch(side)[0] for side in (queries, keys))
        return similarity(self._tables, self._space, rows, columns)
