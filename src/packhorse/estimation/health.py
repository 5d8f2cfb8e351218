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

A string is as healthy as its worst cell. What the filter of the cells believes is an observation only where the filter
has learned it: before, it is what the cell file said. Of the resistance nothing is learned while no current flows.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse.cell import physics
from packhorse.compiled import compiled, kernel, part
from packhorse.estimation.belief import CHARGE_ROW, RESISTANCE_ROW
from packhorse.estimation.energy import drawn
from packhorse.pack.known import known
from packhorse.pack.words import Array, Belief, Cell, Frame, Pack

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
LEARNED = 0.5
"""What the filter believes was learned where its sigma is at most this share of what the cell file left open."""
FLOWING_C = 0.1
"""Current from which on a resistance can be seen [1/h of the capacity] (assumed)."""
CAPACITY, RESISTANCE, USABLE, HEALTHS = 0, 1, 2, 3
VALUE, VARIANCE = 0, 2
"""Columns of a record that others read, as in `Health`."""


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


def unheard(strings: int) -> Array:
    """Records of strings of which nothing was observed yet: (strings, 2, 5), capacity and resistance."""
    return np.tile(np.array(new()), (strings, USABLE, 1))


@part
def follow(pack: Pack, was: Array, belief: Belief, frame: Frame, bleed: Array, dt_s: float) -> Array:
    """The records of all strings after one frame; `bleed` was commanded during the last `dt_s`."""
    now = np.empty_like(was)
    cell, gain = pack.cell, pack.sensors.current_gain
    open_capacity = LEARNED * math.sqrt(cell.capacity_sigma * cell.capacity_sigma + gain * gain)
    for s in range(pack.strings):
        calm = calm_of(pack, frame, bleed, s) if belief.started > 0.0 and dt_s <= pack.sensors.patience_s else 0.0
        p = belief.covariance[s]
        factor, sigma = worst(belief.charge_factor[s], p[CHARGE_ROW])
        learned = calm if sigma <= open_capacity else 0.0
        seen, doubt = health_seen(factor, math.sqrt(sigma * sigma + gain * gain))
        remember(observe(recorded(was[s, CAPACITY]), seen, doubt, learned, dt_s), now[s, CAPACITY])
        factor, sigma = worst(belief.resistance_factor[s], p[RESISTANCE_ROW])
        flows = abs(frame.string_A[s]) >= FLOWING_C * cell.capacity_Ah
        learned = calm if flows and sigma <= LEARNED * cell.resistance_sigma else 0.0
        seen, doubt = health_seen(factor, sigma)
        remember(observe(recorded(was[s, RESISTANCE]), seen, doubt, learned, dt_s), now[s, RESISTANCE])
    return now


@kernel
def calm_of(pack: Pack, frame: Frame, bleed: Array, s: int) -> float:
    """1 where nothing disturbs what is seen of a string.

    No cell is bled, the current is heard, and no probe is beyond the temperatures for charging, within which every
    cell file was identified (assumed).
    """
    calm = known(frame.string_A[s])
    for k in range(pack.series):
        calm = calm and bleed[s, k] == 0.0
    for degC in frame.probe_degC[s]:
        calm = calm and not (degC < pack.temperature[0] or degC > pack.temperature[1])
    return 1.0 if calm else 0.0


@kernel
def worst(factor: Array, variance: Array) -> tuple[float, float]:
    """The largest factor of a string's cells and its sigma, where `variance` is the doubt about each.

    The largest of many doubtful numbers is too large. So each counts as its distance from the mean times the share of
    that spread which doubt does not explain: cells that seem to differ by no more than their doubt are all the mean.
    """
    cells = factor.shape[0]
    mean, doubt, spread = 0.0, 0.0, 0.0
    for k in range(cells):
        mean += factor[k]
        doubt += variance[k]
    mean /= cells
    for k in range(cells):
        spread += (factor[k] - mean) * (factor[k] - mean)
    real = (spread - doubt) / cells if spread > doubt else 0.0
    most, at = -math.inf, 0
    for k in range(cells):
        value = mean + (factor[k] - mean) * real / (real + variance[k])
        at = k if value > most else at
        most = value if value > most else most
    return most, math.sqrt(variance[at])


@kernel
def recorded(row: Array) -> Health:
    """A row of the records as a record."""
    return Health(row[0], row[1], row[2], row[3], row[4])


@kernel
def remember(health: Health, row: Array) -> None:
    """A record into its row."""
    row[0], row[1], row[2], row[3], row[4] = health


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
def health_seen(factor: float, sigma: float) -> tuple[float, float]:
    """Observation of a health and its sigma: new over now, from a charge or resistance factor and its sigma.

    Factors are relative to the tables at the cell's temperature, so the temperature is already out of them.
    """
    return 1.0 / factor, sigma / (factor * factor)


@compiled
def usable(
    cell: Cell, capacity_health: float, resistance_health: float, degC: float, rate_C: float, of_new_Wh: float
) -> float:
    """Energy of the battery, full, at a temperature, over that of a new one (`new_Wh`), both at an assumed current.

    From the two recorded healths, so that nothing but the temperature can bring it back up; warmth above 25 degC
    does not count. None where even a new one gives nothing, for all its resistance.
    """
    degC = degC if degC < REFERENCE_DEGC else REFERENCE_DEGC
    full = full_Wh(cell, capacity_health, resistance_health, degC, rate_C)
    return full / of_new_Wh if of_new_Wh > 0.0 else 0.0


@compiled
def new_Wh(cell: Cell, rate_C: float) -> float:
    """Energy of one new cell from full to empty at 25 degC [Wh]."""
    return full_Wh(cell, 1.0, 1.0, REFERENCE_DEGC, rate_C)


@compiled
def full_Wh(cell: Cell, capacity_health: float, resistance_health: float, degC: float, rate_C: float) -> float:
    """Energy of one cell from full to empty [Wh]."""
    _tau1, _tau2, share = physics.three_over_degC(cell.degC_nodes, degC)
    capacity_Ah, current_A = cell.capacity_Ah * share * capacity_health, rate_C * cell.capacity_Ah
    _, energy_Wh = drawn(cell, 1.0, degC, capacity_Ah, 1.0 / resistance_health, current_A, math.inf, cell.min_V)
    return energy_Wh
