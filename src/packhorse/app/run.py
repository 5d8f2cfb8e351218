"""`packhorse run`: a simulated truck and its BMS together, watched on the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console

from packhorse import bms
from packhorse.app import compiling
from packhorse.app.course import Course, Wall, complete, tell
from packhorse.app.pace import stop_asked
from packhorse.app.world import Settings, build, ticks


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
    course = Course(
        world.name,
        world.pack,
        settings.speed,
        settings.seconds,
        settings.tick_s,
        settings.as_json,
        settings.record,
        settings.state,
    )
    with compiling.notice((compiling.STEP, compiling.TWIN), compiling.RUN_S):
        with compiling.shared(twin=True):
            bms.step(world.pack, bms.start(world.pack), bms.silence(world.pack))
        next(ticks(world, settings))
    with stop_asked() as stop:
        ended = complete(course, ticks(world, settings), Wall(clock, sleep), stop, console)
    tell(course, ended)
