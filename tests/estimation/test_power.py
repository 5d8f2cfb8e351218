"""What the battery can give and take: kept when the cell's equations are stepped through it, and hardly more."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhorse.cell import physics
from packhorse.compiled import compiled
from packhorse.estimation import power
from packhorse.estimation.power import CHARGE, DISCHARGE, HORIZONS_S, Cells, Window
from packhorse.pack.compile import compile_cell
from packhorse.pack.load import load_cell, names
from packhorse.pack.words import Array, Cell

CELLS = {name: compile_cell(load_cell(name)) for name in names("cells")}
SIGN = (1.0, -1.0)
WINDOW = Window(margin_V=0.03, soc_low=0.02, soc_high=1.0, charge_min_degC=0.0, charge_max_degC=50.0, z=1.645)
STEP_S = 0.1
DISCHARGE_A, DISCHARGE_10S_A = 3, 5
CAREFUL_V = 1e-3
quick = settings(max_examples=300, deadline=None)


@compiled
def string_power(cell: Cell, cells: Cells, window: Window, current_A: Array, power_W: Array) -> tuple[float, float]:
    return power.string_power(cell, cells, window, current_A, power_W)


@compiled
def pack_power(connected: Array, ohm: Array, string_A: Array, string_W: Array) -> tuple[Array, Array]:
    return power.pack_power(connected, ohm[0], ohm[1], string_A, string_W)


@compiled
def stepped(
    cell: Cell,
    soc: float,
    rc1_V: float,
    rc2_V: float,
    h: float,
    factors: Array,
    degC: float,
    asked: float,
    watts: float,
) -> Array:
    """Lowest and highest voltage at the end of each horizon since the start, SOC, largest current; step by step.

    `asked` is the current, positive discharging; where `watts` is not 0, it is the power that is held instead.
    """
    out = np.empty((4, 4))
    tau1_s, tau2_s, share = physics.three_over_degC(cell.degC_nodes, degC)
    capacity_Ah = cell.capacity_Ah * share * factors[0]
    keep1, keep2 = math.exp(-STEP_S / tau1_s), math.exp(-STEP_S / tau2_s)
    lowest_V, highest_V, most_A, current_A = math.inf, -math.inf, 0.0, asked
    n = 0
    for k in range(round(HORIZONS_S[-1] / STEP_S) + 1):
        if k > 0:
            middle = physics.count(soc, current_A, capacity_Ah, 0.5 * STEP_S)
            _, _, _, r1, r2 = physics.parameters(cell.nodes, middle, degC)
            rc1_V = physics.relax(rc1_V, current_A, r1 * factors[1], keep1)
            rc2_V = physics.relax(rc2_V, current_A, r2 * factors[1], keep2)
            h = physics.hysteresis(h, current_A, capacity_Ah, cell.hysteresis_rate, STEP_S)
            soc = physics.count(soc, current_A, capacity_Ah, STEP_S)
        ocv_V, _, r0, _, _ = physics.parameters(cell.nodes, soc, degC)
        hysteresis_V = physics.at_node(cell.nodes, soc, degC, 4) * h
        if watts != 0.0:
            for _ in range(20):
                current_A = watts / physics.terminal_V(ocv_V, hysteresis_V, rc1_V, rc2_V, r0 * factors[1], current_A)
        v = physics.terminal_V(ocv_V, hysteresis_V, rc1_V, rc2_V, r0 * factors[1], current_A)
        lowest_V, highest_V = min(lowest_V, v), max(highest_V, v)
        most_A = max(most_A, abs(current_A))
        if k == round(HORIZONS_S[n] / STEP_S):
            out[n] = np.array([lowest_V, highest_V, soc, most_A])
            n += 1
    return out


def string_of(cells: int = 1, **changes: float | Array) -> Cells:
    """Cells that are alike but for what is given for each; RC voltages in volts."""
    plain: dict[str, Any] = {
        "soc": 0.5,
        "soc_sigma": 0.0,
        "rc1_V": 0.0,
        "rc2_V": 0.0,
        "hysteresis": 0.0,
        "capacity_factor": 1.0,
        "resistance_factor": 1.0,
        "resistance_sigma": 0.0,
        "degC": 25.0,
    }
    assert not set(changes) - set(plain)
    return Cells(**{name: np.zeros(cells) + value for name, value in (plain | changes).items()})


def allowed(cell: Cell, cells: Cells, window: Window = WINDOW) -> tuple[Array, Array]:
    """Current and power, (2, horizons)."""
    current_A, power_W = np.full((2, 4), math.nan), np.full((2, 4), math.nan)
    with np.errstate(all="ignore"):  # where the code runs as plain Python
        string_power(cell, cells, window, current_A, power_W)
    return current_A, power_W


def rating_A(cell: Cell, degC: float, direction: int) -> Array:
    steady = physics.over_degC(cell.degC_nodes, degC, DISCHARGE_A + direction)
    peak = physics.over_degC(cell.degC_nodes, degC, DISCHARGE_10S_A + direction)
    between = np.interp(np.log(HORIZONS_S), np.log([10.0, 600.0]), [peak, steady])
    if direction == CHARGE and not WINDOW.charge_min_degC <= degC <= WINDOW.charge_max_degC:
        return np.zeros(4)
    return np.asarray(np.minimum.accumulate(between))


def driven(cell: Cell, cells: Cells, current_A: float, watts: float = 0.0, z: float = WINDOW.z) -> Array:
    """The equations stepped with the first cell as the doubt has it, `current_A` positive discharging."""
    sign = 1.0 if current_A > 0.0 else -1.0
    factors = np.array([cells.capacity_factor[0], cells.resistance_factor[0] + z * cells.resistance_sigma[0]])
    soc = cells.soc[0] - sign * z * cells.soc_sigma[0]
    state = (cells.rc1_V[0], cells.rc2_V[0], cells.hysteresis[0])
    return stepped(cell, soc, *state, factors, cells.degC[0], current_A, watts)


@st.composite
def any_cell(draw: st.DrawFn, sure: bool = False, calm: float = 1.0) -> tuple[str, Cells]:
    """A cell of the catalogue anywhere: RC pairs and hysteresis as any drive may have left them."""
    name = draw(st.sampled_from(sorted(CELLS)))
    cell = CELLS[name]
    soc, degC = draw(st.floats(0, 1)), draw(st.floats(-30, 55))
    factor = draw(st.floats(0.5, 3))
    _, _, _, r1, r2 = physics.parameters(cell.nodes, soc, degC)
    peak_A = physics.over_degC(cell.degC_nodes, degC, DISCHARGE_10S_A)
    cells = string_of(
        soc=soc,
        degC=degC,
        soc_sigma=0.0 if sure else draw(st.floats(0, 0.1)),
        resistance_factor=factor,
        resistance_sigma=0.0 if sure else draw(st.floats(0, 0.3)),
        capacity_factor=draw(st.floats(0.6, 1.1)),
        rc1_V=r1 * factor * peak_A * calm * draw(st.floats(-0.8, 1)),
        rc2_V=r2 * factor * peak_A * calm * draw(st.floats(-0.8, 1)),
        hysteresis=draw(st.floats(-1, 1)),
    )
    return name, cells


def beyond_V(cell: Cell, direction: int, reached: Array) -> Array:
    """How far the voltage went beyond its limit by the end of each horizon."""
    if direction == DISCHARGE:
        return np.asarray(cell.min_V + WINDOW.margin_V - reached[:, 0])
    return np.asarray(reached[:, 1] - cell.max_V + WINDOW.margin_V)


def past(direction: int, reached: Array) -> Array:
    """How far the SOC went past its window at the end of each horizon."""
    return np.asarray(WINDOW.soc_low - reached[:, 2] if direction == DISCHARGE else reached[:, 2] - WINDOW.soc_high)


@pytest.mark.parametrize("direction", [DISCHARGE, CHARGE])
@given(any_cell())
@quick
def test_the_current_promised_is_kept_by_the_cell_that_doubt_describes(
    direction: int, which: tuple[str, Cells]
) -> None:
    cell, cells = CELLS[which[0]], which[1]
    current_A, _ = allowed(cell, cells)
    assert np.all(current_A[direction] <= rating_A(cell, cells.degC[0], direction) * (1 + 1e-12))
    for n in np.flatnonzero(current_A[direction] > 0.0):
        reached = driven(cell, cells, SIGN[direction] * current_A[direction, n])
        assert beyond_V(cell, direction, reached)[n] <= CAREFUL_V
        assert past(direction, reached)[n] <= 1e-9


@pytest.mark.parametrize("direction", [DISCHARGE, CHARGE])
@given(any_cell())
@quick
def test_the_power_promised_can_be_held_and_never_needs_more_current(direction: int, which: tuple[str, Cells]) -> None:
    cell, cells = CELLS[which[0]], which[1]
    current_A, power_W = allowed(cell, cells)
    for n in np.flatnonzero(power_W[direction] > 0.0):
        watts = SIGN[direction] * power_W[direction, n]
        reached = driven(cell, cells, SIGN[direction] * current_A[direction, n], watts)
        assert beyond_V(cell, direction, reached)[n] <= CAREFUL_V
        assert past(direction, reached)[n] <= 1e-4
        assert reached[n, 3] <= current_A[direction, n] * 1.002


@pytest.mark.parametrize("direction", [DISCHARGE, CHARGE])
@given(any_cell(sure=True, calm=0.0))
@quick
def test_a_little_more_current_reaches_a_limit_where_nothing_is_in_doubt(
    direction: int, which: tuple[str, Cells]
) -> None:
    cell, cells = CELLS[which[0]], which[1]
    current_A, _ = allowed(cell, cells)
    rated_A = rating_A(cell, cells.degC[0], direction)
    for n in range(4):
        more = 1.01 if HORIZONS_S[n] < 600.0 else 1.04
        asked_A = more * current_A[direction, n] + 1e-6 * cell.capacity_Ah
        if asked_A >= rated_A[n]:
            continue
        reached = driven(cell, cells, SIGN[direction] * asked_A)
        if falls_on_the_way(cell, cells, reached[n, 2]):
            continue
        assert beyond_V(cell, direction, reached)[n] > -1e-3 or past(direction, reached)[n] > -1e-9


def falls_on_the_way(cell: Cell, cells: Cells, soc_end: float) -> bool:
    """Whether any resistance becomes smaller on the way: there the promise is careful by design."""
    start = physics.parameters(cell.nodes, cells.soc[0], cells.degC[0])[2:]
    end = physics.parameters(cell.nodes, soc_end, cells.degC[0])[2:]
    return any(later < first * 0.995 for first, later in zip(start, end, strict=True))


@given(any_cell(), st.floats(0, 0.2), st.floats(0, 0.5), st.floats(1, 2))
@quick
def test_more_doubt_more_resistance_and_a_longer_horizon_never_allow_more(
    which: tuple[str, Cells], doubt: float, doubted: float, resistance: float
) -> None:
    cell, cells = CELLS[which[0]], which[1]
    base_A, base_W = allowed(cell, cells)
    assert np.all(np.diff(base_A, axis=1) <= 0)
    assert np.all(base_A >= 0)
    worse = [
        cells._replace(soc_sigma=cells.soc_sigma + doubt),
        cells._replace(resistance_sigma=cells.resistance_sigma + doubted),
        cells._replace(resistance_factor=cells.resistance_factor * resistance),
    ]
    for worse_cells in worse:
        worse_A, worse_W = allowed(cell, worse_cells)
        assert np.all(worse_A <= base_A * (1 + 1e-4) + 1e-9)
        assert np.all(worse_W <= base_W * (1 + 1e-4) + 1e-6)


@given(st.lists(any_cell(), min_size=2, max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_string_may_do_what_its_worst_cell_may(which: list[tuple[str, Cells]]) -> None:
    cell = CELLS[which[0][0]]
    together = Cells(*(np.concatenate(each) for each in zip(*(cells for _, cells in which), strict=True)))
    current_A, _ = allowed(cell, together)
    alone_A = np.min([allowed(cell, cells)[0] for _, cells in which], axis=0)
    # every answer leaves room, but the search stops after a few steps, a hair below the largest that does
    assert np.all(current_A <= alone_A * (1 + 1e-4) + 1e-9)
    # for 30 s the rating lies between the smallest of two ratings, which may be those of two different cells
    others = [0, 1, 3]
    assert current_A[:, others] == pytest.approx(alone_A[:, others], rel=1e-3, abs=1e-6 * cell.capacity_Ah)


@pytest.mark.parametrize("name", sorted(CELLS))
def test_alike_cells_in_series_multiply_the_power(name: str) -> None:
    one_A, one_W = allowed(CELLS[name], string_of())
    many_A, many_W = allowed(CELLS[name], string_of(192))
    assert many_A == pytest.approx(one_A)
    assert many_W == pytest.approx(192 * one_W)
    assert np.all(one_W > 0)


@pytest.mark.parametrize("name", sorted(CELLS))
def test_a_healthy_warm_half_full_cell_is_allowed_its_ratings(name: str) -> None:
    current_A, power_W = allowed(CELLS[name], string_of())
    for direction in (DISCHARGE, CHARGE):
        assert current_A[direction] == pytest.approx(rating_A(CELLS[name], 25.0, direction))
    volts = power_W / current_A
    assert np.all((volts > CELLS[name].min_V) & (volts < CELLS[name].max_V))


@pytest.mark.parametrize("degC", [-30.0, -0.1, 50.1, math.nextafter(0.0, -1.0)])
def test_no_charge_is_allowed_outside_the_temperatures_for_it(degC: float) -> None:
    cells = string_of(5, degC=np.array([25.0, 25.0, degC, 25.0, 25.0]))
    for cell in CELLS.values():
        current_A, power_W = allowed(cell, cells)
        assert not current_A[CHARGE].any()
        assert not power_W[CHARGE].any()
        assert current_A[DISCHARGE].all()


@pytest.mark.parametrize("nothing", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", Cells._fields)
def test_what_is_not_known_of_one_cell_allows_nothing(field: str, nothing: float) -> None:
    values = getattr(string_of(5), field).copy()
    values[3] = nothing
    for cell in CELLS.values():
        current_A, power_W = allowed(cell, string_of(5, **{field: values}))
        assert not current_A.any()
        assert not power_W.any()


@pytest.mark.parametrize("field", ["capacity_factor", "resistance_factor"])
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_factor_that_cannot_be_allows_nothing(field: str, value: float) -> None:
    for cell in CELLS.values():
        assert not allowed(cell, string_of(**{field: value}))[0].any()


@pytest.mark.parametrize(("soc", "direction"), [(0.02, DISCHARGE), (0.0, DISCHARGE), (1.0, CHARGE)])
def test_an_empty_cell_gives_nothing_and_a_full_one_takes_nothing(soc: float, direction: int) -> None:
    for cell in CELLS.values():
        current_A, _ = allowed(cell, string_of(soc=soc))
        assert not current_A[direction].any()
        assert current_A[1 - direction].all()


def of_strings(*cells: Cells, connected: tuple[float, ...] = (1.0, 1.0)) -> tuple[Array, Array, Array, Array]:
    """Current and power of the pack, then of each string."""
    cell = CELLS["nmc_60"]
    string_A, string_W, ohm = np.empty((len(cells), 2, 4)), np.empty((len(cells), 2, 4)), np.empty((2, len(cells)))
    for s, each in enumerate(cells):
        ohm[:, s] = string_power(cell, each, WINDOW, string_A[s], string_W[s])
    return (*pack_power(np.array(connected), ohm, string_A, string_W), string_A, string_W)


def test_equal_strings_add_up() -> None:
    pack_A, pack_W, string_A, string_W = of_strings(string_of(5), string_of(5))
    assert pack_A == pytest.approx(string_A.sum(axis=0))
    assert pack_W == pytest.approx(string_W.sum(axis=0))


def test_a_string_that_left_counts_for_nothing() -> None:
    pack_A, pack_W, string_A, string_W = of_strings(string_of(5), string_of(5, soc=math.nan), connected=(1.0, 0.0))
    assert pack_A == pytest.approx(string_A[0])
    assert pack_W == pytest.approx(string_W[0])
    assert not of_strings(string_of(5), string_of(5), connected=(0.0, 0.0))[0].any()


@given(st.floats(1, 3), st.floats(0.1, 0.9))
@quick
def test_unequal_strings_give_less_than_their_sum_and_none_is_asked_beyond_its_own(factor: float, soc: float) -> None:
    pack_A, pack_W, string_A, string_W = of_strings(string_of(5), string_of(5, soc=soc, resistance_factor=factor))
    assert np.all(pack_A <= string_A.sum(axis=0) * (1 + 1e-9))
    assert np.all(pack_W <= string_W.sum(axis=0) * (1 + 1e-9))
    stronger = factor / (1.0 + factor)
    assert np.all(pack_A * stronger <= string_A[0] * 1.15)


def test_one_string_not_known_stops_the_pack_that_it_is_connected_to() -> None:
    assert not of_strings(string_of(5), string_of(5, soc=math.nan))[0].any()
