"""can-j1939 as a peer: claims, requests, long messages both ways, DM1 and DM11."""

from __future__ import annotations

from typing import Any

import j1939
import numpy as np
import pytest

from nodes import moment_of, node_settings
from packhorse.pack.faults import fault_code, fault_rows
from packhorse.protocols.j1939 import claim as claims
from packhorse.protocols.j1939 import diagnostics as dm
from packhorse.protocols.j1939 import transport as tp
from packhorse.protocols.j1939.hvess import decode, layouts
from packhorse.protocols.j1939.identifier import GLOBAL, CanFrame, Message, split
from packhorse.protocols.j1939.node import Node, hear, requests, speak, start
from packhorse.protocols.j1939.request import request
from packhorse.protocols.j1939.spoken import Moment
from packhorse.protocols.j1939.transport import Transport
from packs import small_pack
from peers import Bus

OURS, THEIRS = 243, 17
PROPRIETARY = 61184
SETTINGS = node_settings()
MOMENT = moment_of(small_pack(strings=2, series=5))
SIZES = [9, 14, 15, 100, 1785]


class Battery:
    """Our node on the peer's bus."""

    def __init__(self, bus: Bus, moment: Moment = MOMENT, **changes: Any) -> None:
        self.bus, self.moment, self.settings = bus, moment, node_settings(**changes)
        self.node, self.first = start(self.settings, bus.time_s)
        self.heard: list[CanFrame] = []

    def run(self, seconds: float, *frames: CanFrame) -> Node:
        self.bus.run(seconds, self._hear, self._tick, (*self.first, *frames))
        self.first = ()
        return self.node

    def _hear(self, time_s: float, frame: CanFrame) -> tuple[CanFrame, ...]:
        self.heard.append(frame)
        self.node, frames = hear(self.node, self.settings, time_s, frame)
        return frames

    def _tick(self, time_s: float) -> tuple[CanFrame, ...]:
        self.node, frames = speak(self.node, self.settings, self.moment, time_s)
        return frames


class Sessions:
    """Only our transport on the peer's bus."""

    def __init__(self, bus: Bus) -> None:
        self.bus, self.transport = bus, Transport()
        self.got: list[Message] = []

    def run(self, seconds: float, *frames: CanFrame) -> None:
        self.bus.run(seconds, self._hear, self._tick, frames)

    def _hear(self, time_s: float, frame: CanFrame) -> tuple[CanFrame, ...]:
        self.transport, messages, frames = tp.hear(self.transport, time_s, OURS, frame)
        self.got += messages
        return frames

    def _tick(self, time_s: float) -> tuple[CanFrame, ...]:
        self.transport, frames = tp.tick(self.transport, time_s, OURS)
        return frames


def text(size: int) -> bytes:
    return bytes((3 * k + size) & 0xFF for k in range(size))


@pytest.mark.parametrize("at_once", [1, 5, 255])
@pytest.mark.parametrize("size", SIZES)
def test_a_session_of_ours_arrives_whole_at_the_peer(monkeypatch: pytest.MonkeyPatch, at_once: int, size: int) -> None:
    bus = Bus(monkeypatch, at_once)
    got: list[tuple[int, bytes]] = []
    bus.application(THEIRS).subscribe(lambda _prio, pgn, _source, _time, data: got.append((pgn, bytes(data))))
    ours = Sessions(bus)
    ours.transport, frames = tp.send(ours.transport, bus.time_s, Message(PROPRIETARY, OURS, THEIRS, text(size)))
    ours.run(0.5, *frames)
    assert got == [(PROPRIETARY, text(size))]
    assert ours.transport == Transport()


@pytest.mark.parametrize("at_once", [1, 5, 255])
@pytest.mark.parametrize("size", SIZES)
def test_a_session_of_the_peer_arrives_whole_at_ours(monkeypatch: pytest.MonkeyPatch, at_once: int, size: int) -> None:
    bus = Bus(monkeypatch, at_once)
    ca, ours = bus.application(THEIRS), Sessions(bus)
    ca.send_pgn(0, PROPRIETARY >> 8, OURS, 6, list(text(size)))
    ours.run(0.5)
    assert ours.got == [Message(PROPRIETARY, THEIRS, OURS, text(size), 7)]
    assert not bus.ecu.j1939_dll._snd_buffer


@pytest.mark.parametrize("size", [9, 15, 100])
def test_broadcasts_arrive_whole_both_ways(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    bus = Bus(monkeypatch)
    got: list[tuple[int, bytes]] = []
    ca, ours = bus.application(THEIRS), Sessions(bus)
    ca.subscribe(lambda _prio, pgn, _source, _time, data: got.append((pgn, bytes(data))))
    ca.send_pgn(0, 0xFE, 0xDA, 6, list(text(size)))
    ours.transport, frames = tp.send(ours.transport, bus.time_s, Message(65226, OURS, GLOBAL, text(size)))
    ours.run(0.06 * tp.packets(size) + 0.1, *frames)
    assert ours.got == [Message(65242, THEIRS, GLOBAL, text(size), 7)]
    assert got == [(65226, text(size))]


@pytest.mark.parametrize(("identity", "winner"), [(6, THEIRS), (8, OURS)])
def test_with_the_same_address_the_lower_name_keeps_it_and_the_other_moves(
    monkeypatch: pytest.MonkeyPatch, identity: int, winner: int
) -> None:
    bus = Bus(monkeypatch)
    name = j1939.Name(identity_number=identity, manufacturer_code=100, function=50, arbitrary_address_capable=True)
    ca = bus.application(OURS, name)
    ca.start()
    node = Battery(bus).run(3.0)
    assert ca.state == j1939.ControllerApplication.State.NORMAL
    assert node.claim.standing is claims.Standing.CLAIMED
    assert (ca.device_address, node.claim.address) == ((OURS, 128) if winner == THEIRS else (OURS + 1, OURS))
    assert node.claim.contended >= 1


def test_a_peer_that_may_not_move_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Bus(monkeypatch)
    ca = bus.application(OURS, j1939.Name(identity_number=1, manufacturer_code=2000, industry_group=7, function=255))
    ca.start()
    battery = Battery(bus, name={"identity": 7, "manufacturer": 100, "may_move": False})
    node = battery.run(2.0)
    assert (node.claim.standing, node.claim.address) == (claims.Standing.CLAIMED, OURS)
    assert ca.state == j1939.ControllerApplication.State.CANNOT_CLAIM
    assert [split(f.can_id).source for f in battery.heard if split(f.can_id).pgn == claims.ADDRESS_CLAIMED][-1] == 254


def test_each_tells_its_name_when_the_other_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Bus(monkeypatch)
    ca, battery = bus.application(THEIRS), Battery(bus)
    battery.run(0.5)
    ca.send_request(0, claims.ADDRESS_CLAIMED, GLOBAL)
    battery.run(0.1)
    node = battery.run(0.1, request(claims.ADDRESS_CLAIMED, OURS))
    assert node.claim.held == {THEIRS: ca._name.value}


def test_the_peer_asks_for_configuration_and_history_and_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Bus(monkeypatch)
    got: dict[int, bytes] = {}
    ca, battery = bus.application(THEIRS), Battery(bus)
    ca.subscribe(lambda _prio, pgn, _source, _time, data: got.update({pgn: bytes(data)}))
    battery.run(0.5)
    for pgn in (64605, 64606):
        ca.send_request(0, pgn, OURS)
        battery.run(0.5)
    sizes = {pgn: len(got[pgn]) for pgn in (64605, 64606)}
    assert sizes == {64605: 20, 64606: 19}
    assert decode(layouts()[64605], got[64605]).values["packs_configured"] == 2


def moment_with(*names: str) -> Moment:
    active = np.zeros_like(MOMENT.state.watch.active)
    for name in names:
        active[fault_code(name), 0] = 1.0
    return MOMENT._replace(state=MOMENT.state._replace(watch=MOMENT.state.watch._replace(active=active)))


@pytest.mark.parametrize(
    "names", [(), ("coolant_hot",), ("hvil_open", "coolant_hot", "cells_blind"), tuple(r.name for r in fault_rows())]
)
def test_the_peer_reads_our_dm1(monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]) -> None:
    bus = Bus(monkeypatch)
    told: list[tuple[int, dict[str, int], list[dict[str, int]]]] = []
    reader = j1939.Dm1(bus.application(THEIRS))
    reader.subscribe(lambda source, lamps, troubles, _time: told.append((source, lamps, troubles)))
    Battery(bus, moment_with(*names)).run(2.5)
    source, lamps, troubles = told[-1]
    expected = [
        dict(zip(("spn", "fmi"), dm.trouble_numbers()[fault_code(name)], strict=True))
        for name in sorted(names, key=fault_code)
    ]
    real = [t for t in troubles if t["spn"] not in {0, 0x7FFFF}]
    assert source == OURS
    assert [{"spn": t["spn"], "fmi": t["fmi"]} for t in real] == expected
    assert all(t["oc"] == 1 for t in real)
    severe = any(fault_rows()[fault_code(name)].severity.name == "CRITICAL" for name in names)
    assert (lamps["rsl"], lamps["awl"]) == (int(severe), int(bool(names) and not severe))


@pytest.mark.parametrize("count", [1, 2, 20])
def test_we_read_the_dm1_of_the_peer(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    bus = Bus(monkeypatch)
    troubles = [{"spn": 520_000 - 9 * k, "fmi": k, "oc": k + 1} for k in range(count)]
    sender, ours = j1939.Dm1(bus.application(THEIRS)), Sessions(bus)
    lamps = {"pl": 0, "awl": 1, "rsl": 2, "mil": 3}
    sent: list[CanFrame] = []
    sender.start_send(lambda: (dict(lamps), [dict(t) for t in troubles]), cycletime=0.5)
    real = ours._hear
    ours._hear = lambda time_s, frame: (sent.append(frame), real(time_s, frame))[1]  # type: ignore[method-assign]
    ours.run(1.9)
    data = ours.got[0].data if ours.got else next(f.data for f in sent if split(f.can_id).pgn == dm.DM1)
    said = dm.decode(data)
    assert said is not None
    assert said.troubles == tuple(dm.Trouble(t["spn"], t["fmi"], t["oc"]) for t in troubles)
    assert said.lamps == dm.Lamps(dm.Lamp.OFF, dm.Lamp.ON, dm.Lamp.ON, dm.Lamp.ON)
    assert said.flashes == dm.Lamps(dm.Flash.STEADY, dm.Flash.STEADY, dm.Flash.SLOW, dm.Flash.FAST)


def test_the_peer_clears_our_faults_by_dm11(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Bus(monkeypatch)
    ca = bus.application(THEIRS)
    acknowledged: list[bytes] = []
    ca.subscribe(lambda _prio, pgn, _source, _time, data: acknowledged.append(bytes(data)) if pgn == 59392 else None)
    battery = Battery(bus)
    battery.run(0.5)
    resets: list[float] = []
    tick = battery._tick

    def watched(time_s: float) -> tuple[CanFrame, ...]:
        frames = tick(time_s)
        resets.append(requests(battery.node, battery.settings, time_s).reset_request)
        return frames

    battery._tick = watched  # type: ignore[method-assign]
    j1939.Dm11(ca).request_clear_all(OURS)
    battery.run(0.5)
    assert sum(resets) == 1.0
    assert acknowledged == [bytes([0, 255, 255, 255, THEIRS]) + dm.DM11.to_bytes(3, "little")]


def test_numbers_of_diagnostic_messages_are_those_of_the_peer() -> None:
    theirs = j1939.ParameterGroupNumber.PGN
    ours = (dm.DM1, dm.DM2, dm.DM3, dm.DM11, dm.DM12, claims.ADDRESS_CLAIMED, tp.CONNECTION, tp.DATA)
    assert ours == (
        *(theirs.DM01, theirs.DM02, theirs.DM03, theirs.DM11, theirs.DM12),
        *(theirs.ADDRESSCLAIM, theirs.TP_CM, theirs.DATATRANSFER),
    )


def test_our_dm11_reaches_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Bus(monkeypatch)
    asked: list[tuple[int, int, int]] = []
    ca = bus.application(THEIRS)
    j1939.Dm11(ca).subscribe_request_clear_all(lambda source, target, pgn: asked.append((source, target, pgn)))
    Sessions(bus).run(0.1, request(dm.DM11, OURS, THEIRS))
    assert asked == [(OURS, THEIRS, dm.DM11)]
