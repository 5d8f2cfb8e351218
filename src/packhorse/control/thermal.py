"""Rules that keep the battery warm enough and cool enough, by coolant or by air."""

from __future__ import annotations

import math
from typing import NamedTuple

from packhorse.compiled import kernel
from packhorse.pack.words import Array, Control, Frame, Pack, Signal

MAX_DEGC, MIN_DEGC = int(Signal.DISCHARGE_MAX_DEGC), int(Signal.DISCHARGE_MIN_DEGC)
IDLE_PUMP = 0.3
FULL_K = 5.0
"""Cooling runs at full power this far above the set point."""


class Heat(NamedTuple):
    """What is asked of the thermal system, each 0..1, and what the rules remember."""

    pump: float
    chiller: float
    radiator: float
    heater: float
    cooling: float
    heating: float


@kernel
def regulate(pack: Pack, was: Control, frame: Frame, signal: Array) -> Heat:
    """Cool and heat with hysteresis on the worst probes.

    Ambient air cools for free while it is `free_cooling_K` colder than the hottest probe; the chiller takes over
    otherwise. Without any probe coolant is circulated, air stands, and nothing is cooled or heated.
    """
    rules = pack.thermal
    hot, cold = -math.inf, math.inf
    for s in range(pack.strings):
        hot = signal[MAX_DEGC, s] if signal[MAX_DEGC, s] > hot else hot
        cold = signal[MIN_DEGC, s] if signal[MIN_DEGC, s] < cold else cold
    awake = frame.drive_request > 0.0 or frame.charge_request > 0.0
    if not awake or hot < cold:
        return Heat(IDLE_PUMP if awake else 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    cooling = 1.0 if hot > rules.cool_on_degC or (was.cooling > 0.0 and hot > rules.cool_off_degC) else 0.0
    heating = 1.0 if cold < rules.heat_on_degC or (was.heating > 0.0 and cold < rules.heat_off_degC) else 0.0
    heating = 0.0 if cooling > 0.0 else heating
    share = (hot - rules.cool_off_degC) / (rules.cool_on_degC - rules.cool_off_degC + FULL_K)
    share = share if share > 0.0 else 0.0
    share = (share if share < 1.0 else 1.0) * cooling
    uneven = 1.0 if hot - cold > rules.spread_on_K else 0.0
    free = frame.ambient_degC < hot - rules.free_cooling_K
    if rules.liquid == 0.0:
        fan = share if free else 0.0
        return Heat(0.0, 0.0, fan, heating, cooling, heating)
    busy = cooling + heating + uneven > 0.0
    return Heat(1.0 if busy else IDLE_PUMP, 0.0 if free else share, share if free else 0.0, heating, cooling, heating)
