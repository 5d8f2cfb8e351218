"""The estimator of one cell as a user of filterpy writes it: an ExtendedKalmanFilter with five states for each cell.

The same mathematics as `estimation.belief` for strings that are connected and heard, to 1e-9: the transition, noise and
Jacobian of every step are set on the filter, which does the rest.
"""

from __future__ import annotations

import importlib.util
import math

import numpy as np

from packhorse.cell import physics
from packhorse.cell.table import HYSTERESIS_V, MODEL_V
from packhorse.estimation import belief as core
from packhorse.pack.words import Array, Belief, Frames, Pack

INSTALL = "pip install -e '.[judge]'"
PAIRS = [(a, b) for a in range(5) for b in range(a, 5)]
LEAST = {0: core.SOC_SIGMA_LEAST**2, 1: 1e-12, 2: 1e-12, 3: 1e-10, 4: 1e-10}


def installed() -> bool:
    """Whether filterpy can be imported."""
    return importlib.util.find_spec("filterpy") is not None


class CellFilter:
    """One cell: a filterpy filter, and what follows from the current."""

    def __init__(self, pack: Pack, belief: Belief, s: int, k: int) -> None:
        from filterpy.kalman import ExtendedKalmanFilter  # noqa: PLC0415 - not installed everywhere

        self.pack = pack
        self.filter = ExtendedKalmanFilter(dim_x=5, dim_z=1)
        states = (belief.soc, belief.offset_A, belief.bias_V, belief.charge_factor, belief.resistance_factor)
        self.filter.x = np.array([[field[s, k]] for field in states])
        for row, (a, b) in enumerate(PAIRS):
            self.filter.P[a, b] = self.filter.P[b, a] = belief.covariance[s, row, k]
        self.usual, self.surprise = belief.usual_factor[s, k], belief.surprise[s, k]
        self.rc1_V, self.rc2_V = belief.rc1_V[s, k], belief.rc2_V[s, k]
        self.hysteresis, self.core_K = belief.hysteresis[s, k], belief.core_K[s, k]

    def step(self, string_A: float, cell_V: float, degC: float, dt_s: float) -> float:
        """SOC after one reading."""
        flowed_A, keep = self.predict(string_A, degC, dt_s)
        self.update(flowed_A, 1.0 - keep * keep, cell_V, degC, dt_s)
        return float(self.filter.x[0, 0])

    def predict(self, string_A: float, degC: float, dt_s: float) -> tuple[float, float]:
        """Count; the current [A], and what the bias keeps."""
        cell, ekf = self.pack.cell, self.filter
        soc, offset_A, bias_V, charge, resistance = ekf.x[:, 0]
        _, _, r0, r1, r2 = physics.parameters(cell.nodes, soc, degC)
        tau1_s, tau2_s, share = physics.three_over_degC(cell.degC_nodes, degC)
        efficiency = cell.coulombic_efficiency if string_A < 0.0 else 1.0
        i = (string_A - offset_A) * efficiency
        per_A = dt_s / (3600.0 * cell.capacity_Ah * share)
        moved = per_A * charge * i
        self.rc1_V = physics.relax(self.rc1_V, i, r1, math.exp(-dt_s / tau1_s))
        self.rc2_V = physics.relax(self.rc2_V, i, r2, math.exp(-dt_s / tau2_s))
        self.hysteresis = physics.hysteresis(self.hysteresis, i, cell.capacity_Ah * share, cell.hysteresis_rate, dt_s)
        warm = math.exp(-dt_s / cell.core_s)
        loss_W = resistance * i * (r0 * i + self.rc1_V + self.rc2_V)
        self.core_K = warm * self.core_K + (1.0 - warm) * cell.core_K_per_W * loss_W
        ko = math.exp(-dt_s / core.OFFSET_S)
        kb = math.exp(-(dt_s / cell.slow_s + abs(moved) / cell.slow_soc))
        kr = math.exp(-(dt_s / core.RESISTANCE_S + abs(moved) / core.RESISTANCE_SOC))
        self.usual += min(dt_s / core.USUAL_S, 1.0) * (resistance - self.usual)
        sensors = self.pack.sensors
        ekf.F = np.diag([1.0, ko, kb, 1.0, kr])
        ekf.F[0, 1], ekf.F[0, 3] = per_A * charge * efficiency, -per_A * i
        fresh = [(sensors.current_sigma_A * per_A) ** 2, (1.0 - ko * ko) * sensors.current_offset_A**2, 0.0]
        fresh += [core.AGEING_PER_S * dt_s, (1.0 - kr * kr) * cell.resistance_sigma**2]
        ekf.Q = np.diag(fresh)
        ekf.predict()
        soc = min(max(soc - moved - cell.self_discharge_per_s * dt_s, 0.0), 1.0)
        ekf.x[:, 0] = soc, ko * offset_A, kb * bias_V, charge, self.usual + kr * (resistance - self.usual)
        return i, kb

    def update(self, i: float, fresh: float, cell_V: float, degC: float, dt_s: float) -> None:
        """Correct by the surprise in the voltage."""
        cell, sensors, ekf = self.pack.cell, self.pack.sensors, self.filter
        soc, _, bias_V, _, resistance = ekf.x[:, 0]
        wide = max(core.WIDTH * math.sqrt(ekf.P[0, 0]), core.WIDTH_LEAST)
        above, below = min(soc + wide, 1.0), max(soc - wide, 0.0)
        ocv_V, _, r0, r1, r2 = physics.parameters(cell.nodes, soc, degC)
        above_V, below_V = (physics.at_node(cell.nodes, at, degC, 0) for at in (above, below))
        ekf.P[2, 2] += fresh * physics.at_node(cell.nodes, soc, degC, MODEL_V) ** 2 * self.surprise
        drop_V = r0 * i + self.rc1_V + self.rc2_V
        half_V = physics.at_node(cell.nodes, soc, degC, HYSTERESIS_V)
        expected_V = ocv_V + half_V * self.hysteresis - resistance * drop_V + bias_V
        slope_V = (above_V - below_V) / (above - below)
        h = np.array([[slope_V, resistance * (r0 + r1 + r2), 1.0, 0.0, -drop_V]])
        believed_V2 = float((h @ ekf.P @ h.T)[0, 0])
        bend_V = below_V + slope_V * (soc - below) - ocv_V
        apart_A = core.hidden_A(cell, dt_s) if abs(i) > core.REST_C * cell.capacity_Ah else 0.0
        brief_V2 = cell.fast_sigma_V**2 + (cell.fast_share * drop_V) ** 2 + ((r0 + r1) * apart_A) ** 2
        noise_V2 = sensors.cell_sigma_V**2 + max(cell.fast_s / dt_s, 1.0) * brief_V2 + bend_V**2
        missed_V2 = (cell_V - expected_V) ** 2
        ratio = min(missed_V2 / (believed_V2 + sensors.cell_sigma_V**2 + brief_V2), core.SURPRISE_MOST)
        spread_V2 = max(believed_V2 + noise_V2 * self.surprise, missed_V2 / core.GATE**2)
        keep = math.exp(-dt_s / core.SURPRISE_S)
        self.surprise = max(keep * self.surprise + (1.0 - keep) * ratio, 1.0)
        ekf.update(np.array([[cell_V]]), lambda _: h, lambda _: np.array([[expected_V]]), R=spread_V2 - believed_V2)
        ekf.x[0, 0], ekf.x[4, 0] = min(max(ekf.x[0, 0], 0.0), 1.0), min(max(ekf.x[4, 0], 0.2), 5.0)
        for a, least in LEAST.items():
            ekf.P[a, a] = max(ekf.P[a, a], least)


def replay(pack: Pack, belief: Belief, frames: Frames) -> Array:
    """SOC of every sample, (times, strings, series); frames one second apart."""
    cells = [(s, k, CellFilter(pack, belief, s, k)) for s in range(pack.strings) for k in range(pack.series)]
    soc = np.empty(frames.cell_V.shape)
    for t in range(soc.shape[0]):
        for s, k, one in cells:
            degC = frames.probe_degC[t, s, pack.probe_of_cell[k]]
            soc[t, s, k] = one.step(float(frames.string_A[t, s]), float(frames.cell_V[t, s, k]), float(degC), 1.0)
    return soc
