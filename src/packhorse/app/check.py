"""`packhorse pack check`: whether a description is sound, and what it describes, in a few lines.

Everything heavy is imported where it is used, so that `packhorse --help` stays quick.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packhorse.pack.description import CellFile
    from packhorse.pack.words import Cell, Pack

ROOM_DEGC = 25.0
Facts = dict[str, str]


def check(name: str, as_json: bool) -> None:
    """Say what a pack, cell or truck file describes. Raises ConfigurationError at the first thing that is wrong."""
    found = facts(name)
    if as_json:
        print(json.dumps(found))
        return
    width = max(map(len, found))
    for label, value in found.items():
        print(f"{label:{width}}  {value}")


def facts(name: str) -> Facts:
    """The summary of a file or a catalogue entry, whichever kind it is."""
    from packhorse.app import shelf

    path = Path(name) if name.endswith(".toml") else shelf.find(name)
    describe = {"cell": of_cell, "truck": of_truck, "cycle": of_cycle}.get(kind(path), of_pack)
    return describe(str(path))


def kind(path: Path) -> str:
    """What a file describes, told by the keys that only one kind has; a pack where that cannot be told."""
    try:
        keys = tomllib.loads(path.read_text(encoding="utf-8-sig")).keys()
    except (OSError, ValueError, RecursionError):
        return "pack"
    if "chemistry" in keys:
        return "cell"
    return "truck" if "pack" in keys else "cycle" if "legs" in keys else "pack"


def of_pack(name: str) -> Facts:
    """A pack: what it is made of, what it may do, what is measured."""
    from packhorse.pack.load import load_pack, load_pack_file

    described, cell = load_pack_file(name)
    pack = load_pack(name)
    group = pack.cell
    nominal_V = pack.series * cell.nominal_V
    energy_kWh = pack.strings * nominal_V * group.capacity_Ah / 1000.0
    return {
        "sound": f"yes: {name}",
        "pack": described.name,
        "cell": f"{cell.name}, {cell.chemistry}",
        "layout": f"{strings(pack.strings)} x {pack.series} in series x {described.parallel} in parallel",
        "capacity": f"{group.capacity_Ah:.4g} Ah per string",
        "nominal": f"{nominal_V:.4g} V, {energy_kWh:.4g} kWh",
        "voltage": f"{pack.series * group.min_V:.4g} to {pack.series * group.max_V:.4g} V "
        f"({group.min_V:.4g} to {group.max_V:.4g} V per cell)",
        "current": currents(group, "per string"),
        "temperature": temperatures(cell),
        "probes": f"{pack.probes} per string",
        "thermal": thermal(pack),
        "not fitted": ", ".join(n.replace("_", " ") for n, has in pack.fitted._asdict().items() if not has)
        or "nothing",
        "faults changed": ", ".join(described.faults) or "none",
    }


def of_cell(name: str) -> Facts:
    """A cell: its ratings."""
    from packhorse.pack.compile import compile_cell
    from packhorse.pack.load import load_cell

    cell = load_cell(name)
    energy_Wh = cell.capacity_Ah * cell.nominal_V
    return {
        "sound": f"yes: {name}",
        "cell": f"{cell.name}, {cell.chemistry}",
        "nominal": f"{cell.nominal_V:.4g} V, {cell.capacity_Ah:.4g} Ah, {energy_Wh:.4g} Wh, "
        f"{energy_Wh / cell.mass_kg:.0f} Wh/kg",
        "voltage": f"{cell.min_V:.4g} to {cell.max_V:.4g} V",
        "current": currents(compile_cell(cell), ""),
        "temperature": temperatures(cell),
    }


def of_truck(name: str) -> Facts:
    """A truck: its name and duty, then its pack."""
    from packhorse import twin
    from packhorse.pack.load import find

    truck = twin.load_truck(name)
    pack = of_pack(str(find("packs", truck.pack, Path(name))))
    return {"sound": f"yes: {name}", "truck": truck.name, "cycle": truck.cycle} | {
        label: value for label, value in pack.items() if label != "sound"
    }


def of_cycle(name: str) -> Facts:
    """A duty: how long, how far, how fast."""
    from packhorse import twin

    cycle = twin.duty(name)
    hours, plugged_h = cycle.time_s[-1] / 3600.0, cycle.plugged.sum() / 3600.0
    return {
        "sound": f"yes: {name}",
        "cycle": cycle.name,
        "length": f"{hours:.2f} h, {plugged_h:.2f} h of it plugged in",
        "distance": f"{cycle.speed_m_per_s.sum() / 1000.0:.1f} km",
        "speed": f"up to {3.6 * cycle.speed_m_per_s.max():.0f} km/h",
        "grade": f"{100.0 * cycle.grade.min():.1f} to {100.0 * cycle.grade.max():.1f} %",
    }


def strings(count: int) -> str:
    """How many strings, in words."""
    return "1 string" if count == 1 else f"{count} strings"


def currents(cell: Cell, each: str) -> str:
    """Steady and ten-second ratings at room temperature."""
    from packhorse.pack.words import DEGC_FIRST, DEGC_STEP

    out, into, out_10s, into_10s = cell.degC_nodes[round((ROOM_DEGC - DEGC_FIRST) / DEGC_STEP), 3:7]
    return (
        f"{out:.4g} A out, {into:.4g} A in; for 10 s {out_10s:.4g} A out, {into_10s:.4g} A in "
        f"({f'{each}, ' if each else ''}{ROOM_DEGC:g} degC)"
    )


def temperatures(cell: CellFile) -> str:
    """Where the cell may be charged and discharged."""
    return (
        f"discharge {cell.min_discharge_degC:g} to {cell.max_discharge_degC:g} degC, "
        f"charge {cell.min_charge_degC:g} to {cell.max_charge_degC:g} degC"
    )


def thermal(pack: Pack) -> str:
    """How heat is taken away and brought, and when."""
    rules = pack.thermal
    return (
        f"{'liquid' if rules.liquid else 'air'}; cools from {rules.cool_on_degC:g} to {rules.cool_off_degC:g} degC, "
        f"heats from {rules.heat_on_degC:g} to {rules.heat_off_degC:g} degC"
    )
