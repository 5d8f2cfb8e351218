"""Which group of fields is the cells, and the sum of them that some field is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from packhorse.lab.discover import cells, clock, voltage
from packhorse.lab.discover.words import Field, Unit, positions
from packhorse.pack.words import Array

MOST_GROUPS, NOT_OFF, RARER = 6, 50.0, 0.8
SUM_FITS, AS_WELL, OTHER_NUMBER = 0.9, 0.005, 1.6
"""How alike a sum and its field must be; how near another comes to that; how many times more cells count as others."""


class Heard(NamedTuple):
    """Every unit of a bus, on one clock."""

    units: tuple[Unit, ...]
    series: Array  # (units, times)
    clock_s: Array
    origin_s: float


class Choice(NamedTuple):
    """The cells, and what follows from them."""

    group: cells.Cells
    packs: tuple[voltage.Pack, ...]  # fields that are their sum, the likeliest first
    rivals: bool  # whether many more or many fewer fields may be the cells as well

    @property
    def volts(self) -> Array:
        """The voltage of the pack at each time: a field that tells it, else the sum of the cells."""
        total_V = self.group.volts.sum(axis=0)
        told = self.packs and self.packs[0].alike > voltage_alike(total_V)
        return self.packs[0].volts if told else total_V

    @property
    def beside(self) -> Field:
        """The field beside which current and SOC are likely."""
        return self.packs[0].unit.field if self.packs else self.group.units[0].field


Summed = tuple[cells.Cells, tuple[voltage.Pack, ...]]


def chosen(heard: Heard) -> Choice | None:
    """The group that tells most; one of another size is preferred where it makes the scale of the sum more usual."""
    groups = [(one, tuple(sums(heard, one))) for one in likely(heard)]
    if not groups:
        return None
    best = max(groups, key=lambda one: worth(*one))
    rivals = [one for one in groups if is_rival(one, best)]
    rarer = best[1][0].rank if best[1] else 0
    group, packs = max((one for one in rivals if one[1][0].rank < rarer), key=lambda one: worth(*one), default=best)
    return Choice(group, packs, bool(rivals))


def is_rival(one: Summed, best: Summed) -> bool:
    """Whether a group shares fields with the best and has another number of them, and its sum is a field as well."""
    if not one[1] or not best[1] or one[1][0].alike < max(SUM_FITS, best[1][0].alike - AS_WELL):
        return False
    sizes = sorted((len(one[0].units), len(best[0].units)))
    shared = {unit.field for unit in one[0].units} & {unit.field for unit in best[0].units}
    return bool(shared) and sizes[1] > OTHER_NUMBER * sizes[0]


def likely(heard: Heard) -> list[cells.Cells]:
    """The groups that may be the cells, each also without the messages that hold few of them."""
    groups = cells.find(heard.units, heard.clock_s, heard.origin_s)[:MOST_GROUPS]
    return [variant for group in groups for variant in cells.variants(group)]


def sums(heard: Heard, group: cells.Cells) -> list[voltage.Pack]:
    """Fields, none of the cells among them, that are the sum of a group."""
    others = free(heard, [unit.field for unit in group.units])
    lag = round(clock.period_s(group.units) / float(heard.clock_s[1] - heard.clock_s[0]))
    motorola = group.units[0].field.motorola
    return voltage.find([heard.units[k] for k in others], heard.series[others], group.volts, lag, motorola)


def worth(group: cells.Cells, packs: Sequence[voltage.Pack]) -> float:
    """How much a group tells, the more so if its sum is a field."""
    bonus = 1.0 + (RARER ** packs[0].rank * (packs[0].alike - NOT_OFF * packs[0].off_share) if packs else 0.0)
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
