"""Heat: released in the cells, carried by coolant or air along the string, given to the radiator or the chiller.

One node per cell, one reservoir of fluid, and the fluid marched past the cells from the first to the last with the
effectiveness of each plate: F. P. Incropera et al., Fundamentals of Heat and Mass Transfer, ch. 11 (one stream).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from packhorse.cell import physics
from packhorse.compiled import kernel, part
from packhorse.pack.words import Array, Command
from packhorse.twin.words import Fluid

FLOW_LEAST = 0.02
"""Below this share of the full flow the fluid stands."""


class Warmth(NamedTuple):
    """Temperatures after a tick and what the thermal system drew."""

    cell_degC: Array  # (strings, series)
    inlet_degC: float
    outlet_degC: float
    electric_W: float


@kernel
def release(
    entropy_V_per_K: Array,
    ohm: Array,
    cells: tuple[Array, Array, Array, Array],
    heating_W: Array,
    current_A: float,
    heat_W: Array,
) -> None:
    """Heat of every cell of a string: losses, reversible heat, and what else heats it, into `heat_W`.

    `cells` are both RC voltages, SOC and temperature; `ohm` the resistance of each without its RC pairs.
    """
    rc1_V, rc2_V, soc, cell_degC = cells
    for k in range(heat_W.shape[0]):
        lost_V = rc1_V[k] + rc2_V[k] + ohm[k] * current_A
        entropy = physics.over_soc(entropy_V_per_K, soc[k])
        heat_W[k] = physics.heat_W(current_A, lost_V, entropy, cell_degC[k]) + heating_W[k]


@part
def move_heat(
    fluid: Fluid,
    heat_capacity_J_per_K: float,
    command: Command,
    was_degC: Array,
    heat_W: Array,
    inlet_degC: float,
    ambient_degC: float,
    dt_s: float,
) -> Warmth:
    """All temperatures after one tick. `command` is what the hardware really does, 0 to 1 each."""
    blown = command.radiator if command.radiator > command.heater else command.heater
    flow = command.pump if fluid.liquid > 0.0 else blown
    moving = flow > FLOW_LEAST
    stream_W_per_K = fluid.flow_W_per_K * flow
    plate_W_per_K = fluid.plate_W_per_K * math.pow(flow, 0.8) if moving else fluid.still_W_per_K
    fresh = fluid.liquid == 0.0 and command.heater <= 0.0
    begin_degC = ambient_degC if fresh else inlet_degC
    caught = 1.0 - physics.decay(plate_W_per_K / stream_W_per_K) if moving else 0.0
    degC, out_degC = np.empty_like(was_degC), 0.0
    for s in range(was_degC.shape[0]):
        at_degC = begin_degC
        for k in range(was_degC.shape[1]):
            to_fluid_W = caught * stream_W_per_K * (was_degC[s, k] - at_degC)
            to_fluid_W = to_fluid_W if moving else plate_W_per_K * (was_degC[s, k] - ambient_degC)
            to_air_W = fluid.housing_W_per_K * (was_degC[s, k] - ambient_degC)
            gained_J = (heat_W[s, k] - to_fluid_W - to_air_W) * dt_s
            degC[s, k] = was_degC[s, k] + gained_J / heat_capacity_J_per_K
            at_degC += caught * (was_degC[s, k] - at_degC)
        out_degC += at_degC / was_degC.shape[0]
    out_degC = out_degC if moving else begin_degC
    carried_W = stream_W_per_K * was_degC.shape[0] * (out_degC - begin_degC) if moving and not fresh else 0.0
    inlet, electric_W = condition(fluid, command, begin_degC, carried_W, ambient_degC, dt_s)
    return Warmth(degC, inlet, out_degC, electric_W)


@part
def condition(
    fluid: Fluid, command: Command, was_degC: float, carried_W: float, ambient_degC: float, dt_s: float
) -> tuple[float, float]:
    """Fluid temperature after radiator, chiller and heater, and the electric power of all of them.

    Fans and pumps draw with the cube of their speed. Linear exchange is integrated exactly, so that a tick of any
    length is stable.
    """
    liquid = fluid.liquid > 0.0
    radiator = fluid.radiator_W_per_K * command.radiator if liquid else 0.0
    chilled_W = fluid.chiller_W * command.chiller if liquid else 0.0
    warmed_W = fluid.heater_W * command.heater
    electric_W = fluid.pump_W * command.pump * command.pump * command.pump if liquid else 0.0
    electric_W += (
        fluid.fan_W * command.radiator * command.radiator * command.radiator + warmed_W + chilled_W / fluid.chiller_cop
    )
    net_W = carried_W - chilled_W + warmed_W
    if radiator <= 0.0:
        return was_degC + net_W * dt_s / fluid.reservoir_J_per_K, electric_W
    goal_degC = ambient_degC + net_W / radiator
    keep = physics.decay(radiator * dt_s / fluid.reservoir_J_per_K)
    return goal_degC + (was_degC - goal_degC) * keep, electric_W
