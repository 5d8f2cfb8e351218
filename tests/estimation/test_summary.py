"""What the step says of power, energy and health, and what its records of health take in."""

from __future__ import annotations

import math

import numpy as np
import pytest

from packhorse import bms, estimation
from packhorse.compiled import compiled
from packhorse.estimation.health import CAPACITY, RESISTANCE, USABLE, VALUE
from packhorse.pack.words import Array, Belief, Estimate, Frame, Pack, State
from packs import calm, closed, drive_on, small_pack

PACK = small_pack()
CLOSED = closed(PACK)
HOUR_S = 3600.0


def summed(pack: Pack = PACK, state: State = CLOSED, belief: Belief | None = None, **heard: object) -> Estimate:
    """The estimate of a state, with another belief or frame."""
    frame = calm(pack, state.time_s + 0.1, contactor=state.control.contactor, **heard)
    _, output = bms.step(pack, state._replace(belief=belief or state.belief), frame)
    return output.estimate


def wider(sigma: float) -> Belief:
    covariance = CLOSED.belief.covariance.copy()
    covariance[:, 0] = sigma**2
    return CLOSED.belief._replace(covariance=covariance)


def test_connected_strings_give_and_take_less_for_longer() -> None:
    power_W = summed().power_W
    assert np.all(power_W > 0.0)
    assert np.all(np.diff(power_W, axis=1) <= 0.0)


def test_open_strings_have_energy_but_no_power() -> None:
    state = bms.start(PACK)
    for k in range(3):
        state, output = bms.step(PACK, state, calm(PACK, 0.1 * k))
    assert not output.estimate.power_W.any()
    assert output.estimate.energy_kWh > 0.0


def test_a_string_heard_to_be_open_does_not_count() -> None:
    contactor = CLOSED.control.contactor.copy()
    contactor[1] = 0.0
    frame = calm(PACK, CLOSED.time_s + 0.1, contactor=contactor)
    _, output = bms.step(PACK, CLOSED, frame)
    assert output.estimate.power_W == pytest.approx(0.5 * summed().power_W, rel=0.02)


def test_doubt_and_cold_leave_less_and_a_limitless_doubt_still_something() -> None:
    sure, unsure, lost = (summed(belief=wider(sigma)).power_W for sigma in (0.01, 0.06, 0.5))
    assert np.all(unsure <= sure * (1 + 1e-9))
    assert unsure[0, -1] < sure[0, -1]
    assert np.all(lost > 0.0)
    cold, warm = summed(probe_degC=np.full((2, PACK.probes), -10.0)), summed()
    assert np.all(cold.power_W[0] < warm.power_W[0])
    assert not cold.power_W[1].any()
    assert cold.energy_kWh < warm.energy_kWh


def test_energy_says_how_sure_it_is() -> None:
    sure, unsure = (summed(belief=wider(sigma)) for sigma in (0.01, 0.1))
    assert unsure.energy_kWh == pytest.approx(sure.energy_kWh, rel=0.01)
    assert unsure.energy_sigma_kWh > 4 * sure.energy_sigma_kWh
    assert summed(belief=wider(0.0)).energy_sigma_kWh < sure.energy_sigma_kWh


def aged(charge: Array, resistance: Array, sigma: float = 0.005) -> Belief:
    """A belief that has learned its factors, (series,) for string 0; string 1 is as new."""
    belief = CLOSED.belief
    factors = belief.charge_factor.copy(), belief.resistance_factor.copy()
    factors[0][0], factors[1][0] = charge, resistance
    covariance = belief.covariance.copy()
    covariance[:, [12, 14]] = sigma**2
    return belief._replace(charge_factor=factors[0], resistance_factor=factors[1], covariance=covariance)


def after(belief: Belief, days: float, bled: float = 0.0, current_A: float = 30.0, degC: float = 25.0) -> Array:
    """Records of health after days in which this is believed, seen every hour."""
    pack = PACK._replace(sensors=PACK.sensors._replace(patience_s=HOUR_S))
    health, bleed = estimation.unheard(2), np.full((2, PACK.series), bled)
    frame = calm(pack, string_A=np.full(2, current_A), probe_degC=np.full((2, PACK.probes), degC))
    return followed(pack, health, belief, frame, bleed, round(24 * days))


@compiled
def followed(pack: Pack, health: Array, belief: Belief, frame: Frame, bleed: Array, hours: int) -> Array:
    for _ in range(hours):
        health = estimation.follow(pack, health, belief, frame, bleed, HOUR_S)
    return health


@pytest.mark.parametrize("which", [CAPACITY, RESISTANCE])
def test_one_worn_cell_ages_its_string_and_no_other(which: int) -> None:
    worn = np.ones(PACK.series)
    worn[2] = 1.25
    factors = [np.ones(PACK.series), np.ones(PACK.series)]
    factors[which] = worn
    health = after(aged(*factors), 120)[:, :, VALUE]
    assert health[0, which] == pytest.approx(0.8, abs=0.03)
    assert health[0, 1 - which] > 0.98
    assert np.all(health[1] > 0.98)


def test_cells_that_differ_by_no_more_than_their_doubt_are_not_worn() -> None:
    noisy = 1.0 + 0.02 * np.array([-1.2, 0.4, 1.3, -0.9, 0.4])
    assert np.all(after(aged(noisy, noisy, sigma=0.02), 120)[:, :, VALUE] > 0.985)


@pytest.mark.parametrize("disturbance", [{"bled": 1.0}, {"degC": -15.0}, {"current_A": math.nan}])
def test_what_is_seen_while_disturbed_counts_for_nothing(disturbance: dict[str, float]) -> None:
    worn = np.full(PACK.series, 1.3)
    assert np.all(after(aged(worn, worn), 30, **disturbance)[:, :, VALUE] == 1.0)


def test_without_current_no_resistance_is_seen_and_what_was_not_learned_is_no_evidence() -> None:
    worn = np.full(PACK.series, 1.3)
    idle = after(aged(worn, worn), 60, current_A=0.0)[0, :, VALUE]
    assert idle[CAPACITY] < 0.9
    assert idle[RESISTANCE] == 1.0
    assert np.all(after(aged(worn, worn, sigma=0.5), 60)[:, :, VALUE] == 1.0)


def test_health_is_remembered_and_said() -> None:
    state = CLOSED._replace(health=after(aged(np.full(5, 1.25), np.full(5, 1.5)), 200))
    now, outputs = drive_on(PACK, state, calm(PACK, state.time_s), 1.0)
    assert now.health[:, :, VALUE] == pytest.approx(state.health[:, :, VALUE], abs=1e-3)
    estimate = outputs[-1].estimate
    assert np.array_equal(estimate.health[:, :USABLE], now.health[:, :, VALUE])
    assert np.all(estimate.health[0, USABLE] < estimate.health[0, CAPACITY])
    assert estimate.health[1, USABLE] > 0.99
