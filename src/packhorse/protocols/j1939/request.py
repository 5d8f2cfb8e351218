"""Asking another node for a parameter group (PGN 59904), and its answer when it has none to give (PGN 59392)."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from packhorse.protocols.j1939.identifier import GLOBAL, LAST_PGN, CanFrame, Message, join, pgn_bytes

REQUEST = 59904
ACKNOWLEDGEMENT = 59392
PRIORITY = 6


class Answer(IntEnum):
    """How a request was taken."""

    DONE = 0
    UNKNOWN = 1
    DENIED = 2
    BUSY = 3


class Acknowledgement(NamedTuple):
    """The answer to a request of one's own: by whom it was asked, for which parameter group."""

    answer: Answer
    address: int
    pgn: int


def request(pgn: int, source: int, destination: int = GLOBAL) -> CanFrame:
    """A request for a parameter group, to one node or to everyone."""
    return CanFrame(join(PRIORITY, REQUEST, destination, source), pgn_bytes(pgn))


def requested(message: Message) -> int | None:
    """The parameter group that a request asks for; None where it is no request or is malformed."""
    if message.pgn != REQUEST or len(message.data) < 3:
        return None
    pgn = int.from_bytes(message.data[:3], "little")
    return pgn if pgn <= LAST_PGN else None


def acknowledge(answer: Answer, pgn: int, source: int, asked_by: int) -> CanFrame:
    """The answer to a request; sent to everyone, with the asking node's address in it."""
    data = bytes([answer, 0xFF, 0xFF, 0xFF, asked_by]) + pgn_bytes(pgn)
    return CanFrame(join(PRIORITY, ACKNOWLEDGEMENT, GLOBAL, source), data)


def acknowledged(message: Message) -> Acknowledgement | None:
    """What an acknowledgement says; None where it is none or is malformed."""
    if message.pgn != ACKNOWLEDGEMENT or len(message.data) != 8 or message.data[0] > Answer.BUSY:
        return None
    pgn = int.from_bytes(message.data[5:8], "little")
    if pgn > LAST_PGN:
        return None
    return Acknowledgement(Answer(message.data[0]), message.data[4], pgn)
