"""Line plots as SVG that stands in the page and takes its colours from it: no script, sharp in print."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from packhorse.pack.words import Array

WIDTH, HEIGHT = 580.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 10.0, 8.0, 36.0
TICKS = 6
MARGIN = 0.04
"""Free space above and below the curves, as a share of their range."""
FEW_DECADES = 2.0
"""Up to so many decades a logarithmic axis has ticks at 1, 2 and 5."""


class Curve(NamedTuple):
    """One line of a plot. Curves of the same label share one entry of the legend; an empty label has none."""

    label: str
    x: Array
    y: Array
    colour: str  # any CSS colour, mostly `var(--...)`
    how: Literal["line", "dashed", "thin"] = "line"


class Axis(NamedTuple):
    """One axis: what it shows and in which unit, from where to where."""

    label: str
    low: float
    high: float
    log: bool = False

    def share(self, values: Array) -> Array:
        """Where values stand between the ends, 0 to 1."""
        if self.log:
            low, high = np.log10(self.low), np.log10(self.high)
            return np.asarray((np.log10(values) - low) / (high - low))
        return np.asarray((values - self.low) / (self.high - self.low))


def axis(label: str, values: Sequence[Array], log: bool = False, margin: float = 0.0) -> Axis:
    """An axis that holds all values, with some free space at both ends."""
    known = np.concatenate([one[np.isfinite(one)] for one in values] or [np.array([0.0, 1.0])])
    known = known[known > 0.0] if log else known
    low, high = (float(known.min()), float(known.max())) if known.size else (1.0, 2.0)
    if log:
        spread = max(high / low, 1.5) ** (margin + 0.02)
        return Axis(label, low / spread, high * spread, log=True)
    width = (high - low) or max(abs(high), 1.0) * 0.1
    return Axis(label, low - margin * width, high + margin * width)


def figure(title: str, x: Axis, y: Axis, curves: Sequence[Curve], height: float = HEIGHT) -> str:
    """A plot with its title and legend above it."""
    entries = {curve.label: curve for curve in reversed(curves) if curve.label}
    keys = "".join(
        f'<span class="key {curve.how}"><i style="border-color:{curve.colour}"></i>{html.escape(label)}</span>'
        for label, curve in reversed(entries.items())
    )
    keys = f'<div class="keys">{keys}</div>' if keys else ""
    inner_w, inner_h = WIDTH - LEFT - RIGHT, height - TOP - BOTTOM
    lines = "".join(path(curve, x, y, inner_w, inner_h) for curve in curves)
    return (
        f'<figure class="drawing"><figcaption>{html.escape(title)}</figcaption>{keys}'
        f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="{html.escape(title)}">'
        f"{frame(x, y, inner_w, inner_h)}"
        f'<svg x="{LEFT:g}" y="{TOP:g}" width="{inner_w:g}" height="{inner_h:g}">{lines}</svg>'
        "</svg></figure>"
    )


def frame(x: Axis, y: Axis, inner_w: float, inner_h: float) -> str:
    """Grid, ticks and labels of both axes."""
    parts = []
    for value, said in ticks(y):
        at = TOP + inner_h * (1.0 - float(y.share(np.array(value))))
        kind = ' class="zero"' if value == 0.0 and not y.log else ""
        parts.append(f'<line{kind} x1="{LEFT:g}" x2="{LEFT + inner_w:g}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6:g}" y="{at + 4:.1f}" text-anchor="end">{said}</text>')
    bottom = TOP + inner_h
    for value, said in ticks(x):
        at = LEFT + inner_w * float(x.share(np.array(value)))
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP:g}" y2="{bottom:g}"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 15:g}" text-anchor="middle">{said}</text>')
    middle = TOP + 0.5 * inner_h
    parts.append(
        f'<text x="{LEFT + 0.5 * inner_w:g}" y="{bottom + 31:g}" text-anchor="middle">{html.escape(x.label)}</text>'
        f'<text transform="translate(13 {middle:g}) rotate(-90)" text-anchor="middle">{html.escape(y.label)}</text>'
    )
    return "".join(parts)


def ticks(on: Axis) -> list[tuple[float, str]]:
    """Round values along an axis and how they are written."""
    if on.log:
        decades = range(int(np.floor(np.log10(on.low))), int(np.ceil(np.log10(on.high))) + 1)
        steps = (1.0, 2.0, 5.0) if np.log10(on.high / on.low) <= FEW_DECADES else (1.0,)
        values = [step * 10.0**decade for decade in decades for step in steps]
        return [(value, f"{value:g}") for value in values if on.low <= value <= on.high]
    raw = max(on.high - on.low, 1e-12) / TICKS
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(next((m * power for m in (1.0, 2.0, 5.0) if m * power >= raw), 10.0 * power))
    first, last = int(np.ceil(on.low / step - 1e-9)), int(np.floor(on.high / step + 1e-9))
    return [(k * step, f"{k * step:.10g}".replace("-", "−")) for k in range(first, last + 1)]


def path(curve: Curve, x: Axis, y: Axis, inner_w: float, inner_h: float) -> str:
    """A line that breaks where there is no value."""
    with np.errstate(invalid="ignore", divide="ignore"):
        at_x, at_y = inner_w * x.share(curve.x), inner_h * (1.0 - y.share(curve.y))
    known = np.isfinite(at_x) & np.isfinite(at_y)
    pieces, pen = [], "M"
    for place_x, place_y, drawn in zip(at_x.tolist(), at_y.tolist(), known.tolist(), strict=True):
        if drawn:
            pieces.append(f"{pen}{place_x:.1f} {place_y:.1f}")
        pen = "L" if drawn else "M"
    return f'<path class="{curve.how}" style="stroke:{curve.colour}" d="{"".join(pieces)}"/>'
