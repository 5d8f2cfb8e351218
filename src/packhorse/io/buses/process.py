"""A bus inside this process, by name: for tests, and for a truck and its BMS in one program."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from packhorse.io.buses.bus import MOST_FRAMES, Clock, Counts, Heard
from packhorse.io.errors import BusError
from packhorse.protocols.j1939.identifier import CanFrame

_members: dict[str, list[ProcessBus]] = {}
_changed = threading.Condition()


class ProcessBus:
    """One node on a bus of this process; a node that does not read loses what it heard first."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.counts = Counts()
        self._name, self._clock = name, clock
        self._waiting: deque[Heard] = deque(maxlen=MOST_FRAMES)
        with _changed:
            _members.setdefault(name, []).append(self)

    def send(self, frames: Sequence[CanFrame]) -> None:
        """Give every other node the frames."""
        with _changed:
            others = [bus for bus in self._open() if bus is not self]
            for bus in others:
                bus.take(frames)
            _changed.notify_all()
        self.counts.sent += len(frames)

    def heard(self, wait_s: float = 0.0) -> list[Heard]:
        """Frames that have arrived."""
        with _changed:
            self._open()
            if not self._waiting and wait_s > 0.0:
                _changed.wait_for(lambda: len(self._waiting) > 0, wait_s)
            found = list(self._waiting)
            self._waiting.clear()
        self.counts.heard += len(found)
        return found

    def take(self, frames: Sequence[CanFrame]) -> None:
        """Frames of another node."""
        now_s = self._clock()
        self.counts.dropped += max(0, len(self._waiting) + len(frames) - MOST_FRAMES)
        self._waiting.extend(Heard(now_s, frame) for frame in frames)

    def close(self) -> None:
        """Leave the bus."""
        with _changed:
            if self in _members.get(self._name, []):
                _members[self._name].remove(self)

    def _open(self) -> list[ProcessBus]:
        members = _members.get(self._name, [])
        if self not in members:
            raise BusError(f"process:{self._name}: this node has left the bus; open it again")
        return members
