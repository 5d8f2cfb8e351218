"""Capacity over a life: a made-up one with known fade, what must not be learned, and the published ones."""

from pathlib import Path

import numpy as np
import pytest

import laboratory
from packhorse.app.score import identified
from packhorse.io.cell_logs import CellLog
from packhorse.lab.life import capacities, fresh
from packhorse.lab.score import capacity, files
from packhorse.lab.score.campaign import load, matched
from packhorse.lab.score.metrics import SIGMAS_90
from packhorse.pack.description import CellFile
from packhorse.pack.load import load_cell
from packhorse.pack.words import Array

REAL = Path(__file__).parents[3] / "shared" / "data" / "real"
DEGC = 25.0
FADE, RISE = 0.004, 0.008
"""Of capacity and of resistance, from log to log."""
LOGS = 30


@pytest.fixture(scope="module")
def cell() -> CellFile:
    return load_cell(laboratory.CELL)


def drive(seed: int, share: float = 1.0, resistance: float = 1.0, depth: float = 0.7) -> CellLog:
    """Random currents of a vehicle from full until a share of the new cell's charge is out."""
    dice = np.random.default_rng(seed)
    parts, left = [(laboratory.REST, 30.0, 1.0)], depth
    while left > 0.0:
        rate, length_s = float(dice.choice([1.5, 1.0, 0.5, 0.0, -0.5])), float(dice.integers(10, 60))
        parts.append((rate, length_s, 2.0))
        left -= rate * length_s / 3600.0
    time_s, current_A = laboratory.played(parts, laboratory.capacity_Ah(DEGC))
    return laboratory.measured(f"drive_{seed}", time_s, current_A, DEGC, 1.0, share, resistance)


def share_after(k: int) -> float:
    return 1.0 - FADE * k


@pytest.fixture(scope="module")
def life() -> list[CellLog]:
    """A cell that loses 12 % of its capacity and gains 23 % of resistance, none of it in the course of a drive."""
    return [drive(k, share_after(k), 1.0 + RISE * k) for k in range(LOGS)]


def quiet(length_s: float = 3600.0) -> CellLog:
    """A cell that rests half full."""
    time_s = np.arange(0.0, length_s, 10.0)
    return laboratory.measured("quiet", time_s, np.zeros(time_s.size), DEGC, 0.5)


def cut(log: CellLog, first: int, last: int | None) -> CellLog:
    return CellLog(log.name, *(column[first:last] for column in log[1:]))


def columns_of(told: list[tuple[float, float]]) -> Array:
    return np.array(told).T


def test_a_fading_cell_is_followed_and_the_interval_holds(life: list[CellLog], cell: CellFile) -> None:
    told_Ah, sigma_Ah = columns_of(capacities(life, cell))
    true_Ah = cell.capacity_Ah * np.array([share_after(k) for k in range(LOGS)])
    error = told_Ah / true_Ah - 1.0
    assert np.sqrt(np.mean(error**2)) < 0.015
    assert np.max(np.abs(error)) < 0.03
    assert np.mean(np.abs(told_Ah - true_Ah) <= SIGMAS_90 * sigma_Ah) >= 0.75
    assert np.mean(sigma_Ah / true_Ah) < 0.03


def test_a_new_cell_stays_new(cell: CellFile) -> None:
    told_Ah, _ = columns_of(capacities([drive(k) for k in range(5)], cell))
    np.testing.assert_allclose(told_Ah, cell.capacity_Ah, rtol=0.01)


def test_what_comes_later_changes_no_earlier_answer(life: list[CellLog], cell: CellFile) -> None:
    assert capacities(life[:4], cell) == capacities(life, cell)[:4]


def test_without_information_the_first_doubt_stays(cell: CellFile) -> None:
    ((told_Ah, sigma_Ah),) = capacities([quiet()], cell)
    assert told_Ah == cell.capacity_Ah
    assert sigma_Ah / told_Ah == pytest.approx(cell.capacity_sigma, rel=0.01)
    ((_, sigma_Ah),) = capacities([drive(1, depth=0.02)], cell)
    assert sigma_Ah / told_Ah == pytest.approx(cell.capacity_sigma, rel=0.1)


def test_what_was_learned_lasts_through_a_rest_and_grows_old(life: list[CellLog], cell: CellFile) -> None:
    learned, rested, driven = capacities([life[0], quiet(), life[1]], cell)
    assert rested[0] == learned[0]
    assert learned[1] < rested[1]
    assert driven[0] == pytest.approx(cell.capacity_Ah * share_after(1), rel=0.015)


def test_a_log_in_two_files_is_one_log(life: list[CellLog], cell: CellFile) -> None:
    log = life[3]
    half = log.time_s.size // 2
    (whole,) = capacities([log], cell)
    _, second = capacities([cut(log, 0, half), cut(log, half, None)], cell)
    assert second == whole


def test_a_hole_in_a_log_is_not_counted_through(life: list[CellLog], cell: CellFile) -> None:
    log = life[0]
    third = log.time_s.size // 3
    rows = np.r_[0:third, 2 * third : log.time_s.size]
    ((told_Ah, sigma_Ah),) = capacities([CellLog(log.name, *(column[rows] for column in log[1:]))], cell)
    assert abs(told_Ah / cell.capacity_Ah - 1.0) < max(0.03, 2.0 * sigma_Ah / told_Ah)


def broken(kind: str) -> CellLog:
    log = drive(7)
    nan = np.full(log.time_s.size, np.nan)
    made = {
        "empty": cut(log, 0, 0),
        "one row": cut(log, 0, 1),
        "no voltage": log._replace(cell_V=nan),
        "no current": log._replace(current_A=nan),
        "no time": log._replace(time_s=nan),
        "nothing": CellLog("nothing", nan, nan, nan, nan),
        "volts of a pack": log._replace(cell_V=np.full(log.time_s.size, 400.0)),
        "negative volts": log._replace(cell_V=-log.cell_V),
        "endless": log._replace(cell_V=np.full(log.time_s.size, np.inf)),
        "a thousand times the current": log._replace(current_A=1000.0 * log.current_A),
    }
    return made[kind]


KINDS = (
    "empty",
    "one row",
    "no voltage",
    "no current",
    "no time",
    "nothing",
    "volts of a pack",
    "negative volts",
    "endless",
    "a thousand times the current",
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_log_teaches_nothing_and_makes_less_sure(kind: str, life: list[CellLog], cell: CellFile) -> None:
    learned, after, later = capacities([life[0], broken(kind), life[1]], cell)
    assert after[0] == learned[0]
    assert after[1] >= learned[1]
    assert later[0] == pytest.approx(cell.capacity_Ah * share_after(1), rel=0.03)


def test_a_log_without_temperature_is_taken_at_room(life: list[CellLog], cell: CellFile) -> None:
    bare = life[0]._replace(cell_degC=np.full(life[0].time_s.size, np.nan))
    assert capacities([bare], cell)[0][0] == pytest.approx(cell.capacity_Ah, rel=0.015)


def test_a_fresh_cell_is_as_sure_as_its_file(cell: CellFile) -> None:
    assert fresh(cell).covariance[0, 0] == cell.capacity_sigma**2


@pytest.mark.parametrize("name", capacity.NASA_CELLS)
def test_published_lives_are_followed(name: str) -> None:
    """Whole cycles are followed; where only one current ever flows, the interval must say that it does not know."""
    if not (REAL / "nasa_pcoe").exists():
        pytest.skip("nasa_pcoe lies only where the real data are")
    whole = capacity.nasa(REAL / "nasa_pcoe", name)
    made = identified(capacity.first_cycle(whole, "nca"))
    row = capacity.line(whole, capacities(whole.logs, made), made.capacity_Ah, "", relative=True)
    assert row.rmse < 0.015
    assert row.largest < 0.035
    assert row.covered > 0.85
    assert row.width < 0.04
    part = capacity.cut_short(whole)
    row = capacity.line(part, capacities(part.logs, made), made.capacity_Ah, "", relative=True)
    assert row.rmse < 0.05
    assert row.covered > 0.88


def test_drives_that_nobody_looked_at_when_the_settings_were_chosen_tell_the_capacity_of_the_slow_test() -> None:
    """LG HG2 hardly ages in its campaign; its capacity at 25 degC is that of C/20, 2.781 Ah.

    At -10 degC the same gives 1 to 3 % too little, and at -20 degC 9 to 15 %: too cold to tell a capacity.
    """
    campaign = load("lg_hg2")
    folder = REAL / campaign.folder
    if not folder.exists():
        pytest.skip("lg_hg2 lies only where the real data are")
    drives = [path for degC in ("25", "10", "0") for path in matched(folder, [f"{degC}degC_*_Mixed[5-8].parquet"])]
    made = identified(files.training(campaign, campaign.split[0], folder))
    told_Ah, _ = columns_of(capacities([files.log(campaign, path) for path in drives], made))
    assert len(drives) >= 10
    error = told_Ah / 2.781 - 1.0
    assert np.sqrt(np.mean(error**2)) < 0.015
    assert np.max(np.abs(error)) < 0.03
