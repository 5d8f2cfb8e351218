"""Two processes compile the core together: what one prepares is what the other needs."""

from __future__ import annotations

import os

import pytest

from packhorse import bms, control, estimation
from packhorse.app import compiling
from trucks import pack_of

BY_HAND = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
HALF = (estimation.summary, control.limits, control.charge, control.bleed, bms.changes)


@pytest.mark.skipif(BY_HAND, reason="the compiler is switched off")
def test_the_half_is_what_a_step_has_compiled() -> None:
    pack = pack_of("light")
    bms.step(pack, bms.start(pack), bms.silence(pack))
    before = [dict(part.stats.cache_misses) for part in HALF]
    compiling.compile_half()
    assert [dict(part.stats.cache_misses) for part in HALF] == before
    assert all(part.overloads for part in HALF)


def test_nothing_is_shared_where_all_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "ready", lambda _needed: True)
    monkeypatch.setattr(compiling.subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    with compiling.shared(twin=True):
        pass
