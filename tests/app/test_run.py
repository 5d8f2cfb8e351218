"""Truck and BMS together: paced, watched, recorded, ended, summed up."""

import json
import os
import resource
import signal
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from packhorse import bms
from packhorse.app import world
from packhorse.app.run import run
from packhorse.app.world import Settings
from packhorse.io.errors import ReadError, WriteError
from packhorse.io.logs import open_log
from packhorse.pack.load import ConfigurationError, load_pack


class Wall:
    """A wall clock that moves only when somebody sleeps or works."""

    def __init__(self, work_s: float = 0.0) -> None:
        self.now_s, self.work_s, self.slept_s = 100.0, work_s, 0.0

    def clock(self) -> float:
        self.now_s += self.work_s
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        self.slept_s += seconds


def settings(**changes: Any) -> Any:
    usual = Settings(None, "light", None, 0.0, 30.0, 0.1, None, 20.0, 1, (), True, None, None)
    return usual._replace(**changes)


def go(wall: Wall | None = None, console: Console | None = None, **changes: Any) -> None:
    wall = wall or Wall(work_s=1e-4)
    run(settings(**changes), wall.clock, wall.sleep, console or Console(file=StringIO(), width=100))


def test_json_is_one_object_with_the_whole_summary(capsys: pytest.CaptureFixture[str]) -> None:
    go(seconds=120.0)
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 1
    facts = json.loads(said)
    assert facts["seconds"] == pytest.approx(120.0)
    assert 0.2 < facts["distance_km"] < 3.0
    assert facts["energy_kWh"]["out"] > 0.0
    assert facts["energy_kWh"]["charged"] == 0.0
    assert facts["kWh_per_km"] == pytest.approx(
        (facts["energy_kWh"]["out"] - facts["energy_kWh"]["regained"]) / facts["distance_km"]
    )
    assert facts["soc"]["end"]["true"] < facts["soc"]["start"]["true"] <= 0.92
    assert facts["cell_V"]["min"] < facts["cell_V"]["max"]
    assert "contactors open" in [row["reason"] for row in facts["limited"]]
    assert 0.0 < facts["bms_step"]["median_s"] <= facts["bms_step"]["p99_s"]


def test_the_summary_in_words_puts_the_truth_beside_the_belief(capsys: pytest.CaptureFixture[str]) -> None:
    go(as_json=False)
    said = capsys.readouterr().out
    assert "believed, " in said
    assert "% of the tick" in said
    assert max(map(len, said.splitlines())) < 200


def test_time_is_paced_against_the_wall_clock() -> None:
    wall = Wall()
    go(wall, speed=10.0, seconds=30.0)
    assert wall.slept_s == pytest.approx(3.0, abs=0.02)


def test_a_machine_that_is_too_slow_says_so_and_never_sleeps(capsys: pytest.CaptureFixture[str]) -> None:
    wall = Wall(work_s=0.01)
    go(wall, speed=60.0, seconds=30.0)
    assert wall.slept_s == 0.0
    assert json.loads(capsys.readouterr().out)["times_real_time"] < 10.0


def test_without_a_terminal_there_is_a_line_for_each_minute() -> None:
    out = StringIO()
    go(console=Console(file=out, width=80), seconds=200.0, as_json=False)
    lines = out.getvalue().splitlines()
    assert [line[:8] for line in lines] == ["00:01:00", "00:02:00", "00:03:00"]
    assert "no faults" in lines[0]


def test_on_a_terminal_the_view_is_drawn_a_few_times_a_second() -> None:
    out = StringIO()
    go(Wall(), console=Console(file=out, force_terminal=True, width=100, height=30), speed=60.0, seconds=120.0)
    assert 10 < out.getvalue().count("real time") < 25
    assert "light" in out.getvalue()


def test_a_recording_replays_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("packhorse.io.recording.PART_FRAMES", 70)
    path = tmp_path / "drive.parquet"
    go(record=path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["drive.parquet"]
    pack = load_pack("light")
    (block,) = open_log(path, None, pack).blocks()
    replayed, _ = bms.replay(pack, bms.start(pack), block.frames)
    asked = settings()
    ticks = world.ticks(world.build(asked), asked)
    lived = [next(ticks) for _ in range(300)][-1].state
    assert bms.fingerprint(replayed) == bms.fingerprint(lived)


def test_the_state_is_saved_and_goes_on_where_it_ended(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "memory.npz"
    go(state=path)
    first = json.loads(capsys.readouterr().out)
    go(state=path)
    second = json.loads(capsys.readouterr().out)
    assert first["files"] == [str(path)]
    assert second["soc"]["start"]["soc"] == pytest.approx(first["soc"]["end"]["soc"], abs=0.01)
    assert second["seconds"] == pytest.approx(30.0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_asks_to_end_gets_summary_recording_and_state(
    number: signal.Signals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Impatient(Wall):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.slept_s > 1.0 and self.slept_s - seconds <= 1.0:
                os.kill(os.getpid(), number)

    go(Impatient(), speed=1.0, seconds=None, record=tmp_path / "a.parquet", state=tmp_path / "b.npz")
    assert 1.0 < json.loads(capsys.readouterr().out)["seconds"] < 1.5
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.parquet", "b.npz"]
    assert pl.read_parquet(tmp_path / "a.parquet").height < 15


def test_who_asks_twice_is_obeyed_at_once_and_nothing_is_half_written(tmp_path: Path) -> None:
    class Angry(Wall):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        go(Angry(), speed=1.0, seconds=None, record=tmp_path / "a.parquet", state=tmp_path / "b.npz")
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


BAD: list[tuple[dict[str, Any], str]] = [
    ({"truck": "hevy"}, "did you mean heavy"),
    ({"pack": "lite"}, "did you mean light"),
    ({"cycle": "urbane"}, "did you mean urban"),
    ({"cycle": "hill.csv"}, "no such file"),
    ({"faults": ("cell_shirt@3",)}, "did you mean cell_short"),
    ({"faults": ("cell_short",)}, "write KIND@START"),
    ({"faults": ("cell_short@9-3",)}, "ends before it starts"),
    ({"faults": ("cell_short@9:ohm=3",)}, "known: string, place, value"),
    ({"faults": ("cell_short@9:place=0,value=1",)}, "counted from 1"),
    ({"faults": ("cell_short@9:place=1.5",)}, "give a whole number"),
    ({"faults": ("cell_short@9",)}, "how much"),
    ({"faults": ("cell_short@9:string=9,value=1",)}, "string is 9; give 1 to"),
    ({"faults": ("hvil_open@9:string=x",)}, "give a whole number"),
    ({"tick_s": 0.0}, "--tick is 0"),
    ({"tick_s": np.nan}, "--tick is nan"),
    ({"soc": 90.0}, "--soc is 90"),
    ({"speed": -1.0}, "--speed is -1"),
    ({"seconds": 0.0}, "--seconds is 0"),
]


@pytest.mark.parametrize(("changes", "said"), BAD)
def test_bad_orders_are_refused_before_anything_runs(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigurationError, ReadError), match=said) as caught:
        go(record=tmp_path / "a.parquet", **changes)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_cycle_with_negative_speed_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "hill.csv"
    path.write_text("time_s,speed_m_per_s\n0,0\n1,-3\n2,0\n")
    with pytest.raises(ReadError, match="speed in line 3 is negative"):
        go(cycle=str(path))


def test_a_fault_of_the_truck_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    go(faults=("hvil_open@5",), seconds=20.0)
    assert json.loads(capsys.readouterr().out)["events"]["critical"] >= 1


def test_a_damaged_state_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "memory.npz"
    path.write_bytes(b"PK\x03\x04 not whole")
    with pytest.raises(ReadError, match="not a saved state"):
        go(state=path)
    assert path.read_bytes() == b"PK\x03\x04 not whole"


def test_a_recording_must_be_parquet(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"end it in \.parquet"):
        go(record=tmp_path / "a.csv")


def test_a_full_disk_leaves_no_half_recording(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(WriteError, match="disk is full"):
            go(record=tmp_path / "a.parquet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
