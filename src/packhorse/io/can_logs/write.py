"""Frames out: candump, ASC and BLF as they come, so that a crash loses what came since the last `flush`; Parquet whole.

Text may be packed (`.log.gz`, `.asc.gz`); a packed log that was not finished is readable up to its last flush.
"""

from __future__ import annotations

import datetime as dt
import gzip
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from packhorse.io.can_logs import parquet
from packhorse.io.can_logs.blf import CAN_ERROR_EXT, CAN_FD, CAN_MESSAGE, CONTAINER, HEADER, OBJECT, SIGNATURE, ZLIB
from packhorse.io.can_logs.write_text import CODES, EARLIEST_S, Asc, Candump
from packhorse.io.errors import Error, WriteError
from packhorse.io.results import is_full, said
from packhorse.protocols.frames import (
    BRS,
    ERROR,
    ESI,
    EXTENDED,
    FD,
    LONG,
    LONGEST_FRAME,
    REMOTE,
    SENT,
    CanFrames,
    rows,
    take,
)

STREAMED: dict[str, Callable[[BinaryIO], Text]] = {".log": Candump, ".log.gz": Candump, ".asc": Asc, ".asc.gz": Asc}
BLF, PARQUET = ".blf", ".parquet"
ENDINGS = (*STREAMED, BLF, PARQUET)
HEADER_BYTES, CONTAINER_BYTES = 144, 128 * 1024
OBJECT_HEAD = [("sign", "<u4"), ("head", "<u2"), ("version", "<u2"), ("size", "<u4"), ("kind", "<u4")]
OBJECT_TIME = [("unit", "<u4"), ("client", "<u2"), ("of", "<u2"), ("ticks", "<u8")]
CLASSIC = np.dtype(
    [*OBJECT_HEAD, *OBJECT_TIME, ("bus", "<u2"), ("flags", "u1"), ("count", "u1"), ("id", "<u4"), ("data", "u1", 8)]
)
FLEXIBLE = np.dtype(
    [
        *OBJECT_HEAD,
        *OBJECT_TIME,
        *[("bus", "<u2"), ("flags", "u1"), ("code", "u1"), ("id", "<u4"), ("span", "<u4"), ("arbitration", "u1")],
        *[("fd", "u1"), ("count", "u1"), ("none", "u1", 5), ("data", "u1", 64)],
    ]
)
WRONG = np.dtype(
    [
        *OBJECT_HEAD,
        *OBJECT_TIME,
        *[("bus", "<u2"), ("length", "<u2"), ("what", "<u4"), ("ecc", "u1"), ("at", "u1"), ("count", "u1")],
        *[("none", "u1"), ("span", "<u4"), ("id", "<u4"), ("more", "<u2"), ("also", "<u2"), ("data", "u1", 8)],
    ]
)


class Writer(Protocol):
    """Takes frames, block by block."""

    def take(self, frames: CanFrames) -> None:
        """Write some frames behind those before. Messages of several packets are left out: their packets are there."""

    def flush(self) -> None:
        """Give the file all that was taken; on a live bus once a second."""


def ending(path: Path) -> str:
    """How a log is written, by its ending. Raises WriteError for what is none."""
    found = next((end for end in ENDINGS if path.name.lower().endswith(end)), "")
    if not found or path.is_dir():
        raise WriteError(f"{path}: logs are written as {', '.join(ENDINGS)}; give a file that ends so")
    return found


@contextmanager
def writer(path: Path) -> Iterator[Writer]:
    """A log to be written, by its ending. Raises WriteError, e.g. on a full disk."""
    form = ending(path)
    if form == PARQUET:
        with said(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with _parquet(path) as parts:
                yield parts
        return
    with _streamed(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as bare, _packed(bare, packed=form.endswith(".gz")) as file:
            made = Blf(file) if form == BLF else Single(STREAMED[form](file))
            yield made
            made.finish()


@contextmanager
def _packed(file: BinaryIO, *, packed: bool) -> Iterator[BinaryIO]:
    """A file, or one that packs what goes into it."""
    if not packed:
        yield file
        return
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=1, mtime=0) as small:
        yield cast("BinaryIO", small)


@contextmanager
def _streamed(path: Path) -> Iterator[None]:
    """What a disk complains of while a log grows, in one line with its remedy."""
    try:
        yield
    except Error:
        raise
    except OSError as error:
        if is_full(path, error):
            raise WriteError(f"{path}: the disk is full; free some space or give another file") from error
        raise WriteError(f"{path}: cannot be written ({error.strerror or error}); give another file") from error


class Text(Protocol):
    """A writer of lines."""

    def take(self, frames: CanFrames) -> None:
        """Write some frames."""

    def flush(self) -> None:
        """Give the file all that was taken."""

    def finish(self) -> None:
        """Write what ends the log."""


class Single:
    """Gives a writer of lines the frames that were one on the bus."""

    def __init__(self, text: Text) -> None:
        self._text = text
        self.flush, self.finish = text.flush, text.finish

    def take(self, frames: CanFrames) -> None:
        """Write some frames."""
        self._text.take(single(frames))


def single(frames: CanFrames) -> CanFrames:
    """The frames that were one on the bus."""
    return take(frames, ((frames.flags & LONG) == 0) & (frames.length <= LONGEST_FRAME))


class Blf:
    """Writes what Vector's tools read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start_s: float | None = None
        self._stop_s = 0.0
        self._objects = 0
        self._inflated = HEADER_BYTES
        self._waiting = bytearray()
        self._write_header()

    def take(self, frames: CanFrames) -> None:
        """Write some frames."""
        alone = single(frames)
        if alone.id.size == 0:
            return
        if self._start_s is None:
            first_s = float(np.nanmin(alone.time_s))
            self._start_s = int(first_s * 1000) / 1000 if first_s >= EARLIEST_S else 0.0
            self._write_header()
        self._stop_s = float(alone.time_s[-1])
        self._objects += alone.id.size
        self._waiting += objects(alone, self._start_s)
        while len(self._waiting) >= CONTAINER_BYTES:
            self._write_container(bytes(self._waiting[:CONTAINER_BYTES]))
            del self._waiting[:CONTAINER_BYTES]

    def flush(self) -> None:
        """Write what is waiting as a container of its own."""
        if self._waiting:
            self._write_container(bytes(self._waiting))
            self._waiting.clear()
        self._file.flush()

    def finish(self) -> None:
        """Write what is waiting, and the header with what is known now."""
        self.flush()
        self._write_header()

    def _write_container(self, content: bytes) -> None:
        packed = zlib.compress(content, 1)
        size = 32 + len(packed)
        head = struct.pack("<4sHHLLH6xL4x", OBJECT, 16, 1, size, CONTAINER, ZLIB, len(content))
        self._file.write(head + packed + bytes(size % 4))
        self._inflated += len(content) + 32

    def _write_header(self) -> None:
        at = self._file.seek(0, 2)
        told = (
            SIGNATURE,
            HEADER_BYTES,
            5,
            0,
            0,
            0,
            2,
            6,
            8,
            1,
            max(at, HEADER_BYTES),
            self._inflated,
            self._objects,
            0,
        )
        moments = (*_moment(self._start_s or 0.0), *_moment(self._stop_s))
        self._file.seek(0)
        self._file.write(HEADER.pack(*told, *moments).ljust(HEADER_BYTES, b"\0"))
        self._file.seek(0, 2)


def _moment(time_s: float) -> tuple[int, ...]:
    """A time as Windows writes it; zeros for none."""
    if not EARLIEST_S <= time_s < 2.5e11:
        return (0,) * 8
    t = dt.datetime.fromtimestamp(round(time_s, 3), dt.UTC)
    return t.year, t.month, t.isoweekday() % 7, t.day, t.hour, t.minute, t.second, t.microsecond // 1000


def objects(frames: CanFrames, start_s: float) -> bytes:
    """Frames as objects of a BLF, in their order."""
    error, flexible = (frames.flags & ERROR) != 0, (frames.flags & FD) != 0
    form = np.where(error, 2, np.where(flexible, 1, 0))
    sizes = np.array([CLASSIC.itemsize, FLEXIBLE.itemsize, WRONG.itemsize])[form]
    at = np.concatenate(([0], np.cumsum(sizes)))
    out = np.zeros(int(at[-1]), dtype=np.uint8)
    for number, (dtype, kind) in enumerate(((CLASSIC, CAN_MESSAGE), (FLEXIBLE, CAN_FD), (WRONG, CAN_ERROR_EXT))):
        which = np.flatnonzero(form == number)
        if which.size:
            made = _objects(take(frames, which), start_s, dtype, kind)
            out[at[which][:, None] + np.arange(dtype.itemsize)] = made.view(np.uint8).reshape(which.size, -1)
    return out.tobytes()


def _objects(frames: CanFrames, start_s: float, dtype: np.dtype[np.void], kind: int) -> NDArray[np.void]:
    """Frames of one form."""
    made = np.zeros(frames.id.size, dtype=dtype)
    made["sign"], made["head"], made["version"] = int.from_bytes(OBJECT, "little"), 32, 1
    made["size"], made["kind"], made["unit"] = dtype.itemsize, kind, 2
    made["ticks"] = np.maximum(np.rint((frames.time_s - start_s) * 1e9), 0.0).astype(np.uint64)
    made["bus"] = frames.bus.astype(np.uint16) + 1
    made["id"] = frames.id | np.where(frames.flags & EXTENDED, np.uint32(0x80000000), np.uint32(0))
    made["count"] = np.minimum(frames.length, made["data"].shape[1])
    made["data"] = rows(frames, made["data"].shape[1])
    if kind != CAN_ERROR_EXT:
        made["flags"] = np.where(frames.flags & REMOTE, 0x80, 0) | np.where(frames.flags & SENT, 1, 0)
    if kind == CAN_FD:
        made["code"] = np.searchsorted(CODES, frames.length)
        made["fd"] = 1 | np.where(frames.flags & BRS, 2, 0) | np.where(frames.flags & ESI, 4, 0)
    return made


class _Parts:
    """Parts of a table, written one by one beside it."""

    def __init__(self, beside: Path) -> None:
        self._beside = beside
        self.parts: list[Path] = []

    def take(self, frames: CanFrames) -> None:
        """Write some frames as one part."""
        part = self._beside / f"{len(self.parts):06d}.parquet"
        parquet.table(single(frames)).write_parquet(part)
        self.parts.append(part)

    def flush(self) -> None:
        """Each part is a file already."""


@contextmanager
def _parquet(path: Path) -> Iterator[_Parts]:
    """A Parquet file that appears whole at the end, or not at all."""
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        made = _Parts(beside)
        yield made
        if made.parts:
            pl.scan_parquet(made.parts).sink_parquet(beside / "whole")
            (beside / "whole").replace(path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
