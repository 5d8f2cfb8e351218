"""The live view says what is known, fits its terminal, and needs no colour."""

from io import StringIO
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from packhorse import bms
from packhorse.app import say
from packhorse.app.screen import Active, Moment, render
from packhorse.pack.faults import fault_code, fault_rows
from packhorse.pack.words import Event, Pack, Reason, Severity
from packs import calm, closed, obeyed, small_pack


def moment(pack: Pack, **changes: Any) -> Moment:
    """A truck that drives uphill with its strings on the link."""
    state = closed(pack)
    frame = calm(pack, state.time_s + 0.1, drive_request=1.0, string_A=np.full(pack.strings, 85.25))
    _, output = bms.step(pack, state, frame._replace(cell_V=frame.cell_V - 0.001 * np.arange(pack.series)))
    now = Moment(
        frame=obeyed(frame, output),
        output=output,
        active=[],
        recent=[],
        speed_m_per_s=20.0,
        distance_m=12_340.0,
        grade=0.0125,
        plugged=False,
        speed_asked=60.0,
        speed_achieved=60.0,
    )
    return now._replace(**changes)


def text(pack: Pack, now: Moment, width: int = 100, height: int = 30) -> str:
    console = Console(width=width, height=height, record=True, file=StringIO())
    console.print(render(pack, "a truck", now, width, height), end="")
    return console.export_text()


def alarm(name: str, string: int = 0, time_s: float = 61.0) -> tuple[Active, Event]:
    code = fault_code(name)
    severity = Severity(fault_rows()[code].severity)
    return Active(code, string, time_s), Event(time_s, code, severity, 1.0, string, 2, True)


def faulty(pack: Pack, names: list[str]) -> Moment:
    found = [alarm(name, k % pack.strings) for k, name in enumerate(names)]
    return moment(pack, active=[active for active, _ in found], recent=[event for _, event in found])


def test_strings_road_power_and_heat_are_shown() -> None:
    pack = small_pack(strings=2, series=5)
    said = text(pack, moment(pack))
    assert "72.0 km/h" in said
    assert "12.34 km" in said
    assert "grade +1.2 %" in said
    assert "driving" in said
    assert "3.2 kW out" in said
    assert "60x real time" in said
    assert "asked" not in said
    assert said.count("closed") == 2
    assert "+85.2" in said
    assert "3.696 @5" in said
    assert "3.700 @1" in said
    assert "weakest cell" in said
    assert "pump" in said
    assert "No faults" in said


def test_a_slow_machine_is_not_hidden() -> None:
    pack = small_pack()
    assert "41.3x real time (60x asked)" in text(pack, moment(pack, speed_achieved=41.3))
    assert "asked" not in text(pack, moment(pack, speed_asked=0.0, speed_achieved=900.0))


def test_faults_come_worst_first_with_place_time_and_remedy() -> None:
    pack = small_pack()
    said = text(pack, faulty(pack, ["temperature_high", "cells_blind"]))
    assert "Faults: 2" in said
    assert said.index("critical") < said.index("warning")
    assert "cells blind, string 2" in said
    assert "since 00:01:01" in said
    assert "Drive gently; check the cooling system." in said
    assert "00:01:01  critical  cells blind raised, string 2, cell 3" in said
    assert "00:01:01  warning   temperature high raised, string 1, probe 3" in said


def test_a_fault_from_before_this_run_says_so() -> None:
    pack = small_pack()
    active, _ = alarm("hvil_open")
    assert "since before this run" in text(pack, moment(pack, active=[active._replace(since_s=np.nan)]))


def test_what_is_not_heard_is_shown_as_unknown() -> None:
    pack = small_pack()
    now = moment(pack)
    blind = calm(pack, np.nan, cell_V=np.full((2, 5), np.nan), string_A=np.full(2, np.nan), link_V=np.nan)
    blind = blind._replace(probe_degC=np.full((2, 2), np.nan), string_V=np.full(2, np.nan), ambient_degC=np.nan)
    _, output = bms.step(pack, bms.start(pack), blind)
    said = text(pack, now._replace(frame=blind, output=output))
    assert "nan" not in said
    assert "link -- V" in said
    assert said.count("contactors open") >= 1


@pytest.mark.parametrize("strings", [1, 4, 8, 32])
@pytest.mark.parametrize("size", [(100, 30), (80, 24), (120, 50), (40, 12)])
def test_it_fits_any_terminal(strings: int, size: tuple[int, int]) -> None:
    pack = small_pack(strings=strings, series=5)
    names = [row.name for row in fault_rows()]
    for now in (moment(pack), faulty(pack, names[:3]), faulty(pack, names)):
        lines = text(pack, now, *size).rstrip("\n").split("\n")
        assert len(lines) <= size[1]
        assert max(map(len, lines)) <= size[0]


def test_on_a_small_terminal_the_worst_fault_outlives_events_and_remedies() -> None:
    pack = small_pack(strings=4)
    said = text(pack, faulty(pack, [row.name for row in fault_rows()]), 80, 24)
    assert "critical" in said
    assert "more" in said
    assert "Events" not in said


def test_more_strings_than_fit_are_counted() -> None:
    pack = small_pack(strings=32)
    assert "and 24 more strings" in text(pack, moment(pack))


def test_every_reason_and_severity_has_words() -> None:
    assert set(say.REASONS) == set(Reason)
    assert set(say.SEVERITIES) == set(Severity)
