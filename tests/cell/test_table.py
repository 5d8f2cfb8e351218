"""Looking up all cells of a string gives the bits of looking up each."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from packhorse.cell import physics, table
from packhorse.compiled import compiled
from packhorse.pack.compile import compile_cell
from packhorse.pack.load import load_cell
from packhorse.pack.words import NODE_COLUMNS, Array, Cell

CELL = compile_cell(load_cell("lfp_280"))
ANY = CELL._replace(nodes=np.random.default_rng(20).uniform(0.1, 4.0, CELL.nodes.shape))
"""No two nodes alike, so that a wrong place is seen."""


@compiled
def looked_up(cell: Cell, soc: Array, degC: Array, out: Array) -> None:
    table.look_up(cell.nodes, cell.degC_nodes, soc, degC, out)


@compiled
def ocv_looked_up(cell: Cell, soc: Array, degC: Array, ocv_V: Array) -> None:
    place = np.empty((table.PLACES, soc.shape[0]))
    table.place_degC(degC, place)
    table.place_soc(soc, place)
    table.mix_ocv(cell.nodes, place, ocv_V)


@given(
    arrays(np.float64, 7, elements=st.floats(-0.5, 1.5)),
    arrays(np.float64, 7, elements=st.floats(-100.0, 200.0)),
)
@settings(deadline=None)
def test_a_string_is_looked_up_like_each_of_its_cells(soc: np.ndarray, degC: np.ndarray) -> None:
    out, ocv_V = np.full((table.ROWS, 7), math.nan), np.full(7, math.nan)
    looked_up(CELL, soc, degC, out)
    ocv_looked_up(CELL, soc, degC, ocv_V)
    for k in range(7):
        ocv, _slope, r0, r1, r2 = physics.parameters(CELL.nodes, soc[k], degC[k])
        half, error = (physics.at_node(CELL.nodes, soc[k], degC[k], column) for column in (4, 5))
        each = [ocv, r0, r1, r2, half, error, *physics.three_over_degC(CELL.degC_nodes, degC[k])]
        assert out[:, k].tolist() == each
        assert ocv_V[k] == ocv


@given(
    arrays(np.float64, 7, elements=st.floats(-0.5, 1.5)),
    arrays(np.float64, 7, elements=st.floats(-100.0, 200.0)),
)
@settings(deadline=None)
def test_one_column_has_the_bits_of_its_row(soc: np.ndarray, degC: np.ndarray) -> None:
    rows, ocv_V = np.full((table.ROWS, 7), math.nan), np.full(7, math.nan)
    looked_up(ANY, soc, degC, rows)
    ocv_looked_up(ANY, soc, degC, ocv_V)
    assert ocv_V.tolist() == rows[table.OCV].tolist()
    for column in range(NODE_COLUMNS):
        each = [physics.at_node(ANY.nodes, s, t, column) for s, t in zip(soc, degC, strict=True)]
        assert each == rows[column].tolist()


def test_every_column_of_the_nodes_has_the_row_of_its_number() -> None:
    named = (table.OCV, table.R0, table.R1, table.R2, table.HYSTERESIS_V, table.MODEL_V)
    assert named == tuple(range(NODE_COLUMNS))
