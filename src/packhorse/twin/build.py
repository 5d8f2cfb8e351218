"""From a truck file to the arrays that the twin computes with; the spread of its cells is drawn once, from a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from packhorse.pack.compile import SOC_GRID, compile_cell, probe_places
from packhorse.pack.description import CellFile, PackFile, must
from packhorse.pack.words import Array, Cell, Index
from packhorse.twin.description import TruckFile, TruthPart
from packhorse.twin.words import Charger, Fault, Fluid, Link, Road, Sensing, Strings, Truck

LEAST_SHARE = 0.2


def true_cell(cell: Cell, truth: TruthPart) -> Cell:
    """The common cell of the twin: the believed one with another OCV, other resistances and other dynamics."""
    nodes, degC_nodes = cell.nodes.copy(), cell.degC_nodes.copy()
    nodes[:, :, 0] += truth.ocv_V * np.sin(3.0 * np.pi * SOC_GRID)
    must(bool(np.all(np.diff(nodes[:, :, 0], axis=1) > 0)), f"truth.ocv_V {truth.ocv_V:g} makes the OCV fall; lower it")
    nodes[:, :, 1:4] *= truth.resistance_mean
    degC_nodes[:, :2] *= truth.time_constant
    return cell._replace(
        nodes=nodes,
        degC_nodes=degC_nodes,
        capacity_Ah=cell.capacity_Ah * truth.capacity_mean,
        hysteresis_rate=cell.hysteresis_rate * truth.hysteresis_rate,
    )


def compile_truck(
    truck: TruckFile, pack: PackFile, cell: CellFile, seed: int = 1, faults: Sequence[Fault] = ()
) -> Truck:
    """The truck as arrays. Raises ValueError where its parts do not fit together."""
    dice = np.random.default_rng(seed)
    shape = (pack.strings, pack.series)
    truth, sensing = truck.truth, truck.sensing

    def spread(sigma: float, size: tuple[int, ...], around: float = 0.0) -> Array:
        return around + sigma * np.clip(dice.standard_normal(size), -3.0, 3.0)

    probe_of_cell = probe_places(pack)
    cell_of_probe = np.array([_middle(probe_of_cell, p) for p in range(pack.probes)], dtype=np.int64)
    boards = min(sensing.boards, pack.series)
    fluid = truck.fluid
    cells = pack.strings * pack.series
    return Truck(
        strings=pack.strings,
        series=pack.series,
        probes=pack.probes,
        seed=seed,
        cell_of_probe=cell_of_probe,
        road=Road(**truck.road.model_dump()),
        battery=Strings(
            cell=true_cell(compile_cell(cell, pack.parallel, pack.capacity_Ah), truth),
            capacity_share=np.maximum(spread(truth.capacity_sigma, shape, 1.0), LEAST_SHARE),
            resistance_share=np.maximum(spread(truth.resistance_sigma, shape, 1.0), LEAST_SHARE),
            soc_offset=spread(truth.soc_sigma, shape),
            wiring_ohm=truth.wiring_ohm,
            bleed_ohm=pack.balancing.bleed_ohm,
        ),
        link=Link(**truck.link.model_dump()),
        fluid=Fluid(
            liquid=1.0 if pack.thermal.cooling == "liquid" else 0.0,
            flow_W_per_K=fluid.flow_W_per_K / pack.strings,
            plate_W_per_K=fluid.plate_W_per_K / cells,
            still_W_per_K=fluid.still_W_per_K / cells,
            housing_W_per_K=fluid.housing_W_per_K / cells,
            reservoir_J_per_K=fluid.reservoir_J_per_K,
            radiator_W_per_K=fluid.radiator_W_per_K,
            chiller_W=fluid.chiller_W,
            chiller_cop=fluid.chiller_cop,
            heater_W=fluid.heater_W,
            pump_W=fluid.pump_W,
            fan_W=fluid.fan_W,
        ),
        sensing=Sensing(
            cell_sigma_V=sensing.cell_sigma_V,
            cell_step_V=sensing.cell_step_V,
            cell_offset_V=spread(sensing.cell_offset_V, shape),
            delay_s=sensing.delay_s,
            string_sigma_V=sensing.string_sigma_V,
            string_step_V=sensing.string_step_V,
            current_sigma_A=sensing.current_sigma_A,
            current_step_A=sensing.current_step_A,
            current_offset_A=spread(sensing.current_offset_A, (pack.strings,)),
            current_gain=spread(sensing.current_gain, (pack.strings,), 1.0),
            probe_sigma_K=sensing.probe_sigma_K,
            probe_step_K=sensing.probe_step_K,
            probe_offset_K=spread(sensing.probe_offset_K, (pack.strings, pack.probes)),
            probe_lag_s=sensing.probe_lag_s,
            dropout_per_s=sensing.dropout_per_s,
            cells_per_board=-(-pack.series // boards),
        ),
        charger=Charger(**truck.charger.model_dump()),
        faults=np.array([[float(x) for x in fault] for fault in faults], dtype=np.float64).reshape(-1, 6),
    )


def _middle(probe_of_cell: Index, probe: int) -> int:
    """The cell on which a probe sits: the middle one of those it speaks for, the first where it speaks for none."""
    cells = np.flatnonzero(probe_of_cell == probe)
    return int(cells[cells.size // 2]) if cells.size > 0 else 0
