"""Balancing: the cells that hold more charge are bled, at rest and in health only, until all hold about the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from packhorse import bms
from packhorse.pack.faults import fault_code
from packhorse.pack.words import Array, State
from packs import calm, closed, small_pack
from simulated import TrueCell, live

PACK = small_pack()  # bleeds from 1 Ah above the weakest cell until 0.4 Ah
CLOSED = closed(PACK)
HIGH = (0, 3)


def believing(extra_Ah: float, bled: bool = False) -> State:
    """All cells alike but one, which holds more charge; the belief is so sure that no voltage moves it."""
    soc = np.full((2, 5), 0.5)
    soc[HIGH] += extra_Ah / PACK.cell.capacity_Ah
    covariance = np.zeros_like(CLOSED.belief.covariance)
    covariance[:, 0], covariance[:, 3], covariance[:, 5] = 1e-10, 1e-12, 1e-12
    bleed = np.zeros((2, 5))
    bleed[HIGH] = bled
    return CLOSED._replace(
        belief=CLOSED.belief._replace(soc=soc, covariance=covariance), control=CLOSED.control._replace(bleed=bleed)
    )


def bleed(state: State, **changes: Any) -> Array:
    frame = calm(PACK, state.time_s + 0.1, drive_request=1.0, contactor=CLOSED.control.contactor)
    return bms.step(PACK, state, frame._replace(**changes))[1].command.bleed


@pytest.mark.parametrize(
    ("extra_Ah", "bled", "goes_on"),
    [(1.1, False, True), (0.9, False, False), (0.5, True, True), (0.3, True, False), (-5.0, False, False)],
)
def test_a_cell_is_bled_from_well_above_until_close_to_the_weakest(extra_Ah: float, bled: bool, goes_on: bool) -> None:
    command = bleed(believing(extra_Ah, bled))
    assert command[HIGH] == goes_on
    others = np.delete(command[HIGH[0]], HIGH[1])
    assert others.tolist() == [float(extra_Ah < -1.0)] * 4
    assert not command[1].any()


def one_cell(cell_V: float) -> dict[str, Any]:
    cells_V = np.full((2, 5), 3.7)
    cells_V[HIGH] = cell_V
    return {"cell_V": cells_V}


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("under load", {"string_A": np.array([11.0, 0.0])}),
        ("under charge", {"string_A": np.array([-11.0, 0.0])}),
        ("while the current is not heard", {"string_A": np.array([math.nan, 0.0])}),
        ("while the cell is not heard", one_cell(math.nan)),
        ("while the cell is low", one_cell(PACK.balancing.min_cell_V - 0.01)),
    ],
)
def test_nothing_is_bled(what: str, changes: dict[str, Any]) -> None:
    assert bleed(believing(2.0, bled=True))[HIGH] == 1.0
    assert not bleed(believing(2.0, bled=True), **changes).any(), what


@pytest.mark.parametrize(("fault", "bled"), [("cell_spread", True), ("readings_stale", False), ("hvil_open", False)])
def test_a_serious_fault_stops_bleeding_and_a_mild_one_does_not(fault: str, bled: bool) -> None:
    state = believing(2.0)
    active = np.zeros_like(state.watch.active)
    active[fault_code(fault), 0] = 1.0
    assert bleed(state._replace(watch=state.watch._replace(active=active)))[HIGH] == bled


def test_nothing_is_bled_before_anything_is_believed() -> None:
    cell_V = np.array([[3.6, 3.7, 3.7, 3.7, 3.7]] * 2)
    blind = calm(PACK, cell_V=np.full((2, 5), math.nan))
    state, output = bms.step(PACK, bms.start(PACK), blind)
    assert not output.command.bleed.any()
    assert bms.step(PACK, state, calm(PACK, 1.0, cell_V=cell_V))[1].command.bleed[:, 1:].all()


def test_bleeding_brings_the_true_charge_of_all_cells_together() -> None:
    """A parked pack of true cells, 4 Ah apart at first, through resistors large enough to be done in a day."""
    pack = small_pack(strings=1, balancing={"bleed_ohm": 10.0}, sensors={"patience_s": 120.0})
    cells = [TrueCell(soc) for soc in (0.62, 0.60, 0.64, 0.615, 0.603)]
    state, bled = bms.start(pack), np.zeros(5)
    for k in range(24 * 60):
        cells = [live(pack.cell, cell, on * 3.8 / 10.0, 25.0, 60.0) for cell, on in zip(cells, bled, strict=True)]
        cell_V = np.array([[cell.terminal_V for cell in cells]])
        state, output = bms.step(pack, state, calm(pack, 60.0 * k, cell_V=cell_V, string_V=cell_V.sum(axis=1)))
        bled = output.command.bleed[0]
        assert bled[1] == 0.0
    spread_Ah = pack.cell.capacity_Ah * np.ptp([cell.soc for cell in cells])
    assert spread_Ah < pack.balancing.start_Ah
    assert not bled.any()
    assert cells[1].soc == pytest.approx(0.6)
