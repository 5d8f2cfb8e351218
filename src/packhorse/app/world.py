"""A truck, its road and its BMS: loaded and checked as ordered, then stepped together tick by tick."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from packhorse import bms, twin
from packhorse.app.order import fitting, later, parse
from packhorse.io.cycles import read_cycle
from packhorse.io.state import load_state
from packhorse.pack.compile import compile_pack
from packhorse.pack.load import ConfigurationError, find, load_pack_file
from packhorse.pack.words import Array, Frame, Output, Pack, State

FULL_SOC = 0.9
LEAST_TICK_S, MOST_TICK_S = 0.01, 1.0


class Settings(NamedTuple):
    """What `packhorse run` was asked for."""

    pack: str | None
    truck: str
    cycle: str | None
    speed: float
    seconds: float | None
    tick_s: float
    soc: float | None
    ambient_degC: float
    seed: int
    faults: tuple[str, ...]
    as_json: bool
    record: Path | None
    state: Path | None


class World(NamedTuple):
    """All that a run needs, checked."""

    name: str
    pack: Pack
    truck: twin.Truck
    cycle: twin.Cycle
    body: twin.Body
    state: State


class Around(NamedTuple):
    """What people want to know of the vehicle beside its battery; NaN is not known."""

    speed_m_per_s: float
    distance_m: float  # since the run began
    grade: float
    plugged: bool
    true_soc: float


class Tick(NamedTuple):
    """One step of the BMS."""

    frame: Frame
    state: State
    output: Output
    around: Around
    bms_s: float  # time that the BMS needed for it
    note: str = ""  # the last trouble of the bus, for people


def build(settings: Settings) -> World:
    """Load everything. Raises ConfigurationError or an `io` error at the first thing that is wrong."""
    plausible(settings)
    described = twin.load_truck(settings.truck)
    beside = find("trucks", settings.truck)
    pack_file, cell_file = load_pack_file(settings.pack) if settings.pack else load_pack_file(described.pack, beside)
    with refused():
        pack = compile_pack(pack_file, cell_file)
        cycle = road(settings.cycle) if settings.cycle else twin.duty(described.cycle, beside)
    state, soc = remembered(settings, pack)
    start_s = state.time_s if math.isfinite(state.time_s) else 0.0
    with refused():
        orders = [later(fitting(parse(text), pack_file, described.sensing.boards), start_s) for text in settings.faults]
        truck = twin.compile_truck(described, pack_file, cell_file, seed=settings.seed, faults=orders)
    body = twin.start(truck, soc=soc, ambient_degC=settings.ambient_degC)._replace(time_s=start_s)
    return World(f"{described.name}, {pack_file.name}", pack, truck, cycle, body, state)


@contextmanager
def refused() -> Iterator[None]:
    """What does not fit together is the user's to correct."""
    try:
        yield
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def remembered(settings: Settings, pack: Pack) -> tuple[State, float]:
    """What the BMS remembers, and the charge to start with: as asked, else as remembered, else nearly full."""
    state, soc = bms.start(pack), FULL_SOC
    if settings.state is not None and settings.state.exists():
        state = load_state(settings.state, pack)
        soc = float(state.belief.soc.mean()) if state.belief.started else soc
    return state, soc if settings.soc is None else settings.soc


def plausible(settings: Settings) -> None:
    """Refuse numbers that no run can be made of."""
    ranges = {
        "--tick": (settings.tick_s, LEAST_TICK_S, MOST_TICK_S),
        "--soc": (settings.soc, 0.0, 1.0),
        "--ambient": (settings.ambient_degC, -40.0, 60.0),
        "--speed": (settings.speed, 0.0, 1e6),
        "--seconds": (settings.seconds, settings.tick_s, 1e9),
    }
    for name, (value, low, high) in ranges.items():
        if value is not None and not low <= value <= high:
            raise ConfigurationError(f"{name} is {value:g}; give {low:g} to {high:g}")


def road(cycle: str) -> twin.Cycle:
    """A duty cycle: one of ours or in our form, or a table of speed over time."""
    return read_cycle(Path(cycle)) if cycle.lower().endswith((".csv", ".csv.gz", ".parquet")) else twin.duty(cycle)


def ticks(world: World, settings: Settings) -> Iterator[Tick]:
    """Truck and BMS together, for ever: the truck obeys the last command, the BMS hears what comes of it."""
    body, state = world.body, world.state
    command, limits = twin.idle(world.truck)
    while True:
        demand = twin.demand_at(world.cycle, body.time_s + settings.tick_s, settings.ambient_degC)
        body, frame = twin.step(world.truck, body, command, limits, demand, settings.tick_s)
        began_s = time.perf_counter()
        state, output = bms.step(world.pack, state, frame)
        bms_s = time.perf_counter() - began_s
        command, limits = output.command, output.limits
        yield Tick(frame, state, output, around(body, demand), bms_s)


def around(body: twin.Body, demand: twin.Demand) -> Around:
    """The simulated vehicle as people see it, with the truth about its charge."""
    return Around(body.speed_m_per_s, body.distance_m, demand.grade, demand.plugged > 0.0, usable_soc(body.soc))


def usable_soc(soc: Array) -> float:
    """Charge of the pack from that of every cell, defined as the BMS defines it (see `estimation.summary`)."""
    give, take = soc.min(axis=1), 1.0 - soc.max(axis=1)
    whole = give + take
    return float((give / whole.clip(min=1e-9)).mean())
