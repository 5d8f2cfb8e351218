"""What is asked of the charger: the charge limit, tapered by the highest cell, until the pack is full."""

from __future__ import annotations

from typing import NamedTuple

from packhorse.compiled import kernel
from packhorse.control.contactors import Plan
from packhorse.control.limits import resistance_ohm
from packhorse.pack.known import known
from packhorse.pack.words import Array, Control, Estimate, Frame, Limits, Pack, Signal, Stage

MAX_V, MIN_DEGC = int(Signal.CELL_MAX_V), int(Signal.DISCHARGE_MIN_DEGC)
CLOSED = float(Stage.CLOSED)
FULL_V = 0.005
"""A cell this close to the charging voltage counts as there."""


class Charge(NamedTuple):
    """Current and voltage asked of the charger, and whether charging has ended."""

    charge_A: float
    charge_V: float
    done: float


@kernel
def charge(
    pack: Pack, was: Control, plan: Plan, frame: Frame, estimate: Estimate, signal: Array, limits: Limits
) -> Charge:
    """Constant current within the limits, then whatever keeps the highest cell at `charging.cell_V`.

    Ends at the target SOC, or when the highest cell takes less than `end_share` of the capacity per hour at full
    voltage; starts again only after the request has been taken back.
    """
    rules = pack.charging
    charge_V = rules.cell_V * pack.series
    if frame.charge_request <= 0.0:
        return Charge(0.0, charge_V, 0.0)
    closed = 0.0
    for stage in plan.stage:
        closed += 1.0 if stage == CLOSED else 0.0
    asked_A, full = limits.charge_A, False
    for s in range(pack.strings):
        if plan.stage[s] != CLOSED:
            continue
        degC = signal[MIN_DEGC, s] if known(signal[MIN_DEGC, s]) else 0.0
        room_V = rules.cell_V - signal[MAX_V, s]
        taper_A = -frame.string_A[s] + room_V / resistance_ohm(pack, estimate.soc_max[s], degC)
        trickle = -frame.string_A[s] < rules.end_share * pack.cell.capacity_Ah
        full = full or (room_V < FULL_V and trickle)
        asked_A = closed_share(asked_A, taper_A, closed)
    done = was.charge_done > 0.0 or (closed > 0.0 and (full or estimate.soc >= rules.target_soc))
    nothing = done or closed == 0.0
    return Charge(0.0 if nothing else asked_A, charge_V, 1.0 if done else 0.0)


@kernel
def closed_share(asked_A: float, string_A: float, closed: float) -> float:
    """The smaller of what is asked already and `string_A` for each of the closed strings; unknown is nothing."""
    total_A = string_A * closed
    if total_A >= asked_A:
        return asked_A
    return total_A if total_A > 0.0 else 0.0
