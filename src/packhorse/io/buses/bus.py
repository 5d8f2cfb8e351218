"""What a bus is to everybody above: frames out, frames in with their time, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from packhorse.protocols.j1939.identifier import CanFrame

MOST_FRAMES = 8192
"""At most so many frames are given back at once; what a flood leaves waiting is bounded by the backend."""
LONGEST_DATA = 64
"""Bytes of a CAN FD frame."""
Clock = Callable[[], float]


class Heard(NamedTuple):
    """A frame of the bus, and when it was read."""

    time_s: float
    frame: CanFrame
    extended: bool = True  # an identifier of 29 bits


@dataclass(slots=True)
class Counts:
    """What happened on a bus since it was opened first."""

    sent: int = 0
    heard: int = 0
    dropped: int = 0  # ours that found no room, and theirs that overflowed
    malformed: int = 0  # what was no frame
    errors: int = 0  # the bus broke, or would not open
    bus_off: int = 0


class Bus(Protocol):
    """A CAN bus. Neither call waits for the wire; both raise `io.errors.BusError` where the bus is gone."""

    counts: Counts

    def send(self, frames: Sequence[CanFrame]) -> None:
        """Hand frames over, in order; what finds no room is dropped and counted."""

    def heard(self, wait_s: float = 0.0) -> list[Heard]:
        """Frames that have arrived, in order; if there is none, the first within `wait_s`."""

    def close(self) -> None:
        """Leave the bus; closing twice is nothing."""
