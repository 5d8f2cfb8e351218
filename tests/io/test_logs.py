"""What stands in a log arrives in our units, names and sign, and what is no reading arrives as NaN and is counted."""

import datetime as dt
import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from packhorse.io import logs
from packhorse.io.mapping import expand
from packhorse.pack.load import load_pack
from packhorse.pack.words import Frames

VEHICLES = Path(__file__).parents[1] / "vehicles"
SMALL, PAIR = load_pack(str(VEHICLES / "small.toml")), load_pack(str(VEHICLES / "pair.toml"))
MAP = VEHICLES / "small.map.toml"
HEAD = "clock,amps,volts_1,volts_2,volts_3,temp_1,temp_2"


def read_csv(
    tmp_path: Path, *rows: str, mapping: str | None = None, rows_each: int = 20_000
) -> tuple[logs.Log, Frames]:
    path, rules = tmp_path / "a.csv", tmp_path / "a.map.toml"
    path.write_text("\n".join([HEAD, *rows]) + "\n")
    rules.write_text(MAP.read_text() if mapping is None else mapping)
    log = logs.open_log(path, rules, SMALL)
    return log, joined([block.frames for block in log.blocks(rows_each)])


def joined(blocks: list[Frames]) -> Frames:
    return Frames(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def test_a_row_becomes_a_frame_and_what_is_not_in_the_log_is_not_measured(tmp_path: Path) -> None:
    _log, frames = read_csv(tmp_path, "5,1.5,3.70,3.71,3.72,20,21")
    assert frames.time_s.tolist() == [5.0]
    assert frames.string_A.tolist() == [[1.5]]
    assert frames.cell_V.tolist() == [[[3.70, 3.71, 3.72]]]
    assert frames.probe_degC.tolist() == [[[20.0, 21.0]]]
    assert frames.age_s.tolist() == [[[0.0, 0.0, 0.0]]]
    assert frames.drive_request.tolist() == [1.0]
    for silent in (frames.string_V, frames.link_V, frames.contactor, frames.hvil, frames.isolation_ohm):
        assert np.isnan(silent).all()
    for values in frames:
        assert values.dtype == np.float64
        assert values.flags.c_contiguous


def test_units_sign_factor_and_offset_are_converted_at_the_door(tmp_path: Path) -> None:
    mapping = (
        MAP.read_text()
        .replace('unit = "A"\npositive = "discharge"', 'unit = "mA"\npositive = "charge"')
        .replace('unit = "V"', 'unit = "mV"\nfactor = 0.1')
        .replace('unit = "degC"\ninvalid = [-40]', 'unit = "K"\noffset = 200.0')
    )
    _log, frames = read_csv(tmp_path, "0,1500,37000,37100,37200,93.15,94.15", mapping=mapping)
    assert frames.string_A[0, 0] == pytest.approx(-1.5)
    assert frames.cell_V[0, 0].tolist() == pytest.approx([3.70, 3.71, 3.72])
    assert frames.probe_degC[0, 0].tolist() == pytest.approx([20.0, 21.0])


def test_codes_impossible_values_and_holes_become_nan_and_are_counted_by_reason(tmp_path: Path) -> None:
    log, frames = read_csv(
        tmp_path,
        "0,1.5,3.70,3.71,3.72,20,21",
        "1,1.5,65.535,3.71,3.72,-40,-40",
        "2,,3.70,,NaN,20,999",
        "3,inf,3.70,12.5,65.535,20,21",
        ",,,,,,",
    )
    assert log.invalid == {
        ("cell_voltage", "code 65.535"): 2,
        ("cell_voltage", "outside -1 to 10"): 1,
        ("cell_voltage", "not a number"): 5,
        ("probe_temperature", "code -40"): 2,
        ("probe_temperature", "outside -60 to 200"): 1,
        ("probe_temperature", "not a number"): 2,
        ("current", "not a number"): 3,
        ("time", "not a number"): 1,
    }
    assert log.blank_rows == 1
    assert frames.time_s.tolist() == [0.0, 1.0, 2.0, 3.0, 3.0]
    counted = sum(n for (section, _), n in log.invalid.items() if section == "cell_voltage")
    assert np.isnan(frames.cell_V).sum() == counted


def test_a_code_is_found_in_single_precision_too(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pl.DataFrame({name: pl.Series([3.7, 65.535], dtype=pl.Float32) for name in HEAD.split(",")})
    table.with_columns(clock=pl.Series([0.0, 1.0])).write_parquet(path)
    log = logs.open_log(path, MAP, SMALL)
    list(log.blocks())
    assert log.invalid["cell_voltage", "code 65.535"] == 3


def test_time_may_stand_still(tmp_path: Path) -> None:
    _log, frames = read_csv(tmp_path, *["1,1.5,3.70,3.71,3.72,20,21"] * 3)
    assert frames.time_s.tolist() == [1.0, 1.0, 1.0]


def test_dates_become_seconds_since_the_first_row_and_the_start_is_kept(tmp_path: Path) -> None:
    mapping = MAP.read_text().replace('unit = "s"', 'unit = "datetime"')
    rest = ",1.5,3.70,3.71,3.72,20,21"
    log, frames = read_csv(
        tmp_path, f"2021-05-05 09:10:00{rest}", f"2021-05-05 09:10:01.500{rest}", mapping=mapping, rows_each=1
    )
    assert frames.time_s.tolist() == [0.0, 1.5]
    assert log.start == dt.datetime(2021, 5, 5, 9, 10)
    assert log.say(90.0) == "2021-05-05 09:11:30"


def test_a_clock_that_counts_from_1970_is_brought_to_the_first_row(tmp_path: Path) -> None:
    mapping = MAP.read_text().replace('unit = "s"', 'unit = "ms"')
    rest = ",1.5,3.70,3.71,3.72,20,21"
    log, frames = read_csv(tmp_path, f"1620205800000{rest}", f"1620205801500{rest}", mapping=mapping, rows_each=1)
    assert frames.time_s.tolist() == [0.0, 1.5]
    assert log.start == dt.datetime(2021, 5, 5, 9, 10)


def test_blocks_of_any_size_give_the_same_frames_and_counts(tmp_path: Path) -> None:
    rows = [f"{k},{k % 7},3.70,{65.535 if k % 5 == 0 else 3.71},3.72,20,21" for k in range(50)]
    whole, frames = read_csv(tmp_path, *rows)
    for size in (1, 7, 49):
        log, again = read_csv(tmp_path, *rows, rows_each=size)
        assert log.invalid == whole.invalid
        for one, other in zip(frames, again, strict=True):
            np.testing.assert_array_equal(one, other)


def test_gzip_semicolons_and_a_byte_order_mark_read_the_same(tmp_path: Path) -> None:
    rows = ["0,1.5,3.70,3.71,3.72,20,21", "1,1.5,3.70,3.71,3.72,20,21"]
    _log, plain = read_csv(tmp_path, *rows)
    other = tmp_path / "b.csv.gz"
    text = "\n".join([HEAD, *rows]).replace(",", ";") + "\n"
    other.write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))
    again = joined([block.frames for block in logs.open_log(other, MAP, SMALL).blocks()])
    for one, two in zip(plain, again, strict=True):
        np.testing.assert_array_equal(one, two)


def test_frames_written_in_our_own_names_come_back_with_the_same_bits(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    shapes = {
        "cell_V": (2, 3),
        "probe_degC": (2, 2),
        "string_A": (2,),
        "string_V": (2,),
        "age_s": (2, 3),
        "contactor": (2, 3),
    }
    values = {name: random.uniform(1.0, 4.0, (40, *shapes.get(name, ()))) for name in Frames._fields}
    values["string_V"] *= 3.0
    values["link_V"] *= 3.0
    values["time_s"] = np.cumsum(values["time_s"])
    values["cell_V"][3, 1, 2] = np.nan
    frames = Frames(**values)
    path = tmp_path / "own.parquet"
    logs.to_table(frames).write_parquet(path)
    again = joined([block.frames for block in logs.open_log(path, None, PAIR).blocks(7)])
    for name, one, other in zip(Frames._fields, frames, again, strict=True):
        assert one.tobytes() == other.tobytes(), name


def test_short_names_are_known_where_there_is_one_string(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("time_s,current_A,cell_V_1,cell_V_2,cell_V_3,cell_degC_1,cell_degC_2\n0,1.5,3.70,3.71,3.72,20,21\n")
    block = next(logs.open_log(path, None, SMALL).blocks())
    assert block.frames.string_A.tolist() == [[1.5]]
    assert block.frames.probe_degC.tolist() == [[[20.0, 21.0]]]


@given(first=st.integers(0, 200), count=st.integers(1, 50), zeros=st.integers(0, 3), head=st.text("abcV_ ", max_size=5))
def test_a_pattern_names_every_column_once_and_in_order(first: int, count: int, zeros: int, head: str) -> None:
    low = str(first).zfill(len(str(first)) + zeros)
    names = expand(f"{head}{{{low}..{first + count - 1}}}_x")
    assert len(set(names)) == len(names) == count
    assert [int(name.removeprefix(head).removesuffix("_x")) for name in names] == list(range(first, first + count))


def test_two_ranges_count_string_by_string() -> None:
    assert expand("s{1..2}_c{08..10}") == ["s1_c08", "s1_c09", "s1_c10", "s2_c08", "s2_c09", "s2_c10"]


@given(text=st.text(max_size=30))
def test_any_text_is_a_pattern_or_refused_with_a_sentence(text: str) -> None:
    said, names = "", []
    try:
        names = expand(text)
    except ValueError as error:
        said = str(error)
    assert names or text in said


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    volts=arrays.arrays(
        np.float64,
        (8, 3),
        elements=st.one_of(st.floats(2.5, 4.3), st.sampled_from([np.nan, np.inf, -np.inf, 65.535, 11.0, -5.0])),
    )
)
def test_every_reading_is_kept_or_counted(volts: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "any.parquet"
    volts = np.concatenate([np.full((9, 3), 3.7), volts])  # most readings are sound, or the unit would be doubted
    table = {name: np.full(17, 20.0) for name in HEAD.split(",")} | {"clock": np.arange(17.0)}
    table |= {f"volts_{k + 1}": volts[:, k] for k in range(3)}
    pl.DataFrame(table).write_parquet(path)
    log = logs.open_log(path, MAP, SMALL)
    frames = joined([block.frames for block in log.blocks()])
    kept = np.isfinite(frames.cell_V)
    assert kept.sum() + sum(n for (section, _), n in log.invalid.items() if section == "cell_voltage") == 51
    assert ((frames.cell_V[kept] >= 2.5) & (frames.cell_V[kept] <= 4.3)).all()
    assert not np.isinf(frames.cell_V).any()
