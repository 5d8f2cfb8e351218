"""PyBaMM as an independent judge: its Thevenin model with two RC pairs, on the tables of a compiled cell."""

from __future__ import annotations

import warnings

import numpy as np

from packhorse.pack.compile import DEGC_GRID, SOC_GRID
from packhorse.pack.words import Array, Cell

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what a library says of itself while it is imported is not ours to judge
    import pybamm

HEAT_CAPACITY_J_PER_K = 1e15
"""So large that the judge's cell keeps its temperature."""
VARIABLES = ["Voltage [V]", "SoC", "Total heat generation [W]"]


def at_degC(table: Array, degC: float) -> Array:
    """A table whose first axis is temperature, at one temperature."""
    flat = table.reshape(DEGC_GRID.size, -1)
    return np.array([np.interp(degC, DEGC_GRID, column) for column in flat.T]).reshape(table.shape[1:])


def thevenin(
    cell: Cell,
    degC: float,
    soc: float,
    time_s: Array,
    current_A: Array,
    entropy_V_per_K: float = 0.0,
    tolerance: float = 1e-8,
) -> dict[str, Array]:
    """Voltage, SOC and heat at `time_s` under a current that runs straight from sample to sample.

    The cell starts relaxed at `soc` and stays at `degC`. The model has no hysteresis, and its OCV does not move
    with temperature, so that the curve of `degC` is handed to it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = pybamm.equivalent_circuit.Thevenin(options={"number of rc elements": 2})
        values = _values(cell, degC, soc, time_s, current_A, entropy_V_per_K)
        solver = pybamm.IDAKLUSolver(rtol=tolerance, atol=tolerance, output_variables=VARIABLES)
        simulation = pybamm.Simulation(model, parameter_values=values, solver=solver)
        solution = simulation.solve(t_eval=time_s, t_interp=time_s)
        voltage_V, charge, heat_W = (np.asarray(solution[name](time_s)) for name in VARIABLES)
    return {"voltage_V": voltage_V, "soc": charge, "heat_W": heat_W}


def _values(
    cell: Cell, degC: float, soc: float, time_s: Array, current_A: Array, entropy_V_per_K: float
) -> pybamm.ParameterValues:
    tables, tau = at_degC(cell.nodes, degC), at_degC(cell.degC_nodes, degC)[:2]

    def over_soc(column: int, charge: pybamm.Symbol) -> pybamm.Symbol:
        return pybamm.Interpolant(SOC_GRID, tables[:, column], charge)

    def resistance(column: int):
        return lambda _degC, _current, charge: over_soc(column, charge)

    def capacitance(column: int):
        return lambda _degC, _current, charge: tau[column - 2] / over_soc(column, charge)

    values = pybamm.ParameterValues("ECM_Example")
    values.update(
        {
            "Cell capacity [A.h]": cell.capacity_Ah,
            "Nominal cell capacity [A.h]": cell.capacity_Ah,
            "Initial SoC": soc,
            "Initial temperature [K]": degC + 273.15,
            "Ambient temperature [K]": degC + 273.15,
            "Cell thermal mass [J/K]": HEAT_CAPACITY_J_PER_K,
            "Jig thermal mass [J/K]": HEAT_CAPACITY_J_PER_K,
            "Upper voltage cut-off [V]": 10.0,
            "Lower voltage cut-off [V]": 0.0,
            "Current function [A]": pybamm.Interpolant(time_s, current_A, pybamm.t),
            "Open-circuit voltage [V]": lambda charge: over_soc(0, charge),
            "Entropic change [V/K]": lambda _ocv, _degC: pybamm.Scalar(entropy_V_per_K),
            "R0 [Ohm]": resistance(1),
            "R1 [Ohm]": resistance(2),
            "C1 [F]": capacitance(2),
            "R2 [Ohm]": resistance(3),
            "C2 [F]": capacitance(3),
            "Element-1 initial overpotential [V]": 0.0,
            "Element-2 initial overpotential [V]": 0.0,
        },
        check_already_exists=False,
    )
    return values
