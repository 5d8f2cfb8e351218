"""A bus that breaks is opened again, ever more patiently, and nobody waits for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from packhorse.io.buses import Bus, Counts, Heard, Lasting, lasting
from packhorse.io.errors import BusError
from packhorse.protocols.j1939.identifier import CanFrame

FRAME = CanFrame(0x18FF0080, b"x")


class Fragile:
    """A bus that works until it is told not to."""

    def __init__(self) -> None:
        self.counts, self.closed, self.gone = Counts(), False, False

    def send(self, frames: Sequence[CanFrame]) -> None:
        if self.gone:
            raise BusError("can0: bus off; check wiring")
        self.counts.sent += len(frames)

    def heard(self, wait_s: float = 0.0) -> list[Heard]:
        del wait_s
        if self.gone:
            raise BusError("can0: unplugged")
        self.counts.heard += 1
        return [Heard(0.0, FRAME)]

    def close(self) -> None:
        self.closed = True


class Bench:
    """A clock, an adapter that can be unplugged, and an opener that finishes when it is let."""

    def __init__(self) -> None:
        self.now_s, self.plugged = 0.0, True
        self.opened: list[Fragile] = []
        self.coming: list[tuple[Future[Bus], float]] = []
        self.slow = False
        self.bus = Lasting("can0", self.open, lambda: self.now_s, self.begin)

    def open(self) -> Bus:
        if not self.plugged:
            raise BusError("can0: no such device")
        self.opened.append(Fragile())
        return self.opened[-1]

    def begin(self, opened: object) -> Future[Bus]:
        del opened
        future: Future[Bus] = Future()
        self.coming.append((future, self.now_s))
        if not self.slow:
            self.finish(future)
        return future

    def finish(self, future: Future[Bus]) -> None:
        try:
            future.set_result(self.open())
        except BusError as error:
            future.set_exception(error)


def test_the_first_opening_fails_at_once() -> None:
    def refuse() -> Bus:
        raise BusError("can0: no such device")

    with pytest.raises(BusError):
        Lasting("can0", refuse)


def test_a_broken_bus_is_opened_again_and_nothing_raises() -> None:
    bench = Bench()
    bench.bus.send([FRAME])
    bench.opened[0].gone = True
    bench.bus.send([FRAME])
    assert bench.opened[0].closed
    assert bench.bus.heard() == []
    bench.bus.send([FRAME, FRAME])
    bench.now_s = 0.1
    assert len(bench.bus.heard()) == 1
    assert not bench.bus.broken
    assert bench.bus.counts == Counts(sent=1, heard=1, dropped=2, errors=1)
    assert list(bench.bus.lines) == ["can0: bus off; check wiring; next try in 0.1 s", "can0: back"]


def test_pauses_grow_to_five_seconds_and_begin_anew_after_success() -> None:
    bench = Bench()
    bench.plugged, bench.opened[0].gone = False, True
    for tick in range(400):
        bench.now_s = 0.1 * tick
        bench.bus.heard(1.0)
    tries = [time_s for _, time_s in bench.coming]
    pauses = [later - before for before, later in itertools.pairwise(tries)]
    assert pauses[:6] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0], abs=0.11)
    assert max(pauses) < 5.2
    bench.plugged = True
    bench.now_s += 6.0
    assert len(bench.bus.heard()) == 1
    bench.opened[-1].gone = True
    bench.bus.heard()
    assert bench.bus.lines[-1].endswith("next try in 0.1 s")


def test_an_adapter_that_needs_long_to_open_is_not_waited_for() -> None:
    bench = Bench()
    bench.slow, bench.opened[0].gone = True, True
    bench.bus.heard()
    bench.now_s = 60.0
    for _ in range(5):
        assert bench.bus.heard(1.0) == []
    assert len(bench.coming) == 1
    bench.finish(bench.coming[0][0])
    assert len(bench.bus.heard()) == 1


def test_what_opens_after_the_end_is_closed() -> None:
    bench = Bench()
    bench.slow, bench.opened[0].gone = True, True
    bench.bus.heard()
    bench.now_s = 60.0
    bench.bus.heard()
    bench.bus.close()
    bench.finish(bench.coming[0][0])
    assert bench.opened[-1].closed


def test_a_bus_is_opened_beside_the_caller_where_nothing_else_is_said() -> None:
    made = Fragile()
    assert lasting.beside(lambda: made).result(timeout=10.0) is made
