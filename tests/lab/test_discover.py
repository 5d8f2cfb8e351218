"""A bus without DBC: simulated busses whose layout is known, and real ones."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import cantools
import numpy as np
import polars as pl
import pytest

import busses
import discovery
from buses import shared
from packhorse.app import discover as command
from packhorse.app.replay import replay
from packhorse.io.can_logs.write import writer
from packhorse.io.errors import WriteError
from packhorse.lab.discover import Found, Kind, Proposal, Role, Sample, discover, fields
from packhorse.lab.discover.words import Field, positions
from packhorse.protocols import frames
from packhorse.protocols.encoding import raw_bits
from packhorse.protocols.frames import CanFrames
from packhorse.protocols.plan import Message, Plan, Signal, build

SEEDS = (3, 5, 7, 9, 11)
"""Motorola and Intel, 12 and 16 bits, multiplexed and plain."""


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
def test_pack_and_cells_are_found_whole_and_nothing_else(seed: int) -> None:
    bus = busses.bus(seed, 600.0)
    score = discovery.score(bus, bus.drive.capacity_Ah)
    for kind in ("cell", "pack"):
        assert score.found[kind] == score.true[kind] == score.proposed[kind]
    assert score.surely_wrong == ()


def test_current_has_its_sign_from_the_sag_and_its_scale_from_the_capacity() -> None:
    bus = busses.bus(5, 600.0)
    streams = heard(bus.heard).streams()
    truth = next(place for place in bus.truth if place.kind == "current")
    known = proposed(discover(streams, bus.drive.capacity_Ah), Kind.CURRENT)
    assert known is not None
    assert (known.scale, known.offset) == (pytest.approx(truth.scale), pytest.approx(truth.offset))
    assumed = proposed(discover(streams), Kind.CURRENT)
    assert assumed is not None
    assert np.sign(assumed.scale) == np.sign(truth.scale)
    assert assumed.confidence <= 0.75
    assert any("not enough for its scale" in line for line in assumed.said)


@pytest.mark.parametrize("seed", [2, 5])
def test_at_rest_it_says_what_it_cannot_know(seed: int) -> None:
    found = discover(heard(busses.bus(seed, 300.0, rest=True).heard).streams())
    assert all(one.confidence <= 0.8 for one in found.proposals)
    assert proposed(found, Kind.CURRENT) is None
    assert any("not enough" in line and line.startswith("current") for line in found.missing)
    assert any(line.startswith("SOC") for line in found.missing)


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
    doing = fields.roles(stream)
    assert [Role(int(doing[b])) for b in (0, 3, 6, 7)] == [Role.DATA, Role.CONSTANT, Role.COUNTER, Role.CHECKSUM]
    taken = {bit for unit in fields.units(0, stream, doing) for bit in positions(unit.field)}
    assert not taken & set(range(48, 64))
    data[:, 7] = (data[:, :7].astype(int).sum(axis=1) + 9) % 256
    stream = stream._replace(data=data)
    assert fields.roles(stream)[7] == Role.CHECKSUM


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
    monkeypatch.setattr("packhorse.lab.discover.sample.MOST_FRAMES", 4000)
    sample, count = Sample(), 32_000
    for first in range(0, 10 * count, count):
        number = np.arange(first, first + count)
        data = np.zeros((count, 8), np.uint8)
        data[:, 0] = number % 64
        sample.take(frames.from_rows(0.001 * number, np.full(count, 0x10, np.uint32), data, flags=0))
    stream = sample.streams()[0]
    assert stream.heard == 10 * count
    assert 2000 < stream.time_s.size <= 4000
    turns = np.bincount(stream.data[stream.whole :, 0], minlength=64)
    assert turns.min() > 0.3 * turns.mean()


def test_what_is_found_is_replayed_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bus = busses.bus(5, 600.0)
    log = logged(tmp_path / "bus.blf", bus.heard)
    wanted = command.Wanted(tmp_path / "found.toml", tmp_path / "found.html", bus.drive.capacity_Ah)
    command.run(log, wanted, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert {one["what"] for one in told["proposals"]} >= {"cell", "pack", "current", "soc"}
    assert [Path(name).name for name in told["written"]] == ["found.dbc", "found.map.toml", "found.html"]
    cantools.database.load_file(tmp_path / "found.dbc")
    mapping = tomllib.loads((tmp_path / "found.map.toml").read_text())
    cells = len(mapping["cell_voltage"]["columns"])
    assert cells == bus.drive.cell_V.shape[0]
    mapping_without_probes(tmp_path / "found.map.toml")
    pack = tmp_path / "pack.toml"
    pack.write_text(
        f'name = "Found"\ncell = "nmc_60"\nstrings = 1\nseries = {cells}\nprobes = 1\n'
        "[fitted]\nlink_voltage = false\nisolation = false\nhvil = false\ncontactor_feedback = false\n"
    )
    out = tmp_path / "out"
    replay(log, str(pack), tmp_path / "found.map.toml", out, True, False, tmp_path / "found.dbc")
    results = pl.read_parquet(out / "results.parquet")
    assert results.height > 5000
    page = (tmp_path / "found.html").read_text()
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert page.count("<svg viewBox") >= 7


def mapping_without_probes(path: Path) -> None:
    """Probes are a guess; the pack of this test has one that is not told."""
    parts = path.read_text().split("\n[")
    path.write_text("\n[".join(part for part in parts if not part.startswith("probe_temperature")))


def test_a_bus_without_a_battery(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dice = np.random.default_rng(4)
    data = dice.integers(0, 256, (2000, 8), dtype=np.uint8)
    some = frames.from_rows(0.01 * np.arange(2000), (0x100 + np.arange(2000) % 5).astype(np.uint32), data, flags=0)
    command.run(logged(tmp_path / "noise.log", some), command.Wanted(report=tmp_path / "noise.html"), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["proposals"] == []
    assert len(told["not_enough"]) == 2
    with pytest.raises(WriteError, match="nothing was found to write"):
        command.run(tmp_path / "noise.log", command.Wanted(out=tmp_path / "found.toml"), as_json=True)


def test_a_real_electric_bus_at_standstill(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("asammdf")
    path = shared("css_electric_bus_standstill.mf4")
    if not path.is_file():
        pytest.skip("the logs of real vehicles are not here")
    command.run(path, command.Wanted(report=tmp_path / "bus.html"), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert all(one["confidence"] <= 0.8 for one in told["proposals"] if one["what"] in ("current", "soc"))
    assert any("not enough" in line for line in told["not_enough"])
