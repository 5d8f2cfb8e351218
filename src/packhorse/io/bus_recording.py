"""A live bus into a log, beside whoever lives on it: a thread writes, and a disk that fails or stalls stops nobody.

    with bus_recording(path) as tape:
        tape.take(time_s, frames, sent=False)

What was taken is in the file after `FLUSH_S` at the latest, so that a process that is killed loses no more than that.
Where the disk fails, recording ends with one line; where it stalls, frames beyond `MOST_WAITING` are dropped. Both are
counted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from packhorse.io.buses.bus import Heard
from packhorse.io.can_logs.write import PARQUET, Writer, ending, writer
from packhorse.io.errors import Error, WriteError
from packhorse.protocols.frames import EXTENDED, FD, SENT, CanFrames, from_rows
from packhorse.protocols.j1939.identifier import CanFrame

FLUSH_S = 1.0
MOST_WAITING = 200_000
"""Frames: about a minute of a full bus of 1 Mbit/s."""
PATIENCE_S = 5.0
"""So long a disk may take at the end."""
CLASSIC_BYTES = 8
Open = Callable[[Path], AbstractContextManager[Writer]]


class Batch(NamedTuple):
    """Frames of one moment and one kind."""

    time_s: float
    frames: Sequence[CanFrame]
    flags: int


class BusRecording:
    """A log being written. No call waits for the disk, and none raises. `lines` tells people what went wrong."""

    def __init__(self, path: Path, opened: Open = writer) -> None:
        self.path, self.lines = path, deque[str](maxlen=8)
        self.written = self.dropped = 0
        self._open = opened
        self._waiting: deque[Batch] = deque()
        self._count = 0
        self._ending = self._failed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write, name="recording", daemon=True)
        self._thread.start()

    @property
    def failed(self) -> bool:
        """Whether nothing more will be written."""
        return self._failed

    def take(self, time_s: float, frames: Sequence[CanFrame], *, sent: bool = False, extended: bool = True) -> None:
        """Have frames of one moment written; `sent` marks our own."""
        if not frames:
            return
        with self._changed:
            if self._failed or self._ending or self._count + len(frames) > MOST_WAITING:
                self.dropped += len(frames)
                return
            flags = (EXTENDED if extended else 0) | (SENT if sent else 0)
            self._waiting.append(Batch(time_s, frames, flags))
            self._count += len(frames)

    def heard(self, frames: Sequence[Heard], ahead_s: float) -> None:
        """Have what was heard written, each frame with its own time; `ahead_s` turns that into the time of the log."""
        for one in frames:
            self.take(one.time_s + ahead_s, (one.frame,), extended=one.extended)

    def close(self) -> None:
        """Write what waits, and end the log; a disk that stalls is not waited for longer than `PATIENCE_S`."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            with self._changed:
                self.dropped += self._count
                self._failed = True
            self.lines.append(f"{self.path}: the disk does not answer; the end of the recording may be missing")

    def facts(self) -> dict[str, Any]:
        """What has become of it, for a summary."""
        return {"file": str(self.path), "written": self.written, "dropped": self.dropped}

    def _write(self) -> None:
        """All that the thread does."""
        try:
            with self._open(self.path) as log:
                while not self._round(log):
                    pass
        except Error as error:
            with self._changed:
                self._failed = True
                self.dropped += self._count
                self._waiting.clear()
                self._count = 0
            self.lines.append(f"recording has stopped: {error}")

    def _round(self, log: Writer) -> bool:
        """Write what waits; gives whether that was the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending, FLUSH_S)
            batches, last = list(self._waiting), self._ending
            self._waiting.clear()
        frames = framed(batches)
        if frames.id.size:
            log.take(frames)
        log.flush()
        with self._changed:
            self._count -= frames.id.size
            self.written += frames.id.size
        return last


@contextmanager
def bus_recording(path: Path, opened: Open = writer) -> Iterator[BusRecording]:
    """A recording that ends with the block. Raises WriteError for a file that no log is written to."""
    if ending(path) == PARQUET:
        raise WriteError(f"{path}: a live bus is recorded as .blf, .log or .asc, also .log.gz and .asc.gz; give one")
    tape = BusRecording(path, opened)
    try:
        yield tape
    finally:
        tape.close()


def framed(batches: Sequence[Batch]) -> CanFrames:
    """Batches as frames in the order in which they were taken; no log has times before 0, so they are told as 0."""
    flat = [frame for batch in batches for frame in batch.frames]
    sizes = [len(batch.frames) for batch in batches]
    length = np.array([len(frame.data) for frame in flat], np.uint16)
    width = max(int(length.max(initial=0)), CLASSIC_BYTES)
    data = b"".join(frame.data.ljust(width, b"\0") for frame in flat)
    flags = np.repeat(np.array([batch.flags for batch in batches], np.uint8), sizes)
    return from_rows(
        np.repeat(np.array([max(batch.time_s, 0.0) for batch in batches], np.float64), sizes),
        np.array([frame.can_id for frame in flat], np.uint32),
        np.frombuffer(data, np.uint8).reshape(len(flat), width),
        length=length,
        flags=flags | np.where(length > CLASSIC_BYTES, FD, 0).astype(np.uint8),
    )
