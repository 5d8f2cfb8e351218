"""A J1939 bus of which there is no DBC, and buses that only look like one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from buses import j1939_dbc, shared
from packhorse.app.signals import signals
from packhorse.io.can_logs.write import writer
from packhorse.io.errors import WriteError
from packhorse.protocols import frames
from packhorse.protocols.j1939 import diagnostics
from packhorse.protocols.j1939.diagnostics import DARK, STEADY, Diagnosis, Lamp, Trouble
from packhorse.protocols.j1939.hvess import encode, layouts, system_layouts
from packhorse.protocols.j1939.identifier import GLOBAL, CanFrame, join, pgn_bytes
from packhorse.protocols.j1939.name import Name, name_bytes, name_number

BATTERY, OTHER, CONTROLLER, TOOL = 0xF3, 0xF4, 0x27, 0xF9
NAME = name_number(Name(77, 123, 0, 0, 9, 0, 0, 0, 0, 1))
Rows = list[tuple[float, CanFrame]]


def message(name: str, sender: int, values: dict[str, float]) -> CanFrame:
    layout = {one.name: one for one in layouts().values()}[name]
    return CanFrame(join(3, layout.pgn, GLOBAL, sender), encode(layout, values))


def broadcast(pgn: int, sender: int, data: bytes) -> list[CanFrame]:
    """A message of several packets to everyone."""
    count = -(-len(data) // 7)
    head = bytes([32, len(data) & 0xFF, len(data) >> 8, count, 0xFF]) + pgn_bytes(pgn)
    packets = [bytes([k + 1]) + data[7 * k : 7 * k + 7].ljust(7, b"\xff") for k in range(count)]
    ids = (join(7, 0xEC00, GLOBAL, sender), join(7, 0xEB00, GLOBAL, sender))
    return [CanFrame(ids[0], head), *(CanFrame(ids[1], packet) for packet in packets)]


def battery_bus() -> Rows:
    """Ten seconds of two batteries, a vehicle, and a workshop's tool."""
    faults = (Trouble(5919, 0, 3), Trouble(8075, 16, 127), Trouble(516_100, 31, 1))
    lamps = DARK._replace(red=Lamp.ON)
    rows: Rows = [(0.0, CanFrame(join(6, 0xEE00, GLOBAL, BATTERY), name_bytes(NAME)))]
    for k in range(100):
        t = 0.1 * k
        for sender, volt in ((BATTERY, 600.0), (OTHER, 700.0)):
            power = {"discharge_power_W": 1e5, "battery_V": volt + k, "current_A": -20.0}
            rows.append((t, message("HVESSD1", sender, power)))
        rows.append((t, message("CCVS1", CONTROLLER, {"speed_m_per_s": 0.1 * k})))
        if k % 10 == 0:
            rows.append((t, message("AMB", CONTROLLER, {"ambient_degC": 20.0})))
            said = diagnostics.encode(Diagnosis(lamps, STEADY, faults))
            rows += [(t + 1e-3 * n, one) for n, one in enumerate(broadcast(diagnostics.DM1, BATTERY, said))]
        if k == 50:
            settings = encode(system_layouts()["HVESSCFG"], {"nominal_V": 614.4, "nominal_energy_kWh": 300.0})
            rows += [(t + 2e-2 + 1e-3 * n, f) for n, f in enumerate(broadcast(0xFC5D, BATTERY, settings))]
    previous = Diagnosis(DARK, STEADY, (Trouble(8098, 31, 2),))
    rows.append((10.0, CanFrame(join(6, diagnostics.DM2, GLOBAL, BATTERY), diagnostics.encode(previous))))
    rows.append((10.1, CanFrame(join(6, 0xEA00, BATTERY, TOOL), pgn_bytes(diagnostics.DM11))))
    rows.append((10.2, CanFrame(join(6, 0xE800, TOOL, BATTERY), b"\x00\xff\xff\xff\xff" + pgn_bytes(diagnostics.DM11))))
    return rows


def logged(path: Path, rows: Rows) -> Path:
    rows = sorted(rows, key=lambda row: row[0])
    data = np.zeros((len(rows), 8), np.uint8)
    for k, (_, frame) in enumerate(rows):
        data[k, : len(frame.data)] = list(frame.data)
    made = frames.from_rows(
        np.array([t for t, _ in rows]),
        np.array([frame.can_id for _, frame in rows], np.uint32),
        data,
        length=np.array([len(frame.data) for _, frame in rows], np.uint16),
    )
    with writer(path) as log:
        log.take(made)
    return path


def told(capsys: pytest.CaptureFixture[str], path: Path, dbc: Path | None = None, out: Path | None = None) -> Any:
    signals(path, dbc, out, as_json=True)
    return json.loads(capsys.readouterr().out)


def test_signals_of_our_table_are_told_sender_by_sender(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, logged(tmp_path / "bus.log", battery_bus()))
    by_name = {one["name"]: one for one in found["signals"]}
    one, two = by_name["HVESSD1@F3.battery_V"], by_name["HVESSD1@F4.battery_V"]
    assert (one["min"], one["max"], two["min"], two["max"]) == (600.0, 699.0, 700.0, 799.0)
    assert (one["unit"], one["sender_name"], one["from"], one["count"]) == ("V", "battery pack 1", "J1939", 100)
    assert by_name["CCVS1.speed_m_per_s"]["max"] == pytest.approx(9.9, abs=0.01)
    assert by_name["HVESSD1@F3.charge_power_W"]["not_available"] == 100
    assert by_name["HVESSD1@F3.current_A"]["min"] == pytest.approx(-20.0)
    assert "as the standard codes it" in by_name["HVESSD1@F3.current_A"]["caution"]
    assert found["j1939"][0]["sure"]
    assert found["messages_not_heard"] == []


def test_messages_of_several_packets_are_among_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, logged(tmp_path / "bus.blf", battery_bus()))
    by_name = {one["name"]: one for one in found["signals"]}
    assert by_name["HVESSCFG.nominal_V"]["mean"] == pytest.approx(614.4)
    assert by_name["HVESSCFG.nominal_energy_kWh"]["mean"] == pytest.approx(300.0)
    assert found["transport"] == {"whole": 11}


def test_faults_are_told_by_message_with_names_and_how_often_they_occurred(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(capsys, logged(tmp_path / "bus.log", battery_bus()))
    active, previous = found["diagnostics"]
    assert (active["message"], active["sender"], active["lamps"], active["sure"]) == ("DM1", BATTERY, ["red"], True)
    volt, hot, own = active["faults"]
    assert (volt["spn"], volt["parameter"], volt["fmi"]) == (5919, "HVESSD1.battery_V", 0)
    assert (volt["failure"], volt["occurrences"], volt["count"]) == ("above normal, most severe", 3, 10)
    assert (hot["parameter"], hot["occurrences"]) == ("HVESSD3.cell_max_degC", None)
    assert own["parameter"] == "manufacturer's own"
    assert (previous["message"], previous["faults"][0]["parameter"]) == ("DM2", "HVESSS1.hvil")
    asked, answered = sorted(found["clearings"], key=lambda one: one["what"], reverse=True)
    assert (asked["message"], asked["sender"], asked["receiver"], asked["what"]) == ("DM11", TOOL, BATTERY, "asked")
    assert (answered["sender"], answered["what"], answered["count"]) == (BATTERY, "acknowledged", 1)


def test_addresses_that_are_claimed_are_told_by_their_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (one,) = told(capsys, logged(tmp_path / "bus.log", battery_bus()))["addresses"]
    assert (one["address"], one["manufacturer"], one["function"], one["identity"]) == (BATTERY, 123, 9, 77)
    assert one["name"] == f"0x{NAME:016X}"


def test_the_screen_says_what_is_built_in_and_what_must_be_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    signals(logged(tmp_path / "bus.log", battery_bus()), None, None, as_json=False)
    said = capsys.readouterr().out
    for part in (
        "HVESSD1 battery power, voltage, current",
        "HVESSD1@F3.current_A *",
        "sign and offset differ",
        "our own table of J1939",
        "SPN 5919 (HVESSD1.battery_V) FMI 0",
        "DM11 (clear faults), F9 to F3: asked, 1 times",
        "never with a value: HVESSD1@F3.charge_power_W",
    ):
        assert part in said
    assert "may be" not in said


def test_signals_of_our_table_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "decoded.parquet"
    told(capsys, logged(tmp_path / "bus.log", battery_bus()), out=out)
    table = pl.read_parquet(out)
    volt = table.filter((pl.col("signal") == "HVESSD1.battery_V") & (pl.col("sender") == OTHER))
    assert volt["value"].to_list() == pytest.approx([700.0 + k for k in range(100)])
    assert "HVESSCFG.nominal_V" in table["signal"].to_list()


def small_numbers() -> Rows:
    """29-bit identifiers that are no PGNs at all; as PGNs some would be TSC1."""
    return [(0.01 * k, CanFrame(0x6F + k % 4, bytes(8))) for k in range(200)]


def own_scheme() -> Rows:
    """A maker's own scheme: two hundred identifiers that share the form of J1939 and hit a few of its groups."""
    dice = np.random.default_rng(5)
    ids = [0x18F00000 | int(k) << 8 | 0x05 for k in dice.choice(0xE00, 200, replace=False)]
    ids += [0x18F09005, 0x18FEF105, 0x18F00405]
    return [(0.01 * k, CanFrame(ids[k % len(ids)], bytes(8))) for k in range(2000)]


def packs_alone() -> Rows:
    """Groups that packs would have, but no battery beside them; engine and ambient make it J1939."""
    rows: Rows = []
    for k in range(50):
        rows += [(0.1 * k, message(name, 5, {"ambient_degC": 20.0})) for name in ("EEC1", "CCVS1", "AMB", "VDHR")]
        rows.append((0.1 * k, message("HVESP2D1", 5, {"battery_V": 300.0})))
    return rows


@pytest.mark.parametrize("rows", [small_numbers(), own_scheme()], ids=["small numbers", "own scheme"])
def test_what_is_not_surely_j1939_is_not_named_as_if_it_were(
    rows: Rows, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = logged(tmp_path / "bus.log", rows)
    found = told(capsys, log)
    assert [one["sure"] for one in found["j1939"]] == [False]
    assert {one["name_from"] for one in found["identifiers"]} <= {"", "may be J1939"}
    assert {one["from"] for one in found["signals"]} <= {"may be J1939"}
    assert {one["sender_name"] for one in found["identifiers"]} == {""}
    with pytest.raises(WriteError, match="no signal of our table"):
        signals(log, None, tmp_path / "out.parquet", as_json=True)
    assert not (tmp_path / "out.parquet").exists()
    monkeypatch.setenv("COLUMNS", "200")
    signals(log, None, None, as_json=False)
    assert "may be another protocol" in capsys.readouterr().out


def test_packs_are_believed_only_beside_their_battery(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.parquet"
    found = told(capsys, logged(tmp_path / "bus.log", packs_alone()), out=out)
    sources = {one["name"]: one["from"] for one in found["signals"]}
    assert (sources["HVESP2D1.battery_V"], sources["AMB.ambient_degC"]) == ("may be J1939", "J1939")
    assert set(pl.read_parquet(out)["signal"]) == {"AMB.ambient_degC"}
    battery = [(1.0, message("HVESSD1", 5, {"battery_V": 300.0}))]
    found = told(capsys, logged(tmp_path / "bus.log", packs_alone() + battery), out=out)
    sources = {one["name"]: one["from"] for one in found["signals"]}
    assert sources["HVESP2D1.battery_V"] == "J1939"
    assert set(pl.read_parquet(out)["signal"]) == {"AMB.ambient_degC", "HVESP2D1.battery_V", "HVESSD1.battery_V"}


def test_a_real_truck_says_the_same_by_the_table_as_by_a_dbc(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("asammdf")
    log, dbc = shared("css_truck_j1939_idle.mf4"), j1939_dbc()
    if not (log.is_file() and dbc.is_file()):
        pytest.skip("the logs of real vehicles are not here")
    ours, theirs = told(capsys, log), told(capsys, log, dbc)
    ranges = {one["name"]: one for one in ours["signals"]}
    judge = {one["name"]: one for one in theirs["signals"]}
    for name, spn, factor in (
        ("EEC1.engine_speed_rpm", "EEC1.SPN190", 1.0),
        ("AMB.ambient_degC", "AMB.SPN171", 1.0),
        ("VD.odometer_m", "VD.SPN245", 1000.0),
        ("EEC1.actual_torque", "EEC1.SPN513", 0.01),
    ):
        for key in ("min", "mean", "max"):
            assert ranges[name][key] == pytest.approx(factor * judge[spn][key]), name
        assert ranges[name]["count"] == judge[spn]["count"]
    assert ours["j1939"][0]["sure"]
    assert {one["name_from"] for one in ours["identifiers"] if one["bus"] == 0} == {"", "J1939"}


def test_a_real_bus_with_two_senders_of_its_distance(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("asammdf")
    log = shared("css_electric_bus_standstill.mf4")
    if not log.is_file():
        pytest.skip("the logs of real vehicles are not here")
    found = told(capsys, log)
    odometers = {one["name"]: one["max"] for one in found["signals"] if one["name"].endswith(".odometer_m")}
    assert set(odometers) == {"VDHR@17.odometer_m", "VDHR@EE.odometer_m"}
    assert odometers["VDHR@17.odometer_m"] == pytest.approx(odometers["VDHR@EE.odometer_m"], rel=1e-6)
    assert not any(one["name"].startswith("HVES") for one in found["signals"])
