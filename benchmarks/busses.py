"""Busses whose layout is known: a simulated drive, told by messages that dice lay out, among nodes of other kinds.

Each seed is another bus: Intel or Motorola, plain or multiplexed cells, scales, offsets, signs, periods, names that
carry nothing. What is where comes with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.pack.load import load_cell
from packhorse.pack.words import Array
from packhorse.protocols import frames
from packhorse.protocols.frames import EXTENDED, CanFrames

CELLS = ("nmc_60", "lfp_280", "nca_50")
TICK_S = 0.1


class Drive(NamedTuple):
    """A battery on the road."""

    time_s: Array
    current_A: Array  # positive discharges
    cell_V: Array  # (cells, times)
    soc: Array
    probe_degC: Array  # (probes, times)
    speed_km_h: Array
    capacity_Ah: float


class Place(NamedTuple):
    """Where a truth lies: message, first bit, width, order; `turn` of a multiplexer or -1."""

    kind: str
    id: int
    start: int
    bits: int
    motorola: bool
    scale: float
    offset: float
    turn: int = -1


class Bus(NamedTuple):
    """What is heard, and what is true."""

    heard: CanFrames
    truth: tuple[Place, ...]
    drive: Drive


def drive(dice: np.random.Generator, seconds: float, cells: int, probes: int, rest: bool = False) -> Drive:
    """A stop-and-go drive of one string; at rest nothing flows."""
    described = load_cell(str(dice.choice(CELLS)))
    time_s = np.arange(0.0, seconds, TICK_S)
    capacity = float(described.capacity_Ah) * float(dice.choice([1, 2, 3]))
    speed, current = road(dice, time_s, capacity)
    if rest:
        speed, current = 0.0 * speed, np.full(time_s.size, 0.0)
    soc = dice.uniform(0.45, 0.9) - np.cumsum(current) * TICK_S / 3600.0 / capacity
    soc_n, ocv_n = np.array(described.ocv.soc), np.array(described.ocv.ocv_V[0])
    r0 = dice.uniform(0.06, 0.12) / capacity
    slow = lagged(current, 30.0) * 0.6 * r0
    own_soc = dice.normal(0.0, 0.006, cells)[:, None]
    own_r = dice.normal(1.0, 0.04, cells)[:, None]
    cell_V = np.interp(soc + own_soc, soc_n, ocv_n) - own_r * (r0 * current + slow)
    cell_V += dice.normal(0.0, 0.0004, cell_V.shape)
    heat = np.cumsum(r0 * current**2) * TICK_S / (capacity * 900.0)
    own_K, own_heat = dice.normal(0.0, 1.2, probes)[:, None], dice.normal(1.0, 0.1, probes)[:, None]
    degC = dice.uniform(12.0, 30.0) + own_K + heat * own_heat
    return Drive(time_s, current, cell_V, soc, degC + dice.normal(0.0, 0.05, degC.shape), speed, capacity)


def road(dice: np.random.Generator, time_s: Array, capacity_Ah: float) -> tuple[Array, Array]:
    """Speed, and the current that it takes; braking gives some back."""
    wanted = np.repeat(dice.uniform(0.0, 90.0, time_s.size // 250 + 1), 250)[: time_s.size]
    wanted[dice.random(time_s.size // 250 + 1).repeat(250)[: time_s.size] < 0.2] = 0.0
    speed = lagged(wanted, 6.0)
    pull = np.gradient(speed, TICK_S) * 0.12 + (speed / 90.0) ** 2 * 0.5 + (speed > 1.0) * 0.1
    rate = np.clip(pull + lagged(dice.normal(0.0, 0.4, time_s.size), 0.5) * (speed > 1.0), -1.0, 2.2)
    return speed, rate * capacity_Ah * 0.8 + 0.01 * capacity_Ah


def lagged(values: Array, seconds: float) -> Array:
    """Values through a first-order lag."""
    share, out, last = TICK_S / seconds, np.empty_like(values), float(values[0])
    for k, value in enumerate(values.tolist()):
        last += share * (value - last)
        out[k] = last
    return out


class Writer:
    """Messages being laid out."""

    def __init__(self, dice: np.random.Generator, drive_: Drive) -> None:
        self.dice, self.drive = dice, drive_
        self.ids: set[int] = set()
        self.parts: list[tuple[Array, int, NDArray[np.uint8]]] = []
        self.truth: list[Place] = []
        self.extended = bool(dice.random() < 0.4)

    def identifier(self) -> int:
        """An identifier that nobody has yet."""
        while True:
            one = int(self.dice.integers(0x100, 0x7F0))
            if self.extended:
                one = 0x18FF0000 | int(self.dice.integers(0, 256)) << 8 | int(self.dice.choice([0x21, 0xF3, 0x4A]))
            if one not in self.ids:
                self.ids.add(one)
                return one

    def times(self, period_s: float) -> tuple[Array, NDArray[np.int64]]:
        """When a message is sent, and the tick of the drive that it tells of."""
        end = float(self.drive.time_s[-1])
        time_s = np.arange(self.dice.uniform(0.0, period_s), end, period_s)
        time_s = np.clip(time_s + self.dice.normal(0.0, 0.02 * period_s, time_s.size), 0.0, end)
        return time_s, np.minimum((time_s / TICK_S).astype(np.int64), self.drive.time_s.size - 1)

    def send(self, identifier: int, time_s: Array, data: NDArray[np.uint8]) -> None:
        """Put a message on the bus."""
        self.parts.append((time_s, identifier, data))

    def frames(self) -> CanFrames:
        """Everything in order of time."""
        time_s = np.concatenate([part[0] for part in self.parts])
        ids = np.concatenate([np.full(part[0].size, part[1], np.uint32) for part in self.parts])
        data = np.concatenate([part[2] for part in self.parts])
        order = np.argsort(time_s, kind="stable")
        flags = EXTENDED if self.extended else 0
        return frames.from_rows(1.7e9 + time_s[order], ids[order], data[order], flags=flags)


def put(data: NDArray[np.uint8], start: int, bits: int, motorola: bool, raw: Array) -> None:
    """Write numbers into payloads, bit by bit; `start` as in a DBC."""
    whole = raw.astype(np.int64)
    at = start
    for k in range(bits):
        bit = k if not motorola else bits - 1 - k
        data[:, at // 8] |= ((whole >> bit & 1) << (at % 8)).astype(np.uint8)
        at = at + 1 if not motorola else (at - 1 if at % 8 else at + 15)


def coded(value: Array, scale: float, offset: float, bits: int) -> Array:
    """Values as raw bits; negative ones by two's complement."""
    raw = np.rint((value - offset) / scale)
    return np.clip(raw, -(2 ** (bits - 1)), 2**bits - 1) % 2**bits


def bus(seed: int, seconds: float = 900.0, rest: bool = False) -> Bus:
    """A bus by its seed."""
    dice = np.random.default_rng(seed)
    told = drive(dice, seconds, int(dice.choice([16, 24, 48, 96])), int(dice.choice([4, 8, 12])), rest)
    writer = Writer(dice, told)
    motorola = bool(dice.random() < 0.5)
    write_pack(writer, motorola)
    write_cells(writer, motorola)
    write_probes(writer)
    write_others(writer, motorola)
    return Bus(writer.frames(), tuple(writer.truth), told)


def write_pack(writer: Writer, motorola: bool) -> None:
    """Voltage, current and SOC, together or apart, perhaps with a counter and a checksum."""
    dice, told = writer.dice, writer.drive
    total_V = told.cell_V.sum(axis=0)
    sign = float(dice.choice([-1.0, 1.0]))
    a_code = [(0.1, 0.0), (0.05, -1600.0), (0.1, -3000.0), (0.1, -1000.0), (0.02, -640.0)][int(dice.integers(5))]
    v_scale = float(dice.choice([0.1, 0.05, 0.01 if total_V.max() < 600 else 0.1, 0.5 if total_V.max() > 200 else 0.1]))
    soc_bits, soc_scale = [(8, 0.01), (8, 0.005), (16, 0.0001), (16, 0.001), (8, 0.004)][int(dice.integers(5))]
    time_s, tick = writer.times(float(dice.choice([0.05, 0.1])))
    data, one = np.zeros((time_s.size, 8), np.uint8), writer.identifier()
    first, second, third = (int(byte) for byte in dice.permutation([0, 2, 4]))
    current = sign * told.current_A[tick] + dice.normal(0.0, 0.002 * told.capacity_Ah, tick.size)
    for kind, byte, values, code, line in (
        ("pack", first, total_V[tick], (v_scale, 0.0), (v_scale, 0.0)),
        ("current", second, current, a_code, (sign * a_code[0], sign * a_code[1])),
    ):
        writer.truth.append(Place(kind, one, place_start(byte, motorola), 16, motorola, *line))
        put(data, place_start(byte, motorola), 16, motorola, coded(values, *code, 16))
    soc_motorola, apart = motorola and soc_bits > 8, bool(dice.random() < 0.5)
    if apart:
        finish(writer, data)
        writer.send(one, time_s, data)
        time_s, tick = writer.times(0.5)
        data, one, third = np.zeros((time_s.size, 8), np.uint8), writer.identifier(), int(dice.integers(0, 6))
    start = place_start(third, soc_motorola)
    writer.truth.append(Place("soc", one, start, soc_bits, soc_motorola, soc_scale, 0.0))
    put(data, start, soc_bits, soc_motorola, coded(told.soc[tick], soc_scale, 0.0, soc_bits))
    if not apart:
        finish(writer, data)
    writer.send(one, time_s, data)


def finish(writer: Writer, data: NDArray[np.uint8]) -> None:
    """A counter in byte 6 and a checksum in byte 7, sometimes."""
    if writer.dice.random() < 0.6:
        data[:, 6] |= (np.arange(data.shape[0]) % 16).astype(np.uint8)
        if writer.dice.random() < 0.5:
            data[:, 7] = np.bitwise_xor.reduce(data[:, :7], axis=1) ^ 0x5A
        else:
            data[:, 7] = (data[:, :7].sum(axis=1) + 0x36) % 256


def write_cells(writer: Writer, motorola: bool) -> None:
    """Cell voltages, four to a message, or by a multiplexer three or one at a time; sometimes 12 bits each."""
    dice, told = writer.dice, writer.drive
    count = told.cell_V.shape[0]
    kind = ("plain", "three", "one", "twelve")[int(dice.integers(4))]
    scale = 0.002 if kind == "twelve" else float(dice.choice([0.001, 0.0001]))
    bits, per = (12, 5) if kind == "twelve" else (16, {"plain": 4, "three": 3, "one": 1}[kind])
    if kind in ("plain", "twelve"):
        for first in range(0, count, per):
            time_s, tick = writer.times(0.5 if count > 24 else 0.2)
            data, one = np.zeros((time_s.size, 8), np.uint8), writer.identifier()
            for k, cell in enumerate(range(first, min(first + per, count))):
                start = start_of(k * bits, motorola)
                writer.truth.append(Place("cell", one, start, bits, motorola, scale, 0.0))
                put(data, start, bits, motorola, coded(told.cell_V[cell, tick], scale, 0.0, bits))
            writer.send(one, time_s, data)
    else:
        turns = -(-count // per)
        time_s, tick = writer.times(max(0.01, 1.0 / turns))
        data, one = np.zeros((time_s.size, 8), np.uint8), writer.identifier()
        turn = np.arange(time_s.size) % turns
        data[:, 0] = turn
        for k in range(per):
            start = place_start(1 + 2 * k, motorola) if per == 1 else place_start(2 + 2 * k, motorola)
            cell = np.minimum(turn * per + k, count - 1)
            put(data, start, 16, motorola, coded(told.cell_V[cell, tick], scale, 0.0, 16))
            told_of = [t for t in range(turns) if t * per + k < count]
            writer.truth += [Place("cell", one, start, 16, motorola, scale, 0.0, t) for t in told_of]
        writer.send(one, time_s, data)
    write_extremes(writer, motorola)


def start_of(bit: int, motorola: bool) -> int:
    """The start of a number that begins so many bits into a message."""
    byte, inside = divmod(bit, 8)
    return 8 * byte + 7 - inside if motorola else bit


def place_start(byte: int, motorola: bool) -> int:
    """The start of a number that begins in a byte."""
    return start_of(8 * byte, motorola)


def write_extremes(writer: Writer, motorola: bool) -> None:
    """Highest and lowest cell, as most busses have them."""
    if writer.dice.random() < 0.7:
        time_s, tick = writer.times(0.2)
        data, one = np.zeros((time_s.size, 8), np.uint8), writer.identifier()
        told = (writer.drive.cell_V.max(axis=0), writer.drive.cell_V.min(axis=0))
        for k, volts in enumerate(told):
            put(data, place_start(2 * k, motorola), 16, motorola, coded(volts[tick], 0.001, 0.0, 16))
        data[:, 6] = writer.drive.cell_V.argmax(axis=0)[tick]
        writer.send(one, time_s, data)


def write_probes(writer: Writer) -> None:
    """Temperatures of a byte each."""
    offset = float(writer.dice.choice([-40.0, -50.0, 0.0]))
    for first in range(0, writer.drive.probe_degC.shape[0], 8):
        time_s, tick = writer.times(1.0)
        data, one = np.zeros((time_s.size, 8), np.uint8), writer.identifier()
        for k, probe in enumerate(range(first, min(first + 8, writer.drive.probe_degC.shape[0]))):
            writer.truth.append(Place("probe", one, 8 * k, 8, False, 1.0, offset))
            put(data, 8 * k, 8, False, coded(writer.drive.probe_degC[probe, tick], 1.0, offset, 8))
        writer.send(one, time_s, data)


def write_others(writer: Writer, motorola: bool) -> None:
    """An engine of a kind, wheels, an odometer, noise, constants, clocks."""
    dice, told = writer.dice, writer.drive
    time_s, tick = writer.times(0.02)
    data = np.zeros((time_s.size, 8), np.uint8)
    torque = np.gradient(told.speed_km_h, TICK_S)[tick] * 20.0 + dice.normal(0.0, 8.0, tick.size)
    put(data, place_start(0, motorola), 16, motorola, coded(told.speed_km_h[tick] * 60.0, 0.125, 0.0, 16))
    put(data, place_start(2, motorola), 16, motorola, coded(torque, 0.5, -2000.0, 16))
    finish(writer, data)
    writer.send(writer.identifier(), time_s, data)
    time_s, tick = writer.times(0.1)
    data = np.zeros((time_s.size, 8), np.uint8)
    put(data, place_start(0, motorola), 16, motorola, coded(told.speed_km_h[tick], 1 / 256, 0.0, 16))
    put(
        data,
        place_start(2, motorola),
        32,
        motorola,
        coded(np.cumsum(told.speed_km_h)[tick] * TICK_S / 3.6, 0.1, -1e6, 32),
    )
    writer.send(writer.identifier(), time_s, data)
    for _ in range(int(dice.integers(3, 9))):
        time_s, tick = writer.times(float(dice.choice([0.02, 0.1, 0.5])))
        data = np.zeros((time_s.size, 8), np.uint8)
        data[:] = dice.integers(0, 256, 8)
        noisy = dice.permutation(8)[: int(dice.integers(1, 5))]
        data[:, noisy] = dice.integers(0, 256, (time_s.size, noisy.size))
        byte = int(dice.integers(0, 6))
        data[:, byte : byte + 2] = 0
        walk = np.clip(30_000 + np.cumsum(dice.normal(0.0, 30.0, time_s.size)), 0, 65_535)
        put(data, place_start(byte, motorola), 16, motorola, walk)
        finish(writer, data)
        writer.send(writer.identifier(), time_s, data)
