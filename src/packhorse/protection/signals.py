"""From one frame to the numbers that the fault table judges, each with the place it was read from.

NaN is "not known" and leaves a fault as it is; -inf and +inf are "does not apply now" and let it clear.
"""

from __future__ import annotations

import math

import numpy as np

from packhorse.cell import physics
from packhorse.compiled import kernel, part
from packhorse.pack.known import LARGEST, known
from packhorse.pack.words import Array, Control, Frame, Pack, Signal, Watch

CELL_MAX_V, CELL_MIN_V, CELL_SPREAD_V = int(Signal.CELL_MAX_V), int(Signal.CELL_MIN_V), int(Signal.CELL_SPREAD_V)
DISCHARGE_SHARE, CHARGE_SHARE = int(Signal.DISCHARGE_SHARE), int(Signal.CHARGE_SHARE)
DISCHARGE_MAX_DEGC, DISCHARGE_MIN_DEGC = int(Signal.DISCHARGE_MAX_DEGC), int(Signal.DISCHARGE_MIN_DEGC)
CHARGE_MAX_DEGC, CHARGE_MIN_DEGC = int(Signal.CHARGE_MAX_DEGC), int(Signal.CHARGE_MIN_DEGC)
PROBE_SPREAD_DEGC, COOLANT_MAX_DEGC = int(Signal.PROBE_SPREAD_DEGC), int(Signal.COOLANT_MAX_DEGC)
ISOLATION_OHM_PER_V, ISOLATION_MISSING = int(Signal.ISOLATION_OHM_PER_V), int(Signal.ISOLATION_MISSING)
HVIL, CONTACTOR_MISMATCH = int(Signal.HVIL), int(Signal.CONTACTOR_MISMATCH)
PRECHARGE_TRIES, OPEN_STRING_A = int(Signal.PRECHARGE_TRIES), int(Signal.OPEN_STRING_A)
CELLS_MISSING, PROBES_MISSING = int(Signal.CELLS_MISSING), int(Signal.PROBES_MISSING)
CURRENT_MISSING, STRING_V_MISSING = int(Signal.CURRENT_MISSING), int(Signal.STRING_V_MISSING)
OLDEST_AGE_S, FROZEN_S = int(Signal.OLDEST_AGE_S), int(Signal.FROZEN_S)
SUM_MISMATCH_V, STRING_MAX_V, STRING_MIN_V = (
    int(Signal.SUM_MISMATCH_V),
    int(Signal.STRING_MAX_V),
    int(Signal.STRING_MIN_V),
)
STRING_DISAGREEMENT_SHARE = int(Signal.STRING_DISAGREEMENT_SHARE)
SIGNALS = len(Signal)

NO_CURRENT_C = 0.02
"""Current below which a string counts as resting [1/h of its capacity]."""
LEAST_RATING = 0.25
"""Over-current is judged against no less than this share of the rating at 25 degC: where the cold allows no charge
at all, a trickle is the temperature faults' business, not a short circuit."""
DISCHARGE_10S, CHARGE_10S = 5, 6
ROOM_DEGC = 25.0


@part
def judge(pack: Pack, frame: Frame, watch: Watch, control: Control) -> tuple[Array, Array]:
    """Signals and their places, each (signals, strings). `control` says what was commanded until now."""
    signal = np.empty((SIGNALS, pack.strings))
    place = np.full((SIGNALS, pack.strings), -1.0)
    for s in range(pack.strings):
        voltages(pack, frame, s, signal, place)
        temperatures(pack, frame, s, signal, place)
        currents(pack, frame, control, s, signal)
        circuits(pack, frame, control, s, signal, place)
        signal[FROZEN_S, s] = watch.frozen_s[s]
        oldest = -math.inf
        for k in range(3):
            age_s = frame.age_s[s, k] if known(frame.age_s[s, k]) else math.inf  # nobody knows how old it is
            oldest = age_s if age_s > oldest else oldest
        signal[OLDEST_AGE_S, s] = oldest
    return signal, place


@kernel
def voltages(pack: Pack, frame: Frame, s: int, signal: Array, place: Array) -> None:
    """Worst cells, spread, sum of cells against the string's own voltage."""
    high, low, total, missing = -math.inf, math.inf, 0.0, 0
    high_at, low_at, missing_at = -1, -1, -1
    for k in range(pack.series):
        v = frame.cell_V[s, k]
        if known(v):
            total += v
            high_at = k if v > high else high_at
            high = v if v > high else high
            low_at = k if v < low else low_at
            low = v if v < low else low
        else:
            missing_at = k if missing == 0 else missing_at
            missing += 1
    heard = missing < pack.series
    signal[CELL_MAX_V, s] = high if heard else math.nan
    signal[CELL_MIN_V, s] = low if heard else math.nan
    signal[CELL_SPREAD_V, s] = high - low if heard else math.nan
    place[CELL_MAX_V, s], place[CELL_MIN_V, s], place[CELL_SPREAD_V, s] = high_at, low_at, low_at
    signal[CELLS_MISSING, s], place[CELLS_MISSING, s] = missing, missing_at
    string_V = frame.string_V[s]
    measured = known(string_V)
    string_V = string_V if measured else math.nan
    total = total if missing == 0 else math.nan
    signal[STRING_V_MISSING, s] = 1.0 if pack.fitted.string_voltage > 0.0 and not measured else 0.0
    signal[SUM_MISMATCH_V, s] = abs(total - string_V)
    signal[STRING_MAX_V, s] = string_V if measured else total
    signal[STRING_MIN_V, s] = string_V if measured else total


@kernel
def temperatures(pack: Pack, frame: Frame, s: int, signal: Array, place: Array) -> None:
    """Worst probes; those of charging apply only while charge flows: in the frost a plugged truck first warms up."""
    high, low, missing = -math.inf, math.inf, 0
    high_at, low_at = -1, -1
    for k in range(pack.probes):
        degC = frame.probe_degC[s, k]
        if known(degC):
            high_at = k if degC > high else high_at
            high = degC if degC > high else high
            low_at = k if degC < low else low_at
            low = degC if degC < low else low
        else:
            missing += 1
    heard = missing < pack.probes
    charging = frame.string_A[s] < -NO_CURRENT_C * pack.cell.capacity_Ah
    signal[DISCHARGE_MAX_DEGC, s] = high if heard else math.nan
    signal[DISCHARGE_MIN_DEGC, s] = low if heard else math.nan
    signal[PROBE_SPREAD_DEGC, s] = high - low if heard else math.nan
    signal[CHARGE_MAX_DEGC, s] = signal[DISCHARGE_MAX_DEGC, s] if charging else -math.inf
    signal[CHARGE_MIN_DEGC, s] = signal[DISCHARGE_MIN_DEGC, s] if charging else math.inf
    place[DISCHARGE_MAX_DEGC, s], place[CHARGE_MAX_DEGC, s], place[PROBE_SPREAD_DEGC, s] = high_at, high_at, high_at
    place[DISCHARGE_MIN_DEGC, s], place[CHARGE_MIN_DEGC, s] = low_at, low_at
    signal[PROBES_MISSING, s] = missing
    inlet, outlet = frame.inlet_degC, frame.outlet_degC
    signal[COOLANT_MAX_DEGC, s] = outlet if outlet > inlet or not known(inlet) else inlet


@kernel
def rating_A(pack: Pack, degC_low: float, degC_high: float, column: int) -> float:
    """Ten-second rating over the temperatures heard, never below `LEAST_RATING` of that at room temperature."""
    room = physics.over_degC(pack.cell.degC_nodes, ROOM_DEGC, column)
    cold = physics.over_degC(pack.cell.degC_nodes, degC_low, column)
    hot = physics.over_degC(pack.cell.degC_nodes, degC_high, column)
    worst = cold if cold < hot else hot
    worst = worst if known(degC_low) else 0.0
    return worst if worst > LEAST_RATING * room else LEAST_RATING * room


@kernel
def currents(pack: Pack, frame: Frame, control: Control, s: int, signal: Array) -> None:
    """Current against the ten-second ratings, on open strings, and against the strings beside it."""
    current_A = frame.string_A[s] if known(frame.string_A[s]) else math.nan
    low, high = signal[DISCHARGE_MIN_DEGC, s], signal[DISCHARGE_MAX_DEGC, s]
    signal[DISCHARGE_SHARE, s] = current_A / rating_A(pack, low, high, DISCHARGE_10S)
    signal[CHARGE_SHARE, s] = -current_A / rating_A(pack, low, high, CHARGE_10S)
    signal[CURRENT_MISSING, s] = 0.0 if known(current_A) else 1.0
    told = control.contactor[s, 0] + control.contactor[s, 1] + control.contactor[s, 2] > 0.0
    signal[OPEN_STRING_A, s] = -math.inf if told else abs(current_A)
    total, count = 0.0, 0
    for other in range(pack.strings):
        if control.contactor[other, 1] > 0.0:
            total += frame.string_A[other]
            count += 1
    applies = count > 1 and control.contactor[s, 1] > 0.0
    mean = total / count if count > 0 else 0.0
    scale = abs(mean)
    least = 0.2 * pack.cell.capacity_Ah
    scale = least if scale < least else scale
    signal[STRING_DISAGREEMENT_SHARE, s] = abs(current_A - mean) / scale if applies else -math.inf


@kernel
def circuits(pack: Pack, frame: Frame, control: Control, s: int, signal: Array, place: Array) -> None:
    """Isolation, interlock, contactor feedback, precharge. Fitted and silent counts as the worst."""
    isolation = frame.isolation_ohm if not frame.isolation_ohm > LARGEST else LARGEST
    signal[ISOLATION_OHM_PER_V, s] = isolation / pack.isolation_base_V
    signal[ISOLATION_MISSING, s] = 1.0 if pack.fitted.isolation > 0.0 and math.isnan(isolation) else 0.0
    hvil = frame.hvil
    silent = 0.0 if pack.fitted.hvil > 0.0 else 1.0
    signal[HVIL, s] = hvil if known(hvil) else silent
    mismatch = 0.0
    for k in range(3):
        told, does = control.contactor[s, k], frame.contactor[s, k]
        wrong = abs(told - does) > 0.5 if known(does) else pack.fitted.contactor_feedback > 0.0
        place[CONTACTOR_MISMATCH, s] = k if wrong else place[CONTACTOR_MISMATCH, s]
        mismatch += 1.0 if wrong else 0.0
    signal[CONTACTOR_MISMATCH, s] = mismatch
    signal[PRECHARGE_TRIES, s] = control.tries[s]
