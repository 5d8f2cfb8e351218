"""Parameters of all cells of a string at once, so that the arithmetic that follows them vectorises.

Places and weights come first, in loops that vectorise; then each cell reads its neighbours side by side, from a flat
table and at unsigned places, which takes a third of the time of letting the compiler gather them one by one.
"""

from __future__ import annotations

import numpy as np

from packhorse.cell.physics import DEGC_LAST, ONE, SOC_LAST, SOC_SCALE
from packhorse.compiled import kernel, part
from packhorse.pack.words import DEGC_FIRST, DEGC_STEP, NODE_COLUMNS, SOC_NODES, Array

OCV, R0, R1, R2, HYSTERESIS_V, MODEL_V, TAU1, TAU2, CAPACITY, ROWS = range(10)
"""Rows of a table: V, ohm, ohm, ohm, V, V, s, s, share of the nominal capacity. The first six as in `Cell.nodes`."""
WIDTH, STRIDE = np.uint64(NODE_COLUMNS), np.uint64(NODE_COLUMNS * SOC_NODES)
PLACES = 7
AT, ROW, WARMER, W00, W01, W10, W11 = range(PLACES)
"""Rows of a table of places: of the first of four neighbours in the flat `nodes`, of the colder row of `degC_nodes`,
the share of the warmer one, and the weights of the four neighbours."""


@kernel
def place_degC(degC: Array, place: Array) -> None:
    """Where the temperature of every cell lies in the tables; it serves all look-ups of a step."""
    for k in range(degC.shape[0]):
        b = (degC[k] - DEGC_FIRST) * (1.0 / DEGC_STEP)
        b = b if b > 0.0 else 0.0
        b = b if b < DEGC_LAST else DEGC_LAST
        colder = np.floor(b)
        place[ROW, k] = colder
        place[WARMER, k] = b - colder


@kernel
def place_soc(soc: Array, place: Array) -> None:
    """Where every cell lies in `nodes`, after `place_degC`; arithmetic only, so that it vectorises."""
    for k in range(soc.shape[0]):
        a = soc[k] * SOC_SCALE
        a = a if a > 0.0 else 0.0
        a = a if a < SOC_LAST else SOC_LAST
        below = np.floor(a)
        f, g = a - below, place[WARMER, k]
        place[AT, k] = place[ROW, k] * (NODE_COLUMNS * SOC_NODES) + below * NODE_COLUMNS
        place[W00, k] = (1.0 - f) * (1.0 - g)
        place[W01, k] = f * (1.0 - g)
        place[W10, k] = (1.0 - f) * g
        place[W11, k] = f * g


@kernel
def mix_nodes(nodes: Array, place: Array, table: Array) -> None:
    """The columns of `nodes` at the places found, with the bits of `physics.at_node`."""
    mix_columns(nodes, place, table, NODE_COLUMNS)


@kernel
def mix_circuit(nodes: Array, place: Array, table: Array) -> None:
    """As `mix_nodes`, but for the last column, how wrong the model is, which only the estimator needs."""
    mix_columns(nodes, place, table, MODEL_V)


@kernel
def mix_columns(nodes: Array, place: Array, table: Array, columns: int) -> None:
    """The first `columns` of `nodes` at the places found."""
    flat = nodes.reshape(-1)
    for k in range(place.shape[1]):
        p = np.uint64(np.int64(place[AT, k]))
        q, s = p + WIDTH, p + STRIDE
        t = s + WIDTH
        w00, w01, w10, w11 = place[W00, k], place[W01, k], place[W10, k], place[W11, k]
        for c in range(columns):
            u = np.uint64(c)
            table[c, k] = w00 * flat[p + u] + w01 * flat[q + u] + w10 * flat[s + u] + w11 * flat[t + u]


@kernel
def mix_ocv(nodes: Array, place: Array, ocv_V: Array) -> None:
    """Only the OCV [V] of every cell at the places found, with the bits of `physics.at_node`."""
    flat = nodes.reshape(-1)
    for k in range(place.shape[1]):
        p = np.uint64(np.int64(place[AT, k]))
        q, s = p + WIDTH, p + STRIDE
        t = s + WIDTH
        low = place[W00, k] * flat[p] + place[W01, k] * flat[q]
        ocv_V[k] = low + place[W10, k] * flat[s] + place[W11, k] * flat[t]


@kernel
def mix_degC(degC_nodes: Array, place: Array, table: Array) -> None:
    """Time constants and the share of capacity at the temperatures found, as `physics.three_over_degC` to the bit."""
    for k in range(place.shape[1]):
        g, j = place[WARMER, k], np.uint64(np.int64(place[ROW, k]))
        for c in range(3):
            table[TAU1 + c, k] = (1.0 - g) * degC_nodes[j, c] + g * degC_nodes[j + ONE, c]


@part
def look_up(nodes: Array, degC_nodes: Array, soc: Array, degC: Array, table: Array) -> None:
    """Parameters of every cell of a string at its SOC and temperature into the rows of `table`, (ROWS, series)."""
    place = np.empty((PLACES, soc.shape[0]))
    place_degC(degC, place)
    place_soc(soc, place)
    mix_nodes(nodes, place, table)
    mix_degC(degC_nodes, place, table)
