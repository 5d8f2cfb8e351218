"""SocketCAN: every byte of its frames, and the real thing where the kernel has one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from packhorse.io.buses.socketcan import SocketCanBus, packed, unpacked
from packhorse.io.errors import BusError
from packhorse.protocols.j1939.identifier import CanFrame


@pytest.fixture
def wire() -> Iterator[tuple[SocketCanBus, socket.socket]]:
    """A bus on one end of a pair of sockets that keep packets whole, as the kernel's raw CAN does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with closing(SocketCanBus("can0", lambda: 3.0, ours)) as bus, theirs:
        yield bus, theirs


def test_a_frame_is_sixteen_bytes_of_the_kernel() -> None:
    raw = packed(CanFrame(0x18FEF127, bytes.fromhex("0102030405060708")))
    assert raw == (0x98FEF127).to_bytes(4, "little") + bytes.fromhex("08 000000 0102030405060708")
    assert packed(CanFrame(0x0CF00400, b"\xaa\xbb")) == bytes.fromhex("0004f08c 02 000000 aabb000000000000")


def test_a_long_frame_is_seventy_two() -> None:
    raw = packed(CanFrame(0x18FF0080, bytes(range(12))))
    assert len(raw) == 72
    assert raw[:20] == bytes.fromhex("8000ff98 0c 00 0000") + bytes(range(12))


def test_what_is_heard_is_taken_apart() -> None:
    assert unpacked(bytes.fromhex("27f1fe98 08 000000 0102030405060708")) == (
        CanFrame(0x18FEF127, bytes(range(1, 9))),
        True,
    )
    assert unpacked(bytes.fromhex("23010000 02 000000 aabb000000000000")) == (CanFrame(0x123, b"\xaa\xbb"), False)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00" * 15,
        b"\x00" * 71,
        bytes.fromhex("27f1fed8 00 000000 0000000000000000"),  # remote
        bytes.fromhex("27f1fe98 09 000000 0000000000000000"),  # longer than it is
        bytes.fromhex("27f1fe98 41 000000") + bytes(64),
    ],
)
def test_what_is_no_frame_is_dropped_and_counted(wire: tuple[SocketCanBus, socket.socket], raw: bytes) -> None:
    bus, kernel = wire
    kernel.send(raw)
    kernel.send(packed(CanFrame(0x18FF0080, b"1")))
    assert [one.frame.data for one in bus.heard()] == [b"1"]
    assert bus.counts.malformed == 1


def test_many_are_read_at_once(wire: tuple[SocketCanBus, socket.socket]) -> None:
    bus, kernel = wire
    for k in range(200):
        kernel.send(packed(CanFrame(0x18FF0080, bytes([k]))))
    assert [one.frame.data[0] for one in bus.heard()] == list(range(200))
    bus.send([CanFrame(0x18FF0081, b"x")])
    assert kernel.recv(80) == packed(CanFrame(0x18FF0081, b"x"))


def test_bus_off_is_said(wire: tuple[SocketCanBus, socket.socket]) -> None:
    bus, kernel = wire
    kernel.send((0x20000040).to_bytes(4, "little") + b"\x08" + bytes(11))
    with pytest.raises(BusError, match="bus off"):
        bus.heard()
    assert bus.counts.bus_off == 1


def test_a_queue_that_is_full_drops(wire: tuple[SocketCanBus, socket.socket]) -> None:
    bus, _ = wire
    bus.send([CanFrame(0x18FF0080, b"x" * 8)] * 5000)
    assert bus.counts.sent > 0
    assert bus.counts.sent + bus.counts.dropped == 5000


def test_the_real_thing() -> None:
    interface = os.environ.get("PACKHORSE_CAN", "vcan0")
    try:
        one = SocketCanBus(interface, lambda: 0.0)
    except BusError as error:
        pytest.skip(str(error))
    with closing(one), closing(SocketCanBus(interface, lambda: 0.0)) as two:
        one.send([CanFrame(0x18FF0080, b"12345678")])
        assert [heard.frame for heard in two.heard(1.0)] == [CanFrame(0x18FF0080, b"12345678")]
