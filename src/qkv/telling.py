"""Telling: questions that a store was given with their answers, and what they find in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from qkv.attention import raise_best
from qkv.calibration import NEAR, Calibration, told
from qkv.errors import InputError
from qkv.judging import found
from qkv.lexical import Lexical
from qkv.snapshot import Snapshot
from qkv.space import Query, Space
from qkv.tables import ID, Question, Tables
from qkv.types import Floats, Integers, Value
from qkv.values import Kind

__all__ = ["Telling", "too_few"]

#: What an answer may be; a file may name others, which no value of this store is.
_KINDS = frozenset(Kind)
#: Questions that are asked, at most.
_ASKED = 2_000


class Telling:
    """The questions of one store.

    Parameters
    ----------
    tables : Tables
    space : Space
    background : callable
        Gives the null record's key.
    lexical : Lexical
        The store's words.
    """

    def __init__(
        self, tables: Tables, space: Space, background: Callable[[], Floats], lexical: Lexical
    ) -> None:
        self._lexical = lexical
        self._tables = tables
        self._space = space
        self._background = background

    def kept(self, questions: Sequence[tuple[Query, Value]]) -> list[Question]:
        """Checked questions and their answers, None for none, as the file keeps them."""
        if not questions:
            return []
        if not len(self._tables):
            raise InputError("an empty store has no answers; put records in it first: db[key] = …")
        read, _ = self._lexical.hearing.queries([q for q, _ in questions])
        vectors = self._space.queries(read)
        return [
            Question(
                q if isinstance(q, str) else None,
                np.ascontiguousarray(vector, dtype="<f4").tobytes(),
                *((None, None, None) if answer is None else self._tables.named(answer)),
            )
            for (q, answer), vector in zip(questions, vectors, strict=True)
        ]

    def asked(self, given: Sequence[Question]) -> list[Question]:
        """Those that are not answered exactly; of very many, some."""
        size = 4 * self._space.asked_dimension
        given = [one for one in given if len(one.vector) == size and not self._exact(one)]
        if len(given) <= _ASKED:
            return given
        chosen = np.random.default_rng(0).choice(len(given), _ASKED, replace=False)
        return [given[i] for i in np.sort(chosen)]

    def _exact(self, question: Question) -> bool:
        """Whether it is a key, or was corrected: then the store need not judge."""
        if question.query is None:
            return False
        if self._tables.one(ID, question.query) is not None:
            return True
        said = self._tables.correction(question.query) if self._tables.corrected() else None
        return said is not None and said.kind is not None

    def truth(self, snapshot: Snapshot, asked: Sequence[Question]) -> Integers:
        """Numbers of the values that answer questions; −1 for what the store does not hold."""
        groups, counts = snapshot.group_ids(), snapshot.counts
        truth = np.full(len(asked), -1, dtype=np.int64)
        for i, question in enumerate(asked):
            if question.kind is None or question.kind not in _KINDS or question.value is None:
                continue
            record = None if question.record is None else self._tables.one(ID, question.record)
            if record is not None:
                rows = snapshot.rows(np.array(record))
                truth[i] = groups[rows[-1]] if len(rows) else -1
                continue
            id = snapshot.distinct.id_of(Kind(question.kind), question.value)
            truth[i] = -1 if id is None or id >= len(counts) or not counts[id] else id
        return truth

    def found(self, snapshot: Snapshot, asked: Sequence[Question], known: Calibration) -> told.Told:
        """What questions find in the store, judged by what is known without them."""
        vectors = np.frombuffer(b"".join(one.vector for one in asked), dtype="<f4")
        vectors = vectors.reshape(len(asked), -1)
        prepared = self._space.prepared(vectors, dimension=snapshot.index.dimension)
        weighed = known.weigh(prepared)
        indices, scores = snapshot.index.neighbours(weighed, NEAR)
        blank = ~prepared.any(axis=1)
        indices[blank], scores[blank] = -1, -np.inf
        heard = iter(self._lexical.hearing.read([one.query for one in asked if one.query]))
        texts = [next(heard).text if one.query else None for one in asked]
        near, by = (indices, scores), None
        raised = self._lexical.raised(snapshot, texts, weighed, near)
        if raised is not None:
            indices, scores, by = raise_best(*near, raised.indices, raised.scores, raised.by)
            near = indices, scores
        background = self._background()[: prepared.shape[1]]
        evidence, _, _ = found(
            snapshot, self._tables, texts, prepared, near, known, background, by=by
        )
        return told.Told(self.truth(snapshot, asked), evidence)


def too_few(truth: Integers, exact: int) -> InputError:
    """What is wrong with questions that say nothing of one kind, or of both."""
    answered = int((truth >= 0).sum())
    aside = f"; {exact} more are its keys, or were corrected, which says nothing" if exact else ""
    return InputError(
        f"of the questions, {answered} are answered by a value of this store, and "
        f"{len(truth) - answered} by none{aside}; give {told.ENOUGH} of both at least: "
        "db.calibrate(questions=[(question, answer), …, (question, None), …]), where None says "
        "that nothing in the store is the answer. A store in which records share values makes "
        "questions of the other kind itself"
    )
