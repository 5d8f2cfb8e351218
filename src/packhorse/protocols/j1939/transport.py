"""Messages longer than 8 bytes: broadcast (BAM) and from node to node (RTS/CTS), many at once, bounded.

    hear(transport, time_s, own, frame)   -> (transport, messages, frames)
    send(transport, time_s, message)      -> (transport, frames)
    tick(transport, time_s, own)          -> (transport, frames)

Whatever is malformed, out of order, too much or too late ends in a count, never in a message. Source: behaviour of
SAE J1939-21 as implemented in can-j1939 (MIT).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import NamedTuple

from packhorse.protocols.j1939.identifier import GLOBAL, CanFrame, Message, join, pgn_bytes, split

CONNECTION, DATA = 60416, 60160
PRIORITY = 7
IN_A_PACKET = 7
SHORTEST, LONGEST = 9, 1785
T1_S, T2_S, T3_S, T4_S = 0.75, 1.25, 1.25, 1.05
"""Longest wait for: the next packet; packets after asking for them; an answer; an answer after being held."""
BETWEEN_BAM_S = 0.05
WINDOW = 16
"""Packets asked for at a time."""
SESSIONS, BYTES, QUEUED = 32, 16 * LONGEST, 16
"""The most that is received at once, in sessions and in announced bytes; the most that waits to be sent."""
REPEATS = 2
HOLDS = 120
"""How often a receiver may ask for the same again, and how often in a row it may ask to wait."""


class ControlByte(IntEnum):
    """First byte of a connection message."""

    RTS = 16
    CTS = 17
    END = 19
    BAM = 32
    ABORT = 255


class Abort(IntEnum):
    """Why a session was broken off."""

    BUSY = 1
    RESOURCES = 2
    TIMEOUT = 3
    TOO_MANY_REPEATS = 5
    DUPLICATE = 8


class Receiving(NamedTuple):
    """A message that is arriving."""

    pgn: int
    size: int
    packets: int
    window: int  # packets to ask for at a time
    data: bytes
    asked_until: int  # last packet of this window
    repeats: int
    gap: bool  # a packet of this window was lost
    due_s: float
    wait_s: float  # the wait that ends at `due_s`


class Sending(NamedTuple):
    """A message that is leaving: packets up to `sent` are out."""

    message: Message
    sent: int
    repeats: int
    holds: int
    due_s: float
    wait_s: float


class Counts(NamedTuple):
    """What went wrong so far."""

    malformed: int = 0
    late: int = 0
    out_of_order: int = 0
    duplicate: int = 0
    aborted: int = 0
    refused: int = 0
    replaced: int = 0


class Transport(NamedTuple):
    """All sessions of one node."""

    receiving: Mapping[tuple[int, int], Receiving] = {}  # by source and destination
    sending: Mapping[int, Sending] = {}  # by destination
    queue: tuple[Message, ...] = ()
    counts: Counts = Counts()


Heard = tuple[Transport, tuple[Message, ...], tuple[CanFrame, ...]]
Step = tuple[Transport, tuple[CanFrame, ...]]


def packets(size: int) -> int:
    """How many packets carry that many bytes."""
    return -(-size // IN_A_PACKET)


def hear(transport: Transport, time_s: float, own: int, frame: CanFrame) -> Heard:
    """Take a frame in that may belong to a session with us or with everyone."""
    heard = split(frame.can_id)
    if heard.pgn not in {CONNECTION, DATA} or heard.destination not in {own, GLOBAL} or heard.source >= GLOBAL - 1:
        return transport, (), ()
    if len(frame.data) != 8:
        return counted(transport, malformed=1), (), ()
    key = heard.source, heard.destination
    if heard.pgn == DATA:
        return _data(transport, time_s, key, frame.data)
    if frame.data[0] in {ControlByte.RTS, ControlByte.BAM}:
        return _opened(transport, time_s, key, frame.data)
    answer = ANSWERS.get(frame.data[0]) if heard.destination != GLOBAL else None
    if answer is None:
        return counted(transport, malformed=1), (), ()
    return _with_no_message(answer(transport, time_s, key, frame.data))


def send(transport: Transport, time_s: float, message: Message) -> Step:
    """Send a message of 9 to 1785 bytes, or let it wait for one to the same destination.

    It takes the place of an older one that waits with the same parameter group; otherwise a full queue refuses it.
    Raises ValueError for any other length.
    """
    if not SHORTEST <= len(message.data) <= LONGEST:
        raise ValueError(f"message of {len(message.data)} bytes; sessions carry {SHORTEST} to {LONGEST}")
    if message.destination in transport.sending:
        rest = tuple(m for m in transport.queue if (m.pgn, m.destination) != (message.pgn, message.destination))
        if len(rest) >= QUEUED:
            return counted(transport, refused=1), ()
        transport = counted(transport, replaced=len(transport.queue) - len(rest))
        return transport._replace(queue=(*rest, message)), ()
    size, count = len(message.data), packets(len(message.data))
    if message.destination == GLOBAL:
        head = bytes([ControlByte.BAM, size & 0xFF, size >> 8, count, 0xFF])
        started = Sending(message, 0, 0, 0, time_s + BETWEEN_BAM_S, BETWEEN_BAM_S)
    else:
        head = bytes([ControlByte.RTS, size & 0xFF, size >> 8, count, 0xFF])
        started = Sending(message, 0, 0, 0, time_s + T3_S, T3_S)
    frame = _connection(message.source, message.destination, head, message.pgn)
    return transport._replace(sending={**transport.sending, message.destination: started}), (frame,)


def tick(transport: Transport, time_s: float, own: int) -> Step:
    """Let time pass: the next packet of a broadcast, or the end of a session that has waited too long."""
    frames: list[CanFrame] = []
    for key, arriving in transport.receiving.items():
        due_s = min(arriving.due_s, time_s + arriving.wait_s)  # should the clock have been set back
        if time_s >= due_s:
            transport, more = _overdue(transport, time_s, own, key)
            frames += more
        elif due_s < arriving.due_s:
            transport = _received(transport, key, arriving._replace(due_s=due_s))
    for destination, leaving in transport.sending.items():
        due_s = min(leaving.due_s, time_s + leaving.wait_s)
        if time_s >= due_s:
            step = _broadcast if destination == GLOBAL else _unanswered
            transport, more = step(transport, time_s, leaving)
            frames += more
        elif due_s < leaving.due_s:
            transport = _sent(transport, destination, leaving._replace(due_s=due_s))
    return transport, tuple(frames)


def counted(transport: Transport, **more: int) -> Transport:
    """The same with these counts raised."""
    counts = transport.counts
    raised = {name: getattr(counts, name) + by for name, by in more.items()}
    return transport._replace(counts=counts._replace(**raised))


def _opened(transport: Transport, time_s: float, key: tuple[int, int], data: bytes) -> Heard:
    """Someone announces a message."""
    source, own = key
    size, count, pgn = data[1] | data[2] << 8, data[3], _pgn(data)
    broadcast = own == GLOBAL
    sound = SHORTEST <= size <= LONGEST and count == packets(size) and pgn <= 0x3FFFF
    if not sound or (data[0] == ControlByte.BAM) != broadcast or (not broadcast and data[4] == 0):
        return counted(transport, malformed=1), (), ()
    if key in transport.receiving:  # the sender has started anew, so the old one will never end
        transport = counted(_received(transport, key, None), replaced=1)
    used = sum(arriving.size for arriving in transport.receiving.values())
    if len(transport.receiving) >= SESSIONS or used + size > BYTES:
        refusal = () if broadcast else (_connection(own, source, _abort(Abort.RESOURCES), pgn),)
        return counted(transport, refused=1), (), refusal
    if broadcast:
        arriving = Receiving(pgn, size, count, count, b"", count, 0, False, time_s + T1_S, T1_S)
        return _received(transport, key, arriving), (), ()
    arriving = Receiving(pgn, size, count, min(WINDOW, data[4]), b"", 0, 0, False, time_s, T2_S)
    return _with_no_message(_ask(transport, time_s, key, arriving))


def _data(transport: Transport, time_s: float, key: tuple[int, int], data: bytes) -> Heard:
    """A packet arrives."""
    arriving = transport.receiving.get(key)
    if arriving is None:
        return counted(transport, out_of_order=1), (), ()
    number, expected = data[0], len(arriving.data) // IN_A_PACKET + 1
    if 0 < number < expected:
        return _repeated(transport, key, arriving, data)
    if number != expected or number > arriving.asked_until:
        return _with_no_message(_lost(transport, time_s, key, arriving, number))
    arriving = arriving._replace(data=arriving.data + data[1:], due_s=time_s + T1_S, wait_s=T1_S)
    if number == arriving.packets:
        return _complete(transport, key, arriving)
    if number == arriving.asked_until:
        return _with_no_message(_ask(transport, time_s, key, arriving._replace(repeats=0)))
    return _received(transport, key, arriving), (), ()


def _repeated(transport: Transport, key: tuple[int, int], arriving: Receiving, data: bytes) -> Heard:
    """A packet that is there already. It does not prolong the wait, or a session might never end.

    Nobody repeats a broadcast, but a controller may hear its last packet twice. Any other, or one that says something
    else, is of a message whose announcement was lost: to go on would mix the two.
    """
    number, expected = data[0], len(arriving.data) // IN_A_PACKET + 1
    before = arriving.data[(number - 1) * IN_A_PACKET : number * IN_A_PACKET]
    if data[1:] == before and (key[1] != GLOBAL or number == expected - 1):
        return counted(transport, duplicate=1), (), ()
    transport = counted(transport, out_of_order=1)
    if key[1] == GLOBAL:
        return _received(transport, key, None), (), ()
    return _with_no_message(_give_up(transport, key, arriving, Abort.DUPLICATE))


def _lost(transport: Transport, time_s: float, key: tuple[int, int], arriving: Receiving, number: int) -> Step:
    """Another packet than the next one arrives: broadcasts cannot be mended, else the window is waited for."""
    transport = counted(transport, out_of_order=1)
    if key[1] == GLOBAL:
        return _received(transport, key, None), ()
    arriving = arriving._replace(gap=True)
    if number >= arriving.asked_until:
        return _ask_again(transport, time_s, key, arriving)
    return _received(transport, key, arriving), ()


def _complete(transport: Transport, key: tuple[int, int], arriving: Receiving) -> Heard:
    source, destination = key
    message = Message(arriving.pgn, source, destination, arriving.data[: arriving.size], PRIORITY)
    transport = _received(transport, key, None)
    if destination == GLOBAL:
        return transport, (message,), ()
    head = bytes([ControlByte.END, arriving.size & 0xFF, arriving.size >> 8, arriving.packets, 0xFF])
    return transport, (message,), (_connection(destination, source, head, arriving.pgn),)


def _ask(transport: Transport, time_s: float, key: tuple[int, int], arriving: Receiving) -> Step:
    """Ask for the next packets."""
    source, own = key
    expected = len(arriving.data) // IN_A_PACKET + 1
    count = min(arriving.window, arriving.packets - expected + 1)
    arriving = arriving._replace(asked_until=expected + count - 1, gap=False, due_s=time_s + T2_S, wait_s=T2_S)
    head = bytes([ControlByte.CTS, count, expected, 0xFF, 0xFF])
    return _received(transport, key, arriving), (_connection(own, source, head, arriving.pgn),)


def _ask_again(transport: Transport, time_s: float, key: tuple[int, int], arriving: Receiving) -> Step:
    """Ask for what was lost, or give up."""
    if arriving.repeats >= REPEATS:
        return _give_up(transport, key, arriving, Abort.TOO_MANY_REPEATS)
    return _ask(transport, time_s, key, arriving._replace(repeats=arriving.repeats + 1))


def _give_up(transport: Transport, key: tuple[int, int], arriving: Receiving, reason: Abort) -> Step:
    source, own = key
    frame = _connection(own, source, _abort(reason), arriving.pgn)
    return counted(_received(transport, key, None), aborted=1), (frame,)


def _overdue(transport: Transport, time_s: float, own: int, key: tuple[int, int]) -> Step:
    """A message has stopped arriving: where a packet was lost it is asked for, otherwise the session ends."""
    arriving = transport.receiving[key]
    transport = counted(transport, late=1)
    if key[1] != own:  # broadcast, or to an address that is no longer ours
        return _received(transport, key, None), ()
    if arriving.gap:
        return _ask_again(transport, time_s, key, arriving)
    return _give_up(transport, key, arriving, Abort.TIMEOUT)


def _cleared(transport: Transport, time_s: float, key: tuple[int, int], data: bytes) -> Step:
    """The receiver asks for packets, or to wait."""
    source, _ = key
    leaving = transport.sending.get(source)
    if leaving is None or leaving.message.pgn != _pgn(data):
        return counted(transport, out_of_order=1), ()
    count, first, last = data[1], data[2], packets(len(leaving.message.data))
    if count == 0:
        if leaving.holds >= HOLDS:
            return _drop(transport, time_s, leaving, Abort.TIMEOUT)
        held = leaving._replace(holds=leaving.holds + 1, due_s=time_s + T4_S, wait_s=T4_S)
        return _sent(transport, source, held), ()
    if not 1 <= first <= min(leaving.sent + 1, last):
        return counted(transport, malformed=1), ()
    repeats = leaving.repeats + 1 if first <= leaving.sent else 0
    if repeats > REPEATS:
        return _drop(transport, time_s, leaving, Abort.TOO_MANY_REPEATS)
    until = min(first + count - 1, last)
    frames = tuple(_packet(leaving.message, number) for number in range(first, until + 1))
    leaving = leaving._replace(
        sent=max(until, leaving.sent), repeats=repeats, holds=0, due_s=time_s + T3_S, wait_s=T3_S
    )
    return _sent(transport, source, leaving), frames


def _ended(transport: Transport, time_s: float, key: tuple[int, int], data: bytes) -> Step:
    """The receiver has everything."""
    source, _ = key
    leaving = transport.sending.get(source)
    if leaving is None or leaving.message.pgn != _pgn(data) or leaving.sent < packets(len(leaving.message.data)):
        return counted(transport, out_of_order=1), ()
    return _following(_sent(transport, source, None), time_s, source)


def _aborted(transport: Transport, time_s: float, key: tuple[int, int], data: bytes) -> Step:
    """The other side has broken a session off, whichever of the two it is."""
    (source, _), pgn = key, _pgn(data)
    arriving, leaving = transport.receiving.get(key), transport.sending.get(source)
    if arriving is not None and arriving.pgn == pgn:
        transport = counted(_received(transport, key, None), aborted=1)
    if leaving is not None and leaving.message.pgn == pgn:
        return _following(counted(_sent(transport, source, None), aborted=1), time_s, source)
    return transport, ()


ANSWERS: Mapping[int, Callable[[Transport, float, tuple[int, int], bytes], Step]] = {
    ControlByte.CTS: _cleared,
    ControlByte.END: _ended,
    ControlByte.ABORT: _aborted,
}
"""What a receiver can say to us, by the first byte."""


def _broadcast(transport: Transport, time_s: float, leaving: Sending) -> Step:
    """The next packet to everyone."""
    leaving = leaving._replace(sent=leaving.sent + 1, due_s=time_s + BETWEEN_BAM_S)
    frame = _packet(leaving.message, leaving.sent)
    if leaving.sent < packets(len(leaving.message.data)):
        return _sent(transport, GLOBAL, leaving), (frame,)
    transport, more = _following(_sent(transport, GLOBAL, None), time_s, GLOBAL)
    return transport, (frame, *more)


def _unanswered(transport: Transport, time_s: float, leaving: Sending) -> Step:
    return _drop(counted(transport, late=1), time_s, leaving, Abort.TIMEOUT)


def _drop(transport: Transport, time_s: float, leaving: Sending, reason: Abort) -> Step:
    """Break off what is leaving and go on with the next."""
    message = leaving.message
    frame = _connection(message.source, message.destination, _abort(reason), message.pgn)
    transport = counted(_sent(transport, message.destination, None), aborted=1)
    transport, more = _following(transport, time_s, message.destination)
    return transport, (frame, *more)


def _following(transport: Transport, time_s: float, destination: int) -> Step:
    """Start the next message that waits for this destination."""
    for place, message in enumerate(transport.queue):
        if message.destination == destination:
            rest = transport.queue[:place] + transport.queue[place + 1 :]
            return send(transport._replace(queue=rest), time_s, message)
    return transport, ()


def _packet(message: Message, number: int) -> CanFrame:
    part = message.data[(number - 1) * IN_A_PACKET : number * IN_A_PACKET]
    can_id = join(PRIORITY, DATA, message.destination, message.source)
    return CanFrame(can_id, bytes([number]) + part.ljust(IN_A_PACKET, b"\xff"))


def _connection(source: int, destination: int, head: bytes, pgn: int) -> CanFrame:
    return CanFrame(join(PRIORITY, CONNECTION, destination, source), head + pgn_bytes(pgn))


def _pgn(data: bytes) -> int:
    return int.from_bytes(data[5:8], "little")


def _abort(reason: Abort) -> bytes:
    return bytes([ControlByte.ABORT, reason, 0xFF, 0xFF, 0xFF])


def _received(transport: Transport, key: tuple[int, int], arriving: Receiving | None) -> Transport:
    """The same with one arriving message changed, or gone."""
    others = {k: other for k, other in transport.receiving.items() if k != key}
    return transport._replace(receiving=others if arriving is None else {**others, key: arriving})


def _sent(transport: Transport, destination: int, leaving: Sending | None) -> Transport:
    """The same with one leaving message changed, or gone."""
    others = {k: other for k, other in transport.sending.items() if k != destination}
    return transport._replace(sending=others if leaving is None else {**others, destination: leaving})


def _with_no_message(step: Step) -> Heard:
    transport, frames = step
    return transport, (), frames
