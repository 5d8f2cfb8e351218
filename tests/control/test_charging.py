"""Charging: constant current, then constant voltage of the highest cell, then an end that lasts."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest

from packhorse import bms
from packhorse.pack.words import Array, Output, Pack, Reason, Stage, State
from packs import calm, obeyed, small_pack
from simulated import TrueCell, live

SERIES = 3


class Session(NamedTuple):
    """A charging session of true cells, by tick."""

    state: State
    outputs: list[Output]
    highest_V: Array
    charge_A: Array
    cells: list[TrueCell]


def plug_in(pack: Pack, socs: tuple[float, ...], seconds: int, lost_string: bool = False, **changes: Any) -> Session:
    """Charge cells that are what they are believed to be, with a charger that obeys within a second."""
    cells = [TrueCell(soc) for soc in socs]
    state, outputs, highest_V, asked_A = bms.start(pack), [], [], []
    if lost_string:
        state = state._replace(control=state.control._replace(stage=np.array([Stage.OPEN, Stage.TRIPPED], float)))
    frame = calm(pack, charge_request=1.0)
    current_A = np.zeros(pack.strings)
    for k in range(seconds):
        cells = [live(pack.cell, cell, current_A[0], 25.0, 1.0) for cell in cells]
        cell_V = np.array([[cell.terminal_V for cell in cells]] * pack.strings)
        heard = frame._replace(time_s=float(k), cell_V=cell_V, string_V=cell_V.sum(axis=1), string_A=current_A)
        heard = (obeyed(heard, outputs[-1]) if outputs else heard)._replace(**changes)
        state, output = bms.step(pack, state, heard)
        outputs.append(output)
        connected = output.command.contactor[:, 1]
        current_A = -output.command.charge_A * connected / max(connected.sum(), 1.0)
        highest_V.append(cell_V.max())
        asked_A.append(output.command.charge_A)
        if state.control.charge_done > 0.0:
            break
    return Session(state, outputs, np.array(highest_V), np.array(asked_A), cells)


@pytest.mark.parametrize("cell_V", [4.0, None])
@pytest.mark.parametrize(("strings", "lost_string"), [(1, False), (2, False), (2, True)])
def test_the_highest_cell_is_held_at_the_charging_voltage_until_it_takes_a_trickle(
    cell_V: float | None, strings: int, lost_string: bool
) -> None:
    pack = small_pack(strings, SERIES, charging={"cell_V": cell_V})
    session = plug_in(pack, (0.6, 0.59, 0.605), 4000, lost_string)
    joined = 1 if lost_string else strings
    assert pack.charging.cell_V == (4.0 if cell_V else pytest.approx(4.2 - pack.derating.margin_V))
    assert session.charge_A.max() > joined * 100.0
    assert session.highest_V.max() < pack.charging.cell_V + 0.003
    assert session.state.control.charge_done == 1.0
    end = int(np.flatnonzero(session.charge_A)[-1])
    trickle_A = pack.charging.end_share * pack.cell.capacity_Ah * joined
    assert session.charge_A[end] <= 1.5 * trickle_A
    assert session.highest_V[end] > pack.charging.cell_V - 0.006


def test_the_current_is_constant_before_it_tapers() -> None:
    session = plug_in(small_pack(1, SERIES, charging={"cell_V": 4.1}), (0.3, 0.3, 0.3), 1200)
    assert session.charge_A[200:1200] == pytest.approx(100.0, rel=1e-3)


def test_charging_ends_at_the_target_and_stays_ended_until_the_request_is_withdrawn() -> None:
    pack = small_pack(1, SERIES, charging={"target_soc": 0.6})
    session = plug_in(pack, (0.58, 0.58, 0.58), 300)
    assert session.state.control.charge_done == 1.0
    assert session.cells[0].soc == pytest.approx(0.6, abs=0.005)
    state, contactor, time_s = session.state, session.state.control.contactor, session.state.time_s
    low_V = np.full((1, SERIES), 3.6)
    emptier = calm(pack, time_s, charge_request=1.0, cell_V=low_V, contactor=contactor, string_V=low_V.sum(axis=1))
    emptier = emptier._replace(link_V=float(low_V.sum()))
    for k in range(1, 1200):
        state, output = bms.step(pack, state, emptier._replace(time_s=time_s + 2.0 * k))
        assert output.command.charge_A == 0.0
    assert output.estimate.soc < 0.55
    time_s = state.time_s
    state, output = bms.step(pack, state, emptier._replace(time_s=time_s + 1.0, charge_request=0.0, drive_request=1.0))
    assert (output.command.charge_A, state.control.charge_done) == (0.0, 0.0)
    state, output = bms.step(pack, state, emptier._replace(time_s=time_s + 2.0))
    assert output.command.charge_A > 0.0


def test_nothing_is_asked_of_the_charger_before_a_string_is_closed() -> None:
    pack = small_pack(1, SERIES)
    session = plug_in(pack, (0.5, 0.5, 0.5), 30, link_V=math.nan)
    assert not any(o.command.contactor[:, 1].any() for o in session.outputs)
    assert not session.charge_A.any()
    assert session.outputs[-1].limits.charge_reason == Reason.CONTACTORS


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("without a request", {"charge_request": 0.0, "drive_request": 1.0}),
        ("in the cold", {"probe_degC": np.full((1, 2), -1.0)}),
        ("while no cell is heard", {"cell_V": np.full((1, SERIES), math.nan)}),
        ("while no current is heard", {"string_A": np.array([math.nan])}),
        ("above the charging voltage", {"cell_V": np.array([[3.7, 3.7, 4.19]])}),
    ],
)
def test_nothing_is_asked_of_the_charger(what: str, changes: dict[str, Any]) -> None:
    pack = small_pack(1, SERIES)
    session = plug_in(pack, (0.5, 0.5, 0.5), 30)
    assert session.charge_A[-1] > 0
    state = session.state
    frame = calm(pack, state.time_s + 1.0, charge_request=1.0, contactor=state.control.contactor, link_V=11.1)
    assert bms.step(pack, state, frame._replace(**changes))[1].command.charge_A == 0.0, what
