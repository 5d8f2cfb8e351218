"""Proposals as the messages of a bus, and as a mapping that says what their signals are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from packhorse.lab.discover.words import Field, Found, Kind, Proposal, Stream
from packhorse.protocols.plan import Kind as Bits
from packhorse.protocols.plan import Message, Signal

NAMES = {
    Kind.CELL: "cell_V_{n}",
    Kind.PACK: "pack_V",
    Kind.CURRENT: "current_A",
    Kind.SOC: "soc",
    Kind.PROBE: "probe_degC_{n}",
}
SECTIONS = {
    Kind.CURRENT: "current",
    Kind.CELL: "cell_voltage",
    Kind.PROBE: "probe_temperature",
    Kind.PACK: "string_voltage",
    Kind.SOC: "soc_reference",
}
SELECTOR = "which"


class Described(NamedTuple):
    """Messages, and for each kind the names of its signals in order."""

    messages: tuple[Message, ...]
    names: Mapping[Kind, Sequence[str]]


def describe(found: Found) -> Described:
    """Every proposal in the message that carries it."""
    signals: dict[int, list[Signal]] = {}
    names: dict[Kind, list[str]] = {}
    for one in found.proposals:
        for n, field in enumerate(one.fields, start=1):
            name = NAMES[one.kind].format(n=n)
            own = signals.setdefault(field.stream, [])
            if field.turn >= 0 and all(signal.name != SELECTOR for signal in own):
                own.insert(0, Signal(SELECTOR, field.selector.start, field.selector.bits))
            own.append(_signal(name, field, one))
            names.setdefault(one.kind, []).append(f"{message_name(found.streams[field.stream])}.{name}")
    messages = [_message(found.streams[stream], own) for stream, own in sorted(signals.items())]
    return Described(tuple(messages), names)


def message_name(stream: Stream) -> str:
    """What a message is called of which only the identifier is known."""
    return f"M_{stream.id:08X}" if stream.extended else f"M_{stream.id:03X}"


def _message(stream: Stream, signals: list[Signal]) -> Message:
    return Message(message_name(stream), stream.id, tuple(signals), stream.data.shape[1], extended=stream.extended)


def _signal(name: str, field: Field, one: Proposal) -> Signal:
    return Signal(
        name,
        field.start,
        field.bits,
        one.scale,
        one.offset,
        one.unit,
        motorola=field.motorola and field.bits > 1,
        kind=Bits.SIGNED if field.signed else Bits.UNSIGNED,
        selector=SELECTOR if field.turn >= 0 else "",
        selected=((field.turn, field.turn),) if field.turn >= 0 else (),
    )


def mapping_text(found: Found, described: Described) -> str:
    """A mapping file for `packhorse replay --map`, with what each section rests on."""
    by_kind = {one.kind: one for one in found.proposals}
    parts = ["# Proposed by packhorse signals --discover, by physics: read the confidence before you believe it."]
    parts.append(f"\n[bus]\nchannel = {found.streams[0].bus}")
    for kind, section in SECTIONS.items():
        if kind in by_kind:
            one = by_kind[kind]
            columns = ",\n".join(f'    "{name}"' for name in described.names[kind])
            parts += [f"\n[{section}] # confidence {one.confidence:.2f}", f"columns = [\n{columns},\n]"]
            parts.append(f'unit = "{one.unit or "fraction"}"')
            parts += ['positive = "discharge"'] if kind == Kind.CURRENT else []
    return "\n".join(parts) + "\n"
