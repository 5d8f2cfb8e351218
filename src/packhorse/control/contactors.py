"""The sequence of each string's contactors: precharge, join, leave, trip.

One function per stage gives the next stage. The first string charges the link through its resistor: the one with the
highest voltage when driving, with the lowest when charging, so that the others meet it as it moves. Every further
string joins when its voltage is within `join_V` of the link.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse.cell import physics
from packhorse.compiled import kernel, part
from packhorse.pack.known import known
from packhorse.pack.words import Array, Control, Frame, Pack, Reaction, Stage

OPEN, PRECHARGE, CLOSED = float(Stage.OPEN), float(Stage.PRECHARGE), float(Stage.CLOSED)
OPENING, TRIPPED = float(Stage.OPENING), float(Stage.TRIPPED)
OPEN_AFTER_WARNING, OPEN_NOW = float(Reaction.OPEN_AFTER_WARNING), float(Reaction.OPEN_NOW)
THERMAL_S = 30.0
"""Over which contactors, fuses and cells feel the square of the current (assumed)."""
LEAST_PRECHARGE_S = 0.1
"""A link that seems charged at once is not believed before this."""


class Plan(NamedTuple):
    """The next stage of every string, and what its limits depend on."""

    stage: Array  # (strings,) a Stage
    stage_s: Array  # (strings,)
    tries: Array  # (strings,)
    mean_square_A2: Array  # (strings,)


@part
def sequence(pack: Pack, was: Control, frame: Frame, reaction: Array, dt_s: float) -> Plan:
    """The next stage of every string."""
    stage, stage_s, tries = was.stage.copy(), was.stage_s + dt_s, was.tries.copy()
    wanted = frame.drive_request > 0.0 or frame.charge_request > 0.0
    first = leader(pack, was, frame, reaction)
    for s in range(pack.strings):
        now = was.stage[s]
        if now == OPEN:
            now = from_open(pack, was, frame, reaction[s], wanted, s, first)
        elif now == PRECHARGE:
            now, failed = from_precharge(pack, frame, reaction[s], wanted, s, stage_s[s])
            tries[s] = tries[s] + failed if now != CLOSED else 0.0
        elif now == CLOSED:
            now = from_closed(reaction[s], wanted)
        elif now == OPENING:
            now = from_opening(pack, frame.string_A[s], reaction[s], wanted, stage_s[s])
        else:
            now = OPEN if reaction[s] < OPEN_AFTER_WARNING and frame.reset_request > 0.0 else TRIPPED
        tries[s] = 0.0 if frame.reset_request > 0.0 else tries[s]
        stage_s[s] = stage_s[s] if now == was.stage[s] else 0.0
        stage[s] = now
    return Plan(stage, stage_s, tries, mean_square(was.mean_square_A2, frame.string_A, dt_s))


@part
def mean_square(was_A2: Array, string_A: Array, dt_s: float) -> Array:
    """Mean square of each string's current over the last half minute; a silent sensor leaves it as it is."""
    keep = physics.decay(dt_s / THERMAL_S)
    out = was_A2.copy()
    for s in range(out.shape[0]):
        square = string_A[s] * string_A[s]
        out[s] = keep * was_A2[s] + (1.0 - keep) * square if known(square) else was_A2[s]
    return out


@kernel
def string_V(frame: Frame, s: int) -> float:
    """Voltage of a string: measured, else the sum of its cells, else NaN."""
    voltage: float = frame.string_V[s]
    if not known(voltage):
        voltage = 0.0
        for v in frame.cell_V[s]:
            voltage += v
    return voltage


@kernel
def leader(pack: Pack, was: Control, frame: Frame, reaction: Array) -> int:
    """The string that charges the link: none (-1) where one is already on it or on its way."""
    best, best_V = -1, math.nan
    for s in range(pack.strings):
        if was.stage[s] == PRECHARGE or was.stage[s] == CLOSED or was.stage[s] == OPENING:
            return -1
        if was.stage[s] != OPEN or reaction[s] >= OPEN_AFTER_WARNING:
            continue
        v = string_V(frame, s)
        better = v < best_V if frame.charge_request > 0.0 else v > best_V
        if known(v) and (best < 0 or better):
            best, best_V = s, v
    return best


@kernel
def gathering(pack: Pack, plan: Plan, reaction: Array) -> bool:
    """Whether strings that could still join are given time to do so before power is granted, at most `join_s`.

    Once a truck draws power, the link sags away from the strings that are not on it yet.
    """
    waits, longest_s = False, -1.0
    for s in range(pack.strings):
        could = plan.stage[s] == OPEN or plan.stage[s] == PRECHARGE
        waits = waits or (could and reaction[s] < OPEN_AFTER_WARNING)
        longest_s = plan.stage_s[s] if plan.stage[s] == CLOSED and plan.stage_s[s] > longest_s else longest_s
    return waits and longest_s >= 0.0 and longest_s < pack.contactors.join_s


@kernel
def from_open(pack: Pack, was: Control, frame: Frame, reaction: float, wanted: bool, s: int, first: int) -> float:
    """Open: stay, begin to precharge, or trip."""
    if reaction >= OPEN_AFTER_WARNING:
        return TRIPPED
    if not wanted or (was.tries[s] > 0.0 and was.stage_s[s] < pack.contactors.rest_s):
        return OPEN
    if s == first or pack.fitted.link_voltage == 0.0:
        return PRECHARGE
    live = False
    for other in range(pack.strings):
        live = live or was.stage[other] == CLOSED
    near = abs(string_V(frame, s) - frame.link_V) < pack.contactors.join_V
    return PRECHARGE if live and near else OPEN


@kernel
def from_precharge(
    pack: Pack, frame: Frame, reaction: float, wanted: bool, s: int, stage_s: float
) -> tuple[float, float]:
    """Precharge: wait, close, give up (1 failed try), or trip. Without a link sensor the time alone decides."""
    if reaction >= OPEN_AFTER_WARNING:
        return TRIPPED, 0.0
    if not wanted:
        return OPEN, 0.0
    voltage = string_V(frame, s)
    if pack.fitted.link_voltage == 0.0:
        return (CLOSED if stage_s >= pack.contactors.precharge_s else PRECHARGE), 0.0
    charged = abs(voltage - frame.link_V) < pack.contactors.precharge_share * voltage
    if charged and stage_s >= LEAST_PRECHARGE_S:
        return CLOSED, 0.0
    if stage_s >= pack.contactors.precharge_s:
        return OPEN, 1.0
    return PRECHARGE, 0.0


@kernel
def from_closed(reaction: float, wanted: bool) -> float:
    """Closed: stay, leave after warning, or trip at once."""
    if reaction >= OPEN_NOW:
        return TRIPPED
    return OPENING if reaction >= OPEN_AFTER_WARNING or not wanted else CLOSED


@kernel
def from_opening(pack: Pack, current_A: float, reaction: float, wanted: bool, stage_s: float) -> float:
    """Opening: the driver is warned, then the contactors wait for little current, but not for ever."""
    if reaction >= OPEN_NOW:
        return TRIPPED
    forced = reaction >= OPEN_AFTER_WARNING
    if wanted and not forced:
        return CLOSED
    warned = stage_s >= pack.contactors.warning_s or not forced
    quiet = abs(current_A) < pack.contactors.break_A
    if (warned and quiet) or stage_s >= 2.0 * pack.contactors.warning_s:
        return TRIPPED if forced else OPEN
    return OPENING


@part
def positions(stage: Array) -> Array:
    """What each stage asks of main negative, main positive and precharge contactor: (strings, 3), 1 closed."""
    contactor = np.zeros((stage.shape[0], 3))
    for s in range(stage.shape[0]):
        if stage[s] == PRECHARGE:
            contactor[s, 0], contactor[s, 2] = 1.0, 1.0
        elif stage[s] == CLOSED or stage[s] == OPENING:
            contactor[s, 0], contactor[s, 1] = 1.0, 1.0
    return contactor
