"""Linux SocketCAN through a raw socket of the standard library.

Source: the kernel's Documentation/networking/can.rst and include/uapi/linux/can.h and can/error.h.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections.abc import Sequence

from packhorse.io.buses.bus import LONGEST_DATA, MOST_FRAMES, Clock, Counts, Heard
from packhorse.io.errors import BusError
from packhorse.protocols.j1939.identifier import LAST_IDENTIFIER, CanFrame

CLASSIC, FD = struct.Struct("=IB3x8s"), struct.Struct("=IBB2x64s")
"""`struct can_frame` and `struct canfd_frame`: identifier with flags, length, FD flags, data."""
EXTENDED, REMOTE, ERROR = 0x80000000, 0x40000000, 0x20000000
STANDARD_IDENTIFIER = 0x7FF
ERROR_FILTER, BUS_OFF = 2, 0x40
"""Option that lets error frames through, and the class of the one that says that the controller has left the bus."""
NO_ROOM = {errno.ENOBUFS, errno.EAGAIN}


class SocketCanBus:
    """A node on a CAN interface of Linux."""

    def __init__(self, interface: str, clock: Clock, raw: socket.socket | None = None) -> None:
        self.counts = Counts()
        self._where, self._clock = f"socketcan:{interface}", clock
        self._socket = raw or bound(interface)
        self._socket.setblocking(False)

    def send(self, frames: Sequence[CanFrame]) -> None:
        """Hand the frames to the kernel's queue."""
        for frame in frames:
            try:
                self._socket.send(packed(frame))
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise self._broken(error) from error
                self.counts.dropped += 1
            else:
                self.counts.sent += 1

    def heard(self, wait_s: float = 0.0) -> list[Heard]:
        """Everything that the kernel has, in one go."""
        found: list[Heard] = []
        try:
            if wait_s > 0.0:
                select.select([self._socket], [], [], wait_s)
            now_s = self._clock()
            for _ in range(MOST_FRAMES):
                self._take(self._socket.recv(FD.size), now_s, found)
        except BlockingIOError:
            pass
        except (OSError, ValueError) as error:  # ValueError: select on a socket that was closed
            raise self._broken(error) from error
        self.counts.heard += len(found)
        return found

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _take(self, raw: bytes, now_s: float, found: list[Heard]) -> None:
        if len(raw) in {CLASSIC.size, FD.size} and struct.unpack_from("=I", raw)[0] & ERROR:
            if struct.unpack_from("=I", raw)[0] & BUS_OFF:
                self.counts.bus_off += 1
                raise BusError(f"{self._where}: bus off; check wiring, bit rate and termination")
            return
        frame = unpacked(raw)
        if frame is None:
            self.counts.malformed += 1
        else:
            found.append(Heard(now_s, *frame))

    def _broken(self, error: Exception) -> BusError:
        return BusError(f"{self._where}: {error}; check that the interface is up and its adapter plugged in")


def bound(interface: str) -> socket.socket:
    """A raw socket on an interface, that hears FD frames and bus-off. Raises BusError."""
    try:
        raw = socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
    except (AttributeError, OSError) as error:
        raise BusError(f"socketcan:{interface}: this kernel has no SocketCAN ({error}); use another bus") from error
    try:
        raw.setsockopt(socket.SOL_CAN_RAW, socket.CAN_RAW_FD_FRAMES, 1)
        raw.setsockopt(socket.SOL_CAN_RAW, ERROR_FILTER, BUS_OFF)
        raw.bind((interface,))
    except OSError as error:
        raw.close()
        raise BusError(
            f"socketcan:{interface}: {error.strerror}; bring it up with "
            f"'ip link set {interface} up type can bitrate 500000'"
        ) from error
    return raw


def packed(frame: CanFrame) -> bytes:
    """A frame of 29-bit identifier as the kernel takes it: 16 bytes, or 72 where it has more than 8 of data."""
    can_id, length = frame.can_id | EXTENDED, len(frame.data)
    return CLASSIC.pack(can_id, length, frame.data) if length <= 8 else FD.pack(can_id, length, 0, frame.data)


def unpacked(raw: bytes) -> tuple[CanFrame, bool] | None:
    """A frame, and whether its identifier has 29 bits; None for remote frames and what is none."""
    if len(raw) == CLASSIC.size:
        can_id, length, data = CLASSIC.unpack(raw)
    elif len(raw) == FD.size:
        can_id, length, _, data = FD.unpack(raw)
    else:
        return None
    if length > min(len(data), LONGEST_DATA) or can_id & (REMOTE | ERROR):
        return None
    extended = bool(can_id & EXTENDED)
    return CanFrame(can_id & (LAST_IDENTIFIER if extended else STANDARD_IDENTIFIER), data[:length]), extended
