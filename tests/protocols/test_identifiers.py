"""Identifiers, NAMEs and requests, both ways."""

from __future__ import annotations

import j1939
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.protocols.j1939.identifier import GLOBAL, CanFrame, Identifier, Message, is_sound, join, split, whole
from packhorse.protocols.j1939.name import Name, name_bytes, name_number, split_name
from packhorse.protocols.j1939.request import Answer, acknowledge, acknowledged, request, requested

ADDRESSES = st.integers(0, 255)
PGNS = st.integers(0, 0x3FFFF)


@given(st.integers(0, 0x1FFFFFFF))
def test_every_identifier_survives_being_split_and_joined(can_id: int) -> None:
    assert join(*split(can_id)) == can_id


@pytest.mark.parametrize(
    ("can_id", "said"),
    [
        (0x0CF0905B, Identifier(3, 61584, GLOBAL, 0x5B)),
        (0x0C1B5B05, Identifier(3, 6912, 0x5B, 0x05)),
        (0x18FECA0B, Identifier(6, 65226, GLOBAL, 0x0B)),
        (0x18EEFF80, Identifier(6, 60928, GLOBAL, 0x80)),
        (0x1FFFFFFF, Identifier(7, 0x3FFFF, GLOBAL, 0xFF)),
    ],
)
def test_identifiers_seen_on_buses_say_what_they_should(can_id: int, said: Identifier) -> None:
    assert split(can_id) == said


@pytest.mark.parametrize("frame", [CanFrame(-1, b""), CanFrame(0x20000000, b""), CanFrame(0, bytes(9))])
def test_what_cannot_be_a_frame_is_noticed(frame: CanFrame) -> None:
    assert not is_sound(frame)
    assert is_sound(CanFrame(0, b""))


@given(st.integers(0, 2**64 - 1))
def test_every_name_survives_and_is_read_the_same_by_the_peer(number: int) -> None:
    name = split_name(number)
    assert name_number(name) == number
    peer = j1939.Name(bytes=list(name_bytes(number)))
    ours = (name.may_move, name.identity, name.manufacturer, name.function, name.vehicle_system, name.industry_group)
    assert ours == (
        peer.arbitrary_address_capable,
        peer.identity_number,
        peer.manufacturer_code,
        peer.function,
        peer.vehicle_system,
        peer.industry_group,
    )


def test_a_field_beyond_its_width_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"name\.manufacturer: found 2048; give 0 to 2047"):
        name_number(Name(1, 2048, 0, 0, 0, 0, 0, 0, 0, 1))


@given(PGNS, ADDRESSES, ADDRESSES)
def test_a_request_says_what_it_asks_for(pgn: int, source: int, destination: int) -> None:
    assert requested(whole(request(pgn, source, destination))) == pgn


@given(st.sampled_from(Answer), PGNS, ADDRESSES, ADDRESSES)
def test_an_acknowledgement_says_who_asked_and_for_what(answer: Answer, pgn: int, source: int, asked_by: int) -> None:
    assert acknowledged(whole(acknowledge(answer, pgn, source, asked_by))) == (answer, asked_by, pgn)


@given(st.integers(0, 0x1FFFFFFF), st.binary(max_size=8))
def test_malformed_requests_and_acknowledgements_are_none(can_id: int, data: bytes) -> None:
    message = whole(CanFrame(can_id, data))
    assert requested(message) is None or len(data) >= 3
    assert acknowledged(message) is None or len(data) == 8


def test_a_parameter_group_that_no_identifier_can_carry_is_not_taken_for_another() -> None:
    beyond = (0x40000 | 65226).to_bytes(3, "little")
    assert requested(Message(59904, 5, 243, beyond)) is None
    assert acknowledged(Message(59392, 5, 243, bytes(5) + beyond)) is None
