"""Says so when machine code is made for the first time on this machine, because it takes a while."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

REPLAY, STEP, TWIN = "packhorse_*/bms.replay-*.nbi", "packhorse_*/bms.step-*.nbi", "twin_*/truck.step-*.nbi"
"""Where the cache keeps what, as patterns."""
REPLAY_S, RUN_S = 30, 40
"""About how long it takes to compile the core alone, and together with the twin beside it."""


@contextmanager
def notice(needed: tuple[str, ...], seconds: int, quiet: bool = False) -> Iterator[None]:
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
def twin_beside() -> Iterator[None]:
    """Let another process compile the twin while the block compiles the core: two processors halve the wait."""
    if ready((TWIN,)):
        yield
        return
    other = subprocess.Popen([sys.executable, "-m", "packhorse.app.compiling"], stderr=subprocess.DEVNULL)
    try:
        yield
        other.wait()
    finally:
        other.kill()


def compile_twin() -> None:
    """One tick of the smallest truck: the machine code is the same for all."""
    from packhorse import twin  # noqa: PLC0415
    from packhorse.pack.load import load_pack_file  # noqa: PLC0415

    described = twin.load_truck("light")
    truck = twin.compile_truck(described, *load_pack_file(described.pack))
    twin.step(truck, twin.start(truck, 0.5, 20.0), *twin.idle(truck), twin.Demand(0.0, 0.0, 0.0, 20.0, 0.0), 0.1)


def ready(needed: tuple[str, ...]) -> bool:
    """Whether nothing has to be compiled: all is in the cache, or the compiler is switched off."""
    from packhorse.compiled import cache_folder  # noqa: PLC0415

    by_hand = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
    folder = cache_folder()
    return by_hand or all(any(folder.glob(pattern)) for pattern in needed)


if __name__ == "__main__":
    compile_twin()
