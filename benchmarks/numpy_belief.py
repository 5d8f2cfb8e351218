"""The mathematics of `estimation.belief` once more, in NumPy across all cells: peer in speed and independent oracle.

Exponentials are NumPy's own, where the core's `physics.decay` is good to 1e-9 of them: agreement is to 1e-9, not to the
bit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse.estimation import belief as core
from packhorse.pack.known import LARGEST
from packhorse.pack.words import (
    DEGC_FIRST,
    DEGC_NODES,
    DEGC_STEP,
    NODE_COLUMNS,
    SOC_NODES,
    Array,
    Belief,
    Cell,
    Frame,
    Index,
    Pack,
)

SECONDS_PER_HOUR = 3600.0
SOC_SCALE = float(SOC_NODES - 1)
SOC_LAST, DEGC_LAST = SOC_SCALE - 1e-9, DEGC_NODES - 1 - 1e-9
CORNERS = np.array([0, 1, SOC_NODES, SOC_NODES + 1])
MOST_VARIANCE = core.START_SIGMA_MOST**2
LEAST_VARIANCE = np.full(core.COVARIANCES + core.LEANINGS, -np.inf)
LEAST_VARIANCE[[0, 5, 9, 12, 14]] = core.SOC_SIGMA_LEAST**2, 1e-12, 1e-12, 1e-10, 1e-10
PAIRS = [(a, b) for a in range(5) for b in range(a, 5)]
LEANS = core.COVARIANCES
PLACE = {pair: k for k, pair in enumerate(PAIRS)} | {(b, a): k for k, (a, b) in enumerate(PAIRS)}


class Tables(NamedTuple):
    """A cell's tables, laid out for gathering."""

    planes: Array  # (NODE_COLUMNS, flattened temperature x SOC)
    over_degC: Array  # (time constants 1 and 2, share of capacity; temperature)


def prepare(cell: Cell) -> Tables:
    """Lay out a cell's tables; done once."""
    planes = np.ascontiguousarray(cell.nodes.reshape(-1, NODE_COLUMNS).T)
    return Tables(planes, np.ascontiguousarray(cell.degC_nodes[:, :3].T))


def along(x: Array, last: float) -> tuple[Index, Array]:
    """Index of the node below and the share of the way to the next, for positions on a grid of unit steps."""
    held = np.minimum(np.maximum(x, 0.0), last)
    below = held.astype(np.int64)
    return below, held - below


def parameters(tables: Tables, soc: Array, degC: Array) -> tuple[Array, Array]:
    """The columns of the node table and (time constants, share of capacity) of every cell."""
    i, f = along(soc * SOC_SCALE, SOC_LAST)
    j, g = along((degC - DEGC_FIRST) * (1.0 / DEGC_STEP), DEGC_LAST)
    corner = tables.planes.take((j * SOC_NODES + i) + CORNERS.reshape(4, *[1] * soc.ndim), axis=1)
    far, away = 1.0 - f, 1.0 - g
    mixed = far * away * corner[:, 0] + f * away * corner[:, 1] + far * g * corner[:, 2] + f * g * corner[:, 3]
    return mixed, away * tables.over_degC.take(j, axis=1) + g * tables.over_degC.take(j + 1, axis=1)


def ocv_at(tables: Tables, soc: Array, degC: Array) -> Array:
    """Only the OCV of every cell [V]."""
    i, f = along(soc * SOC_SCALE, SOC_LAST)
    j, g = along((degC - DEGC_FIRST) * (1.0 / DEGC_STEP), DEGC_LAST)
    corner = tables.planes[0].take((j * SOC_NODES + i) + CORNERS.reshape(4, *[1] * soc.ndim))
    far, away = 1.0 - f, 1.0 - g
    return far * away * corner[0] + f * away * corner[1] + far * g * corner[2] + f * g * corner[3]


def step(
    pack: Pack, tables: Tables, was: Belief, frame: Frame, degC: Array, bleed: Array, contactor: Array, dt_s: float
) -> Belief:
    """The belief after one frame, as `estimation.step`; `degC` is the temperature of each cell."""
    heard_V = np.abs(frame.cell_V) < LARGEST
    if was.started == 0.0:
        return first(pack, tables, was, frame, heard_V, degC)
    cell, sensors = pack.cell, pack.sensors
    string_A = frame.string_A[:, None]
    known_A = np.abs(string_A) < LARGEST
    heard_A = np.abs(string_A) < core.ABSURD_C * cell.capacity_Ah
    current_A = np.where(heard_A, string_A, 0.0)
    heard_s = np.where(heard_A, min(dt_s, sensors.patience_s), 0.0)
    unheard = core.UNHEARD_C * np.minimum(dt_s - heard_s, core.UNHEARD_MOST_S) / SECONDS_PER_HOUR
    unheard = np.where(contactor[:, 1:2] > 0.0, unheard, 0.0)
    x = np.stack([was.soc, was.offset_A, was.bias_V, was.charge_factor, was.resistance_factor])
    p = was.covariance.transpose(1, 0, 2).copy()
    small = known_A & (np.abs(string_A) < 5.0 * sensors.current_offset_A)
    opened = (frame.contactor == 0.0).all(axis=1, keepdims=True) & small
    if opened.any():
        hear_offset(x, p, opened, current_A, pack, dt_s)
        current_A, heard_s = np.where(opened, 0.0, current_A), np.where(opened, 0.0, heard_s)
        unheard = np.where(opened, 0.0, unheard)
    flowing = np.where(opened, 0.0, 1.0)
    return correct(pack, tables, was, frame, degC, bleed, (x, p, heard_V, current_A, heard_s, unheard, flowing), dt_s)


def hear_offset(x: Array, p: Array, opened: Array, reading_A: Array, pack: Pack, dt_s: float) -> None:
    """Learn the offset of open strings in place."""
    sensors = pack.sensors
    repeat = max(sensors.correlation_s / dt_s, 1.0) if dt_s > 0.0 else 1e6
    noise_A2 = repeat * (sensors.current_sigma_A**2 + (0.1 * sensors.current_offset_A) ** 2)
    across = np.stack([p[PLACE[a, 1]] for a in range(5)])
    gain = opened * across / (across[1] + noise_A2)
    x += gain * (reading_A - x[1])
    x[0] = np.minimum(np.maximum(x[0], 0.0), 1.0)
    for a, b in PAIRS:
        p[PLACE[a, b]] -= gain[a] * across[b]
    p[LEANS:] -= gain * p[LEANS + 1]


def correct(  # noqa: PLR0915 - one step, in the order of the core
    pack: Pack,
    tables: Tables,
    was: Belief,
    frame: Frame,
    degC: Array,
    bleed: Array,
    heard: tuple[Array, Array, Array, Array, Array, Array, Array],
    dt_s: float,
) -> Belief:
    """Count, then correct, every cell."""
    cell, sensors = pack.cell, pack.sensors
    x, p, heard_V, current_A, heard_s, unheard, flowing = heard
    soc, offset, bias, charge, resistance = x
    (ocv_V, r0, r1, r2, _, _), (tau1, tau2, share) = parameters(tables, soc, degC)
    as_per_soc = SECONDS_PER_HOUR * cell.capacity_Ah * share
    efficiency = np.where(current_A < 0.0, cell.coulombic_efficiency, 1.0) * flowing
    bleed_A = bleed * ocv_V / pack.balancing.bleed_ohm
    i = (current_A - offset) * efficiency + bleed_A
    per_A = heard_s / as_per_soc
    moved = charge * (per_A * i + (dt_s - heard_s) / as_per_soc * bleed_A)
    soc = np.minimum(np.maximum(soc - moved - cell.self_discharge_per_s * dt_s, 0.0), 1.0)
    k1, k2 = np.exp(-dt_s / tau1), np.exp(-dt_s / tau2)
    rc1, rc2 = k1 * was.rc1_V + (1.0 - k1) * r1 * i, k2 * was.rc2_V + (1.0 - k2) * r2 * i
    turn = cell.hysteresis_rate * i * per_A
    keep = np.exp(-np.abs(turn))
    h = keep * was.hysteresis + (1.0 - keep) * np.where(turn > 0.0, -1.0, 1.0)
    warm = math.exp(-dt_s / cell.core_s)
    core_K = warm * was.core_K + (1.0 - warm) * cell.core_K_per_W * resistance * i * (r0 * i + rc1 + rc2)

    far = np.abs(moved)
    ko = math.exp(-dt_s / core.OFFSET_S)
    kb = np.exp(-(dt_s / cell.slow_s + far / cell.slow_soc))
    kr = np.exp(-(dt_s / core.RESISTANCE_S + far / core.RESISTANCE_SOC))
    a1, a3 = per_A * charge * efficiency, -per_A * i
    unsure = unheard * (unheard + 2.0 * np.sqrt(p[0]))
    moves = np.stack([p[PLACE[0, a]] + a1 * p[PLACE[1, a]] + a3 * p[PLACE[3, a]] for a in range(5)])
    s00 = p[0] + a1 * (p[1] + moves[1]) + a3 * (p[3] + moves[3])
    s00 = s00 + (sensors.current_sigma_A * heard_s / as_per_soc) ** 2 + unsure
    decay = [1.0, ko, kb, 1.0, kr]
    for a, b in PAIRS[5:]:
        p[PLACE[a, b]] = p[PLACE[a, b]] * (decay[a] * decay[b])
    for a in range(1, 5):
        p[a] = moves[a] * decay[a]
    p[0] = np.minimum(s00, MOST_VARIANCE)
    p[LEANS] += a1 * p[LEANS + 1] + a3 * p[LEANS + 3]
    for a in range(1, 5):
        p[LEANS + a] *= decay[a]
    p[PLACE[1, 1]] += (1.0 - ko * ko) * sensors.current_offset_A**2
    p[PLACE[3, 3]] += core.AGEING_PER_S * dt_s
    p[PLACE[4, 4]] += (1.0 - kr * kr) * cell.resistance_sigma**2
    usual = was.usual_factor + min(dt_s / core.USUAL_S, 1.0) * (resistance - was.usual_factor)
    offset, bias = ko * offset, kb * bias
    resistance = usual + kr * (resistance - usual)

    wide = np.maximum(core.WIDTH * np.sqrt(p[0]), core.WIDTH_LEAST)
    above, below = np.minimum(soc + wide, 1.0), np.maximum(soc - wide, 0.0)
    (ocv_V, r0, r1, r2, half_V, model_V), _ = parameters(tables, soc, degC)
    above_V, below_V = ocv_at(tables, above, degC), ocv_at(tables, below, degC)
    p[PLACE[2, 2]] += (1.0 - kb * kb) * model_V * model_V * was.surprise
    drop_V = r0 * i + rc1 + rc2
    missed_V = np.where(heard_V, frame.cell_V - (ocv_V + half_V * h - resistance * drop_V + bias), 0.0)
    h0, h1 = (above_V - below_V) / (above - below), resistance * (r0 + r1 + r2)
    c = np.stack(
        [h0 * p[PLACE[0, a]] + h1 * p[PLACE[1, a]] + p[PLACE[2, a]] - drop_V * p[PLACE[4, a]] for a in range(5)]
    )
    believed_V2 = h0 * c[0] + h1 * c[1] + c[2] - drop_V * c[4]
    bend_V = below_V + h0 * (soc - below) - ocv_V
    white_V2 = sensors.cell_sigma_V**2
    apart_A = np.where(np.abs(i) > core.REST_C * cell.capacity_Ah, core.hidden_A(cell, dt_s), 0.0)
    brief_V2 = cell.fast_sigma_V**2 + cell.fast_share**2 * drop_V * drop_V + ((r0 + r1) * apart_A) ** 2
    repeat = max(cell.fast_s / dt_s, 1.0) if dt_s > 0.0 else 1e6
    spread_V2 = believed_V2 + (white_V2 + repeat * brief_V2 + bend_V * bend_V) * was.surprise
    missed_V2 = missed_V * missed_V
    ratio = np.minimum(missed_V2 / (believed_V2 + white_V2 + brief_V2), core.SURPRISE_MOST)
    keep_surprise = math.exp(-dt_s / core.SURPRISE_S)
    surprise = np.maximum(keep_surprise * was.surprise + (1.0 - keep_surprise) * ratio, 1.0)
    surprise = np.where(heard_V, surprise, was.surprise)
    gain = c * (heard_V / np.maximum(spread_V2, missed_V2 * (1.0 / core.GATE**2)))

    x = np.stack([soc, offset, bias, charge, resistance]) + gain * missed_V
    x[0] = np.minimum(np.maximum(x[0], 0.0), 1.0)
    x[4] = np.minimum(np.maximum(x[4], 0.2), 5.0)
    for a, b in PAIRS:
        p[PLACE[a, b]] -= gain[a] * c[b]
    p0, p1, p2, _, p4 = p[LEANS:]
    p[LEANS:] -= gain * (h0 * p0 + h1 * p1 + p2 - drop_V * p4 + cell.standing_share * model_V)
    p = np.maximum(p, LEAST_VARIANCE[:, None, None])
    return Belief(*x, usual, rc1, rc2, h, surprise, core_K, p.transpose(1, 0, 2).copy(), 1.0)


def first(pack: Pack, tables: Tables, was: Belief, frame: Frame, heard_V: Array, degC: Array) -> Belief:
    """The first belief, from the first voltages and what was said before, over the whole curve at once."""
    if not heard_V.any():
        return was
    cell, sensors = pack.cell, pack.sensors
    string_A = frame.string_A[:, None]
    current_A = np.where(np.abs(string_A) < LARGEST, string_A, 0.0)
    soc = np.linspace(0.0, 1.0, core.START_POINTS)[:, None, None] * np.ones_like(was.soc)
    (ocv_V, r0, r1, r2, half_V, model_V), _ = parameters(tables, soc, np.broadcast_to(degC, soc.shape))
    side = np.where(soc > core.FULL_SOC, 1.0, np.where(soc < core.EMPTY_SOC, -1.0, 0.0))
    expected_V = ocv_V + half_V * side - (r0 + core.START_BUILT * r1) * current_A
    doubt_V = 0.004 + model_V + 0.3 * (r0 + r1 + r2) * np.abs(current_A) + np.where(side == 0.0, 0.6 * half_V, 0.0)
    off2 = np.minimum(((np.where(heard_V, frame.cell_V, 0.0) - expected_V) / doubt_V) ** 2, 80.0)
    sigma = np.sqrt(was.covariance[:, 0])
    away2 = np.minimum(((soc - was.soc) / sigma) ** 2, 300.0) * (sigma < core.START_SIGMA_MOST)
    strange_per_V = core.START_STRANGE / (cell.max_V - cell.min_V)
    weight = (np.exp(-0.5 * off2) / doubt_V + strange_per_V) * np.exp(-0.5 * away2)
    weight = weight / weight.sum(axis=0)
    found = (weight * soc).sum(axis=0)
    variance = np.maximum((weight * soc * soc).sum(axis=0) - found * found, 0.004**2)
    heard = heard_V.sum(axis=1, keepdims=True)
    count = np.maximum(heard, 1)
    mean, spread = ((np.where(heard_V, v, 0.0).sum(axis=1, keepdims=True) / count) for v in (found, variance))
    now = np.where(heard_V, found, np.where(heard > 0, mean, was.soc))
    covariance = was.covariance.copy()
    covariance[:, 0] = np.where(heard_V, variance, np.where(heard > 0, spread + 0.1**2, was.covariance[:, 0]))
    (_, _, r1, r2, half_V, model_V), _ = parameters(tables, now, degC)
    h = np.where(now > core.FULL_SOC, 1.0, np.where(now < core.EMPTY_SOC, -1.0, 0.0))
    covariance[:, 5] = sensors.current_offset_A**2
    covariance[:, 9] = model_V**2 + np.where(h == 0.0, 0.6 * half_V, 0.0) ** 2 + (0.5 * (r1 + r2) * current_A) ** 2
    covariance[:, 12] = cell.capacity_sigma**2 + sensors.current_gain**2
    covariance[:, 14] = cell.resistance_sigma**2
    built = core.START_BUILT * r1 * current_A
    return was._replace(soc=now, rc1_V=built, hysteresis=h, covariance=covariance, started=1.0)
