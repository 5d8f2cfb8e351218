"""`KIND@START[-END][:key=value,...]`: a fault of the simulated truck as it is ordered on the command line."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from packhorse.pack.load import ConfigurationError

NUMBER = r"\d+(?:\.\d+)?"
ORDER = re.compile(rf"(?P<kind>[a-z_0-9]+)@(?P<start>{NUMBER})(?:-(?P<end>{NUMBER}))?(?::(?P<rest>.*))?")
PLACES = ("string", "place")


class Order(NamedTuple):
    """A fault: which, from when to when after the start of the run, where, and how much of it."""

    kind: str
    start_s: float
    end_s: float  # infinite where it stays
    string: int  # counted from 0
    place: int
    value: float  # NaN where the kind's own is meant


def parse(text: str) -> Order:
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
    given = settings(text, found["rest"] or "")
    string, place = (int(given.get(name, 1.0)) - 1 for name in PLACES)
    return Order(found["kind"], start_s, end_s, string, place, given.get("value", math.nan))


def later(order: Order, start_s: float) -> Order:
    """The order on a clock that shows `start_s` when the run begins."""
    return order._replace(start_s=start_s + order.start_s, end_s=start_s + order.end_s)


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
