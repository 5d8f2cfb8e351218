"""Perturbations do what they say, no more, and the same every time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.io.cell_logs import CellLog
from packhorse.lab.score import perturb
from packhorse.lab.score.words import Truth

ROWS = 4000


def log(rows: int = ROWS) -> CellLog:
    time_s = np.arange(rows, dtype=np.float64)
    current_A = 2.0 + np.sin(time_s / 30.0)
    return CellLog("made", time_s, current_A, 3.7 - 1e-5 * time_s, np.full(rows, 25.0))


def right(start: float = 1.0) -> Truth:
    made = log()
    flowed = np.concatenate([[0.0], np.cumsum(made.current_A[1:])]) / 3600.0
    return Truth(start - flowed / 3.0, 3.0)


def named(name: str) -> perturb.Case:
    return next(case for case in perturb.cases(["bar", "benchmark", "robust"], [0.02, 1.0 / 15.0]) if case.name == name)


def test_the_bar_has_all_its_cases_and_flat_cells_their_own_offsets() -> None:
    assert [case.name for case in perturb.cases(["bar"], [0.02, 1.0 / 15.0])] == [
        *("P0", "P1", "P2 +C/50", "P2 -C/50", "P2 +C/15", "P2 -C/15", "P3", "P4 +C/50", "P4 -C/50")
    ]
    assert [case.name for case in perturb.cases(["bar"], [0.05])][2:4] == ["P2 +C/20", "P2 -C/20"]
    assert [case.name for case in perturb.cases(["benchmark"], [0.05])] == [
        *("P0", "start 90 %", "start 60 %", "start 30 %")
    ]


@given(st.floats(0.0, 1.0))
def test_a_wrong_start_is_thirty_points_off_and_still_a_soc(start: float) -> None:
    told = perturb.told_wrong(np.array([start]))
    assert told is not None
    assert abs(told - start) == pytest.approx(0.3)
    assert 0.0 <= told <= 1.0


def test_an_unknown_start_is_not_told() -> None:
    assert perturb.told_wrong(np.array([np.nan])) is None
    assert named("P0").perturb(log(), Truth(np.full(ROWS, np.nan), 3.0), 3.0).told is None


@pytest.mark.parametrize("name", [case.name for case in perturb.cases(["bar", "benchmark", "robust"], [0.02])])
def test_the_same_every_time_rows_fit_the_truth_and_the_log_is_left_alone(name: str) -> None:
    case = next(case for case in perturb.cases(["bar", "benchmark", "robust"], [0.02]) if case.name == name)
    made, truth = log(), right()
    one, two = case.perturb(made, truth, 3.0), case.perturb(made, truth, 3.0)
    for a, b, untouched in zip(one.log[1:], two.log[1:], log()[1:], strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.shape == one.truth.shape
        assert untouched.shape == (ROWS,)
    for kept, untouched in zip(made[1:], log()[1:], strict=True):
        np.testing.assert_array_equal(kept, untouched)
    assert one.log.time_s[0] == 0.0
    assert np.all(np.diff(one.log.time_s) > 0.0)


def test_an_offset_is_put_in_with_its_sign_and_told_to_the_judge() -> None:
    heard = named("P2 -C/15").perturb(log(), right(), 3.0)
    assert heard.offset_A == pytest.approx(-0.2)
    np.testing.assert_allclose(heard.log.current_A - log().current_A, -0.2)


def test_noise_has_the_size_steps_gain_and_warmth_that_are_asked_for() -> None:
    heard = named("P3").perturb(log(), right(), 3.0).log
    volts = heard.cell_V - log().cell_V
    assert np.std(volts) == pytest.approx(0.005, rel=0.05)
    np.testing.assert_allclose(heard.cell_V / 0.0015, np.round(heard.cell_V / 0.0015), atol=1e-6)
    np.testing.assert_allclose(heard.current_A / 0.01, np.round(heard.current_A / 0.01), atol=1e-6)
    share = heard.current_A / log().current_A
    assert np.mean(share) == pytest.approx(1.01, abs=1e-3)
    assert np.std(share) == pytest.approx(0.005, rel=0.2)
    np.testing.assert_allclose(heard.cell_degC, 27.0)


def test_two_logs_hear_different_noise() -> None:
    one, two = (perturb.dice(log()._replace(name=name), "P3").standard_normal(5) for name in ("a", "b"))
    assert not np.allclose(one, two)


def test_everything_at_once_is_wrong_start_and_offset_and_noise() -> None:
    heard = named("P4 +C/50").perturb(log(), right(), 3.0)
    assert heard.told == pytest.approx(0.7)
    assert heard.offset_A == pytest.approx(0.06)
    assert np.mean(heard.log.current_A) == pytest.approx(1.01 * (np.mean(log().current_A) + 0.06), rel=1e-3)


def test_a_log_is_joined_where_the_cell_has_fallen_to_sixty_percent_and_is_told_full() -> None:
    heard = named("start 60 %").perturb(log(), right(), 3.0)
    assert heard.told == 1.0
    assert heard.truth[0] == pytest.approx(0.6, abs=1e-3)
    assert heard.log.time_s.size == ROWS - int(np.argmax(right().soc < 0.6))


def test_lost_rows_are_a_tenth_in_bursts_of_at_most_a_minute_or_two_in_a_row() -> None:
    heard = named("lost rows").perturb(log(), right(), 3.0)
    assert 1.0 - heard.log.time_s.size / ROWS == pytest.approx(0.1, abs=0.02)
    assert 5.0 < np.max(np.diff(heard.log.time_s)) < 200.0


def test_outliers_are_few_and_large() -> None:
    off = np.abs(named("outliers").perturb(log(), right(), 3.0).log.cell_V - log().cell_V)
    assert np.mean(off > 0.0) == pytest.approx(0.01, abs=0.005)
    assert np.max(off) > 0.3


def test_slow_rows_keep_the_charge_and_fast_rows_the_curve() -> None:
    slow = named("30 s rows").perturb(log(), right(), 3.0)
    assert np.median(np.diff(slow.log.time_s)) == 30.0
    flowed = np.sum(slow.log.current_A[1:] * np.diff(slow.log.time_s)) / 3600.0
    assert flowed == pytest.approx(3.0 * (slow.truth[0] - slow.truth[-1]), rel=1e-9)
    fast = named("0.1 s rows").perturb(log(), right(), 3.0)
    assert np.median(np.diff(fast.log.time_s)) == pytest.approx(0.1)
    np.testing.assert_allclose(fast.log.cell_V[::10], log().cell_V, atol=1e-12)
