"""The equations of one cell against their closed forms, and the compiled code against plain Python."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from packhorse.cell import physics
from packhorse.pack.compile import DEGC_GRID, SOC_GRID
from packhorse.pack.words import DEGC_NODES, NODE_COLUMNS, SOC_NODES, Array

DICE = np.random.default_rng(20)
NODES = np.ascontiguousarray(DICE.uniform(0.1, 4.0, (DEGC_NODES, SOC_NODES, NODE_COLUMNS)))
SOC_TABLE = np.ascontiguousarray(DICE.uniform(-1.0, 1.0, SOC_NODES))
DEGC_TABLE = np.ascontiguousarray(DICE.uniform(0.1, 400.0, (DEGC_NODES, 7)))

soc = st.floats(0, 1)
degC = st.floats(-40, 80)
anywhere = st.floats(allow_nan=True, allow_infinity=True)
current_A = st.floats(-1000, 1000)
quick = settings(max_examples=200, deadline=None)


def table_at(nodes: Array, soc: float, degC: float) -> Array:
    """Every column of the nodes at one point: first along SOC, then along temperature, by numpy alone."""
    columns = range(NODE_COLUMNS)
    rows = np.array([[np.interp(soc, SOC_GRID, nodes[t, :, c]) for c in columns] for t in range(DEGC_NODES)])
    return np.array([np.interp(degC, DEGC_GRID, rows[:, c]) for c in columns])


@given(st.floats(0, 1))
@quick
def test_decay_is_the_exponential_to_nine_digits_within_one_time_constant(x: float) -> None:
    assert physics.decay(x) == pytest.approx(math.exp(-x), rel=1e-9, abs=0)


@given(st.floats(0, 32))
@quick
def test_decay_is_the_exponential_to_two_percent_within_thirty_two_time_constants(x: float) -> None:
    assert physics.decay(x) == pytest.approx(math.exp(-x), rel=0.02, abs=0)


@given(st.floats(32, 1e300))
@quick
def test_decay_stands_still_beyond_thirty_two(x: float) -> None:
    assert physics.decay(x) == physics.decay(32.0)
    assert 0.0 < physics.decay(x) < 2e-14


def test_decay_starts_at_one_and_never_rises() -> None:
    values = [physics.decay(float(x)) for x in np.linspace(0, 40, 4001)]
    assert values[0] == 1.0
    assert all(later <= earlier for earlier, later in pairwise(values))


@given(soc, degC)
@quick
def test_parameters_are_bilinear_between_the_nodes(soc: float, degC: float) -> None:
    ocv_V, _, *ohm = physics.parameters(NODES, soc, degC)
    want = table_at(NODES, soc, degC)
    assert [ocv_V, *ohm] == pytest.approx(want[:4], rel=1e-7)
    each = [physics.at_node(NODES, soc, degC, column) for column in range(NODE_COLUMNS)]
    assert each == pytest.approx(want, rel=1e-7)
    assert each[:4] == [ocv_V, *ohm]


@given(st.integers(0, SOC_NODES - 2), st.floats(0.1, 0.9), degC)
@quick
def test_the_slope_is_the_rise_of_ocv_between_two_nodes(node: int, share: float, degC: float) -> None:
    _, slope_V, *_ = physics.parameters(NODES, (node + share) / (SOC_NODES - 1), degC)
    rise_V = table_at(NODES, SOC_GRID[node + 1], degC)[0] - table_at(NODES, SOC_GRID[node], degC)[0]
    assert slope_V == pytest.approx(rise_V * (SOC_NODES - 1), rel=1e-6, abs=1e-6)


@given(st.floats(1, 1e30), st.floats(0, 1e30), st.floats(80, 1e30), st.floats(-1e30, -40))
@quick
def test_tables_are_held_at_their_edges(over: float, under: float, hot: float, cold: float) -> None:
    for s, t, corner in (
        (over, hot, NODES[-1, -1]),
        (-under, hot, NODES[-1, 0]),
        (over, cold, NODES[0, -1]),
        (-under, cold, NODES[0, 0]),
    ):
        ocv_V, _, *ohm = physics.parameters(NODES, s, t)
        assert [ocv_V, *ohm] == pytest.approx(corner[:4], rel=1e-6)
        assert [physics.at_node(NODES, s, t, c) for c in range(NODE_COLUMNS)] == pytest.approx(corner, rel=1e-6)
    assert physics.over_soc(SOC_TABLE, over) == pytest.approx(SOC_TABLE[-1], rel=1e-6, abs=1e-8)
    assert physics.over_soc(SOC_TABLE, -under) == SOC_TABLE[0]
    assert physics.over_degC(DEGC_TABLE, hot, 4) == pytest.approx(DEGC_TABLE[-1, 4], rel=1e-6)
    assert physics.over_degC(DEGC_TABLE, cold, 4) == DEGC_TABLE[0, 4]


@given(soc, degC, st.integers(0, 6))
@quick
def test_tables_over_one_axis_are_linear_between_the_nodes(soc: float, degC: float, other: int) -> None:
    one = np.interp(soc, SOC_GRID, SOC_TABLE)
    assert physics.over_soc(SOC_TABLE, soc) == pytest.approx(one, rel=1e-7, abs=1e-7)
    want = [np.interp(degC, DEGC_GRID, DEGC_TABLE[:, k]) for k in range(7)]
    assert physics.over_degC(DEGC_TABLE, degC, other) == pytest.approx(want[other], rel=1e-7)
    assert physics.three_over_degC(DEGC_TABLE, degC) == pytest.approx(want[:3], rel=1e-7)


@given(anywhere, anywhere)
@quick
def test_whatever_is_looked_up_the_answer_is_from_the_table(soc: float, degC: float) -> None:
    ocv_V, slope_V, *ohm = physics.parameters(NODES, soc, degC)
    assert all(NODES.min() <= value <= NODES.max() * (1 + 1e-12) for value in (ocv_V, *ohm))
    assert math.isfinite(slope_V)
    assert abs(physics.over_soc(SOC_TABLE, soc)) <= 1.0
    assert all(math.isfinite(value) for value in physics.three_over_degC(DEGC_TABLE, degC))


@given(soc, st.floats(0.1, 1000), st.floats(0.1, 3600), current_A)
@quick
def test_counting_there_and_back_returns_to_the_start(soc: float, capacity_Ah: float, dt_s: float, A: float) -> None:
    there = physics.count(soc, A, capacity_Ah, dt_s)
    assert physics.count(there, -A, capacity_Ah, dt_s) == pytest.approx(soc, abs=1e-6)
    assert (there <= soc) == (A >= 0) or there == soc


@given(st.floats(0.1, 1000))
@quick
def test_an_hour_at_the_capacity_empties_the_cell(capacity_Ah: float) -> None:
    assert physics.count(1.0, capacity_Ah, capacity_Ah, 3600.0) == pytest.approx(0.0, abs=1e-12)


@given(st.floats(-1, 1), current_A, st.floats(1e-5, 1), st.floats(0.1, 1000), st.floats(0.01, 1000))
@quick
def test_relaxation_follows_the_closed_form(start_V: float, A: float, ohm: float, tau_s: float, dt_s: float) -> None:
    keep = math.exp(-dt_s / tau_s)
    goal_V = A * ohm
    exact_V = goal_V + (start_V - goal_V) * keep
    assert physics.relax(start_V, A, ohm, keep) == pytest.approx(exact_V, rel=1e-9, abs=1e-9)


@given(st.floats(-1, 1), current_A, st.floats(1e-5, 1), st.floats(1, 1000), st.integers(1, 200))
@quick
def test_many_small_steps_equal_one_large_step(start_V: float, A: float, ohm: float, tau_s: float, n: int) -> None:
    small_V = start_V
    for _ in range(n):
        small_V = physics.relax(small_V, A, ohm, math.exp(-1.0 / tau_s))
    large_V = physics.relax(start_V, A, ohm, math.exp(-n / tau_s))
    assert small_V == pytest.approx(large_V, rel=1e-9, abs=1e-9)


@given(st.floats(-1, 1), arrays(np.float64, 20, elements=current_A), st.floats(0, 500), st.floats(0.01, 600))
@quick
def test_hysteresis_never_leaves_minus_one_to_one(h: float, currents_A: Array, rate: float, dt_s: float) -> None:
    for A in currents_A:
        was, h = h, physics.hysteresis(h, A, 50.0, rate, dt_s)
        assert -1.0 <= h <= 1.0
        assert h <= was + 1e-15 if A > 0 else h >= was - 1e-15


@given(st.floats(-1, 1), st.floats(-100, 100), st.floats(1, 200))
@quick
def test_hysteresis_follows_the_closed_form(h: float, A: float, rate: float) -> None:
    moved = rate * abs(A) * 10.0 / (3600.0 * 100.0)
    goal = -1.0 if A > 0 else 1.0
    exact = goal + (h - goal) * math.exp(-moved)
    assert physics.hysteresis(h, A, 100.0, rate, 10.0) == pytest.approx(exact, abs=1e-9)


@given(st.floats(-1, 1))
@quick
def test_hysteresis_stays_at_rest(h: float) -> None:
    assert physics.hysteresis(h, 0.0, 100.0, 50.0, 3600.0) == h


@given(st.floats(2, 4), st.floats(0, 1), st.floats(0, 500))
@quick
def test_discharge_lowers_and_charge_raises_the_terminal_voltage(ocv_V: float, ohm: float, A: float) -> None:
    low_V = physics.terminal_V(ocv_V, 0.0, 0.1 * ohm * A, 0.2 * ohm * A, ohm, A)
    high_V = physics.terminal_V(ocv_V, 0.0, -0.1 * ohm * A, -0.2 * ohm * A, ohm, -A)
    assert low_V == pytest.approx(ocv_V - 1.3 * ohm * A, abs=1e-9)
    assert high_V == pytest.approx(ocv_V + 1.3 * ohm * A, abs=1e-9)


@given(current_A, st.floats(0, 0.1), degC)
@quick
def test_losses_always_heat(A: float, ohm: float, degC: float) -> None:
    assert physics.heat_W(A, ohm * A, 0.0, degC) == pytest.approx(ohm * A * A, rel=1e-12)


@given(st.floats(1, 1000), st.floats(1e-6, 1e-3), degC)
@quick
def test_positive_entropy_cools_in_discharge_and_heats_in_charge(A: float, V_per_K: float, degC: float) -> None:
    discharge_W, charge_W = physics.heat_W(A, 0.0, V_per_K, degC), physics.heat_W(-A, 0.0, V_per_K, degC)
    assert discharge_W == pytest.approx(-A * (degC + 273.15) * V_per_K, rel=1e-12)
    assert discharge_W < 0 < charge_W
    assert discharge_W == -charge_W


def plainly(function: Any, *arguments: Any) -> Any:
    """What the same source gives as ordinary Python."""
    return getattr(function, "py_func", function)(*arguments)


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit; NaN equals NaN."""
    return bool(np.array_equal(np.array(a, dtype=np.float64), np.array(b, dtype=np.float64), equal_nan=True))


@given(anywhere, anywhere, current_A, st.floats(0, 1e6))
@quick
def test_compiled_and_plain_python_agree_to_the_bit(soc: float, degC: float, A: float, x: float) -> None:
    with np.errstate(all="ignore"):
        for function, arguments in (
            (physics.decay, (x,)),
            (physics.parameters, (NODES, soc, degC)),
            (physics.over_soc, (SOC_TABLE, soc)),
            (physics.at_node, (NODES, soc, degC, 4)),
            (physics.over_degC, (DEGC_TABLE, degC, 2)),
            (physics.three_over_degC, (DEGC_TABLE, degC)),
            (physics.count, (soc, A, 100.0, x)),
            (physics.relax, (soc, A, 0.001, 0.9)),
            (physics.hysteresis, (0.3, A, 100.0, 50.0, x)),
            (physics.terminal_V, (soc, 0.01, 0.02, 0.03, 0.001, A)),
            (physics.heat_W, (A, soc, 1e-4, degC)),
        ):
            assert same(function(*arguments), plainly(function, *arguments)), function
