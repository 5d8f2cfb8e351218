"""`packhorse estimate`: what is believed of one cell at every row of a log, written as a table."""

from __future__ import annotations

import io
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from rich.console import Console

from packhorse.app import laboratory
from packhorse.app.identify import pairs
from packhorse.app.report.life import say_duration
from packhorse.io.cell_logs import CellLog
from packhorse.io.errors import ReadError, WriteError
from packhorse.io.whole import must_be_writable, write_whole
from packhorse.lab import check
from packhorse.lab.estimate import Estimates
from packhorse.lab.estimate import estimate as estimated
from packhorse.pack.description import CellFile
from packhorse.pack.load import load_cell


def estimate(
    cell: str,
    path: Path,
    out: Path,
    initial_soc: float | None = None,
    mapping: Path | None = None,
    degC: float | None = None,
    as_json: bool = False,
) -> None:
    """Estimate over a log and write every row. `cell` is a cell file or a name of the catalogue.

    Raises `packhorse.io.errors.Error` or `packhorse.pack.load.ConfigurationError`, each with one line for the user.
    """
    must_fit(path, out, initial_soc, degC)
    described = load_cell(cell)
    heard = laboratory.read(path, mapping, degC)
    must_be_of(described, heard.log, path)
    began_s = time.monotonic()
    try:
        found = estimated(described, heard.log, initial_soc)
    except ValueError as error:
        raise ReadError(f"{path}: {error}") from error
    taken_s = time.monotonic() - began_s
    write_whole(out, content(found, out))
    said = facts(described, heard.log, found) | {"repaired": heard.repairs.said(), "taken_s": taken_s, "file": str(out)}
    if as_json:
        print(json.dumps(said, allow_nan=False))
    else:
        Console().print(pairs(lines(said)))


def must_fit(path: Path, out: Path, initial_soc: float | None, degC: float | None) -> None:
    """Refuse, before any work is done, what cannot be done. Raises ReadError or WriteError."""
    if initial_soc is not None and not 0.0 <= initial_soc <= 1.0:
        meant = f", {initial_soc / 100.0:g} for {initial_soc:g} %" if 1.0 < initial_soc <= 100.0 else ""
        raise ReadError(f"--initial-soc is {initial_soc:g}; give a fraction from 0 to 1{meant}")
    laboratory.must_be_degC(degC)
    if out.suffix not in (".parquet", ".csv"):
        raise WriteError(f"{out}: give a name that ends in .parquet or .csv")
    if out.absolute() == path.absolute():
        raise WriteError(f"{out}: is the log itself; give the estimates a file of their own")
    must_be_writable(out)


def must_be_of(cell: CellFile, log: CellLog, path: Path) -> None:
    """Refuse a log that cannot be of this cell. Raises ReadError."""
    try:
        check.refuse_other_cell(log, cell)
    except ValueError as error:
        raise ReadError(f"{path}: {str(error).removeprefix(f'{log.name}: ')}") from error


def content(found: Estimates, out: Path) -> bytes:
    """Every field as a column, as Parquet or CSV by the name of the file."""
    table = pl.DataFrame({name: np.asarray(column) for name, column in zip(found._fields, found, strict=True)})
    buffer = io.BytesIO()
    if out.suffix == ".csv":
        table.write_csv(buffer)
    else:
        table.write_parquet(buffer, compression="zstd", statistics=True)
    return buffer.getvalue()


SUMMED_UP = (
    "soc",
    "soc_sigma",
    "capacity_Ah",
    "capacity_sigma_Ah",
    "current_offset_A",
    "current_offset_sigma_A",
    "sop_discharge_10s_W",
    "sop_charge_10s_W",
    "soe_Wh",
    "soe_sigma_Wh",
)
"""Columns of which the summary says the last row."""


def facts(cell: CellFile, log: CellLog, found: Estimates) -> dict[str, Any]:
    """The summary for machines: what is believed after the last row; None for what is not known."""
    last = {name: float(getattr(found, name)[-1]) for name in SUMMED_UP}
    return {
        "log": log.name,
        "cell": cell.name,
        "rows": int(log.time_s.size),
        "duration_s": float(log.time_s[-1] - log.time_s[0]),
        **{name: value if math.isfinite(value) else None for name, value in last.items()},
    }


def lines(said: dict[str, Any]) -> list[tuple[str, str]]:
    """Label and value of every line of the summary."""
    shown = [
        ("rows", f"{said['rows']} over {say_duration(said['duration_s'])}"),
        ("repaired", said["repaired"]),
        ("SOC at the end", with_sigma(said["soc"], said["soc_sigma"], 100.0, 1, "%")),
        ("capacity", with_sigma(said["capacity_Ah"], said["capacity_sigma_Ah"], 1.0, 3, "Ah")),
        ("current offset", with_sigma(said["current_offset_A"], said["current_offset_sigma_A"], 1000.0, 0, "mA")),
        ("power for 10 s", power(said["sop_discharge_10s_W"], said["sop_charge_10s_W"])),
        ("energy left", with_sigma(said["soe_Wh"], said["soe_sigma_Wh"], 1.0, 1, "Wh")),
        ("written", said["file"]),
        ("took", f"{said['taken_s']:.1f} s"),
    ]
    return [(label, value) for label, value in shown if value]


def with_sigma(value: float | None, sigma: float | None, factor: float, digits: int, unit: str) -> str:
    """A value with two sigma."""
    if value is None or sigma is None:
        return "unknown"
    return f"{factor * value:.{digits}f} {unit} (± {2 * factor * sigma:.{digits}f})"


def power(out_W: float | None, in_W: float | None) -> str:
    """What can be given and taken."""
    return "unknown" if out_W is None or in_W is None else f"{out_W:.0f} W out, {in_W:.0f} W in"
