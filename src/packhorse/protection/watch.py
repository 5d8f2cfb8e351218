"""The fault table at work: debounce, raise, hold, clear.

Time counts towards a fault while the reading is beyond the threshold at both ends of the tick, and no tick counts
for more than the sensors' patience, so that the same life gives the same faults at any tick up to that. A reading
that is not known neither raises nor clears; its absence is judged by a row of its own.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse.compiled import kernel, part
from packhorse.pack.known import known
from packhorse.pack.words import Array, Frame, Pack, Reaction, Watch

DERATE, STOP_CHARGE, LIMP = float(Reaction.DERATE), float(Reaction.STOP_CHARGE), float(Reaction.LIMP)
OPEN_AFTER_WARNING = float(Reaction.OPEN_AFTER_WARNING)
MOVING_C = 0.02


class Verdict(NamedTuple):
    """What the active faults demand of each string; every share is the smallest that any of them allows."""

    reaction: Array  # (strings,) the strongest Reaction
    discharge_share: Array  # (strings,)
    charge_share: Array  # (strings,)


def begin(faults: int, strings: int, series: int) -> Watch:
    """Nothing seen, nothing raised."""
    return Watch(
        over_s=np.zeros((faults, strings)),
        clear_s=np.zeros((faults, strings)),
        active=np.zeros((faults, strings)),
        beyond=np.zeros((faults, strings)),
        heard_V=np.full((strings, series), np.nan),
        frozen_s=np.zeros(strings),
    )


@part
def freeze(pack: Pack, was: Watch, frame: Frame, dt_s: float) -> Array:
    """For how long every voltage of a string has stood still to the last digit while current flowed [s]."""
    frozen_s = np.zeros(pack.strings)
    for s in range(pack.strings):
        same, heard = True, False
        for k in range(pack.series):
            v = frame.cell_V[s, k]
            heard = heard or known(v)
            same = same and (v == was.heard_V[s, k] or not known(v))
        moving = abs(frame.string_A[s]) > MOVING_C * pack.cell.capacity_Ah
        frozen_s[s] = was.frozen_s[s] + dt_s if same and heard and moving else 0.0
    return frozen_s


@part
def step(pack: Pack, was: Watch, frame: Frame, signal: Array, dt_s: float) -> tuple[Watch, Verdict]:
    """Judge every row of the table on every string."""
    faults = pack.faults
    tick_s = dt_s if dt_s < pack.sensors.patience_s else pack.sensors.patience_s
    rows, strings = was.active.shape
    over_s, clear_s = was.over_s.copy(), was.clear_s.copy()
    active, beyond = was.active.copy(), was.beyond.copy()
    for row in range(rows):
        sign = faults.direction[row]
        for s in range(strings):
            x = signal[faults.signal[row], s]
            if math.isnan(x):
                continue
            crossed = sign * (x - faults.threshold[row]) > 0.0
            both = crossed and was.beyond[row, s] > 0.0
            over_s[row, s] = was.over_s[row, s] + tick_s if both else 0.0
            beyond[row, s] = 1.0 if crossed else 0.0
            back = sign * (x - faults.clear[row]) <= 0.0 and not crossed
            waiting = back and was.active[row, s] > 0.0
            clear_s[row, s] = was.clear_s[row, s] + tick_s if waiting else 0.0
            if crossed and over_s[row, s] >= faults.debounce_s[row]:
                active[row, s] = 1.0
            free = faults.latched[row] == 0.0 or frame.reset_request > 0.0
            if waiting and free and clear_s[row, s] >= faults.clear_s[row]:
                active[row, s] = 0.0
    watch = Watch(over_s, clear_s, active, beyond, frame.cell_V.copy(), freeze(pack, was, frame, tick_s))
    return watch, verdict(pack, active)


@part
def verdict(pack: Pack, active: Array) -> Verdict:
    """The strongest reaction and the smallest shares; one more fault can only make them stricter."""
    strings = active.shape[1]
    reaction, discharge, charge = np.zeros(strings), np.ones(strings), np.ones(strings)
    for row in range(active.shape[0]):
        kind = pack.faults.reaction[row]
        for s in range(strings):
            if active[row, s] > 0.0:
                reaction[s] = kind if kind > reaction[s] else reaction[s]
                d, c = shares(pack, kind)
                discharge[s] = d if d < discharge[s] else discharge[s]
                charge[s] = c if c < charge[s] else charge[s]
    return Verdict(reaction, discharge, charge)


@kernel
def shares(pack: Pack, reaction: float) -> tuple[float, float]:
    """Which share of the discharge and of the charge limit a reaction leaves.

    Before contactors open, the driver is left `limp_share` to get out of the way.
    """
    fault, limp = pack.derating.fault_share, pack.derating.limp_share
    out = (1.0, 1.0)
    if reaction == DERATE:
        out = (fault, fault)
    elif reaction == STOP_CHARGE:
        out = (1.0, 0.0)
    elif reaction == LIMP:
        out = (limp, limp)
    elif reaction == OPEN_AFTER_WARNING:
        out = (limp, 0.0)
    elif reaction > OPEN_AFTER_WARNING:
        out = (0.0, 0.0)
    return out
