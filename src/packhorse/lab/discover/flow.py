"""Current and SOC together: zero, scales, and how likely each is beside the others that fit as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from packhorse.lab.discover import charge, current
from packhorse.lab.discover.words import Field, overlap
from packhorse.pack.words import Array

ZERO_FIT, SAME_ZERO, AS_WELL = 0.02, 0.002, 0.25
"""A round zero may explain the SOC by so much less than a free one."""
KNOWN_CAPACITY, UNUSUAL_CAPACITY, ELSEWHERE, OTHER_ORDER = 0.08, 3.0, 0.5, 1.5
"""How sure a known capacity is, as a logarithm; what counts against a way, in natural logarithms of its odds."""
CONTRADICTED, SOMETHING_ELSE = 4.5, 0.01
"""What speaks against all ways, to look further; the odds of what was not tried, beside a usual scale that fits."""
LEAST_AH, MOST_AH, MOST_RATE_PER_H = 15.0, 1500.0, 8.0


class Way(NamedTuple):
    """A field that may be the SOC, what a bit of it is, and what a bit of the current is then."""

    charge: charge.Charge
    scale: float
    amperes: float
    cost: float  # natural logarithm of the odds against it


class Flow(NamedTuple):
    """What is known of the current and of the SOC."""

    sag: current.Sag
    zero: float  # the count at which no current flows
    round_zero: bool
    ways: tuple[Way, ...]  # the likeliest first; none where no field follows the integral
    capacity_Ah: float  # NaN where it is not known

    @property
    def amperes(self) -> float:
        """What a bit of the current is most likely."""
        return self.ways[0].amperes if self.ways else next(iter(current.SCALES))

    def contradicted(self) -> bool:
        """Whether no way is likely, as where none gives the capacity that is known."""
        return not self.ways or self.ways[0].cost > CONTRADICTED

    def sure_of_amperes(self) -> float:
        """The share of all ways in which a bit of the current is that."""
        if not self.ways:
            return current.SCALES[self.amperes] / sum(current.SCALES.values())
        return share(self.ways, [abs(way.amperes / self.amperes - 1.0) < 1e-6 for way in self.ways])

    def sure_of_field(self) -> float:
        """The share of all ways in which the SOC is this field."""
        best = self.ways[0].charge.unit.field
        return share(self.ways, [overlap(way.charge.unit.field, best) for way in self.ways])

    def sure_of_charge(self) -> float:
        """The share of all ways in which the SOC is this field at this scale."""
        best = self.ways[0]
        same = [way.scale == best.scale and overlap(way.charge.unit.field, best.charge.unit.field) for way in self.ways]
        return share(self.ways, same)


def share(ways: Sequence[Way], chosen: Sequence[bool]) -> float:
    """The share of the odds that some ways have, and something else beside them all."""
    odds = np.exp(-np.array([way.cost for way in ways]))
    return float(odds[np.array(chosen)].sum() / (odds.sum() + SOMETHING_ELSE))


def flow_of(
    sag: current.Sag, charges: Sequence[charge.Charge], clock_s: Array, cell_V: float, capacity_Ah: float, near: Field
) -> Flow:
    """Zero and scale of a current, and the SOC that goes with them; `near` is the field of the voltage."""
    if not charges:
        zero = 0.0 if sag.unit.field.signed else current.usual_zero(sag)
        return Flow(sag, float(np.nan_to_num(zero)), bool(np.isfinite(zero)), (), capacity_Ah)
    flown = charge.integral(sag.raw, clock_s)
    zero, round_zero = zero_of(sag, charges[0], flown, clock_s)
    wide = float(np.abs(sag.unit.raw - zero).max())
    found = []
    for one in charges:
        if one.fit < charges[0].fit - charge.SAME_FIT:
            continue
        _, raw_s, doubt = charge.from_zero(one, flown, clock_s, zero)
        for scale, cost in charge.scales(one, cell_V):
            soc_cost = cost + against(one.unit.field, near)
            found += [
                Way(one, scale, amperes, soc_cost + flow_cost(amperes, raw_s / scale, wide, capacity_Ah, doubt))
                for amperes in current.SCALES
            ]
    return Flow(sag, zero, round_zero, tuple(sorted(found, key=lambda way: way.cost)), capacity_Ah)


def zero_of(sag: current.Sag, best: charge.Charge, flown: Array, clock_s: Array) -> tuple[float, bool]:
    """The count at which the SOC stands still, and whether it is a round one.

    Of round ones that fit as well, one at which the field often rests, else the most usual.
    """
    slack = max(ZERO_FIT, charge.MOST_LEFT / float(np.nanvar(best.raw)))
    fits = {zero: charge.from_zero(best, flown, clock_s, zero)[0] for zero in current.zeros(sag)}
    if not fits or max(fits.values()) <= best.fit - slack:
        return float(np.round(sag.sign * best.zero)), False
    as_well = [zero for zero, fit in fits.items() if fit > max(fits.values()) - max(SAME_ZERO, AS_WELL * slack)]
    return min(as_well, key=lambda zero: not current.rests_at(sag, zero)), True


def against(field: Field, near: Field) -> float:
    """What counts against the place of a SOC: another message, and still more another byte order than the voltage's."""
    return ELSEWHERE * (field.stream != near.stream) + OTHER_ORDER * (
        field.motorola != near.motorola and field.bits > 8
    )


def flow_cost(amperes: float, raw_s_per_soc: float, wide: float, capacity_Ah: float, doubt: float) -> float:
    """What counts against a scale of the current: how rare it is, and the capacity that it makes."""
    cost = -float(np.log(current.SCALES[amperes]))
    made_Ah = raw_s_per_soc * amperes / 3600.0
    if np.isfinite(capacity_Ah):
        return cost + 0.5 * float(np.log(made_Ah / capacity_Ah) / np.hypot(KNOWN_CAPACITY, doubt)) ** 2
    usual = LEAST_AH <= made_Ah <= MOST_AH and wide * amperes <= 2.0 * MOST_RATE_PER_H * made_Ah
    return cost + UNUSUAL_CAPACITY * (not usual)
