"""The mathematics of `bms.step` once more, in NumPy: the compiled core's peer in speed and its independent oracle.

Cells, probes and fault rows are array axes; what happens once per string is scalar Python on plain floats, which is
faster than arrays of one to four elements. Tables are laid out for gathering once, in `prepare`. Exponentials are
NumPy's own (`physics.decay` is an approximation of them that is good to 1e-9 of itself where it matters), sums over
cells are NumPy's pairwise ones: agreement with the compiled core is to 1e-9, not to the bit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

import numpy_belief
import numpy_outlook
from packhorse.bms import EVENT_COLUMNS, SECONDS_PER_HOUR, SIGNALS
from packhorse.control.balancing import LIMP
from packhorse.control.charging import FULL_V, Charge
from packhorse.control.contactors import LEAST_PRECHARGE_S, OPEN_AFTER_WARNING, OPEN_NOW, THERMAL_S, Plan
from packhorse.control.limits import (
    CHARGE,
    DISCHARGE,
    MAX_DEGC,
    MAX_V,
    MIN_DEGC,
    MIN_V,
    PEAK,
    PEAK_S,
    STEADY,
)
from packhorse.control.thermal import FULL_K, IDLE_PUMP, Heat
from packhorse.estimation.belief import SOC_LEANS, SOC_ROW
from packhorse.estimation.outlook import DOUBT_MAX
from packhorse.estimation.power import HORIZONS
from packhorse.estimation.temperature import ROOM_DEGC
from packhorse.pack.known import LARGEST
from packhorse.pack.words import (
    DEGC_FIRST,
    DEGC_NODES,
    DEGC_STEP,
    SOC_NODES,
    Array,
    Belief,
    Command,
    Control,
    Estimate,
    Frame,
    Frames,
    Index,
    Limits,
    Output,
    Pack,
    Reaction,
    Reason,
    Record,
    Stage,
    State,
    Watch,
)
from packhorse.protection import signals
from packhorse.protection.watch import MOVING_C, Verdict

SOC_SCALE = float(SOC_NODES - 1)
SOC_LAST, DEGC_LAST = SOC_SCALE - 1e-9, DEGC_NODES - 1 - 1e-9
Bound = tuple[float, float]


class Tables(NamedTuple):
    """A pack's tables, laid out for gathering, and what of them never changes."""

    cell: numpy_belief.Tables
    outlook: numpy_outlook.Tables
    points: list[list[list[float]]]  # node tables as Python lists: [temperature][SOC][parameter]
    ratings_A: list[list[float]]  # rows of `degC_nodes` as Python lists
    room: list[float]  # one such row at room temperature
    cells: Index  # (1, series) index of each cell's probe


def prepare(pack: Pack) -> Tables:
    """Lay out a pack's tables; done once."""
    cell = pack.cell
    ratings_A = cell.degC_nodes.tolist()
    return Tables(
        cell=numpy_belief.prepare(cell),
        outlook=numpy_outlook.prepare(cell),
        points=cell.nodes[:, :, :4].tolist(),
        ratings_A=ratings_A,
        room=[over_degC(ratings_A, ROOM_DEGC, column) for column in range(7)],
        cells=pack.probe_of_cell,
    )


def is_known(x: float) -> bool:
    """Whether one reading was measured."""
    return -LARGEST < x < LARGEST


def over_degC(rows: list[list[float]], degC: float, column: int) -> float:
    """One column of a table over temperature at one temperature."""
    b = (degC - DEGC_FIRST) * (1.0 / DEGC_STEP)
    b = b if b > 0.0 else 0.0
    b = b if b < DEGC_LAST else DEGC_LAST
    j = int(b)
    g = b - j
    return (1.0 - g) * rows[j][column] + g * rows[j + 1][column]


def at_point(tables: Tables, soc: float, degC: float) -> list[float]:
    """OCV, R0, R1, R2 at one point of the tables."""
    a = min(max(soc * SOC_SCALE, 0.0), SOC_LAST)
    b = min(max((degC - DEGC_FIRST) * (1.0 / DEGC_STEP), 0.0), DEGC_LAST)
    i, j = int(a), int(b)
    f, g = a - i, b - j
    w00, w01, w10, w11 = (1.0 - f) * (1.0 - g), f * (1.0 - g), (1.0 - f) * g, f * g
    cold, warm = tables.points[j], tables.points[j + 1]
    corners = zip(cold[i], cold[i + 1], warm[i], warm[i + 1], strict=True)
    return [w00 * p + w01 * q + w10 * r + w11 * s for p, q, r, s in corners]


def cell_degC(tables: Tables, frame: Frame) -> Array:
    """Temperature believed of each cell, (strings, series)."""
    probe_degC = frame.probe_degC
    heard = np.abs(probe_degC) < LARGEST
    count = heard.sum(axis=1, keepdims=True)
    total = np.where(heard, probe_degC, 0.0).sum(axis=1, keepdims=True)
    ambient = frame.ambient_degC if is_known(frame.ambient_degC) else ROOM_DEGC
    spare = np.where(count > 0, total / np.maximum(count, 1), ambient)
    return np.where(heard, probe_degC, spare).take(tables.cells, axis=1)


def summary(
    pack: Pack, tables: Tables, belief: Belief, health: Array, frame: Frame, degC: Array, told: Array
) -> Estimate:
    """Weakest and strongest cell, SOC, energy, power and health."""
    weakest, strongest = belief.soc.argmin(axis=1), belief.soc.argmax(axis=1)
    string = np.arange(pack.strings)
    soc_min, soc_max = belief.soc[string, weakest], belief.soc[string, strongest]
    variance = belief.covariance[:, SOC_ROW] + belief.covariance[:, SOC_LEANS] ** 2
    sigma = np.sqrt(np.maximum(variance[string, weakest], variance[string, strongest]))
    string_soc = []
    for give, most in zip(soc_min.tolist(), soc_max.tolist(), strict=True):
        whole = give + (1.0 - most)
        string_soc.append(give / whole if whole > 0.0 else 0.0)
    joined = (told[:, :2] > 0.0).all(axis=1) & (frame.contactor[:, :2] != 0.0).all(axis=1)
    return Estimate(
        np.array(string_soc),
        sigma,
        soc_min,
        soc_max,
        weakest.astype(np.float64),
        strongest.astype(np.float64),
        sum(string_soc) / pack.strings,
        float(sigma.sum()) / pack.strings,
        *numpy_outlook.energy(pack, tables.outlook, belief, degC),
        numpy_outlook.power(pack, tables.outlook, belief, degC, joined),
        *numpy_outlook.healths(pack, tables.outlook, health, degC),
    )


class Worst(NamedTuple):
    """Extremes of the readings heard, per string: value and place, and how many were not heard."""

    high: list[float]
    low: list[float]
    high_at: list[int]
    low_at: list[int]
    missing: list[int]


def worst(x: Array, heard: Array) -> Worst:
    """Extremes of each row of `x` where `heard`; NaN and -1 where nothing was."""
    up, down = np.where(heard, x, -np.inf), np.where(heard, x, np.inf)
    high_at, low_at = up.argmax(axis=1), down.argmin(axis=1)
    string = np.arange(x.shape[0])
    high, low = up[string, high_at].tolist(), down[string, low_at].tolist()
    missing = (x.shape[1] - np.count_nonzero(heard, axis=1)).tolist()
    places = high_at.tolist(), low_at.tolist()
    for s, count in enumerate(missing):
        if count == x.shape[1]:
            high[s], low[s], places[0][s], places[1][s] = math.nan, math.nan, -1, -1
    return Worst(high, low, *places, missing)


def rating_A(tables: Tables, low: float, high: float, column: int) -> float:
    """Ten-second rating over the temperatures heard, with its floor."""
    least = signals.LEAST_RATING * tables.room[column]
    if not is_known(low):
        return least
    return max(min(over_degC(tables.ratings_A, low, column), over_degC(tables.ratings_A, high, column)), least)


def judge(pack: Pack, tables: Tables, was: State, frame: Frame, heard_V: Array) -> tuple[Array, Array]:  # noqa: PLR0915
    """Signals and their places, each (signals, strings)."""
    probes, fitted, control = frame.probe_degC, pack.fitted, was.control
    volts, warmth = worst(frame.cell_V, heard_V), worst(probes, np.abs(probes) < LARGEST)
    total_V = frame.cell_V.sum(axis=1).tolist()
    string_A, string_V = frame.string_A.tolist(), frame.string_V.tolist()
    told, does, frozen_s = control.contactor.tolist(), frame.contactor.tolist(), was.watch.frozen_s.tolist()
    ages, tries = frame.age_s.tolist(), control.tries.tolist()
    inlet, outlet = frame.inlet_degC, frame.outlet_degC
    coolant = outlet if outlet > inlet or not is_known(inlet) else inlet
    isolation = frame.isolation_ohm if not frame.isolation_ohm > LARGEST else LARGEST
    hvil = frame.hvil if is_known(frame.hvil) else (0.0 if fitted.hvil > 0.0 else 1.0)
    joined = [a for a, positions in zip(string_A, told, strict=True) if positions[1] > 0.0]
    mean_A = sum(joined) / len(joined) if joined else 0.0
    scale_A = max(abs(mean_A), 0.2 * pack.cell.capacity_Ah)
    small_A = signals.NO_CURRENT_C * pack.cell.capacity_Ah

    signal, place = [], []
    for s in range(pack.strings):
        row, at = [0.0] * SIGNALS, [-1.0] * SIGNALS
        high, low, missing = volts.high[s], volts.low[s], volts.missing[s]
        row[signals.CELL_MAX_V], row[signals.CELL_MIN_V], row[signals.CELL_SPREAD_V] = high, low, high - low
        at[signals.CELL_MAX_V] = volts.high_at[s]
        at[signals.CELL_MIN_V] = at[signals.CELL_SPREAD_V] = volts.low_at[s]
        row[signals.CELLS_MISSING] = missing
        at[signals.CELLS_MISSING] = int(heard_V[s].argmin()) if missing else -1
        measured = is_known(string_V[s])
        volt, total = string_V[s] if measured else math.nan, math.nan if missing else total_V[s]
        row[signals.STRING_V_MISSING] = 1.0 if fitted.string_voltage > 0.0 and not measured else 0.0
        row[signals.SUM_MISMATCH_V] = abs(total - volt)
        row[signals.STRING_MAX_V] = row[signals.STRING_MIN_V] = volt if measured else total

        high, low = warmth.high[s], warmth.low[s]
        busy = string_A[s] < -small_A
        row[signals.DISCHARGE_MAX_DEGC], row[signals.DISCHARGE_MIN_DEGC] = high, low
        row[signals.PROBE_SPREAD_DEGC] = high - low
        row[signals.CHARGE_MAX_DEGC], row[signals.CHARGE_MIN_DEGC] = (high, low) if busy else (-math.inf, math.inf)
        for name in (signals.DISCHARGE_MAX_DEGC, signals.CHARGE_MAX_DEGC, signals.PROBE_SPREAD_DEGC):
            at[name] = warmth.high_at[s]
        at[signals.DISCHARGE_MIN_DEGC] = at[signals.CHARGE_MIN_DEGC] = warmth.low_at[s]
        row[signals.PROBES_MISSING], row[signals.COOLANT_MAX_DEGC] = warmth.missing[s], coolant

        current_A = string_A[s] if is_known(string_A[s]) else math.nan
        row[signals.DISCHARGE_SHARE] = current_A / rating_A(tables, low, high, signals.DISCHARGE_10S)
        row[signals.CHARGE_SHARE] = -current_A / rating_A(tables, low, high, signals.CHARGE_10S)
        row[signals.CURRENT_MISSING] = 0.0 if is_known(current_A) else 1.0
        row[signals.OPEN_STRING_A] = -math.inf if sum(told[s]) > 0.0 else abs(current_A)
        applies = len(joined) > 1 and told[s][1] > 0.0
        row[signals.STRING_DISAGREEMENT_SHARE] = abs(current_A - mean_A) / scale_A if applies else -math.inf

        row[signals.ISOLATION_OHM_PER_V] = isolation / pack.isolation_base_V
        row[signals.ISOLATION_MISSING] = 1.0 if fitted.isolation > 0.0 and math.isnan(isolation) else 0.0
        row[signals.HVIL] = hvil
        for k in range(3):
            off = abs(told[s][k] - does[s][k]) > 0.5 if is_known(does[s][k]) else fitted.contactor_feedback > 0.0
            if off:
                at[signals.CONTACTOR_MISMATCH] = k
                row[signals.CONTACTOR_MISMATCH] += 1.0
        row[signals.PRECHARGE_TRIES], row[signals.FROZEN_S] = tries[s], frozen_s[s]
        oldest = -math.inf
        for age_s in ages[s]:
            known_s = age_s if is_known(age_s) else math.inf
            oldest = known_s if known_s > oldest else oldest
        row[signals.OLDEST_AGE_S] = oldest
        signal.append(row)
        place.append(at)
    return np.array(signal).T, np.array(place, dtype=np.float64).T


def watching(pack: Pack, was: Watch, frame: Frame, heard_V: Array, signal: Array, dt_s: float) -> tuple[Watch, Verdict]:
    """The fault table on every row and string at once."""
    faults = pack.faults
    tick_s = min(dt_s, pack.sensors.patience_s)
    x = signal[faults.signal]
    sign = faults.direction[:, None]
    told = ~np.isnan(x)
    crossed = sign * (x - faults.threshold[:, None]) > 0.0
    both = crossed & (was.beyond > 0.0)
    over_s = np.where(told, (was.over_s + tick_s) * both, was.over_s)
    beyond = np.where(told, crossed, was.beyond)
    waiting = (sign * (x - faults.clear[:, None]) <= 0.0) & ~crossed & (was.active > 0.0)
    clear_s = np.where(told, (was.clear_s + tick_s) * waiting, was.clear_s)
    raised = told & crossed & (over_s >= faults.debounce_s[:, None])
    gone = told & waiting & (clear_s >= faults.clear_s[:, None])
    if not frame.reset_request > 0.0:
        gone &= faults.latched[:, None] == 0.0
    active = np.where(gone, 0.0, np.where(raised, 1.0, was.active))

    same = ((frame.cell_V == was.heard_V) | ~heard_V).all(axis=1) & heard_V.any(axis=1)
    moving = np.abs(frame.string_A) > MOVING_C * pack.cell.capacity_Ah
    frozen_s = np.where(same & moving, was.frozen_s + tick_s, 0.0)
    now = Watch(over_s, clear_s, active, beyond, frame.cell_V.copy(), frozen_s)
    return now, verdict(pack, active)


def verdict(pack: Pack, active: Array) -> Verdict:
    """The strongest reaction and the smallest shares."""
    if not active.any():
        return Verdict(np.zeros(active.shape[1]), np.ones(active.shape[1]), np.ones(active.shape[1]))
    fault, limp = pack.derating.fault_share, pack.derating.limp_share
    discharge_share = np.array([1.0, fault, 1.0, limp, limp, 0.0])
    charge_share = np.array([1.0, fault, 0.0, limp, 0.0, 0.0])
    kind = (pack.faults.reaction[:, None] * active).astype(np.int64)
    return Verdict(
        kind.max(axis=0).astype(np.float64), discharge_share[kind].min(axis=0), charge_share[kind].min(axis=0)
    )


def volts(frame: Frame) -> list[float]:
    """Voltage of every string: measured, else the sum of its cells."""
    return [v if is_known(v) else float(frame.cell_V[s].sum()) for s, v in enumerate(frame.string_V.tolist())]


def sequence(pack: Pack, was: Control, frame: Frame, reaction: list[float], string_V: list[float], dt_s: float) -> Plan:
    """The next stage of every string."""
    rules, fitted = pack.contactors, pack.fitted
    stages, tries, string_A = was.stage.tolist(), was.tries.tolist(), frame.string_A.tolist()
    rested_s, square_A2 = was.stage_s.tolist(), was.mean_square_A2.tolist()
    wanted = frame.drive_request > 0.0 or frame.charge_request > 0.0
    reset = frame.reset_request > 0.0
    first = leader(stages, frame, reaction, string_V)
    fade = math.exp(-dt_s / THERMAL_S)
    plan: tuple[list[float], ...] = ([], [], [], [])
    for s, stage in enumerate(stages):
        now, stage_s, count = stage, rested_s[s] + dt_s, tries[s]
        gap_V = abs(string_V[s] - frame.link_V)
        forced, at_once = reaction[s] >= OPEN_AFTER_WARNING, reaction[s] >= OPEN_NOW
        if stage == Stage.OPEN:
            near = s == first or fitted.link_voltage == 0.0 or (Stage.CLOSED in stages and gap_V < rules.join_V)
            ready = wanted and near and not (count > 0.0 and rested_s[s] < rules.rest_s)
            now = Stage.TRIPPED if forced else Stage.PRECHARGE if ready else Stage.OPEN
        elif stage == Stage.PRECHARGE:
            late = stage_s >= rules.precharge_s
            charged = gap_V < rules.precharge_share * string_V[s] and stage_s >= LEAST_PRECHARGE_S
            ready = charged if fitted.link_voltage > 0.0 else late
            failed = late and not ready and wanted and not forced
            now = Stage.CLOSED if ready else Stage.OPEN if late else stage
            now = Stage.TRIPPED if forced else now if wanted else Stage.OPEN
            count = 0.0 if now == Stage.CLOSED else count + failed
        elif stage == Stage.CLOSED:
            now = Stage.TRIPPED if at_once else Stage.OPENING if forced or not wanted else stage
        elif stage == Stage.OPENING:
            warned = stage_s >= rules.warning_s or not forced
            leaves = (warned and abs(string_A[s]) < rules.break_A) or stage_s >= 2.0 * rules.warning_s
            now = (
                Stage.CLOSED
                if wanted and not forced
                else (Stage.TRIPPED if forced else Stage.OPEN)
                if leaves
                else stage
            )
            now = Stage.TRIPPED if at_once else now
        else:
            now = Stage.OPEN if reset and not forced else stage
        square = string_A[s] * string_A[s]
        mean = fade * square_A2[s] + (1.0 - fade) * square if is_known(square) else square_A2[s]
        for values, value in zip(
            plan, (now, stage_s if now == stage else 0.0, 0.0 if reset else count, mean), strict=True
        ):
            values.append(value)
    return Plan(*(np.array(values, dtype=np.float64) for values in plan))


def leader(stages: list[float], frame: Frame, reaction: list[float], string_V: list[float]) -> int:
    """The string that charges the link; -1 where one is on it or on its way."""
    if any(stage in {Stage.PRECHARGE, Stage.CLOSED, Stage.OPENING} for stage in stages):
        return -1
    able = [
        s
        for s, stage in enumerate(stages)
        if stage == Stage.OPEN and reaction[s] < OPEN_AFTER_WARNING and is_known(string_V[s])
    ]
    best = min if frame.charge_request > 0.0 else max
    return best(able, key=lambda s: string_V[s], default=-1)


def tighter(bound: Bound, current_A: float, reason: float) -> Bound:
    """The smaller of a bound and a proposal; an unknown proposal allows nothing."""
    return bound if current_A >= bound[0] else (current_A if current_A > 0.0 else 0.0, reason)


def rating(pack: Pack, tables: Tables, low: float, high: float, direction: int, mean_square_A2: float) -> Bound:
    """What the cells are rated for at their temperatures."""
    peak, steady = PEAK + direction, STEADY + direction
    if not is_known(low):
        return pack.derating.limp_share * tables.room[steady], Reason.NOT_HEARD
    if direction != DISCHARGE and (low < pack.temperature[0] or high > pack.temperature[1]):
        return 0.0, Reason.TEMPERATURE
    rows = tables.ratings_A
    peak_A = min(over_degC(rows, low, peak), over_degC(rows, high, peak))
    steady_A = min(over_degC(rows, low, steady), over_degC(rows, high, steady))
    left_A2 = (steady_A * steady_A - mean_square_A2) * (THERMAL_S / PEAK_S) + mean_square_A2
    sustained_A = max(math.sqrt(left_A2) if left_A2 > 0.0 else 0.0, steady_A)
    return min(peak_A, sustained_A), Reason.TEMPERATURE if peak_A < tables.room[peak] else Reason.CELL_RATING


def resistance_ohm(tables: Tables, soc: float, degC: float) -> float:
    """Resistance of one cell over ten seconds."""
    _, r0, r1, r2 = at_point(tables, soc, degC)
    tau1, tau2 = over_degC(tables.ratings_A, degC, 0), over_degC(tables.ratings_A, degC, 1)
    return r0 + r1 * (1.0 - math.exp(-PEAK_S / tau1)) + r2 * (1.0 - math.exp(-PEAK_S / tau2))


class Told(NamedTuple):
    """What limits and charging read, per string, as plain floats."""

    string_A: list[float]
    string_V: list[float]
    high_V: list[float]
    low_V: list[float]
    high_degC: list[float]
    low_degC: list[float]
    soc_min: list[float]
    soc_max: list[float]
    soc_sigma: list[float]
    stage: list[float]
    stage_s: list[float]
    empty_ohm: list[float]  # ten-second resistance at the weakest cell's SOC
    full_ohm: list[float]  # the same at the strongest's
    charge_request: float


def tell(tables: Tables, frame: Frame, estimate: Estimate, signal: Array, plan: Plan, string_V: list[float]) -> Told:
    """Gather what limits and charging read."""
    low_degC = signal[MIN_DEGC].tolist()
    soc_min, soc_max = estimate.soc_min.tolist(), estimate.soc_max.tolist()
    cold = [degC if is_known(degC) else 0.0 for degC in low_degC]
    return Told(
        frame.string_A.tolist(),
        string_V,
        signal[MAX_V].tolist(),
        signal[MIN_V].tolist(),
        signal[MAX_DEGC].tolist(),
        low_degC,
        soc_min,
        soc_max,
        estimate.string_soc_sigma.tolist(),
        plan.stage.tolist(),
        plan.stage_s.tolist(),
        [resistance_ohm(tables, soc, degC) for soc, degC in zip(soc_min, cold, strict=True)],
        [resistance_ohm(tables, soc, degC) for soc, degC in zip(soc_max, cold, strict=True)],
        frame.charge_request,
    )


def string_bound(
    pack: Pack, tables: Tables, told: Told, s: int, direction: int, share: float, mean_square_A2: float
) -> Bound:
    """Every cause in turn, for one string and one direction."""
    rules, cell, string_A = pack.derating, pack.cell, told.string_A[s]
    bound = rating(pack, tables, told.low_degC[s], told.high_degC[s], direction, mean_square_A2)
    full_A = bound[0]
    bound = tighter(bound, rules.max_string_A, Reason.STRING_RATING)
    if direction == DISCHARGE:
        left = told.soc_min[s] - min(told.soc_sigma[s], DOUBT_MAX) - rules.soc_empty
        soc_share = max(left / (rules.soc_low - rules.soc_empty), rules.limp_share)
        room_A = string_A + (told.low_V[s] - cell.min_V - rules.margin_V) / told.empty_ohm[s]
    else:
        left = rules.soc_full - told.soc_max[s]
        soc_share = max(left / (rules.soc_full - rules.soc_high), pack.charging.end_share)
        room_A = -string_A + (cell.max_V - rules.margin_V - told.high_V[s]) / told.full_ohm[s]
    bound = tighter(bound, full_A * min(soc_share, 1.0), Reason.SOC)
    if is_known(room_A):
        bound = tighter(bound, room_A, Reason.CELL_VOLTAGE)
    else:
        bound = tighter(bound, rules.limp_share * full_A, Reason.NOT_HEARD)
    if share < 1.0:
        bound = tighter(bound, share * full_A, Reason.FAULT)
    leaving = told.stage[s] == Stage.OPENING and told.stage_s[s] < pack.contactors.warning_s
    if told.stage[s] != Stage.CLOSED and not leaving:
        bound = tighter(bound, 0.0, Reason.CONTACTORS)
    return bound


def limits(pack: Pack, tables: Tables, told: Told, judged: Verdict, was: Control, plan: Plan, dt_s: float) -> Limits:
    """Limits of every string and of the pack."""
    was_A, square_A2 = was.limit_A.tolist(), plan.mean_square_A2.tolist()
    shares = judged.discharge_share.tolist(), judged.charge_share.tolist()
    joined = [s for s, stage in enumerate(told.stage) if stage in {Stage.CLOSED, Stage.OPENING}]
    closed = max(len(joined), 1)
    gathers = gathering(pack, plan, judged)
    string_A: list[list[float]] = []
    reason: list[list[float]] = []
    whole: list[tuple[float, float, float]] = []
    for direction in (DISCHARGE, CHARGE):
        ramp_A = pack.derating.ramp_per_s * dt_s * tables.room[PEAK + direction]
        bounds = []
        for s in range(pack.strings):
            bound = string_bound(pack, tables, told, s, direction, shares[direction][s], square_A2[s])
            if direction != DISCHARGE and was.charge_done > 0.0 and told.charge_request > 0.0:
                bound = tighter(bound, 0.0, Reason.CHARGE_DONE)
            bound = tighter(bound, was_A[direction][s] + ramp_A, Reason.RECOVERING)
            bounds.append(tighter(bound, 0.0, Reason.CONTACTORS) if gathers else bound)
        string_A.append([bound[0] for bound in bounds])
        reason.append([bound[1] for bound in bounds])
        least, why = min((bounds[s] for s in joined), key=lambda bound: bound[0], default=(0.0, Reason.CONTACTORS))
        whole.append((closed * least, power_W(pack, told, least, direction) * closed, why))
    (discharge_A, discharge_W, discharge_why), (charge_A, charge_W, charge_why) = whole
    return Limits(
        discharge_A,
        charge_A,
        discharge_W,
        charge_W,
        float(discharge_why),
        float(charge_why),
        np.array(string_A),
        np.array(reason, dtype=np.float64),
    )


def gathering(pack: Pack, plan: Plan, judged: Verdict) -> bool:
    """Whether strings that could still join are waited for."""
    stage, stage_s, reaction = plan.stage.tolist(), plan.stage_s.tolist(), judged.reaction.tolist()
    waits = any(
        now in {Stage.OPEN, Stage.PRECHARGE} and demand < Reaction.OPEN_AFTER_WARNING
        for now, demand in zip(stage, reaction, strict=True)
    )
    closed_s = [seconds for now, seconds in zip(stage, stage_s, strict=True) if now == Stage.CLOSED]
    return waits and bool(closed_s) and max(closed_s) < pack.contactors.join_s


def power_W(pack: Pack, told: Told, string_A: float, direction: int) -> float:
    """Power of one string at a current."""
    s = min((s for s, v in enumerate(told.string_V) if v < math.inf), key=lambda s: told.string_V[s], default=-1)
    voltage, now_A = (told.string_V[s], told.string_A[s]) if s >= 0 else (math.nan, 0.0)
    if not is_known(voltage):
        return string_A * pack.series * pack.cell.min_V
    if direction == CHARGE or not is_known(now_A):
        return string_A * voltage if voltage > 0.0 else 0.0
    sag_V = (string_A - now_A) * pack.series * told.empty_ohm[0]
    return string_A * max(voltage - max(sag_V, 0.0), pack.series * pack.cell.min_V)


def bleed(pack: Pack, was: Control, belief: Belief, frame: Frame, reaction: Array) -> Array:
    """Which cells to bleed, (strings, series)."""
    rules = pack.balancing
    calm = (np.abs(frame.string_A) < rules.max_string_A) & (reaction < LIMP)
    if belief.started == 0.0 or not calm.any():
        return np.zeros_like(was.bleed)
    extra_Ah = (belief.soc - belief.soc.min(axis=1, keepdims=True)) * pack.cell.capacity_Ah
    enough_Ah = np.where(was.bleed > 0.0, rules.stop_Ah, rules.start_Ah)
    return ((extra_Ah > enough_Ah) & (frame.cell_V > rules.min_cell_V) & calm[:, None]).astype(np.float64)


def regulate(pack: Pack, was: Control, frame: Frame, told: Told) -> Heat:
    """Cool and heat with hysteresis on the worst probes."""
    rules = pack.thermal
    hot = max((x for x in told.high_degC if is_known(x)), default=-math.inf)
    cold = min((x for x in told.low_degC if is_known(x)), default=math.inf)
    awake = frame.drive_request > 0.0 or frame.charge_request > 0.0
    if not awake or hot < cold:
        return Heat(IDLE_PUMP if awake else 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    cooling = float(hot > rules.cool_on_degC or (was.cooling > 0.0 and hot > rules.cool_off_degC))
    heating = float(cold < rules.heat_on_degC or (was.heating > 0.0 and cold < rules.heat_off_degC))
    heating = 0.0 if cooling else heating
    full_degC = rules.cool_on_degC + FULL_K
    share = min((hot - rules.cool_off_degC) / (full_degC - rules.cool_off_degC), 1.0) * cooling
    free = frame.ambient_degC < hot - rules.free_cooling_K
    if rules.liquid == 0.0:
        return Heat(0.0, 0.0, share if free else 0.0, heating, cooling, heating)
    busy = cooling or heating or hot - cold > rules.spread_on_K
    pump = 1.0 if busy else IDLE_PUMP
    return Heat(pump, 0.0 if free else share, share if free else 0.0, heating, cooling, heating)


def charge(pack: Pack, was: Control, frame: Frame, estimate: Estimate, told: Told, charge_A: float) -> Charge:
    """What is asked of the charger."""
    rules = pack.charging
    charge_V = rules.cell_V * pack.series
    if frame.charge_request <= 0.0:
        return Charge(0.0, charge_V, 0.0)
    asked_A, closed, full = charge_A, told.stage.count(Stage.CLOSED), False
    for s, stage in enumerate(told.stage):
        if stage != Stage.CLOSED:
            continue
        room_V = rules.cell_V - told.high_V[s]
        trickle = -told.string_A[s] < rules.end_share * pack.cell.capacity_Ah
        full = full or (room_V < FULL_V and trickle)
        total_A = (-told.string_A[s] + room_V / told.full_ohm[s]) * closed
        asked_A = asked_A if total_A >= asked_A else total_A if total_A > 0.0 else 0.0
    done = was.charge_done > 0.0 or (closed > 0 and (full or estimate.soc >= rules.target_soc))
    return Charge(0.0 if done or closed == 0 else asked_A, charge_V, float(done))


POSITIONS = np.array([[0, 0, 0], [1, 0, 1], [1, 1, 0], [1, 1, 0], [0, 0, 0]], dtype=np.float64)
"""Main negative, main positive and precharge contactor, by stage."""


def throughput(was: Array, frame: Frame, dt_s: float) -> Array:
    """Charge and energy that have gone out and in, per string."""
    hours = dt_s / SECONDS_PER_HOUR
    more = []
    for current_A, voltage in zip(frame.string_A.tolist(), frame.string_V.tolist(), strict=True):
        power_W = current_A * voltage
        row = []
        for x in (current_A, power_W):
            flow = x * hours if is_known(x) else 0.0
            row += [max(flow, 0.0), max(-flow, 0.0)]
        more.append(row)
    return was + np.array(more)


def changes(pack: Pack, was: Watch, now: Watch, frame: Frame, signal: Array, place: Array) -> Array:
    """One row per fault that was raised or is gone."""
    row, s = np.nonzero(now.active != was.active)
    if row.size == 0:
        return np.empty((0, EVENT_COLUMNS))
    read = pack.faults.signal[row]
    time_s = np.full(row.size, frame.time_s)
    columns = (time_s, row, pack.faults.severity[row], signal[read, s], s, place[read, s], now.active[row, s])
    return np.stack(columns, axis=1).astype(np.float64)


def step(pack: Pack, tables: Tables, was: State, frame: Frame) -> tuple[State, Output]:
    """`bms.step`; `tables` are those of `prepare`."""
    elapsed_s = frame.time_s - was.time_s
    dt_s = elapsed_s if elapsed_s > 0.0 else 0.0
    heard_V = np.abs(frame.cell_V) < LARGEST

    told_bleed, told_contactor, degC = was.control.bleed, was.control.contactor, cell_degC(tables, frame)
    belief = numpy_belief.step(pack, tables.cell, was.belief, frame, degC, told_bleed, told_contactor, dt_s)
    health = numpy_outlook.follow(pack, was.health, belief, frame, told_bleed, dt_s)
    estimate = summary(pack, tables, belief, health, frame, degC, told_contactor)

    signal, place = judge(pack, tables, was, frame, heard_V)
    watched, judged = watching(pack, was.watch, frame, heard_V, signal, dt_s)

    string_V = volts(frame)
    plan = sequence(pack, was.control, frame, judged.reaction.tolist(), string_V, dt_s)
    told = tell(tables, frame, estimate, signal, plan, string_V)
    granted = limits(pack, tables, told, judged, was.control, plan, dt_s)

    bled = bleed(pack, was.control, belief, frame, judged.reaction)
    heat = regulate(pack, was.control, frame, told)
    asked = charge(pack, was.control, frame, estimate, told, granted.charge_A)

    contactor = POSITIONS[plan.stage.astype(np.int64)]
    now = Control(*plan, contactor, bled, granted.string_A, heat.cooling, heat.heating, asked.done)
    command = Command(contactor, bled, *heat[:4], asked.charge_A, asked.charge_V, plan.stage)
    time_s = was.time_s if elapsed_s <= 0.0 or not is_known(frame.time_s) else frame.time_s
    state = State(time_s, belief, watched, now, throughput(was.throughput, frame, dt_s), health)
    events = changes(pack, was.watch, watched, frame, signal, place)
    return state, Output(estimate, signal, place, granted, command, events)


def frame_at(frames: Frames, k: int) -> Frame:
    """One of many frames."""
    return Frame(*(field[k] if field.ndim > 1 else float(field[k]) for field in frames))


def replay(pack: Pack, state: State, frames: Frames) -> tuple[State, Record]:
    """`bms.replay`."""
    tables = prepare(pack)
    times, strings = frames.time_s.size, pack.strings
    per_string = [np.empty((times, strings)) for _ in range(4)]
    record = Record(
        np.empty(times),
        np.empty(times),
        np.empty(times),
        np.empty(times),
        np.empty(times),
        *per_string,
        np.empty((times, SIGNALS, strings)),
        np.empty((times, SIGNALS, strings)),
        np.empty((times, 4)),
        np.empty((times, 2)),
        np.empty((times, strings)),
        np.empty((times, strings)),
        np.empty((times, 4)),
        np.empty((times, 2)),
        np.empty((times, 2, HORIZONS)),
        np.empty((times, strings, 3)),
        np.empty((times, strings, 2)),
        np.empty(0),
    )
    found = [np.empty((0, EVENT_COLUMNS))]
    with np.errstate(all="ignore"):
        for k in range(times):
            frame = frame_at(frames, k)
            state, output = step(pack, tables, state, frame)
            keep(record, k, frame.time_s, output)
            if output.events.size:
                found.append(output.events)
    return state, record._replace(events=np.concatenate(found))


def keep(record: Record, k: int, time_s: float, output: Output) -> None:
    """Write one output into row `k` of a record."""
    estimate, granted, command = output.estimate, output.limits, output.command
    record.time_s[k], record.soc[k], record.soc_sigma[k] = time_s, estimate.soc, estimate.soc_sigma
    record.energy_kWh[k], record.energy_sigma_kWh[k] = estimate.energy_kWh, estimate.energy_sigma_kWh
    record.power_W[k], record.health[k], record.health_sigma[k] = (
        estimate.power_W,
        estimate.health,
        estimate.health_sigma,
    )
    record.string_soc[k], record.string_soc_sigma[k] = estimate.string_soc, estimate.string_soc_sigma
    record.soc_min[k], record.soc_max[k] = estimate.soc_min, estimate.soc_max
    record.signal[k], record.place[k] = output.signal, output.place
    record.limit[k] = granted[:4]
    record.reason[k] = granted[4:6]
    record.stage[k] = command.stage
    record.bleeding[k] = command.bleed.sum(axis=1)
    record.thermal[k] = command[2:6]
    record.charge[k] = command[6:8]


def apart(ours: tuple[State, Record], peer: tuple[State, Record]) -> tuple[float, float]:
    """Largest difference between two replays, and that between their powers, which each searches in its own way."""
    (state, record), (their_state, theirs) = ours, peer
    rest = furthest((state, record._replace(power_W=np.empty(0))), (their_state, theirs._replace(power_W=np.empty(0))))
    return rest, furthest(record.power_W, theirs.power_W)


def furthest(a: object, b: object) -> float:
    """Largest difference between two nested tuples of numbers and arrays, relative where numbers exceed 1.

    Infinite where shapes differ or where only one of the two is NaN or infinite.
    """
    if isinstance(a, tuple) and isinstance(b, tuple):
        return max((furthest(x, y) for x, y in zip(a, b, strict=True)), default=0.0)
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.shape != y.shape:
        return math.inf
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    with np.errstate(all="ignore"):
        off = np.abs(x - y) / np.maximum(1.0, np.abs(x))
    off = np.where(np.isfinite(off), off, np.inf)
    return float(np.where(same, 0.0, off).max(initial=0.0))
