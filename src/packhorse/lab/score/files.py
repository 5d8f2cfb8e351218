"""Files of a campaign as logs: columns, signs and units as the campaign says, truth kept apart from the log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from packhorse.io.cell_logs import CellLog
from packhorse.io.errors import ReadError
from packhorse.io.tables import BROKEN, broken, open_table
from packhorse.lab.score.campaign import Campaign, Split, matched
from packhorse.lab.training import Training
from packhorse.pack.words import Array

SLOW_H = 40.0
"""Hours of a discharge that an OCV curve is turned into."""
JOINT_S = 60.0
REST_ROWS = 60
SECONDS_PER_HOUR = 3600.0
HOLE_S = 30.0
"""Shorter holes are a slow sampling rate, and what was interpolated there is right."""


def column(path: Path, name: str) -> Array:
    """One column of a file. Raises ReadError where it is not there or holds no numbers."""
    table = open_table(path)
    table.must_have([name], "columns")
    try:
        block = next(iter(table.blocks([name], table.rows)))
        return np.ascontiguousarray(block[name].cast(pl.Float64).fill_null(np.nan).to_numpy(), dtype=np.float64)
    except BROKEN as error:
        raise broken(path, error) from error


def log(campaign: Campaign, path: Path, degC: float | None = None) -> CellLog:
    """A file as it would have been heard: time, current, voltage, temperature and nothing else."""
    columns = campaign.columns
    time_s = columns.time_factor * column(path, columns.time_s)
    factor = columns.current_factor * (-1.0 if columns.positive == "charge" else 1.0)
    current_A = factor * column(path, columns.current_A)
    cell_V = columns.voltage_factor * column(path, columns.cell_V)
    if columns.cell_degC is not None and degC is None:
        cell_degC = column(path, columns.cell_degC)
    else:
        cell_degC = np.full(time_s.size, campaign.temperature.of(path.name) if degC is None else degC)
    return CellLog(path.stem, time_s - time_s[0], current_A, cell_V, cell_degC)


def lesson(campaign: Campaign, path: Path) -> CellLog:
    """A file for identification: where the tester stored no row, the current is what its counter says has flowed.

    Some files were resampled over holes in which the cell was discharged, with the current of the hole's ends: zero.
    Without this the charge that flowed there is lost and every later SOC wrong. Estimators never get this.
    """
    heard = log(campaign, path)
    counter, measured = campaign.columns.counter_Ah, campaign.columns.measured
    if counter is None or measured is None or measured not in open_table(path).columns:
        return heard
    sign = -1.0 if campaign.columns.positive == "charge" else 1.0
    counted_Ah = sign * column(path, counter)
    return heard._replace(current_A=filled(heard.time_s, heard.current_A, counted_Ah, column(path, measured) == 0.0))


def filled(time_s: Array, current_A: Array, counted_Ah: Array, hole: NDArray[np.bool_]) -> Array:
    """The current with every hole of `HOLE_S` or more filled evenly, so that after it current and counter agree.

    That also makes good what was lost at the edges of pulses before the hole (1.5 % of the charge in one file).
    """
    current_A = current_A.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hole, [False]]).astype(np.int64)))
    flowed_Ah, since = 0.0, 0
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        first = max(int(begin), 1)
        last = int(end) - 1
        if last < first or time_s[last] - time_s[first - 1] < HOLE_S:
            continue
        dt_s = np.diff(time_s[since:first])
        flowed_Ah += float(np.sum(current_A[since + 1 : first] * dt_s)) / SECONDS_PER_HOUR
        missing_Ah = counted_Ah[last] - counted_Ah[0] - flowed_Ah
        current_A[first : last + 1] = missing_Ah * SECONDS_PER_HOUR / (time_s[last] - time_s[first - 1])
        flowed_Ah, since = flowed_Ah + missing_Ah, last
    return current_A


def joined(campaign: Campaign, first: Path) -> CellLog:
    """The parts of one test, in files of their own, as one log; `first` is the file of the first part."""
    if not campaign.join or not first.name.endswith(campaign.join[0]):
        return lesson(campaign, first)
    stem = first.name.removesuffix(campaign.join[0])
    own = campaign.temperature.of(first.name)
    parts, begin_s = [], 0.0
    for suffix, degC in zip(campaign.join, campaign.join_degC, strict=True):
        part = log(campaign, first.parent / f"{stem}{suffix}", own if degC == "own" else float(degC))
        parts.append(part._replace(time_s=part.time_s + begin_s))
        begin_s = float(parts[-1].time_s[-1]) + JOINT_S
    arrays = [np.concatenate([part[k] for part in parts]) for k in range(1, 5)]
    return CellLog(stem.rstrip("_"), *arrays)


def slow_log(campaign: Campaign, path: Path) -> CellLog:
    """An OCV curve as the slow discharge and charge that it was once measured with, a rest in between."""
    curve = campaign.ocv_curve
    if curve is None:
        raise ReadError(f"{path}: is an OCV curve, but the campaign has no [ocv_curve]; add its columns there")
    soc = curve.soc_factor * column(path, curve.soc)
    falling = np.argsort(-soc, kind="stable")
    current_A = campaign.nominal_Ah / SLOW_H
    run_s = SLOW_H * SECONDS_PER_HOUR * (1.0 - soc[falling])
    rest_s = run_s[-1] + JOINT_S * np.arange(1, REST_ROWS + 1)
    rest_V = np.full(REST_ROWS, column(path, curve.discharge_V)[falling][-1])
    volts = [column(path, curve.discharge_V)[falling], rest_V, column(path, curve.charge_V)[falling[::-1]]]
    flows = [np.full(soc.size, current_A), np.zeros(REST_ROWS), np.full(soc.size, -current_A)]
    back_s = rest_s[-1] + JOINT_S + SLOW_H * SECONDS_PER_HOUR * soc[falling[::-1]]
    time_s = np.concatenate([run_s, rest_s, back_s])
    degC = np.full(time_s.size, campaign.temperature.of(path.name))
    return CellLog(path.stem, time_s, np.concatenate(flows), np.concatenate(volts), degC)


def training(campaign: Campaign, split: Split, folder: Path) -> Training:
    """What the identification of one split may see."""
    ocv = [joined(campaign, path) for path in matched(folder, split.ocv)]
    ocv += [slow_log(campaign, path) for path in matched(folder, split.curve)]
    pulse, capacity, drive = (
        [lesson(campaign, path) for path in matched(folder, globs)]
        for globs in (split.pulse, split.capacity, split.drive)
    )
    return Training(ocv, pulse, capacity, drive, campaign.chemistry)
