"""What goes wrong on the bus, as lines for people: said once when it begins, and once more when it is over."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from packhorse.app.battery_node import Battery, Wiring
from packhorse.io.bus_recording import BusRecording
from packhorse.io.buses import Lasting
from packhorse.protocols.j1939 import node, sign
from packhorse.protocols.j1939.claim import Standing
from packhorse.protocols.j1939.sign import Sign

WINDOW_S = 2.0
"""Rates are counted over so long."""
SLOW, FAST = 0.5, 2.0
"""Shares of the expected rate beyond which a board's rate is wrong."""
SAID = {
    "address_contended": "another node claims our address",
    "address_used_by_others": "another node speaks from our address",
    "name_used_by_others": "another node has our NAME; give each its own identity",
    "malformed": "malformed frames",
    "truncated": "truncated frames of boards",
    "commanded": "another node speaks our commands to the boards",
}
"""Counts that people are told of, in words."""


class BusWatch:
    """Tells of a battery on a bus what is not as it should be."""

    def __init__(self, wiring: Wiring, bus: Lasting, period_s: float, say: Callable[[str], None]) -> None:
        self.note = ""
        self._wiring, self._bus, self._period_s, self._print = wiring, bus, period_s, say
        self._since_s, self._times = math.nan, np.zeros(len(wiring.readings.rows), np.int64)
        self._counts: dict[str, int] = {}
        self._state: dict[str, str] = {}
        self._first = first_rows(wiring)

    def look(self, battery: Battery, time_s: float) -> None:
        """Say what is new at this moment."""
        while self._bus.lines:
            self._say(self._bus.lines.popleft())
        self._is("sign", _sign(battery))
        self._is("address", _address(battery))
        if math.isnan(self._since_s):
            self._since_s, self._times = time_s, battery.memory.times
        elapsed_s = time_s - self._since_s
        if elapsed_s >= WINDOW_S:
            self._rates(battery, elapsed_s)
            self._count(battery)
            self._since_s, self._times = time_s, battery.memory.times

    def _rates(self, battery: Battery, elapsed_s: float) -> None:
        heard = battery.memory.times - self._times
        expected = elapsed_s / self._period_s
        for source, row in self._first.items():
            share = float(heard[row]) / expected
            rate = f"{heard[row] / elapsed_s:.1f} times a second, expected {1.0 / self._period_s:g}"
            wrong = "is silent" if share == 0.0 else f"speaks {rate}" if not SLOW <= share <= FAST else ""
            self._is(f"rate {source}", f"board at address {source} {wrong}" if wrong else "")

    def _count(self, battery: Battery) -> None:
        counts = counted(battery)
        for name, words in SAID.items():
            if counts[name] > self._counts.get(name, 0):
                self._say(f"{words} ({counts[name]} so far)")
        for source, count in battery.babbled.items():
            was = self._counts.get(f"babble {source}", 0)
            self._is(f"babble {source}", f"node at address {source} babbles" if count > was else "")
            counts[f"babble {source}"] = count
        self._counts = counts

    def _is(self, what: str, now: str) -> None:
        was = self._state.get(what, "")
        self._state[what] = now
        if now and now != was and not (was and now.split()[:5] == was.split()[:5]):
            self._say(now)
        elif was and not now:
            self._say(f"over: {was}")

    def _say(self, line: str) -> None:
        self.note = line
        self._print(f"bus: {line}")


def first_rows(wiring: Wiring) -> dict[int, int]:
    """By address of a board: a message of it, by which its rate is counted."""
    first: dict[int, int] = {}
    for r, row in enumerate(wiring.readings.rows):
        if row.source is not None:
            first.setdefault(row.source, r)
    return first


def counted(battery: Battery) -> dict[str, int]:
    """Everything that was counted of what others do wrong."""
    own = {"truncated": battery.memory.truncated, "babbled": sum(battery.babbled.values())}
    return {**node.counts(battery.node), **own, "commanded": battery.commanded}


def facts(bus: Lasting, battery: Battery, tape: BusRecording | None = None) -> dict[str, Any]:
    """The bus in the summary of a run, and its recording."""
    counts = bus.counts
    frames = {name: getattr(counts, name) for name in counts.__slots__}
    told = {"bus": {"name": bus.name, "address": battery.node.claim.address, **frames, "wrong": counted(battery)}}
    return told if tape is None else {**told, "recording": tape.facts()}


def _sign(battery: Battery) -> str:
    wrong = sign.judged(battery.evidence) is Sign.WRONG
    return "the current has the wrong sign: power and voltage contradict it; check its sensor" if wrong else ""


def _address(battery: Battery) -> str:
    lost = battery.node.claim.standing is Standing.LOST
    return "no address is left for us; we are silent" if lost else ""
