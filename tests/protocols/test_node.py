"""Our battery on the bus: rhythm, change, requests, what it hears, and hostile frames."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes import claimed, layout_of, moment_of, node_settings, read, spoken_over
from packhorse.pack.faults import fault_code
from packhorse.protocols.j1939 import diagnostics as dm
from packhorse.protocols.j1939.claim import ADDRESS_CLAIMED, Standing
from packhorse.protocols.j1939.hvess import decode, encode, layouts, system_layouts
from packhorse.protocols.j1939.identifier import GLOBAL, CanFrame, Message, join, single, split
from packhorse.protocols.j1939.name import name_bytes
from packhorse.protocols.j1939.node import QUESTIONS, Node, counts, hear, requests, speak, start
from packhorse.protocols.j1939.request import ACKNOWLEDGEMENT, REQUEST, Answer, request
from packhorse.protocols.j1939.spoken import Moment, spoken
from packhorse.protocols.j1939.transport import CONNECTION, DATA, Transport
from packhorse.protocols.j1939.transport import hear as receive
from packs import small_pack

SETTINGS = node_settings()
OURS, TOOL, CONTROLLER = 243, 249, 5
MOMENT = moment_of(small_pack(strings=2, series=5))


def ask(node: Node, pgn: int, destination: int = OURS, time_s: float = 1.0) -> tuple[Node, list[CanFrame]]:
    """Ask for a parameter group; gives back what is said in answer, without what is said anyway."""
    node, _ = speak(node, SETTINGS, MOMENT, time_s)
    node, at_once = hear(node, SETTINGS, time_s, request(pgn, TOOL, destination))
    node, said = speak(node, SETTINGS, MOMENT, time_s)
    return node, [*at_once, *said]


def control(source: int = CONTROLLER, **values: float) -> CanFrame:
    layout = system_layouts()["HVESSC1"]
    return single(Message(layout.pgn, source, OURS, encode(layout, values), 3))


def with_faults(*names: str) -> Moment:
    active = np.zeros_like(MOMENT.state.watch.active)
    for name in names:
        active[fault_code(name), 0] = 1.0
    return MOMENT._replace(state=MOMENT.state._replace(watch=MOMENT.state.watch._replace(active=active)))


def test_nothing_is_said_before_the_address_is_claimed() -> None:
    node, frames = start(SETTINGS, 0.0)
    assert [split(f.can_id).pgn for f in frames] == [ADDRESS_CLAIMED]
    assert speak(node, SETTINGS, MOMENT, 0.2)[1] == ()
    node, frames = speak(node, SETTINGS, MOMENT, 0.25)
    assert node.claim.standing is Standing.CLAIMED
    assert all(split(f.can_id).source == OURS for f in frames)


def test_every_message_keeps_its_period_and_two_strings_speak_as_packs() -> None:
    _, said = spoken_over(claimed(SETTINGS, MOMENT), SETTINGS, 10.0, MOMENT)
    counts = Counter(layout.name for _, f in said if (layout := layout_of(f)))
    for name, message in spoken(SETTINGS, 2).items():
        period_s = message.layout.period_s
        assert counts[name] == pytest.approx(10.0 / period_s if period_s else 0, abs=1.01), name
    assert counts["HVESP2D1"] == pytest.approx(500, abs=1)
    assert len([1 for _, f in said if split(f.can_id).pgn == dm.DM1]) == pytest.approx(10, abs=1)


def test_what_is_not_sent_on_change_keeps_its_period_however_fast_it_changes() -> None:
    other = moment_of(small_pack(strings=2, series=5), hvil=0.0, cell_V=np.full((2, 5), 3.5), inlet_degC=50.0)
    _, said = spoken_over(claimed(SETTINGS, MOMENT), SETTINGS, 5.0, lambda t: (MOMENT, other)[round(t * 100) % 2])
    counts = Counter(layout.name for _, f in said if (layout := layout_of(f)))
    for name, message in spoken(SETTINGS, 2).items():
        layout = message.layout
        if layout.period_s and math.isnan(layout.fastest_s):
            assert counts[name] == pytest.approx(5.0 / layout.period_s, abs=1.01), name
        elif layout.period_s:
            assert 5.0 / layout.period_s < counts[name] <= 5.0 / layout.fastest_s + 1, name


@pytest.mark.parametrize("dt_s", [0.02, 0.05, 0.1])
def test_a_slower_loop_says_each_message_once_a_tick_at_most(dt_s: float) -> None:
    _, said = spoken_over(claimed(SETTINGS, MOMENT), SETTINGS, 5.0, MOMENT, dt_s)
    counts = Counter(layout.name for _, f in said if (layout := layout_of(f)))
    assert counts["HVESSD1"] == pytest.approx(5.0 / dt_s, abs=1)
    assert counts["HVESSD4"] == pytest.approx(50, abs=1)
    each_tick = Counter((time_s, layout.name) for time_s, f in said if (layout := layout_of(f)))
    assert max(each_tick.values()) == 1


def test_messages_are_spread_over_their_period() -> None:
    _, said = spoken_over(claimed(SETTINGS, MOMENT), SETTINGS, 2.0, MOMENT)
    busiest = max(Counter(round(time_s, 3) for time_s, _ in said if time_s > 1.5).values())
    assert busiest <= 14


def test_status_is_said_on_change_no_faster_than_20_ms() -> None:
    shut, open_ = moment_of(small_pack(strings=2, series=5), hvil=0.0), MOMENT
    _, said = spoken_over(
        claimed(SETTINGS, MOMENT), SETTINGS, 2.0, lambda t: shut if round(t * 200) % 2 else open_, dt_s=0.005
    )
    times = [time_s for time_s, f in said if (layout := layout_of(f)) and layout.name == "HVESSS1"]
    assert len(times) > 60
    assert min(np.diff(times)) >= 0.0199


def test_a_clock_that_is_set_back_does_not_silence_the_battery() -> None:
    node, _ = spoken_over(claimed(SETTINGS, MOMENT), SETTINGS, 0.5, MOMENT)
    node = node._replace(sent={k: s._replace(time_s=1e6, due_s=1e6) for k, s in node.sent.items()})
    _, frames = speak(node, SETTINGS, MOMENT, 1.6)
    assert "HVESSD1" in read(frames)


def test_frames_have_priority_and_source_as_seen_on_buses() -> None:
    _, said = spoken_over(claimed(SETTINGS, MOMENT), SETTINGS, 0.2, MOMENT)
    ids = {f.can_id for _, f in said}
    assert {0x0CF090F3, 0x0CF096F3, 0x0CF0A0F3} <= ids


def test_configuration_is_sent_to_who_asks_as_a_session_and_to_all_as_a_broadcast() -> None:
    node = claimed(SETTINGS, MOMENT)
    node, frames = ask(node, 64605)
    (opening,) = [f for f in frames if split(f.can_id).pgn == CONNECTION]
    assert (opening.data[0], opening.data[1], split(opening.can_id).destination) == (16, 20, TOOL)
    tool, _, answer = receive(Transport(), 1.0, TOOL, opening)
    node, packets = hear(node, SETTINGS, 1.0, answer[0])
    got = []
    for packet in packets:
        tool, messages, answer = receive(tool, 1.0, TOOL, packet)
        got += messages
    (message,) = got
    values = decode(layouts()[message.pgn], message.data).values
    assert values["packs_configured"] == 2
    node, _ = hear(node, SETTINGS, 1.0, answer[0])
    assert not node.transport.sending
    _, frames = ask(node, 64605, GLOBAL)
    assert [f.data[0] for f in frames if split(f.can_id).pgn == CONNECTION] == [32]


def test_what_is_sent_anyway_is_sent_at_once_when_asked_for() -> None:
    _, frames = ask(claimed(SETTINGS, MOMENT), 61588)
    assert "HVESSD5" in read(frames)


@pytest.mark.parametrize(
    ("pgn", "destination", "said"),
    [
        (65242, OURS, [Answer.UNKNOWN]),
        (65242, GLOBAL, []),
        (dm.DM3, OURS, [Answer.DONE]),
        (dm.DM11, OURS, [Answer.DONE]),
        (dm.DM11, GLOBAL, []),
        (61588, OURS, []),
    ],
)
def test_requests_are_acknowledged_when_directed_at_us_and_not_answered_otherwise(
    pgn: int, destination: int, said: list[Answer]
) -> None:
    _, frames = ask(claimed(SETTINGS, MOMENT), pgn, destination)
    answers = [f.data for f in frames if split(f.can_id).pgn == ACKNOWLEDGEMENT]
    assert [data[0] for data in answers] == said
    assert all(data[4:] == bytes([TOOL]) + pgn.to_bytes(3, "little") for data in answers)


def test_requests_beyond_those_that_can_wait_are_counted() -> None:
    node = claimed(SETTINGS, MOMENT)
    for source in range(100):
        node, _ = hear(node, SETTINGS, 1.0, request(65242, source, OURS))
    assert len(node.questions) == QUESTIONS
    assert node.refused == 100 - QUESTIONS


def dm1(frames: list[CanFrame]) -> list[dm.Diagnosis]:
    listener, found = Transport(), []
    for frame in frames:
        heard = split(frame.can_id)
        if heard.pgn == dm.DM1:
            found.append(dm.decode(frame.data))
        elif heard.pgn in {CONNECTION, DATA}:
            listener, messages, _ = receive(listener, 0.0, TOOL, frame)
            found += [dm.decode(m.data) for m in messages]
    return [d for d in found if d is not None]


def test_faults_are_told_once_a_second_and_at_once_when_they_come_or_go() -> None:
    names: list[tuple[str, ...]] = [(), ("hvil_open",), ("hvil_open", "coolant_hot", "cell_spread"), ()]
    node, said = spoken_over(
        claimed(SETTINGS, MOMENT), SETTINGS, 8.0, lambda t: with_faults(*names[min(int((t - 1.0) / 2.3), 3)])
    )
    told = dm1([f for _, f in said])
    assert [len(d.troubles) for d in told] == [0, 0, 1, 1, 1, 3, 3, 3, 0, 0]
    assert told[-1] == dm.Diagnosis(dm.DARK, dm.STEADY, ())
    assert node.recorded.previous.keys() == {fault_code(n) for n in names[2]}
    lit = next(d for d in told if d.troubles)
    assert (lit.lamps.red, lit.troubles[0]) == (dm.Lamp.ON, dm.Trouble(8098, 31, 1))


@pytest.mark.parametrize("flicker_s", [0.02, 0.1, 0.3])
def test_a_fault_that_comes_and_goes_all_the_time_does_not_flood_the_bus(flicker_s: float) -> None:
    def flickering(time_s: float) -> Moment:
        return with_faults(*["hvil_open"] * (round(time_s / flicker_s) % 2))

    _, said = spoken_over(claimed(SETTINGS, MOMENT), SETTINGS, 10.0, flickering)
    times = [time_s for time_s, f in said if split(f.can_id).pgn == dm.DM1]
    assert 10 <= len(times) <= 22
    assert min(np.diff(times)) >= 0.0999


def test_a_second_fault_is_told_at_once_while_the_first_comes_and_goes() -> None:
    def two(time_s: float) -> Moment:
        later = ["coolant_hot"] if time_s >= 5.55 else []
        return with_faults(*["hvil_open"] * (round(time_s / 0.1) % 2), *later)

    _, said = spoken_over(claimed(SETTINGS, MOMENT), SETTINGS, 10.0, two)
    at = [time_s for time_s, f in said if split(f.can_id).pgn in {dm.DM1, CONNECTION}]
    assert min(abs(time_s - 5.55) for time_s in at if time_s >= 5.549) <= 0.101


def test_dm2_tells_what_was_and_dm3_forgets_it() -> None:
    node = claimed(SETTINGS, MOMENT)
    node, _ = speak(node, SETTINGS, with_faults("hvil_open"), 1.0)
    node, frames = ask(node, dm.DM2)
    (said,) = [dm.decode(f.data) for f in frames if split(f.can_id).pgn == dm.DM2]
    assert said is not None
    assert said.troubles == (dm.Trouble(8098, 31, 1),)
    node, _ = ask(node, dm.DM3)
    assert node.recorded.previous == {}
    _, frames = ask(node, dm.DM12)
    assert [f.data.hex() for f in frames if split(f.can_id).pgn == dm.DM12] == ["00ff00000000ffff"]


def test_dm11_asks_the_bms_for_a_reset_for_one_tick() -> None:
    node, _ = ask(claimed(SETTINGS, MOMENT), dm.DM11)
    assert requests(node, SETTINGS, 1.0).reset_request == 1.0
    node, _ = speak(node, SETTINGS, MOMENT, 1.1)
    assert requests(node, SETTINGS, 1.1).reset_request == 0.0


@pytest.mark.parametrize("changes", [{"may_clear": False}, {}])
def test_faults_are_not_cleared_where_that_is_not_allowed_or_while_driving(changes: dict[str, Any]) -> None:
    fixed = node_settings(**changes)
    node = claimed(fixed, MOMENT)
    speed = system_layouts()["CCVS1"]
    node, _ = hear(node, fixed, 1.0, single(Message(speed.pgn, 0, GLOBAL, encode(speed, {"speed_m_per_s": 20.0}))))
    node, _ = hear(node, fixed, 1.0, request(dm.DM11, TOOL, OURS))
    node, frames = speak(node, fixed, MOMENT, 1.0)
    assert [f.data[0] for f in frames if split(f.can_id).pgn == ACKNOWLEDGEMENT] == [Answer.DENIED]
    assert node.reset == 0.0


@pytest.mark.parametrize(
    ("values", "changes", "said"),
    [
        ({"connect_command": 1}, {}, (1, 0)),
        ({"connect_command": 0}, {}, (0, 0)),
        ({}, {}, (0, 0)),
        ({"connect_command": math.inf}, {}, (0, 0)),
        ({"internal_charger_command": 1}, {}, (0, 1)),
        ({"connect_command": 1, "power_down_command": 1}, {}, (0, 0)),
        ({"connect_command": 1}, {"consent_needed": True}, (0, 0)),
        ({"connect_command": 1, "operation_consent": 1}, {"consent_needed": True}, (1, 0)),
        ({"connect_command": 1}, {"controller": CONTROLLER}, (1, 0)),
        ({"connect_command": 1}, {"controller": 39}, (0, 0)),
        ({"connect_command": 0}, {"codes": {"command": {"off": 1, "on": 0}}}, (1, 0)),
    ],
)
def test_the_controller_is_obeyed_as_declared(
    values: dict[str, float], changes: dict[str, Any], said: tuple[float, float]
) -> None:
    fixed = node_settings(**changes)
    node, _ = hear(claimed(fixed, MOMENT), fixed, 2.0, control(**values))
    asked = requests(node, fixed, 2.0)
    assert (asked.drive_request, asked.charge_request) == said


def test_a_controller_that_falls_silent_asks_for_nothing() -> None:
    node, _ = hear(claimed(SETTINGS, MOMENT), SETTINGS, 2.0, control(connect_command=1, balancing_command=1))
    assert requests(node, SETTINGS, 2.5)[:2] == (1.0, 1.0)
    assert requests(node, SETTINGS, 2.5).balancing == 1.0
    silent = requests(node, SETTINGS, 2.51)
    assert (silent.heard, silent.drive_request) == (0.0, 0.0)
    assert math.isnan(silent.balancing)


def test_a_command_that_is_not_available_for_a_moment_holds() -> None:
    node, _ = hear(claimed(SETTINGS, MOMENT), SETTINGS, 2.0, control(connect_command=1))
    for k in range(30):
        node, _ = hear(node, SETTINGS, 2.0 + 0.02 * k, control())
    assert requests(node, SETTINGS, 2.5)[:2] == (1.0, 1.0)
    assert requests(node, SETTINGS, 2.6)[:2] == (1.0, 0.0)


def test_a_command_to_another_battery_is_not_ours() -> None:
    layout = system_layouts()["HVESSC1"]
    other = single(Message(layout.pgn, CONTROLLER, 244, encode(layout, {"connect_command": 1}), 3))
    node, _ = hear(claimed(SETTINGS, MOMENT), SETTINGS, 2.0, other)
    assert requests(node, SETTINGS, 2.0).heard == 0.0


def test_the_mass_is_asked_for_until_somebody_tells_it() -> None:
    node, said = spoken_over(claimed(SETTINGS, MOMENT), SETTINGS, 25.0, MOMENT, 0.1)
    asked = [f for _, f in said if split(f.can_id).pgn == REQUEST]
    assert [f.data for f in asked] == [(65136).to_bytes(3, "little")] * 2
    mass = system_layouts()["CVW"]
    told = single(Message(mass.pgn, 0, GLOBAL, encode(mass, {"combination_mass_kg": 38_000.0})))
    node, _ = hear(node, SETTINGS, 26.0, told)
    assert REQUEST not in {split(f.can_id).pgn for f in speak(node, SETTINGS, MOMENT, 40.0)[1]}


def test_a_node_that_loses_its_address_moves_and_then_speaks_from_the_new_one() -> None:
    node = claimed(SETTINGS, MOMENT)
    node, frames = hear(node, SETTINGS, 2.0, CanFrame(join(6, ADDRESS_CLAIMED, GLOBAL, OURS), name_bytes(1)))
    assert split(frames[0].can_id).source == 128
    assert speak(node, SETTINGS, MOMENT, 2.1)[1] == ()
    node, frames = speak(node, SETTINGS, MOMENT, 2.3)
    assert {split(f.can_id).source for f in frames} == {128}
    assert node.claim.contended == 1


def test_a_second_battery_with_our_address_is_counted_and_survived() -> None:
    node = claimed(SETTINGS, MOMENT)
    _, said = spoken_over(node, SETTINGS, 0.5, MOMENT)
    for time_s, frame in said:
        node, _ = hear(node, SETTINGS, time_s, frame)
    assert counts(node)["address_used_by_others"] == len(said)
    assert speak(node, SETTINGS, MOMENT, 1.5)[1]


PGNS = [ADDRESS_CLAIMED, REQUEST, ACKNOWLEDGEMENT, CONNECTION, DATA, 6912, dm.DM1, dm.DM11, 65265, 65136, 61459]
identifiers = st.one_of(
    st.integers(-1, 0x20000000),
    st.builds(
        join, st.integers(0, 7), st.sampled_from(PGNS), st.sampled_from([OURS, GLOBAL, 128]), st.integers(0, 255)
    ),
)
contents = st.one_of(
    st.binary(max_size=9),
    st.sampled_from([p.to_bytes(3, "little") for p in (*PGNS, dm.DM2, dm.DM3, dm.DM12, 64605, 64606)]),
    st.builds(
        lambda c, n, p: bytes([c, n, 0, -(-n // 7), 255]) + p.to_bytes(3, "little"),
        st.sampled_from([16, 17, 19, 32, 255]),
        st.integers(0, 60),
        st.sampled_from(PGNS),
    ),
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 0.3), st.builds(CanFrame, identifiers, contents)), max_size=40),
    st.booleans(),
)
def test_hostile_frames_never_raise_and_leave_memory_and_traffic_bounded(
    heard: list[tuple[float, CanFrame]], moves: bool
) -> None:
    fixed = node_settings(name={"identity": 7, "manufacturer": 100, "may_move": moves})
    node, time_s = claimed(fixed, MOMENT), 1.0
    for dt_s, frame in heard:
        time_s += dt_s
        node, at_once = hear(node, fixed, time_s, frame)
        node, frames = speak(node, fixed, MOMENT, time_s)
        assert len(at_once) <= 256
        assert len(frames) <= 150
        assert all(0 <= f.can_id <= 0x1FFFFFFF and len(f.data) <= 8 for f in (*at_once, *frames))
        assert all(0.0 <= x <= 1.0 for x in requests(node, fixed, time_s)[:4])
        assert len(node.questions) <= QUESTIONS
    assert len(node.sent) <= 60
    assert all(count >= 0 for count in counts(node).values())
