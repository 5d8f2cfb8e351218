"""Trouble codes that nodes of a J1939 bus report, and who asks to clear them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.protocols.frames import EXTENDED, CanFrames, payload
from packhorse.protocols.j1939 import diagnostics
from packhorse.protocols.j1939.diagnostics import DM1, DM2, DM3, DM11, DM12, Lamp
from packhorse.protocols.plan import group

REPORTS = {DM1: "DM1", DM2: "DM2", 0xFECF: "DM6", DM12: "DM12", 0xFDB5: "DM23", 0xFD80: "DM28"}
"""Groups that carry lamps and trouble codes: active, previous, pending, emission-related now and before, permanent."""
CLEARED = {DM3: "DM3", DM11: "DM11"}
REQUEST, ACKNOWLEDGEMENT = 0xEA00, 0xE800
ANSWERS = ("acknowledged", "refused", "access denied", "cannot answer now")
MOST_FAULTS, MOST_NODES = 10_000, 10_000
NO_FAULT_SPN, UNKNOWN_SPN = 0, (1 << 19) - 1


class Reporter(NamedTuple):
    """Who reports in which message."""

    bus: int
    sender: int
    message: str  # DM1 and the like


@dataclass
class Report:
    """What one node said in one message: the lamps that it lit, and each fault by SPN and FMI."""

    lamps: set[str] = field(default_factory=set)
    faults: dict[tuple[int, int], Fault] = field(default_factory=dict)
    malformed: int = 0


@dataclass
class Fault:
    """How often a fault was said, and how often it had occurred when it was said last; None is not known."""

    count: int = 0
    occurrences: int | None = None


class Clearing(NamedTuple):
    """A wish to clear faults, or the answer to one."""

    bus: int
    sender: int
    receiver: int
    message: str  # DM3 or DM11
    what: str  # "asked", or an answer


@dataclass
class Troubles:
    """All of it on all buses; bounded, whatever is on them."""

    reports: dict[Reporter, Report] = field(default_factory=dict)
    clearings: Counter[Clearing] = field(default_factory=Counter)
    faults: int = 0

    def hear(self, data: CanFrames) -> None:
        """Take some frames without errors and remote ones; what a node repeats is looked at once."""
        said = Counter(
            (int(data.bus[k]), int(data.id[k]), payload(data, k)) for k in np.flatnonzero(may_tell(data)).tolist()
        )
        for (bus, identifier, content), count in said.items():
            pgn, sender, receiver = group(identifier), identifier & 0xFF, identifier >> 8 & 0xFF
            if pgn in REPORTS:
                self._report(Reporter(bus, sender, REPORTS[pgn]), content, count)
            else:
                found = clearing(pgn, content)
                if found is not None and len(self.clearings) < MOST_NODES:
                    self.clearings[Clearing(bus, sender, receiver, *found)] += count

    def _report(self, reporter: Reporter, content: bytes, count: int) -> None:
        if reporter not in self.reports and len(self.reports) >= MOST_NODES:
            return
        report = self.reports.setdefault(reporter, Report())
        told = diagnostics.decode(content)
        if told is None:
            report.malformed += count
            return
        report.lamps.update(name for name, lamp in told.lamps._asdict().items() if lamp == Lamp.ON)
        for spn, fmi, occurrences, _ in told.troubles:
            new = (spn, fmi) not in report.faults
            if spn in {NO_FAULT_SPN, UNKNOWN_SPN} or (new and self.faults >= MOST_FAULTS):
                continue
            self.faults += int(new)
            fault = report.faults.setdefault((spn, fmi), Fault())
            fault.count += count
            fault.occurrences = None if occurrences == diagnostics.UNKNOWN_OCCURRENCES else occurrences


def may_tell(data: CanFrames) -> NDArray[np.bool_]:
    """Which frames are of a group that tells of faults."""
    pgn = data.id >> 8 & 0x3FFFF
    wanted = np.isin(pgn, list(REPORTS)) | np.isin(pgn & 0x3FF00, (REQUEST, ACKNOWLEDGEMENT))
    extended: NDArray[np.bool_] = (data.flags & EXTENDED) != 0
    return wanted & extended


def clearing(pgn: int, content: bytes) -> tuple[str, str] | None:
    """Which memory a request or an acknowledgement is about, and what it says; None where it is about none."""
    if pgn == REQUEST and len(content) == 3:
        asked, what = int.from_bytes(content, "little"), "asked"
    elif pgn == ACKNOWLEDGEMENT and len(content) == 8 and content[0] < len(ANSWERS):
        asked, what = int.from_bytes(content[5:], "little"), ANSWERS[content[0]]
    else:
        return None
    return (CLEARED[asked], what) if asked in CLEARED else None
