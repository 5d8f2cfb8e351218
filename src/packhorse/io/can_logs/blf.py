"""BLF, the binary log of Vector's tools: a header, then containers of objects, each compressed by zlib.

Read by a compiled walk over the inflated bytes; the payloads stay where they are. There is no public specification:
the layouts are those that python-can reads and writes (can/io/blf.py), which is the judge in the tests.
"""

from __future__ import annotations

import datetime as dt
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.compiled import compiled, part
from packhorse.io.can_logs.source import CUT_OFF, DAMAGED, Findings, chunks, must_be_believable
from packhorse.io.errors import ReadError
from packhorse.protocols.frames import BRS, ERROR, ESI, EXTENDED, FD, REMOTE, SENT, Bytes, CanFrames

SIGNATURE, OBJECT = b"LOGG", b"LOBJ"
HEADER = struct.Struct("<4sL8BQQLL8H8H")
CONTAINER, STORED, ZLIB = 10, 0, 2
LARGEST_CONTAINER = 64 * 2**20
SMALLEST_OBJECT = 32
WALKED_BYTES = 2**20
"""So much is inflated and walked at once: it stays in the processor's cache from the one to the other."""
CAN_MESSAGE, CAN_MESSAGE2, CAN_ERROR, CAN_ERROR_EXT, CAN_FD, CAN_FD_64 = 1, 86, 2, 73, 100, 101
LOBJ = int.from_bytes(OBJECT, "little")
LONGEST_BY_CODE = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64], dtype=np.int64)
Inflate = Callable[[bytes, int], bytes | bytearray]


class Walked(NamedTuple):
    """Frames found in a stretch of objects; `used` bytes need not be seen again."""

    frames: CanFrames
    used: int
    damaged: int


def read(path: Path, findings: Findings) -> Iterator[CanFrames]:
    """The frames of a BLF. Times are seconds since 1970 where the header knows when the recording began."""
    stream = _Stream(chunks(path, findings))
    head = stream.take(HEADER.size)
    if len(head) < HEADER.size or not head.startswith(SIGNATURE):
        raise ReadError(f"{path}: ends within its header; record or copy it again")
    fields = HEADER.unpack(head)
    stream.take(min(max(fields[1], HEADER.size), 4096) - HEADER.size)
    start_s = began_s(fields[14:22])
    rest, waiting, size = b"", [], 0
    for block in _containers(path, stream, findings):
        waiting.append(block)
        size += len(block)
        if size >= WALKED_BYTES:
            frames, rest = _frames(rest + b"".join(waiting), start_s, findings)
            waiting, size = [], 0
            yield frames
    frames, rest = _frames(rest + b"".join(waiting), start_s, findings)
    findings[CUT_OFF] += int(len(rest.strip(b"\0")) > 0)
    yield frames


class _Stream:
    """Bytes that come in chunks, taken in pieces."""

    def __init__(self, source: Iterator[bytes]) -> None:
        self._source = source
        self._rest = b""
        self._at = 0
        self.taken = 0

    def take(self, size: int) -> bytes:
        """The next bytes; fewer only at the end."""
        while len(self._rest) - self._at < size:
            more = next(self._source, b"")
            if not more:
                break
            self._rest, self._at = self._rest[self._at :] + more, 0
        piece = self._rest[self._at : self._at + size]
        self._at += len(piece)
        self.taken += len(piece)
        return piece


def _containers(path: Path, stream: _Stream, findings: Findings) -> Iterator[bytes | bytearray]:
    """What the containers hold, inflated; objects outside of containers too."""
    inflate, given = inflater(), 0
    while head := stream.take(16):
        if len(head) < 16:
            findings[CUT_OFF] += int(len(head.strip(b"\0")) > 0)
            return
        signature, _, _, size, kind = struct.unpack("<4sHHLL", head)
        if signature != OBJECT or not SMALLEST_OBJECT <= size <= LARGEST_CONTAINER:
            findings[DAMAGED] += 1
            return
        body = stream.take(size - 16)
        if len(body) < size - 16:
            findings[CUT_OFF] += 1
            return
        stream.take(size % 4)
        if kind != CONTAINER:
            yield head + body + bytes(size % 4)
            continue
        block = _content(body, inflate, findings)
        given += len(block)
        must_be_believable(path, stream.taken, given)
        yield block


def _content(body: bytes, inflate: Inflate, findings: Findings) -> bytes | bytearray:
    """What one container holds; empty where that cannot be told."""
    method, size = struct.unpack_from("<H6xL", body)
    if method == STORED:
        return body[16:]
    if method != ZLIB or size > LARGEST_CONTAINER:
        findings[DAMAGED] += 1
        return b""
    try:
        return inflate(body[16:], size)
    except (ValueError, zlib.error):
        findings[DAMAGED] += 1
        return b""


def inflater() -> Inflate:
    """The fastest that is installed; each gives at most the size that the container states."""
    try:
        import deflate  # noqa: PLC0415
    except ImportError:
        return plain_inflate

    def fast(body: bytes, size: int) -> bytes | bytearray:
        try:
            found: bytes | bytearray = deflate.zlib_decompress(body, size) if size else b""
        except deflate.DeflateError:
            found = b""
        return found if size and len(found) == size else plain_inflate(body, size)

    return fast


def plain_inflate(body: bytes, size: int) -> bytes:
    """As zlib has it. Raises ValueError where the content is not of the size that is stated."""
    stream = zlib.decompressobj()
    found = stream.decompress(body, max(size, 1))
    if len(found) != size or not stream.eof:
        raise ValueError(f"{len(found)} bytes where {size} are stated")
    return found


def began_s(moment: tuple[int, ...]) -> float:
    """Seconds since 1970 of a time as Windows writes it; 0 for none."""
    year, month, _, day, hour, minute, second, milli = moment
    try:
        began = dt.datetime(year, month, day, hour, minute, second, milli * 1000, tzinfo=dt.UTC)
    except ValueError:
        return 0.0
    return began.timestamp()


def _frames(content: bytes, start_s: float, findings: Findings) -> tuple[CanFrames, bytes]:
    """The frames of some bytes, and what is left of an object that goes on."""
    walked = walk(np.frombuffer(content, dtype=np.uint8), start_s)
    findings[DAMAGED] += walked.damaged
    return walked.frames, content[walked.used :]


@compiled
def walk(data: Bytes, start_s: float) -> Walked:
    """Every CAN frame among the objects of a container."""
    most = data.size // SMALLEST_OBJECT + 1
    time_s, identifier = np.empty(most, np.float64), np.empty(most, np.uint32)
    flags, bus = np.empty(most, np.uint8), np.empty(most, np.uint8)
    length, start = np.empty(most, np.uint16), np.empty(most, np.int64)
    found, damaged, at = 0, 0, 0
    while True:
        if at + SMALLEST_OBJECT <= data.size and u32(data, at) != LOBJ:
            at, skipped = next_object(data, at)
            damaged += skipped
        if at + SMALLEST_OBJECT > data.size:
            break
        size, kind = u32(data, at + 8), u32(data, at + 12)
        if not SMALLEST_OBJECT <= size <= LARGEST_CONTAINER:
            damaged, at = damaged + 1, at + 4
            continue
        if at + size > data.size:
            break
        body = at + (40 if u16(data, at + 6) == 2 else 32)
        one = frame_of(data, kind, body, at + size, u16(data, at + 4))
        if one[0] >= 0:
            unit_s = 1e-5 if u32(data, at + 16) == 1 else 1e-9
            ticks = np.float64(u32(data, at + 24)) + 4294967296.0 * np.float64(u32(data, at + 28))
            time_s[found] = ticks * unit_s + start_s
            identifier[found], flags[found], bus[found] = one[0], one[1], (one[2] - 1) & 0xFF
            length[found], start[found] = one[3], one[4]
            found += 1
        elif one[0] == BROKEN:
            damaged += 1
        at += size
    frames = CanFrames(
        time_s[:found], identifier[:found], flags[:found], bus[:found], length[:found], start[:found], data
    )
    return Walked(frames, min(at, data.size), damaged)


OTHER, BROKEN = -1, -2
"""Not a CAN frame, and one that cannot be."""


@part
def next_object(data: Bytes, at: int) -> tuple[int, int]:
    """Where the next object begins, and whether more than its padding had to be passed over."""
    begin = at
    while at + 4 <= data.size and u32(data, at) != LOBJ:
        at += 1
    return at, int(at - begin > 4 and at + 4 <= data.size)


@part
def frame_of(data: Bytes, kind: int, at: int, end: int, header: int) -> tuple[int, int, int, int, int]:
    """Identifier, flags, channel, length and place of the payload of an object; identifier OTHER or BROKEN if none."""
    if kind in (CAN_MESSAGE, CAN_MESSAGE2, CAN_ERROR_EXT):
        return classic(data, kind, at, end)
    if kind == CAN_FD and at + 20 <= end:
        word, fd, count = u32(data, at + 4), u8(data, at + 13), u8(data, at + 14)
        flags = sent_or_remote(u8(data, at + 2)) | (FD if fd & 1 else 0)
        flags |= (BRS if fd & 2 else 0) | (ESI if fd & 4 else 0)
        return checked(word, flags, u16(data, at), count, at + 20, end)
    if kind == CAN_FD_64 and at + 40 <= end:
        word, fd, count = u32(data, at + 4), u32(data, at + 12), u8(data, at + 2)
        flags = (REMOTE if fd & 0x10 else 0) | (FD if fd & 0x1000 else 0) | (SENT if data[at + 34] else 0)
        flags |= (BRS if fd & 0x2000 else 0) | (ESI if fd & 0x4000 else 0)
        given = (u8(data, at + 35) - header if data[at + 35] else end - at) - 40
        given = max(0, min(given, end - at - 40))
        return checked(word, flags, u8(data, at), min(count, given), at + 40, end)
    return (BROKEN if kind in (CAN_FD, CAN_FD_64) else OTHER), 0, 0, 0, 0


@part
def classic(data: Bytes, kind: int, at: int, end: int) -> tuple[int, int, int, int, int]:
    """`frame_of` for classic frames and error frames."""
    if kind == CAN_ERROR_EXT:
        if at + 32 > end:
            return BROKEN, 0, 0, 0, 0
        word = u32(data, at + 16)
        return checked(word, ERROR, u16(data, at), min(u8(data, at + 10), 8), at + 24, end)
    if at + 16 > end:
        return BROKEN, 0, 0, 0, 0
    flags = sent_or_remote(u8(data, at + 2))
    return checked(u32(data, at + 4), flags, u16(data, at), u8(data, at + 3), at + 8, end)


@part
def checked(word: int, flags: int, channel: int, count: int, at: int, end: int) -> tuple[int, int, int, int, int]:
    """A frame, or BROKEN where its length or identifier cannot be."""
    extended = (word & 0x80000000) != 0
    identifier = word & 0x1FFFFFFF
    longest = 64 if flags & FD else 8
    if flags & REMOTE:
        count = 0
    if count > longest or at + count > end or (not extended and identifier > 0x7FF):
        return BROKEN, 0, 0, 0, 0
    return identifier, flags | (EXTENDED if extended else 0), channel, count, at


@part
def sent_or_remote(flags: int) -> int:
    """Our flags of the flags of a message object."""
    return (REMOTE if flags & 0x80 else 0) | (SENT if flags & 1 else 0)


@part
def u8(data: NDArray[np.uint8], at: int) -> int:
    """One byte; a signed number, so that arithmetic with others stays whole.

    Unsigned places here and below spare a branch for each byte: no place counts from the end.
    """
    return np.int64(data[np.uint64(at)])  # type: ignore[return-value]


@part
def u16(data: NDArray[np.uint8], at: int) -> int:
    """Two bytes, lowest first."""
    first = np.uint64(at)
    return np.int64(data[first]) | np.int64(data[first + np.uint64(1)]) << 8  # type: ignore[return-value]


@part
def u32(data: NDArray[np.uint8], at: int) -> int:
    """Four bytes, lowest first."""
    k, one = np.uint64(at), np.uint64(1)
    low = np.int64(data[k]) | np.int64(data[k + one]) << 8
    k += np.uint64(2)
    return low | np.int64(data[k]) << 16 | np.int64(data[k + one]) << 24  # type: ignore[return-value]
