"""Boards on the bus: every reading comes back within half a code, silence ages, and nothing hostile is believed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse import bms
from packhorse.pack.words import Command, Frame
from packhorse.protocols import boards, signal
from packhorse.protocols.j1939.identifier import CanFrame
from packhorse.protocols.j1939.node import Requests
from packs import calm, small_pack

PACK = small_pack(strings=3, series=21)
WIRE = boards.readings(3, 21, PACK.probes)
ASKED = boards.commands(3, 21)
NOTHING = Requests(0.0, 1.0, 0.0, 0.0, math.nan, 0.0)


def varied(time_s: float = 1.0, **changes: Any) -> Frame:
    cell_V = 3.2 + np.arange(63.0).reshape(3, 21) * 0.01003
    probe_degC = 20.0 + np.arange(3.0 * PACK.probes).reshape(3, -1) * 0.51
    usual = {
        "cell_V": cell_V,
        "probe_degC": probe_degC,
        "string_A": np.array([-700.03, 0.0, 512.26]),
        "string_V": np.array([538.11, 20.0, 19.99]),
        "age_s": np.array([[0.05, 0.1, 0.0], [0.001, 0.0, 0.0], [2.5, 0.0, 0.3]]),
        "contactor": np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]),
        "link_V": 537.9,
        "isolation_ohm": 2e6,
        "hvil": 1.0,
        "inlet_degC": 14.5,
        "outlet_degC": -3.25,
    }
    return calm(PACK, time_s, **{**usual, **changes})


def spoken(frame: Frame) -> list[CanFrame]:
    return boards.framed(WIRE, boards.coded(WIRE, boards.said_of(frame)), 0)


def heard(frames: list[CanFrame], memory: boards.Memory | None = None, time_s: float = 1.0) -> boards.Memory:
    memory, others = boards.take(WIRE, memory or boards.blank(WIRE), time_s, frames)
    assert others == []
    return memory


def assembled(memory: boards.Memory, time_s: float = 1.0) -> Frame:
    return boards.frame_of(WIRE, memory, PACK, time_s, NOTHING, 20.0)


def test_every_reading_comes_back_within_half_a_code() -> None:
    said, found = varied(), assembled(heard(spoken(varied())))
    half = {
        "cell_V": 5e-5,
        "probe_degC": 1 / 64,
        "string_A": 0.025,
        "string_V": 0.0125,
        "age_s": 5e-4,
        "link_V": 0.0125,
    }
    for name, value in said._asdict().items():
        if name not in {"time_s", "ambient_degC", "drive_request", "charge_request", "reset_request"}:
            np.testing.assert_allclose(
                getattr(found, name), value, rtol=0, atol=half.get(name, 1e-9) + 1e-9, err_msg=name
            )


def test_codes_are_those_of_every_other_signal_of_ours() -> None:
    frame = varied(cell_V=np.full((3, 21), 7.0), isolation_ohm=1e12, hvil=math.nan)
    codes = boards.coded(WIRE, boards.said_of(frame))
    values = boards.said_of(frame)
    for r, row in enumerate(WIRE.rows):
        for k, (field, word) in enumerate(zip(row.words, boards.signals_of(row), strict=True)):
            flat = np.asarray(values[field], dtype=float).ravel()
            (place,) = np.nonzero(np.atleast_1d(WIRE.at[field]).ravel() == 4 * r + k)[0]
            assert codes[r, k] == signal.code(word, float(flat[place])), (row.name, field)


def test_a_reading_that_is_not_there_is_nan_and_no_other_is() -> None:
    cell_V = varied().cell_V.copy()
    cell_V[1, 4] = math.nan
    found = assembled(heard(spoken(varied(cell_V=cell_V, link_V=math.nan))))
    assert np.argwhere(np.isnan(found.cell_V)).tolist() == [[1, 4]]
    assert math.isnan(found.link_V)
    assert not math.isnan(found.isolation_ohm)


def test_before_anything_is_heard_it_is_silence() -> None:
    found, silence = assembled(boards.blank(WIRE)), bms.silence(PACK)
    for name in ("cell_V", "probe_degC", "string_A", "string_V", "age_s", "contactor"):
        np.testing.assert_array_equal(getattr(found, name), getattr(silence, name))


def test_a_board_that_falls_silent_ages_and_then_is_nan() -> None:
    memory = heard(spoken(varied()))
    others = [frame for frame in spoken(varied()) if frame.can_id & 0xFF != 129]
    patience_s = PACK.sensors.patience_s
    for time_s in (1.0 + 0.5 * patience_s, 1.0 + 2.0 * patience_s):
        memory = heard(others, memory, time_s)
        found = assembled(memory, time_s)
        np.testing.assert_allclose(found.age_s[1], [time_s - 1.0 + 0.001, time_s - 1.0, time_s - 1.0], atol=0.0011)
        np.testing.assert_allclose(found.age_s[0], [0.05, 0.1, 0.0])
        silent = time_s - 1.0 > patience_s
        assert np.isnan(found.cell_V[1]).all() == silent
        assert np.isnan(found.string_A[1]) == silent
        assert not np.isnan(found.cell_V[[0, 2]]).any()


def test_one_message_that_is_lost_ages_its_string_until_patience_ends() -> None:
    memory = heard(spoken(varied()))
    lost = next(k for k, row in enumerate(WIRE.rows) if row.name == "cells_1_2")
    frames = spoken(varied())
    later_s = 1.0 + 0.9 * PACK.sensors.patience_s
    found = assembled(heard(frames[:lost] + frames[lost + 1 :], memory, later_s), later_s)
    assert found.age_s[0, 0] == pytest.approx(later_s - 1.0 + 0.05)
    later_s = 1.0 + 1.1 * PACK.sensors.patience_s
    found = assembled(heard(frames[:lost] + frames[lost + 1 :], memory, later_s), later_s)
    assert np.argwhere(np.isnan(found.cell_V)).tolist() == [[0, k] for k in (4, 5, 6, 7)]
    assert found.age_s[0, 0] == pytest.approx(0.05)


def test_truncated_frames_are_dropped_and_counted_and_strangers_handed_on() -> None:
    frames = [frame._replace(data=frame.data[:-1]) for frame in spoken(varied())]
    stranger = CanFrame(0x18FEF127, b"12345678")
    memory, others = boards.take(WIRE, boards.blank(WIRE), 1.0, [*frames, stranger, CanFrame(0x18FF0080, b"x" * 64)])
    assert memory.truncated == len(WIRE.rows) + 1
    assert others == [stranger]
    assert np.isinf(memory.heard_s).all()


@given(st.lists(st.tuples(st.sampled_from(range(len(WIRE.rows))), st.binary(max_size=12)), max_size=60))
def test_any_bytes_give_values_in_range_or_nan(said: list[tuple[int, bytes]]) -> None:
    ids = [frame.can_id for frame in spoken(varied())]
    found = assembled(heard([CanFrame(ids[k], data) for k, data in said]))
    for value in (found.cell_V, found.probe_degC, found.string_A, found.string_V):
        assert (np.isnan(value) | ((value > -1700.0) & (value < 1700.0))).all()
    assert (np.isnan(found.cell_V) | (found.cell_V < 6.5)).all()


def command(**changes: Any) -> Command:
    bleed = np.zeros((3, 21))
    bleed[0, 0] = bleed[1, 15] = bleed[1, 16] = bleed[2, 20] = 1.0
    contactor = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    usual = Command(contactor, bleed, 0.31, 1.0, 0.0, 0.5, 123.45, 613.2, np.zeros(3))
    return usual._replace(**changes)


def test_commands_come_back_and_are_believed_from_whatever_address_the_bms_has() -> None:
    for source in (243, 130):
        frames = boards.framed(ASKED, boards.coded(ASKED, boards.asked_of(command())), source)
        memory, others = boards.take(ASKED, boards.blank(ASKED), 5.0, frames)
        assert others == []
        found = boards.command_of(ASKED, memory, 21, 5.0, 1.0)
        for name, value in command()._asdict().items():
            np.testing.assert_allclose(getattr(found, name), value, atol=0.026, err_msg=name)
        np.testing.assert_array_equal(found.bleed, command().bleed)
        assert found.pump == pytest.approx(0.31, abs=1e-5)


def test_boards_that_are_told_nothing_any_more_open_and_switch_off() -> None:
    frames = boards.framed(ASKED, boards.coded(ASKED, boards.asked_of(command())), 243)
    memory, _ = boards.take(ASKED, boards.blank(ASKED), 5.0, frames)
    found = boards.command_of(ASKED, memory, 21, 6.5, 1.0)
    assert all(np.count_nonzero(value) == 0 for value in found)


def test_identifiers_are_all_different_and_the_largest_pack_fits() -> None:
    largest = boards.readings(16, 512, 512), boards.commands(16, 512)
    assert len({row.name for wire in largest for row in wire.rows}) == sum(len(wire.rows) for wire in largest)
    pgns = [{row.pgn for row in wire.rows} for wire in largest]
    assert len(largest[0].row_of) == len(largest[0].rows)
    assert len(largest[1].row_of) == len(largest[1].rows)
    assert not pgns[0] & pgns[1]
    assert not (pgns[0] | pgns[1]) & {boards.table()["clock"]["time"], boards.table()["clock"]["turn"]}
    with pytest.raises(ValueError, match="use more buses"):
        boards.readings(17, 8, 8)
