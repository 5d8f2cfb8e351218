"""What the truck may draw and push now, and why no more.

Each cause proposes a current for each string; the smallest binds and gives its reason. Voltage and temperature are
the worst raw readings, charge to give is the weakest cell's belief less its doubt, room to take the
strongest's. Limits fall at once and rise slowly.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse.cell import physics
from packhorse.compiled import kernel, part
from packhorse.control.contactors import THERMAL_S, Plan, gathering, string_V
from packhorse.estimation.outlook import DOUBT_MAX
from packhorse.pack.known import known
from packhorse.pack.words import Array, Control, Estimate, Frame, Limits, Pack, Reason, Signal, Stage
from packhorse.protection import Verdict

CELL_RATING, TEMPERATURE, CELL_VOLTAGE = (
    float(Reason.CELL_RATING),
    float(Reason.TEMPERATURE),
    float(Reason.CELL_VOLTAGE),
)
SOC, FAULT, CONTACTORS = float(Reason.SOC), float(Reason.FAULT), float(Reason.CONTACTORS)
CHARGE_DONE = float(Reason.CHARGE_DONE)
NOT_HEARD, RECOVERING, STRING_RATING = float(Reason.NOT_HEARD), float(Reason.RECOVERING), float(Reason.STRING_RATING)
CLOSED, OPENING = float(Stage.CLOSED), float(Stage.OPENING)
MAX_V, MIN_V = int(Signal.CELL_MAX_V), int(Signal.CELL_MIN_V)
MAX_DEGC, MIN_DEGC = int(Signal.DISCHARGE_MAX_DEGC), int(Signal.DISCHARGE_MIN_DEGC)
DISCHARGE, CHARGE = 0, 1
STEADY, PEAK = 3, 5
"""Columns of the ratings over temperature: steady discharge and ten-second discharge; charge is one further."""
ROOM_DEGC = 25.0
PEAK_S = 10.0


class Bound(NamedTuple):
    """The smallest current proposed so far, and who proposed it."""

    current_A: float
    reason: float


@kernel
def tighter(bound: Bound, current_A: float, reason: float) -> Bound:
    """The bound, tightened where the proposal is smaller; an unknown proposal (NaN) allows nothing."""
    if current_A >= bound.current_A:
        return bound
    return Bound(current_A if current_A > 0.0 else 0.0, reason)


@kernel
def rating(pack: Pack, signal: Array, s: int, direction: int, mean_square_A2: float) -> Bound:
    """What the cells are rated for at their temperatures: the ten-second rating while the half minute allows it.

    Beyond the temperatures for charging no charge is allowed, whatever the ratings say: taking it would be a fault.
    """
    nodes = pack.cell.degC_nodes
    low, high = signal[MIN_DEGC, s], signal[MAX_DEGC, s]
    if not known(low):
        return Bound(pack.derating.limp_share * physics.over_degC(nodes, ROOM_DEGC, STEADY + direction), NOT_HEARD)
    if direction == CHARGE and (low < pack.temperature[0] or high > pack.temperature[1]):
        return Bound(0.0, TEMPERATURE)
    room = physics.over_degC(nodes, ROOM_DEGC, PEAK + direction)
    peak = min(physics.over_degC(nodes, low, PEAK + direction), physics.over_degC(nodes, high, PEAK + direction))
    steady = min(physics.over_degC(nodes, low, STEADY + direction), physics.over_degC(nodes, high, STEADY + direction))
    room_left = (steady * steady - mean_square_A2) * (THERMAL_S / PEAK_S) + mean_square_A2
    sustained = math.sqrt(room_left) if room_left > 0.0 else 0.0
    sustained = sustained if sustained > steady else steady
    allowed = peak if peak < sustained else sustained
    return Bound(allowed, TEMPERATURE if peak < room else CELL_RATING)


@kernel
def resistance_ohm(pack: Pack, soc: float, degC: float) -> float:
    """Resistance of one cell over ten seconds."""
    _ocv, _slope, r0, r1, r2 = physics.parameters(pack.cell.nodes, soc, degC)
    tau1, tau2, _share = physics.three_over_degC(pack.cell.degC_nodes, degC)
    return r0 + r1 * (1.0 - physics.decay(PEAK_S / tau1)) + r2 * (1.0 - physics.decay(PEAK_S / tau2))


@kernel
def headroom(pack: Pack, frame: Frame, estimate: Estimate, signal: Array, s: int, direction: int) -> float:
    """Current that brings the worst cell to its voltage limit within ten seconds; NaN if it is not heard."""
    degC = signal[MIN_DEGC, s] if known(signal[MIN_DEGC, s]) else 0.0
    current_A: float = frame.string_A[s]
    if direction == DISCHARGE:
        room_V: float = signal[MIN_V, s] - pack.cell.min_V - pack.derating.margin_V
        return current_A + room_V / resistance_ohm(pack, estimate.soc_min[s], degC)
    room_V = pack.cell.max_V - pack.derating.margin_V - signal[MAX_V, s]
    return -current_A + room_V / resistance_ohm(pack, estimate.soc_max[s], degC)


@kernel
def soc_share(pack: Pack, estimate: Estimate, s: int, direction: int) -> float:
    """Share of the rating that the charge left in the weakest, or the room left in the strongest cell, allows."""
    derating = pack.derating
    doubt = estimate.string_soc_sigma[s] if estimate.string_soc_sigma[s] < DOUBT_MAX else DOUBT_MAX
    if direction == DISCHARGE:
        share = (estimate.soc_min[s] - doubt - derating.soc_empty) / (derating.soc_low - derating.soc_empty)
        share = share if share > derating.limp_share else derating.limp_share
    else:
        share = (derating.soc_full - estimate.soc_max[s]) / (derating.soc_full - derating.soc_high)
        share = share if share > pack.charging.end_share else pack.charging.end_share
    return share if share < 1.0 else 1.0


@kernel
def string_bound(
    pack: Pack,
    frame: Frame,
    estimate: Estimate,
    signal: Array,
    verdict: Verdict,
    plan: Plan,
    s: int,
    direction: int,
) -> Bound:
    """Every cause in turn, for one string and one direction."""
    bound = rating(pack, signal, s, direction, plan.mean_square_A2[s])
    full_A = bound.current_A
    bound = tighter(bound, pack.derating.max_string_A, STRING_RATING)
    bound = tighter(bound, full_A * soc_share(pack, estimate, s, direction), SOC)
    room_A = headroom(pack, frame, estimate, signal, s, direction)
    if known(room_A):
        bound = tighter(bound, room_A, CELL_VOLTAGE)
    else:
        bound = tighter(bound, pack.derating.limp_share * full_A, NOT_HEARD)
    share = verdict.discharge_share[s] if direction == DISCHARGE else verdict.charge_share[s]
    if share < 1.0:
        bound = tighter(bound, share * full_A, FAULT)
    leaving = plan.stage[s] == OPENING and plan.stage_s[s] < pack.contactors.warning_s
    if plan.stage[s] != CLOSED and not leaving:
        bound = tighter(bound, 0.0, CONTACTORS)
    return bound


@part
def limits(
    pack: Pack,
    frame: Frame,
    estimate: Estimate,
    signal: Array,
    verdict: Verdict,
    was: Control,
    plan: Plan,
    dt_s: float,
) -> Limits:
    """Limits of every string and of the pack; `plan` carries the new stages, `was` the limits granted last."""
    string_A, reason = np.empty((2, pack.strings)), np.empty((2, pack.strings))
    gathers = gathering(pack, plan, verdict.reaction)
    for direction in range(2):
        ramp_A = pack.derating.ramp_per_s * dt_s * physics.over_degC(pack.cell.degC_nodes, ROOM_DEGC, PEAK + direction)
        for s in range(pack.strings):
            bound = string_bound(pack, frame, estimate, signal, verdict, plan, s, direction)
            if direction == CHARGE and was.charge_done > 0.0 and frame.charge_request > 0.0:
                bound = tighter(bound, 0.0, CHARGE_DONE)
            bound = tighter(bound, was.limit_A[direction, s] + ramp_A, RECOVERING)
            bound = tighter(bound, 0.0, CONTACTORS) if gathers else bound
            string_A[direction, s], reason[direction, s] = bound.current_A, bound.reason
    discharge_A, discharge_reason, _ = together(plan.stage, string_A[DISCHARGE], reason[DISCHARGE])
    charge_A, charge_reason, closed = together(plan.stage, string_A[CHARGE], reason[CHARGE])
    return Limits(
        discharge_A=discharge_A,
        charge_A=charge_A,
        discharge_W=power_W(pack, frame, estimate, signal, discharge_A / closed, DISCHARGE) * closed,
        charge_W=power_W(pack, frame, estimate, signal, charge_A / closed, CHARGE) * closed,
        discharge_reason=discharge_reason,
        charge_reason=charge_reason,
        string_A=string_A,
        string_reason=reason,
    )


@kernel
def together(stage: Array, string_A: Array, reason: Array) -> tuple[float, float, float]:
    """Current of all connected strings when the weakest binds, its reason, and how many are connected (at least 1).

    Strings in parallel share unevenly, so none may be asked for more than the smallest of them allows.
    """
    smallest, why, count = math.inf, CONTACTORS, 0.0
    for s in range(stage.shape[0]):
        if stage[s] == CLOSED or stage[s] == OPENING:
            count += 1.0
            why = reason[s] if string_A[s] < smallest else why
            smallest = string_A[s] if string_A[s] < smallest else smallest
    return (count * smallest, why, count) if count > 0.0 else (0.0, CONTACTORS, 1.0)


@kernel
def power_W(pack: Pack, frame: Frame, estimate: Estimate, signal: Array, string_A: float, direction: int) -> float:
    """Power of one string at a current: at the sagging voltage when discharging, at the present one when charging."""
    low_V, now_A, voltage = math.inf, 0.0, math.nan
    for s in range(pack.strings):
        v = string_V(frame, s)
        if v < low_V:
            low_V, now_A, voltage = v, frame.string_A[s], v
    if not known(voltage):
        return string_A * pack.series * pack.cell.min_V
    if direction == CHARGE or not known(now_A):
        return string_A * voltage if voltage > 0.0 else 0.0
    degC = signal[MIN_DEGC, 0] if known(signal[MIN_DEGC, 0]) else 0.0
    sag_V = (string_A - now_A) * pack.series * resistance_ohm(pack, estimate.soc_min[0], degC)
    at_limit_V = voltage - sag_V if sag_V > 0.0 else voltage
    least_V = pack.series * pack.cell.min_V
    return string_A * (at_limit_V if at_limit_V > least_V else least_V)
