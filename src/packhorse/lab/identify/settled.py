"""What is settled before the circuit is fitted: temperatures, capacity, equilibrium, and where each log starts."""

from __future__ import annotations

import numpy as np

from packhorse.estimation.belief import EMPTY_SOC, FULL_SOC
from packhorse.estimation.temperature import ROOM_DEGC
from packhorse.io.cell_logs import CellLog
from packhorse.lab.identify.circuit import arrhenius, hat
from packhorse.lab.identify.slow import WARM_DEGC, Slow, middle
from packhorse.lab.identify.solve import Known, over_degC
from packhorse.lab.identify.training import typical_degC
from packhorse.pack.compile import SOC_GRID
from packhorse.pack.words import Array

TIE = 1e-3
"""Weight of the wish that neighbouring temperatures agree, where nothing was measured."""
FULL_V = 0.07
"""A cell that rests less than this below its largest voltage has just been charged full."""
TYPICAL_OHM_AH = 0.12
"""Resistance of a cell of one ampere-hour after minutes at 25 degC. Assumed, for first guesses only."""
TYPICAL_K = 3500.0
"""Activation temperature of resistance. Assumed, for first guesses only."""


def known_of(slow: list[Slow], centres: list[float]) -> Known:
    """Capacity, OCV and half-width at the centres, such that the line through them meets what was measured."""
    halves = [(s.degC, half_V) for s in slow if (half_V := s.half_V()) is not None]
    warm = [half_V for degC, half_V in halves if degC > WARM_DEGC]
    half_V = np.maximum(np.mean(warm or [h for _, h in halves] or [np.zeros(SOC_GRID.size)], axis=0), 0.0)
    places = np.array(centres)
    weight = hat(np.array([s.degC for s in slow]), places)
    tie = TIE * np.diff(np.eye(places.size), axis=0)

    def settle(values: Array) -> Array:
        right = np.vstack([values, np.zeros((tie.shape[0], values.shape[1]))])
        return np.asarray(np.linalg.lstsq(np.vstack([weight, tie]), right, rcond=None)[0])

    capacity = settle(np.array([[s.capacity_Ah] for s in slow]))[:, 0]
    return Known(places, capacity, settle(np.array([middle(s, half_V) for s in slow])), half_V)


def typical_ohm(capacity_Ah: float, degC: float) -> float:
    """A first guess of a cell's resistance after minutes."""
    return TYPICAL_OHM_AH / capacity_Ah * float(arrhenius(np.array(degC), ROOM_DEGC, TYPICAL_K))


def start_of(known: Known, log: CellLog, max_V: float) -> tuple[float, float, bool]:
    """SOC and hysteresis state at the first row, and whether the SOC is only a guess."""
    degC = typical_degC(log)
    rest_V = log.cell_V[0] + typical_ohm(float(known.capacity_Ah.max()), degC) * log.current_A[0]
    if rest_V > max_V - FULL_V:
        return 1.0, 1.0, False
    curve = over_degC(known, known.ocv_V, np.array([degC]))[0]
    soc = float(np.interp(rest_V, curve, SOC_GRID))
    return soc, 1.0 if soc > FULL_SOC else -1.0 if soc < EMPTY_SOC else 0.0, True
