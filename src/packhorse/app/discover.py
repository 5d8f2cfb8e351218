"""`packhorse signals LOG --discover`: what the bytes of a bus without DBC may be."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from packhorse.app.report import discovery
from packhorse.app.signals import reading
from packhorse.io.can_logs import CanLog, open_can_log
from packhorse.io.errors import ReadError, WriteError
from packhorse.io.j1939_signs import signs
from packhorse.io.survey import Range, Survey, parts
from packhorse.io.whole import must_be_writable, write_all
from packhorse.lab.discover import Described, Found, Proposal, Sample, describe, discover, mapping_text
from packhorse.lab.discover.describe import believed, comments, message_name, verdict
from packhorse.lab.discover.known import known_of, places, settled
from packhorse.protocols.dbc_text import text_of
from packhorse.protocols.plan import build

WIDEST_SHARE = 0.02
"""Of the whole log, at most this share of readings may fall outside what the sample showed, with room around it."""
CONTRADICTED = 0.5
SHOWN = 0.2
"""What is less sure of its place stands in the report and in JSON alone."""
ENDINGS = ("", ".toml", ".dbc")


class Wanted(NamedTuple):
    """What is to be written, and what the user knows."""

    out: Path | None = None  # a stem: STEM.dbc and STEM.map.toml
    report: Path | None = None
    capacity_Ah: float = float("nan")


def run(path: Path, wanted: Wanted, as_json: bool) -> None:
    """Propose what a log holds, and write it where that is asked for. Raises `packhorse.io.errors.Error`."""
    log = open_can_log(path)
    if wanted.out is not None and wanted.out.suffix not in ENDINGS:
        raise WriteError(f"{wanted.out}: a DBC and a mapping are written; give a name that ends in .toml or .dbc")
    for target in (wanted.out, wanted.report):
        if target is not None:
            must_be_writable(target)
    found = found_in(log, wanted.capacity_Ah, quiet=as_json)
    described = describe(found)
    found = verified(log, found, described, quiet=as_json)
    told = facts(path, found)
    try:
        told["written"] = [str(one) for one in write(path, found, wanted)]
    except WriteError:
        if not as_json:
            show(told)  # why nothing could be written
        raise
    if as_json:
        print(json.dumps(told, allow_nan=False))
    else:
        show(told)


def found_in(log: CanLog, capacity_Ah: float, *, quiet: bool) -> Found:
    """The log once, thinned, and what its fields may be; of several buses the one that tells most of a battery."""
    sample, survey = Sample(), Survey()
    with reading(log.path, quiet=quiet) as progress:
        for part in parts(log, build([]), survey):
            sample.take(part.frames)
            survey.hear(part.frames)
            progress(survey.frames)
    streams = sample.streams()
    if not streams:
        raise ReadError(f"{log.path}: no data frames of up to 64 bytes; record the bus again")
    judged = signs(survey)
    found = []
    for bus in sorted({stream.bus for stream in streams}):
        known = known_of([stream for stream in streams if stream.bus == bus], judged.get(bus))
        with working(f"Looking for a battery on bus {bus}", quiet=quiet):
            found.append(settled(discover(known.streams, capacity_Ah, places(known)), known))
    return max(found, key=lambda one: sum(proposal.confidence for proposal in one.proposals))


@contextlib.contextmanager
def working(what: str, *, quiet: bool) -> Iterator[None]:
    """A line on stderr that says what is being done."""
    with Console(stderr=True, quiet=quiet).status(f"{what} ..."):
        yield


def verified(log: CanLog, found: Found, described: Described, *, quiet: bool) -> Found:
    """The same, after the whole log was decoded by it: what the sample did not show lowers the confidence."""
    if not described.messages:
        return found
    plan, survey = build(described.messages), Survey()
    with reading(log.path, quiet=quiet) as progress:
        for part in parts(log, plan, survey):
            survey.hear(part.frames)
            survey.measure(plan, part.frames, part.decoded)
            progress(survey.frames)
    names = list(plan.signals)
    heard = {names[one.row]: each for one, each in survey.signals.items() if one.bus == found.streams[0].bus}
    return found._replace(proposals=tuple(against(one, described, heard) for one in found.proposals))


def against(one: Proposal, described: Described, heard: Mapping[str, Range]) -> Proposal:
    """A proposal that the whole log may have contradicted."""
    low, high = float(np.nanmin(one.value)), float(np.nanmax(one.value))
    room = 0.5 * (high - low) + 10.0 * abs(one.scale)
    ranges = [heard[name] for name in described.names[one.kind] if name in heard]
    out = sum(each.lowest < low - room or each.highest > high + room for each in ranges)
    if out <= WIDEST_SHARE * len(ranges):
        return one
    said = f"in the whole log {out} of {len(ranges)} leave the range of the sample; look for codes that are no reading"
    return one._replace(
        confidence=min(one.confidence, CONTRADICTED),
        place_confidence=min(one.place_confidence, CONTRADICTED),
        said=(*one.said, said),
    )


def write(path: Path, found: Found, wanted: Wanted) -> list[Path]:
    """DBC, mapping and report, all of them or none; what is more likely wrong than right is in the report alone."""
    contents: dict[Path, str] = {}
    if wanted.out is not None:
        likely = believed(found)
        if not likely.proposals:
            remedy = "record a drive of ten minutes or more, on the bus of the battery"
            raise WriteError(f"{wanted.out}: nothing was found that is likely enough to be written; {remedy}")
        described = describe(likely)
        stem = wanted.out.name.removesuffix(".toml").removesuffix(".dbc").removesuffix(".map")
        dbc = text_of(described.messages, comments(likely, described))
        contents[wanted.out.with_name(f"{stem}.dbc")] = dbc
        contents[wanted.out.with_name(f"{stem}.map.toml")] = mapping_text(likely, described)
    if wanted.report is not None:
        contents[wanted.report] = discovery.page(path.name, found)
    write_all({name: text.encode() for name, text in contents.items()})
    return list(contents)


def facts(path: Path, found: Found) -> dict[str, Any]:
    """What was found, as it goes into JSON."""
    return {
        "log": str(path),
        "bus": found.streams[0].bus if found.streams else None,
        "identifiers": len(found.streams),
        "verdict": verdict(found),
        "proposals": [proposal_facts(found, one) for one in found.proposals],
        "not_enough": list(found.missing),
        "known_by_j1939": list(found.known),
    }


def proposal_facts(found: Found, one: Proposal) -> dict[str, Any]:
    """One proposal."""
    return {
        "what": one.kind.name.lower(),
        "confidence": round(one.confidence, 3),
        "place_confidence": round(one.place_confidence, 3),
        "scale": one.scale,
        "offset": one.offset,
        "unit": one.unit,
        "why": list(one.said),
        "fields": [
            {
                "bus": found.streams[field.stream].bus,
                "message": message_name(found.streams[field.stream]),
                "id": found.streams[field.stream].id,
                "start": field.start,
                "bits": field.bits,
                "motorola": field.motorola and field.bits > 8,
                "signed": field.signed,
                "turn": None if field.turn < 0 else field.turn,
            }
            for field in one.fields
        ],
    }


def show(told: dict[str, Any]) -> None:
    """The same for people."""
    console = Console()
    console.print(f"[bold]{told['log']}[/bold], bus {told['bus']}: {told['verdict']}", highlight=False)
    shown = [one for one in told["proposals"] if one["place_confidence"] >= SHOWN]
    if shown:
        console.print(proposals_table(shown))
    for one in shown:
        console.print(f"[bold]{one['what']}[/bold]: {'; '.join(one['why'])}", highlight=False)
    for line in told["not_enough"]:
        console.print(f"[yellow]{line}[/yellow]", highlight=False)
    if told["known_by_j1939"]:
        known = ", ".join(told["known_by_j1939"])
        console.print(f"known by our table of J1939, see packhorse signals: {known}", highlight=False)
    for name in told.get("written", ()):
        console.print(f"written: {name}", highlight=False)


def proposals_table(proposals: Sequence[dict[str, Any]]) -> Table:
    """Every proposal in a line."""
    table = Table("what", "fields", "the first of them", "value", "confidence", "of its place", box=None)
    for one in proposals:
        first = one["fields"][0]
        order = " Motorola" if first["motorola"] else " Intel" if first["bits"] > 8 else ""
        turn = "" if first["turn"] is None else f", turn {first['turn']}"
        where = f"{first['message']} {first['start']}|{first['bits']}{order}{' signed' * first['signed']}{turn}"
        offset = f" {one['offset']:+g}" if one["offset"] else ""
        value = f"raw * {one['scale']:g}{offset} {one['unit']}"
        sure = (f"{one['confidence']:.2f}", f"{one['place_confidence']:.2f}")
        table.add_row(one["what"], str(len(one["fields"])), where, value, *sure)
    return table
