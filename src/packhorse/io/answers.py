"""What a replay answered, as tables in our own names: one row for each row of the log, each event, each cell.

Columns of a string end in its number, counted from 1, and so do places. What is not known is NaN.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from packhorse.estimation.belief import SOC_LEANS, SOC_ROW
from packhorse.estimation.power import HORIZONS_S
from packhorse.pack.faults import fault_rows
from packhorse.pack.words import Array, Event, Frames, Reason, Record, Severity, Signal, Stage, State

REASONS = [reason.name.lower() for reason in Reason]
STAGES = [stage.name.lower() for stage in Stage]
SEVERITIES = [severity.name.lower() for severity in Severity]
PER_STRING: dict[str, Signal] = {
    "cell_max_V": Signal.CELL_MAX_V,
    "cell_min_V": Signal.CELL_MIN_V,
    "spread_V": Signal.CELL_SPREAD_V,
    "probe_max_degC": Signal.DISCHARGE_MAX_DEGC,
    "probe_min_degC": Signal.DISCHARGE_MIN_DEGC,
}
"""Signals kept for each string."""
PLACES: dict[str, Signal] = {"cell_max_at": Signal.CELL_MAX_V, "cell_min_at": Signal.CELL_MIN_V}
UNIT_OF_SUFFIX = {"_OHM_PER_V": "ohm/V", "_V": "V", "_DEGC": "degC", "_A": "A", "_S": "s", "_SHARE": "share"}


def unit_of(signal: Signal) -> str:
    """Unit in which a signal is judged; empty for counts and flags."""
    if signal.name.endswith("_MISSING"):
        return ""
    return next((unit for suffix, unit in UNIT_OF_SUFFIX.items() if signal.name.endswith(suffix)), "")


def middle(values: Array) -> Array:
    """Median over the last axis of what is known; NaN where nothing is."""
    ordered = np.sort(values, axis=-1)  # NaN sorts to the end
    known = np.count_nonzero(~np.isnan(ordered), axis=-1)
    low = np.maximum((known - 1) // 2, 0)[..., None]
    high = np.maximum(known // 2, 0)[..., None]
    high = np.minimum(high, values.shape[-1] - 1)
    out: Array = (np.take_along_axis(ordered, low, -1) + np.take_along_axis(ordered, high, -1))[..., 0] / 2.0
    return np.where(known > 0, out, np.nan)


def results(record: Record, frames: Frames, soc_reference: Array, start: dt.datetime | None) -> pl.DataFrame:
    """One row for each row of the log."""
    columns: dict[str, Any] = {"time_s": record.time_s}
    if start is not None:
        columns["time"] = _dated(record.time_s, start)
    columns |= {"soc": record.soc, "soc_sigma": record.soc_sigma}
    columns |= {"energy_kWh": record.energy_kWh, "energy_sigma_kWh": record.energy_sigma_kWh}
    for k, way in enumerate(("discharge", "charge")):
        for n, horizon_s in enumerate(HORIZONS_S):
            columns[f"sop_{way}_{horizon_s:g}s_W"] = record.power_W[:, k, n]
    for k, name in enumerate(("discharge_limit_A", "charge_limit_A", "discharge_limit_W", "charge_limit_W")):
        columns[name] = record.limit[:, k]
    for k, name in enumerate(("discharge_reason", "charge_reason")):
        columns[name] = _named(record.reason[:, k], REASONS)
    for k, name in enumerate(("pump", "chiller", "radiator", "heater")):
        columns[name] = record.thermal[:, k]
    columns |= {"charge_request_A": record.charge[:, 0], "charge_request_V": record.charge[:, 1]}
    columns["soc_reference"] = soc_reference
    columns["isolation_ohm"] = frames.isolation_ohm
    for s in range(record.stage.shape[1]):
        columns |= _string(record, frames, s)
    return pl.DataFrame(columns)


def _string(record: Record, frames: Frames, s: int) -> dict[str, Any]:
    """The columns of one string."""
    n = s + 1
    columns: dict[str, Any] = {
        f"current_A_{n}": frames.string_A[:, s],
        f"string_V_{n}": frames.string_V[:, s],
        f"soc_{n}": record.string_soc[:, s],
        f"soc_sigma_{n}": record.string_soc_sigma[:, s],
        f"soc_min_{n}": record.soc_min[:, s],
        f"soc_max_{n}": record.soc_max[:, s],
        f"cell_median_V_{n}": middle(frames.cell_V[:, s]),
    }
    columns |= {f"{name}_{n}": record.signal[:, signal, s] for name, signal in PER_STRING.items()}
    for name, signal in PLACES.items():
        columns[f"{name}_{n}"] = pl.Series((record.place[:, signal, s] + 1.0).astype(np.int32))
    for k, name in enumerate(("capacity_health", "resistance_health", "usable_health")):
        columns[f"{name}_{n}"] = record.health[:, s, k]
    for k, name in enumerate(("capacity_health_sigma", "resistance_health_sigma")):
        columns[f"{name}_{n}"] = record.health_sigma[:, s, k]
    columns[f"stage_{n}"] = _named(record.stage[:, s], STAGES)
    columns[f"bleeding_{n}"] = record.bleeding[:, s].astype(np.int32)
    return columns


def _named(codes: Array, names: list[str]) -> pl.Series:
    """Codes as words."""
    return pl.Series(names, dtype=pl.Enum(names)).gather(codes.astype(np.uint32))


def _dated(time_s: Array, start: dt.datetime) -> pl.Series:
    micro = pl.Series(np.round(time_s * 1e6).astype(np.int64))
    return (micro + int((start - dt.datetime(1970, 1, 1)).total_seconds() * 1e6)).cast(pl.Datetime("us"))


EVENT_SCHEMA: dict[str, Any] = {
    "time_s": pl.Float64,
    "name": pl.String,
    "severity": pl.Enum(SEVERITIES),
    "raised": pl.Boolean,
    "string": pl.Int32,
    "place": pl.Int32,
    "value": pl.Float64,
    "unit": pl.String,
    "code": pl.Int32,
    "meaning": pl.String,
    "remedy": pl.String,
}


def events(found: list[Event], start: dt.datetime | None) -> pl.DataFrame:
    """One row for each fault that was raised or is gone; `place` is 0 where a fault has none."""
    rows = fault_rows()
    table = pl.DataFrame(
        [
            (
                event.time_s,
                rows[event.code].name,
                SEVERITIES[event.severity],
                event.raised,
                event.string + 1,
                event.place + 1,
                event.value,
                unit_of(rows[event.code].signal),
                event.code,
                rows[event.code].meaning,
                rows[event.code].remedy,
            )
            for event in found
        ],
        schema=EVENT_SCHEMA,
        orient="row",
    )
    if start is not None and table.height > 0:
        table.insert_column(1, _dated(table["time_s"].to_numpy(), start).alias("time"))
    return table


class CellLife:
    """Sums over every cell's readings, gathered block by block."""

    def __init__(self, strings: int, series: int, busy_A: float) -> None:
        shape = (strings, series)
        self.busy_A = busy_A
        self.low_V, self.high_V = np.full(shape, np.inf), np.full(shape, -np.inf)
        self.heard = np.zeros((3, *shape))
        self.deviation_V = np.zeros((3, *shape))
        self.rows = 0

    def take(self, frames: Frames) -> None:
        """Add a block: deviations from the string's median over all rows, while discharging, while charging."""
        cell_V = frames.cell_V
        known = ~np.isnan(cell_V)
        self.rows += cell_V.shape[0]
        self.low_V = np.minimum(self.low_V, np.where(known, cell_V, np.inf).min(axis=0))
        self.high_V = np.maximum(self.high_V, np.where(known, cell_V, -np.inf).max(axis=0))
        away = np.where(known, cell_V - middle(cell_V)[:, :, None], 0.0)
        everything = np.ones(frames.string_A.shape, dtype=bool)
        phases = (everything, frames.string_A > self.busy_A, frames.string_A < -self.busy_A)
        for k, phase in enumerate(phases):
            self.heard[k] += (known & phase[:, :, None]).sum(axis=0)
            self.deviation_V[k] += (away * phase[:, :, None]).sum(axis=0)

    def table(self, state: State) -> pl.DataFrame:
        """One row for each cell; rank 1 is the weakest: lowest against its string, on average over the whole log."""
        strings, series = self.low_V.shape
        string, cell = (np.indices((strings, series)) + 1).reshape(2, -1).astype(np.int32)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_V = np.where(self.heard > 0, self.deviation_V / self.heard, np.nan).reshape(3, -1)
        silent, p = self.heard[0].ravel() == 0, state.belief.covariance
        order = np.argsort(np.where(np.isnan(mean_V[0]), np.inf, mean_V[0]), kind="stable")
        rank = np.empty(order.size, dtype=np.int32)
        rank[order] = np.arange(1, order.size + 1)
        return pl.DataFrame(
            {
                "string": string,
                "cell": cell,
                "rank": rank,
                "soc": state.belief.soc.ravel(),
                "soc_sigma": np.hypot(np.sqrt(np.maximum(p[:, SOC_ROW], 0.0)), p[:, SOC_LEANS]).ravel(),
                "deviation_V": mean_V[0],
                "deviation_discharging_V": mean_V[1],
                "deviation_charging_V": mean_V[2],
                "min_V": np.where(silent, np.nan, self.low_V.ravel()),
                "max_V": np.where(silent, np.nan, self.high_V.ravel()),
                "not_heard": (self.rows - self.heard[0].ravel()).astype(np.int64),
            }
        ).sort("rank")
