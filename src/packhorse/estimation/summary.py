"""What is believed, summed up per string and for the pack."""

from __future__ import annotations

import math

import numpy as np

from packhorse.cell import physics
from packhorse.compiled import part
from packhorse.pack.words import Belief, Estimate, Pack

_W_PER_KW = 1000.0


@part
def summary(pack: Pack, belief: Belief) -> Estimate:
    """Weakest and strongest cell, SOC and energy.

    A string gives charge until its weakest cell is empty and takes charge until its strongest is full, so its SOC is
    what it can give over what it can give and take. Energy is that charge at the OCV halfway down, at 25 degC.
    """
    strings = pack.strings
    string_soc, string_sigma = np.empty(strings), np.empty(strings)
    soc_min, soc_max = np.empty(strings), np.empty(strings)
    weakest, strongest = np.empty(strings), np.empty(strings)
    total, total_sigma, energy_kWh = 0.0, 0.0, 0.0
    for s in range(strings):
        low, high = 0, 0
        for k in range(pack.series):
            low = k if belief.soc[s, k] < belief.soc[s, low] else low
            high = k if belief.soc[s, k] > belief.soc[s, high] else high
        give, take = belief.soc[s, low], 1.0 - belief.soc[s, high]
        soc_min[s], soc_max[s], weakest[s], strongest[s] = give, 1.0 - take, low, high
        string_soc[s] = give / (give + take) if give + take > 0.0 else 0.0
        string_sigma[s] = math.sqrt(max(belief.covariance[s, 0, low], belief.covariance[s, 0, high]))
        ocv_V, _slope, _r0, _r1, _r2 = physics.parameters(pack.cell.nodes, 0.5 * give, 25.0)
        energy_kWh += give * pack.cell.capacity_Ah * ocv_V * pack.series / _W_PER_KW
        total += string_soc[s]
        total_sigma += string_sigma[s]
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
    )
