"""What our battery costs as a node: hear the boards, step, command, speak J1939, at 100 ms. A figure of `bus.py`."""

from __future__ import annotations

import math
import time
from contextlib import closing
from typing import NamedTuple

import numpy as np

from packhorse import bms
from packhorse.app import battery_node
from packhorse.app.on_bus import SIMULATED_NODE
from packhorse.io.buses import open_bus
from packhorse.pack.compile import compile_pack
from packhorse.pack.load import load_pack_file
from packhorse.protocols import boards
from packhorse.protocols.j1939.hvess import encode, system_layouts
from packhorse.protocols.j1939.identifier import GLOBAL, CanFrame, Message, single
from packhorse.protocols.j1939.settings import NodeFile, compile_node

STRINGS, SERIES, TICK_S = 3, 192, 0.1
TICKS, ROUNDS = 100, 5


class Figure(NamedTuple):
    """The cost of a tick, and of its parts, in seconds of one core; the best of several rounds."""

    hear_s: float
    live_s: float
    bus_s: float
    frames_in: float  # of a tick
    frames_out: float

    @property
    def share(self) -> float:
        """Of a core, at 100 ms."""
        return (self.hear_s + self.live_s + self.bus_s) / TICK_S


def node_cost(strings: int = STRINGS, series: int = SERIES) -> Figure:
    """The battery on a loopback bus, heard and answered for ten seconds of readings that change."""
    pack_file, cell_file = load_pack_file("heavy")
    pack = compile_pack(pack_file.model_copy(update={"strings": strings, "series": series}), cell_file)
    wiring = battery_node.wired(pack, compile_node(NodeFile.model_validate(SIMULATED_NODE)))
    said = [spoken(wiring, k * TICK_S) for k in range(TICKS)]
    bms.step(pack, bms.start(pack), bms.silence(pack))
    return min((measured(wiring, said) for _ in range(ROUNDS)), key=lambda figure: figure.share)


def measured(wiring: battery_node.Wiring, said: list[list[CanFrame]]) -> Figure:
    """One round over everything that the truck says."""
    hear_s = live_s = bus_s = 0.0
    frames_in = frames_out = 0
    battery, _ = battery_node.wake(wiring, bms.start(wiring.pack), -1.0)
    with closing(open_bus("loopback:45600")) as bus, closing(open_bus("loopback:45600")) as truck:
        for k, frames in enumerate(said):
            time_s = k * TICK_S
            truck.send(frames)
            began_s = time.process_time()
            heard = [one.frame for one in bus.heard(1.0)]
            mark_s = time.process_time()
            battery, answers = battery_node.hear(wiring, battery, time_s, heard)
            heard_s = time.process_time()
            battery, _, spoken_back = battery_node.live(wiring, battery, time_s)
            lived_s = time.process_time()
            bus.send([*answers, *spoken_back])
            bus_s += mark_s - began_s + time.process_time() - lived_s
            hear_s, live_s = hear_s + heard_s - mark_s, live_s + lived_s - heard_s
            frames_in, frames_out = frames_in + len(heard), frames_out + len(spoken_back)
            truck.heard()
    n = len(said)
    return Figure(hear_s / n, live_s / n, bus_s / n, frames_in / n, frames_out / n)


def spoken(wiring: battery_node.Wiring, time_s: float) -> list[CanFrame]:
    """What the boards and the vehicle say at a moment on the road."""
    pack, wave = wiring.pack, math.sin(time_s)
    cell_V = 3.3 + 0.02 * wave + 1e-3 * np.arange(float(pack.series)) / pack.series * np.ones((pack.strings, 1))
    three = np.zeros((pack.strings, 3))
    frame = bms.silence(pack)._replace(
        time_s=time_s,
        cell_V=cell_V,
        probe_degC=np.full((pack.strings, pack.probes), 24.5 + wave),
        string_A=np.full(pack.strings, 100.0 * wave),
        string_V=cell_V.sum(axis=1),
        age_s=three,
        contactor=three,
        link_V=cell_V[0].sum(),
        isolation_ohm=2e6,
        hvil=1.0,
        inlet_degC=20.0,
        outlet_degC=21.0,
    )
    told = (("HVESSC1", {"connect_command": 1.0}), ("CCVS1", {"speed_m_per_s": 20.0}), ("AMB", {"ambient_degC": 20.0}))
    vehicle = [single(Message(system_layouts()[m].pgn, 39, GLOBAL, encode(system_layouts()[m], v))) for m, v in told]
    return [*boards.framed(wiring.readings, boards.coded(wiring.readings, boards.said_of(frame)), 0), *vehicle]
