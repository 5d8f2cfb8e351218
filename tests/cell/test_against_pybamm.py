"""The cell's equations, stepped second by second, against PyBaMM's Thevenin model on the same tables."""

from __future__ import annotations

import numpy as np
import pytest

from packhorse.cell import physics
from packhorse.pack.compile import compile_cell
from packhorse.pack.load import load_cell, names
from packhorse.pack.words import Array, Cell

pytest.importorskip("pybamm", reason="PyBaMM is not installed; install the extra 'judge'")
from judge_pybamm import thevenin

pytestmark = [pytest.mark.judge, pytest.mark.filterwarnings("ignore")]

SECONDS = 3600
DISCHARGE_10S = 5


def drive(cell: Cell, degC: float, seconds: int = SECONDS) -> Array:
    """An hour of pulls, braking and stops of random length and strength, up to the ten-second rating, seeded."""
    dice = np.random.default_rng(7)
    rate: list[float] = []
    while len(rate) < seconds:
        strength = dice.choice([0.0, dice.uniform(0.2, 2.0), dice.uniform(0.2, 2.0), -dice.uniform(0.1, 1.0)])
        rate += [float(strength)] * int(dice.integers(3, 60))
    smooth = np.convolve(rate[: seconds + 1], np.ones(3) / 3, mode="same")
    half_A = 0.5 * physics.over_degC(cell.degC_nodes, degC, DISCHARGE_10S)
    return half_A * np.pad(smooth, (0, seconds + 1 - smooth.size), mode="edge")


def stepped(cell: Cell, degC: float, soc: float, current_A: Array, entropy_V_per_K: float) -> tuple[Array, Array]:
    """Voltage and heat at every second, with the current of each second taken as the mean of its ends."""
    tau1_s, tau2_s, _ = physics.three_over_degC(cell.degC_nodes, degC)
    keep1, keep2 = physics.decay(1.0 / tau1_s), physics.decay(1.0 / tau2_s)
    rc1_V = rc2_V = 0.0
    voltage_V, heat_W = np.empty(current_A.size), np.empty(current_A.size)
    for k, now_A in enumerate(current_A):
        if k > 0:
            mean_A = 0.5 * (current_A[k - 1] + now_A)
            _, _, _, r1, r2 = physics.parameters(cell.nodes, soc, degC)
            rc1_V = physics.relax(rc1_V, mean_A, r1, keep1)
            rc2_V = physics.relax(rc2_V, mean_A, r2, keep2)
            soc = physics.count(soc, mean_A, cell.capacity_Ah, 1.0)
        ocv_V, _, r0, _, _ = physics.parameters(cell.nodes, soc, degC)
        voltage_V[k] = physics.terminal_V(ocv_V, 0.0, rc1_V, rc2_V, r0, now_A)
        heat_W[k] = physics.heat_W(now_A, ocv_V - voltage_V[k], entropy_V_per_K, degC)
    return voltage_V, heat_W


@pytest.mark.parametrize("degC", [-8.0, 25.0, 43.0])
@pytest.mark.parametrize("name", names("cells"))
def test_an_hour_of_driving_is_within_one_millivolt_of_pybamm(name: str, degC: float) -> None:
    cell = compile_cell(load_cell(name))
    current_A = drive(cell, degC)
    time_s = np.arange(current_A.size, dtype=np.float64)
    entropy_V_per_K = 0.0002
    judged = thevenin(cell, degC, 0.9, time_s, current_A, entropy_V_per_K)
    voltage_V, heat_W = stepped(cell, degC, 0.9, current_A, entropy_V_per_K)
    worst_V = np.abs(voltage_V - judged["voltage_V"]).max()
    worst_W = np.abs(heat_W - judged["heat_W"]).max()
    print(f"{name} at {degC:g} degC: {1e3 * worst_V:.4f} mV, heat {1e2 * worst_W / np.abs(heat_W).max():.4f} %")
    assert judged["soc"].min() > 0.05
    assert np.ptp(judged["soc"]) > 0.1
    assert worst_V <= 1e-3
    assert worst_W <= 0.01 * np.abs(heat_W).max()
