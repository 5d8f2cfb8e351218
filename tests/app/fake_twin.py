"""A truck of a few lines that speaks the twin's interface: its cells are resistors behind 3.7 V."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from packhorse.pack.load import ConfigurationError
from packhorse.pack.words import Array, Command, Frame, Limits


class Truck(NamedTuple):
    strings: int
    series: int
    probes: int
    capacity_Ah: float
    faults: tuple[Any, ...]


class Body(NamedTuple):
    time_s: float
    speed_m_per_s: float
    distance_m: float
    soc: Array


class Demand(NamedTuple):
    speed_m_per_s: float
    grade: float
    plugged: float
    ambient_degC: float


def load_truck(name: str) -> SimpleNamespace:
    if name not in ("heavy", "small"):
        raise ConfigurationError(f"{name!r}: no such entry among trucks of the catalogue; did you mean heavy?")
    return SimpleNamespace(name="fake truck", pack="light", cycle="urban")


def compile_truck(_file: Any, pack: Any, _cell: Any, seed: int = 1, faults: tuple[Any, ...] = ()) -> Truck:
    if any(fault.kind != "cell_short" for fault in faults):
        raise ValueError(f"{faults[0].kind}: no such fault; did you mean cell_short?")
    return Truck(pack.strings, pack.series, pack.probes, 60.0 * pack.parallel + 0.0 * seed, faults)


def start(truck: Truck, soc: float = 0.9, ambient_degC: float = 20.0) -> Body:
    return Body(0.0 * ambient_degC, 0.0, 0.0, np.full((truck.strings, truck.series), soc))


def duty(name: str) -> str:
    if name not in ("urban", "regional", "long_haul"):
        raise ValueError(f"{name!r}: no such cycle; did you mean urban?")
    return name


def demand_at(_cycle: str, _time_s: float, ambient_degC: float) -> Demand:
    return Demand(20.0, 0.01, 0.0, ambient_degC)


def idle(truck: Truck) -> tuple[Command, Limits]:
    closed, none = np.zeros((truck.strings, 3)), np.zeros((2, truck.strings))
    bleed, stage = np.zeros((truck.strings, truck.series)), np.zeros(truck.strings)
    return Command(closed, bleed, 0, 0, 0, 0, 0, 0, stage), Limits(0, 0, 0, 0, 5, 5, none, none)


def step(truck: Truck, body: Body, command: Command, limits: Limits, demand: Demand, dt_s: float) -> tuple[Body, Frame]:
    closed = bool(command.contactor[:, 1].all())
    current_A = min(50.0, limits.discharge_A / truck.strings) if closed else 0.0
    soc = body.soc - current_A * dt_s / 3600.0 / truck.capacity_Ah
    speed = demand.speed_m_per_s if closed else 0.0
    now = Body(body.time_s + dt_s, speed, body.distance_m + speed * dt_s, soc)
    cell_V = 3.4 + 0.6 * soc - 0.0005 * current_A + 1e-6 * np.arange(truck.series)
    live = command.contactor[:, 0].any()
    frame = Frame(
        time_s=now.time_s,
        cell_V=cell_V,
        probe_degC=np.full((truck.strings, truck.probes), demand.ambient_degC),
        string_A=np.full(truck.strings, current_A),
        string_V=cell_V.sum(axis=1),
        age_s=np.zeros((truck.strings, 3)),
        contactor=command.contactor.copy(),
        link_V=float(cell_V[0].sum()) if live else 0.0,
        isolation_ohm=5e6,
        hvil=1.0,
        inlet_degC=demand.ambient_degC,
        outlet_degC=demand.ambient_degC,
        ambient_degC=demand.ambient_degC,
        drive_request=1.0,
        charge_request=0.0,
        reset_request=0.0,
    )
    return now, frame


FAKE: dict[str, Any] = {
    "load_truck": load_truck,
    "compile_truck": compile_truck,
    "start": start,
    "duty": duty,
    "demand_at": demand_at,
    "IDLE": idle,
    "step": step,
}
