"""Capacity of one cell over its life, from logs of ordinary use.

The estimators of the vehicle let the resistances wander within a log, since there they must only not mislead the SOC.
Over a life that gives away what tells the capacity: the shape of the voltage over a whole drive. So here each log is
explained as a whole by one aged cell, whose share of the capacity and whose resistance factor last from log to log
with their covariance; where the log started is found anew. This is an extended Kalman filter with one correction for
each log, iterated (B. M. Bell, F. W. Cathey, IEEE Trans. Autom. Control 38 (1993) 294, doi 10.1109/9.250476).

- Capacity means what it meant when the cell file was made: the charge from SOC 1 to 0 of its tables, at their
  reference temperature whatever that of the log.
- What the file misses of this very cell is learned from the first long log and taken off all later ones: what ages is
  the difference.
- An aged cell's resistance grows in the course of a discharge, about as its active material is lost. Nothing tells
  that apart from a lost capacity while one current flows, so it is not estimated; its doubt is carried along and
  widens the interval (S. F. Schmidt, Adv. Control Syst. 3 (1966) 293: a consider filter). The same is done with how
  wrong the tables are away from the temperatures at which the cell was measured.
- Charges are not fitted: they end at a voltage that is held, and begin where a discharge left the cell far from rest.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse.cell import physics
from packhorse.cell.table import HYSTERESIS_V, MODEL_V, OCV
from packhorse.compiled import compiled
from packhorse.estimation.belief import AGEING_PER_S, GATE, START_SIGMA_MOST, located
from packhorse.io.cell_logs import CellLog
from packhorse.lab.identify.settled import FULL_V
from packhorse.lab.identify.training import FEWEST_ROWS, HEARD_S, moved_Ah, split, steps_s, thinned, typical_degC
from packhorse.pack.compile import SOC_GRID, compile_cell
from packhorse.pack.description import CellFile
from packhorse.pack.words import Array, Cell

AGEING_PER_CYCLE = 0.02**2
"""Growth of the variance of ln(share) with a full cycle of charge moved (assumed; beside that of the calendar)."""
RESISTANCE_AGEING = 0.5
"""How far the resistance may drift with a full cycle, in what is unsure of a new cell's (assumed)."""
RESISTANCE_PER_K = 0.05
"""What a resistance factor learned at one temperature leaves unsaid at another, for each kelvin (assumed)."""
GROWTH, GROWTH_SIGMA = 0.5, 0.15
"""Resistance factor that a discharge adds for each SOC gone through, over (1 / share - 1), and its doubt. Assumed with
two NASA cells in view, between what suits one (0.75) and the other (0 to 0.5)."""
WRONG_V_PER_K = 0.002
"""How wrong the voltage of the tables is for each kelvin away from where they were measured (assumed)."""
FULL_SIGMA, FULL_DOUBT = 0.003, 0.3
"""A cell found near its largest voltage has just been charged full, but for this, and this share of what its voltage
lacks (assumed)."""
LEARNED_SHARE = 0.55
"""How much of the tables' errors remains once what they miss of this very cell has been taken off. Assumed,
with two NASA cells in view."""
LEARN_SOC = 0.3
"""A log that goes through less SOC says too little of what the file misses."""
BINS = 50
BEYOND_V = 20.0
"""Below empty the voltage falls by this for each SOC."""
MOST_JOINED_S = 86_400.0
"""Logs are joined to no more than this, or a clock that never stops would be read again and again."""
ROUNDS, STEP_MOST, DONE = 15, 0.2, 1e-5
SHARE, RESISTANCE, START = range(3)
LASTING, UNKNOWNS, DOUBTS = 2, 3, 2
NUDGE = np.array([1e-4, 1e-3, 1e-4, 1e-2])
"""By how much ln(share), resistance factor, start SOC and growth are moved to see what they do."""
LEAST, MOST = np.array([math.log(0.3), 0.2, 0.0]), np.array([math.log(1.3), 10.0, 1.02])
"""What lasts lies between these, or the log is not of this cell."""


class Aged(NamedTuple):
    """What is believed of an aged cell between logs."""

    lasting: Array  # (2,) ln(share of the capacity), resistance factor
    covariance: Array  # (2, 2)
    leaning: Array  # (2, 2) by how much each would differ were each doubt of the considered one sigma more
    missed_V: Array  # (SOC_NODES,) what this cell showed above the tables when first heard
    learned: bool
    degC: float  # of the last log, NaN before


class Explained(NamedTuple):
    """A log and the aged cell that explains it."""

    unknowns: Array  # (3,) those that last, and the SOC at the start
    covariance: Array  # (3, 3)
    leaning: Array  # (3, 2)
    left_V: Array  # (times,)
    soc: Array  # (times,)


class Compared(NamedTuple):
    """A log against an aged cell, each (times,) but for the slopes."""

    soc: Array
    left_V: Array  # measured less expected
    far: Array  # the same, in sigmas
    slopes: Array  # (times, 3) what each unknown does to the voltage
    growth_V: Array  # what the growth does to it
    weight: Array  # as many measurements as the errors of the tables are new, the far ones less (Cauchy)


def capacities(logs: list[CellLog], cell: CellFile) -> list[tuple[float, float]]:
    """Capacity and its sigma [Ah] after each log; each answer rests on that log and those before it.

    A log that says nothing leaves the capacity as it was, and less sure. One whose clock goes on where the last one
    ended is read as one with it.
    """
    tables = compile_cell(cell)
    before = now = fresh(cell)
    told, was = [], None
    for log in logs:
        if was is not None and follows(was, log):
            log = CellLog(log.name, *(np.concatenate(pair) for pair in zip(was[1:], log[1:], strict=True)))  # noqa: PLW2901
        else:
            before = now
        now, was = after(tables, cell, before, log), log
        told.append(answer(tables, now))
    return told


def fresh(cell: CellFile) -> Aged:
    """A cell as its file says, with the doubts that the file has."""
    doubt = np.diag([cell.capacity_sigma**2, cell.resistance_sigma**2])
    return Aged(np.array([0.0, 1.0]), doubt, np.zeros((LASTING, DOUBTS)), np.zeros(SOC_GRID.size), False, math.nan)


def answer(tables: Cell, aged: Aged) -> tuple[float, float]:
    """Capacity and sigma [Ah]."""
    capacity_Ah = tables.capacity_Ah * math.exp(aged.lasting[SHARE])
    variance = aged.covariance[SHARE, SHARE] + float(np.sum(aged.leaning[SHARE] ** 2))
    return capacity_Ah, capacity_Ah * math.sqrt(variance)


def follows(was: CellLog, log: CellLog) -> bool:
    """Whether a log goes on where another ended."""
    if not was.time_s.size or not log.time_s.size:
        return False
    gap_s = log.time_s[0] - was.time_s[-1]
    return bool(0.0 < gap_s <= HEARD_S and log.time_s[-1] - was.time_s[0] <= MOST_JOINED_S)


def after(tables: Cell, cell: CellFile, aged: Aged, log: CellLog) -> Aged:
    """What is believed after a log: aged by it, then corrected by every piece of it that was discharged."""
    heard = np.isfinite(log.time_s) & np.isfinite(log.current_A) & np.isfinite(log.cell_V)
    if np.count_nonzero(heard) < FEWEST_ROWS:
        return grown(tables, cell, aged, log)
    aged = grown(tables, cell, aged, CellLog(log.name, *(column[heard] for column in log[1:])))
    for piece in split(thinned(log)):
        if moved_Ah(piece)[-1] > 0.0:
            aged = corrected(tables, cell, aged, piece)
    return aged


def grown(tables: Cell, cell: CellFile, aged: Aged, log: CellLog) -> Aged:
    """The doubts after the time and the charge of a log, and at its temperature."""
    known_s = log.time_s[np.isfinite(log.time_s)]
    lasted_s = max(float(known_s[-1] - known_s[0]), 0.0) if known_s.size else 0.0
    heard = bool(log.time_s.size) and bool(np.all(np.isfinite(log.current_A)))
    cycles = (
        float(np.sum(steps_s(log) * np.abs(log.current_A))) / (2.0 * physics.SECONDS_PER_HOUR * tables.capacity_Ah)
        if heard
        else 0.5
    )
    degC = typical_degC(log)
    off_K = 0.0 if math.isnan(aged.degC) else degC - aged.degC
    more = np.diag(
        [
            AGEING_PER_S * lasted_s + AGEING_PER_CYCLE * cycles,
            (RESISTANCE_AGEING * cell.resistance_sigma) ** 2 * cycles + (RESISTANCE_PER_K * off_K) ** 2,
        ]
    )
    return aged._replace(covariance=aged.covariance + more, degC=degC)


def corrected(tables: Cell, cell: CellFile, aged: Aged, log: CellLog) -> Aged:
    """What is believed after one discharge; as before where no aged cell explains it."""
    try:
        found = explained(tables, cell, aged, log)
    except np.linalg.LinAlgError:
        return aged
    if found is None:
        return aged
    aged = aged._replace(
        lasting=found.unknowns[:LASTING],
        covariance=found.covariance[:LASTING, :LASTING],
        leaning=found.leaning[:LASTING],
    )
    if not aged.learned and np.ptp(found.soc) > LEARN_SOC:
        aged = aged._replace(missed_V=over_soc(found.soc, found.left_V), learned=True)
    return aged


def over_soc(soc: Array, left_V: Array) -> Array:
    """Means of what is left of a voltage over the nodes of SOC, held beyond."""
    place = np.clip((soc * BINS).astype(int), 0, BINS - 1)
    rows, total = np.bincount(place, minlength=BINS), np.bincount(place, left_V, BINS)
    there = rows > 0
    middle = (np.arange(BINS) + 0.5) / BINS
    return np.interp(SOC_GRID, middle[there], total[there] / rows[there])


def explained(tables: Cell, cell: CellFile, aged: Aged, log: CellLog) -> Explained | None:
    """The most likely aged cell, given a log and what was believed before.

    None where even that one shows other voltages most of the time, or is no cell.
    """
    start, start_sigma = start_of(tables, aged, log)
    mean = np.append(aged.lasting, start)
    prior = np.zeros((UNKNOWNS, UNKNOWNS))
    prior[:LASTING, :LASTING] = np.linalg.inv(aged.covariance)
    prior[START, START] = start_sigma**-2
    wrong_V = WRONG_V_PER_K * float(np.min(np.abs(np.array(cell.ocv.degC) - typical_degC(log))))
    unknowns = mean
    for _ in range(ROUNDS):
        against = compared(tables, aged, unknowns, wrong_V, log)
        weighted = against.slopes.T * against.weight
        matrix = weighted @ against.slopes + prior
        right = weighted @ against.left_V - prior @ (unknowns - mean)
        if not (np.all(np.isfinite(matrix)) and np.all(np.isfinite(right))):
            return None
        step = np.clip(np.linalg.solve(matrix, right), -STEP_MOST, STEP_MOST)
        unknowns = np.clip(unknowns + step, LEAST, MOST)
        if np.max(np.abs(step)) < DONE:
            break
    at_bound = (unknowns <= LEAST) | (unknowns >= MOST)
    if np.any(at_bound[:LASTING]) or np.median(against.far) > GATE:
        return None
    covariance = np.asarray(np.linalg.inv(matrix), dtype=np.float64)
    doubt_V = np.column_stack([GROWTH_SIGMA * against.growth_V, np.full(log.time_s.size, wrong_V)])
    leaning = covariance @ (prior @ np.vstack([aged.leaning, np.zeros(DOUBTS)]) - weighted @ doubt_V)
    return Explained(unknowns, covariance, leaning, against.left_V, against.soc)


def start_of(tables: Cell, aged: Aged, log: CellLog) -> tuple[float, float]:
    """SOC at the first row and its sigma: full where the voltage is near its largest, else where it meets the curve."""
    cell_V, current_A, degC = log.cell_V[0], log.current_A[0], log.cell_degC[0]
    _ocv_V, _slope, r0, r1, r2 = physics.parameters(tables.nodes, 1.0, degC)
    rest_V = cell_V + aged.lasting[RESISTANCE] * (r0 + 0.5 * (r1 + r2)) * current_A
    if rest_V > tables.max_V - FULL_V:
        curve = np.array([physics.at_node(tables.nodes, soc, degC, OCV) for soc in SOC_GRID])
        lacks = FULL_DOUBT * (1.0 - float(np.interp(rest_V, curve, SOC_GRID)))
        return 1.0 - lacks, FULL_SIGMA + lacks
    return met(tables, cell_V, current_A, degC)


@compiled
def met(tables: Cell, cell_V: float, current_A: float, degC: float) -> tuple[float, float]:
    """SOC and sigma where a first voltage meets the curve, of which nothing was said before."""
    return located(tables, cell_V, current_A, degC, 0.5, START_SIGMA_MOST)


def compared(tables: Cell, aged: Aged, unknowns: Array, wrong_V: float, log: CellLog) -> Compared:
    """A log against an aged cell."""
    here = np.append(unknowns, GROWTH)
    soc, model_V, sigma_V = shown(tables, aged, here, log)
    slopes = np.empty((soc.size, UNKNOWNS + 1))
    for k in range(UNKNOWNS + 1):
        there = here.copy()
        there[k] += NUDGE[k]
        slopes[:, k] = (shown(tables, aged, there, log)[1] - model_V) / NUDGE[k]
    remains = LEARNED_SHARE if aged.learned else 1.0
    left_V, sigma_V = log.cell_V - model_V, np.hypot(remains * sigma_V, wrong_V)
    far = np.abs(left_V) / sigma_V
    new = np.minimum(np.abs(np.diff(soc, prepend=soc[0])) / tables.slow_soc + steps_s(log) / tables.slow_s, 1.0)
    weight = new / (sigma_V**2 * (1.0 + (far / GATE) ** 2))
    return Compared(soc, left_V, far, slopes[:, :UNKNOWNS], slopes[:, UNKNOWNS], weight)


def shown(tables: Cell, aged: Aged, unknowns: Array, log: CellLog) -> tuple[Array, Array, Array]:
    """SOC, voltage and its doubt at every row of a log, of a cell of these unknowns and this growth."""
    share, resistance, start, growth = unknowns
    out = np.empty((3, log.time_s.size))
    aged_cell(tables, math.exp(share), resistance, start, growth, log.time_s, log.current_A, log.cell_degC, out)
    return out[0], out[1] + np.interp(out[0], SOC_GRID, aged.missed_V), out[2]


@compiled
def aged_cell(
    tables: Cell,
    share: float,
    resistance: float,
    start: float,
    growth: float,
    time_s: Array,
    current_A: Array,
    degC: Array,
    out: Array,
) -> None:
    """SOC, voltage and how wrong the tables are for long, (3, times), by the equations of the cell."""
    soc, rc1_V, rc2_V, h = start, 0.0, 0.0, 0.0
    for k in range(time_s.shape[0]):
        dt_s = time_s[k] - time_s[k - 1] if k > 0 else 0.0
        tau1_s, tau2_s, warm_share = physics.three_over_degC(tables.degC_nodes, degC[k])
        size_Ah = tables.capacity_Ah * share * warm_share
        soc = physics.count(soc, current_A[k], size_Ah, dt_s)
        ocv_V, _slope, r0, r1, r2 = physics.parameters(tables.nodes, soc, degC[k])
        h = physics.hysteresis(h, current_A[k], size_Ah, tables.hysteresis_rate, dt_s)
        rc1_V = physics.relax(rc1_V, current_A[k], r1, math.exp(-dt_s / tau1_s))
        rc2_V = physics.relax(rc2_V, current_A[k], r2, math.exp(-dt_s / tau2_s))
        factor = resistance + growth * (1.0 / share - 1.0) * abs(start - soc)
        half_V = physics.at_node(tables.nodes, soc, degC[k], HYSTERESIS_V)
        beyond_V = BEYOND_V * soc if soc < 0.0 else 0.0
        out[0, k] = soc
        out[1, k] = ocv_V + half_V * h + beyond_V - factor * (r0 * current_A[k] + rc1_V + rc2_V)
        out[2, k] = physics.at_node(tables.nodes, soc, degC[k], MODEL_V)
