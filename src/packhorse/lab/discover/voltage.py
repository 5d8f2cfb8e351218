"""Pack voltage: a field that is the sum of the cells at a round scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from packhorse.lab.discover.clock import likeness, nearest_round, smooth
from packhorse.lab.discover.words import Unit
from packhorse.pack.words import Array

SCALES = (1.0, 0.5, 0.4, 0.25, 0.2, 0.125, 0.1, 0.0625, 0.05, 0.025, 0.02, 0.015625, 0.01, 0.005, 0.001, 0.0001)
WITHIN, MOVES_SHARE, LEAST_ALIKE = 0.008, 3e-4, 0.7
PREFERRED = {16: 0, 12: 1, 32: 2, 24: 3, 8: 4}


class Pack(NamedTuple):
    """A field that may be the pack's voltage."""

    unit: Unit
    scale: float
    volts: Array  # (times,)
    alike: float  # correlation with the sum of the cells; 0 where that stands still
    off_share: float  # what is left between them, as a share of the voltage


def find(units: Sequence[Unit], series: Array, cells_V: Array, lag: int) -> list[Pack]:
    """Fields that follow the sum of the cells, the closest first; `lag` is how long the cells take, in clock steps."""
    total_V = np.where(np.isfinite(cells_V).all(axis=0), cells_V.sum(axis=0), np.nan)
    found = []
    for unit, sharp in zip(units, series, strict=True):
        raw = smooth(sharp, lag)
        both = np.isfinite(raw) & np.isfinite(total_V) & (raw > 0.0)
        if np.count_nonzero(both) < 0.5 * np.count_nonzero(np.isfinite(total_V)) or np.count_nonzero(both) < 8:
            continue
        scale = nearest_round(float(np.median(total_V[both] / raw[both])), SCALES, WITHIN)
        off = raw * scale - total_V
        if np.isnan(scale) or np.nanmedian(np.abs(off)) > max(WITHIN * float(np.median(total_V[both])), scale):
            continue
        alike = likeness(raw, total_V)
        if moves(total_V) and alike < LEAST_ALIKE:
            continue
        share = float(np.nanmean(np.abs(off)) / np.median(total_V[both]))
        found.append(Pack(unit, scale, sharp * scale, alike, share))
    return sorted(
        found, key=lambda one: (-round(one.alike, 2), round(one.off_share, 3), PREFERRED[one.unit.field.bits])
    )


def order(one: Pack) -> tuple[float, float, int]:
    """What decides between fields that follow the sum."""
    return -round(one.alike, 2), round(one.off_share, 3), PREFERRED[one.unit.field.bits]


def moves(total_V: Array) -> bool:
    """Whether the sum of the cells changes enough to be followed."""
    return bool(np.nanstd(total_V) > MOVES_SHARE * np.nanmedian(total_V)) if np.isfinite(total_V).any() else False
