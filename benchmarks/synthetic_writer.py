"""Messages being laid out: numbers into payloads, bit by bit, and a truth beside each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.pack.words import Array
from packhorse.protocols import frames
from packhorse.protocols.frames import EXTENDED, CanFrames
from synthetic_drives import TICK_S, Drive


class Place(NamedTuple):
    """Where a truth lies: message, first bit, width, order; `turn` of a multiplexer or -1."""

    kind: str
    id: int
    start: int
    bits: int
    motorola: bool
    scale: float
    offset: float
    turn: int = -1


class Bus(NamedTuple):
    """What is heard, and what is true."""

    heard: CanFrames
    truth: tuple[Place, ...]
    also: tuple[Place, ...]  # second places of what is true
    drive: Drive


class Writer:
    """Messages being laid out."""

    def __init__(self, dice: np.random.Generator, drive_: Drive) -> None:
        self.dice, self.drive = dice, drive_
        self.ids: set[int] = set()
        self.parts: list[tuple[Array, int, NDArray[np.uint8]]] = []
        self.truth: list[Place] = []
        self.also: list[Place] = []
        self.extended = bool(dice.random() < 0.4)

    def identifier(self) -> int:
        """An identifier that nobody has yet."""
        while True:
            one = int(self.dice.integers(0x100, 0x7F0))
            if self.extended:
                one = 0x18FF0000 | int(self.dice.integers(0, 256)) << 8 | int(self.dice.choice([0x21, 0xF3, 0x4A]))
            if one not in self.ids:
                self.ids.add(one)
                return one

    def times(self, period_s: float) -> tuple[Array, NDArray[np.int64]]:
        """When a message is sent, and the tick of the drive that it tells of."""
        end = float(self.drive.time_s[-1])
        time_s = np.arange(self.dice.uniform(0.0, period_s), end, period_s)
        time_s = np.clip(time_s + self.dice.normal(0.0, 0.02 * period_s, time_s.size), 0.0, end)
        return time_s, np.minimum((time_s / TICK_S).astype(np.int64), self.drive.time_s.size - 1)

    def send(self, identifier: int, time_s: Array, data: NDArray[np.uint8]) -> None:
        """Put a message on the bus."""
        self.ids.add(identifier)
        self.parts.append((time_s, identifier, data))

    def frames(self) -> CanFrames:
        """Everything in order of time."""
        time_s = np.concatenate([part[0] for part in self.parts])
        ids = np.concatenate([np.full(part[0].size, part[1], np.uint32) for part in self.parts])
        data = np.concatenate([np.pad(part[2], ((0, 0), (0, 8 - part[2].shape[1]))) for part in self.parts])
        order = np.argsort(time_s, kind="stable")
        flags = EXTENDED if self.extended else 0
        return frames.from_rows(1.7e9 + time_s[order], ids[order], data[order], flags=flags)


def put(data: NDArray[np.uint8], start: int, bits: int, motorola: bool, raw: Array) -> None:
    """Write numbers into payloads, bit by bit; `start` as in a DBC."""
    whole = raw.astype(np.int64)
    at = start
    for k in range(bits):
        bit = k if not motorola else bits - 1 - k
        data[:, at // 8] |= ((whole >> bit & 1) << (at % 8)).astype(np.uint8)
        at = at + 1 if not motorola else (at - 1 if at % 8 else at + 15)


def coded(value: Array, scale: float, offset: float, bits: int) -> Array:
    """Values as raw bits; negative ones by two's complement."""
    raw = np.rint((value - offset) / scale)
    return np.clip(raw, -(2 ** (bits - 1)), 2**bits - 1) % 2**bits


def start_of(bit: int, motorola: bool) -> int:
    """The start of a number that begins so many bits into a message."""
    byte, inside = divmod(bit, 8)
    return 8 * byte + 7 - inside if motorola else bit


def place_start(byte: int, motorola: bool) -> int:
    """The start of a number that begins in a byte."""
    return start_of(8 * byte, motorola)
