"""The compiled core against the same mathematics written independently in NumPy, over a life with faults."""

from __future__ import annotations

import numpy as np
import pytest

import numpy_core
from life import life, pack_of, stacked
from packhorse import bms
from packhorse.pack.words import Frames
from packs import calm, closed, small_pack

CLOSE, CLOSE_POWER = 1e-9, 1e-5
PACK = pack_of(2, 12)
TIMES = 240


def with_faults(frames: Frames) -> Frames:
    """The life, in which a cell runs high, probes fall silent, the loop opens, the driver resets, and it is charged."""
    cell_V, probe_degC, hvil = frames.cell_V.copy(), frames.probe_degC.copy(), frames.hvil.copy()
    reset, charging, driving = frames.reset_request.copy(), frames.charge_request.copy(), frames.drive_request.copy()
    cell_V[40:60, 0, 3], cell_V[70:90, 1, 5] = 4.5, np.nan
    probe_degC[80:110, 0], probe_degC[120:150, 1, 0] = np.nan, 75.0
    hvil[160:170], reset[175:180] = 0.0, 1.0
    driving[190:], charging[190:] = 0.0, 1.0
    return frames._replace(
        cell_V=cell_V,
        probe_degC=probe_degC,
        hvil=hvil,
        reset_request=reset,
        charge_request=charging,
        drive_request=driving,
    )


def garbled(frames: Frames, share: float) -> Frames:
    """Every reading but the clock replaced, now and then, by something no sensor should say."""
    dice = np.random.default_rng(3)
    nonsense = np.array([np.nan, np.inf, -np.inf, 1e300, -1.0, 0.0, 2.0, 60.0])

    def spoil(field: np.ndarray) -> np.ndarray:
        return np.where(dice.random(field.shape) < share, dice.choice(nonsense, field.shape), field)

    return Frames(frames.time_s, *(spoil(field) for field in frames[1:]))


@pytest.mark.parametrize("spoil", [lambda f: f, with_faults, lambda f: garbled(f, 0.02), lambda f: garbled(f, 0.3)])
def test_numpy_gives_the_same_life(spoil) -> None:
    frames = spoil(life(PACK, TIMES))
    compiled = bms.replay(PACK, bms.start(PACK), frames)
    off, power_off = numpy_core.apart(compiled, numpy_core.replay(PACK, bms.start(PACK), frames))
    assert off < CLOSE
    assert power_off < CLOSE_POWER


def test_the_faulty_life_has_faults_and_all_stages() -> None:
    _, record = bms.replay(PACK, bms.start(PACK), with_faults(life(PACK, TIMES)))
    assert len(record.events) > 10
    assert set(np.unique(record.stage)) >= {0.0, 1.0, 2.0, 4.0}


@pytest.mark.parametrize("asked", ["drive_request", "charge_request"])
def test_numpy_follows_a_pack_that_charges_balances_and_opens(asked: str) -> None:
    pack = small_pack()
    state = closed(pack)
    uneven_V = np.tile(np.linspace(3.8, 4.19, 5), (2, 1))
    frames = []
    for k in range(300):
        frame = calm(pack, state.time_s + 0.1 * (k + 1), cell_V=uneven_V, string_V=uneven_V.sum(axis=1))
        frame = frame._replace(contactor=state.control.contactor, link_V=uneven_V[0].sum(), probe_degC=[[6, 24]] * 2)
        frames.append(frame._replace(**{asked: 1.0 if k < 200 else 0.0}))
    block = stacked(frames)
    compiled = bms.replay(pack, state, block)
    assert compiled[1].bleeding.max() > 0
    off, power_off = numpy_core.apart(compiled, numpy_core.replay(pack, state, block))
    assert off < CLOSE
    assert power_off < CLOSE_POWER
    assert compiled[1].power_W.max() > 0.0
