"""The report of a discovery: each proposal over time, and the evidence that it rests on."""

from __future__ import annotations

import html

import numpy as np

import packhorse
from packhorse.app.report import asset, fill
from packhorse.app.report.drawing import MARGIN, Axis, Curve, axis, figure
from packhorse.app.report.sections import table
from packhorse.lab.discover import Evidence, Found, Kind, Proposal, Role
from packhorse.lab.discover.describe import SURE, message_name, verdict
from packhorse.pack.words import Array

POINTS, MOST_CURVES = 1200, 12
TITLES = {
    Kind.CELL: "Cell voltages",
    Kind.PACK: "Pack voltage",
    Kind.CURRENT: "Current, positive discharges",
    Kind.SOC: "SOC",
    Kind.PROBE: "Temperatures",
}
ROLES = {Role.DATA: "data", Role.CONSTANT: "–", Role.COUNTER: "counter", Role.CHECKSUM: "checksum"}


def page(log: str, found: Found) -> str:
    """The whole report as HTML."""
    parts = {
        "title": html.escape(f"{log}, discovered"),
        "css": asset("report.css"),
        "own_css": asset("identification.css"),
        "head": head(log, found),
        "table": proposals_table(found),
        "proposals": "".join(proposal(found, one) for one in found.proposals),
        "bytes": byte_table(found),
        "version": html.escape(packhorse.__version__),
    }
    return fill("discovery.html", parts)


def head(log: str, found: Found) -> str:
    """Title, verdict, and what could not be known."""
    doubt = "" if any(one.confidence >= SURE for one in found.proposals) else " warning"
    lines = list(found.missing)
    if found.known:
        lines.append(f"known by our table of J1939 and left to it: {', '.join(found.known)}")
    notes = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    bus = f"bus {found.streams[0].bus} · " if found.streams else ""
    where = f"{bus}{len(found.streams)} identifiers · {float(found.clock_s[-1]) / 60.0:.1f} minutes"
    return (
        f"<h1>{html.escape(log)}</h1>"
        f'<p class="sub">{where} · no DBC, physics alone</p>'
        f'<p class="verdict{doubt}">{html.escape(verdict(found))}</p>'
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
    )


def proposals_table(found: Found) -> str:
    """Every proposal in a line."""
    rows = [
        [
            TITLES[one.kind],
            str(len(one.fields)),
            place(found, one),
            f"raw × {one.scale:g}{f' {one.offset:+g}' if one.offset else ''} {one.unit.replace('degC', '°C')}",
            f"{one.confidence:.2f}",
            f"{one.place_confidence:.2f}",
        ]
        for one in found.proposals
    ]
    head = ["What", "Fields", "The first of them", "Value", "Confidence", "Of its place"]
    return table(head, rows, {1, 4, 5}, "proposals")


def place(found: Found, one: Proposal) -> str:
    """Where the first field of a proposal lies."""
    field = one.fields[0]
    order = "Motorola" if field.motorola and field.bits > 8 else "Intel"
    turn = f", turn {field.turn}" if field.turn >= 0 else ""
    sign = ", signed" if field.signed else ""
    return f"{message_name(found.streams[field.stream])}, bit {field.start}, {field.bits} bits, {order}{sign}{turn}"


def proposal(found: Found, one: Proposal) -> str:
    """A proposal over time, why it is believed, and its evidence."""
    said = "".join(f"<li>{html.escape(line)}</li>" for line in one.said)
    factor, unit = (100.0, "%") if one.kind == Kind.SOC else (1.0, one.unit.replace("degC", "°C"))
    minutes = thinned(found.clock_s) / 60.0
    shown = range(0, len(one.fields), -(-len(one.fields) // MOST_CURVES))
    curves = [
        Curve("", minutes, factor * thinned(one.value[k]), f"var(--s{n % 4 + 1})", "thin") for n, k in enumerate(shown)
    ]
    values = axis(f"{TITLES[one.kind].partition(',')[0]}, {unit}", [curve.y for curve in curves], margin=MARGIN)
    drawn = figure(f"{TITLES[one.kind]} over time", axis("minutes", [minutes]), values, curves)
    drawn += "".join(evidence(each) for each in one.evidence)
    return (
        f"<section><h2>{TITLES[one.kind]}: confidence {one.confidence:.2f}</h2>"
        f'<ul class="sources">{said}</ul><div class="drawings">{drawn}</div></section>'
    )


def evidence(one: Evidence) -> str:
    """Two series against each other, as points."""
    count = min(one.x.size, one.y.size)
    x, y = thinned(one.x[:count]), thinned(one.y[:count])
    size = 0.004
    wide_x, wide_y = axis(one.label_x, [x], margin=MARGIN), axis(one.label_y, [y], margin=MARGIN)
    return figure(one.said, wide_x, wide_y, [Curve("", *points(x, y, wide_x, size), "var(--s1)")])


def points(x: Array, y: Array, along: Axis, size: float) -> tuple[Array, Array]:
    """Points as short strokes, apart from each other."""
    half = 0.5 * size * (along.high - along.low)
    gap = np.full(x.size, np.nan)
    return np.column_stack((x - half, x + half, gap)).ravel(), np.column_stack((y, y, gap)).ravel()


def thinned(values: Array) -> Array:
    """Every so many of the values."""
    return np.asarray(values[:: max(1, values.size // POINTS)], dtype=np.float64)


def byte_table(found: Found) -> str:
    """What each byte of each message does."""
    rows = [
        [message_name(stream), str(stream.heard), *(ROLES[Role(int(role))] for role in doing[:8])]
        for stream, doing in zip(found.streams, found.roles, strict=True)
    ]
    return table(["Message", "Frames", *(f"{k}" for k in range(8))], rows, {1}, "bytes")
