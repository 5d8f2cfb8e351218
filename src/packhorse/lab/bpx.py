"""Cell files from and to BPX, the Battery Parameter eXchange format (version 1, package `bpx`).

BPX describes the physics of electrodes; a cell file describes an equivalent circuit. Reading reduces one to the other
(`lab.electrodes`) and lists in `sources` what the file did not say. Writing has no way back to electrodes, so that it
gives a BPX file of the kind "Partial": what BPX has a place for, and the whole cell file under "User-defined", from
which it is read back with the same bits.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ValidationError

from packhorse.io.errors import ReadError
from packhorse.io.whole import write_whole
from packhorse.lab import electrodes
from packhorse.lab.electrodes import Cell, Electrode, Electrolyte
from packhorse.pack.description import CellFile
from packhorse.pack.load import check
from packhorse.pack.words import Array

OURS = "Packhorse cell file"
"""Our table under "User-defined"."""
MAX_BYTES = 64_000_000
AXES = ("soc", "degC")
"""Fields that other lists of the same table stand over."""

OCV_SOC = np.unique(
    np.round(np.concatenate([np.linspace(0.0, 0.1, 11), np.linspace(0.1, 0.9, 33), np.linspace(0.9, 1.0, 11)]), 4)
)
RESISTANCE_SOC = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
"""Not to the very ends, where small currents already empty a surface and a resistance means nothing."""
RESISTANCE_DEGC = (-20.0, -10.0, 0.0, 10.0, 25.0, 45.0)
TRANSFER_RATE_PER_H = 1.0
"""Charge transfer is no resistance but grows with the logarithm of current; it is taken at 1C, where trucks work."""
REFERENCE_DEGC = 25.0
LEAST_RISE_V = 2e-5
"""OCV must rise visibly in six digits."""
MOST_FALL_V = 0.02
"""A fall of OCV beyond the noise of measured potentials is a mistake in the file."""
LEAST_OHM, MOST_OHM, MOST_S = 1e-7, 1.0, 86_400.0
"""What a cell file takes; a flat potential gives no diffusion resistance at all."""
APART = 1.5
"""A capacity of the electrodes that is this many times the nominal one, or so little of it, is a wrong area."""

ASSUMED_J_PER_MOL = {
    "Reaction rate constant activation energy [J.mol-1]": 35_000.0,
    "Diffusivity activation energy [J.mol-1]": 25_000.0,
    "Conductivity activation energy [J.mol-1]": 17_000.0,
}
"""Taken where a file gives none: without one a cell would be as good in the cold as in the warm."""
ASSUMED_MOL_PER_M3 = 1000.0
ASSUMED_WH_PER_KG = {"lfp": 160.0, "nmc": 230.0, "nca": 240.0}
ASSUMED_HEAT_J_PER_KGK = 1000.0
LFP_BELOW_V = 3.8
"""A cell that is full below this has an iron phosphate electrode."""
WINDOW_POINTS = 50
"""Places between the stoichiometric limits at which a curve is looked at."""
BOUNDS = {
    "activation energy": (0.0, 200_000.0),
    "Reference temperature": (200.0, 400.0),
    "toichiometry": (0.0, 1.0),
    "OCP": (-1.0, 10.0),
    "Entropic": (-0.1, 0.1),
    "Porosity": (1e-3, 1.0),
    "Transport efficiency": (1e-4, 1.0),
    "transference": (0.0, 1.0),
}
"""What a number can be, by a word of its name; every other is above 0."""
RATINGS: dict[str, list[float]] = {
    "degC": [-20.0, -10.0, 0.0, 10.0, 25.0, 45.0, 60.0],
    "capacity_share": [0.75, 0.83, 0.91, 0.96, 1.0, 1.0, 1.0],
    "discharge_A": [0.3, 0.5, 0.8, 1.0, 1.0, 1.0, 0.5],
    "charge_A": [0.0, 0.0, 0.0, 0.2, 0.5, 0.3, 0.0],
    "discharge_10s_A": [0.5, 0.8, 1.2, 1.5, 2.0, 2.0, 0.5],
    "charge_10s_A": [0.0, 0.0, 0.0, 0.4, 1.0, 0.5, 0.0],
}
"""Assumed, in multiples of the capacity; cautious for any cell. No charge in the frost: lithium would plate."""


class Said(NamedTuple):
    """What a file says of a cell as a whole, and what had to be assumed on the way."""

    path: Path
    raw: dict[str, Any]
    assumed: list[str]

    @property
    def parts(self) -> dict[str, Any]:
        """The parameterisation."""
        return dict(self.raw["Parameterisation"])

    def given(self, part: str, name: str, otherwise: float) -> float:
        """A number of one part; assumed, and listed so, where the file gives none."""
        value = self.parts[part].get(name)
        if value is None:
            self.assumed.append(f"{part.lower()}: {name.split(' [', maxsplit=1)[0].lower()} {otherwise:g}")
        return otherwise if value is None else float(value)


def read(path: Path) -> CellFile:
    """A cell file from a BPX file (JSON; version 1, or 0 as the package converts it).

    A file that `write` made gives back its cell. Any other is reduced from its electrodes: OCV is U_p(y) - U_n(x)
    between the stoichiometric limits, at 25 degC; capacity is the lithium between them; resistances are those of
    `electrodes.circuit`. What the file does not give is assumed and listed as such in `sources`.

    Raises ReadError for a file that is not BPX, that has no electrodes, or blended ones; ConfigurationError where the
    cell that comes out cannot be.
    """
    raw = _raw(path)
    user = raw["Parameterisation"].get("User-defined") or {}
    if OURS in user:
        return check(path, _decoded(user[OURS]), CellFile)
    said = Said(path, raw, [])
    try:
        with np.errstate(all="ignore"):
            return _reduced(said)
    except ArithmeticError as error:
        raise ReadError(f"{path}: some number is beyond all reason ({error}); check the parameters") from error
    except (KeyError, TypeError) as error:
        raise ReadError(f"{path}: {error} is missing or not a number where a DFN, SPMe or SPM has one") from error


def _raw(path: Path) -> dict[str, Any]:
    """The file's JSON in the layout of version 1, after the package has found nothing wrong with it."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ReadError(f"{path}: larger than {MAX_BYTES // 1_000_000} MB; this is no BPX file")
        raw = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror}); check the path and its rights") from error
    except (ValueError, RecursionError) as error:
        raise ReadError(f"{path}: not JSON ({str(error)[:80]}); give a BPX file as .json") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("Parameterisation"), dict) or "Header" not in raw:
        raise ReadError(f"{path}: has no Header and Parameterisation; this is no BPX file")
    return _validated(path, raw)


def _validated(path: Path, raw: dict[str, Any]) -> dict[str, Any]:
    """The object in the layout of version 1. Raises ReadError with the package's first complaint.

    Potentials that are formulas become tables for the package alone: it would write them to a file and run them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import bpx  # noqa: PLC0415

        try:
            current: dict[str, Any] = bpx.convert_v0_to_v1(raw) if bpx.is_legacy_bpx(raw) else raw
            tame = copy.deepcopy(current)
            for side in ("Negative electrode", "Positive electrode"):
                electrode = tame["Parameterisation"].get(side)
                if isinstance(electrode, dict) and isinstance(electrode.get("OCP [V]"), str):
                    potential = electrodes.curve(electrode["OCP [V]"])
                    points = np.linspace(0.01, 0.99, 50)
                    electrode["OCP [V]"] = {"x": points.tolist(), "y": potential(points).tolist()}
            bpx.parse_bpx_obj(tame)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = " / ".join(str(part) for part in first["loc"])
            raise ReadError(f"{path}: not valid BPX: {place}: {first['msg']}; correct it there") from error
        except (ValueError, TypeError, AttributeError, KeyError, ArithmeticError, RecursionError) as error:
            raise ReadError(f"{path}: not valid BPX: {error}; correct it there") from error
    return current


def _reduced(said: Said) -> CellFile:
    """The cell file of a porous-electrode model."""
    parts, header = said.parts, said.raw["Header"]
    cell = _cell(said)
    low_V, high_V = (float(parts["Cell"][f"{end} voltage cut-off [V]"]) for end in ("Lower", "Upper"))
    capacity_Ah = _capacity(said, cell)
    ocv = _ocv(said, cell)
    chemistry = _chemistry(said, high_V)
    nominal_V = float(np.trapezoid(ocv["ocv_V"], ocv["soc"]))
    mass_kg = _mass(said, capacity_Ah * nominal_V / ASSUMED_WH_PER_KG[chemistry])
    heat = said.given("Cell", "Specific heat capacity [J.K-1.kg-1]", ASSUMED_HEAT_J_PER_KGK)
    resistance = _resistance(said, cell, capacity_Ah * TRANSFER_RATE_PER_H)
    said.assumed.extend(
        [
            "temperature limits, capacity and currents over temperature (multiples of the capacity, cautious)",
            "coulombic efficiency 1, self-discharge, model and resistance uncertainty",
        ]
    )
    file = {
        "name": str(header.get("Title") or said.path.stem),
        "chemistry": chemistry,
        "sources": _sources(said),
        "capacity_Ah": capacity_Ah,
        "min_V": low_V,
        "max_V": high_V,
        "nominal_V": nominal_V,
        "mass_kg": mass_kg,
        "heat_capacity_J_per_kgK": heat,
        "min_charge_degC": 0.0,
        "max_charge_degC": 45.0,
        "min_discharge_degC": -20.0,
        "max_discharge_degC": 60.0,
        "coulombic_efficiency": 1.0,
        "model_sigma_V": 0.02,
        "resistance_sigma": 0.4,
        "ocv": ocv,
        "resistance": resistance,
        "over_temperature": {
            name: [value * (capacity_Ah if name.endswith("_A") else 1.0) for value in values]
            for name, values in RATINGS.items()
        },
    }
    return check(said.path, _six_digits(file), CellFile)


def _six_digits(value: Any) -> Any:
    """The same with floats of six digits: a reduction deserves no more."""
    if isinstance(value, dict):
        return {name: _six_digits(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_six_digits(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _sources(said: Said) -> list[str]:
    header = said.raw["Header"]
    told = [str(header[name]) for name in ("Description", "References") if header.get(name)]
    return [
        f"BPX {header['BPX']} file {said.path.name}, model {header['Model']}",
        *told,
        "reduced: OCV, capacity and entropy coefficient from potentials and stoichiometric limits; resistances by the "
        "single-particle model with electrolyte at 1C (Marquis et al. 2019, doi 10.1149/2.0341915jes); films, current "
        "collectors and tabs are not in BPX, so measured resistance is rather higher",
        f"assumed: {'; '.join(dict.fromkeys(said.assumed))}",
    ]


def _must_be_sane(said: Said) -> None:
    """Refuse sizes, rates and shares that nothing has; the package lets any number pass."""
    for part, values in said.parts.items():
        for name, value in values.items() if isinstance(values, dict) and part != "User-defined" else ():
            low, high = next((bounds for word, bounds in BOUNDS.items() if word in name), (1e-30, 1e30))
            if isinstance(value, int | float) and not low <= value <= high:
                raise ReadError(f"{said.path}: {part} / {name}: found {value:g}; give {low:g} to {high:g}")


def _cell(said: Said) -> Cell:
    """Both electrodes and the electrolyte as the file gives them."""
    parts = said.parts
    _must_be_sane(said)
    for side in ("Negative electrode", "Positive electrode"):
        if not parts.get(side):
            raise ReadError(f"{said.path}: no {side.lower()}, so there is no OCV; give a DFN, SPMe or SPM file")
        if "Particle" in parts[side]:
            raise ReadError(
                f"{said.path}: the {side.lower()} is a blend of {len(parts[side]['Particle'])} materials, which is not "
                "read; give an electrode of one material whose OCP is that of the blend"
            )
    pairs = parts["Cell"]["Number of electrode pairs connected in parallel to make a cell"]
    return Cell(
        negative=_electrode(said, "Negative electrode"),
        positive=_electrode(said, "Positive electrode"),
        electrolyte=_electrolyte(said) if parts.get("Electrolyte") and parts.get("Separator") else None,
        area_m2=float(parts["Cell"]["Electrode area [m2]"]) * float(pairs),
        reference_K=said.given("Cell", "Reference temperature [K]", REFERENCE_DEGC + electrodes.ZERO_K),
    )


def _curve(said: Said, part: str, name: str) -> electrodes.Curve:
    try:
        return electrodes.curve(said.parts[part][name])
    except ValueError as error:
        raise ReadError(f"{said.path}: {part} / {name}: {error}") from error


def _positive_curve(said: Said, part: str, name: str, at: Array) -> electrodes.Curve:
    """A curve that must lie above 0 at the given places."""
    found = _curve(said, part, name)
    least = float(np.min(found(at)))
    if not 0.0 < least < np.inf:
        raise ReadError(f"{said.path}: {part} / {name}: falls to {least:.3g}; it must stay above 0 where it is used")
    return found


def _electrode(said: Said, part: str) -> Electrode:
    value = said.parts[part]
    window = np.linspace(value["Minimum stoichiometry"], value["Maximum stoichiometry"], WINDOW_POINTS)
    energies = ("Reaction rate constant activation energy [J.mol-1]", "Diffusivity activation energy [J.mol-1]")
    rate_J, spread_J = (said.given(part, name, ASSUMED_J_PER_MOL[name]) for name in energies)
    return Electrode(
        thickness_m=value["Thickness [m]"],
        low_sto=value["Minimum stoichiometry"],
        high_sto=value["Maximum stoichiometry"],
        max_mol_per_m3=value["Maximum concentration [mol.m-3]"],
        radius_m=value["Particle radius [m]"],
        surface_per_m=value["Surface area per unit volume [m-1]"],
        rate_mol_per_m2s=value["Reaction rate constant [mol.m-2.s-1]"],
        rate_J_per_mol=rate_J,
        diffusivity_m2_per_s=_positive_curve(said, part, "Diffusivity [m2.s-1]", window),
        diffusivity_J_per_mol=spread_J,
        potential_V=_curve(said, part, "OCP [V]"),
        porosity=value.get("Porosity", np.nan),
        transport=value.get("Transport efficiency", np.nan),
        conductivity_S_per_m=value.get("Conductivity [S.m-1]", np.nan),
    )


def _electrolyte(said: Said) -> Electrolyte:
    value, separator = said.parts["Electrolyte"], said.parts["Separator"]
    start = (said.raw.get("State") or {}).get("Initial conditions") or {}
    rest = start.get("Initial electrolyte concentration [mol.m-3]")
    if rest is None:
        said.assumed.append(f"electrolyte at {ASSUMED_MOL_PER_M3:g} mol/m3")
    c0 = np.array([ASSUMED_MOL_PER_M3 if rest is None else float(rest)])
    energies = ("Conductivity activation energy [J.mol-1]", "Diffusivity activation energy [J.mol-1]")
    conduct_J, spread_J = (said.given("Electrolyte", name, ASSUMED_J_PER_MOL[name]) for name in energies)
    return Electrolyte(
        concentration_mol_per_m3=float(c0[0]),
        transference=value["Cation transference number"],
        conductivity_S_per_m=float(_positive_curve(said, "Electrolyte", "Conductivity [S.m-1]", c0)(c0)[0]),
        conductivity_J_per_mol=conduct_J,
        diffusivity_m2_per_s=float(_positive_curve(said, "Electrolyte", "Diffusivity [m2.s-1]", c0)(c0)[0]),
        diffusivity_J_per_mol=spread_J,
        separator_m=separator["Thickness [m]"],
        separator_porosity=separator["Porosity"],
        separator_transport=separator["Transport efficiency"],
    )


def _capacity(said: Said, cell: Cell) -> float:
    """Capacity between the stoichiometric limits: the smaller electrode's, which SOC 0 to 1 stands for."""
    nominal_Ah = float(said.parts["Cell"]["Nominal cell capacity [A.h]"])
    found = [electrodes.capacity_Ah(side, cell.area_m2) for side in (cell.negative, cell.positive)]
    least_Ah = min(found)
    if not nominal_Ah / APART <= least_Ah <= nominal_Ah * APART:
        raise ReadError(
            f"{said.path}: the electrodes hold {found[0]:.4g} and {found[1]:.4g} Ah between their stoichiometric "
            f"limits, the nominal capacity is {nominal_Ah:.4g} Ah; check electrode area and number of pairs"
        )
    return least_Ah


def _ocv(said: Said, cell: Cell) -> dict[str, Any]:
    """OCV at 25 degC over SOC, with hysteresis and entropy coefficient where the file has them."""
    x, y = electrodes.stoichiometries(cell, OCV_SOC)
    volts = cell.positive.potential_V(y) - cell.negative.potential_V(x)
    entropy = _entropy(said, x, y)
    if entropy is not None:
        volts = volts + entropy * (REFERENCE_DEGC + electrodes.ZERO_K - cell.reference_K)
    risen = np.maximum.accumulate(volts)
    if not (volts > 0.0).all() or float(np.max(risen - volts)) > MOST_FALL_V:
        raise ReadError(
            f"{said.path}: OCV, the difference of the two OCP, runs from {volts[0]:.4g} to {volts[-1]:.4g} V; it must "
            "rise with SOC from above 0; check the stoichiometric limits and that the OCP are not exchanged"
        )
    if (risen > volts).any():
        said.assumed.append(f"falls of OCV by up to {1000.0 * float(np.max(risen - volts)):.2g} mV levelled")
    steady = np.maximum.accumulate(risen - LEAST_RISE_V * np.arange(risen.size)) + LEAST_RISE_V * np.arange(risen.size)
    hysteresis = _hysteresis(said, x, y)
    found: dict[str, Any] = {"soc": OCV_SOC.tolist(), "ocv_V": steady.tolist()}
    if hysteresis is not None:
        found["hysteresis_V"] = np.clip(hysteresis, 0.0, 0.2).tolist()
    if entropy is not None:
        found["entropy_V_per_K"] = np.clip(entropy, -0.005, 0.005).tolist()
    said.assumed.extend([] if hysteresis is not None else ["no hysteresis"])
    return found


def _entropy(said: Said, x: Array, y: Array) -> Array | None:
    """dU/dT of the cell; None where neither electrode gives one."""
    name, total, heard = "Entropic change coefficient [V.K-1]", np.zeros(x.size), False
    for part, sto, sign in (("Negative electrode", x, -1.0), ("Positive electrode", y, 1.0)):
        if said.parts[part].get(name) is not None:
            total, heard = total + sign * _curve(said, part, name)(sto), True
        else:
            said.assumed.append(f"{part.lower()}: entropic change 0")
    return total if heard else None


def _hysteresis(said: Said, x: Array, y: Array) -> Array | None:
    """Half the distance between charge and discharge; None where no electrode gives both branches.

    Charging takes lithium from the positive electrode and puts it into the negative.
    """
    half, heard = np.zeros(x.size), False
    for part, sto, sign in (("Negative electrode", x, 1.0), ("Positive electrode", y, 1.0)):
        names = ("OCP (delithiation) [V]", "OCP (lithiation) [V]")
        if all(said.parts[part].get(name) is not None for name in names):
            taken, given = (_curve(said, part, name)(sto) for name in names)
            half, heard = half + sign * (taken - given) / 2.0, True
    return half if heard else None


def _resistance(said: Said, cell: Cell, current_A: float) -> dict[str, Any]:
    """Tables of the circuit over temperature and SOC, held within what a cell file takes."""
    found = [electrodes.circuit(cell, RESISTANCE_SOC, degC, current_A) for degC in RESISTANCE_DEGC]
    if not all(np.isfinite(values).all() for one in found for values in one):
        raise ReadError(f"{said.path}: some resistance is no number; check diffusivities, rates and conductivities")
    if any(np.max(values) > MOST_OHM for one in found for values in one[:3]):
        said.assumed.append(f"resistances beyond {MOST_OHM:g} ohm cut to that")
    tables = {
        f"{name}_ohm": [np.clip(getattr(one, f"{name}_ohm"), LEAST_OHM, MOST_OHM).tolist() for one in found]
        for name in ("r0", "r1", "r2")
    }
    times = {name: [min(max(getattr(one, name), 1e-3), MOST_S) for one in found] for name in ("rc1_s", "rc2_s")}
    return {"degC": list(RESISTANCE_DEGC), "soc": RESISTANCE_SOC.tolist(), **tables, **times}


def _chemistry(said: Said, full_V: float) -> Literal["lfp", "nmc", "nca"]:
    """What title and description call the cell, else what its voltage suggests."""
    header = said.raw["Header"]
    told = f"{header.get('Title') or ''} {header.get('Description') or ''}".lower()
    kinds: tuple[tuple[Literal["lfp", "nmc", "nca"], tuple[str, ...]], ...] = (
        ("lfp", ("lfp", "lifepo4")),
        ("nca", ("nca",)),
        ("nmc", ("nmc", "ncm")),
    )
    for kind, words in kinds:
        if any(word in told for word in words):
            return kind
    guess: Literal["lfp", "nmc"] = "lfp" if full_V < LFP_BELOW_V else "nmc"
    said.assumed.append(f"chemistry {guess}, from the upper voltage")
    return guess


def _mass(said: Said, otherwise_kg: float) -> float:
    """Density times volume where the file gives both."""
    density, volume = (said.parts["Cell"].get(name) for name in ("Density [kg.m-3]", "Volume [m3]"))
    if density is not None and volume is not None:
        return float(density) * float(volume)
    said.assumed.append(f"mass {otherwise_kg:.3g} kg, from a common energy density")
    return otherwise_kg


def write(cell: CellFile, path: Path) -> None:
    """The nearest BPX file: kind "Partial", with the whole cell file as look-up tables under "User-defined".

    `read` gives the same cell back. BPX demands an electrode area and a number of pairs, which a circuit does not
    have: they are written as 1 and said to mean nothing. Raises WriteError.
    """
    write_whole(path, content(cell, path))


def content(cell: CellFile, path: Path) -> bytes:
    """What `write` puts into its file, checked by the package; `path` is only named in complaints."""
    raw = bpx_object(cell)
    _validated(path, copy.deepcopy(raw))
    return (json.dumps(raw, indent=2, ensure_ascii=False) + "\n").encode()


def bpx_object(cell: CellFile) -> dict[str, Any]:
    """A cell file as a BPX object, ready for `json`."""
    return {
        "Header": {
            "BPX": "1.1.0",
            "Title": cell.name,
            "Description": f"Equivalent circuit of one cell ({cell.chemistry}), written by Packhorse. It has no "
            'electrodes: electrode area and number of pairs are 1 because BPX demands them. Under "User-defined", '
            f'"{OURS}" holds every parameter, units in the names, lists as tables over SOC or degC.',
            "References": "\n".join(cell.sources),
            "Model": "Partial",
        },
        "Parameterisation": {
            "Cell": {
                "Electrode area [m2]": 1.0,
                "Number of electrode pairs connected in parallel to make a cell": 1,
                "Lower voltage cut-off [V]": cell.min_V,
                "Upper voltage cut-off [V]": cell.max_V,
                "Nominal cell capacity [A.h]": cell.capacity_Ah,
                "Reference temperature [K]": REFERENCE_DEGC + electrodes.ZERO_K,
                "Specific heat capacity [J.K-1.kg-1]": cell.heat_capacity_J_per_kgK,
            },
            "User-defined": {OURS: _encoded(cell)},
        },
    }


def _encoded(model: BaseModel) -> dict[str, Any]:
    """A description as BPX can hold it: numbers, tables of x and y, and text under the one key that may be text."""
    fields = {name: value for name, value in model if value is not None}
    return {name: _entry(name, value, fields) for name, value in fields.items()}


def _entry(name: str, value: object, beside: Mapping[str, object]) -> object:
    """One field. Lists stand over the axis of their table that has their length, or over their places."""
    if isinstance(value, BaseModel):
        return _encoded(value)
    if isinstance(value, str):
        return {"description": value}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, list):
        raise TypeError(f"{name} is {type(value).__name__}; BPX holds numbers, text and tables")
    axes = {axis: values for axis, values in beside.items() if axis in AXES and axis != name}
    if value and isinstance(value[0], str | list):
        degC = axes.pop("degC", None)
        marks = [f" at {row:g} degC" for row in degC] if isinstance(degC, list) and len(degC) == len(value) else None
        keys = [f"{k + 1:03}{marks[k] if marks and isinstance(value[0], list) else ''}" for k in range(len(value))]
        return {key: _entry(name, item, {**axes, name: value}) for key, item in zip(keys, value, strict=True)}
    fits = (axis for axis in axes.values() if isinstance(axis, list) and len(axis) == len(value))
    return {"x": next(fits, [float(k) for k in range(len(value))]), "y": value}


def _decoded(value: Any) -> Any:
    """What `_encoded` was given."""
    if not isinstance(value, dict):
        return value
    if set(value) == {"description"}:
        return value["description"]
    if set(value) == {"x", "y"}:
        return value["y"]
    if value and all(key[:3].isdigit() for key in value):
        return [_decoded(value[key]) for key in sorted(value, key=lambda key: int(key.split()[0]))]
    return {name: _decoded(item) for name, item in value.items()}
