"""What a log of one cell is good for: the sign of its current, its pulses, its pace and what it spans.

Nothing here changes a log. A log whose current has the wrong sign would otherwise be identified as a cell with
negative resistance, or filtered into a SOC that runs away.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from packhorse.io.cell_logs import CellLog
from packhorse.pack.description import CellFile
from packhorse.pack.words import Array

NEAR_S = 61.0
"""Rows further apart are not compared: the cell has moved on. A row a minute, with a clock that drifts, still is."""
GAP_S = 300.0
"""Beyond this the current between two rows is unknown, so that no charge is counted; as in `io.cell_logs`."""
QUIET_A = 0.03
"""Three times the resolution of common testers (10 mA): less is rest or noise."""
QUIET_SHARE = 0.02
"""Currents below this share of the highest are rest: leakage and offset of a tester of that range."""
QUIET_V = 0.0045
"""Three times the resolution of common testers (1.5 mV): less says nothing about a sign."""
LEAST_STEPS = 8
"""As many steps must speak; fewer could be chance even where all agree (1 in 128)."""
SHIFTS = (0, -1, 1, -2, 2, -3, 3)
"""Rows by which the voltage may stand after the current, nearest first: gateways poll one after the other."""
MOST_MEDIANS = 4.0
"""Steps beyond this many medians count as so many."""
TREND_S = 30.0
"""In a shorter stretch the voltage still answers the step that began it, and rows that are shifted mislead."""
LEAST_TREND_V = 0.02
"""Voltage that must be walked while charge is counted: more than ten steps of resolution, and beyond self-heating."""
AGREED = 0.5
"""Share by which one sign must outweigh the other: three parts against one."""
REST_S, HELD_S, LEAST_PULSES = 20.0, 5.0, 3
"""A pulse follows a rest, in which fast processes have ended, and is held until they have begun again. Fewer than
three cannot tell a resistance from its change with SOC."""
EVEN_SHARE = 0.15
"""A held pulse varies by no more than this share of its current: testers regulate far better, trucks far worse."""
EDGE_S = 3.0
"""An edge seen by rows further apart hides the fast part of the resistance."""
SLOW_RATE_PER_H = 1.0 / 8.0
"""Below C/8 polarisation of common cells stays within some 10 mV of OCV."""
SLOW_SHARE = 0.5
"""A slow log that crosses less than half of the capacity is no OCV curve."""
MOST_PERCENTILE = 99.5
"""The highest current is judged without a few spikes of the tester's range switching."""

FAR_V, MOST_OUTSIDE = 0.15, 0.1
"""A cell is not that far outside its limits for a tenth of a log, unless it is another cell."""
MOST_SWING, SWING_S = 1.5, 6.0 * 3600.0
"""No cell gives so many times its capacity between full and empty. Only the first hours are judged: beyond them the
offset of a sensor alone may have counted as much."""


class Sign(NamedTuple):
    """Whether the current of a log has our sign (positive discharges)."""

    verdict: Literal["right", "wrong", "cannot tell"]
    agreement: float
    """1: everything that speaks says right; -1: everything says wrong; weighed by the size of what speaks."""
    by: Literal["steps", "trend", "nothing"]


class Spans(NamedTuple):
    """What a log covers. NaN where nothing was measured."""

    rows: int
    duration_s: float
    unseen_s: float
    """Time within gaps, in which no charge was counted."""
    low_degC: float
    high_degC: float
    low_V: float
    high_V: float
    charge_A: float
    """Highest charging current, as a magnitude."""
    discharge_A: float
    charged_Ah: float
    discharged_Ah: float
    swing_Ah: float
    """Charge between the fullest and the emptiest moment."""


def current_sign(log: CellLog) -> Sign:
    """The sign of a log's current, from the voltage's answer to steps of current, else from its trend.

    A step towards discharging lowers the voltage at once, whatever the cell. Where steps are few or disagree (constant
    current, rows far apart) the voltage must fall while charge is taken and rise while it is given.
    """
    for by, judge in _JUDGES:
        agreement, heard = judge(log)
        if heard and abs(agreement) >= AGREED:
            return Sign("right" if agreement > 0.0 else "wrong", agreement, by)
    return Sign("cannot tell", 0.0, "nothing")


def refuse_wrong_sign(log: CellLog) -> None:
    """Raise ValueError, with the line to write, for a log whose current has the wrong sign."""
    sign = current_sign(log)
    if sign.verdict == "wrong":
        found = "steps up with a step" if sign.by == "steps" else "rises over stretches"
        raise ValueError(
            f"{log.name}: the current has the wrong sign: the voltage {found} of what should be discharge; positive "
            'current discharges here, so write positive = "charge" under [current] in the mapping file (if it says '
            'that already, write "discharge"), see docs/mapping.md'
        )


def quiet_A(log: CellLog) -> float:
    """Current below which this log's cell counts as at rest."""
    return max(QUIET_A, QUIET_SHARE * _most_A(log))


def _most_A(log: CellLog) -> float:
    heard = np.abs(log.current_A[~np.isnan(log.current_A)])
    return float(np.percentile(heard, MOST_PERCENTILE)) if heard.size > 0 else 0.0


def _steps(log: CellLog) -> tuple[float, bool]:
    """Agreement of steps of current with steps of voltage, and whether enough of them speak.

    Loggers may write the voltage some rows before or after the current that caused it, where steps beside each other
    would be compared with relaxation. So the shift is taken at which both go together best, whatever the sign.
    """
    near = np.diff(log.time_s) <= NEAR_S
    step_A = np.where(near, np.nan_to_num(np.diff(log.current_A)), 0.0)
    step_V = np.where(near, np.nan_to_num(np.diff(log.cell_V)), 0.0)
    step_A[np.abs(step_A) < quiet_A(log)] = 0.0
    step_V[np.abs(step_V) < QUIET_V] = 0.0
    step_A, step_V = _capped(step_A), _capped(step_V)
    best = max((_shifted(step_A, step_V, rows) for rows in SHIFTS), key=lambda product: abs(float(product.sum())))
    if np.count_nonzero(best) < LEAST_STEPS:
        return 0.0, False
    return float(-best.sum() / np.abs(best).sum()), True


def _capped(steps: Array) -> Array:
    """Steps held to some times their median, so that one broken reading does not decide."""
    speaking = np.abs(steps[steps != 0.0])
    cap = MOST_MEDIANS * float(np.median(speaking)) if speaking.size > 0 else 0.0
    capped: Array = np.clip(steps, -cap, cap)
    return capped


def _shifted(step_A: Array, step_V: Array, rows: int) -> Array:
    """Products of steps of current with steps of voltage so many rows later."""
    count = step_A.size
    product: Array = step_A[max(0, -rows) : count - max(0, rows)] * step_V[max(0, rows) : count - max(0, -rows)]
    return product


def _trend(log: CellLog) -> tuple[float, bool]:
    """Agreement of the voltage's walk with the charge moved, over long stretches of one even current."""
    moving = np.abs(log.current_A) >= quiet_A(log)
    parts = [(b, e) for b, e in _stretches(log, moving) if log.time_s[e - 1] - log.time_s[b] >= TREND_S]
    walks = [_ends(log.cell_V[b:e]) * np.sign(log.current_A[b]) for b, e in parts]
    walked = np.asarray([walk for walk in walks if np.isfinite(walk)])
    total_V = float(np.abs(walked).sum())
    return (float(-walked.sum() / total_V), True) if total_V >= LEAST_TREND_V else (0.0, False)


_JUDGES: tuple[tuple[Literal["steps", "trend"], Callable[[CellLog], tuple[float, bool]]], ...] = (
    ("steps", _steps),
    ("trend", _trend),
)


def _ends(values: Array) -> float:
    """How far a stretch walks from its first fifth to its last, by medians that noise does not move."""
    fifth = max(1, values.size // 5)
    heard = values[~np.isnan(values)]
    return float(np.median(heard[-fifth:]) - np.median(heard[:fifth])) if heard.size >= 3 else float("nan")


def _stretches(log: CellLog, wanted: np.ndarray) -> list[tuple[int, int]]:
    """Runs of wanted rows, begin and end, cut where time has a gap or the current leaves its level."""
    level = np.abs(np.diff(log.current_A)) > np.maximum(quiet_A(log), EVEN_SHARE * np.abs(log.current_A[:-1]))
    cut = level | (np.diff(log.time_s) > GAP_S) | (wanted[1:] != wanted[:-1])
    edges = np.concatenate(([0], np.flatnonzero(cut) + 1, [wanted.size]))
    return [(int(b), int(e)) for b, e in itertools.pairwise(edges) if wanted[b]]


def has_pulses(log: CellLog) -> bool:
    """Whether resistance can be read from the log: pulses of even current after rests, with their edges seen.

    The stretches of discharge between the pulses of an HPPC test count too: they begin after a rest.
    """
    rest = np.abs(log.current_A) < quiet_A(log)
    found = 0
    for begin, end in _stretches(log, ~rest & ~np.isnan(log.current_A)):
        held = log.time_s[end - 1] - log.time_s[begin] >= HELD_S
        seen = begin > 0 and log.time_s[begin] - log.time_s[begin - 1] <= EDGE_S
        found += int(held and seen and _rested(log, rest, begin))
    return found >= LEAST_PULSES


def _rested(log: CellLog, rest: np.ndarray, row: int) -> bool:
    """Whether the cell had rested long enough before a row."""
    first = int(np.searchsorted(log.time_s, log.time_s[row - 1] - REST_S))
    return bool(rest[first:row].all() and log.time_s[row - 1] - log.time_s[0] >= REST_S)


def is_slow(log: CellLog, capacity_Ah: float) -> bool:
    """Whether the log is an OCV test: never more than C/8, through at least half of the capacity that is guessed.

    Raises ValueError for a capacity that is not positive.
    """
    if not capacity_Ah > 0.0:
        raise ValueError(f"capacity_Ah is {capacity_Ah:g}; give the cell's capacity in Ah, roughly")
    slow = _most_A(log) <= SLOW_RATE_PER_H * capacity_Ah
    return slow and spans(log).swing_Ah >= SLOW_SHARE * capacity_Ah


def counted_Ah(log: CellLog) -> Array:
    """Charge taken from the cell since the first row, (times,); a row's current holds since the row before.

    Nothing is counted over gaps and rows without a current.
    """
    step_s = np.diff(log.time_s, prepend=log.time_s[0])
    seen = (step_s <= GAP_S) & ~np.isnan(log.current_A)
    counted: Array = np.cumsum(np.where(seen, log.current_A * step_s, 0.0)) / 3600.0
    return counted


def spans(log: CellLog) -> Spans:
    """Duration, temperatures, voltages, currents and charge of a log."""
    step_s = np.diff(log.time_s)
    counted = counted_Ah(log)
    moved = np.diff(counted)
    low_degC, high_degC = _range(log.cell_degC)
    low_V, high_V = _range(log.cell_V)
    low_A, high_A = _range(log.current_A)
    return Spans(
        rows=log.time_s.size,
        duration_s=float(log.time_s[-1] - log.time_s[0]),
        unseen_s=float(step_s[step_s > GAP_S].sum()),
        low_degC=low_degC,
        high_degC=high_degC,
        low_V=low_V,
        high_V=high_V,
        charge_A=max(0.0, -low_A),
        discharge_A=max(0.0, high_A),
        charged_Ah=float(-moved[moved < 0.0].sum()),
        discharged_Ah=float(moved[moved > 0.0].sum()),
        swing_Ah=float(np.ptp(counted)),
    )


def _range(values: Array) -> tuple[float, float]:
    heard = values[~np.isnan(values)]
    return (float(heard.min()), float(heard.max())) if heard.size > 0 else (float("nan"), float("nan"))


def refuse_other_cell(log: CellLog, cell: CellFile) -> None:
    """Raise ValueError for a log that cannot be of this cell: its voltage or the charge it moves is another's.

    A log that passes may still be of another cell: an LFP cell rests where an NMC cell is nearly empty.
    """
    heard = log.cell_V[~np.isnan(log.cell_V)]
    outside = (heard < cell.min_V - FAR_V) | (heard > cell.max_V + FAR_V)
    if float(np.mean(outside)) > MOST_OUTSIDE:
        raise ValueError(
            f"{log.name}: voltage is around {float(np.median(heard)):.3g} V, and {100 * float(np.mean(outside)):.0f} % "
            f"of it outside the {cell.min_V:g} to {cell.max_V:g} V of {cell.name}; give the cell file of this cell"
        )
    counted = counted_Ah(log)[log.time_s - log.time_s[0] <= SWING_S]
    swing_Ah = float(np.ptp(counted))
    if swing_Ah > MOST_SWING * cell.capacity_Ah:
        raise ValueError(
            f"{log.name}: {swing_Ah:.3g} Ah flow in its first {SWING_S / 3600.0:g} h one way, but {cell.name} holds "
            f"{cell.capacity_Ah:.3g} Ah; give the cell file of this cell, or check the unit of the current"
        )
