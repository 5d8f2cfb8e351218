"""Logs of one cell, as laboratories deliver them: repaired where that is safe and counted, refused where it is not."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from packhorse.io.errors import ReadError
from packhorse.io.mapping import UNITS, Current, Mapping, Reading, nearest
from packhorse.io.tables import NO_READING, Table, open_table
from packhorse.pack.load import read as read_description
from packhorse.pack.words import Array

OWN = {
    "time": {"column": "time_s", "unit": "s"},
    "current": {"column": "current_A", "unit": "A", "positive": "discharge"},
    "cell_voltage": {"column": "cell_V", "unit": "V"},
}
"""The mapping of a log in our own names, less the temperature, which may be absent."""
OWN_TEMPERATURE = {"column": "cell_degC", "unit": "degC"}
USED = ("current", "cell_voltage", "probe_temperature")
"""Sections of a mapping file that speak of a single cell; the others are left alone."""
LEAST_ROWS = 10
"""Fewer rows tell nothing about a cell."""
LOW_V, HIGH_V = 0.5, 5.5
"""No cell rests outside these: a median that does was given in another unit, or is a pack's."""
KELVIN_FROM = 150.0
"""No laboratory log is this hot in degC at its median; room temperature in K is 298."""
EPOCH_S = 1e8
"""A clock beyond this counts from 1970 and is brought to its first row."""
FAR_STEP_S = 300.0
"""Rows further apart say nothing about pulses; a log of 1 row/s read as ms stands 1000 s apart."""
WIDE_STEP_S, MOST_HOURS = 50.0, 100.0
"""A log of 10 rows/s read as ms stands 100 s apart, and would take weeks to move its charge at its own current;
the slowest real tests take 40 hours."""
NEAR_STEP_S = 0.002
"""A log of 1 row/s in seconds that is read as ms stands 0.001 s apart; testers write at most some hundred rows/s."""


class CellLog(NamedTuple):
    """What a tester measured of one cell, in order of time. Positive current discharges; NaN is not measured."""

    name: str
    time_s: Array  # (times,)
    current_A: Array
    cell_V: Array
    cell_degC: Array


class Repairs(NamedTuple):
    """What was put right while a log was read, in rows or readings."""

    rows: int = 0
    """Rows in the file."""
    timeless: int = 0
    """Rows without a time, left out."""
    unsorted: int = 0
    """Rows earlier than one before them, sorted in."""
    doubled: int = 0
    """Rows whose time came again later in the file; the last of them was kept."""
    no_current: int = 0
    """Readings of current that were none: NaN."""
    no_voltage: int = 0
    no_temperature: int = 0
    """Readings of temperature that were none, in a log that has a temperature."""

    def said(self) -> str:
        """One line for people; empty where nothing was put right."""
        parts = (
            (self.timeless, "without a time left out"),
            (self.unsorted, "out of order sorted"),
            (self.doubled, "with a time that came again left out (the last kept)"),
            (self.no_current, "without a current"),
            (self.no_voltage, "without a voltage"),
            (self.no_temperature, "without a temperature"),
        )
        found = [f"{count} {what}" for count, what in parts if count > 0]
        return f"of {self.rows} rows: {', '.join(found)}" if found else ""


def read(path: Path, mapping: Path | None = None) -> tuple[CellLog, Repairs]:
    """One cell's log from Parquet, CSV or packed CSV, and what was put right in it.

    Without a mapping file the columns are `time_s`, `current_A` (positive discharges), `cell_V` and, if the tester
    measured it, `cell_degC`. A mapping file gives any names, units and signs: see docs/mapping.md.

    Raises ReadError for a log that cannot be what it should be, ConfigurationError for a wrong mapping file.
    """
    table = open_table(path)
    rules = _own(table) if mapping is None else read_description(mapping, Mapping)
    sections = {name: reading for name, reading in rules.readings().items() if name in USED}
    columns = [rules.time.columns[0], *(_column(table, name, reading) for name, reading in sections.items())]
    table.must_have(columns[:1], "time")
    block = next(table.blocks(list(dict.fromkeys(columns)), table.rows))
    time_s = _seconds(table, block[columns[0]], rules.time.unit)
    blank = np.full(table.rows, np.nan)
    found = {
        name: _ours(table, name, reading, block[column])
        for (name, reading), column in zip(sections.items(), columns[1:], strict=True)
    }
    order, repairs = _in_order(path, time_s)
    current_A, cell_V, cell_degC = (np.ascontiguousarray(found.get(name, blank)[order]) for name in USED)
    name = path.name.removesuffix(".gz").removesuffix(".GZ")
    log = CellLog(name.rsplit(".", 1)[0], np.ascontiguousarray(time_s[order]), current_A, cell_V, cell_degC)
    _judge(path, log, rules)
    silent = [int(np.count_nonzero(np.isnan(values))) for values in log[2:]]
    return log, repairs._replace(
        no_current=silent[0],
        no_voltage=silent[1],
        no_temperature=silent[2] if "probe_temperature" in found else 0,
    )


def _own(table: Table) -> Mapping:
    """The mapping of a log in our own names; a missing one is refused with the nearest there is."""
    for section in OWN.values():
        column = section["column"]
        if column not in table.columns:
            raise ReadError(
                f"{table.path}: no column {column}; {nearest(column, table.columns)}; rename it, or say what the "
                "columns are in a mapping file: see docs/mapping.md"
            )
    has_temperature = OWN_TEMPERATURE["column"] in table.columns
    return Mapping.model_validate(OWN | ({"probe_temperature": OWN_TEMPERATURE} if has_temperature else {}))


def _column(table: Table, section: str, reading: Reading) -> str:
    """The one column of a section."""
    table.must_have(reading.names, section)
    if len(reading.names) != 1:
        raise ReadError(
            f"{table.path}: [{section}] of the mapping names {len(reading.names)} columns; the log of one cell has one"
        )
    return reading.names[0]


def _seconds(table: Table, column: pl.Series, unit: str) -> Array:
    """The clock in seconds, NaN where it says nothing; dates, and clocks since 1970, count from the first row."""
    if unit == "datetime":
        if column.dtype == pl.String:
            text = column.str.strip_chars()
            try:
                column = text.str.to_datetime(time_unit="us", strict=False)
            except pl.exceptions.PolarsError:
                column = pl.Series(column.name, [None] * len(column), dtype=pl.Datetime("us"))
        if column.dtype not in (pl.Date, pl.Datetime) or column.null_count() == len(column):
            raise ReadError(
                f"{table.path}: column {column.name} holds no dates and times; write 2026-01-31 12:00:00, or give "
                'unit = "s" or "ms" in [time]'
            )
        micro = (column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column).dt.epoch("us")
        dated: Array = (micro - micro.drop_nulls()[0]).cast(pl.Float64).to_numpy() / 1e6
        return dated
    if column.dtype.is_temporal():
        raise ReadError(f'{table.path}: column {column.name} holds dates; write unit = "datetime" in [time]')
    seconds = _numbers(table, column) * UNITS[unit][0]
    heard = seconds[np.isfinite(seconds)]
    if heard.size == 0:
        raise ReadError(f"{table.path}: column {column.name} holds no times; name the clock's column in [time]")
    return seconds - heard[0] if heard[0] > EPOCH_S else seconds


def _numbers(table: Table, column: pl.Series, needed: bool = True) -> Array:
    """A column as float64, NaN where it holds no number; one that is needed and holds none at all is refused."""
    kind = column.dtype
    if not (kind.is_numeric() or kind in (pl.Boolean, pl.String, pl.Null)):
        raise ReadError(f"{table.path}: column {column.name} holds {kind}, not numbers; map another column")
    text = column.str.strip_chars() if kind == pl.String else column
    values: Array = text.cast(pl.Float64, strict=False).to_numpy().astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    if needed and np.isnan(values).all():
        said = [] if kind != pl.String else [value for value in text.drop_nulls() if value not in NO_READING]
        hint = "write decimals with a point" if said and "," in said[0] else "map another column, or record it again"
        first = f" (the first is {said[0][:40]!r})" if said else ""
        raise ReadError(f"{table.path}: column {column.name} holds no number{first}; {hint}")
    return values


def _ours(table: Table, section: str, reading: Reading, column: pl.Series) -> Array:
    """A column in our unit and sign, NaN where it is no reading; a unit that cannot be right is refused."""
    needed = section != "probe_temperature"
    values = _numbers(table, column, needed)
    for code in reading.invalid:
        values[np.isclose(values, code, rtol=1e-6, atol=1e-9)] = np.nan
    factor, shift = UNITS[reading.unit]
    sign = -1.0 if isinstance(reading, Current) and reading.positive == "charge" else 1.0
    ours: Array = sign * ((values * reading.factor + reading.offset) * factor + shift)
    complaint = _unit_complaint(section, reading.unit, ours[~np.isnan(ours)])
    if complaint:
        raise ReadError(f"{table.path}: column {column.name} {complaint}")
    if reading.believed is not None:
        low, high = reading.believed
        ours[~((ours >= low) & (ours <= high))] = np.nan
    if needed and np.isnan(ours).all():
        raise ReadError(
            f"{table.path}: column {column.name} holds no reading that [{section}] believes; "
            "check unit, factor, invalid and valid"
        )
    return ours


def _unit_complaint(section: str, unit: str, some: Array) -> str:
    """Why readings cannot be in the unit they are said to be in; empty where they can."""
    if some.size == 0:
        return ""
    middle = float(np.median(some))
    if section == "cell_voltage" and not LOW_V <= middle <= HIGH_V:
        said = f"is around {middle:.4g} V; a cell has {LOW_V:g} to {HIGH_V:g} V"
        if unit == "V" and LOW_V <= middle / 1000.0 <= HIGH_V:
            return f'{said}; these look like mV, write unit = "mV" in [cell_voltage] of a mapping file'
        if unit == "mV" and LOW_V <= middle * 1000.0 <= HIGH_V:
            return f'{said}; these look like V, write unit = "V" in [cell_voltage]'
        return f"{said}; name the column of one cell's voltage, or check unit and factor"
    if section == "probe_temperature" and middle > KELVIN_FROM:
        return f'is around {middle:.4g} degC; these look like K, write unit = "K" in [probe_temperature]'
    return ""


def _in_order(path: Path, time_s: Array) -> tuple[np.ndarray, Repairs]:
    """Places of the rows to keep, by rising time, the last of equal times; and what that left out."""
    heard = np.flatnonzero(~np.isnan(time_s))
    times = time_s[heard]
    unsorted = int(np.count_nonzero(times < np.maximum.accumulate(times)))
    order = heard[np.argsort(times, kind="stable")]
    last = np.append(np.diff(time_s[order]) > 0.0, True)
    kept = order[last]
    if kept.size < LEAST_ROWS:
        raise ReadError(
            f"{path}: {kept.size} different times in {time_s.size} rows; at least {LEAST_ROWS} are needed, so record "
            "longer or check that [time] names the clock"
        )
    return kept, Repairs(time_s.size, time_s.size - heard.size, unsorted, int(order.size - kept.size))


def _judge(path: Path, log: CellLog, rules: Mapping) -> None:
    """Refuse a clock in another unit than it is said to be in, and columns that were emptied by leaving rows out."""
    for values, name in ((log.current_A, "current"), (log.cell_V, "cell_voltage")):
        if np.isnan(values).all():
            raise ReadError(f"{path}: no row with a time has a reading of [{name}]; check the columns")
    step_s = float(np.median(np.diff(log.time_s)))
    current_A = np.nan_to_num(log.current_A)
    moved_Ah = np.cumsum(current_A[1:] * np.diff(log.time_s)) / 3600.0
    most_A = float(np.percentile(np.abs(current_A), 99.0))
    hours = float(np.ptp(moved_Ah)) / most_A if most_A > 0.0 else 0.0
    far = step_s >= FAR_STEP_S or (step_s >= WIDE_STEP_S and hours > MOST_HOURS)
    if far and rules.time.unit != "datetime":
        looks = 'these look like ms, write unit = "ms" in [time] of a mapping file' if rules.time.unit == "s" else ""
        raise ReadError(
            f"{path}: column {rules.time.columns[0]} steps by {step_s:.4g} s from row to row, expected 0.01 to 60 s; "
            + (looks or "check [time]")
        )
    if step_s <= NEAR_STEP_S and rules.time.unit == "ms":
        raise ReadError(
            f"{path}: column {rules.time.columns[0]} steps by {step_s:.4g} s from row to row, expected 0.01 to 60 s; "
            'these look like seconds, write unit = "s" in [time]'
        )
