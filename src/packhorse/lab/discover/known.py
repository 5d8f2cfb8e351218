"""What our table of J1939 knows of a bus: it need not be discovered, and must not be contradicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from packhorse.io.j1939_signs import Signs, is_sure
from packhorse.lab.discover.fields import Layout
from packhorse.lab.discover.words import Evidence, Found, Kind, Proposal, Stream
from packhorse.protocols.j1939.known import known_plan
from packhorse.protocols.j1939_names import PROPRIETARY, group_name, table_name
from packhorse.protocols.plan import Signal, group

QUANTITIES = {"battery_V": Kind.PACK, "bus_V": Kind.PACK, "current_A": Kind.CURRENT, "soc": Kind.SOC}
"""Signals of the table that a discovery may find: physics then tells what the table leaves open, as a sign."""


class Known(NamedTuple):
    """Messages of a bus, parted by whether the table knows them."""

    streams: tuple[Stream, ...]  # those that are looked at
    offered: Mapping[int, tuple[Signal, ...]]  # by their number: all that is looked at in those that are known
    names: tuple[str, ...]  # what the table knows, looked at or not


def known_of(streams: Sequence[Stream], judged: Signs | None) -> Known:
    """What is left to discover: everything, where it is not sure that the bus speaks J1939."""
    signals = {message.name: message.signals for message in known_plan().messages}
    kept: list[Stream] = []
    offered: dict[int, tuple[Signal, ...]] = {}
    names: list[str] = []
    for stream in streams:
        number = group(stream.id)
        name = group_name(number).partition(" ")[0] if stream.extended and number not in PROPRIETARY else ""
        if not name or not is_sure(judged, table_name(number)):
            kept.append(stream)
            continue
        names.append(name)
        quantities = tuple(one for one in signals.get(name, ()) if name.startswith("HVES") and one.name in QUANTITIES)
        if quantities:
            offered[len(kept)] = quantities
            kept.append(stream)
    return Known(tuple(kept), offered, tuple(dict.fromkeys(names)))


def places(known: Known) -> dict[int, list[Layout]]:
    """The only places in which numbers are looked for, by number of the stream."""
    return {k: [Layout(one.start, one.bits, one.motorola) for one in own] for k, own in known.offered.items()}


def settled(found: Found, known: Known) -> Found:
    """The same with the scales that the table has, and what it knows."""
    return found._replace(proposals=tuple(_settled(one, known) for one in found.proposals), known=known.names)


def _settled(one: Proposal, known: Known) -> Proposal:
    """A proposal; with scale and offset of the table where its field is one of the table, and the sign by physics."""
    field = one.fields[0]
    signal = next((s for s in known.offered.get(field.stream, ()) if s.start == field.start), None)
    if signal is None:
        return one
    if QUANTITIES[signal.name] != one.kind:
        said = (*one.said, f"our table of J1939 has it as {signal.name}, which is something else")
        return one._replace(confidence=0.0, place_confidence=0.0, said=said)
    sign = -1.0 if one.scale < 0.0 else 1.0
    scale, offset = sign * signal.scale, sign * signal.offset
    ratio = scale / one.scale
    said = tuple(line for line in one.said if "scale" not in line)
    return one._replace(
        scale=scale,
        offset=offset,
        confidence=one.place_confidence,
        said=(f"our table of J1939 has it as {signal.name}, and says its scale and offset", *said),
        value=(one.value - one.offset) * ratio + offset,
        evidence=tuple(_rescaled(each, one.kind, ratio) for each in one.evidence),
    )


def _rescaled(one: Evidence, kind: Kind, ratio: float) -> Evidence:
    """Evidence in which a proposal has another scale: of a current it is the first series, of a SOC both."""
    x = one.x * ratio if kind in (Kind.CURRENT, Kind.SOC) else one.x
    return one._replace(x=x, y=one.y * ratio if kind == Kind.SOC else one.y)
