"""Plots as SVG text: errors over time with their interval, and what the intervals cover. No scripts, no fonts."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from packhorse.pack.words import Array

WIDTH, HEIGHT = 720.0, 260.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 12.0, 34.0, 34.0
INK, FAINT, BAND = "#334155", "#cbd5e1", "#bfdbfe"
COLOURS = ("#1d4ed8", "#d97706", "#64748b", "#059669", "#be123c")
STYLE = "font-family:system-ui,sans-serif;font-size:11px;background:#fff"
MOST_TICKS = 7


class Line(NamedTuple):
    """One curve of a plot; where `half_width` is finite, a band of that much is drawn around zero error."""

    name: str
    x: Array
    y: Array
    half_width: Array | None


def nice_step(span: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that divides a span into a few parts."""
    raw = max(span, 1e-9) / MOST_TICKS
    power = 10.0 ** np.floor(np.log10(raw))
    return float(next((m * power for m in (1.0, 2.0, 5.0) if m * power >= raw), 10.0 * power))


def over_time(title: str, lines: Sequence[Line], x_label: str, y_label: str, most: float) -> str:
    """Curves over time. The y axis is symmetric and reaches the largest value, at most `most`."""
    reach = max((float(np.nanmax(np.abs(line.y))) for line in lines if np.isfinite(line.y).any()), default=1.0)
    reach = float(np.clip(1.1 * reach, 0.5, most))
    end = max((float(line.x[-1]) for line in lines if line.x.size), default=1.0) or 1.0

    def at_x(x: Array) -> Array:
        return LEFT + (WIDTH - LEFT - RIGHT) * x / end

    def at_y(y: Array) -> Array:
        return TOP + (HEIGHT - TOP - BOTTOM) * (0.5 - 0.5 * np.clip(y, -reach, reach) / reach)

    parts = [axes(end, reach, at_x, at_y, x_label, y_label)]
    for line in lines[:1]:
        if line.half_width is not None and np.isfinite(line.half_width).any():
            parts.insert(0, band(at_x(line.x), at_y(line.half_width), at_y(-line.half_width)))
    parts += [
        curve(at_x(lines[k].x), at_y(lines[k].y), COLOURS[k % len(COLOURS)], 1.8 if k == 0 else 1.1)
        for k in reversed(range(len(lines)))
    ]
    parts.append(legend([line.name for line in lines]))
    return svg(title, HEIGHT, "".join(parts))


def axes(
    end: float, reach: float, at_x: Callable[[Array], Array], at_y: Callable[[Array], Array], x_label: str, y_label: str
) -> str:
    """Ticks, grid and labels."""
    parts = []
    for tick in np.arange(-np.floor(reach / nice_step(2 * reach)), reach / nice_step(2 * reach) + 1e-9):
        value = float(tick * nice_step(2 * reach))
        y = float(at_y(np.array(value)))
        colour = INK if tick == 0 else FAINT
        parts.append(f'<line x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}"/>')
        parts.append(text(LEFT - 6, y + 4, f"{value:g}", "end"))
    parts += [
        text(float(at_x(np.array(value))), HEIGHT - BOTTOM + 14, f"{value:g}", "middle")
        for value in np.arange(0.0, end + 1e-9, nice_step(end))
    ]
    parts.append(text(WIDTH - RIGHT, HEIGHT - 6, x_label, "end"))
    parts.append(text(LEFT, TOP - 6, y_label, "start"))
    return "".join(parts)


def curve(x: Array, y: Array, colour: str, width: float) -> str:
    """A line that breaks where there is no value."""
    known = np.isfinite(x) & np.isfinite(y)
    pieces, pen = [], False
    for k in range(x.size):
        if known[k]:
            pieces.append(f"{'L' if pen else 'M'}{x[k]:.1f} {y[k]:.1f}")
        pen = bool(known[k])
    return f'<path d="{"".join(pieces)}" fill="none" stroke="{colour}" stroke-width="{width:g}"/>'


def band(x: Array, high: Array, low: Array) -> str:
    """A filled band."""
    known = np.isfinite(high) & np.isfinite(low)
    there = [f"{a:.1f},{b:.1f}" for a, b in zip(x[known], high[known], strict=True)]
    back = [f"{a:.1f},{b:.1f}" for a, b in zip(x[known][::-1], low[known][::-1], strict=True)]
    return f'<polygon points="{" ".join(there + back)}" fill="{BAND}"/>'


def bars(title: str, names: Sequence[str], values: Sequence[float], low: float, high: float) -> str:
    """Horizontal bars of shares 0..1, with the range that is wanted behind them."""
    row, label = 22.0, 210.0
    height = TOP + row * len(names) + BOTTOM
    scale = WIDTH - label - RIGHT - 44.0
    inside = TOP + row * len(names)
    parts = [
        f'<rect x="{label + scale * low:.1f}" y="{TOP:g}" width="{scale * (high - low):.1f}" '
        f'height="{inside - TOP:g}" fill="#dcfce7"/>'
    ]
    for k, (name, value) in enumerate(zip(names, values, strict=True)):
        y = TOP + row * k
        parts.append(text(label - 8, y + 15, name, "end"))
        if np.isfinite(value):
            parts.append(
                f'<rect x="{label:g}" y="{y + 4:g}" width="{scale * value:.1f}" height="14" fill="{COLOURS[0]}"/>'
            )
            parts.append(text(label + scale * value + 5, y + 15, f"{100 * value:.0f} %", "start"))
    parts.append(
        text(label + scale * low, inside + 16, f"wanted: {100 * low:.0f} to {100 * high:.0f} % of rows", "start")
    )
    return svg(title, height, "".join(parts))


def legend(names: Sequence[str]) -> str:
    """Names of the curves, on the right of the title line."""
    parts, x = [], WIDTH - RIGHT
    for k in reversed(range(len(names))):
        x -= 6.4 * len(names[k])
        parts.append(text(x, TOP - 6, names[k], "start"))
        x -= 20.0
        parts.append(
            f'<line x1="{x:g}" x2="{x + 16:g}" y1="{TOP - 10:g}" y2="{TOP - 10:g}" '
            f'stroke="{COLOURS[k % len(COLOURS)]}" stroke-width="2"/>'
        )
        x -= 10.0
    return "".join(parts)


def text(x: float, y: float, content: str, anchor: str) -> str:
    """A label."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}">{html.escape(content)}</text>'


def svg(title: str, height: float, content: str) -> str:
    """The drawing with its title."""
    said = html.escape(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:g}" style="{STYLE}" role="img" '
        f'aria-label="{said}"><text x="{LEFT:g}" y="14" fill="{INK}" font-weight="600">{said}</text>{content}</svg>\n'
    )
