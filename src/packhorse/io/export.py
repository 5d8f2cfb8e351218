"""Decoded signals as Parquet, one row for each value: time_s, bus, sender, signal, value."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from packhorse.io.errors import WriteError
from packhorse.io.results import said
from packhorse.protocols.decoding import Decoded
from packhorse.protocols.frames import CanFrames
from packhorse.protocols.plan import OWNER, Plan


class Export:
    """A table being written; nothing is at its path before the end."""

    def __init__(self, plan: Plan, beside: Path) -> None:
        self._plan = plan
        self._names = pl.Series("signal", list(plan.signals), dtype=pl.String)
        self._beside = beside
        self._left_out: tuple[pl.Expr, ...] = ()
        self.parts: list[Path] = []

    def leave_out(self, bus: int, signals: Collection[str]) -> None:
        """Have signals of a bus not in the table after all."""
        self._left_out += ((pl.col("bus") == bus) & pl.col("signal").is_in(list(signals)),)

    def whole(self) -> pl.LazyFrame:
        """All parts as one table."""
        table = pl.scan_parquet(self.parts)
        return table.filter(~pl.any_horizontal(self._left_out)) if self._left_out else table

    def take(self, frames: CanFrames, decoded: Decoded) -> None:
        """Write the signals of some frames, in the order of time; what is no reading is left out."""
        owner = self._plan.tables.signal[:, OWNER]
        row = np.repeat(np.arange(owner.size), np.diff(decoded.place))
        group_row = decoded.first[owner[row]] + np.arange(row.size) - decoded.place[row]
        there = np.flatnonzero(np.isfinite(decoded.values))
        there = there[np.argsort(decoded.frame[group_row[there]], kind="stable")]
        if there.size == 0:
            return
        frame = decoded.frame[group_row[there]]
        table = pl.DataFrame(
            {
                "time_s": decoded.heard_s[frame],
                "bus": frames.bus[frame],
                "sender": (frames.id[frame] & 0xFF).astype(np.uint8),
                "signal": self._names.gather(row[there]),
                "value": decoded.values[there],
            }
        )
        part = self._beside / f"{len(self.parts):06d}.parquet"
        table.write_parquet(part)
        self.parts.append(part)


@contextmanager
def export(path: Path, plan: Plan, described: str = "signal of the DBC") -> Iterator[Export]:
    """A table of decoded signals to be written at `path`, whole or not at all. Raises WriteError.

    Where nothing was to be written, that is an error; `described` says of what there was nothing.
    """
    if path.suffix != ".parquet" or path.is_dir():
        raise WriteError(f"{path}: decoded signals are written as Parquet; give a file that ends in .parquet")
    with said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            made = Export(plan, beside)
            yield made
            if made.parts:
                made.whole().sink_parquet(beside / "whole")
            if not made.parts or pl.scan_parquet(beside / "whole").select(pl.len()).collect().item() == 0:
                raise WriteError(f"{path}: not written, no {described} is on this bus; give the DBC of this bus")
            (beside / "whole").replace(path)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
