"""A real BMS process on a bus that misbehaves: it survives, and tells people what was wrong."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from packhorse import twin
from packhorse.app import truck_nodes
from packhorse.app import twin as driving
from packhorse.app.lockstep import Lockstep
from packhorse.app.pace import Pace
from packhorse.app.world import Settings, build
from packhorse.io.buses import Lasting, open_bus
from packhorse.protocols import boards
from packhorse.protocols.j1939.hvess import system_layouts
from packhorse.protocols.j1939.identifier import GLOBAL, CanFrame, Message, join, single, split
from packhorse.protocols.j1939.name import Name, name_bytes, name_number
from processes import bus_name, ended, packhorse

Twist = Callable[[int, list[CanFrame]], list[CanFrame]]
"""From what the truck says in a tick to what comes out of the bus."""
OUR_ADDRESS = 243


def drive(
    twist: Twist, seconds: float = 20.0, truck: str = "heavy"
) -> tuple[dict[str, Any], str, twin.Body, list[str]]:
    """The truck lives in this process, behind a bus that does as it is told; the BMS is another process."""
    name = bus_name()
    settings = Settings(None, truck, None, 0.0, seconds, 0.1, None, 20.0, 1, (), True, None, None)
    world = build(settings)
    nodes = truck_nodes.fitted(world.truck, 0.0)
    thinking = packhorse("run", twin.load_truck(truck).pack, "--bus", name, "--json")
    lines: list[str] = []
    with closing(Lasting(name, lambda: open_bus(name))) as bus:
        with_bms = Lockstep(bus, 39, lambda: False, lines.append)
        exchange = driving.in_step(with_bms)

        def twisted(number: int, time_s: float, frames: list[CanFrame]) -> list[CanFrame] | None:
            if number == 0:
                return exchange(number, time_s, frames)
            return exchange(number, time_s, twist(number, frames))

        def sleep(_seconds: float) -> None:
            raise AssertionError("a tick in step never sleeps")

        body = driving.drive(world, settings, nodes, twisted, Pace(0.0, lambda: 0.0, sleep), lambda: False)
        with_bms.end(body.time_s)
        facts, said = ended(thinking)
    return facts, said, body, lines


def of(source: int) -> Callable[[CanFrame], bool]:
    return lambda frame: split(frame.can_id).source == source


def test_a_board_that_falls_silent_opens_the_contactors_and_is_told() -> None:
    facts, said, body, _ = drive(lambda n, frames: [f for f in frames if n < 60 or not of(129)(f)], 30.0)
    assert "board at address 129 is silent" in said
    assert sum(facts["events"].values()) > 0
    assert body.contactor[1].max() == 0.0
    assert body.distance_m > 10.0


def test_a_board_that_is_back_is_told_too() -> None:
    facts, said, _, _ = drive(lambda n, frames: [f for f in frames if not 60 <= n < 90 or not of(129)(f)])
    assert "over: board at address 129 is silent" in said
    assert facts["seconds"] == pytest.approx(20.0)


def test_a_board_at_the_wrong_rate_is_told_and_the_truck_goes_on() -> None:
    facts, said, body, _ = drive(lambda n, frames: [f for f in frames if n % 4 == 0 or not of(130)(f)])
    assert "board at address 130 speaks 2.5 times a second, expected 10" in said
    assert facts["events"]["critical"] == 0
    assert body.distance_m > 50.0


def test_truncated_frames_are_counted_and_never_believed() -> None:
    def cut(number: int, frames: list[CanFrame]) -> list[CanFrame]:
        return [f._replace(data=f.data[:5]) if of(128)(f) and number % 2 else f for f in frames]

    facts, said, _, _ = drive(cut)
    assert facts["bus"]["wrong"]["truncated"] > 1000
    assert "truncated frames of boards" in said
    assert facts["events"]["critical"] == 0


def test_a_babbling_node_is_bounded_and_told_and_changes_nothing() -> None:
    babble = [CanFrame(join(6, 0xFF77, GLOBAL, 77), bytes(8))] * 3000
    calm, _, quiet, _ = drive(lambda _n, frames: frames, 10.0)
    facts, said, body, _ = drive(lambda _n, frames: babble + frames, 10.0)
    assert facts["bus"]["wrong"]["babbled"] == 100 * (3000 - 400)
    assert "node at address 77 babbles" in said
    assert body.distance_m == quiet.distance_m
    assert facts["energy_kWh"] == calm["energy_kWh"]
    assert facts["soc"]["end"] == calm["soc"]["end"]


@pytest.mark.parametrize(("identity", "address"), [(0, 132), ((1 << 21) - 1, OUR_ADDRESS)])
def test_two_batteries_claim_one_address_and_the_lower_name_has_it(identity: int, address: int) -> None:
    name = name_number(Name(identity, 0, 0, 0, 0, 0, 0, 0, 0, 1))
    rival = CanFrame(join(6, 60928, GLOBAL, OUR_ADDRESS), name_bytes(name))
    facts, said, body, _ = drive(lambda n, frames: [*frames, rival] if n == 50 else frames)
    assert facts["bus"]["wrong"]["address_contended"] == 1
    assert "another node claims our address" in said
    assert facts["bus"]["address"] == address, "the first that no board has claimed"
    assert body.distance_m > 50.0


def test_another_node_that_speaks_our_commands_is_told() -> None:
    asked = boards.commands(4, 168)
    forged = CanFrame(join(3, asked.rows[0].pgn, GLOBAL, 99), bytes(8))
    facts, said, _, _ = drive(lambda _n, frames: [*frames, forged], 10.0)
    assert facts["bus"]["wrong"]["commanded"] == 100
    assert "another node speaks our commands to the boards" in said


def test_hostile_bytes_in_every_group_are_survived() -> None:
    ids = [
        f.can_id for f in boards.framed(boards.readings(4, 168, 42), boards.coded(boards.readings(4, 168, 42), {}), 0)
    ]
    ids += [single(Message(layout.pgn, 99, GLOBAL, b"")).can_id for layout in system_layouts().values()]

    def noise(number: int, frames: list[CanFrame]) -> list[CanFrame]:
        hostile = [
            CanFrame(ids[(7 * number + k) % len(ids)], bytes([(31 * number + 17 * k) & 0xFF] * 8)) for k in range(50)
        ]
        return frames + hostile

    facts, _, _, _ = drive(noise, 15.0)
    assert facts["seconds"] == pytest.approx(15.0)


def test_a_bus_that_breaks_is_opened_again_and_the_turn_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    opened = open_bus

    def remembered(name: str) -> Any:
        made.append(opened(name))
        return made[-1]

    monkeypatch.setattr(sys.modules[__name__], "open_bus", remembered)

    def unplug(number: int, frames: list[CanFrame]) -> list[CanFrame]:
        if number in {30, 60}:
            made[-1].close()
        return frames

    facts, _, body, _ = drive(unplug, 10.0)
    assert len(made) == 3
    assert facts["seconds"] == pytest.approx(10.0)
    assert body.distance_m > 10.0


def test_a_current_of_the_wrong_sign_is_told() -> None:
    wire = boards.readings(4, 168, 42)

    def turned(_number: int, frames: list[CanFrame]) -> list[CanFrame]:
        memory, others = boards.take(wire, boards.blank(wire), 0.0, frames)
        values = boards.known_values(wire, memory, 0.0, math.inf)
        codes = boards.coded(wire, values | {"string_A": -values["string_A"]})
        return [*others, *boards.framed(wire, codes, 0)]

    _, said, _, _ = drive(turned, 60.0)
    assert "wrong sign" in said
