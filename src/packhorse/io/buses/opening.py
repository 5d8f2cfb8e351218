"""`KIND:PLACE[@BITRATE]`: from the name of a bus to the bus."""

from __future__ import annotations

import time
from typing import NamedTuple

from packhorse.io.buses.bus import Bus, Clock
from packhorse.io.buses.loopback import FIRST_PORT, LAST_PORT, LoopbackBus
from packhorse.io.buses.process import ProcessBus
from packhorse.io.buses.python_can import PythonCanBus
from packhorse.io.buses.socketcan import SocketCanBus
from packhorse.io.errors import BusError

EXAMPLES = "socketcan:can0, loopback:45454, process:name, pcan:PCAN_USBBUS1@500000"
SIMULATED = {"loopback", "process"}


class Name(NamedTuple):
    """A name of a bus taken apart."""

    kind: str
    place: str
    bitrate: int | None


def open_bus(name: str, clock: Clock = time.monotonic) -> Bus:
    """The bus of this name; frames that are heard carry the time of `clock`. Raises BusError with one line."""
    kind, place, bitrate = split(name)
    if kind in {"socketcan", *SIMULATED} and bitrate is not None:
        raise BusError(f"{name}: a bit rate is given to adapters of python-can only; leave @{bitrate} out")
    if kind == "socketcan":
        return SocketCanBus(place, clock)
    if kind == "loopback":
        return LoopbackBus(port(name, place), clock)
    if kind == "process":
        return ProcessBus(place, clock)
    return PythonCanBus(kind, place, bitrate, clock)


def is_simulated(name: str) -> bool:
    """Whether no real truck can be on this bus, so that simulated time may be believed."""
    return split(name).kind in SIMULATED


def split(name: str) -> Name:
    """The parts of a name. Raises BusError with an example."""
    kind, colon, rest = name.partition(":")
    place, at, rate = rest.partition("@")
    if not (kind and colon and place) or (at and not rate.isdigit()):
        raise BusError(f"{name[:60]!r}: no name of a bus; write KIND:PLACE[@BITRATE], e.g. {EXAMPLES}")
    return Name(kind, place, int(rate) if at else None)


def port(name: str, place: str) -> int:
    """The first port of a loopback bus. Raises BusError."""
    if not place.isdigit() or not FIRST_PORT <= int(place) <= LAST_PORT:
        raise BusError(f"{name[:60]!r}: a loopback bus is a port; give {FIRST_PORT} to {LAST_PORT}")
    return int(place)
