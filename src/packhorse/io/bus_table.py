"""A recorded bus as a table: the signals that a mapping names, as rows at a steady period.

Each row holds the last value of every signal at that time, as long as it is not older than patience; how old the
readings are goes with them. Where nothing at all is heard for `LONGEST_SILENCE_S`, rows stop until something is.
A clock that is set back goes on from where it was.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from packhorse.io.can_logs import CanLog
from packhorse.io.errors import ReadError
from packhorse.io.mapping import Age, Mapping, Time, per_string
from packhorse.io.survey import parts
from packhorse.io.tables import Table
from packhorse.pack.description import Described
from packhorse.pack.words import Array, Index, Pack
from packhorse.protocols import decoding
from packhorse.protocols.decoding import Decoded
from packhorse.protocols.frames import CanFrames
from packhorse.protocols.plan import OWNER, Plan

LONGEST_SILENCE_S = 60.0
SET_BACK_S = 1.0
"""A time further back than this is a clock that was set; less is frames of several buses out of order."""
PART_ROWS, SLACK = 20_000, 1e-6
CLOCK_S = 2e-6
"""Logs keep microseconds: a frame that seems to be so much later than a row was heard with it."""
AGED = ("cell_voltage", "probe_temperature", "current")
"""Sections whose age goes into a frame, in its order."""
SENDER = re.compile(r"^(.*)@([0-9A-Fa-f]{2})(\..*)$")
Progress = Callable[[int], None]


class Bus(Described):
    """How a recorded bus becomes rows."""

    period_s: float = Field(default=0.1, gt=0.0, le=10.0)
    patience_s: float | None = Field(default=None, gt=0.0)
    channel: int | None = Field(default=None, ge=0, le=255)


class BusMapping(Mapping):
    """A mapping file for a recorded bus; its columns are signals, `Message.Signal` or `Message@F3.Signal`."""

    time: Time = Time(columns=["time_s"], unit="s")
    bus: Bus = Bus()


class Wanted(NamedTuple):
    """A signal that a mapping names."""

    name: str
    signal: str
    sender: int  # -1 for any


class Held(NamedTuple):
    """The last readings of every wanted signal."""

    time_s: Array
    value: Array


class BusTable(Table):
    """A recorded bus, decoded and brought to rows in a folder that goes with it."""

    def __init__(
        self, path: Path, folder: tempfile.TemporaryDirectory[str], files: list[Path], unheard: list[str]
    ) -> None:
        frame = pl.scan_parquet(files)
        rows = int(frame.select(pl.len()).collect().item())
        super().__init__(path, frame, frame.collect_schema(), rows, first_line=0)
        self.unheard = unheard
        self._folder = folder


def wanted(names: Iterable[str]) -> list[Wanted]:
    """Names of a mapping as signals, some of them of one sender only."""
    found = []
    for name in names:
        part = SENDER.match(name)
        found.append(Wanted(name, part[1] + part[3], int(part[2], 16)) if part else Wanted(name, name, -1))
    return found


def open_bus_table(
    log: CanLog, plan: Plan, rules: BusMapping, pack: Pack, progress: Progress | None = None
) -> BusTable:
    """Every row of a recorded bus. `progress` is told how many frames were read. Raises ReadError."""
    names = [name for reading in rules.readings().values() for name in reading.names]
    if len(set(names)) < len(names):
        again = next(name for name in names if names.count(name) > 1)
        raise ReadError(f"{log.path}: the mapping names signal {again} twice; each reading has its own")
    folder = tempfile.TemporaryDirectory(prefix="packhorse-")
    rows = Rows(log.path, plan, wanted(names), rules, pack)
    files: list[Path] = []
    for part in parts(log, plan):
        for table in rows.take(part.frames, part.decoded):
            files.append(Path(folder.name) / f"{len(files):06d}.parquet")
            table.write_parquet(files[-1])
        if progress is not None:
            progress(log.frames)
    for table in rows.finish():
        files.append(Path(folder.name) / f"{len(files):06d}.parquet")
        table.write_parquet(files[-1])
    return BusTable(log.path, folder, files, rows.unheard())


class Rows:
    """Rows being made, block by block."""

    def __init__(self, path: Path, plan: Plan, signals: list[Wanted], rules: BusMapping, pack: Pack) -> None:
        patience_s = rules.bus.patience_s
        self._path, self._plan, self._signals, self._bus = path, plan, signals, rules.bus
        self._patience_s = pack.sensors.patience_s if patience_s is None else patience_s
        self._ages = ages(rules, pack, {one.name: k for k, one in enumerate(signals)})
        self._held = [Held(np.array([-np.inf]), np.array([np.nan])) for _ in signals]
        self._speakers: dict[int, set[int]] = {}
        self._origin_s = self._last_s = np.nan
        self._shift_s = 0.0
        self._row = 0

    def take(self, frames: CanFrames, decoded: Decoded) -> Iterator[pl.DataFrame]:
        """Rows before the time of the last of these frames: more of that time may come. Raises ReadError."""
        times_s = self._forward(frames.time_s)
        self._note_speakers(frames, decoded)
        said = [self._said(k, frames, decoded, times_s) for k in range(len(self._signals))]
        for rows_s in self._rows(times_s):
            yield self._table(rows_s, said)
        self._held = [Held(one.time_s[-1:], one.value[-1:]) for one in said]

    def finish(self) -> Iterator[pl.DataFrame]:
        """The row at the time of the very last frame, where one is due."""
        if not np.isnan(self._last_s) and self._row <= (self._last_s - self._origin_s) / self._bus.period_s + SLACK:
            yield self._table(np.array([self._origin_s + self._bus.period_s * self._row]), self._held)

    def unheard(self) -> list[str]:
        """Signals of the mapping that were never said. Raises ReadError where that is all of them."""
        if not self._speakers:
            named = ", ".join(one.name for one in self._signals[:3])
            raise ReadError(f"{self._path}: no signal of the mapping is on this bus ({named} ...); check both")
        return [one.name for k, one in enumerate(self._signals) if k not in self._speakers]

    def _forward(self, time_s: Array) -> Array:
        """Times that never fall: small disorder stands still, a clock that was set back goes on."""
        if np.isnan(self._origin_s):
            self._origin_s = self._last_s = float(time_s[0])
        step_s = np.diff(np.concatenate(([self._last_s - self._shift_s], time_s)))
        shift_s = self._shift_s + np.cumsum(np.where(step_s < -SET_BACK_S, -step_s, 0.0))
        self._shift_s = float(shift_s[-1])
        return np.maximum.accumulate(np.concatenate(([self._last_s], time_s + shift_s)))[1:]

    def _rows(self, times_s: Array) -> Iterator[Array]:
        """Times of the rows that are due, some at a time; none within a long silence."""
        chain_s = np.concatenate(([self._last_s], times_s))
        silent = np.flatnonzero(np.diff(chain_s) > LONGEST_SILENCE_S)
        begins_s = np.concatenate((chain_s[:1], chain_s[silent + 1])) - self._origin_s
        ends_s = np.concatenate((chain_s[silent] + LONGEST_SILENCE_S, chain_s[-1:])) - self._origin_s
        for begin_s, end_s in zip(begins_s, ends_s, strict=True):
            first = max(self._row, math.ceil(begin_s / self._bus.period_s - SLACK))
            self._row = max(first, math.ceil(end_s / self._bus.period_s - SLACK))
            for k in range(first, self._row, PART_ROWS):
                yield self._origin_s + self._bus.period_s * np.arange(
                    k, min(k + PART_ROWS, self._row), dtype=np.float64
                )
        self._last_s = float(times_s[-1])

    def _said(self, k: int, frames: CanFrames, decoded: Decoded, times_s: Array) -> Held:
        """What a block says of a signal, behind what was held before."""
        one, was = self._signals[k], self._held[k]
        found = decoding.column(self._plan, decoded, one.signal)
        right = self._right(one, frames, found.frame)
        time_s = np.concatenate((was.time_s, times_s[found.frame[right]]))
        return Held(time_s, np.concatenate((was.value, found.values[right])))

    def _right(self, one: Wanted, frames: CanFrames, frame: Index) -> NDArray[np.bool_]:
        """Which frames come from the sender and the bus that were asked for."""
        right = np.ones(frame.size, dtype=bool)
        if one.sender >= 0:
            right &= (frames.id[frame] & 0xFF) == one.sender
        if self._bus.channel is not None:
            right &= frames.bus[frame] == self._bus.channel
        return right

    def _note_speakers(self, frames: CanFrames, decoded: Decoded) -> None:
        """Remember who says what. Raises ReadError where several do and none was asked for."""
        for k, one in enumerate(self._signals):
            m = int(self._plan.tables.signal[self._plan.signals[one.signal], OWNER])
            frame = decoded.frame[decoded.first[m] : decoded.first[m + 1]]
            frame = frame[self._right(one, frames, frame)]
            if frame.size:
                sender = frames.id[frame] & 0xFF if self._plan.messages[m].j1939 else np.zeros(frame.size, np.uint32)
                speakers = self._speakers.setdefault(k, set())
                speakers.update(np.unique(frames.bus[frame].astype(np.int64) << 8 | sender).tolist())
                self._must_be_one(one, speakers)

    def _must_be_one(self, one: Wanted, speakers: set[int]) -> None:
        """Refuse a signal that several nodes say, or that is on several buses: its values must not be mixed."""
        if len(speakers) == 1:
            return
        senders, buses = sorted({s & 0xFF for s in speakers}), sorted({s >> 8 for s in speakers})
        if len(senders) > 1:
            message, _, rest = one.signal.partition(".")
            heard, remedy = (
                f"sent by {', '.join(f'{s:02X}' for s in senders)}",
                f"name {message}@{senders[0]:02X}.{rest}",
            )
        else:
            heard, remedy = f"on buses {', '.join(map(str, buses))}", f"write channel = {buses[0]} in [bus]"
        raise ReadError(f"{self._path}: {one.name} is {heard}; {remedy} in the mapping, or another")

    def _table(self, rows_s: Array, said: list[Held]) -> pl.DataFrame:
        """Some rows: every signal held, and the age of each kind of reading."""
        columns: dict[str, Array] = {"time_s": rows_s}
        age_s = np.empty((len(said), rows_s.size))
        for k, (one, heard) in enumerate(zip(self._signals, said, strict=True)):
            last = np.searchsorted(heard.time_s, rows_s + CLOCK_S, side="right") - 1
            age_s[k] = np.maximum(rows_s - heard.time_s[last], 0.0)
            columns[one.name] = np.where(age_s[k] <= self._patience_s, heard.value[last], np.nan)
        for name, which in self._ages.items():
            columns[name] = age_s[which].max(axis=0, initial=0.0)
        return pl.DataFrame({name: np.where(np.isfinite(values), values, np.nan) for name, values in columns.items()})


def ages(rules: BusMapping, pack: Pack, place: dict[str, int]) -> dict[str, list[int]]:
    """Columns of age, string by string, and which signals each is the age of."""
    found: dict[str, list[int]] = {}
    for s in range(pack.strings if rules.age is None else 0):
        for k, section in enumerate(AGED):
            reading, width = getattr(rules, section), per_string(section, pack)
            names = reading.names[s * width : (s + 1) * width] if reading is not None else []
            found[f"age_s_{s + 1}_{k + 1}"] = [place[name] for name in names]
    return found


def with_ages(rules: BusMapping, pack: Pack) -> BusMapping:
    """The mapping of the rows: ages are columns of the table unless the bus itself tells them."""
    if rules.age is not None:
        return rules
    columns = [f"age_s_{s + 1}_{k + 1}" for s in range(pack.strings) for k in range(len(AGED))]
    return rules.model_copy(update={"age": Age(columns=columns, unit="s")})
