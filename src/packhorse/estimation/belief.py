"""State of charge of every cell, and what stands between it and the voltage, each with its uncertainty.

An extended Kalman filter per cell, after G. L. Plett, J. Power Sources 134 (2004) 277-292,
doi 10.1016/j.jpowsour.2004.02.033, over five quantities:

- the state of charge;
- the offset of the string's current sensor, which charge counting adds up;
- the bias of the cell model, the part of its error that lasts for minutes, as large as the cell file says for this
  SOC and temperature. A filter that takes it for white noise becomes certain of nonsense;
- the charge factor, nominal capacity over true capacity, times the gain of the sensor: together they say how far one
  ampere-hour moves the SOC, and no voltage tells them apart;
- the resistance factor, by which the resistances differ from the cell file's.

The RC voltages and the hysteresis state follow from the current and are carried along. What is added to the textbook:

- Part of the model's error is the same at every SOC: it stands, and no time averages it away. It is considered, not
  estimated (S. F. Schmidt, Advances in Control Systems 3 (1966) 293): how each quantity leans on it is carried along
  and widens what is said of the SOC, but changes no estimate.
- The slope of the OCV is taken across the width of the belief, not at a point: on the plateau of LFP a tangent lies.
- A surprise beyond `GATE` sigma is trusted only as much as one of `GATE` sigma. Where surprises stay larger than
  expected for minutes, the model is worse here than its file says, and its errors are taken larger.
- Where rows are far apart the voltage is of one instant and the current of another, or a mean; only at rest are they
  the same.
- Errors that last longer than a time step are weighted by how long they last over the step: the same belief results at
  any step up to the sensors' patience.
- A cell that is not heard is counted but not corrected. While nothing is heard of the current, uncertainty grows by
  `UNHEARD_C`, for `UNHEARD_MOST_S` at most: a vehicle not heard for longer was parked.
- While the string's contactors are open its current is zero, and the reading is the sensor's offset.
"""

from __future__ import annotations

import math

import numpy as np

from packhorse.cell import physics
from packhorse.cell.table import (
    CAPACITY,
    HYSTERESIS_V,
    MODEL_V,
    OCV,
    PLACES,
    R0,
    R1,
    R2,
    ROWS,
    TAU1,
    TAU2,
    mix_degC,
    mix_nodes,
    mix_ocv,
    place_degC,
    place_soc,
)
from packhorse.compiled import compiled, kernel, part
from packhorse.estimation.temperature import cell_degC
from packhorse.pack.known import known
from packhorse.pack.words import Array, Belief, Cell, Frame, Pack, Sensors

GATE = 3.0
UNHEARD_C = 0.5
UNHEARD_MOST_S = 600.0
"""Current that may have flowed unheard, in 1/h of the capacity, and for how long it may have (assumed)."""
COARSE_S, REST_C = 10.0, 0.02
"""Of rows farther apart than this the current is a mean or another instant's, and not that which the voltage shows, by
up to `UNHEARD_C`; unless it is less than this [1/h of the capacity], at rest (assumed)."""
ABSURD_C = 100.0
"""No cell gives or takes this much [1/h of its capacity]: such a reading is not counted. Protection judges it raw."""
OFFSET_S = 10 * 86_400.0
"""For how long an offset of the current sensor keeps its value (assumed)."""
RESISTANCE_S = 3600.0
RESISTANCE_SOC = 0.2
"""For how long, and over how much SOC, a deviation of the resistance keeps its value (assumed)."""
USUAL_S = 10 * 3600.0
"""How long it takes to get used to another resistance (assumed)."""
AGEING_PER_S = (0.01 / math.sqrt(30 * 86_400.0)) ** 2
"""Growth of the variance of the charge factor: 1 % in a month (assumed)."""
SURPRISE_S, SURPRISE_MOST = 200.0, 25.0
"""Over which time surprises are averaged, and how far one may count (assumed)."""
WIDTH, WIDTH_LEAST = 0.5, 0.01
"""The slope of the OCV is taken so many sigma, and at least so much SOC, to both sides."""
START_SIGMA_MOST, SOC_SIGMA_LEAST = 0.5, 0.002
"""No belief is wider than knowing nothing, and none narrower than the meaning of SOC itself (assumed)."""
START_STRANGE = 0.002
"""How likely it is that the first voltage says nothing (assumed)."""
FULL_SOC, EMPTY_SOC = 0.97, 0.03
"""A cell found beyond these has just been charged or discharged, and its hysteresis lies on that side."""
START_BUILT = 0.5
"""How much of what the first current builds up in the fast RC is there already; of the slow one nothing (assumed)."""
START_POINTS = 201
TINY = 1e-25
"""Numbers below this are taken for zero, or the processor would crawl through denormals."""
COVARIANCES = 15
SOC_ROW, OFFSET_ROW, BIAS_ROW, CHARGE_ROW, RESISTANCE_ROW = 0, 5, 9, 12, 14
"""Rows of the covariance that hold variances."""
LEANINGS = 5
SOC_LEANS, CHARGE_LEANS = COVARIANCES, COVARIANCES + 3
"""Rows beside the covariance, one of each quantity: how far it is off if the model is by its standing error."""


def begin(strings: int, series: int) -> Belief:
    """The belief before anything was heard."""
    cells = (strings, series)
    covariance = np.zeros((strings, COVARIANCES + LEANINGS, series))
    covariance[:, SOC_ROW, :] = START_SIGMA_MOST**2
    return Belief(
        soc=np.full(cells, 0.5),
        offset_A=np.zeros(cells),
        bias_V=np.zeros(cells),
        charge_factor=np.ones(cells),
        resistance_factor=np.ones(cells),
        usual_factor=np.ones(cells),
        rc1_V=np.zeros(cells),
        rc2_V=np.zeros(cells),
        hysteresis=np.zeros(cells),
        surprise=np.ones(cells),
        core_K=np.zeros(cells),
        covariance=covariance,
        started=0.0,
    )


@part
def step(pack: Pack, was: Belief, frame: Frame, bleed: Array, contactor: Array, dt_s: float) -> Belief:
    """The belief after one frame. `bleed` and `contactor` say what was commanded during the last `dt_s`."""
    if was.started == 0.0:
        return first(pack, was, frame)
    strings, series = pack.strings, pack.series
    rests = open_circuits(pack, frame)
    was = same(was) if rests.max() > 0.0 else was
    now = room(was)
    nodes, degC_nodes = pack.cell.nodes, pack.cell.degC_nodes
    place, table, around = np.empty((PLACES, series)), np.empty((ROWS, series)), np.empty((WORK_ROWS, series))
    for s in range(strings):
        degC = cell_degC(frame.probe_degC[s], pack.probe_of_cell, frame.ambient_degC)
        current_A, heard_s, unheard = count_on(pack, frame.string_A[s], contactor[s, 1], dt_s)
        flowing = 1.0
        before, after = rows_of(was, s), rows_of(now, s)
        if rests[s] > 0.0:
            hear_offset(before, spread_of(was, s), current_A, pack.sensors, dt_s)
            current_A, heard_s, unheard, flowing = 0.0, 0.0, 0.0, 0.0
        heard = (current_A, heard_s, dt_s, flowing, pack.balancing.bleed_ohm)
        doubt(was.covariance[s, SOC_ROW], unheard, around[UNSURE])
        place_degC(degC, place)
        place_soc(was.soc[s], place)
        mix_nodes(nodes, place, table)
        mix_degC(degC_nodes, place, table)
        moved = (before, spread_of(was, s), after, spread_of(now, s))
        count(table, around, moved, bleed[s], pack.cell, pack.sensors, heard)
        place_soc(around[ABOVE_SOC], place)
        mix_ocv(nodes, place, around[ABOVE_V])
        place_soc(around[BELOW_SOC], place)
        mix_ocv(nodes, place, around[BELOW_V])
        place_soc(now.soc[s], place)
        mix_nodes(nodes, place, table)
        correct(table, around, after, spread_of(now, s), frame.cell_V[s], pack.cell, pack.sensors, dt_s)
    return now


WORK_ROWS = 7
ABOVE_SOC, ABOVE_V, BELOW_SOC, BELOW_V, CURRENT_A, FRESH, UNSURE = range(WORK_ROWS)
"""Rows of the working table beside counting and correcting."""


@kernel
def soc_variance(p: Array, k: int) -> float:
    """Variance of the SOC of one cell, the model's standing error included; `p` is a string's covariance."""
    leans = p[SOC_LEANS, k]
    total: float = p[SOC_ROW, k] + leans * leans
    return total


@kernel
def charge_variance(p: Array, k: int) -> float:
    """Variance of the charge factor of one cell, the model's standing error included."""
    leans = p[CHARGE_LEANS, k]
    total: float = p[CHARGE_ROW, k] + leans * leans
    return total


@part
def room(was: Belief) -> Belief:
    """Room for the next belief, of which every cell will be written: cheaper than a copy to write over."""
    return Belief(
        np.empty_like(was.soc),
        np.empty_like(was.soc),
        np.empty_like(was.soc),
        np.empty_like(was.soc),
        np.empty_like(was.soc),
        np.empty_like(was.soc),
        np.empty_like(was.soc),
        np.empty_like(was.soc),
        np.empty_like(was.soc),
        np.empty_like(was.soc),
        np.empty_like(was.soc),
        np.empty_like(was.covariance),
        was.started,
    )


@part
def same(was: Belief) -> Belief:
    """A copy that may be written on."""
    return Belief(
        was.soc.copy(),
        was.offset_A.copy(),
        was.bias_V.copy(),
        was.charge_factor.copy(),
        was.resistance_factor.copy(),
        was.usual_factor.copy(),
        was.rc1_V.copy(),
        was.rc2_V.copy(),
        was.hysteresis.copy(),
        was.surprise.copy(),
        was.core_K.copy(),
        was.covariance.copy(),
        was.started,
    )


@part
def count_on(pack: Pack, string_A: float, connected: float, dt_s: float) -> tuple[float, float, float]:
    """Current to count [A], for how long [s], and what the unheard rest of the time adds to the sigma of SOC."""
    heard = known(string_A) and abs(string_A) < ABSURD_C * pack.cell.capacity_Ah
    heard_s = dt_s if dt_s < pack.sensors.patience_s else pack.sensors.patience_s
    heard_s = heard_s if heard else 0.0
    unheard_s = dt_s - heard_s if dt_s - heard_s < UNHEARD_MOST_S else UNHEARD_MOST_S
    unheard = UNHEARD_C * unheard_s / physics.SECONDS_PER_HOUR
    unheard = unheard if connected > 0.0 else 0.0
    return string_A if heard else 0.0, heard_s, unheard


@part
def open_circuits(pack: Pack, frame: Frame) -> Array:
    """Which strings rest on open contactors, (strings,) 0 or 1."""
    rests = np.zeros(pack.strings)
    for s in range(pack.strings):
        rests[s] = 1.0 if open_circuit(pack, frame, s) else 0.0
    return rests


@part
def open_circuit(pack: Pack, frame: Frame, s: int) -> bool:
    """Whether the contactors of a string are heard to be open and its reading could be the sensor's offset."""
    is_open = frame.contactor[s, 0] == 0.0 and frame.contactor[s, 1] == 0.0 and frame.contactor[s, 2] == 0.0
    small = known(frame.string_A[s]) and abs(frame.string_A[s]) < 5.0 * pack.sensors.current_offset_A
    return is_open and small


@part
def flush(x: float) -> float:
    """The number itself, or zero where it is too small to matter."""
    y: float = x if (x if x > 0.0 else -x) > TINY else 0.0
    return y


Rows = tuple[Array, Array, Array, Array, Array, Array, Array, Array, Array, Array, Array]
"""The rows of one string, in the order of `Belief`, without the covariance."""
Spread = tuple[Array, Array]
"""The covariance of one string (15, series), and how it leans (5, series)."""


@part
def rows_of(belief: Belief, s: int) -> Rows:
    """The rows of one string."""
    return (
        belief.soc[s],
        belief.offset_A[s],
        belief.bias_V[s],
        belief.charge_factor[s],
        belief.resistance_factor[s],
        belief.usual_factor[s],
        belief.rc1_V[s],
        belief.rc2_V[s],
        belief.hysteresis[s],
        belief.surprise[s],
        belief.core_K[s],
    )


@part
def spread_of(belief: Belief, s: int) -> Spread:
    """The covariance of one string, and how it leans: apart, as of one array LLVM would compare too many rows."""
    p = belief.covariance[s]
    return p[:COVARIANCES], p[COVARIANCES:]


@kernel
def doubt(p00: Array, unheard: float, unsure: Array) -> None:
    """What a current that was not heard adds to the variance of SOC; its square root would cost every other step."""
    for k in range(p00.shape[0]):
        unsure[k] = 0.0
    if unheard > 0.0:
        for k in range(p00.shape[0]):
            unsure[k] = unheard * (unheard + 2.0 * math.sqrt(p00[k]))


@kernel
def hear_offset(rows: Rows, spread: Spread, reading_A: float, sensors: Sensors, dt_s: float) -> None:
    """Learn the offset of the current sensor from what it reads while no current flows."""
    soc, offset, bias, charge, resistance = rows[0], rows[1], rows[2], rows[3], rows[4]
    p, leans = spread
    repeat = sensors.correlation_s / dt_s if dt_s < sensors.correlation_s else 1.0
    repeat = repeat if dt_s > 0.0 else 1e6
    noise_A2 = repeat * (sensors.current_sigma_A**2 + (0.1 * sensors.current_offset_A) ** 2)
    for k in range(soc.shape[0]):
        gain = 1.0 / (p[5, k] + noise_A2)
        surprise_A = reading_A - offset[k]
        g0, g1, g2, g3, g4 = p[1, k] * gain, p[5, k] * gain, p[6, k] * gain, p[7, k] * gain, p[8, k] * gain
        y = soc[k] + g0 * surprise_A
        y = y if y > 0.0 else 0.0
        soc[k] = y if y < 1.0 else 1.0
        offset[k] += g1 * surprise_A
        bias[k] += g2 * surprise_A
        charge[k] += g3 * surprise_A
        resistance[k] += g4 * surprise_A
        c0, c1, c2, c3, c4 = p[1, k], p[5, k], p[6, k], p[7, k], p[8, k]
        p[0, k] -= g0 * c0
        p[1, k] -= g0 * c1
        p[2, k] -= g0 * c2
        p[3, k] -= g0 * c3
        p[4, k] -= g0 * c4
        p[5, k] -= g1 * c1
        p[6, k] -= g1 * c2
        p[7, k] -= g1 * c3
        p[8, k] -= g1 * c4
        p[9, k] -= g2 * c2
        p[10, k] -= g2 * c3
        p[11, k] -= g2 * c4
        p[12, k] -= g3 * c3
        p[13, k] -= g3 * c4
        p[14, k] -= g4 * c4
        lean = leans[1, k]
        leans[0, k] -= g0 * lean
        leans[1, k] -= g1 * lean
        leans[2, k] -= g2 * lean
        leans[3, k] -= g3 * lean
        leans[4, k] -= g4 * lean


@kernel
def count(  # noqa: PLR0915 - one cell, one time step, in the order of the equations
    table: Array,
    around: Array,
    moved: tuple[Rows, Spread, Rows, Spread],
    bleed: Array,
    cell: Cell,
    sensors: Sensors,
    heard: tuple[float, float, float, float, float],
) -> None:
    """Charge moved, and everything else carried forward by the current; arithmetic only, so that it vectorises.

    Reads the rows and the covariance of the belief before and writes those of the one after.
    """
    current_A, heard_s, dt_s, flowing, bleed_ohm = heard
    ocv_V, r0, r1, r2 = table[OCV], table[R0], table[R1], table[R2]
    tau1, tau2, share = table[TAU1], table[TAU2], table[CAPACITY]
    before, (q, was_leans), after, (p, leans) = moved
    was_soc, was_offset, was_bias, was_charge, was_resistance, was_usual, was_rc1, was_rc2, was_h = before[:9]
    was_surprise, was_core_K = before[9], before[10]
    q00, q01, q02, q03, q04 = q[0], q[1], q[2], q[3], q[4]
    q11, q12, q13, q14 = q[5], q[6], q[7], q[8]
    q22, q23, q24, q33, q34, q44 = q[9], q[10], q[11], q[12], q[13], q[14]
    q0, q1, q2, q3, q4 = was_leans[0], was_leans[1], was_leans[2], was_leans[3], was_leans[4]
    soc, offset, bias, charge, resistance, usual, rc1, rc2, h, surprise, core_K = after
    p00, p01, p02, p03, p04 = p[0], p[1], p[2], p[3], p[4]
    p11, p12, p13, p14 = p[5], p[6], p[7], p[8]
    p22, p23, p24, p33, p34, p44 = p[9], p[10], p[11], p[12], p[13], p[14]
    p0, p1, p2, p3, p4 = leans[0], leans[1], leans[2], leans[3], leans[4]
    above, below, flowed, fresh = around[ABOVE_SOC], around[BELOW_SOC], around[CURRENT_A], around[FRESH]
    unsure = around[UNSURE]

    efficiency = cell.coulombic_efficiency if current_A < 0.0 else 1.0
    lost = cell.self_discharge_per_s * dt_s
    keep_offset = physics.decay(dt_s / OFFSET_S)
    offset_A2 = (1.0 - keep_offset * keep_offset) * sensors.current_offset_A**2
    learn = dt_s / USUAL_S if dt_s < USUAL_S else 1.0
    keep_core = physics.decay(dt_s / cell.core_s)
    siemens, per_slow_soc, per_resistance_soc = 1.0 / bleed_ohm, 1.0 / cell.slow_soc, 1.0 / RESISTANCE_SOC
    slow, resisted = dt_s / cell.slow_s, dt_s / RESISTANCE_S
    counted = heard_s / (physics.SECONDS_PER_HOUR * cell.capacity_Ah)
    unheard_bleed = (dt_s - heard_s) / (physics.SECONDS_PER_HOUR * cell.capacity_Ah) * siemens
    for k in range(soc.shape[0]):
        both = tau1[k] * tau2[k]
        inverse = 1.0 / (both * share[k])  # one division for three
        per_A = counted * both * inverse
        i = (current_A - was_offset[k]) * efficiency * flowing + bleed[k] * ocv_V[k] * siemens
        bled = unheard_bleed * both * inverse * bleed[k] * ocv_V[k]  # commanded, so that nobody has to be heard
        moved_soc = was_charge[k] * (per_A * i + bled)
        y = was_soc[k] - moved_soc - lost
        y = y if y > 0.0 else 0.0
        soc[k] = y if y < 1.0 else 1.0
        per_both = dt_s * share[k] * inverse
        x1 = physics.relax(was_rc1[k], i, r1[k], physics.decay(per_both * tau2[k]))
        x2 = physics.relax(was_rc2[k], i, r2[k], physics.decay(per_both * tau1[k]))
        rc1[k], rc2[k] = flush(x1), flush(x2)
        h[k] = flush(physics.turned(was_h[k], cell.hysteresis_rate * i * per_A))
        warm_K = cell.core_K_per_W * was_resistance[k] * i * (r0[k] * i + x1 + x2)
        core_K[k] = flush(keep_core * was_core_K[k] + (1.0 - keep_core) * warm_K)
        flowed[k] = i

        far = moved_soc if moved_soc > 0.0 else -moved_soc
        kb = physics.decay(slow + far * per_slow_soc)
        fresh[k] = 1.0 - kb * kb
        kr = physics.decay(resisted + far * per_resistance_soc)
        a1, a3 = per_A * was_charge[k] * efficiency * flowing, -per_A * i
        white = sensors.current_sigma_A * per_A
        s01 = q01[k] + a1 * q11[k] + a3 * q13[k]
        s03 = q03[k] + a1 * q13[k] + a3 * q33[k]
        s00 = q00[k] + a1 * (q01[k] + s01) + a3 * (q03[k] + s03) + white * white + unsure[k]
        s00 = s00 if s00 < START_SIGMA_MOST * START_SIGMA_MOST else START_SIGMA_MOST * START_SIGMA_MOST
        p00[k], p01[k], p03[k] = s00, keep_offset * s01, s03
        p02[k] = kb * (q02[k] + a1 * q12[k] + a3 * q23[k])
        p04[k] = kr * (q04[k] + a1 * q14[k] + a3 * q34[k])
        p11[k] = keep_offset * keep_offset * q11[k] + offset_A2
        p12[k] = keep_offset * kb * q12[k]
        p13[k] = keep_offset * q13[k]
        p14[k] = keep_offset * kr * q14[k]
        p22[k] = kb * kb * q22[k]
        p23[k] = kb * q23[k]
        p24[k] = kb * kr * q24[k]
        p33[k] = q33[k] + AGEING_PER_S * dt_s
        p34[k] = kr * q34[k]
        p44[k] = kr * kr * q44[k] + (1.0 - kr * kr) * cell.resistance_sigma * cell.resistance_sigma
        p0[k] = q0[k] + a1 * q1[k] + a3 * q3[k]
        p1[k] = keep_offset * q1[k]
        p2[k] = kb * q2[k]
        p3[k] = q3[k]
        p4[k] = kr * q4[k]
        offset[k] = keep_offset * was_offset[k]
        bias[k] = kb * was_bias[k]
        charge[k], surprise[k] = was_charge[k], was_surprise[k]
        used = was_usual[k] + learn * (was_resistance[k] - was_usual[k])
        usual[k], resistance[k] = used, used + kr * (was_resistance[k] - used)

        wide = WIDTH * math.sqrt(s00)
        wide = wide if wide > WIDTH_LEAST else WIDTH_LEAST
        up, down = soc[k] + wide, soc[k] - wide
        above[k] = up if up < 1.0 else 1.0
        below[k] = down if down > 0.0 else 0.0


@compiled
def hidden_A(cell: Cell, dt_s: float) -> float:
    """One sigma of what the current at the instant of a voltage may be apart from the one that was heard."""
    far = dt_s / (dt_s + COARSE_S)
    return UNHEARD_C * far * far * cell.capacity_Ah


@kernel
def correct(  # noqa: PLR0915 - one cell, one correction, in the order of the textbook
    table: Array,
    around: Array,
    rows: Rows,
    spread: Spread,
    cell_V: Array,
    cell: Cell,
    sensors: Sensors,
    dt_s: float,
) -> None:
    """Correct every cell of a string by the surprise in its voltage; arithmetic only, so that it vectorises."""
    ocv_V, r0, r1, r2 = table[OCV], table[R0], table[R1], table[R2]
    half_V, model_V = table[HYSTERESIS_V], table[MODEL_V]
    above, above_V, below, below_V = around[ABOVE_SOC], around[ABOVE_V], around[BELOW_SOC], around[BELOW_V]
    flowed, fresh = around[CURRENT_A], around[FRESH]
    soc, offset, bias, charge, resistance, _usual, rc1, rc2, h, surprise, _core_K = rows
    p, leans = spread
    p00, p01, p02, p03, p04 = p[0], p[1], p[2], p[3], p[4]
    p11, p12, p13, p14 = p[5], p[6], p[7], p[8]
    p22, p23, p24, p33, p34, p44 = p[9], p[10], p[11], p[12], p[13], p[14]
    p0, p1, p2, p3, p4 = leans[0], leans[1], leans[2], leans[3], leans[4]
    repeat = cell.fast_s / dt_s if dt_s < cell.fast_s else 1.0
    repeat = repeat if dt_s > 0.0 else 1e6
    white_V2, fast_V2 = sensors.cell_sigma_V**2, cell.fast_sigma_V**2
    share2 = cell.fast_share * cell.fast_share
    apart_A, rest_A = hidden_A(cell, dt_s), REST_C * cell.capacity_Ah
    keep_surprise = physics.decay(dt_s / SURPRISE_S)
    for k in range(soc.shape[0]):
        v = cell_V[k]
        heard_V = known(v)
        v = v if heard_V else 0.0
        s22 = p22[k] + fresh[k] * model_V[k] * model_V[k] * surprise[k]
        drop_V = r0[k] * flowed[k] + rc1[k] + rc2[k]
        missed_V = v - (ocv_V[k] + half_V[k] * h[k] - resistance[k] * drop_V + bias[k])
        h0 = (above_V[k] - below_V[k]) / (above[k] - below[k])
        h1 = resistance[k] * (r0[k] + r1[k] + r2[k])
        h4 = -drop_V
        c0 = h0 * p00[k] + h1 * p01[k] + p02[k] + h4 * p04[k]
        c1 = h0 * p01[k] + h1 * p11[k] + p12[k] + h4 * p14[k]
        c2 = h0 * p02[k] + h1 * p12[k] + s22 + h4 * p24[k]
        c3 = h0 * p03[k] + h1 * p13[k] + p23[k] + h4 * p34[k]
        c4 = h0 * p04[k] + h1 * p14[k] + p24[k] + h4 * p44[k]
        believed_V2 = h0 * c0 + h1 * c1 + c2 + h4 * c4
        bend_V = below_V[k] + h0 * (soc[k] - below[k]) - ocv_V[k]
        i = flowed[k] if flowed[k] > 0.0 else -flowed[k]
        apart_V = (r0[k] + r1[k]) * (apart_A if i > rest_A else 0.0)
        brief_V2 = fast_V2 + share2 * drop_V * drop_V + apart_V * apart_V
        spread_V2 = believed_V2 + (white_V2 + repeat * brief_V2 + bend_V * bend_V) * surprise[k]
        missed_V2 = missed_V * missed_V
        ratio = missed_V2 / (believed_V2 + white_V2 + brief_V2)
        ratio = ratio if ratio < SURPRISE_MOST else SURPRISE_MOST
        now = keep_surprise * surprise[k] + (1.0 - keep_surprise) * ratio
        now = now if now > 1.0 else 1.0
        far_V2 = missed_V2 * (1.0 / (GATE * GATE))
        spread_V2 = spread_V2 if spread_V2 > far_V2 else far_V2
        gain = 1.0 / spread_V2 if heard_V else 0.0
        missed_V = missed_V if heard_V else 0.0
        surprise[k] = now if heard_V else surprise[k]
        g0, g1, g2, g3, g4 = c0 * gain, c1 * gain, c2 * gain, c3 * gain, c4 * gain
        leans_V = h0 * p0[k] + h1 * p1[k] + p2[k] + h4 * p4[k] + cell.standing_share * model_V[k]

        y = soc[k] + g0 * missed_V
        y = y if y > 0.0 else 0.0
        soc[k] = y if y < 1.0 else 1.0
        offset[k] = flush(offset[k] + g1 * missed_V)
        bias[k] = flush(bias[k] + g2 * missed_V)
        charge[k] += g3 * missed_V
        z = resistance[k] + g4 * missed_V
        z = z if z > 0.2 else 0.2
        resistance[k] = z if z < 5.0 else 5.0
        s00 = p00[k] - g0 * c0
        least = SOC_SIGMA_LEAST * SOC_SIGMA_LEAST
        p00[k] = s00 if s00 > least else least
        p01[k] = flush(p01[k] - g0 * c1)
        p02[k] = flush(p02[k] - g0 * c2)
        p03[k] = flush(p03[k] - g0 * c3)
        p04[k] = flush(p04[k] - g0 * c4)
        s11 = p11[k] - g1 * c1
        p11[k] = s11 if s11 > 1e-12 else 1e-12
        p12[k] = flush(p12[k] - g1 * c2)
        p13[k] = flush(p13[k] - g1 * c3)
        p14[k] = flush(p14[k] - g1 * c4)
        s22 = s22 - g2 * c2
        p22[k] = s22 if s22 > 1e-12 else 1e-12
        p23[k] = flush(p23[k] - g2 * c3)
        p24[k] = flush(p24[k] - g2 * c4)
        s33 = p33[k] - g3 * c3
        p33[k] = s33 if s33 > 1e-10 else 1e-10
        p34[k] = flush(p34[k] - g3 * c4)
        s44 = p44[k] - g4 * c4
        p44[k] = s44 if s44 > 1e-10 else 1e-10
        p0[k] = flush(p0[k] - g0 * leans_V)
        p1[k] = flush(p1[k] - g1 * leans_V)
        p2[k] = flush(p2[k] - g2 * leans_V)
        p3[k] = flush(p3[k] - g3 * leans_V)
        p4[k] = flush(p4[k] - g4 * leans_V)


@part
def first(pack: Pack, was: Belief, frame: Frame) -> Belief:
    """The first belief: what was said of the SOC before, weighed against the first voltage over the whole curve.

    Before anything was said the prior is flat. `soc` and its covariance in `was` hold what was said.
    """
    if not anything_heard(frame.cell_V):
        return was
    now = same(was)
    cell, sensors = pack.cell, pack.sensors
    for s in range(pack.strings):
        degC = cell_degC(frame.probe_degC[s], pack.probe_of_cell, frame.ambient_degC)
        current_A = frame.string_A[s] if known(frame.string_A[s]) else 0.0
        total, variance, heard = 0.0, 0.0, 0.0
        for k in range(pack.series):
            v = frame.cell_V[s, k]
            if known(v):
                soc, sigma = located(
                    cell, v, current_A, degC[k], was.soc[s, k], math.sqrt(was.covariance[s, SOC_ROW, k])
                )
                now.soc[s, k], now.covariance[s, SOC_ROW, k] = soc, sigma * sigma
                total, variance, heard = total + soc, variance + sigma * sigma, heard + 1.0
        for k in range(pack.series):
            if not known(frame.cell_V[s, k]) and heard > 0.0:
                now.soc[s, k], now.covariance[s, SOC_ROW, k] = total / heard, variance / heard + 0.1**2
            settle(now, s, k, cell, sensors, current_A, degC[k])
    return Belief(
        now.soc,
        now.offset_A,
        now.bias_V,
        now.charge_factor,
        now.resistance_factor,
        now.usual_factor,
        now.rc1_V,
        now.rc2_V,
        now.hysteresis,
        now.surprise,
        now.core_K,
        now.covariance,
        1.0,
    )


@part
def anything_heard(cell_V: Array) -> bool:
    """Whether any cell has a voltage."""
    heard = False
    for v in cell_V.flat:
        heard = heard or known(v)
    return heard


@part
def settle(now: Belief, s: int, k: int, cell: Cell, sensors: Sensors, current_A: float, degC: float) -> None:
    """Fill in what the first voltage does not say: hysteresis, the fast RC, and the doubt of everything but the SOC."""
    soc = now.soc[s, k]
    now.hysteresis[s, k] = 1.0 if soc > FULL_SOC else -1.0 if soc < EMPTY_SOC else 0.0
    _ocv_V, _slope, _r0, r1, r2 = physics.parameters(cell.nodes, soc, degC)
    lasting_V = physics.at_node(cell.nodes, soc, degC, MODEL_V)
    half_V = physics.at_node(cell.nodes, soc, degC, HYSTERESIS_V) if now.hysteresis[s, k] == 0.0 else 0.0
    now.rc1_V[s, k] = START_BUILT * r1 * current_A
    relaxing_V = 0.5 * (r1 + r2) * current_A
    now.covariance[s, OFFSET_ROW, k] = sensors.current_offset_A**2
    now.covariance[s, BIAS_ROW, k] = lasting_V**2 + (0.6 * half_V) ** 2 + relaxing_V**2
    now.covariance[s, CHARGE_ROW, k] = cell.capacity_sigma**2 + sensors.current_gain**2
    now.covariance[s, RESISTANCE_ROW, k] = cell.resistance_sigma**2


@part
def located(
    cell: Cell, cell_V: float, current_A: float, degC: float, said: float, said_sigma: float
) -> tuple[float, float]:
    """SOC and its sigma where a first voltage meets the curve, given what was said before; over the whole curve."""
    total, first_moment, second_moment = 0.0, 0.0, 0.0
    strange_per_V = START_STRANGE / (cell.max_V - cell.min_V)
    for point in range(START_POINTS):
        soc = point / (START_POINTS - 1.0)
        ocv_V, _slope, r0, r1, r2 = physics.parameters(cell.nodes, soc, degC)
        half_V = physics.at_node(cell.nodes, soc, degC, HYSTERESIS_V)
        side = 1.0 if soc > FULL_SOC else -1.0 if soc < EMPTY_SOC else 0.0
        expected_V = ocv_V + half_V * side - (r0 + START_BUILT * r1) * current_A
        doubt_V = 0.004 + physics.at_node(cell.nodes, soc, degC, MODEL_V) + 0.3 * (r0 + r1 + r2) * abs(current_A)
        doubt_V += 0.6 * half_V if side == 0.0 else 0.0
        off = (cell_V - expected_V) / doubt_V
        off2 = off * off if off * off < 80.0 else 80.0
        away = (soc - said) / said_sigma
        away = away if said_sigma < START_SIGMA_MOST else 0.0
        away2 = away * away if away * away < 300.0 else 300.0
        weight = (math.exp(-0.5 * off2) / doubt_V + strange_per_V) * math.exp(-0.5 * away2)
        total += weight
        first_moment += weight * soc
        second_moment += weight * soc * soc
    soc = first_moment / total
    variance = second_moment / total - soc * soc
    least = 0.004**2
    return soc, math.sqrt(variance if variance > least else least)
