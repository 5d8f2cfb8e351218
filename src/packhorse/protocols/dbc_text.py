"""Layouts as the text of a DBC: the way back of `dbc.py`."""

from __future__ import annotations

from collections.abc import Sequence

from packhorse.protocols.plan import Kind, Message, Signal

HEAD = 'VERSION ""\n\nNS_ :\n\nBS_:\n\nBU_: Bus\n'
EXTENDED_BIT = 0x80000000


def text_of(messages: Sequence[Message]) -> str:
    """A DBC that holds these messages, multiplexers with one level."""
    return HEAD + "".join(_message(message) for message in messages)


def _message(message: Message) -> str:
    number = message.id | (EXTENDED_BIT if message.extended else 0)
    selectors = {signal.selector for signal in message.signals if signal.selector}
    lines = [f"\nBO_ {number} {message.name}: {message.length} Bus"]
    lines += [_signal(signal, signal.name in selectors) for signal in message.signals]
    return "\n".join(lines) + "\n"


def _signal(signal: Signal, selects: bool) -> str:
    mark = " M" if selects else f" m{signal.selected[0][0]}" if signal.selected else ""
    order, sign = ("0" if signal.motorola else "1"), ("-" if signal.kind == Kind.SIGNED else "+")
    line = f"({signal.scale:.12g},{signal.offset:.12g})"
    place = f"{signal.start}|{signal.bits}@{order}{sign}"
    return f' SG_ {signal.name}{mark} : {place} {line} [0|0] "{signal.unit}" Bus'
