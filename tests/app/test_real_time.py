"""Our battery on a bus by the wall clock, which is data here: the truck lives while the battery sleeps."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packhorse import twin
from packhorse.app import on_bus, truck_nodes
from packhorse.app.on_bus import Settings
from packhorse.app.world import Settings as TruckSettings
from packhorse.app.world import build
from packhorse.io.buses import Bus, open_bus
from packhorse.io.can_logs import open_can_log
from packhorse.io.errors import BusError
from packhorse.io.state import load_state
from packhorse.pack.load import ConfigurationError, load_pack
from packhorse.pack.words import Stage
from packhorse.protocols.frames import SENT, join
from packhorse.protocols.j1939.identifier import CanFrame

names = (f"process:real{k}" for k in itertools.count())
TICK_S = 0.1


class Street:
    """A truck on a bus, and the wall clock of both: time passes only when the battery sleeps."""

    def __init__(self, name: str, speaks: Callable[[float], bool] = lambda _s: True) -> None:
        self.now_s, self.name, self.speaks = 100.0, name, speaks
        self.world = build(TruckSettings(None, "light", None, 1.0, None, TICK_S, 0.6, 20.0, 1, (), True, None, None))
        self.nodes = truck_nodes.fitted(self.world.truck, 0.0)
        self.body = self.world.body
        self.orders = twin.idle(self.world.truck)
        self.bus: Bus = open_bus(name)
        self.closed: list[bool] = []

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        demand = twin.Demand(10.0, 0.0, 0.0, 20.0, 0.0)
        self.body, frame = twin.step(self.world.truck, self.body, *self.orders, demand, TICK_S)
        self.nodes, said = truck_nodes.speak(self.nodes, self.body.time_s, self.body, frame, demand)
        heard = [one.frame for one in self.bus.heard()]
        self.nodes = truck_nodes.hear(self.nodes, self.body.time_s, heard)
        self.orders = truck_nodes.obeyed(self.nodes, self.body.time_s)
        if self.speaks(self.body.time_s):
            self.bus.send(said)
        self.closed.append(bool(self.body.contactor[0, 1]))


def drive(street: Street, seconds: float, capsys: pytest.CaptureFixture[str], **changes: Any) -> tuple[Any, str]:
    settings = Settings(street.name, "light", None, True, seconds, TICK_S, True, None, None)._replace(**changes)
    on_bus.run(settings, street.clock, street.sleep)
    said = capsys.readouterr()
    return json.loads(said.out), said.err


def test_a_truck_drives_and_time_is_that_of_the_wall(capsys: pytest.CaptureFixture[str]) -> None:
    street = Street(next(names))
    facts, lines = drive(street, 40.0, capsys)
    assert facts["seconds"] == pytest.approx(40.0, abs=0.2)
    assert facts["times_real_time"] == pytest.approx(1.0, rel=0.01)
    assert street.closed[-1]
    assert facts["distance_km"] == pytest.approx(street.body.distance_m / 1000.0, rel=0.05)
    assert facts["distance_km"] > 0.1
    assert lines == ""


def test_both_ways_are_recorded_by_the_time_of_day(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    street, path = Street(next(names)), tmp_path / "bus.blf"
    facts, lines = drive(street, 20.0, capsys, record=path)
    found = join(list(open_can_log(path).blocks()))
    assert lines == ""
    assert facts["recording"] == {"file": str(path), "written": found.id.size, "dropped": 0}
    sent = (found.flags & SENT) != 0
    assert np.count_nonzero(sent) == facts["bus"]["sent"] > 1_000
    assert np.count_nonzero(~sent) == facts["bus"]["heard"] > 5_000
    assert (np.diff(found.time_s) >= -1e-6).all()
    assert found.time_s[-1] - found.time_s[0] == pytest.approx(20.0, abs=1.0)
    assert abs(found.time_s[0] - time.time()) < 600.0
    assert facts["files"] == []


def test_a_truck_that_falls_silent_is_a_fault_and_not_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    street = Street(next(names), lambda time_s: time_s < 20.0)
    facts, lines = drive(street, 50.0, capsys)
    assert facts["seconds"] == pytest.approx(50.0, abs=0.2)
    assert facts["events"]["critical"] + facts["events"]["serious"] > 0
    assert "board at address 128 is silent" in lines
    assert street.closed[180]
    assert not street.closed[-1]


def test_nobody_on_the_bus_is_told_and_no_reason_to_close(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    street, memory = Street(next(names), lambda _s: False), tmp_path / "memory.npz"
    facts, lines = drive(street, 20.0, capsys, state=memory)
    state = load_state(memory, load_pack("light"))
    assert Stage.CLOSED not in state.control.stage.tolist()
    assert not any(street.closed)
    assert facts["events"]["critical"] > 0
    assert facts["soc"]["start"]["true"] is None
    assert "board at address 128 is silent" in lines


def test_boards_that_wake_up_late_are_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    street = Street(next(names), lambda time_s: time_s > 7.0)
    facts, lines = drive(street, 20.0, capsys)
    assert sum(facts["events"].values()) == 0
    assert street.closed[-1]
    assert lines == ""


class Loose:
    """A bus whose plug comes out for a while."""

    def __init__(self, name: str, clock: Callable[[], float], out: Callable[[], bool]) -> None:
        if out():
            raise BusError(f"{name}: no such device")
        self._bus, self._out, self.name = open_bus(name, clock), out, name
        self.counts = self._bus.counts

    def send(self, frames: Sequence[CanFrame]) -> None:
        self._check()
        self._bus.send(frames)

    def heard(self, wait_s: float = 0.0) -> Any:
        self._check()
        return self._bus.heard(wait_s)

    def close(self) -> None:
        self._bus.close()

    def _check(self) -> None:
        if self._out():
            raise BusError(f"{self.name}: unplugged")


def test_an_adapter_that_is_unplugged_does_not_stop_the_loop(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    street = Street(next(names))
    monkeypatch.setattr(
        on_bus, "open_bus", lambda name, clock: Loose(name, clock, lambda: 20.0 < street.body.time_s < 30.0)
    )
    facts, lines = drive(street, 60.0, capsys)
    assert facts["seconds"] == pytest.approx(60.0, abs=0.2)
    assert "unplugged; next try in 0.1 s" in lines
    assert ": back" in lines
    assert facts["bus"]["errors"] > 3
    assert facts["bus"]["dropped"] > 100
    assert not street.closed[280]


def test_a_real_bus_wants_a_node_file_that_is_sound(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text('positive_current = "up"\nlimits = "magnitudes"\n[name]\nidentity = 7\nmanufacturer = 100\n')
    settings = Settings("socketcan:can0", "light", str(path), False, 1.0, TICK_S, True, None, None)
    with pytest.raises(ConfigurationError, match=r"node\.toml.*positive_current"):
        on_bus.prepared(settings)
    with pytest.raises(ConfigurationError, match=r"nosuch\.toml"):
        on_bus.prepared(settings._replace(node="nosuch.toml"))
    path.write_text(path.read_text().replace("up", "charges"))
    assert on_bus.prepared(settings._replace(node=str(path)))[1].settings.current_sign == -1.0
