"""Current: the field whose steps the voltage answers with sag, and whose integral the charge follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from packhorse.lab.discover.clock import between, likeness
from packhorse.lab.discover.words import Field, Unit
from packhorse.pack.words import Array

LAGS = (1, 2, 4, 8)
LEAST_SAG, PERHAPS, NEAR_BEST = 0.5, 0.3, 0.04
WIDTHS = {16: 0.0, 32: 0.02, 24: 0.02, 12: 0.02, 8: 0.04}
NEAR_ZERO, OFTEN = 0.01, 0.08
"""What is near a zero, as a share of the range; how much of the time a battery is near rest, at least."""
ELSEWHERE, OTHER_ORDER = 0.02, 0.03
"""What an unusual width, a message or a byte order other than the pack voltage's counts against an answer."""
SCALES = {
    0.1: 1.0,
    0.05: 0.3,
    0.01: 0.3,
    1.0: 0.2,
    0.2: 0.1,
    0.5: 0.1,
    0.025: 0.1,
    0.02: 0.15,
    0.125: 0.05,
    0.001: 0.15,
}
"""Amperes for each bit, and how usual they are."""
ZEROS = (0, 32_000, 10_000, 30_000, 20_000, 32_768, 5000, 3000, 1000, 2000, 16_000, 15_000, 500, 400, 2048, 32_127)


class Sag(NamedTuple):
    """A field that the voltage answers."""

    unit: Unit
    raw: Array  # (times,)
    answer: float  # correlation of steps, 0 to 1
    sign: float  # what makes it positive while it discharges
    lag: int  # steps of the clock


class Voltage(NamedTuple):
    """What a current must explain: a voltage on the clock, held and between its readings, and its field."""

    held: Array
    between: Array
    field: Field
    clock_s: Array
    origin_s: float


def find(units: Sequence[Unit], series: Array, volts: Voltage) -> list[Sag]:
    """Fields whose steps the voltage answers, likeliest first."""
    found = []
    for unit, raw in zip(units, series, strict=True):
        if np.isfinite(raw).sum() < 0.5 * np.isfinite(volts.held).sum() or np.nanstd(raw) == 0.0:
            continue
        answer, lag = answered(volts.held, raw)
        if abs(answer) >= PERHAPS:
            answer, lag = answered(volts.between, between(unit, volts.clock_s, volts.origin_s))
        if abs(answer) >= LEAST_SAG:
            found.append(Sag(unit, raw, abs(answer), -float(np.sign(answer)), lag))
    return sorted(found, key=lambda one: -likely(one, volts.field))


def answered(volts: Array, raw: Array) -> tuple[float, int]:
    """The strongest correlation of steps, and how many steps of the clock it is over."""
    answers = [(likeness(step(volts, lag), step(raw, lag)), lag) for lag in LAGS]
    return max(answers, key=lambda one: abs(one[0]))


def likely(sag: Sag, beside: Field) -> float:
    """What decides between fields that the voltage answers."""
    field = sag.unit.field
    other_order = field.motorola != beside.motorola and field.bits > 8
    return sag.answer - WIDTHS[field.bits] - ELSEWHERE * (field.stream != beside.stream) - OTHER_ORDER * other_order


def step(values: Array, lag: int) -> Array:
    """How far values move within some steps of the clock."""
    return values[lag:] - values[:-lag]


def resistance(sag: Sag, volts: Array) -> float:
    """Volts of sag for each count of the field."""
    dv, di = step(volts, sag.lag), sag.sign * step(sag.raw, sag.lag)
    both = np.isfinite(dv) & np.isfinite(di)
    return float(-(dv[both] @ di[both]) / (di[both] @ di[both]))


def zeros(sag: Sag) -> list[float]:
    """Round counts at which no current may flow, the most usual first: those that the field comes near to."""
    low, high = float(sag.unit.raw.min()), float(sag.unit.raw.max())
    slack = 0.25 * (high - low)
    every = dict.fromkeys([*map(float, ZEROS), 2.0 ** (sag.unit.field.bits - 1)])
    return [zero for zero in every if low - slack <= zero <= high + slack]


def rests_at(sag: Sag, zero: float) -> bool:
    """Whether a field often reads a count, give or take a little of its range."""
    raw = sag.unit.raw
    return bool(np.mean(np.abs(raw - zero) <= NEAR_ZERO * np.ptp(raw)) > OFTEN)


def usual_zero(sag: Sag) -> float:
    """The round count nearest to the commonest reading: a battery is often at rest. NaN where none is near."""
    values, counts = np.unique(np.round(sag.unit.raw), return_counts=True)
    commonest = float(values[np.argmax(counts)])
    return min(zeros(sag), key=lambda zero: abs(zero - commonest), default=float("nan"))
