"""State of power: what cells, strings and the pack can give and take for 2, 10, 30 and 600 s.

The largest constant current that no cell objects to: from the first instant to the end of the horizon the voltage
stays inside its limits less a margin, at the end the SOC is inside its window, and the current is within the rating
at the cell's temperature. After G. L. Plett, IEEE Trans. Vehicular Technology 53 (2004) 1586-1593,
doi 10.1109/TVT.2004.832408, with these differences:

- Nothing is linearised. The voltage at the end is that of the cell's tables at the SOC of the end, with hysteresis
  turned by the charge that flows. RC pairs see their resistance grow in a straight line from start to end, which is
  the safe side where resistance over SOC is convex. The temperature stays as it is (assumed).
- Doubt counts against us: each cell is taken `z` sigma emptier when discharging and fuller when charging, with a
  resistance `z` sigma higher. Both at once is more careful than `z` says. A resistance that becomes smaller on the way
  or at the doubted SOC earns nothing.
- The rating is that for ten seconds up to 10 s and the steady one for 600 s, each of the cell that has the smallest;
  30 s lie between in the logarithm of time (assumed). Outside the temperatures for charging no charge is allowed.
- A longer horizon never allows more than a shorter one, so the way to the end is watched piece by piece: from one
  horizon to the next each RC pair counts with the worse of its two ends, everything else with the later. A pair that
  still relaxes from a load larger than the one allowed is thereby taken a little too seriously.
- What is not known allows nothing: one NaN among a cell's numbers stops its string.

Power is the current times the lowest voltage of the horizon: when discharging that at the end (or the start, where the
cell still relaxes), when charging that before the current flows. A load that holds this power never draws more than
the current.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse.cell import physics
from packhorse.cell.physics import ONE
from packhorse.cell.table import (
    CAPACITY,
    HYSTERESIS_V,
    OCV,
    PLACES,
    R0,
    R1,
    R2,
    ROW,
    ROWS,
    TAU1,
    TAU2,
    WARMER,
    mix_circuit,
    mix_degC,
    place_degC,
    place_soc,
)
from packhorse.compiled import kernel, part
from packhorse.pack.known import known
from packhorse.pack.words import NODE_COLUMNS, Array, Cell

HORIZONS_S = (2.0, 10.0, 30.0, 600.0)
HORIZONS = len(HORIZONS_S)
PEAK_SHARE = (1.0, 1.0, math.log(600.0 / 30.0) / math.log(600.0 / 10.0), 0.0)
"""How much of the ten-second rating counts in each horizon; the rest is the steady one."""
DISCHARGE, CHARGE = 0, 1
SURE_Z = 1.645
"""One-sided 95 % of a normal distribution."""
STEADY, PEAK = 3, 5
"""Columns of the ratings over temperature: steady discharge and ten-second discharge; charge is one further."""
ABSURD_V = 1000.0
"""No cell has this much room to its limit: some number that led there is infinite."""
STEPS, CLOSE_V = 10, 1e-12
"""Trials of a current in the search for the largest, at most, and the room that ends it."""

SOC, DOUBT, RC1_V, RC2_V, TURNED, RESISTANCE, SOC_PER_AS, DEGC = range(8)
"""Rows of what is made ready of each cell: SOC, its doubt, V, V, hysteresis state, factor, 1/As, degC."""
BEFORE1, KEEP1, LATE1, BEFORE2, KEEP2, LATE2, READY_ROWS = range(8, 15)
"""Further rows: of each RC pair what is left of its voltage after the horizon before and after this one, and the
weight of the resistance of the start."""
PASSED, SOC_END, ROOM_V, LOWEST_V, END_ROWS = range(NODE_COLUMNS, NODE_COLUMNS + 5)
"""Rows at the end of a horizon, after those of `cell.table` that `mix_circuit` fills: SOC that has flowed, SOC left,
what is left to the limit, and the lowest voltage on the way."""


class Cells(NamedTuple):
    """What is believed of each cell of a string, (series,). Factors multiply nominal capacity, and R0, R1 and R2."""

    soc: Array
    soc_sigma: Array
    rc1_V: Array
    rc2_V: Array
    hysteresis: Array
    capacity_factor: Array
    resistance_factor: Array
    resistance_sigma: Array  # of the factor
    degC: Array


class Window(NamedTuple):
    """What a cell must stay inside, and how many sigma of doubt count against it."""

    margin_V: float
    soc_low: float
    soc_high: float
    charge_min_degC: float
    charge_max_degC: float
    z: float


class Ask(NamedTuple):
    """What is asked of a cell: which direction, down or up to which voltage, and for how long."""

    sign: float  # 1 discharge, -1 charge
    limit_V: float
    horizon_s: float
    hysteresis_rate: float


@part
def string_power(cell: Cell, cells: Cells, window: Window, current_A: Array, power_W: Array) -> tuple[float, float]:
    """Power of one string into `current_A` and `power_W`, (2, horizons): discharge and charge, none negative.

    Gives back the sums over the cells of R0 and of all resistance [ohm], by which parallel strings share their
    current.
    """
    nodes, series = cell.nodes, cells.soc.shape[0]
    place, table = np.empty((PLACES, series)), np.empty((ROWS, series))
    ready, end = np.empty((READY_ROWS, series)), np.empty((END_ROWS, series))
    place_degC(cells.degC, place)
    place_soc(cells.soc, place)
    mix_circuit(nodes, place, table)
    mix_degC(cell.degC_nodes, place, table)
    make_ready(cell, table, cells, window.z, ready)
    rating_A, charge_As = narrowest(cell, cells, window, ready, place)
    rest_V = resting_V(nodes, cells, ready, place, end)
    allowed_A, binding = np.full(2, math.inf), np.zeros(2, dtype=np.int64)
    for n in range(len(HORIZONS_S)):
        horizon_s = HORIZONS_S[n]
        watch_pairs(table, horizon_s, ready)
        for direction in range(2):
            sign = 1.0 if direction == DISCHARGE else -1.0
            limit_V = cell.min_V + window.margin_V if direction == DISCHARGE else cell.max_V - window.margin_V
            ask = Ask(sign, limit_V, horizon_s, cell.hysteresis_rate)
            rated_A = rating_A[direction] + PEAK_SHARE[n] * (rating_A[2 + direction] - rating_A[direction])
            highest_A = least(least(allowed_A[direction], rated_A), charge_As[direction] / horizon_s)
            allowed_A[direction], binding[direction] = largest(
                cell, table, nodes, ready, place, end, ask, highest_A, binding[direction]
            )
            volts = lowest_V(end) if direction == DISCHARGE else rest_V
            current_A[direction, n] = allowed_A[direction]
            power_W[direction, n] = allowed_A[direction] * volts if allowed_A[direction] > 0.0 and volts > 0.0 else 0.0
    return in_series(table, cells)


@kernel
def least(x: float, y: float) -> float:
    """The smaller of two limits, never negative; what is not known allows nothing."""
    smaller = x if x <= y else y
    return smaller if smaller > 0.0 else 0.0


@kernel
def make_ready(cell: Cell, table: Array, cells: Cells, z: float, ready: Array) -> None:
    """What of each cell is the same for all horizons and currents."""
    for k in range(ready.shape[1]):
        ready[SOC, k] = cells.soc[k]
        ready[DOUBT, k] = z * cells.soc_sigma[k]
        ready[RC1_V, k] = cells.rc1_V[k]
        ready[RC2_V, k] = cells.rc2_V[k]
        ready[TURNED, k] = cells.hysteresis[k]
        ready[RESISTANCE, k] = cells.resistance_factor[k] + z * cells.resistance_sigma[k]
        capacity_Ah = cells.capacity_factor[k] * table[CAPACITY, k] * cell.capacity_Ah
        ready[SOC_PER_AS, k] = 1.0 / (physics.SECONDS_PER_HOUR * capacity_Ah)
        ready[DEGC, k] = cells.degC[k]
        ready[KEEP1, k], ready[KEEP2, k] = 1.0, 1.0


@kernel
def watch_pairs(table: Array, horizon_s: float, ready: Array) -> None:
    """How each RC pair remembers after a horizon: its voltage, and the resistance of the start against the end.

    A pair whose resistance goes from a to b in a straight line is charged at constant current to
    (1 - keep) b + late (a - b), with keep = exp(-t / tau) and late = tau (1 - keep) / t - keep.
    """
    for k in range(table.shape[1]):
        ready[BEFORE1, k], ready[BEFORE2, k] = ready[KEEP1, k], ready[KEEP2, k]
        keep1, keep2 = physics.decay(horizon_s / table[TAU1, k]), physics.decay(horizon_s / table[TAU2, k])
        ready[KEEP1, k], ready[KEEP2, k] = keep1, keep2
        ready[LATE1, k] = table[TAU1, k] * (1.0 / horizon_s) * (1.0 - keep1) - keep1
        ready[LATE2, k] = table[TAU2, k] * (1.0 / horizon_s) * (1.0 - keep2) - keep2


@part
def narrowest(cell: Cell, cells: Cells, window: Window, ready: Array, place: Array) -> tuple[Array, Array]:
    """The smallest ratings of all cells [A], steady and ten seconds, and the least charge [As] to give and to take."""
    ratings = cell.degC_nodes
    rating_A, charge_As = np.full(4, math.inf), np.full(2, math.inf)
    for k in range(cells.soc.shape[0]):
        believable = known(cells.degC[k]) and known(cells.soc[k]) and known(cells.hysteresis[k])
        believable = believable and cells.soc_sigma[k] >= 0.0 and cells.resistance_sigma[k] >= 0.0
        believable = believable and ready[RESISTANCE, k] > 0.0 and ready[SOC_PER_AS, k] > 0.0
        ampere_seconds = 1.0 / ready[SOC_PER_AS, k] if believable else math.nan
        if k == 0 or cells.degC[k] != cells.degC[k - 1]:  # neighbours share a probe
            j, g = np.uint64(np.int64(place[ROW, k])), place[WARMER, k]
            for c in range(4):
                rated_A = (1.0 - g) * ratings[j, STEADY + c] + g * ratings[j + ONE, STEADY + c]
                rating_A[c] = least(rating_A[c], rated_A)
        give = cells.soc[k] - ready[DOUBT, k] - window.soc_low
        take = window.soc_high - cells.soc[k] - ready[DOUBT, k]
        take = take if window.charge_min_degC <= cells.degC[k] <= window.charge_max_degC else 0.0
        charge_As[DISCHARGE] = least(charge_As[DISCHARGE], give * ampere_seconds)
        charge_As[CHARGE] = least(charge_As[CHARGE], take * ampere_seconds)
    return rating_A, charge_As


@kernel
def resting_V(nodes: Array, cells: Cells, ready: Array, place: Array, end: Array) -> float:
    """Voltage of the string below which no charging current can leave it, with doubt: what its cells rest at."""
    for k in range(ready.shape[1]):
        end[SOC_END, k] = cells.soc[k] - ready[DOUBT, k]
    place_soc(end[SOC_END], place)
    mix_circuit(nodes, place, end)
    total_V = 0.0
    for k in range(ready.shape[1]):
        lag_V = (cells.rc1_V[k] if cells.rc1_V[k] > 0.0 else 0.0) + (cells.rc2_V[k] if cells.rc2_V[k] > 0.0 else 0.0)
        total_V += end[OCV, k] + end[HYSTERESIS_V, k] * cells.hysteresis[k] - lag_V
    return total_V


@kernel
def room_and_lowest(
    ask: Ask,
    current_A: float,
    passed: float,
    doubt: float,
    at_start: tuple[float, float, float],
    at_end: tuple[float, float, float, float, float],
    pairs: tuple[float, float, float, float, float, float],
    was: tuple[float, float, float],
    resistance: float,
) -> tuple[float, float]:
    """Room of a cell's voltage to its limit, and its worst voltage on the way (the lowest when discharging).

    `current_A` is the size of the current, `passed` the SOC that it moves, `at_start` R0, R1 and R2 at the SOC
    believed, `at_end` OCV, the same and the hysteresis at the SOC of the end, `was` the voltages of the RC pairs and
    the hysteresis state. What cannot be computed leaves no room.
    """
    ocv_V, r0, r1, r2, width_V = at_end
    before1, keep1, late1, before2, keep2, late2 = pairs
    rc1_V, rc2_V, h = ask.sign * was[0], ask.sign * was[1], was[2]
    flown = passed / (passed + doubt) if passed + doubt > 0.0 else 1.0
    # a resistance that grows on the way is that of the way; one that falls earns nothing, or midway would be forgotten
    rise0, rise1, rise2 = r0 - at_start[0], r1 - at_start[1], r2 - at_start[2]
    r0, r1, r2 = (
        r0 if rise0 > 0.0 else at_start[0],
        r1 if rise1 > 0.0 else at_start[1],
        r2 if rise2 > 0.0 else at_start[2],
    )
    rise1, rise2 = rise1 if rise1 > 0.0 else 0.0, rise2 if rise2 > 0.0 else 0.0
    driven_A = resistance * current_A
    end1_V = keep1 * rc1_V + driven_A * ((1.0 - keep1) * r1 - late1 * flown * rise1)
    end2_V = keep2 * rc2_V + driven_A * ((1.0 - keep2) * r2 - late2 * flown * rise2)
    held = physics.decay(ask.hysteresis_rate * passed)
    turned = held * h - (1.0 - held) * ask.sign
    calm_V = ocv_V + width_V * turned - ask.sign * driven_A * r0
    early1_V = before1 * rc1_V + (1.0 - before1) * driven_A * r1
    early2_V = before2 * rc2_V + (1.0 - before2) * driven_A * r2
    room_V = ask.sign * (calm_V - ask.limit_V) - (end1_V if end1_V > early1_V else early1_V)
    room_V -= end2_V if end2_V > early2_V else early2_V
    worst1_V, worst2_V = end1_V if end1_V > rc1_V else rc1_V, end2_V if end2_V > rc2_V else rc2_V
    worst_V = calm_V - ask.sign * (worst1_V + worst2_V)
    return room_V if -ABSURD_V < room_V < ABSURD_V else -ABSURD_V, worst_V


@kernel
def try_current(nodes: Array, table: Array, ready: Array, place: Array, end: Array, ask: Ask, current_A: float) -> int:
    """Room and lowest voltage of every cell at a current, into `end`; how many cells object."""
    for k in range(ready.shape[1]):
        end[PASSED, k] = current_A * ask.horizon_s * ready[SOC_PER_AS, k]
        end[SOC_END, k] = ready[SOC, k] - ask.sign * (ready[DOUBT, k] + end[PASSED, k])
    place_soc(end[SOC_END], place)
    mix_circuit(nodes, place, end)
    for k in range(ready.shape[1]):
        end[ROOM_V, k], end[LOWEST_V, k] = room_and_lowest(
            ask,
            current_A,
            end[PASSED, k],
            ready[DOUBT, k],
            (table[R0, k], table[R1, k], table[R2, k]),
            (end[OCV, k], end[R0, k], end[R1, k], end[R2, k], end[HYSTERESIS_V, k]),
            (ready[BEFORE1, k], ready[KEEP1, k], ready[LATE1, k], ready[BEFORE2, k], ready[KEEP2, k], ready[LATE2, k]),
            (ready[RC1_V, k], ready[RC2_V, k], ready[TURNED, k]),
            ready[RESISTANCE, k],
        )
    objections = 0
    for k in range(ready.shape[1]):
        objections += 1 if end[ROOM_V, k] < 0.0 else 0
    return objections


@kernel
def room_of(cell: Cell, table: Array, ready: Array, ask: Ask, current_A: float, k: int) -> float:
    """Room of one cell at a current: `try_current` for it alone, with the same bits."""
    passed = current_A * ask.horizon_s * ready[SOC_PER_AS, k]
    soc = ready[SOC, k] - ask.sign * (ready[DOUBT, k] + passed)
    ocv_V, _slope, r0, r1, r2 = physics.parameters(cell.nodes, soc, ready[DEGC, k])
    room_V, _lowest = room_and_lowest(
        ask,
        current_A,
        passed,
        ready[DOUBT, k],
        (table[R0, k], table[R1, k], table[R2, k]),
        (ocv_V, r0, r1, r2, physics.at_node(cell.nodes, soc, ready[DEGC, k], HYSTERESIS_V)),
        (ready[BEFORE1, k], ready[KEEP1, k], ready[LATE1, k], ready[BEFORE2, k], ready[KEEP2, k], ready[LATE2, k]),
        (ready[RC1_V, k], ready[RC2_V, k], ready[TURNED, k]),
        ready[RESISTANCE, k],
    )
    return room_V


@kernel
def largest(
    cell: Cell,
    table: Array,
    nodes: Array,
    ready: Array,
    place: Array,
    end: Array,
    ask: Ask,
    highest_A: float,
    first: int,
) -> tuple[float, int]:
    """The largest current up to `highest_A` to which no cell objects, and the cell that bound last.

    The cell `first`, which bound before, is asked alone; then all at once. Where some object, the worst of them finds
    its own current and all are asked again. The more current the less room, so no cell objects twice.
    """
    current_A, worst = highest_A, first
    if current_A > 0.0:
        room_V = room_of(cell, table, ready, ask, current_A, worst)
        if room_V < 0.0:
            current_A = own_current(cell, table, ready, ask, current_A, room_V, worst)
    for _ in range(ready.shape[1] + 1):
        if current_A <= 0.0:
            return current_A, worst
        if try_current(nodes, table, ready, place, end, ask, current_A) == 0:
            return current_A, worst
        for k in range(ready.shape[1]):
            worst = k if end[ROOM_V, k] < end[ROOM_V, worst] else worst
        current_A = own_current(cell, table, ready, ask, current_A, end[ROOM_V, worst], worst)
    return 0.0, worst


@kernel
def own_current(cell: Cell, table: Array, ready: Array, ask: Ask, high_A: float, high_V: float, k: int) -> float:
    """The largest current of one cell that leaves room, where `high_A` leaves none (`high_V`, negative).

    False position with the Illinois rule: Dowell and Jarratt, BIT 11 (1971) 168, doi 10.1007/BF01934364. What comes
    back was tried and leaves room, however far the search came.
    """
    low_A, side = 0.0, 0
    low_V = room_of(cell, table, ready, ask, low_A, k)
    if low_V < 0.0:
        return 0.0
    for _ in range(STEPS):
        between_A = low_A + (high_A - low_A) * low_V / (low_V - high_V)
        room_V = room_of(cell, table, ready, ask, between_A, k)
        if 0.0 <= room_V < CLOSE_V:
            return between_A
        if room_V >= 0.0:
            high_V = 0.5 * high_V if side == 1 else high_V
            low_A, low_V, side = between_A, room_V, 1
        else:
            low_V = 0.5 * low_V if side == -1 else low_V
            high_A, high_V, side = between_A, room_V, -1
    return low_A


@kernel
def lowest_V(end: Array) -> float:
    """Lowest voltage of the string on the way, at the current that was tried last."""
    total_V = 0.0
    for k in range(end.shape[1]):
        total_V += end[LOWEST_V, k]
    return total_V


@kernel
def in_series(table: Array, cells: Cells) -> tuple[float, float]:
    """R0, and all resistance, of the cells of a string in series [ohm]."""
    first_ohm, all_ohm = 0.0, 0.0
    for k in range(cells.soc.shape[0]):
        factor = cells.resistance_factor[k]
        first_ohm += factor * table[R0, k]
        all_ohm += factor * (table[R0, k] + table[R1, k] + table[R2, k])
    return first_ohm, all_ohm


@part
def pack_power(
    connected: Array, first_ohm: Array, all_ohm: Array, string_A: Array, string_W: Array
) -> tuple[Array, Array]:
    """Current and power of all connected strings together, (2, horizons), from those of each, (strings, 2, horizons).

    Strings in parallel share the current by conductance, at first by that of R0, later by that of all resistance, so
    each string's share is the larger of the two, and the string that reaches its own limit first binds. The voltage
    is that of the lowest. Equal strings give the sum. Currents that unequal open-circuit voltages drive between
    strings come on top and are not foreseen; each string's own limit still holds.
    """
    horizons = string_A.shape[2]
    total_A, total_W = np.zeros((2, horizons)), np.zeros((2, horizons))
    first_S, all_S = 0.0, 0.0
    for s in range(connected.shape[0]):
        first_S += 1.0 / first_ohm[s] if connected[s] > 0.0 else 0.0
        all_S += 1.0 / all_ohm[s] if connected[s] > 0.0 else 0.0
    if not (first_S > 0.0 and all_S > 0.0):
        return total_A, total_W
    for direction in range(2):
        for n in range(horizons):
            current_A, lowest_V = math.inf, math.inf
            for s in range(connected.shape[0]):
                if connected[s] > 0.0:
                    early, late = 1.0 / (first_ohm[s] * first_S), 1.0 / (all_ohm[s] * all_S)
                    own_A = string_A[s, direction, n]
                    current_A = least(current_A, own_A / (early if early > late else late))
                    lowest_V = least(lowest_V, string_W[s, direction, n] / own_A)
            total_A[direction, n] = current_A
            total_W[direction, n] = current_A * lowest_V if current_A > 0.0 else 0.0
    return total_A, total_W
