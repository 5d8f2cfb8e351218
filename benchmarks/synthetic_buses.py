"""Buses whose layout is known: a simulated drive, told by messages that dice lay out, among nodes of other kinds.

Each seed is another bus: Intel or Motorola, plain or multiplexed cells, scales, offsets, signs, periods, a system whose
messages are public, and more or less of what is easily taken for a battery. What is where comes with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from synthetic_drives import TICK_S, drive
from synthetic_known import SYSTEMS, decoys, known, limits, pedals, warm
from synthetic_writer import Bus, Place, Writer, coded, place_start, put, start_of


def bus(seed: int, seconds: float = 900.0, how: str = "drive", system: str | None = None) -> Bus:
    """A bus by its seed: `how` it is driven; of a public `system`, or ("dice") of none; dice decide by default."""
    dice = np.random.default_rng(seed)
    told = drive(dice, seconds, int(dice.choice([16, 24, 48, 96])), int(dice.choice([4, 8, 12])), how)
    writer = Writer(dice, told)
    motorola, chosen = bool(dice.random() < 0.5), str(dice.choice(["dice", "dice", "dice", "dice", *SYSTEMS]))
    if (system or chosen) == "dice":
        write_pack(writer, motorola)
        write_cells(writer, motorola)
        write_probes(writer)
    else:
        known(writer, system or chosen)
    write_others(writer, motorola)
    decoys(writer, motorola)
    return Bus(writer.frames(), tuple(writer.truth), tuple(writer.also), told)


def without_battery(seed: int, seconds: float = 900.0) -> Bus:
    """A bus of the same drive that tells nothing of the battery itself."""
    dice = np.random.default_rng(seed)
    writer = Writer(dice, drive(dice, seconds, 16, 4))
    for one in (write_others, pedals, warm, limits):
        one(writer, bool(dice.random() < 0.5))
    return Bus(writer.frames(), (), (), writer.drive)


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
