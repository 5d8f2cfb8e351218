"""The benchmark's PyBaMM pack against the cell's equations, stepped one cell after the other."""

from __future__ import annotations

import numpy as np
import pytest

from life import drive_C
from packhorse.cell import physics
from packhorse.pack.compile import compile_cell
from packhorse.pack.load import load_cell
from packhorse.pack.words import Array, Cell
from pybamm_pack import DEGC, SECONDS, START_SOC, TOLERANCE_V, Peer, spread

pytest.importorskip("pybamm", reason="PyBaMM is not installed; install the extra 'judge'")
pytestmark = [pytest.mark.judge, pytest.mark.filterwarnings("ignore")]


def stepped(cell: Cell, capacity_scale: float, resistance_scale: float, current_A: Array) -> Array:
    """One cell, second by second, with the current of each second taken as the mean of its ends."""
    tau1_s, tau2_s, _ = physics.three_over_degC(cell.degC_nodes, DEGC)
    keep1, keep2 = physics.decay(1.0 / tau1_s), physics.decay(1.0 / tau2_s)
    capacity_Ah, soc, rc1_V, rc2_V = capacity_scale * cell.capacity_Ah, START_SOC, 0.0, 0.0
    voltage_V = np.empty(current_A.size)
    for k, now_A in enumerate(current_A):
        if k > 0:
            mean_A = 0.5 * (current_A[k - 1] + now_A)
            _, _, _, r1, r2 = physics.parameters(cell.nodes, soc, DEGC)
            rc1_V = physics.relax(rc1_V, mean_A, r1 * resistance_scale, keep1)
            rc2_V = physics.relax(rc2_V, mean_A, r2 * resistance_scale, keep2)
            soc = physics.count(soc, mean_A, capacity_Ah, 1.0)
        ocv_V, _, r0, _, _ = physics.parameters(cell.nodes, soc, DEGC)
        voltage_V[k] = physics.terminal_V(ocv_V, 0.0, rc1_V, rc2_V, r0 * resistance_scale, now_A)
    return voltage_V


@pytest.mark.parametrize("batch", [1, 3])
def test_unequal_cells_are_within_one_millivolt(batch: int) -> None:
    cell = compile_cell(load_cell("nmc_60"))
    current_A = cell.capacity_Ah * drive_C(SECONDS + 1, np.random.default_rng(5))
    scales = spread(5)
    judged_V = Peer(cell, current_A).voltages(*scales, batch)
    ours_V = np.array([stepped(cell, c, r, current_A) for c, r in zip(*scales, strict=True)])
    assert judged_V.shape == ours_V.shape
    assert np.ptp(judged_V[:, -1]) > TOLERANCE_V
    assert np.abs(judged_V - ours_V).max() < TOLERANCE_V
