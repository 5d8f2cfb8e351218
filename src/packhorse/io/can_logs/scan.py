"""What the text formats share: numbers out of bytes, compiled, and the frames that are being filled.

A scanner takes where to begin and where the line ends, and gives what it found and where it stopped; -1 for nothing.
"""

from __future__ import annotations

import numpy as np

from packhorse.compiled import part
from packhorse.pack.words import Array
from packhorse.protocols.frames import EXTENDED, FD, Bytes, CanFrames

SPACE, TAB, RETURN, NEWLINE, POINT, MINUS = 32, 9, 13, 10, 46, 45
MOST_DIGITS = 18
TENS: Array = np.power(10.0, np.arange(19), dtype=np.float64)
DIGITS: Bytes = np.full(256, 255, dtype=np.uint8)
DIGITS[48:58], DIGITS[65:71], DIGITS[97:103] = np.arange(10), np.arange(10, 16), np.arange(10, 16)


def room(content: bytes) -> tuple[Bytes, CanFrames]:
    """The bytes of some lines, and room for the frame that each may hold."""
    buffer = np.frombuffer(content, dtype=np.uint8)
    most = int(np.count_nonzero(buffer == NEWLINE)) + 1
    return buffer, CanFrames(
        np.empty(most, np.float64),
        np.empty(most, np.uint32),
        np.empty(most, np.uint8),
        np.empty(most, np.uint8),
        np.empty(most, np.uint16),
        np.empty(most, np.int64),
        np.empty(buffer.size + 64, np.uint8),
    )


def filled(frames: CanFrames, count: int, size: int) -> CanFrames:
    """The first frames of a room, and their payload."""
    return CanFrames(
        frames.time_s[:count],
        frames.id[:count],
        frames.flags[:count],
        frames.bus[:count],
        frames.length[:count],
        frames.start[:count],
        frames.data[:size],
    )


@part
def line_end(text: Bytes, at: int) -> int:
    """Where the line that begins at `at` ends."""
    while at < text.size and char(text, at) != NEWLINE:
        at += 1
    return at


@part
def spaces(text: Bytes, at: int, end: int) -> int:
    """The next place that is no space."""
    while at < end and (char(text, at) == SPACE or char(text, at) == TAB or char(text, at) == RETURN):
        at += 1
    return at


@part
def word(text: Bytes, at: int, end: int) -> int:
    """Where a word ends."""
    while at < end and char(text, at) != SPACE and char(text, at) != TAB and char(text, at) != RETURN:
        at += 1
    return at


@part
def char(text: Bytes, at: int) -> int:
    """A character; its place is unsigned, which spares a branch, as none counts from the end."""
    return np.int64(text[np.uint64(at)])  # type: ignore[return-value]


@part
def digit_of(text: Bytes, at: int) -> int:
    """A digit as a number; 255 for none."""
    return np.int64(DIGITS[text[np.uint64(at)]])  # type: ignore[return-value]


@part
def whole(text: Bytes, at: int, end: int, base: int) -> tuple[int, int]:
    """A whole number and where it ends; -1 where there is no digit or more than a number can have."""
    value, begin = 0, at
    while at < end and digit_of(text, at) < base:
        value = value * base + digit_of(text, at)
        at += 1
        if at - begin > 15:
            return -1, at
    return (value if at > begin else -1), at


@part
def decimal(text: Bytes, at: int, end: int) -> tuple[float, int]:
    """A number with a point, and where it ends; NaN where there is none. Exact up to 15 digits, then to one bit."""
    negative = at < end and char(text, at) == MINUS
    at += int(negative)
    value, digits, behind, pointed = 0, 0, 0, False
    while at < end:
        digit = digit_of(text, at)
        if digit < 10:
            if digits < MOST_DIGITS:
                value, behind = value * 10 + digit, behind + int(pointed)
            elif not pointed:
                return np.nan, at
            digits += int(digits > 0 or digit > 0 or pointed)
        elif char(text, at) == POINT and not pointed:
            pointed = True
        else:
            break
        at += 1
    begun = at > 0 and (digit_of(text, at - 1) < 10 or pointed)
    number = np.float64(value) / TENS[behind]
    return ((-number if negative else number) if begun else np.nan), at


@part
def packed_hex(text: Bytes, at: int, end: int, data: Bytes, to: int) -> tuple[int, int]:
    """Bytes as pairs of hex digits without anything between, at most 64; how many, and where they end."""
    count = 0
    while at + 1 < end and count < 64 and digit_of(text, at) < 16 and digit_of(text, at + 1) < 16:
        data[to + count] = digit_of(text, at) << 4 | digit_of(text, at + 1)
        at, count = at + 2, count + 1
    return count, at


@part
def spaced(text: Bytes, at: int, end: int, base: int, most: int, data: Bytes, to: int) -> tuple[int, int]:
    """Up to `most` bytes with spaces between; how many, and where they end."""
    count = 0
    while count < most:
        value, stop = whole(text, spaces(text, at, end), end, base)
        if value < 0 or value > 255 or (stop < end and word(text, stop, end) != stop):
            break
        data[to + count] = value
        at, count = stop, count + 1
    return count, at


@part
def possible(identifier: int, flags: int, count: int) -> bool:
    """Whether there can be such a frame."""
    highest = 0x1FFFFFFF if flags & EXTENDED else 0x7FF
    return 0 <= identifier <= highest and count <= (64 if flags & FD else 8)


@part
def put(
    frames: CanFrames, k: int, time_s: float, identifier: int, flags: int, bus: int, count: int, start: int
) -> None:
    """Write one frame; its payload is there already."""
    frames.time_s[k], frames.id[k], frames.flags[k] = time_s, identifier, flags
    frames.bus[k], frames.length[k], frames.start[k] = bus & 0xFF, count, start
