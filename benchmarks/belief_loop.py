"""The estimator alone over recorded frames, SOC of every cell and sample kept: compiled, in NumPy and in C."""

from __future__ import annotations

import ctypes
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

import compiled_c
import numpy_belief
import numpy_core
from life import life, pack_of
from packhorse import bms, estimation
from packhorse.compiled import compiled
from packhorse.estimation import belief as core
from packhorse.pack.known import LARGEST
from packhorse.pack.words import DEGC_FIRST, DEGC_STEP, Array, Belief, Frames, Pack

SETTLED = 100
TABLE_ROWS, WORK_ROWS = 9, 7
"""Rows of working room of belief.c."""


class Case(NamedTuple):
    """A pack whose contactors are closed, what it believes, and the frames that follow."""

    pack: Pack
    belief: Belief
    frames: Frames
    bleed: Array  # (strings, series)
    contactor: Array  # (strings, 3)


def case_of(strings: int, series: int, times: int) -> Case:
    """A drive of `times` seconds, after the `SETTLED` seconds in which the contactors closed."""
    pack = pack_of(strings, series)
    frames = life(pack, SETTLED + times)
    state, _ = bms.replay(pack, bms.start(pack), Frames(*(field[:SETTLED] for field in frames)))
    rest = Frames(*(field[SETTLED:] for field in frames))
    return Case(pack, state.belief, rest, np.zeros((strings, series)), np.tile([1.0, 1.0, 0.0], (strings, 1)))


@compiled
def loop(
    pack: Pack, belief: Belief, frames: Frames, bleed: Array, contactor: Array, first_s: float
) -> tuple[Belief, Array]:
    """`estimation.step` over all frames, the first of which is `first_s` after what is believed."""
    times = frames.time_s.shape[0]
    soc = np.empty((times, pack.strings, pack.series))
    for k in range(times):
        dt_s = frames.time_s[k] - frames.time_s[k - 1] if k > 0 else first_s
        belief = estimation.step(pack, belief, bms.frame_at(frames, k), bleed, contactor, dt_s)
        soc[k] = belief.soc
    return belief, soc


def by_core(case: Case) -> tuple[Belief, Array]:
    """The last belief and the SOC of every sample (times, strings, series), by the compiled core."""
    return loop(*case, 1.0)


def by_numpy(case: Case) -> tuple[Belief, Array]:
    """The same, in NumPy across cells."""
    tables = numpy_core.prepare(case.pack)
    belief, soc = case.belief, np.empty(case.frames.cell_V.shape)
    was_s = case.frames.time_s[0] - 1.0
    with np.errstate(all="ignore"):
        for k in range(soc.shape[0]):
            frame = numpy_core.frame_at(case.frames, k)
            degC = numpy_core.cell_degC(tables, frame)
            dt_s = frame.time_s - was_s
            belief = numpy_belief.step(case.pack, tables.cell, belief, frame, degC, case.bleed, case.contactor, dt_s)
            soc[k], was_s = belief.soc, frame.time_s
    return belief, soc


class InC:
    """belief.c, compiled for this machine. Raises FileNotFoundError where there is no gcc."""

    def __init__(self) -> None:
        self.replay = compiled_c.library(Path(__file__).parent / "belief.c").replay
        self.replay.restype = None

    def __call__(self, case: Case) -> tuple[Belief, Array]:
        """The last belief and the SOC of every sample; only for strings that are connected and heard."""
        pack, frames = case.pack, case.frames
        rows = np.ascontiguousarray(np.stack(case.belief[:11], axis=1))
        covariance, soc = case.belief.covariance.copy(), np.empty(frames.cell_V.shape)
        work = np.empty((TABLE_ROWS + WORK_ROWS, pack.series))
        numbers = np.array(numbers_of(pack))
        sizes = [ctypes.c_int(n) for n in (*frames.cell_V.shape, pack.probes)]
        given = (frames.cell_V, frames.probe_degC, pack.probe_of_cell, frames.string_A, case.bleed)
        tables = (pack.cell.nodes, pack.cell.degC_nodes, numbers, rows, covariance, work, soc)
        at = [ctypes.c_void_p(array.ctypes.data) for array in (*given, *tables)]
        self.replay(*sizes, ctypes.c_void_p(frames.time_s.ctypes.data), ctypes.c_double(1.0), *at)
        fields = [np.ascontiguousarray(rows[:, k]) for k in range(11)]
        return Belief(*fields, covariance, 1.0), soc


def numbers_of(pack: Pack) -> list[float]:
    """`Numbers` of belief.c, in its order."""
    cell, sensors = pack.cell, pack.sensors
    return [
        cell.capacity_Ah,
        cell.hysteresis_rate,
        cell.coulombic_efficiency,
        cell.self_discharge_per_s,
        cell.resistance_sigma,
        cell.fast_sigma_V,
        cell.fast_share,
        cell.slow_s,
        cell.slow_soc,
        cell.standing_share,
        cell.fast_s,
        cell.core_K_per_W,
        cell.core_s,
        sensors.cell_sigma_V,
        sensors.current_sigma_A,
        sensors.current_offset_A,
        pack.balancing.bleed_ohm,
        core.OFFSET_S,
        core.RESISTANCE_S,
        core.RESISTANCE_SOC,
        core.USUAL_S,
        core.AGEING_PER_S,
        core.SURPRISE_S,
        core.SURPRISE_MOST,
        core.WIDTH,
        core.WIDTH_LEAST,
        core.COARSE_S,
        core.REST_C,
        core.UNHEARD_C,
        core.START_SIGMA_MOST**2,
        core.SOC_SIGMA_LEAST**2,
        core.GATE,
        core.TINY,
        LARGEST,
        DEGC_FIRST,
        DEGC_STEP,
    ]


def rejected(case: Case) -> dict[str, Case]:
    """The same life with every reading refused: voltages a volt off, none heard, currents no cell gives."""
    frames = case.frames
    return {
        "1 V off": case._replace(frames=frames._replace(cell_V=frames.cell_V + 1.0)),
        "not heard": case._replace(frames=frames._replace(cell_V=np.full_like(frames.cell_V, math.nan))),
        "huge currents": case._replace(frames=frames._replace(string_A=np.full_like(frames.string_A, 1e9))),
    }
