"""A bus of UDP datagrams on this machine alone: processes talk without privileges and without anyone in the middle.

A bus is a row of ports, its seats. Each node sits on the first free seat and sends every datagram to all the others,
so that no node is needed by any other, and one that dies takes nothing with it. A datagram holds many frames. The
kernel's buffers bound what waits; like on a wire, what finds no room is lost.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Sequence

from packhorse.io.buses.bus import LONGEST_DATA, MOST_FRAMES, Clock, Counts, Heard
from packhorse.io.errors import BusError
from packhorse.protocols.j1939.identifier import LAST_IDENTIFIER, CanFrame

HOST, SEATS = "127.0.0.1", 8
FIRST_PORT, LAST_PORT = 1024, 65535 - SEATS
MARK = b"packhorse bus 1\n"
RECORD = struct.Struct("<IB")
LONGEST_DATAGRAM = 8192
BUFFER_BYTES = 1 << 20


class LoopbackBus:
    """One node on the loopback bus at a port."""

    def __init__(self, port: int, clock: Clock) -> None:
        self.counts = Counts()
        self._clock = clock
        self._socket = sit(port)
        own = self._socket.getsockname()[1]
        self._others = [(HOST, seat) for seat in range(port, port + SEATS) if seat != own]

    def send(self, frames: Sequence[CanFrame]) -> None:
        """Send the frames to every seat; one that is empty costs nothing but the attempt."""
        for datagram in datagrams(frames):
            for seat in self._others:
                try:
                    self._socket.sendto(datagram, seat)
                except (BlockingIOError, ConnectionRefusedError):
                    continue
                except OSError as error:
                    raise BusError(f"{self._where()}: {error.strerror or error}; opened again") from error
        self.counts.sent += len(frames)

    def heard(self, wait_s: float = 0.0) -> list[Heard]:
        """Frames of all datagrams that have arrived."""
        found: list[Heard] = []
        try:
            if wait_s > 0.0:
                select.select([self._socket], [], [], wait_s)
            while len(found) < MOST_FRAMES:
                datagram, sender = self._socket.recvfrom(LONGEST_DATAGRAM + 1)
                found += self._frames(datagram, sender)
        except BlockingIOError:
            pass
        except (OSError, ValueError) as error:  # ValueError: select on a socket that was closed
            raise BusError(f"{self._where()}: {error}; opened again") from error
        self.counts.heard += len(found)
        return found

    def close(self) -> None:
        """Free the seat."""
        self._socket.close()

    def _frames(self, datagram: bytes, sender: tuple[str, int]) -> list[Heard]:
        frames = unpacked(datagram) if sender in self._others else None
        if frames is None:
            self.counts.malformed += 1
            return []
        now_s = self._clock()
        return [Heard(now_s, frame) for frame in frames]

    def _where(self) -> str:
        return f"loopback:{self._others[0][1]}"


def sit(port: int) -> socket.socket:
    """A socket on the first free seat of a bus. Raises BusError where all are taken."""
    for seat in range(port, port + SEATS):
        free = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        free.setblocking(False)
        free.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        try:
            free.bind((HOST, seat))
        except OSError:
            free.close()
            continue
        return free
    raise BusError(
        f"loopback:{port}: all {SEATS} seats, ports {port} to {port + SEATS - 1}, are taken; end a node or give another"
    )


def datagrams(frames: Sequence[CanFrame]) -> list[bytes]:
    """Frames packed, each datagram as full as it may be."""
    packed, now = [], bytearray(MARK)
    for frame in frames:
        if len(now) + RECORD.size + len(frame.data) > LONGEST_DATAGRAM:
            packed.append(bytes(now))
            now = bytearray(MARK)
        now += RECORD.pack(frame.can_id, len(frame.data)) + frame.data
    return [*packed, bytes(now)] if len(now) > len(MARK) else packed


def unpacked(datagram: bytes) -> list[CanFrame] | None:
    """The frames of a datagram; None where any part of it is not ours."""
    if not datagram.startswith(MARK) or len(datagram) > LONGEST_DATAGRAM:
        return None
    frames, place = [], len(MARK)
    while place < len(datagram):
        start = place + RECORD.size
        if start > len(datagram):
            return None
        can_id, length = RECORD.unpack_from(datagram, place)
        place = start + length
        if can_id > LAST_IDENTIFIER or length > LONGEST_DATA or place > len(datagram):
            return None
        frames.append(CanFrame(can_id, datagram[start:place]))
    return frames
