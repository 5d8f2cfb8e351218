"""Units on one clock: at each of its times the last reading, as long as it is fresh."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from packhorse.lab.discover.words import Stream, Unit
from packhorse.pack.words import Array

MOST_TIMES, FINEST_S = 3000, 0.1
STALE_PERIODS, STALE_S = 4.0, 1.0
LONGEST_GAP_S, KEPT_GAP_S = 60.0, 1.0
"""A silence of the whole bus that is longer is shortened to that."""


def clock(streams: Sequence[Stream]) -> Array:
    """Times of the clock, in seconds since the first frame."""
    first = min(float(stream.time_s[0]) for stream in streams)
    last = max(float(stream.time_s[-1]) for stream in streams)
    step = max((last - first) / MOST_TIMES, FINEST_S)
    return np.arange(0.0, last - first + step, step)


def without_gaps(streams: Sequence[Stream]) -> tuple[tuple[Stream, ...], float]:
    """The same with each silence of the whole bus shortened, and how much was cut: trucks sleep, clocks are set."""
    every = np.unique(np.concatenate([stream.time_s for stream in streams]))
    too_much = np.maximum(np.diff(every, prepend=every[0]) - LONGEST_GAP_S, 0.0)
    too_much = np.where(too_much > 0.0, too_much + LONGEST_GAP_S - KEPT_GAP_S, 0.0)
    cut = np.cumsum(too_much)
    whole = [one._replace(time_s=one.time_s - cut[np.searchsorted(every, one.time_s)]) for one in streams]
    return tuple(whole), float(cut[-1])


def held(unit: Unit, clock_s: Array, origin_s: float) -> Array:
    """The readings of a unit at the times of a clock; NaN before the first and where it is silent."""
    time_s = unit.time_s - origin_s
    last = np.searchsorted(time_s, clock_s, side="right") - 1
    period_s = float(np.median(np.diff(time_s))) if time_s.size > 1 else 0.0
    fresh = clock_s - time_s[np.maximum(last, 0)] <= max(STALE_PERIODS * period_s, STALE_S)
    return np.where((last >= 0) & fresh, unit.raw[np.maximum(last, 0)], np.nan)


def between(unit: Unit, clock_s: Array, origin_s: float) -> Array:
    """The readings of a unit, on straight lines between them: none lags behind, as what is held does."""
    return np.asarray(np.interp(clock_s, unit.time_s - origin_s, unit.raw), dtype=np.float64)


def all_held(units: Sequence[Unit], clock_s: Array, origin_s: float) -> Array:
    """Readings of all units, (units, times)."""
    return np.array([held(unit, clock_s, origin_s) for unit in units]).reshape(len(units), clock_s.size)


def middle_of(series: Array) -> Array:
    """The median of all series at each time; NaN where nobody was heard."""
    known = np.isfinite(series).any(axis=0)
    middle = np.full(series.shape[1], np.nan)
    middle[known] = np.nanmedian(series[:, known], axis=0)
    return middle


def likeness(one: Array, other: Array) -> float:
    """Correlation where both are known; 0 where either stands still."""
    both = np.isfinite(one) & np.isfinite(other)
    if np.count_nonzero(both) < 8:
        return 0.0
    x, y = one[both] - one[both].mean(), other[both] - other[both].mean()
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / spread if spread > 0.0 else 0.0


def nearest_round(value: float, choices: Sequence[float], within: float) -> float:
    """The choice nearest to a value by ratio; NaN where none is within that share."""
    best = min(choices, key=lambda choice: abs(np.log(max(value, 1e-30) / choice)))
    return best if abs(value / best - 1.0) <= within else float("nan")


def period_s(units: Sequence[Unit]) -> float:
    """How long it takes until all of these were heard again."""
    return float(np.median([float(np.median(np.diff(unit.time_s))) for unit in units if unit.time_s.size > 1] or [0.0]))


def smooth(values: Array, steps: int) -> Array:
    """The mean over the last steps of the clock; values that come one by one lag behind others as this does."""
    if steps < 2:
        return values
    known = np.isfinite(values)
    total = np.cumsum(np.pad(np.where(known, values, 0.0), (steps, 0)))
    count = np.cumsum(np.pad(known.astype(np.float64), (steps, 0)))
    with np.errstate(all="ignore"):
        return np.where(known, (total[steps:] - total[:-steps]) / (count[steps:] - count[:-steps]), np.nan)
