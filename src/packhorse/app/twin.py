"""`packhorse twin`: the simulated truck alone on a bus, for a BMS in another process, or on another machine."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

from packhorse import twin
from packhorse.app import compiling, lockstep, truck_nodes
from packhorse.app.course import Wall, is_over
from packhorse.app.lockstep import Lockstep, Turn
from packhorse.app.pace import Pace, stop_asked
from packhorse.app.truck_nodes import Nodes
from packhorse.app.world import Settings, World, build, refused, usable_soc
from packhorse.io.bus_recording import BusRecording, bus_recording
from packhorse.io.buses import Lasting, open_bus
from packhorse.io.buses.opening import is_simulated
from packhorse.protocols import boards
from packhorse.protocols.j1939.identifier import CanFrame

Exchange = Callable[[int, float, list[CanFrame]], list[CanFrame] | None]
"""Says a tick, and gives back what was said to it; None where it is time to end."""


def run(
    settings: Settings, bus_name: str, real_time: bool, record: Path | None = None, wall: Wall | None = None
) -> None:
    """Drive until the time is over or somebody asks to end, then say how far it came.

    Raises `packhorse.io.errors.Error` or `packhorse.pack.load.ConfigurationError`, each with one line for the user.
    """
    wall = wall or Wall(time.monotonic, time.sleep)
    world = build(settings)
    with refused():
        nodes = truck_nodes.fitted(world.truck, world.body.time_s)
    with compiling.notice((compiling.TWIN,), compiling.REPLAY_S):
        compiling.compile_twin()
    stepped = is_simulated(bus_name) and not real_time
    began_s = wall.clock()
    recording = nullcontext() if record is None else bus_recording(record)
    with stop_asked() as stop, closing(Lasting(bus_name, lambda: open_bus(bus_name, wall.clock), wall.clock)) as bus:
        with recording as tape:
            if stepped:
                with_bms = Lockstep(bus, boards.table()["addresses"]["controller"], stop, say)
                body = drive(world, settings, nodes, in_step(with_bms, tape), Pace(settings.speed, *wall), stop)
                with_bms.end(body.time_s)
            else:
                body = drive(world, settings, nodes, freely(bus, tape, wall), Pace(1.0, *wall), stop)
        say_of(tape)
        tell(settings, world, body, (bus, tape), wall.clock() - began_s)


def drive(
    world: World, settings: Settings, nodes: Nodes, exchange: Exchange, pace: Pace, stop: Callable[[], bool]
) -> twin.Body:
    """Claim addresses, then tick after tick; gives back where the truck has come to."""
    body, start_s = world.body, world.body.time_s
    for k in range(lockstep.CLAIMING_TURNS, 0, -1):
        heard = exchange(0, start_s - k * lockstep.CLAIMING_S, list(nodes.unsaid))
        if heard is None:
            return body
        nodes = truck_nodes.hear(nodes._replace(unsaid=()), start_s - k * lockstep.CLAIMING_S, heard)
    number = 0
    command, limits = twin.idle(world.truck)
    while not stop() and not is_over(number * settings.tick_s, settings.seconds, settings.tick_s):
        number += 1
        demand = twin.demand_at(world.cycle, body.time_s + settings.tick_s, settings.ambient_degC)
        body, frame = twin.step(world.truck, body, command, limits, demand, settings.tick_s)
        nodes, said = truck_nodes.speak(nodes, body.time_s, body, frame, demand)
        heard = exchange(number, body.time_s, list(said))
        if heard is None:
            break
        nodes = truck_nodes.hear(nodes, body.time_s, heard)
        command, limits = truck_nodes.obeyed(nodes, body.time_s)
        pace.keep(number * settings.tick_s)
    return body


def in_step(with_bms: Lockstep, tape: BusRecording | None = None) -> Exchange:
    """Every tick waits for its answer."""

    def exchange(number: int, time_s: float, frames: list[CanFrame]) -> list[CanFrame] | None:
        turn = with_bms.exchange(Turn(number, time_s, frames))
        if tape is not None:
            tape.take(time_s, frames, sent=True)
            tape.take(time_s, [] if turn is None else turn.frames)
            say_of(tape)
        return None if turn is None else turn.frames

    return exchange


def freely(bus: Lasting, tape: BusRecording | None, wall: Wall) -> Exchange:
    """Nothing waits for anybody: what was said since the last tick counts."""
    ahead_s = time.time() - wall.clock()

    def exchange(_number: int, _time_s: float, frames: list[CanFrame]) -> list[CanFrame]:
        bus.send(frames)
        while bus.lines:
            say(bus.lines.popleft())
        heard = bus.heard()
        if tape is not None:
            tape.heard(heard, ahead_s)
            tape.take(wall.clock() + ahead_s, frames, sent=True)
            say_of(tape)
        return [one.frame for one in heard if one.extended]

    return exchange


def say_of(tape: BusRecording | None) -> None:
    """What went wrong with the recording, for people; the truck drives on."""
    while tape is not None and tape.lines:
        say(tape.lines.popleft())


def say(line: str) -> None:
    """A line for people."""
    print(line, file=sys.stderr, flush=True)


def tell(
    settings: Settings, world: World, body: twin.Body, on: tuple[Lasting, BusRecording | None], wall_s: float
) -> None:
    """The summary, on stdout."""
    bus, tape = on
    seconds = body.time_s - world.body.time_s
    counts = bus.counts
    driven, recovered, auxiliary, thermal, charged, friction = (float(Wh) / 1000.0 for Wh in body.energy_Wh)
    facts: dict[str, Any] = {
        "seconds": seconds,
        "times_real_time": seconds / wall_s if wall_s > 0.0 else 0.0,
        "distance_km": body.distance_m / 1000.0,
        "true_soc": usable_soc(body.soc),
        "energy_kWh": {
            "driven": driven,
            "recovered": recovered,
            "auxiliary": auxiliary,
            "thermal": thermal,
            "charged": charged,
            "friction": friction,
        },
        "bus": {"name": bus.name} | {name: getattr(counts, name) for name in counts.__slots__},
    }
    if tape is not None:
        facts["recording"] = tape.facts()
    if settings.as_json:
        print(json.dumps(facts, allow_nan=False))
        return
    print(f"{world.name} on {bus.name}")
    print(f"{seconds:.1f} s at {facts['times_real_time']:.3g} times real time, {facts['distance_km']:.2f} km")
    print(f"true charge {100.0 * facts['true_soc']:.1f} %, {driven:.1f} kWh driven, {recovered:.1f} kWh recovered")
    print(f"{counts.sent} frames sent, {counts.heard} heard, {counts.dropped} dropped, {counts.errors} errors")
    if tape is not None:
        print(f"{tape.path}: {tape.written} frames written, {tape.dropped} dropped")
