"""The true battery as a circuit: every cell its own, strings in parallel on the link, the link behind its contactors.

Currents are found at one instant from the state of that instant; the cells then live with them for a tick.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse.cell import physics
from packhorse.cell.table import CAPACITY, HYSTERESIS_V, OCV, R0, R1, R2, TAU1, TAU2
from packhorse.compiled import kernel, part
from packhorse.pack.words import Array
from packhorse.twin.words import Link

BEYOND_V, BEYOND_SOC = 20.0, 0.1
"""How steeply the voltage runs away when a cell is overcharged or emptied further [V per unit of SOC], and how far that
goes before the cell counts as destroyed (assumed; the curves of cell files end at full and empty)."""
NEVER_OHM = 1e9
"""A path that does not conduct."""


class Flow(NamedTuple):
    """Where the current goes at one instant."""

    string_A: Array  # (strings,)
    link_V: float
    power_W: float  # out of the battery at the link


@kernel
def advance(
    table: Array,
    was: tuple[Array, Array, Array, Array],
    now: tuple[Array, Array, Array, Array],
    share: tuple[Array, Array],
    leak_A: Array,
    current_A: float,
    dt_s: float,
    capacity_Ah: float,
    efficiency: float,
    hysteresis_rate: float,
) -> None:
    """One tick of every cell of a string at constant current: SOC, both RC voltages, hysteresis from `was` to `now`.

    `share` are the cells' own factors on capacity and resistance, `leak_A` what each loses beside the string.
    """
    tau1, tau2, r1, r2, whole = table[TAU1], table[TAU2], table[R1], table[R2], table[CAPACITY]
    was_soc, was_rc1, was_rc2, was_h = was
    soc, rc1, rc2, h = now
    capacity_share, resistance_share = share
    taken = efficiency if current_A < 0.0 else 1.0
    for k in range(soc.shape[0]):
        i = current_A * taken + leak_A[k]
        own_Ah = capacity_Ah * capacity_share[k] * whole[k]
        x = physics.count(was_soc[k], i, own_Ah, dt_s)
        x = x if x > -BEYOND_SOC else -BEYOND_SOC
        soc[k] = x if x < 1.0 + BEYOND_SOC else 1.0 + BEYOND_SOC
        rc1[k] = physics.relax(was_rc1[k], i, r1[k] * resistance_share[k], physics.decay(dt_s / tau1[k]))
        rc2[k] = physics.relax(was_rc2[k], i, r2[k] * resistance_share[k], physics.decay(dt_s / tau2[k]))
        h[k] = physics.hysteresis(was_h[k], i, own_Ah, hysteresis_rate, dt_s)


@kernel
def unloaded(
    table: Array, soc: Array, rc1_V: Array, rc2_V: Array, hysteresis: Array, resistance_share: Array, out: Array
) -> None:
    """Voltage without current and resistance of every cell of a string into the two rows of `out`, (2, series).

    Beyond full and empty the voltage goes on at `BEYOND_V`.
    """
    ocv, r0, half_V = table[OCV], table[R0], table[HYSTERESIS_V]
    open_V, ohm = out[0], out[1]
    for k in range(rc1_V.shape[0]):
        over = soc[k] - 1.0 if soc[k] > 1.0 else 0.0
        under = soc[k] if soc[k] < 0.0 else 0.0
        ocv_V = ocv[k] + BEYOND_V * (over + under)
        open_V[k] = physics.terminal_V(ocv_V, half_V[k] * hysteresis[k], rc1_V[k], rc2_V[k], 0.0, 0.0)
        ohm[k] = r0[k] * resistance_share[k]


@kernel
def terminals(out: Array, current_A: float, cell_V: Array) -> None:
    """Terminal voltage of every cell of a string, from the rows of `unloaded`."""
    open_V, ohm = out[0], out[1]
    for k in range(cell_V.shape[0]):
        cell_V[k] = open_V[k] - ohm[k] * current_A


@part
def paths(wiring_ohm: float, precharge_ohm: float, contactor: Array, open_ohm: Array, broken: Array) -> Array:
    """Resistance from each string to the link [ohm]: closed, through the precharge resistor, or none."""
    out = np.empty(open_ohm.shape[0])
    for s in range(out.shape[0]):
        own_ohm = open_ohm[s] + wiring_ohm
        if contactor[s, 0] > 0.0 and contactor[s, 1] > 0.0:
            out[s] = own_ohm
        elif contactor[s, 0] > 0.0 and contactor[s, 2] > 0.0 and broken[s] == 0.0:
            out[s] = own_ohm + precharge_ohm
        else:
            out[s] = NEVER_OHM
    return out


@part
def live(contactor: Array) -> bool:
    """Whether any string is on the link, not only through its resistor."""
    found = False
    for s in range(contactor.shape[0]):
        found = found or (contactor[s, 0] > 0.0 and contactor[s, 1] > 0.0)
    return found


@part
def thevenin(string_V: Array, path_ohm: Array) -> tuple[float, float]:
    """All strings as one source: its short-circuit current [A] and conductance [S]."""
    short_A, siemens = 0.0, 0.0
    for s in range(string_V.shape[0]):
        if path_ohm[s] < NEVER_OHM:
            short_A += string_V[s] / path_ohm[s]
            siemens += 1.0 / path_ohm[s]
    return short_A, siemens


@part
def draw(string_V: Array, path_ohm: Array, power_W: float) -> Flow:
    """A constant power is drawn (negative: recovered); where there is not so much, the greatest there is."""
    short_A, siemens = thevenin(string_V, path_ohm)
    square = short_A * short_A - 4.0 * siemens * power_W
    link_V = (short_A + math.sqrt(square if square > 0.0 else 0.0)) / (2.0 * siemens)
    return share_out(string_V, path_ohm, link_V)


@part
def charge(string_V: Array, path_ohm: Array, charge_A: float, most_V: float) -> Flow:
    """A charger pushes a current in, until it reaches its voltage; it never draws."""
    short_A, siemens = thevenin(string_V, path_ohm)
    rest_V = short_A / siemens
    ceiling_V = most_V if most_V > rest_V else rest_V
    link_V = rest_V + charge_A / siemens
    return share_out(string_V, path_ohm, link_V if link_V < ceiling_V else ceiling_V)


@part
def settle(link: Link, string_V: Array, path_ohm: Array, was_V: float, dt_s: float) -> Flow:
    """The link while no string is closed: charged through precharge resistors, or emptied through its own."""
    short_A, siemens = thevenin(string_V, path_ohm)
    drain = 1.0 / link.discharge_ohm
    goal_V = short_A / (siemens + drain)
    link_V = goal_V + (was_V - goal_V) * physics.decay(dt_s * (siemens + drain) / link.capacitance_F)
    return share_out(string_V, path_ohm, link_V)


@part
def share_out(string_V: Array, path_ohm: Array, link_V: float) -> Flow:
    """What each string gives at a link voltage."""
    string_A = np.zeros(string_V.shape[0])
    power_W = 0.0
    for s in range(string_V.shape[0]):
        if path_ohm[s] < NEVER_OHM:
            string_A[s] = (string_V[s] - link_V) / path_ohm[s]
            power_W += string_A[s] * link_V
    return Flow(string_A, link_V, power_W)
