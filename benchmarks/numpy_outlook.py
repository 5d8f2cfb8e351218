"""The mathematics of `estimation.power`, `energy` and `health` once more, in NumPy: peer in speed and oracle.

Both directions, all horizons, strings and cells are axes of one array. Every horizon is searched by itself, over its
own range, and the shorter ones bound the longer ones afterwards, where the core searches one below the other: powers
agree as far as a search comes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

import numpy_belief
from numpy_belief import DEGC_LAST, SECONDS_PER_HOUR, SOC_SCALE, along
from packhorse.estimation import health as core
from packhorse.estimation.belief import CHARGE_LEANS, CHARGE_ROW, RESISTANCE_ROW, SOC_LEANS, SOC_ROW
from packhorse.estimation.energy import ASSUMED_RATE_C
from packhorse.estimation.outlook import DOUBT_MAX
from packhorse.estimation.power import ABSURD_V, CLOSE_V, HORIZONS_S, PEAK_SHARE, STEADY, STEPS, SURE_Z
from packhorse.pack.known import LARGEST
from packhorse.pack.words import DEGC_FIRST, DEGC_STEP, SOC_NODES, Array, Belief, Cell, Frame, Pack

SIGN = np.array([1.0, -1.0]).reshape(2, 1, 1, 1)
HORIZON_S = np.array(HORIZONS_S).reshape(1, -1, 1, 1)
SHARE = np.array(PEAK_SHARE).reshape(1, -1, 1)


class Tables(NamedTuple):
    """A cell's tables, laid out for gathering, and the energy of a new cell."""

    cell: numpy_belief.Tables
    ratings_A: Array  # (steady discharge and charge, ten-second discharge and charge; temperature)
    curves: Array  # (temperature, OCV less hysteresis and all resistance; SOC)
    new_Wh: float


def prepare(cell: Cell) -> Tables:
    """Lay out a cell's tables; done once."""
    nodes = cell.nodes
    curves = np.stack([nodes[:, :, 0] - nodes[:, :, 4], nodes[:, :, 1:4].sum(axis=2)], axis=1)
    tables = Tables(numpy_belief.prepare(cell), np.ascontiguousarray(cell.degC_nodes[:, STEADY:].T), curves, math.nan)
    one = np.ones(1)
    with np.errstate(all="ignore"):
        new_Wh = full_Wh(cell, tables, one, one, np.array([core.REFERENCE_DEGC]))
    return tables._replace(new_Wh=float(new_Wh[0]))


class Cells(NamedTuple):
    """What is made ready of the cells: (strings, series), those of a horizon (1, horizons, strings, series)."""

    soc: Array
    doubt: Array
    rc1_V: Array
    rc2_V: Array
    turned: Array
    resistance: Array
    per_As: Array
    degC: Array
    start_ohm: Array  # (3, strings, series)
    keep: Array  # (2, horizons, strings, series) of each RC pair, at the end of a horizon
    before: Array  # the same, of the horizon before
    late: Array


def make_ready(pack: Pack, tables: Tables, belief: Belief, degC: Array) -> tuple[Cells, Array]:
    """Cells as the search needs them, and R0 and all resistance of each string [ohm]."""
    p = belief.covariance
    sigma = np.minimum(np.sqrt(p[:, SOC_ROW] + p[:, SOC_LEANS] ** 2), DOUBT_MAX)
    factor = belief.resistance_factor
    mixed, over = numpy_belief.parameters(tables.cell, belief.soc, degC)
    tau_s = over[:2, None]
    horizon_s = HORIZON_S.reshape(1, -1, 1, 1)
    keep = np.exp(-horizon_s / tau_s)
    before = np.concatenate([np.ones_like(keep[:, :1]), keep[:, :-1]], axis=1)
    cells = Cells(
        soc=belief.soc,
        doubt=SURE_Z * sigma,
        rc1_V=belief.rc1_V * factor,
        rc2_V=belief.rc2_V * factor,
        turned=belief.hysteresis,
        resistance=factor + SURE_Z * np.sqrt(p[:, RESISTANCE_ROW]),
        per_As=belief.charge_factor / (SECONDS_PER_HOUR * over[2] * pack.cell.capacity_Ah),
        degC=degC,
        start_ohm=mixed[1:4],
        keep=keep,
        before=before,
        late=tau_s / horizon_s * (1.0 - keep) - keep,
    )
    first_ohm = (factor * mixed[1]).sum(axis=1)
    return cells, np.stack([first_ohm, (factor * mixed[1:4].sum(axis=0)).sum(axis=1)])


def rooms(pack: Pack, tables: Tables, cells: Cells, current_A: Array) -> tuple[Array, Array]:
    """Room to the limit and worst voltage of every cell at currents, (2, horizons, strings, 1)."""
    cell, margin_V = pack.cell, pack.derating.margin_V
    limit_V = np.array([cell.min_V + margin_V, cell.max_V - margin_V]).reshape(2, 1, 1, 1)
    passed = current_A * HORIZON_S * cells.per_As
    end = cells.soc - SIGN * (cells.doubt + passed)
    (ocv_V, r0, r1, r2, width_V, _), _ = numpy_belief.parameters(tables.cell, end, cells.degC + np.zeros_like(end))
    moved = passed + cells.doubt
    flown = np.where(moved > 0.0, passed / moved, 1.0)
    driven_A = cells.resistance * current_A
    held = np.exp(-cell.hysteresis_rate * passed)
    turned = held * cells.turned - (1.0 - held) * SIGN
    calm_V = ocv_V + width_V * turned - SIGN * driven_A * np.maximum(r0, cells.start_ohm[0])
    room_V, worst_V = SIGN * (calm_V - limit_V), calm_V
    for pair, (ohm, was_V) in enumerate(((r1, cells.rc1_V), (r2, cells.rc2_V))):
        rise, most = np.maximum(ohm - cells.start_ohm[1 + pair], 0.0), np.maximum(ohm, cells.start_ohm[1 + pair])
        keep, before, sided_V = cells.keep[pair], cells.before[pair], SIGN * was_V
        end_V = keep * sided_V + driven_A * ((1.0 - keep) * most - cells.late[pair] * flown * rise)
        early_V = before * sided_V + (1.0 - before) * driven_A * most
        room_V = room_V - np.maximum(end_V, early_V)
        worst_V = worst_V - SIGN * np.maximum(end_V, sided_V)
    return np.where(np.abs(room_V) < ABSURD_V, room_V, -ABSURD_V), worst_V


def picked(cells: Cells, worst: Array) -> Cells:
    """One cell of each string, direction and horizon: `worst` is (2, horizons, strings, 1)."""
    shape = (*worst.shape[:3], cells.soc.shape[1])

    def of(field: Array) -> Array:
        return np.take_along_axis(np.broadcast_to(field, shape), worst, axis=3)

    return Cells(*(of(field) for field in cells[:8]), *(np.stack([of(part) for part in field]) for field in cells[8:]))


def own_current(pack: Pack, tables: Tables, cells: Cells, high_A: Array, high_V: Array) -> Array:
    """False position with the Illinois rule, on one cell of each string, direction and horizon at once."""
    low_A = np.zeros_like(high_A)
    low_V, _ = rooms(pack, tables, cells, low_A)
    never = low_V < 0.0
    side, going = np.zeros_like(high_A), ~never & (high_V < 0.0)
    for _ in range(STEPS):
        between_A = np.where(going, low_A + (high_A - low_A) * low_V / (low_V - high_V), low_A)
        room_V, _ = rooms(pack, tables, cells, between_A)
        fits, objects = going & (room_V >= 0.0), going & (room_V < 0.0)
        high_V = np.where(fits & (side == 1.0), 0.5 * high_V, np.where(objects, room_V, high_V))
        low_V = np.where(objects & (side == -1.0), 0.5 * low_V, np.where(fits, room_V, low_V))
        low_A, high_A = np.where(fits, between_A, low_A), np.where(objects, between_A, high_A)
        side = np.where(fits, 1.0, np.where(objects, -1.0, side))
        going &= ~(fits & (room_V < CLOSE_V))
        if not going.any():
            break
    return np.where(never, 0.0, low_A)


def highest_A(pack: Pack, tables: Tables, cells: Cells) -> Array:
    """What ratings, charge to give and room to take allow, (2, horizons, strings, 1)."""
    low_degC, high_degC = pack.temperature[0], pack.temperature[1]
    j, g = along((cells.degC - DEGC_FIRST) * (1.0 / DEGC_STEP), DEGC_LAST)
    rated = ((1.0 - g) * tables.ratings_A.take(j, axis=1) + g * tables.ratings_A.take(j + 1, axis=1)).min(axis=2)
    steady_A, peak_A = rated[:2, None], rated[2:, None]
    warm = (low_degC <= cells.degC) & (cells.degC <= high_degC)
    spare = np.stack([cells.soc - cells.doubt, np.where(warm, 1.0 - cells.soc - cells.doubt, 0.0)])
    believable = (cells.resistance > 0.0) & (cells.per_As > 0.0)
    charge_As = np.where(believable, np.maximum(spare, 0.0) / cells.per_As, 0.0).min(axis=2)
    most_A = np.minimum(steady_A + SHARE * (peak_A - steady_A), charge_As[:, None] / HORIZON_S[..., 0])
    return np.maximum(most_A, 0.0)[..., None]


def power(pack: Pack, tables: Tables, belief: Belief, degC: Array, connected: Array) -> Array:
    """Power of the connected strings together, (2, horizons) [W]."""
    on = np.flatnonzero(connected)
    if on.size == 0 or belief.started == 0.0:
        return np.zeros((2, len(HORIZONS_S)))
    joined = Belief(*(field[on] for field in belief[:-1]), belief.started)
    cells, ohm = make_ready(pack, tables, joined, degC[on])
    current_A = highest_A(pack, tables, cells)
    for _ in range(pack.series + 1):
        room_V, worst_V = rooms(pack, tables, cells, current_A)
        worst = room_V.argmin(axis=3)[..., None]
        worst_room_V = np.take_along_axis(room_V, worst, axis=3)
        objects = (worst_room_V < 0.0) & (current_A > 0.0)
        if not objects.any():
            break
        own_A = own_current(pack, tables, picked(cells, worst), current_A, worst_room_V)
        current_A = np.where(objects, own_A, current_A)
    allowed_A = np.minimum.accumulate(current_A, axis=1)
    if (allowed_A != current_A).any():
        _, worst_V = rooms(pack, tables, cells, allowed_A)
    return together(allowed_A[..., 0], np.stack([worst_V[0].sum(axis=2), resting_V(tables, cells)]), ohm)


def resting_V(tables: Tables, cells: Cells) -> Array:
    """Voltage of each string below which no charging current can leave it, (horizons, strings)."""
    (ocv_V, _, _, _, width_V, _), _ = numpy_belief.parameters(tables.cell, cells.soc - cells.doubt, cells.degC)
    lag_V = np.maximum(cells.rc1_V, 0.0) + np.maximum(cells.rc2_V, 0.0)
    total_V = (ocv_V + width_V * cells.turned - lag_V).sum(axis=1)
    return np.broadcast_to(total_V, (len(HORIZONS_S), total_V.size))


def together(string_A: Array, string_V: Array, ohm: Array) -> Array:
    """Power of strings in parallel, from the current and lowest voltage of each, (2, horizons, strings)."""
    siemens = 1.0 / ohm
    share = (siemens / siemens.sum(axis=1, keepdims=True)).max(axis=0)
    total_A = (string_A / share).min(axis=2)
    lowest_V = np.maximum(string_V, 0.0).min(axis=2)
    return np.where(total_A > 0.0, total_A * lowest_V, 0.0)


def curves_at(tables: Tables, degC: Array) -> tuple[Array, Array]:
    """Voltage without load on the discharge branch, and all resistance, at every node: (strings, SOC_NODES)."""
    j, g = along((degC - DEGC_FIRST) * (1.0 / DEGC_STEP), DEGC_LAST)
    g = g[:, None, None]
    mixed = (1.0 - g) * tables.curves[j] + g * tables.curves[j + 1]
    return mixed[:, 0], mixed[:, 1]


NODE_SOC = np.arange(SOC_NODES) / SOC_SCALE


def drawn(volts: Array, soc: Array, capacity_Ah: Array, most_Ah: Array, floor_V: float) -> tuple[Array, Array]:
    """Charge [Ah] and energy [Wh] from `soc` down along curves (rows, SOC_NODES)."""
    row = np.arange(volts.shape[0])
    area = np.zeros_like(volts)
    np.cumsum(0.5 * (volts[:, 1:] + volts[:, :-1]) / SOC_SCALE, axis=1, out=area[:, 1:])

    def at(soc: Array) -> tuple[Array, Array]:
        """Voltage, and the area under the curve up to here."""
        x = np.minimum(np.maximum(soc, 0.0), 1.0) * SOC_SCALE
        i = np.minimum(x.astype(np.int64), SOC_NODES - 2)
        f = x - i
        v = volts[row, i] + f * (volts[row, i + 1] - volts[row, i])
        return v, area[row, i] + 0.5 * f / SOC_SCALE * (volts[row, i] + v)

    high = np.minimum(soc, 1.0)
    high_V, high_area = at(high)
    stop = np.maximum(high - most_Ah / capacity_Ah, 0.0)
    under = ((high - 1e-9 / SOC_SCALE)[:, None] > NODE_SOC) & (volts < floor_V)
    last = SOC_NODES - 1 - under[:, ::-1].argmax(axis=1)
    upper = np.minimum((last + 1) / SOC_SCALE, high)
    upper_V, low_V = at(upper)[0], volts[row, last]
    crossing = upper - (upper - last / SOC_SCALE) * (upper_V - floor_V) / (upper_V - low_V)
    stop = np.where(under.any(axis=1), np.maximum(stop, crossing), stop)
    stop = np.where(high_V <= floor_V, high, np.minimum(stop, high))
    return (high - stop) * capacity_Ah, (high_area - at(stop)[1]) * capacity_Ah


def full_Wh(cell: Cell, tables: Tables, capacity: Array, resistance: Array, degC: Array) -> Array:
    """Energy of one cell from full to empty, by its healths and temperature."""
    j, g = along((degC - DEGC_FIRST) * (1.0 / DEGC_STEP), DEGC_LAST)
    share = (1.0 - g) * tables.cell.over_degC[2, j] + g * tables.cell.over_degC[2, j + 1]
    rest_V, ohm = curves_at(tables, degC)
    driven_A = ASSUMED_RATE_C * cell.capacity_Ah / resistance
    volts = rest_V - driven_A[:, None] * ohm
    endless = np.full_like(degC, np.inf)
    return drawn(volts, np.ones_like(degC), cell.capacity_Ah * share * capacity, endless, cell.min_V)[1]


def energy(pack: Pack, tables: Tables, belief: Belief, degC: Array) -> tuple[float, float]:
    """Energy that all strings still give and its sigma [kWh]."""
    cell, strings = pack.cell, np.arange(pack.strings)
    capacity, coldest_degC = 1.0 / belief.charge_factor, degC.min(axis=1)
    least = (belief.soc * capacity).argmin(axis=1)
    soc, faded, factor = belief.soc[strings, least], capacity[strings, least], belief.resistance_factor[strings, least]
    p = belief.covariance[strings, :, least].T
    soc_sigma, charge_sigma = np.sqrt(p[[SOC_ROW, CHARGE_ROW]] + p[[SOC_LEANS, CHARGE_LEANS]] ** 2)
    factor_sigma = np.sqrt(p[RESISTANCE_ROW])
    means = belief.soc.mean(axis=1), capacity.mean(axis=1), belief.resistance_factor.mean(axis=1)

    j, g = along((coldest_degC - DEGC_FIRST) * (1.0 / DEGC_STEP), DEGC_LAST)
    at_hand_Ah = cell.capacity_Ah * ((1.0 - g) * tables.cell.over_degC[2, j] + g * tables.cell.over_degC[2, j + 1])
    rest_V, ohm = (np.tile(curve, (2, 1)) for curve in curves_at(tables, coldest_degC))
    current_A = ASSUMED_RATE_C * cell.capacity_Ah
    stiffer = np.concatenate([np.zeros_like(factor_sigma), factor_sigma])
    soc2, faded2, factor2 = (np.tile(values, 2) for values in (soc, faded, factor))
    mean2, mean_capacity2, mean_factor2 = (np.tile(values, 2) for values in means)
    at_hand2 = np.tile(at_hand_Ah, 2)
    weak_V = rest_V - (current_A * (factor2 + stiffer))[:, None] * ohm
    mean_V = rest_V - (current_A * (mean_factor2 + stiffer))[:, None] * ohm
    endless = np.full_like(soc2, np.inf)
    given_Ah, _ = drawn(weak_V, soc2, at_hand2 * faded2, endless, cell.min_V)
    _, both_Wh = drawn(mean_V, mean2, at_hand2 * mean_capacity2, given_Ah, -math.inf)
    energy_Wh, stiff_Wh = both_Wh[: pack.strings], both_Wh[pack.strings :]

    i, f = along(means[0] * SOC_SCALE, SOC_SCALE - 1e-9)
    curve_V = mean_V[: pack.strings]
    now_V = np.maximum((1.0 - f) * curve_V[strings, i] + f * curve_V[strings, i + 1], cell.min_V)
    by_soc_Wh = soc_sigma * at_hand_Ah * faded * now_V
    by_capacity_Wh = faded * charge_sigma * energy_Wh
    spread_Wh = np.sqrt(by_soc_Wh**2 + by_capacity_Wh**2 + (energy_Wh - stiff_Wh) ** 2)
    known = (faded > 0.0) & (means[1] > 0.0)
    scale = np.where(known, pack.series / 1000.0, math.nan)
    return float((scale * energy_Wh).sum()), float((scale * spread_Wh).sum())


def worst(factor: Array, variance: Array) -> tuple[list[float], list[float]]:
    """The largest factor of each string and its sigma, drawn to the mean by what doubt explains of the spread."""
    off = factor - factor.mean(axis=1, keepdims=True)
    real = np.maximum(((off * off).sum(axis=1) - variance.sum(axis=1)) / factor.shape[1], 0.0)[:, None]
    value = factor - off + off * real / (real + variance)
    at = value.argmax(axis=1)
    strings = np.arange(factor.shape[0])
    return value[strings, at].tolist(), np.sqrt(variance[strings, at]).tolist()


def follow(pack: Pack, was: Array, belief: Belief, frame: Frame, bleed: Array, dt_s: float) -> Array:
    """The records of all strings after one frame."""
    cell, gain = pack.cell, pack.sensors.current_gain
    probes, known_A = frame.probe_degC, np.abs(frame.string_A) < LARGEST
    outside = (probes < pack.temperature[0]) | (probes > pack.temperature[1])
    calm = known_A & ~bleed.any(axis=1) & ~outside.any(axis=1)
    calm &= belief.started > 0.0 and dt_s <= pack.sensors.patience_s
    flows = calm & (np.abs(frame.string_A) >= core.FLOWING_C * cell.capacity_Ah)
    open_capacity = core.LEARNED * math.hypot(cell.capacity_sigma, gain)
    charge = worst(belief.charge_factor, belief.covariance[:, CHARGE_ROW])
    resistance = worst(belief.resistance_factor, belief.covariance[:, RESISTANCE_ROW])
    now = []
    for s, (of_capacity, of_resistance) in enumerate(was.tolist()):
        factor, sigma = charge[0][s], charge[1][s]
        learned = bool(calm[s]) and sigma <= open_capacity
        doubt = math.hypot(sigma, gain) / (factor * factor)
        row = observe(of_capacity, 1.0 / factor, doubt, learned, dt_s)
        factor, sigma = resistance[0][s], resistance[1][s]
        learned = bool(flows[s]) and sigma <= core.LEARNED * cell.resistance_sigma
        now.append([row, observe(of_resistance, 1.0 / factor, sigma / (factor * factor), learned, dt_s)])
    return np.array(now)


def observe(was: list[float], seen: float, sigma: float, undisturbed: bool, dt_s: float) -> list[float]:
    """One record after an observation."""
    value, estimate, variance, stands_on, corrections = was
    variance = min(variance + core.AGEING_PER_YEAR**2 / core.YEAR_S * max(dt_s, 0.0), core.START_SIGMA**2)
    if not (undisturbed and 0.0 < seen < core.MOST and 0.0 < sigma < core.MOST and dt_s > 0.0):
        return [value, estimate, variance, stands_on, corrections]
    gain = variance / (variance + max(2.0 * core.CORRELATION_S / dt_s, 1.0) * sigma * sigma)
    estimate += gain * (seen - estimate)
    variance *= 1.0 - gain
    ceiling = estimate + math.sqrt(variance)
    if ceiling < value:
        return [ceiling, estimate, variance, sigma, corrections]
    wrong = estimate - value > core.CONTRADICTION * math.sqrt(variance + sigma * sigma)
    if wrong and sigma <= core.SURER * stands_on and value < 1.0:
        return [min(estimate, 1.0), estimate, variance, sigma, corrections + 1.0]
    return [value, estimate, variance, stands_on, corrections]


def healths(pack: Pack, tables: Tables, records: Array, degC: Array) -> tuple[Array, Array]:
    """Capacity, resistance and usable health of every string, and the sigmas of the first two."""
    recorded, sigma = records[:, :, core.VALUE], np.sqrt(records[:, :, core.VARIANCE])
    coldest_degC = np.minimum(degC.min(axis=1), core.REFERENCE_DEGC)
    usable = full_Wh(pack.cell, tables, recorded[:, 0], recorded[:, 1], coldest_degC) / tables.new_Wh
    return np.concatenate([recorded, usable[:, None]], axis=1), sigma
