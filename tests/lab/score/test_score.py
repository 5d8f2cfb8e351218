"""A whole run over a small made-up laboratory: tables, bars, the benchmark's figure, the document."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import stand_in
from packhorse.io.cell_logs import CellLog
from packhorse.lab import score
from packhorse.lab.score import benchmark, page, rivals
from packhorse.lab.score.words import Estimated, Estimator, Measures, Run, Scores, Trace
from packhorse.lab.training import Training
from packhorse.pack.description import CellFile

CAMPAIGN = """
family = "made"
name = "a made-up cell"
sources = ["made by hand"]
folder = "made"
chemistry = "nmc"
nominal_Ah = 3.0
settle_s = 600
offsets_per_h = [0.02, 0.0666]
truth_quality = "exact, <made> & known"
[columns]
time_s = "t"
current_A = "i"
cell_V = "v"
positive = "discharge"
[temperature]
degC = 25
[truth]
kind = "reference_column"
column = "soc"
[bars.loose]
P0 = { rmse_points = 5.0, max_points = 10.0 }
P1 = { rmse_points = 5.0, within_s = 1200 }
[bars.tight]
P0 = { rmse_points = 0.001 }
[[split]]
name = "one"
ocv = ["slow.parquet"]
sets = ["bar", "benchmark", "robust"]
benchmark_part = "clean"
[[split.group]]
name = "warm"
files = ["a*.parquet"]
bar = "loose"
[[split.group]]
name = "cold"
files = ["b.parquet"]
bar = "tight"
"""


def slow() -> dict[str, np.ndarray]:
    soc = np.concatenate([np.linspace(1.0, 0.0, 1201), np.zeros(10), np.linspace(0.0, 1.0, 1201)])
    current_A = np.concatenate([np.full(1201, 0.15), np.zeros(10), np.full(1201, -0.15)])
    return {"t": 60.0 * np.arange(soc.size), "i": current_A, "v": 3.0 + 0.9 * soc + 0.25 * soc**3, "soc": soc}


def drive(phase: float) -> dict[str, np.ndarray]:
    time_s = np.arange(3000.0)
    current_A = 2.0 + 2.0 * np.sin(time_s / 20.0 + phase)
    soc = 1.0 - np.concatenate([[0.0], np.cumsum(current_A[1:])]) / 3600.0 / 3.0
    return {"t": time_s, "i": current_A, "v": 3.0 + 0.9 * soc + 0.25 * soc**3 - 0.02 * current_A, "soc": soc}


@pytest.fixture
def laboratory(tmp_path: Path) -> tuple[Path, str]:
    folder = tmp_path / "made"
    folder.mkdir()
    files = {"slow": slow(), "a1": drive(0.0), "a2": drive(1.0), "b": drive(2.0)}
    for name, columns in files.items():
        pl.DataFrame(columns).write_parquet(folder / f"{name}.parquet")
    (tmp_path / "made.toml").write_text(CAMPAIGN)
    return tmp_path, str(tmp_path / "made.toml")


def run(laboratory: tuple[Path, str], build: score.Build = rivals.textbook_filter, **more: object) -> Scores:
    data, campaign = laboratory
    return score.run(data, stand_in.identify, build, [campaign], **more)  # type: ignore[arg-type]


def test_every_case_of_every_log_is_run_and_told(laboratory: tuple[Path, str]) -> None:
    scores = run(laboratory)
    bar = 9 + 3
    assert len([one for one in scores.runs if one.estimator == "packhorse"]) == 3 * bar + 2 * 4
    rows = {(row.group, row.case): row for row in scores.rows if row.estimator == "packhorse"}
    assert rows["warm", "P0"].logs == 2
    assert rows["warm", "P0"].met is True
    assert rows["cold", "P0"].met is False
    assert rows["warm", "P3"].met is None
    assert rows["warm", "P2"].variant.endswith("C/15")
    assert rows["warm", "P0"].worst_file in ("a1", "a2")
    assert rows["warm", "P2"].rmse >= rows["warm", "P0"].rmse
    assert scores.skipped == []


def test_the_same_run_gives_the_same_figures_and_beside_itself_no_difference(laboratory: tuple[Path, str]) -> None:
    one, two = (page.as_json(run(laboratory)) for _ in range(2))
    assert one["rows"] == two["rows"]
    ours = [row for row in one["rows"] if row["estimator"] == "packhorse"]
    theirs = [row for row in one["rows"] if row["estimator"] == "textbook EKF"]
    assert [{**row, "estimator": ""} for row in ours] == [{**row, "estimator": ""} for row in theirs]


def test_an_estimator_never_hears_the_truth_and_is_told_the_start_of_its_case(laboratory: tuple[Path, str]) -> None:
    heard: list[tuple[CellLog, float | None]] = []

    def build(_: CellFile) -> Estimator:
        def estimate(log: CellLog, initial_soc: float | None) -> Estimated:
            heard.append((log, initial_soc))
            blank = np.full(log.time_s.size, np.nan)
            return Estimated(log.time_s, blank, blank, blank, blank, blank, blank)

        return estimate

    scores = run(laboratory, build, settings=score.Settings(rivals=False))
    assert {type(log) for log, _ in heard} == {CellLog}
    assert {round(told, 6) for _, told in heard if told is not None} == {1.0, 0.7}
    # who gives no estimate is wrong everywhere, never left out
    assert all(row.rmse > 0.5 for row in scores.rows)
    assert not any(row.met for row in scores.rows)


def test_what_cannot_be_identified_or_estimated_is_said_and_the_rest_goes_on(laboratory: tuple[Path, str]) -> None:
    def refuse(_: Training) -> CellFile:
        raise ValueError("no pulses; give some")

    data, campaign = laboratory
    scores = score.run(data, refuse, rivals.textbook_filter, [campaign])
    assert scores.skipped == ["made, one: no pulses; give some"]
    assert scores.rows == []

    def build(cell: CellFile) -> Estimator:
        inner = rivals.textbook_filter(cell)

        def estimate(log: CellLog, initial_soc: float | None) -> Estimated:
            if log.name == "b":
                raise ValueError("this log is not for me")
            return inner(log, initial_soc)

        return estimate

    scores = run(laboratory, build, settings=score.Settings(rivals=False))
    assert any("made, b, P0, packhorse: this log is not for me" in reason for reason in scores.skipped)
    assert {row.group: row.rmse > 0.5 for row in scores.rows if row.case == "P0"} == {"warm": False, "cold": True}
    (data / "made" / "slow.parquet").rename(data / "elsewhere.parquet")
    assert "no file of that name" in run(laboratory).skipped[0]


def test_an_offset_that_is_found_is_said_with_its_error(laboratory: tuple[Path, str]) -> None:
    """Always told +C/50 (0.06 A): right in one variant of P2, worst where -0.1998 A was put in: 0.2598 A of 3 Ah."""

    def build(cell: CellFile) -> Estimator:
        inner = rivals.textbook_filter(cell)

        def estimate(log: CellLog, initial_soc: float | None) -> Estimated:
            return inner(log, initial_soc)._replace(current_offset_A=np.full(log.time_s.size, 0.06))

        return estimate

    scores = run(laboratory, build)
    variants = {one.variant: one.measures.offset_error_A for one in scores.runs if one.estimator == "packhorse"}
    assert variants["P2 +C/50"] == pytest.approx(0.0, abs=1e-12)
    assert variants["P2 -C/50"] == pytest.approx(0.12)
    ours = next(row for row in scores.rows if (row.estimator, row.case) == ("packhorse", "P2"))
    assert ours.offset_error_C == pytest.approx((0.06 + 0.0666 * 3.0) / 3.0)
    assert page.offsets(scores)[0][2:] == ["warm", "C/12", "**no**"]
    good = scores._replace(rows=[ours._replace(offset_error_C=1.0 / 250.0)])
    assert page.offsets(good)[0][3:] == ["C/250", "yes"]


def test_missing_families_are_named(tmp_path: Path) -> None:
    scores = score.run(tmp_path, stand_in.identify, rivals.textbook_filter)
    assert len(scores.skipped) == 4
    assert all("no folder" in reason for reason in scores.skipped)
    assert page.body(scores, {})


def test_a_wrong_number_of_rows_is_the_callers_mistake(laboratory: tuple[Path, str]) -> None:
    def build(cell: CellFile) -> Estimator:
        inner = rivals.textbook_filter(cell)
        return lambda log, initial_soc: Estimated(*(column[1:] for column in inner(log, initial_soc)))

    with pytest.raises(ValueError, match="gave 2999 rows for the 3000 of a1"):
        run(laboratory, build)


def test_the_document_is_written_between_its_markers_and_keeps_what_stands_around(
    laboratory: tuple[Path, str], tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    scores = run(laboratory)
    written = score.write_page(scores, docs)
    text = (docs / "estimation.md").read_text()
    for name in re.findall(r"\]\((images/[^)]+)\)", text):
        svg = (docs / name).read_text()
        assert svg.startswith("<svg")
        assert "nan" not in svg
        assert docs / name in written
    assert "exact, <made> & known" in text
    assert "| warm (2) | P0 |" in text
    assert "**no**" in text
    (docs / "estimation.md").write_text(f"before\n{text[text.index(page.BEGIN) :]}after\n")
    (docs / page.IMAGES / "left_over.svg").write_text("<svg/>")
    score.write_page(scores, docs)
    again = (docs / "estimation.md").read_text()
    assert again.startswith(f"before\n{page.BEGIN}")
    assert again.endswith(f"{page.END}\nafter\n")
    assert not (docs / page.IMAGES / "left_over.svg").exists()


def test_the_report_needs_nothing_from_outside_and_escapes_names(laboratory: tuple[Path, str]) -> None:
    text = score.report(run(laboratory))
    assert "exact, &lt;made&gt; &amp; known" in text
    assert "<made>" not in text
    assert "<script" not in text
    assert not re.search(r"""(src|href)\s*=|@import|url\(""", text)
    assert text.count("<svg") == 2 * 4 + 1


def test_json_is_json(laboratory: tuple[Path, str]) -> None:
    found = json.loads(page.to_json(run(laboratory)))
    assert {row["estimator"] for row in found["rows"]} == {"packhorse", "coulomb counting", "textbook EKF"}
    assert found["runs"][0]["rmse"] > 0.0
    assert found["weighted"][0]["parts"][0]["name"] == "clean"
    assert found["coverage"][0]["family"] == "made"


def made_run(case: str, variant: str, group: str, rmse: float) -> Run:
    figures = Measures(10, rmse, rmse, rmse, rmse, 0.0, 0.9, 0.1, np.nan)
    return Run("made", "one", group, case, variant, "packhorse", "a", figures, Trace(*(np.zeros(1),) * 3))


def test_the_weighted_error_by_hand(laboratory: tuple[Path, str]) -> None:
    """Clean 1 and 3 (mean 2); starts 6, 3, 0 at 3:2:1 (mean 4); offset 5 (the smaller is left out); noise 1; the two
    temperatures 1 and 3 (mean 2). No unseen cell. All weigh the same: (2 + 4 + 5 + 1 + 2) / 5 = 2.8."""
    campaign = score.score.load(laboratory[1])
    runs = [
        made_run("P0", "P0", "warm", 1.0),
        made_run("P0", "P0", "cold", 3.0),
        made_run("start", "start 90 %", "warm", 6.0),
        made_run("start", "start 60 %", "warm", 3.0),
        made_run("start", "start 30 %", "warm", 0.0),
        made_run("P2", "P2 +C/50", "warm", 100.0),
        made_run("P2", "P2 +C/15", "warm", 4.0),
        made_run("P2", "P2 -C/15", "warm", 6.0),
        made_run("P3", "P3", "warm", 1.0),
    ]
    (found,) = benchmark.weighted([campaign], runs, benchmark.WEIGHTS)
    assert found.error == pytest.approx(2.8)
    assert [part.name for part in found.parts] == ["clean", "wrong start", "current offset", "noise", "temperature"]
    only_clean = {name: float(name == "clean") for name in benchmark.WEIGHTS}
    assert benchmark.weighted([campaign], runs, only_clean)[0].error == pytest.approx(2.0)
