"""MF4, the measurement format of ASAM: bus logging groups, read by asammdf (extra `mdf`) in a process of its own.

asammdf is partly C, and a damaged file can corrupt its memory: what it brings down then is that process, and this one
goes on with what it has been told.
"""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from packhorse.io.can_logs.source import DAMAGED, Findings
from packhorse.io.errors import ReadError
from packhorse.protocols.frames import CanFrames

BLOCK_FRAMES = 65_536
MODULE = "packhorse.io.can_logs.mdf_process"
LENGTH = struct.Struct("<Q")
LONGEST_RECORD = 2**30


def read(path: Path, findings: Findings) -> Iterator[CanFrames]:
    """The frames of all groups of an MF4, merged by time. Raises ReadError where asammdf is missing or gives up."""
    search = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-m", MODULE, str(path)]
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
