"""The table of J1939 as a plan says what `hvess.decode` says, and what is called by whom."""

from __future__ import annotations

import numpy as np
import pytest

from packhorse.protocols import decoding, frames, j1939_names
from packhorse.protocols.j1939.hvess import Layout, decode, layouts, system_layouts
from packhorse.protocols.j1939.known import caution, is_of_a_pack, known_plan
from packhorse.protocols.plan import group

PAYLOADS = 40


@pytest.mark.parametrize("layout", [*system_layouts().values(), layouts()[61841]], ids=lambda layout: layout.name)
def test_every_signal_reads_as_message_by_message(layout: Layout) -> None:
    dice = np.random.default_rng(layout.pgn)
    data = dice.integers(0, 256, (PAYLOADS, layout.length), dtype=np.uint8)
    data[::3, :] = dice.choice([0xFF, 0xFE, 0xFB, 0xFA, 0x00], (data[::3].shape[0], layout.length))
    ids = np.array([6 << 26 | layout.pgn << 8 | 0xF3] * PAYLOADS, np.uint32)
    found = decoding.decode(known_plan(), frames.from_rows(np.arange(PAYLOADS, dtype=float), ids, data))
    for signal in layout.signals:
        column = decoding.column(known_plan(), found, f"{layout.name}.{signal.name}")
        told = [decode(layout, row.tobytes()).values[signal.name] for row in data]
        np.testing.assert_allclose(column.values, told, rtol=1e-12)


def test_every_message_is_told_by_its_group_whoever_sends_it() -> None:
    plan = known_plan()
    assert {group(m.id) for m in plan.messages} == set(layouts())
    assert all(m.j1939 for m in plan.messages)
    for pgn, sender in ((0xF090, 0x00), (0xFEF1, 0x21), (0x1B00 | 0xF3, 0x27)):
        heard = frames.from_rows(
            np.zeros(1), np.array([3 << 26 | pgn << 8 | sender], np.uint32), np.zeros((1, 8), np.uint8)
        )
        name = plan.messages[decoding.decode(plan, heard).which[0]].name
        assert layouts()[pgn if pgn > 0xF000 else 0x1B00].name == name


def test_no_group_has_two_names() -> None:
    assert not set(j1939_names.GROUPS) & set(layouts())
    assert j1939_names.group_name(0xF090) == "HVESSD1 battery power, voltage, current"
    assert j1939_names.group_name(0xF191) == "HVESP1D1 pack 1 power, voltage, current"
    assert j1939_names.group_name(0xF004) == "EEC1 engine 1"
    assert j1939_names.group_name(0x1FF20) == "PropB proprietary"
    assert all(layout.about for layout in layouts().values())


def test_parameters_and_failures_have_names() -> None:
    assert j1939_names.parameter_name(5919) == "HVESSD1.battery_V"
    assert j1939_names.parameter_name(84) == "CCVS1.speed_m_per_s"
    assert j1939_names.parameter_name(516_100) == "manufacturer's own"
    assert j1939_names.parameter_name(609) == ""
    assert j1939_names.failure_name(3) == "voltage high"
    assert j1939_names.failure_name(25) == "reserved"


def test_what_makers_do_differently_is_said() -> None:
    assert "sign and offset" in caution("HVESSD1.current_A")
    assert "sign of the current" in caution("HVESP4D5.charge_limit_A")
    assert "nose" in caution("SSI2.pitch_deg")
    assert caution("HVESSD1.battery_V") == caution("EVSE1DCS1.present_A") == ""
    assert is_of_a_pack("HVESP4D5")
    assert not is_of_a_pack("HVESSD5")
    assert not is_of_a_pack("EEC2")
