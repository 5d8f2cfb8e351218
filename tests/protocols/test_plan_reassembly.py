"""Transport messages, with can-j1939's way of cutting them as the measure, and sessions that never end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.protocols import decoding, frames, plan, reassembly
from packhorse.protocols.frames import EXTENDED, LONG, CanFrames
from packhorse.protocols.plan import Message, Signal

Frame = tuple[float, int, bytes]


def announced(group: int, content: bytes, sender: int = 0xF3, receiver: int = 0xFF, t: float = 0.0) -> list[Frame]:
    """The packets of one message, 50 ms apart; to 0xFF by BAM, else as after RTS/CTS."""
    count = (len(content) + 6) // 7
    kind = 32 if receiver == 0xFF else 16
    head = bytes([kind, len(content) & 0xFF, len(content) >> 8, count, 0xFF]) + group.to_bytes(3, "little")
    made = [(t, 0x18EC0000 | receiver << 8 | sender, head)]
    for k in range(count):
        piece = content[7 * k : 7 * k + 7].ljust(7, b"\xff")
        made.append((t + 0.05 * (k + 1), 0x18EB0000 | receiver << 8 | sender, bytes([k + 1]) + piece))
    return made


def bus(some: list[Frame]) -> CanFrames:
    data = np.array([list(payload.ljust(8, b"\0")) for _, _, payload in some], np.uint8).reshape(-1, 8)
    return frames.from_rows(
        np.array([t for t, _, _ in some], dtype=np.float64),
        np.array([i for _, i, _ in some], np.uint32),
        data,
        length=np.array([len(p) for _, _, p in some], np.uint16),
    )


def long_ones(found: CanFrames) -> list[tuple[float, int, bytes]]:
    which = np.flatnonzero(found.flags & LONG)
    return [(float(found.time_s[k]), int(found.id[k]), frames.payload(found, k)) for k in which]


@given(
    size=st.integers(9, 1785), receiver=st.sampled_from([0xFF, 0x05]), parts=st.lists(st.integers(1, 50), max_size=30)
)
@settings(max_examples=60, deadline=None)
def test_messages_are_put_together_whole_or_in_batches(size: int, receiver: int, parts: list[int]) -> None:
    content = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()
    heard = bus(announced(0xFC5D, content, receiver=receiver))
    now, begin, found = reassembly.start(), 0, []
    for part in [*parts, heard.id.size]:
        now, out = reassembly.reassemble(now, frames.take(heard, slice(begin, begin + part)))
        found += long_ones(out)
        begin += part
    assert found == [(pytest.approx(heard.time_s[-1]), 0x18FC5DF3, content)]
    assert reassembly.open_sessions(now) == 0
    assert reassembly.outcomes(now)["whole"] == 1


def test_the_frames_themselves_stay_as_they_are() -> None:
    heard = bus([*announced(0xFECA, bytes(20)), (9.0, 0x18FEF100, bytes(range(8)))])
    _, out = reassembly.reassemble(reassembly.start(), heard)
    kept = frames.take(out, out.flags & LONG == 0)
    assert np.array_equal(kept.id, heard.id)
    assert np.array_equal(frames.rows(kept, 8), frames.rows(heard, 8))
    assert out.id.size == heard.id.size + 1
    assert out.flags[heard.id.size - 1] == EXTENDED | LONG


def test_messages_to_one_node_keep_their_receiver() -> None:
    _, out = reassembly.reassemble(reassembly.start(), bus(announced(0x1B00, bytes(10), sender=0x05, receiver=0x5B)))
    assert long_ones(out)[0][1] == 0x181B5B05


def test_many_sessions_at_once_are_kept_apart() -> None:
    contents = {sender: bytes([sender]) * (30 + sender) for sender in range(60)}
    mixed = sorted(
        f for sender, content in contents.items() for f in announced(0xFECA, content, sender, t=1e-4 * sender)
    )
    _, out = reassembly.reassemble(reassembly.start(), bus(mixed))
    assert {identifier & 0xFF: content for _, identifier, content in long_ones(out)} == contents


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (lambda f: f[:2] + f[3:], "out of order"),
        (lambda f: [*f[:3], *((t + 2.0, i, p) for t, i, p in f[3:])], "silent"),
        (lambda f: f[:3] + f, "begun anew"),
        (lambda f: f[1:], "lost its begin"),
        (
            lambda f: [*f[:3], (0.2, 0x18EC05FF & ~0xFF | 0xF3, bytes([255, 1, 255, 255, 255, 0x5D, 0xFC, 0])), *f[3:]],
            "",
        ),
        (lambda f: [(0.0, f[0][1], bytes([32, 5, 0, 1, 255, 0, 0, 0])), *f[1:]], "impossible"),
        (lambda f: [(0.0, f[0][1], f[0][2][:5] + b"\xff\xff\xff"), *f[1:]], "impossible"),
        (lambda f: [*f[:4], (f[3][0], *f[1][1:]), *f[4:]], "out of order"),
        (lambda f: [(0.0, f[0][1], bytes([32, 255, 255, 255, 255, 0, 0, 0])), *f[1:]], "impossible"),
    ],
)
def test_broken_sessions_give_nothing_and_are_counted(change: object, outcome: str) -> None:
    sent = announced(0xFC5D, bytes(range(40)))
    heard = change(sent)  # type: ignore[operator]
    now, out = reassembly.reassemble(reassembly.start(), bus(heard))
    whole = long_ones(out)
    assert all(content == bytes(range(40)) for _, _, content in whole)
    if outcome:
        assert reassembly.outcomes(now)[outcome] == 1
    assert len(whole) == (1 if outcome in ("begun anew", "") else 0)


@pytest.mark.parametrize("receiver", [0xFF, 0x05])
def test_a_message_whose_announcement_was_lost_is_not_mixed_with_the_one_before(receiver: int) -> None:
    old, new = (announced(0xFC5D, bytes([n]) * 40, receiver=receiver, t=0.3 * n) for n in (0, 1))
    now, out = reassembly.reassemble(reassembly.start(), bus([*old[:3], *new[1:]]))
    assert not long_ones(out)
    assert reassembly.open_sessions(now) == 0


def test_packets_sent_again_are_taken_once_and_do_not_keep_a_session_alive() -> None:
    content = bytes(range(40))
    sent = announced(0xFC5D, content, receiver=0x05)
    _, out = reassembly.reassemble(reassembly.start(), bus([*sent[:5], *((0.3 + t, i, p) for t, i, p in sent[2:])]))
    assert [found for _, _, found in long_ones(out)] == [content]
    again = [(0.1 + k, sent[1][1], sent[1][2]) for k in range(5)]
    now, _ = reassembly.reassemble(reassembly.start(), bus([*sent[:2], *again]))
    assert reassembly.outcomes(now)["silent"] == 1


def test_one_batch_may_finish_many_sessions() -> None:
    contents = {sender: bytes([sender]) * 1785 for sender in range(40)}
    sent = [announced(0xFECA, content, sender, t=1e-4 * sender) for sender, content in contents.items()]
    early, late = sorted(f for one in sent for f in one[:-1]), sorted(one[-1] for one in sent)
    now, _ = reassembly.reassemble(reassembly.start(), bus(early))
    _, out = reassembly.reassemble(now, bus(late))
    assert {identifier & 0xFF: content for _, identifier, content in long_ones(out)} == contents


def test_sessions_that_never_end_take_no_memory() -> None:
    begun = [announced(0xFECA, bytes(100), s % 250, s // 250, t=1e-3 * s)[0] for s in range(5000)]
    now, _ = reassembly.reassemble(reassembly.start(), bus(begun))
    assert reassembly.open_sessions(now) == reassembly.SESSIONS
    assert (
        reassembly.outcomes(now)["too many at once"] + reassembly.outcomes(now)["silent"] == 5000 - reassembly.SESSIONS
    )


def test_long_messages_are_decoded_as_far_as_they_go() -> None:
    ours = plan.build(
        [Message("HIST", 0x1CFC5EFE, (Signal("health", 0, 8, 0.4), Signal("output", 120, 32)), length=19, j1939=True)]
    )
    content = bytes([250]) + bytes(14) + (123456).to_bytes(4, "little")
    _, out = reassembly.reassemble(
        reassembly.start(), bus(announced(0xFC5E, content) + announced(0xFC5E, content[:17], t=5.0))
    )
    decoded = decoding.decode(ours, out)
    assert decoding.column(ours, decoded, "HIST.health").values.tolist() == [100.0, 100.0]
    output = decoding.column(ours, decoded, "HIST.output").values
    assert output[0] == 123456
    assert np.isnan(output[1])


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100), st.sampled_from([0x18EC0000, 0x18EB0000, 0x18ECFF01, 0x18EBFF01]), st.binary(max_size=8)
        ),
        max_size=200,
    )
)
@settings(max_examples=100, deadline=None)
def test_anything_on_the_bus_is_survived(some: list[Frame]) -> None:
    if some:
        now, out = reassembly.reassemble(reassembly.start(), bus(some))
        assert out.id.size - len(some) == reassembly.outcomes(now)["whole"]
        assert (out.start + out.length <= out.data.size).all()
