"""Buses of systems whose messages are public, and what surrounds a battery and is easily taken for one.

`known` speaks as Orion BMS 2, a Tesla or our own boards do. `decoys` are the inverter's, the charger's and the
dashboard's words: power, torque, limits, the charge that is displayed, pedals between 2 and 4.5 V, warm motors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from packhorse.pack.words import Array
from synthetic_drives import TICK_S, lagged
from synthetic_writer import Place, Writer, coded, put

SYSTEMS = ("orion", "victron", "tesla", "boards")


class Said(NamedTuple):
    """A field: what it is ("" is nothing that we look for), its values by tick of the drive, and its code."""

    kind: str
    values: Array
    start: int
    bits: int = 16
    motorola: bool = False
    scale: float = 1.0
    offset: float = 0.0
    sign: float = 1.0  # -1: written with the other sign than ours
    also: bool = False  # a second place of what is told elsewhere


def tell(
    writer: Writer, identifier: int, period_s: float, said: list[Said], sum_from: int = -1, length: int = 8
) -> None:
    """A message of plain fields, with a sum in its last byte where that begins with a number."""
    time_s, tick = writer.times(period_s)
    data = np.zeros((time_s.size, length), np.uint8)
    for one in said:
        write(writer, data, identifier, one, tick, -1)
    if sum_from >= 0:
        data[:, -1] = (data[:, :-1].sum(axis=1) + sum_from) % 256
    writer.send(identifier, time_s, data)


def write(
    writer: Writer, data: NDArray[np.uint8], identifier: int, one: Said, tick: NDArray[np.int64], turn: int
) -> None:
    """One field into payloads, and its truth beside it."""
    put(data, one.start, one.bits, one.motorola, coded(one.sign * one.values[tick], one.scale, one.offset, one.bits))
    if one.kind:
        line = (one.sign * one.scale, one.sign * one.offset)
        place = Place(one.kind, identifier, one.start, one.bits, one.motorola, *line, turn)
        (writer.also if one.also else writer.truth).append(place)


def take_turns(writer: Writer, identifier: int, period_s: float, turns: list[list[Said]], first: bytes = b"") -> None:
    """A multiplexed message: the turn in byte 0, then constant bytes, then the fields of that turn."""
    time_s, tick = writer.times(period_s)
    data = np.zeros((time_s.size, 8), np.uint8)
    turn = np.arange(time_s.size) % len(turns)
    data[:, 0] = turn
    data[:, 1 : 1 + len(first)] = list(first)
    for number, said in enumerate(turns):
        rows = np.flatnonzero(turn == number)
        some = data[rows]
        for one in said:
            write(writer, some, identifier, one, tick[rows], number)
        data[rows] = some
    writer.send(identifier, time_s, data)


def known(writer: Writer, system: str) -> None:
    """All messages of a battery of one of `SYSTEMS`."""
    {"orion": orion, "victron": victron, "tesla": tesla, "boards": boards}[system](writer)


def orion(writer: Writer) -> None:
    """The default template of Orion BMS 2 and its cell broadcast."""
    told = writer.drive
    tell(
        writer,
        0x6B0,
        0.1,
        [
            Said("current", told.current_A, 7, motorola=True, scale=0.1),
            Said("pack", told.cell_V.sum(axis=0), 23, motorola=True, scale=0.1),
            Said("soc", told.soc, 32, 8, scale=0.005),
        ],
        0xB8,
    )
    tell(
        writer,
        0x6B2,
        0.1,
        [
            Said("", told.cell_V.max(axis=0), 7, motorola=True, scale=0.0001),
            Said("", told.cell_V.min(axis=0), 23, motorola=True, scale=0.0001),
            Said("", told.cell_V.argmax(axis=0).astype(np.float64), 32, 8),
            Said("", told.cell_V.argmin(axis=0).astype(np.float64), 40, 8),
        ],
        0,
    )
    broadcast(writer, open_too=True)


def broadcast(writer: Writer, *, open_too: bool) -> None:
    """Orion's cells, one at a time: voltage, resistance, and voltage without current."""
    turns = []
    for volts, open_V in zip(writer.drive.cell_V, writer.drive.open_V, strict=True):
        said = [Said("cell", volts, 15, motorola=True, scale=0.0001)]
        if open_too:
            said += [
                Said("", np.full(volts.size, 0.0011), 30, 15, motorola=True, scale=1e-5),
                Said("", open_V, 47, motorola=True, scale=0.0001),
            ]
        turns.append(said)
    take_turns(writer, 0x36, 0.008, turns)


def victron(writer: Writer) -> None:
    """The messages that Victron's inverters want: current that charges is positive."""
    told = writer.drive
    total_V = told.cell_V.sum(axis=0)
    tell(
        writer,
        0x351,
        1.0,
        [
            Said("", np.full(told.soc.size, total_V.max() * 1.05), 0, scale=0.1),
            Said("", np.full(told.soc.size, 100.0), 16, scale=0.1),
            Said("", np.round(300.0 * told.soc), 32, scale=0.1),
        ],
    )
    soc = [Said("soc", told.soc, 0, scale=0.01), Said("soc", told.soc, 32, scale=0.0001, also=True)]
    tell(writer, 0x355, 1.0, [*soc, Said("", np.full(told.soc.size, 0.97), 16, scale=0.01)], length=6)
    volts = Said("pack", total_V, 0, scale=0.01 if total_V.max() < 327.0 else 0.1)
    flow = Said("current", told.current_A, 16, scale=0.1, sign=-1.0)
    tell(writer, 0x356, 0.5, [volts, flow, Said("", told.probe_degC.max(axis=0), 32, scale=0.1)], length=6)
    broadcast(writer, open_too=False)


def tesla(writer: Writer) -> None:
    """A Tesla's pack: three cells at a time, charge of ten bits, which no number on borders of nibbles is."""
    told = writer.drive
    tell(
        writer,
        0x132,
        0.1,
        [
            Said("pack", told.cell_V.sum(axis=0), 0, scale=0.01),
            Said("current", told.current_A, 16, scale=0.1, sign=-1.0),
        ],
    )
    soc = [Said("soc", told.soc, 10, 10, scale=0.001)]
    tell(writer, 0x292, 0.5, [Said("", told.soc - 0.02, 0, 10, scale=0.001), *soc])
    groups = [told.cell_V[k : k + 3] for k in range(0, told.cell_V.shape[0], 3)]
    turns = [[Said("cell", volts, 16 * k + 16, scale=0.0001) for k, volts in enumerate(group)] for group in groups]
    take_turns(writer, 0x401, 0.02, turns, b"\x2a")


def boards(writer: Writer) -> None:
    """Our own boards, J1939: words of 16 bits that are no number from 0xFE00 on."""
    told, cells, probes = writer.drive, writer.drive.cell_V, writer.drive.probe_degC
    writer.extended = True
    for k in range(0, cells.shape[0], 4):
        said = [Said("cell", volts, 16 * n, scale=0.0001) for n, volts in enumerate(cells[k : k + 4])]
        tell(writer, 0x18FF0080 + (k // 4 << 8), 0.1, said)
    for k in range(0, probes.shape[0], 4):
        said = [Said("probe", degC, 16 * n, scale=0.03125, offset=-273.0) for n, degC in enumerate(probes[k : k + 4])]
        tell(writer, 0x18FF8080 + (k // 4 << 8), 0.1, said)
    total_V = cells.sum(axis=0)
    flow = Said("current", told.current_A, 0, scale=0.05, offset=-1600.0)
    tell(writer, 0x19FF0080, 0.1, [flow, Said("pack", total_V, 16, scale=0.025)])
    link = Said("pack", total_V - 0.2, 0, scale=0.025, also=True)
    tell(writer, 0x19FF0890, 0.1, [link, Said("", np.full(total_V.size, 2000.0), 16)])
    tell(writer, 0x18F0F3F3, 0.5, [Said("soc", told.soc, 0, 8, scale=0.004)])


def decoys(writer: Writer, motorola: bool) -> None:
    """Some of what is easily taken for a battery's words."""
    every = (inverter, energy, displayed, pedals, warm, modules, limits)
    for one in every:
        if writer.dice.random() < 0.4:
            one(writer, motorola)


def words(writer: Writer, motorola: bool, period_s: float, said: list[tuple[str, Array, float, float]]) -> None:
    """Words of 16 bits, one after the other, in a message of any identifier: kind, values, scale, offset."""
    starts = [16 * k + 7 if motorola else 16 * k for k in range(len(said))]
    fields = [
        Said(kind, values, start, 16, motorola, scale, offset, also=bool(kind))
        for start, (kind, values, scale, offset) in zip(starts, said, strict=True)
    ]
    tell(writer, writer.identifier(), period_s, fields)


def inverter(writer: Writer, motorola: bool) -> None:
    """The inverter's voltage, its power, its torque and the current of its phases."""
    told, dice = writer.drive, writer.dice
    total_V = told.cell_V.sum(axis=0)
    power_kW = total_V * told.current_A / 1000.0 + dice.normal(0.0, 0.3, told.soc.size)
    torque = power_kW / np.maximum(told.speed_km_h, 8.0) * 90.0
    phase_A = np.abs(told.current_A) * 1.3 + dice.normal(0.0, 2.0, told.soc.size)
    volts = ("pack", total_V + dice.normal(0.0, 0.05, told.soc.size), 0.1, 0.0)
    words(
        writer,
        motorola,
        0.05,
        [volts, ("", power_kW, 0.05, -500.0), ("", torque, 0.5, -2000.0), ("", phase_A, 0.1, 0.0)],
    )


def energy(writer: Writer, motorola: bool) -> None:
    """What is left in Ah and kWh, and what has flowed: they follow the integral as the SOC does."""
    told = writer.drive
    left_kWh = told.soc * told.capacity_Ah * 3.6 * told.cell_V.shape[0] / 1000.0
    flown = 1000.0 + np.cumsum(np.abs(told.current_A)) * TICK_S / 3600.0
    words(
        writer,
        motorola,
        0.5,
        [("", left_kWh, 0.01, 0.0), ("", told.soc * told.capacity_Ah, 0.01, 0.0), ("", flown, 0.1, 0.0)],
    )


def displayed(writer: Writer, motorola: bool) -> None:
    """The charge that a driver sees, 0 and 100 % where the battery has room left: no SOC, by our judge."""
    shown = np.clip((writer.drive.soc - 0.06) / 0.9, 0.0, 1.0)
    words(writer, motorola, 1.0, [("", shown, 0.001, 0.0), ("", 400.0 * shown, 1.0, 0.0)])


def pedals(writer: Writer, motorola: bool) -> None:
    """Sensors of 5 V, in millivolts, as cells are told."""
    told, dice = writer.drive, writer.dice
    raw = [2.4 + 0.01 * told.speed_km_h, 3.3 + 0.0 * told.soc, 3.1 + lagged(dice.normal(0.0, 0.2, told.soc.size), 2.0)]
    words(writer, motorola, 0.1, [("", one, 0.001, 0.0) for one in (*raw, raw[0] + 0.2)])


def warm(writer: Writer, _motorola: bool) -> None:
    """Motor, inverter, charger and outside, in bytes as probes are told."""
    told, dice = writer.drive, writer.dice
    base = [
        30.0 + lagged(np.abs(told.current_A) / told.capacity_Ah, 200.0) * 40.0 * dice.uniform(0.3, 1.0)
        for _ in range(4)
    ]
    said = [
        Said("", degC, 8 * k, 8, scale=1.0, offset=-40.0)
        for k, degC in enumerate([*base, np.full(told.soc.size, 18.0)])
    ]
    tell(writer, writer.identifier(), 1.0, said)


def modules(writer: Writer, motorola: bool) -> None:
    """Voltages of modules of eight cells."""
    cells = writer.drive.cell_V
    sums = [cells[k : k + 8].sum(axis=0) for k in range(0, cells.shape[0], 8)]
    for k in range(0, len(sums), 4):
        words(writer, motorola, 0.5, [("", one, 0.01, 0.0) for one in sums[k : k + 4]])


def limits(writer: Writer, motorola: bool) -> None:
    """What may be drawn and given, and the mean of the current."""
    told = writer.drive
    mean = lagged(told.current_A, 10.0)
    may = 3.0 * told.capacity_Ah * np.clip(told.soc * 2.0, 0.0, 1.0)
    words(
        writer,
        motorola,
        0.2,
        [("", may, 0.1, 0.0), ("", may * 0.4 * (1.2 - told.soc), 0.1, 0.0), ("", mean, 0.1, -1000.0)],
    )
