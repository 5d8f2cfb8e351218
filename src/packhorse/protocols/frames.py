"""Frames of CAN buses as columns: one row a frame, all payloads in one row of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.pack.words import Array

EXTENDED, FD, BRS, ESI, REMOTE, ERROR, SENT, LONG = 1, 2, 4, 8, 16, 32, 64, 128
"""Bits of `flags`. SENT: by the recorder itself. LONG: put together from a transport session."""
LONGEST_FRAME, LONGEST_MESSAGE = 64, 1785

Bytes = NDArray[np.uint8]


class CanFrames(NamedTuple):
    """Frames in the order in which they were recorded; the payload of frame k is `data[start[k]:][:length[k]]`."""

    time_s: Array  # (frames,)
    id: NDArray[np.uint32]  # (frames,) without flag bits
    flags: Bytes  # (frames,)
    bus: Bytes  # (frames,)
    length: NDArray[np.uint16]  # (frames,) bytes of payload
    start: NDArray[np.int64]  # (frames,)
    data: Bytes  # (bytes,)


def from_rows(
    time_s: Array,
    identifier: NDArray[np.uint32],
    payload: Bytes,
    *,
    length: NDArray[np.uint16] | None = None,
    flags: Bytes | int = EXTENDED,
    bus: Bytes | int = 0,
) -> CanFrames:
    """Frames whose payloads are rows of equal width; `flags` and `bus` may be one value for all."""
    count, width = payload.shape
    return CanFrames(
        np.ascontiguousarray(time_s, dtype=np.float64),
        np.ascontiguousarray(identifier, dtype=np.uint32),
        np.ascontiguousarray(np.broadcast_to(np.asarray(flags, dtype=np.uint8), count)),
        np.ascontiguousarray(np.broadcast_to(np.asarray(bus, dtype=np.uint8), count)),
        np.full(count, width, np.uint16) if length is None else np.ascontiguousarray(length, dtype=np.uint16),
        np.arange(count, dtype=np.int64) * width,
        np.ascontiguousarray(payload, dtype=np.uint8).reshape(-1),
    )


def rows(frames: CanFrames, width: int) -> Bytes:
    """Payloads as rows of equal width, (frames, width): cut at the width, zeros behind a shorter one."""
    padded = np.concatenate((frames.data, np.zeros(width, np.uint8)))
    offset = np.arange(width)
    taken = padded[np.minimum(frames.start[:, None] + offset, padded.size - 1)]
    return np.where(offset < frames.length[:, None], taken, 0).astype(np.uint8)


def payload(frames: CanFrames, k: int) -> bytes:
    """The bytes of one frame."""
    return frames.data[frames.start[k] : frames.start[k] + frames.length[k]].tobytes()


def take(frames: CanFrames, which: NDArray[np.int64] | NDArray[np.bool_] | slice) -> CanFrames:
    """Some of the frames; the payload bytes are shared."""
    return CanFrames(
        np.ascontiguousarray(frames.time_s[which]),
        np.ascontiguousarray(frames.id[which]),
        np.ascontiguousarray(frames.flags[which]),
        np.ascontiguousarray(frames.bus[which]),
        np.ascontiguousarray(frames.length[which]),
        np.ascontiguousarray(frames.start[which]),
        frames.data,
    )


def join(parts: Sequence[CanFrames]) -> CanFrames:
    """Frames of several blocks, one after the other."""
    if len(parts) == 1:
        return parts[0]
    behind = np.cumsum([0, *(part.data.size for part in parts)])
    moved = [part._replace(start=part.start + begin) for part, begin in zip(parts, behind, strict=False)]
    return CanFrames(*(np.concatenate(column) for column in zip(*moved, strict=True))) if moved else nothing()


def nothing() -> CanFrames:
    """No frame at all."""
    return from_rows(np.empty(0), np.empty(0, np.uint32), np.empty((0, 8), np.uint8))
