"""Simulated cells for tests of the core, made with the physics of `cell/` and parameters of their own."""

from __future__ import annotations

from typing import NamedTuple

from packhorse.cell import physics
from packhorse.pack.words import Cell


class TrueCell(NamedTuple):
    """What one true cell remembers, and its voltage at the terminals."""

    soc: float
    rc1_V: float = 0.0
    rc2_V: float = 0.0
    hysteresis: float = 0.0
    terminal_V: float = 0.0


def live(cell: Cell, was: TrueCell, current_A: float, degC: float, dt_s: float) -> TrueCell:
    """The cell after `current_A` has flowed for `dt_s`."""
    ocv_V, slope_V, r0, r1, r2 = physics.parameters(cell.nodes, was.soc, degC)
    tau1_s, tau2_s, share = physics.three_over_degC(cell.degC_nodes, degC)
    capacity_Ah = share * cell.capacity_Ah
    soc = physics.count(was.soc, current_A, capacity_Ah, dt_s)
    rc1_V = physics.relax(was.rc1_V, current_A, r1, physics.decay(dt_s / tau1_s))
    rc2_V = physics.relax(was.rc2_V, current_A, r2, physics.decay(dt_s / tau2_s))
    h = physics.hysteresis(was.hysteresis, current_A, capacity_Ah, cell.hysteresis_rate, dt_s)
    ocv_V += slope_V * (soc - was.soc)
    hysteresis_V = h * physics.at_node(cell.nodes, soc, degC, 4)
    return TrueCell(soc, rc1_V, rc2_V, h, physics.terminal_V(ocv_V, hysteresis_V, rc1_V, rc2_V, r0, current_A))
