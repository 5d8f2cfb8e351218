"""From descriptions to the arrays that the core computes with; done once, at start-up.

Cells in parallel become one cell with more capacity. Every table is brought to the fixed grids of `words`:
resistance follows Arrhenius (its logarithm is linear in 1/T) between and beyond the tested temperatures, beyond them
for at most a factor of `BEYOND`; time constants likewise; everything else is linear and held at the ends.
"""

from __future__ import annotations

import numpy as np

from packhorse.pack.description import CellFile, PackFile, must
from packhorse.pack.faults import compile_faults
from packhorse.pack.words import (
    DEGC_FIRST,
    DEGC_NODES,
    DEGC_STEP,
    SOC_NODES,
    Array,
    Balancing,
    Cell,
    Charging,
    Contactors,
    Derating,
    Fitted,
    Index,
    Pack,
    Sensors,
    Thermal,
)

BEYOND = 4.0
CORE_K_PER_W, CORE_MASS_SHARE = 0.9, 0.3
"""Core over surface of a cell of one kilogram, falling with mass^0.4, and the share of its mass that warms with the
core. Assumed, so that 18650 cells come to 3 K/W and 40 s and large prismatic ones to 0.5 K/W and 12 min."""
STANDING, STANDING_LFP = 0.3, 0.1
"""Share of the lasting model error that is the same always and everywhere. Drives held back from fits left 0.17 to 0.21
on average; so much that 90 % intervals hold nine of ten rows of LG and two LFP cells. A flat curve makes much of it."""
MONTH_S = 30 * 86_400.0
KELVIN = 273.15
SOC_GRID: Array = np.linspace(0.0, 1.0, SOC_NODES)
DEGC_GRID: Array = DEGC_FIRST + DEGC_STEP * np.arange(DEGC_NODES, dtype=np.float64)


def given(value: float | None, otherwise: float) -> float:
    """The value where the file gives one; zero is a value."""
    return otherwise if value is None else value


def arrhenius(degC: list[float], values: Array, grid: Array = DEGC_GRID) -> Array:
    """Positive `values` (rows over `degC`) at every temperature of the grid, log-linear in 1/T."""
    logs = np.log(np.asarray(values, dtype=np.float64))
    if len(degC) == 1:
        return np.repeat(np.exp(logs), grid.size, axis=0)
    x = -1.0 / (np.asarray(degC) + KELVIN)
    at = -1.0 / (grid + KELVIN)
    place = np.clip(np.searchsorted(x, at) - 1, 0, x.size - 2)
    share = (at - x[place]) / (x[place + 1] - x[place])
    share = share.reshape(share.shape + (1,) * (logs.ndim - 1))
    out = logs[place] + share * (logs[place + 1] - logs[place])
    low, high = logs[0], logs[-1]
    edge = np.where((grid < degC[0]).reshape(share.shape), low, high)
    outside = ((grid < degC[0]) | (grid > degC[-1])).reshape(share.shape)
    limited = np.clip(out, edge - np.log(BEYOND), edge + np.log(BEYOND))
    return np.asarray(np.exp(np.where(outside, limited, out)))


def over_grid(soc: list[float], rows: list[list[float]], degC: list[float]) -> Array:
    """Rows over temperature at every node, (DEGC_NODES, SOC_NODES): linear, held at the ends."""
    over_soc = np.array([np.interp(SOC_GRID, soc, row) for row in rows])
    if len(rows) == 1:
        return np.repeat(over_soc, DEGC_NODES, axis=0)
    return np.array([np.interp(DEGC_GRID, degC, column) for column in over_soc.T]).T


def compile_cell(cell: CellFile, parallel: int = 1, capacity_Ah: float | None = None) -> Cell:
    """A cell group of `parallel` cells; `capacity_Ah` overrides the group's nominal capacity."""
    ocv, res, over, error = cell.ocv, cell.resistance, cell.over_temperature, cell.model_error
    entropy = np.interp(SOC_GRID, ocv.soc, ocv.entropy_V_per_K or [0.0] * len(ocv.soc))
    nodes = np.empty((DEGC_NODES, SOC_NODES, 6))
    beyond_K = DEGC_GRID - np.clip(DEGC_GRID, ocv.degC[0], ocv.degC[-1])
    nodes[:, :, 0] = over_grid(ocv.soc, ocv.ocv_V, ocv.degC) + np.outer(beyond_K, entropy)
    must(
        bool(np.all(np.diff(nodes[:, :, 0], axis=1) > 0)),
        "ocv.entropy_V_per_K makes the OCV fall with SOC at some temperature from -40 to 80 degC; check its sign and "
        "its unit (V/K, not mV/K), and that ocv_V rises clearly",
    )
    for column, table in enumerate((res.r0_ohm, res.r1_ohm, res.r2_ohm), start=1):
        over_soc = np.array([np.interp(SOC_GRID, res.soc, row) for row in table])
        nodes[:, :, column] = arrhenius(res.degC, over_soc) / parallel
    nodes[:, :, 4] = over_grid(ocv.soc, ocv.hysteresis_rows(), ocv.degC)
    lasting_V = error.sigma_V or [[cell.model_sigma_V] * len(error.soc)] * len(error.degC)
    nodes[:, :, 5] = over_grid(error.soc, lasting_V, error.degC)
    degC_nodes = np.empty((DEGC_NODES, 7))
    degC_nodes[:, 0] = arrhenius(res.degC, np.array(res.rc1_s))
    degC_nodes[:, 1] = arrhenius(res.degC, np.array(res.rc2_s))
    degC_nodes[:, 2] = np.interp(DEGC_GRID, over.degC, over.capacity_share)
    ratings = (over.discharge_A, over.charge_A, over.discharge_10s_A, over.charge_10s_A)
    for column, rating in enumerate(ratings, start=3):
        degC_nodes[:, column] = np.interp(DEGC_GRID, over.degC, rating) * parallel
    core_K_per_W = given(cell.core_K_per_W, CORE_K_PER_W * cell.mass_kg**-0.4)
    return Cell(
        nodes=nodes,
        entropy_V_per_K=entropy,
        degC_nodes=degC_nodes,
        capacity_Ah=given(capacity_Ah, cell.capacity_Ah * parallel),
        min_V=cell.min_V,
        max_V=cell.max_V,
        hysteresis_rate=ocv.hysteresis_rate,
        coulombic_efficiency=cell.coulombic_efficiency,
        self_discharge_per_s=cell.self_discharge_per_month / MONTH_S,
        heat_capacity_J_per_K=cell.mass_kg * cell.heat_capacity_J_per_kgK * parallel,
        resistance_sigma=cell.resistance_sigma,
        capacity_sigma=cell.capacity_sigma,
        fast_sigma_V=given(error.fast_sigma_V, 0.5 * cell.model_sigma_V),
        slow_s=error.slow_s,
        slow_soc=error.slow_soc,
        standing_share=given(error.standing_share, STANDING_LFP if cell.chemistry == "lfp" else STANDING),
        fast_s=error.fast_s,
        fast_share=error.fast_share,
        core_K_per_W=core_K_per_W / parallel,
        core_s=CORE_MASS_SHARE * cell.mass_kg * cell.heat_capacity_J_per_kgK * core_K_per_W,
    )


def probe_places(pack: PackFile) -> Index:
    """Which probe speaks for which cell: as written, else evenly along the string."""
    if pack.probe_of_cell is not None:
        return np.array(pack.probe_of_cell, dtype=np.int64)
    return np.arange(pack.series, dtype=np.int64) * min(pack.probes, pack.series) // pack.series


def compile_pack(pack: PackFile, cell_file: CellFile) -> Pack:
    """The pack as arrays. Raises ValueError where parts that are each valid do not fit together."""
    cell = compile_cell(cell_file, pack.parallel, pack.capacity_Ah)
    capacity_Ah = cell.capacity_Ah
    most_V = cell.max_V - pack.derating.margin_V
    charge_V = given(pack.charging.cell_V, most_V)
    must(charge_V <= cell.max_V, f"charging.cell_V {charge_V:g} is above the cell's max_V {cell.max_V:g}; lower it")
    warm = int(np.argmin(np.abs(DEGC_GRID - 25.0)))
    rated_A = float(cell.degC_nodes[warm, 5])
    temperature = np.array(
        [
            cell_file.min_charge_degC,
            cell_file.max_charge_degC,
            cell_file.min_discharge_degC,
            cell_file.max_discharge_degC,
        ]
    )
    balancing, thermal, derating = pack.balancing, pack.thermal, pack.derating
    changes = {name: change.model_dump() for name, change in pack.faults.items()}
    return Pack(
        strings=pack.strings,
        series=pack.series,
        cell=cell,
        probe_of_cell=probe_places(pack),
        probes=pack.probes,
        sensors=Sensors(**{name: float(value) for name, value in pack.sensors.model_dump().items()}),
        fitted=Fitted(**{name: float(value) for name, value in pack.fitted.model_dump().items()}),
        contactors=Contactors(**{name: float(value) for name, value in pack.contactors.model_dump().items()}),
        balancing=Balancing(
            bleed_ohm=balancing.bleed_ohm,
            start_Ah=balancing.start_share * capacity_Ah,
            stop_Ah=balancing.stop_share * capacity_Ah,
            min_cell_V=given(balancing.min_cell_V, 0.5 * (cell_file.min_V + cell_file.nominal_V)),
            max_string_A=balancing.max_string_share * capacity_Ah,
        ),
        thermal=Thermal(
            liquid=1.0 if thermal.cooling == "liquid" else 0.0,
            cool_on_degC=thermal.cool_on_degC,
            cool_off_degC=thermal.cool_off_degC,
            free_cooling_K=thermal.free_cooling_K,
            heat_on_degC=thermal.heat_on_degC,
            heat_off_degC=thermal.heat_off_degC,
            spread_on_K=thermal.spread_on_K,
        ),
        derating=Derating(
            **derating.model_dump(exclude={"max_string_A"}), max_string_A=given(derating.max_string_A, 1.2 * rated_A)
        ),
        charging=Charging(
            cell_V=min(charge_V, most_V),
            end_share=pack.charging.end_share,
            target_soc=pack.charging.target_soc,
        ),
        faults=compile_faults(_named_limits(pack, cell, temperature), changes),
        temperature=temperature,
        isolation_base_V=pack.series * cell.max_V,
    )


def _named_limits(pack: PackFile, cell: Cell, temperature: Array) -> dict[str, float]:
    """What a row of the fault table may call its limit."""
    return {
        "zero": 0.0,
        "one": 1.0,
        "cell.max_V": cell.max_V,
        "cell.min_V": cell.min_V,
        "min_charge_degC": float(temperature[0]),
        "max_charge_degC": float(temperature[1]),
        "min_discharge_degC": float(temperature[2]),
        "max_discharge_degC": float(temperature[3]),
        "patience_s": pack.sensors.patience_s,
        "precharge_tries": float(pack.contactors.tries),
        "probes_needed": 0.5 * pack.probes,
        "sum_tolerance_V": max(5.0, 0.01 * pack.series * cell.max_V),
        "string_max_V": pack.series * (cell.max_V + 0.05),
        "string_min_V": pack.series * (cell.min_V - 0.2),
    }
