"""Series for the plots: a few thousand points that still show every spike, and pauses as pauses.

Rows are gathered into buckets that never reach across a pause. Each bucket becomes two points, its extremes in the
order in which they come; a band's upper edge keeps the highest value, its lower edge the lowest.
"""

from __future__ import annotations

import base64
from typing import Literal, NamedTuple

import numpy as np

from packhorse.app.report.life import Gap
from packhorse.pack.words import Array, Index

Mode = Literal["span", "high", "low"]
PAUSE_SHARE = 0.004
"""Width of a pause, as a share of the recorded time, where pauses are hidden."""


class Grid(NamedTuple):
    """Common x positions of all plots, and which rows stand behind each point."""

    begin: Index  # (buckets,) first row
    end: Index  # (buckets,) last row
    keep: np.ndarray  # (2 * buckets,) False for the second point of a bucket of one row
    breaks: Index  # positions among the kept points after which a pause follows


def grid(rows: int, gaps: list[Gap], points: int) -> Grid:
    """Buckets for `rows` rows, about `points` points in all."""
    per = max(1, -(-2 * rows // points)) if rows > points else 1
    firsts = [0, *(gap.row + 1 for gap in gaps)]
    lasts = [*(gap.row for gap in gaps), rows - 1]
    begin = np.concatenate([np.arange(a, b + 1, per) for a, b in zip(firsts, lasts, strict=True)])
    end = np.append(begin[1:] - 1, rows - 1)
    keep = np.ones(2 * begin.size, dtype=bool)
    keep[1::2] = end > begin
    after = np.cumsum(keep)[1::2]  # kept points up to and with each bucket
    breaks = after[np.searchsorted(end, [gap.row for gap in gaps])] if gaps else np.empty(0, dtype=np.int64)
    return Grid(begin, end, keep, np.asarray(breaks, dtype=np.int64))


def thin(on: Grid, values: Array, mode: Mode = "span") -> Array:
    """A column of the results on the grid, NaN at every pause."""
    low, high = np.fmin.reduceat(values, on.begin), np.fmax.reduceat(values, on.begin)
    if mode == "high":
        first, second = high, high
    elif mode == "low":
        first, second = low, low
    else:
        falls = values[on.end] < values[on.begin]
        first, second = np.where(falls, high, low), np.where(falls, low, high)
    both = np.column_stack([first, second]).ravel()[on.keep]
    out: Array = np.insert(both, on.breaks, np.nan)
    return out


def clock(on: Grid, time_s: Array) -> tuple[Array, Array]:
    """Times of all points since the first row, as recorded and with pauses shrunk."""
    begin = time_s - time_s[0]
    both = np.column_stack([begin[on.begin], begin[on.end]]).ravel()[on.keep]
    real = np.insert(both, on.breaks, both[on.breaks - 1] + 1e-3)
    step = np.diff(real, prepend=real[0])
    pause = on.breaks + np.arange(on.breaks.size) + 1  # the point after each pause
    recorded = float(step.sum() - step[pause].sum())
    step[pause] = max(recorded, 1.0) * PAUSE_SHARE
    return real, np.cumsum(step)


def packed(values: Array, kind: str = "<f4") -> str:
    """Numbers as base64 of little-endian floats."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=kind).tobytes()).decode("ascii")
