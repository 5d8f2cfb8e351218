"""The words everybody speaks: Pack, Frame, State, Limits, Command, Event.

All are named tuples of float64 numbers and C-ordered float64 arrays, so that the same values pass through plain
Python, compiled code and files. Per-cell arrays are `(strings, series)`; cells in parallel inside a group are one
cell with more capacity. Positive current discharges. NaN means not measured. Fractions run 0..1. A name ends in its
unit; without one it is a fraction, a count, a flag (0 or 1) or a code.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]

SOC_NODES = 201
"""Points of every table over SOC: 0, 0.005, ... 1."""
DEGC_FIRST, DEGC_STEP, DEGC_NODES = -40.0, 5.0, 25
"""Points of every table over temperature: -40, -35, ... 80 degC."""


NODE_COLUMNS = 6
"""Columns of `Cell.nodes`."""


class Severity(IntEnum):
    """How much an event matters."""

    INFO = 0
    WARNING = 1
    SERIOUS = 2
    CRITICAL = 3


class Reaction(IntEnum):
    """What a fault does to the string it is raised on; a larger number is never milder."""

    NOTE = 0
    DERATE = 1
    STOP_CHARGE = 2
    LIMP = 3
    OPEN_AFTER_WARNING = 4
    OPEN_NOW = 5


class Stage(IntEnum):
    """Where a string's contactors are in their sequence."""

    OPEN = 0
    PRECHARGE = 1
    CLOSED = 2
    OPENING = 3
    TRIPPED = 4


class Reason(IntEnum):
    """Why a limit is what it is: the one cause that binds."""

    CELL_RATING = 0
    TEMPERATURE = 1
    CELL_VOLTAGE = 2
    SOC = 3
    FAULT = 4
    CONTACTORS = 5
    NOT_HEARD = 6
    RECOVERING = 7
    STRING_RATING = 8
    CHARGE_DONE = 9


class Signal(IntEnum):
    """What protection judges, one number per string and tick, always the worst raw reading."""

    CELL_MAX_V = 0
    CELL_MIN_V = 1
    CELL_SPREAD_V = 2
    DISCHARGE_SHARE = 3
    CHARGE_SHARE = 4
    DISCHARGE_MAX_DEGC = 5
    DISCHARGE_MIN_DEGC = 6
    CHARGE_MAX_DEGC = 7
    CHARGE_MIN_DEGC = 8
    PROBE_SPREAD_DEGC = 9
    ISOLATION_OHM_PER_V = 10
    HVIL = 11
    CONTACTOR_MISMATCH = 12
    PRECHARGE_TRIES = 13
    CELLS_MISSING = 14
    PROBES_MISSING = 15
    CURRENT_MISSING = 16
    STRING_V_MISSING = 17
    OLDEST_AGE_S = 18
    FROZEN_S = 19
    SUM_MISMATCH_V = 20
    STRING_DISAGREEMENT_SHARE = 21
    STRING_MAX_V = 22
    STRING_MIN_V = 23
    OPEN_STRING_A = 24
    COOLANT_MAX_DEGC = 25
    ISOLATION_MISSING = 26


class Cell(NamedTuple):
    """A cell group as the BMS or the twin computes with it: tables on the fixed grids above.

    `nodes[t, s]` holds OCV [V, with the entropic shift of that temperature], R0, R1, R2 [ohm], half-width of the
    hysteresis [V], and how wrong the voltage of the model is for long [V, one sigma];
    `degC_nodes[t]` time constants 1 and 2 [s], share of the nominal capacity, and the largest current
    discharge, charge, discharge for 10 s, charge for 10 s [A].
    """

    nodes: Array  # (DEGC_NODES, SOC_NODES, 6)
    entropy_V_per_K: Array  # (SOC_NODES,) dOCV/dT
    degC_nodes: Array  # (DEGC_NODES, 7)
    capacity_Ah: float
    min_V: float
    max_V: float
    hysteresis_rate: float
    coulombic_efficiency: float
    self_discharge_per_s: float
    heat_capacity_J_per_K: float
    resistance_sigma: float
    capacity_sigma: float  # share
    fast_sigma_V: float
    fast_share: float  # of the voltage over the resistances, that comes and goes
    slow_s: float
    slow_soc: float
    standing_share: float  # of the lasting error, that is the same at every SOC
    fast_s: float
    core_K_per_W: float
    core_s: float


class Sensors(NamedTuple):
    """How well the truck measures itself (one standard deviation) and how long silence is forgiven."""

    cell_sigma_V: float
    current_sigma_A: float
    current_offset_A: float
    current_gain: float
    correlation_s: float
    patience_s: float


class Fitted(NamedTuple):
    """Which sensors the vehicle has at all (1 or 0). Silence is a fault only of what is fitted."""

    string_voltage: float
    link_voltage: float
    isolation: float
    hvil: float
    contactor_feedback: float


class Contactors(NamedTuple):
    """How strings are connected to the link and how they leave it."""

    precharge_s: float
    precharge_share: float
    join_V: float
    join_s: float
    break_A: float
    warning_s: float
    tries: float
    rest_s: float


class Balancing(NamedTuple):
    """Passive balancing through one bleed resistor per cell."""

    bleed_ohm: float
    start_Ah: float
    stop_Ah: float
    min_cell_V: float
    max_string_A: float


class Thermal(NamedTuple):
    """Set points of the rule-based temperature control; `liquid` is 1 for coolant, 0 for air."""

    liquid: float
    cool_on_degC: float
    cool_off_degC: float
    free_cooling_K: float
    heat_on_degC: float
    heat_off_degC: float
    spread_on_K: float


class Derating(NamedTuple):
    """How limits fall before anything must be opened."""

    soc_low: float
    soc_empty: float
    soc_high: float
    soc_full: float
    margin_V: float
    ramp_per_s: float
    fault_share: float
    limp_share: float
    max_string_A: float


class Charging(NamedTuple):
    """How the pack asks a charger for current."""

    cell_V: float
    end_share: float
    target_soc: float


class Faults(NamedTuple):
    """The fault table, one row each; `threshold` is crossed upward where `direction` is +1, downward where -1."""

    signal: Index
    direction: Array
    threshold: Array
    debounce_s: Array
    clear: Array
    clear_s: Array
    severity: Array
    reaction: Array
    latched: Array


class Pack(NamedTuple):
    """What the battery is made of and must not do. Compiled once from TOML; never changes at run time."""

    strings: int
    series: int
    cell: Cell
    probe_of_cell: Index  # (series,) index into the probes of a string
    probes: int
    sensors: Sensors
    fitted: Fitted
    contactors: Contactors
    balancing: Balancing
    thermal: Thermal
    derating: Derating
    charging: Charging
    faults: Faults
    temperature: Array  # (4,) charge min, charge max, discharge min, discharge max [degC]
    isolation_base_V: float


class Frame(NamedTuple):
    """Everything heard in one tick: measurements and requests. NaN is not measured."""

    time_s: float
    cell_V: Array  # (strings, series)
    probe_degC: Array  # (strings, probes)
    string_A: Array  # (strings,)
    string_V: Array  # (strings,) battery side of the contactors
    age_s: Array  # (strings, 3) age of cell_V, probe_degC, string_A
    contactor: Array  # (strings, 3) feedback of main negative, main positive, precharge: 1 closed
    link_V: float  # load side of the contactors
    isolation_ohm: float
    hvil: float  # 1 loop closed, 0 open
    inlet_degC: float
    outlet_degC: float
    ambient_degC: float
    drive_request: float
    charge_request: float
    reset_request: float


class Belief(NamedTuple):
    """What is believed of each cell group.

    `covariance[string, k]` holds the upper triangle of the filter's 5x5 matrix over (soc, offset_A, bias_V,
    charge_factor, resistance_factor), row by row: k = 00, 01, 02, 03, 04, 11, 12 ... 44. Rows 15 to 19 tell how far
    each of the five is off if the model is off by its standing error.
    """

    soc: Array  # (strings, series)
    offset_A: Array  # what the current sensor reads too much
    bias_V: Array  # what the cell shows above the model for long
    charge_factor: Array  # nominal capacity over true capacity, times the gain of the current sensor
    resistance_factor: Array  # resistances over those of the cell file
    usual_factor: Array  # what resistance_factor has been for hours
    rc1_V: Array  # at the resistances of the cell file
    rc2_V: Array
    hysteresis: Array  # -1 after discharge .. +1 after charge
    surprise: Array  # mean squared surprise over the expected one, 1 or more
    core_K: Array  # how much warmer the core is than the probe
    covariance: Array  # (strings, 20, series)
    started: float  # 0 until the first frame has set the SOC


class Watch(NamedTuple):
    """What protection remembers, rows as in `Faults`."""

    over_s: Array  # (faults, strings) how long the threshold has been crossed
    clear_s: Array  # (faults, strings) how long it has been back
    active: Array  # (faults, strings) 0 or 1
    beyond: Array  # (faults, strings) 1 where the last reading was beyond the threshold
    heard_V: Array  # (strings, series) last raw voltages, to notice a frozen board
    frozen_s: Array  # (strings,)


class Control(NamedTuple):
    """What control remembers."""

    stage: Array  # (strings,) a Stage
    stage_s: Array  # (strings,) how long it has been there
    tries: Array  # (strings,) failed precharges in a row
    mean_square_A2: Array  # (strings,) of the current, over half a minute
    contactor: Array  # (strings, 3) as last commanded
    bleed: Array  # (strings, series) 0 or 1
    limit_A: Array  # (2, strings) last discharge and charge limit
    cooling: float
    heating: float
    charge_done: float


class State(NamedTuple):
    """All that the BMS remembers from tick to tick; saved and loaded with the same bits."""

    time_s: float
    belief: Belief
    watch: Watch
    control: Control
    throughput: Array  # (strings, 4) discharged Ah, charged Ah, discharged Wh, charged Wh
    health: Array  # (strings, 2, 5) capacity and resistance, columns as in `estimation.health.Health`


class Estimate(NamedTuple):
    """What is believed, summed up for people: per string and for the pack."""

    string_soc: Array  # (strings,)
    string_soc_sigma: Array  # (strings,)
    soc_min: Array  # (strings,) weakest cell
    soc_max: Array  # (strings,)
    weakest: Array  # (strings,) index of the cell with the least charge
    strongest: Array  # (strings,)
    soc: float
    soc_sigma: float
    energy_kWh: float  # that the strings still give
    energy_sigma_kWh: float
    power_W: Array  # (2, horizons) discharge, charge; what the connected strings can give and take for 2, 10, 30, 600 s
    health: Array  # (strings, 3) capacity, resistance, usable; 1 is new
    health_sigma: Array  # (strings, 2) of capacity and resistance


class Limits(NamedTuple):
    """What the truck may draw and push now, and why no more. A limit is never negative."""

    discharge_A: float
    charge_A: float
    discharge_W: float
    charge_W: float
    discharge_reason: float  # a Reason, of the string that binds
    charge_reason: float
    string_A: Array  # (2, strings) discharge, charge
    string_reason: Array  # (2, strings)


class Command(NamedTuple):
    """What is asked of the hardware."""

    contactor: Array  # (strings, 3) main negative, main positive, precharge
    bleed: Array  # (strings, series) 0 or 1
    pump: float  # 0..1
    chiller: float  # 0..1
    radiator: float  # 0..1, the fan in air-cooled packs
    heater: float  # 0..1
    charge_A: float  # positive: asked of the charger
    charge_V: float
    stage: Array  # (strings,) a Stage


class Output(NamedTuple):
    """Everything one step gives back."""

    estimate: Estimate
    signal: Array  # (signals, strings) what protection judged
    place: Array  # (signals, strings) index of the cell or probe it was read from, -1 where none
    limits: Limits
    command: Command
    events: Array  # (n, 7) time_s, code, severity, value, string, place, raised


class Event(NamedTuple):
    """Something that a person should know: a fault was raised, or is gone. `code` is its row in the fault table."""

    time_s: float
    code: int
    severity: Severity
    value: float
    string: int
    place: int
    raised: bool


class Frames(NamedTuple):
    """Many frames, one after the other: the fields of `Frame`, each with time as its first axis."""

    time_s: Array  # (times,)
    cell_V: Array  # (times, strings, series)
    probe_degC: Array  # (times, strings, probes)
    string_A: Array  # (times, strings)
    string_V: Array
    age_s: Array  # (times, strings, 3)
    contactor: Array  # (times, strings, 3)
    link_V: Array  # (times,)
    isolation_ohm: Array
    hvil: Array
    inlet_degC: Array
    outlet_degC: Array
    ambient_degC: Array
    drive_request: Array
    charge_request: Array
    reset_request: Array


class Record(NamedTuple):
    """What a replay keeps of every step, time first; names as in `Output`."""

    time_s: Array  # (times,)
    soc: Array
    soc_sigma: Array
    energy_kWh: Array
    energy_sigma_kWh: Array
    string_soc: Array  # (times, strings)
    string_soc_sigma: Array
    soc_min: Array
    soc_max: Array
    signal: Array  # (times, signals, strings)
    place: Array
    limit: Array  # (times, 4) discharge_A, charge_A, discharge_W, charge_W
    reason: Array  # (times, 2)
    stage: Array  # (times, strings)
    bleeding: Array  # (times, strings) how many cells
    thermal: Array  # (times, 4) pump, chiller, radiator, heater
    charge: Array  # (times, 2) charge_A, charge_V
    power_W: Array  # (times, 2, horizons)
    health: Array  # (times, strings, 3)
    health_sigma: Array  # (times, strings, 2)
    events: Array  # (n, 7) time_s, code, severity, value, string, place, raised
