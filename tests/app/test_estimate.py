"""`packhorse estimate`: every row of a log is answered, and what cannot be is refused in one line."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import laboratory
from commands import call, refuses

DEGC = 25.0
SETTLED = 60
"""Rows after which a start that was told has been weighed against the voltage."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An hour and a half of driving, from full."""
    return laboratory.write(laboratory.drive(DEGC), tmp_path)


def truth(log: Path) -> np.ndarray:
    """SOC by the count of a perfect meter."""
    table = pl.read_parquet(log)
    step_s = np.diff(table["time_s"].to_numpy(), prepend=table["time_s"][0])
    counted: np.ndarray = np.cumsum(table["current_A"].to_numpy() * step_s)
    return 1.0 - counted / 3600.0 / laboratory.capacity_Ah(DEGC)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_every_row_is_answered(log: Path, suffix: str) -> None:
    out = log.with_name(f"out.{suffix}")
    done = call("estimate", laboratory.CELL, log, "-o", out, "--initial-soc", "1", "--json")
    assert done.exit_code == 0, done.output
    table = pl.read_parquet(out) if suffix == "parquet" else pl.read_csv(out)
    assert table.height == pl.read_parquet(log).height
    assert {"time_s", "soc", "soc_sigma", "capacity_Ah", "capacity_sigma_Ah", "r0_ohm", "current_offset_A"} <= set(
        table.columns
    )
    assert np.abs(table["soc"].to_numpy() - truth(log))[SETTLED:].max() < 0.01
    said = json.loads(done.stdout)
    assert said["rows"] == table.height
    assert said["soc"] == pytest.approx(table["soc"][-1])
    assert said["file"] == str(out)


def test_power_is_among_the_columns(log: Path) -> None:
    out = log.with_name("out.parquet")
    assert call("estimate", laboratory.CELL, log, "-o", out).exit_code == 0
    names = set(pl.read_parquet_schema(out))
    assert {f"sop_{way}_{horizon}s_W" for way in ("discharge", "charge") for horizon in (2, 10, 30, 600)} <= names
    assert {"soe_Wh", "soe_sigma_Wh"} <= names
    assert {"capacity_health", "resistance_health", "usable_health"} <= names


def test_the_summary_is_short_and_starts_from_the_first_voltage(log: Path) -> None:
    done = call("estimate", laboratory.CELL, log, "-o", log.with_name("out.csv"))
    assert done.exit_code == 0, done.output
    labels = [line.split("  ")[0] for line in done.stdout.splitlines()]
    believed = ["SOC at the end", "capacity", "current offset", "power for 10 s", "energy left"]
    assert labels == ["rows", *believed, "written", "took"]


def test_a_log_without_temperature_is_told_one(log: Path) -> None:
    pl.read_parquet(log).drop("cell_degC").write_parquet(log)
    words = ["estimate", laboratory.CELL, log, "-o", log.with_name("out.csv")]
    assert "no temperature in the log" in call(*words).stderr
    assert call(*words, "--degC", "25").exit_code == 0


@pytest.fixture
def bad(tmp_path: Path, log: Path) -> Path:
    """Files that are wrong, beside a sound one named drive.parquet."""
    log.rename(tmp_path / "drive.parquet")
    made = laboratory.drive(DEGC)
    laboratory.write(made._replace(name="turned", current_A=-made.current_A), tmp_path)
    laboratory.write(made._replace(name="larger", current_A=20.0 * made.current_A), tmp_path)
    return tmp_path


OUT = ["-o", "out.parquet"]
BAD = [
    (["nmc_60", "drive.parquet", *OUT, "--initial-soc", "90"], "give a fraction from 0 to 1, 0.9 for 90 %"),
    (["nmc_60", "drive.parquet", *OUT, "--initial-soc", "-1"], "give a fraction from 0 to 1"),
    (["nmc_60", "drive.parquet", *OUT, "--degC", "298"], "give degrees Celsius"),
    (["nmc_06", "drive.parquet", *OUT], "did you mean nmc_60?"),
    (["lfp_280", "drive.parquet", *OUT], "give the cell file of this cell"),
    (["nmc_60", "larger.parquet", *OUT], "Ah flow in its first 6 h"),
    (["nmc_60", "turned.parquet", *OUT], "turned.parquet: the current has the wrong sign"),
    (["nmc_60", "nowhere.parquet", *OUT], "nowhere.parquet: no such file"),
    (["nmc_60", "drive.parquet", "-o", "out.xlsx"], "give a name that ends in .parquet or .csv"),
    (["nmc_60", "drive.parquet", "-o", "drive.parquet"], "is the log itself"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_what_is_wrong_is_one_line_and_leaves_nothing(
    words: list[str], said: str, bad: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bad)
    refuses(said, "estimate", *words)
