"""`packhorse bench`: measurements of a source checkout, loaded from its folder of benchmarks."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import packhorse
from packhorse.io.errors import ReadError


def bench(name: str, as_json: bool) -> None:
    """Run one benchmark and show its figures. Raises ReadError where there is no source checkout."""
    folder = Path(packhorse.__file__).parents[2] / "benchmarks"
    figures = load(folder / f"{name}.py").measure()
    if as_json:
        print(json.dumps(figures, allow_nan=False))
    else:
        load(folder / "figures.py").show(figures)


def load(path: Path) -> ModuleType:
    """A module from its file."""
    spec = importlib.util.spec_from_file_location(f"benchmarks_{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ReadError(f"{path}: no such benchmark; run this from a source checkout of Packhorse")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
