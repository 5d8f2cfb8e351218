"""SOC: a slow field between 0 and 100 % that follows the integral of the current."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from packhorse.lab.discover.words import Unit
from packhorse.pack.words import Array

SCALES = {
    8: {0.01: 1.0, 0.005: 1.0, 0.004: 1.0},
    12: {0.001: 0.4, 0.0005: 0.2, 0.00025: 0.2},
    16: {0.0001: 1.0, 0.001: 0.7, 0.000015625: 0.2, 0.000025: 0.1, 0.005: 0.3, 0.01: 0.4, 0.0005: 0.1},
}
"""Charge for each bit that is tried, by width, and how usual it is."""
MOST_LEFT, LEAST_FIT_OF_FEW, SAME_FIT = 0.2, 0.85, 0.004
MOST_TURNS, FEWEST_LEVELS, LEAST_FIT, BETTER_THAN_TIME, STILL_BETTER = 2, 4, 0.97, 0.5, 0.9
OCV = ((3.0, 3.45, 3.6, 3.68, 3.8, 3.95, 4.1, 4.2), (0.0, 0.08, 0.3, 0.45, 0.58, 0.75, 0.92, 1.0))
"""Volts, and roughly the charge of a layered oxide there; iron phosphate tells nothing between 3.2 and 3.4 V."""
FLAT_V, UNSURE, STRAY, FULL, EMPTY = 3.42, 0.08, 0.08, 1.005, 0.03
"""Below this the cells tell nothing; how far off they may be before it counts, and by how much more it counts once."""


class Charge(NamedTuple):
    """A field that may be the SOC."""

    unit: Unit
    raw: Array
    fit: float  # share of its changes that the integral explains
    raw_s_per_count: float  # counts of the current times seconds for each count of SOC, positive when discharged
    zero: float  # the count of the current at which the charge stands still
    counted: Array  # (times,) what the integral makes of it
    clear: bool  # whether time alone explains much less


def find(units: Sequence[Unit], series: Array, current: Array, clock_s: Array) -> list[Charge]:
    """Fields that the integral of a current, in counts and positive when it discharges, explains; best first."""
    flown = integral(current, clock_s)
    found = [each for unit, raw in zip(units, series, strict=True) for each in explained(unit, raw, flown, clock_s)]
    return sorted(found, key=lambda one: -one.fit)


def likely(units: Sequence[Unit]) -> list[int]:
    """Which fields may be a SOC. Where several turns of a message hold one in the same place, they tell of cells."""
    slow = [k for k, unit in enumerate(units) if may_be(unit)]
    place = [
        (f.stream, f.start, f.bits) if f.turn >= 0 else (k, -1, -1) for k, f in ((k, units[k].field) for k in slow)
    ]
    return [k for k, own in zip(slow, place, strict=True) if place.count(own) <= MOST_TURNS]


def may_be(unit: Unit) -> bool:
    """Whether a field may be a SOC at all, whatever the current is."""
    usual = unit.field.bits in SCALES and unit.raw.min() >= 0.0
    return bool(usual and is_slow(unit.raw) and np.unique(unit.raw).size >= FEWEST_LEVELS)


def integral(current: Array, clock_s: Array) -> Array:
    """What has flown so far; where nothing was heard, the middle current."""
    step_s = float(np.median(np.diff(clock_s)))
    return np.cumsum(np.nan_to_num(current, nan=float(np.nanmedian(current)))) * step_s


def is_slow(raw: Array) -> bool:
    """Whether a field goes its way in steps that are small against it."""
    wide = float(raw.max() - raw.min())
    return bool(np.abs(np.diff(raw)).sum() < 6.0 * wide and np.abs(np.diff(raw)).max() <= max(0.2 * wide, 2.0))


def explained(unit: Unit, raw: Array, flown: Array, clock_s: Array) -> list[Charge]:
    """The field as a line in charge flown and time; nothing where time alone explains it as well."""
    known = np.isfinite(raw)
    if np.count_nonzero(known) < 16:
        return []
    t, q, y = clock_s[known], flown[known], raw[known]
    by_time, _ = line((np.ones(t.size), t), y)
    by_both, parts = line((np.ones(t.size), t, q), y)
    clear = 1.0 - by_both < BETTER_THAN_TIME * (1.0 - by_time)
    steps = (1.0 - by_both) * float(np.var(y)) < MOST_LEFT  # what is left is that readings are whole numbers
    enough = by_both >= LEAST_FIT or (steps and by_both > LEAST_FIT_OF_FEW)
    better = clear or (steps and 1.0 - by_both < STILL_BETTER * (1.0 - by_time))
    if not enough or not better or parts[2] >= 0.0:
        return []
    counted = np.full(raw.size, np.nan)
    counted[known] = parts[0] + parts[1] * t + parts[2] * q
    return [Charge(unit, raw, by_both, -1.0 / parts[2], -parts[1] / parts[2], counted, bool(clear))]


def line(columns: tuple[Array, ...], y: Array) -> tuple[float, Array]:
    """Share of the changes that a line through these columns explains, and its factors."""
    table = np.column_stack(columns)
    size = np.abs(table).max(axis=0) + 1e-30
    parts = np.linalg.lstsq(table / size, y, rcond=None)[0] / size
    left = y - table @ parts
    total = float(np.sum((y - y.mean()) ** 2))
    return 1.0 - float(left @ left) / total if total > 0.0 else 0.0, parts


def scales(one: Charge, cell_V: float) -> list[tuple[float, float]]:
    """Scales that make a field the SOC, each with what counts against it, in natural logarithms of the odds.

    The voltage of the cells tells about what the SOC must be, except on the flat of iron phosphate.
    """
    told = float(np.interp(cell_V, OCV[0], OCV[1])) if cell_V > FLAT_V else float("nan")
    top, middle = float(one.unit.raw.max()), float(np.median(one.unit.raw))
    found = []
    for scale, usual in SCALES[one.unit.field.bits].items():
        if top * scale <= FULL and middle * scale >= EMPTY:
            off = max(abs(middle * scale - told) - UNSURE, 0.0) / STRAY if np.isfinite(told) else 0.0
            found.append((scale, off - float(np.log(usual))))
    return found


def from_zero(charge: Charge, flown: Array, clock_s: Array, zero: float) -> tuple[float, float, float]:
    """How the integral explains the SOC if no current flows at a count.

    The share of the changes that it explains; counts of the current times seconds for each count of the SOC; and how
    unsure these are, as a share of them.
    """
    known = np.isfinite(charge.raw)
    t, q, y = clock_s[known], flown[known], charge.raw[known]
    fit, parts = line((np.ones(t.size), q - zero * t), y)
    levels = np.unique(charge.unit.raw).size
    return fit, abs(1.0 / parts[1]), float(np.sqrt(max(1.0 - fit, 0.0) / levels))
