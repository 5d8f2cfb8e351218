"""`packhorse run --bus`: our battery on a bus, live, with a simulated truck of another process or with a real one."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from packhorse import bms
from packhorse.app import battery_node, bus_watch, compiling, lockstep
from packhorse.app.battery_node import Battery, Wiring
from packhorse.app.bus_watch import BusWatch
from packhorse.app.course import Course, Wall, complete, tell
from packhorse.app.lockstep import Lockstep, Turn
from packhorse.app.pace import stop_asked
from packhorse.app.world import LEAST_TICK_S, MOST_TICK_S, Around, Tick, refused
from packhorse.io.bus_recording import BusRecording, bus_recording
from packhorse.io.buses import Heard, Lasting, open_bus
from packhorse.io.buses.bus import MOST_FRAMES
from packhorse.io.buses.opening import is_simulated
from packhorse.io.can_logs.write import PARQUET, ending
from packhorse.io.errors import BusError
from packhorse.io.state import load_state
from packhorse.pack.compile import compile_pack
from packhorse.pack.load import ConfigurationError, find, load_pack_file, read
from packhorse.pack.words import State
from packhorse.protocols import boards
from packhorse.protocols.j1939.identifier import CanFrame
from packhorse.protocols.j1939.settings import NodeFile, compile_node
from packhorse.protocols.j1939.settings import Settings as NodeSettings

SIMULATED_NODE = {"name": {"identity": 1, "manufacturer": 0}, "positive_current": "discharges", "limits": "magnitudes"}
"""The node where no real truck can be on the bus and no node file is given."""
MOST_CALLS = 4
"""So often a bus is asked for more in one tick."""
WAKING_S = 10.0
"""So long boards may need to say their first readings; a truck that has just been switched on is not a broken one."""


class Settings(NamedTuple):
    """What `packhorse run --bus` was asked for."""

    bus: str
    pack: str | None
    node: str | None
    real_time: bool
    seconds: float | None
    tick_s: float
    as_json: bool
    record: Path | None
    state: Path | None


class Linked(NamedTuple):
    """What the ticks of a battery on a bus need."""

    bus: Lasting
    wiring: Wiring
    tick_s: float
    period_s: float  # of the boards
    stop: Callable[[], bool]
    say: Callable[[str], None]
    wall: Wall
    tape: BusRecording | None


def run(
    settings: Settings,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    console: Console | None = None,
) -> None:
    """Run until the time is over, the simulated truck has ended, or somebody asks to end; then say what it was.

    Raises `packhorse.io.errors.Error` or `packhorse.pack.load.ConfigurationError`, each with one line for the user.
    """
    frames_heard, log = asked_of(settings.record)
    name, wiring, state = prepared(settings)
    stepped = is_simulated(settings.bus) and not settings.real_time
    with compiling.notice((compiling.STEP,), compiling.REPLAY_S):
        bms.step(wiring.pack, bms.start(wiring.pack), bms.silence(wiring.pack))
    course = Course(
        f"{name} on {settings.bus}",
        wiring.pack,
        0.0 if stepped else 1.0,
        settings.seconds,
        settings.tick_s,
        settings.as_json,
        frames_heard,
        settings.state,
    )
    wall, recording = Wall(clock, sleep), nullcontext() if log is None else bus_recording(log)
    with stop_asked() as stop, closing(Lasting(settings.bus, lambda: open_bus(settings.bus, clock), clock)) as bus:
        with recording as tape:
            period_s = settings.tick_s if stepped else boards.table()["period_s"]
            lived = Lived(Linked(bus, wiring, settings.tick_s, period_s, stop, speaker(console), wall, tape), state)
            ended = complete(course, lived.stepped() if stepped else lived.free(), wall, stop, console)
        lived.say_of_tape()
        if ended.last is None:
            raise BusError(f"{settings.bus}: ended before a truck was heard; start one with 'packhorse twin --bus ...'")
        tell(course, ended, bus_watch.facts(bus, lived.battery, tape))


def asked_of(record: Path | None) -> tuple[Path | None, Path | None]:
    """The file for what the BMS hears, and the one for the bus, by the ending. Raises WriteError for any other."""
    if record is None or ending(record) == PARQUET:
        return record, None
    return None, record


def prepared(settings: Settings) -> tuple[str, Wiring, State]:
    """Name of the pack, wiring and memory. Raises ConfigurationError or an `io` error."""
    if settings.pack is None:
        raise ConfigurationError("run --bus: which pack? name one of the catalogue or a file, e.g. --pack heavy")
    if not LEAST_TICK_S <= settings.tick_s <= MOST_TICK_S:
        raise ConfigurationError(f"--tick is {settings.tick_s:g}; give {LEAST_TICK_S:g} to {MOST_TICK_S:g}")
    pack_file, cell_file = load_pack_file(settings.pack)
    with refused():
        pack = compile_pack(pack_file, cell_file)
        wiring = battery_node.wired(pack, node_settings(settings))
    known = settings.state is not None and settings.state.exists()
    state = load_state(settings.state, pack) if known and settings.state is not None else bms.start(pack)
    return pack_file.name, wiring, state


def node_settings(settings: Settings) -> NodeSettings:
    """The node that we are. Raises ConfigurationError."""
    if settings.node is not None:
        return compile_node(read(find("nodes", settings.node), NodeFile))
    if not is_simulated(settings.bus):
        raise ConfigurationError(f"run --bus {settings.bus}: a real bus needs a node file: --node FILE (docs/j1939.md)")
    return compile_node(NodeFile.model_validate(SIMULATED_NODE))


def speaker(console: Console | None) -> Callable[[str], None]:
    """Prints lines on stderr, or nothing where a live view shows them."""
    if console is not None:
        return lambda line: console.print(line, markup=False, highlight=False, soft_wrap=True)
    if sys.stdout.isatty():
        return lambda _line: None
    return lambda line: print(line, file=sys.stderr, flush=True)


def drained(bus: Lasting) -> list[Heard]:
    """All that has arrived, and of a flood as much as can be taken in."""
    frames: list[Heard] = []
    for _ in range(MOST_CALLS):
        found = bus.heard()
        frames += found
        if len(found) < MOST_FRAMES:
            break
    return frames


class Lived:
    """The ticks of a battery on a bus, and what has become of it."""

    def __init__(self, linked: Linked, state: State) -> None:
        self._linked, self._state = linked, state
        self._distance_m = 0.0
        self._ahead_s = 0.0  # of the time of day before the clock on the wall
        self.battery: Battery = battery_node.wake(linked.wiring, state, 0.0)[0]
        self._watch = BusWatch(linked.wiring, linked.bus, linked.period_s, linked.say)

    def stepped(self) -> Iterator[Tick]:
        """In step with a simulated truck, for as long as it lives."""
        link, offset_s, was_s, awake = self._linked, 0.0, math.nan, False
        with_truck = Lockstep(link.bus, self.battery.node.claim.address, link.stop, link.say)
        while (turn := with_truck.next()) is not None and not lockstep.is_end(turn):
            time_s = turn.time_s + offset_s
            floor_s = was_s if awake else self._state.time_s
            if time_s <= floor_s:  # a truck that has begun again; our time does not run back
                offset_s += floor_s + link.tick_s - time_s
                time_s = floor_s + link.tick_s
                link.say("bus: the truck's clock ran back: it has begun again")
            said: tuple[CanFrame, ...] = ()
            if not awake:
                self.battery, said = battery_node.wake(link.wiring, self._state, time_s)
                awake = True
            was_s = time_s
            self._record(time_s, turn.frames)
            self.battery, answers = battery_node.hear(link.wiring, self.battery, time_s, turn.frames)
            if turn.number == 0:
                self.battery, more = battery_node.claiming(self.battery, time_s)
                self._answer(with_truck, turn, time_s, [*said, *answers, *more])
                continue
            tick, frames = self._tick(time_s)
            self._answer(with_truck, turn, time_s, [*said, *answers, *frames])
            yield tick

    def _answer(self, with_truck: Lockstep, turn: Turn, time_s: float, frames: list[CanFrame]) -> None:
        with_truck.answer(turn, Turn(turn.number, turn.time_s, frames))
        self._record(time_s, frames, sent=True)

    def _record(self, time_s: float, frames: Sequence[CanFrame], *, sent: bool = False) -> None:
        if self._linked.tape is not None:
            self._linked.tape.take(time_s, frames, sent=sent)

    def free(self) -> Iterator[Tick]:
        """By the clock on the wall; whoever takes the ticks waits between them."""
        link = self._linked
        start_s = self._state.time_s if math.isfinite(self._state.time_s) else 0.0
        offset_s = start_s - link.wall.clock()
        self._ahead_s = time.time() - link.wall.clock()
        self.battery, said = battery_node.wake(link.wiring, self._state, start_s)
        self._send(said)
        while not link.stop():
            time_s = link.wall.clock() + offset_s
            heard = drained(link.bus)
            if link.tape is not None:
                link.tape.heard(heard, self._ahead_s)
            frames = [one.frame for one in heard if one.extended]
            self.battery, answers = battery_node.hear(link.wiring, self.battery, time_s, frames)
            if time_s < start_s + WAKING_S and not battery_node.is_awake(link.wiring, self.battery):
                self.battery, more = battery_node.claiming(self.battery, time_s)
                self._send([*answers, *more])
                link.wall.sleep(link.tick_s)
                continue
            tick, spoken = self._tick(time_s)
            self._send([*answers, *spoken])
            yield tick

    def _send(self, frames: Sequence[CanFrame]) -> None:
        """By the clock on the wall."""
        self._linked.bus.send(frames)
        self._record(self._linked.wall.clock() + self._ahead_s, frames, sent=True)

    def say_of_tape(self) -> None:
        """What went wrong with the recording, for people; the BMS goes on."""
        tape = self._linked.tape
        while tape is not None and tape.lines:
            self._linked.say(tape.lines.popleft())

    def _tick(self, time_s: float) -> tuple[Tick, tuple[CanFrame, ...]]:
        link = self._linked
        began_s = time.perf_counter()
        self.battery, moment, frames = battery_node.live(link.wiring, self.battery, time_s)
        bms_s = time.perf_counter() - began_s
        self._watch.look(self.battery, time_s)
        self.say_of_tape()
        known = battery_node.around(link.wiring, self.battery, time_s)
        if not math.isnan(known.speed_m_per_s):
            self._distance_m += known.speed_m_per_s * link.tick_s
        grade = math.tan(math.radians(known.pitch_deg))
        plugged = moment.frame.charge_request > 0.0
        around = Around(known.speed_m_per_s, self._distance_m, grade, plugged, math.nan)
        return Tick(moment.frame, moment.state, moment.output, around, bms_s, self._watch.note), frames
