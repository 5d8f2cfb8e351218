"""Figures by hand, and what they must never do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.lab.score import metrics
from packhorse.lab.score.words import Estimated

TIME_S = np.array([0.0, 60.0, 600.0, 700.0, 800.0])


def told(soc: list[float], capacity_Ah: float = np.nan) -> Estimated:
    values = np.array(soc)
    blank = np.full(values.size, np.nan)
    return Estimated(
        np.arange(values.size, dtype=float),
        values,
        np.full(values.size, 0.01),
        blank,
        blank,
        np.full(values.size, capacity_Ah),
        np.full(values.size, 0.05),
    )


def test_figures_by_hand() -> None:
    error = np.array([0.3, 0.1, 0.02, -0.01, np.nan])
    sigma = np.array([0.01, 0.01, 0.01, 0.01, 0.01])
    found = metrics.measure(TIME_S, error, sigma, 600.0)
    assert found.rows == 2
    assert found.rmse == pytest.approx(np.sqrt((0.02**2 + 0.01**2) / 2))
    assert found.rmse_all == pytest.approx(np.sqrt((0.3**2 + 0.1**2 + 0.02**2 + 0.01**2) / 4))
    assert found.largest == pytest.approx(0.02)
    assert found.mean_abs == pytest.approx(0.015)
    assert found.within_s == 600.0
    assert found.covered == 0.5
    assert found.width == pytest.approx(2 * 1.6449 * 0.01)


def test_within_three_points_means_to_the_end() -> None:
    assert metrics.time_within(TIME_S, np.array([0.1, 0.0, 0.0, 0.0, 0.0])) == 60.0
    assert metrics.time_within(TIME_S, np.array([0.1, 0.0, 0.05, 0.0, 0.0])) == 700.0
    assert metrics.time_within(TIME_S, np.array([0.1, 0.0, 0.0, 0.0, 0.031])) == float("inf")
    assert metrics.time_within(TIME_S, np.zeros(5)) == 0.0


def test_no_estimate_is_no_way_to_leave_rows_out() -> None:
    error, _ = metrics.soc_error(told([np.nan, 0.5, np.nan]), np.array([0.9, 0.5, 0.1]))
    np.testing.assert_allclose(np.abs(error), [1.0, 0.0, 1.0])
    unknown, _ = metrics.soc_error(told([0.5]), np.array([np.nan]))
    assert np.isnan(unknown[0])


def test_a_log_shorter_than_settling_has_no_figure_after_it() -> None:
    found = metrics.measure(TIME_S, np.zeros(5), np.zeros(5), 1e6)
    assert found.rows == 0
    assert np.isnan(found.rmse)
    assert found.rmse_all == 0.0


def test_remaining_charge_forgives_a_faded_capacity_that_is_known() -> None:
    """True: half of 2 Ah. Told: 40 % of 2.5 Ah, the same charge; of the nominal 4 Ah it would be 0.6 Ah too much."""
    error, sigma = metrics.remaining_error(told([0.4], 2.5), np.array([0.5]), 2.0, 4.0)
    assert error[0] == pytest.approx(0.0)
    assert sigma[0] == pytest.approx(np.hypot(0.01 * 2.5, 0.4 * 0.05) / 4.0)
    error, _ = metrics.remaining_error(told([0.4]), np.array([0.5]), 2.0, 4.0)
    assert error[0] == pytest.approx(0.15)


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 3.0))
def test_a_sigma_that_is_right_covers_ninety_percent(seed: int, wrong_by: float) -> None:
    rng = np.random.default_rng(seed)
    time_s = np.arange(20_000.0)
    error = 0.01 * rng.standard_normal(time_s.size)
    exact = metrics.measure(time_s, error, np.full(time_s.size, 0.01), 0.0)
    assert exact.covered == pytest.approx(0.90, abs=0.015)
    other = metrics.measure(time_s, error, np.full(time_s.size, 0.01 * wrong_by), 0.0)
    assert (other.covered > exact.covered) == (wrong_by > 1.0) or other.covered == exact.covered


@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60), st.integers(1, 59))
def test_pooling_pieces_is_the_same_as_judging_the_whole(values: list[float], cut: int) -> None:
    error = np.array(values)
    at = min(cut, error.size - 1)
    sigma = np.full(error.size, 0.1)
    pieces = [
        metrics.measure(np.arange(float(part.size)), part, sigma[: part.size], 0.0) for part in (error[:at], error[at:])
    ]
    whole = metrics.measure(np.arange(float(error.size)), error, sigma, 0.0)
    both = metrics.pooled(pieces)
    assert both.rows == whole.rows
    assert both.rmse == pytest.approx(whole.rmse, abs=1e-12)
    assert both.covered == pytest.approx(whole.covered)
    assert both.largest == whole.largest


def test_pooling_keeps_the_two_errors_apart() -> None:
    error = np.array([0.5, 0.5, 0.1, 0.1, 0.1])
    both = metrics.pooled([metrics.measure(TIME_S, error, np.full(5, 0.1), 600.0)] * 2)
    assert both.rmse == pytest.approx(0.1)
    assert both.rmse_all == pytest.approx(np.sqrt((2 * 0.25 + 3 * 0.01) / 5))


def test_thinning_keeps_the_largest_error() -> None:
    error = np.zeros(10_000)
    error[7777] = -0.2
    time_s, thin, _ = metrics.thinned(np.arange(10_000.0), error, error, 100)
    assert thin.size == 100
    assert thin.min() == -0.2
    assert time_s[np.argmin(thin)] == 7777.0
