"""Kernels count no references: one that gave an array back would free it too early, one that called for it leak it."""

from __future__ import annotations

import platform
import re
import sys
import typing
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numba import njit, typeof, types
from numba.core.dispatcher import Dispatcher

from packhorse import bms, twin
from packhorse.estimation import belief
from packs import small_pack

ROOMS = (bms, twin)
"""Whose import brings all of the core."""


def dispatchers() -> dict[str, Dispatcher]:
    """Every compiled function of the core by its full name."""
    modules = [module for name, module in sorted(sys.modules.items()) if name.startswith("packhorse.")]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Dispatcher)]
    return {f"{one.py_func.__module__}.{one.py_func.__name__}": one for one in found}


KERNELS = {name: one for name, one in dispatchers().items() if one.targetoptions.get("_nrt") is False}


def holds_array(hint: Any) -> bool:
    """Whether a value of this type has an array in it."""
    if typing.get_origin(hint) is np.ndarray:
        return True
    parts = typing.get_type_hints(hint).values() if hasattr(hint, "_fields") else typing.get_args(hint)
    return any(holds_array(part) for part in parts)


def gives_array(one: Dispatcher) -> bool:
    return holds_array(typing.get_type_hints(one.py_func)["return"])


def called(one: Dispatcher) -> list[Dispatcher]:
    """The compiled functions whose names occur in a function."""
    seen = one.py_func.__globals__
    scopes = [seen, *(vars(value) for value in seen.values() if isinstance(value, ModuleType))]
    values = [scope[name] for name in one.py_func.__code__.co_names for scope in scopes if name in scope]
    return [value for value in values if isinstance(value, Dispatcher)]


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_a_kernel_neither_gives_back_nor_calls_for_an_array(name: str) -> None:
    kernel = KERNELS[name]
    assert not gives_array(kernel)
    assert [one.py_func.__name__ for one in called(kernel) if gives_array(one)] == []


@pytest.mark.skipif(not dispatchers(), reason="the compiler is switched off")
def test_kernels_are_found_and_arrays_are_seen() -> None:
    every = dispatchers()
    assert {"packhorse.cell.table.mix_nodes", "packhorse.control.limits.headroom"} <= set(KERNELS)
    assert gives_array(every["packhorse.control.limits.limits"])
    assert gives_array(every["packhorse.estimation.outlook.cells_of"])
    assert not gives_array(every["packhorse.estimation.health.observe"])
    assert every["packhorse.cell.physics.decay"] in called(every["packhorse.estimation.power.watch_pairs"])


ROWS, TABLE = types.UniTuple(typeof(np.zeros(1)), 11), typeof(np.zeros((1, 1)))
SPREAD, ROW = types.UniTuple(TABLE, 2), typeof(np.zeros(1))
PACK = small_pack(1, 4)
MOVED = types.Tuple((ROWS, SPREAD, ROWS, SPREAD))
LOOPS = {
    "count": (TABLE, TABLE, MOVED, ROW, typeof(PACK.cell), typeof(PACK.sensors), types.UniTuple(types.float64, 5)),
    "correct": (TABLE, TABLE, ROWS, SPREAD, ROW, typeof(PACK.cell), typeof(PACK.sensors), types.float64),
}


@pytest.mark.skipif(not dispatchers(), reason="the compiler is switched off")
@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="the instructions are those of x86")
@pytest.mark.parametrize("name", LOOPS)
def test_the_loops_over_cells_are_vectorised(name: str) -> None:
    """Half as fast without; LLVM gives up in silence, for one where too many rows of one array may overlap."""
    cached: Any = getattr(belief, name)
    fresh = njit(
        error_model="numpy",
        no_cfunc_wrapper=True,
        no_cpython_wrapper=True,
        _nrt=False,
        pipeline_class=cached._compiler.pipeline_class,
    )(cached.py_func)
    fresh.compile(LOOPS[name])
    (assembly,) = fresh.inspect_asm().values()
    packed, single = (len(re.findall(rf"\bv?(?:mul|div|fmadd\d+){kind}\b", assembly)) for kind in ("pd", "sd"))
    assert packed > 0.5 * single
