"""A cell file from a slow test alone, so that scoring can be developed before there is an identification."""

import numpy as np

from packhorse.io.cell_logs import CellLog
from packhorse.lab.training import Training
from packhorse.pack.description import CellFile

LIMITS = {"lfp": (2.0, 3.65, 3.2), "nmc": (2.5, 4.25, 3.6), "nca": (2.4, 4.25, 3.6)}


def own_degC(log: CellLog) -> float:
    """Temperature of the slow discharge."""
    return float(np.median(log.cell_degC[: log.time_s.size // 4]))


def ways_of(log: CellLog) -> list[tuple[np.ndarray, np.ndarray]]:
    """Charge that has flowed [Ah] and voltage of the longest discharge and of the longest charge."""
    flowed = np.concatenate([[0.0], np.cumsum(log.current_A[1:] * np.diff(log.time_s))]) / 3600.0
    still = 0.5 * np.median(np.abs(log.current_A[np.abs(log.current_A) > 0.01]))
    found = []
    for way in (1.0, -1.0):
        run = np.concatenate([[False], way * log.current_A > still, [False]]).astype(int)
        begin, end = np.flatnonzero(np.diff(run) == 1), np.flatnonzero(np.diff(run) == -1)
        k = int(np.argmax(end - begin))
        found.append((flowed[begin[k] : end[k]], log.cell_V[begin[k] : end[k]]))
    return found


def identify(training: Training) -> CellFile:
    """OCV and half-width from the slow test nearest to 25 degC, capacity over temperature, guessed resistances."""
    slow = sorted(training.ocv, key=own_degC)
    degC, sizes = [], []
    for log in slow:
        if not degC or own_degC(log) > degC[-1] + 1.0:
            degC.append(own_degC(log))
            sizes.append(float(np.ptp(ways_of(log)[0][0])))
    grid = np.linspace(0.0, 1.0, 101)
    ways = []
    for flowed, cell_V in ways_of(min(slow, key=lambda log: abs(own_degC(log) - 25.0))):
        soc = (flowed.max() - flowed) / np.ptp(flowed)
        order = np.argsort(soc, kind="stable")
        ways.append(np.interp(grid, soc[order], cell_V[order]))
    mean = np.maximum.accumulate(0.5 * (ways[0] + ways[1])) + 1e-5 * np.arange(grid.size)
    half = np.clip(0.5 * (ways[1] - ways[0]), 0.0, 0.03) if training.chemistry == "lfp" else np.zeros(grid.size)
    at_25 = float(np.interp(25.0, degC, sizes))
    ohm = 0.06 / at_25
    cold = [-20.0, 0.0, 25.0, 45.0]
    low, high, nominal = LIMITS[training.chemistry]
    return CellFile.model_validate(
        {
            "name": "stand-in",
            "chemistry": training.chemistry,
            "sources": ["a test"],
            "capacity_Ah": at_25,
            "min_V": low,
            "max_V": high,
            "nominal_V": nominal,
            "mass_kg": at_25 * nominal / 200.0,
            "heat_capacity_J_per_kgK": 1000.0,
            "min_charge_degC": -20.0,
            "max_charge_degC": 55.0,
            "min_discharge_degC": -30.0,
            "max_discharge_degC": 60.0,
            "ocv": {
                "soc": grid.tolist(),
                "ocv_V": np.clip(mean, low - 0.29, high + 0.04).tolist(),
                "hysteresis_V": half.tolist(),
            },
            "resistance": {
                "degC": cold,
                "soc": [0.5],
                "r0_ohm": [[6 * ohm], [2 * ohm], [ohm], [0.8 * ohm]],
                "r1_ohm": [[3 * ohm], [ohm], [0.5 * ohm], [0.4 * ohm]],
                "r2_ohm": [[3 * ohm], [ohm], [0.5 * ohm], [0.4 * ohm]],
                "rc1_s": [5.0] * 4,
                "rc2_s": [80.0] * 4,
            },
            "over_temperature": {
                "degC": degC if len(degC) > 1 else [degC[0], degC[0] + 1.0],
                "capacity_share": [size / at_25 for size in sizes] if len(degC) > 1 else [1.0, 1.0],
                **dict.fromkeys(
                    ("discharge_A", "charge_A", "discharge_10s_A", "charge_10s_A"), [at_25] * max(2, len(degC))
                ),
            },
        }
    )
