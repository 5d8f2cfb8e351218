"""Scenarios with truck and BMS together: what breaks, what must be said, how soon, and what must be done."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest

from packhorse import twin
from packhorse.pack.words import Severity, Signal, Stage
from packhorse.twin import Kind
from trucks import Moment, Wish, along, events, live, steady, true_soc

BREAKS_S = 20.0
HIGHWAY, STEEP, PARKED, PLUGGED = steady(60.0), steady(80.0, 0.03), steady(), steady(plugged=1.0)


class Scenario(NamedTuple):
    """Something breaks after 20 s; within `within_s` the fault is named and the strings are in the stage."""

    kind: Kind
    value: float
    place: int
    says: str
    within_s: float
    stage: Stage = Stage.CLOSED
    wish: Wish = HIGHWAY
    string: int = 0
    soc: float = 0.6


SCENARIOS = [
    Scenario(Kind.CELL_OFFSET, 0.6, 5, "cell_overvoltage", 1.0, Stage.TRIPPED),
    Scenario(Kind.CELL_OFFSET, -1.5, 5, "cell_undervoltage", 1.5, Stage.TRIPPED),
    Scenario(Kind.CELL_OFFSET, -0.45, 5, "cell_spread", 11.0),
    Scenario(Kind.CELL_SILENT, 0.0, 5, "cells_not_heard", 5.0),
    Scenario(Kind.BOARD_SILENT, 0.0, -1, "cells_blind", 65.0, Stage.TRIPPED),
    Scenario(Kind.BOARD_FROZEN, 0.0, -1, "readings_frozen", 70.0),
    Scenario(Kind.BOARD_LATE, 6.0, -1, "readings_stale", 6.0),
    Scenario(Kind.PROBE_OFFSET, 45.0, 3, "overtemperature_discharge", 6.0, Stage.TRIPPED),
    Scenario(Kind.PROBE_OFFSET, 17.0, 3, "probe_spread", 40.0),
    Scenario(Kind.PROBE_SILENT, 0.0, -1, "probes_not_heard", 10.0),
    Scenario(Kind.CURRENT_SILENT, 0.0, -1, "current_not_heard", 5.0),
    Scenario(Kind.CURRENT_OFFSET, 150.0, -1, "strings_disagree", 70.0),
    Scenario(Kind.STRING_VOLTAGE_SILENT, 0.0, -1, "string_voltage_not_heard", 6.0),
    Scenario(Kind.STRING_VOLTAGE_OFFSET, 30.0, -1, "sum_mismatch", 11.0),
    Scenario(Kind.ISOLATION, 180_000.0, -1, "isolation_low", 40.0, string=-1),
    Scenario(Kind.ISOLATION, 20_000.0, -1, "isolation_lost", 12.0, string=-1),
    Scenario(Kind.HVIL_OPEN, 0.0, -1, "hvil_open", 2.0, Stage.TRIPPED, string=-1),
    Scenario(Kind.CONTACTOR_STUCK_OPEN, 0.0, 1, "contactor_feedback", 2.0, Stage.TRIPPED),
    Scenario(Kind.CELL_HEATING, 3000.0, 2, "temperature_high", 300.0, string=0),
    Scenario(Kind.CELL_RESISTIVE, 11.0, 9, "cell_spread", 60.0, wish=steady(70.0, 0.03)),
    Scenario(
        Kind.INVERTER_IGNORES_LIMITS, 0.0, -1, "cell_voltage_low", 1500.0, wish=steady(80.0, 0.03), soc=0.12, string=-1
    ),
    Scenario(Kind.CHARGER_IGNORES_REQUEST, 900.0, -1, "cell_voltage_high", 1500.0, wish=PLUGGED, soc=0.93, string=-1),
]


def named(scenario: Scenario) -> str:
    return f"{scenario.kind.name.lower()}-{scenario.says}"


def until(scenario: Scenario) -> list[Moment]:
    fault = twin.Fault(scenario.kind, BREAKS_S, np.inf, scenario.string, scenario.place, scenario.value)
    dt_s = 0.1 if scenario.within_s < 100.0 else 0.5
    return live("heavy", BREAKS_S + scenario.within_s + 5.0, scenario.wish, dt_s, scenario.soc, [fault])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[named(s) for s in SCENARIOS])
def test_what_breaks_is_named_in_time_and_handled(scenario: Scenario) -> None:
    life = until(scenario)
    said = events(life)
    assert not [name for at_s, name, _ in said if at_s < BREAKS_S], "nothing may be said before it breaks"
    times = [at_s for at_s, name, _ in said if name == scenario.says]
    assert times, f"said only {sorted({name for _, name, _ in said})}"
    assert times[0] - BREAKS_S <= scenario.within_s
    if scenario.string >= 0 and scenario.says != "strings_disagree":  # which concerns them all
        assert {event.string for _, name, event in said if name == scenario.says} == {scenario.string}
    if scenario.stage == Stage.TRIPPED:
        assert life[-1].output.command.stage[max(scenario.string, 0)] == Stage.TRIPPED
    struck = [m for m in life if m.frame.time_s > BREAKS_S]
    for was, now in itertools.pairwise(struck):
        for s in range(4):
            closes = now.output.command.contactor[s, 1] > was.output.command.contactor[s, 1]
            assert not (closes and was.output.command.stage[s] == Stage.TRIPPED)


def test_one_tripped_string_leaves_the_others_driving() -> None:
    fault = twin.Fault(Kind.CONTACTOR_STUCK_OPEN, BREAKS_S, np.inf, 2, 1, 0.0)
    life = live("heavy", 60.0, HIGHWAY, faults=[fault])
    stage = life[-1].output.command.stage
    assert stage[2] == Stage.TRIPPED
    assert [stage[s] for s in (0, 1, 3)] == [Stage.CLOSED] * 3
    assert life[-1].body.speed_m_per_s * 3.6 == pytest.approx(60.0, abs=1.0)


def test_a_broken_precharge_resistor_never_closes_that_string_first() -> None:
    fault = twin.Fault(Kind.PRECHARGE_BROKEN, 0.0, np.inf, -1, -1, 0.0)
    life = live("heavy", 60.0, HIGHWAY, faults=[fault])
    assert "precharge_failed" in {name for _, name, _ in events(life)}
    assert not any(m.output.command.contactor[:, 1].any() for m in life)
    assert life[-1].body.distance_m == 0.0


def test_a_welded_contactor_is_noticed_when_the_string_opens() -> None:
    fault = twin.Fault(Kind.CONTACTOR_WELDED, 10.0, np.inf, 1, 1, 0.0)

    def wish(time_s: float) -> twin.Demand:
        return (PARKED if time_s < 30.0 else PLUGGED)(time_s)

    life = live("heavy", 20.0, wish, faults=[fault])
    opened = live("heavy", 20.0, wish, faults=[fault, twin.Fault(Kind.HVIL_OPEN, 12.0, np.inf, -1, -1, 0.0)])
    assert "contactor_feedback" not in {name for _, name, _ in events(life)}
    assert "contactor_feedback" in {name for _, name, _ in events(opened)}


def test_no_charge_is_taken_in_the_frost_and_the_heater_ends_that() -> None:
    life = live("heavy", 3 * 3600.0, steady(plugged=1.0, ambient_degC=-15.0), dt_s=1.0, soc=0.4)
    charging = np.array([m.body.string_A.sum() < -5.0 for m in life])
    coldest = np.array([m.body.cell_degC.min() for m in life])
    assert not charging[coldest < -0.5].any()
    assert charging[-1]
    assert coldest[-1] > 5.0
    assert not [name for _, name, event in events(life) if event.severity >= Severity.SERIOUS]


def test_heat_is_taken_away_before_it_matters() -> None:
    life = live("heavy", 3600.0, steady(84.0, 0.015, ambient_degC=38.0), dt_s=1.0, soc=0.95)
    assert max(m.output.command.chiller for m in life) > 0.3
    assert max(m.body.cell_degC.max() for m in life) < 45.0


def test_charging_ends_full_and_rests() -> None:
    life = live("light", 3.5 * 3600.0, PLUGGED, dt_s=1.0, soc=0.5)
    assert life[-1].output.command.charge_A == 0.0
    assert life[-1].body.soc.max() > 0.93
    highest_V = max(m.output.signal[Signal.CELL_MAX_V].max() for m in life)
    assert highest_V < 4.2 + 0.01
    ended = next(k for k, m in enumerate(life) if m.state.control.charge_done > 0.0)
    assert all(m.output.command.charge_A == 0.0 for m in life[ended:])
    assert not events(life)


def test_an_empty_truck_crawls_and_protects_its_cells() -> None:
    life = live("light", 4000.0, steady(70.0), dt_s=1.0, soc=0.08)
    assert life[-1].body.speed_m_per_s < 0.6 * 70.0 / 3.6
    lowest_V = min(m.body.cell_V.min() for m in life)
    assert lowest_V > 2.8 - 0.25
    assert not [name for _, name, event in events(life) if event.severity == Severity.CRITICAL]


@pytest.mark.parametrize("ambient_degC", [-10.0, 20.0, 35.0])
@pytest.mark.parametrize("name", ["heavy", "medium", "light"])
def test_a_healthy_day_is_quiet(name: str, ambient_degC: float) -> None:
    life = live(name, 5 * 3600.0, along(twin.load_truck(name).cycle, ambient_degC), dt_s=1.0, soc=0.9)
    assert not [found for _, found, event in events(life) if event.severity >= Severity.SERIOUS]
    assert life[-1].body.distance_m > 50_000.0
    assert life[-1].output.estimate.soc == pytest.approx(true_soc(life[-1]), abs=0.08)
    for m in life[::60]:
        assert m.body.cell_V.max() < 4.25
        assert m.output.limits.discharge_A >= 0.0


def test_passive_balancing_brings_the_charge_together() -> None:
    life = live("light", 12 * 3600.0, PLUGGED, dt_s=2.0, soc=0.9)
    spread = [np.ptp(m.body.soc, axis=1).max() for m in (life[0], life[-1])]
    assert spread[1] < 0.85 * spread[0]
    assert life[-1].output.command.bleed.any()
