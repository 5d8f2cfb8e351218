"""Figures of the bus, each a ratio measured side by side in one run: `python benchmarks/bus.py [--json | --write]`.

One log of a million frames, made here: 32 J1939 messages with signals of 2 to 32 bits, and bytes that wander as
readings do. What is faster is first found to say the same. Single thread, candidates in turn, medians of the time that
the processor spent. Beside them the live decoding of a few frames, and all that our battery does as a node.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import can
import cantools
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from figures import REPEATS, figure, in_turn, main
from node import ROUNDS, SERIES, STRINGS, node_cost
from packhorse.io.can_logs import open_can_log
from packhorse.io.can_logs.write import writer
from packhorse.protocols import dbc, decoding, frames
from packhorse.protocols.frames import CanFrames
from packhorse.protocols.plan import Plan

MESSAGES, BLOCK_FRAMES = 32, 32_768
WIDTHS = (2, 2, 4, 8, 8, 16, 16, 24, 32)
LIVE_FRAMES, LIVE_CALLS = 64, 20_000


class Size(NamedTuple):
    """How much is measured."""

    frames: int = 1_000_000
    sample: int = 20_000
    text: int = 200_000
    calls: int = LIVE_CALLS
    strings: int = STRINGS
    series: int = SERIES


class Case(NamedTuple):
    """A bus, its description for each of us, and what was heard on it."""

    text: str
    plan: Plan
    judge: Any
    heard: CanFrames


def case_of(size: Size) -> Case:
    """A million frames of 32 messages, seeded."""
    dice = np.random.default_rng(7)
    lines = ['VERSION ""', "NS_ :", "BS_:", "BU_: N"]
    ids = []
    for number in range(MESSAGES):
        ids.append(0x18F000FE + ((37 * number) << 8))
        lines.append(f"BO_ {0x80000000 | ids[-1]} M{number}: 8 N")
        at = 0
        for signal in range(9):
            bits = int(dice.choice(WIDTHS))
            if at + bits <= 64:
                lines.append(f' SG_ s{signal} : {at}|{bits}@1+ (0.05,-16) [0|0] "" N')
                at += bits
    text = "\n".join(lines) + "\n"
    which = dice.integers(0, MESSAGES, size.frames)
    payload = wandering(dice, which)
    heard = frames.from_rows(1.7e9 + 2e-4 * np.arange(size.frames), np.array(ids, np.uint32)[which], payload)
    return Case(text, dbc.load(text, "bench"), cantools.database.load_string(text, "dbc"), heard)


def wandering(dice: np.random.Generator, which: np.ndarray) -> np.ndarray:
    """Payloads (frames, 8): every byte of a message stands for a while, then goes one up or down."""
    payload = np.empty((which.size, 8), dtype=np.uint8)
    for message in range(MESSAGES):
        mine = np.flatnonzero(which == message)
        steps = dice.choice([-1, 0, 0, 0, 0, 0, 0, 1], (mine.size, 8))
        payload[mine] = (dice.integers(0, 250, 8) + np.cumsum(steps, axis=0)) % 250
    return payload


def by_plan(case: Case) -> None:
    """Every frame decoded, block by block, as they come from a reader; copying them out counts as ours."""
    for begin in range(0, case.heard.id.size, BLOCK_FRAMES):
        decoding.decode(case.plan, frames.take(case.heard, slice(begin, begin + BLOCK_FRAMES)))


def decode(case: Case, size: Size) -> dict[str, Any]:
    """Our decoding against that of cantools, per frame."""
    some = frames.take(case.heard, slice(0, size.sample))
    payloads = [(int(some.id[k]), frames.payload(some, k)) for k in range(size.sample)]
    must_agree(case, some, payloads)

    def by_cantools() -> None:
        for identifier, payload in payloads:
            case.judge.decode_message(identifier, payload, decode_choices=False)

    ours_s, theirs_s = in_turn(lambda: by_plan(case), by_cantools, clock=time.process_time)
    ours, theirs = case.heard.id.size / ours_s, size.sample / theirs_s
    rates = f"{ours / 1e6:.1f} against {theirs / 1e6:.3f} million frames/s"
    note = f"{rates}; {len(case.plan.signals)} signals, {REPEATS} turns"
    what = "decoding, times faster than cantools"
    return {"decode_over_cantools": figure(what, ours / theirs, "", 150.0, note, at_least=True)}


def must_agree(case: Case, some: CanFrames, payloads: list[tuple[int, bytes]]) -> None:
    """Find that both decoders say the same of the sample."""
    decoded = decoding.decode(case.plan, some)
    found = {name: dict(zip(c.frame.tolist(), c.values.tolist(), strict=True)) for name, c in columns(case, decoded)}
    for k, (identifier, payload) in enumerate(payloads[:2000]):
        message = case.judge.get_message_by_frame_id(identifier)
        for name, value in message.decode(payload, decode_choices=False).items():
            ours = found[f"{message.name}.{name}"][k]
            if not (np.isnan(ours) or abs(ours - float(value)) < 1e-9 * (1.0 + abs(ours))):
                raise ValueError(f"{message.name}.{name} is {ours} here and {value} in cantools; find out who is right")


def columns(case: Case, decoded: decoding.Decoded) -> list[tuple[str, decoding.Column]]:
    """Every signal by name."""
    return [(name, decoding.column(case.plan, decoded, name)) for name in case.plan.signals]


def extraction(case: Case, folder: Path) -> dict[str, Any]:
    """Our decoding against asammdf's extraction from an MF4 that is open."""
    what = "decoding, times faster than asammdf's bus extraction"
    if importlib.util.find_spec("asammdf") is None:
        return {"decode_over_asammdf": figure(what, None, "", 25.0, "asammdf is not installed", at_least=True)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from asammdf import MDF  # noqa: PLC0415

        (folder / "bench.dbc").write_text(case.text)
        mdf = MDF(measurement(case, folder / "bench.mf4"))

        def by_asammdf() -> None:
            mdf.extract_bus_logging({"CAN": [(str(folder / "bench.dbc"), 0)]})

        ours_s, theirs_s = in_turn(lambda: by_plan(case), by_asammdf, clock=time.process_time)
        mdf.close()
    n = case.heard.id.size / 1e6
    note = f"{n / ours_s:.1f} against {n / theirs_s:.2f} million frames/s; {REPEATS} turns"
    return {"decode_over_asammdf": figure(what, theirs_s / ours_s, "", 25.0, note, at_least=True)}


def measurement(case: Case, path: Path) -> Path:
    """The frames as an MF4 with bus logging, as loggers write it."""
    from asammdf import MDF, Signal, Source  # noqa: PLC0415

    fields = [("BusChannel", "<u1"), ("ID", "<u4"), ("IDE", "<u1"), ("DLC", "<u1"), ("DataLength", "<u1")]
    dtype = np.dtype(
        [(f"CAN_DataFrame.{name}", kind) for name, kind in fields] + [("CAN_DataFrame.DataBytes", "u1", 8)]
    )
    samples = np.zeros(case.heard.id.size, dtype=dtype)
    samples["CAN_DataFrame.BusChannel"], samples["CAN_DataFrame.ID"] = 1, case.heard.id
    samples["CAN_DataFrame.IDE"], samples["CAN_DataFrame.DLC"], samples["CAN_DataFrame.DataLength"] = 1, 8, 8
    samples["CAN_DataFrame.DataBytes"] = frames.rows(case.heard, 8)
    source = Source("CAN", "CAN", "", source_type=2, bus_type=2)
    mdf = MDF(version="4.10")
    mdf.append(
        Signal(samples, case.heard.time_s - case.heard.time_s[0], name="CAN_DataFrame", source=source),
        acq_name="CAN",
        acq_source=source,
    )
    mdf.save(path, overwrite=True)
    mdf.close()
    return path


def reading(case: Case, size: Size, folder: Path) -> dict[str, Any]:
    """Our readers against those of python-can, per frame."""
    found = {}
    some = frames.take(case.heard, slice(0, size.text))
    for ending, reader, bar in (
        ("blf", can.BLFReader, 25.0),
        ("asc", can.ASCReader, None),
        ("log", can.CanutilsLogReader, None),
        ("csv", can.CSVReader, None),
    ):
        path, count = folder / f"bench.{ending}", case.heard.id.size if ending == "blf" else size.text
        put_log(path, case.heard if ending == "blf" else some)
        ours_s, theirs_s = in_turn(
            lambda p=path: read_ours(p),
            lambda p=path, r=reader: read_theirs(p, r, size.sample),
            clock=time.process_time,
        )
        ours, theirs = count / ours_s, size.sample / theirs_s
        note = f"{ours / 1e6:.2f} against {theirs / 1e6:.3f} million frames/s; {count:,} frames, {REPEATS} turns"
        what = f"reading {open_can_log(path).kind}, times faster than python-can"
        found[f"read_{ending}"] = figure(what, ours / theirs, "", bar, note, at_least=True)
    return found


def put_log(path: Path, some: CanFrames) -> None:
    """Frames as a log: by our writer, else by that of python-can."""
    if path.suffix in (".blf", ".log"):
        with writer(path) as made:
            made.take(some)
        return
    with can.Logger(path) as log:
        for k in range(some.id.size):
            log.on_message_received(
                can.Message(
                    timestamp=float(some.time_s[k]),
                    arbitration_id=int(some.id[k]),
                    is_extended_id=True,
                    data=frames.payload(some, k),
                    channel=0,
                )
            )


def read_ours(path: Path) -> int:
    """All frames of a log."""
    return sum(block.id.size for block in open_can_log(path).blocks())


def read_theirs(path: Path, reader: Any, count: int) -> int:
    """The first frames of a log by python-can."""
    with reader(path) as opened:
        return sum(1 for _ in itertools.islice(opened, count))


def live(case: Case, calls: int) -> dict[str, Any]:
    """One call with the frames of a few milliseconds."""
    few = frames.take(case.heard, slice(0, LIVE_FRAMES))
    few = frames.from_rows(few.time_s, few.id, frames.rows(few, 8))
    decoding.decode(case.plan, few)
    taken_s = np.empty(calls)
    for k in range(calls):
        start = time.perf_counter()
        decoding.decode(case.plan, few)
        taken_s[k] = time.perf_counter() - start
    median_s, rare_s = np.quantile(taken_s, [0.5, 0.999])
    note = f"99.9 % within {1e6 * rare_s:.0f} us; {len(case.plan.signals)} signals, {calls:,} calls"
    return {"live": figure(f"live decoding of {LIVE_FRAMES} frames", 1e6 * float(median_s), "us", 15.0, note)}


def node(strings: int, series: int) -> dict[str, Any]:
    """Our battery on a loopback bus, all that it does in a tick, as a share of a core."""
    cost = node_cost(strings, series)
    parts = f"hear {1e3 * cost.hear_s:.2f}, step and speak {1e3 * cost.live_s:.2f}, bus {1e3 * cost.bus_s:.2f} ms"
    traffic = f"{cost.frames_in:.0f} frames in, {cost.frames_out:.0f} out"
    note = f"{parts}; {strings} strings x {series} cells, {traffic} each 100 ms; best of {ROUNDS} rounds"
    return {"node": figure("our node at 100 ms, share of a core", 100.0 * cost.share, "%", 5.0, note)}


def measure(size: Size = Size()) -> dict[str, Any]:  # noqa: B008 - a named tuple of numbers
    """All figures by name, in plain JSON types; takes some two minutes.

    Raises ValueError where ours and a peer do not say the same.
    """
    case = case_of(size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        read = reading(case, size, folder)
        bus = {**decode(case, size), **extraction(case, folder), **read, **live(case, size.calls)}
    return bus | node(size.strings, size.series)


if __name__ == "__main__":
    main("bus", "Bus", measure)
