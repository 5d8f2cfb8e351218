"""Trouble codes: against frames from trucks, both ways, and what is remembered of our faults."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.pack.faults import fault_code, fault_rows
from packhorse.protocols.j1939.diagnostics import (
    DARK,
    FIRST_OWN_SPN,
    LAST_OWN_SPN,
    LAST_SPN,
    MOST_TROUBLES,
    STEADY,
    Diagnosis,
    Lamps,
    Recorded,
    Trouble,
    clear_active,
    clear_previous,
    decode,
    diagnosis,
    encode,
    follow,
    trouble_numbers,
)

SEVERITY = np.array([float(row.severity) for row in fault_rows()])
lamps = st.builds(Lamps, *[st.integers(0, 3)] * 4)
troubles = st.builds(Trouble, st.integers(1, LAST_SPN - 1), st.integers(0, 31), st.integers(0, 127), st.integers(0, 1))


@pytest.mark.parametrize(
    ("heard", "said"),
    [
        ("03ff00000000ffff", Diagnosis(Lamps(3, 0, 0, 0), STEADY, ())),
        ("04ff7302057fffff", Diagnosis(Lamps(0, 1, 0, 0), STEADY, (Trouble(627, 5, 127),))),
    ],
)
def test_frames_recorded_on_trucks_are_read_and_written_alike(heard: str, said: Diagnosis) -> None:
    assert decode(bytes.fromhex(heard)) == said
    assert encode(said) == bytes.fromhex(heard)


@given(lamps, lamps, st.lists(troubles, max_size=40).map(tuple))
def test_a_diagnosis_survives_both_ways(lit: Lamps, flashes: Lamps, found: tuple[Trouble, ...]) -> None:
    said = Diagnosis(lit, flashes, found)
    data = encode(said)
    assert decode(data) == said
    assert len(data) == max(8, 2 + 4 * len(found))


def test_no_trouble_is_said_with_an_empty_code_and_padding() -> None:
    assert encode(Diagnosis(DARK, STEADY, ())).hex() == "00ff00000000ffff"


def test_more_troubles_than_a_message_carries_are_cut() -> None:
    data = encode(Diagnosis(DARK, STEADY, tuple(Trouble(k, 1, 1) for k in range(1, 600))))
    assert len(data) == 2 + 4 * MOST_TROUBLES <= 1785


@given(st.binary(max_size=1800))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    said = decode(data)
    assert said is None or len(said.troubles) <= len(data) // 4


@pytest.mark.parametrize(("length", "whole"), [(5, False), (6, True), (7, False), (8, True), (9, False), (10, True)])
def test_only_whole_trouble_codes_are_read(length: int, whole: bool) -> None:
    said = decode(bytes.fromhex("0400730205010102030405")[:length])
    assert (said is not None) == whole


def test_every_fault_has_one_trouble_code_of_its_own() -> None:
    numbers = trouble_numbers()
    assert len(numbers) == len(fault_rows())
    assert len(set(numbers)) == len(numbers)
    assert all(0 < spn <= LAST_SPN and 0 <= fmi <= 31 for spn, fmi in numbers)


def test_faults_without_a_public_parameter_lie_in_the_range_of_manufacturers_where_the_setting_says() -> None:
    named, moved = trouble_numbers(), trouble_numbers(520000)
    own = [code for code, (spn, _) in enumerate(named) if spn >= FIRST_OWN_SPN]
    assert [fault_rows()[code].name for code in own] == ["cells_blind", "readings_stale", "strings_disagree"]
    assert all(FIRST_OWN_SPN <= named[code][0] <= LAST_OWN_SPN for code in own)
    assert [moved[code][0] - named[code][0] for code in own] == [520000 - FIRST_OWN_SPN] * 3


def active(*names: str, string: int = 0) -> np.ndarray:
    rows = np.zeros((len(fault_rows()), 2))
    for name in names:
        rows[fault_code(name), string] = 1.0
    return rows


def test_a_fault_that_comes_back_counts_again_and_one_that_is_gone_is_remembered() -> None:
    code, recorded = fault_code("cell_overvoltage"), Recorded()
    for times in (1, 2, 3):
        recorded = follow(recorded, active("cell_overvoltage"))
        assert recorded == Recorded({code: times}, {})
        assert follow(recorded, active("cell_overvoltage", string=1)) == recorded
        recorded = follow(recorded, active())
        assert recorded == Recorded({}, {code: times})


def test_occurrences_stop_at_126() -> None:
    recorded = Recorded()
    for _ in range(200):
        recorded = follow(follow(recorded, active()), active("hvil_open"))
    assert set(recorded.active.values()) == {126}


def test_what_is_cleared_is_forgotten_and_what_is_still_wrong_comes_back_as_new() -> None:
    recorded = follow(follow(Recorded(), active("hvil_open", "coolant_hot")), active("hvil_open"))
    assert clear_previous(recorded).previous == {}
    assert clear_active(recorded).active == {}
    assert follow(clear_active(recorded), active("hvil_open")).active == {fault_code("hvil_open"): 1}


@pytest.mark.parametrize(
    ("names", "lit"),
    [
        ([], DARK),
        (["cell_voltage_high"], Lamps(0, 1, 0, 0)),
        (["isolation_low", "cell_voltage_high"], Lamps(0, 1, 0, 0)),
        (["hvil_open", "cell_voltage_high"], Lamps(0, 0, 1, 0)),
    ],
)
def test_the_worst_fault_lights_its_lamp(names: list[str], lit: Lamps) -> None:
    recorded = follow(Recorded(), active(*names))
    said = diagnosis(recorded.active, SEVERITY)
    assert said.lamps == lit
    assert {(t.spn, t.fmi) for t in said.troubles} == {trouble_numbers()[fault_code(name)] for name in names}
