"""The equations of one cell, each written once.

Sources: G. L. Plett, Battery Management Systems vol. 1 (2015), ch. 2 (equivalent circuit, one-state hysteresis);
Bernardi, Pawlikowski, Newman, J. Electrochem. Soc. 132 (1985) 5, doi 10.1149/1.2113792 (heat).
"""

from __future__ import annotations

import numpy as np

from packhorse.compiled import compiled
from packhorse.pack.words import DEGC_FIRST, DEGC_NODES, DEGC_STEP, SOC_NODES, Array

SECONDS_PER_HOUR = 3600.0
KELVIN = 273.15
Place = np.uint64
ONE = np.uint64(1)
SOC_SCALE = float(SOC_NODES - 1)
SOC_LAST, DEGC_LAST = SOC_SCALE - 1e-9, DEGC_NODES - 1 - 1e-9
"""Nodes for one SOC, and the last places from which there is a node above."""
_OCV, _R0, _R1, _R2 = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)
_TAU1, _TAU2, _SHARE = np.uint64(0), np.uint64(1), np.uint64(2)


@compiled
def decay(x: float) -> float:
    """exp(-x) for x >= 0 from plain arithmetic, so that a loop over cells stays vectorised.

    Taylor to the sixth order on x/32, summed in pairs that do not wait for each other, squared five times. Relative
    error below 1e-9 for x <= 1, below 1e-5 for x <= 10 and below 2 % up to 32, where the result is 1e-14; constant
    beyond.
    """
    y = (x if x < 32.0 else 32.0) * (1.0 / 32.0)
    y2 = y * y
    late = (1.0 / 24.0 - y * (1.0 / 120.0)) + y2 * (1.0 / 720.0)
    p = ((1.0 - y) + y2 * (0.5 - y * (1.0 / 6.0))) + y2 * y2 * late
    p = p * p
    p = p * p
    p = p * p
    p = p * p
    return p * p


@compiled
def at_soc(soc: float) -> tuple[Place, float]:
    """The node of every table over SOC at or below, and the weight of the next; held at the ends."""
    a = soc * SOC_SCALE
    a = a if a > 0.0 else 0.0
    a = a if a < SOC_LAST else SOC_LAST
    i = np.uint64(a)
    return i, a - i


@compiled
def at_degC(degC: float) -> tuple[Place, float]:
    """The node of every table over temperature at or below, and the weight of the next; held at the ends."""
    b = (degC - DEGC_FIRST) * (1.0 / DEGC_STEP)
    b = b if b > 0.0 else 0.0
    b = b if b < DEGC_LAST else DEGC_LAST
    j = np.uint64(b)
    return j, b - j


@compiled
def parameters(nodes: Array, soc: float, degC: float) -> tuple[float, float, float, float, float]:
    """OCV [V], dOCV/dSOC [V], R0, R1, R2 [ohm], bilinear in SOC and temperature; held at the edges of the tables."""
    i, f = at_soc(soc)
    j, g = at_degC(degC)
    w00, w01, w10, w11 = (1.0 - f) * (1.0 - g), f * (1.0 - g), (1.0 - f) * g, f * g
    k, m = i + ONE, j + ONE
    low, high = nodes[j, i, _OCV], nodes[j, k, _OCV]
    low_warm, high_warm = nodes[m, i, _OCV], nodes[m, k, _OCV]
    ocv_V = w00 * low + w01 * high + w10 * low_warm + w11 * high_warm
    slope_V = SOC_SCALE * ((1.0 - g) * (high - low) + g * (high_warm - low_warm))
    r0 = w00 * nodes[j, i, _R0] + w01 * nodes[j, k, _R0] + w10 * nodes[m, i, _R0] + w11 * nodes[m, k, _R0]
    r1 = w00 * nodes[j, i, _R1] + w01 * nodes[j, k, _R1] + w10 * nodes[m, i, _R1] + w11 * nodes[m, k, _R1]
    r2 = w00 * nodes[j, i, _R2] + w01 * nodes[j, k, _R2] + w10 * nodes[m, i, _R2] + w11 * nodes[m, k, _R2]
    return ocv_V, slope_V, r0, r1, r2


@compiled
def over_soc(values: Array, soc: float) -> float:
    """A table over SOC, (SOC_NODES,), linear between nodes, held at the ends."""
    i, f = at_soc(soc)
    value: float = (1.0 - f) * values[i] + f * values[i + ONE]
    return value


@compiled
def at_node(nodes: Array, soc: float, degC: float, column: int) -> float:
    """One column of `Cell.nodes`, bilinear in SOC and temperature, held at the edges."""
    i, f = at_soc(soc)
    j, g = at_degC(degC)
    k, m = i + ONE, j + ONE
    w00, w01, w10, w11 = (1.0 - f) * (1.0 - g), f * (1.0 - g), (1.0 - f) * g, f * g
    value: float = (
        w00 * nodes[j, i, column] + w01 * nodes[j, k, column] + w10 * nodes[m, i, column] + w11 * nodes[m, k, column]
    )
    return value


@compiled
def over_degC(degC_nodes: Array, degC: float, column: int) -> float:
    """One column of a table over temperature, linear between nodes, held at the ends."""
    j, g = at_degC(degC)
    value: float = (1.0 - g) * degC_nodes[j, column] + g * degC_nodes[j + ONE, column]
    return value


@compiled
def three_over_degC(degC_nodes: Array, degC: float) -> tuple[float, float, float]:
    """Time constants 1 and 2 [s] and the share of the nominal capacity at a temperature; held at the ends."""
    j, g = at_degC(degC)
    k = j + ONE
    tau1_s = (1.0 - g) * degC_nodes[j, _TAU1] + g * degC_nodes[k, _TAU1]
    tau2_s = (1.0 - g) * degC_nodes[j, _TAU2] + g * degC_nodes[k, _TAU2]
    share = (1.0 - g) * degC_nodes[j, _SHARE] + g * degC_nodes[k, _SHARE]
    return tau1_s, tau2_s, share


@compiled
def count(soc: float, current_A: float, capacity_Ah: float, dt_s: float) -> float:
    """SOC after `current_A` has flowed for `dt_s`; not clipped."""
    return soc - current_A * dt_s / (SECONDS_PER_HOUR * capacity_Ah)


@compiled
def relax(rc_V: float, current_A: float, r_ohm: float, keep: float) -> float:
    """Voltage over an RC pair after one step at constant current; `keep` is exp(-dt/tau). Exact."""
    return keep * rc_V + (1.0 - keep) * r_ohm * current_A


@compiled
def hysteresis(h: float, current_A: float, capacity_Ah: float, rate: float, dt_s: float) -> float:
    """Plett's one-state hysteresis: h runs to +1 while charging, to -1 while discharging, and stays at rest."""
    return turned(h, rate * current_A * dt_s / (SECONDS_PER_HOUR * capacity_Ah))


@compiled
def turned(h: float, x: float) -> float:
    """Hysteresis state after `x`, the SOC that was taken out times the rate of the hysteresis."""
    goal = -1.0 if x > 0.0 else 1.0
    keep = decay(x if x > 0.0 else -x)
    return keep * h + (1.0 - keep) * goal


@compiled
def terminal_V(ocv_V: float, hysteresis_V: float, rc1_V: float, rc2_V: float, r0_ohm: float, current_A: float) -> float:
    """Voltage at the terminals; `hysteresis_V` is half-width times state."""
    return ocv_V + hysteresis_V - rc1_V - rc2_V - r0_ohm * current_A


@compiled
def heat_W(current_A: float, overpotential_V: float, entropy_V_per_K: float, degC: float) -> float:
    """Heat released: losses plus reversible heat, Bernardi 1985; `overpotential_V` is equilibrium minus terminal."""
    return current_A * (overpotential_V - (degC + KELVIN) * entropy_V_per_K)
