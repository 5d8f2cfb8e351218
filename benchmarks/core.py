"""Figures of the core, each a ratio measured side by side in one run: `python benchmarks/core.py [--json | --write]`.

Single thread, two candidates in turn, medians. Nothing here is asserted by a test: machines are busy, and a ratio is
only worth reading beside its bar.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import numpy_core
import pybamm_pack
from figures import REPEATS, figure, in_turn, main, seconds
from life import absurd, life, pack_of
from packhorse import bms
from packhorse.pack.compile import compile_cell
from packhorse.pack.load import load_cell
from packhorse.pack.words import Array, Cell, Frame, Frames, Pack, State
from twin_pack import twin_hour

TICK_S = 0.1
REPLAYED, SETTLED = 1200, 100
LIVE_CALLS, LIVE_FRAMES = 20_000, 1000
EARLY_STEPS, ALL_STEPS, SMALL_SERIES = 100_000, 1_000_000, 8
CLOSE, CLOSE_POWER = 1e-9, 1e-5
MIB = 2**20

FIRST_STEP = """
import sys
from contextlib import nullcontext
from packhorse import bms
from packhorse.app.compiling import shared
from packhorse.pack.load import load_pack
from packhorse.pack.words import Frame
import numpy as np
pack = load_pack("heavy")
n, nan = pack.strings, float("nan")
cell_V, probe_degC = np.full((n, pack.series), 3.3), np.full((n, pack.probes), 25.0)
flat, three = np.zeros(n), np.zeros((n, 3))
heard = cell_V, probe_degC, flat, cell_V.sum(axis=1), three, three
frame = Frame(0.0, *heard, 0.0, 5e6, 1.0, nan, nan, 20.0, 0.0, 0.0, 0.0)
with shared() if "shared" in sys.argv else nullcontext():
    _, output = bms.step(pack, bms.start(pack), frame)
assert 0.0 < output.estimate.soc < 1.0
"""
"""What a process does from its start to the first answer; told so, it compiles as the commands do, by two processes."""


def replays() -> dict[str, Any]:
    """Replay against NumPy, after both were found to agree, and garbled frames against normal ones."""
    pack = pack_of(1, 192)
    frames = life(pack, REPLAYED)
    garbled = absurd(frames)
    for some in (frames, *garbled):
        compiled, peer = bms.replay(pack, bms.start(pack), some), numpy_core.replay(pack, bms.start(pack), some)
        off, power_off = numpy_core.apart(compiled, peer)
        if not (off < CLOSE and power_off < CLOSE_POWER):
            raise ValueError(
                f"the compiled core and NumPy are {off:g} apart, in power {power_off:g}, expected below {CLOSE:g} and "
                f"{CLOSE_POWER:g}; find out who is right"
            )
    ours_s, numpy_s = in_turn(
        lambda: bms.replay(pack, bms.start(pack), frames), lambda: numpy_core.replay(pack, bms.start(pack), frames)
    )
    normal_s, *worst_s = in_turn(*(lambda f=f: bms.replay(pack, bms.start(pack), f) for f in (frames, *garbled)))
    rates = (
        f"{REPLAYED / ours_s:,.0f} against {REPLAYED / numpy_s:,.0f} steps/s; {REPEATS} turns; results within "
        f"{CLOSE:g}, powers within {CLOSE_POWER:g}"
    )
    shares = ", ".join(f"{x / normal_s:.2f}" for x in worst_s)
    return {
        "replay_over_numpy": figure(
            "replay of 192 cells, times faster than NumPy", numpy_s / ours_s, "", 25.0, rates, at_least=True
        ),
        "worst_input": figure(
            "replay of the worst input over normal input",
            max(worst_s) / normal_s,
            "",
            1.5,
            f"nothing heard, absurd, wrong: {shares}; {REPEATS} turns",
        ),
    }


def settled(pack: Pack, count: int) -> tuple[State, list[Frame]]:
    """A BMS that has closed its contactors, and the single frames of the drive that follows."""
    frames = life(pack, SETTLED + count, TICK_S)
    state, _ = bms.replay(pack, bms.start(pack), Frames(*(field[:SETTLED] for field in frames)))
    return state, [numpy_core.frame_at(frames, SETTLED + k) for k in range(count)]


def live(median_bar: float = 0.3) -> dict[str, Any]:
    """One call of `step` from Python, in shares of the tick."""
    pack = pack_of(4, 192)
    state, frames = settled(pack, LIVE_FRAMES)
    taken_s = np.empty(LIVE_FRAMES + LIVE_CALLS)
    for k in range(taken_s.size):
        frame = frames[k % LIVE_FRAMES]._replace(time_s=(SETTLED + k) * TICK_S)
        start = time.perf_counter()
        state, _ = bms.step(pack, state, frame)
        taken_s[k] = time.perf_counter() - start
    median_s, rare_s = np.quantile(taken_s[LIVE_FRAMES:], [0.5, 0.999])
    note = f"4 strings x 192 cells, {LIVE_CALLS:,} calls"
    return {
        "live_median": figure(
            "live step, median share of 100 ms",
            100.0 * float(median_s) / TICK_S,
            "%",
            median_bar,
            f"{median_s * 1e6:.0f} us; {note}",
        ),
        "live_p999": figure(
            "live step, 99.9th percentile", 100.0 * float(rare_s) / TICK_S, "%", 2.0, f"{rare_s * 1e6:.0f} us; {note}"
        ),
    }


def pack_over_pybamm() -> dict[str, Any]:
    """The twin's electrical pack against PyBaMM, by CPU time on one core, and how far their voltages are apart."""
    what, apart = "twin, 384 cells over an hour, times faster than PyBaMM", "its furthest voltage from PyBaMM's"
    if not pybamm_pack.installed():
        note = f"PyBaMM is not installed: {pybamm_pack.INSTALL}"
        return {
            "twin_over_pybamm": figure(what, None, "", 1500.0, note, at_least=True),
            "twin_from_pybamm": figure(apart, None, "mV", 1.0, note),
        }
    cell = compile_cell(load_cell("nmc_60"))
    found = pybamm_pack.compare(cell, drive_A(cell, pybamm_pack.SECONDS + 1), twin_hour)
    ours, theirs = found["twin_cell_steps_per_s"], found["peer_cell_steps_per_s"]
    rates = f"{ours / 1e6:.1f} million against {theirs:,.0f} cell-steps/s of one core"
    return {
        "twin_over_pybamm": figure(what, found["times"], "", 1500.0, rates, at_least=True),
        "twin_from_pybamm": figure(apart, 1000.0 * found["furthest_V"], "mV", 1.0, f"batch of {found['batch']}"),
    }


def drive_A(cell: Cell, times: int) -> Array:
    """Pulls, braking and stops of random length and strength at every second, seeded."""
    dice = np.random.default_rng(7)
    rate: list[float] = []
    while len(rate) < times:
        strength = float(dice.choice([0.0, dice.uniform(0.2, 1.2), dice.uniform(0.2, 1.2), -dice.uniform(0.1, 0.6)]))
        rate += [strength] * int(dice.integers(3, 60))
    smooth = np.convolve(rate[:times], np.ones(3) / 3, mode="same")
    return np.asarray(cell.capacity_Ah * smooth, dtype=np.float64)


def resident_MiB() -> float | None:
    """Memory of this process; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def memory() -> dict[str, Any]:
    """Growth of memory over a million live steps."""
    pack = pack_of(1, SMALL_SERIES)
    state, frames = settled(pack, LIVE_FRAMES)
    early = None
    for k in range(ALL_STEPS):
        state, _ = bms.step(pack, state, frames[k % LIVE_FRAMES]._replace(time_s=(SETTLED + k) * TICK_S))
        if k == EARLY_STEPS:
            early = resident_MiB()
    late = resident_MiB()
    growth = late - early if late is not None and early is not None else None
    note = f"from step {EARLY_STEPS:,} to {ALL_STEPS:,}, {SMALL_SERIES} cells"
    note = note if growth is not None else "this system has no /proc/self/statm"
    return {"memory_growth": figure("memory gained by live steps", growth, "MiB", 1.0, note)}


def process_s(arguments: list[str], cache: str) -> float:
    """Wall seconds of a Python process of this environment. Raises CalledProcessError where it fails."""
    environment = {**os.environ, "PACKHORSE_CACHE": cache}
    command = [sys.executable, *arguments]
    return seconds(lambda: subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL))  # noqa: S603


def start_up() -> dict[str, Any]:
    """From the start of a process to help, and to the first answered step with an empty and with a full cache."""
    with tempfile.TemporaryDirectory() as cache:
        cold_s = process_s(["-c", FIRST_STEP, "shared"], cache)
    with tempfile.TemporaryDirectory() as cache:
        alone_s = process_s(["-c", FIRST_STEP], cache)
        warm_s = float(np.median([process_s(["-c", FIRST_STEP], cache) for _ in range(REPEATS)]))
        there = importlib.util.find_spec("packhorse.app.main") is not None
        ask = ["-m", "packhorse.app.main", "--help"]
        help_s = float(np.median([process_s(ask, cache) for _ in range(REPEATS)])) if there else None
    return {
        "help": figure(
            "packhorse --help",
            help_s,
            "s",
            0.5,
            f"median of {REPEATS}" if there else "packhorse.app.main does not exist",
        ),
        "first_compile": figure("first step, nothing compiled yet", cold_s, "s", 30.0, "once, by two processes"),
        "first_compile_alone": figure("the same by one process", alone_s, "s", None, "once"),
        "start": figure("first step, from cache", warm_s, "s", 3.0, f"median of {REPEATS}"),
    }


def measure() -> dict[str, Any]:
    """All figures by name, in plain JSON types; takes a few minutes.

    Raises ValueError where the compiled core and its NumPy peer do not give the same results.
    """
    return {**start_up(), **replays(), **live(), **pack_over_pybamm(), **memory()}


if __name__ == "__main__":
    main("core", "Core", measure)
