"""Trouble codes: DM1 (active), DM2 (previously active), DM12 (emission-related), and clearing them (DM3, DM11).

DM3 and DM11 are requests for parameter groups that nobody sends; the answer is an acknowledgement. Source: layout as
in can-j1939 (MIT) and in frames recorded on trucks.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Mapping
from enum import IntEnum
from importlib import resources
from typing import NamedTuple

import numpy as np

from packhorse.pack.faults import fault_rows
from packhorse.pack.words import Array, Severity

DM1, DM2, DM3, DM11, DM12 = 65226, 65227, 65228, 65235, 65236
FIRST_OWN_SPN, LAST_OWN_SPN = 516096, 524287
"""SPNs that a manufacturer may give its own meaning."""
LAST_SPN, LAST_FMI = (1 << 19) - 1, 31
MOST_OCCURRENCES = 126
UNKNOWN_OCCURRENCES = 127
MOST_TROUBLES = 445
"""As many as fit into the longest message."""
SHORTEST = 8


class Lamp(IntEnum):
    """Whether a lamp is lit."""

    OFF = 0
    ON = 1
    ERROR = 2
    ABSENT = 3


class Flash(IntEnum):
    """How a lit lamp flashes."""

    SLOW = 0
    FAST = 1
    RESERVED = 2
    STEADY = 3


class Lamps(NamedTuple):
    """A code for each of the four lamps, a `Lamp` or a `Flash`; in the order of their bits."""

    protect: int
    amber: int
    red: int
    malfunction: int


DARK = Lamps(Lamp.OFF, Lamp.OFF, Lamp.OFF, Lamp.OFF)
STEADY = Lamps(Flash.STEADY, Flash.STEADY, Flash.STEADY, Flash.STEADY)


class Trouble(NamedTuple):
    """One trouble code: which parameter, how it fails, how often so far (127: not known).

    `conversion` 1 marks an SPN in one of three old bit orders that the code does not tell apart; it is read as if new.
    """

    spn: int
    fmi: int
    occurrences: int
    conversion: int = 0


class Diagnosis(NamedTuple):
    """What DM1, DM2 or DM12 says."""

    lamps: Lamps
    flashes: Lamps
    troubles: tuple[Trouble, ...]


class Recorded(NamedTuple):
    """Which of our faults are active and which have been, by their code in the fault table, and how often."""

    active: Mapping[int, int] = {}
    previous: Mapping[int, int] = {}


def encode(diagnosis: Diagnosis) -> bytes:
    """The bytes of a DM1, DM2 or DM12; with more troubles than a message carries, the first 445."""
    head = bytes([_lamp_byte(diagnosis.lamps), _lamp_byte(diagnosis.flashes)])
    if not diagnosis.troubles:
        return head + b"\x00\x00\x00\x00\xff\xff"
    body = b"".join(_trouble_bytes(trouble) for trouble in diagnosis.troubles[:MOST_TROUBLES])
    return (head + body).ljust(SHORTEST, b"\xff")


def decode(data: bytes) -> Diagnosis | None:
    """What a DM1, DM2 or DM12 says; None where it is too short or not made of whole trouble codes."""
    if len(data) < 6 or (len(data) != SHORTEST and (len(data) - 2) % 4):
        return None
    parts = (data[place : place + 4] for place in range(2, len(data) - 3, 4))
    troubles = tuple(_trouble(part) for part in parts if part not in {b"\x00" * 4, b"\xff" * 4})
    return Diagnosis(_lamps(data[0]), _lamps(data[1]), troubles)


def follow(recorded: Recorded, active: Array) -> Recorded:
    """Take in which faults are active now, (faults, strings): new ones count once more, gone ones become previous."""
    now = {int(code) for code in np.flatnonzero(active.max(axis=1, initial=0.0))}
    if now == recorded.active.keys():
        return recorded
    counts = {**recorded.previous, **recorded.active}
    raised = {code: min(counts.get(code, 0) + 1, MOST_OCCURRENCES) for code in now - recorded.active.keys()}
    return Recorded(
        active={code: raised.get(code, counts.get(code, 0)) for code in sorted(now)},
        previous={code: count for code, count in counts.items() if code not in now},
    )


def clear_active(recorded: Recorded) -> Recorded:
    """DM11: forget the active faults; what is still wrong comes back with the next step, as new."""
    return recorded._replace(active={})


def clear_previous(recorded: Recorded) -> Recorded:
    """DM3: forget the faults that are gone."""
    return recorded._replace(previous={})


def diagnosis(faults: Mapping[int, int], severity: Array, first_own_spn: int = FIRST_OWN_SPN) -> Diagnosis:
    """Our faults as trouble codes, with the lamps that the worst of them lights: amber, or red where it is critical."""
    worst = max((int(severity[code]) for code in faults), default=Severity.INFO)
    lamps = DARK._replace(
        amber=Lamp.ON if worst in {Severity.WARNING, Severity.SERIOUS} else Lamp.OFF,
        red=Lamp.ON if worst == Severity.CRITICAL else Lamp.OFF,
    )
    known = trouble_numbers(first_own_spn)
    return Diagnosis(lamps, STEADY, tuple(Trouble(*known[code], count) for code, count in faults.items()))


@functools.cache
def trouble_numbers(first_own_spn: int = FIRST_OWN_SPN) -> tuple[tuple[int, int], ...]:
    """SPN and FMI of every fault, by its code in the fault table."""
    table = tomllib.loads(resources.files(__package__).joinpath("faults.toml").read_text(encoding="utf-8"))
    rows = (table[row.name] for row in fault_rows())
    return tuple((row["spn"] if "spn" in row else first_own_spn + row["own"], row["fmi"]) for row in rows)


def _lamp_byte(lamps: Iterable[int]) -> int:
    return sum((lamp & 3) << 2 * place for place, lamp in enumerate(lamps))


def _lamps(byte: int) -> Lamps:
    return Lamps(*(byte >> 2 * place & 3 for place in range(4)))


def _trouble_bytes(trouble: Trouble) -> bytes:
    spn, fmi, occurrences, conversion = trouble
    high = (spn >> 16 & 0x7) << 5 | (fmi & LAST_FMI)
    return bytes([spn & 0xFF, spn >> 8 & 0xFF, high, (conversion & 1) << 7 | (occurrences & 0x7F)])


def _trouble(part: bytes) -> Trouble:
    low, middle, high, last = part
    return Trouble(low | middle << 8 | (high >> 5) << 16, high & LAST_FMI, last & 0x7F, last >> 7)
