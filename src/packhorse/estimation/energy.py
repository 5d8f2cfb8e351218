"""State of energy: what a string still gives before its weakest cell is empty, at a steady current.

The energy is the terminal voltage integrated over the charge that is left, node by node of the cell's tables: OCV on
the discharge branch of the hysteresis, less the drop over all resistance at an assumed current, at the present
temperature (assumed to stay). A cell is empty at SOC 0, or sooner where the drop brings it to its lowest voltage.
Every cell of a string gives the same charge, the one that the weakest has; the others give it at a higher voltage, so
the charge is taken from the weakest cell and the voltage from the mean cell.
"""

from __future__ import annotations

import math

from packhorse.cell import physics
from packhorse.cell.physics import SOC_SCALE
from packhorse.cell.table import HYSTERESIS_V
from packhorse.compiled import compiled
from packhorse.pack.known import known
from packhorse.pack.words import Cell

ASSUMED_RATE_C = 1.0 / 3.0
"""Assumed steady discharge [1/h of the nominal capacity]: a truck on the road empties its battery in some hours."""
WH_PER_KWH = 1000.0


@compiled
def loaded_V(cell: Cell, soc: float, degC: float, resistance_factor: float, current_A: float) -> float:
    """Terminal voltage under a current that has flowed for long: hysteresis and both RC pairs have settled."""
    ocv_V, _slope, r0, r1, r2 = physics.parameters(cell.nodes, soc, degC)
    settled_V = current_A * resistance_factor * (r0 + r1 + r2)
    return ocv_V - physics.at_node(cell.nodes, soc, degC, HYSTERESIS_V) - settled_V


@compiled
def drawn(
    cell: Cell,
    soc: float,
    degC: float,
    capacity_Ah: float,
    resistance_factor: float,
    current_A: float,
    most_Ah: float,
    floor_V: float,
) -> tuple[float, float]:
    """Charge [Ah] and energy [Wh] of one cell until it is empty, falls to `floor_V`, or has given `most_Ah`.

    From `soc` down, trapezoid by trapezoid between the nodes of the tables; the last is cut where the end lies.
    `capacity_Ah` is that at the present temperature.
    """
    high = soc if soc < 1.0 else 1.0
    high_V = loaded_V(cell, high, degC, resistance_factor, current_A)
    last = high - most_Ah / capacity_Ah
    last = last if last > 0.0 else 0.0
    row, warmer = physics.at_degC(degC)
    node = math.ceil(high * SOC_SCALE - 1e-9) - 1
    charge_Ah, energy_Wh = 0.0, 0.0
    while node >= 0 and high > last and high_V > floor_V:
        low, low_V = node / SOC_SCALE, node_V(cell, node, row, warmer, resistance_factor * current_A)
        if low < last:
            low_V = high_V + (low_V - high_V) * (high - last) / (high - low)
            low = last
        if low_V < floor_V:
            low = high - (high - low) * (high_V - floor_V) / (high_V - low_V)
            low_V = floor_V
        step_Ah = (high - low) * capacity_Ah
        charge_Ah += step_Ah
        energy_Wh += 0.5 * (high_V + low_V) * step_Ah
        high, high_V = low, low_V
        node -= 1
    return charge_Ah, energy_Wh


@compiled
def node_V(cell: Cell, node: int, row: physics.Place, warmer: float, driven_A: float) -> float:
    """`loaded_V` at a node of the tables; `driven_A` is current times resistance factor."""
    cold, warm = cell.nodes[row, node], cell.nodes[row + physics.ONE, node]
    cold_V = cold[0] - driven_A * (cold[1] + cold[2] + cold[3]) - cold[4]
    warm_V = warm[0] - driven_A * (warm[1] + warm[2] + warm[3]) - warm[4]
    settled_V: float = (1.0 - warmer) * cold_V + warmer * warm_V
    return settled_V


@compiled
def string_energy(
    cell: Cell,
    series: int,
    degC: float,
    weakest: tuple[float, float, float],
    sigma: tuple[float, float, float],
    mean: tuple[float, float, float],
    rate_C: float,
) -> tuple[float, float]:
    """Energy that a string still gives and its sigma [kWh]; NaN where anything is not known.

    `weakest` is SOC, capacity and resistance factor of the cell with the least charge, `sigma` their sigmas, `mean`
    the means over the string. Factors multiply the nominal capacity and the resistance, each as at this temperature.
    `degC` is the coldest cell's, `rate_C` the assumed current (`ASSUMED_RATE_C`). Sigma adds, as independent, what the
    weakest cell's SOC, capacity and resistance leave open.
    """
    for values in (weakest, sigma, mean):
        for value in values:
            if not known(value) or value < 0.0:
                return math.nan, math.nan
    if not known(degC) or weakest[1] <= 0.0 or mean[1] <= 0.0:
        return math.nan, math.nan
    _tau1, _tau2, share = physics.three_over_degC(cell.degC_nodes, degC)
    at_hand_Ah, current_A = share * cell.capacity_Ah, rate_C * cell.capacity_Ah
    energy_Wh = given_Wh(cell, degC, weakest, mean, at_hand_Ah, current_A)
    stiffer = (weakest[0], weakest[1], weakest[2] + sigma[2])
    stiffer_mean = (mean[0], mean[1], mean[2] + sigma[2])
    by_resistance_Wh = energy_Wh - given_Wh(cell, degC, stiffer, stiffer_mean, at_hand_Ah, current_A)
    now_V = loaded_V(cell, mean[0], degC, mean[2], current_A)
    by_soc_Wh = sigma[0] * at_hand_Ah * weakest[1] * (now_V if now_V > cell.min_V else cell.min_V)
    by_capacity_Wh = sigma[1] / weakest[1] * energy_Wh
    spread_Wh = math.sqrt(by_soc_Wh**2 + by_capacity_Wh**2 + by_resistance_Wh**2)
    return series * energy_Wh / WH_PER_KWH, series * spread_Wh / WH_PER_KWH


@compiled
def given_Wh(
    cell: Cell,
    degC: float,
    weakest: tuple[float, float, float],
    mean: tuple[float, float, float],
    at_hand_Ah: float,
    current_A: float,
) -> float:
    """Energy of the mean cell [Wh] over the charge that the weakest has."""
    weakest_Ah, _ = drawn(cell, weakest[0], degC, at_hand_Ah * weakest[1], weakest[2], current_A, math.inf, cell.min_V)
    _, energy_Wh = drawn(cell, mean[0], degC, at_hand_Ah * mean[1], mean[2], current_A, weakest_Ah, -math.inf)
    return energy_Wh
