"""Campaigns, their files and their truth: hand-made files with known answers, and the real ones where they lie."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from packhorse.io.cell_logs import CellLog
from packhorse.io.errors import ReadError
from packhorse.lab.score import campaign as campaigns
from packhorse.lab.score import files
from packhorse.lab.score.truth import soc_at_rest, truth
from packhorse.pack.load import ConfigurationError

REAL = Path(__file__).parents[4] / "shared" / "data" / "real"

SMALL = """
family = "small"
name = "a small cell"
sources = ["made by hand"]
folder = "small"
chemistry = "nmc"
nominal_Ah = 2.0
settle_s = 60
offsets_per_h = [0.02]
truth_quality = "exact"
[columns]
time_s = "ms"
current_A = "mA"
cell_V = "mV"
positive = "charge"
time_factor = 0.001
current_factor = 0.001
voltage_factor = 0.001
counter_Ah = "count"
measured = "real"
[temperature]
in_name = "^(?P<sign>[np])(?P<degC>[0-9]+)_"
[truth]
kind = "tester_charge"
capacity = [{ degC = -10, Ah = 1.5 }, { degC = 25, Ah = 2.0 }]
[bars.any]
P0 = { rmse_points = 1.0, max_points = 2.0 }
[[split]]
name = "all"
drive = ["p25_a.parquet"]
[[split.group]]
name = "cold"
files = ["n10_*.parquet"]
bar = "any"
"""


def small(tmp_path: Path, text: str = SMALL) -> campaigns.Campaign:
    path = tmp_path / "small.toml"
    path.write_text(text)
    return campaigns.load(str(path))


def write(folder: Path, name: str, **columns: list[float]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    pl.DataFrame(columns).write_parquet(path)
    return path


def drive(folder: Path, name: str) -> Path:
    """Four rows: one hour at -1 A (discharge), and a hole in which 0.5 Ah left the cell."""
    return write(
        folder,
        name,
        ms=[1000.0, 3_601_000.0, 5_401_000.0, 5_402_000.0],
        mA=[0.0, -1000.0, 0.0, 0.0],
        mV=[4100.0, 3900.0, 3700.0, 3700.0],
        count=[0.0, -1.0, -1.5, -1.5],
        real=[1.0, 1.0, 0.0, 1.0],
    )


def real(name: str) -> tuple[campaigns.Campaign, Path]:
    campaign = campaigns.load(name)
    folder = REAL / campaign.folder
    if not folder.is_dir():
        pytest.skip(f"{campaign.folder} lies only where the real data are")
    return campaign, folder


def test_a_log_has_our_sign_units_and_clock_and_nothing_of_the_truth(tmp_path: Path) -> None:
    log = files.log(small(tmp_path), drive(tmp_path / "small", "n10_a.parquet"))
    assert log._fields == ("name", "time_s", "current_A", "cell_V", "cell_degC")
    np.testing.assert_allclose(log.time_s, [0.0, 3600.0, 5400.0, 5401.0])
    np.testing.assert_allclose(log.current_A, [0.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(log.cell_V, [4.1, 3.9, 3.7, 3.7])
    np.testing.assert_allclose(log.cell_degC, -10.0)


def test_a_lesson_has_the_charge_that_flowed_where_no_row_was_stored(tmp_path: Path) -> None:
    lesson = files.lesson(small(tmp_path), drive(tmp_path / "small", "p25_a.parquet"))
    np.testing.assert_allclose(lesson.current_A, [0.0, 1.0, 1.0, 0.0])
    assert np.sum(lesson.current_A[1:] * np.diff(lesson.time_s)) / 3600.0 == pytest.approx(1.5)


def test_tester_charge_divides_by_the_capacity_of_the_logs_temperature(tmp_path: Path) -> None:
    right = truth(small(tmp_path), drive(tmp_path / "small", "n10_a.parquet"))
    np.testing.assert_allclose(right.soc, [1.0, 1.0 - 1.0 / 1.5, 0.0, 0.0], atol=1e-12)
    with pytest.raises(ReadError, match="no capacity is named for 40 degC"):
        truth(small(tmp_path), drive(tmp_path / "small", "p40_a.parquet"))


SCRIPTS = SMALL.replace(
    'kind = "tester_charge"\ncapacity = [{ degC = -10, Ah = 1.5 }, { degC = 25, Ah = 2.0 }]',
    'kind = "scripts"\ncharged_Ah = "in"\ndischarged_Ah = "out"\n'
    'suffixes = ["_s1.parquet", "_s2.parquet", "_s3.parquet"]\nat_25_degC = "p25"',
)


def three_scripts(folder: Path, stem: str, efficiency: float, efficiency_25: float) -> None:
    """A cell of 2 Ah is driven down to 0.1 Ah with 1 Ah charged on the way, emptied with some dither, and filled."""
    out_1, out_2 = 1.9 + efficiency * 1.0, 0.1 + efficiency_25 * 0.5
    write(folder, f"{stem}_s1.parquet", **{"in": [0.0, 0.5, 1.0], "out": [0.0, 0.95 + 0.5 * efficiency, out_1]})
    write(folder, f"{stem}_s2.parquet", **{"in": [0.0, 0.5], "out": [0.0, out_2]})
    write(folder, f"{stem}_s3.parquet", **{"in": [0.0, 2.0 / efficiency_25], "out": [0.0, 0.0]})


def test_three_scripts_give_efficiency_and_capacity_back(tmp_path: Path) -> None:
    """By hand: 25 degC has one efficiency for all, -10 degC its own in script 1 and that of 25 degC in the others."""
    campaign, folder = small(tmp_path, SCRIPTS), tmp_path / "small"
    three_scripts(folder, "p25", 0.99, 0.99)
    three_scripts(folder, "n10", 0.96, 0.99)
    for stem in ("p25", "n10"):
        right = truth(campaign, folder / f"{stem}_s1.parquet")
        assert right.capacity_Ah == pytest.approx(2.0, abs=1e-9)
        np.testing.assert_allclose(right.soc, [1.0, 0.525, 0.05], atol=1e-9)
    with pytest.raises(ReadError, match="no first script"):
        truth(campaign, folder / "p25_s2.parquet")


def test_a_rest_is_read_on_the_mean_curve_whatever_the_offset_of_the_slow_current(tmp_path: Path) -> None:
    """A cell with V = 3 + SOC, 20 mV down and up; the tester counts 5 % too much out and too little in."""
    campaign = small(tmp_path)
    soc = np.linspace(0.0, 1.0, 201)
    down, up = 3.0 + soc[::-1] - 0.02, 3.0 + soc + 0.02
    path = write(
        tmp_path / "small",
        "p25_ocv.parquet",
        mA=[*np.full(201, -105.0), *np.full(201, 95.0)],
        mV=[*(1000.0 * down), *(1000.0 * up)],
        count=[*(2.1 * (soc[::-1] - 1.0)), *(-2.1 + 1.9 * soc)],
    )
    assert soc_at_rest(campaign, path, 3.4) == pytest.approx(0.4, abs=1e-3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("nominal_Ah = 2.0", "nominal_Ah = -2.0", "nominal_Ah: found -2.0"),
        ('positive = "charge"', 'positive = "in"', "columns.positive"),
        ('bar = "any"', 'bar = "nay"', "names bar 'nay'; known: any"),
        ("(?P<degC>[0-9]+)", "([0-9]+)", "in_name needs the groups"),
        ("settle_s = 60", "settle_s = 60\nsettled = 1", "settled: unknown key; did you mean settle_s"),
        ('counter_Ah = "count"\n', "", "needs columns.counter_Ah"),
    ],
)
def test_a_wrong_campaign_is_refused_in_one_line_with_file_and_place(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in SMALL
    with pytest.raises(ConfigurationError) as caught:
        small(tmp_path, SMALL.replace(old, new))
    assert said in str(caught.value)
    assert "small.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such campaign; known: a123"):
        campaigns.load("nowhere")
    (tmp_path / "small").mkdir()
    with pytest.raises(ReadError, match=r"small/x\*: no file of that name"):
        campaigns.matched(tmp_path / "small", ["x*"])
    path, campaign = write(tmp_path / "small", "n10_b.parquet", ms=[0.0], mA=[0.0]), small(tmp_path)
    with pytest.raises(ReadError, match="no column mV"):
        files.log(campaign, path)


@pytest.mark.parametrize("name", campaigns.shipped())
def test_every_shipped_campaign_finds_its_files_and_a_plausible_truth(name: str) -> None:
    campaign, folder = real(name)
    for split in campaign.split:
        for group in split.group:
            for path in campaigns.matched(folder, group.files):
                log, right = files.log(campaign, path), truth(campaign, path)
                assert log.time_s.shape == right.soc.shape
                assert np.nanmin(right.soc) > -0.02
                assert np.nanmax(right.soc) < 1.02
                assert 0.8 * campaign.nominal_Ah < right.capacity_Ah < 1.1 * campaign.nominal_Ah
                # the truth and the current of the same rows must tell the same story, in sign and in size
                flowed = np.cumsum(log.current_A[1:] * np.diff(log.time_s)) / 3600.0
                drift = right.soc[0] - right.soc[1:] - flowed / right.capacity_Ah
                assert np.nanmax(np.abs(drift)) < 0.03


@pytest.mark.parametrize("name", campaigns.shipped())
def test_no_scored_log_is_among_those_that_the_identification_sees(name: str) -> None:
    campaign, folder = real(name)
    for split in campaign.split:
        seen = {
            path
            for globs in (split.ocv, split.curve, split.pulse, split.capacity, split.drive)
            for path in campaigns.matched(folder, globs)
        }
        scored = {path for group in split.group for path in campaigns.matched(folder, group.files)}
        assert not seen & scored, split.name


def test_the_parts_of_an_a123_test_become_one_log_that_ends_as_full_as_it_began() -> None:
    campaign, folder = real("a123")
    log = files.joined(campaign, folder / "A123_OCV_N15_S1.parquet")
    assert np.all(np.diff(log.time_s) >= 0.0)
    assert set(np.unique(log.cell_degC)) == {-15.0, 25.0}
    flowed = np.cumsum(log.current_A[1:] * np.diff(log.time_s)) / 3600.0
    assert np.ptp(flowed) == pytest.approx(2.07, abs=0.02)
    assert abs(flowed[-1]) < 0.03


def test_an_ocv_curve_becomes_a_slow_discharge_and_charge() -> None:
    campaign, folder = real("tao_lfp")
    log = files.slow_log(campaign, folder / "ocv_curves.parquet")
    assert np.all(np.diff(log.time_s) >= 0.0)
    flowed = np.cumsum(log.current_A[1:] * np.diff(log.time_s)) / 3600.0
    assert np.max(flowed) == pytest.approx(campaign.nominal_Ah, rel=2e-3)
    assert abs(flowed[-1]) < 2e-3 * campaign.nominal_Ah
    middle = int(np.argmin(np.abs(flowed - 0.5 * campaign.nominal_Ah)))
    assert 3.2 < log.cell_V[middle] < 3.35


def test_panasonic_pulses_lose_their_charge_without_the_counter() -> None:
    campaign, folder = real("panasonic_f150")
    path = folder / "25degC_5Pulse_HPPC.parquet"

    def removed(log: CellLog) -> float:
        return float(np.sum(log.current_A[1:] * np.diff(log.time_s)) / 3600.0)

    assert removed(files.log(campaign, path)) < 1.5
    assert removed(files.lesson(campaign, path)) == pytest.approx(2.773, abs=0.005)


def test_a_counter_that_is_set_back_says_nothing_from_there_on(tmp_path: Path) -> None:
    path = write(
        tmp_path / "small",
        "n10_a.parquet",
        ms=[0.0, 1.0, 2.0, 3.0],
        mA=[0.0] * 4,
        mV=[4000.0] * 4,
        count=[0.0, -1.2, 0.0, 0.4],
    )
    np.testing.assert_allclose(truth(small(tmp_path), path).soc, [1.0, 0.2, np.nan, np.nan])
