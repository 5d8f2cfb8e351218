"""How a simulated truck and the BMS of another process keep step on a bus without a clock.

Whoever has said all of a tick says the tick's time and its number: `turn`. The other lives the tick, and says the
same number when it has said all of it. So time runs as fast as both can, and always the same. A turn tells how many
frames belong to it; one of which frames were lost is asked again, as is one that is not answered.
"""

from __future__ import annotations

import math
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from packhorse.io.buses import Lasting
from packhorse.protocols import boards
from packhorse.protocols.j1939.identifier import GLOBAL, CanFrame, join, split

CLAIMING_TURNS, CLAIMING_S = 3, 0.1
"""Turns with number 0, before the first tick, in which nodes claim their addresses; and the time between them."""
GLANCE_S, AGAIN_S, SILENCE_S = 0.2, 1.0, 3.0
"""How often it is looked whether to end; when a turn is said again; and when people are told that nobody answers."""
TIME, TURN = struct.Struct("<d"), struct.Struct("<IHH")
MOST_WAITING = 100_000
PRIORITY = 7


class Turn(NamedTuple):
    """A tick of the other: its number, its time, and all that was said in it."""

    number: int
    time_s: float
    frames: list[CanFrame]


def is_end(turn: Turn) -> bool:
    """Whether there will be no more."""
    return bool(turn.number == boards.table()["clock"]["END"])


def said(turn: Turn, source: int) -> list[CanFrame]:
    """The frames of a turn, with the two that make it one."""
    clock = boards.table()["clock"]
    time_id, turn_id = (join(PRIORITY, clock[name], GLOBAL, source) for name in ("time", "turn"))
    counted = TURN.pack(turn.number, len(turn.frames) & 0xFFFF, 0xFFFF)
    return [*turn.frames, CanFrame(time_id, TIME.pack(turn.time_s)), CanFrame(turn_id, counted)]


class Lockstep:
    """One side of it."""

    def __init__(
        self,
        bus: Lasting,
        source: int,
        stop: Callable[[], bool],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bus, self._source, self._stop, self._say = bus, source, stop, say
        self._clock, self._sleep = clock, sleep
        self._waiting: deque[CanFrame] = deque(maxlen=MOST_WAITING)
        self._frames: list[CanFrame] = []
        self._time_s = math.nan
        self._answered: Turn | None = None
        self._last: list[CanFrame] = []
        self.lost = 0  # turns of which frames were missing

    def answer(self, heard: Turn, turn: Turn) -> None:
        """Say our part of a tick that was heard, now and whenever it is asked again."""
        self._answered = heard
        self._last = said(turn, self._source)
        self._bus.send(self._last)

    def exchange(self, turn: Turn) -> Turn | None:
        """Say a turn until it is answered; None where it is time to end."""
        frames = said(turn, self._source)
        self._bus.send(frames)
        return self._until(lambda found: found.number == turn.number, lambda: self._bus.send(frames))

    def next(self) -> Turn | None:
        """The other's next turn; None where it is time to end."""
        return self._until(self._is_new, lambda: None)

    def end(self, time_s: float) -> None:
        """Say that there will be no more."""
        self._bus.send(said(Turn(boards.table()["clock"]["END"], time_s, []), self._source))

    def _is_new(self, found: Turn) -> bool:
        was = self._answered
        again = was is not None and (found.number, found.time_s) == (was.number, was.time_s)
        if again:
            self._bus.send(self._last)
        return not again

    def _until(self, wanted: Callable[[Turn], bool], repeat: Callable[[], None]) -> Turn | None:
        """The first turn that is wanted; what is said in others is no part of it."""
        began_s = again_s = self._clock()
        told = False
        while not self._stop():
            for found in self._turns():
                if wanted(found):
                    if told:
                        self._say(f"{self._bus.name}: answered again")
                    return found
            now_s = self._clock()
            if now_s - again_s >= AGAIN_S:
                again_s = now_s
                repeat()
            if not told and now_s - began_s >= SILENCE_S:
                told = True
                self._say(f"{self._bus.name}: nobody answers; waiting (Ctrl-C ends it)")
            self._listen()
        return None

    def _listen(self) -> None:
        """What has come since, or comes within a glance."""
        self._waiting.extend(one.frame for one in self._bus.heard(GLANCE_S))
        while self._bus.lines:
            self._say(f"bus: {self._bus.lines.popleft()}")
        if self._bus.broken:  # it does not wait, so we do
            self._sleep(GLANCE_S)

    def _turns(self) -> list[Turn]:
        """At most one whole turn from what waits."""
        clock = boards.table()["clock"]
        while self._waiting:
            frame = self._waiting.popleft()
            pgn = split(frame.can_id).pgn
            if pgn == clock["time"] and len(frame.data) == TIME.size:
                (self._time_s,) = TIME.unpack(frame.data)
            elif pgn == clock["turn"] and len(frame.data) == TURN.size:
                number, count, _ = TURN.unpack(frame.data)
                found = Turn(number, self._time_s, self._frames)
                self._frames, self._time_s = [], math.nan
                if math.isfinite(found.time_s) and len(found.frames) >= count:
                    return [found]
                self.lost += 1
            elif len(self._frames) < MOST_WAITING:
                self._frames.append(frame)
        return []
