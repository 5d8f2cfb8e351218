"""J1939 messages of more than 8 bytes, put together from their packets: over a log, or batch by batch on a live bus.

Announced to all (BAM) or agreed with one receiver (RTS/CTS), each packet in its order. A session that loses a packet,
falls silent or is begun anew is given up and counted. Memory is bounded: `SESSIONS` at once; where more are begun, the
one that has been silent longest is given up. Source: SAE J1939-21, numbers as in can-j1939.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from packhorse.compiled import compiled, part
from packhorse.pack.words import Array, Index
from packhorse.protocols.frames import ERROR, EXTENDED, LONG, LONGEST_MESSAGE, REMOTE, Bytes, CanFrames

SESSIONS = 128
SILENCE_S = 1.25
"""A session may be silent for as long as T2, the longest wait between packets, with a quarter for the recorder."""
CONTROL, PACKET = 0xEC, 0xEB
RTS, END, BAM, ABORT = 16, 19, 32, 255
PRIORITY, TO_ALL, LAST_GROUP = 6, 0xFF, 0x3FFFF
NOT_DATA = ERROR | REMOTE
WHOLE, LOST, OUT_OF_ORDER, BEGUN_ANEW, SILENT, CROWDED, ABORTED, IMPOSSIBLE = range(8)
OUTCOMES = (
    "whole",
    "lost its begin",
    "out of order",
    "begun anew",
    "silent",
    "too many at once",
    "aborted",
    "impossible",
)
KEY, GROUP, SIZE, PACKETS, NEXT = range(5)


class Sessions(NamedTuple):
    """What is being put together. `session` has bus, sender and receiver as one key (-1: free), PGN, size, packets."""

    session: Index  # (SESSIONS, 5)
    heard_s: Array  # (SESSIONS,)
    content: Bytes  # (SESSIONS, LONGEST_MESSAGE)
    outcome: Index  # (8,) how many ended in each way


def start() -> Sessions:
    """Nothing heard yet."""
    session = np.full((SESSIONS, 5), -1, dtype=np.int64)
    content = np.zeros((SESSIONS, LONGEST_MESSAGE), dtype=np.uint8)
    return Sessions(session, np.zeros(SESSIONS), content, np.zeros(len(OUTCOMES), dtype=np.int64))


def reassemble(sessions: Sessions, frames: CanFrames) -> tuple[Sessions, CanFrames]:
    """The same frames, each message that became whole behind its last packet, flagged LONG.

    Its identifier has the PGN of the message and the source and destination of its packets; its time is that of the
    last one.
    """
    packets = (frames.id >> 16 & 0xFF == PACKET) | (frames.id >> 16 & 0xFF == CONTROL)
    if not (packets & (frames.flags & EXTENDED != 0)).any():
        return sessions, frames
    own = Sessions(sessions.session.copy(), sessions.heard_s.copy(), sessions.content.copy(), sessions.outcome.copy())
    return put_together(own, frames)


@compiled
def put_together(now: Sessions, frames: CanFrames) -> tuple[Sessions, CanFrames]:
    """`reassemble`, changing the sessions that it is given."""
    count, most = frames.id.size, 0
    for k in range(count):
        most += int((frames.id[k] >> 16) & 0xFF == PACKET)
    room, held, begun = count + most, frames.data.size, 0
    for s in range(SESSIONS):
        begun += now.session[s, SIZE] if now.session[s, KEY] >= 0 else 0
    out = CanFrames(
        np.empty(room, np.float64),
        np.empty(room, np.uint32),
        np.empty(room, np.uint8),
        np.empty(room, np.uint8),
        np.empty(room, np.uint16),
        np.empty(room, np.int64),
        np.empty(held + begun + 7 * most, np.uint8),
    )
    out.data[:held] = frames.data
    to = 0
    for k in range(count):
        copy(frames, k, out, to)
        to += 1
        inside = frames.start[k] >= 0 and frames.start[k] + np.int64(frames.length[k]) <= frames.data.size
        if (frames.flags[k] & (EXTENDED | NOT_DATA)) == EXTENDED and inside:
            s = hear(now, frames, k)
            if s >= 0:
                held = write(now, s, frames, k, out, to, held)
                to += 1
    return now, CanFrames(
        out.time_s[:to], out.id[:to], out.flags[:to], out.bus[:to], out.length[:to], out.start[:to], out.data[:held]
    )


@part
def copy(frames: CanFrames, k: int, out: CanFrames, to: int) -> None:
    """One frame as it is."""
    out.time_s[to], out.id[to], out.flags[to] = frames.time_s[k], frames.id[k], frames.flags[k]
    out.bus[to], out.length[to], out.start[to] = frames.bus[k], frames.length[k], frames.start[k]


@part
def write(now: Sessions, s: int, frames: CanFrames, k: int, out: CanFrames, to: int, held: int) -> int:
    """The message of a session that became whole with frame k; gives where the next payload begins."""
    size, group = now.session[s, SIZE], now.session[s, GROUP]
    sender, receiver = np.int64(frames.id[k]) & 0xFF, (np.int64(frames.id[k]) >> 8) & 0xFF
    group = group if (group & 0xFF00) >= 0xF000 else (group & 0x3FF00) | receiver
    out.data[held : held + size] = now.content[s, :size]
    out.time_s[to], out.id[to] = frames.time_s[k], (PRIORITY << 26) | (group << 8) | sender
    out.flags[to], out.bus[to] = EXTENDED | LONG, frames.bus[k]
    out.length[to], out.start[to] = size, held
    close(now, s, WHOLE)
    return int(held + size)


@part
def close(now: Sessions, s: int, outcome: int) -> None:
    """End a session."""
    now.session[s, KEY] = -1
    now.outcome[outcome] += 1


@part
def hear(now: Sessions, frames: CanFrames, k: int) -> int:
    """Take one frame; gives the session that became whole by it, -1 for none."""
    kind = (frames.id[k] >> 16) & 0xFF
    if kind not in (CONTROL, PACKET) or frames.length[k] < 8:
        return -1
    identifier = np.int64(frames.id[k])
    key = int((np.int64(frames.bus[k]) << 16) | (identifier & 0xFFFF))
    payload = frames.data[frames.start[k] : frames.start[k] + 8]
    if kind == PACKET:
        return packet(now, find(now, key), frames.time_s[k], payload)
    if payload[0] == ABORT:
        turned = (key & ~0xFFFF) | (key & 0xFF) << 8 | (key >> 8) & 0xFF
        for s in (find(now, key), find(now, turned)):
            if s >= 0:
                close(now, s, ABORTED)
    elif payload[0] in (RTS, BAM):
        begin(now, key, frames.time_s[k], payload)
    return -1


@part
def find(now: Sessions, key: int) -> int:
    """The session between two nodes, -1 for none."""
    for s in range(SESSIONS):
        if now.session[s, KEY] == key:
            return s
    return -1


@part
def begin(now: Sessions, key: int, time_s: float, payload: Bytes) -> None:
    """Open a session; what there was between the same nodes is given up."""
    size = np.int64(payload[1]) | np.int64(payload[2]) << 8
    packets = np.int64(payload[3])
    group = np.int64(payload[5]) | np.int64(payload[6]) << 8 | np.int64(payload[7]) << 16
    if size < 9 or size > LONGEST_MESSAGE or packets != (size + 6) // 7 or group > LAST_GROUP:
        now.outcome[IMPOSSIBLE] += 1
        return
    s = find(now, key)
    if s >= 0:
        close(now, s, BEGUN_ANEW)
    else:
        s = free(now, time_s)
    now.session[s, KEY], now.session[s, GROUP], now.session[s, SIZE] = key, group, size
    now.session[s, PACKETS], now.session[s, NEXT] = packets, 1
    now.heard_s[s] = time_s


@part
def free(now: Sessions, time_s: float) -> int:
    """A session that is free, or that has been silent longest."""
    oldest = 0
    for s in range(SESSIONS):
        if now.session[s, KEY] < 0:
            return s
        if now.heard_s[s] < now.heard_s[oldest]:
            oldest = s
    close(now, oldest, SILENT if time_s - now.heard_s[oldest] > SILENCE_S else CROWDED)
    return oldest


@part
def packet(now: Sessions, s: int, time_s: float, payload: Bytes) -> int:
    """One packet of a session; gives the session where it was the last, else -1. A packet too many is nobody's."""
    if s < 0:
        now.outcome[LOST] += int(payload[0] == 1)
        return -1
    gap_s, number = time_s - now.heard_s[s], np.int64(payload[0])
    if not 0.0 <= gap_s <= SILENCE_S:
        close(now, s, SILENT)
        return -1
    if number > now.session[s, NEXT] or number == 0 or not (number == now.session[s, NEXT] or same(now, s, payload)):
        close(now, s, OUT_OF_ORDER)
        return -1
    if number < now.session[s, NEXT]:
        return -1
    for b in range(min(7, now.session[s, SIZE] - 7 * (number - 1))):
        now.content[s, 7 * (number - 1) + b] = payload[1 + b]
    now.heard_s[s] = time_s
    now.session[s, NEXT] += 1
    return s if now.session[s, NEXT] > now.session[s, PACKETS] else -1


@part
def same(now: Sessions, s: int, payload: Bytes) -> bool:
    """Whether a packet that is there already may be sent again: it says the same, and of a broadcast it is the last.

    RTS/CTS may ask for packets again; a broadcast is not repeated, but a controller may hear its last packet twice. Any
    other is of a message whose announcement was lost, and would be mixed with this one.
    """
    number = np.int64(payload[0])
    if (now.session[s, KEY] >> 8) & 0xFF == TO_ALL and number != now.session[s, NEXT] - 1:
        return False
    at = 7 * (number - 1)
    return bool(np.all(now.content[s, at : at + 7] == payload[1:8]))


def outcomes(sessions: Sessions) -> dict[str, int]:
    """How many sessions ended in each way."""
    return {name: int(count) for name, count in zip(OUTCOMES, sessions.outcome, strict=True)}


def open_sessions(sessions: Sessions) -> int:
    """How many sessions have begun and not ended."""
    return int(np.count_nonzero(sessions.session[:, KEY] >= 0))
