"""`KIND@START[-END][:key=value,...]`: a fault of the simulated truck as it is ordered on the command line."""

from __future__ import annotations

import difflib
import math
import re

from packhorse.pack.description import PackFile
from packhorse.pack.load import ConfigurationError
from packhorse.twin import Fault, Kind

NUMBER = r"\d+(?:\.\d+)?"
ORDER = re.compile(rf"(?P<kind>[a-z_0-9]+)@(?P<start>{NUMBER})(?:-(?P<end>{NUMBER}))?(?::(?P<rest>.*))?")
PLACES = ("string", "place")


VALUES = {
    Kind.CELL_OFFSET: "in V",
    Kind.BOARD_LATE: "in s",
    Kind.PROBE_OFFSET: "in K",
    Kind.CURRENT_OFFSET: "in A",
    Kind.STRING_VOLTAGE_OFFSET: "in V",
    Kind.ISOLATION: "in ohm",
    Kind.CELL_WEAK: "the share of its capacity that is left",
    Kind.CELL_RESISTIVE: "the factor on its resistance",
    Kind.CELL_SHORT: "in ohm",
    Kind.CELL_HEATING: "in W",
    Kind.CHARGER_IGNORES_REQUEST: "in A",
}
"""Faults that need to be told how much, and in what."""


def parse(text: str) -> Fault:
    """A fault as written; without a string or a place it means all. Raises ConfigurationError with an example."""
    found = ORDER.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(
            f"--fault {text[:60]!r}: not understood; write KIND@START[-END][:string=1,place=12,value=0.5], "
            "in seconds and counted from 1"
        )
    start_s, end_s = float(found["start"]), float(found["end"] or math.inf)
    if end_s <= start_s:
        raise ConfigurationError(f"--fault {text[:60]!r}: ends before it starts; write the earlier second first")
    given = settings(text, found["rest"] or "")
    name, known = found["kind"], [kind.name.lower() for kind in Kind]
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
        raise ConfigurationError(f"--fault {name[:60]!r}: no such fault; {hint}")
    kind = Kind[name.upper()]
    if kind in VALUES and "value" not in given:
        raise ConfigurationError(f"--fault {text[:60]!r}: how much? add value=..., {VALUES[kind]}")
    string, place = (int(given.get(which, 0.0)) - 1 for which in PLACES)
    return Fault(kind, start_s, end_s, string, place, given.get("value", 0.0))


def fitting(fault: Fault, pack: PackFile, boards: int) -> Fault:
    """The fault, refused where the truck has no such place: it would break nothing, and say nothing."""
    counts = {"CELL": pack.series, "PROBE": pack.probes, "BOARD": boards, "CONTACTOR": 3}
    places = counts.get(fault.kind.name.split("_")[0], math.inf)
    for what, number, count in (("string", fault.string, pack.strings), ("place", fault.place, places)):
        if number >= count:
            raise ConfigurationError(f"--fault {fault.kind.name.lower()}: {what} is {number + 1}; give 1 to {count}")
    return fault


def later(fault: Fault, start_s: float) -> Fault:
    """The fault on a clock that shows `start_s` when the run begins."""
    return fault._replace(start_s=start_s + fault.start_s, end_s=start_s + fault.end_s)


def settings(text: str, rest: str) -> dict[str, float]:
    """The part behind the colon."""
    given: dict[str, float] = {}
    for part in filter(None, rest.split(",")):
        name, _, number = part.partition("=")
        whole = name.strip() in PLACES
        if name.strip() not in (*PLACES, "value"):
            raise ConfigurationError(f"--fault {text[:60]!r}: unknown {name[:20]!r}; known: string, place, value")
        try:
            given[name.strip()] = float(int(number)) if whole else float(number)
        except ValueError as error:
            wanted = "a whole number" if whole else "a number"
            raise ConfigurationError(f"--fault {text[:60]!r}: {name} is {number[:20]!r}; give {wanted}") from error
        if whole and given[name.strip()] < 1.0:
            raise ConfigurationError(f"--fault {text[:60]!r}: {name} is counted from 1")
    return given
