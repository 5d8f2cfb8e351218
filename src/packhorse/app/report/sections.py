"""The parts of the report that are words and tables."""

from __future__ import annotations

import datetime as dt
import html
from typing import Any

import numpy as np
import polars as pl

from packhorse.app.report.life import Life, say_duration
from packhorse.app.report.plots import spans
from packhorse.io.answers import SEVERITIES
from packhorse.pack.faults import fault_rows
from packhorse.pack.words import Array, Signal

EVENT_ROWS = 200
CELL_ROWS = 12
BAR = 10.0
"""Width of one cell's bar in the drawing's own units."""


def head(life: Life) -> str:
    """Title and verdict."""
    severity = next((name for name in ("critical", "serious", "warning") if life.counts[name] > 0), "fine")
    warning = f'<p class="doubt" role="alert">{html.escape(life.warning)}</p>' if life.warning else ""
    begin = f", from {life.start.isoformat(' ', 'seconds')}" if life.start is not None else ""
    cells = f"{life.series} cell{'s' if life.series > 1 else ''} in series"
    strings = f"{life.strings} strings of {cells}" if life.strings > 1 else cells
    return (
        f"<h1>{html.escape(life.pack)}</h1>"
        f'<p class="sub">{html.escape(life.log)} · {strings} · {say_duration(life.duration_s)}{begin}</p>'
        f'<p class="verdict {severity}">{html.escape(life.verdict)}</p>{warning}'
    )


def facts(life: Life) -> str:
    """The numbers that one looks for first."""
    soc, sigma = life.column("soc"), life.column("soc_sigma")
    energy, energy_sigma = life.column("energy_kWh"), life.column("energy_sigma_kWh")
    paused_s = sum(gap.length_s for gap in life.gaps)
    shown = [
        ("Rows answered", f"{life.results.height:,}".replace(",", " "), "every row of the log"),
        ("SOC", f"{100 * soc[0]:.1f} → {100 * soc[-1]:.1f} %", f"± {200 * sigma[-1]:.1f} % at the end (two sigma)"),
        ("Energy left", say(energy[-1], "kWh"), f"± {say(2 * energy_sigma[-1], 'kWh')} at the end (two sigma)"),
        ("Power for 10 s", *power(life)),
        *healths(life),
        ("Pauses in the log", str(len(life.gaps)), say_duration(paused_s) + " in all" if life.gaps else "none"),
        ("Invalid readings", f"{readings_lost(life):,}".replace(",", " "), "listed below by code"),
    ]
    if life.distance_km is not None:
        shown.insert(2, ("Distance", f"{life.distance_km:.0f} km", "by the odometer"))
    tiles = "".join(
        f'<div class="tile"><span>{label}</span><b>{value}</b><small>{more}</small></div>'
        for label, value, more in shown
    )
    counts = "".join(
        f'<div class="count {severity}"><b>{life.counts[severity]}</b><span>{severity}</span></div>'
        for severity in reversed(SEVERITIES)
    )
    raised = f'<div class="tile"><span>Events raised</span><div class="counts">{counts}</div></div>'
    return f'<div class="tiles">{tiles}{raised}</div>'


def power(life: Life) -> tuple[str, str]:
    """What could be given and taken for ten seconds when strings were last connected."""
    out_W, in_W = life.column("sop_discharge_10s_W"), life.column("sop_charge_10s_W")
    rows = np.flatnonzero((out_W > 0.0) | (in_W > 0.0))
    if rows.size == 0:
        return "–", "no string was ever connected"
    last = rows[-1]
    shown = f"{out_W[last] / 1000:.0f}&nbsp;kW&nbsp;out, {in_W[last] / 1000:.0f}&nbsp;kW&nbsp;in"
    return shown, "when last connected"


def healths(life: Life) -> list[tuple[str, str, str]]:
    """Each health at the end, of the string in which it is worst, 100 % being new."""
    shown = []
    for name in ("capacity", "resistance", "usable"):
        last = [life.column(f"{name}_health_{s}")[-1] for s in range(1, life.strings + 1)]
        worst = int(np.argmin(last)) + 1
        more = "full, at the present temperature"
        if name != "usable":
            more = f"± {200 * life.column(f'{name}_health_sigma_{worst}')[-1]:.1f} % (two sigma)"
        more += f", string {worst}" if life.strings > 1 else ""
        label = "Usable energy" if name == "usable" else f"Health of {name}"
        shown.append((label, f"{100 * last[worst - 1]:.1f} %", more))
    return shown


def readings_lost(life: Life) -> int:
    """Readings of the battery that were none; the clock and what is only drawn beside it do not count."""
    beside = {"time", "soc_reference", "odometer"}
    return sum(count for (section, _reason), count in life.invalid.items() if section not in beside)


def say(value: float, unit: str) -> str:
    """A number with a sensible length, or a dash."""
    if not np.isfinite(value):
        return "–"
    digits = 3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    return f"{value:.{digits}f}{' ' + unit if unit else ''}".replace("degC", "°C")


def when(life: Life, time_s: float) -> str:
    """Time of an event as the log's clock shows it."""
    if life.start is None:
        seconds = int(time_s)
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return (life.start + dt.timedelta(seconds=time_s)).isoformat(" ", "seconds")


def where(life: Life, row: dict[str, Any]) -> str:
    """String and place of an event, counted from 1."""
    parts = [f"string {row['string']}"] if life.strings > 1 else []
    if row["place"] > 0:
        signal = fault_rows()[row["code"]].signal
        kind = "cell"
        kind = "probe" if "DEGC" in signal.name or "PROBE" in signal.name else kind
        kind = "contactor" if signal == Signal.CONTACTOR_MISMATCH else kind
        parts.append(f"{kind} {row['place']}")
    return ", ".join(parts) if parts else "pack"


def table(head: list[str], rows: list[list[str]], numbers: set[int], name: str) -> str:
    """An HTML table; columns in `numbers` are set right. Cells must be escaped already."""
    cells = "".join(f'<th scope="col"{" class=n" if k in numbers else ""}>{label}</th>' for k, label in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td{' class=n' if k in numbers else ''}>{cell}</td>" for k, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table id="{name}"><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'


def events(life: Life) -> str:
    """Every fault that was raised, the most severe first."""
    found = spans(life).with_columns(order=-pl.col("severity").to_physical().cast(pl.Int32))
    found = found.sort("order", "time_s")
    if found.height == 0:
        return "<p>No fault was raised.</p>"
    rows = []
    for row in found.head(EVENT_ROWS).iter_rows(named=True):
        gone = row["gone_s"]
        lasted = "to the end" if gone is None else say_duration(gone - row["time_s"])
        severity = row["severity"]
        rows.append(
            [
                when(life, row["time_s"]),
                f'<span class="mark {severity}">{severity}</span>',
                row["name"].replace("_", " "),
                where(life, row),
                say(row["value"], row["unit"]),
                lasted,
                f"{html.escape(row['meaning'])} <em>{html.escape(row['remedy'])}</em>",
            ]
        )
    more = found.height - len(rows)
    note = f"<p>{more} more, milder or later, are in events.parquet.</p>" if more > 0 else ""
    return (
        table(["Time", "Severity", "Fault", "Where", "Value", "Lasted", "Meaning and remedy"], rows, {4, 5}, "faults")
        + note
    )


def cells(life: Life) -> str:
    """All cells at a glance, and the weakest by rank."""
    if life.strings * life.series == 1:
        row = life.cells.row(0, named=True)
        voltages = f"{say(row['min_V'], 'V')} to {say(row['max_V'], 'V')}"
        return f"<p>One cell: {voltages}, SOC {100 * row['soc']:.1f} % at the end.</p>"
    strips = "".join(strip(life, s) for s in range(1, life.strings + 1))
    rows = []
    for row in life.cells.head(CELL_ROWS).iter_rows(named=True):
        mV = [1000.0 * row[name] for name in ("deviation_V", "deviation_discharging_V", "deviation_charging_V")]
        rows.append(
            [
                str(row["rank"]),
                life.place(row["string"], row["cell"]),
                *(f"{value:+.1f}" if np.isfinite(value) else "–" for value in mV),
                say(row["min_V"], ""),
                say(row["max_V"], ""),
                f"{100 * row['soc']:.1f} ± {200 * row['soc_sigma']:.1f}",
                str(row["not_heard"]),
            ]
        )
    head = [
        "Rank",
        "Cell",
        "Mean, mV",
        "Discharging, mV",
        "Charging, mV",
        "Lowest, V",
        "Highest, V",
        "SOC at end, %",
        "Not heard",
    ]
    return (
        "<p>Mean deviation of every cell from the median of its string, in mV. A cell that is low while discharging "
        "and high while charging has more resistance; one that is low always has less charge.</p>"
        + strips
        + table(head, rows, {0, 2, 3, 4, 5, 6, 7, 8}, "weakest")
    )


def strip(life: Life, string: int) -> str:
    """One bar for each cell of a string, up and down from its median."""
    own = life.cells.filter(pl.col("string") == string).sort("cell")
    mV: Array = 1000.0 * own["deviation_V"].to_numpy()
    heard = mV[np.isfinite(mV)]
    high = max(float(heard.max(initial=0.0)), 0.5)
    low = min(float(heard.min(initial=0.0)), -0.5)
    scale = 96.0 / (high - low)
    zero = 2.0 + high * scale
    bars = "".join(
        bar(k, value, rank, zero, scale) for k, (value, rank) in enumerate(zip(mV, own["rank"].to_list(), strict=True))
    )
    width = BAR * mV.size
    every = 10 if mV.size <= 120 else 20
    ticks = "".join(
        f'<span style="left:{100.0 * (k - 0.5) / mV.size:.2f}%">{k}</span>'
        for k in [1, *range(every, mV.size + 1, every)]
    )
    label = f"String {string}" if life.strings > 1 else "Cells"
    return (
        f'<figure class="strip"><figcaption>{label}, from {low:+.1f} to {high:+.1f} mV</figcaption>'
        f'<svg viewBox="0 0 {width:g} 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}: mean deviation of each cell">'
        f'<line x1="0" x2="{width:g}" y1="{zero:.1f}" y2="{zero:.1f}"/>{bars}</svg>'
        f'<div class="ticks" aria-hidden="true">{ticks}</div></figure>'
    )


def bar(k: int, value_mV: float, rank: int, zero: float, scale: float) -> str:
    """The bar of one cell."""
    if not np.isfinite(value_mV):
        kind, top, height, said = "silent", zero - 2.0, 4.0, "not heard"
    else:
        kind = "weak" if rank <= CELL_ROWS and value_mV < 0 else "low" if value_mV < 0 else "high"
        height = max(abs(value_mV) * scale, 0.6)
        top = zero if value_mV < 0 else zero - height
        said = f"{value_mV:+.1f} mV"
    return (
        f'<rect class="{kind}" x="{k * BAR + 1:g}" y="{top:.1f}" width="{BAR - 2:g}" height="{height:.1f}">'
        f"<title>cell {k + 1}: {said}</title></rect>"
    )


def limits(life: Life) -> str:
    """What bound the limits, and for which share of the rows."""
    rows = []
    for direction in ("discharge", "charge"):
        counted = life.results[f"{direction}_reason"].value_counts(sort=True)
        total = life.results.height
        causes = [
            f"{name.replace('_', ' ')} {100.0 * count / total:.1f} %"
            for name, count in counted.iter_rows()
            if 100.0 * count / total >= 0.05
        ]
        limit = life.column(f"{direction}_limit_A")
        rows.append([direction, f"{np.nanmin(limit):.0f} to {np.nanmax(limit):.0f} A", ", ".join(causes)])
    return table(["Direction", "Range", "What bound it, by share of rows"], rows, set(), "reasons")


def readings(life: Life) -> str:
    """What in the log was no reading, by section and reason."""
    rows = [
        [html.escape(section.replace("_", " ")), html.escape(reason), f"{count:,}".replace(",", " ")]
        for (section, reason), count in sorted(life.invalid.items())
    ]
    if life.blank_rows > 0:
        rows.append(["whole rows", "nothing measured", str(life.blank_rows)])
    gaps = sorted(life.gaps, key=lambda gap: -gap.length_s)[:5]
    time_s = life.column("time_s")
    pauses = (
        "<p>Longest pauses: "
        + ", ".join(f"{say_duration(gap.length_s)} after {when(life, time_s[gap.row])}" for gap in gaps)
        + ".</p>"
        if gaps
        else "<p>The log has no pauses.</p>"
    )
    lost = (
        table(["Readings of", "Why they are none", "Count"], rows, {2}, "invalid")
        if rows
        else "<p>Every reading was valid.</p>"
    )
    return lost + pauses
