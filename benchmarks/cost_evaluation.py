"""One evaluation of the cost that identification minimises, and one of PyBOP's, on the same hour of one drive.

They do not do the same for it: ours solves for every parameter at every SOC node by least squares, so that only four
numbers are left to search; PyBOP's simulates one candidate, and its optimiser asks for tens to hundreds of them. Here
the candidate has five numbers: R0, R1, C1, R2 and C2, each the same at every SOC, which is PyBOP's lightest. Like with
like, we simulate one candidate as well, with every parameter at every SOC node.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from life import drive_C
from packhorse.cell import physics
from packhorse.cell.table import HYSTERESIS_V
from packhorse.io.cell_logs import CellLog
from packhorse.lab.identify.circuit import Shape
from packhorse.lab.identify.identify import cost, fitted, piece_of, ready
from packhorse.lab.identify.solve import Known, left_V
from packhorse.pack.compile import SOC_GRID, compile_cell
from packhorse.pack.load import load_cell
from packhorse.pack.words import Array, Cell

DEGC, START_SOC, SECONDS = 25.0, 0.9, 3600
NOISE_V = 0.001
INSTALL = "pip install -e '.[judge]'"


def installed() -> bool:
    """Whether PyBOP can be imported."""
    return importlib.util.find_spec("pybop") is not None


def one_thread() -> AbstractContextManager[object]:
    """Linear algebra on one thread, where threadpoolctl is installed, as it is beside PyBOP."""
    if importlib.util.find_spec("threadpoolctl") is None:
        return nullcontext()
    import threadpoolctl  # noqa: PLC0415 - not installed everywhere

    limits: AbstractContextManager[object] = threadpoolctl.threadpool_limits(1)
    return limits


def drive(cell: Cell, seconds: int) -> CellLog:
    """A simulated drive of one cell at 1 Hz."""
    dice = np.random.default_rng(5)
    current_A = cell.capacity_Ah * drive_C(seconds + 1, dice)
    cell_V, soc, rc1_V, rc2_V = np.empty(seconds + 1), START_SOC, 0.0, 0.0
    tau1_s, tau2_s, _ = physics.three_over_degC(cell.degC_nodes, DEGC)
    for k, i in enumerate(current_A):
        ocv_V, _, r0, r1, r2 = physics.parameters(cell.nodes, soc, DEGC)
        rc1_V = physics.relax(rc1_V, i, r1, np.exp(-1.0 / tau1_s))
        rc2_V = physics.relax(rc2_V, i, r2, np.exp(-1.0 / tau2_s))
        cell_V[k] = ocv_V - r0 * i - rc1_V - rc2_V
        soc = physics.count(soc, i, cell.capacity_Ah, 1.0)
    cell_V += NOISE_V * dice.standard_normal(cell_V.size)
    return CellLog("drive", np.arange(seconds + 1.0), current_A, cell_V, np.full(seconds + 1, DEGC))


def curve(cell: Cell, column: int) -> Array:
    """A column of the tables over SOC at `DEGC`."""
    return np.array([physics.at_node(cell.nodes, soc, DEGC, column) for soc in SOC_GRID])


def ours(cell: Cell, log: CellLog) -> tuple[Callable[[], float], Callable[[], float]]:
    """One evaluation of `identify.cost`, and one candidate simulated and held against the log, as it does after."""
    known = Known(np.array([DEGC]), np.array([cell.capacity_Ah]), curve(cell, 0)[None], curve(cell, HYSTERESIS_V))
    logs = ready(known, [piece_of(known, log, "drive", cell.max_V)])
    shape = Shape(12.0, 250.0, 4000.0, cell.hysteresis_rate)
    one, x = logs[0], fitted(known, shape, logs).unknowns
    return lambda: cost(known, shape, logs), lambda: float(one.worth @ left_V(known, shape, one, x) ** 2)


def theirs(cell: Cell, log: CellLog) -> Callable[[], float]:
    """One evaluation of PyBOP's sum of squared errors over PyBaMM's Thevenin model with two RC pairs."""
    import pybamm  # noqa: PLC0415 - takes seconds, and is not installed everywhere
    import pybop  # noqa: PLC0415

    _, _, r0, r1, r2 = physics.parameters(cell.nodes, START_SOC, DEGC)
    tau1_s, tau2_s, _ = physics.three_over_degC(cell.degC_nodes, DEGC)
    guess = {"R0 [Ohm]": r0, "R1 [Ohm]": r1, "C1 [F]": tau1_s / r1, "R2 [Ohm]": r2, "C2 [F]": tau2_s / r2}
    ocv_V = curve(cell, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a peer says of itself is not ours to judge
        values = pybamm.ParameterValues("ECM_Example")
        values.update(
            {
                "Cell capacity [A.h]": cell.capacity_Ah,
                "Nominal cell capacity [A.h]": cell.capacity_Ah,
                "Initial SoC": START_SOC,
                "Initial temperature [K]": DEGC + 273.15,
                "Ambient temperature [K]": DEGC + 273.15,
                "Cell thermal mass [J/K]": 1e15,  # keeps its temperature
                "Jig thermal mass [J/K]": 1e15,
                "Upper voltage cut-off [V]": 10.0,
                "Lower voltage cut-off [V]": 0.0,
                "Open-circuit voltage [V]": lambda soc: pybamm.Interpolant(SOC_GRID, ocv_V, soc),
                "Entropic change [V/K]": lambda _ocv, _degC: pybamm.Scalar(0.0),
                "Element-1 initial overpotential [V]": 0.0,
                "Element-2 initial overpotential [V]": 0.0,
                **{name: pybop.Parameter(initial_value=x, bounds=(0.2 * x, 5.0 * x)) for name, x in guess.items()},
            },
            check_already_exists=False,
        )
        columns = {"Time [s]": log.time_s, "Current [A]": log.current_A, "Voltage [V]": log.cell_V}
        dataset = pybop.Dataset(columns)
        model = pybamm.equivalent_circuit.Thevenin(options={"number of rc elements": 2})
        simulator = pybop.pybamm.Simulator(model, parameter_values=values, protocol=dataset)
        problem = pybop.Problem(simulator, pybop.SumSquaredError(dataset))
    return lambda: float(problem(guess))


def evaluations(seconds: int = SECONDS) -> tuple[Callable[[], float], ...]:
    """Our cost, our candidate, and PyBOP's where it is installed."""
    cell = compile_cell(load_cell("nmc_60"))
    log = drive(cell, seconds)
    return (*ours(cell, log), theirs(cell, log)) if installed() else ours(cell, log)
