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
WORDS = {
    Kind.CELL: "cell voltage",
    Kind.PACK: "pack voltage",
    Kind.CURRENT: "current",
    Kind.SOC: "SOC",
    Kind.PROBE: "temperature",
}
SELECTOR = "which"
SURE, LIKELY = 0.9, 0.5
"""From which confidence on a proposal is called sure; below which it is written as a comment only."""


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


def believed(found: Found) -> Found:
    """The same with only those proposals of which at least the place is more likely right than not."""
    return found._replace(proposals=tuple(one for one in found.proposals if one.place_confidence >= LIKELY))


def verdict(found: Found) -> str:
    """In one line: what was found, and how sure it is."""
    sure = [say(one) for one in found.proposals if one.confidence >= SURE]
    likely = [say(one) for one in found.proposals if LIKELY <= one.confidence < SURE]
    where = [say(one) for one in found.proposals if one.confidence < LIKELY <= one.place_confidence]
    if not (sure or likely or where):
        weak = "; what is proposed is weak" if found.proposals else ""
        return f"No battery was recognised on this bus{weak}."
    parts = [f"sure: {', '.join(sure)}"] if sure else []
    parts += [f"likely: {', '.join(likely)}"] if likely else []
    parts += [f"place likely, scale or offset not: {', '.join(where)}"] if where else []
    told = "; ".join(parts)
    return f"{told[0].upper()}{told[1:]}."


def say(one: Proposal) -> str:
    """A proposal in a word or two."""
    word = WORDS[one.kind]
    return f"{len(one.fields)} {word}s" if one.kind in (Kind.CELL, Kind.PROBE) else word


def comments(found: Found, described: Described) -> dict[str, str]:
    """For each signal how sure it is."""
    return {
        name: f"proposed by physics, confidence {one.confidence:.2f}, of its place {one.place_confidence:.2f}"
        for one in found.proposals
        for name in described.names[one.kind]
    }


def mapping_text(found: Found, described: Described) -> str:
    """A mapping file for `packhorse replay --map`; what is more likely wrong than right stands in it as a comment."""
    by_kind = {one.kind: one for one in found.proposals}
    parts = ["# Proposed by packhorse signals --discover, by physics: read the confidence before you believe it."]
    parts.append(f"\n[bus]\nchannel = {found.streams[0].bus}")
    for kind, section in SECTIONS.items():
        if kind not in by_kind:
            continue
        one = by_kind[kind]
        columns = ",\n".join(f'    "{name}"' for name in described.names[kind])
        lines = [f"[{section}] # confidence {one.confidence:.2f}", f"columns = [\n{columns},\n]"]
        lines.append(f'unit = "{one.unit or "fraction"}"')
        lines += ['positive = "discharge"'] if kind == Kind.CURRENT else []
        text = "\n".join(lines)
        if one.confidence < LIKELY:
            text = "# too weak to be used as it is: " + one.said[-1] + "\n" + text
            text = "\n".join(line if line.startswith("#") else f"# {line}" for line in text.split("\n"))
        parts.append(f"\n{text}")
    return "\n".join(parts) + "\n"
