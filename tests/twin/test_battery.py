"""The true battery: charge, power and heat are kept, strings share as circuits do, and nothing runs away."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse import twin
from packhorse.cell import physics
from packhorse.cell.table import HYSTERESIS_V
from packhorse.pack.words import Cell, Command, Limits
from trucks import Moment, along, live, steady, truck_of

CAPACITY_SHARE = 2
HEAVY, LIGHT = truck_of("heavy"), truck_of("light")


def joined(truck: twin.Truck, soc: float = 0.6) -> tuple[twin.Body, Command, Limits]:
    """A truck whose strings are all on the link, allowed to do anything."""
    command, limits = twin.idle(truck)
    contactor = np.zeros((truck.strings, 3))
    contactor[:, :2] = 1.0
    return (
        twin.start(truck, soc, 20.0),
        command._replace(contactor=contactor),
        limits._replace(discharge_W=1e6, charge_W=1e6),
    )


def for_ticks(
    truck: twin.Truck,
    body: twin.Body,
    command: Command,
    limits: Limits,
    demand: twin.Demand,
    ticks: int,
    dt_s: float = 1.0,
) -> list[twin.Body]:
    lives = []
    for _ in range(ticks):
        body, _frame = twin.step(truck, body, command, limits, demand, dt_s)
        lives.append(body)
    return lives


def test_strings_give_what_the_link_takes() -> None:
    body, command, limits = joined(HEAVY)
    for now in for_ticks(HEAVY, body, command, limits, steady(80.0)(0.0), 120):
        assert now.string_A.sum() * now.link_V == pytest.approx(now.power_W, rel=1e-9)
        drop_V = now.cell_V.sum(axis=1) - HEAVY.battery.wiring_ohm * now.string_A
        np.testing.assert_allclose(drop_V, now.link_V, atol=1e-6)


def test_charge_that_flows_is_charge_that_is_missing() -> None:
    body, command, limits = joined(LIGHT)
    lives = [body, *for_ticks(LIGHT, body, command, limits, steady(60.0, 0.02)(0.0), 600)]
    flown_Ah = sum(b.string_A for b in lives[:-1]) / 3600.0
    usable = physics.over_degC(LIGHT.battery.cell.degC_nodes, 20.0, CAPACITY_SHARE)
    own_Ah = LIGHT.battery.cell.capacity_Ah * LIGHT.battery.capacity_share * usable
    missing_Ah = ((lives[0].soc - lives[-1].soc) * own_Ah).mean(axis=1)
    np.testing.assert_allclose(missing_Ah, flown_Ah, rtol=2e-3)


def test_a_fuller_string_charges_an_emptier_one_until_they_meet() -> None:
    body, command, limits = joined(LIGHT)
    soc = body.soc.copy()
    soc[0] -= 0.05
    lives = for_ticks(LIGHT, body._replace(soc=soc), command, limits, steady()(0.0), 1800)
    assert lives[0].string_A[0] < -20.0
    assert lives[0].string_A[1] > 20.0
    assert abs(lives[-1].soc[0].mean() - lives[-1].soc[1].mean()) < 0.02


def test_the_link_is_charged_through_its_resistor_with_the_time_constant_of_both() -> None:
    body, command, limits = joined(HEAVY)
    contactor = np.zeros((HEAVY.strings, 3))
    contactor[0, [0, 2]] = 1.0
    tau_s = HEAVY.link.precharge_ohm * HEAVY.link.capacitance_F
    lives = for_ticks(HEAVY, body, command._replace(contactor=contactor), limits, steady()(0.0), 30, dt_s=tau_s / 10.0)
    whole_V = body.cell_V[0].sum()
    assert lives[9].link_V / whole_V == pytest.approx(1.0 - np.exp(-1.0), abs=0.01)
    assert lives[29].link_V / whole_V == pytest.approx(1.0 - np.exp(-3.0), abs=0.01)
    assert lives[0].string_A[0] < whole_V / HEAVY.link.precharge_ohm
    assert not lives[-1].string_A[1:].any()


def test_open_contactors_let_nothing_through() -> None:
    command, limits = twin.idle(HEAVY)
    body = twin.start(HEAVY, 0.5, 20.0)
    for now in for_ticks(HEAVY, body, command, limits, steady(80.0)(0.0), 20):
        assert not now.string_A.any()
        assert now.speed_m_per_s == 0.0


def without_hysteresis(cell: Cell) -> Cell:
    """Nor with heat of reaction."""
    nodes = cell.nodes.copy()
    nodes[:, :, HYSTERESIS_V] = 0.0
    return cell._replace(nodes=nodes, entropy_V_per_K=np.zeros_like(cell.entropy_V_per_K))


def test_released_heat_is_found_again_in_the_cells() -> None:
    quiet = HEAVY._replace(
        fluid=HEAVY.fluid._replace(still_W_per_K=0.0, housing_W_per_K=0.0),
        battery=HEAVY.battery._replace(cell=without_hysteresis(HEAVY.battery.cell)),
    )
    body, command, limits = joined(quiet)
    lives = [body, *for_ticks(quiet, body, command, limits, steady(84.0, 0.01)(0.0), 900)]
    lost_J = 0.0
    for was, now in itertools.pairwise(lives):
        r0 = physics.parameters(quiet.battery.cell.nodes, 0.6, 20.0)[2] * quiet.battery.resistance_share
        current = was.string_A[:, None]
        lost_J += float((current * (now.rc1_V + now.rc2_V + r0 * current)).sum())
    gained_J = float((lives[-1].cell_degC - 20.0).sum()) * quiet.battery.cell.heat_capacity_J_per_K
    assert gained_J == pytest.approx(lost_J, rel=0.05)


@pytest.mark.parametrize("ambient_degC", [-20.0, 45.0])
def test_a_parked_truck_takes_the_temperature_of_the_air(ambient_degC: float) -> None:
    body = twin.start(HEAVY, 0.5, 20.0)
    command, limits = twin.idle(HEAVY)
    lives = for_ticks(HEAVY, body, command, limits, steady(ambient_degC=ambient_degC)(0.0), 20_000, dt_s=5.0)
    went = (lives[-1].cell_degC.mean() - 20.0) / (ambient_degC - 20.0)
    conductance = HEAVY.fluid.still_W_per_K + HEAVY.fluid.housing_W_per_K
    expected = 1.0 - np.exp(-100_000.0 * conductance / HEAVY.battery.cell.heat_capacity_J_per_K)
    assert went == pytest.approx(expected, abs=0.02)


def test_cooling_cools_and_heating_heats() -> None:
    body, command, limits = joined(HEAVY)
    parked = steady(plugged=1.0)(0.0)
    warm = body._replace(cell_degC=np.full_like(body.cell_degC, 40.0))
    chilled = for_ticks(HEAVY, warm, command._replace(pump=1.0, chiller=1.0), limits, parked, 1200)[-1]
    heated = for_ticks(HEAVY, body, command._replace(pump=1.0, heater=1.0), limits, parked, 1200)[-1]
    assert chilled.cell_degC.mean() < 36.5
    assert heated.cell_degC.mean() > 22.0
    assert chilled.cell_degC[:, 0].mean() < chilled.cell_degC[:, -1].mean()  # the first cells meet the coldest coolant


@settings(max_examples=40, deadline=None)
@given(
    km_per_h=st.floats(0, 120),
    grade=st.floats(-0.1, 0.1),
    soc=st.floats(0, 1),
    ambient=st.floats(-40, 55),
    dt_s=st.floats(0.01, 5.0),
    orders=st.lists(st.sampled_from([0.0, 1.0]), min_size=16, max_size=16),
)
def test_whatever_is_ordered_the_body_stays_finite(
    km_per_h: float, grade: float, soc: float, ambient: float, dt_s: float, orders: list[float]
) -> None:
    _body, command, limits = joined(LIGHT)
    contactor = np.array(orders[:6]).reshape(2, 3)
    told = command._replace(
        contactor=contactor,
        pump=orders[6],
        chiller=orders[7],
        radiator=orders[8],
        heater=orders[9],
        charge_A=500.0 * orders[10],
        charge_V=450.0,
    )
    body = twin.start(LIGHT, soc, ambient)
    demand = twin.Demand(km_per_h / 3.6, grade, orders[11], ambient, 0.0)
    for now in for_ticks(LIGHT, body, told, limits, demand, 50, dt_s):
        for value in now:
            assert np.isfinite(value).all()
        assert (now.soc >= -0.1).all()
        assert (now.soc <= 1.1).all()


def day(name: str, seed: int = 1) -> list[Moment]:
    return live(name, 300.0, along(twin.load_truck(name).cycle), dt_s=0.5, seed=seed)


def test_the_same_seed_is_the_same_life_and_another_seed_another() -> None:
    first, again, other = day("medium"), day("medium"), day("medium", seed=2)
    assert first[-1].frame.cell_V.tobytes() == again[-1].frame.cell_V.tobytes()
    assert first[-1].body.soc.tobytes() == again[-1].body.soc.tobytes()
    assert first[-1].frame.cell_V.tobytes() != other[-1].frame.cell_V.tobytes()
