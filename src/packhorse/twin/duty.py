"""Duties: what a truck has to do over a day, written as legs and turned into speed, grade and plug over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from packhorse.pack.description import Described, Seconds
from packhorse.pack.load import find, read
from packhorse.pack.words import Array
from packhorse.twin.words import Cycle, Demand

DT_S = 1.0
KM_PER_H = 1.0 / 3.6


class Hill(Described):
    """One wave of the landscape: so many metres from valley to crest, so many kilometres long."""

    height_m: Annotated[float, Field(gt=0, le=1_000)]
    length_km: Annotated[float, Field(ge=0.2, le=500)]


class Leg(Described):
    """A stretch of road without stop, then a stop, plugged in or not."""

    km: Annotated[float, Field(ge=0, le=1_000)] = 0.0
    km_per_h: Annotated[float, Field(ge=1, le=140)] = 80.0
    stop_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    plugged_s: Annotated[float, Field(ge=0, le=172_800)] = 0.0
    repeat: Annotated[int, Field(ge=1, le=1_000)] = 1


class DutyFile(Described):
    """One duty as its file says it."""

    name: str = Field(min_length=1)
    sources: list[str] = Field(min_length=1)
    acceleration_m_per_s2: Annotated[float, Field(gt=0, le=4)]
    braking_m_per_s2: Annotated[float, Field(gt=0, le=5)]
    unsteady: Annotated[float, Field(ge=0, le=0.3)] = 0.02
    unsteady_s: Seconds = 90.0
    hills: list[Hill] = Field(default_factory=list)
    legs: list[Leg] = Field(min_length=1)


def duty(name: str, beside: Path | None = None) -> Cycle:
    """A duty of the catalogue or a duty file as a cycle at 1 Hz."""
    return compile_duty(read(find("cycles", name, beside), DutyFile))


def compile_duty(file: DutyFile) -> Cycle:
    """Speed, grade and plug of every second."""
    speed, plugged = [np.zeros(1)], [np.zeros(1)]
    begun_s = 0.0
    for leg in file.legs:
        for _ in range(leg.repeat):
            driven = _drive(file, leg, begun_s)
            stopped, charging = np.zeros(round(leg.stop_s / DT_S)), np.zeros(round(leg.plugged_s / DT_S))
            speed += [driven, stopped, charging]
            plugged += [np.zeros(driven.size + stopped.size), np.ones(charging.size)]
            begun_s += (driven.size + stopped.size + charging.size) * DT_S
    speed_m_per_s = np.concatenate(speed)
    km = np.cumsum(speed_m_per_s) * DT_S / 1000.0
    return Cycle(
        name=file.name,
        time_s=np.arange(speed_m_per_s.size, dtype=np.float64) * DT_S,
        speed_m_per_s=speed_m_per_s,
        grade=_grade(file.hills, km),
        plugged=np.concatenate(plugged),
    )


def _drive(file: DutyFile, leg: Leg, begun_s: float) -> Array:
    """Speed of one leg: up, along with some unrest, down, so that the way comes out right."""
    way_m = 1000.0 * leg.km
    if way_m <= 0.0:
        return np.empty(0)
    ramps = 0.5 / file.acceleration_m_per_s2 + 0.5 / file.braking_m_per_s2
    top = min(leg.km_per_h * KM_PER_H, float(np.sqrt(way_m / ramps)))
    steady_s = (way_m - top * top * ramps) / top
    up_s, down_s = top / file.acceleration_m_per_s2, top / file.braking_m_per_s2
    t = np.arange(DT_S, up_s + steady_s + down_s + DT_S, DT_S)
    bound = np.minimum(file.acceleration_m_per_s2 * t, file.braking_m_per_s2 * (up_s + steady_s + down_s - t))
    wave = np.sin(2.0 * np.pi * (begun_s + t) / file.unsteady_s)
    wave += np.sin(2.0 * np.pi * (begun_s + t) / (1.618 * file.unsteady_s))  # never quite the same again
    shape: Array = np.clip(np.minimum(bound, top * (1.0 + 0.5 * file.unsteady * wave)), 0.0, None)
    return shape


def _grade(hills: list[Hill], km: Array) -> Array:
    """Slope of the landscape at every place: each hill is a cosine from valley to crest."""
    grade = np.zeros(km.size)
    for hill in hills:
        steepest = np.pi * hill.height_m / (1000.0 * hill.length_km)
        grade += steepest * np.sin(2.0 * np.pi * km / hill.length_km)
    return grade


def demand_at(cycle: Cycle, time_s: float, ambient_degC: float) -> Demand:
    """What is wanted at a time; a cycle that has ended begins anew."""
    whole_s = cycle.time_s[-1] - cycle.time_s[0]
    at_s = cycle.time_s[0] + (time_s % whole_s if whole_s > 0.0 else 0.0)
    k = int(np.searchsorted(cycle.time_s, at_s, side="right")) - 1
    after = min(k + 1, cycle.time_s.size - 1)
    span_s = cycle.time_s[after] - cycle.time_s[k]
    share = (at_s - cycle.time_s[k]) / span_s if span_s > 0.0 else 0.0
    speed = cycle.speed_m_per_s[k] + share * (cycle.speed_m_per_s[after] - cycle.speed_m_per_s[k])
    return Demand(float(speed), float(cycle.grade[k]), float(cycle.plugged[k]), ambient_degC, 0.0)
