"""Long messages: round trips, every pattern of loss and repetition, bounds, and hostile frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.protocols.j1939 import transport as tp
from packhorse.protocols.j1939.identifier import GLOBAL, CanFrame, Message, join, split
from packhorse.protocols.j1939.transport import CONNECTION, DATA, Transport, hear, packets, send, tick

A, B = 17, 243


def text(length: int) -> bytes:
    return bytes((7 * k + length) & 0xFF for k in range(length))


def told(source: int, destination: int, *data: int) -> CanFrame:
    return CanFrame(join(7, CONNECTION, destination, source), bytes(data))


def packet(source: int, destination: int, number: int, data: bytes = b"abcdefg") -> CanFrame:
    return CanFrame(join(7, DATA, destination, source), bytes([number]) + data)


def bam(source: int, size: int, pgn: int = 65226) -> CanFrame:
    return told(source, GLOBAL, 32, size & 0xFF, size >> 8, packets(size), 0xFF, *pgn.to_bytes(3, "little"))


def rts(source: int, size: int, at_once: int = 255, pgn: int = 64605) -> CanFrame:
    return told(source, B, 16, size & 0xFF, size >> 8, packets(size), at_once, *pgn.to_bytes(3, "little"))


def all_heard(transport: Transport, time_s: float, frames: Iterable[CanFrame]) -> tuple[Transport, list[Message]]:
    got: list[Message] = []
    for frame in frames:
        transport, messages, _ = hear(transport, time_s, B, frame)
        got += messages
    return transport, got


def talk(message: Message) -> tuple[Message, float]:
    """Send a message from A to B over a perfect bus; gives back what arrived, and when."""
    a, frames = send(Transport(), 0.0, message)
    b, time_s = Transport(), 0.0
    got: list[Message] = []
    while a.sending:
        while frames:
            back: tuple[CanFrame, ...] = ()
            for frame in frames:
                b, messages, more = hear(b, time_s, B, frame)
                got, back = [*got, *messages], back + more
            frames = ()
            for frame in back:
                a, _, more = hear(a, time_s, A, frame)
                frames += more
        time_s += 0.01
        a, frames = tick(a, time_s, A)
        if not a.sending:
            b, messages = all_heard(b, time_s, frames)
            got += messages
    assert a == Transport()
    assert b == Transport()
    (one,) = got
    return one, time_s


@pytest.mark.parametrize("size", [9, 13, 14, 15, 112, 113, 1784, 1785])
@pytest.mark.parametrize("destination", [B, GLOBAL])
def test_a_message_of_any_length_arrives_whole(size: int, destination: int) -> None:
    message = Message(64605, A, destination, text(size), 7)
    got, time_s = talk(message)
    assert got == message
    if destination == GLOBAL:
        assert time_s == pytest.approx(0.05 * packets(size), abs=0.011 * packets(size))


@pytest.mark.parametrize("size", [0, 8, 1786])
def test_a_length_that_no_session_carries_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="9 to 1785"):
        send(Transport(), 0.0, Message(64605, A, B, bytes(size)))


def test_the_sender_is_asked_for_no_more_than_it_offers() -> None:
    transport, _, frames = hear(Transport(), 0.0, B, rts(A, 100, at_once=3))
    assert frames == (told(B, A, 17, 3, 1, 0xFF, 0xFF, 0x5D, 0xFC, 0),)
    for number in (1, 2, 3):
        transport, _, frames = hear(transport, 0.1, B, packet(A, B, number))
    assert frames == (told(B, A, 17, 3, 4, 0xFF, 0xFF, 0x5D, 0xFC, 0),)


def test_a_lost_packet_is_asked_for_again_and_the_message_arrives() -> None:
    transport, _, _ = hear(Transport(), 0.0, B, rts(A, 21))
    transport, _, _ = hear(transport, 0.0, B, packet(A, B, 1))
    transport, _, frames = hear(transport, 0.0, B, packet(A, B, 3))
    assert frames == (told(B, A, 17, 2, 2, 0xFF, 0xFF, 0x5D, 0xFC, 0),)
    transport, got = all_heard(transport, 0.0, [packet(A, B, 2), packet(A, B, 3)])
    assert got == [Message(64605, A, B, b"abcdefg" * 3, 7)]


def test_a_packet_that_is_lost_again_and_again_ends_the_session_with_an_abort() -> None:
    transport, _, _ = hear(Transport(), 0.0, B, rts(A, 21))
    for _ in range(3):
        transport, _, frames = hear(transport, 0.0, B, packet(A, B, 3))
    assert frames == (told(B, A, 255, 5, 0xFF, 0xFF, 0xFF, 0x5D, 0xFC, 0),)
    assert not transport.receiving


def test_a_broadcast_with_a_gap_is_dropped_and_its_last_packet_heard_twice_ignored() -> None:
    transport, got = all_heard(Transport(), 0.0, [bam(A, 20), packet(A, GLOBAL, 1), packet(A, GLOBAL, 1)])
    assert transport.counts.duplicate == 1
    transport, got = all_heard(transport, 0.0, [packet(A, GLOBAL, 3), packet(A, GLOBAL, 2)])
    assert not got
    assert not transport.receiving
    assert transport.counts.out_of_order == 2


@pytest.mark.parametrize("destination", [B, GLOBAL])
def test_a_session_whose_sender_began_another_unheard_is_not_mixed_with_it(destination: int) -> None:
    opening = bam(A, 28) if destination == GLOBAL else rts(A, 28)
    old = [packet(A, destination, number, b"oldpack") for number in (1, 2)]
    new = [packet(A, destination, number, b"newpack") for number in (1, 2, 3, 4)]
    transport, got = all_heard(Transport(), 0.0, [opening, *old, *new])
    assert not got
    assert not transport.receiving
    assert transport.counts.out_of_order + transport.counts.aborted >= 1


def test_a_broadcast_goes_on_after_its_last_packet_is_heard_twice_but_not_after_an_older_one() -> None:
    begun = [bam(A, 28), packet(A, GLOBAL, 1), packet(A, GLOBAL, 2)]
    rest = [packet(A, GLOBAL, 3), packet(A, GLOBAL, 4)]
    assert len(all_heard(Transport(), 0.0, [*begun, packet(A, GLOBAL, 2), *rest])[1]) == 1
    assert not all_heard(Transport(), 0.0, [*begun, packet(A, GLOBAL, 1), *rest])[1]


def test_sessions_of_one_sender_to_all_and_to_us_run_side_by_side() -> None:
    opened = [bam(A, 14, 65226), rts(A, 21, pgn=64605)]
    mixed = [packet(A, GLOBAL, 1, b"toevery"), packet(A, B, 1, b"to_us_1"), packet(A, B, 2, b"to_us_2")]
    rest = [packet(A, GLOBAL, 2, b"body..."), packet(A, B, 3, b"to_us_3")]
    transport, got = all_heard(Transport(), 0.0, [*opened, *mixed, *rest])
    assert [(m.pgn, m.destination, m.data) for m in got] == [
        (65226, GLOBAL, b"toeverybody..."),
        (64605, B, b"to_us_1to_us_2to_us_3"),
    ]
    assert transport == Transport()


def test_a_sender_whose_clear_to_send_was_lost_says_so_and_the_receiver_ends_too() -> None:
    a, opening = send(Transport(), 0.0, Message(64605, A, B, text(40)))
    b, _, _ = hear(Transport(), 0.0, B, opening[0])  # its answer is lost
    a, told_a = tick(a, 1.25, A)
    assert [f.data[:2] for f in told_a] == [b"\xff\x03"]
    b, _, _ = hear(b, 1.25, B, told_a[0])
    assert (a.sending, b.receiving, b.counts.aborted) == ({}, {}, 1)


@pytest.mark.parametrize(("opening", "after_s"), [(bam(A, 20), 0.75), (rts(A, 20), 1.25)])
def test_a_session_that_falls_silent_ends(opening: CanFrame, after_s: float) -> None:
    transport, _, _ = hear(Transport(), 5.0, B, opening)
    transport, frames = tick(transport, 5.0 + after_s - 0.01, B)
    assert transport.receiving
    assert not frames
    transport, frames = tick(transport, 5.0 + after_s, B)
    assert not transport.receiving
    assert transport.counts.late == 1
    assert [f.data[:2] for f in frames] == ([b"\xff\x03"] if after_s > 1 else [])


def test_a_receiver_that_does_not_answer_is_given_up_after_1_25_s_and_the_next_message_starts() -> None:
    transport, _ = send(Transport(), 0.0, Message(1, A, B, text(20)))
    transport, frames = send(transport, 0.0, Message(2, A, B, text(30)))
    assert not frames
    transport, frames = tick(transport, 1.25, A)
    assert [f.data[0] for f in frames] == [255, 16]
    assert transport.sending[B].message.pgn == 2


def test_a_receiver_may_ask_to_wait_but_not_for_ever() -> None:
    transport, _ = send(Transport(), 0.0, Message(1, A, B, text(20)))
    hold = told(B, A, 17, 0, 255, 255, 255, 1, 0, 0)
    time_s = 0.0
    while transport.sending:
        transport, _, _ = hear(transport, time_s, A, hold)
        time_s += 1.0
        transport, _ = tick(transport, time_s, A)
        assert time_s < 200
    assert time_s > 100


def test_a_message_that_waits_is_replaced_by_a_newer_one_of_its_kind() -> None:
    transport, _ = send(Transport(), 0.0, Message(1, A, GLOBAL, text(20)))
    for length in (21, 22):
        transport, _ = send(transport, 0.0, Message(1, A, GLOBAL, text(length)))
    assert [len(m.data) for m in transport.queue] == [22]
    assert transport.counts.replaced == 1


def test_more_than_can_wait_is_refused() -> None:
    transport = Transport()
    for pgn in range(20):
        transport, _ = send(transport, 0.0, Message(pgn, A, B, text(20)))
    assert len(transport.queue) == tp.QUEUED
    assert transport.counts.refused == 3


def test_many_senders_at_once_are_kept_apart() -> None:
    sources = range(1, 13)
    opened = [bam(s, 14, 60000 + s) for s in sources]
    rest = [packet(s, GLOBAL, number, bytes([s] * 7)) for number in (1, 2) for s in sources]
    _, got = all_heard(Transport(), 0.0, [*opened, *rest])
    assert [(m.source, m.pgn, m.data) for m in got] == [(s, 60000 + s, bytes([s] * 14)) for s in sources]


def test_sessions_are_bounded_in_number_and_in_bytes() -> None:
    small, _ = all_heard(Transport(), 0.0, [bam(s, 9) for s in range(200)])
    assert len(small.receiving) == tp.SESSIONS == 32
    assert small.counts.refused == 200 - 32
    large, _ = all_heard(Transport(), 0.0, [bam(s, 1785) for s in range(200)])
    assert sum(r.size for r in large.receiving.values()) == tp.BYTES == 16 * 1785
    _, _, frames = hear(small, 0.0, B, rts(A, 20))
    assert frames[0].data[:2] == b"\xff\x02"


def test_a_session_that_is_opened_anew_begins_anew() -> None:
    transport, _ = all_heard(Transport(), 0.0, [bam(A, 20), packet(A, GLOBAL, 1), bam(A, 14)])
    assert transport.counts.replaced == 1
    _, got = all_heard(transport, 0.0, [packet(A, GLOBAL, 1), packet(A, GLOBAL, 2)])
    assert [len(m.data) for m in got] == [14]


def test_repeated_packets_do_not_prolong_a_session() -> None:
    transport, _ = all_heard(Transport(), 0.0, [bam(A, 20), packet(A, GLOBAL, 1)])
    for k in range(8):
        transport, _ = all_heard(transport, 0.1 * k, [packet(A, GLOBAL, 1)])
        transport, _ = tick(transport, 0.1 * k, B)
    assert not transport.receiving or tick(transport, 0.76, B)[0].receiving == {}


def test_a_clock_that_is_set_back_does_not_keep_a_session_for_ever() -> None:
    transport, _ = all_heard(Transport(), 1e6, [bam(A, 20)])
    transport, _ = tick(transport, 0.0, B)
    assert tick(transport, 0.75, B)[0].receiving == {}


@pytest.mark.parametrize(
    "frame",
    [
        told(A, B, 16, 20, 0, 2, 255, 0, 0, 0),  # 20 bytes are three packets
        told(A, B, 16, 8, 0, 2, 255, 0, 0, 0),
        told(A, B, 16, 0xFA, 0x06, 0, 255, 0, 0, 0),
        told(A, B, 16, 20, 0, 3, 0, 0, 0, 0),
        told(A, B, 32, 20, 0, 3, 255, 0, 0, 0),
        told(A, GLOBAL, 16, 20, 0, 3, 255, 0, 0, 0),
        told(A, GLOBAL, 17, 1, 1, 255, 255, 0, 0, 0),
        told(A, B, 99, 1, 1, 255, 255, 0, 0, 0),
        told(A, B, 16, 20, 0, 3, 255, 255, 255, 255),
        told(A, B, 16, 20),
        CanFrame(join(7, DATA, B, A), b"\x01"),
    ],
)
def test_malformed_frames_are_counted_and_nothing_else(frame: CanFrame) -> None:
    transport, messages, frames = hear(Transport(), 0.0, B, frame)
    assert (messages, frames) == ((), ())
    assert transport == tp.counted(Transport(), malformed=1)


@pytest.mark.parametrize("source", [254, 255])
def test_a_sender_without_address_opens_no_session(source: int) -> None:
    assert hear(Transport(), 0.0, B, bam(source, 20)) == (Transport(), (), ())


def test_the_bytes_of_each_connection_message_are_those_of_j1939() -> None:
    pgn = b"\x5d\xfc\x00"
    _, (opening,) = send(Transport(), 0.0, Message(64605, A, B, text(300)))
    assert opening.data == b"\x10\x2c\x01\x2b\xff" + pgn
    b, _, (clear,) = hear(Transport(), 0.0, B, opening)
    assert clear.data == b"\x11\x10\x01\xff\xff" + pgn
    _, (broadcast,) = send(Transport(), 0.0, Message(64605, A, GLOBAL, text(300)))
    assert broadcast.data == b"\x20\x2c\x01\x2b\xff" + pgn
    for number in range(1, 44):
        b, messages, frames = hear(b, 0.0, B, packet(A, B, number))
    assert [f.data for f in frames] == [b"\x13\x2c\x01\x2b\xff" + pgn]
    assert len(messages[0].data) == 300


@pytest.mark.parametrize(("pgn", "open_sessions"), [(64605, 0), (64606, 1)])
def test_an_abort_ends_the_session_that_it_names_and_no_other(pgn: int, open_sessions: int) -> None:
    abort = told(A, B, 255, 1, 255, 255, 255, *pgn.to_bytes(3, "little"))
    arriving, _ = all_heard(Transport(), 0.0, [rts(A, 20), abort])
    leaving, _ = send(Transport(), 0.0, Message(64605, B, A, text(20)))
    leaving, _ = all_heard(leaving, 0.0, [abort])
    assert (len(arriving.receiving), len(leaving.sending)) == (open_sessions, open_sessions)
    assert arriving.counts.aborted == leaving.counts.aborted == 1 - open_sessions


def cleared(first: int, count: int = 1) -> CanFrame:
    return told(B, A, 17, count, first, 255, 255, 1, 0, 0)


def test_a_receiver_that_asks_for_the_same_for_the_third_time_is_given_up() -> None:
    transport, _ = send(Transport(), 0.0, Message(1, A, B, text(20)))
    for _ in range(3):
        transport, _, frames = hear(transport, 0.0, A, cleared(1))
        assert [f.data[0] for f in frames] == [1]
    transport, _, frames = hear(transport, 0.0, A, cleared(1))
    assert [f.data[:2] for f in frames] == [b"\xff\x05"]
    assert transport == tp.counted(Transport(), aborted=1)


def test_a_receiver_that_goes_on_is_not_counted_as_asking_again() -> None:
    transport, _ = send(Transport(), 0.0, Message(1, A, B, text(70)))
    for first in (1, 1, 2, 2, 3, 3, 4, 4):
        transport, _, frames = hear(transport, 0.0, A, cleared(first))
        assert [f.data[0] for f in frames] == [first]


@pytest.mark.parametrize("first", [0, 2, 4])
def test_packets_that_do_not_come_next_are_not_sent(first: int) -> None:
    transport, _ = send(Transport(), 0.0, Message(1, A, B, text(20)))
    transport, _, frames = hear(transport, 0.0, A, cleared(first))
    assert frames == ()
    assert transport.counts.malformed == 1


def test_each_wait_begins_with_what_was_heard_last() -> None:
    transport, _ = send(Transport(), 0.0, Message(1, A, B, text(20)))
    transport, _, _ = hear(transport, 1.0, A, cleared(1))
    assert tick(transport, 2.2, A)[0].sending
    assert not tick(transport, 2.25, A)[0].sending
    arriving, _ = all_heard(Transport(), 0.0, [rts(A, 20)])
    arriving, _ = all_heard(arriving, 1.0, [packet(A, B, 1)])
    assert tick(arriving, 1.7, B)[0].receiving
    assert not tick(arriving, 1.75, B)[0].receiving


def test_what_waits_for_one_destination_is_not_sent_to_another() -> None:
    transport = Transport()
    for pgn, destination in [(1, B), (2, 99), (3, 99), (4, B), (5, 99)]:
        transport, _ = send(transport, 0.0, Message(pgn, A, destination, text(20)))
    transport, _ = tick(transport, 1.25, A)
    assert {d: s.message.pgn for d, s in transport.sending.items()} == {B: 4, 99: 3}
    assert [m.pgn for m in transport.queue] == [5]


def test_sessions_of_others_are_not_ours() -> None:
    assert hear(Transport(), 0.0, 99, rts(A, 20)) == (Transport(), (), ())


def explored(size: int, faults: int) -> set[tuple[int, bool]]:
    """How a transfer ends over every choice of frames lost and repeated: messages that arrived, whether A is told."""
    message = Message(64605, A, B, text(size), 7)
    a, out = send(Transport(), 0.0, message)
    first = (a, Transport(), out, (), 0, 0, 0.0)
    queue, seen, ends = [first], set(), set()
    while queue:
        world = queue.pop()
        a, b, to_b, to_a, got, used, time_s = world
        if repr(world) in seen:
            continue
        seen.add(repr(world))
        assert len(seen) < 100_000
        if not to_b and not to_a:
            if not a.sending and not b.receiving:
                ends.add((got, a.counts.aborted == 0))
                continue
            assert time_s < 60
            a, sent = tick(a, time_s + 0.4, A)
            b, back = tick(b, time_s + 0.4, B)
            queue.append((a, b, sent, back, got, used, time_s + 0.4))
        if to_b:
            after, messages, back = hear(b, time_s, B, to_b[0])
            assert all(m == message for m in messages)
            queue.append((a, after, to_b[1:], to_a + back, got + len(messages), used, time_s))
            if used < faults:
                queue.append((a, b, to_b[1:], to_a, got, used + 1, time_s))
                queue.append((a, b, (to_b[0], *to_b), to_a, got, used + 1, time_s))
        if to_a:
            after, _, sent = hear(a, time_s, A, to_a[0])
            queue.append((after, b, to_b + sent, to_a[1:], got, used, time_s))
            if used < faults:
                queue.append((a, b, to_b, to_a[1:], got, used + 1, time_s))
                queue.append((a, b, to_b, (to_a[0], *to_a), got, used + 1, time_s))
    return ends


def test_without_faults_there_is_one_end() -> None:
    assert explored(21, 0) == {(1, True)}


@pytest.mark.parametrize(("size", "faults"), [(9, 3), (21, 2)])
def test_whatever_is_lost_or_repeated_both_sides_end_and_no_message_arrives_changed(size: int, faults: int) -> None:
    ends = explored(size, faults)
    assert (1, True) in ends
    assert (0, True) not in ends


hostile = st.one_of(
    st.builds(
        told,
        st.integers(0, 3),
        st.sampled_from([B, GLOBAL]),
        st.sampled_from([16, 17, 19, 32, 255, 5]),
        st.integers(0, 30),
        st.sampled_from([0, 0, 0, 6, 255]),
        st.integers(0, 6),
        st.sampled_from([0, 1, 3, 255]),
        st.integers(0, 2),
        st.just(0),
        st.sampled_from([0, 255]),
    ),
    st.builds(
        packet, st.integers(0, 3), st.sampled_from([B, GLOBAL]), st.integers(0, 6), st.binary(min_size=7, max_size=7)
    ),
    st.builds(CanFrame, st.integers(0, 0x1FFFFFFF), st.binary(max_size=8)),
)


@given(st.lists(st.tuples(st.floats(0, 1), hostile), max_size=80))
def test_hostile_frames_never_raise_and_everything_stays_bounded(heard: list[tuple[float, CanFrame]]) -> None:
    transport, time_s = Transport(), 0.0
    transport, _ = send(transport, 0.0, Message(1, B, 1, text(40)))
    for dt_s, frame in heard:
        time_s += dt_s
        transport, messages, frames = hear(transport, time_s, B, frame)
        transport, more = tick(transport, time_s, B)
        assert len(messages) <= 1
        assert len(frames) <= 255
        assert len(more) <= len(transport.sending) + 2 * tp.SESSIONS
        assert all(9 <= len(m.data) <= 1785 for m in messages)
        assert len(transport.receiving) <= tp.SESSIONS
        assert sum(r.size for r in transport.receiving.values()) <= tp.BYTES
        assert all(split(f.can_id).source == B for f in itertools.chain(frames, more))
    for _ in range(300):
        time_s += 1.0
        transport, _ = tick(transport, time_s, B)
    assert not transport.receiving
    assert not transport.sending
