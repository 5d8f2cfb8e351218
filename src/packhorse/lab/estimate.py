"""One cell's log through the estimators: causal, in one pass, by the same step that runs in the vehicle."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse import estimation
from packhorse.cell import physics
from packhorse.compiled import compiled
from packhorse.estimation.belief import OFFSET_ROW, RESISTANCE_ROW, SOC_ROW, charge_variance, soc_variance
from packhorse.estimation.health import CAPACITY, RESISTANCE, USABLE
from packhorse.estimation.power import HORIZONS
from packhorse.estimation.temperature import ROOM_DEGC
from packhorse.io.cell_logs import CellLog
from packhorse.pack.compile import compile_pack
from packhorse.pack.description import CellFile, PackFile, SensorsPart
from packhorse.pack.known import known
from packhorse.pack.words import Array, Belief, Estimate, Frame, Pack

SAID_SIGMA = 0.2
"""How far a SOC that somebody states may be off: half of a wrong one must be found within minutes (assumed)."""
CELL_SIGMA_V = 0.003
OFFSET_RATE, NOISE_RATE, GAIN = 1.0 / 40.0, 0.002, 0.01
"""Sensors of an unknown log: offset and noise of the current in 1/h of the capacity, gain. Assumed."""
MOST_PATIENCE_S = 120.0


class Estimates(NamedTuple):
    """What is believed after each row; each (times,).

    Powers are what the cell can give and take for so long, the energy what it still gives. A health of 1 is new; those
    of capacity and resistance take weeks to follow what is believed now, the usable one is that at the temperature.
    """

    time_s: Array
    soc: Array
    soc_sigma: Array
    capacity_Ah: Array
    capacity_sigma_Ah: Array
    r0_ohm: Array
    r0_sigma_ohm: Array
    current_offset_A: Array
    current_offset_sigma_A: Array
    hysteresis: Array
    core_degC: Array
    model_bias_V: Array
    resistance_factor: Array
    surprise: Array
    sop_discharge_2s_W: Array
    sop_discharge_10s_W: Array
    sop_discharge_30s_W: Array
    sop_discharge_600s_W: Array
    sop_charge_2s_W: Array
    sop_charge_10s_W: Array
    sop_charge_30s_W: Array
    sop_charge_600s_W: Array
    soe_Wh: Array
    soe_sigma_Wh: Array
    capacity_health: Array
    capacity_health_sigma: Array
    resistance_health: Array
    resistance_health_sigma: Array
    usable_health: Array


COLUMNS = len(Estimates._fields)
FIRST_SOP = Estimates._fields.index("sop_discharge_2s_W")
FIRST_SOE = Estimates._fields.index("soe_Wh")


def one_cell(cell: CellFile, row_s: float) -> Pack:
    """A pack of one cell, with sensors as good as an unknown log's may be; rows come every `row_s`."""
    patience_s = min(max(2.5 * row_s, 2.0), MOST_PATIENCE_S)
    sensors = SensorsPart(
        cell_sigma_V=CELL_SIGMA_V,
        current_sigma_A=NOISE_RATE * cell.capacity_Ah,
        current_offset_A=OFFSET_RATE * cell.capacity_Ah,
        current_gain=GAIN,
        patience_s=patience_s,
    )
    return compile_pack(PackFile(name=cell.name, cell="-", strings=1, series=1, probes=1, sensors=sensors), cell)


def estimate(cell: CellFile, log: CellLog, initial_soc: float | None = None) -> Estimates:
    """What the estimators believe at every row of a log. Without an initial SOC the first voltage says what it can.

    Raises ValueError where `initial_soc` is no fraction.
    """
    if initial_soc is not None and not 0.0 <= initial_soc <= 1.0:
        raise ValueError(f"initial SOC {initial_soc:g} is not between 0 and 1; write 90 % as 0.9")
    pack = one_cell(cell, float(np.median(np.diff(log.time_s))) if log.time_s.size > 1 else 1.0)
    belief = estimation.begin(1, 1)
    if initial_soc is not None:
        belief.soc[:] = initial_soc
        belief.covariance[:, SOC_ROW, :] = SAID_SIGMA**2
    columns = (np.ascontiguousarray(column, dtype=np.float64) for column in log[1:])
    return Estimates(*follow(pack, belief, estimation.unheard(1), *columns).T.copy())


@compiled
def follow(
    pack: Pack, belief: Belief, health: Array, time_s: Array, current_A: Array, cell_V: Array, cell_degC: Array
) -> Array:
    """Rows of `Estimates` after each row of a log."""
    out = np.empty((time_s.shape[0], COLUMNS))
    bleed, contactor = np.zeros((1, 1)), np.ones((1, 3))
    nan, one, three = math.nan, np.full(1, math.nan), np.full((1, 3), math.nan)
    cells, probes, amps = np.empty((1, 1)), np.empty((1, 1)), np.empty(1)
    was_s = time_s[0]
    for k in range(time_s.shape[0]):
        cells[0, 0], probes[0, 0], amps[0] = cell_V[k], cell_degC[k], current_A[k]
        frame = Frame(time_s[k], cells, probes, amps, one, three, three, nan, nan, nan, nan, nan, nan, 1.0, 0.0, 0.0)
        dt_s = time_s[k] - was_s if time_s[k] > was_s else 0.0
        belief = estimation.step(pack, belief, frame, bleed, contactor, dt_s)
        health = estimation.follow(pack, health, belief, frame, bleed, dt_s)
        was_s = time_s[k] if time_s[k] > was_s else was_s
        say(pack, belief, time_s[k], cell_degC[k], out[k])
        say_estimate(estimation.summary(pack, belief, health, frame, contactor), out[k])
    return out


@compiled
def say(pack: Pack, belief: Belief, time_s: float, degC: float, row: Array) -> None:
    """One row of `Estimates` but for what the core itself sums up."""
    p, warm = belief.covariance[0], degC if known(degC) else ROOM_DEGC
    soc, factor = belief.soc[0, 0], belief.charge_factor[0, 0]
    _ocv, _slope, r0, _r1, _r2 = physics.parameters(pack.cell.nodes, soc, warm)
    row[0], row[1], row[2] = time_s, soc, math.sqrt(soc_variance(p, 0))
    row[3] = pack.cell.capacity_Ah / factor
    row[4] = row[3] * math.sqrt(charge_variance(p, 0)) / factor
    row[5], row[6] = r0 * belief.resistance_factor[0, 0], r0 * math.sqrt(p[RESISTANCE_ROW, 0])
    row[7], row[8] = belief.offset_A[0, 0], math.sqrt(p[OFFSET_ROW, 0])
    row[9], row[10] = belief.hysteresis[0, 0], warm + belief.core_K[0, 0]
    row[11], row[12], row[13] = belief.bias_V[0, 0], belief.resistance_factor[0, 0], belief.surprise[0, 0]


@compiled
def say_estimate(estimate: Estimate, row: Array) -> None:
    """Power, energy and health into a row of `Estimates`."""
    for direction in range(2):
        first = FIRST_SOP + direction * HORIZONS
        row[first : first + HORIZONS] = estimate.power_W[direction]
    row[FIRST_SOE], row[FIRST_SOE + 1] = 1000.0 * estimate.energy_kWh, 1000.0 * estimate.energy_sigma_kWh
    health, sigma = estimate.health[0], estimate.health_sigma[0]
    row[FIRST_SOE + 2], row[FIRST_SOE + 3] = health[CAPACITY], sigma[CAPACITY]
    row[FIRST_SOE + 4], row[FIRST_SOE + 5] = health[RESISTANCE], sigma[RESISTANCE]
    row[FIRST_SOE + 6] = health[USABLE]
