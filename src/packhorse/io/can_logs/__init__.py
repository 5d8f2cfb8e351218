"""Recorded buses in and out: BLF, ASC, candump, CSV, MF4 and Parquet, plain or compressed, some frames at a time.

What a file is, its content says. What could be read is given; the rest is counted in `findings`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from packhorse.io.can_logs import asc, blf, candump, csv
from packhorse.io.can_logs.apart import Reader, read_apart
from packhorse.io.can_logs.source import Findings, head
from packhorse.io.errors import ReadError
from packhorse.protocols.frames import EXTENDED, FD, LONG, LONGEST_FRAME, CanFrames, take

READERS: dict[str, Reader] = {
    "BLF": blf.read,
    "MF4": read_apart("MF4"),
    "Parquet": read_apart("Parquet"),
    "candump": candump.read,
    "ASC": asc.read,
    "CSV": csv.read,
}
MAGIC = {blf.SIGNATURE: "BLF", b"MDF     ": "MF4", b"UnFinMF ": "MF4", b"PAR1": "Parquet"}
CANDUMP_LINE = re.compile(rb"^\s*\(\d+\.\d+\)\s+\S+\s+[0-9A-Fa-f]{3,8}")
ASC_LINE = re.compile(rb"^(?:date\s|base\s+(?:hex|dec)|//|\s*\d+\.\d+\s+(?:\d+|CANFD)\s)", re.IGNORECASE)
LATEST_S = 1e11
"""Beyond the year 5000 a clock tells no time."""
LONGEST_CLASSIC, LAST_STANDARD, LAST_EXTENDED = 8, 0x7FF, 0x1FFFFFFF
BACKWARD = "times that run backwards"


class CanLog:
    """A recorded bus being read: frames in blocks, and what was found to be none on the way."""

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self.kind = kind
        self.findings: Findings = Counter()
        self.frames = 0

    def blocks(self, readers: Mapping[str, Reader] = READERS) -> Iterator[CanFrames]:
        """Every frame in the order of the file. Raises ReadError where there is none at all."""
        self.findings.clear()
        self.frames, last_s = 0, -np.inf
        for found in readers[self.kind](self.path, self.findings):
            block = self._sound(found)
            if block.id.size:
                chain = np.concatenate(([last_s], block.time_s))
                self.findings[BACKWARD] += int(np.count_nonzero(np.diff(chain) < 0.0))
                last_s = float(block.time_s[-1])
                self.frames += block.id.size
                yield block
        if self.frames == 0:
            said = self.complaint() or "nothing but its header"
            raise ReadError(f"{self.path}: no CAN frame in this {self.kind} log ({said}); record or copy it again")

    def _sound(self, block: CanFrames) -> CanFrames:
        """The frames that can have been on a bus, and have a time; the others are counted."""
        timed, possible = np.abs(block.time_s) < LATEST_S, can_be(block)
        if timed.all() and possible.all():
            return block
        self.findings["frames without a time"] += int(np.count_nonzero(~timed))
        self.findings["frames that cannot be"] += int(np.count_nonzero(timed & ~possible))
        return take(block, timed & possible)

    def complaint(self) -> str:
        """What was wrong with the file, in one line; empty for nothing."""
        found = [f"{count} {what}" if count > 1 else what for what, count in self.findings.items() if count > 0]
        return ", ".join(found)


def can_be(block: CanFrames) -> NDArray[np.bool_]:
    """Which frames a bus can carry: by the width of their identifiers, and no longer than their kind allows."""
    longest = np.where(block.flags & FD, LONGEST_FRAME, LONGEST_CLASSIC)
    highest = np.where(block.flags & EXTENDED, LAST_EXTENDED, LAST_STANDARD)
    possible: NDArray[np.bool_] = (block.length <= longest) & (block.id <= highest) & (block.flags & LONG == 0)
    return possible


def open_can_log(path: Path) -> CanLog:
    """A recorded bus, by its content. Raises ReadError for what is none."""
    if not path.is_file():
        raise ReadError(f"{path}: no such file; give a log as {', '.join(READERS)}")
    if path.stat().st_size == 0:
        raise ReadError(f"{path}: the file is empty; record or copy it again")
    kind = kind_of(head(path))
    if not kind:
        raise ReadError(f"{path}: not a log of a bus; give {', '.join(READERS)}, plain, .gz or .zst")
    return CanLog(path, kind)


def is_can_log(path: Path) -> bool:
    """Whether a file is a recorded bus, as far as its first bytes tell."""
    return path.is_file() and kind_of(head(path)) != ""


def kind_of(start: bytes) -> str:
    """What a file is by its first bytes; empty for no log of a bus."""
    for magic, kind in MAGIC.items():
        if start.startswith(magic):
            return kind
    lines = [line for line in start.splitlines() if line.strip()]
    if not lines:
        return ""
    if any(CANDUMP_LINE.match(line) for line in lines[:3]):
        return "candump"
    if ASC_LINE.match(lines[0]):
        return "ASC"
    return "CSV" if csv.is_ours(lines[0]) else ""


def is_bus_only(path: Path) -> bool:
    """Whether a file is a recorded bus and cannot be a table of readings."""
    return path.is_file() and kind_of(head(path)) not in ("", "Parquet")
