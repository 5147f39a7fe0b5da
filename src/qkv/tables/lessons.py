"""What a store was told, and what it made of that: corrections, and learned projections."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, NamedTuple

from qkv.tables import statements as sql
from qkv.tables.words import WordTables
from qkv.types import Value
from qkv.values import Stored, to_stored

__all__ = ["Correction", "LessonTables", "Question", "SavedProjection"]

_ACTIVE = "projection"


class Correction(NamedTuple):
    """One question that was corrected.

    Attributes
    ----------
    id : int
    query : str or None
        None for a vector.
    vector : bytes
    record : str or None
        Key of the record that answers it, if one was named.
    kind : str or None
    value
        The right answer; kind is None where only wrong ones were named.
    bad : list
        Wrong answers: ``["key", k]``, or ``[kind, value]``.
    """

    id: int
    query: str | None
    vector: bytes
    record: str | None
    kind: str | None
    value: Stored | None
    bad: list[list[Any]]

    @property
    def number(self) -> int:
        """Its record's number in attention."""
        return -1 - self.id


class Question(NamedTuple):
    """A question that the store was given, with its answer, to be calibrated by.

    Attributes
    ----------
    query : str or None
        None for a vector.
    vector : bytes
    record : str or None
        Key of the record that answers it, if one was named.
    kind : str or None
    value
        The right answer; kind is None where nothing is.
    """

    query: str | None
    vector: bytes
    record: str | None
    kind: str | None
    value: Stored | None


class SavedProjection(NamedTuple):
    """A projection as it stands in the file: matrices of `width` rows, row by row, float32.

    The trial is the same, learned without the records that are held out; its query is None where
    that is what holds.
    """

    width: int
    query: bytes | None
    key: bytes | None
    trial_query: bytes | None
    trial_key: bytes | None
    newest: int
    report: dict[str, Any]


class LessonTables(WordTables):
    """What learning keeps in a store's file."""

    # ── corrections ──────────────────────────────────────────────────────────────────────────

    def correction(self, query: str) -> Correction | None:
        """What was said about a question; None if nothing was."""
        row = self.one(sql.CORRECTION, query)
        if row is None:
            return None
        id, record, kind, value, bad = row
        return Correction(id, query, b"", record, kind, value, json.loads(bad))

    def corrections(self) -> list[Correction]:
        """All corrections, the oldest first."""
        return [
            Correction._make((*row[:-1], json.loads(row[-1]))) for row in self.all(sql.CORRECTIONS)
        ]

    def corrected(self) -> bool:
        """Whether any question was corrected: asked before each read, so it counts none."""
        return self.one(sql.ANY_CORRECTION) is not None

    def count_corrections(self) -> int:
        """How many questions were corrected."""
        return int(self.one(sql.COUNT_CORRECTED)[0])

    def correct(self, correction: Correction) -> None:
        """Keep a correction, over an earlier one of the same question; its id is not looked at."""
        with self.writing() as (connection, version):
            if correction.kind is None and correction.query is not None:
                _forget_answer(connection, version, correction.query)
            connection.execute(
                sql.CORRECT, (*correction[1:-1], json.dumps(correction.bad), version)
            )

    def corrected_records(self, ids: list[int]) -> dict[int, int]:
        """Records that corrections (negative ids) name as the answer: ids by ids."""
        return dict(self.all(sql.CORRECTED_RECORDS, json.dumps(ids)))

    def named(self, answer: Value) -> tuple[str | None, str, Stored]:
        """Key of the record that an answer names, if any, and kind and content of the answer."""
        row = self.one(sql.GET, answer) if isinstance(answer, str) else None
        if row is None:
            kind, stored = to_stored(answer)
            return None, str(kind), stored
        return str(answer), *row

    # ── questions ────────────────────────────────────────────────────────────────────────────

    def questions(self) -> list[Question]:
        """Questions that the store is calibrated by, as they were given."""
        return [Question._make(row) for row in self.all(sql.QUESTIONS)]

    def count_questions(self) -> int:
        """How many there are."""
        return int(self.one(sql.COUNT_QUESTIONS)[0])

    def tell(self, questions: list[Question], name: str, value: str) -> None:
        """Keep questions in the place of those before, and a setting; the clock stays as it is."""
        with self.writing(unnoticed=True) as (connection, _):
            connection.execute(sql.FORGET_QUESTIONS)
            connection.executemany(sql.ADD_QUESTION, questions)
            connection.execute(sql.KEEP, (name, value))

    # ── projections ──────────────────────────────────────────────────────────────────────────

    def active_projection(self) -> int:
        """Number of the projection that holds; 0 is none."""
        row = self.one(sql.SETTING, _ACTIVE)
        return 0 if row is None else int(row[0])

    def projection(self, id: int) -> SavedProjection | None:
        """A projection of the file; None if it is not there."""
        row = self.one(sql.PROJECTION, id)
        return None if row is None else SavedProjection._make((*row[:-1], json.loads(row[-1])))

    def keep_projection(self, saved: SavedProjection) -> int:
        """Keep a projection, and let it hold from now on."""
        with self.writing() as (connection, _):
            (id,) = connection.execute(
                sql.KEEP_PROJECTION, (*saved[:-1], json.dumps(saved.report))
            ).fetchone()
            connection.execute(sql.KEEP, (_ACTIVE, str(id)))
        return int(id)

    def drop_projection(self, id: int) -> int:
        """Forget a projection, and let the one before it hold; returns its number, 0 for none."""
        with self.writing() as (connection, _):
            (before,) = connection.execute(sql.PREVIOUS_PROJECTION, (id,)).fetchone()
            connection.execute(sql.DROP_PROJECTION, (id,))
            connection.execute(sql.KEEP, (_ACTIVE, str(before)))
        return int(before)

    def vectors_of(self, ids: list[int]) -> dict[int, bytes]:
        """Stored vectors of records, by id."""
        return dict(self.all(sql.VECTORS_OF, json.dumps(ids)))


def _forget_answer(connection: sqlite3.Connection, version: int, query: str) -> None:
    """The question had an answer that is taken back: it is a record no more."""
    row = connection.execute(sql.CORRECTION, (query,)).fetchone()
    if row is not None and row[2] is not None:
        connection.execute(sql.NOTE_DELETION, (-1 - row[0], version))
