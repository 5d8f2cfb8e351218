"""Three healths that are never mixed: capacity, resistance, and the energy usable now; 1 is new.

Capacity and resistance age and do not heal, so what is reported of them falls and does not rise: not because of
balancing, an update or warm weather. The rule that reports them is `observe`:

- A running estimate (mean and variance of a slow random walk) takes in every observation, up and down, so noise
  averages out. Errors of an estimator persist for days, so an observation counts in proportion to the time since the
  last one: a thousand readings of one afternoon, or a restart that repeats the last, say no more than one.
- The report follows that estimate down, to one sigma above it and no further. A running minimum of observations would
  be ratcheted down by noise: by three and a half sigma of an observation in ten years; this is, by 0.4 on average.
- The report rises in one case only: it was wrong. Then an observation at least twice as sure as the one it stands on
  must put the estimate above it by three sigma, of estimate and observation together, while nothing disturbs. It
  rises to the estimate, and that is counted as a correction, so that nobody takes it for healing.
- What was observed while balancing, just after an update or outside the temperatures in which the model was
  identified is disturbed, and counts for nothing.

The usable health is no record but a look at the battery as it is: it falls in the cold and comes back.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from packhorse.cell import physics
from packhorse.compiled import compiled
from packhorse.estimation.energy import drawn
from packhorse.pack.words import Cell

REFERENCE_DEGC = 25.0
YEAR_S = 365.25 * 86_400.0
AGEING_PER_YEAR = 0.02
"""How far health may wander in a year beyond what was foreseen (one sigma, assumed)."""
CORRELATION_S = 7 * 86_400.0
"""For how long an observation's error keeps its value (assumed)."""
START_SIGMA = 0.1
"""How far from new a battery may be of which nothing was heard."""
CONTRADICTION = 3.0
SURER = 0.5
MOST = 2.0
"""No battery is twice as good as new: such an observation is not one."""


class Health(NamedTuple):
    """What is remembered of one health, saved and loaded like all state. `value` is what is reported."""

    value: float
    estimate: float
    variance: float  # of the estimate
    stands_on: float  # sigma of the observation that brought `value` to where it is
    corrections: float  # how often `value` was found too low


@compiled
def new() -> Health:
    """The record of a battery of which nothing was observed yet."""
    return Health(1.0, 1.0, START_SIGMA * START_SIGMA, START_SIGMA, 0.0)


@compiled
def observe(was: Health, seen: float, sigma: float, undisturbed: float, dt_s: float) -> Health:
    """The record after `dt_s` and an observation with its sigma; NaN where there was none."""
    variance = was.variance + AGEING_PER_YEAR * AGEING_PER_YEAR / YEAR_S * (dt_s if dt_s > 0.0 else 0.0)
    variance = variance if variance < START_SIGMA * START_SIGMA else START_SIGMA * START_SIGMA
    if not (0.0 < seen < MOST and 0.0 < sigma < MOST and undisturbed > 0.0 and dt_s > 0.0):
        return Health(was.value, was.estimate, variance, was.stands_on, was.corrections)
    repeats = 2.0 * CORRELATION_S / dt_s if dt_s < 2.0 * CORRELATION_S else 1.0
    gain = variance / (variance + repeats * sigma * sigma)
    estimate = was.estimate + gain * (seen - was.estimate)
    variance = (1.0 - gain) * variance
    ceiling = estimate + math.sqrt(variance)
    if ceiling < was.value:
        return Health(ceiling, estimate, variance, sigma, was.corrections)
    wrong = estimate - was.value > CONTRADICTION * math.sqrt(variance + sigma * sigma)
    if wrong and sigma <= SURER * was.stands_on and was.value < 1.0:
        return Health(estimate if estimate < 1.0 else 1.0, estimate, variance, sigma, was.corrections + 1.0)
    return Health(was.value, estimate, variance, was.stands_on, was.corrections)


@compiled
def capacity_seen(cell: Cell, capacity_Ah: float, sigma_Ah: float, degC: float) -> tuple[float, float]:
    """Observation of the capacity's health and its sigma: capacity at a temperature, over what a new one has there."""
    _tau1, _tau2, share = physics.three_over_degC(cell.degC_nodes, degC)
    _tau1, _tau2, reference = physics.three_over_degC(cell.degC_nodes, REFERENCE_DEGC)
    nominal_Ah = cell.capacity_Ah * share / reference
    return capacity_Ah / nominal_Ah, sigma_Ah / nominal_Ah


@compiled
def resistance_seen(resistance_factor: float, sigma: float) -> tuple[float, float]:
    """Observation of the resistance's health and its sigma: new over now.

    The factor multiplies the table's resistance at the cell's temperature, so the temperature is already out of it.
    """
    return 1.0 / resistance_factor, sigma / (resistance_factor * resistance_factor)


@compiled
def usable(cell: Cell, capacity_health: float, resistance_health: float, degC: float, rate_C: float) -> float:
    """Energy of the battery, full, at a temperature, over that of a new one at 25 degC, both at an assumed current.

    From the two recorded healths, so that nothing but the temperature can bring it back up; warmth above 25 degC
    does not count.
    """
    degC = degC if degC < REFERENCE_DEGC else REFERENCE_DEGC
    return full_Wh(cell, capacity_health, resistance_health, degC, rate_C) / full_Wh(
        cell, 1.0, 1.0, REFERENCE_DEGC, rate_C
    )


@compiled
def full_Wh(cell: Cell, capacity_health: float, resistance_health: float, degC: float, rate_C: float) -> float:
    """Energy of one cell from full to empty [Wh]."""
    _tau1, _tau2, share = physics.three_over_degC(cell.degC_nodes, degC)
    capacity_Ah, current_A = cell.capacity_Ah * share * capacity_health, rate_C * cell.capacity_Ah
    _, energy_Wh = drawn(cell, 1.0, degC, capacity_Ah, 1.0 / resistance_health, current_A, math.inf, cell.min_V)
    return energy_Wh
