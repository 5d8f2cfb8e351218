"""A bus without DBC: simulated buses whose layout is known, and real ones."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import cantools
import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import discovery
import synthetic_buses
from buses import shared
from packhorse.app import discover as command
from packhorse.app.main import app
from packhorse.app.replay import replay
from packhorse.io.can_logs.write import writer
from packhorse.io.errors import ReadError, WriteError
from packhorse.io.j1939_signs import Signs
from packhorse.lab.discover import Found, Kind, Proposal, Role, Sample, discover, fields, known, roles
from packhorse.lab.discover.choice import MOST_V
from packhorse.lab.discover.describe import believed, verdict
from packhorse.lab.discover.words import Field, positions
from packhorse.protocols import frames
from packhorse.protocols.encoding import raw_bits
from packhorse.protocols.frames import EXTENDED, FD, CanFrames
from packhorse.protocols.plan import Message, Plan, Signal, build
from synthetic_writer import Bus, Place

SEEDS = (3, 5, 7, 13)
"""Motorola and Intel, 12 and 16 bits, multiplexed and plain, with and without what is easily taken for a battery."""
SURE = 0.9


@pytest.fixture(scope="module")
def driven() -> Bus:
    """Ten minutes of a bus whose capacity tells the scale of its current."""
    return synthetic_buses.bus(11, 600.0)


def heard(some: CanFrames) -> Sample:
    sample = Sample()
    sample.take(some)
    return sample


def logged(path: Path, some: CanFrames) -> Path:
    with writer(path) as log:
        log.take(some)
    return path


def proposed(found: Found, kind: Kind) -> Proposal | None:
    return next((one for one in found.proposals if one.kind == kind), None)


@pytest.mark.parametrize("seed", SEEDS)
def test_pack_and_cells_are_found_whole_and_nothing_sure_is_wrong(seed: int) -> None:
    bus = synthetic_buses.bus(seed, 400.0)
    score = discovery.score(bus, bus.drive.capacity_Ah)
    claims = {one.kind: one for one in score.claims}
    assert claims["cell"].right == claims["cell"].fields == score.true["cell"]
    assert claims["pack"].right == 1
    assert [one for one in score.claims if one.confidence >= SURE and one.right < one.fields] == []
    assert [one for one in score.claims if one.place_confidence >= SURE and one.places < one.fields] == []


def place_of(bus: Bus, kind: str) -> Place:
    return next(place for place in bus.truth if place.kind == kind)


def side_by_side(bus: Bus, strings: int) -> CanFrames:
    """The same battery as several strings, the boards of each at an address of their own."""
    own = bus.heard.id & 0xFF == 0x80
    parts = [frames.take(bus.heard, ~own)]
    for k in range(strings):
        one = frames.take(bus.heard, own)
        parts.append(one._replace(id=one.id + np.uint32(k), time_s=one.time_s + 1e-4 * k))
    joined = frames.join(parts)
    return frames.take(joined, np.argsort(joined.time_s, kind="stable"))


@pytest.mark.parametrize("strings", [1, 2, 5])
def test_strings_side_by_side_are_not_taken_for_one_of_all_their_cells(strings: int) -> None:
    bus = synthetic_buses.bus(7, 200.0, system="boards")
    found = discover(heard(side_by_side(bus, strings)).streams(), bus.drive.capacity_Ah)
    cells, pack = proposed(found, Kind.CELL), proposed(found, Kind.PACK)
    assert cells is not None
    assert pack is not None
    string_V = float(bus.drive.cell_V.sum(axis=0).mean())
    assert len(cells.fields) == strings * bus.drive.cell_V.shape[0]
    assert any("side by side" in line for line in pack.said) == (strings > 1)
    assert pack.confidence <= 0.6 or strings == 1
    if strings == 1 or strings * string_V > MOST_V:
        assert np.nanmedian(pack.value) == pytest.approx(string_V, rel=0.02)


def test_current_has_its_sign_from_the_sag_and_its_scale_from_the_capacity(driven: Bus) -> None:
    streams, truth = heard(driven.heard).streams(), place_of(driven, "current")
    given = proposed(discover(streams, driven.drive.capacity_Ah), Kind.CURRENT)
    assert given is not None
    assert (given.scale, given.offset) == (pytest.approx(truth.scale), pytest.approx(truth.offset))
    assert given.confidence > 0.8
    assumed = proposed(discover(streams), Kind.CURRENT)
    assert assumed is not None
    assert np.sign(assumed.scale) == np.sign(truth.scale)
    assert assumed.confidence < 0.7 < assumed.place_confidence
    assert any("give --capacity-Ah" in line for line in assumed.said)


def test_a_wrong_capacity_makes_the_current_doubtful(driven: Bus) -> None:
    found = discover(heard(driven.heard).streams(), 1.37 * driven.drive.capacity_Ah)
    current = proposed(found, Kind.CURRENT)
    assert current is None or current.confidence < 0.7


@pytest.mark.parametrize("seed", [2, 5])
def test_at_rest_it_says_what_it_cannot_know(seed: int) -> None:
    found = discover(heard(synthetic_buses.bus(seed, 300.0, "rest").heard).streams())
    assert all(one.place_confidence < 0.5 for one in found.proposals)
    assert proposed(found, Kind.CURRENT) is None
    assert any("not enough" in line and line.startswith("current") for line in found.missing)
    assert any(line.startswith("SOC") for line in found.missing)
    assert found.proposals != ()
    assert believed(found).proposals == ()
    assert verdict(found) == "No battery was recognised on this bus; what is proposed is weak."


def test_voltages_without_current_beside_the_cells_are_none_of_them() -> None:
    bus = synthetic_buses.bus(0, 300.0, "charger")
    assert place_of(bus, "cell").turn >= 0
    claims = {one.kind: one for one in discovery.score(bus).claims}
    assert claims["cell"].right == claims["cell"].fields == bus.drive.cell_V.shape[0]


def test_a_drive_whose_battery_says_nothing_has_none() -> None:
    claims = discovery.score(synthetic_buses.without_battery(2, 600.0)).claims
    assert all(one.place_confidence < 0.5 for one in claims)


def test_counters_and_checksums_are_told_from_readings() -> None:
    dice = np.random.default_rng(1)
    data = np.zeros((1500, 8), np.uint8)
    data[:, 0] = np.clip(100 + np.cumsum(dice.normal(0.0, 1.0, 1500)), 0, 255)
    data[:, 1], data[:, 2] = dice.integers(0, 256, 1500), dice.integers(0, 256, 1500)
    data[:, 6] = np.arange(1500) % 16
    table = crc_table(0x2F)
    for row in data:
        value = 0xFF
        for byte in row[:7]:
            value = table[value ^ int(byte)]
        row[7] = value ^ 0xFF
    stream = heard(frames.from_rows(0.01 * np.arange(1500), np.full(1500, 0x123, np.uint32), data, flags=0)).streams()[
        0
    ]
    doing = roles.roles(stream)
    assert [Role(int(doing[b])) for b in (0, 3, 6, 7)] == [Role.DATA, Role.CONSTANT, Role.COUNTER, Role.CHECKSUM]
    taken = {bit for unit in fields.units(0, stream, doing) for bit in positions(unit.field)}
    assert not taken & set(range(48, 64))
    data[:, 7] = (data[:, :7].astype(int).sum(axis=1) + 9) % 256
    stream = stream._replace(data=data)
    assert roles.roles(stream)[7] == Role.CHECKSUM


def crc_table(polynomial: int) -> list[int]:
    table = []
    for k in range(256):
        value = k
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & 0x80 else value << 1) & 0xFF
        table.append(value)
    return table


@pytest.mark.parametrize("motorola", [False, True])
def test_bits_of_a_field_are_those_of_the_codec(motorola: bool) -> None:
    for place in (one for one in fields.layouts(8) if one.motorola == motorola):
        plan = build([Message("m", 1, (Signal("s", place.start, place.bits, motorola=motorola),), extended=False)])
        said = {8 * byte + bit for byte in range(8) for bit in range(8) if moves(plan, byte, bit)}
        assert said == positions(Field(0, *place))


def moves(plan: Plan, byte: int, bit: int) -> bool:
    payload = np.zeros(8, np.uint8)
    payload[byte] = 1 << bit
    return raw_bits(plan, "m.s", payload) != 0


def test_a_long_log_is_thinned_without_favouring_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packhorse.lab.discover.sample.MOST_FRAMES", 8000)
    sample, count = Sample(), 32_000
    for first in range(0, 10 * count, count):
        number = np.arange(first, first + count)
        data = np.zeros((count, 8), np.uint8)
        data[:, 0] = number % 64
        sample.take(frames.from_rows(0.001 * number, np.full(count, 0x10, np.uint32), data, flags=0))
    stream = sample.streams()[0]
    assert stream.heard == 10 * count
    assert 5000 < stream.time_s.size <= 8000
    turns = np.bincount(stream.data[stream.whole :, 0], minlength=64)
    assert turns.min() > 0.3 * turns.mean()


def told(capsys: pytest.CaptureFixture[str], log: Path, wanted: command.Wanted | None = None) -> dict[str, Any]:
    command.run(log, wanted or command.Wanted(), as_json=True)
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_what_is_found_is_replayed_at_once(driven: Bus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = logged(tmp_path / "bus.blf", driven.heard)
    wanted = command.Wanted(tmp_path / "found.toml", tmp_path / "found.html", driven.drive.capacity_Ah)
    found = told(capsys, log, wanted)
    assert {one["what"] for one in found["proposals"]} >= {"cell", "pack", "current", "soc"}
    assert found["verdict"].startswith("Sure: ")
    assert [Path(name).name for name in found["written"]] == ["found.dbc", "found.map.toml", "found.html"]
    dbc = cantools.database.load_file(tmp_path / "found.dbc")
    comments = {signal.name: str(signal.comment) for message in dbc.messages for signal in message.signals}
    assert "confidence" in comments["current_A"]
    mapping = tomllib.loads((tmp_path / "found.map.toml").read_text())
    cells = len(mapping["cell_voltage"]["columns"])
    assert cells == driven.drive.cell_V.shape[0]
    pack = tmp_path / "pack.toml"
    pack.write_text(
        f'name = "Found"\ncell = "nmc_60"\nstrings = 1\nseries = {cells}\nprobes = 1\n'
        "[fitted]\nlink_voltage = false\nisolation = false\nhvil = false\ncontactor_feedback = false\n"
    )
    out = tmp_path / "out"
    replay(log, str(pack), tmp_path / "found.map.toml", out, True, False, tmp_path / "found.dbc")
    assert pl.read_parquet(out / "results.parquet").height > 5000
    page = (tmp_path / "found.html").read_text()
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert page.count("<svg viewBox") >= 7


def test_what_is_weak_stands_in_the_mapping_as_a_comment(
    driven: Bus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logged(tmp_path / "bus.blf", driven.heard)
    found = told(capsys, log, command.Wanted(tmp_path / "found.toml"))
    assert "place likely, scale or offset not: current" in found["verdict"]
    text = (tmp_path / "found.map.toml").read_text()
    assert "cell_voltage" in tomllib.loads(text)
    assert "current" not in tomllib.loads(text)
    assert "# [current]" in text
    assert "current_A" in (tmp_path / "found.dbc").read_text()
    assert "probe_degC" not in (tmp_path / "found.dbc").read_text()


def test_options_that_do_not_go_together_are_one_line(driven: Bus, tmp_path: Path) -> None:
    log = logged(tmp_path / "bus.log", frames.take(driven.heard, np.arange(100)))
    with pytest.raises(WriteError, match=r"give a name that ends in \.toml or \.dbc"):
        command.run(log, command.Wanted(out=tmp_path / "found.parquet"), as_json=True)
    shell = CliRunner()
    for options, said in (
        (["--discover", "--profile", "orion"], "leave one of them out"),
        (["--report", str(tmp_path / "page.html")], "add --discover"),
        (["--capacity-Ah", "100"], "add --discover"),
    ):
        result = shell.invoke(app, ["signals", str(log), *options])
        assert result.exit_code == 2
        assert said in " ".join(result.output.split())


def noise(count: int = 2000, width: int = 8) -> CanFrames:
    data = np.random.default_rng(4).integers(0, 256, (count, width), dtype=np.uint8)
    ids = (0x100 + np.arange(count) % 5).astype(np.uint32)
    length = np.full(count, width, np.uint16)
    return frames.from_rows(0.01 * np.arange(count), ids, data, flags=FD if width > 8 else 0, length=length)


@pytest.mark.parametrize("width", [8, 64])
def test_a_bus_without_a_battery(width: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = logged(tmp_path / "noise.log", noise(width=width))
    found = told(capsys, log, command.Wanted(report=tmp_path / "noise.html"))
    assert found["proposals"] == []
    assert found["verdict"] == "No battery was recognised on this bus."
    assert "No battery was recognised" in (tmp_path / "noise.html").read_text()
    with pytest.raises(WriteError, match="nothing was found that is likely enough"):
        command.run(log, command.Wanted(out=tmp_path / "found.toml"), as_json=True)
    assert not (tmp_path / "found.dbc").exists()


def test_constant_bytes_are_no_battery() -> None:
    some = noise()
    found = discover(heard(some._replace(data=np.full_like(some.data, 0x55))).streams())
    assert found.proposals == ()


@pytest.mark.filterwarnings("error")
def test_few_frames_are_said_to_be_few(driven: Bus) -> None:
    for count in (1, 2, 50):
        found = discover(heard(frames.take(driven.heard, np.arange(count))).streams())
        assert found.proposals == ()
        assert found.missing[0].startswith("too few frames")
    pack = np.flatnonzero(driven.heard.id == place_of(driven, "pack").id)
    found = discover(heard(frames.take(driven.heard, pack)).streams())
    assert all(one.place_confidence < 0.5 for one in found.proposals)


def test_a_log_without_data_is_one_line(tmp_path: Path) -> None:
    empty = noise()._replace(length=np.zeros(2000, np.uint16))
    with pytest.raises(ReadError, match="no data frames"):
        command.run(logged(tmp_path / "empty.log", empty), command.Wanted(), as_json=True)


def test_a_clock_that_jumps_costs_nothing_but_is_said(driven: Bus) -> None:
    time_s = driven.heard.time_s.copy()
    time_s[time_s.size // 2 :] += 30.0 * 86400.0
    found = discover(heard(driven.heard._replace(time_s=time_s)).streams(), driven.drive.capacity_Ah)
    cells = proposed(found, Kind.CELL)
    assert cells is not None
    assert len(cells.fields) == driven.drive.cell_V.shape[0]
    assert cells.confidence > SURE
    assert any(line.startswith("silences of the bus") for line in found.missing)


def hvess(bus: Bus) -> tuple[CanFrames, int]:
    """The same bus, J1939; its message of the pack is one of the table's."""
    pack, own = place_of(bus, "pack"), bus.heard
    speed = own.id == next(one for one in sorted(set(own.id.tolist())) if one not in {p.id for p in bus.truth})
    ids = own.id.copy()
    ids[own.id == pack.id] = 0x18F090F3
    ids[speed] = 0x0CF004F3
    return own._replace(id=ids, flags=np.full_like(own.flags, EXTENDED)), 0x18F090F3


def test_what_j1939_knows_is_left_to_it() -> None:
    bus = synthetic_buses.bus(1004, 600.0, system="boards")
    some, identifier = hvess(bus)
    streams, sure = heard(some).streams(), Signs(True, True, ())
    nothing = known.known_of(streams, None)
    assert (len(nothing.streams), nothing.names) == (len(streams), ())
    told_of = known.known_of(streams, sure)
    assert set(told_of.names) == {"EEC1", "HVESSD1"}
    assert len(told_of.streams) == len(streams) - 1
    found = known.settled(discover(told_of.streams, places=known.places(told_of)), told_of)
    assert found.known == told_of.names
    number = next(k for k, stream in enumerate(told_of.streams) if stream.id == identifier)
    allowed = {(32, 16), (48, 16)}
    assert {(f.start, f.bits) for one in found.proposals for f in one.fields if f.stream == number} <= allowed


def test_where_everything_is_known_nothing_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = (0x0CF00400, 0x18FEF100, 0x18FEEE00, 0x18FEF200)
    some = noise()._replace(id=np.resize(np.array(names, np.uint32), 2000))
    log = logged(tmp_path / "truck.log", some._replace(flags=np.full_like(some.flags, EXTENDED)))
    found = told(capsys, log, command.Wanted(report=tmp_path / "truck.html"))
    assert (found["proposals"], found["identifiers"]) == ([], 0)
    assert set(found["known_by_j1939"]) == {"EEC1", "CCVS1", "ET1", "LFE1"}
    command.run(log, command.Wanted(), as_json=False)
    assert "known by our table of J1939" in capsys.readouterr().out


def test_scales_of_the_table_take_the_place_of_discovered_ones(driven: Bus) -> None:
    streams = heard(driven.heard).streams()
    found = discover(streams)
    current = proposed(found, Kind.CURRENT)
    assert current is not None
    own = Signal("current_A", current.fields[0].start, 16, 0.05, -1600.0)
    knowing = known.Known(streams, {current.fields[0].stream: (own,)}, ("HVESSD1",))
    after = proposed(known.settled(found, knowing), Kind.CURRENT)
    assert after is not None
    sign = np.sign(current.scale)
    assert (after.scale, after.offset) == (sign * 0.05, sign * -1600.0)
    assert after.confidence == current.place_confidence
    raw = (current.value - current.offset) / current.scale
    np.testing.assert_allclose(after.value, raw * after.scale + after.offset, equal_nan=True, atol=1e-3)
    other = knowing._replace(offered={current.fields[0].stream: (own._replace(name="battery_V"),)})
    contradicted = proposed(known.settled(found, other), Kind.CURRENT)
    assert contradicted is not None
    assert contradicted.confidence == 0.0


@pytest.mark.parametrize(
    "name", ["css_electric_bus_standstill.mf4", "css_truck_j1939_idle.mf4", "css_truck_j1939_short.mf4"]
)
def test_real_vehicles_that_stand_still_are_given_no_battery(
    name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("asammdf")
    path = shared(name)
    if not path.is_file():
        pytest.skip("the logs of real vehicles are not here")
    found = told(capsys, path, command.Wanted(report=tmp_path / "bus.html"))
    assert found["verdict"].startswith("No battery was recognised")
    assert all(one["place_confidence"] < 0.5 for one in found["proposals"])
    assert "EEC1" in found["known_by_j1939"]
    assert any("not enough" in line for line in found["not_enough"])
