"""From the solution to a cell file: what was measured, and beside it, marked, what had to be assumed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from packhorse.cell.physics import SECONDS_PER_HOUR
from packhorse.estimation.temperature import ROOM_DEGC
from packhorse.io.cell_logs import CellLog
from packhorse.lab.identify.circuit import BLOCK, HYSTERESIS_NODES, OCV_NODES, R_NODES, Shape, arrhenius, hat, layout
from packhorse.lab.identify.slow import LEAST_STEP_V, rising
from packhorse.lab.identify.solve import Known
from packhorse.lab.identify.training import moved_Ah, nearest
from packhorse.pack.compile import SOC_GRID
from packhorse.pack.description import CellFile
from packhorse.pack.words import Array

LEAST_OHM_AH = 1e-4
"""No cell of one ampere-hour has a resistance or an RC pair below this [ohm]: zero cannot be brought to other degC."""


class Assumed(NamedTuple):
    """What laboratory logs do not say of a cell of one chemistry. Assumed: typical of cells on the market."""

    nominal_share: float  # of the way from min_V to max_V
    Wh_per_kg: float
    heat_capacity_J_per_kgK: float
    charge_degC: tuple[float, float]
    discharge_degC: tuple[float, float]
    entropy_V_per_K: float
    self_discharge_per_month: float
    charge_rate: float  # 1/h of the capacity, continuous, at room temperature
    discharge_rate: float


ASSUMED = {
    "nmc": Assumed(0.58, 220.0, 950.0, (0.0, 50.0), (-30.0, 60.0), 0.0, 0.02, 1.0, 2.0),
    "nca": Assumed(0.62, 240.0, 950.0, (0.0, 50.0), (-30.0, 60.0), 0.0, 0.02, 0.7, 2.0),
    "lfp": Assumed(0.76, 120.0, 1000.0, (0.0, 55.0), (-30.0, 60.0), 0.0, 0.02, 1.0, 3.0),
}
RATING_DEGC: Array = np.array([-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 25.0, 45.0, 55.0, 60.0])
CHARGE_SHARE: Array = np.array([0.0, 0.0, 0.0, 0.0, 0.3, 0.8, 1.0, 1.0, 0.3, 0.0])
DISCHARGE_SHARE: Array = np.array([0.1, 0.25, 0.5, 0.8, 1.0, 1.0, 1.0, 1.0, 0.7, 0.5])
BRIEF = 1.5
"""Currents allowed for ten seconds, in continuous ones. Assumed."""


AWAY_K = (20.0, 40.0)
DOUBLES_K = 20.0
"""How far from the tested temperatures the model's error is as large again. Assumed."""
COLDEST_DEGC, WARMEST_DEGC = -60.0, 100.0
MOST_V = 0.5
SLOW_SOC = 0.05
"""Over how much SOC the lasting error keeps its value. Assumed."""


class Errors(NamedTuple):
    """How wrong the model is, measured on logs that were left out."""

    centres: Array  # (temperatures,) degC
    soc: Array  # (nodes,)
    sigma_V: Array  # (temperatures, nodes) lasting part
    fast_sigma_V: float
    fast_share: float  # of the voltage over the resistances
    slow_s: float
    fast_s: float
    resistance_sigma: float


def chemistry_of(ocv_V: Array) -> str:
    """Chemistry by the shape of the OCV: LFP rises by less than 0.15 V over the middle half, which no other does."""
    return "lfp" if ocv_V[150] - ocv_V[50] < 0.15 else "nmc"


def tables(known: Known, x: Array) -> dict[str, Array]:
    """Node values of every parameter by name, (temperatures, nodes)."""
    blocks, place = x.reshape(known.centres.size, BLOCK), layout()
    correction = blocks[:, place.ocv] @ hat(SOC_GRID, OCV_NODES).T
    ocv = np.array([rising(row) for row in known.ocv_V + correction])
    least = LEAST_OHM_AH / float(np.max(known.capacity_Ah))
    r0, r1, r2 = (np.maximum(blocks[:, part], least) for part in place.resistance)
    return {"ocv": ocv, "r0": r0, "r1": r1, "r2": r2, "hysteresis": blocks[:, place.hysteresis]}


def largest_rates(logs: list[CellLog], capacity_Ah: float) -> tuple[float, float]:
    """Largest charge and discharge that any log holds for ten seconds, 1/h of the capacity."""
    charge, discharge = 0.0, 0.0
    for log in logs:
        moved = moved_Ah(log)
        later = np.clip(np.searchsorted(log.time_s, log.time_s + 10.0), 0, log.time_s.size - 1)
        span = log.time_s[later] - log.time_s
        rate = (
            np.where(span >= 9.5, (moved[later] - moved) * SECONDS_PER_HOUR / np.maximum(span, 1.0), 0.0) / capacity_Ah
        )
        discharge, charge = max(discharge, float(rate.max())), max(charge, float(-rate.min()))
    return charge, discharge


def rounded(values: Any, digits: int = 6) -> Any:
    """Numbers with so many significant digits, as lists."""
    if np.ndim(values) == 0:
        return float(f"{float(values):.{digits}g}")
    return [rounded(value, digits) for value in values]


def within(ocv_V: Array, low_V: float, high_V: float) -> Array:
    """An OCV that stays within what a cell file allows; at the ends a fit has little to hold on to."""
    lift = 2.0 * LEAST_STEP_V * np.arange(ocv_V.size)
    return np.asarray(np.clip(ocv_V, low_V - 0.25 + lift, high_V + 0.04 + lift - lift[-1]))


def around(centres: Array) -> Array:
    """The tested temperatures, and untested ones on either side as far as a cell file reaches."""
    low, high, away = centres[0], centres[-1], np.array(AWAY_K)
    degC = np.concatenate([(low - away)[::-1], centres, high + away])
    return degC[(degC >= COLDEST_DEGC) & (degC <= WARMEST_DEGC)]


def farther(centres: Array, sigma_V: Array) -> Array:
    """The model's error at the temperatures `around`: the farther from what was tested the larger."""
    degC = around(centres)
    away_K = np.abs(degC - np.clip(degC, centres[0], centres[-1]))
    tested = np.array([sigma_V[nearest(one, centres)] for one in degC])
    return np.asarray(np.minimum((1.0 + away_K / DOUBLES_K)[:, None] * tested, MOST_V))


def beyond_one(known: Known, table_ohm: Array, activation_K: float) -> Array:
    """A resistance at the temperatures `around`, where one alone was tested; where several were, as it is.

    Several say themselves how it goes on; one is brought elsewhere by the activation temperature.
    """
    if known.centres.size > 1:
        return table_ohm
    return np.outer(arrhenius(around(known.centres), float(known.centres[0]), activation_K), table_ohm[0])


def describe(
    name: str,
    chemistry: str,
    known: Known,
    shape: Shape,
    x: Array,
    errors: Errors,
    limits_V: tuple[float, float],
    doubt: float,
    logs: list[CellLog],
) -> CellFile:
    """The cell file of a solution."""
    table, assumed = tables(known, x), ASSUMED[chemistry]
    warm = nearest(ROOM_DEGC, known.centres)
    capacity_Ah = float(known.capacity_Ah[warm])
    low_V, high_V = limits_V
    nominal_V = float(np.mean(table["ocv"][warm]))
    charge_rate, discharge_rate = largest_rates(logs, capacity_Ah)
    charge_A = assumed.charge_rate * capacity_Ah * CHARGE_SHARE
    discharge_A = min(max(discharge_rate / BRIEF, assumed.discharge_rate), 20.0) * capacity_Ah * DISCHARGE_SHARE
    share = np.interp(RATING_DEGC, known.centres, known.capacity_Ah) / capacity_Ah
    fine = SOC_GRID[::2]
    reached = around(known.centres) if known.centres.size == 1 else known.centres
    files = ", ".join(log.name for log in logs)
    return CellFile.model_validate(
        {
            "name": name,
            "chemistry": chemistry,
            "sources": [
                f"measured: OCV, hysteresis, resistances, capacity and model error, identified from {files}",
                f"measured: largest current for 10 s, {discharge_rate:.3g}C discharge, {charge_rate:.3g}C charge",
                f"assumed, typical of {chemistry}: mass, heat capacity, temperature limits, self-discharge, ratings",
            ],
            "capacity_Ah": rounded(capacity_Ah),
            "min_V": rounded(low_V, 4),
            "max_V": rounded(high_V, 4),
            "nominal_V": rounded(nominal_V, 4),
            "mass_kg": rounded(capacity_Ah * nominal_V / assumed.Wh_per_kg, 3),
            "heat_capacity_J_per_kgK": assumed.heat_capacity_J_per_kgK,
            "min_charge_degC": assumed.charge_degC[0],
            "max_charge_degC": assumed.charge_degC[1],
            "min_discharge_degC": assumed.discharge_degC[0],
            "max_discharge_degC": assumed.discharge_degC[1],
            "self_discharge_per_month": assumed.self_discharge_per_month,
            "capacity_sigma": rounded(doubt, 3),
            "resistance_sigma": rounded(errors.resistance_sigma, 3),
            "ocv": {
                "degC": rounded(known.centres, 4),
                "soc": rounded(fine, 4),
                "ocv_V": rounded(np.array([rising(within(row, low_V, high_V)) for row in table["ocv"][:, ::2]])),
                "hysteresis_V": rounded(np.maximum(table["hysteresis"] @ hat(fine, HYSTERESIS_NODES).T, 0.0), 4),
                "hysteresis_rate": rounded(shape.hysteresis_rate, 4),
            },
            "resistance": {
                "degC": rounded(reached, 4),
                "soc": rounded(R_NODES, 4),
                "r0_ohm": rounded(beyond_one(known, table["r0"], shape.activation_K), 5),
                "r1_ohm": rounded(beyond_one(known, table["r1"], shape.activation_K), 5),
                "r2_ohm": rounded(beyond_one(known, table["r2"], shape.activation_K), 5),
                "rc1_s": [shape.tau1_s] * reached.size,
                "rc2_s": [shape.tau2_s] * reached.size,
            },
            "over_temperature": {
                "degC": rounded(RATING_DEGC, 4),
                "capacity_share": rounded(share, 5),
                "discharge_A": rounded(discharge_A, 4),
                "charge_A": rounded(charge_A, 4),
                "discharge_10s_A": rounded(BRIEF * discharge_A, 4),
                "charge_10s_A": rounded(BRIEF * charge_A, 4),
            },
            "model_error": {
                "degC": rounded(around(errors.centres), 4),
                "soc": rounded(errors.soc, 4),
                "sigma_V": rounded(farther(errors.centres, errors.sigma_V), 3),
                "fast_sigma_V": rounded(errors.fast_sigma_V, 3),
                "fast_share": rounded(errors.fast_share, 3),
                "slow_s": rounded(errors.slow_s, 3),
                "slow_soc": SLOW_SOC,
                "fast_s": rounded(errors.fast_s, 3),
            },
        }
    )
