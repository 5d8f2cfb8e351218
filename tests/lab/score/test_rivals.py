"""The rivals on a cell that is exactly their model: they must be right there, or the comparison is worth nothing."""

import math

import numpy as np
import pytest

import stand_in
from packhorse.io.cell_logs import CellLog
from packhorse.lab.score.rivals import (
    CURRENT_SIGMA_C,
    RC_SIGMA_V,
    START_SIGMA,
    VOLT_SIGMA_V,
    coulomb_counting,
    textbook_filter,
)
from packhorse.lab.training import Training
from packhorse.pack.compile import compile_cell
from packhorse.pack.description import CellFile


def slow() -> CellLog:
    """A cell of 3 Ah with a curved OCV from 3.0 to 4.15 V, discharged and charged at C/20."""
    soc = np.concatenate([np.linspace(1.0, 0.0, 1201), np.zeros(10), np.linspace(0.0, 1.0, 1201)])
    current_A = np.concatenate([np.full(1201, 0.15), np.zeros(10), np.full(1201, -0.15)])
    return CellLog("slow", 60.0 * np.arange(soc.size), current_A, 3.0 + 0.9 * soc + 0.25 * soc**3, np.full(2412, 25.0))


def cell_file() -> CellFile:
    return stand_in.identify(Training([slow()], [], [], [], "nmc"))


def drive(cell_file: CellFile, start: float, rows: int = 5000) -> tuple[CellLog, np.ndarray]:
    """Voltage of the very model the filter has, from plain textbook lines."""
    cell = compile_cell(cell_file)
    time_s = np.arange(rows, dtype=np.float64)
    current_A = 1.2 + 2.0 * np.sin(time_s / 20.0) * np.cos(time_s / 171.0)
    current_A[0] = 0.0
    soc = start - np.concatenate([[0.0], np.cumsum(current_A[1:])]) / 3600.0 / cell.capacity_Ah
    _, r0, r1, r2 = cell.nodes[13, 100, :4]
    volts, v1, v2 = np.empty(rows), 0.0, 0.0
    grid = np.linspace(0.0, 1.0, cell.nodes.shape[1])
    for k in range(rows):
        v1 += (1.0 - math.exp(-1.0 / 5.0)) * (r1 * current_A[k] - v1)
        v2 += (1.0 - math.exp(-1.0 / 80.0)) * (r2 * current_A[k] - v2)
        volts[k] = np.interp(soc[k], grid, cell.nodes[13, :, 0]) - r0 * current_A[k] - v1 - v2
    return CellLog("drive", time_s, current_A, volts, np.full(rows, 25.0)), soc


def test_the_stand_in_gives_the_slow_test_back() -> None:
    made = cell_file()
    assert made.capacity_Ah == pytest.approx(3.0, rel=2e-3)
    assert np.interp(0.5, made.ocv.soc, made.ocv.ocv_V[0]) == pytest.approx(3.0 + 0.45 + 0.25 / 8, abs=2e-3)


def test_counting_from_the_first_voltage_is_exact_on_its_own_cell_and_takes_no_hint() -> None:
    log, soc = drive(cell_file(), 0.9)
    told = coulomb_counting(cell_file())(log, 0.2)
    assert np.max(np.abs(told.soc - soc)) < 2e-3
    assert np.all(np.isnan(told.soc_sigma))


@pytest.mark.parametrize("start", [None, 0.9, 0.6])
def test_the_filter_finds_the_truth_from_any_start(start: float | None) -> None:
    log, soc = drive(cell_file(), 0.9)
    told = textbook_filter(cell_file())(log, start)
    assert np.max(np.abs(told.soc - soc)[600:]) < 3e-3
    assert np.all(told.soc_sigma > 0.0)
    assert told.soc_sigma[-1] < told.soc_sigma[0]


def test_the_filter_goes_on_through_what_is_not_heard() -> None:
    log, soc = drive(cell_file(), 0.9)
    holes = log._replace(cell_V=np.where(np.arange(5000) % 7 == 3, np.nan, log.cell_V))
    holes.cell_degC[100:200] = np.nan
    told = textbook_filter(cell_file())(holes, 0.9)
    assert np.max(np.abs(told.soc - soc)) < 3e-3


def by_matrices(cell_file: CellFile, log: CellLog, start: float) -> tuple[np.ndarray, np.ndarray]:
    """The filter once more, in matrices and plain NumPy, for one temperature; SOC and its sigma."""
    cell = compile_cell(cell_file)
    grid = np.linspace(0.0, 1.0, cell.nodes.shape[1])
    _, r0, r1, r2 = cell.nodes[13, 100, :4]
    x, p = np.array([start, 0.0, 0.0]), np.diag([START_SIGMA**2, 1e-6, 1e-6])
    found = []
    for k in range(log.time_s.size):
        dt_s = 0.0 if k == 0 else log.time_s[k] - log.time_s[k - 1]
        f = np.diag([1.0, math.exp(-dt_s / 5.0), math.exp(-dt_s / 80.0)])
        push = np.array([-dt_s / 3600.0 / cell.capacity_Ah, (1.0 - f[1, 1]) * r1, (1.0 - f[2, 2]) * r2])
        x = f @ x + push * log.current_A[k]
        drift = CURRENT_SIGMA_C * dt_s / 3600.0
        p = f @ p @ f.T + np.diag([drift**2, RC_SIGMA_V**2 * dt_s, RC_SIGMA_V**2 * dt_s])
        i = min(int(x[0] * 200.0), 199)
        h = np.array([200.0 * (cell.nodes[13, i + 1, 0] - cell.nodes[13, i, 0]), -1.0, -1.0])
        expected_V = np.interp(x[0], grid, cell.nodes[13, :, 0]) - x[1] - x[2] - r0 * log.current_A[k]
        gain = p @ h / (h @ p @ h + VOLT_SIGMA_V**2)
        x = x + gain * (log.cell_V[k] - expected_V)
        p = (np.eye(3) - np.outer(gain, h)) @ p
        found.append((x[0], math.sqrt(p[0, 0])))
    return tuple(np.array(found).T)  # type: ignore[return-value]


def test_the_filter_is_the_textbooks_written_in_matrices() -> None:
    log, _ = drive(cell_file(), 0.9, 800)
    told = textbook_filter(cell_file())(log, 0.7)
    soc, sigma = by_matrices(cell_file(), log, 0.7)
    np.testing.assert_allclose(told.soc, soc, atol=1e-6)
    np.testing.assert_allclose(told.soc_sigma, sigma, rtol=1e-4)


def test_an_offset_pulls_the_counter_away_and_the_filter_less() -> None:
    log, soc = drive(cell_file(), 0.9)
    off = log._replace(current_A=log.current_A + 0.2)
    counted, filtered = (build(cell_file())(off, 0.9).soc[-1] for build in (coulomb_counting, textbook_filter))
    assert soc[-1] - counted == pytest.approx(0.2 * 5000 / 3600 / 3.0, rel=0.1)
    assert abs(filtered - soc[-1]) < 0.5 * abs(counted - soc[-1])
