"""`packhorse record`: whatever is on a bus into a log, without taking part in it."""

from __future__ import annotations

import json
import math
import sys
import time
from contextlib import closing
from pathlib import Path

from packhorse.app.course import Wall
from packhorse.app.pace import stop_asked
from packhorse.io.bus_recording import BusRecording, bus_recording
from packhorse.io.buses import Lasting, open_bus
from packhorse.io.errors import WriteError

GLANCE_S = 0.2
"""How often it is looked whether to end."""


def record(name: str, path: Path, seconds: float | None, as_json: bool, wall: Wall | None = None) -> None:
    """Record until the time is over or somebody asks to end, then say how much it was.

    Raises `packhorse.io.errors.Error`, e.g. where the disk is full: there is nothing else to go on for.
    """
    wall = wall or Wall(time.monotonic, time.sleep)
    with (
        stop_asked() as stop,
        closing(Lasting(name, lambda: open_bus(name, wall.clock), wall.clock)) as bus,
        bus_recording(path) as tape,
    ):
        ahead_s, until_s = time.time() - wall.clock(), wall.clock() + (math.inf if seconds is None else seconds)
        while not stop() and not tape.failed and wall.clock() < until_s:
            tape.heard(bus.heard(GLANCE_S), ahead_s)
            if bus.broken:  # it does not wait, so we do
                wall.sleep(GLANCE_S)
            say(bus)
    tell(tape, bus, as_json)


def say(bus: Lasting) -> None:
    """What happens to the bus, for people."""
    while bus.lines:
        print(f"bus: {bus.lines.popleft()}", file=sys.stderr, flush=True)


def tell(tape: BusRecording, bus: Lasting, as_json: bool) -> None:
    """The summary, on stdout. Raises WriteError where the recording is not whole."""
    if tape.lines:
        raise WriteError(f"{tape.lines[0]} ({tape.written} frames are there, {tape.dropped} were dropped)")
    counts = bus.counts
    facts = {**tape.facts(), "bus": {"name": bus.name} | {name: getattr(counts, name) for name in counts.__slots__}}
    if as_json:
        print(json.dumps(facts, allow_nan=False))
    else:
        print(f"{tape.path}: {tape.written} frames of {bus.name}, {tape.dropped} dropped, {counts.errors} errors")
