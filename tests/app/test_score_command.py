"""`packhorse score`: a small laboratory is identified and scored, written down, and what is missing is said."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import laboratory
from commands import call, refuses
from packhorse.io.cell_logs import CellLog

DEGC = 25.0
CAMPAIGN = """
family = "made"
name = "a made-up cell"
sources = ["made by hand"]
folder = "made"
chemistry = "nmc"
nominal_Ah = 60.0
settle_s = 600
offsets_per_h = [0.02]
truth_quality = "exact"
[columns]
time_s = "time_s"
current_A = "current_A"
cell_V = "cell_V"
cell_degC = "cell_degC"
positive = "discharge"
[temperature]
degC = 25
[truth]
kind = "reference_column"
column = "soc"
[bars.loose]
P0 = { rmse_points = 2.0, max_points = 5.0 }
[[split]]
name = "one"
ocv = ["slow_25.parquet"]
pulse = ["pulses_25.parquet"]
drive = ["drive_25_1.parquet"]
[[split.group]]
name = "warm"
files = ["drive_25_2.parquet"]
bar = "loose"
"""


def with_truth(log: CellLog, folder: Path) -> None:
    """A log as a file, with its SOC beside it."""
    path = laboratory.write(log, folder)
    counted = np.cumsum(log.current_A * np.diff(log.time_s, prepend=log.time_s[0])) / 3600.0
    truth = pl.Series("soc", 1.0 - counted / laboratory.capacity_Ah(DEGC))
    pl.read_parquet(path).with_columns(truth).write_parquet(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of data and a description of it."""
    folder = tmp_path / "data" / "made"
    folder.mkdir(parents=True)
    for log in (laboratory.slow(DEGC), laboratory.pulses(DEGC), laboratory.drive(DEGC, 1), laboratory.drive(DEGC, 2)):
        with_truth(log, folder)
    (tmp_path / "made.toml").write_text(CAMPAIGN)
    return tmp_path / "data"


def test_a_laboratory_is_scored_and_written_down(data: Path, tmp_path: Path) -> None:
    docs, report = tmp_path / "docs", tmp_path / "score.html"
    words = [data, "--family", tmp_path / "made.toml", "--docs", docs, "-o", report, "--json"]
    done = call("score", *words)
    assert done.exit_code == 0, done.output
    scores = json.loads(done.stdout)
    assert scores["skipped"] == []
    first = next(row for row in scores["rows"] if (row["case"], row["estimator"]) == ("P0", "packhorse"))
    assert first["met"] is True
    assert "## made: one" in (docs / "estimation.md").read_text(encoding="utf-8")
    assert "made: one" in report.read_text(encoding="utf-8")


def test_the_terminal_says_what_was_met_and_where_the_rest_is(data: Path, tmp_path: Path) -> None:
    report = tmp_path / "score.html"
    done = call("score", data, "--family", tmp_path / "made.toml", "-o", report)
    assert done.exit_code == 0, done.output
    assert "1 of 1 bars met" in done.stdout
    assert "score.html" in done.stdout.replace("\n", "")


BAD = [
    (["nowhere"], "nowhere: no such folder"),
    (["data"], "data: has none of the folders"),
    (["data", "--family", "lg_hg2"], "data: has no folder lg_hg2"),
    (["data", "--family", "lg_gh2"], "lg_gh2: no such campaign"),
    (["data", "--family", "made.toml", "-o", "score.pdf"], "give a name that ends in .html"),
    (["data", "--family", "wrong.toml"], "wrong.toml: family: missing"),
]


@pytest.mark.parametrize(("words", "said"), BAD)
def test_what_is_wrong_is_one_line_and_leaves_nothing(
    words: list[str], said: str, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data.parent)
    (data.parent / "wrong.toml").write_text(CAMPAIGN.replace('family = "made"', ""))
    refuses(said, "score", *words)
