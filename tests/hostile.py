"""Hostile frames, with sound transport sessions woven into them, and a decoder of a few lines to judge what is read."""

from __future__ import annotations

import math
import struct
from collections import Counter
from typing import NamedTuple

import numpy as np

from packhorse.protocols import decoding, frames, liveness, plan, reassembly
from packhorse.protocols.frames import ERROR, EXTENDED, LONG, REMOTE, CanFrames
from packhorse.protocols.plan import Check, Kind, Message, Plan, Protection, Signal

SOUND = range(0x40, 0x50)
"""Addresses whose sessions are damaged but never forged: what arrives of them is what they have sent, or nothing."""
RECEIVERS = (0xFF, 0x5B)
GROUPS = (0xFECA, 0xFEDA, 0xFC5D, 0xEF00)
LONGEST, ANNOUNCEMENT = 120, 0xEC
LONG_ONE = tuple(Signal(f"s{k}", 8 * k, 16) for k in range(0, 38, 2))
GUARDED = Protection(Check.CRC8, counter_start=52, counter_top=14)
MESSAGES = (
    Message("D1", 0x0CF090FE, (Signal("a", 0, 16, 0.05, -1600.0), Signal("b", 16, 2), Signal("c", 51, 12)), j1939=True),
    Message("S1", 0x0CF096FE, (Signal("a", 0, 16), Signal("b", 20, 4)), j1939=True, protection=GUARDED),
    Message("C1", 0x181B00FE, (Signal("a", 0, 64), Signal("b", 7, 13, motorola=True)), j1939=True),
    Message("CFG", 0x18FC5DFE, LONG_ONE, length=40, j1939=True),
    Message(
        "Std",
        0x123,
        (Signal("a", 7, 16, kind=Kind.SIGNED, motorola=True), Signal("f", 16, 32, kind=Kind.FLOAT32)),
        extended=False,
    ),
    Message(
        "Mux",
        0x124,
        (
            Signal("m", 0, 4),
            Signal("n", 4, 4, selector="m", selected=((1, 1), (5, 9))),
            Signal("a", 15, 24, kind=Kind.SIGNED, motorola=True, selector="n", selected=((3, 12),)),
            Signal("b", 8, 64, kind=Kind.FLOAT64, selector="m", selected=((2, 2),)),
        ),
        length=9,
        extended=False,
    ),
)

Row = tuple[int, bytes]
Sent = set[tuple[int, int, int, bytes]]
"""Group, sender, receiver and content of messages that were sent."""


class Campaign(NamedTuple):
    """What lives through all batches of a campaign."""

    plan: Plan
    sessions: reassembly.Sessions
    alive: liveness.Liveness


def announced(group: int, sender: int, receiver: int, content: bytes) -> list[Row]:
    """The frames that carry a message: its announcement and its packets."""
    count = -(-len(content) // 7)
    kind = 32 if receiver == 0xFF else 16
    head = bytes([kind, len(content) & 0xFF, len(content) >> 8, count, 0xFF]) + group.to_bytes(3, "little")
    rows = [(0x18EC0000 | receiver << 8 | sender, head)]
    for k in range(count):
        piece = content[7 * k : 7 * k + 7].ljust(7, b"\xff")
        rows.append((0x18EB0000 | receiver << 8 | sender, bytes([k + 1]) + piece))
    return rows


def damaged(dice: np.random.Generator, rows: list[Row]) -> list[Row]:
    """A session as a bad bus carries it: a frame is lost, doubled, cut or comes once more; it stops midway, or nobody
    hears its announcement.

    It never ends with an announcement: if the next session has none, its packets would be taken for those announced,
    and nothing in the protocol can tell.
    """
    at, once_more = int(dice.integers(0, len(rows))), int(dice.integers(0, len(rows)))
    once_more = max(once_more, 1) if at == len(rows) - 1 else once_more
    cut = rows[at][1][: int(dice.integers(0, 8))]
    as_it_is = [rows] * 5
    stopped, unannounced = [rows[: max(at, 2)]] * 2, [rows[1:]] * 2
    lost, doubled = rows[:at] + rows[at + 1 :], rows[: at + 1] + rows[at:]
    shorter = [*rows[:at], (rows[at][0], cut), *rows[at + 1 :]]
    repeated = [*rows[: at + 1], rows[min(at, once_more)], *rows[at + 1 :]]
    ways = [*as_it_is, *stopped, *unannounced, lost, doubled, shorter, repeated]
    return ways[int(dice.integers(0, len(ways)))]


def sessions_of(dice: np.random.Generator, sender: int, count: int, sent: Sent) -> list[Row]:
    """So many frames of one sender's sessions, or one less, one after the other; what they carry goes to `sent`."""
    rows: list[Row] = []
    while len(rows) < count:
        group, receiver = int(dice.choice(GROUPS)), int(dice.choice(RECEIVERS))
        content = dice.bytes(int(dice.integers(9, LONGEST)))
        sent.add((group, sender, receiver, content))
        rows += damaged(dice, announced(group, sender, receiver, content))
    rows = rows[:count]
    return rows[:-1] if rows and rows[-1][0] >> 16 & 0xFF == ANNOUNCEMENT else rows


def hostile(dice: np.random.Generator, count: int) -> tuple[CanFrames, Sent]:
    """Frames of known and unknown messages, of transport sessions, with any flags, lengths and times; a third of them
    of sound senders whose sessions are damaged. Gives what these have sent, too."""
    sent: Sent = set()
    rows, keys = [], []
    for sender in SOUND:
        rows += sessions_of(dice, sender, count // 3 // len(SOUND), sent)
        keys.append(np.cumsum(dice.integers(1, 90, len(rows) - sum(k.size for k in keys))))
    ids, data, length, flags = wild(dice, count - len(rows))
    made = np.array([list(content.ljust(64, b"\0")) for _, content in rows], np.uint8).reshape(-1, 64)
    ids = np.concatenate((ids, np.array([i for i, _ in rows], np.uint32)))
    data = np.concatenate((data, made))
    length = np.concatenate((length, np.array([len(c) for _, c in rows], np.uint16)))
    flags = np.concatenate((flags, np.full(len(rows), EXTENDED, np.uint8)))
    order = np.argsort(np.concatenate((np.sort(dice.integers(0, count, count - len(rows))), *keys)), kind="stable")
    steps_s = np.where(dice.random(count) < 0.998, 0.01, dice.choice([-1e3, 1e9, np.nan, np.inf, 0.0], count))
    clock_s = np.cumsum(np.where(np.isfinite(steps_s), steps_s, 0.0))
    one = frames.from_rows(clock_s, ids[order], data[order], length=length[order], flags=flags[order])
    start = np.where(dice.random(count) < 0.998, one.start, dice.integers(-(2**62), 2**62, count))
    return one._replace(time_s=np.where(np.isfinite(steps_s), clock_s, steps_s), start=start), sent


def wild(dice: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Identifiers, payloads, lengths and flags of frames without any sense; none speaks for a sound sender."""
    known = [m.id for m in MESSAGES] + [0x18ECFF01, 0x18EBFF01, 0x18EC0203, 0x18EB0203, 0x18FECAF3]
    ids = dice.choice(np.array(known, np.uint32), count)
    ids ^= np.where(dice.random(count) < 0.2, dice.integers(0, 2**32, count), 0).astype(np.uint32)
    forged = np.isin(ids >> 16 & 0xFF, (0xEC, 0xEB)) & (np.isin(ids & 0xFF, SOUND) | np.isin(ids >> 8 & 0xFF, SOUND))
    ids = np.where(forged, ids ^ 0x8080, ids).astype(np.uint32)
    data = dice.integers(0, 256, (count, 64), dtype=np.uint8)
    data[:, 0] = np.where(dice.random(count) < 0.5, dice.choice([1, 2, 3, 16, 32, 255], count), data[:, 0])
    data[:, 1:4] = np.where(
        dice.random((count, 1)) < 0.5, dice.choice([[9, 0, 2], [14, 0, 2], [20, 0, 3]], count), data[:, 1:4]
    )
    data[:, 1:8] = np.where(dice.random((count, 1)) < 0.2, 0xFF, data[:, 1:8])
    length = np.where(dice.random(count) < 0.8, 8, dice.integers(0, 65_536, count)).astype(np.uint16)
    length = np.where(dice.random(count) < 0.5, np.minimum(length, 64), length).astype(np.uint16)
    flags = np.where(dice.random(count) < 0.8, np.where(ids > 0x7FF, EXTENDED, 0), dice.integers(0, 128, count))
    return ids, data, length, flags.astype(np.uint8)


def begin() -> Campaign:
    """A campaign before its first batch."""
    ours = plan.build(MESSAGES)
    return Campaign(ours, reassembly.start(), liveness.start(ours))


def batch(was: Campaign, dice: np.random.Generator, count: int, every: int) -> tuple[Campaign, Counter[str]]:
    """One batch through transport, decoding and liveness; the signals of each `every`-th frame are compared."""
    heard, sent = hostile(dice, count)
    sessions, whole = reassembly.reassemble(was.sessions, heard)
    decoded = decoding.decode(was.plan, whole)
    alive = liveness.hear(was.plan, was.alive, whole, decoded.which)
    told = Counter(frames=count)
    messages = np.flatnonzero(whole.flags & LONG)
    told["transport messages"] = messages.size
    told["wrong values"] = wrong_values(was.plan, whole, decoded, every) + wrong_messages(whole, sent)
    told["wrong values"] += int(np.count_nonzero((decoded.which >= 0) & ((whole.flags & (REMOTE | ERROR)) != 0)))
    told["wrong values"] += int(np.count_nonzero(~liveness.missing(alive, 1e300) | ~liveness.missing(alive, -1e300)))
    return Campaign(was.plan, sessions, alive), told


def wrong_messages(heard: CanFrames, sent: Sent) -> int:
    """How many messages of sound senders are not what one of them has sent."""
    wrong = 0
    for k in np.flatnonzero((heard.flags & LONG) != 0):
        identifier = int(heard.id[k])
        if identifier & 0xFF in SOUND:
            group, receiver = identifier >> 8 & 0x3FFFF, 0xFF
            if group & 0xFF00 < 0xF000:
                group, receiver = group & 0x3FF00, group & 0xFF
            content = frames.payload(heard, k)
            receivers = RECEIVERS if group & 0xFF00 >= 0xF000 else (receiver,)
            wrong += not any((group, identifier & 0xFF, to, content) in sent for to in receivers)
    return wrong


def wrong_values(ours: Plan, heard: CanFrames, decoded: decoding.Decoded, every: int) -> int:
    """How many values of each `every`-th frame differ from those by hand."""
    found = {
        name: dict(zip(c.frame.tolist(), c.values.tolist(), strict=True))
        for name in ours.signals
        for c in [decoding.column(ours, decoded, name)]
    }
    wrong = 0
    for k in range(0, heard.id.size, every):
        m = int(decoded.which[k])
        for signal in MESSAGES[m].signals if m >= 0 else ():
            value = found[f"{MESSAGES[m].name}.{signal.name}"].get(k, math.nan)
            expected = reference(MESSAGES[m], signal, frames.payload(heard, k))
            wrong += not (value == expected or (math.isnan(value) and math.isnan(expected)))
    return wrong


def reference(message: Message, signal: Signal, content: bytes) -> float:  # noqa: PLR0911 - one for each kind
    """A signal by hand, bit by bit. NaN is none."""
    if signal.selector:
        parent = next(s for s in message.signals if s.name == signal.selector)
        chosen = bits(parent, content)
        if math.isnan(reference(message._replace(j1939=False), parent, content)):
            return math.nan
        if chosen is None or not any(low <= chosen <= high for low, high in signal.selected):
            return math.nan
    raw = bits(signal, content)
    if raw is None:
        return math.nan
    if signal.kind == Kind.FLOAT32:
        return float(np.float32(struct.unpack("<f", raw.to_bytes(4, "little"))[0])) * signal.scale + signal.offset
    if signal.kind == Kind.FLOAT64:
        return struct.unpack("<d", raw.to_bytes(8, "little"))[0] * signal.scale + signal.offset
    if signal.kind == Kind.SIGNED and raw >> (signal.bits - 1):
        raw -= 1 << signal.bits
    if message.j1939 and signal.kind == Kind.UNSIGNED and raw > plan.highest(signal.bits) % (1 << 64):
        return math.nan
    return float(raw) * signal.scale + signal.offset


def bits(signal: Signal, content: bytes) -> int | None:
    """The raw bits of a signal; None where the content is too short."""
    at, raw = signal.start, 0
    for k in range(signal.bits):
        if at // 8 >= len(content):
            return None
        one = content[at // 8] >> (at % 8) & 1
        raw = raw << 1 | one if signal.motorola else raw | one << k
        at = at + 1 if not signal.motorola else (at - 1 if at % 8 else at + 15)
    return raw


def mutated(dice: np.random.Generator, seed: bytes) -> bytes:
    """A file with some bytes changed, cut, doubled or moved."""
    content = bytearray(seed)
    for _ in range(int(dice.integers(1, 12))):
        at, kind = int(dice.integers(0, len(content) + 1)), int(dice.integers(0, 5))
        piece = content[at : at + int(dice.integers(1, 40))]
        if kind == 0 and at < len(content):
            content[at] = int(dice.integers(0, 256))
        elif kind == 1:
            del content[at : at + len(piece)]
        elif kind == 2:
            content[at:at] = piece
        elif kind == 3:
            content[at:at] = bytes(
                dice.choice([b"\xff" * 8, b"\0" * 4, b"9" * 30, b"LOBJ", b"\n", b"-", b"#", b"1e999"])
            )
        elif len(content) > 60:
            del content[at:]
        if not content:
            content = bytearray(seed)
    return bytes(content)
