"""How well a bus without DBC is understood: `packhorse bench discovery`, on simulated buses whose layout is known.

A proposal is right if every one of its fields says what the truth says, within the coarser of the two scales. Half of
the buses come with the capacity of their pack, half without. Constants were chosen on the seeds below 2000; what is
shown and written is measured on others.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import synthetic_buses as buses
from figures import figure, main
from packhorse.io.can_logs.write import writer
from packhorse.lab.discover import Field, Found, Proposal, Sample, discover, fields
from packhorse.lab.discover.clock import likeness
from packhorse.lab.discover.fields import Layout
from synthetic_writer import Bus, Place

FIRST_SEED, SEEDS, CHARGED, PARKED, OTHERS, SECONDS = 2000, 60, 20, 12, 12, 900.0
LONG_SEED, LONG_S = 2021, 3600.0
PAGE = Path(__file__).parents[1] / "docs" / "discovery.md"
AGREE, SAME_PLACE, KINDS = 0.95, 0.998, ("cell", "pack", "current", "soc", "probe")
BINS = ((0.9, 1.01), (0.7, 0.9), (0.5, 0.7), (0.0, 0.5))
"""Confidence from and below which proposals are counted together."""


class Claim(NamedTuple):
    """A proposal and how many of its fields are right."""

    kind: str
    confidence: float
    place_confidence: float
    fields: int
    right: int
    places: int  # fields that hold what is proposed, whatever their scale and offset


class Score(NamedTuple):
    """Truths and proposals of one bus."""

    true: Counter[str]
    claims: tuple[Claim, ...]
    frames: int
    taken_s: float
    known: bool  # whether the capacity was given


def readings(found: Found, field: Field, place: Layout, line: tuple[float, float], signed: bool) -> np.ndarray:
    """What a place of a message says in the frames of a field's turn."""
    stream = found.streams[field.stream]
    raw = fields.extract(stream, [place])[0]
    raw = fields.signed(raw, place.bits) if signed else raw
    if field.turn >= 0:
        byte = stream.data[:, field.selector.start // 8] >> field.selector.start % 8
        raw = raw[(byte & ((1 << field.selector.bits) - 1)) == field.turn]
    return raw * line[0] + line[1]


def is_right(found: Found, one: Proposal, field: Field, truth: Place) -> bool:
    """Whether a field says what the truth says."""
    said = readings(found, field, Layout(*field[1:4]), (one.scale, one.offset), field.signed)
    line = (truth.scale, truth.offset)
    place = Layout(truth.start, truth.bits, truth.motorola)
    signed = truth.kind == "current" and truth.offset == 0.0  # the others are never negative
    apart = np.abs(said - readings(found, field, place, line, signed))
    return bool(np.mean(apart <= 1.01 * max(abs(one.scale), abs(truth.scale))) > AGREE)


def is_there(found: Found, field: Field, truth: Place) -> bool:
    """Whether a field holds what the truth says, at any scale and offset."""
    own = readings(found, field, Layout(*field[1:4]), (1.0, 0.0), field.signed)
    place = Layout(truth.start, truth.bits, truth.motorola)
    true = [readings(found, field, place, (1.0, 0.0), signed) for signed in (False, True)]
    return any(np.array_equal(own, one) or likeness(own, one) > SAME_PLACE for one in true)


def score(bus: Bus, capacity_Ah: float = float("nan")) -> Score:
    """Discover one bus and compare."""
    begin = time.perf_counter()
    sample = Sample()
    sample.take(bus.heard)
    found = discover(sample.streams(), capacity_Ah)
    taken_s = time.perf_counter() - begin
    claims = [claim(found, one, (*bus.truth, *bus.also)) for one in found.proposals]
    return Score(
        Counter(place.kind for place in bus.truth),
        tuple(claims),
        bus.heard.time_s.size,
        taken_s,
        bool(np.isfinite(capacity_Ah)),
    )


def claim(found: Found, one: Proposal, places: Sequence[Place]) -> Claim:
    """How much of a proposal is right."""
    kind, right, placed = one.kind.name.lower(), 0, 0
    for field in one.fields:
        here = found.streams[field.stream].id
        near = [t for t in places if (t.kind, t.id, t.turn) == (kind, here, field.turn)]
        right += any(is_right(found, one, field, truth) for truth in near)
        placed += any(is_there(found, field, truth) for truth in near)
    return Claim(kind, float(one.confidence), float(one.place_confidence), len(one.fields), right, placed)


def scores(seeds: Iterable[int], seconds: float = SECONDS) -> list[Score]:
    """Buses of drives; every second one with its capacity."""
    made = ((seed, buses.bus(seed, seconds)) for seed in seeds)
    return [score(bus, bus.drive.capacity_Ah if seed % 2 else float("nan")) for seed, bus in made]


def measure() -> dict[str, Any]:
    """Recall, precision and honesty over many buses."""
    driven = scores(range(FIRST_SEED, FIRST_SEED + SEEDS))
    charged = [score(buses.bus(seed, 300.0, "charger")) for seed in range(FIRST_SEED, FIRST_SEED + CHARGED)]
    still = [score(buses.bus(seed, 300.0, "rest")) for seed in range(FIRST_SEED, FIRST_SEED + PARKED)]
    others = [score(buses.without_battery(seed)) for seed in range(FIRST_SEED, FIRST_SEED + OTHERS)]
    every = [*driven, *charged]
    return by_kind(driven) | scales(driven) | honesty(every) | quiet(still, others) | cost(driven) | long_log()


def by_kind(driven: Sequence[Score]) -> dict[str, Any]:
    """What is found, and how much of what is proposed is right."""
    figures: dict[str, Any] = {}
    for kind in KINDS:
        true = sum(one.true[kind] for one in driven)
        claims = [claim for one in driven for claim in one.claims if claim.kind == kind]
        found, proposed = sum(claim.right for claim in claims), sum(claim.fields for claim in claims)
        places = sum(claim.places for claim in claims)
        share = f"{found} of {true} fields on {len(driven)} buses"
        bar = 0.9 if kind in ("cell", "pack") else None
        figures[f"{kind}_recall"] = figure(
            f"{kind}: share found", min(found / true, 1.0), "", bar, share, at_least=True
        )
        figures[f"{kind}_places"] = figure(
            f"{kind}: share whose place at least is found", min(places / true, 1.0), "", None, f"{places} of {true}"
        )
        note = f"{proposed - found} of {proposed} fields are wrong"
        right = found / proposed if proposed else 0.0
        figures[f"{kind}_precision"] = figure(f"{kind}: share of the proposed that is right", right, "", None, note)
    return figures


def scales(driven: Sequence[Score]) -> dict[str, Any]:
    """How often the scale is right where the place is, with and without the capacity."""
    figures: dict[str, Any] = {}
    for kind in ("pack", "current", "soc"):
        for known, said in ((True, "the capacity is given"), (False, "it is not")):
            some = [c for one in driven for c in one.claims if c.kind == kind and c.places and one.known == known]
            right = sum(claim.right for claim in some)
            what = f"{kind}: share of right scales and offsets where the place is right and {said}"
            note = f"{right} of {len(some)}"
            figures[f"{kind}_scale_{known}"] = figure(what, right / len(some) if some else None, "", None, note)
    return figures


def honesty(every: Sequence[Score]) -> dict[str, Any]:
    """How often proposals of like confidence are right: as a whole, and at least in their place."""
    figures: dict[str, Any] = {}
    for name, said in (("confidence", "all of it right"), ("place_confidence", "its place right")):
        for low, high in BINS:
            some = [c for one in every for c in one.claims if low <= getattr(c, name) < high]
            right = sum((c.right if name == "confidence" else c.places) == c.fields for c in some)
            mean = float(np.mean([getattr(c, name) for c in some])) if some else 0.0
            note = f"{right} of {len(some)} proposals; mean confidence {mean:.2f}"
            what = f"{said} where that confidence is {low:g} to {min(high, 1.0):g}"
            share = right / len(some) if some else None
            bar = low if low > 0.0 else None
            figures[f"{name}_from_{low:g}"] = figure(what, share, "", bar, note, at_least=True)
    return figures


def quiet(still: Sequence[Score], others: Sequence[Score]) -> dict[str, Any]:
    """What is claimed of parked batteries and of buses without one."""
    wrong = [c for one in still for c in one.claims if c.confidence > 0.5 and c.right < c.fields]
    note = f"{len(still)} buses, 5 minutes at rest"
    parked = figure("parked: wrong with a confidence above 0.5", float(len(wrong)), "", 0.0, note)
    claimed = [c for one in others for c in one.claims if c.confidence > 0.5]
    note = f"{len(others)} buses of a drive whose battery tells nothing"
    return {
        "parked": parked,
        "no_battery": figure("no battery: proposed with a confidence above 0.5", float(len(claimed)), "", 0.0, note),
    }


def cost(driven: Sequence[Score]) -> dict[str, Any]:
    """Time of the discovery itself."""
    taken, count = np.array([one.taken_s for one in driven]), np.array([one.frames for one in driven])
    note = f"median; {np.median(count) / 1000.0:.0f} thousand frames in {SECONDS / 60.0:g} minutes, in memory"
    return {"seconds": figure("time for a bus", float(np.median(taken)), "s", 60.0, note)}


def long_log() -> dict[str, Any]:
    """The command itself on an hour of a busy bus, read twice: time, and memory of its process."""
    bus = buses.bus(LONG_SEED, LONG_S)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "bus.blf"
        with writer(log) as target:
            target.take(bus.heard)
        code = "from packhorse.app.main import main; main()"
        line = [sys.executable, "-c", code, "signals", str(log), "--discover", "--json"]
        line += ["--report", str(Path(folder) / "bus.html")]
        begin = time.perf_counter()
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        taken_s = time.perf_counter() - begin
    most_MB = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024.0
    note = f"`packhorse signals LOG.blf --discover`, {bus.heard.time_s.size / 1e6:.2f} million frames of an hour"
    return {
        "long_seconds": figure("a long log: time", taken_s, "s", 60.0, note),
        "long_memory": figure("a long log: peak memory of the process", most_MB, "MB", 2000.0, note),
    }


if __name__ == "__main__":
    main("discovery", "Figures", measure, to=PAGE)
