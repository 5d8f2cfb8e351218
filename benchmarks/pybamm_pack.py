"""PyBaMM's Thevenin model with two RC pairs over many unequal cells: the peer of the twin's electrical pack.

It is used the fastest way that it offers within the tolerance: IDAKLU, cells as a list of inputs in one solve, no stop
at the samples. At the default absolute tolerance (1e-6) the solver steps over a pulse now and then and is 6 mV off;
`ATOL` keeps it within 0.1 mV for 20 % more time.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from packhorse.cell import physics
from packhorse.pack.compile import SOC_GRID
from packhorse.pack.words import Array, Cell

if TYPE_CHECKING:
    import pybamm

DEGC, START_SOC = 25.0, 0.9
CELLS, SECONDS = 384, 3600
BATCHES = (1, 8, 32)
PROBED = 32
RTOL, ATOL = 1e-4, 1e-7
INSTALL = "pip install -e '.[judge]'"
TOLERANCE_V = 1e-3
Twin = Callable[[Cell, Array, Array, Array], Array]
"""`twin_hour(cell, capacity_scale, resistance_scale, current_A) -> voltages`: scales (cells,), current at every second
(seconds + 1,), straight in between; voltages (cells, seconds + 1). Cells start relaxed at `START_SOC`, stay at `DEGC`
and have no hysteresis."""


def installed() -> bool:
    """Whether PyBaMM can be imported."""
    return importlib.util.find_spec("pybamm") is not None


def spread(cells: int = CELLS, seed: int = 11) -> tuple[Array, Array]:
    """Capacity (2 %) and resistance (8 %) of every cell over the nominal ones."""
    dice = np.random.default_rng(seed)
    return 1.0 + 0.02 * dice.standard_normal(cells), 1.0 + 0.08 * dice.standard_normal(cells)


class Peer:
    """The model of one cell, built once; capacity and resistance are inputs of a solve."""

    def __init__(self, cell: Cell, current_A: Array) -> None:
        import pybamm  # noqa: PLC0415 - takes seconds, and is not installed everywhere

        self.time_s = np.arange(current_A.size, dtype=np.float64)
        self.capacity_Ah = cell.capacity_Ah
        model = pybamm.equivalent_circuit.Thevenin(options={"number of rc elements": 2})
        solver = pybamm.IDAKLUSolver(rtol=RTOL, atol=ATOL, output_variables=["Voltage [V]"], options={"num_threads": 1})
        values = _values(pybamm, cell, self.time_s, current_A)
        self.simulation = pybamm.Simulation(model, parameter_values=values, solver=solver)
        self.voltages(np.ones(1), np.ones(1), 1)

    def voltages(self, capacity_scale: Array, resistance_scale: Array, batch: int) -> Array:
        """Voltages at every second, (cells, seconds + 1), `batch` cells in a solve."""
        inputs = [
            {"capacity": float(c) * self.capacity_Ah, "resistance": float(r)}
            for c, r in zip(capacity_scale, resistance_scale, strict=True)
        ]
        ends = [0.0, float(self.time_s[-1])]
        rows: list[Array] = []
        for k in range(0, len(inputs), batch):
            some = inputs[k : k + batch]
            solved = self.simulation.solve(t_eval=ends, t_interp=self.time_s, inputs=some if len(some) > 1 else some[0])
            solutions = solved if isinstance(solved, list) else [solved]
            rows.extend(np.array(solution["Voltage [V]"].entries) for solution in solutions)
        return np.array(rows)

    def fastest_batch(self) -> int:
        """How many cells a solve takes best, by CPU time over the first cells."""
        scales = spread(PROBED)
        return min(BATCHES, key=lambda batch: cpu_s(lambda: self.voltages(*scales, batch))[0])


def _values(pybamm: Any, cell: Cell, time_s: Array, current_A: Array) -> pybamm.ParameterValues:
    """The catalogue's tables at `DEGC` as parameters; time constants do not depend on the resistance."""
    curves = np.array([physics.parameters(cell.nodes, soc, DEGC) for soc in SOC_GRID])
    tau_s = physics.three_over_degC(cell.degC_nodes, DEGC)[:2]
    resistance = pybamm.InputParameter("resistance")

    def over_soc(column: int, soc: Any) -> Any:
        return pybamm.Interpolant(SOC_GRID, curves[:, column], soc)

    def ohm(column: int) -> Callable[..., Any]:
        return lambda _degC, _current, soc: over_soc(column, soc) * resistance

    def farad(column: int) -> Callable[..., Any]:
        return lambda _degC, _current, soc: tau_s[column - 3] / (over_soc(column, soc) * resistance)

    values = pybamm.ParameterValues("ECM_Example")
    values.update(
        {
            "Cell capacity [A.h]": pybamm.InputParameter("capacity"),
            "Nominal cell capacity [A.h]": cell.capacity_Ah,
            "Initial SoC": START_SOC,
            "Initial temperature [K]": DEGC + 273.15,
            "Ambient temperature [K]": DEGC + 273.15,
            "Cell thermal mass [J/K]": 1e15,  # keeps its temperature
            "Jig thermal mass [J/K]": 1e15,
            "Upper voltage cut-off [V]": 10.0,
            "Lower voltage cut-off [V]": 0.0,
            "Current function [A]": pybamm.Interpolant(time_s, current_A, pybamm.t),
            "Open-circuit voltage [V]": lambda soc: over_soc(0, soc),
            "Entropic change [V/K]": lambda _ocv, _degC: pybamm.Scalar(0.0),
            "R0 [Ohm]": ohm(2),
            "R1 [Ohm]": ohm(3),
            "C1 [F]": farad(3),
            "R2 [Ohm]": ohm(4),
            "C2 [F]": farad(4),
            "Element-1 initial overpotential [V]": 0.0,
            "Element-2 initial overpotential [V]": 0.0,
        },
        check_already_exists=False,
    )
    return values


def cpu_s(work: Callable[[], Array]) -> tuple[float, Array]:
    """CPU seconds of one run, and what it gave."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def compare(cell: Cell, current_A: Array, twin_hour: Twin, repeats: int = 5) -> dict[str, Any]:
    """How many times faster than PyBaMM the twin is per CPU second, and how far their voltages are apart at most."""
    scales = spread()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a peer says of itself is not ours to judge
        peer = Peer(cell, current_A)
        batch = peer.fastest_batch()
        peer_s, judged_V = cpu_s(lambda: peer.voltages(*scales, batch))
    twin_V = twin_hour(cell, *scales, current_A)
    twin_s = float(np.median([cpu_s(lambda: twin_hour(cell, *scales, current_A))[0] for _ in range(repeats)]))
    steps = CELLS * (current_A.size - 1)
    return {
        "times": peer_s / twin_s,
        "furthest_V": float(np.abs(twin_V - judged_V).max()),
        "peer_cell_steps_per_s": steps / peer_s,
        "twin_cell_steps_per_s": steps / twin_s,
        "batch": batch,
    }
