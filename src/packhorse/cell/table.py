"""Parameters of all cells of a string at once, so that the arithmetic that follows them vectorises."""

from __future__ import annotations

import numpy as np

from packhorse.compiled import kernel
from packhorse.pack.words import DEGC_FIRST, DEGC_NODES, DEGC_STEP, SOC_NODES, Array

OCV, SLOPE, R0, R1, R2, TAU1, TAU2, CAPACITY, HYSTERESIS_V, ROWS = range(10)
"""Rows of a table: V, V, ohm, ohm, ohm, s, s, share of the nominal capacity, V."""
COLUMN_ROWS = (OCV, R0, R1, R2)
ONE = np.uint64(1)
SOC_SCALE = float(SOC_NODES - 1)
SOC_LAST, DEGC_LAST = SOC_SCALE - 1e-9, DEGC_NODES - 1 - 1e-9


@kernel
def look_up(nodes: Array, soc_nodes: Array, degC_nodes: Array, soc: Array, degC: Array, table: Array) -> None:
    """Parameters of every cell of a string at its SOC and temperature into the rows of `table`, (ROWS, series).

    The same as `physics.parameters`, `three_over_degC` and `over_soc` for each cell, to the bit. Places and weights
    come first, in a loop that vectorises; then each cell loads its neighbours side by side, which takes half the time
    of letting the compiler gather them one by one.
    """
    place = np.empty((4, soc.shape[0]))
    i_of, f_of, j_of, g_of = place[0], place[1], place[2], place[3]
    for k in range(soc.shape[0]):
        a = soc[k] * SOC_SCALE
        a = a if a > 0.0 else 0.0
        a = a if a < SOC_LAST else SOC_LAST
        i_of[k] = float(np.int64(a))
        f_of[k] = a - i_of[k]
        b = (degC[k] - DEGC_FIRST) * (1.0 / DEGC_STEP)
        b = b if b > 0.0 else 0.0
        b = b if b < DEGC_LAST else DEGC_LAST
        j_of[k] = float(np.int64(b))
        g_of[k] = b - j_of[k]
    for k in range(soc.shape[0]):
        i, j, f, g = np.uint64(i_of[k]), np.uint64(j_of[k]), f_of[k], g_of[k]
        above, warmer = i + ONE, j + ONE
        w00, w01, w10, w11 = (1.0 - f) * (1.0 - g), f * (1.0 - g), (1.0 - f) * g, f * g
        for c in range(4):
            cold = w00 * nodes[j, i, c] + w01 * nodes[j, above, c]
            table[COLUMN_ROWS[c], k] = cold + w10 * nodes[warmer, i, c] + w11 * nodes[warmer, above, c]
        rise_V = (1.0 - g) * (nodes[j, above, 0] - nodes[j, i, 0])
        table[SLOPE, k] = SOC_SCALE * (rise_V + g * (nodes[warmer, above, 0] - nodes[warmer, i, 0]))
        for c in range(3):
            table[TAU1 + c, k] = (1.0 - g) * degC_nodes[j, c] + g * degC_nodes[warmer, c]
        table[HYSTERESIS_V, k] = (1.0 - f) * soc_nodes[i, 0] + f * soc_nodes[above, 0]
