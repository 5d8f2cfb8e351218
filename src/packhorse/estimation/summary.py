"""What is believed, summed up per string and for the pack."""

from __future__ import annotations

import math

import numpy as np

from packhorse.compiled import kernel, part
from packhorse.estimation import outlook
from packhorse.estimation.belief import soc_variance
from packhorse.estimation.energy import ASSUMED_RATE_C
from packhorse.estimation.health import CAPACITY, HEALTHS, RESISTANCE, USABLE, VALUE, VARIANCE, new_Wh, usable
from packhorse.estimation.power import HORIZONS, pack_power
from packhorse.estimation.temperature import cell_degC
from packhorse.pack.words import Array, Belief, Estimate, Frame, Pack


@part
def summary(pack: Pack, belief: Belief, health: Array, frame: Frame, contactor: Array) -> Estimate:
    """Weakest and strongest cell, SOC, energy, power and health; `contactor` says what was commanded last.

    A string gives charge until its weakest cell is empty and takes charge until its strongest is full, so its SOC is
    what it can give over what it can give and take. Energy is that of all strings, power that of the connected ones.
    """
    strings = pack.strings
    string_soc, string_sigma = np.empty(strings), np.empty(strings)
    soc_min, soc_max = np.empty(strings), np.empty(strings)
    weakest, strongest = np.empty(strings), np.empty(strings)
    string_A, string_W = np.zeros((strings, 2, HORIZONS)), np.zeros((strings, 2, HORIZONS))
    connected, first_ohm, all_ohm = np.zeros(strings), np.zeros(strings), np.zeros(strings)
    healths, health_sigma = np.empty((strings, HEALTHS)), np.empty((strings, USABLE))
    of_new_Wh = new_Wh(pack.cell, ASSUMED_RATE_C)
    total, total_sigma, energy_kWh, energy_sigma_kWh = 0.0, 0.0, 0.0, 0.0
    for s in range(strings):
        low, high = extremes(belief.soc[s])
        give, take = belief.soc[s, low], 1.0 - belief.soc[s, high]
        soc_min[s], soc_max[s], weakest[s], strongest[s] = give, 1.0 - take, low, high
        string_soc[s] = give / (give + take) if give + take > 0.0 else 0.0
        p = belief.covariance[s]
        string_sigma[s] = math.sqrt(max(soc_variance(p, low), soc_variance(p, high)))
        total += string_soc[s]
        total_sigma += string_sigma[s]

        degC = cell_degC(frame.probe_degC[s], pack.probe_of_cell, frame.ambient_degC)
        cells = outlook.cells_of(belief, s, degC)
        kWh, sigma_kWh = outlook.energy_of(pack, belief, cells, s)
        energy_kWh += kWh
        energy_sigma_kWh += sigma_kWh
        if belief.started > 0.0 and joined(contactor, frame.contactor, s):
            first_ohm[s], all_ohm[s] = outlook.power_of(pack, cells, string_A[s], string_W[s])
            connected[s] = 1.0
        report(pack, health[s], degC.min(), of_new_Wh, healths[s], health_sigma[s])
    _total_A, power_W = pack_power(connected, first_ohm, all_ohm, string_A, string_W)
    return Estimate(
        string_soc=string_soc,
        string_soc_sigma=string_sigma,
        soc_min=soc_min,
        soc_max=soc_max,
        weakest=weakest,
        strongest=strongest,
        soc=total / strings,
        soc_sigma=total_sigma / strings,
        energy_kWh=energy_kWh,
        energy_sigma_kWh=energy_sigma_kWh,
        power_W=power_W,
        health=healths,
        health_sigma=health_sigma,
    )


@kernel
def extremes(soc: Array) -> tuple[int, int]:
    """Places of the least and the most charge."""
    low, high = 0, 0
    for k in range(soc.shape[0]):
        low = k if soc[k] < soc[low] else low
        high = k if soc[k] > soc[high] else high
    return low, high


@kernel
def joined(told: Array, heard: Array, s: int) -> bool:
    """Whether a string is on the link: told so, and not heard to be open."""
    heard_open = heard[s, 0] == 0.0 or heard[s, 1] == 0.0
    return told[s, 0] > 0.0 and told[s, 1] > 0.0 and not heard_open


@kernel
def report(pack: Pack, record: Array, coldest_degC: float, of_new_Wh: float, healths: Array, sigma: Array) -> None:
    """Healths of one string from its records: capacity, resistance, and usable now."""
    for which in range(USABLE):
        healths[which], sigma[which] = record[which, VALUE], math.sqrt(record[which, VARIANCE])
    capacity, resistance = healths[CAPACITY], healths[RESISTANCE]
    healths[USABLE] = usable(pack.cell, capacity, resistance, coldest_degC, ASSUMED_RATE_C, of_new_Wh)
