"""Logs of one cell, as laboratories deliver them."""

from __future__ import annotations

from typing import NamedTuple

from packhorse.pack.words import Array


class CellLog(NamedTuple):
    """What a tester measured of one cell, in order of time. Positive current discharges; NaN is not measured."""

    name: str
    time_s: Array  # (times,)
    current_A: Array
    cell_V: Array
    cell_degC: Array
