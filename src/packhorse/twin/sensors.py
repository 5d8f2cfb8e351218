"""What is heard of the truth: late, noisy, rounded, shifted, and now and then not at all."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse.cell import physics
from packhorse.compiled import part
from packhorse.pack.words import Array, Frame, Index
from packhorse.twin import broken
from packhorse.twin.dice import normal, rounded, uniform
from packhorse.twin.words import Demand, Link, Sensing

CELLS, BOARDS, PROBES, CURRENTS, VOLTAGES, LINK, FLUID = (
    0,
    1_000_000,
    2_000_000,
    3_000_000,
    4_000_000,
    5_000_000,
    6_000_000,
)
"""Where the dice of each kind of sensor begin."""


class Truth(NamedTuple):
    """What there is to hear at the end of a tick; names as in `Body`."""

    time_s: float
    tick: int
    cell_V: Array
    string_A: Array
    probe_degC: Array
    link_V: float
    contactor: Array
    inlet_degC: float
    outlet_degC: float


@part
def cells(sensing: Sensing, seed: int, tick: int, was_V: Array, cell_V: Array, dt_s: float) -> Array:
    """Cell voltages as the boards send them: (strings, series)."""
    late = sensing.delay_s / dt_s if sensing.delay_s < dt_s else 1.0
    out = np.empty_like(cell_V)
    series = cell_V.shape[1]
    boards = (series + sensing.cells_per_board - 1) // sensing.cells_per_board
    for s in range(cell_V.shape[0]):
        for board in range(boards):
            lost = uniform(seed, tick, BOARDS + s * boards + board) < sensing.dropout_per_s * dt_s
            first = board * sensing.cells_per_board
            last = min(first + sensing.cells_per_board, series)
            for k in range(first, last):
                seen_V = cell_V[s, k] + late * (was_V[s, k] - cell_V[s, k])
                noise_V = sensing.cell_sigma_V * normal(seed, tick, CELLS + s * series + k)
                heard_V = rounded(seen_V + noise_V + sensing.cell_offset_V[s, k], sensing.cell_step_V)
                out[s, k] = math.nan if lost else heard_V
    return out


@part
def behind(lag_s: float, cell_of_probe: Index, was_degC: Array, cell_degC: Array, dt_s: float) -> Array:
    """Temperature of the probes, which follow their cells with a lag: (strings, probes)."""
    keep = physics.decay(dt_s / lag_s)
    out = np.empty_like(was_degC)
    for s in range(out.shape[0]):
        for p in range(out.shape[1]):
            degC = cell_degC[s, cell_of_probe[p]]
            out[s, p] = degC + keep * (was_degC[s, p] - degC)
    return out


@part
def probes(sensing: Sensing, seed: int, truth: Truth) -> Array:
    """Temperatures as they are sent: (strings, probes)."""
    out = np.empty_like(truth.probe_degC)
    for s in range(out.shape[0]):
        for p in range(out.shape[1]):
            noise_K = sensing.probe_sigma_K * normal(seed, truth.tick, PROBES + s * out.shape[1] + p)
            degC = truth.probe_degC[s, p] + noise_K + sensing.probe_offset_K[s, p]
            out[s, p] = rounded(degC, sensing.probe_step_K)
    return out


@part
def strings(sensing: Sensing, seed: int, truth: Truth) -> tuple[Array, Array]:
    """Current and voltage of each string as they are sent."""
    string_A, string_V = np.empty_like(truth.string_A), np.empty_like(truth.string_A)
    for s in range(string_A.shape[0]):
        noise_A = sensing.current_sigma_A * normal(seed, truth.tick, CURRENTS + s)
        flows_A = truth.string_A[s] * sensing.current_gain[s] + sensing.current_offset_A[s] + noise_A
        string_A[s] = rounded(flows_A, sensing.current_step_A)
        noise_V = sensing.string_sigma_V * normal(seed, truth.tick, VOLTAGES + s)
        total_V = noise_V
        for cell_V in truth.cell_V[s]:
            total_V += cell_V
        string_V[s] = rounded(total_V, sensing.string_step_V)
    return string_A, string_V


@part
def heard(
    sensing: Sensing,
    link: Link,
    seed: int,
    faults: Array,
    was: tuple[Array, Array],
    truth: Truth,
    demand: Demand,
    dt_s: float,
) -> Frame:
    """The frame that the BMS gets; `was` are the true and the heard cell voltages of the tick before."""
    cell_V = cells(sensing, seed, truth.tick, was[0], truth.cell_V, dt_s)
    age_s = np.zeros((truth.string_A.shape[0], 3))
    for s in range(age_s.shape[0]):
        age_s[s, 0] = sensing.delay_s if sensing.delay_s < dt_s else dt_s
    broken.boards(faults, truth.time_s, sensing.cells_per_board, was[1], cell_V, age_s)
    probe_degC = probes(sensing, seed, truth)
    broken.probes(faults, truth.time_s, probe_degC)
    string_A, string_V = strings(sensing, seed, truth)
    broken.strings(faults, truth.time_s, string_A, string_V)
    link_V = truth.link_V + sensing.string_sigma_V * normal(seed, truth.tick, LINK)
    frame = Frame(
        truth.time_s,
        cell_V,
        probe_degC,
        string_A,
        string_V,
        age_s,
        truth.contactor.copy(),
        rounded(link_V, sensing.string_step_V),
        link.isolation_ohm,
        1.0,
        rounded(truth.inlet_degC, sensing.probe_step_K),
        rounded(truth.outlet_degC, sensing.probe_step_K),
        rounded(demand.ambient_degC, sensing.probe_step_K),
        0.0 if demand.plugged > 0.0 else 1.0,
        1.0 if demand.plugged > 0.0 else 0.0,
        demand.reset,
    )
    return broken.circuits(faults, truth.time_s, frame)
