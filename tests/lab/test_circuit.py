"""The circuit as a linear problem: its sparse rows against the same matrix written down whole."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import laboratory
from packhorse.io.cell_logs import CellLog
from packhorse.lab.identify.circuit import (
    BLOCK,
    HYSTERESIS_NODES,
    OCV_NODES,
    R_NODES,
    Shape,
    arrhenius,
    hat,
    hysteresis_states,
    layout,
    modelled_V,
    normal,
    path_of,
    walk_of,
)
from packhorse.lab.identify.identify import AGED, identify
from packhorse.lab.training import Training
from packhorse.pack.words import Array


def whole_matrix(log: CellLog, soc: Array, centres: Array, shape: Shape, capacity_Ah: float) -> Array:
    """Every column at every row, by the equations of the module's docstring."""
    h = hysteresis_states(log.current_A, np.diff(log.time_s, prepend=0.0), capacity_Ah, shape.hysteresis_rate, 1.0)
    weights, place = hat(log.cell_degC, centres), layout()
    out = np.zeros((soc.size, BLOCK * centres.size))
    for block, centre in enumerate(centres):
        columns = out[:, block * BLOCK : (block + 1) * BLOCK]
        share = weights[:, block]
        slower = arrhenius(log.cell_degC, float(centre), shape.activation_K)
        drive_A = hat(soc, R_NODES) * (share * slower * log.current_A)[:, None]
        columns[:, place.ocv] = hat(soc, OCV_NODES) * share[:, None]
        columns[:, place.resistance[0]] = -drive_A
        for part, tau_s in zip(place.resistance[1:], (shape.tau1_s, shape.tau2_s), strict=True):
            state = np.zeros(R_NODES.size)
            for k in range(1, soc.size):
                keep = np.exp(-(log.time_s[k] - log.time_s[k - 1]) / tau_s)
                state = keep * state + (1.0 - keep) * drive_A[k]
                columns[k, part] = -state
        columns[:, place.hysteresis] = hat(soc, HYSTERESIS_NODES) * (share * h)[:, None]
    return out


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), temperatures=st.integers(1, 3), tau2_s=st.sampled_from([60.0, 500.0, 2000.0]))
def test_the_rows_are_those_of_the_whole_matrix(seed: int, temperatures: int, tau2_s: float) -> None:
    dice = np.random.default_rng(seed)
    rows, centres = 200, np.sort(dice.uniform(-20.0, 40.0, temperatures))
    time_s = np.concatenate([[0.0], np.cumsum(dice.uniform(0.1, 100.0, rows - 1))])
    degC = dice.uniform(centres[0] - 5.0, centres[-1] + 5.0) + np.linspace(0.0, 8.0, rows)
    log = CellLog("any", time_s, dice.normal(0.0, 2.0, rows), np.zeros(rows), degC)
    soc, shape = np.linspace(1.02, dice.uniform(-0.02, 0.9), rows), Shape(6.0, tau2_s, 3000.0, 40.0)
    matrix = whole_matrix(log, soc, centres, shape, 3.0)
    walk = walk_of(path_of(log, soc, centres), shape, centres, 3.0, 1.0)
    unknowns = dice.normal(0.0, 0.05, matrix.shape[1])
    np.testing.assert_allclose(modelled_V(walk, unknowns), matrix @ unknowns, atol=1e-5)
    worth, rest_V, freedom_V = (
        dice.uniform(0.1, 2.0, rows),
        dice.normal(0.0, 0.01, rows),
        dice.normal(0.0, 1.0, (rows, 2)),
    )
    square, right, lever = normal(walk, temperatures, worth, rest_V, freedom_V)
    np.testing.assert_allclose(square, matrix.T @ (worth[:, None] * matrix), atol=1e-2)
    np.testing.assert_allclose(right, matrix.T @ (worth * rest_V), atol=1e-3)
    np.testing.assert_allclose(lever, matrix.T @ (worth[:, None] * freedom_V), atol=1e-2)


def aged_drive(share: float) -> CellLog:
    """A drive of a cell that has only a share of its capacity."""
    young = laboratory.drive(25.0, seed=3)
    rows = slice(0, int(share * young.time_s.size))
    return laboratory.measured("aged", young.time_s[rows], young.current_A[rows], 25.0, 1.0, share=share)


def test_a_drive_of_an_aged_cell_does_not_bend_the_model_of_the_young_one() -> None:
    young = [laboratory.drive(25.0, seed=1), laboratory.drive(25.0, seed=2)]
    slow, pulses = [laboratory.slow(25.0)], [laboratory.pulses(25.0)]
    alone = identify(Training(slow, pulses, [], young), "young")
    both = identify(Training(slow, pulses, [], [*young, aged_drive(0.85)]), "both")
    assert [piece.log.name for piece in both.pieces if piece.aged] == ["aged"]
    assert not any(piece.aged for piece in alone.pieces)
    of_alone, of_both = (np.array(one.cell.resistance.r0_ohm) for one in (alone, both))
    middle = slice(3, 12)
    np.testing.assert_allclose(of_both[:, middle], of_alone[:, middle], rtol=0.05)
    aged = next(piece for piece in both.pieces if piece.aged)
    counted = float(np.sum(aged.log.current_A)) / 3600.0 / laboratory.capacity_Ah(25.0)
    assert abs(np.ptp(aged.soc) / counted - 1.0 / 0.85) < AGED / 2
