"""Which plots the report shows, as plain data for its script."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from packhorse.app.report.life import Life
from packhorse.app.report.series import Grid, Mode, clock, grid, packed, thin
from packhorse.io.answers import SEVERITIES
from packhorse.pack.words import Array

POINTS = 6000
BUDGET_BYTES = 3_500_000
"""What all series together may weigh in the file."""
LANES = 14
HIDE_PAUSES_FROM = 0.3


class Plot:
    """One plot being gathered: lines and bands over the common clock."""

    def __init__(self, on: Grid, name: str, title: str, unit: str, digits: int) -> None:
        self._on = on
        self.says: dict[str, Any] = {
            "id": name,
            "title": title,
            "unit": unit,
            "digits": digits,
            "series": [],
            "bands": [],
        }

    def line(self, label: str, values: Array, colour: str, mode: Mode = "span", **how: object) -> int:
        """Add a line; its position."""
        thinned = thin(self._on, values, mode)
        self.says["series"].append({"label": label, "colour": colour, "data": packed(thinned), **how})
        return len(self.says["series"])

    def band(self, label: tuple[str, str], high: Array, low: Array, colour: str) -> None:
        """Add a filled band between two thin edges."""
        upper = self.line(label[0], high, colour, "high", thin=True)
        lower = self.line(label[1], low, colour, "low", thin=True)
        self.says["bands"].append([upper, lower])


def data(life: Life) -> dict[str, Any]:
    """Everything that the report's script draws."""
    lines = 12 + 9 * life.strings
    points = int(min(POINTS, max(600, BUDGET_BYTES / (5.4 * lines))))
    on = grid(life.results.height, life.gaps, points)
    real, shrunk = clock(on, life.column("time_s"))
    paused = sum(gap.length_s for gap in life.gaps)
    plots = [voltages(life, on), spread(life, on), currents(life, on)]
    if life.strings > 1:
        plots.append(string_currents(life, on))
    plots += [charge(life, on), temperatures(life, on)]
    return {
        "start": None if life.start is None else (life.start - dt.datetime(1970, 1, 1)).total_seconds() + first_s(life),
        "real": packed(real, "<f8"),
        "shrunk": packed(shrunk, "<f8"),
        "pauses": len(life.gaps),
        "hide": bool(life.duration_s > 0 and paused > HIDE_PAUSES_FROM * life.duration_s),
        "plots": [plot.says for plot in plots if plot is not None],
        "lanes": lanes(life),
    }


def first_s(life: Life) -> float:
    """Time of the first row."""
    return float(life.column("time_s")[0])


def named(life: Life, what: str, string: int) -> str:
    """A label with its string where there are several."""
    return what if life.strings == 1 else f"{what}, string {string}"


def voltages(life: Life, on: Grid) -> Plot:
    """Band of all cells and their median."""
    plot = Plot(on, "voltage", "Cell voltage", "V", 3)
    for s in range(1, life.strings + 1):
        labels = (named(life, "highest", s), named(life, "lowest", s))
        colour = f"s{(s - 1) % 8 + 1}"
        if life.series > 1:
            plot.band(labels, life.column(f"cell_max_V_{s}"), life.column(f"cell_min_V_{s}"), colour)
        plot.line(named(life, "median", s) if life.series > 1 else "cell", life.column(f"cell_median_V_{s}"), colour)
    return plot


def spread(life: Life, on: Grid) -> Plot | None:
    """Highest minus lowest cell."""
    if life.series == 1:
        return None
    plot = Plot(on, "spread", "Spread between highest and lowest cell", "mV", 0)
    for s in range(1, life.strings + 1):
        plot.line(named(life, "spread", s), 1000.0 * life.column(f"spread_V_{s}"), f"s{(s - 1) % 8 + 1}")
    return plot


def currents(life: Life, on: Grid) -> Plot:
    """What flowed and what was allowed."""
    plot = Plot(on, "current", "Pack current and limits (discharge positive)", "A", 1)
    total = np.sum([life.column(f"current_A_{s}") for s in range(1, life.strings + 1)], axis=0)
    plot.line("discharge limit", life.column("discharge_limit_A"), "limit", "low")
    plot.line("charge limit", -life.column("charge_limit_A"), "limit2", "high")
    plot.line("current", total, "s1")
    return plot


def string_currents(life: Life, on: Grid) -> Plot:
    """Current of each string."""
    plot = Plot(on, "strings", "Current of each string", "A", 1)
    for s in range(1, life.strings + 1):
        plot.line(f"string {s}", life.column(f"current_A_{s}"), f"s{(s - 1) % 8 + 1}")
    return plot


def charge(life: Life, on: Grid) -> Plot:
    """SOC with its band, and the vehicle's own where the log has it."""
    plot = Plot(on, "soc", "State of charge, with two sigma", "%", 1)
    soc, doubt = 100.0 * life.column("soc"), 200.0 * life.column("soc_sigma")
    plot.band(("+2 sigma", "-2 sigma"), np.minimum(soc + doubt, 100.0), np.maximum(soc - doubt, 0.0), "s1")
    plot.line("SOC", soc, "s1")
    reference = 100.0 * life.column("soc_reference")
    if np.isfinite(reference).any():
        plot.line("vehicle's own", reference, "reference", dash=True)
    return plot


def temperatures(life: Life, on: Grid) -> Plot:
    """Band of all probes."""
    plot = Plot(on, "temperature", "Temperature", "°C", 1)
    for s in range(1, life.strings + 1):
        colour = f"s{(s - 1) % 8 + 1}"
        labels = (named(life, "hottest probe", s), named(life, "coldest probe", s))
        plot.band(labels, life.column(f"probe_max_degC_{s}"), life.column(f"probe_min_degC_{s}"), colour)
    return plot


def spans(life: Life) -> pl.DataFrame:
    """Each raised fault with the time at which it was gone (null: still there at the end)."""
    begin = life.events.filter(pl.col("raised"))
    over = life.events.filter(~pl.col("raised")).select("code", "string", gone_s="time_s")
    joined = begin.sort("time_s").join_asof(
        over.sort("gone_s"),
        left_on="time_s",
        right_on="gone_s",
        by=["code", "string"],
        strategy="forward",
        check_sortedness=False,
    )
    return joined.sort("time_s", maintain_order=True)


def lanes(life: Life) -> list[dict[str, Any]]:
    """The events timeline: one lane for each kind of fault, the most severe first."""
    table = spans(life)
    first, last = first_s(life), float(life.column("time_s")[-1])
    out = []
    for name in table["name"].unique(maintain_order=True):
        rows = table.filter(pl.col("name") == name)
        bars = [
            [round(b - first, 3), round((last if e is None else e) - first, 3)]
            for b, e in zip(rows["time_s"], rows["gone_s"], strict=True)
        ]
        severity = str(rows["severity"][0])
        out.append({"name": str(name).replace("_", " "), "severity": severity, "bars": bars[:500], "count": len(bars)})
    return sorted(out, key=lambda lane: -SEVERITIES.index(str(lane["severity"])))[:LANES]
