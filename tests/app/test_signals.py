"""What is on a bus, from real vehicles and from logs of our own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from buses import j1939_dbc, messages, shared, written
from packhorse.app.signals import signals
from packhorse.io.can_logs.write import writer
from packhorse.io.errors import ReadError, WriteError
from packhorse.pack.load import ConfigurationError
from packhorse.protocols import frames

DBC = """VERSION ""
NS_ :
BS_:
BU_: N
BO_ 2364558078 Speed: 8 N
 SG_ speed : 8|16@1+ (0.00390625,0) [0|0] "km/h" N
BO_ 291 Pack: 8 N
 SG_ current : 7|16@0- (0.1,0) [0|0] "A" N
"""


def needs(path: Path) -> Path:
    if not path.is_file():
        pytest.skip(f"{path.name} lies only where the logs of real vehicles are")
    return path


def told(capsys: pytest.CaptureFixture[str], path: Path, dbc: Path | None = None, out: Path | None = None) -> dict:
    signals(path, dbc, out, as_json=True)
    return json.loads(capsys.readouterr().out)


def small(path: Path, count: int = 600) -> Path:
    """Speed at 50 Hz on bus 0, current at 10 Hz with a gap on bus 1, and a DM1 once a second."""
    rows = []
    for k in range(count):
        t = 0.02 * k
        rows.append((t, 0x0CF04A0B, 1, 0, bytes([255, *(k % 200 * 256).to_bytes(2, "little")] + [255] * 5)))
        if k % 5 == 0 and not 200 <= k < 300:
            rows.append((t, 0x123, 0, 1, int(-100 + k).to_bytes(2, "big", signed=True) + bytes(6)))
        if k % 50 == 0:
            rows.append((t, 0x18FECA0B, 1, 0, bytes.fromhex("04ff7302057fffff")))
    data = np.array([list(r[4]) for r in rows], np.uint8)
    made = frames.from_rows(
        np.array([r[0] for r in rows]),
        np.array([r[1] for r in rows], np.uint32),
        data,
        flags=np.array([r[2] for r in rows], np.uint8),
        bus=np.array([r[3] for r in rows], np.uint8),
    )
    with writer(path) as log:
        log.take(made)
    return path


def small_dbc(path: Path) -> Path:
    path.write_text(DBC)
    return path


def test_identifiers_rates_gaps_senders_and_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, small(tmp_path / "bus.log"), small_dbc(tmp_path / "bus.dbc"))
    by_id = {one["id"]: one for one in found["identifiers"]}
    speed, pack, faults = by_id["0x0CF04A0B"], by_id["0x123"], by_id["0x18FECA0B"]
    assert (speed["name"], speed["sender"], speed["sender_name"]) == ("Speed", 11, "brakes")
    assert speed["rate_Hz"] == pytest.approx(50.0)
    assert (pack["bus"], pack["name"], pack["pgn"], pack["gaps"]) == (1, "Pack", None, 1)
    assert pack["longest_gap_s"] == pytest.approx(2.1)
    assert faults["name"] == "DM1 active faults"
    (report,) = found["diagnostics"]
    assert (report["sender"], report["sender_name"], report["lamps"]) == (11, "brakes", ["amber"])
    assert [(f["spn"], f["fmi"], f["count"]) for f in report["faults"]] == [(627, 5, 12)]
    assert found["messages_not_heard"] == []
    ranges = {one["name"]: (one["min"], one["max"], one["unit"]) for one in found["signals"]}
    assert ranges == {"Speed.speed": (0.0, 199.0, "km/h"), "Pack.current": (-10.0, pytest.approx(49.5), "A")}


def test_decoded_signals_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "decoded.parquet"
    told(capsys, small(tmp_path / "bus.blf"), small_dbc(tmp_path / "bus.dbc"), out)
    table = pl.read_parquet(out)
    assert table.columns == ["time_s", "bus", "sender", "signal", "value"]
    assert table["time_s"].is_sorted()
    current = table.filter(pl.col("signal") == "Pack.current")
    assert current["value"].to_list() == [
        pytest.approx(0.1 * (k - 100)) for k in [*range(0, 200, 5), *range(300, 600, 5)]
    ]
    assert current["bus"].unique().to_list() == [1]


def test_the_screen_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signals(small(tmp_path / "bus.log"), small_dbc(tmp_path / "bus.dbc"), None, as_json=False)
    said = capsys.readouterr().out
    for part in ("Speed.speed", "0x0CF04A0B", "brakes", "Hz", "SPN 627 FMI 5", "amber"):
        assert part in said


def test_damage_is_said_beside_what_was_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "bus.blf", messages(6000))
    path.write_bytes(path.read_bytes()[:-200])
    found = told(capsys, path)
    assert 0 < found["frames"] < 6000
    assert "cut off" in found["complaint"]


@pytest.mark.parametrize(
    ("dbc", "said"),
    [
        ("nonsense", "not a sound DBC"),
        ('VERSION ""\nBO_ 1 M: 8 N\n SG_ a : 0|8@1+ (1,0) [0|0] "" N\n SG_ b : 4|8@1+ (1,0) [0|0] "" N\n', "overlap"),
        ('VERSION ""\nBO_ 1 M: 1 N\n SG_ a : 4|8@1+ (1,0) [0|0] "" N\n', "does not fit"),
        ('VERSION ""\n', "holds no messages"),
        ('VERSION ""\nBO_ 1 M: 99999999999 N\n', "more than 1785 bytes"),
        ('VERSION ""\nBO_ 1 M: 8 N\n SG_ a : 0|9999999999@1+ (1,0) [0|0] "" N\n', "beyond 14280 bits"),
        ('VERSION ""\nBO_ 1 M: 8 N\nSG_MUL_VAL_ 1 a b 1-999999999999999999;\n', "select more than"),
        ('VERSION ""\nBO_ 1 M: 8 N\nSG_MUL_VAL_ 1 a b 1-30000, 40000-70000;\n', "select more than"),
        ('VERSION ""\nBO_ 1 M: 8 N\n\nBO_ 1 L: 8 N\n', "both have identifier"),
        ('VERSION ""\nBO_ 1 M: 8 N\n SG_ a : 0|8@1+ (0,0) [0|0] "" N\n', "scale 0"),
    ],
)
def test_broken_dbcs_are_one_line(tmp_path: Path, dbc: str, said: str) -> None:
    path = tmp_path / "bus.dbc"
    path.write_text(dbc)
    with pytest.raises(ConfigurationError, match=said) as caught:
        signals(small(tmp_path / "bus.log"), path, None, as_json=True)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_done_is_said_first(tmp_path: Path) -> None:
    log = small(tmp_path / "bus.log")
    with pytest.raises(WriteError, match=r"ends in \.parquet"):
        signals(log, small_dbc(tmp_path / "bus.dbc"), tmp_path / "out.csv", as_json=True)
    with pytest.raises(ReadError, match="no such file"):
        signals(tmp_path / "none.blf", None, None, as_json=True)


def test_nothing_is_written_where_the_dbc_is_of_another_bus(tmp_path: Path) -> None:
    dbc = tmp_path / "other.dbc"
    dbc.write_text(DBC.replace("291", "292").replace(str(0x8CF04AFE), str(0x8CF04BFE)))
    with pytest.raises(WriteError, match="no signal of the DBC"):
        signals(small(tmp_path / "bus.log"), dbc, tmp_path / "out.parquet", as_json=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bus.log", "other.dbc"]


def test_channels_that_an_mf4_does_not_store_are_read_by_their_conversion(capsys: pytest.CaptureFixture[str]) -> None:
    """This recorder stores neither bus nor identifier's width; what stands for them says so for each group."""
    pytest.importorskip("asammdf")
    found = told(capsys, needs(shared("css_electric_bus_standstill.mf4")))
    assert {one["bus"] for one in found["identifiers"]} == {0, 8}
    assert len(found["identifiers"]) == 67
    assert {one["pgn"] is None for one in found["identifiers"] if one["bus"] == 8} == {True}
    engine = next(one for one in found["identifiers"] if one["id"] == "0x0CF00400")
    assert engine["rate_Hz"] == pytest.approx(10.0, rel=0.01)


def test_a_truck_at_idle(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("asammdf")
    found = told(capsys, needs(shared("css_truck_j1939_idle.mf4")), needs(j1939_dbc()))
    ranges = {one["name"]: (one["min"], one["max"]) for one in found["signals"]}
    assert found["complaint"] == ""
    low, high = ranges["EEC1.SPN190"]
    assert 550.0 < low < high < 750.0
    assert ranges["VD.SPN245"][0] == pytest.approx(13_833.0, abs=1.0)
    assert ranges["CCVS1.SPN84"] == (0.0, 0.0)
    assert -30.0 < ranges["AMB.SPN171"][0] < 50.0
    assert found["transport"] == {"whole": 152}
    assert found["diagnostics"][0]["faults"]
    engine = next(one for one in found["identifiers"] if one["name"] == "EEC1")
    assert engine["rate_Hz"] == pytest.approx(100.0, rel=0.01)


@pytest.mark.parametrize("name", ["css_truck_j1939_short.mf4", "css_electric_bus_standstill.mf4"])
def test_other_vehicles_pass_from_end_to_end(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("asammdf")
    found = told(capsys, needs(shared(name)), needs(j1939_dbc()))
    assert found["frames"] > 1000
    assert found["duration_s"] > 0.0
    for one in found["signals"]:
        assert one["count"] + one["not_available"] + one["too_short"] > 0
