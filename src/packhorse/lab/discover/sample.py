"""A log of any length as a bounded sample of each of its identifiers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from packhorse.lab.discover.words import Stream
from packhorse.pack.words import Array
from packhorse.protocols.frames import ERROR, EXTENDED, REMOTE, Bytes, CanFrames, rows, take

WHOLE_FRAMES, MOST_FRAMES, FEWEST_FRAMES = 4000, 100_000, 6000
"""Frames of an identifier that are kept in a row; the most in all, and how many at least when there are many others."""
ALL_FRAMES = 3_000_000
MOST_STREAMS, WIDEST = 1000, 64
SPREAD, STEPS = np.uint64(0x9E3779B97F4A7C15), 2.0**64


class Kept:
    """One identifier while the log is read. Chance thins it, so that no turn of a multiplexer is favoured."""

    def __init__(self) -> None:
        self.heard = 0
        self.share = 1.0
        self.parts: list[tuple[NDArray[np.uint64], Array, Bytes]] = []
        self.count = 0

    def take(self, time_s: Array, data: Bytes, most: int) -> None:
        """Take the next frames, and keep at most so many."""
        number = np.arange(self.heard, self.heard + time_s.size, dtype=np.uint64)
        self.heard += time_s.size
        self._add(number, time_s, data)
        while self.count > most:
            self.share *= 0.5
            parts, self.parts, self.count = self.parts, [], 0
            for part in parts:
                self._add(*part)

    def _add(self, number: NDArray[np.uint64], time_s: Array, data: Bytes) -> None:
        chosen = (number < WHOLE_FRAMES) | (number * SPREAD < self.share * STEPS) if self.share < 1.0 else slice(None)
        if time_s[chosen].size:
            self.parts.append((number[chosen], time_s[chosen], data[chosen]))
            self.count += self.parts[-1][1].size


class Sample:
    """Every identifier of a bus, thinned."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int, bool], Kept] = {}

    def take(self, block: CanFrames) -> None:
        """Take some frames."""
        data = take(block, ((block.flags & (ERROR | REMOTE)) == 0) & (block.length > 0) & (block.length <= WIDEST))
        key = data.bus.astype(np.int64) << 40 | (data.flags & EXTENDED).astype(np.int64) << 32 | data.id
        keys, which = np.unique(key, return_inverse=True)
        order = np.argsort(which, kind="stable")
        bounds = np.searchsorted(which[order], np.arange(keys.size + 1))
        for k, one in enumerate(keys.tolist()):
            name = (one >> 40, one & 0x1FFFFFFF, bool(one >> 32 & EXTENDED))
            if name in self._kept or len(self._kept) < MOST_STREAMS:
                some = take(data, order[bounds[k] : bounds[k + 1]])
                payload = rows(some, 8 if int(some.length.max()) <= 8 else WIDEST)
                kept = self._kept.setdefault(name, Kept())
                kept.take(some.time_s, payload, min(MOST_FRAMES, max(ALL_FRAMES // len(self._kept), FEWEST_FRAMES)))

    def streams(self) -> tuple[Stream, ...]:
        """What was kept, in order of bus and identifier."""
        return tuple(_stream(name, kept) for name, kept in sorted(self._kept.items()))


def _stream(name: tuple[int, int, bool], kept: Kept) -> Stream:
    width = max(part[2].shape[1] for part in kept.parts)
    time_s = np.concatenate([part[1] for part in kept.parts])
    data = np.concatenate([np.pad(part[2], ((0, 0), (0, width - part[2].shape[1]))) for part in kept.parts])
    order = np.argsort(time_s, kind="stable")
    return Stream(*name, time_s[order], np.ascontiguousarray(data[order]), min(WHOLE_FRAMES, time_s.size), kept.heard)
