"""From the parameters of a porous-electrode model to the curves of an equivalent circuit.

The reductions are those of the single-particle model with electrolyte: Marquis et al., J. Electrochem. Soc. 166 (2019)
A3693, doi 10.1149/2.0341915jes, in steady current. They hold for currents that do not empty the electrolyte or a
particle's surface, about 1C for energy cells. What the physics does not know (films, current collectors, tabs) is
missing, so that the resistance is rather too small.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from packhorse.pack.words import Array

FARADAY = 96_485.332_12
GAS = 8.314_462_618
ZERO_K = 273.15
LONGEST_FORMULA = 4_000
"""Published potentials have some hundred characters."""
SLOPE_STO = 0.01
"""Half-width over which the slope of a potential is taken: finer would take the noise of measured tables."""
PARTICLE_MODE = 35.0
"""R**2 / (35 D) is the time constant that follows Fick's law in a sphere to first order at low frequency."""

Curve = Callable[[Array], Array]
_OPERATORS: dict[type, Callable[[Array, Array], Array]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: np.power,
}
_FUNCTIONS: dict[str, Callable[[Array], Array]] = {"exp": np.exp, "tanh": np.tanh, "cosh": np.cosh}


class Electrode(NamedTuple):
    """One electrode, in SI. NaN where a single-particle model has none."""

    thickness_m: float
    low_sto: float
    high_sto: float
    max_mol_per_m3: float
    radius_m: float
    surface_per_m: float
    """Surface of the particles in each volume of electrode, in m2/m3."""
    rate_mol_per_m2s: float
    """Normalised: the exchange current density is F K sqrt(c/c0 x (1 - x))."""
    rate_J_per_mol: float
    diffusivity_m2_per_s: Curve
    diffusivity_J_per_mol: float
    potential_V: Curve
    porosity: float
    transport: float
    """Effective transport over that of the free electrolyte."""
    conductivity_S_per_m: float


class Electrolyte(NamedTuple):
    """The electrolyte at its rest concentration, with its separator, in SI."""

    concentration_mol_per_m3: float
    transference: float
    conductivity_S_per_m: float
    conductivity_J_per_mol: float
    diffusivity_m2_per_s: float
    diffusivity_J_per_mol: float
    separator_m: float
    separator_porosity: float
    separator_transport: float


class Cell(NamedTuple):
    """Both electrodes over their area; `electrolyte` is None in a single-particle model."""

    negative: Electrode
    positive: Electrode
    electrolyte: Electrolyte | None
    area_m2: float
    """Of all pairs of electrodes together."""
    reference_K: float


class Circuit(NamedTuple):
    """What a circuit's elements have at one temperature, over SOC."""

    r0_ohm: Array
    r1_ohm: Array
    r2_ohm: Array
    rc1_s: float
    rc2_s: float


def curve(given: object) -> Curve:
    """A parameter as a function of `x`: a number, a formula, or a table of x and y that is interpolated linearly.

    Formulas may hold numbers, x, + - * / **, exp, tanh and cosh; they are walked, never run. Raises ValueError.
    """
    if isinstance(given, int | float):
        value = float(given)
        return lambda x: np.full(np.shape(x), value)
    if isinstance(given, dict):
        points, values = np.asarray(given["x"], dtype=np.float64), np.asarray(given["y"], dtype=np.float64)
        if points.size == 0 or not (np.diff(points) > 0.0).all():
            raise ValueError("a table's x must rise from point to point; sort it and drop doubles")
        return lambda x: np.interp(x, points, values)
    if not isinstance(given, str):
        raise ValueError(f"{type(given).__name__}; give a number, a formula of x, or a table of x and y")  # noqa: TRY004
    if len(given) > LONGEST_FORMULA:
        raise ValueError(f"a formula of {len(given)} characters; at most {LONGEST_FORMULA} are read, so give a table")
    try:
        tree = ast.parse(given.strip(), mode="eval").body
        _walk(tree, np.ones(1))
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"{given[:40]!r} is not a formula; write numbers, x, + - * / **, exp, tanh, cosh") from error
    return lambda x: _walk(tree, np.asarray(x, dtype=np.float64)) + np.zeros(np.shape(x))


def _walk(node: ast.AST, x: Array) -> Array:
    """Value of a formula's part."""
    with np.errstate(all="ignore"):
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return np.full(1, float(node.value))
        if isinstance(node, ast.Name) and node.id == "x":
            return x
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](_walk(node.left, x), _walk(node.right, x))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = _walk(node.operand, x)
            return -inner if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            known = _FUNCTIONS.get(node.func.id) if isinstance(node.func, ast.Name) else None
            if known is not None:
                return known(_walk(node.args[0], x))
    raise ValueError(
        f"{ast.unparse(node)[:40]!r} has no place in a formula; write numbers, x, + - * / **, exp, tanh, cosh"
    )


def stoichiometries(cell: Cell, soc: Array) -> tuple[Array, Array]:
    """Lithium in the negative and the positive electrode, as fractions, at each SOC."""
    negative, positive = cell.negative, cell.positive
    x = negative.low_sto + soc * (negative.high_sto - negative.low_sto)
    y = positive.high_sto - soc * (positive.high_sto - positive.low_sto)
    return x, y


def capacity_Ah(electrode: Electrode, area_m2: float) -> float:
    """Charge between an electrode's two stoichiometries: F times the lithium in its particles (spheres: a R / 3)."""
    solid = electrode.surface_per_m * electrode.radius_m / 3.0
    moles = (
        solid * electrode.thickness_m * area_m2 * electrode.max_mol_per_m3 * (electrode.high_sto - electrode.low_sto)
    )
    return FARADAY * moles / 3600.0


def warmed(activation_J_per_mol: float, reference_K: float, degC: float) -> float:
    """Arrhenius: by what a rate, diffusivity or conductivity grows from the reference to a temperature."""
    return float(np.exp(activation_J_per_mol / GAS * (1.0 / reference_K - 1.0 / (degC + ZERO_K))))


def circuit(cell: Cell, soc: Array, degC: float, current_A: float) -> Circuit:
    """Resistances of the whole cell at one temperature, in ohm; charge transfer is taken at the given current.

    R0 is what answers at once: electrolyte, solid and charge transfer (the models have no double layer). The first
    pair is the concentration of the electrolyte, the second diffusion in the particles of both electrodes. Without an
    electrolyte the pairs are the particles of the negative and of the positive electrode.
    """
    x, y = stoichiometries(cell, soc)
    sides = ((cell.negative, x), (cell.positive, y))
    slow = [particle(side, sto, cell.reference_K, degC) for side, sto in sides]
    density = current_A / cell.area_m2
    r0 = sum((transfer(side, sto, cell.reference_K, degC, density) for side, sto in sides), np.zeros(soc.size))
    if cell.electrolyte is None:
        (r1, rc1_s), (r2, rc2_s) = slow
    else:
        r0 = r0 + ohmic(cell, cell.electrolyte, degC)
        one, rc1_s = concentration(cell, cell.electrolyte, degC)
        r1 = np.full(soc.size, one)
        r2 = slow[0][0] + slow[1][0]
        share = float(np.mean(slow[0][0] / np.maximum(r2, 1e-300)))
        rc2_s = share * slow[0][1] + (1.0 - share) * slow[1][1]
    return Circuit(r0 / cell.area_m2, r1 / cell.area_m2, r2 / cell.area_m2, rc1_s, rc2_s)


def transfer(side: Electrode, sto: Array, reference_K: float, degC: float, A_per_m2: float) -> Array:
    """Charge transfer of one electrode in ohm m2, at a current: 2 R T / F asinh(i / (2 a L j0)) / i.

    From symmetric Butler-Volmer. In the cold it is far smaller at 1C than near rest, R T / (F a L j0).
    """
    rate = side.rate_mol_per_m2s * warmed(side.rate_J_per_mol, reference_K, degC)
    exchange = FARADAY * rate * np.sqrt(np.clip(sto * (1.0 - sto), 1e-6, None))
    bare = side.surface_per_m * side.thickness_m * exchange
    ours: Array = 2.0 * GAS * (degC + ZERO_K) / FARADAY * np.arcsinh(A_per_m2 / (2.0 * bare)) / A_per_m2
    return ours


def ohmic(cell: Cell, electrolyte: Electrolyte, degC: float) -> float:
    """Electrolyte and solid in ohm m2: a third of each electrode's thickness, and all of the separator's."""
    warm = warmed(electrolyte.conductivity_J_per_mol, cell.reference_K, degC)
    liquid = electrolyte.separator_m / electrolyte.separator_transport
    liquid += sum(side.thickness_m / side.transport for side in (cell.negative, cell.positive)) / 3.0
    solid = sum(side.thickness_m / side.conductivity_S_per_m for side in (cell.negative, cell.positive)) / 3.0
    return liquid / (electrolyte.conductivity_S_per_m * warm) + solid


def concentration(cell: Cell, electrolyte: Electrolyte, degC: float) -> tuple[float, float]:
    """Concentration overpotential of the electrolyte in steady current, in ohm m2, and its time constant in s.

    2 (1 - t)**2 R T / (F**2 c0) times the length over diffusivity, an electrode counting a third. The time constant is
    about that of the slowest mode of a closed layer: its room times its way over pi**2 D.
    """
    spread = electrolyte.diffusivity_m2_per_s * warmed(electrolyte.diffusivity_J_per_mol, cell.reference_K, degC)
    middle_m = electrolyte.separator_m
    sides = (cell.negative, cell.positive)
    path_m = middle_m / electrolyte.separator_transport + sum(side.thickness_m / side.transport for side in sides) / 3.0
    share = (1.0 - electrolyte.transference) / FARADAY
    ohm_m2 = 2.0 * share**2 * GAS * (degC + ZERO_K) / electrolyte.concentration_mol_per_m3 * path_m / spread
    room_m = middle_m * electrolyte.separator_porosity + sum(side.thickness_m * side.porosity for side in sides)
    way_m = middle_m / electrolyte.separator_transport + sum(side.thickness_m / side.transport for side in sides)
    return ohm_m2, float(room_m * way_m / (np.pi**2 * spread))


def particle(side: Electrode, sto: Array, reference_K: float, degC: float) -> tuple[Array, float]:
    """Diffusion in the particles of one electrode in ohm m2, and its time constant in s.

    Under steady flux j the surface differs from the mean by j R / (5 D), which moves the potential by its slope.
    """
    spread = side.diffusivity_m2_per_s(sto) * warmed(side.diffusivity_J_per_mol, reference_K, degC)
    low, high = np.clip(sto - SLOPE_STO, 0.0, 1.0), np.clip(sto + SLOPE_STO, 0.0, 1.0)
    slope_V = np.abs(side.potential_V(high) - side.potential_V(low)) / (high - low)
    flux = 1.0 / (FARADAY * side.surface_per_m * side.thickness_m)
    ohm_m2: Array = slope_V * flux * side.radius_m / (5.0 * spread * side.max_mol_per_m3)
    return ohm_m2, float(side.radius_m**2 / (PARTICLE_MODE * np.median(spread)))
