"""Cooling and heating: on and off at their set points, free air before the chiller, nothing without probes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse import bms
from packhorse.pack.words import Command, Pack
from packs import calm, small_pack

LIQUID = small_pack()
AIR = small_pack(thermal={"cooling": "air"})


def regulate(degrees: list[float], pack: Pack = LIQUID, spread_K: float = 0.0, **changes: Any) -> list[Command]:
    """Commands while the hottest probe runs through the given temperatures."""
    state, commands = bms.start(pack), []
    for k, degC in enumerate(degrees):
        probe_degC = np.array([[degC, degC], [degC - spread_K, degC]])
        frame = calm(pack, float(k), **{"drive_request": 1.0, "probe_degC": probe_degC, **changes})
        state, output = bms.step(pack, state, frame)
        commands.append(output.command)
    return commands


def test_cooling_starts_above_its_set_point_and_holds_until_well_below() -> None:
    cooled = [c.radiator > 0 for c in regulate([31.9, 32.1, 30.0, 27.1, 26.9, 27.5, 31.9], ambient_degC=10.0)]
    assert cooled == [False, True, True, True, False, False, False]


def test_heating_starts_below_its_set_point_and_holds_until_well_above() -> None:
    heated = [c.heater > 0 for c in regulate([8.1, 7.9, 13.9, 14.1, 13.0, 8.1])]
    assert heated == [False, True, True, False, False, False]


@pytest.mark.parametrize(
    ("ambient_degC", "radiator", "chiller"),
    [(20.0, True, False), (34.9, True, False), (35.1, False, True), (45.0, False, True), (math.nan, False, True)],
)
def test_air_cools_for_free_while_it_is_cold_enough_and_else_the_chiller(
    ambient_degC: float, radiator: bool, chiller: bool
) -> None:
    command = regulate([40.0], ambient_degC=ambient_degC)[-1]
    assert (command.radiator > 0, command.chiller > 0, command.pump) == (radiator, chiller, 1.0)


def test_cooling_is_stronger_the_hotter_it_is_up_to_full() -> None:
    shares = [c.chiller for c in regulate([33.0, 34.0, 36.0, 37.1, 44.0], ambient_degC=40.0)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[1] < 1
    assert shares[-2:] == [1.0, 1.0]


@pytest.mark.parametrize("pack", [LIQUID, AIR])
def test_without_any_probe_nothing_is_cooled_or_heated(pack: Pack) -> None:
    command = regulate([40.0, math.nan], pack)[-1]
    assert (command.chiller, command.radiator, command.heater) == (0, 0, 0)


def test_one_silent_string_leaves_the_other_to_judge() -> None:
    probe_degC = np.array([[math.nan, math.nan], [40.0, 40.0]])
    assert regulate([0.0], probe_degC=probe_degC, ambient_degC=40.0)[-1].chiller > 0


def test_an_air_cooled_pack_has_a_fan_and_a_heater_and_nothing_else() -> None:
    for degC, ambient_degC, fan, heater in [(40, 20, True, 0), (40, 38, False, 0), (2, 2, False, 1), (20, 2, False, 0)]:
        command = regulate([float(degC)], AIR, ambient_degC=float(ambient_degC))[-1]
        assert (command.radiator > 0, command.heater) == (fan, heater)
        assert (command.pump, command.chiller) == (0, 0)


def test_uneven_probes_are_evened_out_by_the_pump() -> None:
    assert regulate([22.0], spread_K=4.0)[-1].pump < 1.0
    assert regulate([22.0], spread_K=6.0)[-1].pump == 1.0


def test_a_parked_truck_is_left_alone_and_a_plugged_in_one_is_heated() -> None:
    parked = regulate([-10.0], drive_request=0.0)[-1]
    assert (parked.pump, parked.chiller, parked.radiator, parked.heater) == (0, 0, 0, 0)
    assert regulate([-10.0], drive_request=0.0, charge_request=1.0)[-1].heater == 1.0


@given(st.lists(st.floats(-50, 80), min_size=1, max_size=8), st.floats(0, 40), st.floats(-40, 50), st.booleans())
@settings(max_examples=150, deadline=None)
def test_heat_and_cold_are_never_asked_for_together(
    degrees: list[float], spread_K: float, ambient_degC: float, liquid: bool
) -> None:
    for command in regulate(degrees, LIQUID if liquid else AIR, spread_K, ambient_degC=ambient_degC):
        assert not (command.heater > 0 and command.chiller + command.radiator > 0)
        assert not (command.chiller > 0 and command.radiator > 0)
