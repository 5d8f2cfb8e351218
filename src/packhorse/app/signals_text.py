"""What is on a recorded bus, for people: the facts of `signals.py` on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from packhorse.app.report.life import say_duration

NUMBERS = {"frames", "Hz", "bytes", "gaps", "longest", "readings", "lowest", "mean", "highest", "none"}
MOST_NAMES = 8
"""So many names stand in one line."""


def show(found: dict[str, Any]) -> None:
    """Tables of identifiers and signals, and lines about the rest."""
    console = Console()
    console.print(f"[bold]{found['log']}[/bold]: {found['kind']}, {summary(found)}", highlight=False)
    console.print(identifiers(found))
    told = [one for one in found["signals"] if one["count"]]
    if told:
        console.print(signals(told))
    for line in [*protocols(found), *cautions(told), *faults(found), *warnings(found)]:
        console.print(line, highlight=False)


def summary(found: dict[str, Any]) -> str:
    """A log in half a line."""
    return (
        f"{found['frames']:,} frames of {len(found['identifiers'])} identifiers over "
        f"{say_duration(found['duration_s'])}"
    )


def identifiers(found: dict[str, Any]) -> Table:
    """Who says what, how often."""
    table = Table(box=None, pad_edge=False)
    for name in ("bus", "identifier", "name", "sender", "frames", "Hz", "bytes", "gaps", "longest"):
        table.add_column(name, no_wrap=name not in {"name", "sender"}, justify="right" if name in NUMBERS else "left")
    for one in found["identifiers"]:
        table.add_row(*voice_row(one))
    return table


def voice_row(one: dict[str, Any]) -> list[str | Text]:
    """One identifier as cells of a table."""
    low, high = one["length"]
    name = one["name"] or ("" if one["pgn"] is None else f"PGN {one['pgn']}")
    return [
        str(one["bus"]),
        one["id"] + (" +TP" if one["transport"] else ""),
        shortened(f"may be {name}" if one["name_from"].startswith("may be") else name),
        shortened(node(one)),
        str(one["count"]),
        "" if one["rate_Hz"] is None else f"{one['rate_Hz']:.3g}",
        str(low) if low == high else f"{low} to {high}",
        str(one["gaps"]) if one["gaps"] else "",
        f"{one['longest_gap_s']:.3g} s",
    ]


def shortened(text: str) -> Text:
    """Text that ends in dots where it has too little room, beside columns that keep theirs."""
    return Text(text, no_wrap=True, overflow="ellipsis")


def node(one: dict[str, Any]) -> str:
    """A sender by address and custom; nothing where there is none."""
    return "" if one["sender"] is None else f"{one['sender']:02X} {one['sender_name']}".strip()


def signals(told: list[dict[str, Any]]) -> Table:
    """Signals that had a value, with their ranges."""
    table = Table(box=None, pad_edge=False)
    for name in ("bus", "signal", "unit", "sender", "readings", "lowest", "mean", "highest", "none"):
        table.add_column(
            name, no_wrap=name != "signal", justify="right" if name in NUMBERS else "left", overflow="fold"
        )
    for one in told:
        numbers = (f"{one[k]:.6g}" for k in ("min", "mean", "max"))
        none = one["not_available"] + one["too_short"]
        name = ("may be " if one["from"].startswith("may be") else "") + one["name"] + (" *" if one["caution"] else "")
        sender = "" if one["sender"] is None else f"{one['sender']:02X}"
        cells = (str(one["bus"]), name, one["unit"], sender, str(one["count"]), *numbers, str(none) if none else "")
        table.add_row(*cells)
    return table


def protocols(found: dict[str, Any]) -> list[str]:
    """What speaks for J1939 on each bus, and which signals of it never had a value."""
    said = []
    for one in found["j1939"]:
        seen = ", ".join(one["signs"]) or "no sign of it"
        verdict = "speaks J1939" if one["sure"] else "may be another protocol than J1939; names of it are guesses"
        said.append(f"bus {one['bus']} {verdict}: {seen}")
    for one in found["addresses"]:
        who = f"manufacturer {one['manufacturer']}, function {one['function']}, identity {one['identity']}"
        said.append(f"bus {one['bus']} address {one['address']:02X}: NAME {one['name']} ({who})")
    built_in = [one for one in found["signals"] if "J1939" in one["from"]]
    said += ["signals are those of our own table of J1939; a DBC or a profile says more"] if built_in else []
    silent = [one["name"] for one in found["signals"] if not one["count"]]
    return [*said, f"never with a value: {some(silent)}"] if silent else said


def cautions(told: list[dict[str, Any]]) -> list[str]:
    """What must be known to read a signal right."""
    found: dict[str, list[str]] = {}
    for one in told:
        if one["caution"]:
            found.setdefault(one["caution"], []).append(one["name"])
    return [f"* {some(names)}: {caution}" for caution, names in found.items()]


def faults(found: dict[str, Any]) -> list[str]:
    """Reports of faults, and wishes to clear them."""
    said = []
    for one in found["diagnostics"]:
        doubt = "" if one["sure"] else "may be "
        told = [f"{len(one['faults'])} faults" if one["faults"] else "no faults"]
        told += [f"lamps: {', '.join(one['lamps'])}"] if one["lamps"] else []
        told += [f"{one['malformed']} malformed"] if one["malformed"] else []
        said.append(f"{doubt}{one['message']} of {node(one)}: {'; '.join(told)}")
        said += [f"  {fault_line(fault)}" for fault in one["faults"]]
    for one in found["clearings"]:
        doubt = "" if one["sure"] else "may be "
        who = f"{one['sender']:02X} to {one['receiver']:02X}"
        said.append(f"{doubt}{one['message']} (clear faults), {who}: {one['what']}, {one['count']} times")
    return said


def fault_line(one: dict[str, Any]) -> str:
    """One trouble code."""
    name = f" ({one['parameter']})" if one["parameter"] else ""
    times = "" if one["occurrences"] is None else f", occurred {one['occurrences']} times"
    return f"SPN {one['spn']}{name} FMI {one['fmi']} ({one['failure']}){times}, said {one['count']} times"


def warnings(found: dict[str, Any]) -> list[str]:
    """Broken sessions, messages that were not heard, what was wrong with the file."""
    ended = ", ".join(f"{count} {name}" for name, count in found["transport"].items())
    missing = found["messages_not_heard"]
    said = [f"not on this bus: {some(missing)}"] if missing else []
    others = {"error frames": found["error_frames"], "remote frames": found["remote_frames"]}
    said += [f"transport messages: {ended}"] if ended else []
    said += [f"{what}: {count}" for what, count in others.items() if count]
    said += [f"[yellow]in the file: {found['complaint']}[/yellow]"] if found["complaint"] else []
    said += [f"written: {found['written']}"] if "written" in found else []
    return said


def some(names: list[str]) -> str:
    """The first of many names."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
