"""Machine code is made for the first time on this machine: by two processes, and said so, because it takes a while."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

REPLAY, STEP, TWIN = ("packhorse.bms", "replay"), ("packhorse.bms", "step"), ("packhorse.twin.truck", "step")
"""Module and name of the functions that are compiled last."""
REPLAY_S, RUN_S = 25, 30
"""About how long it takes two processes to compile the core alone, and together with the twin."""


@contextmanager
def notice(needed: tuple[tuple[str, str], ...], seconds: int, quiet: bool = False) -> Iterator[None]:
    """Say on stderr that the first call inside compiles; nothing where every `needed` code is in the cache already."""
    if quiet or ready(needed):
        yield
        return
    message = f"compiling the core for this machine, once, about {seconds} s ..."
    began_s = time.monotonic()
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415

        with Console(stderr=True).status(message):
            yield
    else:
        print(message, file=sys.stderr, flush=True)
        yield
    print(f"compiled in {time.monotonic() - began_s:.0f} s; from now on it is ready at once", file=sys.stderr)


@contextmanager
def shared(twin: bool = False) -> Iterator[None]:
    """Let another process compile half of the core, and the twin if asked, while the block compiles the core.

    They meet in the cache on disk: what the other process has put there is not compiled again.
    """
    if ready((STEP, TWIN) if twin else (STEP,)):
        yield
        return
    command = [sys.executable, "-m", "packhorse.app.compiling", "twin" if twin else "core"]
    other = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 - ourselves
    try:
        yield
        if twin:
            other.wait()
    finally:
        other.kill()
        other.wait()


def compile_half() -> None:
    """What comes late in `bms.step`, for the smallest pack: the machine code is the same for all."""
    from packhorse import bms, control, estimation  # noqa: PLC0415
    from packhorse.control.contactors import Plan  # noqa: PLC0415
    from packhorse.pack.load import load_pack  # noqa: PLC0415
    from packhorse.protection import Verdict  # noqa: PLC0415

    pack = load_pack("light")
    state, frame = bms.start(pack), bms.silence(pack)
    each, signal = frame.string_A, state.watch.active
    plan, verdict, was = Plan(each, each, each, each), Verdict(each, each, each), state.control
    estimate = ahead(estimation.summary, pack, state.belief, state.health, frame, was.contactor)
    limits = ahead(control.limits, pack, frame, estimate, signal, verdict, was, plan, 0.1)
    ahead(control.charge, pack, was, plan, frame, estimate, signal, limits)
    ahead(bms.changes, pack, state.watch, state.watch, frame, signal, signal)
    ahead(control.bleed, pack, was, state.belief, frame, verdict)


def ahead(function: Any, *arguments: Any) -> Any:
    """Compile a part for such arguments, values or types; gives back the type of its result."""
    from numba import types  # noqa: PLC0415

    kinds = tuple(one if isinstance(one, types.Type) else function.typeof_pyval(one) for one in arguments)
    function.compile(kinds)
    return function.overloads[kinds].signature.return_type


def compile_twin() -> None:
    """One tick of the smallest truck: the machine code is the same for all."""
    from packhorse import twin  # noqa: PLC0415
    from packhorse.pack.load import load_pack_file  # noqa: PLC0415

    described = twin.load_truck("light")
    truck = twin.compile_truck(described, *load_pack_file(described.pack))
    twin.step(truck, twin.start(truck, 0.5, 20.0), *twin.idle(truck), twin.Demand(0.0, 0.0, 0.0, 20.0, 0.0), 0.1)


def ready(needed: tuple[tuple[str, str], ...]) -> bool:
    """Whether nothing has to be compiled: all is in the cache, or the compiler is switched off."""
    by_hand = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
    return by_hand or all(is_kept(*function) for function in needed)


def is_kept(module: str, name: str) -> bool:
    """Whether the cache has a function, compiled from this very source."""
    from packhorse.compiled import cache_folder  # noqa: PLC0415

    return any(cache_folder(module).glob(f"*/{module.rpartition('.')[2]}.{name}-*.nbi"))


if __name__ == "__main__":
    compile_half()
    if "twin" in sys.argv[1:]:
        compile_twin()
