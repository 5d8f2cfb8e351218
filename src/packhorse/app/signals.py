"""`packhorse signals`: what is on a recorded bus, by a DBC, a profile, or our own table of J1939."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from packhorse.app.signals_text import show
from packhorse.io.bus_files import read_dbc
from packhorse.io.can_logs import CanLog, open_can_log
from packhorse.io.errors import ReadError
from packhorse.io.export import Export, export
from packhorse.io.j1939_signs import Signs, is_sure, signs
from packhorse.io.profiles import open_profile
from packhorse.io.survey import ANYBODY, Range, Spoken, Survey, Voice, parameter_group, parts
from packhorse.protocols.frames import EXTENDED, LONG
from packhorse.protocols.j1939.known import caution, known_plan
from packhorse.protocols.j1939.name import split_name
from packhorse.protocols.j1939_names import address_name, failure_name, group_name, parameter_name
from packhorse.protocols.plan import OWNER, Message, Plan, group

TABLE, MAYBE = "J1939", "may be J1939"
"""Where a name comes from: our table, on a bus that speaks J1939, and on one of which that is not sure."""


class Told(NamedTuple):
    """What the messages of a bus hold, and who says so: TABLE, DBC or profile."""

    plan: Plan
    source: str


def signals(path: Path, dbc: Path | None, out: Path | None, as_json: bool, profile: str | None = None) -> None:
    """Say what a log holds, and write its decoded signals where they are asked for.

    Raises `packhorse.io.errors.Error` or `packhorse.pack.load.ConfigurationError`, each with one line for the user.
    """
    log = open_can_log(path)
    told = described(path, dbc, profile)
    survey = Survey()
    what = "signal of our table of J1939" if told.source == TABLE else f"signal of the {told.source}"
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(export(out, told.plan, what)) if out is not None else None
        listen(log, told.plan, survey, target, quiet=as_json)
        judged = signs(survey, declared(told, survey))
        if target is not None and told.source == TABLE:
            leave_out_doubtful(target, told.plan, judged)
    found = facts(log, told, survey, judged) | ({"written": str(out)} if out is not None else {})
    if as_json:
        print(json.dumps(found, allow_nan=False))
    else:
        show(found)


def must_agree(log: Path, discover: bool, described: object, asked: object) -> None:
    """Refuse options that do not go together. Raises ReadError."""
    if discover and described is not None:
        why = "--discover is for a bus that nothing describes, --dbc and --profile do"
        raise ReadError(f"{log}: {why}; leave one of them out")
    if asked is not None and not discover:
        raise ReadError(f"{log}: --report and --capacity-Ah are of the discovery; add --discover")


def described(path: Path, dbc: Path | None, profile: str | None) -> Told:
    """What the messages hold, by a DBC or a profile, else by our table."""
    if dbc is not None and profile is not None:
        raise ReadError(f"{path}: --dbc and --profile both say what the messages hold; leave one of them out")
    if profile is not None:
        return Told(open_profile(profile).plan, "profile")
    return Told(read_dbc(dbc), "DBC") if dbc is not None else Told(known_plan(), TABLE)


def listen(log: CanLog, plan: Plan, survey: Survey, target: Export | None, *, quiet: bool) -> None:
    """The whole log once, saying on stderr how far it is."""
    with reading(log.path, quiet=quiet) as progress:
        for part in parts(log, plan, survey):
            survey.hear(part.frames)
            survey.measure(plan, part.frames, part.decoded)
            if target is not None:
                target.take(part.frames, part.decoded)
            progress(survey.frames)


@contextlib.contextmanager
def reading(path: Path, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A line on stderr that says how many frames were read, for whoever is told."""
    console = Console(stderr=True, quiet=quiet)
    columns = (SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f} frames"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"Reading {path.name}", total=None)
        yield lambda frames: progress.update(task, completed=frames)


def declared(told: Told, survey: Survey) -> set[int]:
    """The buses on which messages are that the DBC has as J1939."""
    owner, messages = told.plan.tables.signal[:, OWNER], told.plan.messages
    return {one.bus for one in survey.signals if told.source != TABLE and messages[owner[one.row]].j1939}


def leave_out_doubtful(target: Export, plan: Plan, judged: dict[int, Signs]) -> None:
    """Only what is sure is written: a table has no room for doubt."""
    for bus, found in judged.items():
        doubtful = [n for n in plan.signals if not is_sure(found, n.partition(".")[0])]
        if doubtful:
            target.leave_out(bus, doubtful)


def facts(log: CanLog, told: Told, survey: Survey, judged: dict[int, Signs]) -> dict[str, Any]:
    """Everything that was found, as it goes into JSON."""
    names = Names(told, judged)
    listed = sorted(
        survey.voices.values(), key=lambda v: (v.bus, v.flags & EXTENDED, parameter_group(v), v.id, v.flags)
    )
    return {
        "log": str(log.path),
        "kind": log.kind,
        "frames": survey.frames,
        "start_s": survey.first_s,
        "duration_s": survey.last_s - survey.first_s,
        "complaint": log.complaint(),
        "error_frames": survey.errors,
        "remote_frames": survey.remotes,
        "unlisted_frames": survey.unlisted,
        "j1939": [{"bus": bus, "sure": one.sure, "signs": list(one.seen)} for bus, one in judged.items()],
        "identifiers": [voice_facts(voice, names) for voice in listed],
        "addresses": address_facts(survey),
        "transport": {name: count for name, count in survey.transport.items() if count > 0},
        "diagnostics": diagnostics(survey, names),
        "clearings": clearings(survey, names),
        "signals": signal_facts(told, survey, names),
        "messages_not_heard": not_heard(told, survey),
    }


class Names:
    """What messages and nodes are called: by the DBC or the profile, else by custom, and how sure that is."""

    def __init__(self, told: Told, judged: dict[int, Signs]) -> None:
        self._source, self._judged = told.source, judged
        self._exact: dict[tuple[int, bool], str] = {}
        self._groups: dict[int, str] = {}
        for message in told.plan.messages if told.source != TABLE else ():
            self._take(message)

    def _take(self, message: Message) -> None:
        if message.j1939:
            self._groups[group(message.id)] = message.name
        else:
            self._exact[message.id, message.extended] = message.name

    def of(self, voice: Voice) -> tuple[str, str]:
        """The name of an identifier, and who says so; both empty if nobody knows it."""
        known = self._exact.get((voice.id, bool(voice.flags & EXTENDED)), "")
        number = parameter_group(voice)
        known = known or self._groups.get(number, "")
        if known or not voice.flags & EXTENDED:
            return known, self._source if known else ""
        name = group_name(number)
        sure = is_sure(self._judged.get(voice.bus), name.partition(" ")[0])
        return name, (TABLE if sure else MAYBE) if name else ""

    def signal_source(self, bus: int, message: str) -> str:
        """Who says what a signal is."""
        if self._source != TABLE:
            return self._source
        return TABLE if is_sure(self._judged.get(bus), message) else MAYBE

    def node(self, bus: int, address: int) -> str:
        """Who has an address by custom, on a bus that speaks J1939."""
        return address_name(address) if self.speaks_j1939(bus) else ""

    def speaks_j1939(self, bus: int) -> bool:
        """Whether a bus surely does."""
        return bus in self._judged and self._judged[bus].sure


def voice_facts(voice: Voice, names: Names) -> dict[str, Any]:
    """One identifier."""
    wide = bool(voice.flags & EXTENDED)
    name, source = names.of(voice)
    return {
        "bus": voice.bus,
        "id": f"0x{voice.id:08X}" if wide else f"0x{voice.id:03X}",
        "transport": bool(voice.flags & LONG),
        "name": name,
        "name_from": source,
        "pgn": parameter_group(voice) if wide else None,
        "sender": voice.id & 0xFF if wide else None,
        "sender_name": names.node(voice.bus, voice.id & 0xFF) if wide else "",
        "count": voice.count,
        "rate_Hz": finite(voice.rate_Hz),
        "period_s": finite(voice.period_s),
        "longest_gap_s": voice.gap_s,
        "gaps": voice.gaps,
        "length": [voice.shortest, voice.longest],
    }


def address_facts(survey: Survey) -> list[dict[str, Any]]:
    """Who has claimed which address, by its NAME."""
    return [
        {"bus": bus, "address": address, "name": f"0x{number:016X}"}
        | {
            field: getattr(split_name(number), field)
            for field in ("manufacturer", "function", "function_instance", "ecu_instance", "identity")
        }
        for (bus, address), number in sorted(survey.claims.items())
    ]


def diagnostics(survey: Survey, names: Names) -> list[dict[str, Any]]:
    """Who reports faults, in which message, and which."""
    return [
        {
            "bus": bus,
            "sender": sender,
            "sender_name": names.node(bus, sender),
            "message": message,
            "sure": names.speaks_j1939(bus),
            "lamps": sorted(report.lamps),
            "malformed": report.malformed,
            "faults": [
                {
                    "spn": spn,
                    "parameter": parameter_name(spn),
                    "fmi": fmi,
                    "failure": failure_name(fmi),
                    "occurrences": fault.occurrences,
                    "count": fault.count,
                }
                for (spn, fmi), fault in sorted(report.faults.items())
            ],
        }
        for (bus, sender, message), report in sorted(survey.troubles.reports.items())
    ]


def clearings(survey: Survey, names: Names) -> list[dict[str, Any]]:
    """Who asked to clear faults, and what was answered."""
    return [
        {**one._asdict(), "sure": names.speaks_j1939(one.bus), "count": count}
        for one, count in sorted(survey.troubles.clearings.items())
    ]


def signal_facts(told: Told, survey: Survey, names: Names) -> list[dict[str, Any]]:
    """Every signal that was on the bus, of each node that says it, whether it had a reading or not.

    Where several nodes say a signal, its name tells whom: `Message@F3.Signal`, as in a mapping.
    """
    every = list(told.plan.signals)
    units = [s.unit for m in told.plan.messages for s in m.signals]
    nodes = Counter({(one.row, one.sender) for one in survey.signals})
    several = {row for row, count in Counter(row for row, _ in nodes).items() if count > 1}
    found = []
    for spoken, one in sorted(survey.signals.items()):
        message, _, signal = every[spoken.row].partition(".")
        of_whom = f"@{spoken.sender:02X}" if spoken.row in several else ""
        found.append(
            {
                "name": f"{message}{of_whom}.{signal}",
                "unit": units[spoken.row],
                **whose(spoken, names),
                "from": names.signal_source(spoken.bus, message),
                **values(one),
                "caution": caution(every[spoken.row]) if told.source == TABLE else "",
            }
        )
    return found


def whose(spoken: Spoken, names: Names) -> dict[str, Any]:
    """The node that says a signal; None where the message is not told by its sender."""
    if spoken.sender == ANYBODY:
        return {"bus": spoken.bus, "sender": None, "sender_name": ""}
    return {"bus": spoken.bus, "sender": spoken.sender, "sender_name": names.node(spoken.bus, spoken.sender)}


def values(one: Range) -> dict[str, Any]:
    """What a signal was."""
    return {
        "count": one.count,
        "min": finite(one.lowest),
        "max": finite(one.highest),
        "mean": one.total / one.count if one.count else None,
        "not_available": one.coded,
        "too_short": one.short,
    }


def not_heard(told: Told, survey: Survey) -> list[str]:
    """Messages of the DBC or profile that were not on the bus."""
    if told.source == TABLE:
        return []
    heard = {int(told.plan.tables.signal[one.row, OWNER]) for one in survey.signals}
    return [m.name for k, m in enumerate(told.plan.messages) if m.signals and k not in heard]


def finite(value: float) -> float | None:
    """A number as JSON can have it."""
    return value if math.isfinite(value) else None
