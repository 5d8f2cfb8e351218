"""Cell voltages: many like fields between 2 and 4.5 V that lie close together and move together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.lab.discover.clock import all_held, likeness, middle_of, period_s, smooth
from packhorse.lab.discover.words import Unit, positions
from packhorse.pack.words import Array

SCALES = {8: (0.02,), 12: (0.001, 0.002), 16: (0.0001, 0.001, 0.0005, 0.00015259, 0.01)}
"""Volts for each bit that are tried, by width."""
LOW_V, HIGH_V, FEWEST = 2.0, 4.5, 4
WORTH = {8: 0.3, 12: 0.85, 16: 1.0}
"""A field counts the less the narrower it is: it may be the upper part of a wider one."""
SPREAD_V, MOST_STEP_V = 0.25, 0.15
STRANGER, MOST_STRANGERS = 0.05, 3
FEWEST_IN_ROW, FEWEST_AT_REST, FEWEST_VALUES = 3, 8, 3
"""What never moves is told by number and order alone: so many in a message, in all, and of different values."""
MOVES_BITS, ALIKE, LEAST_ALIKE, CALM_SHARE = 4.0, 0.6, 0.15, 0.3
EXTREME_SHARE = 0.95


class Cells(NamedTuple):
    """A group of cell voltages."""

    units: tuple[Unit, ...]
    scale: float
    volts: Array  # (cells, times)
    alike: float  # median correlation with their middle; NaN where they stand still
    extremes: tuple[Unit, ...]  # highest, lowest and mean cell, told in messages of their own


def find(units: Sequence[Unit], clock_s: Array, origin_s: float) -> list[Cells]:
    """Groups that may be cells, the most likely first."""
    groups = []
    for bits, scales in SCALES.items():
        for motorola in (False, True):
            same = [u for u in units if u.field.bits == bits and (u.field.motorola == motorola or bits == 8)]
            if bits == 8 and motorola:
                continue
            for scale in scales:
                close = nearby([u for u in same if not u.field.signed and is_cell_like(u.raw * scale)], scale)
                if len(close) >= FEWEST:
                    groups += together(close, scale, clock_s, origin_s)
    return sorted(groups, key=lambda group: len(group.units) * WORTH[group.units[0].field.bits], reverse=True)


def is_cell_like(volts: Array) -> bool:
    """Whether a voltage is one that a cell can have, and moves as a cell does."""
    low, middle, high = np.quantile(volts, (0.02, 0.5, 0.98))
    calm = np.mean(np.abs(np.diff(volts))) < MOST_STEP_V if volts.size > 1 else True
    return bool(LOW_V <= low <= middle <= high <= HIGH_V and calm)


def nearby(units: Sequence[Unit], scale: float) -> list[Unit]:
    """The most units whose medians lie within the spread of a battery."""
    if len(units) < FEWEST:
        return []
    middle = np.array([np.median(u.raw) for u in units]) * scale
    order = np.argsort(middle)
    upto = np.searchsorted(middle[order], middle[order] + SPREAD_V, side="right")
    first = int(np.argmax(upto - np.arange(order.size)))
    return [units[k] for k in sorted(order[first : upto[first]])]


def together(units: list[Unit], scale: float, clock_s: Array, origin_s: float) -> list[Cells]:
    """The units that move with their middle, without those that overlap; nothing where too few are left."""
    volts = all_held(units, clock_s, origin_s) * scale
    middle = middle_of(volts)
    if not np.isfinite(middle).any():
        return []
    moves = np.nanstd(middle) > MOVES_BITS * scale
    alike = np.array([likeness(one, middle) for one in volts]) if moves else np.full(len(units), np.nan)
    chosen = [k for k in range(len(units)) if not moves or alike[k] >= ALIKE]
    rows = {row_of(units[k]) for k in chosen}
    chosen += [k for k in range(len(units)) if moves and LEAST_ALIKE <= alike[k] < ALIKE and row_of(units[k]) in rows]
    chosen = apart(units, sorted(chosen), alike)
    calm = calmest(middle, round(period_s(units) / float(clock_s[1] - clock_s[0])))
    extremes = told_apart(units, volts[:, calm], chosen)
    chosen = without_strangers(units, [k for k in chosen if k not in extremes], alike)
    chosen = chosen if moves else in_rows(units, chosen)
    if len(chosen) < FEWEST:
        return []
    if not moves and (len(chosen) < FEWEST_AT_REST or len({float(units[k].raw[0]) for k in chosen}) < FEWEST_VALUES):
        return []
    likely = float(np.median(alike[chosen])) if moves else float("nan")
    told = tuple(units[k] for k in extremes)
    return [Cells(tuple(units[k] for k in chosen), scale, volts[chosen], likely, told)]


def without_strangers(units: Sequence[Unit], chosen: Sequence[int], alike: Array) -> list[int]:
    """The chosen without those that stand alone in their message and follow the others less than these do."""
    count: dict[int, int] = {}
    for k in chosen:
        count[units[k].field.stream] = count.get(units[k].field.stream, 0) + 1
    usual = float(np.median([count[units[k].field.stream] for k in chosen])) if chosen else 0.0
    like = float(np.median(alike[chosen])) if chosen else 0.0
    return [k for k in chosen if 2 * count[units[k].field.stream] > usual or not alike[k] < like - STRANGER]


def in_rows(units: Sequence[Unit], chosen: Sequence[int]) -> list[int]:
    """The chosen that stand in messages with several of them, which is all that tells those that never move."""
    count: dict[int, int] = {}
    for k in chosen:
        count[units[k].field.stream] = count.get(units[k].field.stream, 0) + 1
    return [k for k in chosen if count[units[k].field.stream] >= FEWEST_IN_ROW]


def variants(group: Cells) -> list[Cells]:
    """A group, and the group without one or all of the messages that hold few of its units."""
    stream = np.array([unit.field.stream for unit in group.units])
    names, count = np.unique(stream, return_counts=True)
    few = names[(count <= MOST_STRANGERS) & (count < 0.25 * stream.size)]
    found = [group]
    choices: list[list[int]] = [few.tolist(), *([one] for one in few.tolist())]
    for left_out in choices if 0 < few.size < 0.5 * names.size + 1 else []:
        keep = np.flatnonzero(~np.isin(stream, left_out))
        if FEWEST <= keep.size < stream.size:
            told = tuple(unit for unit in group.units if unit.field.stream in set(left_out))
            units = tuple(group.units[k] for k in keep)
            found.append(group._replace(units=units, volts=group.volts[keep], extremes=(*group.extremes, *told)))
    return found + one_of_each_turn(group)


def one_of_each_turn(group: Cells) -> list[Cells]:
    """The units of a group at each place of a multiplexed message: beside a voltage may stand that without current."""
    place = [unit.field.start if unit.field.turn >= 0 else -1 for unit in group.units]
    found = []
    for start in sorted(set(place) - {-1}):
        keep = [k for k, own in enumerate(place) if own == start]
        if FEWEST <= len(keep) < len(place):
            units = tuple(group.units[k] for k in keep)
            told = tuple(unit for k, unit in enumerate(group.units) if place[k] != start)
            found.append(group._replace(units=units, volts=group.volts[keep], extremes=(*group.extremes, *told)))
    return found


def row_of(unit: Unit) -> tuple[int, int]:
    """Units of one multiplexed place belong together; others stand alone."""
    return (unit.field.stream, unit.field.start) if unit.field.turn >= 0 else (-1, -1)


def calmest(middle: Array, steps: int) -> NDArray[np.int64]:
    """Times at which the cells stood still for as long as all of them take to be told."""
    moved = np.abs(middle - smooth(middle, max(steps, 2)))
    known = np.flatnonzero(np.isfinite(moved))
    return known[moved[known] <= np.quantile(moved[known], CALM_SHARE)] if known.size else known


def apart(units: Sequence[Unit], chosen: Sequence[int], alike: Array) -> list[int]:
    """The most units that do not share bits: in each message the regular row that holds most of them."""
    kept: list[int] = []
    places: dict[tuple[int, int], list[int]] = {}
    for k in chosen:
        places.setdefault((units[k].field.stream, units[k].field.turn), []).append(k)
    for members in places.values():
        found = [row_from(units, members, first) for first in members]
        worth = [(len(row), float(np.nansum(alike[row]))) for row in found]
        kept += found[worth.index(max(worth))]
    order = {k: (units[k].field.stream, units[k].field.turn, min(positions(units[k].field))) for k in kept}
    return sorted(kept, key=order.__getitem__)


def row_from(units: Sequence[Unit], members: Sequence[int], first: int) -> list[int]:
    """Members of a message that do not share bits, a whole number of widths from the first where that is possible."""
    begin = {k: (k != first, _phase(units, first, k), min(positions(units[k].field))) for k in members}
    row: list[int] = []
    taken: set[int] = set()
    for k in sorted(members, key=begin.__getitem__):
        bits = positions(units[k].field)
        if not bits & taken:
            row.append(k)
            taken |= bits
    return row


def _phase(units: Sequence[Unit], first: int, k: int) -> int:
    """Whether a unit lies a whole number of widths from the first."""
    one, other = units[first].field, units[k].field
    return int((min(positions(one)) - min(positions(other))) % one.bits != 0)


def told_apart(units: Sequence[Unit], volts: Array, chosen: Sequence[int]) -> list[int]:
    """Highest, lowest and mean cell among the chosen: in messages that hold nothing else of the group."""
    members: dict[int, list[int]] = {}
    for k in chosen:
        members.setdefault(units[k].field.stream, []).append(k)
    found: list[int] = []
    for few in sorted(members.values(), key=len):
        rest = [k for k in chosen if k not in few and k not in found]
        if len(few) <= 3 and len(rest) >= FEWEST and all(is_extreme(volts[k], volts[rest]) for k in few):
            found += few
    return found


def is_extreme(one: Array, cells: Array) -> bool:
    """Whether a voltage is the highest, lowest or mean of the cells at nearly all times."""
    with np.errstate(all="ignore"):
        known = np.isfinite(one) & np.isfinite(cells).all(axis=0)
        if np.count_nonzero(known) < 8:
            return False
        told = (cells[:, known].max(axis=0), cells[:, known].min(axis=0), cells[:, known].mean(axis=0))
        close = max(3e-3, 0.1 * float(np.std(one[known])))
        return any(float(np.mean(np.abs(one[known] - level) <= close)) >= EXTREME_SHARE for level in told)
