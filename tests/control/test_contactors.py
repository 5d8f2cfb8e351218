"""The contactor sequence: every reachable state is visited, and what must never happen does not."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from packhorse import bms, control
from packhorse.compiled import compiled
from packhorse.pack.faults import fault_code
from packhorse.pack.words import Array, Control, Frame, Frames, Pack, Reaction, Stage
from packs import calm, closed, drive_on, small_pack, stacked

PACK = small_pack()


class Swept(NamedTuple):
    """What one memory becomes under every combination heard, combinations first."""

    stage: Array  # (combinations, strings)
    stage_s: Array
    tries: Array
    contactor: Array  # (combinations, strings, 3)


@compiled
def sweep(pack: Pack, was: Control, frames: Frames, reaction: Array, dt_s: float) -> Swept:
    count, strings = reaction.shape
    swept = Swept(
        np.empty((count, strings)),
        np.empty((count, strings)),
        np.empty((count, strings)),
        np.empty((count, strings, 3)),
    )
    for k in range(count):
        plan = control.sequence(pack, was, bms.frame_at(frames, k), reaction[k], dt_s)
        swept.stage[k], swept.stage_s[k], swept.tries[k] = plan.stage, plan.stage_s, plan.tries
        swept.contactor[k] = control.positions(plan.stage)
    return swept


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
# the columns of HEARD as arrays, (combinations, strings)
REACTION = np.array([heard.reaction for heard in HEARD], dtype=float)
WANTED = np.array([[heard.drive + heard.charge > 0] * 2 for heard in HEARD])
RESET = np.array([[heard.reset > 0] * 2 for heard in HEARD])
CHARGED = np.array([[heard.link == "charged"] * 2 for heard in HEARD])
RESTING = np.array([[heard.current_A == 0.0] * 2 for heard in HEARD])
OPEN, PRECHARGE, CLOSED, OPENING, TRIPPED = map(float, Stage)
CONTACTORS = np.array([(0, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 0), (0, 0, 0)], dtype=float)
LONGEST_S, MOST_TRIES = 6.0, 3.0


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


def remembered(swept: Swept) -> Array:
    """What distinguishes two memories, (combinations, 6): stages, waiting times up to the longest wait, tries."""
    return np.hstack([swept.stage, np.minimum(swept.stage_s, LONGEST_S), np.minimum(swept.tries, MOST_TRIES)])


def broken(was: Array, now: Swept) -> dict[str, NDArray[np.bool_]]:
    """For every rule where it is broken, (combinations, strings)."""
    before, after = np.broadcast_to(was[:2], now.stage.shape), now.stage
    waited_s = was[2:4]
    unwell, worst = REACTION >= Reaction.OPEN_AFTER_WARNING, REACTION == Reaction.OPEN_NOW
    closes = (after == CLOSED) & (before != CLOSED)
    released = (before == TRIPPED) & (after != TRIPPED)
    leaves = (before == OPENING) & ((after == OPEN) | (after == TRIPPED)) & ~worst
    begins = (after == PRECHARGE) & (before != PRECHARGE)
    live = (before == CLOSED) | (before == OPENING) | (after == CLOSED) | (after == OPENING)
    other_live = live[:, ::-1]
    precharging = (after == PRECHARGE).sum(axis=1, keepdims=True)
    allowed = 2 - bool((was[:2] == OPEN).all())
    return {
        "the contactors follow the stage": (now.contactor != CONTACTORS[after.astype(int)]).any(axis=2),
        "an unwell string neither opens quietly nor precharges": unwell & ((after == OPEN) | (after == PRECHARGE)),
        "an unwell string never closes": unwell & closes,
        "the worst reaction trips": worst & (after != TRIPPED),
        "a string closes only where it is wanted": closes & ~WANTED,
        "a string closes only out of precharge or opening": closes & (before != PRECHARGE) & (before != OPENING),
        "precharge ends only on a charged link": closes & (before == PRECHARGE) & ~CHARGED,
        "a trip is released only by a reset": released & ~RESET,
        "a trip is never released while unwell": released & unwell,
        "a released trip is open": released & (after != OPEN),
        "opening waits for little current or the longest warning": leaves
        & ~RESTING
        & (waited_s + 1.0 < 2 * PACK.contactors.warning_s),
        "a string joins only a charged link": begins & other_live & ~CHARGED,
        "only one string at a time charges an open link": np.broadcast_to(precharging > allowed, after.shape),
    }


def check(was: Array, now: Swept) -> None:
    assert np.isin(now.stage, list(Stage)).all(), was
    for rule, where in broken(was, now).items():
        if where.any():
            k, s = np.argwhere(where)[0]
            pytest.fail(f"{rule}: string {s} of {was}, which heard {HEARD[k]}, became {remembered(now)[k]}")


def test_every_reachable_state_keeps_the_rules() -> None:
    memory = bms.start(PACK).control
    frames = stacked([frame_of(heard) for heard in HEARD])
    start = np.array([OPEN, OPEN, LONGEST_S, LONGEST_S, 0.0, 0.0])
    seen, todo = {tuple(start)}, [start]
    while todo:
        was = todo.pop()
        memory = memory._replace(stage=was[:2], stage_s=was[2:4], tries=was[4:])
        swept = sweep(PACK, memory, frames, REACTION, 1.0)
        check(was, swept)
        now = remembered(swept)
        _, where = np.unique(now @ 10.0 ** np.arange(6), return_index=True)
        new = [now[k] for k in where if tuple(now[k]) not in seen]
        seen.update(map(tuple, new))
        todo.extend(new)
    assert {stage for memory in seen for stage in memory[:2]} == set(map(float, Stage))
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
