"""Recorded lives of real vehicles and cells through the BMS: every row is answered, and the report shows it."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from packhorse.app.replay import FILES, replay
from packhorse.io.errors import ReadError, WriteError
from packhorse.pack.load import ConfigurationError

HERE = Path(__file__).parents[1] / "vehicles"
REAL = Path(__file__).parents[3] / "shared" / "data" / "real"
CARS = REAL / "ev_faults_baticm"


def needs(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path.name} lies only where the real logs are")
    return path


def small_log(path: Path, rows: int = 400) -> Path:
    """Three cells, one of them weak, that are discharged and charged in turn, with a pause in the middle."""
    k = np.arange(rows, dtype=np.float64)
    amps = np.where(k % 40 < 20, 60.0, -40.0)
    soc = 0.6 - np.cumsum(amps) / 3600.0 / 120.0
    volts = 3.4 + 0.6 * soc[:, None] - 0.0008 * amps[:, None] * np.array([1.0, 1.6, 1.0])
    clock = k + np.where(k >= rows // 2, 7200.0, 0.0)
    table = {"clock": clock, "amps": amps, "temp_1": np.full(rows, 22.0), "temp_2": np.full(rows, 23.0)}
    table |= {f"volts_{n + 1}": volts[:, n] for n in range(3)}
    pl.DataFrame(table).write_parquet(path)
    return path


def answers(out: Path, log: Path, pack: str, mapping: str) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame, str]:
    replay(log, str(HERE / pack), HERE / mapping, out, quiet=True, as_json=False)
    results, events, cells = (pl.read_parquet(out / name) for name in FILES[:3])
    return results, events, cells, (out / "report.html").read_text(encoding="utf-8")


def embedded(report: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', report, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


def test_a_small_log_is_answered_row_by_row_with_the_weak_cell_named(tmp_path: Path) -> None:
    log = small_log(tmp_path / "log.parquet")
    results, _events, cells, report = answers(tmp_path / "out", log, "small.toml", "small.map.toml")
    assert results.height == 400
    assert results["soc"].is_between(0.0, 1.0).all()
    assert results["cell_min_at_1"][5] == 2
    assert results["cell_max_at_1"][25] == 2
    assert cells.sort("deviation_discharging_V")["cell"][0] == 2
    assert cells.sort("deviation_charging_V")["cell"][-1] == 2
    assert results["stage_1"][-1] == "closed"
    assert embedded(report)["pauses"] == 1


def test_the_report_needs_nothing_from_outside(tmp_path: Path) -> None:
    log = small_log(tmp_path / "a<script>.parquet")
    *_, report = answers(tmp_path / "out", log, "small.toml", "small.map.toml")
    page = report.replace(embedded_script(report), "")
    assert not re.search(r"""(src|href)\s*=|@import|url\(""", page)
    assert "default-src 'none'" in report
    assert "a<script>" not in report
    assert "a&lt;script&gt;" in report
    titles = [plot["title"] for plot in embedded(report)["plots"]]
    assert [title.split()[0] for title in titles] == ["Cell", "Spread", "Pack", "State", "Temperature"]


def embedded_script(report: str) -> str:
    start = report.index("/*! https://github.com/leeoniya/uPlot")
    return report[start : report.index("</script>", start)]


def test_json_says_the_same_as_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = small_log(tmp_path / "log.parquet")
    replay(log, str(HERE / "small.toml"), HERE / "small.map.toml", tmp_path / "out", quiet=False, as_json=True)
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"] == 400
    assert facts["gaps"] == {"count": 1, "hours": pytest.approx(7201 / 3600)}
    assert facts["soc"]["last"]["soc"] == pl.read_parquet(tmp_path / "out" / "results.parquet")["soc"][-1]
    assert [Path(name).name for name in facts["files"]] == list(FILES)


def test_the_summary_on_the_terminal_is_short_and_names_the_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = small_log(tmp_path / "log.parquet")
    replay(log, str(HERE / "small.toml"), HERE / "small.map.toml", tmp_path / "out", quiet=False, as_json=False)
    said = capsys.readouterr().out
    assert "400 answered" in said
    assert "report.html" in said
    assert len(said.splitlines()) < 20


def test_a_current_with_the_wrong_sign_is_noticed(tmp_path: Path) -> None:
    log = small_log(tmp_path / "log.parquet", rows=800)
    mapping = tmp_path / "wrong.toml"
    mapping.write_text((HERE / "small.map.toml").read_text().replace('"discharge"', '"charge"'))
    replay(log, str(HERE / "small.toml"), mapping, tmp_path / "out", quiet=True, as_json=False)
    assert "the sign of the current looks reversed" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    replay(log, str(HERE / "small.toml"), HERE / "small.map.toml", tmp_path / "right", quiet=True, as_json=False)
    assert "looks reversed" not in (tmp_path / "right" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("log", "pack", "mapping", "error"),
    [
        ("none.parquet", "small.toml", "small.map.toml", ReadError),
        ("log.parquet", "none.toml", "small.map.toml", ConfigurationError),
        ("log.parquet", "small.toml", "none.toml", ConfigurationError),
        ("log.parquet", "car1.toml", "small.map.toml", ReadError),
    ],
)
def test_what_cannot_be_replayed_leaves_nothing_behind(
    log: str, pack: str, mapping: str, error: type[Exception], tmp_path: Path
) -> None:
    small_log(tmp_path / "log.parquet")
    with pytest.raises(error) as caught:
        replay(tmp_path / log, str(HERE / pack), HERE / mapping, tmp_path / "out", quiet=True, as_json=False)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]


def test_a_log_that_breaks_late_leaves_nothing_behind(tmp_path: Path) -> None:
    log = small_log(tmp_path / "log.parquet")
    table = pl.read_parquet(log)
    table.with_columns(clock=pl.when(pl.int_range(pl.len()) == 399).then(0.0).otherwise("clock")).write_parquet(log)
    with pytest.raises(ReadError, match="backwards at row 400"):
        replay(log, str(HERE / "small.toml"), HERE / "small.map.toml", tmp_path / "out", quiet=True, as_json=False)
    assert [path.name for path in tmp_path.iterdir()] == ["log.parquet"]


def test_results_are_not_written_over_other_files(tmp_path: Path) -> None:
    log = small_log(tmp_path / "log.parquet")
    with pytest.raises(WriteError, match="holds other files"):
        replay(log, str(HERE / "small.toml"), HERE / "small.map.toml", tmp_path, quiet=True, as_json=False)


def test_car_1_is_answered_to_the_end_and_its_invalid_codes_are_counted(tmp_path: Path) -> None:
    log = needs(CARS / "car1.parquet")
    results, events, cells, report = answers(tmp_path / "out", log, "car1.toml", "car1.map.toml")
    assert results.height == 66_666
    assert cells["not_heard"].sum() == 1_537
    assert "code 66.535" in report
    assert "1 537" in report
    assert events.filter(pl.col("severity") == "critical").height == 0
    assert results["cell_max_V_1"].drop_nans().max() < 4.25
    assert (results["soc"] - results["soc_reference"]).abs().mean() < 0.04
    assert (tmp_path / "out" / "report.html").stat().st_size < 6_000_000


def test_car_3_is_answered_to_the_end_and_its_invalid_codes_are_counted(tmp_path: Path) -> None:
    log = needs(CARS / "car3.parquet")
    results, events, _cells, report = answers(tmp_path / "out", log, "car3.toml", "car3.map.toml")
    assert results.height == 50_000
    assert "400 000" in report
    assert events.filter(pl.col("severity") == "critical").height == 0
    assert results["probe_max_degC_1"].max() < 40.0
    assert results["probe_min_degC_1"].min() > 10.0
    data = embedded(report)
    assert data["hide"] is True
    assert data["pauses"] > 200


@pytest.mark.parametrize("name", ["25degC_551_Mixed1", "0degC_589_Mixed1", "n10degC_601_Mixed1"])
def test_drives_of_the_lg_cell_run_as_a_pack_of_one_cell(name: str, tmp_path: Path) -> None:
    log = needs(REAL / "lg_hg2" / f"{name}.parquet")
    results, events, cells, report = answers(tmp_path / "out", log, "lg_hg2.toml", "lab_cell.map.toml")
    assert results.height == pl.read_parquet(log).height
    assert events.filter(pl.col("severity") == "critical").height == 0
    assert cells.height == 1
    assert results["soc"][-1] < 0.35
    assert "One cell" in report


@pytest.mark.parametrize("name", ["25degC_Cycle_1", "n10degC_Cycle_1"])
def test_drives_of_the_panasonic_cell_run_as_a_pack_of_one_cell(name: str, tmp_path: Path) -> None:
    log = needs(REAL / "panasonic_18650pf_f150" / f"{name}.parquet")
    results, events, _cells, _report = answers(tmp_path / "out", log, "panasonic_ncr18650pf.toml", "lab_cell.map.toml")
    assert results.height == pl.read_parquet(log).height
    assert events.filter(pl.col("severity") == "critical").height == 0
    assert results["soc"][-1] < 0.35
