"""Capacity from ordinary use: lives of cells with the capacity that was measured beside them.

- NASA B0005 and B0006: 18650 cells, charged 1.5 A to 4.2 V and discharged 2 A at 24 degC, 168 times each, with the
  capacity of every discharge to 2.7 V as published (B. Saha, K. Goebel, Battery data set, NASA Ames, 2007).
  Judged twice: with whole cycles, and with discharges that end after 60 % of their charge, as a truck that leaves full
  and comes home half full. Nothing slower than 1C was ever measured, so the first discharge and the charge after it
  stand for the slow test, and capacities are compared as shares of the first one.
- The fading Panasonic cell: drives of 25, 10, 0 and -10 degC in the order in which the campaign made them, with the
  capacities that `truth.rested` gives.
- CALCE CS2_35 and CS2_36 are features of each charge (constant-current and constant-voltage time) beside its capacity,
  not logs: no estimator that needs current and voltage can be run on them. `calce` loads them, and `from_charge_time`
  says how far the time at constant current alone tells the capacity of the other cell: a figure to beat, no score.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from packhorse.cell.physics import SECONDS_PER_HOUR
from packhorse.io.cell_logs import CellLog
from packhorse.io.errors import Error, ReadError
from packhorse.io.tables import BROKEN, broken
from packhorse.lab.score import files
from packhorse.lab.score.campaign import load, matched
from packhorse.lab.score.metrics import SIGMAS_90, rms
from packhorse.lab.score.truth import truth
from packhorse.lab.score.words import CapacityEstimator, CapacityRow, Identify
from packhorse.lab.training import Training
from packhorse.pack.words import Array

NASA_CELLS = ("B0005", "B0006")
LEFT_AFTER = 0.6
"""Share of its charge after which a discharge is cut."""
CALCE_CHARGE_A = 0.55
"""Constant current of the CS2 charges, 0.5C of 1.1 Ah (CALCE's description of the set)."""
END_V = 2.7
"""Voltage at which the published capacities end."""
NASA_LABEL = "as share of the first capacity; published label good to 0.4 %"
ONE_CURRENT = "one current from full and no rest: a lost capacity and a resistance that grows on the way look alike"
PANASONIC_LABEL = (
    "label from rests of the step discharges, good to 1 to 2 %; the cell was identified at 25 degC only, and 30 mV of "
    "error at 10 degC are 7 % of capacity"
)
STILL_A = 0.01
FEWEST_ROWS = 10
SLOW_HOURS, SLOW_ROWS = 20.0, 1201


class Life(NamedTuple):
    """Logs of one cell in order of its life, and the capacity measured beside each; NaN beside a charge."""

    cell: str
    logs: list[CellLog]
    capacity_Ah: Array  # (logs,)


def score(data: Path, identify: Identify, capacity_of: CapacityEstimator, skipped: list[str]) -> list[CapacityRow]:
    """A line for every life that is there; what is missing or refused goes to `skipped`."""
    found = []
    for cell in NASA_CELLS:
        try:
            whole = nasa(data / "nasa_pcoe", cell)
            made = identify(first_cycle(whole, "nca"))
            for life, limit in ((whole, ""), (cut_short(whole), f"; {ONE_CURRENT}")):
                told = capacity_of(life.logs, made)
                found.append(line(life, told, made.capacity_Ah, NASA_LABEL + limit, relative=True))
        except (Error, ValueError) as error:
            skipped.append(f"capacity, {cell}: {error}")
    try:
        life, lesson = panasonic(data)
        made = identify(lesson)
        found.append(line(life, capacity_of(life.logs, made), made.capacity_Ah, PANASONIC_LABEL, relative=False))
    except (Error, ValueError) as error:
        skipped.append(f"capacity, Panasonic: {error}")
    skipped.append(
        "capacity, CALCE CS2: features of each charge without current and voltage over time; nothing to run on"
    )
    return found


def line(life: Life, told: list[tuple[float, float]], new_Ah: float, note: str, *, relative: bool) -> CapacityRow:
    """Errors over all logs with a measured capacity. `relative` compares shares of the capacity when new."""
    if len(told) != len(life.logs):
        raise ValueError(f"{life.cell}: {len(told)} capacities for {len(life.logs)} logs; give one after each log")
    known = np.isfinite(life.capacity_Ah)
    true_Ah = life.capacity_Ah[known]
    scale = true_Ah[0] / new_Ah if relative else 1.0
    value, sigma = (scale * np.array([pair[k] for pair in told])[known] for k in (0, 1))
    error = np.where(np.isfinite(value), value / true_Ah - 1.0, -1.0)
    half = SIGMAS_90 * sigma / true_Ah
    return CapacityRow(
        cell=life.cell,
        logs=int(known.sum()),
        rmse=rms(error),
        largest=float(np.max(np.abs(error))),
        covered=float(np.mean(np.abs(error) <= half)),
        width=float(np.mean(2.0 * half)),
        note=note,
    )


def nasa(folder: Path, cell: str) -> Life:
    """Charges and discharges of one NASA cell as they came, with the published capacity of every discharge."""
    try:
        rows = pl.read_parquet(folder / f"{cell}.parquet")
        sheet = pl.read_csv(folder / "metadata.csv.gz", infer_schema_length=None)
    except BROKEN as error:
        raise broken(folder / cell, error) from error
    published = sheet.filter((pl.col("battery_id") == cell) & (pl.col("type") == "discharge"))
    size = dict(zip(published["test_id"].to_list(), published["Capacity"].to_list(), strict=True))
    logs, capacity_Ah = [], []
    for (test,), some in rows.group_by(["test_id"], maintain_order=True):
        time_s, charge_A, cell_V, degC = (
            some[name].cast(pl.Float64).to_numpy() for name in ("t_s", "current_a", "voltage_v", "temp_c")
        )
        logs.append(CellLog(f"{cell}_{test:03d}", time_s, -charge_A, cell_V, degC))
        known = size.get(test) if some["discharge"][0] == 1 else None
        capacity_Ah.append(np.nan if known is None else float(known))
    return Life(f"{cell}, whole cycles", logs, np.array(capacity_Ah))


def cut_short(life: Life) -> Life:
    """Only the discharges, each ending after 60 % of its charge; the measured capacities stay beside them."""
    logs, capacity_Ah = [], []
    for log, size_Ah in zip(life.logs, life.capacity_Ah, strict=True):
        if np.isfinite(size_Ah):
            flowed = np.concatenate([[0.0], np.cumsum(log.current_A[1:] * np.diff(log.time_s))]) / SECONDS_PER_HOUR
            keep = flowed <= LEFT_AFTER * flowed[-1]
            logs.append(CellLog(log.name, *(column[keep] for column in log[1:])))
            capacity_Ah.append(size_Ah)
    return Life(life.cell.replace("whole cycles", "60 % of each discharge"), logs, np.array(capacity_Ah))


def first_cycle(life: Life, chemistry: str) -> Training:
    """The first discharge and the charge after it, and the slow test that nobody made, worked out from the two.

    A cycle says nothing of other temperatures, and its own warming is small: all is taken at its median.
    """
    at = int(np.flatnonzero(np.isfinite(life.capacity_Ah))[0])
    down, up = life.logs[at], life.logs[at + 1]
    degC = float(np.nanmedian(np.concatenate([down.cell_degC, up.cell_degC])))
    down, up = (log._replace(cell_degC=np.full(log.time_s.size, degC)) for log in (down, up))
    return Training([slow_instead(down, up)], [], [down, up], [], chemistry)


def slow_instead(down: CellLog, up: CellLog) -> CellLog:
    """A discharge and a charge at C/20 over the voltage between those of a fast discharge and charge.

    At one SOC the fast discharge lies below equilibrium and the charge above it, each by its current times about the
    same resistance, also while the charge is held at its last voltage: equilibrium is the mean, each voltage weighted
    by the other's current.
    """
    down_soc, down_V, down_A, size_Ah = one_way(down, 1.0)
    up_soc, up_V, up_A, _ = one_way(up, -1.0)
    soc = np.linspace(0.0, 1.0, SLOW_ROWS)
    down_V, down_A = (np.interp(1.0 - soc, down_soc, column) for column in (down_V, down_A))
    up_V, up_A = (np.interp(soc, up_soc, column) for column in (up_V, up_A))
    rest_V = (up_A * down_V + down_A * up_V) / (up_A + down_A)
    time_s = np.linspace(0.0, SLOW_HOURS * SECONDS_PER_HOUR, SLOW_ROWS)
    begin_s = time_s[-1] + time_s[1]  # without a gap, so that the charge is known to start empty
    current_A = np.full(SLOW_ROWS, size_Ah / SLOW_HOURS)
    current_A[0] = 0.0
    return CellLog(
        f"{down.name}_slow",
        np.concatenate([time_s, time_s + begin_s]),
        np.concatenate([current_A, -current_A]),
        np.concatenate([rest_V[::-1], rest_V]),
        np.full(2 * SLOW_ROWS, down.cell_degC[0]),
    )


def one_way(log: CellLog, sign: float) -> tuple[Array, Array, Array, float]:
    """Share of its charge, voltage and size of the current where a log runs one way, and that charge [Ah].

    A discharge counts until `END_V`, as the published capacity does.
    """
    flowed_Ah = sign * np.cumsum(log.current_A * np.diff(log.time_s, prepend=log.time_s[0])) / SECONDS_PER_HOUR
    runs = np.flatnonzero(sign * log.current_A > STILL_A)
    ended = np.flatnonzero(log.cell_V[runs] < END_V) if sign > 0.0 else np.empty(0, dtype=int)
    runs = runs[: ended[0] + 1] if ended.size else runs
    if runs.size < FEWEST_ROWS:
        raise ReadError(f"{log.name}: holds no {'discharge' if sign > 0.0 else 'charge'}; give a whole cycle")
    flowed_Ah, cell_V = flowed_Ah[runs], log.cell_V[runs]
    total_Ah = float(np.interp(-END_V, -cell_V[-2:], flowed_Ah[-2:]) if ended.size else flowed_Ah[-1])
    return flowed_Ah / total_Ah, cell_V, np.abs(log.current_A[runs]), total_Ah


def panasonic(data: Path) -> tuple[Life, Training]:
    """Drives of the fading cell in the order of the campaign, and what was known of it when new."""
    campaign = load("panasonic_f150")
    folder = data / campaign.folder
    paths = [path for start in ("25", "10", "0", "n10") for path in matched(folder, [f"{start}degC_Cycle_*.parquet"])]
    logs = [files.log(campaign, path) for path in paths]
    capacity_Ah = np.array([truth(campaign, path).capacity_Ah for path in paths])
    new = campaign.split[0].model_copy(update={"pulse": ["25degC_5[Pp]ulse_HPPC.parquet"]})
    return Life("Panasonic, drives from 25 to -10 degC", logs, capacity_Ah), files.training(campaign, new, folder)


def calce(path: Path) -> tuple[Array, Array, Array]:
    """Capacity [Ah], constant-current and constant-voltage time [s] of each charge of a CALCE CS2 cell.

    Cycles without one of the three, or with no charge at all, are left out.
    """
    try:
        rows = pl.read_csv(path, infer_schema_length=None)
    except BROKEN as error:
        raise broken(path, error) from error
    missing = {"capacity", "CCCT", "CVCT"} - set(rows.columns)
    if missing:
        raise ReadError(f"{path}: no column {sorted(missing)[0]}; give a CALCE feature file")
    kept = rows.select("capacity", "CCCT", "CVCT").drop_nulls().filter((pl.col("CCCT") > 0) & (pl.col("CVCT") > 0))
    capacity, current_s, voltage_s = (kept[name].cast(pl.Float64).to_numpy() for name in kept.columns)
    return capacity, current_s, voltage_s


def from_charge_time(known: Path, other: Path) -> float:
    """RMSE, as a share, of the other cell's capacity by the known cell's line over charge at constant current."""
    size_Ah, current_s, _ = calce(known)
    line_of = np.polyfit(CALCE_CHARGE_A * current_s / SECONDS_PER_HOUR, size_Ah, 1)
    size_Ah, current_s, _ = calce(other)
    return rms(np.polyval(line_of, CALCE_CHARGE_A * current_s / SECONDS_PER_HOUR) / size_Ah - 1.0)
