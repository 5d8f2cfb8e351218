"""Which group of fields is the cells, and the sum of them that some field is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from packhorse.lab.discover import cells, clock, voltage
from packhorse.lab.discover.words import Field, Unit, positions
from packhorse.pack.words import Array

MOST_GROUPS, NOT_OFF, RARER = 6, 50.0, 0.8
MOST_V = 1500.0
"""The highest voltage of class B (ISO 6469-3)."""
SUM_FITS, AS_WELL, OTHER_NUMBER = 0.75, 0.05, 1.6
"""How alike a sum and its field must be; how near another comes to that; how many times more cells count as others."""


class Heard(NamedTuple):
    """Every unit of a bus, on one clock."""

    units: tuple[Unit, ...]
    series: Array  # (units, times)
    clock_s: Array
    origin_s: float
    senders: tuple[int, ...] = ()  # of each stream, if it spoke J1939; -1 of one that cannot


class Choice(NamedTuple):
    """The cells, and what follows from them."""

    group: cells.Cells
    packs: tuple[voltage.Pack, ...]  # fields that are their sum, the likeliest first
    rivals: bool  # whether many more or many fewer fields may be the cells as well
    senders: int  # that tell as many of the cells each; 1 where that is not so
    strings: int  # side by side, so many that the cells in series give a voltage that trucks have

    @property
    def total_V(self) -> Array:
        """The sum of the cells of a string."""
        return total_of(self.group, self.strings)

    @property
    def volts(self) -> Array:
        """The voltage of the pack at each time: a field that tells it, else the sum of the cells."""
        return self.packs[0].volts if self.told else self.total_V

    @property
    def told(self) -> bool:
        """Whether a field tells the voltage of the pack better than the sum of its cells does."""
        return bool(self.packs) and self.packs[0].alike > voltage_alike(self.total_V)

    @property
    def beside(self) -> Field:
        """The field beside which current and SOC are likely."""
        return self.packs[0].unit.field if self.packs else self.group.units[0].field


Summed = tuple[cells.Cells, tuple[voltage.Pack, ...]]


def chosen(heard: Heard) -> Choice | None:
    """The group that tells most; another number of its fields is preferred where the sum fits better so."""
    groups = [(one, tuple(sums(heard, one))) for one in likely(heard)]
    if not groups:
        return None
    most = max(groups, key=lambda one: worth(*one))
    better = [one for one in groups if are_rivals(one, most) and fits_better(one[1][0], most[1][0])]
    best = max(better, key=lambda one: sum_fits(one[1][0]), default=most)
    rivals = [one for one in groups if are_rivals(one, best) and not fits_better(best[1][0], one[1][0])]
    return Choice(*best, bool(rivals), senders_of(heard, best[0]), strings_of(heard, best[0]))


def senders_of(heard: Heard, group: cells.Cells) -> int:
    """How many nodes tell the cells, if each tells as many; else 1."""
    told = Counter(heard.senders[unit.field.stream] for unit in group.units) if heard.senders else Counter([-1])
    return len(told) if -1 not in told and len(set(told.values())) == 1 else 1


def strings_of(heard: Heard, group: cells.Cells) -> int:
    """Strings side by side: 1, or the senders where all cells in series would be more than a vehicle may have."""
    return senders_of(heard, group) if too_much(group, 1) else 1


def too_much(group: cells.Cells, strings: int) -> bool:
    """Whether the cells in series give more volts than a vehicle may have."""
    return float(np.nanmedian(total_of(group, strings))) > MOST_V


def total_of(group: cells.Cells, strings: int) -> Array:
    """The sum of the cells of one of so many strings."""
    total: Array = group.volts.sum(axis=0) / strings
    return total


def are_rivals(one: Summed, other: Summed) -> bool:
    """Whether two groups share fields but hold very different numbers of them, and the sums of both are fields."""
    if not (one[1] and other[1] and min(one[1][0].alike, other[1][0].alike) > SUM_FITS):
        return False
    fewer, more = sorted((len(one[0].units), len(other[0].units)))
    shared = {unit.field for unit in one[0].units} & {unit.field for unit in other[0].units}
    return bool(shared) and more > OTHER_NUMBER * fewer


def fits_better(one: voltage.Pack, other: voltage.Pack) -> bool:
    """Whether a field is a sum clearly better than another is, or as well and at a more usual scale."""
    more = sum_fits(one) - sum_fits(other)
    return more > AS_WELL or (more > -AS_WELL and one.rank < other.rank)


def sum_fits(one: voltage.Pack) -> float:
    """How well a field is the sum of cells: 1 at best."""
    return one.alike - NOT_OFF * one.off_share


def likely(heard: Heard) -> list[cells.Cells]:
    """The groups that may be the cells, each also without the messages that hold few of them."""
    groups = cells.find(heard.units, heard.clock_s, heard.origin_s)[:MOST_GROUPS]
    return [variant for group in groups for variant in cells.variants(group)]


def sums(heard: Heard, group: cells.Cells) -> list[voltage.Pack]:
    """Fields, none of the cells among them, that are the sum of a group."""
    others = free(heard, [unit.field for unit in group.units])
    lag = round(clock.period_s(group.units) / float(heard.clock_s[1] - heard.clock_s[0]))
    motorola = group.units[0].field.motorola
    total_V = total_of(group, strings_of(heard, group))
    return voltage.find([heard.units[k] for k in others], heard.series[others], total_V, lag, motorola)


def worth(group: cells.Cells, packs: Sequence[voltage.Pack]) -> float:
    """How much a group tells, the more so if its sum is a field."""
    bonus = 1.0 + (RARER ** packs[0].rank * sum_fits(packs[0]) if packs else 0.0)
    return len(group.units) * cells.WORTH[group.units[0].field.bits] * bonus


def voltage_alike(total_V: Array) -> float:
    """Below this likeness the sum itself is the better voltage to look for sag in."""
    return 0.5 if voltage.moves(total_V) else 2.0


def free(heard: Heard, taken: Sequence[Field]) -> list[int]:
    """Units that share no bit with these fields."""
    bits: dict[tuple[int, int], set[int]] = {}
    for field in taken:
        bits.setdefault((field.stream, field.turn), set()).update(positions(field))
    return [
        k
        for k, unit in enumerate(heard.units)
        if not positions(unit.field) & bits.get((unit.field.stream, unit.field.turn), set())
    ]
