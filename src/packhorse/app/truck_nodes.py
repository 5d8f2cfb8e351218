"""The simulated truck on the bus: its boards, inverter, charger, thermal unit and vehicle controller as nodes.

nodes         = fitted(truck)
nodes, frames = speak(nodes, time_s, body, frame, demand)
nodes, frames = hear(nodes, time_s, heard)
command, limits = obeyed(nodes, time_s)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from packhorse import twin
from packhorse.pack.words import Command, Frame, Limits
from packhorse.protocols import boards
from packhorse.protocols.boards import Memory, Wire
from packhorse.protocols.j1939 import claim
from packhorse.protocols.j1939.claim import ADDRESS_CLAIMED, Claim
from packhorse.protocols.j1939.diagnostics import DM11
from packhorse.protocols.j1939.hvess import decode, encode, system_layouts
from packhorse.protocols.j1939.identifier import GLOBAL, CanFrame, Message, single, split
from packhorse.protocols.j1939.name import Name, name_number
from packhorse.protocols.j1939.request import REQUEST, request

PATIENCE_S = 1.0
"""Boards that are not commanded for so long open and switch off; an inverter without limits gives and takes nothing."""
MASS_PERIOD_S = 10.0
LIMITS = "HVESSD1"
IDENTITY = 1000
"""Identity number of the NAME of the node at address 0; the others follow by address."""


class Nodes(NamedTuple):
    """The truck's nodes, and what they remember."""

    strings: int
    series: int
    mass_kg: float
    readings: Wire
    commands: Wire
    memory: Memory  # of commands
    claims: tuple[Claim, ...]
    unsaid: tuple[CanFrame, ...] = ()  # claims, and answers to others
    limits_W: tuple[float, float] = (0.0, 0.0)  # discharge, charge
    limits_s: float = -math.inf
    said_s: Mapping[str, float] = {}  # vehicle messages: when last


def fitted(truck: twin.Truck, time_s: float) -> Nodes:
    """The nodes of a truck, each with an address to claim. Raises ValueError where there are too many strings."""
    readings = boards.readings(truck.strings, truck.series, truck.probes)
    commands = boards.commands(truck.strings, truck.series)
    begun = [claim.begin(name_of(address), (address,), time_s) for address in addresses(truck.strings)]
    claims, frames = tuple(claimed for claimed, _ in begun), tuple(frame for _, said in begun for frame in said)
    blank = boards.blank(commands)
    return Nodes(truck.strings, truck.series, truck.road.mass_kg, readings, commands, blank, claims, frames)


def addresses(strings: int) -> list[int]:
    """Where the truck's nodes are."""
    known = boards.table()["addresses"]
    return [known["string"] + s for s in range(strings)] + [at for who, at in known.items() if who != "string"]


def name_of(address: int) -> int:
    """The NAME of a node that stays at its address."""
    return name_number(Name(IDENTITY + address, 0, 0, 0, 0, 0, 0, 0, 0, may_move=0))


def speak(
    was: Nodes, time_s: float, body: twin.Body, frame: Frame, demand: twin.Demand
) -> tuple[Nodes, tuple[CanFrame, ...]]:
    """All that the truck says in one tick."""
    plugged = demand.plugged > 0.0
    inverter_W = 0.0 if plugged else body.power_W
    codes = boards.coded(was.readings, boards.said_of(frame, inverter_W))
    readings = boards.framed(was.readings, codes, 0)
    said_s, told = dict(was.said_s), []
    for name, period_s, source, values in vehicle_messages(was, body, frame, demand):
        if time_s >= said_s.get(name, -math.inf) + period_s - 1e-6:
            said_s[name] = time_s
            told.append(single(message(name, source, values)))
    if demand.reset > 0.0:
        told.append(request(DM11, boards.table()["addresses"]["controller"]))
    return was._replace(said_s=said_s, unsaid=()), (*was.unsaid, *readings, *told)


def vehicle_messages(
    nodes: Nodes, body: twin.Body, frame: Frame, demand: twin.Demand
) -> list[tuple[str, float, int, dict[str, float]]]:
    """Messages of the vehicle around the battery: name, period, sender, values."""
    known = boards.table()["addresses"]
    plugged = demand.plugged > 0.0
    asked = {"connect_command": frame.drive_request, "internal_charger_command": frame.charge_request}
    charging = {"present_V": body.link_V, "present_A": max(0.0, -float(body.string_A.sum()))} if plugged else {}
    pitch_deg = math.degrees(math.atan(demand.grade))
    layouts = system_layouts()
    rows = (
        ("HVESSC1", known["controller"], asked | {"operation_consent": 1.0, "power_down_command": 0.0}),
        ("CCVS1", known["controller"], {"speed_m_per_s": body.speed_m_per_s}),
        ("SSI2", known["controller"], {"pitch_deg": pitch_deg}),
        ("AMB", known["controller"], {"ambient_degC": frame.ambient_degC}),
        ("CVW", known["controller"], {"combination_mass_kg": nodes.mass_kg}),
        ("EVSE1DCS1", known["charger"], charging),
    )
    return [(name, layouts[name].period_s or MASS_PERIOD_S, source, values) for name, source, values in rows]


def message(name: str, source: int, values: Mapping[str, float]) -> Message:
    """A message of the vehicle with these values."""
    layout = system_layouts()[name]
    return Message(layout.pgn, source, GLOBAL, encode(layout, values), 3 if layout.period_s <= 0.1 else 6)


def hear(was: Nodes, time_s: float, frames: Sequence[CanFrame]) -> Nodes:
    """Take in what the battery and others say."""
    memory, others = boards.take(was.commands, was.memory, time_s, frames)
    now = was._replace(memory=memory)
    for frame in others:
        pgn = split(frame.can_id).pgn
        if pgn in {ADDRESS_CLAIMED, REQUEST}:
            now = _claims(now, time_s, frame)
        elif pgn == system_layouts()[LIMITS].pgn:
            told = decode(system_layouts()[LIMITS], frame.data).values
            watt = (told["discharge_power_W"], told["charge_power_W"])
            now = now._replace(limits_W=watt, limits_s=time_s)
    return now


def _claims(was: Nodes, time_s: float, frame: CanFrame) -> Nodes:
    heard = [claim.hear(claimed, time_s, frame) for claimed in was.claims]
    answers = tuple(said for _, frames in heard for said in frames)
    return was._replace(claims=tuple(claimed for claimed, _ in heard), unsaid=(*was.unsaid, *answers))


def obeyed(nodes: Nodes, time_s: float) -> tuple[Command, Limits]:
    """What the truck obeys now: its boards the commands, its inverter the limits of power."""
    command = boards.command_of(nodes.commands, nodes.memory, nodes.series, time_s, PATIENCE_S)
    fresh = time_s - nodes.limits_s <= PATIENCE_S
    discharge_W, charge_W = (watt if fresh and not math.isnan(watt) else 0.0 for watt in nodes.limits_W)
    none = np.zeros((2, nodes.strings))
    return command, Limits(0.0, 0.0, discharge_W, charge_W, 0.0, 0.0, none, none.copy())
