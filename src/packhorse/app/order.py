"""`KIND@START[-END][:key=value,...]`: a fault of the simulated truck as it is ordered on the command line."""

from __future__ import annotations

import difflib
import math
import re

from packhorse.pack.load import ConfigurationError
from packhorse.twin import USUAL, Fault, Kind

NUMBER = r"\d+(?:\.\d+)?"
ORDER = re.compile(rf"(?P<kind>[a-z_0-9]+)@(?P<start>{NUMBER})(?:-(?P<end>{NUMBER}))?(?::(?P<rest>.*))?")
PLACES = ("string", "place")


def parse(text: str) -> Fault:
    """An order as written. Raises ConfigurationError with an example."""
    found = ORDER.fullmatch(text.strip())
    if found is None:
        raise ConfigurationError(
            f"--fault {text[:60]!r}: not understood; write KIND@START[-END][:string=1,place=12,value=0.5], "
            "in seconds and counted from 1"
        )
    start_s, end_s = float(found["start"]), float(found["end"] or math.inf)
    if end_s <= start_s:
        raise ConfigurationError(f"--fault {text[:60]!r}: ends before it starts; write the earlier second first")
    kind = named(found["kind"])
    given = settings(text, found["rest"] or "")
    string, place = (int(given.get(name, 1.0)) - 1 for name in PLACES)
    return Fault(kind, start_s, end_s, string, place, given.get("value", USUAL.get(kind, 0.0)))


def named(name: str) -> Kind:
    """The kind of that name. Raises ConfigurationError with the nearest."""
    known = [kind.name.lower() for kind in Kind]
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
        raise ConfigurationError(f"--fault {name[:40]}: no such kind; {hint}")
    return Kind[name.upper()]


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
