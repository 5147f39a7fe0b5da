"""Keeping a store calibrated: by itself when it has grown or changed, or when asked to.

A small store is calibrated by the read that finds it changed. A large one is calibrated in the
background, and answers by what was known before until that is done.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from qkv import background as threads
from qkv.answers import Meanings, imagining
from qkv.calibration import (
    UNANSWERABLE,
    Calibration,
    Store,
    calibrate,
    prior,
    told,
)
from qkv.calibration.believing import Imagining
from qkv.calibration.heads import Scales
from qkv.encoders import TEXTS, background, strangers
from qkv.errors import Closed, DiskFull, Locked, ReadOnlyFile
from qkv.fields import own_queries
from qkv.judging import fit_intervals
from qkv.learning import held_out
from qkv.lexical import Lexical
from qkv.projection import Projection
from qkv.snapshot import Snapshot
from qkv.space import Query, Space
from qkv.tables import SETTING, Question, Tables
from qkv.telling import Telling, too_few
from qkv.types import Floats, Integers, Metric, Value
from qkv.values import Kind

__all__ = ["Calibrating"]

#: Records up to which a read calibrates: a second, where nothing else runs.
AT_ONCE = 2_000
#: A store is calibrated again when so many records, or this share of them, have changed.
_CHANGED, _SHARE = 20, 0.5
_SETTING = "calibration"
#: Where more records than this share came after what was learned, they alone are asked.
_LATER = 0.8


class _View(NamedTuple):
    """Records, the projection that they are asked by, and the rows that may be; None: all."""

    snapshot: Snapshot
    projection: Projection
    untrained: Integers | None


class Calibrating:
    """What a store knows of its own answers.

    Parameters
    ----------
    tables : Tables
        Where it is kept.
    space : Space
    meanings : callable
        Opens the lexicon; None for a store without one.
    lexical : Lexical
        The store's words.
    """

    def __init__(
        self,
        tables: Tables,
        space: Space,
        meanings: Callable[[], Meanings | None],
        lexical: Lexical,
    ) -> None:
        #: Share of questions that the store cannot answer, where somebody said it.
        self._share: float | None = None
        self._telling = Telling(tables, space, self.background, lexical)
        self._meanings = meanings
        self._tables = tables
        self._space = space
        self._known: Calibration | None = None
        self._version = -1  # of the clock, when it was fitted
        self._seen = -1  # of the clock, when last looked whether it still holds
        self._records = -1
        self._learned = 0  # number of the projection that it was fitted with
        self._running: threading.Thread | None = None

    def background(self, projection: Projection | None = None) -> Floats:
        """Key of the null record: array (d,); by what holds, unless a projection is given."""
        space = self._space
        if space.encoder is None or space.metric is not Metric.COSINE or not space.same_kind:
            return np.zeros(space.index_dimension, dtype=np.float32)
        vector = background(space.encoder, space.dimension)
        if len(vector) != space.dimension:  # queries of another kind; a projection may be learned
            return np.zeros(space.index_dimension, dtype=np.float32)
        key = (projection or space.projection).keys(vector[None])[0]
        # What values say is counted from the background on.
        return np.concatenate((key, np.zeros(space.index_dimension - len(key), dtype=key.dtype)))

    def current(self, snapshot: Snapshot) -> Calibration:
        """What holds for a snapshot, brought up to date first where that is quick."""
        if self._stale(snapshot):
            if len(snapshot) <= AT_ONCE:
                self._fit(snapshot)
            elif self._running is None or not self._running.is_alive():
                self._running = threads.start(
                    "qkv calibration", partial(self._fit_unless_closed, snapshot)
                )
        known = self._known
        if known is not None:
            return known
        return prior(len(snapshot), self._share or UNANSWERABLE)

    def calibrate(
        self,
        snapshot: Snapshot,
        unanswerable: float | None = None,
        questions: Sequence[tuple[Query, Value]] | None = None,
    ) -> Calibration:
        """Fit anew, and keep it in the file.

        With another share of unanswerable questions, and by other questions with their answers,
        None for none, if given.

        Raises
        ------
        InputError
            If the questions are too few to say anything.
        Locked, ReadOnlyFile, DiskFull
            If it cannot be written.
        """
        if self._version < 0:
            self._load(snapshot)  # the share that was given before
        given = None if questions is None else self._telling.kept(questions)
        asked = self._telling.asked(self._tables.questions() if given is None else given)
        share = self._share if given is None else None
        share = share if unanswerable is None else unanswerable
        calibration = self._fitted(snapshot, share, asked)
        if given and not calibration.told:
            raise too_few(self._telling.truth(snapshot, asked), len(given) - len(asked))
        self._share = share
        self._take(calibration, snapshot)
        saved = self._saved(calibration, snapshot.version)
        if given is None:
            self._tables.keep(_SETTING, saved)
        else:
            self._tables.tell(given, _SETTING, saved)
        return calibration

    def _fit(self, snapshot: Snapshot) -> None:
        asked = self._telling.asked(self._tables.questions())
        calibration = self._fitted(snapshot, self._share, asked)
        self._take(calibration, snapshot)
        # Without a place to keep it, the next process fits it again.
        with suppress(Locked, DiskFull, ReadOnlyFile, Closed):
            if calibration.asked and not self._tables.read_only:
                saved = self._saved(calibration, snapshot.version)
                self._tables.keep(_SETTING, saved, at_once=True)

    def _fit_unless_closed(self, snapshot: Snapshot) -> None:
        with suppress(Closed):  # whoever closed the store does not wait for this
            self._fit(snapshot)

    def _take(self, calibration: Calibration, snapshot: Snapshot) -> None:
        # A prior depends on the size alone and is made when needed.
        self._known = calibration if calibration.asked else None
        self._version = self._seen = snapshot.version
        self._records = len(snapshot)
        self._learned = self._space.learned

    def _fitted(
        self, live: Snapshot, share: float | None, asked: Sequence[Question]
    ) -> Calibration:
        space = self._space
        if share is None:
            share = told.unanswerable(self._telling.truth(live, asked)) or UNANSWERABLE
        snapshot, projection, untrained = self._view(live)
        dimension = snapshot.index.dimension or space.index_dimension
        outside = np.zeros((0, dimension), dtype=np.float32)
        if space.encoder is not None and space.same_kind:
            texts = strangers(space.encoder, space.dimension)
            if texts.shape[1] == space.dimension:
                texts = space.as_queries(TEXTS, texts)
                outside = space.prepared(texts, projection, dimension=dimension)
        asking = self._asking(snapshot, projection)
        store = Store(
            snapshot.index,
            snapshot.group_ids(),
            snapshot.counts,
            self.background(projection)[:dimension],
            outside,
            space.heads(),
            asking=asking,
            untrained=untrained,
        )
        calibration = calibrate(
            store,
            records=len(snapshot),
            unanswerable=share,
            told=partial(self._telling.found, live, asked) if asked else None,
        )
        return replace(
            calibration,
            intervals=fit_intervals(snapshot, calibration.scales, asking),
            imagining=self._imagining(snapshot, projection, calibration.scales, asking),
        )

    def _asking(
        self, snapshot: Snapshot, projection: Projection
    ) -> Callable[[Integers], Floats] | None:
        """What prepares keys of rows as queries; None where they are queries as they stand."""
        space = self._space
        as_they_stand = projection.tied and not space.weighs_queries and not space.valued
        if not space.same_kind or as_they_stand:
            return None

        def asked(rows: Integers) -> Floats:
            own = own_queries(snapshot, self._tables, space, rows, projection)
            return space.prepared(own, projection, dimension=snapshot.index.dimension)

        return asked

    def _view(self, snapshot: Snapshot) -> _View:
        """What to ask: records that were not learned from, by what was not learned from them."""
        space = self._space
        records = snapshot.records
        if not space.same_kind:
            return _View(snapshot, space.projection, np.zeros(0, dtype=np.int64))
        if not space.newest:
            return _View(snapshot, space.projection, None)
        later = records > space.newest
        if later.mean() > _LATER:
            return _View(snapshot, space.projection, np.flatnonzero(later))
        if space.trial.key is not space.projection.key:  # other keys
            centre = space.centre(space.trial)
            snapshot = Snapshot.blank().advance(self._tables, space.metric, space.trial, centre)
            records = snapshot.records
        untrained = np.flatnonzero((records > space.newest) | held_out(records))
        return _View(snapshot, space.trial, untrained)

    def _imagining(
        self,
        snapshot: Snapshot,
        projection: Projection,
        scales: Scales,
        asking: Callable[[Integers], Floats] | None,
    ) -> Imagining | None:
        if not len(snapshot.distinct.of_kind(Kind.TEXT, snapshot.groups.width)):
            return None
        meanings = self._meanings()
        if meanings is None:
            return None
        space = self._space

        def queries(texts: Sequence[str]) -> Floats:
            dimension = snapshot.index.dimension
            return space.prepared(space.queries(texts), projection, dimension=dimension)

        known = None if space.encoder is None else queries
        return imagining(snapshot, meanings, self._tables.keys, known, scales, asking)

    def _saved(self, calibration: Calibration, version: int) -> str:
        saved = {"version": version, "calibration": calibration.to_json()}
        return json.dumps(saved | {"projection": self._space.learned, "share": self._share})

    def _stale(self, snapshot: Snapshot) -> bool:
        """Whether the store has changed so much that what is known may not hold any more."""
        if self._version >= 0 and self._learned != self._space.learned:
            self._known, self._version = None, -1  # of other weights
        if self._version < 0:
            self._load(snapshot)
        if self._version < 0:
            return True
        # Counting what has changed costs time itself.
        few = max(1, self._records // 20)
        grown = abs(len(snapshot) - self._records)
        if snapshot.version - self._seen < few and grown < few:
            return False
        self._seen = snapshot.version
        changed = max(grown, self._tables.changed_since(self._version))
        return changed >= max(_CHANGED, _SHARE * self._records)

    def _load(self, snapshot: Snapshot) -> None:
        row = self._tables.one(SETTING, _SETTING)
        if row is None:
            return
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            saved = json.loads(row[0])
            self._share = _share(saved)
            calibration = Calibration.from_json(saved["calibration"])
            version = int(saved["version"])
            learned = int(saved.get("projection", 0))
            if calibration is None or version > snapshot.version:
                return
            if learned != self._space.learned:
                return
            self._learned = learned
            self._known = calibration if calibration.asked else None
            self._version = self._seen = version
            self._records = calibration.records


def _share(saved: dict[str, Any]) -> float | None:
    """Share of unanswerable questions that somebody said."""
    said = saved.get("share")
    if "share" not in saved:  # by format 4, where it is known by not being the usual one
        said = json.loads(saved["calibration"])["unanswerable"]
        said = None if said == UNANSWERABLE else said
    return float(said) if said is not None and 0 < float(said) < 1 else None
