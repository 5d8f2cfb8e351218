"""Address claim, by table, by all orders of events of two and three nodes, and with hostile frames."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.protocols.j1939.claim import (
    ADDRESS_CLAIMED,
    ANSWERS_S,
    REPEAT_S,
    RETRY_S,
    WAIT_S,
    Claim,
    Standing,
    begin,
    choices,
    delay_s,
    hear,
    tick,
)
from packhorse.protocols.j1939.identifier import GLOBAL, NULL, CanFrame, join, split
from packhorse.protocols.j1939.name import Name, name_bytes, name_number
from packhorse.protocols.j1939.request import request

FIXED, MOVING = (name_number(Name(7, 100, 0, 0, 50, 0, 0, 0, 0, move)) for move in (0, 1))
OURS = 243


def claim_frame(name: int, address: int) -> CanFrame:
    return CanFrame(join(6, ADDRESS_CLAIMED, GLOBAL, address), name_bytes(name))


def settled(name: int = MOVING, address: int = OURS) -> Claim:
    claim, _ = begin(name, choices(name, address), 0.0)
    return tick(claim, WAIT_S)[0]


def test_a_node_claims_waits_a_quarter_of_a_second_and_has_its_address() -> None:
    claim, sent = begin(MOVING, choices(MOVING, OURS), 10.0)
    assert sent == (claim_frame(MOVING, OURS),)
    assert tick(claim, 10.249)[0].standing is Standing.WAITING
    claim, sent = tick(claim, 10.25)
    assert (claim.standing, claim.address, sent) == (Standing.CLAIMED, OURS, ())


@pytest.mark.parametrize("ready", [False, True])
def test_a_higher_name_is_answered_and_the_address_kept(ready: bool) -> None:
    claim = settled() if ready else begin(MOVING, choices(MOVING, OURS), 0.0)[0]
    claim, sent = hear(claim, 0.3, claim_frame(MOVING + 1, OURS))
    assert sent == (claim_frame(MOVING, OURS),)
    assert (claim.address, claim.contended) == (OURS, 1)


@pytest.mark.parametrize("ready", [False, True])
def test_a_lower_name_takes_the_address_and_another_is_claimed_for_which_the_wait_begins_again(ready: bool) -> None:
    claim = settled() if ready else begin(MOVING, choices(MOVING, OURS), 0.0)[0]
    claim, sent = hear(claim, 5.0, claim_frame(MOVING - 1, OURS))
    assert sent == (claim_frame(MOVING, 128),)
    assert (claim.standing, claim.since_s) == (Standing.WAITING, 5.0)
    assert tick(claim, 5.25)[0].standing is Standing.CLAIMED


def test_addresses_that_others_hold_are_passed_over() -> None:
    claim = settled()
    for taken in range(128, 140):
        claim, _ = hear(claim, 1.0, claim_frame(1000 + taken, taken))
    claim, _ = hear(claim, 2.0, claim_frame(5, OURS))
    assert claim.address == 140


def test_a_node_that_moved_has_left_its_old_address() -> None:
    claim = settled()
    claim, _ = hear(claim, 1.0, claim_frame(77, 128))
    claim, _ = hear(claim, 1.1, claim_frame(77, 200))
    claim, _ = hear(claim, 2.0, claim_frame(5, OURS))
    assert claim.address == 128


def test_a_node_that_may_not_move_says_late_that_it_has_no_address_and_is_silent() -> None:
    claim, sent = hear(settled(FIXED), 1.0, claim_frame(FIXED - 1, OURS))
    assert (claim.standing, claim.address, sent) == (Standing.LOST, NULL, ())
    assert tick(claim, 1.0)[1] == ()
    claim, sent = tick(claim, 1.001 + delay_s(FIXED))
    assert sent == (claim_frame(FIXED, NULL),)
    assert tick(claim, 9.0)[1] == ()
    assert delay_s(FIXED) <= 0.153


def test_with_every_address_taken_by_lower_names_the_claim_is_lost() -> None:
    claim = settled()
    for k, taken in enumerate((OURS, *range(128, 248))):
        claim, _ = hear(claim, 1.0, claim_frame(k, taken))
    assert claim.standing is Standing.LOST
    assert split(tick(claim, 2.0)[1][0].can_id).source == NULL


@pytest.mark.parametrize("destination", [OURS, GLOBAL])
def test_a_request_for_the_address_is_answered(destination: int) -> None:
    assert hear(settled(), 1.0, request(ADDRESS_CLAIMED, NULL, destination))[1] == (claim_frame(MOVING, OURS),)


def test_a_request_to_another_node_or_for_another_group_is_not() -> None:
    assert hear(settled(), 1.0, request(ADDRESS_CLAIMED, 5, 17))[1] == ()
    assert hear(settled(), 1.0, request(65226, 5, OURS))[1] == ()


def test_a_node_without_address_answers_a_request_by_saying_so() -> None:
    lost, _ = tick(hear(settled(FIXED), 1.0, claim_frame(1, OURS))[0], 2.0)
    lost, sent = hear(lost, 3.0, request(ADDRESS_CLAIMED, 5))
    assert sent == ()
    assert tick(lost, 3.001 + delay_s(FIXED))[1] == (claim_frame(FIXED, NULL),)


def lost_to(name: int) -> Claim:
    """A node that may not move and has said, at 2 s, that it has no address."""
    return tick(hear(settled(FIXED), 1.0, claim_frame(name, OURS))[0], 2.0)[0]


@pytest.mark.parametrize("moved_to", [128, NULL])
def test_an_address_is_claimed_again_when_its_holder_leaves_it(moved_to: int) -> None:
    lost = lost_to(77)
    assert tick(lost, 3.0)[1] == ()
    lost, _ = hear(lost, 4.0, claim_frame(77, moved_to))
    claim, sent = tick(lost, 4.0)
    assert (claim.standing, sent) == (Standing.WAITING, (claim_frame(FIXED, OURS),))
    assert tick(claim, 4.25)[0].standing is Standing.CLAIMED


def test_a_node_without_address_asks_all_others_for_theirs_and_claims_what_nobody_answers_for() -> None:
    lost = lost_to(77)
    assert tick(lost, 0.99 + RETRY_S)[1] == ()
    asking, sent = tick(lost, 1.0 + RETRY_S)
    assert sent == (request(ADDRESS_CLAIMED, NULL),)
    assert tick(asking, 1.0 + RETRY_S + 0.99 * ANSWERS_S) == (asking, ())
    claim, sent = tick(asking, 1.0 + RETRY_S + ANSWERS_S)
    assert (claim.standing, sent) == (Standing.WAITING, (claim_frame(FIXED, OURS),))


def test_a_holder_that_answers_keeps_its_address_and_is_asked_again_only_after_a_while() -> None:
    claim, sent, time_s = lost_to(77), [], 2.0
    while time_s < 60.0:
        time_s += 0.05
        claim, frames = tick(claim, time_s)
        for frame in frames:
            sent.append(frame)
            if frame == request(ADDRESS_CLAIMED, NULL):
                claim, _ = hear(claim, time_s, claim_frame(77, OURS))
    assert claim.standing is Standing.LOST
    assert set(sent) == {request(ADDRESS_CLAIMED, NULL)}
    assert len(sent) == pytest.approx(60.0 / RETRY_S, abs=1.01)


def test_two_nodes_with_one_name_keep_their_address_without_a_quarrel_and_both_count_it() -> None:
    (one, frames), (other, more) = (begin(FIXED, choices(FIXED, OURS), 0.0) for _ in range(2))
    said, time_s = 0, 0.0
    while time_s < 5.0:
        said += len(frames) + len(more)
        answers, frames_of_other = (), ()
        for frame in frames:
            other, out = hear(other, time_s, frame)
            frames_of_other += out
        for frame in more:
            one, out = hear(one, time_s, frame)
            answers += out
        time_s += 0.05
        (one, frames), (other, more) = tick(one, time_s), tick(other, time_s)
        frames, more = answers + frames, frames_of_other + more
    assert (one.address, other.address, one.twins, other.twins) == (OURS, OURS, 1, 1)
    assert said == 2


def test_a_battery_with_our_very_name_is_counted_and_starts_no_quarrel() -> None:
    claim, sent = hear(settled(), 1.0, claim_frame(MOVING, OURS))
    assert (claim.twins, claim.address, sent) == (1, OURS, ())


def test_messages_from_our_address_are_counted_and_the_claim_repeated_once_a_second() -> None:
    claim, sent = settled(), 0
    foreign = CanFrame(join(3, 61584, GLOBAL, OURS), bytes(8))
    for k in range(100):
        claim, frames = hear(claim, 10.0 + 0.02 * k, foreign)
        sent += len(frames)
    assert claim.intruders == 100
    assert sent == 2
    assert REPEAT_S == 1.0


def test_a_clock_that_is_set_back_only_prolongs_the_wait() -> None:
    claim, _ = begin(MOVING, choices(MOVING, OURS), 1000.0)
    claim, _ = tick(claim, 1.0)
    assert tick(claim, 1.2)[0].standing is Standing.WAITING
    assert tick(claim, 1.25)[0].standing is Standing.CLAIMED


def explored(names: tuple[int, ...], addresses: tuple[int, ...]) -> list[tuple[Claim, ...]]:
    """All states in which nodes end, over every order in which they start and hear of each other."""
    World = tuple[tuple[Claim | None, ...], tuple[tuple[CanFrame, ...], ...]]
    nobody: World = ((None,) * len(names), ((),) * len(names))
    seen, queue, ends = {_key(nobody)}, [nobody], []
    while queue:
        claims, inboxes = queue.pop()
        moves = []
        for k, claim in enumerate(claims):
            if claim is None:
                moves.append((k, begin(names[k], addresses, 0.0), inboxes[k]))
            elif inboxes[k]:
                moves.append((k, hear(claim, 0.0, inboxes[k][0]), inboxes[k][1:]))
        if not moves:
            ends.append(tuple(c for c in claims if c is not None))
        for k, (claim, sent), rest in moves:
            after = tuple(claim if n == k else c for n, c in enumerate(claims))
            boxes = tuple(
                rest if n == k else box + sent if claims[n] is not None else box for n, box in enumerate(inboxes)
            )
            world: World = (after, boxes)
            assert len(seen) < 200_000
            if _key(world) not in seen:
                seen.add(_key(world))
                queue.append(world)
    return ends


def _key(world: object) -> str:
    return repr(world)


@pytest.mark.parametrize("names", [(3, 5), (3, 5, 9)])
@pytest.mark.parametrize("free", [1, 2, 3])
def test_in_every_order_of_events_each_address_goes_to_one_node_and_the_lowest_name_is_never_without(
    names: tuple[int, ...], free: int
) -> None:
    ends = explored(names, tuple(range(128, 128 + free)))
    assert ends
    for claims in ends:
        held = [c.address for c in claims if c.standing is not Standing.LOST]
        assert len(set(held)) == len(held)
        assert min(claims, key=lambda c: c.name).standing is not Standing.LOST
        assert free < len(names) or len(held) == len(names)


frames = st.builds(
    CanFrame,
    st.one_of(
        st.integers(0, 0x1FFFFFFF),
        st.builds(
            join, st.integers(0, 7), st.sampled_from([ADDRESS_CLAIMED, 59904]), st.just(255), st.integers(0, 255)
        ),
    ),
    st.one_of(st.binary(max_size=8), st.integers(0, 300).map(name_bytes), st.just(b"\x00\xee\x00")),
)


@given(st.lists(st.tuples(st.floats(0, 2), frames), max_size=60), st.booleans())
def test_hostile_frames_never_raise_nor_make_memory_or_traffic_grow(
    heard: list[tuple[float, CanFrame]], moves: bool
) -> None:
    name = MOVING if moves else FIXED
    claim, _ = begin(name, choices(name, OURS), 0.0)
    for time_s, frame in heard:
        claim, sent = hear(claim, time_s, frame)
        claim, more = tick(claim, time_s)
        assert len(sent) + len(more) <= 2
        assert len(claim.held) <= 254
        assert (claim.address == NULL) == (claim.standing is Standing.LOST)
        assert all(split(f.can_id).pgn in {ADDRESS_CLAIMED, 59904} for f in itertools.chain(sent, more))
