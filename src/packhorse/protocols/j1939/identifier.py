"""The 29-bit identifier of J1939: priority, parameter group, destination, source."""

from __future__ import annotations

from typing import NamedTuple

GLOBAL = 0xFF
NULL = 0xFE
FIRST_BROADCAST_FORMAT = 240
LAST_IDENTIFIER = 0x1FFFFFFF
LAST_PGN = 0x3FFFF


class CanFrame(NamedTuple):
    """Bytes with a 29-bit identifier, as they are on the bus."""

    can_id: int
    data: bytes


class Identifier(NamedTuple):
    """What an identifier says; the PGN carries both page bits, and its low byte is 0 where a destination is named."""

    priority: int
    pgn: int
    destination: int  # GLOBAL for everyone
    source: int


class Message(NamedTuple):
    """A parameter group of any length from one node to another, or to everyone."""

    pgn: int
    source: int
    destination: int
    data: bytes
    priority: int = 6


def has_destination(pgn: int) -> bool:
    """Whether messages of this parameter group go to one node."""
    return pgn >> 8 & 0xFF < FIRST_BROADCAST_FORMAT


def split(can_id: int) -> Identifier:
    """An identifier taken apart."""
    pgn = can_id >> 8 & LAST_PGN
    priority, source = can_id >> 26 & 0x7, can_id & 0xFF
    if has_destination(pgn):
        return Identifier(priority, pgn & 0x3FF00, pgn & 0xFF, source)
    return Identifier(priority, pgn, GLOBAL, source)


def join(priority: int, pgn: int, destination: int, source: int) -> int:
    """The identifier that says this; the destination is left out where the parameter group has none."""
    place = pgn | destination if has_destination(pgn) else pgn
    return priority << 26 | place << 8 | source


def pgn_bytes(pgn: int) -> bytes:
    """A parameter group number as three bytes."""
    return pgn.to_bytes(3, "little")


def single(message: Message) -> CanFrame:
    """A message of up to 8 bytes as a frame."""
    return CanFrame(join(message.priority, message.pgn, message.destination, message.source), message.data)


def whole(frame: CanFrame) -> Message:
    """A frame as the message that it is when no transport session carries it."""
    priority, pgn, destination, source = split(frame.can_id)
    return Message(pgn, source, destination, frame.data, priority)


def is_sound(frame: CanFrame) -> bool:
    """Whether this can be a frame of J1939 at all."""
    return 0 <= frame.can_id <= LAST_IDENTIFIER and len(frame.data) <= 8
