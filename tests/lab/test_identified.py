"""Identification inside: the bounded solution is the best there is, and errors grow where nothing was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import laboratory
from packhorse.cell import physics
from packhorse.cell.table import MODEL_V
from packhorse.lab.identify import identify
from packhorse.lab.identify.solve import MOST_HYSTERESIS_V, solution
from packhorse.lab.score import files
from packhorse.lab.score.campaign import load
from packhorse.lab.training import Training
from packhorse.pack.compile import compile_cell

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "real"


@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_the_bounded_solution_meets_the_conditions_of_the_best(unknowns: int, seed: int) -> None:
    """Karush, Kuhn and Tucker: no pull where free, and where held none that leads back inside."""
    dice = np.random.default_rng(seed)
    root = dice.normal(size=(unknowns + 3, unknowns))
    matrix = root.T @ root + 0.01 * np.eye(unknowns)
    right = dice.normal(size=unknowns)
    least = np.where(dice.random(unknowns) < 0.5, -np.inf, -0.2 * dice.random(unknowns))
    most = np.where(dice.random(unknowns) < 0.5, np.inf, 0.2 * dice.random(unknowns))
    x = solution(matrix, right, (least, most))
    assert np.all((x >= least) & (x <= most))
    pull = matrix @ x - right
    small = 1e-7 * (1.0 + np.abs(right).max())
    assert np.all(np.abs(pull[(x > least) & (x < most)]) < small)
    assert np.all(pull[x == least] > -small)
    assert np.all(pull[x == most] < small)


def made_of(*driven_degC: float) -> Training:
    """Slow tests at three temperatures, drives at some of them."""
    every = (-5.0, 10.0, 25.0)
    drives = [laboratory.drive(degC, seed) for degC in driven_degC for seed in (1, 2)]
    return Training([laboratory.slow(degC) for degC in every], [], [], drives)


def test_errors_are_larger_where_no_drive_was_fitted() -> None:
    whole, part = (identify(made_of(*degC), "made up").errors for degC in ((-5.0, 10.0, 25.0), (10.0, 25.0)))
    middle = (whole.soc > 0.15) & (whole.soc < 0.9)
    assert np.mean(part.sigma_V[0, middle]) > np.mean(whole.sigma_V[0, middle])


def test_errors_are_larger_without_any_drive() -> None:
    driven, alone = (identify(made_of(*degC), "made up") for degC in ((25.0,), ()))
    assert np.all(alone.errors.sigma_V[-1] >= driven.errors.sigma_V[-1])
    assert alone.cell.resistance_sigma > driven.cell.resistance_sigma


@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not here")
def test_a_cell_whose_drives_speak_of_much_hysteresis_is_identified() -> None:
    campaign = load("panasonic_f150")
    split = next(one for one in campaign.split if one.drive)
    found = identify(files.training(campaign, split, DATA / campaign.folder), "panasonic")
    assert np.max(found.cell.ocv.hysteresis_rows()) <= MOST_HYSTERESIS_V


def test_one_temperature_alone_is_brought_to_the_cold_and_doubted_there() -> None:
    training = Training([laboratory.slow(25.0)], [laboratory.pulses(25.0)], [], [laboratory.drive(25.0)])
    cell = compile_cell(identify(training, "made up").cell)
    cold, warm = (physics.parameters(cell.nodes, 0.5, degC)[2] for degC in (-15.0, 25.0))
    assert 3.0 * warm < cold < 10.0 * warm
    cold_V, warm_V = (physics.at_node(cell.nodes, 0.5, degC, MODEL_V) for degC in (-15.0, 25.0))
    assert cold_V > 2.0 * warm_V
