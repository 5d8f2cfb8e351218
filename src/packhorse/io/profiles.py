"""Profiles: what other battery systems say on CAN, in our words, as data files that need no DBC and no mapping.

A profile is one of `protocols/profiles`, or a copy of the user's with other identifiers.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from packhorse.io.bus_table import Bus, BusMapping
from packhorse.pack.description import Described
from packhorse.pack.load import ConfigurationError, check, read
from packhorse.pack.words import Pack
from packhorse.protocols import profiles as shelf
from packhorse.protocols.plan import Check, Kind, Message, Plan, Protection, Signal, build

PLACE, SERIES, PROBES = "{n}", "..series}", "..probes}"
"""What stands in names for the number of a place, and in ranges of a mapping for what the pack has."""


class SignalFile(Described):
    """A signal, or `count` of them that take turns: the number k of a turn selects place `first + k * step`."""

    name: str
    start: int = Field(ge=0)
    bits: int = Field(ge=1, le=64)
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    motorola: bool = False
    signed: bool = False
    selector: str = ""
    selected: int = Field(default=0, ge=0)
    first: int = Field(default=1, ge=1)
    step: int = Field(default=1, ge=1)
    count: int = Field(default=1, ge=1, le=4096)


class MessageFile(Described):
    """A message; `checksum_init` is what the sum of the other bytes in the last one begins with."""

    name: str
    id: int = Field(ge=0, le=0x1FFFFFFF)
    extended: bool = False
    length: int = Field(default=8, ge=1, le=64)
    checksum_init: int | None = Field(default=None, ge=0, le=255)
    signals: list[SignalFile]


class ProfileFile(Described):
    """A profile as written; `lacks` says what a replay would need and the system does not tell."""

    about: str
    editable: str
    sources: list[str] = Field(min_length=1)
    lacks: str = ""
    bus: Bus = Bus()
    messages: list[MessageFile] = Field(min_length=1)
    map: dict[str, dict[str, Any]] = Field(default_factory=dict)


class Profile(NamedTuple):
    """A profile ready for use."""

    path: Path
    described: ProfileFile
    plan: Plan


def open_profile(name: str) -> Profile:
    """A profile of the shelf or a file of the user's. Raises ConfigurationError, in one line."""
    shelved = Path(shelf.__file__).parent / f"{name}.toml"
    path = shelved if shelved.is_file() else Path(name)
    if not path.is_file():
        close = difflib.get_close_matches(name, shelf.names(), n=1)
        meant = f"did you mean {close[0]}?" if close else f"give {', '.join(shelf.names())} or a .toml file"
        raise ConfigurationError(f"{name}: no such profile; {meant}")
    described = read(path, ProfileFile)
    try:
        return Profile(path, described, build([_message(message) for message in described.messages]))
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def mapping(profile: Profile, pack: Pack) -> BusMapping:
    """What the signals of a profile are for a pack. Raises ConfigurationError where the system tells too little."""
    path, described = profile.path, profile.described
    if described.lacks:
        raise ConfigurationError(
            f"{path}: no replay: these messages do not tell {described.lacks}; "
            f"packhorse signals LOG --profile {path.stem} decodes what they tell"
        )
    sections = {name: {**one, "columns": _columns(one, pack)} for name, one in described.map.items()}
    return check(path, {"bus": described.bus.model_dump(), **sections}, BusMapping)


def _columns(section: dict[str, Any], pack: Pack) -> list[str]:
    told = section.get("columns", section.get("column", []))
    patterns = [told] if isinstance(told, str) else list(told)
    sizes = ((SERIES, pack.series), (PROBES, pack.probes))
    for word, size in sizes:
        patterns = [str(pattern).replace(word, f"..{size}}}") for pattern in patterns]
    return patterns


def _message(message: MessageFile) -> Message:
    protection = Protection()
    if message.checksum_init is not None:
        protection = Protection(Check.SUM8, message.length - 1, init=message.checksum_init, xor=0)
    signals = tuple(one for signal in message.signals for one in _places(signal))
    return Message(message.name, message.id, signals, message.length, extended=message.extended, protection=protection)


def _places(signal: SignalFile) -> Iterator[Signal]:
    """A signal for each of its places."""
    for k in range(signal.count):
        turn = signal.selected + k
        yield Signal(
            name=signal.name.replace(PLACE, str(signal.first + k * signal.step)),
            start=signal.start,
            bits=signal.bits,
            scale=signal.scale,
            offset=signal.offset,
            unit=signal.unit,
            motorola=signal.motorola,
            kind=Kind.SIGNED if signal.signed else Kind.UNSIGNED,
            selector=signal.selector,
            selected=((turn, turn),) if signal.selector else (),
        )
