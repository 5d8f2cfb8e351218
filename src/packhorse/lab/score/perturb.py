"""What a truck does to a clean laboratory log: wrong starts, offsets, noise, lost rows, outliers, other time steps.

Every case gives a new log and what the estimator is told of the start; the truth follows the rows that are left.
Noise is seeded by the log's name and the case, so that every estimator hears the same and every run is repeatable.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.io.cell_logs import CellLog
from packhorse.lab.score.words import Truth
from packhorse.pack.words import Array

WRONG = 0.3
VOLT_NOISE_V, CURRENT_NOISE = 0.005, 0.005
VOLT_STEP_V, CURRENT_STEP_A = 0.0015, 0.010
GAIN, WARMER_K = 1.01, 2.0
LOST_SHARE, BURST_S = 0.10, 60.0
OUTLIER_SHARE, OUTLIER_V = 0.01, 0.5
COARSE_S, FINE_S = 30.0, 0.1
ALL_PER_H = 0.02
"""Offset within P4: C/50."""
STARTS = (0.9, 0.6, 0.3)
TOLD_FULL = 1.0


class Heard(NamedTuple):
    """A perturbed log: what is heard, what was true at its rows, what is told of the start, and the offset put in."""

    log: CellLog
    truth: Array  # (times,) SOC
    told: float | None
    offset_A: float


class Case(NamedTuple):
    """A perturbation: the row of the table it belongs to, its own name, and what it does."""

    row: str
    name: str
    perturb: Callable[[CellLog, Truth, float], Heard]  # with the nominal capacity [Ah]


def told_right(soc: Array) -> float | None:
    """The true start, where it is known."""
    return float(soc[0]) if np.isfinite(soc[0]) else None


def told_wrong(soc: Array) -> float | None:
    """A start that is 30 points off: down from above the middle, else up."""
    start = told_right(soc)
    return None if start is None else start - WRONG if start > 0.5 else start + WRONG


def dice(log: CellLog, case: str) -> np.random.Generator:
    """Random numbers that belong to this log and case."""
    return np.random.default_rng(zlib.crc32(f"{log.name}/{case}".encode()))


def offset(log: CellLog, offset_A: float) -> CellLog:
    """A current sensor that reads so much too high (too much discharge)."""
    return log._replace(current_A=log.current_A + offset_A)


def noisy(log: CellLog, rng: np.random.Generator) -> CellLog:
    """P3: gain 1 %, noise of 5 mV and 0.5 % of the current, steps of 1.5 mV and 10 mA, a probe that reads 2 K more."""
    rows = log.time_s.size
    current_A = log.current_A * GAIN * (1.0 + CURRENT_NOISE * rng.standard_normal(rows))
    cell_V = log.cell_V + VOLT_NOISE_V * rng.standard_normal(rows)
    return log._replace(
        current_A=CURRENT_STEP_A * np.round(current_A / CURRENT_STEP_A),
        cell_V=VOLT_STEP_V * np.round(cell_V / VOLT_STEP_V),
        cell_degC=log.cell_degC + WARMER_K,
    )


def take(log: CellLog, keep: NDArray[Any]) -> CellLog:
    """Some rows of a log, its clock from zero."""
    time_s, current_A, cell_V, cell_degC = (column[keep] for column in log[1:])
    return CellLog(log.name, time_s - time_s[0], current_A, cell_V, cell_degC)


def lost(log: CellLog, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which rows are left when 10 % are lost in bursts of up to 60 s. The first row is always left."""
    keep = np.ones(log.time_s.size, dtype=bool)
    while keep.size > 1 and np.mean(~keep) < LOST_SHARE:
        begin_s = rng.uniform(log.time_s[0], log.time_s[-1])
        keep &= (log.time_s < begin_s) | (log.time_s >= begin_s + rng.uniform(0.0, BURST_S))
        keep[0] = True
    return keep


def outliers(log: CellLog, rng: np.random.Generator) -> CellLog:
    """1 % of the voltages up to half a volt off, either way."""
    hit = rng.random(log.time_s.size) < OUTLIER_SHARE
    return log._replace(cell_V=log.cell_V + np.where(hit, rng.uniform(-OUTLIER_V, OUTLIER_V, hit.size), 0.0))


def coarse(log: CellLog, soc: Array) -> tuple[CellLog, Array]:
    """One row in 30 s, each with the mean current since the last, as a slow logger stores it."""
    ticks = np.arange(log.time_s[0], log.time_s[-1], COARSE_S)
    at = np.clip(np.searchsorted(log.time_s, ticks), 0, log.time_s.size - 1)
    flowed_As = np.concatenate([[0.0], np.cumsum(np.nan_to_num(log.current_A[1:]) * np.diff(log.time_s))])[at]
    gap_s = np.diff(log.time_s[at])
    mean_A = np.append(log.current_A[0], np.diff(flowed_As) / np.where(gap_s > 0.0, gap_s, 1.0))
    return take(log, at)._replace(current_A=mean_A), soc[at]


def fine(log: CellLog, soc: Array) -> tuple[CellLog, Array]:
    """Ten rows a second, linear between the measured ones."""
    ticks = np.arange(log.time_s[0], log.time_s[-1] + 1e-9, FINE_S)
    columns = [np.interp(ticks, log.time_s, column) for column in log[2:]]
    return CellLog(log.name, ticks - ticks[0], *columns), np.interp(ticks, log.time_s, soc)


def plain(log: CellLog, truth: Truth, nominal_Ah: float) -> Heard:  # noqa: ARG001 - every case is called alike
    """P0: as it was measured, with the true start."""
    return Heard(log, truth.soc, told_right(truth.soc), 0.0)


def wrong_start(log: CellLog, truth: Truth, nominal_Ah: float) -> Heard:  # noqa: ARG001
    """P1: told a start that is 30 points off."""
    return Heard(log, truth.soc, told_wrong(truth.soc), 0.0)


def with_noise(log: CellLog, truth: Truth, nominal_Ah: float) -> Heard:  # noqa: ARG001
    """P3."""
    return Heard(noisy(log, dice(log, "P3")), truth.soc, told_right(truth.soc), 0.0)


def with_losses(log: CellLog, truth: Truth, nominal_Ah: float) -> Heard:  # noqa: ARG001
    """Rows lost in bursts."""
    keep = lost(log, dice(log, "lost"))
    return Heard(take(log, keep), truth.soc[keep], told_right(truth.soc), 0.0)


def with_outliers(log: CellLog, truth: Truth, nominal_Ah: float) -> Heard:  # noqa: ARG001
    """Voltages that are none."""
    return Heard(outliers(log, dice(log, "outliers")), truth.soc, told_right(truth.soc), 0.0)


def coarsely(log: CellLog, truth: Truth, nominal_Ah: float) -> Heard:  # noqa: ARG001
    """Rows of 30 s."""
    slow, soc = coarse(log, truth.soc)
    return Heard(slow, soc, told_right(soc), 0.0)


def finely(log: CellLog, truth: Truth, nominal_Ah: float) -> Heard:  # noqa: ARG001
    """Rows of 0.1 s."""
    fast, soc = fine(log, truth.soc)
    return Heard(fast, soc, told_right(soc), 0.0)


def offset_case(per_h: float, sign: float) -> Case:
    """P2: a constant offset of a share of the nominal capacity per hour."""

    def perturb(log: CellLog, truth: Truth, nominal_Ah: float) -> Heard:
        by_A = sign * per_h * nominal_Ah
        return Heard(offset(log, by_A), truth.soc, told_right(truth.soc), by_A)

    return Case("P2", f"P2 {'+' if sign > 0 else '-'}C/{1.0 / per_h:.0f}", perturb)


def all_case(sign: float) -> Case:
    """P4: wrong start, an offset of C/50, and P3 on top."""

    def perturb(log: CellLog, truth: Truth, nominal_Ah: float) -> Heard:
        by_A = sign * ALL_PER_H * nominal_Ah
        name = f"P4 {sign:g}"
        return Heard(noisy(offset(log, by_A), dice(log, name)), truth.soc, told_wrong(truth.soc), by_A)

    return Case("P4", f"P4 {'+' if sign > 0 else '-'}C/{1.0 / ALL_PER_H:.0f}", perturb)


def joined_at(start: float) -> Case:
    """The benchmark's wrong initial SOC: the log is joined where its true SOC has fallen to `start`, told full."""

    def perturb(log: CellLog, truth: Truth, nominal_Ah: float) -> Heard:  # noqa: ARG001
        below = np.flatnonzero(truth.soc < start)
        begin = int(below[0]) if below.size else log.time_s.size - 1
        keep = np.arange(begin, log.time_s.size)
        return Heard(take(log, keep), truth.soc[keep], TOLD_FULL, 0.0)

    return Case("start", f"start {100 * start:.0f} %", perturb)


def cases(sets: Sequence[str], offsets_per_h: list[float]) -> list[Case]:
    """The cases of the bar, of the benchmark beyond them, and those of robustness."""
    both = (1.0, -1.0)
    some = [Case("P0", "P0", plain)]
    if "bar" in sets:
        some.append(Case("P1", "P1", wrong_start))
        some += [offset_case(per_h, sign) for per_h in offsets_per_h for sign in both]
        some.append(Case("P3", "P3", with_noise))
        some += [all_case(sign) for sign in both]
    if "benchmark" in sets:
        some += [joined_at(start) for start in STARTS]
    if "robust" in sets:
        some.append(Case("lost rows", "lost rows", with_losses))
        some.append(Case("outliers", "outliers", with_outliers))
        some.append(Case("30 s rows", "30 s rows", coarsely))
        some.append(Case("0.1 s rows", "0.1 s rows", finely))
    return some
