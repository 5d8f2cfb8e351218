"""The loopback bus among hostile neighbours: it takes its own datagrams alone, and no flood fills it."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.io.buses import loopback, open_bus
from packhorse.io.buses.bus import MOST_FRAMES
from packhorse.io.buses.loopback import HOST, LONGEST_DATAGRAM, MARK, SEATS, LoopbackBus, datagrams, unpacked
from packhorse.io.errors import BusError
from packhorse.protocols.j1939.identifier import LAST_IDENTIFIER, CanFrame

PORT = 45900
frames = st.builds(CanFrame, st.integers(0, LAST_IDENTIFIER), st.binary(max_size=64))


@given(st.lists(frames, max_size=300))
def test_frames_survive_packing_and_no_datagram_is_too_long(said: list[CanFrame]) -> None:
    packed = datagrams(said)
    assert all(len(datagram) <= LONGEST_DATAGRAM for datagram in packed)
    assert [frame for datagram in packed for frame in unpacked(datagram) or []] == said


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda rest: MARK + rest)))
def test_any_bytes_are_whole_frames_or_nothing(data: bytes) -> None:
    found = unpacked(data)
    if found is not None:
        assert b"".join(datagrams(found)) == (data if found else b"")
        assert all(frame.can_id <= LAST_IDENTIFIER and len(frame.data) <= 64 for frame in found)


def test_hostile_datagrams_are_dropped_and_counted() -> None:
    good = datagrams([CanFrame(0x18FF0080, b"12345678")])[0]
    with closing(LoopbackBus(PORT, lambda: 0.0)) as bus, closing(loopback.sit(PORT)) as seated:
        for bad in (b"", b"hello", good[:-1], good + b"\x00", MARK + b"\xff\xff\xff\xff\x00", b"x" * 20000):
            seated.sendto(bad, (HOST, PORT))
        with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stranger:
            stranger.sendto(good, (HOST, PORT))
        seated.sendto(good, (HOST, PORT))
        assert [one.frame.data for one in bus.heard(1.0)] == [b"12345678"]
        assert bus.counts.malformed == 7


def test_only_this_machine_is_listened_to() -> None:
    with closing(loopback.sit(PORT)) as seat:
        assert seat.getsockname()[0] == "127.0.0.1"


def test_a_flood_is_bounded_by_the_kernel_and_by_each_call() -> None:
    with closing(LoopbackBus(PORT, lambda: 0.0)) as bus, closing(LoopbackBus(PORT, lambda: 0.0)) as babbler:
        for _ in range(40):
            babbler.send([CanFrame(0x18FF0080, b"12345678")] * 5000)
        total = 0
        while found := bus.heard():
            assert len(found) < MOST_FRAMES + LONGEST_DATAGRAM
            total += len(found)
        assert 0 < total < 200_000


def test_a_full_bus_says_so_and_a_seat_is_free_again_when_its_node_is_gone() -> None:
    nodes = [open_bus(f"loopback:{PORT}") for _ in range(SEATS)]
    with pytest.raises(BusError, match="8 seats"):
        open_bus(f"loopback:{PORT}")
    nodes[3].close()
    nodes[3] = open_bus(f"loopback:{PORT}")
    for node in nodes:
        node.close()
