"""The live view of `packhorse run`: pure functions from what is known now to lines on a terminal.

Less important lines give way on a small terminal: first events, then remedies, then the second line of each string.
Colour only repeats what the words say.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.text import Text

from packhorse.app import say
from packhorse.estimation.power import HORIZONS_S
from packhorse.pack.faults import fault_rows
from packhorse.pack.words import Event, Frame, Output, Pack, Severity, Signal, Stage

WIDE = 96
FIXED_LINES, FAULT_AND_EVENT_LINES = 9, 8
STRINGS_SHOWN = 8
TEN_S = HORIZONS_S.index(10.0)
COLOURS = {
    Severity.INFO: "cyan",
    Severity.WARNING: "yellow",
    Severity.SERIOUS: "bright_red",
    Severity.CRITICAL: "bold white on red",
}
STAGE_COLOURS = {Stage.CLOSED: "green", Stage.PRECHARGE: "yellow", Stage.OPENING: "yellow", Stage.TRIPPED: "bold red"}


class Active(NamedTuple):
    """A fault that is there now."""

    code: int
    string: int
    since_s: float  # NaN where it was there before this run


class Moment(NamedTuple):
    """What the view shows: the last tick, and what has happened before it."""

    frame: Frame
    output: Output
    active: list[Active]
    recent: list[Event]  # oldest first
    speed_m_per_s: float
    distance_m: float
    grade: float
    plugged: bool
    speed_asked: float  # times real time; 0 is as fast as possible
    speed_achieved: float
    note: str = ""  # the last trouble of the bus


def render(pack: Pack, name: str, moment: Moment, width: int = 100, height: int = 30) -> RenderableType:
    """The whole view, cut to fit."""
    shown = min(pack.strings, STRINGS_SHOWN)
    roomy = height >= FIXED_LINES + 1 + 2 * shown + FAULT_AND_EVENT_LINES and width >= WIDE
    top = [
        header(name, moment, width),
        Text(""),
        road(moment),
        *power(moment, width),
        thermal(moment, 8 if width >= WIDE else 4),
        Text(""),
        *strings(pack, moment, width, shown, roomy),
    ]
    if pack.strings > shown:
        top.append(Text(f"and {pack.strings - shown} more strings", style="dim"))
    top.append(Text(f"Bus     {moment.note}" if moment.note else "", style="yellow"))
    bottom = faults(moment, height - len(top))
    bottom += events(moment, height - len(top) - len(bottom))
    lines = (top + bottom)[:height]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Group(*lines)


def header(name: str, moment: Moment, width: int) -> Text:
    """Who, and how fast time runs: the speed that was achieved stands beside the one that was asked for."""
    pace = f"{moment.speed_achieved:.3g}x real time"
    if moment.speed_asked > 0.0 and moment.speed_achieved < 0.95 * moment.speed_asked:
        pace += f" ({moment.speed_asked:g}x asked)"
    right = f"{say.clock(moment.frame.time_s)}  {pace}"
    left = Text(name, style="bold")
    left.truncate(max(0, width - len(right) - 2), overflow="ellipsis")
    left.append(" " * max(0, width - left.cell_len - len(right)))
    return left.append(right)


def road(moment: Moment) -> Text:
    """Speed, way, slope, weather."""
    doing = "plugged in" if moment.plugged else "driving" if moment.speed_m_per_s > 0.1 else "standing"
    return Text(
        f"Road    {say.number(3.6 * moment.speed_m_per_s, 1):>5} km/h   {moment.distance_m / 1000.0:8.2f} km   "
        f"grade {say.number(100.0 * moment.grade, 1, '+')} %   "
        f"ambient {say.number(moment.frame.ambient_degC, 1)} °C   {doing}"
    )


def power(moment: Moment, width: int) -> list[Text]:
    """Power and its limits with their reasons, then charge and energy."""
    frame, limits, estimate = moment.frame, moment.output.limits, moment.output.estimate
    power_kW = float((frame.string_A * frame.string_V).sum()) / 1000.0
    flow = "out" if power_kW >= 0.0 else "in"
    gap = "   " if width >= WIDE else "  "
    pack = Text(f"Pack    {say.number(abs(power_kW), 1):>5} kW {flow:3}{gap}limits ")
    pack.append(f"{limits.discharge_W / 1000.0:.0f} kW out")
    pack.append(f" ({say.reason(limits.discharge_reason)})")
    pack.append(f", {limits.charge_W / 1000.0:.0f} kW in")
    pack.append(f" ({say.reason(limits.charge_reason)})")
    pack.truncate(width, overflow="ellipsis")
    charge = Text(
        f"Charge  {say.plus_minus(estimate.soc, estimate.soc_sigma)}{gap}{say.number(estimate.energy_kWh)} kWh left"
        f"{gap}link {say.number(frame.link_V)} V"
    )
    if width >= WIDE:
        out_kW, into_kW = estimate.power_W[:, TEN_S] / 1000.0
        charge.append(f"{gap}for 10 s {out_kW:.0f} kW out, {into_kW:.0f} kW in")
    return [pack, charge]


def bar(share: float, cells: int) -> str:
    """A share of 1 as a bar of so many characters."""
    full = round(max(0.0, min(1.0, share)) * cells)
    return "█" * full + "░" * (cells - full)


def thermal(moment: Moment, cells: int) -> Text:
    """What the thermal system is asked to do."""
    command = moment.output.command
    asked = (
        ("pump", command.pump),
        ("chiller", command.chiller),
        ("fan", command.radiator),
        ("heater", command.heater),
    )
    parts = [f"{name} {bar(share, cells)} {abs(100.0 * share):3.0f} %" for name, share in asked]
    return Text("Heat    " + "  ".join(parts))


COLUMNS = (
    ("string", 6),
    ("contactors", 10),
    ("V", 5),
    ("A", 7),
    ("charge ±2σ", 12),
    ("lowest V", 10),
    ("highest V", 10),
    ("°C", 10),
    ("A out", 5),
    ("A in", 5),
)
"""Heads and widths of the strings' columns; the last two only where there is room."""


def strings(pack: Pack, moment: Moment, width: int, shown: int, roomy: bool) -> list[Text]:
    """One line for each string, and a second one under it where there is room."""
    columns = COLUMNS if width >= WIDE else COLUMNS[:-2]
    gap = "  " if width >= WIDE else " "
    lines = [Text(gap.join(f"{head:>{wide}}" for head, wide in columns), style="dim")]
    for s in range(shown):
        line = Text()
        for value, (head, wide) in zip(string(moment, s), columns, strict=False):
            stage = Stage(int(moment.output.command.stage[s]))
            style = STAGE_COLOURS.get(stage, "") if head == "contactors" else ""
            line.append(f"{value:>{wide}}", style=style).append(gap)
        line.rstrip()
        lines.append(line)
        if roomy:
            lines.append(Text(second_line(pack, moment, s), style="dim"))
    return lines


def string(moment: Moment, s: int) -> list[str]:
    """The values of one string, in the order of the columns."""
    frame, output = moment.frame, moment.output
    signal, place, estimate, limits = output.signal[:, s], output.place[:, s], output.estimate, output.limits
    low, high = Signal.CELL_MIN_V, Signal.CELL_MAX_V
    cold, hot = signal[Signal.DISCHARGE_MIN_DEGC], signal[Signal.DISCHARGE_MAX_DEGC]
    return [
        f"{s + 1}",
        Stage(int(output.command.stage[s])).name.lower(),
        say.number(frame.string_V[s], 1),
        say.number(frame.string_A[s], 1, "+"),
        say.plus_minus(estimate.string_soc[s], estimate.string_soc_sigma[s]),
        at(signal[low], place[low]),
        at(signal[high], place[high]),
        f"{say.number(cold, 1)}..{say.number(hot, 1)}",
        say.number(limits.string_A[0, s]),
        say.number(limits.string_A[1, s]),
    ]


def at(cell_V: float, place: float) -> str:
    """A voltage with the number of its cell, counted from 1."""
    return f"{say.number(cell_V, 3)} @{int(place) + 1}" if place >= 0.0 else say.UNKNOWN


def second_line(pack: Pack, moment: Moment, s: int) -> str:
    """Weakest and strongest cell by belief, and why the limits of a string are no higher."""
    estimate, limits = moment.output.estimate, moment.output.limits
    out, into = (say.reason(limits.string_reason[direction, s]) for direction in range(2))
    said = f"        out: {out}; in: {into}"
    if pack.series > 1:
        said += (
            f"; weakest cell {int(estimate.weakest[s]) + 1} {say.number(100.0 * estimate.soc_min[s], 1)} %, "
            f"strongest {int(estimate.strongest[s]) + 1} {say.number(100.0 * estimate.soc_max[s], 1)} %"
        )
    return said


def faults(moment: Moment, room: int) -> list[Text]:
    """Active faults, worst first, each with its remedy while there is room for all of them."""
    if not moment.active:
        return [Text("No faults")]
    rows = fault_rows()
    ordered = sorted(moment.active, key=lambda fault: (-rows[fault.code].severity, fault.code, fault.string))
    lines = [Text(f"Faults: {len(ordered)}", style="bold")]
    with_remedy = 1 + 2 * len(ordered) <= room
    fitting = len(ordered) if 1 + len(ordered) <= room else max(1, room - 2)
    for fault in ordered[:fitting]:
        lines.append(fault_line(moment, fault))
        if with_remedy:
            lines.append(Text(f"           {rows[fault.code].remedy}", style="dim"))
    if fitting < len(ordered):
        lines.append(Text(f"and {len(ordered) - fitting} more", style="bold"))
    return lines


def fault_line(moment: Moment, fault: Active) -> Text:
    """Severity, name, place and beginning of a fault."""
    row = fault_rows()[fault.code]
    place = int(moment.output.place[row.signal, fault.string])
    since = f"since {say.clock(fault.since_s)}" if math.isfinite(fault.since_s) else "since before this run"
    line = Text(f"{say.SEVERITIES[row.severity]:9}", style=COLOURS[row.severity])
    return line.append(f"  {say.fault(fault.code)}, {say.where(fault.code, fault.string, place)}, {since}", style="")


def events(moment: Moment, room: int) -> list[Text]:
    """What has happened lately, the newest first."""
    if room < 2 or not moment.recent:
        return []
    latest = moment.recent[:-room:-1]
    return [Text("Events", style="bold"), *(Text(say.event(event), style=COLOURS[event.severity]) for event in latest)]
