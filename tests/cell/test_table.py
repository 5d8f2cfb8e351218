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
from packhorse.pack.words import Array, Cell

CELL = compile_cell(load_cell("lfp_280"))


@compiled
def looked_up(cell: Cell, soc: Array, degC: Array, out: Array) -> None:
    table.look_up(cell.nodes, cell.soc_nodes, cell.degC_nodes, soc, degC, out)


@given(
    arrays(np.float64, 7, elements=st.floats(-0.5, 1.5)),
    arrays(np.float64, 7, elements=st.floats(-100.0, 200.0)),
)
@settings(deadline=None)
def test_a_string_is_looked_up_like_each_of_its_cells(soc: np.ndarray, degC: np.ndarray) -> None:
    out = np.full((table.ROWS, 7), math.nan)
    looked_up(CELL, soc, degC, out)
    for k in range(7):
        each = [*physics.parameters(CELL.nodes, soc[k], degC[k]), *physics.three_over_degC(CELL.degC_nodes, degC[k])]
        each.append(physics.over_soc(CELL.soc_nodes, soc[k], 0))
        assert out[:, k].tolist() == each
