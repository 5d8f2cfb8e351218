"""Energy left: against closed forms, against a discharge stepped second by second, and in the right direction."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.cell import physics
from packhorse.compiled import compiled
from packhorse.estimation.energy import ASSUMED_RATE_C, drawn, string_energy
from packhorse.pack.compile import SOC_GRID, compile_cell
from packhorse.pack.load import load_cell, names
from packhorse.pack.words import Cell

CELLS = {name: compile_cell(load_cell(name)) for name in names("cells")}
SURE = (0.0, 0.0, 0.0)
quick = settings(max_examples=200, deadline=None)
name = st.sampled_from(sorted(CELLS))
degC = st.floats(-30, 55)
soc = st.floats(0, 1)


@compiled
def stepped_Wh(
    cell: Cell,
    soc: float,
    degC: float,
    capacity: float,
    resistance: float,
    current_A: float,
    settled: bool,
    floor_V: float,
) -> float:
    """Energy of one cell discharged, in seconds, until it is empty or falls to `floor_V`.

    It starts from rest, or with its RC pairs settled at this current.
    """
    tau1_s, tau2_s, share = physics.three_over_degC(cell.degC_nodes, degC)
    capacity_Ah = capacity * share * cell.capacity_Ah
    keep1, keep2 = math.exp(-1.0 / tau1_s), math.exp(-1.0 / tau2_s)
    _, _, _, r1, r2 = physics.parameters(cell.nodes, soc, degC)
    rc1_V, rc2_V = (current_A * r1 * resistance, current_A * r2 * resistance) if settled else (0.0, 0.0)
    energy_Wh = 0.0
    h = -1.0
    while soc > 0.0:
        ocv_V, _, r0, r1, r2 = physics.parameters(cell.nodes, soc, degC)
        rc1_V = physics.relax(rc1_V, current_A, r1 * resistance, keep1)
        rc2_V = physics.relax(rc2_V, current_A, r2 * resistance, keep2)
        hysteresis_V = h * physics.at_node(cell.nodes, soc, degC, 4)
        v = physics.terminal_V(ocv_V, hysteresis_V, rc1_V, rc2_V, r0 * resistance, current_A)
        if v < floor_V:
            break
        energy_Wh += v * current_A / 3600.0
        soc = physics.count(soc, current_A, capacity_Ah, 1.0)
    return energy_Wh


def energy(
    cell: Cell,
    degC: float = 25.0,
    weakest: tuple[float, float, float] = (0.8, 1.0, 1.0),
    sigma: tuple[float, float, float] = SURE,
    mean: tuple[float, float, float] | None = None,
    rate_C: float = ASSUMED_RATE_C,
    series: int = 1,
) -> tuple[float, float]:
    return string_energy(cell, series, degC, weakest, sigma, mean or weakest, rate_C)


@pytest.mark.parametrize("which", sorted(CELLS))
def test_without_load_a_full_cell_gives_the_area_under_its_curve(which: str) -> None:
    cell = CELLS[which]
    curve_V = cell.nodes[13, :, 0] - cell.nodes[13, :, 4]
    area_kWh = float(np.trapezoid(curve_V, SOC_GRID)) * cell.capacity_Ah / 1000
    assert energy(cell, weakest=(1.0, 1.0, 1.0), rate_C=0.0)[0] == pytest.approx(area_kWh, rel=1e-9)
    assert energy(cell, weakest=(1.0, 1.0, 1.0), rate_C=0.0, series=192)[0] == pytest.approx(192 * area_kWh, rel=1e-9)


@given(name, soc, soc)
@quick
def test_energy_from_one_soc_to_another_adds_up(which: str, a: float, b: float) -> None:
    cell = CELLS[which]
    high, low = max(a, b), min(a, b)
    whole = drawn(cell, high, 25.0, 100.0, 1.0, 30.0, math.inf, -math.inf)
    upper = drawn(cell, high, 25.0, 100.0, 1.0, 30.0, (high - low) * 100.0, -math.inf)
    lower = drawn(cell, low, 25.0, 100.0, 1.0, 30.0, math.inf, -math.inf)
    assert upper[0] == pytest.approx((high - low) * 100.0, abs=1e-9)
    assert np.add(upper, lower) == pytest.approx(whole, rel=1e-9, abs=1e-9)


@given(name, st.floats(0.2, 1), st.floats(-20, 55), st.floats(0.7, 1.0), st.floats(1, 1.5), st.floats(0.1, 0.6))
@settings(max_examples=100, deadline=None)
def test_a_cell_discharged_step_by_step_gives_what_was_said(
    which: str, soc: float, degC: float, capacity: float, resistance: float, rate_C: float
) -> None:
    cell = CELLS[which]
    said_Wh = 1000 * energy(cell, degC, (soc, capacity, resistance), rate_C=rate_C)[0]
    higher_Wh, lower_Wh, rested_Wh = (
        stepped_Wh(cell, soc, degC, capacity, resistance, rate_C * cell.capacity_Ah, settled, cell.min_V + apart_V)
        for settled, apart_V in ((True, 0.05), (True, -0.05), (False, -0.05))
    )
    # resistance changes while the cell empties and the RC pairs follow late: where the voltage runs along the lowest,
    # that decides when it ends, so what was said lies between the discharges to 50 mV above it and below it
    slack_Wh = 0.005 * cell.capacity_Ah * cell.max_V
    assert higher_Wh - slack_Wh <= said_Wh <= lower_Wh + 0.1 * slack_Wh
    assert rested_Wh >= said_Wh - 0.1 * slack_Wh


@given(name, degC, soc, st.floats(0, 0.3), st.floats(0.5, 1.1), st.floats(0, 0.3), st.floats(0.5, 3), st.floats(0, 1))
@quick
def test_less_charge_less_capacity_or_more_resistance_never_gives_more(
    which: str, degC: float, soc: float, less: float, capacity: float, faded: float, resistance: float, more: float
) -> None:
    cell = CELLS[which]
    best = energy(cell, degC, (soc, capacity, resistance))[0]
    assert best >= 0
    for worse in (
        (max(0.0, soc - less), capacity, resistance),
        (soc, capacity * (1 - faded), resistance),
        (soc, capacity, resistance + more),
    ):
        assert energy(cell, degC, worse)[0] <= best + 1e-12
    assert energy(cell, degC, (soc, capacity, resistance), rate_C=ASSUMED_RATE_C + more)[0] <= best + 1e-12


@given(name, st.floats(0.1, 0.9), st.floats(0, 0.1))
@quick
def test_the_weakest_cell_ends_it_for_all_and_the_others_give_no_less_voltage(
    which: str, weakest: float, ahead: float
) -> None:
    cell = CELLS[which]
    alone = energy(cell, weakest=(weakest, 1.0, 1.0))[0]
    among_stronger = energy(cell, weakest=(weakest, 1.0, 1.0), mean=(weakest + ahead, 1.0, 1.0))[0]
    assert alone <= among_stronger * (1 + 1e-12) <= energy(cell, weakest=(weakest + ahead, 1.0, 1.0))[0] * (1 + 1e-9)


@pytest.mark.parametrize("which", sorted(CELLS))
def test_the_cold_takes_energy_away(which: str) -> None:
    given_kWh = [energy(CELLS[which], float(degC))[0] for degC in (-25, -10, 0, 10, 25)]
    assert np.all(np.diff(given_kWh) > 0)


@given(name, degC, st.floats(0.3, 0.9), st.floats(0, 0.05), st.floats(0, 0.05), st.floats(0, 0.3))
@quick
def test_sigma_covers_what_one_sigma_of_each_does(
    which: str, degC: float, soc: float, soc_sigma: float, capacity_sigma: float, resistance_sigma: float
) -> None:
    cell = CELLS[which]
    best, sigma = energy(cell, degC, (soc, 0.9, 1.2), (soc_sigma, capacity_sigma, resistance_sigma))
    each = (
        energy(cell, degC, (soc - soc_sigma, 0.9, 1.2))[0],
        energy(cell, degC, (soc, 0.9 - capacity_sigma, 1.2))[0],
        energy(cell, degC, (soc, 0.9, 1.2 + resistance_sigma))[0],
    )
    together = math.hypot(*(best - worse for worse in each))
    assert sigma >= 0.9 * together - 1e-6
    if degC > 0:  # in deep cold there may be less to lose than a sigma
        assert sigma <= 1.1 * together + 1e-6
    assert energy(cell, degC, (soc, 0.9, 1.2))[1] == 0.0


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("nothing", [math.nan, math.inf, -0.1])
def test_what_is_not_known_gives_nan(place: int, nothing: float) -> None:
    cell = CELLS["lfp_280"]
    for part in ("weakest", "sigma", "mean"):
        values = [0.5, 0.9, 1.0]
        values[place] = nothing
        assert np.isnan(energy(cell, **{part: tuple(values)})).all()
    assert np.isnan(energy(cell, math.nan)).all()
    assert np.isnan(energy(cell, weakest=(0.5, 0.0, 1.0))).all()
