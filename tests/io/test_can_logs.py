"""Readers and writers of recorded buses, with python-can as the judge both ways."""

from __future__ import annotations

import gzip
from pathlib import Path

import can
import numpy as np
import pytest

from buses import ENDINGS, messages, shared, to_frames, written
from packhorse.io.can_logs import BACKWARD, is_can_log, open_can_log
from packhorse.io.can_logs.blf import inflater, plain_inflate
from packhorse.io.can_logs.write import writer
from packhorse.io.errors import ReadError, WriteError
from packhorse.protocols import frames
from packhorse.protocols.frames import ERROR, EXTENDED, FD, REMOTE, SENT, CanFrames

KEPT = {"blf": 0xFF & ~SENT, "asc": 0xFF, "log": 0xFF & ~SENT, "csv": EXTENDED | REMOTE | ERROR}
"""Flags that a format keeps of every frame (of error frames none says who sent them)."""


def everything(path: Path) -> CanFrames:
    return frames.join(list(open_can_log(path).blocks()))


def must_be(found: CanFrames, some: list[can.Message], kept: int, *, relative: bool = False) -> None:
    """Frames are those of python-can, error frames only by their being errors."""
    expected = to_frames(some)
    origin_s = expected.time_s[0] if relative else 0.0
    assert np.allclose(found.time_s, expected.time_s - origin_s, rtol=0.0, atol=1.1e-6)
    for k, one in enumerate(some):
        assert (found.flags[k] & ERROR != 0) == one.is_error_frame
        if not one.is_error_frame:
            assert found.id[k] == one.arbitration_id
            assert found.flags[k] & kept == expected.flags[k] & kept
            assert frames.payload(found, k) == bytes(one.data)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("count", [1, 700])
def test_reads_what_python_can_writes(tmp_path: Path, ending: str, count: int) -> None:
    some = messages(count)
    path = written(tmp_path / f"bus.{ending}", some)
    log = open_can_log(path)
    assert log.kind == ENDINGS[ending]
    found = frames.join(list(log.blocks()))
    must_be(found, some, KEPT[ending], relative=ending == "asc")
    assert log.complaint() == ""
    if ending != "csv":
        assert found.bus.tolist() == [one.channel for one in some]


@pytest.mark.parametrize("ending", ENDINGS)
def test_compressed_and_by_any_name(tmp_path: Path, ending: str) -> None:
    some = messages(200)
    plain = written(tmp_path / f"bus.{ending}", some)
    packed = tmp_path / "renamed.dat"
    packed.write_bytes(gzip.compress(plain.read_bytes()[:1000]) + gzip.compress(plain.read_bytes()[1000:]))
    assert is_can_log(packed)
    must_be(everything(packed), some, KEPT[ending], relative=ending == "asc")


@pytest.mark.parametrize("ending", ["log", "blf", "asc", "log.gz"])
def test_python_can_reads_what_we_write(tmp_path: Path, ending: str) -> None:
    some = messages(5000)
    path = tmp_path / f"ours.{ending}"
    given = to_frames(some)
    with writer(path) as made:
        made.take(frames.take(given, slice(0, 1200)))
        made.take(frames.take(given, slice(1200, None)))
    text = ending.removesuffix(".gz")
    theirs = list(can.LogReader(path, **({"relative_timestamp": False} if text == "asc" else {})))
    assert len(theirs) == len(some)
    for found, one in zip(theirs, some, strict=True):
        assert found.timestamp == pytest.approx(one.timestamp, abs=1.1e-6)
        assert found.is_error_frame == one.is_error_frame
        if not one.is_error_frame:
            assert found.arbitration_id == one.arbitration_id
            assert found.is_extended_id == one.is_extended_id
            assert bytes(found.data) == bytes(one.data)
            assert (found.is_fd, found.bitrate_switch) == (one.is_fd, one.bitrate_switch)
            assert found.is_rx == one.is_rx
            if not (text == "asc" and one.is_fd and not one.data):  # which python-can takes for remote
                assert found.is_remote_frame == one.is_remote_frame
    must_be(everything(path), some, KEPT[text], relative=text == "asc")


@pytest.mark.parametrize("ending", ["log", "blf", "parquet"])
def test_what_we_write_we_read(tmp_path: Path, ending: str) -> None:
    given = to_frames(messages(300))
    path = tmp_path / f"ours.{ending}"
    with writer(path) as made:
        made.take(given)
    found = everything(path)
    sound = given.flags & ERROR == 0
    kept = found.flags[sound] if ending == "parquet" else found.flags[sound] & (EXTENDED | FD | REMOTE)
    assert np.array_equal(kept, given.flags[sound] & (0xFF if ending == "parquet" else EXTENDED | FD | REMOTE))
    assert np.array_equal(frames.rows(found, 64), frames.rows(given, 64))
    assert np.array_equal(found.id[sound], given.id[sound])
    assert np.allclose(found.time_s, given.time_s, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("ending", ["log", "blf", "asc", "log.gz", "asc.gz"])
def test_a_recording_that_was_killed_has_all_up_to_the_last_flush(tmp_path: Path, ending: str) -> None:
    given = to_frames(messages(900))
    path, killed = tmp_path / f"ours.{ending}", tmp_path / f"killed.{ending}"
    with writer(path) as made:
        for begin in range(0, 900, 300):
            made.take(frames.take(given, slice(begin, begin + 300)))
            made.flush()
        made.take(given)
        killed.write_bytes(path.read_bytes())
    found = everything(killed)
    assert found.id.size >= 900
    origin_s = given.time_s[0] if ending.startswith("asc") else 0.0
    assert np.allclose(found.time_s[:900], given.time_s - origin_s, rtol=0.0, atol=1.1e-6)


def test_messages_of_several_packets_are_not_written_as_frames(tmp_path: Path) -> None:
    given = to_frames(messages(20))
    marked = given._replace(flags=given.flags | np.where(np.arange(20) == 7, frames.LONG, 0).astype(np.uint8))
    for ending in ("log", "asc", "blf", "parquet"):
        with writer(tmp_path / f"ours.{ending}") as made:
            made.take(marked)
        assert everything(tmp_path / f"ours.{ending}").id.size == 19


def test_both_inflaters_agree() -> None:
    import zlib  # noqa: PLC0415

    content = bytes(range(256)) * 500
    packed = zlib.compress(content)
    for inflate in (inflater(), plain_inflate):
        assert inflate(packed, len(content)) == content
        for wrong in (len(content) - 1, len(content) + 1, 0):
            with pytest.raises(ValueError, match="stated"):
                inflate(packed, wrong)


def test_candump_as_it_prints(tmp_path: Path) -> None:
    path = tmp_path / "typed.txt"
    path.write_text(
        " (1700000000.100000)  can1  123   [3]  00 11 FF\n"
        " (1700000000.200000)  vcan12  18FEF100   [8]  00 11 22 33 44 55 66 77   '..\"3DUfw'\n"
        "(1700000000.3) slcan0 18FEF100#00112233_9\n"
        "(1700000000.4) can0 123#0\n"
        "(1700000000.4) can0 923#00\n"
        "(1700000000.4) can0 123#001122334455667788\n"
        "nonsense\n"
        "(1700000000.5) can0 123#\n"
    )
    log = open_can_log(path)
    found = frames.join(list(log.blocks()))
    assert [frames.payload(found, k).hex() for k in range(4)] == ["0011ff", "0011223344556677", "00112233", ""]
    assert found.bus.tolist() == [1, 12, 0, 0]
    assert log.complaint() == "4 lines that are no frame"


def test_asc_of_other_tools(tmp_path: Path) -> None:
    path = tmp_path / "other.asc"
    path.write_text(
        "date Mon Jan 2 03:04:05 2023\nbase dec  timestamps relative\nno internal events logged\n"
        "// version 9\n   0.5 1  291  Rx   d 2 16 255  Length = 100 BitCount = 64\n"
        "   0.25 Start of measurement\n"
        "   0.25 2  217056513x  Tx   d 8 1 2 3 4 5 6 7 8\n"
        "   1.0 1  Statistic: D 0 R 0\n   0.125 1  EngineSpeed Rx d 1 5\n   1.0 1  291 Rx d 2 300 1\n"
    )
    log = open_can_log(path)
    found = frames.join(list(log.blocks()))
    assert found.id.tolist() == [291, 217056513]
    assert found.time_s.tolist() == [0.5, 1.0]
    assert frames.payload(found, 0) == b"\x10\xff"
    assert found.flags.tolist() == [0, EXTENDED | SENT]
    assert log.complaint() == "frames that cannot be"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("timestamp,id,data\n1.5,0x18FEF100,0011ff\n", (1.5, 0x18FEF100, EXTENDED, "0011ff")),
        ("time_s;can_id;dlc;data\n1.5;7E8;2;00 FF\n", (1.5, 0x7E8, 0, "00ff")),
        ("timestamp,id,extended,data\n2,217056513,1,0x01\n", (2.0, 217056513, EXTENDED, "01")),
        (
            "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8\n1500000,0CF00400,true,Rx,0,2,0A,FF,,,,,,,\n",
            (1.5, 0x0CF00400, EXTENDED, "0aff"),
        ),
    ],
)
def test_csv_of_other_tools(tmp_path: Path, content: str, expected: tuple[float, int, int, str]) -> None:
    path = tmp_path / "other.csv"
    path.write_text(content)
    found = everything(path)
    assert (found.time_s[0], found.id[0], found.flags[0], frames.payload(found, 0).hex()) == expected


def test_identifiers_that_may_be_decimal_or_hex_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "either.csv"
    path.write_text("timestamp,id,data\n1.5,291,00\n1.6,1042,00\n")
    with pytest.raises(ReadError, match="'291' may be decimal or hex; write hex as 0x123"):
        everything(path)


def test_a_clock_that_jumps_backward_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "jump.log"
    path.write_text("".join(f"({t}.0) can0 123#00\n" for t in (5, 6, 2, 3, 1)))
    log = open_can_log(path)
    assert sum(block.id.size for block in log.blocks()) == 5
    assert log.findings[BACKWARD] == 2
    assert log.complaint() == "2 times that run backwards"


@pytest.mark.parametrize("name", ["nothing.log", "folder", "empty.blf", "picture.png", "table.csv"])
def test_what_is_no_log_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    contents = {"empty.blf": b"", "picture.png": b"\x89PNG\r\n" * 50, "table.csv": b"time_s,cell_V_1\n0,3.3\n"}
    if name == "folder":
        path.mkdir()
    elif name in contents:
        path.write_bytes(contents[name])
    with pytest.raises(ReadError, match=str(path)):
        open_can_log(path)
    assert not is_can_log(path)


def test_writers_refuse_other_endings(tmp_path: Path) -> None:
    with (
        pytest.raises(WriteError, match=r"\.log, \.log\.gz, \.asc, \.asc\.gz, \.blf, \.parquet"),
        writer(tmp_path / "bus.mf4"),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "count", "identifiers"),
    [
        ("css_truck_j1939_short.mf4", 1815, 16),
        ("css_truck_j1939_idle.mf4", 57849, 0),
        ("css_electric_bus_standstill.mf4", 150411, 0),
    ],
)
def test_logs_of_real_vehicles(name: str, count: int, identifiers: int) -> None:
    if not shared(name).is_file():
        pytest.skip("the logs of real vehicles are not here")
    pytest.importorskip("asammdf")
    log = open_can_log(shared(name))
    found = frames.join(list(log.blocks()))
    assert found.id.size == count
    assert (np.diff(found.time_s) >= 0.0).all()
    assert log.complaint() == ""
    assert np.unique(found.id).size == (identifiers or np.unique(found.id).size)
    assert (found.flags & EXTENDED != 0).sum() == np.count_nonzero(found.id > 0x7FF)
    assert set(found.bus.tolist()) <= {0, 1, 8}
