"""A replayed life: its tables, and the facts that its summary and its report begin with."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from packhorse.io.answers import SEVERITIES
from packhorse.io.logs import Block
from packhorse.pack.words import Array

GAP_STEPS = 5.0
"""A pause of more than this many usual steps (and `GAP_S`) is a gap."""
GAP_S = 10.0
SIGN_CORRELATION = 0.5
SIGN_ROWS = 30


class Tally:
    """What is gathered from blocks beside the answers."""

    def __init__(self) -> None:
        self.least_km, self.most_km = math.inf, -math.inf

    def take(self, block: Block) -> None:
        """Add a block."""
        heard = block.odometer_km[np.isfinite(block.odometer_km)]
        if heard.size > 0:
            self.least_km, self.most_km = min(self.least_km, float(heard.min())), max(self.most_km, float(heard.max()))

    def distance_km(self) -> float | None:
        """Distance driven; None where no odometer was heard."""
        return self.most_km - self.least_km if self.most_km >= self.least_km else None


class Gap(NamedTuple):
    """A pause in the log: the row after which it begins, and how long it lasts."""

    row: int
    length_s: float


@dataclass(frozen=True)
class Life:
    """Everything that a replay found."""

    log: str
    pack: str
    strings: int
    series: int
    start: dt.datetime | None
    results: pl.DataFrame
    events: pl.DataFrame
    cells: pl.DataFrame
    invalid: dict[tuple[str, str], int]
    blank_rows: int
    distance_km: float | None

    def column(self, name: str) -> Array:
        """One column of the results as numbers."""
        return self.results[name].to_numpy().astype(np.float64)

    @cached_property
    def gaps(self) -> list[Gap]:
        """Pauses much longer than the usual step."""
        step_s = np.diff(self.column("time_s"))
        usual = float(np.median(step_s[step_s > 0.0])) if (step_s > 0.0).any() else 1.0
        rows = np.flatnonzero(step_s > max(GAP_STEPS * usual, GAP_S))
        return [Gap(int(row), float(step_s[row])) for row in rows]

    @property
    def duration_s(self) -> float:
        """From the first row to the last."""
        time_s = self.column("time_s")
        return float(time_s[-1] - time_s[0])

    @cached_property
    def counts(self) -> dict[str, int]:
        """How often faults of each severity were raised."""
        raised = self.events.filter(pl.col("raised"))
        return {severity: raised.filter(pl.col("severity") == severity).height for severity in SEVERITIES}

    @cached_property
    def verdict(self) -> str:
        """The whole log in one sentence."""
        hours = self.duration_s / 3600.0
        over = f"{hours:.1f} h" if hours >= 1.0 else f"{60.0 * hours:.0f} min"
        for severity in ("critical", "serious"):
            of_it = self.events.filter(pl.col("raised") & (pl.col("severity") == severity))
            if of_it.height > 0:
                first = of_it.row(0, named=True)
                name = str(first["name"]).replace("_", " ")
                number = "one" if of_it.height == 1 else str(of_it.height)
                events = "event" if of_it.height == 1 else "events"
                milder = "" if severity == "critical" else ", none critical"
                return (
                    f"{number.capitalize()} {severity} {events} in {over}{milder}; "
                    f"the first: {name} after {say_duration(first['time_s'] - self.column('time_s')[0])}."
                )
        warnings = self.counts["warning"]
        also = f"; {warnings} warning{'s' if warnings > 1 else ''}" if warnings > 0 else ""
        return f"No critical or serious event in {over}{also}."

    @cached_property
    def warning(self) -> str:
        """A doubt about the log itself; empty where there is none.

        When more is drawn the voltage falls. Where it rises with the current, the sign is the wrong way round.
        """
        for s in range(1, self.strings + 1):
            current, voltage = np.diff(self.column(f"current_A_{s}")), np.diff(self.column(f"cell_median_V_{s}"))
            moved = np.isfinite(current) & np.isfinite(voltage) & (np.abs(current) > 0.0)
            if np.count_nonzero(moved) < SIGN_ROWS or np.std(voltage[moved]) == 0.0 or np.std(current[moved]) == 0.0:
                continue
            if float(np.corrcoef(current[moved], voltage[moved])[0, 1]) > SIGN_CORRELATION:
                return (
                    f"The voltage of string {s} rises when its current discharges: the sign of the current looks "
                    "reversed. Check `positive` in [current] of the mapping; nothing below is reliable before."
                )
        return ""

    def facts(self) -> dict[str, Any]:
        """The summary for machines: plain numbers and words, None for what is not known."""
        weakest = self.cells.row(0, named=True) if self.strings * self.series > 1 else None
        soc, sigma = self.column("soc"), self.column("soc_sigma")
        return {
            "verdict": self.verdict,
            "warning": self.warning,
            "log": self.log,
            "pack": self.pack,
            "rows": self.results.height,
            "duration_h": self.duration_s / 3600.0,
            "distance_km": self.distance_km,
            "gaps": {"count": len(self.gaps), "hours": sum(gap.length_s for gap in self.gaps) / 3600.0},
            "soc": {
                "first": {"soc": known(soc[0]), "sigma": known(sigma[0])},
                "last": {"soc": known(soc[-1]), "sigma": known(sigma[-1])},
            },
            "weakest_cell": None
            if weakest is None or known(weakest["deviation_V"]) is None
            else {
                "string": weakest["string"],
                "cell": weakest["cell"],
                "place": self.place(weakest["string"], weakest["cell"]),
                "deviation_mV": 1000.0 * weakest["deviation_V"],
                "soc": known(weakest["soc"]),
            },
            "events": self.counts,
            "invalid": [
                {"section": section, "reason": reason, "count": count}
                for (section, reason), count in sorted(self.invalid.items())
            ],
            "blank_rows": self.blank_rows,
        }

    def place(self, string: int, cell: int) -> str:
        """A cell by its place, counted from 1."""
        return f"cell {cell}" if self.strings == 1 else f"string {string}, cell {cell}"


def known(value: float) -> float | None:
    """The number, or None where it is not one."""
    return float(value) if math.isfinite(value) else None


def say_duration(seconds: float) -> str:
    """A time span as people say it."""
    if seconds < 120.0:
        return f"{seconds:.0f} s"
    if seconds < 7200.0:
        return f"{seconds / 60.0:.0f} min"
    return f"{seconds / 3600.0:.1f} h" if seconds < 172_800.0 else f"{seconds / 86_400.0:.1f} days"
