"""`packhorse signals`: what is on a recorded bus, with or without a DBC."""

from __future__ import annotations

import contextlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from packhorse.app.report.life import say_duration
from packhorse.io.bus_files import read_dbc
from packhorse.io.can_logs import CanLog, open_can_log
from packhorse.io.errors import ReadError, WriteError
from packhorse.io.export import Export, export
from packhorse.io.profiles import open_profile
from packhorse.io.survey import Survey, Voice, parameter_group, parts
from packhorse.protocols.frames import EXTENDED, LONG
from packhorse.protocols.j1939_names import address_name, group_name
from packhorse.protocols.plan import Message, Plan, group


def signals(path: Path, dbc: Path | None, out: Path | None, as_json: bool, profile: str | None = None) -> None:
    """Say what a log holds, and write its decoded signals where they are asked for.

    Raises `packhorse.io.errors.Error` or `packhorse.pack.load.ConfigurationError`, each with one line for the user.
    """
    if out is not None and dbc is None and profile is None:
        raise WriteError(f"{out}: decoded signals need a DBC that describes them; give --dbc FILE or --profile NAME")
    log = open_can_log(path)
    plan = described(path, dbc, profile)
    survey = Survey()
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(export(out, plan)) if out is not None and plan is not None else None
        listen(log, plan, survey, target, quiet=as_json)
    found = facts(log, plan, survey) | ({"written": str(out)} if out is not None else {})
    if as_json:
        print(json.dumps(found, allow_nan=False))
    else:
        show(found)


def described(path: Path, dbc: Path | None, profile: str | None) -> Plan | None:
    """What the messages hold, by a DBC or a profile; None where neither is given."""
    if dbc is not None and profile is not None:
        raise ReadError(f"{path}: --dbc and --profile both say what the messages hold; leave one of them out")
    if profile is not None:
        return open_profile(profile).plan
    return read_dbc(dbc) if dbc is not None else None


def listen(log: CanLog, plan: Plan | None, survey: Survey, target: Export | None, *, quiet: bool) -> None:
    """The whole log once, saying on stderr how far it is."""
    with reading(log.path, quiet=quiet) as progress:
        for part in parts(log, plan, survey):
            survey.hear(part.frames)
            if plan is not None and part.decoded is not None:
                survey.measure(plan, part.decoded)
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


def facts(log: CanLog, plan: Plan | None, survey: Survey) -> dict[str, Any]:
    """Everything that was found, as it goes into JSON."""
    names = Names(plan)
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
        "identifiers": [voice_facts(voice, names) for voice in listed],
        "transport": {name: count for name, count in survey.transport.items() if count > 0},
        "diagnostics": diagnostics(survey),
        "signals": signal_facts(plan, survey),
        "messages_not_heard": not_heard(plan, survey),
    }


class Names:
    """What messages are called: by the DBC, else by custom."""

    def __init__(self, plan: Plan | None) -> None:
        self._exact: dict[tuple[int, bool], str] = {}
        self._groups: dict[int, str] = {}
        for message in plan.messages if plan is not None else ():
            self._take(message)

    def _take(self, message: Message) -> None:
        if message.j1939:
            self._groups[group(message.id)] = message.name
        else:
            self._exact[message.id, message.extended] = message.name

    def of(self, voice: Voice) -> str:
        """The name of an identifier; empty if nobody knows it."""
        known = self._exact.get((voice.id, bool(voice.flags & EXTENDED)), "")
        if known or not voice.flags & EXTENDED:
            return known
        number = parameter_group(voice)
        return self._groups.get(number, "") or group_name(number)


def voice_facts(voice: Voice, names: Names) -> dict[str, Any]:
    """One identifier."""
    wide = bool(voice.flags & EXTENDED)
    return {
        "bus": voice.bus,
        "id": f"0x{voice.id:08X}" if wide else f"0x{voice.id:03X}",
        "transport": bool(voice.flags & LONG),
        "name": names.of(voice),
        "pgn": parameter_group(voice) if wide else None,
        "sender": voice.id & 0xFF if wide else None,
        "sender_name": address_name(voice.id & 0xFF) if wide else "",
        "count": voice.count,
        "rate_Hz": finite(voice.rate_Hz),
        "period_s": finite(voice.period_s),
        "longest_gap_s": voice.gap_s,
        "gaps": voice.gaps,
        "length": [voice.shortest, voice.longest],
    }


def diagnostics(survey: Survey) -> list[dict[str, Any]]:
    """Who reports faults, and which."""
    faults: dict[tuple[int, int], Counter[tuple[int, int]]] = {}
    for fault, count in survey.faults.items():
        faults.setdefault((fault.bus, fault.sender), Counter())[fault.spn, fault.fmi] += count
    return [
        {
            "bus": bus,
            "sender": sender,
            "sender_name": address_name(sender),
            "lamps": sorted(lamps),
            "faults": [
                {"spn": spn, "fmi": fmi, "count": count}
                for (spn, fmi), count in sorted(faults.get((bus, sender), Counter()).items())
            ],
        }
        for (bus, sender), lamps in sorted(survey.lamps.items())
    ]


def signal_facts(plan: Plan | None, survey: Survey) -> list[dict[str, Any]]:
    """Every signal that was on the bus, whether it had a reading or not."""
    units = {f"{m.name}.{s.name}": s.unit for m in (plan.messages if plan is not None else ()) for s in m.signals}
    return [
        {
            "name": name,
            "unit": units[name],
            "count": one.count,
            "min": finite(one.lowest),
            "max": finite(one.highest),
            "mean": one.total / one.count if one.count else None,
            "not_available": one.coded,
            "too_short": one.short,
        }
        for name, one in survey.signals.items()
    ]


def not_heard(plan: Plan | None, survey: Survey) -> list[str]:
    """Messages of the DBC that were not on the bus."""
    heard = {name.partition(".")[0] for name in survey.signals}
    return [m.name for m in (plan.messages if plan is not None else ()) if m.signals and m.name not in heard]


def finite(value: float) -> float | None:
    """A number as JSON can have it."""
    return value if math.isfinite(value) else None


def show(found: dict[str, Any]) -> None:
    """The same for people."""
    console = Console()
    console.print(f"[bold]{found['log']}[/bold]: {found['kind']}, {summary(found)}", highlight=False)
    table = Table("bus", box=None)
    for name in ("identifier", "name", "sender", "frames", "rate", "bytes", "gaps", "longest"):
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=10 if name == "identifier" else None)
    for one in found["identifiers"]:
        table.add_row(*voice_row(one))
    console.print(table)
    if found["signals"]:
        readings = Table("signal", "unit", "readings", "lowest", "mean", "highest", "none", box=None)
        for one in found["signals"]:
            numbers = ("--" if one[k] is None else f"{one[k]:.6g}" for k in ("min", "mean", "max"))
            none = one["not_available"] + one["too_short"]
            readings.add_row(one["name"], one["unit"], str(one["count"]), *numbers, str(none) if none else "")
        console.print(readings)
    for line in warnings(found):
        console.print(line, highlight=False)


def summary(found: dict[str, Any]) -> str:
    """A log in half a line."""
    return (
        f"{found['frames']:,} frames of {len(found['identifiers'])} identifiers over "
        f"{say_duration(found['duration_s'])}"
    )


def voice_row(one: dict[str, Any]) -> list[str]:
    """One identifier as cells of a table."""
    sender = "" if one["sender"] is None else f"{one['sender']:02X} {one['sender_name']}".strip()
    low, high = one["length"]
    return [
        str(one["bus"]),
        one["id"] + (" +TP" if one["transport"] else ""),
        one["name"] or ("" if one["pgn"] is None else f"PGN {one['pgn']}"),
        sender,
        str(one["count"]),
        "" if one["rate_Hz"] is None else f"{one['rate_Hz']:.4g} Hz",
        str(low) if low == high else f"{low} to {high}",
        str(one["gaps"]) if one["gaps"] else "",
        f"{one['longest_gap_s']:.3g} s",
    ]


def warnings(found: dict[str, Any]) -> list[str]:
    """Faults, broken sessions and what was wrong with the file."""
    said = []
    for node in found["diagnostics"]:
        codes = ", ".join(f"SPN {f['spn']} FMI {f['fmi']} ({f['count']} times)" for f in node["faults"])
        who = f"{node['sender']:02X} {node['sender_name']}".strip()
        lamps = f"; lamps: {', '.join(node['lamps'])}" if node["lamps"] else ""
        said.append(f"DM1 of {who}: {codes or 'no faults'}{lamps}")
    ended = ", ".join(f"{count} {name}" for name, count in found["transport"].items())
    missing = found["messages_not_heard"]
    said += [f"not on this bus: {', '.join(missing[:8])}{' ...' if len(missing) > 8 else ''}"] if missing else []
    others = {"error frames": found["error_frames"], "remote frames": found["remote_frames"]}
    said += [f"transport messages: {ended}"] if ended else []
    said += [f"{what}: {count}" for what, count in others.items() if count]
    said += [f"[yellow]in the file: {found['complaint']}[/yellow]"] if found["complaint"] else []
    said += [f"written: {found['written']}"] if "written" in found else []
    return said
