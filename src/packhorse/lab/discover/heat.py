"""Temperatures: slow fields that lie close together at an offset that is usual. Physics says little about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from packhorse.lab.discover.clock import likeness, middle_of
from packhorse.lab.discover.words import Unit, positions
from packhorse.pack.words import Array

CODES = {8: ((1.0, -40.0), (1.0, -50.0), (0.5, -40.0), (1.0, 0.0)), 16: ((0.1, 0.0), (0.1, -40.0), (0.03125, -273.0))}
"""Scale and offset that are met, by width."""
COLD_DEGC, HOT_DEGC, USUAL_DEGC, UNUSUAL_K = -40.0, 80.0, 25.0, 25.0
SPREAD_K, FEWEST, FEWEST_MOVE, MOST_STEP_K = 12.0, 3, 2, 1.5


class Probes(NamedTuple):
    """A group of fields that may be temperatures."""

    units: tuple[Unit, ...]
    scale: float
    offset: float
    degC: Array  # (probes, times)
    warmed: float  # correlation of their middle with the heat so far; 0 where neither moves


def find(units: Sequence[Unit], series: Array, current: Array) -> list[Probes]:
    """Groups that may be temperatures, the largest first."""
    heat = np.cumsum(np.nan_to_num(current) ** 2)
    found = []
    for bits, codes in CODES.items():
        for motorola in (False, True) if bits > 8 else (False,):
            same = [k for k, u in enumerate(units) if u.field.bits == bits and u.field.motorola == motorola]
            for scale, offset in codes:
                fits = [k for k in same if is_probe_like(units[k].raw * scale + offset)]
                chosen = alone(units, close(units, fits, scale))
                if len(chosen) >= FEWEST:
                    degC = series[chosen] * scale + offset
                    warmed = likeness(middle_of(degC), heat)
                    found.append(Probes(tuple(units[k] for k in chosen), scale, offset, degC, warmed))
    return sorted(found, key=lambda one: (unusual(one), -len(one.units)))


def is_probe_like(degC: Array) -> bool:
    """Whether readings are those of a probe in a battery: slow, and neither too cold nor too hot."""
    low, high = np.quantile(degC, (0.01, 0.99))
    step = np.abs(np.diff(degC))
    slow = float(np.mean(step)) < 0.25 and float(np.quantile(step, 0.99)) <= MOST_STEP_K
    return bool(COLD_DEGC < low <= high < HOT_DEGC and slow)


def close(units: Sequence[Unit], fits: Sequence[int], scale: float) -> list[int]:
    """The most of these whose medians lie within the spread of a battery."""
    if not fits:
        return []
    middle = np.array([np.median(units[k].raw) for k in fits]) * scale
    order = np.argsort(middle)
    upto = np.searchsorted(middle[order], middle[order] + SPREAD_K, side="right")
    first = int(np.argmax(upto - np.arange(order.size)))
    return sorted(fits[k] for k in order[first : upto[first]])


def alone(units: Sequence[Unit], chosen: Sequence[int]) -> list[int]:
    """Those in messages, or multiplexed rows of one, in which several of them move; none that share bits."""
    count: dict[int, int] = {}
    for k in chosen:
        count[units[k].field.stream] = count.get(units[k].field.stream, 0) + int(np.ptp(units[k].raw) > 0.0)
    taken: dict[tuple[int, int], set[int]] = {}
    kept = []
    for k in chosen:
        bits = positions(units[k].field)
        place = taken.setdefault((units[k].field.stream, units[k].field.turn), set())
        if count[units[k].field.stream] >= FEWEST_MOVE and not bits & place:
            place |= bits
            kept.append(k)
    return kept


def unusual(probes: Probes) -> float:
    """How far from usual temperatures a group lies, in steps that one would wonder about."""
    return float(abs(np.nanmedian(probes.degC) - USUAL_DEGC)) // UNUSUAL_K
