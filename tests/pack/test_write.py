"""A cell written as TOML is read back as the same cell, to the digits that were written."""

import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from packhorse.pack.catalogue import names
from packhorse.pack.description import CellFile, Described
from packhorse.pack.load import load_cell, read
from packhorse.pack.write import cell_toml, described_toml

CELLS = names("cells")


def same(one: object, other: object, digits: int = 6) -> None:
    """Equal, floats to so many significant digits."""
    assert type(one) is type(other)
    if isinstance(one, BaseModel):
        for name in type(one).model_fields:
            same(getattr(one, name), getattr(other, name), digits)
    elif isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b, digits)
    elif isinstance(one, float):
        assert other == pytest.approx(one, rel=0.51 * 10.0 ** (1 - digits), abs=0.0)
    else:
        assert one == other


def again(cell: CellFile, **said: object) -> CellFile:
    return CellFile.model_validate(tomllib.loads(cell_toml(cell, **said)))


@pytest.mark.parametrize("name", CELLS)
def test_cells_of_the_catalogue_come_back_with_the_same_bits(name: str, tmp_path) -> None:
    cell = load_cell(name)
    path = tmp_path / "cell.toml"
    path.write_text(cell_toml(cell, heading="A cell. " * 40, notes={"ocv": "Measured.", "capacity_Ah": "C/20"}))
    assert read(path, CellFile) == cell
    lines = path.read_text().splitlines()
    assert max(len(line) for line in lines if "," not in line) <= 120
    assert all(line.startswith("# ") for line in lines[:3])
    assert f"capacity_Ah = {cell.capacity_Ah}  # C/20" in lines
    assert lines[lines.index("[ocv]") + 1] == "# Measured."
    assert lines[lines.index("[resistance]") + 1].startswith("# R0 and two RC pairs")


@pytest.mark.parametrize("name", CELLS)
def test_rows_of_a_table_stand_below_each_other_and_say_their_temperature(name: str) -> None:
    cell = load_cell(name)
    lines = cell_toml(cell).splitlines()
    first = lines.index("r0_ohm = [") + 1
    rows = lines[first : first + len(cell.resistance.degC)]
    starts = [[k for k, c in enumerate(row) if c in "-.0123456789#" and row[k - 1] in " ["] for row in rows]
    assert all(places[: len(cell.resistance.soc) + 1] == starts[0][: len(cell.resistance.soc) + 1] for places in starts)
    assert [float(row.split("# ")[1].removesuffix(" degC")) for row in rows] == cell.resistance.degC


@given(seed=st.integers(0, 2**32 - 1), points=st.integers(3, 40), step_V=st.sampled_from([1e-7, 1e-5, 1e-3, 2e-2]))
def test_any_cell_comes_back_to_six_digits_and_still_passes_its_checks(seed: int, points: int, step_V: float) -> None:
    random = np.random.default_rng(seed)
    cell = load_cell("lfp_280")
    soc = np.sort(random.random(points))
    soc = np.concatenate(([0.0], np.cumsum(0.01 + soc) / (np.cumsum(0.01 + soc)[-1] + 0.3), [1.0]))
    volts = 3.0 + np.cumsum(step_V * (0.1 + random.random(soc.size))) % 0.6
    volts = np.sort(volts) + np.arange(soc.size) * 1e-9
    ocv = {
        "soc": soc.tolist(),
        "ocv_V": volts.tolist(),
        "hysteresis_V": (0.2 * random.random(soc.size)).tolist(),
        "hysteresis_rate": 500.0 * random.random(),
    }
    factor = float(random.uniform(0.3, 3.0))
    resistance = cell.resistance.model_dump()
    for name in ("r0_ohm", "r1_ohm", "r2_ohm"):
        resistance[name] = [[factor * value for value in row] for row in resistance[name]]
    whole = cell.model_dump() | {"ocv": ocv, "resistance": resistance, "capacity_Ah": float(random.uniform(100, 300))}
    made = CellFile.model_validate(whole)
    same(made, again(made))


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    sources=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1),
)
def test_any_text_survives(text: str, sources: list[str]) -> None:
    cell = load_cell("nmc_60").model_copy(update={"name": text, "sources": sources})
    assert again(cell) == cell


def test_a_value_on_the_edge_of_its_range_is_not_rounded_over_it() -> None:
    cell = load_cell("nmc_60").model_copy(update={"coulombic_efficiency": 0.9000000001})
    assert again(cell) == cell


def test_what_a_description_grows_is_written_without_a_change_here() -> None:
    class Error(Described):
        """Error of the model, in V."""

        degC: list[float]
        sigma_V: list[list[float]]
        counted: bool = True
        runs: int = 3
        absent: float | None = None

    class Grown(Described):
        name: str
        error: Error

    grown = Grown(name="x", error=Error(degC=[-20.0, 25.0], sigma_V=[[0.01, 0.002], [1e-7, 0.25]]))
    text = described_toml(grown)
    assert Grown.model_validate(tomllib.loads(text)) == grown
    assert "absent" not in text
    assert "# Error of the model, in V." in text


def test_what_toml_cannot_hold_is_refused() -> None:
    class Odd(Described):
        table: dict[str, float]

    with pytest.raises(TypeError, match="table is dict"):
        described_toml(Odd(table={"a": 1.0}))
