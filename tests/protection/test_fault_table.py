"""Every row of the fault table is raised by its cause, in its time, on the right string and place, and clears."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from packhorse import bms
from packhorse.pack.faults import FaultRow, fault_code, fault_rows
from packhorse.pack.words import Frame, Output, Pack, Reaction, Stage, State
from packs import calm, closed, obeyed, small_pack

PACK = small_pack()
CLOSED = closed(PACK)
DT_S = 0.1


def cell(value: float, string: int = 1, place: int = 3) -> dict[str, Any]:
    cell_V = np.full((2, 5), 3.7)
    cell_V[string, place] = value
    return {"cell_V": cell_V, "string_V": np.where(np.isnan(cell_V), 3.7, cell_V).sum(axis=1)}


def probe(value: float, string: int = 1, **more: Any) -> dict[str, Any]:
    probe_degC = np.full((2, 2), 25.0)
    probe_degC[string, 1] = value
    return {"probe_degC": probe_degC, **more}


def on_string(name: str, value: float, calm_value: float) -> dict[str, Any]:
    return {name: np.array([calm_value, value])}


CHARGING = {"string_A": np.array([-10.0, -10.0])}
SILENT = np.array([[0, 0, 0], [5.0, 0, 0]])

# cause of each fault: what is heard instead of a calm frame; the place in the string, or -1 where there is none
CAUSES: dict[str, tuple[dict[str, Any], int]] = {
    "cell_overvoltage": (cell(4.30), 3),
    "cell_voltage_high": (cell(4.22), 3),
    "cell_undervoltage": (cell(2.50), 3),
    "cell_voltage_low": (cell(2.75), 3),
    "cell_spread": (cell(3.30), 3),
    "string_overcurrent_discharge": (on_string("string_A", 400.0, 0.0), -1),
    "string_current_high_discharge": (on_string("string_A", 330.0, 0.0), -1),
    "string_overcurrent_charge": (on_string("string_A", -260.0, 0.0), -1),
    "string_current_high_charge": (on_string("string_A", -215.0, 0.0), -1),
    "overtemperature_discharge": (probe(61.0), 1),
    "temperature_high": (probe(56.0), 1),
    "undertemperature_discharge": (probe(-21.0), 1),
    "overtemperature_charge": (probe(51.0, **CHARGING), 1),
    "undertemperature_charge": (probe(-1.0, **CHARGING), 1),
    "probe_spread": (probe(41.0), 1),
    "coolant_hot": ({"outlet_degC": 65.0}, -1),
    "isolation_low": ({"isolation_ohm": 400.0 * 5 * 4.2}, -1),
    "isolation_lost": ({"isolation_ohm": 90.0 * 5 * 4.2}, -1),
    "isolation_not_heard": ({"isolation_ohm": math.nan}, -1),
    "hvil_open": ({"hvil": 0.0}, -1),
    "contactor_feedback": ({"contactor": np.array([[1.0, 1, 0], [1, 0, 0]])}, 1),
    "cells_not_heard": (cell(math.nan), 3),
    "cells_blind": (cell(math.nan), 3),
    "probes_not_heard": ({"probe_degC": np.array([[25.0, 25], [math.nan, math.nan]])}, -1),
    "current_not_heard": (on_string("string_A", math.nan, 0.0), -1),
    "string_voltage_not_heard": (on_string("string_V", math.nan, 18.5), -1),
    "readings_stale": ({"age_s": SILENT}, -1),
    "readings_frozen": (on_string("string_A", 20.0, 20.0), -1),
    "sum_mismatch": (on_string("string_V", 26.0, 18.5), -1),
    "string_overvoltage": (on_string("string_V", 21.5, 18.5), -1),
    "string_undervoltage": (on_string("string_V", 12.0, 18.5), -1),
    "strings_disagree": (on_string("string_A", 100.0, 0.0), -1),
}
# raised by what the BMS itself has tried, not by a frame; tested with the contactors
OWN = {"precharge_failed", "current_on_open_string"}
ROWS = [row for row in fault_rows() if row.name not in OWN]


def live(pack: Pack, state: State, changes: dict[str, Any], seconds: float) -> tuple[State, list[tuple[float, Output]]]:
    """Drive on with changed readings; noise on the cells keeps the boards from looking frozen."""
    outputs: list[tuple[float, Output]] = []
    begin_s = state.time_s
    frozen = "readings_frozen" in changes
    for k in range(1, round(seconds / DT_S) + 1):
        frame = calm(pack, begin_s + k * DT_S, drive_request=1.0, contactor=state.control.contactor.copy())
        frame = frame._replace(**{name: value for name, value in changes.items() if name in Frame._fields})
        frame = frame if frozen else frame._replace(cell_V=frame.cell_V + 1e-4 * (k % 2))
        state, output = bms.step(pack, state, frame)
        outputs.append((frame.time_s - begin_s, output))
    return state, outputs


def raised_at(outputs: list[tuple[float, Output]], name: str) -> list[tuple[float, bms.Event]]:
    code = fault_code(name)
    return [(at, e) for at, output in outputs for e in bms.events(output.events) if e.code == code and e.raised]


def test_every_row_has_a_cause() -> None:
    assert {row.name for row in fault_rows()} == set(CAUSES) | OWN


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_row_is_raised_in_its_time_by_its_cause(row: FaultRow) -> None:
    changes, place = CAUSES[row.name]
    marked = {**changes, "readings_frozen": True} if row.name == "readings_frozen" else changes
    patience_s = {"readings_frozen": 60.0}.get(row.name, 0.0)
    _, outputs = live(PACK, CLOSED, marked, row.debounce_s + patience_s + 1.0)
    found = raised_at(outputs, row.name)
    assert found, f"{row.name} was not raised"
    at_s, event = found[0]
    assert row.debounce_s + patience_s <= at_s <= row.debounce_s + patience_s + 3 * DT_S
    strings = {e.string for _, e in found}
    everywhere = (
        row.name.startswith(("isolation", "hvil", "coolant", "strings_disagree")) or row.name == "readings_frozen"
    )
    assert strings == ({0, 1} if everywhere else {1})
    assert event.severity == row.severity
    assert found[-1][1].place == place


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_row_clears_when_its_cause_is_gone_but_a_latched_one_only_on_reset(row: FaultRow) -> None:
    code = fault_code(row.name)
    watch = CLOSED.watch._replace(active=np.zeros_like(CLOSED.watch.active))
    watch.active[code] = 1.0
    state, _ = live(PACK, CLOSED._replace(watch=watch), {}, row.clear_s + 0.5)
    assert state.watch.active[code].all() == row.latched
    state, _ = live(PACK, state, {"reset_request": 1.0}, 0.2)
    assert not state.watch.active[code].any()


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_row_reacts_as_the_table_says(row: FaultRow) -> None:
    code = fault_code(row.name)
    active = np.zeros_like(CLOSED.watch.active)
    active[code, 1] = 1.0
    state, outputs = live(PACK, CLOSED._replace(watch=CLOSED.watch._replace(active=active)), CAUSES[row.name][0], 0.1)
    limits, healthy = outputs[0][1].limits, live(PACK, CLOSED, {}, 0.1)[1][0][1].limits
    discharge, charge = (limits.string_A[d, 1] / healthy.string_A[d, 1] for d in (0, 1))
    bounds = {
        Reaction.NOTE: (1.0, 1.0),
        Reaction.DERATE: (0.5, 0.5),
        Reaction.STOP_CHARGE: (1.0, 0.0),
        Reaction.LIMP: (0.1, 0.1),
        Reaction.OPEN_AFTER_WARNING: (0.1, 0.0),
        Reaction.OPEN_NOW: (0.0, 0.0),
    }[row.reaction]
    assert discharge <= bounds[0] + 1e-9
    assert charge <= bounds[1] + 1e-9
    stage = {Reaction.OPEN_AFTER_WARNING: Stage.OPENING, Reaction.OPEN_NOW: Stage.TRIPPED}
    assert state.control.stage[1] == stage.get(row.reaction, Stage.CLOSED)


def test_one_bad_reading_raises_nothing() -> None:
    for name in ("cell_overvoltage", "overtemperature_discharge", "string_overcurrent_discharge", "hvil_open"):
        state, first = live(PACK, CLOSED, CAUSES[name][0], DT_S)
        _, then = live(PACK, state, {}, 5.0)
        assert not raised_at(first + then, name)


def test_an_unheard_reading_neither_raises_nor_clears() -> None:
    code = fault_code("cell_voltage_high")
    state, _ = live(PACK, CLOSED, CAUSES["cell_voltage_high"][0], 2.0)
    assert state.watch.active[code, 1] == 1
    blind = {"cell_V": np.full((2, 5), math.nan)}
    state, _ = live(PACK, state, blind, 30.0)
    assert state.watch.active[code, 1] == 1


def test_the_same_life_trips_alike_at_every_rate() -> None:
    """Ticks of 0.1 s and of 1 s find a lasting fault within their own tick of each other."""
    times = []
    for dt_s in (0.1, 1.0):
        state, begin_s = CLOSED, CLOSED.time_s
        for k in range(1, 200):
            frame = calm(PACK, begin_s + k * dt_s, drive_request=1.0, contactor=state.control.contactor.copy())
            state, output = bms.step(PACK, state, frame._replace(**CAUSES["overtemperature_discharge"][0]))
            if raised_at([(k * dt_s, output)], "overtemperature_discharge"):
                times.append(k * dt_s)
                break
    assert abs(times[0] - times[1]) <= 1.0


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("one cell far above the others", cell(4.9)),
        ("one cell at zero", cell(0.0)),
        ("one hot probe among cold ones", probe(300.0)),
    ],
)
def test_a_single_outlier_is_never_explained_away(what: str, changes: dict[str, Any]) -> None:
    """An implausible reading may be a broken sensor; it opens the string all the same."""
    state, _ = live(PACK, CLOSED, changes, 10.0)
    assert state.control.stage[1] == Stage.TRIPPED, what


def test_a_disabled_row_is_never_raised() -> None:
    quiet = small_pack(faults={"cell_spread": {"enabled": False}})
    state = closed(quiet)
    state, outputs = live(quiet, state, CAUSES["cell_spread"][0], 15.0)
    assert not raised_at(outputs, "cell_spread")


def test_obeyed_frames_close_the_loop() -> None:
    output = bms.step(PACK, CLOSED, calm(PACK, CLOSED.time_s + 0.1, drive_request=1.0))[1]
    assert obeyed(calm(PACK), output).link_V == pytest.approx(18.5)
