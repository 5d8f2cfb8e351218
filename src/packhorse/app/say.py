"""Codes, times and numbers as people read them; what is not known is `--`."""

from __future__ import annotations

import math

from packhorse.pack.faults import fault_rows
from packhorse.pack.words import Event, Reason, Severity, Signal

UNKNOWN = "--"
REASONS = {
    Reason.CELL_RATING: "cell rating",
    Reason.TEMPERATURE: "temperature",
    Reason.CELL_VOLTAGE: "cell voltage",
    Reason.SOC: "state of charge",
    Reason.FAULT: "fault",
    Reason.CONTACTORS: "contactors open",
    Reason.NOT_HEARD: "readings missing",
    Reason.RECOVERING: "rising slowly",
    Reason.STRING_RATING: "string rating",
    Reason.CHARGE_DONE: "charge done",
}
"""Why a limit is no higher, in a few words."""
SEVERITIES = {severity: severity.name.lower() for severity in Severity}


def number(value: float, digits: int = 0, sign: str = "") -> str:
    """A number with so many decimals; `sign` as in format()."""
    return f"{value:{sign}.{digits}f}" if math.isfinite(value) else UNKNOWN


def reason(code: float) -> str:
    """Why a limit is no higher."""
    return REASONS[Reason(int(code))]


def clock(time_s: float) -> str:
    """A time as hours, minutes and seconds, with days before them where there are any."""
    if not math.isfinite(time_s):
        return UNKNOWN
    days, rest = divmod(int(time_s + 1e-3), 86_400)
    said = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days} d {said}" if days else said


def plus_minus(share: float, sigma: float) -> str:
    """A fraction with two sigma, in percent."""
    return f"{number(100.0 * share, 1)} ±{number(200.0 * sigma, 1)} %"


def where(code: int, string: int, place: int) -> str:
    """The string, and the cell, probe or contactor in it, that a fault was read from; all counted from 1."""
    signal = fault_rows()[code].signal
    kind = "probe" if "DEGC" in signal.name or signal == Signal.PROBES_MISSING else "cell"
    kind = "contactor" if signal == Signal.CONTACTOR_MISMATCH else kind
    return f"string {string + 1}" + (f", {kind} {place + 1}" if place >= 0 else "")


def fault(code: int) -> str:
    """Name of a fault as words."""
    return fault_rows()[code].name.replace("_", " ")


def event(found: Event) -> str:
    """An event as one line."""
    state = "raised" if found.raised else "gone"
    return (
        f"{clock(found.time_s)}  {SEVERITIES[found.severity]:8}  {fault(found.code)} {state}, "
        f"{where(found.code, found.string, found.place)}"
    )
