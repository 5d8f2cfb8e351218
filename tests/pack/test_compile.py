"""Tables over temperature on the grid: linear between the rows, moved by entropy or held beyond them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from packhorse.pack.compile import DEGC_GRID, SOC_GRID, compile_cell
from packhorse.pack.description import CellFile
from packhorse.pack.words import DEGC_NODES, SOC_NODES, Array, Cell
from packs import CELL

SOC = CELL["ocv"]["soc"]
COLD, ROOM, WARM = ([v + dv for v in CELL["ocv"]["ocv_V"]] for dv in (-0.02, 0.0, 0.01))
ENTROPY = [1e-4, 2e-4, -1e-4, 0.0, 1e-4]
OCV_V, HYSTERESIS_V, MODEL_V = 0, 4, 5


def compiled(ocv: dict[str, Any] | None = None, error: dict[str, Any] | None = None, **more: Any) -> Cell:
    """The test cell with another [ocv] and another [model_error]."""
    whole = copy.deepcopy(CELL)
    parallel = more.pop("parallel", 1)
    whole["ocv"] |= ocv or {}
    if error is not None:
        whole["model_error"] = error
    return compile_cell(CellFile.model_validate(whole | more), parallel)


def at(cell: Cell, degC: float, column: int = OCV_V) -> Array:
    """One column at a temperature of the grid."""
    return cell.nodes[int(np.flatnonzero(degC == DEGC_GRID)[0]), :, column]


def over_soc(row: list[float], soc: list[float] = SOC) -> Array:
    return np.interp(SOC_GRID, soc, row)


def test_ocv_is_linear_between_its_rows() -> None:
    cell = compiled({"degC": [0, 20, 40], "ocv_V": [COLD, ROOM, WARM], "entropy_V_per_K": ENTROPY})
    for degC, low, high, share in (
        (0.0, COLD, ROOM, 0.0),
        (5.0, COLD, ROOM, 0.25),
        (20.0, COLD, ROOM, 1.0),
        (35.0, ROOM, WARM, 0.75),
        (40.0, ROOM, WARM, 1.0),
    ):
        between = (1.0 - share) * over_soc(low) + share * over_soc(high)
        np.testing.assert_allclose(at(cell, degC), between, rtol=1e-12)


def test_rows_need_not_lie_on_the_grid() -> None:
    cell = compiled({"degC": [-3, 23], "ocv_V": [COLD, ROOM]})
    np.testing.assert_allclose(at(cell, 10.0), 0.5 * (over_soc(COLD) + over_soc(ROOM)), rtol=1e-12)


@pytest.mark.parametrize(("degC", "row", "beyond_K"), [(-40.0, COLD, -40.0), (-5.0, COLD, -5.0), (80.0, WARM, 40.0)])
def test_beyond_its_rows_entropy_moves_the_ocv_of_the_nearest(degC: float, row: list[float], beyond_K: float) -> None:
    cell = compiled({"degC": [0, 20, 40], "ocv_V": [COLD, ROOM, WARM], "entropy_V_per_K": ENTROPY})
    np.testing.assert_allclose(at(cell, degC), over_soc(row) + beyond_K * over_soc(ENTROPY), rtol=1e-12)
    held = compiled({"degC": [0, 20, 40], "ocv_V": [COLD, ROOM, WARM]})
    np.testing.assert_allclose(at(held, degC), over_soc(row), rtol=1e-12)


@pytest.mark.parametrize("own", [None, 10.0])
def test_one_curve_is_moved_by_entropy_from_its_own_temperature(own: float | None) -> None:
    cell = compiled({"entropy_V_per_K": ENTROPY} | ({} if own is None else {"degC": [own]}))
    for k, degC in enumerate(DEGC_GRID):
        moved = over_soc(ROOM) + (degC - (25.0 if own is None else own)) * over_soc(ENTROPY)
        np.testing.assert_allclose(cell.nodes[k, :, OCV_V], moved, rtol=1e-12)
    np.testing.assert_array_equal(cell.entropy_V_per_K, over_soc(ENTROPY))


def test_a_curve_may_be_a_list_or_a_single_row() -> None:
    as_list = compiled({"hysteresis_V": [0.01] * 5})
    as_row = compiled({"ocv_V": [ROOM], "hysteresis_V": [[0.01] * 5]})
    np.testing.assert_array_equal(as_list.nodes, as_row.nodes)


def test_hysteresis_is_linear_between_its_rows_and_held_beyond() -> None:
    wide, narrow = [0.04, 0.03, 0.02, 0.03, 0.04], [0.01] * 5
    cell = compiled({"degC": [0, 20], "ocv_V": [COLD, ROOM], "hysteresis_V": [wide, narrow]}, parallel=3)
    for degC, share in ((-40.0, 0.0), (0.0, 0.0), (5.0, 0.25), (20.0, 1.0), (80.0, 1.0)):
        between = (1.0 - share) * over_soc(wide) + share * over_soc(narrow)
        np.testing.assert_allclose(at(cell, degC, HYSTERESIS_V), between, rtol=1e-12)


def test_one_row_of_either_goes_with_many_of_the_other() -> None:
    width = [0.04, 0.03, 0.02, 0.03, 0.04]
    cell = compiled({"degC": [0, 20], "ocv_V": [COLD, ROOM], "hysteresis_V": width})
    np.testing.assert_array_equal(cell.nodes[:, :, HYSTERESIS_V], np.tile(over_soc(width), (DEGC_NODES, 1)))
    one = compiled({"degC": [0, 20], "hysteresis_V": [width, [0.0] * 5]})
    np.testing.assert_array_equal(at(one, 5.0), over_soc(ROOM))
    np.testing.assert_allclose(at(one, 5.0, HYSTERESIS_V), 0.75 * over_soc(width), rtol=1e-12)


def test_without_hysteresis_its_half_width_is_zero() -> None:
    assert not compiled().nodes[:, :, HYSTERESIS_V].any()


def test_without_a_table_the_model_error_is_that_of_the_cell() -> None:
    cell = compiled(model_sigma_V=0.012)
    np.testing.assert_array_equal(cell.nodes[:, :, MODEL_V], np.full((DEGC_NODES, SOC_NODES), 0.012))
    assert cell.fast_sigma_V == 0.006
    assert (cell.fast_share, cell.slow_s, cell.slow_soc, cell.fast_s) == (0.1, 14_400.0, 0.5, 20.0)


def test_the_model_error_is_linear_in_soc_and_between_its_rows_and_held_beyond() -> None:
    soc, cold, room = [0.1, 0.5, 0.9], [0.04, 0.02, 0.03], [0.02, 0.01, 0.01]
    given = {"degC": [0, 20], "soc": soc, "sigma_V": [cold, room]}
    given |= {"fast_sigma_V": 0.003, "fast_share": 0.2, "slow_s": 600.0, "slow_soc": 0.1, "fast_s": 5.0}
    cell = compiled(error=given, parallel=3)
    for degC, share in ((-40.0, 0.0), (0.0, 0.0), (5.0, 0.25), (20.0, 1.0), (80.0, 1.0)):
        between = (1.0 - share) * over_soc(cold, soc) + share * over_soc(room, soc)
        np.testing.assert_allclose(at(cell, degC, MODEL_V), between, rtol=1e-12)
    assert at(cell, 20.0, MODEL_V)[[0, -1]].tolist() == [0.02, 0.01]
    assert cell.fast_sigma_V == 0.003
    assert (cell.fast_share, cell.slow_s, cell.slow_soc, cell.fast_s) == (0.2, 600.0, 0.1, 5.0)
