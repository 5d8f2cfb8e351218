"""What the fields of a bus may be, by physics alone: arrays in, proposals out.

Cells first: many like fields. Their sum is the pack's voltage. What the voltage answers with sag is the current. What
its integral explains is the SOC. Each step rests on the one before, and says so in its confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.lab.discover import cells, charge, clock, current, fields, heat, voltage
from packhorse.lab.discover.flow import Flow, flow_of
from packhorse.lab.discover.words import Evidence, Field, Found, Kind, Proposal, Stream, Unit, overlap, positions
from packhorse.pack.words import Array

SURE, SURE_SCALE, NOT_ROUND = 0.97, 0.9, 0.5
"""The highest confidence; how sure a scale is that needs no remark; what is left of it where zero is no round count."""
NO_INTEGRAL, RIVAL, BY_TIME = 0.7, 0.85, 0.7
"""The highest confidence in a current that no SOC follows, in one beside a like field, in a SOC that time explains."""
STANDS_STILL = 0.3
"""The highest confidence in what never moved: standing fields agree by chance."""
NO_CELLS = (
    "cell voltages: no group of fields lies close together between 2 and 4.5 V",
    "pack voltage, current, SOC: not enough, they are found by the sum of the cells",
)
KNOWN_OFFSET = 0.6
"""How often the usual offset of temperatures is the right one."""
MANY_CELLS, MOST_GROUPS, NOT_OFF, RARER = 8, 6, 50.0, 0.8


class Heard(NamedTuple):
    """Every unit of a bus, on one clock."""

    units: tuple[Unit, ...]
    series: Array  # (units, times)
    clock_s: Array
    origin_s: float


def discover(streams: Sequence[Stream], capacity_Ah: float = float("nan")) -> Found:
    """Proposals for everything that a battery tells. The capacity, where it is known, gives the current its scale."""
    doing = tuple(fields.roles(stream) for stream in streams)
    every = [unit for k, stream in enumerate(streams) for unit in fields.units(k, stream, doing[k])]
    clock_s = clock.clock(streams)
    origin_s = min(float(stream.time_s[0]) for stream in streams)
    heard = Heard(tuple(every), clock.all_held(every, clock_s, origin_s).astype(np.float32), clock_s, origin_s)
    proposals: list[Proposal] = []
    missing: list[str] = []
    groups = [(one, sums(heard, one)) for one in likely(heard)]
    if not groups:
        warm = temperatures(with_standing(heard, streams, doing), [], np.zeros(clock_s.size))
        return Found(tuple(streams), doing, clock_s, tuple(warm), NO_CELLS)
    group, packs = max(groups, key=lambda one: worth(*one))
    proposals += [cell_proposal(group, packs), *pack_proposal(group, packs, missing)]
    volts = group.volts.sum(axis=0)
    volts = packs[0].volts if packs and packs[0].alike > voltage_alike(volts) else volts
    said, flow, taken = flow_proposals(heard, group, volts, packs, capacity_Ah, proposals, missing)
    most = max(one.confidence for one in proposals) / SURE  # they rest on the voltage
    proposals += [
        one._replace(confidence=most * one.confidence, place_confidence=most * one.place_confidence) for one in said
    ]
    proposals += temperatures(with_standing(heard, streams, doing), [*taken, *proposals_fields(proposals)], flow)
    return Found(tuple(streams), doing, clock_s, tuple(proposals), tuple(missing))


def likely(heard: Heard) -> list[cells.Cells]:
    """The groups that may be the cells, each also without the messages that hold few of them."""
    groups = cells.find(heard.units, heard.clock_s, heard.origin_s)[:MOST_GROUPS]
    return [variant for group in groups for variant in cells.variants(group)]


def sums(heard: Heard, group: cells.Cells) -> list[voltage.Pack]:
    """Fields, none of the cells among them, that are the sum of a group."""
    others = free(heard, [unit.field for unit in group.units])
    lag = round(clock.period_s(group.units) / float(heard.clock_s[1] - heard.clock_s[0]))
    motorola = group.units[0].field.motorola
    return voltage.find([heard.units[k] for k in others], heard.series[others], group.volts, lag, motorola)


def worth(group: cells.Cells, packs: Sequence[voltage.Pack]) -> float:
    """How much a group tells, the more so if its sum is a field."""
    bonus = 1.0 + (RARER ** packs[0].rank * (packs[0].alike - NOT_OFF * packs[0].off_share) if packs else 0.0)
    return len(group.units) * cells.WORTH[group.units[0].field.bits] * bonus


def voltage_alike(total_V: Array) -> float:
    """Below this likeness the sum itself is the better voltage to look for sag in."""
    return 0.5 if voltage.moves(total_V) else 2.0


def proposals_fields(proposals: Sequence[Proposal]) -> list[Field]:
    """Fields that have a meaning already."""
    return [field for one in proposals for field in one.fields]


def free(heard: Heard, taken: Sequence[Field]) -> list[int]:
    """Units that share no bit with these fields."""
    bits: dict[tuple[int, int], set[int]] = {}
    for field in taken:
        bits.setdefault((field.stream, field.turn), set()).update(positions(field))
    return [
        k
        for k, unit in enumerate(heard.units)
        if not positions(unit.field) & bits.get((unit.field.stream, unit.field.turn), set())
    ]


def cell_proposal(group: cells.Cells, packs: Sequence[voltage.Pack]) -> Proposal:
    """The cells, and how sure they are."""
    said = [f"{len(group.units)} fields lie within {cells.SPREAD_V * 1000:.0f} mV of each other"]
    confidence = 0.4 if len(group.units) >= MANY_CELLS else 0.3
    moved = bool(np.isfinite(group.alike))
    if moved:
        confidence += 0.2 if group.alike > 0.9 else 0.1
        said.append(f"they move together (correlation {group.alike:.2f})")
    else:
        said.append("they stand still, so that nothing shows whether they belong together")
    if packs and (packs[0].alike > 0.9 or not moved):
        confidence += 0.37 if packs[0].alike > 0.9 else 0.15
        said.append(f"their sum is a field of the bus, to {100.0 * packs[0].off_share:.2f} %")
    else:
        said.append("no field of the bus is their sum")
    if not packs and (group.units[0].field.bits == 8 or len(group.units) < MANY_CELLS):
        confidence = min(confidence, STANDS_STILL)
    confidence = min(confidence, SURE if moved else STANDS_STILL)
    middle = Evidence(
        "Each cell against all", "mean of the cells, V", "cell, V", group.volts.mean(axis=0), group.volts[0]
    )
    fields_ = tuple(unit.field for unit in group.units)
    return Proposal(
        Kind.CELL, fields_, group.scale, 0.0, "V", confidence, confidence, tuple(said), group.volts, (middle,)
    )


def pack_proposal(group: cells.Cells, packs: Sequence[voltage.Pack], missing: list[str]) -> list[Proposal]:
    """The voltage of the pack."""
    total_V = group.volts.sum(axis=0)
    if not packs:
        missing.append("pack voltage: no field follows the sum of the cells at a round scale")
        return []
    best = packs[0]
    said = [f"it is the sum of {len(group.units)} cells, to {100.0 * best.off_share:.2f} % (scale {best.scale:g} V)"]
    if voltage.moves(total_V):
        confidence = 0.5 + 0.45 * np.clip((best.alike - 0.8) / 0.18, 0.0, 1.0)
        said.append(f"both move together (correlation {best.alike:.3f})")
    else:
        confidence = STANDS_STILL - 0.05 * min(len(packs) - 1, 3)
        said.append("not enough: the voltage never changed, the ratio alone fits")
    if len(group.units) < MANY_CELLS:
        confidence = min(confidence, 0.85)
    shown = Evidence("Sum of the cells against the pack", "pack, V", "sum of the cells, V", best.volts, total_V)
    field = (best.unit.field,)
    return [
        Proposal(
            Kind.PACK,
            field,
            best.scale,
            0.0,
            "V",
            float(confidence),
            float(confidence),
            tuple(said),
            best.volts[None],
            (shown,),
        )
    ]


def flow_proposals(
    heard: Heard,
    group: cells.Cells,
    volts: Array,
    packs: Sequence[voltage.Pack],
    capacity_Ah: float,
    before: Sequence[Proposal],
    missing: list[str],
) -> tuple[list[Proposal], Array, list[Field]]:
    """Current and SOC, the current in counts, and the fields of extremes, which are none of the rest."""
    taken = [unit.field for unit in group.extremes]
    left = free(heard, [*taken, *proposals_fields(before)])
    units, series = [heard.units[k] for k in left], heard.series[left]
    beside = packs[0].unit.field if packs else group.units[0].field
    alive = voltage.moves(volts) and bool(np.isfinite(group.alike))
    sags = current.find(units, series, volts, beside) if alive else []
    if not sags:
        why = "no field explains the steps of the voltage" if alive else "the voltage never changed"
        missing += [f"current: not enough, {why}", "SOC: not enough, it is found by the integral of the current"]
        return [], np.zeros(heard.clock_s.size), taken
    best = sags[0]
    charges: list[charge.Charge] = []
    for sag in sags[:3]:
        found = charge.find(units, series, sag.sign * sag.raw, heard.clock_s)
        found = [one for one in found if not overlap(one.unit.field, sag.unit.field)]
        if found and (not charges or found[0].fit > charges[0].fit + 0.01):
            near = sag.answer > best.answer - current.NEAR_BEST and sag.unit.field.stream == best.unit.field.stream
            if sag is sags[0] or near:
                best, charges = sag, found
    flow = flow_of(best, charges, heard.clock_s, float(np.nanmedian(group.volts)), capacity_Ah, beside)
    said = [current_proposal(flow, sags, volts), *soc_proposal(charges, flow, missing)]
    amperes = np.nan_to_num(best.raw * said[0].scale + said[0].offset)
    return said, amperes, taken


def current_proposal(flow: Flow, sags: Sequence[current.Sag], volts: Array) -> Proposal:
    """The current: which bits, where zero is, and which way it flows."""
    sag = flow.sag
    place, said = current_confidence(flow, sags)
    sure = flow.sure_of_amperes()
    if sure < SURE_SCALE:
        said.append(
            f"not enough for its scale, which is the likeliest of several ({100.0 * sure:.0f} %): give --capacity-Ah"
        )
    if not flow.round_zero:
        said.append("its zero is no round number")
        sure *= NOT_ROUND
    factor = sag.sign * flow.amperes
    shown = Evidence(
        "Steps of the voltage against those of the current",
        "step of the current, A",
        "step of the voltage, V",
        factor * current.step(sag.raw, sag.lag),
        current.step(volts, sag.lag),
    )
    value, field, offset = (sag.raw - flow.zero) * factor, (sag.unit.field,), -flow.zero * factor
    return Proposal(Kind.CURRENT, field, factor, offset, "A", place * sure, place, tuple(said), value[None], (shown,))


def current_confidence(flow: Flow, sags: Sequence[current.Sag]) -> tuple[float, list[str]]:
    """How sure the place of a current is, and why no more."""
    sag = flow.sag
    said = [f"the voltage answers its steps (correlation {sag.answer:.2f}), so that this sign discharges"]
    confidence, most = 0.35 + 0.5 * float(np.clip((sag.answer - 0.5) / 0.4, 0.0, 1.0)), SURE
    if flow.ways:
        confidence += 0.12
        fit = flow.ways[0].charge.fit
        said.append(f"its integral explains {100.0 * fit:.1f} % of the changes of what may be the SOC")
    else:
        most = NO_INTEGRAL
        said.append("no field follows its integral")
    rival = next((one for one in sags if not overlap(one.unit.field, sag.unit.field)), None)
    if rival and rival.answer > sag.answer - 0.02:
        most = min(most, RIVAL)
        said.append("another field does nearly as well: power, or a second sensor")
    return min(confidence, most), said


def soc_proposal(charges: Sequence[charge.Charge], flow: Flow, missing: list[str]) -> list[Proposal]:
    """The SOC."""
    if not flow.ways:
        why = "at no usual scale from 0 to 100 %" if charges else "none"
        missing.append(f"SOC: not enough, slow fields that follow the integral of the current: {why}")
        return []
    best, scale = flow.ways[0].charge, flow.ways[0].scale
    fitting = 0.4 + 0.5 * float(np.clip((best.fit - 0.95) / 0.045, 0.0, 1.0))
    said = [f"the integral of the current explains {100.0 * best.fit:.1f} % of its changes"]
    if any(not overlap(way.charge.unit.field, best.unit.field) for way in flow.ways):
        said.append("other fields follow the integral too: energy or capacity left, or what the driver sees")
    if not best.clear:
        fitting = min(fitting, BY_TIME)
        said.append("time alone explains them nearly as well: the current hardly changed on average")
    if flow.sure_of_charge() < SURE_SCALE:
        said.append("other fields or scales fit nearly as well; this is the usual one")
    confidence, place = fitting * flow.sure_of_charge(), fitting * flow.sure_of_field()
    shown = Evidence(
        "SOC against the integral of the current", "by the integral", "SOC", best.counted * scale, best.raw * scale
    )
    value = (best.raw * scale)[None]
    field = (best.unit.field,)
    return [Proposal(Kind.SOC, field, scale, 0.0, "", confidence, place, tuple(said), value, (shown,))]


def with_standing(heard: Heard, streams: Sequence[Stream], doing: Sequence[NDArray[np.int64]]) -> Heard:
    """The same with the bytes that never change: most probes of a short drive do not."""
    more = [unit for k, stream in enumerate(streams) for unit in fields.standing_bytes(k, stream, doing[k])]
    series = clock.all_held(more, heard.clock_s, heard.origin_s).astype(np.float32)
    return heard._replace(units=(*heard.units, *more), series=np.concatenate((heard.series, series)))


def temperatures(heard: Heard, taken: Sequence[Field], flow: Array) -> list[Proposal]:
    """Probes, of which nothing but their quiet is known."""
    left = free(heard, taken)
    groups = heat.find([heard.units[k] for k in left], heard.series[left], flow)
    if not groups:
        return []
    best = groups[0]
    confidence = 0.35 + 0.1 * (len(best.units) >= 2 * heat.FEWEST) + 0.1 * (best.warmed > 0.7)
    said = [
        f"{len(best.units)} slow fields lie within {heat.SPREAD_K:.0f} K of each other",
        f"the offset {best.offset:g} is the usual one that fits, nothing proves it",
    ]
    if best.warmed > 0.7:
        said.append("they warm while current flows")
    fields_ = tuple(unit.field for unit in best.units)
    return [
        Proposal(
            Kind.PROBE,
            fields_,
            best.scale,
            best.offset,
            "degC",
            confidence * KNOWN_OFFSET,
            confidence,
            tuple(said),
            best.degC,
        )
    ]
