"""What came of learning, for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from qkv.learning.gate import Difference, Measured, Trial, compare

__all__ = ["Learning", "Part", "report"]

_NAMES = {"told": "questions with answers", "own": "the store's own records"}


@dataclass(frozen=True)
class Part:
    """Questions of one kind, that were held out: before, after, and the difference."""

    before: Measured
    after: Measured
    difference: Difference


@dataclass(frozen=True)
class Learning:
    """What :meth:`qkv.Database.learn` did.

    Attributes
    ----------
    kept : bool
        Whether the store answers by what was learned from now on.
    why : str
        In words.
    parts : mapping of str to Part
        ``"told"``: questions that came with an answer, as pairs or corrections; ``"own"``: the
        store's own records. All of them were held out.
    trained : int
        Questions that were learned from.
    keys : bool
        Whether W_K was learned, too.
    seconds : float
    version : int
        Number of the projection in the file; 0 if nothing was kept.
    """

    kept: bool
    why: str
    parts: Mapping[str, Part]
    trained: int
    keys: bool = False
    seconds: float = 0.0
    version: int = 0

    @property
    def before(self) -> Measured:
        """Held-out questions as they were answered before: those that were told, if there are."""
        return self._first.before

    @property
    def after(self) -> Measured:
        """The same questions, after."""
        return self._first.after

    @property
    def _first(self) -> Part:
        nothing = Measured(0.0, 0.0, 0.0, 0)
        none = Part(nothing, nothing, Difference(0, 0, 0, 0, 0, better=False, worse=False))
        return next(iter(self.parts.values()), none)

    def as_json(self) -> dict[str, Any]:
        """Plain numbers and texts."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{'kept' if self.kept else 'not kept'}: {self.why}"]
        for name, part in self.parts.items():
            change = part.difference
            held = f"{part.before.questions:,} {_NAMES[name]}, held out"
            right = f"{part.before.recall:6.1%} → {part.after.recall:6.1%}"
            more = f"{change.recall:+.1%} ± {change.recall_error:.1%}"
            mrr = f"{part.before.mrr:6.3f} → {part.after.mrr:6.3f}"
            surprise = f"{part.before.surprise:6.3f} → {part.after.surprise:6.3f}"
            lines += [
                f"{held}: before → after",
                f"  right at first place  {right}  ({more})",
                f"  mean reciprocal rank  {mrr}  ({change.mrr:+.3f} ± {change.mrr_error:.3f})",
                f"  surprise              {surprise}",
            ]
        lines.append(f"learned from {self.trained:,} questions in {self.seconds:.1f} s")
        return "\n".join(lines)


def report(trial: Trial) -> tuple[bool, str, dict[str, Part]]:
    """Judge a trial: whether to keep what was learned, why, and the figures."""
    parts = {}
    for name, rows in (("told", trial.told), ("own", ~trial.told)):
        if rows.any():
            before, after = trial.before.some(rows), trial.after.some(rows)
            parts[name] = Part(before.measured(), after.measured(), compare(before, after))
    worse = [_NAMES[name] for name, part in parts.items() if part.difference.worse]
    if worse:
        return False, f"{' and '.join(worse)} would be answered worse", parts
    better = [_NAMES[name] for name, part in parts.items() if part.difference.better]
    if better:
        return True, f"{' and '.join(better)} are answered better", parts
    return False, "held-out questions were not answered better, beyond chance", parts
