"""The committed page of pack, cell and truck files names every key, with its range and its default."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from pydantic import BaseModel

from packhorse.pack.description import CellFile, PackFile
from packhorse.pack.load import load_cell, load_pack
from packhorse.twin import TruckFile

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "pack-files.md").read_text(encoding="utf-8")


def keys(model: type[BaseModel]) -> set[str]:
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    return {key for part in parts for key in part["properties"]}


@pytest.mark.parametrize("model", [PackFile, CellFile, TruckFile])
def test_every_key_is_on_the_page(model: type[BaseModel]) -> None:
    missing = sorted(key for key in keys(model) if f"| `{key}` |" not in PAGE and f"`[{key}" not in PAGE)
    assert not missing


def test_page_is_what_the_script_prints() -> None:
    printed = runpy.run_path(str(ROOT / "scripts" / "reference_page"))["tables"]()
    assert printed in PAGE, "docs/pack-files.md is out of date; run: .venv/bin/python scripts/reference_page --write"


def test_worked_examples_are_sound(tmp_path: Path) -> None:
    blocks = [part.split("```", 1)[0] for part in PAGE.split("```toml\n")[1:]]
    cell, pack = tmp_path / "cell_50.toml", tmp_path / "mine.toml"
    cell.write_text(next(block for block in blocks if "chemistry" in block), encoding="utf-8")
    pack.write_text(next(block for block in blocks if block.startswith("name") and "strings" in block), "utf-8")
    assert load_cell(str(cell)).capacity_Ah == 50.0
    assert load_pack(str(pack)).strings == 2
