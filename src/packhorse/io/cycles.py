"""Duty cycles from CSV: speed and grade over time, as measured or as published."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from packhorse.io.errors import ReadError
from packhorse.io.mapping import nearest
from packhorse.io.tables import Table, numbers, open_table
from packhorse.pack.words import Array
from packhorse.twin.words import Cycle

NAMES: dict[str, dict[str, float]] = {
    "time": {"time_s": 1.0, "cycSecs": 1.0, "time_min": 60.0},
    "speed": {"speed_m_per_s": 1.0, "speed_km_per_h": 1 / 3.6, "speed_mph": 0.44704, "cycMps": 1.0},
    "grade": {"grade": 1.0, "grade_percent": 0.01, "cycGrade": 1.0},
    "plugged": {"plugged": 1.0},
}
"""Columns by what they hold, with their factor into ours; cyc... are the names of the FASTSim and T3CO cycles."""
FASTEST_M_PER_S = 60.0
STEEPEST = 0.4


def read_cycle(path: Path) -> Cycle:
    """A cycle from a file with a time and a speed column, a grade and a `plugged` column where there are any.

    Raises ReadError with one line for the user.
    """
    table = open_table(path)
    time_s, speed = _column(table, "time"), _column(table, "speed")
    grade, plugged = _column(table, "grade"), _column(table, "plugged")
    if time_s is None or speed is None:
        what = "time" if time_s is None else "speed"
        wanted = list(NAMES[what])
        raise ReadError(
            f"{path}: no column for {what} among {', '.join(table.columns[:6])}; call it {' or '.join(wanted[:2])} "
            f"({nearest(wanted[0], table.columns)})"
        )
    _refuse(table, "time", ~np.isfinite(time_s), "is not known; fill it in")
    _refuse(table, "time", np.diff(time_s, prepend=-np.inf) <= 0.0, "does not rise; sort the rows, drop doubles")
    _refuse(table, "speed", ~np.isfinite(speed), "is not known; fill it in")
    _refuse(table, "speed", speed < 0.0, "is negative; trucks of this twin do not reverse, write 0 or more")
    _refuse(table, "speed", speed > FASTEST_M_PER_S, f"is above {FASTEST_M_PER_S:g} m/s; check its unit")
    if time_s.size < 2:
        raise ReadError(f"{path}: holds one row; a cycle needs at least two")
    still = np.zeros(time_s.size)
    grade, plugged = still if grade is None else grade, still if plugged is None else plugged
    wrong = ~(np.abs(grade) <= STEEPEST)
    _refuse(
        table, "grade", wrong, f"is not between -{STEEPEST:g} and {STEEPEST:g}; give it as a fraction, or grade_percent"
    )
    _refuse(table, "plugged", ~np.isin(plugged, (0.0, 1.0)), "must be 0 or 1")
    _refuse(table, "plugged", (plugged > 0.0) & (speed > 0.0), "is 1 while the truck moves; write 0 there")
    return Cycle(path.stem, time_s - time_s[0], speed, grade, plugged)


def _column(table: Table, what: str) -> Array | None:
    """The column that holds something, in our unit; None where there is none."""
    for name, factor in NAMES[what].items():
        if name in table.columns:
            block = next(table.blocks([name], table.rows))
            values: Array = numbers(table, block, [name], 0)[name].to_numpy().astype(np.float64)
            return np.ascontiguousarray(values * factor)
    return None


def _refuse(table: Table, what: str, wrong: np.ndarray, why: str) -> None:
    """Say where the first wrong row is, if there is one."""
    rows = np.flatnonzero(wrong)
    if rows.size > 0:
        raise ReadError(f"{table.path}: {what} in {table.line(int(rows[0]))} {why}")
