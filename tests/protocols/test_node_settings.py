"""A node file: what must be declared, what is refused, and what the defaults are."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from nodes import NODE, node_settings
from packhorse.protocols.j1939.hvess import layouts
from packhorse.protocols.j1939.name import split_name
from packhorse.protocols.j1939.settings import FOUR_BITS, MODULE_STATUS, NOT_SENT, NodeFile, usual_codes


def test_the_name_says_what_the_file_says() -> None:
    name = split_name(node_settings().name)
    assert (name.identity, name.manufacturer, name.function, name.may_move, name.reserved) == (7, 100, 50, 1, 0)


@pytest.mark.parametrize("left_out", ["name", "positive_current", "limits"])
def test_what_the_standard_leaves_open_must_be_declared(left_out: str) -> None:
    with pytest.raises(ValidationError, match=left_out):
        NodeFile.model_validate({key: value for key, value in NODE.items() if key != left_out})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"positive_current": "up"}, "'discharges' or 'charges'"),
        ({"address": 254}, "less than or equal to 253"),
        ({"first_pack": 27}, "less than or equal to 26"),
        ({"first_own_spn": 1000}, "greater than or equal to 516096"),
        ({"codes": {"hvli": {}}}, r"codes\.hvli: no such enumeration; known: contactor, hvil"),
        ({"codes": {"hvil": {"ajar": 1}}}, r"codes\.hvil\.ajar: no such state; known: open, closed"),
        ({"codes": {"hvil": {"open": 2}}}, r"codes\.hvil\.open: found 2; give 0 to 1"),
        ({"codes": {"module_status": {"failed": 2}}}, r"codes\.module_status\.failed: found 2; give 0 to 1"),
        ({"codes": {"soc_status": {"low": 14}}}, r"codes\.soc_status\.low: found 14; give 0 to 13"),
        ({"sign": 1}, "Extra inputs"),
    ],
)
def test_what_is_wrong_is_refused_with_the_reason(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        node_settings(**changes)


def test_only_the_generic_two_bit_codes_are_assumed() -> None:
    for kind, states in usual_codes().items():
        assert set(states.values()) == ({NOT_SENT} if kind in {*FOUR_BITS, MODULE_STATUS} else {0, 1})


def test_one_codes_change_leaves_the_others() -> None:
    codes = node_settings(codes={"hvil": {"open": 1, "closed": 0}}).codes
    assert codes["hvil"] == {"open": 1, "closed": 0}
    assert codes["contactor"] == {"open": 0, "closed": 1}


def test_enumerations_of_four_bits_are_four_bits_wide_on_the_bus() -> None:
    widths = {s.name: s.bits for layout in layouts().values() for s in layout.signals}
    assert {widths[kind] for kind in FOUR_BITS} == {4}
