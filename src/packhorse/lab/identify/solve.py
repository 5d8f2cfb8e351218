"""All logs of a cell as one least-squares problem, and its solution."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.io.cell_logs import CellLog
from packhorse.lab.identify.circuit import (
    BLOCK,
    FIRST_H,
    HYSTERESIS_NODES,
    OCV_NODES,
    R_NODES,
    Path,
    Shape,
    Walk,
    arrhenius,
    hat,
    layout,
    modelled_V,
    normal,
    path_of,
    walk_of,
)
from packhorse.lab.identify.training import moved_Ah, nearest, typical_degC
from packhorse.pack.compile import SOC_GRID
from packhorse.pack.words import Array, Index

WEIGHT = {"ocv": 0.1, "pulse": 0.03, "capacity": 0.03, "drive": 1.0}
"""How much a row of each kind of test counts where tests contradict: a vehicle is most like a drive."""
OCV_PRIOR_V = 0.006
"""How far the equilibrium may be from the mean of the slow branches."""
STEP_PRIOR = 0.35
"""How much a resistance may change from node to node, as a share of the typical one."""
ACROSS_PRIOR = 0.5
"""How much a resistance may change from one tested temperature to the next beyond Arrhenius' law, as a share."""
OCV_ACROSS_V = 0.004
"""How much the correction of the equilibrium may change from one tested temperature to another 10 K away."""
MOST_HYSTERESIS_V = 0.06
"""No half-width of a cell's hysteresis is larger (assumed)."""
START_PRIOR = 0.05
"""How well a start is known that is not from full."""
CAPACITY_PRIOR = 0.05
"""How far the capacity of an aged cell may be from that of the slow tests."""
LONG_SOC = 0.15
"""A piece that moves less cannot tell by its shape where it is, nor how far it went."""
MOST_SHIFT = 0.1
"""No start and no capacity is moved by more at a time."""
COUNT_SIGMA = 0.005
"""How well counted SOC is known."""
NEAR_EMPTY = 0.15
"""Below this SOC resistances bend more."""
ROW_SIGMA_V = 0.010
"""One independent row in `CORRELATED_ROWS` is worth this much."""
CORRELATED_ROWS = 20.0


class Known(NamedTuple):
    """What slow tests have settled: temperatures, capacity and OCV over SOC at each."""

    centres: Array  # (temperatures,) degC
    capacity_Ah: Array  # (temperatures,)
    ocv_V: Array  # (temperatures, SOC_NODES)
    half_V: Array  # (SOC_NODES,) half of what parts slow charge from slow discharge


class Piece(NamedTuple):
    """One log as the problem sees it."""

    log: CellLog
    soc: Array
    kind: str  # of test, a key of `WEIGHT`
    guessed: bool
    start_h: float
    aged: bool = False  # its charge contradicts the capacity of the slow tests

    @property
    def works(self) -> bool:
        """Whether the cell was at work, not near its equilibrium."""
        return self.kind != "ocv"


class Sums(NamedTuple):
    """Normal equations of one log: matrix and right side over all unknowns, and what is left of the voltage."""

    matrix: Array
    right: Array


class Fit(NamedTuple):
    """Normal equations of all logs and of what is believed beforehand, those of each log, and their solution."""

    matrix: Array
    right: Array
    each: list[Sums]
    unknowns: Array


def over_degC(known: Known, table: Array, degC: Array) -> Array:
    """A table over temperature (first axis) at each of the temperatures, linear, held at the ends."""
    return np.asarray(hat(degC, known.centres) @ table)


def ocv_at(known: Known, soc: Array, degC: Array) -> Array:
    """OCV of each row [V] at its SOC and temperature."""
    curves = np.stack([np.interp(soc, SOC_GRID, curve) for curve in known.ocv_V], axis=1)
    return np.asarray((hat(degC, known.centres) * curves).sum(axis=1))


def centre_of(known: Known, log: CellLog) -> int:
    """Which of the temperatures a log was taken at."""
    return nearest(typical_degC(log), known.centres)


def counted(known: Known, log: CellLog, start: float) -> Array:
    """SOC of each row from the charge counted since a start; capacity at the log's typical temperature."""
    capacity_Ah = float(over_degC(known, known.capacity_Ah, np.array([typical_degC(log)]))[0])
    return start - moved_Ah(log) / capacity_Ah


def slope_at(known: Known, piece: Piece) -> Array:
    """Slope of the OCV at each row [V]."""
    ahead_V = ocv_at(known, piece.soc + 0.005, piece.log.cell_degC)
    return (ahead_V - ocv_at(known, piece.soc - 0.005, piece.log.cell_degC)) / 0.01


def row_weight(piece: Piece, slope_V: Array) -> Array:
    """What each row is worth: the counted SOC is not exact either, which matters where the OCV is steep."""
    return WEIGHT[piece.kind] / ((ROW_SIGMA_V**2 + (slope_V * COUNT_SIGMA) ** 2) * CORRELATED_ROWS)


class Seen(NamedTuple):
    """What of a log does not depend on the shape of the circuit."""

    piece: Piece
    path: Path
    rest_V: Array  # (times,) measured minus the OCV of the slow tests
    worth: Array  # (times,) of each row
    freedom: Array  # (times, n) what a whole unit of each freedom adds to the SOC
    freedom_V: Array  # (times, n) and to the voltage
    precision: Array  # (n,) of what is known of each freedom beforehand


def seen(known: Known, piece: Piece) -> Seen:
    """A log made ready: what it leaves to the circuit, and what of its SOC is not known.

    That is a start that was guessed, and the capacity of a cell that has aged since its slow tests.
    """
    columns, sigmas = [], []
    if piece.guessed:
        columns.append(np.ones_like(piece.soc))
        sigmas.append(START_PRIOR)
    if piece.aged:
        columns.append(piece.soc - piece.soc[0])
        sigmas.append(CAPACITY_PRIOR)
    freedom = np.ascontiguousarray(np.array(columns).reshape(-1, piece.soc.size).T)
    slope_V = slope_at(known, piece)
    rest_V = piece.log.cell_V - ocv_at(known, piece.soc, piece.log.cell_degC)
    worth = row_weight(piece, slope_V)
    path = path_of(piece.log, piece.soc, known.centres)
    return Seen(piece, path, rest_V, worth, freedom, slope_V[:, None] * freedom, 1.0 / np.array(sigmas) ** 2)


def walk(known: Known, shape: Shape, one: Seen) -> Walk:
    """A log as the circuit walks through it."""
    return walk_of(one.path, shape, known.centres, float(np.mean(known.capacity_Ah)), one.piece.start_h)


def sums(known: Known, shape: Shape, one: Seen) -> Sums:
    """Normal equations of one log over all blocks. What is not known of its SOC is projected out, with its prior."""
    rest_V, worth, freedom_V = one.rest_V, one.worth, one.freedom_V
    matrix, right, lever = normal(walk(known, shape, one), known.centres.size, worth, rest_V, freedom_V)
    if not one.precision.size:
        return Sums(matrix, right)
    own = freedom_V.T @ (worth[:, None] * freedom_V) + np.diag(one.precision)
    pull = freedom_V.T @ (worth * rest_V)
    return Sums(matrix - lever @ np.linalg.solve(own, lever.T), right - lever @ np.linalg.solve(own, pull))


def left_V(known: Known, shape: Shape, one: Seen, x: Array) -> Array:
    """What a solution leaves of a log's voltage, row by row."""
    return np.asarray(one.rest_V - modelled_V(walk(known, shape, one), x))


def found(known: Known, shape: Shape, piece: Piece, x: Array) -> Array:
    """What the solution says of each of a log's freedoms, (n,)."""
    one = seen(known, piece)
    own = one.freedom_V.T @ (one.worth[:, None] * one.freedom_V) + np.diag(one.precision)
    return np.asarray(np.linalg.solve(own, one.freedom_V.T @ (one.worth * left_V(known, shape, one, x))))


def moved(known: Known, shape: Shape, piece: Piece, x: Array) -> Piece:
    """The log with its SOC where the solution sees it, as far as it is not known beforehand."""
    shift = np.clip(found(known, shape, piece, x), -MOST_SHIFT, MOST_SHIFT)
    return piece._replace(soc=piece.soc + seen(known, piece).freedom @ shift)


def residual(known: Known, shape: Shape, piece: Piece, x: Array) -> Array:
    """Measured minus modelled voltage of every row [V]."""
    return left_V(known, shape, seen(known, piece), x)


def drop_V(known: Known, shape: Shape, piece: Piece, x: Array) -> Array:
    """Voltage over the resistances of the solution, row by row."""
    over = np.zeros((known.centres.size, BLOCK), dtype=bool)
    for part in layout().resistance:
        over[:, part] = True
    return -modelled_V(walk(known, shape, seen(known, piece)), np.where(over.ravel(), x, 0.0))


class Beforehand:
    """Normal equations of what is believed beforehand, written down one kind of wish after the other."""

    def __init__(self, unknowns: int) -> None:
        self.matrix = np.zeros((unknowns, unknowns))
        self.right = np.zeros(unknowns)

    def near(self, at: Index, value: Array | float, sigma: Array | float) -> None:
        """Some unknowns are near a value; none is named twice."""
        self.matrix[at, at] += 1.0 / sigma**2
        self.right[at] += value / sigma**2

    def like(self, at: Index, other: Index, factor: float, sigma: Array | float) -> None:
        """Some unknowns are near `factor` times others; none is named twice on one side."""
        weight = 1.0 / sigma**2
        self.matrix[at, at] += weight
        self.matrix[other, other] += weight * factor**2
        self.matrix[at, other] -= weight * factor
        self.matrix[other, at] -= weight * factor


def prior(known: Known, typical_ohm: Array, activation_K: float) -> tuple[Array, Array]:
    """Matrix and right side of what is believed beforehand: small corrections, smooth resistances."""
    wishes = Beforehand(BLOCK * known.centres.size)
    half_V = np.interp(HYSTERESIS_NODES, SOC_GRID, known.half_V)
    for t in range(known.centres.size):
        wish_ocv(wishes, known, t)
        wish_resistance(wishes, known, typical_ohm, activation_K, t)
        wish_hysteresis(wishes, half_V, t, last=t + 1 == known.centres.size)
    return wishes.matrix, wishes.right


def wish_ocv(wishes: Beforehand, known: Known, t: int) -> None:
    """OCV is near the mean of the slow branches, and its correction smooth over SOC and alike over temperature."""
    at = t * BLOCK + np.arange(OCV_NODES.size)
    wishes.near(at, 0.0, OCV_PRIOR_V)
    wishes.like(at[1:], at[:-1], 1.0, OCV_PRIOR_V * np.sqrt(np.diff(OCV_NODES) / 0.1))
    if t + 1 < known.centres.size:
        wishes.like(at, at + BLOCK, 1.0, OCV_ACROSS_V * np.sqrt((known.centres[t + 1] - known.centres[t]) / 10.0))


def wish_resistance(wishes: Beforehand, known: Known, typical_ohm: Array, activation_K: float, t: int) -> None:
    """Resistances are of a typical size, smooth over SOC but near empty, and follow Arrhenius over temperature."""
    bends = np.where(R_NODES[1:] <= NEAR_EMPTY, 3.0, 1.0)
    step_ohm = STEP_PRIOR * typical_ohm[t] * bends * np.sqrt(np.diff(R_NODES) / 0.1)
    for part in layout().resistance:
        at = t * BLOCK + np.arange(part.start, part.stop)
        wishes.near(at, 0.0, 10.0 * typical_ohm[t])
        wishes.like(at[1:], at[:-1], 1.0, step_ohm)
        if t + 1 < known.centres.size:
            cold, warm = known.centres[t], known.centres[t + 1]
            fall = float(arrhenius(cold, warm, activation_K))
            wishes.like(at, at + BLOCK, fall, ACROSS_PRIOR * typical_ohm[t] * np.sqrt((warm - cold) / 10.0))


def wish_hysteresis(wishes: Beforehand, half_V: Array, t: int, last: bool) -> None:
    """Hysteresis is about half of what parts the slow branches, and smooth."""
    at, most_V = t * BLOCK + FIRST_H + np.arange(HYSTERESIS_NODES.size), np.maximum(0.6 * half_V, 1e-4)
    wishes.near(at, 0.5 * half_V, most_V)
    wishes.like(at[1:], at[:-1], 1.0, most_V[1:])
    if not last:
        wishes.like(at, at + BLOCK, 1.0, most_V)


def bounds(temperatures: int) -> tuple[Array, Array]:
    """Least and largest value of every unknown: resistances are not negative, hysteresis stays near what is known."""
    least, most = np.zeros(BLOCK), np.full(BLOCK, np.inf)
    least[layout().ocv] = -np.inf
    most[layout().hysteresis] = MOST_HYSTERESIS_V
    return np.tile(least, temperatures), np.tile(most, temperatures)


def solution(matrix: Array, right: Array, limits: tuple[Array, Array]) -> Array:
    """The unknowns that fit best, none below its least value or above its largest.

    Block principal pivoting: hold what goes beyond, release what wants back, all at once, one at a time where that
    would go round in circles. J. Kim, H. Park, SIAM J. Sci. Comput. 33 (2011) 3261, doi 10.1137/110821172.
    """
    least, most = limits
    held = np.zeros(right.size)  # -1 at the least value, 1 at the largest
    fewest, patience = right.size + 1, 3
    x = np.zeros(right.size)
    small = 1e-9 * np.abs(right).max()
    for _ in range(200):
        x = np.where(held < 0, least, np.where(held > 0, most, 0.0))
        free = held == 0
        x[free] = np.linalg.solve(matrix[np.ix_(free, free)], right[free] - matrix[np.ix_(free, ~free)] @ x[~free])
        pull = matrix @ x - right
        beyond = np.where(free & (x < least - 1e-12), -1.0, np.where(free & (x > most + 1e-12), 1.0, 0.0))
        released = held * pull > small
        wrong = released | (beyond != 0)
        count = int(wrong.sum())
        if count == 0:
            break
        patience = 3 if count < fewest else patience - 1
        fewest = min(count, fewest)
        change = wrong if patience > 0 else np.arange(right.size) == np.nonzero(wrong)[0][-1]
        held = np.where(change, beyond, held)
    return np.clip(x, least, most)
