"""Recorded lives for the benchmarks: a pack of simulated cells that is driven, and contactors that obey a live BMS."""

from __future__ import annotations

import math

import numpy as np

import numpy_belief
from packhorse import bms
from packhorse.pack.compile import compile_pack
from packhorse.pack.description import PackFile
from packhorse.pack.load import load_cell
from packhorse.pack.words import Array, Frame, Frames, Pack

CELL = "nmc_60"
CELLS_PER_PROBE = 4
AMBIENT_DEGC = 18.0
START_SOC = 0.8


def pack_of(strings: int, series: int) -> Pack:
    """A pack of the catalogue's NMC cell, one probe for every four cells, everything else by default."""
    raw = {
        "name": f"benchmark {strings} x {series}",
        "cell": CELL,
        "strings": strings,
        "series": series,
        "probes": max(1, series // CELLS_PER_PROBE),
    }
    return compile_pack(PackFile.model_validate(raw), load_cell(CELL))


def drive_C(times: int, dice: np.random.Generator) -> Array:
    """Pulls, braking and stops of random length and strength, in 1/h of the capacity, one value a second."""
    rate: list[float] = []
    while len(rate) < times:
        strength = dice.choice([0.0, dice.uniform(0.2, 1.2), dice.uniform(0.2, 1.2), -dice.uniform(0.1, 0.6)])
        rate += [float(strength)] * int(dice.integers(3, 60))
    return np.convolve(rate[:times], np.ones(3) / 3, mode="same")


def life(pack: Pack, times: int, dt_s: float = 1.0, seed: int = 7) -> Frames:
    """Frames of a drive, one every `dt_s`: cells with spread, sensors with noise, contactors that obey a live BMS."""
    dice = np.random.default_rng(seed)
    strings, series, cell = pack.strings, pack.series, pack.cell
    shape = (strings, series)
    soc, ohms = START_SOC + 0.01 * dice.standard_normal(shape), 1.0 + 0.05 * dice.standard_normal(shape)
    capacity_Ah = cell.capacity_Ah * (1.0 + 0.01 * dice.standard_normal(shape))
    rc1_V, rc2_V = np.zeros(shape), np.zeros(shape)
    rate = np.repeat(drive_C(math.ceil(times * dt_s), dice), math.ceil(1.0 / dt_s))[:times]
    warmth = AMBIENT_DEGC + 7.0 + 0.5 * dice.standard_normal((strings, pack.probes))
    tables = numpy_belief.prepare(cell)
    contactor, state, frames = np.zeros((strings, 3)), bms.start(pack), []
    for k in range(times):
        string_A = rate[k] * cell.capacity_Ah * contactor[:, 1]
        degC = warmth[:, pack.probe_of_cell]
        (ocv_V, r0, r1, r2, _, _), (tau1, tau2, _) = numpy_belief.parameters(tables, soc, degC)
        keep1, keep2 = np.exp(-dt_s / tau1), np.exp(-dt_s / tau2)
        current_A = string_A[:, None]
        rc1_V = keep1 * rc1_V + (1.0 - keep1) * r1 * ohms * current_A
        rc2_V = keep2 * rc2_V + (1.0 - keep2) * r2 * ohms * current_A
        soc = soc - current_A * dt_s / (3600.0 * capacity_Ah)
        true_V = ocv_V - rc1_V - rc2_V - r0 * ohms * current_A
        cell_V = np.round(true_V + 0.001 * dice.standard_normal(shape), 4)
        string_V = cell_V.sum(axis=1)
        joined = contactor[:, 0] * (contactor[:, 1] + contactor[:, 2]) > 0.0
        frame = Frame(
            time_s=k * dt_s,
            cell_V=cell_V,
            probe_degC=np.round(warmth + 0.1 * dice.standard_normal(warmth.shape), 1),
            string_A=np.round(string_A + 0.2 * dice.standard_normal(strings), 1),
            string_V=np.round(string_V, 1),
            age_s=np.zeros((strings, 3)),
            contactor=contactor,
            link_V=float(string_V[joined].max()) if joined.any() else 0.0,
            isolation_ohm=5e6,
            hvil=1.0,
            inlet_degC=AMBIENT_DEGC + 4.0,
            outlet_degC=AMBIENT_DEGC + 5.0,
            ambient_degC=AMBIENT_DEGC,
            drive_request=1.0 if k > 2 else 0.0,
            charge_request=0.0,
            reset_request=0.0,
        )
        frames.append(frame)
        state, output = bms.step(pack, state, frame)
        contactor = output.command.contactor
    return stacked(frames)


def stacked(frames: list[Frame]) -> Frames:
    """Single frames as one block."""
    return Frames(*(np.stack([np.asarray(frame[i], dtype=np.float64) for frame in frames]) for i in range(16)))


def absurd(frames: Frames) -> tuple[Frames, Frames, Frames]:
    """The same life as three boards might garble it: nothing heard, numbers beyond all reason, wrong voltages."""
    silent = frames._replace(
        cell_V=np.full_like(frames.cell_V, np.nan),
        probe_degC=np.full_like(frames.probe_degC, np.nan),
        string_A=np.full_like(frames.string_A, np.nan),
        string_V=np.full_like(frames.string_V, np.nan),
    )
    wild = frames._replace(
        cell_V=np.where(np.arange(frames.cell_V.shape[2]) % 2, 1e300, -np.inf) + np.zeros_like(frames.cell_V),
        probe_degC=np.full_like(frames.probe_degC, 1e30),
        string_A=np.full_like(frames.string_A, np.inf),
    )
    wrong = frames._replace(cell_V=4.9 - frames.cell_V + 0.5 * np.sign(np.sin(frames.time_s))[:, None, None])
    return silent, wild, wrong
