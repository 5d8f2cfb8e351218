"""Every bad log is answered with one line that names the file, the finding and the remedy."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from packhorse.io import logs
from packhorse.io.errors import ReadError
from packhorse.pack.load import ConfigurationError, load_pack

VEHICLES = Path(__file__).parents[1] / "vehicles"
SMALL = load_pack(str(VEHICLES / "small.toml"))
MAP = VEHICLES / "small.map.toml"
HEAD = "clock,amps,volts_1,volts_2,volts_3,temp_1,temp_2"
ROWS = ["0,1.5,3.70,3.71,3.72,20,21", "1,1.5,3.70,3.71,3.72,20,21", "2,1.5,3.70,3.71,3.72,20,21"]


def csv(*rows: str, head: str = HEAD, end: str = "\n") -> bytes:
    return ("\n".join([head, *rows]) + end).encode()


def read_all(path: Path, mapping: Path | None = MAP) -> logs.Log:
    log = logs.open_log(path, mapping, SMALL)
    for _block in log.blocks():
        pass
    return log


BAD = {
    "empty": ("a.csv", b"", ["is empty", "record or copy it again"]),
    "only a header": ("a.csv", csv(), ["no rows"]),
    "only line ends": ("a.csv", b"\n\n\n", ["first line is empty"]),
    "unknown kind": ("a.xlsx", b"PK", ["unknown kind", ".parquet"]),
    "not parquet": ("a.parquet", csv(*ROWS), ["damaged"]),
    "not text": ("a.csv", b"\xff\xfe\x00clock\x00", ["damaged"]),
    "not gzip": ("a.csv.gz", csv(*ROWS), ["damaged"]),
    "cut off gzip": ("a.csv.gz", gzip.compress(csv(*ROWS))[:-12], ["damaged"]),
    "cut off in a line": ("a.csv", csv(*ROWS, "3,1.5,3.7", end=""), ["3 of 7 columns", "cut off"]),
    "one line too long": ("a.csv", csv(*ROWS, ROWS[0] + ",9,9"), ["damaged"]),
    "a name twice": ("a.csv", csv(*ROWS, head=HEAD.replace("temp_2", "temp_1")), ["'temp_1' more than once", "rename"]),
    "a column missing": (
        "a.csv",
        csv(*ROWS, head=HEAD.replace("amps", "ampx")),
        ["no column amps", "[current]", "ampx"],
    ),
    "other capitals": ("a.csv", csv(*ROWS, head=HEAD.replace("amps", "AMPS")), ["no column amps", "AMPS"]),
    "cells missing": (
        "a.csv",
        csv(*ROWS, head=HEAD.replace("volts", "cell")),
        ["no column volts_1", "2 more of [cell_voltage]"],
    ),
    "text for a number": (
        "a.csv",
        csv(*ROWS, "3,1.5,3.7,high,3.7,20,21"),
        ["volts_2, line 5", "'high' is not a number"],
    ),
    "decimal comma": (
        "a.csv",
        csv(*(row.replace(",", ";").replace(".", ",") for row in ROWS), head=HEAD.replace(",", ";")),
        ["'1,5' is not a number", "decimals with a point"],
    ),
    "time backwards": ("a.csv", csv(*ROWS, "1,1.5,3.7,3.7,3.7,20,21"), ["line 5", "2 s is followed by 1 s", "sort"]),
    "no time at all": ("a.csv", csv(*(row.replace(row[0], "", 1) for row in ROWS)), ["clock holds no times"]),
    "millivolts": ("a.csv", csv("0,1.5,3700,3710,3720,20,21"), ["3710 V", 'unit = "mV"']),
    "pack voltage": ("a.csv", csv("0,1.5,48,48,48,20,21"), ["48 V", "expected 1 to 5 V"]),
    "milliampere": ("a.csv", csv("0,150000,3.70,3.71,3.72,20,21"), ["1.5e+05 A", 'unit = "mA"']),
    "kelvin": ("a.csv", csv("0,1.5,3.70,3.71,3.72,293,294"), ["293.5 degC", 'unit = "K"']),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_log_is_refused_in_one_line_that_names_the_remedy(case: str, tmp_path: Path) -> None:
    name, content, said = BAD[case]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ReadError) as caught:
        read_all(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for part in said:
        assert part in message


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="no such file"):
        read_all(tmp_path / "none.parquet")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_parquet_file_cut_anywhere_is_refused_in_one_line(share: float, tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    pl.DataFrame({name: np.arange(500.0) for name in HEAD.split(",")}).write_parquet(whole)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    with pytest.raises(ReadError, match="cut off or damaged") as caught:
        read_all(cut)
    assert "\n" not in str(caught.value)


def test_damage_inside_a_parquet_file_is_refused_or_read_but_never_a_crash(tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    random = np.random.default_rng(7)
    table = pl.DataFrame({name: np.sort(random.uniform(3.6, 3.8, 2_000)) for name in HEAD.split(",")})
    table.write_parquet(whole)
    content = bytearray(whole.read_bytes())
    content[200 : len(content) // 2] = random.bytes(len(content) // 2 - 200)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(content)
    with pytest.raises(ReadError) as caught:
        read_all(broken)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("clock", ["2021-05-05 10:00:00", "noon"], ["row 2", "'noon' is not a date"]),
        ("clock", ["soon", "later"], ["'soon' is not a date"]),
        ("clock", [1.0, 2.0], ["holds Float64, not dates", 'unit = "s"']),
    ],
)
def test_a_clock_that_holds_no_dates_is_refused(column: str, values: list, said: list[str], tmp_path: Path) -> None:
    path, mapping = tmp_path / "a.parquet", tmp_path / "dated.toml"
    mapping.write_text(MAP.read_text().replace('unit = "s"', 'unit = "datetime"'))
    names = [name for name in HEAD.split(",") if name != column]
    pl.DataFrame({column: values, **{name: [3.7, 3.7] for name in names}}).write_parquet(path)
    with pytest.raises(ReadError) as caught:
        read_all(path, mapping)
    for part in said:
        assert part in str(caught.value)


def test_dates_under_a_clock_in_seconds_are_refused_with_the_unit_to_write(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    clock = pl.Series(["2021-05-05 10:00:00", "2021-05-05 10:00:01"]).str.to_datetime()
    pl.DataFrame({"clock": clock, **{name: [3.7, 3.7] for name in HEAD.split(",")[1:]}}).write_parquet(path)
    with pytest.raises(ReadError, match='unit = "datetime"'):
        read_all(path)


def test_lists_in_a_column_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = {name: [3.7, 3.7] for name in HEAD.split(",")}
    pl.DataFrame(table | {"amps": [[1.0], [2.0]]}).write_parquet(path)
    with pytest.raises(ReadError, match=r"amps holds List.*map another column"):
        read_all(path)


def test_volts_written_as_millivolts_are_refused(tmp_path: Path) -> None:
    path, mapping = tmp_path / "a.csv", tmp_path / "milli.toml"
    mapping.write_text(MAP.read_text().replace('unit = "V"', 'unit = "mV"'))
    path.write_bytes(csv(*ROWS))
    with pytest.raises(ReadError, match='these look like V, write unit = "V"'):
        read_all(path, mapping)


BAD_MAPS = {
    "broken TOML": ("[time", "TOML"),
    "nothing": ("", "is empty"),
    "unknown section": ("[speed]\ncolumn = 'v'", "speed"),
    "misspelt section": (MAP.read_text().replace("[cell_voltage]", "[cel_voltage]"), "cell_voltage"),
    "wrong unit": (MAP.read_text().replace('unit = "A"', 'unit = "kA"'), "kA"),
    "wrong sign": (MAP.read_text().replace('"discharge"', '"out"'), "current.positive"),
    "no sign": (MAP.read_text().replace('positive = "discharge"', ""), "current.positive"),
    "dash for dots": (MAP.read_text().replace("{1..3}", "{1-3}"), "write it as V_{1..96}"),
    "range backwards": (MAP.read_text().replace("{1..3}", "{3..1}"), "runs backwards"),
    "endless range": (MAP.read_text().replace("{1..3}", "{1..999999999}"), "more than 20000 columns"),
    "factor of nothing": (MAP.read_text().replace('unit = "A"', 'unit = "A"\nfactor = 0'), "factor is 0"),
    "range upside down": (MAP.read_text() + "valid = [80, -40]", "low < high"),
}


@pytest.mark.parametrize("case", BAD_MAPS)
def test_a_bad_mapping_is_refused_in_one_line(case: str, tmp_path: Path) -> None:
    content, said = BAD_MAPS[case]
    path, mapping = tmp_path / "a.csv", tmp_path / "bad.toml"
    path.write_bytes(csv(*ROWS))
    mapping.write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        read_all(path, mapping)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "said"), [("volts_{1..2}", "2 columns where the pack has 3"), ("volts_{1..1}", "1 columns")]
)
def test_too_few_columns_for_the_pack_are_refused(pattern: str, said: str, tmp_path: Path) -> None:
    path, mapping = tmp_path / "a.csv", tmp_path / "few.toml"
    path.write_bytes(csv(*ROWS))
    mapping.write_text(MAP.read_text().replace("volts_{1..3}", pattern))
    with pytest.raises(ReadError, match=said):
        read_all(path, mapping)


def test_one_column_for_two_cells_is_refused(tmp_path: Path) -> None:
    path, mapping = tmp_path / "a.csv", tmp_path / "twice.toml"
    path.write_bytes(csv(*ROWS))
    mapping.write_text(MAP.read_text().replace('"volts_{1..3}"', '["volts_1", "volts_1", "volts_3"]'))
    with pytest.raises(ReadError, match="names column volts_1 twice"):
        read_all(path, mapping)


def test_a_log_in_unknown_names_without_a_mapping_asks_for_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(csv(*ROWS))
    with pytest.raises(ReadError, match=r"mapping file: --map FILE"):
        read_all(path, None)
