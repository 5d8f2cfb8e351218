"""Our table of J1939 messages as a plan, which decodes whole logs of a bus that nobody has described."""

from __future__ import annotations

import functools
import math

from packhorse.protocols import plan as plans
from packhorse.protocols.j1939.hvess import Layout, layouts
from packhorse.protocols.j1939.identifier import GLOBAL, join
from packhorse.protocols.node_dbc import unit
from packhorse.protocols.plan import ANY_SENDER, Kind, Message, Plan
from packhorse.protocols.signal import Signal

CURRENT = "sign and offset differ from maker to maker; shown as the standard codes it (-1600 A is 0)"
CAUTIONS = {
    "current_A": CURRENT,
    "discharge_limit_A": "whether it has the sign of the current differs from maker to maker",
    "charge_limit_A": "whether it has the sign of the current differs from maker to maker",
    "pitch_deg": "whether a raised nose counts positive differs from maker to maker",
}
"""What the standard leaves open: a node file declares it for our own node, of others it is not known."""


@functools.cache
def known_plan() -> Plan:
    """Every message of the table, from whoever sends it, in our units: m/s, W, kWh, fractions instead of percent."""
    return plans.build([_message(layout) for layout in layouts().values()])


def is_of_a_pack(name: str) -> bool:
    """Whether a message of the table speaks of a single pack (HVESP1 to HVESP26)."""
    return name.startswith("HVESP")


def caution(name: str) -> str:
    """What must be known beside a signal `Message.Signal` to read it right; empty for nothing."""
    message, _, signal = name.partition(".")
    return CAUTIONS.get(signal, "") if message.startswith(("HVES", "SSI", "VDS")) else ""


def _message(layout: Layout) -> Message:
    can_id = join(6, layout.pgn, GLOBAL, ANY_SENDER)
    signals = tuple(map(_signal, layout.signals))
    return Message(layout.name, can_id, signals, layout.length, j1939=True, period_s=layout.period_s or math.nan)


def _signal(signal: Signal) -> plans.Signal:
    kind = Kind.SIGNED if signal.signed else Kind.UNSIGNED
    linear = (signal.scale, signal.offset, unit(signal.name))
    return plans.Signal(signal.name, signal.start_bit, signal.bits, *linear, kind=kind, last=signal.last)
