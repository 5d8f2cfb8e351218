"""The sign of a log's current is found from the cell's own answer; what a log spans is told as it is."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.io.cell_logs import CellLog
from packhorse.lab import check
from packhorse.pack.load import load_cell

REAL = Path(__file__).parents[3] / "shared" / "data" / "real"
CAPACITY_AH = {"lg_hg2": 2.8, "panasonic_18650pf_f150": 2.8, "lfp_tao_transitbus": 1.2, "a123_26650_plett": 2.03}
RECORDED = [path for folder in CAPACITY_AH for path in sorted((REAL / folder).glob("*.parquet"))]
RECORDED = [path for path in RECORDED if path.stem != "ocv_curves"]
needs_logs = pytest.mark.skipif(not RECORDED, reason="the real logs lie only where they were shared")


def recorded(path: Path) -> CellLog:
    """A shared log in our sign: theirs is positive while it charges."""
    table = pl.read_parquet(path)
    clock = table["t_s"].to_numpy().astype(np.float64)
    kept = np.append(np.diff(clock) > 0.0, True)

    def of(name: str) -> np.ndarray:
        return table[name].to_numpy().astype(np.float64)[kept] if name in table.columns else np.full(kept.sum(), np.nan)

    return CellLog(path.stem, clock[kept], -of("current_a"), of("voltage_v"), of("temp_c"))


def turned(log: CellLog) -> CellLog:
    return log._replace(current_A=-log.current_A)


def cell(current_A: np.ndarray, step_s: float = 1.0, ohm: float = 0.03, capacity_Ah: float = 3.0) -> CellLog:
    """A cell with a straight OCV, a resistance and one RC pair of 30 s."""
    time_s = np.arange(current_A.size) * step_s
    soc = 0.9 - np.cumsum(current_A) * step_s / 3600.0 / capacity_Ah
    keep, slow_V, pair = np.exp(-step_s / 30.0), 0.0, np.empty(current_A.size)
    for k, amps in enumerate(current_A):
        slow_V = keep * slow_V + (1.0 - keep) * 0.5 * ohm * amps
        pair[k] = slow_V
    volts = 3.4 + 0.7 * soc - ohm * current_A - pair
    return CellLog("made", time_s, current_A, volts, np.full(current_A.size, 25.0))


@needs_logs
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name[:6]}-{path.stem}")
def test_every_recorded_log_has_the_right_sign_and_its_mirror_the_wrong_one(path: Path) -> None:
    log = recorded(path)
    assert check.current_sign(log).verdict == "right"
    check.refuse_wrong_sign(log)
    mirrored = check.current_sign(turned(log))
    assert mirrored.verdict == "wrong"
    assert mirrored.agreement == -check.current_sign(log).agreement
    with pytest.raises(ValueError, match=r'positive = "charge" under \[current\]') as caught:
        check.refuse_wrong_sign(turned(log))
    assert path.stem in str(caught.value)


@needs_logs
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name[:6]}-{path.stem}")
def test_recorded_logs_are_told_apart_by_pace_and_pulses(path: Path) -> None:
    log, capacity_Ah = recorded(path), CAPACITY_AH[path.parent.name]
    slow = "C20" in path.stem or ("_OCV_" in path.stem and path.stem[-2:] in ("S1", "S3"))
    assert check.is_slow(log, capacity_Ah) == slow
    if "HPPC" in path.stem:
        assert check.has_pulses(log)
    if slow or "Cycle" in path.stem or "Mixed" in path.stem or "Cap" in path.stem:
        assert not check.has_pulses(log)


@needs_logs
@pytest.mark.parametrize("rows", [-2, -1, 1, 2])
def test_a_voltage_some_rows_away_from_its_current_does_not_turn_the_sign(rows: int) -> None:
    pulsed = [path for path in RECORDED if any(kind in path.stem for kind in ("HPPC", "Mixed1", "Cycle", "DYN"))]
    for path in pulsed:
        log = recorded(path)
        late = log._replace(cell_V=np.roll(log.cell_V, rows))
        assert check.current_sign(late).verdict == "right", path.stem
        assert check.current_sign(turned(late)).verdict == "wrong", path.stem


@given(
    seed=st.integers(0, 2**32 - 1),
    scale_A=st.floats(1.0, 30.0),
    noise_V=st.floats(0.0, 0.002),
    step_s=st.sampled_from([0.1, 1.0, 10.0]),
    right=st.booleans(),
)
def test_a_noisy_coarse_drive_with_regen_still_tells_its_sign(
    seed: int, scale_A: float, noise_V: float, step_s: float, right: bool
) -> None:
    random = np.random.default_rng(seed)
    amps = np.repeat(random.normal(0.1, 1.0, 80), 5) * scale_A
    log = cell(amps, step_s, ohm=0.2 / scale_A, capacity_Ah=3.0 * scale_A)
    volts = np.round((log.cell_V + random.normal(0.0, noise_V, amps.size)) / 0.0015) * 0.0015
    measured = np.round((amps + random.normal(0.0, 0.01, amps.size)) / 0.01) * 0.01
    holes = random.random(amps.size) < 0.05
    log = log._replace(cell_V=np.where(holes, np.nan, volts), current_A=measured if right else -measured)
    assert check.current_sign(log).verdict == ("right" if right else "wrong")


@given(rate_A=st.floats(0.1, 6.0), charging=st.booleans(), noise=st.integers(0, 2**32 - 1))
def test_constant_current_with_slow_voltage_tells_its_sign_by_the_trend(
    rate_A: float, charging: bool, noise: int
) -> None:
    random = np.random.default_rng(noise)
    amps = np.full(1000, -rate_A if charging else rate_A)
    log = cell(amps, step_s=1500.0 / rate_A / 1000.0)
    volts = np.round((log.cell_V + random.normal(0.0, 0.001, 1000)) / 0.0015) * 0.0015
    sign = check.current_sign(log._replace(cell_V=volts))
    assert sign.verdict == "right"
    assert sign.by == "trend"
    assert check.current_sign(turned(log)._replace(cell_V=volts)).verdict == "wrong"


@given(noise=st.integers(0, 2**32 - 1))
def test_a_cell_at_rest_cannot_tell(noise: int) -> None:
    random = np.random.default_rng(noise)
    log = cell(random.normal(0.0, 0.005, 500))
    log = log._replace(cell_V=log.cell_V + random.normal(0.0, 0.001, 500))
    assert check.current_sign(log) == ("cannot tell", 0.0, "nothing")
    check.refuse_wrong_sign(log)
    assert not check.has_pulses(log)


def test_pulses_must_follow_a_rest_be_even_and_have_their_edges_seen() -> None:
    once = np.concatenate([np.zeros(40), np.full(10, 5.0)])
    log = cell(np.concatenate([np.tile(once, 3), np.zeros(40)]))
    assert check.has_pulses(log)
    assert not check.has_pulses(cell(np.tile(once, 2)))
    assert not check.has_pulses(log._replace(time_s=log.time_s * 10.0))
    assert not check.has_pulses(log._replace(time_s=log.time_s * 0.3))
    ramp = np.concatenate([np.zeros(40), np.linspace(1.0, 20.0, 10)])
    assert not check.has_pulses(cell(np.tile(ramp, 5)))


def test_slow_is_below_an_eighth_of_the_capacity_and_through_half_of_it() -> None:
    assert check.is_slow(cell(np.full(600, 0.3), step_s=60.0), 3.0)
    assert not check.is_slow(cell(np.full(600, 0.5), step_s=60.0), 3.0)
    assert not check.is_slow(cell(np.full(100, 0.3), step_s=60.0), 3.0)
    with pytest.raises(ValueError, match="capacity_Ah is 0"):
        check.is_slow(cell(np.full(100, 0.3)), 0.0)


def test_spans_count_charge_both_ways_but_not_over_gaps_and_holes() -> None:
    amps = np.concatenate([np.full(361, 10.0), np.full(180, -4.0), [np.nan], np.full(180, -4.0)])
    log = cell(np.nan_to_num(amps))._replace(current_A=amps)
    later = np.where(np.arange(amps.size) >= 361, 1000.0, 0.0)
    found = check.spans(log._replace(time_s=log.time_s + later, cell_degC=np.full(amps.size, np.nan)))
    assert found.discharged_Ah == pytest.approx(1.0)
    assert found.charged_Ah == pytest.approx(4.0 * 359.0 / 3600.0)
    assert found.swing_Ah == pytest.approx(1.0)
    assert found.unseen_s == 1001.0
    assert found.duration_s == 1721.0
    assert (found.discharge_A, found.charge_A) == (10.0, 4.0)
    assert np.isnan([found.low_degC, found.high_degC]).all()
    assert found.low_V < found.high_V


@needs_logs
def test_the_charge_counted_is_the_testers() -> None:
    log = recorded(REAL / "lg_hg2" / "25degC_C20.parquet")
    assert check.spans(log).swing_Ah == pytest.approx(2.78074 + 0.1902, rel=0.002)


@pytest.mark.parametrize(
    ("name", "factor", "said"),
    [("nmc_60", 1.0, ""), ("lfp_280", 1.0, "outside the 2.5 to 3.65 V"), ("nmc_60", 30.0, "Ah flow in its first 6 h")],
)
def test_a_log_of_another_cell_is_refused(name: str, factor: float, said: str) -> None:
    log = cell(np.full(3600, factor * 50.0), capacity_Ah=60.0, ohm=0.0005)
    log = log._replace(cell_V=np.linspace(4.1, 3.6, log.time_s.size))
    if not said:
        check.refuse_other_cell(log, load_cell(name))
        return
    with pytest.raises(ValueError, match=said):
        check.refuse_other_cell(log, load_cell(name))
