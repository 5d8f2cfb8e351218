"""Every bus keeps the same promises, whatever carries it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from packhorse.io.buses import Bus, open_bus
from packhorse.io.errors import BusError
from packhorse.protocols.j1939.identifier import CanFrame

FRAMES = [CanFrame(0x18FF0080 + k, bytes([k] * (k % 9))) for k in range(40)]
Join = Callable[[], Bus]
ports = itertools.count(46000, 10)


def free_port() -> int:
    return next(ports)


@pytest.fixture(params=["process", "loopback", "virtual"])
def join(request: pytest.FixtureRequest) -> Iterator[Join]:
    if request.param == "virtual":
        pytest.importorskip("can")
    name = f"{request.param}:{free_port()}"
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(open_bus(name, lambda: 12.5)))


def heard(bus: Bus, count: int) -> list[CanFrame]:
    found: list[CanFrame] = []
    while len(found) < count:
        more = bus.heard(1.0)
        assert more, f"{len(found)} of {count} frames"
        found += [one.frame for one in more]
    return found


def test_every_other_node_hears_frames_in_order_and_the_speaker_does_not(join: Join) -> None:
    one, two, three = join(), join(), join()
    one.send(FRAMES)
    assert heard(two, len(FRAMES)) == FRAMES
    assert heard(three, len(FRAMES)) == FRAMES
    assert one.heard() == []
    assert (one.counts.sent, two.counts.heard, three.counts.heard) == (40, 40, 40)


def test_nodes_answer_each_other(join: Join) -> None:
    one, two = join(), join()
    one.send(FRAMES[:3])
    assert heard(two, 3) == FRAMES[:3]
    two.send(FRAMES[3:5])
    assert heard(one, 2) == FRAMES[3:5]


def test_frames_carry_the_time_of_the_clock(join: Join) -> None:
    one, two = join(), join()
    one.send(FRAMES[:1])
    (only,) = two.heard(1.0)
    assert only.time_s == 12.5
    assert only.extended


def test_silence_is_an_empty_list_at_once(join: Join) -> None:
    assert join().heard() == []


def test_a_node_that_left_hears_no_more_and_others_go_on(join: Join) -> None:
    one, two, three = join(), join(), join()
    two.close()
    one.send(FRAMES[:2])
    assert heard(three, 2) == FRAMES[:2]
    two.close()


def test_a_closed_bus_says_that_it_is_gone() -> None:
    for name in (f"process:{free_port()}", f"loopback:{free_port()}"):
        bus = open_bus(name)
        bus.close()
        with pytest.raises(BusError):
            bus.heard(0.1)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("can0", "write KIND:PLACE"),
        ("loopback:", "write KIND:PLACE"),
        ("loopback:80", "give 1024 to"),
        ("loopback:9e9", "give 1024 to"),
        ("pcan:X@fast", "write KIND:PLACE"),
        ("loopback:45454@500000", "leave @500000 out"),
        ("nosuch:thing", "nosuch:thing: "),
    ],
)
def test_a_wrong_name_is_one_line_with_the_remedy(name: str, says: str) -> None:
    with pytest.raises(BusError) as caught:
        open_bus(name)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
