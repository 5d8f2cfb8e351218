"""The contactor sequence: every reachable state is visited, and what must never happen does not."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import pytest

from packhorse import bms, control
from packhorse.compiled import compiled
from packhorse.control.contactors import Plan
from packhorse.pack.faults import fault_code
from packhorse.pack.words import Array, Control, Frame, Pack, Reaction, Stage
from packs import calm, closed, drive_on, small_pack

PACK = small_pack()


@compiled
def advance(pack: Pack, was: Control, frame: Frame, reaction: Array, dt_s: float) -> Plan:
    return control.sequence(pack, was, frame, reaction, dt_s)


class Heard(NamedTuple):
    """One combination of everything the sequence looks at."""

    reaction: tuple[float, float]
    drive: float
    charge: float
    reset: float
    link: str
    current_A: float


HEARD = [
    Heard(*combination)
    for combination in itertools.product(
        itertools.product((Reaction.NOTE, Reaction.LIMP, Reaction.OPEN_AFTER_WARNING, Reaction.OPEN_NOW), repeat=2),
        (0.0, 1.0),
        (0.0, 1.0),
        (0.0, 1.0),
        ("empty", "charged", "unheard"),
        (0.0, 100.0, math.nan),
    )
]
LINK_V = {"empty": 0.0, "charged": 18.4, "unheard": math.nan}
# what distinguishes two memories: stage, whether waiting times have passed, failed tries
Memory = tuple[tuple[float, float, float], ...]


def frame_of(heard: Heard) -> Frame:
    return calm(
        PACK,
        drive_request=heard.drive,
        charge_request=heard.charge,
        reset_request=heard.reset,
        link_V=LINK_V[heard.link],
        string_A=np.full(2, heard.current_A),
        string_V=np.array([18.5, 18.3]),
    )


def control_of(memory: Memory) -> Control:
    return bms.start(PACK).control._replace(
        stage=np.array([m[0] for m in memory]),
        stage_s=np.array([m[1] for m in memory]),
        tries=np.array([m[2] for m in memory]),
    )


def remembered(plan: Plan) -> Memory:
    """Times count in seconds up to the longest wait, failed tries up to their limit."""
    return tuple(
        (float(plan.stage[s]), min(float(plan.stage_s[s]), 6.0), min(float(plan.tries[s]), 3.0)) for s in range(2)
    )


def check(was: Memory, heard: Heard, now: Memory) -> None:
    both = f"{was} {heard} {now}"
    contactor = {Stage.OPEN: (0, 0, 0), Stage.PRECHARGE: (1, 0, 1), Stage.CLOSED: (1, 1, 0), Stage.OPENING: (1, 1, 0)}
    for s in range(2):
        before, after, reaction = was[s][0], now[s][0], heard.reaction[s]
        wanted = heard.drive + heard.charge > 0
        asked = bms.control.positions.py_func(np.array([after]))[0]
        assert tuple(asked) == contactor.get(Stage(int(after)), (0, 0, 0)), both
        if reaction >= Reaction.OPEN_AFTER_WARNING:
            assert after not in {Stage.OPEN, Stage.PRECHARGE}, both
            assert not (after == Stage.CLOSED and before != Stage.CLOSED), both
        if reaction == Reaction.OPEN_NOW:
            assert after == Stage.TRIPPED, both
        if after == Stage.CLOSED and before != Stage.CLOSED:
            assert wanted, both
            assert before in {Stage.PRECHARGE, Stage.OPENING}, both
            if before == Stage.PRECHARGE:
                assert heard.link == "charged", both
        if before == Stage.TRIPPED and after != Stage.TRIPPED:
            assert heard.reset > 0, both
            assert reaction < Reaction.OPEN_AFTER_WARNING, both
            assert after == Stage.OPEN, both
        if before == Stage.OPENING and after in {Stage.OPEN, Stage.TRIPPED} and reaction < Reaction.OPEN_NOW:
            assert heard.current_A == 0.0 or was[s][1] + 1.0 >= 2 * PACK.contactors.warning_s, both
        if after == Stage.PRECHARGE and before != Stage.PRECHARGE:
            others = [was[1 - s][0], now[1 - s][0]]
            first = Stage.CLOSED not in others and Stage.OPENING not in others
            assert first or heard.link == "charged", both
    assert [m[0] for m in now].count(Stage.PRECHARGE) <= 2 - (was[0][0] == was[1][0] == Stage.OPEN), both


def test_every_reachable_state_keeps_the_rules() -> None:
    start: Memory = ((0.0, 6.0, 0.0), (0.0, 6.0, 0.0))
    seen, todo, steps = {start}, [start], 0
    frames = [(heard, frame_of(heard), np.array(heard.reaction, dtype=float)) for heard in HEARD]
    while todo:
        was = todo.pop()
        memory = control_of(was)
        for heard, frame, reaction in frames:
            now = remembered(advance(PACK, memory, frame, reaction, 1.0))
            check(was, heard, now)
            steps += 1
            if now not in seen:
                seen.add(now)
                todo.append(now)
    assert {m[0] for memory in seen for m in memory} == set(map(float, Stage))
    assert steps == len(seen) * len(HEARD)
    assert len(seen) > 500


def test_a_fault_free_start_takes_a_tick_each_to_open_precharge_and_close() -> None:
    _, outputs = drive_on(PACK, bms.start(PACK), calm(PACK, drive_request=1.0), 3.0)
    stages = [tuple(int(x) for x in o.command.stage) for o in outputs]
    assert stages[0] == (Stage.PRECHARGE, Stage.OPEN)
    order = list(dict.fromkeys(stages))
    assert order[-1] == (Stage.CLOSED, Stage.CLOSED)
    assert (Stage.CLOSED, Stage.PRECHARGE) in order


def test_an_uncharged_link_fails_three_times_and_then_trips() -> None:
    stuck = calm(PACK, drive_request=1.0, link_V=math.nan)
    state, outputs = drive_on(PACK, bms.start(PACK), stuck, 40.0)
    code = fault_code("precharge_failed")
    raised = [e for o in outputs for e in bms.events(o.events) if e.code == code]
    assert raised
    assert state.control.stage[0] == Stage.TRIPPED
    precharges = sum(
        a.command.stage[0] != Stage.PRECHARGE and b.command.stage[0] == Stage.PRECHARGE
        for a, b in itertools.pairwise(outputs)
    )
    assert precharges == 2  # the first began with the first output
    assert not any(o.command.contactor[:, 1].any() for o in outputs)


def test_current_through_an_open_string_trips_it() -> None:
    leak = calm(PACK, string_A=np.array([0.0, 30.0]))
    state, outputs = drive_on(PACK, bms.start(PACK), leak, 2.0)
    names = {e.code for o in outputs for e in bms.events(o.events)}
    assert fault_code("current_on_open_string") in names
    assert list(state.control.stage) == [Stage.OPEN, Stage.TRIPPED]


@pytest.mark.parametrize("current_A", [0.0, 100.0])
def test_an_interlock_fault_warns_first_and_waits_for_little_current(current_A: float) -> None:
    state = closed(PACK)
    frame = calm(PACK, drive_request=1.0, hvil=0.0, string_A=np.full(2, current_A))
    _, outputs = drive_on(PACK, state, frame, 6.0)
    opening = [o.command.stage[0] == Stage.OPENING for o in outputs]
    waited_s = 0.1 * sum(opening)
    expected_s = PACK.contactors.warning_s * (1.0 if current_A == 0.0 else 2.0)
    assert waited_s == pytest.approx(expected_s, abs=0.15)
    assert outputs[-1].command.stage[0] == Stage.TRIPPED


def test_a_string_at_another_voltage_waits_until_the_link_comes_near() -> None:
    pack = small_pack(contactors={"join_V": 1.0})
    frame = calm(pack, drive_request=1.0, string_V=np.array([18.5, 16.0]), cell_V=np.array([[3.7] * 5, [3.2] * 5]))
    state, outputs = drive_on(pack, bms.start(pack), frame, 5.0)
    assert tuple(outputs[-1].command.stage) == (Stage.CLOSED, Stage.OPEN)
    near = frame._replace(string_V=np.array([16.2, 16.0]))
    _, outputs = drive_on(pack, state, near, 5.0)
    assert tuple(outputs[-1].command.stage) == (Stage.CLOSED, Stage.CLOSED)


def test_charging_starts_with_the_lowest_string() -> None:
    frame = calm(PACK, charge_request=1.0, string_V=np.array([18.5, 18.2]))
    output = bms.step(PACK, bms.start(PACK), frame)[1]
    assert tuple(output.command.stage) == (Stage.OPEN, Stage.PRECHARGE)
