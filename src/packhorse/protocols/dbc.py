"""A DBC as a `Plan`: cantools parses it once, at start-up, and has no part in what follows.

A message belongs to J1939 where the DBC says so (`VFrameFormat`), or where its identifier names the null address
0xFE as sender: nobody sends data from there, such an identifier stands for every sender.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from packhorse.pack.load import ConfigurationError
from packhorse.protocols.frames import LONGEST_MESSAGE
from packhorse.protocols.plan import ANY_SENDER, Kind, Message, Plan, Signal, build

if TYPE_CHECKING:
    from cantools.database.can import Message as Parsed

LONGEST_DBC = 64 * 2**20
MOST_SIGNALS, MOST_RANGES, MOST_SELECTED = 200_000, 4096, 50_000
MESSAGE_LENGTH = re.compile(r"\bBO_\s+\d+\s+\w+\s*:\s*(\d+)")
SIGNAL_PLACE = re.compile(r":\s*(\d+)\s*\|\s*(\d+)\s*@")
SELECTED = re.compile(r"\bSG_MUL_VAL_\b([^;]*)")
SELECTED_RANGE = re.compile(r"(\d+)\s*-\s*(\d+)")


def load(text: str, name: str, needed: Iterable[str] = ()) -> Plan:
    """The plan of a DBC that was read from `name`. Raises ConfigurationError, in one line.

    `needed` are signals, as `Message.Signal`, without which there is no use in going on.
    """
    if len(text) > LONGEST_DBC:
        raise ConfigurationError(f"{name}: {len(text) >> 20} MB is too long for a DBC; give another file")
    _must_be_small(text, name)
    try:
        plan = build([_message(parsed) for parsed in _parse(text, name)])
    except ConfigurationError:
        raise
    except ValueError as error:
        raise ConfigurationError(f"{name}: {error}") from error
    must_have(plan, needed, name)
    return plan


def _must_be_small(text: str, name: str) -> None:
    """Refuse numbers of which a parser makes lists: a few bytes of text would take all memory."""
    most_bits = 8 * LONGEST_MESSAGE
    if any(_beyond(found[1], LONGEST_MESSAGE) for found in MESSAGE_LENGTH.finditer(text)):
        raise ConfigurationError(f"{name}: a message has more than {LONGEST_MESSAGE} bytes; correct it")
    if any(_beyond(found[1], most_bits) or _beyond(found[2], most_bits) for found in SIGNAL_PLACE.finditer(text)):
        raise ConfigurationError(f"{name}: a signal begins or ends beyond {most_bits} bits; correct it")
    selected = 0
    for said in SELECTED.finditer(text):
        for low, high in SELECTED_RANGE.findall(said[1]):
            selected += MOST_SELECTED if _beyond(high, 2**32) else max(int(high) - int(low[:20]), 0)
    if selected >= MOST_SELECTED:
        raise ConfigurationError(f"{name}: multiplexers select more than {MOST_SELECTED} values; correct SG_MUL_VAL_")


def _beyond(number: str, most: int) -> bool:
    """Whether a number is larger, however long it is written."""
    return len(number.lstrip("0")) > 12 or int(number) > most


def must_have(plan: Plan, needed: Iterable[str], name: str) -> None:
    """Refuse a plan without the signals that are needed, with the nearest that it has."""
    missing = [signal for signal in needed if signal not in plan.signals]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise ConfigurationError(f"{name}: no signal {missing[0]}{more}; {nearest(missing[0], list(plan.signals))}")


def nearest(name: str, names: list[str]) -> str:
    """The names most like one that is not there; by the signal alone where that says more."""
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if not close:
        last = name.rpartition(".")[2].casefold()
        close = [n for n in names if n.rpartition(".")[2].casefold() == last][:3]
    if close:
        return f"nearest: {', '.join(close)}"
    return f"it has {', '.join(names[:4])}{' ...' if len(names) > 4 else ''}" if names else "it has no signals at all"


def _parse(text: str, name: str) -> list[Parsed]:
    """What cantools makes of a DBC; its many ways to fail become one."""
    try:
        import cantools.database as parser  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(f"{name}: reading a DBC needs cantools; pip install cantools") from error
    try:
        found: Any = parser.load_string(text, database_format="dbc", strict=True, sort_signals=None)
        messages: list[Parsed] = found.messages
    except (Exception, RecursionError) as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise ConfigurationError(f"{name}: not a sound DBC ({said[:200].rstrip('.')}); correct it") from error
    if not messages:
        raise ConfigurationError(f"{name}: holds no messages; give a DBC file")
    if sum(len(message.signals) for message in messages) > MOST_SIGNALS:
        raise ConfigurationError(f"{name}: holds more than {MOST_SIGNALS} signals; give the DBC of one bus")
    return messages


def _message(parsed: Parsed) -> Message:
    template = parsed.is_extended_frame and parsed.frame_id & 0xFF == ANY_SENDER
    return Message(
        name=parsed.name,
        id=parsed.frame_id,
        signals=tuple(_signal(parsed, signal) for signal in parsed.signals),
        length=parsed.length,
        extended=parsed.is_extended_frame,
        j1939=parsed.is_extended_frame and (parsed.protocol == "j1939" or template),
        period_s=parsed.cycle_time / 1000.0 if parsed.cycle_time else float("nan"),
    )


def _signal(parsed: Parsed, signal: Any) -> Signal:
    if signal.is_float and signal.length not in (32, 64):
        raise ValueError(f"signal {parsed.name}.{signal.name} is a float of {signal.length} bits; 32 and 64 are read")
    kind = Kind.SIGNED if signal.is_signed else Kind.UNSIGNED
    if signal.is_float:
        kind = Kind.FLOAT32 if signal.length == 32 else Kind.FLOAT64
    return Signal(
        name=signal.name,
        start=signal.start,
        bits=signal.length,
        scale=float(signal.conversion.scale),
        offset=float(signal.conversion.offset),
        unit=signal.unit or "",
        motorola=signal.byte_order == "big_endian",
        kind=kind,
        selector=signal.multiplexer_signal or "",
        selected=_ranges(parsed, signal),
    )


def _ranges(parsed: Parsed, signal: Any) -> tuple[tuple[int, int], ...]:
    """Multiplexer values one after the other as ranges."""
    ranges: list[tuple[int, int]] = []
    for value in sorted(set(signal.multiplexer_ids or ())):
        if ranges and value == ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], value
        else:
            ranges.append((value, value))
    if len(ranges) > MOST_RANGES or (ranges and not -(2**63) <= ranges[0][0] <= ranges[-1][1] < 2**63):
        raise ValueError(f"signal {parsed.name}.{signal.name} is selected by more than {MOST_RANGES} values; check it")
    return tuple(ranges)
