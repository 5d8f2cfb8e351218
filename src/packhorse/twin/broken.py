"""Faults at work: what breaks in the hardware, in the cells and in what is heard of them."""

from __future__ import annotations

import math

import numpy as np

from packhorse.compiled import part
from packhorse.pack.words import Array, Command, Frame
from packhorse.twin.words import Kind

CELL_OFFSET, CELL_SILENT, BOARD_SILENT = int(Kind.CELL_OFFSET), int(Kind.CELL_SILENT), int(Kind.BOARD_SILENT)
BOARD_FROZEN, BOARD_LATE = int(Kind.BOARD_FROZEN), int(Kind.BOARD_LATE)
PROBE_OFFSET, PROBE_SILENT = int(Kind.PROBE_OFFSET), int(Kind.PROBE_SILENT)
CURRENT_OFFSET, CURRENT_SILENT = int(Kind.CURRENT_OFFSET), int(Kind.CURRENT_SILENT)
STRING_VOLTAGE_OFFSET, STRING_VOLTAGE_SILENT = int(Kind.STRING_VOLTAGE_OFFSET), int(Kind.STRING_VOLTAGE_SILENT)
LINK_VOLTAGE_SILENT, ISOLATION, HVIL_OPEN = int(Kind.LINK_VOLTAGE_SILENT), int(Kind.ISOLATION), int(Kind.HVIL_OPEN)
CONTACTOR_WELDED, CONTACTOR_STUCK_OPEN = int(Kind.CONTACTOR_WELDED), int(Kind.CONTACTOR_STUCK_OPEN)
PRECHARGE_BROKEN, PUMP_STOPPED = int(Kind.PRECHARGE_BROKEN), int(Kind.PUMP_STOPPED)
CHILLER_STOPPED, RADIATOR_STOPPED = int(Kind.CHILLER_STOPPED), int(Kind.RADIATOR_STOPPED)
HEATER_STUCK_ON = int(Kind.HEATER_STUCK_ON)
CELL_WEAK, CELL_RESISTIVE = int(Kind.CELL_WEAK), int(Kind.CELL_RESISTIVE)
CELL_SHORT, CELL_HEATING = int(Kind.CELL_SHORT), int(Kind.CELL_HEATING)
INVERTER_IGNORES_LIMITS = int(Kind.INVERTER_IGNORES_LIMITS)
CHARGER_IGNORES_REQUEST = int(Kind.CHARGER_IGNORES_REQUEST)


@part
def active(fault: Array, time_s: float) -> bool:
    """Whether a row of the fault list is at work now."""
    begun: bool = fault[1] <= time_s
    return begun and time_s < fault[2]


@part
def span(chosen: float, count: int) -> tuple[int, int]:
    """First and last-but-one index that a fault means: one place, or all where it says -1."""
    if chosen < 0.0:
        return 0, count
    k = int(chosen)
    return (k, k + 1) if k < count else (0, 0)


@part
def put(fault: Array, out: Array, value: float) -> None:
    """Write a value at every string and place that a fault means."""
    first_s, last_s = span(fault[3], out.shape[0])
    first, last = span(fault[4], out.shape[1])
    for s in range(first_s, last_s):
        for k in range(first, last):
            out[s, k] = value


@part
def shift(fault: Array, out: Array, by: float) -> None:
    """Add to every string and place that a fault means."""
    first_s, last_s = span(fault[3], out.shape[0])
    first, last = span(fault[4], out.shape[1])
    for s in range(first_s, last_s):
        for k in range(first, last):
            out[s, k] += by


@part
def strength(faults: Array, time_s: float, kind: int) -> float:
    """Value of the last active fault of a kind; NaN where there is none."""
    found = math.nan
    for row in range(faults.shape[0]):
        fault = faults[row]
        found = fault[5] if fault[0] == kind and active(fault, time_s) else found
    return found


@part
def at_cells(faults: Array, time_s: float, kind: int, healthy: float, out: Array) -> None:
    """Value of a kind of fault at every cell into `out`, (strings, series); `healthy` where nothing is broken."""
    for s in range(out.shape[0]):
        for k in range(out.shape[1]):
            out[s, k] = healthy
    for row in range(faults.shape[0]):
        if faults[row, 0] == kind and active(faults[row], time_s):
            put(faults[row], out, faults[row, 5])


@part
def moved(faults: Array, time_s: float, told: Array) -> Array:
    """Where the contactors really are, and not where they were told to be: (strings, 3)."""
    out = told.copy()
    for row in range(faults.shape[0]):
        fault = faults[row]
        if not active(fault, time_s):
            continue
        if fault[0] == CONTACTOR_WELDED:
            put(fault, out, 1.0)
        elif fault[0] == CONTACTOR_STUCK_OPEN:
            put(fault, out, 0.0)
    return out


@part
def resistor_broken(faults: Array, time_s: float, count: int) -> Array:
    """1 for each string whose precharge resistor is open."""
    out = np.zeros(count)
    for row in range(faults.shape[0]):
        fault = faults[row]
        if fault[0] == PRECHARGE_BROKEN and active(fault, time_s):
            first, last = span(fault[3], count)
            for s in range(first, last):
                out[s] = 1.0
    return out


@part
def obeyed(faults: Array, time_s: float, told: Command) -> Command:
    """What pump, chiller, radiator and heater really do."""
    stopped = not math.isnan(strength(faults, time_s, PUMP_STOPPED))
    cold = math.isnan(strength(faults, time_s, CHILLER_STOPPED))
    blown = math.isnan(strength(faults, time_s, RADIATOR_STOPPED))
    stuck = not math.isnan(strength(faults, time_s, HEATER_STUCK_ON))
    return Command(
        told.contactor,
        told.bleed,
        0.0 if stopped else told.pump,
        told.chiller if cold else 0.0,
        told.radiator if blown else 0.0,
        1.0 if stuck else told.heater,
        told.charge_A,
        told.charge_V,
        told.stage,
    )


@part
def boards(faults: Array, time_s: float, board: int, was_V: Array, cell_V: Array, age_s: Array) -> None:
    """Break what the cell boards say, in place."""
    for row in range(faults.shape[0]):
        fault = faults[row]
        if not active(fault, time_s):
            continue
        if fault[0] == CELL_OFFSET:
            shift(fault, cell_V, fault[5])
        elif fault[0] == CELL_SILENT:
            put(fault, cell_V, math.nan)
        elif fault[0] == BOARD_LATE:
            late(fault, age_s)
        elif fault[0] == BOARD_SILENT or fault[0] == BOARD_FROZEN:
            first_s, last_s = span(fault[3], cell_V.shape[0])
            for s in range(first_s, last_s):
                for k in range(cell_V.shape[1]):
                    meant = fault[4] < 0.0 or k // board == int(fault[4])
                    silent = fault[0] == BOARD_SILENT and meant
                    cell_V[s, k] = math.nan if silent else cell_V[s, k]
                    cell_V[s, k] = was_V[s, k] if fault[0] == BOARD_FROZEN and meant else cell_V[s, k]


@part
def late(fault: Array, age_s: Array) -> None:
    """Cell voltages and temperatures of the meant strings are older than they were."""
    first_s, last_s = span(fault[3], age_s.shape[0])
    for s in range(first_s, last_s):
        age_s[s, 0] += fault[5]
        age_s[s, 1] += fault[5]


@part
def probes(faults: Array, time_s: float, probe_degC: Array) -> None:
    """Break what the temperature probes say, in place."""
    for row in range(faults.shape[0]):
        fault = faults[row]
        if not active(fault, time_s):
            continue
        if fault[0] == PROBE_OFFSET:
            shift(fault, probe_degC, fault[5])
        elif fault[0] == PROBE_SILENT:
            put(fault, probe_degC, math.nan)


@part
def strings(faults: Array, time_s: float, string_A: Array, string_V: Array) -> None:
    """Break what the current and voltage sensors of the strings say, in place."""
    for row in range(faults.shape[0]):
        fault = faults[row]
        if not active(fault, time_s):
            continue
        first, last = span(fault[3], string_A.shape[0])
        for s in range(first, last):
            string_A[s] += fault[5] if fault[0] == CURRENT_OFFSET else 0.0
            string_A[s] = math.nan if fault[0] == CURRENT_SILENT else string_A[s]
            string_V[s] += fault[5] if fault[0] == STRING_VOLTAGE_OFFSET else 0.0
            string_V[s] = math.nan if fault[0] == STRING_VOLTAGE_SILENT else string_V[s]


@part
def circuits(faults: Array, time_s: float, frame: Frame) -> Frame:
    """Break link voltage, isolation and interlock."""
    isolation_ohm = strength(faults, time_s, ISOLATION)
    return Frame(
        frame.time_s,
        frame.cell_V,
        frame.probe_degC,
        frame.string_A,
        frame.string_V,
        frame.age_s,
        frame.contactor,
        frame.link_V if math.isnan(strength(faults, time_s, LINK_VOLTAGE_SILENT)) else math.nan,
        frame.isolation_ohm if math.isnan(isolation_ohm) else isolation_ohm,
        frame.hvil if math.isnan(strength(faults, time_s, HVIL_OPEN)) else 0.0,
        frame.inlet_degC,
        frame.outlet_degC,
        frame.ambient_degC,
        frame.drive_request,
        frame.charge_request,
        frame.reset_request,
    )
