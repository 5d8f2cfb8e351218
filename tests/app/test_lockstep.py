"""Keeping step: turns are whole or asked again, whoever is hostile; and a bus that is gone is no busy loop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.app.lockstep import AGAIN_S, Lockstep, Turn, is_end, said
from packhorse.io.buses import Bus, Lasting, open_bus
from packhorse.io.errors import BusError
from packhorse.protocols import boards
from packhorse.protocols.j1939.identifier import GLOBAL, LAST_IDENTIFIER, CanFrame, join

names = (f"process:step{k}" for k in itertools.count())
FRAMES = [CanFrame(0x18FF0080 + k, bytes([k] * 8)) for k in range(5)]


class Pair:
    """One side in lockstep, and the other's bus in our hands; the clock moves by itself at every look."""

    def __init__(self, stack: ExitStack, patience: int = 30) -> None:
        name = next(names)
        self.lines: list[str] = []
        self.looks, self.patience, self.slept_s = 0, patience, 0.0
        self.lasting = stack.enter_context(closing(Lasting(name, lambda: open_bus(name))))
        self.other = stack.enter_context(closing(open_bus(name)))
        self.side = Lockstep(self.lasting, 243, self.stop, self.lines.append, self.clock, self.sleep)

    def stop(self) -> bool:
        self.looks += 1
        return self.looks > self.patience

    def clock(self) -> float:
        return 0.3 * self.looks

    def sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    def heard(self) -> list[CanFrame]:
        return [one.frame for one in self.other.heard()]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(stack, 14)


def test_a_turn_is_heard_whole_with_its_time_to_the_bit(pair: Pair) -> None:
    pair.other.send(said(Turn(7, 0.1 + 0.2, FRAMES), 39))
    assert pair.side.next() == Turn(7, 0.1 + 0.2, FRAMES)


def test_a_turn_that_lost_frames_is_left_for_its_repetition(pair: Pair) -> None:
    whole = said(Turn(7, 1.5, FRAMES), 39)
    pair.other.send(whole[2:])
    pair.other.send(whole)
    assert pair.side.next() == Turn(7, 1.5, FRAMES)
    assert pair.side.lost == 1


def test_a_turn_that_is_asked_again_is_answered_again_and_not_lived_twice(pair: Pair) -> None:
    first = Turn(7, 1.5, FRAMES)
    pair.other.send(said(first, 39))
    found = pair.side.next()
    assert found is not None
    pair.side.answer(found, Turn(7, 1.5, FRAMES[:1]))
    answer = pair.heard()
    pair.other.send(said(first, 39))
    pair.other.send(said(Turn(8, 1.6, []), 39))
    assert pair.side.next() == Turn(8, 1.6, [])
    assert pair.heard() == answer


def test_a_turn_is_said_until_it_is_answered(pair: Pair) -> None:
    assert pair.side.exchange(Turn(3, 0.3, FRAMES)) is None
    repeated = pair.heard()
    assert len(repeated) == 7 * (1 + int(0.3 * 14 / (AGAIN_S + 0.2)))
    assert pair.lines == [f"{pair.lasting.name}: nobody answers; waiting (Ctrl-C ends it)"]


def test_the_end_is_told(pair: Pair) -> None:
    pair.other.send(said(Turn(boards.table()["clock"]["END"], 9.0, []), 39))
    found = pair.side.next()
    assert found is not None
    assert is_end(found)


def test_while_the_bus_is_gone_the_side_sleeps() -> None:
    bus = open_bus("process:gone")

    def once(buses: list[Bus]) -> Bus:
        if not buses:
            raise BusError("process:gone: still gone")
        return buses.pop()

    made = [bus]
    with closing(Lasting("process:gone", lambda: once(made))) as lasting, ExitStack() as stack:
        pair = Pair(stack, 10)
        side = Lockstep(lasting, 243, pair.stop, pair.lines.append, pair.clock, pair.sleep)
        bus.close()
        assert side.next() is None
    assert pair.slept_s == pytest.approx(10 * 0.2)
    assert any("left the bus" in line for line in pair.lines)


@given(st.lists(st.tuples(st.sampled_from([0x1FF0E, 0x1FF0F, 0xFF00, 0xEA00]), st.binary(max_size=9)), max_size=40))
def test_hostile_turns_are_no_turns_without_time_and_frames(hostile: list[tuple[int, bytes]]) -> None:
    with ExitStack() as stack:
        pair = Pair(stack, 1)
        pair.other.send([CanFrame(join(7, pgn, GLOBAL, 1) & LAST_IDENTIFIER, data) for pgn, data in hostile])
        pair.other.send(said(Turn(7, 2.5, FRAMES), 39))
        pair.side._listen()
        found = pair.side.next()
        assert found is not None
        assert found.time_s == found.time_s
