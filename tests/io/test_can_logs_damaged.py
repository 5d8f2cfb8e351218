"""Logs cut at every byte, damaged, blown up, and anything at all: what was read is true, the rest is said."""

from __future__ import annotations

import gzip
import os
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from attempts import Apart, attempt
from buses import ENDINGS, messages, shared, written
from hostile import mutated
from packhorse.io.can_logs import READERS, open_can_log, parquet
from packhorse.io.can_logs.source import MOST_INFLATION
from packhorse.protocols import frames
from packhorse.protocols.frames import EXTENDED, FD, LONG, CanFrames, from_rows

COUNT = 12
LOST_POWER = (
    (range(20_000, 20_001), 347, "cut off"),
    (range(60_000, 60_004), 1458, "cut off"),
    (range(60_004, 60_027), 1459, ""),
    (range(60_027, 60_036), 1459, "cut off"),
)
"""After how many bytes a log of a truck ends, the frames that are whole until there, and what is said.

A frame and its payload take 36 bytes. Of one that ends between the two, asammdf tells nothing.
"""
SLOW = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    """Reads what the tests have broken; not one file of it is read in this process."""
    reading = Apart()
    yield reading
    reading.close()


def children() -> set[int]:
    """Processes that the main thread of this one has started and that still are."""
    told = Path(f"/proc/self/task/{os.getpid()}/children")
    if not told.is_file():
        pytest.skip("no /proc to see processes in")
    return {int(word) for word in told.read_text().split()}


def must_begin_with(found: CanFrames, whole: CanFrames) -> None:
    """What was read of a part of a log is the beginning of what the whole holds."""
    count = found.id.size
    assert count <= whole.id.size
    assert np.array_equal(found.time_s, whole.time_s[:count])
    assert np.array_equal(found.id, whole.id[:count])
    assert np.array_equal(frames.rows(found, 64), frames.rows(frames.take(whole, slice(0, count)), 64))


@pytest.mark.parametrize("ending", [*ENDINGS, "log.gz", "blf.gz"])
def test_cut_at_every_byte(tmp_path: Path, apart: Apart, ending: str) -> None:
    path = written(tmp_path / f"bus.{ending.removesuffix('.gz')}", messages(COUNT))
    content = gzip.compress(path.read_bytes()) if ending.endswith(".gz") else path.read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(content)
    whole, said = apart.attempt(cut)
    assert whole.id.size == COUNT
    assert said == ""
    told = 0
    for size in range(len(content)):
        cut.write_bytes(content[:size])
        found, said = apart.attempt(cut)
        must_begin_with(found, whole)
        told += said != ""
        assert said or found.id.size == COUNT or not content[:size].rpartition(b"\n")[2].strip()
    assert told > 0


def test_mf4_cut_anywhere(tmp_path: Path, apart: Apart) -> None:
    pytest.importorskip("asammdf")
    path = written(tmp_path / "bus.mf4", messages(40, special=False))
    content = path.read_bytes()
    whole, _ = apart.attempt(path)
    assert whole.id.size == 40
    cut = tmp_path / "cut.mf4"
    for size in np.random.default_rng(1).choice(len(content), 60, replace=False):
        cut.write_bytes(content[:size])
        found, said = apart.attempt(cut)
        assert found.id.size <= 40
        assert said


def test_an_mf4_whose_logger_lost_power_gives_what_there_was(tmp_path: Path, apart: Apart) -> None:
    pytest.importorskip("asammdf")
    if not shared("css_truck_j1939_short.mf4").is_file():
        pytest.skip("the logs of real vehicles are not here")
    content = shared("css_truck_j1939_short.mf4").read_bytes()
    whole, _ = attempt(shared("css_truck_j1939_short.mf4"))
    cut = tmp_path / "cut.mf4"
    for sizes, count, told in LOST_POWER:
        for size in sizes:
            cut.write_bytes(content[:size])
            found, said = apart.attempt(cut)
            must_begin_with(found, whole)
            assert (found.id.size, said) == (count, told), size


def test_any_damaged_mf4_is_refused_in_one_line(tmp_path: Path, apart: Apart) -> None:
    pytest.importorskip("asammdf")
    content = written(tmp_path / "bus.mf4", messages(40, special=False)).read_bytes()
    dice, refused = np.random.default_rng(5), 0
    for _ in range(60):
        (tmp_path / "broken").write_bytes(mutated(dice, content))
        refused += apart.attempt(tmp_path / "broken")[1] != ""
    assert refused > 30


def test_a_damaged_mf4_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("asammdf")
    content = written(tmp_path / "bus.mf4", messages(40, special=False)).read_bytes()
    dice, refused = np.random.default_rng(5), 0
    for _ in range(4):
        (tmp_path / "broken").write_bytes(mutated(dice, content))
        refused += attempt(tmp_path / "broken")[1] != ""
    assert refused > 1
    assert capfd.readouterr() == ("", "")


DYING = """
import os, sys
from buses import messages, to_frames
from packhorse.io.can_logs.apart import packed, record
said = record(packed(to_frames(messages(9, special=False))))
sys.stdout.buffer.write({said})
sys.stdout.flush()
os.abort()
"""


@pytest.mark.parametrize(
    ("said", "frames_read"), [("b''", 0), ("said", 9), ("said + said[:50]", 9), ("said + b'\\xff' * 90", 9)]
)
def test_an_mf4_that_brings_its_reader_down_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, frames_read: int
) -> None:
    (tmp_path / "dying_reader.py").write_text(DYING.replace("{said}", said), encoding="utf-8")
    (tmp_path / "bus.mf4").write_bytes(b"MDF     4.10    " + bytes(200))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("packhorse.io.can_logs.apart.MODULE", "dying_reader")
    found, complaint = attempt(tmp_path / "bus.mf4")
    assert found.id.size == frames_read
    assert "damaged" in complaint


def test_a_reader_of_mf4_that_is_no_longer_wanted_ends(tmp_path: Path) -> None:
    pytest.importorskip("asammdf")
    path = written(tmp_path / "bus.mf4", messages(40, special=False))
    before = children()
    reading = READERS["MF4"](path, Counter())
    next(reading)
    started = children() - before
    assert len(started) == 1
    reading.close()
    assert not started & children()


@pytest.mark.parametrize(
    ("identifier", "flags", "length"),
    [(0x123, 0, 9), (0x18FEF100, EXTENDED, 9), (0x123, FD, 65), (0x800, 0, 8), (0x20000000, EXTENDED, 8), (1, LONG, 8)],
)
def test_frames_that_no_bus_carries_are_dropped_and_counted(
    tmp_path: Path, identifier: int, flags: int, length: int
) -> None:
    ids, lengths = np.array([0x123, identifier], np.uint32), np.array([8, length], np.uint16)
    kinds = np.array([0, flags], np.uint8)
    two = from_rows(np.array([1.7e9, 1.7e9]), ids, np.zeros((2, 70), np.uint8), length=lengths, flags=kinds)
    parquet.table(two).write_parquet(tmp_path / "bus.parquet")
    log = open_can_log(tmp_path / "bus.parquet")
    assert [block.id.tolist() for block in log.blocks()] == [[0x123]]
    assert log.complaint() == "frames that cannot be"


@pytest.mark.parametrize("ending", ENDINGS)
def test_flipped_bytes(tmp_path: Path, apart: Apart, ending: str) -> None:
    path = written(tmp_path / f"bus.{ending}", messages(30))
    content = bytearray(path.read_bytes())
    dice = np.random.default_rng(2)
    for _ in range(400):
        broken = bytearray(content)
        for _ in range(dice.integers(1, 9)):
            broken[dice.integers(len(broken))] = dice.integers(256)
        path.write_bytes(broken)
        found, _ = apart.attempt(path)
        assert found.id.size <= 31
        assert (found.length <= 64).all()
        assert (found.start + found.length <= found.data.size).all()


def test_gzip_bombs_are_refused(tmp_path: Path, apart: Apart) -> None:
    path = tmp_path / "bomb.log.gz"
    line = b"(1700000000.000000) can0 123#0011223344556677\n"
    stream = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(stream.compress(line * 100_000) for _ in range(20)) + stream.flush()
    assert len(packed) * MOST_INFLATION < 20 * 100_000 * len(line)
    path.write_bytes(packed)
    found, said = apart.attempt(path)
    assert "inflates more than 200 times" in said
    assert found.id.size < 2_000_000
    path.write_bytes(gzip.compress(bytes(200 * 2**20), 9))
    assert "not a log" in apart.attempt(path)[1]
    path.write_bytes(gzip.compress(line + bytes(200 * 2**20), 9))
    assert "no end of line" in apart.attempt(path)[1]


def test_containers_that_lie_about_their_size(tmp_path: Path, apart: Apart) -> None:
    path = written(tmp_path / "bus.blf", messages(50))
    content = bytearray(path.read_bytes())
    for stated in (0, 10, 2**31, 2**32 - 1):
        content[144 + 24 : 144 + 28] = stated.to_bytes(4, "little")
        path.write_bytes(content)
        found, said = apart.attempt(path)
        assert found.id.size == 0
        assert "damaged" in said


@pytest.mark.parametrize("kind", [kind for kind in READERS if kind != "MF4"])
@given(content=st.binary(max_size=2000))
@example(content=b"LOGG" + bytes(200) + b"LOBJ\x10\x00\x01\x00" + b"\xff" * 40)
@example(content=b"(1.0) can0 123##\n(1.0) can0 \n( \n() can0 1#\n(1.0) can0 12345678#T\n")
@example(content=b"base dec\n 1.0 CANFD\n 1.0 1\n 1.0 1 1x\n 1.0 1 1x Rx d\n 1 CANFD 1 Rx 1 1\n")
@example(content=b"id,timestamp,data\n,,\n0x,1,\n0x1,,zz\n0x1,1,0x\n")
@SLOW
def test_anything_at_all(tmp_path: Path, apart: Apart, kind: str, content: bytes) -> None:
    path = tmp_path / "anything"
    for some in (content, SIGNS[kind] + content):
        path.write_bytes(some)
        start = time.perf_counter()
        for block in apart.blocks(kind, path):
            assert (block.length <= 64).all() or kind == "Parquet"
            assert (block.start + block.length <= block.data.size).all()
        assert time.perf_counter() - start < 30.0


SIGNS = {
    "BLF": b"LOGG".ljust(144, b"\0"),
    "Parquet": b"PAR1",
    "candump": b"(1.0) can0 123#00\n",
    "ASC": b"date x\nbase hex\n 0.5 1 123 Rx d 1 00\n",
    "CSV": b"timestamp,arbitration_id,extended,remote,error,dlc,data\n",
}
