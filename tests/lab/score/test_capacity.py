"""Capacity from ordinary use: lives by hand, and the published ones where they lie."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from packhorse.io.cell_logs import CellLog
from packhorse.lab.score import capacity
from packhorse.pack.description import CellFile

REAL = Path(__file__).parents[4] / "shared" / "data" / "real"


def real(name: str) -> Path:
    if not (REAL / name).exists():
        pytest.skip(f"{name} lies only where the real data are")
    return REAL / name


def life() -> capacity.Life:
    """A discharge of 2 Ah, its charge, and a discharge of 1.8 Ah, each in hours of constant current."""
    time_s = np.arange(0.0, 3601.0, 60.0)
    logs = [
        CellLog(f"t{k}", time_s, np.full(time_s.size, amps), np.full(time_s.size, 3.7), np.full(time_s.size, 24.0))
        for k, amps in enumerate((2.0, -2.0, 1.8))
    ]
    return capacity.Life("made, whole cycles", logs, np.array([2.0, np.nan, 1.8]))


def test_a_line_judges_only_where_a_capacity_was_measured_and_as_shares_where_asked() -> None:
    """Told 2.1, 9, 1.9 Ah with 0.1: absolute errors 5 and 5.6 %; as shares of a cell of 2.1 Ah new, 0 and 0.53 %."""
    told = [(2.1, 0.1), (9.0, 0.1), (1.9, 0.1)]
    row = capacity.line(life(), told, 2.1, "", relative=False)
    assert row.logs == 2
    assert row.largest == pytest.approx(0.1 / 1.8)
    assert row.covered == 1.0
    share = capacity.line(life(), told, 2.1, "", relative=True)
    assert share.largest == pytest.approx(abs(1.9 * 2.0 / 2.1 / 1.8 - 1.0))
    with pytest.raises(ValueError, match="2 capacities for 3 logs"):
        capacity.line(life(), told[:2], 2.1, "", relative=False)


def test_no_capacity_is_wrong_by_all() -> None:
    row = capacity.line(life(), [(np.nan, np.nan)] * 3, 2.0, "", relative=False)
    assert row.rmse == 1.0
    assert row.covered == 0.0


def test_cut_short_leaves_sixty_percent_of_each_discharge_and_no_charge() -> None:
    cut = capacity.cut_short(life())
    assert [log.name for log in cut.logs] == ["t0", "t2"]
    np.testing.assert_array_equal(cut.capacity_Ah, [2.0, 1.8])
    assert cut.logs[0].time_s[-1] == 2160.0


def test_the_first_cycle_is_a_discharge_a_rest_and_a_charge() -> None:
    (log,) = capacity.first_cycle(life(), "nca").ocv
    assert np.all(np.diff(log.time_s) > 0.0)
    flowed = np.cumsum(np.where(np.diff(log.time_s) < 100.0, log.current_A[1:] * np.diff(log.time_s), 0.0)) / 3600.0
    assert flowed.max() == pytest.approx(2.0)
    assert abs(flowed[-1]) < 1e-9


def test_equilibrium_lies_between_a_fast_discharge_and_a_fast_charge_whatever_their_currents() -> None:
    """3 + SOC volts behind 0.1 ohm, down at 2 A and up at 0.8 A."""
    legs = []
    for amps in (2.0, -0.8):
        time_s = np.arange(0.0, 2.0 / abs(amps) * 3600.0 + 1.0, 30.0)
        gone = amps * time_s / 7200.0
        soc = 1.0 - gone if amps > 0.0 else -gone
        column = np.full(time_s.size, amps)
        legs.append(CellLog("leg", time_s, column, 3.0 + soc - 0.1 * column, np.full(time_s.size, 24.0)))
    log = capacity.slow_instead(*legs)
    down = log.current_A > 0.0
    soc = 1.0 - np.cumsum(np.diff(log.time_s, prepend=0.0) * log.current_A)[down] / 7200.0
    np.testing.assert_allclose(log.cell_V[down], 3.0 + soc, atol=2e-3)
    with pytest.raises(capacity.ReadError, match="holds no charge"):
        capacity.slow_instead(legs[0], legs[0])


@pytest.mark.parametrize("cell", capacity.NASA_CELLS)
def test_nasa_capacities_are_what_flowed_in_their_discharge(cell: str) -> None:
    found = capacity.nasa(real("nasa_pcoe"), cell)
    measured = np.flatnonzero(np.isfinite(found.capacity_Ah))
    assert measured.size == 168
    assert len(found.logs) > 330
    for k in measured:
        log = found.logs[k]
        down = log.cell_V >= 2.7
        down[int(np.argmax(~down)) if not down.all() else down.size :] = False
        mean_A = 0.5 * (log.current_A[1:] + log.current_A[:-1])
        flowed = np.sum(np.where(down[1:], mean_A * np.diff(log.time_s), 0.0)) / 3600.0
        assert flowed == pytest.approx(found.capacity_Ah[k], rel=0.01)
    assert found.capacity_Ah[measured[-1]] < 0.75 * found.capacity_Ah[measured[0]]


def test_calce_charge_time_tells_the_capacity_of_the_other_cell_within_a_few_percent() -> None:
    folder = real("calce_cs2")
    size_Ah, current_s, voltage_s = capacity.calce(folder / "CS2_35.csv")
    assert size_Ah.size == current_s.size == voltage_s.size > 800
    assert 0.01 < capacity.from_charge_time(folder / "CS2_35.csv", folder / "CS2_36.csv") < 0.2


def test_lives_that_are_not_there_are_named_and_the_rest_is_scored(tmp_path: Path) -> None:
    skipped: list[str] = []

    def refuse(_: object) -> CellFile:
        raise ValueError("nothing to identify")

    assert capacity.score(tmp_path, refuse, lambda logs, _: [(1.0, 1.0)] * len(logs), skipped) == []
    assert any(reason.startswith("capacity, B0005") for reason in skipped)
    assert any(reason.startswith("capacity, Panasonic") for reason in skipped)
    assert any("CALCE" in reason for reason in skipped)


def test_a_feature_file_without_its_columns_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"cycle": [1], "capacity": [1.0]}).write_csv(tmp_path / "x.csv")
    with pytest.raises(capacity.ReadError, match="no column CCCT"):
        capacity.calce(tmp_path / "x.csv")
