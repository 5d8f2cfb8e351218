"""A recorded bus as rows: held, aged, in order, and through the BMS with the same answers as a table of readings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from packhorse.app.replay import replay
from packhorse.io import logs
from packhorse.io.bus_files import read_dbc
from packhorse.io.can_logs import source
from packhorse.io.can_logs.write import writer
from packhorse.io.errors import ReadError
from packhorse.pack.load import ConfigurationError, load_pack
from packhorse.protocols import encoding, frames
from packhorse.protocols.frames import CanFrames

SMALL = Path(__file__).parents[1] / "vehicles" / "small.toml"
DBC = """VERSION ""
NS_ :
BS_:
BU_: N
BO_ 2364575998 D1: 8 N
 SG_ amps : 0|16@1+ (0.05,-1600) [0|0] "A" N
BO_ 291 Cells: 8 N
 SG_ volts_1 : 7|16@0+ (0.001,0) [0|0] "V" N
 SG_ volts_2 : 23|16@0+ (0.001,0) [0|0] "V" N
 SG_ volts_3 : 39|16@0+ (0.001,0) [0|0] "V" N
BO_ 292 Heat: 8 N
 SG_ which M : 0|8@1+ (1,0) [0|0] "" N
 SG_ temp_1 m1 : 8|8@1+ (1,-40) [0|0] "degC" N
 SG_ temp_2 m2 : 8|8@1+ (1,-40) [0|0] "degC" N
"""
MAP = """[bus]
period_s = 0.1
[current]
columns = "D1.amps"
unit = "A"
positive = "discharge"
[cell_voltage]
columns = "Cells.volts_{1..3}"
unit = "V"
[probe_temperature]
columns = "Heat.temp_{1..2}"
unit = "degC"
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    dbc, mapping = tmp_path / "bus.dbc", tmp_path / "map.toml"
    dbc.write_text(DBC)
    mapping.write_text(MAP)
    return dbc, mapping


def drive(seconds: float, dbc: Path, sender: int = 0xF3, start_s: float = 1.7e9) -> tuple[CanFrames, pl.DataFrame]:
    """Current at 50 Hz, cells at 10 Hz, each probe once a second; and what was sent, at 10 Hz."""
    plan = read_dbc(dbc)
    fast, slow = np.arange(0.0, seconds, 0.02), np.arange(0.0, seconds, 0.1)
    amps = np.round(60.0 * np.sin(fast / 7.0) / 0.05) * 0.05
    volts = {f"volts_{n}": np.round(3.7 + 0.02 * n - 0.0005 * 60.0 * np.sin(slow / 7.0), 3) for n in (1, 2, 3)}
    heat = np.arange(0.0, seconds, 0.5)
    which = 1.0 + np.arange(heat.size) % 2
    sent = frames.join(
        [
            encoding.encode(plan, "D1", {"amps": amps}, start_s + fast, sender=sender),
            encoding.encode(plan, "Cells", volts, start_s + slow),
            encoding.encode(
                plan,
                "Heat",
                {"which": which, "temp_1": np.full(heat.size, 22.0), "temp_2": np.full(heat.size, 23.0)},
                start_s + heat,
            ),
        ]
    )
    table = pl.DataFrame({"clock": slow, "amps": amps[::5][: slow.size], **volts})
    return frames.take(sent, np.argsort(sent.time_s, kind="stable")), table


def log_of(path: Path, some: CanFrames) -> Path:
    with writer(path) as made:
        made.take(some)
    return path


@pytest.mark.parametrize("ending", ["blf", "log"])
def test_rows_hold_the_last_readings_and_their_ages(tmp_path: Path, files: tuple[Path, Path], ending: str) -> None:
    sent, table = drive(30.0, files[0])
    pack = load_pack(str(SMALL))
    log = logs.open_bus_log(log_of(tmp_path / f"bus.{ending}", sent), *files, pack)
    assert log.rows == pytest.approx(300, abs=1)
    block = next(log.blocks())
    n = min(table.height, log.rows) - 1
    assert np.allclose(block.frames.time_s[:n], table["clock"][:n], atol=2e-6)
    assert np.allclose(block.frames.cell_V[1:n, 0, 0], table["volts_1"][1:n], atol=2e-3)
    assert np.abs(block.frames.string_A[1:n, 0] - table["amps"].to_numpy()[1:n]).max() < 0.3
    assert block.frames.probe_degC[30, 0].tolist() == [22.0, 23.0]
    assert (block.frames.age_s[20:, 0, 0] < 0.11).all()
    assert (block.frames.age_s[20:, 0, 1] < 1.01).all()
    assert (block.frames.age_s[20:, 0, 2] < 0.03).all()


def test_what_falls_silent_grows_old_and_then_is_not_there(tmp_path: Path, files: tuple[Path, Path]) -> None:
    sent, _ = drive(30.0, files[0])
    silent = (sent.id == 0x123) & (sent.time_s > 1.7e9 + 10.05)
    pack = load_pack(str(SMALL))
    log = logs.open_bus_log(log_of(tmp_path / "bus.blf", frames.take(sent, ~silent)), *files, pack)
    found = next(log.blocks()).frames
    patience_s = pack.sensors.patience_s
    last = 100 + int(10 * patience_s)
    assert np.isfinite(found.cell_V[50 : last - 1]).all()
    assert np.isnan(found.cell_V[last + 2 :]).all()
    assert found.age_s[200, 0, 0] == pytest.approx(10.0, abs=0.1)
    assert np.isfinite(found.string_A[50:]).all()


def test_a_long_silence_and_a_clock_set_back(tmp_path: Path, files: tuple[Path, Path]) -> None:
    first, _ = drive(10.0, files[0])
    later, _ = drive(10.0, files[0], start_s=1.7e9 + 100_000.0)
    back, _ = drive(10.0, files[0], start_s=1.6e9)
    log = logs.open_bus_log(
        log_of(tmp_path / "bus.log", frames.join([first, later, back])), *files, load_pack(str(SMALL))
    )
    time_s = np.concatenate([block.frames.time_s for block in log.blocks()])
    assert (np.diff(time_s) > 0.0).all()
    assert time_s.size == pytest.approx(100 + 600 + 200, abs=4)
    assert "run backwards" in log.complaint


def test_the_bms_answers_a_bus_as_it_answers_a_table(tmp_path: Path, files: tuple[Path, Path]) -> None:
    sent, _ = drive(60.0, files[0])
    out = tmp_path / "out"
    replay(log_of(tmp_path / "bus.blf", sent), str(SMALL), files[1], out, True, False, files[0])
    results = pl.read_parquet(out / "results.parquet")
    assert results.height == pytest.approx(600, abs=1)
    assert results["soc"][-1] == pytest.approx(results["soc"][50], abs=0.05)
    assert (out / "report.html").is_file()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("D1.amps", "D1.ampere"), r"no signal D1\.ampere; nearest: D1\.amps"),
        (("volts_{1..3}", "volts_{1..2}"), r"names 2 columns where the pack has 3"),
        (('volts_{1..3}"', 'volts_{1..2}", "Cells.volts_1'), r"twice|valid"),
        (("period_s = 0.1", "period_s = 0.0"), r"period_s"),
        (("D1.amps", "D1@F4.amps"), r"^$"),
    ],
)
def test_mappings_that_do_not_fit_are_refused(
    tmp_path: Path, files: tuple[Path, Path], change: tuple[str, str], said: str
) -> None:
    sent, _ = drive(3.0, files[0])
    files[1].write_text(MAP.replace(*change))
    path = log_of(tmp_path / "bus.blf", sent)
    if said == "^$":
        log = logs.open_bus_log(path, *files, load_pack(str(SMALL)))
        assert np.isnan(next(log.blocks()).frames.string_A).all()
        assert log.complaint == "never heard: D1@F4.amps"
        return
    with pytest.raises((ReadError, ConfigurationError), match=said):
        logs.open_bus_log(path, *files, load_pack(str(SMALL)))


def test_two_senders_or_buses_are_never_mixed(tmp_path: Path, files: tuple[Path, Path]) -> None:
    one, _ = drive(3.0, files[0])
    other, _ = drive(3.0, files[0], sender=0xF4)
    both = frames.join([one, other])
    path = log_of(tmp_path / "bus.blf", frames.take(both, np.argsort(both.time_s, kind="stable")))
    with pytest.raises(ReadError, match=r"D1\.amps is sent by F3, F4; name D1@F3\.amps"):
        logs.open_bus_log(path, *files, load_pack(str(SMALL)))
    files[1].write_text(MAP.replace("D1.amps", "D1@F4.amps"))
    logs.open_bus_log(path, *files, load_pack(str(SMALL)))
    mirrored = frames.join([one, one._replace(bus=one.bus + np.uint8(1))])
    path = log_of(tmp_path / "two.blf", frames.take(mirrored, np.argsort(mirrored.time_s, kind="stable")))
    files[1].write_text(MAP)
    with pytest.raises(ReadError, match=r"is on buses 0, 1; write channel = 0 in \[bus\]"):
        logs.open_bus_log(path, *files, load_pack(str(SMALL)))
    files[1].write_text(MAP.replace("[bus]", "[bus]\nchannel = 1"))
    logs.open_bus_log(path, *files, load_pack(str(SMALL)))


def test_a_bus_without_its_dbc_or_of_somebody_else_is_refused(tmp_path: Path, files: tuple[Path, Path]) -> None:
    sent, _ = drive(3.0, files[0])
    path = log_of(tmp_path / "bus.blf", sent)
    with pytest.raises(ReadError, match="needs --dbc FILE and --map FILE"):
        replay(path, str(SMALL), files[1], tmp_path / "out", True, False)
    other = log_of(tmp_path / "other.blf", sent._replace(id=sent.id ^ np.uint32(0x1000)))
    with pytest.raises(ReadError, match="no signal of the mapping is on this bus"):
        logs.open_bus_log(other, *files, load_pack(str(SMALL)))


def test_a_tick_that_is_cut_by_a_block_is_one_row_all_the_same(
    tmp_path: Path, files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Current and cells of one moment lie in different blocks, and the log rounds their times to microseconds."""
    sent, _ = drive(6.0, files[0])
    path = tmp_path / "bus.log"
    with writer(path) as log:
        log.take(sent)
    pack = load_pack(str(SMALL))
    whole = [block.frames for block in logs.open_bus_log(path, *files, pack).blocks()]
    monkeypatch.setattr(source, "BLOCK_BYTES", 700)
    monkeypatch.setattr(source.chunks, "__defaults__", (700,))
    cut = [block.frames for block in logs.open_bus_log(path, *files, pack).blocks()]
    for name in ("time_s", "string_A", "cell_V", "age_s"):
        one, two = (np.concatenate([getattr(part, name) for part in parts]) for parts in (whole, cut))
        np.testing.assert_array_equal(one, two, err_msg=name)
    assert float(np.abs(np.concatenate([part.age_s for part in whole])[:, :, [0, 2]]).max()) < 3e-6
