"""One number in the bytes of a message: where it lies, what a code of it means, and the codes that are no value."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple


class Meaning(IntEnum):
    """What a code on the bus is."""

    VALUE = 0
    ABSENT = 1  # not available
    ERROR = 2
    RESERVED = 3


class Signal(NamedTuple):
    """A number of up to 64 bits, little-endian, bit 0 the lowest of the first byte; value = code * scale + offset.

    Codes up to `last` are values; `absent` and `error` are the codes to send for these, -1 where there is none.
    """

    name: str
    start_bit: int
    bits: int
    scale: float
    offset: float
    last: int
    absent: int
    error: int
    signed: bool = False
    saturates: bool = False  # beyond the range the end of it is sent, not the error
    spn: int = 0


def special_codes(bits: int) -> tuple[int, int, int]:
    """Last value, "not available" and "error" of a J1939 number of that width.

    From 8 bits on the highest byte decides: up to 0xFA a value, 0xFE error, 0xFF not available. The two codes of
    two and four bits are the usual ones; three and five bits have "not available" alone, one bit has neither.
    """
    ones = (1 << bits) - 1
    if bits >= 8:
        return (0xFB << (bits - 8)) - 1, ones, 0xFE << (bits - 8)
    if bits in {2, 4}:
        return ones - 2, ones, ones - 1
    return (ones - 1, ones, -1) if bits > 1 else (ones, -1, -1)


def code(signal: Signal, value: float) -> int:
    """The code nearest to a value; NaN is "not available".

    Beyond the range it is the nearest end where the signal saturates, otherwise "error", never a wrapped number.
    """
    lowest = -(1 << (signal.bits - 1)) + 1 if signal.signed else 0
    if math.isnan(value):
        return absent_code(signal)
    count = (value - signal.offset) / signal.scale
    if not lowest - 0.5 <= count <= signal.last + 0.5:
        if not signal.saturates:
            return error_code(signal)
        count = min(max(count, lowest), signal.last)
    return min(max(round(count), lowest), signal.last) % (1 << signal.bits)


def absent_code(signal: Signal) -> int:
    """The code for "not available"; where there is none, all ones as in an unused place, or 0 for a single bit."""
    unused = (1 << signal.bits) - 1 if signal.bits > 1 else 0
    return signal.absent if signal.absent >= 0 else unused


def error_code(signal: Signal) -> int:
    """The code for "error", or the one for "not available" where there is none."""
    return signal.error if signal.error >= 0 else absent_code(signal)


def meaning(signal: Signal, raw: int) -> Meaning:
    """What a code is; from 8 bits on the whole byte range 0xFE.. is an error and 0xFF.. not available."""
    if raw == signal.absent:
        return Meaning.ABSENT
    if signal.signed or raw <= signal.last:
        return Meaning.VALUE
    if raw == signal.error:
        return Meaning.ERROR
    top = raw >> (signal.bits - 8) if signal.bits >= 8 else 0
    return {0xFF: Meaning.ABSENT, 0xFE: Meaning.ERROR}.get(top, Meaning.RESERVED)


def value(signal: Signal, raw: int) -> float:
    """What a code says, NaN where it is no value."""
    if meaning(signal, raw) is not Meaning.VALUE:
        return math.nan
    wrapped = signal.signed and raw >> (signal.bits - 1)
    return (raw - (1 << signal.bits) if wrapped else raw) * signal.scale + signal.offset


def cut(signal: Signal, data: bytes) -> int | None:
    """The code of a signal in a message, None where the message ends before it does."""
    if signal.start_bit + signal.bits > 8 * len(data):
        return None
    return int.from_bytes(data, "little") >> signal.start_bit & ((1 << signal.bits) - 1)
