"""Logs of one cell for the commands of the laboratory: read, completed, and refused where they mislead."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from packhorse.io import cell_logs
from packhorse.io.cell_logs import CellLog, Repairs
from packhorse.io.errors import ReadError
from packhorse.lab import check

COLDEST_DEGC, HOTTEST_DEGC = -60.0, 120.0
"""No cell is tested outside these; a temperature that is was given in another unit."""


class Heard(NamedTuple):
    """A log as it goes into the laboratory, and what was put right in it on the way."""

    path: Path
    log: CellLog
    repairs: Repairs
    told_degC: bool  # the temperature was told, not measured


def must_be_degC(degC: float | None) -> None:
    """Refuse a temperature of the command line that no test has. Raises ReadError."""
    if degC is not None and not COLDEST_DEGC <= degC <= HOTTEST_DEGC:
        raise ReadError(f"--degC is {degC:g}; give degrees Celsius from {COLDEST_DEGC:g} to {HOTTEST_DEGC:g}")


def read(path: Path, mapping: Path | None, degC: float | None) -> Heard:
    """One cell's log with a temperature in every row; `degC` serves where the file has none.

    Raises ReadError for a log that cannot be read, has no temperature or has a current of the wrong sign;
    ConfigurationError for a wrong mapping file.
    """
    log, repairs = cell_logs.read(path, mapping)
    silent = bool(np.isnan(log.cell_degC).all())
    if silent and degC is None:
        raise ReadError(
            f"{path}: no temperature in the log; say at what it was measured with --degC, or give it a column "
            "cell_degC (a mapping file calls it [probe_temperature])"
        )
    if silent:
        log = log._replace(cell_degC=np.full(log.time_s.size, degC))
    try:
        check.refuse_wrong_sign(log)
    except ValueError as error:
        raise ReadError(f"{path}: {str(error).removeprefix(f'{log.name}: ')}") from error
    return Heard(path, log, repairs, silent)
