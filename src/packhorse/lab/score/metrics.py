"""How far an estimate is off, and whether it knew: each figure once, rows without a truth left out."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from packhorse.lab.score.words import Estimated, Measures
from packhorse.pack.words import Array

SIGMAS_90 = 1.6449
"""Half-width of the 90 % interval of a normal distribution, in sigma."""
WITHIN = 0.03
NAN = float("nan")


def measure(
    time_s: Array,
    error: Array,
    sigma: Array,
    settle_s: float,
    offset_error_A: float = NAN,
) -> Measures:
    """Figures of one run. `error` is estimate less truth, NaN where no truth is known; all arrays are (times,).

    An estimate that is NaN where a truth is known counts as wrong by all: it is no way to leave rows out.
    """
    known = np.isfinite(error)
    late = known & (time_s - time_s[0] >= settle_s)
    off, sure = error[late], sigma[late]
    if off.size == 0:
        return Measures(0, rms(error[known]), NAN, NAN, NAN, time_within(time_s, error), NAN, NAN, offset_error_A)
    half = SIGMAS_90 * sure
    told = np.isfinite(half)
    return Measures(
        rows=int(off.size),
        rmse_all=rms(error[known]),
        rmse=rms(off),
        largest=float(np.max(np.abs(off))),
        mean_abs=float(np.mean(np.abs(off))),
        within_s=time_within(time_s, error),
        covered=float(np.mean(np.abs(off[told]) <= half[told])) if told.any() else NAN,
        width=float(np.mean(2.0 * half[told])) if told.any() else NAN,
        offset_error_A=offset_error_A,
    )


def soc_error(told: Estimated, truth: Array) -> tuple[Array, Array]:
    """Error and sigma of the SOC, (times,) each."""
    soc = np.where(np.isfinite(told.soc), told.soc, np.where(truth > 0.5, truth - 1.0, truth + 1.0))
    return soc - truth, told.soc_sigma


def remaining_error(told: Estimated, truth: Array, capacity_Ah: float, nominal_Ah: float) -> tuple[Array, Array]:
    """Error and sigma of the remaining charge as a share of the nominal capacity, for a cell that has faded.

    Estimated is SOC times estimated capacity (the nominal one where none is estimated), true is SOC times the
    capacity of that log; the two sigmas of the product are taken as independent.
    """
    size_Ah = np.where(np.isfinite(told.capacity_Ah), told.capacity_Ah, nominal_Ah)
    size_sigma_Ah = np.where(np.isfinite(told.capacity_sigma_Ah), told.capacity_sigma_Ah, 0.0)
    error = (told.soc * size_Ah - truth * capacity_Ah) / nominal_Ah
    error = np.where(np.isfinite(truth) & ~np.isfinite(error), 1.0, error)
    sigma = np.hypot(told.soc_sigma * size_Ah, told.soc * size_sigma_Ah) / nominal_Ah
    return error, sigma


def rms(values: Array) -> float:
    """Root of the mean square; NaN of nothing."""
    return float(np.sqrt(np.mean(values * values))) if values.size else NAN


def time_within(time_s: Array, error: Array) -> float:
    """Time from the start until the error is within 3 points and stays so to the end [s]; infinite if it never is."""
    known = np.flatnonzero(np.isfinite(error))
    outside = known[np.abs(error[known]) > WITHIN]
    if outside.size == 0:
        return 0.0
    after = known[known > outside[-1]]
    return float(time_s[after[0]] - time_s[0]) if after.size else float("inf")


def pooled(some: list[Measures]) -> Measures:
    """Several runs as one: means over all their rows, the largest of errors and times."""
    rows = np.array([one.rows for one in some], dtype=np.float64)

    def mean(values: list[float]) -> float:
        array = np.array(values)
        known = np.isfinite(array) & (rows > 0)
        return float(np.average(array[known], weights=rows[known])) if known.any() else NAN

    offsets = [abs(one.offset_error_A) for one in some if np.isfinite(one.offset_error_A)]
    largest = [one.largest for one in some if np.isfinite(one.largest)]
    return Measures(
        rows=int(rows.sum()),
        rmse_all=float(np.sqrt(mean([one.rmse_all**2 for one in some]))),
        rmse=float(np.sqrt(mean([one.rmse**2 for one in some]))),
        largest=max(largest, default=NAN),
        mean_abs=mean([one.mean_abs for one in some]),
        within_s=max(one.within_s for one in some),
        covered=mean([one.covered for one in some]),
        width=mean([one.width for one in some]),
        offset_error_A=max(offsets, default=NAN),
    )


def thinned(time_s: Array, error: Array, half_width: Array, points: int) -> tuple[Array, Array, Array]:
    """Rows enough to draw: of each stretch of the log the one with the largest error."""
    if time_s.size <= points:
        return time_s, error, half_width
    edges = np.linspace(0, time_s.size, points + 1).astype(np.int64)
    size = np.where(np.isfinite(error), np.abs(error), -1.0)
    at = np.array([a + int(np.argmax(size[a:b])) for a, b in pairwise(edges)])
    return time_s[at], error[at], half_width[at]
