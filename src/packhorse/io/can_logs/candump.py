"""Logs of candump, as `candump -L` writes them and as it prints with times.

(1700000000.000000) can0 18FEF100#0011223344556677 R
(1700000000.000000) can0 123##1001122                  CAN FD with its flags
(1700000000.000000)  can0  123   [3]  00 11 22
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from packhorse.compiled import compiled, part
from packhorse.io.can_logs.scan import (
    SPACE,
    char,
    decimal,
    digit_of,
    filled,
    line_end,
    packed_hex,
    possible,
    put,
    room,
    spaced,
    spaces,
    word,
)
from packhorse.io.can_logs.scan import whole as number
from packhorse.io.can_logs.source import Findings, lines
from packhorse.protocols.frames import BRS, ERROR, ESI, EXTENDED, FD, REMOTE, SENT, Bytes, CanFrames

OPEN, CLOSE, HASH, SQUARE, SQUARE_CLOSE, LOW = ord("("), ord(")"), ord("#"), ord("["), ord("]"), ord("_")
REMOTE_LETTER, SENT_LETTER, SMALL = ord("R"), ord("T"), 0x20
ERROR_BIT = 0x20000000


class Head(NamedTuple):
    """What stands before the payload; `at` is where that begins, -1 where the line is none of candump's."""

    time_s: float
    bus: int
    id: int
    flags: int
    at: int


def read(path: Path, findings: Findings) -> Iterator[CanFrames]:
    """The frames of a candump log; a line that is none is counted."""
    for content in lines(path, findings):
        text, frames = room(content)
        count, size, wrong = fill(text, frames)
        findings["lines that are no frame"] += wrong
        yield filled(frames, count, size)


@compiled
def fill(text: Bytes, frames: CanFrames) -> tuple[int, int, int]:
    """Frames of every line; gives how many, how long their payloads are, and how many lines were none."""
    count, size, wrong, at = 0, 0, 0, 0
    while at < text.size:
        end = line_end(text, at)
        begin = spaces(text, at, end)
        if begin < end:
            head = head_of(text, begin, end)
            length = payload_of(text, head, end, frames.data, size) if head.at >= 0 else -1
            if length < 0 or not possible(head.id, head.flags, length):
                wrong += 1
            else:
                put(frames, count, head.time_s, head.id, head.flags, head.bus, length, size)
                count, size = count + 1, size + length
        at = end + 1
    return count, size, wrong


NOT_ONE = Head(np.nan, 0, 0, 0, -1)


@part
def head_of(text: Bytes, at: int, end: int) -> Head:
    """Time, bus, identifier and flags of a line."""
    if char(text, at) != OPEN:
        return NOT_ONE
    time_s, at = decimal(text, at + 1, end)
    if not np.isfinite(time_s) or at >= end or char(text, at) != CLOSE:
        return NOT_ONE
    at = spaces(text, at + 1, end)
    stop = word(text, at, end)
    digits = stop
    while digits > at and 48 <= char(text, digits - 1) <= 57 and stop - digits < 3:
        digits -= 1
    bus = max(number(text, digits, stop, 10)[0], 0)
    at = spaces(text, stop, end)
    identifier, stop = number(text, at, end, 16)
    if identifier < 0 or identifier > 0xFFFFFFFF or (stop - at not in (3, 8)):
        return NOT_ONE
    flags = EXTENDED if stop - at == 8 else 0
    if flags and identifier & ERROR_BIT:
        flags |= ERROR
        identifier &= 0x1FFFFFFF
    return body_of(text, stop, end, Head(time_s, bus, identifier, flags, -1))


@part
def body_of(text: Bytes, at: int, end: int, head: Head) -> Head:
    """What stands between identifier and payload: # or ## or R of the short form, or the length of the long one."""
    flags = head.flags
    if at >= end or char(text, at) != HASH:
        at = spaces(text, at, end)
        return Head(head.time_s, head.bus, head.id, flags, at if at < end and char(text, at) == SQUARE else -1)
    if at + 1 < end and char(text, at + 1) == HASH:
        bits = digit_of(text, at + 2) if at + 2 < end else 255
        flags |= FD | (BRS if bits & 1 else 0) | (ESI if bits & 2 else 0)
        return Head(head.time_s, head.bus, head.id, flags | sent(text, end), at + 3 if bits < 16 else -1)
    remote = at + 1 < end and (char(text, at + 1) | SMALL) == (REMOTE_LETTER | SMALL)
    flags |= (REMOTE if remote else 0) | sent(text, end)
    return Head(head.time_s, head.bus, head.id, flags, at + 1)


@part
def sent(text: Bytes, end: int) -> int:
    """Whether the line ends in the mark of a frame that the recorder sent."""
    at = end - 1
    while char(text, at) <= SPACE:
        at -= 1
    return SENT if char(text, at) == SENT_LETTER and char(text, at - 1) <= SPACE else 0


@part
def payload_of(text: Bytes, head: Head, end: int, data: Bytes, to: int) -> int:
    """Put the payload of a line into its place; gives its length, -1 where it is none."""
    at = head.at
    if head.flags & REMOTE:
        return 0
    if at < end and char(text, at) == SQUARE:
        told, at = number(text, at + 1, end, 10)
        if told < 0 or told > 64 or at >= end or char(text, at) != SQUARE_CLOSE:
            return -1
        length, at = spaced(text, at + 1, end, 16, told, data, to)
        return length if length == told else -1
    length, at = packed_hex(text, at, end, data, to)
    return length if at >= end or char(text, at) <= SPACE or char(text, at) == LOW else -1
