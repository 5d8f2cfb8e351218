"""The simulated truck, tick by tick: it obeys commands and limits, lives, and says what its sensors hear.

    step(truck, body, command, limits, demand, dt_s) -> (body, frame)

Within a tick the cells live with the current of its beginning; then contactors move, the road and the charger ask,
and the circuit finds the current of its end, which is what the sensors see. Same truck, same orders, same bits.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse.cell import physics
from packhorse.cell.table import ROWS, look_up
from packhorse.compiled import compiled, part
from packhorse.pack.words import Array, Cell, Command, Frame, Limits
from packhorse.twin import broken, electric, heat, road, sensors
from packhorse.twin.words import Body, Charger, Demand, Strings, Truck

SECONDS_PER_HOUR = 3600.0
DRIVEN, RECOVERED, AUXILIARY, THERMAL, CHARGED, FRICTION = range(6)


def start(truck: Truck, soc: float, ambient_degC: float) -> Body:
    """A truck that has stood for a long time: relaxed cells around `soc`, everything at ambient, contactors open."""
    shape = (truck.strings, truck.series)
    charge = np.clip(truck.battery.soc_offset + soc, 0.0, 1.0)
    degC = np.full(shape, ambient_degC)
    nodes = truck.battery.cell.nodes
    cell_V = np.array([physics.parameters(nodes, x, ambient_degC)[0] for x in charge.flat]).reshape(shape)
    return Body(
        time_s=0.0,
        tick=0.0,
        speed_m_per_s=0.0,
        distance_m=0.0,
        power_W=0.0,
        soc=charge,
        rc1_V=np.zeros(shape),
        rc2_V=np.zeros(shape),
        hysteresis=np.zeros(shape),
        cell_degC=degC,
        cell_V=cell_V,
        heard_V=cell_V.copy(),
        string_A=np.zeros(truck.strings),
        probe_degC=np.full((truck.strings, truck.probes), ambient_degC),
        link_V=0.0,
        contactor=np.zeros((truck.strings, 3)),
        inlet_degC=ambient_degC,
        outlet_degC=ambient_degC,
        energy_Wh=np.zeros(6),
    )


@compiled
def step(truck: Truck, was: Body, command: Command, limits: Limits, demand: Demand, dt_s: float) -> tuple[Body, Frame]:
    """Live for `dt_s` (more than 0, up to about 5 s) and say what is heard at its end."""
    time_s, tick, battery, faults = was.time_s + dt_s, was.tick + 1.0, truck.battery, truck.faults
    does = broken.obeyed(faults, time_s, command)
    cells, heat_W, rows = live_on(battery.cell, wear(battery, faults, was, does.bleed), was, dt_s)
    soc, rc1_V, rc2_V, hysteresis = cells
    warm = heat.move_heat(
        truck.fluid,
        battery.cell.heat_capacity_J_per_K,
        does,
        was.cell_degC,
        heat_W,
        was.inlet_degC,
        demand.ambient_degC,
        dt_s,
    )
    contactor = broken.moved(faults, time_s, command.contactor)
    open_V, open_ohm = totals(rows)
    resistor = broken.resistor_broken(faults, time_s, truck.strings)
    path_ohm = electric.paths(battery.wiring_ohm, truck.link.precharge_ohm, contactor, open_ohm, resistor)
    most_W, least_W = allowed(faults, time_s, limits, demand, contactor, truck.road.auxiliary_W + warm.electric_W)
    motion = road.move(truck.road, was.speed_m_per_s, demand, dt_s, most_W, least_W)
    if not electric.live(contactor):
        flow = electric.settle(truck.link, open_V, path_ohm, was.link_V, dt_s)
    elif demand.plugged > 0.0:
        charge_A, ceiling_V = charging(truck.charger, faults, time_s, command, was.link_V)
        flow = electric.charge(open_V, path_ohm, charge_A, ceiling_V)
    else:
        flow = electric.draw(open_V, path_ohm, motion.traction_W + truck.road.auxiliary_W + warm.electric_W)
    cell_V = np.empty_like(was.cell_V)
    for s in range(truck.strings):
        electric.terminals(rows[s], flow.string_A[s], cell_V[s])
    probe_degC = sensors.behind(truck.sensing.probe_lag_s, truck.cell_of_probe, was.probe_degC, warm.cell_degC, dt_s)
    truth = sensors.Truth(
        time_s,
        int(tick),
        cell_V,
        flow.string_A,
        probe_degC,
        flow.link_V,
        contactor,
        warm.inlet_degC,
        warm.outlet_degC,
    )
    frame = sensors.heard(truck.sensing, truck.link, truck.seed, faults, (was.cell_V, was.heard_V), truth, demand, dt_s)
    now = Body(
        time_s,
        tick,
        motion.speed_m_per_s,
        was.distance_m + motion.mean_m_per_s * dt_s,
        flow.power_W,
        soc,
        rc1_V,
        rc2_V,
        hysteresis,
        warm.cell_degC,
        cell_V,
        frame.cell_V.copy(),
        flow.string_A.copy(),
        probe_degC,
        flow.link_V,
        contactor,
        warm.inlet_degC,
        warm.outlet_degC,
        spent(was.energy_Wh, flow, motion, demand, contactor, truck.road.auxiliary_W, warm.electric_W, dt_s),
    )
    return now, frame


class Wear(NamedTuple):
    """What is special about every cell of a string at one time, faults included."""

    capacity_share: Array  # (strings, series)
    resistance_share: Array
    short_A: Array  # inside the cell
    leak_A: Array  # beside the string: shorts, bleed resistors, self-discharge
    heating_W: Array


@part
def wear(battery: Strings, faults: Array, was: Body, bleed: Array) -> Wear:
    """The cells' own factors and leaks at the beginning of a tick."""
    shape, time_s = was.soc.shape, was.time_s
    capacity_share, resistance_share = np.empty(shape), np.empty(shape)
    short_A, leak_A, heating_W = np.empty(shape), np.empty(shape), np.empty(shape)
    broken.at_cells(faults, time_s, broken.CELL_WEAK, 1.0, capacity_share)
    broken.at_cells(faults, time_s, broken.CELL_RESISTIVE, 1.0, resistance_share)
    broken.at_cells(faults, time_s, broken.CELL_SHORT, math.inf, short_A)
    broken.at_cells(faults, time_s, broken.CELL_HEATING, 0.0, heating_W)
    lost_A = battery.cell.self_discharge_per_s * SECONDS_PER_HOUR * battery.cell.capacity_Ah
    for s in range(shape[0]):
        for k in range(shape[1]):
            capacity_share[s, k] *= battery.capacity_share[s, k]
            resistance_share[s, k] *= battery.resistance_share[s, k]
            short_A[s, k] = was.cell_V[s, k] / short_A[s, k]
            leak_A[s, k] = short_A[s, k] + bleed[s, k] * was.cell_V[s, k] / battery.bleed_ohm + lost_A
            heating_W[s, k] += short_A[s, k] * was.cell_V[s, k]
    return Wear(capacity_share, resistance_share, short_A, leak_A, heating_W)


@part
def live_on(cell: Cell, own: Wear, was: Body, dt_s: float) -> tuple[tuple[Array, Array, Array, Array], Array, Array]:
    """The cells after a tick at the current of its beginning, their heat [W], and their rows of `electric.unloaded`."""
    shape = was.soc.shape
    soc, rc1_V, rc2_V, hysteresis = np.empty(shape), np.empty(shape), np.empty(shape), np.empty(shape)
    heat_W, rows, table = np.empty(shape), np.empty((shape[0], 2, shape[1])), np.empty((ROWS, shape[1]))
    for s in range(shape[0]):
        look_up(cell.nodes, cell.degC_nodes, was.soc[s], was.cell_degC[s], table)
        electric.advance(
            table,
            (was.soc[s], was.rc1_V[s], was.rc2_V[s], was.hysteresis[s]),
            (soc[s], rc1_V[s], rc2_V[s], hysteresis[s]),
            (own.capacity_share[s], own.resistance_share[s]),
            own.leak_A[s],
            was.string_A[s],
            dt_s,
            cell.capacity_Ah,
            cell.coulombic_efficiency,
            cell.hysteresis_rate,
        )
        look_up(cell.nodes, cell.degC_nodes, soc[s], was.cell_degC[s], table)
        electric.unloaded(table, soc[s], rc1_V[s], rc2_V[s], hysteresis[s], own.resistance_share[s], rows[s])
        heat.release(
            cell.entropy_V_per_K,
            rows[s, 1],
            (rc1_V[s], rc2_V[s], soc[s], was.cell_degC[s]),
            own.heating_W[s],
            was.string_A[s],
            heat_W[s],
        )
    return (soc, rc1_V, rc2_V, hysteresis), heat_W, rows


@part
def totals(rows: Array) -> tuple[Array, Array]:
    """Voltage without current and resistance of each string."""
    open_V, ohm = np.empty(rows.shape[0]), np.empty(rows.shape[0])
    for s in range(rows.shape[0]):
        open_V[s], ohm[s] = 0.0, 0.0
        for k in range(rows.shape[2]):
            open_V[s] += rows[s, 0, k]
            ohm[s] += rows[s, 1, k]
    return open_V, ohm


@part
def allowed(
    faults: Array, time_s: float, limits: Limits, demand: Demand, contactor: Array, other_W: float
) -> tuple[float, float]:
    """Most and least (negative) traction power, after what auxiliaries and thermal system take."""
    if not electric.live(contactor) or demand.plugged > 0.0:
        return 0.0, 0.0
    if not math.isnan(broken.strength(faults, time_s, broken.INVERTER_IGNORES_LIMITS)):
        return math.inf, -math.inf
    return limits.discharge_W - other_W, -limits.charge_W - other_W


@part
def charging(charger: Charger, faults: Array, time_s: float, command: Command, link_V: float) -> tuple[float, float]:
    """Current that the charger pushes in and the voltage at which it stops.

    While it is plugged it feeds auxiliaries and thermal system as well.
    """
    pushed_A = broken.strength(faults, time_s, broken.CHARGER_IGNORES_REQUEST)
    if not math.isnan(pushed_A):
        return pushed_A, math.inf
    most_A = charger.power_W / (link_V if link_V > 1.0 else 1.0)
    most_A = most_A if most_A < charger.current_A else charger.current_A
    return command.charge_A if command.charge_A < most_A else most_A, command.charge_V


@part
def spent(
    was_Wh: Array,
    flow: electric.Flow,
    motion: road.Motion,
    demand: Demand,
    contactor: Array,
    auxiliary_W: float,
    thermal_W: float,
    dt_s: float,
) -> Array:
    """Energy counted on, as in `Body.energy_Wh`."""
    out, hours = was_Wh.copy(), dt_s / SECONDS_PER_HOUR
    out[FRICTION] += motion.friction_W * hours
    if electric.live(contactor) and demand.plugged > 0.0:
        out[CHARGED] -= flow.power_W * hours
    elif electric.live(contactor):
        out[DRIVEN if motion.traction_W > 0.0 else RECOVERED] += abs(motion.traction_W) * hours
        out[AUXILIARY] += auxiliary_W * hours
        out[THERMAL] += thermal_W * hours
    return out


def idle(truck: Truck) -> tuple[Command, Limits]:
    """What a truck obeys before any BMS has spoken: nothing closed, nothing allowed."""
    nothing = np.zeros((truck.strings, 3)), np.zeros((truck.strings, truck.series))
    command = Command(*nothing, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.zeros(truck.strings))
    none = np.zeros((2, truck.strings))
    return command, Limits(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, none, none.copy())
