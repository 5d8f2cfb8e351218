"""Frames out as text: candump and ASC, line by line."""

from __future__ import annotations

import datetime as dt
from typing import BinaryIO

import numpy as np

from packhorse.protocols.frames import BRS, ERROR, ESI, EXTENDED, FD, REMOTE, SENT, CanFrames, payload

BUS_ERROR = 0x20000080
"""How candump names an error frame of which no more is known."""
EARLIEST_S = 631_152_000
"""1990: an earlier time is not one of day."""
CODES = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64])
"""Lengths that CAN FD can have; longer ones are not frames."""


class Candump:
    """Writes what `candump -L` writes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def take(self, frames: CanFrames) -> None:
        """Write some frames."""
        self._file.write("".join(_candump_line(frames, k) for k in range(frames.id.size)).encode())

    def flush(self) -> None:
        """Nothing waits here but in the file itself."""
        self._file.flush()

    def finish(self) -> None:
        """Nothing is left to do."""


class Asc:
    """Writes what Vector's tools read as text; times count from the first frame, whose time of day is in the head."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start_s: float | None = None

    def take(self, frames: CanFrames) -> None:
        """Write some frames."""
        if frames.id.size == 0:
            return
        if self._start_s is None:
            first_s = float(np.nanmin(frames.time_s))
            self._start_s = int(first_s * 1000) / 1000 if first_s >= EARLIEST_S else 0.0
            self._file.write(_asc_head(self._start_s).encode())
        start_s = self._start_s
        self._file.write("".join(_asc_line(frames, k, start_s) for k in range(frames.id.size)).encode())

    def flush(self) -> None:
        """Nothing waits here but in the file itself."""
        self._file.flush()

    def finish(self) -> None:
        """Say that there is no more."""
        self._file.write(b"End TriggerBlock\n" if self._start_s is not None else b"")


def _candump_line(frames: CanFrames, k: int) -> str:
    flags, identifier = int(frames.flags[k]), int(frames.id[k])
    wide = flags & (EXTENDED | ERROR)
    name = f"{BUS_ERROR if flags & ERROR else identifier:08X}" if wide else f"{identifier:03X}"
    content = payload(frames, k).hex().upper()
    if flags & FD:
        content = f"#{(1 if flags & BRS else 0) | (2 if flags & ESI else 0)}{content}"
    elif flags & REMOTE:
        content = "R"
    mark = " T" if flags & SENT else ""
    return f"({frames.time_s[k]:.6f}) can{frames.bus[k]} {name}#{content}{mark}\n"


def _asc_head(start_s: float) -> str:
    began = dt.datetime.fromtimestamp(start_s, dt.UTC).astimezone()  # the format has the time of the place
    date = f"{began:%a %b %d %I:%M:%S}.{began.microsecond // 1000:03d} {began:%p %Y}".replace("AM", "am")
    date = date.replace("PM", "pm")
    head = f"date {date}\nbase hex  timestamps absolute\ninternal events logged\nBegin Triggerblock {date}\n"
    return f"{head} 0.000000 Start of measurement\n"


def _asc_line(frames: CanFrames, k: int, start_s: float) -> str:
    flags, content = int(frames.flags[k]), payload(frames, k)
    time, bus = f"{frames.time_s[k] - start_s:9.6f}", int(frames.bus[k]) + 1
    if flags & ERROR:
        return f"{time} {bus}  ErrorFrame\n"
    name = f"{int(frames.id[k]):X}" + ("x" if flags & EXTENDED else "")
    way, data = "Tx" if flags & SENT else "Rx", content.hex(" ").upper()
    if flags & FD:
        code, brs, esi = int(np.searchsorted(CODES, len(content))), int(bool(flags & BRS)), int(bool(flags & ESI))
        rest = f"0 0 {0x1000 | brs << 13 | esi << 14:X} 0 0 0 0 0"
        return (
            f"{time} CANFD {bus:>3} {way:<4} {name:>8}  {'':>32} {brs} {esi} {code:x} {len(content):>2} {data} {rest}\n"
        )
    what = "r" if flags & REMOTE else f"d {len(content):x} {data}"
    return f"{time} {bus}  {name:<15} {way:<4} {what}\n"
