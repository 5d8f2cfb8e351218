"""Truck and BMS as two processes on a bus: the same decisions as in one, to the bit, and what befalls them survived."""

from __future__ import annotations

import signal as signals
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packhorse import bms, twin
from packhorse.app.world import Settings, World, build
from packhorse.io.logs import open_log
from packhorse.io.state import load_state
from packhorse.pack.words import Command, Frame, Limits, Pack, State
from packhorse.protocols import boards, signal
from packhorse.protocols.j1939.hvess import system_layouts
from processes import bus_name, ended, packhorse

CHARGE = "time_s,speed_m_per_s,plugged\n0,0,0\n10,12,0\n20,0,0\n22,0,1\n90,0,1\n"
"""Down the street and to the charger, where the nearly full pack is balanced."""
FAULTS = ("current_silent@20-24:string=1", "board_silent@30-36:string=1,place=2", "isolation@42:value=90000")


def asked(truck: str, seconds: float, **changes: Any) -> Settings:
    usual = Settings(None, truck, None, 0.0, seconds, 0.1, None, 20.0, 1, (), True, None, None)
    return usual._replace(**changes)


def on_wire(field: str, value: Any) -> Any:
    """A value as the codes of the bus have it, reckoned apart from what is tested."""
    entry = boards.table()["scales"][field]
    if entry == "mask":
        return value
    scale, offset = entry[:2]
    return np.clip(np.rint((np.asarray(value) - offset) / scale), 0, 0xFAFF) * scale + offset


def heard(frame: Frame) -> Frame:
    fields = set(boards.said_of(frame)) & set(frame._fields)
    rounded = {name: on_wire(name, getattr(frame, name)) for name in fields}
    (ambient,) = (s for s in system_layouts()["AMB"].signals if s.name == "ambient_degC")
    rounded["ambient_degC"] = signal.value(ambient, signal.code(ambient, frame.ambient_degC))
    return frame._replace(**{k: v if np.ndim(v) else float(v) for k, v in rounded.items()})


def obeyed(command: Command, limits: Limits) -> tuple[Command, Limits]:
    parts = {name: on_wire(name, getattr(command, name)) for name in boards.table()["scales"] if hasattr(command, name)}
    power = {s.name: s for s in system_layouts()["HVESSD1"].signals}
    watt = {
        name: signal.value(power[f"{way}_power_W"], signal.code(power[f"{way}_power_W"], getattr(limits, name)))
        for name, way in (("discharge_W", "discharge"), ("charge_W", "charge"))
    }
    command = command._replace(**{k: v if np.ndim(v) else float(v) for k, v in parts.items()})
    return command, limits._replace(**watt)


def in_one_process(world: World, settings: Settings) -> tuple[list[Frame], State, list[Any]]:
    """Frames, last memory and outputs of a run in one process whose readings and orders are rounded to the codes."""
    body, state = world.body, world.state
    command, limits = twin.idle(world.truck)
    frames, outputs = [], []
    for _ in range(round((settings.seconds or 0.0) / settings.tick_s)):
        demand = twin.demand_at(world.cycle, body.time_s + settings.tick_s, settings.ambient_degC)
        body, read = twin.step(world.truck, body, command, limits, demand, settings.tick_s)
        frame = heard(read)
        state, output = bms.step(world.pack, state, frame)
        command, limits = obeyed(output.command, output.limits)
        frames.append(frame)
        outputs.append(output)
    return frames, state, outputs


def recorded(path: Path, pack: Pack) -> list[Frame]:
    return [bms.frame_at(b.frames, k) for b in open_log(path, None, pack).blocks() for k in range(len(b.frames.time_s))]


@pytest.mark.parametrize(
    ("truck", "changes", "faults"),
    [
        ("light", {}, FAULTS),
        ("heavy", {"ambient_degC": -12.0, "soc": 0.3}, ()),
        ("medium", {"cycle": "charge.csv", "soc": 0.97}, ()),
    ],
)
def test_two_processes_take_the_same_decisions_as_one(
    tmp_path: Path, truck: str, changes: dict[str, Any], faults: tuple[str, ...]
) -> None:
    bus, record, memory = bus_name(), tmp_path / "heard.parquet", tmp_path / "memory.npz"
    (tmp_path / "charge.csv").write_text(CHARGE)
    changes = {name: str(tmp_path / value) if name == "cycle" else value for name, value in changes.items()}
    settings = asked(truck, 60.0, faults=faults, **changes)
    world = build(settings)
    options = [f"--{'ambient' if name == 'ambient_degC' else name}={value}" for name, value in changes.items()]
    options += [f"--fault={fault}" for fault in faults]
    driving = packhorse("twin", "--truck", truck, "--bus", bus, "--seconds", "60", "--json", *options)
    pack = twin.load_truck(truck).pack
    thinking = packhorse("run", pack, "--bus", bus, "--json", f"--record={record}", f"--state={memory}")
    facts, lines = ended(thinking)
    ended(driving)
    assert lines == ""
    frames, state, outputs = in_one_process(world, settings)
    found = recorded(record, world.pack)
    assert len(found) == len(frames) == 600
    for one, two in zip(frames, found, strict=True):
        for name, value in one._asdict().items():
            np.testing.assert_array_equal(getattr(two, name), value, err_msg=f"{name} at {one.time_s} s")
    assert bms.fingerprint(load_state(memory, world.pack)) == bms.fingerprint(state)
    lived = [output for _, _, output in bms.run(world.pack, iter(found))]
    for one, two in zip(outputs, lived, strict=True):
        assert bms.fingerprint(one) == bms.fingerprint(two)
    if "cycle" in changes:
        assert max(output.command.charge_A for output in outputs) > 10.0
        assert max(output.command.bleed.sum() for output in outputs) > 0.0
    raised = sum(int(row[6]) for output in outputs for row in output.events)
    assert sum(facts["events"].values()) == raised
    assert bool(faults) == (raised > 0)
    assert facts["bus"]["wrong"] == dict.fromkeys(facts["bus"]["wrong"], 0)


def test_a_bms_that_ends_is_replaced_while_the_truck_waits() -> None:
    bus = bus_name()
    driving = packhorse("twin", "--truck", "light", "--bus", bus, "--seconds", "20", "--json")
    first, _ = ended(packhorse("run", "light", "--bus", bus, "--seconds", "8", "--json"))
    second, _ = ended(packhorse("run", "light", "--bus", bus, "--json"))
    facts, _ = ended(driving)
    assert first["seconds"] == pytest.approx(8.0)
    assert second["seconds"] == pytest.approx(12.0, abs=0.11)
    assert facts["seconds"] == pytest.approx(20.0)


def test_a_bms_that_is_killed_is_replaced_and_a_truck_that_is_killed_begins_again() -> None:
    bus = bus_name()
    driving = packhorse("twin", "--truck", "light", "--bus", bus, "--json")
    thinking = packhorse("run", "light", "--bus", bus)
    assert thinking.stdout is not None
    assert thinking.stdout.readline().startswith("00:01:00")
    thinking.kill()
    thinking.communicate()
    thinking = packhorse("run", "light", "--bus", bus, "--json")
    assert thinking.stderr is not None
    driving.kill()
    driving.communicate()
    driving = packhorse("twin", "--truck", "light", "--bus", bus, "--seconds", "15", "--json")
    facts, _ = ended(driving)
    assert facts["seconds"] == pytest.approx(15.0)
    found, _ = ended(thinking)
    assert found["seconds"] >= 15.0 - 0.11


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--bus", "loopback:45454"], "which pack?"),
        (["run", "light", "--bus", "loopback:45454", "--truck", "heavy"], "--truck belongs to 'packhorse twin'"),
        (["run", "light", "--node", "node.toml"], "--node needs --bus"),
        (["run", "light", "--bus", "socketcan:can0"], "needs a node file"),
        (["run", "light", "--bus", "nonsense"], "write KIND:PLACE"),
        (["twin", "--bus", "loopback:1"], "give 1024 to"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments: list[str], says: str) -> None:
    process = packhorse(*arguments)
    said, lines = process.communicate(timeout=240.0)
    assert process.returncode == 2
    assert said == ""
    assert says in lines
    assert len(lines.splitlines()) == 1


def test_ctrl_c_ends_either_with_its_summary() -> None:
    bus = bus_name()
    driving = packhorse("twin", "--truck", "light", "--bus", bus, "--json")
    thinking = packhorse("run", "light", "--bus", bus)
    assert thinking.stdout is not None
    assert thinking.stdout.readline().startswith("00:01:00")
    thinking.send_signal(signals.SIGINT)
    said, lines = thinking.communicate(timeout=240.0)
    assert thinking.returncode == 0, lines
    assert "BMS step" in said
    driving.send_signal(signals.SIGINT)
    facts, _ = ended(driving)
    assert facts["seconds"] >= 60.0
