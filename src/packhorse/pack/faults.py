"""The fault table: read from `faults.toml`, changed by a pack's own rows, compiled to arrays.

Every threshold, time, severity and reaction of protection stands in that one file; documents and tests are made
from it.
"""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from packhorse.pack.words import Faults, Reaction, Severity, Signal

TABLE = Path(__file__).parent / "faults.toml"

PLAUSIBLE = {
    Signal.CELL_MAX_V: (0.5, 5.0, "V, not mV"),
    Signal.CELL_MIN_V: (0.5, 5.0, "V, not mV"),
    Signal.CELL_SPREAD_V: (0.0, 2.0, "V, not mV"),
    Signal.DISCHARGE_SHARE: (0.0, 10.0, "a fraction, not percent"),
    Signal.CHARGE_SHARE: (0.0, 10.0, "a fraction, not percent"),
    Signal.DISCHARGE_MAX_DEGC: (-60.0, 120.0, "degC, not K"),
    Signal.DISCHARGE_MIN_DEGC: (-60.0, 120.0, "degC, not K"),
    Signal.CHARGE_MAX_DEGC: (-60.0, 120.0, "degC, not K"),
    Signal.CHARGE_MIN_DEGC: (-60.0, 120.0, "degC, not K"),
    Signal.COOLANT_MAX_DEGC: (-60.0, 120.0, "degC, not K"),
}
"""Where a pack may put its own threshold, and the slip that others usually are."""


class FaultRow(NamedTuple):
    """One fault as the table describes it."""

    name: str
    signal: Signal
    direction: str
    limit: str
    offset: float
    debounce_s: float
    clear_offset: float
    clear_s: float
    severity: Severity
    reaction: Reaction
    latched: bool
    meaning: str
    remedy: str


@functools.cache
def fault_rows() -> tuple[FaultRow, ...]:
    """Every fault; its position is its code."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return tuple(_row(name, entry) for name, entry in table.items())


def _row(name: str, entry: Mapping[str, Any]) -> FaultRow:
    values = dict(entry)
    values["signal"] = Signal[values["signal"]]
    values["severity"] = Severity[values["severity"].upper()]
    values["reaction"] = Reaction[values["reaction"].upper()]
    return FaultRow(name=name, **values)


def fault_code(name: str) -> int:
    """Position of a fault in the table. Raises ValueError with the nearest name."""
    known = [row.name for row in fault_rows()]
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
        raise ValueError(f"faults.{name}: no such fault; {hint}")
    return known.index(name)


def _plausible(row: FaultRow, threshold: float) -> float:
    """A pack's own threshold. Raises ValueError where it would never, or always, be crossed."""
    low, high, slip = PLAUSIBLE.get(row.signal, (-np.inf, np.inf, ""))
    if not low <= threshold <= high:
        raise ValueError(f"faults.{row.name}.threshold: found {threshold:g}; give {low:g} to {high:g}; in {slip}")
    return threshold


def compile_faults(limits: Mapping[str, float], changes: Mapping[str, Mapping[str, Any]]) -> Faults:
    """The table as arrays, with every limit resolved and the pack's changes applied.

    A disabled row keeps its place and gets an infinite threshold, so that codes mean the same in every pack.
    """
    for name in changes:
        fault_code(name)
    rows = fault_rows()
    sign = np.array([1.0 if row.direction == "over" else -1.0 for row in rows])
    threshold = np.array([limits[row.limit] + row.offset for row in rows])
    debounce_s = np.array([row.debounce_s for row in rows])
    for code, row in enumerate(rows):
        change = changes.get(row.name, {})
        if change.get("threshold") is not None:
            threshold[code] = _plausible(row, change["threshold"])
        if change.get("debounce_s") is not None:
            debounce_s[code] = change["debounce_s"]
        if not change.get("enabled", True):
            threshold[code] = sign[code] * np.inf
    return Faults(
        signal=np.array([row.signal for row in rows], dtype=np.int64),
        direction=sign,
        threshold=threshold,
        debounce_s=debounce_s,
        clear=threshold + np.array([row.clear_offset for row in rows]),
        clear_s=np.array([row.clear_s for row in rows]),
        severity=np.array([row.severity for row in rows], dtype=np.float64),
        reaction=np.array([row.reaction for row in rows], dtype=np.float64),
        latched=np.array([float(row.latched) for row in rows]),
    )
