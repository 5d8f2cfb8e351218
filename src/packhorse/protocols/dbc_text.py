"""Layouts as the text of a DBC: the way back of `dbc.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from packhorse.protocols.plan import Kind, Message, Signal

HEAD = 'VERSION ""\n\nNS_ :\n\nBS_:\n\nBU_: Bus\n'
EXTENDED_BIT = 0x80000000


def text_of(messages: Sequence[Message], comments: Mapping[str, str] | None = None) -> str:
    """A DBC that holds these messages, multiplexers with one level; comments by `Message.Signal`."""
    said = [
        f'CM_ SG_ {number_of(message)} {signal.name} "{(comments or {})[f"{message.name}.{signal.name}"]}";\n'
        for message in messages
        for signal in message.signals
        if f"{message.name}.{signal.name}" in (comments or {})
    ]
    return HEAD + "".join(_message(message) for message in messages) + "\n" + "".join(said)


def number_of(message: Message) -> int:
    """The identifier as a DBC writes it."""
    return message.id | (EXTENDED_BIT if message.extended else 0)


def _message(message: Message) -> str:
    selectors = {signal.selector for signal in message.signals if signal.selector}
    lines = [f"\nBO_ {number_of(message)} {message.name}: {message.length} Bus"]
    lines += [_signal(signal, signal.name in selectors) for signal in message.signals]
    return "\n".join(lines) + "\n"


def _signal(signal: Signal, selects: bool) -> str:
    mark = " M" if selects else f" m{signal.selected[0][0]}" if signal.selected else ""
    order, sign = ("0" if signal.motorola else "1"), ("-" if signal.kind == Kind.SIGNED else "+")
    line = f"({signal.scale:.12g},{signal.offset:.12g})"
    place = f"{signal.start}|{signal.bits}@{order}{sign}"
    return f' SG_ {signal.name}{mark} : {place} {line} [0|0] "{signal.unit}" Bus'
