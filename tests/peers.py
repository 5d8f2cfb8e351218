"""can-j1939 as a peer on a bus of ours, in simulated time: its thread does not run, its clock is that of the bus."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import j1939
import pytest
from j1939 import controller_application, electronic_control_unit, j1939_21

from packhorse.protocols.j1939.identifier import CanFrame

TICK_S = 0.01


class Bus:
    """The peer and one node of ours, exchanging frames as time passes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, packets_at_once: int = 16) -> None:
        self.time_s = 1000.0
        clock = types.SimpleNamespace(time=lambda: self.time_s)
        for module in (j1939_21, electronic_control_unit):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(j1939.ElectronicControlUnit, "_async_job_thread", lambda _: None)
        self.from_peer: list[CanFrame] = []
        self.ecu = j1939.ElectronicControlUnit(send_message=self._sent, max_cmdt_packets=packets_at_once)

    def _sent(self, can_id: int, _extended: bool, data: Any, _fd: bool = False) -> None:
        self.from_peer.append(CanFrame(can_id, bytes(data)))

    def application(self, address: int, name: j1939.Name | None = None) -> Any:
        """A node of the peer: one that has its address, or, with a NAME, one that is about to claim it."""
        named = name or j1939.Name(identity_number=1)
        ca = controller_application.ControllerApplication(named, address, bypass_address_claim=name is None)
        self.ecu.add_ca(controller_application=ca)
        return ca

    def run(
        self,
        seconds: float,
        hear: Callable[[float, CanFrame], tuple[CanFrame, ...]],
        tick: Callable[[float], tuple[CanFrame, ...]],
        first: tuple[CanFrame, ...] = (),
    ) -> None:
        """Let time pass; all frames are heard in the tick in which they are sent."""
        ours = list(first)
        for _ in range(round(seconds / TICK_S)):
            while ours or self.from_peer:
                while ours:
                    frame = ours.pop(0)
                    self.ecu.notify(frame.can_id, bytearray(frame.data), self.time_s)
                self._peer_works()
                theirs, self.from_peer = self.from_peer, []
                for frame in theirs:
                    ours += hear(self.time_s, frame)
            self.time_s += TICK_S
            self._peer_works()
            ours += tick(self.time_s)

    def _peer_works(self) -> None:
        self.ecu.j1939_dll.async_job_thread(self.time_s)
        for event in list(self.ecu._timer_events):
            if event["deadline"] <= self.time_s:
                self.ecu._timer_events.remove(event)
                if event["callback"](event["cookie"]):
                    self.ecu._timer_events.append({**event, "deadline": self.time_s + event["delta_time"]})
