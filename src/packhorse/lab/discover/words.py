"""The words of discovery: fields of a bus, what they may mean, and why."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.pack.words import Array
from packhorse.protocols.frames import Bytes


class Role(IntEnum):
    """What a byte of a message does when it is no part of a reading."""

    DATA, CONSTANT, COUNTER, CHECKSUM = range(4)


class Stream(NamedTuple):
    """Frames of one identifier, thinned by chance; the first `whole` of them follow each other without a gap."""

    bus: int
    id: int
    extended: bool
    time_s: Array  # (frames,)
    data: Bytes  # (frames, bytes)
    whole: int
    heard: int  # frames in the log


class Selector(NamedTuple):
    """The byte of a message that says which of several fields it carries."""

    start: int
    bits: int


class Field(NamedTuple):
    """Some bits of a message, `start` as in a DBC; `turn` is the selector's value, -1 without a selector."""

    stream: int
    start: int
    bits: int
    motorola: bool
    signed: bool = False
    selector: Selector = Selector(-1, 0)
    turn: int = -1


class Unit(NamedTuple):
    """A field and its readings."""

    field: Field
    time_s: Array
    raw: Array


class Kind(IntEnum):
    """What a field may mean."""

    CELL, PACK, CURRENT, SOC, PROBE = range(5)


class Evidence(NamedTuple):
    """Two series that should agree if a proposal is right, and how well they do."""

    said: str
    label_x: str
    label_y: str
    x: Array
    y: Array


class Proposal(NamedTuple):
    """What a field, or several alike, may be: value = raw * scale + offset.

    Confidence is 0 to 1: that all of it is right, and that at least the place is, whatever scale and offset are.
    """

    kind: Kind
    fields: tuple[Field, ...]
    scale: float
    offset: float
    unit: str
    confidence: float
    place_confidence: float
    said: tuple[str, ...]  # why so much, and why no more
    value: Array  # (fields, times) on the common clock; NaN where nothing was heard
    evidence: tuple[Evidence, ...] = ()


class Found(NamedTuple):
    """Everything that was found on a bus."""

    streams: tuple[Stream, ...]
    roles: tuple[NDArray[np.int64], ...]  # a `Role` for each byte of each stream
    clock_s: Array  # (times,) since the first frame
    proposals: tuple[Proposal, ...]
    missing: tuple[str, ...]  # what could not be found, and why
    known: tuple[str, ...] = ()  # messages that our table of J1939 knows


def positions(field: Field) -> set[int]:
    """Which bits of a message a field takes, as Intel counts them."""
    if not field.motorola:
        return set(range(field.start, field.start + field.bits))
    found, at = set(), field.start
    for _ in range(field.bits):
        found.add(at)
        at = at - 1 if at % 8 else at + 15
    return found


def overlap(one: Field, other: Field) -> bool:
    """Whether two fields share bits."""
    return (one.stream, one.turn) == (other.stream, other.turn) and bool(positions(one) & positions(other))
