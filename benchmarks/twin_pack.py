"""The twin's electrical pack over an hour, with the twin's own kernels: what is measured against PyBaMM."""

from __future__ import annotations

import numpy as np

from packhorse.cell.table import HYSTERESIS_V, ROWS, look_up
from packhorse.compiled import compiled
from packhorse.pack.words import Array, Cell
from packhorse.twin import electric
from pybamm_pack import DEGC, START_SOC


@compiled
def hour(
    cell: Cell, capacity_share: Array, resistance_share: Array, current_A: Array, start_soc: float, degC: float
) -> Array:
    """Voltages at every second, (seconds + 1, cells); the current runs straight from second to second."""
    cells, times = capacity_share.shape[0], current_A.shape[0]
    now, then = np.zeros((4, cells)), np.zeros((4, cells))
    warm, leak_A = np.full(cells, degC), np.zeros(cells)
    table, rows = np.empty((ROWS, cells)), np.empty((2, cells))
    cell_V = np.empty((times, cells))
    for k in range(cells):
        now[0, k] = start_soc
    for t in range(times):
        look_up(cell.nodes, cell.degC_nodes, now[0], warm, table)
        electric.unloaded(table, now[0], now[1], now[2], now[3], resistance_share, rows)
        electric.terminals(rows, current_A[t], cell_V[t])
        if t + 1 < times:
            electric.advance(
                table,
                (now[0], now[1], now[2], now[3]),
                (then[0], then[1], then[2], then[3]),
                (capacity_share, resistance_share),
                leak_A,
                0.5 * (current_A[t] + current_A[t + 1]),
                1.0,
                cell.capacity_Ah,
                1.0,
                cell.hysteresis_rate,
            )
            now, then = then, now
    return cell_V


def twin_hour(cell: Cell, capacity_scale: Array, resistance_scale: Array, current_A: Array) -> Array:
    """As `pybamm_pack.Twin` wants it: voltages (cells, seconds + 1), no hysteresis."""
    nodes = cell.nodes.copy()
    nodes[:, :, HYSTERESIS_V] = 0.0
    flat = cell._replace(nodes=nodes)
    return hour(flat, capacity_scale, resistance_scale, current_A, START_SOC, DEGC).T
