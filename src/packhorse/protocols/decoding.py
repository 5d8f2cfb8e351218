"""Frames to columns of signals, in one compiled pass: tell the message, gather its frames, take its signals apart.

What is no reading becomes NaN and is counted: a frame too short for a signal, a J1939 code for error or not
available. A multiplexed signal is NaN where another one is sent in its place. Frames with a wrong checksum are
dropped and counted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.compiled import compiled, kernel, part
from packhorse.pack.words import Array, Index
from packhorse.protocols import plan as plans
from packhorse.protocols.frames import ERROR, EXTENDED, REMOTE, Bytes, CanFrames
from packhorse.protocols.plan import (
    BITS,
    CHECK,
    CHECK_BYTE,
    COUNT,
    EXACT,
    FIRST,
    FIRST_BYTE,
    FIRST_RANGE,
    GROUP,
    INIT,
    KIND,
    LAST_BYTE,
    LIMIT,
    MOTOROLA,
    OWNER,
    PLAIN,
    POLYNOMIAL,
    PREFIX,
    RANGES,
    SELECTOR,
    SENDER,
    SHIFT,
    SLOT_SHIFT,
    SPREAD,
    WINDOW_SHIFT,
    XOR,
    Plan,
    Tables,
)

UNSIGNED, SIGNED, FLOAT32 = int(plans.Kind.UNSIGNED), int(plans.Kind.SIGNED), int(plans.Kind.FLOAT32)
NO_CHECK, CRC8, XOR8 = int(plans.Check.NONE), int(plans.Check.CRC8), int(plans.Check.XOR8)
UNKNOWN, CORRUPT = -1, -2
"""What `which` says of a frame that no message of the plan fits, and of one whose checksum is wrong."""
FEW = 32
"""Fewer rows of a message than this are not worth a call for each of its signals."""
NOT_DATA = REMOTE | ERROR
ALL, ONE, EIGHT = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(1), np.uint64(8)
Words = NDArray[np.uint64]


class Decoded(NamedTuple):
    """Signals of a batch; message by message, the rows of each in the order in which its frames came."""

    which: NDArray[np.int32]  # (frames,) message of each frame, or UNKNOWN or CORRUPT
    first: Index  # (messages + 1,) where the rows of each message begin
    frame: Index  # (rows,) which frame a row came from
    heard_s: Array  # (frames,) when each frame came
    place: Index  # (signals + 1,) where the values of each signal begin
    values: Array  # signal by signal, one value for each row of its message
    none: Index  # (signals, 2) how many were too short, and how many a code for no reading


class Column(NamedTuple):
    """One signal over time."""

    time_s: Array
    values: Array
    frame: Index


def column(plan: Plan, decoded: Decoded, name: str) -> Column:
    """A signal by its name, `Message.Signal`; a multiplexed one only where it has a value."""
    row = plan.signals[name]
    begin, end = decoded.first[plan.tables.signal[row, OWNER] :][:2]
    values = decoded.values[decoded.place[row] : decoded.place[row + 1]]
    found = Column(decoded.heard_s[decoded.frame[begin:end]], values, decoded.frame[begin:end])
    if plan.tables.signal[row, SELECTOR] >= 0:
        there = ~np.isnan(values)
        return Column(found.time_s[there], values[there], found.frame[there])
    return found


def decode(plan: Plan, frames: CanFrames) -> Decoded:
    """Every signal of every frame that the plan knows."""
    return take_apart(plan.tables, frames)


@compiled
def take_apart(tables: Tables, frames: CanFrames) -> Decoded:
    """`decode` for compiled code, and for a loop that cannot spare a microsecond."""
    which, first = classify(tables, frames)
    rows = first[-1]
    frame, words = np.empty(rows, np.int64), np.empty(rows, np.uint64)
    least = np.full(first.size - 1, 65536, np.int64)
    gather(frames, which, first[:-1].copy(), frame, words, least)
    signals = tables.signal.shape[0]
    place, none = np.zeros(signals + 1, np.int64), np.zeros((signals, 2), np.int64)
    for s in range(signals):
        owner = tables.signal[s, OWNER]
        place[s + 1] = place[s] + first[owner + 1] - first[owner]
    values = np.empty(place[-1], np.float64)
    convert_few(tables, first, least, words, place, values, none)
    for m in range(first.size - 1):
        begin, end = first[m], first[m + 1]
        for s in range(tables.message[m, FIRST], tables.message[m, FIRST] + tables.message[m, COUNT]):
            if tables.signal[s, PLAIN] == 0 or tables.signal[s, LAST_BYTE] >= least[m]:
                convert_any(tables, s, frames, frame[begin:end], values[place[s] : place[s + 1]], none[s])
            elif end - begin >= FEW:
                none[s, 1] = convert(
                    tables.signal[s], tables.linear[s], words[begin:end], values[place[s] : place[s + 1]]
                )
    return Decoded(which, first, frame, frames.time_s, place, values, none)


@part
def find(tables: Tables, identifier: np.uint32, extended: bool) -> int:
    """The message that an identifier belongs to, or UNKNOWN."""
    word = np.uint64(identifier)
    if tables.probes[EXACT]:
        found = look_up(tables, np.uint64(EXACT << 40) | np.uint64(extended) << np.uint64(32) | word)
        if found >= 0 or not extended:
            return found
    if not extended:
        return UNKNOWN
    group = (word >> EIGHT) & plans.PAGE
    group = group if (group & np.uint64(0xFF00)) >= np.uint64(0xF000) else group & np.uint64(0x3FF00)
    if tables.probes[SENDER]:
        found = look_up(tables, np.uint64(SENDER << 40) | group << EIGHT | word & np.uint64(0xFF))
        if found >= 0:
            return found
    if tables.probes[GROUP]:
        return look_up(tables, np.uint64(GROUP << 40) | group)
    return UNKNOWN


@part
def look_up(tables: Tables, key: np.uint64) -> int:
    """The message of a key, or UNKNOWN."""
    table = tables.lookup
    folded, last = (key ^ (key >> plans.FOLD)) & plans.WORD, np.uint64(table.shape[0] - 1)
    slot = ((folded * SPREAD) & plans.WORD) >> np.uint64(tables.probes[SLOT_SHIFT])
    while table[slot, 0] != np.uint64(0):
        if table[slot, 0] == key:
            return int(np.int64(table[slot, 1]))
        slot = (slot + ONE) & last
    return UNKNOWN


@part
def classify(tables: Tables, frames: CanFrames) -> tuple[NDArray[np.int32], Index]:
    """The message of every frame, and where the rows of each message begin."""
    which = np.empty(frames.id.size, np.int32)
    first = np.zeros(tables.message.shape[0] + 1, np.int64)
    for k in range(which.size):
        m = UNKNOWN
        inside = frames.start[k] >= 0 and frames.start[k] + np.int64(frames.length[k]) <= frames.data.size
        if (frames.flags[k] & NOT_DATA) == 0 and inside:
            m = find(tables, frames.id[k], (frames.flags[k] & EXTENDED) != 0)
        if m >= 0 and tables.message[m, CHECK] != NO_CHECK:
            whole = frames.data[frames.start[k] : frames.start[k] + np.int64(frames.length[k])]
            m = m if intact(tables.message[m], whole) else CORRUPT
        which[k] = m
        if m >= 0:
            first[m + 1] += 1
    for m in range(1, first.size):
        first[m] += first[m - 1]
    return which, first


@part
def intact(rule: Index, payload: Bytes) -> bool:
    """Whether the checksum of a message is that of its other bytes."""
    return bool(rule[CHECK_BYTE] < payload.size and payload[rule[CHECK_BYTE]] == checksum(rule, payload))


@part
def checksum(rule: Index, payload: Bytes) -> int:
    """The checksum of a message by the row of its rule."""
    sum8 = int(rule[INIT])
    if rule[PREFIX] >= 0:
        sum8 = fold(rule, sum8, int(rule[PREFIX]))
    for b in range(payload.size):
        if b != rule[CHECK_BYTE]:
            sum8 = fold(rule, sum8, int(payload[b]))
    return int((sum8 ^ rule[XOR]) & 0xFF)


@part
def fold(rule: Index, sum8: int, byte: int) -> int:
    """A checksum with one more byte."""
    if rule[CHECK] == CRC8:
        sum8 ^= byte
        for _ in range(8):
            sum8 = (sum8 << 1) ^ (rule[POLYNOMIAL] if sum8 & 0x80 else 0)
        return sum8 & 0xFF
    return sum8 ^ byte if rule[CHECK] == XOR8 else (sum8 + byte) & 0xFF


@kernel
def gather(
    frames: CanFrames,
    which: NDArray[np.int32],
    next_row: Index,
    frame: Index,
    words: Words,
    least: Index,
) -> None:
    """Frames message by message, with the first eight bytes of each as one word, and the shortest length met."""
    for k in range(which.size):
        m = which[k]
        if m >= 0:
            row = next_row[m]
            next_row[m] = row + 1
            frame[row] = k
            length, start = np.int64(frames.length[k]), frames.start[k]
            least[m] = length if length < least[m] else least[m]
            if start + 8 <= frames.data.size:
                word = np.uint64(0)
                for b in range(8):
                    word |= np.uint64(frames.data[np.uint64(start + b)]) << np.uint64(8 * b)
            else:
                word = np.uint64(0)
                for b in range(8 if length > 8 else length):
                    word |= np.uint64(frames.data[start + b]) << np.uint64(8 * b)
            words[row] = word


@part
def convert_few(
    tables: Tables, first: Index, least: Index, words: Words, place: Index, values: Array, none: Index
) -> None:
    """Every plain signal of messages with few frames, without a call: passing an array costs as much as ten values."""
    for m in range(first.size - 1):
        rows = first[m + 1] - first[m]
        if rows == 0 or rows >= FEW:
            continue
        for s in range(tables.message[m, FIRST], tables.message[m, FIRST] + tables.message[m, COUNT]):
            if tables.signal[s, PLAIN] == 0 or tables.signal[s, LAST_BYTE] >= least[m]:
                continue
            shift, mask, sign, limit = masks(tables.signal[s])
            for k in range(rows):
                word = words[first[m] + k]
                raw = ((swapped(word) if tables.signal[s, MOTOROLA] else word) >> shift) & mask
                none[s, 1] += int(raw > limit)
                value = np.float64(np.int64(raw ^ sign) - np.int64(sign)) * tables.linear[s, 0] + tables.linear[s, 1]
                values[place[s] + k] = np.nan if raw > limit else value


@part
def masks(signal: Index) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Of a plain signal: how far its bits are shifted, which they are, the bit of its sign, the highest reading."""
    bits = np.uint64(signal[BITS])
    sign = ONE << (bits - ONE) if signal[KIND] == SIGNED else np.uint64(0)
    return np.uint64(signal[SHIFT]), ALL >> (np.uint64(64) - bits), sign, np.uint64(signal[LIMIT])


@kernel
def convert(signal: Index, linear: Array, words: Words, out: Array) -> int:
    """A plain signal of many frames; gives how many held a code for no reading."""
    shift, mask, sign, limit = masks(signal)
    scale, offset, none = linear[0], linear[1], 0
    if signal[MOTOROLA]:
        for k in range(words.size):
            raw = (swapped(words[k]) >> shift) & mask
            none += int(raw > limit)
            value = np.float64(np.int64(raw ^ sign) - np.int64(sign)) * scale + offset
            out[k] = np.nan if raw > limit else value
    else:
        for k in range(words.size):
            raw = (words[k] >> shift) & mask
            none += int(raw > limit)
            value = np.float64(np.int64(raw ^ sign) - np.int64(sign)) * scale + offset
            out[k] = np.nan if raw > limit else value
    return none


@part
def swapped(word: np.uint64) -> np.uint64:
    """A word with its bytes in the other order."""
    word = ((word & np.uint64(0x00FF00FF00FF00FF)) << EIGHT) | ((word >> EIGHT) & np.uint64(0x00FF00FF00FF00FF))
    half = np.uint64(16)
    word = ((word & np.uint64(0x0000FFFF0000FFFF)) << half) | ((word >> half) & np.uint64(0x0000FFFF0000FFFF))
    return (word << np.uint64(32)) | (word >> np.uint64(32))


@part
def convert_any(tables: Tables, s: int, frames: CanFrames, frame: Index, out: Array, none: Index) -> None:
    """A signal of any kind, anywhere in its message, multiplexed or not."""
    signal, scale, offset = tables.signal[s], tables.linear[s, 0], tables.linear[s, 1]
    limit = np.uint64(signal[LIMIT])
    for row in range(out.size):
        k = frame[row]
        payload = frames.data[frames.start[k] : frames.start[k] + np.int64(frames.length[k])]
        out[row] = np.nan
        if chosen(tables, s, payload):
            if signal[LAST_BYTE] >= payload.size:
                none[0] += 1
                continue
            raw = bits_of(signal, payload)
            if raw > limit:
                none[1] += 1
            else:
                out[row] = number(signal, raw) * scale + offset


@part
def chosen(tables: Tables, s: int, payload: Bytes) -> bool:
    """Whether the multiplexers of a message select a signal."""
    while tables.signal[s, SELECTOR] >= 0:
        selector = tables.signal[s, SELECTOR]
        if tables.signal[selector, LAST_BYTE] >= payload.size:
            return False
        raw = np.int64(bits_of(tables.signal[selector], payload))
        inside = False
        first = tables.signal[s, FIRST_RANGE]
        for r in range(first, first + tables.signal[s, RANGES]):
            inside = inside or (tables.selected[r, 0] <= raw <= tables.selected[r, 1])
        if not inside:
            return False
        s = selector
    return True


@part
def bits_of(signal: Index, payload: Bytes) -> np.uint64:
    """The raw bits of a signal, from up to nine bytes."""
    first, last = signal[FIRST_BYTE], signal[LAST_BYTE]
    low, top = np.uint64(0), np.uint64(0)
    for k in range(last - first + 1):
        byte = np.uint64(payload[last - k] if signal[MOTOROLA] else payload[first + k])
        if k < 8:
            low |= byte << np.uint64(8 * k)
        else:
            top = byte
    shift = np.uint64(signal[WINDOW_SHIFT])
    raw = low >> shift
    if shift > 0:
        raw |= top << (np.uint64(64) - shift)
    return raw & (ALL >> np.uint64(64 - signal[BITS]))


@part
def number(signal: Index, raw: np.uint64) -> float:
    """Raw bits as the number that they stand for."""
    kind = signal[KIND]
    if kind == UNSIGNED:
        return np.float64(raw)
    if kind == SIGNED and signal[BITS] == 64:
        return np.float64(np.int64(raw))
    if kind == SIGNED:
        sign = np.uint64(1) << np.uint64(signal[BITS] - 1)
        return np.float64(np.int64(raw ^ sign) - np.int64(sign))
    if kind == FLOAT32:
        return np.float64(np.uint32(raw).view(np.float32))
    return np.uint64(raw).view(np.float64)
