"""What is on a bus: who says what, how often, with which gaps; faults that are reported; signals and their ranges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.io.can_logs import CanLog
from packhorse.io.troubles import Troubles
from packhorse.pack.words import Array
from packhorse.protocols import decoding, frames, reassembly
from packhorse.protocols.decoding import Decoded
from packhorse.protocols.frames import ERROR, EXTENDED, LONG, REMOTE, CanFrames, payload
from packhorse.protocols.j1939.claim import ADDRESS_CLAIMED
from packhorse.protocols.plan import J1939, OWNER, Plan, group

MOST_IDENTIFIERS, MOST_SIGNALS = 10_000, 100_000
GAP_PERIODS, ENOUGH_INTERVALS = 5.0, 8
ANYBODY = 256
"""The sender of a signal whose message is not told by its sender."""
NAME_BYTES = 8


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


class Spoken(NamedTuple):
    """A signal of a plan as one node says it."""

    row: int
    bus: int
    sender: int  # ANYBODY where the message is not told by it


@dataclass
class Survey:
    """What is known of a bus so far."""

    voices: dict[int, Voice] = field(default_factory=dict)
    troubles: Troubles = field(default_factory=Troubles)
    claims: dict[tuple[int, int], int] = field(default_factory=dict)  # bus and address: NAME that claimed it last
    signals: dict[Spoken, Range] = field(default_factory=dict)
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
            self._claim(data)
            self.troubles.hear(data)

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

    def _claim(self, data: CanFrames) -> None:
        """Who claims which address."""
        claimed = ((data.flags & EXTENDED) != 0) & (data.id >> 8 & 0x3FFFF == ADDRESS_CLAIMED | 0xFF)
        for k in np.flatnonzero(claimed & (data.length == NAME_BYTES)).tolist():
            self.claims[int(data.bus[k]), int(data.id[k]) & 0xFF] = int.from_bytes(payload(data, k), "little")

    def measure(self, plan: Plan, block: CanFrames, decoded: Decoded) -> None:
        """Take the signals of some frames, those of each node apart."""
        known = decoded.which >= 0
        if not known.any():
            return
        told = plan.tables.message[np.maximum(decoded.which, 0), J1939] > 0
        key = block.bus.astype(np.int64) << 9 | np.where(told, block.id & 0xFF, ANYBODY)
        nodes = np.unique(key[known]).tolist()
        for node in nodes:
            own = decoded
            if len(nodes) > 1:
                own = decoding.decode(plan, frames.take(block, np.flatnonzero(known & (key == node))))
            self._measure(plan, own, node >> 9, node & 0x1FF)

    def _measure(self, plan: Plan, decoded: Decoded, bus: int, sender: int) -> None:
        """Take the signals of one node."""
        for row in np.flatnonzero(np.diff(decoded.first)[plan.tables.signal[:, OWNER]] > 0).tolist():
            spoken = Spoken(row, bus, sender)
            if spoken not in self.signals and len(self.signals) >= MOST_SIGNALS:
                continue
            values = decoded.values[decoded.place[row] : decoded.place[row + 1]]
            there = values[np.isfinite(values)]
            one = self.signals.setdefault(spoken, Range())
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


class Part(NamedTuple):
    """Some frames of a log, transport messages put together, and what a plan makes of them."""

    frames: CanFrames
    decoded: Decoded


def parts(log: CanLog, plan: Plan, survey: Survey | None = None) -> Iterator[Part]:
    """A log in blocks, each decoded once; a survey is told how transport sessions ended."""
    sessions = reassembly.start()
    for block in log.blocks():
        sessions, whole = reassembly.reassemble(sessions, block)
        if survey is not None:
            survey.transport = reassembly.outcomes(sessions)
        yield Part(whole, decoding.decode(plan, whole))


def parameter_group(voice: Voice) -> int:
    """The PGN of an extended identifier, -1 for a standard one."""
    return group(voice.id) if voice.flags & EXTENDED else -1
