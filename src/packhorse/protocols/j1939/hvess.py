"""The messages of a high-voltage battery and of the vehicle around it, read from `messages.toml`.

Signals are in our units: W, kWh, degC, m, m/s, and fractions where the bus has percent. The blocks of single packs
(HVESP1 .. HVESP26) follow by formula. Source: SAE J1939DA Oct-2020 as extracted in
Equipment-and-Tool-Institute/j1939-84 (MIT).
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Collection, Mapping
from importlib import resources
from typing import Any, NamedTuple

from packhorse.protocols import signal as codes
from packhorse.protocols.signal import Meaning, Signal

OURS = {
    "%": ("", 0.01),
    "kW": ("W", 1e3),
    "Wh": ("kWh", 1e-3),
    "km/h": ("m_per_s", 1.0 / 3.6),
    "km": ("m", 1e3),
    "ms": ("s", 1e-3),
    "deg/s": ("deg_per_s", 1.0),
    "l/min": ("l_per_min", 1.0),
    "ohm/V": ("ohm_per_V", 1.0),
}
"""Units of the bus that are not ours: the unit that the name ends in, and what one of theirs is in it."""

PACKS = 26
BLOCK = ("S2", "D1", "D2", "D3", "D4", "D5", "D6", "S1", "D7", "MS1", "TS1", "D8", "D9", "D10", "D11")
"""The messages of a pack with consecutive parameter groups."""
DIFFERENT = {"S1": ("packs_ready", {"counter": 52}), "CFG": ("packs_configured", {"nominal_energy_kWh": 128})}
"""Where a pack's message differs from that of the system: the signal it lacks, and new first bits."""
SHORTEST = 8


class Layout(NamedTuple):
    """What a message holds, and how often it is sent."""

    name: str
    pgn: int
    period_s: float  # 0: on request
    fastest_s: float  # on change too, no faster than this; NaN: not on change
    length: int  # bytes
    signals: tuple[Signal, ...]
    about: str = ""  # for people


class Content(NamedTuple):
    """What a message said: a value for every signal, NaN where there was none, and those that reported an error."""

    values: dict[str, float]
    errors: tuple[str, ...]


@functools.cache
def system_layouts() -> dict[str, Layout]:
    """The messages of the whole battery and of the vehicle, by acronym."""
    table = _table()
    return {name: _layout(name, entry, table["slots"]) for name, entry in table["messages"].items()}


@functools.cache
def pack_layouts(number: int) -> dict[str, Layout]:
    """The messages of one pack of several, by acronym; packs count from 1. Raises ValueError beyond 26.

    The SPNs are known of pack 1 alone; those of the others are 0.
    """
    spns = _table()["packs"]
    made = {}
    for block, numbers in spns.items():
        system = system_layouts()[f"HVESS{block}"]
        signals = _pack_signals(block, system.signals)
        known = numbers if number == 1 else [0] * len(signals)
        signals = tuple(s._replace(spn=spn) for s, spn in zip(signals, known, strict=True))
        name = f"HVESP{number}{block}"
        pgn, about = pack_pgn(number, block), system.about.replace("battery", f"pack {number}", 1)
        made[name] = system._replace(name=name, pgn=pgn, signals=signals, length=_length(signals), about=about)
    return made


def pack_pgn(number: int, block: str) -> int:
    """Parameter group of a pack's message, `block` being its acronym without HVESPn. Raises ValueError beyond 26."""
    n = number
    if not 1 <= n <= PACKS:
        raise ValueError(f"pack {n}: J1939 has messages for packs 1 to {PACKS}")
    if block == "C1":
        return 10752 + 256 * (n - 1) if n <= 10 else 3840 + 256 * (n - 11) if n <= 22 else 7936 + 256 * (n - 23)
    if block == "CFG":
        return 64346 - 2 * (n - 1) if n <= 6 else 64177 - 2 * (n - 7) if n <= 10 else 64133 + 2 * (n - 11)
    if block == "HIST":
        return 64345 - 2 * (n - 1) if n <= 6 else 64178 - 2 * (n - 7) if n <= 10 else 64132 + 2 * (n - 11)
    first = 61840 + 15 * (n - 1) if n <= 6 else 61972 + 15 * (n - 7) if n <= 10 else 62033 + 15 * (n - 11)
    return first + BLOCK.index(block)


@functools.cache
def layouts() -> dict[int, Layout]:
    """Every message that is known, by parameter group."""
    every = list(system_layouts().values())
    for number in range(1, PACKS + 1):
        every += pack_layouts(number).values()
    return {layout.pgn: layout for layout in every}


def encode(layout: Layout, values: Mapping[str, float], errors: Collection[str] = ()) -> bytes:
    """A message with these values; what is not given is sent as not available, what is in `errors` as an error."""
    word = (1 << 8 * layout.length) - 1
    for signal in layout.signals:
        raw = (
            codes.error_code(signal) if signal.name in errors else codes.code(signal, values.get(signal.name, math.nan))
        )
        word ^= (word >> signal.start_bit & ((1 << signal.bits) - 1) ^ raw) << signal.start_bit
    return word.to_bytes(layout.length, "little")


def decode(layout: Layout, data: bytes) -> Content:
    """What a message says; of one that is shorter than its layout the part that is there, the rest is NaN."""
    values, errors = {}, []
    for signal in layout.signals:
        raw = codes.cut(signal, data)
        values[signal.name] = math.nan if raw is None else codes.value(signal, raw)
        if raw is not None and codes.meaning(signal, raw) is Meaning.ERROR:
            errors.append(signal.name)
    return Content(values, tuple(errors))


@functools.cache
def _table() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("messages.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _layout(name: str, entry: Mapping[str, Any], slots: Mapping[str, Mapping[str, Any]]) -> Layout:
    signals = tuple(_signal(slots, *row) for row in entry["signals"])
    fastest_s = entry.get("fastest_s", math.nan)
    return Layout(name, entry["pgn"], entry["period_s"], fastest_s, _length(signals), signals, entry["about"])


def _signal(
    slots: Mapping[str, Mapping[str, Any]], spn: int, name: str, start_bit: int, kind: str, mark: str = ""
) -> Signal:
    slot = slots[kind]
    _, factor = OURS.get(slot["unit"], (slot["unit"], 1.0))
    last, absent, error = codes.special_codes(slot["bits"])
    if "last" in slot:
        last, error = slot["last"], -1
        absent = absent if last < absent else -1
    scale, offset = slot["scale"] * factor, slot["offset"] * factor
    saturates = mark == "saturates"
    return Signal(name, start_bit, slot["bits"], scale, offset, last, absent, error, saturates=saturates, spn=spn)


def _pack_signals(block: str, signals: tuple[Signal, ...]) -> tuple[Signal, ...]:
    """The signals of a pack in their places, those of the system as given."""
    left_out, moved = DIFFERENT.get(block, ("", {}))
    placed = [s._replace(start_bit=moved.get(s.name, s.start_bit)) for s in signals if s.name != left_out]
    return tuple(sorted(placed, key=lambda s: s.start_bit))


def _length(signals: tuple[Signal, ...]) -> int:
    return max(SHORTEST, max(s.start_bit + s.bits + 7 for s in signals) // 8)
