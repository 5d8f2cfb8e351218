"""`packhorse run`: a simulated truck and its BMS together, watched on the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext

from rich.console import Console
from rich.table import Table

from packhorse import bms
from packhorse.app import compiling, trip
from packhorse.app.pace import Pace, stop_asked
from packhorse.app.trip import Trip
from packhorse.app.view import view
from packhorse.app.world import Settings, Tick, World, build, ticks, usable_soc
from packhorse.io.recording import Recording, recording
from packhorse.io.state import save_state


def run(
    settings: Settings,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    console: Console | None = None,
) -> None:
    """Run until the time is over or somebody asks to end, then say what it amounted to.

    Raises `packhorse.io.errors.Error` or `packhorse.pack.load.ConfigurationError`, each with one line for the user.
    """
    world = build(settings)
    log = nullcontext() if settings.record is None else recording(settings.record)
    with log as recorded:
        with compiling.notice((compiling.STEP, compiling.TWIN), compiling.RUN_S):
            with compiling.shared(twin=True):
                bms.step(world.pack, bms.start(world.pack), bms.silence(world.pack))
            next(ticks(world, settings))
        last, travelled, pace = drive(
            world, settings, recorded, clock, sleep, console or Console(stderr=settings.as_json)
        )
        if settings.state is not None:
            save_state(settings.state, last.state)
        if recorded is not None:
            recorded.finish()
    tell(travelled, settings, pace)


def drive(
    world: World,
    settings: Settings,
    recorded: Recording | None,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    console: Console,
) -> tuple[Tick, Trip, float]:
    """Tick after tick, paced, watched and recorded; gives back the last one, the trip and the speed of time."""
    travelled = Trip(world.body.time_s)
    began_m, began_s = world.body.distance_m, clock()
    pace = Pace(settings.speed, clock, sleep)
    with stop_asked() as stop, view(console, world, pace, clock, quiet=settings.as_json) as show:
        for count, tick in enumerate(ticks(world, settings), start=1):
            travelled.distance_m = tick.body.distance_m - began_m
            plugged, true_soc = bool(tick.demand.plugged), usable_soc(tick.body.soc)
            travelled.take(tick.frame, tick.output, plugged, true_soc, settings.tick_s, tick.bms_s)
            if recorded is not None:
                recorded.take(tick.frame)
            elapsed_s = count * settings.tick_s
            pace.keep(elapsed_s)
            show(tick, travelled)
            if stop() or (settings.seconds is not None and elapsed_s > settings.seconds - 0.5 * settings.tick_s):
                break
    wall_s = clock() - began_s
    return tick, travelled, elapsed_s / wall_s if wall_s > 0.0 else settings.speed


def tell(travelled: Trip, settings: Settings, pace: float) -> None:
    """The summary, on stdout."""
    facts = travelled.facts(settings.tick_s, pace)
    written = [str(path) for path in (settings.record, settings.state) if path is not None]
    if settings.as_json:
        print(json.dumps({**facts, "files": written}, allow_nan=False))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    for label, value in [*trip.lines(facts), *(("written", path) for path in written)]:
        table.add_row(label, value)
    Console(markup=False, highlight=False).print(table)
