"""A live bus into a log: everything that was taken is there, and no disk stops or delays whoever lives on the bus."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from packhorse.io import bus_recording as recordings
from packhorse.io.bus_recording import BusRecording, bus_recording
from packhorse.io.buses import Heard
from packhorse.io.can_logs import open_can_log
from packhorse.io.errors import WriteError
from packhorse.protocols import frames
from packhorse.protocols.frames import EXTENDED, FD, SENT, CanFrames
from packhorse.protocols.j1939.identifier import CanFrame

ONE, TWO = CanFrame(0x18FEF127, b"\x01\x02\x03"), CanFrame(0x18FF0080, bytes(range(16)))


def everything(path: Path) -> CanFrames:
    return frames.join(list(open_can_log(path).blocks()))


@pytest.mark.parametrize("ending", ["blf", "log", "asc", "log.gz", "asc.gz"])
def test_what_was_taken_is_in_the_log_with_time_way_and_width(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"bus.{ending}"
    with bus_recording(path) as tape:
        tape.take(1.7e9, [ONE, TWO])
        tape.take(1.7e9 + 0.1, [ONE], sent=True)
        tape.heard([Heard(5.0, CanFrame(0x123, b"\x07"), extended=False)], 1.7e9 - 4.8)
    found = everything(path)
    origin_s = 1.7e9 if ending.startswith("asc") else 0.0
    assert np.allclose(found.time_s, 1.7e9 - origin_s + np.array([0.0, 0.0, 0.1, 0.2]), rtol=0.0, atol=2e-6)
    assert found.id.tolist() == [ONE.can_id, TWO.can_id, ONE.can_id, 0x123]
    assert [frames.payload(found, k) for k in range(4)] == [ONE.data, TWO.data, ONE.data, b"\x07"]
    assert found.flags.tolist() == [EXTENDED, EXTENDED | FD, EXTENDED | SENT, 0]
    assert (tape.written, tape.dropped, list(tape.lines)) == (4, 0, [])


def test_a_disk_that_is_full_from_the_start_is_one_line_and_no_error(tmp_path: Path) -> None:
    path = tmp_path / "full.log"
    path.symlink_to("/dev/full")
    with bus_recording(path) as tape:
        for k in range(50):
            tape.take(float(k), [ONE] * 10)
    assert tape.failed
    assert (tape.written, tape.dropped) == (0, 500)
    (line,) = tape.lines
    assert "the disk is full" in line
    assert str(path) in line
    assert "\n" not in line


def test_a_place_that_cannot_be_written_is_one_line_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with bus_recording(tmp_path / "file" / "bus.blf") as tape:
        tape.take(0.0, [ONE])
    (line,) = tape.lines
    assert "cannot be written" in line or "Not a directory" in line
    assert tape.dropped == 1


@pytest.mark.parametrize("name", ["bus.txt", "bus.parquet", "bus"])
def test_a_file_of_which_no_log_can_be_made_is_refused_first(tmp_path: Path, name: str) -> None:
    with pytest.raises(WriteError, match=name), bus_recording(tmp_path / name):
        pytest.fail("it was begun")
    assert list(tmp_path.iterdir()) == []


class Disk:
    """A log whose disk does what a test says."""

    def __init__(self) -> None:
        self.taken, self.fails = 0, False
        self.asked, self.answers, self.kept = threading.Event(), threading.Event(), threading.Event()
        self.answers.set()

    @contextmanager
    def opened(self, path: Path) -> Iterator[Any]:
        del path
        yield self

    def take(self, some: CanFrames) -> None:
        self.asked.set()
        self.answers.wait(60.0)
        if self.fails:
            raise WriteError("the disk is full")
        self.taken += some.id.size

    def flush(self) -> None:
        if self.taken:
            self.kept.set()


def test_a_disk_that_stalls_costs_frames_but_no_time_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "MOST_WAITING", 100)
    monkeypatch.setattr(recordings, "PATIENCE_S", 0.05)
    monkeypatch.setattr(recordings, "FLUSH_S", 0.001)
    disk = Disk()
    disk.answers.clear()
    tape = BusRecording(tmp_path / "bus.log", disk.opened)
    for k in range(30):
        tape.take(float(k), [ONE] * 10)
    assert disk.asked.wait(60.0)
    assert tape.dropped == 200
    tape.close()
    assert tape.dropped == 300
    assert "does not answer" in tape.lines[0]
    disk.answers.set()


def test_a_disk_that_fails_later_leaves_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "FLUSH_S", 0.001)
    disk = Disk()
    tape = BusRecording(tmp_path / "bus.log", disk.opened)
    tape.take(0.0, [ONE] * 10)
    assert disk.kept.wait(60.0)
    disk.fails = True
    tape.take(1.0, [ONE] * 5)
    tape.close()
    tape.take(2.0, [ONE] * 3)
    assert disk.taken == tape.written == 10
    assert tape.dropped == 8
    assert list(tape.lines) == ["recording has stopped: the disk is full"]
