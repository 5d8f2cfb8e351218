"""Recorded logs in: files of any vehicle become `Frames` in our own units, names and sign.

What a log does not hold is NaN; who drives is unknown, so that a request to drive is assumed where none is mapped.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl

from packhorse.io import mapping as maps
from packhorse.io import profiles
from packhorse.io.bus_files import read_dbc
from packhorse.io.bus_table import BusMapping, Progress, open_bus_table, wanted, with_ages
from packhorse.io.can_logs import open_can_log
from packhorse.io.errors import ReadError
from packhorse.io.mapping import UNITS, Current, Mapping, Reading, Time
from packhorse.io.profiles import Profile
from packhorse.io.tables import Table, numbers, open_table
from packhorse.pack.load import read
from packhorse.pack.words import Array, Frames, Pack
from packhorse.protocols.dbc import must_have
from packhorse.protocols.plan import Plan

BLOCK_ROWS = 20_000
EPOCH_S = 1e8
"""A clock beyond this counts from 1970."""
SILENT: dict[str, float] = {"age": 0.0, "drive_request": 1.0, "charge_request": 0.0, "reset_request": 0.0}
"""What is taken where a log says nothing; everything else is NaN."""
MAGNITUDE_PERCENTILE = 99.0


Rules = TypeVar("Rules", bound=Mapping)


class Block(NamedTuple):
    """Some rows of a log: frames, and what only people look at."""

    frames: Frames
    soc_reference: Array  # (times,)
    odometer_km: Array  # (times,)


class Log:
    """A log being read: blocks of frames in order, and what was found to be no reading on the way.

    `invalid` counts readings per (section, reason); `blank_rows` rows without any reading; `start` is the date and
    time of second 0 where the log's clock tells one; `complaint` what was wrong with the file, in one line.
    """

    def __init__(self, table: Table, mapping: Mapping, pack: Pack) -> None:
        self.path = table.path
        self.rows = table.rows
        self.mapping = mapping
        self.start: dt.datetime | None = None
        self.invalid: Counter[tuple[str, str]] = Counter()
        self.blank_rows = 0
        self.complaint = ""
        self._table = table
        self._pack = pack
        self._row = 0
        self._last_s = np.nan
        self._judged: set[str] = set()
        self._origin_us = 0
        self._origin_s = 0.0

    def blocks(self, rows: int = BLOCK_ROWS) -> Iterator[Block]:
        """Every row of the log, in order, at most `rows` at a time."""
        self._row, self._last_s, self.blank_rows, self.start = 0, np.nan, 0, None
        self.invalid.clear()
        self._judged.clear()
        wanted = dict.fromkeys(
            [*self.mapping.time.columns, *(c for r in self.mapping.readings().values() for c in r.names)]
        )
        for block in self._table.blocks(list(wanted), rows):
            yield self._block(block)
            self._row += block.height

    def _block(self, block: pl.DataFrame) -> Block:
        found: dict[str, Array] = {}
        heard = np.zeros(block.height, dtype=bool)
        for section, reading in self.mapping.readings().items():
            values: Array = numbers(self._table, block, reading.names, self._row).to_numpy().astype(np.float64)
            heard |= np.isfinite(values).any(axis=1)
            found[section] = self._ours(section, reading, values)
        self.blank_rows += int(np.count_nonzero(~heard))
        time_s = self._clock(self.mapping.time, block)
        frames = self._frames(time_s, found)
        blank = np.full(block.height, np.nan)
        soc, odometer = found.get("soc_reference"), found.get("odometer")
        return Block(frames, blank if soc is None else soc[:, 0], blank if odometer is None else odometer[:, 0])

    def _ours(self, section: str, reading: Reading, values: Array) -> Array:
        """Values in our unit and sign, NaN where they are none; what is none is counted by its reason."""
        factor, shift = UNITS[reading.unit]
        sign = -1.0 if isinstance(reading, Current) and reading.positive == "charge" else 1.0
        none = ~np.isfinite(values)
        self._count(section, "not a number", none)
        for code in reading.invalid:
            found = ~none & np.isclose(values, code, rtol=1e-6, atol=1e-9)
            self._count(section, f"code {code:g}", found)
            none |= found
        ours: Array = sign * ((np.where(none, np.nan, values) * reading.factor + reading.offset) * factor + shift)
        self._judge_magnitude(section, reading, ours)
        if reading.believed is not None:
            low, high = reading.believed
            outside = ~none & ~((ours >= low) & (ours <= high))
            self._count(section, f"outside {low:g} to {high:g}", outside)
            ours[outside] = np.nan
        return ours

    def _count(self, section: str, reason: str, found: np.ndarray) -> None:
        number = int(np.count_nonzero(found))
        if number > 0:
            self.invalid[section, reason] += number

    def _judge_magnitude(self, section: str, reading: Reading, ours: Array) -> None:
        """Refuse units that cannot be right, once per section, on the first rows that say anything."""
        some = ours[np.isfinite(ours)]
        if section in self._judged or some.size == 0:
            return
        complaint = magnitude_complaint(section, reading, some, self._pack)
        if complaint:
            raise ReadError(f"{self.path}: {complaint}")
        self._judged.add(section)

    def _clock(self, time: Time, block: pl.DataFrame) -> Array:
        """Seconds of every row; a row without a time stands still; time running backwards is refused."""
        name = time.columns[0]
        column = block[name]
        if time.unit == "datetime":
            seconds = self._dated(column)
        else:
            if column.dtype.is_temporal():
                raise ReadError(f'{self.path}: column {name} holds dates; write unit = "datetime" in [time]')
            seconds = numbers(self._table, block, [name], self._row)[name].to_numpy().astype(np.float64)
            seconds = np.where(np.isfinite(seconds), seconds, np.nan) * UNITS[time.unit][0]
            seconds = self._from_first(seconds)
        return self._forward(name, seconds)

    def _dated(self, column: pl.Series) -> Array:
        """Seconds since the first row of dates and times, in UTC where they tell their zone."""
        if column.dtype == pl.String:
            try:
                dated = column.str.strip_chars().str.to_datetime(time_unit="us", strict=False)
            except pl.exceptions.PolarsError as error:
                found = str(column.drop_nulls().first())[:40]
                raise ReadError(
                    f"{self.path}: column {column.name}: {found!r} is not a date and time; "
                    'write 2026-01-31 12:00:00, or give unit = "s" or "ms" in [time]'
                ) from error
            wrong = (dated.is_null() & column.is_not_null()).arg_true()
            if len(wrong) > 0:
                raise ReadError(
                    f"{self.path}: column {column.name}, {self._table.line(self._row + int(wrong[0]))}: "
                    f"{column[int(wrong[0])]!r} is not a date and time; correct it or remove the line"
                )
            column = dated
        if not column.dtype.is_temporal() or column.dtype in (pl.Time, pl.Duration):
            raise ReadError(
                f'{self.path}: column {column.name} holds {column.dtype}, not dates; write unit = "s" or "ms" in [time]'
            )
        since_1970 = column.cast(pl.Datetime("us")) if column.dtype == pl.Date else column
        micro = since_1970.dt.epoch("us")
        if self.start is None:
            first = micro.drop_nulls().first()
            if not isinstance(first, int):
                return np.full(len(column), np.nan)
            self.start = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=first)
            self._origin_us = first
        seconds: Array = (micro - self._origin_us).cast(pl.Float64).to_numpy() / 1e6
        return seconds

    def _from_first(self, seconds: Array) -> Array:
        """A clock that counts from 1970 is brought to the first row; any other is kept to the bit."""
        heard = seconds[~np.isnan(seconds)]
        if self.start is None and self._row == 0 and heard.size > 0 and heard[0] > EPOCH_S:
            self.start = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=float(heard[0]))
            self._origin_s = float(heard[0])
        return seconds - self._origin_s if self.start is not None else seconds

    def _forward(self, name: str, seconds: Array) -> Array:
        """Times with holes filled from before (at the very start from behind), never falling."""
        heard = ~np.isnan(seconds)
        if not heard.any() and np.isnan(self._last_s):
            raise ReadError(f"{self.path}: column {name} holds no times; map another column in [time]")
        self._count("time", "not a number", ~heard)
        begin = self._last_s if not np.isnan(self._last_s) else seconds[heard][0]
        chain = np.concatenate(([begin], seconds))
        last = np.maximum.accumulate(np.where(np.isnan(chain), -1, np.arange(chain.size)))
        chain = chain[last]
        back = np.flatnonzero(np.diff(chain) < 0.0)
        if back.size > 0:
            k = int(back[0])
            raise ReadError(
                f"{self.path}: time runs backwards at {self._table.line(self._row + k)} ({name}): "
                f"{self.say(chain[k])} is followed by {self.say(chain[k + 1])}; sort the log by time or cut it there"
            )
        self._last_s = float(chain[-1])
        return chain[1:]

    def say(self, time_s: float) -> str:
        """A time of this log as people write it."""
        if self.start is None:
            return f"{time_s:.10g} s"
        return (self.start + dt.timedelta(seconds=float(time_s))).isoformat(" ", "milliseconds").removesuffix(".000")

    def _frames(self, time_s: Array, found: dict[str, Array]) -> Frames:
        times, pack = time_s.size, self._pack

        def of(section: str) -> Array:
            width = maps.per_string(section, pack)
            flat = max(width, 1) * (pack.strings if width else 1)
            values = found.get(section, np.full((times, flat), SILENT.get(section, np.nan)))
            if width == 0:
                return np.ascontiguousarray(values[:, 0])
            shape = (times, pack.strings) if section in ("current", "string_voltage") else (times, pack.strings, width)
            return np.ascontiguousarray(values).reshape(shape)

        return Frames(
            time_s=time_s,
            cell_V=of("cell_voltage"),
            probe_degC=of("probe_temperature"),
            string_A=of("current"),
            string_V=of("string_voltage"),
            age_s=of("age"),
            contactor=of("contactor_feedback"),
            link_V=of("link_voltage"),
            isolation_ohm=of("isolation"),
            hvil=of("hvil"),
            inlet_degC=of("inlet_temperature"),
            outlet_degC=of("outlet_temperature"),
            ambient_degC=of("ambient_temperature"),
            drive_request=of("drive_request"),
            charge_request=of("charge_request"),
            reset_request=of("reset_request"),
        )


def magnitude_complaint(section: str, reading: Reading, some: Array, pack: Pack) -> str:
    """Why readings of a section cannot be in the unit they are said to be in; empty where they can."""
    middle = float(np.median(some))
    if section == "cell_voltage":
        return _voltage_complaint(section, reading.unit, middle, 1.0)
    if section in ("string_voltage", "link_voltage"):
        alive = some[some != 0.0]
        return _voltage_complaint(section, reading.unit, float(np.median(alive)), pack.series) if alive.size else ""
    if section == "current":
        most_A = float(np.percentile(np.abs(some), MAGNITUDE_PERCENTILE))
        rated_A = float(pack.cell.degC_nodes[:, 5].max())
        if most_A > 20.0 * rated_A:
            return f"[current] reaches {most_A:.4g} A where the pack is rated for {rated_A:.4g} A; " + (
                'these look like mA, write unit = "mA"' if reading.unit == "A" else "check unit and factor"
            )
    if section.endswith("_temperature") and middle > 150.0:
        looks = 'K, write unit = "K"' if 230.0 < middle < 360.0 else "counts, write factor and offset"
        return f"[{section}] is around {middle:.4g} degC; these look like {looks}"
    return ""


def _voltage_complaint(section: str, unit: str, middle_V: float, cells: float) -> str:
    each_V = abs(middle_V) / cells
    if 0.2 <= each_V <= 8.0:
        return ""
    said = f"[{section}] is around {middle_V:.4g} V, {each_V:.4g} V for each cell; expected 1 to 5 V"
    if unit == "V" and 200.0 <= each_V <= 8_000.0:
        return f'{said}; these look like mV, write unit = "mV"'
    if unit == "mV" and 0.0002 <= each_V <= 0.008:
        return f'{said}; these look like V, write unit = "V"'
    return f"{said}; check unit, factor and columns" if each_V > 8.0 else ""


def open_log(path: Path, mapping: Path | None, pack: Pack) -> Log:
    """A log ready to be read; mapping and columns are checked before the first row is."""
    table = open_table(path)
    if mapping is None:
        rules = maps.own(table.columns, pack)
        if rules is None:
            shown = ", ".join(table.columns[:6])
            raise ReadError(
                f"{path}: its columns ({shown} ...) are not in our own names (time_s, current_A, cell_V_1 ...); "
                "say what they are in a mapping file: --map FILE, see docs/mapping.md"
            )
    else:
        rules = read(mapping, Mapping)
    return checked(table, rules, mapping, pack)


def open_bus_log(path: Path, dbc: Path, mapping: Path, pack: Pack, progress: Progress | None = None) -> Log:
    """A recorded bus, decoded and brought to rows, ready to be read as any other log.

    `progress` is told how many frames were read. What was wrong with the file is in `complaint`.
    """
    rules = read(mapping, BusMapping)
    return bus_log(path, read_dbc(dbc, signals_of(rules)), rules, mapping, pack, progress)


def open_profile_log(path: Path, profile: Profile, pack: Pack, progress: Progress | None = None) -> Log:
    """A recorded bus of another battery system, by its profile alone."""
    rules = profiles.mapping(profile, pack)
    must_have(profile.plan, signals_of(rules), str(profile.path))
    return bus_log(path, profile.plan, rules, profile.path, pack, progress)


def signals_of(rules: BusMapping) -> list[str]:
    """Every signal that a mapping names."""
    return [one.signal for one in wanted(name for reading in rules.readings().values() for name in reading.names)]


def bus_log(
    path: Path, plan: Plan, rules: BusMapping, where: Path, pack: Pack, progress: Progress | None = None
) -> Log:
    """A recorded bus by what its messages hold and what that is; `where` is the file that says so."""
    found = open_can_log(path)
    rules = must_fit(rules, where, pack)
    table = open_bus_table(found, plan, rules, pack, progress)
    log = checked(table, with_ages(rules, pack), where, pack)
    unheard = f"never heard: {', '.join(table.unheard[:6])}" if table.unheard else ""
    log.complaint = "; ".join(said for said in (found.complaint(), unheard) if said)
    return log


def must_fit(rules: Rules, mapping: Path | None, pack: Pack) -> Rules:
    """Refuse a mapping that names more or fewer columns than the pack has, or one of them twice."""
    where = f"{mapping}: " if mapping is not None else ""
    for section, reading in rules.readings().items():
        names = reading.names
        width = maps.per_string(section, pack)
        need = width * pack.strings if width else 1
        if len(names) != need:
            raise ReadError(
                f"{where}[{section}] names {len(names)} columns where the pack has {need} "
                f"({pack.strings} strings of {max(width, 1)}); give them string by string"
            )
        if len(set(names)) < len(names):
            again = next(name for name in names if names.count(name) > 1)
            raise ReadError(f"{where}[{section}] names column {again} twice; each reading has its own column")
    return rules


def checked(table: Table, rules: Mapping, mapping: Path | None, pack: Pack) -> Log:
    """A log whose mapping fits table and pack. Raises ReadError."""
    table.must_have(rules.time.columns, "time")
    for section, reading in rules.readings().items():
        table.must_have(reading.names, section)
    must_fit(rules, mapping, pack)
    return Log(table, rules, pack)


def to_table(frames: Frames) -> pl.DataFrame:
    """Frames as a table in our own names: written as Parquet, it is read back with the same bits."""
    columns: dict[str, Array] = {"time_s": frames.time_s}
    for name, values in zip(Frames._fields[1:], frames[1:], strict=True):
        if values.ndim == 1:
            columns[name] = values
        elif values.ndim == 2:
            columns.update({f"{name}_{s + 1}": values[:, s] for s in range(values.shape[1])})
        else:
            places = np.ndindex(values.shape[1:])
            columns.update({f"{name}_{s + 1}_{k + 1}": values[:, s, k] for s, k in places})
    return pl.DataFrame(columns)
