"""What a query leaves to the far field, how wrong that may be, and what to read to leave less."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qkv.indexes.far_field import Far
from qkv.types import Floats, Integers

__all__ = ["ROUNDING", "Left", "blank_rows", "estimate", "nearest", "take_out", "wider"]

#: Error of the model, over the width β√v of the logits: chosen by hand.
_BIAS, _MASS_BIAS = 0.035, 0.03
#: Chance weighs more than normal distributions have it: chosen by hand.
_CHANCE = 2.5
#: Fewer members than this are rounding.
ROUNDING = 0.5


@dataclass(frozen=True)
class Left:
    """What was not scored, for m queries: members, mean score and variance of each cluster (m, C).

    `local` (m, C) is the part of the covariance that is taken from the near clusters, and `centred`
    holds for each query the weights that give it; `taken` holds rows of far clusters that were
    scored, or are gone.
    """

    members: Floats
    means: Floats
    variances: Floats
    local: Floats
    labels: Integers
    share: Floats | None
    taken: list[Integers]
    centred: list[Floats]


def wider(near: list[Integers], far: Far, error: Floats, tolerance: float) -> list[Integers]:
    """More near clusters: those that add most to the error, until little enough is left."""
    wider = []
    for own, each, mass, noise, now in zip(near, far.each, far.mass, far.noise, error, strict=True):
        if now <= tolerance:
            wider.append(own)
            continue
        parts = each * mass * noise
        order = np.argsort(-parts)
        left = parts.sum() - np.cumsum(parts[order])
        # The model's own error falls less fast than chance would have it: aim lower.
        wanted = parts.sum() * (0.5 * tolerance / now) ** 2
        more = order[: 1 + int(np.searchsorted(-left, -wanted))]
        wider.append(np.union1d(own, more))
    return wider


def take_out(
    members: Floats, means: Floats, variances: Floats, labels: Integers, scores: Floats
) -> None:
    """Take scored members out of the moments of their clusters, in place, for one query."""
    clusters, where = np.unique(labels, return_inverse=True)
    count = np.bincount(where).astype(np.float64)
    first = np.bincount(where, weights=scores)
    second = np.bincount(where, weights=scores.astype(np.float64) ** 2)
    n, mean, variance = members[clusters], means[clusters], variances[clusters]
    left = np.maximum(n - count, 0)
    safe = np.maximum(left, 1)
    after = (n * mean - first) / safe
    spread = (n * (variance + mean**2) - second) / safe - after**2
    members[clusters] = left
    means[clusters] = np.where(left > 0, after, 0)
    # The tied covariance says little about small clusters: no less than a tenth is left.
    variances[clusters] = np.clip(spread, 0.1 * variance, variance)


def estimate(
    far: Far, variances: Floats, beta: float, within: float, mass: Floats, output: Floats
) -> Floats:
    """Estimated relative error of the output, or of the mass where the output has no columns.

    Two errors add up: chance (a cluster's members are a sample of its distribution) and the
    distribution itself, which is not quite normal. The second grows with the width β√v of the
    logits; its factor, and one for the first, were chosen by hand; what
    became of it is in benchmarks/results/attention_error.md.
    """
    total = np.where(mass > 0, mass, 1)
    width = np.minimum(beta * np.sqrt(variances), 1e6)
    if not output.shape[1]:
        chance = _CHANCE * (far.each * far.mass * (far.noise - 1)).sum(axis=1)
        bias = _MASS_BIAS * (far.mass * width**2).sum(axis=1)
        estimate: Floats = np.sqrt(chance + bias**2) / total
        return estimate.astype(np.float32)
    length = np.linalg.norm(output, axis=1)
    chance = _CHANCE * (far.each * far.mass * far.noise).sum(axis=1) * within
    bias = _BIAS * (far.mass * width).sum(axis=1) / total
    chance /= np.where(length > 0, length, 1) ** 2
    error: Floats = np.sqrt(chance + bias**2).astype(np.float32)
    return error


def nearest(scores: Floats, counts: Floats, budget: float) -> Integers:
    """Clusters of the best scores, until they hold so many keys; ascending."""
    likely = int(2 * budget * len(counts) / max(counts.sum(), 1)) + 8
    while True:
        likely = min(likely, len(scores))
        order = np.argpartition(-scores, likely - 1)[:likely]
        order = order[np.argsort(-scores[order])]
        held = np.cumsum(counts[order])
        if held[-1] >= budget or likely == len(scores):
            return np.sort(order[: 1 + int(np.searchsorted(held, budget))])
        likely *= 2


def blank_rows(keys: Floats, start: int) -> Integers:
    """Rows of zeros: the encoder understood nothing, so nothing may find them."""
    return start + np.flatnonzero(~keys.any(axis=1))
