"""The cache of machine code: whatever compiled code can depend on is in its key, and nothing else."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from packhorse import compiled

BY_HAND = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
DECORATORS = {"compiled", "part", "kernel"}
MODULES = sorted(compiled.every_module())
WITH_CODE = [
    name for name in MODULES if "packhorse.compiled" in compiled.imported(name) and name != "packhorse.app.compiling"
]


def imports(name: str) -> set[str]:
    """What a module imports of ours, by Python's own parser."""
    path = compiled.file_of(name)
    assert path is not None
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            whole = ".".join([*above, *([node.module] if node.module else [])])
            found |= {whole, *(f"{whole}.{alias.name}" for alias in node.names)}
    return {one for one in found if compiled.file_of(one)}


@pytest.mark.parametrize("name", MODULES)
def test_no_import_is_overlooked(name: str) -> None:
    assert imports(name) <= compiled.imported(name)


@pytest.mark.parametrize("name", WITH_CODE)
def test_compiled_code_depends_on_nothing_but_imports(name: str) -> None:
    """An argument of an unknown kind could bring a function or a named tuple that no import tells of."""
    tree = ast.parse(compiled.text_of(name))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    ours = [f for f in functions if any(isinstance(d, ast.Name) and d.id in DECORATORS for d in f.decorator_list)]
    for function in ours:
        for argument in function.args.args:
            assert argument.annotation is not None, f"{function.name} {argument.arg}"
            kinds = {node.id for node in ast.walk(argument.annotation) if isinstance(node, ast.Name)}
            assert not kinds & {"Any", "Callable", "object"}, f"{function.name} {argument.arg}"
    assert "importlib" not in compiled.text_of(name)
    assert "exec(" not in compiled.text_of(name)


def test_the_core_does_not_wait_for_the_bus_and_the_bus_not_for_the_core() -> None:
    core = compiled.sources("packhorse.bms")
    assert {"packhorse.pack.words", "packhorse.estimation.belief", "packhorse.cell.physics", "packhorse"} <= core
    assert not [name for name in core if name.startswith(("packhorse.protocols", "packhorse.io", "packhorse.app"))]
    decoding = compiled.sources("packhorse.protocols.decoding")
    assert {"packhorse.protocols.plan", "packhorse.protocols.frames", "packhorse.pack.words"} <= decoding
    assert not [name for name in decoding if name.startswith("packhorse.protocols.j1939")]


def test_code_of_others_depends_on_everything() -> None:
    assert compiled.source_hash("test_of_somebody") != compiled.source_hash("packhorse.bms")
    assert compiled.source_hash("test_of_somebody") == compiled.source_hash("another")


CALLER = """
from packhorse.compiled import compiled
from packhorse.low import CONSTANT, twice
@compiled
def answer(x: float) -> float:
    return twice(x) + CONSTANT
if __name__ != "__main__":
    print(answer(1.0), sum(answer.stats.cache_hits.values()))
"""
CALLED = """
from packhorse.compiled import part
from packhorse.lower import CONSTANT
@part
def twice(x: float) -> float:
    return 2.0 * x
"""


@pytest.mark.skipif(BY_HAND, reason="the compiler is switched off")
def test_what_others_call_and_name_is_seen_and_what_nobody_does_is_not(tmp_path: Path) -> None:
    """A package of three modules in a chain, and one beside it, edited one after the other."""
    package = tmp_path / "packhorse"
    package.mkdir()
    texts = {"__init__": "", "high": CALLER, "low": CALLED, "lower": "CONSTANT = 10.0\n", "beside": "x = 1\n"}
    texts["compiled"] = Path(compiled.__file__).read_text()
    for name, text in texts.items():
        (package / f"{name}.py").write_text(text)

    def said() -> tuple[float, int]:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PACKHORSE_CACHE": str(tmp_path / "cache")}
        command = [sys.executable, "-B", "-c", "import packhorse.high"]
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)  # noqa: S603
        value, hits = told.stdout.split()
        return float(value), int(hits)

    assert said() == (12.0, 0)
    assert said() == (12.0, 1)
    (package / "beside.py").write_text("x = 2\n")
    assert said() == (12.0, 1)
    (package / "lower.py").write_text("CONSTANT = 20.0\n")
    assert said() == (22.0, 0)
    (package / "low.py").write_text(CALLED.replace("2.0 * x", "3.0 * x"))
    assert said() == (23.0, 0)
    assert said() == (23.0, 1)
