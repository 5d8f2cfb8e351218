"""What the battery can give and take: kept when the cell's equations are stepped through it, and hardly more."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.cell import physics, table
from packhorse.compiled import compiled
from packhorse.estimation import power
from packhorse.estimation.power import CHARGE, DISCHARGE, HORIZONS_S, Cells, Window
from packhorse.pack.compile import compile_cell
from packhorse.pack.load import load_cell, names
from packhorse.pack.words import Array, Cell

CELLS = {name: compile_cell(load_cell(name)) for name in names("cells")}
SIGN = (1.0, -1.0)
WINDOW = Window(margin_V=0.03, soc_low=0.02, soc_high=1.0, charge_min_degC=0.0, charge_max_degC=50.0, z=1.645)
STEP_S = 0.1
DISCHARGE_A, DISCHARGE_10S_A = 3, 5
quick = settings(max_examples=300, deadline=None)


@compiled
def string_power(cell: Cell, cells: Cells, window: Window, current_A: Array, power_W: Array) -> tuple[float, float]:
    rows = np.empty((table.ROWS, cells.soc.shape[0]))
    table.look_up(cell.nodes, cell.soc_nodes, cell.degC_nodes, cells.soc, cells.degC, rows)
    return power.string_power(cell, rows, cells, window, current_A, power_W)


@compiled
def pack_power(connected: Array, ohm: Array, string_A: Array, string_W: Array) -> tuple[Array, Array]:
    return power.pack_power(connected, ohm[0], ohm[1], string_A, string_W)


@compiled
def stepped(
    cell: Cell,
    soc: float,
    rc1_V: float,
    rc2_V: float,
    h: float,
    factors: Array,
    degC: float,
    asked: float,
    watts: float,
) -> Array:
    """Lowest and highest voltage at the end of each horizon since the start, SOC, largest current; step by step.

    `asked` is the current, positive discharging; where `watts` is not 0, it is the power that is held instead.
    """
    out = np.empty((4, 4))
    tau1_s, tau2_s, share = physics.three_over_degC(cell.degC_nodes, degC)
    capacity_Ah = cell.capacity_Ah * share * factors[0]
    keep1, keep2 = math.exp(-STEP_S / tau1_s), math.exp(-STEP_S / tau2_s)
    lowest_V, highest_V, most_A, current_A = math.inf, -math.inf, 0.0, asked
    n = 0
    for k in range(round(HORIZONS_S[-1] / STEP_S) + 1):
        if k > 0:
            middle = physics.count(soc, current_A, capacity_Ah, 0.5 * STEP_S)
            _, _, _, r1, r2 = physics.parameters(cell.nodes, middle, degC)
            rc1_V = physics.relax(rc1_V, current_A, r1 * factors[1], keep1)
            rc2_V = physics.relax(rc2_V, current_A, r2 * factors[1], keep2)
            h = physics.hysteresis(h, current_A, capacity_Ah, cell.hysteresis_rate, STEP_S)
            soc = physics.count(soc, current_A, capacity_Ah, STEP_S)
        ocv_V, _, r0, _, _ = physics.parameters(cell.nodes, soc, degC)
        hysteresis_V = physics.over_soc(cell.soc_nodes, soc, 0) * h
        if watts != 0.0:
            for _ in range(20):
                current_A = watts / physics.terminal_V(ocv_V, hysteresis_V, rc1_V, rc2_V, r0 * factors[1], current_A)
        v = physics.terminal_V(ocv_V, hysteresis_V, rc1_V, rc2_V, r0 * factors[1], current_A)
        lowest_V, highest_V = min(lowest_V, v), max(highest_V, v)
        most_A = max(most_A, abs(current_A))
        if k == round(HORIZONS_S[n] / STEP_S):
            out[n] = np.array([lowest_V, highest_V, soc, most_A])
            n += 1
    return out


def string_of(cell: Cell, cells: int = 1, **changes: float | Array) -> Cells:
    """Cells that are alike but for what is given for each; RC voltages in volts."""
    plain: dict[str, Any] = {
        "soc": 0.5,
        "soc_sigma": 0.0,
        "rc1_V": 0.0,
        "rc2_V": 0.0,
        "hysteresis": 0.0,
        "capacity_factor": 1.0,
        "resistance_factor": 1.0,
        "resistance_sigma": 0.0,
        "degC": 25.0,
    }
    assert not set(changes) - set(plain)
    return Cells(**{name: np.zeros(cells) + value for name, value in (plain | changes).items()})


def allowed(cell: Cell, cells: Cells, window: Window = WINDOW) -> tuple[Array, Array]:
    """Current and power, (2, horizons)."""
    current_A, power_W = np.full((2, 4), math.nan), np.full((2, 4), math.nan)
    string_power(cell, cells, window, current_A, power_W)
    return current_A, power_W


def rating_A(cell: Cell, degC: float, direction: int) -> Array:
    steady = physics.over_degC(cell.degC_nodes, degC, DISCHARGE_A + direction)
    peak = physics.over_degC(cell.degC_nodes, degC, DISCHARGE_10S_A + direction)
    between = np.interp(np.log(HORIZONS_S), np.log([10.0, 600.0]), [peak, steady])
    if direction == CHARGE and not WINDOW.charge_min_degC <= degC <= WINDOW.charge_max_degC:
        return np.zeros(4)
    return np.asarray(np.minimum.accumulate(between))


def driven(cell: Cell, cells: Cells, current_A: float, watts: float = 0.0, z: float = WINDOW.z) -> Array:
    """The equations stepped with the first cell as the doubt has it, `current_A` positive discharging."""
    sign = 1.0 if current_A > 0.0 else -1.0
    factors = np.array([cells.capacity_factor[0], cells.resistance_factor[0] + z * cells.resistance_sigma[0]])
    soc = cells.soc[0] - sign * z * cells.soc_sigma[0]
    state = (cells.rc1_V[0], cells.rc2_V[0], cells.hysteresis[0])
    return stepped(cell, soc, *state, factors, cells.degC[0], current_A, watts)


@st.composite
def any_cell(draw: st.DrawFn, sure: bool = False) -> tuple[Cell, Cells]:
    """A cell of the catalogue anywhere: RC pairs and hysteresis as any drive may have left them."""
    cell = CELLS[draw(st.sampled_from(sorted(CELLS)))]
    soc, degC = draw(st.floats(0, 1)), draw(st.floats(-30, 55))
    factor = draw(st.floats(0.5, 3))
    _, _, _, r1, r2 = physics.parameters(cell.nodes, soc, degC)
    peak_A = physics.over_degC(cell.degC_nodes, degC, DISCHARGE_10S_A)
    cells = string_of(
        cell,
        soc=soc,
        degC=degC,
        soc_sigma=0.0 if sure else draw(st.floats(0, 0.1)),
        resistance_factor=factor,
        resistance_sigma=0.0 if sure else draw(st.floats(0, 0.3)),
        capacity_factor=draw(st.floats(0.6, 1.1)),
        rc1_V=r1 * factor * peak_A * draw(st.floats(-0.8, 1)),
        rc2_V=r2 * factor * peak_A * draw(st.floats(-0.8, 1)),
        hysteresis=draw(st.floats(-1, 1)),
    )
    return cell, cells
