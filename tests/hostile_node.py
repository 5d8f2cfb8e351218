"""Our node among hostile frames: what it believes is compared with a few lines written apart."""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import numpy as np

from hostile import SOUND, announced, damaged
from nodes import claimed, moment_of, node_settings
from packhorse.protocols.j1939 import transport as tp
from packhorse.protocols.j1939.claim import Standing
from packhorse.protocols.j1939.identifier import CanFrame
from packhorse.protocols.j1939.node import QUESTIONS, Node, hear, requests, speak
from packhorse.protocols.j1939.transport import Transport
from packhorse.protocols.j1939.vehicle import SOURCES
from packs import small_pack

OURS = 243
SETTINGS = node_settings()
MOMENT = moment_of(small_pack(strings=2, series=5))
WORDS = {
    0xFEF1: (8, 16, 1.0 / 256.0 / 3.6, 0.0, "CCVS1", "speed_m_per_s"),
    0xFEF5: (24, 16, 0.03125, -273.0, "AMB", "ambient_degC"),
    0xFEF3: (0, 32, 1e-7, -210.0, "VP1", "latitude_deg"),
    0xF013: (0, 16, 0.002, -64.0, "SSI", "pitch_deg"),
}
"""By group of a message of the vehicle: place, width, scale and offset of a signal, and where our node keeps it."""
COMMANDS = {"connect": 0, "power_down": 2, "charger": 10}
"""First bit of commands of HVESSC1."""
SPEAK_EVERY = 100
MOST_FRAMES_AT_ONCE, MOST_FRAMES_SAID = 260, 400


class Known(NamedTuple):
    """What should be believed: by group of the vehicle, and by command, the last value and when it was heard."""

    words: dict[int, tuple[float, float]]
    commands: dict[str, tuple[float, float]]


def traffic(dice: np.random.Generator, count: int) -> tuple[list[CanFrame], set[tuple[int, int, int, bytes]]]:
    """Frames of every kind that the node listens to, of which a third are sessions of sound senders, and what these
    have sent."""
    sent: set[tuple[int, int, int, bytes]] = set()
    queues: list[list[CanFrame]] = [[] for _ in SOUND]
    made: list[CanFrame] = []
    kinds = dice.random(count)
    for kind in kinds:
        if kind < 0.35:
            k = int(dice.integers(0, len(SOUND)))
            while not queues[k]:
                queues[k] = session(dice, SOUND[k], sent)
            made.append(queues[k].pop(0))
        else:
            made.append(wild_frame(dice, float(kind)))
    return made, sent


def session(dice: np.random.Generator, sender: int, sent: set[tuple[int, int, int, bytes]]) -> list[CanFrame]:
    """A damaged session of a sound sender, to all or to us; nobody sends us packets whose announcement we missed."""
    group, receiver = int(dice.choice([0xFECA, 0xFC5D])), int(dice.choice([0xFF, OURS]))
    content = dice.bytes(int(dice.integers(9, 60)))
    whole = announced(group, sender, receiver, content)
    rows = damaged(dice, whole)
    if receiver == OURS and rows[0] != whole[0]:
        return []
    sent.add((group, sender, receiver, content))
    return [CanFrame(*row) for row in rows]


def wild_frame(dice: np.random.Generator, kind: float) -> CanFrame:
    """A frame without sense: of the vehicle, the controller, a session, a claim, a request, or of nothing at all."""
    data = dice.bytes(8 if dice.random() < 0.8 else int(dice.integers(0, 12)))
    source = int(dice.choice([0, 5, 11, 39, 249, OURS, 254]))
    receiver = int(dice.choice([OURS, OURS, 0xFF, 17]))
    control = bytes(
        [int(dice.choice([16, 17, 19, 32, 255, 7])), int(dice.integers(0, 30)), 0, int(dice.integers(0, 6))]
    )
    asked = int(dice.choice([65226, 65227, 65228, 65235, 65236, 64605, 64606, 60928, 61588, 1]))
    kinds = {
        0.6: (0x18000000 | int(dice.choice(list(WORDS))) << 8 | source, data),
        0.8: (0x0C1B0000 | receiver << 8 | source, data),
        0.9: (0x18EC0000 | receiver << 8 | source, control + data[:4]),
        0.95: (0x18EB0000 | receiver << 8 | source, bytes([int(dice.integers(0, 7))]) + data[:7]),
        0.97: (0x18EA0000 | receiver << 8 | source, asked.to_bytes(3, "little") + data[:2]),
        0.971: (0x18EEFF00 | source, data),
        1.0: (int(dice.integers(-5, 2**29 + 5)), data),
    }
    return CanFrame(*next(row for limit, row in kinds.items() if kind < limit))


def cut(data: bytes, start: int, bits: int) -> int | None:
    """The bits of a frame as a number; None where it is too short."""
    return None if start + bits > 8 * len(data) else int.from_bytes(data, "little") >> start & ((1 << bits) - 1)


def learned(known: Known, node: Node, time_s: float, frame: CanFrame) -> None:
    """Take a frame into what should be believed."""
    group, receiver = frame.can_id >> 8 & 0x3FFFF, frame.can_id >> 8 & 0xFF
    if not 0 <= frame.can_id < 1 << 29 or len(frame.data) > 8:
        return
    if group in WORDS:
        start, bits, scale, offset, _, _ = WORDS[group]
        raw = cut(frame.data, start, bits)
        reading = raw is not None and raw >> bits - 8 <= 0xFA
        known.words[group] = (raw * scale + offset if raw is not None and reading else math.nan, time_s)
    own = node.claim.address if node.claim.standing is not Standing.LOST else 0xFF
    if group & 0x3FF00 == 0x1B00 and receiver in {own, 0xFF}:
        for name, start in COMMANDS.items():
            raw = cut(frame.data, start, 2)
            if raw in {0, 1}:
                known.commands[name] = (float(raw), time_s)


def wrong_beliefs(known: Known, node: Node, time_s: float) -> int:
    """How much our node believes that was not said."""
    wrong = 0
    for group, (value, heard_s) in known.words.items():
        _, _, _, _, message, word = WORDS[group]
        place = next(k for k, s in enumerate(SOURCES) if (s.message, s.word) == (message, word))
        said, said_s = node.told[place]
        same = math.isclose(said, value, rel_tol=1e-12, abs_tol=1e-9) or (math.isnan(said) and math.isnan(value))
        wrong += not (same and said_s == heard_s)
    fresh = {name: value for name, (value, heard_s) in known.commands.items() if abs(time_s - heard_s) <= 0.5}
    off = fresh.get("power_down") == 1.0
    asked = requests(node, SETTINGS, time_s)
    wrong += asked.drive_request != float(fresh.get("connect") == 1.0 and not off)
    return wrong + (asked.charge_request != float(fresh.get("charger") == 1.0 and not off))


def unbounded(node: Node) -> bool:
    """Whether anything that the node keeps is larger than it may be."""
    arriving = node.transport.receiving.values()
    return (
        len(node.questions) > QUESTIONS
        or len(arriving) > tp.SESSIONS
        or sum(one.size for one in arriving) > tp.BYTES
        or len(node.transport.queue) > tp.QUEUED
        or len(node.claim.held) > 254
        or len(node.told) > len(SOURCES)
    )


def batch(dice: np.random.Generator, count: int) -> Counter[str]:
    """So many frames for a node that has just claimed its address, and for a transport beside it."""
    told = Counter(frames=count)
    node, sessions, known, time_s = claimed(SETTINGS, MOMENT), Transport(), Known({}, {}), 1.0
    heard, sent = traffic(dice, count)
    steps_s = np.where(dice.random(count) < 0.998, dice.uniform(0.0, 0.01, count), dice.choice([-1e3, 1e6, 2.0], count))
    for k, frame in enumerate(heard):
        time_s += float(steps_s[k])
        learned(known, node, time_s, frame)
        node, at_once = hear(node, SETTINGS, time_s, frame)
        sessions, messages, _ = tp.hear(sessions, time_s, OURS, frame)
        for m in messages:
            told["transport messages"] += 1
            told["wrong values"] += m.source in SOUND and (m.pgn, m.source, m.destination, m.data) not in sent
        told["floods"] += len(at_once) > MOST_FRAMES_AT_ONCE
        if k % SPEAK_EVERY == 0:
            told["wrong values"] += wrong_beliefs(known, node, time_s)
            sessions, _ = tp.tick(sessions, time_s, OURS)
            node, said = speak(node, SETTINGS, MOMENT, time_s)
            told["floods"] += len(said) > MOST_FRAMES_SAID or unbounded(node)
            told["wrong values"] += sum(not 0 <= f.can_id < 1 << 29 or len(f.data) > 8 for f in (*at_once, *said))
    return told
