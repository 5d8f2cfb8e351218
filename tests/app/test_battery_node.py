"""Our battery as a pure node: whatever is heard, it lives on in bounded time and says nothing that it may not."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from node import node_cost
from nodes import node_settings
from packhorse import bms
from packhorse.app import battery_node
from packhorse.app.battery_node import MOST_OF_ONE, bounded
from packhorse.protocols.j1939.hvess import system_layouts
from packhorse.protocols.j1939.identifier import GLOBAL, LAST_IDENTIFIER, CanFrame, join, split
from packs import small_pack

PACK = small_pack(strings=2, series=9)
WIRING = battery_node.wired(PACK, node_settings())
IDS = [join(6, row.pgn, GLOBAL, row.source or 0) for row in WIRING.readings.rows]
IDS += [join(3, layout.pgn, GLOBAL, 39) for layout in system_layouts().values()]
ids = st.one_of(st.sampled_from(IDS), st.integers(0, LAST_IDENTIFIER))
frames = st.lists(st.builds(CanFrame, ids, st.binary(max_size=16)), max_size=40)


@settings(max_examples=60, deadline=None)
@given(st.lists(frames, min_size=1, max_size=6))
def test_nothing_that_is_heard_makes_it_raise(ticks: list[list[CanFrame]]) -> None:
    battery, _ = battery_node.wake(WIRING, bms.start(PACK), 0.0)
    for k, heard in enumerate(ticks):
        battery, answers = battery_node.hear(WIRING, battery, 0.1 * k, heard)
        battery, moment, said = battery_node.live(WIRING, battery, 0.1 * k)
        assert all(len(frame.data) <= 8 for frame in (*answers, *said))
        assert np.isfinite(moment.output.limits.discharge_W)


def test_commands_go_out_only_while_the_address_is_ours() -> None:
    battery, _ = battery_node.wake(WIRING, bms.start(PACK), 0.0)
    commands = {row.pgn for row in WIRING.commands.rows}
    spoke = []
    for k in range(5):
        battery, _, said = battery_node.live(WIRING, battery, 0.1 * k)
        spoke.append(bool(commands & {split(frame.can_id).pgn for frame in said}))
    assert spoke == [False, False, False, True, True]


def test_of_each_address_so_many_frames_are_taken_in_order() -> None:
    loud = [CanFrame(0x18FF0000 | 77, k.to_bytes(4, "little")) for k in range(1000)]
    calm = [CanFrame(0x18FF0000 | 78, bytes([k])) for k in range(200)]
    mixed = [frame for pair in zip(loud, calm * 5, strict=True) for frame in pair]
    fair, over = bounded(mixed)
    assert over == {77: 1000 - MOST_OF_ONE, 78: 1000 - MOST_OF_ONE}
    assert [frame for frame in fair if frame.can_id & 0xFF == 77] == loud[:MOST_OF_ONE]
    assert bounded(calm) == (calm, {})


def test_the_largest_board_is_no_babbler() -> None:
    largest = battery_node.boards.readings(1, 512, 512)
    assert sum(row.source == 128 for row in largest.rows) < MOST_OF_ONE


def test_the_cost_of_a_tick_can_be_measured() -> None:
    figure = node_cost(1, 12)
    assert figure.frames_in > 5
    assert figure.frames_out > 5
    assert math.isfinite(figure.share)
