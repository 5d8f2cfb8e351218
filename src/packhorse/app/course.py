"""A BMS on its way, wherever its frames come from: paced, watched, recorded, and summed up at the end."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from packhorse.app import trip
from packhorse.app.pace import Pace
from packhorse.app.trip import Trip
from packhorse.app.view import view
from packhorse.app.world import Tick
from packhorse.io.recording import Recording, recording
from packhorse.io.state import save_state
from packhorse.pack.words import Pack


class Course(NamedTuple):
    """What a run is asked for, on a simulated truck and on a bus alike."""

    name: str
    pack: Pack
    speed: float
    seconds: float | None
    tick_s: float
    as_json: bool
    record: Path | None
    state: Path | None


class Ended(NamedTuple):
    """How far a run has come."""

    last: Tick | None  # None where not one tick was lived
    travelled: Trip
    pace: float  # times real time


class Wall(NamedTuple):
    """The clock on the wall, and how to wait on it."""

    clock: Callable[[], float]
    sleep: Callable[[float], None]


def complete(
    course: Course, ticks: Iterator[Tick], wall: Wall, stop: Callable[[], bool], console: Console | None
) -> Ended:
    """Follow the ticks until the time is over or somebody asks to end; then write what was asked for.

    Raises `packhorse.io.errors.Error` where something cannot be written.
    """
    log = nullcontext() if course.record is None else recording(course.record)
    with log as recorded:
        ended = follow(course, ticks, recorded, wall, stop, console or Console(stderr=course.as_json))
        if ended.last is not None:
            if course.state is not None:
                save_state(course.state, ended.last.state)
            if recorded is not None:
                recorded.finish()
    return ended


def follow(
    course: Course,
    ticks: Iterator[Tick],
    recorded: Recording | None,
    wall: Wall,
    stop: Callable[[], bool],
    console: Console,
) -> Ended:
    """Tick after tick, paced, watched and recorded."""
    travelled, last, elapsed_s = Trip(), None, 0.0
    began_s = wall.clock()
    pace = Pace(course.speed, wall.clock, wall.sleep)
    with view(console, course.name, course.pack, pace, wall.clock, quiet=course.as_json) as show:
        for count, tick in enumerate(ticks, start=1):
            last, elapsed_s = tick, count * course.tick_s
            travelled.take(tick, course.tick_s)
            if recorded is not None:
                recorded.take(tick.frame)
            pace.keep(elapsed_s)
            show(tick, travelled)
            if stop() or is_over(elapsed_s, course.seconds, course.tick_s):
                break
    wall_s = wall.clock() - began_s
    return Ended(last, travelled, elapsed_s / wall_s if wall_s > 0.0 else course.speed)


def is_over(elapsed_s: float, seconds: float | None, tick_s: float) -> bool:
    """Whether the time that was asked for is lived, to half a tick."""
    return elapsed_s > (math.inf if seconds is None else seconds) - 0.5 * tick_s


def tell(course: Course, ended: Ended, more: dict[str, Any] | None = None) -> None:
    """The summary, on stdout; `more` is what a bus adds to it."""
    facts = ended.travelled.facts(course.tick_s, ended.pace) | (more or {})
    written = [str(path) for path in (course.record, course.state) if path is not None]
    if course.as_json:
        print(json.dumps({**facts, "files": written}, allow_nan=False))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    tape = facts.get("recording")
    lines = [("recorded", f"{tape['written']} frames, {tape['dropped']} dropped, {tape['file']}")] if tape else []
    for label, value in [*trip.lines(facts), *lines, *(("written", path) for path in written)]:
        table.add_row(label, value)
    Console(markup=False, highlight=False).print(table)
