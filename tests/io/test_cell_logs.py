"""A log of one cell arrives in order, in our units and sign: repairs are counted, what cannot be is refused."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhorse.io import cell_logs
from packhorse.io.errors import ReadError
from packhorse.pack.load import ConfigurationError

REAL = Path(__file__).parents[3] / "shared" / "data" / "real"
TESTER = """
[time]
column = "t_s"
unit = "s"
[current]
column = "current_a"
unit = "A"
positive = "charge"
[cell_voltage]
column = "voltage_v"
unit = "V"
[probe_temperature]
column = "temp_c"
unit = "degC"
"""


def table(rows: int = 50, step_s: float = 1.0) -> dict[str, np.ndarray]:
    k = np.arange(rows, dtype=np.float64)
    amps = np.where(k % 20 < 10, 2.0, -1.0)
    return {"time_s": k * step_s, "current_A": amps, "cell_V": 3.7 - 0.02 * amps, "cell_degC": np.full(rows, 25.0)}


def written(path: Path, columns: dict[str, object], mapping: str | None = None) -> tuple[Path, Path | None]:
    frame = pl.DataFrame(columns)
    if path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        content = frame.write_csv().encode()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    rules = path.parent / "cell.map.toml"
    if mapping is not None:
        rules.write_text(mapping)
    return path, None if mapping is None else rules


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.csv.gz"])
def test_our_own_names_need_no_mapping_and_every_bit_arrives(name: str, tmp_path: Path) -> None:
    columns = table()
    log, repairs = cell_logs.read(*written(tmp_path / name, columns))
    for mine, theirs in zip(log[1:], columns.values(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert mine.flags.c_contiguous
    assert log.name == "a"
    assert repairs == cell_logs.Repairs(rows=50)
    assert repairs.said() == ""


def test_a_log_without_temperature_has_none(tmp_path: Path) -> None:
    columns = table()
    del columns["cell_degC"]
    log, repairs = cell_logs.read(*written(tmp_path / "a.parquet", columns))
    assert np.isnan(log.cell_degC).all()
    assert repairs.no_temperature == 0


def test_a_mapping_gives_names_units_and_sign_and_its_other_sections_are_left_alone(tmp_path: Path) -> None:
    ours = table()
    columns = {
        "t": ours["time_s"] * 1000.0 + 1.7e12,
        "I": -ours["current_A"] * 1000.0,
        "U": ours["cell_V"] * 1e4,
        "T": ours["cell_degC"] + 273.15,
    }
    mapping = """
    [time]
    column = "t"
    unit = "ms"
    [current]
    column = "I"
    unit = "mA"
    positive = "charge"
    [cell_voltage]
    column = "U"
    unit = "mV"
    factor = 0.1
    [probe_temperature]
    column = "T"
    unit = "K"
    [link_voltage]
    column = "not there"
    unit = "V"
    """
    log, _repairs = cell_logs.read(*written(tmp_path / "a.parquet", columns, mapping))
    for mine, theirs in zip(log[1:], ours.values(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-9)


def test_dates_count_from_the_first_row(tmp_path: Path) -> None:
    columns = table(12) | {"time_s": [f"2026-03-01 08:00:{k:02}" for k in range(12)]}
    mapping = TESTER.replace("t_s", "time_s").replace('"s"', '"datetime"').replace("current_a", "current_A")
    mapping = mapping.replace("voltage_v", "cell_V").replace("temp_c", "cell_degC")
    log, _repairs = cell_logs.read(*written(tmp_path / "a.csv", columns, mapping))
    assert log.time_s.tolist() == list(range(12))


def test_dates_of_a_zone_count_across_its_change_of_hour(tmp_path: Path) -> None:
    clock = pl.datetime_range(
        pl.datetime(2026, 3, 29, 1, 59, 50, time_zone="Europe/Berlin"),
        pl.datetime(2026, 3, 29, 3, 0, 9, time_zone="Europe/Berlin"),
        "1s",
        eager=True,
    )
    mapping = TESTER.replace("t_s", "time_s").replace('"s"', '"datetime"').replace("current_a", "current_A")
    mapping = mapping.replace("voltage_v", "cell_V").split("[probe_temperature]")[0]
    log, _repairs = cell_logs.read(*written(tmp_path / "a.parquet", table(20) | {"time_s": clock}, mapping))
    assert log.time_s.tolist() == list(range(20))


def test_an_empty_column_of_temperatures_is_no_temperature(tmp_path: Path) -> None:
    log, repairs = cell_logs.read(*written(tmp_path / "a.csv", table() | {"cell_degC": [None] * 50}))
    assert np.isnan(log.cell_degC).all()
    assert repairs.no_temperature == 50


@given(seed=st.integers(0, 2**32 - 1), doubled=st.integers(0, 20), shuffled=st.booleans())
def test_rows_are_sorted_and_the_last_of_equal_times_is_kept(seed: int, doubled: int, shuffled: bool) -> None:
    random = np.random.default_rng(seed)
    times = np.arange(30.0)
    again = random.integers(0, 30, doubled)
    rows = np.concatenate([times, times[again]])
    if shuffled:
        random.shuffle(rows)
    order, repairs = cell_logs._in_order(Path("a.csv"), rows)
    np.testing.assert_array_equal(rows[order], times)
    assert repairs.doubled == doubled
    for k, at in enumerate(order):
        assert at == np.flatnonzero(rows == times[k])[-1]
    earlier = sum(rows[k] < rows[:k].max() for k in range(1, rows.size))
    assert repairs.unsorted == earlier


def test_what_is_put_right_is_counted_and_said_in_one_line(tmp_path: Path) -> None:
    rows = [f"{k},1.0,3.7,25" for k in range(20)]
    rows[3], rows[7] = rows[7], rows[3]
    rows[10] = "10,,overflow,25"
    rows[11] = "11,inf,65.535,"
    rows[12] = ",1.0,3.7,25"
    rows.append("19,2.0,3.6,25")
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["time_s,current_A,cell_V,cell_degC", *rows]) + "\n")
    log, repairs = cell_logs.read(path)
    assert log.time_s.tolist() == [*range(12), *range(13, 20)]
    assert log.current_A[-1] == 2.0
    assert np.flatnonzero(np.isnan(log.current_A)).tolist() == [10, 11]
    assert np.flatnonzero(np.isnan(log.cell_V)).tolist() == [10, 11]
    assert repairs == cell_logs.Repairs(21, 1, 4, 1, 2, 2, 1)
    assert repairs.said() == (
        "of 21 rows: 1 without a time left out, 4 out of order sorted, 1 with a time that came again left out "
        "(the last kept), 2 without a current, 2 without a voltage, 1 without a temperature"
    )


def changed(**columns: object) -> dict[str, object]:
    return {**table(), **columns}


LONG = {k: v for k, v in table(5000, 100.0).items() if k != "current_A"} | {"current_A": np.full(5000, 2.0)}
NOTHING = np.full(50, np.nan)
BAD = {
    "column renamed": (
        {("cell_v" if k == "cell_V" else k): v for k, v in table().items()},
        None,
        ["no column cell_V", "nearest: cell_v", "mapping file"],
    ),
    "column not there": (table(), TESTER, ["no column current_a, named in [current]", "nearest: current_A"]),
    "too short": (table(9), None, ["9 different times in 9 rows", "at least 10"]),
    "still": (changed(time_s=np.zeros(50)), None, ["1 different times in 50 rows", "names the clock"]),
    "no current": (changed(current_A=NOTHING), None, ["current_A holds no number"]),
    "no voltage": (changed(cell_V=NOTHING), None, ["cell_V holds no number"]),
    "no time": (changed(time_s=NOTHING), None, ["time_s holds no number"]),
    "decimal comma": (changed(cell_V=["3,7"] * 50), None, ["the first is '3,7'", "decimals with a point"]),
    "millivolts": (changed(cell_V=np.full(50, 3700.0)), None, ["3700 V", 'unit = "mV"']),
    "pack": (changed(cell_V=np.full(50, 48.0)), None, ["48 V", "one cell's voltage"]),
    "kelvin": (changed(cell_degC=np.full(50, 298.0)), None, ["298 degC", 'unit = "K"']),
    "milliseconds": (table(50, 1000.0), None, ["time_s steps by 1000 s", 'unit = "ms"']),
    "milliseconds of a fast log": (LONG, None, ["time_s steps by 100 s", 'unit = "ms"']),
    "impossible current": (changed(current_A=np.full(50, 1e6)), None, ["[current] believes", "check unit"]),
    "dates unannounced": (
        changed(time_s=pl.Series(range(50)).cast(pl.Datetime("us"))),
        None,
        ["holds dates", 'unit = "datetime"'],
    ),
    "two columns": (
        table(),
        TESTER.replace('column = "t_s"', 'column = "time_s"').replace(
            'column = "current_a"', 'columns = ["current_A", "cell_V"]'
        ),
        ["[current] of the mapping names 2 columns", "one cell has one"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_log_is_refused_in_one_line_that_names_the_remedy(case: str, tmp_path: Path) -> None:
    columns, mapping, said = BAD[case]
    path, rules = written(tmp_path / "a.parquet", columns, mapping)
    with pytest.raises(ReadError) as caught:
        cell_logs.read(path, rules)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for part in said:
        assert part in message


def test_a_clock_in_seconds_called_milliseconds_is_refused(tmp_path: Path) -> None:
    mapping = '[time]\ncolumn = "time_s"\nunit = "ms"\n[current]\ncolumn = "current_A"\nunit = "A"\n'
    mapping += 'positive = "discharge"\n[cell_voltage]\ncolumn = "cell_V"\nunit = "V"\n'
    with pytest.raises(ReadError, match='these look like seconds, write unit = "s"'):
        cell_logs.read(*written(tmp_path / "a.parquet", table(), mapping))


def test_a_wrong_mapping_file_is_refused_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="positive: missing"):
        cell_logs.read(*written(tmp_path / "a.csv", table(), TESTER.replace('positive = "charge"', "")))


def test_logs_of_real_cells_are_read_whole(tmp_path: Path) -> None:
    rules = tmp_path / "cell.map.toml"
    rules.write_text(TESTER)
    for path in sorted([*(REAL / "lg_hg2").glob("*.parquet"), *(REAL / "panasonic_18650pf_f150").glob("*.parquet")]):
        log, repairs = cell_logs.read(path, rules)
        assert log.time_s.size == repairs.rows - repairs.doubled - repairs.timeless
        assert (np.diff(log.time_s) > 0.0).all()
        assert np.isfinite(log.current_A).mean() > 0.99
        theirs = pl.read_parquet(path, columns=["current_a"])["current_a"]
        assert np.nanmin(log.current_A) == -theirs.max()
    if not (REAL / "lg_hg2").exists():
        pytest.skip("the real logs lie only where they were shared")
