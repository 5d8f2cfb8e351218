"""Readers that others have written, each in a process of its own (`apart_process`).

They are native inside, and a damaged file can corrupt their memory or make them ask for more than there is. What it
brings down then is that process, and this one goes on with what it has been told.
"""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from packhorse.io.can_logs.source import DAMAGED, Findings
from packhorse.io.errors import ReadError
from packhorse.protocols.frames import CanFrames

Reader = Callable[[Path, Findings], Iterator[CanFrames]]
MODULE = "packhorse.io.can_logs.apart_process"
LENGTH = struct.Struct("<Q")
LONGEST_RECORD = 2**30


def read_apart(kind: str) -> Reader:
    """The reader of a kind of `apart_process.READERS`, behind a process."""

    def read(path: Path, findings: Findings) -> Iterator[CanFrames]:
        return from_process(kind, path, findings)

    return read


def from_process(kind: str, path: Path, findings: Findings) -> Iterator[CanFrames]:
    """What a process of its own reads of a file. Raises ReadError where that process does."""
    search = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-m", MODULE, kind, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=search) as reader:  # noqa: S603 - our own
        try:
            for content in records(reader.stdout):
                if content.startswith(b"{"):
                    end = json.loads(content)
                    findings.update(end["findings"])
                    if end["complaint"]:
                        raise ReadError(end["complaint"])
                    return
                yield unpacked(content)
            findings[DAMAGED] += 1
        finally:
            reader.kill()


def record(content: bytes) -> bytes:
    """What is said between the two processes: a length, and so many bytes."""
    return LENGTH.pack(len(content)) + content


def records(stream: IO[bytes] | None) -> Iterator[bytes]:
    """The records of a stream; it ends at the first that is not whole."""
    while stream and len(head := stream.read(LENGTH.size)) == LENGTH.size:
        length = min(LENGTH.unpack(head)[0], LONGEST_RECORD)
        if len(content := stream.read(length)) < length:
            return
        yield content


def packed(block: CanFrames) -> bytes:
    """Frames as bytes."""
    out = io.BytesIO()
    np.savez(out, **block._asdict())
    return out.getvalue()


def unpacked(content: bytes) -> CanFrames:
    """Frames of bytes; nothing in them is ever run."""
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return CanFrames(*(found[name] for name in CanFrames._fields))
