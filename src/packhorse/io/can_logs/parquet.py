"""Raw frames as Parquet: time_s, id, flags, bus and the payload as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from packhorse.io.can_logs.source import Findings
from packhorse.io.errors import ReadError
from packhorse.io.tables import BROKEN, broken
from packhorse.protocols.frames import LONGEST_MESSAGE, CanFrames, payload

COLUMNS = {"time_s": pl.Float64, "id": pl.UInt32, "flags": pl.UInt8, "bus": pl.UInt8, "data": pl.Binary}
BLOCK_FRAMES = 65_536


def table(frames: CanFrames) -> pl.DataFrame:
    """Frames as a table."""
    data = [payload(frames, k) for k in range(frames.id.size)]
    return pl.DataFrame(
        {"time_s": frames.time_s, "id": frames.id, "flags": frames.flags, "bus": frames.bus, "data": data},
        schema=COLUMNS,
    )


def read(path: Path, findings: Findings) -> Iterator[CanFrames]:
    """The frames of a Parquet file of ours."""
    try:
        source = pl.scan_parquet(path, glob=False)
        if dict(source.collect_schema()) != COLUMNS:
            raise ReadError(f"{path}: is no table of frames; expected the columns {', '.join(COLUMNS)}")
        rows = int(source.select(pl.len()).collect().item())
        for begin in range(0, rows, BLOCK_FRAMES):
            yield frames_of(source.slice(begin, BLOCK_FRAMES).collect(), findings)
    except BROKEN as error:
        raise broken(path, error) from error


def frames_of(block: pl.DataFrame, findings: Findings) -> CanFrames:
    """Rows of the table as frames; a row with a hole, or with a payload that is too long, is counted and dropped."""
    sound = block.drop_nulls().filter(pl.col("data").bin.size() <= LONGEST_MESSAGE)
    findings["rows that are no frame"] += block.height - sound.height
    length = sound["data"].bin.size().to_numpy().astype(np.uint16)
    data = np.frombuffer(b"".join(sound["data"]), dtype=np.uint8)
    return CanFrames(
        np.ascontiguousarray(sound["time_s"].to_numpy()),
        np.ascontiguousarray(sound["id"].to_numpy()),
        np.ascontiguousarray(sound["flags"].to_numpy()),
        np.ascontiguousarray(sound["bus"].to_numpy()),
        length,
        np.cumsum(length, dtype=np.int64) - length,
        data,
    )
