"""Whether the declared sign of a current can be right: power against the inverter's, voltage against sag.

A wrong sign is a wrong number that no range check sees. So evidence is gathered while driving: power that leaves the
battery arrives at the inverter, and a battery that gives more current than a moment ago has less voltage.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

SURE = 20.0
"""How much more must speak for one side than for the other; a clear step counts 1, and so does 1 s of clear power."""
MOST = 2.0 * SURE
"""Evidence does not grow beyond this, so that a sign that changes is noticed."""
LEAST_SHARE = 0.1
"""Inverter and battery must each have this share of the larger power, or they are not doing the same thing."""
LEAST_W, LEAST_STEP_A, LEAST_STEP_SHARE = 2_000.0, 20.0, 0.001
LONGEST_STEP_S = 1.0


class Sign(IntEnum):
    """What the evidence says of the declared sign."""

    UNKNOWN = 0
    RIGHT = 1
    WRONG = 2


class Evidence(NamedTuple):
    """What has been gathered; positive speaks for the declared sign."""

    power: float = 0.0
    sag: float = 0.0
    time_s: float = math.nan
    current_A: float = math.nan
    battery_V: float = math.nan


def weigh(was: Evidence, time_s: float, current_A: float, battery_V: float, inverter_W: float) -> Evidence:
    """Take in one moment, in our signs: current out of the battery, power into the inverter; NaN is not known."""
    elapsed_s = time_s - was.time_s
    power, sag = was.power, was.sag
    if 0.0 < elapsed_s <= LONGEST_STEP_S:
        power = _bounded(power + elapsed_s * _power_speaks(current_A * battery_V, inverter_W))
        sag = _bounded(sag + _sag_speaks(current_A - was.current_A, battery_V - was.battery_V, battery_V))
    return Evidence(power, sag, time_s, current_A, battery_V)


def judged(evidence: Evidence) -> Sign:
    """What is said; where power and sag disagree, nothing."""
    sides = {_side(evidence.power), _side(evidence.sag)} - {Sign.UNKNOWN}
    return sides.pop() if len(sides) == 1 else Sign.UNKNOWN


def _power_speaks(battery_W: float, inverter_W: float) -> float:
    smaller, larger = sorted((abs(battery_W), abs(inverter_W)))
    if not (smaller >= LEAST_W and smaller >= LEAST_SHARE * larger and math.isfinite(larger)):
        return 0.0
    return math.copysign(1.0, battery_W * inverter_W)


def _sag_speaks(step_A: float, step_V: float, battery_V: float) -> float:
    clear = abs(step_A) >= LEAST_STEP_A and abs(step_V) >= LEAST_STEP_SHARE * battery_V
    if not (clear and math.isfinite(step_A * step_V)):
        return 0.0
    return math.copysign(1.0, -step_A * step_V)


def _side(sum_of_evidence: float) -> Sign:
    if abs(sum_of_evidence) < SURE:
        return Sign.UNKNOWN
    return Sign.RIGHT if sum_of_evidence > 0.0 else Sign.WRONG


def _bounded(evidence: float) -> float:
    return min(max(evidence, -MOST), MOST)
