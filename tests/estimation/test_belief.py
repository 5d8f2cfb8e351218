"""The belief against simulated cells that are not quite what is believed of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from packhorse import bms
from packhorse.cell.physics import at_node
from packhorse.cell.table import MODEL_V
from packhorse.estimation.belief import SOC_LEANS
from packhorse.pack.compile import compile_pack
from packhorse.pack.description import PackFile
from packhorse.pack.load import load_cell
from packhorse.pack.words import Array, Belief, Cell, Frames, Pack, Record, State
from packs import calm, closed, small_pack, stacked
from simulated import TrueCell, live

TINIEST = np.finfo(np.float64).tiny
BOARD = {"patience_s": 10.0}
PACK = small_pack(1, 1, sensors=BOARD, faults={"cells_blind": {"enabled": False}})
CLOSED = closed(PACK)


def other(cell: Cell, ohm: float = 1.05, capacity: float = 0.97, offset_V: float = 0.004) -> Cell:
    """A cell that differs a little from what is believed."""
    nodes = cell.nodes * np.array([1.0, ohm, ohm, ohm, 1.0, 1.0])
    nodes[:, :, 0] += offset_V
    return cell._replace(nodes=nodes, capacity_Ah=capacity * cell.capacity_Ah)


def life_of(cell: Cell, soc: float, current_A: Array, dt_s: float) -> tuple[Array, Array]:
    """True SOC and terminal voltage after every tick; the current has flowed during the tick."""
    now, out = TrueCell(soc), np.empty((2, current_A.size))
    for k, ampere in enumerate(current_A):
        now = live(cell, now, float(ampere), 25.0, dt_s)
        out[:, k] = now.soc, now.terminal_V
    return out[0], out[1]


def heard(pack: Pack, current_A: Array, cell_V: Array, dt_s: float, begin_s: float) -> Frames:
    """Frames of a closed pack in which all cells read alike."""
    one = calm(pack, drive_request=1.0, contactor=np.tile([1.0, 1.0, 0.0], (pack.strings, 1)))
    alike = Frames(*(np.repeat(block, current_A.size, axis=0) for block in stacked([one])))
    cells_V = np.ascontiguousarray(np.broadcast_to(cell_V[:, None, None], alike.cell_V.shape))
    return alike._replace(
        time_s=begin_s + dt_s * np.arange(1, current_A.size + 1),
        cell_V=cells_V,
        string_A=np.ascontiguousarray(np.broadcast_to(current_A[:, None], alike.string_A.shape)),
        string_V=cells_V.sum(axis=2),
        link_V=cells_V[:, 0].sum(axis=1),
    )


def believe(pack: Pack, state: State, current_A: Array, cell_V: Array, dt_s: float) -> tuple[State, Record]:
    return bms.replay(pack, state, heard(pack, current_A, cell_V, dt_s, state.time_s))


def sure(state: State, soc: float, sigma: float) -> State:
    """The state with another belief about the charge."""
    covariance = np.zeros_like(state.belief.covariance)
    for place, one in ((0, sigma), (5, 0.3), (9, 0.005), (12, 0.02), (14, 0.15)):
        covariance[:, place] = one**2
    return state._replace(belief=state.belief._replace(soc=np.full_like(state.belief.soc, soc), covariance=covariance))


def drive(seconds: int, mean_A: float = 10.0, seed: int = 5) -> Array:
    """A current that changes every ten seconds, by the second."""
    steps = np.random.default_rng(seed).normal(mean_A, 40.0, seconds // 10 + 1)
    return np.repeat(steps, 10)[:seconds]


@pytest.mark.parametrize(("true_soc", "believed"), [(0.6, 0.3), (0.3, 0.7), (0.85, 0.55), (0.5, 0.5)])
def test_a_wrong_start_is_found_on_a_cell_that_differs_from_what_is_believed(true_soc: float, believed: float) -> None:
    current_A = drive(3600)
    soc, cell_V = life_of(other(PACK.cell), true_soc, current_A, 1.0)
    _, record = believe(PACK, sure(CLOSED, believed, 0.3), current_A, cell_V, 1.0)
    error = record.soc_min[:, 0] - soc
    assert np.abs(error[-600:]).max() < 0.03
    assert (np.abs(error) < 3.0 * record.soc_sigma + 0.01).all()


def test_the_first_voltage_gives_the_first_belief() -> None:
    for true_soc in (0.05, 0.3, 0.55, 0.95):
        _, cell_V = life_of(PACK.cell, true_soc, np.zeros(1), 1.0)
        estimate = bms.step(PACK, bms.start(PACK), calm(PACK, cell_V=np.full((1, 1), cell_V[0])))[1].estimate
        assert abs(estimate.soc_min[0] - true_soc) < 0.02
        assert abs(estimate.soc_min[0] - true_soc) < 2.0 * estimate.soc_sigma


@pytest.mark.parametrize("rate_per_h", [-0.5, 1.0, 2.0])
def test_a_start_under_current_goes_on_with_what_explained_it(rate_per_h: float) -> None:
    """The same reading again, a second later, is no surprise."""
    current_A = np.full(9, rate_per_h * PACK.cell.capacity_Ah)  # after which about half of the fast RC has built up
    _, cell_V = life_of(PACK.cell, 0.55, current_A, 1.0)
    _, record = believe(PACK, CLOSED._replace(belief=bms.start(PACK).belief), current_A[-2:], cell_V[[-1, -1]], 1.0)
    counted = rate_per_h / 3600.0
    assert abs(record.soc_min[1, 0] - record.soc_min[0, 0] + counted) < 0.15 * record.soc_sigma[0]


def test_doubt_shrinks_with_what_is_heard() -> None:
    current_A = drive(1800)
    _, cell_V = life_of(PACK.cell, 0.6, current_A, 1.0)
    _, record = believe(PACK, sure(CLOSED, 0.5, 0.3), current_A, cell_V, 1.0)
    assert record.soc_sigma[-1] < 0.3 * record.soc_sigma[0]


def test_the_belief_leans_on_the_standing_error_as_far_as_it_says() -> None:
    """A model that is off by its standing error everywhere: what that moves is what is carried along."""
    cell, current_A = PACK.cell, drive(3600)
    _, cell_V = life_of(cell, 0.6, current_A, 1.0)
    standing_V = cell.standing_share * at_node(cell.nodes, 0.5, 25.0, MODEL_V)
    start = sure(CLOSED, 0.55, 0.05)
    usual, _ = believe(PACK, start, current_A, cell_V, 1.0)
    off, _ = believe(PACK, start, current_A, cell_V - standing_V, 1.0)
    rows = usual.belief.covariance[0, SOC_LEANS:, 0]
    moved = [(off.belief.soc - usual.belief.soc)[0, 0], (off.belief.bias_V - usual.belief.bias_V)[0, 0]]
    assert abs(rows[0]) > 1e-3
    assert moved == pytest.approx([rows[0], rows[2]], rel=0.1)


def test_the_standing_error_changes_what_is_said_but_not_what_is_believed() -> None:
    current_A = drive(3600)
    _, cell_V = life_of(other(PACK.cell), 0.6, current_A, 1.0)
    start = sure(CLOSED, 0.5, 0.1)
    none, said = believe(PACK._replace(cell=PACK.cell._replace(standing_share=0.0)), start, current_A, cell_V, 1.0)
    some, wider = believe(PACK, start, current_A, cell_V, 1.0)
    assert np.array_equal(none.belief.soc, some.belief.soc)
    assert np.array_equal(none.belief.covariance[:, :SOC_LEANS], some.belief.covariance[:, :SOC_LEANS])
    assert not none.belief.covariance[:, SOC_LEANS:].any()
    assert wider.soc_sigma[-1] == pytest.approx(math.hypot(said.soc_sigma[-1], some.belief.covariance[0, SOC_LEANS, 0]))
    assert wider.soc_sigma[-1] > said.soc_sigma[-1]


@pytest.mark.parametrize("dt_s", [0.1, 1.0, 10.0])
def test_doubt_grows_by_what_may_have_flowed_while_the_current_is_not_heard(dt_s: float) -> None:
    silent = np.full(round(600 / dt_s), math.nan)
    _, record = believe(PACK, sure(CLOSED, 0.5, 0.01), silent, silent, dt_s)
    assert record.soc_sigma[-1] - 0.01 == pytest.approx(0.5 * 600 / 3600, rel=0.01)


def test_doubt_stays_while_a_silent_string_is_not_connected() -> None:
    state = sure(CLOSED, 0.5, 0.01)
    state = state._replace(control=state.control._replace(stage=np.zeros(1), contactor=np.zeros((1, 3))))
    silent = heard(PACK, np.full(600, math.nan), np.full(600, math.nan), 1.0, state.time_s)
    _, record = bms.replay(PACK, state, silent._replace(drive_request=np.zeros(600)))
    assert record.soc_sigma[-1] == pytest.approx(0.01, rel=1e-3)


def test_a_cell_that_is_not_heard_is_counted_on() -> None:
    state = sure(CLOSED, 0.8, 0.01)
    state, record = believe(PACK, state, np.full(360, 50.0), np.full(360, math.nan), 1.0)
    assert record.soc_min[-1, 0] == pytest.approx(0.75, abs=1e-4)
    assert record.soc_sigma[-1] > 0.01
    assert state.belief.rc2_V[0, 0] == pytest.approx(50.0 * 0.5e-3 * (1 - math.exp(-360 / 200)), rel=1e-3)


@pytest.mark.parametrize("outlier_V", [0.0, 2.0, 4.9, 400.0, -30.0])
def test_one_outlier_moves_the_belief_little(outlier_V: float) -> None:
    current_A = drive(1800)
    _, cell_V = life_of(PACK.cell, 0.6, current_A, 1.0)
    settled, _ = believe(PACK, sure(CLOSED, 0.6, 0.05), current_A, cell_V, 1.0)
    after, _ = believe(PACK, settled, np.zeros(1), np.array([outlier_V]), 1.0)
    assert abs(after.belief.soc[0, 0] - settled.belief.soc[0, 0]) < 0.003


def test_the_same_life_gives_the_same_belief_at_a_tenth_of_a_second_and_at_a_second() -> None:
    fine_A = np.repeat(drive(1800), 10)
    _, fine_V = life_of(other(PACK.cell), 0.6, fine_A, 0.1)
    start = sure(CLOSED, 0.5, 0.1)
    _, fine = believe(PACK, start, fine_A, fine_V, 0.1)
    _, coarse = believe(PACK, start, fine_A[9::10], fine_V[9::10], 1.0)
    difference = fine.soc_min[9::10, 0] - coarse.soc_min[:, 0]
    assert np.abs(difference[60:]).max() < 0.003
    assert coarse.soc_sigma[60:] == pytest.approx(fine.soc_sigma[9::10][60:], rel=0.05)


@pytest.mark.parametrize("offset_V", [-0.006, 0.0, 0.006])
def test_on_a_flat_curve_the_doubt_stays_honest(offset_V: float) -> None:
    """LFP in the middle of its plateau, a current sensor that is off by its stated offset, for ten hours."""
    cell = load_cell("lfp_280")
    raw = {"name": "flat", "cell": "lfp_280", "strings": 1, "series": 1, "probes": 1, "sensors": BOARD}
    pack = compile_pack(PackFile.model_validate(raw), cell)
    true = other(pack.cell, ohm=1.1, capacity=0.98, offset_V=offset_V)
    swing_A = 60.0 * np.sin(np.arange(3600) / 90.0)  # a tenth of the charge up and down
    current_A = swing_A + np.repeat(np.random.default_rng(3).permuted(np.tile([-60.0, 60.0], 180)), 10)
    soc, cell_V = life_of(true, 0.5, current_A, 10.0)
    state = sure(bms.start(pack)._replace(time_s=0.0), 0.55, 0.1)
    state.belief.covariance[:, 9] = 0.011**2  # the model's own error, and a hysteresis that nobody has seen
    state = state._replace(belief=state.belief._replace(started=1.0))
    _, record = believe(pack, state, current_A + pack.sensors.current_offset_A, cell_V, 10.0)
    error = np.abs(record.soc_min[:, 0] - soc)
    assert (error < 3.0 * record.soc_sigma).all()
    assert record.soc_sigma.max() < 0.1


def numbers(belief: Belief) -> Array:
    return np.concatenate([np.ravel(part) for part in belief])


@pytest.mark.parametrize("cell_V", [1e9, 60.0, 3.3, math.nan])
def test_no_number_of_the_belief_ever_becomes_denormal(cell_V: float) -> None:
    """After a load the RC voltages and covariances decay for hours, on readings that are rejected."""
    state, _ = believe(PACK, sure(CLOSED, 0.5, 0.05), drive(100), np.full(100, 3.6), 1.0)
    ticks = np.zeros(50)
    for _ in range(300):
        state, _ = believe(PACK, state, ticks, np.full(50, cell_V), 1.0)
        left = np.abs(numbers(state.belief))
        assert ((left == 0.0) | (left >= TINIEST)).all()
        assert np.isfinite(left).all()
