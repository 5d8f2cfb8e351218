"""What identification learns from: logs of one cell, sorted by the kind of test, thinned and grouped by temperature."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from packhorse.cell.physics import SECONDS_PER_HOUR
from packhorse.estimation.temperature import ROOM_DEGC
from packhorse.io.cell_logs import CellLog
from packhorse.pack.words import DEGC_STEP, Array

Taken = TypeVar("Taken")
THIN_S = 1.0
"""Rows nearer than this are thinned: what happens within a second belongs to R0 at the rates of a vehicle's log."""
SAME_K = 3.5
"""Logs whose typical temperatures differ by less were taken at one temperature of the chamber."""
HEARD_S = 120.0
"""A longer gap between two rows is a gap in the log: nothing is said of the current in it."""
STRAIGHT_V, STRAIGHT_ROWS, STRAIGHT_RISE_V = 8e-5, 600, 1e-3
"""No cell at rest goes that far on a line that straight: such rows were drawn over a hole in the log, with a current
that is drawn as well."""
FEWEST_ROWS = 30
"""A piece between two gaps with fewer rows says nothing."""


def typical_degC(log: CellLog) -> float:
    """Median temperature of a log; room where it holds none."""
    known = log.cell_degC[np.isfinite(log.cell_degC)]
    return float(np.median(known)) if known.size else ROOM_DEGC


def clusters(logs: list[CellLog]) -> list[float]:
    """Temperatures at which the logs were taken, rising: the median of each group, on the grid of the core's tables.

    On the grid, what is linear between two of them here is the same line in the core.
    """
    groups = alike(logs, typical_degC)
    medians = (float(np.median([typical_degC(log) for log in group])) for group in groups)
    return sorted({DEGC_STEP * round(median / DEGC_STEP) for median in medians})


def alike(some: Iterable[Taken], degC_of: Callable[[Taken], float]) -> list[list[Taken]]:
    """Whatever was taken at one temperature, together; the groups by rising temperature."""
    groups: list[list[Taken]] = []
    for one in sorted(some, key=degC_of):
        if groups and degC_of(one) - degC_of(groups[-1][0]) < SAME_K:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def nearest(degC: float, centres: Array) -> int:
    """Which of the temperatures is nearest."""
    return int(np.argmin(np.abs(centres - degC)))


def thinned(log: CellLog) -> CellLog:
    """The log at one row for each `THIN_S` at most, without rows that lack current or voltage.

    The current of a row kept is the mean since the row before, so that no charge is lost.
    """
    heard = np.isfinite(log.current_A) & np.isfinite(log.cell_V) & np.isfinite(log.time_s) & ~drawn(log.cell_V)
    t, i, v = log.time_s[heard], log.current_A[heard], log.cell_V[heard]
    degC = np.where(np.isfinite(log.cell_degC), log.cell_degC, typical_degC(log))[heard]
    slot = np.floor((t - t[0]) / THIN_S + 1e-6)
    last = np.append(np.nonzero(np.diff(slot) > 0)[0], t.size - 1)
    dt = np.diff(t, prepend=t[0])
    moved = np.cumsum(np.where(dt <= HEARD_S, dt, 0.0) * i)
    spent = np.cumsum(np.where(dt <= HEARD_S, dt, 0.0))
    span = np.diff(spent[last], prepend=0.0)
    mean_A = np.where(span > 0.0, np.diff(moved[last], prepend=0.0) / np.maximum(span, 1e-9), i[last])
    return CellLog(log.name, t[last], mean_A, v[last], degC[last])


def drawn(cell_V: Array) -> NDArray[np.bool_]:
    """Rows that somebody drew over a hole: a long straight line that is not level."""
    window, step = STRAIGHT_ROWS, STRAIGHT_ROWS // 6
    hole = np.zeros(cell_V.size, dtype=bool)
    for first in range(0, cell_V.size - window, step):
        here = cell_V[first : first + window]
        hole[first : first + window] |= straight(here) and abs(here[-1] - here[0]) > STRAIGHT_RISE_V / 4
    edges = np.flatnonzero(np.diff(np.concatenate([[0], hole.astype(np.int8), [0]])))
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        here = cell_V[first:end]
        hole[first:end] = straight(here) and abs(here[-1] - here[0]) > STRAIGHT_RISE_V
    return hole


def straight(cell_V: Array) -> bool:
    """Whether voltages lie on one line but for the rounding of an export."""
    line = np.linspace(cell_V[0], cell_V[-1], cell_V.size)
    return float(np.max(np.abs(cell_V - line))) < STRAIGHT_V


def split(log: CellLog) -> list[CellLog]:
    """The log in pieces between its gaps: what flowed in a gap is not known, so each piece has a start of its own."""
    cuts = np.flatnonzero(np.diff(log.time_s) > HEARD_S) + 1
    ends = [0, *cuts.tolist(), log.time_s.size]
    parts = [CellLog(log.name, *(column[a:b] for column in log[1:])) for a, b in pairwise(ends)]
    return [part for part in parts if part.time_s.size >= FEWEST_ROWS]


def steps_s(log: CellLog) -> Array:
    """Time since the row before; 0 at the first row and across gaps."""
    dt = np.diff(log.time_s, prepend=log.time_s[0])
    return np.where(dt <= HEARD_S, dt, 0.0)


def moved_Ah(log: CellLog) -> Array:
    """Charge taken out since the first row."""
    return np.cumsum(steps_s(log) * log.current_A) / SECONDS_PER_HOUR
