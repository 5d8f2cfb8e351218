"""The catalogue that ships: every entry loads, and no change to one does anything but load or be refused."""

from __future__ import annotations

import copy
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from packhorse import bms
from packhorse.pack.load import CATALOGUE, ConfigurationError, load_cell, load_pack, load_pack_file, names
from packhorse.pack.words import Output, Pack
from packs import calm, toml

ENERGY_KWH = {"heavy": (580, 620), "medium": (250, 300), "light": (80, 120)}
RAW = {
    (kind, name): tomllib.loads((CATALOGUE / kind / f"{name}.toml").read_text(encoding="utf-8"))
    for kind in ("cells", "packs")
    for name in names(kind)
}


@pytest.mark.parametrize("name", names("cells"))
def test_every_cell_of_the_catalogue_loads_and_says_where_its_figures_come_from(name: str) -> None:
    cell = load_cell(name)
    assert all(len(source) > 10 for source in cell.sources)
    assert any(source.startswith("assumed") for source in cell.sources)


def test_every_pack_of_the_catalogue_is_checked_for_its_size() -> None:
    assert set(names("packs")) == set(ENERGY_KWH)


@pytest.mark.parametrize("name", names("packs"))
def test_every_pack_of_the_catalogue_has_the_energy_of_its_class(name: str) -> None:
    pack, cell = load_pack_file(name)
    low, high = ENERGY_KWH[name]
    energy_kWh = pack.strings * pack.series * pack.parallel * cell.nominal_V * cell.capacity_Ah / 1000
    assert low <= energy_kWh <= high
    assert f"{energy_kWh:.0f} kWh" in pack.name


@pytest.mark.parametrize("name", names("packs"))
def test_a_full_pack_of_the_catalogue_believes_about_its_nominal_energy(name: str) -> None:
    pack = load_pack(name)
    full = calm(pack, cell_V=np.full((pack.strings, pack.series), pack.cell.nodes[13, -1, 0]))
    output = bms.step(pack, bms.start(pack), full)[1]
    low, high = ENERGY_KWH[name]
    assert output.estimate.soc > 0.99
    assert low <= output.estimate.energy_kWh <= high


def numbers(value: Any) -> list[float]:
    """Every number of nested words."""
    if isinstance(value, tuple):
        return [x for part in value for x in numbers(part)]
    return [float(x) for x in np.ravel(value)]


def two_calm_steps(pack: Pack) -> list[Output]:
    middle_V = 0.5 * (pack.cell.min_V + pack.cell.max_V)
    cell_V = np.full((pack.strings, pack.series), middle_V)
    state, outputs = bms.start(pack), []
    for k in range(2):
        frame = calm(pack, float(k), drive_request=1.0, cell_V=cell_V, string_V=cell_V.sum(axis=1))
        state, output = bms.step(pack, state, frame)
        assert np.isfinite(numbers(state.belief)).all()
        outputs.append(output)
    return outputs


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a description."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    return [deeper for key, child in inner for deeper in [(*path, key), *places(child, (*path, key))]]


key = st.text(max_size=8) | st.sampled_from(["series", "cell_V", "soc", "faults", "probe_of_cell", "parallel"])
number = st.floats() | st.integers(-(2**70), 2**70) | st.sampled_from([0, 1, -1, 2, 1e-300, 0.5, 3.5, 1e300])
plain = number | st.booleans() | st.text(max_size=10)
junk = plain | st.lists(plain, max_size=3) | st.dictionaries(key, plain, max_size=2)
near = st.floats(0.9, 1.1) | st.floats(0.2, 5.0)


@st.composite
def changed(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """An entry of the catalogue with one to three things deleted, replaced, scaled or added."""
    raw = copy.deepcopy(RAW[kind, draw(st.sampled_from(names(kind)))])
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(raw)))
        table: Any = raw
        for part in path[:-1]:
            table = table[part]
        deed = draw(st.sampled_from(["delete", "replace", "scale", "scale", "add"]))
        if deed == "delete":
            del table[path[-1]]
        elif deed == "add" and isinstance(table, dict):
            table[draw(key)] = draw(junk)
        elif deed == "scale" and type(table[path[-1]]) in {int, float}:
            scaled = table[path[-1]] * draw(near)
            table[path[-1]] = round(scaled) if type(table[path[-1]]) is int else scaled
        else:
            table[path[-1]] = draw(junk)
    return raw


def load_or_refuse(cell: dict[str, Any] | str, pack: dict[str, Any]) -> Pack | None:
    """The pack, or nothing where it was refused as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        if not isinstance(cell, str):
            (Path(folder) / "cell.toml").write_text(toml(cell), encoding="utf-8")
        (Path(folder) / "pack.toml").write_text(toml(pack), encoding="utf-8")
        try:
            return load_pack(str(Path(folder) / "pack.toml"))
        except ConfigurationError as error:
            message = str(error)
            assert message.isprintable()
            assert message.startswith(folder)
            assert len(message) <= 600
            return None


def sane(pack: Pack) -> None:
    for output in two_calm_steps(pack):
        assert np.isfinite(numbers((output.estimate, output.limits, output.command))).all()


def stiff() -> dict[str, Any]:
    """A cell that, full and warm, gives nothing for its resistance."""
    raw = copy.deepcopy(RAW["cells", "nca_50"])
    raw["resistance"]["r2_ohm"][4][-1] = 1
    return raw


@given(changed("cells"))
@example(stiff())
@settings(max_examples=250, deadline=None)
def test_a_changed_cell_is_refused_in_one_line_or_works(raw: dict[str, Any]) -> None:
    pack = load_or_refuse(raw, {"name": "changed", "cell": "cell.toml", "strings": 2, "series": 3, "probes": 2})
    if pack is not None:
        sane(pack)


@given(changed("packs"))
@settings(max_examples=250, deadline=None)
def test_a_changed_pack_is_refused_in_one_line_or_works(raw: dict[str, Any]) -> None:
    pack = load_or_refuse("from the catalogue", raw)
    if pack is not None:
        sane(pack)
