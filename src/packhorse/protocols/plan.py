"""What the messages of a bus hold, compiled once to arrays that decode and encode any number of frames.

A `Plan` is made from layouts, which come from signal tables or a DBC (`dbc.py`). `decoding.py`, `encoding.py` and
`liveness.py` work by its arrays alone.

A J1939 message is told by its PGN: priority and source address do not matter, nor the destination of PDU1. Where two
messages of a plan share a PGN, the source address tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.pack.words import Array, Index
from packhorse.protocols.frames import LONGEST_MESSAGE

NO_LIMIT = -1
"""All bits set when seen unsigned: every raw value is a reading."""
SLOT_SHIFT, EXACT, SENDER, GROUP = range(4)
"""What a key is made of: the whole identifier, PGN and source address, the PGN. Before them: how a key is hashed."""
ANY_SENDER = 0xFE
"""The null address: nobody sends data from it, so that an identifier with it stands for every sender."""
PAGE = np.uint64(0x3FFFF)
FOLD, SPREAD, WORD = np.uint64(20), np.uint64(0x9E3779B1), np.uint64(0xFFFFFFFF)
"""How a key is hashed: folded to 32 bits, then multiplied, which 64 bits hold."""


class Kind(IntEnum):
    """How the bits of a signal make a number."""

    UNSIGNED, SIGNED, FLOAT32, FLOAT64 = range(4)


class Check(IntEnum):
    """How the checksum of a protected message is made, over all its other bytes in order."""

    NONE, CRC8, XOR8, SUM8 = range(4)


class Signal(NamedTuple):
    """Where a signal lies in its message and what a bit of it is worth; `start` is counted as in a DBC.

    A multiplexed signal is there only while the signal `selector` has a raw value in one of the ranges `selected`.
    """

    name: str
    start: int
    bits: int
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    motorola: bool = False
    kind: Kind = Kind.UNSIGNED
    selector: str = ""
    selected: tuple[tuple[int, int], ...] = ()
    last: int = -1  # of J1939: the highest code that is a reading, where it is not the usual one of this width


class Protection(NamedTuple):
    """How a message proves that it is whole and fresh: a checksum byte, and a counter that rises by one.

    The checksum is computed over `prefix` and then all bytes of the message but its own, from `init`, and at last
    XOR-ed with `xor`.
    """

    check: Check = Check.NONE
    check_byte: int = 7
    polynomial: int = 0x1D
    init: int = 0xFF
    xor: int = 0xFF
    prefix: int = -1  # a byte before the message, e.g. an identifier of the data; -1 without
    counter_start: int = -1  # bit, Intel; -1 without a counter
    counter_bits: int = 4
    counter_top: int = 15  # after it comes 0


class Message(NamedTuple):
    """One message of a bus and its signals."""

    name: str
    id: int
    signals: tuple[Signal, ...]
    length: int = 8
    extended: bool = True
    j1939: bool = False
    protection: Protection = Protection()
    period_s: float = float("nan")


class Tables(NamedTuple):
    """A plan as compiled code sees it. The columns of `signal` and `message` are named below."""

    lookup: NDArray[np.uint64]  # (slots, 2) key and message; key 0 is an empty slot
    probes: Index  # (4,) how far a hash is shifted to its slot, and whether each kind of key occurs
    message: Index  # (messages, 13)
    signal: Index  # (signals, 13), those of a message together
    linear: Array  # (signals, 2) scale, offset
    selected: Index  # (ranges, 2) lowest and highest raw value


FIRST, COUNT, LENGTH, J1939, CHECK, CHECK_BYTE, POLYNOMIAL, INIT, XOR, PREFIX = range(10)
COUNTER_START, COUNTER_BITS, COUNTER_TOP, MESSAGE_COLUMNS = 10, 11, 12, 13
SHIFT, BITS, KIND, MOTOROLA, FIRST_BYTE, LAST_BYTE, LIMIT, SELECTOR, FIRST_RANGE, RANGES, OWNER = range(11)
WINDOW_SHIFT, PLAIN, SIGNAL_COLUMNS = 11, 12, 13
"""PLAIN: a whole number of up to 63 bits in the first eight bytes, that no multiplexer selects."""


class Plan(NamedTuple):
    """Messages and signals by name, and the tables that do the work."""

    messages: tuple[Message, ...]
    signals: dict[str, int]  # `Message.Signal` -> row
    tables: Tables


def build(messages: Sequence[Message]) -> Plan:
    """A plan of these messages. Raises ValueError, in one line, for a layout that cannot be."""
    names: dict[str, int] = {}
    signal_rows: list[list[int]] = []
    linear: list[tuple[float, float]] = []
    selected: list[tuple[int, int]] = []
    message_rows = []
    for number, message in enumerate(messages):
        first = len(signal_rows)
        message_rows.append(_message_row(message, first))
        places = {signal.name: first + k for k, signal in enumerate(message.signals)}
        for signal in message.signals:
            _must_fit(message, signal, places)
            selector = places[signal.selector] if signal.selector else -1
            ranges = [len(selected), len(signal.selected), number]
            signal_rows.append(
                [*_signal_row(message, signal), selector, *ranges, _window_shift(signal), _plain(signal)]
            )
            linear.append((signal.scale, signal.offset))
            selected.extend(signal.selected)
            if names.setdefault(f"{message.name}.{signal.name}", len(names)) != len(signal_rows) - 1:
                raise ValueError(f"signal {message.name}.{signal.name} occurs twice; rename one of them")
    lookup, probes = _lookup(messages)
    tables = Tables(
        lookup,
        probes,
        np.array(message_rows, dtype=np.int64).reshape(-1, MESSAGE_COLUMNS),
        np.array(signal_rows, dtype=np.int64).reshape(-1, SIGNAL_COLUMNS),
        np.array(linear, dtype=np.float64).reshape(-1, 2),
        np.array(selected, dtype=np.int64).reshape(-1, 2),
    )
    _must_end(messages, tables.signal)
    return Plan(tuple(messages), names, tables)


def _message_row(message: Message, first: int) -> list[int]:
    p = message.protection
    if not 0 <= message.length <= LONGEST_MESSAGE:
        raise ValueError(f"message {message.name} has {message.length} bytes; 0 to {LONGEST_MESSAGE} are possible")
    counter = [p.counter_start, p.counter_bits, p.counter_top]
    check = [int(p.check), p.check_byte, p.polynomial, p.init, p.xor, p.prefix]
    return [first, len(message.signals), message.length, int(message.j1939), *check, *counter]


def _must_fit(message: Message, signal: Signal, places: dict[str, int]) -> None:
    what = f"signal {message.name}.{signal.name}"
    if not 1 <= signal.bits <= 64:
        raise ValueError(f"{what} has {signal.bits} bits; 1 to 64 are possible")
    if (signal.kind == Kind.FLOAT32 and signal.bits != 32) or (signal.kind == Kind.FLOAT64 and signal.bits != 64):
        raise ValueError(f"{what} is a float of {signal.bits} bits; 32 and 64 are possible")
    last = _bytes_of(signal)[1]
    if signal.start < 0 or last >= message.length:
        raise ValueError(f"{what} ends in byte {last + 1} of {message.length}; correct its start or its length")
    if not (np.isfinite(signal.scale) and np.isfinite(signal.offset)) or signal.scale == 0.0:
        raise ValueError(f"{what} has scale {signal.scale:g} and offset {signal.offset:g}; every reading would be lost")
    if signal.selector and signal.selector not in places:
        raise ValueError(f"{what} is selected by {signal.selector}, which {message.name} does not have")


def _must_end(messages: Sequence[Message], signal: Index) -> None:
    """Refuse signals that select each other in a circle."""
    for row in range(signal.shape[0]):
        at, seen = row, 0
        while signal[at, SELECTOR] >= 0:
            at, seen = int(signal[at, SELECTOR]), seen + 1
            if seen > signal.shape[0]:
                name = messages[int(signal[row, OWNER])].name
                raise ValueError(f"message {name}: its multiplexers select each other; one must stand alone")


def _bytes_of(signal: Signal) -> tuple[int, int]:
    """First and last byte that a signal touches."""
    first = signal.start // 8
    if signal.motorola:
        return first, first + (7 - signal.start % 8 + signal.bits - 1) // 8
    return first, (signal.start + signal.bits - 1) // 8


def _window_shift(signal: Signal) -> int:
    """How far the lowest bit of a signal lies from that of its least significant byte."""
    return (signal.start % 8 - signal.bits + 1) % 8 if signal.motorola else signal.start % 8


def _signal_row(message: Message, signal: Signal) -> list[int]:
    first, last = _bytes_of(signal)
    shift = 8 * (7 - last) + _window_shift(signal) if signal.motorola else signal.start
    usual = highest(signal.bits) if signal.last < 0 else signal.last
    limit = usual if message.j1939 and signal.kind == Kind.UNSIGNED else NO_LIMIT
    return [shift, signal.bits, int(signal.kind), int(signal.motorola), first, last, limit]


def _plain(signal: Signal) -> int:
    whole = signal.kind in (Kind.SIGNED, Kind.UNSIGNED) and signal.bits < 64
    return int(whole and _bytes_of(signal)[1] < 8 and not signal.selector)


def highest(bits: int) -> int:
    """Highest raw value of a J1939 signal that is a reading; above lie error and not available.

    From 8 bits on by the uppermost byte; 2 and 4 bits keep two codes; other short fields one. Source: J1939-71.
    """
    if bits >= 8:
        above = (0xFB << (bits - 8)) - 1
        return above if bits < 64 else above - (1 << 64)
    return {1: 1, 2: 1, 4: 13}.get(bits, (1 << bits) - 2)


def group(identifier: int) -> int:
    """The PGN of a 29-bit identifier; for PDU1 without the destination."""
    number = identifier >> 8 & 0x3FFFF
    return number if number & 0xFF00 >= 0xF000 else number & 0x3FF00


def _lookup(messages: Sequence[Message]) -> tuple[NDArray[np.uint64], Index]:
    """Hash table of keys. Raises ValueError where two messages have the same."""
    owners: dict[int, int] = {}
    probes = np.zeros(4, dtype=np.int64)
    groups = [group(m.id) for m in messages if m.j1939]
    for number, message in enumerate(messages):
        key, kind = _key(message, groups.count(group(message.id)) if message.j1939 else 0)
        probes[kind] = 1
        other = owners.setdefault(key, number)
        if other != number:
            found = f"{message.name} and {messages[other].name} both have identifier {message.id:#x}"
            raise ValueError(f"{found}; leave one of them out")
    slots = 1 << max(3, (4 * len(owners)).bit_length())
    probes[SLOT_SHIFT] = 33 - slots.bit_length()
    table = np.zeros((slots, 2), dtype=np.uint64)
    for key, number in owners.items():
        folded = (key ^ key >> int(FOLD)) & int(WORD)
        slot = (folded * int(SPREAD) & int(WORD)) >> int(probes[SLOT_SHIFT])
        while table[slot, 0] != 0:
            slot = (slot + 1) % slots
        table[slot] = key, number
    return table, probes


def _key(message: Message, sharing: int) -> tuple[int, int]:
    """The key by which a message is found, and its kind."""
    if not message.j1939:
        return EXACT << 40 | int(message.extended) << 32 | message.id, EXACT
    if sharing > 1 and message.id & 0xFF != ANY_SENDER:
        return SENDER << 40 | group(message.id) << 8 | message.id & 0xFF, SENDER
    return GROUP << 40 | group(message.id), GROUP
