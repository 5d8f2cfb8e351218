"""Frames as they are heard, written as a log of ours that `packhorse replay` reads back with the same bits.

Frames go to parts in a hidden folder beside the target, so that a long run needs little memory; the log appears whole
at the end, or not at all.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from packhorse.io import logs
from packhorse.io.errors import WriteError
from packhorse.io.results import said
from packhorse.pack.words import Frame, Frames

PART_FRAMES = 2_000


class Recording:
    """A log being written. Nothing is at its path before `finish`."""

    def __init__(self, path: Path, beside: Path) -> None:
        self.path = path
        self._beside = beside
        self._waiting: list[Frame] = []
        self._parts: list[Path] = []

    def take(self, frame: Frame) -> None:
        """Add a frame."""
        self._waiting.append(frame)
        if len(self._waiting) >= PART_FRAMES:
            self._write_part()

    def finish(self) -> None:
        """Put the whole log in its place. Raises WriteError, e.g. on a full disk."""
        if self._waiting:
            self._write_part()
        if self._parts:
            whole = self._beside / "whole"
            with said(self.path):
                pl.scan_parquet(self._parts).sink_parquet(whole)
                whole.replace(self.path)

    def _write_part(self) -> None:
        part = self._beside / f"{len(self._parts):06d}.parquet"
        with said(self.path):
            logs.to_table(stack(self._waiting)).write_parquet(part)
        self._parts.append(part)
        self._waiting = []


@contextmanager
def recording(path: Path) -> Iterator[Recording]:
    """A log to be written at `path`; whatever ends the block, no parts are left behind."""
    if path.suffix != ".parquet" or path.is_dir():
        raise WriteError(f"{path}: what the BMS hears is a Parquet file; end it in .parquet (frames need --bus)")
    with said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield Recording(path, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def stack(frames: list[Frame]) -> Frames:
    """Single frames as one block."""
    return Frames(*(np.ascontiguousarray(np.stack(column), dtype=np.float64) for column in zip(*frames, strict=True)))
