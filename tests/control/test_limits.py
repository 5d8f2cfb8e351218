"""What limits the truck: every reason can bind, limits fall at once and rise slowly, worse readings never help."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse import bms
from packhorse.pack.compile import compile_pack
from packhorse.pack.description import CellFile, PackFile
from packhorse.pack.faults import fault_code
from packhorse.pack.load import load_pack
from packhorse.pack.words import Limits, Pack, Reason, State
from packs import CELL, calm, closed, drive_on, small_pack

PACK = small_pack()
CLOSED = closed(PACK)
STEADY_A = np.array([200.0, 100.0])
# for ten seconds after rest: the rating, or what makes the mean square of half a minute steady
PEAK_A = np.array([300.0, 100.0 * math.sqrt(3.0)])
DT_S = 0.1


def hear(state: State = CLOSED, pack: Pack = PACK, **changes: Any) -> Limits:
    """Limits after one more tick, in which something else than calm is heard."""
    frame = calm(pack, state.time_s + DT_S, drive_request=1.0, contactor=state.control.contactor.copy())
    return bms.step(pack, state, frame._replace(**changes))[1].limits


def one_cell(cell_V: float) -> dict[str, Any]:
    cells_V = np.full((2, 5), 3.7)
    cells_V[1, 2] = cell_V
    return {"cell_V": cells_V}


def probes(low: float, high: float) -> dict[str, Any]:
    return {"probe_degC": np.array([[25.0, 25.0], [low, high]])}


def believing(soc: float) -> State:
    covariance = np.full_like(CLOSED.belief.covariance, 0.0)
    covariance[:, 0], covariance[:, 3], covariance[:, 5] = 1e-6, 1e-8, 1e-8
    belief = CLOSED.belief._replace(soc=np.full((2, 5), soc), covariance=covariance)
    return CLOSED._replace(belief=belief)


def with_fault(name: str) -> State:
    watch = CLOSED.watch._replace(active=np.zeros_like(CLOSED.watch.active))
    watch.active[fault_code(name), 1] = 1.0
    return CLOSED._replace(watch=watch)


def limited(limit_A: float) -> State:
    return CLOSED._replace(control=CLOSED.control._replace(limit_A=np.full((2, 2), limit_A)))


DONE = CLOSED._replace(control=CLOSED.control._replace(charge_done=1.0))
WEAK = small_pack(derating={"max_string_A": 50.0})
SILENT = {
    "probes": {"probe_degC": np.full((2, 2), math.nan)},
    "cells": {"cell_V": np.full((2, 5), math.nan)},
    "current": {"string_A": np.full(2, math.nan)},
}
# which limits (0 discharge, 1 charge) each cause binds, at the string that it is on
BINDS: list[tuple[Reason, tuple[int, ...], dict[str, Any]]] = [
    (Reason.CELL_RATING, (0, 1), {}),
    (Reason.TEMPERATURE, (0, 1), probes(5.0, 25.0)),
    (Reason.TEMPERATURE, (1,), probes(25.0, 51.0)),
    (Reason.CELL_VOLTAGE, (0,), one_cell(2.9)),
    (Reason.CELL_VOLTAGE, (1,), one_cell(4.15)),
    (Reason.SOC, (0,), {"state": believing(0.05)}),
    (Reason.SOC, (1,), {"state": believing(0.98)}),
    (Reason.FAULT, (0, 1), {"state": with_fault("probe_spread")}),
    (Reason.FAULT, (1,), {"state": with_fault("isolation_low")}),
    (Reason.CONTACTORS, (0, 1), {"state": bms.start(PACK)._replace(time_s=0.0)}),
    (Reason.NOT_HEARD, (0, 1), SILENT["probes"]),
    (Reason.NOT_HEARD, (0, 1), SILENT["cells"]),
    (Reason.NOT_HEARD, (0, 1), SILENT["current"]),
    (Reason.RECOVERING, (0, 1), {"state": limited(10.0)}),
    (Reason.CHARGE_DONE, (1,), {"state": DONE, "charge_request": 1.0}),
    (Reason.STRING_RATING, (0, 1), {"state": closed(WEAK), "pack": WEAK}),
]


@pytest.mark.parametrize(("reason", "directions", "cause"), BINDS, ids=[f"{r.name}-{d}" for r, d, _ in BINDS])
def test_a_cause_binds_and_is_the_reason_given(
    reason: Reason, directions: tuple[int, ...], cause: dict[str, Any]
) -> None:
    limits = hear(**cause)
    given_reasons = (limits.discharge_reason, limits.charge_reason)
    for direction in directions:
        assert limits.string_reason[direction, 1] == reason
        assert given_reasons[direction] == reason
        if reason != Reason.CELL_RATING:
            assert limits.string_A[direction, 1] < PEAK_A[direction]


def test_every_reason_has_a_cause() -> None:
    assert {reason for reason, _, _ in BINDS} == set(Reason)


def test_a_healthy_pack_is_allowed_its_ten_second_rating_times_its_strings() -> None:
    limits = hear()
    assert [limits.discharge_A, limits.charge_A] == pytest.approx(2 * PEAK_A)
    assert limits.charge_W == pytest.approx(limits.charge_A * 18.5)
    sag_V = 5 * 300.0 * (1e-3 + 0.5e-3 * (1 - math.exp(-1)) + 0.5e-3 * (1 - math.exp(-0.05)))
    assert limits.discharge_W == pytest.approx(limits.discharge_A * (18.5 - sag_V), rel=1e-3)


@pytest.mark.parametrize("worst_string", [0, 1])
def test_the_weakest_string_binds_for_all(worst_string: int) -> None:
    cells_V = np.full((2, 5), 3.7)
    cells_V[worst_string, 0] = 2.9
    limits = hear(cell_V=cells_V)
    assert limits.discharge_A == pytest.approx(2 * limits.string_A[0, worst_string])
    assert limits.discharge_A < limits.string_A[0, 1 - worst_string]


def test_a_string_that_has_left_takes_its_share_with_it() -> None:
    state = CLOSED._replace(control=CLOSED.control._replace(stage=np.array([2.0, 4.0])))
    limits = hear(state)
    assert limits.discharge_A == pytest.approx(PEAK_A[0])
    assert limits.string_A[:, 1] == pytest.approx([0.0, 0.0])


@pytest.mark.parametrize("what", ["probes", "cells", "current"])
def test_a_silent_sensor_leaves_the_limp_share_at_once(what: str) -> None:
    limits = hear(**SILENT[what])
    rated_A = STEADY_A if what == "probes" else PEAK_A
    for direction in (0, 1):
        assert limits.string_A[direction] == pytest.approx([0.1 * rated_A[direction]] * 2)


def test_all_silent_allows_less_than_any_silent_sensor() -> None:
    everything = {name: value for silent in SILENT.values() for name, value in silent.items()}
    limits = hear(**everything)
    assert 0 < limits.discharge_A <= min(hear(**silent).discharge_A for silent in SILENT.values())


def test_a_lasting_load_takes_the_ten_second_rating_away_but_never_the_steady_one() -> None:
    loaded = calm(PACK, drive_request=1.0, string_A=np.full(2, 290.0))
    _, outputs = drive_on(PACK, CLOSED, loaded, 60.0)
    allowed_A = [o.limits.string_A[0, 0] for o in outputs]
    assert allowed_A[0] == pytest.approx(300.0)
    assert allowed_A[-1] == pytest.approx(200.0)
    assert min(allowed_A) >= 200.0 - 1e-9


def test_a_limit_falls_at_once_and_rises_with_the_ramp() -> None:
    frame = calm(PACK, CLOSED.time_s + DT_S, drive_request=1.0, contactor=CLOSED.control.contactor)
    state, output = bms.step(PACK, CLOSED, frame._replace(**one_cell(2.85)))
    fallen_A = output.limits.string_A[0, 1]
    assert fallen_A < 20.0
    _, outputs = drive_on(PACK, state, frame, 6.0)
    allowed_A = np.array([fallen_A] + [o.limits.string_A[0, 1] for o in outputs])
    rises_A = np.diff(allowed_A)
    ramp_A = PACK.derating.ramp_per_s * DT_S * PEAK_A[0]
    assert rises_A.max() <= ramp_A + 1e-9
    assert rises_A[:40] == pytest.approx(ramp_A)
    assert allowed_A[-1] == pytest.approx(PEAK_A[0])


@pytest.mark.parametrize("name", ["heavy", "medium", "light"])
@pytest.mark.parametrize("beyond_K", [0.5, 5.0, 25.0])
def test_a_pack_of_the_catalogue_takes_no_charge_in_the_cold(name: str, beyond_K: float) -> None:
    pack = load_pack(name)
    state = bms.start(pack)
    stages = state.control._replace(stage=np.full(pack.strings, 2.0), limit_A=np.full((2, pack.strings), 1e4))
    degC = np.full((pack.strings, pack.probes), 25.0)
    degC[-1, -1] = pack.temperature[0] - beyond_K
    cell_V = np.full((pack.strings, pack.series), 3.3)
    frame = calm(pack, 1.0, drive_request=1.0, probe_degC=degC, cell_V=cell_V, string_V=cell_V.sum(axis=1))
    limits = bms.step(pack, state._replace(control=stages), frame)[1].limits
    assert limits.charge_A == 0.0
    assert limits.charge_W == 0.0
    assert limits.charge_reason == Reason.TEMPERATURE


def test_the_cold_is_allowed_no_charge_even_where_the_ratings_are_generous() -> None:
    assert hear(**probes(0.0, 25.0)).charge_A > 0.0
    limits = hear(**probes(-0.1, 25.0))
    assert limits.charge_A == 0.0
    assert limits.discharge_A > 0.0


HOT = {**CELL["over_temperature"], "degC": [-20, 15, 35, 60], "capacity_share": [0.8, 1, 1, 1]}
HOT |= {"discharge_A": [60, 200, 200, 60], "charge_A": [0, 100, 100, 0]}
HOT |= {"discharge_10s_A": [120, 300, 300, 90], "charge_10s_A": [10, 200, 200, 0]}
BOTH_SIDES = compile_pack(
    PackFile(name="both", cell="test", strings=2, series=5, probes=2),
    CellFile.model_validate({**CELL, "over_temperature": HOT}),
)
BOTH_CLOSED = closed(BOTH_SIDES)
quick = settings(max_examples=200, deadline=None)


@given(st.floats(2.0, 4.5), st.floats(0, 1), st.floats(-150, 250))
@quick
def test_a_lower_worst_cell_never_raises_the_discharge_limit(cell_V: float, lower_V: float, current_A: float) -> None:
    current = {"string_A": np.full(2, current_A)}
    worse = hear(**one_cell(cell_V - lower_V), **current)
    better = hear(**one_cell(cell_V), **current)
    assert worse.discharge_A <= better.discharge_A + 1e-9
    assert worse.discharge_A >= 0


@given(st.floats(3.0, 5.0), st.floats(0, 1), st.floats(-150, 250))
@quick
def test_a_higher_worst_cell_never_raises_the_charge_limit(cell_V: float, higher_V: float, current_A: float) -> None:
    current = {"string_A": np.full(2, current_A)}
    worse = hear(**one_cell(cell_V + higher_V), **current)
    better = hear(**one_cell(cell_V), **current)
    assert worse.charge_A <= better.charge_A + 1e-9
    assert worse.charge_A >= 0


@given(st.floats(-60, 15), st.floats(35, 90), st.floats(0, 30), st.floats(0, 30), st.floats(-150, 250))
@quick
def test_temperatures_further_outside_never_raise_a_limit(
    low: float, high: float, colder_K: float, hotter_K: float, current_A: float
) -> None:
    current = {"string_A": np.full(2, current_A)}
    better = hear(BOTH_CLOSED, BOTH_SIDES, **probes(low, high), **current)
    worse = hear(BOTH_CLOSED, BOTH_SIDES, **probes(low - colder_K, high + hotter_K), **current)
    for name in ("discharge_A", "charge_A"):
        assert 0 <= getattr(worse, name) <= getattr(better, name) + 1e-9
