"""What other nodes say about the vehicle, as far as range and temperature need it.

Where several messages tell the same, the first that is fresh counts.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import NamedTuple

from packhorse.protocols.j1939.hvess import decode, system_layouts
from packhorse.protocols.j1939.identifier import Message


class Source(NamedTuple):
    """A signal of a message that tells one of our words, and for how long it is believed."""

    word: str
    message: str
    signal: str
    patience_s: float


class Vehicle(NamedTuple):
    """The vehicle as it was last heard of; NaN is not heard, or too long ago."""

    speed_m_per_s: float = math.nan
    pitch_deg: float = math.nan  # uphill is positive
    mass_kg: float = math.nan  # of the whole combination
    ambient_degC: float = math.nan
    latitude_deg: float = math.nan
    longitude_deg: float = math.nan
    altitude_m: float = math.nan
    bearing_deg: float = math.nan
    odometer_m: float = math.nan
    dcdc_W: float = math.nan
    charger_V: float = math.nan
    charger_A: float = math.nan
    charger_max_V: float = math.nan
    charger_max_A: float = math.nan
    charger_max_W: float = math.nan


SOURCES = (
    Source("speed_m_per_s", "CCVS1", "speed_m_per_s", 1.0),
    Source("speed_m_per_s", "VDS", "speed_m_per_s", 3.0),
    Source("pitch_deg", "SSI2", "pitch_deg", 1.0),
    Source("pitch_deg", "SSI", "pitch_deg", 1.0),
    Source("pitch_deg", "VDS", "pitch_deg", 3.0),
    Source("mass_kg", "GCVW", "combination_mass_kg", 60.0),
    Source("mass_kg", "CVW", "combination_mass_kg", 3600.0),
    Source("ambient_degC", "AMB", "ambient_degC", 10.0),
    Source("latitude_deg", "VP1", "latitude_deg", 5.0),
    Source("longitude_deg", "VP1", "longitude_deg", 5.0),
    Source("altitude_m", "VDS", "altitude_m", 5.0),
    Source("bearing_deg", "VDS", "bearing_deg", 5.0),
    Source("odometer_m", "VDHR", "odometer_m", 10.0),
    Source("odometer_m", "VD", "odometer_m", 10.0),
    Source("dcdc_W", "DCDC1S2", "hv_W", 1.0),
    Source("charger_V", "EVSE1DCS1", "present_V", 5.0),
    Source("charger_A", "EVSE1DCS1", "present_A", 5.0),
    Source("charger_max_V", "EVSE1DCLIM1", "max_V", 5.0),
    Source("charger_max_A", "EVSE1DCLIM1", "max_A", 5.0),
    Source("charger_max_W", "EVSE1DCLIM1", "max_W", 5.0),
)

Told = Mapping[int, tuple[float, float]]
"""By place in `SOURCES`: value, and when it was heard."""


def take(told: Told, time_s: float, message: Message) -> Told:
    """Take one message in; the memory never holds more than one value for each source."""
    sources = _sources_of(message.pgn)
    if not sources:
        return told
    values = decode(system_layouts()[SOURCES[sources[0]].message], message.data).values
    return {**told, **{place: (values[SOURCES[place].signal], time_s) for place in sources}}


def vehicle(told: Told, time_s: float, pitch_sign: float = 1.0) -> Vehicle:
    """What is known of the vehicle now; `pitch_sign` is -1 where the bus counts a lowered nose as positive."""
    found: dict[str, float] = {}
    for place, source in enumerate(SOURCES):
        value, heard_s = told.get(place, (math.nan, math.nan))
        fresh = abs(time_s - heard_s) <= source.patience_s  # a bus may stamp its frames by another clock than ours
        if fresh and not math.isnan(value):
            found.setdefault(source.word, value)
    if "pitch_deg" in found:
        found["pitch_deg"] *= pitch_sign
    return Vehicle(**found)


@functools.cache
def _sources_of(pgn: int) -> tuple[int, ...]:
    """Places in `SOURCES` of the signals that this parameter group carries."""
    return tuple(k for k, source in enumerate(SOURCES) if system_layouts()[source.message].pgn == pgn)
