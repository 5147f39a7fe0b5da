"""The course of a lesson: which questions are learned from, and how often."""

from __future__ import annotations

from typing import NamedTuple

from qkv.encoders import Progress
from qkv.learning import FOLDS, MANY, Examples
from qkv.space import Space
from qkv.types import Mask

__all__ = ["MOST_KEYS", "Course", "Rounds"]

#: Keys that questions are asked among, at most.
MOST_KEYS = 20_000
#: Questions from which on a fifth more teaches nothing (CLINC150's validation split: nearest key
#: +1.0 points of 1,500 and 4,500 questions, +0.2 of 15,000).
_ENOUGH = 5_000


class Course(NamedTuple):
    """Which questions what is kept is learned from.

    The gate learns from four in five. Where there are many questions, the fifth adds nothing.
    Where there are few it does, and all are learned from again; the store is still calibrated by
    what had not seen its own records that were held out.

    Attributes
    ----------
    spared : array (m,), bool
        The store's own records that are held out: they say how sure it may be.
    spares : bool
        Whether there are any, or there were when it learned before.
    again : bool
        Whether all questions are learned from.
    in_turns : bool
        Whether each part is held out in turn.
    """

    spared: Mask
    spares: bool
    again: bool
    in_turns: bool

    @classmethod
    def of(cls, examples: Examples, keys: int, space: Space) -> Course:
        """That of some examples, asked among so many keys."""
        spared = ~examples.told & (examples.fold == 0)
        told = bool((examples.told & (examples.fold == 0)).any())
        few = len(examples) <= _ENOUGH and keys <= MOST_KEYS
        in_turns = len(examples) < MANY
        spares = bool(spared.any()) or space.trial is not space.projection
        return cls(spared, spares, few or told or in_turns, in_turns)

    @property
    def rounds(self) -> int:
        """Trainings, in all."""
        return (FOLDS + self.spares if self.in_turns else 1) + self.again


class Rounds:
    """Progress over several trainings, as one."""

    def __init__(self, progress: Progress | None, rounds: int) -> None:
        self._progress = progress
        self._rounds = rounds
        self._round = -1

    def next(self) -> Progress | None:
        """What the next training reports to."""
        self._round = min(self._round + 1, self._rounds - 1)
        before, report_to = self._round, self._progress
        if report_to is None:
            return None
        return lambda done, total: report_to(before * total + done, self._rounds * total)
