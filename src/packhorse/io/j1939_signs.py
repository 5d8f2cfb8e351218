"""Whether a bus speaks J1939. A log of another protocol with 29-bit identifiers must not be given confident names."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from packhorse.io.survey import Survey, Voice
from packhorse.protocols.frames import EXTENDED, LONG
from packhorse.protocols.j1939.known import is_of_a_pack
from packhorse.protocols.j1939_names import GROUPS, PROPRIETARY, table_name
from packhorse.protocols.plan import group

HIGHEST_PRIORITY = 2
"""J1939 leaves priorities 0 and 1 alone; small numbers that are no PGNs at all have them."""
WHOLE_FRAME = 8
ENOUGH, LEAST_SHARE = 3, 0.1
"""So much must speak for J1939, and so large a share of the open broadcast groups be known; by chance 4 % are."""
FIRST_BROADCAST, LAST_GROUP = 0xF000, 0x3FFFF


class Signs(NamedTuple):
    """What speaks for J1939 on a bus, in words; `battery` tells that a whole battery speaks there."""

    sure: bool
    battery: bool
    seen: tuple[str, ...]


def signs(survey: Survey, declared: Collection[int] = ()) -> dict[int, Signs]:
    """The signs on each bus that has frames with 29-bit identifiers; `declared` are those that are J1939 by a DBC."""
    wide: dict[int, list[Voice]] = {}
    for voice in survey.voices.values():
        if voice.flags & EXTENDED:
            wide.setdefault(voice.bus, []).append(voice)
    judged = {bus: _judged(survey, bus, voices) for bus, voices in sorted(wide.items())}
    for bus in set(declared) & set(judged):
        seen = ("messages that the DBC has as J1939", *judged[bus].seen)
        judged[bus] = judged[bus]._replace(sure=True, seen=seen)
    return judged


def is_sure(found: Signs | None, message: str) -> bool:
    """Whether a message of our table is what it seems; packs are believed only beside their battery."""
    return found is not None and found.sure and (found.battery or not is_of_a_pack(message))


def _judged(survey: Survey, bus: int, voices: list[Voice]) -> Signs:
    open_groups = {group(v.id) for v in voices if _is_broadcast(v)} - PROPRIETARY
    known = {g for g in open_groups if _is_known(g, voices)}
    claims = sum(1 for where, _ in survey.claims if where == bus)
    long = sum(1 for v in voices if v.flags & LONG)
    reports = sum(1 for r, told in survey.troubles.reports.items() if r.bus == bus and told.malformed == 0)
    points = ENOUGH * claims + ENOUGH * long + reports + len(known)
    counted = (
        (claims, "addresses claimed"),
        (long, "groups in transport messages"),
        (reports, "reports of faults"),
        (len(known), f"known groups of {len(open_groups)}"),
    )
    sure = points >= ENOUGH and len(known) >= LEAST_SHARE * len(open_groups)
    seen = tuple(f"{count} {what}" for count, what in counted if count)
    return Signs(sure, any(table_name(g).startswith("HVESS") for g in known), seen)


def _is_broadcast(voice: Voice) -> bool:
    return group(voice.id) & 0xFFFF >= FIRST_BROADCAST and group(voice.id) <= LAST_GROUP


def _is_known(number: int, voices: Iterable[Voice]) -> bool:
    """Whether a group is one that J1939 has, and is said as J1939 says it; packs alone prove nothing."""
    name = table_name(number)
    if (name == "" or is_of_a_pack(name)) and number not in GROUPS:
        return False
    said = [v for v in voices if group(v.id) == number]
    return all(v.id >> 26 >= HIGHEST_PRIORITY and (v.flags & LONG or v.longest == WHOLE_FRAME) for v in said)
