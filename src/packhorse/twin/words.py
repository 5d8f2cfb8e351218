"""The words of the simulated truck: what it is made of, what is wanted of it, and its whole physical state.

Same conventions as `packhorse.pack.words`: float64, C order, `(strings, series)`, positive current discharges, units
in the names. Nothing here is known to the BMS but through frames.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from packhorse.pack.words import Array, Cell, Index


class Kind(IntEnum):
    """What can break. The comment says what `value` is, and what `place` counts (from 0) where it matters."""

    CELL_OFFSET = 0  # V added to what the board hears; place: cell
    CELL_SILENT = 1  # place: cell
    BOARD_SILENT = 2  # place: board
    BOARD_FROZEN = 3  # all voltages of the string stand still
    BOARD_LATE = 4  # readings are older by this many seconds
    PROBE_OFFSET = 5  # K added; place: probe
    PROBE_SILENT = 6  # place: probe
    CURRENT_OFFSET = 7  # A added
    CURRENT_SILENT = 8
    STRING_VOLTAGE_OFFSET = 9  # V added
    STRING_VOLTAGE_SILENT = 10
    LINK_VOLTAGE_SILENT = 11
    ISOLATION = 12  # ohm between high voltage and chassis
    HVIL_OPEN = 13
    CONTACTOR_WELDED = 14  # place: 0 main negative, 1 main positive, 2 precharge
    CONTACTOR_STUCK_OPEN = 15  # place as above
    PRECHARGE_BROKEN = 16  # the resistor is open
    PUMP_STOPPED = 17
    CHILLER_STOPPED = 18
    RADIATOR_STOPPED = 19
    HEATER_STUCK_ON = 20
    CELL_WEAK = 21  # share of its capacity that is left; place: cell
    CELL_RESISTIVE = 22  # factor on its resistance, e.g. a loose joint; place: cell
    CELL_SHORT = 23  # ohm across the cell, inside it; place: cell
    CELL_HEATING = 24  # W released in the cell; place: cell
    INVERTER_IGNORES_LIMITS = 25
    CHARGER_IGNORES_REQUEST = 26  # A that it pushes in


class Fault(NamedTuple):
    """Something that breaks at a time and, perhaps, is whole again later; -1 means every string or place."""

    kind: Kind
    start_s: float
    end_s: float
    string: int
    place: int
    value: float


class Road(NamedTuple):
    """The vehicle on the road."""

    mass_kg: float
    drag_area_m2: float
    rolling: float
    efficiency: float
    regeneration: float
    auxiliary_W: float
    drive_W: float
    acceleration_m_per_s2: float
    braking_m_per_s2: float


class Strings(NamedTuple):
    """The true battery: one common cell and how far each differs from it."""

    cell: Cell
    capacity_share: Array  # (strings, series)
    resistance_share: Array  # (strings, series)
    soc_offset: Array  # (strings, series)
    wiring_ohm: float  # busbars, fuse and contactors of a string
    bleed_ohm: float


class Link(NamedTuple):
    """The load side of the contactors."""

    capacitance_F: float
    precharge_ohm: float
    discharge_ohm: float
    isolation_ohm: float


class Fluid(NamedTuple):
    """Coolant or air, and what moves, cools and heats it."""

    liquid: float
    flow_W_per_K: float  # heat capacity of the full flow through one string
    plate_W_per_K: float  # one cell to the fluid at full flow
    still_W_per_K: float  # the same without flow
    housing_W_per_K: float  # one cell to the ambient air
    reservoir_J_per_K: float
    radiator_W_per_K: float
    chiller_W: float
    chiller_cop: float
    heater_W: float
    pump_W: float
    fan_W: float


class Sensing(NamedTuple):
    """How the truck measures itself: noise, quantisation, offset, gain, delay, dropouts."""

    cell_sigma_V: float
    cell_step_V: float
    cell_offset_V: Array  # (strings, series)
    delay_s: float
    string_sigma_V: float
    string_step_V: float
    current_sigma_A: float
    current_step_A: float
    current_offset_A: Array  # (strings,)
    current_gain: Array  # (strings,)
    probe_sigma_K: float
    probe_step_K: float
    probe_offset_K: Array  # (strings, probes)
    probe_lag_s: float
    dropout_per_s: float
    cells_per_board: int


class Charger(NamedTuple):
    """What it can give."""

    power_W: float
    current_A: float


class Truck(NamedTuple):
    """Everything that does not change while the truck lives."""

    strings: int
    series: int
    probes: int
    seed: int
    cell_of_probe: Index  # (probes,)
    road: Road
    battery: Strings
    link: Link
    fluid: Fluid
    sensing: Sensing
    charger: Charger
    faults: Array  # (n, 6) as in `Fault`


class Demand(NamedTuple):
    """What the road and the driver want at one moment."""

    speed_m_per_s: float
    grade: float
    plugged: float
    ambient_degC: float
    reset: float


class Cycle(NamedTuple):
    """A duty: what is wanted over time; between points speed runs straight, all else is held."""

    name: str
    time_s: Array
    speed_m_per_s: Array
    grade: Array
    plugged: Array


class Body(NamedTuple):
    """The whole physical state of the truck."""

    time_s: float
    tick: float
    speed_m_per_s: float
    distance_m: float
    power_W: float  # out of the battery
    soc: Array  # (strings, series)
    rc1_V: Array
    rc2_V: Array
    hysteresis: Array
    cell_degC: Array
    cell_V: Array  # at the terminals
    heard_V: Array  # last reading of the boards
    string_A: Array  # (strings,)
    probe_degC: Array  # (strings, probes), behind the cells by their lag
    link_V: float
    contactor: Array  # (strings, 3)
    inlet_degC: float
    outlet_degC: float
    energy_Wh: Array  # (6,) driven, recovered, auxiliaries, thermal system, charged, lost in friction brakes
