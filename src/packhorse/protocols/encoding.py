"""Columns of signals to frames: the way back of `decoding.py`, by the same tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from packhorse.compiled import compiled, part
from packhorse.pack.words import Array, Index
from packhorse.protocols import plan as plans
from packhorse.protocols.decoding import ALL, ONE, bits_of, checksum
from packhorse.protocols.frames import EXTENDED, Bytes, CanFrames, from_rows
from packhorse.protocols.plan import (
    BITS,
    CHECK,
    CHECK_BYTE,
    COUNT,
    COUNTER_BITS,
    COUNTER_START,
    COUNTER_TOP,
    FIRST,
    FIRST_BYTE,
    FIRST_RANGE,
    J1939,
    KIND,
    LAST_BYTE,
    LENGTH,
    LIMIT,
    MOTOROLA,
    RANGES,
    SELECTOR,
    WINDOW_SHIFT,
    Plan,
    Tables,
)

UNSIGNED, SIGNED, FLOAT32 = int(plans.Kind.UNSIGNED), int(plans.Kind.SIGNED), int(plans.Kind.FLOAT32)
NO_CHECK = int(plans.Check.NONE)
TWO_63, TWO_64 = 2.0**63, 2.0**64


def encode(
    plan: Plan, message: str, values: dict[str, Array], time_s: Array, *, sender: int = -1, counter: int = 0
) -> CanFrames:
    """Frames of one message, one for each time; `counter` is the first value of its message counter.

    In J1939 a signal that is NaN or not given is written as not available, and one beyond its range as an error.
    Elsewhere raises ValueError for either; what a multiplexer does not select may be NaN.
    """
    number = next((k for k, m in enumerate(plan.messages) if m.name == message), -1)
    if number < 0:
        raise ValueError(f"no message {message}; the plan has {', '.join(m.name for m in plan.messages[:6])} ...")
    described = plan.messages[number]
    unknown = sorted(set(values) - {signal.name for signal in described.signals})
    if unknown:
        raise ValueError(f"message {message} has no signal {unknown[0]}; leave it out")
    blank = np.full(time_s.size, np.nan)
    table = np.array([values.get(s.name, blank) for s in described.signals], dtype=np.float64)
    table = table.reshape(len(described.signals), time_s.size)
    payload, wrong = put_together(plan.tables, number, table, counter)
    if wrong[0] >= 0:
        name, value = described.signals[wrong[0]].name, table[wrong[0], wrong[1]]
        raise ValueError(f"signal {message}.{name} cannot be {value:g} in row {wrong[1]}; give a value in its range")
    identifier = described.id if sender < 0 else described.id & 0x1FFFFF00 | sender
    ids = np.full(time_s.size, identifier, dtype=np.uint32)
    return from_rows(time_s, ids, payload, flags=EXTENDED if described.extended else 0)


@compiled
def put_together(tables: Tables, m: int, values: Array, counter: int) -> tuple[Bytes, tuple[int, int]]:
    """Payloads (frames, bytes) of one message from its signals (signals, frames), and the first value that is wrong."""
    rule, first, count = tables.message[m], tables.message[m, FIRST], tables.message[m, COUNT]
    fill = 0xFF if rule[J1939] else 0
    payloads = np.full((values.shape[1], rule[LENGTH]), fill, np.uint8)
    for row in range(values.shape[1]):
        payload = payloads[row]
        for selectors in (True, False):
            for s in range(first, first + count):
                if selects(tables, s) != selectors or not meant(tables, s, first, values[:, row]):
                    continue
                raw, sound = raw_of(tables, s, values[s - first, row], rule[J1939] != 0)
                if not sound:
                    return payloads, (s - first, row)
                write(tables.signal[s], payload, raw)
        if rule[COUNTER_START] >= 0:
            count_up(rule, payload, counter + row)
        if rule[CHECK] != NO_CHECK and rule[CHECK_BYTE] < payload.size:
            payload[rule[CHECK_BYTE]] = checksum(rule, payload)
    return payloads, (-1, -1)


@part
def selects(tables: Tables, s: int) -> bool:
    """Whether any signal is selected by this one."""
    for other in range(tables.signal.shape[0]):  # noqa: SIM110 - compiled code knows no generators
        if tables.signal[other, SELECTOR] == s:
            return True
    return False


@part
def meant(tables: Tables, s: int, first: int, values: Array) -> bool:
    """Whether the multiplexers, as they will be written, select a signal."""
    while tables.signal[s, SELECTOR] >= 0:
        selector = tables.signal[s, SELECTOR]
        raw = np.int64(raw_of(tables, selector, values[selector - first], False)[0])
        inside = False
        for r in range(tables.signal[s, FIRST_RANGE], tables.signal[s, FIRST_RANGE] + tables.signal[s, RANGES]):
            inside = inside or (tables.selected[r, 0] <= raw <= tables.selected[r, 1])
        if not inside:
            return False
        s = selector
    return True


@part
def raw_of(tables: Tables, s: int, value: float, j1939: bool) -> tuple[np.uint64, bool]:
    """Raw bits of a value, and whether it can be said at all."""
    signal, bits = tables.signal[s], np.uint64(tables.signal[s, BITS])
    mask = ALL >> (np.uint64(64) - bits)
    scaled = (value - tables.linear[s, 1]) / tables.linear[s, 0]
    if signal[KIND] > SIGNED:
        return float_bits(signal[KIND], scaled), True
    if not np.isfinite(value):
        return (mask if signal[BITS] > 1 else np.uint64(0)), j1939
    whole = np.rint(scaled)
    if signal[KIND] == SIGNED:
        half = TWO_63 / 2.0 ** (64 - signal[BITS])
        sound = -half <= whole < half
        return (np.uint64(np.int64(whole)) & mask if sound else np.uint64(0)), sound
    limit = np.uint64(signal[LIMIT]) & mask
    if not (whole >= 0.0 and whole < TWO_64 and whole <= np.float64(limit)):
        return error_code(bits, mask), j1939
    return min(np.uint64(whole), limit), True


@part
def error_code(bits: np.uint64, mask: np.uint64) -> np.uint64:
    """How J1939 says that a reading is wrong: 0xFE in the uppermost byte, or all bits but the lowest of two or four.

    Other short fields have no such code: not available says the least wrong, and a single bit is left 0.
    """
    if bits >= np.uint64(8):
        return mask - (ONE << (bits - np.uint64(8)))
    if bits == np.uint64(2) or bits == np.uint64(4):
        return mask - ONE
    return mask if bits > ONE else np.uint64(0)


@part
def float_bits(kind: int, value: float) -> np.uint64:
    """A float as the word that holds it."""
    if kind == FLOAT32:
        return np.uint64(np.float32(value).view(np.uint32))
    return np.float64(value).view(np.uint64)


@part
def write(signal: Index, payload: Bytes, raw: np.uint64) -> None:
    """Put the bits of a signal into a payload, and leave those around it."""
    first, last, shift = signal[FIRST_BYTE], signal[LAST_BYTE], signal[WINDOW_SHIFT]
    for bit in range(signal[BITS]):
        at = shift + bit
        byte = last - at // 8 if signal[MOTOROLA] else first + at // 8
        one = np.uint8(1 << (at % 8))
        if (raw >> np.uint64(bit)) & ONE:
            payload[byte] |= one
        else:
            payload[byte] &= np.uint8(0xFF) ^ one


@part
def count_up(rule: Index, payload: Bytes, counter: int) -> None:
    """Write the message counter."""
    now = counter % (rule[COUNTER_TOP] + 1)
    for bit in range(rule[COUNTER_BITS]):
        at = rule[COUNTER_START] + bit
        if at // 8 < payload.size:
            one = np.uint8(1 << (at % 8))
            payload[at // 8] = payload[at // 8] | one if (now >> bit) & 1 else payload[at // 8] & (np.uint8(0xFF) ^ one)


def raw_bits(plan: Plan, name: str, payload: Bytes) -> int:
    """The raw bits of one signal of one payload, as they stand there."""
    return int(_raw_bits(plan.tables.signal[plan.signals[name]], payload))


@compiled
def _raw_bits(signal: Index, payload: NDArray[np.uint8]) -> np.uint64:
    return bits_of(signal, payload)
