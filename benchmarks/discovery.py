"""How well a bus without DBC is understood: `packhorse bench discovery`, on simulated busses whose layout is known.

A proposal is right if its fields say what the truth says, within the coarser of the two scales. The capacity of the
pack is given, as one would; without it the scale of the current is only what is usual.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import busses
from figures import figure, show
from packhorse.lab.discover import Field, Found, Proposal, Sample, discover, fields
from packhorse.lab.discover.fields import Layout

SEEDS, SECONDS = 20, 900.0
SURE = 0.8
AGREE, KINDS = 0.95, ("cell", "pack", "current", "soc", "probe")


class Score(NamedTuple):
    """Truths and proposals of one bus, field by field."""

    true: Counter[str]
    found: Counter[str]
    proposed: Counter[str]
    surely_wrong: tuple[str, ...]


def readings(found: Found, field: Field, place: Layout, line: tuple[float, float], signed: bool) -> np.ndarray:
    """What a place of a message says in the frames of a field's turn."""
    stream = found.streams[field.stream]
    raw = fields.extract(stream, [place])[0]
    raw = fields.signed(raw, place.bits) if signed else raw
    if field.turn >= 0:
        byte = stream.data[:, field.selector.start // 8] >> field.selector.start % 8
        raw = raw[(byte & ((1 << field.selector.bits) - 1)) == field.turn]
    return raw * line[0] + line[1]


def is_right(found: Found, one: Proposal, field: Field, truth: busses.Place) -> bool:
    """Whether a field says what the truth says."""
    said = readings(found, field, Layout(*field[1:4]), (one.scale, one.offset), field.signed)
    line = (truth.scale, truth.offset)
    place = Layout(truth.start, truth.bits, truth.motorola)
    apart = min((np.abs(said - readings(found, field, place, line, signed)) for signed in (False, True)), key=np.median)
    return bool(np.mean(apart <= 1.01 * max(abs(one.scale), abs(truth.scale))) > AGREE)


def score(bus: busses.Bus, capacity_Ah: float) -> Score:
    """Discover one bus and compare."""
    sample = Sample()
    sample.take(bus.heard)
    found = discover(sample.streams(), capacity_Ah)
    true = Counter(place.kind for place in bus.truth)
    right, proposed, wrong = Counter[str](), Counter[str](), []
    for one in found.proposals:
        kind = one.kind.name.lower()
        for field in one.fields:
            here = found.streams[field.stream].id
            near = [t for t in bus.truth if (t.kind, t.id, t.turn) == (kind, here, field.turn)]
            good = any(is_right(found, one, field, truth) for truth in near)
            right[kind] += good
            proposed[kind] += 1
            if not good and one.confidence > SURE:
                wrong.append(kind)
    return Score(true, right, proposed, tuple(wrong))


def measure(seeds: int = SEEDS, seconds: float = SECONDS) -> dict[str, Any]:
    """Precision and recall over many busses, by kind."""
    begin = time.process_time()
    scores = [score(bus, bus.drive.capacity_Ah) for bus in (busses.bus(seed, seconds) for seed in range(seeds))]
    taken_s = time.process_time() - begin
    figures: dict[str, Any] = {}
    for kind in KINDS:
        true, found, proposed = (sum(getattr(s, name)[kind] for s in scores) for name in ("true", "found", "proposed"))
        note = f"{found} of {true} found, {proposed - found} of {proposed} proposed are wrong, {seeds} busses"
        bar = 0.9 if kind in ("cell", "pack", "current") else None
        figures[f"{kind}_recall"] = figure(f"{kind}: share found", found / true, "", bar, note, at_least=True)
        share = found / proposed if proposed else 0.0
        figures[f"{kind}_precision"] = figure(f"{kind}: share of proposals that are right", share, "", None, "")
    wrong = sum(len(s.surely_wrong) for s in scores)
    note = f"{taken_s / seeds:.1f} s for a bus, simulation included"
    figures["surely_wrong"] = figure(f"wrong with a confidence above {SURE:g}", float(wrong), "", 0.0, note)
    return figures


def main() -> None:
    """Measure, and show, print or write into docs/performance.md."""
    figures = measure()
    if "--json" in sys.argv:
        print(json.dumps(figures))
    elif "--write" in sys.argv:
        put("Discovery", "packhorse bench discovery", rows_of(figures))
    else:
        show(figures)


if __name__ == "__main__":
    main()

__all__ = ["measure", "score", "show"]
