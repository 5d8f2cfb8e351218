"""The vehicle on the road, against published consumption, hand calculation and the conservation of energy."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse import twin
from packhorse.compiled import compiled
from packhorse.io.cycles import read_cycle
from packhorse.twin import road
from packhorse.twin.words import Demand, Road
from trucks import along, live, truck_of, used_kWh_per_km

HEAVY = truck_of("heavy").road
CYCLES = Path(__file__).parents[3] / "shared" / "data" / "cycles"


@compiled
def moved(vehicle: Road, was: float, demand: Demand, dt_s: float, most_W: float, least_W: float) -> road.Motion:
    return road.move(vehicle, was, demand, dt_s, most_W, least_W)


def wanted(m_per_s: float, grade: float = 0.0, ambient_degC: float = 20.0) -> Demand:
    return Demand(m_per_s, grade, 0.0, ambient_degC, 0.0)


def consumption_kWh_per_km(vehicle: Road, cycle: twin.Cycle) -> float:
    speed, used_J, way_m = cycle.speed_m_per_s[0], 0.0, 0.0
    for k in range(1, cycle.time_s.size):
        dt_s = cycle.time_s[k] - cycle.time_s[k - 1]
        motion = moved(vehicle, speed, wanted(cycle.speed_m_per_s[k], cycle.grade[k]), dt_s, math.inf, -math.inf)
        speed, way_m = motion.speed_m_per_s, way_m + motion.mean_m_per_s * dt_s
        used_J += (motion.traction_W + vehicle.auxiliary_W * (cycle.plugged[k] == 0.0)) * dt_s
    return used_J / 3600.0 / way_m


def test_40_t_at_84_km_per_h_on_the_flat_take_what_the_hand_calculation_says() -> None:
    v = 84.0 / 3.6
    air_N = 0.5 * 101_325.0 / (287.05 * 293.15) * 4.4 * v**2
    rolling_N = 40_000.0 * 9.80665 * 0.0045
    motion = moved(HEAVY, v, wanted(v), 1.0, math.inf, -math.inf)
    assert motion.traction_W == pytest.approx((air_N + rolling_N) * v / 0.93, rel=1e-6)
    assert motion.speed_m_per_s == v


def test_long_haul_takes_1_03_to_1_15_kWh_per_km_as_published_trucks_do() -> None:
    assert 1.03 <= consumption_kWh_per_km(HEAVY, twin.duty("long_haul")) <= 1.15


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("regional_haul.csv", 1.00, 1.25),
        ("long_haul_cyc.csv", 1.03, 1.25),  # US speeds of up to 120 km/h
        ("EPA_Ph2_urban_highway_55mph.csv", 1.00, 1.20),
    ],
)
def test_cycles_of_others_take_a_plausible_amount(name: str, low: float, high: float) -> None:
    if not (CYCLES / name).exists():
        pytest.skip(f"{name} lies only where the published cycles are")
    assert low <= consumption_kWh_per_km(HEAVY, read_cycle(CYCLES / name)) <= high


@given(
    was=st.floats(0, 30),
    wish=st.floats(0, 30),
    grade=st.floats(-0.08, 0.08),
    dt_s=st.floats(0.01, 2.0),
    most_W=st.floats(0, 1e6),
    least_W=st.floats(-1e6, 0),
)
def test_energy_is_kept_and_limits_are_obeyed(
    was: float, wish: float, grade: float, dt_s: float, most_W: float, least_W: float
) -> None:
    motion = moved(HEAVY, was, wanted(wish, grade), dt_s, most_W, least_W)
    assert motion.speed_m_per_s >= 0.0
    assert motion.traction_W <= most_W + 1e-6
    assert motion.traction_W >= least_W - 1e-6
    assert motion.friction_W >= -1e-6
    if motion.speed_m_per_s > 0.0 and motion.traction_W < 0.0 and motion.mean_m_per_s > 0.2:
        kinetic_J = 0.5 * HEAVY.mass_kg * (motion.speed_m_per_s**2 - was**2)
        slope = math.atan(grade)
        against_N = HEAVY.mass_kg * 9.80665 * (HEAVY.rolling * math.cos(slope) + math.sin(slope))
        against_N += 0.5 * 101_325.0 / (287.05 * 293.15) * HEAVY.drag_area_m2 * motion.mean_m_per_s**2
        wheel_J = kinetic_J + against_N * motion.mean_m_per_s * dt_s
        recovered_J = motion.traction_W * dt_s / (HEAVY.efficiency * HEAVY.regeneration)
        assert recovered_J - motion.friction_W * dt_s == pytest.approx(wheel_J, rel=1e-6, abs=1e-3)


@given(was=st.floats(0.5, 30), grade=st.floats(0.0, 0.08), dt_s=st.floats(0.05, 1.0), most_W=st.floats(0, 4e5))
def test_what_a_limited_battery_gives_becomes_speed_and_work(
    was: float, grade: float, dt_s: float, most_W: float
) -> None:
    motion = moved(HEAVY, was, wanted(was + 5.0, grade), dt_s, most_W, 0.0)
    if motion.traction_W < most_W or motion.speed_m_per_s < 0.2:
        return
    against_N = 40_000 * 9.80665 * (math.sin(math.atan(grade)) + HEAVY.rolling * math.cos(math.atan(grade)))
    against_N += 0.5 * 101_325.0 / (287.05 * 293.15) * HEAVY.drag_area_m2 * motion.mean_m_per_s**2
    kinetic_J = 0.5 * HEAVY.mass_kg * (motion.speed_m_per_s**2 - was**2)
    whole_J = kinetic_J + against_N * motion.mean_m_per_s * dt_s
    assert whole_J == pytest.approx(0.93 * most_W * dt_s, rel=2e-3, abs=500.0)


def test_a_truck_that_may_draw_little_climbs_slowly() -> None:
    speed = 84.0 / 3.6
    for _ in range(600):
        speed = moved(HEAVY, speed, wanted(84.0 / 3.6, 0.05), 1.0, 150e3, 0.0).speed_m_per_s
    against_N = 150e3 * 0.93 / speed
    assert 4.0 < speed < 8.0
    assert against_N == pytest.approx(
        40_000 * 9.80665 * (math.sin(math.atan(0.05)) + 0.0045) + 0.5 * 1.204 * 4.4 * speed**2, rel=0.01
    )


def test_cold_air_is_denser() -> None:
    v = 84.0 / 3.6
    cold = moved(HEAVY, v, wanted(v, ambient_degC=-20.0), 1.0, math.inf, -math.inf)
    warm = moved(HEAVY, v, wanted(v, ambient_degC=30.0), 1.0, math.inf, -math.inf)
    assert 1.05 < cold.traction_W / warm.traction_W < 1.15


@pytest.mark.parametrize(("name", "low", "high"), [("medium", 0.55, 1.0), ("light", 0.18, 0.35)])
def test_smaller_trucks_take_less(name: str, low: float, high: float) -> None:
    duty = {"medium": "regional", "light": "urban"}[name]
    assert low <= consumption_kWh_per_km(truck_of(name).road, twin.duty(duty)) <= high


@pytest.mark.parametrize(
    ("name", "km", "climb_m", "stops"),
    [
        ("long_haul", (95.0, 100.0), (350, 600), (2, 7)),
        ("regional", (95.0, 100.0), (450, 750), (8, 25)),
        ("urban", (60.0, 100.0), (300, 900), (80, 160)),
    ],
)
def test_duties_look_like_the_profiles_of_type_approval(
    name: str, km: tuple[float, float], climb_m: tuple[float, float], stops: tuple[float, float]
) -> None:
    cycle = twin.duty(name)
    way_km = np.cumsum(cycle.speed_m_per_s) / 1000.0
    per_100_km = 100.0 / way_km[-1]
    rising = np.maximum(cycle.grade, 0.0) * cycle.speed_m_per_s
    halts = np.count_nonzero((cycle.speed_m_per_s[1:] == 0.0) & (cycle.speed_m_per_s[:-1] > 0.0))
    assert climb_m[0] <= rising.sum() * per_100_km <= climb_m[1]
    assert stops[0] <= halts * per_100_km <= stops[1]
    assert way_km[-1] >= km[0] * 0.6
    assert np.abs(cycle.grade).max() < 0.08
    assert cycle.speed_m_per_s.max() <= 90.0 / 3.6
    assert (cycle.speed_m_per_s[cycle.plugged > 0] == 0.0).all()


def test_a_heavy_truck_drives_its_long_haul_as_fast_as_the_duty_asks() -> None:
    life = live("heavy", 3600.0, along("long_haul"), dt_s=1.0)
    cycle = twin.duty("long_haul")
    assert life[-1].body.distance_m == pytest.approx(cycle.speed_m_per_s[:3600].sum(), rel=0.01)
    assert 1.0 <= used_kWh_per_km(life[-1].body) <= 1.2
