"""The DBC of our own node and of its boards, for any tool that reads one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from packhorse.protocols import boards
from packhorse.protocols.boards import Row
from packhorse.protocols.j1939.hvess import system_layouts
from packhorse.protocols.j1939.identifier import GLOBAL, NULL, join
from packhorse.protocols.j1939.settings import Settings
from packhorse.protocols.j1939.spoken import spoken
from packhorse.protocols.j1939.vehicle import SOURCES
from packhorse.protocols.signal import Signal

EXTENDED = 0x80000000
UNITS = {
    "V", "A", "W", "degC", "kWh", "Ah", "ohm", "s", "m", "kPa", "kg", "ohm_per_V", "m_per_s", "deg", "l_per_min", "Hz",
    "deg_per_s", "rpm", "l",
}  # fmt: skip
"""Endings of names that are units."""
BATTERY, VEHICLE = "Battery", "Vehicle"
CONTROL = "HVESSC1"
HEAD = """VERSION ""

NS_ :

BS_:

"""
ATTRIBUTES = """BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN","reserved","J1939PG";
BA_DEF_ BO_ "GenMsgCycleTime" INT 0 3600000;
BA_DEF_ SG_ "SPN" INT 0 524287;
BA_DEF_ "ProtocolType" STRING ;
BA_DEF_DEF_ "VFrameFormat" "J1939PG";
BA_DEF_DEF_ "GenMsgCycleTime" 0;
BA_DEF_DEF_ "SPN" 0;
BA_DEF_DEF_ "ProtocolType" "J1939";
BA_ "ProtocolType" "J1939";
"""


class Described(NamedTuple):
    """A message as a DBC has it."""

    can_id: int
    name: str
    length: int
    sender: str
    period_s: float
    signals: tuple[Signal, ...]


def node_dbc(settings: Settings, strings: int, series: int, probes: int) -> str:
    """The file: what a pack says as a node and listens to, what its boards say and are asked. Raises ValueError."""
    messages = [*own(settings, strings), *of_vehicle(), *of_boards(settings, strings, series, probes)]
    senders = dict.fromkeys(message.sender for message in messages)
    parts = [HEAD, f"BU_: {' '.join(senders)}\n\n", *map(_message, messages), ATTRIBUTES]
    parts += [line for message in messages for line in _attributes(message)]
    parts += [line for message in messages for line in _special_codes(message)]
    return "".join(parts)


def own(settings: Settings, strings: int) -> Iterator[Described]:
    """Our messages of J1939."""
    for name, said in spoken(settings, strings).items():
        layout = said.layout
        priority = 3 if 0.0 < layout.period_s <= 0.1 else 6
        can_id = join(priority, layout.pgn, GLOBAL, settings.address)
        yield Described(can_id, name, layout.length, BATTERY, layout.period_s, layout.signals)


def of_vehicle() -> Iterator[Described]:
    """The messages of the vehicle that we listen to, from whatever address."""
    for name in dict.fromkeys((CONTROL, *(source.message for source in SOURCES))):
        layout = system_layouts()[name]
        can_id = join(3 if 0.0 < layout.period_s <= 0.1 else 6, layout.pgn, GLOBAL, NULL)
        yield Described(can_id, name, layout.length, VEHICLE, layout.period_s, layout.signals)


def of_boards(settings: Settings, strings: int, series: int, probes: int) -> Iterator[Described]:
    """The messages between the battery and its boards."""
    period_s = boards.table()["period_s"]
    for wire in (boards.readings(strings, series, probes), boards.commands(strings, series)):
        for row in wire.rows:
            source = settings.address if row.source is None else row.source
            can_id = join(boards.PRIORITY, row.pgn, GLOBAL, source)
            yield Described(can_id, row.name, boards.BYTES, _sender(row), period_s, boards.signals_of(row))


def unit(name: str) -> str:
    """The unit that a name ends in, or nothing; a number may follow it."""
    bare = re.sub(r"_\d+$", "", name)
    found = [unit for unit in UNITS if bare.endswith(f"_{unit}")]
    return max(found, key=len).replace("_per_", "/") if found else ""


def _sender(row: Row) -> str:
    if row.source is None:
        return BATTERY
    return f"Board_{row.string + 1}" if row.string >= 0 else f"Node_{row.source}"


def _message(message: Described) -> str:
    lines = [f"BO_ {message.can_id | EXTENDED} {message.name}: {message.length} {message.sender}"]
    for s in message.signals:
        low = -(1 << s.bits - 1) + 1 if s.signed else 0
        least, most = (float(code * s.scale + s.offset) for code in (low, s.last))
        kind = "-" if s.signed else "+"
        place = f"{s.start_bit}|{s.bits}@1{kind} ({s.scale!r},{s.offset!r}) [{least!r}|{most!r}]"
        lines.append(f' SG_ {s.name} : {place} "{unit(s.name)}" Vector__XXX')
    return "\n".join(lines) + "\n\n"


def _attributes(message: Described) -> Iterator[str]:
    can_id = message.can_id | EXTENDED
    if message.period_s > 0.0:
        yield f'BA_ "GenMsgCycleTime" BO_ {can_id} {round(1000.0 * message.period_s)};\n'
    for s in message.signals:
        if s.spn > 0:
            yield f'BA_ "SPN" SG_ {can_id} {s.name} {s.spn};\n'


def _special_codes(message: Described) -> Iterator[str]:
    """What the codes say that are no value."""
    for s in message.signals:
        said = [(s.error, "error"), (s.absent, "not available")]
        signed = [
            (code - (1 << s.bits) if s.signed and code >> s.bits - 1 else code, what)
            for code, what in said
            if code >= 0
        ]
        if signed:
            values = " ".join(f'{code} "{what}"' for code, what in dict(signed).items())
            yield f"VAL_ {message.can_id | EXTENDED} {s.name} {values} ;\n"
