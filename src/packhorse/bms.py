"""The BMS on one page: believe, judge, allow, act.

    step(pack, state, frame) -> (state, output)

Pure: the clock is in the frame, the memory is in the state, and nothing moves until somebody obeys the command. A
live truck, its twin and its recorded life all run this function, and get the same bits.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

import numpy as np

from packhorse import control, estimation, protection
from packhorse.compiled import compiled, part
from packhorse.estimation.health import HEALTHS, USABLE
from packhorse.estimation.power import HORIZONS
from packhorse.pack.known import known
from packhorse.pack.words import (
    Array,
    Command,
    Control,
    Event,
    Frame,
    Frames,
    Output,
    Pack,
    Record,
    Severity,
    Signal,
    State,
    Watch,
)

SECONDS_PER_HOUR = 3600.0
EVENT_COLUMNS = 7
SIGNALS = len(Signal)


def start(pack: Pack) -> State:
    """A BMS that has heard nothing yet: contactors open, no fault, no belief."""
    return State(
        time_s=math.nan,
        belief=estimation.begin(pack.strings, pack.series),
        watch=protection.begin(pack.faults.signal.shape[0], pack.strings, pack.series),
        control=control.begin(pack.strings, pack.series),
        throughput=np.zeros((pack.strings, 4)),
        health=estimation.unheard(pack.strings),
    )


def silence(pack: Pack) -> Frame:
    """A frame in which nothing is heard and nothing asked."""
    strings, nan = pack.strings, math.nan
    cells, probes = np.full((strings, pack.series), nan), np.full((strings, pack.probes), nan)
    each, three = np.full(strings, nan), np.full((strings, 3), nan)
    return Frame(nan, cells, probes, each, each, three, three, nan, nan, nan, nan, nan, nan, 0.0, 0.0, 0.0)


@compiled
def step(pack: Pack, was: State, frame: Frame) -> tuple[State, Output]:
    """Take one frame in; give back what is remembered and what is asked.

    Never raises, whatever the frame holds. A clock that stands still or runs backwards counts as no time passed.
    """
    elapsed_s = frame.time_s - was.time_s
    dt_s = elapsed_s if elapsed_s > 0.0 else 0.0
    told = was.control

    belief = estimation.step(pack, was.belief, frame, told.bleed, told.contactor, dt_s)
    health = estimation.follow(pack, was.health, belief, frame, told.bleed, dt_s)
    estimate = estimation.summary(pack, belief, health, frame, told.contactor)

    signal, place = protection.judge(pack, frame, was.watch, told)
    watch, verdict = protection.step(pack, was.watch, frame, signal, dt_s)

    plan = control.sequence(pack, told, frame, verdict.reaction, dt_s)
    limits = control.limits(pack, frame, estimate, signal, verdict, told, plan, dt_s)

    bleed = control.bleed(pack, told, belief, frame, verdict)
    heat = control.regulate(pack, told, frame, signal)
    charge = control.charge(pack, told, plan, frame, estimate, signal, limits)

    contactor = control.positions(plan.stage)
    now = Control(
        plan.stage,
        plan.stage_s,
        plan.tries,
        plan.mean_square_A2,
        contactor,
        bleed,
        limits.string_A,
        heat.cooling,
        heat.heating,
        charge.done,
    )
    command = Command(
        contactor,
        bleed,
        heat.pump,
        heat.chiller,
        heat.radiator,
        heat.heater,
        charge.charge_A,
        charge.charge_V,
        plan.stage,
    )
    time_s = was.time_s if elapsed_s <= 0.0 or not known(frame.time_s) else frame.time_s
    state = State(time_s, belief, watch, now, throughput(was.throughput, frame, dt_s), health)
    return state, Output(
        estimate, signal, place, limits, command, changes(pack, was.watch, watch, frame, signal, place)
    )


@part
def throughput(was: Array, frame: Frame, dt_s: float) -> Array:
    """Charge and energy that have gone out and in, per string: Ah out, Ah in, Wh out, Wh in."""
    total = was.copy()
    hours = dt_s / SECONDS_PER_HOUR
    for s in range(was.shape[0]):
        current_A = frame.string_A[s]
        power_W = current_A * frame.string_V[s]
        if known(current_A):
            total[s, 0] += current_A * hours if current_A > 0.0 else 0.0
            total[s, 1] -= current_A * hours if current_A < 0.0 else 0.0
        if known(power_W):
            total[s, 2] += power_W * hours if power_W > 0.0 else 0.0
            total[s, 3] -= power_W * hours if power_W < 0.0 else 0.0
    return total


@part
def changes(pack: Pack, was: Watch, now: Watch, frame: Frame, signal: Array, place: Array) -> Array:
    """One row per fault that was raised or is gone: (n, 7) as in `Output.events`."""
    count = 0
    rows, strings = now.active.shape
    for row in range(rows):
        for s in range(strings):
            count += 1 if now.active[row, s] != was.active[row, s] else 0
    events = np.empty((count, EVENT_COLUMNS))
    if count == 0:
        return events
    count = 0
    for row in range(rows):
        read = pack.faults.signal[row]
        for s in range(strings):
            if now.active[row, s] != was.active[row, s]:
                events[count, 0], events[count, 1] = frame.time_s, row
                events[count, 2], events[count, 3] = pack.faults.severity[row], signal[read, s]
                events[count, 4], events[count, 5] = s, place[read, s]
                events[count, 6] = now.active[row, s]
                count += 1
    return events


def events(rows: Array) -> list[Event]:
    """Event rows of an output or a record as words."""
    return [
        Event(float(r[0]), int(r[1]), Severity(int(r[2])), float(r[3]), int(r[4]), int(r[5]), bool(r[6])) for r in rows
    ]


def run(pack: Pack, frames: Iterator[Frame], state: State | None = None) -> Iterator[tuple[Frame, State, Output]]:
    """Take frames as they come and give back each with what became of it."""
    now = start(pack) if state is None else state
    for frame in frames:
        now, output = step(pack, now, frame)
        yield frame, now, output


@compiled
def frame_at(frames: Frames, k: int) -> Frame:
    """One of many frames."""
    return Frame(
        frames.time_s[k],
        frames.cell_V[k],
        frames.probe_degC[k],
        frames.string_A[k],
        frames.string_V[k],
        frames.age_s[k],
        frames.contactor[k],
        frames.link_V[k],
        frames.isolation_ohm[k],
        frames.hvil[k],
        frames.inlet_degC[k],
        frames.outlet_degC[k],
        frames.ambient_degC[k],
        frames.drive_request[k],
        frames.charge_request[k],
        frames.reset_request[k],
    )


@part
def blank_record(times: int, strings: int) -> Record:
    """Room for what a replay keeps, without events."""
    return Record(
        np.empty(times),
        np.empty(times),
        np.empty(times),
        np.empty(times),
        np.empty(times),
        np.empty((times, strings)),
        np.empty((times, strings)),
        np.empty((times, strings)),
        np.empty((times, strings)),
        np.empty((times, SIGNALS, strings)),
        np.empty((times, SIGNALS, strings)),
        np.empty((times, 4)),
        np.empty((times, 2)),
        np.empty((times, strings)),
        np.empty((times, strings)),
        np.empty((times, 4)),
        np.empty((times, 2)),
        np.empty((times, 2, HORIZONS)),
        np.empty((times, strings, HEALTHS)),
        np.empty((times, strings, USABLE)),
        np.empty((0, EVENT_COLUMNS)),
    )


@part
def keep(record: Record, k: int, time_s: float, output: Output) -> None:
    """Write one output into row `k` of a record."""
    estimate, limits, command = output.estimate, output.limits, output.command
    record.time_s[k], record.soc[k], record.soc_sigma[k] = time_s, estimate.soc, estimate.soc_sigma
    record.energy_kWh[k], record.energy_sigma_kWh[k] = estimate.energy_kWh, estimate.energy_sigma_kWh
    record.power_W[k], record.health[k], record.health_sigma[k] = (
        estimate.power_W,
        estimate.health,
        estimate.health_sigma,
    )
    record.string_soc[k], record.string_soc_sigma[k] = estimate.string_soc, estimate.string_soc_sigma
    record.soc_min[k], record.soc_max[k] = estimate.soc_min, estimate.soc_max
    record.signal[k], record.place[k] = output.signal, output.place
    record.limit[k, 0], record.limit[k, 1] = limits.discharge_A, limits.charge_A
    record.limit[k, 2], record.limit[k, 3] = limits.discharge_W, limits.charge_W
    record.reason[k, 0], record.reason[k, 1] = limits.discharge_reason, limits.charge_reason
    record.stage[k] = command.stage
    for s in range(command.bleed.shape[0]):
        record.bleeding[k, s] = command.bleed[s].sum()
    record.thermal[k, 0], record.thermal[k, 1] = command.pump, command.chiller
    record.thermal[k, 2], record.thermal[k, 3] = command.radiator, command.heater
    record.charge[k, 0], record.charge[k, 1] = command.charge_A, command.charge_V


@compiled
def replay(pack: Pack, state: State, frames: Frames) -> tuple[State, Record]:
    """Run `step` over recorded frames at full speed; the record holds one row for each frame."""
    times = frames.time_s.shape[0]
    record = blank_record(times, pack.strings)
    found, count = np.empty((64, EVENT_COLUMNS)), 0
    for k in range(times):
        state, output = step(pack, state, frame_at(frames, k))
        keep(record, k, frames.time_s[k], output)
        new = output.events.shape[0]
        if count + new > found.shape[0]:
            wider = np.empty((2 * (count + new), EVENT_COLUMNS))
            wider[:count] = found[:count]
            found = wider
        found[count : count + new] = output.events
        count += new
    return state, with_events(record, found[:count].copy())


@part
def with_events(record: Record, rows: Array) -> Record:
    """The record with its event rows."""
    r = record
    return Record(
        r.time_s,
        r.soc,
        r.soc_sigma,
        r.energy_kWh,
        r.energy_sigma_kWh,
        r.string_soc,
        r.string_soc_sigma,
        r.soc_min,
        r.soc_max,
        r.signal,
        r.place,
        r.limit,
        r.reason,
        r.stage,
        r.bleeding,
        r.thermal,
        r.charge,
        r.power_W,
        r.health,
        r.health_sigma,
        rows,
    )


def fingerprint(*values: object) -> str:
    """Hash of every bit of the given words: equal if and only if they are the same to the last bit."""
    digest = hashlib.sha256()
    for value in values:
        _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: hashlib._Hash, value: object) -> None:
    if isinstance(value, tuple):
        for part in value:
            _feed(digest, part)
    else:
        array = np.ascontiguousarray(value, dtype=np.float64)
        digest.update(str(array.shape).encode())
        digest.update(array.tobytes())
