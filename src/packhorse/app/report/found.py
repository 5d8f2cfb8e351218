"""An identification, and the facts that its summary and its report begin with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from packhorse.io.cell_logs import Repairs
from packhorse.lab.identify import Identified
from packhorse.lab.identify.solve import Piece, centre_of
from packhorse.lab.identify.training import nearest
from packhorse.lab.training import Training
from packhorse.pack.words import Array

KINDS = ("ocv", "pulse", "capacity", "drive")
MIDDLE_SOC = 0.5
"""Where parameters that depend on SOC are told as one number."""


class Fit(NamedTuple):
    """One log, or a part of it between two gaps, and what a fit that has not seen it leaves of its voltage."""

    piece: Piece
    name: str
    centre: int  # which of the temperatures
    left_V: Array  # (times,) measured less modelled
    rms_V: float


class AtDegC(NamedTuple):
    """What was found at one temperature; resistances and hysteresis at half charge. NaN is not known."""

    degC: float
    logs: int
    capacity_Ah: float
    r0_ohm: float
    r1_ohm: float
    r2_ohm: float
    hysteresis_V: float  # half of what parts charge from discharge
    model_V: float  # lasting model error, root mean square over SOC
    drive_V: float  # rms of what is left of drives that the fit has not seen
    all_V: float  # the same of all logs


@dataclass(frozen=True)
class Found:
    """Everything that one `packhorse identify` found."""

    identified: Identified
    training: Training
    repairs: dict[str, Repairs]  # log -> what was put right in it
    notes: list[str]  # what a reader should know before believing the rest
    taken_s: float

    @cached_property
    def fits(self) -> list[Fit]:
        """Every piece of a log, drives last, in the order of the command line."""
        counts: dict[str, int] = {}
        fits = []
        for piece, left_V in self.identified.left:
            name = piece.log.name
            counts[name] = counts.get(name, 0) + 1
            said = name if counts[name] == 1 else f"{name}, part {counts[name]}"
            centre = centre_of(self.identified.known, piece.log)
            fits.append(Fit(piece, said, centre, left_V, rms([left_V])))
        order = {log.name: k for k, log in enumerate(self.training.each())}
        return sorted(fits, key=lambda fit: order[fit.piece.log.name])

    def at(self, centre: int) -> list[Fit]:
        """The fits of one temperature."""
        return [fit for fit in self.fits if fit.centre == centre]

    @cached_property
    def temperatures(self) -> list[AtDegC]:
        """One line for each temperature, rising."""
        cell, known, errors = self.identified.cell, self.identified.known, self.identified.errors
        resistance = cell.resistance
        rows = []
        for k, degC in enumerate(known.centres):
            fits = self.at(k)
            tables = (resistance.r0_ohm, resistance.r1_ohm, resistance.r2_ohm)
            at = nearest(float(degC), np.array(resistance.degC))
            r0, r1, r2 = (float(np.interp(MIDDLE_SOC, resistance.soc, table[at])) for table in tables)
            rows.append(
                AtDegC(
                    degC=float(degC),
                    logs=len({fit.piece.log.name for fit in fits}),
                    capacity_Ah=float(known.capacity_Ah[k]),
                    r0_ohm=r0,
                    r1_ohm=r1,
                    r2_ohm=r2,
                    hysteresis_V=float(np.interp(MIDDLE_SOC, cell.ocv.soc, cell.ocv.hysteresis_rows()[k])),
                    model_V=rms([errors.sigma_V[k]]),
                    drive_V=rms([fit.left_V for fit in fits if fit.piece.kind == "drive"]),
                    all_V=rms([fit.left_V for fit in fits]),
                )
            )
        return rows

    def repaired(self) -> str:
        """What was put right in all logs together; empty where nothing was."""
        touched = [repairs for repairs in self.repairs.values() if repairs.said()]
        total = Repairs(*map(sum, zip(*touched, strict=True))) if touched else Repairs()
        return f"{len(touched)} of {len(self.repairs)} logs: {total.said()}" if touched else ""

    def facts(self) -> dict[str, Any]:
        """The summary for machines; None for what is not known."""
        cell, shape = self.identified.cell, self.identified.shape
        return {
            "name": cell.name,
            "chemistry": cell.chemistry,
            "capacity_Ah": cell.capacity_Ah,
            "logs": len(self.training.each()),
            "rc1_s": shape.tau1_s,
            "rc2_s": shape.tau2_s,
            "fast_sigma_V": self.identified.errors.fast_sigma_V,
            "resistance_sigma": cell.resistance_sigma,
            "temperatures": [
                {name: known(value) for name, value in row._asdict().items()} for row in self.temperatures
            ],
            "repaired": {name: repairs.said() for name, repairs in self.repairs.items() if repairs.said()},
            "notes": self.notes,
            "taken_s": self.taken_s,
        }


def rms(parts: list[Array]) -> float:
    """Root mean square over all rows; NaN of nothing."""
    return float(np.sqrt(np.mean(np.concatenate(parts) ** 2))) if parts else float("nan")


def known(value: float) -> float | None:
    """The number, or None where it is not one."""
    return value if np.isfinite(value) else None
