"""What one store was told, and learned."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qkv.encoders import Progress
from qkv.errors import InputError
from qkv.learning import FOLDS, Examples, Learning, Settings, held_out, report, train, try_out
from qkv.lessons.course import MOST_KEYS, Course, Rounds
from qkv.lessons.examples import Pair, Texts, from_pairs, together
from qkv.projection import IDENTITY, Projection
from qkv.reader import Reader
from qkv.snapshot import Snapshot
from qkv.space import Query, Space
from qkv.tables import ID, Correction, SavedProjection, Tables
from qkv.types import Floats, Integers, Metric, Value
from qkv.values import Kind, to_stored

__all__ = ["Lessons"]

#: Questions below which nothing can be learned and checked.
_FEWEST = 5
#: Records that hold a wrong value, of which so many near the question are learned from.
_WRONG = 3


class Lessons:
    """What one store was told, and learned.

    Parameters
    ----------
    tables : Tables
    space : Space
    reader : Reader
    """

    def __init__(self, tables: Tables, space: Space, reader: Reader) -> None:
        self._tables = tables
        self._space = space
        self._reader = reader

    # ── corrections ──────────────────────────────────────────────────────────────────────────

    def correct(self, q: Query, good: Value, bad: Sequence[Value]) -> None:
        """Keep what is right for a question, if it is not None, and what is wrong."""
        self._check_metric("corrections are")
        if isinstance(q, str) and self._tables.one(ID, q) is not None:
            raise InputError(
                f"{q!r:.60} is a key of this store, which answers it exactly; write what is right: "
                f"db[{q!r:.60}] = …"
            )
        if not self._space.same_kind:
            raise InputError(
                "queries and keys of this store are of different kinds, so that a question cannot "
                "be a key; give pairs instead: db.learn([(query, key), …])"
            )
        space = self._space
        if isinstance(q, str):  # as it will be heard
            (heard,) = self._reader.lexical.hearing.read([q])
            (vector,) = space.vectors([heard.text])
        else:
            (vector,) = space.queries([q])
        before = self._tables.correction(q) if isinstance(q, str) else None
        wrong = [self._named(one) for one in bad]
        record, kind, stored = None, None, None
        if good is not None:
            record, kind, stored = self._tables.named(good)
        elif before is not None and before.kind is not None:
            kept = [["key", before.record], [before.kind, before.value]]
            if not any(one in wrong for one in kept):
                record, kind, stored = before.record, before.kind, before.value
        old = [] if before is None else before.bad
        right = [["key", record], [kind, stored]]
        wrong = [one for one in (*old, *(w for w in wrong if w not in old)) if one not in right]
        blob = space.stored_form(vector)
        text = q if isinstance(q, str) else None
        self._tables.correct(Correction(0, text, blob, record, kind, stored, wrong))

    def _named(self, one: Value) -> list[Any]:
        if isinstance(one, str) and self._tables.one(ID, one) is not None:
            return ["key", one]
        kind, stored = to_stored(one)
        if kind is Kind.VECTOR:
            raise InputError("name a wrong vector by its key: bad=['key']")
        return [str(kind), stored]

    # ── learning ─────────────────────────────────────────────────────────────────────────────

    def learn(
        self,
        pairs: Sequence[Pair] | None,
        negatives: Sequence[Sequence[Query]] | None,
        *,
        keys: bool,
        settings: Settings | None = None,
        progress: Progress | None = None,
    ) -> Learning:
        """Learn, and keep it if held-out questions are answered better."""
        self._check_metric("projections are")
        begun = time.perf_counter()
        snapshot = self._raw()
        examples = self._examples(snapshot, pairs, negatives).answerable()
        if len(examples) < _FEWEST:
            why = (
                f"{len(examples)} questions with a known answer are too few to learn from and to "
                f"ask: give {_FEWEST} pairs or corrections at least, or records that share values"
            )
            return Learning(False, why, {}, 0, keys)
        course = Course.of(examples, len(snapshot.index), self._space)
        done = Rounds(progress, course.rounds)

        def learned(some: Examples, start: Projection) -> Projection:
            return train(
                some,
                start,
                keys=keys,
                heads=self._space.columns(),
                settings=settings,
                progress=done.next(),
            )

        before = self._space.trial  # which has not seen the store's own records that are held out
        trial = try_out(examples, before, lambda some: learned(some, before))
        kept, why, parts = report(trial)
        spared = int((~course.spared).sum())
        result = Learning(kept, why, parts, len(examples) if course.again else spared, keys)
        if kept:
            clean = trial.learned
            if course.in_turns and course.spares:
                clean = learned(examples.training(course.spared), before)
            final = learned(examples, self._space.projection) if course.again else clean
            result = self._kept(final, clean if course.spares else final, examples, result, begun)
        return replace(result, seconds=time.perf_counter() - begun)

    def unlearn(self) -> bool:
        """Go back to what held before the last thing that was learned; whether there was any."""
        active = self._tables.active_projection()
        if not active:
            return False
        self._tables.drop_projection(active)
        self._recalibrate()
        return True

    def _kept(
        self,
        final: Projection,
        trial: Projection,
        examples: Examples,
        result: Learning,
        begun: float,
    ) -> Learning:
        own = bool((~examples.told).any())
        newest = max(self._newest() if own else 0, self._space.newest)
        tried = (None, None) if trial is final else (trial.query, trial.key)
        matrices = [
            None if W is None else np.ascontiguousarray(W, dtype="<f4").tobytes()
            for W in (final.query, final.key, *tried)
        ]
        width = len(final.query) if final.query is not None else 0
        result = replace(result, seconds=time.perf_counter() - begun)
        query, key, trial_query, trial_key = matrices
        saved = SavedProjection(width, query, key, trial_query, trial_key, newest, result.as_json())
        version = self._tables.keep_projection(saved)
        self._recalibrate()
        return replace(result, version=version)

    def _newest(self) -> int:
        records = self._reader.snapshot().records
        return int(records.max(initial=0))

    def _recalibrate(self) -> None:
        self._reader.snapshot()  # with the weights that hold now
        self._reader.calibrate()

    def _check_metric(self, what: str) -> None:
        if self._space.metric is not Metric.COSINE:
            raise InputError(
                f"{what} for the cosine metric, and this store's is {self._space.metric}; copy "
                "it: Database(path='copy.qkv', metric='cosine').update(old)"
            )

    # ── examples ─────────────────────────────────────────────────────────────────────────────

    def _raw(self) -> Snapshot:
        """Keys as they are stored."""
        snapshot = self._reader.snapshot()
        if snapshot.projected or snapshot.valued:  # W_K has been applied, or more stands there
            snapshot = Snapshot.blank().advance(self._tables, self._space.metric, IDENTITY)
        return snapshot

    def _examples(
        self,
        snapshot: Snapshot,
        pairs: Sequence[Pair] | None,
        negatives: Sequence[Sequence[Query]] | None,
    ) -> Examples:
        rng = np.random.default_rng(0)
        rows = snapshot.index.live(np.arange(len(snapshot.index)))
        texts = Texts(self._space, self._tables, snapshot)
        told = texts.told(pairs, negatives) if pairs is not None else None
        needed = texts.rows if told is not None else np.zeros(0, dtype=np.int64)
        if len(rows) > MOST_KEYS:
            chosen = rng.choice(rows, MOST_KEYS, replace=False)
            rows = np.union1d(np.union1d(chosen, needed), _corrected(snapshot, rows))
        keys = np.vstack((snapshot.index.vectors(rows), texts.vectors))
        groups = snapshot.group_ids()[rows]
        extra = snapshot.groups.width + np.arange(len(texts.vectors))
        held = np.concatenate((groups, extra))
        alike = self._space.same_kind and (told is None or told.queries.shape[1] == keys.shape[1])
        parts = [self._own(snapshot, rows, keys, held)] if alike else []
        if told is not None:
            parts.append(from_pairs(told, rows, keys, held, rng))
        return together(parts, keys, held)

    def _own(self, snapshot: Snapshot, rows: Integers, keys: Floats, held: Integers) -> Examples:
        """The store's own records, corrections among them, of values that repeat."""
        groups = held[: len(rows)]
        counts = np.bincount(groups, minlength=snapshot.groups.width)
        vectors = snapshot.distinct.of_kind(Kind.VECTOR, snapshot.groups.width)
        counts[vectors] = 0
        asked = np.flatnonzero((counts[groups] > 1) & keys[: len(rows)].any(axis=1))
        ids = snapshot.records[rows[asked]]
        spared = held_out(ids)
        fold = np.where(spared, 0, 1 + np.arange(len(asked)) % (FOLDS - 1))
        return Examples(
            self._space.as_queries(self._tables.texts_of(ids.tolist()), keys[asked]),
            keys,
            held[asked],
            held,
            asked,
            np.full(len(asked), -1),
            self._named_wrong(snapshot, rows, keys, asked),
            ids < 0,
            fold,
        )

    def _named_wrong(
        self, snapshot: Snapshot, rows: Integers, keys: Floats, asked: Integers
    ) -> Integers:
        """Questions (of `asked`) and keys that corrections named as wrong for them."""
        place = {int(id): at for at, id in enumerate(snapshot.records[rows[asked]]) if id < 0}
        found: list[tuple[int, int]] = []
        for correction in self._tables.corrections() if place else []:
            at = place.get(correction.number)
            if at is None:
                continue
            for row in self._reader.wrong(snapshot, correction):
                found += [(at, int(column)) for column in np.flatnonzero(rows == row)[:1]]
            mine = [pair for pair in found if pair[0] == at]
            if len(mine) > _WRONG:  # those that are nearest to the question
                likeness = keys[[column for _, column in mine]] @ keys[asked[at]]
                best = np.argsort(-likeness, kind="stable")[:_WRONG]
                found = [pair for pair in found if pair[0] != at] + [mine[i] for i in best]
        return np.array(found, dtype=np.int64).reshape(-1, 2)


def _corrected(snapshot: Snapshot, rows: Integers) -> Integers:
    return rows[snapshot.records[rows] < 0]
