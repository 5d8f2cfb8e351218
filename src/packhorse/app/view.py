"""Where a run is watched: the live view on a terminal, a line for each simulated minute elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from packhorse.app import say
from packhorse.app.pace import Pace
from packhorse.app.screen import Moment, render
from packhorse.app.trip import Trip
from packhorse.app.world import Tick
from packhorse.pack.words import Pack, Signal

REFRESH_S = 1.0 / 8.0
LINE_S = 60.0
Show = Callable[[Tick, Trip], None]


@contextmanager
def view(
    console: Console, name: str, pack: Pack, pace: Pace, clock: Callable[[], float], quiet: bool
) -> Iterator[Show]:
    """A function that shows a tick, when it is time to."""
    if console.is_terminal:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            yield live_view(live, name, pack, pace, clock)
    elif quiet:
        yield lambda _tick, _trip: None
    else:
        yield lines(console)


def live_view(live: Live, name: str, pack: Pack, pace: Pace, clock: Callable[[], float]) -> Show:
    """Redraws the screen a few times a second."""
    due_s = -math.inf

    def show(tick: Tick, trip: Trip) -> None:
        nonlocal due_s
        now_s = clock()
        if now_s >= due_s:
            due_s = now_s + REFRESH_S
            size = live.console.size
            now = moment(tick, trip, pace)
            live.update(render(pack, name, now, size.width, size.height), refresh=True)

    return show


def lines(console: Console) -> Show:
    """Prints a line whenever a simulated minute is full."""
    minute = -1

    def show(tick: Tick, trip: Trip) -> None:
        nonlocal minute
        now = int((trip.end_s - trip.start_s + 1e-6) // LINE_S)
        if now > max(minute, 0):
            console.print(line(tick, trip), markup=False, highlight=False, soft_wrap=True)
        minute = now

    return show


def moment(tick: Tick, trip: Trip, pace: Pace) -> Moment:
    """What the live view shows of a tick."""
    return Moment(
        frame=tick.frame,
        output=tick.output,
        active=trip.active(tick.state),
        recent=list(trip.recent),
        speed_m_per_s=tick.around.speed_m_per_s,
        distance_m=tick.around.distance_m,
        grade=tick.around.grade,
        plugged=tick.around.plugged,
        speed_asked=pace.speed,
        speed_achieved=pace.achieved,
        note=tick.note,
    )


def line(tick: Tick, trip: Trip) -> str:
    """A tick on one line."""
    frame, around, estimate, signal = tick.frame, tick.around, tick.output.estimate, tick.output.signal
    power_kW = float((frame.string_A * frame.string_V).sum()) / 1000.0
    active = trip.active(tick.state)
    faults = ", ".join(dict.fromkeys(say.fault(fault.code) for fault in active)) or "no faults"
    return (
        f"{say.clock(frame.time_s)}  {say.number(3.6 * around.speed_m_per_s, 1):>5} km/h  "
        f"{around.distance_m / 1000.0:7.2f} km  "
        f"{say.number(power_kW, 1, '+'):>7} kW  {say.plus_minus(estimate.soc, estimate.soc_sigma)}  "
        f"{say.number(signal[Signal.CELL_MIN_V].min(), 3)} to {say.number(signal[Signal.CELL_MAX_V].max(), 3)} V  "
        f"{say.number(signal[Signal.DISCHARGE_MIN_DEGC].min(), 1)} to "
        f"{say.number(signal[Signal.DISCHARGE_MAX_DEGC].max(), 1)} °C  {faults}"
    )
