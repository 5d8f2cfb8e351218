"""A made-up laboratory: what a tester would have measured of a cell of the catalogue, by the cell's own equations."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import polars as pl

from packhorse.cell import physics
from packhorse.io.cell_logs import CellLog
from packhorse.pack.compile import compile_cell
from packhorse.pack.load import load_cell
from packhorse.pack.words import Array, Cell

CELL = "nmc_60"
REST, SLOW = 0.0, 1.0 / 20.0
"""Currents in 1/h of the capacity."""
NOISE_V = 0.0005
"""What a good tester adds."""


@functools.cache
def cell() -> Cell:
    """The true cell."""
    return compile_cell(load_cell(CELL))


def capacity_Ah(degC: float) -> float:
    """Its true capacity at a temperature."""
    return cell().capacity_Ah * physics.over_degC(cell().degC_nodes, degC, 2)


def measured(
    name: str, time_s: Array, current_A: Array, degC: float, soc: float, share: float = 1.0, resistance: float = 1.0
) -> CellLog:
    """The log of a cell at rest that is given a current; aged where it has not all its capacity or more resistance."""
    true, size_Ah = cell(), share * capacity_Ah(degC)
    tau1_s, tau2_s, _ = physics.three_over_degC(true.degC_nodes, degC)
    dice = np.random.default_rng(sum(map(ord, name)))
    rc1_V, rc2_V = 0.0, 0.0
    cell_V = np.empty(time_s.size)
    for k in range(time_s.size):
        dt_s = time_s[k] - time_s[k - 1] if k else 0.0
        soc = physics.count(soc, current_A[k], size_Ah, dt_s)
        ocv_V, _, r0, r1, r2 = physics.parameters(true.nodes, soc, degC)
        rc1_V = physics.relax(rc1_V, current_A[k], r1, np.exp(-dt_s / tau1_s))
        rc2_V = physics.relax(rc2_V, current_A[k], r2, np.exp(-dt_s / tau2_s))
        cell_V[k] = ocv_V - resistance * (rc1_V + rc2_V + r0 * current_A[k])
    cell_V += NOISE_V * dice.standard_normal(time_s.size)
    return CellLog(name, time_s, current_A, cell_V, np.full(time_s.size, degC))


def played(parts: list[tuple[float, float, float]], size_Ah: float) -> tuple[Array, Array]:
    """Times and currents of parts, each a current [1/h of the capacity], how long [s] and from row to row [s]."""
    time_s, current_A = [np.zeros(1)], [np.zeros(1)]
    for rate, length_s, step_s in parts:
        rows = max(1, round(length_s / step_s))
        time_s.append(time_s[-1][-1] + length_s / rows * np.arange(1, rows + 1))
        current_A.append(np.full(rows, rate * size_Ah))
    return np.concatenate(time_s), np.concatenate(current_A)


def slow(degC: float) -> CellLog:
    """C/20 from full to empty and back."""
    size_Ah = capacity_Ah(degC)
    hours = 1.0 / SLOW
    parts = [(SLOW, 3600.0 * hours, 60.0), (REST, 3600.0, 60.0), (-SLOW, 3600.0 * hours, 60.0), (REST, 3600.0, 60.0)]
    return measured(f"slow_{degC:g}", *played(parts, size_Ah), degC, 1.0)


def pulses(degC: float) -> CellLog:
    """A pulse each way at nine places, with a discharge of a tenth and a rest between them."""
    place = [(REST, 60.0, 1.0), (1.0, 10.0, 1.0), (REST, 60.0, 1.0), (-0.75, 10.0, 1.0), (REST, 60.0, 1.0)]
    onward = [(1.0, 340.0, 2.0), (REST, 1200.0, 10.0)]
    return measured(f"pulses_{degC:g}", *played((place + onward) * 9, capacity_Ah(degC)), degC, 1.0)


def drive(degC: float, seed: int = 1) -> CellLog:
    """An hour and a half of a vehicle: random currents of seconds to half a minute, from full to nearly empty."""
    dice = np.random.default_rng(seed)
    parts = [(REST, 30.0, 1.0)]
    left = 0.85
    while left > 0.0:
        rate, length_s = float(dice.choice([2.0, 1.2, 0.6, 0.2, 0.0, -0.8])), float(dice.integers(3, 30))
        parts.append((rate, length_s, 1.0))
        left -= rate * length_s / 3600.0
    return measured(f"drive_{degC:g}_{seed}", *played(parts, capacity_Ah(degC)), degC, 1.0)


def discharge(degC: float) -> CellLog:
    """1C from full to nearly empty."""
    return measured(
        f"discharge_{degC:g}", *played([(1.0, 3300.0, 5.0), (REST, 600.0, 5.0)], capacity_Ah(degC)), degC, 1.0
    )


def write(log: CellLog, folder: Path) -> Path:
    """A log as a file in our own names."""
    path = folder / f"{log.name}.parquet"
    columns = {"time_s": log.time_s, "current_A": log.current_A, "cell_V": log.cell_V, "cell_degC": log.cell_degC}
    pl.DataFrame(columns).write_parquet(path)
    return path
