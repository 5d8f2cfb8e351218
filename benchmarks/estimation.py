"""Figures of estimation and identification: `python benchmarks/estimation.py [--json | --write]`.

Single thread, candidates in turn in one run, medians; nothing is asserted by a test but that all of them agree.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

import belief_loop
import compiled_c
import cost_evaluation
import filterpy_cells
import numpy_core
from belief_loop import Case
from core import live
from figures import figure, in_turn, main
from packhorse.pack.words import Frames

CLOSE = 1e-9
LIVE_BAR = 0.5
OPERATIONS = {"five exponentials": 95, "count": 114, "four look-ups": 155, "correct": 147}
"""Additions, multiplications, divisions and roots of one cell and step, counted by hand in `estimation.belief`."""
BYTES = 16
"""A voltage read and a SOC written; all else stays in the cache."""
BOUND = """\
What bounds the estimator is found by elimination, as this machine hides its counters: neither memory nor the peak is
near, cells that fit the first cache are not faster, and C takes the same time, with fused multiply-adds or without. It
is the number of instructions: a third of the time goes into fetching and mixing table values cell by cell, which
vectors do not help, and the profile of the C version has no costly spot in the rest.

PyBOP's evaluation simulates one candidate of five numbers, and its optimiser asks for tens to hundreds of them; ours
solves for all parameters at all SOC nodes by least squares, and leaves four numbers to search. A kernel for a GPU was
not measured: no machine here has one.
"""


class Size(NamedTuple):
    """How much is measured."""

    strings: int
    series: int
    times: int
    numpy_times: int  # slower peers replay fewer frames
    filterpy_times: int
    drive_s: int
    live: bool


FULL = Size(2, 192, 1200, 300, 3, 3600, live=True)


def first(case: Case, times: int) -> Case:
    """The first frames of a case."""
    return case._replace(frames=Frames(*(field[:times] for field in case.frames)))


def checked(name: str, found: object, wanted: object) -> None:
    """Raises ValueError where a peer and the core are apart."""
    off = numpy_core.furthest(found, wanted)
    if not off < CLOSE:
        raise ValueError(f"the core and {name} are {off:g} apart, expected below {CLOSE:g}; find out who is right")


def peers(size: Size) -> dict[str, Any]:
    """The estimator in replay against NumPy, C and filterpy, each found to agree first; and against the machine."""
    case = belief_loop.case_of(size.strings, size.series, size.times)
    fewer, few = first(case, size.numpy_times), first(case, size.filterpy_times)
    checked("NumPy", belief_loop.by_numpy(fewer), belief_loop.by_core(fewer))
    work: dict[str, Callable[[], object]] = {
        "core": lambda: belief_loop.by_core(case),
        "NumPy": lambda: belief_loop.by_numpy(fewer),
    }
    times = {"core": size.times, "NumPy": size.numpy_times, "C": size.times, "filterpy": size.filterpy_times}
    if compiled_c.installed():
        in_c = belief_loop.InC()
        checked("C", in_c(case), belief_loop.by_core(case))
        work["C"] = lambda: in_c(case)
    if filterpy_cells.installed():
        one_by_one = lambda: filterpy_cells.replay(few.pack, few.belief, few.frames)  # noqa: E731
        checked("filterpy", one_by_one(), belief_loop.by_core(few)[1])
        work["filterpy"] = one_by_one
    taken_s = dict(zip(work, in_turn(*work.values()), strict=True))
    cells = size.strings * size.series
    rate = {name: cells * times[name] / s for name, s in taken_s.items()}
    return {**ratios(rate, cells), **of_machine(rate["core"])}


def ratios(rate: dict[str, float], cells: int) -> dict[str, Any]:
    """Rates in cell-steps per second as ratios beside their bars."""
    what = f"estimator, {cells} cells in replay: its rate over that of "
    why = {"C": "there is no gcc", "filterpy": f"filterpy is not installed: {filterpy_cells.INSTALL}"}
    how = {
        "NumPy": "vectorised across cells",
        "C": f"gcc {' '.join(compiled_c.FLAGS)}",
        "filterpy": "a filter per cell",
    }
    found = {}
    for name, bar in (("NumPy", 40.0), ("C", 0.75), ("filterpy", 5000.0)):
        measured = rate["core"] / rate[name] if name in rate else None
        note = (
            f"{rate['core'] / 1e6:.1f} against {rate[name] / 1e6:.4g} million cell-steps/s" if measured else why[name]
        )
        note = f"{note}; {how[name]}; results within {CLOSE:g}" if measured else note
        found[f"over_{name.lower()}"] = figure(f"{what}{name}", measured, "", bar, note, at_least=True)
    return found


def of_machine(rate: float) -> dict[str, Any]:
    """Shares of what this core can do at most, measured."""
    share, traffic = "estimator, share of the float64 arithmetic peak", "estimator, share of the memory bandwidth"
    if not compiled_c.installed():
        return {
            "peak_share": figure(share, None, "%", None, "there is no gcc"),
            "bandwidth_share": figure(traffic, None, "%", None, "there is no gcc"),
        }
    peak, bandwidth = compiled_c.peaks()
    count = sum(OPERATIONS.values())
    parts = ", ".join(f"{name} {n}" for name, n in OPERATIONS.items())
    return {
        "peak_share": figure(
            share,
            100.0 * rate * count / peak,
            "%",
            None,
            f"{count} operations a cell-step ({parts}) against {peak / 1e9:.0f} Gop/s of fused multiply-adds",
        ),
        "bandwidth_share": figure(
            traffic,
            100.0 * rate * BYTES / bandwidth,
            "%",
            None,
            f"{BYTES} B a cell-step against a triad of {bandwidth / 1e9:.1f} GB/s",
        ),
    }


def worst(size: Size) -> dict[str, Any]:
    """Inputs of which every reading is refused, for long, over a normal one."""
    case = belief_loop.case_of(size.strings, size.series, size.times)
    bad = belief_loop.rejected(case)
    aged = {name: one._replace(belief=belief_loop.by_core(one)[0]) for name, one in bad.items()}
    normal_s, *worst_s = in_turn(*(lambda c=c: belief_loop.by_core(c) for c in (case, *aged.values())))
    shares = {name: s / normal_s for name, s in zip(bad, worst_s, strict=True)}
    note = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
    note = f"{note}; after {size.times} s of the same"
    return {"rejected": figure("estimator, every reading refused, over normal", max(shares.values()), "", 1.5, note)}


def identification(size: Size) -> dict[str, Any]:
    """One evaluation of the cost function, and one candidate simulated, against one of PyBOP's."""
    names = {
        "cost_over_pybop": "one evaluation of the identification's cost, times faster than PyBOP's",
        "candidate_over_pybop": "one candidate simulated, as PyBOP's cost does, times faster than PyBOP's",
    }
    work = cost_evaluation.evaluations(size.drive_s)
    with cost_evaluation.one_thread():
        *ours_s, theirs_s = in_turn(*work) if len(work) > len(names) else (*in_turn(*work), None)
    found = {}
    for (name, what), taken_s in zip(names.items(), ours_s, strict=True):
        rate, ratio = f"{1000.0 * taken_s:.2g} ms", theirs_s / taken_s if theirs_s else None
        against = f"against {1000.0 * theirs_s:.0f} ms, on {size.drive_s} s of a drive at 1 Hz" if theirs_s else ""
        note = f"{rate} {against}" if theirs_s else f"ours {rate}; PyBOP is not installed: {cost_evaluation.INSTALL}"
        found[name] = figure(what, ratio, "", 100.0, note, at_least=True)
    return found


def measure(size: Size = FULL) -> dict[str, Any]:
    """All figures by name, in plain JSON types; takes a minute or two.

    Raises ValueError where the core and a peer do not give the same results.
    """
    found = {**peers(size), **worst(size), **identification(size)}
    return {**found, **live(LIVE_BAR)} if size.live else found


if __name__ == "__main__":
    main("estimation", "Estimation", measure, note=BOUND)
