"""The words of scoring: what an estimator gives back, and what is said of it.

Positive current discharges; SOC and every error of it are fractions, and only pages show points (1 point = 0.01).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from packhorse.io.cell_logs import CellLog
from packhorse.lab.training import Training
from packhorse.pack.description import CellFile
from packhorse.pack.words import Array


class Estimated(NamedTuple):
    """What an estimator believed at every row of a log, each array (times,). NaN is not estimated.

    `current_offset_A` is what the sensor reads too much: reading minus true current, positive current discharges.
    """

    time_s: Array
    soc: Array
    soc_sigma: Array
    current_offset_A: Array
    current_offset_sigma_A: Array
    capacity_Ah: Array
    capacity_sigma_Ah: Array


class Truth(NamedTuple):
    """What the tester knows of a log and the estimator is never told."""

    soc: Array  # (times,) NaN where it is not known
    capacity_Ah: float  # what SOC 1 to 0 is in this log


class Measures(NamedTuple):
    """How one run went. Everything but `rmse_all` and `within_s` leaves out the time to settle."""

    rows: int  # with a known truth, after settling
    rmse_all: float  # over all rows, settling included
    rmse: float
    largest: float
    mean_abs: float
    within_s: float  # until the error stays within 3 points to the end of the log; infinite if it never does
    covered: float  # share of rows inside the 90 % interval; NaN without a sigma
    width: float  # mean width of that interval
    offset_error_A: float  # estimated less applied offset of the current, at the end; NaN where none is estimated


class Trace(NamedTuple):
    """A thinned error over time, to be drawn."""

    time_s: Array
    error: Array
    half_width: Array  # of the 90 % interval


class Run(NamedTuple):
    """One estimator over one log in one case."""

    family: str
    split: str
    group: str
    case: str  # the row of the bar: P0, P1, ...
    variant: str  # which of the perturbations of that row
    estimator: str
    file: str
    measures: Measures
    trace: Trace


class Row(NamedTuple):
    """A line of the table: a group of logs in one case. Bars are NaN where the issue names none."""

    family: str
    split: str
    group: str
    case: str
    estimator: str
    variant: str  # the worst one
    logs: int
    rmse: float  # of all rows of all logs of the worst variant, after settling
    rmse_all: float  # the same with settling
    largest: float
    within_s: float
    covered: float  # of all variants
    width: float
    bar_rmse: float
    bar_largest: float
    bar_within_s: float
    met: bool | None  # None without a bar
    offset_error_C: float  # worst error of the estimated offset at the end, in 1/h of the capacity
    worst_file: str
    worst_rmse: float


class Part(NamedTuple):
    """One test type of the benchmark: its mean RMSE and its weight."""

    name: str
    weight: float
    rmse: float
    logs: int


class Weighted(NamedTuple):
    """The benchmark's single figure for one family and estimator; `error` is over the parts that could be run."""

    family: str
    estimator: str
    parts: list[Part]
    error: float


class CapacityRow(NamedTuple):
    """Capacity from ordinary use, one cell. Errors are shares of the true capacity."""

    cell: str
    logs: int
    rmse: float
    largest: float
    covered: float
    width: float  # mean width of the 90 % interval, share of the true capacity
    note: str


class Scores(NamedTuple):
    """Everything a run of `packhorse score` found."""

    rows: list[Row]
    runs: list[Run]
    weighted: list[Weighted]
    capacity: list[CapacityRow]
    skipped: list[str]  # what could not be run, and why
    truths: dict[str, str]  # family -> how its truth was made
    labels: dict[str, float]  # family -> how far that truth may be off at its worst [SOC]
    taken_s: float


Estimator = Callable[[CellLog, float | None], Estimated]
"""A log and, where it is told, the SOC it starts with."""
Build = Callable[[CellFile], Estimator]
Identify = Callable[[Training], CellFile]
CapacityEstimator = Callable[[list[CellLog], CellFile], list[tuple[float, float]]]
"""Logs of one cell in order of its life, and its cell file when it was new: capacity and sigma [Ah] after each log."""
