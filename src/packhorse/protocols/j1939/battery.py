"""What our battery says in each message of J1939, as the values of its signals.

One function for each message serves the whole battery and each of its strings ("packs" in J1939): a `View` tells
which strings are spoken of. What is not known is left out, and goes out as not available.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from packhorse.pack.known import LARGEST
from packhorse.pack.words import (
    DEGC_FIRST,
    DEGC_STEP,
    SOC_NODES,
    Array,
    Frame,
    Output,
    Pack,
    Reason,
    Severity,
    Stage,
    State,
)
from packhorse.protocols.j1939.settings import MODULE_STATUS, NOT_SENT, Settings

MAIN_NEGATIVE, MAIN_POSITIVE, PRECHARGE = 0, 1, 2
DISCHARGE, CHARGE = 0, 1
CAPACITY = 0
ROOM_ROW = round((25.0 - DEGC_FIRST) / DEGC_STEP)

CAUSES = {
    Reason.SOC: "soc",
    Reason.CHARGE_DONE: "soc",
    Reason.TEMPERATURE: "temperature",
    Reason.FAULT: "diagnosis",
    Reason.NOT_HEARD: "diagnosis",
    Reason.CELL_VOLTAGE: "voltage",
    Reason.CONTACTORS: "other",
    Reason.RECOVERING: "other",
}
"""Which cause J1939 has for our reasons; a limit at its rating has none."""

OPERATION = {
    Severity.INFO: "normal",
    Severity.WARNING: "warning",
    Severity.SERIOUS: "serious",
    Severity.CRITICAL: "critical",
}


class View(NamedTuple):
    """One moment of the battery, seen as a whole or as some of its strings."""

    settings: Settings
    pack: Pack
    frame: Frame
    state: State
    output: Output
    strings: tuple[int, ...]
    whole: bool


Values = dict[str, float]


def state_code(view: View, kind: str, state: str) -> float:
    """The number of a state on this bus; NaN where none is declared."""
    code = view.settings.codes[kind][state]
    return math.nan if code == NOT_SENT else float(code)


def power(view: View) -> Values:
    """D1: what may be drawn and pushed, voltage and current."""
    limits, frame = view.output.limits, view.frame
    volt = mean(frame.string_V[list(view.strings)])
    current_A = float(frame.string_A[list(view.strings)].sum())
    if view.whole:
        discharge_W, charge_W = limits.discharge_W, limits.charge_W
    else:
        discharge_W, charge_W = (float(limits.string_A[way, view.strings[0]]) * volt for way in (DISCHARGE, CHARGE))
    return {
        "discharge_power_W": discharge_W,
        "charge_power_W": charge_W,
        "battery_V": volt,
        "current_A": view.settings.current_sign * current_A,
    }


def cell_voltages(view: View) -> Values:
    """D2: SOC, highest and lowest cell."""
    estimate, cell_V = view.output.estimate, view.frame.cell_V[list(view.strings)]
    soc = estimate.soc if view.whole else float(estimate.string_soc[view.strings[0]])
    return {"soc": soc, "cell_max_V": most(cell_V), "cell_min_V": least(cell_V)}


def cell_temperatures(view: View) -> Values:
    """D3: hottest, coldest and mean probe."""
    probe_degC = view.frame.probe_degC[list(view.strings)]
    return {"cell_max_degC": most(probe_degC), "cell_min_degC": least(probe_degC), "cell_mean_degC": mean(probe_degC)}


def capacities(view: View) -> Values:
    """D4: charge to give and to take, cells that balance."""
    estimate, strings = view.output.estimate, list(view.strings)
    full_Ah = view.pack.cell.capacity_Ah * estimate.health[strings, CAPACITY]
    soc = estimate.string_soc[strings]
    return {
        "discharge_capacity_Ah": float((soc * full_Ah).sum()),
        "charge_capacity_Ah": float(((1.0 - soc) * full_Ah).sum()),
        "cells_balancing": float(view.output.command.bleed[strings].sum()),
    }


def current_limits(view: View) -> Values:
    """D5: limits of current in the declared signs, and the emptiest and fullest cell."""
    limits, estimate, strings = view.output.limits, view.output.estimate, list(view.strings)
    discharge_A, charge_A = (
        (limits.discharge_A, limits.charge_A) if view.whole else map(float, limits.string_A[:, view.strings[0]])
    )
    return {
        "discharge_limit_A": view.settings.discharge_limit_sign * discharge_A,
        "charge_limit_A": view.settings.charge_limit_sign * charge_A,
        "soc_min": least(estimate.soc_min[strings]),
        "soc_max": most(estimate.soc_max[strings]),
    }


def surroundings(view: View) -> Values:
    """D6: voltage of the link, coolant in and out."""
    frame = view.frame
    return {"bus_V": frame.link_V, "inlet_degC": frame.inlet_degC, "outlet_degC": frame.outlet_degC}


def energies(view: View) -> Values:
    """D7: energy left, of the whole battery, and the voltage that a charger must not exceed."""
    energy_kWh = view.output.estimate.energy_kWh if view.whole else math.nan
    return {"discharge_energy_kWh": energy_kWh, "charge_limit_V": view.pack.series * view.pack.charging.cell_V}


def voltage_places(view: View) -> Values:
    """D8: where the highest and the lowest cell are, and the mean of all."""
    cell_V = view.frame.cell_V[list(view.strings)]
    return {**_places(view, cell_V, "highest_voltage", "lowest_voltage"), "cell_mean_V": mean(cell_V)}


def temperature_places(view: View) -> Values:
    """D9: where the hottest and the coldest probe are, named by the first cell of each probe."""
    probe_degC = view.frame.probe_degC[list(view.strings)]
    return _places(view, probe_degC[:, view.pack.probe_of_cell], "hottest", "coldest")


def charge_places(view: View) -> Values:
    """D10: where the fullest and the emptiest cell are, and the isolation as it is measured in operation."""
    estimate, frame = view.output.estimate, view.frame
    full = max(view.strings, key=lambda s: float(estimate.soc_max[s]))
    empty = min(view.strings, key=lambda s: float(estimate.soc_min[s]))
    values = _place(view, view.strings.index(full), int(estimate.strongest[full]), "fullest")
    values |= _place(view, view.strings.index(empty), int(estimate.weakest[empty]), "emptiest")
    if view.whole:
        values["passive_isolation_ohm_per_V"] = frame.isolation_ohm / view.pack.isolation_base_V
    return values


def charging(view: View) -> Values:
    """D11: the power that goes in."""
    frame, strings = view.frame, list(view.strings)
    taken_W = -float((frame.string_A[strings] * frame.string_V[strings]).sum())
    return {"charging_power_W": taken_W if not taken_W < 0.0 else 0.0}


def status(view: View) -> Values:
    """S1: contactors, interlock, balancing, and whatever states this bus has numbers for."""
    command, strings = view.output.command, list(view.strings)
    fitted = view.pack.fitted.contactor_feedback > 0.0
    contactor = (view.frame.contactor if fitted else command.contactor)[strings]
    stages = [Stage(int(stage)) for stage in command.stage[strings]]
    return {
        "positive_contactor": _closed(view, contactor[:, MAIN_POSITIVE]),
        "negative_contactor": _closed(view, contactor[:, MAIN_NEGATIVE]),
        "precharge_relay": _closed(view, contactor[:, PRECHARGE]),
        "hvil": _switched(view, "hvil", "open", "closed", view.frame.hvil),
        "balancing_active": _switched(view, "active", "no", "yes", float(command.bleed[strings].max())),
        "disconnect_forewarning": state_code(
            view, "disconnect_forewarning", "warned" if Stage.OPENING in stages else "none"
        ),
        "connection_status": state_code(view, "connection_status", _furthest(stages).name.lower()),
        "operational_status": state_code(view, "operational_status", OPERATION[_worst(view)]),
        "soc_status": _soc_status(view),
        "packs_ready": float(sum(stage is not Stage.TRIPPED for stage in stages)),
    }


def limited(view: View) -> Values:
    """S2: why the limits are lower than the ratings."""
    limits, first = view.output.limits, view.strings[0]
    reasons = (
        (limits.discharge_reason, limits.charge_reason)
        if view.whole
        else (limits.string_reason[DISCHARGE, first], limits.string_reason[CHARGE, first])
    )
    values = {}
    for way, reason in zip(("discharge", "charge"), reasons, strict=True):
        binding = CAUSES.get(Reason(int(reason)))
        for cause in {*CAUSES.values(), "current"}:
            state = "yes" if cause == binding else "no"
            values[f"{way}_limited_by_{cause}"] = state_code(view, "limited", state)
    return values


def module_states(view: View) -> Values:
    """MS1: whether each module works, counted as in `_place`; the message has room for 32."""
    each = view.settings.cells_per_module or view.pack.series
    values: Values = {}
    for s in view.strings:
        heard, stage = _fine(view.frame.cell_V[s]), Stage(int(view.output.command.stage[s]))
        for first in range(0, view.pack.series, each):
            works = heard[first : first + each].all() and stage is not Stage.TRIPPED
            state = "working" if works else "failed"
            values[f"module_{len(values) + 1}_status"] = state_code(view, MODULE_STATUS, state)
    return values


def thermal_status(view: View) -> Values:
    """TS1: whether the heater runs."""
    return {"heater_status": _switched(view, "active", "no", "yes", view.output.command.heater)}


def thermal_commands(view: View) -> Values:
    """TC1: what is asked of the thermal system, on or off."""
    command = view.output.command
    asked = {"heater_command": command.heater, "pump_command": command.pump, "compressor_command": command.chiller}
    return {name: _switched(view, "command", "off", "on", share) for name, share in asked.items()}


def thermal_shares(view: View) -> Values:
    """TC2: what is asked of the thermal system, how much."""
    return {"pump_command": view.output.command.pump, "compressor_command": view.output.command.chiller}


def fan_commands(view: View) -> Values:
    """FC: what is asked of the first fan."""
    share = view.output.command.radiator
    enable = _switched(view, "command", "off", "on", share)
    return {"fan_enable_command": enable, "fan_command": share, "fan_instance_1": 1.0}


def configuration(view: View) -> Values:
    """CFG: what the battery is made for."""
    pack, strings = view.pack, len(view.strings)
    nominal_V = float(pack.cell.nodes[ROOM_ROW, SOC_NODES // 2, 0]) * pack.series
    return {
        "nominal_V": nominal_V,
        "operating_min_V": pack.series * pack.cell.min_V,
        "operating_max_V": pack.series * pack.cell.max_V,
        "soc_min": pack.derating.soc_empty,
        "soc_max": pack.derating.soc_full,
        "operating_max_degC": float(pack.temperature[3]),
        "operating_min_degC": float(pack.temperature[2]),
        "cell_max_V": pack.cell.max_V,
        "cell_min_V": pack.cell.min_V,
        "packs_configured": float(pack.strings),
        "nominal_energy_kWh": strings * nominal_V * pack.cell.capacity_Ah / 1e3,
    }


def history(view: View) -> Values:
    """HIST: health, and what has gone through."""
    strings = list(view.strings)
    out_Ah, in_Ah, out_Wh, in_Wh = (float(total) for total in view.state.throughput[strings].sum(axis=0))
    return {
        "soh": least(view.output.estimate.health[strings, CAPACITY]),
        "throughput_kWh": (out_Wh + in_Wh) / 1e3,
        "charge_throughput_Ah": out_Ah + in_Ah,
        "energy_in_kWh": in_Wh / 1e3,
        "energy_out_kWh": out_Wh / 1e3,
    }


STRING_SPEECH: Mapping[str, Callable[[View], Values]] = {
    "D1": power,
    "D2": cell_voltages,
    "D3": cell_temperatures,
    "D4": capacities,
    "D5": current_limits,
    "D6": surroundings,
    "D7": energies,
    "D8": voltage_places,
    "D9": temperature_places,
    "D10": charge_places,
    "D11": charging,
    "S1": status,
    "S2": limited,
    "MS1": module_states,
    "CFG": configuration,
    "HIST": history,
}
"""What is said of the whole battery and of each string, by the end of the message's name."""

WHOLE_SPEECH: Mapping[str, Callable[[View], Values]] = {
    **STRING_SPEECH,
    "TS1": thermal_status,
    "TC1": thermal_commands,
    "TC2": thermal_shares,
    "FC": fan_commands,
}
"""What is said of the whole battery."""


def most(readings: Array) -> float:
    """The largest that was measured; NaN where none was."""
    fine = readings[_fine(readings)]
    return float(fine.max()) if fine.size else math.nan


def least(readings: Array) -> float:
    """The smallest that was measured; NaN where none was."""
    fine = readings[_fine(readings)]
    return float(fine.min()) if fine.size else math.nan


def mean(readings: Array) -> float:
    """The mean of what was measured; NaN where nothing was."""
    fine = readings[_fine(readings)]
    return float(fine.mean()) if fine.size else math.nan


def _fine(readings: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.abs(readings) < LARGEST


def _places(view: View, readings: Array, highest: str, lowest: str) -> Values:
    """Module and cell of the highest and the lowest reading of `readings[string, cell]`."""
    fine = _fine(readings)
    if not fine.any():
        return {}
    high, low = np.where(fine, readings, -np.inf).argmax(), np.where(fine, readings, np.inf).argmin()
    series = readings.shape[1]
    return {
        **_place(view, int(high) // series, int(high) % series, highest),
        **_place(view, int(low) // series, int(low) % series, lowest),
    }


def _place(view: View, string: int, cell: int, name: str) -> Values:
    """Module and cell, from 1; without modules in the node file each string is one."""
    each = view.settings.cells_per_module or view.pack.series
    modules = -(-view.pack.series // each)
    return {f"{name}_module": float(string * modules + cell // each + 1), f"{name}_cell": float(cell % each + 1)}


def _closed(view: View, contactors: Array) -> float:
    """The code of contactors in parallel: closed where one is, unknown where none is and one is not heard of."""
    share = 1.0 if (contactors > 0.0).any() else float(contactors.max())
    return _switched(view, "contactor", "open", "closed", share)


def _switched(view: View, kind: str, off: str, on: str, share: float) -> float:
    return math.nan if math.isnan(share) else state_code(view, kind, on if share > 0.0 else off)


def _furthest(stages: list[Stage]) -> Stage:
    """The stage that tells most of the whole battery: connected if one string is."""
    order = (Stage.CLOSED, Stage.OPENING, Stage.PRECHARGE, Stage.OPEN, Stage.TRIPPED)
    return min(stages, key=order.index)


def _worst(view: View) -> Severity:
    active = view.state.watch.active[:, list(view.strings)].max(axis=1) > 0.0
    severities = view.pack.faults.severity[active]
    return Severity(int(severities.max())) if severities.size else Severity.INFO


def _soc_status(view: View) -> float:
    soc = view.output.estimate.soc
    if math.isnan(soc):
        return math.nan
    low, high = view.pack.derating.soc_low, view.pack.derating.soc_high
    return state_code(view, "soc_status", "low" if soc < low else "high" if soc > high else "normal")
