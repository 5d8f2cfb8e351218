"""State of charge of every cell: count the charge, then correct by the surprise in the voltage.

An extended Kalman filter per cell over (SOC, rc1_V, rc2_V) with hysteresis carried along; G. L. Plett, J. Power
Sources 134 (2004) 277-292, doi 10.1016/j.jpowsour.2004.02.033. What is added to the textbook:

- Errors of the model and of the current sensor persist for minutes and hours. A filter that takes them for white
  noise becomes certain of nonsense, so each is weighted by its correlation time over the time step; the same belief
  then results at any time step up to the sensors' patience.
- A surprise beyond `GATE` sigma is not thrown away but trusted only as much as one of `GATE` sigma, and nothing is
  learned from it of how sure the SOC is: an outlier moves little, and a wrong belief is still found.
- The error of the OCV itself never averages out: no number of readings makes SOC surer than `model_sigma_V` over the
  slope of the OCV. The nearer it is to that, the less the voltage moves it; on the plateau of LFP charge is counted.
- A cell that is not heard is counted but not corrected. While nothing is heard of the current, uncertainty grows by
  `UNHEARD_C`.
"""

from __future__ import annotations

import math

import numpy as np

from packhorse.cell import physics
from packhorse.cell.table import CAPACITY, HYSTERESIS_V, OCV, R0, R1, R2, ROWS, SLOPE, TAU1, TAU2, look_up
from packhorse.compiled import kernel, part
from packhorse.estimation.temperature import cell_degC
from packhorse.pack.known import known
from packhorse.pack.words import Array, Belief, Cell, Frame, Pack, Sensors

GATE = 3.0
DRIFT_S = 4 * 3600.0
"""For how long an offset of the current sensor keeps its value (assumed)."""
UNHEARD_C = 0.5
"""Current that may have flowed unheard, in 1/h of the capacity (assumed)."""
ABSURD_C = 100.0
"""No cell gives or takes this much [1/h of its capacity]: such a reading is not counted. Protection judges it raw."""
SOC_SIGMA_START, SOC_SIGMA_MAX = 0.3, 0.5
RC_SIGMA_V = 1e-4
"""How far an RC voltage may wander from its equation in a second."""
TINY = 1e-25
"""Numbers below this are taken for zero, or the processor would crawl through denormals."""


def begin(strings: int, series: int) -> Belief:
    """The belief before anything was heard."""
    covariance = np.zeros((strings, 6, series))
    covariance[:, 0, :] = SOC_SIGMA_MAX**2
    return Belief(
        soc=np.full((strings, series), 0.5),
        rc1_V=np.zeros((strings, series)),
        rc2_V=np.zeros((strings, series)),
        hysteresis=np.zeros((strings, series)),
        covariance=covariance,
        started=0.0,
    )


@part
def step(pack: Pack, was: Belief, frame: Frame, bleed: Array, contactor: Array, dt_s: float) -> Belief:
    """The belief after one frame. `bleed` and `contactor` say what was commanded during the last `dt_s`."""
    if was.started == 0.0:
        return first(pack, was, frame)
    strings, series = was.soc.shape
    soc, rc1_V, rc2_V = np.empty_like(was.soc), np.empty_like(was.soc), np.empty_like(was.soc)
    turned, covariance = np.empty_like(was.soc), np.empty_like(was.covariance)
    table = np.empty((ROWS, series))
    for s in range(strings):
        degC = cell_degC(frame.probe_degC[s], pack.probe_of_cell, frame.ambient_degC)
        look_up(pack.cell.nodes, pack.cell.soc_nodes, pack.cell.degC_nodes, was.soc[s], degC, table)
        current_A, heard_s, unheard = count_on(pack, frame.string_A[s], contactor[s, 1], dt_s)
        lost = pack.cell.self_discharge_per_s * dt_s
        correct(
            table,
            (was.soc[s], was.rc1_V[s], was.rc2_V[s], was.hysteresis[s], was.covariance[s]),
            (soc[s], rc1_V[s], rc2_V[s], turned[s], covariance[s]),
            frame.cell_V[s],
            bleed[s],
            pack.cell,
            pack.sensors,
            (current_A, heard_s, dt_s, unheard, lost, pack.balancing.bleed_ohm),
        )
    return Belief(soc, rc1_V, rc2_V, turned, covariance, 1.0)


@part
def count_on(pack: Pack, string_A: float, connected: float, dt_s: float) -> tuple[float, float, float]:
    """Current to count [A], for how long [s], and what the unheard rest of the time adds to the sigma of SOC."""
    heard = known(string_A) and abs(string_A) < ABSURD_C * pack.cell.capacity_Ah
    heard_s = dt_s if dt_s < pack.sensors.patience_s else pack.sensors.patience_s
    heard_s = heard_s if heard else 0.0
    unheard = UNHEARD_C * (dt_s - heard_s) / physics.SECONDS_PER_HOUR
    unheard = unheard if connected > 0.0 else 0.0
    return string_A if heard else 0.0, heard_s, unheard


@part
def flush(x: float) -> float:
    """The number itself, or zero where it is too small to matter."""
    y: float = x if (x if x > 0.0 else -x) > TINY else 0.0
    return y


@kernel
def correct(  # noqa: PLR0915 - one cell, one step, in the order of the textbook
    table: Array,
    was: tuple[Array, Array, Array, Array, Array],
    now: tuple[Array, Array, Array, Array, Array],
    cell_V: Array,
    bleed: Array,
    cell: Cell,
    sensors: Sensors,
    heard: tuple[float, float, float, float, float, float],
) -> None:
    """Predict and correct every cell of a string; arithmetic only, so that it vectorises."""
    current_A, heard_s, dt_s, unheard, lost, bleed_ohm = heard
    ocv_V, slope_V, r0, r1, r2 = table[OCV], table[SLOPE], table[R0], table[R1], table[R2]
    tau1, tau2, capacity, hysteresis_V = table[TAU1], table[TAU2], table[CAPACITY], table[HYSTERESIS_V]
    was_soc, was_rc1, was_rc2, was_h, p = was
    soc, rc1, rc2, h, q = now
    p00, p01, p02, p11, p12, p22 = p[0], p[1], p[2], p[3], p[4], p[5]
    q00, q01, q02, q11, q12, q22 = q[0], q[1], q[2], q[3], q[4], q[5]

    efficiency = cell.coulombic_efficiency if current_A < 0.0 else 1.0
    repeat = sensors.correlation_s / dt_s if dt_s < sensors.correlation_s else 1.0
    repeat = repeat if dt_s > 0.0 else 1e6
    error_A2 = sensors.current_offset_A**2 + (sensors.current_gain * current_A) ** 2
    drift_As2 = 2.0 * DRIFT_S * heard_s * error_A2 + (sensors.current_sigma_A * heard_s) ** 2
    rc_noise = RC_SIGMA_V * RC_SIGMA_V * dt_s
    white_V2 = sensors.cell_sigma_V**2
    for k in range(soc.shape[0]):
        capacity_Ah = capacity[k] * cell.capacity_Ah
        v = cell_V[k]
        heard_V = known(v)
        v = v if heard_V else 0.0
        i = current_A * efficiency + bleed[k] * ocv_V[k] / bleed_ohm
        a1, a2 = physics.decay(dt_s / tau1[k]), physics.decay(dt_s / tau2[k])
        x0 = physics.count(was_soc[k], i, capacity_Ah, heard_s) - lost
        x1 = physics.relax(was_rc1[k], i, r1[k], a1)
        x2 = physics.relax(was_rc2[k], i, r2[k], a2)
        turned = physics.hysteresis(was_h[k], i, capacity_Ah, cell.hysteresis_rate, heard_s)
        as_per_soc = physics.SECONDS_PER_HOUR * capacity_Ah
        unsure = unheard * (unheard + 2.0 * math.sqrt(p00[k]))
        s00 = p00[k] + drift_As2 / (as_per_soc * as_per_soc) + unsure
        s00 = s00 if s00 < SOC_SIGMA_MAX * SOC_SIGMA_MAX else SOC_SIGMA_MAX * SOC_SIGMA_MAX
        s01, s02, s12 = a1 * p01[k], a2 * p02[k], a1 * a2 * p12[k]
        s11, s22 = a1 * a1 * p11[k] + rc_noise, a2 * a2 * p22[k] + rc_noise

        ocv_now_V = ocv_V[k] + slope_V[k] * (x0 - was_soc[k])
        surprise_V = v - physics.terminal_V(ocv_now_V, hysteresis_V[k] * turned, x1, x2, r0[k], i)
        doubt_V = cell.resistance_sigma * (r0[k] + r1[k] + r2[k]) * i
        wrong_V2 = cell.model_sigma_V**2 + doubt_V * doubt_V
        c0 = slope_V[k] * s00 - s01 - s02
        c1 = slope_V[k] * s01 - s11 - s12
        c2 = slope_V[k] * s02 - s12 - s22
        spread_V2 = slope_V[k] * c0 - c1 - c2 + white_V2 + repeat * wrong_V2
        far_V2 = surprise_V * surprise_V * (1.0 / (GATE * GATE))
        far = far_V2 > spread_V2
        spread_V2 = far_V2 if far else spread_V2
        gain = 1.0 / spread_V2 if heard_V else 0.0
        surprise_V = surprise_V if heard_V else 0.0
        g0, g1, g2 = c0 * gain, c1 * gain, c2 * gain
        standing = cell.model_sigma_V / slope_V[k]
        trust = 1.0 - standing * standing / s00
        trust = trust if trust > 0.0 else 0.0
        learned = 0.0 if far else trust * (2.0 - trust)
        trust = 1.0 if far else trust

        y = x0 + trust * g0 * surprise_V
        y = y if y > 0.0 else 0.0
        soc[k] = y if y < 1.0 else 1.0
        rc1[k] = flush(x1 + g1 * surprise_V)
        rc2[k] = flush(x2 + g2 * surprise_V)
        h[k] = flush(turned)
        s00 = s00 - learned * g0 * c0
        q00[k] = s00 if s00 > 1e-10 else 1e-10
        q01[k] = flush(s01 - g0 * c1)
        q02[k] = flush(s02 - g0 * c2)
        s11 = s11 - g1 * c1
        q11[k] = s11 if s11 > 1e-12 else 1e-12
        q12[k] = flush(s12 - g1 * c2)
        s22 = s22 - g2 * c2
        q22[k] = s22 if s22 > 1e-12 else 1e-12


@part
def first(pack: Pack, was: Belief, frame: Frame) -> Belief:
    """The first belief, from the first voltages: SOC where the OCV meets each, and how sure that can be."""
    cell = pack.cell
    soc, covariance = was.soc.copy(), was.covariance.copy()
    started = 0.0
    for s in range(pack.strings):
        degC = cell_degC(frame.probe_degC[s], pack.probe_of_cell, frame.ambient_degC)
        current_A = frame.string_A[s] if known(frame.string_A[s]) else 0.0
        total, heard = 0.0, 0.0
        for k in range(pack.series):
            v = frame.cell_V[s, k]
            if known(v):
                soc[s, k] = soc_of(cell, v, current_A, degC[k])
                _, slope_V, r0, r1, r2 = physics.parameters(cell.nodes, soc[s, k], degC[k])
                off_V = cell.model_sigma_V + physics.over_soc(cell.soc_nodes, soc[s, k], 0)
                off_V += 0.5 * (r0 + r1 + r2) * abs(current_A)
                sigma = off_V / slope_V + 0.01
                covariance[s, 0, k] = min(sigma, SOC_SIGMA_START) ** 2
                covariance[s, 3, k] = (0.5 * r1 * current_A) ** 2 + RC_SIGMA_V**2
                covariance[s, 5, k] = (0.5 * r2 * current_A) ** 2 + RC_SIGMA_V**2
                total += soc[s, k]
                heard += 1.0
        if heard > 0.0:
            started = 1.0
            for k in range(pack.series):
                if not known(frame.cell_V[s, k]):
                    soc[s, k] = total / heard
    return Belief(soc, was.rc1_V.copy(), was.rc2_V.copy(), was.hysteresis.copy(), covariance, started)


@part
def soc_of(cell: Cell, cell_V: float, current_A: float, degC: float) -> float:
    """SOC whose OCV, less the drop over R0, is the voltage heard; by bisection, since the OCV rises with SOC."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        ocv_V, _slope, r0, _r1, _r2 = physics.parameters(cell.nodes, middle, degC)
        if ocv_V - r0 * current_A < cell_V:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
