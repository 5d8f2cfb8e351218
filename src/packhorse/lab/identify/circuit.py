"""The equivalent circuit as a linear problem: at given time constants every other parameter enters linearly.

Over SOC every parameter is a polyline with values at fixed nodes. The voltage over an RC pair whose resistance is such
a polyline is the sum of the pair's answers to `weight_of_node(soc) * current`, each times the node's resistance. So the
voltage of a log is a matrix times the unknown node values, and all logs together are one least-squares problem with
resistances and hysteresis held at or above zero. Between temperatures, resistances follow Arrhenius' law with one
activation temperature, on which the polyline over temperature rides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.cell import physics
from packhorse.compiled import compiled
from packhorse.io.cell_logs import CellLog
from packhorse.lab.identify.training import steps_s
from packhorse.pack.words import Array

R_NODES: Array = np.array([0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
OCV_NODES: Array = np.concatenate(
    [np.linspace(0.0, 0.2, 11), np.linspace(0.25, 0.9, 14), [0.92, 0.94, 0.96, 0.97, 0.98, 0.99, 1.0]]
)
HYSTERESIS_NODES: Array = np.array([0.0, 0.03, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.93, 0.97, 1.0])
PAIRS = 2
BLOCK = OCV_NODES.size + (1 + PAIRS) * R_NODES.size + HYSTERESIS_NODES.size
"""Unknowns at one temperature: OCV corrections [V], R0, R1, R2 [ohm], hysteresis half-width [V]."""


class Layout(NamedTuple):
    """Where each kind of unknown stands inside a block."""

    ocv: slice
    resistance: tuple[slice, ...]
    hysteresis: slice


def layout() -> Layout:
    """Slices of a block, in order."""
    o, r, h = OCV_NODES.size, R_NODES.size, HYSTERESIS_NODES.size
    resistances = tuple(slice(o + k * r, o + (k + 1) * r) for k in range(1 + PAIRS))
    return Layout(slice(0, o), resistances, slice(o + (1 + PAIRS) * r, o + (1 + PAIRS) * r + h))


class Shape(NamedTuple):
    """What enters the circuit other than linearly."""

    tau1_s: float
    tau2_s: float
    activation_K: float
    hysteresis_rate: float


def hat(x: Array, nodes: Array) -> Array:
    """Weight of every node at every x: (x.size, nodes.size); rows sum to one, held at the ends."""
    if nodes.size == 1:
        return np.ones((x.size, 1))
    at = np.clip(x, nodes[0], nodes[-1])
    k = np.clip(np.searchsorted(nodes, at, side="right") - 1, 0, nodes.size - 2)
    share = (at - nodes[k]) / (nodes[k + 1] - nodes[k])
    weight = np.zeros((at.size, nodes.size))
    rows = np.arange(at.size)
    weight[rows, k] = 1.0 - share
    weight[rows, k + 1] = share
    return weight


@compiled
def answers(drive: Array, dt_s: Array, tau_s: float) -> Array:
    """Answer of an RC pair of one ohm to each column of currents, (times, columns); exact for constant currents."""
    out = np.empty_like(drive)
    for c in range(drive.shape[1]):
        out[0, c] = 0.0
    for k in range(1, drive.shape[0]):
        keep = np.exp(-dt_s[k] / tau_s)
        for c in range(drive.shape[1]):
            out[k, c] = keep * out[k - 1, c] + (1.0 - keep) * drive[k, c]
    return out


@compiled
def hysteresis_states(current_A: Array, dt_s: Array, capacity_Ah: float, rate: float, start: float) -> Array:
    """Plett's hysteresis state after each row, as `physics.hysteresis` runs it."""
    out = np.empty_like(current_A)
    h = start
    for k in range(current_A.shape[0]):
        h = physics.hysteresis(h, current_A[k], capacity_Ah, rate, dt_s[k])
        out[k] = h
    return out


def arrhenius(degC: Array, centre_degC: float, activation_K: float) -> Array:
    """How much larger a resistance is at `degC` than at `centre_degC`."""
    return np.asarray(np.exp(activation_K * (1.0 / (degC + physics.KELVIN) - 1.0 / (centre_degC + physics.KELVIN))))


def columns(
    log: CellLog, soc: Array, centres: Array, shape: Shape, capacity_Ah: float, start_h: float
) -> dict[int, Array]:
    """The matrix of one log by block: for each temperature that it touches, (times, BLOCK)."""
    dt = steps_s(log)
    over_r, over_ocv, over_h = hat(soc, R_NODES), hat(soc, OCV_NODES), hat(soc, HYSTERESIS_NODES)
    h = hysteresis_states(log.current_A, dt, capacity_Ah, shape.hysteresis_rate, start_h)
    weights = hat(log.cell_degC, centres)
    place, found = layout(), {}
    for block in np.nonzero(weights.max(axis=0) > 1e-9)[0]:
        share = weights[:, block]
        scaled = share * arrhenius(log.cell_degC, float(centres[block]), shape.activation_K)
        drive = over_r * (scaled * log.current_A)[:, None]
        matrix = np.empty((soc.size, BLOCK))
        matrix[:, place.ocv] = over_ocv * share[:, None]
        matrix[:, place.resistance[0]] = -drive
        for pair, tau_s in enumerate((shape.tau1_s, shape.tau2_s), start=1):
            matrix[:, place.resistance[pair]] = -answers(drive, dt, tau_s)
        matrix[:, place.hysteresis] = over_h * (share * h)[:, None]
        found[int(block)] = matrix
    return found
