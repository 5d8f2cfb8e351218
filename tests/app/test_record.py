"""Real processes on a loopback bus that record it: the log, what a kill leaves, and a replay of it."""

from __future__ import annotations

import json
import signal as signals
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from packhorse.app.course import Wall
from packhorse.app.record import record
from packhorse.io.buses import open_bus
from packhorse.io.can_logs import open_can_log
from packhorse.io.errors import WriteError
from packhorse.protocols import frames
from packhorse.protocols.frames import SENT, CanFrames
from packhorse.protocols.j1939.identifier import CanFrame
from processes import PATIENCE_S, bus_name, ended, packhorse


def everything(path: Path) -> CanFrames:
    return frames.join(list(open_can_log(path).blocks()))


def run(tmp_path: Path, bms: str, truck: str = "", seconds: float = 20.0) -> tuple[dict[str, Any], dict[str, Any]]:
    """A truck and its BMS, each of which may record; what both said at the end."""
    bus = bus_name()
    more = [f"--record={tmp_path / truck}"] if truck else []
    faults = ("--fault", "isolation@12:value=90000")
    driving = packhorse("twin", "--truck", "light", "--bus", bus, "--seconds", str(seconds), "--json", *more, *faults)
    thinking = packhorse("run", "light", "--bus", bus, "--json", f"--record={tmp_path / bms}")
    found, lines = ended(thinking)
    assert lines == ""
    return found, ended(driving)[0]


def test_both_ends_record_the_same_frames_in_simulated_time(tmp_path: Path) -> None:
    found, driven = run(tmp_path, "bms.blf", "truck.log.gz")
    ours, theirs = everything(tmp_path / "bms.blf"), everything(tmp_path / "truck.log.gz")
    assert found["recording"] == {"file": str(tmp_path / "bms.blf"), "written": ours.id.size, "dropped": 0}
    assert driven["recording"]["written"] == theirs.id.size == ours.id.size > 20_000
    sent, heard = (ours.flags & SENT) != 0, (theirs.flags & SENT) == 0
    assert np.count_nonzero(sent) == np.count_nonzero(heard) > 5_000
    for one, two in ((sent, heard), (~sent, ~heard)):
        assert np.array_equal(ours.id[one], theirs.id[two])
        assert np.array_equal(frames.rows(ours, 8)[one], frames.rows(theirs, 8)[two])
        assert np.allclose(ours.time_s[one], theirs.time_s[two], rtol=0.0, atol=2e-6)
    assert ours.time_s[-1] == pytest.approx(20.0, abs=1e-6)


def test_a_recorded_run_replays_to_the_same_decisions(tmp_path: Path) -> None:
    """Two processes always live the same, so one run records its frames and another what its BMS heard."""
    run(tmp_path, "bms.blf")
    run(tmp_path, "heard.parquet")
    dbc, mapping = tmp_path / "node.dbc", tmp_path / "node.map.toml"
    packhorse("dbc", "export", "--pack", "light", "-o", str(dbc), "--map", str(mapping)).communicate(timeout=PATIENCE_S)
    answers = []
    for name, more in (("bms.blf", ["--dbc", str(dbc), "--map", str(mapping)]), ("heard.parquet", [])):
        out = tmp_path / f"out-{name}"
        ended(packhorse("replay", str(tmp_path / name), "--pack", "light", "--json", "-o", str(out), *more))
        answers.append([pl.read_parquet(out / f"{what}.parquet") for what in ("results", "events")])
    (bus, bus_events), (live, live_events) = answers
    first = bus.filter(pl.col("time_s") > 0.05)  # before the first tick nodes claim their addresses
    assert first.height == live.height == 200
    for name in live.columns:
        if live[name].dtype.is_float():
            np.testing.assert_allclose(first[name], live[name], rtol=1e-8, atol=1e-9, err_msg=name)
        elif name != "time_s":
            assert first[name].to_list() == live[name].to_list(), name
    assert live_events.height > 0
    assert bus_events["name"].to_list() == live_events["name"].to_list()
    np.testing.assert_allclose(bus_events["time_s"], live_events["time_s"], atol=1e-6)


def test_signals_names_the_boards_and_the_battery_of_a_recording(tmp_path: Path) -> None:
    run(tmp_path, "bms.log", seconds=5.0)
    found, _ = ended(packhorse("signals", str(tmp_path / "bms.log"), "--json"))
    said = {one["name"]: one for one in found["signals"]}
    assert found["j1939"][0]["sure"]
    assert said["HVESSD1.battery_V"]["sender_name"] == "battery pack 1"
    assert said["HVESSD1.battery_V"]["count"] == pytest.approx(50, abs=5)
    assert said["CCVS1.speed_m_per_s"]["count"] > 40
    assert {243, 128, 39} <= {one["address"] for one in found["addresses"]}


@pytest.mark.parametrize("ending", ["blf", "log", "asc.gz"])
def test_a_process_that_is_killed_leaves_a_log_that_ends_with_its_last_flush(tmp_path: Path, ending: str) -> None:
    bus, path, whole = bus_name(), tmp_path / f"killed.{ending}", tmp_path / "truck.blf"
    driving = packhorse("twin", "--truck", "light", "--bus", bus, "--json", f"--record={whole}")
    thinking = packhorse("run", "light", "--bus", bus, f"--record={path}")
    assert thinking.stdout is not None
    assert thinking.stdout.readline().startswith("00:01:00")
    thinking.kill()
    thinking.communicate()
    driving.send_signal(signals.SIGINT)
    ended(driving)
    found, judge = everything(path), everything(whole)
    sent, by_truck = (found.flags & SENT) == 0, (judge.flags & SENT) != 0
    count = int(np.count_nonzero(sent))
    assert count > 1_000
    assert np.array_equal(found.id[sent], judge.id[by_truck][:count])
    assert np.array_equal(frames.rows(found, 8)[sent], frames.rows(judge, 8)[by_truck][:count])


def test_ctrl_c_ends_both_recordings_whole(tmp_path: Path) -> None:
    bus, path, whole = bus_name(), tmp_path / "bms.asc", tmp_path / "truck.blf"
    driving = packhorse("twin", "--truck", "light", "--bus", bus, "--json", f"--record={whole}")
    thinking = packhorse("run", "light", "--bus", bus, f"--record={path}")
    assert thinking.stdout is not None
    assert thinking.stdout.readline().startswith("00:01:00")
    thinking.send_signal(signals.SIGINT)
    said, lines = thinking.communicate(timeout=PATIENCE_S)
    assert thinking.returncode == 0, lines
    driving.send_signal(signals.SIGINT)
    facts, _ = ended(driving)
    assert f"{everything(path).id.size} frames, 0 dropped" in " ".join(said.split())
    assert path.read_text().endswith("End TriggerBlock\n")
    assert facts["recording"]["written"] == everything(whole).id.size


def test_a_full_disk_is_one_line_and_the_bms_goes_on(tmp_path: Path) -> None:
    full = tmp_path / "full.blf"
    full.symlink_to("/dev/full")
    bus = bus_name()
    driving = packhorse("twin", "--truck", "light", "--bus", bus, "--seconds", "15", "--json")
    facts, lines = ended(packhorse("run", "light", "--bus", bus, "--json", f"--record={full}"))
    ended(driving)
    assert facts["seconds"] == pytest.approx(15.0)
    assert facts["recording"]["written"] == 0
    assert facts["recording"]["dropped"] > 10_000
    (line,) = lines.splitlines()
    assert "recording has stopped" in line
    assert "the disk is full" in line


@pytest.mark.parametrize("arguments", [["run", "light", "--bus"], ["twin", "--bus"], ["record"]])
def test_a_file_that_is_no_log_is_refused_in_one_line(tmp_path: Path, arguments: list[str]) -> None:
    path = str(tmp_path / "bus.txt")
    more = [path] if arguments == ["record"] else [f"--record={path}"]
    process = packhorse(*arguments, bus_name(), *more)
    said, lines = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said) == (2, "")
    assert len(lines.splitlines()) == 1
    assert "give a file that ends so" in lines


class Street:
    """A node that says a frame whenever somebody looks at the clock, which then goes on by 0.1 s."""

    def __init__(self, name: str) -> None:
        self.bus, self.now_s, self.said, self.asked = open_bus(name), 0.0, 0, False

    def clock(self) -> float:
        if not self.asked:  # the bus looks at the clock too when it takes a frame
            self.asked = True
            self.now_s += 0.1
            self.bus.send([CanFrame(0x18FEF127, bytes([self.said % 256]))])
            self.said += 1
            self.asked = False
        return self.now_s


def test_a_bus_is_recorded_without_taking_part_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    street, path = Street("process:record"), tmp_path / "bus.log"
    record("process:record", path, 30.0, as_json=True, wall=Wall(street.clock, lambda _s: None))
    facts, found = json.loads(capsys.readouterr().out), everything(path)
    assert facts["written"] == found.id.size == facts["bus"]["heard"] > 100
    assert facts["dropped"] == facts["bus"]["sent"] == 0
    first = int(found.data[0])
    assert found.data.tolist() == [(first + k) % 256 for k in range(found.id.size)]
    assert (np.diff(found.time_s) >= 0.0).all()
    assert abs(found.time_s[-1] - time.time()) < 600.0
    assert street.bus.heard() == []


def test_a_recording_alone_ends_where_its_disk_does(tmp_path: Path) -> None:
    street, path = Street("process:full"), tmp_path / "full.log"
    path.symlink_to("/dev/full")
    with pytest.raises(WriteError, match="the disk is full"):
        record("process:full", path, 1e6, as_json=True, wall=Wall(street.clock, lambda _s: None))
