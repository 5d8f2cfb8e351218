"""What other nodes say about the vehicle: from bytes to words, the freshest and best source, bounded memory."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.protocols.j1939.hvess import encode, system_layouts
from packhorse.protocols.j1939.identifier import GLOBAL, Message
from packhorse.protocols.j1939.vehicle import SOURCES, Source, Told, Vehicle, take, vehicle


def told(name: str, time_s: float, was: Told | None = None, **values: float) -> Told:
    layout = system_layouts()[name]
    return take(was or {}, time_s, Message(layout.pgn, 0, GLOBAL, encode(layout, values)))


def test_nothing_is_known_of_a_silent_vehicle() -> None:
    assert all(math.isnan(value) for value in vehicle({}, 0.0))


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: f"{s.message}.{s.signal}")
def test_every_source_tells_its_word_while_it_is_fresh(source: Source) -> None:
    word, message, signal, patience_s = source
    heard = told(message, 100.0, **{signal: 12.0})
    bit = next(s.scale for s in system_layouts()[message].signals if s.name == signal)
    assert getattr(vehicle(heard, 100.0 + patience_s), word) == pytest.approx(12.0, abs=0.5 * bit)
    assert math.isnan(getattr(vehicle(heard, 101.0 + patience_s), word))
    assert math.isnan(getattr(vehicle(heard, 99.0 - patience_s), word))


def test_words_come_in_our_units() -> None:
    layout = system_layouts()["CCVS1"]
    kmh_80 = Message(layout.pgn, 0, GLOBAL, bytes.fromhex("ff0050ffffffffff"))
    assert vehicle(take({}, 0.0, kmh_80), 0.0).speed_m_per_s == pytest.approx(80 / 3.6)
    odometer = Message(system_layouts()["VDHR"].pgn, 0, GLOBAL, (2000).to_bytes(4, "little") + b"\xff" * 4)
    assert vehicle(take({}, 0.0, odometer), 0.0).odometer_m == 10_000.0


def test_the_better_source_counts_and_the_other_stands_in_when_it_falls_silent() -> None:
    heard = told("VDS", 0.0, speed_m_per_s=20.0)
    heard = told("CCVS1", 0.0, heard, speed_m_per_s=21.0)
    assert vehicle(heard, 0.5).speed_m_per_s == pytest.approx(21.0, abs=0.01)
    assert vehicle(heard, 2.0).speed_m_per_s == pytest.approx(20.0, abs=0.01)
    heard = told("CCVS1", 2.0, heard)
    assert vehicle(heard, 2.0).speed_m_per_s == pytest.approx(20.0, abs=0.01)


def test_uphill_is_positive_whatever_the_bus_calls_it() -> None:
    heard = told("SSI", 0.0, pitch_deg=3.0)
    assert vehicle(heard, 0.0).pitch_deg == pytest.approx(3.0)
    assert vehicle(heard, 0.0, pitch_sign=-1.0).pitch_deg == pytest.approx(-3.0)


@given(st.lists(st.tuples(st.floats(), st.integers(0, 0x3FFFF), st.binary(max_size=20)), max_size=40))
def test_any_messages_are_taken_and_memory_is_bounded(messages: list[tuple[float, int, bytes]]) -> None:
    heard: Told = {}
    pgns = [system_layouts()[s.message].pgn for s in SOURCES]
    for time_s, number, data in messages:
        heard = take(heard, time_s, Message(pgns[number % len(pgns)], 0, GLOBAL, data))
        heard = take(heard, time_s, Message(number, 0, GLOBAL, data))
        assert len(heard) <= len(SOURCES)
        assert isinstance(vehicle(heard, time_s), Vehicle)
