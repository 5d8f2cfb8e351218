"""Parameters of all cells of a string at once, so that the arithmetic that follows them vectorises."""

from __future__ import annotations

from packhorse.cell import physics
from packhorse.compiled import kernel
from packhorse.pack.words import Array

OCV, SLOPE, R0, R1, R2, TAU1, TAU2, CAPACITY, HYSTERESIS_V, ROWS = range(10)
"""Rows of a table: V, V, ohm, ohm, ohm, s, s, share of the nominal capacity, V."""


@kernel
def look_up(nodes: Array, soc_nodes: Array, degC_nodes: Array, soc: Array, degC: Array, table: Array) -> None:
    """Parameters of every cell of a string at its SOC and temperature into the rows of `table`, (ROWS, series)."""
    for k in range(soc.shape[0]):
        ocv_V, slope_V, r0, r1, r2 = physics.parameters(nodes, soc[k], degC[k])
        table[OCV, k] = ocv_V
        table[SLOPE, k] = slope_V
        table[R0, k] = r0
        table[R1, k] = r1
        table[R2, k] = r2
        tau1, tau2, share = physics.three_over_degC(degC_nodes, degC[k])
        table[TAU1, k] = tau1
        table[TAU2, k] = tau2
        table[CAPACITY, k] = share
        table[HYSTERESIS_V, k] = physics.over_soc(soc_nodes, soc[k], 0)
