"""The worked example of the mapping page is sound and uses every section."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packhorse.io.bus_table import Bus, BusMapping, wanted
from packhorse.io.mapping import ALSO, OWN, Mapping

PAGE = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text(encoding="utf-8")


def test_worked_example_is_sound_and_whole() -> None:
    example = tomllib.loads(PAGE.split("```toml\n")[1].split("```")[0])
    mapping = Mapping.model_validate(example)
    assert set(example) == set(Mapping.model_fields)
    assert len(mapping.cell_voltage.names) == 200
    assert mapping.cell_voltage.names[99:101] == ["Cell_1_100", "Cell_2_001"]


def test_example_of_a_bus_is_sound_and_names_every_key() -> None:
    example = tomllib.loads(PAGE.split("## Logs of a bus")[1].split("```toml\n")[1].split("```")[0])
    mapping = BusMapping.model_validate(example)
    assert set(example["bus"]) == set(Bus.model_fields)
    assert wanted(mapping.current.names)[0].signal == "HVESSD1.SPN5920"


def test_every_section_and_every_own_name_is_on_the_page() -> None:
    for section in Mapping.model_fields:
        assert f"`[{section}]`" in PAGE, section
    for name in [field for field, _unit in OWN.values()] + [other for others in ALSO.values() for other in others]:
        assert f"`{name}" in PAGE, name
