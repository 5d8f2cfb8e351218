"""What an estimate promises of power and energy, held against the cell that was measured."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

import laboratory
from packhorse.cell import physics
from packhorse.estimation.power import HORIZONS_S
from packhorse.io.cell_logs import CellLog
from packhorse.lab.estimate import Estimates, estimate
from packhorse.lab.score.perturb import coarse
from packhorse.pack.load import load_cell
from packhorse.pack.words import Array

WARM, COLD = 25.0, -5.0
FREEZING = -15.0
"""Below the temperatures for charging."""
SIGN = {"discharge": 1.0, "charge": -1.0}
STEP_S = 0.5


@functools.cache
def log(degC: float) -> CellLog:
    return laboratory.drive(degC)


@functools.cache
def found(degC: float, initial_soc: float | None = 1.0) -> Estimates:
    return estimate(load_cell(laboratory.CELL), log(degC), initial_soc)


def power(estimates: Estimates, way: str) -> Array:
    """(times, horizons)"""
    return np.stack([getattr(estimates, f"sop_{way}_{horizon:g}s_W") for horizon in HORIZONS_S], axis=1)


@pytest.mark.parametrize("way", SIGN)
@pytest.mark.parametrize("degC", [WARM, COLD])
def test_power_is_never_negative_and_does_not_rise_with_the_horizon(degC: float, way: str) -> None:
    watts = power(found(degC), way)
    assert np.all(watts >= 0.0)
    assert np.all(np.diff(watts, axis=1) <= 0.0)
    assert watts[1500:-300, 0].min() > 0.0


def test_a_full_cell_takes_nothing_and_a_freezing_one_is_not_charged() -> None:
    assert power(found(WARM), "charge")[0, -1] == 0.0
    assert not power(found(FREEZING), "charge").any()
    assert power(found(FREEZING), "discharge").any()


@pytest.mark.parametrize("way", SIGN)
def test_power_is_smaller_in_the_cold_and_never_beyond_the_rating(way: str) -> None:
    described = load_cell(laboratory.CELL)
    warm, cold = power(found(WARM), way), power(found(COLD), way)
    rows = slice(300, min(len(warm), len(cold)) - 300)
    assert np.mean(cold[rows]) < 0.8 * np.mean(warm[rows])
    over = described.over_temperature
    rated_A = max(over.discharge_10s_A if way == "discharge" else over.charge_10s_A)
    assert warm.max() <= rated_A * described.max_V


@pytest.mark.parametrize("way", SIGN)
def test_a_wider_doubt_of_the_charge_allows_less(way: str) -> None:
    sure, unsure = found(WARM), found(WARM, None)
    wider = (unsure.soc_sigma > 1.5 * sure.soc_sigma) & (np.abs(unsure.soc - sure.soc) < 0.3 * unsure.soc_sigma)
    longest = (power(unsure, way) <= power(sure, way) * 1.01)[:, -1]
    assert np.all(longest[wider])


def test_energy_falls_as_it_is_drawn() -> None:
    energy_Wh, at = found(WARM).soe_Wh, np.arange(100, log(WARM).time_s.size, 600)
    drawn_Wh = np.cumsum(log(WARM).current_A * log(WARM).cell_V) / 3600.0
    assert np.all(np.diff(energy_Wh[at]) < 0.0)
    given_Wh, taken_Wh = energy_Wh[at[0]] - energy_Wh[at], drawn_Wh[at] - drawn_Wh[at[0]]
    assert np.abs(given_Wh - taken_Wh).max() < 0.05 * energy_Wh[0]
    assert np.all(found(COLD).soe_Wh[100:4000] < energy_Wh[100:4000])


def test_a_drive_of_hours_does_not_age_a_new_cell() -> None:
    for health in (found(WARM).capacity_health, found(WARM).resistance_health):
        assert np.all(health == 1.0)
    assert np.all(found(WARM).usable_health == 1.0)
    assert np.all(found(COLD).usable_health < 0.97)


def held(row: int, degC: float, watts: float, horizon_s: float) -> tuple[Array, float]:
    """Voltages of the true cell that holds a power from a row of the log on, and its SOC at the end."""
    true, size_Ah, driven = laboratory.cell(), laboratory.capacity_Ah(degC), log(degC)
    tau1_s, tau2_s, _ = physics.three_over_degC(true.degC_nodes, degC)
    soc, rc1_V, rc2_V, current_A, cell_V = 1.0, 0.0, 0.0, 0.0, []
    steps_s = [*np.diff(driven.time_s[: row + 1], prepend=driven.time_s[0]), *[STEP_S] * round(horizon_s / STEP_S)]
    for k, dt_s in enumerate(steps_s):
        if k <= row:
            current_A = driven.current_A[k]
        soc = physics.count(soc, current_A, size_Ah, dt_s)
        ocv_V, _, r0, r1, r2 = physics.parameters(true.nodes, soc, degC)
        rc1_V = physics.relax(rc1_V, current_A, r1, math.exp(-dt_s / tau1_s))
        rc2_V = physics.relax(rc2_V, current_A, r2, math.exp(-dt_s / tau2_s))
        if k >= row:
            for _ in range(20):
                current_A = watts / physics.terminal_V(ocv_V, 0.0, rc1_V, rc2_V, r0, current_A)
            cell_V.append(physics.terminal_V(ocv_V, 0.0, rc1_V, rc2_V, r0, current_A))
    return np.array(cell_V), soc


@pytest.mark.parametrize("way", SIGN)
@pytest.mark.parametrize("degC", [WARM, COLD])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.98])
def test_the_cell_that_was_measured_keeps_what_was_promised(share: float, degC: float, way: str) -> None:
    true, row = laboratory.cell(), int(share * log(degC).time_s.size)
    for n, horizon_s in enumerate(HORIZONS_S):
        watts = power(found(degC), way)[row, n]
        cell_V, soc = held(row, degC, SIGN[way] * watts, horizon_s)
        assert true.min_V <= cell_V.min() <= cell_V.max() <= true.max_V
        assert 0.0 <= soc <= 1.0


@pytest.mark.parametrize("burst_C", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("degC", [WARM, -10.0])
def test_the_voltage_of_an_instant_beside_a_mean_current_moves_the_soc_little(degC: float, burst_C: float) -> None:
    """Half minutes that end in a burst: a slow logger stores its voltage, and a tenth of its current."""
    bursts = [(0.0, 27.0, 1.0), (burst_C, 3.0, 1.0), *4 * [(0.0, 27.0, 1.0), (burst_C / 3.0, 3.0, 1.0)]]
    size_Ah = laboratory.capacity_Ah(degC)
    every_second = laboratory.measured("bursts", *laboratory.played(bursts, size_Ah), degC, 0.9)
    moved_Ah = np.cumsum(every_second.current_A * np.diff(every_second.time_s, prepend=0.0)) / 3600.0
    stored, soc = coarse(every_second, 0.9 - moved_Ah / size_Ah)
    said = estimate(load_cell(laboratory.CELL), stored, 0.9)
    assert np.all(np.abs(said.soc - soc) < 2.0 * said.soc_sigma)
