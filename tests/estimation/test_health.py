"""Healths that fall with age and with nothing else, and are corrected only by surer evidence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.estimation.energy import ASSUMED_RATE_C
from packhorse.estimation.health import (
    START_SIGMA,
    Health,
    health_seen,
    new,
    new_Wh,
    observe,
    usable,
)
from packhorse.pack.compile import compile_cell
from packhorse.pack.load import load_cell, names
from packhorse.pack.words import Array, Cell

CELLS = {name: compile_cell(load_cell(name)) for name in names("cells")}
DAY_S = 86_400.0
YEARS = 10
SIGMA = 0.02
quick = settings(max_examples=200, deadline=None)
name = st.sampled_from(sorted(CELLS))


def usable_health(cell: Cell, capacity: float, resistance: float, degC: float, rate_C: float) -> float:
    return usable(cell, capacity, resistance, degC, rate_C, new_Wh(cell, rate_C))


def follow(seen: Array, sigma: Array | float = SIGMA, dt_s: float = DAY_S, was: Health | None = None) -> list[Health]:
    """The record after every observation, undisturbed."""
    health = new() if was is None else was
    records = []
    for value, each in zip(seen, np.zeros(len(seen)) + sigma, strict=True):
        health = observe(health, value, each, 1.0, dt_s)
        records.append(health)
    return records


def slow_noise(days: int, seed: int) -> Array:
    """Errors with a standard deviation of `SIGMA` that keep their value for about a week."""
    dice = np.random.default_rng(seed)
    error, keep = np.empty(days), math.exp(-1 / 7)
    error[0] = dice.normal(0, SIGMA)
    for k in range(1, days):
        error[k] = keep * error[k - 1] + math.sqrt(1 - keep * keep) * dice.normal(0, SIGMA)
    return error


def settled(value: float = 0.85) -> Health:
    return follow(np.full(3 * 365, value))[-1]


@pytest.mark.parametrize("seed", range(10))
def test_noise_does_not_ratchet_it_down(seed: int) -> None:
    seen = 0.9 + slow_noise(365 * YEARS, seed)
    value = follow(seen)[-1].value
    assert 0.9 - SIGMA < value < 0.9 + 0.5 * SIGMA
    assert np.minimum.accumulate(seen)[-1] < 0.9 - 2.5 * SIGMA


@pytest.mark.parametrize("seed", range(5))
def test_it_follows_a_battery_that_ages(seed: int) -> None:
    truth = 1.0 - 0.03 * np.arange(365 * YEARS) / 365
    value = np.array([health.value for health in follow(truth + slow_noise(truth.size, seed))])
    assert np.abs(value - truth)[180:].max() < 1.75 * SIGMA
    assert np.abs(value - truth)[180:].mean() < 1.0 * SIGMA


def test_a_cell_that_breaks_is_found_within_a_season() -> None:
    value = [health.value for health in follow(np.full(200, 0.6), was=settled(0.9))]
    assert min(np.flatnonzero(np.array(value) < 0.68)) < 120


@given(st.floats(0.3, 1.0), st.floats(0, 1), st.floats(0, 1), st.integers(0, 365), st.floats(0.5, 2.0))
@settings(max_examples=30, deadline=None)
def test_seasons_within_the_sigma_never_raise_it(
    truth: float, seasonal: float, steady: float, phase: int, surer: float
) -> None:
    """Warm weather shifts what is seen by up to a sigma, and makes the sigma itself smaller or larger."""
    day = np.arange(4 * 365)
    warm = np.sin(2 * math.pi * (day + phase) / 365)
    sigma = SIGMA * surer ** ((1 + warm) / 2)
    seen = truth + 0.5 * sigma * (seasonal * warm + steady * np.sign(slow_noise(day.size, phase)))
    value = np.array([health.value for health in follow(seen, sigma)])
    assert np.all(np.diff(value) <= 0)
    assert value[0] <= 1.0


@given(st.lists(st.tuples(st.floats(-1, 3), st.floats(0, 3)), min_size=1, max_size=30))
@quick
def test_what_is_seen_while_balancing_or_after_an_update_counts_for_nothing(seen: list[tuple[float, float]]) -> None:
    was = health = settled()
    for value, sigma in seen:
        health = observe(health, value, sigma, 0.0, DAY_S)
        assert health.value == was.value
        assert health.estimate == was.estimate
        assert health.corrections == 0


@given(st.floats(0, 2), st.floats(1e-4, 1), st.integers(1, 50))
@quick
def test_restarts_that_repeat_the_last_observation_change_nothing(seen: float, sigma: float, restarts: int) -> None:
    health = settled()
    for _ in range(restarts):
        saved = Health(*[float(repr(value)) for value in health])
        assert saved == health
        health = observe(saved, seen, sigma, 1.0, 0.0)
    assert health == settled()


@given(st.floats(0.5, 1.0), st.integers(2, 200))
@settings(max_examples=30, deadline=None)
def test_many_readings_of_one_day_say_no_more_than_one(seen: float, parts: int) -> None:
    once = observe(settled(), seen, SIGMA, 1.0, DAY_S)
    often = follow(np.full(parts, seen), dt_s=DAY_S / parts, was=settled())[-1]
    assert often.estimate == pytest.approx(once.estimate, abs=1e-4)
    assert often.variance == pytest.approx(once.variance, rel=1e-3)


@given(st.lists(st.tuples(st.floats(0.01, 1.9), st.floats(0.011, 1), st.floats(0, 1e8)), max_size=60))
@quick
def test_evidence_that_is_not_twice_as_sure_never_raises_it(seen: list[tuple[float, float, float]]) -> None:
    was = settled()
    assert was.stands_on == SIGMA
    for value, sigma, dt_s in seen:
        now = observe(was, value, max(sigma, 0.51 * was.stands_on), 1.0, dt_s)
        assert now.value <= was.value
        assert now.corrections == 0
        was = now


@given(st.lists(st.tuples(st.floats(0.01, 1.9), st.floats(1e-3, 1), st.floats(0, 1e8), st.integers(0, 1))))
@quick
def test_it_rises_only_as_a_counted_correction_and_stays_a_share(
    seen: list[tuple[float, float, float, int]],
) -> None:
    was = new()
    for value, sigma, dt_s, undisturbed in seen:
        now = observe(was, value, sigma, float(undisturbed), dt_s)
        assert now.value <= was.value or (now.corrections == was.corrections + 1 and sigma <= 0.5 * was.stands_on)
        assert 0.0 < now.value <= 1.0
        assert 0.0 <= now.variance <= START_SIGMA**2
        was = now


def test_a_wrong_low_value_is_corrected_by_a_surer_test_and_said_to_be() -> None:
    low = settled(0.8)
    ordinary = follow(np.full(60, 0.9), was=low)[-1]
    assert ordinary.value == low.value
    tested = follow(np.full(3, 0.9), 0.004, 7 * DAY_S, low)[-1]
    assert 0.87 < tested.value < 0.9
    assert tested.corrections == 1
    assert follow(np.full(3, 0.815), 0.004, 7 * DAY_S, low)[-1].value == low.value


@pytest.mark.parametrize("nothing", [math.nan, math.inf, -math.inf, 0.0, -0.5, 2.0])
def test_what_is_not_an_observation_is_left_out(nothing: float) -> None:
    was = settled()
    for seen, sigma in ((nothing, SIGMA), (0.8, nothing)):
        now = observe(was, seen, sigma, 1.0, DAY_S)
        assert (now.value, now.estimate) == (was.value, was.estimate)
        assert now.variance > was.variance


def test_resistance_twice_that_of_new_is_half_the_health() -> None:
    assert health_seen(2.0, 0.1) == pytest.approx((0.5, 0.025))
    assert health_seen(1.0, 0.0) == (1.0, 0.0)


@pytest.mark.parametrize("which", sorted(CELLS))
def test_a_new_battery_at_room_temperature_is_wholly_usable_health(which: str) -> None:
    cell = CELLS[which]
    assert usable_health(cell, 1.0, 1.0, 25.0, ASSUMED_RATE_C) == 1.0
    assert usable_health(cell, 0.8, 1.0, 25.0, 0.0) == pytest.approx(0.8)


@given(name, st.floats(0.5, 1), st.floats(0.4, 1), st.floats(-30, 60), st.floats(0, 20), st.floats(0, 0.2))
@quick
def test_usable_health_falls_with_age_and_cold_and_warmth_adds_nothing(
    which: str, capacity: float, resistance: float, degC: float, colder_K: float, older: float
) -> None:
    cell = CELLS[which]
    health = usable_health(cell, capacity, resistance, degC, ASSUMED_RATE_C)
    assert 0 <= health <= usable_health(cell, capacity, resistance, 25.0, ASSUMED_RATE_C) + 1e-12
    assert usable_health(cell, capacity, resistance, degC - colder_K, ASSUMED_RATE_C) <= health + 1e-3
    assert usable_health(cell, capacity * (1 - older), resistance, degC, ASSUMED_RATE_C) <= health + 1e-12
    assert usable_health(cell, capacity, resistance * (1 - older), degC, ASSUMED_RATE_C) <= health + 1e-12
