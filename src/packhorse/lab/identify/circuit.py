"""The equivalent circuit as a linear problem: at given time constants every other parameter enters linearly.

Over SOC every parameter is a polyline with values at fixed nodes. The voltage over an RC pair whose resistance is such
a polyline is the sum of the pair's answers to `weight_of_node(soc) * current`, each times the node's resistance. So the
voltage of a log is a matrix times the unknown node values, and all logs together are one least-squares problem with
resistances and hysteresis held at or above zero. Of the hundreds of columns a row touches some twenty: the matrix is
walked through row by row and never written down. Between temperatures, resistances follow Arrhenius' law with one
activation temperature, on which the polyline over temperature rides.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse.cell import physics
from packhorse.compiled import compiled, part
from packhorse.io.cell_logs import CellLog
from packhorse.lab.identify.training import steps_s
from packhorse.pack.words import Array, Index

R_NODES: Array = np.array([0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
OCV_NODES: Array = np.concatenate(
    [np.linspace(0.0, 0.2, 11), np.linspace(0.25, 0.9, 14), [0.92, 0.94, 0.96, 0.97, 0.98, 0.99, 1.0]]
)
HYSTERESIS_NODES: Array = np.array([0.0, 0.03, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.93, 0.97, 1.0])
PAIRS = 2
BLOCK = OCV_NODES.size + (1 + PAIRS) * R_NODES.size + HYSTERESIS_NODES.size
"""Unknowns at one temperature: OCV corrections [V], R0, R1, R2 [ohm], hysteresis half-width [V]."""
FIRST_R, FIRST_H = OCV_NODES.size, OCV_NODES.size + (1 + PAIRS) * R_NODES.size
NO_A = 1e-5
"""An RC pair that is driven by less has forgotten."""


class Layout(NamedTuple):
    """Where each kind of unknown stands inside a block."""

    ocv: slice
    resistance: tuple[slice, ...]
    hysteresis: slice


def layout() -> Layout:
    """Slices of a block, in order."""
    o, r, h = OCV_NODES.size, R_NODES.size, HYSTERESIS_NODES.size
    resistances = tuple(slice(o + k * r, o + (k + 1) * r) for k in range(1 + PAIRS))
    return Layout(slice(0, o), resistances, slice(FIRST_H, FIRST_H + h))


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


class Walk(NamedTuple):
    """One log as the circuit walks through it; every array (times,)."""

    soc: Array
    degC: Array
    current_A: Array
    dt_s: Array
    hysteresis: Array  # state of a half-width of one volt


def walk_of(log: CellLog, soc: Array, shape: Shape, capacity_Ah: float, start_h: float) -> Walk:
    """A log with the SOC and the hysteresis state of each row."""
    dt_s = steps_s(log)
    h = hysteresis_states(log.current_A, dt_s, capacity_Ah, shape.hysteresis_rate, start_h)
    return Walk(np.ascontiguousarray(soc), np.ascontiguousarray(log.cell_degC), log.current_A, dt_s, h)


@part
def between(x: float, nodes: Array) -> tuple[int, float]:
    """The node below x, and the share of the one above it; held at the ends."""
    last = nodes.shape[0] - 1
    if last == 0 or x <= nodes[0]:
        return 0, 0.0
    if x >= nodes[last]:
        return last - 1, 1.0
    k = int(np.searchsorted(nodes, x, side="right")) - 1
    return k, float((x - nodes[k]) / (nodes[k + 1] - nodes[k]))


@part
def put(at: Index, value: Array, count: int, first: int, hat_at: tuple[int, float], factor: float) -> int:
    """Two neighbouring columns of a polyline; gives the new count."""
    k, share = hat_at
    at[count], value[count] = first + k, (1.0 - share) * factor
    if share == 0.0:
        return count + 1
    at[count + 1], value[count + 1] = first + k + 1, share * factor
    return count + 2


@part
def flow(walk: Walk, k: int, centres: Array, shape: Shape, rc: Array) -> None:
    """RC answers of one ohm at every node, (blocks, pairs, nodes), moved on by one row."""
    over_r, warm = between(walk.soc[k], R_NODES), between(walk.degC[k], centres)
    for pair in range(PAIRS):
        keep = math.exp(-walk.dt_s[k] / (shape.tau1_s if pair == 0 else shape.tau2_s))
        for block in range(rc.shape[0]):
            row = rc[block, pair]
            for node in range(row.shape[0]):
                row[node] = keep * row[node] if abs(row[node]) > NO_A else 0.0
            share = weight(warm, block)
            if share > 0.0:
                drive_A = (1.0 - keep) * share * slower(walk.degC[k], centres[block], shape) * walk.current_A[k]
                row[over_r[0]] += (1.0 - over_r[1]) * drive_A
                if over_r[1] > 0.0:
                    row[over_r[0] + 1] += over_r[1] * drive_A


@part
def weight(warm: tuple[int, float], block: int) -> float:
    """Share of a temperature's block in a row."""
    return 1.0 - warm[1] if block == warm[0] else warm[1] if block == warm[0] + 1 else 0.0


@part
def slower(degC: float, centre_degC: float, shape: Shape) -> float:
    """`arrhenius` of one temperature."""
    return math.exp(shape.activation_K * (1.0 / (degC + physics.KELVIN) - 1.0 / (centre_degC + physics.KELVIN)))


@part
def row_of(walk: Walk, k: int, centres: Array, shape: Shape, rc: Array, at: Index, value: Array) -> int:
    """The columns of one row that are not zero, rising, and their values; gives how many."""
    warm, count = between(walk.degC[k], centres), 0
    over_ocv, over_r = between(walk.soc[k], OCV_NODES), between(walk.soc[k], R_NODES)
    for block in range(centres.shape[0]):
        share, first = weight(warm, block), block * BLOCK
        if share > 0.0:
            drive_A = share * slower(walk.degC[k], centres[block], shape) * walk.current_A[k]
            count = put(at, value, count, first, over_ocv, share)
            count = put(at, value, count, first + FIRST_R, over_r, -drive_A)
        for pair in range(PAIRS):
            for node in range(rc.shape[2]):
                if rc[block, pair, node] != 0.0:
                    at[count] = first + FIRST_R + (1 + pair) * rc.shape[2] + node
                    value[count] = -rc[block, pair, node]
                    count += 1
        if share > 0.0:
            over_h = between(walk.soc[k], HYSTERESIS_NODES)
            count = put(at, value, count, first + FIRST_H, over_h, share * walk.hysteresis[k])
    return count


@compiled
def normal(
    walk: Walk, centres: Array, shape: Shape, worth: Array, rest_V: Array, freedom_V: Array
) -> tuple[Array, Array, Array]:
    """Normal equations of one log: matrix, right side, and how its freedoms (times, n) lean on the unknowns."""
    size, freedoms = BLOCK * centres.shape[0], freedom_V.shape[1]
    matrix, right, lever = np.zeros((size, size)), np.zeros(size), np.zeros((size, freedoms))
    rc = np.zeros((centres.shape[0], PAIRS, R_NODES.shape[0]))
    at, value = np.empty(size, np.int64), np.empty(size)
    for k in range(walk.soc.shape[0]):
        flow(walk, k, centres, shape, rc)
        count = row_of(walk, k, centres, shape, rc, at, value)
        for a in range(count):
            leans, here = worth[k] * value[a], at[a]
            right[here] += leans * rest_V[k]
            for n in range(freedoms):
                lever[here, n] += leans * freedom_V[k, n]
            for b in range(a, count):
                matrix[here, at[b]] += leans * value[b]
    for a in range(size):
        for b in range(a):
            matrix[a, b] = matrix[b, a]
    return matrix, right, lever


@compiled
def modelled_V(walk: Walk, centres: Array, shape: Shape, unknowns: Array) -> Array:
    """What the circuit adds to the OCV of the slow tests at every row [V]."""
    out = np.empty(walk.soc.shape[0])
    rc = np.zeros((centres.shape[0], PAIRS, R_NODES.shape[0]))
    at, value = np.empty(unknowns.shape[0], np.int64), np.empty(unknowns.shape[0])
    for k in range(out.shape[0]):
        flow(walk, k, centres, shape, rc)
        total = 0.0
        for a in range(row_of(walk, k, centres, shape, rc, at, value)):
            total += value[a] * unknowns[at[a]]
        out[k] = total
    return out
