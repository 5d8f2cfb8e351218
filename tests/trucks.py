"""Simulated trucks with their BMS, for tests: drive some time, keep what was said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from packhorse import bms, twin
from packhorse.app.world import usable_soc
from packhorse.pack.faults import fault_rows
from packhorse.pack.load import load_pack, load_pack_file
from packhorse.pack.words import Event, Frame, Output, Pack, State

Wish = Callable[[float], twin.Demand]
NAMES = [row.name for row in fault_rows()]


class Moment(NamedTuple):
    """One tick of both: what was heard, what came of it, and how things really are."""

    frame: Frame
    state: State
    output: Output
    body: twin.Body


@cache
def pack_of(name: str) -> Pack:
    return load_pack(twin.load_truck(name).pack)


def truck_of(name: str, faults: Sequence[twin.Fault] = (), seed: int = 1) -> twin.Truck:
    file = twin.load_truck(name)
    return twin.compile_truck(file, *load_pack_file(file.pack), seed=seed, faults=faults)


def steady(km_per_h: float = 0.0, grade: float = 0.0, plugged: float = 0.0, ambient_degC: float = 20.0) -> Wish:
    """The same wish for ever."""
    demand = twin.Demand(km_per_h / 3.6, grade, plugged, ambient_degC, 0.0)
    return lambda _time_s: demand


def along(name: str, ambient_degC: float = 20.0, begin_s: float = 0.0) -> Wish:
    """A duty of the catalogue."""
    cycle = twin.duty(name)
    return lambda time_s: twin.demand_at(cycle, begin_s + time_s, ambient_degC)


def live(
    name: str,
    seconds: float,
    wish: Wish,
    dt_s: float = 0.1,
    soc: float = 0.7,
    faults: Sequence[twin.Fault] = (),
    seed: int = 1,
) -> list[Moment]:
    """Drive a truck of the catalogue with its BMS."""
    pack, truck = pack_of(name), truck_of(name, faults, seed)
    body, state = twin.start(truck, soc, wish(0.0).ambient_degC), bms.start(pack)
    command, limits = twin.idle(truck)
    life: list[Moment] = []
    for _ in range(round(seconds / dt_s)):
        body, frame = twin.step(truck, body, command, limits, wish(body.time_s + dt_s), dt_s)
        state, output = bms.step(pack, state, frame)
        command, limits = output.command, output.limits
        life.append(Moment(frame, state, output, body))
    return life


def events(life: Sequence[Moment]) -> list[tuple[float, str, Event]]:
    """Every fault that was raised, with its time and name."""
    return [
        (event.time_s, NAMES[event.code], event)
        for moment in life
        for event in bms.events(moment.output.events)
        if event.raised
    ]


def used_kWh_per_km(body: twin.Body) -> float:
    """What driving took from the battery, auxiliaries and thermal system included."""
    driven, recovered, auxiliary, thermal, _charged, _friction = body.energy_Wh
    return float((driven - recovered + auxiliary + thermal) / body.distance_m)


def true_soc(moment: Moment) -> float:
    """Charge of the pack as the BMS defines it, from the true cells."""
    return usable_soc(moment.body.soc)
