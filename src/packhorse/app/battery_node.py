"""Our battery on the bus: hears its boards and the vehicle, takes its step, commands the boards, speaks J1939.

    battery, frames         = wake(wiring, state, time_s)
    battery, frames         = hear(wiring, battery, time_s, heard)
    battery, moment, frames = live(wiring, battery, time_s)

No sockets and no clock: the same on a truck's bus, on a loopback bus in simulated time, and in a test.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from packhorse import bms
from packhorse.pack.words import Frame, Pack, State
from packhorse.protocols import boards
from packhorse.protocols.boards import Memory, Wire
from packhorse.protocols.j1939 import claim, node, sign
from packhorse.protocols.j1939.claim import Standing
from packhorse.protocols.j1939.identifier import CanFrame
from packhorse.protocols.j1939.node import Node
from packhorse.protocols.j1939.settings import Settings
from packhorse.protocols.j1939.sign import Evidence
from packhorse.protocols.j1939.spoken import Moment
from packhorse.protocols.j1939.vehicle import Vehicle, vehicle

MOST_OF_ONE = 400
"""Frames of one address that are taken in at once. The board of the largest string says 260 in a tick."""


class Wiring(NamedTuple):
    """What does not change while the battery lives."""

    pack: Pack
    settings: Settings
    readings: Wire
    commands: Wire


class Battery(NamedTuple):
    """All that is remembered from tick to tick."""

    state: State
    node: Node
    memory: Memory  # of the boards' readings
    evidence: Evidence = Evidence()  # for the sign of the current
    babbled: Mapping[int, int] = {}  # by address: frames beyond what one may say at once
    commanded: int = 0  # frames of others that spoke a command of ours


def wired(pack: Pack, settings: Settings) -> Wiring:
    """The wiring of a pack. Raises ValueError where its strings do not fit on one bus."""
    readings = boards.readings(pack.strings, pack.series, pack.probes)
    return Wiring(pack, settings, readings, boards.commands(pack.strings, pack.series))


def wake(wiring: Wiring, state: State, time_s: float) -> tuple[Battery, tuple[CanFrame, ...]]:
    """A battery that claims its address."""
    begun, frames = node.start(wiring.settings, time_s)
    return Battery(state, begun, boards.blank(wiring.readings)), frames


def hear(
    wiring: Wiring, was: Battery, time_s: float, frames: Sequence[CanFrame]
) -> tuple[Battery, tuple[CanFrame, ...]]:
    """Take in what was said since the last tick; gives back what has to be said at once."""
    fair, babbled = bounded(frames)
    memory, others = boards.take(wiring.readings, was.memory, time_s, fair)
    listening, commanded = was.node, was.commanded
    said: list[CanFrame] = []
    for frame in others:
        commanded += frame.can_id & wiring.commands.mask in wiring.commands.row_of
        listening, answers = node.hear(listening, wiring.settings, time_s, frame)
        said += answers
    total = {source: was.babbled.get(source, 0) + count for source, count in babbled.items()}
    now = was._replace(node=listening, memory=memory, babbled={**was.babbled, **total}, commanded=commanded)
    return now, tuple(said)


def bounded(frames: Sequence[CanFrame]) -> tuple[Sequence[CanFrame], dict[int, int]]:
    """The first frames of each address, and how many more it said: no node may take the time of all others."""
    if len(frames) <= MOST_OF_ONE:
        return frames, {}
    of_each = Counter(frame.can_id & 0xFF for frame in frames)
    loud = {source: count - MOST_OF_ONE for source, count in of_each.items() if count > MOST_OF_ONE}
    if not loud:
        return frames, {}
    left, fair = dict.fromkeys(loud, MOST_OF_ONE), []
    for frame in frames:
        source = frame.can_id & 0xFF
        if source in left:
            left[source] -= 1
            if left[source] < 0:
                continue
        fair.append(frame)
    return fair, loud


def live(wiring: Wiring, was: Battery, time_s: float) -> tuple[Battery, Moment, tuple[CanFrame, ...]]:
    """One step on what was heard; commands go out only while our address is ours."""
    frame = frame_now(wiring, was, time_s)
    state, output = bms.step(wiring.pack, was.state, frame)
    moment = Moment(wiring.pack, frame, state, output)
    speaking, said = node.speak(was.node, wiring.settings, moment, time_s)
    now = was._replace(state=state, node=speaking, evidence=weighed(wiring, was, frame))
    if speaking.claim.standing is not Standing.CLAIMED:
        return now, moment, said
    codes = boards.coded(wiring.commands, boards.asked_of(output.command))
    return now, moment, (*boards.framed(wiring.commands, codes, speaking.claim.address), *said)


def claiming(was: Battery, time_s: float) -> tuple[Battery, tuple[CanFrame, ...]]:
    """Let time pass before the first tick, for the claim alone."""
    claimed, frames = claim.tick(was.node.claim, time_s)
    return was._replace(node=was.node._replace(claim=claimed)), frames


def is_awake(wiring: Wiring, was: Battery) -> bool:
    """Whether every cell and every string has been heard of."""
    needed = np.concatenate([wiring.readings.of[kind].ravel() for kind in ("cells", "string")])
    return bool(np.isfinite(was.memory.heard_s[needed]).all())


def frame_now(wiring: Wiring, was: Battery, time_s: float) -> Frame:
    """The frame of this moment from all that was heard."""
    asked = node.requests(was.node, wiring.settings, time_s)
    return boards.frame_of(
        wiring.readings, was.memory, wiring.pack, time_s, asked, around(wiring, was, time_s).ambient_degC
    )


def around(wiring: Wiring, was: Battery, time_s: float) -> Vehicle:
    """What is known of the vehicle."""
    return vehicle(was.node.told, time_s, wiring.settings.pitch_sign)


def weighed(wiring: Wiring, was: Battery, frame: Frame) -> Evidence:
    """What this moment says of the sign of the current."""
    heard = boards.known_values(wiring.readings, was.memory, frame.time_s, wiring.pack.sensors.patience_s)
    current_A, volt = float(frame.string_A.sum()), float(frame.string_V.mean())
    inverter_W = float(heard["inverter_W"][0])
    if math.isnan(current_A + volt):
        return was.evidence
    return sign.weigh(was.evidence, frame.time_s, current_A, volt, inverter_W)
