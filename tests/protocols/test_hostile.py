"""What `scripts/fuzz_bus` does, for a moment; and that its judges notice what they are there for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

import hostile
import hostile_node
from packhorse.protocols import decoding, reassembly
from packhorse.protocols.frames import LONG


@pytest.mark.parametrize("seed", [101, 102])
def test_hostile_frames_give_no_wrong_value_and_sound_messages_arrive(seed: int) -> None:
    _, told = hostile.batch(hostile.begin(), np.random.default_rng(seed), 4000, every=5)
    assert told["wrong values"] == 0
    assert told["transport messages"] > 10


@pytest.mark.parametrize("seed", range(201, 206))
def test_our_node_believes_nothing_that_was_not_said(seed: int) -> None:
    told = hostile_node.batch(np.random.default_rng(seed), 1000)
    assert (told["wrong values"], told["floods"]) == (0, 0)
    assert told["transport messages"] > 5


def test_the_judges_notice_a_value_and_a_message_that_are_wrong() -> None:
    now = hostile.begin()
    heard, sent = hostile.hostile(np.random.default_rng(1), 4000)
    _, whole = reassembly.reassemble(now.sessions, heard)
    decoded = decoding.decode(now.plan, whole)
    assert hostile.wrong_values(now.plan, whole, decoded, 1) == 0
    assert hostile.wrong_values(now.plan, whole, decoded._replace(values=decoded.values + 1.0), 1) > 100
    assert hostile.wrong_messages(whole, sent) == 0
    last = next(k for k in np.flatnonzero(whole.flags & LONG)[::-1] if whole.id[k] & 0xFF in hostile.SOUND)
    whole.data[whole.start[last] + 3] ^= 1
    assert hostile.wrong_messages(whole, sent) == 1


def test_the_judge_of_the_node_notices_a_belief_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    words = {group: (*row[:3], row[3] + 1.0, *row[4:]) for group, row in hostile_node.WORDS.items()}
    monkeypatch.setattr(hostile_node, "WORDS", words)
    told: Counter[str] = hostile_node.batch(np.random.default_rng(201), 1000)
    assert told["wrong values"] > 0


def test_damaged_sessions_are_made_of_the_frames_of_the_sound_one() -> None:
    whole = hostile.announced(0xFECA, 0x40, 0xFF, bytes(range(30)))
    dice = np.random.default_rng(4)
    made = [hostile.damaged(dice, whole) for _ in range(300)]
    assert {data for rows in made for _, data in rows if len(data) == 8} == {data for _, data in whole}
    assert whole in made
    assert any(rows[0] != whole[0] for rows in made)
