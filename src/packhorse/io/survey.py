"""What is on a bus: who says what, how often, with which gaps; faults that are reported; signals and their ranges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.io.can_logs import CanLog
from packhorse.pack.words import Array
from packhorse.protocols import decoding, frames, reassembly
from packhorse.protocols.decoding import Decoded
from packhorse.protocols.frames import ERROR, EXTENDED, LONG, REMOTE, CanFrames, payload
from packhorse.protocols.plan import OWNER, Plan, group

MOST_IDENTIFIERS, MOST_FAULTS = 10_000, 10_000
GAP_PERIODS, ENOUGH_INTERVALS = 5.0, 8
DM1 = 0xFECA
LAMPS = ("protect", "amber", "red", "malfunction")
NO_FAULT_SPN = 0


class Trouble(NamedTuple):
    """A trouble code as a node reports it."""

    bus: int
    sender: int
    spn: int
    fmi: int


@dataclass
class Voice:
    """One identifier on one bus, and what was heard of it."""

    bus: int
    id: int
    flags: int
    count: int = 0
    first_s: float = np.inf
    last_s: float = -np.inf
    shortest: int = 65_535
    longest: int = 0
    gap_s: float = 0.0
    gaps: int = 0
    period_s: float = np.nan

    @property
    def rate_Hz(self) -> float:
        """Mean rate; NaN for a single frame."""
        span_s = self.last_s - self.first_s
        return (self.count - 1) / span_s if span_s > 0.0 else np.nan


@dataclass
class Range:
    """A signal and the values that it had."""

    count: int = 0
    total: float = 0.0
    lowest: float = np.inf
    highest: float = -np.inf
    short: int = 0
    coded: int = 0


@dataclass
class Survey:
    """What is known of a bus so far."""

    voices: dict[int, Voice] = field(default_factory=dict)
    faults: Counter[Trouble] = field(default_factory=Counter)
    lamps: dict[tuple[int, int], set[str]] = field(default_factory=dict)
    signals: dict[str, Range] = field(default_factory=dict)
    transport: dict[str, int] = field(default_factory=dict)
    frames: int = 0
    errors: int = 0
    remotes: int = 0
    unlisted: int = 0
    first_s: float = np.inf
    last_s: float = -np.inf

    def hear(self, block: CanFrames) -> None:
        """Take some frames, transport messages among them."""
        single = (block.flags & LONG) == 0
        self.frames += int(np.count_nonzero(single))
        self.errors += int(np.count_nonzero(block.flags & ERROR))
        self.remotes += int(np.count_nonzero(block.flags & REMOTE))
        self.first_s = min(self.first_s, float(block.time_s.min()))
        self.last_s = max(self.last_s, float(block.time_s.max()))
        data = frames.take(block, np.flatnonzero((block.flags & (ERROR | REMOTE)) == 0))
        if data.id.size:
            self._count(data)
            self._diagnose(data)

    def _count(self, data: CanFrames) -> None:
        """Identifiers, their times and lengths."""
        key = data.bus.astype(np.int64) << 40 | (data.flags & (EXTENDED | LONG)).astype(np.int64) << 32
        keys, which = np.unique(key | data.id, return_inverse=True)
        order = np.argsort(which, kind="stable")
        bounds = np.searchsorted(which[order], np.arange(keys.size + 1))
        time_s, length = data.time_s[order], data.length[order]
        for k, one in enumerate(keys.tolist()):
            if one not in self.voices and len(self.voices) >= MOST_IDENTIFIERS:
                self.unlisted += int(bounds[k + 1] - bounds[k])
                continue
            flags = one >> 32 & 0xFF
            voice = self.voices.setdefault(one, Voice(one >> 40, one & 0x1FFFFFFF, flags))
            add(voice, time_s[bounds[k] : bounds[k + 1]], length[bounds[k] : bounds[k + 1]])

    def _diagnose(self, data: CanFrames) -> None:
        """Trouble codes of DM1; what a node repeats is looked at once."""
        extended = (data.flags & EXTENDED) != 0
        said = Counter(
            (int(data.bus[k]), int(data.id[k]) & 0xFF, payload(data, k))
            for k in np.flatnonzero(extended & ((data.id >> 8 & 0xFFFF) == DM1)).tolist()
        )
        for (bus, sender, content), count in said.items():
            self.lamps.setdefault((bus, sender), set()).update(lit(content))
            for spn, fmi in trouble_codes(content):
                fault = Trouble(bus, sender, spn, fmi)
                if fault in self.faults or len(self.faults) < MOST_FAULTS:
                    self.faults[fault] += count

    def measure(self, plan: Plan, decoded: Decoded) -> None:
        """Take the signals of some frames."""
        heard = np.diff(decoded.first)[plan.tables.signal[:, OWNER]] > 0
        names = list(plan.signals)
        for row in np.flatnonzero(heard):
            values = decoded.values[decoded.place[row] : decoded.place[row + 1]]
            there = values[np.isfinite(values)]
            one = self.signals.setdefault(names[row], Range())
            one.short += int(decoded.none[row, 0])
            one.coded += int(decoded.none[row, 1])
            if there.size:
                one.count += there.size
                one.total += float(there.sum())
                one.lowest, one.highest = min(one.lowest, float(there.min())), max(one.highest, float(there.max()))


def add(voice: Voice, time_s: Array, length: NDArray[np.uint16]) -> None:
    """More frames of one identifier."""
    times = time_s if voice.count == 0 else np.concatenate(([voice.last_s], time_s))
    intervals = np.diff(times)
    if intervals.size >= ENOUGH_INTERVALS and np.isnan(voice.period_s):
        voice.period_s = float(np.median(intervals))
    if intervals.size:
        voice.gap_s = max(voice.gap_s, float(intervals.max()))
        voice.gaps += int(np.count_nonzero(intervals > GAP_PERIODS * voice.period_s))
    voice.count += time_s.size
    voice.first_s, voice.last_s = min(voice.first_s, float(time_s[0])), float(time_s[-1])
    voice.shortest, voice.longest = min(voice.shortest, int(length.min())), max(voice.longest, int(length.max()))


def lit(content: bytes) -> list[str]:
    """Lamps that a DM1 lights."""
    return [name for k, name in enumerate(LAMPS) if content and content[0] >> 2 * k & 3 == 1]


def trouble_codes(content: bytes) -> list[tuple[int, int]]:
    """SPN and FMI of every fault in a DM1. Source: SAE J1939-73, conversion method 4."""
    found = []
    for at in range(2, len(content) - 3, 4):
        low, middle, high, _ = content[at : at + 4]
        spn, fmi = low | middle << 8 | (high & 0xE0) << 11, high & 0x1F
        if spn != NO_FAULT_SPN and not (low == middle == high == 0xFF):
            found.append((spn, fmi))
    return found


class Part(NamedTuple):
    """Some frames of a log, transport messages put together, and what a plan makes of them."""

    frames: CanFrames
    decoded: Decoded | None


def parts(log: CanLog, plan: Plan | None, survey: Survey | None = None) -> Iterator[Part]:
    """A log in blocks, each decoded once; a survey is told how transport sessions ended."""
    sessions = reassembly.start()
    for block in log.blocks():
        sessions, whole = reassembly.reassemble(sessions, block)
        if survey is not None:
            survey.transport = reassembly.outcomes(sessions)
        yield Part(whole, decoding.decode(plan, whole) if plan is not None else None)


def parameter_group(voice: Voice) -> int:
    """The PGN of an extended identifier, -1 for a standard one."""
    return group(voice.id) if voice.flags & EXTENDED else -1
