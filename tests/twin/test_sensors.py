"""What is heard of the truth: noise as large as said, rounded, late, lost now and then; and fair dice."""

from __future__ import annotations

import numpy as np
import pytest

from packhorse import twin
from packhorse.twin.dice import normal, uniform
from trucks import steady, truck_of

LIGHT = truck_of("light")


def heard(truck: twin.Truck, ticks: int, dt_s: float = 0.1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cell voltages, currents and probes of a parked truck, over time."""
    body = twin.start(truck, 0.5, 20.0)
    orders = twin.idle(truck)
    frames = []
    for _ in range(ticks):
        body, frame = twin.step(truck, body, *orders, steady()(0.0), dt_s)
        frames.append(frame)
    return tuple(np.stack([getattr(f, name) for f in frames]) for name in ("cell_V", "string_A", "probe_degC"))


def test_dice_are_fair() -> None:
    numbers = np.array([uniform(7, tick, channel) for tick in range(200) for channel in range(200)])
    assert np.abs(np.histogram(numbers, 20, (0, 1))[0] - 2000).max() < 6 * np.sqrt(2000)
    assert abs(numbers.mean() - 0.5) < 0.01
    table = numbers.reshape(200, 200)
    assert abs(np.corrcoef(table[:-1].ravel(), table[1:].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(table[:, :-1].ravel(), table[:, 1:].ravel())[0, 1]) < 0.02
    bell = np.array([normal(3, tick, channel) for tick in range(100) for channel in range(100)])
    assert abs(bell.mean()) < 0.04
    assert bell.std() == pytest.approx(1.0, abs=0.03)
    assert np.count_nonzero(np.abs(bell) > 3.0) < 60


def test_noise_offset_and_steps_are_as_large_as_the_truck_file_says() -> None:
    cell_V, string_A, probe_degC = heard(LIGHT, 400)
    sensing = LIGHT.sensing
    noise_V = np.nanstd(cell_V, axis=0).mean()
    expected_V = np.hypot(sensing.cell_sigma_V, sensing.cell_step_V / np.sqrt(12.0))
    assert noise_V == pytest.approx(expected_V, rel=0.1)
    steps = cell_V[np.isfinite(cell_V)] / sensing.cell_step_V
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    np.testing.assert_allclose(string_A.mean(axis=0), sensing.current_offset_A, atol=0.05)
    assert (probe_degC.mean(axis=0) - 20.0).std() == pytest.approx(sensing.probe_offset_K.std(), abs=0.1)


def test_boards_are_lost_as_often_as_the_truck_file_says() -> None:
    often = LIGHT._replace(sensing=LIGHT.sensing._replace(dropout_per_s=0.5))
    cell_V, _, _ = heard(often, 400)
    lost = np.isnan(cell_V)
    assert lost.mean() == pytest.approx(0.05, rel=0.15)
    board = lost[:, :, : LIGHT.sensing.cells_per_board]
    assert (board.all(axis=2) == board.any(axis=2)).all()


def test_probes_follow_their_cells_with_a_lag() -> None:
    body = twin.start(LIGHT, 0.5, 20.0)
    hot = body._replace(cell_degC=np.full_like(body.cell_degC, 40.0))
    orders = twin.idle(LIGHT)
    for _ in range(15):
        hot, frame = twin.step(LIGHT, hot, *orders, steady()(0.0), 1.0)
    went = (hot.probe_degC.mean() - 20.0) / 20.0
    assert went == pytest.approx(1.0 - np.exp(-1.0), abs=0.03)
    assert frame.probe_degC.mean() == pytest.approx(hot.probe_degC.mean(), abs=0.5)
