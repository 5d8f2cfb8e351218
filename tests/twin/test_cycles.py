"""Duty cycles from files: what is understood, and what is refused with a line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from packhorse import twin
from packhorse.io.cycles import read_cycle
from packhorse.io.errors import ReadError
from packhorse.pack.load import ConfigurationError

CYCLES = Path(__file__).parents[3] / "shared" / "data" / "cycles"


def written(folder: Path, text: str) -> Path:
    path = folder / "cycle.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_units_are_told_by_the_column_names(tmp_path: Path) -> None:
    cycle = read_cycle(written(tmp_path, "time_min,speed_km_per_h,grade_percent,plugged\n1,0,0,1\n2,36,5,0\n"))
    assert list(cycle.time_s) == [0.0, 60.0]
    assert list(cycle.speed_m_per_s) == [0.0, 10.0]
    assert list(cycle.grade) == [0.0, 0.05]
    assert list(cycle.plugged) == [1.0, 0.0]


def test_between_points_speed_runs_straight_and_after_the_end_it_begins_anew(tmp_path: Path) -> None:
    cycle = read_cycle(written(tmp_path, "time_s,speed_m_per_s\n0,0\n10,20\n"))
    assert twin.demand_at(cycle, 5.0, 20.0).speed_m_per_s == pytest.approx(10.0)
    assert twin.demand_at(cycle, 12.5, 20.0).speed_m_per_s == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("time_s,speed_m_per_s\n0,0\n1,-3\n", "speed in line 3 is negative"),
        ("time_s,speed_m_per_s\n0,0\n1,300\n", "check its unit"),
        ("time_s,speed_m_per_s\n0,0\n0,3\n", "time in line 3 does not rise"),
        ("time_s,speed_m_per_s\n0,0\n1,\n", "speed in line 3 is not known"),
        ("time_s,speed_m_per_s\n0,0\n", "at least two"),
        ("time_s,speed_m_per_s,grade\n0,0,0\n1,3,5\n", "grade_percent"),
        ("time_s,speed_m_per_s,plugged\n0,0,0\n1,3,1\n", "while the truck moves"),
        ("time_s,speed_m_per_s\n0,0\n1,fast\n", "'fast' is not a number"),
        ("seconds,speed_m_per_s\n0,0\n1,3\n", "no column for time"),
        ("time_s,velocity\n0,0\n1,3\n", "no column for speed"),
        ("", "empty"),
    ],
)
def test_a_bad_cycle_is_refused_in_one_line(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ReadError) as caught:
        read_cycle(written(tmp_path, text))
    assert says in str(caught.value)
    assert "cycle.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_published_cycles_are_read() -> None:
    if not CYCLES.exists():
        pytest.skip("the published cycles do not lie here")
    for path in sorted(CYCLES.glob("*.csv")):
        cycle = read_cycle(path)
        assert np.isfinite(cycle.speed_m_per_s).all()
        assert cycle.time_s[-1] > 100.0


def test_an_unknown_duty_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError, match="did you mean regional"):
        twin.duty("regionl")
