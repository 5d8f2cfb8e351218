"""What the fields of a bus may be, by physics alone: arrays in, proposals out.

Cells first: many like fields. Their sum is the pack's voltage. What the voltage answers with sag is the current. What
its integral explains is the SOC. Each step rests on the one before, and says so in its confidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.lab.discover import charge, clock, current, fields, roles, voltage
from packhorse.lab.discover.choice import Choice, Heard, chosen, free
from packhorse.lab.discover.flow import Flow, flow_of
from packhorse.lab.discover.proposals import (
    SURE,
    cell_proposal,
    current_proposal,
    pack_proposal,
    soc_proposal,
    temperatures,
)
from packhorse.lab.discover.words import Field, Found, Proposal, Stream, Unit, overlap
from packhorse.pack.words import Array

NO_CELLS = (
    "cell voltages: no group of fields lies close together between 2 and 4.5 V",
    "pack voltage, current, SOC: not enough, they are found by the sum of the cells",
)
SHORT_S = 120.0
NEARLY, MOST_RIVALS = 0.08, 40
"""How near another field comes to explaining the sag as well; how many are looked at."""
MOST_TRIED, NO_SAG, NO_CHARGE = 300, 20.0, 100.0
"""Of the fields that the voltage answers, so many are tried where the first gives no usual capacity; what counts
against one of them, in natural logarithms of the odds: sag and charge that it does not explain."""


def discover(
    streams: Sequence[Stream],
    capacity_Ah: float = float("nan"),
    places: Mapping[int, Sequence[fields.Layout]] | None = None,
) -> Found:
    """Proposals for everything that a battery tells. The capacity, where it is known, gives the current its scale.

    `places` are the only ones in which numbers are looked for, by number of the stream; of others it may be any.
    """
    places = places or {}
    if not streams:
        return Found((), (), np.zeros(1), (), NO_CELLS)
    streams, cut_s = clock.without_gaps(streams)
    doing = tuple(roles.roles(stream) for stream in streams)
    heard = hear(streams, doing, places)
    unknown = [(k, stream, doing[k]) for k, stream in enumerate(streams) if k not in places]
    missing = shortcomings(streams, heard.clock_s, cut_s)
    choice = chosen(heard)
    if choice is None:
        warm = temperatures(with_standing(heard, unknown), [], np.zeros(heard.clock_s.size))
        return Found(tuple(streams), doing, heard.clock_s, tuple(warm), (*missing, *NO_CELLS))
    proposals = [cell_proposal(choice), *pack_proposal(choice, missing)]
    said, flow, taken = flow_proposals(heard, choice, capacity_Ah, fields_of(proposals), missing)
    most = max(one.confidence for one in proposals) / SURE  # they rest on the voltage
    proposals += [
        one._replace(confidence=most * one.confidence, place_confidence=most * one.place_confidence) for one in said
    ]
    proposals += temperatures(with_standing(heard, unknown), [*taken, *fields_of(proposals)], flow)
    return Found(tuple(streams), doing, heard.clock_s, tuple(proposals), tuple(missing))


def shortcomings(streams: Sequence[Stream], clock_s: Array, cut_s: float) -> list[str]:
    """What is wrong with a log before anything is looked for in it."""
    said = []
    if max(stream.heard for stream in streams) < roles.ENOUGH_FRAMES:
        said.append(f"too few frames: no identifier was heard {roles.ENOUGH_FRAMES} times; record for ten minutes")
    elif float(clock_s[-1]) < SHORT_S:
        said.append(f"the log is short, {float(clock_s[-1]):.0f} s: ten minutes of driving tell more")
    if cut_s > 0.0:
        said.append(f"silences of the bus, {cut_s:.0f} s in all, were cut out; what happened in them is not known")
    return said


def hear(
    streams: Sequence[Stream], doing: Sequence[NDArray[np.int64]], places: Mapping[int, Sequence[fields.Layout]]
) -> Heard:
    """Everything that may be a number, on one clock."""
    every = [unit for k, stream in enumerate(streams) for unit in fields.units(k, stream, doing[k], places.get(k))]
    clock_s = clock.clock(streams)
    origin_s = min(float(stream.time_s[0]) for stream in streams)
    series: Array = clock.all_held(every, clock_s, origin_s).astype(np.float32)
    senders = tuple(stream.id & 0xFF if stream.extended else -1 for stream in streams)
    return Heard(tuple(every), series, clock_s, origin_s, senders)


def fields_of(proposals: Sequence[Proposal]) -> list[Field]:
    """Fields that have a meaning already."""
    return [field for one in proposals for field in one.fields]


def flow_proposals(
    heard: Heard, choice: Choice, capacity_Ah: float, before: Sequence[Field], missing: list[str]
) -> tuple[list[Proposal], Array, list[Field]]:
    """Current and SOC, the current in amperes, and the fields of extremes, which are none of the rest."""
    group, volts = choice.group, choice.volts
    taken = [unit.field for unit in group.extremes]
    left = free(heard, [*taken, *before])
    units, series = [heard.units[k] for k in left], heard.series[left]
    alive = voltage.moves(volts) and bool(np.isfinite(group.alike))
    sags = current.find(units, series, voltage_of(heard, choice)) if alive else []
    if not sags:
        why = "no field explains the steps of the voltage" if alive else "the voltage never changed"
        missing += [f"current: not enough, {why}", "SOC: not enough, it is found by the integral of the current"]
        return [], np.zeros(heard.clock_s.size), taken
    slow = charge.likely(units)
    told = Told(
        [units[k] for k in slow],
        series[slow],
        heard.clock_s,
        float(np.nanmedian(group.volts)),
        capacity_Ah,
        choice.beside,
    )
    flow, charges = likeliest(sags, told)
    said = [current_proposal(flow, volts, rivals=has_rival(flow, sags, told)), *soc_proposal(charges, flow, missing)]
    return said, np.nan_to_num(flow.sag.raw * said[0].scale + said[0].offset), taken


def voltage_of(heard: Heard, choice: Choice) -> current.Voltage:
    """The voltage that a current must explain."""
    fine = choice.volts
    if choice.told:
        pack = choice.packs[0]
        fine = pack.scale * clock.between(pack.unit, heard.clock_s, heard.origin_s)
    return current.Voltage(choice.volts, fine, choice.beside, heard.clock_s, heard.origin_s)


class Told(NamedTuple):
    """What is left when the voltage is known: fields that may be the SOC, and what helps to choose among them."""

    units: Sequence[Unit]
    series: Array
    clock_s: Array
    cell_V: float
    capacity_Ah: float
    beside: Field

    def flow(self, sag: current.Sag, charges: Sequence[charge.Charge]) -> Flow:
        """Current and SOC together."""
        return flow_of(sag, charges, self.clock_s, self.cell_V, self.capacity_Ah, self.beside)

    def charges(self, sag: current.Sag) -> list[charge.Charge]:
        """Fields that the integral of a current explains, itself not among them."""
        found = charge.find(self.units, self.series, sag.sign * sag.raw, self.clock_s)
        return [one for one in found if not overlap(one.unit.field, sag.unit.field)]


def likeliest(sags: Sequence[current.Sag], told: Told) -> tuple[Flow, list[charge.Charge]]:
    """The current, and fields that its integral explains.

    Where the capacity is known and contradicts the likeliest, as it does if that is a power, the next takes its place.
    """
    sag, charges = with_charge(sags, told)
    first = told.flow(sag, charges), charges
    if not (np.isfinite(told.capacity_Ah) and first[0].contradicted()):
        return first
    found = [first]
    for other in [one for one in sags if not overlap(one.unit.field, sag.unit.field)][:MOST_TRIED]:
        explained = told.charges(other)
        found.append((told.flow(other, explained), explained))
    return min((one for one in found if not one[0].contradicted()), key=lambda one: against(one[0]), default=first)


def against(flow: Flow) -> float:
    """What speaks against a current whose capacity is the known one."""
    return flow.ways[0].cost + NO_SAG * (1.0 - flow.sag.answer) + NO_CHARGE * (1.0 - flow.ways[0].charge.fit)


def has_rival(flow: Flow, sags: Sequence[current.Sag], told: Told) -> bool:
    """Whether another field explains the sag nearly as well, and its integral a field too; voltages do not."""
    others = [one for one in sags if not overlap(one.unit.field, flow.sag.unit.field)]
    near = [one for one in others if one.answer > flow.sag.answer - NEARLY]
    return any(told.charges(one) for one in near[:MOST_RIVALS])


def with_charge(sags: Sequence[current.Sag], told: Told) -> tuple[current.Sag, list[charge.Charge]]:
    """The likeliest current, of several that are near the better the more its integral explains a field."""
    best = sags[0]
    charges: list[charge.Charge] = []
    for sag in sags[:3]:
        found = told.charges(sag)
        if found and (not charges or found[0].fit > charges[0].fit + 0.01):
            near = sag.answer > best.answer - current.NEAR_BEST and sag.unit.field.stream == best.unit.field.stream
            if sag is sags[0] or near:
                best, charges = sag, found
    return best, charges


def with_standing(heard: Heard, streams: Sequence[tuple[int, Stream, NDArray[np.int64]]]) -> Heard:
    """The same with the bytes of some streams that never change: most probes of a short drive do not."""
    more = [unit for k, stream, doing in streams for unit in fields.standing_bytes(k, stream, doing)]
    series = clock.all_held(more, heard.clock_s, heard.origin_s).astype(np.float32)
    return heard._replace(units=(*heard.units, *more), series=np.concatenate((heard.series, series)))
