"""ASC, the text log of Vector's tools.

    date Tue Nov 14 10:13:20 pm 2023
    base hex  timestamps absolute
       0.001000 1  18FEF100x       Rx   d 8 00 11 22 33 44 55 66 77
       0.002000 CANFD   1 Rx        123                                   1 0 9 12 00 11 ...

Times are seconds of the recording. Lines about anything else than frames are common and passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from packhorse.compiled import compiled, part
from packhorse.io.can_logs.scan import char, decimal, filled, line_end, possible, put, room, spaced, spaces, word
from packhorse.io.can_logs.scan import whole as number
from packhorse.io.can_logs.source import Findings, lines
from packhorse.protocols.frames import BRS, ERROR, ESI, EXTENDED, FD, REMOTE, SENT, Bytes, CanFrames

BASE = re.compile(rb"^\s*base\s+(hex|dec)(?:\s+timestamps\s+(absolute|relative))?", re.IGNORECASE | re.MULTILINE)
SMALL, X, E, R, D, T, C = 0x20, ord("x"), ord("e"), ord("r"), ord("d"), ord("t"), ord("c")
NOT_A_FRAME, IMPOSSIBLE = -1, -2


class Style(NamedTuple):
    """How a file writes: the base of its numbers, and whether each time counts from the line before."""

    base: int
    relative: bool


class Line(NamedTuple):
    """What a line says of a frame; `at` is where its payload begins, or NOT_A_FRAME."""

    bus: int
    id: int
    flags: int
    length: int
    at: int


def read(path: Path, findings: Findings) -> Iterator[CanFrames]:
    """The frames of an ASC log."""
    style, last_s = Style(16, relative=False), 0.0
    for number_of, content in enumerate(lines(path, findings)):
        if number_of == 0:
            style = style_of(content)
        text, frames = room(content)
        count, size, wrong, last_s = fill(text, style.base, style.relative, last_s, frames)
        findings["frames that cannot be"] += wrong
        yield filled(frames, count, size)


def style_of(content: bytes) -> Style:
    """How a file writes, by its first lines; hexadecimal and absolute where they do not say."""
    said = BASE.search(content[:4096])
    if said is None:
        return Style(16, relative=False)
    return Style(10 if said[1].lower() == b"dec" else 16, (said[2] or b"").lower() == b"relative")


@compiled
def fill(text: Bytes, base: int, relative: bool, last_s: float, frames: CanFrames) -> tuple[int, int, int, float]:
    """Frames of every line; gives how many, the length of their payloads, how many cannot be, and the last time."""
    count, size, wrong, at = 0, 0, 0, 0
    while at < text.size:
        end = line_end(text, at)
        begin = spaces(text, at, end)
        if begin < end and 48 <= char(text, begin) <= 57:
            time_s, stop = decimal(text, begin, end)
            if np.isfinite(time_s) and stop < end and spaces(text, stop, end) > stop:
                last_s = last_s + time_s if relative else time_s
                line = line_of(text, spaces(text, stop, end), end, base)
                if line.at >= 0:
                    length = spaced(text, line.at, end, base, line.length, frames.data, size)[0]
                    if length == line.length and possible(line.id, line.flags, length):
                        put(frames, count, last_s, line.id, line.flags, line.bus, length, size)
                        count, size = count + 1, size + length
                    else:
                        wrong += 1
                elif line.at == IMPOSSIBLE:
                    wrong += 1
        at = end + 1
    return count, size, wrong, last_s


NONE, CANNOT = Line(0, 0, 0, 0, NOT_A_FRAME), Line(0, 0, 0, 0, IMPOSSIBLE)


@part
def line_of(text: Bytes, at: int, end: int, base: int) -> Line:
    """A line behind its time."""
    stop = word(text, at, end)
    fd = stop - at == 5 and (char(text, at) | SMALL) == C and (char(text, stop - 1) | SMALL) == D
    if fd:
        at = spaces(text, stop, end)
        stop = word(text, at, end)
    bus, ended = number(text, at, end, 10)
    if bus < 0 or ended != stop:
        return NONE
    at = spaces(text, stop, end)
    sent = 0
    if fd:
        sent, at = direction(text, at, end)
    if is_error(text, at, end):
        return Line(bus - 1, 0, ERROR | (FD if fd else 0), 0, at)
    identifier, stop = number(text, at, end, base)
    extended = stop < end and (char(text, stop) | SMALL) == X
    stop += int(extended)
    if identifier < 0 or word(text, stop, end) != stop:
        return NONE
    flags = (EXTENDED if extended else 0) | sent
    at = spaces(text, stop, end)
    return (
        fd_line(text, at, end, bus - 1, identifier, flags)
        if fd
        else classic_line(text, at, end, base, bus - 1, identifier, flags)
    )


@part
def is_error(text: Bytes, at: int, end: int) -> bool:
    """Whether a word is `ErrorFrame`, the only one of this length that begins so."""
    return word(text, at, end) - at == 10 and (char(text, at) | SMALL) == E and (char(text, at + 1) | SMALL) == R


@part
def direction(text: Bytes, at: int, end: int) -> tuple[int, int]:
    """SENT where a frame was sent by the recorder (`Tx`), and where the next word begins."""
    stop = word(text, at, end)
    sent = stop - at == 2 and (char(text, at) | SMALL) == T
    return (SENT if sent else 0), spaces(text, stop, end)


@part
def classic_line(text: Bytes, at: int, end: int, base: int, bus: int, identifier: int, flags: int) -> Line:
    """Behind the identifier of a classic frame: direction, kind, length."""
    sent, at = direction(text, at, end)
    flags |= sent
    kind = (char(text, at) | SMALL) if at < end and word(text, at, end) == at + 1 else 0
    if kind == R:
        return Line(bus, identifier, flags | REMOTE, 0, at)
    if kind != D:
        return NONE
    length, stop = number(text, spaces(text, at + 1, end), end, base)
    if length < 0 or length > 15 or word(text, stop, end) != stop:
        return CANNOT
    return Line(bus, identifier, flags, min(length, 8), stop)


@part
def fd_line(text: Bytes, at: int, end: int, bus: int, identifier: int, flags: int) -> Line:
    """Behind the identifier of an FD frame: perhaps a name, then BRS, ESI, code and length."""
    stop = word(text, at, end)
    if not (stop - at == 1 and 48 <= char(text, at) <= 49):
        at = spaces(text, stop, end)
    brs, at = number(text, at, end, 10)
    esi, at = number(text, spaces(text, at, end), end, 10)
    code, at = number(text, spaces(text, at, end), end, 16)
    length, at = number(text, spaces(text, at, end), end, 10)
    if brs < 0 or esi < 0 or code < 0 or length < 0 or length > 64 or word(text, at, end) != at:
        return CANNOT
    return Line(bus, identifier, flags | FD | (BRS if brs else 0) | (ESI if esi else 0), length, at)
