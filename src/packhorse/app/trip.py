"""What a run amounts to: gathered tick by tick, told at the end."""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Any

from packhorse import bms
from packhorse.app import say
from packhorse.app.screen import Active
from packhorse.app.world import Tick
from packhorse.pack.words import Array, Event, Frame, Output, Severity, Signal, State

J_PER_KWH = 3.6e6
AT_LIMIT = 0.98
"""Current at this share of its limit is held back by it."""
RECENT = 60
SOCS = ("soc", "sigma", "true")
TIME_STEP, TIMES = 1.05, 400
"""Buckets of step times: from 1 us, each this much wider than the one before."""


class Trip:
    """Sums, extremes and events of a run."""

    def __init__(self) -> None:
        self.start_s = self.end_s = math.nan
        self.distance_m = 0.0
        self.out_J = self.regained_J = self.charged_J = 0.0
        self.low_V, self.high_V = math.inf, -math.inf
        self.low_degC, self.high_degC = math.inf, -math.inf
        self.soc: list[dict[str, float]] = []
        self.events: Counter[Severity] = Counter()
        self.limited_s: dict[tuple[str, float], float] = {}
        self.recent: deque[Event] = deque(maxlen=RECENT)
        self._since_s: dict[tuple[int, int], float] = {}
        self._step_times = [0] * TIMES

    def take(self, tick: Tick, dt_s: float) -> None:
        """Add one tick."""
        frame, output = tick.frame, tick.output
        self.start_s = frame.time_s - dt_s if math.isnan(self.start_s) else self.start_s
        self.end_s, self.distance_m = frame.time_s, tick.around.distance_m
        self._energy(frame, tick.around.plugged, dt_s)
        signal = output.signal
        self.low_V = min(self.low_V, *signal[Signal.CELL_MIN_V])
        self.high_V = max(self.high_V, *signal[Signal.CELL_MAX_V])
        self.low_degC = min(self.low_degC, *signal[Signal.DISCHARGE_MIN_DEGC])
        self.high_degC = max(self.high_degC, *signal[Signal.DISCHARGE_MAX_DEGC])
        estimate = output.estimate
        self.soc[1:] = [{"soc": estimate.soc, "sigma": estimate.soc_sigma, "true": tick.around.true_soc}]
        cause = limiting(frame, output)
        if cause is not None:
            self.limited_s[cause] = self.limited_s.get(cause, 0.0) + dt_s
        if output.events.shape[0] > 0:
            self._events(output.events)
        bucket = int(math.log(max(tick.bms_s * 1e6, 1.0)) / math.log(TIME_STEP))
        self._step_times[min(bucket, TIMES - 1)] += 1

    def _energy(self, frame: Frame, plugged: bool, dt_s: float) -> None:
        power_W = float((frame.string_A * frame.string_V).sum())
        if not math.isfinite(power_W):
            return
        if power_W >= 0.0:
            self.out_J += power_W * dt_s
        elif plugged:
            self.charged_J -= power_W * dt_s
        else:
            self.regained_J -= power_W * dt_s

    def _events(self, rows: Array) -> None:
        for event in bms.events(rows):
            self.recent.append(event)
            self.events[event.severity] += int(event.raised)
            self._since_s[event.code, event.string] = event.time_s

    def active(self, state: State) -> list[Active]:
        """Faults that are there now."""
        rows, strings = state.watch.active.nonzero()
        return [
            Active(int(code), int(string), self._since_s.get((int(code), int(string)), math.nan))
            for code, string in zip(rows, strings, strict=True)
        ]

    def step_time_s(self, share: float) -> float:
        """Time that so large a share of the BMS's steps needed at most."""
        wanted, seen = share * sum(self._step_times), 0
        for bucket, count in enumerate(self._step_times):
            seen += count
            if seen >= wanted and count > 0:
                return float(TIME_STEP ** (bucket + 1)) * 1e-6
        return math.nan

    def facts(self, tick_s: float, pace: float) -> dict[str, Any]:
        """The summary as plain words and numbers; what is not known is None."""
        run_s, km = self.end_s - self.start_s, self.distance_m / 1000.0
        net_kWh = (self.out_J - self.regained_J) / J_PER_KWH
        median_s, slow_s = self.step_time_s(0.5), self.step_time_s(0.99)
        found = {
            "seconds": run_s,
            "times_real_time": pace,
            "distance_km": km,
            "energy_kWh": {
                "out": self.out_J / J_PER_KWH,
                "regained": self.regained_J / J_PER_KWH,
                "charged": self.charged_J / J_PER_KWH,
            },
            "kWh_per_km": net_kWh / km if km > 0.1 else math.nan,
            "soc": {"start": self.soc[0], "end": self.soc[-1]} if self.soc else None,
            "cell_V": {"min": self.low_V, "max": self.high_V},
            "probe_degC": {"min": self.low_degC, "max": self.high_degC},
            "events": {severity.name.lower(): self.events[severity] for severity in Severity},
            "limited": [
                {"direction": direction, "reason": say.reason(code), "share": seconds / run_s}
                for (direction, code), seconds in sorted(self.limited_s.items(), key=lambda item: -item[1])
            ],
            "bms_step": {
                "median_s": median_s,
                "p99_s": slow_s,
                "median_share_of_tick": median_s / tick_s,
                "p99_share_of_tick": slow_s / tick_s,
            },
        }
        return {name: known_only(value) for name, value in found.items()}


def limiting(frame: Frame, output: Output) -> tuple[str, float] | None:
    """What holds the truck back at this moment: direction and reason of the limit it runs against."""
    current_A, limits = float(frame.string_A.sum()), output.limits
    if frame.drive_request > 0.0 and current_A >= AT_LIMIT * limits.discharge_A:
        return "out", limits.discharge_reason
    pushed = current_A < 0.0 or frame.charge_request > 0.0
    if pushed and -current_A >= AT_LIMIT * limits.charge_A:
        return "in", limits.charge_reason
    return None


def known_only(value: Any) -> Any:
    """The value with None in the place of every number that is none, as JSON wants it."""
    if isinstance(value, dict):
        return {name: known_only(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Label and value of every line of the summary on a terminal."""
    energy, soc, volts, degC, step = (facts[k] for k in ("energy_kWh", "soc", "cell_V", "probe_degC", "bms_step"))
    events = ", ".join(f"{count} {severity}" for severity, count in facts["events"].items() if count)
    limited = ", ".join(
        f"{100.0 * row['share']:.1f} % of the time by {row['reason']} ({row['direction']})" for row in facts["limited"]
    )
    per_km = facts["kWh_per_km"]
    return [
        ("time", f"{say.clock(facts['seconds'])} at {facts['times_real_time']:.3g} times real time"),
        ("distance", f"{facts['distance_km']:.2f} km" + (f", {per_km:.2f} kWh/km" if per_km is not None else "")),
        (
            "energy",
            f"{energy['out']:.1f} kWh out, {energy['regained']:.1f} kWh regained, {energy['charged']:.1f} kWh charged",
        ),
        *((f"charge at {name}", say_soc(soc[name])) for name in ("start", "end") if soc is not None),
        ("cells", f"{spread(volts, 3)} V, {spread(degC, 1)} °C"),
        ("events", events or "none"),
        ("limited", limited or "never"),
        (
            "BMS step",
            f"median {1e6 * step['median_s']:.0f} us, 99 % within {1e6 * step['p99_s']:.0f} us "
            f"({100.0 * step['p99_share_of_tick']:.2f} % of the tick)",
        ),
    ]


def say_soc(soc: dict[str, float | None]) -> str:
    """What the BMS believes, beside what is true where that is known."""
    believed, sigma, true = (math.nan if soc[name] is None else float(soc[name] or 0.0) for name in SOCS)
    said = f"{say.plus_minus(believed, sigma)} believed"
    return said if math.isnan(true) else f"{said}, {say.number(100.0 * true, 1)} % true"


def spread(found: dict[str, float | None], digits: int) -> str:
    """Least to most, as far as known."""
    low, high = (math.nan if found[end] is None else float(found[end] or 0.0) for end in ("min", "max"))
    return f"{say.number(low, digits)} to {say.number(high, digits)}"
