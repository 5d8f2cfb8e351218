"""What a string can give and take, made ready from what is believed of its cells.

All is at the temperature of the probes: the resistance factors were learned there, so that a core which is warmer has
already made them smaller.
"""

from __future__ import annotations

import math

import numpy as np

from packhorse.compiled import kernel, part
from packhorse.estimation.belief import RESISTANCE_ROW, SOC_LEANS, SOC_ROW, charge_variance, soc_variance
from packhorse.estimation.energy import ASSUMED_RATE_C, string_energy
from packhorse.estimation.power import SURE_Z, Cells, Window, string_power
from packhorse.pack.words import Array, Belief, Pack

DOUBT_MAX = 0.1
"""A sigma of SOC beyond this holds back no more, or a flat curve would stop the truck."""
CELL_ROWS = 5
SOC_SIGMA, RC1_V, RC2_V, CAPACITY_FACTOR, RESISTANCE_SIGMA = range(CELL_ROWS)
"""Rows of what `Cells` takes from a belief in another form."""


@part
def cells_of(belief: Belief, s: int, degC: Array) -> Cells:
    """What is believed of the cells of one string, whose temperatures are `degC`."""
    rows = np.empty((CELL_ROWS, degC.shape[0]))
    p = belief.covariance[s]
    charge, resistance = belief.charge_factor[s], belief.resistance_factor[s]
    told = (belief.rc1_V[s], belief.rc2_V[s], charge, resistance)
    convert(p, told, rows)
    return Cells(
        belief.soc[s],
        rows[SOC_SIGMA],
        rows[RC1_V],
        rows[RC2_V],
        belief.hysteresis[s],
        rows[CAPACITY_FACTOR],
        resistance,
        rows[RESISTANCE_SIGMA],
        degC,
    )


@kernel
def convert(p: Array, told: tuple[Array, Array, Array, Array], rows: Array) -> None:
    """Sigmas from variances, and RC voltages at the resistances believed instead of those of the cell file."""
    rc1_V, rc2_V, charge, resistance = told
    soc2, leans, resistance2 = p[SOC_ROW], p[SOC_LEANS], p[RESISTANCE_ROW]
    for k in range(rows.shape[1]):
        sigma = math.sqrt(soc2[k] + leans[k] * leans[k])
        rows[SOC_SIGMA, k] = sigma if sigma < DOUBT_MAX else DOUBT_MAX
        rows[RC1_V, k] = rc1_V[k] * resistance[k]
        rows[RC2_V, k] = rc2_V[k] * resistance[k]
        rows[CAPACITY_FACTOR, k] = 1.0 / charge[k]
        rows[RESISTANCE_SIGMA, k] = math.sqrt(resistance2[k])


@kernel
def window_of(pack: Pack) -> Window:
    """What the cells of a string must stay inside."""
    return Window(pack.derating.margin_V, 0.0, 1.0, pack.temperature[0], pack.temperature[1], SURE_Z)


@part
def power_of(pack: Pack, cells: Cells, current_A: Array, power_W: Array) -> tuple[float, float]:
    """Power of one string into `current_A` and `power_W`; gives back the resistances, as `string_power` does."""
    return string_power(pack.cell, cells, window_of(pack), current_A, power_W)


@kernel
def energy_of(pack: Pack, belief: Belief, cells: Cells, s: int) -> tuple[float, float]:
    """Energy that one string still gives and its sigma [kWh]."""
    least, soc, capacity, resistance, coldest_degC = 0, 0.0, 0.0, 0.0, math.inf
    for k in range(pack.series):
        charge = cells.soc[k] * cells.capacity_factor[k]
        least = k if charge < cells.soc[least] * cells.capacity_factor[least] else least
        soc += cells.soc[k]
        capacity += cells.capacity_factor[k]
        resistance += cells.resistance_factor[k]
        coldest_degC = cells.degC[k] if cells.degC[k] < coldest_degC else coldest_degC
    weakest = (cells.soc[least], cells.capacity_factor[least], cells.resistance_factor[least])
    p, factor = belief.covariance[s], cells.capacity_factor[least]
    sigma = (
        math.sqrt(soc_variance(p, least)),
        factor * factor * math.sqrt(charge_variance(p, least)),
        math.sqrt(p[RESISTANCE_ROW, least]),
    )
    mean = (soc / pack.series, capacity / pack.series, resistance / pack.series)
    return string_energy(pack.cell, pack.series, coldest_degC, weakest, sigma, mean, ASSUMED_RATE_C)
