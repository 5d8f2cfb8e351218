"""The equivalent circuit as a linear problem: at given time constants every other parameter enters linearly.

Over SOC every parameter is a polyline with values at fixed nodes. The voltage over an RC pair whose resistance is such
a polyline is the sum of the pair's answers to `weight_of_node(soc) * current`, each times the node's resistance. So the
voltage of a log is a matrix times the unknown node values, and all logs together are one least-squares problem with
resistances and hysteresis held at or above zero. Of the hundreds of columns a row touches some twenty: the matrix is
walked through row by row and never written down. Between temperatures, resistances follow Arrhenius' law with one
activation temperature, on which the polyline over temperature rides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.cell import physics
from packhorse.compiled import compiled, kernel, part
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
NO_V = 1e-9
"""An RC pair that is driven by less, or holds less, has forgotten."""


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


class Place(NamedTuple):
    """Where each row lies between the nodes of a polyline; every array (times,)."""

    node: Index  # the one below
    share: Array  # of the one above


def place_of(x: Array, nodes: Array) -> Place:
    """The node below every x and the share of the one above it; held at the ends."""
    if nodes.size == 1:
        return Place(np.zeros(x.size, np.int64), np.zeros(x.size))
    at = np.clip(x, nodes[0], nodes[-1])
    k = np.clip(np.searchsorted(nodes, at, side="right") - 1, 0, nodes.size - 2)
    return Place(k, (at - nodes[k]) / (nodes[k + 1] - nodes[k]))


def hat(x: Array, nodes: Array) -> Array:
    """Weight of every node at every x: (x.size, nodes.size); rows sum to one, held at the ends."""
    place, rows = place_of(x, nodes), np.arange(x.size)
    weight = np.zeros((x.size, nodes.size))
    weight[rows, place.node] = 1.0 - place.share
    weight[rows, np.minimum(place.node + 1, nodes.size - 1)] += place.share
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


def arrhenius(degC: Array, centre_degC: Array | float, activation_K: float) -> Array:
    """How much larger a resistance is at `degC` than at `centre_degC`."""
    return np.asarray(np.exp(activation_K * (1.0 / (degC + physics.KELVIN) - 1.0 / (centre_degC + physics.KELVIN))))


class Path(NamedTuple):
    """Where a log goes through the tables, whatever the shape of the circuit; every array (times,)."""

    current_A: Array
    degC: Array
    dt_s: Array
    over_degC: Place
    over_ocv: Place
    over_resistance: Place
    over_hysteresis: Place


def path_of(log: CellLog, soc: Array, centres: Array) -> Path:
    """The path of a log whose SOC at each row is known."""
    over_degC = place_of(log.cell_degC, centres)
    over_soc = (place_of(soc, nodes) for nodes in (OCV_NODES, R_NODES, HYSTERESIS_NODES))
    return Path(log.current_A, log.cell_degC, steps_s(log), over_degC, *over_soc)


class Walk(NamedTuple):
    """A path as a circuit of one shape walks along it."""

    path: Path
    keep: Array  # (times, pairs) share of an RC pair's voltage that a step leaves
    drive_A: Array  # (times, 2) current through one ohm of the colder and of the warmer block
    hysteresis: Array  # (times,) state of a half-width of one volt


def walk_of(path: Path, shape: Shape, centres: Array, capacity_Ah: float, start_h: float) -> Walk:
    """What the shape of the circuit makes of a path."""
    cold, share = path.over_degC
    warm = np.minimum(cold + 1, centres.size - 1)
    drive_A = [
        weight * arrhenius(path.degC, centres[block], shape.activation_K) * path.current_A
        for weight, block in ((1.0 - share, cold), (share, warm))
    ]
    keep = [np.exp(-path.dt_s / tau_s) for tau_s in (shape.tau1_s, shape.tau2_s)]
    h = hysteresis_states(path.current_A, path.dt_s, capacity_Ah, shape.hysteresis_rate, start_h)
    return Walk(path, np.stack(keep, axis=1), np.stack(drive_A, axis=1), h)


@part
def untouched(walk: Walk, blocks: int) -> tuple[int, int, Array]:
    """First block and first node that a log comes to, and the RC answers (blocks, pairs, nodes) from there on."""
    over_degC, over_r = walk.path.over_degC.node, walk.path.over_resistance.node
    block, node = over_degC.min(), over_r.min()
    last = min(over_degC.max() + 1, blocks - 1)
    return block, node, np.zeros((last - block + 1, PAIRS, over_r.max() + 2 - node))


@kernel
def flow(walk: Walk, k: int, block: int, node: int, rc: Array) -> None:
    """RC answers of one ohm at every node, moved on by one row. `rc` begins with this block and node."""
    over_r = walk.path.over_resistance
    at, share = over_r.node[k] - node, over_r.share[k]
    for pair in range(PAIRS):
        keep = walk.keep[k, pair]
        for b in range(rc.shape[0]):
            row = rc[b, pair]
            for n in range(row.shape[0]):
                row[n] = keep * row[n] if abs(row[n]) > NO_A else 0.0
        for warmer in range(2):
            drive_A = (1.0 - keep) * walk.drive_A[k, warmer]
            if drive_A != 0.0:
                row = rc[walk.path.over_degC.node[k] - block + warmer, pair]
                row[at] += (1.0 - share) * drive_A
                row[at + 1] += share * drive_A


@kernel
def put(at: Index, value: Array, count: int, first: int, place: Place, k: int, factor: float) -> int:
    """Two neighbouring columns of a polyline; gives the new count."""
    share = place.share[k]
    at[count], value[count] = first + place.node[k], (1.0 - share) * factor
    if share == 0.0:
        return count + 1
    at[count + 1], value[count + 1] = first + place.node[k] + 1, share * factor
    return count + 2


@kernel
def row_of(walk: Walk, k: int, block: int, node: int, rc: Array, at: Index, value: Array) -> int:
    """The columns of one row that are not zero, rising, and their values; gives how many."""
    path, count = walk.path, 0
    for b in range(rc.shape[0]):
        first, warmer = (block + b) * BLOCK, block + b - path.over_degC.node[k]
        share = path.over_degC.share[k] if warmer == 1 else 1.0 - path.over_degC.share[k] if warmer == 0 else 0.0
        if share > 0.0:
            count = put(at, value, count, first, path.over_ocv, k, share)
            count = put(at, value, count, first + FIRST_R, path.over_resistance, k, -walk.drive_A[k, warmer])
        for pair in range(PAIRS):
            for n in range(rc.shape[2]):
                if rc[b, pair, n] != 0.0:
                    at[count] = first + FIRST_R + (1 + pair) * R_NODES.size + node + n
                    value[count] = -rc[b, pair, n]
                    count += 1
        if share > 0.0:
            count = put(at, value, count, first + FIRST_H, path.over_hysteresis, k, share * walk.hysteresis[k])
    return count


@compiled
def normal(walk: Walk, blocks: int, worth: Array, rest_V: Array, freedom_V: Array) -> tuple[Array, Array, Array]:
    """Normal equations of one log: matrix, right side, and how its freedoms (times, n) lean on the unknowns."""
    size, freedoms = BLOCK * blocks, freedom_V.shape[1]
    matrix, right, lever = np.zeros((size, size)), np.zeros(size), np.zeros((size, freedoms))
    block, node, rc = untouched(walk, blocks)
    at, value = np.empty(size, np.int64), np.empty(size)
    for k in range(walk.hysteresis.shape[0]):
        flow(walk, k, block, node, rc)
        count = row_of(walk, k, block, node, rc, at, value)
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
def modelled_V(walk: Walk, unknowns: Array) -> Array:
    """What the circuit adds to the OCV of the slow tests at every row [V]."""
    out, rc_V = np.empty(walk.hysteresis.shape[0]), np.zeros(PAIRS)
    for k in range(out.shape[0]):
        out[k] = next_V(walk, k, unknowns, rc_V)
    return out


@kernel
def next_V(walk: Walk, k: int, unknowns: Array, rc_V: Array) -> float:
    """The same of one row, the voltages of the RC pairs moved on by it."""
    path, total_V = walk.path, 0.0
    for pair in range(PAIRS):
        rc_V[pair] = walk.keep[k, pair] * rc_V[pair] if abs(rc_V[pair]) > NO_V else 0.0
    for warmer in range(2):
        share = path.over_degC.share[k] if warmer else 1.0 - path.over_degC.share[k]
        if share > 0.0:
            first, drive_A = (path.over_degC.node[k] + warmer) * BLOCK, walk.drive_A[k, warmer]
            half_V = value_at(unknowns, first + FIRST_H, path.over_hysteresis, k)
            total_V += share * (value_at(unknowns, first, path.over_ocv, k) + half_V * walk.hysteresis[k])
            total_V -= drive_A * value_at(unknowns, first + FIRST_R, path.over_resistance, k)
            for pair in range(PAIRS):
                r = value_at(unknowns, first + FIRST_R + (1 + pair) * R_NODES.size, path.over_resistance, k)
                rc_V[pair] += (1.0 - walk.keep[k, pair]) * r * drive_A
    for pair in range(PAIRS):
        total_V -= rc_V[pair]
    return total_V


@kernel
def value_at(unknowns: Array, first: int, place: Place, k: int) -> float:
    """A polyline whose nodes begin at `first`, at one row."""
    node, share = first + place.node[k], place.share[k]
    value: float = (1.0 - share) * unknowns[node] + share * unknowns[node + 1]
    return value
