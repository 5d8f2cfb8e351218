"""Two plain estimators on the same cell file, so that a reader sees what the effort beyond them buys.

- Coulomb counting: SOC from the first voltage, then charge is counted. What many products do.
- A textbook extended Kalman filter: OCV, R0 and two RC pairs, fixed noises; G. L. Plett, J. Power Sources 134 (2004)
  277-292, doi 10.1016/j.jpowsour.2004.02.033.
"""

from __future__ import annotations

import numpy as np

from packhorse.cell import physics
from packhorse.cell.table import HYSTERESIS_V
from packhorse.compiled import compiled
from packhorse.io.cell_logs import CellLog
from packhorse.lab.score.words import Estimated, Estimator
from packhorse.pack.compile import compile_cell
from packhorse.pack.description import CellFile
from packhorse.pack.words import Array, Cell

VOLT_SIGMA_V = 0.010
CURRENT_SIGMA_C = 0.01
"""Of the current, in 1/h of the capacity (assumed)."""
RC_SIGMA_V = 1e-4
START_SIGMA, GUESS_SIGMA = 0.1, 0.3
"""Of a start that is told, and of one taken from the first voltage (assumed)."""


def coulomb_counting(cell_file: CellFile) -> Estimator:
    """SOC from the first voltage (what is told of the start is not used), then counted. Has no sigma."""
    cell = compile_cell(cell_file)

    def estimate(log: CellLog, initial_soc: float | None) -> Estimated:  # noqa: ARG001 - the first voltage is its start
        return _told(log, count(cell, *log[1:]), np.full(log.time_s.size, np.nan))

    return estimate


def textbook_filter(cell_file: CellFile) -> Estimator:
    """The textbook filter."""
    cell = compile_cell(cell_file)

    def estimate(log: CellLog, initial_soc: float | None) -> Estimated:
        soc, variance = follow(cell, *log[1:], np.nan if initial_soc is None else initial_soc)
        return _told(log, soc, np.sqrt(variance))

    return estimate


def _told(log: CellLog, soc: Array, sigma: Array) -> Estimated:
    nothing = np.full(log.time_s.size, np.nan)
    return Estimated(log.time_s, soc, sigma, nothing, nothing, nothing, nothing)


@compiled
def soc_of(cell: Cell, cell_V: float, current_A: float, degC: float) -> float:
    """SOC whose OCV, less the drop over R0, is the voltage heard; by bisection, since the OCV rises with SOC."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        ocv_V, _slope, r0, _r1, _r2 = physics.parameters(cell.nodes, middle, degC)
        if ocv_V - r0 * current_A < cell_V:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@compiled
def known_or(value: float, otherwise: float) -> float:
    """A reading, or what is taken where there is none."""
    return value if value == value else otherwise  # noqa: PLR0124 - NaN, said so that it compiles anywhere


@compiled
def count(cell: Cell, time_s: Array, current_A: Array, cell_V: Array, cell_degC: Array) -> Array:
    """SOC by counting from the first voltage, (times,)."""
    soc = np.empty(time_s.size)
    x = soc_of(cell, known_or(cell_V[0], cell.min_V), known_or(current_A[0], 0.0), known_or(cell_degC[0], 25.0))
    soc[0] = x
    for k in range(1, time_s.size):
        share = physics.over_degC(cell.degC_nodes, known_or(cell_degC[k], 25.0), 2)
        i = known_or(current_A[k], 0.0)
        i = i * cell.coulombic_efficiency if i < 0.0 else i
        x = physics.count(x, i, share * cell.capacity_Ah, time_s[k] - time_s[k - 1])
        soc[k] = x
    return soc


@compiled
def follow(
    cell: Cell, time_s: Array, current_A: Array, cell_V: Array, cell_degC: Array, start: float
) -> tuple[Array, Array]:
    """SOC and its variance by the filter, (times,) each. State (SOC, rc1_V, rc2_V); hysteresis is carried along."""
    soc, variance = np.empty(time_s.size), np.empty(time_s.size)
    guess = soc_of(cell, known_or(cell_V[0], cell.min_V), known_or(current_A[0], 0.0), known_or(cell_degC[0], 25.0))
    x = np.array([known_or(start, guess), 0.0, 0.0])
    first = START_SIGMA if start == start else GUESS_SIGMA  # noqa: PLR0124
    p = np.diag(np.array([first * first, 1e-6, 1e-6]))
    h, degC = 0.0, 25.0
    keep, slope = np.ones(3), np.empty(3)
    for k in range(time_s.size):
        degC = known_or(cell_degC[k], degC)
        dt_s = time_s[k] - time_s[k - 1] if k > 0 else 0.0
        i = known_or(current_A[k], 0.0)
        charge = i * cell.coulombic_efficiency if i < 0.0 else i
        tau1_s, tau2_s, share = physics.three_over_degC(cell.degC_nodes, degC)
        capacity_Ah = share * cell.capacity_Ah
        _, _, _, r1, r2 = physics.parameters(cell.nodes, x[0], degC)
        keep[1], keep[2] = physics.decay(dt_s / tau1_s), physics.decay(dt_s / tau2_s)
        x[0] = physics.count(x[0], charge, capacity_Ah, dt_s)
        x[1], x[2] = physics.relax(x[1], i, r1, keep[1]), physics.relax(x[2], i, r2, keep[2])
        h = physics.hysteresis(h, i, capacity_Ah, cell.hysteresis_rate, dt_s)
        for a in range(3):
            for b in range(3):
                p[a, b] *= keep[a] * keep[b]
        drift = CURRENT_SIGMA_C * dt_s / physics.SECONDS_PER_HOUR
        p[0, 0] += drift * drift
        p[1, 1] += RC_SIGMA_V * RC_SIGMA_V * dt_s
        p[2, 2] += RC_SIGMA_V * RC_SIGMA_V * dt_s
        if cell_V[k] == cell_V[k]:
            ocv_V, slope[0], r0, _, _ = physics.parameters(cell.nodes, x[0], degC)
            slope[1], slope[2] = -1.0, -1.0
            half_V = physics.at_node(cell.nodes, x[0], degC, HYSTERESIS_V)
            surprise_V = cell_V[k] - physics.terminal_V(ocv_V, half_V * h, x[1], x[2], r0, i)
            across = (p * slope).sum(axis=1)  # Numba's matrix product would ask for SciPy
            spread_V2 = (slope * across).sum() + VOLT_SIGMA_V * VOLT_SIGMA_V
            x += across * (surprise_V / spread_V2)
            p -= np.outer(across, across) / spread_V2
            x[0] = min(max(x[0], 0.0), 1.0)
        soc[k], variance[k] = x[0], max(p[0, 0], 1e-10)
    return soc, variance
