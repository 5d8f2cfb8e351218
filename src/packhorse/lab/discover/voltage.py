"""Pack voltage: a field that is the sum of the cells at a round scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from packhorse.lab.discover.clock import likeness, nearest_round, smooth
from packhorse.lab.discover.words import Unit
from packhorse.pack.words import Array

USUAL, LESS_USUAL, RARE = (1.0, 0.1, 0.01, 0.001), (0.5, 0.2, 0.05, 0.025, 0.02), (0.25, 0.125, 0.0625, 0.005)
SCALES = (*USUAL, *LESS_USUAL, *RARE)
"""Volts for each bit. The more of them are tried, the more fields fit one by chance."""
WITHIN, WITHIN_IF_RARE, MOST_OFF = 0.008, 0.003, 0.02
"""How far a field may be from the sum, as a share of it: mostly, mostly at a rare scale, and on average."""
MOVES_SHARE, LEAST_ALIKE, SLOWLY = 3e-4, 0.7, 3
PREFERRED = {16: 0, 12: 1, 32: 2, 24: 3, 8: 4}
UNUSUAL, OTHER_WIDTH, OTHER_ORDER = 0.03, 0.01, 0.02
"""What an unusual scale, width or byte order counts against the likeness of two fields."""


class Pack(NamedTuple):
    """A field that may be the pack's voltage."""

    unit: Unit
    scale: float
    volts: Array  # (times,)
    alike: float  # correlation with the sum of the cells; 0 where that stands still
    off_share: float  # what is left between them, as a share of the voltage
    rank: int  # 0: a usual scale, 2: a rare one


def find(units: Sequence[Unit], series: Array, total_V: Array, lag: int, motorola: bool) -> list[Pack]:
    """Fields that follow the sum of the cells, the likeliest first.

    `lag` is how long the cells take, in steps of the clock; `motorola` the byte order that they have.
    """
    found = []
    for unit, sharp in zip(units, series, strict=True):
        raw = smooth(sharp, lag)
        both = np.isfinite(raw) & np.isfinite(total_V) & (raw > 0.0)
        if np.count_nonzero(both) < 0.5 * np.count_nonzero(np.isfinite(total_V)) or np.count_nonzero(both) < 8:
            continue
        scale = nearest_round(float(np.median(total_V[both] / raw[both])), SCALES, WITHIN)
        off = raw * scale - total_V
        within = WITHIN_IF_RARE if scale in RARE else WITHIN
        if np.isnan(scale) or np.nanmedian(np.abs(off)) > max(within * float(np.median(total_V[both])), scale):
            continue
        alike = max(likeness(raw, total_V), likeness(smooth(raw, SLOWLY * lag), smooth(total_V, SLOWLY * lag)))
        if moves(total_V) and alike < LEAST_ALIKE:
            continue
        share = float(np.nanmean(np.abs(off)) / np.median(total_V[both]))
        if share > MOST_OFF:
            continue
        rank = 0 if scale in USUAL else 1 if scale in LESS_USUAL else 2
        found.append(Pack(unit, scale, sharp * scale, alike, share, rank))
    return sorted(found, key=lambda one: -likely(one, motorola))


def likely(one: Pack, motorola: bool) -> float:
    """What decides between fields that follow the sum."""
    field = one.unit.field
    against = UNUSUAL * one.rank + OTHER_WIDTH * PREFERRED[field.bits] + one.off_share
    return round(one.alike, 2) - against - OTHER_ORDER * (field.motorola != motorola and field.bits > 8)


def moves(total_V: Array) -> bool:
    """Whether the sum of the cells changes enough to be followed."""
    return bool(np.nanstd(total_V) > MOVES_SHARE * np.nanmedian(total_V)) if np.isfinite(total_V).any() else False
