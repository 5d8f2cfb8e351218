"""The vehicle on the road: what it takes to follow the driver's wish, and how fast it really goes."""

from __future__ import annotations

import math
from typing import NamedTuple

from packhorse.compiled import part
from packhorse.twin.words import Demand, Road

GRAVITY_M_PER_S2 = 9.80665
AIR_J_PER_KGK = 287.05
PRESSURE_PA = 101_325.0
KELVIN = 273.15
CREEP_M_PER_S = 0.1
"""Below this the truck stands."""
ITERATIONS = 4
"""Enough for the mean speed of a tick and the resistance at that speed to agree within 0.1 %."""


class Motion(NamedTuple):
    """How the truck moves at the end of a tick and what that costs."""

    speed_m_per_s: float
    mean_m_per_s: float
    traction_W: float  # out of the battery, negative while recovering
    friction_W: float  # lost in the friction brakes


@part
def resistance_N(road: Road, speed_m_per_s: float, grade: float, ambient_degC: float) -> float:
    """Air, rolling and grade; air density of the ideal gas at sea level."""
    slope = math.atan(grade)
    density = PRESSURE_PA / (AIR_J_PER_KGK * (ambient_degC + KELVIN))
    weight_N = road.mass_kg * GRAVITY_M_PER_S2
    rolling_N = weight_N * road.rolling * math.cos(slope) if speed_m_per_s > CREEP_M_PER_S else 0.0
    return rolling_N + weight_N * math.sin(slope) + 0.5 * density * road.drag_area_m2 * speed_m_per_s * speed_m_per_s


@part
def move(road: Road, was_m_per_s: float, demand: Demand, dt_s: float, most_W: float, least_W: float) -> Motion:
    """Follow the wanted speed as far as the motor, the brakes and the battery's power limits allow.

    `most_W` and `least_W` (negative) bound the traction power at the battery. What cannot be recovered goes into the
    friction brakes; what cannot be drawn is missing in speed.
    """
    if dt_s <= 0.0:
        return Motion(was_m_per_s, was_m_per_s, 0.0, 0.0)
    wish = (demand.speed_m_per_s - was_m_per_s) / dt_s
    wish = wish if wish < road.acceleration_m_per_s2 else road.acceleration_m_per_s2
    wish = wish if wish > -road.braking_m_per_s2 else -road.braking_m_per_s2
    mean = was_m_per_s + 0.5 * wish * dt_s
    mean = mean if mean > 0.0 else 0.0
    against_N = resistance_N(road, mean, demand.grade, demand.ambient_degC)
    wheel_W = (road.mass_kg * wish + against_N) * mean
    if wheel_W <= 0.0:
        now = was_m_per_s + wish * dt_s
        recovered_W = wheel_W * road.efficiency * road.regeneration
        floor_W = least_W if least_W > -road.drive_W else -road.drive_W
        recovered_W = recovered_W if recovered_W > floor_W else floor_W
        lost_W = recovered_W / (road.efficiency * road.regeneration) - wheel_W
        return Motion(now if now > 0.0 else 0.0, mean, recovered_W, lost_W)
    ceiling_W = most_W if most_W < road.drive_W else road.drive_W
    ceiling_W = ceiling_W if ceiling_W > 0.0 else 0.0
    battery_W = wheel_W / road.efficiency
    if battery_W <= ceiling_W:
        return Motion(was_m_per_s + wish * dt_s, mean, battery_W, 0.0)
    now = was_m_per_s
    for _ in range(ITERATIONS):
        mean = 0.5 * (was_m_per_s + now)
        against_N = resistance_N(road, mean, demand.grade, demand.ambient_degC)
        gained_J = (ceiling_W * road.efficiency - against_N * mean) * dt_s
        square = was_m_per_s * was_m_per_s + 2.0 * gained_J / road.mass_kg
        now = math.sqrt(square) if square > 0.0 else 0.0
    return Motion(now, mean, ceiling_W, 0.0)
