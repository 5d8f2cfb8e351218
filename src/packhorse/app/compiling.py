"""Says so when machine code is made for the first time on this machine, because it takes a while."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

REPLAY, STEP, TWIN = "packhorse_*/bms.replay-*.nbi", "packhorse_*/bms.step-*.nbi", "twin_*/truck.step-*.nbi"
"""Where the cache keeps what, as patterns."""
REPLAY_S, RUN_S = 20, 40
"""About how long it takes to compile the core alone, and together with the twin."""


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


def ready(needed: tuple[str, ...]) -> bool:
    """Whether nothing has to be compiled: all is in the cache, or the compiler is switched off."""
    from packhorse.compiled import cache_folder  # noqa: PLC0415

    by_hand = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
    folder = cache_folder()
    return by_hand or all(any(folder.glob(pattern)) for pattern in needed)
