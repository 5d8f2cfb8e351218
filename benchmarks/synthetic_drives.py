"""Drives whose every reading is known: a battery of one string on the road, at rest or at a charger."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.pack.load import load_cell
from packhorse.pack.words import Array

CELLS = ("nmc_60", "lfp_280", "nca_50")
TICK_S, SMALL_AH = 0.1, 20.0


class Drive(NamedTuple):
    """A battery on the road."""

    time_s: Array
    current_A: Array  # positive discharges
    cell_V: Array  # (cells, times)
    open_V: Array  # (cells, times) without current
    soc: Array
    probe_degC: Array  # (probes, times)
    speed_km_h: Array
    capacity_Ah: float


def drive(dice: np.random.Generator, seconds: float, cells: int, probes: int, how: str = "drive") -> Drive:
    """A stop-and-go drive of one string; at "rest" nothing flows, at a "charger" a current that hardly changes."""
    described = load_cell(str(dice.choice(CELLS)))
    time_s = np.arange(0.0, seconds, TICK_S)
    capacity = float(described.capacity_Ah) * float(dice.choice([1, 2, 3]))
    capacity *= 16.0 if capacity < SMALL_AH else 1.0  # small cells stand side by side
    speed, current = road(dice, time_s, capacity)
    if how != "drive":
        speed = 0.0 * speed
        current = np.full(time_s.size, 0.0 if how == "rest" else -capacity * float(dice.uniform(0.2, 1.0)))
    soc = dice.uniform(0.45, 0.9) - np.cumsum(current) * TICK_S / 3600.0 / capacity
    soc_n, ocv_n = np.array(described.ocv.soc), np.array(described.ocv.ocv_V[0])
    r0 = dice.uniform(0.06, 0.12) / capacity
    slow = lagged(current, 30.0) * 0.6 * r0
    own_soc = dice.normal(0.0, 0.006, cells)[:, None]
    own_r = dice.normal(1.0, 0.04, cells)[:, None]
    open_V = np.interp(soc + own_soc, soc_n, ocv_n)
    cell_V = open_V - own_r * (r0 * current + slow)
    cell_V += dice.normal(0.0, 0.0004, cell_V.shape)
    heat = np.cumsum(r0 * current**2) * TICK_S / (capacity * 900.0)
    own_K, own_heat = dice.normal(0.0, 1.2, probes)[:, None], dice.normal(1.0, 0.1, probes)[:, None]
    degC = dice.uniform(12.0, 30.0) + own_K + heat * own_heat
    return Drive(time_s, current, cell_V, open_V, soc, degC + dice.normal(0.0, 0.05, degC.shape), speed, capacity)


def road(dice: np.random.Generator, time_s: Array, capacity_Ah: float) -> tuple[Array, Array]:
    """Speed, and the current that it takes; braking gives some back."""
    wanted = np.repeat(dice.uniform(0.0, 90.0, time_s.size // 250 + 1), 250)[: time_s.size]
    wanted[dice.random(time_s.size // 250 + 1).repeat(250)[: time_s.size] < 0.2] = 0.0
    speed = lagged(wanted, 6.0)
    pull = np.gradient(speed, TICK_S) * 0.12 + (speed / 90.0) ** 2 * 0.5 + (speed > 1.0) * 0.1
    rate = np.clip(pull + lagged(dice.normal(0.0, 0.4, time_s.size), 0.5) * (speed > 1.0), -1.0, 2.2)
    return speed, rate * capacity_Ah * 0.8 + 0.01 * capacity_Ah


def lagged(values: Array, seconds: float) -> Array:
    """Values through a first-order lag."""
    share, out, last = TICK_S / seconds, np.empty_like(values), float(values[0])
    for k, value in enumerate(values.tolist()):
        last += share * (value - last)
        out[k] = last
    return out
