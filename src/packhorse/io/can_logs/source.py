"""Bytes of a log, some at a time: plain, gzip or Zstandard, never more in memory than a few blocks.

A file that inflates beyond all measure is refused; one that is cut off or damaged gives what there was before.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from packhorse.io.errors import ReadError

BLOCK_BYTES = 4 * 2**20
TRUSTED_BYTES, MOST_INFLATION = 64 * 2**20, 200
"""Beyond the first so many bytes, a log that is more than so many times its compressed size is none."""
GZIP, ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
CUT_OFF, DAMAGED = "cut off", "damaged"
Findings = Counter[str]


class Inflater(Protocol):
    """What zlib and Zstandard give to inflate a stream piece by piece."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""

    @property
    def unused_data(self) -> bytes:
        """What lies behind the end of the stream."""


def head(path: Path, size: int = 4096) -> bytes:
    """The first bytes, inflated; empty where not even those can be read."""
    findings: Findings = Counter()
    return next(chunks(path, findings, size), b"")


def chunks(path: Path, findings: Findings, size: int = BLOCK_BYTES) -> Iterator[bytes]:
    """The content in order, at most `size` bytes at a time. Raises ReadError for what cannot be a log."""
    with opened(path) as file:
        magic = file.read(4)
        file.seek(0)
        if magic.startswith(GZIP):
            yield from _inflated(path, file, findings, size)
        elif magic == ZSTANDARD:
            yield from _zstandard(path, file, findings, size)
        else:
            while block := file.read(size):
                yield block


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file to be read; what the disk complains of is a ReadError."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror or error}); check name, rights and disk") from error


def _inflated(path: Path, file: BinaryIO, findings: Findings, size: int) -> Iterator[bytes]:
    """One gzip stream after the other."""
    stream, taken, given, waiting = zlib.decompressobj(31), 0, 0, b""
    while True:
        if not waiting:
            waiting = file.read(min(size, 65_536))
            taken += len(waiting)
            if not waiting:
                findings[CUT_OFF] += int(not stream.eof)
                return
        try:
            block = stream.decompress(waiting, size)
        except zlib.error:
            findings[DAMAGED] += 1
            return
        waiting = stream.unconsumed_tail
        given += len(block)
        must_be_believable(path, taken, given)
        if block:
            yield block
        if stream.eof:
            waiting = stream.unused_data.lstrip(b"\0") or file.read(65_536).lstrip(b"\0")
            taken += len(waiting)
            if not waiting:
                return
            stream = zlib.decompressobj(31)


def _zstandard(path: Path, file: BinaryIO, findings: Findings, size: int) -> Iterator[bytes]:
    try:
        import zstandard  # noqa: PLC0415
    except ImportError as error:
        raise ReadError(f"{path}: reading .zst needs zstandard; pip install zstandard, or unpack it first") from error
    stream: Any = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file)
    given = 0
    while True:
        try:
            block = bytes(stream.read(size))
        except zstandard.ZstdError:
            findings[DAMAGED] += 1
            return
        given += len(block)
        must_be_believable(path, file.tell(), given)
        if not block:
            return
        yield block


def must_be_believable(path: Path, taken: int, given: int) -> None:
    """Refuse what inflates far more than any log does. Raises ReadError."""
    if given > TRUSTED_BYTES and given > MOST_INFLATION * max(taken, 1):
        raise ReadError(
            f"{path}: inflates more than {MOST_INFLATION} times, which no log does; unpack it yourself if you trust it"
        )


def lines(path: Path, findings: Findings) -> Iterator[bytes]:
    """The content in blocks of whole lines. A last line without its end is dropped: it may be cut anywhere."""
    rest = b""
    for chunk in chunks(path, findings):
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            rest += chunk
            if len(rest) > BLOCK_BYTES:
                raise ReadError(f"{path}: no end of line in {BLOCK_BYTES >> 20} MB; this is not a text log")
            continue
        yield rest + chunk[:end]
        rest = chunk[end:]
    if rest.strip():
        findings["last line without its end"] += 1
