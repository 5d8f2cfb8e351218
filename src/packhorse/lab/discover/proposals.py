"""What is said of each finding, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from packhorse.lab.discover import cells, charge, current, heat, voltage
from packhorse.lab.discover.choice import MOST_V, Choice, Heard, free, too_much
from packhorse.lab.discover.flow import Flow
from packhorse.lab.discover.words import Evidence, Field, Kind, Proposal, overlap
from packhorse.pack.words import Array

SURE, SURE_SCALE, NOT_ROUND = 0.97, 0.9, 0.5
"""The highest confidence; how sure a scale is that needs no remark; what is left of it where zero is no round count."""
NO_INTEGRAL, RIVAL, CONTRADICTED, BY_TIME = 0.7, 0.7, 0.5, 0.7
"""The highest confidence in a current that no SOC follows, in one beside a like field, in one that does not give the
known capacity, and in a SOC that time explains."""
STANDS_STILL, OTHER_CELLS, FEW, RARE_SCALE, LESS_USUAL = 0.3, 0.6, 0.15, 0.7, 1
"""The highest confidence in what never moved, as standing fields agree by chance; in cells where another number of
them fits as well; in fewer than eight whose sum is no field; in those whose sum is one at a rare scale."""
MANY_CELLS, SIDE_BY_SIDE = 8, 0.6
"""So many cells are many; the highest confidence in the scale of a voltage where strings may be side by side."""
KNOWN_OFFSET = 0.6
"""How often the usual offset of temperatures is the right one."""


def cell_proposal(choice: Choice) -> Proposal:
    """The cells, and how sure they are."""
    group = choice.group
    confidence, said = cell_confidence(choice)
    mean_V = group.volts.mean(axis=0)
    shown = Evidence("Each cell against all", "mean of the cells, V", "cell, V", mean_V, group.volts[0])
    where, sure = tuple(unit.field for unit in group.units), (confidence, confidence)
    return Proposal(Kind.CELL, where, group.scale, 0.0, "V", *sure, tuple(said), group.volts, (shown,))


def cell_confidence(choice: Choice) -> tuple[float, list[str]]:
    """How sure the cells are, and why no more."""
    group, packs = choice.group, choice.packs
    many, moved = len(group.units) >= MANY_CELLS, bool(np.isfinite(group.alike))
    said = [f"{len(group.units)} fields lie within {cells.SPREAD_V * 1000:.0f} mV of each other"]
    confidence, most = 0.4 if many else 0.3, SURE if moved else STANDS_STILL
    if moved:
        confidence += 0.2 if group.alike > 0.9 else 0.1
        said.append(f"they move together (correlation {group.alike:.2f})")
    else:
        said.append("they stand still, so that nothing shows whether they belong together")
    summed = bool(packs) and packs[0].alike > 0.9
    if summed or (packs and not moved):
        confidence += 0.37 if summed else 0.15
        said.append(f"their sum is a field of the bus, to {100.0 * packs[0].off_share:.2f} %")
    else:
        said.append("no field of the bus is their sum")
    if not summed and (group.units[0].field.bits == 8 or not many):
        most = STANDS_STILL if many else FEW
    if packs and packs[0].rank > LESS_USUAL:
        most = min(most, RARE_SCALE)
        said.append(f"at a scale that is rare, {packs[0].scale:g} V")
    if choice.rivals:
        most = min(most, OTHER_CELLS)
        said.append("another number of them would fit as well")
    return min(confidence, most), said


def pack_proposal(choice: Choice, missing: list[str]) -> list[Proposal]:
    """The voltage of the pack, no surer than the cells whose sum it is."""
    if not choice.packs:
        missing.append("pack voltage: no field follows the sum of the cells at a round scale")
        return []
    group, best = choice.group, choice.packs[0]
    total_V, count = choice.total_V, len(group.units) // choice.strings
    said = [f"it is the sum of {count} cells, to {100.0 * best.off_share:.2f} % (scale {best.scale:g} V)"]
    if voltage.moves(total_V):
        confidence = 0.5 + 0.45 * float(np.clip((best.alike - 0.8) / 0.18, 0.0, 1.0))
        said.append(f"both move together (correlation {best.alike:.3f})")
    else:
        confidence = STANDS_STILL - 0.05 * min(len(choice.packs) - 1, 3)
        said.append("not enough: the voltage never changed, the ratio alone fits")
    if len(group.units) < MANY_CELLS:
        confidence = min(confidence, 0.85)
    place, doubt = min(confidence, cell_confidence(choice)[0]), doubt_of_strings(choice)
    confidence = min(place, SIDE_BY_SIDE) if doubt else place
    said += [doubt] if doubt else []
    shown = Evidence("Sum of the cells against the pack", "pack, V", "sum of the cells, V", best.volts, total_V)
    where, sure = (best.unit.field,), (confidence, place)
    return [Proposal(Kind.PACK, where, best.scale, 0.0, "V", *sure, tuple(said), best.volts[None], (shown,))]


def doubt_of_strings(choice: Choice) -> str:
    """Why the cells may not all be in series; empty where they are."""
    group, senders = choice.group, choice.senders
    if too_much(group, choice.strings):
        return f"so many cells in series give more than {MOST_V:.0f} V: strings side by side, perhaps"
    if choice.strings > 1:
        return f"the cells of {senders} senders are taken for strings side by side, of which this is one"
    if senders > 1 and len(choice.packs) >= senders:
        return f"{senders} senders tell as many cells each: strings side by side have {senders} times less"
    return ""


def current_proposal(flow: Flow, volts: Array, *, rivals: bool) -> Proposal:
    """The current: which bits, where zero is, and which way it flows."""
    sag = flow.sag
    place, said = current_confidence(flow, rivals=rivals)
    sure = flow.sure_of_amperes()
    if sure < SURE_SCALE:
        remedy = "" if np.isfinite(flow.capacity_Ah) else ": give --capacity-Ah"
        said.append(f"not enough for its scale, which is the likeliest of several ({100.0 * sure:.0f} %){remedy}")
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


def current_confidence(flow: Flow, *, rivals: bool) -> tuple[float, list[str]]:
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
    if flow.ways and flow.contradicted():
        most = CONTRADICTED
        said.append("no usual scale of it gives the capacity: a power, perhaps")
    if rivals:
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
